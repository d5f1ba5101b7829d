r"""PAC-Bayes certificates: train a distribution over networks to minimise a bound of its risk, and state the bound.

A prior is a Gaussian over weights that some data chose, a certificate speaks of *other* data. The gradient may come
from any learning rule: it is asked at weights $w = \mu + \sigma\epsilon$, and the chain rule does the rest.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split, trained_part
from snnlearn.coding import AbstractDecoder, AbstractEncoder
from snnlearn.data import Sample
from snnlearn.data.base import check, overlap
from snnlearn.data.ends import lengths_of
from snnlearn.hypothesis import decide, decoded, encode
from snnlearn.losses import AbstractLoss, CrossEntropy
from snnlearn.losses.ends import ended_by
from snnlearn.network import Network
from snnlearn.risk.bounds import check_delta
from snnlearn.risk.empirical import Risk, risk_of_errors
from snnlearn.risk.pac_bayes import kl_inverse, maurer_bound
from snnlearn.rules import BPTT, AbstractRule

_SHARE_OF_DRAWS = 0.2  # of δ, for the chance that the drawn networks mislead


@final
class GaussianWeights(eqx.Module):
    r"""A distribution over networks: each parameter is an independent Gaussian $\mathcal N(\mu, \sigma^2)$.

    Args:
        mean: the network of the means μ.
        log_std: ln σ, of the same structure.
    """

    mean: Network
    log_std: Network

    def draw(self, *, key: PRNGKeyArray) -> Network:
        r"""A network $w = \mu + \sigma\epsilon$, $\epsilon\sim\mathcal N(0, 1)$."""
        return self.at(self.noise(key=key))

    def noise(self, *, key: PRNGKeyArray) -> Network:
        """ε, of the network's structure."""
        leaves, structure = jax.tree.flatten(self.log_std)
        keys = jax.random.split(key, len(leaves))
        drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(structure, drawn)

    def at(self, noise: Network) -> Network:
        r"""The network $\mu + \sigma\epsilon$ of a given ε."""
        parameters, constants = split(self.mean)
        drawn = jax.tree.map(lambda m, s, e: m + jnp.exp(s) * e, parameters, self.log_std, noise)
        return eqx.combine(drawn, constants)

    def kl(self, prior: GaussianWeights) -> Float[Array, ""]:
        r"""$KL(\text{self}\,\|\,\text{prior})$, nats; the closed form of Gaussians."""

        def one(m, s, prior_m, prior_s):
            shift = jnp.square((m - prior_m) * jnp.exp(-prior_s))
            return 0.5 * jnp.sum(jnp.exp(2 * (s - prior_s)) + shift - 1 - 2 * (s - prior_s))

        means = (trained_part(weights.mean) for weights in (self, prior))
        mean, prior_mean = means
        return sum(jax.tree.leaves(jax.tree.map(one, mean, self.log_std, prior_mean, prior.log_std)), jnp.zeros(()))


@final
class Prior(eqx.Module):
    """A distribution over networks, and the data that it was chosen by, which its certificates must not use.

    Args:
        weights: the distribution.
        seen: all samples that had a part in choosing it, training and validation; none if no data had.
    """

    weights: GaussianWeights
    seen: tuple[Sample, ...]


@checked
def prior_around(network: Network, *seen: Sample, relative_std: float = 0.1) -> Prior:
    """A prior around a network, such as one trained on a part of the data that is set aside for it.

    Args:
        network: the means.
        seen: every sample that the network was trained or chosen by; none for an untrained one.
        relative_std: standard deviation of each array of parameters, in root mean squares of it, > 0. Not to be chosen
            by the data that is to certify.

    Raises:
        SnnlearnError: if the standard deviation is not above 0.
    """
    if not 0 < relative_std < float("inf"):
        raise SnnlearnError(f"prior_around: relative_std is {relative_std}; give a finite number above 0")

    def spread(leaf):
        scale = jnp.sqrt(jnp.mean(jnp.square(leaf)))
        return jnp.full(leaf.shape, jnp.log(relative_std * jnp.where(scale > 0, scale, jnp.ones_like(scale))))

    return Prior(GaussianWeights(network, jax.tree.map(spread, trained_part(network))), tuple(seen))


