"""The command `snnlearn stream`: a trained network on lines of numbers, as long as they come."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Optimizer
from snnlearn.algorithms.optimizers import constant
from snnlearn.cli import build
from snnlearn.cli.commands import keep_compiled_programs, learned
from snnlearn.cli.frames import Frames
from snnlearn.cli.lines import lines_of
from snnlearn.cli.options import Stream as Options
from snnlearn.cli.options import Train
from snnlearn.cli.run_folder import RunFolder
from snnlearn.hypothesis import Hypothesis
from snnlearn.losses import AbstractLoss, MeanSquaredError, StepwiseCrossEntropy, StepwiseLabelCrossEntropy
from snnlearn.model_file import load
from snnlearn.streaming import AbstractComparator, Constantly, Fixed, Learner, Persistence, Stream

_SECONDS_BETWEEN_SAVES, _SECONDS_BETWEEN_NOTES = 60.0, 0.5

T = TypeVar("T")


def stream(options: Options) -> int:
    """Write a prediction for each line, learn if that is wanted, and keep the state."""
    options.check()
    if options.state is not None and not options.state.parent.is_dir():
        raise SnnlearnError(f"--state: there is no folder {options.state.parent}; create it, or give another path")
    if options.file is not None and str(options.file) != "-" and not options.file.exists():
        raise SnnlearnError(f"there is no file {options.file}; give one, or none for the standard input")
    keep_compiled_programs()
    hypothesis, names, trained = _trained(options)
    frames = Frames(hypothesis, names, learns=options.learn is not None)
    task = None if options.learn is None else _LEARNED[frames.task]
    of = Stream(hypothesis.network) if task is None else _learner(options, hypothesis, trained, task)
    running = _Running(of, frames, options)
    fault = None
    with _Interrupts() as interrupts:
        try:
            for rows in interrupts.between(lines_of(options.file, frames.lines_at_once, frames.target_columns)):
                if isinstance(rows, SnnlearnError):
                    fault = rows
                    break
                x, targets, fault = frames.read(rows)
                if len(x):
                    sys.stdout.write(running.advance(x, targets))
                    sys.stdout.flush()
                if fault is not None:
                    break
        except KeyboardInterrupt:
            again = f"; go on after them with the same --state {options.state}" if options.state is not None else ""
            raise KeyboardInterrupt(f"{running.lines:,} lines were read{again}") from None
        finally:
            interrupts.closing = True
            running.end()
    if task is not None and running.lines:
        print(_judgement(running, task, options.confidence), file=sys.stderr)
    if fault is not None:
        raise fault
    return 0


def _trained(options: Options) -> tuple[Hypothesis, tuple[str, ...], Train]:
    """The hypothesis, the names of its classes, and the options of its training, or the usual ones."""
    if options.run.is_file():
        return *load(options.run), Train()
    folder = RunFolder.open(options.run, allow=options.allow)
    hypothesis, names, note = learned(folder)
    if note:
        print(note, file=sys.stderr)
    return hypothesis, names, folder.options()


class _Task(NamedTuple):
    """How a task is learned on a stream.

    Args:
        loss: of each step.
        loss_name: what it is called.
        comparators: the cheap ones, with what they are called.
    """

    loss: AbstractLoss
    loss_name: str
    naive: type[AbstractComparator] | None
    guess: str


_LEARNED = {
    "classification": _Task(StepwiseCrossEntropy(), "cross-entropy", None, "all classes alike"),
    "multi-label": _Task(StepwiseLabelCrossEntropy(), "cross-entropy of a label", None, "each label by half"),
    "regression": _Task(
        MeanSquaredError(), "squared error, the training values' variance being 1", Persistence, "the training mean"
    ),
}


def _learner(options: Options, hypothesis: Hypothesis, trained: Train, task: _Task) -> Learner:
    assert options.learn is not None
    network = hypothesis.network
    rule = build.rule(replace(trained, rule=options.learn, chip=None, mismatch=None), network.dt)
    guess = Constantly(jnp.zeros(network.out_shape))
    return Learner(
        network,
        rule,
        task.loss,
        Optimizer(learning_rate=options.learning_rate, schedule=constant),
        steps_per_update=options.steps_per_update,
        comparators=(Fixed(network), guess, *([task.naive()] if task.naive is not None else [])),
    )


class _Running:
    """A network on its stream, and the state that is kept.

    Args:
        of: runs it, or learns.
        frames: what it makes of lines.
        options: where the state goes.
    """

    def __init__(self, of: Stream | Learner, frames: Frames, options: Options):
        self._of, self._frames, self._path = of, frames, options.state
        there = self._path is not None and self._path.exists()
        self.state: Any = of.load(self._path) if there and self._path is not None else of.start()
        self._began, self._first = time.monotonic(), self.lines
        self._saved = self._noted = self._began
        self._notes = options.learn is not None and sys.stderr.isatty() and not sys.stdout.isatty()

    @property
    def lines(self) -> int:
        """How many lines the stream has had."""
        return self.state.steps // self._frames.steps

    def advance(self, x: np.ndarray, targets: np.ndarray | None) -> str:
        """Go through some lines; the predictions."""
        first = self.lines
        of: Any = self._of
        given = (self._frames.encoded(x, first), *([] if targets is None else [targets]))
        outputs, self.state = of.advance(*given, self.state)
        now = time.monotonic()
        if self._path is not None and now - self._saved > _SECONDS_BETWEEN_SAVES:
            self._save()
        if self._notes and now - self._noted > _SECONDS_BETWEEN_NOTES:
            self._note(now)
        return self._frames.written(outputs, first)

    def end(self) -> None:
        """Save the state."""
        if self._notes and self._noted > self._began:
            print(file=sys.stderr)
        if self._path is not None:
            self._save()

    def judged(self) -> tuple[Learner, Any]:
        """The learner and its state."""
        assert isinstance(self._of, Learner)
        return self._of, self.state

    def _save(self) -> None:
        assert self._path is not None
        self._of.save(self.state, self._path)
        self._saved = time.monotonic()

    def _note(self, now: float) -> None:
        learner, state = self.judged()
        found, speed = learner.regret(state), (self.lines - self._first) / (now - self._began)
        said = f"{self.lines:,} lines, {speed:,.0f} a second, loss {found.mean_loss:.4g}, lately {found.recent:.4g}"
        print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)
        self._noted = now


def _judgement(running: _Running, task: _Task, confidence: float) -> str:
    """The prequential risk, with its interval, and the regret."""
    learner, state = running.judged()
    found = learner.regret(state)
    risk = f"prequential risk {found.mean_loss:.4g}"
    try:
        interval = learner.risk(state, confidence=confidence)
        risk += f" [{interval.low:.4g}, {interval.high:.4g}] ({confidence:.0%}, if the losses are stationary)"
    except SnnlearnError:
        risk += " (too few steps for an interval)"
    others = ["the network as it was", task.guess, *(["the last target"] if task.naive is not None else [])]
    compared = [f"{name} {loss / found.steps:.4g}" for name, loss in zip(others, found.comparators, strict=True)]
    return (
        f"{running.lines:,} lines: {risk}; {found.recent:.4g} in the last {min(found.steps, learner.window):,} steps. "
        f"The loss is the {task.loss_name}.\n"
        f"Without learning from them: {', '.join(compared)}. Regret against the best of these: {found.regret:.4g}, "
        f"{found.mean_regret:.4g} a step."
    )


class _Interrupts:
    """Ctrl-C, and the signal to end: between lines, so that what is kept is what was written."""

    def __init__(self):
        self.closing = self._asked = self._waits = False
        self._before: list[Any] = []

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():  # only there does one hear of signals
            self._before = [(number, signal.signal(number, self._hear)) for number in (signal.SIGINT, signal.SIGTERM)]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def between(self, items: Iterable[T]) -> Iterator[T]:
        """The items; while one is awaited, the signal raises, or else before the next.

        Raises:
            KeyboardInterrupt: if there was one.
        """
        iterator = iter(items)
        while True:
            self._waits = True
            try:
                if self._asked:
                    raise KeyboardInterrupt
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._waits = False
            yield item

    def _hear(self, *_: object) -> None:
        if self.closing:
            return
        again, self._asked = self._asked, True
        if self._waits or again:  # the second time at once
            raise KeyboardInterrupt
