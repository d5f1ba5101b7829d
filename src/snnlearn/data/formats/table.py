"""A table from any file or object as samples: numbers unchanged, words as one feature for each."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.base import Task
from snnlearn.data.classes import is_number, shown, whole_numbers
from snnlearn.data.found import Asked, Column, Form, Found
from snnlearn.data.targets import task_asked, why

LABELS = ("label", "class", "target", "y")
"""Names by which a column is taken for the label's if none is given."""
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-nan", "#n/a", "<na>", "nat"})
_MOST_FEATURES = 20_000
_FEW = 20


class Table(NamedTuple):
    """Named columns of equal length.

    Args:
        names: Their names, all different.
        columns: Each float64 or an integer type, NaN where missing, or an object array of words, None where missing.
        categories: The words that the file declares for a column, by its name.
        named: Whether the names are the file's own.
        notes: What was assumed in reading it, in sentences.
    """

    names: list[str]
    columns: list[np.ndarray]
    categories: dict[str, tuple[str, ...]]
    named: bool = True
    notes: tuple[str, ...] = ()


def is_missing(cell: str) -> bool:
    """Whether a cell stands for an unknown value.

    >>> is_missing(" NaN "), is_missing("0")
    (True, False)
    """
    return cell.strip().lower() in _MISSING


def column_of(cells: list[str], *, decimal_comma: bool = False) -> np.ndarray:
    """Cells as numbers if all that are not missing are, else as words.

    >>> column_of(["1", "?", "2.5"]), column_of(["red", ""])
    (array([1. , nan, 2.5]), array(['red', None], dtype=object))
    """
    missing = np.array([is_missing(cell) for cell in cells], bool)
    known = [cell for cell, gone in zip(cells, missing, strict=True) if not gone]
    if decimal_comma and all("." not in cell for cell in known):
        known = [cell.replace(",", ".") for cell in known]
    try:
        if any("_" in cell for cell in known):  # Python's own way to write numbers, and nobody else's
            raise ValueError
        numbers = np.full(len(cells), np.nan)
        numbers[~missing] = [float(cell) for cell in known]
        return numbers
    except ValueError:
        words = np.full(len(cells), None, object)
        words[~missing] = [cell.strip() for cell, gone in zip(cells, missing, strict=True) if not gone]
        return words


def samples(table: Table, asked: Asked, where: str) -> Found:
    """A table as samples and labels.

    Args:
        table: The table.
        asked: Which column is the label's, and which the groups'; or the form of the table that a network learned from.
        where: The file, for messages.

    Raises:
        SnnlearnError: Values are missing, no column can be the label's, or a column is not a feature.
    """
    if not table.columns or not len(table.columns[0]):
        raise SnnlearnError(f"{where} has no rows; expected a line for each sample")
    if asked.form is not None:
        return _like(table, asked.form if asked.form.names else _of_numbers(table, asked.form), where)
    notes = list(table.notes)
    labels, about = _label(table, asked, where)
    notes += about
    group = None if asked.group is None else _place(table, asked.group, "group", where)
    if group in labels:
        raise SnnlearnError(f"{where}: column {table.names[group]} is both the label and the group; give two columns")
    left_out = _left_out(table, {*labels, group})
    notes += left_out.values()
    features = [i for i in range(len(table.names)) if i not in {*labels, group, *left_out}]
    if not features:
        raise SnnlearnError(f"{where} has no feature besides the label's column; its columns are {shown(table.names)}")
    used = [i for i in (*features, *labels, group) if i is not None]
    _check_missing(table, used, where)
    columns = tuple(_column(table, i, where) for i in features)
    words = [column for column in columns if column.categories is not None]
    if words:
        number = sum(len(column.features) for column in words)
        names = shown([column.name for column in words])
        notes.append(f"Columns of words became {number} features, one for each word, 0 or 1: {names}.")
    if constant := [table.names[i] for i in features if _is_constant(table.columns[i])]:
        notes.append(f"The same value in every row, so that nothing can be learned from it: {shown(constant)}.")
    x = _features([table.columns[i] for i in features], columns, where)
    names = tuple(table.names[i] for i in labels)
    task = _task(table, labels, asked.task)
    if asked.task is None and task != "classification":
        notes.append(why(task, shown(names), _numbers(table, names, where)))
    form = Form(columns=columns, names=tuple(table.names))
    if task == "classification":
        form, found = form._replace(label=names[0]), _labels(table.columns[labels[0]], names[0], where)
    else:
        form, found = form._replace(targets=names, task=task), _numbers(table, names, where)
    return Found(
        x=x,
        labels=found,
        groups=None if group is None else np.array([str(value) for value in table.columns[group]]),
        class_names=table.categories.get(names[0], ()),
        own_range=1,
        form=form,
        notes=tuple(notes),
    )


