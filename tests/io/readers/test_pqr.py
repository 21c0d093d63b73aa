"""PQR files in the shapes in which they are found, and the one clear line for each bad one."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.datasets import dataset_path
from sci.errors import FileFormatError
from sci.io import read_structure
from sci.io.readers.pqr import parse_atom, read_pqr

LINE = "ATOM      1  N   ALA A   1     105.658 133.136 -29.416  0.1414 1.8240"


def write(tmp_path: Path, text: str | bytes, name: str = "file.pqr") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LINE, ("N", 105.658, 133.136, -29.416, 0.1414, 1.8240)),
        (
            "ATOM   8280  N   NTE   544     -13.336   3.045  35.885  0.185 1.824",
            ("N", -13.336, 3.045, 35.885, 0.185, 1.824),
        ),
        ("ATOM\t5\tN\tPRO\t1\t-0.169\t7.698\t13.415\t-0.07\t1.85", ("N", -0.169, 7.698, 13.415, -0.07, 1.85)),
        (
            "ATOM      2  CA  ALA A   1      30.252-100.167-129.416  0.0337 1.9080",
            ("CA", 30.252, -100.167, -129.416, 0.0337, 1.908),
        ),
        ("ATOM 2 CA ALA 1 30.252-100.167-129.416 -0.03 1.9", ("CA", 30.252, -100.167, -129.416, -0.03, 1.9)),
        ("ATOM 2 CA ALA 1 30.252-100.167 5 -0.03 1.9", None),
        (
            "ATOM100000  N   ALA A   1     105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        (
            "HETATM12345 ZN   ZN A1000     105.658-133.136 -29.416  2.0000 1.1000",
            ("ZN", 105.658, -133.136, -29.416, 2, 1.1),
        ),
        (
            "ATOM  100000  N   ALA A   1     105.658-133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, -133.136, -29.416, 0.1414, 1.824),
        ),
        ("HETATM*****  O   WAT B9999      -1.000  -2.000  -3.000 -0.8340 1.6612", ("O", -1, -2, -3, -0.834, 1.6612)),
        (
            "ATOM      1  N   ALA A1000     105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        (
            "ATOM      1  N   ALA A  52A    105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        ("ATOM 1 N ALA A 52 B 105.658 133.136 -29.416 0.1414 1.8240", ("N", 105.658, 133.136, -29.416, 0.1414, 1.824)),
        (
            "ATOM      1  N   ALA A  -5     105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        (
            "ATOM      1  N   ALA 1   7     105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        (
            "ATOM      1 HH11AARG A   1    1105.6581133.1361129.416  0.1414 1.8240",
            ("HH11", 1105.658, 1133.136, 1129.416, 0.1414, 1.824),
        ),
        (
            "ATOM      1  N  NALAA1000     105.658 133.136 -29.416  0.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, 0.1414, 1.824),
        ),
        ("atom 1 n ala a 1 105.658 133.136 -29.416 0.1414 1.8240", ("n", 105.658, 133.136, -29.416, 0.1414, 1.824)),
        ("  ATOM 1 I ION 1 0 0 0 1 3", ("I", 0, 0, 0, 1, 3)),
        ("ATOM 1 NA NA 1 1e1 -2.5E-1 +3. 1 1.87", ("NA", 10, -0.25, 3, 1, 1.87)),
        ("ATOM 2 CL CL- 2 1.0 2.0 3.0 -1.0 1.948 Cl", ("CL", 1, 2, 3, -1, 1.948)),
        (
            "ATOM      1  N   ALA A   1     105.658 133.136 -29.416-10.1414 1.8240",
            ("N", 105.658, 133.136, -29.416, -10.1414, 1.824),
        ),
    ],
)
def test_lines_in_the_wild(line, expected):
    if expected is None:
        with pytest.raises(ValueError, match=r"residue number from x|missing"):
            parse_atom(line)
    else:
        assert parse_atom(line) == expected


finite = st.integers(-9_999_999, 99_999_999).map(lambda i: i / 1000)
atoms = st.lists(
    st.tuples(
        st.sampled_from(["N", "CA", "HH11", "H5'", "O1P", "1HB", "C*"]),
        st.sampled_from(["ALA", "CL-", "DA5", "HIP", "A", "2MG"]),
        st.integers(-99, 9999),
        finite.filter(lambda x: -999 < x < 9999),
        finite.filter(lambda x: -999 < x < 9999),
        finite.filter(lambda x: -999 < x < 9999),
        st.integers(-19999, 29999).map(lambda i: i / 10000),
        st.integers(0, 29999).map(lambda i: i / 10000),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda atom: atom[3],
)
LAYOUTS = {
    "free": "{record} {serial} {name} {residue} {number} {x} {y} {z} {q} {r}",
    "free with chain": "{record}  {serial}  {name}  {residue}  {chain}  {number}  {x}  {y}  {z}  {q}  {r}",
    "tabs": "{record}\t{serial}\t{name}\t{residue}\t{chain}\t{number}\t{x}\t{y}\t{z}\t{q}\t{r}",
    "columns": "{record:6}{serial:5d} {name:<4} {residue:>3} {chain}{number:4d}    "
    "{x:8.3f}{y:8.3f}{z:8.3f}{q:8.4f}{r:7.4f}",
    "columns without chain": "{record:6}{serial:5d} {name:<4} {residue:>3}  {number:4d}    "
    "{x:8.3f}{y:8.3f}{z:8.3f}{q:8.4f}{r:7.4f}",
    "columns with insertion": "{record:6}{serial:5d} {name:<4} {residue:>3} {chain}{number:4d}A   "
    "{x:8.3f}{y:8.3f}{z:8.3f} {q:7.4f} {r:6.4f}",
}


@given(
    rows=atoms,
    layout=st.sampled_from(sorted(LAYOUTS)),
    record=st.sampled_from(["ATOM", "HETATM", "Atom"]),
    chain=st.sampled_from("AbZ19"),
    serial=st.integers(1, 99_990),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    noise=st.lists(
        st.sampled_from(
            ["REMARK   1 atom 1 N ALA 1.0 2.0 3.0", "TER", "# comment", "", "CONECT 1 2 3", "TER2000", "HEADER    ATOM"]
        ),
        max_size=4,
    ),
)
def test_round_trip(tmp_path_factory, rows, layout, record, chain, serial, end, bom, noise):
    lines = list(noise)
    for i, (name, residue, number, x, y, z, q, r) in enumerate(rows):
        fields = {"record": record, "serial": serial + i, "name": name, "residue": residue, "chain": chain}
        lines.append(LAYOUTS[layout].format(**fields, number=number, x=x, y=y, z=z, q=q, r=r))
    text = end.join([*lines, "TER", "END", ""])
    path = tmp_path_factory.getbasetemp() / "round_trip.pqr"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    particles = read_structure(path)
    assert particles.names == tuple(row[0] for row in rows)
    np.testing.assert_array_equal(particles.positions, [row[3:6] for row in rows])
    np.testing.assert_array_equal(particles.charges, [row[6] for row in rows])
    np.testing.assert_array_equal(particles.radii, [row[7] for row in rows])


OTHER = LINE.replace("105.658", "  1.000")
BAD = {
    "empty": (b"", r"bad\.pqr: the file is empty"),
    "white": (b" \n\n", r"bad\.pqr: the file is empty"),
    "binary": (b"\x00\x01ATOM", r"binary"),
    "packed": (b"\x1f\x8bATOM", r"binary"),
    "latin": (f"{LINE}\nREMARK caf".encode() + b"\xe9\n", r"bad\.pqr:2: byte 0xe9 is not UTF-8"),
    "no atoms": ("REMARK nothing\nEND\n", r"no atoms; expected at least one ATOM"),
    "html": ("<html>\n<body>404</body>\n", r"no atoms"),
    "missing radius": (f"{OTHER}\n{LINE[:-7]}\n", r"bad\.pqr:2: .*(missing|residue number)"),
    "missing radius, free": ("ATOM 1 N ALA 1 1.0 2.0 3.0 0.5\n", r":1: a column is missing: 9 fields"),
    "missing y, numeric chain": ("ATOM 1 N ALA 1 1 1.0 3.0 0.5 1.5\n", r":1: .*is a column missing"),
    "too many": ("ATOM 1 N ALA A 1 1.0 2.0 3.0 0.5 1.5 9.5\n", r":1: "),
    "not a number": (f"{OTHER}\n{LINE.replace('0.1414', 'zero  ')}\n", r":2: charge is 'zero', which is not a number"),
    "comma": ("ATOM 1 N ALA 1 1,0 2.0 3.0 0.5 1.5\n", r":1: x is '1,0', which is not a number"),
    "underscore": ("ATOM 1 N ALA 1 1_0 2.0 3.0 0.5 1.5\n", r":1: x is '1_0'"),
    "overflow": (f"{LINE.replace(' 105.658', '********')}\n", r":1: .*number"),
    "nan": (f"{LINE.replace('105.658', '    nan')}\n", r":1: x: nan is not a finite number"),
    "inf": (f"{LINE.replace('1.8240', '  -inf')}\n", r":1: radius: -inf is not a finite number"),
    "huge": ("ATOM 1 N ALA 1 1e999 2.0 3.0 0.5 1.5\n", r":1: x: 1e999 is not a finite number"),
    "negative radius": ("ATOM 1 N ALA 1 1.0 2.0 3.0 0.5 -1.5\n", r":1: the radius is -1.5"),
    "one place": (f"{LINE}\n{OTHER}\nREMARK\n{LINE}\n", r":4: atom N is at the place of atom N in line 1, \(105.658"),
    "cut in a number": (
        f"{LINE}\n{OTHER}\n{LINE.replace('105', '106')}\n{LINE.replace('105', '107')[:-2]}",
        r":4: .*cut",
    ),
    "cut in a field": (f"{LINE}\n{OTHER[:40]}", r":2: "),
    "cut in the record": (f"{LINE}\nAT", r":2: unknown record that looks like"),
    "two models": (f"MODEL 1\n{LINE}\nENDMDL\nMODEL 2\n{OTHER}\nENDMDL\n", r":5: a second model begins here, of 2"),
    "two parts": (f"{LINE}\nEND\n{OTHER}\nEND\n", r":3: a second model.*remove the END"),
    "pdb": (
        "ATOM      1  N   MET A   1      27.340  24.430   2.614  1.00  9.67           N  \n",
        r":1: this is a line of a PDB file.*format='pdb'",
    ),
    "nameless record": (f"1 N ALA 1 1.0 2.0 3.0 0.5 1.5\n{LINE}\n", r":1: unknown record with the numbers of an atom"),
    "other record": (f"XYZZY 1 N ALA 1 1.0 2.0 3.0 0.5 1.5\n{LINE}\n", r":1: unknown record with the numbers"),
    "HET ATM": (f"{LINE}\nHET ATM 1 N ALA 1 1.0 2.0 3.0 0.5 1.5\n", r":2: unknown record that looks like"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(tmp_path, case):
    text, message = BAD[case]
    path = write(tmp_path, text, "bad.pqr")
    with pytest.raises(FileFormatError, match=message) as caught:
        read_structure(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        "ATMO",
        "ATOMM",
        "ATM",
        "AOTM",
        "ATON",
        "HETATOM",
        "HETATMS",
        "HTATM",
        "HEATM",
        "ATOMS",
        "Atmo",
        "A",
        "ATO",
        "HETAT",
    ],
)
def test_misspelled_atom_is_never_skipped(tmp_path, word):
    path = write(tmp_path, f"{LINE}\n{word:6}{OTHER[6:]}\nEND\n")
    with pytest.raises(FileFormatError, match=r":2: unknown record that looks like a misspelled or cut ATOM"):
        read_pqr(path)


def test_records_that_hold_no_atom_are_skipped(tmp_path):
    records = """HEADER    ATOM TRANSPORT
