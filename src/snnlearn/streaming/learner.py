"""Learning on a stream without end, by a rule that carries the past forward."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped, UInt32

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, shown
from snnlearn.algorithms import Optimizer
from snnlearn.algorithms.optimizers import constant, shared
from snnlearn.kernels import why_plain
from snnlearn.kernels.products import known_spikes, numbers
from snnlearn.losses import AbstractFilteredLoss, AbstractLoss, Kernel
from snnlearn.losses.kernel import unfiltered
from snnlearn.model_file import digest
from snnlearn.network import LayerState, Network
from snnlearn.risk import Interval
from snnlearn.rules import AbstractOnlineRule, AbstractRule
from snnlearn.rules.online import parts
from snnlearn.streaming.comparators import AbstractComparator
from snnlearn.streaming.record import (
    Record,
    Regret,
    batch_means_interval,
    martingale_interval,
    nothing_yet,
    recorded,
    regret_of,
)
from snnlearn.streaming.state_file import read_state, write_state
from snnlearn.streaming.stream import PIECE, Fixed, advance, as_given, as_steps, padded, taken_apart


class Trees(NamedTuple):
    """What is fixed about a learner, its network's parameters and its optimiser's state."""

    learner: Fixed
    parameters: Fixed
    optimizer: Fixed


class Judges(NamedTuple):
    """What the losses remember.

    Args:
        past: of the targets, see `moment_of_step`.
        filters: of the outputs of the learner and each comparator, the memory of the loss's filter.
        comparators: each one's state.
    """

    past: Any
    filters: tuple[Float[Array, "F ..."], ...]
    comparators: tuple[Any, ...]


class LearnerState(NamedTuple):
    """All that a learner remembers of its stream, of constant size.

    Args:
        parameters: what is trained of the network, as it is now.
        optimizer: the optimiser's state.
        memory: the rule's, at the last update.
        layers: the network's state now.
        waiting: inputs of the steps since the last update, `[U, ...]`, and what the loss compares each with.
        judges: what the losses remember.
        record: the losses so far.
    """

    parameters: Any
    optimizer: Any
    memory: Any
    layers: tuple[LayerState, ...]
    waiting: tuple[np.ndarray, Any]
    judges: Judges
    record: Record

    @property
    def steps(self) -> int:
        """How many steps the stream has had."""
        return self.record.steps


@final
class Learner(eqx.Module):
    r"""A network that learns on a stream without end, in constant memory: predict, see the target, learn, forget it.

    In each step the network gives its output by the weights that it has, which is then judged by the target (so the
    mean loss is prequential: each step tests before it trains). After each U steps the rule's gradient of the mean loss
    of these steps changes the weights, while states, traces and delays go on. All rules that carry the past forward
    will do: `EProp`, `OTTT`, `SuperSpike`, `RTRL`, `DiagonalRTRL`, `OnlineXieSeung`, and `TruncatedBPTT` within the U
    steps.

    As of `Stream`, results do not depend on how the stream is cut, to the bit: updates come after each U steps of the
    stream, whatever the pieces. The steps since the last one wait in the state. For that the rule goes through them
    once more when they are complete; its state is then also the network's.

    Args:
        network: the network before it learns.
        rule: an online rule.
        loss: a loss of time steps, such as `MeanSquaredError()` or `StepwiseCrossEntropy()`. Each step counts 1.
        optimizer: an `Optimizer`, whose schedule stays at its start, as there is no end, or one of Optax.
        steps_per_update: U, ≥ 1: more cost less, and delay what is learned.
        comparators: what the learner's loss is compared with, see [`Regret`][snnlearn.streaming.Regret].
        window: the number of last steps whose mean loss is known, ≥ 1.

    Raises:
        SnnlearnError: for an argument of another kind or out of range, or a rule that has to see the end.

    >>> from snnlearn.losses import MeanSquaredError
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.rules import EProp
    >>> from snnlearn.streaming import Persistence
    >>> network = feedforward((4, 20, 1), recurrent=True, key=jax.random.key(0))
    >>> learner = Learner(network, EProp(), MeanSquaredError(), steps_per_update=20, comparators=(Persistence(),))
    >>> state = learner.start()
    >>> signal = np.sin(0.05 * np.arange(1000))[:, None]
    >>> outputs, state = learner.advance(np.repeat(10 * signal, 4, axis=1), signal, state)
    >>> regret = learner.regret(state)
    >>> regret.steps, bool(regret.recent < np.mean(signal**2))
    (1000, True)
    """

    network: Network
    rule: AbstractRule
    loss: AbstractLoss
    optimizer: Optimizer | optax.GradientTransformation = eqx.field(
        converter=shared, default_factory=lambda: Optimizer(optax.adam, 1e-3, schedule=constant)
    )
    steps_per_update: int = 32
    comparators: tuple[AbstractComparator, ...] = ()
    window: int = 1000

    def __check_init__(self):
        if isinstance(self.rule, AbstractRule) and not isinstance(self.rule, AbstractOnlineRule):
            raise SnnlearnError(
                f"Learner: {type(self.rule).__name__} knows its gradient only after all steps, and a stream has no "
                "end; use EProp, OTTT, SuperSpike, RTRL, DiagonalRTRL, OnlineXieSeung or TruncatedBPTT"
            )
        check_fields(self, "network", "rule", "loss", "steps_per_update", "comparators", "window")
        for name in ("steps_per_update", "window"):
            if getattr(self, name) < 1:
                raise SnnlearnError(f"Learner: {name} is {getattr(self, name)}; give at least 1")
        if not (callable(getattr(self.optimizer, "init", None)) and callable(getattr(self.optimizer, "update", None))):
            raise SnnlearnError(
                f"Learner: optimizer is {shown(self.optimizer)}; give an Optimizer(), or one of Optax, such as "
                "optax.adam(1e-3)"
            )
        if parts(self.rule, self.loss).rates:
            raise SnnlearnError(
                "Learner: the loss has a term of firing rates over all steps, and a stream has no end; drop it"
            )
        check_one_dt(self, self.network.dt, loss=self.loss)

    @checked
    def start(self, *, key: PRNGKeyArray | None = None) -> LearnerState:
        """The state before the first step: the network as it was given, at rest.

        Args:
            key: random key of the noise and of the rule's draws; None is a fixed key.

        Raises:
            SnnlearnError: if the rule does not take the network or the loss, or a comparator does not fit.
        """
        optimizer, memory, layers, judges, moment = _at_rest(self, jax.random.key(0) if key is None else key)
        size = self.steps_per_update
        waiting = (
            np.zeros((size, *self.network.in_shape), jnp.result_type(float)),
            jax.tree.map(lambda one: np.zeros((size, *one.shape), one.dtype), moment),
        )
        record = nothing_yet(1 + len(self.comparators), self.window)
        return LearnerState(self._split()[0], optimizer, memory, layers, waiting, judges, record)

    def advance(
        self,
        xs: Any,
        targets: Any,
        state: Any,
    ) -> tuple[np.ndarray, LearnerState]:
        """Predict and learn in the next T steps.

        Args:
            xs: input, `[T, *in_shape]`, as of `Stream.advance`.
            targets: of each step: class labels `[T]`, or values or labels of each output `[T, *out_shape]`.
            state: from `start`, `advance` or `load`; it stays as it is.

        Returns:
            the network's output, `[T, *out_shape]`, each by the weights before its target was seen, and the state.

        Raises:
            SnnlearnError: if inputs or targets do not fit, or are not finite, or if the weights diverge.
        """
        if not isinstance(state, LearnerState):
            raise SnnlearnError(f"Learner: state is {shown(state)}; give that of start(), advance() or load()")
        xs = as_steps("Learner", self.network, xs, state.steps)
        targets = self._as_targets(targets, len(xs), state.steps)
        pieces, first, under_way = [], 0, _UnderWay(self, state)
        while first < len(xs):
            count = min(PIECE, self.steps_per_update - under_way.filled, len(xs) - first)
            piece = slice(first, first + count)
            pieces.append(under_way.predict(xs[piece], targets[piece]))
            first += count
        nothing = np.zeros((0, *self.network.out_shape), jnp.result_type(float))
        return np.concatenate(pieces or [nothing]), under_way.state()

    def network_of(self, state: LearnerState) -> Network:
        """The network with the weights that it has learned so far.

        Args:
            state: the state.
        """
        return eqx.combine(state.parameters, self._split()[1])

    def regret(self, state: LearnerState) -> Regret:
        """The regret so far, see [`Regret`][snnlearn.streaming.Regret].

        Args:
            state: the state.

        Raises:
            SnnlearnError: if there are no comparators, or there were no steps.
        """
        return regret_of(state.record)

    @checked
    def risk(self, state: LearnerState, *, confidence: float = 0.95) -> Interval:
        """The learner's mean loss per step: an interval by batch means, for losses that are stationary.

        Args:
            state: the state.
            confidence: coverage, in (0, 1).

        Raises:
            SnnlearnError: before step 64, or for a confidence out of range.
        """
        return batch_means_interval(state.record, confidence)

    @checked
    def conditional_risk(self, state: LearnerState, largest: float, *, confidence: float = 0.95) -> Interval:
        """The mean over steps of the loss that was to be expected given the past: an interval on no assumption.

        Args:
            state: the state.
            largest: the largest loss that a step can have, > 0.
            confidence: coverage, in (0, 1).

        Raises:
            SnnlearnError: if there were no steps, or for a number out of range.
        """
        return martingale_interval(state.record, largest, confidence)

    @checked
    def save(self, state: LearnerState, path: str | os.PathLike) -> None:
        """Write a state to a file, completely or not at all, as `Stream.save` does.

        Args:
            state: the state: weights, optimiser, traces, losses, all to the bit.
            path: the `.npz` file.

        Raises:
            SnnlearnError: if the file cannot be written.
        """
        write_state(path, state, self._digest())

    @checked
    def load(self, path: str | os.PathLike) -> LearnerState:
        """Read a state that `save` wrote, with a learner made of the same values. Nothing in the file is run.

        Args:
            path: the file.

        Raises:
            SnnlearnError: if the file is missing, damaged or no state, or the state is that of another learner.
        """
        return read_state(path, self.start(), self._digest())

    def _digest(self) -> str:
        optimizer = self.optimizer if isinstance(self.optimizer, Optimizer) else "of Optax"
        return digest(self.network, self.rule, self.loss, optimizer, self.steps_per_update, self.comparators)

    @property
    def _online(self) -> AbstractOnlineRule:
        assert isinstance(self.rule, AbstractOnlineRule)
        return self.rule

    @property
    def _of_steps(self) -> Any:
        return parts(self.rule, self.loss).steps

    @property
    def _optimizer(self) -> Any:
        """Optax's own optimisers are not asked to know how far the training is."""
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer
        return optax.with_extra_args_support(self.optimizer)

    def _split(self) -> tuple[Any, Any]:
        return eqx.partition(self.network, self.rule.trained(self.network))

    def _as_targets(self, targets: Any, num_steps: int, before: int) -> np.ndarray:
        """Targets as an array of the loss's kind.

        Raises:
            SnnlearnError: for another shape or kind, values that are not finite, or labels that are none.
        """
        one = self._of_steps.target_of_step(self.network.out_shape)
        targets, wanted = np.asarray(targets), (num_steps, *one.shape)
        if targets.shape != wanted:
            raise SnnlearnError(
                f"Learner: targets has shape {targets.shape}, and {type(self.loss).__name__} takes {wanted} for "
                f"{num_steps} steps; give one for each step"
            )
        integers = jnp.issubdtype(one.dtype, jnp.integer)
        if targets.dtype.kind not in ("biu" if integers else "biuf"):
            raise SnnlearnError(
                f"Learner: targets is an array of {targets.dtype}; give {'whole numbers' if integers else 'numbers'}"
            )
        if not (finite := np.isfinite(targets)).all():
            wrong = np.argmin(finite.reshape(num_steps, -1).all(axis=1))
            raise SnnlearnError(
                f"Learner: the target of step {before + wrong + 1} of the stream is NaN or infinite; leave the step "
                "out (the state before is unchanged)"
            )
        classes = self.network.out_shape[0]
        if integers and not one.shape and num_steps and not 0 <= targets.min() <= targets.max() < classes:
            raise SnnlearnError(
                f"Learner: targets goes from {targets.min()} to {targets.max()}, and the network decides between "
                f"{classes} classes; give labels from 0 to {classes - 1}"
            )
        return targets.astype(one.dtype)


