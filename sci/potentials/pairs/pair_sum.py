"""Sums over all pairs of charges within a cutoff, at the charges themselves: `pair_sums`, what potentials call.

Every other short range calls it too: a particle mesh passes the `PairKernel` of its own split, and `rounding`, the
error of forces that it can bear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.backend import Array, is_device_array, namespace, to_device, to_host
from sci.kernels import Kernel, get_kernel, host_threads, launch, use_compiled
from sci.potentials.pairs.cell import Frame
from sci.potentials.pairs.chunks import SOURCE, Chunks, scatter_chunks, tiles_of
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.on_device import device_chunks
from sci.potentials.pairs.reference import reference_sums
from sci.potentials.particles import without_overflow
from sci.potentials.radial.split import COINCIDENT

__all__ = ["PairLaunch", "PairSums", "fields_of_pairs", "launched_sums", "pair_sums", "rounding_error", "sums_within"]

DEGREES = {
    ("float32", False): (10, 12, 14, 16),
    ("float64", False): (14, 18, 24, 32),
    ("float64", True): (16, 32),
}
"""Degrees of polynomials that the kernels are compiled for, by dtype and whether the pairs are screened."""
ROUNDING = {True: 0.5 * 2.0**-24, False: 2.0 * 2.0**-24}
"""Error of a distance in float32 over the extent of the two boxes, with that of the sums; more without forces."""
LEAST_TOL, SHARE = 4e-6, 0.3
"""Tolerance from which float32 is tried, and the part of a tolerance that its error may take."""


@dataclass(frozen=True, eq=False)
class PairSums:
    """What the pairs within the cutoff add at the charges.

    Parameters
    ----------
    potentials : (n,) float64
        sum_j q_j S(r_ij) over all others and, in a cell, over all images but the charge itself, e/angstrom.
    fields : (n, 3) float64 or None
        Of all others at the charges, e/angstrom^2.
    forces : (n, 3) float64 or None
        q times the field, e^2/angstrom^2.
    virial : (3, 3) float64 or None
        Sum over pairs of f_ij (x) (x_i - x_j), e^2/angstrom, on the host: minus the derivative of the energy by strain.
    energy : float
        1/2 sum_i q_i potential_i, e^2/angstrom.
    rounding : float
        Root mean square error of a force that float32 made, estimated, e^2/angstrom^2; 0 for float64.
    """

    potentials: Array
    fields: Array | None
    forces: Array | None
    virial: np.ndarray | None
    energy: float
    rounding: float

    def __repr__(self) -> str:
        return f"PairSums({len(self.potentials)} charges, energy={self.energy:.6g}, rounding={self.rounding:.2g})"


def pair_sums(
    positions: Array,
    charges: Array,
    kernel: PairKernel,
    *,
    lattice: np.ndarray | None = None,
    forces: bool = True,
    rounding: float = 0.0,
    apart: float = COINCIDENT,
) -> PairSums:
    """Sum S over all pairs of charges within the cutoff.

    Parameters
    ----------
    positions, charges : (n, 3), (n,) float64
        Anywhere, angstrom and e.
    kernel : PairKernel
    lattice : (3, 3) float64, optional
        The periods as rows, on the host; any cell, however small beside the cutoff. None for an isolated system.
    forces : bool
        Whether forces and virial are wanted.
    rounding : float
        Root mean square error of a force, e^2/angstrom^2, that may come from float32: pairs are summed in it where the
        estimate stays below, and in float64 else. Infinity asks for float32 wherever its sums are numbers.
    apart : float
        Distance in angstrom of pairs that do not count: S is then -B, which takes their part of the long range off
        too. Charges at one place do not count in any case.

    Returns
    -------
    PairSums

    Notes
    -----
    Not collective. Potentials do not hold -q_i B(0), what a charge does to itself through a long range.
    """
    xp, n = namespace(positions, charges), len(charges)
    scale = float(xp.abs(charges).max()) if n else 0.0
    if scale == 0.0:
        none = xp.zeros((n, 3)) if forces else None
        return PairSums(xp.zeros(n), none, none, np.zeros((3, 3)) if forces else None, 0.0, 0.0)
    frame = Frame.of(positions, kernel.cutoff, lattice)
    unit = charges / scale
    if rounding > 0 and apart == COINCIDENT and compiled_for(kernel, np.dtype(np.float32), forces):
        found = _summed(frame, unit, kernel, np.dtype(np.float32), forces, scale, apart)
        if found.rounding <= rounding and math.isfinite(found.rounding):
            return found
    return _summed(frame, unit, kernel, np.dtype(np.float64), forces, scale, apart)


def sums_within(
    positions: Array,
    charges: Array,
    kernel: PairKernel,
    tol: float,
    *,
    lattice: np.ndarray | None = None,
    forces: bool = True,
    left_out: Array | None = None,
) -> PairSums:
    """Sum pairs in float32 where its error is small beside a relative tolerance, in float64 else.

    Parameters
    ----------
    positions, charges, kernel, lattice, forces
        As `pair_sums` takes them.
    tol : float
        Relative L2 error of forces, or of q times the potential without them. The estimate of rounding, which is
        two to five times too large, may take 0.3 of it, of what the pairs alone add up to.

    left_out : (n, 1) or (n, 4) float64, optional
        Potentials, or potentials and gradients, of pairs that are going to be added with a minus: the error is small
        beside what they leave.

    Returns
    -------
    PairSums
        The same on all ranks that hold the same charges.
    """
    if tol >= LEAST_TOL:
        found = pair_sums(positions, charges, kernel, lattice=lattice, forces=forces, rounding=math.inf)
        values = charges * found.potentials if found.forces is None else found.forces
        if left_out is not None:
            values = (
                values + charges * left_out[:, 0]
                if found.forces is None
                else values - charges[:, None] * left_out[:, 1:]
            )
        size = math.sqrt(float((values * values).sum()) / max(len(charges), 1))
        if found.rounding <= SHARE * tol * size:
            return found
    return pair_sums(positions, charges, kernel, lattice=lattice, forces=forces)


def fields_of_pairs(
    positions: Array, charges: Array, kernel: PairKernel, scale: float, lattice: np.ndarray | None, gradient: bool
) -> Array:
    """Return potentials (n, 1), or potentials and gradients (n, 4), of all pairs in float64, times `scale`.

    What `pair_sums` finds, without energy, forces and virial: few launches on a device, and no wait after the sums.

    Parameters
    ----------
    positions, charges, kernel, lattice
        As `pair_sums` takes them; charges in units of the largest.
    scale : float
    gradient : bool
    """
    frame = Frame.of(positions, kernel.cutoff, lattice)
    sums, _, _ = _raw_sums(frame, charges, kernel, np.dtype(np.float64), gradient, COINCIDENT)
    field = scale / kernel.cutoff
    mixed = np.zeros((4, 4 if gradient else 1))  # (ex, ey, ez, potential) to (potential, gradient)
    mixed[3, 0] = field
    if gradient:
        mixed[:3, 1:] = -field / kernel.cutoff * frame.turn
    return sums @ to_device(mixed, namespace(sums))


def compiled_for(kernel: PairKernel, dtype: np.dtype, forces: bool) -> Kernel | None:
    """Return the instance for a kernel of pairs, or None if its degree or screening has none."""
    screened = kernel.kappa > 0
    for degree in DEGREES.get((dtype.name, screened), ()):
        if degree >= len(kernel.b) - 1:
            return get_kernel(SOURCE, "pairs", dtype, degree, screened, forces)
    return None


def _summed(
    frame: Frame, charges: Array, kernel: PairKernel, dtype: np.dtype, forces: bool, scale: float, apart: float
) -> PairSums:
    """Sum pairs in one precision; charges are in units of `scale`."""
    sums, extra, frame = _raw_sums(frame, charges, kernel, dtype, forces, apart)
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        return _in_units(sums, extra, frame, charges, scale, kernel.cutoff, forces)


def _raw_sums(
    frame: Frame, charges: Array, kernel: PairKernel, dtype: np.dtype, forces: bool, apart: float
) -> tuple[Array, Array, Frame]:
    """Return (ex, ey, ez, potential) of each charge, (n, 4), what virial and error need, and the frame of both.

    The virial is taken there: far apart, charges that do not meet would bring it the rounding of their distance.
    """
    instance = compiled_for(kernel, dtype, forces)
    if instance is None or not use_compiled(instance, charges):
        return *reference_sums(frame, charges, kernel, forces, apart), frame
    sort = device_chunks if is_device_array(charges) else Chunks.of
    chunks = sort(frame, charges, dtype)
    return *launched_sums(instance, chunks, kernel, apart), chunks.frame


def _in_units(
    sums: Array, extra: Array, frame: Frame, charges: Array, scale: float, cutoff: float, forces: bool
) -> PairSums:
    """Turn sums in units of the largest charge and the cutoff into those of the caller."""
    extra = to_host(extra)
    field = scale / cutoff
    turn, potentials = frame.turn, field * sums[:, 3]
    error = rounding_error(float(extra[9]), len(charges), field, forces)
    energy = 0.5 * scale * float((charges * potentials).sum())
    if not forces:
        return PairSums(potentials, None, None, None, energy, error)
    virial = to_host((charges[:, None] * sums[:, :3]).T @ frame.positions) + extra[:9].reshape(3, 3)
    virial = scale * (field * (turn.T @ virial @ turn))
    fields = field / cutoff * (sums[:, :3] @ to_device(turn, namespace(charges)))
    found = scale * (charges[:, None] * fields)
    if error == 0.0:  # float32 tells by its error
        without_overflow(found, "forces of pairs")
    return PairSums(potentials, fields, found, virial, energy, error)


def rounding_error(squares: float, n: int, field: float, forces: bool) -> float:
    """Return the error of a force in float32 from the sum that the kernel keeps of n charges, and the unit of fields.

    0 in float64; no number where float32 cannot tell two charges apart.
    """
    if squares == 0.0:
        return 0.0
    return ROUNDING[forces] * math.sqrt(2 * squares / n) * field**2 if squares > 0 else math.nan


class PairLaunch:
    """The kernel of pairs bound to chunks: it may run again once these are sorted anew.

    Parameters
    ----------
    instance : Kernel
    chunks : Chunks
    kernel : PairKernel
    apart : float
        See `pair_sums`; below 0 all pairs count, and two charges at one place make sums that are no numbers.
    """

    def __init__(self, instance: Kernel, chunks: Chunks, kernel: PairKernel, apart: float = COINCIDENT) -> None:
        xp, dtype = namespace(chunks.data), chunks.data.dtype
        count, _, width = chunks.data.shape
        tiles, self._spans = tiles_of(chunks)
        degree = int(instance.arguments[1])
        polynomials = np.zeros((2, degree + 1))
        polynomials[0, : len(kernel.b)] = kernel.b * kernel.cutoff
        polynomials[1, : len(kernel.g)] = kernel.g * kernel.cutoff**3
        lanes, rows = count * 4 * width, max(count, len(tiles))
        self._room = xp.zeros(lanes + 10 * rows + -(-lanes * dtype.itemsize // 8))  # all that sums are added to
        self.own = self._room[:lanes].reshape(count, 4, width)
        self.sums = self._room[lanes : lanes + 10 * rows].reshape(rows, 10)
        """What virial and error need, (rows, 10)."""
        self.other = self._room[lanes + 10 * rows :].view(dtype)[:lanes].reshape(count, 4, width)
        arrays = (chunks.data, chunks.clusters, chunks.centers, chunks.halves, chunks.column_start, chunks.column)
        small = (to_device(v, xp) for v in (tiles, chunks.shape, chunks.cell, polynomials.astype(dtype)))
        sums = (self.own, self.other, self.sums)
        self._inputs = (*arrays, chunks.first_key, chunks.last_key, *small, *sums, count, len(tiles))
        noise = float(np.abs(polynomials[int(instance.arguments[3] == "true")]).sum()) ** 2
        self._last = (kernel.kappa * kernel.cutoff, apart * abs(apart) / kernel.cutoff**2, noise)
        self._instance, self._blocks, self._used = instance, rows, False

    def run(self) -> None:
        """Sum the pairs of the chunks as they are now."""
        if self._used:
            self._room.fill(0)
        self._used = True
        if is_device_array(self._room):  # a block a chunk
            launch(self._instance, self._blocks, *self._inputs, 0, *self._last)
        else:  # a block a tile; on one thread they run in the order of colors in any case
            for start, stop in self._spans if host_threads() > 1 else [(0, int(self._inputs[-1]))]:
                launch(self._instance, stop - start, *self._inputs, start, *self._last)


def launched_sums(
    instance: Kernel, chunks: Chunks, kernel: PairKernel, apart: float = COINCIDENT
) -> tuple[Array, Array]:
    """Return (ex, ey, ez, potential) of each charge, (n, 4), and what virial and error need, (10,), by the kernel."""
    pairs = PairLaunch(instance, chunks, kernel, apart)
    pairs.run()
    result = scatter_chunks(pairs.own, pairs.other, chunks.members, len(chunks.frame.positions))
    return result, pairs.sums.sum(axis=0)
