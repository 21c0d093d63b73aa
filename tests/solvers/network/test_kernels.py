"""Launches of the kernels of networks, compiled or as references."""

from __future__ import annotations

import numpy as np

import sci
from sci.linalg.sparse.rows import SparseRows
from sci.solvers.network.kernels import bound, by_rows, product, run


def test_calls_do_the_same_compiled_and_not():
    for mode in ("compiled", "reference"):
        with sci.options(kernels=mode):
            start, index = np.array([0, 1, 3]), np.array([1, 0, 1], np.int32)
            value, x, y = np.array([2.0, 3.0, 5.0]), np.array([1.0, 10.0]), np.ones(2)
            product(SparseRows(start, index, value, 2), x, y, 1.0)()
            np.testing.assert_array_equal(y, [21.0, 54.0])
            by_rows("add_rows", 2, start, index, value, x, np.array([1, 0]), y, 2)()
            np.testing.assert_array_equal(y, [74.0, 74.0])
            f = np.array([4.0, 1.0])
            order, near, share = np.array([0], np.int32), np.array([[1, -1]], np.int32), np.array([[0.5, 0.0, 0.25]])
            bound("eliminate_source", order, near, share, f, 1)()
            np.testing.assert_array_equal(f, [4.0, 3.0])
            dropped, largest, strong = np.zeros(2, np.int8), np.zeros(2), np.zeros(2, np.int8)
            counts = np.zeros((2, 3), np.int64)
            links = (np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2), np.full(2, 2, np.int8))
            run("strong_links", *links, np.array([0.0, 10.0]), dropped, largest, strong, counts, 2, 0.25)
            np.testing.assert_array_equal(dropped, [0, 1])
            assert not strong.any()
