"""Energies between groups: sums over the pairs of two groups, which add up to the energy of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forcefields import exact, left_out, molecules, slab_molecules
from periodic_cells import ORTHOGONAL, ewald

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials import Exclusions, Particles, PeriodicPotential, RangeSeparatedPotential, Yukawa, group_energies
from sci.potentials.forcefield import groups

GROUPS = np.array([0] * 5 + [1] * 9 + [2] * 7)  # a molecule is cut by the first border
PHI = RangeSeparatedPotential(molecules(), 1e-6)


def _of(particles: Particles, groups: list[int]) -> Particles:
    """Particles whose charges are zero outside of some groups."""
    return replace(particles, charges=np.where(np.isin(GROUPS, groups), particles.charges, 0.0))


@pytest.mark.parametrize("kappa", [0.0, 0.3])
def test_isolated_groups_are_sums_over_pairs(kappa: float) -> None:
    particles = molecules()
    phi = RangeSeparatedPotential(particles, 1e-6, kernel=Yukawa(kappa) if kappa else None)
    found = group_energies(phi, GROUPS)
    for a in range(3):
        for b in range(3):
            one, other, both = (exact(_of(particles, members), kappa)[0] for members in ([a], [b], [a, b]))
            assert found[a, b] == pytest.approx(one if a == b else 0.5 * (both - one - other), rel=1e-10)
    assert found.sum() == pytest.approx(exact(particles, kappa)[0], rel=1e-10)


@pytest.mark.parametrize("slab", [False, True])
def test_periodic_groups_add_up_and_each_is_right(slab: bool) -> None:
    particles = slab_molecules() if slab else molecules(3, 1.4 * ORTHOGONAL)
    phi = PeriodicPotential(particles, 1e-9, slab=slab)
    found = group_energies(phi, GROUPS)
    assert found.sum() == pytest.approx(phi.energy(), rel=1e-8)
    np.testing.assert_allclose(found, found.T, atol=1e-8)
    if slab:
        return
    charges = np.where(GROUPS == 1, particles.charges, 0.0)
    potential = ewald(Particles(particles.positions, charges, cell=particles.cell), particles.positions, 0.9)[0]
    for a in (0, 1):
        masked = np.where(a == GROUPS, particles.charges, 0.0)
        pairs = [left_out(replace(particles, charges=q))[0] for q in (masked, charges, masked + charges)]
        lost = pairs[0] if a == 1 else 0.5 * (pairs[2] - pairs[0] - pairs[1])
        assert found[a, 1] == pytest.approx(0.5 * masked @ potential - lost, abs=1e-8)


def test_isolated_charges_take_meshes_where_these_are_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n, tol = np.random.default_rng(0), 3000, 1e-5
    positions, charges = 31 * rng.random((n, 3)), rng.normal(size=n)
    positions[1::2] = positions[::2] + rng.uniform(0.5, 0.6, (n // 2, 3))
    particles = Particles(positions, charges, exclusions=Exclusions(np.arange(n).reshape(-1, 2), n, 0.5))
    phi = RangeSeparatedPotential(particles, 1e-3)
    assert not groups._mesh_is_faster(phi, particles, 3)
    large = Particles(90 * rng.random((60_000, 3)), rng.normal(size=60_000))
    monkeypatch.setattr(phi, "tol", tol)
    assert groups._mesh_is_faster(phi, large, 3)
    labels, found = np.where(positions[:, 0] < 12, 0, 1), []
    for mesh in (False, True):
        monkeypatch.setattr(groups, "_mesh_is_faster", lambda *arguments, mesh=mesh: mesh)
        found.append(group_energies(phi, labels))
    size = np.abs(charges * phi.at_particles(False)[:, 0]).sum()
    assert 0 < np.abs(found[1] - found[0]).max() < tol * size


def test_labels_that_name_no_groups_are_refused() -> None:
    with pytest.raises(ShapeError, match="each of 21 atoms"):
        group_energies(PHI, [0, 1])
    with pytest.raises(DTypeError, match="integers"):
        group_energies(PHI, np.zeros(21))
    for labels in (GROUPS - 1, np.where(GROUPS == 1, 5, GROUPS), GROUPS * 1000):
        with pytest.raises(InvalidValueError, match="atoms in each group"):
            group_energies(PHI, labels)
