"""The wheel: what is in it, and that the library and its command run from it without the checkout."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheel_environment import build_wheel, make_environment
from wheel_environment import run_clean as _run

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


def test_the_wheel_holds_sources_kernels_and_the_typing_mark(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(n).decode() for n in names if n.endswith(".dist-info/METADATA"))
    sources = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "sci").rglob("*.py")}
    folder = CHECKOUT / "kernels"
    kernels = {f"sci/_kernels/{p.relative_to(folder).as_posix()}" for p in folder.rglob("*") if p.is_file()}
    others = {"sci/py.typed", "sci/kernels/threads.cpp", "sci/solvers/learned/pretrained.json"}
    data = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "sci" / "datasets" / "data").iterdir()}
    scripts = [p for f in ("examples", "mpi_examples") for p in (CHECKOUT / f).rglob("*") if p.suffix in (".py", ".sh")]
    data |= {f"sci/_examples/{p.relative_to(CHECKOUT).as_posix()}" for p in scripts}
    assert len(data) > 20
    assert sources | kernels | others | data <= names
    assert {"sci/_kernels/host.h", "sci/_kernels/particles/direct_sum.cu"} <= kernels
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {"sci", f"sci_hpc-{sci.__version__}.dist-info"}
    assert f"Version: {sci.__version__}" in metadata


def test_the_checkout_installs_as_it_is(tmp_path: Path) -> None:
    """`pip install -e .` is where every target of the Makefile begins."""
    code = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.strip()) as archive:
        (link,) = (name for name in archive.namelist() if name.endswith(".pth"))
        assert archive.read(link).decode().split() == [str(CHECKOUT)]


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
    assert int(done.stdout) == 28


def test_the_command_runs_from_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    command = str(clean_python.with_name("sci"))
    (tmp_path / "pair.pqr").write_text(PQR)
    done = _run([command, "potential", "pair.pqr", "-o", "pair.h5", "--tol", "1e-4"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = _run([command, "info", "pair.h5"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "potential" in done.stdout


SOURCE = "particles/direct_sum.cu"


@pytest.fixture(scope="module")
def prebuilt_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the kernels of one source compiled, for the lowest level of this machine."""
    level = {"x86_64": "x86-64-v2", "aarch64": "armv8-a"}.get(platform.machine())
    if sys.platform != "linux" or level is None or shutil.which("gcc") is None:
        pytest.skip("kernels are compiled by gcc for Linux on x86-64 and aarch64")
    return build_wheel(tmp_path_factory.mktemp("prebuilt"), SCI_PREBUILT=level, SCI_PREBUILT_SOURCES=SOURCE)


@pytest.fixture(scope="module")
def prebuilt_python(prebuilt_wheel: Path) -> Path:
    return make_environment(prebuilt_wheel)


# An audit hook cannot be taken off: all ways to start a process go through one of these events.
WATCHED = """
import sys
started = []
sys.addaudithook(lambda event, given: started.append(event) if event.startswith(
    ("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.")) else None)
import numpy as np, sci
from sci.kernels import cache_folder, host_threads
from sci.nn import gelu
from sci.potentials import Particles, direct_sum
ions = Particles([[0.0, 0.0, 0.0]], [2.0])
values = direct_sum(ions, np.tile([[0.0, 0.0, 4.0]], (5000, 1)))
assert np.all(values == 0.5), values
{more}
print(len(started), len(list(cache_folder().glob("*.so"))), host_threads())
"""


def test_the_prebuilt_wheel_is_for_one_machine_and_every_python(prebuilt_wheel: Path) -> None:
    assert prebuilt_wheel.name == f"sci_hpc-{sci.__version__}-py3-none-linux_{platform.machine()}.whl"
    with zipfile.ZipFile(prebuilt_wheel) as archive:
        manifests = [name for name in archive.namelist() if name.endswith("manifest.json")]
        (manifest,) = (json.loads(archive.read(name)) for name in manifests)
    assert set(manifest["digests"]) == {SOURCE}


@pytest.mark.parametrize("compiler", ["with a compiler", "without one"])
def test_prebuilt_kernels_start_no_process(prebuilt_python: Path, tmp_path: Path, compiler: str) -> None:
    """Neither where a compiler is nor where none is, on two threads; a NumPy reference is an error."""
    path = os.environ["PATH"] if compiler == "with a compiler" else str(tmp_path)
    variables = {"PATH": path, "SCI_KERNELS": "compiled", "SCI_THREADS": "2", "HOME": str(tmp_path)}
    done = _run([str(prebuilt_python), "-c", WATCHED.format(more="")], tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0", "2"]
    assert done.stderr == ""


NATIVE = 'with sci.options(kernels="native"): direct_sum(ions, np.zeros((9, 3)) + 1.0)'
MISSING = "gelu(np.linspace(-1.0, 1.0, 50))"
EDITED = """
import shutil
from pathlib import Path
from sci.kernels import kernel_folder
edited = Path("edited")
shutil.copytree(kernel_folder(), edited)
(edited / "particles/direct_sum.cu").write_text((edited / "particles/direct_sum.cu").read_text() + "// other\\n")
with sci.options(kernel_path=str(edited)): direct_sum(ions, np.zeros((9, 3)) + 1.0)
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("more", [NATIVE, MISSING, EDITED], ids=["native", "missing in the wheel", "edited"])
def test_the_compiler_steps_in_for_what_did_not_come_compiled(prebuilt_python: Path, tmp_path: Path, more: str) -> None:
    done = _run([str(prebuilt_python), "-c", WATCHED.format(more=more)], tmp_path, SCI_THREADS="1")
    assert done.returncode == 0, done.stderr
    processes, libraries, _ = map(int, done.stdout.split())
    assert processes > 0
    assert libraries == 1
