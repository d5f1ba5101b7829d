"""What a spike does to the membrane, and when.

A reset acts at one of two moments: in the step of the spike, after it (`now`), or in the next step, after that step's
decay and input (`late`). `NextStep` moves any reset from the first moment to the second. In both, `spikes` are those
that cause the reset. By default no gradient flows through them: felt through the reset, a steep surrogate makes the
threshold repelling.
"""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod

import equinox as eqx
import jax
from jaxtyping import Array, Float

from snnlearn._parameters import Parameter, plain


class AbstractReset(eqx.Module):
    """A reset of the membrane by spikes."""

    block_gradient: eqx.AbstractVar[bool]

    @abstractmethod
    def __call__(self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Parameter) -> Float[Array, "*n"]:
        """The membrane after `spikes` (0 or 1), in the unit of `v`; `v_th` is the resting threshold."""


def _spikes_for(reset: AbstractReset, spikes: Array) -> Array:
    return jax.lax.stop_gradient(spikes) if reset.block_gradient else spikes


class Subtract(AbstractReset):
    """Subtract the resting threshold, `v ← v − v_th z` ("soft reset"); what exceeds the threshold is kept.

    Args:
        block_gradient: whether no gradient flows through the spikes that reset.
    """

    block_gradient: bool = True

    def __call__(self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Parameter) -> Float[Array, "*n"]:
        """See the base."""
        return v - v_th * _spikes_for(self, spikes)


class ToValue(AbstractReset):
    """Set the membrane to a value, `v ← (1 − z) v + z v_reset` ("hard reset").

    Args:
        v_reset: the value, in the unit of the membrane.
        block_gradient: whether no gradient flows through the spikes that reset.
    """

    v_reset: Parameter = eqx.field(converter=plain, default=0.0)
    block_gradient: bool = True

    def __call__(self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Parameter) -> Float[Array, "*n"]:
        """See the base."""
        spikes = _spikes_for(self, spikes)
        return (1 - spikes) * v + spikes * self.v_reset


class NoReset(AbstractReset):
    """Leave the membrane alone, so that a neuron above threshold spikes in every step."""

    block_gradient: bool = True

    def __call__(self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Parameter) -> Float[Array, "*n"]:
        """See the base."""
        return v


class NextStep(eqx.Module):
    """Another reset, one step later: after the next step's decay and input (snnTorch's and e-prop's timing).

    Args:
        reset: the reset to delay.
    """

    reset: AbstractReset = Subtract()


Reset = AbstractReset | NextStep
"""A reset in the step of the spike, or in the next."""
