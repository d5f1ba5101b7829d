"""Learning on a device from its losses alone."""

from __future__ import annotations

from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._arguments import check_fields
from snnlearn._parameters import check_one_dt
from snnlearn.circuits.device import AbstractDevice
from snnlearn.circuits.in_the_loop import check_measured
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.rules import AbstractBlackBoxRule, AbstractRule


@final
class BlackBox(AbstractRule):
    """A rule that perturbs and compares, with losses that a device measures: forward evaluations, and no model.

    Each loss is one programming and one run of the device, 2K + 1 for a batch: weights reach the device as they are
    perturbed, so the perturbation should be larger than what it rounds off.

    Args:
        rule: such as `WeightPerturbation` or `EvolutionStrategy`.
        device: what runs the batches.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> import equinox as eqx
    >>> from snnlearn.circuits import Chip, SimulatedDevice
    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.rules import WeightPerturbation
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> rule = BlackBox(WeightPerturbation(sigma=0.1), SimulatedDevice(Chip("ideal"), jax.random.key(1)))
    >>> loss, gradient = eqx.filter_jit(rule)(network, CrossEntropy(), *batch, key=jax.random.key(2))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    rule: AbstractBlackBoxRule
    device: AbstractDevice

    def __check_init__(self):
        check_fields(self, "rule", "device")

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def reference(self) -> AbstractRule:
        """What the rule estimates, on the same device."""
        inside = self.rule.reference()
        return BlackBox(inside, self.device) if isinstance(inside, AbstractBlackBoxRule) else self

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base; the loss is the device's."""
        check_one_dt(self, network.dt, loss=loss)

        def mean_loss(network: Network) -> Float[Array, ""]:
            measured = self.device.run(network, inputs, key=key)
            check_measured(network, inputs, measured)
            return jnp.mean(jax.vmap(loss)(measured.outputs, targets))

        return self.rule.estimate(network, mean_loss, key=key)
