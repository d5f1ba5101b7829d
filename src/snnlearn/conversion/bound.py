"""A bound on the error of a converted network, from the artificial network alone."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.coding import AbstractEncoder
from snnlearn.conversion.plan import Plan, Settings
from snnlearn.conversion.run import activations
from snnlearn.network.graph import FROM_INPUT


class Bound(NamedTuple):
    """How far a layer's decoded activation can be from that of the artificial network, in the unit of the latter.

    Args:
        above: `[B, *shape]`.
        below: `[B, *shape]`.
    """

    above: Float[Array, "B ..."]
    below: Float[Array, "B ..."]

    @property
    def either(self) -> Float[Array, "B ..."]:
        """In either direction."""
        return jnp.maximum(self.above, self.below)


class _Deviation(NamedTuple):
    """A sum over t steps is between t(a − below_rate) − below and t(a + above_rate) + above, for each t ≤ T."""

    above: Array
    below: Array
    above_rate: Array
    below_rate: Array


def error_bound(
    plan: Plan, settings: Settings, inputs: Float[Array, "B ..."], encoder: AbstractEncoder
) -> tuple[Bound, ...]:
    r"""Bound the error of each layer, for neurons that are reset by subtraction.

    Let a population with threshold 1 start at the charge $q$ and get a current whose sum over the first $t$ steps is
    within $t z \pm D$ for each $t$, with $z$ the artificial network's. In the step of its last spike its membrane was
    above 1, and in the last step without a spike at most 1; as it spikes at most once per step, the number of its
    spikes is at most $t\,\mathrm{clip}(z,0,1)+D+q$ and at least $t\,\mathrm{clip}(z,0,1)-D-(1-q)$, for each $t$. The
    current of the next layer is thus within $\sum_j|W_{ij}|$ times this of its own $t z$, and so on: an error of
    $\max(q,1-q)/T$ in the first layer, for a constant current, which later layers add up. What differs between
    $\mathrm{clip}(z,0,1)$ and the activation (clipping, the levels of a `QuantisedRectifier`), and added constants,
    count in each step.

    Args:
        plan: the artificial network, and the populations of the spiking one.
        settings: the populations' scales, charges and shifts.
        inputs: of the artificial network, `[B, *in_shape]`.
        encoder: from one input to the spiking network's input over time; its key is that of `compare`.

    Returns:
        one for each layer of the artificial network.
    """
    # As arrays, so that other settings need no other program.
    plan = plan._replace(input_scale=jnp.asarray(plan.input_scale), input_offset=jnp.asarray(plan.input_offset))
    return _error_bound(plan, jax.tree.map(jnp.asarray, settings), inputs, encoder)


@eqx.filter_jit
def _error_bound(
    plan: Plan, settings: Settings, inputs: Float[Array, "B ..."], encoder: AbstractEncoder
) -> tuple[Bound, ...]:
    keys = jax.random.split(jax.random.key(0), len(inputs))
    found = activations(plan.source, inputs)

    def one(sample):
        x, key, currents, outputs = sample
        steps = encoder.num_steps
        deviations = {FROM_INPUT: _of_code(encoder, plan, x, key)}
        bounds = []
        for number in range(len(plan.source.layers)):
            arriving = _arriving(plan, number, deviations)
            if number == len(plan.source.layers) - 1 and plan.linear_readout:
                after = _shifted(arriving, settings.readout)
            else:
                after = _fired(plan, settings, number, arriving, currents[number], outputs[number])
                if number == len(plan.source.layers) - 1:
                    after = _shifted(after, settings.readout)
            deviations[number] = after
            bounds.append(Bound(after.above / steps + after.above_rate, after.below / steps + after.below_rate))
        return tuple(bounds)

    return jax.lax.map(one, (inputs, keys, found.currents, found.outputs), batch_size=64)


def _of_code(encoder: AbstractEncoder, plan: Plan, x: Array, key: Array) -> _Deviation:
    """The deviation of the input's code; none of a value that is held."""
    zero = jnp.zeros_like(x)
    if encoder.held_steps == encoder.num_steps:
        return _Deviation(zero, zero, zero, zero)
    told = plan.input_offset + plan.input_scale * encoder(x, key=key).reshape(-1, *x.shape)
    sums = jnp.cumsum(told, axis=0)
    ideal = jnp.cumsum(jnp.broadcast_to(x, sums.shape), axis=0)
    above, below = (jnp.maximum(jnp.max(off, axis=0), 0.0) for off in (sums - ideal, ideal - sums))
    return _Deviation(above, below, zero, zero)


def _arriving(plan: Plan, number: int, deviations: dict[int, _Deviation]) -> _Deviation:
    """The deviation of a layer's current."""
    shape = plan.source.layers[number].shape
    total = [jnp.zeros(shape)] * 4
    for connection, source in plan.drives(number):
        synapses, absolute = connection.synapses, connection.synapses.absolute()
        still = synapses(jnp.zeros(synapses.in_shape))
        deviation = deviations[source]
        for n, (above, below) in enumerate((deviation[:2], deviation[2:])):
            centre = jnp.reshape(synapses((above - below) / 2) - still, shape)
            radius = jnp.reshape(absolute((above + below) / 2), shape)
            total[2 * n] = total[2 * n] + radius + centre
            total[2 * n + 1] = total[2 * n + 1] + radius - centre
    return _Deviation(*total)


def _shifted(deviation: _Deviation, shift: Array | None) -> _Deviation:
    if shift is None:
        return deviation
    return deviation._replace(above_rate=deviation.above_rate + shift, below_rate=deviation.below_rate - shift)


def _fired(
    plan: Plan, settings: Settings, number: int, arriving: _Deviation, current: Array, output: Array
) -> _Deviation:
    """The deviation of a layer's activation, given that of its current."""
    total = [jnp.zeros_like(current)] * 4
    decoded = jnp.zeros_like(current)
    for k in plan.of_layer(number):
        part, setting = plan.populations[k].part, settings.populations[k]
        into = arriving if part.sign > 0 else _Deviation(*(arriving[n] for n in (1, 0, 3, 2)))
        into = _shifted(into, None if setting.shift is None else part.sign * setting.shift)
        above, below, above_rate, below_rate = (each / setting.scale for each in into)
        value = part.gain * setting.scale
        ends = (
            jnp.maximum(above + setting.charge, 0.0),
            jnp.maximum(below + 1.0 - setting.charge, 0.0),
            jnp.maximum(above_rate, 0.0),
            jnp.maximum(below_rate, 0.0),
        )
        order = (0, 1, 2, 3) if part.gain > 0 else (1, 0, 3, 2)
        total = [so_far + abs(part.gain) * setting.scale * ends[n] for so_far, n in zip(total, order, strict=True)]
        decoded = decoded + value * jnp.clip(part.sign * current / setting.scale, 0.0, 1.0)
    off = decoded - output
    total[2], total[3] = total[2] + jnp.maximum(off, 0.0), total[3] + jnp.maximum(-off, 0.0)
    return _Deviation(*total)
