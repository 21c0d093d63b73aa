"""Damage files in a thousand ways and read them: a clear error or the right answer, never a crash, a hang or a flood.

python tests/cases/fuzz.py 1000                every kind of file
python tests/cases/fuzz.py 1000 grid samples   some of them
python tests/cases/fuzz.py 1000 --seed 7       other damage

Prints one line of JSON for each kind: how many readings were right and how many refused, and what went wrong.
Readers run in forked processes under a limit of memory and time, so that a fault inside HDF5 costs one reading.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from kinds import KINDS, FileKind, part_names
from samples import same

from sci.errors import SciError
from sci.io import describe

MEMORY = 2**28
"""Bytes that a reader may take beyond what the process has; the files hold a few kilobytes."""
SECONDS = 5.0
"""CPU time for one reading, and a twelfth of its wall time: a busy machine is no hang."""


def damage(good: bytes, rng: np.random.Generator, how: int) -> bytes:
    """Return a damaged copy: three times of six with flipped bits, twice with a range of zeros, once cut."""
    bad = bytearray(good)
    if how % 6 == 5:
        return bytes(bad[: rng.integers(0, len(good))])
    if how % 6 >= 3:
        start, length = int(rng.integers(0, len(good))), int(2 ** rng.uniform(0, 10))
        bad[start : start + length] = bytes(len(bad[start : start + length]))
        return bytes(bad)
    for place in rng.integers(0, len(good), how % 6 + 1):
        bad[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(bad)


def reading(kind: FileKind, path: Path, good: object, about: dict[str, object]) -> str:
    """Read a damaged file; return "right", "refused", or what is wrong with the outcome."""

    def of(read: Callable[[Path], object], expected: object) -> str:
        try:
            found = read(path)
        except SciError as error:
            text = str(error)
            if re.search("memory|allocate", text.replace(path.name, ""), re.IGNORECASE):  # of a dense memory
                return f"asked for too much memory: {text}"
            clear = str(path) in text and "\n" not in text
            return "refused" if clear else f"an unclear {type(error).__name__}: {text}"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
        return "right" if not kind.checked or same(found, expected) else "a wrong answer"

    outcomes = [of(kind.read, good)]
    if kind.checked:
        outcomes.append(of(lambda p: {**describe(p), "file_bytes": 0}, {**about, "file_bytes": 0}))
    return next((o for o in outcomes if o not in ("right", "refused")), outcomes[0])


def read_from(first: int, count: int, seed: int, kind: FileKind, files: tuple[Path, Path], out: int) -> None:
    """Damage and read copies `first` to `count`, a line each on the descriptor `out`, in a process of its own."""
    path, victim = files
    intact = victim.read_bytes()
    good, about = kind.read(path), describe(path) if kind.checked else {}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, signal.SIG_DFL)  # ends the process even in a loop of C
    for number in range(first, count):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 12 * SECONDS)
        rng = np.random.default_rng((seed, number))
        os.write(out, f"{number} ".encode())
        victim.write_bytes(damage(intact, rng, number))
        os.write(out, f"{' '.join(reading(kind, path, good, about).split())}\n".encode())


def fuzz(name: str, count: int, seed: int, folder: Path, part: bool = False) -> dict[str, object]:
    """Return how `count` readings of damaged files of one kind ended; `part` damages a part instead of the file."""
    kind, path = KINDS[name], folder / str(part) / f"{name}.h5"
    path.parent.mkdir(exist_ok=True)
    kind.write(path)
    victim = path.with_name(part_names(path)[1]) if part else path
    intact = victim.read_bytes()
    ends = {"right": 0, "refused": 0}
    faults: list[str] = []
    done = 0
    while done < count:
        victim.write_bytes(intact)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            code = 1
            try:
                read_from(done, count, zlib.crc32(f"{name} {part} {seed}".encode()), kind, (path, victim), writer)
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as stream:
            lines = stream.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for line in lines:
            number, _, outcome = line.partition(" ")
            done = int(number) + 1
            if outcome in ends:
                ends[outcome] += 1
            else:
                faults.append(f"{number}: {outcome or f'the process ended with {status}'}")
        if not lines:
            raise RuntimeError(f"{name}: the reading process ended at once with {status}")
    return {"kind": f"{name} (part)" if part else name, **ends, "faults": faults}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.kinds or KINDS:
            print(json.dumps(fuzz(name, arguments.count, arguments.seed, Path(folder))), flush=True)
            if name == "spread":
                print(json.dumps(fuzz(name, arguments.count, arguments.seed, Path(folder), part=True)), flush=True)


if __name__ == "__main__":
    main()
