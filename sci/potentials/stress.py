"""Stress of a periodic cell of charges: the derivative of its energy by strain."""

from __future__ import annotations

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.potentials.periodic import PeriodicPotential

__all__ = ["periodic_stress"]


@entry
def periodic_stress(phi: PeriodicPotential) -> np.ndarray:
    r"""Return the stress of the cell of a periodic potential, positive where stretching costs energy.

    sigma_ab = (1 / V) dE / d eps_ab at fixed fractional coordinates, E the energy of one cell. With f(r) =
    erfc(alpha r) / r within the cutoff and e_k the energy of the mode k,

    V sigma = 1/2 sum_{i, j, n} q_i q_j f'(r) r_a r_b / r + sum_k e_k [2 k_a k_b (1 / k^2 + 1 / (4 alpha^2)) - delta_ab]
    - delta_ab E_background.

    With a screened kernel k^2 stands for k^2 + kappa^2. Pairs that are left out or scaled do not count.

    Parameters
    ----------
    phi : PeriodicPotential

    Returns
    -------
    (3, 3) float64, e^2/angstrom^4
        On the host; multiply by `sci.units.COULOMB` for eV/angstrom^3.

    Raises
    ------
    DTypeError
        For anything but a `PeriodicPotential`.
    InvalidValueError
        For a slab.

    Notes
    -----
    Not collective. The pairs are summed in float64, each once.

    References
    ----------
    Nosé and Klein, Mol. Phys. 50 (1983) 1055, eq. A4; with the sign of the stress and a net charge.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, PeriodicPotential, periodic_stress
    >>> cscl = Particles([[0.0, 0.0, 0.0], [1.5, 1.5, 1.5]], [1.0, -1.0], cell=3.0 * np.eye(3))
    >>> phi = PeriodicPotential(cscl, 1e-10)
    >>> bool(np.isclose(np.trace(periodic_stress(phi)), -phi.energy() / phi.volume))
    True
    """
    if phi.slab:
        raise InvalidValueError("a slab has no volume to refer its stress to; use phi.virial() over its area")
    stress: np.ndarray = -phi.virial() / phi.volume
    return stress
