"""A binary range coder of integers on a grid, with the magnitudes of neighbors as contexts: `coding/range_coder.cu`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.kernels import Kernel, get_kernel, launch, use_compiled

__all__ = ["coder_kernels", "decode_streams", "decode_streams_reference", "encode_streams", "encode_streams_reference"]

FILE = "coding/range_coder.cu"
CONTEXTS, UNARY, MODELS = 24, 15, 424
_ONE, _WORD = 1 << 31, (1 << 64) - 1
_LONGEST = {4: 30, 8: 62}
"""Bits of an Exp-Golomb prefix, by the bytes of an integer: magnitudes lie below 2 to that power."""

_GROWTH = 16
_EMPTY_ROW = MODELS - 1


def coder_kernels(dtype: Any) -> tuple[Kernel, Kernel]:
    """Return the kernels that encode and decode integers of `dtype`, int32 or int64."""
    size = np.dtype(dtype).itemsize
    return get_kernel(FILE, "encode_integers", dtype, size), get_kernel(FILE, "decode_integers", dtype, size)


def encode_streams(q: Array, share: int) -> list[np.ndarray]:
    """Encode integers on a grid of planes, rows and columns.

    Parameters
    ----------
    q : (planes, n1, n2) array of int32 or int64
        On the host or on a device. Magnitudes lie below 2^30 or 2^62.
    share : int
        Planes of a stream. Streams are coded on their own, and side by side.

    Returns
    -------
    list of uint8 arrays
        One for each `share` planes, on the host; the same bytes on every machine.
    """
    kernel = coder_kernels(q.dtype)[0]
    if not use_compiled(kernel, q):
        return encode_streams_reference(q, share)
    xp, streams = namespace(q), -(-q.shape[0] // share)
    room = 1024 + 2 * share * q.shape[1] * q.shape[2]
    while True:
        models, rows, steps = _state(xp, streams, q.shape)
        found, sizes = xp.empty((streams, room), np.int8), xp.empty(streams, np.int64)
        shape = (*q.shape, share, streams, rows.shape[1], room)
        launch(kernel, streams, q, steps, models, rows, found, sizes, *shape)
        lengths = to_host(sizes)
        if lengths.max(initial=0) <= room:
            return [to_host(row[:n]).view(np.uint8).copy() for row, n in zip(found, lengths.tolist())]
        room *= _GROWTH


def decode_streams(streams: list[np.ndarray], q: Array, share: int) -> bool:
    """Decode what `encode_streams` returned into `q`.

    Parameters
    ----------
    streams : list of uint8 arrays
        On the host.
    q : (planes, n1, n2) array of int32 or int64
        Is overwritten.
    share : int
        Planes of a stream, as they were encoded.

    Returns
    -------
    bool
        False where the bytes are damaged, if it shows: most damages make other numbers.
    """
    kernel = coder_kernels(q.dtype)[1]
    if not use_compiled(kernel, q):
        return decode_streams_reference(streams, q, share)
    xp = namespace(q)
    models, rows, steps = _state(xp, len(streams), q.shape)
    start = np.concatenate([[0], np.cumsum([len(s) for s in streams])]).astype(np.int64)
    data = np.concatenate([np.zeros(0, np.uint8), *streams]).view(np.int8)
    fine = xp.empty(len(streams), np.int64)
    shape = (*q.shape, share, len(streams), rows.shape[1])
    launch(kernel, len(streams), to_device(data, xp), to_device(start, xp), steps, models, rows, q, fine, *shape)
    return bool(fine.all())


def _state(xp: Any, streams: int, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return the models at their start, rows of magnitudes, and the steps of probabilities."""
    models = xp.zeros((streams, MODELS, 2), np.int32)
    models[..., 0] = _ONE // 2
    rows = xp.zeros((streams, (3 * shape[1] + 2) * (shape[2] + 2)), np.int32)
    return models, rows, to_device(learning_steps(), xp)


