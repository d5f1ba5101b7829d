"""A trial by bad input: cases drawn from the options and the file formats themselves, each run as the shell would.

    python -m tests.cli.trial --cases 1500

A case is a command in a folder of small valid files of which at most one has been spoilt. It runs in a process forked
from this one, which has imported everything, so that it costs what the command does. Whatever is drawn, the command has
to end within 20 s, and either refuse in one sentence and leave the folder as it was, or succeed with finite numbers.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from .bad_inputs import Case, cases
from .good_inputs import write_good_inputs

SECONDS = 20
MEMORY = 6 << 30
# The size of a pipe: more output than this would block, and no command has reason for it.
_PIPE_SIZE = 1 << 20
_PYTHON = re.compile(r"Traceback|\b[A-Z]\w+(Error|Exception)\b|<class |object at 0x|\[Errno|NoneType|dtype\(|jax\.|XLA")


@dataclass
class Outcome:
    """What became of a case; no faults is good."""

    case: Case
    status: int | None
    out: str
    err: str
    seconds: float
    faults: list[str] = field(default_factory=list)


def draw(number: int, seed_of_draws: int, good: Path) -> list[Case]:
    """Different cases, of equal seeds the same."""
    found: dict[str, Case] = {}

    @seed(seed_of_draws)
    @settings(
        max_examples=2 * number,  # some are drawn again
        phases=[Phase.generate],
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(good))
    def collect(case: Case) -> None:
        found.setdefault(repr(case), case)

    collect()
    return list(found.values())[:number]


def run(chosen: list[Case], good: Path, *, jobs: int, seconds: float) -> Iterator[Outcome]:
    """Run the cases in processes of their own, side by side; begin none after some seconds."""
    waiting, running, start = list(reversed(chosen)), {}, time.monotonic()
    while waiting or running:
        if time.monotonic() - start > seconds:
            waiting = []
        while waiting and len(running) < jobs:
            child = _Child(waiting.pop(), good)
            running[child.process] = child
        for process, child in list(running.items()):
            if child.ended():
                del running[process]
                yield child.outcome()
        time.sleep(0.005)


class _Child:
    """One case in a process of its own."""

    def __init__(self, case: Case, good: Path):
        self.case = case
        self.folder = Path(tempfile.mkdtemp(prefix="trial-"))
        shutil.copytree(good, self.folder, dirs_exist_ok=True)
        case.prepare(self.folder)
        self.before = snapshot(self.folder)
        self.pipes = [_pipe(), _pipe()]
        self.start, self.status, self.faults = time.monotonic(), None, []
        self.computed, self.last_computed = 0.0, 0.0
        self.process = os.fork()
        if self.process == 0:
            _be_the_command(case, self.folder, *(write for _, write in self.pipes))
        for _, write in self.pipes:
            os.close(write)

    def ended(self) -> bool:
        """Whether the process has ended; one that hangs is stopped."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        if process:
            self.status = os.waitstatus_to_exitcode(status)
            return True
        # A machine that is busy with others is no fault of the command: what counts is that it waits, or computes on.
        elapsed, computed = time.monotonic() - self.start, _processor_seconds(self.process)
        if computed > self.computed + 0.1:
            self.computed, self.last_computed = computed, elapsed
        if elapsed > SECONDS and (computed > SECONDS or elapsed - self.last_computed > SECONDS / 2):
            self.faults.append(f"hangs: {computed:.0f} s of computing in {elapsed:.0f} s")
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            return True
        return False

    def outcome(self) -> Outcome:
        """What the command did, judged."""
        out, err = (_read(read) for read, _ in self.pipes)
        found = Outcome(self.case, self.status, out, err, time.monotonic() - self.start, self.faults)
        if self.status is not None:
            found.faults += judge(found, self.folder, self.before)
        shutil.rmtree(self.folder)
        return found


def judge(found: Outcome, folder: Path, before: dict[str, str]) -> list[str]:
    """What is wrong with how a command ended, and with what it left in its folder."""
    faults = []
    after = snapshot(folder)
    new = sorted(after.keys() - before.keys())
    changed = sorted(name for name in before if after.get(name) != before[name] and name not in found.case.may_change)
    if _PYTHON.search(found.err) or _PYTHON.search(found.out):
        faults.append("speaks Python")
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", found.err + found.out):
        faults.append("prints control characters")
    if changed:
        faults.append(f"changes {', '.join(changed)}")
    if temporary := [name for name in new if Path(name).name.endswith(".tmp")]:
        faults.append(f"leaves {', '.join(temporary)}")
    if found.status == 0:
        if found.case.refused:
            faults.append("accepts what is no number")
        with contextlib.chdir(folder):
            faults += [fault for name in new + changed for fault in _not_finite(Path(name))]
    elif found.status == 2:
        sentence = found.err.startswith("error: ") and found.err.count("\n") == 1 and len(found.err) < 1200
        if not (sentence or "--help" in found.err) and not found.case.mute:  # the parser's own are longer
            faults.append("no single sentence")
        if new and not found.case.may_stop_midway:
            faults.append(f"leaves {', '.join(new)}")
    elif found.status != 141 or not found.case.mute:
        faults.append(f"ends with {found.status}")
    return faults


