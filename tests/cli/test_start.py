"""What happens between the shell and the first computation."""

from __future__ import annotations

import subprocess
import sys

import pytest

from snnlearn.cli import commands, main


def test_help_needs_no_jax():
    code = (
        "import sys\nfrom snnlearn.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('jax', 'numpy', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--learning-rate FLOAT" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_imports_start_no_device():
    """Forks, and processes that are to become one, need JAX as it was installed."""
    code = (
        "import snnlearn.cli.commands, snnlearn.cli.convert, snnlearn.cli.manual, snnlearn.cli.tune, snnlearn.sklearn\n"
        "from jax._src import xla_bridge\n"
        "print(list(xla_bridge._backends))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_arguments_show_the_commands(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("train", "evaluate", "predict", "encode"))


def test_a_reader_that_leaves_is_no_error(start):
    """As in `snnlearn train --help | head -1`, here with a reader that is gone before the first line."""
    process = start("train", "--help", first="import time; time.sleep(0.3)")
    process.stdout.close()
    process.wait()
    assert (process.returncode, process.stderr.read()) == (141, "")
    process.stdout = None


def test_what_the_machine_refuses_is_one_sentence(monkeypatch, capsys):
    def train(_):
        raise OSError(28, "No space left on device", "runs/digits/metrics.jsonl")

    monkeypatch.setattr(commands, "train", train)
    assert main(["train"]) == 2
    said = "runs/digits/metrics.jsonl cannot be used (no space left on device); free some space, or give another path"
    assert capsys.readouterr().err == f"error: {said}\n"