@final
class MinimisedBound(eqx.Module):
    r"""Find the posterior by gradient descent on the bound itself.

    The bound is Thiemann's, $\frac{\hat L}{1-\lambda/2} + \frac{c}{\lambda(1-\lambda/2)}$, at its best λ in each step,
    $\lambda = 2/(\sqrt{2\hat L/c + 1} + 1)$; its gradient is then along $\nabla\hat L + \nabla KL/(\lambda m)$. The 0–1
    loss, whose gradient is nowhere any use, is bounded by the rule's loss over ln 2, as is right for cross entropy.

    Args:
        loss: the loss of one sample, at least ln 2 where the decision is wrong, as cross entropies are.
        rule: where the gradient at the drawn weights comes from.
        optimizer: what is done with it.
        epochs: passes over the sample, ≥ 0; with 0 the posterior is the prior.
        batch_size: samples of one gradient, ≥ 1.
        delta: of the bound, in (0, 1).

    Raises:
        SnnlearnError: for an argument of another kind or outside its range.

    Source: N. Thiemann et al. 2017, arXiv:1608.05610; G. Dziugaite and D. Roy 2017, arXiv:1703.11008.
    """

    loss: AbstractLoss = CrossEntropy()
    rule: AbstractRule = BPTT()
    optimizer: optax.GradientTransformation = eqx.field(default_factory=lambda: optax.adam(1e-3))
    epochs: int = 20
    batch_size: int = 64
    delta: float = 0.05

    def __check_init__(self):
        check_fields(self, "loss", "rule", "epochs", "batch_size", "delta")
        check_delta(self.delta)
        if self.epochs < 0 or self.batch_size < 1:
            raise SnnlearnError(
                f"MinimisedBound: epochs is {self.epochs} and batch_size {self.batch_size}; give at least 0 and 1"
            )

    def __call__(self, prior: Prior, encoder: AbstractEncoder, sample: Sample, *, key: PRNGKeyArray) -> GaussianWeights:
        """The posterior.

        Args:
            prior: what the posterior is held to.
            encoder: from one `x` to the network's input over time.
            sample: what the bound is of; the prior must not have seen it.
            key: random key of weights, batches and codes.

        Raises:
            SnnlearnError: if the sample is empty or the prior has seen it.
        """
        check_unseen(prior, sample)
        if self.batch_size > len(sample.y):
            raise SnnlearnError(
                f"MinimisedBound: batch_size is {self.batch_size}, more than the {len(sample.y)} samples; lower it"
            )
        posterior = prior.weights
        state = self.optimizer.init(_trained(posterior))  # pyright: ignore[reportArgumentType]
        x, y, loss = jnp.asarray(sample.x), jnp.asarray(sample.y), self.loss
        if lengths_of(sample.x) is not None:
            loss, y = ended_by(encoder, loss, x, y)
        judging = dataclasses.replace(self, loss=loss)
        for epoch in range(self.epochs):
            posterior, state = _descend(
                judging, posterior, state, prior.weights, encoder, x, y, jax.random.fold_in(key, epoch)
            )
        return posterior


def _trained(weights: GaussianWeights) -> GaussianWeights:
    return trained_part(weights)


