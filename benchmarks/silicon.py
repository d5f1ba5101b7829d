"""Silicon neurons: their firing rates beside closed forms, and a circuit beside the LIF that it nearly is.

    python benchmarks/silicon.py

Draws `docs/images/silicon.svg`, and prints the rates of DYNAP-SE1. It takes a few seconds.
"""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from snnlearn.neurons import DPI, LIF, AbstractNeuron, AxonHillock
from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, STYLE

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "silicon.svg"
DT = 2e-5


@eqx.filter_jit
def spikes(neuron: AbstractNeuron, current: jax.Array, seconds: float) -> jax.Array:
    """The spikes of each step under a constant current, one for each unit."""
    inputs = neuron.no_current(current.shape)
    inputs = inputs | {"current": current} if isinstance(inputs, dict) else current
    state = neuron.initial_state(current.shape)
    return jax.lax.scan(lambda s, _: neuron(inputs, s)[::-1], state, None, length=round(seconds / DT))[1]


def rates(neuron: DPI | AxonHillock, pa: np.ndarray, seconds: float = 0.5) -> np.ndarray:
    """Spikes per second from rest, Hz."""
    return np.asarray(spikes(neuron, jnp.asarray(pa / neuron.unit), seconds).sum(axis=0)) / seconds


def settled(neuron: DPI | AxonHillock, pa: np.ndarray, seconds: float = 0.5) -> np.ndarray:
    """The inverse of the last interval, Hz; 0 if there is none."""
    trains = np.asarray(spikes(neuron, jnp.asarray(pa / neuron.unit), seconds)).T
    times = [np.flatnonzero(train) * DT for train in trains]
    return np.array([1 / np.diff(t)[-1] if len(t) > 1 else 0.0 for t in times])


def closed_form(pa: np.ndarray) -> np.ndarray:
    """The rate of the DPI without feedback and adaptation, by partial fractions, Hz."""
    tau, i_g, start, v_th = 2e-3 * 25.0 / (0.705 * 5.0), 20.0, 1.2, 2000.0
    a = 4 * (pa - 5)
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = np.log((a - start) / (a - v_th))
        rate = 1 / (5e-3 + tau * (rise + i_g / a * (np.log(v_th / start) + rise)))
    return np.where(a > v_th, rate, 0.0)


def trace(neuron: AbstractNeuron, current: np.ndarray) -> np.ndarray:
    """The membrane under a current."""
    state = neuron.initial_state((1,))

    def step(state, current):
        _, state = neuron(current, state)
        return state, state.v[0]

    return np.asarray(jax.lax.scan(step, state, jnp.asarray(current)[:, None])[1])


@matplotlib.rc_context(STYLE | {"svg.hashsalt": "snnlearn"})
def draw(path: Path) -> None:
    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    fine, points = np.geomspace(300, 2e4, 80), np.geomspace(300, 2e4, 16)
    bare = DPI(feedback=None, adaptation=None, dt=DT)
    left.axhline(200, color=GREY, linewidth=0.8, linestyle=":")
    left.text(310, 203, "1 / refractory period", color=GREY, fontsize=7, va="bottom")
    left.plot(fine, closed_form(fine), color=BLUE, linewidth=1.2, label="closed form")
    left.plot(points, settled(bare, points), "o", color=BLUE, markersize=4, label="without feedback, adaptation")
    left.plot(fine, settled(DPI.dynap_se1(dt=DT), fine), color=ORANGE, linewidth=1.4, label="DYNAP-SE1")
    left.set(xscale="log", xlabel="current (pA)", ylabel="firing rate (Hz)", title="DPI", ylim=(0, 225))
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    left.legend(loc="lower right", fontsize=7)

    pulse = np.where(np.arange(4000) < 1500, 1.0, 0.0)
    every = slice(None, None, 20)
    t = 1e3 * DT * np.arange(1, len(pulse) + 1)[every]
    for height, color in ((400.0, BLUE), (9.0, GREEN)):
        circuit = DPI(feedback=None, adaptation=None, unit=height, dt=DT)
        tau = circuit.time_constants()["mem"]
        lif = LIF(tau_mem=float(tau), v_leak=-20.0, resistance=4 * height, v_th=1e6, dt=DT)
        right.plot(t, trace(circuit, pulse)[every], color=color, linewidth=1.4, label=f"DPI, {height:g} pA")
        right.plot(t, np.maximum(trace(lif, pulse)[every], 1e-9), "--", color=color, linewidth=1.0, label="the LIF")
    right.axhline(20, color=GREY, linewidth=0.8, linestyle=":")
    right.text(45, 21, "gain current", color=GREY, fontsize=7, va="bottom")
    right.set(
        yscale="log", ylim=(0.8, 1e4), xlabel="time (ms)", ylabel="membrane current (pA)", title="A pulse of 30 ms"
    )
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    right.legend(loc="upper right", fontsize=7, ncols=2)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(FIGURE)
    pa = np.array([1000.0, 2000.0, 3000.0, 5000.0])
    print("pA", pa, "Hz", rates(DPI.dynap_se1(dt=DT), pa))
