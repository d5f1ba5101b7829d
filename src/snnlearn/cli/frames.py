"""Lines of a stream as a network's steps, and its output in these as predictions."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from snnlearn._errors import SnnlearnError
from snnlearn.cli.lines import Rows
from snnlearn.cli.terminal import printable
from snnlearn.coding import AbstractDecoder, AbstractEncoder
from snnlearn.hypothesis import Hypothesis, decide

_STEPS_AT_ONCE = 512


class Frames:
    """What a hypothesis makes of lines: each is encoded by itself, and decided by the steps that it lasts.

    What is drawn for a line depends on its number alone, so that nothing depends on how many lines come at once.

    Args:
        hypothesis: the hypothesis.
        names: of its classes, or empty.
        learns: whether the last columns are targets.

    Raises:
        SnnlearnError: if its code has an end.
    """

    def __init__(self, hypothesis: Hypothesis, names: tuple[str, ...], *, learns: bool):
        code = hypothesis.encoder.of_frame()
        if isinstance(code, str):
            raise SnnlearnError(f"this network cannot run on a stream: {code}; train it with --series, or another code")
        self._code, self._decoder, self._network = code, hypothesis.decoder, hypothesis.network
        self._spikes, self._takes_spikes = hypothesis.encoder.gives_spikes, hypothesis.encoder.takes_spikes
        outputs = hypothesis.network.out_shape[0]
        self._names = names or tuple(map(str, range(outputs)))
        self.steps, self.task = code.num_steps, hypothesis.decoder.task
        self.lines_at_once = max(1, _STEPS_AT_ONCE // self.steps)
        self.target_columns = (1 if self.task == "classification" else outputs) if learns else 0
        self._shape = self._shape_of_frame()
        if self.target_columns and self.task == "regression":
            # Predictions in their own units are an affine function of the network's output, which is what learns.
            ends = (self._decoder(jnp.full((1, outputs), value)) for value in (0.0, 1.0))
            self._mean, one = (np.asarray(end, float) for end in ends)
            self._scale = one - self._mean

    def read(self, rows: Rows) -> tuple[np.ndarray, np.ndarray | None, SnnlearnError | None]:
        """The inputs and targets of the lines before the first that cannot be used, and what is wrong with that one."""
        x, fault = rows.numbers, None
        if len(x) and x.shape[1] != (wanted := math.prod(self._shape)):
            beside = f" beside the {self.target_columns} to be predicted" if self.target_columns else ""
            fault = SnnlearnError(
                f"line {rows.lines[0]} has {x.shape[1]} inputs{beside}, but the network takes {wanted}; give as many"
            )
            return x[:0], None, fault
        low, high = self._limits()
        takes = "spikes, 0 or 1" if self._takes_spikes else f"values from {low:g} to {high:g}"
        checks = (
            (_finite(x), "which would stay in the network's state; leave the line out or replace the value"),
            (np.isin(x, (0, 1)) if self._takes_spikes else (x >= low) & (x <= high), f"but the network takes {takes}"),
        )
        for good, why in checks:
            if not good[: len(x)].all():
                row, column = np.argwhere(~good)[0]
                fault = SnnlearnError(f"line {rows.lines[row]}: column {column + 1} is {x[row, column]:g}, {why}")
                x = x[:row]
        if not self.target_columns:
            return x, None, fault
        targets: list[Any] = []
        for line, fields in zip(rows.lines, rows.targets[: len(x)], strict=False):
            try:
                targets.append(self._target(fields))
            except SnnlearnError as error:
                x, fault = x[: len(targets)], SnnlearnError(f"line {line}: {error}")
                break
        kind = np.float32 if self.task == "regression" else np.int32
        return x, np.repeat(np.array(targets, kind), self.steps, axis=0), fault

    def _limits(self) -> tuple[float, float]:
        """The values that it takes. A range that was learned clips what lies outside, as in training."""
        return (0.0, 1.0) if self._takes_spikes or self._code.range == (0.0, 1.0) else (-math.inf, math.inf)

    def _target(self, fields: list[str]) -> Any:
        if self.task == "classification":
            (field,) = fields
            if field in self._names:
                return self._names.index(field)
            known = ", ".join(self._names[:10]) + (" …" if len(self._names) > 10 else "")
            raise SnnlearnError(f"the last column is {field[:40]!r}, which is none of the classes {known}")
        try:
            values = np.array([*map(float, fields)])
        except ValueError:
            values = np.array([np.nan])
        if self.task == "regression":
            values = (values - self._mean) / self._scale
        if not _finite(values).all():
            raise SnnlearnError(f"what is to be predicted is {', '.join(fields)[:80]}; give a number for each value")
        if self.task == "regression":
            return values
        if not np.isin(values, (0, 1)).all():
            raise SnnlearnError(f"the labels are {', '.join(fields)[:80]}; give 1 for each that holds, and else 0")
        return values.astype(int)

    def _shape_of_frame(self) -> tuple[int, ...]:
        """The shape of the numbers of a line; an encoder that has some of its own for each has them in this shape."""
        takes, key = math.prod(self._network.in_shape), jax.random.key(0)
        own = [leaf.shape for leaf in jax.tree.leaves(eqx.filter(self._code, eqx.is_array))]
        for shape in [self._network.in_shape, *own, *((n,) for n in range(1, takes + 1))]:
            try:
                gives = jax.eval_shape(lambda x: self._code(x, key=key), jax.ShapeDtypeStruct(shape, jnp.float32))
            except SnnlearnError:
                continue
            if math.prod(gives.shape) == takes * self.steps:
                return shape
        raise SnnlearnError("stream: the encoder's output does not fit the network; train them together")

    def encoded(self, x: np.ndarray, first: int) -> np.ndarray:
        """The steps of some lines, `[lines · steps, *in_shape]`; of spikes booleans.

        Args:
            x: the numbers of each line.
            first: how many lines there were before.
        """
        padded = np.zeros((self.lines_at_once, *self._shape), np.float32)
        padded[: len(x)] = x.reshape(len(x), *self._shape)
        steps = np.asarray(_encoded(self._code, jnp.asarray(padded), self._places(first), jnp.asarray(len(x))))
        steps = steps[: len(x)].reshape(len(x) * self.steps, *self._network.in_shape)
        return steps != 0 if self._spikes else steps

    def written(self, outputs: np.ndarray, first: int) -> str:
        """The predictions, a line for each.

        Args:
            outputs: of the network in all steps of the lines.
            first: how many lines there were before.
        """
        count = len(outputs) // self.steps
        padded = np.zeros((self.lines_at_once, self.steps, outputs[0].size), np.float32)
        padded[:count] = outputs.reshape(count, self.steps, -1)
        found, decided = _decided(self._decoder, jnp.asarray(padded), self._places(first), jnp.asarray(count))
        scores = np.asarray(found)[:count]
        if self.task == "multi-label":
            scores = 1 / (1 + np.exp(-scores.astype(float)))
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        numbers = [[f"{value:.7g}" for value in row] for row in scores.tolist()]
        if self.task == "classification":
            named = [printable(self._names[n]) for n in np.asarray(decided)[:count]]
            numbers = [[name, *row] for name, row in zip(named, numbers, strict=True)]
        lines.writerows(numbers)
        return text.getvalue()

    def _places(self, first: int) -> Array:
        """The number of each line as two words, as a stream without end has more than 2³²."""
        numbers = np.arange(first, first + self.lines_at_once, dtype=np.uint64)
        words = np.stack([numbers >> np.uint64(32), numbers & np.uint64(2**32 - 1)], axis=1)
        return jnp.asarray(words.astype(np.uint32))


def _finite(numbers: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Which numbers are finite, also in the single precision of a network."""
    with np.errstate(over="ignore"):
        return np.isfinite(numbers.astype(np.float32))


