"""Spikes stay bits from the data to the weights' gradient: nowhere is there a dense array of floats."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from snnlearn import kernels
from snnlearn.coding import Latency, RankOrder, Rate, Spikes
from snnlearn.hypothesis import network_input
from snnlearn.losses import CrossEntropy
from snnlearn.network import feedforward
from snnlearn.rules import BPTT

B, T, N = 8, 320, 128


@eqx.filter_jit
def step(network, encoder, xs, *, packed):
    """A training step's gradient from the data, as spikes in bits or as floats."""
    encode = (lambda x, k: network_input(encoder, network, x, key=k)) if packed else (lambda x, k: encoder(x, key=k))
    inputs = jax.vmap(encode)(xs, jax.random.split(jax.random.key(0), B))
    return BPTT()(network, CrossEntropy(), inputs, jnp.zeros(B, int), key=jax.random.key(1))


def working_memory(encoder, xs, *, packed):
    """Bytes, of a program that is optimised, unlike those of other tests."""
    program: Any = step
    lowered = program.lower(feedforward((N, N, 4), key=jax.random.key(2)), encoder, xs, packed=packed)
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    return lowered.lowered.compile(options).memory_analysis().temp_size_in_bytes


@pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
@pytest.mark.parametrize("encoder", [Spikes(T), Rate(T), Latency(T), RankOrder(T)], ids=lambda e: type(e).__name__)
def test_neither_inputs_nor_hidden_spikes_become_floats(encoder):
    xs = jnp.zeros((B, T, N), jnp.uint8) if isinstance(encoder, Spikes) else jnp.zeros((B, N))
    dense = 4 * B * T * N
    assert working_memory(encoder, xs, packed=True) < dense / 2
    if isinstance(encoder, Spikes):  # the control: floats are seen where there are some
        assert working_memory(encoder, xs, packed=False) > dense
