"""A command tried with --dry-run, and then done: what was told beside what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

JOB = """
import importlib, json, sys, time
from sci.cli import main
from sci.cli.parser import parse
importlib.import_module(sys.argv[1])
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
    """What --dry-run told, and what the job took: CPU seconds without imports, and the peak of its memory."""

    told: dict[str, Any]
    seconds: float
    memory: int

    @property
    def time_ratio(self) -> float:
        """Told over taken."""
        return float(self.told["seconds"]) / self.seconds

    @property
    def memory_ratio(self) -> float:
        """Told over taken."""
        return float(self.told["memory_bytes"]) / self.memory


def _run(module: str, words: list[str]) -> tuple[str, float, int]:
    command = [sys.executable, "-c", JOB, module, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    seconds, memory = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, seconds, memory


def compared(module: str, *arguments: object) -> Compared:
    """Run a command with --dry-run, then for real; `module` is what it imports."""
    words = [str(a) for a in arguments]
    told, _, _ = _run(module, [*words, "--dry-run", "--json"])
    _, seconds, memory = _run(module, [*words, "--quiet"])
    return Compared(json.loads(told), seconds, memory)
