"""Kernels of convolutions that are products of filters along one axis each, from the start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.grids.convolution import convolve
from sci.nn.grids.separable import separable_conv
from sci.nn.grids.window import Boundary
from sci.nn.maps.changes import WeightChange, as_on, given_arrays, require_gradient, require_weight
from sci.nn.ops.products import pointwise_conv
from sci.nn.ops.reductions import sum as sum_of
from sci.nn.ops.shaping import reshape, transpose
from sci.tensor.decompose.als import cp_als_batch, sum_of_terms, times_others

__all__ = ["CPKernels", "SeparableKernels"]


def _require_kernels(weight: Array, rank: int, name: str) -> Array:
    """Return weights (outputs, inputs, *taps) of one to three axes, and check the rank."""
    require_weight(weight, name, "f")
    if not 3 <= weight.ndim <= 5 or weight.size == 0:
        raise ShapeError(
            f"{name}: weight of shape {tuple(weight.shape)}; expected (outputs, inputs, *taps), 1 to 3 axes"
        )
    if rank < 1:
        raise InvalidValueError(f"{name}: rank={rank}; expected 1 or more")
    return weight


@entry
class _Kernels:
    """What the two maps share: factors by name, and the rules of `WeightMap`."""

    kind = ""
    nbytes = 0

    def __init__(self, factors: Mapping[str, Array]) -> None:
        self.factors = {name: require_weight(f, type(self).__name__, "f") for name, f in factors.items()}
        if len({f.dtype for f in self.factors.values()}) > 1:
            raise InvalidValueError(f"{type(self).__name__}: factors of several dtypes; expected one")

    def __repr__(self) -> str:
        numbers = f"{self.n_parameters} of {math.prod(self.shape)} numbers"
        return f"{type(self).__name__}({self.shape}, rank={self.rank}, {numbers})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight: (outputs, inputs, *taps)."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        """Terms."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(f.size for f in self.factors.values())

    def start(self) -> dict[str, Array]:
        """Return the factors, by name."""
        return dict(self.factors)

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""
        weight: Array = self.forward(arrays)[0]
        return weight

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and what `vjp` needs."""
        raise NotImplementedError

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return the factors as a change."""
        return WeightChange(self.kind, dict(zip(self.factors, given_arrays(arrays, self.factors))))

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[Any, dict[str, Array]]:
        """Return map and arrays of a change."""
        require_weight(weight, cls.__name__, "f")
        made = cls({name: as_on(a, weight, weight.dtype) for name, a in change.arrays.items()})
        if made.shape != tuple(weight.shape):
            raise ShapeError(f"{change!r} makes a weight of shape {made.shape}; expected {tuple(weight.shape)}")
        return made, made.start()


