"""Rules that go through time once, forwards."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, trained_part
from snnlearn.coding import HeldValues, PackedSpikes, pack_spikes
from snnlearn.kernels.products import numbers
from snnlearn.losses import (
    AbstractFilteredLoss,
    AbstractLoss,
    AbstractRateLoss,
    AbstractStepwiseLoss,
    StepwiseCrossEntropy,
    StepwiseSum,
)
from snnlearn.network import Layer, LayerState, Network
from snnlearn.rules.base import AbstractRule, by_step, steps_of


class AbstractOnlineRule(AbstractRule):
    """A rule that summarises the past in a memory of fixed size, which does not grow with T.

    Time may be cut into any blocks; the gradient is the sum over blocks. Weights may change between blocks, that is,
    during the sequence (see `GradientDescent`).
    """

    usual_loss: ClassVar[type[AbstractLoss]] = StepwiseCrossEntropy

    @property
    @abstractmethod
    def block_size(self) -> int:
        """The default number of steps in a block: memory grows with it."""

    @abstractmethod
    def start(self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray) -> Any:
        """The memory before the first step.

        Args:
            network: the network.
            loss: the loss of one sample.
            batch_size: B, samples side by side.
            key: random key of everything random.

        Raises:
            SnnlearnError: if the rule is not defined for this network or this loss, with the rule that is.
        """

    @abstractmethod
    def advance(
        self,
        network: Network,
        loss: AbstractLoss,
        memory: Any,
        xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
        moments: Any,
    ) -> tuple[Any, Float[Array, ""], Network]:
        """Go through the next K steps.

        Args:
            network: the network.
            loss: the loss of one sample.
            memory: from `start` or an earlier block.
            xs: the block's inputs, time first, or packed spikes with words `[W, B, ...]`.
            moments: the loss's moments of each step, `[K, B, ...]`.

        Returns:
            the memory, and the block's part of the mean loss and of its gradient.
        """

    def state(self, memory: Any) -> tuple[LayerState, ...]:
        """The network's state, for a batch: by default the memory's first part.

        Args:
            memory: from `start` or `advance`.
        """
        return memory[0]

    @abstractmethod
    def finish(
        self, network: Network, loss: AbstractLoss, memory: Any, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """Loss and gradient of terms that are known only after all T steps, such as mean firing rates."""

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        check_one_dt(self, network.dt, loss=loss)
        num_steps = steps_of(inputs)
        blocks, rest = in_blocks(time_first(self, loss, inputs, targets), self.block_size, num_steps)
        nothing = no_gradient(network)

        def advance(carry, block):
            memory, total = carry
            memory, *part = self.advance(network, loss, memory, *block)
            return (memory, jax.tree.map(jnp.add, total, tuple(part))), None

        carry = self.start(network, loss, len(targets), key=key), nothing
        if blocks is not None:
            carry, _ = jax.lax.scan(advance, carry, blocks)
        if rest is not None:
            carry, _ = advance(carry, rest)
        memory, total = carry
        return jax.tree.map(jnp.add, total, self.finish(network, loss, memory, num_steps))


class Parts(NamedTuple):
    """A loss as online rules need it: a term for each step, and terms of the firing rates over all steps."""

    steps: AbstractStepwiseLoss | AbstractFilteredLoss
    rates: tuple[tuple[float, AbstractRateLoss], ...]


def parts(rule: AbstractRule, loss: AbstractLoss) -> Parts:
    """Take a loss apart.

    Raises:
        SnnlearnError: if it is not a loss of time steps, to which losses of firing rates may be added.
    """
    terms = loss.weighted()
    rates = tuple((weight, term) for weight, term in terms if isinstance(term, AbstractRateLoss))
    rest = [(weight, term) for weight, term in terms if not isinstance(term, AbstractRateLoss)]
    match rest:
        case [(1.0, AbstractFilteredLoss() as only)]:
            return Parts(only, rates)
        case [_, *_] if all(isinstance(term, AbstractStepwiseLoss) for _, term in rest):
            weights, losses = zip(*rest, strict=True)
            return Parts(StepwiseSum(losses, weights), rates)  # pyright: ignore
    names = " + ".join(type(term).__name__ for _, term in terms)
    raise SnnlearnError(
        f"{type(rule).__name__} goes through time once and needs a loss that is a sum over time steps, such as "
        f"StepwiseCrossEntropy or MeanSquaredError; {names} is not, and BPTT trains any"
    )


def stepwise(rule: AbstractRule, loss: AbstractLoss) -> AbstractStepwiseLoss:
    """The loss, for a rule that only accepts sums over time steps of the unfiltered output.

    Raises:
        SnnlearnError: if it is another.
    """
    steps, rates = parts(rule, loss)
    if isinstance(steps, AbstractStepwiseLoss) and not rates:
        return steps
    raise SnnlearnError(
        f"{type(rule).__name__} takes a loss of the output in each step alone, such as StepwiseCrossEntropy or "
        f"MeanSquaredError; {type(loss).__name__} also looks at filtered spikes or firing rates; use BPTT"
    )


def no_gradient(network: Network) -> tuple[Float[Array, ""], Network]:
    """No loss, and a gradient of 0."""
    return jnp.zeros(()), jax.tree.map(jnp.zeros_like, trained_part(network))


def of_layers(network: Network, gradients: Iterable[Layer]) -> Network:
    """The gradient of a network from its layers'."""
    _, zero = no_gradient(network)
    return eqx.tree_at(lambda n: n.layers, zero, tuple(gradients))


def time_first(
    rule: AbstractRule,
    loss: AbstractLoss,
    inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
    targets: Shaped[Array, "B ..."],
) -> tuple[Float[Array, "T B ..."] | PackedSpikes | HeldValues, Any]:
    """Inputs, and the loss's moments, with the axes `[T, B, ...]` that `advance` expects."""
    moments = partial(parts(rule, loss).steps.moments, num_steps=steps_of(inputs))
    return by_step(inputs), jax.vmap(lambda target: moments(target), out_axes=1)(targets)


def in_blocks(
    steps: tuple[Float[Array, "T B ..."] | PackedSpikes | HeldValues, Any], size: int, num_steps: int
) -> tuple[Any, Any]:
    """The result of `time_first` in N blocks of `size` steps, `[N, size, B, ...]`, and the remaining steps.

    Either is None where there are none. Packed spikes remain so, and so do values that are held in all steps.
    """
    xs, moments = steps
    number, left = divmod(num_steps, size)

    def cut(a):
        return a[: number * size].reshape(number, size, *a.shape[1:]), a[number * size :]

    if isinstance(xs, HeldValues) and xs.steps == num_steps:
        each = jnp.broadcast_to(xs.values, (number, *xs.values.shape))
        blocks, rest = HeldValues(each, size), HeldValues(xs.values, left) if left else None
    elif not isinstance(xs, PackedSpikes):
        blocks, rest = cut(numbers(xs))
    elif size % 32:
        blocks, rest = cut(xs.unpack())
        blocks, rest = PackedSpikes(jax.vmap(pack_spikes)(blocks).words, size), pack_spikes(rest)
    else:
        words, at = xs.words, number * size // 32
        blocks = PackedSpikes(words[:at].reshape(number, size // 32, *words.shape[1:]), size)
        rest = PackedSpikes(words[at:], left)
    first, second = (jax.tree.map(lambda a, k=k: cut(a)[k], moments) for k in (0, 1))
    return (blocks, first) if number else None, (rest, second) if left else None
