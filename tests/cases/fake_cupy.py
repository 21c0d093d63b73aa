"""A strict stand-in for CuPy: arrays in host memory that refuse every contact with NumPy's.

Device launches really run: `RawModule` compiles the kernel's source for the host with the block size of a device.
What CuPy lacks raises here too (`_LACKING`, and `repeat` by an array).

`work` counts what a program asks of the device: launches, each array call that computes and each kernel (a call of
which CuPy makes several kernels counts once); copies from the host; and waits, where the host needs numbers.

A stream records what is asked of it between `begin_capture` and `end_capture`, and refuses waits and copies from the
host meanwhile; its graph does all of that again, into the same arrays, and counts as one launch.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from sci.kernels import every_kernel
from sci.kernels.compile import DEVICE_BLOCK, SCALARS, HostSettings, host_library

_HIDDEN = ("ctypes", "data", "__array_interface__", "__array_struct__", "__buffer__")
_LACKING = (
    "float128",
    "longdouble",
    "matrix",
    "polynomial",
    "random",
    "save",
    "vectorize",
    "block",
    "insert",
    "delete",
)


work: Counter[str] = Counter()
"""What was asked of the device: "launches", "copies" and "waits"."""
recording: list[Callable[[], Any]] | None = None
"""What a stream that captures was asked for; None if none does."""
spoiled = False
"""Whether it was asked for what it refuses."""


class CUDARuntimeError(RuntimeError):
    """What a device says of work that it cannot do."""


def _waits(kind: str = "waits") -> None:
    """Count a wait, or a copy from the host; refuse both while a stream captures."""
    global spoiled
    if recording is not None:
        spoiled = True
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
    work[kind] += 1


def _done(again: Callable[[], Any]) -> None:
    """Count a launch, which a graph repeats by a call."""
    work["launches"] += 1
    if recording is not None:
        recording.append(again)


def _made(results: Any, again: Callable[[], Any]) -> None:
    """Count the launch that made arrays, into which a graph writes what the same call makes then."""

    def write() -> None:
        for old, new in zip(_tuple(results), _tuple(again())):
            if isinstance(old, np.ndarray):
                old[...] = new

    _done(write)


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


_WAITING = ("argsort", "bincount", "flatnonzero", "lexsort", "nonzero", "sort", "unique")
"""Calls that need numbers on the host, or whose library waits for the device (Thrust's sorts)."""
_WITHOUT_WORK = ("item", "tolist", "empty", "empty_like", "result_type", "may_share_memory", "iscomplexobj")


@contextlib.contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the work of a block."""
    work.clear()
    yield work


def _computes(arguments: Any, results: Any) -> bool:
    """Tell whether a call made an array, and no view of one that it was given."""
    made = [
        r for r in (results if isinstance(results, tuple) else (results,)) if isinstance(r, np.ndarray | np.generic)
    ]
    given = [a for a in arguments if isinstance(a, np.ndarray)]
    views = (isinstance(m, np.ndarray) and any(np.may_share_memory(m, g) for g in given) for m in made)
    return bool(made) and not all(views)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value


class ndarray:
    """A device array; its numbers live in a hidden host array."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, hidden: Any) -> None:
        self._hidden = np.asarray(hidden)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("implicit copy of a device array to the host; use cupy.asnumpy")

    def __array_function__(self, function: Any, *_: object) -> Any:
        raise TypeError(f"numpy.{function.__name__} got a device array")

    def __getattr__(self, name: str) -> Any:
        if name in _HIDDEN:
            raise AttributeError(f"a device array has no {name} on the host")
        return _lift(getattr(self._hidden, name))

    def __getitem__(self, key: Any) -> ndarray:
        basic = not any(isinstance(k, (ndarray, list)) for k in (key if isinstance(key, tuple) else (key,)))
        found, inside = ndarray(self._hidden[_inside(key)]), _inside(key)
        if not basic:
            _made(found._hidden, lambda: self._hidden[inside])
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        inside, given = _inside(key), _inside(value)
        _done(lambda: self._hidden.__setitem__(inside, given))
        self._hidden[inside] = given

    def fill(self, value: Any) -> None:
        _done(lambda: self._hidden.fill(value))
        self._hidden.fill(value)

    def __len__(self) -> int:
        return len(self._hidden)

    def __iter__(self) -> Any:
        return (ndarray(row) for row in self._hidden)

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        _waits()
        if out is None:
            return self._hidden.copy()
        assert (out.shape, out.dtype) == (self._hidden.shape, self._hidden.dtype)
        out[...] = self._hidden
        return out


def _operator(name: str) -> Any:
    def apply(self: ndarray, *others: Any) -> Any:
        given, action = _inside(others), getattr(self._hidden, name)
        found = _lift(action(*given))
        _made(_inside(found), lambda: action(*given))
        return found

    return apply


def _in_place(name: str) -> Any:
    def apply(self: ndarray, other: Any) -> ndarray:
        given, action = _inside(other), getattr(self._hidden, name)
        _done(lambda: action(given))
        action(given)
        return self

    return apply


def _number(name: str) -> Any:
    def apply(self: ndarray) -> Any:
        _waits()
        return getattr(self._hidden, name)()

    return apply


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(ndarray, f"__r{_name}__", _operator(f"__r{_name}__"))
    setattr(ndarray, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("float", "int", "bool", "complex", "index"):
    setattr(ndarray, f"__{_name}__", _number(f"__{_name}__"))
ndarray.__module__ = "cupy"


def _inside(value: Any) -> Any:
    """Return the hidden arrays of device arrays; refuse host arrays."""
    if isinstance(value, ndarray):
        return value._hidden
    if isinstance(value, np.ndarray):
        raise TypeError("a host array was used where a device array is expected")
    if isinstance(value, (tuple, list)):
        return type(value)(_inside(v) for v in value)
    return value


def _lift(value: Any) -> Any:
    """Return host results as device arrays, and functions of host arrays as functions of device arrays."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(value)
    if isinstance(value, tuple) and any(isinstance(v, np.ndarray) for v in value):
        return tuple(_lift(v) for v in value)
    if not callable(value) or isinstance(value, type):
        return value

    def call(*args: Any, **kwargs: Any) -> Any:
        given, named = _inside(args), {k: _inside(v) for k, v in kwargs.items()}
        name = getattr(value, "__name__", "")
        if name in ("item", "tolist", *_WAITING):
            _waits()
        results = value(*given, **named)
        if name not in _WITHOUT_WORK:
            owner = getattr(value, "__self__", None)
            if "out" in named:
                _done(lambda: value(*given, **named))
            elif _computes(_flat((owner, *given, *named.values())), results):
                lifted = _lift(results)
                _made(_inside(lifted), lambda: value(*given, **named))
                return lifted
        return _lift(results)

    return call


def _repeat(a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
    if isinstance(repeats, ndarray):
        raise ValueError("cupy.ndarray cannot be specified as `repeats` argument")
    return ndarray(np.repeat(_inside(a), repeats, axis))


def _add() -> Any:
    """The ufunc `add`, with the method `at`."""
    add = _lift(np.add)
    add.at = lambda a, indices, b: np.add.at(_inside(a), _inside(indices), _inside(b))
    return add


def _concatenate(arrays: Any, axis: int = 0) -> ndarray:
    """Return the arrays one after the other, contiguous as CuPy makes them."""
    given = [_inside(a) for a in arrays]
    found = np.ascontiguousarray(np.concatenate(given, axis))
    lifted = ndarray(found)
    _made(lifted._hidden, lambda: np.concatenate(given, axis))
    return lifted


class _Generator:
    def __init__(self, seed: Any = None) -> None:
        self._host = np.random.default_rng(seed)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> ndarray:
        return ndarray(self._host.standard_normal(size, dtype))

    def random(self, size: Any = None, dtype: Any = np.float64) -> ndarray:
        return ndarray(self._host.random(size, dtype))


class RawModule:
    """The kernels of one source, compiled for the host with the blocks of a device."""

    def __init__(self, *, code: str, options: tuple[str, ...], name_expressions: tuple[str, ...]) -> None:
        assert f"-DSCI_BLOCK={DEVICE_BLOCK}" in options
        named = [k for k in every_kernel() if k.name in name_expressions]
        self._instances = {k.name: k for k in named if (k.folder / k.file).read_text() == code}
        assert set(self._instances) == set(name_expressions)

    def get_function(self, name: str) -> Any:
        return functools.partial(_launch, self._instances[name])


@functools.cache
def _function(kernel: Any) -> Any:
    # Nothing is timed here, so the compiler need not optimize.
    flags = ("-O0", "-USCI_BLOCK", f"-DSCI_BLOCK={DEVICE_BLOCK}")
    return host_library(kernel, HostSettings.of_now(), flags).sci_launch


def _launch(kernel: Any, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
    assert block == (DEVICE_BLOCK,)
    values = [None, ctypes.c_longlong(grid[0]), ctypes.c_int(1)]
    for parameter, value in zip(kernel.parameters, arguments):
        # CuPy passes scalars by their own dtype and does not convert, so the dtype must be right.
        if parameter.dims is None:
            assert value.dtype == parameter.dtype
            values.append(SCALARS[parameter.c_type](value))
        else:
            values.append(ctypes.c_void_p(value._hidden.ctypes.data))
    function = _function(kernel)

    def again(held: Any = arguments) -> None:  # what the pointers point to lives as long as the graph
        function(*values)

    _done(again)
    function(*values)


def _asarray(value: Any, dtype: Any = None) -> ndarray:
    if isinstance(value, ndarray):
        return value if dtype in (None, value.dtype) else ndarray(value._hidden.astype(dtype))
    _waits("copies")
    if isinstance(value, (tuple, list)):
        value = _inside(value)
    return ndarray(np.array(value, dtype))


class Stream:
    """A stream, which may capture."""

    def __init__(self, non_blocking: bool = False) -> None:
        self._entered = 0

    def __enter__(self) -> Stream:
        self._entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._entered -= 1

    def synchronize(self) -> None:
        _waits()

    def begin_capture(self, mode: int | None = None) -> None:
        global recording, spoiled
        assert self._entered, "CuPy captures the present stream"
        recording, spoiled = [], False

    def end_capture(self) -> Graph:
        global recording
        assert recording is not None
        graph, recording = Graph(recording), None
        if spoiled:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error")
        return graph


class Graph:
    """Work that was captured."""

    def __init__(self, steps: list[Callable[[], Any]]) -> None:
        self._steps = steps

    def launch(self, stream: Stream | None = None) -> None:
        assert recording is None
        work["launches"] += 1
        for step in self._steps:
            step()


class MemoryPool:
    """A pool of memory."""

    def malloc(self, size: int) -> None:
        raise NotImplementedError


def transforms() -> ModuleType:
    """Return the stand-in for `cupyx.scipy.fft`; a test puts it into `sys.modules`."""
    module = ModuleType("cupyx.scipy.fft")

    def get_fft_plan(a: ndarray, shape: Any = None, axes: Any = None, value_type: str = "C2C") -> Any:
        real = value_type == "R2C"
        assert a._hidden.flags.c_contiguous
        assert (a.dtype.kind == "f") == real
        assert a.shape == (tuple(shape) if real else (*shape[:-1], shape[-1] // 2 + 1))
        return contextlib.nullcontext()

    module.get_fft_plan = get_fft_plan  # type: ignore[attr-defined]
    return module


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _LACKING:
            raise AttributeError(name)
        return _lift(getattr(np, name))


def _part(module: ModuleType, *names: str) -> SimpleNamespace:
    return SimpleNamespace(**{name: _lift(getattr(module, name)) for name in names})


def make() -> ModuleType:
    """Return the stand-in; a test puts it into `sys.modules` as `cupy`."""
    cupy = _Module("cupy")
    cupy.__dict__.update(
        ndarray=ndarray,
        RawModule=RawModule,
        array=lambda value, dtype=None: _asarray(value, dtype).copy(),
        asarray=_asarray,
        asnumpy=lambda a: a.get() if isinstance(a, ndarray) else np.asarray(a),
        repeat=_repeat,
        concatenate=_concatenate,
        add=_add(),
        random=SimpleNamespace(default_rng=_Generator),
        linalg=_part(np.linalg, "norm", "qr", "svd", "eigh", "eigvalsh", "cholesky", "inv", "solve", "det"),
        fft=_part(np.fft, "fft", "ifft", "fftn", "ifftn", "rfft", "irfft", "rfftn", "irfftn"),
        cuda=SimpleNamespace(
            Device=lambda *number: SimpleNamespace(id=0, compute_capability="90"),
            alloc_pinned_memory=bytearray,
            get_current_stream=Stream,
            Stream=Stream,
            MemoryPool=MemoryPool,
            using_allocator=lambda allocator: contextlib.nullcontext(),
            runtime=SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=CUDARuntimeError),
        ),
    )
    return cupy
