"""The reference stands in for the kernel: in every mode, beyond order 32, and where a margin says so."""

from __future__ import annotations

import numpy as np
import pytest
from symmetric_cases import symmetric

import sci
from sci.errors import InvalidValueError
from sci.linalg import symmetric_eigen, symmetric_function
from sci.linalg.symmetric import eigen as module
from sci.linalg.symmetric.functions import chosen
from sci.linalg.symmetric.reference import eigen_reference, function_reference, function_vjp_reference


@pytest.mark.parametrize(("n", "launched"), [(3, True), (32, True), (33, False)])
def test_orders_up_to_32_run_compiled(n: int, launched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def counted(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        called.append(matrices.shape)
        return eigen_reference(matrices)

    monkeypatch.setattr(module, "eigen_reference", counted)
    a = symmetric((2, n, n), 0)
    with sci.options(kernels="compiled"):
        values = symmetric_eigen(a).values
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a), rtol=0, atol=1e-13)
    assert called == ([] if launched else [a.shape])


def test_what_the_kernel_cannot_hold_and_float64_can() -> None:
    """The kernel's exponential ends at 709, the reference's at 709.78; one such matrix sends the batch there."""
    a = np.array([np.eye(2), 709.5 * np.eye(2)])
    np.testing.assert_allclose(symmetric_function(a, "exp")[1], np.exp(709.5) * np.eye(2), rtol=1e-12)


def test_the_reference_is_the_formula() -> None:
    a, g = symmetric((3, 5, 5), 1) + 4 * np.eye(5), symmetric((3, 5, 5), 2)
    values, vectors = eigen_reference(a)
    cube = chosen("power", 3.0, None)
    np.testing.assert_allclose(function_reference(values, vectors, cube), a @ a @ a, rtol=1e-12, atol=1e-12)
    expected = g @ a @ a + a @ g @ a + a @ a @ g
    np.testing.assert_allclose(function_vjp_reference(values, vectors, g, cube), expected, rtol=1e-12, atol=1e-11)
    with pytest.raises(InvalidValueError, match="matrix 1 is not positive definite"):
        function_reference(values - np.array([0, 99, 0])[:, None], vectors, chosen("log", None, None))
