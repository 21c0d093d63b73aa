"""Needs of the compression of a model, from trials on few samples and few steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import WRITE_SPEED
from sci.cli.estimates.trial import attempt
from sci.compression import compress_model

__all__ = ["compression_needs"]

_STEPS, _SWEEPS, _FEW = 100, 10, 2
"""What `compress_model` makes unless it is told otherwise, and the samples of a trial."""


def compression_needs(operator: Any, bits: int, x: np.ndarray, groups: int, *, n_bytes: int | None = None) -> Needs:
    """Return the needs of a compression; with `n_bytes` those of writing that many dense bytes.

    Sums over samples take as long for each of them; steps and sweeps of a layer do not see samples.
    """
    if n_bytes is not None:
        return Needs(3.0 * n_bytes, {"write": n_bytes / WRITE_SPEED})
    run = partial(compress_model, operator, bits, groups=groups)
    few = attempt(lambda: run(samples=x[:_FEW], steps=1, sweeps=1), memory=True)
    again = attempt(lambda: run(samples=x[:_FEW], steps=1, sweeps=1))
    longer = attempt(lambda: run(samples=x[:_FEW], steps=3, sweeps=1))
    more = attempt(lambda: run(samples=x[: 3 * _FEW], steps=1, sweeps=1))
    rounds = max(0.0, longer.seconds - again.seconds) / 2
    each = max(0.0, more.seconds - again.seconds) / max(1, min(len(x), 3 * _FEW) - _FEW)
    learning = again.seconds + (_STEPS + 2 * _SWEEPS) * rounds
    batch = min(len(x), 32) / _FEW
    return Needs(few.peak * max(1.0, batch / 4), {"sums": each * len(x), "learning": learning})
