"""Converting a whole hypothesis, and training and converting as one algorithm."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import AbstractAlgorithm
from snnlearn.coding import AbstractEncoder, Current, MeanMembrane, Rescaled
from snnlearn.coding.base import AbstractOuterEncoder
from snnlearn.conversion.base import SUBTRACT, AbstractConversion, Converted, convert
from snnlearn.conversion.normalisation import PercentileNormalisation
from snnlearn.data import LearningData
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network
from snnlearn.neurons import AbstractReset


def artificial_inputs(encoder: AbstractEncoder, xs: Array | np.ndarray) -> Float[Array, "B ..."]:
    """What an artificial network gets: its encoder's constant current, `[B, *in_shape]`.

    Raises:
        SnnlearnError: if the encoder's output changes over time.
    """
    if encoder.held_steps != encoder.num_steps or encoder.draws:
        raise SnnlearnError(
            f"convert: the artificial network was trained on {type(encoder).__name__}, whose output is not the same in "
            "each step; train it with Current(num_steps=1)"
        )
    key = jax.random.key(0)
    return eqx.filter_jit(jax.vmap(lambda x: encoder(x, key=key)[0]))(jnp.asarray(xs))


@checked
def convert_hypothesis(
    hypothesis: Hypothesis,
    method: AbstractConversion,
    xs: Array | np.ndarray | None = None,
    *,
    num_steps: int = 32,
    code: AbstractEncoder | None = None,
    reset: AbstractReset = SUBTRACT,
) -> tuple[Hypothesis, Converted]:
    """Convert an artificial hypothesis, such as one trained on `Current(num_steps=1)`, to a spiking one.

    Args:
        hypothesis: of units without time, and an encoder that gives the same current in each step.
        method: chooses scales, charges and biases.
        xs: calibration data, `[B, *shape]`, as the hypothesis takes it.
        num_steps: of the spiking hypothesis, ≥ 1.
        code: how the artificial network's inputs become the spiking one's, in `num_steps` steps; None is a constant
            current. If the calibration data exceed its range, it gets them rescaled to it.
        reset: of the spiking neurons.

    Returns:
        the hypothesis, which decides by means of membranes, in the units of the artificial one; and the conversion.

    Raises:
        SnnlearnError: if an argument is of another kind, or the hypothesis cannot be converted.
    """
    inner = hypothesis.encoder
    while isinstance(inner, AbstractOuterEncoder):
        inner = inner.encoder
    if code is not None and code.num_steps != num_steps:
        raise SnnlearnError(f"convert: the code has {code.num_steps} steps and num_steps is {num_steps}; give the same")
    decoder = hypothesis.decoder.deciding_by(MeanMembrane())
    if decoder.task != hypothesis.decoder.task:
        raise SnnlearnError(
            f"convert: {type(hypothesis.decoder).__name__} does not say how it decides by means of membranes; define "
            "its deciding_by, or give InUnits(...) or EachLabel(...)"
        )
    inputs = None if xs is None else artificial_inputs(hypothesis.encoder, xs)
    if code is not None and inputs is not None:
        code = _within_range(code, inputs)
    # The same values as before, for longer, or as the code presents them.
    longer = eqx.tree_at(lambda one: one.num_steps, inner, num_steps) if code is None else code
    held = Current(num_steps=num_steps, dt=hypothesis.network.dt) if code is None else code
    converted = convert(hypothesis.network, method, inputs, encoder=held, reset=reset)
    encoder = _with_inner(hypothesis.encoder, longer)
    return Hypothesis(encoder, converted.network, decoder), converted


def _within_range(code: AbstractEncoder, inputs: Array) -> AbstractEncoder:
    """The code of values in [0, 1], of those that there are."""
    low, high = float(inputs.min()), float(inputs.max())
    if code.range != (0.0, 1.0) or (low >= 0 and high <= 1) or not low < high:
        return code
    return Rescaled(code, low, high)


def _with_inner(encoder: AbstractEncoder, inner: AbstractEncoder) -> AbstractEncoder:
    if not isinstance(encoder, AbstractOuterEncoder):
        return inner
    return eqx.tree_at(lambda outer: outer.encoder, encoder, _with_inner(encoder.encoder, inner))


@final
class Conversion(AbstractAlgorithm):
    """Train an artificial network by another algorithm, then convert it.

    Args:
        algorithm: trains the artificial network, a `Network` of units without time.
        method: chooses scales, charges and biases, by training samples.
        num_steps: of the spiking network, ≥ 1.
        samples: how many training samples calibrate, ≥ 1.

    Raises:
        SnnlearnError: if a part is of another kind, or a number below 1.

    >>> from snnlearn.algorithms import GradientDescent
    >>> Conversion(GradientDescent(epochs=5)).num_steps
    32
    """

    algorithm: AbstractAlgorithm
    method: AbstractConversion = PercentileNormalisation()
    num_steps: int = 32
    samples: int = 1024

    def __check_init__(self):
        check_fields(self, "algorithm", "method", "num_steps", "samples")
        for name in ("num_steps", "samples"):
            if getattr(self, name) < 1:
                raise SnnlearnError(f"Conversion: {name} is {getattr(self, name)}; give at least 1")

    def __call__(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, key: PRNGKeyArray
    ) -> Hypothesis:
        """See the base; `encoder` is the artificial network's."""
        artificial = self.algorithm(encoder, network, data, key=key)
        xs = data.train.x[: self.samples]
        return convert_hypothesis(artificial, self.method, xs, num_steps=self.num_steps)[0]
