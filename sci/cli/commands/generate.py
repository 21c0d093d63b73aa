"""`sci operator generate`: training data of Darcy flow and of a two-dimensional flow, in an HDF5 file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from sci.cli.outcome import add_overwrite, computing, print_json, print_table, require_writable
from sci.io import save_samples
from sci.problems import darcy_flow, navier_stokes

__all__ = ["add_parser"]

DESCRIPTION = """Training data: inputs x and outputs y. `darcy` solves -div(a grad u) = 1 with a random coefficient of
two values, x = a and y = u; `navier-stokes` follows a random vorticity on a torus, x = its start and y = its end.
Sample i depends on the seed and on i alone; mpi_examples/generate_samples.py does the same on MPI ranks."""


def add_parser(actions: Any) -> None:
    """Add the action."""
    parser = actions.add_parser("generate", help="make training data", description=DESCRIPTION)
    parser.add_argument("equation", choices=("darcy", "navier-stokes"))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="(100)")
    parser.add_argument("--grid", type=int, default=64, metavar="N", help="points along each axis of the solver (64)")
    parser.add_argument("--subsample", type=int, default=1, metavar="K", help="keep every K-th point (1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(0)")
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    darcy = parser.add_argument_group("darcy")
    darcy.add_argument("--low", type=float, default=3.0, metavar="A", help="smaller coefficient (3)")
    darcy.add_argument("--high", type=float, default=12.0, metavar="A", help="larger coefficient (12)")
    flow = parser.add_argument_group("navier-stokes")
    flow.add_argument("--viscosity", type=float, default=1e-3, metavar="NU", help="(0.001)")
    flow.add_argument("--time", type=float, default=10.0, metavar="T", help="time of y (10)")
    flow.add_argument("--time-step", type=float, default=1e-3, metavar="DT", help="longest step (0.001)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    a = arguments
    require_writable([a.output], overwrite=a.overwrite)
    start = time.perf_counter()
    common = {"subsample": a.subsample, "seed": a.seed}
    if a.equation == "darcy":
        x, y = darcy_flow(a.samples, a.grid, low=a.low, high=a.high, **common)
        periodic = False
    else:
        x, y = navier_stokes(a.samples, a.grid, viscosity=a.viscosity, time=a.time, time_step=a.time_step, **common)
        y, periodic = y[:, 0], True
    seconds = time.perf_counter() - start
    with computing():
        save_samples(a.output, x, y, grid_axes=2, periodic=periodic, command=a.command)
    report = {
        "equation": a.equation,
        "output": str(a.output),
        "samples": len(x),
        "grid": list(x.shape[1:]),
        "seed": a.seed,
        "seconds": seconds,
    }
    if a.json:
        print_json(report)
    else:
        shape = " x ".join(map(str, report["grid"]))
        print_table(
            [("samples", f"{len(x)} of {a.equation}, {shape}"), ("time", f"{seconds:.1f} s"), ("file", str(a.output))]
        )
