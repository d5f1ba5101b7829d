"""Delta coding of signals that change over time: a spike says that the value rose or fell, not what it is."""

from __future__ import annotations

from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractReconstruction, AbstractSpikeEncoder, check_window
from snnlearn.coding.checks import Owner, an_array, check_above_zero, check_number, over_time, scalar
from snnlearn.coding.ends import length_of, until

_BITS = "what a code of changes carries depends on how the signal moves"


def delta_events(x: Float[Array, "T *n"], threshold: float, initial: float | None = 0.0) -> Float[Array, "T *n"]:
    """Delta modulation: +1 if `x_t − x_{t−1} ≥ θ`, −1 if it is `≤ −θ`, else 0.

    Slow changes are never sent, however large in total: see `send_on_delta_events`. A change counts as θ if it is θ up
    to the rounding of the two values: 0.3 − 0.2 is a change of 0.1 in any precision.

    Args:
        x: the signal, in the precision in which it was recorded.
        threshold: change θ that is an event, > 0.
        initial: the value before the first step; None is the first value itself.

    Raises:
        SnnlearnError: if the signal is none, or threshold or initial is out of range.

    >>> delta_events(jnp.array([1.0, 2.0, 0.0, 2.0, 2.9]), threshold=1.0).tolist()
    [1.0, 1.0, -1.0, 1.0, 0.0]
    """
    x = _signal("delta_events", x, threshold, initial)
    before = jnp.concatenate([_before(x, initial)[None], x[:-1]])
    return _event(x - before, threshold, jnp.abs(x) + jnp.abs(before))


def send_on_delta_events(
    x: Float[Array, "T *n"], threshold: float, initial: float | None = 0.0
) -> Float[Array, "T *n"]:
    """Events that a receiver can follow: +1 if `x_t − r ≥ θ`, −1 if `≤ −θ`; each moves the reference, `r ← r ± θ`.

    The receiver's `initial + θ Σ_{s ≤ t} e_s` is r, and it stays within θ of x as long as x changes by at most θ in a
    step. One step sends one event: after a larger jump r catches up at θ per step. A distance counts as θ if it is θ up
    to rounding, as in `delta_events`.

    Args:
        x: the signal, in the precision in which it was recorded.
        threshold: change θ that is an event, > 0.
        initial: the reference before the first step; None is the first value itself.

    Raises:
        SnnlearnError: if the signal is none, or threshold or initial is out of range.

    >>> x = jnp.array([0.0, 0.6, 1.2, 1.8, 1.2])
    >>> send_on_delta_events(x, threshold=1.0).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0]

    Source: Miskowicz (2006), doi:10.3390/s6010049; moving the reference by θ, so that the events alone say where it is,
    is the step-forward form of Petro, Kasabov & Kiss (2020), doi:10.1109/TNNLS.2019.2906158.
    """
    x = _signal("send_on_delta_events", x, threshold, initial)
    start = _before(x, initial)

    def step(level, value):  # r = start + θ · level is rounded once; adding θ up would be rounded at every event
        moved = threshold * level
        event = _event(value - (start + moved), threshold, jnp.abs(value) + jnp.abs(start) + jnp.abs(moved))
        return level + event, event

    return jax.lax.scan(step, jnp.zeros_like(start), x)[1]


