"""Pictures of potentials, trainings and predictions (matplotlib, imported inside)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import namespace, require_finite, to_device, to_host
from sci.distribution import install_command
from sci.errors import InvalidValueError, MissingDependencyError, ShapeError
from sci.nn import Checkpoint
from sci.potentials import LatticePotential, RangeSeparatedPotential, Trajectory, Vacancy
from sci.units import COULOMB, potential_factor

__all__ = [
    "plot_energies",
    "plot_iterations",
    "plot_plane",
    "plot_potential",
    "plot_prediction",
    "plot_training",
    "require_matplotlib",
]

POINTS = 320


def require_matplotlib(path: str | Path) -> None:
    """Raise an error where matplotlib is missing or does not write the format that `path` names.

    Raises
    ------
    MissingDependencyError, InvalidValueError
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise MissingDependencyError(f"pictures need matplotlib: {install_command('plot')}") from error
    known = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix.lstrip(".").lower() not in known:
        raise InvalidValueError(f"{path}: unknown picture format; expected a suffix among {', '.join(sorted(known))}")


def plot_potential(
    potential: RangeSeparatedPotential,
    path: str | Path,
    *,
    units: str = "e/angstrom",
    temperature: float = 298.15,
    title: str | None = None,
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

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for values that are NaN or infinite; nothing is found under `path` then.
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    factor = potential_factor(units, temperature)
    (x0, x1), (y0, y1), (z0, z1) = potential.domain
    x, y = np.linspace(x0, x1, POINTS), np.linspace(y0, y1, POINTS)
    z = np.array([(z0 + z1) / 2])
    xp = namespace(potential.long_range.core)
    axes = [to_device(v, xp) for v in (x, y, z)]
    whole = factor * to_host(potential.on_grid(*axes))[:, :, 0]
    smooth = factor * to_host(potential.long_range.on_grid(*axes))[:, :, 0]
    require_finite(whole, "the potential on the plane")
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
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
    _save(figure, path)


def _save(figure: Any, path: str | Path) -> None:
    """Write the picture, whole or not at all; it needs no display and no pyplot."""
    from sci.io.core.atomic_write import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, bbox_inches="tight", format=Path(path).suffix.lstrip(".").lower())


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
        values.T, origin="lower", extent=(x[0], x[-1], y[0], y[-1]), cmap="RdBu", vmin=-limit, vmax=limit
    )
    levels = limit * np.array([-0.75, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 0.75])
    plane.contour(x, y, values.T, levels=levels, colors="k", linewidths=0.4, alpha=0.5)
    if potential.particles is not None:
        near = to_host(potential.particles.positions)
        near = near[np.abs(near[:, 2] - z) < 1.0]
        plane.plot(near[:, 0], near[:, 1], ".", color="0.15", ms=2.5)
    plane.set(xlabel="x (Å)", ylabel="y (Å)", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    plane.set_title(f"plane z = {z:.1f} Å; dots: atoms within 1 Å", fontsize=10)
    figure.colorbar(image, ax=plane, label=f"potential ({units})", shrink=0.9, extend="both")


def plot_plane(
    potential: LatticePotential,
    path: str | Path,
    window: Any,
    z: float,
    *,
    factor: float = 1.0,
    units: str = "e/angstrom",
    title: str | None = None,
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

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for values that are NaN or infinite; nothing is found under `path` then.
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    (x0, x1), (y0, y1) = window
    x, y = np.linspace(x0, x1, POINTS), np.linspace(y0, y1, POINTS)
    xp = namespace(potential.particles.positions)
    values = factor * to_host(potential.on_grid(*(to_device(v, xp) for v in (x, y, np.array([z])))))[:, :, 0]
    require_finite(values, "the potential on the plane")
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    plane = figure.subplots()
    limit = float(np.percentile(np.abs(values), 92)) or 1.0
    image = plane.imshow(values.T, origin="lower", extent=(x0, x1, y0, y1), cmap="RdBu", vmin=-limit, vmax=limit)
    plane.contour(x, y, values.T, levels=limit * np.linspace(-0.9, 0.9, 7), colors="k", linewidths=0.4, alpha=0.5)
    for points, marker, label in _ions(potential, ((x0, x1), (y0, y1), (z - 0.05, z + 0.05))):
        plane.plot(points[:, 0], points[:, 1], marker, color="0.1", ms=6, mfc="none", ls="none", label=label)
    plane.set(xlabel="x (Å)", ylabel="y (Å)", xlim=(x0, x1), ylim=(y0, y1), title=title or "")
    plane.legend(loc="upper right", fontsize=8)
    figure.colorbar(image, ax=plane, label=f"potential ({units})", extend="both")
    _save(figure, path)


def _ions(potential: LatticePotential, slab: Any) -> list[tuple[np.ndarray, str, str]]:
    """Return the positive and negative ions in a slab, and the vacancies, with markers and names."""
    vacant = [to_host(potential.position(d.particle, d.cell)) for d in potential.defects if isinstance(d, Vacancy)]
    low, high = np.array(slab).T
    holes = np.array([p for p in vacant if (low <= p).all() and (p <= high).all()]).reshape(-1, 3)
    positions, charges = (to_host(v) for v in potential.sites_in(slab))
    found = [(positions[charges > 0], "+", "cation"), (positions[charges < 0], "o", "anion"), (holes, "s", "vacancy")]
    return [entry for entry in found if len(entry[0])]


def plot_training(checkpoint: Checkpoint, path: str | Path, *, title: str | None = None) -> None:
    """Draw the loss of every step, its mean over every epoch, and the metrics, against epochs.

    Parameters
    ----------
    checkpoint : Checkpoint
        What `sci.nn.train` returned or saved.
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for a checkpoint without a step.
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    if checkpoint.step == 0:
        raise InvalidValueError("plot_training of a checkpoint at step 0; expected one step or more")
    settings = checkpoint.settings
    steps = (
        -(-int(settings["n_samples"]) // int(settings["batch_size"])) if "n_samples" in settings else checkpoint.step
    )
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    losses = np.asarray(checkpoint.losses)
    axes.plot(np.arange(1, len(losses) + 1) / steps, losses, color="0.75", lw=0.8, label="loss of a step")
    means = [losses[k : k + steps].mean() for k in range(0, len(losses) - steps + 1, steps)]
    axes.plot(np.arange(1, len(means) + 1), means, color="tab:blue", lw=2, label="loss, mean over an epoch")
    for name, values in checkpoint.metrics.items():
        axes.plot(np.arange(1, len(values) + 1), values, lw=1.5, marker=".", label=name)
    drawn = np.concatenate([losses, *checkpoint.metrics.values()])
    axes.set(xlabel="epoch", ylabel="loss", yscale="log" if (drawn > 0).all() else "linear", title=title or "")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    _save(figure, path)


def plot_prediction(
    truth: Any, prediction: Any, path: str | Path, *, inputs: Any = None, title: str | None = None
) -> None:
    """Draw fields beside what a model predicts for them, with the error, one row a sample.

    Parameters
    ----------
    truth, prediction : (samples, *grid) arrays
        On a grid of one axis (lines), two (planes), or three (the plane through the middle of the last axis).
    path : str or Path
        Picture to write; the suffix names the format.
    inputs : (samples, *grid) array, optional
        What the model was given.
    title : str, optional

    Raises
    ------
    MissingDependencyError, FileFormatError
    ShapeError, InvalidValueError
        For shapes that differ, or values that are NaN or infinite.
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    fields = {"truth": to_host(truth), "prediction": to_host(prediction)}
    if inputs is not None:
        fields = {"input": to_host(inputs), **fields}
    for name, field in fields.items():
        if field.shape != fields["truth"].shape or not 2 <= field.ndim <= 4 or field.size == 0:
            raise ShapeError(f"plot_prediction: {name} has shape {field.shape}; expected (samples, *grid), all alike")
        require_finite(field, name)
    if fields["truth"].ndim == 4:
        fields = {name: field[..., field.shape[-1] // 2] for name, field in fields.items()}
    fields["error"] = fields["prediction"] - fields["truth"]
    rows = len(fields["error"])
    columns = 2 if fields["error"].ndim == 2 else len(fields)
    figure = Figure(figsize=(3.1 * columns, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    draw = _draw_lines if fields["error"].ndim == 2 else _draw_fields
    for k in range(rows):
        size = float(np.linalg.norm(fields["truth"][k])) or 1.0
        draw(figure, grid[k], {name: field[k] for name, field in fields.items()})
        grid[k, -1].set_title(f"error, {float(np.linalg.norm(fields['error'][k])) / size:.2%} in L2", fontsize=9)
    if title:
        figure.suptitle(title)
    _save(figure, path)


def _draw_lines(figure: Any, row: Any, fields: dict[str, np.ndarray]) -> None:
    """Draw a sample on a line: its fields on the left, the error on the right."""
    error = fields.pop("error")
    x = np.arange(len(error)) / len(error)
    for name, values in fields.items():
        row[0].plot(
            x, values, "--" if name == "prediction" else "-", label=name, color="0.6" if name == "input" else None
        )
    row[0].legend(frameon=False, fontsize=8)
    row[1].plot(x, error, color="tab:red")


def _draw_fields(figure: Any, row: Any, fields: dict[str, np.ndarray]) -> None:
    """Draw a sample on a plane: truth and prediction on one scale, the error on its own, about zero."""
    low, high = float(fields["truth"].min()), float(fields["truth"].max())
    limit = float(np.abs(fields["error"]).max()) or 1.0
    scales: dict[str, Any] = {"truth": {"vmin": low, "vmax": high}, "prediction": {"vmin": low, "vmax": high}}
    scales["error"] = {"vmin": -limit, "vmax": limit, "cmap": "RdBu"}
    for axes, (name, values) in zip(row, fields.items()):
        image = axes.imshow(values.T, origin="lower", extent=(0, 1, 0, 1), **scales.get(name, {}))
        axes.set_title(name, fontsize=9)
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
        figure.colorbar(image, ax=axes, shrink=0.85)


def plot_iterations(
    counts: Mapping[str, Sequence[tuple[int, int]]], path: str | Path, *, title: str | None = None
) -> None:
    """Draw iterations against cells a side, one line for each solver.

    Parameters
    ----------
    counts : dict of sequences of (cells a side, iterations)
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    if not counts or not all(counts.values()):
        raise InvalidValueError("plot_iterations of nothing; expected (cells, iterations) for each solver")
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, points in counts.items():
        sizes, iterations = zip(*sorted(points))
        axes.plot(sizes, iterations, "o-", label=name)
    ticks = sorted({n for points in counts.values() for n, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{n}$^3$" for n in ticks])
    axes.set_ylim(0, 1.08 * max(n for points in counts.values() for _, n in points))
    axes.set_xlabel("cells")
    axes.set_ylabel("iterations")
    axes.legend(frameon=False, fontsize=9)
    if title:
        axes.set_title(title)
    _save(figure, path)


def plot_energies(trajectory: Trajectory, path: str | Path, *, title: str | None = None) -> None:
    """Draw the energy and the largest force of each finished frame of a trajectory.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
    """
    require_matplotlib(path)
    from matplotlib.figure import Figure

    if len(trajectory.frames) == 0:
        raise InvalidValueError("plot_energies of no finished frame; expected at least one")
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(trajectory.frames, COULOMB * trajectory.energies, linewidth=1)
    above.set_ylabel("energy (eV)")
    largest = (trajectory.forces**2).sum(axis=2).max(axis=1) ** 0.5
    below.plot(trajectory.frames, COULOMB * largest, linewidth=1, color="tab:red")
    below.set_ylabel("largest force (eV/\N{ANGSTROM SIGN})")
    below.set_xlabel("frame")
    if title:
        above.set_title(title)
    _save(figure, path)
