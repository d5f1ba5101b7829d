"""Tuning by hand: a page in the browser, with a slider for each number of a network."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from snnlearn._errors import SnnlearnError
from snnlearn.cli import build, interrupts
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.manual.desk import Desk
from snnlearn.cli.manual.server import PageServer, serving
from snnlearn.cli.options import Train, Tune
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of

_LAYERS, _EPOCHS = ("64",), 3
"""Of the network that is trained if no run is given: small, and not so good that nothing is left to do."""


def tune_by_hand(options: Tune) -> int:
    """Serve the page until ctrl-C."""
    assert options.manual is not None
    if len(options.manual) > 1:
        raise SnnlearnError(f"--manual has {len(options.manual)} runs; give one, or none for a small network")
    interrupts.raise_from_now_on()
    console = console_of()
    desk = _of_run(options, options.manual[0]) if options.manual else _small(options)
    server = PageServer(desk, options.port)
    with console.status("Compiling"):
        desk.warm()
    with serving(server) as address:
        console.print(f"Page: {address}\nOpen it in a browser on this machine; ctrl-C closes it.", soft_wrap=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    console.print("Closed.")
    return 0


def _of_run(options: Tune, path: Path) -> Desk:
    folder = RunFolder.open(path, allow=options.allow)
    keep_compiled_programs()
    hypothesis, _ = folder.load()
    title = f"{path.resolve().name} · {folder.options().data}"
    out = options.out or path / "manual"
    task = data_of(folder)
    build.only_classes(task, "tune")
    return Desk(hypothesis, task, title=title, options=folder.options(), out=out)


def _small(options: Tune) -> Desk:
    """A small network of the options, trained for a moment."""
    keep_compiled_programs()
    usual = Train()
    layers = _LAYERS if options.layers == usual.layers else options.layers
    settings = {"layers": layers, "epochs": options.epochs or _EPOCHS, "seeds": 1}
    task = build.dataset(options)
    build.only_classes(task, "tune")
    train, _ = chosen(build.training(options, settings, several_rules=False), task)
    with console_of().status("Training a small network"):
        experiment = build.experiment(train, task)
        training = experiment.run(lambda _: interrupts.check())
    hypothesis = experiment.hypotheses(training)[0]
    title = f"{task.name} · {'-'.join((*layers, str(task.num_classes)))}, trained for {settings['epochs']} epochs"
    return Desk(hypothesis, task, title=title, options=train, out=options.out or Path("runs") / "manual")
