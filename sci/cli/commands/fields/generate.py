"""`sci fields generate MODEL.h5 SAMPLES.h5 -o DRAWN.h5`: ensembles of fields, given others on the same domain."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from sci.cli.commands.operators.operator import fields
from sci.cli.common import chosen_namespace, load_as, parent_of
from sci.cli.estimates.needs import file_bytes, goes_on
from sci.cli.estimates.networks.fields import generation_bound, generation_needs
from sci.cli.outcome import computing, require_writable, tell_figures
from sci.cli.sharing import from_first
from sci.compression import MultiScaleVQ
from sci.distributed import agreed, rank_of, size
from sci.errors import InvalidValueError
from sci.generative import NextScaleModel, Sampling
from sci.io import load_inputs, save_samples
from sci.nn import count_parameters

__all__ = ["run"]


def run(a: argparse.Namespace) -> None:
    """Draw fields for each x and write them."""
    chosen_namespace(a, on_device=False)
    inputs = [a.model, a.input, a.codebook]
    require_writable([a.output], inputs, overwrite=a.overwrite, comm=a.comm)
    model, quantizer, x, periodic = from_first(a.comm, lambda: _read(a))
    with agreed(a.comm, "the draws"):
        one = {"temperature": a.temperature, "top_p": a.top_p}
        rule = Sampling(**{k: v[0] if v and len(v) == 1 else v for k, v in one.items() if v}, guidance=a.guidance)
        model.sample(quantizer, 0, context=x[:0], sampling=rule)  # refuses what does not fit
    members = np.repeat(x, a.members, axis=0)
    numbers = members.nbytes + len(members) * quantizer.channels * int(np.prod(quantizer.grid)) * 4.0
    fits = goes_on(
        a,
        lambda: generation_needs(model, quantizer, x, len(members), rule, size(a.comm)),
        bound=generation_bound(model, quantizer, x, len(members)),
        disk=file_bytes(numbers),
        outputs=[a.output],
        remedy="draw fewer --members",
        about={"parameters": count_parameters(model.parameters), "draws": len(members)},
    )
    if not fits:
        return
    start = time.perf_counter()
    with computing():
        codes = model.sample(quantizer, len(members), context=members, sampling=rule, seed=a.seed, comm=a.comm)
    with agreed(a.comm, "the fields"):
        if rank_of(a.comm) > 0:
            return
        drawn = np.asarray(quantizer.decode(codes), np.float32)
        save_samples(
            *(a.output, members, drawn),
            grid_axes=x.ndim - 2,
            periodic=periodic,
            command=a.command,
            overwrite=a.overwrite,
        )
    spread = drawn.reshape(len(x), a.members, *drawn.shape[1:])
    report: dict[str, Any] = {
        "output": str(a.output),
        "parent": parent_of(a.model) or "",
        "samples": len(x),
        "members": a.members,
        "size": float(np.sqrt(np.mean(drawn.astype(np.float64) ** 2))),
        "spread": float(np.sqrt(spread.var(axis=1, ddof=1).mean())) if a.members > 1 else 0.0,
        "seconds": time.perf_counter() - start,
    }
    tell_figures(a, report)


def _read(a: argparse.Namespace) -> tuple[NextScaleModel, MultiScaleVQ, np.ndarray, bool | None]:
    """Read the model, its codebook and the x of samples."""
    model = load_as(a.model, NextScaleModel, "a model of sci fields train")
    quantizer = load_as(a.codebook, MultiScaleVQ, "the codebook of its training")
    inputs = load_inputs(a.input)
    if list(model.config.conditions) != ["context"]:
        raise InvalidValueError(
            f"{a.model} takes {', '.join(model.config.conditions) or 'nothing'}; expected a model of sci fields train, "
            "which takes fields on the same domain, or draw by NextScaleModel.sample"
        )
    return model, quantizer, fields(inputs.x, len(quantizer.grid), f"{a.input}: x"), inputs.periodic
