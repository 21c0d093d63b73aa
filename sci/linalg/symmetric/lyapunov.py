"""Lyapunov's equation with symmetric coefficients, and its gradient."""

from __future__ import annotations

from sci.arguments import entry
from sci.backend import Array, ArrayLike, require_finite
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.kernel import compiled_lyapunov
from sci.linalg.symmetric.matrices import as_beside, as_square, as_symmetric, flat, symmetrized, transposed
from sci.linalg.symmetric.reference import eigen_reference, lyapunov_reference

__all__ = ["lyapunov", "lyapunov_vjp"]


@entry
def lyapunov(a: ArrayLike, b: ArrayLike) -> Array:
    """Solve A X + X A = B for a batch of symmetric A.

    Parameters
    ----------
    a : (..., n, n) float32 or float64, or SymmetricEigen
        Symmetric; no two eigenvalues may add up to zero, as for positive definite ones.
    b : (..., n, n)
        Right-hand sides of the same shape and dtype, of any symmetry.

    Returns
    -------
    (..., n, n) of the dtype
        X = U (U' B U / (x_i + x_j)) U' with A = U diag(x) U'; symmetric to rounding where B is.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        InvalidValueError names the first matrix with two eigenvalues (or one, twice) whose sum is below n eps of the
        largest sum.

    Notes
    -----
    L_P[V] of the Bures-Wasserstein metric is the solution with A = P and B = V.

    References
    ----------
    Higham, Functions of Matrices, SIAM 2008, section 3.2: the derivative of the square root solves this equation.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import lyapunov
    >>> lyapunov(np.diag([1.0, 3.0]), np.array([[2.0, 4.0], [8.0, 6.0]]))
    array([[1., 1.],
           [2., 1.]])
    """
    if isinstance(a, SymmetricEigen):
        return a.lyapunov(b)
    given = as_square(a, "a", unchecked=True)
    right = as_beside(b, "b", given, unchecked=True)
    if given.size == 0:
        return given.copy()
    found = compiled_lyapunov(flat(given), flat(right))
    if found is not None:
        return found.reshape(given.shape)
    require_finite(right, "b")
    return lyapunov_reference(*eigen_reference(as_symmetric(given, "a")), right)


@entry
def lyapunov_vjp(a: ArrayLike, b: ArrayLike, dx: ArrayLike) -> tuple[Array, Array]:
    """Return the gradients of a loss with respect to A and B, given that with respect to the X of A X + X A = B.

    Parameters
    ----------
    a : (..., n, n) float32 or float64, or SymmetricEigen
    b : (..., n, n)
        As for `lyapunov`.
    dx : (..., n, n)
        Gradient with respect to X.

    Returns
    -------
    da : (..., n, n)
        -(Y X' + X' Y), symmetrized: for symmetric changes of A.
    db : (..., n, n)
        Y, which solves A Y + Y A = dX.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        As `lyapunov`.

    Notes
    -----
    The adjoint of Lyapunov's operator is the operator itself, because A is symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg.symmetric.lyapunov import lyapunov_vjp
    >>> lyapunov_vjp(np.eye(1), np.ones((1, 1)), np.ones((1, 1)))
    (array([[-0.5]]), array([[0.5]]))
    """
    eigen = a if isinstance(a, SymmetricEigen) else symmetric_eigen(a)
    as_beside(dx, "dx", eigen.vectors)
    x, y = eigen.lyapunov(b), eigen.lyapunov(dx)
    turned = transposed(x)
    return -symmetrized(y @ turned + turned @ y), y
