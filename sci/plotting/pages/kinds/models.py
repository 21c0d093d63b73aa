"""Charts of models, checkpoints and training histories, and tables of what attention costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.compression import CompressedModel
from sci.nn import Checkpoint, ModelState, flatten_tree
from sci.plotting.pages.charts import bars, image, lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.kinds.fields import composite_panels
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of
from sci.sequence import TransNormer, attention_cost

__all__: list[str] = []

LAYERS = 40
"""Bars of a chart of layers."""


@figures_of(
    *("model", "learned_multigrid", "direction_network", "spd_network", "unet", "segmenter", "atomistic_potential"),
    *("next_scale_model", "marginal_model", "dense_memory", "crystal_diffusion"),
)
def _model(contents: Contents) -> Iterator[Panel]:
    found = contents.object  # files of schema 1 have models of every class under the kind "model"
    state = found if isinstance(found, ModelState) else found.to_state()
    yield Table("Architecture", [("class", state.name), *_rows(state.options)])
    yield from parameter_panels(flatten_tree(state.parameters))


@figures_of("fno", "tfno", "sfno", "uno")
def _fno(contents: Contents) -> Iterator[Panel]:
    yield from _operator_panels(contents.object)


@figures_of("trained_operator")
def _trained_operator(contents: Contents) -> Iterator[Panel]:
    trained = contents.object
    yield from _operator_panels(trained.model)
    for name, standard in (("inputs", trained.inputs), ("outputs", trained.outputs)):
        if standard is not None:
            values = [(field, _numbers(value)) for field, value in asdict(standard).items()]
            yield Table(f"Standardization of the {name}", values)


@figures_of("transnormer")
def _transnormer(contents: Contents) -> Iterator[Panel]:
    model: TransNormer = contents.object
    names = ("width", "heads", "layers", "hidden", "vocabulary")
    yield Table("Architecture", [("class", "TransNormer"), *((name, number(getattr(model, name))) for name in names)])
    yield from attention_panels(model)
    yield from parameter_panels(model.parameters)


@figures_of("checkpoint")
def _checkpoint(contents: Contents) -> Iterator[Panel]:
    found: Checkpoint = contents.object
    yield Table("Settings of the training", [("steps", number(found.step)), *_rows(found.settings)], folded=True)
    yield from training_panels(found)
    yield from parameter_panels(flatten_tree(found.parameters))


@figures_of("equino")
def _equino(contents: Contents) -> Iterator[Panel]:
    model = contents.object
    rows = [("strain range", number(model.strain_range)), ("depth", number(model.depth))]
    yield Table("EquiNO", rows)
    yield from composite_panels(model.composite)
    for branch, modes in model.modes.items():
        found = to_host(modes)
        if len(found):
            axes = [(np.arange(n), f"{axis} (cell)") for n, axis in zip(found.shape[2:], "xy")]
            note = f"Component xx of mode 0 of {len(found)}."
            title, quantity = f"First {branch} mode", f"{branch} (xx, of unit norm)"
            yield image(title, found[0, 0], axes[0], axes[1], quantity, note=note)
    yield from parameter_panels(model.parameters)


@figures_of("weight_deltas")
def _weight_deltas(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    about = [("model", f"{found.model[:16]}..."), ("deltas", number(len(found.deltas)))]
    yield Table("Deltas of a model", about)
    totals = {name: (delta.n_numbers, delta.nbytes) for name, delta in found.deltas.items()}
    rows = [(name, number(count), number(n_bytes)) for name, (count, n_bytes) in totals.items()]
    yield Table("Every delta", rows, ("name", "numbers", "bytes"), folded=len(rows) > 12)
    shown = list(totals)[:LAYERS]
    yield bars("Numbers of the deltas", shown, [totals[name][0] for name in shown], "numbers", log=True)
    weights = [
        (name, weight, change.kind, ", ".join(f"{key} {tuple(a.shape)}" for key, a in change.arrays.items()))
        for name, delta in found.deltas.items()
        for weight, change in delta.changes.items()
    ]
    columns = ("delta", "weight", "map", "arrays")
    yield Table("Every weight that changes", weights, columns, folded=len(weights) > 12)


@figures_of("compressed_model")
def _compressed_model(contents: Contents) -> Iterator[Panel]:
    found: CompressedModel = contents.object
    sizes = f"{found.nbytes:,} of {found.dense_nbytes:,} bytes, {found.ratio:.4g} times smaller"
    about = [("class", found.cls.__name__), ("bits of a code", found.bits), ("parameters", sizes)]
    yield Table("Weights as codes", [*about, ("error of outputs", f"{found.output_error:.3e}")])
    rows = [
        (
            name,
            str(r.bits),
            str(r.groups),
            f"{r.start_error:.3e}",
            f"{r.error:.3e}",
            "layer" if r.calibrated else "entries",
        )
        for name, r in found.reports.items()
    ]
    columns = ("weight", "bits", "groups", "error by k-means", "error learned", "error of")
    yield Table("Every weight of codes", rows, columns, folded=len(rows) > 12)
    shown = list(found.reports)[:LAYERS]
    if shown:
        errors = [found.reports[name].error for name in shown]
        yield bars("Error of weights of codes", shown, errors, "relative error")
    yield from parameter_panels(flatten_tree(found.parameters()))


def parameter_panels(parameters: Mapping[str, Any]) -> Iterator[Panel]:
    """Yield how many parameters each layer has, and every array."""
    counts: dict[str, int] = {}
    rows = []
    for name, array in parameters.items():
        layer = name.rpartition(".")[0] or name
        counts[layer] = counts.get(layer, 0) + int(array.size)
        host = to_host(array)
        rms = float(np.sqrt(np.mean(np.abs(host) ** 2))) if host.size else 0.0
        rows.append((name, " x ".join(map(str, host.shape)) or "1", str(host.dtype), number(host.size), f"{rms:.3e}"))
    total = sum(counts.values())
    n_bytes = sum(int(array.nbytes) for array in parameters.values())
    yield Table("Parameters", [("numbers", number(total)), ("bytes", number(n_bytes)), ("arrays", number(len(rows)))])
    largest = sorted(counts, key=lambda name: -counts[name])[:LAYERS]
    shown = [name for name in counts if name in largest]
    title = "Parameters by layer" if len(shown) == len(counts) else f"Parameters of the {LAYERS} largest layers"
    if shown:
        yield bars(title, shown, [counts[name] for name in shown], "numbers", log=True)
    yield Table("Every array", rows, ("name", "shape", "dtype", "numbers", "root mean square"), folded=len(rows) > 12)


def training_panels(found: Checkpoint) -> Iterator[Panel]:
    """Yield the losses of a training against epochs."""
    losses = np.asarray(found.losses)
    if not len(losses):
        return
    steps = epoch_steps(found)
    curves: dict[str, Any] = {"loss of a step": (np.arange(1, len(losses) + 1) / steps, losses)}
    means = [losses[k : k + steps].mean() for k in range(0, len(losses) - steps + 1, steps)]
    if 1 < len(means) < len(losses):
        curves["mean over an epoch"] = (np.arange(1, len(means) + 1), np.array(means))
    for name, values in found.metrics.items():
        curves[name] = (np.arange(1, len(values) + 1), np.asarray(values))
    label = "epoch" if steps > 1 else "step"
    yield lines("Training", (np.zeros(0), label), curves, "loss", log=True)


def epoch_steps(found: Checkpoint) -> int:
    """Return the number of steps in an epoch of a training, 1 if the checkpoint does not tell."""
    settings = found.settings
    if "n_samples" in settings and "batch_size" in settings:
        return max(1, -(-int(settings["n_samples"]) // int(settings["batch_size"])))
    epochs = max((len(values) for values in found.metrics.values()), default=0)
    return max(1, found.step // epochs) if epochs else 1


def attention_panels(model: TransNormer) -> Iterator[Panel]:
    """Yield what the model computes for a sequence, and what softmax attention of its heads costs over ranks."""
    lengths = 2.0 ** np.arange(8, 18)
    width, head_dim = model.width, model.width // model.heads
    per_token = 2 * (5 * width**2 + 3 * width * model.hidden) + 4 * width**2 / model.heads
    softmax = [attention_cost(int(n), model.heads, head_dim, causal=True).flops for n in lengths]
    curves = {
        "this model, all of it": model.layers * per_token * lengths,
        "softmax attention in its place, attention alone": model.layers * np.array(softmax),
    }
    curves = {name: values / 1e9 for name, values in curves.items()}
    yield lines("Cost of a forward pass", (lengths, "tokens"), curves, "Gflop", log=True, log_x=True, marks=True)
    rows = []
    for ranks in (1, 4, 16):
        for method in ("ring", "rsa", "ulysses") if ranks > 1 else ("ring",):
            cost = attention_cost(16384, model.heads, head_dim, ranks, method=method, causal=True)
            row = (number(ranks), method if ranks > 1 else "one process", f"{cost.flops / 1e9:.3g}")
            rows.append((*row, f"{cost.bytes_sent / 1e6:.3g}", f"{cost.memory / 1e6:.3g}"))
    columns = ("ranks", "method", "Gflop per rank", "MB sent per rank", "MB held per rank")
    yield Table("Softmax attention of one layer, 16,384 tokens, float32", rows, columns)


def _operator_panels(model: Any) -> Iterator[Panel]:
    rows = [("class", type(model).__name__), *_rows(asdict(model.config))]
    yield Table("Architecture", rows)
    yield from parameter_panels(model.parameters)


def _rows(options: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in options.items():
        shown = prefix + name.replace("_", " ")
        rows += _rows(value, f"{shown}: ") if isinstance(value, Mapping) else [(shown, number(value))]
    return rows


def _numbers(value: Any) -> str:
    array = np.asarray(value, dtype=float).ravel()
    return ", ".join(f"{v:.6g}" for v in array[:8]) + (f", ... ({len(array)} numbers)" if len(array) > 8 else "")
