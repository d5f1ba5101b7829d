"""Devices: what can be programmed with a network's parameters, and run, and measured, but not looked into."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_finite
from snnlearn.circuits.chip import Chip, deploy
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
class Reading(Component):
    r"""Readings of b bits, $\text{low}+\text{LSB}\cdot\lfloor(x-\text{low})/\text{LSB}\rceil$, clipped to the range.

    Args:
        bits: b, from 1 to 24; 8 on BrainScaleS-2.
        low: the reading of code 0, in the unit of what is read.
        high: that of code 2ᵇ − 1.

    Raises:
        SnnlearnError: for a number out of range.

    >>> Reading(bits=2, low=0.0, high=3.0)(jnp.array([-1.0, 1.4, 9.0]))
    Array([0., 1., 3.], dtype=float32)
    """

    bits: int = 8
    low: float = -4.0
    high: float = 4.0

    def __check_init__(self):
        check_fields(self, "bits", "low", "high")
        check_finite(self, low=self.low, high=self.high)
        if not 1 <= self.bits <= 24:
            raise SnnlearnError(f"Reading: bits is {self.bits}; give a number from 1 to 24")
        if self.low >= self.high:
            raise SnnlearnError(f"Reading: low is {self.low} and high {self.high}; give a low below high")

    @property
    def lsb(self) -> float:
        """The step between two readings."""
        return (self.high - self.low) / (2**self.bits - 1)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The readings of values."""
        code = jnp.clip(jnp.round((x - self.low) / self.lsb), 0, 2**self.bits - 1)
        return self.low + self.lsb * code


@final
class SimulatedDevice(AbstractDevice):
    """One chip of a kind, simulated: nobody sees its mismatch, only what it does.

    Args:
        chip: the kind of chip.
        key: which chip it is.
        reading: how membranes are read, in all layers or in each, since a readout's may be larger; None reads them
            exactly, as no chip does.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> device = SimulatedDevice(Chip("mine", effects=(Mismatch("tau_mem", LogNormal(0.2)),)), jax.random.key(1))
    >>> device.run(network, jnp.ones((5, 10, 4)), key=jax.random.key(2)).membranes[0].shape
    (5, 10, 3)
    """

    chip: Chip
    key: PRNGKeyArray
    reading: Reading | tuple[Reading, ...] | None = Reading()

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
        reads = self._readings(len(network.layers))
        outputs = [
            output if layer.neuron.spikes else read(output)
            for layer, output, read in zip(network.layers, activity.outputs, reads, strict=True)
        ]
        membranes = [read(v) for v, read in zip(activity.records, reads, strict=True)]
        return jax.tree.map(jax.lax.stop_gradient, Measured(tuple(outputs), tuple(membranes)))

    def _readings(self, layers: int) -> tuple[Callable[[Array], Array], ...]:
        match self.reading:
            case None:
                return (lambda v: v,) * layers
            case Reading():
                return (self.reading,) * layers
        if len(self.reading) != layers:
            raise SnnlearnError(
                f"SimulatedDevice: there are {len(self.reading)} readings, and the network has {layers} layers; give "
                "one for each, or one for all"
            )
        return self.reading
