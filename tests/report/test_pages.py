"""Every page, with names that are markup: they stay text, for a parser and for a browser."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fake_run import fake_example, fake_run
from outline import read
from rich.cells import cell_len
from rich.console import Console

from snnlearn.algorithms import Trial
from snnlearn.circuits import Account, ChipRisk, Sensitivity, Term
from snnlearn.circuits import Figure as Energy
from snnlearn.network import GradientFlow
from snnlearn.report import CodeSummary, Report, codes_report, print_report, run_report, value, write
from snnlearn.report.certificate import Certified, certificate_report
from snnlearn.report.compare import Contender, comparison_report
from snnlearn.report.deploy import DeploySummary, deploy_report
from snnlearn.report.gradients import Alignment, Flow, Measured, gradients_report
from snnlearn.report.no_free_lunch import Averaged, no_free_lunch_report
from snnlearn.report.paired import compare_all, paired_report
from snnlearn.report.risk import Bound, Calibration, Estimate, KnownRisk, risk_report
from snnlearn.report.sweep import Configuration, Swept, sweep_report
from snnlearn.report.tune import Confirmation, Learned, Tuned, tuned_report
from snnlearn.report.value import Row
from snnlearn.risk import Certificate, Interval, clopper_pearson, compare_algorithms, reliability, risk_of_errors

RUN = "top.document.documentElement.setAttribute('data-{}', 'ran')"
HOSTILE = (
    f"""</title></style></svg>--></pre><script>{RUN.format("page")}</script>"""
    f""""'><img src=x onerror="{RUN.format("page")}"> $x_ \\alpha & 猫 \udcff"""
)
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=2000 --dump-dom"
).split()


def train(name: str) -> Report:
    names = (name, *map(str, range(1, 10)))
    example = fake_example(0, names)
    example = replace(example, layers=((name, example.layers[0][1][:, :9], True),), membranes=((name, np.eye(9)),))
    return run_report(
        fake_run(
            title=name,
            class_names=names,
            examples=(example,),
            layers=tuple(replace(layer, name=name) for layer in fake_run().layers),
            warnings=(name,),
            notes=(name,),
            config={name: name},
            reproduce=name,
            environment={name: name},
            dense=name,
            why_plain=name,
        )
    )


def compare(name: str) -> Report:
    contenders = [
        Contender(
            rule=rule,
            loss=name,
            learning_rate=0.01,
            test_errors=np.array([3, 4, 5]),
            test_size=100,
            risk=0.04,
            interval=(0.01, 0.07),
            empirical_risk=0.0,
            curves=np.full((3, 2), 0.1),
            seconds_per_epoch=1.0,
            memory=10_000,
            firing_rate=10.0,
            synops=1e3,
            macs=0.0,
            silent=0.0,
        )
        for rule in (name, "eprop")
    ]
    pairs = compare_all({name: np.arange(3.0), "b": np.zeros(3)}, compare_algorithms)
    setting, left_out = [Row(name, name, name)], {name: name}
    return comparison_report(contenders, title=name, setting=setting, pairs=pairs, left_out=left_out)


def gradients(name: str) -> Report:
    layers = tuple(Alignment(layer, 0.9, 1.0, 0.1, 0.1, 0.1) for layer in ("all", "layer 1", "layer 2"))
    measured = [Measured(name, name, layers, 0.1, 10, (10_000, 20_000), (10, 20))]
    norms = np.array([[1.0, 1e-3, 1e-6, 1e-9], [1.0, 1e2, 1e4, 1e6]])
    flow = Flow(GradientFlow(norms, 1e-2), ({name: 0.01}, {}), 3.0, 5)
    return gradients_report(measured, title=name, setting=[Row(name, name, name)], flow=flow)


def risk(name: str) -> Report:
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    known = KnownRisk(
        title=name,
        source=name,
        seen=None,
        errors=1,
        n=20,
        confidence=0.95,
        estimates=(Estimate(name, clopper_pearson(1, 20), name),),
        empirical_risk=0.0,
        train_size=10,
        chance=0.5,
        calibrations=(Calibration(name, 1.0, reliability(p, np.array([0, 1])), 0.1, 0.1),),
        bounds=(Bound(name, 0.5, 0.1, name),),
    )
    return risk_report(known)


def sweep(name: str) -> Report:
    found = [
        Configuration.of(
            {
                "settings": {name: value, "layers": layers},
                **{errors: [1, 2] for errors in ("test_errors", "train_errors", "validation_errors")},
                **dict.fromkeys(("test_size", "train_size", "validation_size"), 10),
            }
        )
        for value in (name, "b")
        for layers in ("8", "16")
    ]
    refused = Configuration.of({"settings": {name: "c", "layers": "8"}, "refused": name})
    swept = Swept(
        title=name,
        configurations=(*found, refused),
        sizes=(10, 100, 1000),
        size_errors=np.array([[5, 3, 1], [6, 2, 1]]),
        test_size=10,
        base={name: name},
    )
    return sweep_report(swept)


def search(name: str) -> Report:
    trials = [
        Trial(number, {"xi": value, "rule": name}, (value, 10 * (4 - value)), (0.5, value), {"seconds": 1.0})
        for number, value in enumerate((0.4, 0.3, 0.2))
    ]
    trials += [
        Trial(3, {"xi": 3.0, "rule": name}, (), (0.9,), {}),
        Trial(4, {"xi": 9.0, "rule": name}, (), (), {}, 0.0, name),
    ]
    learned = [Learned(np.eye(3, 20) > 0.5 * better, np.ones(3), 0, 1e3, 1e4) for better in (3, 1)]
    return tuned_report(
        Tuned(
            title=name,
            trials=tuple(trials),
            objectives=("error", "synops"),
            ranges={"xi": "xi=log:0.2..4", "rule": f"rule={name}"},
            logarithmic=("xi",),
            importance={"xi": 0.8, "rule": 0.2},
            best=trials[2],
            first=trials[0],
            confirmation=Confirmation(*learned),
            command=name,
        )
    )


