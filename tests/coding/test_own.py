"""Somebody else's encoders: what they say of themselves is used as it is of the library's."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    AbstractEncoder,
    AbstractOuterEncoder,
    AbstractReconstruction,
    AbstractSpikeEncoder,
    Population,
    Rate,
    Rescaled,
    bits_per_value,
    check_encoder,
    inverse_of,
    reconstruction_costs,
)

KEY = jax.random.key(0)


class Count(AbstractReconstruction):
    """Spikes of as many steps."""

    def __call__(self, spikes):
        return spikes.mean(axis=0)


class Thermometer(AbstractSpikeEncoder):
    """The first x T steps spike."""

    num_steps: int = 8
    dt: float = 1e-3

    @property
    def draws(self):
        return False

    def __call__(self, x, *, key=None):
        steps = jnp.arange(float(self.num_steps)).reshape(-1, *(1 for _ in x.shape))
        spikes = (steps < jnp.round(jnp.clip(x, 0, 1) * self.num_steps)[None]).astype(jnp.float32)
        return jnp.where(jnp.isnan(x)[None], x[None], spikes)

    def out_shape(self, in_shape):
        return in_shape

    def inverse(self):
        return Count()


class Coins(AbstractSpikeEncoder):
    """Coins of the chance x²."""

    num_steps: int = 200
    dt: float = 1e-3

    def probability(self, x) -> Any:
        return jnp.clip(x, 0.0, 1.0) ** 2

    def __call__(self, x, *, key):
        chance = self.probability(x)
        spikes = jax.random.uniform(key, (self.num_steps, *x.shape)) < chance[None]
        return jnp.where(jnp.isnan(x)[None], x[None], spikes.astype(jnp.float32))

    def out_shape(self, in_shape):
        return in_shape


class Brighter(AbstractOuterEncoder):
    """Another code, of the root of values."""

    encoder: AbstractEncoder

    def __call__(self, x, *, key):
        return self.encoder(jnp.sqrt(jnp.maximum(x, 0.0)), key=key)

    def out_shape(self, in_shape):
        return self.encoder.out_shape(in_shape)


class Untold(Coins):
    """Coins of which nobody knows."""

    def probability(self, x):
        return None

    def __call__(self, x, *, key):
        return Coins()(x, key=key)


class Liar(Coins):
    @property
    def draws(self):
        return False


class Wrong(Coins):
    def probability(self, x):
        return jnp.zeros_like(x)

    def __call__(self, x, *, key):
        return Coins()(x, key=key)


@pytest.mark.parametrize("code", [Thermometer(), Coins()], ids=lambda code: type(code).__name__)
def test_the_suite_takes_them(code):
    check_encoder(code, (3,), key=KEY)


@pytest.mark.parametrize(
    ("code", "law"), [(Liar(), "does not draw, and depends on the key"), (Wrong(), "spikes where its probability is 0")]
)
def test_the_suite_finds_what_is_not_so(code, law):
    with pytest.raises(AssertionError, match=law):
        check_encoder(code, (3,), key=KEY)


def test_bits_and_inverse_of_a_code_without_noise():
    grey = np.round(8 * np.arange(256) / 255)
    share = np.unique(grey, return_counts=True)[1] / 256
    assert bits_per_value(Thermometer()) == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-3)
    for code in (Thermometer(), Rescaled(Thermometer(), 0.0, 8.0)):
        x = code.range[1] * jnp.array([0.25, 0.5])  # pyright: ignore[reportOptionalSubscript]
        np.testing.assert_allclose(inverse_of(code)(code(x, key=KEY)), x)
    (row,) = reconstruction_costs({"mine": (Thermometer(), inverse_of(Thermometer()))}, jnp.array([0.25]), key=KEY)
    assert row.rms_error == 0 and row.spikes == 2


def test_bits_and_inverse_of_coins():
    """One coin of chance x²: H(mean p) − mean H(p); on top of it a population is read by maximum likelihood."""
    chance = (np.arange(256) / 255) ** 2
    entropy = lambda p: -(p * np.log2(p + 1e-30) + (1 - p) * np.log2(1 - p + 1e-30))  # noqa: E731
    exact = entropy(chance.mean()) - entropy(chance).mean()
    assert bits_per_value(Coins(num_steps=1)) == pytest.approx(exact, rel=1e-4)
    population = Population(Coins(num_steps=2000), num_neurons=6)
    x = jnp.array([0.2, 0.45, 0.8])
    np.testing.assert_allclose(eqx.filter_jit(inverse_of(population))(population(x, key=KEY)), x, atol=0.02)


def test_a_wrapper_has_what_is_inside_but_for_what_it_changes():
    code = Brighter(Thermometer())
    assert (code.gives_spikes, code.draws, code.range) == (True, False, (0.0, 1.0))
    levels = np.round(8 * np.sqrt(np.arange(256) / 255))
    share = np.unique(levels, return_counts=True)[1] / 256
    assert bits_per_value(code) == pytest.approx(-(share * np.log2(share)).sum(), abs=0.02)
    with pytest.raises(SnnlearnError, match="Brighter has no known inverse; define its `inverse`"):
        inverse_of(code)


@pytest.mark.parametrize("code", [Untold(), Brighter(Rate(5))], ids=lambda code: type(code).__name__)
def test_what_is_not_said_is_asked_for(code):
    with pytest.raises(SnnlearnError, match="define that or its `bits`"):
        bits_per_value(code)
