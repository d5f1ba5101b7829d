"""The content of a file, before it is split, numbered or scaled; and how to read other files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from snnlearn._errors import SnnlearnError


class Column(NamedTuple):
    """A column of a table that is part of x.

    Args:
        name: Its name.
        categories: Of a column of words, the words: each is a feature, 1 where the row has it. None is a number.
    """

    name: str
    categories: tuple[str, ...] | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features.

        >>> Column("colour", ("red", "blue")).features, Column("height").features
        (('colour = red', 'colour = blue'), ('height',))
        """
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name} = {category}" for category in self.categories)


class Form(NamedTuple):
    """How a data set was read, so that other files are read the same way and fit the same network.

    Args:
        shape: Shape of one x; empty if it is not known yet.
        class_names: The classes' names; empty if they are numbers from 0.
        columns: Of a table, what x is made of.
        names: Of a table, all its columns in order.
        label: Of a table, the name of the label's column.
        targets: Of values to be predicted, or several labels, the names; of a table, of the columns.
        task: What was learned from them.
        grid: Of events, what the units are numbered along, such as (2, 34, 34): polarity, row and column.
        time_unit: Of events, the length of one tick, s.
        dt: Of events, the time step, s.
    """

    shape: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    names: tuple[str, ...] = ()
    label: str | None = None
    grid: tuple[int, ...] = ()
    time_unit: float | None = None
    dt: float | None = None
    targets: tuple[str, ...] = ()
    task: str = "classification"

    @property
    def labels(self) -> tuple[str, ...]:
        """Of a table, the columns that are no features but what is to be learned."""
        return self.targets or (() if self.label is None else (self.label,))

    def to_json(self) -> str:
        """As text, to keep beside a network."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Form:
        """From text that `to_json` made.

        Raises:
            SnnlearnError: The text is of no form.

        >>> form = Form((3,), columns=(Column("height"), Column("colour", ("red", "blue"))))
        >>> Form.from_json(form.to_json()) == form
        True
        """
        try:
            kept = cls(**json.loads(text))
            columns = tuple(Column(str(name), None if of is None else _texts(of)) for name, of in kept.columns)
            return cls(
                shape=tuple(map(int, kept.shape)),
                class_names=_texts(kept.class_names),
                columns=columns,
                names=_texts(kept.names),
                label=None if kept.label is None else str(kept.label),
                grid=tuple(map(int, kept.grid)),
                time_unit=_number(kept.time_unit),
                dt=_number(kept.dt),
                targets=_texts(kept.targets),
                task=str(kept.task),
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SnnlearnError("the stored form of the data is damaged; restore the file") from error


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        raise TypeError
    return tuple(map(str, given))


def _number(given: Any) -> float | None:
    return None if given is None else float(given)


@dataclass(frozen=True)
class Asked:
    """What is said about a file besides its path; a reader takes what concerns its format.

    Args:
        label: Of a table, the name or the number (from 1) of the label's column; several are separated by commas.
        task: What is to be learned; None leaves it to the labels.
        group: Of a table, the same of the column whose rows of one value stay in one part.
        time_unit: Of events, the length of one tick, s.
        num_steps: Of events, the number of time steps.
        dt: Of events, the time step, s.
        form: How the network's own data were read, if the file is for it.
        lengths: Of arrays, after how many steps each sample ends.
    """

    label: str | int | None = None
    group: str | int | None = None
    time_unit: float | None = None
    num_steps: int | None = None
    dt: float | None = None
    form: Form | None = None
    task: Any = None
    lengths: Any = None


@dataclass(frozen=True, eq=False)
class Found:
    """What a file holds.

    Args:
        x: `[m, *shape]`: real numbers; or spikes `[m, T, N]`, uint8, if `form.dt` is given.
        labels: `[m]`, integers or words; numbers `[m]` or `[m, D]` to be predicted; None if the file has none.
        groups: `[m]`, which samples belong together; None if each is by itself.
        class_names: Names in the order of integer labels, or the order of words; empty if the file has none.
        limits: The values that become 0 and 1; None takes them from the training part.
        own_range: How many of the sample's last axes have such a range for each entry; 0 is one range for all values.
        form: How it was read; shape and class names are filled in when it is cut.
        validation: The file's own validation part.
        test: The file's own test part.
        notes: What was lost or assumed in reading, in sentences.
    """

    x: np.ndarray
    labels: np.ndarray | None
    groups: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    own_range: int = 0
    form: Form = Form()
    validation: Found | None = None
    test: Found | None = None
    notes: tuple[str, ...] = ()
