"""Codebooks of a multi-scale quantizer, by rounds of Lloyd's algorithm over the rests of all scales."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.compression.vector.layout import check_sizes, latent_sizes, vectors_of
from sci.compression.vector.patches import to_patches
from sci.compression.vector.quantizer import MultiScaleVQ
from sci.distributed import Comm, agreed, allreduce_sum, rank_of
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
        From the start of the training.
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
        Of each round, before its update: `losses`, the square of the relative error in L2 over all fields, and the
        metrics `used_<k>`, the codes of scale k that were used, and `perplexity_<k>`, the exponential of their entropy.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank; also for fewer different vectors than codes.

    Notes
    -----
    The first codes are those of a k-means at each scale, on what the scales before leave; one codebook for all takes as
    many from each scale, so that the coarse scales, which have few vectors, do not share a single code. A round moves
    every code to the mean of its vectors at all scales. A code without vectors on any rank moves to the vector that is
    farthest from its code. The codebook is the same bit for bit on every rank and for every number of ranks, if each
    field is on one rank as it was. 3 n V C flops a code and round. Collective over `comm`.

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
        xp = namespace(self.latent)
        if resume is None:
            codebook, losses, metrics = self._first(), [], {}
        else:
            codebook, losses = to_device(resume.parameters["codebook"], xp), resume.losses.tolist()
            metrics = {name: values.tolist() for name, values in resume.metrics.items()}
        for _ in progress(range(len(losses), rounds), "vector quantizer", show=rank_of(self.comm) == 0):
            codebook, loss, found = self._round(codebook)
            losses.append(loss)
            for name, value in found.items():
                metrics.setdefault(name, []).append(value)
            if save is not None:
                with agreed(self.comm, "save"):
                    save(self._checkpoint(codebook, losses, metrics))
        quantizer = MultiScaleVQ(codebook, self.scales, self.settings["patch"])
        return quantizer, self._checkpoint(codebook, losses, metrics)

    def _checkpoint(self, codebook: Array, losses: list[float], metrics: Mapping[str, list[float]]) -> Checkpoint:
        kept = {name: np.array(values) for name, values in metrics.items()}
        return Checkpoint(len(losses), {"codebook": codebook}, {}, np.array(losses), kept, dict(self.settings))

    def _square(self, x: Array) -> float:
        return float(allreduce_sum(np.array([float((x.astype(np.float64) ** 2).sum())]), self.comm)[0])

    def _first(self) -> Array:
        """Return the codes of a k-means at each scale, on what the scales before leave."""
        xp, levels, zero = namespace(self.latent), len(self.scales), self.zero
        own = self.settings["one_each"]
        free = self.codes - zero
        counts = [free] * levels if own else [free // levels + (k >= levels - free % levels) for k in range(levels)]
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

    def _with_zero(self, centers: Array) -> Array:
        xp = namespace(centers)
        return xp.concatenate([xp.zeros_like(centers[:1]), centers]) if self.zero else centers

    def _quantizer(self, codebook: Array) -> MultiScaleVQ:
        return MultiScaleVQ(codebook, self.scales)

    def _vectors(self, rest: Array, level: int) -> Array:
        return vectors_of(resample(rest, size=self.scales[level], method="adaptive"))

    def _shaped(self, labels: Array, level: int) -> Array:
        return labels.reshape(len(self.latent), *self.scales[level])

    def _moved(self, vectors: Array, codebook: Array) -> Array:
        """Return the codes at the means of their vectors on all ranks."""
        found = k_means(vectors, len(codebook), start=codebook, maxiter=1, comm=self.comm).centers
        if self.zero:
            found[0] = 0
        return found

    def _round(self, codebook: Array) -> tuple[Array, float, dict[str, float]]:
        """Return the moved codebook, and loss and use of the codes before."""
        xp, vectors = namespace(self.latent), []
        found: dict[str, float] = {}
        quantizer, rest = self._quantizer(codebook), self.latent
        with agreed(self.comm, "train_vector_quantizer"):
            stages = list(quantizer.stages(self.latent))
        for k, (codes, own, left) in enumerate(stages):
            found |= self._use(codes, k)
            vectors.append(own)
            rest = left
        loss = self._square(rest) / self.norm if self.norm else 0.0
        if codebook.ndim == 3:
            return xp.stack([self._moved(v, book) for v, book in zip(vectors, codebook)]), loss, found
        return self._moved(xp.concatenate(vectors), codebook), loss, found

    def _use(self, codes: Array, level: int) -> dict[str, float]:
        """Return the number of codes of a scale that are used on all ranks, and their perplexity."""
        counts = np.bincount(to_host(codes).ravel(), minlength=self.codes).astype(np.int64)
        counts = allreduce_sum(counts, self.comm)
        part = counts[counts > 0] / counts.sum()
        entropy = -float((part * np.log(part)).sum())
        return {f"used_{level}": float(len(part)), f"perplexity_{level}": math.exp(entropy)}
