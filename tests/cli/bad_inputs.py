"""Strategies of bad input: values outside each option's type and range, and valid files that have been spoilt."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import struct
import tomllib
import typing
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import tomli_w
from hypothesis import strategies as st

from snnlearn.cli import options as commands

from .good_inputs import SMALL, TINY, idx

CONVERT = ("--num-steps", "2", "--samples", "8", "--out", "out")
COMMANDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "train": (commands.Train, (*TINY, "--out", "out")),
    "convert": (commands.Convert, ("mlp.skops", "--data", "mlp.npz", *CONVERT)),
    "evaluate": (commands.Evaluate, ("run",)),
    "predict": (commands.Predict, ("run", "x.npy")),
    "encode": (commands.Encode, ("x.npy", "--num-steps", "9", "--codes", "rate", "--out", "codes.npz")),
    "compare": (
        commands.Compare,
        (*SMALL, "--epochs", "2", "--rules", "bptt", "--learning-rates", "0.1", "--out", "out"),
    ),
    "gradients": (commands.Gradients, (*SMALL, "--rules", "bptt", "--repeats", "2", "--out", "out")),
    "data": (commands.Data, ("blobs.npz", "--out", "out")),
    "risk": (commands.Risk, ("run", "--bits", "4")),
    "deploy": (commands.Deploy, ("run", "--mismatch", "0.2", "--chips", "2")),
    "no-free-lunch": (commands.NoFreeLunch, ("--points", "2", "--samples", "1", "--out", "out")),
    "certify": (commands.Certify, (*TINY, "--bound-epochs", "1", "--networks", "1", "--out", "out")),
    "sweep": (commands.Sweep, (*TINY, "--seeds", "2", "--vary", "xi=1,2", "--sizes", "--out", "out")),
    "tune": (
        commands.Tune,
        (*TINY, "--vary", "xi=1..2", "--trials", "1", "--confirm-seeds", "2", "--seeds", "1", "--out", "out"),
    ),
}


_RISK = tuple(f"run/{name}.{kind}" for name in ("risk", "deploy-ideal") for kind in ("json", "html"))


@dataclass(frozen=True)
class Case:
    """A command, and what is unusual around it.

    Args:
        kind: Which strategy drew it.
        arguments: The command line.
        files: What is written over the good inputs, by path; None is a pipe without a writer.
        refused: Whether it holds what is no number, which no command may accept.
        may_change: Files that the command is there to change.
        may_stop_midway: Whether a run may be left that can be gone on with.
        environment: Variables.
        out: A device instead of the pipe.
        reader_leaves: Whether nobody reads the output.
        disk: The largest file that can be written, in bytes.
        mute: Whether its sentence may have nowhere to go.
    """

    kind: str
    arguments: tuple[str, ...]
    files: dict[str, bytes | None] = dataclasses.field(default_factory=dict)
    refused: bool = False
    may_change: tuple[str, ...] = ()
    may_stop_midway: bool = False
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    out: str | None = None
    reader_leaves: bool = False
    disk: int | None = None
    mute: bool = False

    def prepare(self, folder: Path) -> None:
        """Write the files that are not as they should be."""
        for name, content in self.files.items():
            path = folder / name
            path.unlink(missing_ok=True)
            if content is None:
                os.mkfifo(path)
            else:
                path.write_bytes(content)

    def __repr__(self) -> str:
        files = {name: "a FIFO" if content is None else _short(content) for name, content in self.files.items()}
        rest = (("files", files), ("env", self.environment), ("out", self.out), ("disk", self.disk))
        return " ".join([f"[{self.kind}] snnlearn", *map(repr, self.arguments), *(f"{n}={v}" for n, v in rest if v)])


def _short(content: bytes) -> str:
    import hashlib

    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:8]}"


# --- values -----------------------------------------------------------------------------------------------------------

# What a shell can pass: no NUL; bytes that are no UTF-8 arrive as lone surrogates.
HOSTILE = st.text(
    st.sampled_from("ab1.-_=/,[]{}'\"\\<>& \n\t\r\x1b\x07\x9b\u202e\u00e9\u0661\uff11\U0001f4a5\udcff"), max_size=12
)
WORDS = st.one_of(
    HOSTILE,
    st.sampled_from(
        [
            "",
            "nan",
            "inf",
            "1e9",
            "0x10",
            "1_000",
            "\uff11\uff12",
            "1,5",
            "9" * 5000,
            "None",
            "true",
            "\x1b[31mred\x1b[0m",
        ]
    ),
)
INTS = st.one_of(
    st.integers(max_value=0),
    st.integers(min_value=10**9),
    st.sampled_from([0, -1, 10**9, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**20, 10**400]),
).map(str)
FLOATS = st.one_of(
    st.sampled_from(["nan", "-nan", "inf", "-inf", "0", "-0.0", "-1", "1e308", "1e-320", "1e38", "1e-45", "1e400"]),
    st.floats().map(repr),
    st.floats(allow_nan=False, min_value=1e30).map(repr),
)
PATHS = st.one_of(
    HOSTILE.map(lambda text: text.lstrip("/")),
    st.sampled_from(
        [
            *("", ".", "..", "/", "nowhere", "nowhere/deeper", "blobs.npz", "blobs.npz/deeper", "run", "half", "sweep"),
            *("/dev/null", "/dev/full", "/proc/self/mem", "fifo.npz", "fifo.npy", "fifo.h5", "fifo.csv", "fifo.png"),
            *(
                "fifo.toml",
                "fifo.html",
                "fifo-idx3-ubyte",
                "folder.npz",
                "folder.html",
                "x" * 300 + ".npz",
                "x/" * 3000,
            ),
            *("a\nb.npz", "\x1b[31mred.npz", "<script>.npz", "\udcff.npz", "events.h5", "signal.csv", "image.png"),
        ]
    ),
)
FIFOS = ("fifo.npz", "fifo.npy", "fifo.h5", "fifo.csv", "fifo.png", "fifo.toml", "fifo.html", "fifo-idx3-ubyte")


def values(hint: Any) -> st.SearchStrategy[list[str]]:
    """Words for an option of this type, most of them bad."""
    if typing.get_origin(hint) is typing.Annotated:
        return values(typing.get_args(hint)[0])
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if type(None) in typing.get_args(hint):
        return values(kinds[0])
    if typing.get_origin(hint) is tuple:
        return st.lists(values(kinds[0]), max_size=4).map(lambda found: [word for one in found for word in one])
    if typing.get_origin(hint) is Literal:
        return st.one_of(WORDS, st.sampled_from(kinds)).map(lambda word: [word])
    if hint is bool:
        return st.one_of(st.just([]), WORDS.map(lambda word: [word]))
    kind = {int: INTS, float: FLOATS, Path: PATHS, str: st.one_of(PATHS, LAYERS)}[hint]
    return st.one_of(kind, kind, kind, WORDS).map(lambda word: [word])


LAYERS = st.one_of(
    INTS,
    st.tuples(INTS, INTS).map(lambda n: f"{n[0]}c{n[1]}"),
    st.tuples(st.integers(1, 9), INTS).map(lambda n: f"{n[0]}c3p{n[1]}"),
    INTS.map(lambda n: f"p{n}"),
    st.just("100000000000000000000"),
    st.just("4c100000000000000000000"),
)


@st.composite
def option_cases(draw: st.DrawFn) -> Case:
    """A command with one or two of its options' values drawn."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    options, base = COMMANDS[command]
    hints = typing.get_type_hints(options, include_extras=True)
    # The page of tune --manual is served until ctrl-C.
    names = [f.name for f in dataclasses.fields(options) if "Suppress" not in str(hints[f.name]) and f.name != "manual"]
    arguments, numbers = [command, *base], False
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        words = draw(values(hints[name]))
        numbers |= "nan" in words and "float" in str(hints[name])
        if "Positional" in str(hints[name]):
            arguments[1:2] = words if words and not words[0].startswith("-") else ["nowhere"]
        else:
            arguments += [f"--{name.replace('_', '-')}", *words]
    if command in ("sweep", "tune") and draw(st.booleans()):
        name, between = draw(st.sampled_from(names)), draw(st.sampled_from([",", ".."] if command == "tune" else [","]))
        arguments += ["--vary", f"{name}={between.join(word for _ in range(2) for word in draw(values(hints[name])))}"]
    files = dict.fromkeys(name for name in FIFOS if any(name in argument for argument in arguments))
    return Case("option", tuple(arguments), files, refused=numbers, may_change=_RISK)


