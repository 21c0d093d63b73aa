"""Compile kernels for GPUs without one: the NVRTC library of the PyPI wheel through ctypes."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel takes of a GPU, per thread."""

    registers: int
    frame: int
    spill_stores: int
    spill_loads: int


class CompileError(Exception):
    """The compiler refused the source; holds its log."""


def find_library() -> Path | None:
    """Return the library of the wheel `nvidia-cuda-nvrtc-cu12` (or of its unversioned successor)."""
    for package in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found = sorted(Path(folder).glob("lib/libnvrtc.so.*"))
            if found:
                return found[0]
    return None


def _load() -> Any:
    path = find_library()
    assert path is not None
    return ctypes.CDLL(str(path))


def _text(function: Any, size: Any, program: ctypes.c_void_p) -> bytes:
    length = ctypes.c_size_t()
    size(program, ctypes.byref(length))
    buffer = ctypes.create_string_buffer(length.value)
    function(program, buffer)
    return buffer.raw


def compile_cubin(
    folder: Path, file: str, names: Iterable[str], arch: str, flags: Iterable[str]
) -> dict[str, Resources]:
    """Compile the instances `names` of one source to machine code; return the resources of each."""
    nvrtc, program = _load(), ctypes.c_void_p()
    headers = sorted(folder.rglob("*.h"))
    sources = [path.read_bytes() for path in headers]
    nvrtc.nvrtcCreateProgram(
        ctypes.byref(program),
        (folder / file).read_bytes(),
        file.encode(),
        len(headers),
        (ctypes.c_char_p * len(headers))(*sources),
        (ctypes.c_char_p * len(headers))(*(path.relative_to(folder).as_posix().encode() for path in headers)),
    )
    try:
        names = list(names)
        for name in names:
            nvrtc.nvrtcAddNameExpression(program, name.encode())
        options = [f.encode() for f in (*flags, f"--gpu-architecture={arch}", "--ptxas-options=-v")]
        status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = _text(nvrtc.nvrtcGetProgramLog, nvrtc.nvrtcGetProgramLogSize, program).decode()
        if status != 0:
            raise CompileError(log)
        cubin = _text(nvrtc.nvrtcGetCUBIN, nvrtc.nvrtcGetCUBINSize, program)
        assert cubin[:4] == b"\x7fELF"
        found = parse_log(log)
        return {name: found[_lowered(nvrtc, program, name)] for name in names}
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _lowered(nvrtc: Any, program: ctypes.c_void_p, name: str) -> str:
    lowered = ctypes.c_char_p()
    assert nvrtc.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(lowered)) == 0
    assert lowered.value is not None
    return lowered.value.decode()


def parse_log(log: str) -> dict[str, Resources]:
    """Read the report of `ptxas -v`: resources by mangled name."""
    pattern = (
        r"Function properties for (\w+)\s+(?:ptxas\s*\.\s*)?(\d+) bytes stack frame, "
        r"(\d+) bytes spill stores, (\d+) bytes spill loads\s+ptxas info\s*: Used (\d+) registers"
    )
    return {
        name: Resources(int(registers), int(frame), int(stores), int(loads))
        for name, frame, stores, loads, registers in re.findall(pattern, log)
    }
