"""Weights as codes into codebooks that are learned, alone or together with the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.nn.maps.changes import WeightChange, as_on, given_arrays, require_gradient, require_weight
from sci.nn.maps.quantized.coded_weight import CodedWeight, weight_from_rows, weight_rows
from sci.nn.maps.quantized.codes import group_bytes, group_neurons, k_means_1d, pack_codes, packed_bytes, require_bits

__all__ = ["CodebookWeight"]


@entry
class CodebookWeight:
    """A weight of which every entry is one of 2^bits values, from one codebook for each group of output neurons.

        W[r, c] = C[g(r), A[r, c]],   A[r, c] = argmax_k I[r, c, k]

    The codebooks C are trained, and with `mapping` also the scores I, whose largest says the code A. Backward, a score
    gets dW (C_k - W) weighed by exp(-|C_k - W| / gap) / |C_k - W|: the next codes learn, far ones hardly, so that an
    entry moves from code to code.

    Parameters
    ----------
    weight : array
        float32, float64, complex64 or complex128; complex numbers are coded as pairs.
    bits : 1, 2, 3, 4 or 8
    groups : int or (rows,) array of int, optional
        How many groups of neurons, found by `group_neurons`; or the group of each neuron, from 0 on, every group with a
        neuron. Groups that follow each other, as after `neuron_order`, take no room in a file.
    row_axes : sequence of int
        Axes that number the output neurons: 0 for a matrix (outputs, inputs) and for convolutions.
    mapping : bool
        Train the scores as well: 2^bits numbers for each entry.

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError

    Notes
    -----
    The map starts at the nearest values of k-means codebooks, not at the weight itself. Memory in a file: bits a
    number, 32 groups 2^bits for the codebooks.

    References
    ----------
    Jointly learnable codebooks and mappings, arXiv:2309.17361. How the gradient of the scores falls with the distance
    is not given there; the function here is this library's.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import CodebookWeight
    >>> weight = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    >>> weight_map = CodebookWeight(weight, 4, groups=2)
    >>> weight_map
    CodebookWeight((64, 32), float32, 4 bits, 2 groups, 1160 of 8192 bytes)
    >>> found = weight_map.fold(weight_map.start())
    >>> len(np.unique(found)), bool(np.abs(found - weight).mean() < 0.1)
    (32, True)
    """

    rounds = True
    """The weight at the start is near the one that the map was made for, not that one."""

    def __init__(
        self,
        weight: Array,
        bits: int,
        *,
        groups: int | Array = 1,
        row_axes: Sequence[int] = (0,),
        mapping: bool = False,
    ) -> None:
        self.weight = require_weight(weight, "CodebookWeight", "fc")
        self.bits, self.row_axes, self.mapping = require_bits(bits, "CodebookWeight"), tuple(row_axes), mapping
        if mapping and self.bits > 4:
            raise InvalidValueError(f"CodebookWeight: mapping=True with {bits} bits; expected at most 4")
        self._matrix = to_host(weight_rows(weight, self.row_axes))
        if not self._matrix.size:
            raise ShapeError(f"CodebookWeight: weight of shape {tuple(weight.shape)}; expected at least one entry")
        self.groups = _groups(self._matrix, groups)
        members = [self._matrix[self.groups == g] for g in range(int(self.groups.max()) + 1)]
        self.codebooks = np.stack([k_means_1d(m, 1 << self.bits) for m in members]).astype(self._matrix.dtype)
        self.codes = self.nearest(self._matrix, self.codebooks)

    def __repr__(self) -> str:
        n = len(self.codebooks)
        bits = f"{self.bits} bit{'s' * (self.bits > 1)}"
        return (
            f"CodebookWeight({tuple(self.weight.shape)}, {self.weight.dtype}, {bits}, {n} group{'s' * (n > 1)}, "
            f"{self.nbytes} of {self.weight.nbytes} bytes)"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the weight in this form: packed codes, codebooks, groups."""
        groups = group_bytes(self.groups, len(self.codebooks))
        return packed_bytes(self._matrix.size, self.bits) + int(self.codebooks.nbytes) + groups

    def nearest(self, matrix: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
        """Return the code (rows, columns) of the nearest value for each entry of a matrix of rows."""
        found = np.empty(matrix.shape, np.uint8)
        for g, book in enumerate(codebooks):
            order, mine = np.argsort(book, kind="stable"), self.groups == g
            middles = (book[order][1:] + book[order][:-1]) / 2
            found[mine] = order[np.searchsorted(middles, matrix[mine])]
        return found

    def start(self) -> dict[str, Array]:
        """Return the codebooks (groups, 2^bits), and with `mapping` the scores (rows, columns, 2^bits)."""
        xp = namespace(self.weight)
        arrays = {"codebooks": to_device(self.codebooks, xp)}
        if self.mapping:
            distance = np.abs(self._values() - self._matrix[..., None])
            arrays["scores"] = to_device((-distance / self._gaps()).astype(self._matrix.dtype), xp)
        return arrays

    def _values(self, codebooks: np.ndarray | None = None) -> Any:
        """Return the values of the codes of each row, (rows, 1, 2^bits)."""
        books = self.codebooks if codebooks is None else codebooks
        return books[to_device(self.groups, namespace(books))][:, None, :]

    def _gaps(self, codebooks: np.ndarray | None = None) -> Any:
        """Return the mean distance of neighboring values, for each row (rows, 1, 1)."""
        books = self.codebooks if codebooks is None else codebooks
        spans = (books.max(axis=1) - books.min(axis=1)) / (books.shape[1] - 1)
        tiny = float(np.finfo(books.dtype).tiny)
        return spans.clip(tiny)[to_device(self.groups, namespace(books))][:, None, None]

    def codes_of(self, arrays: Mapping[str, Array]) -> Array:
        """Return the codes (rows, columns): the places of the largest scores, or those of the start."""
        if self.mapping:
            return arrays["scores"].argmax(axis=2).astype(np.uint8)
        return to_device(self.codes, namespace(arrays["codebooks"]))

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and its codes and codebooks for `vjp`."""
        given_arrays(arrays, self._like())
        codes, books = self.codes_of(arrays), arrays["codebooks"]
        flat = to_device(self.groups, namespace(books))[:, None] * books.shape[1] + codes
        rows = books.reshape(-1)[flat]
        return weight_from_rows(rows, self.weight.shape, self.row_axes, self.weight.dtype), (rows, flat, books)

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients of the codebooks, and of the scores."""
        require_gradient(dweight, self.weight)
        rows, flat, books = residuals
        xp, drows = namespace(books), weight_rows(dweight, self.row_axes)
        sums = xp.bincount(flat.reshape(-1), weights=drows.reshape(-1), minlength=books.size)
        found = {"codebooks": sums.reshape(books.shape).astype(books.dtype)}
        if self.mapping:
            step = self._values(books) - rows[..., None]
            near = xp.exp(-abs(step) / self._gaps(books))
            found["scores"] = (drows[..., None] * xp.sign(step) * near).astype(books.dtype)
        return found

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""
        return self.forward(arrays)[0]

    def coded(self, arrays: Mapping[str, Array]) -> CodedWeight:
        """Return the weight as packed codes, which ops take in the place of an array.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        given_arrays(arrays, self._like())
        packed = pack_codes(to_host(self.codes_of(arrays)), self.bits)
        options: dict[str, Any] = {"row_axes": self.row_axes, "dtype": self.weight.dtype}
        return CodedWeight(self.weight.shape, packed, arrays["codebooks"], self.groups, self.bits, **options)

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return codebooks, packed codes and groups as the change "codebook"."""
        found = self.coded(arrays)
        layout = np.array([self.bits, *self.row_axes], np.int64)
        held = {"codebooks": found.codebooks, "packed": found.packed, "groups": self.groups, "layout": layout}
        return WeightChange("codebook", held)

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[CodebookWeight, dict[str, Array]]:
        """Return map and arrays of a change.

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
        """
        if set(change.arrays) != {"codebooks", "packed", "groups", "layout"} or not len(change.arrays["layout"]):
            raise InvalidValueError(f"{change!r}; expected codebooks, packed, groups and layout; the file is damaged")
        arrays = change.arrays
        bits, *row_axes = map(int, to_host(arrays["layout"]))
        books = as_on(arrays["codebooks"], weight, weight.real.dtype)
        options: dict[str, Any] = {"row_axes": row_axes, "dtype": weight.dtype}
        held = CodedWeight(weight.shape, arrays["packed"], books, arrays["groups"], bits, **options)
        made = cls(weight, bits, groups=held.groups, row_axes=row_axes)
        made.codes, made.codebooks = held.codes, to_host(books)
        return made, {"codebooks": books}

    def _like(self) -> dict[str, Any]:
        shapes = {"codebooks": np.broadcast_to(self._matrix.dtype.type(0), self.codebooks.shape)}
        if self.mapping:
            shape = (*self._matrix.shape, self.codebooks.shape[1])
            shapes["scores"] = np.broadcast_to(self._matrix.dtype.type(0), shape)
        return shapes


def _groups(matrix: np.ndarray, groups: Any) -> np.ndarray:
    """Return the group of each row; refuse groups without rows."""
    if isinstance(groups, int | np.integer):
        return group_neurons(matrix, int(groups))
    found = to_host(groups)
    if found.dtype.kind not in "iu" or found.shape != (len(matrix),):
        shown = f"{found.dtype} of shape {found.shape}"
        raise ShapeError(
            f"CodebookWeight: groups is {shown}; expected a whole number for each of {len(matrix)} neurons"
        )
    if int(found.min()) < 0:
        raise InvalidValueError(f"CodebookWeight: a group is {int(found.min())}; expected numbers from 0 on")
    dead = np.flatnonzero(np.bincount(found) == 0)
    if dead.size:
        raise InvalidValueError(f"CodebookWeight: group {int(dead[0])} has no neuron; expected groups without gaps")
    return found.astype(np.int64)