@eqx.filter_jit
def _descend(
    algorithm: MinimisedBound,
    posterior: GaussianWeights,
    state: optax.OptState,
    prior: GaussianWeights,
    encoder: AbstractEncoder,
    x: Array,
    y: Array,
    key: PRNGKeyArray,
) -> tuple[GaussianWeights, optax.OptState]:
    """One epoch."""
    m, size = len(y), algorithm.batch_size
    order_key, key = jax.random.split(key)
    batches = jax.random.permutation(order_key, m)[: m // size * size].reshape(-1, size)
    _, constants = split(posterior)
    log = float(np.log(2 * np.sqrt(m) / algorithm.delta))

    def update(carry, batch):
        trained, state = carry
        index, key = batch
        noise_key, encoder_key, rule_key = jax.random.split(key, 3)
        weights = eqx.combine(trained, constants)
        noise = weights.noise(key=noise_key)
        inputs = encode(encoder, x[index], key=encoder_key)
        loss, by_weight = algorithm.rule(weights.at(noise), algorithm.loss, inputs, y[index], key=rule_key)
        kl, by_kl = eqx.filter_value_and_grad(lambda w: w.kl(prior))(weights)
        loss, by_weight = loss / np.log(2), jax.tree.map(lambda g: g / np.log(2), by_weight)
        # w = μ + σ ε: the gradient by μ is that by w, the one by ln σ is times σ ε.
        by_log_std = jax.tree.map(lambda g, s, e: g * jnp.exp(s) * e, by_weight, weights.log_std, noise)
        lambda_ = 2 / (jnp.sqrt(2 * loss * m / (kl + log) + 1) + 1)
        of_loss = GaussianWeights(by_weight, by_log_std)
        gradient = jax.tree.map(lambda a, b: a + b / (lambda_ * m), of_loss, _trained(by_kl))
        with jax.numpy_dtype_promotion("standard"):  # Optax counts on it, whatever the caller has set
            updates, state = algorithm.optimizer.update(gradient, state, trained)  # pyright: ignore
        return (eqx.apply_updates(trained, updates), state), None

    carry = _trained(posterior), state
    (trained, state), _ = jax.lax.scan(update, carry, (batches, jax.random.split(key, len(batches))))
    return eqx.combine(trained, constants), state


class Certificate(NamedTuple):
    """What is known, with confidence 1 − δ, of the risk of a network drawn anew from the posterior for each decision.

    Args:
        bound: the risk is below it.
        empirical_risk: mean 0–1 loss of the networks drawn, on the sample.
        empirical_risk_bound: what their mean over all networks is below, the draws' chance allowed for.
        kl: from the posterior to the prior, nats.
        m: samples, none of which the prior has seen.
        draws: networks drawn for each sample.
        delta: chance that the statement is false.
    """

    bound: float
    empirical_risk: float
    empirical_risk_bound: float
    kl: float
    m: int
    draws: int
    delta: float

    def __str__(self) -> str:
        return (
            f"With {1 - self.delta:.0%} confidence the risk is below {self.bound:.2%} "
            f"(empirical risk {self.empirical_risk:.2%} on {self.m} samples, KL {self.kl:.1f} nats)"
        )


@checked
def certify(
    posterior: GaussianWeights,
    prior: Prior,
    encoder: AbstractEncoder,
    decoder: AbstractDecoder,
    sample: Sample,
    *,
    delta: float = 0.05,
    draws: int = 100,
    key: PRNGKeyArray,
) -> Certificate:
    r"""Bound the risk of a stochastic network, whatever the distribution of the data.

    $R_Q \le \mathrm{kl}^{-1}(\hat R_Q; c)$ by [`maurer_bound`][snnlearn.risk.maurer_bound]. The mean $\hat R_Q$
    over networks is itself below $\mathrm{kl}^{-1}(\tilde R; \ln(1/\delta')/N)$, where $\tilde R$ is the mean of
    N = m · draws independent decisions, each by a network of its own. A fifth of δ goes to δ'.

    Args:
        posterior: the distribution over networks; it may depend on the sample in any way.
        prior: fixed before the sample was seen.
        encoder: from one `x` to the network's input over time; its randomness is part of the network's.
        decoder: from the network's output to scores.
        sample: what the bound is of.
        delta: chance that the statement is false, in (0, 1).
        draws: networks for each sample, ≥ 1.
        key: random key of the draws.

    Raises:
        SnnlearnError: if the sample has fewer than 8 or the prior has seen it, or a number is out of range.
    """
    check_unseen(prior, sample)
    check_delta(delta)
    if draws < 1:
        raise SnnlearnError(f"certify: draws is {draws}; give at least 1")
    wrong = gibbs_errors(posterior, encoder, decoder, sample, draws=draws, key=key)
    share = _SHARE_OF_DRAWS * delta
    mean_bound = kl_inverse(float(wrong.mean()), float(np.log(1 / share)) / wrong.size)
    kl = max(0.0, float(posterior.kl(prior.weights)))
    bound = maurer_bound(mean_bound, kl, len(sample.y), delta=delta - share)
    return Certificate(bound, float(wrong.mean()), mean_bound, kl, len(sample.y), draws, delta)


@checked
def gibbs_errors(
    posterior: GaussianWeights,
    encoder: AbstractEncoder,
    decoder: AbstractDecoder,
    sample: Sample,
    *,
    draws: int = 1,
    key: PRNGKeyArray,
) -> Bool[np.ndarray, "m draws"]:
    """Whether networks drawn from the posterior err, a new one for each decision.

    Args:
        posterior: the distribution over networks.
        encoder: from one `x` to the network's input over time.
        decoder: from the network's output to scores.
        sample: the data, `[m, *shape]`.
        draws: networks for each sample.
        key: random key of the draws.

    Raises:
        SnnlearnError: for an empty or damaged sample.
    """
    check(sample, "gibbs_errors: the sample")
    return np.asarray(
        _gibbs_errors(posterior, encoder, decoder, jnp.asarray(sample.x), jnp.asarray(sample.y), draws, key)
    )


@eqx.filter_jit
def _gibbs_errors(posterior, encoder, decoder, x, y, draws, key):
    def one(point):
        x, y, key = point

        def draw(key):
            weight_key, encoder_key = jax.random.split(key)
            tie_key = jax.random.fold_in(key, 1)
            output, _ = posterior.draw(key=weight_key)(encoder(x, key=encoder_key))
            return decide(decoded(encoder, decoder, x, output), key=tie_key) != y

        return jax.lax.map(draw, jax.random.split(key, draws))

    return jax.lax.map(one, (x, y, jax.random.split(key, len(y))), batch_size=min(128, len(y)))


@checked
def gibbs_risk(
    posterior: GaussianWeights,
    encoder: AbstractEncoder,
    decoder: AbstractDecoder,
    sample: Sample,
    *,
    confidence: float = 0.95,
    key: PRNGKeyArray,
) -> Risk:
    """The risk of a stochastic network on data that had no part in it, one drawn network for each sample.

    Args:
        posterior: the distribution over networks.
        encoder: from one `x` to the network's input over time.
        decoder: from the network's output to scores.
        sample: data that neither trained, chose nor certified it.
        confidence: of the interval, which is exact, in (0, 1).
        key: random key of the draws.

    Raises:
        SnnlearnError: for an empty or damaged sample, or a confidence outside (0, 1).
    """
    errors = gibbs_errors(posterior, encoder, decoder, sample, key=key)
    return risk_of_errors(int(errors.sum()), len(sample.y), confidence=confidence)


def check_unseen(prior: Prior, sample: Sample) -> None:
    """Refuse a sample that had a part in choosing the prior: the bound would be false.

    Raises:
        SnnlearnError: if it had, or is empty.
    """
    check(sample, "the sample that certifies")
    for seen in prior.seen:
        if known := overlap(sample, seen):
            raise SnnlearnError(
                f"{known} of the {len(sample.y)} certifying samples also trained the prior; split the data into two "
                "disjoint parts, one for the prior and one for the certificate"
            )
