"""`sci potential INPUT -o OUT.h5`: from a structure file to its potential, energy, grid and picture."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sci.backend import is_device_array, namespace, to_device, to_host
from sci.cli.commands.files.export import export_paths, write_exports
from sci.cli.common import chosen_namespace
from sci.cli.outcome import computing, error_in_words, require_writable, say, tell, to_accuracy
from sci.errors import InvalidValueError
from sci.io import read_structure, save_potential_file
from sci.potentials import Coulomb, Particles, PotentialGrid, RangeSeparatedPotential, Yukawa, direct_sum
from sci.potentials.grid import box_axes
from sci.units import energy_factor, potential_factor

__all__ = ["run"]

ALL_PAIRS = 20_000
"""Atoms up to which the energy is checked against the sum over all pairs, which takes about a second."""


class _Clock(dict[str, float]):
    """Seconds of each phase."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self[name] = time.perf_counter() - start


def run(arguments: argparse.Namespace) -> None:
    """Compute, write and report."""
    a, clock = arguments, _Clock()
    exports = export_paths(a.output, a.export)
    _check(a, exports)
    xp = chosen_namespace(a)
    with clock.phase("read"):
        particles = _read(a, xp)
    with clock.phase("build"):
        phi = _build(a, particles)
    with computing():
        results = _results(a, phi, clock)
        with clock.phase("grid"):
            grid = _grid(a, phi)
        _write(a, phi, grid, {**results, "seconds": dict(clock)}, exports, clock)
    report = _report(a, particles, phi, grid, results, clock, exports)
    if a.forces and a.accuracy == "potential":
        found = results["measured_error"]["forces"]["relative"]
        if found > a.tol:
            say(
                "warning",
                f"the measured error {found:.1e} of the forces is above {a.tol:g}, which holds for the potential; "
                "--accuracy forces holds field and forces to it",
            )
    tell(a, report, _table(a, report))


def _check(a: argparse.Namespace, exports: dict[str, Path]) -> None:
    """Check what can be checked before any work."""
    if a.grid is not None and (len(a.grid) not in (1, 3) or min(a.grid) < 1):
        raise InvalidValueError(f"--grid {' '.join(map(str, a.grid))}: expected one or three positive integers")
    if exports and a.grid is None:
        raise InvalidValueError("--export writes the grid, and there is none; add --grid N")
    potential_factor(a.units, a.temperature)
    outputs = [a.output, *exports.values(), *([a.plot] if a.plot else [])]
    require_writable(outputs, [a.input], overwrite=a.overwrite)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)


def _read(a: argparse.Namespace, xp: Any) -> Particles:
    """Read the structure and move it to where the computing is done."""
    found = read_structure(a.input, format=a.format, forcefield=a.forcefield, model=a.model)
    if found.cell is not None:
        raise InvalidValueError(
            f"{a.input}: the file has a periodic cell, and this is the potential of an isolated system; for energy "
            f"and forces of the periodic system use `sci trajectory {a.input} -o OUT.h5`; or take the cell (Lattice) "
            "out of the file"
        )
    positions, charges = to_device(found.positions, xp), to_device(found.charges, xp)
    radii = None if found.radii is None else to_device(found.radii, xp)
    return Particles(positions, charges, radii, found.names)


def _build(a: argparse.Namespace, particles: Particles) -> RangeSeparatedPotential:
    return RangeSeparatedPotential(
        particles,
        a.tol,
        kernel=Coulomb() if a.kappa is None else Yukawa(a.kappa),
        accuracy=a.accuracy,
        alpha=a.alpha,
        expected_targets=max(1_000_000, _points(a)) if a.expected_targets is None else a.expected_targets,
        padding=a.padding,
    )


def _points(a: argparse.Namespace) -> int:
    if a.grid is None:
        return 0
    return int(a.grid[0] ** 3 if len(a.grid) == 1 else math.prod(a.grid))


def _results(a: argparse.Namespace, phi: RangeSeparatedPotential, clock: _Clock) -> dict[str, Any]:
    """Return energy, forces and measured errors, as they go into the file."""
    with clock.phase("energy"):
        energy = phi.energy()
    results: dict[str, Any] = {
        "energy_e2_per_angstrom": energy,
        "energy_kcal_per_mol": energy * energy_factor("kcal/mol"),
    }
    if a.forces:
        with clock.phase("forces"):
            results["forces"] = to_host(phi.forces())
    with clock.phase("error"):
        results["error_estimate"] = phi.error_estimate
        quantities = ["potential", "energy", *(["field", "forces"] if a.forces or a.accuracy == "forces" else [])]
        results["measured_error"] = {name: phi.measured_error(name).as_dict() for name in quantities}
        p = phi.particles
        if p is not None and p.n <= ALL_PAIRS:
            exact = 0.5 * float((p.charges * direct_sum(p, p.positions, kernel=phi.kernel)).sum())
            results["energy_error_e2_per_angstrom"] = abs(energy - exact)
    return results


