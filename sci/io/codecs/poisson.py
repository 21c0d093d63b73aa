"""Poisson problems and their solutions in files: the mask, the right-hand side, what the solver found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sci.backend import Array, to_host
from sci.distributed import Comm, agreed, broadcast_object, rank_of
from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io.core.datasets import Group, axis_dims, read_array, read_foreign, read_text, write_array, write_text
from sci.io.core.external import external_data as allow_external
from sci.io.core.hdf5 import is_foreign, open_any, open_file
from sci.io.core.integrity import check_heaps
from sci.io.core.registry import codec
from sci.io.grids.fields import Fields
from sci.linalg import Extremes
from sci.solvers import PoissonOperator, SolveResult

__all__ = ["PoissonProblem", "load_problem"]

_LISTS = ("spacing", "boundary")
_UNITS = {"mask": "1", "neumann_body": "1"}
_BODY = ("neumann_body", "insulating")
"""Dataset of the cells with a Neumann surface: its name, and the one in files of schema 1."""


class PoissonProblem(NamedTuple):
    """An operator and a right-hand side on its grid.

    Parameters
    ----------
    A : PoissonOperator
    b : (*grid) array

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import PoissonProblem
    >>> from sci.solvers import PoissonOperator
    >>> A = PoissonOperator(np.ones((4, 4), dtype=bool))
    >>> PoissonProblem(A, np.ones((4, 4)))
    PoissonProblem on 4 x 4 cells, 16 unknowns
    """

    A: PoissonOperator
    b: Array

    def __repr__(self) -> str:
        """Return the shape of the grid and the number of unknowns."""
        return f"PoissonProblem on {' x '.join(map(str, self.b.shape))} cells, {self.A.size} unknowns"


@codec(PoissonProblem, kind="poisson", in_root=True)
class _ProblemCodec:
    """`mask` and `neumann_body` (*grid, 0 or 1), `b` (*grid), and where they are given `coefficient` and
    `reaction`; attributes `spacing` and `boundary` (JSON), `mean`."""

    compressible = ("b",)

    @staticmethod
    def write(group: Group, problem: PoissonProblem) -> None:
        A = problem.A
        if A.gathered_factors() is not None:
            raise InvalidValueError(
                "the operator has face_factors, which this file format does not hold; expected an operator without "
                "them, or keep them in a file of your own beside its mask"
            )
        write_text(group, "spacing", json.dumps(A.spacing))
        write_text(group, "boundary", json.dumps(A.boundary))
        write_text(group, "mean", A.mean)
        for name, values in _ProblemCodec._arrays(problem).items():
            write_array(group, name, values, _UNITS.get(name, ""), axis_dims(values.ndim))

    @staticmethod
    def read(group: Group) -> PoissonProblem:
        return _problem(*_ProblemCodec.parts(group))

    @staticmethod
    def parts(group: Group) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the settings in a group."""
        parts = {name: read_array(group, name, None, ("u1", "f8")) for name in _parts(group)}
        settings = {name: json.loads(read_text(group, name)) for name in _LISTS}
        settings["mean"] = read_text(group, "mean")
        return parts, settings

    @staticmethod
    def n_bytes(problem: PoissonProblem) -> int:
        """Return the size of mask, bodies, coefficient, reaction and right-hand side."""
        return 26 * int(problem.A.mask.size)

    @staticmethod
    def fields(problem: PoissonProblem) -> Fields:
        """Return mask, bodies, coefficient and right-hand side."""
        shape = tuple(problem.A.mask.shape)
        return Fields(shape, [(None, _ProblemCodec._arrays(problem))], _UNITS, tuple(problem.A.spacing))

    @staticmethod
    def _arrays(problem: PoissonProblem) -> dict[str, np.ndarray]:
        A = problem.A
        arrays = {"mask": to_host(A.mask).astype(np.uint8), _BODY[0]: to_host(A.neumann_body).astype(np.uint8)}
        if A.coefficient is not None:
            arrays["coefficient"] = to_host(A.coefficient)
        if A.reaction is not None:
            arrays["reaction"] = to_host(A.reaction)
        return {**arrays, "b": np.asarray(to_host(problem.b), dtype=np.float64)}


