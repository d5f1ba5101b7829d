r"""A network of few-bit weights is one of finitely many, and that alone bounds its risk.

W weights of b bits, each array of them on a grid of its own, can be set in $2^{Wb}$ ways: the class of what a chip can
hold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split, trained_part
from snnlearn.data import Sample
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.network import Network
from snnlearn.risk.bounds import check_delta, check_sample_size, log_class_size
from snnlearn.risk.intervals import Count, Real
from snnlearn.risk.pac_bayes import kl_inverse

# The step of each array's grid is a power of two: which one is part of the class, and takes this many bits.
_EXPONENTS = range(-32, 32)


class QuantisedBound(NamedTuple):
    """What is known, with confidence 1 − δ, of the risk of a trained network after rounding its weights.

    Args:
        bound: the risk is below it.
        empirical_risk: of the rounded network, on the training sample.
        log_size: ln|F| of the class.
        bits: of each weight.
        m: training samples.
    """

    bound: float
    empirical_risk: float
    log_size: float
    bits: int
    m: int


@checked
def quantise(network: Network, bits: int) -> Network:
    r"""Round each weight to b bits: $w \to q\,2^e$ with $q \in \{-2^{b-1}, \dots, 2^{b-1} - 1\}$.

    The exponent e is one for each array of parameters, with the least squared error; a single bit keeps only the sign,
    $\pm\frac12 2^e$.

    Args:
        network: the network; every array of numbers in it is rounded.
        bits: b, from 1 to 24.

    Raises:
        SnnlearnError: if bits is not from 1 to 24.

    >>> import snnlearn as sl
    >>> rounded = quantise(sl.network.feedforward((3, 4, 2), key=jax.random.key(0)), 3)
    >>> len(np.unique(rounded.layers[0].synapses.weight)) <= 8
    True
    """
    if not 1 <= bits <= 24:
        raise SnnlearnError(f"quantise: bits is {bits}; give a whole number from 1 to 24")

    def rounded(leaf):
        values = np.asarray(leaf, dtype=float)
        top = math.ceil(math.log2(max(float(np.max(np.abs(values))), 2.0**-24))) + 1
        steps = 2.0 ** np.clip(np.arange(top - bits - 2, top + 1), _EXPONENTS[0], _EXPONENTS[-1])
        candidates = [_round(values, step, bits) for step in steps]
        best = min(candidates, key=lambda candidate: float(np.sum((candidate - values) ** 2)))
        return jnp.asarray(best, leaf.dtype)

    parameters, constants = split(network)
    return eqx.combine(jax.tree.map(rounded, parameters), constants)


@checked
def occam_bound(empirical_risk: Real, log_size: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$R(f) \le \mathrm{kl}^{-1}\big(\hat R_s(f); (\ln|F| + \ln(1/\delta))/m\big)$ for all f of a finite class.

    Chernoff's bound in the place of Hoeffding's: never above
    [`finite_class_radius`][snnlearn.risk.finite_class_radius], and near
    [`realizable_bound`][snnlearn.risk.realizable_bound] where there are no errors.

    Args:
        empirical_risk: in [0, 1].
        log_size: $\ln|F|$ ≥ 0.
        m: samples, ≥ 1.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: J. Langford, J. Mach. Learn. Res. 6:273 (2005), Theorem 4.1 with a uniform prior.

    >>> round(occam_bound(0.0, math.log(1000), 1000), 6)  # 1 − exp(−ln(20,000)/1000)
    0.009855
    """
    check_sample_size(m)
    check_delta(delta)
    if not log_size >= 0:
        raise SnnlearnError(f"occam_bound: log_size is {log_size}; give ln|F| of a class of at least one, from 0")
    return kl_inverse(empirical_risk, (log_size - math.log(delta)) / m)


@checked
def quantised_bound(hypothesis: Hypothesis, sample: Sample, bits: int, *, delta: float = 0.05) -> QuantisedBound:
    r"""Bound the risk of a network rounded to few bits by its errors on the sample it was *trained* on.

    $\ln|F| = (W b + 6 A)\ln 2$ for W weights in A arrays, six bits for the exponent of each. Encoder, decoder, layout
    and time constants that are not trained must have been fixed before the data was seen.

    Args:
        hypothesis: a trained one; it is rounded here.
        sample: the training sample, independent draws; a deterministic encoder is supposed.
        bits: of each weight, from 1 to 24, not chosen by the sample.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.
    """
    rounded = quantise(hypothesis.network, bits)
    leaves = jax.tree.leaves(trained_part(rounded))
    weights = sum(leaf.size for leaf in leaves)
    log_size = log_class_size(weights, bits) + len(leaves) * math.log(len(_EXPONENTS))
    decided = predict(Hypothesis(hypothesis.encoder, rounded, hypothesis.decoder), sample.x)
    empirical = float(np.mean(decided != sample.y))
    bound = occam_bound(empirical, log_size, len(sample.y), delta=delta)
    return QuantisedBound(bound, empirical, log_size, bits, len(sample.y))


def _round(values: np.ndarray, step: float, bits: int) -> np.ndarray:
    if bits == 1:
        return np.where(values < 0, -0.5, 0.5) * step
    return np.clip(np.round(values / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * step
