"""`sci doctor`: what this machine has, and the fix for each gap."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import which

import numpy as np

import sci
from sci import versions
from sci.backend import nccl
from sci.cli.outcome import tell
from sci.distributed import agreed, broadcast_object, rank_of, size
from sci.distribution import distribution_name, install_command, kernels_command, other_distributions
from sci.errors import KernelCompileError, SciError
from sci.kernels import (
    cache_folder,
    find_compiler,
    host_threads,
    prebuilt_damage,
    prebuilt_distribution,
    prebuilt_level,
    prebuilt_stale,
)
from sci.options import get as get_option
from sci.options import options
from sci.potentials import Particles, direct_sum
from sci.tasks import launched_tasks

__all__ = ["run"]

_ELSEWHERE = ("mpi4py", "cupy-cuda12x", "cupy-cuda13x")
"""Optional packages that have findings of their own."""


@dataclass(frozen=True)
class Finding:
    """Result of one check: whether all is well, what was found, and the fix."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def run(arguments: argparse.Namespace) -> None:
    """Look at everything and report it; ranks tell rank 0 where they run."""
    ranks = _ranks(arguments)
    with agreed(arguments.comm, "doctor"):
        if rank_of(arguments.comm) == 0:
            _examine(arguments, ranks)


def _examine(arguments: argparse.Namespace, ranks: list[Finding]) -> None:
    findings = [
        _versions(),
        _names(),
        _compiler(),
        *_prebuilt(),
        _cache(),
        _kernel(),
        _device(),
        *_mpi(),
        *ranks,
        _hdf5(),
        _threads(),
        *_extras(),
    ]
    rows = []
    for finding in findings:
        rows.append((f"{'ok' if finding.ok else '--'}  {finding.name}", finding.found))
        if finding.fix:
            rows.append(("", f"fix: {finding.fix}"))
    tell(arguments, {"sci": sci.__version__, "findings": [asdict(finding) for finding in findings]}, rows)


def _versions() -> Finding:
    packages = ", ".join(f"{name} {versions.package_version(name)}" for name in ("numpy", "scipy", "h5py"))
    return Finding(
        "versions",
        True,
        f"sci {sci.__version__}, Python {platform.python_version()}, {packages}, {platform.system()} "
        f"{platform.machine()}",
    )


def _names() -> Finding:
    """Look for another project's `sci`, whose files lie among ours where both are installed."""
    others = other_distributions()
    if not others:
        return Finding("package name", True, f"only {distribution_name()} provides sci")
    names = ", ".join(others)
    fix = f"pip uninstall {' '.join(name.partition(' ')[0] for name in others)}, then "
    fix += f"pip install --force-reinstall --no-deps {distribution_name()}"
    return Finding("package name", False, f"{names} brings a package sci into this environment", fix)


def _compiler() -> Finding:
    found, level = find_compiler(get_option("compiler")), prebuilt_level()
    if found is None and level is not None:
        return Finding("C++ compiler", True, f"none; the wheel brings kernels for {level} processors")
    if found is None:
        return Finding("C++ compiler", False, "none; kernels run as slow NumPy references", _COMPILER_FIX)
    return Finding("C++ compiler", True, f"{found[1]} ({found[0]})")


_COMPILER_FIX = (
    f"{kernels_command()}, or install g++ (Debian: apt-get install g++; conda: conda install gxx), or set SCI_COMPILER"
)


def _prebuilt() -> list[Finding]:
    """Compare the kernels that came compiled, if any did, with their checksums and with the sources of now."""
    level = prebuilt_level()
    if level is None:
        return []
    wrong, stale = prebuilt_damage(), [] if get_option("kernel_path") else prebuilt_stale()
    if stale and not wrong:
        wrong = f"of other sources than sci {sci.__version__} has, and not used: {', '.join(stale)}"
    fix = f'pip install --force-reinstall --no-deps "{prebuilt_distribution()}=={sci.__version__}"' if wrong else ""
    return [Finding("kernels that came compiled", not wrong, wrong or f"in use: {level}", fix)]


def _cache() -> Finding:
    folder = cache_folder()
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if os.access(nearest, os.W_OK | os.X_OK) and nearest.is_dir():
        count = len(list(folder.glob("*.so"))) if folder.is_dir() else 0
        return Finding("kernel cache", True, f"{folder} ({count} compiled kernels)")
    return Finding("kernel cache", False, f"{folder} cannot be written to", "set SCI_CACHE_DIR to a folder of yours")


def _kernel() -> Finding:
    """Compile and run one kernel for real."""
    start = time.perf_counter()
    try:
        with options(kernels="compiled"):
            value = float(direct_sum(Particles([[0.0, 0.0, 0.0]], [1.0]), np.array([[0.0, 0.0, 2.0]]))[0])
    except (SciError, OSError) as error:
        reason = str(error).partition("\n")[0]
        fix = _COMPILER_FIX if isinstance(error, KernelCompileError) else "set SCI_CACHE_DIR to a folder of yours"
        return Finding("compiled kernel", False, reason, fix)
    seconds = time.perf_counter() - start
    if abs(value - 0.5) > 1e-15:
        return Finding("compiled kernel", False, f"gives {value} for 0.5", "set SCI_KERNELS=reference and report this")
    return Finding("compiled kernel", True, f"compiled or loaded, and ran in {seconds:.2f} s")


