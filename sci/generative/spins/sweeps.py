"""Sweeps site by site for many replicas at once: the Ising model by checkerboards, any model by colors of any grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sci.backend import Array, Device, namespace, namespace_of, to_device
from sci.backend.philox import philox, uniforms
from sci.errors import InvalidValueError, ShapeError
from sci.generative.spins.lattice import IsingModel, LatticeModel
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["Checkerboard", "Rule", "colors_of", "heat_bath", "update_color_reference"]

Rule = Literal["heat_bath", "metropolis"]
_HALF = 2**31


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """The places of the two colors of an even grid, and how `replicas` lattices lie in them.

    Attributes
    ----------
    beside : (rows, 0, 2 or 4) int64
        The rows next to each row along other axes than the last.
    shift : two (rows,) int32
        For each color, +1 where the second neighbor along a row has the next place, -1 where it has the one before.
    place, lane : (groups,) int32
        Number of a group of four sites in its row, and its replica.
    """

    model: IsingModel
    replicas: int
    beside: Array
    shift: tuple[Array, Array]
    place: Array
    lane: Array

    def __repr__(self) -> str:
        return f"Checkerboard({self.model!r}, {self.replicas} replicas)"

    @classmethod
    def of(cls, model: IsingModel, replicas: int, device: Device = "cpu") -> Checkerboard:
        """Return the places for a model.

        Raises
        ------
        ShapeError
            For a grid with an odd side: around it two neighbors would have one color.
        """
        if any(n % 2 for n in model.shape):
            raise ShapeError(
                f"{model!r} has an odd side, around which neighbors have one color; expected even sides for a "
                "checkerboard, or method='swendsen_wang'"
            )
        xp, half = namespace_of(device), model.shape[-1] // 2
        grid = model.shape[:-1]
        rows = np.arange(int(np.prod(grid, dtype=int))).reshape(grid)
        near = [np.roll(rows, turn, axis=axis).reshape(-1) for axis in range(len(grid)) for turn in (1, -1)]
        beside = np.stack(near, axis=1) if near else np.zeros((rows.size, 0), int)
        odd = np.indices(grid).sum(axis=0).reshape(-1) % 2 if grid else np.zeros(1, int)
        each = -(-half // 4)
        place, lane = np.repeat(np.arange(each), replicas), np.tile(np.arange(replicas), each)
        moved = [to_device(a, xp) for a in (np.ascontiguousarray(beside), *(_shift(odd, c) for c in (0, 1)))]
        return cls(
            *(model, replicas, moved[0], (moved[1], moved[2])),
            *(to_device(a.astype(np.int32), xp) for a in (place, lane)),
        )

    @property
    def _length(self) -> int:
        return self.model.shape[-1] // 2 * self.replicas

    def pack(self, spins: Array) -> tuple[Array, Array]:
        """Return the spins (replicas, *shape) of each color as rows, (rows, half replicas) int8."""
        xp = namespace(spins)
        rows = spins.reshape(self.replicas, len(self.beside), self.model.shape[-1] // 2, 2)
        odd = (self.shift[0] > 0)[None, :, None]
        parted = [xp.where(odd ^ (color == 1), rows[..., 1], rows[..., 0]) for color in (0, 1)]
        black, white = (
            xp.ascontiguousarray(p.transpose(1, 2, 0)).reshape(len(self.beside), self._length).astype(np.int8)
            for p in parted
        )
        return black, white

    def unpack(self, colors: tuple[Array, Array]) -> Array:
        """Return the spins (replicas, *shape) of the two colors."""
        xp = namespace(colors[0])
        black, white = (
            c.reshape(len(self.beside), self.model.shape[-1] // 2, self.replicas).transpose(2, 0, 1) for c in colors
        )
        odd = (self.shift[0] > 0)[None, :, None]
        pairs = xp.stack([xp.where(odd, white, black), xp.where(odd, black, white)], axis=-1)
        return xp.ascontiguousarray(pairs).reshape(self.replicas, *self.model.shape)

    def thresholds(self, betas: np.ndarray, rule: Rule) -> Array:
        """Return the levels below which words make spins +1, (replicas, 2, sums) int32, by old spin and neighbors.

        A probability p is rounded to a multiple of 2^-32 below 1; the word minus 2^31 is compared with it less 2^31.
        Where the log odds are within 1, "metropolis" takes the heat bath, too: flips that are accepted nearly always
        would turn all spins of a color at once, and a hot lattice would keep its energy.
        """
        sums = np.arange(-2 * len(self.model.shape), 2 * len(self.model.shape) + 1, 2)
        aligned = 2 * betas[:, None] * (self.model.coupling * sums + self.model.field)  # log odds of +1
        up = 0.5 * (1 + np.tanh(0.5 * aligned))
        if rule == "metropolis":
            flips = [np.exp(np.minimum(0, aligned)), 1 - np.exp(np.minimum(0, -aligned))]
            both = np.stack([np.where(np.abs(aligned) < 1, up, p) for p in flips], axis=1)
        else:
            both = np.stack([up, up], axis=1)
        levels = np.minimum(np.rint(both * 2.0**32), 2.0**32 - 1) - _HALF
        return to_device(np.ascontiguousarray(levels.astype(np.int32)), namespace(self.place))

    def sweep(self, colors: tuple[Array, Array], levels: Array, number: int, *, first: int, seed: int) -> None:
        """Change both colors in place, the first one given the second, then the other way.

        Parameters
        ----------
        colors : two (rows, half replicas) int8 arrays
        levels : (replicas, 2, sums) int32
        number : int
            Of the sweep.
        first : int
            Number of the first replica among those of all ranks.
        seed : int
        """
        for color in (0, 1):
            self._half(colors[1 - color], colors[color], levels, color, (2 * number + color, first, seed))

    def _half(self, other: Array, own: Array, levels: Array, color: int, counters: tuple[int, int, int]) -> None:
        step, first, seed = counters
        kernel = get_kernel("spins/lattice.cu", "update_color", np.int8, self.beside.shape[1])
        if not use_compiled(kernel, own):
            update_color_reference(self, other, own, levels, color, step=step, first=first, seed=seed)
            return
        rows, length = own.shape
        groups = len(self.place)
        on_device = type(own) is not np.ndarray
        grid = -(-rows * groups // block_size(own)) if on_device else rows
        launch(
            *(kernel, grid, other, own, levels, self.beside, self.shift[color], self.place, self.lane),
            *(rows, length, self.replicas, groups, levels.shape[2], first, step, seed),
        )

    def bonds_and_sites(self, colors: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return the sums of s s' over all bonds and of s over all sites, (replicas,) int64."""
        black, white = colors
        total = (black * _neighbors(self, white, 0)).sum(axis=0, dtype=np.int64)
        spins = (black + white).sum(axis=0, dtype=np.int64)
        return total.reshape(-1, self.replicas).sum(axis=0), spins.reshape(-1, self.replicas).sum(axis=0)


