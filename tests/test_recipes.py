"""The recipes of package managers, the release and the citation: they say what pyproject.toml says."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import sci

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = ROOT / "recipes/conda/recipe.yaml"
SPACK = ROOT / "recipes/spack/packages/py_sci_hpc/package.py"
(EASYBUILD,) = (ROOT / "recipes/easybuild").glob("*.eb")
RECIPES = (CONDA, SPACK, EASYBUILD)
RENAMED = {"matplotlib-base": "matplotlib", "mdanalysis": "MDAnalysis", "parmed": "ParmEd"}
BUNDLED = {"numpy": "SciPy-bundle", "scipy": "SciPy-bundle"}
"""What EasyBuild has in one module; its year and month are newer than the floors."""


def _floors(requirements: list[str]) -> dict[str, str]:
    return dict(r.split(">=") for r in requirements)


CORE = _floors(PROJECT["project"]["dependencies"])
EXTRAS = {
    name: floor
    for extra in ("mpi", "structures", "trajectories", "plot", "report", "xarray")
    for name, floor in _floors(PROJECT["project"]["optional-dependencies"][extra]).items()
}
PYTHON = PROJECT["project"]["requires-python"].removeprefix(">=")
BUILD = _floors(PROJECT["build-system"]["requires"])


def _section(text: str, name: str) -> dict[str, str]:
    """The requirements of a section of the conda recipe."""
    block = re.search(rf"^  {name}:\n((?:    - .*\n)+)", text, re.M)
    assert block is not None
    found = dict(re.findall(r"^    - ([\w-]+)(?: >=(\S+))?$", block[1], re.M))
    return {RENAMED.get(package, package): floor for package, floor in found.items()}


def test_conda_asks_for_what_the_project_asks_for() -> None:
    text = CONDA.read_text()
    assert _section(text, "run") == {"python": PYTHON, **CORE}
    assert _section(text, "run_constraints") == EXTRAS
    assert _section(text, "host") == {"python": PYTHON, "pip": "", **BUILD, "numpy": CORE["numpy"]}


@pytest.mark.parametrize(
    ("platform", "levels"), [("linux-64", "x86_64"), ("linux-aarch64", "aarch64"), ("osx-arm64", "0")]
)
def test_rattler_build_reads_the_conda_recipe(platform: str, levels: str) -> None:
    """`pip install "sci-hpc[release]"` brings it; a compiler is asked for where kernels are compiled."""
    rattler = pytest.importorskip("rattler_build")
    variants = {"c_compiler": ["gcc"], "cxx_compiler": ["gxx"], "c_stdlib": ["sysroot"], "c_stdlib_version": ["2.17"]}
    settings = rattler.RenderConfig(platform=rattler.PlatformConfig(target_platform=platform))
    (found,) = rattler.Stage0Recipe.from_file(str(CONDA)).render(rattler.VariantConfig(variants), settings)
    recipe = found.recipe.to_dict()
    assert recipe["package"] == {"name": "sci-hpc", "version": sci.__version__}
    assert recipe["build"]["script"]["env"] == {"SCI_PREBUILT": levels}
    assert dict(r.split(" >=") for r in recipe["requirements"]["run"]) == {"python": PYTHON, **CORE}
    assert bool(recipe["requirements"].get("build")) == (levels != "0")
    assert len(recipe["tests"]) == 2


def test_spack_asks_for_what_the_project_asks_for() -> None:
    text = SPACK.read_text()
    compile(text, str(SPACK), "exec")
    found = dict(re.findall(r'depends_on\("(?:py-)?(\w+)@([\d.]+):', text))
    assert {name: found.pop(name) for name in ("python", *CORE, *BUILD)} == {"python": PYTHON, **CORE, **BUILD}
    assert found == {name: EXTRAS[name] for name in found}
    assert {"mpi4py", "gemmi", "ase", "matplotlib"} <= set(found)


def test_easybuild_brings_what_the_project_asks_for() -> None:
    names: dict[str, object] = {"PYPI_SOURCE": "https://pypi.org/packages/source/s/sci-hpc"}
    exec(compile(EASYBUILD.read_text(), str(EASYBUILD), "exec"), names)
    found = dict(names["dependencies"] + names["builddependencies"])  # type: ignore[operator]
    for name, floor in {"Python": PYTHON, **CORE, **BUILD}.items():
        assert _numbers(found[BUNDLED.get(name, name)]) >= _numbers(floor), name
    lower = {name.lower(): version for name, version in found.items()}
    assert all(_numbers(lower[n]) >= _numbers(floor) for n, floor in EXTRAS.items() if n in lower)
    assert EASYBUILD.name == f"sci-hpc-{sci.__version__}-foss-{names['toolchain']['version']}.eb"  # type: ignore[index]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_recipes_are_of_this_version() -> None:
    for path in RECIPES:
        assert f"{sci.__version__}" in path.read_text(), path


def test_every_address_of_the_project_is_the_one_of_pyproject() -> None:
    urls = PROJECT["project"]["urls"]
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    owner = urls["Repository"].rpartition("/")[0].rpartition("/")[2]
    files = [*RECIPES, ROOT / "CITATION.cff", ROOT / "SECURITY.md", ROOT / "README.md", ROOT / "mkdocs.yml"]
    files += [p for folder in (".github", "docs") for p in (ROOT / folder).rglob("*") if p.suffix in (".yml", ".md")]
    ours = {a for p in files for a in re.findall(rf"https://github\.com/{owner}/[\w.-]+", p.read_text())}
    assert ours == {urls["Repository"], urls["Repository"] + ".git"}
    for path in (*RECIPES, ROOT / "CITATION.cff", ROOT / "SECURITY.md"):
        assert urls["Repository"] in path.read_text(), path


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stamp_puts_version_and_checksum_into_every_recipe(tmp_path: Path) -> None:
    copied = shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    archive = tmp_path / "sci_hpc-7.8.9.tar.gz"
    archive.write_bytes(b"sources")
    stamp = _module(ROOT / "recipes/stamp.py").stamp
    changed = stamp(archive, copied)
    assert {path.suffix for path in changed} == {".yaml", ".py", ".eb"}
    assert len(changed) == 3
    texts = [path.read_text() for path in changed]
    (digest,) = {found for text in texts for found in re.findall(r"\b[0-9a-f]{64}\b", text)}
    assert digest == hashlib.sha256(b"sources").hexdigest()
    for text in texts:
        assert "7.8.9" in text
        assert not re.search(rf"\b{re.escape(sci.__version__)}\b", text)
    assert stamp(archive, copied) == []
    with pytest.raises(SystemExit, match="is no source distribution"):
        stamp(tmp_path / "sci-7.8.9.zip", copied)


def test_release_notes_are_the_section_of_the_version(tmp_path: Path) -> None:
    notes = _module(ROOT / ".github/release_notes.py").notes
    (tmp_path / "sci").mkdir()
    (tmp_path / "sci/__init__.py").write_text('__version__ = "7.8.9"\n')
    (tmp_path / "CITATION.cff").write_text("version: 7.8.9\n")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 7.8.9 (today)\n\n- Fast.\n\n### More\n\n## 7.8.8\n\n- Slow.\n"
    )
    assert notes("7.8.9", tmp_path) == "- Fast.\n\n### More\n"
    with pytest.raises(SystemExit, match=r"says 7\.8\.9; the release is 7\.8\.8"):
        notes("7.8.8", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- Fast.\n")
    with pytest.raises(SystemExit, match="no section"):
        notes("7.8.9", tmp_path)


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    assert f"version: {sci.__version__}\n" in text
    assert f"license: {PROJECT['project']['license']}\n" in text


def test_the_container_copies_all_that_its_build_reads() -> None:
    text = (ROOT / "examples/batch/sci.def").read_text()
    copied = {Path(line.split()[0]).as_posix() for line in re.findall(r"^    (\S+ /opt/sci\S*)$", text, re.M)}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = {"pyproject.toml", "hatch_build.py", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert {*files, *wheel["only-include"]} <= copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_what_the_site_reads_is_yaml(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(path.read_text()), dict)
