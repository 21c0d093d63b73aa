"""One right call of every public function and class of `sci.compression`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import Call, call, real

from sci import compression


def _vector() -> dict[str, Call]:
    codebook, scales = real(5, 2), [(1,), (2,)]
    smoothing = (real(1, 2, 2, 3), real(1, 2))
    quantizer = compression.MultiScaleVQ(codebook, scales, (2,), smoothing)
    fields = real(3, 1, 4)
    codes = quantizer.encode(fields)
    return {
        "MultiScaleVQ": call(compression.MultiScaleVQ, codebook, scales, patch=(2,), smoothing=smoothing),
        "MultiScaleVQ.decode": call(quantizer.decode, codes),
        "MultiScaleVQ.encode": call(quantizer.encode, fields),
        "MultiScaleVQ.fields": call(quantizer.fields, real(3, 2, 2)),
        "MultiScaleVQ.from_state": call(compression.MultiScaleVQ.from_state, quantizer.to_state()),
        "MultiScaleVQ.join": call(quantizer.join, codes),
        "MultiScaleVQ.latent": call(quantizer.latent, fields),
        "MultiScaleVQ.lift": call(quantizer.lift, codes[0], 0),
        "MultiScaleVQ.next_input": call(quantizer.next_input, real(3, 2, 2), 1),
        "MultiScaleVQ.next_inputs": call(quantizer.next_inputs, codes),
        "MultiScaleVQ.reconstructions": call(quantizer.reconstructions, codes),
        "MultiScaleVQ.relative_errors": call(quantizer.relative_errors, fields, codes),
        "MultiScaleVQ.split": call(quantizer.split, quantizer.join(codes)),
        "MultiScaleVQ.stages": call(lambda fields: list(quantizer.stages(fields)), fields),
        "MultiScaleVQ.with_grid": call(quantizer.with_grid, np.array([8])),
    }


def _fields() -> dict[str, Call]:
    field = real(6, 5, 4)
    small = compression.compress(field, 0.1)
    kept = (small.shape, small.dtype, small.method, small.data, small.tol, small.bound, small.relative)
    errors = (small.l2_error, small.maximum_error, small.l2_norm, small.value_range)
    options = {"bound": "maximum", "relative": False, "methods": ("transform",), "periodic": (1,)}
    return {
        "CompressedField": call(compression.CompressedField, *kept, *errors),
        "CompressedField.decompress": call(small.decompress),
        "compress": call(compression.compress, field, 0.1, **options),
        "dequantize": call(compression.dequantize, np.array([0, -3, 1]), 0.5, (1.1, 0.1), dtype="float32"),
        "quantize": call(compression.quantize, real(7), 0.25, rounding=0.4),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"compression": lambda: _vector() | _fields()}
