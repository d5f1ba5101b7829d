"""A report as a file: one that needs no other, and is written whole or not at all."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_run import fake_example, fake_run
from outline import read

from snnlearn._errors import SnnlearnError
from snnlearn.report import Report, run_report, write, write_page
from snnlearn.report.value import Figure, Numbers, Panels, Row, Section, Table


@pytest.fixture(scope="module")
def five_seeds(tmp_path_factory) -> Path:
    return write(run_report(fake_run(num_examples=2)), tmp_path_factory.mktemp("report") / "new")


def test_the_file_is_self_contained(five_seeds):
    text = five_seeds.read_text(encoding="utf-8")
    outline = read(five_seeds)
    assert "http://" not in text and "https://" not in text and "@import" not in text
    assert not {"script", "link", "iframe", "img"} & set(outline.tags)
    assert all(load.startswith(("#", "data:")) for load in outline.loads)
    assert not re.search(r"url\((?!#)", text)
    assert len(text) < 3e6


def test_every_reference_inside_the_page_has_one_target(five_seeds):
    text, outline = five_seeds.read_text(encoding="utf-8"), read(five_seeds)
    assert len(outline.ids) == len(set(outline.ids))
    targets = {load[1:] for load in outline.loads if load.startswith("#")} | set(re.findall(r"url\(#([^)]*)\)", text))
    assert targets and targets <= set(outline.ids)


def test_figures_take_the_colour_of_the_page(five_seeds):
    text = five_seeds.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    # The page's own ink is defined once in its style; a figure must never bring a fixed one.
    assert "currentColor" in text and text.count("#1b1c1d") == 1


def test_the_risk_is_said_before_everything_else(five_seeds):
    words = "".join(read(five_seeds).text)
    first = [
        words.index(text) for text in ("2.8\xa0%", "true risk lies between", "Warnings", "Numbers", "Learning curves")
    ]
    assert first == sorted(first)
    assert "9.4 % of the units of layer 1 never spike" in words
    assert "network.units = [128]" in words and "snnlearn train run.toml" in words


def test_numbers_stand_beside_the_page(five_seeds):
    assert json.loads((five_seeds.parent / "summary.json").read_text())["test_errors"] == [13, 9, 14, 11, 10]


def test_tables_say_what_their_headers_head(tmp_path):
    table, numbers = Table(("rule", "MB"), [("bptt", "1.5")], "Costs"), Numbers([Row("risk", "2 %", "of 50")])
    text = write_page(report_of(table, numbers), tmp_path / "a.html").read_text()
    assert "<caption>Costs</caption>" in text
    assert '<th scope="col">rule</th><th scope="col" class="right">MB</th>' in text
    assert '<th scope="row">bptt</th><td class="right">1.5</td>' in text
    assert '<th scope="row">risk</th><td class="value">2 %</td><td class="remark">of 50</td>' in text


def test_figures_of_many_spikes_stay_small_and_are_the_same_again(tmp_path):
    big = replace(
        fake_example(0),
        image=None,
        layers=(("input", (np.random.default_rng(0).random((100, 784)) < 0.3).astype(float), True),),
        membranes=(),
    )
    (examples,) = [s for s in run_report(fake_run(examples=(big,))).sections if s.title == "Examples"]
    first, second = (write_page(report_of(*examples.blocks), tmp_path / name) for name in ("a.html", "b.html"))
    assert first.stat().st_size < 1e6 and first.read_bytes() == second.read_bytes()


def test_only_a_page_draws(tmp_path):
    drawn = []
    report = report_of(
        Panels([Figure("A line", (2.0, 1.0), lambda figure: drawn.append(figure.subplots().plot([1, 2])))])
    )
    assert not drawn
    text = write_page(report, tmp_path / "a.html").read_text()
    assert len(drawn) == 1 and 'role="img" aria-label="A line" viewBox="0 0 ' in text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SnnlearnError, match="disk is full"):
        write_page(report_of(), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def report_of(*blocks) -> Report:
    return Report(kind="", title="new", sections=[Section("one", blocks)])


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (("1,184", "3,386"), True),
        (("−0.65", "–", ""), True),
        (("2.8\xa0%", "17.8\xa0%"), True),
        (("≤ 0.5", "0.0e+00", "133 Hz"), True),
        (("1.5", "no gradient"), False),
        (("2.8 % (1.3–5.0)",), False),
        (("18 of 359",), False),
        (("0.01, 0.02",), False),
    ],
)
def test_a_column_of_numbers_stands_to_the_right(cells, right):
    table = Table(("name", "value"), [("a", cell) for cell in cells])
    assert (table.right(0), table.right(1)) == (False, right)
