"""Tables in memory: data frames of pandas, Polars and others, Arrow tables, and Parquet and Feather files of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.formats.table import Table, samples
from snnlearn.data.found import Asked, Found


def read_parquet(path: Path, asked: Asked) -> Found:
    """Read a Parquet or Feather file, by pyarrow."""
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give a Parquet file")
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]  # an extra
        from pyarrow import feather, parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise SnnlearnError(f"{path} needs pyarrow; install it by pip install 'snnlearn[tables]'") from error
    read = feather.read_table if path.suffix in (".feather", ".arrow") else parquet.read_table
    try:
        # Not by the path: its folder's name would add columns.
        with path.open("rb") as file:
            table = read(file)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).split("\n")[0].rstrip(".")[:200]
        raise SnnlearnError(f"{path} is damaged or not such a table ({reason}); save it again") from error
    return from_table(table, asked, str(path))


def is_table(source: Any) -> bool:
    """Whether an object is a data frame or an Arrow table, by its methods."""
    return is_frame(source) or (hasattr(source, "column_names") and hasattr(source, "column"))


def is_frame(source: Any) -> bool:
    """Whether an object is a data frame."""
    return hasattr(source, "columns") and hasattr(source, "__getitem__") and hasattr(source, "dtypes")


def from_table(source: Any, asked: Asked, where: str) -> Found:
    """A data frame or an Arrow table as samples and labels.

    Raises:
        SnnlearnError: A column is of dates, lists or other objects, or what is wrong with any table.
    """
    names = list(source.columns) if is_frame(source) else list(source.column_names)
    texts = [str(name) for name in names]
    if len(set(texts)) < len(texts):
        raise SnnlearnError(f"{where} has two columns with the same name; give each a different name")
    columns, categories = [], {}
    for name, text in zip(names, texts, strict=True):
        column = source[name] if is_frame(source) else source.column(name)
        words = _declared(column)
        columns.append(_column(column, f"{where}: column {text}"))
        if words is not None and columns[-1].dtype == object:
            categories[text] = words
    if not is_frame(source) and texts and texts[-1].startswith("__index_level_"):
        texts, columns = texts[:-1], columns[:-1]  # pandas' own, which numbers the rows
    return samples(Table(texts, columns, categories), asked, where)


def _declared(column: Any) -> tuple[str, ...] | None:
    """The words of a categorical column, in its order; None if it has none."""
    accessor = getattr(column, "cat", None)
    categories = getattr(accessor, "categories", None)
    return None if categories is None else tuple(map(str, categories))


def _column(column: Any, where: str) -> np.ndarray:
    """Numbers, or words with None where they are missing."""
    values = (
        column.to_pylist()
        if hasattr(column, "to_pylist")
        else column.tolist()
        if hasattr(column, "tolist")
        else list(column)
    )
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return np.asarray(column)
    gone = [value is None or value != value or str(value) in ("<NA>", "NaT") for value in values]
    kinds = {type(value) for value, lost in zip(values, gone, strict=True) if not lost}
    if kinds <= {bool, np.bool_} and kinds:
        return np.array([np.nan if lost else float(value) for value, lost in zip(values, gone, strict=True)])
    if all(issubclass(kind, (int, float, np.number)) for kind in kinds):
        if any(gone) or any(issubclass(kind, (float, np.floating)) for kind in kinds):
            return np.array([np.nan if lost else value for value, lost in zip(values, gone, strict=True)], np.float64)
        return np.array(values, np.int64)
    if all(issubclass(kind, str) for kind in kinds):
        return np.array([None if lost else value for value, lost in zip(values, gone, strict=True)] + [None], object)[
            :-1
        ]
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise SnnlearnError(f"{where} holds {names}; expected numbers or words; convert or drop it")
