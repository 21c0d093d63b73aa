"""The scripts for batch systems run, with stand-ins for `srun` and what PBS sets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from launcher import find_mpirun

from sci.io import load, load_grid

ROOT = Path(__file__).parents[1]
BATCH = ROOT / "examples" / "batch"
SCRIPTS = sorted(BATCH.glob("*.sh"))
LAUNCHER_VARIABLES = ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK")

pytestmark = [
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.skipif(find_mpirun() is None, reason="needs mpirun (extra mpi-local)"),
]


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job: a virtual environment to activate, `srun` as mpirun on two ranks, a list of hosts."""
    beside, stand_ins = Path(sys.executable).parent, tmp_path / "stand-ins"
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "activate").write_text(f'export PATH="{stand_ins}:{beside}:$PATH"\n')
    (tmp_path / "molecule.pqr").write_text(
        "".join(f"ATOM {i} C ALA {i} {1.9 * i:.3f} {i % 3}.0 {i % 5}.0 {(-1) ** i * 0.25} 1.9\n" for i in range(1, 9))
    )
    _program(stand_ins / "srun", f'while [ "${{1#--}}" != "$1" ]; do shift; done\nexec "{find_mpirun()}" -n 2 "$@"')
    # Its own tests run the doctor, which takes seconds.
    _program(stand_ins / "sci", f'[ "$1" = doctor ] || exec "{sys.executable}" -m sci "$@"')
    (tmp_path / "hosts").write_text("localhost\nlocalhost\n")
    kept = {k: v for k, v in os.environ.items() if k not in (*LAUNCHER_VARIABLES, "CUDA_VISIBLE_DEVICES")}
    return {
        **kept,
        "PATH": f"{stand_ins}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SCI_VENV": str(tmp_path / "venv"),
        "PBS_NODEFILE": str(tmp_path / "hosts"),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "SCI_CACHE_DIR": os.environ.get("SCI_CACHE_DIR", str(Path.home() / ".cache" / "sci" / "kernels")),
    }


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _run(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_a_script_is_well_formed(script):
    assert os.access(script, os.X_OK)
    shell = script.read_text().partition("\n")[0].removeprefix("#!").split("/")[-1]
    assert _run(dict(os.environ), shell, "-n", script).returncode == 0


@pytest.mark.parametrize("system", ["slurm", "pbs"])
def test_a_job_writes_its_file(job, tmp_path, system):
    molecule, out = tmp_path / "molecule.pqr", tmp_path / "out.h5"
    if system == "slurm":
        done = _run(job, "bash", BATCH / "slurm_cpu.sh", molecule, out)
    else:
        done = _run({**job, "MOLECULE": str(molecule), "OUTPUT": str(out)}, "bash", BATCH / "pbs.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("atoms           8, total charge") == 1  # of two ranks
    assert load(out).particles.n == 8
    assert load_grid(out).values.size > 0


def test_a_job_fails_with_its_program(job, tmp_path):
    done = _run(job, "bash", BATCH / "slurm_cpu.sh", tmp_path / "missing.pqr", tmp_path / "out.h5")
    assert done.returncode != 0
    assert "there is no such file" in done.stderr
    assert not (tmp_path / "out.h5").exists()


def test_each_rank_gets_its_gpu(job):
    show = 'echo "gpu=$CUDA_VISIBLE_DEVICES"'
    done = _run({**job, "CUDA_VISIBLE_DEVICES": "4,7"}, find_mpirun(), "-n", 3, BATCH / "one_gpu.sh", "sh", "-c", show)
    assert sorted(re.findall("gpu=(.*)", done.stdout)) == ["4", "4", "7"]
    done = _run({**job, "CUDA_VISIBLE_DEVICES": "0,1"}, "bash", BATCH / "slurm_gpu.sh", "sh", "-c", show)
    assert done.returncode == 0, done.stderr
    assert sorted(re.findall("gpu=(.*)", done.stdout)) == ["0", "1"]


@pytest.mark.parametrize("variable", LAUNCHER_VARIABLES)
def test_the_place_on_the_node_is_found(job, variable):
    environment = {**job, variable: "1", "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}
    done = _run(environment, BATCH / "one_gpu.sh", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert done.stdout == "GPU-b\n"


def test_a_launcher_that_says_nothing_is_an_error(job):
    done = _run(job, BATCH / "one_gpu.sh", "echo", "never")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "place on the node" in done.stderr


def test_the_container_gets_files_that_exist():
    text = (BATCH / "sci.def").read_text()
    sources = re.search(r"%files\n(.*?)\n\n", text, re.DOTALL)[1].split()[::2]
    assert [s for s in sources if not (ROOT / s).exists()] == []
    assert re.findall(r"^%(\w+)", text, re.MULTILINE) == ["files", "post", "environment", "runscript", "test"]
