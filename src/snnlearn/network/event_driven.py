"""A network in continuous time: the exact times of its spikes, and their derivatives."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.network.graph import in_chain
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network
from snnlearn.network.synapses import ContinuousSynapses
from snnlearn.neurons.continuous import Continuous, Unit

NEWTON_STEPS = 20
"""Enough to find a crossing in double precision, but for one that only just happens."""


class Arrivals(NamedTuple):
    """The arrivals at a layer, in any order.

    Args:
        times: the time of each arrival at all units, or at each, s; the end of the window for those that never arrive.
        jumps: by how much each unit's current, times its resistance, jumps at each.
    """

    times: Float[Array, " E"] | Float[Array, "E units"]
    jumps: Float[Array, "E units"]


def spike_times(network: Network, xs: Float[Array, "T ..."], *, max_spikes: int = 1) -> tuple[Float[Array, "K N"], ...]:
    r"""The exact, differentiable times at which the units of each layer spike in continuous time.

    The network follows its neurons' differential equations; the time step matters only for the input. The input of step
    t arrives at time t·dt, a spike reaches the next layer at once, or after the delay of `DelayedSynapses`, and

    $$v_j(t)=v_{leak}+\sum_iRW_{ji}\sum_k\kappa(t-t_i^k)-(v_{th}-v_{reset})\sum_k e^{-(t-t_j^k)/\tau_{mem}},$$

    with $\kappa$ the membrane's response to a spike: to an exponential synaptic current for `CubaLIF`, to a current
    held for one time step, as in the stepped network, for `LIF`. A unit spikes when $v_j$ reaches $v_{th}$ from below.
    Between arrivals a rising membrane is concave, so Newton's iteration from the left finds the crossing without
    overshooting. The derivative follows from the implicit function theorem, $dt=-dv/\dot v$.

    Each unit spikes at most `max_spikes` times and is then silent: with 1, only first spikes count.

    Args:
        network: dense layers without bias or recurrence, perhaps with delays, of `LIF` or `CubaLIF` neurons with
            v_leak < v_th, reset in the step of the spike (subtraction is a reset to rest, since a spike is exactly at
            the threshold).
        xs: input, `[T, *in_shape]`; a value other than 0 or 1 scales the effect of a spike.
        max_spikes: K, the maximum number of spikes of each unit, also of the input.

    Returns:
        for each layer the spike times of its units in order, `[K, N]`, s; `inf` for spikes outside [0, T·dt].

    Raises:
        SnnlearnError: for a layer that has no such spike times.

    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import CubaLIF
    >>> neuron = CubaLIF(tau_mem=10e-3, tau_syn=5e-3, v_th=0.2)
    >>> network = feedforward((1, 1), readout=neuron, key=jax.random.key(0))
    >>> network = eqx.tree_at(lambda n: n.layers[0].synapses.weight, network, jnp.ones((1, 1)))
    >>> (times,) = spike_times(network, jnp.zeros((20, 1)).at[2].set(1.0))
    >>> round(float(times[0, 0]), 7)  # 2 ms + 10 ms · ln(2 / (1 + √(1 − 0.8)))
    0.0052351

    Source: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z; closed forms for two ratios of the time constants,
    Göltz et al. 2021, doi:10.1038/s42256-021-00388-x. Not theirs: LIF without a synaptic current.
    """
    if max_spikes < 1:
        raise SnnlearnError(f"spike_times: max_spikes is {max_spikes}; give at least 1")
    if (fault := in_chain(network.layers)) is not None:
        raise SnnlearnError(f"spike_times: {fault}; use the stepped network with BPTT")
    parts = [_parts(layer, number) for number, layer in enumerate(network.layers, start=1)]
    end, trains = len(xs) * network.dt, []
    for neuron, synapses in parts:
        if synapses.delays is not None:
            sent = (
                _spikes_of_raster(xs, network.dt, max_spikes) if not trains else (trains[-1], jnp.ones_like(trains[-1]))
            )
            arrivals = _late(*sent, synapses.weight, synapses.delays * network.dt, end)
        elif not trains:
            arrivals = _of_raster(xs.reshape(len(xs), -1), synapses.weight, network.dt, max_spikes)
        else:
            arrivals = _of_trains(trains[-1], synapses.weight, end)
        arrivals = arrivals._replace(jumps=arrivals.jumps * jnp.reshape(neuron.resistance, (1, -1)))
        if neuron.held is not None:
            arrivals = _held(arrivals, neuron.held, end)
        trains.append(_fire(neuron.unit, arrivals, end, max_spikes))
    return tuple(trains)


def _parts(layer: Layer, number: int) -> tuple[Continuous, ContinuousSynapses]:
    """A layer's neurons and synapses, as they say it, where nothing of the layer stands against it."""
    neuron, synapses = layer.neuron.in_continuous_time(), layer.synapses.in_continuous_time()
    fault = next((part for part in (synapses, neuron) if isinstance(part, str)), None)
    if fault is None and layer.recurrent is not None:
        fault = "is recurrent"
    if fault is not None:
        raise SnnlearnError(
            f"Layer {number} {fault}, so its spikes have no exact times in continuous time; use the stepped network "
            "with BPTT"
        )
    return neuron, synapses  # pyright: ignore[reportReturnType]


