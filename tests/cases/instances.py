"""Every kernel instance that the library can launch, found in the modules that launch them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import sci
from sci.kernels import Kernel

PACKAGE = Path(sci.__file__).parent


def launching_modules() -> list[str]:
    """Return the names of the modules that import `launch` or `bind`."""
    pattern = re.compile(r"^from sci\.kernels import .*\b(?:launch|bind)\b", re.M)
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted(PACKAGE.rglob("*.py"))
        if pattern.search(path.read_text())
    ]


def every_kernel() -> list[Kernel]:
    """Return the instances that those modules list as `KERNELS`; a module without the list fails."""
    return [kernel for name in launching_modules() for kernel in importlib.import_module(name).KERNELS]
