"""Latency: when a network has decided."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn.hypothesis import Hypothesis, network_input
from snnlearn.network import fresh_state

_BATCH = 128


@checked
def decision_steps(
    hypothesis: Hypothesis, xs: np.ndarray | Array, *, key: PRNGKeyArray | None = None
) -> Int[np.ndarray, " m"] | None:
    """After how many steps the decision about each sample is what it is at the end, and stays so.

    Args:
        hypothesis: the hypothesis; it decides between classes.
        xs: the samples, `[m, *shape]`.
        key: random key of encoder and noise; None is the fixed key 0, as in `predict`.

    Returns:
        steps from 1 to T, `[m]`; None if the decoder does not say how it decides before the end (`until`).

    Raises:
        SnnlearnError: if an argument is of another kind, or the samples do not fit the network.

    >>> import snnlearn as sl
    >>> data = sl.data.yin_yang(num_train=10, num_validation=10, num_test=20)
    >>> network = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
    >>> hypothesis = sl.Hypothesis(sl.coding.Current(num_steps=10), network, sl.coding.MeanMembrane())
    >>> steps = decision_steps(hypothesis, data.test.x)
    >>> bool((steps >= 1).all() and (steps <= 10).all())
    True
    """
    num_steps = hypothesis.encoder.num_steps
    some = jnp.zeros((num_steps, *hypothesis.network.out_shape))
    if jnp.isnan(hypothesis.decoder.until(some, jnp.array(1))).any():
        return None
    return np.asarray(_steps(hypothesis, jnp.asarray(xs), jax.random.key(0) if key is None else key))


@eqx.filter_jit
def _steps(hypothesis: Hypothesis, xs: Array, key: PRNGKeyArray) -> Int[Array, " m"]:
    lengths = jnp.arange(1, hypothesis.encoder.num_steps + 1)

    def of_one(sample):
        x, key = sample
        state = fresh_state(hypothesis.network, key=key)
        output, _ = hypothesis.network(network_input(hypothesis.encoder, hypothesis.network, x, key=key), state)
        decided = jax.vmap(lambda length: jnp.argmax(hypothesis.decoder.until(output, length)))(lengths)
        return 1 + jnp.max(jnp.where(decided != decided[-1], lengths, 0))

    return jax.lax.map(of_one, (xs, jax.random.split(key, len(xs))), batch_size=_BATCH)