def _grid(a: argparse.Namespace, phi: RangeSeparatedPotential) -> PotentialGrid | None:
    if a.grid is None:
        return None
    axes = box_axes(phi.domain, a.grid[0] if len(a.grid) == 1 else a.grid)
    xp = namespace(phi.long_range.core)
    values = phi.on_grid(*(to_device(axis, xp) for axis in axes))
    return PotentialGrid.on_axes(values, *axes).in_units(a.units, a.temperature)


def _write(
    a: argparse.Namespace,
    phi: RangeSeparatedPotential,
    grid: PotentialGrid | None,
    results: dict[str, Any],
    exports: dict[str, Path],
    clock: _Clock,
) -> None:
    with clock.phase("write"):
        save_potential_file(a.output, phi, grid=grid, results=results, command=a.command)
    if grid is not None and exports:
        with clock.phase("export"):
            write_exports(exports, grid, phi.particles, a.temperature)
    if a.plot:
        from sci.plotting import plot_potential

        with clock.phase("plot"):
            plot_potential(phi, a.plot, units=a.units, temperature=a.temperature, title=a.input.name)


def _report(
    a: argparse.Namespace,
    particles: Particles,
    phi: RangeSeparatedPotential,
    grid: PotentialGrid | None,
    results: dict[str, Any],
    clock: _Clock,
    exports: dict[str, Path],
) -> dict[str, Any]:
    """Return the report of the command, ready for JSON."""
    long_range = phi.long_range
    return {
        "input": str(a.input),
        "file": str(a.output),
        "atoms": particles.n,
        "total_charge": round(particles.total_charge, 9) + 0.0,
        "domain": [list(side) for side in phi.domain],
        "kernel": phi.kernel.name,
        "kappa": phi.kernel.kappa,
        "alpha": phi.split.alpha,
        "cutoff": phi.split.cutoff,
        "tucker_ranks": list(long_range.tucker_ranks),
        "degree": list(long_range.degree),
        "bytes": long_range.nbytes,
        "compression": math.prod(long_range.shape) * long_range.core.itemsize / long_range.nbytes,
        "device": "cuda" if is_device_array(long_range.core) else "cpu",
        "tol": a.tol,
        **{name: value for name, value in results.items() if name != "forces"},
        "grid": None
        if grid is None
        else {"shape": list(grid.shape), "origin": list(grid.origin), "spacing": list(grid.spacing)},
        "units": a.units,
        "temperature": a.temperature,
        "exports": [str(path) for path in exports.values()],
        "plot": str(a.plot) if a.plot else None,
        "seconds": dict(clock),
    }


def _table(a: argparse.Namespace, r: dict[str, Any]) -> list[tuple[str, str]]:
    kernel = "1/r" if r["kappa"] == 0 else f"exp(-{r['kappa']:g} r)/r"
    energies = (to_accuracy(r[f"energy_{unit}"], a.tol) for unit in ("e2_per_angstrom", "kcal_per_mol"))
    energy = "{} e^2/angstrom = {} kcal/mol".format(*energies)
    if "energy_error_e2_per_angstrom" in r:
        certainty = f"{r['energy_error_e2_per_angstrom']:.1e} e^2/angstrom from the sum over all pairs"
    else:
        certainty = f"bound {10 * a.tol:.0e} of the sum of the absolute pair terms"
    errors = enumerate(r["measured_error"].items())
    rows = [
        ("atoms", f"{r['atoms']}, total charge {r['total_charge']:+.4f} e"),
        ("box", " x ".join(f"{high - low:.1f}" for low, high in r["domain"]) + " angstrom"),
        ("kernel", f"{kernel}, split at alpha {r['alpha']:.3g} /angstrom, cutoff {r['cutoff']:.2f} angstrom"),
        ("Tucker ranks", f"{_times(r['tucker_ranks'])}, degree {_times(r['degree'])}"),
        ("compression", f"{r['compression']:.3g} times the numbers of all coefficients, {r['bytes'] / 1e6:.2f} MB"),
        ("energy", energy),
        ("", certainty),
        *(("" if k else "measured error", error_in_words(name, found)) for k, (name, found) in errors),
    ]
    if r["grid"]:
        spacing = " x ".join(f"{step:.3g}" for step in r["grid"]["spacing"])
        rows.append(("grid", f"{_times(r['grid']['shape'])} points, {spacing} angstrom apart, in {a.units}"))
    rows.append(("seconds", ", ".join(f"{name} {value:.2f}" for name, value in r["seconds"].items() if value > 0.005)))
    files = [r["file"], *r["exports"], *([r["plot"]] if r["plot"] else [])]
    rows += [("files" if k == 0 else "", name) for k, name in enumerate(files)]
    return rows


def _times(numbers: list[int]) -> str:
    return " x ".join(map(str, numbers))
