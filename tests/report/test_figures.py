"""What the drawings show, read back from their artists; that none of them is left behind."""

from __future__ import annotations

import gc
import weakref

import matplotlib
import numpy as np
import pytest
from fake_run import fake_example, fake_run
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from snnlearn._errors import SnnlearnError
from snnlearn.report import CodeSummary, codes_figure, codes_report, state_risk
from snnlearn.report.figures import (
    BLUE,
    GREY,
    RED,
    STYLE,
    VECTOR_SPIKES,
    draw_confusion,
    draw_curves,
    draw_delays,
    draw_example,
    draw_raster,
    draw_rates,
    draw_risk,
    draw_traces,
    example_size,
)
from snnlearn.report.summary import LayerSummary
from snnlearn.report.value import Table


@pytest.fixture
def ax():
    return Figure((3.0, 2.0)).subplots()


def ticks(line) -> set[tuple[float, float]]:
    """Centre (ms, unit) of every tick that a raster's line is made of."""
    x, y = np.reshape(line.get_xdata(), (-1, 3)), np.reshape(line.get_ydata(), (-1, 3))
    assert np.isnan(x[:, 2]).all() and (x[:, 0] == x[:, 1]).all()
    return {(round(t, 9), round(u, 9)) for t, u in zip(x[:, 0], y[:, :2].mean(axis=1), strict=True)}


def test_raster_draws_each_spike_at_its_time_and_unit(ax):
    spikes = np.zeros((4, 3))
    spikes[0, 2], spikes[3, 0], spikes[1, 1] = 1, 1, -1
    draw_raster(ax, spikes, dt=0.002)
    positive, negative = ax.lines
    assert ticks(positive) == {(1.0, 2.0), (7.0, 0.0)}
    assert ticks(negative) == {(3.0, 1.0)} and to_hex(negative.get_color()) == RED
    assert ax.get_xlim() == (0, 8) and ax.get_ylim() == (2.5, -0.5)  # unit 0 at the top


def test_raster_with_very_many_spikes_becomes_a_picture(ax):
    side = int(np.sqrt(VECTOR_SPIKES)) + 1
    draw_raster(ax, np.ones((side, side)), dt=1e-3)
    assert ax.lines[0].get_rasterized() and not ax.lines[1].get_rasterized()


def test_traces_put_the_bold_lines_last(ax):
    v = np.arange(12.0).reshape(4, 3)
    draw_traces(ax, v, dt=1e-3, bold=[(2, BLUE, "answer")])
    assert len(ax.lines) == 4 and ax.lines[-1].get_label() == "answer"
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), v[:, 2])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.5, 1.5, 2.5, 3.5])


def test_curves_are_mean_and_range_over_seeds(ax):
    curve = np.array([[0.5, 0.4, 0.2], [0.7, 0.2, np.nan]])
    draw_curves(ax, {"validation error": curve}, selected=1, scale=100.0)
    line, kept = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [60, 30, 20])
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    assert list(kept.get_xdata()) == [2, 2]
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (pytest.approx(20), pytest.approx(70))
    assert ax.get_yscale() == "linear"


def test_curves_turn_logarithmic_over_a_decade_but_never_with_a_zero(ax):
    draw_curves(ax, {"training loss": np.array([[2.0, 0.1]])})
    assert ax.get_yscale() == "log" and not ax.collections
    other = Figure((3.0, 2.0)).subplots()
    draw_curves(other, {"validation error": np.array([[2.0, 0.0]])})
    assert other.get_yscale() == "linear" and other.get_ylim()[0] == 0


def test_confusion_colours_right_and_wrong_and_writes_the_counts(ax):
    counts = np.array([[8, 2, 0], [0, 9, 1], [0, 0, 0]])
    draw_confusion(ax, counts, ("a", "b", "c"))
    cells = np.asarray(ax.images[0].get_array())
    assert to_hex(cells[0, 0]) == BLUE and to_hex(cells[0, 1]) == RED
    assert cells[0, 1, 3] > cells[1, 2, 3] > cells[2, 0, 3] == 0
    assert {(t.get_position(), t.get_text()) for t in ax.texts} == {
        ((0, 0), "8"),
        ((1, 0), "2"),
        ((1, 1), "9"),
        ((2, 1), "1"),
    }


