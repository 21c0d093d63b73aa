"""The documentation holds: its Python runs, its commands work, its links lead somewhere, and the site builds."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_cupy
import h5py
import numpy as np
import pytest

import sci.errors
from sci.cli import main
from sci.cli.parser import build_parser
from sci.io import kinds, save_potential_file
from sci.options import snapshot
from sci.potentials import Particles, PotentialGrid, RangeSeparatedPotential

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "mpi_examples" / "README.md", *sorted(DOCS.rglob("*.md"))]
PICTURES = sorted((DOCS / "images").glob("*.png"))
STRUCTURE = ROOT / "examples" / "data" / "1ubi.pqr"
DEVICE_PAGES = {"howto/gpu.md"}
"""Pages whose Python needs CuPy; it runs on the strict stand-in."""

BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<fenced>.*?)^(?P=indent)```\s*$"
    r"|(?<=\n\n)(?P<plain>(?: {4}[^\n]*\n|\n)+)",
    re.MULTILINE | re.DOTALL,
)
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=[\"']([^\"']+)")


@dataclass(frozen=True)
class Block:
    """Code on a page: its language ("" for an indented block), its text, and the line before it."""

    language: str
    text: str
    line: int

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block; comments are dropped and continued lines joined."""
        if self.language not in ("", "console", "bash", "sh"):
            return []
        lines = [line.strip().removeprefix("$ ") for line in self.text.replace("\\\n", " ").splitlines()]
        wanted = ("sci ", "mpirun ", "python ", "make ", "pip ")
        return [shlex.split(re.sub(r"^(\w+=\S+ )+", "", n), comments=True) for n in lines if _names_one(n, wanted)]


def _names_one(line: str, wanted: tuple[str, ...]) -> bool:
    return re.sub(r"^(\w+=\S+ )+", "", line).startswith(wanted)


def _blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        fenced = match["plain"] is None
        body = match["fenced"] if fenced else match["plain"]
        start = text.count("\n", 0, match.start("fenced" if fenced else "plain"))
        indent = match["indent"] if fenced else "    "
        found.append(Block((match["language"] or "") if fenced else "", re.sub(rf"(?m)^{indent}", "", body), start))
    return found


