"""Checks that wait for recorded work."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend.later import checks_later, refuse_by


def _refuse(found: np.ndarray) -> None:
    if found.any():
        raise ValueError(f"{found}")


def test_checks_are_made_at_once_or_when_they_are_run():
    flags = np.zeros(2, int)
    with pytest.raises(ValueError, match="1"):
        refuse_by(flags + 1, _refuse)
    with checks_later() as outer:
        refuse_by(flags, _refuse)
        with checks_later() as inner:
            refuse_by(flags + 1, _refuse)
        refuse_by(flags, _refuse)
    assert (repr(outer), repr(inner)) == ("Checks(2 to make)", "Checks(1 to make)")
    outer.run()
    with pytest.raises(ValueError, match="1"):
        inner.run()
    flags[1] = 1  # what is looked at is what stands there then
    with pytest.raises(ValueError, match="1"):
        outer.run()
    with pytest.raises(ValueError, match="1"):
        refuse_by(flags, _refuse)
