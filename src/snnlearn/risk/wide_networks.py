r"""Kernels of infinitely wide ReLU networks: what a large network's training becomes, and why it need not overfit."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.intervals import Real


@checked
def arc_cosine_kernels(u: Real | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""$\kappa_0(u) = \frac{\pi - \arccos u}{\pi}$ and $\kappa_1(u) = \frac{u(\pi - \arccos u) + \sqrt{1 - u^2}}{\pi}$.

    For Gaussian w and unit vectors at cosine u: $2\,\mathbb E[\sigma'(w^\top x)\sigma'(w^\top y)]$ and
    $2\,\mathbb E[\sigma(w^\top x)\sigma(w^\top y)]$, σ the ReLU.

    Args:
        u: in [−1, 1], of any shape.

    Raises:
        SnnlearnError: if u leaves [−1, 1].

    Source: Y. Cho and L. Saul, NeurIPS 2009.

    >>> [round(float(k), 6) for k in arc_cosine_kernels(0.3)]
    [0.596987, 0.482744]
    """
    u = np.asarray(u, dtype=float)
    if not np.all(np.abs(u) <= 1 + 1e-9):
        raise SnnlearnError(f"arc_cosine_kernels: u goes from {u.min()} to {u.max()}; give cosines in [−1, 1]")
    u = np.clip(u, -1.0, 1.0)
    angle = np.pi - np.arccos(u)
    return np.asarray(angle / np.pi), np.asarray((u * angle + np.sqrt(1 - u**2)) / np.pi)


@checked
def tangent_kernel(x: Float[np.ndarray, "m d"], y: Float[np.ndarray, "n d"], *, depth: int = 1) -> np.ndarray:
    r"""Neural tangent kernel of ReLU layers with He scaling, on the unit sphere.

    $\Sigma^0 = \Theta^0 = x^\top y$, $\Sigma^{l+1} = \kappa_1(\Sigma^l)$, $\Theta^{l+1} = \Theta^l\kappa_0(\Sigma^l) +
    \Sigma^{l+1}$.

    Args:
        x: `[m, d]`; each is scaled to length 1.
        y: `[n, d]`, likewise.
        depth: hidden layers, ≥ 1.

    Returns:
        Θ, `[m, n]`.

    Raises:
        SnnlearnError: if depth is below 1, or a row is 0, which has no direction.

    Source: A. Jacot, F. Gabriel and C. Hongler, NeurIPS 2018, arXiv:1806.07572.

    >>> unit = np.array([[1.0, 0.0]])
    >>> float(tangent_kernel(unit, unit, depth=1)[0, 0])  # κ₁(1) + κ₀(1)
    2.0
    """
    if depth < 1:
        raise SnnlearnError(f"tangent_kernel: depth is {depth}; give at least 1 hidden layer")
    lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
    if min(float(length.min(initial=math.inf)) for length in lengths) == 0:
        raise SnnlearnError("tangent_kernel: x or y has a row of length 0, which has no direction; leave it out")
    sigma = np.clip((x / lengths[0]) @ (y / lengths[1]).T, -1.0, 1.0)
    theta = sigma
    for _ in range(depth):
        derivative, sigma = arc_cosine_kernels(sigma)
        theta = theta * derivative + sigma
    return theta


@checked
def gradient_flow(
    kernel: Float[np.ndarray, "m m"], start: Float[np.ndarray, " m"], target: Float[np.ndarray, " m"], time: Real
) -> Float[np.ndarray, " m"]:
    r"""$f_t = y + e^{-\Theta t/m}(f_0 - y)$: outputs on the sample while the squared error descends.

    Args:
        kernel: Θ, symmetric, `[m, m]`.
        start: $f_0$, `[m]`.
        target: y, `[m]`.
        time: t ≥ 0, steps times step size.

    Raises:
        SnnlearnError: if the shapes do not fit, or time is below 0.

    >>> gradient_flow(np.eye(2), np.zeros(2), np.ones(2), 2 * np.log(2.0)).round(6).tolist()
    [0.5, 0.5]
    """
    if kernel.shape != (len(start), len(start)) or len(start) != len(target) or not time >= 0:
        raise SnnlearnError(
            f"gradient_flow: kernel {kernel.shape}, start {start.shape}, time {time}; give [m, m], [m], ≥ 0"
        )
    values, vectors = np.linalg.eigh(kernel)
    decay = np.exp(-values * time / len(start))
    return target + vectors @ (decay * (vectors.T @ (start - target)))
