"""RTRL of independent units: exact where nothing after them remembers, and by RTRL itself for any."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.losses import MeanSquaredError
from snnlearn.network import Connection, Dense, Layer, LayerNorm, Network, ReadNoise, deep_lru, feedforward
from snnlearn.neurons import ALIF, GELU, LI, LRU, Identity
from snnlearn.rules import BPTT, RTRL, DiagonalRTRL

pytestmark = pytest.mark.usefixtures("x64")

B, T = 2, 7
KEYS = jax.random.split(jax.random.key(0), 6)
XS, YS = (np.random.default_rng(0).normal(size=(B, T, n)) for n in (3, 2))


def gradient(rule, network):
    return eqx.filter_jit(rule)(network, MeanSquaredError(), jnp.asarray(XS), jnp.asarray(YS), key=KEYS[0])


def furthest(found, exact):
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True)
    return max(float(jnp.abs(a - b).max() / (jnp.abs(b).max() + 1e-30)) for a, b in pairs)


def one_layer(neuron):
    """One layer that remembers, of all kinds of parameters, after and before others that do not."""
    first = Layer(Dense(3, 4, use_bias=True, key=KEYS[1]), GELU())
    size = int(np.prod(neuron.out_shape((5,))))
    ports = [
        Connection(Dense(4, 5, use_bias=True, key=k), port=p) for p, k in zip(neuron.ports, KEYS[2:], strict=False)
    ]
    skip = Connection(Dense(3, 5, key=KEYS[4]), "input", neuron.ports[-1], delay=1)
    return Network((first, Layer([*ports, skip], neuron), Layer(Dense(size, 2, key=KEYS[5]), Identity())))


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: LRU.ring(5, r_min=0.5, r_max=0.9, key=KEYS[0]),
        lambda: LI(tau_mem=jnp.full(5, 6e-3), v_leak=jnp.array(0.5)),
        lambda: ALIF(v_th=0.1, beta=jnp.full(5, 0.3), tau_mem=3e-3, tau_adapt=9e-3),
    ],
    ids=["LRU", "LI", "ALIF"],
)
def test_it_is_bptt_from_the_layer_that_remembers_on(neuron):
    network = one_layer(neuron())
    (loss, exact), (value, found) = gradient(BPTT(), network), gradient(DiagonalRTRL(), network)
    assert float(value) == pytest.approx(float(loss), rel=1e-12)
    assert all(jnp.any(leaf) for leaf in jax.tree.leaves(exact))
    assert furthest(found.layers[1:], exact.layers[1:]) < 1e-10
    assert furthest(found.layers[:1], exact.layers[:1]) > 1e-2


def test_of_a_deep_lru_it_is_bptt_from_the_last_memory_on_and_rtrl_is_for_all():
    network = deep_lru(3, 4, 2, state_size=2, depth=2, r_min=0.5, r_max=0.99, key=KEYS[1])
    (_, exact), (_, found), (_, rtrl) = (gradient(rule, network) for rule in (BPTT(), DiagonalRTRL(), RTRL()))
    assert furthest(rtrl, exact) < 1e-10
    last = max(number for number, layer in enumerate(network.layers) if isinstance(layer.neuron, LRU))
    assert furthest(found.layers[last:], exact.layers[last:]) < 1e-10
    assert furthest(found.layers[:last], exact.layers[:last]) > 1e-2


def test_its_memory_is_that_of_the_parameters():
    network = deep_lru(3, 4, 2, state_size=30, depth=1, key=KEYS[1])
    _, influence = DiagonalRTRL().start(network, MeanSquaredError(), B, key=KEYS[0])
    of_the_layer = len(jax.flatten_util.ravel_pytree(eqx.filter(network.layers[2], eqx.is_inexact_array))[0])
    assert sum(leaf.size for leaf in jax.tree.leaves(influence)) == B * 2 * of_the_layer
    _, whole = RTRL().start(network, MeanSquaredError(), B, key=KEYS[0])
    assert whole.size > 30 * B * of_the_layer


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: feedforward((3, 4, 2), recurrent=True, key=KEYS[0]),
            "layer 1 has connections with a delay, from itself",
        ),
        (
            lambda: Network((Layer(LayerNorm((3,)), LI()), Layer(Dense(3, 2, key=KEYS[0]), LI()))),
            "layer 1, which remem",
        ),
        (lambda: Network((Layer(ReadNoise(Dense(3, 2, key=KEYS[0]), 0.1), LI()),)), "use RTRL or BPTT"),
    ],
)
def test_what_it_cannot_follow_is_refused(network, message):
    with pytest.raises(SnnlearnError, match=message):
        DiagonalRTRL()(network(), MeanSquaredError(), jnp.asarray(XS), jnp.asarray(YS), key=KEYS[0])
