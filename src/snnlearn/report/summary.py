"""The numbers of a training run for its report, as plain NumPy data without network or JAX."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.report.baseline import Baseline
from snnlearn.risk import Comparison


@dataclass(frozen=True)
class LayerSummary:
    """How one layer behaves on the probe data.

    Args:
        name: Its name for readers, such as ``"1 · LIF 128"``.
        units: Number of units.
        spiking: Whether its units spike; a leaky integrator does not.
        firing_rate: Mean rate of each unit in Hz, ``[units]``; empty for a layer that does not spike.
        silent: Fraction of units that never spike, in [0, 1].
        saturated: Fraction of units that spike in nearly every possible step, in [0, 1].
        surrogate_mass: Mean pseudo-derivative relative to its peak, over units and steps, in [0, 1].
        delays: Delays of its synapses in s, ``[n]``; empty if they have none.
        longest_delay: The longest that they can be, s.
    """

    name: str
    units: int
    spiking: bool
    firing_rate: np.ndarray
    silent: float
    saturated: float
    surrogate_mass: float
    delays: np.ndarray = field(default_factory=lambda: np.zeros(0))
    longest_delay: float = 0.0


@dataclass(frozen=True)
class Example:
    """One sample on its way through the network.

    Args:
        image: The input in [0, 1], ``[H, W]``, or None where it is not an image.
        label: Name of the true class.
        predicted: Name of the predicted class.
        layers: ``(name, values [T, units], is_spikes)`` of the input and every layer, input first.
        membranes: ``(layer name, v [T, few units])`` for some units of some layers.
    """

    image: np.ndarray | None
    label: str
    predicted: str
    layers: tuple[tuple[str, np.ndarray, bool], ...]
    membranes: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class WithReset:
    """A network whose spiking units are never reset, run with resets, as most hardware would.

    Args:
        reset: What a spike then does to the membrane.
        risk: Mean loss on the test sample with resets: the share of wrong decisions, or relative squared errors.
        comparison: That less the loss without resets, sample by sample.
    """

    reset: str
    risk: float
    comparison: Comparison


@dataclass(frozen=True)
class WithRoundedDelays:
    """A network whose delays are rounded to whole time steps, as hardware has them.

    Args:
        risk: Mean loss on the test sample with rounded delays: the share of wrong decisions, or relative squared
            errors.
        comparison: That less the loss with delays as learned, sample by sample; None if those were whole already.
    """

    risk: float
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """What a training run of K seeds is whatever was learned; the saved model is the seed that validation selected.

    Args:
        title: Such as ``"digits · rate code · LIF 128 · BPTT"``.
        curves: ``"training loss"``, ``"validation loss"``, ``"gradient norm"`` and, where something is decided,
            ``"validation error"``, each ``[K, epochs]``; nan where a seed had stopped.
        selected_epoch: Index of the epoch that each seed kept, from 0, ``[K]``.
        test_size: Number of test samples.
        train_size: Number of training samples.
        selected_seed: Index of the saved model among the seeds, from 0.
        layers: The network's layers, first to last.
        examples: Samples to draw.
        dt: Time step in s.
        parameters: Number of trained parameters of one network.
        synops: Synaptic operations per inference: one addition for each spike and each synapse it reaches.
        macs: Multiply-accumulates per inference, for inputs of synapses that are not spikes.
        dense: An artificial network of the same layers, such as ``"64-256-10"``.
        dense_macs: Multiply-accumulates of that network, run once.
        num_steps: Time steps of an inference.
        wall_time: Training time in s, all seeds.
        samples_per_second: Training samples processed per second, all seeds together.
        warnings: One sentence each.
        notes: What was assumed in reading the data, one sentence each.
        config: The run's configuration, flat or nested.
        environment: Versions of the software, by name.
        why_plain: Why the training ran as plain JAX; None if the kernels ran it.
        reproduce: Command line that repeats the run; empty if there is none.
        left_out: How many test samples equal some that it was trained or selected on, and are not counted.
        all_seen: Whether all test samples do, so that none could be left out and their errors estimate no risk.
        with_reset: The saved model with resets, if it was trained without; None if it was not.
        with_rounded_delays: The saved model with rounded delays; None if it has no delays.

    Raises:
        SnnlearnError: If the numbers contradict each other, so that no report can be true.
    """

    title: str
    curves: dict[str, np.ndarray]
    selected_epoch: np.ndarray
    test_size: int
    train_size: int
    selected_seed: int
    layers: tuple[LayerSummary, ...]
    examples: tuple[Example, ...]
    dt: float
    parameters: int
    synops: float
    macs: float
    dense: str
    dense_macs: float
    num_steps: int
    wall_time: float
    samples_per_second: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    config: dict[str, object]
    environment: dict[str, str]
    why_plain: str | None
    reproduce: str = ""
    left_out: int = 0
    all_seen: bool = False
    with_reset: WithReset | None = None
    with_rounded_delays: WithRoundedDelays | None = None

    def __post_init__(self):
        if not 0 <= self.selected_seed < self.num_seeds:
            raise SnnlearnError(
                f"selected_seed is {self.selected_seed}; give an index below the {self.num_seeds} seeds"
            )

    @property
    def num_seeds(self) -> int:
        """Number of seeds K."""
        return len(self.selected_epoch)


@dataclass(frozen=True, kw_only=True)
class RunSummary(TrainingSummary):
    """One training run that learned classes.

    Args:
        confusion: Test counts of the saved model, rows are the truth, ``[C, C]``.
        class_names: The C classes in the order of ``confusion``.
        test_errors: Wrong answers of each seed on the test set, ``[K]``.
        train_errors: Wrong answers of each seed on the training set, ``[K]``.
        chance: Error of always guessing the most frequent class, in [0, 1].
        baselines: What plain methods make of the same data; none if that was not asked for.

    Raises:
        SnnlearnError: If the numbers contradict each other, so that no report can be true.
    """

    confusion: np.ndarray
    class_names: tuple[str, ...]
    test_errors: np.ndarray
    train_errors: np.ndarray
    chance: float
    baselines: tuple[Baseline, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        classes = len(self.class_names)
        if self.confusion.shape != (classes, classes):
            raise SnnlearnError(f"confusion has shape {self.confusion.shape}; expected {classes} × {classes} classes")
        wrong = self.confusion.sum() - np.trace(self.confusion)
        if (self.confusion.sum(), wrong) != (self.test_size, self.test_errors[self.selected_seed]):
            raise SnnlearnError(
                f"confusion counts {wrong} errors in {self.confusion.sum()} samples, but the saved model has "
                f"{self.test_errors[self.selected_seed]} in {self.test_size}; count both on the same test set"
            )
