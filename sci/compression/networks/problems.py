"""How far the outputs of a layer move when its weights do, as quadratic functions of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from sci.backend import to_host
from sci.compression.networks.uses import Rows, Spectrum
from sci.distributed import Comm, allreduce_sum
from sci.nn.maps.quantized.coded_weight import weight_from_rows, weight_rows

__all__ = ["Factors", "Problem", "Quadratic", "own_error", "problem_of"]

RIDGE = 1e-4
"""Share of the mean squared input that keeps weights near where no sample sees them."""


_BITS = 34
"""Of the largest entry of the first term, which leaves 19 for the growth of a sum."""


class FixedSum:
    """A sum of float64 terms that does not depend on their order, so that it is the same for every number of ranks.

    Terms are rounded to multiples of a power of two, 2^-34 of the largest entry of the first: their sums are exact.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
        float64 or complex128.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float64) -> None:
        self.total = np.zeros(shape, dtype)
        self._unit = 0.0

    def __repr__(self) -> str:
        return f"FixedSum(shape={self.total.shape}, unit={self._unit:.3g})"

    def add(self, term: np.ndarray | float, counts: bool = True) -> None:
        """Add a term; one that does not count only fixes the unit, on the ranks that do not have the first."""
        parts = np.ascontiguousarray(term, self.total.dtype).reshape(self.total.shape)
        real = parts.reshape(-1).view(np.float64)
        if not self._unit:
            largest = float(np.abs(real).max(initial=0.0))
            self._unit = 2.0 ** (math.ceil(math.log2(largest)) - _BITS) if largest > 0 else 0.0
        if counts and self._unit:
            rounded = np.rint(real / self._unit) * self._unit
            self.total += rounded.view(self.total.dtype).reshape(self.total.shape)


