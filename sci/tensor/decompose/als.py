"""Tucker approximations improved by alternating least squares."""

from __future__ import annotations

from collections.abc import Sequence

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.tensor.decompose.hosvd import hosvd, leading_vectors, rhosvd
from sci.tensor.formats.cp import CP, accumulate, project
from sci.tensor.formats.modes import as_tensor, cheapest_order, mode_product, unfold
from sci.tensor.formats.tucker import Tucker

__all__ = ["hooi"]


@entry
def hooi(tensor: Array | CP, initial: Tucker | Sequence[int], *, n_sweeps: int = 3, tol: float = 1e-10) -> Tucker:
    """Improve a Tucker approximation of given ranks by alternating least squares (higher-order orthogonal iteration).

    For each axis in turn, V_l = leading left singular vectors of the unfolding of A x_{q != l} V_q^H.

    Parameters
    ----------
    tensor : array or CP
        A CP tensor is never formed in full: its unfoldings on the bases cost 2 n R r^2 flops.
    initial : Tucker or sequence of int
        A start, or Tucker ranks for which (reduced) HOSVD gives one.
    n_sweeps : int
        Most sweeps over the axes.
    tol : float
        Stop when a sweep raises the captured norm ||core|| by less than tol relative.

    Returns
    -------
    Tucker
        Orthonormal factors; the error is never above that of the start, up to rounding.

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    L. De Lathauwer, B. De Moor, J. Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000) 1324, Algorithm 4.2.
    """
    if n_sweeps < 0:
        raise InvalidValueError(f"n_sweeps is {n_sweeps}; expected at least 0")
    source = tensor if isinstance(tensor, CP) else as_tensor(tensor, "tensor")
    if not isinstance(initial, Tucker):
        found = rhosvd(source, None, initial) if isinstance(source, CP) else hosvd(source, None, initial)
        initial = found
    if initial.shape != tuple(source.shape):
        raise ShapeError(f"initial has shape {initial.shape}; expected {tuple(source.shape)}, that of the tensor")
    xp = namespace(initial.core)
    bases = list(initial.orthogonalized().factors)
    core = _projected(source, bases)
    captured = float(xp.linalg.norm(core.ravel()))
    for _ in range(n_sweeps):
        for axis, rank in enumerate(initial.tucker_ranks):
            partial = _projected(source, bases, skip=axis)
            bases[axis] = leading_vectors(unfold(partial, axis), 0.0, rank, "qr", None)
        core = mode_product(partial, xp.conj(bases[-1]).T, len(bases) - 1)
        before, captured = captured, float(xp.linalg.norm(core.ravel()))
        if captured - before <= tol * captured:
            break
    return Tucker(core, tuple(bases))


def _projected(source: Array | CP, bases: Sequence[Array], skip: int | None = None) -> Array:
    """Return the tensor projected on all bases but that of axis `skip`."""
    if isinstance(source, CP):
        if skip is None:
            return project(source, bases)
        xp = namespace(source.weights)
        factors = [f if q == skip else xp.conj(v).T @ f for q, (f, v) in enumerate(zip(source.factors, bases))]
        return accumulate(source.weights, factors)
    xp = namespace(source)
    shape = [n if q == skip else v.shape[1] for q, (n, v) in enumerate(zip(source.shape, bases))]
    for axis in cheapest_order(source.shape, shape):
        if axis != skip:
            source = mode_product(source, xp.conj(bases[axis]).T, axis)
    return source
