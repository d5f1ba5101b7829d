"""Gradient descent with any learning rule and any optimiser, several trainings side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, Real, Shaped

from snnlearn._arguments import check_fields, checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_one_dt, shown
from snnlearn.algorithms.devices import ONE_DEVICE, Devices
from snnlearn.algorithms.divergence import check_finite
from snnlearn.algorithms.evaluation import evaluate, on_device, relative
from snnlearn.algorithms.iterative import AbstractIterativeAlgorithm, Metrics, Training
from snnlearn.algorithms.online_updates import update_online
from snnlearn.algorithms.optimizers import Optimizer, shared
from snnlearn.coding import AbstractEncoder, HeldValues, PackedSpikes
from snnlearn.coding.ends import over_and_over
from snnlearn.data import LearningData, Sample, WeightedSample
from snnlearn.hypothesis import Hypothesis, encode, network_input, why_not_ended
from snnlearn.losses import AbstractLoss, CrossEntropy, weighted
from snnlearn.losses.ends import ended_by
from snnlearn.network import AbstractInitialisation, FluctuationDriven, Network, in_use
from snnlearn.network.delays import at_progress, check_delays
from snnlearn.rules import BPTT, AbstractOnlineRule, AbstractRule


@final
class GradientDescent(AbstractIterativeAlgorithm):
    """Minimise the empirical risk by stochastic gradients; keep the epoch with the fewest validation errors.

    Weights of a sample multiply the losses, and the errors of validation, of its z, whatever the rule. Where what is
    learned is real values and no classes, there are no errors, and the least validation loss decides; of several
    labels, each is a decision.

    An epoch, with all its batches, their encoding and the validation, is one compiled program. Each epoch visits the
    training sample once in a new random order; what does not fill a batch waits for another epoch.

    What only serves training, such as `Dropout`, is not in the network that is validated and kept
    (`network.in_use`). Delays whose kernel narrows do so from epoch to epoch, and are rounded there.

    Args:
        loss: the loss of one sample; its decoder decides.
        rule: how the gradient is computed.
        optimizer: how it is used: an `Optimizer`, whose steps are relative, or one of Optax, unchanged.
        initialisation: how initial weights are drawn.
        epochs: passes over the training sample, ≥ 1.
        batch_size: samples of one gradient, from 1 to the size of the training sample.
        steps_per_update: time steps after which the weights change, *during* the sequence, by an online rule's gradient
            of these steps, ≥ 1; None to change them after the whole sequence.
        devices: which of them share each batch; their number must divide `batch_size`.

    Raises:
        SnnlearnError: for an argument of another kind or outside its range, or a loss that does not decide.
    """

    loss: AbstractLoss = CrossEntropy()
    rule: AbstractRule = BPTT()
    optimizer: Optimizer | optax.GradientTransformation = eqx.field(converter=shared, default_factory=Optimizer)
    initialisation: AbstractInitialisation = FluctuationDriven()
    epochs: int = 30
    batch_size: int = 64
    steps_per_update: int | None = None
    devices: Devices = ONE_DEVICE

    def __check_init__(self):
        if not (callable(getattr(self.optimizer, "init", None)) and callable(getattr(self.optimizer, "update", None))):
            raise SnnlearnError(
                f"GradientDescent: optimizer is {shown(self.optimizer)}; give an Optimizer(), or one of Optax, such as "
                "optax.adam(1e-3)"
            )
        # All but the optimiser, which may be whatever has `init` and `update`.
        check_fields(self, "loss", "rule", "initialisation", "epochs", "batch_size", "steps_per_update", "devices")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise SnnlearnError(f"GradientDescent: {name} is {getattr(self, name)}; give at least 1")
        if self.batch_size % self.devices.count:
            raise SnnlearnError(
                f"GradientDescent: {self.devices.count} devices cannot share a batch_size of {self.batch_size} "
                f"equally; give a multiple of {self.devices.count}"
            )
        if self.steps_per_update is not None:
            if self.steps_per_update < 1:
                raise SnnlearnError(f"GradientDescent: steps_per_update is {self.steps_per_update}; give at least 1")
            if not isinstance(self.rule, AbstractOnlineRule):
                raise SnnlearnError(
                    f"GradientDescent: {type(self.rule).__name__} knows its gradient only after all steps; drop "
                    "steps_per_update, or use an online rule, such as EProp or OTTT"
                )
        if self.loss.decoder is None:
            raise SnnlearnError(
                f"GradientDescent: {type(self.loss).__name__} decides nothing, so there is no error to count; add a "
                "loss with a decoder, such as CrossEntropy()"
            )

    @checked
    def start(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, keys: Key[Array, " K"]
    ) -> Training:
        """Draw the initial networks, one for each of K keys.

        Args:
            encoder: from one `x` to the network's input over time.
            network: the networks' structure.
            data: the training and the validation sample.
            keys: a random key for each training, `[K]`.

        Raises:
            SnnlearnError: if an argument is of another kind, or encoder, network and data do not fit.
        """
        _check_fit(self, encoder, network, data)
        self.devices.check_equal((data.train, data.validation), f"the data, {data.name},")
        probe = jnp.asarray(data.train.x[: min(256, len(data.train.x))])
        most = jnp.inf if data.validation.weights is not None else jnp.iinfo(jnp.int32).max
        worst = jnp.asarray(np.asarray(most, np.float32 if data.validation.weights is not None else np.int32))
        return self.devices.agreed(_start(self._compiled(), encoder, network, probe, worst, keys, data.ends))

    @checked
    def epoch(self, encoder: AbstractEncoder, training: Training, data: LearningData) -> tuple[Training, Metrics]:
        """Train for one epoch.

        Args:
            encoder: as at the start.
            training: the training so far.
            data: the training and the validation sample.

        Returns:
            the training after the epoch, and how it went.

        Raises:
            Diverged: if the loss, the gradient or a parameter is no longer finite.
        """
        after, metrics = self.devices.get(_epoch(*self._arguments(encoder, training, data)))
        check_finite(after, metrics)
        return after, metrics

    @checked
    def trace(self, encoder: AbstractEncoder, training: Training, data: LearningData) -> None:
        """Follow the program of an epoch, as its first run then need not; what a rule refuses, it refuses here.

        Args:
            encoder: as at the start.
            training: the training so far.
            data: the training and the validation sample.

        Raises:
            SnnlearnError: from the rule, if it does not take the network or the loss.
        """
        _epoch.lower(*self._arguments(encoder, training, data))  # pyright: ignore[reportFunctionMemberAccess]

    def _arguments(self, encoder: AbstractEncoder, training: Training, data: LearningData) -> tuple[Any, ...]:
        samples = on_device(data.train), on_device(data.validation)
        epochs = jnp.asarray(np.asarray(self.epochs, np.int32))
        return self.devices.put((self._compiled(), encoder, training, *samples, epochs, data.ends))

    def _compiled(self) -> GradientDescent:
        """What the compiled programs depend on: not the number of epochs, which they are given."""
        return dataclasses.replace(self, epochs=1)

    def why_plain(self, network: Network) -> str | None:
        """Why training runs as plain JAX, as a clause; None if the event-driven kernels do the work.

        Args:
            network: the network.
        """
        return self.rule.why_plain(network)

    def inputs(
        self, encoder: AbstractEncoder, network: Network, xs: Array, *, keys: Key[Array, " B"]
    ) -> Float[Array, "B T ..."] | PackedSpikes | HeldValues:
        """A batch as the rule gets it: encoded, and packed or held where the kernels do the work.

        Args:
            encoder: as at the start.
            network: the network.
            xs: the batch, `[B, *shape]`.
            keys: a random key for each sample.
        """
        return jax.vmap(lambda x, key: network_input(encoder, network, x, self.rule.why_plain, key=key))(xs, keys)

    def hypotheses(self, encoder: AbstractEncoder, training: Training) -> list[Hypothesis]:
        """See the base."""
        assert self.loss.decoder is not None
        return [
            Hypothesis(encoder, in_use(seed(training.best_network, k)), self.loss.decoder)
            for k in range(len(training.epoch))
        ]


def seed(tree: Network, k: int) -> Network:
    """One seed's network out of several side by side."""
    return jax.tree.map(lambda leaf: leaf[k] if eqx.is_array(leaf) else leaf, tree)


