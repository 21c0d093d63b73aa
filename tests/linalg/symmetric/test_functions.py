"""Divided differences in closed form against quotients in many digits, down to gaps of one last place."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from symmetric_cases import FUNCTIONS

from sci.errors import InvalidValueError
from sci.linalg import symmetric_function
from sci.linalg.symmetric.functions import chosen

EXACT = {
    "sqrt": (mp.sqrt, lambda x, p: 1 / (2 * mp.sqrt(x))),
    "inverse_sqrt": (lambda x: 1 / mp.sqrt(x), lambda x, p: -(x ** mp.mpf(-1.5)) / 2),
    "log": (mp.log, lambda x, p: 1 / x),
    "exp": (mp.exp, lambda x, p: mp.exp(x)),
    "inverse": (lambda x: 1 / x, lambda x, p: -1 / x**2),
    "power": (None, lambda x, p: p * x ** (p - 1)),
}
GAPS = (0.0, 2.3e-16, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-3, 0.1, 1.0, 50.0, 1e4, 1e9)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_divided_differences(name: str, options: dict[str, float], dtype: type) -> None:
    p = next(iter(options.values()), 0.0)
    f = chosen(name, options.get("exponent"), options.get("threshold"))
    worst = 0.0
    for b in (0.02, 0.7, 1.5, 1.9, 3.0):
        for gap in GAPS:
            low, high = dtype(b), dtype(dtype(b) * dtype(1 + gap))
            if name == "exp" and high > 80:
                continue
            found = f.differences(np.array([high, low]))
            with mp.workdps(80):
                x, y = mp.mpf(float(high)), mp.mpf(float(low))
                if name == "rectify":
                    c = mp.mpf(float(dtype(p)))
                    exact = (max(x, c) - max(y, c)) / (x - y) if x != y else mp.mpf(int(x > c))
                else:
                    value, slope = EXACT[name]
                    value = value or (lambda z: z ** mp.mpf(p))
                    exact = (value(x) - value(y)) / (x - y) if x != y else slope(x, mp.mpf(p))
                error = max(abs((mp.mpf(float(k)) - exact) / exact) if exact else abs(k) for k in found.ravel()[1:3])
            worst = max(worst, float(error))
            assert found[0, 1] == found[1, 0]
    # The exponential has the condition number of its argument, a power that of the logarithm of the ratio.
    assert worst < 60 * np.finfo(dtype).eps


def test_the_parameter_belongs_to_its_function() -> None:
    eye = np.eye(2)
    with pytest.raises(InvalidValueError, match="exponent is None with 'power'; expected a number"):
        symmetric_function(eye, "power")
    with pytest.raises(InvalidValueError, match="threshold is None with 'rectify'; expected a number"):
        symmetric_function(eye, "rectify")
    with pytest.raises(InvalidValueError, match=r"exponent is 2\.0 with 'sqrt'; expected None"):
        symmetric_function(eye, "sqrt", exponent=2.0)
    with pytest.raises(InvalidValueError, match="expected a finite number"):
        symmetric_function(eye, "power", exponent=np.inf)
    with pytest.raises(InvalidValueError, match="expected one of 'sqrt'"):
        symmetric_function(eye, "sine")


def test_eigenvalues_negative_by_rounding_count_as_zero() -> None:
    f = chosen("sqrt", None, None)
    np.testing.assert_array_equal(f.value(np.array([-1e-17, 4.0])), [0, 2])
