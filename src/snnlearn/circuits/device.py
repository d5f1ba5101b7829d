"""Devices: what can be programmed with a network's parameters, and run, and measured, but not looked into."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple, final

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import draw_key
from snnlearn.circuits.chip import Chip, deploy
from snnlearn.circuits.converters import Converter
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.network import Network, unroll
from snnlearn.rules.base import start_state


class Measured(NamedTuple):
    """What is measured of a network on a device, for a batch.

    Args:
        outputs: of each layer, `[B, T, *shape]`: spikes, or readings of what a layer gives that does not spike.
        membranes: of each layer, readings of the membrane after each step, `[B, T, *shape]`, in the unit of the model's
            membrane; None where the device has no converter for them.
    """

    outputs: tuple[Float[Array, "B T ..."], ...]
    membranes: tuple[Float[Array, "B T ..."] | None, ...]


class AbstractDevice(Component):
    """A substrate that a network can be programmed into and run on. Rules see of it only what it measures."""

    @abstractmethod
    def run(
        self, network: Network, inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues, *, key: PRNGKeyArray
    ) -> Measured:
        """Program the device with the network's trained arrays, and run a batch.

        Args:
            network: the network as designed.
            inputs: encoded data, as a rule takes it.
            key: of the noise of these trials, for a device that is simulated.
        """


@final
class SimulatedDevice(AbstractDevice):
    """One chip of a kind, simulated: nobody sees its mismatch, only what it does.

    Args:
        chip: the kind of chip.
        key: which chip it is.
        reading: the converters of membranes, in all layers or in each, since a readout's may be larger, whose channels
            are drawn for this chip; None reads them exactly, as no chip does.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> device = SimulatedDevice(Chip("mine", effects=(Mismatch("tau_mem", LogNormal(0.2)),)), jax.random.key(1))
    >>> device.run(network, jax.numpy.ones((5, 10, 4)), key=jax.random.key(2)).membranes[0].shape
    (5, 10, 3)
    """

    chip: Chip
    key: PRNGKeyArray
    reading: Converter | tuple[Converter, ...] | None = Converter(8, -4.0, 4.0)

    def __check_init__(self):
        check_fields(self, "chip", "key", "reading")

    def run(
        self, network: Network, inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues, *, key: PRNGKeyArray
    ) -> Measured:
        """See the base.

        Raises:
            SnnlearnError: if the network does not fit on the chip, or there are not as many readings as layers.
        """
        deployed = deploy(network, self.chip, key=self.key)
        rest = start_state(deployed, len(jax.tree.leaves(inputs)[0]), key=key)
        activity, _ = jax.vmap(lambda xs, state: unroll(deployed, xs, state, record=lambda s: s.v))(inputs, rest)
        reads = self._readings(network, key)
        outputs = [
            output if layer.neuron.spikes else read(output)
            for layer, output, read in zip(network.layers, activity.outputs, reads, strict=True)
        ]
        membranes = [read(v) for v, read in zip(activity.records, reads, strict=True)]
        return jax.tree.map(jax.lax.stop_gradient, Measured(tuple(outputs), tuple(membranes)))

    def _readings(self, network: Network, key: PRNGKeyArray) -> list[Callable[[Array], Array]]:
        if self.reading is None:
            return [lambda v: v] * len(network.layers)
        kinds = (self.reading,) * len(network.layers) if isinstance(self.reading, Converter) else self.reading
        if len(kinds) != len(network.layers):
            raise SnnlearnError(
                f"SimulatedDevice: there are {len(kinds)} readings, and the network has {len(network.layers)} layers; "
                "give one for each, or one for all"
            )

        def read(kind: Converter, shape: tuple[int, ...], number: int) -> Callable[[Array], Array]:
            channels = kind.drawn(shape, key=draw_key(self.key, "reading", number))

            def each(v: Float[Array, "B T ..."]) -> Float[Array, "B T ..."]:
                keys = jax.random.split(draw_key(key, "reading", number), v.shape[:2])
                return jax.vmap(jax.vmap(lambda v, key: channels(v, key=key)))(v, keys)

            return each if kind.rounding.draws else lambda v: jax.vmap(jax.vmap(channels))(v)

        return [read(k, layer.shape, n) for n, (k, layer) in enumerate(zip(kinds, network.layers, strict=True))]
