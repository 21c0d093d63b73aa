"""Products of the Gauss-Newton matrix of a loss with vectors, from the two passes that every model has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, require_finite
from sci.distributed import Comm, agreed, allreduce_sum, sample, split
from sci.errors import ConvergenceError, InvalidValueError, ShapeError, with_article
from sci.nn.core.gradients import value_and_gradients
from sci.nn.core.packing import kinds_of, packed, unpacked
from sci.nn.core.tape import Tape, Variable, value_of
from sci.nn.core.trees import Tree, named_arrays, structure_of, tree_from

__all__ = ["GaussNewton", "Loss", "Predict"]

Predict = Callable[[dict[str, Any], Any], Any]
"""Takes parameters by name and a batch, and returns the outputs of the model."""
Loss = Callable[[Any, Any], Any]
"""Takes outputs and a batch, and returns the mean loss over its samples."""

_WANTED, _TRIES = 1e-9, 7
"""Mismatch of a product that is good, and the number of step lengths that are tried for it."""
_LARGEST = 1e-7
"""Mismatch above which a product is refused."""


@collective_entry
class GaussNewton:
    """The Gauss-Newton matrix G = J' H J of a loss, as a function that multiplies vectors with it.

    J is the Jacobian of the outputs of a model with respect to its parameters, H the Hessian of the loss with respect
    to the outputs. For `cross_entropy`, and for half a sum of squares, G is the Fisher matrix of the model's own
    distribution (categorical; normal with deviation 1). It is not the covariance of the gradients.

    Parameters
    ----------
    predict : callable
        `predict(variables, batch)` returns the outputs, one array, from variables or arrays in the form of
        `parameters`. It has to follow the dtype of what it gets: all is computed in double precision.
    loss : callable
        `loss(outputs, batch)` returns the mean over the samples of `batch`, as a scalar.
    parameters : dict of arrays, or of dicts and lists of them
        Real or complex; a complex number counts as two real ones. Not changed.
    batch : sequence of arrays of one first length
        All ranks have all of it.
    comm : mpi4py communicator, optional
        The ranks share the samples.

    Attributes
    ----------
    size : int
        Number of real parameters.
    error : float
        Largest mismatch |(J v)' H (J v) - v' (G v)| of all products so far, over |v|^2 and the largest v'G v / |v|^2.

    Raises
    ------
    ShapeError, InvalidValueError
    ConvergenceError
        In a product whose mismatch is above 1e-7.

    Notes
    -----
    J' u is one exact pass back. J v and H w are fourth-order central differences in float64, of the outputs and of the
    gradient of the loss. As v' J' u is exact, the mismatch measures the error of every product at no cost; the step is
    shortened where it is above 1e-9. Typical: 1e-13 to 1e-10. A product takes five passes forward and one back, and
    the residuals of one pass. Collective over `comm`: one all-reduce for each, and all ranks get the same bits, so
    that they can run `sci.linalg.lanczos` side by side, without `comm`.

    References
    ----------
    Schraudolph, Neural Comput. 14, 1723 (2002); Martens, J. Mach. Learn. Res. 21, 146 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import GaussNewton, linear, mean_squared_error
    >>> batch = (np.array([[1.0], [2.0]]), np.zeros((2, 1)))
    >>> product = GaussNewton(
    ...     lambda v, b: linear(b[0], v["w"]), lambda z, b: mean_squared_error(z, b[1]), {"w": np.zeros((1, 1))}, batch
    ... )
    >>> product(np.array([1.0])).round(9)
    array([5.])
    """

    def __init__(
        self,
        predict: Predict,
        loss: Loss,
        parameters: Tree,
        batch: Sequence[Array],
        *,
        comm: Comm = None,
    ) -> None:
        with agreed(comm, "GaussNewton") as agreement:
            leaves = named_arrays(parameters, "parameters")
            agreement.same(parameters={name: sample(p) for name, p in leaves.items()})
            agreement.same(batch=[sample(a) for a in batch], predict=_name_of(predict), loss=_name_of(loss))
            self._samples = _length(batch)
            if not leaves:
                raise InvalidValueError("there are no parameters; expected a dict of one array or more")
            for name, array in leaves.items():
                require_finite(array, f"the parameter {name!r}")
            own = split(self._samples, comm)
            self._batch = tuple(_doubled(a[own]) for a in batch)
            doubled = {name: _doubled(p) for name, p in leaves.items()}
        self._predict = _of_leaves(predict, structure_of(parameters))
        self._loss, self._comm = loss, comm
        self._part = (own.stop - own.start) / self._samples
        self._kinds = kinds_of(doubled)
        self._at = packed(doubled)
        self._step, self._largest = 2e-3 * (_norm(self._at) or 1.0), 0.0
        self.size, self.error = int(self._at.size), 0.0

    def __repr__(self) -> str:
        return f"GaussNewton({self.size:,} parameters, {self._samples} samples, error {self.error:.1g})"

    def __call__(self, v: Array) -> Array:
        """Return G v for a vector (size,) of float64, in the order of the parameters."""
        with agreed(self._comm, "GaussNewton") as agreement:
            v = as_finite(v, "v", shape=(self.size,))
            agreement.same(v=sample(v))
        length = _norm(v)
        if length == 0:
            return namespace(v).zeros_like(v)
        best, step = None, self._step
        for _ in range(_TRIES):
            product, curved = self._product(v, step / length)
            along = float(v @ product)
            self._largest = max(self._largest, abs(along) / length**2)
            mismatch = abs(along - curved) / (self._largest * length**2) if self._largest else abs(curved)
            if best is None or mismatch < best[0]:
                best = (mismatch, product, step)
            if mismatch <= _WANTED:
                break
            step /= 8
        assert best is not None
        if not best[0] <= _LARGEST:
            raise ConvergenceError(
                f"a Gauss-Newton product has an error of {best[0]:.1g} of the largest eigenvalue; expected at most "
                f"{_LARGEST:g}. Check that the model has derivatives here, and that it computes in float64 when its "
                "parameters and batch are float64"
            )
        self.error, self._step = max(self.error, best[0]), best[2]
        return best[1]

    def _product(self, v: Array, step: float) -> tuple[Array, float]:
        """Return G v, and (J v)' H (J v), summed over the ranks."""
        with agreed(self._comm, "GaussNewton"):
            mine = self._own_product(v, step)
        sums = mine if self._comm is None else allreduce_sum(mine, self._comm, checked=True)
        return sums[:-1], float(sums[-1])

    def _own_product(self, v: Array, step: float) -> Array:
        """Return the contribution of this rank's samples, both results in one array."""
        xp = namespace(v)
        if self._part == 0:
            return xp.zeros(self.size + 1)
        variables = Tape().watch(unpacked(self._at, self._kinds))
        out = self._predict(variables, self._batch)
        if not isinstance(out, Variable):
            raise InvalidValueError(
                f"predict returned {with_article(type(out).__name__)}; expected a variable: "
                "compute the outputs from the "
                "parameters with the ops of sci.nn"
            )
        w = _derivative(lambda t: value_of(self._predict(unpacked(self._at + t * v, self._kinds), self._batch)), step)
        u = self._part * self._loss_curvature(out.value, w)
        out.backward(u)
        gradients = {
            name: xp.zeros_like(x.value) if x.gradient is None else x.gradient for name, x in variables.items()
        }
        return xp.concatenate([packed(gradients), xp.vdot(w, u).real.reshape(1)])

    def _loss_curvature(self, z: Array, w: Array) -> Array:
        """Return the derivative along w of the gradient of the loss at the outputs z."""
        xp = namespace(z)
        size = float(xp.abs(w).max())
        if size == 0:
            return xp.zeros_like(w)
        gradient = lambda t: value_and_gradients(lambda x: self._loss(x, self._batch), z + t * w)[1]  # noqa: E731
        step, before = 1e-3 * (float(xp.abs(z).max()) or 1.0) / size, None
        for _ in range(_TRIES):
            found = _derivative(gradient, step)
            if before is not None and float(xp.abs(found - before).max()) <= _WANTED * float(xp.abs(found).max()):
                return found
            step, before = step / 8, found
        raise ConvergenceError("the loss has no second derivative at the outputs; expected a smooth loss")


def _of_leaves(predict: Predict, structure: Any) -> Predict:
    """Return a function of leaves by name, which gets their tree."""
    return lambda leaves, batch: predict(tree_from(structure, leaves), batch)


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _derivative(function: Callable[[float], Array], step: float) -> Array:
    """Return the derivative at 0, to fourth order in the step."""
    near, far = function(step) - function(-step), function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def _length(batch: Sequence[Array]) -> int:
    lengths = sorted({len(a) for a in batch})
    if len(lengths) != 1 or lengths[0] == 0:
        raise ShapeError(f"a batch of arrays of lengths {lengths}; expected one or more of one length of at least 1")
    return lengths[0]


def _doubled(array: Array) -> Array:
    """Return real and complex floats in double precision, C-contiguous, and other arrays as they are."""
    if array.dtype.kind not in "fc":
        return array
    return (
        namespace(array).ascontiguousarray(array, dtype="c16" if array.dtype.kind == "c" else "f8").reshape(array.shape)
    )


def _norm(v: Array) -> float:
    return float(namespace(v).sqrt(v @ v))
