"""Tuning curves: the firing rates, in Hz, with which a population responds to a stimulus.

`f(s)` is differentiable, so automatic differentiation gives maximum likelihood and Fisher information for any curves.
"""

# No `from __future__ import annotations` here: Equinox does not recognise an `AbstractVar` written as a string.

from abc import abstractmethod
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.coding.checks import an_array, check_above_zero, check_number, known_array, named, scalar


class AbstractTuning(Component):
    """The rates `f_i(s)` of n neurons for a stimulus s: a number, or a vector of D numbers.

    `max_rate` is the highest rate that any neuron reaches, `base_rate` is r₀ of its equation.
    """

    max_rate: eqx.AbstractVar[float]
    base_rate: eqx.AbstractVar[float]

    @abstractmethod
    def __call__(self, s: Float[Array, "*D"]) -> Float[Array, " n"]:
        """The rates of all neurons for one stimulus, Hz, ≥ 0; many stimuli are a `vmap`.

        Raises:
            SnnlearnError: if s is not a stimulus of `stimulus_shape`.
        """

    @property
    @abstractmethod
    def preferred(self) -> Float[Array, "n *D"]:
        """The stimulus s_i that each neuron prefers."""

    @property
    def candidates(self) -> Float[Array, "G *D"]:
        """Starting points of a search for the most likely stimulus, one near each peak of the likelihood."""
        return self.preferred

    @property
    def num_neurons(self) -> int:
        """Neurons n."""
        return self.preferred.shape[0]

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """The shape of one stimulus: () for a number, (D,) for a vector."""
        return self.preferred.shape[1:]


@final
class GaussianTuning(AbstractTuning):
    """Bells around each centre, `f_i(s) = r₀ + (r_max − r₀) exp(−|s − s_i|² / 2σ²)`.

    Args:
        centres: the stimuli s_i, `[n]` for a number, `[n, D]` for a vector; see `grid`.
        sigma: width σ, in the unit of the stimulus, > 0.
        max_rate: rate r_max at the centre, Hz, > base_rate.
        base_rate: rate r₀ far away from it, Hz, ≥ 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> f = GaussianTuning(jnp.array([0.0, 1.0]), sigma=1.0, max_rate=50, base_rate=10)
    >>> [round(rate, 3) for rate in f(jnp.array(0.0)).tolist()]
    [50.0, 34.261]

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), equation 1.14.
    """

    centres: Float[Array, "n *D"]
    sigma: float
    max_rate: float
    base_rate: float

    def __init__(
        self,
        centres: Float[Array, "n *D"] | np.ndarray,
        sigma: float | int,
        max_rate: float | int = 50.0,
        base_rate: float | int = 0.0,
    ):
        self.centres = known_array(self, centres, "centres", shape="[n] or [n, D]", axes=(1, 2))
        self.sigma = scalar(sigma)
        self.max_rate = scalar(max_rate)
        self.base_rate = scalar(base_rate)

    def __check_init__(self):
        _check_rates(self)
        check_above_zero(self, sigma=self.sigma)

    def __call__(self, s: Float[Array, "*D"]) -> Float[Array, " n"]:
        """See the base."""
        s = _stimulus(self, s)
        axes = tuple(range(1, self.centres.ndim))
        squared_distance = jnp.sum((s[None] - self.centres) ** 2, axis=axes)
        return self.base_rate + (self.max_rate - self.base_rate) * jnp.exp(-squared_distance / (2 * self.sigma**2))

    @property
    def preferred(self) -> Float[Array, "n *D"]:
        """The centres."""
        return self.centres


@final
class CosineTuning(AbstractTuning):
    """Directions, `f_i(s) = max(0, r₀ + (r_max − r₀) cos(s − s_i))`.

    Here r₀ is the rate at a right angle to the preferred direction, and the mean over directions as long as no rate is
    cut off at 0, that is for `base_rate ≥ max_rate / 2`.

    Args:
        angles: the preferred directions s_i, rad, `[n]`; for an unbiased population vector spread them evenly.
        max_rate: rate r_max in the preferred direction, Hz, > base_rate.
        base_rate: rate r₀, Hz, ≥ 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> f = CosineTuning(jnp.array([0.0, jnp.pi / 2, jnp.pi]), max_rate=60, base_rate=20)
    >>> [round(rate, 3) for rate in f(jnp.array(0.0)).tolist()]
    [60.0, 20.0, 0.0]

    Source: Georgopoulos et al. (1982), doi:10.1523/JNEUROSCI.02-11-01527.1982; the cut at 0 is Dayan & Abbott's (2001),
    equation 3.21.
    """

    angles: Float[Array, " n"]
    max_rate: float
    base_rate: float

    def __init__(
        self, angles: Float[Array, " n"] | np.ndarray, max_rate: float | int = 60.0, base_rate: float | int = 30.0
    ):
        self.angles = known_array(self, angles, "angles", shape="one for each neuron, [n]", axes=(1,))
        self.max_rate = scalar(max_rate)
        self.base_rate = scalar(base_rate)

    def __check_init__(self):
        _check_rates(self)

    def __call__(self, s: Float[Array, ""]) -> Float[Array, " n"]:
        """See the base; s in rad."""
        s = _stimulus(self, s)
        return jnp.maximum(0.0, self.base_rate + (self.max_rate - self.base_rate) * jnp.cos(s - self.angles))

    @property
    def preferred(self) -> Float[Array, " n"]:
        """The preferred directions, rad."""
        return self.angles

    @property
    def candidates(self) -> Float[Array, " G"]:
        """All around."""
        return jnp.linspace(-jnp.pi, jnp.pi, 4 * self.num_neurons)


