"""Eigenvalues and eigenvectors of batches of symmetric matrices, and functions of the matrices with their gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace, require_finite
from sci.errors import ShapeError
from sci.linalg.symmetric.functions import FunctionName, chosen
from sci.linalg.symmetric.kernel import compiled_eigen, compiled_function, compiled_function_vjp, compiled_lyapunov
from sci.linalg.symmetric.matrices import as_beside, as_square, as_symmetric, flat
from sci.linalg.symmetric.reference import (
    eigen_reference,
    function_reference,
    function_vjp_reference,
    lyapunov_reference,
)

__all__ = ["SymmetricEigen", "symmetric_eigen", "symmetric_function", "symmetric_function_vjp"]


@entry
@dataclass(frozen=True, eq=False, repr=False)
class SymmetricEigen:
    """Eigenvalues and eigenvectors A = U diag(x) U' of a batch of symmetric matrices; `symmetric_eigen` makes them.

    One decomposition serves several functions and gradients of the same matrices.

    Parameters
    ----------
    values : (..., n)
        Eigenvalues x, ascending.
    vectors : (..., n, n)
        Eigenvectors U, one in each column.

    Notes
    -----
    The gradient of f(A) = U f(x) U' is that of Daleckii and Krein (1965; Higham, Functions of Matrices, 2008, theorem
    3.11): <G, df> = <dA, U (K * U' G U) U'> with the divided differences K_ij = (f(x_i) - f(x_j)) / (x_i - x_j), and
    K_ij = f'(x_i) where the eigenvalues are equal. The differences are evaluated in closed forms without cancellation:
    sqrt: 1 / (sqrt a + sqrt b); inverse: -1 / (a b); inverse_sqrt: -1 / (sqrt a sqrt b (sqrt a + sqrt b)); log:
    log1p(t) / (t b) with t = (a - b) / b; exp: e^a (1 - e^-(a - b)) / (a - b); power: a^(p-1) (1 - (b/a)^p) / (1 - b/a)
    by expm1 and log1p; rectify: 1, 0, or (a - c) / (a - b) across the threshold c. So the gradient is as accurate at
    and near repeated eigenvalues as anywhere, although single eigenvectors are not.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import symmetric_eigen
    >>> eigen = symmetric_eigen(np.array([[5.0, 4.0], [4.0, 5.0]]))
    >>> eigen, eigen.values
    (SymmetricEigen(1 matrix of order 2, float64), array([1., 9.]))
    >>> eigen.function("sqrt").round(12)
    array([[2., 1.],
           [1., 2.]])
    """

    values: Array
    vectors: Array

    def __post_init__(self) -> None:
        shape = tuple(self.values.shape)
        if not shape or tuple(self.vectors.shape) != (*shape, shape[-1]):
            raise ShapeError(
                f"values have shape {shape} and vectors {tuple(self.vectors.shape)}; expected (..., n) and (..., n, n)"
            )

    def __repr__(self) -> str:
        *batch, n = self.values.shape
        count = int(np.prod(batch))
        return f"SymmetricEigen({count} {'matrix' if count == 1 else 'matrices'} of order {n}, {self.values.dtype})"

    def function(self, name: FunctionName, exponent: float | None = None, threshold: float | None = None) -> Array:
        """Return U f(x) U'; see `symmetric_function`.

        Parameters
        ----------
        name : str
        exponent : float, optional
        threshold : float, optional

        Returns
        -------
        (..., n, n)
            Exactly symmetric.

        Raises
        ------
        InvalidValueError
            As `symmetric_function`.
        """
        f = chosen(name, exponent, threshold)
        if self.values.size == 0:
            return self.vectors.copy()
        found = compiled_function(flat(self.vectors), f, self._flat_values())
        return function_reference(self.values, self.vectors, f) if found is None else found.reshape(self.vectors.shape)

    def function_vjp(
        self, dvalue: ArrayLike, name: FunctionName, exponent: float | None = None, threshold: float | None = None
    ) -> Array:
        """Return the gradient with respect to A, given that with respect to f(A); see `symmetric_function_vjp`.

        Parameters
        ----------
        dvalue : (..., n, n)
        name : str
        exponent : float, optional
        threshold : float, optional

        Returns
        -------
        (..., n, n)
            Exactly symmetric.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
            As `symmetric_function_vjp`.
        """
        f = chosen(name, exponent, threshold)
        given = as_beside(dvalue, "dvalue", self.vectors, unchecked=True)
        if self.values.size == 0:
            return given.copy()
        found = compiled_function_vjp(flat(self.vectors), flat(given), f, self._flat_values())
        if found is not None:
            return found.reshape(given.shape)
        require_finite(given, "dvalue")
        return function_vjp_reference(self.values, self.vectors, given, f)

    def lyapunov(self, b: ArrayLike) -> Array:
        """Return the X of A X + X A = B; see `lyapunov`.

        Parameters
        ----------
        b : (..., n, n)
            Of any symmetry, which X shares.

        Returns
        -------
        (..., n, n)

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
            As `lyapunov`.
        """
        given = as_beside(b, "b", self.vectors, unchecked=True)
        if self.values.size == 0:
            return given.copy()
        found = compiled_lyapunov(flat(self.vectors), flat(given), self._flat_values())
        if found is not None:
            return found.reshape(given.shape)
        require_finite(given, "b")
        return lyapunov_reference(self.values, self.vectors, given)

    def _flat_values(self) -> Array:
        return namespace(self.values).ascontiguousarray(self.values).reshape(-1, self.values.shape[-1])


@entry
def symmetric_eigen(matrices: ArrayLike) -> SymmetricEigen:
    """Decompose a batch of symmetric matrices: A = U diag(x) U'.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
        Symmetric to rounding: 4096 units of the last place of the largest entry; the mean with the transpose is used.
        Other numbers become float64.

    Returns
    -------
    SymmetricEigen
        Eigenvalues, ascending, with errors of a few units of the last place of the largest.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError, for NaN, infinities and matrices that are not symmetric, names the matrix by its index.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import symmetric_eigen
    >>> symmetric_eigen(1e200 * np.array([[0.0, 1.0], [1.0, 0.0]])).values
    array([-1.e+200,  1.e+200])
    """
    given = as_square(matrices, "matrices", unchecked=True)
    if given.size == 0:
        return SymmetricEigen(given[..., 0], given)
    found = compiled_eigen(flat(given))
    if found is None:
        return SymmetricEigen(*eigen_reference(as_symmetric(given, "matrices")))
    return SymmetricEigen(found[0].reshape(given.shape[:-1]), found[1].reshape(given.shape))


@entry
def symmetric_function(
    matrices: ArrayLike, name: FunctionName, *, exponent: float | None = None, threshold: float | None = None
) -> Array:
    """Return f(A) = U f(x) U' of a batch of symmetric matrices A = U diag(x) U'.

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
        Symmetric, as for `symmetric_eigen`.
    name : "sqrt", "inverse_sqrt", "log", "exp", "inverse", "power" or "rectify"
        `sqrt` and a power with a positive exponent need positive semidefinite matrices (eigenvalues down to -4 n eps
        of the largest count as 0); `log`, `inverse_sqrt` and powers with a negative exponent need positive definite
        ones (eigenvalues above n eps of the largest), `inverse` nonsingular ones. `rectify` is max(x, threshold) of
        the eigenvalues: the activation ReEig of networks on positive definite matrices.
    exponent : float, optional
        Of `power`, and of nothing else.
    threshold : float, optional
        Of `rectify`, and of nothing else; in the unit of the matrices.

    Returns
    -------
    (..., n, n) of the dtype
        Exactly symmetric.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        InvalidValueError names the first matrix outside the domain, by index and smallest eigenvalue, and results
        that the dtype cannot hold.

    Notes
    -----
    Results do not depend on the unit of the matrices. Use `symmetric_eigen` for several functions of the same ones.

    References
    ----------
    Higham, Functions of Matrices, SIAM 2008, chapter 1. ReEig: Huang and Van Gool, AAAI 2017, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import symmetric_function
    >>> symmetric_function(np.diag([1.0, 4.0]), "power", exponent=-0.5)
    array([[1. , 0. ],
           [0. , 0.5]])
    """
    f = chosen(name, exponent, threshold)
    given = as_square(matrices, "matrices", unchecked=True)
    if given.size == 0:
        return given.copy()
    found = compiled_function(flat(given), f)
    if found is not None:
        return found.reshape(given.shape)
    return function_reference(*eigen_reference(as_symmetric(given, "matrices")), f)


@entry
def symmetric_function_vjp(
    matrices: ArrayLike,
    dvalue: ArrayLike,
    name: FunctionName,
    *,
    exponent: float | None = None,
    threshold: float | None = None,
) -> Array:
    """Return the gradient of a loss with respect to symmetric A, given that with respect to f(A).

    Parameters
    ----------
    matrices : (..., n, n) float32 or float64
    dvalue : (..., n, n)
        Gradient G with respect to f(A); only its symmetric part counts.
    name, exponent, threshold
        As for `symmetric_function`. The gradients of `sqrt` and of `power` need positive definite matrices. That of
        `rectify` at an eigenvalue equal to the threshold is 0.

    Returns
    -------
    (..., n, n) of the dtype
        D, exactly symmetric: the change of the loss is <D, E> to first order for a symmetric change E of A.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        As `symmetric_function`.

    Notes
    -----
    The formula of Daleckii and Krein with divided differences in closed form, right at and near repeated eigenvalues:
    see `SymmetricEigen`.

    References
    ----------
    Daleckii and Krein, AMS Translations 47, 1965. Higham, Functions of Matrices, SIAM 2008, theorem 3.11.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg.symmetric.eigen import symmetric_function_vjp
    >>> symmetric_function_vjp(4 * np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]), "sqrt")  # eigenvalues are equal
    array([[0.  , 0.25],
           [0.25, 0.  ]])
    """
    f = chosen(name, exponent, threshold)
    given = as_square(matrices, "matrices", unchecked=True)
    gradient = as_beside(dvalue, "dvalue", given, unchecked=True)
    if given.size == 0:
        return given.copy()
    found = compiled_function_vjp(flat(given), flat(gradient), f)
    if found is not None:
        return found.reshape(given.shape)
    require_finite(gradient, "dvalue")
    return function_vjp_reference(*eigen_reference(as_symmetric(given, "matrices")), gradient, f)