def _check_fit(algorithm: GradientDescent, encoder: AbstractEncoder, network: Network, data: LearningData) -> None:
    size, takes = math.prod(encoder.out_shape(data.shape)), math.prod(network.in_shape)
    if size != takes:
        raise SnnlearnError(f"GradientDescent: {data.name} is encoded as {size} inputs, but the network takes {takes}")
    assert algorithm.loss.decoder is not None
    if network.out_shape != (units := algorithm.loss.decoder.num_units(data.num_outputs),):
        what = {"classification": "class", "regression": "value", "multi-label": "label"}[data.task]
        raise SnnlearnError(
            f"GradientDescent: {data.name} has {data.num_outputs} {what}{'es' if data.num_classes else 's'}, but the "
            f"network's output is {network.out_shape}; give it one output for each {what}"
            + ("" if units == data.num_outputs else f" of a step, {units}")
        )
    if algorithm.batch_size > len(data.train.x):
        raise SnnlearnError(
            f"GradientDescent: batch_size is {algorithm.batch_size}, but the training sample has only "
            f"{len(data.train.x)}; give at most that"
        )
    check_one_dt(algorithm, network.dt, encoder=encoder, loss=algorithm.loss)
    check_delays("GradientDescent", network, encoder.num_steps)
    for part in (data.train, data.validation):
        if (why := why_not_ended(encoder, algorithm.loss.decoder, part.x)) is not None:
            raise SnnlearnError(f"GradientDescent: {data.name}: {why}")


