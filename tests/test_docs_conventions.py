"""The neurons of docs/conventions.md spike as the libraries' own recursions do, written out here from their sources."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from test_docs import BLOCK

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "conventions.md"
STEPS, UNITS = 120, 16
WEIGHTS = np.random.default_rng(1).normal(size=(STEPS, UNITS))
NOBODYS = ("NIR", "e-prop", "stork", "snnax")  # standards, papers, and what no package index has in working order


def _neurons_of_the_page():
    namespace: dict = {}
    for block in BLOCK.finditer(PAGE.read_text()):
        exec(block.group(1), namespace)
    return namespace["neurons"]


NEURONS = _neurons_of_the_page()

# Each recursion takes the input x [T, N] and returns the spikes [T, N]. The names are the libraries' own.


def nir_lif(x, tau=20e-3, dt=1e-3):
    def step(v, x):
        v = np.exp(-dt / tau) * v + (1 - np.exp(-dt / tau)) * x
        z = v > 1
        return np.where(z, 0, v), z

    return _run(step, np.zeros(UNITS), x)


def nir_cuba(x, tau_mem=20e-3, tau_syn=5e-3, dt=1e-3):
    def step(state, x):
        i, v = state
        i = np.exp(-dt / tau_syn) * i + (1 - np.exp(-dt / tau_syn)) * x
        v = np.exp(-dt / tau_mem) * v + (1 - np.exp(-dt / tau_mem)) * i
        z = v > 1
        return (i, np.where(z, 0, v)), z

    return _run(step, (np.zeros(UNITS),) * 2, x)


def norse(x, tau_syn_inv=200, tau_mem_inv=100, dt=1e-3):
    def step(state, x):
        v, i = state
        i_jump = i + x
        v_decayed = v + dt * tau_mem_inv * ((0 - v) + i_jump)
        i_decayed = i_jump - dt * tau_syn_inv * i_jump
        z = v_decayed > 1
        return ((1 - z) * v_decayed, i_decayed), z

    return _run(step, (np.zeros(UNITS),) * 2, x)


def norse_lsnn(x, tau_syn_inv=200, tau_mem_inv=100, tau_adapt_inv=50, beta=0.5, dt=1e-3):
    def step(state, x):
        v, i, b = state
        v_decayed = v + dt * tau_mem_inv * ((0 - v) + i)
        i_decayed = i - dt * tau_syn_inv * i
        b_decayed = b + dt * tau_adapt_inv * (1 - b)
        z = v_decayed > b_decayed
        return ((1 - z) * v_decayed, i_decayed + x, b_decayed + z * beta), z

    return _run(step, (np.zeros(UNITS), np.zeros(UNITS), np.ones(UNITS)), x)


def snntorch(x, beta=0.9):
    def step(mem, x):
        reset = mem > 1
        mem = beta * mem + x - reset * 1
        return mem, mem > 1

    return _run(step, np.zeros(UNITS), x)


def snntorch_zero(x, beta=0.9):
    def step(mem, x):
        reset = mem > 1
        mem = beta * ((1 - reset) * mem) + x
        return mem, mem > 1

    return _run(step, np.zeros(UNITS), x)


def spikingjelly(x, tau=2.0, v_reset=0.0):
    def step(v, x):
        v = v + (x - (v - v_reset)) / tau
        z = v >= 1
        return v_reset * z + (1 - z) * v, z

    return _run(step, np.zeros(UNITS), x)


def spikingjelly_without_input_decay(x, tau=2.0, v_reset=0.0):
    def step(v, x):
        v = v - (v - v_reset) / tau + x
        z = v >= 1
        return v_reset * z + (1 - z) * v, z

    return _run(step, np.zeros(UNITS), x)


def spyx(x, beta=0.9):
    def step(V, x):
        z = V > 1
        return beta * V + x - z * 1, z

    return _run(step, np.zeros(UNITS), x)


def sinabs(x, tau=10.0):
    def step(v, x):
        v = np.exp(-1 / tau) * v + (1 - np.exp(-1 / tau)) * x
        z = v - 1 >= 0
        return v - z * 1, z

    return _run(step, np.zeros(UNITS), x)


def jaxsnn(x, tau_syn=5e-3, tau_mem=1e-2, v_th=0.6, dt=1e-3):
    def step(state, x):
        v, i = state
        v_decayed = v + dt / tau_mem * ((0 - v) + i)
        i_decayed = i - dt / tau_syn * i
        z = v_decayed > v_th
        return ((1 - z) * v_decayed, i_decayed + x), z

    return _run(step, (np.zeros(UNITS),) * 2, x)


def stork(x, tau_mem=10e-3, tau_syn=5e-3, dt=1e-3):
    def step(state, x):
        mem, syn = state
        z = mem > 1
        new_syn = np.exp(-dt / tau_syn) * syn + x
        new_mem = (np.exp(-dt / tau_mem) * mem + (1 - np.exp(-dt / tau_mem)) * syn) * (1 - z)
        return (new_mem, new_syn), z

    return _run(step, (np.zeros(UNITS),) * 2, x)


def snnax(x, alpha=0.9, beta=0.8):
    def step(state, x):
        mem_pot, syn_curr, spike_output = state
        mem_pot = mem_pot - mem_pot * spike_output
        mem_pot = alpha * mem_pot + (1 - alpha) * syn_curr
        syn_curr = beta * syn_curr + (1 - beta) * x
        z = mem_pot >= 1
        return (mem_pot, syn_curr, z), z

    return _run(step, (np.zeros(UNITS),) * 3, x)


def eprop(x, beta=0.0, tau_mem=20e-3, tau_adapt=200e-3, n_refractory=5, dt=1e-3):
    def step(state, x):
        v, a, z, last = state
        v = np.exp(-dt / tau_mem) * v + x - z * 1
        # a(t+1) = ρ a(t) + z(t) (Bellec et al. 2020, eq. 6 and the text below); z(t+1) uses a(t+1).
        a = np.exp(-dt / tau_adapt) * a + z
        last = last + 1
        z = (v > 1 + beta * a) & (last >= n_refractory)
        return (v, a, z, np.where(z, 0, last)), z

    return _run(step, (np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS), np.full(UNITS, n_refractory)), x)


def eprop_alif(x):
    return eprop(x, beta=0.17)


def _run(step, state, x):
    spikes = []
    for now in x:
        state, z = step(state, now)
        spikes.append(np.asarray(z, dtype=float))
    return np.stack(spikes)


# The recursion of each neuron of the page, and an input strength that makes it spike often but not always.
LIBRARIES = {
    "NIR LIF": (nir_lif, 4.0),
    "NIR CubaLIF": (nir_cuba, 5.0),
    "Norse lif_feed_forward_step": (norse, 1.0),
    "Norse lif_step": (norse, 1.0),
    "Norse lsnn_step(tau_adapt=20 ms, beta=0.5)": (norse_lsnn, 1.0),
    "snnTorch Leaky(beta=0.9)": (snntorch, 0.5),
    "snnTorch Leaky(beta=0.9, reset_mechanism='zero')": (snntorch_zero, 0.5),
    "SpikingJelly LIFNode(tau=2.0)": (spikingjelly, 2.0),
    "SpikingJelly LIFNode(tau=2.0, decay_input=False)": (spikingjelly_without_input_decay, 1.0),
    "Spyx LIF(beta=0.9)": (spyx, 0.5),
    "sinabs LIF(tau_mem=10.0, spike_fn=SingleSpike)": (sinabs, 4.0),
    "jaxsnn lif_step": (jaxsnn, 0.7),
    "stork LIFGroup": (stork, 1.0),
    "snnax LIF(decay_constants=[0.9, 0.8])": (snnax, 5.0),
    "e-prop LIF": (eprop, 0.4),
    "e-prop ALIF": (eprop_alif, 0.4),
}


@eqx.filter_jit
def _spikes(neuron, x):
    def step(state, now):
        spikes, state = neuron(now, state)
        return state, spikes

    return jax.lax.scan(step, neuron.initial_state((UNITS,)), x)[1]


def _input(strength):
    # Multiples of 1/64 with a positive mean: no membrane of interest is within rounding of its threshold by accident.
    x = np.random.default_rng(0).integers(-32, 97, (STEPS, UNITS)) / 64
    return strength * x


@pytest.fixture(scope="module", autouse=True)
def _double_precision():
    with jax.enable_x64():
        yield


def test_every_neuron_of_the_page_has_its_recursion():
    assert NEURONS.keys() == LIBRARIES.keys()


@pytest.mark.parametrize("library", LIBRARIES)
def test_neuron_spikes_as_the_library_does(library):
    recursion, strength = LIBRARIES[library]
    x = _input(strength)
    expected = recursion(x)
    assert 0.02 < expected.mean() < 0.6
    np.testing.assert_array_equal(_spikes(NEURONS[library], jnp.asarray(x)), expected)


@pytest.mark.parametrize("library", [library for library in LIBRARIES if library != "NIR LIF"])
def test_no_library_is_another(library):
    """The negative control: the plainest neuron does not reproduce the others."""
    recursion, strength = LIBRARIES[library]
    x = _input(strength)
    assert np.any(np.asarray(_spikes(NEURONS["NIR LIF"], jnp.asarray(x))) != recursion(x))


@pytest.mark.parametrize("library", ["SpikingJelly LIFNode(tau=2.0)", "sinabs LIF(tau_mem=10.0, spike_fn=SingleSpike)"])
def test_a_membrane_at_threshold_spikes_where_the_library_says_so(library):
    neuron = NEURONS[library]
    assert jax.numpy.float32(neuron.v_th) < 1
    spikes = neuron.surrogate(jnp.float32(1.0) - jnp.float32(neuron.v_th))
    assert spikes == 1


# The libraries themselves, where `make -C benchmarks peers` (or SNNLEARN_PEERS, an interpreter) has them

PEERS = Path(os.environ.get("SNNLEARN_PEERS", ROOT / "benchmarks" / ".venv-peers" / "bin" / "python"))


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """Spikes, and the derivative of their weighted sum, `[2, T, N]`, of each neuron whose library is installed."""
    if not PEERS.exists():
        pytest.skip(f"{PEERS} does not exist: 'make -C benchmarks peers' installs the libraries")
    folder = tmp_path_factory.mktemp("peers")
    given, found = folder / "given.npz", folder / "found.npz"
    inputs = {name: _input(strength) for name, (_, strength) in LIBRARIES.items()}
    np.savez(given, weights=WEIGHTS, **inputs)
    subprocess.run([PEERS, ROOT / "benchmarks" / "conventions.py", given, found], check=True, cwd=folder)
    return np.load(found)


@pytest.mark.parametrize("library", [name for name in LIBRARIES if not name.startswith(NOBODYS)])
def test_neuron_does_what_the_installed_library_does(library, peers):
    """Spike by spike, and the derivative, which the gradient through the reset and the surrogate decide."""
    if library not in peers:
        pytest.skip("its library is not installed")
    x = jnp.asarray(_input(LIBRARIES[library][1]))
    spikes, derivative = peers[library]
    np.testing.assert_array_equal(_spikes(NEURONS[library], x), spikes)
    if library.startswith("Norse lsnn_step"):
        return  # stops the gradient of the adaptation, as the page says
    _, pull_back = jax.vjp(lambda x: _spikes(NEURONS[library], x), x)
    # Some libraries round to single precision.
    np.testing.assert_allclose(pull_back(jnp.asarray(WEIGHTS))[0], derivative, rtol=1e-4, atol=1e-6)
