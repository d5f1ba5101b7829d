"""Gradient flow: how much of an error reaches the state that the network had some steps before."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractDecoder
from snnlearn.network.network import Network, fresh_state
from snnlearn.network.shapes import check_steps


class GradientFlow(NamedTuple):
    r"""Norms of the derivatives of what is read of a network with respect to earlier states.

    Args:
        norms: of each layer and lag $\ell=1,\dots,T$: the root mean square over samples of
            $\lVert\partial(u\cdot r)/\partial s^{T-\ell}\rVert$, r being the last step's output or the decoder's
            scores, u a random direction of length 1 and s the layer's whole state, `[layers, T]`.
        dt: time step, s.
    """

    norms: Float[np.ndarray, "layers T"]
    dt: float

    @property
    def half_lives(self) -> Float[np.ndarray, " layers"]:
        """After which time the norm of each layer has halved, s.

        By a line through its logarithm over the later half of the lags at which there is a gradient; infinite if it
        does not fall, NaN if there are fewer than two.
        """
        return np.array([_half_life(norms) for norms in self.norms]) * self.dt


def _half_life(norms: np.ndarray) -> float:
    there = np.flatnonzero((norms > 0) & (norms < np.inf))
    late = there[len(there) // 2 :]
    if len(late) < 2:
        return np.nan
    slope = np.polyfit(late, np.log(norms[late]), 1)[0]
    return float(np.log(2) / -slope) if slope < -1e-6 else np.inf


@checked
def gradient_flow(
    network: Network, inputs: Float[Array, "B T ..."], decoder: AbstractDecoder | None = None, *, key: PRNGKeyArray
) -> GradientFlow:
    """Follow an error of what is read of a network back through time.

    Derivatives of spikes are the network's surrogates, as in backpropagation through time.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`, T ≥ 1.
        decoder: whose scores the error is of; None for the last step's output. A mean over time is reached from every
            step, however short the memory; the last step's output only through states.
        key: random key of the direction of the error, and of the network's noise, of each sample.

    Raises:
        SnnlearnError: if an argument is of another kind, the input of a step has not the network's size, or there is no
            step.

    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LI
    >>> network = feedforward((4, 3), readout=LI(tau_mem=0.02), key=jax.random.key(0))
    >>> flow = gradient_flow(network, jnp.ones((5, 10, 4)), key=jax.random.key(1))
    >>> (flow.half_lives / 0.02 / np.log(2)).round(4).tolist()
    [1.0]
    """
    _check("gradient_flow", network, inputs)
    norms, scales = map(np.asarray, _norms(network, inputs, decoder, jax.random.split(key, len(inputs))))
    common = scales.max(axis=0)
    mean = np.mean(np.square(np.ldexp(norms.astype(float), (scales - common)[..., None])), axis=0)
    with np.errstate(over="ignore"):
        return GradientFlow(np.ldexp(np.sqrt(mean), common[:, None]).T[:, ::-1], network.dt)


@eqx.filter_jit
def _norms(
    network: Network, inputs: Array, decoder: AbstractDecoder | None, keys: Array
) -> tuple[Float[Array, "B T layers"], Int[Array, "B T"]]:
    return jax.vmap(lambda xs, key: _norms_of_one(network, xs, decoder, key))(inputs, keys)


def _norms_of_one(
    network: Network, xs: Array, decoder: AbstractDecoder | None, key: PRNGKeyArray
) -> tuple[Float[Array, "T layers"], Int[Array, " T"]]:
    """Of one sample: the norm for each layer and step, from the state before the first step to that before the last.

    An error that vanishes or explodes soon leaves the range of its numbers, so the norms are those returned first,
    times 2 to the power of the second.
    """
    start = fresh_state(network, key=key)

    def forward(state, x):
        output, after = network.step(x, state)
        return after, (state, output)

    _, (before, outputs) = jax.lax.scan(forward, start, xs)
    read, to_outputs = jax.vjp(decoder or (lambda outputs: outputs[-1]), outputs)
    direction = jax.random.normal(jax.random.fold_in(key, 1), read.shape, xs.dtype)
    (errors,) = to_outputs(direction / jnp.linalg.norm(direction))

    def back(carry, now):
        (to_state, scale), (x, state, to_output) = carry, now
        # What is read of this step joins what came from later ones, at the scale of the larger.
        read = _exponent(to_output)
        common = jnp.where(jnp.any(to_output != 0), jnp.maximum(scale, read), scale)
        to_state, to_output = _scaled(to_state, scale - common), _scaled(to_output, -common)
        real, rest = eqx.partition(state, eqx.is_inexact_array)

        def step(real):
            output, after = network.step(x, eqx.combine(real, rest))
            return output, eqx.filter(after, eqx.is_inexact_array)

        (error,) = jax.vjp(step, real)[1]((to_output, to_state))
        excess = _exponent(error)
        error = _scaled(error, -excess)
        return (error, common + excess), (jnp.stack([_norm(layer, xs.dtype) for layer in error]), common + excess)

    nothing = jax.tree.map(jnp.zeros_like, eqx.filter(start, eqx.is_inexact_array))
    return jax.lax.scan(back, (nothing, jnp.int32(0)), (xs, before, errors), reverse=True)[1]


def _exponent(tree: Any) -> Int[Array, ""]:
    """The power of 2 that is just above all numbers; 0 if there are none, or none but zeros."""
    largest = [jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(tree)]
    return jnp.frexp(jnp.max(jnp.stack(largest)))[1] if largest else jnp.int32(0)


def _scaled(tree: Any, power: Int[Array, ""]) -> Any:
    """The numbers times a power of 2."""
    return jax.tree.map(lambda leaf: jnp.ldexp(leaf, power), tree)


def _norm(tree: Any, dtype: Any) -> Float[Array, ""]:
    return jnp.sqrt(sum((jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)), jnp.zeros((), dtype)))


@checked
def lyapunov_exponents(
    network: Network, inputs: Float[Array, "B T ..."], number: int = 1, *, key: PRNGKeyArray
) -> Float[np.ndarray, " number"]:
    r"""The largest Lyapunov exponents of the network's state, 1/s, the mean over samples.

    Directions are carried along by the Jacobian of each step and made orthogonal again (Benettin's method): the mean
    logarithm of their growth is the exponent, taken from the second quarter of the steps on, when the directions are
    those that grow most. One below 0 means that errors vanish backwards in time, at once if it is −∞, and one above 0
    that they explode. Derivatives of spikes are the network's surrogates: the exponents are those of the gradient, not
    of the dynamics themselves.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`.
        number: how many exponents, from 1 to the size of the state.
        key: random key of the first directions, and of the network's noise.

    Raises:
        SnnlearnError: if an argument is of another kind or out of range.

    Source: G. Benettin et al., Meccanica 15:9 (1980), doi:10.1007/BF02128236.

    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LI
    >>> network = feedforward((4, 3), readout=LI(tau_mem=0.02), key=jax.random.key(0))
    >>> exponents = lyapunov_exponents(network, jnp.ones((2, 10, 4)), 2, key=jax.random.key(1))
    >>> exponents.round(3).tolist()
    [-50.0, -50.0]
    """
    _check("lyapunov_exponents", network, inputs)
    size = ravel_pytree(eqx.filter(network.initial_state(), eqx.is_inexact_array))[0].size
    if not 1 <= number <= size:
        raise SnnlearnError(f"lyapunov_exponents: number is {number}; the state has {size} numbers, give 1 to {size}")
    rates = _growth(network, inputs, jax.random.split(key, len(inputs)), number)
    return np.asarray(rates, float).mean(axis=0) / network.dt


@eqx.filter_jit
def _growth(network: Network, inputs: Array, keys: Array, number: int) -> Float[Array, "B number"]:
    return jax.vmap(lambda xs, key: _growth_of_one(network, xs, number, key))(inputs, keys)


def _growth_of_one(network: Network, xs: Array, number: int, key: PRNGKeyArray) -> Float[Array, " number"]:
    start = fresh_state(network, key=key)
    flat, raised = ravel_pytree(eqx.filter(start, eqx.is_inexact_array))
    directions = jnp.linalg.qr(jax.random.normal(jax.random.fold_in(key, 1), (flat.size, number), flat.dtype))[0]

    def step(carry, x):
        state, directions = carry
        real, rest = eqx.partition(state, eqx.is_inexact_array)

        def next_state(real):
            return network.step(x, eqx.combine(real, rest))[1]

        def pushed(direction):
            after = jax.jvp(
                lambda real: eqx.filter(next_state(real), eqx.is_inexact_array), (real,), (raised(direction),)
            )[1]
            return ravel_pytree(after)[0]

        grown = jax.vmap(pushed, in_axes=1, out_axes=1)(directions)
        directions, triangle = jnp.linalg.qr(grown)
        return (next_state(real), directions), jnp.log(jnp.abs(jnp.diagonal(triangle)))

    rates = jax.lax.scan(step, (start, directions), xs)[1]
    return rates[len(xs) // 4 :].mean(axis=0)


@checked
def singular_values(
    network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray
) -> Float[np.ndarray, "B n"]:
    r"""The singular values of the Jacobian of the last step, $\partial s^T/\partial s^{T-1}$, in descending order.

    Errors of any direction shrink or grow by between the smallest and the largest of them. Numbers of the state that
    no next step reads, in any sample, are left out. Computed by one product for each number of the state: for networks
    of hundreds of units, not of thousands.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`, which bring the network into the state that it is in.
        key: random key of the network's noise.

    Raises:
        SnnlearnError: if an argument is of another kind, or the input of a step has not the network's size.

    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LI
    >>> network = feedforward((4, 3), readout=LI(tau_mem=0.02), key=jax.random.key(0))
    >>> values = singular_values(network, jnp.ones((1, 10, 4)), key=jax.random.key(1))
    >>> (values / np.exp(-1 / 20)).round(4).tolist()
    [[1.0, 1.0, 1.0]]
    """
    _check("singular_values", network, inputs)
    jacobians = np.asarray(_jacobians(network, inputs, jax.random.split(key, len(inputs))), float)
    read = np.any(jacobians != 0, axis=(0, 1))
    return np.linalg.svd(jacobians[:, read][:, :, read], compute_uv=False)


@eqx.filter_jit
def _jacobians(network: Network, inputs: Array, keys: Array) -> Float[Array, "B n n"]:
    def of_one(xs, key):
        start = fresh_state(network, key=key)
        state, _ = jax.lax.scan(lambda state, x: (network.step(x, state)[1], None), start, xs[:-1])
        real, rest = eqx.partition(state, eqx.is_inexact_array)
        flat, raised = ravel_pytree(real)

        def after(flat):
            last = network.step(xs[-1], eqx.combine(raised(flat), rest))[1]
            return ravel_pytree(eqx.filter(last, eqx.is_inexact_array))[0]

        return jax.jacfwd(after)(flat)

    return jax.vmap(of_one)(inputs, keys)


def _check(owner: str, network: Network, inputs: Array) -> None:
    check_steps(owner, network.in_shape, ("B", "T"), inputs=inputs)
    if 0 in inputs.shape[:2]:
        raise SnnlearnError(f"{owner}: inputs has shape {inputs.shape}; give at least one sample of at least one step")
