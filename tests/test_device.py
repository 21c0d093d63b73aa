"""The array code on a strict stand-in for CuPy: no host array meets a device array, and the answers are the same."""

from __future__ import annotations

import sys
from types import ModuleType

import fake_cupy
import numpy as np
import pytest
from device_cases import BOX, CASES, CLOUD, POINTS, TARGETS, assert_same_on
from language_model_device_cases import halves_and_text
from nn_device_cases import curvature

from sci import backend
from sci.errors import DeviceMismatchError
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum
from sci.tensor import ChebTuck


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_answers_are_those_of_numpy(cupy, case):
    # Curvature holds differences of outputs: their rounding differs with the place of arrays in memory. Gradients in
    # float32 are added up in another order on a device.
    assert_same_on(cupy, case, rtol={curvature: 1e-9, halves_and_text: 2e-6}.get(case, 1e-12))


def test_the_stand_in_is_taken_for_cupy(cupy):
    array = cupy.zeros(3)
    assert backend.is_device_array(array)
    assert backend.namespace(array) is cupy
    assert backend.namespace_of("cuda") is cupy
    np.testing.assert_array_equal(backend.to_host(array + 1), np.ones(3))


@pytest.mark.parametrize(
    "mix",
    [
        lambda d, h: d + h,
        lambda d, h: h + d,
        lambda d, h: np.sum(d),
        lambda d, h: np.sqrt(d),
        lambda d, h: np.asarray(d),
        lambda d, h: d[h.astype(int)],
        lambda d, h: d.__setitem__(0, h),
        lambda d, h: d.__iadd__(h),
        lambda d, h: sys.modules["cupy"].concatenate([d, h]),
        lambda d, h: d @ h,
    ],
)
def test_the_stand_in_refuses_to_mix(cupy, mix):
    with pytest.raises(TypeError):
        mix(cupy.ones(3), np.ones(3))


def test_mixed_arguments_raise(cupy):
    device = Particles(cupy.asarray(CLOUD.positions), cupy.asarray(CLOUD.charges))
    with pytest.raises(DeviceMismatchError):
        Particles(cupy.asarray(CLOUD.positions), CLOUD.charges)
    with pytest.raises(DeviceMismatchError):
        direct_sum(device, TARGETS)
    with pytest.raises(DeviceMismatchError):
        direct_sum(CLOUD, cupy.asarray(TARGETS))
    phi = RangeSeparatedPotential(device, 1e-3, alpha=0.3)
    grid = [np.linspace(-0.5, 0.5, 3)] * 3
    for call in (phi, phi.field, lambda points: phi.on_grid(*grid)):
        with pytest.raises(DeviceMismatchError):
            call(TARGETS)
    on_host, on_device = (
        ChebTuck.from_function(lambda x, y, z: x + y + z, BOX, 1e-6, device=d) for d in ("cpu", "cuda")
    )
    for mixed in (
        lambda: on_device(POINTS),
        lambda: on_host.gradient(cupy.asarray(POINTS)),
        lambda: on_host + on_device,
        lambda: on_device.inner(on_host),
        lambda: on_device.on_grid(*grid),
    ):
        with pytest.raises(DeviceMismatchError):
            mixed()
