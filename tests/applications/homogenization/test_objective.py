"""Objective laws: the energy of Hencky's law, objectivity for any law, learned ones too, small strains, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import logm, sqrtm

from sci.applications import (
    EquiNO,
    InfinitesimalLaw,
    LinearElastic,
    ObjectiveLaw,
    PeriodicRVE,
    Saturating,
    circular_inclusions,
    hencky_strain,
    objectivity_error,
    pod_modes,
    snapshots,
    stress_of,
)
from sci.errors import InvalidValueError, ShapeError

ANGLES = np.linspace(0, 2 * np.pi, 17)
BULK, SHEAR = 2.0, 1.3


def deformations(count: int, size: float, seed: int = 0) -> np.ndarray:
    found = np.eye(2) + size * np.random.default_rng(seed).normal(size=(count, 2, 2))
    return found[np.linalg.det(found) > 0.2]


def test_strains_are_logarithms_of_the_stretches():
    f = deformations(20, 0.4)
    for frame, product in (("spatial", f @ f.swapaxes(1, 2)), ("material", f.swapaxes(1, 2) @ f)):
        expected = np.array([logm(np.real(sqrtm(c))).real for c in product])
        np.testing.assert_allclose(hencky_strain(f, frame), expected, atol=1e-13)
    assert hencky_strain(f.astype(np.float32)).dtype == np.float32
    assert hencky_strain(np.eye(2)).shape == (2, 2)


def test_the_elastic_law_is_the_derivative_of_its_energy():
    """W = K tr(h)^2 / 2 + G |dev h|^2 of h = log V: P = dW / dF."""
    law, step = ObjectiveLaw(stress_of(LinearElastic(BULK, SHEAR))), 1e-6

    def energy(f):
        h = hencky_strain(f)
        trace = np.trace(h, axis1=1, axis2=2)
        return BULK * trace**2 / 2 + SHEAR * ((h * h).sum(axis=(1, 2)) - trace**2 / 3)

    f = deformations(30, 0.3)
    found = law.first_piola(f)
    for i in range(2):
        for j in range(2):
            change = np.zeros((2, 2))
            change[i, j] = step
            slope = (energy(f + change) - energy(f - change)) / (2 * step)
            np.testing.assert_allclose(found[:, i, j], slope, rtol=1e-7, atol=1e-8)
    area = np.linalg.det(f)[:, None, None]
    np.testing.assert_allclose(law.cauchy(f), law.first_piola(f) @ f.swapaxes(1, 2) / area, atol=1e-13)


def anisotropic(strains):
    """A nonlinear law with axes of its own."""
    stiffness = np.array([[3.0, 0.5, 0.2], [0.5, 1.0, -0.4], [0.2, -0.4, 0.8]])
    return np.tanh(3 * strains) @ stiffness


@pytest.mark.parametrize("law", [stress_of(Saturating(4.0, 0.5, 0.06)), anisotropic], ids=["isotropic", "anisotropic"])
def test_any_law_is_objective_by_construction(law):
    f = deformations(40, 0.3)
    assert objectivity_error(ObjectiveLaw(law), f, ANGLES) < 1e-12
    assert objectivity_error(InfinitesimalLaw(law), f, ANGLES) > 0.5
    turned = ObjectiveLaw(law).kirchhoff(f @ np.array([[0.8, -0.6], [0.6, 0.8]]))
    isotropic = np.abs(turned - ObjectiveLaw(law).kirchhoff(f)).max() < 1e-12
    assert isotropic == (law is not anisotropic), "a turn of the material matters only to a law with axes"


def test_small_deformations_have_one_stress():
    law = stress_of(LinearElastic(BULK, SHEAR))
    sizes, gaps = (1e-2, 1e-3), []
    for size in sizes:
        f = deformations(20, size)
        difference = ObjectiveLaw(law).kirchhoff(f) - InfinitesimalLaw(law).kirchhoff(f)
        gaps.append(np.abs(difference).max() / np.abs(InfinitesimalLaw(law).kirchhoff(f)).max())
    assert gaps[0] < 0.1
    assert gaps[1] < 0.15 * gaps[0]


def test_a_law_learned_from_a_cell_is_objective():
    """An EquiNO of an inclusion in a saturating matrix: small strains are those of the cell, turns do no harm."""
    phases = [Saturating(4.78e3, 50.0, 0.06), LinearElastic(4.345e4, 2.992e4)]
    cell = PeriodicRVE(circular_inclusions(9, [(0.5, 0.5, 0.3)]), phases)
    rng = np.random.default_rng(0)
    strains = 0.03 * rng.uniform(-1, 1, size=(16, 3))
    modes = [pod_modes(fields, 8)[0] for fields in snapshots(cell, strains, rtol=1e-6)]
    operator = EquiNO(cell.composite, *modes, strain_range=0.03, width=8, depth=1)
    operator.fit(strains, steps=60)

    def learned(e):
        return operator.predict(e).mean_stress

    e = 0.02 * rng.uniform(-1, 1, size=(4, 3))
    logarithms = np.array([[[a, c], [c, b]] for a, b, c in e])
    values, vectors = np.linalg.eigh(logarithms)
    stretches = (vectors * np.exp(values)[:, None]) @ vectors.swapaxes(1, 2)
    exact = np.array([cell.solve(x).mean_stress for x in e])
    found = ObjectiveLaw(learned).kirchhoff(stretches)
    found = np.stack([found[:, 0, 0], found[:, 1, 1], found[:, 0, 1]], axis=1)
    assert np.abs(found - exact).max() < 0.03 * np.abs(exact).max()
    assert objectivity_error(ObjectiveLaw(learned), stretches, ANGLES) < 1e-12
    assert objectivity_error(InfinitesimalLaw(learned), stretches, ANGLES) > 1


def test_laws_print_and_refuse():
    law = stress_of(LinearElastic(BULK, SHEAR))
    assert repr(ObjectiveLaw(anisotropic)) == "ObjectiveLaw(anisotropic of Hencky's strain)"
    for kind in (ObjectiveLaw(law), InfinitesimalLaw(law)):
        with pytest.raises(InvalidValueError, match=r"matrices\[1\] has a negative determinant"):
            kind.kirchhoff(np.stack([np.eye(2), np.diag([1.0, -1.0])]))
        with pytest.raises(InvalidValueError, match="not unique"):
            kind.kirchhoff(np.array([[1.0, 2.0], [2.0, 4.0]]))
        with pytest.raises(InvalidValueError, match="NaN"):
            kind.kirchhoff(np.full((2, 2), np.nan))
        with pytest.raises(ShapeError, match=r"\(\.\.\., 2, 2\)"):
            kind.kirchhoff(np.eye(3))
        with pytest.raises(InvalidValueError, match="all zero"):
            objectivity_error(kind, np.eye(2)[None], np.zeros(1))
    with pytest.raises(ShapeError, match="stresses"):
        ObjectiveLaw(lambda e: e[:, :2]).kirchhoff(np.eye(2))
    with pytest.raises(InvalidValueError, match="stresses that the law returned holds 3 values"):
        ObjectiveLaw(lambda e: e * np.nan).kirchhoff(np.eye(2))
