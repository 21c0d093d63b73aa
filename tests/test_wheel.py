"""The wheel: what is in it, and that the library and its command run from it without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sci

CHECKOUT = Path(__file__).resolve().parents[1]

PQR = """\
ATOM 1 NA NA 1  0.0 0.0 0.0  1.0 1.87
ATOM 2 CL CL 2  0.0 0.0 2.8 -1.0 1.67
"""

KERNEL = """
import sci, sci.kernels
from sci.potentials import Particles, direct_sum
with sci.options(kernels="compiled"):
    values = direct_sum(Particles([[0.0, 0.0, 0.0]], [2.0]), [[0.0, 0.0, 4.0]])
print(float(values[0]), sci.__file__, sci.kernels.kernel_folder())
"""


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SCI_KERNEL_PATH")}
    environment["SCI_CACHE_DIR"] = str(folder / "cache")
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    done = _run(build, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean_python(wheel: Path) -> Path:
    """A new environment with the wheel in it, which sees the running one's dependencies but not its `sci`."""
    folder = wheel.parent / "environment"
    done = _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], wheel.parent)
    assert done.returncode == 0, done.stderr
    python = folder / "bin" / "python"
    where = _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], wheel.parent)
    site = Path(where.stdout.strip())
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = _run(install, wheel.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    # A plain path in a .pth file adds the packages there, but does not follow their own .pth files: the editable
    # install of the checkout stays out of sight.
    (site / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    return python


def test_the_wheel_holds_sources_kernels_and_the_typing_mark(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(n).decode() for n in names if n.endswith(".dist-info/METADATA"))
    sources = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "sci").rglob("*.py")}
    folder = CHECKOUT / "kernels"
    kernels = {f"sci/_kernels/{p.relative_to(folder).as_posix()}" for p in folder.rglob("*") if p.is_file()}
    others = {"sci/py.typed", "sci/kernels/threads.cpp", "sci/solvers/learned/pretrained.json"}
    assert sources | kernels | others <= names
    assert {"sci/_kernels/host.h", "sci/_kernels/particles/direct_sum.cu"} <= kernels
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"sci", f"sci_hpc-{sci.__version__}.dist-info"}
    assert f"Version: {sci.__version__}" in metadata


def test_a_kernel_compiles_and_runs_from_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    done = _run([str(clean_python), "-c", KERNEL], tmp_path)
    assert done.returncode == 0, done.stderr
    value, package, kernels = done.stdout.split()
    assert float(value) == 0.5
    environment = clean_python.parents[1]
    assert Path(package).is_relative_to(environment)
    assert Path(kernels) == Path(package).parent / "_kernels"


def test_the_pretrained_model_loads_from_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    code = "from sci.solvers import CycleModel; print(len(CycleModel.pretrained().parameters))"
    done = _run([str(clean_python), "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 24


def test_the_command_runs_from_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    command = str(clean_python.with_name("sci"))
    (tmp_path / "pair.pqr").write_text(PQR)
    done = _run([command, "potential", "pair.pqr", "-o", "pair.h5", "--tol", "1e-4"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = _run([command, "info", "pair.h5"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "potential" in done.stdout
