"""Ops between ranks: each is the transpose of its gradient over all ranks; sums of gradients and trainings on ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci import nn
from sci.distributed import split
from sci.errors import InvalidValueError, SciError

RNG = np.random.default_rng(5)
WHOLE = RNG.normal(size=(2, 7, 3))


def runs(comm) -> np.ndarray:
    return WHOLE[:, split(7, comm)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_is_the_transpose_of_its_gradient(size):
    """sum over ranks of <dout, op(x)> = sum over ranks of <vjp(dout), x>, for linear op."""

    def one(comm, op, x):
        out, residuals = op.forward(x, comm=comm)
        dout = np.random.default_rng(comm.rank).normal(size=out.shape)
        if op is nn.sum_over_ranks:  # its gradient is the same on all ranks
            dout = np.random.default_rng(0).normal(size=out.shape)
            return float((dout * out).sum()) / comm.size, float((op.vjp(dout, residuals)[0] * x).sum())
        if op is nn.copy_to_ranks:
            return float((dout * out).sum()), float((op.vjp(dout, residuals)[0] * x).sum()) / comm.size
        return float((dout * out).sum()), float((op.vjp(dout, residuals)[0] * x).sum())

    cases = {
        nn.copy_to_ranks: lambda comm: WHOLE,
        nn.sum_over_ranks: lambda comm: WHOLE + comm.rank,
        nn.gather_tokens: runs,
        nn.scatter_sum: lambda comm: WHOLE + comm.rank,
    }
    for op, make in cases.items():
        found = np.array(on_ranks(size, lambda comm, op=op, make=make: one(comm, op, make(comm)))).sum(axis=0)
        assert found[0] == pytest.approx(found[1], rel=1e-12), op


def test_values():
    for gathered in on_ranks(3, lambda comm: nn.gather_tokens(runs(comm), comm=comm)):
        np.testing.assert_array_equal(gathered, WHOLE)
    parts = on_ranks(3, lambda comm: nn.scatter_sum(WHOLE * (1 + comm.rank), comm=comm))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), 6 * WHOLE, rtol=1e-15)
    for total in on_ranks(3, lambda comm: nn.sum_over_ranks(WHOLE * (1 + comm.rank), comm=comm)):
        np.testing.assert_allclose(total, 6 * WHOLE, rtol=1e-15)


def test_copies_of_several_dtypes_travel_in_one_buffer_and_unused_ones_get_zeros():
    w, z = np.ones(3, "f4"), np.ones((2, 2), "c8")

    def body(comm):
        variables = nn.Tape().watch({"w": w, "z": z, "unused": w})
        a, b, _ = nn.copy_to_ranks(*variables.values(), comm=comm)
        ((1 + comm.rank) * (a.sum() + (b * b).mean() * 1j)).backward(np.complex64(1))
        return {name: v.gradient for name, v in variables.items()}

    for found in on_ranks(2, body):
        np.testing.assert_allclose(found["w"], 3)
        np.testing.assert_allclose(found["z"], 3 * 2 * -1j / 4)
        np.testing.assert_array_equal(found["unused"], np.zeros(3))
        assert {n: g.dtype for n, g in found.items()} == {"w": "f4", "z": "c8", "unused": "f4"}


def test_gradients_are_weighted_sums():
    def body(comm):
        gradients = {"a": np.full(3, 1.0 + comm.rank, "f4"), "z": np.full(2, 1j * comm.rank, "c8")}
        return nn.allreduce_gradients(gradients, float(comm.rank), 1 / comm.size, comm=comm)

    for total, loss in on_ranks(3, body):
        np.testing.assert_allclose(total["a"], 2, rtol=1e-6)
        np.testing.assert_allclose(total["z"], 1j, rtol=1e-6)
        assert (total["a"].dtype, total["z"].dtype, loss) == (np.float32, np.complex64, pytest.approx(1))


X, Y = RNG.normal(size=(2, 12, 3))


def train(comm, **options):
    settings = {"optimizer": nn.Adam(1e-2), "epochs": 2, "batch_size": 4, **options}
    return nn.train(
        lambda v, batch: nn.mean_squared_error(nn.linear(batch[0], v["w"]), batch[1]),
        *({"w": np.eye(3)}, (X, Y)),
        **settings,
        comm=comm,
    )


def on_all(call, size: int = 2) -> list[str]:
    """The error of each rank, or "none"."""

    def body(comm) -> str:
        try:
            call(comm)
        except SciError as error:
            return f"{type(error).__name__}: {error}"
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        return "none"

    return on_ranks(size, body)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (lambda r: {"optimizer": nn.Adam(1e-2 * (1 + r))}, "optimizer"),
        (lambda r: {"epochs": 2 + r}, "epochs"),
        (lambda r: {"batch_size": 4 + r}, "order"),
        (lambda r: {"seed": r}, "order"),
        (lambda r: {"clip": 1.0 + r}, "clip"),
        (lambda r: {"schedule": nn.cosine(2 + r)}, "schedule"),
        (lambda r: {"save": print if r else None}, "save"),
    ],
)
def test_trainings_that_differ_between_ranks_are_refused(options, name):
    for message in on_all(lambda comm: train(comm, **options(comm.rank))):
        assert message.startswith(f"{InvalidValueError.__name__}: train: {name} differs between ranks")


def test_a_save_that_fails_on_one_rank_is_an_error_on_all():
    def save(comm):
        def write(checkpoint):
            if comm.rank == 1:
                raise OSError("no space left")

        return write

    messages = on_all(lambda comm: train(comm, save=save(comm)))
    assert messages[1] == "OSError: no space left"
    assert messages[0] == "SciError: rank 1: OSError: no space left"


def test_ranks_train_as_one():
    alone = train(None)
    for found in on_ranks(3, train):
        np.testing.assert_allclose(found.losses, alone.losses, rtol=1e-12)
        np.testing.assert_allclose(found.parameters["w"], alone.parameters["w"], rtol=1e-10, atol=1e-12)
