"""Pictures of trainings and of what models predict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import require_finite, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Checkpoint, CoordinateCheck
from sci.plotting.figures import SIGNED, new_figure, require_matplotlib, save_figure

__all__ = ["plot_coordinates", "plot_prediction", "plot_training"]


def plot_training(
    checkpoint: Checkpoint, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> None:
    """Draw the loss of every step, its mean over every epoch, and the metrics, against epochs.

    Parameters
    ----------
    checkpoint : Checkpoint
        What `sci.nn.train` returned or saved.
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for a checkpoint without a step.
    """
    require_matplotlib(path)
    if checkpoint.step == 0:
        raise InvalidValueError("plot_training of a checkpoint at step 0; expected one step or more")
    settings = checkpoint.settings
    steps: float = (
        -(-int(settings["n_samples"]) // int(settings["batch_size"])) if "n_samples" in settings else checkpoint.step
    )
    passes = int(settings.get("passes", 1))  # the data of a training may hold its samples several times
    steps /= passes
    figure = new_figure((6.4, 4.2))
    axes = figure.subplots()
    losses = np.asarray(checkpoint.losses)
    axes.plot(np.arange(1, len(losses) + 1) / steps, losses, color="0.75", lw=0.8, label="loss of a step")
    ends = np.rint(steps * np.arange(1, int(len(losses) / steps + 1e-9) + 1)).astype(int)
    means = [losses[a:b].mean() for a, b in zip([0, *ends], ends)]
    axes.plot(np.arange(1, len(means) + 1), means, color="tab:blue", lw=2, label="loss, mean over an epoch")
    for name, values in checkpoint.metrics.items():
        axes.plot(passes * np.arange(1, len(values) + 1), values, lw=1.5, marker=".", label=name)
    drawn = np.concatenate([losses, *checkpoint.metrics.values()])
    axes.set(xlabel="epoch", ylabel="loss", yscale="log" if (drawn > 0).all() else "linear", title=title or "")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    save_figure(figure, path, overwrite=overwrite)


def plot_coordinates(
    checks: Mapping[str, CoordinateCheck], path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> None:
    """Draw coordinate checks side by side: how far each layer's activations move, against the width.

    Parameters
    ----------
    checks : mapping of str to CoordinateCheck
        Names above the panels, such as "standard" and "maximal update", and what `sci.nn.coordinate_check` returned.
    path : str or Path
        Picture to write; the suffix names the format.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, InvalidValueError, FileFormatError
        Also for no check at all.
    """
    require_matplotlib(path)
    if not checks:
        raise InvalidValueError("plot_coordinates of no checks; expected at least one, by its name")
    layers = max(len(check.layers) for check in checks.values())
    figure = new_figure((max(4.4, 3.4 * len(checks)), 3.4 + 0.2 * layers))
    panels = figure.subplots(1, len(checks), sharey=True, squeeze=False)[0]
    for panel, (name, check) in zip(panels, checks.items()):
        for layer, changes, slope in zip(check.layers, check.changes.T, check.slopes):
            panel.plot(check.widths, changes, marker="o", ms=4, label=f"{layer}, slope {slope:.2f}")
        panel.set(xscale="log", yscale="log", xlabel="width", title=name)
        panel.set_xticks(check.widths, [str(width) for width in check.widths], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    panels[0].set_ylabel(f"change after {next(iter(checks.values())).steps} steps")
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def plot_prediction(
    truth: Any,
    prediction: Any,
    path: str | Path,
    *,
    inputs: Any = None,
    labels: tuple[str, str] = ("input", "output"),
    title: str | None = None,
    overwrite: bool = False,
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
    labels : (str, str)
        What inputs and outputs are, with units, for axes and color bars: `("a (m^2)", "u (Pa)")`.
    title : str, optional
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    MissingDependencyError, FileFormatError
    ShapeError, InvalidValueError
        For shapes that differ, or values that are NaN or infinite.
    """
    require_matplotlib(path)
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
    figure = new_figure((3.1 * columns, 2.7 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    draw = _draw_lines if fields["error"].ndim == 2 else _draw_fields
    for k in range(rows):
        size = float(np.linalg.norm(fields["truth"][k])) or 1.0
        draw(figure, grid[k], {name: field[k] for name, field in fields.items()}, labels, k == 0)
        grid[k, -1].set_title(f"error, {float(np.linalg.norm(fields['error'][k])) / size:.2%} in L2", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("x, of the length")
    if title:
        figure.suptitle(title)
    save_figure(figure, path, overwrite=overwrite)


def _draw_lines(figure: Any, row: Any, fields: dict[str, np.ndarray], labels: tuple[str, str], first: bool) -> None:
    """Draw a sample on a line: its fields on the left, the error on the right."""
    error = fields.pop("error")
    x = np.arange(len(error)) / len(error)
    for name, values in fields.items():
        row[0].plot(
            x, values, "--" if name == "prediction" else "-", label=name, color="0.6" if name == "input" else None
        )
    row[0].set_ylabel(f"{labels[0]}, {labels[1]}" if "input" in fields else labels[1])
    row[1].set_ylabel("prediction - truth")
    if first:
        row[0].legend(frameon=False, fontsize=8)
    row[1].plot(x, error, color="tab:red")


def _draw_fields(figure: Any, row: Any, fields: dict[str, np.ndarray], labels: tuple[str, str], first: bool) -> None:
    """Draw a sample on a plane: truth and prediction on one scale, the error on its own, about zero."""
    low, high = float(fields["truth"].min()), float(fields["truth"].max())
    limit = float(np.abs(fields["error"]).max()) or 1.0
    scales: dict[str, Any] = {"truth": {"vmin": low, "vmax": high}, "prediction": {"vmin": low, "vmax": high}}
    scales["error"] = {"vmin": -limit, "vmax": limit, "cmap": SIGNED}
    bars = {"input": labels[0], "prediction": labels[1], "error": "prediction - truth"}
    row[0].set_ylabel("y, of the length")
    for axes, (name, values) in zip(row, fields.items()):
        image = axes.imshow(values.T, origin="lower", extent=(0, 1, 0, 1), **scales.get(name, {}))
        axes.set_title(name if first else "", fontsize=9)
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
        if name in bars:  # that of the prediction is that of the truth beside it
            figure.colorbar(image, ax=axes, shrink=0.85, label=bars[name])
