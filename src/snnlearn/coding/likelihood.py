r"""Decoders that use the statistics of the spikes: maximum likelihood, Bayes, and the linear log-likelihood.

For independent Poisson neurons with tuning curves $f_i(s)$ that fired $n_i$ spikes in a window $T$,

$$\ln P(n \mid s) = \sum_i n_i \ln f_i(s) - T \sum_i f_i(s) + \text{const}.$$
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import AbstractDecoder, AbstractReconstruction, check_whole
from snnlearn.coding.checks import (
    an_array,
    check_above_zero,
    check_function,
    check_number,
    check_part,
    for_jax,
    known_array,
    of_neurons,
    over_time,
    scalar,
)
from snnlearn.coding.ends import goes_on, until

TuningCurves = Callable[[Float[Array, "*D"]], Float[Array, " n"]]
"""From a value, a number or `[D]`, to the rate of each neuron, Hz; every `AbstractTuning` is one."""

TINY = 1e-30  # a rate of 0 has no logarithm; a spike of such a neuron costs 69 nats, and so all but excludes the value


def poisson_log_likelihood(
    tuning: TuningCurves, counts: Float[Array, " n"], s: Float[Array, "*D"], duration: float
) -> Float[Array, ""]:
    """`Σ_i n_i ln f_i(s) − T Σ_i f_i(s)`: the log-likelihood of s, up to a constant.

    Args:
        tuning: rates f_i(s), Hz.
        counts: number of spikes n_i of each neuron.
        s: the value.
        duration: the window T, s.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> rates = lambda s: jnp.array([s, 2 * s])
    >>> round(float(poisson_log_likelihood(rates, jnp.array([1.0, 0.0]), jnp.array(10.0), duration=0.1)), 4)
    -0.6974
    """
    owner = "poisson_log_likelihood"
    check_function(owner, "tuning curves, such as GaussianTuning(centres, sigma)", tuning=tuning)
    check_above_zero(owner, duration=duration)
    counts = an_array(owner, counts, "counts", shape="the spikes of each neuron, [n]", axes=(1,))
    s = an_array(owner, s, "s", shape="one value, a number or [D]", axes=(0, 1))
    return _terms(tuning, counts, s, duration).sum()


def _terms(
    tuning: TuningCurves, counts: Float[Array, " n"], s: Float[Array, "*D"], duration: float
) -> Float[Array, " n"]:
    """Each neuron's contribution to the log-likelihood.

    Its second derivative is `f''/f − (f'/f)²`, but JAX's derivative of `ln f` divides by f², which is 0 in single
    precision from f = 10⁻¹⁹ Hz on. So the rate is taken relative to its own value here, where ln has slope 1
    (by multiplication: XLA would bring two fractions to a common denominator, which is 0 again).
    """
    rates = tuning(s)
    if rates.shape != counts.shape:
        raise SnnlearnError(
            f"there are counts of shape {counts.shape}, but tuning curves of shape {rates.shape}; "
            "give the spikes of the neurons of these curves"
        )
    seen = jnp.maximum(rates, TINY)
    per_rate = jax.lax.stop_gradient(1.0 / seen)
    return counts * (jnp.log(seen * per_rate) - jnp.log(per_rate)) - duration * rates


@final
class MaximumLikelihood(AbstractReconstruction):
    """The value that makes these spikes of a Poisson population most likely, `ŝ = argmax_s ln P(n | s)`.

    The best of the candidates is refined by Newton steps, each shortened until it goes uphill. No unbiased estimate has
    a smaller variance than 1 / `fisher_information`; this one approaches it with many spikes.

    Args:
        tuning: the tuning curves, Hz.
        candidates: values to start from, `[G]`, or `[G, D]` for D dimensions; the estimate stays within their range.
            Each peak of the likelihood needs one nearby: space them by half the width of the tuning curves.
        num_newton: Newton steps, ≥ 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> centres = jnp.linspace(-6, 6, 49)
    >>> tuning = lambda s: 50 * jnp.exp(-0.5 * (s - centres) ** 2)
    >>> spikes = jnp.zeros((100, 49)).at[10, 24].set(1.0).at[40, 26].set(1.0)  # of those that prefer 0 and 0.5
    >>> round(float(MaximumLikelihood(tuning, jnp.linspace(-2, 2, 9))(spikes)), 2)
    0.25

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 3.3.
    """

    tuning: TuningCurves
    candidates: Float[Array, " G"] | Float[Array, "G D"] = eqx.field(converter=for_jax)
    num_newton: int = 4
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_candidates(self, self.candidates)
        check_function(self, "tuning curves, such as GaussianTuning(centres, sigma)", tuning=self.tuning)
        check_above_zero(self, dt=self.dt)
        check_whole(self, at_least=0, num_newton=self.num_newton)

    def __call__(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*value"]:
        """See the base."""
        spikes = over_time(self, spikes, axes=2)

        def estimate(counts):
            duration = len(spikes) * self.dt
            return climb(lambda s: _terms(self.tuning, counts, s, duration), self.candidates, self.num_newton)

        return over_populations(estimate, spikes.sum(axis=0))


@final
class LeastSquares(AbstractReconstruction):
    """The value whose activations are nearest to those read from the spikes, `ŝ = argmin_s Σ_i (â_i − a_i(s))²`.

    For a population whose activations another code, such as a latency, turns into spikes.

    Args:
        inverse: from the spikes to the activations `[*shape, n]`, the inverse of that code.
        activations: activations a_i(s) of the neurons.
        candidates: values to start from, as for `MaximumLikelihood`.
        num_newton: Newton steps, ≥ 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> from snnlearn.coding import InverseLinearLatency, gaussian_activations
    >>> centres = jnp.array([0.0, 0.5, 1.0])
    >>> bells = lambda s: gaussian_activations(s, centres, sigma=0.5)
    >>> spikes = jnp.zeros((101, 3)).at[39, 0].set(1.0).at[0, 1].set(1.0).at[39, 2].set(1.0)  # 1 − e^(−½) = 0.39
    >>> round(float(LeastSquares(InverseLinearLatency(), bells, jnp.linspace(0, 1, 6))(spikes)), 3)
    0.5
    """

    inverse: AbstractReconstruction
    activations: TuningCurves
    candidates: Float[Array, " G"] | Float[Array, "G D"] = eqx.field(converter=for_jax)
    num_newton: int = 4

    def __check_init__(self):
        check_candidates(self, self.candidates)
        check_part(self, AbstractReconstruction, "an inverse, such as InverseLinearLatency()", inverse=self.inverse)
        check_function(self, "activations of a value, such as tuning curves", activations=self.activations)
        check_whole(self, at_least=0, num_newton=self.num_newton)

    def __call__(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*value"]:
        """See the base."""
        spikes = over_time(self, spikes, axes=2)

        def estimate(read):
            return climb(lambda s: -((read - self.activations(s)) ** 2), self.candidates, self.num_newton)

        return over_populations(estimate, self.inverse(spikes))


@final
class PosteriorMean(AbstractReconstruction):
    """The Bayesian estimate `E[s | n]` of a Poisson population under a prior, and its uncertainty.

    `p(s | n) ∝ p(s) Π_i f_i(s)^{n_i} e^{−T f_i(s)}`, on a grid. Of all estimates it has the least mean squared error.

    Args:
        tuning: the tuning curves, Hz.
        grid: equally spaced values, ascending, `[G]`; it spans the prior.
        log_prior: logarithm of the prior density at a value, up to a constant; even by default.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> tuning = lambda s: 50 * jnp.exp(-0.5 * (s - jnp.linspace(-8, 8, 65)) ** 2)
    >>> bayes = PosteriorMean(tuning, jnp.linspace(-3, 3, 301), log_prior=lambda s: -0.5 * s**2)
    >>> spikes = jnp.zeros((100, 65)).at[10, 36].set(1.0)  # one spike, of the neuron that prefers 1
    >>> round(float(bayes(spikes)), 2)  # half way between it and the prior's mean
    0.5
    >>> [round(float(end), 1) for end in bayes.interval(spikes, level=0.68)]  # ± √½
    [-0.2, 1.2]

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 3.3.
    """

    tuning: TuningCurves
    grid: Float[Array, " G"] = eqx.field(converter=for_jax)
    log_prior: Callable[[Float[Array, ""]], Float[Array, ""]] | None = None
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_candidates(self, self.grid, "grid", axes=(1,))
        check_function(self, "tuning curves, such as GaussianTuning(centres, sigma)", tuning=self.tuning)
        if self.log_prior is not None:
            check_function(self, "the logarithm of a density, as a function of a value", log_prior=self.log_prior)
        check_above_zero(self, dt=self.dt)

    def posterior(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*shape G"]:
        """The probability of each value of the grid; sums to 1."""
        spikes = over_time(self, spikes, axes=2)

        def of_counts(counts):
            def log_joint(s):
                likelihood = poisson_log_likelihood(self.tuning, counts, s, len(spikes) * self.dt)
                return likelihood if self.log_prior is None else likelihood + self.log_prior(s)

            return jax.nn.softmax(jax.vmap(log_joint)(self.grid))

        return over_populations(of_counts, spikes.sum(axis=0))

    def __call__(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*shape"]:
        """See the base."""
        return self.posterior(spikes) @ self.grid

    def variance(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*shape"]:
        """The posterior variance, which is also the expected squared error of the mean."""
        posterior = self.posterior(spikes)
        return posterior @ self.grid**2 - (posterior @ self.grid) ** 2

    def interval(
        self, spikes: Float[Array, "T *shape n"], level: float = 0.95
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        """The central interval that holds s with this probability: with equal probability below and above it.

        Args:
            spikes: of the population.
            level: the probability, in (0, 1).

        Raises:
            SnnlearnError: if the level is out of range.
        """
        check_number("interval", "a probability in (0, 1)", lambda x: 0 < x < 1, level=level)
        posterior = self.posterior(spikes)
        # The density is linear between the values of the grid, so its integral is the trapezoids'.
        area = jnp.cumsum(0.5 * (posterior[..., 1:] + posterior[..., :-1]), axis=-1)
        below = jnp.concatenate([jnp.zeros_like(area[..., :1]), area], axis=-1) / area[..., -1:]

        def quantile(q):
            flat = below.reshape(-1, below.shape[-1])
            return jax.vmap(lambda cumulative: jnp.interp(q, cumulative, self.grid))(flat).reshape(below.shape[:-1])

        return quantile(0.5 * (1 - level)), quantile(0.5 * (1 + level))


@final
class LogLikelihood(AbstractDecoder):
    """Log-likelihood of each class from independent spikes: one linear readout, and the Bayes classifier.

    `s_k = ln π_k + Σ_{t,i} (w_{k,t,i} S_{t,i} + b_{k,t,i})`. If the classes differ only in the rates of independent
    units, no function of the spikes has a smaller error. Make it with `poisson` or `bernoulli`. With a rate (or a
    probability) of 0, a spike practically excludes the class: it costs 69 nats.

    Args:
        weight: the evidence of a spike for class k, `[K, T, n]`, or `[K, 1, n]` if it does not depend on the step.
        bias: the evidence of a step itself, for all units together, `[K, T]` or `[K, 1]`.
        log_prior: logarithm of the prior probability of each class.

    >>> readout = LogLikelihood.poisson(jnp.array([[5.0], [10.0]]))  # one unit; 5 or 10 Hz
    >>> spikes = jnp.zeros((1000, 1)).at[:70].set(1.0)  # the two are equal at 5 / ln 2 = 7.2 spikes in 1 s
    >>> [int(readout(spikes.at[count:].set(0.0)).argmax()) for count in (7, 8)]
    [0, 1]

    Source: Jazayeri & Movshon (2006), doi:10.1038/nn1691.
    """

    reads_spikes: ClassVar[bool] = True
    weight: Float[Array, "K S n"]
    bias: Float[Array, "K S"]
    log_prior: Float[Array, " K"]

    @classmethod
    def poisson(
        cls,
        rates: Float[Array, "K n"] | Float[Array, "K T n"],
        prior: Float[Array, " K"] | None = None,
        dt: float = 1e-3,
    ) -> LogLikelihood:
        """For Poisson spikes: `Σ S ln λ_k − λ_k dt`; of two classes, the difference is the `LLR` of the textbooks.

        Args:
            rates: rate of each unit under each class, Hz, ≥ 0; with an axis of time where they change.
            prior: probability of each class; equal by default.
            dt: time step, s, > 0.

        Raises:
            SnnlearnError: if rates or prior are not that.
        """
        check_above_zero("LogLikelihood.poisson", dt=dt)
        shape = "the rate of each unit under each class, [K, n] or [K, T, n]"
        rates = known_array("LogLikelihood.poisson", rates, "rates", shape=shape, axes=(2, 3))
        if not isinstance(rates, Tracer) and (rates < 0).any():
            raise SnnlearnError(f"LogLikelihood.poisson: a rate is {rates.min()} Hz; give at least 0")
        rates = rates[:, None] if rates.ndim == 2 else rates
        return cls(jnp.log(jnp.maximum(rates, TINY)), -dt * rates.sum(axis=-1), _log_prior(prior, rates))

    @classmethod
    def bernoulli(
        cls, chance: Float[Array, "K n"] | Float[Array, "K T n"], prior: Float[Array, " K"] | None = None
    ) -> LogLikelihood:
        """For at most one spike per step: `Σ S ln p_k + (1 − S) ln(1 − p_k)`.

        Args:
            chance: probability of a spike in one step, in [0, 1], of each unit under each class; with an axis of time
                where it changes.
            prior: probability of each class; equal by default.

        Raises:
            SnnlearnError: if chances or prior are not that.
        """
        shape = "the probability of a spike of each unit under each class, [K, n] or [K, T, n]"
        chance = known_array("LogLikelihood.bernoulli", chance, "chance", shape=shape, axes=(2, 3))
        if not isinstance(chance, Tracer) and ((chance < 0) | (chance > 1)).any():
            raise SnnlearnError("LogLikelihood.bernoulli: chance is not in [0, 1] everywhere; give probabilities")
        chance = chance[:, None] if chance.ndim == 2 else chance
        silence = jnp.log(jnp.maximum(1.0 - chance, TINY))
        return cls(jnp.log(jnp.maximum(chance, TINY)) - silence, silence.sum(axis=-1), _log_prior(prior, chance))

    def __call__(self, output: Float[Array, "T n"]) -> Float[Array, " K"]:
        """See the base; `output` is spikes or their number."""
        output = of_neurons(self, output, self.weight.shape[-1], "output", axes=(2,))
        num_steps, changes = len(output), self.weight.shape[1] > 1
        if changes and self.weight.shape[1] != num_steps:
            raise SnnlearnError(
                f"LogLikelihood: the spikes have {num_steps} steps, the rates {self.weight.shape[1]}; give both the "
                "same number"
            )
        spikes = output if changes else output.sum(axis=0, keepdims=True)
        steps = 1 if changes else num_steps
        return jnp.einsum("ktn,tn->k", self.weight, spikes) + steps * self.bias.sum(axis=1) + self.log_prior

    def until(self, output: Float[Array, "T n"], length: Int[Array, ""]) -> Float[Array, " K"]:
        """See the base: without the evidence of later steps."""
        later = ~goes_on(len(output), length)
        of_steps = jnp.broadcast_to(self.bias, (len(self.bias), len(output)))
        return self(until(output, length)) - jnp.where(later[None], of_steps, 0.0).sum(axis=1)


def _log_prior(prior: Float[Array, " K"] | None, per_class: Float[Array, "K ..."]) -> Float[Array, " K"]:
    classes = len(per_class)
    if prior is None:
        return jnp.full(classes, -jnp.log(classes), per_class.dtype)
    shape = f"one probability for each of {classes} classes"
    prior = known_array("LogLikelihood", prior, "prior", shape=shape, axes=(1,))
    if len(prior) != classes or (not isinstance(prior, Tracer) and not (prior > 0).all()):
        raise SnnlearnError(f"LogLikelihood: the prior {shown(prior)} must be {shape}, above 0")
    return jnp.log(prior)


def climb(
    terms: Callable[[Float[Array, "*D"]], Float[Array, " n"]], candidates: Float[Array, "G *D"], num_newton: int
) -> Float[Array, "*D"]:
    """The value with the largest sum of terms: the best candidate, then Newton steps, shortened until they go uphill.

    Args:
        terms: what each neuron contributes.
        candidates: values to start from; the result stays within their range.
        num_newton: Newton steps.
    """

    def total(s):
        return jnp.sum(terms(s))

    low, high = candidates.min(axis=0), candidates.max(axis=0)
    scores = jax.vmap(total)(candidates)
    best = candidates[scores.argmax()]

    def newton(_, s):
        slope = jax.grad(total)(s).reshape(s.size)
        curvature = jax.hessian(total)(s).reshape(s.size, s.size)
        step = -jnp.linalg.solve(curvature, slope)
        step = jnp.where(slope @ step < 0, -step, step).reshape(s.shape)  # Newton's method seeks minima, too
        # Where a curve is cut at 0 the whole step may be too far.
        share = 0.5 ** jnp.arange(6, dtype=s.dtype).reshape(-1, *(1 for _ in s.shape))
        tries = jnp.clip(s[None] + share * step[None], low[None], high[None])
        # Term by term: a difference of two sums is lost to rounding.
        gains = jax.vmap(lambda new: jnp.sum(terms(new) - terms(s)))(tries)
        return jnp.where(gains.max() > 0, tries[gains.argmax()], s)

    best = jax.lax.fori_loop(0, num_newton, newton, best)
    return jnp.where(jnp.isnan(scores).any(), jnp.nan, best)


def over_populations(
    decode: Callable[[Float[Array, " n"]], Float[Array, "*value"]], activity: Float[Array, "*shape n"]
) -> Float[Array, "*shape_value"]:
    """Decode the activity of each population: the last axis is the neurons of one, the others are mapped over."""
    values = jax.vmap(decode)(activity.reshape(-1, activity.shape[-1]))
    return values.reshape(*activity.shape[:-1], *values.shape[1:])


def check_candidates(
    owner: object, candidates: object, name: str = "candidates", axes: tuple[int, ...] = (1, 2)
) -> None:
    """Refuse anything but an array of at least two finite values.

    Raises:
        SnnlearnError: naming the owner and their number.
    """
    shape = "values [G]" if axes == (1,) else "values [G] or [G, D]"
    candidates = known_array(owner, candidates, name, shape=shape, axes=axes)
    if len(candidates) < 2:
        raise SnnlearnError(f"{type(owner).__name__}: got {len(candidates)} candidate values; give at least 2")
