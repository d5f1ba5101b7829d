"""Write the page of benchmarks, `docs/benchmarks.md`, and its figures from the results: `python benchmarks/page.py`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from contest import FLOOR, HERE, MODULES, PLAIN, SUBJECT
from snnlearn.report.figures import CYCLE, GREY, STYLE
from task import BASE, INFERENCE, SWEEPS, TRAINING, Task

DOCS = HERE.parent / "docs"
BROWN = "#8c6d46"
COLORS = dict(zip((name for name in MODULES if name not in (FLOOR, PLAIN)), (*CYCLE, BROWN), strict=True)) | {
    FLOOR: GREY
}
LABELS = {
    "width": "hidden units in each of the two layers",
    "density": "spiking in a step (%)",
    "time steps": "time steps",
    "batch": "samples in a batch",
}
HEADINGS = {"width": "Width", "density": "Density", "time steps": "Time steps", "batch": "Batch"}
PANELS = {
    (TRAINING, "median_ms"): ("One training step", "ms"),
    (INFERENCE, "median_ms"): ("One forward pass", "ms"),
    (TRAINING, "memory_mb"): ("Memory of training", "MB"),
    (INFERENCE, "memory_mb"): ("Memory of a forward pass", "MB"),
}
DEFAULT_WHAT = ("epoch", "gradient", "predict one")
LEAST_MB = 1.0
"""Memory below this is drawn as this: the system counts pages, and not all are the contender's."""

Point = dict[str, dict]
"""Of each contender what was measured on one task, or `{"failed": why}`."""


def sweep(document: dict, axis: str) -> dict[float, Point]:
    """The axis' values that were measured, in order."""
    measured = {Task.from_json(point["task"]): point["contenders"] for point in document["points"]}
    return {value: measured[task] for value, task in SWEEPS[axis].items() if task in measured}


def value_text(axis: str, value: float) -> str:
    """A value of an axis as a person writes it."""
    return f"{100 * value:g}" if axis == "density" else f"{value:,g}"


