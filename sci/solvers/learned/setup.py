"""What the learned V-cycle works out once for a mask: equations of levels, and what the networks say of their cells."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from sci.backend import Array, namespace
from sci.solvers.learned.kernels import run
from sci.solvers.learned.levels import wall_factor
from sci.solvers.learned.parameters import Parameters, flat_network, kind_of, weights
from sci.solvers.learned.reference import dense_inverse
from sci.solvers.learned.stages import Grid
from sci.solvers.poisson.grid import Layout, rows_per_block
from sci.solvers.poisson.stencil import Stencil

__all__ = [
    "Equation",
    "coarser_equation",
    "finest_equation",
    "inverse_of",
    "lift_shares",
    "make_grid",
    "smooths_twice",
]

POROUS = 1.0
"""With more Dirichlet faces an unknown than this, the steps on the given grid nearly solve, and are done twice. So they
are beside Neumann bodies, whose narrow gaps coarse cells do not resolve.
"""


@dataclass(frozen=True)
class Equation:
    """A level before its network has looked at it.

    Parameters
    ----------
    layout : Layout
    depth : int
        0 for the given grid.
    variable : bool
        Whether it has links.
    d : padded array
        Diagonal, or the numbers of `pack_faces` unless `variable`; read one layer around the grid, as the next two are.
    fixed, fraction : padded array
        Dirichlet term, and part of the cell that is fluid; of one entry unless `variable`.
    links : (3, *padded) array
        Of one entry each unless `variable`; the layer after the grid is read.
    counts : padded int8 array or None
        The diagonal unless `variable`.
    """

    layout: Layout
    depth: int
    variable: bool
    d: Array
    fixed: Array
    fraction: Array
    links: Array
    counts: Array | None


def finest_equation(stencil: Stencil, unit: float, fluid: Array | None, dirichlet: Array | None) -> Equation:
    """Return the equation of the given grid, in the unit in which its weights are near one.

    Parameters
    ----------
    stencil : Stencil
        The numbers of faces of one without links are read one layer around the grid.
    unit : float
    fluid, dirichlet : padded arrays or None
        Unknowns and Dirichlet terms where the stencil has links.
    """
    layout, xp = stencil.layout, stencil.xp
    if stencil.links is None:
        links, none = xp.zeros((3, 1, 1, 1), np.float32), xp.zeros((1, 1, 1), np.float32)
        faces, box = layout.zeros(xp, np.int32), layout.box_array(xp)
        chunk, blocks = rows_per_block(layout.whole(), faces)
        run("pack_faces", False, blocks, stencil.d, faces, box, *layout.padded_shape[1:], chunk)
        return Equation(layout, 0, False, faces, none, none, links, stencil.d)
    assert fluid is not None
    assert dirichlet is not None
    d, links, fixed = ((a * (1 / unit)).astype(np.float32) for a in (stencil.d, stencil.links, dirichlet))
    return Equation(layout, 0, True, d, fixed, fluid.astype(np.float32), links, None)


def coarser_equation(equation: Equation) -> Equation:
    """Return the equation of cells twice as wide; its layers are zero."""
    e, half, xp = equation, equation.layout.halved, namespace(equation.d)
    halved = [n > 1 for n in e.layout.lengths]
    scale = 0.5 ** (sum(halved) - 1)
    stiffening = wall_factor(e.depth + 1) / wall_factor(e.depth)
    factors = xp.asarray([scale, scale * stiffening, 0.5 ** sum(halved)], dtype=np.float32)
    strides = xp.asarray([2 if h else 1 for h in halved], dtype=np.int64)
    d, fixed, fraction = (half.zeros(xp, np.float32) for _ in range(3))
    crossing = xp.zeros((3, *half.padded_shape), np.float32)
    chunk, blocks = rows_per_block(half.whole(), e.d)
    ends = (half.box_array(xp), *e.layout.padded_shape, *half.padded_shape[1:], chunk)
    given = (e.d, e.fixed, e.fraction, e.links)
    run("coarsen", e.variable, blocks, *given, d, fixed, fraction, crossing, factors, strides, *ends)
    return Equation(half, e.depth + 1, True, d, fixed, fraction, crossing, None)


def make_grid(equation: Equation, parameters: Parameters) -> Grid:
    """Return the level as a cycle uses it: the network of its depth evaluated in every cell."""
    e, layout, xp, kind = equation, equation.layout, namespace(equation.d), kind_of(equation.depth)
    chunk, blocks = rows_per_block(layout.whole(), e.d)
    box = layout.box_array(xp)
    jacobi, share = layout.zeros(xp, np.uint16), layout.zeros(xp, np.int8)
    diagonal = layout.zeros(xp, np.float32) if e.counts is None else e.counts
    network = xp.asarray(flat_network(parameters, kind, layout.is_2d))
    given = (e.d, e.fixed, e.fraction, network, jacobi, share, diagonal if e.variable else e.fraction)
    ends = (box, *layout.padded_shape[1:], chunk)
    run("network_fields", e.variable, blocks, *given, *ends, 0.5 ** (e.depth + 1) if e.depth > 0 else 0.0)
    halved = [n > 1 for n in layout.lengths]
    tap = float(parameters[f"level{kind}.tap"])
    taps = [[tap, 1 - tap, 1 - tap, tap] if h else [0.0, 1.0, 0.0, 0.0] for h in halved]
    return Grid(
        layout,
        e.variable,
        diagonal,
        e.links,
        jacobi,
        share,
        layout.zeros(xp, np.float32),
        weights(parameters, kind),
        xp.asarray(taps, dtype=np.float32),
        xp.asarray([2 if h else 1 for h in halved], dtype=np.int64),
        2.0 ** (2 - sum(halved)) * exp(float(parameters[f"level{kind}.gain"])),
        box,
        chunk,
        blocks,
    )


def smooths_twice(fixed: float, lengths: tuple[int, ...], size: int, insulated: bool) -> bool:
    """Tell whether the steps on the given grid are done twice.

    Parameters
    ----------
    fixed : float
        Sum of the Dirichlet terms of the second level, which gives the number of Dirichlet faces.
    lengths : tuple of int
        Of the given grid.
    size : int
        Number of unknowns.
    insulated : bool
        Whether there are Neumann bodies.
    """
    halved = sum(n > 1 for n in lengths)
    return insulated or fixed * 2.0 ** (halved - 1) / (wall_factor(1) * size) > POROUS


def lift_shares(g: Grid, below: Layout, lost: Array) -> None:
    """Raise the shares of cells whose interpolation reads coarse cells that nothing flows into.

    Parameters
    ----------
    g : Grid
    below : Layout
        Of the next level.
    lost : padded array
        What an interpolation loses in each coarse cell, see `lost_part`.
    """
    p1, p2 = g.layout.padded_shape[1:]
    c1, c2 = below.padded_shape[1:]
    t = g.layout.zeros(namespace(lost), np.float32)
    run("correct", True, g.blocks, t, lost, g.share, g.taps, g.strides, g.box, p1, p2, c1, c2, g.chunk)
    run("lift_share", True, g.blocks, t, g.share, *g.ends)


def inverse_of(grid: Grid) -> Array:
    """Return the dense inverse over all cells of a small level."""
    cells = grid.layout.box_key
    diagonal = grid.d[cells].astype(np.float32)
    if grid.variable:
        x, y, z = grid.links[0][cells][1:], grid.links[1][cells][:, 1:], grid.links[2][cells][:, :, 1:]
        return dense_inverse((x, y, z), diagonal)
    unknown = (diagonal > 0).astype(np.float32)
    x, y, z = unknown[1:] * unknown[:-1], unknown[:, 1:] * unknown[:, :-1], unknown[:, :, 1:] * unknown[:, :, :-1]
    return dense_inverse((x, y, z), diagonal)
