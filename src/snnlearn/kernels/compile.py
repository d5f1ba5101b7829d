"""Compile the kernels: `python -m snnlearn.kernels.compile`. The package's own build does the same.

It only uses the standard library, since the build imports it before anything is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARY = HERE / "libsnnlearn.so"
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
X86_LEVELS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"],
}


class CannotCompile(Exception):
    """Says what is missing, in one sentence."""


def compile_library(out: Path = LIBRARY, *, extra: tuple[str, ...] = ()) -> Path:
    """Compile the shared library, the computing parts once for each instruction set.

    Args:
        out: where the library goes.
        extra: further flags, such as a sanitizer's.

    Raises:
        CannotCompile: if there is no compiler or no header, or the compiler fails.
    """
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None:
        raise CannotCompile("there is no C++ compiler; install one (on Debian and Ubuntu: apt-get install g++)")
    jaxlib = importlib.util.find_spec("jaxlib")
    if jaxlib is None or jaxlib.origin is None:
        raise CannotCompile("jaxlib, which holds the headers, is not installed")
    include = Path(jaxlib.origin).parent / "include"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    levels = X86_LEVELS if x86 else {"baseline": []}

    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            (f"{name}.cpp", f"{name}_{level}.o", [f"-DSNNLEARN_ISA={level}", *flags])
            for name in ("chain", "convolution", "filter", "spikes")
            for level, flags in levels.items()
        ]
        for name in ("library", "convolution_library", "filter_library", "spikes_library"):
            flags = [f"-isystem{include}", *(["-DSNNLEARN_X86_LEVELS"] if x86 else [])]
            jobs.append((f"{name}.cpp", f"{name}.o", flags))

        def run(*arguments: str) -> None:
            done = subprocess.run([*compiler.split(), *arguments], capture_output=True, text=True)
            if done.returncode:
                raise CannotCompile(f"{compiler} failed: {done.stderr.strip()[-2000:]}")

        def compile_one(job: tuple[str, str, list[str]]) -> str:
            source, name, flags = job
            run(*FLAGS, *flags, *extra, "-c", str(HERE / "cpp" / source), "-o", str(Path(folder, name)))
            return str(Path(folder, name))

        with ThreadPoolExecutor() as pool:
            objects = list(pool.map(compile_one, jobs))
        linked = Path(folder, out.name)
        run("-shared", *extra, *objects, "-o", str(linked))
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_suffix(".partial")
        shutil.copy(linked, partial)
        partial.replace(out)  # whole or not at all: another process may have the old one open
    return out


def main() -> None:
    """Compile, or print why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=LIBRARY)
    parser.add_argument("--sanitize", choices=("address", "undefined", "thread"), help="compile with this sanitizer")
    options = parser.parse_args()
    extra = ("-g", f"-fsanitize={options.sanitize}") if options.sanitize else ()
    try:
        print(compile_library(options.out, extra=extra))
    except CannotCompile as error:
        sys.exit(f"The kernels cannot be compiled: {error}.")


if __name__ == "__main__":
    main()
