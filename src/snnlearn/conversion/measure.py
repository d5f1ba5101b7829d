"""What a conversion costs: the error of each layer, split by its causes."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._arguments import checked
from snnlearn.conversion.base import Converted
from snnlearn.conversion.bound import error_bound
from snnlearn.conversion.plan import Plan
from snnlearn.conversion.run import Activations, Means, activations, simulate
from snnlearn.hypothesis import Hypothesis, network_input
from snnlearn.neurons import Subtract


class LayerError(NamedTuple):
    """How a layer of the spiking network differs from that of the artificial one.

    All but the correlation are in the unit of the activations, root mean squares over units and samples.

    Args:
        name: of the layer.
        size: of the activations themselves.
        correlation: of decoded rates and activations, over units and samples.
        error: of the decoded rates.
        inherited: how much the mean current, through the activation function, differs: errors of earlier layers, and
            constants that the conversion added.
        clipping: what is cut off at one spike per step, or, of a quantised unit, was rounded.
        quantisation: the difference between a whole number of spikes, those that a constant current of the same mean
            would give, and the mean.
        unevenness: the difference between the spikes and that whole number: the moments of the input's spikes.
        bound: the largest bound of the error over units and samples, and
        largest: the largest error. None and None if the reset is not by subtraction.
        never: the share of units whose activation is 0 on all samples.
        silent: the share of units that never spike though their activation is above 0 on some sample.
    """

    name: str
    size: float
    correlation: float
    error: float
    inherited: float
    clipping: float
    quantisation: float
    unevenness: float
    bound: float | None
    largest: float
    never: float
    silent: float

    @property
    def explained(self) -> float:
        """The share of the activations' power that the rates explain, 1 − (error / size)²."""
        return 1 - (self.error / self.size) ** 2 if self.size > 0 else float("nan")

    @property
    def breaks(self) -> bool:
        """Whether the rates explain less than half of the activations' power, in which case later layers are lost."""
        return not self.explained >= 0.5

    @property
    def cause(self) -> str:
        """The largest part of the error."""
        parts = ("inherited", "clipping", "quantisation", "unevenness")
        return max(parts, key=lambda part: getattr(self, part))


@checked
def compare_layers(converted: Converted, inputs: Array | np.ndarray) -> tuple[LayerError, ...]:
    """Run both networks on the same inputs and compare them layer by layer.

    Args:
        converted: the conversion.
        inputs: of the artificial network, `[B, *in_shape]`.

    Returns:
        one for each layer of the artificial network, the last for the output, whose error is all inherited.

    Raises:
        SnnlearnError: if an argument is of another kind.
    """
    plan = converted.plan
    xs = jnp.asarray(inputs, jnp.result_type(float)).reshape(-1, *plan.source.in_shape)
    found, means = activations(plan.source, xs), simulate(converted.network, converted.encoder, xs)
    bounds: list[Array | None] = [None] * len(plan.source.layers)
    if isinstance(converted.reset, Subtract):
        bounds = [each.either for each in error_bound(plan, converted.settings, xs, converted.encoder)]
    return tuple(
        _layer_error(converted, number, found, means, bounds[number]) for number in range(len(plan.source.layers))
    )


def _decoded(plan: Plan, converted: Converted, number: int, means: Means) -> Array:
    """A layer's activations as its spikes tell them, `[B, *shape]`."""
    if number == len(plan.source.layers) - 1:
        return means.outputs[-1]
    shape = plan.source.layers[number].shape
    total = jnp.zeros((len(means.outputs[-1]), *shape))
    for k in plan.of_layer(number):
        value = plan.populations[k].part.gain * converted.settings.populations[k].scale
        total = total + value * means.outputs[k].reshape(total.shape)
    return total


