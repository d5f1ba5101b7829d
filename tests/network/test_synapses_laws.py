"""All synapses obey the laws of the conformance suite, and the suite can fail."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from snnlearn import network
from snnlearn.network import (
    AbstractSynapses,
    AveragePool2d,
    Chain,
    Conv2d,
    CurrentNoise,
    Dense,
    Part,
    ReadNoise,
    check_synapses,
)

KEY = jax.random.key(4)
SYNAPSES = {
    "Dense": Dense(5, 3, use_bias=True, key=KEY),
    "Conv2d": Conv2d((2, 6, 5), 3, 3, stride=2, padding=1, use_bias=True, key=KEY),
    "AveragePool2d": AveragePool2d((2, 5, 4), 2),
    "Part": Part(7, 2, 5),
    "OneToOne": network.OneToOne((2, 3), jnp.array([[2.0], [0.5]]), 0.7),
    "Convolution": network.Convolution(
        (2, 9), jax.random.normal(KEY, (4, 1, 3)), stride=(2,), padding=((0, 2),), dilation=(2,), groups=2
    ),
    "AveragePool": network.AveragePool((2, 5, 4), (3, 2), (2, 1), ((1, 1), (0, 0)), count_padding=True),
    "Padded": network.Padded((2, 3), ((1, 0), (0, 2))),
    "Transposed": network.Transposed((2, 3, 4), (2, 0, 1)),
    "ReadNoise": ReadNoise(Dense(4, 3, key=KEY), 0.1),
    "CurrentNoise": CurrentNoise(Dense(4, 3, key=KEY), 0.1),
    "LayerNorm": network.LayerNorm((2, 3)),
    "DelayedSynapses": network.DelayedSynapses(Dense(4, 3, key=KEY), jnp.full((3, 4), 1.25), 3),
    "Chain": Chain(AveragePool2d((1, 6, 6), 2), Conv2d((1, 3, 3), 2, 2, key=KEY)),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_synapses_conform(name):
    check_synapses(SYNAPSES[name], key=KEY)


@pytest.mark.parametrize("name", SYNAPSES)
def test_an_affine_map_of_them_is_again_synapses(name):
    synapses = SYNAPSES[name]
    x = jax.random.normal(KEY, synapses.in_shape)
    shift = jax.random.normal(KEY, synapses.out_shape)
    of_channels = jnp.reshape(jnp.arange(1.0, 1.0 + synapses.out_shape[0]), (-1, *(1,) * (len(synapses.out_shape) - 1)))
    for after, more in ((0.5, None), (of_channels, of_channels), (shift, shift)):
        expected = after * synapses(2.0 * x) + (0.0 if more is None else more)
        assert jnp.allclose(synapses.affine(2.0, after, more)(x), expected, rtol=1e-5, atol=1e-5).item(), name
    # No input of this size moves a current by more than the absolute weights say.
    moved = jnp.abs(synapses(x) - synapses(jnp.zeros_like(x)))
    assert not synapses.linear or bool(jnp.all(moved <= synapses.absolute()(jnp.abs(x)) + 1e-5))


def test_all_that_are_public_are_checked():
    public = {kind for kind in vars(network).values() if isinstance(kind, type) and issubclass(kind, AbstractSynapses)}
    assert {type(each) for each in SYNAPSES.values()} == {
        kind for kind in public if not kind.__name__.startswith("Abstract")
    }


class Broken(AbstractSynapses):
    """A dense map of three to two, to be broken."""

    weight: jax.Array = eqx.field(default_factory=lambda: jnp.arange(1.0, 7.0).reshape(2, 3))
    in_shape: tuple[int, ...] = eqx.field(static=True, default=(3,))
    out_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))

    def __call__(self, x):
        return self.weight @ jnp.ravel(x)

    def redrawn(self, *, key):
        return eqx.tree_at(lambda s: s.weight, self, jax.random.normal(key, (2, 3)))

    def operations(self, x):
        return 2.0 * jnp.sum((x != 0).astype(x.dtype))

    def multiply_accumulates(self) -> int:
        return 6


class Squares(Broken):
    def __call__(self, x):
        return self.weight @ jnp.square(jnp.ravel(x))


class WrongShape(Broken):
    def __call__(self, x):
        return (self.weight @ jnp.ravel(x))[None]


class Stays(Broken):
    def redrawn(self, *, key):
        return self


class Deaf(Broken):
    def __call__(self, x):
        return self.weight @ jnp.ones(3) + 0 * jnp.sum(x)


class Offset(Broken):
    def __call__(self, x):
        return self.weight @ jnp.ravel(x) + 1.0


class Free(Broken):
    def multiply_accumulates(self):
        return 1


class Busy(Broken):
    def operations(self, x):
        return jnp.asarray(6.0)


class Greedy(Broken):
    def direct_operations(self, x):
        return 1.0 + self.operations(x)


def test_a_sound_one_of_ones_own_passes():
    check_synapses(Broken(), key=KEY)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Squares, "not linear"),
        (WrongShape, r"gave \(1, 2\), not \(2,\)"),
        (Stays, "weights that were there"),
        (Deaf, "the same for all inputs"),
        (Offset, "answers to silence"),
        (Free, "not between 0 and the dense 1"),
        (Busy, "counts what silence costs"),
        (Greedy, "direct_operations is more"),
    ],
)
def test_the_suite_finds_what_is_broken(kind, law):
    with pytest.raises(AssertionError, match=law):
        check_synapses(kind(), key=KEY)