# --- trees ------------------------------------------------------------------------------------------------------------

LEAVES = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 2**31, 10**9, 10**20, 0.5, float("nan"), float("inf"), -1e308, 1e30]),
    st.sampled_from(
        ["", "\x1b[31m", "a\x00b", "a\nb", "nan", "neurons.LIF", "coding.Current", [], {}, [[[]]], {"a": 1}]
    ),
    HOSTILE.map(lambda text: text.replace("\udcff", "x")),
    st.integers(),
    st.floats(),
)


def spoilt(draw: st.DrawFn, tree: Any) -> Any:
    """A JSON tree with a leaf or a branch replaced, removed or doubled."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(tree)))
        how = draw(st.sampled_from(["into", "into", "into", "into", "remove", "rename"]))
        if how == "into":
            return tree | {key: spoilt(draw, tree[key])}
        return {k: v for k, v in tree.items() if k != key} | ({draw(HOSTILE.map(_utf8)): 1} if how == "rename" else {})
    if isinstance(tree, list) and tree and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(tree) - 1))
        how = draw(st.sampled_from(["into", "into", "into", "remove", "double"]))
        new = {"into": lambda: [spoilt(draw, tree[place])], "remove": list, "double": lambda: 2 * [tree[place]]}[how]()
        return [*tree[:place], *new, *tree[place + 1 :]]
    return draw(LEAVES)


def _utf8(text: str) -> str:
    return text.replace("\udcff", "x")


def deep(draw: st.DrawFn) -> str:
    """What a parser that calls itself cannot read."""
    times = draw(st.sampled_from([100, 1000, 100_000]))
    return draw(st.sampled_from(["[" * times + "]" * times, '{"a":' * times + "1" + "}" * times]))


def json_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """JSON that has been spoilt as a tree, as text, or by depth."""
    how = draw(st.sampled_from(["tree", "tree", "tree", "bytes", "deep"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    if how == "deep":
        return deep(draw).encode()
    return json.dumps(spoilt(draw, json.loads(content))).encode()


def lines_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """JSON lines of which one has been spoilt, removed or doubled."""
    lines = content.splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    how = draw(st.sampled_from(["spoil", "spoil", "remove", "double", "bytes"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    new = {"spoil": lambda: [json_bytes(draw, lines[place])], "remove": list, "double": lambda: 2 * [lines[place]]}
    return b"\n".join([*lines[:place], *new[how](), *lines[place + 1 :]]) + b"\n"


def toml_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """TOML that has been spoilt."""
    how = draw(st.sampled_from(["tree", "tree", "tree", "bytes", "deep"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    if how == "deep":
        times = draw(st.sampled_from([100, 1000, 10_000]))
        return draw(
            st.sampled_from([f"a = {'[' * times}{']' * times}", "a." * times + "b = 1", f"[{'a.' * times}b]"])
        ).encode()
    try:
        return tomli_w.dumps(spoilt(draw, tomllib.loads(content.decode()))).encode()
    except (TypeError, AttributeError):  # None, or no table at the top
        return b"beta = nan\n"


def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes cut, overwritten, or with others between them."""
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    how = draw(st.sampled_from(["cut", "write", "insert", "empty", "double"]))
    if how == "cut":
        return content[:place]
    if how == "write":
        new = draw(st.binary(min_size=1, max_size=4))
        return content[:place] + new + content[place + len(new) :]
    if how == "insert":
        return content[:place] + draw(st.binary(min_size=1, max_size=8)) + content[place:]
    return b"" if how == "empty" else content + content


