"""From the numbers in a file to real values to be predicted, or labels that hold or not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Task, check_narrowing
from snnlearn.data.classes import whole_numbers

TASKS = ("classification", "regression", "multi-label")
_FEW = 20


def is_continuous(labels: Shaped[np.ndarray, " m"]) -> bool:
    """Whether these numbers are plainly no classes.

    They are many, and have fractions, or most of them occur too rarely to be in every part of a data set.

    >>> is_continuous(np.linspace(0, 1, 30)), is_continuous(np.arange(30)), is_continuous(np.arange(90) // 3)
    (True, True, False)
    """
    if labels.dtype.kind not in "iuf" or labels.ndim != 1 or not np.isfinite(labels).all():
        return False
    different, times = np.unique(labels, return_counts=True)
    fractions = whole_numbers(different).dtype.kind == "f"
    return different.size > _FEW and (fractions or bool(np.mean(times < 3) > 0.5))


def task_asked(labels: Shaped[np.ndarray, "m ..."], asked: Task | None) -> Task:
    """What is to be learned from these labels: as asked, or else as they look.

    >>> task_asked(np.eye(3), None), task_asked(np.eye(3) / 2, None), task_asked(np.arange(3), None)
    ('multi-label', 'regression', 'classification')
    """
    if asked is not None:
        return asked
    if labels.ndim == 1:
        return "regression" if is_continuous(labels) else "classification"
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return "classification"
    if labels.shape[1] > 1:
        return "multi-label" if _is_binary(labels).all() else "regression"
    return "regression" if is_continuous(labels[:, 0]) else "classification"


def why(task: Task, name: str, labels: Shaped[np.ndarray, "m ..."]) -> str:
    """A sentence on what was assumed.

    >>> why("regression", "price", np.linspace(0, 1, 30))
    'The values of price, 30 different ones in 30 samples, are to be predicted (--task regression).'
    """
    if task == "multi-label":
        return f"{name} are labels, of which any number holds at once (--task multi-label)."
    what = f"{len(np.unique(labels, axis=0))} different ones in {len(labels)} samples"
    return f"The values of {name}, {what}, are to be predicted (--task regression)."


def targets_of(labels: Shaped[np.ndarray, "m ..."], task: Task, where: str) -> np.ndarray:
    """Targets `[m, D]` of float32, or labels `[m, L]` of int32.

    Raises:
        SnnlearnError: They are no numbers, not finite, of another shape, or not 0 and 1.
    """
    if labels.dtype.kind not in "biuf" or labels.ndim not in (1, 2) or not labels.size:
        raise SnnlearnError(
            f"{where} has targets of type {labels.dtype} and shape {labels.shape}; expected numbers, [samples] or "
            "[samples, targets]"
        )
    rows = labels.reshape(len(labels), -1)
    if not np.isfinite(rows).all():
        raise SnnlearnError(f"{where} has targets that are NaN or infinite; fill them in, or drop those samples")
    if task == "multi-label":
        if not (fits := _is_binary(rows)).all():
            wrong = rows[~fits][0]
            raise SnnlearnError(f"{where} has {wrong:g} as a label; expected 1 where it holds and else 0")
        return rows.astype(np.int32)
    if np.abs(rows).max() > float(np.finfo(np.float32).max):
        raise SnnlearnError(f"{where} has targets up to {np.abs(rows).max():g}, too large for float32; divide them")
    check_narrowing(rows, f"{where}, as its targets,")
    return rows.astype(np.float32)


def _is_binary(labels: Shaped[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    return (labels == 0) | (labels == 1)
