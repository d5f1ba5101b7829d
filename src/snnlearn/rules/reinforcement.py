r"""Learning from reward alone: the fluctuations of irregular spikes, correlated with the reward.

$\nabla E[\mathcal L]=E[(\mathcal L-b)\,e]$ with $e=\sum_t\nabla\log P(z^t\mid\text{past})$, for any baseline b that
does not depend on the sample's spikes (Williams 1992, doi:10.1007/BF00992696). Given the spikes, units do not affect
each other, so e is an eligibility trace: each synapse keeps its own, and only needs the reward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, check_positive
from snnlearn.coding import AbstractDecoder, HeldValues, PackedSpikes, SpikeCount
from snnlearn.losses import AbstractLoss, Kernel
from snnlearn.network import Network
from snnlearn.neurons import AbstractNeuron
from snnlearn.rules import traces as tr
from snnlearn.rules.base import AbstractRule, by_step, going_on, start_state
from snnlearn.rules.local import only_while
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, of_layers, steps_of, stepwise
from snnlearn.rules.three_factor import arrived, currents_of, linearised_step, ready

Baseline = Callable[[Float[Array, " B"]], Float[Array, " B"]]
"""What is subtracted from the losses of a batch, `[B]`: of each sample, a number that does not depend on its spikes."""


def no_baseline(losses: Float[Array, " B"]) -> Float[Array, " B"]:
    """Zero."""
    return jnp.zeros_like(losses)


def leave_one_out(losses: Float[Array, " B"]) -> Float[Array, " B"]:
    """The mean loss of the other samples.

    Raises:
        SnnlearnError: if there are no others.

    >>> leave_one_out(jnp.array([1.0, 2.0, 6.0]))
    Array([4. , 3.5, 1.5], dtype=float32)
    """
    if len(losses) < 2:
        raise SnnlearnError("leave_one_out: the batch has 1 sample; give at least 2, or use no_baseline")
    return (jnp.sum(losses) - losses) / (len(losses) - 1)


@final
class XieSeung(AbstractRule):
    r"""Reinforcement of irregular spiking, $\Delta W=\eta\,(R-b)\,e$ (Xie & Seung 2004), for any loss.

    doi:10.1103/PhysRevE.69.041909. The reward is $R=-\mathcal L$ of the sample's whole sequence, and the gradient is
    unbiased for that of the expected loss: no surrogate is involved. The eligibility is that of the discrete
    time step, $e=\sum_t\frac{z^t-p^t}{p^t(1-p^t)}\frac{\partial p^t}{\partial W}$ along the unit's own membrane; for
    short steps it is the paper's $\int\phi\,(s-f)\,h\,dt$. Every layer draws its spikes, by `EscapeNoise`. Not the
    paper's: recurrent synapses, biases and trained neurons.

    Args:
        baseline: b, as a function of the batch's losses: `leave_one_out`, which has the lower variance, or
            `no_baseline`, which is the paper's.

    >>> from snnlearn.losses import MeanSquaredError
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LIF, EscapeNoise, Sigmoid
    >>> neuron = EscapeNoise(LIF(surrogate=Sigmoid(slope=5.0)))
    >>> network = feedforward((4, 3, 2), neuron=neuron, readout=neuron, key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.ones((5, 10, 2))
    >>> loss, gradient = eqx.filter_jit(XieSeung())(network, MeanSquaredError(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    usual_decoder: ClassVar[type[AbstractDecoder]] = SpikeCount
    baseline: Baseline = eqx.field(static=True, default=leave_one_out)

    def reference(self) -> AbstractRule:
        """Itself: it estimates the gradient of the expected loss under the network's noise, without surrogates."""
        return self

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        check_one_dt(self, network.dt, loss=loss)
        batch_size = len(targets)
        total = Kernel(0.0, jnp.zeros(1), jnp.ones(1))
        memory = _start(self, total, network, batch_size, key)
        unrewarded = jnp.zeros(batch_size)
        xs = by_step(inputs)
        on = going_on(loss, targets, steps_of(inputs))
        memory, outputs, _, _ = _advance(
            total, network, memory, xs, on, lambda *_: (unrewarded, unrewarded), lambda on: on
        )
        losses = jax.vmap(loss, in_axes=(1, 0))(outputs, targets)
        surprise = (losses - self.baseline(losses)) / batch_size
        gradient = [
            tr.accumulated(layer, traces, _of_units(surprise, layer.shape))
            for layer, traces in zip(network.layers, memory.traces, strict=True)
        ]
        return jnp.mean(losses), of_layers(network, gradient)


@final
class OnlineXieSeung(AbstractOnlineRule):
    r"""Reinforcement of irregular spiking with a reward in each step, $\Delta W^t=\eta\,(r^t-b^t)\,\bar e^t$.

    The online form of Xie & Seung 2004 (doi:10.1103/PhysRevE.69.041909): the eligibility of `XieSeung` is forgotten
    with time constant $\tau_e$, $\bar e^t=e^{-dt/\tau_e}\bar e^{t-1}+\nabla\log P(z^t\mid\text{past})$, and the reward
    $r^t=-\ell^t$ is that of the step. It neglects the effect of a spike on late rewards, less so as
    $\tau_e\to\infty$. Not the paper's: its $\bar e$ is smaller, by $1/\tau_e$; and see `XieSeung`.

    Args:
        tau_e: time constant of the eligibility, s, > 0.
        baseline: b, as in `XieSeung`, of each step's losses.

    Raises:
        SnnlearnError: for a time constant out of range.
    """

    tau_e: float = 20e-3
    baseline: Baseline = eqx.field(static=True, default=leave_one_out)

    def __check_init__(self):
        check_positive(self, tau_e=self.tau_e)

    @property
    def block_size(self) -> int:
        """See the base: enough to make the products of a block efficient."""
        return 25

    def start(self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray) -> Memory:
        """See the base."""
        stepwise(self, loss)
        return _start(self, self._kernel(network), network, batch_size, key)

    def advance(
        self,
        network: Network,
        loss: AbstractLoss,
        memory: Memory,
        xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
        moments: Any,
    ) -> tuple[Memory, Float[Array, ""], Network]:
        """See the base."""
        at_step = stepwise(self, loss).at_step

        def reward(output, moment):
            losses = jax.vmap(at_step)(output, moment)
            return losses, (losses - self.baseline(losses)) / len(losses)

        going = jax.vmap(stepwise(self, loss).goes_on)
        memory, _, losses, gradient = _advance(self._kernel(network), network, memory, xs, moments, reward, going)
        return memory, jnp.sum(jnp.mean(losses, axis=1)), gradient

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Memory, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: nothing."""
        return no_gradient(network)

    def _kernel(self, network: Network) -> Kernel:
        return Kernel(0.0, jnp.ones(1), jnp.full(1, math.exp(-network.dt / self.tau_e)))


class Memory(NamedTuple):
    """The memory of the past, for a batch: the network's state, and the layers' traces."""

    state: Any
    traces: tuple[tr.LayerTraces, ...]


def _start(rule: AbstractRule, kernel: Kernel, network: Network, batch_size: int, key: PRNGKeyArray) -> Memory:
    for number, layer in enumerate(network.layers, start=1):
        if layer.neuron.scored() is None:
            raise SnnlearnError(
                f"{type(rule).__name__} correlates the reward with the chance in spikes, and layer {number} of "
                f"{type(layer.neuron).__name__} leaves nothing to chance; wrap its neuron in EscapeNoise, or use "
                "NodePerturbation, which brings noise of its own, or BPTT"
            )
        tr.check_layer(type(rule).__name__, _plan(kernel, layer.neuron), layer)
    plans = [_plan(kernel, layer.neuron) for layer in network.layers]
    traces = [tr.at_rest(plan, layer, batch_size) for plan, layer in zip(plans, network.layers, strict=True)]
    return Memory(start_state(network, batch_size, key=key), tuple(traces))


def _neurons(network: Network) -> list[AbstractNeuron]:
    return [layer.neuron for layer in network.layers]


def _plan(kernel: Kernel, neuron: AbstractNeuron) -> tr.LayerPlan:
    return tr.LayerPlan(kernel, neuron.linear_through_spikes)


def _advance(
    kernel: Kernel,
    network: Network,
    memory: Memory,
    xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
    moments: Any,
    reward: Callable,
    going: Callable[[Any], Bool[Array, " B"] | None],
) -> tuple[Memory, tuple[Float[Array, "K B ..."], ...], Float[Array, "K B"], Network]:
    """The next K steps: memory, each layer's output, losses and gradient.

    `reward` maps the network's output and the moment to each sample's loss in this step, and to its difference from the
    expected loss, divided by the batch size. `going` tells by the moment which samples have not ended; what comes after
    the end earns nothing.
    """
    plans = [_plan(kernel, layer.neuron) for layer in network.layers]
    scored = eqx.tree_at(_neurons, network, [layer.neuron.scored() for layer in network.layers])

    before, bring = memory.state, currents_of(network, xs)

    def step(memory, now):
        known, moment = now
        states, local, outputs = linearised_step(scored, bring, memory.state, known)
        losses, surprise = reward(outputs[-1], moment)
        if (on := going(moment)) is not None:
            local, surprise = tuple(only_while(on, each) for each in local), jnp.where(on, surprise, 0.0)
        signals = [_of_units(surprise, layer.shape) for layer in network.layers]
        stepped = [tr.step(*each) for each in zip(plans, network.layers, memory.traces, local, signals, strict=True)]
        memory = Memory(states, tuple(traces for traces, _ in stepped))
        return memory, (outputs, losses, [factors for _, factors in stepped])

    memory, (outputs, losses, factors) = jax.lax.scan(step, memory, (ready(network, bring, xs), moments))
    pres = arrived(network, before, xs, outputs)
    closed = [tr.close(*each) for each in zip(plans, network.layers, memory.traces, factors, pres, strict=True)]
    memory = memory._replace(traces=tuple(traces for traces, _ in closed))
    return memory, tuple(outputs), losses, of_layers(network, (gradient for _, gradient in closed))


def _of_units(surprise: Float[Array, " B"], shape: tuple[int, ...]) -> Float[Array, "B *units"]:
    """The same number for all units of a layer."""
    return jnp.broadcast_to(surprise.reshape(-1, *(1,) * len(shape)), (len(surprise), *shape))
