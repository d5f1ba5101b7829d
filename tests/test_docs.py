"""The documentation is true: its code runs, it names everything public, and imports go one way."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import jax
import pytest

import snnlearn

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "snnlearn"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)

# --- its code runs


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.name)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """All blocks of a page in order, as one program, in an empty folder, under the settings that a reader has."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    text = page.read_text()
    for block in BLOCK.finditer(text):
        # As many empty lines as stand before the block, so that a traceback names the page's own line.
        code = "\n" * text.count("\n", 0, block.start(1)) + block.group(1)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            exec(compile(code, str(page), "exec"), namespace)


# --- it names everything public


def _exported(package):
    """The names that a package's `__init__` hands on: `__all__`, or else `import x as x`."""
    if hasattr(package, "__all__"):
        return list(package.__all__)
    tree = ast.parse(inspect.getsource(package))
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [alias.name for alias in imports if alias.asname == alias.name]


ABSENT = {"aeon"} - {module.name for module in pkgutil.iter_modules()}
"""Packages whose only reason is another one, which is not installed here."""


def _public_packages():
    names = [module.name for module in pkgutil.iter_modules([str(SOURCE)]) if not module.name.startswith("_")]
    return ["snnlearn", *(f"snnlearn.{name}" for name in names if name not in ABSENT)]


def _documented():
    """Every object that a page of the reference shows, under the path by which it shows it."""
    pages = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "api").glob("*.md")))
    paths = re.findall(r"^::: ([\w.]+)", pages, re.MULTILINE)
    return {path: pkgutil.resolve_name(path) for path in paths if path.split(".")[1] not in ABSENT}


@pytest.mark.parametrize("package", _public_packages())
def test_everything_public_is_documented(package):
    module = importlib.import_module(package)
    objects = {name: getattr(module, name) for name in _exported(module) if name not in ABSENT}
    objects = {name: thing for name, thing in objects.items() if not inspect.ismodule(thing)}
    described = {name: thing for name, thing in objects.items() if inspect.isclass(thing) or inspect.isroutine(thing)}
    assert inspect.getdoc(module), f"{package} has no docstring"
    silent = [name for name, thing in described.items() if not thing.__doc__]
    assert not silent, f"without a docstring in {package}: {silent}"
    known = {id(thing) for thing in _documented().values()}  # by identity: `sl.fit` is `sl.algorithms.fit`
    missing = [f"::: {package}.{name}" for name, thing in objects.items() if id(thing) not in known]
    assert not missing, "docs/api lacks these lines:\n" + "\n".join(missing)


def test_the_reference_shows_only_what_is_public():
    public = {
        f"{package}.{name}" for package in _public_packages() for name in _exported(importlib.import_module(package))
    }
    shown = {path for path, thing in _documented().items() if not inspect.ismodule(thing)}
    assert shown <= public


# --- imports go one way: data → coding → … → report → cli, the table of docs/architecture.md

ORDER = (
    "data",
    "coding",
    "neurons",
    "kernels",  # second implementations of a neuron's hot path: what runs a network chooses between them
    "network",
    "hypothesis",  # encoder → network → decoder: what the loss judges and the algorithm returns
    "model_file",
    "environments",
    "losses",
    "rules",
    "algorithms",
    "conversion",
    "sklearn",
    "aeon",
    "risk",
    "streaming",
    "circuits",
    "report",
    "cli",
)


def _imports(source: str, path: str) -> set[str]:
    """The parts of snnlearn (`neurons`, `_errors`, …) that a module imports, wherever in the file."""
    parents = ("snnlearn", *Path(path).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else ()
            names = [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] if "." in name else "" for name in names if name.split(".")[0] == "snnlearn"}
    return found


def _upward_imports(files: dict[str, str]) -> list[str]:
    """Imports against the order; one of a private top-level module counts as one of all that it imports."""
    imports = {path: _imports(source, path) for path, source in files.items()}

    def reached(parts, seen=frozenset()):
        for part in parts - seen:
            private = part.startswith("_")
            yield from reached(imports.get(f"{part}.py", set()), seen | {part}) if private else [part]

    wrong = []
    for path, parts in imports.items():
        here = Path(path).parts[0].removesuffix(".py")
        if here not in ORDER:
            continue
        allowed = ORDER[: ORDER.index(here) + 1]
        wrong += [f"{path} imports {part or 'snnlearn'}" for part in sorted(reached(parts)) if part not in allowed]
    return wrong


def test_imports_go_one_way():
    files = {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    assert _upward_imports(files) == []


def test_every_part_has_its_place():
    parts = {path.removeprefix("snnlearn.") for path in _public_packages()} - {"snnlearn", "testing"}
    assert parts <= set(ORDER), f"parts without a place in the order: {parts - set(ORDER)}"


@pytest.mark.parametrize(
    "source",
    [
        "from snnlearn.network import Layer",
        "from snnlearn import network",
        "import snnlearn.network.layer",
        "from ..network import Layer",
        "from .. import network",
        "def late():\n    from snnlearn import network",
        "import snnlearn as sl",
        "from snnlearn import testing",
        "from snnlearn._through import Layer",
    ],
)
def test_an_import_against_the_order_is_found(source):
    files = {"neurons/lif.py": source, "_through.py": "from snnlearn.network import Layer"}
    assert len(_upward_imports(files)) == 1


def test_imports_along_the_order_are_allowed():
    source = (
        "import jax\nfrom snnlearn.neurons import LIF\nfrom . import layer\nfrom snnlearn._errors import SnnlearnError"
    )
    assert _upward_imports({"network/network.py": source, "_errors.py": ""}) == []


def test_snnlearn_is_the_package_under_test():
    assert Path(snnlearn.__path__[0]) == SOURCE


def test_the_search_of_the_pages_works_from_disk_and_loads_nothing_from_elsewhere():
    """mkdocs-material hides the search box on pages opened from disk, unless `offline`, which fetches this script."""
    config = (ROOT / "mkdocs.yml").read_text()
    assert "\n  - offline" in config
    (shim,) = re.findall(r"polyfills: \[(.*iframe-worker.*)\]", config)
    assert (ROOT / "docs" / shim).is_file()
