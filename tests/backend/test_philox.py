"""Philox gives the known answers of its authors, and draws that do not depend on who makes them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend.philox import USES, philox, require_seed, uniforms
from sci.errors import InvalidValueError


def test_the_known_answers_of_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file kat_vectors of Random123: zeros, ones, and digits of pi."""
    ones = 0xFFFFFFFF
    digits = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
    for counter, key, expected in (
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (digits[:4], digits[4:], (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ):
        monkeypatch.setitem(USES, "a test", counter[3])
        found = philox(np.array([counter[0]]), counter[1], counter[2], "a test", key[0] + (key[1] << 32))
        assert tuple(found[:, 0].tolist()) == expected


def test_draws_are_functions_of_the_replica_alone() -> None:
    whole = uniforms(10, np.arange(6), 3, "start", 7)
    assert whole.shape == (6, 10)
    np.testing.assert_array_equal(uniforms(10, np.arange(2, 5), 3, "start", 7), whole[2:5])
    assert not np.array_equal(uniforms(10, np.arange(6), 4, "start", 7), whole)
    assert not np.array_equal(uniforms(10, np.arange(6), 3, "bonds", 7), whole)


def test_draws_are_uniform() -> None:
    found = uniforms(4000, np.arange(50), 0, "spins", 1)
    assert 0 < found.min() < found.max() < 1
    counts = np.histogram(found, 64, (0, 1))[0]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 63 + 5 * np.sqrt(2 * 63)


@pytest.mark.parametrize(("seed", "sweeps"), [(-1, 0), (2**63, 0), (0, 2**31)])
def test_seeds_and_sweeps_beyond_the_counter_are_refused(seed: int, sweeps: int) -> None:
    with pytest.raises(InvalidValueError, match="expected a seed"):
        require_seed(seed, sweeps)