class _UnderWay:
    """A state while it advances: as arrays without structure, since to put this on and off takes as long as some steps.

    The steps that wait are written in place, into copies that are made once.
    """

    def __init__(self, learner: Learner, state: LearnerState):
        arrays, fixed = taken_apart(learner)
        self._size = learner.steps_per_update
        self._parameters, of_parameters = taken_apart(state.parameters)
        self._optimizer, of_optimizer = taken_apart(state.optimizer)
        self._waiting = jax.tree.map(np.copy, state.waiting)
        self._rest = state
        self._learner, self._fixed = arrays, Trees(fixed, of_parameters, of_optimizer)

    @property
    def filled(self) -> int:
        """The steps since the last update."""
        return self._rest.steps % self._size

    def state(self) -> LearnerState:
        """The state as it is now."""
        parameters, optimizer = (
            fixed.whole(arrays)
            for fixed, arrays in zip(self._fixed[1:], (self._parameters, self._optimizer), strict=True)
        )
        return self._rest._replace(parameters=parameters, optimizer=optimizer, waiting=self._waiting)

    def predict(self, xs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Go through a piece by the weights as they are, judge each step, and learn if the steps that wait are U."""
        count, filled, rest = len(xs), self.filled, self._rest
        given = np.zeros((PIECE, *targets.shape[1:]), targets.dtype)
        given[:count] = targets
        now = self._parameters, padded(xs), given, np.int32(count), rest.layers, rest.judges
        outputs, losses, moments, layers, judges = _judged(self._learner, *now, fixed=self._fixed, plain=why_plain())

        def put(waiting: np.ndarray, new: Any) -> None:
            waiting[filled : filled + count] = np.asarray(new)[:count]

        put(self._waiting[0], xs)
        jax.tree.map(put, self._waiting[1], moments)
        record = recorded(rest.record, np.asarray(losses)[:count])
        self._rest = rest._replace(layers=layers, judges=judges, record=record)
        if filled + count == self._size:
            self._learn()
        return np.asarray(outputs)[:count]

    def _learn(self) -> None:
        """Change the weights by the steps that wait."""
        xs, moments = self._waiting
        spikes = bool(((xs == 0) | (xs == 1)).all())
        now = self._parameters, self._optimizer, self._rest.memory, xs, moments
        parameters, optimizer, memory, layers, finite = _updated(
            self._learner, *now, fixed=self._fixed, spikes=spikes, plain=why_plain()
        )
        if not finite:  # which also waits until xs and moments have been read
            raise SnnlearnError(
                f"Learner: the weights diverged at step {self._rest.steps} of the stream; lower the learning rate or "
                "clip the gradient (the state before is unchanged)"
            )
        self._parameters, self._optimizer = parameters, optimizer
        self._rest = self._rest._replace(memory=memory, layers=layers)


def _of_sample(batch: Any) -> Any:
    """The state of the only sample."""
    return jax.tree.map(lambda leaf: leaf[0], batch)


def _filter(loss: Any) -> Kernel:
    return loss.kernel if isinstance(loss, AbstractFilteredLoss) else unfiltered()


@eqx.filter_jit
def _at_rest(learner: Learner, key: PRNGKeyArray) -> tuple[Any, Any, tuple[LayerState, ...], Judges, Any]:
    """The states of the optimiser, the rule, the network and the losses before the first step, and a moment."""
    of_steps, out_shape = learner._of_steps, learner.network.out_shape
    memory = learner._online.start(learner.network, learner.loss, 1, key=key)
    target, past = of_steps.target_of_step(out_shape), of_steps.past_at_rest(out_shape)
    moment, _ = of_steps.moment_of_step(jnp.zeros(target.shape, target.dtype), past)
    judges = Judges(
        past,
        tuple(_filter(of_steps).at_rest(out_shape) for _ in range(1 + len(learner.comparators))),
        tuple(comparator.start(out_shape, target) for comparator in learner.comparators),
    )
    optimizer = learner._optimizer.init(learner._split()[0])
    return optimizer, memory, _of_sample(learner._online.state(memory)), judges, moment


@partial(jax.jit, static_argnames=("fixed", "plain"))
def _judged(
    arrays: list[Array | None],
    parameters: list[Array | None],
    xs: Float[Array, "K ..."] | UInt32[Array, "W ..."],
    targets: Shaped[Array, "K ..."],
    steps: Int[Array, ""],
    layers: tuple[LayerState, ...],
    judges: Judges,
    *,
    fixed: Trees,
    plain: str | None,  # read while tracing
) -> tuple[Array, Float[Array, "K predictors"], Any, tuple[LayerState, ...], Judges]:
    """Outputs, losses and moments of the first steps of K, each computed by the same instructions."""
    learner: Learner = fixed.learner.whole(arrays)
    given, of_steps = as_given(xs), learner._of_steps
    network = eqx.combine(fixed.parameters.whole(parameters), learner._split()[1])
    outputs, layers = advance(network, given, steps, layers)
    seen_by_all, by, dtype = numbers(given), _filter(of_steps), outputs.dtype

    def one(t, carry):
        losses, moments, judges = carry
        moment, past = of_steps.moment_of_step(targets[t], judges.past)
        stepped = [c.predict(seen_by_all[t], s) for c, s in zip(learner.comparators, judges.comparators, strict=True)]
        predictions = [outputs[t], *(prediction for prediction, _ in stepped)]
        filtered = [by.step(p, memory) for p, memory in zip(predictions, judges.filters, strict=True)]
        each = jnp.stack([of_steps.at_step(seen, moment).astype(dtype) for seen, _ in filtered])
        comparators = [c.observe(targets[t], s) for c, (_, s) in zip(learner.comparators, stepped, strict=True)]
        judges = Judges(past, tuple(memory for _, memory in filtered), tuple(comparators))
        return losses.at[t].set(each), jax.tree.map(lambda a, m: a.at[t].set(m), moments, moment), judges

    moment, _ = jax.eval_shape(of_steps.moment_of_step, targets[0], judges.past)
    nothing = jax.tree.map(lambda m: jnp.zeros((len(targets), *m.shape), m.dtype), moment)
    losses = jnp.zeros((len(targets), 1 + len(learner.comparators)), dtype)
    losses, moments, judges = jax.lax.fori_loop(0, steps, one, (losses, nothing, judges))
    return outputs, losses, moments, layers, judges


@partial(jax.jit, static_argnames=("fixed", "spikes", "plain"))
def _updated(
    arrays: list[Array | None],
    parameters: list[Array | None],
    optimizer: list[Array | None],
    memory: Any,
    xs: Float[Array, "U ..."],
    moments: Any,
    *,
    fixed: Trees,
    spikes: bool,  # whether xs are
    plain: str | None,  # read while tracing
) -> tuple[list[Array], list[Array], Any, tuple[LayerState, ...], Bool[Array, ""]]:
    """Parameters, optimiser, memory and the network's state after U steps, and whether the parameters are finite."""
    learner: Learner = fixed.learner.whole(arrays)
    before = fixed.parameters.whole(parameters)
    rule, network = learner._online, eqx.combine(before, learner._split()[1])
    moments = jax.tree.map(lambda moment: moment[:, None], moments)
    given = known_spikes(xs[:, None]) if spikes else xs[:, None]
    memory, _, gradient = rule.advance(network, learner.loss, memory, given, moments)
    gradient = eqx.filter(gradient, rule.trained(gradient))
    with jax.numpy_dtype_promotion("standard"):  # Optax counts on it, whatever the caller has set
        gradient = jax.tree.map(lambda g: g / learner.steps_per_update, gradient)
        gradient = jax.lax.optimization_barrier(gradient)  # or XLA computes it for each moment of an optimiser again
        state = fixed.optimizer.whole(optimizer)
        updates, state = learner._optimizer.update(gradient, state, before, progress=jnp.zeros(()))
    after = jax.tree.leaves(eqx.apply_updates(before, updates))
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in after]))
    return after, jax.tree.leaves(state), memory, _of_sample(rule.state(memory)), finite
