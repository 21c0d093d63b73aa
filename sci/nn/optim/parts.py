"""Adam for many parameters at once on a device: 20 of them a launch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["Part", "adam_parts", "adam_parts_reference", "fuses"]

PARTS = 20
"""Parameters of a launch, as in kernels/nn/steps.cu."""
Part = tuple[Array, Array, Array, Array, float]
"""w, g, m, v of one dtype, flat and C-contiguous, and the factor of the rate."""


def fuses(arrays: Iterable[Array]) -> bool:
    """Return True for parameters that the kernel takes: on a device, of real or complex numbers it knows."""
    kinds = {(is_device_array(a), str(a.real.dtype)) for a in arrays}
    if len(kinds) != 1 or not kinds <= {(True, "float32"), (True, "float64")}:
        return False
    ((_, dtype),) = kinds
    return use_compiled(get_kernel("nn/steps.cu", "adam_parts", dtype), next(iter(arrays)))


def adam_parts(parts: Sequence[Part], settings: Array) -> Array:
    """Make a step of Adam for all parts in place; return 1 for each whose second moment is NaN or infinite, else 0.

    Parameters
    ----------
    parts : sequence of Part
        At least one.
    settings : (8,) float64 array
        beta1, beta2, 1 - beta1^t, sqrt(1 - beta2^t), eps, l2, keep and rate, where the parts lie.

    Returns
    -------
    (parts,) int8 array
    """
    first = parts[0][0]
    kernel = get_kernel("nn/steps.cu", "adam_parts", first.dtype)
    if not use_compiled(kernel, first):
        return adam_parts_reference(parts, settings)
    xp = namespace(first)
    odd, none = xp.zeros(len(parts), np.int8), xp.empty(0, first.dtype)
    for number, some in enumerate(_groups(parts)):
        arrays = [a for part in some for a in part[:4]] + [none] * (4 * (PARTS - len(some)))
        lengths = [a.size for a in arrays[::4]]
        rates = [part[4] for part in some] + [0.0] * (PARTS - len(some))
        blocks = max(1, sum(-(-n // (4 * block_size(first))) for n in lengths))
        launch(kernel, blocks, *arrays, settings, odd, number * PARTS, *lengths, *rates)
    return odd


def _groups(parts: Sequence[Part]) -> list[Any]:
    return [parts[k : k + PARTS] for k in range(0, len(parts), PARTS)]


def adam_parts_reference(parts: Sequence[Part], settings: Array) -> Array:
    """Reference of the kernel `adam_parts`, in array calls."""
    xp = namespace(settings)
    found = []
    for w, g, m, v, rate in parts:
        beta1, beta2, c1, c2, eps, l2, keep, whole = (settings[k].astype(w.dtype) for k in range(8))
        g = g + l2 * w
        with np.errstate(over="ignore", invalid="ignore"):  # the optimizer refuses it by name
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            w[...] = keep * w - whole * rate * m / (c1 * (xp.sqrt(v) / c2 + eps))
        found.append(~xp.isfinite(v).all())
    return xp.stack(found).astype(np.int8)
