"""`sci sequence import CHECKPOINT -o MODEL.h5`: the model of a checkpoint of TransNormerLLM."""

from __future__ import annotations

import argparse

from sci import io
from sci.cli.outcome import require_writable, tell
from sci.cli.sharing import on_first_alone
from sci.interop.safetensors import load_transnormer

__all__ = ["run"]


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """Read the checkpoint and write the model."""
    a = arguments
    require_writable([a.output], [a.input], overwrite=a.overwrite)
    model = load_transnormer(a.input, decays=a.decays)
    io.save(a.output, model, command=a.command)
    sizes = {name: getattr(model, name) for name in ("width", "heads", "layers", "hidden", "vocabulary")}
    count = sum(p.size for p in model.parameters.values())
    report = {"input": str(a.input), "output": str(a.output), "decays": a.decays, **sizes, "parameters": count}
    tell(a, report, [(str(a.output), repr(model)), ("decays", f"those of the {a.decays}")])