def _layer_error(
    converted: Converted, number: int, found: Activations, means: Means, bound: Array | None
) -> LayerError:
    plan, layer = converted.plan, converted.plan.source.layers[number]
    target = found.outputs[number]
    rates = _decoded(plan, converted, number, means)
    stages = _stages(converted, number, target, means) if plan.of_layer(number) else []
    ends = [target, *stages, rates]
    parts = [_rms(after - before) for before, after in pairwise(ends)]
    parts += [0.0] * (4 - len(parts))
    above = np.asarray(target != 0).any(axis=0)
    spiking = np.asarray(rates != 0).any(axis=0)
    return LayerError(
        name=layer.name or f"layer {number + 1}",
        size=_rms(target),
        correlation=_correlation(np.asarray(rates, float).ravel(), np.asarray(target, float).ravel()),
        error=_rms(rates - target),
        inherited=parts[0],
        clipping=parts[1],
        quantisation=parts[2],
        unevenness=parts[3],
        bound=None if bound is None else float(bound.max()),
        largest=float(jnp.abs(rates - target).max()),
        never=float(np.mean(~above)),
        silent=float(np.mean(above & ~spiking)) if plan.of_layer(number) else 0.0,
    )


def _stages(converted: Converted, number: int, target: Array, means: Means) -> list[Array]:
    """From the activation to the rate: with the current that was there, clipped, and in whole spikes."""
    plan, steps = converted.plan, converted.encoder.num_steps
    layer = plan.source.layers[number]
    clipped, whole = jnp.zeros_like(target), jnp.zeros_like(target)
    current = None
    for k in plan.of_layer(number):
        part, setting = plan.populations[k].part, converted.settings.populations[k]
        share = means.currents[k].reshape(target.shape)
        if current is None:
            current = part.sign * setting.scale * share
        value = part.gain * setting.scale
        clipped = clipped + value * jnp.clip(share, 0.0, 1.0)
        # Spikes are above the threshold, not at it.
        spikes = jnp.clip(jnp.ceil(share * steps + _for_each(setting.charge, share)) - 1, 0, steps)
        whole = whole + value * spikes / steps
    activation = layer.neuron(current, layer.neuron.initial_state(layer.shape))[0]
    return [activation, clipped, whole]


def _for_each(charge: float | Array, batch: Array) -> Array:
    """The charge of each unit in each sample."""
    return jnp.broadcast_to(jnp.asarray(charge, batch.dtype), batch.shape[1:])[None]


def _rms(values: Array) -> float:
    return float(jnp.sqrt(jnp.mean(jnp.square(values))))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    power = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / power if power > 0 else float("nan")


@eqx.filter_jit
def _over_time(hypothesis: Hypothesis, xs: Array, at: tuple[int, ...]) -> Array:
    keys = jax.random.split(jax.random.key(0), len(xs))

    def one(sample):
        x, key = sample
        outputs, _ = hypothesis.network(network_input(hypothesis.encoder, hypothesis.network, x, key=key))
        return jnp.stack([hypothesis.decoder(outputs[:steps]) for steps in at])

    return jax.lax.map(one, (xs, keys), batch_size=256)


def scores_over_time(
    hypothesis: Hypothesis, xs: Array | np.ndarray, at: tuple[int, ...]
) -> Float[np.ndarray, "m times C"]:
    """The scores if the network were read after each of some numbers of steps.

    Args:
        hypothesis: the converted hypothesis.
        xs: samples, `[m, *shape]`.
        at: the numbers of steps, from 1 to the encoder's.
    """
    return np.asarray(_over_time(hypothesis, jnp.asarray(xs), at))


def check_alive(converted: Converted, inputs: Array | np.ndarray) -> tuple[str, ...]:
    """What the artificial network's activations say about the spiking one before it runs, in sentences.

    Args:
        converted: the conversion.
        inputs: of the artificial network, `[B, *in_shape]`.
    """
    plan, steps, said = converted.plan, converted.encoder.num_steps, []
    found = activations(plan.source, jnp.asarray(inputs, jnp.result_type(float)).reshape(-1, *plan.source.in_shape))
    for population, setting in zip(plan.populations, converted.settings.populations, strict=True):
        part = population.part
        share = jnp.clip(part.sign * found.currents[population.layer], 0.0, part.ceiling) / setting.scale
        if not bool((share * steps + _for_each(setting.charge, share) > 1).any()):
            most = float(share.max())
            if most == 0 and part.sign < 0:  # a negative part that has nothing to say
                continue
            needed = f"needs {int(np.ceil((1 - np.mean(setting.charge)) / most)) + 1} steps" if most > 0 else "is dead"
            said.append(
                f"Layer {population.name} will not spike within {steps} steps: its largest activation is {most:.2g} of "
                f"its scale, so that it {needed}. Give more steps, a smaller percentile, or a charge of 0.5."
            )
    return tuple(said)
