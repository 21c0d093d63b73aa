"""Superposition of the frames of a trajectory by rotations, on a reference or on their own mean structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sci.arguments import Real, collective_entry
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum, broadcast
from sci.ensembles.sums import units_of_sums
from sci.errors import InvalidValueError, ShapeError
from sci.linalg import polar

__all__ = ["Superposition", "superpose"]

_BLOCK = 2**20
"""Coordinates that are rotated at once."""
_LARGEST = 1e70
"""Largest magnitude of a position, and the inverse of the smallest of a molecule's largest one."""
_GAP = 1e-10
"""Sum of the two smallest singular values over the largest, from which on a rotation is unique."""
_ODD = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
"""A rotation about an axis that molecules do not have."""


@dataclass(frozen=True, eq=False)
class Superposition:
    """Frames rotated and moved onto a structure.

    Parameters
    ----------
    aligned : (F, n, 3) array
        This rank's frames, in the dtype of the frames.
    rmsd : (F,) float64 array
        Root of the weighted mean square distance of the atoms to those of the reference.
    unique : (F,) bool array
        False where another rotation is as good: for atoms on one line, or a mirror image that is symmetric.
    reference : (n, 3) float64 array
        The structure that was given, or the mean of the aligned frames; the same on all ranks.
    iterations : int
        Means that were made; 0 for a structure that was given.
    converged : bool
        Whether the mean structure came to rest.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import Superposition
    >>> Superposition(np.zeros((5, 4, 3)), np.ones(5), np.ones(5, bool), np.zeros((4, 3)), 3, True)
    Superposition(5 frames of 4 atoms, RMSD 1 on average, mean structure after 3 iterations)
    """

    aligned: Array
    rmsd: Array
    unique: Array
    reference: Array
    iterations: int
    converged: bool

    def __repr__(self) -> str:
        frames, atoms, _ = self.aligned.shape
        mean = float(self.rmsd.mean()) if frames else 0.0
        how = f"mean structure after {self.iterations} iterations" if self.iterations else "given reference"
        return (
            f"Superposition({frames} frames of {atoms} atoms, RMSD {mean:.4g} on average, {how}"
            f"{'' if self.converged else ', not converged'})"
        )


@collective_entry
def superpose(
    frames: Array,
    reference: Real | None = None,
    weights: Real | None = None,
    *,
    tol: float = 1e-6,
    maxiter: int = 100,
    comm: Comm = None,
) -> Superposition:
    """Rotate and move frames onto a reference, or onto their mean, at least sum_a w_a |R x_a + t - y_a|^2 each.

    Parameters
    ----------
    frames : (F, n, 3) float32 or float64
        Positions of the same atoms in each frame, whole molecules: see `unwrap` for periodic cells.
    reference : (n, 3), optional
        Unless given, frames are superposed on the first one, then on the mean of what results, until it rests.
    weights : (n,), optional
        Weights of the atoms, from 0: masses, or 1 for those that are fitted and 0 for those that only ride along; equal
        unless given.
    tol : float
        Change of the mean structure at which it rests, relative to its radius of gyration.
    maxiter : int
        Rounds of superposition and mean at most.
    comm : mpi4py communicator, optional
        Each rank holds frames of its own.

    Returns
    -------
    Superposition

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank.

    Notes
    -----
    R is the proper rotation of the polar decomposition of sum_a w_a y_a x_a' (Kabsch), never a mirror image. Planar
    molecules have one. Where atoms lie on one line, every rotation about it is as good: the RMSD is right, atoms on the
    line are where they belong, and `unique` is False; a single atom is moved only. About 30 n + 1000 flops a frame and
    iteration, and memory for the aligned frames. The mean is a sum of integers, so that every rank count gives the same
    result bit for bit. Collective over `comm`.

    References
    ----------
    Kabsch, Acta Cryst. A 32, 922 (1976); Higham, Functions of Matrices, SIAM 2008, chapter 8.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.ensembles import superpose
    >>> water = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    >>> turned = water @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 5.0
    >>> found = superpose(np.stack([water, turned]))
    >>> bool(found.rmsd.max() < 1e-12), bool(abs(found.aligned[1] - found.aligned[0]).max() < 1e-12)
    (True, True)
    """
    with agreed(comm, "superpose") as agreement:
        dtype = np.float32 if getattr(frames, "dtype", None) == np.float32 else np.float64
        x = as_finite(frames, "frames", shape=(None, None, 3), dtype=dtype)
        n, xp = int(x.shape[1]), namespace(x)
        if n == 0:
            raise ShapeError(f"frames has shape {tuple(x.shape)}; expected at least one atom")
        w = xp.ones(n) if weights is None else as_finite(weights, "weights", shape=(n,), xp=xp)
        if float(w.min()) < 0 or float(w.sum()) <= 0:
            raise InvalidValueError("weights holds a negative number or zeros alone; expected weights from 0")
        target = None if reference is None else as_finite(reference, "reference", shape=(n, 3), xp=xp)
        namespace(x, w, target)
        for name, array in (("frames", x), ("reference", target)):
            _require_squares(array, name)
        if not 0 < tol < 1 or maxiter < 1:
            raise InvalidValueError(f"tol {tol} and maxiter {maxiter}; expected a tol from 0 to 1, and a step or more")
        agreement.same(ShapeError, atoms=n)
        agreement.same(tol=tol, maxiter=maxiter, given=target is not None, weights=to_host(w), dtype=str(x.dtype))
        agreement.same(reference=None if target is None else to_host(target))
        agreement.gather(len(x))
    counts = agreement.table[:, 0]
    if counts.sum() == 0:
        raise InvalidValueError("frames holds no frame on any rank; expected at least one")
    w = w / w.sum()
    iterations, converged = 0, True
    if target is None:
        first = broadcast(x[:1].astype(float) if len(x) else None, comm, int(np.flatnonzero(counts)[0]))
        target, iterations, converged = _mean_structure(x, first[0], w, int(counts.sum()), tol, maxiter, comm)
    aligned, rmsd, unique = xp.empty_like(x), xp.empty(len(x)), xp.empty(len(x), bool)
    for part, rotated, middle, well in _rotated(x, target, w):
        difference = rotated - (target - middle)
        rmsd[part] = xp.sqrt((w[:, None] * difference * difference).sum(axis=(1, 2)))
        aligned[part], unique[part] = rotated + middle, well
    return Superposition(aligned, rmsd, unique, target, iterations, converged)


