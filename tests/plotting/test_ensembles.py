"""The picture of points, clusters and chosen ones."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import SciError
from sci.plotting import plot_points

pytest.importorskip("matplotlib")
PLACES = np.random.default_rng(0).normal(size=(50, 2))


def test_it_draws_points_clusters_and_choices(tmp_path):
    plot_points(PLACES, tmp_path / "a.png")
    plot_points(PLACES, tmp_path / "b.png", labels=np.arange(50) % 30, chosen=np.array([3, 7]), title="chosen")
    pictures = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert all(p.startswith(b"\x89PNG") for p in pictures)
    assert pictures[0] != pictures[1]
    plot_points(PLACES, tmp_path / "a.png", chosen=np.array([1]), overwrite=True)
    assert (tmp_path / "a.png").read_bytes() != pictures[0]


@pytest.mark.parametrize(
    ("places", "more", "says"),
    [
        (PLACES[:0], {}, "of nothing"),
        (PLACES[:, :1], {}, r"places has shape \(50, 1\)"),
        (PLACES * np.nan, {}, "NaN or infinite"),
        (PLACES, {"labels": np.arange(3)}, "labels has shape"),
        (PLACES, {"chosen": np.array([50])}, "expected 0 to 49"),
    ],
)
def test_bad_input_is_named_and_leaves_no_picture(tmp_path, places, more, says):
    with pytest.raises(SciError, match=says):
        plot_points(places, tmp_path / "a.png", **more)
    assert not (tmp_path / "a.png").exists()
