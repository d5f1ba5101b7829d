"""Population coding: a value is spread over neurons with different preferred values."""

from __future__ import annotations

import math
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import (
    AbstractEncoder,
    AbstractOuterEncoder,
    AbstractReconstruction,
    check_range,
    check_whole,
)
from snnlearn.coding.checks import an_array, check_above_zero, check_part, known_array, scalar
from snnlearn.coding.likelihood import LeastSquares, MaximumLikelihood, TuningCurves
from snnlearn.coding.tuning import AbstractTuning, GaussianTuning


def gaussian_activations(
    x: Float[Array, "*shape"], centres: Float[Array, " n"], sigma: float
) -> Float[Array, "*shape n"]:
    """Response of neurons with Gaussian receptive fields, `a_i = exp(−(x − c_i)² / (2σ²))`, in [0, 1].

    Args:
        x: values, in the unit of the centres.
        centres: the value c_i that each neuron prefers.
        sigma: width σ of the receptive fields, > 0.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> gaussian_activations(jnp.array(0.5), jnp.array([0.0, 0.5, 1.0]), sigma=1.0).round(4).tolist()
    [0.882..., 1.0, 0.882...]
    """
    x = an_array("gaussian_activations", x)
    centres = known_array("gaussian_activations", centres, "centres", shape="one for each neuron, [n]", axes=(1,))
    check_above_zero("gaussian_activations", sigma=sigma)
    distance = x[..., None] - centres.reshape(*(1 for _ in x.shape), -1)
    return jnp.exp(-0.5 * (distance / sigma) ** 2)


@final
class Population(AbstractOuterEncoder):
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
        SnnlearnError: if a field is out of range, or x holds integers though the range is [0, 1].

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
        self.low = scalar(low)
        self.high = scalar(high)
        self.beta = scalar(beta)

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Rate(100)", encoder=self.encoder)
        check_whole(self, at_least=3, num_neurons=self.num_neurons)
        check_range(self, self.low, self.high)
        check_above_zero(self, beta=self.beta)

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
        return self.encoder(self._activations(x), key=key)

    def _activations(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*shape n"]:
        x = an_array(self, x)
        if jnp.issubdtype(x.dtype, jnp.integer) and (self.low, self.high) == (0.0, 1.0):
            raise SnnlearnError(
                f"Population: x has dtype {x.dtype}, but the range is [0, 1]; give low and high of the data, "
                "for example low=0, high=255"
            )
        value = jnp.clip(x.astype(jnp.float32), self.low, self.high)
        return gaussian_activations(value, self.centres, self.sigma)

    @property
    def range(self) -> tuple[float, float]:
        """Its own."""
        return self.low, self.high

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*out"] | None:
        """The inner encoder's, of the activations."""
        return self.encoder.probability(self._activations(x))

    def inverse(self) -> AbstractReconstruction | str:
        """By maximum likelihood of the inner encoder's rates, or least squares of its inverse."""
        bells = GaussianTuning(centres=self.centres, sigma=self.sigma, max_rate=1.0)
        return _inverse(self.encoder, bells, jnp.linspace(self.low, self.high, 4 * self.num_neurons))

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`num_neurons` units per value."""
        return self.encoder.out_shape((*in_shape, self.num_neurons))


@final
class TunedPopulation(AbstractOuterEncoder):
    """Neurons with any tuning curves f_i, whose activations `f_i(s) / max_rate` another encoder turns into spikes.

    With `Rate(max_rate=tuning.max_rate)` on top, neuron i fires at f_i(s) Hz; with a latency code, the neurons that
    respond most fire first. Each number of the sample is a stimulus, or, for D-dimensional tuning curves, each vector
    along the last axis. Stimuli have no range and are not clipped.

    Args:
        encoder: the code of the activations, in [0, 1].
        tuning: the tuning curves; each stimulus drives all of them.

    Raises:
        SnnlearnError: if the encoder has another max_rate than the tuning, so that the rates would not be f_i.

    >>> from snnlearn.coding import CosineTuning, RegularRate
    >>> tuning = CosineTuning(jnp.linspace(0, 2 * jnp.pi, 4, endpoint=False), max_rate=100, base_rate=50)
    >>> code = TunedPopulation(RegularRate(num_steps=1000, max_rate=100), tuning)
    >>> code(jnp.array(0.0), key=jax.random.key(0)).sum(0).tolist()  # spikes in 1 s; neuron 0 prefers 0 rad
    [100.0, 50.0, 0.0, 50.0]

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), sections 1.2 and 3.3.
    """

    encoder: AbstractEncoder
    tuning: AbstractTuning

    def __init__(self, encoder: AbstractEncoder, tuning: AbstractTuning):
        self.encoder = encoder
        self.tuning = tuning

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Rate(100, 50.0)", encoder=self.encoder)
        check_part(self, AbstractTuning, "tuning curves, such as GaussianTuning(centres, sigma)", tuning=self.tuning)
        max_rate = getattr(self.encoder, "max_rate", None)
        if max_rate is not None and not math.isclose(max_rate, self.tuning.max_rate):
            raise SnnlearnError(
                f"TunedPopulation: the encoder's max_rate is {max_rate} Hz and the tuning's {self.tuning.max_rate} Hz; "
                "give both the same"
            )

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; the key goes to the inner encoder, and the neurons are the last axis."""
        return self.encoder(self._activations(x), key=key)

    def _activations(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*population"]:
        x = an_array(self, x)
        *shape, _ = self._population_shape(x.shape)
        stimuli = x.astype(jnp.float32).reshape(-1, *self.tuning.stimulus_shape)
        activations = jax.vmap(self.tuning)(stimuli) / self.tuning.max_rate
        return activations.reshape(*shape, -1)

    @property
    def range(self) -> None:
        """Any."""
        return None

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*out"] | None:
        """The inner encoder's, of the activations."""
        return self.encoder.probability(self._activations(x))

    def inverse(self) -> AbstractReconstruction | str:
        """By maximum likelihood of the inner encoder's rates, or least squares of its inverse."""
        tuning = self.tuning
        return _inverse(self.encoder, lambda s: tuning(s) / tuning.max_rate, tuning.candidates)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """`tuning.num_neurons` units per stimulus."""
        return self.encoder.out_shape(self._population_shape(in_shape))

    def _population_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        stimulus = self.tuning.stimulus_shape
        outer = len(in_shape) - len(stimulus)
        if in_shape[max(outer, 0) :] != stimulus or 0 in in_shape:
            raise SnnlearnError(
                f"TunedPopulation: a sample has shape {in_shape}, but the tuning curves take stimuli of shape "
                f"{stimulus}; put these along the last axis"
            )
        return (*in_shape[:outer], self.tuning.num_neurons)


def _inverse(
    encoder: AbstractEncoder, activations: TuningCurves, candidates: Float[Array, "G *D"]
) -> AbstractReconstruction | str:
    """The value behind activations in [0, 1] that the encoder turned into spikes."""

    def rates(s: Float[Array, "*D"]) -> Float[Array, " n"]:
        # From just below 1, where the chances are clipped, which would halve the curvature at the best value.
        chances = encoder.probability((1.0 - 1e-6) * activations(s))
        assert chances is not None
        return chances / encoder.dt

    if encoder.probability(jnp.zeros(1)) is not None:
        return MaximumLikelihood(rates, candidates, dt=encoder.dt)
    inner = encoder.inverse()
    return inner if isinstance(inner, str) else LeastSquares(inner, activations, candidates)
