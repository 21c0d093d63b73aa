"""The wheel, built from the checkout, and a new environment with it: made once for all tests of a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


UNWANTED = ("PYTHONPATH", "SCI_KERNEL_PATH", "SCI_KERNELS", "SCI_COMPILER", "SCI_PREBUILT")


def run_clean(
    command: list[str], folder: Path, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` without the checkout on its path; its cache of kernels is its own unless named.

    `given` goes to its stdin, and `variables` into its environment.
    """
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    environment |= {"SCI_CACHE_DIR": str(folder / "cache"), **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, check=False
    )


def build_wheel(folder: Path, **variables: str) -> Path:
    """Build the wheel of the checkout in `folder` and return its path."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    done = run_clean(build, folder, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def make_environment(wheel: Path, *others: Path) -> Path:
    """Return the Python of a new environment with the wheels, which sees the running one's dependencies but no other
    `sci`."""
    folder = wheel.parent / "environment"
    done = run_clean([sys.executable, "-m", "venv", "--without-pip", str(folder)], wheel.parent)
    assert done.returncode == 0, done.stderr
    python = folder / "bin" / "python"
    where = run_clean([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], wheel.parent)
    site = Path(where.stdout.strip())
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    done = run_clean([*install, str(wheel), *map(str, others)], wheel.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    # A plain path in a .pth file adds the packages there, but does not follow their own .pth files: the editable
    # install of the checkout stays out of sight.
    (site / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    # The extra mpi-local: what the mpich wheel puts beside Python.
    for place in ("lib/[!p]*", "bin/mpi*", "bin/hydra*"):
        for path in Path(sys.prefix).glob(place):
            (folder / place).with_name(path.name).symlink_to(path)
    return python
