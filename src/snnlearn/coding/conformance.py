"""The laws that every encoder and every decoder obeys; use them to check your own.

>>> from snnlearn.coding import Rate, SpikeCount
>>> check_encoder(Rate(num_steps=10), (3,), key=jax.random.key(0))
>>> check_decoder(SpikeCount())
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from snnlearn._laws import demand, same
from snnlearn.coding.base import AbstractDecoder, AbstractEncoder, AbstractInverse
from snnlearn.data.ends import with_lengths


def check_encoder(
    encoder: AbstractEncoder,
    in_shape: tuple[int, ...],
    *,
    sample: Callable[[PRNGKeyArray, tuple[int, ...]], Array] = jax.random.uniform,
    silent_at: float | None = 0.0,
    key: PRNGKeyArray,
) -> None:
    """Check an encoder's laws on random samples.

    Shape, dtype and range; spikes and held values, if it says so; the same spikes for the same key, and for any key
    unless it draws; its probability, if any, is that of its spikes, and its inverse restores the sample's shape, with
    an interval that contains the sample; its code of a frame, if any, gives the steps that a sample begins with; under
    `jit` and `vmap` a batch agrees with a plain loop; the smallest value gives no output; for floats, NaN gives NaN and
    the gradient is finite. If it sees where a sample ends, it is silent after the end, and its output before does not
    depend on what would have come.

    Args:
        encoder: the encoder.
        in_shape: shape of one sample.
        sample: draws a sample that the encoder accepts, from a key and a shape.
        silent_at: the value whose output is 0 everywhere; None if there is none.
        key: randomness of the samples and of the code.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(encoder).__name__
    sample_key, *keys = jax.random.split(key, 4)
    xs = jnp.stack([sample(k, in_shape) for k in jax.random.split(sample_key, 3)])
    loop = np.stack([encoder(x, key=k) for x, k in zip(xs, keys, strict=True)])
    first = loop[0]

    shape = (encoder.num_steps, *encoder.out_shape(in_shape))
    demand(encoder.num_steps >= 1 and encoder.dt > 0, f"{name} must have num_steps ≥ 1 and dt > 0")
    demand(
        first.shape == shape,
        f"{name} returned shape {first.shape}, but num_steps and out_shape say {shape} for a sample {in_shape}",
    )
    demand(first.dtype == np.float32, f"{name} returned {first.dtype}, not float32")
    demand(bool(np.isfinite(loop).all()), f"{name} returned values that are not finite")
    held = np.repeat(loop[:, :: encoder.held_steps], encoder.held_steps, axis=1)
    demand(np.array_equal(held, loop), f"{name} does not hold its values for {encoder.held_steps} steps")
    if encoder.gives_spikes:
        demand(bool(np.isin(loop, (0, 1)).all()), f"{name} returned values other than 0 and 1")

    same(encoder(xs[0], key=keys[0]), first, f"{name} gave two outputs for one sample and one key", least=1.0)
    _check_facts(encoder, xs[0], first, keys)
    differentiable = jnp.issubdtype(xs.dtype, jnp.floating)

    @jax.jit
    @jax.vmap
    def batch(x: Array, k: PRNGKeyArray) -> tuple[Array, Array]:
        if not differentiable:
            return encoder(x, key=k), jnp.zeros(())
        spikes, pull_back = jax.vjp(lambda x: encoder(x, key=k), x)
        return spikes, pull_back(jnp.ones_like(spikes))[0]

    spikes, gradient = batch(xs, jnp.stack(keys))
    same(spikes, loop, f"{name} under jit and vmap differs from a plain loop over samples", least=1.0)
    demand(bool(jnp.isfinite(gradient).all()), f"{name} has a gradient that is not finite")
    if silent_at is not None:
        nothing, _ = batch(jnp.full_like(xs, silent_at), jnp.stack(keys))
        demand(not nothing.any(), f"{name} is not silent for the value {silent_at}")
    if differentiable:
        unknown, _ = batch(jnp.full_like(xs, jnp.nan), jnp.stack(keys))
        demand(bool(jnp.isnan(unknown).all()), f"{name} turned NaN into spikes, or into silence, that look like data")
        if encoder.length(xs[0]) is not None:
            _check_ends(encoder, xs[0], first, keys[0])


def _check_ends(encoder: AbstractEncoder, x: Array, output: np.ndarray, key: PRNGKeyArray) -> None:
    """What comes after a sample's end has no influence on what comes before, and is silence."""
    name, whole = type(encoder).__name__, encoder.num_steps
    demand(int(encoder.length(x)) == whole, f"{name}.length is not {whole} for a sample without an end")  # pyright: ignore
    for end in range(1, len(x)):
        cut = jnp.asarray(with_lengths(np.asarray(x)[None], [end])[0])
        length, found = int(encoder.length(cut)), np.asarray(encoder(cut, key=key))  # pyright: ignore
        demand(0 < length < whole, f"{name}.length is {length} of {whole} steps for {end} of {len(x)}")
        same(found[:length], output[:length], f"{name} depends on what comes after a sample's end", least=1.0)
        demand(not found[length:].any(), f"{name} is not silent after a sample's end")