def _shift(odd: np.ndarray, color: int) -> np.ndarray:
    return np.where((odd + color) % 2, 1, -1).astype(np.int32)


def _neighbors(board: Checkerboard, other: Array, color: int) -> Array:
    """Return the sums of the neighbors of the spins of a color, which all have the other one, int8."""
    xp, turn = namespace(other), board.replicas
    ahead = (board.shift[color] > 0)[:, None]
    total = other + xp.where(ahead, xp.roll(other, -turn, axis=1), xp.roll(other, turn, axis=1))
    for column in range(board.beside.shape[1]):
        total += other[board.beside[:, column]]
    return total


def update_color_reference(
    board: Checkerboard, other: Array, own: Array, levels: Array, color: int, *, step: int, first: int, seed: int
) -> None:
    """Reference of the kernel `update_color`: the same spins, bit for bit."""
    xp = namespace(own)
    rows, length = own.shape
    each = len(board.place) // board.replicas
    group = xp.arange(rows)[:, None] * each + board.place[None, :]
    words = philox(group, first + board.lane[None, :].astype(np.int64), step, "spins", seed)
    drawn = xp.moveaxis(words, 0, 1).reshape(rows, -1)[:, :length].astype(np.int64) - _HALF
    sums = (_neighbors(board, other, color).astype(np.int64) + board.beside.shape[1] + 2) // 2
    lane = xp.tile(xp.arange(board.replicas), length // board.replicas)[None, :]
    own[...] = xp.where(drawn < levels[lane, (own > 0).astype(np.int64), sums], 1, -1)


def colors_of(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return the sites of each color of a periodic grid, none of which has a neighbor of its own color.

    Two colors where all sides are even; else three, of which the last place of an odd side has its own.

    >>> [sites.tolist() for sites in colors_of((3, 2))]
    [[0, 5], [1, 2], [3, 4]]
    """
    odd = any(n % 2 for n in shape)
    along = [np.where((np.arange(n) == n - 1) & bool(n % 2), 2, np.arange(n) % 2) for n in shape]
    color = sum(np.ix_(*along)[1:], np.ix_(*along)[0]) % (3 if odd else 2)
    return [np.flatnonzero(color == c) for c in range(3 if odd else 2)]


def heat_bath(model: LatticeModel, states: Array, betas: Array, number: int, *, first: int, seed: int) -> None:
    """Give every site of states (replicas, *shape) a new value in place, one color after the other.

    Parameters
    ----------
    model : IsingModel or PottsModel
        Of any coupling and grid.
    states : (replicas, *shape) int8
    betas : (replicas,) float64
    number : int
        Of the sweep.
    first : int
        Number of the first replica among those of all ranks.
    seed : int
    """
    if not len(states):
        return
    xp, sites = namespace(states), np.arange(model.n_sites).reshape(model.shape)
    near = np.stack([np.roll(sites, t, a).reshape(-1) for a in range(sites.ndim) for t in (1, -1)], axis=1)
    held, values = states.reshape(len(states), -1), to_device(model.values, xp)
    u = uniforms(model.n_sites, xp.arange(first, first + len(held)), number, "spins", seed)
    for chosen in colors_of(model.shape):
        beside = held[:, to_device(near[chosen], xp)]
        like = xp.stack([model.alike(v, beside).sum(axis=2, dtype=np.int64) for v in values], axis=2)
        logs = betas[:, None, None] * (model.coupling * like + model.field * model.lifted(values))
        weights = xp.cumsum(xp.exp(logs - logs.max(axis=2, keepdims=True)), axis=2)
        places = (u[:, to_device(chosen, xp), None] * weights[..., -1:] >= weights).sum(axis=2)
        held[:, to_device(chosen, xp)] = values[places]


def require_replicas(replicas: int) -> None:
    """Raise InvalidValueError unless there is a replica."""
    if replicas < 1:
        raise InvalidValueError(f"replicas is {replicas}; expected one or more")
