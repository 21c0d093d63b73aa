"""Crystals with known Madelung constants."""

from __future__ import annotations

import math

import numpy as np

from sci.potentials import Particles

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
CHARGES = [1.0] * 4 + [-1.0] * 4
NACL = Particles(2 * np.concatenate([FCC, (FCC + 0.5) % 1]), CHARGES, cell=2 * np.eye(3))
CSCL = Particles([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [1.0, -1.0], cell=np.eye(3))
ZNS = Particles(np.concatenate([FCC, FCC + 0.25]), CHARGES, cell=np.eye(3))
# Distance of the nearest neighbors, and the accepted constant for it.
MADELUNG = {
    "NaCl": (NACL, 1.0, 1.7475645946331821906),
    "CsCl": (CSCL, math.sqrt(3) / 2, 1.76267477307098839794),
    "ZnS": (ZNS, math.sqrt(3) / 4, 1.63805505338878942375),
}
MIXED = Particles([[0.3, 0.2, 0.1], [1.9, 1.4, 2.5], [0.7, 3.1, 1.2]], [1.5, -0.5, -1.0], cell=np.diag([3.0, 4.0, 3.5]))
