"""Training for chips: a rule's gradient where the network will be, on chips that nobody has yet."""

from __future__ import annotations

import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split, trained_part
from snnlearn.circuits.base import draw_key
from snnlearn.circuits.chip import Chip, deploy
from snnlearn.coding import AbstractDecoder, HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.neurons import AbstractNeuron
from snnlearn.rules import BPTT, AbstractRule


@final
class ForChips(AbstractRule):
    r"""Another rule's gradient of the mean loss over freshly drawn chips, $\frac1K\sum_k J_k^\top g(D_k\theta)$.

    $D_k$ deploys the network on chip k, g is the rule's gradient there, and $J_k$ the derivative of $D_k$. With a chip
    that rounds weights this is quantisation-aware training (Jacob et al. 2018, doi:10.1109/CVPR.2018.00286), with one
    that has mismatch it is mismatch-aware. All chips see the same batch, and have the same key for the rule's draws and
    the network's noise; they run side by side.

    Args:
        rule: the rule, which sees each deployed network as any other.
        chip: the kind of chip; its mismatch is drawn anew for each batch.
        num_chips: K, chips of one batch, ≥ 1.
        worst: the share of chips that count, those with the largest loss, in (0, 1]; below 1 it is the conditional
            value at risk of the loss over chips (Rockafellar & Uryasev 2000, doi:10.21314/JOR.2000.038). The number of
            chips is rounded up.

    Raises:
        SnnlearnError: for a part of another kind, or a number out of range.

    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> rule = ForChips(BPTT(), Chip("mine", effects=(Mismatch("tau_mem", LogNormal(0.2)),)), num_chips=2)
    >>> loss, gradient = eqx.filter_jit(rule)(network, CrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    rule: AbstractRule
    chip: Chip
    num_chips: int = 1
    worst: float = 1.0

    def __check_init__(self):
        check_fields(self, "rule", "chip", "num_chips", "worst")
        if self.num_chips < 1:
            raise SnnlearnError(f"ForChips: num_chips is {self.num_chips}; give at least 1")
        if not 0 < self.worst <= 1:
            raise SnnlearnError(
                f"ForChips: worst is {self.worst}; give the share of chips that count, above 0 and at most 1"
            )

    @property
    def usual_loss(self) -> type[AbstractLoss]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the rule inside."""
        return self.rule.usual_loss

    @property
    def usual_decoder(self) -> type[AbstractDecoder]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the rule inside."""
        return self.rule.usual_decoder

    @property
    def usual_readout(self) -> type[AbstractNeuron]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the rule inside."""
        return self.rule.usual_readout

    @property
    def draws(self) -> bool:
        """Chips, or what the rule inside draws."""
        return bool(self.chip.effects) or self.rule.draws

    def reference(self) -> AbstractRule:
        """What the rule inside estimates, on the same chips."""
        return ForChips(self.rule.reference() or BPTT(), self.chip, self.num_chips, self.worst)

    def why_plain(self, network: Network) -> str | None:
        """Why the rule inside cannot use the kernels for the network as it is on a chip."""
        # By shapes alone: nothing is computed, however often this is asked.
        return eqx.filter_eval_shape(
            lambda network: self.rule.why_plain(deploy(network, self.chip, key=jax.random.key(0))), network
        )

    def trained(self, network: Network) -> Network:
        """As the rule inside."""
        return self.rule.trained(network)

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base; the loss is that of the chips that count."""
        parameters, constants = split(network)

        def on_chip(number: Array) -> tuple[Float[Array, ""], Network]:
            chip_key = jax.random.fold_in(draw_key(key, "chips"), number)
            deployed = deploy(network, self.chip, key=chip_key)
            value, gradient = self.rule(deployed, loss, inputs, targets, key=key)
            _, pull = jax.vjp(
                lambda p: trained_part(deploy(eqx.combine(p, constants), self.chip, key=chip_key)), parameters
            )
            return value, pull(gradient)[0]

        values, gradients = jax.vmap(on_chip)(jnp.arange(self.num_chips))
        count = math.ceil(self.worst * self.num_chips - 1e-9)
        _, which = jax.lax.top_k(values, count)
        return jnp.mean(values[which]), jax.tree.map(lambda g: jnp.mean(g[which], axis=0), gradients)
