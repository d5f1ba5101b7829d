"""The common part of three-factor rules: eligibility, filter and learning signal, in one pass over time."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._parameters import trained
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.coding.packed import later
from snnlearn.kernels import why_plain
from snnlearn.kernels.products import currents, known_spikes, numbers
from snnlearn.losses import AbstractFilteredLoss, AbstractLoss, Kernel
from snnlearn.network import Layer, Network
from snnlearn.network.compiled import in_single_precision, lowered, record_compiled
from snnlearn.network.graph import FROM_INPUT, Route, propagate, routes
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.rules import traces as tr
from snnlearn.rules.base import start_state
from snnlearn.rules.feedback import AbstractFeedback
from snnlearn.rules.local import Local, linearise, only_while
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, of_layers, parts
from snnlearn.rules.traces import Arrived

BATCH = Local(2, 1, 2, 1, 0, 1)  # pyright: ignore[reportArgumentType]
"""Where the batch goes in the derivatives of a step: just before the units."""


class Memory(NamedTuple):
    """The memory of the past, for a batch.

    Args:
        state: the network's.
        traces: the layers'.
        output: the state of the loss's filter, `[F, B, *out]`.
        counts: spikes of each hidden layer so far, `[B, *shape]`, if their rate matters.
        steps: how many steps each sample has had so far.
    """

    state: Any
    traces: tuple[tr.LayerTraces, ...]
    output: Float[Array, "F B *out"]
    counts: tuple[Float[Array, "B ..."], ...]
    steps: Float[Array, " B"]


Current = Callable[[Any], Float[Array, "K B ..."]]
"""From what arrives at synapses in K steps of a batch to currents."""


def current_of(synapses: AbstractSynapses, *, spikes: bool) -> Current | None:
    """The currents of synapses, by the event-driven kernels if the input consists of spikes.

    None if they depend on a state, and so are not known in advance.
    """
    if synapses.initial_state() is not None:
        return None
    if spikes and not isinstance(lowered := synapses.lowered(), str):
        by_weight, bias = currents(lowered.weight), lowered.bias
        return by_weight if bias is None else lambda xs: by_weight(xs) + bias[None, None]
    each = jax.vmap(jax.vmap(synapses))
    return lambda xs: (
        HeldValues(each(xs.values), xs.steps).unpack() if isinstance(xs, HeldValues) else each(numbers(xs))
    )


Bring = tuple[tuple[Current | None, ...], ...]
"""What makes the currents of each layer's connections; None where their synapses have a state."""


def currents_of(network: Network, xs: Arrived) -> Bring:
    """The functions that compute currents at each layer's connections, prepared for a block with input `xs`."""
    gives = _give_spikes(network, xs)
    return tuple(
        tuple(
            current_of(connection.synapses, spikes=gives[source])
            for connection, (source, _) in zip(layer.connections, ways, strict=True)
        )
        for layer, ways in zip(network.layers, routes(network.layers), strict=True)
    )


def _give_spikes(network: Network, xs: Arrived) -> dict[int, bool]:
    """Which layers give only spikes, and whether the input does."""
    given = {number: layer.neuron.spikes for number, layer in enumerate(network.layers)}
    return {FROM_INPUT: isinstance(xs, PackedSpikes)} | given


class Ready(NamedTuple):
    """The part of a block's steps, or of one step, that depends only on the input.

    Args:
        currents: for each connection of the input without delay or state, `[K, B, *out]`; None for all others.
        xs: the input itself, if another connection needs it.
    """

    currents: tuple[tuple[Float[Array, "..."] | None, ...], ...]
    xs: Float[Array, "..."] | None


def ready(network: Network, bring: Bring, xs: Arrived) -> Ready:
    """The products of the input with its weights, for all steps of a block at once."""
    ways = routes(network.layers)
    currents = tuple(
        tuple(
            by(xs) if by is not None and way == (FROM_INPUT, 0) else None for by, way in zip(of_layer, its, strict=True)
        )
        for of_layer, its in zip(bring, ways, strict=True)
    )
    of_input = (
        (way, by) for of_layer, its in zip(bring, ways, strict=True) for by, way in zip(of_layer, its, strict=True)
    )
    later = any(way.source == FROM_INPUT and (way.lag or by is None) for way, by in of_input)
    return Ready(currents, numbers(xs) if later else None)


