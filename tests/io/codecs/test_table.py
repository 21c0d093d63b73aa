"""Which module has the codec of a kind, and what a program that needs one kind imports."""

import subprocess
import sys

import pytest

import sci.io
from sci.io.core import registry


def test_the_table_names_every_kind_once_and_the_room_of_its_class():
    sci.io.kinds()
    ours = {name: kind for name, kind in registry._BY_NAME.items() if kind.codec.__module__.startswith("sci.")}
    named = [name for unread in registry._UNREAD for name in unread.kinds]
    assert sorted(named) == sorted(ours)
    for unread in registry._UNREAD:
        rooms = {ours[name].cls.__module__.split(".")[1] for name in unread.kinds}
        assert rooms - {"io"} == unread.rooms, unread.kinds


def _rooms_after(code: str) -> set[str]:
    code = f"import sys, tempfile, sci.io\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[1] for name in done.stdout.split() if name.startswith("sci.")}


@pytest.mark.parametrize(
    ("code", "present", "absent"),
    [
        ("sci.io.describe", "io", "potentials tensor nn compression"),
        (
            "from sci.tensor import Tucker; import numpy\n"
            "path = tempfile.mkdtemp() + '/a.h5'\n"
            "sci.io.save(path, Tucker(numpy.ones((1, 1)), (numpy.ones((2, 1)),) * 2))\n"
            "sci.io.load(path), sci.io.describe(path)",
            "tensor potentials",
            "nn solvers compression generative",
        ),
    ],
)
def test_one_kind_imports_only_the_rooms_that_it_is_about(code: str, present: str, absent: str) -> None:
    rooms = _rooms_after(code)
    assert set(present.split()) <= rooms
    assert not set(absent.split()) & rooms


def test_threads_may_need_their_first_codecs_at_once() -> None:
    code = (
        "import random, threading, sci.io\n"
        "from sci.io.core import registry\n"
        "names, failed, start = [n for u in registry._UNREAD for n in u.kinds], [], threading.Barrier(8)\n"
        "def run(seed):\n"
        "    mine = random.Random(seed).sample(names, len(names))\n"
        "    start.wait()\n"
        "    try:\n"
        "        sci.io.SmokeRun if seed % 2 else sci.io.compress_file\n"
        "        [registry.kind_named(name) for name in mine]\n"
        "    except BaseException as error:\n"
        "        failed.append(error)\n"
        "threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]\n"
        "[thread.start() for thread in threads], [thread.join() for thread in threads]\n"
        "print(failed)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