def _require_squares(positions: Array | None, name: str) -> None:
    """Refuse positions whose products of four are no numbers."""
    largest = 0.0 if positions is None or not positions.size else float(abs(positions).max())
    if largest > _LARGEST or 0 < largest < 1 / _LARGEST:
        raise InvalidValueError(
            f"{name} holds numbers up to {largest:.3g}; expected {1 / _LARGEST:.0e} to {_LARGEST:.0e}: choose another "
            "unit"
        )


def _mean_structure(
    x: Array, target: Array, w: Array, total: int, tol: float, maxiter: int, comm: Comm
) -> tuple[Array, int, bool]:
    """Return the mean of the frames superposed on itself, the means that were made, and whether it came to rest."""
    xp = namespace(x)
    place = w @ target
    largest = max((float(abs(part).max()) for _, part, _ in _centered(x, w) if part.size), default=0.0)
    largest = float(allreduce_max(np.array([largest]), comm)[0])
    # A rotation may turn a diagonal of the box into an axis.
    unit = float(units_of_sums(np.array([2 * largest]), total, comm)[0])
    for iterations in range(1, maxiter + 1):
        sums = np.zeros(tuple(target.shape), np.int64)
        for _, rotated, _, _ in _rotated(x, target, w):
            sums += to_host(xp.rint(rotated / unit).astype(np.int64).sum(axis=0))
        mean = to_device(allreduce_sum(sums, comm) * (unit / total), xp)
        mean = mean - w @ mean
        change = float(xp.sqrt(w @ ((mean - (target - w @ target)) ** 2).sum(axis=1)))
        size = float(xp.sqrt(w @ (mean**2).sum(axis=1)))
        target = mean + place
        if change <= tol * size:
            return target, iterations, True
    return target, maxiter, False


def _centered(x: Array, w: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Yield parts of the frames with their atoms about their weighted mean in float64, and the means."""
    step = max(1, _BLOCK // (3 * x.shape[1]))
    for start in range(0, len(x), step):
        part = slice(start, min(start + step, len(x)))
        positions = x[part].astype(float)
        middle = (positions * w[:, None]).sum(axis=1, keepdims=True)
        yield part, positions - middle, middle


def _rotated(x: Array, target: Array, w: Array) -> Iterator[tuple[slice, Array, Array, Array]]:
    """Yield parts of the frames, rotated about the origin, the place of the target, and which rotations are unique."""
    middle = w @ target
    weighted = (target - middle) * w[:, None]
    for part, positions, _ in _centered(x, w):
        rotation, unique = _rotations(positions.transpose(0, 2, 1) @ weighted)
        yield part, positions @ rotation, middle, unique


def _rotations(covariance: Array) -> tuple[Array, Array]:
    """Return for each matrix C the rotation R with the largest trace of R' C, and whether it is the only one."""
    xp = namespace(covariance)
    unit = abs(covariance).max(axis=(1, 2), keepdims=True)
    scaled = covariance / xp.where(unit > 0, unit, 1)
    values = xp.linalg.svd(scaled, compute_uv=False)
    gap = values[:, 1] + xp.where(xp.linalg.det(scaled) < 0, -1, 1) * values[:, 2]
    unique = gap > _GAP * values[:, 0]
    rotation = xp.zeros_like(scaled) + xp.eye(3)
    if bool(unique.any()):
        rotation[unique] = polar(scaled[unique], proper=True)[0]
    other = ~unique & (values[:, 0] > 0)
    if bool(other.any()):
        # A small second term singles out one of the best rotations; about the result, the identity adds no error.
        some = scaled[other]
        turn = polar(some + 1e-6 * xp.asarray(_ODD), proper=True)[0]
        for _ in range(2):
            turn = turn @ polar(turn.transpose(0, 2, 1) @ some + 1e-6 * xp.eye(3), proper=True)[0]
        rotation[other] = turn
    return rotation, unique
