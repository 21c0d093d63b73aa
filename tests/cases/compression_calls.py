"""One right call of every public function and class of `sci.compression`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import Call, call, real

from sci import compression, operators


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
        **_coded(quantizer, fields),
    }


def _coded(quantizer: compression.MultiScaleVQ, fields: np.ndarray) -> dict[str, Call]:
    coded = compression.encode_fields(quantizer, fields)
    made = (coded.codebook, coded.vocabulary, coded.scales, coded.patch, coded.packed, coded.rms)
    options = {"patch": (2,), "one_each": True, "zero_code": True, "rounds": 1, "seed": 1}
    return {
        "CodedFields": call(compression.CodedFields, *made, coded.relative_errors, coded.maximum_errors),
        "CodedFields.block": call(coded.block, quantizer, 1, [slice(1, 3)]),
        "CodedFields.decode": call(coded.decode, quantizer),
        "encode_fields": call(compression.encode_fields, quantizer, fields),
        "train_smoothing": call(compression.train_smoothing, quantizer, fields, convolutions=2, rounds=1),
        "train_vector_quantizer": call(compression.train_vector_quantizer, real(6, 1, 4), [(1,), (2,)], 3, **options),
        "unit_rms": call(compression.unit_rms, fields),
    }


def _fields() -> dict[str, Call]:
    field = real(6, 5, 4)
    small = compression.compress(field, 0.1)
    kept = (small.shape, small.dtype, small.method, small.data, small.tol, small.bound, small.relative)
    errors = (small.l2_error, small.maximum_error, small.l2_norm, small.value_range)
    grid = compression.compress_grid(field, 0.1, chunk=4)
    cut = (grid.shape, grid.dtype, grid.edges, grid.chunks, grid.tol, grid.bound, grid.relative, *errors)
    options = {"bound": "maximum", "relative": False, "methods": ("transform",), "periodic": (1,)}
    return {
        "CompressedField": call(compression.CompressedField, *kept, *errors),
        "CompressedField.decompress": call(small.decompress),
        "CompressedGrid": call(compression.CompressedGrid, *cut, times=np.arange(6.0)),
        "CompressedGrid.decompress": call(grid.decompress),
        "CompressedGrid.slabs": call(lambda: list(grid.slabs())),
        "compress_grid": call(compression.compress_grid, field, 0.1, chunk=(4, 5), **options),
        "compress": call(compression.compress, field, 0.1, **options),
        "dequantize": call(compression.dequantize, np.array([0, -3, 1]), 0.5, (1.1, 0.1), dtype="float32"),
        "quantize": call(compression.quantize, real(7), 0.25, rounding=0.4),
    }


def _networks() -> dict[str, Call]:
    model = operators.TrainedOperator(operators.TFNO((4, 4), 1, 1, 8, 2, tensor_rank=(8, 8, 4, 3)))
    x = real(3, 1, 8, 8).astype("f4")
    small = compression.compress_model(model, 4, x, steps=1, sweeps=1)
    kept = {"halves": small.halves, "reports": small.reports, "output_error": 0.1}
    options = {"groups": 2, "steps": 1, "sweeps": 1, "keep": [], "forward": lambda m, y: m(y), "batch_size": 2}
    return {
        "CompressedModel": call(compression.CompressedModel, small.cls, small.state, small.original, **kept),
        "CompressedModel.require": call(small.require, model),
        "WeightReport": call(compression.WeightReport, 4, 2, 0.1, 0.05, True),
        "compress_model": call(compression.compress_model, model, 4, x, comm=None, **options),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"compression": lambda: _vector() | _fields() | _networks()}
