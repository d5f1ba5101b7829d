"""Public docstrings say `Raises:` where something is raised, and nowhere else."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "snnlearn"
RAISERS = ("check", "_check", "demand")  # what is called so raises: checked, check_fields, check_positive, …
CONSTRUCTORS = ("__init__", "__post_init__", "__check_init__")  # documented by the class's docstring

PACKAGE = re.compile(r"snnlearn/(\w+/)?__init__.py")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Documented(NamedTuple):
    """A public docstring, the functions that it documents, and the class around them."""

    name: str
    docstring: str
    functions: list[Function]
    owner: ast.ClassDef | None


class Module:
    """A file: its functions, and its classes with their methods."""

    def __init__(self, source: str):
        self.tree = ast.parse(source)
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, Function)}
        self.classes = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    def documented(self, name: str) -> Iterator[Documented]:
        """What a reader of a public name is shown."""
        if name in self.functions:
            function = self.functions[name]
            yield Documented(name, ast.get_docstring(function) or "", [function], None)
        elif name in self.classes:
            owner = self.classes[name]
            methods = _methods(owner)
            constructors = [methods[special] for special in CONSTRUCTORS if special in methods]
            docstrings = [ast.get_docstring(node) or "" for node in [owner, *constructors]]
            yield Documented(name, "\n".join(docstrings), constructors, owner)
            for method in methods.values():
                if method.name == "__call__" or not method.name.startswith("_"):
                    yield Documented(f"{name}.{method.name}", ast.get_docstring(method) or "", [method], owner)

    def raises(self, described: Documented) -> bool:
        """Whether one of the functions raises, itself or by a private helper of the same file, one level down."""
        helpers = {name: node for name, node in self.functions.items() if name.startswith("_")}
        own = {} if described.owner is None else _methods(described.owner)
        for function in described.functions:
            called = _called(function)
            down = [node for name, node in (helpers | own).items() if name in called and name.startswith("_")]
            if _raises_itself(function) or any(map(_raises_itself, down)):
                return True
        return False


def _methods(owner: ast.ClassDef) -> dict[str, Function]:
    return {node.name: node for node in owner.body if isinstance(node, Function)}


@functools.cache
def _called(node: ast.AST) -> frozenset[str]:
    """The last part of the name of everything that is called."""
    return frozenset(_name(call.func) for call in ast.walk(node) if isinstance(call, ast.Call))


@functools.cache
def _raises_itself(function: Function) -> bool:
    """By `raise`, or by a check; Python's own exceptions are for callers inside the library, except a broken law."""
    raised = [node.exc for node in ast.walk(function) if isinstance(node, ast.Raise) and node.exc is not None]
    names = [_name(exc.func if isinstance(exc, ast.Call) else exc) for exc in raised]
    ours = any(not hasattr(builtins, name) or name == "AssertionError" for name in names)
    checks = [decorator.id for decorator in function.decorator_list if isinstance(decorator, ast.Name)]
    return ours or any(name.startswith(RAISERS) for name in [*_called(function), *checks])


class Library:
    """All files, and the names that the packages export."""

    def __init__(self, files: dict[str, str]):
        self.modules = {path: Module(source) for path, source in files.items()}
        self.classes = {name: node for module in self.modules.values() for name, node in module.classes.items()}
        self.raising = self._names_that_raise()

    def _names_that_raise(self) -> set[str]:
        """Names of functions and classes that raise, however deep."""
        calls: dict[str, set[str]] = {}
        raising: set[str] = set()
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, Function):
                    calls.setdefault(node.name, set()).update(_called(node))
                    raising |= {node.name} if _raises_itself(node) else set()
                elif isinstance(node, ast.ClassDef):
                    special = [method for name, method in _methods(node).items() if name in CONSTRUCTORS]
                    calls.setdefault(node.name, set()).update(*map(_called, special))
                    raising |= {node.name} if any(map(_raises_itself, special)) else set()
        while more := {name for name, called in calls.items() if name not in raising and called & raising}:
            raising |= more
        return raising

    def exported(self) -> Iterator[tuple[Module, Documented]]:
        """Every docstring of the reference: what `snnlearn` and its packages hand on."""
        for path, module in self.modules.items():
            if not PACKAGE.fullmatch(path):
                continue
            for node in ast.walk(module.tree):
                home = isinstance(node, ast.ImportFrom) and f"{(node.module or '').replace('.', '/')}.py"
                if isinstance(node, ast.ImportFrom) and home in self.modules:
                    for alias in node.names:
                        for described in self.modules[home].documented(alias.name):
                            yield self.modules[home], described

    def said_by_a_base(self, described: Documented) -> bool:
        """Whether a class above says `Raises:` of the method of this name."""
        method, owner = described.functions[0].name, described.owner
        bases = [] if owner is None else [name for base in owner.bases if (name := _name(base)) in self.classes]
        for base in map(self.classes.__getitem__, bases):
            inherited = _methods(base).get(method)
            if inherited is not None and "Raises:" in (ast.get_docstring(inherited) or ""):
                return True
            if self.said_by_a_base(described._replace(owner=base)):
                return True
        return False

    def wrong(self) -> list[str]:
        """The public names whose docstring says too little, or too much."""
        sentences = []
        for module, described in self.exported():
            raises, says = module.raises(described), "Raises:" in described.docstring
            if raises and not says and not (described.functions and self.said_by_a_base(described)):
                sentences.append(f"{described.name} raises, but has no `Raises:`")
            names = {name for function in described.functions for name in [function.name, *_called(function)]}
            if says and not (raises or names & self.raising):  # of its own name: by the methods that override it
                sentences.append(f"{described.name} has `Raises:`, but raises nothing")
        return sorted(set(sentences))


def _name(node: ast.expr) -> str:
    """`Base` of `Base`, `module.Base` and `Base[T]`."""
    match node:
        case ast.Subscript(value=value):
            return _name(value)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def test_raises_is_said_where_something_is_raised_and_nowhere_else():
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if SOURCE / "cli" not in path.parents]
    files = {str(path.relative_to(SOURCE.parent)): path.read_text() for path in paths}
    wrong = Library(files).wrong()
    assert not wrong, "\n".join(wrong)


SAYS = '"""It.\n\n        Raises:\n            SnnlearnError: always.\n        """'


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('def it():\n    """It."""\n    raise SnnlearnError("no")', True),
        ('@checked\ndef it(x):\n    """It."""', True),
        ('def it():\n    """It."""\n    _fit()\ndef _fit():\n    raise SnnlearnError("no")', True),
        ('class it:\n    """It."""\n    def __check_init__(self):\n        check_positive(self)', True),
        ('class it:\n    """It."""\n    def fit(self):\n        """Fit."""\n        self._fit()\n'
         '    def _fit(self):\n        raise SnnlearnError("no")', True),
        (f"def it():\n    {SAYS}\n    return 1", True),
        (f"def it():\n    {SAYS}\n    return other()\ndef other():\n    raise SnnlearnError('no')", False),
        ('def it():\n    """It."""\n    raise NotImplementedError', False),
        (f'class Base:\n    def fit(self):\n        {SAYS}\nclass it(Base[int]):\n    """It."""\n'
         '    def fit(self):\n        """See the base."""\n        check(self)', False),
    ],
)  # fmt: skip
def test_a_docstring_that_says_too_little_or_too_much_is_found(body, wrong):
    files = {"snnlearn/__init__.py": "from snnlearn.a import it", "snnlearn/a.py": body}
    assert bool(Library(files).wrong()) is wrong