def linearised_step(
    network: Network, bring: Bring, states: Any, now: Ready
) -> tuple[Any, tuple[Local, ...], list[Float[Array, "B ..."]]]:
    """One step of a batch: states, and each layer's derivatives and output."""
    local = []

    def currents(number: int, arriving: Sequence[Any], states: Sequence[Any]) -> tuple[Any, list[Any]]:
        layer, each, after = network.layers[number], [], list(states)
        for n, (by, x, known) in enumerate(zip(bring[number], arriving, now.currents[number], strict=True)):
            if by is None:
                known, after[n] = jax.vmap(layer.connections[n].synapses.step)(x, states[n])
            elif known is None:
                known = by(x[None])[0]
            each.append(known)
        return layer.total(each), after

    def fire(number: int, current: Any, state: Any) -> tuple[Array, Any]:
        output, after, derivatives = jax.vmap(
            lambda current, state: linearise(network.layers[number].neuron, current, state), out_axes=(0, 0, BATCH)
        )(current, state)
        local.append(derivatives)
        return output, after

    outputs, after = propagate(network.layers, now.xs, states, currents, fire, each=jax.vmap)
    return after, tuple(local), outputs


def linearised_steps(
    network: Network, xs: Arrived, states: Any
) -> tuple[Any, tuple[Local, ...], Sequence[Float[Array, "K B ..."] | PackedSpikes]]:
    """K steps of a batch: states, and each layer's derivatives and output in each step.

    The kernels, where they know all layers, run through the steps and record with what each began. A neuron's
    derivatives are those of its step from there, whoever ran it.
    """
    layers = network.layers
    some = all(leaf.size for leaf in jax.tree.leaves(xs))
    if some and not isinstance(parts := lowered(layers), str) and in_single_precision((xs, states)):
        outputs, began, after = record_compiled(layers, parts, xs, states)
        each = [
            jax.vmap(jax.vmap(_derivatives(layer), out_axes=BATCH))(*at)
            for layer, at in zip(layers, began, strict=True)
        ]
        return after, tuple(each), outputs
    bring = currents_of(network, xs)

    def step(states, now):
        states, local, outputs = linearised_step(network, bring, states, now)
        return states, (local, outputs)

    states, (local, outputs) = jax.lax.scan(step, states, ready(network, bring, xs))
    return states, local, outputs


def _derivatives(layer: Layer) -> Callable[[Array, Any], Local]:
    return lambda current, state: linearise(layer.neuron, current, state)[2]


def arrived(
    network: Network, before: Any, xs: Arrived, outputs: Sequence[Float[Array, "K B ..."] | PackedSpikes]
) -> list[tuple[Arrived, ...]]:
    """The input of each layer's connections in a block that began in the states `before`."""
    gives = _give_spikes(network, xs)
    sent: dict[int, Arrived] = dict(enumerate(outputs)) | {FROM_INPUT: xs}

    def at(way: Route, line: Float[Array, "B lag ..."] | None) -> Arrived:
        given = sent[way.source]
        if line is not None:
            waiting = jnp.swapaxes(line, 0, 1)
            if isinstance(given, PackedSpikes) and len(waiting) < 32:
                words = given.words.reshape(given.num_words, *waiting.shape[1:])
                return later(PackedSpikes(words, given.num_steps), waiting)
            given = numbers(given)
            given = given.reshape(*given.shape[:2], *waiting.shape[2:])
            given = jnp.concatenate([waiting, given])[: len(given)]
        if isinstance(given, (PackedSpikes, HeldValues)) or not gives[way.source]:
            return given
        return known_spikes(given)

    return [
        tuple(at(way, line) for way, line in zip(ways, state.lines, strict=True))
        for ways, state in zip(routes(network.layers), before, strict=True)
    ]


