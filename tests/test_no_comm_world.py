"""The library works on the communicator that it is given, and touches MPI only when it is given one.

At run time the programs in tests/mpi/programs sabotage `MPI.COMM_WORLD`; here the sources are read.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import sci

PACKAGE = Path(sci.__file__).parent
GLOBAL_NAMES = {"COMM_WORLD", "COMM_SELF"}


def _names(tree: ast.AST) -> set[str]:
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_no_module_names_a_global_communicator(trees: dict[Path, ast.Module]) -> None:
    assert len(trees) > 10
    found = {str(path.relative_to(PACKAGE)): _names(tree) for path, tree in trees.items()}
    # A program may start from the world, and has one function for it; the library never calls that.
    assert [name for name, used in found.items() if used & GLOBAL_NAMES] == ["distributed/jobs/launcher.py"]
    calls = {name for name, used in found.items() if "launched_communicator" in used}
    assert {name for name in calls if not name.startswith("cli/")} <= {"distributed/jobs/launcher.py"}


def test_import_and_serial_use_import_no_mpi() -> None:
    code = (
        "import sys, numpy as np\n"
        "import sci.distributed as d\n"
        "d.allreduce_sum(np.ones(3)); d.agreed(None).__enter__()\n"
        "d.exchange_halo(np.zeros(4), d.slab((2,), halo=1), True)\n"
        "fft = d.PencilFFT((4, 4)); fft.inverse(fft.forward(np.ones((4, 4)))); d.unshard(d.shard(np.ones(3)))\n"
        "d.broadcast(np.ones(2)); d.broadcast_object(1); d.traffic(None); d.allgather_rows(np.ones(2))\n"
        "print('mpi4py' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