@eqx.filter_jit
def _start(
    algorithm: GradientDescent,
    encoder: AbstractEncoder,
    network: Network,
    probe: Array,
    worst: Real[Array, ""],
    keys: Key[Array, " K"],
    ends: bool,
) -> Training:
    def one(key):
        key, weight_key, probe_key = jax.random.split(key, 3)
        inputs = encode(encoder, probe, key=probe_key)
        lengths = jax.vmap(encoder.length)(probe) if ends else None
        if lengths is not None:  # the silence after the end drives nothing
            inputs = jax.vmap(over_and_over)(inputs, lengths)
        drawn = algorithm.initialisation(network, inputs, key=weight_key)
        parameters = eqx.filter(drawn, algorithm.rule.trained(drawn))
        zero = jnp.zeros((), dtype=jnp.int32)
        return Training(
            network=drawn,
            optimizer_state=algorithm.optimizer.init(parameters),
            key=key,
            epoch=zero,
            best_network=drawn,
            best_errors=worst,
            best_loss=jnp.full((), jnp.inf, dtype=jnp.result_type(float)),
            best_epoch=zero,
        )

    return _side_by_side(one, keys)


@eqx.filter_jit
def _epoch(
    algorithm: GradientDescent,
    encoder: AbstractEncoder,
    training: Training,
    train: Sample | WeightedSample,
    validation: Sample | WeightedSample,
    epochs: Int[Array, ""],
    ends: bool,
) -> tuple[Training, Metrics]:
    def each(algorithm, encoder, training, train, validation, epochs):
        after = _side_by_side(
            lambda one: _one_epoch(algorithm, encoder, one, train, validation, epochs, ends), training
        )
        return eqx.filter(after, eqx.is_array)

    after, metrics = algorithm.devices.run(each, algorithm, encoder, training, train, validation, epochs)
    return eqx.combine(after, training), metrics


def _side_by_side(function: Callable, tree):
    """Map over the seeds' axis; a single seed is spared the batched program."""
    if len(jax.tree.leaves(eqx.filter(tree, eqx.is_array))[0]) > 1:
        return eqx.filter_vmap(function)(tree)
    single = function(jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, tree))
    return jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, single)


