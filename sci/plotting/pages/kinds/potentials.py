"""Charts of particles, potentials, grids and trajectories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.io import trajectory_state
from sci.plotting.pages.charts import isosurface, lines, points, slices
from sci.plotting.pages.contents import Contents, Volume
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of
from sci.potentials import Particles, Split, Trajectory, Vacancy
from sci.tensor import ChebTuck

__all__: list[str] = []

ANGSTROM = ("x (Å)", "y (Å)", "z (Å)")
PLANE, PLANES = 60, 24
"""Points a side of the planes that are computed where a file holds no grid, and their number."""


@figures_of("particles")
def _particles(contents: Contents) -> Iterator[Panel]:
    yield from particle_panels(contents.object)


@figures_of("grid")
def _grid(contents: Contents) -> Iterator[Panel]:
    found = contents.grid()
    if found is not None:
        yield from volume_panels("Potential", *found)


@figures_of("potential")
def _potential(contents: Contents) -> Iterator[Panel]:
    phi = contents.object
    long_range, split = phi.long_range, phi.split
    rows = [
        ("tolerance", f"{phi.tol:g} of the {phi.accuracy}"),
        ("kernel", _kernel(split)),
        ("split", f"alpha {split.alpha:.4g} 1/angstrom, cutoff {split.cutoff:.4g} angstrom"),
        ("Tucker ranks, degree", f"{number(long_range.tucker_ranks)}; {number(long_range.degree)}"),
        ("box (angstrom)", "; ".join(f"{a:.4g} to {b:.4g}" for a, b in phi.domain)),
    ]
    yield Table("Format", rows)
    found, places = contents.grid(), to_host(phi.all_particles.positions)
    volume, units = found or (_evaluated(phi, phi.domain), "e/angstrom")
    note = "" if found else "The file holds no grid: the page was made from the format, on a grid of its own."
    yield from volume_panels("Potential", volume, units, places, note)
    yield from particle_panels(phi.all_particles)
    yield _split_chart(split)


@figures_of("split")
def _split(contents: Contents) -> Iterator[Panel]:
    split = contents.object
    yield Table(
        "Split",
        [
            ("kernel", _kernel(split)),
            ("alpha (1/angstrom)", number(split.alpha)),
            ("cutoff (angstrom)", number(split.cutoff)),
            ("Gaussians", number(len(split.gaussians.weights))),
            ("degree of the short range", number(split.degree)),
        ],
    )
    yield _split_chart(split)


@figures_of("chebtuck")
def _chebtuck(contents: Contents) -> Iterator[Panel]:
    function: ChebTuck = contents.object
    yield Table(
        "Format",
        [
            ("Tucker ranks", number(function.tucker_ranks)),
            ("degree", number(function.degree)),
            ("domain", "; ".join(f"{a:.4g} to {b:.4g}" for a, b in function.domain)),
        ],
    )
    volume = _evaluated(function, function.domain)
    if np.iscomplexobj(volume.values):
        volume = volume._replace(values=np.abs(volume.values))
    names = ("x", "y", "z")
    yield slices("Planes of the function", volume, "value", names)
    yield from filter(None, [isosurface("Surfaces of the function", volume, "the value", names)])


@figures_of("periodic")
def _periodic(contents: Contents) -> Iterator[Panel]:
    phi = contents.object
    yield Table(
        "Periodic potential",
        [
            ("tolerance", number(phi.tol)),
            ("split", f"alpha {phi.alpha:.4g} 1/angstrom, cutoff {phi.split.cutoff:.4g} angstrom"),
            ("Fourier modes", number(phi.n_modes)),
            ("volume of the cell (cubic angstrom)", number(phi.volume)),
        ],
    )
    cell = to_host(phi.particles.cell)
    fractions = [np.linspace(0, 1, n) for n in (PLANE, PLANE, PLANES // 2)]
    grid = np.stack(np.meshgrid(*fractions, indexing="ij"), axis=-1)
    values = to_host(phi(np.ascontiguousarray(grid.reshape(-1, 3) @ cell))).reshape(grid.shape[:3])
    volume = Volume(values, (fractions[0], fractions[1], fractions[2]), (1, 1, 1))
    names = ("a (fraction)", "b (fraction)", "c (fraction)")
    yield slices("Planes across the cell", volume, "potential (e/angstrom)", names)
    yield from particle_panels(phi.particles)


@figures_of("lattice")
def _lattice(contents: Contents) -> Iterator[Panel]:
    phi = contents.object
    yield Table(
        "Crystal",
        [
            ("cells", " x ".join(map(str, phi.repeats))),
            ("sites", number(phi.n_sites)),
            ("tolerance", number(phi.tol)),
            ("weights of the surface", phi.weights),
            ("split", f"alpha {phi.split.alpha:.4g} 1/angstrom, cutoff {phi.split.cutoff:.4g} angstrom"),
        ],
    )
    if phi.defects:
        yield Table("Defects", [(type(defect).__name__, str(defect)) for defect in phi.defects])
    center = _center(phi)
    window = [(c - 0.75 * p, c + 0.75 * p) for c, p in zip(center, phi.periods)]
    yield from volume_panels("Potential around the middle", _evaluated(phi, window), "e/angstrom")
    yield from particle_panels(phi.particles)


@figures_of("trajectory")
def _trajectory(contents: Contents) -> Iterator[Panel]:
    found: Trajectory = contents.object
    done = len(found.frames)
    rows = [("frames", f"{done} of {found.n_frames} finished"), ("particles", number(found.forces.shape[1]))]
    if done:
        rows += [
            ("energy, mean (e^2/angstrom)", number(found.energies.mean())),
            ("energy, standard deviation (e^2/angstrom)", number(found.energies.std())),
        ]
    if done and found.errors is not None:
        for quantity in ("energy", "forces"):
            error = found.measured_error(quantity)
            rows.append((f"error of the {quantity}, measured", f"{error.relative:.2e}, {error.worst:.2e} at worst"))
    plan = trajectory_state(contents.path).plan
    if plan is not None:
        rows += [("method", plan.method), ("tolerance", number(plan.tol)), ("kernel", plan.kernel)]
    yield Table("Trajectory", rows)
    if not done:
        return
    x = (found.frames, "frame")
    yield lines("Energy by frame", x, {"energy": found.energies}, "energy (e²/Å)")
    if found.forces.shape[1]:
        sizes = np.linalg.norm(found.forces, axis=2)
        curves = {"largest": sizes.max(axis=1), "root mean square": np.sqrt((sizes**2).mean(axis=1))}
        yield lines("Forces by frame", x, curves, "force (e²/Å²)", log=True)
    if found.errors is not None:
        names = ("energy", "forces", "energy, at worst", "forces, at worst")
        curves = dict(zip(names, found.errors.transpose(2, 1, 0).reshape(4, -1)))
        yield lines("Measured error by frame", x, curves, "relative error", log=True)


def particle_panels(particles: Particles) -> Iterator[Panel]:
    """Yield a table and a chart of point charges."""
    rows = [
        ("number", number(particles.n)),
        ("total charge (e)", number(round(particles.total_charge, 9) + 0.0)),
        ("cell", "none" if particles.cell is None else "three periods"),
    ]
    yield Table("Charges", rows)
    cell = None if particles.cell is None else to_host(particles.cell)
    if particles.n:
        places, charges = to_host(particles.positions), to_host(particles.charges)
        yield points("Charges in space", places, charges, "charge (e)", cell=cell)


def volume_panels(title: str, volume: Volume, units: str, places: Any = None, note: str = "") -> Iterable[Panel]:
    """Yield planes and surfaces of a potential on a grid."""
    quantity = f"potential ({units})"
    yield slices(f"{title}: planes", volume, quantity, ANGSTROM, note=note)
    found = isosurface(f"{title}: surfaces", volume, quantity, ANGSTROM, places)
    if found is not None:
        yield found


def _evaluated(function: Any, domain: Any) -> Volume:
    """Evaluate a function on a small grid in a box."""
    x, y, z = (np.linspace(a, b, n) for (a, b), n in zip(domain, (PLANE, PLANE, PLANES)))
    return Volume(to_host(function.on_grid(x, y, z)), (x, y, z), (1, 1, 1))


def _center(phi: Any) -> np.ndarray:
    """Return the place of the first defect that has a site, or the middle of the crystal."""
    vacancy = next((d for d in phi.defects if isinstance(d, Vacancy)), None)
    if vacancy is not None:
        return np.asarray(to_host(phi.position(vacancy.particle, vacancy.cell)))
    return np.array([0.5 * n * p for n, p in zip(phi.repeats, phi.periods)])


def _kernel(split: Split) -> str:
    kappa = split.kernel.kappa
    return "1/r" if kappa == 0 else f"exp(-{kappa:g} r)/r, kappa in 1/angstrom"


def _split_chart(split: Split) -> Panel:
    r = np.linspace(0.02, 1.4, 400) * split.cutoff
    long_range = split.gaussians.of_square(r**2)
    curves = {"kernel": split.kernel(r), "long range": long_range, "short range": split.kernel(r) - long_range}
    curves = {name: np.abs(values) for name, values in curves.items()}
    return lines("The kernel and its two ranges", (r, "r (Å)"), curves, "absolute value (1/Å)", log=True)
