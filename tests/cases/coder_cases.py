"""Seeded integers for the kernels of the range coder, values to quantize, and fields for the kernel of wavelets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import sci
from sci.compression import dequantize
from sci.compression.coding.range_coder import decode_streams, encode_streams
from sci.compression.fields.rest import add_rest, squared_errors, take_rest
from sci.compression.quantize import quantized_sums
from sci.compression.transforms.interpolation import decode_levels, encode_levels, levels_of
from sci.compression.transforms.wavelet import lift_axis

Pair = tuple[np.ndarray, np.ndarray]


def _integers(rng: np.random.Generator, dtype: type) -> Iterator[tuple[np.ndarray, int]]:
    """Zeros, few and many integers, large ones, single planes, rows and points; one stream and several."""
    largest = 2**30 - 1 if dtype is np.int32 else 2**62 - 1
    for shape, share in (((1, 1, 1), 1), ((3, 4, 5), 2), ((5, 1, 70), 5), ((1, 1, 40), 1), ((4, 6, 17), 1)):
        for scale in (0.0, 0.1, 3.0, 1e6):
            yield np.rint(rng.laplace(size=shape) * scale).astype(dtype), share
        yield np.where(rng.random(shape) < 0.2, rng.choice([-largest, largest, 15, -14], shape), 0).astype(dtype), share


def _encode_integers(rng: np.random.Generator, itemsize: int) -> Iterator[Pair]:
    for q, share in _integers(rng, np.int32 if itemsize == 4 else np.int64):
        found = []
        for kernels in ("compiled", "reference"):
            with sci.options(kernels=kernels):
                streams = encode_streams(q, share)
                lengths = np.array([len(s) for s in streams])
                found.append(np.concatenate([lengths, *streams]).astype(float))
        yield found[0], found[1]


def _decode_integers(rng: np.random.Generator, itemsize: int) -> Iterator[Pair]:
    for q, share in _integers(rng, np.int32 if itemsize == 4 else np.int64):
        with sci.options(kernels="compiled"):
            streams = encode_streams(q, share)
        for kernels in ("compiled", "reference"):
            found = np.full_like(q, 77)
            with sci.options(kernels=kernels):
                assert decode_streams(streams, found, share)
            yield found.view(np.uint8).astype(float), q.view(np.uint8).astype(float)


def _lift_axis(rng: np.random.Generator, dtype: str, inverse: int) -> Iterator[Pair]:
    for shape in ((2,), (37,), (5, 40), (40, 3), (4, 18, 33), (3, 2, 5, 17)):
        for axis in range(len(shape)):
            field = rng.normal(size=shape).astype(dtype)
            box = tuple(n if k == axis else -(-n // 2) for k, n in enumerate(shape))
            found = []
            for kernels in ("compiled", "reference"):
                with sci.options(kernels=kernels):
                    found.append(field.copy())
                    lift_axis(found[-1], box, axis, bool(inverse))
            yield found[0], found[1]


def _quantize_values(rng: np.random.Generator, dtype: str, bits: int, write: int) -> Iterator[Pair]:
    for n in (0, 1, 15, 16, 17, 700, 3000):
        for step in (1e-3, 0.7, 40.0):
            values = rng.laplace(size=n).astype(dtype)
            found = []
            for kernels in ("compiled", "reference"):
                q = np.full(n if write else 0, 77, np.int64 if bits == 64 else np.int32)
                with sci.options(kernels=kernels):
                    sums = quantized_sums(values, step, 0.4, q, bool(write))
                found.append(np.concatenate([sums / max(n, 1), q.astype(float)]))
            yield found[0], found[1]


def _dequantize_values(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for n in (0, 1, 16, 700, 3000):
        q = np.rint(rng.laplace(size=n) * 2).astype(np.int64 if bits == 64 else np.int32)
        found = []
        for kernels in ("compiled", "reference"):
            with sci.options(kernels=kernels):
                found.append(dequantize(q, 0.3, (1.1, 0.07), dtype=np.dtype(dtype).name))
        yield found[0], found[1]


def _grids(rng: np.random.Generator, dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for shape in ((1,), (37,), (5, 40), (18, 7, 33), (3, 2, 5, 17)):
        yield (
            rng.normal(size=shape).cumsum(-1).astype(dtype),
            np.array([64, 51, *[32] * 60][: levels_of(shape)], np.int64),
        )


def _encode_stages(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for field, steps in _grids(rng, dtype):
        found = []
        for kernels in ("compiled", "reference"):
            with sci.options(kernels=kernels):
                q, x, top, square = encode_levels(field, 300.0 if bits == 32 else 3e8, steps, 0.5)
            found.append(np.concatenate([q.ravel(), x.ravel(), [top, square]]).astype(float))
        yield found[0], found[1]


def _decode_stages(rng: np.random.Generator) -> Iterator[Pair]:
    for field, steps in _grids(rng, "f8"):
        for dtype in (np.int32, np.int64):
            found = []
            for kernels in ("compiled", "reference"):
                with sci.options(kernels=kernels):
                    found.append(decode_levels(np.rint(field).astype(dtype), steps).astype(float))
            yield found[0], found[1]


def _take_rest(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for n in (0, 1, 17, 700, 5000):
        field, start = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
        found = []
        for kernels in ("compiled", "reference"):
            near = start.copy()
            with sci.options(kernels=kernels):
                q = take_rest(field, near, 0.01)
            found.append(np.concatenate([near, 0.01 * q]))
        yield found[0], found[1]


def _add_rest(rng: np.random.Generator, dtype: str, bits: int) -> Iterator[Pair]:
    for n in (0, 1, 17, 700, 5000):
        start, q = rng.normal(size=n).astype(dtype), rng.integers(-9, 9, n).astype(f"i{bits // 8}")
        found = []
        for kernels in ("compiled", "reference"):
            found.append(start.copy())
            with sci.options(kernels=kernels):
                add_rest(found[-1], q, 0.01)
        yield found[0], found[1]


def _measure_errors(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for n in (1, 2, 17, 4096, 9000):
        a, b = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
        found = []
        for kernels in ("compiled", "reference"):
            with sci.options(kernels=kernels):
                found.append(np.array(squared_errors(a, b)))
        yield found[0], found[1]


BY_DTYPE = {
    "lift_axis": _lift_axis,
    "quantize_values": _quantize_values,
    "dequantize_values": _dequantize_values,
    "encode_stages": _encode_stages,
    "take_rest": _take_rest,
    "add_rest": _add_rest,
    "measure_errors": _measure_errors,
}
CASES = {
    "encode_integers": _encode_integers,
    "decode_integers": _decode_integers,
    "decode_stages": _decode_stages,
}
