"""A network: layers, and running them over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import time_steps
from snnlearn.coding.held import HeldValues
from snnlearn.coding.packed import PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.network.compiled import in_single_precision, lowered, run_compiled
from snnlearn.network.connection import line
from snnlearn.network.convolved import lowered_images, run_images
from snnlearn.network.graph import FROM_INPUT, Fire, check_graph, in_chain, propagate, routes
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.parallel import layer_by_layer, run_at_once
from snnlearn.network.shapes import check_steps
from snnlearn.network.state import check_fits
from snnlearn.network.synapses import Dense, is_key
from snnlearn.neurons import LI, LIF, AbstractNeuron


class Activity(NamedTuple):
    """What a network did.

    Args:
        outputs: of each layer, `[T, *shape]`; the last is the network's.
        records: the record of each layer, with a leading axis `T`.
    """

    outputs: tuple[Float[Array, "T ..."], ...]
    records: tuple[Any, ...]


@final
class Network(eqx.Module):
    """Layers and their connections, for one sample; use `jax.vmap` for a batch.

    In each step layers are computed in order. Bare synapses come from the layer before; a `Connection` may also come
    from the input, from the layer itself or, by name, from any other. Outputs of earlier layers act in the same step,
    all others a step later.

    Args:
        layers: at least one; the last gives the output. Connected layers must fit in size, and all must have the same
            time step.

    Raises:
        SnnlearnError: if the layers do not fit, a source is unknown, or a neuron's parameters do not fit its units.

    >>> from snnlearn.network import Connection
    >>> first, second, third = jax.random.split(jax.random.key(0), 3)
    >>> hidden = Layer(Dense(4, 3, key=first), LIF(), name="hidden")
    >>> readout = Layer([Dense(3, 2, key=second), Connection(Dense(4, 2, key=third), "input")], LI())
    >>> Network((hidden, readout)).out_shape
    (2,)
    """

    layers: tuple[Layer, ...]
    _example: ClassVar = "feedforward(...)"

    def __check_init__(self):
        check_fields(self, "layers")
        if not self.layers:
            raise SnnlearnError("Network: it has no layers; give at least one")
        check_graph(self.layers)
        for number, layer in enumerate(self.layers, start=1):
            _check_lengths(number, layer)
        steps = {layer.neuron.dt for layer in self.layers} | set(time_steps(self.layers).values())
        if len(steps) > 1:
            raise SnnlearnError(f"Network: its layers have time steps {sorted(steps)} s; give all the same dt")

    @property
    def dt(self) -> float:
        """The time step, s."""
        return self.layers[0].neuron.dt

    @property
    def in_shape(self) -> tuple[int, ...]:
        """The shape of one step's input."""
        return next(
            connection.synapses.in_shape
            for layer, ways in zip(self.layers, routes(self.layers), strict=True)
            for connection, (source, _) in zip(layer.connections, ways, strict=True)
            if source == FROM_INPUT
        )

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of one step's output."""
        return self.layers[-1].out_shape

    def initial_state(self, *, key: PRNGKeyArray | None = None) -> tuple[LayerState, ...]:
        """The state at rest, layer by layer.

        Args:
            key: random key of the noise, if neurons or synapses draw random numbers; None is a fixed key, so every run
                has the same noise.
        """
        rest = tuple(
            LayerState(
                layer.neuron.initial_state(layer.shape),
                tuple(line(connection, way.lag) for connection, way in zip(layer.connections, ways, strict=True)),
                tuple(connection.synapses.initial_state() for connection in layer.connections),
            )
            for layer, ways in zip(self.layers, routes(self.layers), strict=True)
        )
        return with_noise(rest, jax.random.key(0) if key is None else key)

    def step(
        self, x: Float[Array, "..."], state: tuple[LayerState, ...]
    ) -> tuple[Float[Array, "..."], tuple[LayerState, ...]]:
        """One time step through all layers: input `[*in_shape]` and state in, output and state out."""
        outputs, after = self.run_step(x, state)
        return outputs[-1], after

    def run_step(
        self, x: Float[Array, "..."], state: tuple[LayerState, ...], fire: Fire | None = None
    ) -> tuple[list[Float[Array, "..."]], tuple[LayerState, ...]]:
        """Like `step`, with the output of each layer, and with `fire` in place of the neurons, if given."""
        return propagate(
            self.layers,
            x,
            state,
            lambda number, arriving, states: self.layers[number].currents(arriving, states),
            fire or (lambda number, current, state: self.layers[number].neuron(current, state)),
        )

    def __call__(
        self, xs: Float[Array, "T ..."] | PackedSpikes | HeldValues, state: tuple[LayerState, ...] | None = None
    ) -> tuple[Float[Array, "T ..."], tuple[LayerState, ...]]:
        """All time steps.

        Args:
            xs: input, `[T, *in_shape]`, packed spikes, or held values.
            state: the state before the first step; None is at rest. To run a long sequence in pieces, pass on the
                state.

        Returns:
            the last layer's output, `[T, *out_shape]`, and the state after the last step.

        >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
        >>> ys, state = network(jax.numpy.ones((10, 4)))
        >>> ys.shape
        (10, 2)
        """
        activity, state = unroll(self, xs, state)
        return activity.outputs[-1], state


