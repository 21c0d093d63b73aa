"""Layers cut over tensor ranks as threads, whole activations and runs of tokens, against one rank."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import split
from sci.nn import Tape
from sci.sequence import parallel_attention, parallel_mlp

RNG = np.random.default_rng(3)
WIDTH, HIDDEN, HEADS, D, N = 6, 5, 3, 2, 7
X, DOUT = RNG.normal(size=(2, N, WIDTH)), RNG.normal(size=(2, N, WIDTH))
MLP = {"up": (HIDDEN, WIDTH), "up_bias": (HIDDEN,), "down": (WIDTH, HIDDEN), "down_bias": (WIDTH,)}
HEAD = {"q": (HEADS * D, WIDTH), "k": (HEADS * D, WIDTH), "v": (HEADS * D, WIDTH), "o": (WIDTH, HEADS * D)}
WEIGHTS = {name: RNG.normal(size=shape) for name, shape in (MLP | HEAD | {"o_bias": (WIDTH,)}).items()}


def own(name: str, array: np.ndarray, comm: ThreadComm | None) -> np.ndarray:
    """Return this rank's part of a weight, or of its gradient."""
    if name in ("down_bias", "o_bias"):
        return array
    heads = split(HEADS, comm)
    part = slice(heads.start * D, heads.stop * D) if name in ("q", "k", "v", "o") else split(HIDDEN, comm)
    return np.ascontiguousarray(array[:, part] if name in ("down", "o") else array[part])


def run(layer: str, comm: ThreadComm | None, sequence: bool) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the output, the gradient of the input, and those of the weights, of this rank."""
    tape = Tape()
    names = [*MLP] if layer == "mlp" else [*HEAD, "o_bias"]
    weights = {name: tape.watch(own(name, WEIGHTS[name], comm)) for name in names}
    tokens = split(N, comm) if sequence else slice(0, N)
    x = tape.watch(np.ascontiguousarray(X[:, tokens]))
    options = {"comm": comm, "sequence": sequence}
    if layer == "mlp":
        y = parallel_mlp(weights, x, **options)
    else:
        y = parallel_attention(weights, x, lambda q, k, v: q * k + v, head_dim=D, **options)
    y.backward(np.ascontiguousarray(DOUT[:, tokens]))
    return y.value, x.gradient, {name: w.gradient for name, w in weights.items()}


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("layer", ["mlp", "attention"])
def test_outputs_and_every_gradient_are_those_of_one_rank(layer: str, size: int, sequence: bool) -> None:
    out, dx, gradients = run(layer, None, False)

    def body(comm: ThreadComm) -> None:
        found = run(layer, comm, sequence)
        tokens = split(N, comm) if sequence else slice(0, N)
        np.testing.assert_allclose(found[0], out[:, tokens], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found[1], dx[:, tokens], rtol=1e-12, atol=1e-13)
        for name, gradient in found[2].items():
            np.testing.assert_allclose(gradient, own(name, gradients[name], comm), rtol=1e-12, atol=1e-12)

    on_ranks(size, body)