def _identifier(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


RUNNING = [p for p in PAGES if any(b.language == "python" or b.commands for b in _blocks(p))]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the example data and the files that pages name as the reader's own."""
    for name in ("examples", "mpi_examples", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "protein.pqr").write_text("".join(STRUCTURE.read_text().splitlines(keepends=True)[:150]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUNNING, ids=_identifier)
def test_a_page_runs_from_top_to_bottom(page, desk, monkeypatch, capfd, run_mpi_example):
    """Its Python in one namespace, and its `sci` commands, in the order in which they stand."""
    if _identifier(page).removeprefix("docs/") in DEVICE_PAGES:
        monkeypatch.setitem(sys.modules, "cupy", fake_cupy.make())
    names: dict[str, object] = {"__name__": "page"}
    pretended: set[str] = set()
    assert page.read_text().count("```python") == sum(block.language == "python" for block in _blocks(page))
    for block in _blocks(page):
        if block.language == "python":
            if any(name in block.text for name in pretended):
                compile(block.text, str(page), "exec")
            elif "from mpi4py" in block.text:
                run_mpi_example(desk, block.text)
            else:
                exec(compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True), names)
        for words in block.commands:
            _follow(words, run_mpi_example, desk, pretended)
    capfd.readouterr()


def _follow(words: list[str], run_mpi_example, desk: Path, pretended: set[str]) -> None:
    """Do what a command line says, or check what can be checked of one that takes long or changes the machine.

    Trainings are not run; what needs their output, whose name goes into `pretended`, is only parsed too.
    """
    command = shlex.join(words)
    if words[0] == "sci":
        placeholders = [w for w in words if re.fullmatch(r"[A-Z]+(\.\w+)?", w)]
        slow = placeholders or {"--forcefield", "doctor", "train"} & set(words)
        if slow or pretended & set(words):
            arguments = build_parser().parse_args(words[1:])
            if "train" in words or pretended & set(words):
                pretended |= {str(getattr(arguments, "output", None) or command)}
        else:
            assert main(words[1:]) == 0, command
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {w for w in words[1:] if "=" not in w} <= set(targets), command
    elif words[0] == "pip" and words[1] == "install":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = [e for group in re.findall(r"\[([\w,-]+)\]", command) for e in group.split(",")]
        assert set(named) <= {*extras, "python"}, command
    elif words[:2] != ["python", "-m"]:
        scripts = [w for w in words if w.endswith(".py")]
        assert scripts, command
        assert [s for s in scripts if not (ROOT / s).is_file() and not (desk / s).is_file()] == [], command
        if words[0] == "mpirun" and "protein.pqr" in words:
            run_mpi_example(desk, ROOT / scripts[0], *words[words.index(scripts[0]) + 1 :])


@pytest.fixture
def run_mpi_example():
    """Return a function that runs a program, or the text of one, on two ranks; it skips where there is no MPI."""

    def run(folder: Path, program: str | Path, *arguments: str) -> None:
        if importlib.util.find_spec("mpi4py") is None:
            pytest.skip("mpi4py is not installed (extra mpi-local)")
        from launcher import launch

        path = folder / "page.py" if isinstance(program, str) else program
        if isinstance(program, str):
            path.write_text(program)
        result = launch(path, 2, *arguments, timeout=120)
        assert result.returncode == 0, result.output

    return run


@pytest.mark.parametrize("page", PAGES, ids=_identifier)
def test_a_link_leads_to_a_file(page):
    targets = LINK.findall(CODE.sub("", page.read_text()))
    local = [a or b for a, b in targets if not re.match(r"[a-z]+:|#", a or b)]
    generated = ("reference/", "../reference/")
    missing = [t for t in local if not t.startswith(generated) and not (page.parent / t.partition("#")[0]).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation():
    named = re.findall(r"^\s+- (?:[^#\n]*: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


@pytest.mark.parametrize("path", sorted((ROOT / "mpi_examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_for_mpirun_is_listed_with_its_command(path):
    commands = re.findall(r"^mpirun -n \d+ python (\S+)", ast.get_docstring(ast.parse(path.read_text())), re.MULTILINE)
    assert set(commands) == {f"mpi_examples/{path.name}"}
    table = (ROOT / "mpi_examples" / "README.md").read_text()
    assert re.search(rf"^\| `mpirun -n \d+ python {commands[0]}[ `]", table, re.MULTILINE)


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.name)
def test_a_picture_is_small_used_and_made_by_a_command(path):
    assert path.stat().st_size < 300_000
    assert any(path.name in page.read_text() for page in PAGES), "no page shows it"
    assert f'"{path.name}"' in (DOCS / "pictures.py").read_text(), "docs/pictures.py does not make it"


def test_troubleshooting_names_every_error():
    text = (DOCS / "troubleshooting.md").read_text()
    errors = [n for n, c in vars(sci.errors).items() if isinstance(c, type) and issubclass(c, sci.errors.SciError)]
    assert [name for name in errors if f"`{name}`" not in text] == []


def test_the_settings_page_names_every_option():
    text = (DOCS / "settings.md").read_text()
    assert [name for name in snapshot() if f"`SCI_{name.upper()}`" not in text] == []


def test_the_files_page_names_whatever_a_file_holds(tmp_path):
    """Kinds, groups, datasets and attributes of the golden files and of a potential; not the reader's own names."""
    phi = RangeSeparatedPotential(Particles([[0, 0, 0], [2, 0, 0]], [1, -1]), 1e-2)
    grid = PotentialGrid.on_axes(phi.on_grid(*[np.arange(2.0)] * 3), *[np.arange(2.0)] * 3)
    save_potential_file(tmp_path / "potential.h5", phi, grid=grid)
    text = (DOCS / "howto" / "files.md").read_text() + "".join(f"`{k.name}` {k.layout}" for k in kinds().values())
    known = {part for code in re.findall(r"`([^`\n]+)`", text) for part in code.strip("/").split("/")}
    for path in [tmp_path / "potential.h5", *sorted((ROOT / "tests" / "data").glob("*_v*.h5"))]:
        with h5py.File(path) as file:
            found = {*kinds(), *file.attrs}
            file.visititems(lambda name, item, found=found: found.update(*_own_names(name, item)))
        assert sorted(found - known) == [], path.name


def _own_names(name: str, item: Any) -> list[set[str]]:
    group, _, last = name.rpartition("/")
    if group.rpartition("/")[2] in ("parameters", "metrics") or "/optimi" in group:
        return []
    last = "factor_l" if re.fullmatch(r"factor_\d", last) else re.sub(r"^frame_\d+", "frame_000000", last)
    return [{last}, set(item.attrs)]


def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("mkdocstrings_handlers", reason="the extra docs is not installed")
    # Not --quiet: mkdocs then counts no warnings.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    talk = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO")]
    assert done.returncode == 0, "\n".join(talk)
    for page in (tmp_path / "site" / "reference").glob("*/index.html"):
        if page.parent.name != "commands":
            assert _undocumented(f"sci.{page.parent.name}", page.read_text()) == []


def _undocumented(room: str, html: str) -> list[str]:
    """The public names of a room that its page of the reference lacks."""
    names = getattr(importlib.import_module(room), "__all__", [])
    return [n for n in names if f'id="{room}.{n}"' not in html and not re.search(rf'id="{room}.{n}[.\w]*\.{n}"', html)]
