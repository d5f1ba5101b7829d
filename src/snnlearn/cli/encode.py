"""The command `snnlearn encode`: one input as spikes in each code, what they cost and what can be read from them."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from rich.console import Console

from snnlearn import report
from snnlearn._errors import SnnlearnError
from snnlearn._files import replacing
from snnlearn._memory import check_memory
from snnlearn.cli.build import coder
from snnlearn.cli.choices import CODES
from snnlearn.cli.options import Encode
from snnlearn.coding import AbstractEncoder, bits_per_value, pattern_information
from snnlearn.data import digits, read_series, read_values, structured_events, write_events
from snnlearn.model_file import write_arrays

_PICTURES, _EVENTS = (".html", ".png", ".svg"), (".h5", ".npz")


class _Sample(NamedTuple):
    """What to encode, with values in [0, 1]."""

    x: np.ndarray
    frames: int | None
    note: str


def encode(options: Encode, console: Console) -> int:
    """Show one input in each code, or write its spikes."""
    out = options.out
    if out.suffix not in _PICTURES + _EVENTS:
        raise SnnlearnError(f"--out is {out}; give a path that ends in .html, .png, .svg, .h5 or .npz")
    if not out.parent.is_dir():
        raise SnnlearnError(f"--out: there is no folder {out.parent}; create it, or give another path")
    sample = _read(options)
    if options.num_steps is None:
        options = replace(options, num_steps=50 if sample.frames is None else 10)
    names = options.codes or _all_codes(sample)
    codes = {name: _coder(name, options, sample.frames) for name in dict.fromkeys(names)}
    analogue = [name for name, code in codes.items() if not code.gives_spikes]
    if out.suffix in _EVENTS and analogue:
        raise SnnlearnError(f"--codes {analogue[0]} has no spikes to write to {out}; drop it, or give a picture")

    x, key = jnp.asarray(sample.x), jax.random.key(options.seed)
    planned = jax.tree.leaves(eqx.filter_eval_shape(_encode_in_each, codes, x, key))
    # A picture and the estimate of bits keep several numbers for each step of each neuron.
    check_memory(20 * sum(array.size for array in planned), f"{options.num_steps:,} steps of this input", "take fewer")
    encoded = _encode_in_each(codes, x, key)
    summaries = [_summary(name, codes[name], sample, *jax.tree.map(np.asarray, encoded[name])) for name in codes]
    _print(console, sample, summaries)
    if out.suffix in _EVENTS:
        _write_spikes(out, codes, {name: np.asarray(encoded[name][0]) for name in codes}, sample)
        console.print(f"Spikes: {out}", soft_wrap=True)
        return 0
    frame = None if sample.frames is None else options.num_steps * options.dt  # pyright: ignore  # filled in above
    if out.suffix == ".html":
        report.write_page(report.codes_report(sample.x, summaries, frame=frame, note=sample.note), out)
    else:
        with replacing(out) as new:
            report.codes_figure(sample.x, summaries, frame=frame).savefig(new, dpi=200, format=out.suffix[1:])
    console.print(f"Picture: {out}", soft_wrap=True)
    return 0


def _read(options: Encode) -> _Sample:
    """The sample of the file, mapped to [0, 1] if it leaves it."""
    series = options.series or (options.file is not None and options.file.suffix == ".csv")
    if options.file is None:
        if series:
            raise SnnlearnError("--series: no file was given; give one with a signal, .npy, .npz or .csv")
        values = digits().test.x
    else:
        values = read_series(options.file) if series else read_values(options.file)
    if not 0 <= options.index < len(values):
        raise SnnlearnError(f"--index is {options.index}; the file has samples 0 to {len(values) - 1}")
    x = values[options.index]
    if x.ndim > 2:
        raise SnnlearnError(f"the sample has shape {x.shape}; give an image [H, W], a vector [N] or a signal [T, N]")
    low, high = float(x.min()), float(x.max())
    note = f"Values from {low:.4g} to {high:.4g}."
    if low < 0 or high > 1:
        if low == high:
            raise SnnlearnError(f"the sample is constant, {low}; give one whose values differ, or lie in [0, 1]")
        x, note = (x - low) / (high - low), f"Values from {low:.4g} to {high:.4g}, mapped to 0 … 1."
    return _Sample(x, len(x) if series else None, note)


def _all_codes(sample: _Sample) -> tuple[str, ...]:
    """Every code that turns such an input into spikes; the order of a few channels carries almost no information."""
    still = sample.frames is None
    without = {"current"} if still else {"current", "rank-order"}
    return tuple(name for name in CODES.choices if name not in without and not (still and CODES.load(name).of_changes))


def _coder(name: str, options: Encode, frames: int | None) -> AbstractEncoder:
    """A code of changes takes one step for each frame, which lasts as long as the frame does in the other codes."""
    if CODES.load(name).of_changes and options.num_steps is not None:
        options = replace(options, dt=options.num_steps * options.dt)
    return coder(name, options, frames)


@eqx.filter_jit
def _encode_in_each(
    codes: dict[str, AbstractEncoder], x: Float[Array, "..."], key: PRNGKeyArray
) -> dict[str, tuple[Array, Array | None]]:
    """The spikes of one input in each code, with the same key, and the reconstruction if the code has one."""

    def there_and_back(code: AbstractEncoder) -> tuple[Array, Array | None]:
        spikes = code(x, key=key)
        inverse = code.inverse()
        return spikes, None if isinstance(inverse, str) else inverse(spikes)

    return {name: there_and_back(code) for name, code in codes.items()}


def _bits(code: AbstractEncoder, shape: tuple[int, ...]) -> float | None:
    """The bits of a code; None if unknown, as for some of the user's codes."""
    try:
        return bits_per_value(code, shape)
    except SnnlearnError:
        return None


