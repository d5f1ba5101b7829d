"""Synapses: the linear maps from spikes to currents, dense, convolutional and pooling, and chains of them."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from abc import abstractmethod
from itertools import pairwise
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError


class LoweredSynapses(NamedTuple):
    """Synapses as the kernels take them: `weight @ x + bias`, with a matrix `[units, inputs]`."""

    weight: Float[Array, "units inputs"]
    bias: Float[Array, " units"] | None


class LoweredImage(NamedTuple):
    """Synapses between images as the kernels take them: means over windows, then a convolution.

    Args:
        weight: `[units, channels, height, width]` of the kernels; None if there are only the means.
        bias: of each channel that they give, or None.
        window: side of the windows whose means are taken first.
        stride: step of the kernel.
        padding: zeros added on each side.
    """

    weight: Float[Array, "units channels height width"] | None
    bias: Float[Array, " units"] | None = None
    window: int = 1
    stride: int = 1
    padding: int = 0


class ContinuousSynapses(NamedTuple):
    """Synapses in continuous time: what arrives makes a current jump by a weight, perhaps after a delay.

    Args:
        weight: `[units, inputs]`.
        delays: time steps, `[units, inputs]`; None if all arrives at once.
    """

    weight: Float[Array, "units inputs"]
    delays: Float[Array, "units inputs"] | None = None


class AbstractSynapses(Component):
    """A map from the input of one time step to the currents of the units, linear apart from a bias.

    The input may have any shape of the right size, such as an image `[H, W]` instead of `[1, H, W]`.

    Most are maps without time. Synapses that have memory or draw random numbers have a state: they also define
    `initial_state` and `step`, and their `__call__` is the map at rest and without noise; where inputs arrive late,
    that of an input that lasts.
    """

    in_shape: eqx.AbstractVar[tuple[int, ...]]
    out_shape: eqx.AbstractVar[tuple[int, ...]]

    @abstractmethod
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The currents `[*out_shape]` of an input `[*in_shape]`."""

    def initial_state(self) -> Any:
        """The state at rest; a key in it stands for noise, and is replaced by one for each sample.

        None for a map without time, which then costs nothing.
        """
        return None

    def step(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """One time step: the currents `[*out_shape]` of an input `[*in_shape]` and a state, and the next state."""
        return self(x), state

    def all_steps(self, xs: Float[Array, "T ..."], state: Any) -> tuple[Float[Array, "T ..."], Any]:
        """All steps of a sequence that is known: the currents `[T, *out_shape]`, and the state after the last."""
        if state is None:
            return jax.vmap(self)(xs), None

        def step(state, x):
            current, state = self.step(x, state)
            return state, current

        state, currents = jax.lax.scan(step, state, xs)
        return currents, state

    @property
    def longest_delay(self) -> int:
        """By how many time steps an input may arrive later. Where it is not 0, all steps at once cost less."""
        return 0

    @property
    def draws(self) -> bool:
        """Whether noise is in their state."""
        return any(is_key(leaf) for leaf in jax.tree.leaves(self.initial_state()))

    @property
    def linear(self) -> bool:
        """Whether the map is linear apart from a bias; normalisation is not."""
        return True

    @property
    def steady(self) -> bool:
        """Whether the derivatives of a current by the weights are those of the map at rest, whatever the state."""
        return self.initial_state() is None

    @property
    def carrier(self) -> "AbstractSynapses":
        """The synapses that hold the weights: for wrappers, those inside."""
        return self

    def before(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The input of the `carrier`, in one axis."""
        return jnp.ravel(x)

    @property
    def pairs(self) -> bool:
        """Whether they are `weight @ x + bias` of their fields: a `weight` [units, inputs], and a `bias` or None."""
        return False

    def lowered(self) -> LoweredSynapses | str:
        """Their map as the kernels compute it, or the reason why they cannot."""
        return f"has {type(self).__name__} synapses, not Dense"

    def in_continuous_time(self) -> ContinuousSynapses | str:
        """Their map of events, or the reason why there is none."""
        found = self.lowered()
        if isinstance(found, str):
            return found
        if found.bias is not None:
            return "has a bias, in whose place an input unit may spike at the start"
        return ContinuousSynapses(found.weight)

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """Their map as the kernels of convolutions compute it, or the reason why they cannot.

        Args:
            shape: `(channels, height, width)` of what arrives.
        """
        return f"has {type(self).__name__} synapses, not Dense, Conv2d or AveragePool2d before one of these"

    @property
    def has_weights(self) -> bool:
        """Whether a factor can become part of their weights."""
        return True

    @property
    def selects(self) -> bool:
        """Whether it only selects some of its inputs, so spikes stay spikes."""
        return False

    @abstractmethod
    def redrawn(self, *, key: PRNGKeyArray) -> "AbstractSynapses":
        """The same synapses with new random weights: normal, mean 0, variance 1 / fan-in; biases 0."""

    def adjusted(self, gain: Float[Array, "..."], shift: Float[Array, "..."]) -> "AbstractSynapses":
        """The same synapses with weights multiplied, and biases moved, for each unit by itself where they can be.

        Args:
            gain: of each unit, `[*out_shape]`, > 0.
            shift: of each unit, `[*out_shape]`.
        """
        return self

    def affine(
        self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None
    ) -> "AbstractSynapses":
        """The synapses of `x ↦ after · f(before · x) + shift`, f being these.

        Args:
            before: one number.
            after: one number, or one for each unit, broadcast to `[*out_shape]`.
            shift: one for each unit, broadcast to `[*out_shape]`; None is 0.
        """
        return Chain(OneToOne(self.in_shape, before), self, OneToOne(self.out_shape, after, shift))

    def absolute(self) -> "AbstractSynapses":
        """The same synapses with each weight's absolute value, and no bias: how a deviation of the input can add up.

        By the names of the arrays, `weight` and `bias`.
        """

        def of(path: tuple, leaf: Any) -> Any:
            name = getattr(path[-1], "name", None) if path else None
            return jnp.abs(leaf) if name == "weight" else jnp.zeros_like(leaf) if name == "bias" else leaf

        return jax.tree_util.tree_map_with_path(of, self)

    @abstractmethod
    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """How many non-zero inputs meet a non-zero weight (NeuroBench's definition)."""

    def direct_operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """The `operations` on the input itself, not on values computed from it.

        If the inputs are spikes these are additions (synaptic operations); the others remain multiplications.
        """
        return self.operations(x)

    @abstractmethod
    def multiply_accumulates(self) -> int:
        """Multiply-accumulates of the same map computed densely."""


def is_key(leaf: Any) -> bool:
    """Whether a leaf of a state is noise: a random key."""
    return eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _draw(shape: tuple[int, ...], fan_in: int, key: PRNGKeyArray) -> Array:
    return jax.random.normal(key, shape) / math.sqrt(fan_in)


def _with_weights(synapses: Any, weight: Array, bias: Array | None) -> Any:
    """Synapses with another weight and bias."""
    return eqx.tree_at(lambda s: (s.weight, s.bias), synapses, (weight, bias), is_leaf=lambda leaf: leaf is None)


def _affine_bias(synapses: Any, after: Any, shift: Array | None) -> Array | None:
    """The bias of `after · f(x) + shift`."""
    bias = None if synapses.bias is None else synapses.bias * after
    if shift is None:
        return bias
    shape = (len(synapses.weight),) + (1,) * (synapses.weight.ndim - 2)
    return jnp.zeros(shape, synapses.weight.dtype) + shift + (0.0 if bias is None else bias)


def _check_sizes(owner: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise SnnlearnError(f"{owner}: {name} is {size}; a layer needs at least one unit in each dimension")


def _check_shape(synapses: AbstractSynapses, name: str, shape: tuple[int, ...]) -> None:
    array = getattr(synapses, name)
    if array is not None and jnp.shape(array) != shape:
        raise SnnlearnError(
            f"{type(synapses).__name__}: {name} has shape {jnp.shape(array)}, and from {synapses.in_shape} to "
            f"{synapses.out_shape} it is {shape}; give that"
        )


@final
class Dense(AbstractSynapses):
    """All-to-all: `i = W x (+ b)`.

    Args:
        in_size: inputs, ≥ 1.
        out_size: units, ≥ 1.
        use_bias: whether each unit also gets a constant current `b`, trained, 0 at first.
        key: random key of the weights `W [out_size, in_size]`.

    Raises:
        SnnlearnError: for a size below 1, or arrays of other sizes.

    >>> Dense(3, 2, key=jax.random.key(0))(jnp.ones(3)).shape
    (2,)
    """

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, in_size: int, out_size: int, *, use_bias: bool = False, key: PRNGKeyArray):
        _check_sizes("Dense", in_size=in_size, out_size=out_size)
        self.in_shape, self.out_shape = (in_size,), (out_size,)
        self.weight = _draw((out_size, in_size), in_size, key)
        self.bias = jnp.zeros(out_size) if use_bias else None

    def __check_init__(self):
        # Of a model file the sizes and the arrays come apart, and kernels go by the sizes.
        _check_shape(self, "weight", (*self.out_shape, *self.in_shape))
        _check_shape(self, "bias", self.out_shape)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " out"]:
        """See the base."""
        # In this order: under vmap the other one costs a transposed copy of the currents.
        i = jnp.ravel(x) @ self.weight.T
        return i if self.bias is None else i + self.bias

    @property
    def pairs(self) -> bool:
        """They are."""
        return True

    def lowered(self) -> LoweredSynapses:
        """See the base."""
        return LoweredSynapses(self.weight, self.bias)

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage:
        """A convolution with kernels as large as the image."""
        return LoweredImage(self.weight.reshape(-1, *shape), self.bias)

    def redrawn(self, *, key: PRNGKeyArray) -> "Dense":
        """See the base."""
        weight = _draw(self.weight.shape, self.in_shape[0], key)
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return _with_weights(self, weight, bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "Dense":
        """See the base."""
        gain = jnp.reshape(after, (-1, 1))
        return _with_weights(self, self.weight * (before * gain), _affine_bias(self, after, shift))

    def adjusted(self, gain: Float[Array, " out"], shift: Float[Array, " out"]) -> "Dense":
        """See the base."""
        return _with_weights(self, self.weight * gain[:, None], None if self.bias is None else self.bias + shift)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        fan_out = jnp.sum(self.weight != 0, axis=0).astype(x.dtype)
        return jnp.sum(jnp.where(jnp.ravel(x) != 0, fan_out, 0.0))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return self.in_shape[0] * self.out_shape[0]


@final
class Conv2d(AbstractSynapses):
    """Two-dimensional cross-correlation with a square kernel, channels first.

    Args:
        in_shape: `(channels, height, width)`.
        channels: output channels, ≥ 1.
        kernel_size: side of the kernel, ≥ 1.
        stride: step of the kernel, ≥ 1.
        padding: zeros added on each side, ≥ 0.
        use_bias: whether each output channel also gets a constant current, trained, 0 at first.
        key: random key of the weights `[channels, in_channels, kernel_size, kernel_size]`.

    Raises:
        SnnlearnError: for a size below 1, a kernel larger than the padded image, or arrays of other sizes.

    >>> Conv2d((1, 8, 8), 4, 3, padding=1, key=jax.random.key(0)).out_shape
    (4, 8, 8)
    """

    weight: Float[Array, "out in k k"]
    bias: Float[Array, "out 1 1"] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        use_bias: bool = False,
        key: PRNGKeyArray,
    ):
        in_channels, height, width = in_shape
        out_height, out_width = ((side + 2 * padding - kernel_size) // stride + 1 for side in (height, width))
        _check_sizes(
            "Conv2d", channels=channels, kernel_size=kernel_size, stride=stride, height=out_height, width=out_width
        )
        self.in_shape, self.out_shape = tuple(in_shape), (channels, out_height, out_width)
        self.stride, self.padding = stride, padding
        self.weight = _draw((channels, in_channels, kernel_size, kernel_size), in_channels * kernel_size**2, key)
        self.bias = jnp.zeros((channels, 1, 1)) if use_bias else None

    def __check_init__(self):
        channels, size = self.out_shape[0], self.weight.shape[-1]
        _check_shape(self, "weight", (channels, self.in_shape[0], size, size))
        _check_shape(self, "bias", (channels, 1, 1))

    def _correlate(self, x: Array, weight: Array) -> Array:
        """One matrix product of all windows with all kernels.

        XLA's own convolution is several times slower on CPU inside a compiled loop, which is where trainings run.
        """
        channels, height, width = self.out_shape
        size = weight.shape[-1]
        x = jnp.pad(jnp.moveaxis(jnp.reshape(x, self.in_shape), 0, -1), [(self.padding, self.padding)] * 2 + [(0, 0)])
        rows, columns = (slice(0, self.stride * (side - 1) + 1, self.stride) for side in (height, width))
        windows = [x[row:, column:][rows, columns] for row in range(size) for column in range(size)]
        kernels = jnp.reshape(jnp.transpose(weight, (2, 3, 1, 0)), (-1, channels))
        return jnp.moveaxis(jnp.concatenate(windows, axis=-1) @ kernels, -1, 0)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "out height width"]:
        """See the base."""
        i = self._correlate(x, self.weight)
        return i if self.bias is None else i + self.bias

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """See the base."""
        if shape != self.in_shape:
            return f"takes images of shape {self.in_shape} and gets {shape}"
        bias = None if self.bias is None else self.bias[:, 0, 0]
        return LoweredImage(self.weight, bias, stride=self.stride, padding=self.padding)

    def redrawn(self, *, key: PRNGKeyArray) -> "Conv2d":
        """See the base."""
        weight = _draw(self.weight.shape, math.prod(self.weight.shape[1:]), key)
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return _with_weights(self, weight, bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> AbstractSynapses:
        """See the base; what differs between the units of a channel comes after it."""
        if any(jnp.ndim(a) and jnp.shape(a) != (len(self.weight), 1, 1) for a in (after, shift) if a is not None):
            return super().affine(before, after, shift)
        gain = jnp.reshape(after, (-1, 1, 1, 1))
        return _with_weights(self, self.weight * (before * gain), _affine_bias(self, after, shift))

    def adjusted(self, gain: Float[Array, "out height width"], shift: Float[Array, "out height width"]) -> "Conv2d":
        """The units of a channel share its weights: they get their geometric mean, and the mean of the shifts."""
        gains = jnp.exp(jnp.mean(jnp.log(gain), axis=(1, 2)))[:, None, None, None]
        shifts = jnp.mean(shift, axis=(1, 2), keepdims=True)
        return _with_weights(self, self.weight * gains, None if self.bias is None else self.bias + shifts)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        return jnp.sum(self._correlate((x != 0).astype(x.dtype), (self.weight != 0).astype(x.dtype)))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return math.prod(self.out_shape) * math.prod(self.weight.shape[1:])


class AbstractWeightless(AbstractSynapses):
    """Synapses without weights: they only transform their input, which costs where it meets a weight."""

    @property
    def has_weights(self) -> bool:
        """They have none."""
        return False

    def redrawn(self, *, key: PRNGKeyArray) -> "AbstractWeightless":
        """Itself: there is nothing to draw."""
        return self

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """Zero."""
        return jnp.zeros((), x.dtype)

    def multiply_accumulates(self) -> int:
        """Zero."""
        return 0

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> AbstractSynapses:
        """See the base; they are linear, so one factor does."""
        return Chain(self, OneToOne(self.out_shape, before * jnp.asarray(after), shift))


@final
class AveragePool2d(AbstractWeightless):
    """The mean over square windows that do not overlap; it has no weights. Rows and columns left over are dropped.

    Args:
        in_shape: `(channels, height, width)`.
        window: side of a window, ≥ 1.

    Raises:
        SnnlearnError: for a size below 1, a window larger than the image, or another shape of the input.

    >>> AveragePool2d((4, 9, 9), 2).out_shape
    (4, 4, 4)
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    window: int = eqx.field(static=True)

    def __init__(self, in_shape: tuple[int, int, int], window: int):
        _check_sizes("AveragePool2d", window=window)
        channels, height, width = in_shape
        _check_sizes("AveragePool2d", height=height // window, width=width // window)
        self.in_shape, self.out_shape = tuple(in_shape), (channels, height // window, width // window)
        self.window = window

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "channels height width"]:
        """See the base."""
        channels, height, width = self.out_shape
        x = jnp.reshape(x, self.in_shape)[:, : height * self.window, : width * self.window]
        return jnp.mean(jnp.reshape(x, (channels, height, self.window, width, self.window)), axis=(2, 4))

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """See the base."""
        if shape != self.in_shape:
            return f"takes images of shape {self.in_shape} and gets {shape}"
        return LoweredImage(None, window=self.window)


@final
class Part(AbstractWeightless):
    """A part of the input, such as one of several sensors; it has no weights.

    Args:
        in_size: how many inputs there are in all.
        start: the first of the part, from 0.
        stop: the index after its last.

    Raises:
        SnnlearnError: unless 0 ≤ start < stop ≤ in_size.

    >>> camera = Chain(Part(10, 0, 6), Dense(6, 3, key=jax.random.key(0)))
    >>> camera(jnp.ones(10)).shape
    (3,)
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    start: int = eqx.field(static=True)

    def __init__(self, in_size: int, start: int, stop: int):
        if not 0 <= start < stop <= in_size:
            raise SnnlearnError(
                f"Part: it goes from {start} to {stop} of {in_size} inputs; give 0 ≤ start < stop ≤ inputs"
            )
        self.in_shape, self.out_shape, self.start = (in_size,), (stop - start,), start

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " size"]:
        """See the base."""
        return jnp.ravel(x)[self.start : self.start + self.out_shape[0]]

    @property
    def selects(self) -> bool:
        """It does."""
        return True


@final
class OneToOne(AbstractSynapses):
    """Each unit has one input, that of its own place: `i = w x (+ b)`, such as a residual path.

    Args:
        shape: of the input and of the units.
        weight: broadcast to `[*shape]`: a number for all, `[channels, 1, 1]`, or one for each unit.
        bias: broadcast in the same way, or None.

    Raises:
        SnnlearnError: for a size below 1, or arrays that do not fit.

    >>> OneToOne((3,), 2.0)(jnp.arange(3.0)).tolist()
    [0.0, 2.0, 4.0]
    """

    weight: Float[Array, "..."]
    bias: Float[Array, "..."] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], weight: Any = 1.0, bias: Any = None):
        self.in_shape = tuple(shape)
        self.weight = jnp.asarray(weight, jnp.result_type(float))
        self.bias = None if bias is None else jnp.asarray(bias, jnp.result_type(float))

    def __check_init__(self):
        _check_sizes("OneToOne", **{f"shape[{axis}]": size for axis, size in enumerate(self.in_shape)})
        for name in ("weight", "bias"):
            array = getattr(self, name)
            if array is not None and not _fits_into(array.shape, self.in_shape):
                raise SnnlearnError(
                    f"OneToOne: {name} has shape {array.shape}, and the units {self.in_shape}; give one number, or "
                    "one for each unit"
                )

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the input."""
        return self.in_shape

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        i = self.weight * jnp.reshape(x, self.in_shape)
        return i if self.bias is None else i + self.bias

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """A convolution by kernels of one pixel, if all units of a channel have the same weight and bias."""
        each = [array for array in (self.weight, self.bias) if array is not None]
        if shape != self.in_shape or any(array.shape not in ((), (shape[0], 1, 1)) for array in each):
            return "has OneToOne synapses whose weights or biases are not one for each channel of an image"
        weight = jnp.broadcast_to(jnp.ravel(self.weight), shape[:1])
        bias = None if self.bias is None else jnp.broadcast_to(jnp.ravel(self.bias), shape[:1])
        return LoweredImage(jnp.diag(weight)[:, :, None, None], bias)

    def redrawn(self, *, key: PRNGKeyArray) -> "OneToOne":
        """See the base."""
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return _with_weights(self, _draw(self.weight.shape, 1, key), bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "OneToOne":
        """See the base."""
        bias = None if self.bias is None else self.bias * after
        if shift is not None:
            bias = shift if bias is None else bias + shift
        return OneToOne(self.in_shape, self.weight * (before * jnp.asarray(after)), bias)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        return jnp.sum(((jnp.reshape(x, self.in_shape) != 0) & (self.weight != 0)).astype(x.dtype))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return math.prod(self.in_shape)


def _fits_into(shape: tuple[int, ...], units: tuple[int, ...]) -> bool:
    try:
        return jnp.broadcast_shapes(shape, units) == units
    except ValueError:
        return False


@final
class Chain(AbstractSynapses):
    """Several synapses one after the other, without neurons between them, such as pooling and then a convolution.

    Args:
        stages: the synapses, first to last; each must fit the one before in size.

    Raises:
        SnnlearnError: if there is no stage, or one does not fit the stage before it.

    >>> pool = AveragePool2d((1, 8, 8), 2)
    >>> Chain(pool, Dense(16, 10, key=jax.random.key(0)))(jnp.ones((8, 8))).shape
    (10,)
    """

    stages: tuple[AbstractSynapses, ...]

    def __init__(self, *stages: AbstractSynapses):
        if not stages:
            raise SnnlearnError("Chain: it has no stages; give at least one")
        for before, after in pairwise(stages):
            check_fit("Chain", before.out_shape, after.in_shape)
        self.stages = stages

    @property
    def in_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first stage's."""
        return self.stages[0].in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The last stage's."""
        return self.stages[-1].out_shape

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        for stage in self.stages:
            x = stage(x)
        return x

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """Means over windows, and then weights; no longer chain."""
        first, *others = self.stages
        found = first.lowered_image(shape)
        if isinstance(found, str) or not others:
            return found
        arriving = first.out_shape
        if found.weight is None and len(others) == 1 and len(arriving) == 3:
            weights = others[0].lowered_image(arriving)
            if isinstance(weights, str):
                return weights
            if weights.weight is not None and weights.window == 1:
                return weights._replace(window=found.window)
        return "has more stages of synapses than a pooling and then weights"

    def initial_state(self) -> tuple[Any, ...] | None:
        """The stages'."""
        states = tuple(stage.initial_state() for stage in self.stages)
        return None if all(state is None for state in states) else states

    def step(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """See the base."""
        if state is None:
            return self(x), None
        after = []
        for stage, each in zip(self.stages, state, strict=True):
            x, each = stage.step(x, each)
            after.append(each)
        return x, tuple(after)

    def all_steps(self, xs: Float[Array, "T ..."], state: Any) -> tuple[Float[Array, "T ..."], Any]:
        """See the base."""
        after = []
        for stage, each in zip(self.stages, (None,) * len(self.stages) if state is None else state, strict=True):
            xs, each = stage.all_steps(xs, each)
            after.append(each)
        return xs, None if state is None else tuple(after)

    @property
    def longest_delay(self) -> int:
        """Those of the stages add up."""
        return sum(stage.longest_delay for stage in self.stages)

    @property
    def linear(self) -> bool:
        """Whether all stages are."""
        return all(stage.linear for stage in self.stages)

    @property
    def steady(self) -> bool:
        """As the last stage is, where no state is before it."""
        return self.stages[-1].steady and all(stage.initial_state() is None for stage in self.stages[:-1])

    @property
    def has_weights(self) -> bool:
        """Whether a stage has."""
        return any(stage.has_weights for stage in self.stages)

    @property
    def carrier(self) -> AbstractSynapses:
        """The last stage's."""
        return self.stages[-1].carrier

    def before(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        for stage in self.stages[:-1]:
            x = stage(x)
        return self.stages[-1].before(x)

    def redrawn(self, *, key: PRNGKeyArray) -> "Chain":
        """See the base."""
        keys = jax.random.split(key, len(self.stages))
        stages = tuple(stage.redrawn(key=k) for stage, k in zip(self.stages, keys, strict=True))
        return eqx.tree_at(lambda chain: chain.stages, self, stages)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "Chain":
        """See the base: the first stage that has weights takes what comes before, the last what comes after."""
        first = next((n for n, stage in enumerate(self.stages) if stage.has_weights), None)
        if first is None:
            return Chain(*self.stages, OneToOne(self.out_shape, before * jnp.asarray(after), shift))
        stages = list(self.stages)
        stages[first] = stages[first].affine(before)
        stages[-1] = stages[-1].affine(1.0, after, shift)
        return Chain(*stages)

    def adjusted(self, gain: Float[Array, "..."], shift: Float[Array, "..."]) -> "Chain":
        """The last stage's are."""
        return Chain(*self.stages[:-1], self.stages[-1].adjusted(gain, shift))

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        total = jnp.zeros((), x.dtype)
        for stage in self.stages:
            total, x = total + stage.operations(x), stage(x)
        return total

    def direct_operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """Those of the stages up to the first that does not pass on spikes, such as a mean."""
        total = jnp.zeros((), x.dtype)
        for stage in self.stages:
            total, x = total + stage.direct_operations(x), stage(x)
            if not stage.selects:
                break
        return total

    def multiply_accumulates(self) -> int:
        """See the base."""
        return sum(stage.multiply_accumulates() for stage in self.stages)


def connection_weights(tree: Any) -> Any:
    """Which arrays are weights of connections: the fields `weight` of synapses, not biases or arrays of neurons.

    Weight decay applies only to these: it would pull a time constant towards 1 s, and a threshold to 0.

    Args:
        tree: a network, or a part of one, or its gradient.

    Returns:
        True or False for each array, in the same structure; a mask, as Optax takes it.

    >>> connection_weights(Dense(3, 2, use_bias=True, key=jax.random.key(0))).bias
    False
    """

    def is_weight(path: tuple, _: Any) -> bool:
        return bool(path) and getattr(path[-1], "name", None) == "weight"

    return jax.tree_util.tree_map_with_path(is_weight, tree)


def check_fit(owner: str, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
    """Refuse two consecutive parts if the output of the first and the input of the second differ in size.

    Raises:
        SnnlearnError: naming both shapes.
    """
    if math.prod(out_shape) != math.prod(in_shape):
        raise SnnlearnError(
            f"{owner}: one part has output {out_shape} and the next input {in_shape}; make their sizes equal"
        )


def check_steps(owner: str, in_shape: tuple[int, ...], axes: tuple[str, ...], **inputs: Any) -> None:
    """Refuse inputs that do not have the size of the network's input in each step.

    Args:
        owner: the caller, for the message.
        in_shape: of one step's input.
        axes: what comes before it, `("T",)` for one sample, `("B", "T")` for a batch.
        inputs: by name.

    Raises:
        SnnlearnError: naming the input, its shape and what to give.
    """

    def fits(shape: tuple[int, ...], leading: int) -> bool:
        return len(shape) >= leading and math.prod(shape[leading:]) == math.prod(in_shape)

    for name, array in inputs.items():
        if not fits(array.shape, len(axes)):
            if len(axes) == 1 and fits(array.shape, 2):
                hint = "; of a batch give each sample by itself, with jax.vmap"
            elif len(axes) == 2 and fits(array.shape, 1):
                hint = f"; of one sample make a batch, {name}[None]"
            else:
                hint = ""
            wanted = ", ".join([*axes, *map(str, in_shape)])
            raise SnnlearnError(f"{owner}: {name} has shape {array.shape}; give [{wanted}]{hint}")
