"""The tensor-train format: a chain of cores, each with one axis of the tensor and two bonds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace
from sci.errors import ShapeError
from sci.tensor.contraction.network import BATCH, Step
from sci.tensor.formats.modes import as_tensor
from sci.tensor.formats.protocol import tensor_train_ranks

__all__ = ["TensorTrain"]

_BONDS = "cdefgh"


@entry
@dataclass(frozen=True, eq=False, repr=False)
class TensorTrain:
    """A tensor train, `A[j_1, ..., j_d] = cores[0][j_1, :] cores[1][:, j_2, :] ... cores[d-1][:, j_d]`.

    Parameters
    ----------
    cores : sequence of arrays
        (n_1, r_1), (r_1, n_2, r_2), ..., (r_{d-1}, n_d); at least two.

    Raises
    ------
    ShapeError
        If neighboring cores do not share a bond.

    References
    ----------
    Oseledets, SIAM J. Sci. Comput. 33, 2295 (2011). There the outer cores have a bond of length 1.

    Examples
    --------
    >>> import numpy as np
    >>> a = TensorTrain((np.ones((4, 2)), np.ones((2, 5, 3)), np.ones((3, 6))))
    >>> a
    TensorTrain(shape=(4, 5, 6), tt_ranks=(2, 3), dtype=float64, 448 bytes)
    >>> float(a.to_dense()[0, 0, 0]), round(a.norm() ** 2)
    (6.0, 4320)
    """

    cores: tuple[ArrayLike, ...]

    def __post_init__(self) -> None:
        namespace(*self.cores)
        last = len(self.cores) - 1
        if last < 1:
            raise ShapeError(f"TensorTrain got {len(self.cores)} cores; expected one an axis, at least 2")
        axes = (2 if j in (0, last) else 3 for j in range(last + 1))
        cores = tuple(as_tensor(c, f"cores[{j}]", n) for j, (c, n) in enumerate(zip(self.cores, axes)))
        for j in range(last):
            if cores[j].shape[-1] != cores[j + 1].shape[0]:
                raise ShapeError(
                    f"cores[{j}] has shape {cores[j].shape} and cores[{j + 1}] {cores[j + 1].shape}; expected one bond"
                )
        object.__setattr__(self, "cores", cores)

    def __repr__(self) -> str:
        return f"TensorTrain(shape={self.shape}, tt_ranks={self.tt_ranks}, dtype={self.dtype}, {self.nbytes} bytes)"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dense tensor."""
        return (int(self.cores[0].shape[0]), *(int(c.shape[1]) for c in self.cores[1:]))

    @property
    def tt_ranks(self) -> tuple[int, ...]:
        """Lengths of the d - 1 bonds."""
        return tuple(int(c.shape[-1]) for c in self.cores[:-1])

    @property
    def dtype(self) -> Any:
        """Common dtype of the cores."""
        return namespace(self.cores[0]).result_type(*self.cores)

    @property
    def nbytes(self) -> int:
        """Bytes of the cores."""
        return sum(int(c.nbytes) for c in self.cores)

    @property
    def arrays(self) -> dict[str, Array]:
        """The cores by name, "factor_0" to "factor_<d-1>"."""
        return {f"factor_{j}": core for j, core in enumerate(self.cores)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> TensorTrain:
        """Return the tensor of cores "factor_0" to "factor_<d-1>"."""
        return cls(tuple(arrays[f"factor_{j}"] for j in range(len(arrays))))

    def to_dense(self) -> Array:
        """Return the dense tensor, by one matrix product a bond."""
        xp, result = namespace(*self.cores), self.cores[0]
        for core in self.cores[1:]:
            result = xp.tensordot(result, core, 1)
        return result

    def norm(self) -> float:
        """Return the Frobenius norm, by one QR factorization a core: d n r^3 flops, no loss by cancellation."""
        xp = namespace(*self.cores)
        rest = self.cores[0]
        for core in self.cores[1:]:
            triangle = xp.linalg.qr(rest.reshape(-1, rest.shape[-1]))[1]
            rest = xp.tensordot(triangle, core, 1)
        return float(xp.linalg.norm(rest.ravel()))

    def inner(self, other: TensorTrain) -> complex | float:
        """Return the Frobenius inner product <self, other>, conjugate linear in self."""
        if self.shape != other.shape:
            raise ShapeError(f"inner product of shapes {self.shape} and {other.shape}; expected equal shapes")
        xp = namespace(*self.cores, *other.cores)
        gram = xp.conj(self.cores[0]).T @ other.cores[0]
        for mine, theirs in zip(self.cores[1:], other.cores[1:]):
            part = xp.tensordot(gram, theirs, 1)
            mine, part = (a.reshape(a.shape[0] * a.shape[1], -1) for a in (mine, part))
            gram = xp.conj(mine).T @ part
        total = gram.sum()
        return complex(total) if total.dtype.kind == "c" else float(total)

    @staticmethod
    def count_ranks(order: int) -> int:
        """Return the number of bonds of a tensor of `order` axes."""
        return order - 1

    @staticmethod
    def ranks_for(shape: Sequence[int], fraction: float) -> tuple[int, ...]:
        """Return bonds with which the cores have about `fraction` of the dense parameters."""
        return tensor_train_ranks(shape, fraction)

    @staticmethod
    def array_shapes(shape: Sequence[int], ranks: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the cores by name."""
        inner = zip(ranks[:-1], shape[1:-1], ranks[1:])
        cores = [(shape[0], ranks[0]), *inner, (ranks[-1], shape[-1])]
        return {f"factor_{j}": core for j, core in enumerate(cores)}

    @staticmethod
    def factor_axis(axis: int) -> int:
        """Return 0 for the first core, and 1 for the others, whose first axis is a bond."""
        return int(axis > 0)

    @staticmethod
    def contraction(n_batch: int, selected: bool = False) -> tuple[Step, ...]:
        """Return the contractions of `TensorFormat.contraction`.

        The batch cores are joined from the last, then meet the core of the outputs, and the projected inputs.
        """
        k, first = BATCH[:n_batch], int(selected)
        steps = [("entry", "factor_0", "factor_1", "l,lia->ia")] if selected else []
        name = f"factor_{n_batch + 1 + first}"
        for axis in reversed(range(n_batch - 1)):
            made = f"expanded_{axis}"
            left, right = _BONDS[axis], _BONDS[axis + 1]
            indices = f"{left}{k[axis]}{right},{right}{k[axis + 1 :]}->{left}{k[axis:]}"
            steps.append((made, f"factor_{axis + 2 + first}", name, indices))
            name = made
        steps += [
            ("mixing", f"factor_{first + 1}", name, f"aoc,c{k}->{k}ao"),
            ("projected", "X", "entry" if selected else "factor_0", f"{k}bi,ia->{k}ba"),
            ("Y", "projected", "mixing", f"{k}ba,{k}ao->{k}bo"),
        ]
        return tuple(steps)
