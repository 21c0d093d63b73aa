"""Parameters of operators: counts of the sheet, seeds, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.operators import FNO, FNOConfig
from sci.operators.fno.parameters import parameter_shapes

# Table of the method sheet, complex numbers counted as two.
COUNTS = [
    (1_192_801, (16, 16), 32, {}),
    (140_521, (16, 16), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (72_417, (16, 16), 32, {"factorization": "tucker", "rank_fraction": 0.05}),
    (132_673, (16, 16), 32, {"factorization": "cp", "rank_fraction": 0.1}),
    (134_761, (16, 16), 32, {"factorization": "tt", "rank_fraction": 0.1}),
    (340_833, (8, 8), 32, {}),
    (49_977, (8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (69_265_345, (64, 64), 64, {"projection_ratio": 4}),
    (7_202_905, (64, 64), 64, {"factorization": "tucker", "rank_fraction": 0.1}),
    (745_153, (64, 64), 64, {"factorization": "cp", "rank_fraction": 0.01}),
    (2_634_657, (8, 8, 8), 32, {}),
    (264_217, (8, 8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (133_529, (8, 8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.05}),
    (345_665, (16,), 64, {}),
]


@pytest.mark.parametrize(("count", "n_modes", "hidden", "options"), COUNTS)
def test_parameter_counts(count, n_modes, hidden, options):
    shapes = parameter_shapes(FNOConfig(n_modes, 1, 1, hidden, **options))
    spectral = [n for n in shapes if ".spectral." in n and not n.endswith("bias")]
    assert sum(math.prod(shape) * (1 + (n in spectral)) for n, shape in shapes.items()) == count


def test_the_seed_decides():
    a, b, c = (FNO((4, 4), 1, 1, 8, seed=s).parameters for s in (3, 3, 4))
    assert all(np.array_equal(a[n], b[n]) for n in a)
    assert not any(np.array_equal(a[n], c[n]) for n in a if "mlp_skip" not in n)
