"""The cases of the stand-in on CuPy itself: `pytest -m gpu`."""

from __future__ import annotations

from types import ModuleType

import pytest
from device_cases import CASES, assert_same_on, tucker_decompositions
from nn_device_cases import curvature

from sci.errors import DeviceMismatchError
from sci.kernels import every_kernel, launch
from sci.kernels.compile import device_function

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy() -> ModuleType:
    module = pytest.importorskip("cupy")
    try:
        found = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no device: {error}")
    assert found > 0
    return module


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_answers_are_those_of_numpy(cupy, case):
    # Random test vectors differ between the libraries, so a randomized range finder agrees to its tolerance only;
    # curvature holds differences of outputs.
    assert_same_on(cupy, case, rtol=1e-6 if case in (tucker_decompositions, curvature) else 1e-9)


def test_a_host_array_in_a_launch_raises(cupy):
    kernel = next(k for k in every_kernel() if k.name.startswith("direct_sum"))
    points, sources, out = cupy.ones((2, 3)), cupy.ones((1, 4)), cupy.empty((2, 1))
    with pytest.raises(DeviceMismatchError):
        launch(kernel, 1, points.get(), sources, out, 2, 1, 0.0, 0.0)


@pytest.mark.parametrize("kernel", [k for k in every_kernel() if not k.host_only], ids=lambda k: k.name)
def test_every_kernel_loads(cupy, kernel):
    function = device_function(cupy, kernel, int(cupy.cuda.Device().id))
    assert function.num_regs <= 255
    assert function.local_size_bytes == 0
