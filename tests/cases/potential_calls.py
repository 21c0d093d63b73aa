"""One right call of every public function and class of potentials and tensors, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from entry_calls import Call, call, real

from sci import potentials, tensor

PLACES = np.array([[0.0, 0.0, 0.0], [1.2, 0.3, 0.1], [0.2, 1.5, -0.4], [-1.0, 0.6, 0.8]])
CHARGES = np.array([1.0, -0.5, 0.75, -1.25])
ATOMS = potentials.Particles(PLACES, CHARGES)
CELL = potentials.Particles(np.array([[0.0, 0, 0], [1.5, 1.4, 1.6]]), np.array([1.0, -1.0]), cell=3.0 * np.eye(3))
POINTS = np.array([[0.5, 0.5, 0.5], [1.0, 1.0, 2.0], [0.3, -0.2, 0.9]])
AXIS = np.array([0.0, 0.5, 1.25])
PHI = potentials.RangeSeparatedPotential(ATOMS, 1e-2, expected_targets=10)
MESH = potentials.ParticleMesh(CELL, 1e-2)
PERIODIC = potentials.PeriodicPotential(CELL, 1e-2)
LATTICE = potentials.LatticePotential(CELL, (2, 3, 2), 1e-2)
SPLIT = potentials.split_kernel(potentials.Coulomb(), 1e-3, 10.0, 0.5)
GAUSSIANS = potentials.gaussian_sum(potentials.Coulomb(), 1e-3, 10.0, 0.5)
PLAN = potentials.plan_frames(ATOMS, 1e-2)
RUN = potentials.Trajectory(np.arange(2), np.zeros(2), np.zeros((2, 4, 3)), 3, np.full((2, 2, 2), 1e-5))
SAMPLED = potentials.PotentialGrid(real(2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
BOX = ((-1.0, 1.0), (0.0, 2.0), (-2.0, 2.0))
CP3 = tensor.CP(np.ones(2), (real(5, 2), real(4, 2), real(6, 2)))
TUCKER = tensor.Tucker(real(2, 2, 3), (real(5, 2), real(4, 2), real(6, 3)))
TRAIN = tensor.TensorTrain((real(4, 2), real(2, 5, 3), real(3, 6)))
F = tensor.ChebTuck(TUCKER.core, TUCKER.factors, BOX)
INSIDE = np.array([[0.5, 0.5, 0.5], [-0.9, 1.9, 1.0]])


class Nothing:
    """A sink that wants no frame."""

    def begin(self) -> potentials.FrameJob:
        return potentials.FrameJob(PLAN, np.arange(1), np.arange(1))

    def write(self, place: int, result: potentials.FrameResult) -> None:
        pass

    def close(self) -> None:
        pass


def frames(numbers: Sequence[int]) -> Iterator[tuple[int, potentials.Particles]]:
    """Yield one frame for each number."""
    return ((k, ATOMS) for k in numbers)


def polynomial(x: Any, y: Any, z: Any) -> Any:
    """Return a function of three variables."""
    return 1.0 + x * y + z


def _of_objects() -> dict[str, Call]:
    return {
        "Exclusions.from_bonds": call(potentials.Exclusions.from_bonds, np.array([[0, 1], [1, 2]]), 4, scale14=0.5),
        "Exclusions.of_atoms": call(potentials.Exclusions(np.array([[0, 1]]), 4).of_atoms, [0, 1, 3]),
        "LatticePotential.at_site": call(LATTICE.at_site, 0, (1, 1, 1)),
        "LatticePotential.call": call(LATTICE, POINTS),
        "LatticePotential.field": call(LATTICE.field, POINTS),
        "LatticePotential.long_range_terms": call(LATTICE.long_range_terms, AXIS, AXIS, AXIS),
        "LatticePotential.measured_error": call(LATTICE.measured_error, "field"),
        "LatticePotential.on_grid": call(LATTICE.on_grid, AXIS, AXIS, AXIS),
        "LatticePotential.position": call(LATTICE.position, 0, (1, 1, 1)),
        "LatticePotential.sites_in": call(LATTICE.sites_in, BOX),
        "ParticleMesh.energy_and_forces": call(MESH.energy_and_forces),
        "ParticleMesh.measured_error": call(MESH.measured_error, "energy"),
        "ParticleMesh.moved": call(MESH.moved, CELL.positions + 0.01),
        "Particles.to_host": call(ATOMS.to_host),
        "PeriodicPotential.call": call(PERIODIC, POINTS),
        "PeriodicPotential.energy_and_forces": call(PERIODIC.energy_and_forces),
        "PeriodicPotential.field": call(PERIODIC.field, POINTS),
        "PeriodicPotential.from_parts": call(
            potentials.PeriodicPotential.from_parts,
            *(CELL, 1e-2, PERIODIC.alpha, PERIODIC.modes),
            kernel=potentials.Coulomb(),
            slab=False,
        ),
        "PeriodicPotential.measured_error": call(PERIODIC.measured_error, "energy"),
        "PeriodicPotential.on_grid": call(PERIODIC.on_grid, AXIS, AXIS, AXIS),
        "PotentialGrid.in_units": call(
            potentials.PotentialGrid(real(2, 2, 2), (0, 0, 0), (1, 1, 1)).in_units, "V", 300.0
        ),
        "PotentialGrid.on_axes": call(
            potentials.PotentialGrid.on_axes, real(2, 2, 2), AXIS[:2], AXIS[:2], AXIS[:2], "V"
        ),
        "RangeSeparatedPotential.call": call(PHI, POINTS),
        "RangeSeparatedPotential.energy": call(PHI.energy),
        "RangeSeparatedPotential.field": call(PHI.field, POINTS),
        "RangeSeparatedPotential.from_parts": call(
            potentials.RangeSeparatedPotential.from_parts,
            *(ATOMS, PHI.long_range, PHI.split, 1e-2),
            accuracy="potential",
            build_tol=PHI.build_tol,
            expected_targets=10,
        ),
        "RangeSeparatedPotential.measured_error": call(PHI.measured_error, "forces"),
        "RangeSeparatedPotential.on_grid": call(PHI.on_grid, AXIS, AXIS, AXIS),
        "Trajectory.measured_error": call(RUN.measured_error, "energy"),
    }


def _potentials() -> dict[str, Call]:
    turns = np.tile(np.eye(3), (2, 1, 1))
    return _of_objects() | {
        "Coulomb": call(potentials.Coulomb),
        "DipoleResult": call(potentials.DipoleResult, 1.0, real(4, 3), real(4, 3), real(4), real(4, 3)),
        "Exclusions": call(potentials.Exclusions, np.array([[0, 1], [2, 1]]), 4, np.array([0.0, 0.5])),
        "FrameJob": call(potentials.FrameJob, PLAN, np.arange(2), np.arange(2)),
        "FramePlan": call(potentials.FramePlan, "format", 1e-2, "yukawa", 0.1, 0.5, 4, 1e-3, "forces", True),
        "FrameResult": call(potentials.FrameResult, 1.0, real(4, 3), np.ones((2, 2))),
        "GaussianSum": call(potentials.GaussianSum, np.array([0.1, 0.5]), np.array([0.2, 0.3])),
        "Interstitial": call(potentials.Interstitial, (0.5, 0.5, 0.5), 1.0),
        "LatticePotential": call(
            potentials.LatticePotential,
            *(CELL, (2, 2, 2), 1e-2),
            defects=[potentials.Vacancy(0, (1, 1, 1))],
            weights="plain",
            domain=((0.0, 3.0), (0.0, 3.0), (0.0, 3.0)),
            alpha=0.5,
            reach=30.0,
        ),
        "MeasuredError": call(potentials.MeasuredError, "field", 1e-3, 2e-3, {"far": (1e-3, 2e-3)}, 5),
        "ParticleMesh": call(potentials.ParticleMesh, CELL, 1e-2, force_error=0.1, slab=False, comm=None),
        "Particles": call(
            potentials.Particles,
            *(PLACES, CHARGES, np.ones(4), ("a", "b", "c", "d"), 9 * np.eye(3)),
            exclusions=potentials.Exclusions(np.array([[0, 1]]), 4),
        ),
        "PeriodicPotential": call(
            potentials.PeriodicPotential, CELL, 1e-2, kernel=potentials.Yukawa(0.5), slab=True, alpha=1.0
        ),
        "PotentialGrid": call(potentials.PotentialGrid, real(2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "V"),
        "RangeSeparatedPotential": call(
            potentials.RangeSeparatedPotential,
            *(ATOMS, 1e-2),
            kernel=potentials.Yukawa(0.1),
            accuracy="potential",
            alpha=0.5,
            expected_targets=10,
            padding=4.0,
            exclusions=potentials.Exclusions(np.array([[0, 1]]), ATOMS.n),
            comm=None,
        ),
        "Split": call(potentials.Split, potentials.Coulomb(), 0.5, 4.0, GAUSSIANS, np.ones(9)),
        "Substitution": call(potentials.Substitution, 0, (1, 1, 1), 2.0),
        "Trajectory": call(
            potentials.Trajectory, np.arange(2), np.zeros(2), np.zeros((2, 4, 3)), 3, np.zeros((2, 2, 2))
        ),
        "Vacancy": call(potentials.Vacancy, 0, (1, 1, 1)),
        "Yukawa": call(potentials.Yukawa, 0.3),
        "bonds_by_distance": call(
            potentials.bonds_by_distance, PLACES, ["C", "H", "H", "O"], cell=9 * np.eye(3), tolerance=0.4
        ),
        "box_axes": call(potentials.box_axes, BOX, (3, 4, 5)),
        "compute_frame": call(potentials.compute_frame, ATOMS, PLAN),
        "compute_frames": call(potentials.compute_frames, frames, Nothing(), title="run", comm=None),
        "conformer_energies_and_forces": call(
            potentials.conformer_energies_and_forces,
            ATOMS,
            PLACES[None] * np.ones((2, 1, 1)),
            PLAN,
            tol=1e-3,
            comm=None,
        ),
        "dipole_energy_and_forces": call(
            potentials.dipole_energy_and_forces, CELL, np.ones((2, 3)), tol=1e-4, kernel=potentials.Yukawa(0.3)
        ),
        "dipole_field": call(
            potentials.dipole_field, ATOMS, np.ones((4, 3)), POINTS, tol=1e-4, kernel=potentials.Coulomb()
        ),
        "direct_sum": call(potentials.direct_sum, ATOMS, POINTS, kernel=potentials.Yukawa(0.1), gradient=True),
        "energy_and_forces": call(potentials.energy_and_forces, ATOMS, PLAN, tol=None),
        "ewald_sum": call(potentials.ewald_sum, CELL, POINTS, tol=1e-3, kernel=potentials.Yukawa(0.2), gradient=True),
        "gaussian_sum": call(potentials.gaussian_sum, potentials.Coulomb(), 1e-3, 10.0, 0.5),
        "group_energies": call(potentials.group_energies, PERIODIC, np.array([0, 1])),
        "interaction_energy": call(potentials.interaction_energy, PHI, ATOMS, turns, POINTS[:2] + 9.0, comm=None),
        "periodic_stress": call(potentials.periodic_stress, PERIODIC),
        "plan_frames": call(
            potentials.plan_frames, ATOMS, 1e-2, kernel=potentials.Coulomb(), accuracy="potential", method="auto"
        ),
        "rotation_matrices": call(potentials.rotation_matrices, np.array([[1.0, 0.0, 0.0, 0.0]])),
        "split_kernel": call(potentials.split_kernel, potentials.Coulomb(), 1e-3, 10.0, 0.5),
    }


def _tensor() -> dict[str, Call]:
    reference = TUCKER.core, (real(5, 2), real(5, 2), real(5, 3))
    return {
        "CP": call(tensor.CP, np.ones(2), (real(5, 2), real(4, 2), real(6, 2))),
        "CP.inner": call(CP3.inner, CP3),
        "ChebTuck": call(tensor.ChebTuck, TUCKER.core, TUCKER.factors, BOX),
        "ChebTuck.add": call(F.add, F, 1e-3),
        "ChebTuck.call": call(F, INSIDE),
        "ChebTuck.derivative": call(F.derivative, 1),
        "ChebTuck.from_coefficients": call(tensor.ChebTuck.from_coefficients, real(3, 4, 5), BOX, 1e-3, method="qr"),
        "ChebTuck.from_cp": call(tensor.ChebTuck.from_cp, CP3, BOX, 3, 1e-3, spline_degree=3),
        "ChebTuck.from_cp_coefficients": call(tensor.ChebTuck.from_cp_coefficients, CP3, BOX, 1e-3),
        "ChebTuck.from_function": call(
            tensor.ChebTuck.from_function, polynomial, BOX, 1e-3, max_degree=32, device="cpu"
        ),
        "ChebTuck.from_series": call(tensor.ChebTuck.from_series, TUCKER, BOX),
        "ChebTuck.from_values": call(tensor.ChebTuck.from_values, real(3, 4, 5), BOX, 1e-3),
        "ChebTuck.gradient": call(F.gradient, INSIDE),
        "ChebTuck.inner": call(F.inner, F),
        "ChebTuck.multiply": call(F.multiply, F, 1e-3),
        "ChebTuck.on_grid": call(F.on_grid, AXIS[:2], AXIS[:2], AXIS[:2], out=np.empty((2, 2, 2))),
        "ChebTuck.to_cp": call(F.to_cp, 1e-3),
        "ChebTuck.to_tucker": call(F.to_tucker, AXIS[:2], AXIS[:2], AXIS[:2]),
        "ChebTuck.truncate": call(F.truncate, 1e-3),
        "ContractionPlan": call(tensor.ContractionPlan, "a->", "a", (("t0", "0", "", "a->"),), 1, 64.0),
        "TensorTrain": call(tensor.TensorTrain, TRAIN.cores),
        "TensorTrain.from_arrays": call(tensor.TensorTrain.from_arrays, TRAIN.arrays),
        "TensorTrain.inner": call(TRAIN.inner, TRAIN),
        "TensorTrain.ranks_for": call(tensor.TensorTrain.ranks_for, (4, 5, 6), 0.5),
        "Tucker": call(tensor.Tucker, TUCKER.core, TUCKER.factors),
        "Tucker.from_arrays": call(tensor.Tucker.from_arrays, TUCKER.arrays),
        "Tucker.inner": call(TUCKER.inner, TUCKER),
        "Tucker.to_dense": call(TUCKER.to_dense, out=np.empty((5, 4, 6))),
        "evaluate_points_reference": call(tensor.evaluate_points_reference, *reference, BOX, INSIDE),
        "gradient_points_reference": call(tensor.gradient_points_reference, *reference, BOX, INSIDE),
        "cp_als": call(tensor.cp_als, real(3, 2, 3), 2, n_sweeps=5, tol=1e-9, n_starts=2, seed=1),
        "plan_contraction": call(tensor.plan_contraction, "ab,bc->ac", {"a": 3, "b": 4}),
        "hooi": call(tensor.hooi, real(4, 4, 4), (2, 2, 2)),
        "hosvd": call(tensor.hosvd, real(4, 5, 6), 1e-3, method="qr"),
        "rhosvd": call(tensor.rhosvd, CP3, 1e-3),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"potentials": _potentials, "tensor": _tensor}
