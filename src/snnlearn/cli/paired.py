"""Finished runs compared in pairs, on their common test sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from snnlearn import risk
from snnlearn._errors import SnnlearnError
from snnlearn.cli import build
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.folders import new_folder
from snnlearn.cli.options import Compare
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of
from snnlearn.hypothesis import predict
from snnlearn.report.files import present
from snnlearn.report.paired import compare_all, paired_report


def compare_runs(options: Compare) -> int:
    """Compare the saved models, and the trainings where all have the same seeds."""
    assert options.paired is not None
    folders = [RunFolder.open(path, allow=options.allow) for path in options.paired]
    if len(folders) < 2:
        raise SnnlearnError(f"--paired has {len(folders)} run; give two or more, or none to compare --rules")
    with new_folder(options.out, "paired") as out:
        return _compare(options, folders, out)


def _compare(options: Compare, folders: list[RunFolder], out: Path) -> int:
    assert options.paired is not None
    keep_compiled_programs()
    hypotheses = [folder.load()[0] for folder in folders]
    names = _names(options.paired)
    data = [data_of(folder) for folder in folders]
    test = data[0].test
    for one in data:
        build.only_classes(one, "compare --paired")
    for name, one in zip(names, data, strict=True):
        if not (np.array_equal(one.test.x, test.x, equal_nan=True) and np.array_equal(one.test.y, test.y)):
            raise SnnlearnError(
                f"--paired: {name} has another test sample than {names[0]}; give runs on the same data with the same "
                "--split-seed, --test and --validation"
            )
        if known := int(one.seen(test.x).sum()):
            raise SnnlearnError(
                f"--paired: {known} of the {len(test.y)} test samples trained or selected {name}; give runs that share "
                "a test sample that none was trained on"
            )
    wrong = {name: predict(model, test.x) != test.y for name, model in zip(names, hypotheses, strict=True)}
    models = compare_all(wrong, risk.compare_hypotheses)
    seeds = {name: _seed_risks(folder) for name, folder in zip(names, folders, strict=True)}
    first_seeds = {folder.options().seed for folder in folders}
    same_seeds = len({len(one) for one in seeds.values()}) == len(first_seeds) == 1 and len(seeds[names[0]]) > 1
    trainings = compare_all(seeds, risk.compare_algorithms) if same_seeds else []
    risks = {name: risk.risk_of_errors(int(one.sum()), one.size) for name, one in wrong.items()}
    present(paired_report(risks, models, trainings, title=" · ".join(names)), out, console_of())
    return 0


def _names(paths: tuple[Path, ...]) -> list[str]:
    """The folders' names if they differ, else the whole paths."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise SnnlearnError("--paired has a run twice; give each once")
    short = [path.resolve().name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _seed_risks(folder: RunFolder) -> np.ndarray:
    """Test error of each seed."""
    try:
        summary = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
        return np.array(summary["test_errors"]) / summary["test_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnnlearnError(f"{folder.path}: its summary.json is missing or damaged; resume the run") from error
