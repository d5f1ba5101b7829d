"""Losses of signals over time, real-valued or spikes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_time_constants
from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import AbstractLoss, AbstractStepwiseLoss, Outputs


class MeanSquaredError(AbstractStepwiseLoss):
    r"""$\frac1{Tn}\sum_{t,k}(y_k^t-\hat y_k^t)^2$ of the network's output and a target `[T, n]`.

    >>> float(MeanSquaredError()((jnp.zeros((5, 2)),), 3 * jnp.ones((5, 2))))
    9.0
    """

    decoder: AbstractDecoder | None = None

    def moments(self, target: Float[Array, "T *n"], num_steps: int) -> tuple[Array, Array]:
        """See the base: the target of each step, and 1/T."""
        if len(target) != num_steps:
            raise SnnlearnError(f"MeanSquaredError: the target has {len(target)} steps and the output {num_steps}")
        return target, jnp.full(num_steps, 1 / num_steps)

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """See the base."""
        target, share = moment
        return share * jnp.mean(jnp.square(output - target))


class VanRossum(AbstractLoss):
    r"""$D^2=\sum_k\frac1\tau\int(\epsilon*S_k-\epsilon*\hat S_k)^2dt$ with $\epsilon=e^{-t/\tau}$ (van Rossum 2001).

    The integral over each time step is exact, so that one missing spike far from the end costs ½, and one displaced by
    Δ costs 1 − exp(−Δ/τ) (doi:10.1162/089976601300014321). The target is a spike train `[T, n]`.

    Args:
        tau: time constant of the kernel, s, ≥ dt.
        dt: time step, s, > 0.

    >>> spikes = jnp.zeros((500, 1)).at[10].set(1.0)
    >>> round(float(VanRossum(tau=10e-3)((spikes,), 0 * spikes)), 6)
    0.5
    """

    tau: float = 10e-3
    dt: float = 1e-3
    decoder: AbstractDecoder | None = None

    def __check_init__(self):
        check_time_constants(self, self.dt, tau=self.tau)

    def __call__(self, outputs: Outputs, target: Float[Array, "T *n"]) -> Float[Array, ""]:
        """See the base."""
        decay = jnp.exp(-self.dt / self.tau)

        def step(trace, difference):
            trace = decay * trace + difference
            return trace, jnp.sum(jnp.square(trace))

        _, squares = jax.lax.scan(step, jnp.zeros(target.shape[1:]), outputs[-1] - target)
        return -jnp.expm1(-2 * self.dt / self.tau) / 2 * jnp.sum(squares)
