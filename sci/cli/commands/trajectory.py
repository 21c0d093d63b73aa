"""`sci trajectory TRAJ -o OUT.h5`: energies and forces of every frame; a kill loses no finished frame."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace
from sci.cli.estimates.frames import frames_needs
from sci.cli.estimates.needs import PICTURE, Needs, file_bytes, goes_on
from sci.cli.outcome import error_in_words, require_writable, say, tell, to_accuracy
from sci.cli.sharing import from_first
from sci.distributed import agreed, rank_of, size
from sci.errors import InvalidValueError
from sci.io import compute_trajectory, count_frames, load, read_exclusions, read_frames, trajectory_state
from sci.potentials import Coulomb, Exclusions, Particles, Trajectory, Yukawa

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Compute what is not finished, and report what the file holds."""
    a, start = arguments, time.perf_counter()
    chosen_namespace(a, on_device=False)
    inputs = [a.input, *([a.topology] if a.topology else [])]
    outputs, continued = [a.output, *([a.plot] if a.plot else [])], [a.output, a.plot] if a.resume else []
    require_writable(outputs, inputs, overwrite=a.overwrite, continued=continued, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    exclusions = from_first(a.comm, lambda: _exclusions(a))
    before = from_first(a.comm, lambda: _finished(a.output) if a.resume and a.output.exists() else 0)
    if not _fits(a, before, exclusions):
        return
    try:
        compute_trajectory(
            a.input,
            a.output,
            topology=a.topology,
            frames=_frames(a.frames),
            tol=a.tol,
            kernel=Coulomb() if a.kappa is None else Yukawa(a.kappa),
            accuracy=a.accuracy,
            method=a.method,
            exclusions=exclusions,
            resume=a.resume,
            overwrite=a.overwrite,
            command=a.command,
            comm=a.comm,
        )
    except KeyboardInterrupt as stop:
        if a.output.exists():
            say("error", f"interrupted; {_finished(a.output)} frames are finished in {a.output}: go on with --resume")
            raise SystemExit(130) from stop
        raise
    with agreed(a.comm, "the report"):
        if rank_of(a.comm) == 0:
            _finish(a, exclusions, before, start)


def _exclusions(a: argparse.Namespace) -> Exclusions | None:
    """Return the pairs that the options leave out."""
    if a.bonds is None:
        if a.scale14 is not None:
            raise InvalidValueError("--scale14 scales 1-4 pairs, and there are none; add --bonds topology or distance")
        return None
    if a.bonds == "topology" and a.topology is None:
        raise InvalidValueError("--bonds topology needs --topology FILE; or take --bonds distance")
    scale14 = 1.0 if a.scale14 is None else a.scale14
    return read_exclusions(a.input, topology=a.topology, bonds=a.bonds, scale14=scale14)


def _fits(a: argparse.Namespace, before: int, exclusions: Exclusions | None) -> bool:
    """Return True if the rest of the frames fits into memory and disk and is to be done."""

    def first_frame() -> tuple[int, Particles]:
        numbers = range(count_frames(a.input, topology=a.topology))[_frames(a.frames)]
        if len(numbers) == 0:
            raise InvalidValueError(f"{a.input}: no frame is left of --frames {a.frames}; expected at least one")
        chosen = range(numbers[0], numbers[0] + 1)
        first = next(read_frames(a.input, topology=a.topology, frames=chosen))[1]
        return len(numbers), replace(first, exclusions=exclusions)

    def needs() -> Needs:
        left = -(-max(0, count - before) // size(a.comm))
        kernel = Coulomb() if a.kappa is None else Yukawa(a.kappa)
        found = frames_needs(first, left, a.tol, kernel=kernel, accuracy=a.accuracy, method=a.method)
        return Needs(found.memory, {"read": reading, **found.seconds})

    count, first = from_first(a.comm, first_frame)
    reading = from_first(a.comm, lambda: _read_all(a, first.n)) if a.dry_run else 0.0
    return goes_on(
        a,
        needs,
        bound=4e9 + 20_000.0 * first.n,
        disk=file_bytes(8.0 * (count - before) * (3 * first.n + 7)) + PICTURE * bool(a.plot),
        outputs=[a.output],
        remedy="use a larger --tol, or fewer --frames",
        about={"particles": first.n, "frames": count - before},
    )


def _read_all(a: argparse.Namespace, n: int) -> float:
    """Read every frame that will be computed, so that a bad one is found before the job; return the seconds."""
    start = time.process_time()
    numbers = range(count_frames(a.input, topology=a.topology))[_frames(a.frames)]
    for number, frame in read_frames(a.input, topology=a.topology, frames=numbers):
        if frame.n != n:
            raise InvalidValueError(f"{a.input}: frame {number} has {frame.n} particles; expected {n}, as in the first")
    return time.process_time() - start


def _finish(a: argparse.Namespace, exclusions: Exclusions | None, before: int, start: float) -> None:
    """Draw and report what the file holds."""
    found = load(a.output)
    if a.plot:
        from sci.plotting import plot_energies

        plot_energies(found, a.plot, title=a.input.name)
    report = _report(a, found, before, time.perf_counter() - start) | _left_out(exclusions)
    tell(a, report, _table(report))


def _finished(path: Path) -> int:
    return int((trajectory_state(path).checksums >= 0).sum())


def _frames(text: str) -> slice:
    parts = text.split(":")
    try:
        numbers = [int(part) if part else None for part in parts]
        if not 2 <= len(parts) <= 3 or (len(parts) == 3 and numbers[2] == 0):
            raise ValueError
    except ValueError as error:
        raise InvalidValueError(f"--frames {text}: expected A:B or A:B:STEP, like 100: or ::10") from error
    return slice(*numbers)


def _report(a: argparse.Namespace, found: Trajectory, before: int, seconds: float) -> dict[str, Any]:
    state = trajectory_state(a.output)
    assert state.plan is not None  # this command wrote it
    return {
        "input": str(a.input),
        "file": str(a.output),
        **state.plan.as_dict(),
        "frames": found.n_frames,
        "computed": len(found.frames) - before,
        "energy_mean": float(found.energies.mean()),
        "energy_deviation": float(found.energies.std()),
        "force_rms": float(np.sqrt((found.forces**2).sum(axis=2).mean())),
        "measured_error": None
        if found.errors is None
        else {name: found.measured_error(name).as_dict() for name in ("energy", "forces")},
        "units": "e^2/angstrom",
        "plot": str(a.plot) if a.plot else None,
        "seconds": seconds,
    }


def _left_out(exclusions: Exclusions | None) -> dict[str, int]:
    """Return the numbers of pairs that are left out and scaled."""
    if exclusions is None:
        return {}
    scaled = int(np.count_nonzero(exclusions.scales))
    return {"pairs_left_out": len(exclusions.pairs) - scaled, "pairs_scaled": scaled}


def _table(r: dict[str, Any]) -> list[tuple[str, str]]:
    how = {"direct": "sums over all pairs", "format": f"alpha {r['alpha']:.3g} /angstrom, tol {r['tol']:g}"}
    errors = r["measured_error"] or {}
    rows = [
        ("frames", f"{r['frames']} of {r['n']} particles, {r['computed']} computed now"),
        ("method", f"{r['method']}: {how.get(r['method'], how['format'])}"),
        *([("left out", f"{r['pairs_left_out']} pairs, {r['pairs_scaled']} scaled")] if "pairs_scaled" in r else []),
        ("energy", f"{to_accuracy(r['energy_mean'], r['tol'])} +- {r['energy_deviation']:.3g} {r['units']}"),
        ("force", f"{r['force_rms']:.5g} e^2/angstrom^2 rms"),
        *(("measured error" if name == "energy" else "", error_in_words(name, e)) for name, e in errors.items()),
        ("seconds", f"{r['seconds']:.2f}"),
        ("files", r["file"]),
    ]
    return rows + ([("", r["plot"])] if r["plot"] else [])
