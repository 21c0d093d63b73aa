"""Options of `sci compress` and `sci decompress`: none has a value that was not given, so kinds can refuse them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_cases import run

from sci.cli.parser import parse
from sci.cli.parsers.compression import OPTIONS


def test_options_that_are_not_given_are_none() -> None:
    a = parse(["compress", "a.h5", "-o", "b.h5"])
    names = [name for options in OPTIONS.values() for name in options]
    assert {name: getattr(a, name) for name in names} == dict.fromkeys(names)


def test_options_of_fields() -> None:
    words = ["--tol", "1e-3", "--bound", "maximum", "--absolute", "--chunk", "8", "16", "--datasets", "x", "y"]
    a = parse(["compress", "a.npy", "-o", "b.h5", *words, "--method", "transform", "--threads", "2"])
    assert (a.tol, a.bound, a.absolute, a.chunk, a.datasets) == (1e-3, "maximum", True, [8, 16], ["x", "y"])
    assert (a.method, a.threads, a.input) == (["transform"], 2, Path("a.npy"))


def test_the_output_of_decompress_may_be_npy() -> None:
    assert parse(["decompress", "a.h5", "-o", "b.npy"]).output == Path("b.npy")


@pytest.mark.parametrize(
    "words", [["--tol", "0"], ["--tol", "nan"], ["--chunk", "0"], ["--bound", "l1"], ["-o", "b.npy"]]
)
def test_wrong_values_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compress", "a.h5", "-o", "b.h5", *words) == 2
    assert words[0] in capsys.readouterr().err
