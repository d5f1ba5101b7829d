"""The laws that every effect obeys; use them to check your own.

>>> from snnlearn.circuits import LogNormal, Mismatch
>>> from snnlearn.network import feedforward
>>> network = feedforward((4, 3, 2), key=jax.random.key(0))
>>> none = Mismatch("tau_mem", LogNormal(0.0))
>>> check_effect(Mismatch("tau_mem", LogNormal(0.2)), network, none=none, key=jax.random.key(1))
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._laws import demand, same
from snnlearn._parameters import split, trained_part
from snnlearn.circuits.base import AbstractEffect
from snnlearn.network import Network, unroll

NUM_STEPS = 8


def check_effect(
    effect: AbstractEffect, network: Network, *, none: AbstractEffect | None = None, key: PRNGKeyArray
) -> None:
    """Check the laws of an effect on a network, driven by random spikes.

    The same key gives the same chip, under `jit` and mapped over keys; what is drawn for the first layer does not
    depend on the others. A network comes out that runs, in two pieces as in one; what was trained still is, and nothing
    else. The derivatives of what it does by the parameters of the network as designed are finite, and not all 0. The
    effect changes something; without strength nothing, up to rounding.

    Args:
        effect: the effect.
        network: a network that it can act on, with at least two layers, whose activity it changes.
        none: the same effect without strength, which is to be the identity; None if there is no such thing.
        key: randomness of chips and inputs.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(effect).__name__
    key, input_key, run_key = jax.random.split(key, 3)
    xs = (jax.random.uniform(input_key, (NUM_STEPS, *network.in_shape)) < 0.5).astype(jnp.float32)
    keys = jax.random.split(key, 2)
    chip, outputs, gradient = _deployed(effect, network, keys[0], xs, run_key)
    demand(isinstance(chip, Network), f"{name} gave {type(chip).__name__}, not a network")
    changed = jax.tree.structure(chip) != jax.tree.structure(network) or not _equal(chip, network)
    demand(changed, f"{name} changes nothing")
    demand(_shapes(trained_part(chip)) == _shapes(trained_part(network)), f"{name} changed what is trained")
    demand(_finite(outputs), f"{name} left a network with outputs that are not finite")
    demand(_finite(gradient), f"{name} has a derivative by the network's parameters that is not finite")
    by_any = any(bool(leaf.any()) for leaf in jax.tree.leaves(gradient))
    demand(by_any, f"{name} has no derivative by the network's parameters")

    mapped = eqx.filter_jit(eqx.filter_vmap(lambda key: effect(network, key=key)))(keys)
    first = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, mapped)
    _same_chip(first, chip, f"{name} gave another chip for the same key, mapped over keys")
    _check_first_layers(effect, network, chip, keys[0])
    pieces = _in_pieces(chip, xs, run_key)
    same(pieces, outputs, f"{name} left a network that goes another way in two pieces than in one")
    if none is not None:
        without = _run(eqx.filter_jit(none)(network, key=keys[0]), xs, run_key)
        designed = _run(network, xs, run_key)
        same(without, designed, f"{name} without strength changes what the network does", tolerance=1e-4)


@eqx.filter_jit
def _deployed(effect: AbstractEffect, network: Network, key: PRNGKeyArray, xs: Array, run_key: PRNGKeyArray) -> Any:
    """The chip, what its layers do, and the derivative of that by the network as designed."""
    parameters, constants = split(network)

    def activity(parameters: Any) -> Any:
        chip = effect(eqx.combine(parameters, constants), key=key)
        outputs = unroll(chip, xs, chip.initial_state(key=run_key))[0].outputs
        return sum(jnp.mean(z) for z in outputs), (chip, outputs)

    gradient, (chip, outputs) = eqx.filter_grad(activity, has_aux=True)(parameters)
    return chip, outputs, gradient


def _check_first_layers(effect: AbstractEffect, network: Network, chip: Network, key: PRNGKeyArray) -> None:
    """Of a network whose first layer is a network of its own, and gives the effect something to act on."""
    try:
        part = eqx.filter_jit(effect)(Network(network.layers[:1]), key=key)
    except SnnlearnError:
        return
    _same_chip(part.layers[0], chip.layers[0], f"{type(effect).__name__} draws for a layer what depends on others")


@eqx.filter_jit
def _run(network: Network, xs: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    """What the layers do."""
    return unroll(network, xs, network.initial_state(key=key))[0].outputs


@eqx.filter_jit
def _half(network: Network, xs: Array, state: Any) -> Any:
    activity, state = unroll(network, xs, state)
    return activity.outputs, state


def _in_pieces(network: Network, xs: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    middle = len(xs) // 2
    first, state = _half(network, xs[:middle], network.initial_state(key=key))
    second, _ = _half(network, xs[middle:], state)
    return tuple(jnp.concatenate(pair) for pair in zip(first, second, strict=True))


def _finite(tree: Any) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def _shapes(tree: Any) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(tree)]


def _numbers(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def _equal(one: Any, other: Any) -> bool:
    a, b = _numbers(one), _numbers(other)
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def _same_chip(one: Any, other: Any, sentence: str) -> None:
    """Up to rounding, which differs under `jit`."""
    demand(_shapes(_numbers(one)) == _shapes(_numbers(other)), sentence)
    same(_numbers(one), _numbers(other), sentence)
