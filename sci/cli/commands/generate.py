"""`sci operator generate`: training data of Darcy flow and of a two-dimensional flow, in an HDF5 file."""

from __future__ import annotations

import argparse
import time

from sci.cli.common import chosen_namespace
from sci.cli.outcome import computing, require_writable, tell
from sci.io import save_samples
from sci.problems import darcy_flow, navier_stokes

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Make the samples and write them."""
    a = arguments
    chosen_namespace(a, on_device=False)
    require_writable([a.output], overwrite=a.overwrite, comm=a.comm)
    start = time.perf_counter()
    common = {"subsample": a.subsample, "seed": a.seed, "comm": a.comm}
    if a.equation == "darcy":
        x, y = darcy_flow(a.samples, a.grid, low=a.low, high=a.high, **common)
        periodic = False
    else:
        x, y = navier_stokes(a.samples, a.grid, viscosity=a.viscosity, time=a.time, time_step=a.time_step, **common)
        y, periodic = y[:, 0], True
    seconds = time.perf_counter() - start
    with computing():
        save_samples(a.output, x, y, grid_axes=2, periodic=periodic, command=a.command, comm=a.comm)
    report = {
        "equation": a.equation,
        "output": str(a.output),
        "samples": a.samples,
        "grid": list(x.shape[1:]),
        "seed": a.seed,
        "seconds": seconds,
    }
    shape = " x ".join(map(str, report["grid"]))
    rows = [("samples", f"{a.samples} of {a.equation}, {shape}"), ("time", f"{seconds:.1f} s"), ("file", str(a.output))]
    tell(a, report, rows)
