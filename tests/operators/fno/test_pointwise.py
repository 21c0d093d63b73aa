"""The pointwise half of a block: its references against its formula, with every kind of skip."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.nn import gelu
from sci.operators.fno.pointwise import BlockSpec, block_forward_reference, pointwise
from sci.operators.spectral.weights import WeightFormat

RNG = np.random.default_rng(0)


def parameters(fno_skip, mlp_skip, width=4):
    shapes = {"mlp_0": (width // 2, width), "mlp_0_bias": (width // 2,), "mlp_1": (width, width // 2)}
    shapes["mlp_1_bias"] = (width,)
    kinds = {"linear": (width, width), "soft-gating": (width,)}
    shapes.update({n: kinds[k] for n, k in (("skip", fno_skip), ("gate", mlp_skip)) if k in kinds})
    p = {name: RNG.normal(size=shape) for name, shape in shapes.items()}
    return p, BlockSpec(WeightFormat(width, width, (1,)), tuple(p), 0, fno_skip, mlp_skip, True)


def skipped(x, kind, weight):
    if kind is None:
        return 0
    return {"linear": lambda: np.einsum("oi,bip->bop", weight, x), "identity": lambda: x}.get(
        kind, lambda: x * weight[:, None]
    )()


@pytest.mark.parametrize("fno_skip", ["linear", "soft-gating", "identity", None])
@pytest.mark.parametrize("mlp_skip", ["linear", "soft-gating", "identity", None])
def test_the_reference_is_the_formula(fno_skip, mlp_skip):
    p, spec = parameters(fno_skip, mlp_skip)
    x, v = RNG.normal(size=(2, 3, 4, 7))
    before = v + skipped(x, fno_skip, p.get("skip"))
    hidden = gelu(np.einsum("hi,bip->bhp", p["mlp_0"], gelu(before)) + p["mlp_0_bias"][:, None])
    after = np.einsum("oh,bhp->bop", p["mlp_1"], hidden) + p["mlp_1_bias"][:, None]
    after = after + skipped(x, mlp_skip, p.get("gate"))
    kept = v.copy()
    with sci.options(kernels="reference"):
        out, slope = pointwise(x, kept, p, spec)
    np.testing.assert_allclose(out, gelu(after), atol=1e-13)
    np.testing.assert_allclose(kept, before, atol=1e-13)
    np.testing.assert_allclose(slope, gelu.forward(after)[1], atol=1e-13)
    overwritten = v.copy()
    assert block_forward_reference(x, overwritten, p, spec, keep=False)[0] is overwritten


def test_the_convolution_may_come_as_rows_and_waves():
    p, spec = parameters("linear", "soft-gating")
    x = RNG.normal(size=(2, 4, 6))
    rows = RNG.normal(size=(2, 4, 2, 5)), RNG.normal(size=(5, 3))
    v = np.matmul(*rows).reshape(x.shape)
    expected, _ = block_forward_reference(x, v.copy(), p, spec)
    found, _ = block_forward_reference(x, np.full_like(v, np.nan), p, spec, rows=rows)
    np.testing.assert_allclose(found, expected, atol=1e-13)
