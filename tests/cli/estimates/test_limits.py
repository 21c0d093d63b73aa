"""Limits of memory from made-up system files, and real ones of this process."""

from __future__ import annotations

import mmap
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sci.cli.estimates.limits import available_memory, resident

GB = 10**9


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 50000000 kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_machine_limits_a_process_without_groups(tmp_path: Path) -> None:
    have, origin = available_memory(_write(tmp_path, {}))
    assert (have, origin) == (51_200_000_000, "available on this machine")


def test_version_2_of_control_groups_and_the_group_around(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/jobs/one\n",
        "sys/fs/cgroup/jobs/one/memory.max": "max\n",
        "sys/fs/cgroup/jobs/one/memory.current": f"{GB}\n",
        "sys/fs/cgroup/jobs/memory.max": f"{8 * GB}\n",
        "sys/fs/cgroup/jobs/memory.current": f"{3 * GB}\n",
        "sys/fs/cgroup/jobs/memory.stat": f"anon 5\ninactive_file {GB}\n",
    }
    assert available_memory(_write(tmp_path, files)) == (6 * GB, "left in the job's memory limit")
    (tmp_path / "sys/fs/cgroup/jobs/one/memory.max").write_text(f"{2 * GB}\n")
    assert available_memory(tmp_path)[0] == GB


def test_version_1_of_control_groups_seen_from_a_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "8:cpu,cpuacct:/\n4:memory:/outside/the/container\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GB}\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 1000\n",
    }
    assert available_memory(_write(tmp_path, files)) == (3 * GB + 1000, "left in the job's memory limit")
    (tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert available_memory(tmp_path)[1] == "available on this machine"


def test_the_address_space_of_a_real_process() -> None:
    probe = "from sci.cli.estimates.limits import available_memory; print(*available_memory())"
    limit = 3 * GB

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, preexec_fn=lower)
    have, _, origin = done.stdout.partition(" ")
    assert 0 < int(have) < limit
    assert "ulimit -v" in origin


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no Linux")
def test_this_process_holds_what_it_holds() -> None:
    before = resident()
    with mmap.mmap(-1, 50_000_000) as block:
        block.write(b"x" * 50_000_000)
        assert 40_000_000 < resident() - before < 120_000_000
    assert resident(Path("/nowhere")) == 0
