"""What a spike does to the membrane, and when.

A reset acts at one of two moments: in the step of the spike, after it, or in the next step, after that step's decay and
input. `NextStep` moves any reset from the first moment to the second. In both, `spikes` are those that cause the reset.
By default no gradient flows through them, since through the reset a steep surrogate makes the threshold repelling.
"""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, final

import equinox as eqx
import jax
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Parameter, Value, check_finite, plain, value
from snnlearn.neurons.lowering import LoweredReset


class AbstractReset(Component):
    """A reset of the membrane by spikes."""

    block_gradient: eqx.AbstractVar[bool]

    @abstractmethod
    def __call__(
        self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Value, v_leak: Value
    ) -> Float[Array, "*n"]:
        """The membrane after spikes.

        Args:
            v: the membrane.
            spikes: 0 or 1.
            v_th: the threshold at rest, in the unit of `v`.
            v_leak: the membrane at rest.
        """

    @property
    def acts(self) -> bool:
        """Whether it does anything to the membrane."""
        return True

    @property
    def adds(self) -> bool:
        """Whether, for the gradient, it only adds a constant to the membrane, or nothing."""
        return False

    def after_threshold(self, v_leak: Value) -> Value | None:
        """The membrane right after a spike exactly at the threshold; None if the reset does anything else.

        Args:
            v_leak: the membrane at rest.
        """
        return None

    def lowered(self, v_th: Value, v_leak: Value) -> LoweredReset | None:
        """The reset as the kernels compute it; None if they cannot.

        Args:
            v_th: the threshold at rest.
            v_leak: the membrane at rest.
        """
        return None

    def check(self, owner: object, v_th: Parameter, v_leak: Parameter) -> None:
        """Refuse a neuron's constants with which this reset does not bring the membrane below the threshold.

        Raises:
            SnnlearnError: naming them.
        """


def _spikes_for(reset: AbstractReset, spikes: Array) -> Array:
    return jax.lax.stop_gradient(spikes) if reset.block_gradient else spikes


@final
class Subtract(AbstractReset):
    """Subtract the threshold's height above rest, `v ← v − (v_th − v_leak) z` ("soft reset").

    What exceeds the threshold is kept, and a membrane exactly at threshold is reset to rest, wherever rest is.

    Args:
        block_gradient: whether no gradient flows through the spikes that reset.
    """

    block_gradient: bool = True

    def __call__(
        self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Value, v_leak: Value
    ) -> Float[Array, "*n"]:
        """See the base."""
        return v - (v_th - v_leak) * _spikes_for(self, spikes)

    @property
    def adds(self) -> bool:
        """True if no gradient flows through the spikes."""
        return self.block_gradient

    def after_threshold(self, v_leak: Value) -> Value:
        """See the base: at rest."""
        return v_leak

    def lowered(self, v_th: Value, v_leak: Value) -> LoweredReset:
        """See the base."""
        return LoweredReset(1.0, v_leak - v_th, flows=not self.block_gradient)

    def check(self, owner: object, v_th: Parameter, v_leak: Parameter) -> None:
        """See the base."""
        if isinstance(v_th, float) and isinstance(v_leak, float) and v_th <= v_leak:
            raise SnnlearnError(
                f"{type(owner).__name__}: v_th is {v_th}, not above the resting membrane {v_leak}, so that Subtract() "
                "has nothing to subtract; raise v_th, or give reset=ToValue(v_reset)"
            )


def _value_or_rest(v_reset: Any) -> Any:
    return None if v_reset is None else plain(v_reset)


@final
class ToValue(AbstractReset):
    """Set the membrane to a value, `v ← (1 − z) v + z v_reset` ("hard reset").

    Args:
        v_reset: the value, in the unit of the membrane; None is the neuron's value at rest.
        block_gradient: whether no gradient flows through the spikes that reset.
    """

    v_reset: Parameter | None = eqx.field(converter=_value_or_rest, default=None)
    block_gradient: bool = True

    def __call__(
        self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Value, v_leak: Value
    ) -> Float[Array, "*n"]:
        """See the base."""
        spikes = _spikes_for(self, spikes)
        return (1 - spikes) * v + spikes * self.target(v_leak)

    def target(self, v_leak: Value) -> Value:
        """The membrane after a spike, given that at rest."""
        return v_leak if self.v_reset is None else value(self.v_reset)

    def after_threshold(self, v_leak: Value) -> Value:
        """See the base: the value."""
        return self.target(v_leak)

    def lowered(self, v_th: Value, v_leak: Value) -> LoweredReset:
        """See the base."""
        return LoweredReset(0.0, self.target(v_leak), flows=not self.block_gradient)

    def check(self, owner: object, v_th: Parameter, v_leak: Parameter) -> None:
        """See the base."""
        check_finite(self, v_reset=self.target(value(v_leak)))
        if isinstance(v_th, float) and isinstance(self.v_reset, float) and self.v_reset >= v_th:
            raise SnnlearnError(
                f"{type(owner).__name__}: v_reset is {self.v_reset}, not below v_th = {v_th}, so that a neuron that "
                "spikes once never stops; lower v_reset, or leave it out to reset to rest"
            )


@final
class NoReset(AbstractReset):
    """Leave the membrane alone, so that a neuron above threshold spikes in every step."""

    block_gradient: bool = True

    def __call__(
        self, v: Float[Array, "*n"], spikes: Float[Array, "*n"], v_th: Value, v_leak: Value
    ) -> Float[Array, "*n"]:
        """See the base."""
        return v

    @property
    def acts(self) -> bool:
        """False."""
        return False

    @property
    def adds(self) -> bool:
        """True: it adds nothing."""
        return True

    def lowered(self, v_th: Value, v_leak: Value) -> LoweredReset:
        """See the base."""
        return LoweredReset(1.0, 0.0)


@final
class NextStep(eqx.Module):
    """Another reset, one step later: after the next step's decay and input (snnTorch's and e-prop's timing).

    Args:
        reset: the reset to delay.
    """

    reset: AbstractReset = Subtract()

    @property
    def acts(self) -> bool:
        """As the reset itself does."""
        return self.reset.acts

    @property
    def adds(self) -> bool:
        """As the reset itself does."""
        return self.reset.adds

    def after_threshold(self, v_leak: Value) -> None:
        """See the reset's base: the reset is not immediate."""
        return None

    def lowered(self, v_th: Value, v_leak: Value) -> LoweredReset | None:
        """The reset itself, late."""
        now = self.reset.lowered(v_th, v_leak)
        return None if now is None else now._replace(late=True)

    def check(self, owner: object, v_th: Parameter, v_leak: Parameter) -> None:
        """The check of the delayed reset.

        Raises:
            SnnlearnError: for constants that the delayed reset refuses.
        """
        self.reset.check(owner, v_th, v_leak)


Reset = AbstractReset | NextStep
"""A reset in the step of the spike, or in the next."""
