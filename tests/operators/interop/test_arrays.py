"""Arrays of state dicts under our names: pairs as complex numbers, halves of complex layers, what is left."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.operators.interop.arrays import require_taken, scale_coordinates, spectral_weights, take_skip


def test_pairs_become_complex_numbers():
    pairs = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2)
    kind, modes, ranks, found = spectral_weights({"fno_blocks.convs.0.weight.tensor": pairs}, 0)
    assert (kind, modes, ranks) == ("dense", (3,), None)
    np.testing.assert_array_equal(found["weight"], np.moveaxis(pairs[..., 0] + 1j * pairs[..., 1], 2, 0))
    with pytest.raises(InvalidValueError, match="expected complex"):
        spectral_weights({"fno_blocks.convs.0.weight.tensor": pairs[..., 0]}, 0)
    with pytest.raises(InvalidValueError, match=r"weight\.tensor"):
        spectral_weights({}, 0)


def test_separable_weights_have_one_axis_of_channels():
    weight = np.ones((5, 4, 3), np.complex64)
    assert spectral_weights({"fno_blocks.convs.1.weight": weight}, 1, True)[3]["weight"].shape == (4, 3, 5)
    assert spectral_weights({"fno_blocks.convs.1.weight": weight}, 1)[3]["weight"].shape == (3, 5, 4)


def test_skips_and_what_is_left():
    left, out = {"a.conv.weight": np.ones((3, 2, 1)), "b.weight": np.ones((1, 2, 1, 1))}, {}
    assert [take_skip(left, prefix, prefix, out) for prefix in ("a.", "b.", "c.")] == ["linear", "soft-gating", None]
    assert (out["a."].shape, out["b."].shape) == ((3, 2), (2,))
    require_taken(left, "anything")
    with pytest.raises(InvalidValueError, match="not those of a UNO: d"):
        require_taken({"d": 1}, "a UNO")


def test_coordinates_from_a_to_b():
    parameters = {"lifting.0.weight": np.array([[1.0, 2.0]]), "lifting.0.bias": np.array([0.5])}
    scale_coordinates(parameters, ((-1.0, 2.0),))
    np.testing.assert_array_equal(parameters["lifting.0.weight"], [[1.0, 6.0]])
    np.testing.assert_array_equal(parameters["lifting.0.bias"], [-1.5])
