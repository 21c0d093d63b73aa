"""The types of options: bounds of numbers, and names of files."""

from __future__ import annotations

import argparse

import pytest
from command_cases import run

from sci.cli.values import (
    AXIS,
    COUNT,
    POSITIVE,
    PROMISES,
    REAL,
    SEED,
    Number,
    byte_size,
    csv_name,
    file_name,
    hdf5_name,
)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (COUNT, ("1", "1000000000"), ("0", "-1", "1000000001", "1.5", "1e3", "nan", "")),
        (AXIS, ("1000000",), ("1000001", "0")),
        (SEED, ("0", "9223372036854775807"), ("-1", "9223372036854775808")),
        (POSITIVE, ("1e-300", "3", "1e300"), ("0", "-1", "nan", "inf", "1e400", "x", "")),
        (REAL, ("-1e300", "0"), ("nan", "-inf", "two")),
    ],
)
def test_a_number_is_taken_within_its_bounds(kind: Number, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    for text in good:
        assert kind(text) == kind.kind(text)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match="expected") as caught:
            kind(text)
        assert str(caught.value) == f"{text!r}: expected {kind.words}"


def test_a_number_of_a_file_of_options_keeps_its_class() -> None:
    assert (POSITIVE.of(3), type(POSITIVE.of(3))) == (3.0, float)
    for value in (True, "3", 1.5):
        with pytest.raises(ValueError, match="expected an integer from 1"):
            COUNT.of(value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.dx", "and .dx promises OpenDX; name it out.h5 and add --export dx"),
        ("out.CUBE", "`sci export out.h5 --to cube`"),
        ("out.png", "promises a picture; name it out.h5"),
        ("out.pqr", "promises a structure"),
    ],
)
def test_an_output_keeps_what_its_suffix_promises(name, said, pqr, tmp_path, capsys) -> None:
    assert run("potential", pqr, "-o", tmp_path / name, "--grid", 4) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_other_suffixes_are_the_users_choice() -> None:
    for name in ("a.h5", "a.hdf5", "a.vtkhdf", "a", "a.1", "run.2024-01-01"):
        assert hdf5_name(name).name == name
    assert {".dx", ".cube"} <= set(PROMISES)


def test_no_name_is_no_file() -> None:
    """An empty name would be the folder that the command was called in."""
    for kind in (file_name, hdf5_name):
        with pytest.raises(argparse.ArgumentTypeError, match="the name of a file"):
            kind("")


def test_a_table_is_named_csv() -> None:
    assert csv_name("a/runs.CSV").name == "runs.CSV"
    for text, fix in (("runs", "runs.csv"), ("law.h5", "law.csv"), ("", "name of a file")):
        with pytest.raises(argparse.ArgumentTypeError, match=fix):
            csv_name(text)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("16GB", 16e9), ("512MiB", 2**29), ("1.5 kB", 1500), ("2T", 2e12), ("1e6", 1e6), ("8Gi", 2**33)],
)
def test_sizes_of_memory(text: str, n_bytes: float) -> None:
    assert byte_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "1XB", "-1GB", "nanGB", "1 2GB", "1GBB", "infMB", "0GB"])
def test_what_is_no_size_of_memory(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="16GB"):
        byte_size(text)
