"""Learning in the loop: forward on the device, backward through the model."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, split
from snnlearn.circuits.device import AbstractDevice, Measured
from snnlearn.coding import AbstractDecoder, HeldValues, PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.neurons import AbstractNeuron, AbstractSurrogate
from snnlearn.neurons.base import AbstractSpikingNeuron, core
from snnlearn.rules import AbstractRule, XieSeung, leave_one_out
from snnlearn.rules.base import going_on
from snnlearn.rules.reinforcement import Baseline


@final
class InTheLoop(AbstractRule):
    r"""Backpropagation through the model, with the spikes and membranes that the device measured (Cramer et al. 2022).

    doi:10.1073/pnas.2109194119. In each step every measured quantity replaces the model's value and keeps its
    derivative, $x\leftarrow x_\text{device}+(x-\text{sg}\,x)$, so that the model needs to be right for one step at a
    time only. A membrane that the device does not read is the model's own, given the measured spikes. If the device is
    the model, it is `BPTT`. Mismatch, rounding and noise are the device's, and need not be known.

    Args:
        device: what runs the batches.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import Chip, LogNormal, Mismatch, SimulatedDevice
    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> kind = Chip("mine", effects=(Mismatch("tau_mem", LogNormal(0.2)),))
    >>> rule = InTheLoop(SimulatedDevice(kind, jax.random.key(1)))
    >>> loss, gradient = eqx.filter_jit(rule)(network, CrossEntropy(), *batch, key=jax.random.key(2))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    device: AbstractDevice

    def __check_init__(self):
        check_fields(self, "device")

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
        for number, layer in enumerate(network.layers, start=1):
            if layer.draws:
                raise SnnlearnError(
                    f"InTheLoop: layer {number} of the model draws at random, which the device does already; give the "
                    "network without noise"
                )
        measured = self.device.run(network, inputs, key=key)
        check_measured(network, inputs, measured)
        xs = jax.vmap(numbers)(inputs)
        parameters, constants = split(network)

        @eqx.filter_value_and_grad
        def value_and_gradient(parameters: Network) -> Float[Array, ""]:
            model = eqx.combine(parameters, constants)
            outputs = jax.vmap(partial(replayed, model))(xs, measured)
            return jnp.mean(jax.vmap(loss)(outputs, targets))

        return value_and_gradient(parameters)


@final
class RewardInTheLoop(AbstractRule):
    r"""Reinforcement on a device, $\Delta W=\eta\,(R-b)\,e$ (Xie & Seung 2004): `XieSeung` with measured spikes.

    doi:10.1103/PhysRevE.69.041909. The device's own irregularity explores, and the reward is the negative loss of what
    it did. The eligibility $e=\nabla\log P$ of its spikes is by the model, whose membranes follow those that were
    measured. If the device is the model, it is `XieSeung`. Every layer of the model draws its spikes, by `EscapeNoise`.

    Args:
        device: what runs the batches.
        baseline: b, as a function of the batch's losses, as in `XieSeung`.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import Chip, SimulatedDevice
    >>> from snnlearn.losses import MeanSquaredError
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LIF, EscapeNoise, Sigmoid
    >>> neuron = EscapeNoise(LIF(surrogate=Sigmoid(slope=5.0)))
    >>> network = feedforward((4, 3, 2), neuron=neuron, readout=neuron, key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.ones((5, 10, 2))
    >>> rule = RewardInTheLoop(SimulatedDevice(Chip("ideal"), jax.random.key(1)))
    >>> loss, gradient = eqx.filter_jit(rule)(network, MeanSquaredError(), *batch, key=jax.random.key(2))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    usual_decoder: ClassVar[type[AbstractDecoder]] = XieSeung.usual_decoder
    device: AbstractDevice
    baseline: Baseline = eqx.field(static=True, default=leave_one_out)

    def __check_init__(self):
        check_fields(self, "device")

    @property
    def draws(self) -> bool:
        """The device does."""
        return True

    def reference(self) -> AbstractRule:
        """Itself: it estimates the gradient of the device's expected loss."""
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
        """See the base; the loss is the device's."""
        check_one_dt(self, network.dt, loss=loss)
        for number, layer in enumerate(network.layers, start=1):
            if layer.neuron.scored() is None:
                raise SnnlearnError(
                    f"RewardInTheLoop: layer {number} of the model leaves nothing to chance; wrap its neuron in "
                    "EscapeNoise, as irregular as the device is, or use InTheLoop or BlackBox"
                )
        measured = self.device.run(network, inputs, key=key)
        check_measured(network, inputs, measured)
        xs = jax.vmap(numbers)(inputs)
        losses = jax.vmap(loss)(measured.outputs, targets)
        surprise = (losses - self.baseline(losses)) / len(losses)
        on = going_on(loss, targets, xs.shape[1])
        weights = surprise[:, None] * (jnp.ones(xs.shape[:2]) if on is None else on.T.astype(surprise.dtype))
        parameters, constants = split(network)

        @eqx.filter_grad
        def gradient(parameters: Network) -> Float[Array, ""]:
            scores = jax.vmap(partial(_scores, eqx.combine(parameters, constants)))(xs, measured)
            return jnp.sum(weights * scores)

        return jnp.mean(losses), gradient(parameters)


