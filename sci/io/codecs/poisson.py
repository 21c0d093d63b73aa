"""Poisson problems and their solutions in files: the mask, the right-hand side, what the solver found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError
from sci.io.core.hdf5 import (
    Group,
    create,
    is_foreign,
    make_header,
    open_any,
    open_file,
    read_array,
    read_foreign,
    read_text,
    write_array,
    write_text,
)
from sci.io.core.integrity import check_heaps
from sci.solvers import PoissonOperator, SolveResult

__all__ = ["load_problem", "load_solution", "save_problem", "save_solution"]

_LISTS = ("spacing", "boundary")


def save_problem(path: str | Path, A: PoissonOperator, b: Any, *, command: str | None = None) -> None:
    """Write an operator and a right-hand side on its grid to an HDF5 file.

    Raises
    ------
    FileFormatError
        If the folder cannot be written to or the disk is full.
    """
    right = np.asarray(to_host(b), dtype=np.float64)
    with create(path, make_header("poisson", "", command), 3 * right.nbytes) as file:
        write_text(file, "spacing", json.dumps(A.spacing))
        write_text(file, "boundary", json.dumps(A.walls))
        write_text(file, "mean", A.mean)
        write_array(file, "mask", to_host(A.mask).astype(np.uint8))
        write_array(file, "insulating", to_host(A.insulating).astype(np.uint8))
        if A.coefficient is not None:
            write_array(file, "coefficient", to_host(A.coefficient))
        write_array(file, "b", right)


def load_problem(path: str | Path) -> tuple[PoissonOperator, np.ndarray]:
    """Return the operator and the right-hand side of a file of `save_problem`, or of any HDF5 file like it.

    Such a file has the datasets `mask` (true or 1 in the fluid) and `b` on one grid; if it likes, `insulating` (true in
    bodies with a Neumann surface) and `coefficient`, and the root attributes `spacing` (a number or one for each axis)
    and `boundary` (a name, or a list as JSON, as `PoissonOperator` takes them).

    Raises
    ------
    FileFormatError
        For a missing or damaged file, one without what is expected, and one whose contents the operator refuses.
    """
    if is_foreign(path):
        check_heaps(Path(path))
        with open_any(path) as file:
            parts = {name: read_foreign(file, name) for name in _parts(file)}
            settings = {name: _setting(file.attrs[name]) for name in _LISTS if name in file.attrs}
            return _operator(parts, settings)
    with open_file(path, ("poisson",)) as (file, _):
        parts = {name: read_array(file, name, None, ("u1", "f8")) for name in _parts(file)}
        settings = {name: json.loads(read_text(file, name)) for name in _LISTS}
        settings["mean"] = read_text(file, "mean")
        return _operator(parts, settings)


def _parts(file: Group) -> list[str]:
    return [name for name in ("mask", "b", "insulating", "coefficient") if name in file]


def _operator(parts: Mapping[str, np.ndarray], settings: dict[str, Any]) -> tuple[PoissonOperator, np.ndarray]:
    for name in ("mask", "b"):
        if name not in parts:
            raise FileFormatError(f"the dataset {name} is missing; expected mask and b on one grid")
    if parts["b"].shape != parts["mask"].shape:
        raise FileFormatError(f"b has shape {parts['b'].shape} and mask {parts['mask'].shape}; expected one grid")
    settings["body"] = parts["insulating"] > 0 if "insulating" in parts else "dirichlet"
    operator = PoissonOperator(parts["mask"] > 0, coefficient=parts.get("coefficient"), **settings)
    return operator, np.asarray(parts["b"], dtype=np.float64)


def save_solution(
    path: str | Path,
    result: SolveResult,
    *,
    method: str,
    setup_seconds: float,
    command: str | None = None,
    parent_uuid: str | None = None,
) -> None:
    """Write what a solver found: datasets x and residual_norms, and the method and its times as attributes.

    Raises
    ------
    FileFormatError
    """
    header = make_header("solution", "", command, parent_uuid)
    with create(path, header, int(result.x.nbytes)) as file:
        about = {"method": method, "seconds": result.seconds, "setup_seconds": setup_seconds}
        write_text(file, "about", json.dumps({**about, "converged": result.converged}))
        write_array(file, "x", to_host(result.x))
        write_array(file, "residual_norms", np.asarray(result.residual_norms, dtype=np.float64))


def load_solution(path: str | Path) -> SolveResult:
    """Return what `save_solution` wrote.

    Raises
    ------
    FileFormatError
    """
    with open_file(path, ("solution",)) as (file, _):
        about = json.loads(read_text(file, "about"))
        x, norms = read_array(file, "x", None), read_array(file, "residual_norms", (None,))
    return SolveResult(x, len(norms) - 1, norms, bool(about["converged"]), float(about["seconds"]))


def _setting(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return json.loads(value) if value.lstrip().startswith(("[", '"')) else value
    numbers: Sequence[float] = np.asarray(value, dtype=float).reshape(-1).tolist()
    return numbers[0] if len(numbers) == 1 else numbers
