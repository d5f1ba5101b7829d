"""What the long scripts in `benchmarks/reproductions` find at once: first losses, to the digits of the references."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import jax
import numpy as np

SCRIPTS = Path(__file__).resolve().parents[1] / "benchmarks" / "reproductions"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pattern_generation_starts_with_the_published_losses(x64):
    generation = script("eprop_pattern_generation")
    errors, _ = generation.train("random", 5)
    np.testing.assert_allclose(errors, generation.REFERENCE, rtol=1e-6)
    # The first loss knows nothing of the rule; the second does.
    symmetric, _ = generation.train("symmetric", 2)
    assert abs(symmetric[1] / generation.REFERENCE[1] - 1) > 1e-4


def test_evidence_accumulation_starts_with_the_published_losses():
    evidence = script("eprop_evidence_accumulation")
    with jax.numpy_dtype_promotion("standard"):
        first = evidence.first_losses()
    np.testing.assert_allclose(first, evidence.REFERENCE, rtol=1e-6)
