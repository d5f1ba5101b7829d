"""What an inference costs on a chip, as far as that has been published."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._arguments import check_fields, checked
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractEncoder
from snnlearn.coding.ends import until
from snnlearn.network import Network, fresh_state, unroll
from snnlearn.network.operations import operations


class Events(NamedTuple):
    """What happens during an inference; each a mean over samples.

    Args:
        synaptic_operations: spikes times the synapses that they reach.
        products: multiplications of a weight by what is no spike.
        spikes: of all neurons.
        neuron_updates: neurons times time steps.
        conversions: membranes read, of neurons that do not spike: units times time steps.
        inputs: spikes, or other numbers that are not 0, that arrive from outside.
        seconds: that the network's time takes in the model; a chip may be faster.
    """

    synaptic_operations: float
    products: float
    spikes: float
    neuron_updates: float
    conversions: float
    inputs: float
    seconds: float


@final
class Figure(Component):
    """A published number.

    Args:
        value: J for an event, W for power; ≥ 0. What is part of another figure, or does not exist, is 0, and the source
            says so.
        source: who measured it, how, and when.

    Raises:
        SnnlearnError: for a negative or infinite value, or no source.

    >>> Figure(23.6e-12, "Davies et al. 2018, Table 2").value
    2.36e-11
    """

    value: float = eqx.field(converter=float)
    source: str = eqx.field(static=True)

    def __check_init__(self):
        check_fields(self, "source")
        if not 0 <= self.value < math.inf:
            raise SnnlearnError(f"Figure: value is {self.value}; give a finite number of at least 0, in J or W")
        if not self.source.strip():
            raise SnnlearnError("Figure: source is empty; say where the number comes from")


class Term(NamedTuple):
    """A term of an account.

    Args:
        name: of the field of `Ledger`.
        times: how often, or for how long, s.
        figure: for each, or None if it is unknown.
    """

    name: str
    times: float
    figure: Figure | None

    @property
    def energy(self) -> float | None:
        """J; None if it is unknown."""
        return None if self.figure is None else self.times * self.figure.value


class Account(NamedTuple):
    """What an inference costs, term by term.

    Args:
        terms: of all that happens.
    """

    terms: tuple[Term, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the terms for which there is no figure."""
        return tuple(term.name for term in self.terms if term.figure is None)

    @property
    def lower_bound(self) -> float:
        """J, the sum of the terms that are known; the energy if none is missing, and less than it otherwise."""
        return sum(term.energy or 0.0 for term in self.terms)

    @property
    def total(self) -> float:
        """J.

        Raises:
            SnnlearnError: if a term is missing.
        """
        if self.missing:
            raise SnnlearnError(
                f"Account: there is no figure for {', '.join(self.missing)}, so there is no total; lower_bound is the "
                f"sum of the others, {self.lower_bound:.3g} J"
            )
        return self.lower_bound


@final
class Ledger(Component):
    """The energy of each thing that a chip does; None where nobody has published it.

    Args:
        synaptic_operation: J for a spike at a synapse.
        product: J for a weight times what is no spike.
        spike: J for a neuron's spike, with its way to other neurons.
        neuron_update: J for a neuron in a time step.
        conversion: J for reading a membrane.
        input: J for a spike, or number, from outside.
        power: W that are drawn all the time.
        speed_up: by what factor the chip is faster than the time of the model, > 0: 1000 for BrainScaleS-2.

    Raises:
        SnnlearnError: for a part of another kind, or a speed-up that is not positive.

    >>> ledger = Ledger(spike=Figure(1e-9, "a guess"), power=Figure(1e-3, "another"))
    >>> account = ledger.account(Events(0, 0, spikes=50, neuron_updates=0, conversions=10, inputs=0, seconds=0.1))
    >>> account.missing, round(1e6 * account.lower_bound, 2)
    (('conversion',), 100.05)
    """

    synaptic_operation: Figure | None = None
    product: Figure | None = None
    spike: Figure | None = None
    neuron_update: Figure | None = None
    conversion: Figure | None = None
    input: Figure | None = None
    power: Figure | None = None
    speed_up: float = eqx.field(converter=float, default=1.0)

    def __check_init__(self):
        check_fields(self, *_COUNTS, "power")
        if not 0 < self.speed_up < math.inf:
            raise SnnlearnError(f"Ledger: speed_up is {self.speed_up}; give a finite number above 0")

    def account(self, events: Events) -> Account:
        """What an inference costs.

        Args:
            events: what happens during it; what does not happen is no term.
        """
        counts = {name: float(getattr(events, count)) for name, count in _COUNTS.items()}
        counts["power"] = float(events.seconds) / self.speed_up
        return Account(tuple(Term(name, count, getattr(self, name)) for name, count in counts.items() if count > 0))


_COUNTS = {
    "synaptic_operation": "synaptic_operations",
    "product": "products",
    "spike": "spikes",
    "neuron_update": "neuron_updates",
    "conversion": "conversions",
    "input": "inputs",
}


@checked
def events(
    network: Network,
    encoder: AbstractEncoder,
    inputs: Float[Array, "B T ..."],
    lengths: Int[Array, " B"] | None = None,
) -> Events:
    """Count what happens during an inference, mean over samples, up to the end of each.

    Args:
        network: the network, on a chip or not.
        encoder: the encoder of the inputs, which says whether they are spikes.
        inputs: encoded data, `[B, T, *in_shape]`.
        lengths: after how many steps each sample ends; None if all go on to the last.

    Raises:
        SnnlearnError: if an argument is of another kind.

    >>> from snnlearn.coding import Rate
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> found = events(network, Rate(num_steps=10), jnp.ones((1, 10, 4)))
    >>> found.synaptic_operations, found.neuron_updates, found.conversions, round(found.seconds, 3)
    (120.0, 50.0, 20.0, 0.01)
    """
    if lengths is None:
        lengths = jnp.full(len(inputs), inputs.shape[1])
    done = operations(network, encoder, inputs, lengths)
    spikes, arrived = _counted(network, encoder, inputs, lengths)
    steps = float(jnp.mean(jnp.clip(lengths, 0, inputs.shape[1]).astype(jnp.result_type(float))))
    sizes = [(layer.neuron.spikes, math.prod(layer.shape)) for layer in network.layers]
    return Events(
        synaptic_operations=float(done.synops),
        products=float(done.macs),
        spikes=float(spikes),
        neuron_updates=steps * sum(size for _, size in sizes),
        conversions=steps * sum(size for spiking, size in sizes if not spiking),
        inputs=float(arrived),
        seconds=steps * network.dt,
    )


@eqx.filter_jit
def _counted(network: Network, encoder: AbstractEncoder, inputs: Array, lengths: Array) -> tuple[Array, Array]:
    """Spikes of all neurons, and numbers that arrive from outside, a held one once; means over samples."""

    def one(xs: Array, key: Array, length: Array) -> tuple[Array, Array]:
        outputs = unroll(network, xs, fresh_state(network, key=key))[0].outputs
        spikes = [
            jnp.sum(until(z, length) != 0)
            for z, layer in zip(outputs, network.layers, strict=True)
            if layer.neuron.spikes
        ]
        held = encoder.held_steps
        arrived = jnp.sum(until(xs[::held], -(-length // held)) != 0)
        return jnp.asarray(sum(spikes, start=jnp.zeros((), int))), arrived

    counts = jax.vmap(one)(inputs, jax.random.split(jax.random.key(0), len(inputs)), lengths)
    return tuple(jnp.mean(count.astype(jnp.result_type(float))) for count in counts)  # pyright: ignore
