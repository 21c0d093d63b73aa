"""`sci lattice CRYSTAL.cif --repeats L1 L2 L3`: potentials at the sites of a finite crystal, a grid, and a plane."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.outcome import add_overwrite, computing, print_json, print_table, require_writable
from sci.errors import InvalidValueError
from sci.io import read_crystal, save
from sci.potentials import Interstitial, LatticePotential, PotentialGrid, Substitution, Vacancy
from sci.potentials.grid import box_axes
from sci.potentials.lattice.sums import WEIGHTS
from sci.units import POTENTIAL_UNITS, potential_factor

__all__ = ["add_parser"]

DESCRIPTION = """Compute the potential of a crystal of L1 x L2 x L3 cells, with or without defects, from one-dimensional
sums, whose cost hardly depends on the number of ions. Print the potential at the sites of one cell (that of the first
defect, or the middle one), and write a grid around it to an HDF5 file that ParaView opens."""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("lattice", help="compute the potential of a finite crystal", description=DESCRIPTION)
    parser.add_argument("input", type=Path, metavar="CRYSTAL.cif", help="crystal with a cell along x, y and z")
    parser.add_argument("--repeats", type=int, nargs=3, required=True, metavar="L", help="cells along x, y and z")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.h5", help="write a grid of the potential")
    parser.add_argument(
        "--charges", metavar="Na=1,Cl=-1", help="charges, or the name of a CIF column (default: oxidation states)"
    )
    parser.add_argument(
        "--weights", choices=WEIGHTS, default="plain", help="weights of the outer ions (default: plain)"
    )
    parser.add_argument("--tol", type=float, default=1e-8, help="relative error of the potential (default: 1e-8)")
    defects = parser.add_argument_group("defects; sites are SITE I J K, the particle and the cell, counted from 0")
    site = ("SITE", "I", "J", "K")
    defects.add_argument("--vacancy", type=int, nargs=4, action="append", default=[], metavar=site)
    defects.add_argument("--substitution", nargs=5, action="append", default=[], metavar=(*site, "CHARGE"))
    defects.add_argument(
        "--interstitial", type=float, nargs=4, action="append", default=[], metavar=("X", "Y", "Z", "CHARGE")
    )
    output = parser.add_argument_group("output")
    output.add_argument("--grid", type=int, default=64, metavar="N", help="points along the longest axis (default: 64)")
    output.add_argument(
        "--window", type=float, default=4.0, metavar="CELLS", help="width of grid and picture, in cells (default: 4)"
    )
    output.add_argument("--units", choices=POTENTIAL_UNITS, default="V", help="units of the output (default: V)")
    output.add_argument(
        "--temperature", type=float, default=298.15, metavar="K", help="temperature for kT/e, kelvin (default: 298.15)"
    )
    output.add_argument("--plot", type=Path, metavar="FILE.png", help="picture of the plane z of the first site")
    add_overwrite(output)
    output.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Compute, write and report."""
    a = arguments
    factor = potential_factor(a.units, a.temperature)
    if a.grid < 1 or not 0 < a.window < np.inf:
        raise InvalidValueError(f"--grid {a.grid} --window {a.window:g}: expected positive numbers")
    require_writable([p for p in (a.output, a.plot) if p], [a.input], overwrite=a.overwrite)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    cell = read_crystal(a.input, charges=_charges(a.charges))
    defects = _defects(a)
    start = time.perf_counter()
    phi = LatticePotential(cell, a.repeats, defects=defects, tol=a.tol, weights=a.weights)
    chosen = next((d for d in defects if not isinstance(d, Interstitial)), None)
    particle, index = (chosen.particle, chosen.cell) if chosen else (0, tuple(n // 2 for n in phi.repeats))
    with computing():
        places = np.array([phi.position(s, index) for s in range(cell.n)])
        values = factor * phi(places)
        seconds = time.perf_counter() - start
        _write(a, phi, places[particle], factor)
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
        "seconds": seconds,
    }
    if a.json:
        print_json(report)
    else:
        print_table(_table(a, report))


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
        substitutions = [(int(w[0]), (int(w[1]), int(w[2]), int(w[3])), float(w[4])) for w in a.substitution]
    except ValueError as error:
        raise InvalidValueError("--substitution: expected four integers SITE I J K and a CHARGE") from error
    return [
        *(Vacancy(s, (i, j, k)) for s, i, j, k in a.vacancy),
        *(Substitution(*words) for words in substitutions),
        *(Interstitial((x, y, z), q) for x, y, z, q in a.interstitial),
    ]


def _write(a: argparse.Namespace, phi: LatticePotential, center: np.ndarray, factor: float) -> None:
    """Write the grid and the picture of a window around `center`."""
    half = 0.5 * a.window * np.array(phi.periods)
    box = list(zip((center - half).tolist(), (center + half).tolist()))
    if a.output:
        axes = box_axes(box, a.grid)
        grid = PotentialGrid.on_axes(phi.on_grid(*axes), *axes).in_units(a.units, a.temperature)
        save(a.output, grid, command=a.command)
    if a.plot:
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
        rows.append((f"{site['name']} {site['charge']:+g}", f"{site['potential']:.10g} {a.units} at ({place}) A"))
    rows.append(("seconds", f"{report['seconds']:.3f}"))
    rows += [("grid", str(a.output))] if a.output else []
    rows += [("picture", str(a.plot))] if a.plot else []
    return rows
