"""Wire resistance: against a dense nodal solution of the same circuit, built node by node."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.circuits import WireResistance, crossbar
from snnlearn.network import Chain, CurrentNoise, Dense, Layer, Network, OneToOne, feedforward
from snnlearn.neurons import LI

KEY = jax.random.key(0)


def nodal(conductance: np.ndarray, resistance: float) -> np.ndarray:
    """Kirchhoff's current law at each of the 2NM nodes, solved densely, for each input by itself."""
    rows, columns = conductance.shape
    g = 1 / resistance
    row, column = (lambda i, j: i * columns + j), (lambda i, j: rows * columns + i * columns + j)
    laws = np.zeros((2 * rows * columns,) * 2)
    driven = np.zeros((2 * rows * columns, rows))

    def resistor(a: int, b: int, value: float) -> None:
        for node, other in ((a, b), (b, a)):
            laws[node, node] += value
            laws[node, other] -= value

    for i in range(rows):
        laws[row(i, 0), row(i, 0)] += g
        driven[row(i, 0), i] = g
        for j in range(columns):
            resistor(row(i, j), column(i, j), conductance[i, j])
            if j + 1 < columns:
                resistor(row(i, j), row(i, j + 1), g)
            if i + 1 < rows:
                resistor(column(i, j), column(i + 1, j), g)
    for j in range(columns):
        laws[column(rows - 1, j), column(rows - 1, j)] += g
    voltages = np.linalg.solve(laws, driven)
    return np.stack([g * voltages[column(rows - 1, j)] for j in range(columns)], axis=1)


@pytest.mark.parametrize("shape", [(7, 4), (3, 8)])
def test_a_crossbar_is_its_nodal_solution(shape):
    rng = np.random.default_rng(0)
    conductance = rng.uniform(0, 1e-4, shape) * (rng.random(shape) < 0.8)
    for resistance in (1.0, 300.0, 1e4):
        exact = nodal(conductance, resistance)
        with jax.enable_x64(True):
            found = np.asarray(crossbar(jnp.asarray(conductance), resistance))
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-15)
        single = np.asarray(crossbar(jnp.asarray(conductance, jnp.float32), resistance))
        np.testing.assert_allclose(single, exact, rtol=2e-3, atol=1e-8)
    assert np.abs(exact - conductance).max() > 0.1 * conductance.max()  # the wires matter
    np.testing.assert_array_equal(crossbar(jnp.asarray(conductance), 0.0), jnp.asarray(conductance))


def test_one_device_is_in_series_with_two_pieces_of_wire():
    assert float(crossbar(jnp.array([[1e-3]]), 100.0)[0, 0]) == pytest.approx(1 / (1000 + 200), rel=1e-5)


def test_weights_lose_more_the_farther_they_are():
    weight = jnp.ones((4, 4))
    left = np.asarray(WireResistance(20.0, 1e-3).of(weight))
    assert (np.diff(left, axis=0) < 0).all()  # a later unit is farther along the rows
    assert (np.diff(left, axis=1) > 0).all()  # a later input is nearer to the end of the column
    assert (left > 0).all() and (left < 1).all()
    np.testing.assert_allclose(WireResistance(20.0, 1e-3).of(-3 * weight), -3 * left, rtol=1e-5)
    np.testing.assert_allclose(WireResistance(1e-4, 1e-3).of(weight), 1.0, atol=1e-4)


def test_it_is_differentiable():
    weight = jax.random.normal(KEY, (4, 4))
    wires = WireResistance(200.0, 1e-3)
    with jax.enable_x64(True):
        weight = weight.astype(jnp.float64)
        direction = jnp.where(jnp.abs(weight) < jnp.abs(weight).max(), jnp.ones_like(weight), 0.0)
        slope = jax.jvp(lambda w: wires.of(w), (weight,), (direction,))[1]
        step = 1e-5
        difference = (wires.of(weight + step * direction) - wires.of(weight - step * direction)) / (2 * step)
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-9)
        assert np.abs(slope - direction).max() > 0.05


def test_it_acts_on_the_dense_connections_of_a_network():
    network = feedforward((4, 4, 4), recurrent=True, use_bias=True, key=KEY)
    wires = WireResistance(50.0, 1e-3)
    chip = wires(network, key=KEY)
    for layer, made in zip(network.layers, chip.layers, strict=True):
        for before, after in zip(layer.connections, made.connections, strict=True):
            np.testing.assert_array_equal(after.synapses.weight, wires.of(before.synapses.weight))
    mixed = Network(
        (
            Layer([CurrentNoise(Dense(4, 4, key=KEY), 0.1), OneToOne((4,), 0.5)], LI()),  # pyright: ignore
            Layer(Chain(OneToOne((4,), 0.5), Dense(4, 4, key=KEY)), LI()),
        )
    )
    chip = wires(mixed, key=KEY)
    assert (chip.layers[0].connections[0].synapses.carrier.weight != mixed.layers[0].synapses.carrier.weight).any()
    assert chip.layers[0].connections[1].synapses.weight == 0.5
    assert (chip.layers[1].synapses.carrier.weight != mixed.layers[1].synapses.carrier.weight).any()


def test_what_is_no_crossbar_is_refused():
    with pytest.raises(SnnlearnError, match=r"WireResistance: resistance is -1\.0; give a finite number, 0 or more"):
        WireResistance(-1.0, 1e-3)
    with pytest.raises(SnnlearnError, match=r"WireResistance: conductance is 0\.0; give a finite number above 0"):
        WireResistance(1.0, 0.0)
    with pytest.raises(SnnlearnError, match=r"crossbar: resistance is -2\.0"):
        crossbar(jnp.ones((2, 2)), -2.0)
    single = Network((Layer(OneToOne((3,), 0.7), LI()),))
    with pytest.raises(SnnlearnError, match=r"WireResistance: no connection of the network has a weight for each pair"):
        WireResistance(1.0, 1e-3)(single, key=KEY)
