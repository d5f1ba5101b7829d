"""What all three-factor rules share: eligibility, filter and learning signal, in one pass over time."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.losses import AbstractFilteredLoss, AbstractLoss, Kernel
from snnlearn.network import Network
from snnlearn.rules import traces as tr
from snnlearn.rules.base import start_state
from snnlearn.rules.eligibility import carrier
from snnlearn.rules.feedback import AbstractFeedback, StoredFeedback
from snnlearn.rules.local import Local, linearise
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, of_layers, parts

BATCH = Local(2, 1, 2, 1, 0, 1)  # pyright: ignore[reportArgumentType]
"""Where the batch goes in the derivatives of a step: just before the units."""


class Memory(NamedTuple):
    """All that the past leaves behind, for a batch side by side.

    Args:
        state: the network's.
        traces: the layers'.
        output: the loss's own filter, `[F, B, *out]`.
        counts: spikes of each hidden layer so far, `[B, *shape]`, if their rate matters.
    """

    state: Any
    traces: tuple[tr.LayerTraces, ...]
    output: Float[Array, "F B *out"]
    counts: tuple[Float[Array, "B ..."], ...]


Inputs = tuple[Float[Array, "B ..."], Float[Array, "B ..."] | None]
"""Of a layer's input synapses, and of its recurrent ones."""


def linearised_step(
    network: Network, states: Any, x: Float[Array, "B ..."]
) -> tuple[Any, tuple[Inputs, ...], tuple[Local, ...], tuple[Float[Array, "B ..."], ...]]:
    """One step of a batch: states, and each layer's inputs, derivatives and output."""
    after, inputs, local, outputs = [], [], [], []
    for layer, state in zip(network.layers, states, strict=True):
        inputs.append((x, state.output))
        current = jax.vmap(layer.current)(x, state)
        x, neuron, derivatives = jax.vmap(
            lambda current, state, neuron=layer.neuron: linearise(neuron, current, state), out_axes=(0, 0, BATCH)
        )(current, state.neuron)
        after.append(state._replace(neuron=neuron, output=None if layer.recurrent is None else x))
        local.append(derivatives)
        outputs.append(x)
    return tuple(after), tuple(inputs), tuple(local), tuple(outputs)


class AbstractThreeFactorRule(AbstractOnlineRule):
    r"""$\partial\mathcal L/\partial\theta\approx\sum_t L^t\,(h*e)^t$: learning signal, filter, eligibility trace.

    The trace of each parameter follows its own unit; the signal says how much better the unit had better fire; the
    filter bridges the delay between the unit's spikes and the error they cause. What differs from rule to rule is the
    filter, and how the signal reaches hidden units.
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
        """By how much each layer's output is taken to change with its current, on an error's way back."""

    @property
    def block_size(self) -> int:
        """See the base: enough for the products of a block to be worth their while."""
        return 128

    def start(self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray) -> Memory:
        """See the base."""
        plans, loss_parts = _plans(self, network, loss), parts(self, loss)
        for plan, layer in zip(plans, network.layers, strict=True):
            tr.check_synapses(type(self).__name__, plan, layer)
        return Memory(
            state=start_state(network, batch_size, key=key),
            traces=tuple(tr.at_rest(p, layer, batch_size) for p, layer in zip(plans, network.layers, strict=True)),
            output=_output_kernel(loss_parts.steps).at_rest((batch_size, *network.out_shape)),
            counts=tuple(jnp.zeros((batch_size, *layer.shape)) for layer in network.layers[:-1] if loss_parts.rates),
        )

    def advance(
        self, network: Network, loss: AbstractLoss, memory: Memory, xs: Float[Array, "K B ..."], moments: Any
    ) -> tuple[Memory, Float[Array, ""], Network]:
        """See the base."""
        plans, per_step = _plans(self, network, loss), parts(self, loss).steps
        output_kernel, batch_size = _output_kernel(per_step), xs.shape[1]
        layers = network.layers

        def step(carry, now):
            memory, value = carry
            x, moment = now
            states, inputs, local, outputs = linearised_step(network, memory.state, x)
            seen, filtered = output_kernel.step(outputs[-1], memory.output)
            values, errors = jax.vmap(jax.value_and_grad(per_step.at_step))(seen, moment)
            errors = errors / batch_size
            signals = jax.vmap(self.feedback, in_axes=(None, 0, 0))(network, errors, self.responses(local))
            stepped = [
                tr.step(*each)
                for each in zip(plans, layers, memory.traces, local, inputs, (*signals, errors), strict=True)
            ]
            counts = tuple(n + z for n, z in zip(memory.counts, outputs, strict=False))
            memory = Memory(states, tuple(traces for traces, _ in stepped), filtered, counts)
            return (memory, value + jnp.mean(values)), [block for _, block in stepped]

        (memory, value), blocks = jax.lax.scan(step, (memory, jnp.zeros(())), (xs, moments))
        closed = [tr.close(*each) for each in zip(plans, layers, memory.traces, blocks, strict=True)]
        memory = memory._replace(traces=tuple(traces for traces, _ in closed))
        gradient = of_layers(network, (gradient for _, gradient in closed))
        return memory, value, _with_learnt_feedback(self.feedback, gradient)

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Memory, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: bands of firing rates."""
        none, zero = no_gradient(network)
        rates = parts(self, loss).rates
        if not rates:
            return none, zero

        def penalty(counts):
            hertz = tuple(count / (num_steps * network.dt) for count in counts)
            return sum((weight * band.of_rates(hertz) for weight, band in rates), start=jnp.zeros(()))

        value, signals = jax.value_and_grad(lambda counts: jnp.mean(jax.vmap(penalty)(counts)))(memory.counts)
        hidden = zip(network.layers[:-1], memory.traces[:-1], signals, strict=True)
        return value, of_layers(network, (*(tr.accumulated(*each) for each in hidden), zero.layers[-1]))


def _plans(rule: AbstractThreeFactorRule, network: Network, loss: AbstractLoss) -> tuple[tr.LayerPlan, ...]:
    """The rule's plans; where a rate matters, hidden layers also sum their eligibility, by a filter without decay."""
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
    if not (isinstance(feedback, StoredFeedback) and feedback.learns):
        return gradient
    *_, last, readout = gradient.layers
    weight = carrier(readout.synapses).weight.T  # pyright: ignore[reportAttributeAccessIssue]
    assert last.feedback is not None
    return eqx.tree_at(lambda n: n.layers[-2].feedback, gradient, weight.reshape(last.feedback.shape))
