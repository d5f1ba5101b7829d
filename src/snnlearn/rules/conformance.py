"""The laws that every learning rule obeys; use them to check your own.

>>> from snnlearn.losses import CrossEntropy
>>> from snnlearn.network import feedforward
>>> from snnlearn.rules import BPTT
>>> network = feedforward((4, 3, 2), key=jax.random.key(0))
>>> batch = 20 * jax.random.normal(jax.random.key(2), (2, 20, 4)), jnp.array([0, 1])
>>> check_rule(BPTT(), network, CrossEntropy(), *batch, key=jax.random.key(1))
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._laws import demand, kind_of, same
from snnlearn._parameters import trained_part
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network, unroll
from snnlearn.rules.base import AbstractRule, start_state


def check_rule(
    rule: AbstractRule,
    network: Network,
    loss: AbstractLoss,
    inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
    targets: Shaped[Array, "B ..."],
    *,
    deterministic: bool = True,
    stepped: bool = True,
    key: PRNGKeyArray,
) -> None:
    """Check a rule's laws on a network, a loss and a batch.

    The loss is the mean of the samples' losses, with noise from the key if neurons draw their spikes; the gradient has
    the structure, shapes and types of the network's parameters and is finite; all under `jit`, and the same key gives
    the same result. A deterministic rule ignores its key, and its gradient of a batch is the mean of the samples'.

    Args:
        rule: the rule.
        network: a network that spikes on the inputs; a silent one satisfies most laws trivially.
        loss: a loss that the rule accepts.
        inputs: encoded data, `[B, T, *in_shape]`, B ≥ 2; or packed, for a rule that takes it.
        targets: what the loss takes, `[B, ...]`.
        deterministic: whether neither rule nor network draws random numbers.
        stepped: whether the rule's loss is that of the stepped network; a rule in continuous time has another loss,
            which is only checked to be the mean of the samples'.
        key: randomness of the rule.

    Raises:
        AssertionError: with a sentence that names the law, or that says that the network is silent.
    """
    name = type(rule).__name__
    outputs, losses = _evaluate(network, loss, inputs, targets, key)
    for number, (layer, output) in enumerate(zip(network.layers, outputs, strict=True), start=1):
        demand(not layer.neuron.spikes or bool(output.any()), f"layer {number} is silent, so that nothing is checked")

    compiled: Any = eqx.filter_jit(rule)
    value, gradient = compiled(network, loss, inputs, targets, key=key)
    if stepped:
        same(value, losses.mean(), f"{name} gave a loss that is not the mean of the samples' losses")
    parameters = trained_part(network)
    demand(kind_of(gradient) == kind_of(parameters), f"{name} gave a gradient of another structure than the network's")
    leaves = jax.tree.leaves(gradient)
    demand(all(bool(jnp.isfinite(leaf).all()) for leaf in leaves), f"{name} gave a gradient that is not finite")
    demand(any(bool(leaf.any()) for leaf in leaves), f"{name} gave no gradient at all")
    again = compiled(network, loss, inputs, targets, key=key)
    same(again, (value, gradient), f"{name} gave two gradients for one batch and one key")
    if not deterministic:
        return
    other = compiled(network, loss, inputs, targets, key=jax.random.fold_in(key, 1))
    same(other, (value, gradient), f"{name} depends on its key; is it deterministic?")
    singles = []
    for b in range(len(targets)):
        copies = jnp.full(len(targets), b)  # of one sample, so that the compiled program serves
        batch = jax.tree.map(partial(jnp.take, indices=copies, axis=0), (inputs, targets))
        singles.append(compiled(network, loss, *batch, key=key))
    mean_value, mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *singles)
    same(value, mean_value, f"{name} gave a loss that is not the mean of the samples' losses")
    same(gradient, mean, f"{name} gave a gradient of the batch that is not the mean of the samples' gradients")


@eqx.filter_jit
def _evaluate(
    network: Network, loss: AbstractLoss, inputs: Array | PackedSpikes | HeldValues, targets: Array, key: PRNGKeyArray
) -> tuple[Any, Array]:
    rest = start_state(network, len(targets), key=key)
    outputs = jax.vmap(lambda xs, state: unroll(network, xs, state)[0].outputs)(inputs, rest)
    return outputs, jax.vmap(loss)(outputs, targets)