def _like(table: Table, form: Form, where: str) -> Found:
    """A table for a network trained on another table, with or without labels."""
    names = table.names
    if not table.named:
        names = list(form.names)
        if len(table.columns) == len(names) - len(form.labels):
            names = [name for name in names if name not in form.labels]
        if len(table.columns) != len(names):
            raise SnnlearnError(
                f"{where} has {len(table.columns)} columns without names; the network's training data had "
                f"{len(form.names)}, including the label's"
            )
    table = table._replace(names=names)
    if lacking := [column.name for column in form.columns if column.name not in names]:
        raise SnnlearnError(
            f"{where} lacks the column {shown(lacking)}, which the network takes; its columns are {shown(names)}"
        )
    places = [names.index(column.name) for column in form.columns]
    _check_missing(table, places, where)
    x = _features([table.columns[i] for i in places], form.columns, where)
    if not form.labels or any(name not in names for name in form.labels):
        return Found(x, None, form=form)
    labels = [names.index(name) for name in form.labels]
    if all(_missing(table.columns[label]).all() for label in labels):  # to be predicted
        return Found(x, None, form=form)
    _check_missing(table, labels, where)
    if form.label is None:
        return Found(x, _numbers(table, form.labels, where), form=form)
    column = table.columns[labels[0]]
    declared = table.categories.get(form.label, ())
    return Found(x, _labels(column, form.label, where), class_names=declared, form=form)


def _of_numbers(table: Table, form: Form) -> Form:
    """The form of a table for a network trained on arrays: numbers, and perhaps a column of labels."""
    label = next((name for name in table.names if table.named and name.strip().lower() in LABELS), None)
    columns = tuple(Column(name) for name in table.names if name != label)
    return form._replace(columns=columns, names=tuple(table.names), label=label)


def _label(table: Table, asked: Asked, where: str) -> tuple[list[int], list[str]]:
    if asked.label is not None:
        text = str(asked.label)
        keys = [text] if text in table.names else [key.strip() for key in text.split(",")]
        places = [_place(table, key, "label", where) for key in keys]
        if len(set(places)) < len(places):
            raise SnnlearnError(f"{where}: --label {text} names a column twice; give each once")
        return places, []
    for name in LABELS:
        for place, own in enumerate(table.names):
            if table.named and own.strip().lower() == name:
                return [place], [f"The label is column {own}."]
    last = len(table.names) - 1
    fits = _is_number if asked.task == "regression" else _is_categorical
    if fits(table.columns[last]) and last not in _left_out(table, set()):
        return [last], [f"The label is the last column, {table.names[last]}; --label names another."]
    raise SnnlearnError(
        f"{where} has no column {', '.join(LABELS)}, and its last does not hold "
        f"{'numbers' if asked.task == 'regression' else 'classes'}; name one by --label, of {shown(table.names)}"
    )


def _is_number(column: np.ndarray) -> bool:
    return column.dtype != object


def _task(table: Table, labels: list[int], asked: Task | None) -> Task:
    """What is to be learned from these columns."""
    columns = [table.columns[i] for i in labels]
    if asked is not None or len(columns) == 1:
        return task_asked(columns[0], asked)
    return task_asked(np.stack(columns, axis=1), None) if all(map(_is_number, columns)) else "multi-label"


def _numbers(table: Table, names: tuple[str, ...], where: str) -> np.ndarray:
    """Columns as numbers, `[m, D]`."""
    columns = [table.columns[table.names.index(name)] for name in names]
    if words := [name for name, column in zip(names, columns, strict=True) if not _is_number(column)]:
        raise SnnlearnError(f"{where}: column {shown(words)} holds words; expected numbers to learn")
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def _is_categorical(column: np.ndarray) -> bool:
    """Words, or a few whole numbers, each more than once."""
    known = column[~_missing(column)]
    if column.dtype == object:
        return len(known) > 0
    different, times = np.unique(whole_numbers(known), return_counts=True)
    return different.dtype.kind in "iu" and 1 < different.size <= _FEW and bool(times.min() > 1)


def _place(table: Table, key: str | int, role: str, where: str) -> int:
    """The column of this name, or of this number from 1."""
    text = str(key)
    if text in table.names:
        return table.names.index(text)
    if text.isdecimal() and 1 <= int(text) <= len(table.names):
        return int(text) - 1
    raise SnnlearnError(
        f"{where} has no column {text} for the {role}; its {len(table.names)} columns are {shown(table.names)}"
    )


