"""Chunks keep the bound of the whole, and a slab is read from its chunks alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.compression import CompressedField, CompressedGrid, compress, compress_grid
from sci.compression.chunks.grid import of_one
from sci.errors import InvalidValueError, SciError, ShapeError


def waves(*shape: int, noise: float = 0.01, dtype: Any = np.float32) -> np.ndarray:
    """Return a smooth field of unequal strength along axis 0, with a little noise."""
    axes = np.meshgrid(*[np.linspace(0.0, 4.0, n) for n in shape], indexing="ij")
    field = sum(np.sin((k + 1) * x) for k, x in enumerate(axes)) * np.exp(-axes[0])
    return (field + noise * np.random.default_rng(7).normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("bound", ["l2", "maximum"])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_whole_keeps_its_bound_and_errors_are_measured(bound: Any, relative: bool, dtype: Any) -> None:
    field = waves(24, 20, 16, dtype=dtype)
    grid = compress_grid(field, 1e-2, bound=bound, relative=relative, chunk=(7, 9))
    difference = grid.decompress().astype(np.float64) - field
    l2, most = np.linalg.norm(difference), np.abs(difference).max()
    scale = {"l2": np.linalg.norm(field.astype(np.float64)), "maximum": float(np.ptp(field))}[bound]
    assert {"l2": l2, "maximum": most}[bound] <= 1e-2 * (scale if relative else 1.0)
    assert grid.l2_error == pytest.approx(l2, rel=1e-6)
    assert grid.maximum_error == pytest.approx(most, rel=1e-6)
    assert grid.relative_l2_error == pytest.approx(l2 / np.linalg.norm(field.astype(np.float64)), rel=1e-6)
    assert grid.ratio == field.nbytes / sum(chunk.nbytes for chunk in grid.chunks)


def test_chunks_of_little_energy_give_their_part_of_the_error_to_others() -> None:
    """A bound by chunk, relative to its own norm, needs more bytes for the same error of the whole."""
    field = waves(64, 32, 32, noise=0.02) * np.geomspace(1, 1e-4, 64, dtype=np.float32)[:, None, None]
    shared = compress_grid(field, 1e-2, chunk=8)
    apart = sum(compress(field[k : k + 8], 1e-2).nbytes for k in range(0, 64, 8))
    assert shared.nbytes < 0.7 * apart


INDICES: list[Any] = [
    *(3, -1, slice(4, 11), slice(None), slice(None, None, -3), slice(20, 3, -2), slice(5, 5), Ellipsis),
    *((2, 3, 4), (slice(6, 8), Ellipsis, 2), (Ellipsis, slice(1, 9, 2)), (slice(None), 5), (-1, slice(None), slice(3))),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_parts_are_those_of_the_whole(index: Any) -> None:
    grid = compress_grid(waves(12, 10, 9), 1e-2, chunk=(5, 4))
    np.testing.assert_array_equal(grid[index], grid.decompress()[index])


def test_only_the_chunks_of_a_part_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = compress_grid(waves(12, 10, 9), 1e-2, chunk=3)
    seen: list[int] = []
    kept = CompressedField.decompress
    monkeypatch.setattr(CompressedField, "decompress", lambda self: seen.append(self.nbytes) or kept(self))
    assert grid[4:8].shape == (4, 10, 9)
    assert seen == [grid.chunks[1].nbytes, grid.chunks[2].nbytes]


@pytest.mark.parametrize(
    "index", [12, (0, 0, 0, 0), "x", (Ellipsis, Ellipsis), np.array([1, 2]), 1.5, (None,)], ids=repr
)
def test_other_indices_are_refused(index: Any) -> None:
    grid = compress_grid(waves(12, 10, 9), 1e-2, chunk=3)
    with pytest.raises(InvalidValueError, match="index"):
        grid[index]


def test_slabs_are_the_whole_in_order() -> None:
    grid = compress_grid(waves(11, 6, 5), 1e-2, chunk=(4, 2))
    np.testing.assert_array_equal(np.concatenate(list(grid.slabs())), grid.decompress())
    assert len(grid) == 11


@pytest.mark.parametrize("shape", [(5,), (3, 2), (2, 3, 2, 2, 3), (1, 1)])
def test_fields_smaller_than_a_chunk_and_of_any_number_of_axes(shape: tuple[int, ...]) -> None:
    field = waves(*shape)
    grid = compress_grid(field, 1e-3, bound="maximum", chunk=2, periodic=(len(shape) - 1,))
    assert grid.decompress().shape == shape
    assert np.abs(grid.decompress() - field).max() <= 1e-3 * np.ptp(field)


@pytest.mark.parametrize("bound", ["l2", "maximum"])
@pytest.mark.parametrize("scale", [1e-180, 1e160])
def test_very_small_and_large_numbers_keep_the_bound(bound: Any, scale: float) -> None:
    field = waves(8, 6, 6, dtype=np.float64) * scale
    field[6:] *= 1e-120
    found = compress_grid(field, 1e-2, bound=bound, chunk=2).decompress()
    assert np.linalg.norm((found - field) / scale) <= (1e-2 if bound == "l2" else 1.0) * np.linalg.norm(field / scale)
    assert np.abs(found - field).max() <= (1.0 if bound == "l2" else 1e-2) * np.ptp(field)


@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_fields_whose_tolerance_is_no_normal_number_are_exact(bound: Any) -> None:
    field = np.round(10 * waves(12, 8, dtype=np.float64)) * 5e-324
    for chunk in (None, 5):
        grid = compress_grid(field, 1e-3, bound=bound, chunk=chunk)
        np.testing.assert_array_equal(grid.decompress(), field)
        assert not any(one.relative for one in grid.chunks)


@pytest.mark.parametrize("scale", [1e-170, 1e160])
@pytest.mark.parametrize("tol", [1e-13, 0.5])
def test_absolute_bounds_far_from_the_norm_of_the_field(scale: float, tol: float) -> None:
    field = waves(12, 8, dtype=np.float64) * scale
    grid = compress_grid(field, tol, relative=False, chunk=5)
    missed = grid.decompress() - field
    assert np.abs(missed).max() * np.sqrt(missed.size) <= (tol if scale > 1 else np.inf)
    assert grid.relative_l2_error <= 1.0


@pytest.mark.parametrize("value", [0.0, 2.5])
@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_a_constant_is_exact_in_the_maximum_and_zero_always(value: float, bound: Any) -> None:
    grid = compress_grid(np.full((8, 8), value), 1e-3, bound=bound, chunk=3)
    assert np.abs(grid.decompress() - value).max() <= (0.0 if bound == "maximum" else 1e-3 * value)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_make_the_bytes_of_one_process(ranks: int) -> None:
    field = waves(15, 12, 8)
    one = compress_grid(field, 1e-3, chunk=4)
    for other in on_ranks(ranks, lambda comm: compress_grid(field, 1e-3, chunk=4, comm=comm)):
        assert [c.data.tobytes() for c in other.chunks] == [c.data.tobytes() for c in one.chunks]
        assert (other.l2_error, other.maximum_error) == (one.l2_error, one.maximum_error)
        np.testing.assert_array_equal(other[3:7], one[3:7])


def test_an_error_of_one_rank_is_one_of_all() -> None:
    field = waves(12, 4, 4)
    field[11] = np.nan  # the last chunk, of rank 2

    def attempt(comm: Any) -> str:
        with pytest.raises(SciError, match="NaN or Inf at"):
            compress_grid(field, 1e-3, chunk=4, comm=comm)
        return "raised"

    assert on_ranks(3, attempt) == ["raised"] * 3


def test_grids_that_do_not_fit_together_are_refused() -> None:
    grid = compress_grid(waves(12, 5), 1e-2, chunk=4)
    for changed in ({"edges": ((0, 4, 12),)}, {"edges": ((0, 4, 8, 11),)}, {"chunks": grid.chunks[:2]}):
        with pytest.raises(ShapeError, match="edges"):
            replace(grid, **changed)
    swapped = replace(compress_grid(waves(10, 5), 1e-2, chunk=4), chunks=grid.chunks)
    with pytest.raises(ShapeError, match="chunk 2 holds shape"):
        swapped.decompress()


def test_periodic_axes_are_checked() -> None:
    with pytest.raises(InvalidValueError, match="periodic is"):
        compress_grid(waves(8, 8), 1e-2, periodic=(2,))


def test_one_field_is_a_grid_of_one_chunk() -> None:
    field = compress(waves(6, 5), 1e-2)
    grid = of_one(field)
    assert isinstance(grid, CompressedGrid)
    assert grid.relative_l2_error == field.relative_l2_error
    assert "1 chunks" in repr(grid)
