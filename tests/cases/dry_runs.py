"""A command tried with --dry-run, and then done: what was told beside what it took.

Memory and disk that are told are never below what is taken, and at most twice that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOB = """
import importlib, json, sys, time
import sci.io
from sci.cli import main
from sci.cli.parser import parse
importlib.import_module(sys.argv[1])
late = sci.io.kinds(), [getattr(sci.io, name) for name in sci.io.__all__]
words = sys.argv[2:]
start = time.process_time()
code = main(words)
used = time.process_time() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss begins at the parent's
print(json.dumps([used, 1024 * int(peak.split()[1])]), file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Compared:
    """What --dry-run told, and what the job took: CPU seconds without imports, the peak of its memory, and disk."""

    told: dict[str, Any]
    seconds: float
    memory: int
    written: int

    @property
    def time_ratio(self) -> float:
        """Told over taken."""
        return float(self.told["seconds"]) / self.seconds

    @property
    def memory_ratio(self) -> float:
        """Told over taken."""
        return float(self.told["memory_bytes"]) / self.memory

    @property
    def disk_ratio(self) -> float:
        """Told over taken; 1 where nothing is written and nothing told."""
        told = float(self.told["disk_bytes"])
        return told / self.written if self.written else 1.0 + told

    @property
    def misses(self) -> dict[str, float]:
        """What is told too small, or too large by more than the factor that is allowed."""
        bounds = {"time_ratio": (1 / 3, 3.0), "memory_ratio": (1.0, 2.0), "disk_ratio": (1.0, 2.0)}
        found = {name: getattr(self, name) for name in bounds}
        return {name: value for name, value in found.items() if not bounds[name][0] <= value <= bounds[name][1]}


def _run(module: str, words: list[str]) -> tuple[str, float, int]:
    command = [sys.executable, "-c", JOB, module, *words]
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads of BLAS that wait count as CPU time
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **alone}
    )
    assert done.returncode == 0, done.stderr
    seconds, memory = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, seconds, memory


def compared(module: str, *arguments: object) -> Compared:
    """Run a command with --dry-run, then for real; `module` is what it imports."""
    words = [str(a) for a in arguments]
    folder = Path(words[words.index("-o") + 1]).parent if "-o" in words else None
    told, _, _ = _run(module, [*words, "--dry-run", "--json"])
    before = set() if folder is None else set(folder.iterdir())
    _, seconds, memory = _run(module, [*words, "--quiet"])
    after = set() if folder is None else set(folder.iterdir()) - before
    return Compared(json.loads(told), seconds, memory, sum(path.stat().st_size for path in after))
