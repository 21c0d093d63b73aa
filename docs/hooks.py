"""Add to the site what would otherwise be written twice.

A page of reference for each room of the package that exists, the help of each command, and the tables of mpi_examples
and benchmarks.
"""

from __future__ import annotations

import ast
import json
import os
import re
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


def namesakes(room: str) -> list[str]:
    """Return the public functions of a room that are named as their module, which hides them from mkdocstrings."""
    front = PACKAGE / room / "__init__.py"
    text = front.read_text() if front.is_file() else ""
    names = re.findall(rf"^from sci\.{room}\.(\w+)(\.\w+)* import [^\n]*\b\1\b", text, re.MULTILINE)
    return [f"sci.{room}.{name}{wing}.{name}" for name, wing in names]


def commands() -> str:
    """Return the page of the command `sci`: the help of each subcommand."""
    from sci.cli.parser import actions_of, build_parser

    os.environ["COLUMNS"] = "110"
    parser = build_parser()
    parts = ["# The command `sci`", f"```text\n{parser.format_help()}```"]
    for name, command in (actions_of(parser) or {}).items():
        parts.append(f"## `sci {name}`\n\n```text\n{command.format_help()}```")
        for action, inner in (actions_of(command) or {}).items():
            parts.append(f"### `sci {name} {action}`\n\n```text\n{inner.format_help()}```")
    return "\n\n".join(parts)


def pages() -> dict[str, tuple[str, str]]:
    """Return path, title and Markdown of every page of the section."""
    found = {"reference/commands.md": ("Commands", commands())}
    for name, title in rooms().items():
        more = "".join(f"\n::: {path}\n    options:\n      show_root_heading: true\n" for path in namesakes(name))
        found[f"reference/{name}.md"] = (title, f"# {title}: `sci.{name}`\n\n::: sci.{name}\n{more}")
    return found


def on_config(config: Any) -> Any:
    """Append the section Reference to the navigation."""
    config.nav.append({"Reference": [{title: path} for path, (title, _) in pages().items()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Make the pages."""
    for path, (_, text) in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def examples() -> str:
    """Return the table of examples for mpirun."""
    text = (PACKAGE.parent / "mpi_examples" / "README.md").read_text()
    return text[text.index("| script") :].rstrip()


def benchmarks() -> str:
    """Return a table of the benchmarks: the command, and the first sentence of the script."""
    rows = ["| command | what |", "|---|---|"]
    for path in sorted((PACKAGE.parent / "benchmarks").glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        rows.append(f"| `python benchmarks/{path.name}` | {' '.join(text.partition(chr(10) * 2)[0].split())} |")
    return "\n".join(rows)


def gpu_times() -> str:
    """Return the table of the jobs in docs/gpu.json, which `make gpu` writes on a machine with a GPU."""
    report = json.loads((PACKAGE.parent / "docs" / "gpu.json").read_text())
    rows = ["| job | GPU, ms | CPU, ms | ratio | peer on the GPU, ms |", "|---|---|---|---|---|"]
    for stage in report["stages"].values():
        for row in stage.get("rows", {}).values():
            peer = f"{row['peer']:.3g} ({row['peer_name']})" if "peer" in row else ""
            times = f"{row['gpu']:.3g} | {row['cpu']:,.4g} | {row['cpu'] / row['gpu']:.2g}"
            rows.append(f"| {row['label']} | {times} | {peer} |")
    return "\n".join(rows)


def gpu_machine() -> str:
    """Return a sentence on the machine and the tests of docs/gpu.json."""
    report = json.loads((PACKAGE.parent / "docs" / "gpu.json").read_text())
    machine, tests = report["machine"], report["stages"].get("tests", {})
    passed = f"`pytest -m gpu` passed {tests['passed']} tests there." if "passed" in tests else ""
    failed = f" Failed: {', '.join(tests['failures'])}." if tests.get("failures") else ""
    versions = f"CuPy {machine['cupy']}, CUDA {machine['cuda_runtime'] // 1000}, NumPy {machine['numpy']}"
    note = f" {report['note']}" if "note" in report else ""
    return f"{machine['name']}, {versions}, {machine['cpu_cores']} CPU cores. {passed}{failed}{note}"


def kinds() -> str:
    """Return the table of the kinds of files: the docstrings of their codecs."""
    import sci.io

    rows = ["| kind | class | where | contents |", "|---|---|---|---|"]
    for name, kind in sorted(sci.io.kinds().items()):
        where = "/" if kind.in_root else f"/{name}"
        old = f" (schema 1: {', '.join(f'`{old}`' for old in kind.old_names)})" if kind.old_names else ""
        rows.append(f"| `{name}`{old} | `{kind.cls.__name__}` | `{where}` | {kind.layout} |")
    return "\n".join(rows)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put tables where a page asks for them."""
    tables = {
        "the table of mpi_examples/README.md": examples,
        "the table of benchmarks": benchmarks,
        "the table of kinds of files": kinds,
        "the times of docs/gpu.json": gpu_times,
        "the machine of docs/gpu.json": gpu_machine,
    }
    for name, make in tables.items():
        markdown = markdown.replace(f"<!-- docs/hooks.py puts {name} here. -->", make())
    return markdown
