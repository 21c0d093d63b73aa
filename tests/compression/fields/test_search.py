"""The smallest result is kept, and only methods that are far behind on a sample are left out."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields import search
from sci.compression.fields.header import METHODS
from sci.compression.fields.search import chosen_methods, within_l2, within_maximum
from sci.compression.fields.task import Task


def _spikes(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(1)
    field = np.zeros(shape, np.float32)
    field.ravel()[rng.choice(field.size, field.size // 400, replace=False)] = rng.normal(size=field.size // 400)
    return field


@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_the_smallest_result_is_kept(bound):
    x = np.linspace(-1.0, 1.0, 24)
    low_rank = 1.0 / (2.1 + np.add.outer(np.add.outer(x, x), x))
    waves = np.cos(3 * np.pi * (x[:, None, None] + x[:, None])) * np.cos(5 * np.pi * x)
    for field in (low_rank, waves, _spikes((24, 24, 24))):
        sizes = {m: compress(field, 1e-3, bound=bound, methods=[m]).nbytes for m in METHODS}
        found = compress(field, 1e-3, bound=bound)
        assert found.nbytes <= 1.02 * min(sizes.values())


def test_a_sample_leaves_out_what_is_far_behind(monkeypatch):
    monkeypatch.setattr(search, "_SAMPLED_SIZE", 1000)
    monkeypatch.setattr(search, "_FEW_BYTES", 0)
    monkeypatch.setattr(search, "_SAMPLE", 16)
    smooth = Task.of(smooth_field((32, 32, 32), 5.0), 1e-4, "l2", True, ())
    assert chosen_methods(smooth, METHODS) == ["tucker", "transform"]
    spiky = Task.of(_spikes((32, 32, 32)), 1e-2, "l2", True, ())
    assert chosen_methods(spiky, METHODS) == ["wavelet"]
    assert chosen_methods(spiky, ("tucker",)) == ["tucker"]
    monkeypatch.setattr(search, "_FEW_BYTES", 10**9)
    assert chosen_methods(spiky, METHODS) == ["tucker", "transform", "wavelet"]


def test_long_axes_have_no_tucker_format(monkeypatch):
    monkeypatch.setattr(search, "_LONGEST_BASIS", 20)
    task = Task.of(smooth_field((30, 40)), 1e-2, "l2", True, ())
    assert chosen_methods(task, METHODS) == ["transform", "wavelet"]
    assert chosen_methods(task, ("tucker",)) == ["transform"]


def test_results_are_within_their_bounds():
    for kind, call in (("l2", within_l2), ("maximum", within_maximum)):
        task = Task.of(smooth_field((20, 20, 20)), 1e-3, kind, True, ())
        data, errors = call(task, METHODS)
        assert task.bound.holds(errors)
        assert task.measured(data)[1] == errors


def test_points_that_rounding_takes_beyond_the_bound_are_stored(monkeypatch):
    """A rest that is lost at some points stands for rounding."""
    task = Task.of(smooth_field((12, 12, 12)), 1e-2, "maximum", True, ())
    whole = search.pack_integers

    def lossy(q: np.ndarray) -> bytes:
        return whole(np.where(np.arange(q.size).reshape(q.shape) < 200, 0, q) if q.shape == (12, 12, 12) else q)

    monkeypatch.setattr(search, "pack_integers", lossy)
    data, errors = within_maximum(task, ("wavelet",))
    assert task.bound.holds(errors)
    monkeypatch.undo()
    assert data.size > within_maximum(task, ("wavelet",))[0].size
