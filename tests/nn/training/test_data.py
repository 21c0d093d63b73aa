"""Datasets, the order of samples, and reading ahead in a thread that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sci.errors import ShapeError
from sci.nn.training.data import Arrays, Order, ReadAhead, digest


def reading() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "sci read ahead"]


def test_arrays_of_one_length():
    data = Arrays((np.arange(4), 10 * np.arange(4)))
    assert len(data) == 4
    assert [a.tolist() for a in data[np.array([2, 0])]] == [[2, 0], [20, 0]]
    assert repr(data) == "Arrays(2 arrays of 4 samples)"
    with pytest.raises(ShapeError, match=r"lengths \[4, 3\]"):
        Arrays((np.arange(4), np.arange(3)))


def test_every_epoch_has_each_sample_once_in_an_order_of_its_own():
    order = Order(10, 4, 3, True)
    epochs = [np.concatenate([order.batch(3 * e + k) for k in range(3)]) for e in range(2)]
    assert order.steps == 3
    assert [order.count(k) for k in range(6)] == [len(order.batch(k)) for k in range(6)] == [4, 4, 2] * 2
    assert [sorted(e) for e in epochs] == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    np.testing.assert_array_equal(epochs[1], np.random.default_rng([3, 1]).permutation(10))
    assert Order(10, 4, 3, False).batch(5).tolist() == [8, 9]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_results_come_in_the_order_of_the_steps(ahead):
    with ReadAhead(lambda step: step * step, range(2, 9), ahead) as reader:
        assert [reader.take(step) for step in range(2, 9)] == [step * step for step in range(2, 9)]
    assert reading() == []


def test_no_more_is_read_ahead_than_asked():
    started = []
    with ReadAhead(started.append, range(50), 2) as reader:
        time.sleep(0.3)
        assert len(started) == 3  # two that wait, and one that found no place
        reader.take(0)
    assert reading() == []


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_is_raised_at_its_step_and_ends_the_thread(ahead):
    def load(step: int) -> int:
        if step == 3:
            raise OSError("the disk is gone")
        return step

    taken: list[int] = []

    def go_on() -> None:
        with ReadAhead(load, range(9), ahead) as reader:
            taken.extend(reader.take(step) for step in range(9))

    with pytest.raises(OSError, match="the disk is gone"):
        go_on()
    assert taken == [0, 1, 2]
    assert reading() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_running_after_an_interrupt(error):
    def go_on() -> None:
        with ReadAhead(lambda step: step, range(10**9), 2) as reader:
            reader.take(0)
            raise error

    with pytest.raises(error):
        go_on()
    assert reading() == []


TRAINING = """
import signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start jobs in the background without it
import numpy as np
from sci import nn

class Slow:
    def __len__(self):
        return 8

    def __getitem__(self, indices):
        time.sleep(0.02)
        print("reading", flush=True)
        return np.ones((len(indices), 1)),

def loss(v, batch):
    return nn.mean(nn.linear(batch[0], v["w"]) ** 2)

try:
    nn.train(loss, {"w": np.ones((1, 1))}, Slow(), optimizer=nn.Adam(), epochs=10**6, batch_size=1, prefetch=2)
finally:
    print("left", [t.name for t in threading.enumerate() if t.name.startswith("sci")], flush=True)
"""


def test_an_interrupted_training_ends_its_thread_and_itself():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TRAINING], **pipes) as running:
        assert running.stdout is not None
        for _ in range(5):
            assert running.stdout.readline() == "reading\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert "left []" in out
    assert "KeyboardInterrupt" in err
    assert running.returncode != 0


def test_digests_tell_arrays_apart():
    x = np.arange(6.0)
    assert digest(x) == digest(x.copy())
    others = [digest(a) for a in (x, x + 1e-15, x.reshape(2, 3), x.astype(np.float32), -x)]
    assert len({digest(x, x), *others}) == 6
