"""Online training through time."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.losses import AbstractLoss, AbstractStepwiseLoss, Kernel
from snnlearn.network import Network
from snnlearn.rules.feedback import AbstractFeedback, Symmetric
from snnlearn.rules.local import Local
from snnlearn.rules.online import parts
from snnlearn.rules.three_factor import AbstractThreeFactorRule
from snnlearn.rules.traces import LayerPlan


@final
class OTTT(AbstractThreeFactorRule):
    r"""Online training through time, $\nabla W^l=\sum_t g^l[t]\,\hat a^{l-1}[t]^\top$ (Xiao et al. 2022).

    doi:10.48550/arXiv.2210.04195. $\hat a$ is the presynaptic activity filtered by the membrane, $g$ the derivative of
    the step's loss with respect to the membrane along that step's path. The memory is one number for each input of a
    layer, so it also works for convolutions; there is no filter between layers. Summed over time this is the paper's
    OTTT_A; with updates within the sequence (`GradientDescent(steps_per_update=1)`) it is OTTT_O.

    Neurons need a linear membrane, the same in all units: LI, IF, LIF and CubaLIF with constant time constants, reset
    by subtraction and no refractory period that holds the membrane.

    Args:
        feedback: how the error reaches hidden units; the paper's is `Symmetric()`.
    """

    feedback: AbstractFeedback = Symmetric()

    def plan(self, network: Network, loss: AbstractLoss) -> tuple[LayerPlan, ...]:
        """See the base."""
        for number, layer in enumerate(network.layers, start=1):
            if not layer.neuron.linear_through_spikes:
                raise SnnlearnError(
                    f"OTTT keeps presynaptic traces, which need a linear membrane alike in all units (LIF or CubaLIF, "
                    f"constant time constants, reset by subtraction); layer {number} is a "
                    f"{type(layer.neuron).__name__} of another kind; use EProp"
                )
        if not isinstance(parts(self, loss).steps, AbstractStepwiseLoss):
            raise SnnlearnError(
                f"OTTT takes a loss of the output in each step; {type(loss).__name__} is one of filtered spikes; use "
                "SuperSpike"
            )
        return (LayerPlan(Kernel(1.0, jnp.zeros(0), jnp.zeros(0)), factored=True),) * len(network.layers)

    def responses(self, local: tuple[Local, ...]) -> tuple[Float[Array, "B ..."], ...]:
        """See the base: the derivatives, by the surrogate."""
        return tuple(each.output_current for each in local)
