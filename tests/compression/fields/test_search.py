"""The smallest result is kept, and only methods that are far behind on a sample are left out."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields import search
from sci.compression.fields.bounds import measure
from sci.compression.fields.decode import decode_field
from sci.compression.fields.header import METHODS, Header
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
    monkeypatch.setattr(search, "_PART", 8)
    smooth = Task.of(smooth_field((32, 32, 32), 5.0), 1e-4, "l2", True, ())
    assert chosen_methods(smooth, METHODS) == ["tucker", "transform"]
    for bound, tol in (("l2", 1e-2), ("maximum", 1e-2)):
        spiky = Task.of(_spikes((32, 32, 32)), tol, bound, True, ())
        assert len(chosen_methods(spiky, METHODS)) == 1
        assert set(chosen_methods(spiky, METHODS)) <= {"wavelet", "interpolation"}
    assert chosen_methods(spiky, ("tucker",)) == ["tucker"]
    monkeypatch.setattr(search, "_FEW_BYTES", 10**9)
    assert chosen_methods(spiky, METHODS) == list(METHODS)


def test_long_axes_have_no_tucker_format(monkeypatch):
    monkeypatch.setattr(search, "_LONGEST_BASIS", 20)
    task = Task.of(smooth_field((30, 40)), 1e-2, "l2", True, ())
    assert chosen_methods(task, METHODS) == ["transform", "wavelet", "interpolation"]
    assert chosen_methods(task, ("tucker",)) == ["transform"]


@pytest.mark.parametrize("method", [*METHODS, "all"])
@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_errors_are_those_of_the_decoded_field(bound, method):
    """They are measured on what a decoder computes of the same integers, without a turn through the bytes."""
    for scale, dtype in ((1.0, np.float32), (1e-30, np.float32), (3e200, np.float64)):
        task = Task.of((scale * smooth_field((20, 18, 20), dtype=np.float64)).astype(dtype), 1e-3, bound, True, ())
        data, errors = (within_l2 if bound == "l2" else within_maximum)(task, METHODS if method == "all" else (method,))
        assert task.bound.holds(errors, Header.read(data)[0].method == "interpolation")
        decoded = np.ldexp(decode_field(data).astype(float), -task.exponent)
        missed = measure(task.scaled.astype(float), decoded)
        np.testing.assert_allclose([missed.l2, missed.maximum], [errors.l2, errors.maximum], rtol=1e-6)


def test_less_than_the_rounding_of_a_decoder_is_left_to_interpolation():
    """Its decoder computes in integers: nothing is kept back for other machines."""
    field = smooth_field((12, 14, 16), dtype=np.float64)
    small = compress(field, 2.0**-41, bound="maximum")
    assert small.method == "interpolation"
    assert np.abs(small.decompress() - field).max() <= 2.0**-41 * np.ptp(field)


def test_points_that_rounding_takes_beyond_the_bound_are_stored(monkeypatch):
    """A rest that is lost at some points stands for rounding."""
    task = Task.of(smooth_field((12, 12, 12)), 1e-2, "maximum", True, ())
    whole = search.take_rest

    def lossy(field: np.ndarray, found: np.ndarray, step: float) -> np.ndarray:
        before = found.copy()
        rest = whole(field, found, step)
        found.ravel()[:200], rest.ravel()[:200] = before.ravel()[:200], 0
        return rest

    monkeypatch.setattr(search, "take_rest", lossy)
    data, errors = within_maximum(task, ("wavelet",))
    assert task.bound.holds(errors)
    monkeypatch.undo()
    assert data.size > within_maximum(task, ("wavelet",))[0].size
