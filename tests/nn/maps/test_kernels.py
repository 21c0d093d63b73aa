"""Kernels made of filters: exact ranks, derivatives, execution by factors, changes and back."""

from __future__ import annotations

import numpy as np
import pytest
from map_gradients import gradient_error
from scipy.optimize import least_squares
from thread_ranks import on_ranks

from sci.distributed import block, exchange_halo
from sci.errors import InvalidValueError, ShapeError
from sci.nn import CPKernels, SeparableKernels, convolve, value_and_gradients
from sci.problems import wave_fields

RNG = np.random.default_rng(6)
FIVE_POINTS = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
NINE_POINTS = np.array([[1.0, 4, 1], [4, -20, 4], [1, 4, 1]]) / 6


@pytest.mark.parametrize("laplacian", [FIVE_POINTS, NINE_POINTS])
def test_laplacians_have_rank_two(laplacian):
    weight = laplacian[None, None]
    two, one = (SeparableKernels.from_dense(weight, rank) for rank in (2, 1))
    np.testing.assert_allclose(two.fold(two.start()), weight, atol=1e-14)
    lost = np.linalg.norm(one.fold(one.start()) - weight)
    np.testing.assert_allclose(lost, np.linalg.svd(laplacian)[1][1], rtol=1e-12)


def test_a_laplacian_in_space_has_cp_rank_three():
    space = np.zeros((3, 3, 3))
    space[1, 1, :] += [1, -2, 1]
    space[1, :, 1] += [1, -2, 1]
    space[:, 1, 1] += [1, -2, 1]
    found = SeparableKernels.from_dense(space[None, None], 3)
    np.testing.assert_allclose(found.fold(found.start())[0, 0], space, atol=1e-5)


@pytest.mark.parametrize(("shape", "rank"), [((3, 4, 3), 2), ((3, 2, 5, 3), 2), ((2, 3, 3, 2, 3), 3)])
@pytest.mark.parametrize("kind", [SeparableKernels, CPKernels])
@pytest.mark.parametrize("boundary", ["zeros", "periodic"])
def test_factors_convolve_as_the_weight_that_they_make(shape, rank, kind, boundary):
    weight_map = kind.from_dense(RNG.normal(size=shape), rank)
    arrays = {name: RNG.normal(size=f.shape) for name, f in weight_map.start().items()}
    assert weight_map.shape == shape
    assert weight_map.rank == rank
    x = RNG.normal(size=(2, shape[1], *(6, 7, 5)[: len(shape) - 2]))
    weight = weight_map.fold(arrays)
    expected = convolve(x, weight, boundary=boundary)
    np.testing.assert_allclose(weight_map.apply(x, arrays, boundary=boundary), expected, atol=1e-12)
    assert gradient_error(weight_map, arrays) < 1e-7
    dout = RNG.normal(size=expected.shape)
    _, found = value_and_gradients(lambda v: (weight_map.apply(x, v, boundary=boundary) * dout).sum(), arrays)
    dweight = convolve.vjp(dout, convolve.forward(x, weight, boundary=boundary)[1])[1]
    for name, gradient in weight_map.vjp(dweight, weight_map.forward(arrays)[1]).items():
        np.testing.assert_allclose(found[name], gradient, atol=1e-10)
    again, given = kind.from_change(weight, weight_map.change(arrays))
    np.testing.assert_array_equal(again.fold(given), weight)


def test_a_weight_of_the_rank_is_found_again():
    truth = CPKernels.create((8, 6, 5, 5), 3, seed=1)
    weight = truth.fold(truth.start())
    found = CPKernels.from_dense(weight, 3)
    np.testing.assert_allclose(found.fold(found.start()), weight, atol=1e-6 * abs(weight).max())
    assert found.n_parameters == 3 * (8 + 6 + 5 + 5)
    assert found.flops == 2 * found.n_parameters
    per_kernel = SeparableKernels.from_dense(weight, 2)
    assert per_kernel.flops == 2 * 8 * 6 * 2 * 10


