"""Compression of a whole model, layer by layer, by what its layers return for calibration samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, require_finite, to_host
from sci.compression.networks.compressed import CompressedModel, WeightReport
from sci.compression.networks.learning import learn
from sci.compression.networks.problems import Problem, own_error, problem_of
from sci.compression.networks.uses import Enough, NamedWeight, Rows, Spectrum, run_with, uses_of
from sci.distributed import Comm, agreed, allgather_rows, rank_of, sample, size, split
from sci.errors import InvalidValueError
from sci.nn import CodebookWeight, ModelState, fingerprint, flatten_tree, unflatten_tree
from sci.nn.core.tape import value_of
from sci.nn.maps.quantized.codes import packed_bytes, require_bits
from sci.progress import progress

__all__ = ["compress_model"]

_BOOKS = 0.25
"""Largest share of the codebooks of a weight in the bytes of its codes, by which small weights have fewer groups."""
_LEAST = 2.0
"""A weight stays as it is unless its codes are so many times smaller."""
_SMALL = 0.03
"""Share of all numbers that the smallest weights, which cost errors and save nothing, may have together to stay."""

Forward = Callable[[Any, Any], Any]
Key = tuple[str, ...]


@collective_entry
def compress_model(
    model: Any,
    bits: int,
    samples: Array,
    *,
    groups: int = 4,
    steps: int = 100,
    sweeps: int = 10,
    keep: Sequence[str] = (),
    forward: Forward | None = None,
    batch_size: int = 32,
    comm: Comm = None,
) -> CompressedModel:
    """Compress a model: weights become codes into codebooks, learned so that its layers return what they did.

    Layer after layer, in the order in which they compute, the inputs X of a layer in the model and X~ in the one whose
    earlier layers are codes already give H = X~^T X~ / n and Y^T X~ / n, Y = X W_0^T, summed over samples and ranks.
    Codebooks and codes then minimize the mean square of Y - X~ W^T, a quadratic function of W: first together by the
    gradients of `CodebookWeight`, then code by code.

    Parameters
    ----------
    model : Model
        With `to_state` and `from_state`, like a `TrainedOperator` or a `UNet`; its layers are ops of `sci.nn`.
    bits : 1, 2, 3, 4 or 8
        Of a code.
    samples : (n, ...) array
        Inputs that the model takes, some hundreds of them: calibration samples.
    groups : int
        Codebooks of a weight at most: one for each group of output neurons of like size. Small weights have fewer.
    steps : int
        Of Adam, for codebooks and scores of each layer; 0 leaves k-means codebooks and nearest codes.
    sweeps : int
        Passes over the codes of each layer after that; 0 for none.
    keep : sequence of str
        Names of parameters to leave as they are.
    forward : callable, optional
        `forward(model, samples)` calls the model; `model(samples)` unless given.
    batch_size : int
        Samples at a time.
    comm : mpi4py communicator, optional
        The ranks share the batches of the samples, all of which each of them has. The result is the same for every
        number of ranks.

    Returns
    -------
    CompressedModel

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank: bits out of range, no samples, NaN, channels that the model does not take, more groups than any
        weight has neurons, a name in `keep` that is no parameter.

    Notes
    -----
    Matrices of linear and pointwise layers, kernels of convolutions, dense spectral weights (real and imaginary parts
    coded in pairs) and the factors of tensor formats are learned so. Weights of other ops are coded by k-means of their
    entries: `reports` says which. Vectors stay, and the smallest weights, up to 3 % of all numbers together; those that
    ops take are rounded to float16. Memory: the squares of the inputs of one layer, and 2^bits numbers for each entry
    of it.

    References
    ----------
    Jointly learnable codebooks and mappings, arXiv:2309.17361. Grouping by size, the decrease of a score's gradient
    with distance, and the pass over single codes are this library's.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress_model
    >>> from sci.operators import TFNO, TrainedOperator
    >>> operator = TrainedOperator(TFNO((8, 8), 1, 1, 16, 2))
    >>> x = np.random.default_rng(0).normal(size=(8, 1, 16, 16)).astype(np.float32)
    >>> small = compress_model(operator, 4, x, steps=20)
    >>> bool(small.output_error < 0.05), small.reports["blocks.0.mlp.0.weight"].calibrated
    (True, True)
    """
    with agreed(comm, "compress_model") as agreement:
        run = _Run.of(model, bits, samples, groups, keep, forward, batch_size, comm)
        if min(steps, sweeps) < 0:
            raise InvalidValueError(f"compress_model: steps={steps}, sweeps={sweeps}; expected 0 or more")
        agreement.same(bits=bits, groups=groups, steps=steps, sweeps=sweeps, keep=list(keep), batch_size=batch_size)
        agreement.same(original=run.original, samples=sample(samples))
        stages = run.plan()
    for keys in progress(stages, "compressing", show=rank_of(comm) == 0):
        problems = run.sums(keys)
        for problem in problems.values():
            problem.reduce(comm)
            run.compress(problem, True, steps, sweeps)
    for name in [n for n in run.chosen if n not in run.reports]:
        run.compress(own_error(name, run.dense[name]), False, 0, 0)
    return run.result()


@dataclass
class _Run:
    """A compression under way; `held` are the parameters as they are now."""

    cls: type
    state: ModelState
    dense: dict[str, np.ndarray]
    chosen: dict[str, int]
    bits: int
    samples: Array
    call: Forward
    batch_size: int
    comm: Comm
    original: str
    held: dict[str, Any] = field(default_factory=dict)
    reports: dict[str, WeightReport] = field(default_factory=dict)
    calls: dict[int, set[Key]] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    first: dict[Key, Problem] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Any,
        bits: int,
        samples: Array,
        groups: int,
        keep: Sequence[str],
        forward: Forward | None,
        batch_size: int,
        comm: Comm,
    ) -> _Run:
        """Return a run after a look at all arguments."""
        require_bits(bits, "compress_model")
        if getattr(samples, "ndim", 0) < 1 or not len(samples) or batch_size < 1:
            n = len(samples) if getattr(samples, "ndim", 0) else 0
            raise InvalidValueError(
                f"compress_model: {n} calibration samples in batches of {batch_size}; expected at least one of both"
            )
        require_finite(samples, "compress_model: samples")
        if not callable(getattr(model, "to_state", None)):
            raise InvalidValueError(
                f"compress_model: {type(model).__name__} has no to_state; expected a model that files hold, like a "
                "TrainedOperator"
            )
        state = model.to_state()
        dense = {name: to_host(a) for name, a in flatten_tree(state.parameters).items()}
        unknown = sorted(set(keep) - set(dense))
        if unknown:
            raise InvalidValueError(f"compress_model: keep has {', '.join(unknown[:5])}; expected names of parameters")
        for name, array in dense.items():
            require_finite(array, f"compress_model: the parameter {name}")
        chosen = _chosen(dense, bits, groups, keep)
        call = forward or (lambda m, x: m(x))
        original = fingerprint(state.parameters)
        return cls(type(model), state, dense, chosen, bits, samples, call, batch_size, comm, original, dict(dense))

    def model(self, held: Mapping[str, Any]) -> Any:
        """Return the model of arrays or codes that ops see by their names."""
        named = {name: NamedWeight(name, a) for name, a in held.items()}
        state = ModelState(self.state.name, self.state.options, unflatten_tree(named, self.state.parameters))
        make: Any = self.cls
        return make.from_state(state)

    def plan(self) -> list[tuple[Key, ...]]:
        """Return names of weights that are learned together, by the order of layers; note the calls that use them."""
        order: dict[int, list[Key]] = {}
        count = iter(range(10**9))

        def see(op: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            index = next(count)
            self.seen.update(dict.fromkeys(a.name for a in args if isinstance(a, NamedWeight)))
            for use in uses_of(op, args, options):
                if not set(use.key) & set(self.chosen):
                    continue
                self.calls.setdefault(index, set()).add(use.key)
                if use.key not in self.first:
                    self.first[use.key] = problem_of(use, self.dense)
                    order.setdefault(index, []).append(use.key)

        model = self.model(self.dense)
        run_with(lambda: self.call(model, self.samples[:1]), see)
        return [tuple(keys) for keys in order.values()]

    def _uses(self, model: Any, x: Array, keys: tuple[Key, ...]) -> list[Rows | Spectrum]:
        """Return the uses of some weights in a pass of a model."""
        found: list[Rows | Spectrum] = []
        count = iter(range(10**9))
        last = max(index for index, used in self.calls.items() if used & set(keys))

        def see(op: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            index = next(count)
            if self.calls.get(index, set()) & set(keys):
                found.extend(use for use in uses_of(op, args, options) if use.key in keys)
            if index == last:
                raise Enough

        run_with(lambda: self.call(model, x), see)
        return found

    def batches(self, first: bool = False) -> Iterator[tuple[Array, bool]]:
        """Yield batches and whether they count: this rank's, and before them the `first` of all where it has another.

        Batches do not depend on the number of ranks, so that what they add up to does not.
        """
        own = split(-(-len(self.samples) // self.batch_size), rank=rank_of(self.comm), size=size(self.comm))
        if first and own.start > 0:
            yield self.samples[: self.batch_size], False
        for k in range(own.start, own.stop):
            yield self.samples[k * self.batch_size : (k + 1) * self.batch_size], True

    def sums(self, keys: tuple[Key, ...]) -> dict[Key, Problem]:
        """Return the problems of some weights with the sums of this rank's samples."""
        problems = {key: self.first[key] for key in keys}
        with agreed(self.comm, "compress_model"):
            before, now = self.model(self.dense), self.model(self.held)
            for x, counts in self.batches(first=True):
                for wanted, seen in zip(self._uses(before, x, keys), self._uses(now, x, keys), strict=True):
                    problems[seen.key].add(wanted, seen, counts)
        return problems

    def compress(self, problem: Problem, calibrated: bool, steps: int, sweeps: int) -> None:
        """Learn codes for the weights of a problem, and hold them from now on."""
        maps = {
            name: CodebookWeight(
                weight,
                self.bits,
                groups=min(self.chosen[name], math.prod(weight.shape[a] for a in problem.row_axes[name])),
                row_axes=problem.row_axes[name],
                mapping=self.bits <= 4 and steps > 0,
            )
            for name, weight in problem.weights.items()
            if name in self.chosen
        }
        start = {n: m.fold(m.start()) for n, m in maps.items()}
        first = problem.value_and_gradients({**problem.weights, **start})[0]
        coded = learn(problem, maps, steps, sweeps)
        last = problem.value_and_gradients({**problem.weights, **{n: c.decode() for n, c in coded.items()}})[0]
        for name, weight in coded.items():
            self.held[name] = weight
            before, after = (math.sqrt(max(0.0, value)) for value in (first, last))
            self.reports[name] = WeightReport(self.bits, len(weight.codebooks), before, after, calibrated)

    def result(self) -> CompressedModel:
        """Return the compressed model, with its error on the samples."""
        halves = []
        for name in self.seen:
            array = self.held[name]
            if name in self.reports or array.dtype != np.float32 or float(np.abs(array).max(initial=0)) > 6e4:
                continue
            self.held[name] = array.astype(np.float16).astype(np.float32)
            halves.append(name)
        state = ModelState(self.state.name, self.state.options, unflatten_tree(self.held, self.state.parameters))
        options: dict[str, Any] = {"halves": halves, "reports": self.reports}
        made = CompressedModel(self.cls, state, self.original, **options)
        dense, found = self.model(self.dense), [np.zeros((0, 2))]
        with agreed(self.comm, "compress_model"):
            for x, _ in self.batches():
                one, other = (np.asarray(value_of(self.call(m, x))) for m in (dense, made.model))
                found.append(np.array([[float((np.abs(a).astype(np.float64) ** 2).sum()) for a in (other - one, one)]]))
        squares = allgather_rows(np.concatenate(found), self.comm).sum(axis=0)
        made.output_error = math.sqrt(squares[0] / squares[1]) if squares[1] else 0.0
        return made


def _chosen(dense: Mapping[str, np.ndarray], bits: int, groups: int, keep: Sequence[str]) -> dict[str, int]:
    """Return the weights that become codes, and the most groups of each."""
    found, most = {}, 0
    for name, weight in dense.items():
        if weight.ndim < 2 or name in keep or not weight.size:
            continue
        most = max(most, max(weight.shape))
        numbers = int(weight.size) * (2 if weight.dtype.kind == "c" else 1)
        codes, book = packed_bytes(numbers, bits), weight.real.dtype.itemsize << bits
        if weight.nbytes >= _LEAST * (codes + book):
            found[name] = max(1, min(groups, int(_BOOKS * codes / book)))
    room = _SMALL * sum(int(w.size) for w in dense.values())
    for name in sorted(found, key=lambda n: dense[n].size):
        room -= dense[name].size
        if room < 0:
            break
        del found[name]
    if not 1 <= groups <= max(most, 1):
        raise InvalidValueError(f"compress_model: groups is {groups}; expected 1 to {most}, the neurons of a weight")
    if not found:
        raise InvalidValueError(f"compress_model: no weight is large enough for codes of {bits} bits; keep the model")
    return found
