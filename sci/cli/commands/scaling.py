"""`sci scaling fit|predict|plan`: power laws of losses, and what can be trained within memory and operations."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import Any

import numpy as np

from sci.backend import shape_array
from sci.cli.common import chosen_namespace
from sci.cli.estimates.limits import available_memory
from sci.cli.estimates.needs import PICTURE, duration, file_bytes, goes_on, process_bytes
from sci.cli.estimates.networks.operators import step_memory, whole_memory
from sci.cli.estimates.scaling import fit_needs, training_rate
from sci.cli.outcome import Failure, require_writable, size_in_words, tell
from sci.cli.sharing import on_first_alone
from sci.errors import InvalidValueError
from sci.io import load, read_table, save
from sci.operators import FNO, TFNO, TrainingConfig
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.parameters import parameter_shapes
from sci.scaling import (
    PowerLawFit,
    TrainingMemory,
    TrainingPlan,
    best_plan,
    compute_optimum,
    fit_power_law,
    plan_training,
)

__all__ = ["fit", "plan", "predict"]

CAUTION = 10.0
"""Factor beyond the runs from which a prediction says how far it reaches."""
WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BASE_WIDTH, BASE_LAYERS, MODES = 32, 4, 16
TRIAL_FLOPS = 2e9
"""Multiply-adds of a sample's step that a trial takes."""


