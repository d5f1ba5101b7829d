"""The loss and the errors of a network on a sample."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from snnlearn.algorithms.devices import ONE_DEVICE, Devices
from snnlearn.coding import AbstractEncoder
from snnlearn.data import Sample, WeightedSample
from snnlearn.data.base import task_of
from snnlearn.hypothesis import decide, decoded, network_input
from snnlearn.losses import AbstractLoss
from snnlearn.losses.ends import ended_by
from snnlearn.network import Network, fresh_state, unroll

S = TypeVar("S", bound=Sample | WeightedSample)


def on_device(sample: S) -> S:
    """The sample as device arrays; those that are already are left where they are."""
    return type(sample)(*map(jnp.asarray, sample))  # pyright: ignore


def relative(weights: Any) -> Float[Array, " m"]:
    """Weights of mean 1."""
    weights = jnp.asarray(weights)
    return weights / jnp.mean(weights)


def evaluate(
    loss: AbstractLoss,
    encoder: AbstractEncoder,
    network: Network,
    sample: Sample | WeightedSample,
    *,
    batch_size: int = 256,
    ends: bool = False,
    devices: Devices = ONE_DEVICE,
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Real[Array, ""]]:
    """The mean loss on a sample and the number of wrong decisions, each times its weight if there are weights.

    A label is decided to hold where its score is above 0, which is a probability above a half; of real values nothing
    is decided.

    Args:
        loss: the loss of one sample; its decoder decides.
        encoder: from one `x` to the network's input over time.
        network: the network.
        sample: the sample.
        batch_size: how many are computed at once.
        ends: whether some samples end before the last step.
        devices: which share the sample; of more than one, those that run this.
        key: random key of the encoder, and of the noise of neurons that draw their spikes.
    """
    assert loss.decoder is not None
    decoder, task = loss.decoder, task_of(sample.y)

    of_sample, targets = (loss, jnp.asarray(sample.y))
    if ends:
        of_sample, targets = ended_by(encoder, loss, jnp.asarray(sample.x), targets)

    def one(sample):
        x, y, target, key = sample
        xs = network_input(encoder, network, x, key=key)
        outputs = unroll(network, xs, fresh_state(network, key=key))[0].outputs
        if task == "regression":
            return of_sample(outputs, target), jnp.zeros((), jnp.int32)
        scores = decoded(encoder, decoder, x, outputs[-1])
        decided = scores > 0 if task == "multi-label" else decide(scores, key=jax.random.fold_in(key, 1))
        return of_sample(outputs, target), jnp.sum(decided != y, dtype=jnp.int32)

    size = len(sample.y)
    share, counts = devices.share((sample.x, sample.y, targets, jax.random.split(key, size)))
    losses, wrong = jax.lax.map(one, share, batch_size=min(batch_size, len(counts)))
    if sample.weights is not None:
        weights, _ = devices.share(relative(sample.weights))
        losses, wrong = weights * losses, jnp.where(counts, weights * wrong.astype(weights.dtype), 0.0)
        return devices.total((jnp.sum(jnp.where(counts, losses, 0.0)) / size, jnp.sum(wrong)))
    wrong = jnp.sum(jnp.where(counts, wrong, 0), dtype=jnp.int32)
    return devices.total((jnp.sum(jnp.where(counts, losses, 0.0)) / size, wrong))
