"""From the times of events, in ticks of any length, to time steps."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Num, Shaped

from snnlearn._errors import SnnlearnError

# In s: recordings are of trials; what seems longer is most likely in ms or µs.
LONGEST = 100.0
_UNITS = {1.0: "s", 1e-3: "ms", 1e-6: "µs", 1e-9: "ns"}
_OPTION = {"s": "s", "ms": "ms", "µs": "us", "ns": "ns"}


def unit_of(latest: Shaped[np.ndarray, ""], stated: float | None, where: str) -> tuple[float, tuple[str, ...]]:
    """The length of a tick in s, and what was assumed about it.

    Times with a fraction are in s. Whole ones are in ms up to 10⁴ (10 s), in µs up to 10⁹ (17 minutes), beyond in ns.

    Args:
        latest: The greatest time, in the file's type.
        stated: What the user says, s.
        where: The file, for messages.

    Raises:
        SnnlearnError: A time with a fraction is too great for a recording in s.

    >>> unit_of(np.asarray(np.int64(305_000)), None, "it")
    (1e-06, ('Its times are whole numbers up to 305,000, taken as µs; --time-unit says another.',))
    """
    if stated is not None:
        if not 0 < stated < np.inf:
            raise SnnlearnError(f"time_unit is {stated} s; give the length of a tick in s, such as 1e-6")
        return float(stated), ()
    if latest.dtype.kind == "f":
        if latest > LONGEST:
            raise SnnlearnError(
                f"{where}: its last event is at {latest:.4g}{likely_unit(float(latest))}; if it is in s after all, "
                "give the number and length of time steps (num-steps, dt)"
            )
        return 1.0, ()
    last = int(latest)
    unit = 1e-3 if last <= 10_000 else 1e-6 if last <= 1_000_000_000 else 1e-9
    return unit, (f"Its times are whole numbers up to {last:,}, taken as {_UNITS[unit]}; --time-unit says another.",)


def likely_unit(latest: float) -> str:
    """The likely unit of a time that is too long for a recording in s."""
    if latest <= LONGEST:
        return " s"
    name, factor = ("ms", 1e3) if latest <= 1e3 * LONGEST else ("µs", 1e6)
    return (
        f", which is likely {name}: times are in s, so say --time-unit {_OPTION[name]}, or divide them by {factor:.0e}"
    ).replace("e+0", "e")


def step_of(t: Num[np.ndarray, " n"], ticks: float) -> Num[np.ndarray, " n"]:
    """The step of each time, given the ticks per step; k · ticks is in step k, even if rounding makes it smaller.

    >>> step_of(np.array([0, 999, 1000, 1001]), 1000.0).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    exact = t.astype(np.float64)
    rounding = 2 * np.spacing(exact)
    if t.dtype.kind == "f":
        rounding += 0.501 * np.spacing(t).astype(np.float64)
    return np.floor((exact + rounding) / ticks)


def window(
    latest: Shaped[np.ndarray, ""], unit: float, num_steps: int | None, duration: float | None, dt: float | None
) -> tuple[int, float]:
    """Number of steps and time step; what is not given follows from the recordings.

    Args:
        latest: The greatest time, in ticks.
        unit: The length of a tick, s.
        num_steps: Number of steps.
        duration: Length of a recording, s.
        dt: Time step, s. Not all three are given.
    """
    if duration is not None:
        if dt is None:
            return (100 if num_steps is None else num_steps), duration / (100 if num_steps is None else num_steps)
        return max(1, math.ceil(duration / dt * (1 - 1e-9))), dt
    if num_steps is not None and dt is not None:
        return num_steps, dt
    if dt is not None:
        return int(step_of(latest[None], dt / unit)[0]) + 1, dt
    num_steps = 100 if num_steps is None else num_steps
    dt = _two_digits(float(latest) * unit / num_steps or 1e-3)
    while step_of(latest[None], dt / unit)[0] >= num_steps:
        dt = _two_digits(dt * 1.0001)
    return num_steps, dt


def check_window(num_steps: int | None, duration: float | None, dt: float | None, num_units: int | None = None) -> None:
    """Refuse values out of range, or all three at once."""
    for name, number in (("num_steps", num_steps), ("num_units", num_units)):
        if number is not None and number < 1:
            raise SnnlearnError(f"{name} is {number}; give a whole number from 1")
    for name, number in (("duration", duration), ("dt", dt)):
        if number is not None and not 0 < number < np.inf:
            raise SnnlearnError(f"{name} is {number} s; give a time above 0")
    if None not in (num_steps, duration, dt):
        raise SnnlearnError(f"num_steps is {num_steps}, duration {duration} s and dt {dt} s; give two of them at most")


def check_some(where: str, num_events: int, late: int, num_steps: int, dt: float, latest: float) -> None:
    """Refuse recordings without events within the steps.

    Args:
        where: The file.
        num_events: How many events it has.
        late: How many of them are after the last step.
        num_steps: Number of steps.
        dt: Time step, s.
        latest: The greatest time, s.
    """
    if late == num_events > 0:
        raise SnnlearnError(
            f"{where}: none of its {num_events:,} events is before {num_steps * dt:.4g} s, where the {num_steps} "
            f"steps end; the last is at {latest:.4g}{likely_unit(latest)}"
        )


def losses(counts: Iterable[tuple[int, int, int]]) -> tuple[str, ...]:
    """The losses of binning, in sentences.

    Args:
        counts: Of each file: events, those after the last step, and those in a bin that another has filled.
    """
    total, late, together = np.sum(list(counts), axis=0).tolist()
    notes = []
    if late:
        notes.append(
            f"{late:,} of {total:,} events ({late / total:.1%}) come after the last time step and are dropped; "
            "give more steps, or a longer time step."
        )
    if together:
        notes.append(
            f"{together:,} of {total:,} events ({together / total:.1%}) fall in a time step where their unit has "
            "spiked already, and are not counted; a shorter time step keeps them apart."
        )
    return tuple(notes)


def _two_digits(number: float) -> float:
    """Round up to two digits."""
    digit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / digit * (1 - 1e-9)) * digit:.2g}")
