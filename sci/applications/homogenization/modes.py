"""Snapshots of a cell, and the modes of their fields by proper orthogonal decomposition."""

from __future__ import annotations

import numpy as np

from sci.applications.homogenization.laws import SHEAR
from sci.applications.homogenization.rve import PeriodicRVE
from sci.backend import Array, as_finite, namespace, to_device
from sci.errors import InvalidValueError

__all__ = ["pod_modes", "snapshots"]


def snapshots(rve: PeriodicRVE, strains: Array, *, rtol: float = 1e-8) -> tuple[Array, Array]:
    """Solve the cell for each macroscopic strain (s, 3); return the fluctuations of strain and the stresses.

    Parameters
    ----------
    rve : PeriodicRVE
        The cell.
    strains : (s, 3) array
        Macroscopic strains xx, yy, xy.
    rtol : float
        Relative residual at which a solve stops.

    Returns
    -------
    fluctuation, stress : array (s, 3, n, m)
        Strain less its mean, and stress.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
    """
    xp = namespace(rve.composite.phase)
    macro = as_finite(strains, "strains", shape=(None, 3), xp=xp)
    results = [rve.solve(e, rtol=rtol) for e in macro]
    strain = xp.stack([r.strain for r in results])
    return strain - macro[:, :, None, None], xp.stack([r.stress for r in results])


def pod_modes(fields: Array, n_modes: int) -> tuple[Array, Array]:
    """Return the leading modes of tensor fields by proper orthogonal decomposition.

    fields_s = sum_r coefficients_sr modes_r, the modes orthonormal in <a, b> = mean over the cell of a : b.

    Parameters
    ----------
    fields : array (s, 3, n, m)
        Snapshots; for strains the modes are those of the displacements in the norm of their strains.
    n_modes : int
        From 1 to s.

    Returns
    -------
    modes : array (n_modes, 3, n, m)
    singular_values : array (s,)
        Of the snapshots, in descending order: the squares add up to sum_s <fields_s, fields_s>.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> fields = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    >>> modes, values = pod_modes(fields, 2)
    >>> modes.shape, values.shape
    ((2, 3, 5, 5), (4,))
    """
    xp = namespace(fields)
    if not 1 <= n_modes <= len(fields):
        raise InvalidValueError(f"n_modes is {n_modes}; expected 1 to the number of snapshots, {len(fields)}")
    weight = to_device(np.sqrt(SHEAR / (fields.shape[-2] * fields.shape[-1])), xp)
    _, values, right = xp.linalg.svd((fields * weight).reshape(len(fields), -1), full_matrices=False)
    return right[:n_modes].reshape(n_modes, *fields.shape[1:]) / weight, values