class AbstractThreeFactorRule(AbstractOnlineRule):
    r"""$\partial\mathcal L/\partial\theta\approx\sum_t L^t\,(h*e)^t$: learning signal, filter, eligibility trace.

    The trace of each parameter follows its unit; the signal is the change of the loss with the unit's firing; the
    filter bridges the delay between the unit's spikes and the error that they cause. Rules differ in the filter, and in
    how the signal reaches hidden units.
    """

    feedback: eqx.AbstractVar[AbstractFeedback]

    @abstractmethod
    def plan(self, network: Network, loss: AbstractLoss) -> tuple[tr.LayerPlan, ...]:
        """How each layer is treated.

        Raises:
            SnnlearnError: if the rule is not defined for this network or this loss, with the rule that is.
        """

    @abstractmethod
    def responses(self, local: tuple[Local, ...]) -> tuple[Float[Array, "B ..."], ...]:
        """The derivative of each layer's output with respect to its current, for errors on their way back."""

    def why_plain(self, network: Network) -> str | None:
        """See the base: products of input spikes and weights are event-driven if the weights are a matrix."""
        weights = network.layers[0].synapses.lowered()
        return f"layer 1 {weights}" if isinstance(weights, str) else why_plain()

    def trained(self, network: Network) -> Any:
        """See the base; feedback weights that learn are trained too."""
        if self.feedback.learns:
            return trained(network)
        return super().trained(network)

    @property
    def block_size(self) -> int:
        """See the base: enough to make the products of a block efficient."""
        return 128

    def start(self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray) -> Memory:
        """See the base."""
        plans, loss_parts = _plans(self, network, loss), parts(self, loss)
        for plan, layer in zip(plans, network.layers, strict=True):
            tr.check_layer(type(self).__name__, plan, layer)
        return Memory(
            state=start_state(network, batch_size, key=key),
            traces=tuple(tr.at_rest(p, layer, batch_size) for p, layer in zip(plans, network.layers, strict=True)),
            output=_output_kernel(loss_parts.steps).at_rest((batch_size, *network.out_shape)),
            counts=tuple(jnp.zeros((batch_size, *layer.shape)) for layer in network.layers[:-1] if loss_parts.rates),
            steps=jnp.zeros(batch_size),
        )

    def advance(
        self, network: Network, loss: AbstractLoss, memory: Memory, xs: Arrived, moments: Any
    ) -> tuple[Memory, Float[Array, ""], Network]:
        """See the base."""
        plans, per_step = _plans(self, network, loss), parts(self, loss).steps
        output_kernel = _output_kernel(per_step)
        layers, batch_size = network.layers, jax.tree.leaves(xs)[0].shape[1]
        states, local, outputs = linearised_steps(network, xs, memory.state)
        seen, filtered = output_kernel.all_steps(numbers(outputs[-1]), memory.output)
        values, errors = jax.vmap(jax.vmap(jax.value_and_grad(per_step.at_step)))(seen, moments)
        errors = errors / batch_size
        feedback = jax.vmap(self.feedback, in_axes=(None, 0, 0))
        signals = jax.vmap(feedback, in_axes=(None, 0, 0))(network, errors, self.responses(local))
        on = jax.vmap(jax.vmap(per_step.goes_on))(moments)
        if on is None:
            on = jnp.ones(errors.shape[:2], bool)
        elif memory.counts:  # after the end there is no error, but there would be spikes to count
            local = tuple(jax.vmap(only_while)(on, each) for each in local)
        counts = tuple(
            n + jnp.einsum("kb,kb...->b...", on.astype(n.dtype), numbers(z))
            for n, z in zip(memory.counts, outputs, strict=False)
        )
        pres = arrived(network, memory.state, xs, outputs)
        closed = [
            tr.all_steps(*each)
            for each in zip(plans, layers, memory.traces, local, (*signals, errors), pres, strict=True)
        ]
        traces = tuple(traces for traces, _ in closed)
        memory = Memory(states, traces, filtered, counts, memory.steps + jnp.sum(on, axis=0, dtype=memory.steps.dtype))
        gradient = of_layers(network, (gradient for _, gradient in closed))
        return memory, jnp.sum(jnp.mean(values, axis=1)), _with_learnt_feedback(self.feedback, gradient)

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Memory, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: firing-rate bands."""
        none, zero = no_gradient(network)
        rates = parts(self, loss).rates
        if not rates:
            return none, zero

        def penalty(counts, steps):
            hertz = tuple(count / (steps * network.dt) for count in counts)
            return sum((weight * band.of_rates(hertz) for weight, band in rates), start=jnp.zeros(()))

        def mean(counts):
            return jnp.mean(jax.vmap(penalty)(counts, memory.steps))

        value, signals = jax.value_and_grad(mean)(memory.counts)
        hidden = zip(network.layers[:-1], memory.traces[:-1], signals, strict=True)
        return value, of_layers(network, (*(tr.accumulated(*each) for each in hidden), zero.layers[-1]))


def _plans(rule: AbstractThreeFactorRule, network: Network, loss: AbstractLoss) -> tuple[tr.LayerPlan, ...]:
    """The rule's plans; if a rate matters, hidden layers also sum their eligibility, by a filter without decay."""
    plans = rule.plan(network, loss)
    if not parts(rule, loss).rates:
        return plans
    *hidden, readout = plans
    return (*(plan._replace(kernel=_with_sum(plan.kernel)) for plan in hidden), readout)


def _with_sum(kernel: Kernel) -> Kernel:
    return Kernel(kernel.direct, jnp.append(kernel.gains, 0.0), jnp.append(kernel.poles, 1.0))


def _output_kernel(loss: AbstractLoss) -> Kernel:
    return loss.kernel if isinstance(loss, AbstractFilteredLoss) else Kernel(1.0, jnp.zeros(0), jnp.zeros(0))


def _with_learnt_feedback(feedback: AbstractFeedback, gradient: Network) -> Network:
    """Feedback weights that learn get the gradient of the readout's weights."""
    if not feedback.learns:
        return gradient
    *_, last, readout = gradient.layers
    (forward,) = (
        connection.synapses
        for connection, way in zip(readout.connections, routes(gradient.layers)[-1], strict=True)
        if way == (len(gradient.layers) - 2, 0)
    )
    weight = forward.carrier.weight.T  # pyright: ignore[reportAttributeAccessIssue]
    assert last.feedback is not None
    return eqx.tree_at(lambda n: n.layers[-2].feedback, gradient, weight.reshape(last.feedback.shape))