def _of_raster(xs: Float[Array, "T N"], weight: Float[Array, "units N"], dt: float, max_spikes: int) -> Arrivals:
    """Arrivals in the steps in which there are any, as few as there may be."""
    num_steps, most = len(xs), min(len(xs), xs.shape[1] * max_spikes)
    active = jnp.any(xs != 0, axis=1)
    if most < num_steps:
        sentence = f"spike_times: the input has more than {most} steps with spikes; raise max_spikes = {max_spikes}"
        xs = eqx.error_if(xs, jnp.sum(active) > most, sentence)
    (steps,) = jnp.nonzero(active, size=most, fill_value=num_steps)
    return Arrivals(steps.astype(xs.dtype) * dt, xs.at[steps].get(mode="fill", fill_value=0.0) @ weight.T)


def _of_trains(times: Float[Array, "K N"], weight: Float[Array, "units N"], end: float) -> Arrivals:
    """Spikes of the layer before."""
    return Arrivals(jnp.minimum(times, end).ravel(), jnp.tile(weight.T, (len(times), 1)))


def _spikes_of_raster(
    xs: Float[Array, "T ..."], dt: float, max_spikes: int
) -> tuple[Float[Array, "K N"], Float[Array, "K N"]]:
    """The times of each input's spikes, s, infinite for those that do not exist, and their sizes."""
    num_steps, most = len(xs), min(len(xs), max_spikes)
    xs = xs.reshape(num_steps, -1)
    if most < num_steps:
        sentence = f"spike_times: an input has more than {most} spikes; raise max_spikes = {max_spikes}"
        xs = eqx.error_if(xs, jnp.any(jnp.sum(xs != 0, axis=0) > most), sentence)

    def of(train):
        (steps,) = jnp.nonzero(train != 0, size=most, fill_value=num_steps)
        times = jnp.where(steps < num_steps, steps.astype(train.dtype) * dt, jnp.inf)
        return times, train.at[steps].get(mode="fill", fill_value=0.0)

    return jax.vmap(of, in_axes=1, out_axes=1)(xs)


def _late(
    times: Float[Array, "K N"],
    sizes: Float[Array, "K N"],
    weight: Float[Array, "units N"],
    delays: Float[Array, "units N"],
    end: float,
) -> Arrivals:
    """Spikes that arrive at each unit after a delay of their own, s; those that would after the end never do."""
    there = (times < jnp.inf)[:, None]  # so that what never happens has no derivative, which would be NaN
    at = jnp.where(there, jnp.minimum(jnp.where(there, times[:, None], 0.0) + delays[None], end), end)  # [K, units, N]
    jumps = sizes[:, None] * weight[None]

    def by_unit(a: Array) -> Array:
        return jnp.moveaxis(a, 1, 2).reshape(-1, len(weight))

    return Arrivals(by_unit(at), by_unit(jumps))


def _held(arrivals: Arrivals, dt: float, end: float) -> Arrivals:
    """What arrives goes again after one time step."""
    times, jumps = arrivals
    return Arrivals(jnp.concatenate([times, jnp.minimum(times + dt, end)]), jnp.concatenate([jumps, -jumps]))


