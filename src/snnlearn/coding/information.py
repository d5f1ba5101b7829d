"""Information in a code: the precision of decoded values, bits, and the error of decoded classes.

Counts come as a *channel*, a table `[S, K]` with the probability of each count k given each stimulus s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped
from scipy import stats
from scipy.special import rel_entr

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import AbstractEncoder, AbstractReconstruction, check_whole
from snnlearn.coding.checks import a_table, an_array, check_above_zero, check_function, check_number, known_array
from snnlearn.coding.likelihood import TuningCurves

# How exactly a value can be read


def fisher_information(tuning: TuningCurves, s: Float[Array, "*D"], duration: float) -> Float[Array, "*D_D"]:
    r"""Fisher information of independent Poisson neurons, $I_{jk} = T\sum_i \partial_j f_i\,\partial_k f_i / f_i$.

    A neuron whose rate is 0 contributes nothing.

    Args:
        tuning: rates f_i(s), Hz, differentiable.
        s: the value, a number or `[D]`.
        duration: the window T, s.

    Returns:
        A number, or the matrix `[D, D]`.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> tuning = lambda s: 50 * jnp.exp(-0.5 * (s - jnp.arange(-8, 8.5, 0.5)) ** 2)
    >>> round(float(fisher_information(tuning, jnp.array(0.1), duration=0.5)), 3)  # T A √(2π) / (σ Δ)
    125.331

    Source: Seung & Sompolinsky (1993), doi:10.1073/pnas.90.22.10749.
    """
    s = _at("fisher_information", tuning, s)
    check_above_zero("fisher_information", duration=duration)
    rates, slopes = tuning(s), jax.jacfwd(tuning)(s)
    weight = jnp.where(rates > 0, duration / jnp.where(rates > 0, rates, 1.0), 0.0)
    return jnp.einsum("i...,i,i...->...", slopes, weight, slopes) if s.ndim == 0 else slopes.T * weight[None] @ slopes


def gaussian_fisher_information(
    response: TuningCurves,
    covariance: Callable[[Float[Array, "*D"]], Float[Array, "n n"]],
    s: Float[Array, "*D"],
) -> Float[Array, "*D_D"]:
    r"""Fisher information of responses with Gaussian noise, which may be correlated.

    $$I_{jk} = \partial_j f^T Q^{-1} \partial_k f
        + \tfrac12 \operatorname{tr}(Q^{-1} \partial_j Q\, Q^{-1} \partial_k Q)$$

    Args:
        response: mean response f(s) of n neurons, in any unit.
        covariance: Q(s), positive definite, in that unit squared; `lambda s: Q` if it does not depend on s.
        s: the value, a number or `[D]`.

    Returns:
        A number, or the matrix `[D, D]`.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> noise = jnp.array([[1.0, 0.5], [0.5, 1.0]])
    >>> mean = lambda s: jnp.stack([s, s])
    >>> round(float(gaussian_fisher_information(mean, lambda s: noise, jnp.array(0.0))), 4)  # without correlation: 2
    1.3333

    Source: Abbott & Dayan (1999), doi:10.1162/089976699300016827, equation 2.1.
    """
    s = _at("gaussian_fisher_information", response, s)
    check_function("gaussian_fisher_information", "a function of s, [n, n]", covariance=covariance)
    n, size = len(response(s)), s.size
    slopes = jax.jacfwd(response)(s).reshape(n, size)
    matrix, change = covariance(s), jax.jacfwd(covariance)(s).reshape(n, n, size)
    whitened = jnp.linalg.solve(matrix, change.reshape(n, n * size)).reshape(n, n, size)
    information = slopes.T @ jnp.linalg.solve(matrix, slopes) + 0.5 * jnp.einsum("abj,bak->jk", whitened, whitened)
    return information.reshape(s.shape + s.shape)


def cramer_rao_bound(information: Float[Array, "*D_D"]) -> Float[Array, "*D_D"]:
    """The least variance (or covariance) that an unbiased estimate can have: `1 / I`, or the inverse matrix.

    Args:
        information: Fisher information, a number or a matrix.

    Raises:
        SnnlearnError: if it is neither.

    >>> float(cramer_rao_bound(jnp.array(4.0)))
    0.25
    """
    shape = "a number, or a square matrix"
    information = an_array("cramer_rao_bound", information, "information", shape=shape, axes=(0, 2))
    if information.ndim == 2 and information.shape[0] != information.shape[1]:
        raise SnnlearnError(f"cramer_rao_bound: information has shape {information.shape}; give {shape}")
    return jnp.linalg.inv(information) if information.ndim == 2 else 1.0 / information


# How many bits, how many errors


def poisson_channel(means: np.ndarray, tail: float = 1e-15) -> np.ndarray:
    """Probabilities of Poisson counts, `P(k | s) = λ_s^k e^{−λ_s} / k!`, up to a count that is rarely exceeded.

    Args:
        means: expected count λ_s = rate · duration of each stimulus, ≥ 0.
        tail: the largest probability of larger counts, which is added to that of the last one.

    Raises:
        SnnlearnError: if a mean is negative or not finite.

    >>> poisson_channel(np.array([0.0, 1.0]), tail=0.01).round(4)
    array([[1.    , 0.    , 0.    , 0.    , 0.    ],
           [0.3679, 0.3679, 0.1839, 0.0613, 0.019 ]])
    """
    means = a_table("poisson_channel", means, "means", shape="one for each stimulus, [S]", axes=(1,))
    check_number("poisson_channel", "a probability in (0, 1)", lambda x: 0 < x < 1, tail=tail)
    if not (np.isfinite(means).all() and (means >= 0).all()):
        raise SnnlearnError(
            f"means reach from {means.min()} to {means.max()}; give expected counts, finite and at least 0"
        )
    last = int(stats.poisson.isf(tail, means.max())) if means.max() > 0 else 0
    channel = stats.poisson.pmf(np.arange(last + 1), means[:, None])
    channel[:, -1] += stats.poisson.sf(last, means)
    return channel


def binomial_channel(num_steps: int, chance: np.ndarray) -> np.ndarray:
    """Probabilities of the counts of Bernoulli spikes, `P(k | s) = C(T, k) p_s^k (1 − p_s)^{T−k}`.

    Args:
        num_steps: number of steps T, independent.
        chance: probability p_s of a spike in one step under each stimulus.

    Raises:
        SnnlearnError: if a probability is not in [0, 1].

    >>> binomial_channel(2, np.array([0.5, 1.0])).round(4)
    array([[0.25, 0.5 , 0.25],
           [0.  , 0.  , 1.  ]])
    """
    check_whole("binomial_channel", at_least=1, num_steps=num_steps)
    chance = a_table("binomial_channel", chance, "chance", shape="one for each stimulus, [S]", axes=(1,))
    if not ((chance >= 0) & (chance <= 1)).all():
        raise SnnlearnError(f"chance reaches from {chance.min()} to {chance.max()}; give probabilities in [0, 1]")
    return stats.binom.pmf(np.arange(num_steps + 1), num_steps, chance[:, None])


def mutual_information(channel: np.ndarray, prior: np.ndarray | None = None) -> float:
    """Mutual information of stimulus and count, `I(S; K) = Σ_{s,k} P(s) P(k | s) log₂(P(k | s) / P(k))`, bits.

    Args:
        channel: `[S, K]`, probability of each count under each stimulus.
        prior: probability of each stimulus; equal by default.

    Raises:
        SnnlearnError: if probabilities do not sum to 1.

    >>> mutual_information(np.eye(4))  # four counts, each for one stimulus
    2.0
    """
    channel, prior = _prior("mutual_information", channel, prior)
    return float(prior @ rel_entr(channel, prior @ channel).sum(axis=1) / np.log(2))


def bayes_error(channel: np.ndarray, prior: np.ndarray | None = None) -> float:
    """The least error of guessing the stimulus from the count, `1 − Σ_k max_s P(s) P(k | s)`.

    Args:
        channel: `[S, K]`, probability of each count under each stimulus.
        prior: probability of each stimulus; equal by default.

    Raises:
        SnnlearnError: if probabilities do not sum to 1.

    >>> round(bayes_error(poisson_channel(np.array([5.0, 10.0]))), 6)
    0.176796
    """
    channel, prior = _prior("bayes_error", channel, prior)
    return float(1 - (prior[:, None] * channel).max(axis=0).sum())


def bayes_error_estimate(log_joint: Float[Array, "M K"]) -> tuple[float, float]:
    """The least error of guessing the class, from spikes drawn at random: the mean of `1 − max_k P(k | spikes)`.

    For codes whose outputs are too many to sum over. It varies less than a count of mistakes, as the probability of
    each guess is known.

    Args:
        log_joint: scores of `LogLikelihood`, `ln P(k) P(spikes | k)` up to a constant, of M samples: classes drawn from
            the prior, spikes from their class.

    Returns:
        The estimate, and its standard error.

    Raises:
        SnnlearnError: if the scores are not a finite array `[M, K]`.

    >>> bayes_error_estimate(jnp.zeros((10, 4)))  # nothing is known: 3 of 4 guesses are wrong
    (0.75, 0.0)
    """
    log_joint = _scored("bayes_error_estimate", log_joint)
    wrong = 1 - np.asarray(jax.nn.softmax(log_joint, axis=1), np.float64).max(axis=1)
    return float(wrong.mean()), float(wrong.std() / np.sqrt(len(wrong)))


def mutual_information_estimate(log_joint: Float[Array, "M K"]) -> tuple[float, float]:
    """Mutual information of class and spikes, bits: the mean of `log₂ K − H(class | spikes)`, K equally likely classes.

    For codes whose outputs are too many to sum over; `bayes_error_estimate` is its companion.

    Args:
        log_joint: scores of `LogLikelihood` with equal priors, of M samples: classes drawn evenly, or each as often as
            any other, spikes from their class.

    Returns:
        The estimate, and its standard error.

    Raises:
        SnnlearnError: if the scores are not a finite array `[M, K]`.

    >>> certain = 1e3 * jnp.eye(4)  # the spikes of each class fit no other
    >>> mutual_information_estimate(certain)
    (2.0, 0.0)
    """
    log_joint = _scored("mutual_information_estimate", log_joint)
    log_posterior = np.asarray(jax.nn.log_softmax(log_joint, axis=1), np.float64)
    bits = np.log2(log_joint.shape[1]) + (np.exp(log_posterior) * log_posterior).sum(axis=1) / np.log(2)
    return float(bits.mean()), float(bits.std() / np.sqrt(len(bits)))


def pattern_information(spikes: Shaped[np.ndarray | Array, "M *pattern"]) -> float:
    """Bits that a deterministic code carries about M equally likely values: the entropy of the spike patterns.

    A code without noise only loses the difference between values with the same spikes.

    Args:
        spikes: the M values' spikes.

    Raises:
        SnnlearnError: if they are not an array of numbers.

    >>> pattern_information(np.array([[0, 1], [0, 1], [1, 0], [1, 0]]))
    1.0
    """
    spikes = a_table("pattern_information", spikes, "spikes", shape="those of each value, [M, ...]", axes=())
    patterns = np.asarray(spikes).reshape(len(spikes), -1)
    frequency = np.unique(patterns, axis=0, return_counts=True)[1] / len(patterns)
    return float(-frequency @ np.log2(frequency))


def _at(owner: str, tuning: TuningCurves, s: Float[Array, "*D"]) -> Float[Array, "*D"]:
    """The value, after checking it and the curves."""
    check_function(owner, "tuning curves, such as GaussianTuning(centres, sigma)", tuning=tuning)
    return an_array(owner, s, "s", shape="one value, a number or [D]", axes=(0, 1))


def _scored(owner: str, log_joint: Float[Array, "M K"]) -> Float[Array, "M K"]:
    shape = "the score of each class for each sample, [M, K]"
    return known_array(owner, log_joint, "log_joint", shape=shape, axes=(2,))


def _prior(owner: str, channel: np.ndarray, prior: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    channel = a_table(owner, channel, "channel", shape="the probability of each count, [S, K]", axes=(2,))
    shape = f"the probability of each of {len(channel)} stimuli"
    uniform = np.full(len(channel), 1 / len(channel))
    prior = uniform if prior is None else a_table(owner, prior, "prior", shape=shape, axes=(1,))
    if prior.shape != uniform.shape:
        raise SnnlearnError(f"{owner}: prior has shape {prior.shape}; give {shape}")
    if not ((channel >= 0).all() and (prior >= 0).all()):
        raise SnnlearnError(f"{owner}: channel or prior holds NaN or negative numbers; give probabilities")
    if not (np.allclose(channel.sum(axis=1), 1) and np.isclose(prior.sum(), 1)):
        raise SnnlearnError(
            f"the prior sums to {prior.sum():g}, the rows of the channel to {channel.sum(axis=1).min():g} … "
            f"{channel.sum(axis=1).max():g}; give probabilities that sum to 1"
        )
    return channel, prior


# What a code costs


class CodeCost(NamedTuple):
    """One row of `reconstruction_costs`."""

    code: str
    spikes: float
    """Spikes per value."""
    rms_error: float
    max_error: float


def reconstruction_costs(
    codes: Mapping[str, tuple[AbstractEncoder, AbstractReconstruction]],
    values: Float[Array, "M *shape"],
    *,
    key: PRNGKeyArray,
) -> list[CodeCost]:
    """Reconstruction error and number of spikes, one row per code.

    Args:
        codes: an encoder and its inverse, under a name.
        values: M samples to encode and to decode.
        key: randomness of the codes.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> from snnlearn.coding import InverseLinearLatency, LinearLatency
    >>> codes = {f"{n} steps": (LinearLatency(n), InverseLinearLatency()) for n in (3, 11)}
    >>> for row in reconstruction_costs(codes, jnp.linspace(0.01, 1, 100), key=jax.random.key(0)):
    ...     print(row.code, round(row.spikes, 2), round(row.rms_error, 3), round(row.max_error, 3))
    3 steps 1.0 0.144 0.25
    11 steps 1.0 0.029 0.05
    """
    values = an_array("reconstruction_costs", values, "values")
    if values.size == 0 or values.ndim == 0 or not isinstance(codes, Mapping):
        raise SnnlearnError(
            "reconstruction_costs: give a dict, under each name an encoder and its inverse, and values [M, ...]"
        )
    if not isinstance(key, jax.Array):
        raise SnnlearnError(f"reconstruction_costs: key is {shown(key)}; give a random key, such as jax.random.key(0)")
    keys = jax.random.split(key, len(values))
    rows = []
    for name, (encoder, inverse) in codes.items():

        def spend(value, key, encoder=encoder, inverse=inverse):
            spikes = encoder(value, key=key)
            return jnp.abs(spikes).sum(), inverse(spikes) - value

        spent, error = (np.asarray(part, np.float64) for part in jax.jit(jax.vmap(spend))(values, keys))
        rows.append(
            CodeCost(name, spent.sum() / values.size, float(np.sqrt((error**2).mean())), float(np.abs(error).max()))
        )
    return rows
