"""The picture of fields of tensors."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import SciError
from sci.plotting import plot_tensors
from sci.plotting.tensors import _shadows

pytest.importorskip("matplotlib")
FIELD = np.broadcast_to(np.diag([2.0, 1.0, 1.0]), (5, 4, 3, 3))


def test_it_draws_fields_by_their_anisotropy_and_by_values(tmp_path):
    plot_tensors({"a": FIELD}, tmp_path / "a.png")
    plot_tensors(dict.fromkeys("abcde", FIELD), tmp_path / "b.png")
    values = {"a": np.arange(20.0).reshape(5, 4) / 10 - 1}
    plot_tensors({"a": FIELD}, tmp_path / "c.png", values=values, label="change", limits=(-1.0, 1.0))
    pictures = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png")]
    assert all(p.startswith(b"\x89PNG") for p in pictures)
    assert len(set(pictures)) == 3
    plot_tensors({"a": FIELD[..., :2, :2]}, tmp_path / "a.png", overwrite=True)


def test_ellipses_are_shadows_of_the_ellipsoids():
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    tensor = turn @ np.diag([9.0, 4.0, 100.0]) @ turn.T
    long, short, degrees = _shadows("a", np.broadcast_to(tensor, (2, 3, 3, 3)))
    np.testing.assert_allclose(long, 3, rtol=1e-12)
    np.testing.assert_allclose(short, 2, rtol=1e-12)
    np.testing.assert_allclose(degrees % 180, np.degrees(angle), rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "more", "says"),
    [
        ({}, {}, "no field"),
        ({"a": FIELD[0]}, {}, r"'a' has shape \(4, 3, 3\)"),
        ({"a": FIELD[:0]}, {}, r"'a' has shape \(0, 4, 3, 3\)"),
        ({"a": -FIELD}, {}, "the eigenvalue -2"),
        ({"a": 0 * FIELD}, {}, "all tensors are zero"),
        ({"a": FIELD * np.nan}, {}, "NaN or infinite"),
        ({"a": FIELD}, {"values": {"b": np.ones((5, 4))}}, "expected the same names"),
        ({"a": FIELD}, {"values": {"a": np.ones((4, 5))}}, r"values of 'a' has shape \(4, 5\)"),
        ({"a": FIELD}, {"limits": (1.0, 1.0)}, "the lower one first"),
    ],
)
def test_bad_input_is_named_and_leaves_no_picture(tmp_path, fields, more, says):
    with pytest.raises(SciError, match=says):
        plot_tensors(fields, tmp_path / "a.png", **more)
    assert not (tmp_path / "a.png").exists()