REMARK ATOM 1 N ALA 1 1.0 2.0 3.0 0.5 1.5
REMARKATOM
remark an atom
CRYST1   50.840   42.770   28.950  90.00  90.00  90.00 P 21 21 21    4
ORIGX1      1.000000  0.000000  0.000000        0.00000
ANISOU    1  N   MET A   1      688    1234    806    -19    -49    178       N
CONECT 1021  544 1017 1020 1022
CONECT102110544
HETNAM     ATP ATOM
HET    ATP  A 100      31
HELIX    1  H1 ILE A   23  GLU A   34  1
MASTER      207    0    0    1    5    0    0    6    0    0    0    0
; atom
! atom
ATOM 1 N ALA 1 1.0 2.0 3.0 0.5 1.5
TER       2      ALA A   1
Total charge on this molecule: 0.5
END"""
    assert read_pqr(write(tmp_path, records)).n == 1


def test_models_are_chosen_by_number(tmp_path):
    path = write(tmp_path, f"MODEL 1\n{LINE}\nENDMDL\nMODEL 2\n{OTHER}\nENDMDL\nEND\n")
    assert read_structure(path, model=2).positions[0, 0] == 1.0
    with pytest.raises(FileFormatError, match="there is no model 3; expected 1 to 2"):
        read_structure(path, model=3)
    single = write(tmp_path, f"MODEL 1\n{LINE}\nENDMDL\nEND\n")
    assert read_structure(single).n == 1


def test_complete_last_line_without_end_is_read(tmp_path):
    assert (
        read_pqr(write(tmp_path, f"{LINE}\n{OTHER}\n{LINE.replace('105', '106')}\n{LINE.replace('105', '107')}")).n == 4
    )
    free = "\n".join(f"ATOM {i} N ALA 1 {i}.0 2.0 3.0 0.5 {r}" for i, r in enumerate(["1.87", "1.5", "1.66", "2.0"]))
    assert read_pqr(write(tmp_path, free)).n == 4


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(FileFormatError, match="this is a directory"):
        read_pqr(tmp_path)
    with pytest.raises(FileFormatError, match="there is no such file"):
        read_pqr(tmp_path / "none.pqr")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_pqr(tmp_path / "nul\0.pqr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(tmp_path):
    path = write(tmp_path, LINE)
    path.chmod(0)
    with pytest.raises(FileFormatError, match="Permission denied"):
        read_pqr(path)


@pytest.mark.parametrize(
    ("name", "n", "charge"),
    [("1ajj", 519, -5.0), ("fas2", 906, 4.053), ("mache", 8279, -10.004), ("1kx5", 34476, -144.0)],
)
def test_real_molecules(test_data, name, n, charge):
    path = test_data / "structures" / f"{name}.pqr"
    particles = read_structure(path)
    assert particles.n == n == len(re.findall("^(?:ATOM|HETATM)", path.read_text(), re.MULTILINE))
    assert particles.total_charge == pytest.approx(charge, abs=1e-9)


GROMACS = """TITLE     system
CRYST1   35.060   34.040   38.990  90.00  90.00  90.00 P 1           1
MODEL        1
ATOM      1  O    ZR     1      15.710  17.670  23.340  1.00  1.48           O
ATOM      2  O    ZR     1      15.710  17.670  24.340 {second}  1.48           O
"""


def test_files_of_gromacs_are_read_and_the_format_overrides_the_guess(tmp_path):
    """editconf -mead writes charge and radius in two decimals, with an element where a PDB file has one."""
    path = write(tmp_path, GROMACS.format(second="-1.00"))
    for options in ({}, {"format": "pqr"}):
        found = read_structure(path, **options)
        assert found.charges.tolist() == [1.0, -1.0]
        assert found.radii.tolist() == [1.48, 1.48]
    path = write(tmp_path, GROMACS.format(second=" 0.50"))
    with pytest.raises(FileFormatError, match=r":4: this is a line of a PDB file.*or with format='pqr' if these are"):
        read_structure(path)
    assert read_structure(path, format="pqr").charges.tolist() == [1.0, 0.5]
    renamed = write(tmp_path, GROMACS.format(second=" 0.50"), "a.xyz")
    assert read_structure(renamed, format="PQR").charges.tolist() == [1.0, 0.5]


RADII_FIRST = """REMARK  atom radii in columns 55-62
REMARK  atom charges in columns 63-70
ATOM      1  N   SER     1       1.000   2.000   3.000  1.5500  0.1849
ATOM      2  CB  SER     1       2.000   2.000   3.000  1.7000 {last}
"""


@pytest.mark.parametrize("last", ["-0.1898", " 0.1898"])
def test_radii_before_charges_are_read_as_the_remarks_say(tmp_path, last):
    found = read_structure(write(tmp_path, RADII_FIRST.format(last=last)))
    assert found.radii.tolist() == [1.55, 1.7]
    assert found.charges.tolist() == [0.1849, float(last)]
    swapped = RADII_FIRST.replace("radii", "?").replace("charges", "radii").replace("?", "charges")
    assert read_structure(write(tmp_path, swapped.format(last=" 0.1898"))).charges.tolist() == [1.55, 1.7]


def test_radii_before_charges_without_a_word_are_refused(tmp_path):
    text = "".join(RADII_FIRST.format(last="-0.1898").splitlines(keepends=True)[2:])
    with pytest.raises(FileFormatError, match=r":2: the radius is -0\.1898; .*are the charges in its column\?"):
        read_structure(write(tmp_path, text))
    text = "REMARK  atom radii in columns 63-70\n" + RADII_FIRST.format(last=" 0.1898")
    with pytest.raises(FileFormatError, match=r":2: two remarks name different columns of the radius"):
        read_structure(write(tmp_path, text))


@pytest.mark.parametrize(
    ("remarks", "charge"),
    [
        ("REMARK  atom radii in columns 55-62", 0.1849),
        ("REMARK  atom charges in columns 63-70", 0.1849),
        ("REMARK  atom charges in columns 55-62", 1.55),
        ("REMARK  atom radii in columns 63-70", 1.55),
        ("REMARK  no word on columns", 1.55),
    ],
)
def test_one_remark_on_a_column_is_enough(tmp_path, remarks, charge):
    path = tmp_path / "amber.pqr"
    path.write_text(f"{remarks}\nATOM      1  N   SER     1       1.000   2.000   3.000  1.5500  0.1849\nEND\n")
    assert read_structure(path).charges.tolist() == [charge]


def swapped(charges: list[float], radii: list[float]) -> str:
    """Return a file with radius before charge and no remark."""
    line = "ATOM  {:5d}  C   MOL     1    {:8.3f}{:8.3f}{:8.3f}{:8.4f}{:8.4f}\n"
    return "".join(line.format(k + 1, 1.5 * k, 0.0, 0.0, r, q) for k, (q, r) in enumerate(zip(charges, radii)))


def test_radii_first_are_told_by_the_numbers_with_a_warning(tmp_path):
    charges, radii = [-0.834, 0.417, 0.417, -0.834, 0.417, 0.417], [1.66, 0.8, 0.8, 1.66, 0.8, 0.8]
    path = write(tmp_path, swapped(charges, radii))
    with pytest.warns(UserWarning, match="is taken for its radius and the second for its charge.*REMARK atom radii in"):
        found = read_structure(path)
    np.testing.assert_allclose(found.charges, charges)
    np.testing.assert_allclose(found.radii, radii)
    path.write_text("REMARK atom radii in columns 55-62\n" + path.read_text())  # the fix that the warning names
    np.testing.assert_allclose(read_structure(path).charges, charges)


@pytest.mark.parametrize(
    ("charges", "radii", "message"),
    [
        (
            [-0.8, 0.4, 0.1, -0.8, 0.4, 0.4],
            [1.66, 0.8, 0.8, 1.66, 0.8, 0.8],
            r":1: the radius is -0\.8; .*numbers do not tell",
        ),
        ([-0.5, 0.25, 0.25], [1.66, 0.82, 0.81], r":1: the radius is -0\.5"),  # nothing repeats
        ([0.25, 0.25, 0.25, 0.25], [1.6, 1.6, 0.81, 0.81], "whether charge or radius comes first .*of one sign"),
    ],
)
def test_what_may_be_both_is_refused_with_the_line_that_tells(tmp_path, charges, radii, message):
    path = write(tmp_path, swapped(charges, radii))
    with pytest.raises(FileFormatError, match=message):
        read_structure(path)
    path.write_text("REMARK atom radii in columns 55-62\n" + path.read_text())
    np.testing.assert_allclose(read_structure(path).charges, charges)


@pytest.mark.parametrize(("charges", "radii"), [([1.0, 1.0, 2.0], [1.5, 1.5, 1.5]), ([0.5, 0.5], [0.25, 0.75])])
def test_ions_of_one_sign_are_read_as_the_format_says(tmp_path, charges, radii):
    found = read_structure(write(tmp_path, swapped(radii, charges)))
    np.testing.assert_allclose(found.charges, charges)


def test_the_standard_order_of_molecules_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_structure(dataset_path("ubiquitin")).charges.min() < 0
