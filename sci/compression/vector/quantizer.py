"""The multi-scale residual vector quantizer: fields to codes from coarse to fine, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sci.arguments import entry
from sci.backend import Array, as_finite, namespace
from sci.compression.vector.layout import (
    check_sizes,
    checked_codes,
    checked_smoothing,
    latent_sizes,
    require_level,
    require_one_batch,
    smoothing_of,
    vectors_of,
)
from sci.compression.vector.patches import from_patches, to_patches
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg import PackedPoints, nearest
from sci.nn import ModelState, convolve, fingerprint, resample

__all__ = ["MultiScaleVQ"]


@entry
@dataclass(frozen=True, eq=False, repr=False)
class MultiScaleVQ:
    """Quantizer of fields by a codebook, at one scale after the other: each takes what those before have left.

        rest_0 = f,   idx_k = nearest code of down(rest_k, p_k),   u_k = smooth(up(codebook[idx_k])),
        fhat_(k+1) = fhat_k + u_k,   rest_(k+1) = rest_k - u_k

    Parameters
    ----------
    codebook : (V, C) or (K, V, C) float32 or float64 array
        One codebook for all K scales, or one for each.
    scales : sequence of K sizes
        Cells p_k of the latent along each of one to three axes. No size is larger than the last, which is that of the
        latent itself. Equal sizes may follow each other: several stages on the cells of the latent.
    patch : sequence of int, optional
        Cells of a patch of the field along each axis: a latent cell holds C = channels prod(patch) numbers. One cell
        unless given: then the fields are the latents.
    smoothing : (weights, biases), optional
        Arrays (n, C, C, 3, ...) and (n, C) of n convolutions: u = u / 2 + (convolution of u) / 2, where scale k takes
        the one whose place is the nearest to k / (K - 1).

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    down takes the mean of all cells that meet the coarse one, up is cubic: "adaptive" and "cubic" of `sci.nn.resample`.
    Latents have the dtype of the codebook. 2 V C flops a code for the search, and no matrix of distances. The rest need
    not shrink at every scale: it does where the codebook was trained on rests like it.

    References
    ----------
    Tian, Jiang, Yuan, Peng and Wang, Visual Autoregressive Modeling, NeurIPS 2024, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ
    >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-2.0]]), [(1,), (2,)])
    >>> quantizer
    MultiScaleVQ(scales 1, 2; 3 codes of 1 number, patches of 1)
    >>> codes = quantizer.encode(np.array([[[-1.5, 0.9]]]))
    >>> codes
    (array([[0]]), array([[2, 1]]))
    >>> quantizer.decode(codes)
    array([[[-2.,  1.]]])
    """

    codebook: Array
    scales: Sequence[Sequence[int]]
    patch: Sequence[int] = ()
    smoothing: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        if self.codebook.dtype not in (np.float32, np.float64):
            raise DTypeError(f"a codebook of dtype {self.codebook.dtype}; expected float32 or float64")
        if self.codebook.ndim not in (2, 3) or 0 in self.codebook.shape:
            raise ShapeError(f"a codebook of shape {tuple(self.codebook.shape)}; expected (V, C), or (K, V, C)")
        sizes = tuple(tuple(int(n) for n in size) for size in self.scales)
        axes = len(sizes[0]) if sizes else 0
        patch = tuple(int(n) for n in self.patch) or (1,) * axes
        object.__setattr__(self, "scales", sizes)
        object.__setattr__(self, "patch", patch)
        PackedPoints(self.codebook.reshape(-1, self.codebook.shape[-1]))  # finite, and of a size that squares
        check_sizes(sizes, patch, tuple(self.codebook.shape))
        if self.smoothing is not None:
            object.__setattr__(self, "smoothing", checked_smoothing(*self.smoothing, self.codebook, axes))

    def __repr__(self) -> str:
        shown = [" x ".join(map(str, s)) if len(set(s)) > 1 else str(s[0]) for s in self.scales]
        v, c = self.codebook.shape[-2:]
        codes = f"{v} codes{' each' * (self.codebook.ndim == 3)} of {c} number{'s' * (c > 1)}"
        return f"MultiScaleVQ(scales {', '.join(shown)}; {codes}, patches of {' x '.join(map(str, self.patch))})"

    @property
    def vocabulary(self) -> int:
        """Codes of a scale, V."""
        return int(self.codebook.shape[-2])

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells of a field along each axis."""
        return tuple(n * p for n, p in zip(self.scales[-1], self.patch))

    @property
    def channels(self) -> int:
        """Channels of a field."""
        return int(self.codebook.shape[-1]) // math.prod(self.patch)

    @property
    def n_codes(self) -> int:
        """Codes of one field at all scales."""
        return sum(math.prod(size) for size in self.scales)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return (self.vocabulary - 1).bit_length()

    @property
    def ratio(self) -> float:
        """Bits of a float32 field over the bits of its codes."""
        return 32 * self.channels * math.prod(self.grid) / max(1, self.bits * self.n_codes)

    @cached_property
    def fingerprint(self) -> str:
        """The `sci.nn.fingerprint` of the codebook and of what else decides what codes mean."""
        arrays = {"codebook": self.codebook, "patch": np.array(self.patch, dtype=float)}
        if self.smoothing is not None:
            arrays |= dict(zip(("weights", "biases"), self.smoothing))
        return fingerprint(arrays)

    def with_grid(self, grid: Sequence[int]) -> MultiScaleVQ:
        """Return the quantizer of fields on another grid, with scales in the same proportions.

        Parameters
        ----------
        grid : sequence of int
            Cells of the fields along each axis: multiples of the patch.

        Returns
        -------
        MultiScaleVQ
            With the same codebook, and so the same fingerprint.

        Raises
        ------
        ShapeError

        Examples
        --------
        >>> import numpy as np
        >>> from sci.compression import MultiScaleVQ
        >>> MultiScaleVQ(np.eye(4), [(1, 1), (4, 4)], patch=(2, 2)).with_grid((16, 8))
        MultiScaleVQ(scales 2 x 1, 8 x 4; 4 codes of 4 numbers, patches of 2 x 2)
        """
        sizes = latent_sizes(tuple(grid), self.patch)
        scales = [
            tuple(max(1, (2 * p * m + n) // (2 * n)) for p, m, n in zip(size, sizes, self.scales[-1]))
            for size in self.scales
        ]
        return MultiScaleVQ(self.codebook, scales, self.patch, self.smoothing)

    def latent(self, fields: Array) -> Array:
        """Return the latents (batch, C, *p_K) of fields (batch, channels, *grid): the cells of a patch as channels.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also for NaN, and for fields on another grid: see `with_grid`.
        """
        axes = len(self.patch)
        x = as_finite(fields, "fields", shape=(None, self.channels, *(None,) * axes), dtype=self.codebook.dtype)
        sizes = latent_sizes(tuple(x.shape[2:]), self.patch)
        if sizes != self.scales[-1]:
            raise ShapeError(
                f"fields on a grid of {tuple(x.shape[2:])}; expected {self.grid}, or the quantizer of that grid: "
                "with_grid"
            )
        return to_patches(x, self.patch)

    def fields(self, latent: Array) -> Array:
        """Return the fields (batch, channels, *grid) of latents (batch, C, *p_K).

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        shape = (None, self.codebook.shape[-1], *self.scales[-1])
        return from_patches(as_finite(latent, "latent", shape=shape, dtype=self.codebook.dtype), self.patch)

    def encode(self, fields: Array) -> tuple[Array, ...]:
        """Return the codes of fields.

        Parameters
        ----------
        fields : (batch, channels, *grid) array

        Returns
        -------
        tuple of K (batch, *p_k) int64 arrays
            The lowest of codes as near.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also for NaN, a grid smaller than the patch, and one that is no multiple of it.
        """
        return tuple(codes for codes, _, _ in self.stages(fields))

    def stages(self, fields: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Yield for each scale its codes, the vectors that were looked up, and the rest of the latent after it.

        Parameters
        ----------
        fields : (batch, channels, *grid) array

        Yields
        ------
        codes : (batch, *p_k) int64 array
        vectors : (batch prod(p_k), C) array
        rest : (batch, C, *p_K) array
            A new one at each scale.
        """
        rest = self.latent(fields)
        for k, size in enumerate(self.scales):
            vectors = vectors_of(resample(rest, size=tuple(size), method="adaptive"))
            codes = nearest(vectors, self._book(k))[1].reshape(len(rest), *size)
            rest = rest - self.lift(codes, k)
            yield codes, vectors, rest

    def _book(self, level: int) -> Array:
        return self.codebook if self.codebook.ndim == 2 else self.codebook[level]

    def lift(self, codes: Array, level: int) -> Array:
        """Return the part u_k of the latent, (batch, C, *p_K), that the codes (batch, *p_k) of scale `level` add.

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
            For codes that the codebook does not have.
        """
        codes = self._checked(codes, level)
        xp = namespace(codes, self.codebook)
        u = xp.ascontiguousarray(xp.moveaxis(self._book(level)[codes], -1, 1))
        u = resample(u, size=tuple(self.scales[-1]), method="cubic")
        if self.smoothing is None:
            return u
        weights, biases = self.smoothing
        k = smoothing_of(level, len(self.scales), len(weights))
        return (u + convolve(u, weights[k], biases[k])) / 2

    def _checked(self, codes: Array, level: int) -> Array:
        require_level(level, len(self.scales))
        return checked_codes(codes, level, tuple(self.scales[level]), self.vocabulary)

    def _sums(self, codes: Sequence[Array]) -> Iterator[Array]:
        """Yield the sum of what the codes of the first scales add to the latent, scale by scale."""
        if not 1 <= len(codes) <= len(self.scales):
            raise ShapeError(f"codes of {len(codes)} scales; expected 1 to {len(self.scales)}, the first ones")
        require_one_batch(codes)
        total = None
        for k, own in enumerate(codes):
            u = self.lift(own, k)
            total = u if total is None else total + u
            yield total

    def decode(self, codes: Sequence[Array]) -> Array:
        """Return the fields (batch, channels, *grid) of codes.

        Parameters
        ----------
        codes : sequence of (batch, *p_k) integer arrays
            Of all scales, or of the first ones: then the fields are coarse.

        Returns
        -------
        (batch, channels, *grid) array of the dtype of the codebook

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Also for codes that the codebook does not have.
        """
        last = None
        for total in self._sums(codes):
            last = total
        assert last is not None
        return from_patches(last, self.patch)

    def reconstructions(self, codes: Sequence[Array]) -> list[Array]:
        """Return the fields after each of the scales of `codes`: the last are those of `decode`.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            As `decode`.
        """
        return [from_patches(total, self.patch) for total in self._sums(codes)]

    def next_inputs(self, codes: Sequence[Array]) -> list[Array]:
        """Return the inputs of a next-scale model: down(fhat_k, p_k) (batch, C, *p_k), for each scale k but the first.

        Parameters
        ----------
        codes : sequence of (batch, *p_k) integer arrays
            Of all scales, or of the first ones: then the last input is that of the scale which follows them.

        Returns
        -------
        list of arrays

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            As `decode`.

        Notes
        -----
        A loop that samples scale by scale keeps fhat itself: fhat = fhat + lift(codes, k), next_input(fhat, k + 1).
        """
        return [self.next_input(total, k) for k, total in enumerate(self._sums(codes), 1) if k < len(self.scales)]

    def next_input(self, latent: Array, level: int) -> Array:
        """Return down(fhat, p_k) (batch, C, *p_k) of the sum `latent` (batch, C, *p_K) of the scales below `level`.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        require_level(level, len(self.scales))
        return resample(latent, size=tuple(self.scales[level]), method="adaptive")

    def join(self, codes: Sequence[Array]) -> Array:
        """Return the codes of all scales as one sequence a field, (batch, n_codes), coarse ones first.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        if len(codes) != len(self.scales):
            raise ShapeError(f"codes of {len(codes)} scales; expected {len(self.scales)}")
        own = [self._checked(c, k) for k, c in enumerate(codes)]
        require_one_batch(own)
        return namespace(*own).concatenate([c.reshape(len(c), -1) for c in own], axis=1)

    def split(self, sequences: Array) -> tuple[Array, ...]:
        """Return the codes of each scale of the sequences that `join` made.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        if sequences.ndim != 2 or sequences.shape[1] != self.n_codes:
            raise ShapeError(f"codes of shape {tuple(sequences.shape)}; expected (batch, {self.n_codes})")
        ends = np.cumsum([0, *(math.prod(size) for size in self.scales)]).tolist()
        parts = [sequences[:, a:b].reshape(-1, *size) for a, b, size in zip(ends, ends[1:], self.scales)]
        return tuple(self._checked(c, k) for k, c in enumerate(parts))

    def relative_errors(self, fields: Array, codes: Sequence[Array]) -> np.ndarray:
        """Return |f - fhat_k| / |f| in L2 over all fields, after each of the scales of `codes`.

        Returns
        -------
        float64 array
            0 for fields of zeros that are met, infinite for others.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        f = self.latent(fields).astype(np.float64)
        norm = float((f * f).sum()) ** 0.5
        found = []
        for total in self._sums(codes):
            if len(total) != len(f):
                raise ShapeError(f"{len(f)} fields with codes of {len(total)}; expected the codes of these fields")
            gap = f - total
            error = float((gap * gap).sum()) ** 0.5
            found.append(error / norm if norm else (0.0 if error == 0 else math.inf))
        return np.array(found)

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        arrays = {"codebook": self.codebook}
        if self.smoothing is not None:
            arrays |= {"smoothing.weights": self.smoothing[0], "smoothing.biases": self.smoothing[1]}
        options = {"scales": [list(size) for size in self.scales], "patch": list(self.patch)}
        return ModelState("MultiScaleVQ", options, arrays)

    @classmethod
    def from_state(cls, state: ModelState) -> MultiScaleVQ:
        """Return the quantizer that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        MultiScaleVQ

        Raises
        ------
        InvalidValueError, ShapeError, DTypeError
        """
        known = {"codebook", "smoothing.weights", "smoothing.biases"}
        arrays, options = dict(state.parameters), state.options
        if state.name != "MultiScaleVQ" or set(arrays) not in ({"codebook"}, known) or len(options) != 2:
            raise InvalidValueError(f"a state {state!r}; expected that of a MultiScaleVQ")
        smoothing = (arrays["smoothing.weights"], arrays["smoothing.biases"]) if len(arrays) > 1 else None
        return cls(arrays["codebook"], options["scales"], options["patch"], smoothing)
