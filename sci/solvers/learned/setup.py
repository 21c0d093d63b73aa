"""The setup of the learned V-cycle for one operator: equations of the levels, and their networks in every cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.learned.kernels import run
from sci.solvers.learned.level import Level
from sci.solvers.learned.levels import wall_factor
from sci.solvers.learned.parameters import Parameters, flat_network, kind_of, weights
from sci.solvers.poisson.blocks import Grid
from sci.solvers.poisson.grid import Layout, rows_per_block
from sci.solvers.poisson.stencil import Stencil

__all__ = [
    "Equation",
    "coarser_equation",
    "finest_equation",
    "make_level",
    "neumann_rescale",
    "smooths_twice",
]

POROUS = 1.0
"""With more Dirichlet faces per unknown than this, Jacobi steps on the given grid nearly solve, and their number is
doubled. So it is beside Neumann bodies, whose narrow gaps coarse cells do not resolve.
"""


@dataclass(frozen=True)
class Equation:
    """The finite-volume equation of a level, which its network reads.

    Parameters
    ----------
    grid : Grid
    depth : int
        0 for the given grid.
    d : padded array
        Diagonal, or without offdiag the numbers of `pack_faces`. Its halo is read, as that of the next two.
    dirichlet, fraction : padded array
        Dirichlet term, and part of the cell that is fluid; of one entry without offdiag.
    offdiag : (3, *padded) array or None
        None if all of them between unknowns are 1. The layer after the grid is read.
    counts : padded int8 array or None
        The diagonal without offdiag.
    """

    grid: Grid
    depth: int
    d: Array
    dirichlet: Array
    fraction: Array
    offdiag: Array | None
    counts: Array | None

    @property
    def layout(self) -> Layout:
        """Layout of the arrays."""
        return self.grid.layout

    @property
    def variable(self) -> bool:
        """Whether the equation has offdiag."""
        return self.offdiag is not None

    def fill(self) -> Equation:
        """Bring the halos up to date; collective on ranks."""
        for array in (self.d, self.dirichlet, self.fraction, self.offdiag) if self.variable else (self.d,):
            self.grid.fill(array)
        return self


def finest_equation(
    grid: Grid, stencil: Stencil, unit: float, fluid: Array | None, dirichlet: Array | None
) -> Equation:
    """Return the equation of the given grid, in the unit in which its weights are near one.

    Parameters
    ----------
    grid : Grid
    stencil : Stencil
        Without offdiag, its counts of faces are read in the halo.
    unit : float
    fluid, dirichlet : padded arrays or None
        Unknowns and Dirichlet terms where the stencil has offdiag.
    """
    layout, xp = stencil.layout, stencil.xp
    if stencil.offdiag is None:
        none = xp.zeros((1, 1, 1), np.float32)
        faces, box = layout.zeros(xp, np.int32), layout.box_array(xp)
        chunk, blocks = rows_per_block(layout.whole(), faces)
        run("pack_faces", False, blocks, stencil.d, faces, box, *layout.padded_shape[1:], chunk)
        return Equation(grid, 0, faces, none, none, None, stencil.d)
    assert fluid is not None
    assert dirichlet is not None
    d, offdiag, walls = ((a * (1 / unit)).astype(np.float32) for a in (stencil.d, stencil.offdiag, dirichlet))
    return Equation(grid, 0, d, walls, fluid.astype(np.float32), offdiag, None)


def coarser_equation(e: Equation, grid: Grid) -> Equation:
    """Return the equation of cells twice as wide on `grid`; its halo is zero."""
    half, xp = grid.layout, namespace(e.d)
    halved = [n > 1 for n in e.layout.lengths]
    scale = 0.5 ** (sum(halved) - 1)
    stiffening = wall_factor(e.depth + 1) / wall_factor(e.depth)
    factors = xp.asarray([scale, scale * stiffening, 0.5 ** sum(halved)], dtype=np.float32)
    strides = xp.asarray([2 if h else 1 for h in halved], dtype=np.int64)
    d, dirichlet, fraction = (half.zeros(xp, np.float32) for _ in range(3))
    offdiag = xp.zeros((3, *half.padded_shape), np.float32)
    chunk, blocks = rows_per_block(half.whole(), e.d)
    ends = (half.box_array(xp), *e.layout.padded_shape, *half.padded_shape[1:], chunk)
    given = (e.d, e.dirichlet, e.fraction, xp.zeros((3, 1, 1, 1), np.float32) if e.offdiag is None else e.offdiag)
    run("coarsen", e.variable, blocks, *given, d, dirichlet, fraction, offdiag, factors, strides, *ends)
    return Equation(grid, e.depth + 1, d, dirichlet, fraction, offdiag, None)


def make_level(e: Equation, parameters: Parameters) -> Level:
    """Return the level of an equation: the network of its depth evaluated in every cell."""
    layout, xp, kind = e.layout, namespace(e.d), kind_of(e.depth)
    chunk, blocks = rows_per_block(layout.whole(), e.d)
    box = layout.box_array(xp)
    jacobi, transfer = layout.zeros(xp, np.uint16), layout.zeros(xp, np.int8)
    diagonal = layout.zeros(xp, np.float32) if e.counts is None else e.counts
    network = xp.asarray(flat_network(parameters, kind, layout.is_2d))
    given = (e.d, e.dirichlet, e.fraction, network, jacobi, transfer, diagonal if e.variable else e.fraction)
    ends = (box, *layout.padded_shape[1:], chunk)
    run("network_fields", e.variable, blocks, *given, *ends, 0.5 ** (e.depth + 1) if e.depth > 0 else 0.0)
    halved = [n > 1 for n in layout.lengths]
    far = float(parameters[f"level{kind}.tap"])
    interpolation = [[far, 1 - far, 1 - far, far] if h else [0.0, 1.0, 0.0, 0.0] for h in halved]
    return Level(
        e.grid,
        diagonal,
        e.offdiag,
        jacobi,
        transfer,
        tuple(weights(parameters, kind)),
        xp.asarray(interpolation, dtype=np.float32),
        xp.asarray([2 if h else 1 for h in halved], dtype=np.int64),
        2.0 ** (2 - sum(halved)) * exp(float(parameters[f"level{kind}.gain"])),
    )


def smooths_twice(dirichlet: float, lengths: tuple[int, ...], n_unknowns: int, neumann_bodies: bool) -> bool:
    """Return True if the number of Jacobi steps on the given grid is doubled.

    Parameters
    ----------
    dirichlet : float
        Sum of the Dirichlet terms of the second level, which gives the number of Dirichlet faces.
    lengths : tuple of int
        Of the given grid.
    n_unknowns : int
    neumann_bodies : bool
        Whether there are any.
    """
    halved = sum(n > 1 for n in lengths)
    return neumann_bodies or dirichlet * 2.0 ** (halved - 1) / (wall_factor(1) * n_unknowns) > POROUS


def neumann_rescale(level: Level, below: Layout, lost: Array) -> None:
    """Raise the transfer weights of cells that interpolate from coarse cells without flow, so that constants are kept.

    Parameters
    ----------
    level : Level
    below : Layout
        Of the next level.
    lost : padded array
        Part of an interpolation that each coarse cell loses, see `inactive_fraction`.
    """
    p1, p2 = level.layout.padded_shape[1:]
    c1, c2 = below.padded_shape[1:]
    t = level.zeros()
    blocks, ends = level.ends()
    transfer = (level.transfer, level.interpolation, level.strides)
    run("prolong_add", True, blocks, t, lost, *transfer, ends[0], p1, p2, c1, c2, ends[-1])
    run("neumann_rescale", True, blocks, t, level.transfer, *ends)
