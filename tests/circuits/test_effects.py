"""All effects obey the same laws, on convolutions and recurrent connections; the suite finds mistakes."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from snnlearn.circuits import AbstractEffect, check_effect
from snnlearn.circuits.base import draw_key
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, Part, feedforward
from snnlearn.neurons import LIF, Constant

KEYS = jax.random.split(jax.random.key(3), 6)
IMAGE = Chain(AveragePool2d((1, 4, 4), 2), Conv2d((1, 2, 2), 3, 2, use_bias=True, key=KEYS[0]))
LOOPED = LIF(tau_mem=jnp.array([5e-3, 8e-3]), v_th=0.1)
NETWORK = Network((Layer(IMAGE, LIF(v_th=0.2)), Layer(Part(3, 1, 3), LOOPED, Dense(2, 2, key=KEYS[2]))))
MEMBRANES = feedforward((4, 3, 2), neuron=LIF(v_th=0.2), key=KEYS[5])


@pytest.mark.parametrize("name", zoo.EFFECTS)
def test_conforms(name):
    effect, none = zoo.EFFECTS[name]
    check_effect(effect, NETWORK if effect.applies(NETWORK) else MEMBRANES, none=none, key=KEYS[3])


class Faulty(AbstractEffect):
    """The thresholds of all layers times random factors, with a fault."""

    fault: str = eqx.field(static=True)

    def __call__(self, network, *, key):
        if self.fault == "nothing":
            return network
        if self.fault == "other layers":
            key = jax.random.fold_in(key, len(network.layers))
        if self.fault == "global":
            key = jax.random.key(np.random.default_rng().integers(2**31))
        factors = [jax.random.uniform(draw_key(key, n), layer.shape) for n, layer in enumerate(network.layers)]
        thresholds = [f * layer.neuron.v_th for f, layer in zip(factors, network.layers, strict=True)]
        made = thresholds if self.fault == "trained" else [Constant(v_th) for v_th in thresholds]
        return eqx.tree_at(lambda n: [layer.neuron.v_th for layer in n.layers], network, made)


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("other layers", "draws for a layer what depends on others"),
        ("global", "another chip for the same key"),
        ("nothing", "changes nothing"),
        ("trained", "changed what is trained"),
        ("strength", "without strength changes"),
    ],
)
def test_the_suite_finds_what_is_wrong(fault, law):
    network = feedforward((4, 3, 2), readout=LIF(v_th=0.3), neuron=LIF(v_th=0.2), key=KEYS[0])
    with pytest.raises(AssertionError, match=f"^Faulty .*{law}"):
        check_effect(Faulty(fault), network, none=Faulty("strength"), key=KEYS[4])