@codec(SolveResult, kind="solution", in_root=True)
class _SolutionCodec:
    """`x` (of the shape of b), `residual_norms` (iterations + 1); attribute `about` (JSON: seconds,
    converged, extremes)."""

    compressible = ("x",)

    @staticmethod
    def write(group: Group, result: SolveResult) -> None:
        about: dict[str, Any] = {"seconds": float(result.seconds), "converged": bool(result.converged)}
        if math.isfinite(result.condition):
            about["extremes"] = [float(value) for value in astuple(result.extremes)]
        if result.rounding:
            about["rounding"] = float(result.rounding)
        write_text(group, "about", json.dumps(about))
        norms = np.asarray(result.residual_norms, dtype=np.float64)
        write_array(group, "x", to_host(result.x), dims=axis_dims(result.x.ndim))
        write_array(group, "residual_norms", norms, dims=("iteration", "column")[: norms.ndim])

    @staticmethod
    def read(group: Group) -> SolveResult:
        about = json.loads(read_text(group, "about"))
        x, norms = read_array(group, "x", None), read_array(group, "residual_norms", None)
        if norms.ndim not in (1, 2):
            raise FileFormatError(f"residual_norms has shape {norms.shape}; expected one row an iteration")
        extremes = Extremes(*map(float, about.get("extremes", ())))
        state = bool(about["converged"]), float(about["seconds"]), extremes, float(about.get("rounding", 0))
        return SolveResult(x, len(norms) - 1, norms, *state)

    @staticmethod
    def fields(result: SolveResult) -> Fields:
        """Return the solution."""
        return Fields(tuple(result.x.shape), [(None, {"x": result.x})])


def load_problem(path: str | Path, *, comm: Comm = None, external_data: bool | None = None) -> PoissonProblem:
    """Return the operator and the right-hand side in a Poisson file of ours, or in any HDF5 file like it.

    Such a file has the datasets `mask` (true or 1 in the fluid) and `b` on one grid; optionally `neumann_body` (true in
    bodies with a Neumann surface), `coefficient` and `reaction`, and the root attributes `spacing` (a number or one for
    each axis) and `boundary` (a name, or a list as JSON, as `PoissonOperator` takes them).

    Parameters
    ----------
    path : path
    comm : mpi4py communicator, optional
        Spreads the operator over its ranks; b is this rank's block of it. Rank 0 reads, and sends the arrays to all.
    external_data : bool, optional
        Read also what lies in other files, see `load`.

    Returns
    -------
    PoissonProblem

    Raises
    ------
    FileFormatError
        For a missing or damaged file, one without what is expected, and one whose contents the operator refuses; on
        every rank.

    Notes
    -----
    Collective over `comm`.
    """
    with agreed(comm, "load_problem") as agreement:
        agreement.same(path=str(path), external_data=external_data)
    with agreed(comm, "load_problem"), allow_external(external_data):
        found = _read_parts(path) if rank_of(comm) == 0 else None
    parts, settings = broadcast_object(found, comm)
    try:
        return _problem(parts, settings, comm)
    except (SciError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from error


def _read_parts(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the settings in a file."""
    if is_foreign(path):
        check_heaps(Path(path))
        with open_any(path) as file:
            _refuse_misspelled(file)
            parts = {name: read_foreign(file, name) for name in _parts(file)}
            return parts, {name: _setting(file.attrs[name]) for name in _LISTS if name in file.attrs}
    with open_file(path, ("poisson",)) as (file, _):
        return _ProblemCodec.parts(file)


_DATASETS = ("mask", "b", *_BODY, "coefficient", "reaction")


def _parts(file: Group) -> list[str]:
    return [name for name in _DATASETS if name in file]


def _refuse_misspelled(file: Group) -> None:
    """Refuse a name close to one that is missing: left aside, it would leave another problem to be solved."""
    for what, found, known in (("dataset", file, _DATASETS), ("root attribute", file.attrs, _LISTS)):
        missing = [name for name in known if name not in found]
        for name in found:
            meant = get_close_matches(name, missing, 1) if name not in known else []
            if meant:
                raise FileFormatError(f"the {what} {name} is unknown; expected {meant[0]}: correct the name")


def _problem(parts: Mapping[str, np.ndarray], settings: dict[str, Any], comm: Comm = None) -> PoissonProblem:
    for name in ("mask", "b"):
        if name not in parts:
            raise FileFormatError(f"the dataset {name} is missing; expected mask and b on one grid")
    if parts["b"].shape != parts["mask"].shape:
        raise FileFormatError(f"b has shape {parts['b'].shape} and mask {parts['mask'].shape}; expected one grid")
    body = next((parts[name] > 0 for name in _BODY if name in parts), False)
    cells = {name: parts.get(name) for name in ("coefficient", "reaction")}
    given = {"neumann_body": body, **cells, **settings}
    operator = PoissonOperator(parts["mask"] > 0, comm=comm, **given)
    return PoissonProblem(operator, np.ascontiguousarray(parts["b"][operator.slices], dtype=np.float64))


def _setting(value: Any) -> Any:
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return json.loads(value) if value.lstrip().startswith(("[", '"')) else value
    numbers: Sequence[float] = np.asarray(value, dtype=float).reshape(-1).tolist()
    return numbers[0] if len(numbers) == 1 else numbers