@final
class Delta(AbstractSpikeEncoder):
    """Delta modulation of a signal `[T, *n]`, as ON and OFF spikes `[T, *n, 2]`; see `delta_events`.

    Any real signal will do, so nothing is clipped. No derivative: it is 0.

    Args:
        num_steps: number of steps T of the signal, ≥ 1.
        threshold: change θ between neighbouring steps that is a spike, in the unit of the signal, > 0.
        initial: the value before the first step; None is the first value itself, which then never spikes.
        dt: time step of the signal, s.

    Raises:
        SnnlearnError: if a field is out of range, or a sample has another number of steps.

    >>> Delta(num_steps=3, threshold=1.0)(jnp.array([1.0, 0.0, 0.5])).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """

    of_changes: ClassVar[bool] = True
    num_steps: int
    threshold: float = eqx.field(converter=scalar, default=0.1)
    initial: float | None = eqx.field(converter=scalar, default=0.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        _check(self)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *n 2"]:
        """See the base; deterministic."""
        x = _as_floats(self, x)
        self.out_shape(x.shape)
        return until(_on_and_off(delta_events(x, self.threshold, self.initial)), length_of(x))

    def length(self, x: Shaped[Array, "T *n"]) -> Int[Array, ""]:
        """See the base."""
        return length_of(x)

    @property
    def range(self) -> None:
        """Any."""
        return None

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseDelta:
        """See the base."""
        return InverseDelta(self.threshold, self.initial or 0.0)

    def bits(self, in_shape: tuple[int, ...]) -> str:
        """See the base."""
        return _BITS

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """All axes but the first, which is time; then ON and OFF."""
        return (*_without_time(self, in_shape), 2)


@final
class SendOnDelta(AbstractSpikeEncoder):
    """Send-on-delta of a signal `[T, *n]`, as ON and OFF spikes `[T, *n, 2]`; see `send_on_delta_events`.

    Any real signal will do, so nothing is clipped. No derivative: it is 0.

    Args:
        num_steps: number of steps T of the signal, ≥ 1.
        threshold: distance θ from the reference that is a spike, in the unit of the signal, > 0.
        initial: the reference before the first step; None is the first value itself.
        dt: time step of the signal, s.

    Raises:
        SnnlearnError: if a field is out of range, or a sample has another number of steps.

    >>> SendOnDelta(num_steps=3, threshold=1.0)(jnp.array([0.6, 1.2, -0.1])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """

    of_changes: ClassVar[bool] = True
    num_steps: int
    threshold: float = eqx.field(converter=scalar, default=0.1)
    initial: float | None = eqx.field(converter=scalar, default=0.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        _check(self)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *n 2"]:
        """See the base; deterministic."""
        x = _as_floats(self, x)
        self.out_shape(x.shape)
        return until(_on_and_off(send_on_delta_events(x, self.threshold, self.initial)), length_of(x))

    def length(self, x: Shaped[Array, "T *n"]) -> Int[Array, ""]:
        """See the base."""
        return length_of(x)

    @property
    def range(self) -> None:
        """Any."""
        return None

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseDelta:
        """See the base."""
        return InverseDelta(self.threshold, self.initial or 0.0)

    def bits(self, in_shape: tuple[int, ...]) -> str:
        """See the base."""
        return _BITS

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """All axes but the first, which is time; then ON and OFF."""
        return (*_without_time(self, in_shape), 2)


def _check(code: Delta | SendOnDelta) -> None:
    check_window(code, code.num_steps, code.dt)
    check_above_zero(code, threshold=code.threshold)
    if code.initial is not None:
        check_number(code, "a finite number, or None", lambda x: True, initial=code.initial)


def _signal(owner: str, x: Float[Array, "T *n"], threshold: float, initial: float | None) -> Float[Array, "T *n"]:
    """The signal, after checking it and the parameters."""
    check_above_zero(owner, threshold=threshold)
    if initial is not None:
        check_number(owner, "a finite number, or None", lambda x: True, initial=initial)
    x = _as_floats(owner, x)
    if x.ndim == 0 or len(x) == 0:
        raise SnnlearnError(f"{owner}: x has shape {x.shape}; give a signal [T, ...] of at least one step")
    return x


def _before(x: Float[Array, "T *n"], initial: float | None) -> Float[Array, "*n"]:
    return x[0] if initial is None else jnp.full_like(x[0], initial)


def _as_floats(owner: Owner, x: Shaped[Array, "T *n"]) -> Float[Array, "T *n"]:
    """The signal in its own precision, which determines its rounding; integers and booleans in single precision."""
    x = an_array(owner, x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)


def _event(change: Float[Array, "..."], threshold: float, size: Float[Array, "..."]) -> Float[Array, "..."]:
    """The sign of a change that is large enough, up to the rounding of terms of this size; NaN stays NaN."""
    rounding = float(jnp.finfo(change.dtype).eps) * (size + threshold)
    return jnp.where(jnp.abs(change) < threshold - rounding, 0.0, jnp.sign(change))


def _on_and_off(events: Float[Array, "T *n"]) -> Float[Array, "T *n 2"]:
    events = events.astype(jnp.float32)
    return jnp.stack([jnp.maximum(events, 0.0), jnp.maximum(-events, 0.0)], axis=-1)


def _without_time(code: Delta | SendOnDelta, in_shape: tuple[int, ...]) -> tuple[int, ...]:
    if in_shape[:1] != (code.num_steps,):
        raise SnnlearnError(
            f"{type(code).__name__}: a sample has shape {in_shape}, expected {code.num_steps} steps first; "
            "set num_steps to the data's, or resample the data"
        )
    return in_shape[1:]


@final
class InverseDelta(AbstractReconstruction):
    """The signal encoded by ON and OFF spikes, `x̂_t = x₀ + θ Σ_{s ≤ t} (ON_s − OFF_s)`.

    For a send-on-delta code it is within θ of the signal, as long as that changes by at most θ in a step. Delta
    modulation does not send slow changes, so there its error can grow without bound.

    Args:
        threshold: change θ of one event, in the unit of the signal, > 0.
        initial: the value x₀ before the first step; the signal's first value if the code began with it.

    Raises:
        SnnlearnError: if the threshold is not positive.

    >>> InverseDelta(threshold=0.5)(jnp.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])).tolist()
    [0.5, 0.5, 0.0]
    """

    threshold: float = eqx.field(converter=scalar, default=0.1)
    initial: float = eqx.field(converter=scalar, default=0.0)

    def __check_init__(self):
        check_above_zero(self, threshold=self.threshold)
        check_number(self, "a finite number", lambda x: True, initial=self.initial)

    def __call__(self, spikes: Float[Array, "T *n 2"]) -> Float[Array, "T *n"]:
        """See the base."""
        spikes = over_time(self, spikes, axes=2)
        if spikes.shape[-1] != 2:
            raise SnnlearnError(
                f"InverseDelta: spikes has shape {spikes.shape}; give ON and OFF along the last axis, of 2"
            )
        return self.initial + self.threshold * jnp.cumsum(spikes[..., 0] - spikes[..., 1], axis=0)