def _left_out(table: Table, kept: set[int | None]) -> dict[int, str]:
    """Columns that number or name the rows, and why they are not features."""
    found = {}
    for place, (name, column) in enumerate(zip(table.names, table.columns, strict=True)):
        if place in kept or name in table.categories:
            continue
        rows = len(column)
        if column.dtype == object:
            different = len(set(column.tolist()) - {None})
            if different > max(_FEW, rows // 2):
                found[place] = f"Column {name} is left out: it has {different} different words in {rows} rows."
        elif place == 0 and rows > 2 and (name == "" or name.startswith(("Unnamed:", "__index_level_"))):
            if np.array_equal(column - column[0], np.arange(rows)):
                found[place] = "The first column has no name and counts the rows; it is left out."
    return found


def _missing(column: np.ndarray) -> np.ndarray:
    if column.dtype == object:
        return np.array([value is None for value in column], bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)


def _check_missing(table: Table, places: list[int], where: str) -> None:
    counts = {table.names[i]: int(_missing(table.columns[i]).sum()) for i in places}
    if lacking := {name: count for name, count in counts.items() if count}:
        by_column = shown([f"{name} ({count})" for name, count in lacking.items()])
        raise SnnlearnError(
            f"{where} has missing values, of {len(table.columns[0])} rows: {by_column}; fill them in, or drop those "
            "rows or columns"
        )


def _column(table: Table, place: int, where: str) -> Column:
    name, column = table.names[place], table.columns[place]
    if column.dtype != object:
        return Column(name)
    if name in table.categories:
        return Column(name, table.categories[name])
    numbers = [i for i, value in enumerate(column.tolist()) if is_number(value)]
    if len(numbers) > len(column) / 2:
        first = next(i for i in range(len(column)) if i not in set(numbers[: i + 1]))
        raise SnnlearnError(
            f"{where}: column {name} has {len(numbers)} numbers and {len(column) - len(numbers)} words, such as "
            f"{column[first]!r} in row {first + 1}; correct or drop those, or leave such cells empty and fill them in"
        )
    return Column(name, tuple(sorted(set(column.tolist()))))


def _is_constant(column: np.ndarray) -> bool:
    return bool((column == column[0]).all())


def _features(columns: list[np.ndarray], forms: tuple[Column, ...], where: str) -> np.ndarray:
    width = sum(len(form.features) for form in forms)
    if width > _MOST_FEATURES and any(form.categories for form in forms):
        raise SnnlearnError(f"{where} becomes {width} features, one for each word; drop columns of many words")
    check_memory(8 * len(columns[0]) * width, f"{where}, {len(columns[0])} × {width} features,", "give fewer")
    x, place = np.empty((len(columns[0]), width), np.float64), 0
    for column, form in zip(columns, forms, strict=True):
        if form.categories is None:
            if column.dtype == object:
                word = next(value for value in column if not is_number(value))
                raise SnnlearnError(f"{where}: column {form.name} has {word!r}; expected numbers, as in training")
            x[:, place] = column
            if not np.isfinite(x[:, place]).all():
                raise SnnlearnError(f"{where}: column {form.name} has infinite values; remove or correct them")
        else:
            words = column if column.dtype == object else _as_words(column, form.categories)
            if unknown := sorted(set(words.tolist()) - set(form.categories)):
                raise SnnlearnError(
                    f"{where}: column {form.name} has {shown(unknown)}, which was not in training: "
                    f"{shown(form.categories)}"
                )
            x[:, place : place + len(form.categories)] = words[:, None] == np.array(form.categories, object)
        place += len(form.features)
    return x


def _as_words(column: np.ndarray, categories: tuple[str, ...]) -> np.ndarray:
    """Numbers where words are declared, as the words that they were written as."""
    written = {float(word): word for word in categories if is_number(word)}
    return np.array([written.get(float(value), str(value)) for value in column], object)


def _labels(column: np.ndarray, name: str, where: str) -> np.ndarray:
    if column.dtype == object:
        return np.array(column.tolist(), dtype=str)
    labels = whole_numbers(column)
    if labels.dtype.kind not in "iu":
        raise SnnlearnError(
            f"{where}: column {name} is {_most_like(column)}, so it is not a class; name the label's column by "
            "--label, or predict its values by --task regression"
        )
    return labels


def _most_like(column: np.ndarray) -> str:
    value, times = Counter(column[column != np.floor(column)].tolist()).most_common(1)[0]
    return f"{value:g} in {times} of {len(column)} rows"
