"""The documentation holds: its links lead somewhere, it names what there is, and the site builds."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_cupy
import h5py
import numpy as np
import pytest
from pages import PAGES, blocks, name

import sci.errors
from sci.io import kinds, save_potential_file
from sci.io.core.dimensions import is_bare_axis
from sci.options import snapshot
from sci.potentials import Particles, PotentialGrid, RangeSeparatedPotential

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PICTURES = sorted((DOCS / "images").rglob("*.png"))
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=[\"']([^\"']+)")


@pytest.mark.parametrize("page", ["howto/gpu.md"])
def test_the_python_of_a_page_for_gpus_runs_on_the_stand_in(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.make())
    names: dict[str, object] = {"__name__": "page"}
    python = [block for block in blocks(DOCS / page) if block.language == "python"]
    assert python
    for block in python:
        exec(compile("\n" * block.line + block.text, page, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", PAGES, ids=name)
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
    made = (DOCS / "pictures.py").read_text() if path.parent.name == "images" else (DOCS / "gallery.md").read_text()
    assert f'"{path.name}"' in made, "docs/pictures.py does not make it"


def test_troubleshooting_names_every_error():
    text = (DOCS / "howto" / "troubleshooting.md").read_text()
    errors = [n for n, c in vars(sci.errors).items() if isinstance(c, type) and issubclass(c, sci.errors.SciError)]
    assert [name for name in errors if f"`{name}`" not in text] == []


def test_the_settings_page_names_every_option():
    text = (DOCS / "reference" / "settings.md").read_text()
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
    if group.rpartition("/")[2] in ("parameters", "metrics") or "/optimi" in group or is_bare_axis(item):
        return []
    last = "factor_l" if re.fullmatch(r"factor_\d", last) else re.sub(r"^frame_\d+", "frame_000000", last)
    last = re.sub(r"^(delta|codes_)\d+$", r"\1<k>", last)
    return [{last}, set(item.attrs) - {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}]  # those of scales


def test_the_site_builds_without_warnings(tmp_path):
    for module in ("mkdocstrings_handlers", "latex2mathml"):
        pytest.importorskip(module, reason="the extra docs is not installed")
    # Not --quiet: mkdocs then counts no warnings.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    talk = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO")]
    assert done.returncode == 0, "\n".join(talk)
    sys.path.insert(0, str(DOCS))
    hooks = importlib.import_module("hooks")
    count = 0
    for room in hooks.rooms():
        html = (tmp_path / "site" / "reference" / room / "index.html").read_text()
        names = hooks.public_names(room)
        assert set(names) == set(getattr(importlib.import_module(f"sci.{room}"), "__all__", names))
        assert [name for name, path in names.items() if f'id="{path}"' not in html] == [], room
        assert "__all__" not in html, room
        assert "<td></td>" not in html, f"{room}: a name without a docstring"
        count += len(names)
    assert count > 400
