"""The bases of losses: a number for one sample, from the layers' outputs and a target."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder
from snnlearn.coding.ends import until
from snnlearn.losses.kernel import Kernel

Outputs = tuple[Float[Array, "T ..."], ...]
"""The output of each layer over time, the network's last."""


class AbstractLoss(Component):
    r"""The loss $\mathcal L(f, z)$ of one sample. Losses can be added, and multiplied by numbers.

    `decoder` turns the network's output into scores, whose largest decides; None if the loss is not
    about a decision.
    """

    decoder: eqx.AbstractVar[AbstractDecoder | None]
    decides_by: ClassVar[type[AbstractDecoder] | None] = None
    """The only decoder that it fits; None for any."""

    @abstractmethod
    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The loss.

        Args:
            outputs: of each layer, `[T, *shape]`; the network's is the last.
            target: a class label `[]`, or as the loss requires.
        """

    def weighted(self) -> list[tuple[float, "AbstractLoss"]]:
        """The terms of the sum and their weights; itself if it is not a sum."""
        return [(1.0, self)]

    def length(self, target: Shaped[Array, "..."]) -> Int[Array, ""] | None:
        """After how many steps the sample ends, as a target of [`ended`][snnlearn.losses.ended] says; None otherwise.

        A rule that adds something up over time besides the losses of the steps asks for it.
        """
        return None

    def __add__(self, other: "AbstractLoss") -> "Sum | StepwiseSum":
        return _sum((self, other), (1.0, 1.0))

    def __mul__(self, weight: float | int) -> "Sum | StepwiseSum":
        return _sum((self,), (float(weight),))

    __rmul__ = __mul__


class AbstractScoreLoss(AbstractLoss):
    r"""A loss of the decoder's scores alone, $\ell(s, y)$, wherever they come from."""

    @abstractmethod
    def of_scores(self, scores: Float[Array, " C"], target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The loss of scores `[C]` and a class label, or what the loss says."""

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The loss of the decoder's scores of the network's output, up to the sample's end."""
        assert self.decoder is not None
        length = self.length(target)
        scores = self.decoder(outputs[-1]) if length is None else self.decoder.until(outputs[-1], length)
        return self.of_scores(scores, target)


class _AbstractSumOverSteps(AbstractLoss):
    """What losses that are sums over time steps say of samples that end at different times."""

    def moments_until(self, target: Shaped[Array, "..."], num_steps: int, length: Int[Array, ""]) -> Any:
        """The moments of a sample that ends after `length` of the steps: those that `moments` gives for so many steps.

        A mean over steps is thus one over the sample's own. Moments of later steps have no influence.

        Raises:
            SnnlearnError: unless the loss defines it.
        """
        raise SnnlearnError(
            f"{type(self).__name__} does not say what it is of samples that end at different times; define its "
            "moments_until, or give samples of equal length"
        )

    def goes_on(self, moment: Any) -> Bool[Array, ""] | None:
        """Whether the sample goes on in the step of this moment; None if every sample goes on to the last step."""
        return None

    def target_of_step(self, out_shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        """Shape and type of the target of one step of a stream without end.

        By default a class label, `[]`; a decision about each label, or a value of each output, `[*out_shape]`.

        Args:
            out_shape: of the network's output in one step.
        """
        task = None if self.decoder is None else self.decoder.task
        if task == "classification":
            return jax.ShapeDtypeStruct((), jnp.int32)
        return jax.ShapeDtypeStruct(out_shape, jnp.int32 if task == "multi-label" else jnp.result_type(float))

    def past_at_rest(self, out_shape: tuple[int, ...]) -> Any:
        """What the loss remembers of a stream's targets, before the first step; None if nothing.

        Args:
            out_shape: of the network's output in one step.
        """
        return None

    def moment_of_step(self, target: Shaped[Array, "..."], past: Any) -> tuple[Any, Any]:
        """The moment of one step of a stream without end, in which every step counts 1, and what is remembered.

        Args:
            target: of this step.
            past: what is remembered of the steps before.

        Raises:
            SnnlearnError: if the loss is not defined for streams.
        """
        raise SnnlearnError(
            f"{type(self).__name__} does not say what it is of a stream without end; define its moment_of_step, or use "
            "MeanSquaredError or StepwiseCrossEntropy"
        )


class AbstractStepwiseLoss(_AbstractSumOverSteps):
    r"""A loss that is a sum over time steps, $\mathcal L=\sum_t\ell(y^t, m^t)$, as online rules need it.

    Apart from the network's output, a step's contribution depends only on its moment $m^t$: the target of that step,
    and the weight of the step.
    """

    @abstractmethod
    def moments(self, target: Shaped[Array, "..."], num_steps: int) -> Any:
        """What each step is compared with: arrays with a leading axis `T = num_steps`.

        Raises:
            SnnlearnError: if the target does not fit the loss or the number of steps.
        """

    @abstractmethod
    def at_step(self, output: Float[Array, "*n"], moment: Any) -> Float[Array, ""]:
        """The contribution of one step, from the network's output `[*n]` and that step's moment."""

    def moment_of_step(self, target: Shaped[Array, "..."], past: Any) -> tuple[Any, Any]:
        """See the base: by default that of a sample of one step, for a target that is the same in all steps."""
        return jax.tree.map(lambda a: a[0], self.moments(target, 1)), past

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The sum of all steps' parts."""
        return jnp.sum(jax.vmap(self.at_step)(outputs[-1], self.moments(target, len(outputs[-1]))))


class AbstractFilteredLoss(_AbstractSumOverSteps):
    r"""A loss that is a sum over time steps of the filtered output, $\sum_t\ell((h*y)^t, m^t)$, as of spike trains."""

    @property
    @abstractmethod
    def kernel(self) -> Kernel:
        """The filter $h$."""

    @abstractmethod
    def moments(self, target: Shaped[Array, "..."], num_steps: int) -> Any:
        """What each step is compared with: arrays with a leading axis `T = num_steps`.

        Raises:
            SnnlearnError: if the target does not fit the loss or the number of steps.
        """

    @abstractmethod
    def at_step(self, output: Float[Array, "*n"], moment: Any) -> Float[Array, ""]:
        """The contribution of one step, from the filtered output `[*n]` and that step's moment."""

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The sum of all steps' parts."""
        return jnp.sum(jax.vmap(self.at_step)(self.kernel(outputs[-1]), self.moments(target, len(outputs[-1]))))


class AbstractRateLoss(AbstractLoss):
    """A loss of the hidden units' firing rates over all time steps alone."""

    dt: eqx.AbstractVar[float]

    @abstractmethod
    def of_rates(self, rates: tuple[Float[Array, "..."], ...]) -> Float[Array, ""]:
        """The loss of the hidden layers' firing rates, Hz, each `[*shape]`."""

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The loss of the rates, up to the sample's end; the target is ignored otherwise."""
        length = self.length(target)
        if length is None:
            return self.of_rates(tuple(jnp.mean(spikes, axis=0) / self.dt for spikes in outputs[:-1]))
        counts = [jnp.sum(until(spikes, length), axis=0) for spikes in outputs[:-1]]
        return self.of_rates(tuple(count / (length.astype(count.dtype) * self.dt) for count in counts))


@final
class Sum(AbstractLoss):
    """A weighted sum of losses; its decoder is that of the first term with one.

    Args:
        terms: the losses.
        weights: one number for each.

    Raises:
        SnnlearnError: if there is not one weight for each term.
    """

    terms: tuple[AbstractLoss, ...]
    weights: tuple[float, ...]

    def __check_init__(self):
        if len(self.terms) != len(self.weights):
            raise SnnlearnError(f"Sum: {len(self.terms)} terms but {len(self.weights)} weights; give one weight each")

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first term's that has one."""
        return _first_decoder(self.terms)

    def weighted(self) -> list[tuple[float, AbstractLoss]]:
        """See the base."""
        return list(zip(self.weights, self.terms, strict=True))

    def length(self, target: Shaped[Array, "..."]) -> Int[Array, ""] | None:
        """See the base: the same for all terms."""
        return self.terms[0].length(target) if self.terms else None

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        parts = zip(self.terms, self.weights, strict=True)
        return sum((weight * term(outputs, target) for term, weight in parts), start=jnp.zeros(()))


@final
class StepwiseSum(AbstractStepwiseLoss):
    """A weighted sum of stepwise losses, itself stepwise; its decoder is that of the first term with one.

    Args:
        terms: the losses.
        weights: one number for each.
    """

    terms: tuple[AbstractStepwiseLoss, ...]
    weights: tuple[float, ...]

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first term's that has one."""
        return _first_decoder(self.terms)

    def weighted(self) -> list[tuple[float, AbstractLoss]]:
        """See the base."""
        return list(zip(self.weights, self.terms, strict=True))

    def length(self, target: Shaped[Array, "..."]) -> Int[Array, ""] | None:
        """See the base: the same for all terms."""
        return self.terms[0].length(target) if self.terms else None

    def moments(self, target: Shaped[Array, "..."], num_steps: int) -> Any:
        """See the base; one for each term."""
        return tuple(term.moments(target, num_steps) for term in self.terms)

    def moments_until(self, target: Shaped[Array, "..."], num_steps: int, length: Int[Array, ""]) -> Any:
        """See the base; one for each term."""
        return tuple(term.moments_until(target, num_steps, length) for term in self.terms)

    def target_of_step(self, out_shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        """See the base: that of the first term."""
        return self.terms[0].target_of_step(out_shape)

    def past_at_rest(self, out_shape: tuple[int, ...]) -> Any:
        """See the base; one for each term."""
        return tuple(term.past_at_rest(out_shape) for term in self.terms)

    def moment_of_step(self, target: Shaped[Array, "..."], past: Any) -> tuple[Any, Any]:
        """See the base; one for each term."""
        each = [term.moment_of_step(target, before) for term, before in zip(self.terms, past, strict=True)]
        moments, after = zip(*each, strict=True)
        return moments, after

    def goes_on(self, moment: Any) -> Bool[Array, ""] | None:
        """See the base: the same for all terms."""
        return self.terms[0].goes_on(moment[0]) if self.terms else None

    def at_step(self, output: Float[Array, "*n"], moment: Any) -> Float[Array, ""]:
        """See the base."""
        parts = zip(self.terms, self.weights, moment, strict=True)
        return sum((weight * term.at_step(output, m) for term, weight, m in parts), start=jnp.zeros(()))


def _first_decoder(terms: tuple[AbstractLoss, ...]) -> AbstractDecoder | None:
    return next((term.decoder for term in terms if term.decoder is not None), None)


def _sum(terms: tuple[AbstractLoss, ...], weights: tuple[float, ...]) -> "Sum | StepwiseSum":
    flat = [(w * weight, t) for term, weight in zip(terms, weights, strict=True) for w, t in term.weighted()]
    kind = StepwiseSum if all(isinstance(term, AbstractStepwiseLoss) for _, term in flat) else Sum
    # Pyright takes the abstract `decoder` for a field.
    return kind(terms=tuple(t for _, t in flat), weights=tuple(w for w, _ in flat))  # pyright: ignore