@entry
class SeparableKernels(_Kernels):
    """Weights of which each kernel is a short sum of products of filters along one axis.

        W[o, i] = sum over r of a[o, i, r] (x) b[o, i, r] (x) ...        one filter for each axis

    Parameters
    ----------
    factors : dict of (outputs, inputs, rank, taps) arrays
        "axis0", "axis1", ...: the filters of each axis.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    outputs inputs rank sum(taps) numbers in place of outputs inputs prod(taps). `apply` takes as many multiply-adds a
    cell; it makes outputs inputs rank fields on the way, where `convolve(x, fold(...))` makes none.

    References
    ----------
    The a-priori compressed convolutions of arXiv:2304.04964 (abstract and a summary: each kernel by its own CP terms,
    or singular vectors). A network is trained in this form from the start.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import SeparableKernels
    >>> laplacian = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    >>> two = SeparableKernels.from_dense(laplacian, 2)
    >>> two
    SeparableKernels((1, 1, 3, 3), rank=2, 12 of 9 numbers)
    >>> bool(abs(two.fold(two.start()) - laplacian).max() < 1e-14)
    True
    """

    kind = "separable"

    def __init__(self, factors: Mapping[str, Array]) -> None:
        super().__init__(factors)
        names = [f"axis{k}" for k in range(len(self.factors))]
        shapes = {f.shape[:3] for f in self.factors.values()}
        if list(self.factors) != names or len(shapes) != 1 or any(f.ndim != 4 for f in self.factors.values()):
            shown = {name: tuple(f.shape) for name, f in self.factors.items()}
            raise ShapeError(
                f"SeparableKernels: factors {shown}; expected axis0, axis1, ... of shape (outputs, inputs, rank, taps)"
            )

    @classmethod
    def from_dense(cls, weight: Array, rank: int, *, seed: int = 0) -> SeparableKernels:
        """Return the map of the nearest weight: singular vectors for two axes, else alternating least squares.

        Parameters
        ----------
        weight : (outputs, inputs, *taps) float32 or float64 array
        rank : int
            Terms of each kernel.
        seed : int
            See `sci.tensor.cp_als`.

        Returns
        -------
        SeparableKernels

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        _require_kernels(weight, rank, "SeparableKernels")
        outputs, inputs, *taps = weight.shape
        kernels = weight.reshape(outputs * inputs, *taps)
        if len(taps) == 1:
            xp = namespace(weight)
            found: tuple[Array, ...] = (
                xp.concatenate([kernels[:, :, None]] + [0 * kernels[:, :, None]] * (rank - 1), axis=2),
            )
        else:
            found = cp_als_batch(kernels, rank, seed=seed)
        split = [f.reshape(outputs, inputs, *f.shape[1:]).swapaxes(2, 3) for f in found]
        return cls({f"axis{k}": namespace(f).ascontiguousarray(f) for k, f in enumerate(split)})

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight: (outputs, inputs, *taps)."""
        return (*self.factors["axis0"].shape[:2], *(int(f.shape[3]) for f in self.factors.values()))

    @property
    def rank(self) -> int:
        """Terms of each kernel."""
        return int(self.factors["axis0"].shape[2])

    @property
    def flops(self) -> int:
        """Flops of `apply` per cell of the grid; the dense weight takes 2 outputs inputs prod(taps)."""
        return 2 * self.n_parameters

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and the factors for `vjp`."""
        factors = given_arrays(arrays, self.factors)
        flat = [f.reshape(-1, *f.shape[2:]).swapaxes(1, 2) for f in factors]
        return sum_of_terms(flat).reshape(self.shape), flat

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients of the factors."""
        first = self.factors["axis0"]
        require_gradient(dweight, namespace(first).empty(self.shape, first.dtype))
        flat = dweight.reshape(-1, *self.shape[2:])
        gradients = (times_others(flat, residuals, axis).swapaxes(1, 2) for axis in range(len(residuals)))
        return {name: g.reshape(f.shape) for (name, f), g in zip(self.factors.items(), gradients)}

    def apply(self, x: Any, arrays: Mapping[str, Any], *, boundary: Boundary = "zeros") -> Any:
        """Convolve filter by filter, never forming the weight.

        Parameters
        ----------
        x : (batch, inputs, *grid) array or variable
        arrays : dict of arrays or variables
            The factors.
        boundary : {"zeros", "periodic"}

        Returns
        -------
        (batch, outputs, *grid) array or variable
            `convolve(x, fold(arrays), boundary=boundary)`.
        """
        outputs, inputs, *taps = self.shape
        axes, terms = len(taps), outputs * inputs * self.rank
        order = [arrays[f"axis{k}"] for k in range(axes)]
        for k, factor in enumerate(order):
            one = [1] * axes
            one[k] = taps[k]
            if k == 0:  # inputs to all terms, by inputs
                weight = reshape(transpose(factor, axes=(1, 0, 2, 3)), shape=(terms, 1, *one))
                x = convolve(x, weight, groups=inputs, boundary=boundary)
                if axes == 1:
                    parts = reshape(x, shape=(x.shape[0], inputs, outputs, self.rank, *x.shape[2:]))
                    return sum_of(parts, axis=(1, 3))
                grid = x.shape[2:]
                moved = (0, 2, 1, 3, *range(4, 4 + axes))
                x = transpose(reshape(x, shape=(x.shape[0], inputs, outputs, self.rank, *grid)), axes=moved)
                x = reshape(x, shape=(x.shape[0], terms, *grid))
            elif k < axes - 1:  # each term by itself
                x = convolve(x, reshape(factor, shape=(terms, 1, *one)), groups=terms, boundary=boundary)
            else:  # the terms of an output added up
                x = convolve(
                    x, reshape(factor, shape=(outputs, inputs * self.rank, *one)), groups=outputs, boundary=boundary
                )
        return x


