"""The page of a run: its numbers, its form as a file, and what it makes of unusual runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_run import fake_example, fake_run
from outline import read

from snnlearn._errors import SnnlearnError
from snnlearn.report import html, state_risk, write_html
from snnlearn.report.page import Page, write_page


@pytest.fixture(scope="module")
def five_seeds(tmp_path_factory) -> Path:
    return write_html(fake_run(), tmp_path_factory.mktemp("report") / "new" / "run.html")


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


def test_numbers_equal_what_a_reader_would_compute(five_seeds):
    """10 of 360 wrong. Clopper–Pearson by R: binom.test(10, 360) gives 0.01340 to 0.05050."""
    rows = {row[0]: row[1].replace("\xa0", " ") for row in read(five_seeds).rows if len(row) > 1}
    assert rows["Test error, saved model"] == "2.8 % (1.3 to 5.0 %)"
    # Errors 13, 9, 14, 11, 10: mean 11.4, s² = 4.3; 11.4 ± 2.776445·√(4.3/5) = 8.825 to 13.975 of 360.
    assert rows["Test error, over seeds"] == "3.2 % (2.5 to 3.9 %)"
    assert rows["Training error"] == "0.09 %"  # 1 of 1150
    assert rows["Generalisation gap"] == "2.7 points (1.3 to 5.0)"
    assert rows["Chance"] == "89.8 %"
    assert rows["Parameters"] == "9,610"
    assert rows["SynOps"] == "41,234"
    assert rows["Operations"] == "41,234" and "MACs" not in rows
    assert rows["MACs, dense, every step"] == "947 k"
    assert rows["Training time"] == "1 min 12 s"
    assert rows["Throughput"] == "20,312 samples/s"
    assert rows["Firing rate, 1 · LIF 128"] == f"{fake_run().layers[0].firing_rate.mean():.3g} Hz"
    assert rows["8"] == "4"  # the hardest class comes with its number of errors


def test_the_risk_is_said_before_everything_else(five_seeds):
    words = "".join(read(five_seeds).text)
    first = [
        words.index(text) for text in ("2.8\xa0%", "true risk lies between", "Warnings", "Numbers", "Learning curves")
    ]
    assert first == sorted(first)
    assert "9.4 % of the units of layer 1 never spike" in words
    assert "network.units = [128]" in words and "snnlearn train run.toml" in words


def test_statement_of_risk_in_full_precision():
    statement = state_risk(fake_run())
    assert (statement.risk, statement.empirical_risk) == (10 / 360, 1 / 1150)
    assert statement.generalization_gap == pytest.approx(10 / 360 - 1 / 1150)
    assert np.subtract(statement.risk_interval[:2], statement.gap_interval[:2]) == pytest.approx([1 / 1150] * 2)
    assert statement.seed_mean == pytest.approx(11.4 / 360)
    half = 2.776445 * np.sqrt(4.3 / 5) / 360
    assert statement.seed_interval[:2] == pytest.approx((11.4 / 360 - half, 11.4 / 360 + half), rel=1e-5)
    assert state_risk(fake_run(), confidence=0.5).risk_interval.high < statement.risk_interval.high


def test_seed_interval_stays_within_possible_errors():
    assert state_risk(fake_run(test_errors=np.array([0, 0, 0, 25, 10]))).seed_interval.low == 0.0


def test_one_seed_no_silent_unit_no_example_no_warning(tmp_path):
    summary = fake_run(seeds=1, silent_units=0, num_examples=0, warnings=(), reproduce="")
    outline = read(write_html(summary, tmp_path / "run.html"))
    words = "".join(outline.text)
    rows = {row[0]: row[1].replace("\xa0", " ") for row in outline.rows if len(row) > 1}
    assert rows["Test error, over seeds"] == "2.8 %" and "spread over seeds is unknown" in words
    assert "nan" not in words and "Warnings" not in words and "Examples" not in words and "silent units" not in words


def test_a_run_of_many_classes_units_and_spikes_stays_small(tmp_path):
    names = tuple(f"class {i}" for i in range(35))
    rng = np.random.default_rng(0)
    big = replace(
        fake_example(0, names), image=None, layers=(("input", (rng.random((100, 784)) < 0.3).astype(float), True),)
    )
    summary = fake_run(class_names=names, test_size=350, test_errors=np.full(5, 10), examples=(big, big))
    path = write_html(summary, tmp_path / "run.html")
    assert path.stat().st_size < 3e6
    assert read(path)


def test_stopped_seeds_and_one_epoch(tmp_path):
    curves = {name: curve.copy() for name, curve in fake_run().curves.items()}
    for curve in curves.values():
        curve[1:, 20:] = np.nan
    read(write_html(fake_run(curves=curves, num_examples=0), tmp_path / "stopped.html"))
    first = {name: curve[:, :1] for name, curve in fake_run().curves.items()}
    read(write_html(fake_run(curves=first, num_examples=0, selected_epoch=np.zeros(5, int)), tmp_path / "one.html"))


def test_a_network_that_is_never_wrong_and_never_spikes(tmp_path):
    layer = replace(fake_run().layers[0], firing_rate=np.zeros(128), silent=1.0)
    nothing = np.zeros(5, dtype=int)
    summary = fake_run(
        confusion=36 * np.eye(10, dtype=int), test_errors=nothing, train_errors=nothing, layers=(layer,), num_examples=0
    )
    summary = replace(summary, synops=0.0, dense_macs=0.0)
    outline = read(write_html(summary, tmp_path / "run.html"))
    rows = {row[0]: row[1].replace("\xa0", " ") for row in outline.rows if len(row) > 1}
    assert rows["Test error, saved model"] == "0.0 % (0.0 to 1.0 %)"  # 1 − 0.025^(1/360) = 1.019 %


def test_the_same_run_gives_the_same_file(five_seeds, tmp_path):
    assert write_html(fake_run(), tmp_path / "again.html").read_bytes() == five_seeds.read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(SnnlearnError, match="disk is full"):
        write_page(Page(kicker="", title="new", sections=()), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"test_errors": np.array([13, 9, 14, 11, 9])}, "confusion counts 10 errors"),
        ({"test_size": 361, "confusion": 36 * np.eye(10, dtype=int)}, "in 360 samples"),
        ({"selected_seed": 5}, "selected_seed is 5"),
        ({"class_names": ("a", "b"), "confusion": np.eye(3, dtype=int)}, "confusion has shape"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(change, names):
    with pytest.raises(SnnlearnError, match=names):
        fake_run(**change)


def test_nested_configuration_is_flattened():
    assert list(html.flatten({"a": 1, "b": {"c": {"d": None}, "e": [2]}})) == [("a", 1), ("b.c.d", None), ("b.e", [2])]
