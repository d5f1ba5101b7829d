"""Synapses: the maps from spikes to currents, and their forms for the kernels."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._component import Component


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
        from snnlearn.network.synapses.chain import Chain  # Here, since these are synapses themselves.
        from snnlearn.network.synapses.one_to_one import OneToOne

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
        from snnlearn.network.synapses.chain import Chain
        from snnlearn.network.synapses.one_to_one import OneToOne

        return Chain(self, OneToOne(self.out_shape, before * jnp.asarray(after), shift))
