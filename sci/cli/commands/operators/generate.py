"""`sci operator generate`: training data of Darcy flow and of a two-dimensional flow, in an HDF5 file."""

from __future__ import annotations

import argparse
import time

from sci.cli.common import chosen_namespace
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.operators import generation_needs
from sci.cli.outcome import computing, require_writable, tell
from sci.distributed import size
from sci.io import save_samples
from sci.problems import darcy_flow, navier_stokes
from sci.problems.random_fields import require_parameters

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Make the samples and write them."""
    a = arguments
    chosen_namespace(a, on_device=False)
    require_writable([a.output], overwrite=a.overwrite, comm=a.comm)
    if not _fits(a):
        return
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


def _fits(a: argparse.Namespace) -> bool:
    """Return True if the samples fit into memory and disk and are to be made."""
    names = ("low", "high") if a.equation == "darcy" else ("viscosity", "time", "time_step")
    require_parameters(a.grid, a.samples, a.subsample, **{name: getattr(a, name) for name in names})
    settings = {**{name: getattr(a, name) for name in names}, "subsample": a.subsample, "seed": a.seed}
    kept = 16.0 * a.samples * (-(-a.grid // a.subsample)) ** 2
    share = -(-a.samples // size(a.comm))
    return goes_on(
        a,
        lambda: generation_needs(a.equation, share, a.grid, a.subsample, settings),
        bound=3 * kept / size(a.comm) + 10_000.0 * a.grid**2,
        disk=file_bytes(kept, 2),
        outputs=[a.output],
        remedy="use fewer --samples, a smaller --grid, or a larger --subsample",
        about={"samples": a.samples, "grid": f"{a.grid} x {a.grid}"},
    )
