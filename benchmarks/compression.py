"""Compression of fields within a bound, beside SZ3 and zfp.

    OMP_NUM_THREADS=1 python benchmarks/compression.py             # all, about two minutes, half of it for the flows
    OMP_NUM_THREADS=1 python benchmarks/compression.py --only protein --tol 1e-2 1e-4

Fields of float32: 32 frames of a two-dimensional flow on 128^2 (vorticity of the generator `navier_stokes`, at two
viscosities, 0.1 apart, and as far apart as those of the published sets, or half of that), and the long range and the
full potential of a protein on 128^3. Ratios are bytes of the field over all bytes of the result, headers included;
CPU milliseconds are of this process, the least of five runs, to compress / to decompress. Ours is the whole search:
all methods that a sample leaves, and the check of every point. SZ3 has the best of its modes for each bound. Its L2
norm is not bounded, so its absolute bound is bisected until the L2 error is the same, and the time is of one run at
that bound. zfp has its accuracy mode, bisected in the same way for both bounds. A peer that is not installed is left
out: pip install pysz zfpy.

"over SZ3" is our ratio over SZ3's (above 1, ours is smaller), "CPU" our time to compress over SZ3's.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sci.compression import compress
from sci.datasets import load_dataset
from sci.potentials import RangeSeparatedPotential
from sci.problems import navier_stokes

RUNS, BISECTIONS = 5, 10
Errors = tuple[float, float]
Coder = Callable[[np.ndarray, float], tuple[int, Callable[[], np.ndarray]]]


def flows() -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
    """Yield name, frames and periodic axes of flows."""
    for nu, total, step, records in (
        (1e-4, 16.0, 2e-3, 160),
        (1e-3, 16.0, 4e-3, 160),
        (1e-4, 15.0, 2e-3, 32),
        (1e-4, 30.0, 2e-3, 32),
        (1e-3, 50.0, 2e-3, 32),
    ):
        frames = navier_stokes(1, 128, viscosity=nu, time=total, time_step=step, n_records=records)[1]
        yield f"flow, nu {nu:g}, frames {total / records:.2g} apart", frames[0, -32:].astype(np.float32), (1, 2)


def potentials() -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
    """Yield name, values and periodic axes of the potential of a protein."""
    phi = RangeSeparatedPotential(load_dataset("ubiquitin"), 1e-4)
    axes = [np.linspace(low, high, 128) for low, high in phi.domain]
    yield "long range of a protein", phi.long_range.on_grid(*axes).astype(np.float32), ()
    yield "full potential", phi.on_grid(*axes).astype(np.float32), ()


def errors_of(field: np.ndarray, found: np.ndarray) -> Errors:
    """Return the relative L2 error, and the largest error over the range."""
    miss = found.astype(np.float64) - field
    return float(np.linalg.norm(miss) / np.linalg.norm(field.astype(np.float64))), float(
        np.abs(miss).max() / np.ptp(field)
    )


def least_time(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least CPU milliseconds of some runs, and a result."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        found = run()
        times.append(1e3 * (time.process_time() - start))
    return min(times), found


def sz3_modes() -> dict[str, Coder]:
    """Return compressors of SZ3 by the name of their mode; nothing where it is not installed."""
    try:
        pysz = importlib.import_module("pysz")
    except ImportError:
        print("# pysz is not installed: pip install pysz")
        return {}

    def coder(mode: str) -> Coder:
        def run(field: np.ndarray, bound: float) -> tuple[int, Callable[[], np.ndarray]]:
            config = pysz.szConfig(field.shape)
            config.cmprAlgo, config.errorBoundMode = getattr(pysz.szAlgorithm, mode), pysz.szErrorBoundMode.ABS
            config.absErrorBound, config.openmp = bound, False
            data = pysz.sz.compress(field, config)[0]
            return data.size, lambda: pysz.sz.decompress(data, field.dtype, field.shape)[0]

        return run

    return {mode: coder(mode) for mode in ("INTERP_LORENZO", "INTERP", "LORENZO_REG")}


def zfp_modes() -> dict[str, Coder]:
    """Return the compressor of zfp; nothing where it is not installed."""
    try:
        zfpy = importlib.import_module("zfpy")
    except ImportError:
        print("# zfpy is not installed: pip install zfpy")
        return {}

    def run(field: np.ndarray, bound: float) -> tuple[int, Callable[[], np.ndarray]]:
        data = zfpy.compress_numpy(field, tolerance=bound)
        return len(data), lambda: zfpy.decompress_numpy(data)

    return {"accuracy": run}


def best_of(modes: dict[str, Coder], field: np.ndarray, bound: str, tol: float) -> tuple[float, float, float, str]:
    """Return the best ratio of a peer's modes within a bound, the milliseconds of that mode, and its name."""
    return max((*_bisected(modes[name], field, bound, tol), name) for name in modes)


def _bisected(run: Coder, field: np.ndarray, bound: str, tol: float) -> tuple[float, float, float]:
    """Return ratio and milliseconds at the largest absolute bound whose error is within `tol`."""
    norm, extent = np.linalg.norm(field.astype(np.float64)), float(np.ptp(field))
    unit = norm / np.sqrt(field.size) if bound == "l2" else extent
    low, high, best = np.log(0.2 * tol * unit), np.log(60 * tol * unit), (0, 0.0)
    tried = np.log(tol * unit)
    for _ in range(BISECTIONS):
        size, decode = run(field, float(np.exp(tried)))
        if errors_of(field, decode())[bound != "l2"] <= tol:
            low = tried
            best = max(best, (field.nbytes / size, float(np.exp(tried))))
        else:
            high = tried
        tried = (low + high) / 2
    encode_time, (_, decode) = least_time(lambda: run(field, best[1]))
    return best[0], encode_time, least_time(decode)[0]


def report(name: str, field: np.ndarray, periodic: tuple[int, ...], tols: list[float]) -> None:
    """Print the table of a field."""
    peers = {"SZ3": sz3_modes(), "zfp": zfp_modes()}
    print(f"\n{name}, {' x '.join(map(str, field.shape))} {field.dtype}")
    for bound in ("l2", "maximum"):
        for tol in tols:
            encode_time, small = least_time(lambda b=bound, t=tol: compress(field, t, bound=b, periodic=periodic))
            decode_time, found = least_time(small.decompress)
            error = errors_of(field, found)[bound != "l2"]
            assert error <= tol, (name, bound, tol, error)
            line = (
                f"  {bound:7s} {tol:g}: sci {small.ratio:.1f} ({small.method}, {encode_time:.0f}/{decode_time:.0f} ms)"
            )
            for peer, modes in peers.items():
                if modes:
                    ratio, *times, mode = best_of(modes, field, bound, tol)
                    line += f"; {peer} {ratio:.1f} ({mode}, {times[0]:.0f}/{times[1]:.0f} ms)"
                    if peer == "SZ3":
                        line += f", over SZ3 {small.ratio / ratio:.2f}, CPU {encode_time / times[0]:.1f}"
            print(line, flush=True)


def main() -> None:
    """Run the chosen fields."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("flow", "protein"), help="fields to take (default: all)")
    parser.add_argument("--tol", type=float, nargs="+", default=[1e-3], help="relative bounds")
    options = parser.parse_args()
    for kind, fields in (("protein", potentials), ("flow", flows)):
        if options.only in (None, kind):
            for name, field, periodic in fields():
                report(name, field, periodic, options.tol)


if __name__ == "__main__":
    main()
