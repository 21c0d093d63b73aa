"""Pictures of potentials, crystals and trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import namespace, require_finite, to_device, to_host
from sci.errors import InvalidValueError
from sci.plotting.figures import SIGNED, new_figure, require_matplotlib, save_figure
from sci.potentials import LatticePotential, RangeSeparatedPotential, Trajectory, Vacancy
from sci.units import COULOMB, potential_factor

__all__ = ["plot_energies", "plot_plane", "plot_potential"]

POINTS = 320


def plot_potential(
    potential: RangeSeparatedPotential,
    path: str | Path,
    *,
    units: str = "e/angstrom",
    temperature: float = 298.15,
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw the potential on the plane z = center, and it and its long range along the line y = center of that plane.

    Parameters
    ----------
    potential : RangeSeparatedPotential
        With particles on this rank.
    path : str or Path
        Picture to write; the suffix names the format.
    units : str
        Unit of the potential, see `sci.units`.
    temperature : float
        Kelvin, for kT/e.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for values that are NaN or infinite; nothing is found under `path` then.
    """
    require_matplotlib(path)
    factor = potential_factor(units, temperature)
    (x0, x1), (y0, y1), (z0, z1) = potential.domain
    x, y = np.linspace(x0, x1, POINTS), np.linspace(y0, y1, POINTS)
    z = np.array([(z0 + z1) / 2])
    xp = namespace(potential.long_range.core)
    axes = [to_device(v, xp) for v in (x, y, z)]
    whole = factor * to_host(potential.on_grid(*axes))[:, :, 0]
    smooth = factor * to_host(potential.long_range.on_grid(*axes))[:, :, 0]
    require_finite(whole, "the potential on the plane")
    figure = new_figure((10.5, 4.4))
    plane, profile = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_plane(figure, plane, potential, (x, y, float(z[0])), whole, units)
    middle = POINTS // 2
    profile.plot(x, whole[:, middle], color="0.45", lw=1, label="whole, 1/r near atoms")
    profile.plot(x, smooth[:, middle], color="tab:blue", lw=2, label="long range (Chebyshev-Tucker)")
    limit = 1.6 * max(float(np.percentile(np.abs(whole[:, middle]), 92)), float(np.abs(smooth[:, middle]).max()))
    profile.set(xlim=(x0, x1), ylim=(-limit, limit), xlabel="x (Å)", ylabel=f"potential ({units})")
    profile.set_title(f"along y = {y[middle]:.1f} Å, z = {z[0]:.1f} Å", fontsize=10)
    profile.axhline(0, color="0.8", lw=0.8, zorder=0)
    profile.legend(frameon=False, fontsize=8, loc="upper right")
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def plot_plane(
    potential: LatticePotential,
    path: str | Path,
    window: Any,
    z: float,
    *,
    factor: float = 1.0,
    units: str = "e/angstrom",
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Draw the potential of a crystal on a plane of constant z, with its ions and defects.

    Parameters
    ----------
    potential : LatticePotential
    path : str or Path
        Picture to write; the suffix names the format.
    window : ((x0, x1), (y0, y1))
        Part of the plane, angstrom, ascending.
    z : float, angstrom
    factor : float
        From e/angstrom to `units`.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for values that are NaN or infinite; nothing is found under `path` then.
    """
    require_matplotlib(path)
    (x0, x1), (y0, y1) = window
    x, y = np.linspace(x0, x1, POINTS), np.linspace(y0, y1, POINTS)
    xp = namespace(potential.particles.positions)
    values = factor * to_host(potential.on_grid(*(to_device(v, xp) for v in (x, y, np.array([z])))))[:, :, 0]
    require_finite(values, "the potential on the plane")
    figure = new_figure((6.4, 5.4))
    plane = figure.subplots()
    limit = float(np.percentile(np.abs(values), 92)) or 1.0
    image = plane.imshow(values.T, origin="lower", extent=(x0, x1, y0, y1), cmap=SIGNED, vmin=-limit, vmax=limit)
    plane.contour(x, y, values.T, levels=limit * np.linspace(-0.9, 0.9, 7), colors="k", linewidths=0.4, alpha=0.5)
    for points, marker, label in _ions(potential, ((x0, x1), (y0, y1), (z - 0.05, z + 0.05))):
        plane.plot(points[:, 0], points[:, 1], marker, color="0.1", ms=6, mfc="none", ls="none", label=label)
    plane.set(xlabel="x (Å)", ylabel="y (Å)", xlim=(x0, x1), ylim=(y0, y1), title=title or "")
    plane.legend(loc="upper right", fontsize=8)
    figure.colorbar(image, ax=plane, label=f"potential ({units})", extend="both")
    save_figure(figure, path, overwrite=overwrite)


def plot_energies(
    trajectory: Trajectory, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> None:
    """Draw the energy and the largest force of each finished frame of a trajectory.

    Parameters
    ----------
    trajectory : Trajectory
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
    """
    require_matplotlib(path)
    if len(trajectory.frames) == 0:
        raise InvalidValueError("plot_energies of no finished frame; expected at least one")
    figure = new_figure((6.4, 4.8))
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(trajectory.frames, COULOMB * trajectory.energies, linewidth=1)
    above.set_ylabel("energy (eV)")
    largest = (trajectory.forces**2).sum(axis=2).max(axis=1) ** 0.5
    below.plot(trajectory.frames, COULOMB * largest, linewidth=1, color="tab:red")
    below.set_ylabel("largest force (eV/\N{ANGSTROM SIGN})")
    below.set_xlabel("frame")
    if title:
        above.set_title(title)
    save_figure(figure, path, overwrite=overwrite)


def _draw_plane(
    figure: Any,
    plane: Any,
    potential: RangeSeparatedPotential,
    place: tuple[np.ndarray, np.ndarray, float],
    values: np.ndarray,
    units: str,
) -> None:
    """Draw the slice: diverging colors about zero, contours, and the atoms within 1 angstrom of it."""
    x, y, z = place
    limit = float(np.percentile(np.abs(values), 96)) or 1.0
    image = plane.imshow(
        values.T, origin="lower", extent=(x[0], x[-1], y[0], y[-1]), cmap=SIGNED, vmin=-limit, vmax=limit
    )
    levels = limit * np.array([-0.75, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 0.75])
    plane.contour(x, y, values.T, levels=levels, colors="k", linewidths=0.4, alpha=0.5)
    if potential.particles is not None:
        near = to_host(potential.particles.positions)
        near = near[np.abs(near[:, 2] - z) < 1.0]
        plane.plot(near[:, 0], near[:, 1], ".", color="0.15", ms=2.5)
    plane.set(xlabel="x (Å)", ylabel="y (Å)", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    plane.set_title(f"plane z = {z:.1f} Å; dots: atoms within 1 Å", fontsize=10)
    # The axis of the profile beside it says "potential".
    figure.colorbar(image, ax=plane, shrink=0.9, extend="both").ax.set_title(units, fontsize=9)


def _ions(potential: LatticePotential, slab: Any) -> list[tuple[np.ndarray, str, str]]:
    """Return the positive and negative ions in a slab, and the vacancies, with markers and names."""
    vacant = [to_host(potential.position(d.particle, d.cell)) for d in potential.defects if isinstance(d, Vacancy)]
    low, high = np.array(slab).T
    holes = np.array([p for p in vacant if (low <= p).all() and (p <= high).all()]).reshape(-1, 3)
    positions, charges = (to_host(v) for v in potential.sites_in(slab))
    found = [(positions[charges > 0], "+", "cation"), (positions[charges < 0], "o", "anion"), (holes, "s", "vacancy")]
    return [entry for entry in found if len(entry[0])]
