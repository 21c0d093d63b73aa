"""Free energies by thermodynamic integration over the inverse temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Device
from sci.distributed import Comm, agreed
from sci.errors import InvalidValueError
from sci.generative.spins.chains import Method, sample_spins
from sci.generative.spins.lattice import LatticeModel, require_beta

__all__ = ["LogZ", "thermodynamic_integration"]

_NODES = (0.991455371120812639206854697526, 0.949107912342758524526189684048, 0.864864423359769072789712788641,
          0.741531185599394439863864773281, 0.586087235467691130294144691693, 0.405845151377397166906606412077,
          0.207784955007898467600689403773)  # fmt: skip
_KRONROD = (0.022935322010529224963732008059, 0.063092092629978553290700663189, 0.104790010322250183839876322542,
            0.140653259715525918745189590510, 0.169004726639267902826583426599, 0.190350578064785409913256402421,
            0.204432940075298892414161999235, 0.209482141084727828012999174892)  # fmt: skip
_GAUSS = (0.129484966168869693270611432679, 0.279705391489276667901467771424, 0.381830050505118944950369775489,
          0.417959183673469387755102040816)  # fmt: skip


@dataclass(frozen=True)
class LogZ:
    """The log of a partition function, and its standard error.

    Parameters
    ----------
    value, error : float

    Examples
    --------
    >>> from sci.generative import LogZ
    >>> LogZ(78.6881, 0.002)
    LogZ(78.6881 +- 0.002)
    """

    value: float
    error: float

    def __repr__(self) -> str:
        return f"LogZ({self.value:.7g} +- {self.error:.2g})"


def _rule() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes of the Kronrod rule of 15 points on (0, 1), its weights, and those of the Gauss rule in it."""
    x = np.array([*_NODES, 0.0])
    nodes = np.concatenate([-x, x[-2::-1]])
    kronrod = np.array([*_KRONROD, *_KRONROD[-2::-1]])
    gauss = np.zeros(15)
    gauss[1::2] = [*_GAUSS, *_GAUSS[-2::-1]]
    return 0.5 * (1 + nodes), 0.5 * kronrod, 0.5 * gauss


@collective_entry
def thermodynamic_integration(
    model: LatticeModel,
    *,
    beta: float = 1.0,
    replicas: int = 8,
    sweeps: int = 1000,
    warm_up: int = 100,
    method: Method = "heat_bath",
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> LogZ:
    """Return log Z = sites log(states) - the integral of the mean energy over inverse temperatures from 0 to beta.

    Parameters
    ----------
    model : IsingModel or PottsModel
    beta : float
        Above 0.
    replicas : int
        Chains at each of the 15 nodes of the Gauss-Kronrod rule.
    sweeps, warm_up, method, seed, device, comm
        As in `sample_spins`.

    Returns
    -------
    LogZ
        The error is that of the means, and the difference to the Gauss rule of 7 of the nodes beside it, which bounds
        the error of the rule where the mean energy is smooth: away from a phase transition.

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Collective.

    Examples
    --------
    >>> from sci.generative import IsingModel, thermodynamic_integration, transfer_matrix
    >>> model = IsingModel((6, 6), 0.2, 0.2)
    >>> found = thermodynamic_integration(model, replicas=16, sweeps=200)
    >>> abs(found.value - transfer_matrix(model).log_z) < 4 * found.error < 0.2
    True
    """
    with agreed(comm, "thermodynamic_integration"):
        require_beta(beta, model)
        if not beta:
            raise InvalidValueError(f"beta is {beta}; expected a positive end of the integral")
    nodes, kronrod, gauss = _rule()
    chains = sample_spins(
        model,
        (beta * nodes).tolist(),
        replicas=replicas,
        sweeps=sweeps,
        warm_up=warm_up,
        method=method,
        seed=seed,
        device=device,
        comm=comm,
    )
    means = [chains.energy(float(b)) for b in beta * nodes]
    values = np.array([m.value for m in means])
    noise = math.sqrt(float(np.sum((beta * kronrod * [m.error for m in means]) ** 2)))
    rule = beta * float((kronrod - gauss) @ values)
    of_gauss = math.sqrt(float(np.sum((beta * (kronrod - gauss) * [m.error for m in means]) ** 2)))
    beyond = max(0.0, abs(rule) - 2 * of_gauss)  # what the noise of the means does not explain
    value = model.n_sites * math.log(model.n_states) - beta * float(kronrod @ values)
    return LogZ(value, math.hypot(noise, beyond))
