"""Population coding: a value is spread over neurons that each prefer another one."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._parameters import check_positive
from snnlearn.coding.base import AbstractEncoder, check_range, check_whole


def gaussian_activations(
    x: Float[Array, "*shape"], centres: Float[Array, " n"], sigma: float
) -> Float[Array, "*shape n"]:
    """Response of neurons with Gaussian receptive fields, `a_i = exp(−(x − c_i)² / (2σ²))`, in [0, 1].

    Args:
        x: values, in the unit of the centres.
        centres: the value c_i that each neuron prefers.
        sigma: width σ of the receptive fields, > 0.

    >>> gaussian_activations(jnp.array(0.5), jnp.array([0.0, 0.5, 1.0]), sigma=1.0).round(4).tolist()
    [0.882..., 1.0, 0.882...]
    """
    distance = x[..., None] - centres.reshape(*(1 for _ in x.shape), -1)
    return jnp.exp(-0.5 * (distance / sigma) ** 2)


class Population(AbstractEncoder):
    """Gaussian receptive fields, whose activations in [0, 1] another encoder turns into spikes.

    Neuron i = 1 … n has its centre at `low + (2i − 3)/2 · (high − low)/(n − 2)` and the width
    `σ = (high − low) / (β (n − 2))`; the outer two centres lie outside the range.

    Args:
        encoder: the code of the activations, for example `Rate` or `LinearLatency`.
        num_neurons: neurons n per value, ≥ 3.
        low: smallest value; smaller ones are clipped.
        high: largest value, > low; larger ones are clipped.
        beta: sharpness β of the receptive fields, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> import jax
    >>> from snnlearn.coding import LinearLatency
    >>> code = Population(LinearLatency(num_steps=11, threshold=0.1), num_neurons=5)
    >>> code(jnp.array(0.5), key=jax.random.key(0)).argmax(0).tolist()  # neuron 3 prefers 0.5; 1 and 5 are silent
    [0, 7, 0, 7, 0]

    Source: Bohte, Kok & La Poutré (2002), doi:10.1016/S0925-2312(01)00658-0, section 5.
    """

    encoder: AbstractEncoder
    num_neurons: int
    low: float
    high: float
    beta: float

    def __init__(
        self,
        encoder: AbstractEncoder,
        num_neurons: int = 8,
        low: float | int = 0.0,
        high: float | int = 1.0,
        beta: float | int = 1.5,
    ):
        self.encoder = encoder
        self.num_neurons = num_neurons
        self.low = float(low)
        self.high = float(high)
        self.beta = float(beta)

    def __check_init__(self):
        check_whole(self, at_least=3, num_neurons=self.num_neurons)
        check_range(self, self.low, self.high)
        check_positive(self, beta=self.beta)

    @property
    def num_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # the inner encoder's
        """Steps of the inner encoder."""
        return self.encoder.num_steps

    @property
    def dt(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Time step of the inner encoder, s."""
        return self.encoder.dt

    @property
    def spacing(self) -> float:
        """Distance between neighbouring centres, (high − low)/(n − 2)."""
        return (self.high - self.low) / (self.num_neurons - 2)

    @property
    def centres(self) -> Float[Array, " n"]:
        """The value that each neuron prefers."""
        i = jnp.arange(1, self.num_neurons + 1, dtype=jnp.float32)
        return self.low + (2 * i - 3) / 2 * self.spacing

    @property
    def sigma(self) -> float:
        """Width of the receptive fields."""
        return self.spacing / self.beta

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; the key goes to the inner encoder, and the neurons are the last axis."""
        value = jnp.clip(x.astype(jnp.float32), self.low, self.high)
        return self.encoder(gaussian_activations(value, self.centres, self.sigma), key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`num_neurons` units per value."""
        return self.encoder.out_shape((*in_shape, self.num_neurons))
