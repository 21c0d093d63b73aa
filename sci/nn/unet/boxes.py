"""A network applied to volumes in overlapping boxes, by one rank or by many."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace, require_finite
from sci.distributed import Comm, Deferred, agreed, rank_of, recv, sample, send, size, split
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.unet.network import UNet

__all__ = ["BoxPlan", "Volume", "apply_in_boxes", "plan_boxes"]


_ENTRIES = 2**22
"""Entries of the output that are finished at once."""


class Volume(Protocol):
    """Fields (channels, *grid) that are read in planes: an array, or a dataset of a file.

    Examples
    --------
    >>> import numpy as np
    >>> np.zeros((1, 8, 4))[:, 2:5].shape
    (1, 3, 4)
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, *grid)."""

    @property
    def dtype(self) -> Any:
        """That of the planes."""

    def __getitem__(self, index: tuple[slice, slice]) -> Array:
        """Return all channels of a range of planes of the first axis."""


@dataclass(frozen=True)
class BoxPlan:
    """Overlapping boxes that cover a grid, the same whatever the number of ranks.

    Parameters
    ----------
    grid, box : tuple of int
        Cells of the grid and of each box.
    starts : tuple of tuples of int
        First cells of the boxes along each axis.

    Examples
    --------
    >>> from sci.nn import UNet, UNetConfig
    >>> from sci.nn.unet.boxes import plan_boxes
    >>> plan_boxes(UNet(UNetConfig(2, 1, 2, (4, 4))).config.multiple, (100, 30), 32, 0.5)
    BoxPlan(100 x 30 cells in 6 boxes of 32 x 30)
    """

    grid: tuple[int, ...]
    box: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]

    def __repr__(self) -> str:
        grid, box = (" x ".join(map(str, lengths)) for lengths in (self.grid, self.box))
        return f"BoxPlan({grid} cells in {self.count} boxes of {box})"

    @property
    def count(self) -> int:
        """Number of boxes."""
        return int(np.prod([len(s) for s in self.starts]))

    def windows(self, axis: int) -> list[np.ndarray]:
        """Return the weights of each box along an axis, linear from its faces to its middle; they sum to 1 everywhere.

        Returns
        -------
        list of (box,) float64 arrays
        """
        n, b = self.grid[axis], self.box[axis]
        tent = np.minimum(np.arange(1, b + 1), np.arange(b, 0, -1)).astype(float)
        total = np.zeros(n)
        for start in self.starts[axis]:
            total[start : start + b] += tent
        return [tent / total[start : start + b] for start in self.starts[axis]]

    def planes(self, rank: int, ranks: int) -> tuple[slice, slice]:
        """Return the layers of boxes of a rank along the first axis, and the planes that it finishes.

        Returns
        -------
        layers, planes : slice
        """
        starts, n = self.starts[0], self.grid[0]
        layers = split(len(starts), rank=rank, size=ranks)
        bounds = [*starts, n]
        return layers, slice(bounds[layers.start] if layers.start < len(starts) else n, bounds[layers.stop])


def plan_boxes(multiple: int, grid: Sequence[int], box: int | Sequence[int], overlap: float) -> BoxPlan:
    """Return boxes of `box` cells, or of what the grid has, that overlap by at least `overlap` of their length.

    Parameters
    ----------
    multiple : int
        Of which the lengths of a box must be, see `UNetConfig`.
    grid : sequence of int
    box : int, or one for each axis
    overlap : float
        Above 0, at most 0.9.

    Returns
    -------
    BoxPlan

    Raises
    ------
    InvalidValueError
        For boxes without overlap, or that the stages cannot halve.
    ShapeError
        For a grid smaller than one cell of the coarsest stage.
    """
    grid = tuple(int(n) for n in grid)
    lengths = tuple(box) if isinstance(box, Sequence) else (box,) * len(grid)
    if len(lengths) != len(grid) or any(b < multiple or b % multiple for b in lengths):
        raise InvalidValueError(f"boxes of {box} cells; expected multiples of {multiple}, one or {len(grid)} of them")
    if not 0 < overlap <= 0.9:
        raise InvalidValueError(
            f"overlap is {overlap}; expected a part of a box above 0, at most 0.9: boxes that only touch leave seams"
        )
    if min(grid) < multiple:
        raise ShapeError(
            f"a volume of {' x '.join(map(str, grid))} cells; expected {multiple} or more along each axis, one cell of "
            "the coarsest stage: pad it, or use a network of fewer stages"
        )
    used = tuple(min(b, n // multiple * multiple) for b, n in zip(lengths, grid))
    starts = []
    for n, b in zip(grid, used):
        step = b - max(1, round(overlap * b))
        count = 1 + -(-(n - b) // max(step, 1))
        starts.append(tuple(int(s) for s in np.linspace(0, n - b, count).round()))
    return BoxPlan(grid, used, tuple(starts))


@collective_entry
def apply_in_boxes(
    network: UNet,
    volume: Volume,
    *,
    box: int | Sequence[int] = 64,
    overlap: float = 0.5,
    prepare: Callable[[Array], Array] | None = None,
    finish: Callable[[Array], Array] | None = None,
    comm: Comm = None,
) -> tuple[slice, Array]:
    """Return this rank's planes of the network's output on a volume of any size.

    The volume is cut into boxes that overlap. Each goes through the network as a whole, with norms of its own, and the
    outputs are averaged with weights that fall linearly from the middle of a box to its faces. The boxes depend on the
    volume alone, so that the result does not depend on the number of ranks but by rounding.

    Parameters
    ----------
    network : UNet
    volume : (in_channels, *grid) array, or a dataset of a file
        The same on all ranks; each reads the planes of its boxes.
    box : int, or one for each axis
        Multiples of `network.config.multiple`; larger than the volume, it is cut down to such a multiple.
    overlap : float
        Least overlap of boxes over their length, above 0, at most 0.9.
    prepare : callable, optional
        Applied to planes (channels, k, *rest) that are read, cell by cell: a standardizer.
    finish : callable, optional
        Applied to planes (out_channels, k, *rest) of the output when they are complete, cell by cell: returns an array
        whose axes end in (k, *rest). All of the output is never held at once.
    comm : mpi4py communicator, optional
        Ranks share the layers of boxes along the first axis, and send what their boxes give to planes of others.

    Returns
    -------
    planes : slice
        Of the first axis, those that this rank has.
    output : (..., k, *rest) array
        Those planes, finished.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; also for NaN and Inf in the volume.

    Notes
    -----
    Collective. Memory: the output of one box's depth in all channels, on ranks after the first once more, and one pass
    of the network over a box. More ranks than layers of boxes leave some without work.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import UNet, UNetConfig, apply_in_boxes
    >>> network = UNet(UNetConfig(2, 1, 3, (4, 8)))
    >>> planes, labels = apply_in_boxes(
    ...     network, np.ones((1, 50, 40), "f4"), box=16, finish=lambda out: out.argmax(axis=0)
    ... )
    >>> planes, labels.shape
    (slice(0, 50, None), (50, 40))
    """
    with agreed(comm, "apply_in_boxes") as agreement:
        shape = tuple(int(n) for n in volume.shape)
        if len(shape) != network.config.axes + 1 or shape[0] != network.config.in_channels:
            axes = ", ".join(f"n{k}" for k in range(network.config.axes))
            raise ShapeError(f"a volume of shape {shape}; expected ({network.config.in_channels}, {axes})")
        if np.dtype(volume.dtype).kind not in "fiu":
            raise DTypeError(f"a volume of dtype {volume.dtype}; expected real numbers")
        plan = plan_boxes(network.config.multiple, shape[1:], box, float(overlap))
        network.check_grid((1, shape[0], *plan.box))
        agreement.same(shape=shape, box=plan.box, starts=plan.starts, config=network.config)
        if size(comm) > 1:
            agreement.same(parameters={name: sample(p) for name, p in network.parameters.items()})
    layers, planes = plan.planes(rank_of(comm), size(comm))
    sums = _Sums(network, plan, planes, _reach(plan, layers.start), finish)
    work = Deferred()
    with work:
        for layer in range(layers.start, layers.stop):
            start = plan.starts[0][layer]
            part = sums.xp.asarray(volume[:, slice(start, start + plan.box[0])], dtype=sums.dtype)
            require_finite(part, "the volume")
            sums.advance(start)
            sums.add(layer, part if prepare is None else prepare(part))
        sums.advance(planes.stop)
    work.settle(comm, "apply_in_boxes")
    _exchange(plan, sums, comm)
    with agreed(comm, "apply_in_boxes"):
        return planes, sums.output()


def _reach(plan: BoxPlan, layer: int) -> int:
    """Return the first plane that layers before `layer` do not touch."""
    return plan.starts[0][layer - 1] + plan.box[0] if layer else 0


@dataclass
class _Sums:
    """Outputs of boxes, added up in a window of one box's depth that moves along the first axis.

    Planes up to `shared` wait for what other ranks add; behind `planes.stop`, they are for other ranks.
    """

    network: UNet
    plan: BoxPlan
    planes: slice
    shared: int
    finish: Callable[[Array], Array] | None
    begin: int = 0
    window: Any = None
    head: Any = None
    done: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin, self.shared = self.planes.start, min(self.shared, self.planes.stop)
        self.weights = [self.plan.windows(axis) for axis in range(len(self.plan.grid))]
        config, rest = self.network.config, self.plan.grid[1:]
        first = next(iter(self.network.parameters.values()))
        self.xp, self.dtype = namespace(first), first.dtype
        held = max(0, self.shared - self.begin)
        self.head = self.xp.zeros((config.out_channels, held, *rest), self.dtype)

    def add(self, layer: int, part: Array) -> None:
        """Add the outputs of a layer of boxes, whose first plane is `begin`."""
        others = [range(len(s)) for s in self.plan.starts[1:]]
        for place in itertools.product(*others):
            at = tuple(
                slice(self.plan.starts[k][j], self.plan.starts[k][j] + self.plan.box[k]) for k, j in self._axes(place)
            )
            x = self.xp.ascontiguousarray(part[(slice(None), slice(None), *at)], dtype=self.dtype)[None]
            out = self.network.forward(self.network.parameters, x, levels=1)[0][0]
            for axis, j in enumerate((layer, *place)):
                weight = self.xp.asarray(self.weights[axis][j], dtype=self.dtype)
                out = self.xp.multiply(out, weight.reshape(-1, *[1] * (len(self.plan.grid) - 1 - axis)), out=out)
            self.window[(slice(None), slice(None), *at)] += out

    @staticmethod
    def _axes(place: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        return enumerate(place, 1)

    def advance(self, start: int) -> None:
        """Finish, or hold for other ranks, the planes before `start`, and move the window there."""
        if self.window is None:
            shape = (self.network.config.out_channels, self.plan.box[0], *self.plan.grid[1:])
            self.window = self.xp.zeros(shape, self.dtype)
            return
        count = start - self.begin
        waiting = max(0, min(self.shared, start) - self.begin)
        if waiting:
            at = self.begin - self.planes.start
            self.head[:, at : at + waiting] = self.window[:, :waiting]
        if count > waiting:
            self._complete(self.window[:, waiting:count])
        for channel in self.window:  # one after the other: the copy of what moves over itself stays small
            channel[: len(channel) - count] = channel[count:].copy()
            channel[len(channel) - count :] = 0
        self.begin = start

    def _complete(self, planes: Array) -> None:
        """Finish planes, a few at a time: a function over channels may copy them in another order."""
        if self.finish is None:
            self.done.append(planes.copy())
            return
        few = max(1, _ENTRIES // max(1, planes[:, :1].size))
        for start in range(0, max(planes.shape[1], 1), few):
            self.done.append(self.finish(planes[:, start : start + few]))

    def output(self) -> Array:
        """Return the finished planes of this rank."""
        if self.head.shape[1]:
            found, self.done = self.done, []
            self._complete(self.head)
            self.done += found
        if not self.done:
            self._complete(self.head)
        axes = len(self.plan.grid)
        return self.done[0] if len(self.done) == 1 else self.xp.concatenate(self.done, axis=-axes)


def _exchange(plan: BoxPlan, sums: _Sums, comm: Comm) -> None:
    """Send what the boxes of this rank gave to planes of later ranks, and add what earlier ones send here."""
    rank, ranks = rank_of(comm), size(comm)
    shares = [plan.planes(r, ranks) for r in range(ranks)]
    shape = sums.head.shape

    def common(source: int, target: int) -> range:
        layers, planes = shares[source][0], shares[target][1]
        if layers.stop == layers.start:
            return range(0)
        return range(planes.start, min(planes.stop, _reach(plan, layers.stop)))

    arriving = {
        source: recv((shape[0], len(common(source, rank)), *shape[2:]), sums.dtype, source, xp=sums.xp, comm=comm)
        for source in range(rank)
        if len(common(source, rank))
    }
    leaving = []
    for target in range(rank + 1, ranks):
        planes = common(rank, target)
        if len(planes):
            piece = sums.window[:, planes.start - sums.begin : planes.stop - sums.begin]
            leaving.append(send(sums.xp.ascontiguousarray(piece), target, comm=comm))
    for source, message in arriving.items():
        planes = common(source, rank)
        sums.head[:, : len(planes)] += message.wait()
    for message in leaving:
        message.wait()