def _key_of(place: UInt32[Array, " 2"]) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(0), place[0]), place[1])


# Line by line, so that each is computed by the same instructions, however many come at once.


@eqx.filter_jit
def _encoded(
    code: AbstractEncoder, x: Float[Array, "L ..."], places: UInt32[Array, "L 2"], count: Int[Array, ""]
) -> Float[Array, "L K ..."]:
    def one(n: Array, steps: Array) -> Array:
        return steps.at[n].set(code(x[n], key=_key_of(places[n])))

    each = jax.eval_shape(lambda: code(x[0], key=_key_of(places[0])))
    return jax.lax.fori_loop(0, count, one, jnp.zeros((len(x), *each.shape)))


@eqx.filter_jit
def _decided(
    decoder: AbstractDecoder, outputs: Float[Array, "L K C"], places: UInt32[Array, "L 2"], count: Int[Array, ""]
) -> tuple[Float[Array, "L S"], Int[Array, " L"]]:
    def one(n: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
        scores = decoder(outputs[n])
        decided = decide(scores, key=jax.random.fold_in(_key_of(places[n]), 1))
        return found[0].at[n].set(scores), found[1].at[n].set(decided.astype(jnp.int32))

    scores = jax.eval_shape(decoder, outputs[0])
    nothing = jnp.zeros((len(outputs), *scores.shape)), jnp.zeros(len(outputs), jnp.int32)
    return jax.lax.fori_loop(0, count, one, nothing)
