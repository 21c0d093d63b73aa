"""Sums over entries: against dense tensors, transposes for the gradients, broadcasting, types, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from spherical_cases import both

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical.coupling import coupled_entries, coupling_paths
from sci.spherical.sums import coupled_sum, features, path_sums, require_coupled

RNG = np.random.default_rng(6)


def dense(degrees, kind):
    """The tensors of all paths: (paths, a, b, c)."""
    found = coupled_entries(*degrees, kind)
    paths = coupling_paths(*degrees, "odd" if kind == "odd" else "even")
    tensor = np.zeros((len(paths), *((d + 1) ** 2 for d in degrees)))
    tensor[found.paths, found.places[:, 0], found.places[:, 1], found.places[:, 2]] = found.values
    return tensor


@pytest.mark.parametrize("kind", ["gaunt", "even", "odd"])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (2, 1, 3), (3, 3, 2), (0, 2, 2)])
def test_a_dense_tensor(degrees, kind):
    tensor = dense(degrees, kind)
    x, y, z = (RNG.normal(size=(3, (d + 1) ** 2, 19)) for d in degrees)
    w = RNG.normal(size=(len(tensor), 19))
    for of, a, b, subscripts in (("z", x, y, "pn,pabc,man,mbn->mcn"), ("x", z, y, "pn,pabc,mcn,mbn->man")):
        expected = np.einsum(subscripts, w, tensor, a, b)
        for found in both(lambda a=a, b=b, of=of: coupled_sum(a, b, degrees, kind, of, w)):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    expected = np.einsum("pn,pabc,man,mcn->mbn", w, tensor, x, z)
    np.testing.assert_allclose(coupled_sum(x, z, degrees, kind, "y", w), expected, rtol=0, atol=1e-12)
    expected = np.einsum("pabc,man,mbn,mcn->mpn", tensor, x, y, z)
    np.testing.assert_allclose(path_sums(x, y, z, degrees, kind, len(tensor)), expected, rtol=0, atol=1e-12)


def test_features_are_broadcast_along_leading_axes_and_channels():
    (a, b), lead, channels = features(("x", RNG.normal(size=(2, 1, 4, 1))), ("y", RNG.normal(size=(5, 9, 3))))
    assert (a.shape, b.shape, lead, channels) == ((10, 4, 3), (10, 9, 3), (2, 5), 3)
    (a, b), lead, channels = features(("x", np.ones((4, 2))), ("y", np.ones((4, 2))))
    assert (a.shape, lead, channels) == ((1, 4, 2), (), 2)
    (a,), lead, channels = features(("x", np.ones((0, 4, 2), "f4")))
    assert (a.shape, a.dtype, lead) == ((0, 4, 2), np.float32, (0,))


def test_refusals():
    x = np.ones((3, 4, 2))
    bad = x.copy()
    bad[1, 2, 0] = np.inf
    for call, error, text in (
        (lambda: features(("x", x[:, :3])), ShapeError, r"x has shape \(3, 3, 2\); expected .* 1, 4, 9, 16"),
        (lambda: features(("x", x), ("y", np.ones((4, 4, 2)))), ShapeError, "equal, or 1, along each axis"),
        (lambda: features(("x", x), ("y", np.ones((3, 4, 5)))), ShapeError, "equal, or 1, along each axis"),
        (lambda: features(("x", x), ("y", x.astype("f4"))), DTypeError, "float32 and float64; expected one"),
        (lambda: features(("y", bad)), InvalidValueError, r"y holds 1 values .* index \(1, 2, 0\)"),
        (lambda: features(("x", np.ones((34**2, 1)))), InvalidValueError, "degree is 33; expected 0 to 32"),
        (lambda: require_coupled(2, -1), InvalidValueError, "degree is -1"),
    ):
        with pytest.raises(error, match=text):
            call()
