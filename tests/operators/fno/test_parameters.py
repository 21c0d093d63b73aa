"""Parameters of operators: counts of the sheet, seeds, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import rate_factors
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


def test_the_maximal_update_rule_of_an_fno() -> None:
    # The factors at k = 4 and s = 2 of a model of width 32 and modes 16 over one of width 8 and modes 4.
    plain, model = FNO((16, 16), 1, 1, 32), FNO((16, 16), 1, 1, 32, base_channels=8, base_modes=(4, 4))
    initial = {"projection.1.weight": 0.5, "spectral.weight": 2**-0.5}
    rates = {"spectral.weight": 2**-0.5 / 4, "lifting.0.weight": 1.0, "mlp_skip.weight": 1.0}
    factors = rate_factors(model.roles, model.base_roles or {})
    for name, array in model.parameters.items():
        end = name.partition(".")[2].partition(".")[2] if name.startswith("blocks") else name
        bias = 1.0 if name == "lifting.0.bias" else 2.0
        factor = initial.get(end, bias if name.endswith("bias") else 1.0)
        np.testing.assert_allclose(array, factor * plain.parameters[name], rtol=1e-6)
        assert factors[name] == pytest.approx(1.0 if name.endswith("bias") else rates.get(end, 0.25))
    with pytest.raises(InvalidValueError, match="dense"):
        FNO((16, 16), 1, 1, 32, base_channels=8, factorization="tucker", rank_fraction=0.1)
    with pytest.raises(InvalidValueError, match="base_channels"):
        FNO((16, 16), 1, 1, 32, base_modes=(4, 4))
    with pytest.raises(InvalidValueError, match="base_modes"):
        FNO((16, 16), 1, 1, 32, base_channels=8, base_modes=(4,))


def test_spectral_weights_before_an_instance_norm_are_scale_invariant() -> None:
    model = FNO((4, 4), 1, 1, 8, 2, norm="instance")
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype("f4")
    named = [n for n, role in model.roles.items() if role.scale_invariant]
    assert named == ["blocks.0.spectral.weight", "blocks.1.spectral.weight"]
    scaled = {n: 30 * p if n in named else p for n, p in model.parameters.items()}
    plain = {n: p if n in named or not n.endswith("spectral.bias") else 0 * p for n, p in model.parameters.items()}
    scaled |= {n: 0 * p for n, p in scaled.items() if n.endswith("spectral.bias")}
    a, b = (FNO((4, 4), 1, 1, 8, 2, norm="instance", parameters=p)(x) for p in (plain, scaled))
    np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(a).max())
