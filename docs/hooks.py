"""Add a page of reference to the site for each room of the package that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).parents[1] / "sci"
ROOMS = {
    "potentials": "Potentials",
    "tensor": "Tensor formats",
    "chebyshev": "Chebyshev polynomials",
    "operators": "Operators",
    "solvers": "Solvers",
    "sequence": "Sequences",
    "nn": "Networks",
    "io": "Files",
    "plotting": "Pictures",
    "distributed": "Ranks",
    "backend": "Arrays and devices",
    "kernels": "Kernels",
    "units": "Units",
    "options": "Options",
    "progress": "Progress",
    "errors": "Errors",
}
"""The rooms in the order of the navigation, and their titles; a room that is not listed comes last under its name."""

HIDDEN = {"cli"}


def rooms() -> dict[str, str]:
    """Return the public rooms of the package and their titles."""
    names = {path.stem for path in PACKAGE.glob("[a-z]*.py")}
    names |= {path.parent.name for path in PACKAGE.glob("[a-z]*/__init__.py")}
    found = {name: title for name, title in ROOMS.items() if name in names}
    return {**found, **{name: name for name in sorted(names - HIDDEN - set(found))}}


def on_config(config: Any) -> Any:
    """Append the section Reference to the navigation."""
    config.nav.append({"Reference": [{title: f"reference/{name}.md"} for name, title in rooms().items()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Make the pages."""
    for name, title in rooms().items():
        text = f"# {title}: `sci.{name}`\n\n::: sci.{name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files
