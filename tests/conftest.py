"""Settings of all tests: what JAX would quietly mend is an error."""

from __future__ import annotations

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
# Tests are many small programs, each run a few times: compiling them is most of the work.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """Double precision, for derivatives and closed forms."""
    with jax.enable_x64(True):
        yield
