"""`sci complete TABLE -o FIELD.h5 --axes NAME...`: scattered entries to a field with error bars."""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.common import chosen_namespace, parent_of
from sci.cli.estimates.complete import completion_needs
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.outcome import require_writable, tell
from sci.completion import Components, FunctionalCP, Observations, functional_cp, masked_components, observe
from sci.distributed import agreed, rank_of, size
from sci.errors import InvalidValueError
from sci.io import Quantity, read_table, save
from sci.io.codecs.analysis.completion import DRAWN
from sci.io.core.atomic_write import replacing

__all__ = ["run"]

_COLUMNS = ("mean", "deviation", "low", "high")


def run(a: argparse.Namespace) -> None:
    """Read the table, fit the field, and write and report it."""
    start = time.perf_counter()
    chosen_namespace(a, on_device=False)
    outputs = [path for path in (a.output, a.plot, a.predictions) if path]
    require_writable(outputs, [p for p in (a.input, a.at) if p], overwrite=a.overwrite, comm=a.comm)
    with agreed(a.comm, "the options of sci complete"):
        _check_options(a)
        table, values = _read(a)
        asked = None if a.at is None else read_table(a.at, columns=a.axes, texts=a.categories)
        components = masked_components(len(a.axes), a.components)
        mine = slice(rank_of(a.comm), None, size(a.comm))
    seen = observe({name: table[name][mine] for name in a.axes}, values[mine], comm=a.comm)
    with agreed(a.comm, "the places of --at"):
        _check_places(a, seen, asked)
    if not _fits(a, seen, components):
        return
    settings = {"smoothness": float(a.smoothness), "restarts": a.restarts, "maxiter": a.maxiter, "seed": a.seed}
    model = functional_cp(seen, components, **settings)
    with agreed(a.comm, "the field"):
        if rank_of(a.comm) > 0:
            return
        _write(a, model, seen, table, asked)
        tell(a, *_report(a, model, seen, time.perf_counter() - start))


def _check_options(a: argparse.Namespace) -> None:
    if not 2 <= len(set(a.axes)) == len(a.axes) <= 6:
        raise InvalidValueError(f"--axes {' '.join(a.axes)}: expected two to six different columns")
    strangers = [name for name in a.categories if name not in a.axes]
    if strangers:
        raise InvalidValueError(f"--categories {strangers[0]}: expected some of --axes {' '.join(a.axes)}")
    if (a.at is None) != (a.predictions is None):
        raise InvalidValueError("--at and --predictions belong together: places to read, and a table to write")
    if a.output.suffix == ".vtkhdf" and (a.categories or len(a.axes) > 3):
        raise InvalidValueError(f"-o {a.output}: .vtkhdf takes two or three numeric axes; name it {a.output.stem}.h5")
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
        if set(a.axes) == set(a.categories):
            raise InvalidValueError(f"--plot {a.plot}: a picture needs a numeric axis; leave it out")