def _device() -> Finding:
    packages = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
    cupy = next((f"{name} {versions.package_version(name)}" for name in packages if versions.package_version(name)), "")
    found, reason = versions.gpu()
    if found is not None:
        about = f"{cupy}, driver for {found['driver']}, {_nccl()}, {', '.join(found['devices'])}"
        return Finding("GPU", True, about)
    if cupy:
        return Finding("GPU", False, f"{cupy}; {reason}", "install the driver; see that nvidia-smi lists a device")
    fix = f"with an NVIDIA GPU: {install_command('cuda12')} (or cuda13); without one nothing is missing"
    return Finding("GPU", False, "no CuPy; everything runs on the CPU", fix)


def _nccl() -> str:
    try:
        nccl()
    except SciError:
        return "no NCCL"
    return "NCCL"


def _mpi() -> list[Finding]:
    if versions.package_version("mpi4py") is None:
        fix = f"for one machine: {install_command('mpi-local')}; with the MPI of a cluster: {install_command('mpi')}"
        return [Finding("MPI", False, "no mpi4py; runs in one process", fix)]
    found, reason = versions.mpi()
    name = f"mpi4py {versions.package_version('mpi4py')}"
    if found is None:
        fix = "reinstall mpi4py against this MPI (pip install --no-binary mpi4py mpi4py), or " + install_command(
            "mpi-local"
        )
        return [Finding("MPI", False, f"{name} does not load: {reason}", fix)]
    aware = "takes device buffers" if found["device_buffers"] else "device buffers pass through the host"
    beside = Path(sys.executable).parent / "mpirun"
    mpirun = str(beside) if beside.exists() else which("mpirun")
    launcher = Finding("mpirun", mpirun is not None, mpirun or "none", "" if mpirun else "put the MPI's bin on PATH")
    return [Finding("MPI", True, f"{name}, {found['library']}; {aware}"), launcher]


def _ranks(arguments: argparse.Namespace) -> list[Finding]:
    """Look at the tasks of the launcher, if one started this process: do they know of each other, and share cores?"""
    found = launched_tasks()
    if found is None:
        return []
    if arguments.comm is None and found[1] > 1:
        return [Finding("ranks", False, *arguments.diagnosis.split("; ", 1))]
    node = platform.node(), sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    places = [broadcast_object(node, arguments.comm, rank) for rank in range(size(arguments.comm))]
    nodes = len({name for name, _ in places})
    shared = _sharing(places)
    text = f"{len(places)} of the launcher ({found[0]}) on {nodes} {'node' if nodes == 1 else 'nodes'}"
    if not shared:
        return [Finding("ranks", True, f"{text}, each on cores of its own")]
    text += f"; up to {shared[0]} share {shared[1]} cores, with {host_threads()} of them for each"
    if shared[0] > shared[1]:
        return [
            Finding("ranks", False, text, f"start at most {shared[1]} on a node: they wait for each other by spinning")
        ]
    fits = shared[0] * host_threads() <= shared[1]
    fix = f"set OMP_NUM_THREADS={shared[1] // shared[0]}, or leave it unset" if not fits else ""
    return [Finding("ranks", fits, text, fix)]


def _sharing(places: list[tuple[str, list[int]]]) -> tuple[int, int] | None:
    """Return the ranks that share cores, and their cores, on the node where most do; None if each has its own."""
    found = []
    for node in {name for name, _ in places}:
        cores = [set(own) for name, own in places if name == node]
        if sum(map(len, cores)) > len(set().union(*cores)):
            found.append((len(cores), len(set().union(*cores))))
    return max(found, default=None)


def _hdf5() -> Finding:
    found, reason = versions.hdf5()
    if found is None:
        return Finding("HDF5", False, f"h5py does not load: {reason}", "pip install --force-reinstall h5py")
    how = "written by all ranks at once" if found["parallel"] else "ranks write parts that a virtual dataset joins"
    return Finding("HDF5", True, f"HDF5 {found['version']}, {'parallel' if found['parallel'] else 'serial'}: {how}")


def _threads() -> Finding:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = ", ".join(f"{n}={os.environ[n]}" for n in names if os.environ.get(n)) or f"{names[0]} is not set"
    cores = f"{versions.usable_cores()} cores ({versions.cpu_level() or 'level unknown'})"
    return Finding("threads", True, f"{cores}; {host_threads()} for kernels; {versions.blas()}; {limits}")


def _extras() -> list[Finding]:
    found = {name: (versions.package_version(name), extra) for name, extra in versions.EXTRAS.items()}
    return [
        Finding(name, number is not None, number or "not installed", "" if number else install_command(extra))
        for name, (number, extra) in found.items()
        if name not in _ELSEWHERE
    ]