@entry
class CPKernels(_Kernels):
    """Weights as one CP tensor over outputs, inputs and the axes of the taps.

        W[o, i, t0, t1] = sum over r of output[o, r] input[i, r] axis0[r, t0] axis1[r, t1]

    Parameters
    ----------
    factors : dict of arrays
        "output" (outputs, rank), "input" (inputs, rank), and "axis0", "axis1", ... (rank, taps).

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    rank (outputs + inputs + sum(taps)) numbers, and as many multiply-adds a cell: a 1 x 1 convolution to `rank`
    channels, filters along the axes channel by channel in one kernel, and a 1 x 1 convolution to the outputs. This
    form across channels is ours; arXiv:2304.04964 takes each kernel by itself, see `SeparableKernels`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import CPKernels, convolve
    >>> weight_map = CPKernels.create((8, 6, 5, 5), 7, seed=0)
    >>> weight_map
    CPKernels((8, 6, 5, 5), rank=7, 168 of 1200 numbers)
    >>> x, arrays = np.random.default_rng(1).normal(size=(1, 6, 9, 9)), weight_map.start()
    >>> bool(abs(weight_map.apply(x, arrays) - convolve(x, weight_map.fold(arrays))).max() < 1e-12)
    True
    """

    kind = "cp"

    def __init__(self, factors: Mapping[str, Array]) -> None:
        super().__init__(factors)
        names = ["output", "input", *(f"axis{k}" for k in range(len(self.factors) - 2))]
        shown = {name: tuple(f.shape) for name, f in self.factors.items()}
        ranks = {s[1] if name in ("output", "input") else s[0] for name, s in shown.items() if len(s) == 2}
        if list(self.factors) != names or len(names) < 3 or len(ranks) != 1 or any(len(s) != 2 for s in shown.values()):
            raise ShapeError(
                f"CPKernels: factors {shown}; expected output (outputs, rank), input (inputs, rank), and "
                "axis0, ... (rank, taps)"
            )

    @classmethod
    def create(cls, shape: tuple[int, ...], rank: int, *, seed: int = 0, dtype: Any = np.float64) -> CPKernels:
        """Return random factors of which the weight has the variance 1 / (inputs prod(taps)).

        Parameters
        ----------
        shape : (outputs, inputs, *taps)
        rank : int
        seed : int
        dtype : float32 or float64

        Returns
        -------
        CPKernels

        Raises
        ------
        ShapeError, InvalidValueError
        """
        if not 3 <= len(shape) <= 5 or min(shape) < 1 or rank < 1:
            raise ShapeError(
                f"CPKernels of shape {tuple(shape)}, rank={rank}; expected (outputs, inputs, *taps) and 1 or more"
            )
        rng = np.random.default_rng(seed)
        scale = (1 / (rank * math.prod(shape[1:]))) ** (0.5 / len(shape))
        names = ["output", "input", *(f"axis{k}" for k in range(len(shape) - 2))]
        sizes = [(n, rank) if k < 2 else (rank, n) for k, n in enumerate(shape)]
        return cls({name: (scale * rng.normal(size=size)).astype(dtype) for name, size in zip(names, sizes)})

    @classmethod
    def from_dense(cls, weight: Array, rank: int, *, seed: int = 0) -> CPKernels:
        """Return the map of a near weight of a rank, by alternating least squares from leading singular vectors.

        Parameters
        ----------
        weight : (outputs, inputs, *taps) float32 or float64 array
        rank : int
        seed : int
            See `sci.tensor.cp_als`.

        Returns
        -------
        CPKernels

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        _require_kernels(weight, rank, "CPKernels")
        found = [f[0] for f in cp_als_batch(weight[None], rank, seed=seed)]
        names = ["output", "input", *(f"axis{k}" for k in range(weight.ndim - 2))]
        xp = namespace(weight)
        return cls({name: xp.ascontiguousarray(f if k < 2 else f.T) for k, (name, f) in enumerate(zip(names, found))})

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight: (outputs, inputs, *taps)."""
        return tuple(int(f.shape[0 if k < 2 else 1]) for k, f in enumerate(self.factors.values()))

    @property
    def rank(self) -> int:
        """Terms, and channels between the 1 x 1 convolutions."""
        return int(self.factors["output"].shape[1])

    @property
    def flops(self) -> int:
        """Flops of `apply` per cell of the grid; the dense weight takes 2 outputs inputs prod(taps)."""
        return 2 * self.n_parameters

    def _columns(self, arrays: Mapping[str, Array]) -> list[Array]:
        """Return the factors with one column a term."""
        return [f if k < 2 else f.T for k, f in enumerate(given_arrays(arrays, self.factors))]

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and the factors for `vjp`."""
        columns = self._columns(arrays)
        return sum_of_terms([f[None] for f in columns])[0], columns

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients of the factors."""
        first = self.factors["output"]
        require_gradient(dweight, namespace(first).empty(self.shape, first.dtype))
        columns = [f[None] for f in residuals]
        gradients = (times_others(dweight[None], columns, axis)[0] for axis in range(dweight.ndim))
        return {name: g if k < 2 else g.T for k, (name, g) in enumerate(zip(self.factors, gradients))}

    def apply(self, x: Any, arrays: Mapping[str, Any], *, boundary: Boundary = "zeros") -> Any:
        """Convolve by the factors, never forming the weight.

        Parameters
        ----------
        x : (batch, inputs, *grid) array or variable
        arrays : dict of arrays or variables
            The factors.
        boundary : {"zeros", "periodic"}

        Returns
        -------
        (batch, outputs, *grid) array or variable
            `convolve(x, fold(arrays), boundary=boundary)`.
        """
        filters = [arrays[f"axis{k}"] for k in range(len(self.shape) - 2)]
        few = pointwise_conv(x, transpose(arrays["input"], axes=(1, 0)))
        return pointwise_conv(separable_conv(few, *filters, boundary=boundary), arrays["output"])
