"""The analysis class against MDAnalysis itself, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.potentials import Particles, PeriodicPotential, Yukawa, direct_sum
from sci.units import energy_factor, potential_factor

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
RNG = np.random.default_rng(3)
N, FRAMES = 8, 4
CHARGES = np.round(RNG.standard_normal(N), 2)
PLACES = (RNG.random((FRAMES, N, 3)) * 9).astype("f4")
BOX = np.array([11.0, 12.0, 13.0, 90.0, 80.0, 70.0], "f4")
MOLAR, VOLT = energy_factor("kJ/mol"), potential_factor("V")


def _universe(box: bool) -> Any:
    from MDAnalysis import Universe
    from MDAnalysis.coordinates.memory import MemoryReader

    universe = Universe.empty(N, trajectory=True)
    universe.add_TopologyAttr("charges", CHARGES)
    dimensions = np.tile(BOX, (FRAMES, 1)) if box else None
    universe.load_new(PLACES, format=MemoryReader, dimensions=dimensions)
    return universe


def _analysis(atoms: Any, **settings: Any) -> Any:
    from sci.interop.mdanalysis import Electrostatics

    return Electrostatics(atoms, **settings)


def test_isolated_frames_are_sums_over_pairs() -> None:
    points = np.array([[20.0, 0.0, 0.0], [0.0, -15.0, 3.0]])
    found = _analysis(_universe(False).atoms, points=points).run(step=2)
    assert found.results.energies.shape == (2,)
    np.testing.assert_array_equal(found.frames, [0, 2])
    for row, frame in enumerate(found.frames):
        particles = Particles(PLACES[frame].astype(float), CHARGES)
        values, slopes = direct_sum(particles, particles.positions, gradient=True)
        assert found.results.energies[row] == pytest.approx(0.5 * MOLAR * (CHARGES * values).sum(), rel=1e-10)
        np.testing.assert_allclose(found.results.forces[row], -MOLAR * CHARGES[:, None] * slopes, rtol=1e-9)
        np.testing.assert_allclose(found.results.potentials[row], VOLT * direct_sum(particles, points), rtol=1e-10)


def test_frames_with_a_box_are_periodic() -> None:
    from MDAnalysis.lib.mdamath import triclinic_vectors

    found = _analysis(_universe(True).atoms, tol=1e-9, points=[[0.0, 0.0, 0.0]]).run()
    cell = triclinic_vectors(BOX).astype(float)
    for frame in range(FRAMES):
        phi = PeriodicPotential(Particles(PLACES[frame].astype(float), CHARGES, cell=cell), 1e-10)
        assert found.results.energies[frame] == pytest.approx(MOLAR * phi.energy(), rel=1e-8)
        np.testing.assert_allclose(found.results.forces[frame], MOLAR * phi.forces(), atol=1e-5)
        assert found.results.potentials[frame, 0] == pytest.approx(VOLT * phi(np.zeros((1, 3)))[0], rel=1e-7)


def test_the_box_can_be_left_aside_and_a_group_chosen() -> None:
    found = _analysis(_universe(True).select_atoms("index 0:3"), periodic=False, kappa=0.2).run(stop=1)
    particles = Particles(PLACES[0, :4].astype(float), CHARGES[:4])
    energy = 0.5 * (CHARGES[:4] * direct_sum(particles, particles.positions, kernel=Yukawa(0.2))).sum()
    assert found.results.energies[0] == pytest.approx(MOLAR * energy, rel=1e-10)


def test_what_it_cannot_do_is_refused() -> None:
    from MDAnalysis import Universe

    with pytest.raises(InvalidValueError, match="frame 0 has no box"):
        _analysis(_universe(False).atoms, periodic=True).run()
    with pytest.raises(InvalidValueError, match="no charges"):
        _analysis(Universe.empty(2, trajectory=True).atoms)
    assert repr(_analysis(_universe(True).atoms)) == "Electrostatics(8 atoms, tol=1e-06, kappa=0)"


def test_bonds_of_the_topology_leave_pairs_out_also_of_a_group() -> None:
    from sci.interop.mdanalysis import exclusions

    universe = _universe(False)
    with pytest.raises(InvalidValueError, match="names no bonds"):
        exclusions(universe.atoms)
    universe.add_TopologyAttr("bonds", [(0, 1), (1, 2), (2, 3), (5, 6)])
    group = universe.select_atoms("index 1:6")
    found = exclusions(group, scale14=0.5)
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2], [4, 5]]
    assert exclusions(universe.atoms, scale14=0.5).scales.tolist().count(0.5) == 1
    results = _analysis(group, exclusions=found).run(stop=1).results
    x, q = PLACES[0, 1:7].astype(float), CHARGES[1:7]
    pairs = [(i, j) for i in range(6) for j in range(i) if [j, i] not in found.pairs.tolist()]
    energy = sum(q[i] * q[j] / np.linalg.norm(x[i] - x[j]) for i, j in pairs)
    assert results.energies[0] == pytest.approx(MOLAR * energy, rel=1e-10)
