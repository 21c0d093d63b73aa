"""Vorticity of a two-dimensional incompressible flow on the unit torus, by a pseudo-spectral method."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, as_finite, namespace, namespace_of, require_finite, to_device
from sci.distributed import Comm, abort_on_error, agreed, rank_of, split
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.problems.random_fields import periodic_random_field, require_parameters, sample_generator
from sci.progress import progress

__all__ = ["evolve_vorticity", "kolmogorov_force", "navier_stokes"]

MOST_STEPS = 1e9
"""Steps of one flow: a year of one core on the smallest grids."""


def kolmogorov_force(n: int) -> np.ndarray:
    """Return f(x, y) = 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)) at (i / n, j / n), the force of the published sets.

    Parameters
    ----------
    n : int
        Points or cells along each axis.

    Returns
    -------
    (n, n) float64 array
        Values of f, without units.
    """
    x = np.arange(n) / n
    angle = 2.0 * np.pi * (x[:, None] + x)
    force: np.ndarray = 0.1 * (np.sin(angle) + np.cos(angle))
    return force


@collective_entry
def navier_stokes(
    n_samples: int,
    grid: int,
    *,
    viscosity: float = 1e-3,
    time: float = 50.0,
    time_step: float = 1e-3,
    n_records: int = 1,
    subsample: int = 1,
    alpha: float = 2.5,
    tau: float = 7.0,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> tuple[Array, Array]:
    """Draw initial vorticities and follow them to `time`: w_t + u . grad w = nu Laplace w + f.

    Parameters
    ----------
    n_samples : int
        Number of samples of the whole set.
    grid : int
        Points along each axis of the grid on which the equation is solved, at least 4.
    viscosity, time, time_step : float
        See `evolve_vorticity`. The published sets have 1e-3, 1e-4 and 1e-5 with times 50, 30 and 20.
    n_records : int
        Instants kept, evenly spread, the last at `time`.
    subsample : int
        Keep every `subsample`-th point.
    alpha, tau : float
        Smoothness and inverse length of the initial field, see `periodic_random_field`.
    seed : int
        Sample i follows from the seed and i alone.
    device : {"cpu", "cuda"}
    comm : mpi4py communicator, optional
        Shares the samples between the ranks.

    Returns
    -------
    initial : array (n_local, size, size)
    vorticity : array (n_local, n_records, size, size)
        float64; the samples of this rank, in order of the ranks.

    Raises
    ------
    InvalidValueError, ConvergenceError, DeviceUnavailableError

    Notes
    -----
    Collective: one small message for the agreement on arguments. Five real transforms per step and sample.

    References
    ----------
    Z. Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021, section 5.3. Their
    scripts take first-order steps of 1e-4; ours are of second order.

    Examples
    --------
    >>> initial, later = navier_stokes(2, 32, viscosity=1e-2, time=0.1, time_step=0.01, n_records=2)
    >>> initial.shape, later.shape
    ((2, 32, 32), (2, 2, 32, 32))
    """
    with agreed(comm, "navier_stokes") as agreement:
        require_parameters(grid, n_samples, subsample, viscosity=viscosity, alpha=alpha, tau=tau)
        agreement.same(n_samples=n_samples, grid=grid, subsample=subsample, viscosity=viscosity)
        agreement.same(alpha=alpha, tau=tau, seed=seed, time=time, time_step=time_step, n_records=n_records)
    xp = namespace_of(device)
    mine = range(n_samples)[split(n_samples, comm)]
    kept = len(range(0, grid, subsample))
    initial = xp.empty((len(mine), kept, kept))
    later = xp.empty((len(mine), n_records, kept, kept))
    force = to_device(kolmogorov_force(grid), xp)
    with abort_on_error(comm):
        for row, index in enumerate(progress(mine, "Navier-Stokes", show=rank_of(comm) == 0)):
            first = to_device(periodic_random_field(grid, sample_generator(seed, index), alpha=alpha, tau=tau), xp)
            records = evolve_vorticity(
                first, force, viscosity=viscosity, time=time, time_step=time_step, n_records=n_records
            )
            initial[row], later[row] = first[::subsample, ::subsample], records[:, ::subsample, ::subsample]
    return initial, later


@entry
def evolve_vorticity(
    vorticity: Array,
    force: Array,
    *,
    viscosity: float,
    time: float,
    time_step: float = 1e-3,
    n_records: int = 1,
) -> Array:
    """Follow a vorticity on the unit torus: w_t + u . grad w = nu Laplace w + f, -Laplace psi = w, u = rot psi.

    Parameters
    ----------
    vorticity, force : array (n, n)
        Values at (i / n, j / n); their means are removed.
    viscosity : float
        Zero or more.
    time : float
        Positive; the time of the last record.
    time_step : float
        Longest step; every record is met exactly by shortening it.
    n_records : int
        Instants kept, evenly spread, the last at `time`.

    Returns
    -------
    array (n_records, n, n)
        float64, at time / n_records, 2 time / n_records, ..., time.

    Raises
    ------
    ShapeError, InvalidValueError
    ConvergenceError
        If the flow becomes infinite: the time step is too long.

    Notes
    -----
    Products are taken on the grid with the wave numbers above n / 3 removed (2/3 rule). Advection and force by
    Adams-Bashforth, diffusion by Crank-Nicolson, the first step by Heun's method: of second order in `time_step`.
    The advection is stable while u dt stays well below 1 / n.
    """
    xp = namespace(vorticity, force)
    w = as_finite(vorticity, "vorticity", shape=(None, None))
    f = as_finite(force, "force", shape=w.shape)
    if w.shape[0] != w.shape[1] or w.shape[0] < 4:
        raise ShapeError(f"vorticity has shape {w.shape}; expected (n, n) with n of at least 4")
    if not 0.0 <= viscosity < np.inf or not 0.0 < time < np.inf or not 0.0 < time_step < np.inf or n_records < 1:
        raise InvalidValueError(
            f"viscosity {viscosity}, time {time}, time_step {time_step}, n_records {n_records}: expected a viscosity "
            "of at least 0, positive times and at least one record"
        )
    if time / time_step > MOST_STEPS:
        raise InvalidValueError(
            f"time {time:g} takes {time / time_step:.1e} steps of {time_step:g}; expected at most {MOST_STEPS:.0e}"
        )
    n_steps = int(np.ceil(time / n_records / time_step * (1.0 - 1e-12)))
    scheme = _Scheme(xp, w.shape[0], viscosity, time / n_records / n_steps, f)
    spectrum, slope = scheme.start(w), None
    records = xp.empty((n_records, *w.shape))
    for record in range(n_records):
        for _ in range(n_steps):
            spectrum, slope = scheme.step(spectrum, slope)
        records[record] = xp.fft.irfftn(spectrum, s=w.shape, axes=(0, 1))
        _require_bounded(records[record], (record + 1) * time / n_records, scheme.time_step)
    return records


def _require_bounded(vorticity: Array, time: float, time_step: float) -> None:
    try:
        require_finite(vorticity, "vorticity")
    except InvalidValueError as error:
        raise ConvergenceError(
            f"the flow became infinite before time {time:g} with steps of {time_step:g}; take shorter steps"
        ) from error


class _Scheme:
    """One time step in Fourier space; holds the wave numbers and the two factors of Crank-Nicolson."""

    def __init__(self, xp: Any, n: int, viscosity: float, time_step: float, force: Array) -> None:
        self.xp, self.n, self.time_step = xp, n, time_step
        first = 2.0 * np.pi * np.fft.fftfreq(n, 1.0 / n)[:, None]
        last = 2.0 * np.pi * np.fft.rfftfreq(n, 1.0 / n)[None, :]
        square = first**2 + last**2
        inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
        limit = 2.0 * np.pi * n / 3.0
        self.kept = to_device((abs(first) < limit) & (abs(last) < limit), xp)
        # Derivatives of psi (the two velocities) and of w, ready to multiply the spectrum of w.
        self.u, self.v = to_device(1j * last * inverse, xp), to_device(-1j * first * inverse, xp)
        self.dx, self.dy = to_device(1j * first + 0.0 * last, xp), to_device(1j * last + 0.0 * first, xp)
        half = 0.5 * time_step * viscosity * square
        self.before, self.after = to_device(1.0 - half, xp), to_device(1.0 / (1.0 + half), xp)
        self.force = self.start(force)

    def start(self, field: Array) -> Array:
        """Return the spectrum of a field without its mean and without what the 2/3 rule removes."""
        spectrum = self.xp.fft.rfftn(field) * self.kept
        spectrum[0, 0] = 0.0
        return spectrum

    def slope(self, spectrum: Array) -> Array:
        """Return f - u . grad w."""
        u, v, w_x, w_y = (
            self.xp.fft.irfftn(factor * spectrum, s=(self.n, self.n), axes=(0, 1))
            for factor in (self.u, self.v, self.dx, self.dy)
        )
        return self.force - self.start(u * w_x + v * w_y)

    def step(self, spectrum: Array, previous: Array | None) -> tuple[Array, Array]:
        """Return the spectrum after one step and the slope before it."""
        slope = self.slope(spectrum)
        if previous is None:
            predicted = self._advance(spectrum, slope)
            return self._advance(spectrum, 0.5 * (slope + self.slope(predicted))), slope
        return self._advance(spectrum, 1.5 * slope - 0.5 * previous), slope

    def _advance(self, spectrum: Array, slope: Array) -> Array:
        return (self.before * spectrum + self.time_step * slope) * self.after
