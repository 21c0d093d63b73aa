"""Integrals along rays: known fields, kernel and array formulation, gradients, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import sci
from sci.errors import InvalidValueError, ShapeError
from sci.fields import TriPlane, composite, integrate_rays, parallel_rays
from sci.nn import Tape, softplus

BOX = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
RAYS = parallel_rays(np.array([0.3, 1.2]), (5, 6), BOX, steps=17)
RNG = np.random.default_rng(0)


def arrays(outputs: int, dtype: str = "float64", features: int = 5, hidden: int = 9) -> tuple[np.ndarray, ...]:
    field = TriPlane(12, features=features, hidden=hidden, outputs=outputs, seed=1, dtype=dtype, scale=1.0)
    return tuple(field.parameters.values())


@pytest.mark.parametrize("kernels", ["reference", "compiled"])
def test_the_integral_of_a_linear_field_is_exact(kernels: str) -> None:
    """A field x + 2 y - z, by planes and a perceptron with one unit that stays positive."""
    nodes = np.linspace(-1, 1, 4)
    planes = np.zeros((3, 4, 4, 1))
    planes[0, :, :, 0] = 3 * (nodes[:, None] + 2 * nodes)
    planes[1, :, :, 0] = -3 * nodes[None, :]
    one = np.ones((1, 1))
    with sci.options(kernels=kernels):
        found = integrate_rays(planes, one, np.array([9.0]), one, np.array([-9.0]), rays=RAYS, box=BOX)[:, 0]
    middle = (RAYS.points() * RAYS.lengths[..., None]).sum(axis=1)
    np.testing.assert_allclose(found, middle @ [1, 2, -1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("mode", "outputs"), [("sum", 1), ("sum", 3), ("composite", 1), ("composite", 4)])
def test_the_kernel_does_what_the_array_calls_do(mode: str, outputs: int, dtype: str) -> None:
    given, dout = arrays(outputs, dtype), RNG.normal(size=(60, outputs)).astype(dtype)
    results = []
    for kernels in ("reference", "compiled"):
        with sci.options(kernels=kernels):
            out, kept = integrate_rays.forward(*given, rays=RAYS, box=BOX, mode=mode)
            results.append((out, *integrate_rays.vjp(dout, kept)))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for expected, found in zip(*results):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * abs(expected).max())


def test_composite_is_that_of_the_field_at_the_samples() -> None:
    field = TriPlane(12, features=5, hidden=9, outputs=3, dtype=np.float64, scale=1.0)
    values = field(RAYS.points().reshape(-1, 3)).reshape(60, 17, 3)
    color, opacity = composite(softplus(values[..., 0]), values[..., 1:], lengths=RAYS.lengths)
    found = field.integrals(RAYS, mode="composite")
    np.testing.assert_allclose(found, np.concatenate([color, opacity[:, None]], axis=1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("mode", "outputs"), [("sum", 2), ("composite", 3)])
def test_gradients_are_those_of_differences(mode: str, outputs: int) -> None:
    given, dout, step = arrays(outputs), RNG.normal(size=(60, outputs)), 1e-6
    variables = Tape().watch(list(given))
    integrate_rays(*variables, rays=RAYS, box=BOX, mode=mode).backward(dout)

    def value(changed: list[np.ndarray]) -> float:
        return float((integrate_rays(*changed, rays=RAYS, box=BOX, mode=mode) * dout).sum())

    for k, variable in enumerate(variables):
        direction = RNG.normal(size=variable.shape)
        ends = [value([a + sign * step * direction if j == k else a for j, a in enumerate(given)]) for sign in (1, -1)]
        assert (variable.gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=2e-6)


def test_no_array_of_rays_times_steps_times_features_is_made() -> None:
    given = arrays(1, "float32", 32, 64)
    rays = parallel_rays(np.linspace(0, 3, 8), (32, 32), BOX, steps=64).astype(np.float32)
    dout = np.ones((len(rays), 1), np.float32)

    def step() -> None:
        _, kept = integrate_rays.forward(*given, rays=rays, box=BOX)
        integrate_rays.vjp(dout, kept)

    with sci.options(kernels="compiled"):
        step()
        tracemalloc.start()
        step()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 0.1 * len(rays) * 64 * 32 * 4


def test_sums_do_not_depend_on_threads() -> None:
    given, dout = arrays(2, "float32"), RNG.normal(size=(60, 2)).astype("float32")
    found = []
    for threads in (1, 2):
        with sci.options(kernels="compiled", threads=threads):
            _, kept = integrate_rays.forward(*given, rays=RAYS, box=BOX)
            found.append(integrate_rays.vjp(dout, kept))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


def test_a_perceptron_that_is_too_wide_runs_in_array_calls() -> None:
    given = arrays(1, features=3, hidden=80)
    assert integrate_rays(*given, rays=RAYS, box=BOX).shape == (60, 1)
    assert integrate_rays(*given, rays=RAYS[:0], box=BOX).shape == (0, 1)


@pytest.mark.parametrize("spoiled", range(5))
def test_parameters_that_do_not_fit_are_refused(spoiled: int) -> None:
    given = [a[:-1] if k == spoiled else a for k, a in enumerate(arrays(2))]
    with pytest.raises(ShapeError):
        integrate_rays(*given, rays=RAYS, box=BOX)


def test_other_modes_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="mode"):
        integrate_rays(*arrays(1), rays=RAYS, box=BOX, mode="max")