def check_measured(network: Network, inputs: Any, measured: Measured) -> None:
    """Refuse measurements of another shape than the network's.

    Raises:
        SnnlearnError: naming the layer and both shapes.
    """
    batch = jax.eval_shape(jax.vmap(numbers), inputs).shape[:2]
    for what, each in zip(("outputs", "membranes"), measured, strict=True):
        if len(each) != len(network.layers):
            raise SnnlearnError(
                f"InTheLoop: the device measured {what} of {len(each)} layers, and the network has "
                f"{len(network.layers)}; give one for each layer"
            )
        for number, (layer, found) in enumerate(zip(network.layers, each, strict=True), start=1):
            if found is not None and found.shape != (*batch, *layer.shape):
                raise SnnlearnError(
                    f"InTheLoop: the device measured {what} of shape {list(found.shape)} of layer {number}; give "
                    f"{[*batch, *layer.shape]}, for samples, steps and units"
                )


def replayed(network: Network, xs: Float[Array, "T ..."], measured: Measured) -> tuple[Float[Array, "T ..."], ...]:
    """Each layer's outputs for one sample: the measured values, with the model's derivatives."""

    def step(states: Any, now: Any) -> tuple[Any, Any]:
        x, (outputs, membranes) = now

        def fire(number: int, current: Any, state: Any) -> tuple[Array, Any]:
            return _one_step(network.layers[number].neuron, current, state, outputs[number], membranes[number])

        given, after = network.run_step(x, states, fire)
        return after, tuple(given)

    return jax.lax.scan(step, network.initial_state(), (xs, measured))[1]


def _scores(network: Network, xs: Float[Array, "T ..."], measured: Measured) -> Float[Array, " T"]:
    """Of each step of one sample, a number with the derivative of the log-probability of the measured spikes."""

    def step(states: Any, now: Any) -> tuple[Any, Any]:
        x, (outputs, membranes) = now
        scores = []

        def fire(number: int, current: Any, state: Any) -> tuple[Array, Any]:
            scored = network.layers[number].neuron.scored(outputs[number])
            assert scored is not None
            found, after = scored(current, state)
            scores.append(jnp.sum(found))
            if (v := membranes[number]) is not None:
                after = eqx.tree_at(lambda s: s.v, after, instead(v, after.v))
            return outputs[number], after  # given the spikes, units do not affect each other

        _, after = network.run_step(x, states, fire)
        return after, sum(scores, start=jnp.zeros(()))

    return jax.lax.scan(step, network.initial_state(), (xs, measured))[1]


def _one_step(
    neuron: AbstractNeuron, current: Any, state: Any, output: Float[Array, "*units"], v: Float[Array, "*units"] | None
) -> tuple[Float[Array, "*units"], Any]:
    """A step of the model that gives what was measured."""
    if neuron.spikes and isinstance(core(neuron), AbstractSpikingNeuron):
        # Within the neuron, too: reset, adaptation and refractory period follow the spikes that there were.
        neuron = eqx.tree_at(
            lambda n: core(n).surrogate,  # pyright: ignore[reportAttributeAccessIssue]
            neuron,
            replace_fn=lambda surrogate: _Given(surrogate, output),
            is_leaf=lambda node: isinstance(node, AbstractSurrogate),
        )
    found, after = neuron(current, state)
    if v is not None:
        after = eqx.tree_at(lambda s: s.v, after, instead(v, after.v))
    return instead(output, found), after


def instead(measured: Float[Array, "..."], modelled: Float[Array, "..."]) -> Float[Array, "..."]:
    """The measured value with the derivative of the modelled one."""
    return measured + (modelled - jax.lax.stop_gradient(modelled))


@final
class _Given(AbstractSurrogate):
    """Spikes that there were, with the derivatives of those that there would be."""

    surrogate: AbstractSurrogate
    spikes: Float[Array, "*units"]

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self.surrogate.primitive(x)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return self.surrogate.pseudo_derivative(x)

    def __call__(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        return instead(self.spikes, self.surrogate(x))
