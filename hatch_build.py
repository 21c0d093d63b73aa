"""The hook of the wheel: with SCI_PREBUILT=1 it brings all kernels compiled for three levels of x86-64 processors."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelHook(BuildHookInterface[Any]):
    """Compile the kernels into `sci/_kernels/prebuilt` of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and add the libraries, and tag the wheel for this platform; without SCI_PREBUILT=1 do nothing."""
        if os.environ.get("SCI_PREBUILT") != "1" or version == "editable":
            return
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            raise SystemExit("SCI_PREBUILT=1 compiles kernels for Linux on x86-64; build the pure wheel without it")
        sys.path.insert(0, self.root)
        from sci.kernels.prebuild import build

        self.folder = tempfile.TemporaryDirectory()
        build(Path(self.folder.name))
        build_data["force_include"][self.folder.name] = "sci/_kernels/prebuilt"
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled."""
        if hasattr(self, "folder"):
            self.folder.cleanup()
