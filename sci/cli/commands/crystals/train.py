"""`sci crystals train DATA -o MODEL.h5`: a diffusion model of crystals."""

from __future__ import annotations

import argparse
import time
from typing import Any

from sci.cli.common import chosen_namespace, load_as, saver_of, write_trained
from sci.cli.estimates.needs import PICTURE, file_bytes, goes_on
from sci.cli.estimates.networks.crystals import training_bound, training_needs
from sci.cli.outcome import require_writable, tell_figures
from sci.cli.sharing import from_first
from sci.distributed import agreed, size
from sci.errors import InvalidValueError
from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, CrystalTraining, train_crystals
from sci.io import read_crystals
from sci.nn import Checkpoint

__all__ = ["run"]


def run(a: argparse.Namespace) -> None:
    """Train a model of crystals and write it."""
    chosen_namespace(a, on_device=False)
    outputs = [p for p in (a.output, a.checkpoint, a.plot) if p]
    require_writable(outputs, [a.input], overwrite=a.overwrite, continued=[a.resume], comm=a.comm)
    if a.plot:
        from sci.plotting import require_matplotlib

        require_matplotlib(a.plot)
    if a.empty_weight is not None and a.compositions != "joint":
        raise InvalidValueError(
            "--empty-weight goes with --compositions joint: empty slots are known otherwise; leave it out"
        )
    crystals, resume = from_first(a.comm, lambda: _read(a))
    with agreed(a.comm, "the model"):
        model = CrystalDiffusion.create(crystals, _config(a), seed=a.seed)
    training = CrystalTraining(
        *(a.epochs, a.batch, a.learning_rate, a.shuffle_slots, a.translate),
        empty_weight=1.0 if a.empty_weight is None else a.empty_weight,
        cell_weight=a.cell_weight,
        average=a.average,
    )
    if not _fits(a, model, crystals, training):
        return

    start = time.perf_counter()
    trained, history = train_crystals(
        *(model, crystals, training),
        seed=a.seed,
        save=saver_of(a),
        resume=resume,
        comm=a.comm,
    )
    if not write_trained(a, trained, history):
        return
    report: dict[str, Any] = {
        "model": str(a.output),
        "crystals": len(crystals),
        "elements": len(model.features.elements),
        "slots": model.features.slots,
        "parameters": model.n_parameters,
        "steps": history.step,
        "loss": float(history.losses[-1]),
        "seconds": time.perf_counter() - start,
    }
    tell_figures(a, report)


def _config(a: argparse.Namespace) -> CrystalConfig:
    """Return the choices of the model."""
    unet = a.network == "unet"
    return CrystalConfig(
        a.network,
        a.widths or ((16, 32) if unet else (256,)),
        a.depth or (1 if unet else 3),
        a.steps,
        a.compositions,
        a.predicts,
        a.representation,
    )


def _read(a: argparse.Namespace) -> tuple[Crystals, Checkpoint | None]:
    """Read the crystals, and the checkpoint to go on from."""
    crystals = read_crystals(a.input)
    return crystals, load_as(a.resume, Checkpoint, "a checkpoint of a training") if a.resume else None


def _fits(a: argparse.Namespace, model: CrystalDiffusion, crystals: Crystals, training: CrystalTraining) -> bool:
    """Return True if the training fits into memory and disk and is to be done."""
    arrays, weights = len(model.parameters), float(sum(p.nbytes for p in model.parameters.values()))
    # A checkpoint has the parameters, two moments and the average; the next one is written before the last one goes.
    checkpoint = file_bytes(4 * weights, 4 * arrays) * min(a.epochs, 2) if a.checkpoint else 0.0
    return goes_on(
        a,
        lambda: training_needs(model, crystals, training, size(a.comm)),
        bound=training_bound(model, crystals, training.batch_size),
        disk=file_bytes(weights, arrays) + checkpoint + PICTURE * bool(a.plot),
        outputs=[a.output, a.checkpoint, a.plot],
        remedy="use a smaller --batch, fewer --widths, or fewer crystals",
        about={"parameters": model.n_parameters, "crystals": len(crystals)},
    )
