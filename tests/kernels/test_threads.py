"""The threads of kernels on the CPU: the same answers, no spinning, forks, and launches from several threads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scale_kernel import scale_kernel, scaled

import sci
from sci.kernels import bind, compile

N = 100_000


def test_every_block_is_done_once(folder):
    for threads in (2, 3, 9):
        with sci.options(threads=threads):
            for n in (0, 1, 16, 17, 100, N):
                np.testing.assert_array_equal(scaled(n), 3.0 * np.arange(n))


def test_launches_from_several_threads_at_once(folder):
    """One has the helpers, the others work alone; every answer is right."""
    with sci.options(threads=3):
        arrays = [(np.arange(float(N)), np.zeros(N)) for _ in range(4)]
        calls = [bind(scale_kernel(), -(-N // 16), x, out, N, float(k)) for k, (x, out) in enumerate(arrays)]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            for _, out in arrays:
                out[...] = np.nan
            list(threads.map(lambda call: call(), calls))
            for k, (x, out) in enumerate(arrays):
                np.testing.assert_array_equal(out, k * x)


def test_threads_sleep_between_launches(folder):
    with sci.options(threads=2):
        x, out = np.arange(float(N)), np.zeros(N)
        call = bind(scale_kernel(), -(-N // 16), x, out, N, 3.0)
    for _ in range(5):
        call()
        start = time.process_time()
        time.sleep(0.05)
        if time.process_time() - start < 0.002:  # OpenMP's threads took 0.009 s here
            return
    raise AssertionError("helpers use the processor when there is nothing to do")


FORK = """
import os, numpy as np, sci
from scale_kernel import scaled
with sci.options(threads=2):
    expected = scaled(1000)
    child = os.fork()
    same = np.array_equal(scaled(1000), expected)
    if child == 0:
        os._exit(0 if same else 1)
    assert same and os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_launches_too(folder):
    variables = {**os.environ, "SCI_KERNEL_PATH": str(folder), "SCI_CACHE_DIR": str(folder.parent / "cache")}
    variables["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_pool_that_does_not_compile_costs_a_warning(folder, monkeypatch):
    assert scaled()[1] == 3.0
    monkeypatch.setattr(compile, "POOL_FLAGS", ("-fno-such-flag",))
    message = r"run on one thread, because[\s\S]*no-such-flag"
    with sci.options(threads=2), pytest.warns(RuntimeWarning, match=message):
        assert scaled()[1] == 3.0
    compile.thread_pool.cache_clear()
