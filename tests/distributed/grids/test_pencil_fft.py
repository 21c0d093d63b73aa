"""The pencil FFT in one process, and its plan for many ranks; tests/mpi runs it on several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.distributed import PencilFFT, slab
from sci.distributed.grids.pencil_fft import _stages
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize("shape", [(8, 6), (7, 5), (1, 9), (4, 6, 8), (5, 3, 7), (2, 1, 13)])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("kind", ["slab", "pencil"])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_serial_transform_is_numpys(shape: tuple[int, ...], real: bool, kind: str, norm: str) -> None:
    rng = np.random.default_rng(1)
    grid = rng.standard_normal((3, *shape)) + (0 if real else 1j * rng.standard_normal((3, *shape)))
    axes = tuple(range(1, len(shape) + 1))
    fft = PencilFFT(shape, real=real, kind=kind, norm=norm)
    spectrum = fft.forward(grid)
    want = (np.fft.rfftn if real else np.fft.fftn)(grid, axes=axes, norm=norm)
    assert np.linalg.norm(spectrum - want) <= 1e-14 * np.linalg.norm(want)
    assert spectrum.shape[1:] == fft.target.local_shape == fft.spectrum_shape
    back = fft.inverse(spectrum)
    assert np.isrealobj(back) == real
    assert np.linalg.norm(back - grid) <= 1e-14 * np.linalg.norm(grid)


def test_plane_wave_has_one_mode() -> None:
    """An exact answer that does not come from another transform."""
    x, y, z = np.meshgrid(np.arange(4), np.arange(3), np.arange(5), indexing="ij")
    wave = np.exp(2j * np.pi * (x / 4 + 2 * y / 3 + 3 * z / 5))
    spectrum = PencilFFT((4, 3, 5)).forward(wave)
    want = np.zeros((4, 3, 5))
    want[1, 2, 3] = 60
    assert np.abs(spectrum - want).max() < 1e-13


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=3), st.integers(1, 8), st.sampled_from(["slab", "pencil", None])
)
def test_stages_transform_each_axis_once_while_it_is_whole(grid: list[int], n_ranks: int, kind: str | None) -> None:
    stages = _stages(grid, n_ranks, kind)
    assert sorted(a for _, axes in stages for a in axes) == list(range(len(grid)))
    assert stages[0][1][-1] == len(grid) - 1
    for procs, axes in stages:
        assert np.prod(procs) == n_ranks
        assert all(procs[a] == 1 for a in axes)


def test_default_kind_uses_all_ranks() -> None:
    assert len(_stages((8, 8, 8), 8, None)) == 2
    assert len(_stages((8, 8, 8), 9, None)) == 3


def test_single_precision_is_numpys() -> None:
    grid = np.ones((4, 4), dtype=np.float32)
    assert PencilFFT((4, 4), real=True).forward(grid).dtype == np.fft.rfft2(grid).dtype


def test_bad_input_is_named() -> None:
    with pytest.raises(DecompositionError, match="two or three axes"):
        PencilFFT((4,))
    with pytest.raises(InvalidValueError, match="'slab' or 'pencil'"):
        PencilFFT((4, 4), kind="block")
    with pytest.raises(InvalidValueError, match="norm is 'none'"):
        PencilFFT((4, 4), norm="none")
    with pytest.raises(DecompositionError, match="target spreads a grid"):
        PencilFFT((4, 4), real=True, target=slab((4, 4)))
    fft = PencilFFT((4, 4), real=True)
    with pytest.raises(DTypeError, match="real numbers"):
        fft.forward(np.zeros((4, 4), dtype=complex))
    with pytest.raises(ShapeError, match=r"expected \(..., 4, 3\)"):
        fft.inverse(np.zeros((4, 4)))
