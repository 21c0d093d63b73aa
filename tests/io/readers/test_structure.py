"""The entry for structure files: formats by suffix, arguments that do not fit."""

from __future__ import annotations

import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_structure

PLAIN = "2\nwater, partly\nO 0.0 0.0 0.1 -0.834\nH 0.757 0.586 0.0 0.417\n"


def read(tmp_path, text, name="a.xyz", **keywords):
    (tmp_path / name).write_text(text)
    return read_structure(tmp_path / name, **keywords)


def test_format_and_arguments(tmp_path):
    assert read(tmp_path, PLAIN, "a.dat", format="xyz").n == 2
    with pytest.raises(FileFormatError, match=r"a\.dat: the suffix '\.dat' tells no format; expected \.pqr, \.xyz"):
        read(tmp_path, PLAIN, "a.dat")
    with pytest.raises(InvalidValueError, match="format is 'mol2'; expected one of pqr, xyz, pdb, mmcif"):
        read(tmp_path, PLAIN, format="mol2")
    with pytest.raises(InvalidValueError, match="leave forcefield='AMBER' out"):
        read(tmp_path, PLAIN, forcefield="AMBER")
    with pytest.raises(FileFormatError, match="there is no model 2; expected 1 to 1"):
        read(tmp_path, PLAIN, model=2)
