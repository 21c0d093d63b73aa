"""Softmax, Linformer and tensor attention on either side, for `device_cases`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from sci.backend import to_device, to_host
from sci.sequence import (
    linformer_attention,
    softmax_attention,
    tensor_attention,
)

Answers = list[np.ndarray]


def exact_attention(xp: ModuleType) -> Answers:
    """More than one block of threads; documents, padding and a column count that needs several passes."""
    rng = np.random.default_rng(6)
    q, k, v, dout = (to_device(rng.normal(size=(2, 70, 37)), xp) for _ in range(4))
    segments = np.repeat([3, -1, 8], [30, 4, 36])
    answers = []
    for method in ("ring", "rsa", "ulysses"):
        for options in ({}, {"causal": True, "segments": segments}, {"blocks": (1, 5, 64)}):
            (out, lse), residuals = softmax_attention.forward(q, k, v, method=method, **options)
            gradients = softmax_attention.vjp((dout, None), residuals)
            finite = np.nan_to_num(to_host(lse), neginf=0.0)
            answers += [to_host(out), finite, *(to_host(g) for g in gradients)]
    return answers


def other_attention(xp: ModuleType) -> Answers:
    rng = np.random.default_rng(7)
    q, k, v, dout = (to_device(rng.normal(size=(2, 20, 5)), xp) for _ in range(4))
    e, f = (to_device(rng.normal(size=(4, 20)), xp) for _ in range(2))
    out, residuals = linformer_attention.forward(q, k, v, e, f)
    answers = [out, *linformer_attention.vjp(dout, residuals)]
    small = [to_device(rng.uniform(-0.5, 0.5, (40, 3)), xp) for _ in range(6)]
    for options in ({}, {"method": "polynomial", "tol": 1e-3}):
        out, residuals = tensor_attention.forward(*small[:5], **options)
        answers += [out, *tensor_attention.vjp(small[5], residuals)]
    return [to_host(a) for a in answers]


CASES: tuple[Callable[[ModuleType], Answers], ...] = (exact_attention, other_attention)
