"""Settings of all tests: what JAX would silently correct is an error."""

from __future__ import annotations

import functools
import gc
import os
from pathlib import Path

import jax
import pytest
from jax._src.interpreters import mlir

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
# Tests are many small programs, each run a few times: compiling them is most of the work. So none is optimised, loops
# are emitted without MLIR, and each program in one piece, which halves the work; other processes inherit the flags.
# (To keep programs on disk for the tests that follow costs more than it saves: one in ten is asked for again.)
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_traceback_in_locations_limit", 0)  # Nobody reads where in the source each operation comes from.
_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()
# JAX makes an MLIR context for each program, in which it registers all dialects anew: a fifth of what a program of one
# operation costs. One for all will do where nobody minds that it grows.
mlir.make_ir_context = functools.cache(mlir.make_ir_context)

# Long files, and folders of them. They come first, so that the workers end together (with `--no-loadscope-reorder`); a
# folder as a whole, since its files share fixtures.
_LONG = ("test_sklearn", "cli", "rules", "kernels", "network", "neurons")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, not what is in them."""

    def place(item: pytest.Item) -> int:
        names = (item.path.stem, item.path.parent.name)
        return min((_LONG.index(name) for name in names if name in _LONG), default=len(_LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and never among what stays: tracing makes many objects, of which few are garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture
def x64():
    """Double precision, for derivatives and closed forms."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forget compiled programs before there are too many: Linux maps at most 65,530 pieces of memory for a process.

    Each program takes several, and XLA crashes when it gets no more.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        gc.unfreeze()
        jax.clear_caches()
    # What the caches of a module hold stays: to look through it again with every further module costs seconds each.
    gc.collect()
    gc.freeze()
