"""Everything that wants a GPU in one run: tests, times of every pillar, the peers that are installed, in one JSON file.

    make gpu        (or: python benchmarks/gpu.py -o gpu.json [--stages tests sequences ...] [--minutes 8])

The stages run one after the other, each in a process of its own, and each writes its part of the file at once: a run
cut short still counts, and a stage that fails or hangs takes nothing from the others. `docs/gpu.json` is such a file;
the tables of docs/howto/gpu.md are made from it. Exit code 0: all passed; 1: something failed; 2: no GPU here.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PILLARS = ("potentials", "operators", "solvers", "sequences")
SHARE = {"tests": 0.4, "potentials": 0.1, "operators": 0.15, "solvers": 0.2, "sequences": 0.15}
"""The part of the minutes that each stage may take; what one leaves goes to those after it."""


def device() -> dict[str, Any] | None:
    """Return the device and the versions that matter, or None where CuPy finds no GPU."""
    if importlib.util.find_spec("cupy") is None:
        return None
    import cupy

    try:
        if cupy.cuda.runtime.getDeviceCount() == 0:
            return None
    except cupy.cuda.runtime.CUDARuntimeError:
        return None
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    versions = {}
    for name in ("numpy", "scipy", "h5py", "mpi4py", "torch", "neuraloperator"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "name": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_bytes": properties["totalGlobalMem"],
        "cuda_runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "cuda_driver": cupy.cuda.runtime.driverGetVersion(),
        "cpu_cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "cupy": cupy.__version__,
        **versions,
    }


def run(command: list[str], seconds: float) -> tuple[int | None, str]:
    """Return exit code (None where the time ran out) and output of a command; the output is shown as it comes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    lines, expired = [], threading.Event()
    # A session of its own, so that the ranks that a test started end with it.
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as process:

        def end() -> None:
            expired.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, end)
        timer.start()
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        timer.cancel()
    return None if expired.is_set() else process.returncode, "".join(lines)


def run_tests(seconds: float) -> dict[str, Any]:
    """Run the tests marked gpu; return their counts and the names of those that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-rf", "tests"]
    code, output = run(command, seconds)
    summary = output.rstrip().rpartition("\n")[2]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", summary)}
    return {"exit": code, **counts, "failures": re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.M)}


def run_pillar(name: str, seconds: float) -> dict[str, Any]:
    """Time the jobs of a pillar; rows that were written before the time ran out are kept."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, str(ROOT / "benchmarks" / "devices.py"), "--only", name, "--json", str(rows)]
        code, _ = run(command, seconds)
        found = json.loads(rows.read_text()) if rows.is_file() else {}
    return {"exit": code, "rows": found.get("rows", {}), "failures": found.get("failures", {})}


STAGES: dict[str, Callable[[float], dict[str, Any]]] = {
    "tests": run_tests,
    **{name: (lambda seconds, name=name: run_pillar(name, seconds)) for name in PILLARS},
}


def main() -> int:
    """Run the stages and write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--minutes", type=float, default=8.0, help="time for all stages together (8)")
    options = parser.parse_args()
    machine = device()
    if machine is None:
        print("no GPU here: CuPy is not installed or finds no device; `sci doctor` says which", file=sys.stderr)
        return 2
    report: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "stages": {},
    }
    end = time.monotonic() + 60 * options.minutes
    weights = [SHARE[name] for name in options.stages]
    for index, name in enumerate(options.stages):
        share = weights[index] / sum(weights[index:])
        started = time.monotonic()
        print(f"== {name}", flush=True)
        stage = STAGES[name](max(10.0, (end - started) * share))
        report["stages"][name] = {**stage, "seconds": round(time.monotonic() - started, 1)}
        part = options.output.with_suffix(".part")
        part.write_text(json.dumps(report, indent=1) + "\n")
        part.replace(options.output)
    print(f"wrote {options.output}")
    return 0 if all(stage["exit"] == 0 for stage in report["stages"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
