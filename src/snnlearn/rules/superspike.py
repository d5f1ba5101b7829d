"""SuperSpike, the three-factor rule."""

from __future__ import annotations

from typing import ClassVar, final

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder, SpikeCount
from snnlearn.losses import AbstractFilteredLoss, AbstractLoss, ClassSpikeTrains
from snnlearn.network import Network
from snnlearn.rules.feedback import AbstractFeedback, Symmetric
from snnlearn.rules.local import Local
from snnlearn.rules.online import parts
from snnlearn.rules.three_factor import AbstractThreeFactorRule
from snnlearn.rules.traces import LayerPlan


@final
class SuperSpike(AbstractThreeFactorRule):
    r"""SuperSpike, $\dot w_{ij}\propto e_i\;\alpha*[\sigma'(U_i)\,(\epsilon*S_j)]$ (Zenke & Ganguli 2018).

    doi:10.1162/neco_a_01086. $e_i=\alpha*(\hat S_i-S_i)$ is the error between the target and the actual spike train,
    both filtered by the kernel $\alpha$ of the loss; $\epsilon*S_j$ is the membrane's response to a presynaptic unit,
    neglecting resets and refractory periods; $\sigma'$ is the neuron's surrogate derivative, in the paper
    `FastSigmoid`. Hidden units receive $\sum_k w_{ki}e_k$ without a factor $\sigma'$, or random or uniform sums of the
    errors.

    The gradient is of a sum over time; the paper's optimiser is `rmaxprop`. Every layer spikes: LIF, CubaLIF or IF with
    constant parameters. The loss compares spike trains: `AlphaVanRossum` is the paper's.

    Args:
        feedback: how the error reaches hidden units: `Symmetric()`, `RandomFeedback(key)`, `UniformFeedback()`.

    >>> from snnlearn.losses import AlphaVanRossum
    >>> from snnlearn.network import feedforward
    >>> import equinox as eqx, jax
    >>> from snnlearn.neurons import CubaLIF, FastSigmoid
    >>> neuron = CubaLIF(tau_mem=10e-3, tau_syn=5e-3, surrogate=FastSigmoid())
    >>> network = feedforward((4, 1), readout=neuron, key=jax.random.key(0))
    >>> batch = jnp.ones((1, 50, 4)), jnp.ones((1, 50, 1))
    >>> loss, gradient = eqx.filter_jit(SuperSpike())(network, AlphaVanRossum(), *batch, key=jax.random.key(1))
    >>> bool((gradient.layers[0].synapses.weight < 0).all())  # spikes are missing: more weight, less error
    True
    """

    usual_loss: ClassVar[type[AbstractLoss]] = ClassSpikeTrains
    usual_decoder: ClassVar[type[AbstractDecoder]] = SpikeCount
    feedback: AbstractFeedback = Symmetric()

    def plan(self, network: Network, loss: AbstractLoss) -> tuple[LayerPlan, ...]:
        """See the base."""
        for number, layer in enumerate(network.layers, start=1):
            neuron = layer.neuron
            if not (neuron.spikes and neuron.linear) or neuron.draws:
                raise SnnlearnError(
                    f"SuperSpike is defined for spiking neurons with a linear membrane and constant parameters (LIF, "
                    f"CubaLIF, IF); layer {number} is {type(neuron).__name__}; use EProp or BPTT"
                )
        steps = parts(self, loss).steps
        if not isinstance(steps, AbstractFilteredLoss):
            raise SnnlearnError(
                f"SuperSpike compares spike trains, by AlphaVanRossum or VanRossum; the loss is {type(steps).__name__}"
                "; use OTTT, EProp or BPTT"
            )
        return (LayerPlan(steps.kernel, factored=True),) * len(network.layers)

    def responses(self, local: tuple[Local, ...]) -> tuple[Float[Array, "B ..."], ...]:
        """See the base: 1, so hidden units receive only the errors."""
        return tuple(jnp.ones_like(each.output_current) for each in local)
