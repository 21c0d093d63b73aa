"""Energies and forces of periodic cells against torch-pme, which has the published particle-mesh methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from systems import relative

from sci.potentials import Particles, PeriodicPotential

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")


def peer(particles: Particles, cutoff: float, kind: str) -> tuple[float, np.ndarray]:
    """Return energy and forces of an orthogonal cell, by Ewald's sum or the mesh, to the accuracy of its settings."""
    torchpme: Any = pytest.importorskip("torchpme")
    potential = torchpme.CoulombPotential(smearing=cutoff / 6.5)
    if kind == "ewald":
        calculator = torchpme.EwaldCalculator(potential, lr_wavelength=cutoff / 12)
    else:
        calculator = torchpme.PMECalculator(potential, mesh_spacing=cutoff / 26, interpolation_nodes=7)
    calculator = calculator.to(dtype=torch.float64)
    edges = np.diag(particles.cell)
    pairs = cKDTree(particles.positions % edges, boxsize=edges).query_pairs(cutoff, output_type="ndarray")
    i, j = pairs.T
    shift = -np.rint((particles.positions[j] - particles.positions[i]) / edges) * edges
    positions = torch.tensor(particles.positions, dtype=torch.float64, requires_grad=True)
    distances = torch.linalg.norm(positions[j] - positions[i] + torch.tensor(shift), dim=1)
    charges = torch.tensor(particles.charges[:, None])
    values = calculator(
        charges=charges,
        cell=torch.tensor(particles.cell),
        positions=positions,
        neighbor_indices=torch.tensor(pairs),
        neighbor_distances=distances,
    )
    energy = (charges * values).sum()  # its potential carries the factor 1/2 of the energy
    energy.backward()
    return float(energy), -positions.grad.numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "n", "tol"), [("ewald", 60, 1e-9), ("pme", 60, 1e-7), ("pme", 3000, 1e-6)])
def test_energies_and_forces(kind: str, n: int, tol: float) -> None:
    """Neutral random charges at a density near that of water, in a cell of three different edges."""
    rng = np.random.default_rng(n)
    edges = np.array([1.0, 1.2, 0.9]) * (n / 0.1 / 1.08) ** (1 / 3)
    charges = rng.normal(size=n)
    particles = Particles(rng.random((n, 3)) * edges, charges - charges.mean(), cell=np.diag(edges))
    energy, forces = peer(particles, min(0.49 * edges.min(), 9.0), kind)
    ours = PeriodicPotential(particles, 1e-10)
    found, own_forces = ours.energy_and_forces()
    assert found == pytest.approx(energy, abs=tol * float(np.abs(charges * ours(particles.positions)).sum()))
    assert relative(own_forces, forces) < 10 * tol