def deployment(name: str) -> Report:
    wrong = np.arange(30) < np.array([[3], [5], [9]])
    effects = [
        Sensitivity(name, 0.1, Interval(0.05, 0.15, 0.95), 0.02),
        Sensitivity("b", 0.0, Interval(0, 0, 0.95), 0.1),
    ]
    return deploy_report(
        DeploySummary(
            title=name,
            chip=name,
            chip_source=name,
            sample=name,
            designed=wrong[0],
            risk=ChipRisk(wrong),
            most=0.2,
            confidence=0.95,
            sensitivities=effects,
            sensitive_chips=3,
            duration=0.02,
            decided=np.linspace(0.001, 0.02, 30),
            account=Account((Term("spike", 3.0, Energy(1e-9, name)), Term("power", 0.1, None))),
            reproduce=name,
        )
    )


def certificate(name: str) -> Report:
    found = Certificate(bound=0.2, empirical_risk=0.1, empirical_risk_bound=0.12, kl=3.0, m=100, delta=0.05, draws=10)
    one = risk_of_errors(5, 50)
    return certificate_report(Certified(name, found, one, one, 10, {name: 0.3}))


def no_free_lunch(name: str) -> Report:
    one = Averaged(name, 0.4, 0.0, 0.5, 0.0, 1.0, 0.3, 0.4, np.linspace(0, 1, 8))
    return no_free_lunch_report([one], points=3, samples=2, smoothness=0.5)


def paired(name: str) -> Report:
    pairs = compare_all({name: np.arange(3.0), "b": np.zeros(3)}, compare_algorithms)
    return paired_report({name: risk_of_errors(1, 9)}, pairs, pairs, title=name)


def codes(name: str) -> Report:
    code = CodeSummary(name=name, spikes=np.eye(4), dt=1e-3, reconstruction=np.eye(2), bits=1.0, caption=name)
    return codes_report(np.eye(2), [code], title=name, note=name)


MAKE = (train, compare, gradients, risk, sweep, search, deployment, certificate, no_free_lunch, paired, codes)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {make.__name__: write(make(HOSTILE), folder / make.__name__) for make in MAKE}


@pytest.mark.parametrize("name", [make.__name__ for make in MAKE])
def test_names_are_text(pages, name):
    outline = read(pages[name])
    assert not {"script", "img"} & set(outline.tags)
    assert outline.tags.count("html") == outline.tags.count("title") == outline.tags.count("style") == 1
    assert HOSTILE.replace("\udcff", "?") in "".join(outline.text)
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize("name", [make.__name__ for make in MAKE])
def test_json_has_no_word_that_is_not_its_own(pages, name):
    def refuse(word: str):
        raise AssertionError(word)

    for file in pages[name].parent.glob("*.json"):
        json.loads(file.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("make", MAKE)
def test_reports_fit_a_terminal_and_names_are_no_markup(make):
    console = Console(file=io.StringIO(), width=80)
    print_report(make("[/b] my.net"), console)
    text = console.file.getvalue()
    assert "[/b] my.net" in text and "…" not in text.replace("… allowing", "")
    assert max(map(cell_len, text.splitlines())) <= 80


def test_every_string_of_a_report_is_text(tmp_path):
    """One report that has each kind of block, and in each of its strings another piece of markup."""
    given = []

    def text() -> str:
        given.append(f"<script>{len(given)}</script>&\"'")
        return given[-1]

    def figure() -> value.Figure:
        words, caption = text(), text()
        draw = text()
        return value.Figure(words, (2.0, 1.0), lambda drawn: drawn.suptitle(draw), caption)

    def table() -> value.Table:
        return value.Table((text(), text()), [(text(), text())], text())

    blocks = [
        value.Paragraph(text()),
        value.Note(text()),
        value.Code(text()),
        table(),
        value.Numbers([value.Row(text(), text(), text())], text()),
        value.Panels([figure()], beside=table()),
        value.Folded(text(), value.Code(text())),
    ]
    assert {type(block) for block in blocks} == set(get_args(value.Block))
    report = Report(
        kind=text(),
        title=text(),
        sections=[value.Section(text(), blocks)],
        headline=value.Headline(text(), text(), text()),
        figure=figure(),
        warnings=[text()],
    )
    outline = read(write(report, tmp_path))
    assert "script" not in outline.tags
    found = [*outline.text, *outline.labels]
    assert [one for one in given if not any(one in piece for piece in found)] == []


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_no_script_runs_in_a_browser(pages, tmp_path):
    """All pages in frames of one document, and a frame whose script does run."""
    frames = [path.read_text(encoding="utf-8") for path in pages.values()]
    frames.append(f"<script>{RUN.format('control')}</script>")
    document = "".join(f'<iframe srcdoc="{escape(frame)}"></iframe>' for frame in frames)
    (tmp_path / "all.html").write_text(f"<!doctype html><meta charset=utf-8>{document}", encoding="utf-8")
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "all.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    opened = shown[: shown.index(">", shown.index("<html"))]
    assert 'data-control="ran"' in opened, "scripts run in this browser"
    assert "data-page" not in opened