def test_the_parameters_of_the_sheet():
    assert CPKernels.create((8, 6, 5, 5), 7).n_parameters == 168


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SeparableKernels.from_dense(np.ones((3, 3)), 1), ShapeError, "expected .outputs, inputs"),
        (lambda: CPKernels.from_dense(np.ones((1, 1, 3)), 0), InvalidValueError, "rank=0"),
        (lambda: SeparableKernels({"axis1": np.ones((1, 1, 1, 3))}), ShapeError, "expected axis0"),
        (lambda: CPKernels({"output": np.ones((2, 3)), "input": np.ones((2, 3))}), ShapeError, "expected output"),
        (lambda: CPKernels.create((2, 3), 1), ShapeError, "expected .outputs, inputs"),
    ],
)
def test_misfits_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def moved(fields: np.ndarray, width: int) -> np.ndarray:
    """Periodic fields (samples, instants, n, n) moved by every tap of a width: (taps, cells)."""
    steps = range(-(width // 2), width // 2 + 1)
    return np.stack([np.roll(fields, (-a, -b), axis=(2, 3)).ravel() for a in steps for b in steps])


def fitted(rank: int, root: np.ndarray, right: np.ndarray) -> tuple[SeparableKernels, np.ndarray]:
    """The factors of least squared error |root w - right|, from random ones."""
    weight_map = SeparableKernels({name: 0.3 * RNG.normal(size=(1, 1, rank, 5)) for name in ("axis0", "axis1")})

    def arrays(flat: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(("axis0", "axis1"), flat.reshape(2, 1, 1, rank, 5)))

    found = least_squares(
        lambda flat: root @ weight_map.fold(arrays(flat)).ravel() - right,
        np.concatenate([f.ravel() for f in weight_map.start().values()]),
        **{"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 3000},
    )
    return weight_map, weight_map.fold(arrays(found.x))


def rolled_out(weight: np.ndarray, before: np.ndarray, now: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        before, now = now, convolve(now[None, None], weight, boundary="periodic")[0, 0] - before
    return now


def test_waves_roll_out_by_kernels_of_rank_two_and_not_of_one():
    """A propagator P, u_{n+1} = P u_n - u_{n-1}, of 5 x 5 taps from four simulated runs; 28 steps on another field."""
    runs, other = wave_fields(4, 48, n_steps=28, seed=0), wave_fields(1, 48, n_steps=28, seed=9)[0]
    taps = moved(runs[:, 1:-1], 5)
    target = (runs[:, 2:] + runs[:, :-2]).ravel()
    q, root = np.linalg.qr(taps.T)
    right = q.T @ target
    errors, one_step = {}, {}
    for name, weight in {
        "dense": np.linalg.solve(root, right).reshape(1, 1, 5, 5),
        "one": fitted(1, root, right)[1],
        "two": fitted(2, root, right)[1],
    }.items():
        one_step[name] = np.linalg.norm(weight.ravel() @ taps - target) / np.linalg.norm(target)
        errors[name] = np.linalg.norm(rolled_out(weight, *other[:2], 28) - other[-1]) / np.linalg.norm(other[-1])
    assert errors["dense"] < 1e-11
    assert errors["two"] < 1e-6
    assert errors["one"] > 1e-3
    assert one_step["one"] < 0.1 * errors["one"], "one step does not tell"


def test_four_ranks_roll_out_as_one():
    weight_map = SeparableKernels.from_dense(RNG.normal(size=(1, 1, 5, 5)) / 25, 2)
    weight, u = weight_map.fold(weight_map.start()), RNG.normal(size=(2, 12, 10))
    expected = rolled_out(weight, *u, 28)

    def body(comm):
        d = block((12, 10), comm, halo=2)
        before, now = (a[d.slices] for a in u)
        for _ in range(28):
            around = np.zeros(d.padded_shape)
            around[d.interior] = now
            exchange_halo(around, d, periodic=True)
            before, now = now, convolve(around[None, None], weight, padding=0)[0, 0] - before
        return d.slices, now

    for slices, found in on_ranks(4, body):
        np.testing.assert_allclose(found, expected[slices], atol=1e-13 * abs(expected).max())
