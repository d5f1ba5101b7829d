"""A chip, and a network on it."""

from __future__ import annotations

from collections import Counter
from typing import final

import equinox as eqx
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import AbstractEffect, AbstractLimit, draw_key
from snnlearn.circuits.energy import Ledger
from snnlearn.network import Network


@final
class Chip(Component):
    """A kind of chip: what it does to a network, and what it has room for.

    Args:
        name: what it is called.
        effects: applied in this order.
        limits: what a network has to fit into.
        source: where the figures come from, and when.
        energy: what each thing costs that it does; what has not been published is missing in its accounts.

    Raises:
        SnnlearnError: for a part of another kind, or two effects of one label.

    >>> Chip("ideal").effects
    ()
    """

    name: str = eqx.field(static=True)
    effects: tuple[AbstractEffect, ...] = ()
    limits: tuple[AbstractLimit, ...] = ()
    source: str = eqx.field(static=True, default="")
    energy: Ledger = Ledger()

    def __check_init__(self):
        check_fields(self, "name", "effects", "limits", "source", "energy")
        twice = [label for label, times in Counter(effect.label for effect in self.effects).items() if times > 1]
        if twice:
            raise SnnlearnError(f"Chip: {self.name} has more than one {twice[0]}; give one of each kind")

    def without(self, label: str) -> Chip:
        """The same chip without one of its effects; all other draws stay the same.

        Args:
            label: the effect's.

        Raises:
            SnnlearnError: if the chip has no such effect.
        """
        left = tuple(effect for effect in self.effects if effect.label != label)
        if len(left) == len(self.effects):
            raise SnnlearnError(
                f"Chip: {self.name} has no effect {label!r}; give one of "
                f"{', '.join(repr(effect.label) for effect in self.effects) or 'a chip that has some'}"
            )
        return eqx.tree_at(lambda chip: chip.effects, self, left)


@checked
def deploy(network: Network, chip: Chip, *, key: PRNGKeyArray) -> Network:
    """The network as it is on one chip of a kind: a network again.

    The same key is the same chip, whatever else is asked of it: mapped over keys, `deploy` gives many.

    Args:
        network: the network as designed.
        chip: the kind of chip.
        key: random key, which is the chip's identity.

    Raises:
        SnnlearnError: if the network does not fit, naming what does not and by how much; or if an effect has nothing to
            act on.

    >>> import jax
    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> kind = Chip("mine", effects=(Mismatch("v_th", LogNormal(0.1)), Mismatch("tau_mem", LogNormal(0.2))))
    >>> keys = jax.random.split(jax.random.key(1), 5)
    >>> chips = eqx.filter_vmap(lambda key: deploy(network, kind, key=key))(keys)
    >>> chips.layers[0].neuron.v_th.array.shape
    (5, 3)
    """
    check_room(network, chip)
    for effect in chip.effects:
        network = effect(network, key=draw_key(key, effect.label))
    return network


def check_room(network: Network, chip: Chip) -> None:
    """Refuse a network that does not fit on a kind of chip.

    Raises:
        SnnlearnError: naming what does not fit, and by how much.
    """
    reasons = [reason for limit in chip.limits if (reason := limit.exceeded(network)) is not None]
    if reasons:
        raise SnnlearnError(f"deploy: the network does not fit on {chip.name}: {'; '.join(reasons)}")
