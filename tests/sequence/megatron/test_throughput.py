"""The analytic model of training against the published table."""

from __future__ import annotations

import numpy as np
import pytest

from sci.sequence import (
    LanguageModelSize,
    pipeline_bytes,
    tensor_parallel_bytes,
    training_days,
)

TABLE = """
1.7 24 2304 1 1 32 512 137 4.4
3.6 30 3072 2 1 64 512 138 8.8
7.5 36 4096 4 1 128 512 142 18.2
18.4 40 6144 8 1 256 1024 135 34.6
39.1 48 8192 8 2 512 1536 138 70.8
76.1 60 10240 8 4 1024 1792 140 143.8
145.6 80 12288 8 8 1536 2304 148 227.1
310.1 96 16384 8 16 1920 2160 155 297.4
529.6 105 20480 8 35 2520 2520 163 410.2
1008 128 25600 8 64 3072 3072 163 502.0
"""


@pytest.mark.parametrize("row", TABLE.split("\n")[1:-1])
def test_the_published_table(row):
    """Parameters in 1e9 to the digits printed, petaflop/s from devices and teraflop/s each within their rounding."""
    billions, layers, width, _, _, devices, batch, teraflops, petaflops = map(float, row.split())
    size = LanguageModelSize(int(layers), int(width))
    digits = 0 if billions == 1008 else 1
    assert round(size.parameters / 1e9, digits) == billions
    assert abs(devices * teraflops / 1e3 - petaflops) <= devices * 0.5 / 1e3 + 0.05
    seconds = size.seconds(int(batch), int(devices), teraflops * 1e12)
    np.testing.assert_allclose(size.flops(int(batch)) / seconds / 1e15, devices * teraflops / 1e3, rtol=1e-12)


def test_flops_are_the_published_formula():
    size, b, s, h, n, v = LanguageModelSize(24, 2304), 512, 2048, 2304, 24, 51200
    np.testing.assert_allclose(size.flops(b), 96 * b * s * n * h**2 * (1 + s / (6 * h) + v / (16 * n * h)), rtol=1e-12)
    assert size.flops(b, recompute=False) < size.flops(b)


def test_training_days():
    trillion = LanguageModelSize(128, 25600).parameters
    assert round(training_days(450e9, trillion, 3072, 163e12)) == 84
    assert round(training_days(300e9, 175e9, 1024, 140e12)) == 34


def test_message_volumes():
    assert tensor_parallel_bytes(2, 8, 4, 4, itemsize=8) == 8 * 2 * 8 * 4 * 3 / 4 * 8
    assert pipeline_bytes(6, 2, 8, 4, chunks=2, tensor_ranks=2, itemsize=8) == 6 * 2 * 2 * 8 * 4 / 2 * 8
