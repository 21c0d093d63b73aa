"""The input of lightning attention: flat arrays, shapes for the caller, arguments that differ between ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.linear_attention.problem import agreed_linear_problem, check_linear

Q, V, DECAY = np.ones((2, 3, 5, 4), "f2"), np.ones((2, 3, 5, 6), "f2"), np.array([0.1, 0.2, 0.3])


def test_arrays_are_flat_and_in_the_dtype_of_sums() -> None:
    problem = agreed_linear_problem(Q, Q, V, DECAY, None, "gather", None)
    assert (problem.q.shape, problem.v.shape, problem.state.shape) == ((6, 5, 4), (6, 5, 6), (6, 4, 6))
    assert {a.dtype.name for a in (problem.q, problem.v, problem.decay, problem.state)} == {"float32"}
    assert problem.dtypes == (np.dtype("f2"), np.dtype("f8"))
    assert not problem.given
    assert problem.unflatten(problem.v).shape == V.shape == problem.shape_of(problem.v)
    assert problem.flat(None, problem.v).dtype == np.float32
    assert (problem.flat(V, problem.v) == 1).all()
    assert problem.lengths.tolist() == [5]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"q": Q[0, 0]}, ShapeError, "or these with a leading batch"),
        ({"v": V[..., :0]}, ShapeError, "q, k, v have shapes"),
        ({"v": V.astype("f4")}, DTypeError, "v has dtype float32, q float16"),
        ({"decay": DECAY[:1]}, ShapeError, "decay has shape"),
        ({"decay": DECAY.astype(complex)}, DTypeError, "decay has dtype complex128; expected real numbers"),
        ({"decay": -DECAY}, InvalidValueError, "decay holds negative"),
        ({"state": np.ones((2, 3, 6, 4))}, ShapeError, "state has shape"),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, np.ndarray], error: type[Exception], text: str) -> None:
    arguments = {"q": Q, "k": change.get("q", Q), "v": V, "decay": DECAY, "state": None, **change}
    with pytest.raises(error, match=text):
        check_linear(**arguments)


@pytest.mark.parametrize("name", ["decay", "state", "method", "q"])
def test_arguments_that_differ_between_ranks_are_named(name: str) -> None:
    def body(comm: ThreadComm) -> None:
        other = {
            "decay": DECAY + comm.rank,
            "state": np.zeros((2, 3, 4, 6)) if comm.rank else None,
            "method": ("gather", "ring")[comm.rank],
            "q": Q[: 2 - comm.rank],
        }[name]
        arguments = {"q": Q, "k": Q, "v": V, "decay": DECAY, "state": None, "method": "gather", name: other}
        if name == "q":
            arguments |= {"k": other, "v": V[: 2 - comm.rank]}
        with pytest.raises((InvalidValueError, ShapeError), match=f"lightning_attention: {name} differs between ranks"):
            agreed_linear_problem(**arguments, comm=comm)

    on_ranks(2, body)


def test_lengths_may_differ() -> None:
    def body(comm: ThreadComm) -> list[int]:
        n = 2 + 3 * comm.rank
        lengths = agreed_linear_problem(Q[:, :, :n], Q[:, :, :n], V[:, :, :n], DECAY, None, "ring", comm).lengths
        return lengths.tolist()

    assert on_ranks(2, body) == [[2, 5]] * 2
