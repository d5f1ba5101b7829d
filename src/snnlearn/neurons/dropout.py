"""Units that are dropped at random while a network is trained."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import number
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper, NoisyState


@final
class Dropout(AbstractWrapper):
    r"""A neuron whose output is dropped with a probability p, for a whole sequence, while the network is trained.

    $y^t=m\,z^t/(1-p)$, $P(m=0)=p$: the expected output is the neuron's z. The mask m is drawn once for each unit and
    sample, and all that the unit is connected to feel it; its own dynamics, such as a reset, do not. So it is in the
    authors' LRU (github.com/NicolasZucchet/minimal-LRU, `broadcast_dims=[0]`) and, for recurrent networks, in Gal &
    Ghahramani 2016, arXiv:1512.05287; Srivastava et al. 2014, jmlr.org/papers/v15/srivastava14a.html.

    Algorithms validate and keep the network without it (`network.in_use`): evaluation is that of the neuron itself, to
    the bit. Where spikes are dropped, training has 1 / (1 − p) in their place, and so is no network of spikes: it runs
    as plain JAX, and rules that need spikes refuse it. The mask comes from a key in the network's state, which learning
    rules draw for each sample.

    Args:
        neuron: the neuron.
        rate: p, from 0 to below 1.

    Raises:
        SnnlearnError: for a rate out of its range, or a part of another kind.

    >>> from snnlearn.neurons import Identity
    >>> unit = Dropout(Identity(), rate=0.75)
    >>> y, state = unit(jnp.ones(1000), unit.initial_state((1000,)))
    >>> sorted(set(y.tolist())), round(float(y.mean()))
    ([0.0, 4.0], 1)
    >>> bool((unit(jnp.ones(1000), state)[0] == y).all())  # in all steps
    True
    """

    neuron: AbstractNeuron
    rate: float = eqx.field(converter=number)

    def __check_init__(self):
        check_fields(self, "neuron", "rate")
        if not 0 <= self.rate < 1:
            raise SnnlearnError(f"Dropout: rate is {self.rate}; give a share of the units, from 0 to below 1")

    def in_use(self) -> AbstractNeuron:
        """See the base: the neuron inside."""
        return self.neuron

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    @property
    def spikes(self) -> bool:
        """False: what is not dropped is larger than 1."""
        return False

    @property
    def timeless(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.timeless

    @property
    def affine(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.affine

    @property
    def linear(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.linear

    @property
    def linear_through_spikes(self) -> bool:
        """As the neuron inside is."""
        return self.neuron.linear_through_spikes

    def scored(self, spikes: Array | None = None) -> None:
        """None: what leaves is not what the neuron drew."""
        return None

    def rectified(self) -> str:
        """Why there are no parts."""
        return "is Dropout, which only trains; give the network as it is in use, by network.in_use"

    def in_continuous_time(self) -> str:
        """Why there is no differential equation."""
        return "is Dropout, whose spikes are larger than 1"

    def initial_state(self, shape: tuple[int, ...]) -> NoisyState:
        """See the base."""
        return NoisyState(self.neuron.initial_state(shape), jax.random.key(0))

    def __call__(self, current: Any, state: NoisyState) -> tuple[Float[Array, "*out"], NoisyState]:
        """See the base."""
        output, neuron = self.neuron(current, state.neuron)
        return output * self._mask(state.key, output), NoisyState(neuron, state.key)

    def all_steps(self, currents: Any, state: NoisyState) -> tuple[Float[Array, "T *out"], NoisyState]:
        """See the base."""
        outputs, neurons = self.neuron.all_steps(currents, state.neuron)
        keys = jnp.broadcast_to(state.key, (len(outputs),))
        return outputs * self._mask(state.key, outputs[0])[None], NoisyState(neurons, keys)

    def free(self) -> AbstractNeuron:
        """See the base; it drops nothing."""
        return self.neuron.free()

    def _mask(self, key: PRNGKeyArray, output: Float[Array, "*out"]) -> Float[Array, "*out"]:
        kept = jax.random.bernoulli(key, 1 - self.rate, output.shape)
        return kept.astype(output.dtype) / (1 - self.rate)
