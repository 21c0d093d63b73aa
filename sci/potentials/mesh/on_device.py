"""A mesh on a device: evaluations of launches alone, into the same memory, so that a graph may replay them."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from sci.backend import Array, ArrayLike, namespace, to_device, to_host
from sci.backend.graph import RecordedWork, planned_transform
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.potentials.mesh.evaluate import ROUNDING_SHARE, pair_kernel
from sci.potentials.mesh.isolated import doubled_influence, isolated_influence
from sci.potentials.mesh.plan import MeshPlan
from sci.potentials.mesh.reciprocal import mesh_influence
from sci.potentials.mesh.spread import SOURCE as MESH
from sci.potentials.mesh.surroundings import Alone, Cell
from sci.potentials.mesh.window import LANES, spline_taps
from sci.potentials.pairs.cell import Frame, cell_frame
from sci.potentials.pairs.chunks import is_sparse
from sci.potentials.pairs.on_device import SortedChunks, local_density
from sci.potentials.pairs.pair_sum import PairLaunch, compiled_for, rounding_error
from sci.potentials.radial.split import COINCIDENT

__all__ = ["DeviceMesh", "DeviceTotals", "device_mesh"]

SOURCE = "particles/device_mesh.cu"
SUMS = 23
SINGLE: np.dtype[Any] = np.dtype(np.float32)
DOUBLE: np.dtype[Any] = np.dtype(np.float64)


class DeviceTotals(NamedTuple):
    """Sums over all charges, on the host: energy, virial of the pairs, root mean square force, error of float32.

    `finite` tells whether all forces are numbers, `outside` how many charges left the box or have no place.
    """

    energy: float
    near_virial: np.ndarray
    force_size: float
    rounding: float
    finite: bool
    outside: int


class _Near(NamedTuple):
    chunks: SortedChunks
    pairs: PairLaunch


class DeviceMesh:
    """One plan for charges on a device, laid out once; positions may change.

    Parameters
    ----------
    charges : (n,) float64
        On the device.
    scale : float
        The largest of their sizes; positive.
    around : Cell or Alone
    plan : MeshPlan
    strength : float
        See `ChargeSizes`.
    background : float
        What a background adds to each potential, e/angstrom.
    apart : float
        See `PairLaunch`.
    """

    def __init__(
        self,
        charges: Array,
        scale: float,
        around: Cell | Alone,
        plan: MeshPlan,
        strength: float,
        background: float,
        apart: float = COINCIDENT,
    ) -> None:
        self._xp, self.plan, self._scale, self._apart = namespace(charges), plan, scale, apart
        xp, n, cutoff = self._xp, len(charges), plan.split.cutoff
        self._kernel = pair_kernel(plan.split, plan.force_error, strength)
        self._charges, self._unit = charges, charges / scale
        self._raw, self._clean, self._outside = xp.empty((n, 3)), xp.empty((n, 3)), xp.empty(n)
        self._potentials, self._forces = xp.empty(n), xp.empty((n, 3))
        self.potentials, self.forces = self._potentials, self._forces
        self._frame, numbers, cell = _framed(around, plan, xp.empty((n, 3)))
        self._numbers = to_device(numbers, xp)
        self._density = None if around.filled is None else n / around.filled * cutoff**3
        self._near: dict[str, _Near] = {}
        self.dtype = DOUBLE
        if plan.dtype == "float32" and compiled_for(self._kernel, SINGLE, True) is not None:
            self.dtype = SINGLE
        self._field = scale / cutoff
        far = [1 / self._field, cutoff / self._field, plan.split.at_zero * cutoff, background / self._field]
        constants = [*self._frame.turn.ravel(), self._field, scale * self._field / cutoff, *far]
        self._constants = to_device(np.array(constants), xp)
        self._lay_out_grid(cell, around.filled is not None)
        self._graph: RecordedWork | None = None

    def __repr__(self) -> str:
        return f"DeviceMesh({len(self._charges)} charges, {self.plan!r}, pairs in {self.dtype})"

    def _lay_out_grid(self, cell: np.ndarray, isolated: bool) -> None:
        """Take memory for the grid, and bring what is known of it to the device."""
        xp, plan = self._xp, self.plan
        (n1, n2, n3), dtype = plan.grid, np.dtype(plan.dtype)
        self._shape = (2 * n1, 2 * n2, 2 * n3) if isolated else plan.grid
        self._spread = xp.empty((1, n1, n2, n3 + LANES), dtype=dtype)
        self._grid = (xp.zeros if isolated else xp.empty)(self._shape, dtype=dtype)
        self._rows = self._spread[0]
        key = tuple((np.diag(cell) if isolated else cell).ravel().tolist())
        if isolated:
            influence = doubled_influence(isolated_influence(plan.split, key, plan.grid, plan.order, plan.dtype))
        else:
            influence = mesh_influence(plan.split, key, plan.grid, plan.order, plan.dtype)
        self._norm = "backward" if isolated else "forward"
        taps, inverse = spline_taps(plan.order).astype(dtype), np.linalg.inv(cell).ravel()
        self._influence, self._taps, self._inverse = (to_device(a, xp) for a in (influence, taps, inverse))
        self._fields = xp.empty((len(self._charges), 4))
        self._plans: tuple[Any, Any] = (nullcontext(), nullcontext())

    def evaluate(self, positions: Array) -> DeviceTotals:
        """Sum at positions (n, 3) launch by launch; in float64 from then on if float32 turns out too coarse."""
        self._place(positions)
        if self._density is None:
            self._density = local_density(self._frame.positions, *self._frame.box())
        self._sum_pairs()
        self._sum_modes()
        totals = self._totals(self._join())
        if self._too_coarse(totals):
            self.dtype = DOUBLE
            self._sum_pairs()
            totals = self._totals(self._join())
        return totals

    def replay(self, positions: Array) -> DeviceTotals:
        """Do the same after `evaluate`, by one launch of a graph that the first call records."""
        self._raw[...] = positions
        if self._graph is None:
            half = self._xp.empty(self.modes.shape, dtype=self.modes.dtype)  # plans of its own, which it keeps
            sides = ((self._grid, "R2C"), (half, "C2R"))
            forward, backward = (planned_transform(array, self._shape, kind) for array, kind in sides)
            self._plans = forward, backward
            self._graph = RecordedWork(self._everything, self._xp)
        self._graph.replay()
        totals = self._totals(self._graph.results)
        if not self._too_coarse(totals):
            return totals
        self._graph = None  # that of float64 is recorded next time
        return self.evaluate(positions)

    def _everything(self) -> Array:
        """Ask for all work, and return the parts that totals are made of."""
        self._place(self._raw)
        self._sum_pairs()
        self._sum_modes()
        return self._join()

    def _place(self, positions: Array) -> None:
        n = len(self._charges)
        arrays = (positions, self._numbers, self._clean, self._frame.positions, self._outside)
        self._launch("frame_places", DOUBLE, n, *arrays, n, int(self._frame.periods is not None))

    def _sum_pairs(self) -> None:
        if self.dtype.name not in self._near:
            assert self._density is not None
            instance = compiled_for(self._kernel, self.dtype, True)
            assert instance is not None
            chunks = SortedChunks(self._frame, self._unit, self.dtype, self._density)
            pairs = PairLaunch(instance, chunks.chunks, self._kernel, self._apart)
            self._near[self.dtype.name] = _Near(chunks, pairs)
        near = self._near[self.dtype.name]
        near.chunks.sort()
        near.pairs.run()

    def _sum_modes(self) -> None:
        xp, plan, dtype = self._xp, self.plan, self._spread.dtype
        (n1, n2, n3), (_, m2, m3), n = plan.grid, self._shape, len(self._charges)
        row, blocks = n3 + LANES, -(-n // block_size(self._charges))
        self._spread.fill(0)
        arrays = (self._clean, self._charges, self._inverse, self._taps, self._spread)
        launch(get_kernel(MESH, "spread_charges", dtype, plan.order), blocks, *arrays, n, n1, n2, row, 1, blocks)
        sizes = (n1, n2, row, m2, m3)
        self._launch("fold_rows", dtype, n1 * n2 * n3, self._rows, self._grid, *sizes)
        with self._plans[0]:
            self.modes = xp.fft.rfftn(self._grid, axes=(0, 1, 2))
        scaled = self.modes * self._influence
        with self._plans[1]:
            values = xp.fft.irfftn(scaled, s=self._shape, axes=(0, 1, 2), norm=self._norm)
        self._launch("repeat_rows", dtype, n1 * n2 * row, values.astype(dtype, copy=False), self._rows, *sizes)
        arrays = (self._clean, self._inverse, self._taps, self._rows, self._fields)
        launch(get_kernel(MESH, "gather_fields", dtype, plan.order), blocks, *arrays, n, n1, n2, row)

    def _join(self) -> Array:
        """Add pairs and modes; return sums (23,)."""
        near = self._near[self.dtype.name]
        chunks, pairs, n = near.chunks.chunks, near.pairs, len(self._charges)
        (count, width), rows = chunks.members.shape, len(pairs.sums)
        blocks = -(-max(count * width, rows) // block_size(self._charges))
        parts = self._xp.empty((blocks, SUMS))
        arrays = (
            pairs.own,
            pairs.other,
            chunks.members,
            self._frame.positions,
            self._unit,
            self._outside,
            self._fields,
        )
        outputs = (self._potentials, self._forces, parts)
        kernel = get_kernel(SOURCE, "join_sums", self.dtype)
        launch(kernel, blocks, *arrays, pairs.sums, self._constants, *outputs, n, count, width, rows, blocks)
        return parts.sum(axis=0)

    def _totals(self, sums: Array) -> DeviceTotals:
        """Bring sums to the host, the one wait, in units of the caller."""
        found, n, turn = to_host(sums), len(self._charges), self._frame.turn
        field, scale = self._field, self._scale
        with np.errstate(over="ignore", invalid="ignore"):  # told by `finite`
            virial = scale * (field * (turn.T @ (found[:9] + found[11:20]).reshape(3, 3) @ turn))
            energy = float(np.float64(0.5 * scale) * (field * found[10]))
            force = scale * field / self.plan.split.cutoff * math.sqrt(found[20] / n)
        rounding = rounding_error(float(found[9]), n, field, True)
        finite = found[21] == 0 and math.isfinite(energy)
        return DeviceTotals(energy, virial, force, rounding, bool(finite), int(found[22]))

    def _too_coarse(self, totals: DeviceTotals) -> bool:
        return self.dtype == SINGLE and not totals.rounding <= ROUNDING_SHARE * self.plan.force_error

    def _launch(self, name: str, dtype: np.dtype, count: int, *arguments: ArrayLike) -> None:
        launch(get_kernel(SOURCE, name, dtype), -(-count // block_size(self._charges)), *arguments)


def device_mesh(
    charges: Array,
    scale: float,
    around: Cell | Alone,
    plan: MeshPlan,
    strength: float,
    background: float,
    apart: float = COINCIDENT,
) -> DeviceMesh | None:
    """Return the mesh that a device evaluates by launches alone; None on the host, and for charges that lie far apart.

    Parameters
    ----------
    charges, scale, around, plan, strength, background, apart
        As `DeviceMesh` takes them.
    """
    kernel = get_kernel(SOURCE, "join_sums", np.float64)
    if namespace(charges) is np or scale == 0.0 or not use_compiled(kernel, charges):
        return None
    if compiled_for(pair_kernel(plan.split, plan.force_error, strength), DOUBLE, True) is None:
        return None
    if isinstance(around, Alone) and is_sparse(len(charges), np.zeros(3), around.edges / plan.split.cutoff):
        return None
    return DeviceMesh(charges, scale, around, plan, strength, background, apart)


def _framed(around: Cell | Alone, plan: MeshPlan, places: Array) -> tuple[Frame, np.ndarray, np.ndarray]:
    """Return the frame of places that are not known yet, the numbers that find them, and the cell of the grid."""
    cutoff = plan.split.cutoff
    if isinstance(around, Cell):
        reduced, periods, turn = cell_frame(around.cell, cutoff)
        parts = (np.zeros(3), np.linalg.inv(reduced).ravel(), periods.ravel(), np.zeros(3))
        return Frame(places, periods, turn), np.concatenate(parts), around.cell
    assert plan.edges is not None
    half, cell = 0.5 * around.edges, np.diag(np.array(plan.edges))
    corner = around.corner - (plan.order - 1) * np.diag(cell) / plan.grid
    parts = (around.corner + half, np.diag(1 / half).ravel(), np.diag(half / cutoff).ravel(), corner)
    frame = Frame(places, None, np.eye(3), (-half / cutoff, half / cutoff))
    return frame, np.concatenate(parts), cell
