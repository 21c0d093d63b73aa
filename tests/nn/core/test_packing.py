"""Named arrays come back from one vector as they were."""

from __future__ import annotations

import numpy as np

from sci.nn.core.packing import kinds_of, packed, real_view, unpacked

RNG = np.random.default_rng(0)


def test_arrays_of_every_precision_come_back() -> None:
    arrays = {
        "a": RNG.normal(size=(2, 3)).astype("f4"),
        "z": RNG.normal(size=(4, 2)).view(complex)[:, 0].astype("c8"),
        "none": np.empty((0, 2)),
        "number": np.array(1.5),
    }
    vector = packed(arrays)
    assert vector.dtype == np.float64
    assert vector.shape == (6 + 8 + 1,)
    again = unpacked(vector, kinds_of(arrays))
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_one_precision_is_not_copied_on_the_way_back() -> None:
    arrays = {"a": RNG.normal(size=(3, 2)).T, "z": RNG.normal(size=2) + 1j}
    vector = packed(arrays)
    again = unpacked(vector, kinds_of(arrays))
    assert all(np.shares_memory(array, vector) for array in again.values())
    np.testing.assert_array_equal(again["a"], arrays["a"])
    assert np.shares_memory(real_view(arrays["z"]), arrays["z"])
