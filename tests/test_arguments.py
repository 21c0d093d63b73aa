"""Entries refuse what does not fit by name, with errors of the library; a right call of each is spoiled in turn."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from atom_calls import ROOMS as ATOMS
from completion_calls import ROOMS as COMPLETION
from compression_calls import ROOMS as COMPRESSION
from entry_calls import ROOMS as FOUR_ROOMS
from entry_calls import Call
from field_calls import ROOMS as FIELDS
from generative_calls import ROOMS as GENERATIVE
from graph_calls import ROOMS as GRAPHS
from group_calls import ROOMS as GROUPS
from linalg_calls import ROOMS as LINALG
from potential_calls import ROOMS as TWO_ROOMS
from thread_ranks import ThreadComm, on_ranks
from unet_calls import ROOMS as UNETS

from sci.arguments import Computed, entry
from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, OutOfMemoryError, SciError, ShapeError
from sci.operators import FNO
from sci.potentials import Particles, RangeSeparatedPotential
from sci.problems import darcy_flow
from sci.sequence import lightning_attention

ROOMS = FOUR_ROOMS | TWO_ROOMS | LINALG | COMPLETION | FIELDS | GRAPHS | ATOMS | COMPRESSION | GENERATIVE
CALLS = {
    f"{room}.{name}": call
    for rooms in (ROOMS, UNETS, GROUPS)
    for room, make in rooms.items()
    for name, call in make().items()
}
STRANGERS: tuple[Any, ...] = (object(), "text", [[1.0], [2.0, 3.0]], {}, dict, 1j, lambda: None, b"bytes")
NUMBERS: tuple[Any, ...] = (math.nan, math.inf, -math.inf, -1, 0, 2.5, np.float32(0.5), np.int64(3), "3", True)


def spoiled(value: Any) -> Iterator[Any]:
    """Yield things that are not, or not quite, the argument `value`."""
    yield from STRANGERS
    yield None
    if isinstance(value, np.ndarray) and value.ndim:
        yield from _spoiled_array(value)
    elif isinstance(value, int | float):
        yield from NUMBERS
    elif isinstance(value, Mapping):
        yield dict.fromkeys(value)
        yield dict(list(value.items())[1:])
        yield {1: 2}
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield value[:0]
        yield value[:1]
        yield [*value, *value]
        yield ["x" for _ in value]
        yield [math.nan for _ in value]
        yield [-1 for _ in value]


def _spoiled_array(value: np.ndarray) -> Iterator[Any]:
    yield value[None]
    yield value[0]
    yield value[:0]
    yield value[..., :0]
    yield value[..., None]
    yield value.T
    yield value[..., :-1]
    yield value.ravel()
    yield value * (1 + 1j)
    for dtype in (object, str, bool, np.float16, np.int8, value.dtype.newbyteorder()):
        yield value.astype(dtype)
    for bad in (math.nan, math.inf):
        if value.dtype.kind == "f":
            yield np.where(np.arange(value.size).reshape(value.shape) == 0, bad, value).astype(value.dtype)


def outcomes(given: Call) -> Iterator[tuple[str, Any, Any, Call]]:
    """Yield place, original and spoiled argument of every call with one spoiled argument, and the call."""
    for k, value in enumerate(given.args):
        for bad in spoiled(value):
            yield (
                f"argument {k}",
                value,
                bad,
                Call(given.function, (*given.args[:k], bad, *given.args[k + 1 :]), given.options),
            )
    for name, value in given.options.items():
        for bad in spoiled(value):
            yield name, value, bad, Call(given.function, given.args, {**given.options, name: bad})


def _from_the_caller(error: Exception) -> bool:
    """Whether a function of these tests raised the error, or was called with the wrong arguments."""
    trace, files = error.__traceback__, []
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return len(files) > 1 and (files[-1].endswith("_calls.py") or "takes 0 positional arguments" in str(error))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_a_spoiled_argument_is_an_error_of_the_library(name: str) -> None:
    given = CALLS[name]
    faults = []
    for place, _, bad, call in outcomes(given):
        try:
            with np.errstate(all="ignore"):
                call.function(*copy.copy(call.args), **call.options)
        except SciError as error:
            if "expected" not in str(error) and ":" not in str(error) and ";" not in str(error):
                faults.append(f"{place} {bad!r:.60}: an unclear {type(error).__name__}: {error}")
        except Exception as error:
            if not _from_the_caller(error):
                faults.append(f"{place} {bad!r:.60}: {type(error).__name__}: {error}")
    assert not faults, "\n".join(faults)


MODULI = (
    *("nn.absolute", "nn.mean_squared_error", "nn.relative_l2", "nn.relative_h1"),
    *("nn.relative_lp", "nn.absolute_lp", "nn.relative_sobolev", "spherical.spherical_synthesis"),
    "operators.relative_errors",
)
"""Real functions of complex arguments."""


def _leaves(value: Any) -> Iterator[np.ndarray]:
    """Yield the arrays and numbers in a result."""
    if isinstance(value, np.ndarray | np.generic | float | complex):
        yield np.asarray(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _leaves(item)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_nan_and_imaginary_parts_do_not_vanish(name: str) -> None:
    """Refused, or seen in the result."""
    given = CALLS[name]
    faults = []
    for place, value, bad, call in outcomes(given):
        if not (isinstance(value, np.ndarray) and isinstance(bad, np.ndarray) and bad.dtype.kind in "fc"):
            continue
        if place == "out":  # which is overwritten
            continue
        lost = "imaginary part" if bad.dtype.kind == "c" else "NaN"
        if bad.dtype.kind == "f":
            if not np.isnan(bad).any():
                continue
            bad[...] = math.nan  # a single entry may lie where a crop, a look-up or a boundary does not look
        try:
            with np.errstate(all="ignore"):
                found = list(_leaves(call.function(*copy.copy(call.args), **call.options)))
        except SciError:
            continue
        floats = [leaf for leaf in found if leaf.dtype.kind in "fc"]
        if name in MODULI and lost[0] == "i":
            continue
        seen = any(leaf.dtype.kind == "c" if lost[0] == "i" else np.isnan(leaf).any() for leaf in floats)
        if floats and not seen:
            faults.append(f"{place}: the {lost} vanishes")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_callable_has_a_call_that_is_spoiled(room: str) -> None:
    face, calls = (
        importlib.import_module(f"sci.{room}"),
        ROOMS[room]() | UNETS.get(room, dict)() | GROUPS.get(room, dict)(),
    )
    protocols = {n for n in face.__all__ if getattr(getattr(face, n), "_is_protocol", False)}
    assert set(face.__all__) - protocols - {"RadialKernel", "Schedule", "WeightView"} <= set(calls)
    for name, call in calls.items():
        if name not in ("from_neuraloperator", "neuraloperator_state", "iteration_traffic"):  # need peers, ranks
            call.function(*call.args, **call.options)


def test_messages_name_the_argument_what_was_given_and_what_is_expected() -> None:
    @entry
    def solve(x: Sequence[float], n: int = 3, tol: float = 1e-3, best: Computed = 0.0) -> float:
        return x[0] / n

    for call, kind, text in (
        (lambda: solve([1, "2"]), DTypeError, r"solve: x\[1\] is '2'; expected a real number"),
        (lambda: solve([1], n=2.5), InvalidValueError, "solve: n is 2.5; expected an integer"),
        (lambda: solve([1], n=dict), DTypeError, "solve: n is the class dict; expected an integer"),
        (lambda: solve([1], tol=math.nan), InvalidValueError, "solve: tol is nan; expected a real number"),
        (
            lambda: solve([1], n=0),
            InvalidValueError,
            r"solve cannot take .* \(division by zero\): x \[1\], a list; n 0",
        ),
        (lambda: solve([]), InvalidValueError, r"list index out of range"),
    ):
        with pytest.raises(kind, match=text):
            call()
    assert solve((4.0,), np.int64(2), best=math.nan) == 2.0


def test_errors_of_the_callers_functions_pass_unchanged() -> None:
    @entry
    def apply(function: Any, x: float) -> Any:
        return function(x)

    def broken(x: float) -> float:
        return x + "1"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        apply(broken, 1.0)
    assert not isinstance(caught.value, SciError)
    with pytest.raises(TypeError, match="missing 1 required") as caught:
        apply(broken)  # type: ignore[call-arg]
    assert not isinstance(caught.value, SciError)


def test_a_refusal_of_a_collective_entry_reaches_all_ranks() -> None:
    from sci.solvers import PoissonOperator, cg

    def body(comm: ThreadComm) -> str:
        A = PoissonOperator(np.ones((8, 8), bool), comm=comm)
        b = np.ones(A.local_shape)
        with pytest.raises(DTypeError, match="rtol is 'small'; expected a real number") as caught:
            cg(A, b, rtol="small" if comm.rank == 1 else 1e-6)
        return str(caught.value)

    found = on_ranks(3, body)
    assert found[0] == f"rank 1: {found[1]}"


def test_shapes_that_numpy_refuses_are_shape_errors_that_show_the_arrays() -> None:
    @entry
    def product(a: Any, b: Any) -> Any:
        return np.matmul(a, b)

    with pytest.raises(ShapeError, match=r"a an array of shape \(2, 3\) and dtype float64; b an array"):
        product(np.ones((2, 3)), np.ones((2, 3)))


@entry
def _spread(x: Array, width: float, n: int) -> np.ndarray:
    """Stand for a function that takes an array, a real number and a size."""
    return np.ones(n) * width * x.sum()


def test_a_list_where_an_array_is_meant_is_refused_with_the_fix() -> None:
    for value in ([1.0, 2.0], (1.0, 2.0), 3, 0.5):
        with pytest.raises(DTypeError, match=r"x is .*; expected an array of numbers .*: pass numpy\.asarray\(x\)"):
            _spread(value, 1.0, 2)  # type: ignore[arg-type]
    with pytest.raises(DTypeError) as caught:
        _spread("ab", 1.0, 2)  # type: ignore[arg-type]
    assert "asarray" not in str(caught.value)


def test_an_integer_is_a_real_number_and_integers_are_numbers() -> None:
    assert _spread(np.arange(3), 2, 2).tolist() == [6.0, 6.0]
    q = np.random.default_rng(0).normal(size=(2, 4, 3))
    whole, real = (lightning_attention(q, q, q, np.array([1, 2], dtype))[0] for dtype in (int, float))
    np.testing.assert_array_equal(whole, real)
    _, residuals = lightning_attention.forward(q, q, q, np.array([1, 2]))
    gradient = lightning_attention.vjp((q, None), residuals)[3]
    assert gradient.dtype == np.float64
    assert (gradient != np.rint(gradient)).any()


@pytest.mark.parametrize("n", [10**30, 10**19, 10**14, 2**62])
def test_sizes_beyond_all_memory_leave_as_errors_of_ours(n: int) -> None:
    ion = Particles([[0.0, 0.0, 0.0]], [1.0])
    for call in (
        lambda: _spread(np.ones(2), 1.0, n),
        lambda: darcy_flow(n, 8),
        lambda: FNO((4, 4), 1, 1, n, 1),
        lambda: RangeSeparatedPotential(ion, 1e-3, expected_targets=n),
    ):
        with pytest.raises(SciError, match=str(n)[:8]) as caught:
            call()
        assert len(str(caught.value)) < 500


def test_what_does_not_fit_into_memory_is_a_memory_error_too() -> None:
    with pytest.raises(MemoryError, match=r"_spread takes more memory than there is .* n 100000000000000") as caught:
        _spread(np.ones(2), 1.0, 10**14)
    assert isinstance(caught.value, OutOfMemoryError)