def _read(a: argparse.Namespace) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of the axes, and the values."""
    if a.values is not None:
        if a.values in a.axes:
            raise InvalidValueError(f"--values {a.values} is one of --axes; expected another column")
        table = read_table(a.input, columns=[*a.axes, a.values], texts=a.categories)
        return table, table[a.values]
    table = read_table(a.input, texts=a.categories)
    rest = [name for name in table if name not in a.axes]
    missing = [name for name in a.axes if name not in table]
    if missing or len(rest) != 1:
        what = f"no column {missing[0]}" if missing else f"columns {', '.join(rest) or 'none'} beside the axes"
        raise InvalidValueError(f"{a.input}: {what}; name the axes by --axes and the values by --values")
    return table, table[rest[0]]


def _check_places(a: argparse.Namespace, seen: Observations, asked: dict[str, np.ndarray] | None) -> None:
    """Refuse categories that were not observed before the fit, not after it."""
    for axis in seen.axes:
        if asked is not None and not axis.is_ordered:
            axis.index_of(asked[axis.name])


def _fits(a: argparse.Namespace, seen: Observations, components: Components) -> bool:
    free = components.free.sum(axis=1)
    numbers = sum(n * f * (f + 1) for n, f in zip(seen.shape, free)) * a.restarts
    drawn = a.output.suffix == ".vtkhdf"
    field = 4.0 * math.prod(len(axis.regular(DRAWN)) for axis in seen.axes) if drawn else 0.0
    r, state = components.n_components, 3 * int(free.max())
    work = sum(seen.shape) * a.restarts * (8.0 * r * r + 3.0 * state * r) + 3e7 + 20.0 * len(seen.values)
    return goes_on(
        a,
        lambda: completion_needs(seen, components, float(a.smoothness), a.restarts, a.maxiter, int(field) // 4),
        bound=8.0 * (work + 6 * field),
        disk=file_bytes(8.0 * (1.05 * numbers + a.maxiter * a.restarts + field), 16 + 9 * len(seen.shape)),
        outputs=[a.output, a.plot, a.predictions],
        remedy="choose fewer --components or --restarts",
        about={"entries": seen.n_entries, "places": list(seen.shape), "components": r},
    )


def _write(
    a: argparse.Namespace,
    model: FunctionalCP,
    seen: Observations,
    table: dict[str, np.ndarray],
    asked: dict[str, np.ndarray] | None,
) -> None:
    name = next((column for column in table if column not in a.axes), "value")
    results = {"values": a.values or name, "entries": seen.n_entries}
    results["length_scales"] = {
        factor.axis.name: Quantity(factor.lengths * _range(factor.axis.places), "", ("restart", "function"))
        for factor in model.factors
        if factor.axis.is_ordered
    }
    save(a.output, model, results=results, command=a.command, parent_uuid=parent_of(a.input))
    if asked is not None:
        _write_predictions(a.predictions, model, asked, a)
    if a.plot:
        from sci.plotting import plot_completion

        whole = seen if size(a.comm) == 1 else None
        options = {"level": a.level, "quantity": results["values"], "title": a.input.name, "overwrite": a.overwrite}
        plot_completion(model, a.plot, observations=whole, **options)


def _range(places: np.ndarray) -> float:
    return float(places[-1] - places[0])


def _write_predictions(path: Path, model: FunctionalCP, asked: dict[str, np.ndarray], a: argparse.Namespace) -> None:
    found = model.predict({name: asked[name] for name in a.axes})
    columns = (found.mean, found.deviation, *found.interval(a.level))
    with replacing(path, overwrite=a.overwrite) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*a.axes, *_COLUMNS])
        texts = [[repr(float(x)) if column.dtype.kind == "f" else x for x in column] for column in columns]
        places = [[repr(float(x)) if c.dtype.kind == "f" else str(x) for x in c] for c in (asked[n] for n in a.axes)]
        writer.writerows(zip(*places, *texts))


def _sweeps(a: argparse.Namespace, model: FunctionalCP) -> str:
    """Return the number of sweeps of a fit, and whether more would have followed."""
    n = len(model.history)
    if n < max(2, a.maxiter):
        return f"{n} sweeps"
    rise = float((np.diff(model.history[-2:], axis=0) / np.abs(model.history[-1])).max())
    return f"{n} sweeps, the most of --maxiter; the bound rose by {rise:.0e} of itself in the last"


def _report(
    a: argparse.Namespace, model: FunctionalCP, seen: Observations, seconds: float
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    files = [str(path) for path in (a.output, a.predictions, a.plot) if path]
    report = {
        "input": str(a.input),
        "entries": seen.n_entries,
        "axes": {axis.name: len(axis) for axis in model.axes},
        "components": model.components.n_components,
        "restarts": len(model.noise),
        "sweeps": len(model.history),
        "deviation_of_values": model.scale,
        "left_out_rms": model.left_out_rms,
        "noise": model.noise_deviation,
        "bounds": model.bounds.tolist(),
        "files": files,
        "seconds": seconds,
    }
    share = model.left_out_rms / model.scale
    rows = [
        ("entries", f"{seen.n_entries} at {' x '.join(f'{len(x)} {x.name}' for x in model.axes)}"),
        ("model", f"{model.components.n_components} components, mean of {len(model.noise)} fits"),
        ("error", f"{model.left_out_rms:.4g} of entries left out, {share:.1%} of the deviation of the values"),
        ("noise", f"{model.noise_deviation:.4g} standard deviation"),
        ("seconds", f"{seconds:.2f}, {_sweeps(a, model)}"),
        *(("" if k else "files", name) for k, name in enumerate(files)),
    ]
    return report, rows
