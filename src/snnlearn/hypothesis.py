"""The hypothesis f: encoder → network → decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn._parameters import check_one_dt
from snnlearn.coding import AbstractDecoder, AbstractEncoder, HeldValues, PackedSpikes, hold_values, pack_spikes
from snnlearn.data.ends import filled, lengths_of
from snnlearn.network import Network, fresh_state, why_not_compiled


@final
class Hypothesis(eqx.Module):
    """A function from data to scores of classes, predictions of real values, or scores of labels.

    Args:
        encoder: from one `x` to the network's input over time.
        network: the spiking network.
        decoder: from the network's output over time to scores, of which the largest decides, unless the decoder's
            `task` says otherwise.

    Raises:
        SnnlearnError: if a part is of another kind, or encoder or decoder has another time step than the network.
    """

    encoder: AbstractEncoder
    network: Network
    decoder: AbstractDecoder

    def __check_init__(self):
        check_fields(self, "encoder", "network", "decoder")
        check_one_dt(self, self.network.dt, encoder=self.encoder, decoder=self.decoder)

    @checked
    def __call__(self, x: Array, *, key: PRNGKeyArray) -> Float[Array, " C"]:
        """Scores of one `x`.

        Args:
            x: one sample, in the shape and range that the encoder takes.
            key: random key of the encoder, and of neurons that draw their spikes.

        Raises:
            SnnlearnError: if an argument is of another kind, or `x` does not fit the network in shape.
        """
        if not _fits(self, x.shape):
            raise SnnlearnError(
                f"Hypothesis: x has shape {x.shape}, whose encoding does not have the "
                f"{math.prod(self.network.in_shape)} inputs of the network; give one sample here, and many to predict"
            )
        state = fresh_state(self.network, key=key)
        output, _ = self.network(network_input(self.encoder, self.network, x, key=key), state)
        return decoded(self.encoder, self.decoder, x, output)


def decoded(encoder: AbstractEncoder, decoder: AbstractDecoder, x: Array, output: Float[Array, "T C"]) -> Array:
    """The scores of one sample from the network's output, up to the sample's end."""
    length = encoder.length(x)
    return decoder(output) if length is None else decoder.until(output, length)


def why_not_ended(encoder: AbstractEncoder, decoder: AbstractDecoder, xs: np.ndarray | Array) -> str | None:
    """Why encoder and decoder do not know what to do with samples that end at different times, and what to give.

    None if they do, or all samples go on to the last step.

    Args:
        encoder: from one `x` to the network's input over time.
        decoder: from the network's output over time to scores.
        xs: the samples, `[m, *shape]`.
    """
    if (lengths := lengths_of(xs)) is None:
        return None
    x = jnp.asarray(xs[int(np.argmin(lengths))])
    if x.dtype != jnp.uint8 and not jnp.isfinite(encoder(x, key=jax.random.key(0))).all():
        return (
            f"the samples end at different times, and {type(encoder).__name__} takes all of a sample at once; encode "
            "frame by frame, by Framewise, or hold the last value to the last step, by HoldLast"
        )
    outputs = jnp.zeros((encoder.num_steps, 1))
    length = encoder.length(x)
    if length is not None and jnp.isnan(decoder.until(outputs, length)).any():
        return (
            f"the samples end at different times, and {type(decoder).__name__} does not say how it decides after "
            f"{length} steps; define its until, or give another decoder, such as MeanMembrane()"
        )
    return None


def _fits(hypothesis: Hypothesis, shape: tuple[int, ...]) -> bool:
    """Whether the encoding of a sample of this shape fits the network."""
    try:
        size = math.prod(hypothesis.encoder.out_shape(shape))
    except SnnlearnError:  # the encoder takes none of this shape
        return False
    return size == math.prod(hypothesis.network.in_shape)


def _not_run(network: Network) -> str | None:
    return why_not_compiled(network.layers)


def network_input(
    encoder: AbstractEncoder,
    network: Network,
    x: Array,
    work: Callable[[Network], str | None] = _not_run,
    *,
    key: PRNGKeyArray,
) -> Float[Array, "T ..."] | PackedSpikes | HeldValues:
    """One encoded sample, `[T, *in_shape]`, or packed or held if the kernels work on it.

    Args:
        encoder: the encoder.
        network: the network.
        x: the sample.
        work: the reason why the kernels cannot do a task for a network, such as a rule's `why_plain`; by default the
            task is to run the network.
        key: random key of the encoder.
    """
    xs = encoder(x, key=key)
    if work(network) is not None:
        return xs
    if encoder.gives_spikes:
        return pack_spikes(xs)
    return hold_values(xs, encoder.held_steps) if encoder.held_steps > 1 else xs


def encode(encoder: AbstractEncoder, xs: Array, *, key: PRNGKeyArray) -> Float[Array, "B T ..."]:
    """Encode a batch `[B, *shape]`, with a random key for each sample."""
    return jax.vmap(lambda x, k: encoder(x, key=k))(xs, jax.random.split(key, len(xs)))


def check_size(encoder: AbstractEncoder, network: Network, *, samples: int, copies: int = 1) -> None:
    """Refuse a network, or a run of it, that does not fit into memory.

    This counts the parameters, and the input and output of every step; a gradient may need more.

    Args:
        encoder: what gives the network's input.
        network: the network, or its shapes (`equinox.filter_eval_shape`).
        samples: how many run at once.
        copies: copies of the parameters: gradients, optimiser state, the best so far, several seeds.

    Raises:
        SnnlearnError: saying what is needed and what there is.
    """
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(network) if hasattr(leaf, "shape"))
    each_step = math.prod(network.in_shape) + math.prod(network.out_shape)
    check_memory(
        4 * (copies * parameters + samples * encoder.num_steps * each_step),
        f"a network of {parameters:,} parameters, run over {encoder.num_steps:,} steps of {samples:,} samples at once,",
        "take fewer steps, units, samples or seeds",
    )


def decide(scores: Float[Array, "*m C"], *, key: PRNGKeyArray) -> Int[Array, "*m"]:
    """The class of the largest score; ties are broken at random, so no class is favoured.

    Args:
        scores: of each class, `[..., C]`.
        key: random key that ties are broken by.

    >>> decide(jnp.array([[0.0, 2.0, 1.0], [3.0, 1.0, 2.0]]), key=jax.random.key(0)).tolist()
    [1, 0]
    >>> round(float(decide(jnp.zeros((1000, 2)), key=jax.random.key(0)).mean()), 1)
    0.5
    """
    best = scores == jnp.max(scores, axis=-1, keepdims=True)
    return jnp.argmax(jnp.where(best, jax.random.uniform(key, scores.shape), -1.0), axis=-1)


def ties(scores: Float[np.ndarray, "m C"]) -> Bool[np.ndarray, " m"]:
    """Where several classes share the largest score.

    >>> ties(np.array([[0.0, 2.0, 2.0], [3.0, 1.0, 2.0]])).tolist()
    [True, False]
    """
    return np.sum(scores == scores.max(axis=1, keepdims=True), axis=1) > 1


@eqx.filter_jit
def _scores(hypothesis: Hypothesis, xs: Array, key: PRNGKeyArray, batch_size: int) -> Array:
    keys = jax.random.split(key, len(xs))
    return jax.lax.map(lambda sample: hypothesis(sample[0], key=sample[1]), (xs, keys), batch_size=batch_size)


@checked
def scores(
    hypothesis: Hypothesis, xs: np.ndarray | Array, *, batch_size: int = 256, key: PRNGKeyArray | None = None
) -> Float[np.ndarray, "m C"]:
    """Scores of each class for each of many samples; the largest decides.

    Args:
        hypothesis: the hypothesis.
        xs: the samples, `[m, *shape]`.
        batch_size: how many are computed at once.
        key: random key of encoder and noise, split for each sample; None is the fixed key 0, so decisions can be
            repeated.

    Raises:
        SnnlearnError: if an argument is of another kind, or the samples do not fit the network in shape, or are not
            finite.
    """
    if xs.ndim == 0 or (not _fits(hypothesis, xs.shape[1:]) and _fits(hypothesis, xs.shape)):
        raise SnnlearnError(f"predict: xs is one sample, of shape {xs.shape}; give a batch of it, xs[None]")
    if len(xs) == 0:
        raise SnnlearnError("predict: there are no samples; give at least one")
    if not np.all(np.isfinite(filled(np.asarray(xs), 0))):
        raise SnnlearnError("predict: the samples hold NaN or infinite values; remove or replace them")
    size, takes = math.prod(hypothesis.encoder.out_shape(xs.shape[1:])), math.prod(hypothesis.network.in_shape)
    if size != takes:
        raise SnnlearnError(
            f"predict: a sample of shape {xs.shape[1:]} is encoded as {size} inputs, but the network takes {takes}; "
            "give samples of the shape that it was trained on"
        )
    if (why := why_not_ended(hypothesis.encoder, hypothesis.decoder, xs)) is not None:
        raise SnnlearnError(f"predict: {why}")
    check_size(hypothesis.encoder, hypothesis.network, samples=min(batch_size, len(xs)))
    return np.asarray(_scores(hypothesis, jnp.asarray(xs), jax.random.key(0) if key is None else key, batch_size))


@checked
def predict(
    hypothesis: Hypothesis, xs: np.ndarray | Array, *, batch_size: int = 256, key: PRNGKeyArray | None = None
) -> np.ndarray:
    """Decide for each of many samples: its class, its values, or which labels hold, as the decoder's `task` says.

    Args:
        hypothesis: the hypothesis.
        xs: the samples, `[m, *shape]`.
        batch_size: how many are computed at once.
        key: random key of encoder, noise and ties, split for each sample; None is the fixed key 0, so predictions can
            be repeated.

    Returns:
        classes, `[m]` integers; predictions, `[m, D]`; or 1 where a label holds and else 0, `[m, L]` integers.

    Raises:
        SnnlearnError: if an argument is of another kind, or the samples do not fit the network in shape, or are not
            finite.
    """
    found = scores(hypothesis, xs, batch_size=batch_size, key=key)
    match hypothesis.decoder.task:
        case "regression":
            return found
        case "multi-label":
            return (found > 0).astype(np.int32)
        case _:
            return decisions(found, key=key)


def decisions(scores: Float[np.ndarray, "m C"], *, key: PRNGKeyArray | None = None) -> np.ndarray:
    """The classes that `predict` decides for given these scores and the same key."""
    # Folded in, as the encoder has drawn by the key itself.
    return np.asarray(decide(jnp.asarray(scores), key=jax.random.fold_in(jax.random.key(0) if key is None else key, 1)))
