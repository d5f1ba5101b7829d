"""Whether errors find their way back through time, and what to change where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._parameters import parameters, value
from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis, encode
from snnlearn.network import GradientFlow, gradient_flow
from snnlearn.neurons import AbstractNeuron

_FOLLOWED = 8  # samples, enough for orders of magnitude
_LONG = 100  # steps, from which errors may have to go far
_ORDERS = 1e3


def flow_of(hypothesis: Hypothesis, data: Dataset) -> GradientFlow | None:
    """How errors of a hypothesis's scores flow back through time, on a few validation samples; None if T is short.

    Of samples that end at different times, as many steps as the shortest has.

    Args:
        hypothesis: the hypothesis.
        data: what it was trained on.
    """
    if hypothesis.encoder.num_steps < _LONG:
        return None
    key, sample = jax.random.key(0), data.validation if len(data.validation.x) else data.train
    x = jnp.asarray(sample.x[:_FOLLOWED])
    lengths = jax.vmap(hypothesis.encoder.length)(x)
    steps = hypothesis.encoder.num_steps if lengths is None else int(lengths.min())
    if steps < _LONG:
        return None
    inputs = encode(hypothesis.encoder, x, key=key)[:, :steps]
    return gradient_flow(hypothesis.network, inputs, hypothesis.decoder, key=key)


def time_constants(neuron: AbstractNeuron) -> dict[str, float]:
    """The mean of each, s, by name."""
    found = {place.rpartition(".")[2]: value(get(neuron)) for place, get in parameters(neuron).items()}
    return {name: float(np.mean(number)) for name, number in found.items() if name.startswith("tau")}


def doubts(found: GradientFlow, names: Sequence[str], taus: Sequence[Mapping[str, float]]) -> list[str]:
    """Sentences on layers whose errors vanish or explode over the sequence.

    Args:
        found: the norms.
        names: of the layers, such as "Layer 1 · LIF 128".
        taus: time constants of each layer's neurons, s, by name.
    """
    said, num_steps = [], found.norms.shape[1]
    early = -(-num_steps // 10)
    for name, norms, half_life, own in zip(names, found.norms, found.half_lives / found.dt, taus, strict=True):
        if not norms.any():
            continue
        share = norms[-early:].max() / norms.max()
        if share < 1 / _ORDERS:
            beside = " and ".join(f"{tau} is {seconds / found.dt:.3g}" for tau, seconds in own.items())
            halves = f" It halves every {half_life:.3g} steps{beside and f' ({beside})'}." if half_life < np.inf else ""
            said.append(
                f"{name}: errors vanish on their way back through {num_steps} steps; in the first tenth at most "
                f"{share:.1g} of their largest norm is left.{halves} So it hardly learns what happens early to be "
                "useful late. Use time constants near the length of a sample, an adaptive neuron, a linear recurrent "
                "unit, or a readout of all steps."
            )
        if (growth := norms.max() / max(norms[0], np.finfo(float).tiny)) > _ORDERS:
            said.append(
                f"{name}: errors explode on their way back through {num_steps} steps, to {growth:.1g} times their norm "
                f"{np.argmax(norms) + 1} steps back. Clip the gradient, make recurrent weights smaller, or use a "
                "surrogate that is zero far from the threshold (triangle or boxcar)."
            )
    return said
