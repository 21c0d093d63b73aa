"""Small models of one's own for compression: a perceptron, and operators of every kind of weight."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.nn import ModelState, convolve, gelu, linear, multiply, relu
from sci.operators import FNO, SFNO, TFNO, UNO, TrainedOperator


@dataclass(frozen=True)
class Perceptron:
    """Linear layers with relu between them."""

    parameters: Any

    def __call__(self, x: Any) -> Any:
        w, last = self.parameters, len(self.parameters) // 2 - 1
        for k in range(last + 1):
            x = linear(x, w[f"{k}.weight"], w[f"{k}.bias"])
            x = relu(x) if k < last else x
        return x

    def to_state(self) -> ModelState:
        return ModelState("Perceptron", {}, self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> Perceptron:
        return cls(state.parameters)


def perceptron(rng: np.random.Generator, sizes: tuple[int, ...] = (16, 40, 24, 5), dtype: str = "f4") -> Perceptron:
    """Return a random perceptron."""
    found: dict[str, np.ndarray] = {}
    for k, (i, o) in enumerate(itertools.pairwise(sizes)):
        found[f"{k}.weight"] = (rng.normal(size=(o, i)) * (2 / i) ** 0.5).astype(dtype)
        found[f"{k}.bias"] = rng.normal(0, 0.1, o).astype(dtype)
    return Perceptron(found)


@dataclass(frozen=True)
class Convolver:
    """A convolution, a layer that multiplies by a matrix without a known rule, nested parameters."""

    parameters: Any

    def __call__(self, x: Any) -> Any:
        w = self.parameters
        y = gelu(convolve(x, w["first"]["kernel"], w["first"]["bias"], padding=1))
        return multiply(convolve(y, w["second"][0], padding=1), w["second"][1])

    def to_state(self) -> ModelState:
        return ModelState("Convolver", {}, self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> Convolver:
        return cls(state.parameters)


def convolver(rng: np.random.Generator) -> Convolver:
    """Return a random model of convolutions, for fields (n, 3, 8, 8)."""
    kernels = [rng.normal(size=shape).astype("f4") / 5 for shape in ((12, 3, 3, 3), (6, 12, 3, 3), (6, 8, 8))]
    return Convolver({"first": {"kernel": kernels[0], "bias": np.zeros(12, "f4")}, "second": kernels[1:]})


OPERATORS: dict[str, Any] = {
    "fno": lambda: FNO((6, 6), 1, 1, 16, 2),
    "1d": lambda: FNO((8,), 2, 1, 16, 2),
    "linear gate": lambda: FNO((6, 6), 1, 1, 16, 2, channel_mlp_skip="linear", norm="instance"),
    "tucker": lambda: TFNO((6, 6), 1, 1, 16, 2, rank_fraction=0.3),
    "joint": lambda: TFNO((6, 6), 1, 1, 16, 2, rank_fraction=0.3, joint=True),
    "cp": lambda: TFNO((6, 6), 1, 1, 16, 2, factorization="cp", rank_fraction=0.3),
    "tt": lambda: TFNO((6, 6), 1, 1, 16, 2, factorization="tt", rank_fraction=0.3),
    "complex": lambda: FNO((6, 6), 1, 1, 12, 2, complex_data=True),
    "sphere": lambda: SFNO((6, 12), 1, 1, 16, 2),
    "uno": lambda: UNO([(6, 6), (4, 4), (6, 6)], [16, 16, 8], [1, 0.5, 2], 1, 1, 12, lifting_channels=16),
}


def operator(name: str) -> TrainedOperator:
    """Return an operator of random parameters."""
    return TrainedOperator(OPERATORS[name]())


def fields(name: str, rng: np.random.Generator, n: int = 6) -> np.ndarray:
    """Return inputs of an operator: smooth, so that few modes carry most."""
    channels, grid = (2, (32,)) if name == "1d" else (1, (12, 24) if name == "sphere" else (16, 16))
    x = rng.normal(size=(n, channels, *grid)).cumsum(axis=-1) / 4
    return (x + 1j * x[..., ::-1]).astype("c8") if name == "complex" else x.astype("f4")
