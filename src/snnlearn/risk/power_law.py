r"""How risk falls with data: $R(m) = a\,m^{-b}$."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.intervals import Interval, Real, t_interval


class PowerLaw(NamedTuple):
    r"""$R(m) = a\,m^{-b}$.

    Args:
        exponent: b; positive where risk falls.
        scale: a.
        interval: t interval of the exponent over seeds; nan where there is one seed.
    """

    exponent: float
    scale: float
    interval: Interval

    def __call__(self, m: Real | np.ndarray) -> Float[np.ndarray, "..."]:
        """The risk at m."""
        return np.asarray(self.scale * np.asarray(m, float) ** -self.exponent)


@checked
def fit_power_law(
    sizes: Sequence[int] | np.ndarray, risks: Float[np.ndarray, "K S"], *, confidence: float = 0.95
) -> PowerLaw:
    r"""Least squares of $\ln R = \ln a - b\ln m$ for each seed; the exponents' mean, and its interval over seeds.

    It holds over the range of sizes fitted, if the points lie on a line there, and promises nothing beyond.

    Args:
        sizes: m of the training samples, `[S]`, at least two different.
        risks: of each seed at each size, above 0, `[K, S]`. Of error counts, take (k + ½)/(n + 1), which is.
        confidence: of the interval, in (0, 1).

    Raises:
        SnnlearnError: if shapes do not fit, sizes are fewer than two, or a risk is not above 0.

    >>> law = fit_power_law([100, 400, 1600], np.array([[0.2, 0.1, 0.05], [0.4, 0.2, 0.1]]))
    >>> round(law.exponent, 6), round(float(law(6400)), 6)
    (0.5, 0.035355)
    """
    m, risks = np.asarray(sizes, float), np.asarray(risks, float)
    if m.ndim != 1 or len(np.unique(m)) < 2 or risks.ndim != 2 or risks.shape[1] != m.size or len(risks) == 0:
        raise SnnlearnError(
            f"fit_power_law: sizes has shape {m.shape} and risks {risks.shape}; give [S] with two different, and [K, S]"
        )
    if not (np.all(m > 0) and np.all(risks > 0) and np.all(np.isfinite(risks))):
        raise SnnlearnError("fit_power_law: sizes and risks must be above 0; of k errors in n take (k + ½)/(n + 1)")
    slopes, offsets = np.polyfit(np.log(m), np.log(risks).T, 1)
    return PowerLaw(float(-slopes.mean()), float(np.exp(offsets.mean())), t_interval(-slopes, confidence=confidence))