# --- arrays -----------------------------------------------------------------------------------------------------------


def spoilt_array(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """An array of another type, shape or content."""
    how = draw(st.sampled_from(["number", "number", "all", "type", "shape", "empty", "sign"]))
    if how in ("number", "all") and array.size:
        value = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1, 1e300, 2**31 - 1, 1e-40]))
        new = array.astype(np.int64 if isinstance(value, int) and array.dtype.kind != "f" else np.float64)
        flat = new.reshape(-1)
        flat[slice(None) if how == "all" else draw(st.integers(0, flat.size - 1))] = value
        with np.errstate(all="ignore"):
            return new.astype(array.dtype) if array.dtype.kind == "f" else new
    if how == "type":
        with np.errstate(all="ignore"):
            return array.astype(
                draw(st.sampled_from(["f2", "f8", ">f4", "i1", "u8", "c8", "U3", "S2", "?", "M8[s]", "V4"]))
            )
    if how == "shape":
        return draw(
            st.sampled_from(
                [array[None], array.T, array.reshape(-1), array[..., None], array[:-1] if array.ndim else array]
            )
        )
    if how == "empty":
        return array.reshape(-1)[:0]
    return (-array if array.dtype.kind in "if" else 1 - array) if array.dtype.kind in "uif" else array