def _check_facts(encoder: AbstractEncoder, x: Array, output: np.ndarray, keys: list[PRNGKeyArray]) -> None:
    """The encoder's statements about itself, on one sample."""
    name = type(encoder).__name__
    if not encoder.draws:
        same(encoder(x, key=keys[1]), output, f"{name} says that it does not draw, and depends on the key", least=1.0)
    chance = encoder.probability(x)
    if chance is not None:
        chance = np.asarray(chance)
        demand(chance.shape == output.shape[1:], f"{name}.probability has shape {chance.shape}, not {output.shape[1:]}")
        demand(not output[:, chance <= 0].any(), f"{name} spikes where its probability is 0")
        demand(output[:, chance >= 1].all(), f"{name} does not spike where its probability is 1")
    code = encoder.of_frame()
    if isinstance(code, str):
        demand(len(code) > 0, f"{name}.of_frame does not say why there is no code of a frame")
    else:
        frame = x if code.out_shape(x.shape) == output.shape[1:] else x[0]
        steps = code(frame, key=keys[0])
        demand(
            steps.shape == (code.num_steps, *output.shape[1:]),
            f"{name}.of_frame gave steps of shape {steps.shape[1:]}, not {output.shape[1:]}",
        )
        if not encoder.draws:
            same(steps, output[: len(steps)], f"{name}.of_frame gives other steps than the sample begins with")
    inverse = encoder.inverse()
    if isinstance(inverse, str):
        demand(len(inverse) > 0, f"{name}.inverse does not say why there is none")
        return
    found = jax.eval_shape(inverse, output).shape
    demand(found == x.shape, f"{name}.inverse gave shape {found} for a sample of shape {x.shape}")
    if isinstance(inverse, AbstractInverse):
        low, high = inverse.interval(jnp.asarray(output))
        demand(
            bool(((low - 1e-5 <= x) & (x <= high + 1e-5)).all()), f"{name}.inverse has an interval without the value"
        )


def check_decoder(decoder: AbstractDecoder) -> None:
    """Check a decoder's laws on random spikes, membranes and silence.

    Shape and dtype of the scores; under `jit` and `vmap` a batch agrees with a plain loop; the order of
    the classes does not matter; a unit that fires in every step beats silent ones; the gradient is finite. If it scores
    samples that end early, nothing after the end has an influence.

    Args:
        decoder: the decoder.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(decoder).__name__
    membrane = jax.random.normal(jax.random.key(0), (6, 3), jnp.float32)
    spikes = (membrane > 0.5).astype(jnp.float32)
    outputs = jnp.stack([membrane, spikes, jnp.zeros_like(spikes)])
    loop = jnp.stack([decoder(output) for output in outputs])

    demand(loop.shape == (3, 3), f"{name} returned shape {loop.shape[1:]} for 3 classes, not (3,)")
    demand(loop.dtype == jnp.float32, f"{name} returned {loop.dtype} for float32, not float32")
    demand(bool(jnp.isfinite(loop).all()), f"{name} returned scores that are not finite")
    batch = jax.jit(jax.vmap(decoder))(outputs)
    same(batch, loop, f"{name} under jit and vmap differs from a plain loop over samples", least=1.0)

    order = jnp.array([2, 0, 1])
    same(decoder(membrane[:, order]), loop[0][order], f"{name} scores a class by its place among the others", least=1.0)
    winner = decoder(jnp.zeros((6, 3), jnp.float32).at[:, 1].set(1.0)).argmax()
    demand(int(winner) == 1, f"{name} prefers a silent unit to one that fires in every step")
    gradients = jax.jit(jax.vmap(jax.grad(lambda output: decoder(output).sum())))(outputs)
    demand(bool(jnp.isfinite(gradients).all()), f"{name} has a gradient that is not finite")

    end = jnp.array(len(spikes))
    same(decoder.until(spikes, end), loop[1], f"{name}.until the last step differs from the whole", least=1.0)
    early, later = decoder.until(spikes, end - 2), decoder.until(spikes.at[-2:].set(jnp.nan), end - 2)
    if jnp.isfinite(early).all():  # else it needs the whole
        same(later, early, f"{name}.until depends on what comes after the end", least=1.0)
        slopes = jax.grad(lambda output: decoder.until(output, end - 2).sum())(spikes.at[-2:].set(jnp.nan))
        demand(bool(jnp.isfinite(slopes).all()), f"{name}.until has a gradient that is not finite")
        demand(not slopes[-2:].any(), f"{name}.until has a gradient after the end")
