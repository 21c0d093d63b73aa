"""The loop over frames and ranks: what a sink is given, in which order errors end it, and on how many ranks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import FileFormatError, InvalidValueError, SciError, ToleranceWarning
from sci.potentials import FrameJob, FrameResult, Particles, compute_frame, compute_frames, plan_frames

FRAMES = [Particles([[0.0, 0.0, 0.0], [0.0, 0.0, r]], [1.0, -1.0]) for r in (1.0, 2.0, 4.0, 5.0, 8.0)]
PLAN = plan_frames(FRAMES[0])


class Sink:
    """Keep what is written, fail where it is told to."""

    def __init__(self, numbers: Sequence[int], fails_at: int | None = None) -> None:
        self.job = FrameJob(PLAN, np.array(numbers), 10 * np.arange(len(numbers)))
        self.found: dict[int, FrameResult] = {}
        self.fails_at, self.closed = fails_at, 0

    def begin(self) -> FrameJob:
        return self.job

    def write(self, place: int, result: FrameResult) -> None:
        if place == self.fails_at:
            raise FileFormatError("out.h5: the disk is full")
        self.found[place] = result

    def close(self) -> None:
        self.closed += 1


def read(numbers: Sequence[int]) -> Iterator[tuple[int, Particles]]:
    return ((k, FRAMES[k]) for k in numbers)


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_a_sink_gets_every_frame_whatever_the_number_of_ranks(ranks: int) -> None:
    sinks = [Sink([0, 2, 3, 4]) for _ in range(ranks)]
    on_ranks(ranks, lambda comm: compute_frames(read, sinks[comm.rank], comm=comm))
    assert list(sinks[0].found) == [0, 10, 20, 30]
    for place, number in zip(sinks[0].found, (0, 2, 3, 4)):
        alone, found = compute_frame(FRAMES[number], PLAN), sinks[0].found[place]
        assert found.energy == alone.energy
        np.testing.assert_array_equal(found.forces, alone.forces)
        np.testing.assert_array_equal(found.errors, alone.errors)
    assert [sink.closed for sink in sinks] == [1] + [0] * (ranks - 1)
    assert not any(sink.found for sink in sinks[1:])


def test_nothing_to_do_reads_nothing_and_closes() -> None:
    sink = Sink([])
    compute_frames(read, sink)
    assert (sink.found, sink.closed) == ({}, 1)


def _errors(ranks: int, sinks: Sequence[Sink], reader: object) -> list[str]:
    def run(comm: ThreadComm) -> str:
        try:
            compute_frames(reader, sinks[comm.rank], title="run.xyz", comm=comm)  # type: ignore[arg-type]
        except SciError as error:
            return str(error)
        return ""

    return list(on_ranks(ranks, run))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_bad_frame_is_named_on_every_rank_and_keeps_those_before_it(ranks: int) -> None:
    def broken(numbers: Sequence[int]) -> Iterator[tuple[int, Particles]]:
        return ((k, Particles(np.eye(3), [1, 1, 1]) if k == 3 else FRAMES[k]) for k in numbers)

    sinks = [Sink(range(5)) for _ in range(ranks)]
    for said in _errors(ranks, sinks, broken):
        assert "run.xyz: frame 3: the frame has 3 particles; expected 2" in said
    assert len(sinks[0].found) == 3 // ranks * ranks
    assert sinks[0].closed == 1


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_sink_that_fails_ends_the_loop_on_every_rank(ranks: int) -> None:
    sinks = [Sink(range(5), fails_at=20) for _ in range(ranks)]
    assert all("the disk is full" in said for said in _errors(ranks, sinks, read))
    assert list(sinks[0].found) == [0, 10]
    assert sinks[0].closed == 1


def test_a_sink_that_cannot_begin_is_closed_and_the_error_agreed() -> None:
    class Closed(Sink):
        def begin(self) -> FrameJob:
            raise InvalidValueError("out.h5 exists")

    sinks = [Closed(range(5)) for _ in range(2)]
    assert all("out.h5 exists" in said for said in _errors(2, sinks, read))
    assert [sink.closed for sink in sinks] == [1, 0]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("accuracy", "message"),
    [
        ("potential", "of the forces is above the tolerance 1e-05; it holds for the potential; accuracy 'forces' "),
        ("forces", "of the forces is above the tolerance 1e-05; compute the frames with a smaller tol"),
    ],
)
def test_missed_forces_are_said_once(ranks: int, accuracy: str, message: str) -> None:
    rng = np.random.default_rng(0)
    frame = Particles(rng.random((60, 3)) * 9, rng.normal(size=60))
    plan = plan_frames(frame, 1e-3, method="format")
    plan = dataclasses.replace(plan, tol=1e-5, build_tol=1e-3, accuracy=accuracy)
    sinks = [Sink(range(3)) for _ in range(ranks)]
    for sink in sinks:
        sink.job = FrameJob(plan, np.arange(3), np.arange(3))
    with pytest.warns(ToleranceWarning, match=message) as said:
        on_ranks(ranks, lambda comm: compute_frames(lambda n: ((k, frame) for k in n), sinks[comm.rank], comm=comm))
    assert len(said) == 1
    assert sinks[0].found[2].errors[1, 0] > 1e-5


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_file_that_breaks_off_is_an_error_on_every_rank(ranks: int) -> None:
    """The error of a reader passes as it is; as its own cause it would have kept a rank busy forever."""

    def breaking(numbers: Sequence[int]) -> Iterator[tuple[int, Particles]]:
        for k in numbers:
            if k == 3:
                raise FileFormatError("run.xyz:84: the frame breaks off")
            yield k, FRAMES[k]

    sinks = [Sink(range(5)) for _ in range(ranks)]
    assert all("run.xyz:84: the frame breaks off" in said for said in _errors(ranks, sinks, breaking))
