"""A neuron that spikes at random, more likely the higher its membrane."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.neurons.base import AbstractSpikingNeuron, AbstractWrapper, NoisyState
from snnlearn.neurons.surrogates import AbstractEscape, AbstractSurrogate, ExponentialEscape, Scaled


@final
class EscapeNoise(AbstractWrapper):
    r"""A neuron whose spikes are drawn at random: $P(z^t=1\mid\text{past})=p(v^t-v_{th})$.

    p is the primitive of the neuron's surrogate, which must be an escape function: `Sigmoid`, `Gaussian`,
    `ExponentialEscape` (Plesser & Gerstner 2000, doi:10.1162/089976600300015835), or one of these `Scaled` by at most
    1, which bounds the rate. The surrogate derivative is then the derivative of the expected spike (Gygax & Zenke 2025,
    arXiv:2404.14964). Threshold, reset and refractory period are the neuron's. Without a reset it is a Poisson neuron,
    whose rate is a function of its filtered input current.

    The noise comes from a key in the state: `network.initial_state(key=key)` draws a new one, and learning rules do so
    for each sample. Runs from `network.initial_state()` all have the same noise.

    Args:
        neuron: the neuron whose threshold becomes noisy.

    Raises:
        SnnlearnError: if its surrogate is not an escape function, or one for another time step.

    >>> from snnlearn.neurons import LIF, Sigmoid
    >>> neuron = EscapeNoise(LIF(v_th=0.2, surrogate=Sigmoid(slope=10.0)))
    >>> spikes, state = neuron(jax.numpy.ones(1000), neuron.initial_state((1000,)))
    >>> round(float(spikes.mean()), 1)  # v = 0.0488, σ(10 (v − 0.2)) = 0.18
    0.2
    """

    neuron: AbstractSpikingNeuron

    def __check_init__(self):
        if not isinstance(self.neuron, AbstractSpikingNeuron):
            raise SnnlearnError(
                f"EscapeNoise: {type(self.neuron).__name__} has no threshold; give a spiking neuron such as LIF, and "
                "put other wrappers around EscapeNoise"
            )
        surrogate = self.neuron.surrogate
        while isinstance(surrogate, Scaled) and surrogate.scale <= 1:
            surrogate = surrogate.surrogate
        if not isinstance(surrogate, AbstractEscape):
            raise SnnlearnError(
                f"EscapeNoise: the surrogate {type(surrogate).__name__} is not the derivative of a probability; give "
                f"{type(self.neuron).__name__} an escape function: Sigmoid, Gaussian or ExponentialEscape, Scaled by "
                "at most 1"
            )
        if isinstance(surrogate, ExponentialEscape) and surrogate.dt != self.dt:
            raise SnnlearnError(
                f"EscapeNoise: ExponentialEscape has dt = {surrogate.dt} s and the neuron {self.dt} s; make them equal"
            )

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    @property
    def linear(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.linear

    @property
    def linear_through_spikes(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.linear_through_spikes

    def initial_state(self, shape: tuple[int, ...]) -> NoisyState:
        """See the base."""
        return NoisyState(self.neuron.initial_state(shape), jax.random.key(0))

    def __call__(self, current: Float[Array, "*units"], state: NoisyState) -> tuple[Float[Array, "*units"], NoisyState]:
        """See the base."""
        _, now = jax.random.split(state.key)
        p = self.probability(current, state)
        spikes = jax.random.bernoulli(now, p).astype(p.dtype)
        return self.given(spikes + (p - jax.lax.stop_gradient(p)), current, state)

    def probability(self, current: Float[Array, "*units"], state: NoisyState) -> Float[Array, "*units"]:
        """The probability of a spike in this step; 0 for units that are refractory."""
        p, _ = self._firing(self.neuron.surrogate.primitive)(current, state.neuron)
        return p

    def given(
        self, spikes: Float[Array, "*units"], current: Float[Array, "*units"], state: NoisyState
    ) -> tuple[Float[Array, "*units"], NoisyState]:
        """One step with given spikes: the output and the next state."""
        later, _ = jax.random.split(state.key)
        spikes, neuron = self._firing(lambda _: spikes)(current, state.neuron)
        return spikes, NoisyState(neuron, later)

    def scored(self, spikes: Float[Array, "*units"] | None = None) -> AbstractWrapper:
        """See the base."""
        return _Scored(self, spikes)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def free(self) -> AbstractSpikingNeuron:
        """See the base; it draws nothing."""
        return self.neuron.free()

    def _firing(self, spike: Callable[[Array], Array]) -> AbstractSpikingNeuron:
        """The neuron with another function of `v − v_th` in place of its spike."""
        return eqx.tree_at(
            lambda neuron: neuron.surrogate,
            self.neuron,
            spike,
            is_leaf=lambda node: isinstance(node, AbstractSurrogate),
        )


@final
class _Scored(AbstractWrapper):
    """A neuron that draws its spikes, or was given them, with the derivative of the logarithm of their probability.

    Only as output: what follows in the neuron takes the spikes as given.
    """

    neuron: EscapeNoise
    known: Float[Array, "*units"] | None = None

    def initial_state(self, shape: tuple[int, ...]) -> NoisyState:
        return self.neuron.initial_state(shape)

    def __call__(self, current: Float[Array, "*units"], state: NoisyState) -> tuple[Float[Array, "*units"], NoisyState]:
        known = self.neuron(current, state)[0] if self.known is None else self.known
        spikes, after = self.neuron.given(jax.lax.stop_gradient(known), current, state)
        p = self.neuron.probability(current, state)
        log_p = jnp.log(jnp.where(spikes > 0, p, 1 - p))
        return spikes + (log_p - jax.lax.stop_gradient(log_p)), after

    def free(self) -> AbstractSpikingNeuron:
        return self.neuron.free()
