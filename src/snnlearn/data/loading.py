"""From a file of any format to a data set: reading, splitting, numbering classes, measuring ranges."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample, Task, check, check_narrowing, hold_out, is_spikes, split
from snnlearn.data.classes import names_of, numbered, whole_numbers
from snnlearn.data.ends import about_lengths, lengths_of
from snnlearn.data.formats import read_found
from snnlearn.data.formats.objects import from_object
from snnlearn.data.found import Asked, Form, Found
from snnlearn.data.groups import split_groups
from snnlearn.data.targets import TASKS, targets_of, task_asked, why

_PAIRS = (("_TRAIN", "_TEST"), ("_train", "_test"), ("-train", "-test"))


def load(
    source: Any,
    *,
    label: str | int | None = None,
    task: Task | None = None,
    group: str | int | None = None,
    time_unit: float | None = None,
    num_steps: int | None = None,
    dt: float | None = None,
    lengths: Any = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    r"""A data set from a file in any known format, or from arrays, tables or tensors in Python.

    Files: tables (.csv, .tsv, .txt, .parquet, .arff), time series (.ts), arrays (.npz), images in a folder for each
    class, IDX, and events (.h5, .bin, .aedat, .aedat4, .npy in a folder for each class). In Python: a DataFrame, an
    Arrow table, `(x, y)` of arrays or tensors, or of a list of series `[T_i, N]` that end at different times, a PyTorch
    data set, or `(recordings, labels)` of structured arrays of
    events. A file `X_TRAIN` that has an `X_TEST` beside it is read with it. Nothing in a file is ever executed.

    Args:
        source: The path, or the object.
        label: Tables: the name or number (from 1) of the label's column; by default one called label, class, target or
            y, or else the last if it holds classes. Several are separated by commas.
        task: What is to be learned: "classification", "regression" or "multi-label"; by default as the labels look:
            many different numbers are to be predicted, and several columns of 0 and 1 are labels.
        group: Tables: the same for a column whose rows with equal values stay in the same part.
        time_unit: Events: the length of a tick, s; by default from the times' type and range.
        num_steps: Events: the number of time steps, by default 100, or the recordings' duration / dt.
        dt: Events: the time step, s.
        lengths: `(x, y)` of arrays, or recordings: after how many steps each sample ends, `[m]`; see
            [`with_lengths`][snnlearn.data.with_lengths]. A file of arrays has them as `lengths`.
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1); unused if the source has a test part.
        seed: Seed of the cut.

    Returns:
        The data set; its `notes` say what was lost or assumed, its `class_names` what the source calls its classes.

    Raises:
        SnnlearnError: The source is damaged, of no known format, or not such a task.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "flowers.csv")
    >>> _ = file.write_text("petal,species\n" + "1.5,setosa\n1.25,setosa\n4,virginica\n4.5,virginica\n" * 3)
    >>> flowers = load(file)
    >>> flowers.class_names, flowers.shape, flowers.notes
    (('setosa', 'virginica'), (1,), ('The label is the last column, species; --label names another.',))
    """
    if task is not None and task not in TASKS:
        raise SnnlearnError(f"load: task is {task!r}; give one of {', '.join(TASKS)}")
    asked = Asked(label=label, task=task, group=group, time_unit=time_unit, num_steps=num_steps, dt=dt, lengths=lengths)
    if not isinstance(source, (str, os.PathLike)):
        found, name = from_object(source, asked), type(source).__name__
        where = f"the {name}"
    elif lengths is not None:
        raise SnnlearnError(f"lengths is for arrays in Python; save those of {source} in it, as an array named lengths")
    else:
        path = Path(source)
        found, name, where = _with_partner(path, asked), path.stem, str(path)
    return _assembled(found, task, name, where, validation=validation, test=test, seed=seed)


class Read(NamedTuple):
    """The content of a file, for an existing network.

    Args:
        x: `[m, *shape]`.
        y: `[m]`, its classes' numbers, or what was learned in its place; None if it has no labels.
        notes: What was lost or assumed, in sentences.
    """

    x: Shaped[np.ndarray, "m *shape"]
    y: np.ndarray | None
    notes: tuple[str, ...] = ()

    def labelled(self, path: str | os.PathLike[str]) -> Sample:
        """The sample.

        Raises:
            SnnlearnError: The file, `path`, has no labels.
        """
        if self.y is None:
            raise SnnlearnError(f"{path} has no labels; give a file with one for each sample")
        return Sample(self.x, self.y)


def read_like(path: str | os.PathLike[str], form: Form) -> Read:
    """Read a file of any format like the training data of a network, as one sample, with labels if any.

    Args:
        path: The file or folder.
        form: `Dataset.form` of the network's training data.

    Raises:
        SnnlearnError: The file is damaged, of no known format, or does not fit.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "new.npy")
    >>> np.save(file, np.zeros((3, 8, 8)))
    >>> read_like(file, Form((8, 8))).x.shape
    (3, 8, 8)
    """
    path = Path(path)
    num_steps = form.shape[0] if form.grid and form.shape else None
    found = read_found(path, Asked(form=form, num_steps=num_steps, dt=form.dt, time_unit=form.time_unit))
    x = found.x
    check(Sample(x, np.zeros(x.shape[:1], np.int32)), str(path))
    if not is_spikes(x):
        check_narrowing(x, str(path))
        x = x.astype(np.float32, copy=False)
    if found.labels is None:
        return Read(x, None, found.notes)
    labels = whole_numbers(found.labels)
    if len(labels) != len(x):
        raise SnnlearnError(f"{path} has {len(x)} samples and {len(labels)} labels; expected one label for each")
    if form.task != "classification":
        y = targets_of(labels, form.task, str(path))  # pyright: ignore[reportArgumentType]
        if form.targets and y.shape[1] != len(form.targets):
            raise SnnlearnError(f"{path} has {y.shape[1]} targets; in training there were {len(form.targets)}")
        return Read(x, y, found.notes)
    _check_labels(labels, str(path))
    return Read(x, numbered(labels, form.class_names, found.class_names, str(path)), found.notes)


def _with_partner(path: Path, asked: Asked) -> Found:
    """The file and, if it is the training part of two, the other as its test part."""
    found = read_found(path, asked)
    for train, test in _PAIRS:
        stem, dot, suffix = path.name.partition(".")
        partner = path.with_name(f"{stem.removesuffix(train)}{test}{dot}{suffix}")
        if stem.endswith(train) and partner.is_file() and found.test is None:
            tested = read_found(partner, replace(asked, form=found.form) if found.form.names else asked)
            found, tested = _equally_long(found, tested)
            about = tuple(f"{partner.name}: {note}" for note in tested.notes if note not in found.notes)
            return replace(found, test=tested, notes=(*found.notes, f"The test part is {partner.name}.", *about))
    return found


def _equally_long(first: Found, second: Found) -> tuple[Found, Found]:
    """Series in arrays of one shape: those of the shorter file end before the last step."""
    if first.x.ndim != 3 or second.x.ndim != 3 or first.form.dt is not None:
        return first, second
    longest = max(first.x.shape[1], second.x.shape[1])

    def padded(one: Found) -> Found:
        more = longest - one.x.shape[1]
        if not more:
            return one
        x = np.pad(one.x.astype(float, copy=False), ((0, 0), (0, more), (0, 0)), constant_values=np.nan)
        lengths = lengths_of(x)
        assert lengths is not None
        return replace(one, x=x, notes=about_lengths(lengths, longest))

    return padded(first), padded(second)


def _assembled(
    found: Found, asked: Task | None, name: str, source: str, *, validation: float, test: float, seed: int
) -> Dataset:
    """Split, number the classes, and measure the range for codes."""
    if found.labels is None:
        raise SnnlearnError(
            f"{source} has no labels, but training needs one for each sample; give a table with a label's column, an "
            ".npz with y, or a folder for each class"
        )
    parts = {"": found, "validation": found.validation, "test": found.test}
    given = {part: one for part, one in parts.items() if one is not None}
    said = None if found.form.task == "classification" else found.form.task
    task = task_asked(found.labels, asked or said)  # pyright: ignore[reportArgumentType]
    learned = _classes if task == "classification" else partial(_targets, task=task, asked=asked)
    samples, names, about = learned(given, name, source)
    whole = samples[""]
    if found.groups is not None:
        fractions = {"validation": validation} | ({} if "test" in samples else {"test": test})
        cut = split_groups(whole, found.groups, fractions, seed)
    elif "validation" in samples:
        cut = [whole, samples["validation"]]
    elif "test" in samples:
        cut = list(hold_out(whole, validation=validation, seed=seed))
    else:
        cut = list(split(whole, validation=validation, test=test, seed=seed))
    if len(cut) < 3:
        if "test" not in samples:
            raise SnnlearnError(f"{source} has a validation part and no test part; give both, or one file of all")
        cut.append(samples["test"])
    of_spikes = found.form.dt is not None
    dtype = np.uint8 if of_spikes else np.float32
    train, held_out, tested = (Sample(one.x.astype(dtype, copy=False), one.y) for one in cut)
    low, high = (0.0, 1.0) if of_spikes else _range(train.x, found)
    form = found.form._replace(shape=train.x.shape[1:], task=task)
    classes = task == "classification"
    return Dataset(
        name,
        train,
        held_out,
        tested,
        int(whole.y.max()) + 1 if classes else None,
        "spikes" if of_spikes else "values",
        low=low,
        high=high,
        dt=1e-3 if found.form.dt is None else found.form.dt,
        class_names=names if classes else (),
        target_names=() if classes else names,
        notes=(*found.notes, *about),
        form=form._replace(class_names=names) if classes else form._replace(targets=names),
    )


Learned = tuple[dict[str, Sample], tuple[str, ...], tuple[str, ...]]


def _classes(parts: dict[str, Found], name: str, source: str) -> Learned:
    """The samples with numbered classes, their names, and notes."""
    samples = {part: _checked(one, f"{source}{part and f' ({part})'}") for part, one in parts.items()}
    names, about = names_of(samples[""].y, parts[""].class_names, source)
    for part, sample in samples.items():
        where = f"the {part or 'train'} part of {name}"
        samples[part] = Sample(sample.x, numbered(sample.y, names, parts[part].class_names, where))
    return samples, names, about


def _targets(parts: dict[str, Found], name: str, source: str, *, task: Task, asked: Task | None) -> Learned:
    """The samples with values to be predicted, or labels, the names of these, and notes."""
    samples = {}
    for part, one in parts.items():
        where = f"{source}{part and f' ({part})'}"
        if one.labels is None:
            raise SnnlearnError(f"{where} has no labels; give one for each sample")
        y = targets_of(one.labels, task, where)
        _check_x(one, len(y), where)
        samples[part] = Sample(one.x, y)
    y = samples[""].y
    if constant := np.flatnonzero(y.min(axis=0) == y.max(axis=0)).tolist():
        raise SnnlearnError(f"{source} has the same value in each sample as target {constant[0]}; leave it out")
    names = parts[""].form.targets or tuple(f"y{i}" if y.shape[1] > 1 else "y" for i in range(y.shape[1]))
    said = asked is not None or bool(parts[""].form.targets)
    return samples, names, () if said else (why(task, ", ".join(names), y),)


def _checked(found: Found, where: str) -> Sample:
    if found.labels is None:
        raise SnnlearnError(f"{where} has no labels; give one for each sample")
    labels = whole_numbers(found.labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise SnnlearnError(
            f"{where} has labels of type {labels.dtype} and shape {labels.shape}; expected integers or words [samples]"
        )
    _check_x(found, len(labels), where)
    _check_labels(labels, where)
    return Sample(found.x, labels)


def _check_x(found: Found, m: int, where: str) -> None:
    if len(found.x) != m:
        raise SnnlearnError(f"{where} has {len(found.x)} samples and {m} labels; expected one label for each sample")
    check(Sample(found.x, np.zeros(m, np.int32)), where)
    if found.form.dt is None:
        check_narrowing(found.x, where)


def _check_labels(labels: Shaped[np.ndarray, " m"], where: str) -> None:
    if labels.dtype.kind in "iu" and not -(2**31) <= int(labels.min()) <= int(labels.max()) < 2**31:
        raise SnnlearnError(f"{where} has labels from {labels.min()} to {labels.max()}; expected numbers of classes")


def _range(x: np.ndarray, found: Found) -> tuple[Any, Any]:
    if found.limits is not None:
        return found.limits
    if not found.own_range:
        return float(x.min()), float(x.max())
    axes = tuple(range(x.ndim - found.own_range))
    return np.nanmin(x, axis=axes), np.nanmax(x, axis=axes)  # NaN is after a series's end
