"""`sci lattice CRYSTAL.cif --repeats L1 L2 L3`: potentials at the sites of a finite crystal, a grid, and a plane."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace
from sci.cli.estimates.lattices import lattice_needs
from sci.cli.estimates.needs import PICTURE, file_bytes, goes_on
from sci.cli.outcome import computing, error_in_words, require_writable, tell, to_accuracy
from sci.cli.sharing import from_first
from sci.cli.values import INTEGER, REAL
from sci.distributed import agreed, rank_of, size
from sci.errors import InvalidValueError
from sci.io import ComputedGrid, read_crystal, save_computed_grid
from sci.potentials import Interstitial, LatticePotential, Substitution, Vacancy
from sci.potentials.grid import box_axes
from sci.units import potential_factor

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> None:
    """Compute, write and report."""
    a = arguments
    chosen_namespace(a, on_device=False)
    factor = potential_factor(a.units, a.temperature)
    require_writable([p for p in (a.output, a.plot) if p], [a.input], overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    charges, defects = _charges(a.charges), _defects(a)
    cell = from_first(a.comm, lambda: read_crystal(a.input, charges=charges))
    start = time.perf_counter()
    phi = LatticePotential(cell, a.repeats, defects=defects, tol=a.tol, weights=a.weights)
    chosen = next((d for d in defects if not isinstance(d, Interstitial)), None)
    particle, index = (chosen.particle, chosen.cell) if chosen else (0, tuple(n // 2 for n in phi.repeats))
    places = np.array([phi.position(s, index) for s in range(cell.n)])
    if a.output or a.plot:
        _require_window(a, phi, places[particle])
    if not _fits(a, phi, places[particle]):
        return
    with computing():
        values = from_first(a.comm, lambda: factor * phi(places))
        seconds = time.perf_counter() - start
        errors = from_first(a.comm, lambda: {"potential": phi.measured_error("potential").as_dict()})
        _write(a, phi, places[particle], factor, errors)
    names = cell.names or ("",) * cell.n
    report = {
        "input": str(a.input),
        "ions": phi.n_sites,
        "repeats": list(phi.repeats),
        "weights": phi.weights,
        "defects": len(phi.defects),
        "gaussians": len(phi.split.gaussians.exponents),
        "cell": list(index),
        "units": a.units,
        "sites": [
            {"name": name, "charge": float(q), "position": p.tolist(), "potential": float(v)}
            for name, q, p, v in zip(names, cell.charges, places, values)
        ],
        "tol": phi.tol,
        "measured_error": errors,
        "seconds": seconds,
    }
    tell(a, report, _table(a, report))


def _charges(text: str | None) -> dict[str, float] | str | None:
    if text is None or "=" not in text:
        return text
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise InvalidValueError(
            f"--charges {text}: expected NAME=NUMBER,NAME=NUMBER, or the name of a column"
        ) from error


def _defects(a: argparse.Namespace) -> list[Vacancy | Substitution | Interstitial]:
    try:
        substitutions = [(*(INTEGER(word) for word in words[:4]), REAL(words[4])) for words in a.substitution]
    except argparse.ArgumentTypeError as error:
        raise InvalidValueError("--substitution: expected four integers SITE I J K and a CHARGE") from error
    return [
        *(Vacancy(s, (i, j, k)) for s, i, j, k in a.vacancy),
        *(Substitution(int(s), (int(i), int(j), int(k)), float(q)) for s, i, j, k, q in substitutions),
        *(Interstitial((x, y, z), q) for x, y, z, q in a.interstitial),
    ]


def _require_window(a: argparse.Namespace, phi: LatticePotential, center: np.ndarray) -> None:
    """Refuse a window that leaves the reach of the potential around the crystal."""
    sides = zip(_box(a, phi, center), phi.repeats, phi.periods)
    beyond = max(max(-low, high - n * period) for (low, high), n, period in sides)
    if beyond > phi.reach:
        raise InvalidValueError(
            f"--window {a.window:g}: the window ends {beyond:.3g} angstrom outside of the crystal; expected at most "
            f"{phi.reach:.3g}: use a smaller --window, or more --repeats"
        )


def _box(a: argparse.Namespace, phi: LatticePotential, center: np.ndarray) -> list[tuple[float, float]]:
    """Return the window around `center`."""
    half = 0.5 * a.window * np.array(phi.periods)
    return list(zip((center - half).tolist(), (center + half).tolist()))


def _fits(a: argparse.Namespace, phi: LatticePotential, center: np.ndarray) -> bool:
    """Return True if the job fits into memory and disk and is to be done."""
    axes = box_axes(_box(a, phi, center), a.grid) if a.output else None
    points = math.prod(map(len, axes)) if axes else 0
    terms = len(phi.split.gaussians.exponents) * (4 + 3 * phi.particles.n)
    return goes_on(
        a,
        lambda: lattice_needs(phi, axes, size(a.comm)),
        bound=5e8 + 100.0 * terms * sum(map(len, axes or ())),
        disk=(file_bytes(8.0 * points, 16) if a.output else 0.0) + PICTURE * bool(a.plot),
        outputs=[a.output, a.plot],
        remedy="use a smaller --grid or a larger --tol",
        about={"ions": phi.n_sites, "grid": " x ".join(str(len(v)) for v in axes) if axes else "none"},
    )


def _write(
    a: argparse.Namespace, phi: LatticePotential, center: np.ndarray, factor: float, errors: dict[str, Any]
) -> None:
    """Write the grid, whose slabs the ranks share, and the picture of a window around `center`."""
    box = _box(a, phi, center)
    if a.output:
        grid = ComputedGrid(*box_axes(box, a.grid), lambda x, y, z: factor * phi.on_grid(x, y, z), a.units)
        save_computed_grid(a.output, grid, results={"measured_error": errors}, command=a.command, comm=a.comm)
    with agreed(a.comm, "the picture"):
        if a.plot and rank_of(a.comm) == 0:
            from sci.plotting import plot_plane

            title = f"{a.input.name}: {phi.n_sites:,} sites, defects: {len(phi.defects)}"
            plot_plane(phi, a.plot, box[:2], float(center[2]), factor=factor, units=a.units, title=title)


def _table(a: argparse.Namespace, report: dict[str, Any]) -> Sequence[tuple[str, str]]:
    shape = " x ".join(map(str, report["repeats"]))
    rows = [
        ("crystal", f"{report['input']}, {shape} cells, {report['ions']:,} ions, weights {report['weights']}"),
        ("defects", str(report["defects"])),
        ("Gaussians", str(report["gaussians"])),
    ]
    for site in report["sites"]:
        place = ", ".join(f"{v:.3f}" for v in site["position"])
        value = to_accuracy(site["potential"], a.tol)
        rows.append((f"{site['name']} {site['charge']:+g}", f"{value} {a.units} at ({place}) A"))
    rows += [("measured error", error_in_words(name, found)) for name, found in report["measured_error"].items()]
    rows.append(("seconds", f"{report['seconds']:.3f}"))
    rows += [("grid", str(a.output))] if a.output else []
    rows += [("picture", str(a.plot))] if a.plot else []
    return rows
