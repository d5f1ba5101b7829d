"""Settings of all tests: what JAX would quietly mend is an error."""

from __future__ import annotations

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def x64():
    """Double precision, for derivatives and closed forms."""
    with jax.enable_x64(True):
        yield
