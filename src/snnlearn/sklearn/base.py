"""What the estimators share: parameters, training, scores, and how they are pickled."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import GradientDescent, Optimizer, constant
from snnlearn.algorithms.devices import is_key
from snnlearn.algorithms.gradient_descent import seed as one_of
from snnlearn.coding import AbstractEncoder, AbstractScaling, Current, RangeScaling, StandardScaling
from snnlearn.data import LearningData, WeightedSample
from snnlearn.data.base import Sample, check_narrowing, digests
from snnlearn.hypothesis import Hypothesis
from snnlearn.losses import AbstractLoss
from snnlearn.network import AsGiven, Network, feedforward, in_use
from snnlearn.neurons import LI, LIF
from snnlearn.rules import BPTT, AbstractRule
from snnlearn.sklearn.samples import LEAST_BATCHES, distinct, held_out, repeated

_BLOCK = 256
"""Samples whose scores are computed at once; fewer are filled up, so that one program serves any number."""


class AbstractSpikingEstimator(BaseEstimator, ABC):
    """A spiking network as an estimator: its parameters are values of the library, and None is the usual one."""

    # scikit-learn sets parameters first, whatever they are; the library refuses what is wrong when they are used.
    def __init__(
        self,
        layers: Any = (128,),
        *,
        neuron: Any = None,
        network: Any = None,
        encoder: Any = None,
        rescale: Any = True,
        rule: Any = None,
        loss: Any = None,
        optimizer: Any = None,
        epochs: Any = 40,
        batch_size: Any = 32,
        validation_fraction: Any = None,
        patience: Any = None,
        random_state: Any = None,
    ):
        self.layers = layers
        self.neuron = neuron
        self.network = network
        self.encoder = encoder
        self.rescale = rescale
        self.rule = rule
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state

    # --------------------------------------------------------------------------------------------------- what differs

    @abstractmethod
    def _usual_loss(self, rule: AbstractRule, outputs: int, dt: float) -> AbstractLoss:
        """The loss where none is given."""

    @abstractmethod
    def _usual_optimizer(self) -> Optimizer:
        """The optimiser where none is given."""

    @abstractmethod
    def _strata(self, y: np.ndarray) -> np.ndarray:
        """A label for each target, by which validation is cut out."""

    @abstractmethod
    def _learned(self, sample: WeightedSample, *, first: bool) -> WeightedSample:
        """The targets as the network learns them; at first their scale is learned."""

    @abstractmethod
    def _data(self, train: Sample | WeightedSample, validation: Sample | WeightedSample) -> LearningData:
        """What the algorithm gets."""

    # ------------------------------------------------------------------------------------------------------- training

    def _fit(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray, outputs: int) -> None:
        """Learn from samples that are checked, `[m, *shape]`, their targets and weights, for a network's outputs."""
        if self.patience is not None and not (isinstance(self.patience, int | np.integer) and self.patience >= 1):
            raise SnnlearnError(
                f"{type(self).__name__}: patience is {self.patience!r}; give a number of epochs from 1, or None"
            )
        algorithm, seed, self._shape = self._algorithm(outputs), self._seed(), X.shape[1:]
        sample = self._learned(_sample(X, y, weights), first=True)
        train = validation = sample
        if self.validation_fraction is not None:
            train, validation = held_out(sample, self._strata(sample.y), self.validation_fraction, seed)
        data = self._data(repeated(train, LEAST_BATCHES * algorithm.batch_size), repeated(validation, 64))
        encoder, network = self._structure(sample, algorithm, outputs)
        training = algorithm.start(encoder, network, data, keys=jax.random.key(seed)[None])
        self.loss_curve_ = []
        for epoch in algorithm.go_on(encoder, training, data):
            training = epoch.training
            self.loss_curve_.append(float(epoch.metrics.training_loss[0]))
            if self.patience is not None and epoch.number - int(training.best_epoch[0]) >= self.patience:
                break
        self.n_iter_ = len(self.loss_curve_)
        (self.hypothesis_,) = algorithm.hypotheses(encoder, training)
        self._training = None

    def _go_on(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray, outputs: int) -> None:
        """Pass once over further samples; after `_fit`, from the network that it found."""
        first = not hasattr(self, "hypothesis_")
        algorithm = self._algorithm(outputs)
        if isinstance(algorithm.optimizer, Optimizer):  # nobody knows how long this will go on
            steady = dataclasses.replace(algorithm.optimizer, schedule=constant)
            algorithm = dataclasses.replace(algorithm, optimizer=steady)
        sample = self._learned(_sample(X, y, weights), first=first)
        size = algorithm.batch_size
        rows = repeated(sample, size * -(-len(sample.y) // size))
        data, training = self._data(rows, rows), getattr(self, "_training", None)
        encoder = None if first else self.hypothesis_.encoder
        if training is None:
            key = jax.random.key(self._seed())[None]
            if encoder is None:
                self._shape = X.shape[1:]
                encoder, network = self._structure(sample, algorithm, outputs)
                training = algorithm.start(encoder, network, data, keys=key)
            else:
                as_found = dataclasses.replace(algorithm, initialisation=AsGiven())
                training = as_found.start(encoder, self.hypothesis_.network, data, keys=key)
        assert encoder is not None and algorithm.loss.decoder is not None
        self._training, metrics = algorithm.epoch(encoder, training, data)
        self.loss_curve_ = [*getattr(self, "loss_curve_", ()), float(metrics.training_loss[0])]
        self.n_iter_ = len(self.loss_curve_)
        self.hypothesis_ = Hypothesis(encoder, in_use(one_of(self._training.network, 0)), algorithm.loss.decoder)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _code(self) -> AbstractEncoder:
        encoder = Current(num_steps=20) if self.encoder is None else self.encoder
        if not isinstance(encoder, AbstractEncoder):
            raise SnnlearnError(
                f"{type(self).__name__}: encoder is {encoder!r}; give an encoder, such as Rate(100), or None"
            )
        return encoder

    def _algorithm(self, outputs: int) -> GradientDescent:
        rule = BPTT() if self.rule is None else self.rule
        if not isinstance(rule, AbstractRule):
            raise SnnlearnError(f"{type(self).__name__}: rule is {rule!r}; give a rule, such as BPTT(), or None")
        return GradientDescent(
            loss=self._usual_loss(rule, outputs, self._code().dt) if self.loss is None else self.loss,
            rule=rule,
            optimizer=self._usual_optimizer() if self.optimizer is None else self.optimizer,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def _structure(
        self, sample: WeightedSample, algorithm: GradientDescent, outputs: int
    ) -> tuple[AbstractEncoder, Network]:
        """The encoder with the features' scale, and a network whose weights the training draws."""
        encoder, rule, decoder = self._code(), algorithm.rule, algorithm.loss.decoder
        if isinstance(self.rescale, AbstractScaling):
            encoder = self.rescale.learned(encoder, sample.x)
        elif self.rescale and not encoder.takes_spikes and encoder.range in (None, (0.0, 1.0)):
            scaling = StandardScaling() if encoder.range is None else RangeScaling()
            encoder = scaling.learned(encoder, sample.x)
        if self.network is not None:
            return encoder, self.network
        assert decoder is not None
        dt, hidden = encoder.dt, (self.layers,) if isinstance(self.layers, int) else tuple(self.layers)
        neuron = LIF(dt=dt) if self.neuron is None else self.neuron
        readout = rule.usual_readout(dt=dt) if decoder.reads_spikes else LI(dt=dt)  # pyright: ignore[reportCallIssue]
        sizes = (math.prod(encoder.out_shape(sample.x.shape[1:])), *hidden, outputs)
        network = feedforward(sizes, neuron=neuron, readout=readout, use_bias=True, key=jax.random.key(0))
        return encoder, network

    def _weights(self, sample_weight: Any, X: np.ndarray) -> np.ndarray:
        """One weight for each sample, none below 0 and one above.

        Raises:
            ValueError: from scikit-learn, on a wrong number of them, or any that are not finite.
        """
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if np.any(weights < 0):
            raise SnnlearnError(f"{type(self).__name__}: sample_weight has weights below 0; give some from 0")
        if not np.any(weights > 0):
            raise SnnlearnError(f"{type(self).__name__}: sample_weight has only weights of zero; give some above 0")
        return weights

    # --------------------------------------------------------------------------------------------------------- scores

    def _scores(self, X: Any) -> Float[np.ndarray, "m C"]:
        """What the decoder gives for each of many samples; what is drawn depends on the sample alone."""
        check_is_fitted(self, "hypothesis_")
        xs = self._validated(X, reset=False).astype(np.float32)
        if xs.shape[1:] != self._shape:
            raise SnnlearnError(
                f"{type(self).__name__}: a sample has shape {xs.shape[1:]}; it was {self._shape} in training"
            )
        rest = -len(xs) % _BLOCK
        halves = digests(xs).view(np.uint32).reshape(-1, 2)
        xs, halves = (np.concatenate([a, np.zeros((rest, *a.shape[1:]), a.dtype)]) for a in (xs, halves))
        blocks = [
            np.asarray(
                _of_block(self.hypothesis_, jnp.asarray(xs[at : at + _BLOCK]), jnp.asarray(halves[at : at + _BLOCK]))
            )
            for at in range(0, len(xs), _BLOCK)
        ]
        return np.concatenate(blocks)[: len(xs) - rest]

    def _validated(self, X: Any, *y: Any, reset: bool, **kwargs: Any) -> Any:
        return validate_data(self, X, *y, reset=reset, allow_nd=True, dtype=[np.float64, np.float32], **kwargs)

    # -------------------------------------------------------------------------------------------------------- pickling

    def __getstate__(self) -> dict[str, Any]:
        return {name: jax.tree.map(_kept, value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_kept = lambda leaf: isinstance(leaf, _Kept)  # noqa: E731
        super().__setstate__(
            {
                name: jax.tree.map(lambda leaf: leaf.array() if is_kept(leaf) else leaf, value, is_leaf=is_kept)
                for name, value in state.items()
            }
        )


def _sample(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> WeightedSample:
    check_narrowing(X, "X")
    return distinct(X.astype(np.float32), y, weights)


class _Kept(NamedTuple):
    """A JAX array as one of NumPy, and the kind of random key that it is, if it is one."""

    values: np.ndarray
    key: str | None

    def array(self) -> Array:
        values = jnp.asarray(self.values)
        return values if self.key is None else jax.random.wrap_key_data(values, impl=self.key)


def _kept(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array):
        return leaf
    if is_key(leaf):
        return _Kept(np.asarray(jax.random.key_data(leaf)), str(jax.random.key_impl(leaf)))
    return _Kept(np.asarray(leaf), None)


@eqx.filter_jit
def _of_block(hypothesis: Hypothesis, xs: Array, halves: UInt32[Array, "B 2"]) -> Float[Array, "B C"]:
    def one(x: Array, half: Array) -> Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), half[0]), half[1])
        return hypothesis(x, key=key)

    return jax.vmap(one)(xs, halves)