@on_first_alone
def fit(a: argparse.Namespace) -> None:
    """Fit the law, and write and report it."""
    chosen_namespace(a, on_device=False)
    require_writable([p for p in (a.output, a.plot) if p], [a.input], overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    names, x, loss, runs = _columns(a)
    if a.plot and len(names) > 1:
        raise InvalidValueError(f"--plot {a.plot} with {len(names)} columns of x; a picture shows a law of one")
    settings: dict[str, Any] = {"runs": runs, "names": names, "seed": a.seed}
    if not _fits(a, lambda n: fit_power_law(x, loss, samples=n, **settings), len(loss), len(names)):
        return
    found = fit_power_law(x, loss, samples=a.samples, **settings)
    save(a.output, found, command=a.command)
    if a.plot:
        from sci.plotting import plot_law

        plot_law(found, a.plot, x_label=names[0], y_label=a.loss, title=a.input.name, overwrite=a.overwrite)
    ends = found.parameter_intervals()
    report: dict[str, Any] = {
        "file": str(a.output),
        "plot": str(a.plot) if a.plot else None,
        "runs": len(loss),
        "x": names,
        "limit": found.law.limit,
        "limit_interval": ends["limit"].tolist(),
        "exponents": list(found.law.exponents),
        "exponent_intervals": ends["exponents"].T.tolist(),
        "amplitudes": list(found.law.amplitudes),
        "references": list(found.law.references),
        "noise": float(np.median(found.noise)),
    }
    rows = [
        ("runs", f"{len(loss)}, {report['noise']:.2%} about the law"),
        ("limit", _between(found.law.limit, ends["limit"])),
        *(
            (f"exponent of {name}", _between(p, ends["exponents"][:, k]))
            for k, (name, p) in enumerate(zip(names, found.law.exponents))
        ),
        *((str(path), "") for path in (a.output, a.plot) if path),
    ]
    tell(a, report, rows)


def _fits(a: argparse.Namespace, fit: Any, runs: int, terms: int) -> bool:
    """Return True if the fit fits into memory and disk and is to be done."""
    kept = 2.0 + 2 * terms  # numbers of a resampled law
    return goes_on(
        a,
        lambda: fit_needs(fit, a.samples, runs),
        bound=8.0 * a.samples * (5 * runs + 2 * kept) + 1e6 * runs,
        disk=file_bytes(8.0 * (a.samples * kept + runs * (1 + terms)), 12) + PICTURE * bool(a.plot),
        outputs=[a.output, a.plot],
        remedy="use fewer --samples",
        about={"runs": runs},
    )


def _between(value: float, ends: np.ndarray) -> str:
    return f"{value:.6g}, 90 % from {ends[0]:.4g} to {ends[1]:.4g}"


def _columns(a: argparse.Namespace) -> tuple[list[str], np.ndarray, np.ndarray, list[int] | None]:
    """Return names and values of x, the losses, and the numbers of the runs."""
    table = read_table(a.input)
    used = [a.loss, *([] if a.run_column is None else [a.run_column])]
    names = a.x or [name for name in table if name not in used]
    for name in (*names, *used):
        if name not in table:
            raise InvalidValueError(f"{a.input}: no column {name}; its columns are {', '.join(table)}")
    if not 1 <= len(names) <= 2 or set(names) & set(used):
        raise InvalidValueError(f"{a.input}: x would be {', '.join(names) or 'nothing'}; name one or two by --x")
    x = np.stack([table[name] for name in names], axis=1)
    runs = None
    if a.run_column is not None:
        runs = [int(number) for number in table[a.run_column]]
        if (np.asarray(runs) != table[a.run_column]).any():
            raise InvalidValueError(
                f"{a.input}: column {a.run_column} holds fractions; expected the number of each run"
            )
    return names, x[:, 0] if len(names) == 1 else x, table[a.loss], runs


@on_first_alone
def predict(a: argparse.Namespace) -> None:
    """Report what a law says."""
    found = _loaded(a.law)
    terms = len(found.law.exponents)
    if a.at:
        if terms > 1 and len(a.at) != terms:
            raise InvalidValueError(f"--at has {len(a.at)} numbers; expected {terms}, one for each term of the law")
        points = [[x] for x in a.at] if terms == 1 else [a.at]
        _tell_losses(a, found, points)
    elif a.to:
        x = found.law.inverse(a.to)
        if not np.isfinite(x):
            raise InvalidValueError(f"--to {a.to:g} is not above the limit of the law, {found.law.limit:.6g}")
        tell(a, {"loss": a.to, "x": x}, [("x", f"{x:.4g}")])
    else:
        best = compute_optimum(found.law, a.operations, factor=a.factor)
        low, high = found.interval(best.size, best.samples, confidence=a.confidence)
        report = {"operations": a.operations, "size": best.size, "samples": best.samples, "loss": best.loss}
        rows = [("size", f"{best.size:.4g}"), ("samples", f"{best.samples:.4g}")]
        interval = _interval(a, best.loss, float(low), float(high))
        tell(a, {**report, "interval": [float(low), float(high)]}, [*rows, ("loss", interval)])


def _tell_losses(a: argparse.Namespace, found: PowerLawFit, points: list[list[float]]) -> None:
    report, rows = [], []
    for point in points:
        loss, (low, high) = float(found.law(*point)), found.interval(*point, confidence=a.confidence)
        measured = np.asarray(found.x).max(axis=0)
        far = float((np.asarray(point) / measured).max())
        report.append({"x": point, "loss": loss, "interval": [float(low), float(high)], "beyond": far})
        where = ", ".join(f"{name} {x:.6g}" for name, x in zip(found.names, point))
        caution = f"; {far:.3g} times beyond the runs" if far > CAUTION else ""
        rows.append((where, _interval(a, loss, float(low), float(high)) + caution))
    tell(a, {"confidence": a.confidence, "predictions": report}, rows)


def _interval(a: argparse.Namespace, loss: float, low: float, high: float) -> str:
    return f"{loss:.6g}, {a.confidence:.0%} of runs from {low:.4g} to {high:.4g}"


@on_first_alone
def plan(a: argparse.Namespace) -> None:
    """Report which sizes fit, and the best of them."""
    modes, law = _modes(a), _law_of_two(a.law)
    if a.memory is None:
        a.memory = available_memory()[0]

    data = 4.0 * a.samples * math.prod(a.grid) * (a.in_channels + a.out_channels)

    def step(options: Any, batch: int) -> tuple[int, TrainingMemory]:
        made = _outline(a, modes, options)
        taken = step_memory(made, _config(batch), batch, a.grid)
        return made.n_parameters, replace(taken, peak=int(process_bytes(whole_memory(taken, data))))

    sizes = ({"width": width, "layers": _layers(a, width)} for width in WIDTHS)
    found = plan_training(sizes, step, operations=a.budget_flops, memory=a.memory, batch=a.batch, law=law)
    if not found:
        raise Failure(
            f"a step of the smallest model, of width {WIDTHS[0]}, and {a.samples} samples do not fit into "
            f"{size_in_words(a.memory)} and {a.budget_flops:.3g} operations; give more, or use a coarser --grid, fewer "
            "--samples or --layers 1"
        )
    best = best_plan(found, float(a.samples) * a.epochs)
    trial = [p for p in found if p.memory.flops <= TRIAL_FLOPS * p.batch and p.parameters <= best.parameters]
    measured = (trial or found[:1])[-1]
    family = TFNO if a.model == "tfno" else FNO
    real = family(modes, a.in_channels, a.out_channels, measured.options["width"], measured.options["layers"])
    rate = training_rate(real, _config(measured.batch), a.grid)
    _tell_plans(a, modes, found, best, rate, measured, law)


def _config(batch: int) -> TrainingConfig:
    return TrainingConfig(epochs=1, batch_size=batch, periodic=True)


def _modes(a: argparse.Namespace) -> tuple[int, ...]:
    """Return the modes along each axis of the grid."""
    if len(a.grid) > 3:
        raise InvalidValueError(f"--grid has {len(a.grid)} axes; expected 1 to 3")
    given = a.modes or [min(MODES, n) for n in a.grid]
    given = given * len(a.grid) if len(given) == 1 else given
    if len(given) != len(a.grid) or any(m > n for m, n in zip(given, a.grid)):
        raise InvalidValueError(
            f"--modes {given} for a grid {a.grid}; expected one or one an axis, none above its points"
        )
    return tuple(given)


def _law_of_two(path: Any) -> Any:
    """Return the law in a file, of parameters and samples; None without a file."""
    if path is None:
        return None
    found = _loaded(path)
    if len(found.law.exponents) != 2:
        raise InvalidValueError(f"{path}: a law of one term; expected one of two, of parameters and of samples")
    return found.law


def _loaded(path: Any) -> PowerLawFit:
    found = load(path)
    if not isinstance(found, PowerLawFit):
        raise InvalidValueError(f"{path}: holds {type(found).__name__}; expected a law of `sci scaling fit`")
    return found


def _layers(a: argparse.Namespace, width: int) -> int:
    """Return the depth that goes with a width by compound scaling on one grid: w = s^(alpha/2), d = s^(1 - alpha)."""
    if a.layers:
        return int(a.layers)
    return max(1, round(BASE_LAYERS * float((width / BASE_WIDTH) ** (2 * (1 - a.alpha) / a.alpha))))


def _outline(a: argparse.Namespace, modes: tuple[int, ...], options: Any) -> FNO:
    """Return a model without numbers."""
    form: dict[str, Any] = {"factorization": "tucker", "rank_fraction": 0.1} if a.model == "tfno" else {}
    config = FNOConfig(modes, a.in_channels, a.out_channels, options["width"], options["layers"], **form)
    arrays = {
        name: shape_array(shape, np.complex64 if "spectral" in name and not name.endswith("bias") else np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    return FNO.of(config, arrays)


def _tell_plans(
    a: argparse.Namespace,
    modes: tuple[int, ...],
    found: tuple[TrainingPlan, ...],
    best: TrainingPlan,
    rate: float,
    measured: TrainingPlan,
    law: Any,
) -> None:
    """Report the plans."""
    plans = [_numbers(p, rate) for p in found]
    optimum = None if law is None else compute_optimum(law, a.budget_flops, factor=best.factor)
    passes = best.samples / a.samples
    report = {
        **{"model": a.model, "grid": a.grid, "modes": list(modes), "operations": a.budget_flops},
        **{"memory_bytes": a.memory, "multiply_adds_per_second": rate, "rate_of_width": measured.options["width"]},
        **{"best": _numbers(best, rate), "epochs": passes, "plans": plans},
        "optimum": None
        if optimum is None
        else {"size": optimum.size, "samples": optimum.samples, "loss": optimum.loss},
    }
    width, layers = best.options["width"], best.options["layers"]
    words = f"--hidden {width} --layers {layers} --modes {' '.join(map(str, modes))} --batch {best.batch}"
    words += f" --epochs {max(1, int(passes))}" + (" --factorization tucker --rank-fraction 0.1" * (a.model == "tfno"))
    short = "" if law or passes >= a.epochs else f", fewer than the {a.epochs} that are wanted"
    rows = [
        (
            "best",
            f"width {width}, {layers} layers, modes {' x '.join(map(str, modes))}: {best.parameters:,} parameters",
        ),
        ("steps", f"{best.steps:,} of {best.batch} samples, {passes:.3g} passes over {a.samples:,}{short}"),
        ("memory", f"{size_in_words(best.memory.peak)} of {size_in_words(a.memory)}"),
        (
            "time",
            f"about {duration(plans[found.index(best)]['seconds'])} here, at {2 * rate:.3g} operations a second, "
            f"measured at width {measured.options['width']}",
        ),
    ]
    if optimum is not None:
        rows.append(
            ("law", f"least loss {optimum.loss:.6g} at size {optimum.size:.4g} and {optimum.samples:.4g} samples")
        )
    rows += [(f"width {p.options['width']}", _words(p)) for p in found]
    rows.append(("train it", f"sci operator train SAMPLES.h5 -o MODEL.h5 {words}"))
    tell(a, report, rows)


def _numbers(p: TrainingPlan, rate: float) -> dict[str, Any]:
    return {
        **p.options,
        **{"parameters": p.parameters, "batch": p.batch, "steps": p.steps, "samples": p.samples, "loss": p.loss},
        **{"memory_bytes": p.memory.peak, "residual_bytes": p.memory.residuals, "step_multiply_adds": p.memory.flops},
        "seconds": p.memory.flops * p.steps / rate,
    }


def _words(p: TrainingPlan) -> str:
    loss = "" if p.loss is None else f", loss {p.loss:.6g}"
    return (
        f"{p.options['layers']} layers, {p.parameters:,} parameters, {p.steps:,} steps of {p.batch}, "
        f"{size_in_words(p.memory.peak)}{loss}"
    )