def _one_epoch(
    algorithm: GradientDescent,
    encoder: AbstractEncoder,
    training: Training,
    train: Sample | WeightedSample,
    validation: Sample | WeightedSample,
    epochs: Int[Array, ""],
    ends: bool,
) -> tuple[Training, Metrics]:
    of_validation, (algorithm, targets) = algorithm.loss, _judging(algorithm, encoder, train, ends)
    order_key, batches_key, validation_key = jax.random.split(jax.random.fold_in(training.key, training.epoch), 3)
    num_batches = len(train.y) // algorithm.batch_size
    order = jax.random.permutation(order_key, len(train.y))[: num_batches * algorithm.batch_size]
    network = at_progress(training.network, jnp.divide(training.epoch, epochs))
    parameters, constants = eqx.partition(network, algorithm.rule.trained(network))
    devices, optimizer = algorithm.devices, _with_progress(algorithm.optimizer)

    def update(carry, batch):
        index, key, number = batch
        progress = jnp.divide(training.epoch * num_batches + number, num_batches * epochs)

        def descend(carry, gradient):
            parameters, optimizer_state = carry
            gradient = devices.mean(eqx.filter(gradient, algorithm.rule.trained(gradient)))
            with jax.numpy_dtype_promotion("standard"):  # Optax counts on it, whatever the caller has set
                norm = optax.tree.norm(gradient)
                updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters, progress=progress)
            return (eqx.apply_updates(parameters, updates), optimizer_state), norm

        encoder_key, rule_key = jax.random.split(key)
        network = eqx.combine(carry[0], constants)
        (index, keys), _ = devices.share((index, jax.random.split(encoder_key, algorithm.batch_size)))
        x, y = jnp.asarray(train.x)[index], targets[index]
        inputs = algorithm.inputs(encoder, network, x, keys=keys)
        key = devices.own(rule_key)
        rule, loss = algorithm.rule, algorithm.loss
        if algorithm.steps_per_update is not None:
            assert isinstance(rule, AbstractOnlineRule)
            return update_online(rule, loss, algorithm.steps_per_update, carry, constants, descend, inputs, y, key)
        loss, gradient = rule(network, loss, inputs, y, key=key)  # pyright: ignore
        carry, norm = descend(carry, gradient)
        return carry, (loss, norm)

    keys, numbers = jax.random.split(batches_key, num_batches), jnp.arange(num_batches)
    batches = order.reshape(num_batches, algorithm.batch_size), keys, numbers
    carry, (losses, norms) = jax.lax.scan(update, (parameters, training.optimizer_state), batches)
    parameters, optimizer_state = carry
    network = eqx.combine(parameters, constants)

    used = in_use(network)
    loss, errors = evaluate(of_validation, encoder, used, validation, ends=ends, devices=devices, key=validation_key)
    epoch = training.epoch + 1
    better = (errors < training.best_errors) | ((errors == training.best_errors) & (loss < training.best_loss))
    best = jax.tree.map(
        lambda new, old: jnp.where(better, new, old) if eqx.is_array(new) else new, network, training.best_network
    )
    after = Training(
        network=network,
        optimizer_state=optimizer_state,
        key=training.key,
        epoch=epoch,
        best_network=best,
        best_errors=jnp.where(better, errors, training.best_errors),
        best_loss=jnp.where(better, loss, training.best_loss),
        best_epoch=jnp.where(better, epoch, training.best_epoch),
    )
    training_loss = devices.mean(jnp.mean(losses))
    return after, Metrics(training_loss, jnp.mean(norms), loss, errors / validation.y.size)


def _judging(
    algorithm: GradientDescent, encoder: AbstractEncoder, sample: Sample | WeightedSample, ends: bool
) -> tuple[GradientDescent, Shaped[Array, "m ..."]]:
    """The algorithm with the loss that a sample's ends and weights make of its own, and the targets of that loss."""
    loss, targets = algorithm.loss, jnp.asarray(sample.y)
    if ends:
        loss, targets = ended_by(encoder, loss, jnp.asarray(sample.x), targets)
    if sample.weights is not None:
        loss, targets = weighted(loss, targets, relative(sample.weights))
    return dataclasses.replace(algorithm, loss=loss), targets


def _with_progress(optimizer: Any) -> Any:
    """Optax's own optimisers are not asked to know how far the training is."""
    return optimizer if isinstance(optimizer, Optimizer) else optax.with_extra_args_support(optimizer)
