"""Artificial networks of random weights."""

from __future__ import annotations

import jax

from snnlearn.network import INPUT, Connection, Dense, Layer, Network, OneToOne
from snnlearn.neurons import ClippedRectifier, Identity, LeakyRectifier, Rectifier


def residual(key: jax.Array, *, contrast: float = 1.0) -> Network:
    """A graph with a residual path, a branch, and all kinds of units; the added branch has weights × `contrast`."""
    keys = jax.random.split(key, 6)
    body = Dense(6, 6, use_bias=True, key=keys[1]).affine(1.0, contrast)
    return Network(
        (
            Layer(Dense(4, 6, use_bias=True, key=keys[0]), Rectifier(), name="stem"),
            Layer([body, Connection(OneToOne((6,)), "stem")], LeakyRectifier(0.2), name="sum"),
            Layer(
                [Dense(6, 5, use_bias=True, key=keys[2]), Connection(Dense(4, 5, key=keys[3]), INPUT)],
                ClippedRectifier(1.0 * contrast),
                name="clipped",
            ),
            Layer([Dense(5, 3, use_bias=True, key=keys[4]), Connection(Dense(6, 3, key=keys[5]), "sum")], Identity()),
        )
    )