def figure(points: dict[float, Point], axis: str) -> Figure:
    """Time and memory, training and inference: a line for each contender, that of the floor dashed."""
    drawn = Figure(figsize=(7.5, 5.6), layout="constrained")
    axes = drawn.subplots(2, 2)
    for ax, ((direction, quantity), (title, unit)) in zip(axes.flat, PANELS.items(), strict=True):
        for name, color in COLORS.items():
            ours = {v: p[name][direction][quantity] for v, p in points.items() if name in p and "failed" not in p[name]}
            values = [max(y, LEAST_MB) if unit == "MB" else y for y in ours.values()]
            ax.plot(
                list(ours),
                values,
                "--" if name == FLOOR else "o-",
                color=color,
                markersize=3,
                linewidth=1.8 if name == SUBJECT else 1.2,
                zorder=3 if name == SUBJECT else 2,
                label=f"{name} (floor)" if name == FLOOR else name,
            )
        ax.set(xscale="log", yscale="log", xlabel=LABELS[axis], ylabel=unit)
        ax.set_title(title)
        ax.grid(True, which="major", color=GREY, alpha=0.25, linewidth=0.5)
        ax.xaxis.set_major_locator(FixedLocator(list(points)))
        ax.xaxis.set_major_formatter(FixedFormatter([value_text(axis, value) for value in points]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=-(-len(COLORS) // 2))
    return drawn


def number(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.0f} ×" if value >= 9.95 else f"{value:.1f} ×" if value >= 0.995 else f"{value:.2f} ×"


def least(point: Point, direction: str, quantity: str) -> tuple[str, float] | None:
    """The peer that needs least, and how many times as much as snnlearn that is."""
    peers = {n: r[direction][quantity] for n, r in point.items() if n not in (SUBJECT, FLOOR) and "failed" not in r}
    if not peers or "failed" in point.get(SUBJECT, {"failed": ""}):
        return None
    name = min(peers, key=lambda name: peers[name])
    return name, peers[name] / max(point[SUBJECT][direction][quantity], LEAST_MB if quantity == "memory_mb" else 0.0)


def axis_table(points: dict[float, Point], axis: str) -> str:
    """Of snnlearn what it takes, and how many times that the best peer takes, and the floor."""

    def cells(point: Point, direction: str, quantity: str) -> list[str]:
        found = least(point, direction, quantity)
        ours = point.get(SUBJECT, {"failed": ""})
        row = ["–" if "failed" in ours else number(ours[direction][quantity])]
        row.append("–" if found is None else f"{times(found[1])} {found[0]}")
        if quantity == "median_ms":
            floor = point.get(FLOOR, {"failed": ""})
            known = "failed" not in floor and "failed" not in ours
            row.append(times(floor[direction][quantity] / ours[direction][quantity]) if known else "–")
        return row

    unit = " (%)" if axis == "density" else ""
    lines = [
        f"| {axis}{unit} | training, ms | best peer | floor | training, MB | best peer "
        "| forward, ms | best peer | floor | forward, MB | best peer |",
        "|---|" + "---|" * 10,
    ]
    for value, point in points.items():
        row = [value_text(axis, value)]
        for direction in (TRAINING, INFERENCE):
            row += cells(point, direction, "median_ms") + cells(point, direction, "memory_mb")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def range_sentence(points: dict[float, Point]) -> str:
    """Between which factors the fastest and the leanest peer lie."""
    parts = []
    for (direction, quantity), what in {
        (TRAINING, "median_ms"): "to train, the fastest peer takes {} as long as snnlearn",
        (INFERENCE, "median_ms"): "for a forward pass {}",
        (TRAINING, "memory_mb"): "the leanest peer takes {} the memory to train",
        (INFERENCE, "memory_mb"): "and {} that of a forward pass",
    }.items():
        ratios = [found[1] for point in points.values() if (found := least(point, direction, quantity))]
        if ratios:
            low, high = times(min(ratios)), times(max(ratios))
            parts.append(what.format(low if low == high else f"{low.removesuffix(' ×')} to {high}"))
    sentence = ", ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if parts else ""


def failures(points: dict[float, Point], axis: str) -> str:
    """Who did not come through, and why."""
    found = [
        f"- {name} at {value_text(axis, value)}{' %' if axis == 'density' else ''}: {result['failed']}"
        for value, point in points.items()
        for name, result in point.items()
        if "failed" in result
    ]
    return "\n".join(["Not measured:", "", *found]) if found else ""


def densities(points: dict[float, Point]) -> str:
    """How far the densities that were reached lie from those asked for."""
    reached = {
        value: [d for r in point.values() if "failed" not in r for d in r["densities"]]
        for value, point in points.items()
    }
    off = [abs(d / value - 1) for value, found in reached.items() for d in found]
    return f"Those that were reached differ from it by {100 * max(off):.0f} % of it at most." if off else ""


def axis_section(document: dict, axis: str, image: str) -> list[str]:
    """One axis: figure, what it says, and numbers."""
    points = sweep(document, axis)
    same = "Inputs and hidden units have the same density. " + densities(points) if axis == "density" else ""
    return [
        f"## {HEADINGS[axis]}",
        f"![Time and memory of training and of a forward pass against {axis}](images/{image})",
        " ".join(filter(None, [same, range_sentence(points)])),
        axis_table(points, axis),
        failures(points, axis),
    ]


def step_section(step: dict) -> list[str]:
    """The table of `step.py`."""
    names = [name for name in MODULES if any(name in results for results in step["tasks"].values())]
    lines = ["| task | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for task, results in step["tasks"].items():
        cells = [f"{number(results[n]['median_ms'])} ms" if n == SUBJECT else times(results[n]["ratio"]) for n in names]
        lines.append(f"| `{task}` | " + " | ".join(cells) + " |")
    tasks = [f"- `{task}`: {what}" for task, what in step["what"].items()]
    return [
        "## Some tasks at length",
        f"Measured by `make -C benchmarks step` {moment(step)}. `×`: how much longer a contender takes than snnlearn.",
        "\n".join(lines),
        "\n".join(tasks),
    ]


def defaults_section(document: dict) -> list[str]:
    """The table of the networks of default runs."""
    names = [name for name in MODULES if any(name in results for results in document["tasks"].values())]
    lines = ["| task | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for task, results in document["tasks"].items():
        cells = [f"{number(results[n]['median_ms'])} ms" if n == SUBJECT else times(results[n]["ratio"]) for n in names]
        lines.append(f"| `{task}` | " + " | ".join(cells) + " |")
    return [
        "## Networks of default runs",
        f"Time of a training step, {moment(document)}, median of turns. `×`: how much more a contender takes than "
        "snnlearn. Inputs are pixels, held over all "
        "steps, as by default; each contender computes their product with the weights once. The task's name has the "
        "time steps and the percentage of hidden units that spike in a step; `single` is a batch of one. "
        f"`{PLAIN}` is snnlearn with its kernels switched off, which is how convolutions ran before they had any. "
        "Numbers are in `benchmarks/results/step_defaults.json`.",
        "\n".join(lines),
    ]


def default_section(found: dict) -> list[str]:
    """What `default_path.py` measured."""
    lines = [
        "| data | network | steps | held | an epoch's gradient, ms | by itself, ms | one prediction, ms |",
        "|" + "---|" * 7,
    ]
    for case, each in found["cases"].items():
        facts = each["facts"]
        pairs = [tuple(number(each[what][way]["least"]) for way in ("before", "kernels")) for what in DEFAULT_WHAT]
        cells = [case, facts["units"], str(facts["steps"]), str(facts["held"]), *(" → ".join(pair) for pair in pairs)]
        lines.append("| " + " | ".join(cells) + " |")
    whole = [
        f"{case} {each['before']['median']:.0f} → {each['kernels']['median']:.0f} s "
        f"(training {number(each['before, training']['median'])} → {number(each['kernels, training']['median'])} s)"
        for case, each in found["commands"].items()
    ]
    return [
        "## Default runs",
        f"What `snnlearn train --data NAME` computes, by plain JAX → by the kernels. Measured by "
        f"`benchmarks/default_path.py` {moment(found)}, in turn. {found['note']} An epoch's gradients "
        "include its share of the validation; *held* is for how many steps a value stays the same.",
        "\n".join(lines),
        "The whole commands, medians, most of which is the start of Python, compilation, baselines and the report: "
        f"{'; '.join(whole)}."
        if whole
        else "",
    ]


def moment(document: dict) -> str:
    """When, and on what."""
    return f"on {document['when'][:10]} on {document['processor']}, {document['threads']} threads, {document['system']}"


def versions(document: dict) -> str:
    """The distributions of all contenders, each with every version that was measured."""
    found: dict[str, set[str]] = {}
    for point in document["points"]:
        for result in point["contenders"].values():
            for package, version in result.get("versions", {}).items():
                found.setdefault(package, set()).add(version)
    return ", ".join(f"{package} {' and '.join(sorted(vs))}" for package, vs in sorted(found.items()))


def text(
    document: dict, step: dict | None, images: dict[str, str], defaults: dict | None = None, default: dict | None = None
) -> str:
    """The page."""
    rules, days = document["rules"], sorted({point["when"][:10] for point in document["points"]})
    measured = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    parts = [
        "# Benchmarks",
        "Time and memory of a training step and a forward pass in snnlearn, compared with SpikingJelly, snnTorch, "
        "Norse, Sinabs and Spyx, and with a floor: only the matrix products with the same weights, without neurons, "
        "in PyTorch, which every dense implementation has to compute. `benchmarks/page.py` writes this page; all "
        "numbers are in `benchmarks/results/suite.json`.",
        f"The base task is {BASE}. From there, width, density, time steps and batch are varied one at a time. A "
        f"training step is "
        "a forward pass, the cross-entropy of the readout membrane's mean over time, a backward pass through all "
        "steps, and Adam. Weights are scaled until hidden units spike as densely as the task says. Each library uses "
        "its own neurons, so these numbers do not show which library learns better.",
        f"Measured {measured} on {document['processor']}, {document['threads']} of {document['processors']} "
        f"processors, {document['system']}; {versions(document)}. Each library runs in its own process and, after "
        f"warming up, {rules['rounds']} turns of at least {rules['seconds']:g} s, or of one step where that is longer; "
        "lines are medians over all steps. Memory is the peak during a step, after compilation, minus what the "
        "process used with libraries, data, network and optimiser loaded, before the first step. snnlearn takes "
        "packed spikes; "
        "its surrogate is `Boxcar`. More is in `benchmarks/README.md`.",
        "In the tables, `best peer` is the fastest (or most memory-efficient) of the five libraries, as a multiple of "
        "snnlearn's time (or memory); `floor` is the same for the matrix products. Below 1, snnlearn takes more.",
    ]
    for axis, image in images.items():
        parts += axis_section(document, axis, image)
    if step is not None:
        parts += step_section(step)
    if defaults is not None:
        parts += defaults_section(defaults)
    if default is not None:
        parts += default_section(default)
    parts += [
        "## Run it again",
        "```\n"
        "make -C benchmarks peers     # once: the other libraries, in an environment of their own\n"
        "make -C benchmarks suite     # results/suite.json, this page and its figures\n"
        "```",
        "It needs Linux and an otherwise idle machine. If interrupted, it resumes where it stopped.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def write(results: Path, docs: Path) -> Path:
    """Draw the figures of every axis that was measured and write the page.

    Args:
        results: `suite.json`; a `step.json`, `step_defaults.json` and `default_path.json` beside it give their tables.
        docs: folder of the page; figures go into its `images`.

    Returns:
        The page.
    """
    document = json.loads(results.read_text(encoding="utf-8"))
    images = {axis: f"benchmarks_{axis.replace(' ', '_')}.svg" for axis in SWEEPS if len(sweep(document, axis)) > 1}
    (docs / "images").mkdir(parents=True, exist_ok=True)
    # The same results give the same files.
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "snnlearn"}):
        for axis, image in images.items():
            figure(sweep(document, axis), axis).savefig(docs / "images" / image, metadata={"Date": None})
    page = docs / "benchmarks.md"
    known, defaults, default = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        for path in map(results.with_name, ("step.json", "step_defaults.json", "default_path.json"))
    )
    page.write_text(text(document, known, images, defaults, default), encoding="utf-8")
    return page


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "suite.json")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    print(f"Written to {write(options.results, options.docs)}")


if __name__ == "__main__":
    main()
