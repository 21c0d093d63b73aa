"""`sci operator sweep SAMPLES.h5 -o RUNS.csv`: trainings of several widths, rates, sizes and seeds, as a table."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.commands.operators.models import drawn_model, training_bound, training_config
from sci.cli.commands.operators.operator import fields, grid_axes, require_axes
from sci.cli.common import chosen_namespace
from sci.cli.estimates.needs import Needs, goes_on
from sci.cli.estimates.networks.operators import training_needs
from sci.cli.outcome import Failure, require_writable, say, tell
from sci.cli.sharing import from_first
from sci.distributed import agreed, rank_of, size
from sci.errors import ConvergenceError, InvalidValueError
from sci.io import Samples, load_samples
from sci.io.core.atomic_write import replacing
from sci.operators import TrainingConfig, relative_errors, train_operator, with_transposed
from sci.operators.fno.base import Operator
from sci.progress import progress

__all__ = ["run"]

COLUMNS = ("hidden", "learning_rate", "samples", "seed", "parameters", "error", "seconds")
LINE = 64.0
"""Bytes of a line of the table."""

Pair = tuple[np.ndarray, np.ndarray]


def run(a: argparse.Namespace) -> None:
    """Train all models and write the table."""
    chosen_namespace(a, on_device=False)
    require_writable([a.output], [a.input, a.test], overwrite=a.overwrite, comm=a.comm)
    samples, tests, dim = from_first(a.comm, lambda: _data(a))
    data = _pair(a.input, samples, dim)
    test = _pair(a.test, tests, dim)
    runs = [_options(a, *each) for each in _combinations(a, len(data[0]))]
    plans = [(o, drawn_model(o, *data), training_config(o, samples), _first(o, data)) for o in runs]
    if not _fits(a, plans, test):
        return
    rows: list[dict[str, float]] = []
    for own, model, config, pair in progress(plans, "runs", total=len(plans)):
        row = _trained(own, model, config, pair, test)
        if row is not None:
            rows.append(row)
        with agreed(a.comm, "the table"):
            if rows and rank_of(a.comm) == 0:
                _write(a, rows)
    if not rows:
        raise Failure(f"all of {len(plans)} runs diverged; give lower rates by --learning-rate")
    if rank_of(a.comm) == 0:
        _tell(a, rows, len(plans) - len(rows))


def _data(a: argparse.Namespace) -> tuple[Samples, Samples, int]:
    samples, tests = load_samples(a.input), load_samples(a.test)
    dim = grid_axes(a, samples)
    require_axes(a.test, tests, dim)
    return samples, tests, dim


def _pair(path: Path, samples: Samples, dim: int) -> Pair:
    x, y = (fields(v, dim, f"{path}: {n}") for n, v in zip("xy", samples))
    return x, y


def _combinations(a: argparse.Namespace, most: int) -> Iterator[tuple[int, float, int, int]]:
    """Yield width, rate, number of samples and seed of every run."""
    given = {"--hidden": a.hidden, "--learning-rate": a.learning_rate, "--samples": a.samples or [most]}
    for option, values in given.items():
        if len(set(values)) < len(values):
            raise InvalidValueError(f"{option} {' '.join(map(str, values))}: a number stands twice; give each once")
    if max(given["--samples"]) > most:
        raise InvalidValueError(f"--samples {max(given['--samples'])}: {a.input} has {most}; give at most as many")
    return itertools.product(*given.values(), range(a.seeds))


def _options(a: argparse.Namespace, hidden: int, rate: float, samples: int, seed: int) -> argparse.Namespace:
    """Return the options of one run, as `sci operator train` has them."""
    return argparse.Namespace(**{**vars(a), "hidden": hidden, "learning_rate": rate, "samples": samples, "seed": seed})


def _first(own: argparse.Namespace, data: Pair) -> Pair:
    x, y = (v[: own.samples] for v in data)
    return with_transposed(x, y) if own.transpose else (x, y)


def _fits(
    a: argparse.Namespace, plans: list[tuple[argparse.Namespace, Operator, TrainingConfig, Pair]], test: Pair
) -> bool:
    """Return True if the trainings fit into memory and disk and are to be done."""

    def needs() -> Needs:
        kinds: dict[tuple[int, int], Needs] = {}
        seconds, memory = 0.0, 0.0
        for own, model, config, pair in plans:
            kind = own.hidden, own.samples
            if kind not in kinds:
                kinds[kind] = training_needs(model, *pair, config, {}, size(a.comm))
            seconds += sum(kinds[kind].seconds.values())
            memory = max(memory, kinds[kind].memory)
        return Needs(memory, {"training": seconds})

    return goes_on(
        a,
        needs,
        bound=max(training_bound(own, model, *pair) for own, model, _, pair in plans) + 3 * test[1].nbytes,
        disk=LINE * (1 + len(plans)),
        outputs=[a.output],
        remedy="use a smaller --batch, --hidden or --layers",
        about={"runs": len(plans), "parameters": max(model.n_parameters for _, model, _, _ in plans)},
    )


def _trained(
    own: argparse.Namespace, model: Operator, config: TrainingConfig, pair: Pair, test: Pair
) -> dict[str, float] | None:
    """Return the line of one run; None, with a warning, for one that diverges."""
    begin = time.perf_counter()
    try:
        operator, _ = train_operator(
            model, *pair, config, standardize_inputs=own.standardize_inputs, seed=own.seed, comm=own.comm
        )
    except ConvergenceError as reason:
        if rank_of(own.comm) == 0:
            say("warning", f"--hidden {own.hidden}, rate {own.learning_rate:g}, seed {own.seed} is left out: {reason}")
        return None
    error = relative_errors(operator(test[0], batch_size=own.batch), test[1], periodic=config.periodic)["l2"]
    values = own.hidden, own.learning_rate, own.samples, own.seed, model.n_parameters, float(error)
    return dict(zip(COLUMNS, (*values, round(time.perf_counter() - begin, 2))))


def _write(a: argparse.Namespace, rows: list[dict[str, float]]) -> None:
    lines = [",".join(COLUMNS), *(",".join(f"{value:.9g}" for value in row.values()) for row in rows)]
    text = "\n".join(lines) + "\n"
    with replacing(a.output, len(text)) as temporary:
        temporary.write_text(text)


def _tell(a: argparse.Namespace, rows: list[dict[str, float]], diverged: int) -> None:
    """Report the mean error of each kind of run, and the best rate of each width and number of samples."""
    kinds: dict[tuple[float, float], dict[float, list[float]]] = {}
    for row in rows:
        rates = kinds.setdefault((row["hidden"], row["samples"]), {})
        rates.setdefault(row["learning_rate"], []).append(row["error"])
    report: dict[str, Any] = {"table": str(a.output), "runs": len(rows), "diverged": diverged, "kinds": []}
    lines = [("table", str(a.output)), ("runs", f"{len(rows)}" + (f", and {diverged} diverged" if diverged else ""))]
    for (hidden, samples), rates in kinds.items():
        means = {rate: float(np.mean(errors)) for rate, errors in rates.items()}
        best = min(means, key=lambda rate: means[rate])
        at_end = len(a.learning_rate) > 1 and best in (min(a.learning_rate), max(a.learning_rate))
        about: dict[str, Any] = {"hidden": int(hidden), "samples": int(samples), "rate": best, "error": means[best]}
        report["kinds"].append({**about, "means": [[rate, mean] for rate, mean in means.items()], "at_end": at_end})
        told = f"error {means[best]:.4g}"
        if len(a.learning_rate) > 1:
            told += f" at rate {best:.4g}, the best" + (", and the last that was tried: go on" if at_end else "")
        lines.append((f"hidden {hidden:g}, {samples:g} samples", told))
    tell(a, report, lines)
