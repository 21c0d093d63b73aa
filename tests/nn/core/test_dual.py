"""Rules for tangents: linear and multilinear ones, sums, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.dual import Dual, dual_of, linear_rule, multilinear_rule, next_level, refuse_second_derivative, sum_of

A, B, T = np.array([1.0, 2.0]), np.array([5.0, 7.0]), np.array([0.5, 0.25])


def test_levels_grow():
    assert next_level() < next_level()


def test_a_linear_rule_puts_zeros_for_constants_and_keeps_what_has_no_derivative():
    rule = linear_rule(lambda a, index, b, c: a[index] + b + c)
    out = rule(None, (A, np.array([1, 1]), B, 3.0), (T, None, None, None))
    np.testing.assert_array_equal(out, [0.25, 0.25])
    assert linear_rule(lambda a, b: a + b)(None, (A, 1j), (T, None)).dtype == complex


def test_a_multilinear_rule_is_the_product_rule():
    rule = multilinear_rule(lambda a, b: a * b)
    np.testing.assert_array_equal(rule(None, (A, B), (T, T)), T * B + A * T)
    np.testing.assert_array_equal(rule(None, (A, B), (None, T)), A * T)


def test_sums_leave_missing_terms_out():
    assert sum_of([None, None]) is None
    np.testing.assert_array_equal(sum_of([None, A, B]), A + B)


def test_a_tangent_has_the_shape_and_dtype_of_the_value():
    assert dual_of("f", A, None, 1) is A
    assert dual_of("f", A, T, 1).tangent is T
    with pytest.raises(ShapeError, match="the jvp of 'f'"):
        dual_of("f", A, T[:1], 1)
    with pytest.raises(DTypeError, match="the jvp of 'f'"):
        dual_of("f", A, T.astype("f4"), 1)


def test_second_derivatives_of_piecewise_linear_ops_are_refused():
    refuse_second_derivative("f", A, 1.0)
    with pytest.raises(InvalidValueError, match="f is piecewise linear"):
        refuse_second_derivative("f", A, Dual(A, T, 1))
