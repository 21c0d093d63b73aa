"""One axis of a finite lattice: weights of its sites, and sums of Gaussians over them without cancellation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from sci.backend import Array, namespace

__all__ = ["WEIGHTS", "AxisLattice"]

WEIGHTS = ("plain", "evjen", "smooth")
"""How the sites of a finite lattice count: all alike, shared by the faces, or fading out toward the faces."""

FADE = 6.3
"""Half of the fading layer in widths of its error function: at both ends 5e-19 of the step is left."""
BLOCK_ENTRIES = 2**21


@dataclass(frozen=True, eq=False)
class AxisLattice:
    """The sites offsets[o] + i * period, i = 0..n-1, with the weights weights[o, i], along one axis.

    Parameters
    ----------
    period : float, angstrom
    offsets : (n_offsets,) float64, angstrom
        Distinct coordinates of the sublattices.
    weights : (n_offsets, n) float64
    which : (n_particles,) int
        The offset of each particle of the cell.
    """

    period: float
    offsets: np.ndarray
    weights: np.ndarray
    which: np.ndarray

    def __repr__(self) -> str:
        return f"AxisLattice(period={self.period:.6g}, {len(self.offsets)} offsets, {self.count} sites)"

    @classmethod
    def of(cls, coordinates: np.ndarray, period: float, repeats: int, weights: str) -> AxisLattice:
        """Repeat `coordinates` (n_particles,) `repeats` times.

        Plain: weights 1. Evjen: sites on the face of the crystal count half, and stand on both faces. Smooth: with c
        the middle and b half the length of the crystal, erfc((|x - c| - b/2) / s) / 2, s = b / (2 FADE).
        """
        offsets, which = np.unique(coordinates, return_inverse=True)
        table = np.ones((len(offsets), repeats + (weights == "evjen")))
        if weights == "evjen":
            face = np.abs(offsets) < 1e-9 * period
            table[:, -1] = 0.5 * face
            table[face, 0] = 0.5
        if weights == "smooth":
            half = 0.5 * repeats * period
            x = offsets[:, None] + period * np.arange(repeats)
            # The cell's own middle is where its particles are on average.
            center = half + float(np.mean(coordinates)) - 0.5 * period
            table = 0.5 * erfc((np.abs(x - center) - half / 2) * (2 * FADE / half))
        return cls(period, offsets, table, which.reshape(-1))

    @property
    def count(self) -> int:
        """Number n of sites of one offset."""
        return int(self.weights.shape[1])

    def sums(self, x: Array, exponents: np.ndarray) -> tuple[Array, Array]:
        r"""Return the sums of Gaussians over the sites of offset 0, and how those of the others differ from them.

        M(x) = \sum_i w_ref,i g(x - i p) and D_o(x) = \sum_i w_o,i g(x - i p - offset_o) - M(x), g(d) = exp(-t^2 d^2).

        Parameters
        ----------
        x : (m,) float64
        exponents : (K,) float64
            The t, 1/angstrom.

        Returns
        -------
        reference : (m, K)
        differences : (n_offsets, m, K)

        Notes
        -----
        A sum over n sites is of size n, its difference from the next sublattice's of size 1: subtracting would cost
        the digits that decide in a neutral crystal. Each term of D is formed as g(d) expm1(t^2 (2 d offset -
        offset^2)). m n K (1 + n_offsets) exponentials.
        """
        xp = namespace(x)
        reference = xp.empty((len(x), len(exponents)))
        differences = xp.empty((len(self.offsets), len(x), len(exponents)))
        sites, table = xp.asarray(self.period * np.arange(self.count)), xp.asarray(self.weights)
        step = max(1, BLOCK_ENTRIES // self.count)
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            d = x[rows, None] - sites
            for k, t in enumerate(exponents.tolist()):
                g = xp.exp(-((t * d) ** 2))
                reference[rows, k] = g @ table[0]
                for o, offset in enumerate(self.offsets.tolist()):
                    power = t * t * (2.0 * d - offset) * offset
                    near = xp.abs(power) < 1.0
                    other = xp.exp(-((t * (d - offset)) ** 2)) - g
                    change = xp.where(near, g * xp.expm1(xp.where(near, power, 0.0)), other)
                    differences[o, rows, k] = change @ table[o] + g @ (table[o] - table[0])
        return reference, differences

    def indices(self, particle: int, low: float, high: float) -> range:
        """Return the indices of the sites of `particle` in [low, high]."""
        offset = float(self.offsets[self.which[particle]])
        first = max(0, int(np.ceil((low - offset) / self.period)))
        return range(first, max(first, min(self.count, int(np.floor((high - offset) / self.period)) + 1)))
