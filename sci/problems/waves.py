"""Waves on periodic grids by the leap-frog scheme, on one process or on boxes of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, require_finite, to_host
from sci.distributed import Comm, GridDecomposition, HaloExchange, agreed, allreduce_max, allreduce_sum, block, split
from sci.errors import InvalidValueError, ShapeError
from sci.nn.ops.checks import require_single_or_double
from sci.problems.random_fields import periodic_random_field, sample_generator

__all__ = ["leapfrog_waves", "wave_energy", "wave_fields"]


def _box(field: Array, decomposition: GridDecomposition | None, name: str) -> GridDecomposition:
    """Return the decomposition with a halo of one cell, that of one process unless given."""
    d = decomposition if decomposition is not None else block(field.shape)
    if tuple(field.shape) != d.local_shape:
        raise ShapeError(f"{name} has shape {tuple(field.shape)}; expected {d.local_shape}, this rank's cells")
    return d


class _Padded:
    """A field with a halo of one cell, filled from the neighbors."""

    def __init__(self, field: Array, d: GridDecomposition) -> None:
        self._inner = tuple(slice(1, 1 + n) for n in d.local_shape)
        self._exchange = _exchange(d)
        self._array = namespace(field).zeros(tuple(n + 2 for n in d.local_shape), field.dtype)

    def laplacian(self, field: Array) -> Array:
        """Return the sum over the axes of u[+1] - 2 u + u[-1]."""
        around = self.filled(field)
        total = (-2 * field.ndim) * field
        for axis in range(field.ndim):
            for shift in (0, 2):
                total += around[self._moved(axis, shift)]
        return total

    def filled(self, field: Array) -> Array:
        """Return the field in its halo."""
        self._array[self._inner] = field
        self._exchange.start(self._array, checked=True)
        return self._exchange.finish()

    def forward(self, field: Array, axis: int) -> Array:
        """Return u[+1] - u along an axis."""
        return self.filled(field)[self._moved(axis, 2)] - field

    def _moved(self, axis: int, shift: int) -> tuple[slice, ...]:
        return tuple(slice(shift, shift + s.stop - s.start) if k == axis else s for k, s in enumerate(self._inner))


def _exchange(d: GridDecomposition) -> HaloExchange:
    """Return the exchange of one layer of cells on a decomposition, whatever its own halo."""
    halo = (1,) * d.ndim
    return HaloExchange(
        GridDecomposition(d.comm, d.proc_shape, d.grid_shape, d.local_shape, d.local_start, halo, d.coordinates), True
    )


def _checked(
    name: str, before: Array, now: Array, courant: Any, d: GridDecomposition | None
) -> tuple[Array, Array, Array, GridDecomposition]:
    """Return two fields and the squared Courant number, and the decomposition; agreed over its ranks."""
    with agreed(None if d is None else d.comm, name) as agreement:
        for field, what in ((before, "before"), (now, "now")):
            require_single_or_double(field, what)
            require_finite(field, what)
        box = _box(now, d, "now")
        xp = namespace(before, now)
        if before.shape != now.shape or before.dtype != now.dtype or not 1 <= now.ndim <= 3:
            raise ShapeError(
                f"before has shape {tuple(before.shape)} and {before.dtype}, now {tuple(now.shape)} and {now.dtype}; "
                "expected the same, of one to three axes"
            )
        speed = as_finite(courant, "courant", xp=xp).astype(now.dtype) if np.ndim(courant) else now.dtype.type(courant)
        if np.ndim(courant) and speed.shape != now.shape:
            raise ShapeError(f"courant has shape {tuple(speed.shape)}; expected a number or {tuple(now.shape)}")
        number = None if np.ndim(courant) else float(courant)
        agreement.same(grid=box.grid_shape, dtype=str(now.dtype), courant=number)
    largest = allreduce_max(np.array([float(to_host(speed).max()), -float(to_host(speed).min())]), box.comm)
    if not (largest[1] < 0 and largest[0] * now.ndim <= 1):
        raise InvalidValueError(
            f"{name}: courant=(c dt / h)^2 between {-largest[1]:g} and {largest[0]:g}; expected above 0 and at most "
            f"1 / {now.ndim}: beyond that waves grow without end; take smaller time steps"
        )
    return before, now, speed, box


@collective_entry
def leapfrog_waves(
    before: Array,
    now: Array,
    n_steps: int,
    *,
    courant: Any = 0.25,
    every: int = 1,
    decomposition: GridDecomposition | None = None,
) -> Array:
    """Follow u_tt = c^2 Laplace u on a periodic grid: u_{n+1} = 2 u_n - u_{n-1} + courant (sum of neighbors - 2 d u_n).

    Parameters
    ----------
    before, now : (*local_grid) float32 or float64 arrays
        The fields at the last two instants, of one to three axes.
    n_steps : int
        Steps after `now`.
    courant : number or (*local_grid) array
        The squared Courant number (c dt / h)^2 of each cell, at most 1 / d.
    every : int
        Keep each `every`-th step.
    decomposition : GridDecomposition, optional
        Of the grid over the ranks, for fields that are this rank's boxes.

    Returns
    -------
    (n_steps // every, *local_grid) array

    Raises
    ------
    InvalidValueError
        Also for a Courant number at which waves would grow without end.
    ShapeError, DTypeError

    Notes
    -----
    Collective: one halo exchange a step. The cells of a step are the same numbers on any number of ranks. A plane wave
    cos(k . x - omega t) is followed exactly, with sin^2(omega dt / 2) = courant sum of sin^2(k_l h / 2).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.problems import leapfrog_waves
    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> omega = 2 * np.arcsin(np.sqrt(0.25) * np.sin(np.pi / 16))
    >>> later = leapfrog_waves(np.cos(x), np.cos(x - omega), 100, courant=0.25, every=100)
    >>> bool(abs(later[0] - np.cos(x - 101 * omega)).max() < 1e-11)
    True
    """
    before, now, speed, box = _checked("leapfrog_waves", before, now, courant, decomposition)
    with agreed(box.comm, "leapfrog_waves") as agreement:
        if n_steps < 0 or every < 1:
            raise InvalidValueError(f"n_steps={n_steps}, every={every}; expected at least 0 and 1")
        agreement.same(n_steps=n_steps, every=every)
    kept = namespace(now).empty((n_steps // every, *now.shape), now.dtype)
    padded = _Padded(now, box)
    for step in range(1, n_steps + 1):
        later = padded.laplacian(now)
        later *= speed
        later += now
        later += now - before
        before, now = now, later
        if step % every == 0:
            kept[step // every - 1] = now
    return kept


@collective_entry
def wave_energy(
    before: Array, now: Array, *, courant: Any = 0.25, decomposition: GridDecomposition | None = None
) -> float:
    """Return the energy that the leap-frog scheme keeps: half the sum of (u - v)^2 / courant and D u . D v.

    Parameters
    ----------
    before, now : (*local_grid) arrays
        The fields v and u of two instants, one step apart; D are the differences between neighbors along each axis.
    courant, decomposition
        As in `leapfrog_waves`.

    Returns
    -------
    float
        Of the whole grid, the same after every step up to rounding.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    Collective.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.problems import leapfrog_waves, wave_energy
    >>> u = np.random.default_rng(0).normal(size=(2, 8, 8))
    >>> later = leapfrog_waves(*u, 50)
    >>> bool(abs(wave_energy(*later[-2:]) / wave_energy(*u) - 1) < 1e-12)
    True
    """
    before, now, speed, box = _checked("wave_energy", before, now, courant, decomposition)
    padded = _Padded(now, box)
    change = now - before
    total = (change * change / speed).sum()
    for axis in range(now.ndim):
        total = total + (padded.forward(now, axis) * padded.forward(before, axis)).sum()
    return float(allreduce_sum(np.array([float(total) / 2]), box.comm)[0])


@collective_entry
def wave_fields(
    n_samples: int,
    grid: int,
    *,
    n_steps: int = 28,
    courant: float = 0.25,
    alpha: float = 2.5,
    tau: float = 7.0,
    seed: int = 0,
    comm: Comm = None,
) -> np.ndarray:
    """Draw smooth fields at rest on a periodic square, and follow the waves that they make.

    Parameters
    ----------
    n_samples : int
        Of the whole set.
    grid : int
        Cells along each of two axes, at least 4.
    n_steps : int
    courant : float
        (c dt / h)^2, at most 1/2.
    alpha, tau : float
        See `periodic_random_field`.
    seed : int
        Sample i follows from the seed and i alone.
    comm : mpi4py communicator, optional
        Shares the samples between the ranks.

    Returns
    -------
    (n_local, n_steps + 2, grid, grid) float64 array
        The first two instants and those after them; the samples of this rank, in order of the ranks.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Collective: one small message. The second instant is of second order: u_1 = u_0 + courant / 2 (neighbors - 4 u_0).

    Examples
    --------
    >>> from sci.problems import wave_fields
    >>> wave_fields(2, 16, n_steps=4).shape
    (2, 6, 16, 16)
    """
    with agreed(comm, "wave_fields") as agreement:
        if n_samples < 0 or grid < 4 or n_steps < 0 or not 0 < courant <= 0.5:
            raise InvalidValueError(
                f"n_samples={n_samples}, grid={grid}, n_steps={n_steps}, courant={courant}; expected at least 0, 4 and "
                "0, and a Courant number above 0, at most 1/2"
            )
        agreement.same(
            n_samples=n_samples, grid=grid, n_steps=n_steps, courant=courant, alpha=alpha, tau=tau, seed=seed
        )
    mine = range(n_samples)[split(n_samples, comm)]
    out = np.empty((len(mine), n_steps + 2, grid, grid))
    for row, index in enumerate(mine):
        first = periodic_random_field(grid, sample_generator(seed, index), alpha=alpha, tau=tau)
        second = first + courant / 2 * _Padded(first, block(first.shape)).laplacian(first)
        out[row, :2] = first, second
        out[row, 2:] = leapfrog_waves(first, second, n_steps, courant=courant)
    return out