def _not_finite(path: Path) -> list[str]:
    """What a result must not hold."""
    if not path.is_file():
        return []
    if path.suffix in (".json", ".jsonl"):
        if path.name != "comparison.json" and re.search(r"\b(NaN|Infinity)\b", path.read_text(encoding="utf-8")):
            return [f"writes NaN to {path.name}"]
    elif path.suffix == ".npz" and path.name != "checkpoint.npz":
        with np.load(path) as arrays:
            held = [arrays[name] for name in arrays]
        if not all(np.isfinite(array).all() for array in held if array.dtype.kind == "f"):
            return [f"writes NaN to {path.name}"]
    return []


def _be_the_command(case: Case, folder: Path, out: int, err: int) -> None:
    """Run it in this process, which it never leaves."""
    status = 1
    try:
        os.chdir(folder)
        os.environ.update({"XDG_CACHE_HOME": str(_CACHE), "COLUMNS": "100", **case.environment})
        os.dup2(os.open(case.out, os.O_WRONLY) if case.out else out, 1)
        os.dup2(err, 2)
        if case.reader_leaves:
            read, write = os.pipe()
            os.close(read)
            os.dup2(write, 1)
        encoding = case.environment.get("PYTHONIOENCODING", "utf-8")
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)
        sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if case.disk is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (case.disk, case.disk))
        from snnlearn.cli import main

        try:
            status = main(list(case.arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        try:
            sys.stdout.flush()
        except OSError as error:
            print(f"Traceback at the end: {error!r}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(status)


_CACHE = Path(tempfile.gettempdir()) / f"trial-cache-{os.getpid()}"


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return read, write


def _read(file: int) -> str:
    with os.fdopen(file, "rb") as stream:
        return stream.read().decode(errors="backslashreplace")


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def snapshot(folder: Path) -> dict[str, str]:
    """All there is below a folder: files by their content."""
    found = {}
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder)).decode(errors="backslashreplace")
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    return found


def main() -> int:
    """Draw, run, print each bad outcome and how many there are of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after so many")
    parser.add_argument("--only", default="", help="only cases whose kind contains this")
    parser.add_argument("--log", help="a file for every outcome, one JSON object in a line")
    options = parser.parse_args()
    # Everything that a command imports, and nothing that starts a thread: what is forked has one.

    from snnlearn.cli import (  # noqa: F401  # imported for what is forked
        certify,
        commands,
        compare,
        convert,
        deploy,
        gradients,
        no_free_lunch,
        paired,
        risk,
        sweep,
        tune,
    )

    with tempfile.TemporaryDirectory() as name:
        good = Path(name) / "good"
        process = os.fork()
        if process == 0:
            os.environ["XDG_CACHE_HOME"] = str(_CACHE)
            status = 1
            try:
                write_good_inputs(good)
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(process, 0)[1]:
            raise SystemExit("the good inputs could not be made")
        chosen = [case for case in draw(options.cases, options.seed, good) if options.only in case.kind]
        faults, kinds, refused = collections.Counter(), collections.Counter(), 0
        started = time.monotonic()
        with open(options.log or os.devnull, "w") as log:
            for found in run(chosen, good, jobs=options.jobs, seconds=options.seconds):
                kinds[found.case.kind] += 1
                refused += found.status == 2 and not found.faults
                for fault in found.faults:
                    faults[re.split(r"[:0-9]", fault)[0].strip()] += 1
                if found.faults:
                    print(
                        f"{str(found.case)[:500]}\n  {'; '.join(found.faults)}\n  {found.err.strip()[-300:]}",
                        flush=True,
                    )
                line = {"case": repr(found.case), "kind": found.case.kind, "status": found.status}
                line |= {"faults": found.faults, "err": found.err, "out": found.out[:500], "seconds": found.seconds}
                log.write(json.dumps(line) + "\n")
    shutil.rmtree(_CACHE, ignore_errors=True)
    total = sum(kinds.values())
    print(f"{total} cases in {time.monotonic() - started:.0f} s; {refused} refused in one sentence")
    print("drawn:", dict(kinds))
    print("faults:", dict(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
