"""The CP format (canonical polyadic): a sum of separable terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace
from sci.errors import ShapeError
from sci.tensor.contraction.network import BATCH, Step
from sci.tensor.formats.modes import as_tensor, khatri_rao, mode_product
from sci.tensor.formats.protocol import cp_rank

__all__ = ["CP"]

BLOCK_ENTRIES = 2**22


@entry
@dataclass(frozen=True, eq=False)
class CP:
    """A tensor A = sum_k weights_k u_k^(1) o ... o u_k^(d), with u_k^(l) the columns of factors[l].

    Parameters
    ----------
    weights : (R,) real or complex
    factors : sequence of (n_l, R)
        The side matrices, one an axis; at least two.

    Raises
    ------
    ShapeError
        If the factors do not have one column a weight.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> a = CP(np.ones(2), (np.stack([x, x**2], axis=1),) * 3)
    >>> a.shape, a.cp_rank, round(float(a.to_dense()[4, 4, 4]), 12)
    ((5, 5, 5), 2, 2.0)
    """

    weights: ArrayLike
    factors: tuple[ArrayLike, ...]

    def __post_init__(self) -> None:
        namespace(self.weights, *self.factors)
        weights = as_tensor(self.weights, "weights", 1)
        factors = tuple(as_tensor(f, f"factors[{axis}]", 2) for axis, f in enumerate(self.factors))
        if len(factors) < 2:
            raise ShapeError(f"CP got {len(factors)} factors; expected one an axis, at least 2")
        for axis, factor in enumerate(factors):
            if factor.shape[1] != len(weights):
                raise ShapeError(f"factors[{axis}] has shape {factor.shape}; expected (n, {len(weights)})")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "factors", factors)

    def __repr__(self) -> str:
        return f"CP(shape={self.shape}, cp_rank={self.cp_rank}, dtype={self.dtype}, {self.nbytes} bytes)"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the full tensor."""
        return tuple(int(f.shape[0]) for f in self.factors)

    @property
    def cp_rank(self) -> int:
        """Number R of separable terms."""
        return int(self.weights.shape[0])

    @property
    def dtype(self) -> Any:
        """Common dtype of weights and factors."""
        return namespace(self.weights).result_type(self.weights, *self.factors)

    @property
    def nbytes(self) -> int:
        """Bytes of weights and factors."""
        return int(self.weights.nbytes) + sum(int(f.nbytes) for f in self.factors)

    def term_norms(self) -> Array:
        """Return the Frobenius norm of every term, (R,): |weights_k| times the norms of its vectors."""
        xp = namespace(self.weights)
        norms = xp.abs(self.weights)
        for factor in self.factors:
            norms = norms * xp.linalg.norm(factor, axis=0)
        return norms

    def inner(self, other: CP) -> complex | float:
        """Return the Frobenius inner product <self, other>, conjugate linear in self.

        Notes
        -----
        2 R_1 R_2 sum n_l flops, in blocks of rows, so that memory stays bounded.
        """
        if self.shape != other.shape:
            raise ShapeError(f"inner product of shapes {self.shape} and {other.shape}; expected equal shapes")
        xp = namespace(self.weights, other.weights)
        total = 0.0
        step = max(1, BLOCK_ENTRIES // other.cp_rank)
        for start in range(0, self.cp_rank, step):
            part = slice(start, start + step)
            gram = xp.conj(self.weights[part])[:, None] * other.weights
            for mine, theirs in zip(self.factors, other.factors):
                gram = gram * (xp.conj(mine[:, part]).T @ theirs)
            total = total + gram.sum()
        return complex(total) if self.dtype.kind == "c" or other.dtype.kind == "c" else float(total)

    def norm(self) -> float:
        """Return the Frobenius norm; terms that cancel to below 1e-8 of their size lose its digits."""
        return float(max(self.inner(self).real, 0.0) ** 0.5)

    def to_dense(self) -> Array:
        """Return the dense tensor; 2 R prod(shape) flops."""
        return accumulate(self.weights, self.factors)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name: "weights", and "factor_0" to "factor_<d-1>"."""
        return {"weights": self.weights, **{f"factor_{j}": factor for j, factor in enumerate(self.factors)}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> CP:
        """Return the tensor of the arrays "weights" and "factor_0" to "factor_<d-1>"."""
        return cls(arrays["weights"], tuple(arrays[f"factor_{j}"] for j in range(len(arrays) - 1)))

    @staticmethod
    def count_ranks(order: int) -> int:
        """Return 1: the number of terms."""
        return 1

    @staticmethod
    def ranks_for(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
        """Return the number of terms with which the factors have about `fraction` of the dense parameters."""
        return (cp_rank(shape, fraction),)

    @staticmethod
    def array_shapes(shape: Sequence[int], ranks: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of weights and factors by name."""
        return {"weights": tuple(ranks), **{f"factor_{j}": (n, ranks[0]) for j, n in enumerate(shape)}}

    @staticmethod
    def factor_axis(axis: int) -> int:
        """Return 0: rows of a factor run along its axis."""
        return 0

    @staticmethod
    def contraction(n_batch: int, selected: bool = False) -> tuple[Step, ...]:
        """Return the contractions of `TensorFormat.contraction`.

        The weights of the terms are expanded along the batch axes; the inputs are projected, scaled, and brought back.
        """
        k, first, name = BATCH[:n_batch], int(selected), "weights_0" if selected else "weights"
        steps = [("weights_0", "factor_0", "weights", "r,r->r")] if selected else []
        for axis in range(n_batch):
            made = f"expanded_{axis}"
            steps.append((made, name, f"factor_{axis + 2 + first}", f"{k[:axis]}r,{k[axis]}r->{k[: axis + 1]}r"))
            name = made
        steps += [
            ("projected", "X", f"factor_{first}", f"{k}bi,ir->{k}br"),
            ("mixed", "projected", name, f"{k}br,{k}r->{k}br"),
            ("Y", "mixed", f"factor_{first + 1}", f"{k}br,or->{k}bo"),
        ]
        return tuple(steps)


def accumulate(weights: Array, factors: Sequence[Array]) -> Array:
    """Return the dense sum of the terms, in blocks of terms that bound the Khatri-Rao product in memory."""
    xp = namespace(weights, *factors)
    shape = tuple(int(f.shape[0]) for f in factors)
    entries = 1
    for n in shape[1:]:
        entries *= n
    result = xp.zeros((shape[0], entries), dtype=xp.result_type(weights, *factors))
    step = max(1, BLOCK_ENTRIES // entries)
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        result += (factors[0][:, part] * weights[part]) @ khatri_rao([f[:, part] for f in factors[1:]]).T
    return result.reshape(shape)


def project(cp: CP, bases: Sequence[Array]) -> Array:
    """Return the core A x_1 V_1^H ... x_d V_d^H of a CP tensor, without forming the tensor."""
    xp = namespace(cp.weights, *bases)
    return accumulate(cp.weights, [mode_product(f, xp.conj(v).T, 0) for f, v in zip(cp.factors, bases)])
