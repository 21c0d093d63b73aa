"""Four nonlinear problems as minima of energies, drawn.

    python examples/nonlinear.py [--cells 65] [--plot nonlinear.png]

A minimal surface over a square with a hole; a phase field that separates around a body; the p-Laplacian without a
Hessian, as one would add an energy of one's own; and ubiquitin in salt, by the Poisson-Boltzmann equation. It prints
the steps of each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from sci.applications import Electrolyte, PoissonBoltzmann, poisson_boltzmann
from sci.datasets import dataset_path
from sci.io import read_structure
from sci.solvers import DoubleWell, Energy, MinimalSurface, Minimum, PoissonOperator, minimize_energy
from sci.units import COULOMB

CELLS = 96


def disk(x: float, y: float, radius: float) -> np.ndarray:
    """Return the cells of the unit square in a disk."""
    place = (np.arange(CELLS) + 0.5) / CELLS
    return (place[:, None] - x) ** 2 + (place - y) ** 2 < radius**2


def soap_film() -> tuple[np.ndarray, Minimum]:
    """Return a film between a frame that waves and a ring at height 0.5."""
    ring = disk(0.5, 0.5, 0.12)
    A = PoissonOperator(~ring, 1 / CELLS)
    t = (np.arange(CELLS + 2) - 0.5) / CELLS
    values = 0.3 * np.cos(2 * np.pi * t)[:, None] * np.ones(CELLS + 2)
    values[1:-1, 1:-1][ring] = 0.5
    found = minimize_energy(Energy(A, MinimalSurface(), values=values))
    return np.where(ring, 0.5, found.u), found


def phases() -> tuple[np.ndarray, Minimum]:
    """Return two phases that separate from noise around a body that neither wets, after a few steps."""
    body, width = disk(0.6, 0.45, 0.15), 0.02
    A = PoissonOperator(~body, 1 / CELLS, "neumann", neumann_body=True)
    noise = np.random.default_rng(6).uniform(-1, 1, A.grid_shape)
    found = minimize_energy(Energy(A, DoubleWell(1 / width), diffusion=width), noise, maxiter=12)
    return np.where(body, np.nan, found.u), found


class Power:
    """|grad u|^p / p, given by its value and its derivative alone."""

    def __init__(self, p: float) -> None:
        self.p = p

    def density(self, x: Any, u: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Return the value in each cell."""
        return ((p * p).sum(axis=0) + 1e-6) ** (self.p / 2) / self.p

    def derivative(self, x: Any, u: np.ndarray, p: np.ndarray) -> tuple[Any, np.ndarray]:
        """Return the derivatives by u and by the gradient."""
        return 0.0, ((p * p).sum(axis=0) + 1e-6) ** (self.p / 2 - 1) * p


def sandpile() -> tuple[np.ndarray, Minimum]:
    """Return the p-Laplacian for p = 10, close to the shape of sand poured on a plate with two holes."""
    plate = ~(disk(0.3, 0.35, 0.1) | disk(0.65, 0.7, 0.06))
    A = PoissonOperator(plate, 1 / CELLS)
    found = minimize_energy(Energy(A, Power(10.0), f=np.ones(A.grid_shape)), maxiter=500)
    return found.u, found


def protein(cells: int) -> PoissonBoltzmann:
    """Return the potential of ubiquitin in 0.15 mol/L of salt."""
    return poisson_boltzmann(read_structure(dataset_path("ubiquitin")), None, Electrolyte(0.15), cells=cells)


def draw(fields: dict[str, np.ndarray], found: PoissonBoltzmann, path: Path) -> None:
    """Draw the three planes and the middle of the potential."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9.4), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for panel, (title, field), colors in zip(axes, fields.items(), ("viridis", "RdBu_r", "magma")):
        image = panel.imshow(field.T, origin="lower", extent=(0, 1, 0, 1), cmap=colors)
        panel.contour(np.linspace(0, 1, CELLS), np.linspace(0, 1, CELLS), field.T, 9, colors="k", linewidths=0.5)
        panel.set(title=title, xlabel="x", ylabel="y")
        figure.colorbar(image, ax=panel, label="u")
    middle = found.potential.shape[2] // 2
    low = found.origin - found.spacing / 2
    high = low + found.spacing * np.array(found.potential.shape)
    box = (low[0], high[0], low[1], high[1])
    potential = found.potential[:, :, middle].T
    image = axes[3].imshow(potential, origin="lower", extent=box, vmin=-4, vmax=4, cmap="RdBu")
    places = [found.origin[a] + found.spacing * np.arange(found.potential.shape[a]) for a in (0, 1)]
    axes[3].contour(*places, found.accessible[:, :, middle].T, [0.5], colors="k", linewidths=1)
    axes[3].set(title="ubiquitin in 0.15 mol/L (black: ions stay outside)", xlabel="x (A)", ylabel="y (A)")
    figure.colorbar(image, ax=axes[3], label="potential (kT/e)")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Solve, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=65, help="along each axis of the grid of ubiquitin (65)")
    parser.add_argument("--plot", type=Path, help="picture to write")
    a = parser.parse_args()
    fields = {}
    problems = {
        "minimal surface over a frame and a ring": soap_film,
        "phase field around a body, 12 steps from noise": phases,
        "p-Laplacian, p = 10, on a plate with holes": sandpile,
    }
    for name, solve in problems.items():
        fields[name], minimum = solve()
        print(f"{name}: {minimum!r}")
    found = protein(a.cells)
    print(f"ubiquitin: {found!r}")
    print(f"solvation energy {COULOMB * found.energy:.3f} +- {COULOMB * found.energy_error:.3f} eV")
    if a.plot:
        draw(fields, found, a.plot)


if __name__ == "__main__":
    main()
