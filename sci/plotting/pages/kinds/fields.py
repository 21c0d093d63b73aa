"""Charts of Poisson problems and solutions, samples, smoke and composites."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError
from sci.io import SampleBlocks, read_sample_blocks
from sci.plotting.pages.charts import FRAMES, image, isosurface, lines, movie, slices, spread
from sci.plotting.pages.contents import Contents, Volume
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of

__all__: list[str] = []

CLASSES = 20
"""Classes of labels that a table lists."""
SAMPLES = 3
"""Samples that are drawn."""
PLACES = 32
"""Points along each axis at which a tri-plane field is drawn."""


@figures_of("poisson")
def _problem(contents: Contents) -> Iterator[Panel]:
    A, b = contents.object
    yield Table(
        "Problem",
        [
            ("cells", " x ".join(map(str, b.shape))),
            ("unknowns", number(A.size)),
            ("spacing", number(list(A.spacing))),
            ("boundary", json.dumps(A.boundary)),
            ("coefficient", "constant" if A.coefficient is None else f"varies, {A.mean} mean on faces"),
            ("reaction", "none" if A.reaction is None else "given"),
        ],
    )
    kinds = np.where(to_host(A.neumann_body), 2, np.where(to_host(A.mask), 0, 1))
    names = "0 fluid, 1 body (Dirichlet), 2 body (Neumann)"
    yield field_panel("Cells", kinds, names, A.spacing)
    yield field_panel("Right-hand side", to_host(b), "b", A.spacing)
    if A.coefficient is not None:
        yield field_panel("Coefficient", to_host(A.coefficient), "coefficient", A.spacing)
    if A.reaction is not None:
        yield field_panel("Reaction", to_host(A.reaction), "reaction", A.spacing)


@figures_of("solution")
def _solution(contents: Contents) -> Iterator[Panel]:
    result = contents.object
    norms = np.asarray(result.residual_norms)
    rows = [
        ("converged", number(result.converged)),
        ("iterations", number(result.iterations)),
        ("relative residual", f"{norms[-1] / norms[0]:.3e}" if len(norms) and norms[0] > 0 else "0"),
        ("condition of M A", f"{result.condition:.4g}" if np.isfinite(result.condition) else "not known"),
        ("seconds", f"{result.seconds:.4g}"),
    ]
    yield Table("Solver", rows)
    yield residual_chart("Residual by iteration", norms)
    x = to_host(result.x)
    if x.ndim in (2, 3):
        yield field_panel("Solution", x, "x (units of the problem)")
        if x.ndim == 3:
            found = isosurface("Surfaces of the solution", _indexed(x, None), "x", ("x (cell)", "y (cell)", "z (cell)"))
            yield from filter(None, [found])


@figures_of("triplane")
def _triplane(contents: Contents) -> Iterator[Panel]:
    field = contents.object
    low, high = (np.array(end) for end in field.box)
    steps = (high - low) / PLACES
    axes = [a + h * (np.arange(PLACES) + 0.5) for a, h in zip(low, steps)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    values = to_host(field(points))
    yield Table("Tri-plane field", [("box", f"{low.tolist()} to {high.tolist()}"), ("values", str(values.shape[1]))])
    yield field_panel("First value", values[:, 0].reshape((PLACES,) * 3), "value", tuple(steps))


@figures_of("labels")
def _labels(contents: Contents) -> Iterator[Panel]:
    volume = contents.object
    labels, counts = to_host(volume.labels), volume.counts
    shown = sorted(np.argsort(-counts, kind="stable")[:CLASSES])
    rows = [(str(k), str(counts[k]), f"{counts[k] / labels.size:.2%}") for k in shown if counts[k]]
    yield Table(f"The largest of {volume.classes} classes", rows, ("class", "cells", "share"))
    spacing = volume.spacing or None
    if labels.ndim == 1:
        yield lines("Labels", (np.arange(len(labels)), "x (cell)"), {"label": labels}, "label")
    else:
        yield field_panel("Labels", labels.astype("f4"), "label", spacing)


@figures_of("samples")
def _samples(contents: Contents) -> Iterator[Panel]:
    blocks = read_sample_blocks(contents.path)
    truths = None if contents.truth is None else read_sample_blocks(contents.truth)
    if truths is not None and _fields_of(truths) != _fields_of(blocks):
        raise FileFormatError(
            f"{contents.truth} has {_in_words(truths)}, and {contents.path} {_in_words(blocks)}; expected as many "
            "samples on the same grid"
        )
    yield Table(
        "Samples",
        [
            ("number", f"{number(blocks.n)}, of which {min(SAMPLES, blocks.n)} are drawn"),
            ("input", " x ".join(map(str, blocks.x_shape))),
            ("output", " x ".join(map(str, blocks.y_shape))),
            ("axes of the grid", number(blocks.grid_axes) if blocks.grid_axes else "not recorded"),
            ("periodic", "not recorded" if blocks.periodic is None else number(blocks.periodic)),
        ],
    )
    if not blocks.n:
        return
    if truths is not None:
        pairs = zip(blocks, truths)
        yield _error_table(np.concatenate([_relative_errors(a.y, b.y.reshape(a.y.shape)) for a, b in pairs]))
    first, truth = next(iter(blocks)), None if truths is None else next(iter(truths))
    for k in range(min(SAMPLES, len(first.x))):
        drawn = {"input": first.x[k], "output": first.y[k]}
        if truth is not None:
            true = truth.y[k].reshape(first.y[k].shape)
            drawn |= {"truth": true, "error": first.y[k] - true}
        yield from _sample_panels(k, drawn, blocks.grid_axes)


def _fields_of(blocks: SampleBlocks) -> tuple[Any, ...]:
    """Return the number of samples and the shapes of their fields; one channel may have an axis of its own or none."""
    shapes = (blocks.x_shape, blocks.y_shape)
    return blocks.n, *(shape[1:] if shape[:1] == (1,) and len(shape) > 1 else shape for shape in shapes)


def _in_words(blocks: SampleBlocks) -> str:
    x, y = (" x ".join(map(str, shape)) for shape in (blocks.x_shape, blocks.y_shape))
    return f"{blocks.n} samples with inputs of {x} and outputs of {y} numbers"


@figures_of("smoke")
def _smoke(contents: Contents) -> Iterator[Panel]:
    run = contents.object
    if not len(run):
        return
    chosen = [run[k] for k in spread(len(run), FRAMES)]
    rows = [
        ("frames", number(len(run))),
        ("cells", " x ".join(map(str, chosen[0].density.shape))),
        ("time", f"{run[0].time:.4g} to {run[-1].time:.4g}"),
        ("all pressures converged", number(all(frame.result.converged for frame in chosen))),
    ]
    yield Table("Smoke", rows)
    note = "" if len(chosen) == len(run) else f"{len(chosen)} of {len(run)} frames are shown."
    if chosen[0].density.ndim == 3:
        note = f"{note} The plane in the middle of the last axis is shown.".strip()
    for name in ("density", "pressure"):
        frames = [(f"{frame.time:.4g}", _middle(getattr(frame, name))) for frame in chosen]
        nx, ny = frames[0][1].shape
        axes = ((np.arange(nx), "x (cell)"), (np.arange(ny), "y (cell)"))
        yield movie(name.capitalize(), frames, *axes, f"{name} (simulation units)", slider="time", note=note)
    times = np.array([frame.time for frame in chosen])
    counts = {"iterations": np.array([float(frame.result.iterations) for frame in chosen])}
    yield lines("Iterations of the pressure by time", (times, "time"), counts, "iterations")
    yield residual_chart("Residual of the last pressure", np.asarray(chosen[-1].result.residual_norms))


@figures_of("composite")
def _composite(contents: Contents) -> Iterator[Panel]:
    yield from composite_panels(contents.object)


def composite_panels(composite: Any) -> Iterator[Panel]:
    """Yield the phases of a composite cell, and their laws."""
    phase = to_host(composite.phase)
    rows = []
    for k, law in enumerate(composite.laws):
        constants = ", ".join(f"{f.name} {number(getattr(law, f.name))}" for f in dataclass_fields(law))
        rows.append((str(k), type(law).__name__, constants, f"{float((phase == k).mean()):.2%}"))
    yield Table("Phases", rows, ("phase", "law", "constants", "share of the cell"))
    axes = [(np.arange(n), f"{name} (cell)") for n, name in zip(phase.shape, "xy")]
    yield image("Phases of the cell", phase.astype("f4"), axes[0], axes[1], "phase (number)")


def field_panel(title: str, values: np.ndarray, quantity: str, spacing: Sequence[float] | None = None) -> Panel:
    """Return a field on cells: a plane, or planes with a slider."""
    label = "cell" if spacing is None else "units of spacing"
    names = [f"{name} ({label})" for name in "xyz"]
    if values.ndim == 2:
        x, y = _places(values.shape, spacing)
        return image(title, values, (x, names[0]), (y, names[1]), quantity)
    return slices(title, _indexed(values, spacing), quantity, names)


def residual_chart(title: str, norms: np.ndarray) -> Panel:
    """Return the norm of the residual over iterations."""
    x = (np.arange(len(norms)), "iteration")
    return lines(title, x, {"residual": norms}, "norm of the residual", log=True, marks=len(norms) < 60)


def _indexed(values: np.ndarray, spacing: Sequence[float] | None) -> Volume:
    x, y, z = _places(values.shape, spacing)
    return Volume(values, (x, y, z), (1, 1, 1))


def _places(shape: Sequence[int], spacing: Sequence[float] | None) -> list[np.ndarray]:
    steps = [1.0] * len(shape) if spacing is None else list(spacing)
    return [step * np.arange(n) for n, step in zip(shape, steps)]


def _middle(values: Any) -> np.ndarray:
    found = to_host(values)
    return found if found.ndim == 2 else np.asarray(found[..., found.shape[-1] // 2])


def _relative_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the relative L2 error of each sample; the absolute one where the truth is zero."""
    axes = tuple(range(1, found.ndim))
    norms = np.sqrt((truth.astype(float) ** 2).sum(axis=axes))
    errors: np.ndarray = np.sqrt(((found.astype(float) - truth) ** 2).sum(axis=axes)) / np.where(norms > 0, norms, 1.0)
    return errors


