"""`sci potential INPUT -o OUT.h5`: from a structure file to its potential, energy, grid and picture."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sci.backend import is_device_array, namespace, to_device, to_host
from sci.cli.commands.files.export import export_paths, write_exports
from sci.cli.common import chosen_namespace
from sci.cli.estimates.needs import PICTURE, Needs, file_bytes, goes_on
from sci.cli.estimates.potentials import Model, potential_needs
from sci.cli.outcome import computing, error_in_words, require_writable, say, tell, to_accuracy
from sci.cli.sharing import from_first
from sci.distributed import agreed, allgather_rows, broadcast_object, rank_of, size, split
from sci.errors import InvalidValueError
from sci.io import ComputedGrid, Quantity, load_grid, read_structure, save_potential_file, structure_exclusions
from sci.potentials import Coulomb, Particles, RangeSeparatedPotential, Yukawa, direct_sum
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.grid import box_axes
from sci.units import energy_factor, potential_factor

__all__ = ["run"]

MOST_TARGETS = 1 << 24
"""Points of a grid beyond which the split changes no more."""
LARGEST_FORMAT, FORMAT_ON_DISK = 4e9, 64e6
"""Bytes that a format whose split the cost model chooses takes at most, in memory, and about in a file."""
EXPORT_COPIES, EXPORT_BYTES = 3, {"dx": 14, "cube": 14, "vtkhdf": 8}
"""Grids in memory while it is exported, and bytes of a point in each format."""
ALL_PAIRS = 20_000
_UNITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "energy_e2_per_angstrom": ("e^2/angstrom", ()),
    "energy_error_e2_per_angstrom": ("e^2/angstrom", ()),
    "energy_kcal_per_mol": ("kcal/mol", ()),
    "error_estimate": ("1", ()),
    "forces": ("e^2/angstrom^2", ("particle", "xyz")),
}
"""Units of the results in a file, and names of their axes."""
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
    if not _fits(a, particles, exports):
        return
    with clock.phase("build"):
        spread = _build(a, particles)
    with computing():
        results = _energy(a, spread, clock)
        phi = spread.whole(particles)
        results |= _errors(a, phi, results["energy_e2_per_angstrom"], clock)
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
    if a.grid is not None and len(a.grid) not in (1, 3):
        raise InvalidValueError(f"--grid {' '.join(map(str, a.grid))}: expected one integer, or three")
    if exports and a.grid is None:
        raise InvalidValueError("--export writes the grid, and there is none; add --grid N")
    if a.scale14 is not None and a.bonds is None:
        raise InvalidValueError("--scale14 scales 1-4 pairs, and there are none; add --bonds distance or FILE")
    potential_factor(a.units, a.temperature)
    outputs = [a.output, *exports.values(), *([a.plot] if a.plot else [])]
    require_writable(outputs, [a.input], overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)


def _read(a: argparse.Namespace, xp: Any) -> Particles:
    """Read the structure on rank 0 and move it to where the computing is done."""
    found = from_first(a.comm, lambda: _structure(a))
    if found.cell is not None:
        raise InvalidValueError(
            f"{a.input}: the file has a periodic cell, and this is the potential of an isolated system; for energy "
            f"and forces of the periodic system use `sci trajectory {a.input} -o OUT.h5`; or take the cell (Lattice) "
            "out of the file"
        )
    positions, charges = to_device(found.positions, xp), to_device(found.charges, xp)
    radii = None if found.radii is None else to_device(found.radii, xp)
    return Particles(positions, charges, radii, found.names, exclusions=found.exclusions)


def _structure(a: argparse.Namespace) -> Particles:
    """Read the structure, and the pairs that are left out."""
    found = read_structure(a.input, format=a.format, forcefield=a.forcefield, model=a.model)
    if a.bonds is None:
        return found
    scale14 = 1.0 if a.scale14 is None else a.scale14
    exclusions = structure_exclusions(a.input, found, bonds=a.bonds, scale14=scale14, format=a.format)
    return replace(found, exclusions=exclusions)


def _build(a: argparse.Namespace, particles: Particles) -> RangeSeparatedPotential:
    """Build the potential of particles that are spread over the ranks."""
    rows = split(particles.n, a.comm)
    mine = Particles(particles.positions[rows], particles.charges[rows]) if rows.stop > rows.start else None
    return RangeSeparatedPotential(
        mine,
        a.tol,
        kernel=Coulomb() if a.kappa is None else Yukawa(a.kappa),
        accuracy=a.accuracy,
        alpha=a.alpha,
        expected_targets=_targets(a),
        padding=a.padding,
        exclusions=particles.exclusions,
        comm=a.comm,
    )


def _fits(a: argparse.Namespace, particles: Particles, exports: dict[str, Path]) -> bool:
    """Return True if the job fits into memory and disk and is to be done."""

    def model() -> Model:
        kernel = Coulomb() if a.kappa is None else Yukawa(a.kappa)
        settings = {"accuracy": a.accuracy, "alpha": a.alpha, "padding": a.padding}
        return Model.of(particles, a.tol, kernel=kernel, expected_targets=_targets(a), **settings)

    def needs() -> Needs:
        pairs = particles.n <= ALL_PAIRS
        options = {"forces": a.forces, "all_pairs": pairs, "whole_grids": copies, "written": written}
        return potential_needs(model(), shape, **options, ranks=size(a.comm))

    low, high = (to_host(side) for side in (particles.positions.min(axis=0), particles.positions.max(axis=0)))
    box = [(float(x) - a.padding, float(y) + a.padding) for x, y in zip(low, high)]
    axes = None if a.grid is None else box_axes(box, a.grid[0] if len(a.grid) == 1 else a.grid)
    shape, copies = [len(axis) for axis in axes or ()], EXPORT_COPIES if exports else 0
    points = math.prod(shape) if shape else 0
    # Exports write text or a file with a header of its own.
    written = 8.0 * points + sum(file_bytes(EXPORT_BYTES[name] * points) for name in exports)
    written += 24.0 * particles.n * a.forces + PICTURE * bool(a.plot)
    bound = (model().peak() if a.alpha is not None else LARGEST_FORMAT) + 1000.0 * particles.n + 8 * copies * points
    return goes_on(
        a,
        needs,
        bound=bound,
        disk=written + FORMAT_ON_DISK,
        outputs=[a.output, *exports.values()],
        remedy="use a smaller --grid" if points > 2**27 else "use a larger --tol, a smaller --padding or --alpha",
        about={"atoms": particles.n, "grid": " x ".join(map(str, shape)) if shape else "none"},
    )


def _targets(a: argparse.Namespace) -> int:
    """Return the evaluations that the split is chosen for.

    A grid needs no boxes for single points, which would take memory in proportion: from some size on it counts no more.
    """
    if a.expected_targets is not None:
        return int(a.expected_targets)
    return min(max(1_000_000, _points(a)), MOST_TARGETS)


def _points(a: argparse.Namespace) -> int:
    if a.grid is None:
        return 0
    return int(a.grid[0] ** 3 if len(a.grid) == 1 else math.prod(a.grid))


def _energy(a: argparse.Namespace, spread: RangeSeparatedPotential, clock: _Clock) -> dict[str, Any]:
    """Return energy and forces, as they go into the file, of charges that are spread over the ranks."""
    with clock.phase("energy"):
        energy = spread.energy()
    results: dict[str, Any] = {
        "energy_e2_per_angstrom": energy,
        "energy_kcal_per_mol": energy * energy_factor("kcal/mol"),
    }
    if a.forces:
        with clock.phase("forces"):
            own = spread.forces() if spread.particles is not None else namespace(spread.long_range.core).empty((0, 3))
            results["forces"] = to_host(allgather_rows(own, a.comm))
    return results


def _errors(a: argparse.Namespace, phi: RangeSeparatedPotential, energy: float, clock: _Clock) -> dict[str, Any]:
    """Return the measured errors, as they go into the file."""
    p = phi.all_particles
    results: dict[str, Any] = {}
    with clock.phase("error"):
        phi(p.positions[:1])  # a rank without charges has not yet evaluated at one, and would choose another way
        quantities = ["potential", "energy", *(["field", "forces"] if a.forces or a.accuracy == "forces" else [])]
        results["measured_error"] = _measured(a.comm, phi, quantities)
        results["error_estimate"] = results["measured_error"]["potential"]["relative"]
        if p.n <= ALL_PAIRS:
            rows = split(p.n, a.comm)
            values = direct_sum(p, p.positions[rows], kernel=phi.kernel)[:, None]
            if p.exclusions is not None:
                own = namespace(values).arange(p.n)[rows]
                values = apply_exclusions(values, p, phi.kernel, phi.exact, own)
            exact = allgather_rows(values[:, 0], a.comm)
            results["energy_error_e2_per_angstrom"] = abs(energy - 0.5 * float((p.charges * exact).sum()))
    return results


def _measured(comm: Any, phi: RangeSeparatedPotential, quantities: list[str]) -> dict[str, Any]:
    """Measure errors, each on one rank."""
    rank, ranks, own = rank_of(comm), size(comm), {}
    with agreed(comm, "measured_error"):
        for name in quantities[rank::ranks]:
            own[name] = phi.measured_error(name).as_dict()
    return {name: broadcast_object(own.get(name), comm, k % ranks) for k, name in enumerate(quantities)}


def _with_units(results: dict[str, Any]) -> dict[str, Any]:
    """Return the results with their units, as other programs read them."""
    found = {**results, "seconds": {name: Quantity(value, "s") for name, value in results["seconds"].items()}}
    for name, (units, dims) in _UNITS.items():
        if name in found:
            found[name] = Quantity(found[name], units, dims)
    return found


def _grid(a: argparse.Namespace, phi: RangeSeparatedPotential) -> ComputedGrid | None:
    if a.grid is None:
        return None
    axes = box_axes(phi.domain, a.grid[0] if len(a.grid) == 1 else a.grid)
    xp, factor = namespace(phi.long_range.core), potential_factor(a.units, a.temperature)
    return ComputedGrid(*axes, lambda *part: factor * phi.on_grid(*(to_device(v, xp) for v in part)), a.units)


def _write(
    a: argparse.Namespace,
    phi: RangeSeparatedPotential,
    grid: ComputedGrid | None,
    results: dict[str, Any],
    exports: dict[str, Path],
    clock: _Clock,
) -> None:
    """Write all outputs: ranks compute the slabs of the grid, rank 0 writes."""
    with clock.phase("write" if grid is None else "grid and write"):
        save_potential_file(a.output, phi, grid=grid, results=_with_units(results), command=a.command, comm=a.comm)
    with agreed(a.comm, "outputs"):
        if rank_of(a.comm) > 0:
            return
        if exports:
            with clock.phase("export"):
                write_exports(exports, load_grid(a.output), phi.particles, a.temperature)
        if a.plot:
            from sci.plotting import plot_potential

            with clock.phase("plot"):
                plot_potential(phi, a.plot, units=a.units, temperature=a.temperature, title=a.input.name)


def _report(
    a: argparse.Namespace,
    particles: Particles,
    phi: RangeSeparatedPotential,
    grid: ComputedGrid | None,
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
        "pairs_left_out_or_scaled": 0 if particles.exclusions is None else len(particles.exclusions.pairs),
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
        else {"shape": list(grid.shape), "origin": list(grid.frame.origin), "spacing": list(grid.frame.spacing)},
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
    left_out = f", {r['pairs_left_out_or_scaled']} pairs left out or scaled" if a.bonds else ""
    rows = [
        ("atoms", f"{r['atoms']}, total charge {r['total_charge']:+.4f} e{left_out}"),
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
