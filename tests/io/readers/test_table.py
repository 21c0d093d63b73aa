"""Tables of numbers by name: CSV and HDF5, and what they refuse, by line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.errors import FileFormatError
from sci.io import read_table


def test_names_and_numbers_come_back(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"# runs\r\nsize, loss\r\n1e4,0.5\r\n\r\n# more\r\n+2.5,-1\r\n")
    found = read_table(tmp_path / "t.csv")
    assert {name: column.tolist() for name, column in found.items()} == {"size": [1e4, 2.5], "loss": [0.5, -1.0]}
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["size"], file["loss"], file["other"] = np.arange(3), np.ones(3, "f4"), np.ones((2, 2))
    assert {name: column.tolist() for name, column in read_table(tmp_path / "t.h5").items()} == {
        "size": [0.0, 1.0, 2.0],
        "loss": [1.0] * 3,
    }


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=1))
def test_every_number_that_python_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("a,b\n" + "".join(f"{x!r},{y!r}\n" for x, y in rows))
    found = read_table(path)
    np.testing.assert_array_equal(np.stack([found["a"], found["b"]], axis=1), rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table"),
        ("# only a comment\n", "no line of names"),
        ("a,b\n", "at least one line of numbers"),
        ("a,a\n1,2\n", "one name a column"),
        ("a,\n1,2\n", "one name a column"),
        ("1,2\n3,4\n", "first line of names"),
        ("a,b\n1,2\n3\n", "line 3: 1 fields"),
        ("a,b\n1,x\n", "line 2: b is 'x'"),
        ("a,b\n1,nan\n", "line 2: b is nan"),
        ("a,b\n1,1e999\n", "line 2: b is 1e999"),
    ],
)
def test_a_bad_table_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_table(tmp_path / "t.csv")


def test_bad_columns_of_hdf5_are_refused(tmp_path: Path) -> None:
    for name, columns, message in (
        ("empty", {}, "no one-dimensional"),
        ("odd", {"a": np.ones(2), "b": np.ones(3)}, "one length"),
        ("nan", {"a": np.array([1.0, np.nan])}, r"a\[1\] is not finite"),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            for key, column in columns.items():
                file[key] = column
        with pytest.raises(FileFormatError, match=message):
            read_table(tmp_path / f"{name}.h5")
    with pytest.raises(FileFormatError, match="no such file"):
        read_table(tmp_path / "missing.csv")


def test_columns_are_chosen_and_texts_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('site,x,note\n"Bern, west",1,a\n Üetliberg ,2,\n')
    found = read_table(tmp_path / "t.csv", columns=["x"], texts=["site"])
    assert {name: column.tolist() for name, column in found.items()} == {
        "site": ["Bern, west", "Üetliberg"],
        "x": [1.0, 2.0],
    }
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["site"], file["x"], file["y"] = np.array(["Bern", "Üe"], dtype=h5py.string_dtype()), [1, 2], [3]
    with pytest.raises(FileFormatError, match="texts of fixed length"):
        read_table(tmp_path / "t.h5", columns=["x"], texts=["site"])
    with h5py.File(tmp_path / "u.h5", "w") as file:
        file["site"], file["x"], file["y"] = np.array([b"Bern", "Üe".encode()]), [1, 2], [3]
    found = read_table(tmp_path / "u.h5", columns=["x"], texts=["site"])
    assert found["site"].tolist() == ["Bern", "Üe"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["z"]}, "no column z; its columns are site, x, note"),
        ({"texts": ["z"]}, "no column z"),
        ({"columns": ["x"], "texts": ["note"]}, "line 3: note is ''; expected a text"),
        ({"columns": ["site"]}, "line 2: site is 'Bern'; expected a number"),
    ],
)
def test_columns_that_are_not_there_or_of_another_kind_are_named(tmp_path: Path, options: dict, message: str) -> None:
    (tmp_path / "t.csv").write_text("site,x,note\nBern,1,a\nBasel,2,\n")
    with pytest.raises(FileFormatError, match=message):
        read_table(tmp_path / "t.csv", **options)


@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("", "leave out the lines of what is missing"),
        ("NA", "leave out the lines of what is missing"),
        ("nan", "leave out the lines of what is missing"),
        ("2020-01-31", "write dates and times as numbers, in days or seconds"),
        ("Bern", "expected a number$"),
    ],
)
def test_a_word_in_place_of_a_number_is_told_with_its_mend(tmp_path: Path, word: str, mend: str) -> None:
    (tmp_path / "t.csv").write_text(f"time,x\n1,2\n{word},3\n")
    with pytest.raises(FileFormatError, match=f"line 3: time is .*{mend}"):
        read_table(tmp_path / "t.csv")
