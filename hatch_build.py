"""The hook of the wheels: SCI_PREBUILT says which kernels come compiled.

`SCI_PREBUILT=1` compiles for all levels of this machine's kind of processor, `SCI_PREBUILT=aarch64` for another machine
with its cross compiler, and `SCI_PREBUILT=x86-64-v4` for the levels named, such as that of a cluster's nodes.
`SCI_PREBUILT_SOURCES` chooses sources by pattern ("particles/*.cu"). Without SCI_PREBUILT, or with 0, the wheel is pure
and kernels are compiled on first use. With `SCI_PREBUILT=apart` it is pure and asks for the package `sci-hpc-kernels`,
as a release does; packaging/kernels builds that by this hook too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent


class KernelHook(BuildHookInterface[Any]):
    """Compile the kernels into the folder `place` of the wheel, or ask for the package that has them."""

    def dependencies(self) -> list[str]:
        """Return what reading and compiling the kernels needs, beside hatchling."""
        return [] if _wanted() in ("", "0", "apart") else ["numpy"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and add the libraries, and tag the wheel for its machine; without SCI_PREBUILT do nothing."""
        words = _wanted()
        if words in ("", "0") or version == "editable":
            return
        if words == "apart":
            build_data["dependencies"].append(f"sci-hpc-kernels=={self.metadata.version}")
            return
        if words == "1" and sys.platform != "linux":
            raise SystemExit("SCI_PREBUILT=1 compiles kernels for Linux; build the pure wheel without it")
        sys.path.insert(0, str(ROOT))
        from sci.errors import SciError
        from sci.kernels.prebuild import build, shipped_kernels

        self.folder = tempfile.TemporaryDirectory()
        try:
            machine = build(Path(self.folder.name), words, shipped_kernels(os.environ.get("SCI_PREBUILT_SOURCES", "")))
        except SciError as error:
            self.folder.cleanup()
            raise SystemExit(f"SCI_PREBUILT={words}: {error}") from None
        build_data["force_include"][self.folder.name] = self.config["place"]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{machine}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


def _wanted() -> str:
    return os.environ.get("SCI_PREBUILT", "0")
