"""Codebooks of a multi-scale quantizer: rounds of means and of least squares over the rests of all scales."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.compression.vector.layout import check_sizes, latent_sizes, vectors_of
from sci.compression.vector.patches import to_patches
from sci.compression.vector.quantizer import MultiScaleVQ
from sci.compression.vector.updates import MOST_UNKNOWN, least_squares, revived
from sci.distributed import Comm, agreed, allgather_rows, allreduce_sum, rank_of
from sci.ensembles import k_means
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Checkpoint, resample
from sci.progress import progress

__all__ = ["train_vector_quantizer"]

_START = 10
"""Rounds of the k-means from which a codebook starts."""


@collective_entry
def train_vector_quantizer(
    fields: Array,
    scales: Sequence[Sequence[int]],
    codes: int,
    *,
    patch: Sequence[int] = (),
    one_each: bool = False,
    zero_code: bool = False,
    rounds: int = 20,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[MultiScaleVQ, Checkpoint]:
    """Train the codebook of a `MultiScaleVQ` on fields.

    Parameters
    ----------
    fields : (n, channels, *grid) float32 or float64 array
        Finite. Take off what the codes should not carry, such as a mean.
    scales : sequence of K sizes
    codes : int
        V, codes of a scale, at least 2.
    patch : sequence of int, optional
        As in `MultiScaleVQ`.
    one_each : bool
        A codebook for each scale in place of one for all: of less error for the same bits, and K times the numbers.
    zero_code : bool
        Code 0 stands for zero: a scale may add nothing.
    rounds : int
        At most, from the start of the training.
    seed : int
        Of the first codes.
    save : callable, optional
        Takes a `Checkpoint` after every round, like `lambda c: sci.io.save("run.h5", c)`.
    resume : Checkpoint, optional
        Goes on from there, to the same bits as a training that was never stopped.
    comm : mpi4py communicator, optional
        Each rank holds fields of its own.

    Returns
    -------
    quantizer : MultiScaleVQ
    history : Checkpoint
        After each round: `losses`, the square of the relative error in L2 over all fields, and the metrics `used_<k>`,
        the codes of scale k that are used, and `perplexity_<k>`, the exponential of their entropy.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; also for fewer different vectors than codes.

    Notes
    -----
    The first codes are those of a k-means at each scale, on what the scales before leave; one codebook for all takes
    as many from each scale, but of a coarse one at most one for ten of its vectors. A round puts each code at the mean
    of its vectors at all scales (Lloyd). Means take the scales apart, and may raise the loss where fine scales correct
    coarse ones: then the round takes the least squares of the sum over scales for the codes of now. Codes without
    vectors on any rank move to the vectors of the finest scale with the largest rests. The training ends where no round
    lowers the loss, which never rises.

    The codebook is the same bit for bit on every rank and for every number of ranks, if the fields stand in one order.
    5 n V C flops a code and round, up to twice that. Least squares take V^2 integers, and are left out for more than
    6,144 codes (over all codebooks). Collective over `comm`.

    References
    ----------
    Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import train_vector_quantizer
    >>> fields = np.random.default_rng(0).normal(size=(20, 1, 8)).cumsum(axis=-1)
    >>> quantizer, history = train_vector_quantizer(fields, [(2,), (4,)], 8, patch=(2,), rounds=5)
    >>> quantizer
    MultiScaleVQ(scales 2, 4; 8 codes of 2 numbers, patches of 2)
    >>> bool(history.losses[-1] < history.losses[0])
    True
    """
    with agreed(comm, "train_vector_quantizer") as agreement:
        sizes = tuple(tuple(int(n) for n in size) for size in scales)
        cells = tuple(int(n) for n in patch) or (1,) * (len(sizes[0]) if sizes else 0)
        latent = _latent(fields, sizes, cells, codes)
        if rounds < 1:
            raise InvalidValueError(f"rounds is {rounds}; expected 1 or more")
        settings: dict[str, Any] = {"scales": [list(s) for s in sizes], "patch": list(cells), "codes": int(codes)}
        settings |= {"one_each": bool(one_each), "zero_code": bool(zero_code), "seed": int(seed)}
        settings |= {"channels": int(fields.shape[1]), "dtype": str(latent.dtype)}
        agreement.same(rounds=rounds, save=save and "given", **settings)
        agreement.gather(*_digest(fields))
    totals = agreement.table.sum(axis=0)
    settings |= {"fields": int(totals[0]), "digest": int(totals[1] % 2**32)}
    with agreed(comm, "train_vector_quantizer") as agreement:
        if not settings["fields"]:
            raise ShapeError("there are no fields to train on; expected one or more on some rank")
        if resume is not None:
            _require_settings(resume, settings)
            agreement.same(step=resume.step, codebook=to_host(resume.parameters["codebook"]))
    return _Training(latent, settings, comm).run(rounds, save, resume)


def _latent(fields: Array, sizes: tuple[tuple[int, ...], ...], patch: tuple[int, ...], codes: int) -> Array:
    """Return the latents of fields after checks of all sizes."""
    dtype = np.float32 if getattr(fields, "dtype", None) == np.float32 else np.float64
    if codes < 2:
        raise InvalidValueError(f"codes is {codes}; expected 2 or more")
    check_sizes(sizes, patch, (codes, fields.shape[1] * math.prod(patch) if fields.ndim > 1 else 1))
    x = as_finite(fields, "fields", shape=(None, None, *(None,) * len(patch)), dtype=dtype)
    found = latent_sizes(tuple(x.shape[2:]), patch)
    if found != sizes[-1] or not x.shape[1]:
        raise ShapeError(
            f"fields of shape {tuple(x.shape)} with patches of {patch} have {found} cells; expected those of the last "
            f"scale, {sizes[-1]}, and one channel or more"
        )
    return to_patches(x, patch)


def _digest(fields: Array) -> tuple[int, int]:
    """Return the number of fields and the sum of their checksums, which does not depend on the ranks they are on."""
    host = np.ascontiguousarray(to_host(fields))
    return len(host), sum(zlib.crc32(field.tobytes()) for field in host)


def _require_settings(resume: Checkpoint, settings: Mapping[str, Any]) -> None:
    differing = [name for name in settings if resume.settings.get(name) != settings[name]]
    if differing or "codebook" not in dict(resume.parameters):
        shown = "; ".join(f"{n}: {resume.settings.get(n)!r} then, {settings[n]!r} now" for n in differing[:3])
        raise InvalidValueError(
            f"the checkpoint is from another training ({shown or 'no codebook'}); give its fields and options again"
        )


@dataclass(frozen=True)
class _Encoded:
    """What a codebook makes of the latents: codes and vectors by scale, counts (K, V) over all ranks, and the loss."""

    codebook: Array
    codes: Sequence[Array]
    vectors: Sequence[Array]
    counts: np.ndarray
    loss: float


class _Training:
    """Rounds over the latents of this rank."""

    def __init__(self, latent: Array, settings: Mapping[str, Any], comm: Comm) -> None:
        self.latent, self.settings, self.comm = latent, settings, comm
        self.scales: list[tuple[int, ...]] = [tuple(size) for size in settings["scales"]]
        self.codes, self.zero = settings["codes"], settings["zero_code"]
        self.norm = self._square(latent)

    def run(
        self, rounds: int, save: Callable[[Checkpoint], None] | None, resume: Checkpoint | None
    ) -> tuple[MultiScaleVQ, Checkpoint]:
        """Make the rounds that are left."""
        if resume is None:
            state, losses, metrics = self._encoded(self._first()), [], {}
        else:
            state = self._encoded(to_device(resume.parameters["codebook"], namespace(self.latent)))
            losses = resume.losses.tolist()
            metrics = {name: values.tolist() for name, values in resume.metrics.items()}
        for _ in progress(range(len(losses), rounds), "vector quantizer", show=rank_of(self.comm) == 0):
            moves = map(self._encoded, self._moves(state))
            better = next((found for found in moves if found.loss < state.loss), None)
            if better is None and losses:
                break
            state = better or state
            losses.append(state.loss)
            for name, value in self._use(state).items():
                metrics.setdefault(name, []).append(value)
            if save is not None:
                with agreed(self.comm, "save"):
                    save(self._checkpoint(state.codebook, losses, metrics))
        quantizer = MultiScaleVQ(state.codebook, self.scales, self.settings["patch"])
        return quantizer, self._checkpoint(state.codebook, losses, metrics)

    def _checkpoint(self, codebook: Array, losses: list[float], metrics: Mapping[str, list[float]]) -> Checkpoint:
        kept = {name: np.array(values) for name, values in metrics.items()}
        return Checkpoint(len(losses), {"codebook": codebook}, {}, np.array(losses), kept, dict(self.settings))

    def _square(self, x: Array) -> float:
        """Return the sum of squares over all ranks, the same for every number of them."""
        own = (x.astype(np.float64) ** 2).reshape(len(x), math.prod(x.shape[1:])).sum(axis=1)
        return float(allgather_rows(to_host(own), self.comm).sum())

    def _first(self) -> Array:
        """Return the codes of a k-means at each scale, on what the scales before leave."""
        xp, levels, zero = namespace(self.latent), len(self.scales), self.zero
        own = self.settings["one_each"]
        counts = [self.codes - zero] * levels if own else self._shares(self.codes - zero)
        rest = self.latent
        books: list[Array] = []
        for k, n in enumerate(counts):
            if not n:  # fewer codes than scales
                continue
            vectors = self._vectors(rest, k)
            try:
                found = k_means(vectors, n, maxiter=_START, seed=self.settings["seed"] + k, comm=self.comm)
            except InvalidValueError as error:  # the same on all ranks
                taken = f"scale {k} takes {n} of the {self.codes} codes from its vectors ({error})"
                raise InvalidValueError(f"{taken}; give more fields, or fewer codes") from error
            book = self._with_zero(found.centers) if own or not books else found.centers
            rest = rest - self._quantizer(book).lift(self._shaped(found.labels + (len(book) - n), k), k)
            books.append(book)
        return xp.stack(books) if own else xp.concatenate(books)

    def _shares(self, free: int) -> list[int]:
        """Return the codes that each scale gives to one codebook: as many, but at most one for ten of its vectors."""
        shares: list[int] = []
        for k, size in enumerate(self.scales[:-1]):
            most = max(1, self.settings["fields"] * math.prod(size) // 10)
            shares.append(min((free - sum(shares)) // (len(self.scales) - k), most))
        return [*shares, free - sum(shares)]

    def _with_zero(self, centers: Array) -> Array:
        xp = namespace(centers)
        return xp.concatenate([xp.zeros_like(centers[:1]), centers]) if self.zero else centers

    def _quantizer(self, codebook: Array) -> MultiScaleVQ:
        return MultiScaleVQ(codebook, self.scales)

    def _vectors(self, rest: Array, level: int) -> Array:
        return vectors_of(resample(rest, size=self.scales[level], method="adaptive"))

    def _shaped(self, labels: Array, level: int) -> Array:
        return labels.reshape(len(self.latent), *self.scales[level])

    def _encoded(self, codebook: Array) -> _Encoded:
        """Return codes and vectors of all scales, and the loss."""
        with agreed(self.comm, "train_vector_quantizer"):
            stages = list(self._quantizer(codebook).stages(self.latent))
        codes, vectors, rests = zip(*stages)
        loss = self._square(rests[-1]) / self.norm if self.norm else 0.0
        counts = np.stack([np.bincount(to_host(c).ravel(), minlength=self.codes) for c in codes]).astype(np.int64)
        return _Encoded(codebook, codes, vectors, allreduce_sum(counts, self.comm), loss)

    def _moves(self, state: _Encoded) -> Iterator[Array]:
        """Yield the codebooks that a round tries, one after the other until the loss falls."""
        xp, own, alive = namespace(self.latent), state.codebook.ndim == 3, self._revived(state, state.codebook)
        if own:
            yield xp.stack([self._means(v, book) for v, book in zip(state.vectors, alive)])
        else:
            yield self._means(xp.concatenate(state.vectors), alive)
        if self.codes * (len(self.scales) if own else 1) <= MOST_UNKNOWN:
            host = [to_host(c) for c in state.codes]
            n_fields, book = self.settings["fields"], to_host(state.codebook)
            with agreed(self.comm, "train_vector_quantizer"):
                latent = to_host(self.latent)
            found = least_squares(latent, host, book, self.scales, n_fields, self.comm)
            yield self._revived(state, self._pinned(to_device(found, xp)))

    def _pinned(self, codebook: Array) -> Array:
        if self.zero:
            codebook[..., 0, :] = 0
        return codebook

    def _means(self, vectors: Array, codebook: Array) -> Array:
        """Return the codes at the means of their vectors on all ranks."""
        found = k_means(vectors, len(codebook), start=codebook, maxiter=1, comm=self.comm)
        return self._pinned(found.centers)

    def _revived(self, state: _Encoded, codebook: Array) -> Array:
        """Return a codebook without codes that no rank uses."""
        xp, found = namespace(codebook), to_host(codebook)
        books = list(found) if found.ndim == 3 else [found]
        counts = state.counts if found.ndim == 3 else state.counts.sum(axis=0, keepdims=True)
        for k, (book, count) in enumerate(zip(books, counts)):
            level = k if found.ndim == 3 else -1
            count = count.copy()
            count[0] += self.zero
            vectors, chosen = to_host(state.vectors[level]), to_host(state.codes[level]).reshape(-1)
            old = to_host(state.codebook if state.codebook.ndim == 2 else state.codebook[k])
            books[k] = revived(book, count, vectors, vectors - old[chosen], self.comm)
        return to_device(np.stack(books) if found.ndim == 3 else books[0], xp)

    def _use(self, state: _Encoded) -> dict[str, float]:
        """Return the number of codes of each scale that are used on all ranks, and their perplexity."""
        found = {}
        for k, counts in enumerate(state.counts):
            part = counts[counts > 0] / counts.sum()
            found[f"used_{k}"] = float(len(part))
            found[f"perplexity_{k}"] = math.exp(-float((part * np.log(part)).sum()))
        return found
