"""Every page runs from top to bottom in an empty folder, with the installed wheel and nothing of the checkout.

`make test-docs` runs all. Pages of NIGHTLY take long: `make test` leaves them out, and only parses their commands.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from pages import PAGES, REASONS, blocks, command_lines, follow, name

from sci.cli.parser import build_parser
from sci.datasets import DATASETS, dataset_path

ROOT = Path(__file__).parents[1]
NOT_RUN = {
    "README.md": ["a checkout", "installs"],
    "docs/explanation/compression.md": ["peers"],
    "docs/explanation/fields.md": ["peers"],
    "docs/explanation/operators.md": ["peers"],
    "docs/explanation/performance.md": ["installs"],
    "docs/howto/batch.md": ["a cluster", "a cluster"],
    "docs/howto/files.md": ["installs", "a checkout"],
    "docs/howto/interop.md": ["peers", "peers"],
    "docs/howto/gpu.md": ["installs", "a GPU", "a GPU", "a GPU"],
    "docs/install.md": ["installs", "a cluster", "a cluster", "a checkout"],
    "docs/tutorials/trajectories.md": ["your files"],
}
"""The blocks that are not run, page by page, by their reasons."""
NIGHTLY = {
    *("README.md", "docs/index.md", "docs/install.md", "docs/gallery.md"),
    *(f"docs/explanation/{page}.md" for page in ("model_parallel", "poisson_solvers", "training")),
    *(f"docs/explanation/{page}.md" for page in ("scaling", "weight_maps")),
    *(f"docs/howto/{page}.md" for page in ("batch", "files", "learned_multigrid", "mpi", "structures")),
    *(f"docs/howto/{page}.md" for page in ("complete", "compress", "crystals", "ensembles", "next_scale", "nonlinear")),
    *(f"docs/explanation/{page}.md" for page in ("compression", "spd_networks", "spins", "vector_quantization")),
    *(f"docs/howto/{page}.md" for page in ("atoms", "command_line")),
    *(
        f"docs/tutorials/{page}.md"
        for page in ("forecast", "language_model", "operators", "periodic", "poses", "smoke")
    ),
    "docs/tutorials/trajectories.md",
}
"""The pages that take more than a few seconds of CPU."""
RUNNING = [page for page in PAGES if any(block.runs for block in blocks(page))]
NEEDED = {
    "sci.interop.ase": "ase",
    "sci.interop.xarray": "xarray",
    "sci report": "plotly",
    "mpirun ": "mpi4py",
    "--plot": "matplotlib",
    "nacl": "gemmi",
    "--forcefield": "pdb2pqr",
}


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=name(p), marks=[pytest.mark.nightly] if name(p) in NIGHTLY else []) for p in RUNNING],
)
def test_a_page_runs_with_the_wheel_in_an_empty_folder(page: Path, clean_python: Path, tmp_path: Path) -> None:
    text = page.read_text()
    for sign, module in NEEDED.items():
        if sign in text and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    follow(page, clean_python, tmp_path)


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    found = {name(page): [b.not_run for b in blocks(page) if b.not_run] for page in PAGES}
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN
    assert {reason for reasons in found.values() for reason in reasons} <= set(REASONS)


def test_every_block_of_code_is_found() -> None:
    for page in PAGES:
        assert page.read_text().count("```python") == sum(b.language == "python" for b in blocks(page)), name(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_line_parses(page: Path) -> None:
    """Also of the blocks that are not run: options, scripts, targets of make, and extras exist."""
    written = {block.title for block in blocks(page)}
    for words in command_lines(page):
        if "--config" in words or "--help" in words:
            continue  # the file is one that the page writes; help ends the program
        if words[0] == "sci":
            build_parser().parse_args(words[1:])
        elif words[0] == "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert {word for word in words[1:] if "=" not in word} <= set(targets), words
        elif words[:2] == ["pip", "install"]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            named = [e for group in re.findall(r"\[([\w,-]+)\]", shlex.join(words)) for e in group.split(",")]
            assert set(named) <= {*extras, "python"}, words
        elif "python" in words:
            for script in (word for word in words if word.endswith(".py")):
                folder, _, rest = script.partition("/")
                known = folder in DATASETS and (dataset_path(folder) / rest).is_file()
                assert known or script in written or (ROOT / script).is_file(), words
