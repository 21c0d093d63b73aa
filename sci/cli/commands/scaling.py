"""`sci scaling fit RUNS -o LAW.h5` and `sci scaling predict LAW.h5`: power laws of losses."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import on_first_alone
from sci.errors import InvalidValueError
from sci.io import load, read_table, save
from sci.scaling import PowerLawFit, compute_optimum, fit_power_law

__all__ = ["fit", "predict"]

CAUTION = 10.0
"""Factor beyond the runs from which a prediction says how far it reaches."""


@on_first_alone
def fit(a: argparse.Namespace) -> None:
    """Fit the law, and write and report it."""
    require_writable([p for p in (a.output, a.plot) if p], [a.input], overwrite=a.overwrite, comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    names, x, loss, runs = _columns(a)
    if a.plot and len(names) > 1:
        raise InvalidValueError(f"--plot {a.plot} with {len(names)} columns of x; a picture shows a law of one")
    found = fit_power_law(x, loss, runs=runs, names=names, samples=a.samples, seed=a.seed)
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
    found = load(a.law)
    if not isinstance(found, PowerLawFit):
        raise InvalidValueError(f"{a.law}: holds {type(found).__name__}; expected a law of `sci scaling fit`")
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