@pytest.mark.parametrize("silent", [0, 3, 128])
def test_rates_count_every_unit_once_and_mark_the_silent(ax, silent):
    draw_rates(ax, fake_run(silent_units=silent).layers[0])
    heights = {color: 0 for color in (BLUE, RED)}
    for bar in ax.patches:
        heights[to_hex(bar.get_facecolor())] += round(bar.get_height())  # pyright: ignore[reportAttributeAccessIssue]
    assert heights == {BLUE: 128 - silent, RED: silent}
    assert ("silent" in [text.get_text() for text in ax.texts]) == (silent > 0)


@pytest.mark.parametrize(("chance", "label"), [(0.898, "chance 90 % →"), (0.06, "chance")])
def test_risk_axis_shows_chance_or_points_to_it(ax, chance, label):
    draw_risk(ax, state_risk(fake_run()), chance)
    assert [text.get_text() for text in ax.texts] == [label]
    assert (ax.get_xlim()[1] > 100 * chance) == (label == "chance")


def example_figure(example, class_names=()) -> Figure:
    figure = Figure(example_size(example))
    with matplotlib.rc_context(STYLE):
        draw_example(figure, example, 1e-3, class_names)
    return figure


def test_example_runs_from_image_to_answer():
    example = fake_example(1, wrong=True)
    figure = example_figure(example, tuple("0123456789"))
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    spikes = int(example.layers[0][1].sum())
    assert titles[1] == f"input · {spikes} spikes" and titles[3] == "1 · LIF 128: membranes of 3 units"
    legend = figure.axes[-1].get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["answer 5", "truth 1"]
    assert figure.get_suptitle() == "1, taken for 5"


def test_figures_leave_nothing_behind():
    style = dict(matplotlib.rcParams)
    figure = example_figure(fake_example(0))
    remains = weakref.ref(figure)
    del figure
    gc.collect()
    assert remains() is None
    assert dict(matplotlib.rcParams) == style


X = np.array([[0.0, 0.5, 1.0], [0.25, 0.75, 0.5]])
RATE = CodeSummary(
    name="rate",
    spikes=np.tile([1, 0, 1], (4, 1)),
    dt=5e-3,
    reconstruction=X + np.array([[0.3, 0, 0], [0, 0, -0.4]]),
    bits=1.26,
    caption="A & B.",
)
CURRENT = CodeSummary(name="current", spikes=np.linspace(0, 0.7, 12).reshape(4, 3), dt=5e-3)
DELTA = CodeSummary(
    name="delta", spikes=np.eye(4, 3) - np.eye(4, 3, 1), dt=5e-3, reconstruction=X, bits=0.5, bits_at_most=True
)
CODES = [RATE, CURRENT, DELTA]


def titles(figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes if ax.axison or ax.images]