class Problem(Protocol):
    """The mean squared difference of a layer's outputs, relative to their mean square, over calibration samples.

    Sums over samples are all that it holds, so that ranks add theirs.
    """

    weights: dict[str, np.ndarray]
    """The weights that make the wanted outputs, by name."""
    row_axes: dict[str, tuple[int, ...]]
    """Axes of each weight that number output neurons."""

    def add(self, wanted: Any, seen: Any, counts: bool = True) -> None:
        """Add a use of the weights: in the model as it was, and in the one whose earlier weights are codes.

        A use that does not count is the first one of another rank: it fixes the units of the sums.
        """

    def reduce(self, comm: Comm) -> None:
        """Add the sums of all ranks."""

    def value_and_gradients(self, weights: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """Return the relative error and its gradients, of the dtypes of the weights."""


class Quadratic:
    """Layers y = W x for one matrix, or several that see inputs of their own: L = 1 - 2 <B, W> + <W H, W>.

    X~ (n, columns) are the inputs of the layer, Y = X W_0^T for the inputs X of the uncompressed model; H = X~^T X~ and
    B = Y^T X~, over |Y|^2; all for each of `matrices`, W (matrices, rows, columns).

    Parameters
    ----------
    name : str
    weight : array
    row_axes : tuple of int
    matrices : int
    """

    def __init__(self, name: str, weight: np.ndarray, row_axes: tuple[int, ...], matrices: int) -> None:
        self.name, self.weights, self.row_axes = name, {name: weight}, {name: row_axes}
        rows = weight_rows(weight, row_axes)
        self.matrix = rows.reshape(matrices, -1, rows.shape[1]).astype(np.float64)
        columns = rows.shape[1]
        self.gram, self.cross = np.zeros((matrices, columns, columns)), np.zeros(self.matrix.shape)
        self.square = 0.0
        self._sums = FixedSum(self.gram.shape), FixedSum(self.cross.shape), FixedSum(())

    def add(self, wanted: Rows | Spectrum, seen: Rows | Spectrum, counts: bool = True) -> None:
        """Add the inputs of one use."""
        x, own = (_real_rows(use, len(self.matrix)) for use in (wanted, seen))
        y = x @ self.matrix.astype(x.dtype).swapaxes(1, 2)
        terms = own.swapaxes(1, 2) @ own, y.swapaxes(1, 2) @ own, float((y.astype(np.float64) ** 2).sum())
        for into, term in zip(self._sums, terms):
            into.add(term, counts)

    def reduce(self, comm: Comm) -> None:
        """Add the sums of all ranks, and the ridge that holds weights which no sample sees."""
        self.gram, self.cross, square = (allreduce_sum(own.total, comm) for own in self._sums)
        self.square = float(square)
        ridge = RIDGE * max(float(np.einsum("mii->", self.gram)) / self.gram[..., 0].size, np.finfo(float).tiny)
        self.gram += ridge * np.eye(self.gram.shape[1])
        self.cross += ridge * self.matrix
        self.square += ridge * float((self.matrix**2).sum())
        total = max(self.square, np.finfo(float).tiny)
        self.gram, self.cross, self.square = self.gram / total, self.cross / total, 1.0

    def value(self, matrix: np.ndarray) -> float:
        """Return the relative error of (matrices, rows, columns) weights."""
        return float(self.square - 2 * np.vdot(self.cross, matrix) + np.vdot(matrix @ self.gram, matrix))

    def value_and_gradients(self, weights: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """Return the relative error and its gradient 2 (W H - B)."""
        weight, axes = weights[self.name], self.row_axes[self.name]
        matrix = weight_rows(weight, axes).reshape(self.matrix.shape)
        product = matrix @ self.gram
        value = float(self.square - 2 * np.vdot(self.cross, matrix) + np.vdot(product, matrix))
        rows = (2 * (product - self.cross)).reshape(-1, self.matrix.shape[2]).astype(weight.real.dtype)
        return value, {self.name: weight_from_rows(rows, weight.shape, axes, weight.dtype)}


def _real_rows(use: Rows | Spectrum, matrices: int) -> np.ndarray:
    """Return inputs as (matrices, n, columns) real numbers; a complex row is two, see `CodedWeight.product`."""
    if isinstance(use, Rows):
        return to_host(use.x)[None]
    z = to_host(use.x).reshape(matrices, -1, use.x.shape[-1]).conj()
    return np.concatenate([z, (1j * z).astype(z.dtype)], axis=1).view(z.real.dtype)


class Factors:
    """Spectral weights in a tensor format: the error of the tensor that they make, mode by mode.

    L = sum over layers and modes k of |Y_k|^2 - 2 Re <B_k, T_k> + <T_k, H_k T_k>, T_k (in, out) from the factors,
    H_k = X~_k^H X~_k and B_k = X~_k^H Y_k.

    Parameters
    ----------
    names : dict str -> str
        Name in the format -> name of the parameter.
    weights : dict of arrays
        By the names of the parameters.
    form : WeightFormat
    """

    def __init__(self, names: Mapping[str, str], weights: Mapping[str, np.ndarray], form: Any) -> None:
        self.names, self.form = dict(names), form
        self.weights = {name: weights[name] for name in names.values()}
        self.row_axes: dict[str, tuple[int, ...]] = {n: (int(np.argmax(w.shape)),) for n, w in self.weights.items()}
        self.sums: dict[int, list[Any]] = {}
        kind = next(iter(self.weights.values())).dtype
        eye = np.eye(form.in_channels, dtype=kind)
        self._unit = np.ascontiguousarray(np.broadcast_to(eye, (*form.modes, *eye.shape)))
        self._total = 1.0
        for layer in range(max(1, form.layers)):
            shape = (math.prod(form.modes), form.in_channels)
            self.sums[layer] = [np.zeros((*shape, n), np.complex128) for n in (form.in_channels, form.out_channels)]
        self._fixed = {k: [FixedSum(a.shape, a.dtype) for a in own] for k, own in self.sums.items()}
        self._square, self._squares = 0.0, FixedSum(())

    def _tensor(self, weights: Mapping[str, np.ndarray], layer: int) -> tuple[np.ndarray, Any]:
        """Return T (modes, in, out) of a layer, and residuals."""
        found, residuals = self.form.mix(self._unit, {k: weights[n] for k, n in self.names.items()}, layer)
        return found.reshape(-1, *found.shape[-2:]), residuals

    def add(self, wanted: Spectrum, seen: Spectrum, counts: bool = True) -> None:
        """Add the inputs of one use."""
        x, own = (to_host(u.x).reshape(-1, *u.x.shape[-2:]) for u in (wanted, seen))
        y = x @ self._tensor(self.weights, seen.layer)[0]
        adjoint, (gram, cross) = own.conj().swapaxes(1, 2), self._fixed[seen.layer]
        gram.add(adjoint @ own, counts)
        cross.add(adjoint @ y, counts)
        self._squares.add(float((np.abs(y).astype(np.float64) ** 2).sum()), counts)

    def reduce(self, comm: Comm) -> None:
        """Add the sums of all ranks, and the ridge that holds what no sample sees."""
        self._square = float(allreduce_sum(self._squares.total, comm))
        for layer, own in self._fixed.items():
            gram, cross = (allreduce_sum(one.total, comm) for one in own)
            trace = float(np.einsum("kii->", gram).real) / (gram.shape[0] * gram.shape[1])
            ridge, tensor = RIDGE * max(trace, np.finfo(float).tiny), self._tensor(self.weights, layer)[0]
            gram += ridge * np.eye(gram.shape[1])
            cross += ridge * tensor
            self._square += ridge * float((np.abs(tensor) ** 2).sum())
            self.sums[layer] = [gram, cross]
        self._total = max(self._square, np.finfo(float).tiny)

    def value_and_gradients(self, weights: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """Return the relative error and its gradients, through the contractions of the format."""
        value, gradients = self._square, {n: np.zeros_like(weights[n]) for n in self.weights}
        for layer, (gram, cross) in self.sums.items():
            tensor, residuals = self._tensor(weights, layer)
            product = gram @ tensor
            value += float((np.vdot(tensor, product) - 2 * np.vdot(cross, tensor)).real)
            slope = (2 * (product - cross)).astype(tensor.dtype).reshape(*self.form.modes, *tensor.shape[1:])
            for key, gradient in self.form.mix_vjp(slope, residuals)[1].items():
                gradients[self.names[key]] += gradient
        return value / self._total, {n: (g / self._total).astype(weights[n].dtype) for n, g in gradients.items()}


def problem_of(use: Rows | Spectrum, weights: Mapping[str, np.ndarray]) -> Problem:
    """Return the problem, without sums, of the weights of a use."""
    if isinstance(use, Rows):
        return Quadratic(use.name, weights[use.name], (0,), 1)
    if use.form.factorization == "dense":
        (name,), dim = use.names.values(), len(use.form.modes)
        return Quadratic(name, weights[name], (*range(dim), dim + 1), math.prod(use.form.modes))
    return Factors(use.names, weights, use.form)


def own_error(name: str, weight: np.ndarray) -> Quadratic:
    """Return the problem of a weight whose inputs are not known: the relative squared error of its entries."""
    found = Quadratic(name, weight, (0,), 1)
    total = max(float((found.matrix**2).sum()), np.finfo(float).tiny)
    found.gram[:] = np.eye(found.gram.shape[1]) / total
    found.cross[:] = found.matrix / total
    found.square = 1.0
    return found
