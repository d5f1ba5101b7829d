"""The base of learning rules: network, loss and batch in; loss and gradient out."""

from __future__ import annotations

import functools
from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from snnlearn._arguments import checked
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, trained
from snnlearn.coding import AbstractDecoder, HeldValues, MeanMembrane, PackedSpikes
from snnlearn.coding.ends import goes_on
from snnlearn.losses import AbstractLoss, CrossEntropy
from snnlearn.losses.base import Outputs
from snnlearn.network import LayerState, Network, unroll
from snnlearn.network.shapes import check_steps
from snnlearn.neurons import LIF, AbstractNeuron


class AbstractRule(Component):
    """How credit is assigned: an estimate of the gradient of the mean loss over a batch.

    Optimisers do not know which rule computed the gradient.
    """

    usual_loss: ClassVar[type[AbstractLoss]] = CrossEntropy
    """The loss of class labels that it is used with, where no other is named."""
    usual_decoder: ClassVar[type[AbstractDecoder]] = MeanMembrane
    """The default decoder."""
    usual_readout: ClassVar[type[AbstractNeuron]] = LIF
    """The neurons of a readout whose spikes decide."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls):  # so that no rule has to refuse what none can use
            cls.__call__ = _refusing(cls.__call__)

    @abstractmethod
    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """Estimate the gradient.

        Args:
            network: the network.
            loss: the loss of one sample.
            inputs: encoded data, `[B, T, *in_shape]`, in any shape of that size; or packed spikes, `[B, W, *in_shape]`,
                or held values, `[B, F, *in_shape]`.
            targets: what the loss takes, `[B, ...]`.
            key: random key of the rule's draws and of the network's noise, if there are any.

        Returns:
            the mean loss, and a gradient with the network's structure, with None where the network has no parameter.

        Raises:
            SnnlearnError: if an argument is of another kind, inputs do not fit the network in size, or labels are no
                classes.
        """

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers besides the network's."""
        return False

    def reference(self) -> "AbstractRule | None":
        """The rule whose mean gradient it estimates; None for backpropagation through time with surrogates."""
        return None

    def why_plain(self, network: Network) -> str | None:
        """Why the kernels cannot do its work; None if they can, and packed spikes or held values may come as such.

        Args:
            network: the network.
        """
        return f"the kernels know backpropagation through time and three-factor rules, not {type(self).__name__}"

    def trained(self, network: Network) -> Any:
        """Which arrays of a network, or of its gradient, this rule trains: all except feedback, which is fixed.

        Args:
            network: the network.

        Returns:
            True or False for each leaf, in the network's structure.
        """
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf and getattr(path[-1], "name", None) != "feedback", trained(network)
        )


def _refusing(call: Any) -> Any:
    """A rule's `__call__` that refuses arguments that do not fit together."""

    @checked
    @functools.wraps(call)
    def refusing(self, network, loss, inputs, targets, *, key):
        rule = type(self).__name__
        if not isinstance(inputs, PackedSpikes):  # of which `unroll` says it
            values = inputs.values if isinstance(inputs, HeldValues) else inputs
            check_steps(rule, network.in_shape, ("B", "T"), inputs=values)
        if loss.decoder is not None and targets.ndim == 1:
            _check_labels(rule, network, loss, targets)
        return call(self, network, loss, inputs, targets, key=key)

    return refusing


def _check_labels(rule: str, network: Network, loss: AbstractLoss, targets: Array) -> None:
    """Refuse labels that are not classes of the loss; for traced labels only the type is known."""
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise SnnlearnError(f"{rule}: targets is an array of {targets.dtype}; give class labels, whole numbers from 0")
    if isinstance(targets, Tracer) or targets.size == 0:
        return
    output = jax.ShapeDtypeStruct((1, *network.out_shape), jnp.result_type(float))
    classes = jax.eval_shape(loss.decoder, output).shape[-1]  # pyright: ignore[reportArgumentType]
    labels = np.asarray(targets)  # JAX would trace even known labels, where something else is traced
    low, high = labels.min(), labels.max()
    if low < 0 or high >= classes:
        raise SnnlearnError(
            f"{rule}: targets goes from {low} to {high}, and the network decides between {classes} classes; give "
            f"labels from 0 to {classes - 1}"
        )


