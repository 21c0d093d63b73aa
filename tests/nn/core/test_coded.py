"""Arrays that are held in another form: ops with a rule compute with it, others see the array."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.nn import Op, add, linear, value_and_gradients
from sci.nn.core.coded import CodedArray, decoded

RNG = np.random.default_rng(1)


class Doubled(CodedArray):
    """Twice an array."""

    def __init__(self, half: np.ndarray) -> None:
        self.half, self.shape, self.dtype, self.nbytes = half, half.shape, half.dtype, half.nbytes
        self.count = 0

    def decode(self) -> np.ndarray:
        self.count += 1
        return 2 * self.half


def test_numpy_and_ops_without_a_rule_see_the_array() -> None:
    held = Doubled(RNG.normal(size=(3, 4)))
    np.testing.assert_array_equal(np.abs(held), np.abs(2 * held.half))
    np.testing.assert_array_equal(add(np.ones((3, 4)), held), 1 + 2 * held.half)
    np.testing.assert_array_equal(held[1], 2 * held.half[1])
    np.testing.assert_array_equal(held * 4 - held.T.T, 6 * held.half)
    np.testing.assert_array_equal(np.ones((3, 4)) @ held.T, np.ones((3, 4)) @ (2 * held.half.T))
    assert not hasattr(held, "ndim")
    assert (held.size, len(held)) == (12, 3)
    assert decoded(3.0) == 3.0
    np.testing.assert_array_equal(decoded(held), 2 * held.half)
    np.testing.assert_allclose(linear(np.ones((2, 4)), held), linear(np.ones((2, 4)), 2 * held.half))


def test_a_rule_gets_the_codes_unless_something_is_recorded() -> None:
    seen = []

    def coded(x: Any, w: Any, *, scale: float = 1.0) -> Any:
        seen.append(type(w).__name__)
        return decoded(x) * w.decode() * scale

    def forward(x: Any, w: Any, *, scale: float = 1.0) -> tuple[Any, Any]:
        return x * w * scale, (x, w, scale)

    times = Op(forward, lambda dout, r: (dout * r[1] * r[2], dout * r[0] * r[2]), coded=coded)
    held, x = Doubled(RNG.normal(size=5)), RNG.normal(size=5)
    np.testing.assert_array_equal(times(x, held, scale=3.0), x * 2 * held.half * 3)
    assert seen == ["Doubled"]
    _, gradient = value_and_gradients(lambda v: times(v, held, scale=3.0).sum(), x)
    np.testing.assert_allclose(gradient, 6 * held.half)
    assert seen == ["Doubled"], "what is recorded needs arrays"