@final
class VonMisesTuning(AbstractTuning):
    """Bells on the circle, `f_i(s) = r₀ + (r_max − r₀) exp(κ (cos(s − s_i) − 1))`.

    Args:
        angles: the preferred directions s_i, rad, `[n]`.
        concentration: sharpness κ, > 0; a narrow bell has the width `1/√κ` rad.
        max_rate: rate r_max in the preferred direction, Hz, > base_rate.
        base_rate: rate r₀ common to all directions, Hz, ≥ 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> f = VonMisesTuning(jnp.array([0.0, jnp.pi]), concentration=1.0, max_rate=50)
    >>> [round(rate, 3) for rate in f(jnp.array(0.0)).tolist()]
    [50.0, 6.767]

    Source: Kohn & Movshon (2004), doi:10.1038/nn1270, use this form for direction in area MT.
    """

    angles: Float[Array, " n"]
    concentration: float
    max_rate: float
    base_rate: float

    def __init__(
        self,
        angles: Float[Array, " n"] | np.ndarray,
        concentration: float | int = 2.0,
        max_rate: float | int = 50.0,
        base_rate: float | int = 0.0,
    ):
        self.angles = known_array(self, angles, "angles", shape="one for each neuron, [n]", axes=(1,))
        self.concentration = scalar(concentration)
        self.max_rate = scalar(max_rate)
        self.base_rate = scalar(base_rate)

    def __check_init__(self):
        _check_rates(self)
        check_above_zero(self, concentration=self.concentration)

    def __call__(self, s: Float[Array, ""]) -> Float[Array, " n"]:
        """See the base; s in rad."""
        s = _stimulus(self, s)
        bell = jnp.exp(self.concentration * (jnp.cos(s - self.angles) - 1.0))
        return self.base_rate + (self.max_rate - self.base_rate) * bell

    @property
    def preferred(self) -> Float[Array, " n"]:
        """The preferred directions, rad."""
        return self.angles

    @property
    def candidates(self) -> Float[Array, " G"]:
        """All around."""
        return jnp.linspace(-jnp.pi, jnp.pi, 4 * self.num_neurons)


def grid(*axes: Float[Array, " _"] | np.ndarray) -> Float[Array, "n D"]:
    """All combinations of the centres along D axes, `[n_1 · … · n_D, D]`, the last axis fastest.

    Raises:
        SnnlearnError: if an axis is not an array of centres.

    >>> grid(jnp.array([0.0, 1.0]), jnp.array([5.0, 6.0])).tolist()
    [[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]]
    """
    if not axes:
        raise SnnlearnError("grid: there are no axes; give the centres along at least one")
    shape = "the centres along one axis, [n]"
    axes = tuple(known_array("grid", axis, "an axis", shape=shape, axes=(1,)) for axis in axes)
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _check_rates(tuning: AbstractTuning) -> None:
    """Refuse rates that are negative, not finite, or without modulation."""
    low, high = tuning.base_rate, tuning.max_rate
    check_number(tuning, "a finite rate, Hz", lambda x: True, base_rate=low, max_rate=high)
    if not 0 <= low < high:
        raise SnnlearnError(
            f"{type(tuning).__name__}: base_rate is {low} Hz and max_rate {high} Hz; give 0 ≤ base_rate < max_rate"
        )


def _stimulus(tuning: AbstractTuning, s: Array) -> Array:
    """One stimulus, after checking that it has the shape of the preferred ones."""
    s = an_array(tuning, s, "s")
    if s.shape != tuning.stimulus_shape:
        raise SnnlearnError(
            f"{named(tuning)}: s has shape {s.shape}; give one stimulus of shape {tuning.stimulus_shape}, or jax.vmap"
        )
    return s
