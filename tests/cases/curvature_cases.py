"""Small models with their losses, and the Gauss-Newton matrix of each from one pass back for every output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci import nn, operators

RNG = np.random.default_rng(11)


@dataclass(frozen=True)
class Case:
    """A model, a loss, parameters in double precision, a batch, and d^2 loss / d z d z' at outputs z."""

    predict: Callable[[Any, Any], Any]
    loss: Callable[[Any, Any], Any]
    parameters: dict[str, np.ndarray]
    batch: tuple[np.ndarray, ...]
    hessian: Callable[[np.ndarray, Any], np.ndarray]


def squared(z: Any, batch: Any) -> Any:
    return nn.mean_squared_error(z, batch[1])


def entropy(z: Any, batch: Any) -> Any:
    return nn.cross_entropy(z, batch[1])


def relative(z: Any, batch: Any) -> Any:
    return nn.relative_l2(z, target=batch[1])


def hessian_of_squares(z: np.ndarray, batch: Any) -> np.ndarray:
    return np.eye(z.size) * 2 / z.size


def hessian_of_entropy(z: np.ndarray, batch: Any) -> np.ndarray:
    p = nn.softmax(z)
    n, k = p.shape
    found = np.zeros((n, k, n, k))
    for i in range(n):
        found[i, :, i, :] = (np.diag(p[i]) - np.outer(p[i], p[i])) / n
    return found.reshape(n * k, n * k)


def hessian_of_relative(z: np.ndarray, batch: Any) -> np.ndarray:
    n, k = len(z), z[0].size
    error, truth = (z - batch[1]).reshape(n, k), batch[1].reshape(n, k)
    found = np.zeros((n, k, n, k))
    for i in range(n):
        length = np.linalg.norm(error[i])
        e = error[i] / length
        found[i, :, i, :] = (np.eye(k) - np.outer(e, e)) / (length * np.linalg.norm(truth[i]) * n)
    return found.reshape(n * k, n * k)


def perceptron(activation: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def predict(v: Any, batch: Any) -> Any:
        return nn.linear(activation(nn.linear(batch[0], v["a"], v["b"])), v["c"])

    return predict


def attention(v: Any, batch: Any) -> Any:
    x = nn.layer_norm(batch[0] @ v["e"], v["g"], v["h"])
    weights = nn.softmax(x @ nn.transpose(x @ v["q"], axes=(0, 2, 1)))
    return ((weights @ x) / (1.0 + (x * x).mean())).mean(axis=1)


WEIGHTS = {"a": RNG.normal(size=(9, 4)), "b": RNG.normal(size=9), "c": RNG.normal(size=(3, 9))}
LABELS = (RNG.normal(size=(7, 4)), np.array([0, 2, 1, 1, 0, 2, 2]))
FNO = operators.FNO((4, 4), 1, 1, 3, 1, seed=1)
FIELDS = (RNG.normal(size=(5, 1, 6, 6)), RNG.normal(size=(5, 1, 6, 6)))
DOUBLE = {n: p.astype("c16" if p.dtype.kind == "c" else "f8") for n, p in FNO.parameters.items()}
ATTENTION = {
    "e": RNG.normal(size=(4, 6)),
    "g": RNG.normal(size=6),
    "h": RNG.normal(size=6),
    "q": RNG.normal(size=(6, 6)),
}
TOKENS = (RNG.normal(size=(3, 5, 4)), RNG.normal(size=(3, 6)))


def forward(v: Any, batch: Any) -> Any:
    return FNO.forward(v, batch[0])


CASES = {
    "softmax regression": Case(
        lambda v, b: nn.linear(b[0], v["w"]), entropy, {"w": RNG.normal(size=(3, 4))}, LABELS, hessian_of_entropy
    ),
    "gelu, entropy": Case(perceptron(nn.gelu), entropy, WEIGHTS, LABELS, hessian_of_entropy),
    "relu, entropy": Case(perceptron(nn.relu), entropy, WEIGHTS, LABELS, hessian_of_entropy),
    "tanh, squares": Case(
        perceptron(nn.tanh), squared, WEIGHTS, (LABELS[0], RNG.normal(size=(7, 3))), hessian_of_squares
    ),
    "attention, squares": Case(attention, squared, ATTENTION, TOKENS, hessian_of_squares),
    "FNO, squares": Case(forward, squared, DOUBLE, FIELDS, hessian_of_squares),
    "FNO, relative error": Case(forward, relative, DOUBLE, FIELDS, hessian_of_relative),
}


def jacobian(case: Case) -> np.ndarray:
    """Return d z / d parameters as real numbers, one exact pass back for each output."""
    outputs = nn.value_of(case.predict(case.parameters, case.batch))
    rows = []
    for k in range(outputs.size):
        variables = nn.Tape().watch(case.parameters)
        dout = np.zeros(outputs.size)
        dout[k] = 1.0
        case.predict(variables, case.batch).backward(dout.reshape(outputs.shape))
        parts = [np.zeros_like(v.value) if v.gradient is None else v.gradient for v in variables.values()]
        rows.append(np.concatenate([np.ascontiguousarray(p).reshape(-1).view(float) for p in parts]))
    return np.array(rows)


def gauss_newton_matrix(case: Case) -> np.ndarray:
    """Return J' H J."""
    J = jacobian(case)
    return J.T @ case.hessian(nn.value_of(case.predict(case.parameters, case.batch)), case.batch) @ J