def mean_loss(
    network: Network,
    loss: AbstractLoss,
    inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
    targets: Shaped[Array, "B ..."],
    *,
    segments: tuple[int, ...] = (),
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """The mean loss over a batch.

    Args:
        network: the network.
        loss: the loss of one sample.
        inputs: encoded data, `[B, T, *in_shape]`, or packed or held.
        targets: the loss's targets, `[B, ...]`.
        segments: steps of those between stored states, of those within each, and so on; none to store all states.
        key: random key of the network's noise, if there is any.
    """
    check_one_dt("mean_loss", network.dt, loss=loss)
    rest = start_state(network, len(targets), key=key)
    return jnp.mean(jax.vmap(loss, in_axes=(1, 0))(_outputs(network, segments, inputs, rest)[0], targets))


def _outputs(network: Network, segments: tuple[int, ...], inputs: Any, state: Any) -> tuple[Outputs, Any]:
    """Each layer's outputs for a batch, time first, `[T, B, *shape]`, and the states."""
    if segments:
        return _outputs_in_segments(network, *segments, inputs=inputs, state=state)
    # Time first, as the scan over time wants it: otherwise every layer's sequence is copied to and fro.
    xs = by_step(inputs)
    (outputs, _), state = jax.vmap(partial(unroll, network), in_axes=(1, 0), out_axes=(1, 0))(xs, state)
    return outputs, state


def _outputs_in_segments(network: Network, size: int, *within: int, inputs: Any, state: Any) -> tuple[Outputs, Any]:
    """The same in segments: only the state at the start of each is stored, and the backward pass runs it again."""
    if isinstance(inputs, HeldValues) and inputs.values.shape[1] > 1:
        inputs = jax.vmap(HeldValues.unpack)(inputs)  # only what is held all the time can be cut anywhere
    num_steps = steps_of(inputs)
    if isinstance(inputs, PackedSpikes):
        size = -(-size // 32) * 32  # a word of spikes is not cut
    whole = (num_steps - 1) // size  # segments before the last, which is run once
    if whole == 0:
        return _outputs(network, within, inputs, state)

    def piece(start, length):
        match inputs:
            case HeldValues():
                return HeldValues(inputs.values, length)
            case PackedSpikes():
                words = jax.lax.dynamic_slice_in_dim(inputs.words, start // 32, -(-length // 32), axis=1)
                return PackedSpikes(words, length)
        return jax.lax.dynamic_slice_in_dim(inputs, start, length, axis=1)

    # The input is cut in here, so that no piece of it is kept besides the whole.
    @partial(jax.checkpoint, prevent_cse=False)  # in a scan there is nothing to prevent
    def one(state, n):
        outputs, state = _outputs(network, within, piece(n * size, size), state)
        return state, outputs

    state, first = jax.lax.scan(one, state, jnp.arange(whole))
    last, state = _outputs(network, within, piece(whole * size, num_steps - whole * size), state)
    return jax.tree.map(lambda a, b: jnp.concatenate([a.reshape(-1, *a.shape[2:]), b]), first, last), state


def steps_of(inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues) -> int:
    """The number of time steps of a batch."""
    match inputs:
        case PackedSpikes():
            return inputs.num_steps
        case HeldValues():
            return inputs.values.shape[1] * inputs.steps
    return inputs.shape[1]


def by_step(
    inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
) -> Float[Array, "T B ..."] | PackedSpikes | HeldValues:
    """A batch's inputs with the axis of time, or of words, before that of samples."""
    return jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), inputs)


def going_on(loss: AbstractLoss, targets: Shaped[Array, "B ..."], num_steps: int) -> Bool[Array, "T B"] | None:
    """Whether each sample goes on in each step; None if every sample goes on to the last."""
    lengths = jax.vmap(loss.length)(targets)
    return None if lengths is None else jax.vmap(lambda length: goes_on(num_steps, length), out_axes=1)(lengths)


def start_state(network: Network, batch_size: int, *, key: PRNGKeyArray) -> tuple[LayerState, ...]:
    """The network's state at rest, for a batch, with separate noise for each sample."""
    # A branch of the key that no rule takes for its own draws.
    keys = jax.random.split(jax.random.fold_in(key, 2**32 - 1), batch_size)
    return jax.vmap(lambda key: network.initial_state(key=key))(keys)
