"""Compile the kernels while the package is built, where there is a compiler; without one it works as plain JAX."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileKernels(BuildHookInterface):
    """Puts the compiled library into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See the base."""
        path = Path(self.root, "src", "snnlearn", "kernels", "compile.py")
        spec = importlib.util.spec_from_file_location("compile_kernels", path)
        assert spec is not None and spec.loader is not None
        kernels = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(kernels)
        try:
            library = kernels.compile_library()
        except kernels.CannotCompile as error:
            self.app.display_warning(f"The event-driven kernels are left out, networks run as plain JAX: {error}.")
            return
        build_data["artifacts"].append(str(library.relative_to(self.root)))
        build_data["pure_python"], build_data["infer_tag"] = False, True
