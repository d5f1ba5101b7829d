"""The page of benchmarks says what the results say; the tasks survive the way to another process."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def page(monkeypatch):
    """The module, which finds the others beside it as a script would; none of them stays."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module("page")
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def _measured(ms: float, mb: float) -> dict:
    return {
        "versions": {"torch": "1.2.3"},
        "densities": [0.051, 0.05],
        "training": {"median_ms": ms, "memory_mb": mb},
        "inference": {"median_ms": ms / 2, "memory_mb": mb / 2},
    }


def _document(page) -> dict:
    tasks = [page.SWEEPS["batch"][8], page.SWEEPS["batch"][128]]
    contenders = [
        {"snnlearn": _measured(2, 10), "Norse": _measured(14, 30), "Spyx": _measured(9, 40)},
        {"snnlearn": _measured(30, 10), "Norse": _measured(15, 30), "Spyx": {"failed": "took longer than 7 s"}},
    ]
    return {
        "processor": "Abacus",
        "processors": 2,
        "threads": 2,
        "system": "Linux",
        "rules": {"rounds": 3, "seconds": 0.5},
        "points": [
            {"task": json.loads(json.dumps(task.to_json())), "when": "2026-01-02T03:04:05+00:00", "contenders": found}
            for task, found in zip(tasks, contenders, strict=True)
        ],
    }


def test_the_page_says_what_was_measured(page, tmp_path):
    results = tmp_path / "suite.json"
    results.write_text(json.dumps(_document(page)))
    written = page.write(results, tmp_path / "docs").read_text()
    assert "| 8 | 2 | 4.5 × Spyx | – | 10 | 3.0 × Norse | 1 | 4.5 × Spyx | – | 5 | 3.0 × Norse |" in written
    assert "| 128 | 30 | 0.50 × Norse |" in written
    assert "- Spyx at 128: took longer than 7 s" in written
    assert "on 2026-01-02 on Abacus" in written
    assert "torch 1.2.3" in written
    # An axis with a point or none has no figure.
    assert [path.name for path in (tmp_path / "docs" / "images").iterdir()] == ["benchmarks_batch.svg"]
    assert "benchmarks_batch.svg" in written
    assert "Width" not in written


def test_a_task_survives_json(page):
    for tasks in page.SWEEPS.values():
        for task in tasks.values():
            again = page.Task.from_json(json.loads(json.dumps(task.to_json())))
            assert again == task
            assert hash(again) == hash(task)
