"""Numbers for people."""

from __future__ import annotations

import math

from snnlearn.risk.intervals import Interval


def number(value: float, digits: int) -> str:
    """Write a number with a true minus sign, and zero without one.

    >>> number(-1.25, 1), number(-0.0, 2)
    ('−1.2', '0.00')
    """
    return f"{value + 0.0:.{digits}f}".replace("-", "−")


def percent(fraction: float, digits: int = 1) -> str:
    r"""Write a fraction as a percentage, with a dash for unknown values.

    >>> percent(0.0278), percent(-0.5, 0), percent(math.nan)
    ('2.8\xa0%', '−50\xa0%', '–')
    """
    return "–" if math.isnan(fraction) else f"{number(100 * fraction, digits)}\xa0%"


def ends(interval: Interval, digits: int, between: str = " to ") -> str:
    r"""Write the ends of an interval of fractions as percentages.

    >>> ends(Interval(0.013, 0.05, 0.95), 1)
    '1.3 to 5.0\xa0%'
    """
    return f"{number(100 * interval.low, digits)}{between}{percent(interval.high, digits)}"


def estimate(fraction: float, interval: Interval, digits: int) -> str:
    r"""Write a fraction and its interval as percentages.

    >>> estimate(0.028, Interval(0.013, 0.05, 0.95), 1)
    '2.8\xa0% (1.3 to 5.0\xa0%)'
    """
    return f"{percent(fraction, digits)} ({ends(interval, digits)})"


def points(difference: float, interval: Interval) -> str:
    """Write the difference of two percentages with its interval, in percentage points.

    >>> points(-0.0125, Interval(-0.03, 0.005, 0.95))
    '−1.25 (−3.00 to +0.50)'
    """
    low, high, _ = interval
    return f"{100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})".replace("-", "−")


def gap(difference: float, interval: Interval, digits: int) -> str:
    """Write the difference of two percentages with its interval, in words.

    >>> gap(-0.0125, Interval(-0.03, 0.005, 0.95), 1)
    '−1.2 points (−3.0 to 0.5)'
    """
    low, high, _ = interval
    return f"{number(100 * difference, digits)} points ({number(100 * low, digits)} to {number(100 * high, digits)})"


def quantity(value: float) -> str:
    r"""Write a count so that it can be read at a glance: digits up to 100,000, then three of them and a letter.

    >>> quantity(1234.4), quantity(4.56e6), quantity(7.2e12)
    ('1,234', '4.56\xa0M', '7,200\xa0G')
    """
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if value >= scale:
            scaled = value / (1e3 if letter == "k" else scale)
            return f"{scaled:,.0f}\xa0{letter}" if scaled >= 100 else f"{scaled:.3g}\xa0{letter}"
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    r"""Write a time span in the units a person would use.

    >>> duration(4.21), duration(72.0), duration(7325.0)
    ('4.2\xa0s', '1\xa0min 12\xa0s', '2\xa0h 2\xa0min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f}\xa0s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\xa0min {rest}\xa0s" if minutes < 60 else f"{minutes // 60}\xa0h {minutes % 60}\xa0min"


def digits_of(n: int) -> int:
    """Decimals of a percentage that ``n`` samples can resolve."""
    return 1 if n < 1000 else 2