def _summary(
    name: str, code: AbstractEncoder, sample: _Sample, spikes: np.ndarray, reconstruction: np.ndarray | None
) -> report.CodeSummary:
    bits = None
    if code.of_changes:
        spikes = spikes[..., 0] - spikes[..., 1]
        bits = pattern_information(spikes.reshape(-1, 1))
    elif code.gives_spikes:
        bits = _bits(code, sample.x.shape)
    return report.CodeSummary(
        name=name,
        spikes=spikes.reshape(len(spikes), -1),
        dt=code.dt,
        reconstruction=reconstruction,
        bits=bits,
        bits_at_most=code.of_changes,
        caption=CODES[name].caption or (inspect.getdoc(code) or "").partition("\n")[0],
    )


def _print(console: Console, sample: _Sample, summaries: list[report.CodeSummary]) -> None:
    console.print(sample.note)
    for code in summaries:
        if not code.is_spikes:
            continue
        num_steps, units = code.spikes.shape
        said = f"{code.name}: {code.num_spikes} spikes of {units} neurons in {num_steps} steps"
        if (errors := code.errors(sample.x)) is not None:
            said += f", rms error {errors[0]:.2g}"
        if code.bits is not None:
            said += f", {'at most ' if code.bits_at_most else ''}{code.bits:.2g} bits per value"
        console.print(said, soft_wrap=True)
        console.print(report.terminal_raster(code.spikes, width=min(console.width, 100), height=4))


def _write_spikes(
    path: Path, codes: dict[str, AbstractEncoder], spikes: dict[str, np.ndarray], sample: _Sample
) -> None:
    """As HDF5, a sample for each code, whose class it is; as NumPy, an array of events for each."""
    steps = [codes[name].dt for name in spikes]
    if path.suffix == ".h5":
        trains = [train.reshape(len(train), -1) for train in spikes.values()]
        write_events(path, trains, range(len(trains)), dt=steps, class_names=list(spikes))
        return
    space = sample.x.ndim - (sample.frames is not None)
    arrays = {}
    for name, train in spikes.items():
        train = train[..., ::-1] if codes[name].of_changes else train  # ON is p = 1
        arrays[name] = structured_events(train, codes[name].dt, polarity=train.ndim - 1 > space)
    write_arrays(path, arrays)
