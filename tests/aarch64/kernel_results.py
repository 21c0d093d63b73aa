"""Run every kernel of hosts on its cases: write the results, or compare them with those of another machine.

python kernel_results.py write x86.npz       # on one machine
python kernel_results.py compare x86.npz     # on the other: against those, and against the NumPy references
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from kernel_cases import is_single, pairs_of

from sci.kernels import Kernel, prebuilt_level
from sci.kernels.prebuild import shipped_kernels

CASES_AT_LEAST = 5
SINGLE, DOUBLE = 1e-6, 1e-13
"""Largest difference between kernel and reference, of the largest entry, at least 1: that of the kernels' own tests."""


def _results(kernel: Kernel) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for number, (found, expected) in enumerate(pairs_of(kernel)):
        yield f"{kernel.file}:{kernel.name}:{number}", found, expected


def write(path: str) -> None:
    """Keep what the compiled kernels give here."""
    np.savez(path, **{name: found for k in shipped_kernels() for name, found, _ in _results(k)})


def compare(path: str) -> None:
    """Hold what the compiled kernels give here against the references and the other machine's results."""
    level = prebuilt_level()
    assert level is not None, "no compiled kernels came with the wheel"
    start = time.process_time()
    arrays = same = 0
    worst = {True: (0.0, ""), False: (0.0, "")}
    wrong = []
    with np.load(path) as others:
        for kernel in shipped_kernels():
            single, count = is_single(kernel), 0
            limit = SINGLE if single else DOUBLE
            for name, found, expected in _results(kernel):
                other = others[name]
                arrays, same, count = arrays + 1, same + np.array_equal(found, other, equal_nan=True), count + 1
                for what, given in (("the reference", expected), ("the other machine", other)):
                    if not _distance(found, given) <= limit:
                        wrong.append(f"{name}: {_distance(found, given):.1e} from {what}, over {limit:.0e}")
                worst[single] = max(worst[single], (_distance(found, other), name))
            if count < CASES_AT_LEAST:
                wrong.append(f"{kernel.name} of {kernel.file} has {count} cases")
    print(f"{level}: {len(shipped_kernels())} kernels, {arrays} arrays, {same} to the same bits as the other machine's")
    for single, (distance, name) in worst.items():
        print(f"  largest difference in float{32 if single else 64}: {distance:.1e} ({name})")
    print(f"  {time.process_time() - start:.0f} s of processor time")
    if wrong:
        raise SystemExit("\n".join([f"{len(wrong)} arrays are wrong:", *wrong[:20]]))


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest entry, at least 1; infinite where shapes or NaN differ."""
    if found.shape != expected.shape or not np.array_equal(np.isnan(found), np.isnan(expected)):
        return np.inf
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    return float(np.nanmax(np.abs(found - expected), initial=0.0)) / scale


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file")
    arguments = parser.parse_args()
    (write if arguments.action == "write" else compare)(arguments.file)
