"""e-prop: eligibility propagation."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.losses import AbstractLoss, AbstractStepwiseLoss, Kernel
from snnlearn.network import Network
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.rules.feedback import AbstractFeedback, Symmetric
from snnlearn.rules.local import Local
from snnlearn.rules.online import parts
from snnlearn.rules.three_factor import AbstractThreeFactorRule
from snnlearn.rules.traces import LayerPlan


@final
class EProp(AbstractThreeFactorRule):
    r"""e-prop, $\frac{dE}{dW_{ji}}\approx\sum_t L_j^t\,\bar e_{ji}^t$ (Bellec et al. 2020).

    doi:10.1038/s41467-020-17236-y. $e^t_{ji}=\partial z_j^t/\partial W_{ji}$ along unit j's own dynamics, for any
    neuron, is filtered like spikes in the readout, $\bar e^t=\kappa\bar e^{t-1}+e^t$. $L_j^t$ is the error at the
    readout in step t, sent back through the feedback weights, times the readout's gain. Effects of a spike on other
    units' later spikes are neglected. Firing-rate bands may be added to the loss.

    The readout is a leaky integrator `LI`. Not the paper's: with several hidden layers, `Symmetric` feedback takes the
    derivative along one step's path, without the filters of the layers in between.

    Args:
        feedback: how the error reaches hidden units: `Symmetric()`, `RandomFeedback(key)`,
            `StoredFeedback(learns=True)` for adaptive e-prop.

    >>> import equinox as eqx, jax
    >>> from snnlearn.losses import StepwiseCrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), recurrent=True, key=jax.random.key(0))
    >>> batch = 5 * jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(EProp())(network, StepwiseCrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].recurrent.weight.shape
    (3, 3)
    """

    feedback: AbstractFeedback = Symmetric()

    def plan(self, network: Network, loss: AbstractLoss) -> tuple[LayerPlan, ...]:
        """See the base."""
        *hidden, readout = network.layers
        neuron, leaks = readout.neuron, readout.neuron.lowered()
        ways = routes(network.layers)[-1]
        if isinstance(leaks, str) or leaks.equation.spiking or leaks.has_current or leaks.output is not None:
            leaks = None
        if leaks is None or readout.recurrent is not None or jnp.ndim(leaks.constants.decay):
            raise SnnlearnError(
                f"EProp filters eligibility as a leaky integrator without recurrence (LI, one tau_mem) does; "
                f"the readout is {type(neuron).__name__}; use OTTT or SuperSpike for a spiking readout, or BPTT"
            )
        if not isinstance(parts(self, loss).steps, AbstractStepwiseLoss):
            raise SnnlearnError(
                f"EProp takes a loss of the readout's membrane in each step; {type(loss).__name__} is one of filtered "
                "spikes; use SuperSpike"
            )
        if any(way.lag and way.source != FROM_INPUT for way in ways):
            raise SnnlearnError(
                "EProp brings an error back in the step in which spikes reach the readout, and here they come there "
                "later; give its connections no delay, or use TruncatedBPTT or BPTT"
            )
        if self.feedback.learns:
            if len(hidden) != 1 or ways.count((0, 0)) != 1:
                raise SnnlearnError(
                    f"EProp: feedback weights learn with the readout's, so there is one hidden layer; "
                    f"the network has {len(hidden)}; use RandomFeedback or Symmetric"
                )
        filtered = Kernel(0.0, jnp.ones(1), jnp.reshape(jnp.asarray(leaks.constants.decay), 1))
        at_readout = LayerPlan(Kernel(1.0, jnp.zeros(0), jnp.zeros(0)), neuron.linear_through_spikes)
        return (*(LayerPlan(filtered, layer.neuron.linear_through_spikes) for layer in hidden), at_readout)

    def responses(self, local: tuple[Local, ...]) -> tuple[Float[Array, "B ..."], ...]:
        """See the base: the derivatives, by the surrogate."""
        return tuple(each.output_current for each in local)