def _fire(unit: Unit, arrivals: Arrivals, end: float, max_spikes: int) -> Float[Array, "K N"]:
    """The spike times of a layer."""

    def train(unit, arriving, jumps):
        # The search is not differentiated: the implicit function's derivative needs no more than what it finds.
        still, order = jax.lax.stop_gradient(unit), jnp.argsort(arriving)
        times, jumps_in_order = jax.lax.stop_gradient((arriving[order], jumps[order]))
        y, i = _free_run(still, times, jumps_in_order)

        def spike(carry, _):
            last, resets = carry  # the spike before, and the sum of all spikes' exponentials at that time

            found = _crossing(still, times, y, i, *jax.lax.stop_gradient((last, resets)), end)
            spiked = found < jnp.inf
            t = jnp.where(spiked, found, end)
            since = t - arriving
            arrived = jnp.where(since > 0, jumps, 0.0)
            heights, currents = unit.after(jnp.maximum(since, 0.0), jnp.zeros_like(arrived), arrived)
            height = jnp.sum(heights) - unit.drop * resets * jnp.exp(-(t - last) / unit.tau_mem)
            # Where the membrane only just reaches the threshold, its slope is lost in rounding, but not below 0.
            least = jnp.finfo(height.dtype).eps * unit.threshold / unit.tau_mem
            slope = jax.lax.stop_gradient(jnp.maximum((jnp.sum(currents) - height) / unit.tau_mem, least))
            excess = height - unit.threshold
            t = t - jnp.where(spiked, (excess - jax.lax.stop_gradient(excess)) / slope, 0.0)
            return (t, 1.0 + resets * jnp.exp(-(t - last) / unit.tau_mem)), jnp.where(spiked, t, jnp.inf)

        zero = jnp.zeros((), jumps.dtype)
        return jax.lax.scan(spike, (zero, zero), length=max_spikes)[1]

    axes = jax.tree.map(lambda parameter: 0 if jnp.ndim(parameter) else None, unit)
    at_each = 1 if arrivals.times.ndim == 2 else None
    return jax.vmap(train, in_axes=(axes, at_each, 1), out_axes=1)(unit, *arrivals)


def _free_run(unit: Unit, times: Float[Array, " E"], jumps: Float[Array, " E"]) -> tuple[Array, Array]:
    """Membrane and current just after each arrival, without spikes."""
    gaps = jnp.diff(times, prepend=times[:1])
    factors = jnp.exp(-gaps / unit.tau_mem), unit.response(gaps), jnp.exp(-gaps / unit.tau_syn)

    def arrive(state, now):
        (y, i), (kept, response, current_kept, jump) = state, now
        state = kept * y + response * i, current_kept * i + jump
        return state, state

    zero = jnp.zeros((), jumps.dtype)
    return jax.lax.scan(arrive, (zero, zero), (*factors, jumps))[1]


def _crossing(
    unit: Unit,
    times: Float[Array, " E"],
    y: Float[Array, " E"],
    i: Float[Array, " E"],
    last: Float[Array, ""],
    resets: Float[Array, ""],
    end: float,
) -> Float[Array, ""]:
    """The first time after `last` at which the membrane reaches the threshold; infinite if there is none."""
    start = jnp.maximum(times, last)
    length = jnp.append(times[1:], jnp.asarray(end, times.dtype)) - start  # of what is left of each interval
    y, i = unit.after(start - times, y, i)
    y = y - unit.drop * resets * jnp.exp(-(start - last) / unit.tau_mem)
    rising = (length > 0) & (i > jnp.maximum(y, 0.0))
    highest = jnp.clip(unit.rise(y, jnp.where(rising, i, 1.0)), 0.0, jnp.maximum(length, 0.0))
    crosses = rising & (unit.after(highest, y, i)[0] > unit.threshold)

    first = jnp.argmax(crosses)
    start, y, i, highest = start[first], y[first], i[first], highest[first]

    def newton(_, s):
        height, current = unit.after(s, y, i)
        slope = (current - height) / unit.tau_mem
        step = (unit.threshold - height) / jnp.where(slope > 0, slope, 1.0)
        return jnp.clip(jnp.where(slope > 0, s + step, s), 0.0, highest)

    s = jax.lax.fori_loop(0, NEWTON_STEPS, newton, jnp.zeros_like(start))
    return jnp.where(crosses[first], start + s, jnp.inf)
