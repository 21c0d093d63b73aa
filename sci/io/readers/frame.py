"""Atoms at one moment, without charges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Frame"]


@dataclass(frozen=True, eq=False)
class Frame:
    """Positions of the atoms of one frame of a trajectory.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
    names : tuple of n str
        As the file has them: species in XYZ, names of atoms in PDB and in a topology.
    cell : (3, 3) float64, angstrom, optional
        The rows are the periods.
    charges : (n,) float64, e, optional
        Where a topology holds them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import Frame
    >>> Frame(np.zeros((2, 3)), ("C", "O"))
    Frame(2 atoms)
    """

    positions: np.ndarray
    names: tuple[str, ...]
    cell: np.ndarray | None = None
    charges: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Frame({len(self.names)} atoms{'' if self.cell is None else ', periodic'})"
