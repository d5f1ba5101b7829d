"""Every page, with names that are markup: they stay text, for a parser and for a browser."""

from __future__ import annotations

import shutil
import subprocess
from html import escape
from pathlib import Path

import numpy as np
import pytest
from fake_run import fake_run
from outline import read

from snnlearn.report import CodeSummary, write_codes_html, write_html
from snnlearn.report.certificate import CertificateReport, write_certificate
from snnlearn.report.compare import Contender, write_comparison
from snnlearn.report.gradients import Alignment, Measured, write_gradients
from snnlearn.report.no_free_lunch import Averaged, write_no_free_lunch
from snnlearn.report.paired import compare_all, write_paired
from snnlearn.report.risk import Bound, Calibration, Estimate, RiskReport, write_risk
from snnlearn.report.statement import Row
from snnlearn.report.sweep import Configuration, SweepReport, write_sweep
from snnlearn.risk import Certificate, clopper_pearson, compare_algorithms, reliability, risk_of_errors

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


def train(path: Path) -> Path:
    names = (HOSTILE, *map(str, range(1, 10)))
    return write_html(
        fake_run(
            title=HOSTILE,
            class_names=names,
            num_examples=1,
            warnings=(HOSTILE,),
            config={HOSTILE: HOSTILE},
            reproduce=HOSTILE,
            environment={HOSTILE: HOSTILE},
            dense=HOSTILE,
        ),
        path,
    )


def compare(path: Path) -> Path:
    contenders = [
        Contender(
            rule=name,
            loss=HOSTILE,
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
        for name in (HOSTILE, "eprop")
    ]
    pairs = compare_all({HOSTILE: np.arange(3.0), "b": np.zeros(3)}, compare_algorithms)
    setting, left_out = [Row(HOSTILE, HOSTILE, HOSTILE)], {HOSTILE: HOSTILE}
    return write_comparison(contenders, path, title=HOSTILE, setting=setting, pairs=pairs, left_out=left_out)


def gradients(path: Path) -> Path:
    layers = tuple(Alignment(name, 0.9, 1.0, 0.1, 0.1, 0.1) for name in ("all", "layer 1", "layer 2"))
    measured = [Measured(HOSTILE, HOSTILE, layers, 0.1, 10, (10_000, 20_000), (10, 20))]
    return write_gradients(measured, path, title=HOSTILE, setting=[Row(HOSTILE, HOSTILE, HOSTILE)])


def risk(path: Path) -> Path:
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    report = RiskReport(
        title=HOSTILE,
        source=HOSTILE,
        seen=None,
        errors=1,
        n=20,
        confidence=0.95,
        estimates=(Estimate(HOSTILE, clopper_pearson(1, 20), HOSTILE),),
        empirical_risk=0.0,
        train_size=10,
        chance=0.5,
        calibrations=(Calibration(HOSTILE, 1.0, reliability(p, np.array([0, 1])), 0.1, 0.1),),
        bounds=(Bound(HOSTILE, 0.5, 0.1, HOSTILE),),
    )
    return write_risk(report, path)


def sweep(path: Path) -> Path:
    found = [
        Configuration.of(
            {
                "settings": {HOSTILE: value, "layers": layers},
                **{name: [1, 2] for name in ("test_errors", "train_errors", "validation_errors")},
                **dict.fromkeys(("test_size", "train_size", "validation_size"), 10),
            }
        )
        for value in (HOSTILE, "b")
        for layers in ("8", "16")
    ]
    refused = Configuration.of({"settings": {HOSTILE: "c", "layers": "8"}, "refused": HOSTILE})
    report = SweepReport(
        title=HOSTILE,
        configurations=(*found, refused),
        sizes=(10, 100, 1000),
        size_errors=np.array([[5, 3, 1], [6, 2, 1]]),
        test_size=10,
        base={HOSTILE: HOSTILE},
    )
    return write_sweep(report, path)


def certificate(path: Path) -> Path:
    found = Certificate(bound=0.2, empirical_risk=0.1, empirical_risk_bound=0.12, kl=3.0, m=100, delta=0.05, draws=10)
    one = risk_of_errors(5, 50)
    return write_certificate(CertificateReport(HOSTILE, found, one, one, 10, {HOSTILE: 0.3}), path)


def no_free_lunch(path: Path) -> Path:
    one = Averaged(HOSTILE, 0.4, 0.0, 0.5, 0.0, 1.0, 0.3, 0.4, np.linspace(0, 1, 8))
    return write_no_free_lunch([one], path, points=3, samples=2, smoothness=0.5)


def paired(path: Path) -> Path:
    pairs = compare_all({HOSTILE: np.arange(3.0), "b": np.zeros(3)}, compare_algorithms)
    return write_paired({HOSTILE: risk_of_errors(1, 9)}, {HOSTILE: (HOSTILE, pairs)}, path, title=HOSTILE)


def codes(path: Path) -> Path:
    code = CodeSummary(name=HOSTILE, spikes=np.eye(4), dt=1e-3, reconstruction=np.eye(2), bits=1.0, caption=HOSTILE)
    return write_codes_html(np.eye(2), [code], path, title=HOSTILE, note=HOSTILE)


PAGES = (train, compare, gradients, risk, sweep, certificate, no_free_lunch, paired, codes)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {write.__name__: write(folder / f"{write.__name__}.html") for write in PAGES}


@pytest.mark.parametrize("name", [write.__name__ for write in PAGES])
def test_names_are_text(pages, name):
    outline = read(pages[name])
    assert not {"script", "img"} & set(outline.tags)
    assert outline.tags.count("html") == outline.tags.count("title") == outline.tags.count("style") == 1
    assert HOSTILE.replace("\udcff", "?") in "".join(outline.text)
    assert len(outline.ids) == len(set(outline.ids))


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