def fresh_state(network: Network, *, key: PRNGKeyArray) -> tuple[LayerState, ...]:
    """The state at rest for one sample, with noise from its key if neurons or synapses draw random numbers.

    Args:
        network: the network.
        key: the sample's random key. The noise comes from a branch that no encoder and no rule uses.
    """
    return network.initial_state(key=jax.random.fold_in(key, 2**32 - 1))


def _check_lengths(number: int, layer: Layer) -> None:
    """Refuse neurons whose parameters are neither one number nor one for each unit of the layer."""
    for path, leaf in jax.tree.leaves_with_path(layer.neuron):
        if eqx.is_array(leaf) and not _broadcasts(leaf.shape, layer.shape):
            name = next(
                (key.name for key in reversed(path) if getattr(key, "name", "log") not in ("log", "array")),
                "a parameter",
            )
            raise SnnlearnError(
                f"Network: layer {number} has units of shape {list(layer.shape)}, but {name} of its "
                f"{type(layer.neuron).__name__} is of shape {list(leaf.shape)}; give one number, or one for each unit"
            )


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def with_noise(states: Any, key: PRNGKeyArray) -> Any:
    """The states with fresh noise: every key in them is replaced."""
    leaves, structure = jax.tree.flatten(states)
    fresh = [jax.random.fold_in(key, number) if is_key(leaf) else leaf for number, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, fresh)


Record = Callable[[Any], Any]
"""What to record of each layer: a function of its neurons' state after each step."""


def nothing(state: Any) -> None:
    """Record nothing but the layers' outputs."""


@checked
def unroll(
    network: Network,
    xs: Float[Array, "T ..."] | PackedSpikes | HeldValues,
    state: tuple[LayerState, ...] | None = None,
    *,
    record: Record = nothing,
) -> tuple[Activity, tuple[LayerState, ...]]:
    """Run a network over time and keep what each layer did.

    One scan computes all layers in each step. Where no layer is fed back and every neuron is `affine`, such as LRU, LI,
    units without time, and spiking neurons without reset, there is no loop over time: layer by layer, associative scans
    compute all steps, which is the same up to rounding. (A spike may differ where a membrane is at its threshold.)
    Where no layer is fed back and synapses have delays, each layer takes all steps before the next.

    The compiled kernels run it if they know all layers (`why_not_compiled`), all numbers are float32 and only outputs
    are recorded. They have first derivatives, in reverse and forward mode; for second ones use `kernels.plain()`.
    They also run layers of images that are no chain, such as a residual network's; its derivative is that of the scan.

    Args:
        network: the network.
        xs: input, `[T, *in_shape]`, packed spikes, or held values.
        state: the state before the first step; None is at rest.
        record: a function of a layer's neuron state after each step, such as `lambda state: state.v`.

    Returns:
        the activity, and the state after the last step.

    Raises:
        SnnlearnError: if an argument is of another kind, or the input of a step has not the network's size. A batch
            whose samples have as many numbers as the network takes in a step cannot be told from images over time.

    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> activity, state = unroll(network, jax.numpy.ones((10, 4)), record=lambda state: state.v)
    >>> [v.shape for v in activity.records]
    [(10, 3), (10, 2)]
    """
    if state is None:
        state = network.initial_state()
    else:
        check_fits("unroll", state, jax.eval_shape(network.initial_state), of_kind=False)
    if isinstance(xs, PackedSpikes):
        xs.check_words()
        if math.prod(xs.words.shape[1:]) != math.prod(network.in_shape):
            raise SnnlearnError(
                f"unroll: the spikes of a step have shape {xs.words.shape[1:]}, and the network takes "
                f"{network.in_shape}; make their sizes equal"
            )
    else:
        values = xs.values if isinstance(xs, HeldValues) else xs
        check_steps("unroll", network.in_shape, ("T",), xs=values)
        if not len(values):
            raise SnnlearnError(f"unroll: xs has shape {values.shape}, no time steps; give at least one")
    if record is nothing and in_single_precision((xs, state)):
        if not isinstance(parts := lowered(network.layers), str):
            outputs, state = run_compiled(network.layers, parts, xs, state)
            return Activity(outputs, (None,) * len(outputs)), state
        if not isinstance(images := lowered_images(network.layers), str):
            if in_chain(network.layers) is not None:
                return _graph_of_images(network, numbers(xs), state)
            outputs, _, state = run_images(network.layers, images, numbers(xs), state)
            return Activity(outputs, (None,) * len(outputs)), state
    xs = numbers(xs)
    if layer_by_layer(network.layers):
        outputs, records, state = run_at_once(network.layers, xs, state, record)
        return Activity(outputs, records), state
    return _scan(network, xs, state, record)


