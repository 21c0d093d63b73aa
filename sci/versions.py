"""Versions and capabilities of this machine that matter to the library, as a bug report needs them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import sci
from sci.backend import namespace_of
from sci.distribution import distribution_name
from sci.kernels import cache_folder, find_compiler, host_threads, prebuilt_level
from sci.options import CPU_LEVELS
from sci.options import get as get_option
from sci.tasks import without_launcher

__all__ = [
    "EXTRAS",
    "blas",
    "cpu_level",
    "gpu",
    "hdf5",
    "mpi",
    "package_version",
    "probe",
    "show",
    "usable_cores",
    "versions",
]

EXTRAS: dict[str, str] = {
    "matplotlib": "plot",
    "plotly": "report",
    "gemmi": "structures",
    "ase": "structures",
    "pdb2pqr": "structures",
    "MDAnalysis": "trajectories",
    "ParmEd": "trajectories",
    "xarray": "xarray",
    "torch": "torch",
    "safetensors": "checkpoints",
    "mpi4py": "mpi",
    "cupy-cuda12x": "cuda12",
    "cupy-cuda13x": "cuda13",
}
"""Optional packages, and the extra that installs each."""

# In a process of its own: importing mpi4py starts MPI, which on some machines ends the process.
_MPI_PROBE = (
    "import json; from mpi4py import MPI; from sci.distributed import cuda_aware; "
    "print(json.dumps([MPI.Get_library_version(), cuda_aware()]))"
)
_HDF5_PROBE = "import h5py, json; print(json.dumps([h5py.version.hdf5_version, h5py.get_config().mpi]))"

_LEVEL_FLAGS: dict[str, str] = {
    "x86-64-v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "x86-64-v3": "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
    "x86-64-v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}
"""Flags that Linux lists for a processor of each level of the x86-64 ABI, beside those of the level below."""


def show(*, as_json: bool = False) -> None:
    """Print what `versions` returns, as a table or as one JSON object.

    Parameters
    ----------
    as_json : bool
        Print JSON instead of the table.
    """
    found = versions()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for section, entries in found.items():
        print(section)
        width = max(map(len, entries))
        for name, value in entries.items():
            print(f"  {name:<{width}}  {_words(value)}")


def versions() -> dict[str, dict[str, Any]]:
    """Return versions and capabilities by section, ready for JSON.

    Returns
    -------
    dict of dicts
        Sections `sci`, `system`, `kernels`, `libraries` and `packages`; None stands for whatever is missing.

    Notes
    -----
    MPI and HDF5 are asked in processes of their own, which takes about a second.

    Examples
    --------
    >>> from sci.versions import versions
    >>> sorted(versions())
    ['kernels', 'libraries', 'packages', 'sci', 'system']
    """
    return {
        "sci": {"version": sci.__version__, "distribution": distribution_name(), "folder": str(Path(__file__).parent)},
        "system": _system(),
        "kernels": _kernels(),
        "libraries": {"BLAS": blas(), "HDF5": _first(hdf5()), "MPI": _first(mpi()), "GPU": gpu()[0]},
        "packages": {name: package_version(name) for name in ("numpy", "scipy", "h5py", "tqdm", *EXTRAS)},
    }


def package_version(name: str) -> str | None:
    """Return the version of an installed distribution, or None.

    Parameters
    ----------
    name : str
        Of the distribution.

    Returns
    -------
    str or None
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    Returns
    -------
    int
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas() -> str:
    """Return name and version of the BLAS that NumPy was built with.

    Returns
    -------
    str
    """
    config: Any = np.show_config(mode="dicts")
    found = config.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown BLAS')} {found.get('version', '')}".strip()


def cpu_level(info: str | None = None) -> str | None:
    """Return the level of the x86-64 ABI of the processor, or None where it is not known.

    Parameters
    ----------
    info : str, optional
        Text of /proc/cpuinfo; that of this machine unless given.

    Returns
    -------
    str or None

    Examples
    --------
    >>> from sci.versions import cpu_level
    >>> cpu_level("flags : cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx")
    'x86-64-v2'
    """
    flags = set(_cpu_entry("flags", info).split())
    reached = None
    for level in CPU_LEVELS:
        if not set(_LEVEL_FLAGS[level].split()) <= flags:
            break
        reached = level
    return reached


def hdf5() -> tuple[dict[str, Any] | None, str]:
    """Return the version of HDF5 and whether it is parallel; or None and the reason.

    Returns
    -------
    (dict or None, str)
    """
    answer, reason = probe(_HDF5_PROBE)
    return (None, reason) if answer is None else ({"version": answer[0], "parallel": bool(answer[1])}, "")


def mpi() -> tuple[dict[str, Any] | None, str]:
    """Return the MPI library and whether it takes device buffers; or None and the reason.

    Returns
    -------
    (dict or None, str)
    """
    if package_version("mpi4py") is None:
        return None, "no mpi4py"
    answer, reason = probe(_MPI_PROBE)
    if answer is None:
        return None, reason
    return {"library": " ".join(str(answer[0]).split())[:60], "device_buffers": bool(answer[1])}, ""


def gpu() -> tuple[dict[str, Any] | None, str]:
    """Return the devices and the version of CUDA that their driver knows; or None and the reason.

    Returns
    -------
    (dict or None, str)
    """
    try:
        runtime = namespace_of("cuda").cuda.runtime
        count, driver = runtime.getDeviceCount(), runtime.driverGetVersion()
        names = [runtime.getDeviceProperties(k)["name"].decode() for k in range(count)]
    except Exception as error:  # CuPy raises errors of its own for a missing driver, and ours if it is missing itself
        return None, str(error).partition("\n")[0]
    return {"devices": names, "driver": f"CUDA {driver // 1000}.{driver % 1000 // 10}"}, ""


def probe(code: str) -> tuple[list[Any] | None, str]:
    """Run Python code that prints a JSON list in a new process; return the list, or None and the reason.

    Parameters
    ----------
    code : str
        Python that prints one JSON list.

    Returns
    -------
    (list or None, str)
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=without_launcher(),
        )
        found: list[Any] = json.loads(done.stdout)
        return found, ""
    except subprocess.TimeoutExpired:
        return None, "no answer within 60 s"
    except ValueError:
        lines = done.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"exit code {done.returncode}"


def _first(found: tuple[Any, str]) -> Any:
    return found[0] if found[0] is not None else found[1]


def _system() -> dict[str, Any]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "OS": platform.platform(),
        "processor": _cpu_entry("model name") or platform.machine(),
        "level": cpu_level(),
        "cores": usable_cores(),
        "threads": {name: os.environ[name] for name in names if os.environ.get(name)},
    }


def _kernels() -> dict[str, Any]:
    compiler = find_compiler(get_option("compiler"))
    level, option = prebuilt_level(), get_option("kernels")
    if option == "reference":
        state = "NumPy references, as the option kernels says"
    elif level is not None and option != "native":
        state = f"from the wheel, for {level}"
    else:
        state = "compiled here" if compiler else "NumPy references, which are slow: no compiler is found"
    return {
        "state": state,
        "compiler": None if compiler is None else f"{compiler[1]} ({compiler[0]})",
        "cache": str(cache_folder()),
        "threads": host_threads(),
    }


def _cpu_entry(name: str, info: str | None = None) -> str:
    """Return one entry of the first processor in /proc/cpuinfo, or an empty string."""
    if info is None:
        path = Path("/proc/cpuinfo")
        info = path.read_text() if path.is_file() else ""
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(v)}" for name, v in value.items()) or "none set"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