def npy(array: np.ndarray) -> bytes:
    """The bytes of a NumPy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A NumPy file with another array, with a header that lies, or with spoilt bytes."""
    how = draw(st.sampled_from(["array", "array", "array", "header", "bytes"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    if how == "array":
        return npy(spoilt_array(draw, np.load(io.BytesIO(content))))
    header = draw(
        st.sampled_from(
            [
                "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000,), }",
                "{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000, 100000, 100000), }",
                "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }",
                "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
                "{'descr': '<f8', 'fortran_order': 3, 'shape': 2, }",
                "{'descr': 'zz', 'fortran_order': False, 'shape': (2,), }",
                "{'descr': [('a', '<f8')] * 3, 'shape': (2,)",
                "__import__('os').getcwd()",
                "[" * 900 + "]" * 900,
                "-" * 5000 + "1",
                "9" * 5000,
                "\x00\x01",
            ]
        )
    ).encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(48)


def npz_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """An archive of which one member is spoilt, missing, doubled, or not an array; or whose bytes are spoilt."""
    how = draw(st.sampled_from(["member", "member", "member", "member", "remove", "rename", "add", "bytes"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    if how == "add":
        members[draw(HOSTILE.map(_utf8)) + draw(st.sampled_from(["", ".npy"]))] = draw(st.binary(max_size=20))
    elif how == "member":
        spoil = structure_bytes if name == "structure.npy" else npy_bytes
        members[name] = spoil(draw, members[name])
    else:
        member = members.pop(name)
        if how == "rename":
            members[draw(HOSTILE.map(_utf8)) + ".npy"] = member
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)
    return buffer.getvalue()


def structure_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The JSON that is kept as an array of bytes in a model file."""
    return npy(np.frombuffer(json_bytes(draw, np.load(io.BytesIO(content)).tobytes()), np.uint8))


def idx_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """An IDX file with a header that lies, or with spoilt bytes."""
    header = st.sampled_from(
        [
            bytes([0, 0, 8, 255]) + struct.pack(">I", 1) * 255 + b"\0",
            bytes([0, 0, 8, 255]) + struct.pack(">I", 2**32 - 1) * 255,
            bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 4),
            bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 3, 3),
            bytes([0, 0, 8, 65]) + struct.pack(">I", 1) * 65 + b"\0",
            bytes([0, 0, 0x0E, 3]) + struct.pack(">3I", 1, 1, 1) + struct.pack(">d", float("nan")),
            idx(12, 9),
            idx(12, 3, 3, 1),
            idx(2, 3, 3),
        ]
    )
    return draw(header) if draw(st.booleans()) else spoilt_bytes(draw, content)


def csv_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A table with another cell, or spoilt bytes."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    if draw(st.booleans()):
        return spoilt_bytes(draw, content)
    row = draw(st.integers(0, len(rows) - 1))
    rows[row][draw(st.integers(0, 1))] = draw(st.one_of(FLOATS, HOSTILE))
    return "\n".join(map(",".join, rows)).encode(errors="surrogateescape")


def png_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """An image that says it is larger, or spoilt bytes."""
    if draw(st.booleans()):
        return spoilt_bytes(draw, content)
    import zlib

    size = draw(st.sampled_from([(0, 4), (2**31 - 1, 2**31 - 1), (100_000, 100_000), (20_000, 20_000), (4, 3)]))
    header = content[12:16] + struct.pack(">2I", *size) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def h5_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Events with other numbers, types, lengths or links; or spoilt bytes."""
    if draw(st.integers(0, 3)) == 0:
        return spoilt_bytes(draw, content)
    buffer = io.BytesIO(content)
    key = draw(st.sampled_from(["labels", "spikes/times", "spikes/units"]))
    with h5py.File(buffer, "r+") as file:
        how = draw(st.sampled_from(["number", "number", "remove", "type", "long", "link", "loop", "group", "ragged"]))
        if how == "number":
            dataset = file[key]
            assert isinstance(dataset, h5py.Dataset)
            kinds = (
                [-1, 0, 10**6, 2**31 - 2, 2**31 - 1]
                if key != "spikes/times"
                else [np.nan, np.inf, -1.0, 1e9, 1e30, 0.5]
            )
            value = draw(st.sampled_from(kinds))
            dataset[draw(st.integers(0, 19))] = value if key == "labels" else [value, value]
            return _closed(file, buffer)
        del file[key]
        if how == "type":
            file[key] = draw(
                st.sampled_from([np.arange(20) + 0.5, np.zeros((20, 2)), np.array([b"a"] * 20), 3, "words"])
            )
        elif how == "long":
            kind = np.int64 if key == "labels" else h5py.vlen_dtype(np.float32 if "times" in key else np.int32)
            file.create_dataset(key, (2**33,), kind, chunks=(2**20,))
        elif how == "link":
            file[key] = h5py.ExternalLink(draw(st.sampled_from(["fifo.h5", "nowhere.h5", "/dev/zero"])), "/labels")
        elif how == "loop":
            file[key] = h5py.SoftLink(f"/{key}")
        elif how == "group":
            file.create_group(key)
        elif how == "ragged":
            dataset = file.create_dataset(key, 20, h5py.vlen_dtype(np.int64 if "units" in key else np.float64))
            dataset[0] = np.arange(5)
        return _closed(file, buffer)


def _closed(file: h5py.File, buffer: io.BytesIO) -> bytes:
    file.flush()
    return buffer.getvalue()


def zip_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """An archive with a spoilt, missing or other member, or one that says that it is larger; or spoilt bytes."""
    how = draw(st.sampled_from(["member", "member", "member", "remove", "large", "bytes"]))
    if how == "bytes":
        return spoilt_bytes(draw, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    member = members.pop(name)
    if how == "member":
        numbers = name.endswith(".npy") and np.load(io.BytesIO(member)).dtype.kind in "fiu"
        spoil = json_bytes if name.endswith(".json") else npy_bytes if numbers else spoilt_bytes
        members[name] = spoil(draw, member)
    elif how == "large":
        members[name] = member + bytes(50_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


Spoil = Callable[[st.DrawFn, bytes], bytes]
_ON = ("--out", "out", "--layers", "4", "--epochs", "1", "--batch-size", "4", "--num-steps", "4")
_RUN = tuple(f"run/{name}" for name in ("report.html", "summary.json", "model.npz"))
_HALF = ("half/metrics.jsonl", "half/checkpoint.npz")
_SWEEP = ("sweep/summary.json", "sweep/report.html")

# Which files are spoilt, how, and which commands read them.
FILES: list[tuple[str, Spoil, list[tuple[str, ...]], tuple[str, ...]]] = [
    (
        "blobs.npz",
        npz_bytes,
        [
            ("train", "--data", "blobs.npz", *_ON),
            ("evaluate", "run", "--data", "blobs.npz"),
            ("risk", "run", "--data", "blobs.npz"),
            ("deploy", "run", "--data", "blobs.npz", "--chips", "2"),
        ],
        _RISK,
    ),
    ("mlp.npz", npz_bytes, [("convert", "mlp.skops", "--data", "mlp.npz", *CONVERT)], ()),
    ("mlp.skops", zip_bytes, [("convert", "mlp.skops", "--data", "mlp.npz", *CONVERT)], ()),
    ("model.keras", zip_bytes, [("convert", "model.keras", "--data", "images.npz", *CONVERT)], ()),
    ("model.h5", spoilt_bytes, [("convert", "model.h5", "--data", "images.npz", *CONVERT)], ()),
    ("model.onnx", spoilt_bytes, [("convert", "model.onnx", "--data", "images.npz", *CONVERT)], ()),
    (
        "weights.safetensors",
        spoilt_bytes,
        [
            (
                "convert",
                "weights.safetensors",
                "--data",
                "images.npz",
                "--layers",
                "4c3p1",
                "p2",
                "4c3p1",
                "p2",
                *CONVERT,
            )
        ],
        (),
    ),
    ("spikes.npz", npz_bytes, [("train", "--data", "spikes.npz", *_ON)], ()),
    (
        "x.npz",
        npz_bytes,
        [("predict", "run", "x.npz"), ("encode", "x.npz", "--out", "codes.npz", "--codes", "rate")],
        (),
    ),
    (
        "x.npy",
        npy_bytes,
        [("predict", "run", "x.npy"), ("encode", "x.npy", "--out", "codes.npz", "--codes", "rate")],
        (),
    ),
    ("signal.csv", csv_bytes, [("encode", "signal.csv", "--out", "codes.npz", "--codes", "rate", "delta")], ()),
    (
        "image.png",
        png_bytes,
        [("encode", "image.png", "--out", "codes.npz", "--codes", "rate"), ("predict", "run", "image.png")],
        (),
    ),
    ("events.h5", h5_bytes, [("train", "--data", "events.h5", *_ON)], ()),
    ("train-images-idx3-ubyte", idx_bytes, [("train", "--data", "mnist", "--data-folder", ".", *_ON)], ()),
    ("t10k-labels-idx1-ubyte", idx_bytes, [("train", "--data", "mnist", "--data-folder", ".", *_ON)], ()),
    (
        "t10k-images-idx3-ubyte",
        idx_bytes,
        [("encode", "t10k-images-idx3-ubyte", "--out", "c.npz", "--codes", "rate")],
        (),
    ),
    (
        "options.toml",
        toml_bytes,
        # What an empty file leaves at its default takes long.
        [
            ("train", "--config", "options.toml", "--out", "out", "--data", "blobs.npz", "--epochs", "1"),
            ("certify", "--config", "options.toml", *COMMANDS["certify"][1]),
        ],
        (),
    ),
    (
        "run/model.npz",
        npz_bytes,
        [("predict", "run", "x.npy"), ("evaluate", "run"), ("risk", "run", "--bits", "4")],
        _RISK,
    ),
    ("run/config.toml", toml_bytes, [("evaluate", "run"), ("risk", "run", "--bits", "4")], _RISK),
    (
        "run/run.json",
        json_bytes,
        [("evaluate", "run"), ("predict", "run", "x.npy"), ("train", "--resume", "run")],
        _RUN,
    ),
    ("half/checkpoint.npz", npz_bytes, [("train", "--resume", "half")], _HALF),
    ("half/metrics.jsonl", lines_bytes, [("train", "--resume", "half")], _HALF),
    ("half/config.toml", toml_bytes, [("train", "--resume", "half")], _HALF),
    ("sweep/config.toml", toml_bytes, [("sweep", "--resume", "sweep")], _SWEEP),
    ("sweep/sweep.json", json_bytes, [("sweep", "--resume", "sweep")], _SWEEP),
    ("sweep/configurations/000.json", json_bytes, [("sweep", "--resume", "sweep")], _SWEEP),
]


@st.composite
def file_cases(draw: st.DrawFn, good: Path) -> Case:
    """A command that reads a spoilt file, or a pipe in the file's place."""
    name, spoil, lines, may_change = draw(st.sampled_from(FILES))
    fifo = draw(st.integers(0, 19)) == 0
    content = None if fifo else spoil(draw, (good / name).read_bytes())
    files = {name: content, "fifo.h5": None}
    return Case(
        f"file {name}",
        draw(st.sampled_from(lines)),
        files,
        refused=content is not None and _holds_no_number(name, content),
        may_change=may_change,
        may_stop_midway=name.startswith(("half", "sweep")),
    )


def _holds_no_number(name: str, content: bytes) -> bool:
    """Whether an archive's arrays, of those that matter, hold NaN or infinity."""
    if not name.endswith((".npz", ".npy")):
        return False
    try:
        found = np.load(io.BytesIO(content))
        read = {"blobs.npz": "x", "x.npz": "x", "spikes.npz": "x", "mlp.npz": "x"}.get(name)
        arrays = [found] if isinstance(found, np.ndarray) else [found[n] for n in found if read is None or n == read]
        return any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in arrays)
    except Exception:  # it is spoilt
        return False


# --- surroundings -----------------------------------------------------------------------------------------------------


@st.composite
def surrounding_cases(draw: st.DrawFn) -> Case:
    """A good command on a terminal, a disk or a pipe that is none."""
    command = draw(st.sampled_from(["predict", "encode", "risk", "evaluate", "train", "train --help", "sweep --help"]))
    name, _, rest = command.partition(" ")
    arguments = (name, rest) if rest else (name, *COMMANDS[name][1])
    if draw(st.integers(0, 3)) == 0:
        arguments = (*arguments, "--nonsense")
    how = draw(st.sampled_from(["encoding", "columns", "full", "leaves", "disk", "home"]))
    changes: dict[str, Any] = {}
    match how:
        case "encoding":
            changes["environment"] = {"PYTHONIOENCODING": draw(st.sampled_from(["ascii", "latin1", "cp1252", "cp437"]))}
        case "columns":
            columns = draw(st.sampled_from(["0", "1", "2", "3", "7", "15", "-5", "abc", "100000", ""]))
            changes["environment"] = {"COLUMNS": columns}
        case "full":
            changes |= {"out": "/dev/full", "mute": True}
        case "leaves":
            changes |= {"reader_leaves": True, "mute": True}
        case "disk":
            changes["disk"] = draw(st.sampled_from([0, 1, 100, 500, 1000, 3000, 10_000, 30_000]))
        case "home":
            home = draw(st.sampled_from(["/dev/null", "/proc/1", "blobs.npz", "nowhere"]))
            changes["environment"] = {"XDG_CACHE_HOME": home, "HOME": home}
    return Case(f"surroundings {how}", arguments, may_change=_RISK, may_stop_midway=True, **changes)


@st.composite
def cases(draw: st.DrawFn, good: Path) -> Case:
    """All kinds: of twenty, eight of options, ten of files, two of surroundings."""
    which = draw(st.integers(0, 19))
    return draw(option_cases() if which < 8 else file_cases(good) if which < 18 else surrounding_cases())