def mean_outputs(
    network: Network, xs: Float[Array, "T ..."] | PackedSpikes | HeldValues
) -> tuple[Float[Array, "..."], ...]:
    """The mean over time of each layer's output, from rest; without a derivative.

    Where the kernels of images run the network, they count its spikes, which costs less than to write them down.

    Args:
        network: the network.
        xs: its input, as that of `unroll`.
    """
    state = network.initial_state()
    images = lowered_images(network.layers)
    if isinstance(images, str) or not in_single_precision((xs, state)):
        return tuple(jnp.mean(output, axis=0) for output in unroll(network, xs)[0].outputs)
    values = numbers(xs)
    _, sums, _ = run_images(network.layers, images, values, state)
    return tuple(total / len(values) for total in sums)


def _scan(network: Network, xs: Float[Array, "T ..."], state: tuple[LayerState, ...], record: Record) -> Any:
    """The definition: one step after the other."""

    def step(states, x):
        outputs, after = network.run_step(x, states)
        return after, Activity(tuple(outputs), tuple(record(state.neuron) for state in after))

    state, activity = jax.lax.scan(step, state, xs)
    return activity, state


@eqx.filter_custom_jvp
def _graph_of_images(network: Network, xs: Float[Array, "T ..."], state: tuple[LayerState, ...]) -> Any:
    """By the kernels, which have no derivative of layers that are no chain."""
    images = lowered_images(network.layers)
    assert not isinstance(images, str)
    outputs, _, state = run_images(network.layers, images, xs, state)
    return Activity(outputs, (None,) * len(outputs)), state


@_graph_of_images.def_jvp
def _(primals, tangents):
    return eqx.filter_jvp(lambda network, xs, state: _scan(network, xs, state, nothing), primals, tangents)


@checked
def feedforward(
    sizes: Sequence[int],
    *,
    neuron: AbstractNeuron = LIF(),
    readout: AbstractNeuron = LI(),
    recurrent: bool = False,
    use_bias: bool = False,
    key: PRNGKeyArray,
) -> Network:
    """A network of dense layers.

    Args:
        sizes: inputs, units of each hidden layer, units of the readout; at least two numbers.
        neuron: the hidden layers' neurons.
        readout: the last layer's neurons.
        recurrent: whether each hidden layer is also connected to itself.
        use_bias: whether each unit also gets a trained constant current.
        key: random key of the weights.

    Raises:
        SnnlearnError: if an argument is of another kind, or a size below 1.

    >>> feedforward((64, 128, 10), key=jax.random.key(0)).out_shape
    (10,)
    """
    if len(sizes) < 2:
        raise SnnlearnError(f"feedforward: sizes is {tuple(sizes)}; give at least the inputs and the outputs")
    keys = iter(jax.random.split(key, 2 * len(sizes)))
    layers = []
    for in_size, out_size in pairwise(sizes):
        last = len(layers) == len(sizes) - 2
        synapses = Dense(in_size, out_size, use_bias=use_bias, key=next(keys))
        loop = Dense(out_size, out_size, key=next(keys)) if recurrent and not last else None
        layers.append(Layer(synapses, readout if last else neuron, loop))
    return Network(tuple(layers))
