"""State dicts in npz files: arrays by name, options as text, nothing unpickled."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import read_state_dict


def test_options_are_read_as_text_or_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones(2), _metadata=np.array("{}"))
    np.savez(tmp_path / "b.npz", w=np.ones(2), _metadata=np.array([{}], dtype=object))
    assert set(read_state_dict(tmp_path / "a.npz")) == {"w", "_metadata"}
    assert str(read_state_dict(tmp_path / "a.npz")["_metadata"]) == "{}"
    assert set(read_state_dict(tmp_path / "b.npz")) == {"w"}


def test_files_that_are_no_state_dict(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("one.npy", "pickled.npz", "text.npz", "missing.npz"):
        with pytest.raises(FileFormatError, match="npz"):
            read_state_dict(tmp_path / name)
