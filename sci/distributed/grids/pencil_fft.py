"""Fast Fourier transforms of a distributed grid: whole axes are transformed locally, between redistributions.

A slab takes one redistribution and runs on as many ranks as the first axis has cells; a pencil takes two (in three
dimensions) and runs on as many as the product of two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from sci.backend import Array, namespace
from sci.distributed.agreement import Agreement
from sci.distributed.communicators import Comm, channel_of
from sci.distributed.grids.decompositions import GridDecomposition, decompose
from sci.distributed.grids.process_grids import best_proc_shape
from sci.distributed.grids.redistribute import check_local, redistribute
from sci.errors import DecompositionError, InvalidValueError

__all__ = ["PencilFFT"]

Norm = Literal["backward", "ortho", "forward"]

_KINDS = ("slab", "pencil")
_NORMS = ("backward", "ortho", "forward")


class PencilFFT:
    r"""Discrete Fourier transform of a grid in two or three dimensions that is spread over ranks.

    .. math:: F_k = \sum_x f_x \exp(-2 \pi i \sum_a k_a x_a / n_a)

    as `numpy.fft.fftn`, or with `real=True` as `numpy.fft.rfftn`: the last axis then has n // 2 + 1 frequencies.

    Parameters
    ----------
    grid_shape : sequence of int
        Two or three axes of any length, odd ones and primes included.
    comm : mpi4py communicator, optional
    real : bool
        Transform real grids to half spectra.
    kind : {"slab", "pencil"}
        How the grid is cut; pencils by default where the ranks outnumber the slabs of a grid in three dimensions.
    norm : {"backward", "ortho", "forward"}
        Which direction is scaled, as in `numpy.fft`.
    source, target : GridDecomposition, optional
        How the grid and its spectrum are spread, instead of what `kind` gives; each costs one more
        redistribution where it differs from them. Without halo.

    Attributes
    ----------
    source : GridDecomposition
        Of the grid: what `forward` takes and `inverse` returns. The last axis is whole.
    target : GridDecomposition
        Of the spectrum: what `forward` returns and `inverse` takes. The first axis is whole.

    Raises
    ------
    DecompositionError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective. Each redistribution sends at most the whole local array once. Relative error as that of the local
    transform, about 1e-16 log2(n) in float64. Leading axes of the arrays, in front of the grid's, are a batch.

    References
    ----------
    L. Dalcin, M. Mortensen, D. E. Keyes, "Fast parallel multidimensional FFT using advanced MPI", J. Parallel Distrib.
    Comput. 128 (2019) 137-150; we pack pieces where they use derived types.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import PencilFFT
    >>> fft = PencilFFT((4, 3), real=True)
    >>> u = np.arange(12.0).reshape(fft.source.local_shape)
    >>> bool(np.allclose(fft.inverse(fft.forward(u)), u))
    True
    """

    def __init__(
        self,
        grid_shape: Sequence[int],
        comm: Comm = None,
        *,
        real: bool = False,
        kind: Literal["slab", "pencil"] | None = None,
        norm: Norm = "backward",
        source: GridDecomposition | None = None,
        target: GridDecomposition | None = None,
    ) -> None:
        self.comm, self.real, self.norm = comm, bool(real), norm
        channel = channel_of(comm)
        n_ranks = 1 if channel is None else channel.size
        with Agreement(channel, "PencilFFT") as agreement:
            stages = _stages(grid_shape, n_ranks, kind)
            agreement.same(real=self.real, norm=_one_of("norm", norm, _NORMS), kind=kind, stages=len(stages))
        self.grid_shape = tuple(grid_shape)
        self.spectrum_shape = (*self.grid_shape[:-1], self.grid_shape[-1] // 2 + 1) if real else self.grid_shape
        self._axes = [axes for _, axes in stages]
        self._grid = decompose(grid_shape, stages[0][0], comm)
        self._spectra = [decompose(self.spectrum_shape, procs, comm) for procs, _ in stages]
        self.source, self.target = source or self._grid, target or self._spectra[-1]
        with Agreement(channel, "PencilFFT"):
            _require_fit(self.source, self._grid, "source")
            _require_fit(self.target, self._spectra[-1], "target")

    def __repr__(self) -> str:
        ranks = f", {self.comm.Get_size()} ranks" if self.comm is not None else ""
        return f"PencilFFT({self.grid_shape}, real={self.real}, norm={self.norm!r}{ranks})"

    def forward(self, array: Array, *, checked: bool = False) -> Array:
        """Return this rank's part of the spectrum, spread as `target`.

        Parameters
        ----------
        array : (..., *source.local_shape) array
            Real if the transform is; float32 and float64 keep their precision.
        checked : bool
            True promises that the input fits on every rank, and saves the small collective that makes sure of it.

        Returns
        -------
        (..., *target.local_shape) complex array

        Raises
        ------
        ShapeError, DTypeError
            On every rank, unless `checked`.
        """
        if not checked:
            check_local(array, self.source, self._grid, "biuf" if self.real else "biufc")
        if self.source != self._grid:
            array = redistribute(array, self.source, self._grid, checked=True)
        array = self._local(array, 0, "rfftn" if self.real else "fftn", None)
        for k in range(1, len(self._axes)):
            array = redistribute(array, self._spectra[k - 1], self._spectra[k], checked=True)
            array = self._local(array, k, "fftn", None)
        if self.target != self._spectra[-1]:
            array = redistribute(array, self._spectra[-1], self.target, checked=True)
        return array

    def inverse(self, array: Array, *, checked: bool = False) -> Array:
        """Return this rank's part of the grid, spread as `source`, of a spectrum spread as `target`.

        Parameters
        ----------
        array : (..., *target.local_shape) array
        checked : bool
            As in `forward`.

        Returns
        -------
        (..., *source.local_shape) array
            Real if the transform is; the imaginary parts that a real grid's spectrum cannot have are ignored, as by
            `numpy.fft.irfftn`.

        Raises
        ------
        ShapeError, DTypeError
            On every rank, unless `checked`.
        """
        if not checked:
            check_local(array, self.target, self._spectra[-1], "biufc")
        if self.target != self._spectra[-1]:
            array = redistribute(array, self.target, self._spectra[-1], checked=True)
        for k in range(len(self._axes) - 1, 0, -1):
            array = self._local(array, k, "ifftn", None)
            array = redistribute(array, self._spectra[k], self._spectra[k - 1], checked=True)
        lengths = [self.grid_shape[a] for a in self._axes[0]]
        array = self._local(array, 0, "irfftn" if self.real else "ifftn", lengths)
        return array if self.source == self._grid else redistribute(array, self._grid, self.source, checked=True)

    def _local(self, array: Array, stage: int, name: str, lengths: Sequence[int] | None) -> Array:
        """Transform the axes of one stage, which this rank holds whole."""
        xp = namespace(array)
        ndim = len(self.grid_shape)
        if array.size == 0:  # more ranks than pencils: nothing to do, but the dtype must be the others'
            box = self._grid if name == "irfftn" else self._spectra[stage]
            dtype = getattr(xp.fft, name)(xp.ones((2,) * array.ndim, array.dtype)).dtype
            return xp.empty((*array.shape[: array.ndim - ndim], *box.local_shape), dtype)
        axes = [a - ndim for a in self._axes[stage]]
        return getattr(xp.fft, name)(array, s=lengths, axes=axes, norm=self.norm)


_Stage: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
"""Boxes along each axis, and the axes that are whole then and are transformed."""


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, choices))}")
    return str(value)


def _stages(grid_shape: Sequence[int], n_ranks: int, kind: str | None) -> list[_Stage]:
    """Return the stages of the forward transform, first to last axis whole."""
    grid = tuple(grid_shape)
    if len(grid) not in (2, 3):
        raise DecompositionError(f"grid_shape is {grid}; expected two or three axes")
    if kind is None:
        kind = "slab" if n_ranks <= min(grid[:2]) else "pencil"
    if _one_of("kind", kind, _KINDS) == "slab" or len(grid) == 2:
        rest = (1,) * (len(grid) - 2)
        return [((n_ranks, 1, *rest), tuple(range(1, len(grid)))), ((1, n_ranks, *rest), (0,))]
    p, q, _ = best_proc_shape(grid, n_ranks, (0, 0, 0), whole=2)
    return [((p, q, 1), (2,)), ((p, 1, q), (1,)), ((1, p, q), (0,))]


def _require_fit(given: GridDecomposition, own: GridDecomposition, name: str) -> None:
    if given.grid_shape != own.grid_shape or given.comm != own.comm:
        raise DecompositionError(
            f"{name} spreads a grid {given.grid_shape}; expected {own.grid_shape}, over the transform's communicator"
        )
