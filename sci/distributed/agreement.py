"""Let ranks fail together: one agreement on arguments and errors."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np

import sci.errors
from sci.distributed.canonical import Form, canonical, short_text
from sci.distributed.communicators import Channel, Comm, channel_of, running_jobs
from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError

__all__ = ["Agreement", "Deferred", "agreed", "agreed_over", "resting"]

_GATHERED = 14
"""Integers that one agreement gathers at most; the row of all agreements has one length, so that any two match."""

_CALL = "call"


class Agreement:
    """A block of code after which every rank goes on, or every rank raises. Made by `agreed`.

    Parameters
    ----------
    channel : channel or None
        Of the communicator; None is one process.
    operation : str
        How an error names the call.

    Examples
    --------
    >>> from sci.distributed import agreed
    >>> with agreed(None, "a check") as agreement:
    ...     agreement.same(size=3)
    """

    def __init__(self, channel: Channel | None, operation: str = "") -> None:
        self._channel = channel if channel is not None and channel.size > 1 else None
        self._operation = operation
        self._entries: list[tuple[str, type[SciError], Any, bytes]] = []
        self._row: tuple[int, ...] = ()
        self.table = np.empty((0, 0), dtype=np.int64)
        """What the ranks passed to `gather`, as rows of an (n_ranks, n) int64 array, once the block is left."""

    def same(self, error: type[SciError] = InvalidValueError, /, **values: Any) -> None:
        """Require that each of `values` is the same on all ranks.

        Parameters
        ----------
        error : class of sci.errors
            What is raised where a value differs; for a `form`, `DTypeError` or `ShapeError` as it may be.
        **values
            By the name of the argument. Arrays are compared by value, or by `form(array)`; see
            `sci.distributed.canonical.canonical` for the classes that can be compared.
        """
        if self._channel is not None:
            self._entries += [(name, error, value, canonical(value)) for name, value in values.items()]

    def gather(self, *numbers: int) -> None:
        """Gather up to 14 integers of each rank into `table`; they may differ between ranks, their count may not."""
        self._row += numbers
        if len(self._row) > _GATHERED:
            raise InvalidValueError(f"{len(self._row)} integers to gather; expected at most {_GATHERED}")

    def __repr__(self) -> str:
        ranks = 1 if self._channel is None else self._channel.size
        return f"<Agreement on {self._operation or 'arguments'}, ranks: {ranks}>"

    def __enter__(self) -> Agreement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Exchange one row of integers with all ranks, and raise if a rank has an error or a value differs."""
        channel = self._channel
        if channel is None:
            self.table = np.array([self._row], dtype=np.int64)
            return
        if error is not None and channel in agreed_over(error):
            return  # all ranks raise it already, in an agreement inside of this one
        if running_jobs and not isinstance(error, Exception | None):
            return  # interrupted between any two messages: the job ends without this communicator
        digest = hashlib.blake2b(self._operation.encode(), digest_size=8)
        for name, _, _, token in self._entries:
            digest.update(b"%d:%s=%d:%s;" % (len(name), name.encode(), len(token), token))
        row = np.zeros(2 + _GATHERED, dtype=np.int64)
        row[:2] = error is not None, int.from_bytes(digest.digest(), "big", signed=True)
        if error is None:
            row[2 : 2 + len(self._row)] = self._row
        table = np.empty((channel.size, row.size), dtype=np.int64)
        channel.comm.Allgather(row, table)
        channel.count("agree", channel.size - 1, (channel.size - 1) * row.nbytes)
        if table[:, 0].any():
            _raise_together(channel, error)
            return  # this rank's own error goes on
        if (table[:, 1] != table[0, 1]).any():
            raise _marked(self._difference(channel), channel)
        self.table = table[:, 2 : 2 + len(self._row)]

    def _difference(self, channel: Channel) -> SciError:
        """Return the error, the same on all ranks, that names the first value that differs."""
        entries = [(_CALL, InvalidValueError, self._operation, canonical(self._operation)), *self._entries]
        rows = [
            [name, kind.__name__, hashlib.blake2b(token, digest_size=16).hexdigest(), short_text(value)]
            + ([value.dtype] if isinstance(value, Form) else [])
            for name, kind, value, token in entries
        ]
        ranks = [json.loads(text) for text in _exchange_texts(channel, json.dumps(rows).encode())]
        names = list(dict.fromkeys(row[0] for rank in ranks for row in rank))
        found = [{row[0]: row for row in rank} for rank in ranks]
        for name in names:
            column = [rank.get(name, [name, InvalidValueError.__name__, "", "nothing"]) for rank in found]
            if len({row[2] for row in column}) > 1:
                break
        groups: dict[tuple[str, str], list[int]] = {}
        for rank, row in enumerate(column):
            groups.setdefault((row[2], row[3]), []).append(rank)
        said = "; ".join(f"{text} on {_rank_list(group)}" for (_, text), group in groups.items())
        start = f"{self._operation}: " if self._operation and name != _CALL else ""
        error = getattr(sci.errors, column[0][1])
        if all(len(row) > 4 for row in column):
            error = DTypeError if len({row[4] for row in column}) > 1 else ShapeError
        text = "the ranks make different calls" if name == _CALL else f"{start}{name} differs between ranks"
        result: SciError = error(f"{text}: {said}; expected the same on all ranks")
        return result


