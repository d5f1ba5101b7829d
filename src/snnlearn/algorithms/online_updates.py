"""Updates during the sequence, by an online rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.rules import AbstractOnlineRule
from snnlearn.rules.base import steps_of
from snnlearn.rules.online import in_blocks, parts, time_first


def update_online(
    rule: AbstractOnlineRule,
    loss: AbstractLoss,
    size: int,
    carry: Any,
    constants: Any,
    descend: Callable,
    inputs: Array | PackedSpikes | HeldValues,
    targets: Array,
    key: PRNGKeyArray,
) -> tuple[Any, tuple[Float[Array, ""], Float[Array, ""]]]:
    """Go through the sequence once; the weights change every few steps, and the traces continue.

    Args:
        rule: gives the gradient of each block of steps.
        loss: the loss of one sample.
        size: steps after which the weights change.
        carry: parameters, and state of the optimiser.
        constants: the rest of the network.
        descend: from such a pair and a gradient to the pair after a step, and the gradient's norm.
        inputs: a batch, encoded.
        targets: of each sample.
        key: random key of the rule.

    Returns:
        parameters and state of the optimiser, the loss, and the mean norm of the gradients.
    """
    num_steps = steps_of(inputs)
    blocks, rest = in_blocks(time_first(rule, loss, inputs, targets), size, num_steps)

    def advance(carry, block):
        weights, memory, value = carry
        memory, part, gradient = rule.advance(eqx.combine(weights[0], constants), loss, memory, *block)
        weights, norm = descend(weights, gradient)
        return (weights, memory, value + part), norm

    memory = rule.start(eqx.combine(carry[0], constants), loss, len(targets), key=key)
    carry, norms = (carry, memory, jnp.zeros(())), []
    if blocks is not None:
        carry, of_blocks = jax.lax.scan(advance, carry, blocks)
        norms.append(of_blocks)
    if rest is not None:
        carry, norm = advance(carry, rest)
        norms.append(norm[None])
    weights, memory, value = carry
    if parts(rule, loss).rates:  # which are known only now
        part, gradient = rule.finish(eqx.combine(weights[0], constants), loss, memory, num_steps)
        (weights, norm), value = descend(weights, gradient), value + part
        norms.append(norm[None])
    return weights, (value, jnp.mean(jnp.concatenate(norms)))
