"""A ledger: each term a count times a figure, and no total where a figure is missing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.circuits import Events, Figure, Ledger, events
from snnlearn.coding import Current, Rate
from snnlearn.network import feedforward, unroll
from snnlearn.neurons import LIF

KEY = jax.random.key(0)
NETWORK = feedforward((6, 5, 3), neuron=LIF(v_th=0.05), key=KEY)
FIGURES = {
    "synaptic_operation": 2e-12,
    "product": 3e-12,
    "spike": 5e-12,
    "neuron_update": 7e-12,
    "conversion": 11e-12,
    "input": 13e-12,
    "power": 17e-3,
}
COUNTS = Events(100.0, 20.0, 30.0, 40.0, 50.0, 60.0, 0.2)


def ledger(*without: str, speed_up: float = 1.0) -> Ledger:
    """All figures but some."""
    return Ledger(
        **{name: Figure(value, "a test") for name, value in FIGURES.items() if name not in without},  # pyright: ignore
        speed_up=speed_up,
    )


def test_an_account_is_counts_times_figures():
    account = ledger(speed_up=100.0).account(COUNTS)
    by_hand = 1e-12 * (200 + 60 + 150 + 280 + 550 + 780) + 17e-3 * 0.2 / 100
    assert account.missing == ()
    assert account.total == pytest.approx(by_hand, rel=1e-12)
    assert account.lower_bound == account.total
    assert {term.name: term.energy for term in account.terms}["conversion"] == pytest.approx(550e-12)


def test_an_incomplete_account_has_no_total():
    account = ledger("spike", "power").account(COUNTS)
    assert account.missing == ("spike", "power")
    assert account.lower_bound == pytest.approx(1e-12 * (200 + 60 + 280 + 550 + 780), rel=1e-12)
    with pytest.raises(
        SnnlearnError, match=r"there is no figure for spike, power, so there is no total; lower_bound .* 1\.87e-09 J"
    ):
        _ = account.total
    assert [term.energy for term in account.terms if term.name == "spike"] == [None]


def test_what_does_not_happen_needs_no_figure():
    account = ledger("conversion", "product").account(COUNTS._replace(conversions=0.0, products=0.0))
    assert account.missing == () and account.total > 0
    assert ledger("conversion").account(COUNTS).missing == ("conversion",)


def test_events_are_counted_one_by_one():
    xs = jax.random.bernoulli(KEY, 0.4, (3, 12, 6)).astype(float)
    lengths = jnp.array([12, 7, 9])
    found = events(NETWORK, Rate(num_steps=12), xs, lengths)
    fan_out = [
        [(np.asarray(c.synapses.weight) != 0).sum(axis=0) for c in layer.connections] for layer in NETWORK.layers
    ]
    operations, spikes, inputs = 0.0, 0.0, 0.0
    for x, length in zip(np.asarray(xs), np.asarray(lengths), strict=True):
        hidden = np.asarray(unroll(NETWORK, jnp.asarray(x))[0].outputs[0])
        for t in range(length):
            operations += (x[t] * fan_out[0][0]).sum() + (hidden[t] * fan_out[1][0]).sum()
            spikes, inputs = spikes + hidden[t].sum(), inputs + x[t].sum()
    steps = float(lengths.mean())
    expected = Events(operations / 3, 0.0, spikes / 3, 8 * steps, 3 * steps, inputs / 3, steps * 1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.spikes > 0


def test_a_current_is_multiplied_and_arrives_once_for_as_long_as_it_is_held():
    encoder = Current(num_steps=8)
    xs = jax.vmap(lambda x: encoder(x, key=KEY))(jnp.array([[0.5, 0.0, 1.0, 0.2, 0.0, 0.3]]))
    found = events(NETWORK, encoder, xs)
    assert found.products == 6 * 5 and found.inputs == 4


def test_what_is_no_figure_is_refused():
    with pytest.raises(SnnlearnError, match=r"Figure: value is -1\.0; give a finite number of at least 0, in J or W"):
        Figure(-1, "nobody")
    with pytest.raises(SnnlearnError, match=r"Figure: source is empty; say where the number comes from"):
        Figure(1.0, " ")
    with pytest.raises(SnnlearnError, match=r"Ledger: speed_up is 0\.0; give a finite number above 0"):
        Ledger(speed_up=0)
