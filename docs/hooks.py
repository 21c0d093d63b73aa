"""Add to the site what would otherwise be written twice.

A page of reference for each room of the package that exists, the help of each command, and the tables of mpi_examples
and benchmarks.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
from html import unescape
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).parents[1] / "sci"
ROOMS = {
    "potentials": "Potentials",
    "ensembles": "Ensembles",
    "completion": "Completion",
    "tensor": "Tensor formats",
    "chebyshev": "Chebyshev polynomials",
    "spherical": "The sphere",
    "linalg": "Linear algebra",
    "problems": "Model problems",
    "operators": "Neural operators",
    "solvers": "Solvers",
    "applications": "Applications",
    "sequence": "Sequences",
    "nn": "Networks",
    "graphs": "Graphs",
    "generative": "Generative models",
    "scaling": "Scaling laws",
    "io": "Files",
    "plotting": "Pictures",
    "interop": "Other libraries",
    "datasets": "Data sets",
    "distributed": "Ranks",
    "backend": "Arrays and devices",
    "kernels": "Kernels",
    "units": "Units",
    "options": "Options",
    "arguments": "Arguments",
    "progress": "Progress",
    "errors": "Errors",
    "versions": "Versions",
    "distribution": "Distribution",
}
"""The rooms in the order of the navigation, and their titles; a room that is not listed comes last under its name."""

HIDDEN = {"cli"}


def rooms() -> dict[str, str]:
    """Return the public rooms of the package and their titles."""
    names = {path.stem for path in PACKAGE.glob("[a-z]*.py")}
    names |= {path.parent.name for path in PACKAGE.glob("[a-z]*/__init__.py")}
    found = {name: title for name, title in ROOMS.items() if name in names}
    return {**found, **{name: name for name in sorted(names - HIDDEN - set(found))}}


def public_names(room: str) -> dict[str, str]:
    """Return the public names of a room, and the path of each where it is defined.

    A name is looked up there, since a function may be named as its module, which would hide it.
    """
    module = importlib.import_module(f"sci.{room}")
    tree = ast.parse(Path(module.__file__ or "").read_text())
    origins = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)  # also those for type checkers alone
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    own = [n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [n for n in own if not n.startswith("_")])
    return {name: origins.get(name, f"sci.{room}.{name}") for name in names}


def reference(room: str, title: str) -> str:
    """Return the page of a room: its docstring, a table of its names, and an entry for each."""
    names = public_names(room)
    module = importlib.import_module(f"sci.{room}")
    rows = ["| name | what |", "|---|---|"]
    rows += [f"| [`{name}`](#sci.{room}.{name}) | {_summary(getattr(module, name), names[name])} |" for name in names]
    parts = [f"# {title}: `sci.{room}`", f"::: sci.{room}\n    options:\n      members: []", "\n".join(rows)]
    for name, path in names.items():
        options = f"heading: sci.{room}.{name}\n      toc_label: {name}\n      show_root_heading: true"
        parts.append(f'<a id="sci.{room}.{name}"></a>\n\n::: {path}\n    options:\n      {options}')
    return "\n\n".join([*parts, *(adapters() if room == "interop" else [])])


def adapters() -> list[str]:
    """Return an entry for each public name of the adapters, whose packages need not be installed."""
    parts = []
    for path in sorted((PACKAGE / "interop").glob("[a-z]*.py")):
        names = re.search(r"^__all__ = (\[.*?\])", path.read_text(), re.MULTILINE | re.DOTALL)
        if path.stem == "packages" or names is None:
            continue
        parts.append(f"## `sci.interop.{path.stem}`")
        for name in ast.literal_eval(names[1]):
            target = f"sci.interop.{path.stem}.{name}"
            options = (
                f"heading: {target}\n      toc_label: {name}\n      show_root_heading: true\n      heading_level: 3"
            )
            parts.append(f"::: {target}\n    options:\n      {options}")
    return parts


def _summary(value: Any, path: str) -> str:
    """Return the first sentence of a docstring, or of the text below a constant, for the cell of a table."""
    text = inspect.getdoc(value) or ""
    if not (inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "vjp")):
        module, _, name = path.rpartition(".")
        source = Path(importlib.import_module(module).__file__ or "").read_text()
        found = re.search(rf'^{name}\b[^\n]*=.*?^"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
        text = found[1] if found else ""
    first = " ".join(text.partition("\n\n")[0].split())
    return first.replace("|", "\\|").replace("<", "&lt;")


def commands() -> str:
    """Return the page of the command `sci`: the help of each subcommand."""
    from sci.cli.parser import actions_of, build_parser

    os.environ["COLUMNS"] = "90"
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
        found[f"reference/{name}.md"] = (title, reference(name, title))
    return found


def on_config(config: Any) -> Any:
    """Append the pages that are made here to the section Reference."""
    config.nav[-1]["Reference"] += [{title: path} for path, (title, _) in pages().items()]
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


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Turn the formulas of a page into MathML, which browsers draw themselves."""
    from latex2mathml.converter import convert

    def inline(found: re.Match[str]) -> str:
        return str(convert(unescape(found[1])))

    def display(found: re.Match[str]) -> str:
        return f'<div class="formula">{convert(unescape(found[1]), display="block")}</div>'

    html = re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', inline, html, flags=re.DOTALL)
    return re.sub(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', display, html, flags=re.DOTALL)


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
