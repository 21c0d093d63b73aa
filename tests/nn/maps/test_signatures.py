"""Signatures: orthogonal to what clean training did, added, scaled and taken off without a trace."""

from __future__ import annotations

import numpy as np
import pytest
from map_gradients import drawn

from sci.errors import InvalidValueError, SciError
from sci.nn import WeightChange, WeightDelta, fingerprint, patched, weight_signature

RNG = np.random.default_rng(6)
DTYPES = {"w": "f4", "v": "f8", "s": "c8", "still": "f8"}


START = {name: drawn(dtype) for name, dtype in DTYPES.items()}
CLEAN = {name: (w if name == "still" else w + drawn(DTYPES[name])).astype(DTYPES[name]) for name, w in START.items()}
ROBUST = [{name: (w + drawn(DTYPES[name])).astype(DTYPES[name]) for name, w in START.items()} for _ in range(2)]


def test_a_signature_is_orthogonal_to_the_clean_training() -> None:
    found = weight_signature(START, CLEAN, ROBUST[0])
    for name, change in found.changes.items():
        direction = change.arrays["direction"]
        d_s = CLEAN[name].astype(direction.dtype) - START[name]
        d_c = ROBUST[0][name].astype(direction.dtype) - START[name]
        size = np.linalg.norm(direction) * np.linalg.norm(d_s)
        assert abs(np.vdot(d_s, direction).real) <= 1e-10 * size, name
        rest = d_c - direction  # is along d_s
        length = 0.0 if name == "still" else np.vdot(d_s, d_c).real / np.linalg.norm(d_s) ** 2
        np.testing.assert_allclose(rest, length * d_s, atol=1e-12)


def test_nearly_parallel_trainings_leave_an_orthogonal_rest() -> None:
    start, step = np.zeros(1000), RNG.normal(size=1000)
    robust = 3 * step + 1e-9 * RNG.normal(size=1000)
    direction = weight_signature({"w": start}, {"w": step}, {"w": robust}).changes["w"].arrays["direction"]
    assert 0 < np.linalg.norm(direction) < 1e-7
    assert abs(direction @ step) <= 1e-10 * np.linalg.norm(direction) * np.linalg.norm(step)


def test_adding_scaling_and_removing() -> None:
    one, two = (weight_signature(START, CLEAN, robust) for robust in ROBUST)
    both = patched(CLEAN, [(one, 0.5), (two, -2.0)])
    for name, w in CLEAN.items():
        shift = 0.5 * one.changes[name].arrays["direction"] - 2.0 * two.changes[name].arrays["direction"]
        assert both[name].dtype == w.dtype
        np.testing.assert_array_equal(both[name], (w + shift).astype(w.dtype))
    for name, w in patched(CLEAN, []).items():
        assert w.tobytes() == CLEAN[name].tobytes()
        assert w is not CLEAN[name]
    alone, off = patched(CLEAN, [(one, 0.5)]), patched(CLEAN, [(one, 0.5), (two, 0.0)])
    for name in CLEAN:
        assert alone[name].tobytes() == off[name].tobytes()
    np.testing.assert_array_equal(one.applied(CLEAN)["v"], patched(CLEAN, [(one, 1.0)])["v"])


def test_only_the_chosen_parameters() -> None:
    found = weight_signature(START, CLEAN, ROBUST[0], names=["v"])
    assert list(found.changes) == ["v"]
    assert patched(CLEAN, [(found, 1.0)])["w"].tobytes() == CLEAN["w"].tobytes()


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_refusals(factor: float) -> None:
    signature = weight_signature(START, CLEAN, ROBUST[0])
    with pytest.raises(InvalidValueError, match="belongs to a model"):
        patched(ROBUST[0], [(signature, 1.0)])
    with pytest.raises(SciError, match=r"nan|inf"):
        patched(CLEAN, [(signature, factor)])
    free = WeightDelta(fingerprint(CLEAN), {"v": WeightChange("free", {"value": CLEAN["v"]})})
    with pytest.raises(InvalidValueError, match="is no signature"):
        patched(CLEAN, [(free, 1.0)])
    with pytest.raises(InvalidValueError, match="clean has no z"):
        weight_signature({**START, "z": START["v"]}, CLEAN, ROBUST[0], names=["z"])
    with pytest.raises(InvalidValueError, match="v is"):
        weight_signature(START, {**CLEAN, "v": CLEAN["v"][:3]}, ROBUST[0])
