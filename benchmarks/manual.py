"""Drive the page of tuning by hand in a headless Chromium: `python benchmarks/manual.py`.

It moves sliders by the keyboard and measures the time from each input event to the drawn frame, undoes, saves, compares
the saved network with what the page showed, and looks for requests to any other place. `--pictures FOLDER` keeps
screenshots: light, dark, and 360 pixels wide.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import snnlearn as sl
from browser import Browser
from snnlearn.report.measure import environment

HERE = Path(__file__).parent
LEAST_MOVES = 50
MOST_MILLISECONDS = 100.0


def start(out: Path, units: int) -> tuple[subprocess.Popen[str], str]:
    """Start the command; its process and the page's address."""
    code = "import sys; from snnlearn.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "tune", "--manual", "--layers", str(units), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise RuntimeError(f"the command ended with {process.wait()}")


def moves(browser: Browser, knobs: list[str], count: int) -> list[float]:
    """Move sliders by arrow keys, each move when the last one is drawn; milliseconds from the event to the frame."""
    browser.run("performance.clearMeasures('move')")
    for number in range(count):
        browser.run(f"document.getElementById('knob-{knobs[number % len(knobs)]}').focus()")
        browser.key("ArrowRight" if number < count // 2 else "ArrowLeft", code=39 if number < count // 2 else 37)
        browser.wait(f"performance.getEntriesByName('move').length > {number}")
    return browser.run("performance.getEntriesByName('move').map((entry) => entry.duration)")


def text(browser: Browser, name: str) -> str:
    """What an element of the page says."""
    return browser.run(f"document.getElementById('{name}').textContent")


def settled(browser: Browser) -> None:
    """Wait until nothing is asked any more."""
    browser.wait("!asking && !wanted")


def drive(browser: Browser, address: str, pictures: Path | None) -> dict:
    """All that a person would do; what was seen."""
    browser.open(address)
    browser.wait("performance.getEntriesByName('move').length > 0")
    settled(browser)
    given = text(browser, "count"), text(browser, "raster-caption")
    times = moves(browser, ["0.v_th", "0.tau_mem", "1.tau_mem", "0.weights", "0.v_leak"], LEAST_MOVES)
    # Much less than as given: errors and spikes must change.
    browser.run("document.getElementById('knob-0.v_th').focus()")
    for _ in range(3):
        browser.key("PageUp", code=33)
    settled(browser)
    moved = text(browser, "count"), text(browser, "raster-caption")
    if pictures is not None:
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            settled(browser)
            time.sleep(0.3)
            browser.picture(pictures / f"manual_{scheme}.png")
        browser.scheme("light")
    while not browser.run("document.getElementById('undo').disabled"):
        browser.key("z", code=90, modifiers=2)
        settled(browser)
    undone = text(browser, "count"), text(browser, "raster-caption")
    browser.key("Z", code=90, modifiers=2 | 8)
    settled(browser)
    redone = browser.run("!document.getElementById('undo').disabled")
    browser.run("const select = document.getElementById('presets'); select.value = 'high thresholds'; "
                "select.dispatchEvent(new Event('change'))")  # fmt: skip
    settled(browser)
    shown = browser.run("({errors: last.risk.errors, n: last.risk.n, numbers})")
    for what in ("network", "configuration"):
        before = text(browser, "message")
        browser.run(f"document.getElementById('{what}').focus()")
        browser.key("Enter", code=13, text="\r")
        browser.wait(f"document.getElementById('message').textContent !== {json.dumps(before)}")
    browser.size(360, 780, mobile=True)
    time.sleep(0.3)
    settled(browser)
    wide = browser.run("document.documentElement.scrollWidth")
    if pictures is not None:
        browser.run("scrollTo(0, 700)")
        time.sleep(0.3)
        browser.picture(pictures / "manual_narrow.png")
    return {
        "milliseconds": [round(each, 1) for each in times],
        "median_ms": round(statistics.median(times), 1),
        "given": given,
        "moved": moved,
        "undone": undone == given,
        "redone": redone,
        "shown": shown,
        "width_at_360": wide,
        "elsewhere": sorted({url for url in browser.requests if urlsplit(url).hostname != "127.0.0.1"}),
        "requests": len(browser.requests),
        "complaints": browser.errors,
    }


def main() -> int:
    """Run, check, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "manual.json")
    options = parser.parse_args()
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        process, address = start(Path(folder) / "manual", options.units)
        try:
            with Browser() as browser:
                found = drive(browser, address, options.pictures)
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=20)
        hypothesis, _ = sl.load(Path(folder) / "manual" / "network-1.npz")
        validation = sl.data.digits().validation
        saved = int((sl.predict(hypothesis, validation.x) != validation.y).sum())
    failures = [
        name
        for name, good in {
            "the median move is too slow": found["median_ms"] <= MOST_MILLISECONDS,
            "errors and spikes do not follow the sliders": all(
                one != other for one, other in zip(found["given"], found["moved"], strict=True)
            ),
            "undo does not lead back": found["undone"] and found["redone"],
            "the saved network has other errors": saved == found["shown"]["errors"],
            "a request left the machine": not found["elsewhere"],
            "the page is wider than 360 pixels": found["width_at_360"] <= 360,
            "the browser complains": not found["complaints"],
            "ctrl-C does not end it": status == 0,
        }.items()
        if not good
    ]
    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "load": round(os.getloadavg()[0], 1),
        "versions": environment(),
        "units": options.units,
        **found,
        "errors_of_the_saved_network": saved,
        "failures": failures,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{LEAST_MOVES} moves, median {found['median_ms']} ms; {', '.join(failures) or 'all as it should be'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
