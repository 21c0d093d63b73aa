"""Every data set exists, loads, copies and is small; an unknown name is refused with the closest."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import sci.datasets
from sci.datasets import DATASETS, copy_dataset, dataset_path, load_dataset
from sci.errors import FileFormatError, InvalidValueError

DATA = dataset_path("ubiquitin").parent
FILES = {name: found for name, found in DATASETS.items() if found.kind != "scripts"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_there(name):
    assert dataset_path(name).exists()


def test_every_file_is_in_the_table_and_has_its_origin():
    present = {path.name for path in DATA.iterdir()} - {"SOURCES.md"}
    assert present == {found.file for found in FILES.values()}
    rows = re.findall(r"^\| (\S+\.\w+) \|.*CC0 1.0", (DATA / "SOURCES.md").read_text(), re.MULTILINE)
    assert set(rows) == present


def test_all_together_are_small_in_a_wheel():
    assert sum(len(zlib.compress(path.read_bytes())) for path in DATA.iterdir()) < 600_000


def test_structures_and_crystals_are_neutral():
    for name, n in (("ubiquitin", 1231), ("nacl", 8), ("zno", 4)):
        particles = load_dataset(name)
        assert particles.n == n
        assert abs(particles.total_charge) < 1e-9
    zno = load_dataset("zno").cell
    np.testing.assert_allclose(np.linalg.norm(zno, axis=1), [3.25, 3.25, 5.207], rtol=1e-6)
    assert abs(zno[0] @ zno[1] / 3.25**2 + 0.5) < 1e-6


def test_the_trajectory_moves():
    frames = load_dataset("ions")
    assert [frame.n for frame in frames] == [64] * 12
    assert np.abs(frames[-1].positions - frames[0].positions).max() > 0.1


def test_samples_and_problem():
    samples = load_dataset("darcy")
    assert samples.x.shape == samples.y.shape == (48, 16, 16)
    problem = load_dataset("body")
    assert problem.b.sum() == 0
    assert problem.A.size == 24**3 - 8 * 8 * 5


def test_the_table_of_learning_curves():
    table = load_dataset("learning_curves")
    assert set(table) == {"curve", "samples", "loss", "known_limit"}
    assert len(table["loss"]) == 90
    assert (table["loss"] > table["known_limit"]).all()  # no model knows more than its source


def test_the_code_that_made_the_files_makes_them_again(tmp_path, monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```", (DATA / "SOURCES.md").read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "SOURCES.md", "exec", dont_inherit=True), {"__name__": "sources"})
    assert Path("ions.xyz").read_text() == dataset_path("ions").read_text()
    made, kept = sci.io.load_samples("darcy.h5"), load_dataset("darcy")
    np.testing.assert_array_equal(made.x, kept.x)
    np.testing.assert_allclose(made.y, kept.y, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(sci.io.load_problem("body.h5").b, load_dataset("body").b)


def test_copies_are_equal_and_replace_nothing_unasked(tmp_path):
    copy = copy_dataset("nacl", tmp_path / "nacl.cif")
    assert copy.read_bytes() == dataset_path("nacl").read_bytes()
    with pytest.raises(InvalidValueError, match="exists"):
        copy_dataset("nacl", copy)
    copy.write_text("mine")
    assert copy_dataset("nacl", copy, overwrite=True).read_text() != "mine"
    scripts = copy_dataset("mpi_examples", tmp_path / "mpi_examples")
    assert (scripts / "periodic.py").is_file()
    with pytest.raises(FileFormatError, match="does not exist; create it first"):
        copy_dataset("nacl", tmp_path / "missing" / "nacl.cif")


@pytest.mark.parametrize("name", ["ubikitin", "", 3, None])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(InvalidValueError, match="expected one of ubiquitin"):
        dataset_path(name)


def test_what_has_no_numbers_is_not_loaded():
    for name in ("ubiquitin-pdb", "examples"):
        with pytest.raises(InvalidValueError, match="dataset_path"):
            load_dataset(name)


def test_a_full_disk_leaves_no_part(tmp_path):
    """Under a limit on the size of files, as on a disk that fills."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\n"
        "from sci.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for name in ("ubiquitin", "mpi_examples"):
        done = subprocess.run(
            [sys.executable, "-c", program, "dataset", name, "-o", str(tmp_path / "copy")],
            capture_output=True,
            text=True,
        )
        assert done.returncode in (1, 2), done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert [path.name for path in tmp_path.iterdir()] == []