@functools.cache
def learning_steps() -> np.ndarray:
    """Return 2^16 / (n + 3/2), rounded down, for n bits seen."""
    return (2 * 65536 // (2 * np.arange(400) + 3)).astype(np.int32)


class _Models:
    """Probabilities that adapt."""

    def __init__(self) -> None:
        self.p, self.n, self.steps = [_ONE // 2] * MODELS, [0] * MODELS, learning_steps().tolist()

    def __repr__(self) -> str:
        return f"<{MODELS} probabilities>"

    def part(self, model: int, extent: int) -> int:
        """The part of an interval that stands for a 1."""
        return (extent >> 16) * min(max(self.p[model] >> 15, 1), 65535)

    def learn(self, model: int, bit: bool) -> None:
        """Move a probability towards a bit."""
        n = self.n[model]
        self.p[model] += ((_ONE - 1 if bit else 0) - self.p[model]) * self.steps[n] >> 16
        self.n[model] = min(n + 1, 399)


class _Writer(_Models):
    """The number that the bytes are, and the interval in which it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.extent, self.words = 0, _WORD, 0

    def bit(self, model: int, bit: bool) -> bool:
        """Write a bit by its model."""
        part = self.part(model, self.extent)
        self._narrow(0, part) if bit else self._narrow(part, self.extent - part)
        self.learn(model, bit)
        return bit

    def even_bit(self, bit: bool) -> bool:
        """Write a bit of probability one half."""
        half = self.extent >> 1
        self._narrow(half if bit else 0, half)
        return bit

    def _narrow(self, by: int, extent: int) -> None:
        self.low += by  # an integer of Python holds the whole stream, so that carries run by themselves
        self.extent = extent
        if extent >> 32 == 0:
            self.low <<= 32
            self.extent <<= 32
            self.words += 1

    def finish(self) -> np.ndarray:
        """Return the fewest bytes that lie in the interval."""
        for shift in range(56, -1, -8):
            by = -self.low % (1 << shift)
            if by < self.extent:
                data = (self.low + by).to_bytes(4 * self.words + 8, "big").rstrip(b"\0")
                return np.frombuffer(data, np.uint8)
        raise AssertionError  # a shift of 0 adds nothing, and an interval is not empty


class _Reader(_Models):
    """The place of the number in its interval."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data, self.place, self.code, self.extent = data, 8, int.from_bytes(data[:8].ljust(8, b"\0"), "big"), _WORD

    def bit(self, model: int, _: bool) -> bool:
        """Read a bit by its model."""
        part = self.part(model, self.extent)
        bit = self.code < part
        self._narrow(0, part) if bit else self._narrow(part, self.extent - part)
        self.learn(model, bit)
        return bit

    def even_bit(self, _: bool) -> bool:
        """Read a bit of probability one half."""
        half = self.extent >> 1
        bit = self.code >= half
        self._narrow(half if bit else 0, half)
        return bit

    def _narrow(self, by: int, extent: int) -> None:
        self.code -= by
        self.extent = extent
        if extent >> 32 == 0:
            self.code = self.code << 32 | int.from_bytes(self.data[self.place : self.place + 4].ljust(4, b"\0"), "big")
            self.extent <<= 32
            self.place += 4


def _pass_integers(coder: Any, q: np.ndarray, numbers: np.ndarray | None) -> bool:
    """Write the integers `numbers` to a writer, or read them into q, plane by plane; False if they are none."""
    planes, n1, n2 = q.shape
    size = np.zeros((planes + 2, n1 + 3, n2 + 3), np.int64)  # two zeros before an axis, one behind rows and columns
    for p in range(planes):
        for row in range(n1):
            i, j, own = p + 2, row + 2, slice(2, n2 + 2)
            left, right = slice(1, n2 + 1), slice(3, n2 + 3)
            near = size[i, j - 1, own] + size[i - 1, j, own]
            far = size[i, j - 1, left] + size[i, j - 1, right] + size[i, j - 2, own] + size[i - 2, j, own]
            far += size[i - 1, j, left] + size[i - 1, j, right] + size[i - 1, j - 1, own] + size[i - 1, j + 1, own]
            values = [None] * n2 if numbers is None else numbers[p, row].tolist()
            found = _pass_row(coder, values, (2 * near + far).tolist(), _LONGEST[q.itemsize])
            if found is None:
                return False
            q[p, row] = found
            size[i, j, own] = np.minimum(np.abs(np.array(found, np.int64)), 8192)
    return True


def _pass_row(coder: Any, values: list[Any], sums: list[int], longest: int) -> list[int] | None:
    if not any(sums) and coder.bit(_EMPTY_ROW, not any(values)):
        return [0] * len(values)
    found: list[int] = []
    left = left2 = 0
    for value, near in zip(values, sums):
        known = 0 if value is None else abs(value)
        s = min(near + 2 * left + left2, 8192)
        context = UNARY * (0 if s == 0 else min(max((16 * s * s // 225).bit_length(), 1), CONTEXTS - 1))
        size = 0
        while size < UNARY and coder.bit(context + size, known > size):
            size += 1
        if size == UNARY:
            rest = _pass_rest(coder, known - UNARY + 1, longest)
            if rest == 0:
                return None
            size += rest - 1
        left, left2 = min(size, 8192), left
        found.append(-size if size and coder.even_bit(value is not None and value < 0) else size)
    return found


def _pass_rest(coder: Any, rest: int, longest: int) -> int:
    """Pass a number by Exp-Golomb; 0 if its prefix is too long."""
    bits = 1
    while bits <= longest and coder.bit(UNARY * CONTEXTS + bits - 1, bits < rest.bit_length()):
        bits += 1
    if bits > longest:
        return 0
    found = 1
    for shift in range(bits - 2, -1, -1):
        found = found << 1 | coder.even_bit(bool(rest >> shift & 1))
    return found


def _of_planes(call: Callable[[int, slice], Any], planes: int, share: int) -> list[Any]:
    return [call(k, slice(first, first + share)) for k, first in enumerate(range(0, planes, share))]


def encode_streams_reference(q: Array, share: int) -> list[np.ndarray]:
    """Reference of the kernel `encode_integers`, by integers of Python."""
    numbers = to_host(q)

    def one(_: int, planes: slice) -> np.ndarray:
        writer = _Writer()
        _pass_integers(writer, np.empty_like(numbers[planes]), numbers[planes])
        return writer.finish()

    return _of_planes(one, len(numbers), share)


def decode_streams_reference(streams: list[np.ndarray], q: Array, share: int) -> bool:
    """Reference of the kernel `decode_integers`, by integers of Python."""
    found = np.zeros(q.shape, q.dtype)
    fine = _of_planes(
        lambda k, planes: _pass_integers(_Reader(streams[k].tobytes()), found[planes], None), len(found), share
    )
    q[...] = to_device(found, namespace(q))
    return all(fine)