def _error_table(errors: np.ndarray) -> Table:
    """Return mean, largest and smallest of the errors of the samples."""
    rows = [("mean", f"{errors.mean():.3e}"), ("largest", f"{errors.max():.3e} (sample {int(errors.argmax())})")]
    return Table("Relative L2 error", [*rows, ("smallest", f"{errors.min():.3e} (sample {int(errors.argmin())})")])


def _sample_panels(index: int, drawn: dict[str, np.ndarray], grid_axes: int | None) -> Iterator[Panel]:
    """Yield the fields of one sample: lines in one chart, planes side by side."""
    fields = {name: _channels(values, grid_axes) for name, values in drawn.items()}
    if all(channels[0].ndim == 1 for channels in fields.values()):
        curves: dict[str, Any] = {}
        for name, channels in fields.items():
            for c, values in enumerate(channels[:4]):
                label = name if len(channels) == 1 else f"{name}, channel {c}"
                curves[label] = (np.arange(len(values)) / max(1, len(values)), values)
        yield lines(f"Sample {index}", (np.zeros(0), "place (fraction of the grid)"), curves, "value")
        return
    for name, channels in fields.items():
        values = _middle(channels[0]) if channels[0].ndim > 1 else channels[0][:, None]
        places = [np.arange(n) / max(1, n) for n in values.shape]
        notes = ["channel 0 is shown" if len(channels) > 1 else "", "the middle plane" if channels[0].ndim == 3 else ""]
        axes = [(p, f"{axis} (fraction)") for p, axis in zip(places, "xy")]
        note = ", ".join(filter(None, notes))
        like = _of_outputs(drawn) if name in ("output", "truth") else None
        yield image(f"Sample {index}: {name}", values, axes[0], axes[1], name, note=note, like=like)


def _of_outputs(drawn: dict[str, np.ndarray]) -> np.ndarray:
    """Return output and truth, if there is one, as one array: they share their colors."""
    return np.concatenate([drawn[name].ravel() for name in ("output", "truth") if name in drawn])


def _channels(values: np.ndarray, grid_axes: int | None) -> list[np.ndarray]:
    """Return the channels of a field; without a record of the grid, three axes are taken for channel and plane."""
    if values.ndim == 0:
        return [values.reshape(1)]
    axes = min(2, values.ndim) if grid_axes is None else grid_axes
    return [values] if values.ndim <= axes else list(values.reshape(-1, *values.shape[values.ndim - axes :]))