def remarks(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_errors_of_a_code_are_those_of_its_reconstruction():
    assert RATE.errors(X) == pytest.approx((np.sqrt((0.3**2 + 0.4**2) / 6), 0.4))
    assert CURRENT.errors(X) is None and DELTA.errors(X) == (0, 0)
    assert [code.is_spikes for code in CODES] == [True, False, True]
    assert [code.num_spikes for code in (RATE, DELTA)] == [8, 5]


def test_codes_stand_beside_what_is_read_back():
    figure = codes_figure(X, CODES)
    assert titles(figure) == ["input", "rate", "read back", "current", "delta", "read back"]
    assert remarks(figure) == [
        "8 spikes, 1.3 bits per value",
        "rms error 0.2",
        "current 0 to 0.7",
        "5 spikes, ≤ 0.5 bits per value",
        "rms error 0",
    ]
    shown, read = figure.axes[0].images[0], figure.axes[2].images[0]
    np.testing.assert_allclose(read.get_array(), RATE.reconstruction)
    assert shown.get_clim() == read.get_clim() == (0, 1)  # the same grey for the same value


def test_a_signal_lies_under_what_is_read_back():
    """Two channels as lines, the signal's in grey; time is that of the frames. Many channels are a picture."""
    signal, read = np.linspace(0, 1, 8).reshape(4, 2), np.linspace(0.1, 1, 8).reshape(4, 2)
    code = CodeSummary(name="rate", spikes=np.eye(4), dt=5e-3, reconstruction=read)
    figure = codes_figure(signal, [code], frame=5e-3)
    lines = figure.axes[-1].lines
    np.testing.assert_allclose([line.get_ydata() for line in lines], np.concatenate([signal.T, read.T]))
    assert {to_hex(line.get_color()) for line in lines[:2]} == {GREY} != {to_hex(lines[2].get_color())}
    np.testing.assert_allclose(lines[0].get_xdata(), [2.5, 7.5, 12.5, 17.5])
    wide = CodeSummary(name="rate", spikes=np.eye(4), dt=5e-3, reconstruction=np.tile(read, 3))
    assert len(codes_figure(np.tile(signal, 3), [wide], frame=5e-3).axes[-1].images) == 1


def test_a_vector_lies_under_what_is_read_back():
    code = CodeSummary(name="rate", spikes=np.eye(4, 3), dt=1e-3, reconstruction=np.array([0.1, 0.4, 1.0]))
    read = codes_figure(X[0], [code]).axes[-1]
    np.testing.assert_allclose([bar.get_width() for bar in read.patches], X[0])
    np.testing.assert_allclose(read.lines[0].get_xdata(), code.reconstruction)


@pytest.mark.parametrize("num_codes", [1, 2, 4, 5, 9, 12])
def test_a_picture_of_many_codes_is_no_strip(num_codes):
    width, height = codes_figure(X, num_codes * [RATE]).get_size_inches()
    assert 0.9 < width / height < 2.8


def test_ticks_of_neighbouring_steps_stay_apart(ax):
    draw_raster(ax, np.ones((400, 1)), dt=1e-3)
    assert ax.lines[0].get_linewidth() < 1


def test_codes_are_counted():
    """8 spikes of 3 units in 4 steps of 5 ms: 8 / (3 · 0.02 s) = 133 Hz, the last at 15 ms."""
    table = codes_report(X, CODES).sections[-1].blocks[-1]
    assert isinstance(table, Table) and table.rows == [
        ("rate", "3", "8", "133 Hz", "15 ms", "0.2", "0.4", "1.3"),
        ("current", "3", *6 * ["–"]),
        ("delta", "3", "5", "83.3 Hz", "10 ms", "0", "0", "≤ 0.5"),
    ]


@pytest.mark.parametrize(
    ("x", "codes", "frame", "names"),
    [
        (X, [], None, "codes is empty"),
        (np.zeros((1, 2, 3)), CODES, None, "x has shape"),
        (np.zeros(3), CODES, 1e-3, "x has shape"),
    ],
)
def test_codes_that_cannot_be_drawn_are_refused(x, codes, frame, names):
    with pytest.raises(SnnlearnError, match=names):
        codes_figure(x, codes, frame=frame)
    with pytest.raises(SnnlearnError, match=names):
        codes_report(x, codes, frame=frame)


def test_a_code_is_one_sample():
    with pytest.raises(SnnlearnError, match="code 'rate' has shape"):
        CodeSummary(name="rate", spikes=np.zeros(3), dt=1e-3)


def test_delays_are_counted_by_the_step_that_is_nearest(ax):
    """Of 8 delays up to 3 steps of 2 ms; half steps at both ends expect half as many as the others."""
    delays = 2e-3 * np.array([0.1, 0.4, 0.6, 1.4, 1.2, 2.0, 2.9, 3.0])
    layer = LayerSummary("1", 4, True, np.ones(4), 0.0, 0.0, 1.0, delays, longest_delay=6e-3)
    draw_delays(ax, layer, dt=2e-3)
    assert [bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)] == [2, 3, 1, 2]
    assert [bar.get_x() for bar in ax.patches if isinstance(bar, Rectangle)] == pytest.approx([0, 1, 3, 5])
    (expected,) = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    np.testing.assert_allclose(expected.get_data().values, 8 * np.array([1, 2, 2, 1]) / 6)
