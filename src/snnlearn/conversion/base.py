"""The base of conversion methods, and conversion."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._arguments import checked
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractEncoder, Current
from snnlearn.conversion.plan import Plan, Settings, plan_of
from snnlearn.network import Network
from snnlearn.neurons import AbstractReset, Subtract


class Examples(NamedTuple):
    """What a method may measure: inputs of the artificial network, and how the spiking one gets them.

    Args:
        inputs: `[B, *in_shape]`.
        encoder: from one input to the spiking network's input over time.
        reset: that of the spiking neurons.
    """

    inputs: Float[Array, "B ..."]
    encoder: AbstractEncoder
    reset: AbstractReset


class AbstractConversion(Component):
    """How the units of an artificial network become spiking neurons: the choice of scales, charges and biases."""

    @property
    def needs_data(self) -> bool:
        """Whether it measures the network on examples."""
        return True

    def settled(self, plan: Plan, examples: Examples | None) -> "AbstractConversion":
        """The method with what it leaves to the data; the arguments are those of a call."""
        return self

    @abstractmethod
    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """Choose.

        Args:
            plan: the network, and the populations that its layers become.
            examples: calibration data, such as the training sample; None only if `needs_data` is False.

        Raises:
            SnnlearnError: if a population never is above 0, or the network is not of the kind that the method takes.
        """


class Converted(NamedTuple):
    """A spiking network, and what its spikes mean.

    A population fires `activation / scale` spikes per step; the output, averaged over time (`MeanMembrane`), is in the
    unit of the source's output.

    Args:
        network: the spiking network.
        plan: the artificial network, and which population stands for which part of it.
        settings: the scale, charge and shift of each population.
        encoder: from one input of the artificial network to the spiking network's input over time.
        reset: that of the spiking neurons.
        method: that chose the settings, with what the data decided.
    """

    network: Network
    plan: Plan
    settings: Settings
    encoder: AbstractEncoder
    reset: AbstractReset
    method: AbstractConversion


_CURRENT, SUBTRACT = Current(num_steps=32), Subtract()


@checked
def convert(
    network: Network,
    method: AbstractConversion,
    inputs: Array | np.ndarray | None = None,
    *,
    encoder: AbstractEncoder = _CURRENT,
    reset: AbstractReset = SUBTRACT,
) -> Converted:
    r"""Convert an artificial network to integrate-and-fire neurons.

    A membrane that is reset by subtraction counts its input, $N/T=\bar I/\theta-(V_T-V_0)/(\theta T)$, so the rate of
    its spikes is a rectified activation, up to $1/T$ for a constant current in $[0, \theta]$. With the scale $\lambda$
    of each population chosen by the method, weights from population $j$ to $i$ become $W\lambda_j/\lambda_i$ and biases
    $b/\lambda_i$, and the threshold is 1. As each connection has its own source, additions and concatenations of
    differently scaled layers need nothing more. A unit with a negative part, such as `LeakyRectifier`, becomes two.

    Args:
        network: a network of units without time (`Rectifier`, `LeakyRectifier`, `ClippedRectifier`,
            `QuantisedRectifier`, `Identity`), in which nothing is recurrent or delayed.
        method: chooses scales, charges and biases.
        inputs: calibration data, `[B, *in_shape]`, of the training or validation sample; not needed by methods that do
            without.
        encoder: from one input to the spiking network's input over time; its mean over time must be about a linear
            function of the input.
        reset: of the spiking neurons; with any other than `Subtract()` the error does not vanish with more steps.

    Raises:
        SnnlearnError: if an argument is of another kind, a layer cannot be converted, or the inputs do not fit.

    >>> from snnlearn.conversion import MaximumNormalisation
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import Identity, Rectifier
    >>> network = feedforward((4, 5, 3), neuron=Rectifier(), readout=Identity(), key=jax.random.key(0))
    >>> inputs = jax.random.uniform(jax.random.key(1), (20, 4))
    >>> converted = convert(network, MaximumNormalisation(), inputs, encoder=Current(num_steps=1000))
    >>> spiking, _ = converted.network(converted.encoder(inputs[0], key=jax.random.key(2)))
    >>> artificial, _ = network(inputs[:1])
    >>> bool(abs(spiking.mean(axis=0) - artificial[0]).max() < 0.01)
    True
    """
    plan = plan_of(network)
    if inputs is None:
        if method.needs_data:
            raise SnnlearnError(
                f"convert: {type(method).__name__} measures activations and inputs is None; give calibration data "
                "[B, ...], or use WeightNormBound(), which needs none"
            )
        examples, probe = None, jax.random.uniform(jax.random.key(0), (16, *network.in_shape))
    else:
        _check_inputs(network, inputs)
        probe = jnp.asarray(inputs, jnp.result_type(float)).reshape(len(inputs), *network.in_shape)
        examples = Examples(probe, encoder, reset)
    _check_code(encoder, network)
    scale, offset = _read_as(encoder, probe)
    plan = plan._replace(input_scale=scale, input_offset=offset)
    method = method.settled(plan, examples)
    settings = method(plan, examples)
    return Converted(plan.build(settings, reset), plan, settings, encoder, reset, method)


def _check_inputs(network: Network, inputs: Array | np.ndarray) -> None:
    if inputs.ndim < 1 or math.prod(inputs.shape[1:]) != math.prod(network.in_shape) or len(inputs) == 0:
        wanted = ", ".join(["B", *map(str, network.in_shape)])
        raise SnnlearnError(f"convert: inputs has shape {inputs.shape}; give [{wanted}], with at least one sample")
    if not bool(jnp.isfinite(jnp.asarray(inputs)).all()):
        raise SnnlearnError("convert: inputs holds NaN or infinite values; remove or replace them")


def _check_code(encoder: AbstractEncoder, network: Network) -> None:
    if math.prod(encoder.out_shape(network.in_shape)) != math.prod(network.in_shape):
        raise SnnlearnError(
            f"convert: {type(encoder).__name__} gives {math.prod(encoder.out_shape(network.in_shape))} units for the "
            f"network's {math.prod(network.in_shape)} inputs; use a code with one unit for each value"
        )
    if not math.isclose(encoder.dt, network.dt):
        raise SnnlearnError(
            f"convert: the encoder has dt = {encoder.dt} s and the network {network.dt} s; give both the same"
        )


@eqx.filter_jit
def _means(encoder: AbstractEncoder, inputs: Array) -> Array:
    """The mean over time of each input's code; of a held value the value itself, without rounding."""

    def one(x, key):
        xs = encoder(x, key=key)
        return xs[0] if encoder.held_steps == encoder.num_steps else jnp.mean(xs, axis=0)

    return jax.vmap(one)(inputs, jax.random.split(jax.random.key(0), len(inputs)))


def _read_as(encoder: AbstractEncoder, inputs: Array) -> tuple[float, float]:
    """The scale and the offset that make the means of the codes the inputs, by least squares.

    There is no offset if the code of 0 is silent.
    """
    inputs = inputs[:256]
    means, values = np.asarray(_means(encoder, inputs), float).ravel(), np.asarray(inputs, float).ravel()
    silent = not bool(jnp.any(_means(encoder, jnp.zeros_like(inputs[:16]))))
    middle, centre = (0.0, 0.0) if silent else (float(means.mean()), float(values.mean()))
    power, together = float((means - middle) @ (means - middle)), float((means - middle) @ (values - centre))
    if power == 0 or together <= 0:
        raise SnnlearnError(
            f"convert: the mean of {type(encoder).__name__}'s code tells nothing of the inputs; use Current, or a rate "
            "code with more steps"
        )
    return together / power, centre - middle * together / power