def agreed(comm: Comm, operation: str = "") -> Agreement:
    """Return a context after which every rank goes on, or every rank raises.

    Parameters
    ----------
    comm : mpi4py communicator or None
    operation : str
        Name of the call, for messages; ranks that make different calls raise.

    Returns
    -------
    Agreement
        In the block, `same(name=value, ...)` requires equal arguments on all ranks, and `gather(*integers)` collects
        integers of each rank, which `table` holds afterwards.

    Raises
    ------
    Exception
        On leaving the block, on every rank. A rank whose block raises keeps its error; the others raise one of the
        same class of `sci.errors` (`SciError` for a foreign class) with the text "rank k: ...", k being the lowest
        rank that failed. Where values differ, all ranks raise one error that names the argument, its values, and the
        ranks that have them.

    Notes
    -----
    Collective; costs one all-gather of 128 bytes a rank, and nothing on one process. A compile, a callback or the
    writing of a file that may fail on one rank goes into such a block. The block may contain other agreements over the
    same communicator, and collective calls of this library that check their input: every one of them starts with an
    agreement, so a rank that fails between two of them meets the others in the next. It may not contain calls with
    `checked=True`, messages between two ranks, or calls of MPI itself: those belong in `abort_on_error`.

    Examples
    --------
    >>> from sci.distributed import agreed
    >>> with agreed(None, "potential") as agreement:
    ...     charges = [float(text) for text in "1 2".split()]
    ...     agreement.same(padding=4.0)
    ...     agreement.gather(len(charges))
    >>> agreement.table
    array([[2]])
    """
    return Agreement(channel_of(comm), operation)


@contextlib.contextmanager
def resting(comm: Comm) -> Iterator[None]:
    """Let ranks sleep at the end of a block until all have left it; an MPI library waits by spinning.

    Parameters
    ----------
    comm : mpi4py communicator or None

    Notes
    -----
    Collective, and for blocks that take seconds on one rank: the end comes up to 20 ms late. A rank that is interrupted
    leaves at once, as its job ends. A rank that fails waits for the others, who learn of its error where they agree.
    """
    try:
        yield
    except Exception:
        _rest(comm)
        raise
    _rest(comm)


def _rest(comm: Comm) -> None:
    channel = channel_of(comm)
    if channel is None or channel.size == 1 or not hasattr(channel.comm, "Ibarrier"):
        return
    request = channel.comm.Ibarrier()
    while not request.Test():
        time.sleep(0.02)


class Deferred:
    """Local work between messages: its first error waits until all ranks can raise it together.

    A rank that fails between two messages must still exchange them, or the others wait for ever. Each piece of work
    goes into `with work:`, which keeps an exception in `error` and goes on; `settle` after the last message raises it.

    Examples
    --------
    >>> from sci.distributed import Deferred
    >>> work = Deferred()
    >>> with work:
    ...     sizes = [1 / n for n in (2, 1)]
    >>> work.settle(None)
    """

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __repr__(self) -> str:
        return f"Deferred(error={self.error!r})"

    def __enter__(self) -> Deferred:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Keep the first exception; let `KeyboardInterrupt` and `SystemExit` pass."""
        if not isinstance(error, Exception):
            return False
        self.error = self.error or error
        return True

    def settle(self, comm: Comm, operation: str = "") -> None:
        """Raise the error of any rank on all ranks (collective), as `agreed` does."""
        with agreed(comm, operation):
            if self.error is not None:
                raise self.error


def _exchange_texts(channel: Channel, mine: bytes) -> list[bytes]:
    """Return the texts of all ranks."""
    lengths = np.empty(channel.size, dtype=np.int64)
    channel.comm.Allgather(np.array([len(mine)], dtype=np.int64), lengths)
    texts = np.empty(int(lengths.sum()), dtype=np.uint8)
    channel.comm.Allgatherv(np.frombuffer(mine, dtype=np.uint8), [texts, lengths])
    channel.count("agree", 2 * (channel.size - 1), (channel.size - 1) * (8 + len(mine)))
    ends = np.cumsum(lengths).tolist()
    return [texts[end - n : end].tobytes() for end, n in zip(ends, lengths.tolist())]


def _raise_together(channel: Channel, error: BaseException | None) -> None:
    """Exchange the errors' texts; raise on the ranks that have none; at least one rank has an error."""
    mine = b"" if error is None else json.dumps([type(error).__name__, str(error)]).encode()
    texts = _exchange_texts(channel, mine)
    if error is not None:
        _marked(error, channel)
        return
    failed = next(rank for rank, text in enumerate(texts) if text)
    raise _marked(_rebuild(failed, *json.loads(texts[failed])), channel)


def agreed_over(error: BaseException | None) -> tuple[Channel, ...]:
    """Return the channels whose ranks all raise `error`, or the error that it was raised from."""
    found: tuple[Channel, ...] = ()
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may be its own cause
        seen.add(id(error))
        found += getattr(error, "_agreed_over", ())
        error = error.__cause__
    return found


def _marked(error: Any, channel: Channel) -> Any:
    """Return `error` with the note that all ranks of `channel` raise it."""
    error._agreed_over = (*getattr(error, "_agreed_over", ()), channel)
    return error


def _rebuild(rank: int, class_name: str, message: str) -> SciError:
    """Return the error that the other ranks raise for one that `rank` reported."""
    found = getattr(sci.errors, class_name, SciError)
    text = f"rank {rank}: {message}"
    if isinstance(found, type) and issubclass(found, SciError):
        return found(
            text if found is not SciError or class_name == "SciError" else f"rank {rank}: {class_name}: {message}"
        )
    return SciError(text)


def _rank_list(ranks: Sequence[int]) -> str:
    """Return "rank 3" or "ranks 0 to 2, 5"."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    said = ", ".join(str(a) if a == b else f"{a} to {b}" if b > a + 1 else f"{a}, {b}" for a, b in runs)
    return f"rank{'s' if len(ranks) > 1 else ''} {said}"
