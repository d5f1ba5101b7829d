"""The laws that all losses obey; use them to check your own.

>>> from snnlearn.losses import CrossEntropy
>>> outputs = (20 * jax.random.normal(jax.random.key(0), (12, 3)),)
>>> check_loss(CrossEntropy(), outputs, jnp.array(1))
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from snnlearn._laws import demand, same
from snnlearn.losses.base import AbstractFilteredLoss, AbstractLoss, AbstractStepwiseLoss, Outputs


def check_loss(loss: AbstractLoss, outputs: Outputs, target: Shaped[Array, "..."]) -> None:
    """Check a loss's laws on the layers' outputs for one sample.

    It is one finite number, the same under `jit` and `vmap`; its derivative with respect to the outputs is finite, and
    the same in forward and reverse mode; sums and multiples of it are sums and multiples of its value. A stepwise loss
    is the sum of its steps' contributions, also in pieces, as online rules need it. If it has a decoder, there is a
    score for each output unit.

    Args:
        loss: the loss.
        outputs: of each layer, `[T, *shape]`, T ≥ 2, the network's last.
        target: a target for the loss.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(loss).__name__
    value = loss(outputs, target)
    demand(jnp.shape(value) == () and bool(jnp.isfinite(value)), f"{name} gave {value}, not one finite number")
    two = jax.tree.map(lambda a: jnp.stack([a, a]), (outputs, target))
    side_by_side = eqx.filter_jit(lambda loss, outputs, targets: jax.vmap(loss)(outputs, targets))(loss, *two)
    same(side_by_side, jnp.stack([value, value]), f"{name} under jit and vmap gave something else", least=1.0)
    along = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), outputs)

    @eqx.filter_jit
    def derivatives(loss, outputs, target, along):
        forward = jax.jvp(lambda outputs: loss(outputs, target), (outputs,), (along,))[1]
        return forward, jax.grad(lambda outputs: loss(outputs, target))(outputs)

    forward, gradient = derivatives(loss, outputs, target, along)
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))
    demand(finite, f"{name} has a derivative that is not finite")
    demand(any(bool(leaf.any()) for leaf in jax.tree.leaves(gradient)), f"{name} does not look at the outputs")
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True)
    backward = sum(float(jnp.vdot(g, a)) for g, a in pairs)
    same(forward, backward, f"{name} differs in forward and in reverse mode", least=1.0)
    if isinstance(loss, AbstractStepwiseLoss | AbstractFilteredLoss):
        seen = loss.kernel(outputs[-1]) if isinstance(loss, AbstractFilteredLoss) else outputs[-1]
        moments = loss.moments(target, len(seen))
        parts = [loss.at_step(y, jax.tree.map(lambda a, t=t: a[t], moments)) for t, y in enumerate(seen)]
        same(jnp.stack(parts).sum(), value, f"{name} is not the sum of its steps' parts", least=1.0)
    same((loss + 2.0 * loss)(outputs, target), 3 * value, f"{name}, added to twice itself, is not thrice it", least=1.0)
    if loss.decoder is not None:
        scores = loss.decoder(outputs[-1])
        demand(scores.shape == outputs[-1].shape[1:], f"{name} decides by scores of shape {scores.shape}")
