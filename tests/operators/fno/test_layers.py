"""The fused block against its layers."""

from __future__ import annotations

import numpy as np
import pytest

from sci.operators import FNO
from sci.operators.fno.layers import fused_block, layered_block


def normal(rng, *shape):
    return rng.normal(size=shape)


def double(model):
    return {
        n: p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) + 0.05 for n, p in model.parameters.items()
    }


@pytest.mark.parametrize("options", [{}, {"fno_skip": "identity", "channel_mlp_skip": "linear"}], ids=str)
def test_the_fused_block_is_its_layers(options):
    model = FNO((4, 6), 1, 1, 5, 3, **options)
    x = normal(np.random.default_rng(0), 2, 5, 9, 8)
    for layer in (0, 2):
        one, many = (f(double(model), x, model.config, layer) for f in (fused_block, layered_block))
        np.testing.assert_allclose(one, many, rtol=0, atol=1e-13)
