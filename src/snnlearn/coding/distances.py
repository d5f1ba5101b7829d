"""Distances between spike trains: van Rossum, Victor–Purpura, ISI and SPIKE distance.

Van Rossum's is written for JAX (it is differentiable in the spike times); the others are NumPy, on sorted spike times.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import AbstractDecoder
from snnlearn.coding.checks import an_array, check_above_zero, check_number, check_part, for_jax, known_array, scalar
from snnlearn.coding.ends import until


class AbstractKernel(Component):
    r"""A kernel $\epsilon$ that turns spikes into traces, known by its autocorrelation $A(\Delta)$.

    The distance of two trains only needs the inner product of the traces of two spikes, Δ apart.
    """

    @abstractmethod
    def autocorrelation(self, lag: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """`A(Δ) = ∫ ε(t) ε(t + Δ) dt` at each lag Δ ≥ 0, s."""


@final
class Exponential(AbstractKernel):
    r"""$\epsilon(t) = e^{-t/\tau} / \sqrt\tau$, so $A(\Delta) = \frac12 e^{-\Delta/\tau}$: a missing spike costs ½.

    Args:
        tau: time constant τ, s, > 0.

    Raises:
        SnnlearnError: if tau is not positive.

    >>> float(Exponential(tau=10e-3).autocorrelation(jnp.array(0.0)))
    0.5

    Source: van Rossum (2001), doi:10.1162/089976601300014321.
    """

    tau: float = eqx.field(converter=scalar, default=10e-3)

    def __check_init__(self):
        check_above_zero(self, tau=self.tau)

    def autocorrelation(self, lag: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """See the base."""
        lag = an_array(self, lag, "lag")
        return 0.5 * jnp.exp(-lag / self.tau)


@final
class DoubleExponential(AbstractKernel):
    r"""The unit-area kernel $\alpha(t) = (e^{-t/a} - e^{-t/b}) / (a - b)$ of SuperSpike.

    $A(\Delta) = (a e^{-\Delta/a} - b e^{-\Delta/b}) / (2 (a^2 - b^2))$, in 1/s.

    Args:
        tau_decay: the longer time constant a, s.
        tau_rise: the shorter time constant b, s, > 0, below a.

    Raises:
        SnnlearnError: if a time constant is out of range.

    >>> round(float(DoubleExponential().autocorrelation(jnp.array(0.0))), 3)  # 1 / (2 (a + b))
    33.333

    Source: Zenke & Ganguli (2018), doi:10.1162/neco_a_01086.
    """

    tau_decay: float = eqx.field(converter=scalar, default=10e-3)
    tau_rise: float = eqx.field(converter=scalar, default=5e-3)

    def __check_init__(self):
        check_above_zero(self, tau_decay=self.tau_decay, tau_rise=self.tau_rise)
        if not self.tau_rise < self.tau_decay:
            raise SnnlearnError(
                f"DoubleExponential: tau_rise is {self.tau_rise} s, not below tau_decay = {self.tau_decay} s; swap them"
            )

    def autocorrelation(self, lag: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """See the base."""
        lag = an_array(self, lag, "lag")
        a, b = self.tau_decay, self.tau_rise
        return (a * jnp.exp(-lag / a) - b * jnp.exp(-lag / b)) / (2 * (a**2 - b**2))


def van_rossum_distance(
    times: Float[Array, " m"],
    others: Float[Array, " n"],
    kernel: AbstractKernel = Exponential(),  # noqa: B008  # immutable
) -> Float[Array, ""]:
    r"""Squared distance of the traces, $D^2 = \int (\epsilon * S - \epsilon * S')^2 dt$, exact from the spike times.

    $D^2 = \sum A(t_i - t_j) + \sum A(t'_i - t'_j) - 2 \sum A(t_i - t'_j)$. Differentiable in the times, where no two
    coincide; its root is a metric.

    Args:
        times: spike times of one train, s, in any order; `inf` is no spike, so that trains of different lengths stack.
            NaN or −inf give NaN.
        others: spike times of the other.
        kernel: what turns spikes into traces.

    Raises:
        SnnlearnError: if times are not arrays `[m]`, or the kernel is none.

    >>> one = jnp.array([0.10, 0.20])
    >>> round(float(van_rossum_distance(one, jnp.array([0.10, jnp.inf]))), 4)  # one spike is missing
    0.5
    >>> round(float(van_rossum_distance(one, jnp.array([0.10, 0.21]))), 4)  # or displaced by τ: 1 − 1/e
    0.6321

    Source: van Rossum (2001), doi:10.1162/089976601300014321; its D² with `Exponential`.
    """
    check_part("van_rossum_distance", AbstractKernel, "a kernel, such as Exponential()", kernel=kernel)
    times, others = (
        an_array("van_rossum_distance", train, name, shape="the spike times of one train, [m]", axes=(1,))
        for train, name in ((times, "times"), (others, "others"))
    )
    spikes = jnp.concatenate([times, others])
    sign = jnp.concatenate([jnp.ones_like(times), -jnp.ones_like(others)])
    silent = jnp.isposinf(spikes)
    sign, spikes = jnp.where(silent, 0.0, sign), jnp.where(silent, 0.0, spikes)
    spikes = jnp.where(jnp.isfinite(spikes), spikes, jnp.nan)
    return _square(sign @ kernel.autocorrelation(jnp.abs(spikes[:, None] - spikes[None, :])) @ sign)


def _square(difference: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A squared distance summed with both signs: rounding can make it negative if the trains are equal."""
    return jnp.maximum(difference, 0.0)


@final
class NearestTemplate(AbstractDecoder):
    """The closer a class's template, the higher its score, `−Σ_i D²(S_i, S'_{k,i})` by the van Rossum distance.

    Args:
        templates: one spike train per unit and class, `[K, T, n]`, or traces of such trains, like their mean.
        kernel: what turns spikes into traces.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is not what it should be, or the output has not the templates' shape.

    >>> early, late = jnp.zeros((2, 50, 1)).at[0, 10].set(1.0).at[1, 30].set(1.0)
    >>> decoder = NearestTemplate(jnp.stack([early, late]))
    >>> int(decoder(jnp.zeros((50, 1)).at[25].set(1.0)).argmax())
    1
    """

    reads_spikes: ClassVar[bool] = True
    templates: Float[Array, "K T n"] = eqx.field(converter=for_jax)
    kernel: AbstractKernel = Exponential()
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, dt=self.dt)
        check_part(self, AbstractKernel, "a kernel, such as Exponential()", kernel=self.kernel)
        known_array(self, self.templates, "templates", shape="one spike train per class and unit, [K, T, n]", axes=(3,))

    def __call__(self, output: Float[Array, "T n"]) -> Float[Array, " K"]:
        """See the base; `output` is spikes."""
        output = an_array(self, output, "output")
        if output.shape != self.templates.shape[1:]:
            raise SnnlearnError(
                f"NearestTemplate: the spikes have shape {output.shape}, the templates {self.templates.shape[1:]}; "
                "give both the same"
            )
        return self._score(output[None] - self.templates)

    def until(self, output: Float[Array, "T n"], length: Int[Array, ""]) -> Float[Array, " K"]:
        """See the base: what of the templates comes after the end counts neither."""
        return self._score(jax.vmap(until, in_axes=(0, None))(output[None] - self.templates, length))

    def _score(self, difference: Float[Array, "K T n"]) -> Float[Array, " K"]:
        steps = jnp.arange(difference.shape[1], dtype=difference.dtype)
        similarity = self.kernel.autocorrelation(self.dt * jnp.abs(steps[:, None] - steps[None, :]))
        return -_square(jnp.einsum("ksn,st,ktn->kn", difference, similarity, difference)).sum(axis=1)


def victor_purpura_distance(times: np.ndarray, others: np.ndarray, cost: float) -> float:
    """The cheapest way to turn one train into the other by adding (1), removing (1) and moving spikes (`cost · |Δt|`).

    `G_{ij} = min(G_{i−1,j} + 1, G_{i,j−1} + 1, G_{i−1,j−1} + q |t_i − t'_j|)`. With `q = 0` it is the difference of the
    counts; for large q it is the number of spikes that do not coincide.

    Args:
        times: spike times of one train, s, ascending.
        others: spike times of the other.
        cost: q, of moving a spike, 1/s, ≥ 0; spikes further than 2/q apart are not moved into each other.

    Raises:
        SnnlearnError: if the cost is negative, or times are not finite and ascending.

    >>> victor_purpura_distance(np.array([0.1, 0.2]), np.array([0.15]), cost=10.0)  # move one, remove the other
    1.5

    Source: Victor & Purpura (1996), doi:10.1152/jn.1996.76.2.1310.
    """
    times, others = _spike_times(times), _spike_times(others)
    check_number("victor_purpura_distance", "a finite number of at least 0, in 1/s", lambda x: x >= 0, cost=cost)
    column = np.arange(len(others) + 1.0)
    row = column.copy()  # G of no spike of the first train
    for time in times:
        reached = row + 1.0
        reached[1:] = np.minimum(reached[1:], row[:-1] + cost * np.abs(time - others))
        # Adding spikes goes along the row: min_k≤j (reached_k + j − k), without a loop.
        row = np.minimum.accumulate(reached - column) + column
    return float(row[-1])


def isi_distance(times: np.ndarray, others: np.ndarray, window: tuple[float, float]) -> float:
    """The difference of instantaneous rates, `∫ |ν − ν'| / max(ν, ν') dt / T`, with the interspike interval ν(t) at t.

    In [0, 1); 0 for equal trains, and for regular ones of the same rate up to their edges. Edges: each train gets an
    auxiliary spike at both ends of the window, so every time lies in an interval.

    Args:
        times: spike times of one train, s, ascending, within the window.
        others: spike times of the other.
        window: its start and its end, s.

    Raises:
        SnnlearnError: if the window is empty, or times are not ascending within it.

    >>> round(isi_distance(np.array([0.5]), np.array([]), window=(0.0, 1.0)), 6)
    0.5

    Source: Kreuz et al. (2007), doi:10.1016/j.jneumeth.2007.05.031; here in the symmetric form without sign.
    """
    first, second = _with_edges(times, window), _with_edges(others, window)
    moments = np.union1d(first, second)
    middle = 0.5 * (moments[1:] + moments[:-1])
    nu, nu_other = (np.diff(train)[np.searchsorted(train, middle) - 1] for train in (first, second))
    return float(np.diff(moments) @ (np.abs(nu - nu_other) / np.maximum(nu, nu_other)) / (window[1] - window[0]))


def spike_distance(times: np.ndarray, others: np.ndarray, window: tuple[float, float]) -> float:
    r"""SPIKE distance: how far the spikes around each time are from the other train's, averaged over the window.

    $$S(t) = \frac{S_1 \nu_2 + S_2 \nu_1}{\frac12 (\nu_1 + \nu_2)^2}, \qquad
      S_n(t) = \frac{\Delta t_P (t_F - t) + \Delta t_F (t - t_P)}{\nu_n},$$

    where $t_P \le t < t_F$ are the spikes of train n around t, $\nu_n = t_F - t_P$, and Δt is the distance of a spike
    to the nearest one of the other train. S is linear between spikes, so the integral is exact. In [0, 1]; it needs no
    time scale.

    Edges: each train gets an auxiliary spike at both ends of the window, as published in 2013. These coincide, so that
    S is 0 at both ends, and trains of few spikes appear more similar than they are.

    Args:
        times: spike times of one train, s, ascending, within the window.
        others: spike times of the other.
        window: its start and its end, s.

    Raises:
        SnnlearnError: if the window is empty, or times are not ascending within it.

    >>> round(spike_distance(np.array([0.5]), np.array([0.6]), window=(0.0, 1.0)), 4)
    0.099

    Source: Kreuz et al. (2013), doi:10.1152/jn.00873.2012, equations 9 to 12.
    """
    first, second = _with_edges(times, window), _with_edges(others, window)
    moments = np.union1d(first, second)
    ends = []
    for side in (moments[:-1], moments[1:]):
        (s1, nu1), (s2, nu2) = (
            _dissimilarity(train, other, moments, side) for train, other in ((first, second), (second, first))
        )
        ends.append((s1 * nu2 + s2 * nu1) / (0.5 * (nu1 + nu2) ** 2))
    return float(np.diff(moments) @ (0.5 * (ends[0] + ends[1])) / (window[1] - window[0]))


def _dissimilarity(
    train: np.ndarray, other: np.ndarray, moments: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`S_n` at one end of each piece between two times, and the interspike interval there."""
    gap = np.abs(train[:, None] - other[None, :]).min(axis=1)
    interval = np.searchsorted(train, 0.5 * (moments[1:] + moments[:-1])) - 1
    past, future = train[interval], train[interval + 1]
    nu = future - past
    return (gap[interval] * (future - at) + gap[interval + 1] * (at - past)) / nu, nu


def _spike_times(times: np.ndarray) -> np.ndarray:
    try:
        times = np.asarray(times, float)
    except (TypeError, ValueError):
        raise SnnlearnError(f"spike times are {shown(times)}; give an array of numbers, s, one train each") from None
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise SnnlearnError(
            f"spike times of shape {times.shape} are not finite and ascending; sort them, one train each"
        )
    return times


def _with_edges(times: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """The train with a spike at both ends of the window; spikes at the same time count once."""
    try:
        start, end = (float(edge) for edge in window)
    except (TypeError, ValueError):
        raise SnnlearnError(f"the window is {shown(window)}; give its start and its end, s") from None
    if not (end > start and np.isfinite(end - start)):
        raise SnnlearnError(f"the window is {window}; give a finite start < end, s")
    times = _spike_times(times)
    if len(times) and not (start <= times[0] and times[-1] <= end):
        raise SnnlearnError(
            f"spike times reach from {times[0]} to {times[-1]} s, outside the window {window}; cut them, or widen it"
        )
    return np.unique(np.concatenate([[start], times, [end]]))
