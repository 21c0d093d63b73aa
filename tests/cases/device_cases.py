"""Computations that give the same answer on either side; each takes the namespace and returns host arrays.

`tests/test_device.py` runs them on a strict stand-in for CuPy, `tests/gpu` on CuPy.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from attention_device_cases import CASES as ATTENTION_CASES
from bures_cases import on_device as bures_wasserstein
from forcefields import molecules
from graph_cases import graphs_and_polynomials
from language_model_device_cases import CASES as LANGUAGE_MODEL_CASES
from learned_device_cases import CASES as LEARNED_CASES
from next_scale_cases import next_scale
from nn_device_cases import CASES as NN_CASES
from operator_device_cases import CASES as OPERATOR_CASES
from pairwise_cases import on_device as pairwise_reductions
from solver_device_cases import SOLVER_CASES
from spin_cases import spins_memories_and_marginals
from symmetric_cases import on_device as functions_of_matrices
from systems import cloud, targets_in

from sci import chebyshev
from sci.backend import to_device, to_host
from sci.potentials import (
    Coulomb,
    ParticleMesh,
    Particles,
    PeriodicPotential,
    RangeSeparatedPotential,
    Yukawa,
    direct_sum,
    group_energies,
)
from sci.problems import navier_stokes
from sci.sequence import gated_linear_attention, gated_linear_step, lightning_attention, lightning_step
from sci.tensor import CP, ChebTuck, Tucker, hooi, hosvd, rhosvd

Answers = list[np.ndarray]
BOX = ((-1.0, 1.0), (-1.5, 1.0), (-1.0, 2.0))
RNG = np.random.default_rng(7)
DENSE = 1.0 / (1.0 + np.add.outer(np.add.outer(np.arange(12.0), np.arange(11.0)), np.arange(10.0)))
TERMS = RNG.normal(size=6), tuple(RNG.normal(size=(n, 6)) for n in (9, 10, 11))
POINTS = RNG.random((70, 3)) * (2.0, 2.5, 3.0) - (1.0, 1.5, 1.0)
CLOUD = cloud(60)
TARGETS = targets_in(CLOUD, 300)


def _smooth(x: Any, y: Any, z: Any) -> Any:
    return 1.0 / (8.0 + x + y * z)


def _function(xp: ModuleType) -> ChebTuck:
    return ChebTuck.from_function(_smooth, BOX, 1e-9, device="cpu" if xp is np else "cuda")


def _particles(xp: ModuleType) -> Particles:
    return Particles(to_device(CLOUD.positions, xp), to_device(CLOUD.charges, xp))


def chebyshev_transforms(xp: ModuleType) -> Answers:
    short, long = (to_device(RNG_LINES[n], xp) for n in (20, 400))
    x = to_device(np.linspace(-1.0, 1.0, 33), xp)
    result = [chebyshev.values_to_coefficients(a) for a in (short, long)]
    result += [chebyshev.coefficients_to_values(a) for a in (short, long)]
    result += [chebyshev.evaluate(x, short), chebyshev.differentiate(short), chebyshev.vandermonde(x, 9)]
    return [to_host(a) for a in result]


RNG_LINES = {n: RNG.normal(size=(n, 3)) for n in (20, 400)}


def tucker_decompositions(xp: ModuleType) -> Answers:
    dense = to_device(DENSE, xp)
    found = [hosvd(dense, 1e-7, method=m) for m in ("gram", "qr", "randomized")]
    found.append(hooi(dense, (3, 3, 3)))
    return [to_host(t.to_dense()) for t in found]


def cp_formats(xp: ModuleType) -> Answers:
    cp = CP(to_device(TERMS[0], xp), tuple(to_device(f, xp) for f in TERMS[1]))
    tucker = rhosvd(cp, 1e-10)
    total = Tucker(tucker.core, tucker.factors).orthogonalized()
    function = ChebTuck.from_cp(cp, BOX, 8)
    return [to_host(a) for a in (cp.to_dense(), tucker.to_dense(), total.to_dense(), function.on_grid(*_axes(xp)))]


def _axes(xp: ModuleType) -> list[Any]:
    return [to_device(np.linspace(a, b, n), xp) for (a, b), n in zip(BOX, (5, 6, 7))]


def chebtuck_functions(xp: ModuleType) -> Answers:
    f, points = _function(xp), to_device(POINTS, xp)
    g = f.multiply(f, 1e-9) + 2.0 * f - f.derivative(1)
    numbers = np.array([f.integral(), f.inner(g), g.norm()])
    cp = f.to_cp(1e-9).to_dense()
    return [numbers, *(to_host(a) for a in (f(points), f.gradient(points), g.on_grid(*_axes(xp)), cp))]


def pairwise_sums(xp: ModuleType) -> Answers:
    targets = to_device(TARGETS, xp)
    sums = [direct_sum(_particles(xp), targets, kernel=k, gradient=True) for k in (Coulomb(), Yukawa(0.3))]
    return [to_host(a) for pair in sums for a in pair] + [to_host(direct_sum(_particles(xp), targets[:1]))]


def _potential(xp: ModuleType, kernel: Any, expected_targets: int) -> Answers:
    # A tolerance for which grids are summed in float64: those in float32 differ by its rounding.
    phi = RangeSeparatedPotential(_particles(xp), 3e-7, kernel=kernel, alpha=0.6, expected_targets=expected_targets)
    targets = to_device(TARGETS, xp)
    far = targets * 1.0
    far[:3] += 40.0
    low, high = CLOUD.positions.min(axis=0), CLOUD.positions.max(axis=0)
    axes = [to_device(np.linspace(a - 6.0, b, n), xp) for a, b, n in zip(low, high, (9, 8, 7))]
    inside = [to_device(np.linspace(a, b, n), xp) for a, b, n in zip(low, high, (9, 8, 7))]
    arrays = (phi(targets), phi(far), phi.field(targets), phi.forces(), phi.on_grid(*axes), phi.on_grid(*inside))
    phi._few = 0.0  # always the local boxes
    again = (phi(targets), phi.field(targets))
    return [np.array([phi.energy(), phi.error_estimate]), *(to_host(a) for a in (*arrays, *again))]


def coulomb_potential(xp: ModuleType) -> Answers:
    return _potential(xp, Coulomb(), 1000)


def screened_potential(xp: ModuleType) -> Answers:
    return _potential(xp, Yukawa(0.1), 1000)


def forcefield_sums(xp: ModuleType) -> Answers:
    """Exclusions, one of them of a shell on its core, in isolated, periodic and screened sums and in a slab."""
    found = molecules(2, np.diag([14.0, 15.0, 16.0]))
    positions = found.positions.copy()
    positions[1] = positions[0] + 0.01  # bonded atoms
    cells = (None, found.cell, found.cell, np.diag([14.0, 15.0, 1.0]))
    answers: Answers = []
    for cell, kernel in zip(cells, (Coulomb(), Coulomb(), Yukawa(0.3), Coulomb())):
        if cell is None or cell[2, 2] == 1.0:  # molecules are not cut
            places = molecules(2).positions
            places[1] = places[0] + 0.01
        else:
            places = positions
        arrays = (to_device(a, xp) for a in (places, found.charges))
        particles = Particles(*arrays, cell=None if cell is None else to_device(cell, xp), exclusions=found.exclusions)
        if cell is None:
            phi: Any = RangeSeparatedPotential(particles, 1e-8, kernel=kernel, expected_targets=100)
        else:
            phi = PeriodicPotential(particles, 1e-8, kernel=kernel, slab=bool(cell[2, 2] == 1.0))
        energy, forces = phi.energy_and_forces()
        answers += [np.array(energy), to_host(forces), to_host(phi.charge_gradient()), phi.virial()]
        answers.append(group_energies(phi, np.arange(14) // 7))
    return answers


def particle_mesh(xp: ModuleType) -> Answers:
    """A cell with exclusions by a mesh, in float64, and what it is compared with."""
    found = molecules(2, np.diag([14.0, 15.0, 16.0]))
    arrays = (to_device(a, xp) for a in (found.positions, found.charges))
    mesh = ParticleMesh(Particles(*arrays, cell=to_device(found.cell, xp), exclusions=found.exclusions), 1e-8)
    error = mesh.measured_error("forces")
    assert 0 < error.relative < 1e-8
    return [np.array(mesh.energy()), to_host(mesh.forces()), to_host(mesh.potentials()), mesh.stress()]


def chosen_split(xp: ModuleType) -> Answers:
    phi = RangeSeparatedPotential(_particles(xp), 1e-4)
    return [np.array([phi.split.alpha]), to_host(phi(to_device(TARGETS, xp)))]


def vorticity(xp: ModuleType) -> Answers:
    initial, later = navier_stokes(
        2, 16, viscosity=1e-2, time=0.1, time_step=0.02, device="cpu" if xp is np else "cuda"
    )
    return [to_host(initial), to_host(later)]


def lightning(xp: ModuleType) -> Answers:
    """Blocks of which the last is short, a step that goes on, and the gradients of a slow and of a fast decay."""
    rng = np.random.default_rng(5)
    q, k, v, dout = (to_device(rng.normal(size=(2, 400, 5)), xp) for _ in range(4))
    decay, state = to_device(np.array([0.1, 7.0]), xp), to_device(rng.normal(size=(2, 5, 5)), xp)
    (out, end), residuals = lightning_attention.forward(q, k, v, decay, state)
    step = lightning_step(q[:, 0], k[:, 0], v[:, 0], decay, end)
    return [to_host(a) for a in (out, *step, *lightning_attention.vjp((dout, end), residuals))]


def gated(xp: ModuleType) -> Answers:
    """A decay a token and a feature, with and without the delta rule, documents, a short chunk, a step that goes on."""
    rng, answers = np.random.default_rng(6), []
    q, k, v, dout = (to_device(rng.normal(size=(2, 100, 5)) / 3, xp) for _ in range(4))
    state, beta = to_device(rng.normal(size=(2, 5, 5)), xp), to_device(rng.uniform(size=(2, 100)), xp)
    labels = to_device(np.arange(100) // 40, xp)
    for shape, rates in (((2, 100), None), ((2, 100, 5), None), ((2, 100, 5), beta)):
        decay = to_device(rng.exponential(size=shape), xp)
        (out, end), residuals = gated_linear_attention.forward(q, k, v, decay, rates, state, segments=labels)
        last = None if rates is None else rates[:, 0]
        step = gated_linear_step(q[:, 0], k[:, 0], v[:, 0], decay[:, 0], last, end)
        found = (out, *step, *gated_linear_attention.vjp((dout, end), residuals))
        answers += [to_host(a) for a in found if a is not None]
    return answers


CASES: tuple[Callable[[ModuleType], Answers], ...] = (
    forcefield_sums,
    particle_mesh,
    *(chebyshev_transforms, tucker_decompositions, cp_formats, chebtuck_functions),
    *(pairwise_sums, coulomb_potential, screened_potential, chosen_split),
    *(vorticity,),
    *(lightning, gated),
    pairwise_reductions,
    functions_of_matrices,
    bures_wasserstein,
    graphs_and_polynomials,
    spins_memories_and_marginals,
    next_scale,
    *ATTENTION_CASES,
    *LANGUAGE_MODEL_CASES,
    *NN_CASES,
    *OPERATOR_CASES,
    *LEARNED_CASES,
    *SOLVER_CASES,
)


def assert_same_on(xp: ModuleType, case: Callable[[ModuleType], Answers], rtol: float) -> None:
    """Compare the answers of `case` on `xp` with those on NumPy, relative to the largest entry."""
    found, expected = case(xp), case(np)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * float(np.abs(theirs).max()))
