"""Snapshots and their modes: orthonormal, complete, in equilibrium."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sci.applications import (
    LinearElastic,
    PeriodicRVE,
    circular_inclusions,
    frobenius,
    pod_modes,
    snapshots,
)
from sci.errors import SciError


def test_modes_reproduce_their_snapshots() -> None:
    fields = np.random.default_rng(2).normal(size=(6, 3, 5, 7))
    modes, values = pod_modes(fields, 6)
    gram = frobenius(modes[:, None], modes[None]).mean(axis=(-2, -1))
    np.testing.assert_allclose(gram, np.eye(6), atol=1e-12)
    inner = frobenius(fields[:, None], modes[None]).mean(axis=(-2, -1))
    np.testing.assert_allclose(np.tensordot(inner, modes, 1), fields, atol=1e-12)
    assert np.sum(values**2) == pytest.approx(frobenius(fields, fields).mean(axis=(-2, -1)).sum())


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pod_modes(np.zeros((2, 3, 5, 5)), 3), "n_modes is 3"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()


def test_snapshots_are_the_fields_of_the_solver() -> None:
    rve = PeriodicRVE(circular_inclusions(9, [(0.5, 0.5, 0.3)]), [LinearElastic(2.0, 1.0), LinearElastic(11.0, 7.0)])
    strains = np.array([[0.01, 0.0, 0.0], [0.0, -0.02, 0.01]])
    fluctuation, stress = snapshots(rve, strains)
    for strain, fields, found in zip(strains, fluctuation, stress):
        result = rve.solve(strain)
        np.testing.assert_array_equal(found, result.stress)
        np.testing.assert_allclose(fields + strain[:, None, None], result.strain, rtol=0, atol=1e-15)
        np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-16)
