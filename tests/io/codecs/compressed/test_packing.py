"""Files of every kind whose fields are compressed load as before, within the bound; all else is the same to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from kinds import KINDS
from samples import smoke_frames
from thread_ranks import on_ranks

from sci.errors import DiskFullError, FileFormatError, InvalidValueError, SciError
from sci.io import (
    PoissonProblem,
    SampleReader,
    compress_file,
    describe,
    load,
    load_arrays,
    load_grid,
    load_results,
    load_samples,
    read_header,
    read_sample_blocks,
    read_slabs,
    save,
    save_samples,
    save_smoke,
)
from sci.io.codecs.compressed import rules
from sci.potentials import PotentialGrid
from sci.problems import right_hand_side, sphere_and_blob
from sci.solvers import PoissonOperator


def wavy(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    axes = np.meshgrid(*[np.linspace(0.0, 5.0, n) for n in shape], indexing="ij")
    return sum(np.sin((k + 1.5) * x) for k, x in enumerate(axes)).astype(dtype)  # type: ignore[union-attr]


def near(found: np.ndarray, truth: np.ndarray, tol: float) -> bool:
    return 0 < np.linalg.norm(found - truth) <= tol * np.linalg.norm(truth) and found.dtype == truth.dtype


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    save_samples(tmp_path / "s.h5", wavy(6, 32, 32), 3 * wavy(6, 32, 32), grid_axes=2, periodic=True)
    return tmp_path / "s.h5"


def test_samples_are_read_by_every_reader(samples: Path, tmp_path: Path) -> None:
    small, truth = tmp_path / "c.h5", load(samples)
    x, y = compress_file(samples, small, 1e-3, chunk=4, command="me")
    assert (x.name, y.name, x.chunks) == ("x", "y", 2)
    found = load_samples(small)
    assert near(found.x, truth.x, 1e-3)
    assert near(found.y, truth.y, 1e-3)
    assert (found.grid_axes, found.periodic) == (2, True)
    assert x.relative_l2_error == pytest.approx(np.linalg.norm(found.x - truth.x) / np.linalg.norm(truth.x))
    assert y.maximum_error == pytest.approx(np.abs(found.y - truth.y).max())
    with SampleReader(small) as reader:
        np.testing.assert_array_equal(reader[np.array([4, 1])][1], found.y[[4, 1]])
    (block,) = read_sample_blocks(small)
    np.testing.assert_array_equal(block.x, found.x)
    np.testing.assert_array_equal(load_arrays(small)["x"].values, found.x)
    assert load_arrays(small)["x"].dims == ("sample", "axis_0", "axis_1")
    assert small.stat().st_size < samples.stat().st_size / 5


def test_the_header_stays_and_the_compression_is_noted(samples: Path, tmp_path: Path) -> None:
    done = compress_file(samples, tmp_path / "c.h5", 1e-2, bound="maximum", command="me")
    assert read_header(tmp_path / "c.h5") == read_header(samples)
    found = {name: about["value"] for name, about in describe(tmp_path / "c.h5")["parameters"].items()}
    assert found["compression/tol"] == 1e-2
    assert found["compression/bound"] == "maximum"
    assert found["compression/command"] == "me"
    assert found["compression/errors/x/worst"] == done[0].relative_maximum_error <= 1e-2
    assert found["grid_axes"] == 2


def test_a_grid_with_results_keeps_all_but_its_values(tmp_path: Path) -> None:
    values = wavy(20, 24, 18)
    grid = PotentialGrid(values, (1.0, -2.0, 3.0), (0.5, 0.25, 1.0), "kT/e")
    save(tmp_path / "g.h5", grid, results={"energy": 1.5, "forces": wavy(900, 3)})
    compress_file(tmp_path / "g.h5", tmp_path / "c.h5", 1e-3)
    found = load_grid(tmp_path / "c.h5")
    assert near(found.values, values, 1e-3)
    assert (found.origin, found.spacing, found.units) == (grid.origin, grid.spacing, grid.units)
    np.testing.assert_array_equal(np.concatenate([s.values for s in read_slabs(tmp_path / "c.h5")], 2), found.values)
    np.testing.assert_array_equal(load_results(tmp_path / "c.h5")["forces"], wavy(900, 3))


def test_a_problem_keeps_its_domain(tmp_path: Path) -> None:
    mask = sphere_and_blob(24)
    problem = PoissonProblem(PoissonOperator(mask), right_hand_side(mask) + 0.1 * wavy(24, 24, 24) * mask)
    save(tmp_path / "p.h5", problem)
    compress_file(tmp_path / "p.h5", tmp_path / "c.h5", 1e-3)
    found = load(tmp_path / "c.h5")
    np.testing.assert_array_equal(found.A.mask, mask)
    assert near(found.b, np.asarray(problem.b), 1e-3)


def test_frames_of_smoke_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SMALLEST", 0)
    save_smoke(tmp_path / "s.h5", smoke_frames())
    done = compress_file(tmp_path / "s.h5", tmp_path / "c.h5", 1e-3)
    assert {one.name.partition("/")[2] for one in done} >= {"density", "pressure", "velocity_0", "velocity_1"}
    for found, frame in zip(load(tmp_path / "c.h5"), smoke_frames()):
        assert found.time == frame.time
        truth = np.asarray(frame.density, found.density.dtype)
        assert np.linalg.norm(found.density - truth) <= 1e-3 * np.linalg.norm(truth)


def test_labels_in_floats_are_exact(tmp_path: Path) -> None:
    x = wavy(5, 32, 32)
    save_samples(tmp_path / "s.h5", x, (x > 0).astype(float), grid_axes=2)
    (done,) = compress_file(tmp_path / "s.h5", tmp_path / "c.h5", 1e-2)
    assert done.name == "x"
    np.testing.assert_array_equal(load(tmp_path / "c.h5").y, x > 0)
    save_samples(tmp_path / "t.h5", np.rint(x), np.rint(x), grid_axes=2)
    with pytest.raises(FileFormatError, match="integers alone"):
        compress_file(tmp_path / "t.h5", tmp_path / "d.h5", 1e-2)
    assert [one.name for one in compress_file(tmp_path / "t.h5", tmp_path / "d.h5", 1e-2, datasets=["x"])] == ["x"]
    np.testing.assert_array_equal(load(tmp_path / "d.h5").y, np.rint(x))


def test_datasets_without_a_field_are_copied_to_the_bit(tmp_path: Path) -> None:
    KINDS["tucker"].write(tmp_path / "t.h5")
    compress_file(tmp_path / "t.h5", tmp_path / "c.h5", 1e-1, datasets=["tucker/factor_0"])
    found, truth = load(tmp_path / "c.h5"), load(tmp_path / "t.h5")
    np.testing.assert_array_equal(found.core, truth.core)
    np.testing.assert_array_equal(found.factors[1], truth.factors[1])
    assert np.linalg.norm(found.factors[0] - truth.factors[0]) <= 0.1 * np.linalg.norm(truth.factors[0])


def test_an_array_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(wavy(30, 20, 10, dtype=np.float32)))
    (done,) = compress_file(tmp_path / "a.npy", tmp_path / "c.h5", 1e-3, chunk=8, bound="maximum")
    found = load(tmp_path / "c.h5")
    assert done.chunks == len(found.chunks) == 4
    assert np.abs(found.decompress() - np.load(tmp_path / "a.npy")).max() <= 1e-3 * found.value_range


def _contents(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        found.update(
            {f"{name}@{key}": value for key, value in item.attrs.items() if key not in ("compression", "uuid")}
        )
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(note)
    return {name: value for name, value in found.items() if "_LIST" not in name}


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_write_the_file_of_one_process(samples: Path, tmp_path: Path, ranks: int) -> None:
    one, many = tmp_path / "one.h5", tmp_path / "many.h5"
    done = compress_file(samples, one, 1e-3, chunk=1)
    others = on_ranks(ranks, lambda comm: compress_file(samples, many, 1e-3, chunk=1, comm=comm))
    assert others == [done] * ranks
    assert _contents(one) == _contents(many)


def test_errors_leave_no_file_and_name_the_fault(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="is the input"):
        compress_file(samples, samples, 1e-3)
    for settings in ({"tol": 0.0}, {"tol": float("nan")}, {"bound": "l1"}, {"chunk": 0}, {"methods": ["zip"]}):
        with pytest.raises(SciError):
            compress_file(samples, tmp_path / "c.h5", **{"tol": 1e-3, **settings})
    KINDS["particles"].write(tmp_path / "p.h5")
    with pytest.raises(FileFormatError, match="holds no field to compress"):
        compress_file(tmp_path / "p.h5", tmp_path / "c.h5", 1e-3)
    with h5py.File(samples, "r+") as file:
        file["y"][3, 1, 2] = np.inf
    with pytest.raises(FileFormatError, match=r"s\.h5: y: the field holds NaN or Inf at \(3, 1, 2\)"):
        compress_file(samples, tmp_path / "c.h5", 1e-3)
    (tmp_path / "cut.h5").write_bytes(samples.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match=r"cut\.h5: "):
        compress_file(tmp_path / "cut.h5", tmp_path / "c.h5", 1e-3)
    assert not (tmp_path / "c.h5").exists()
    (tmp_path / "c.h5").write_text("mine")
    with pytest.raises(FileFormatError, match="NaN"):
        compress_file(samples, tmp_path / "c.h5", 1e-3, overwrite=True)
    assert (tmp_path / "c.h5").read_text() == "mine"


def test_a_file_that_exists_is_replaced_when_asked(samples: Path, tmp_path: Path) -> None:
    compress_file(samples, tmp_path / "c.h5", 1e-2)
    with pytest.raises(InvalidValueError, match="exists"):
        compress_file(samples, tmp_path / "c.h5", 1e-3)
    compress_file(samples, tmp_path / "c.h5", 1e-3, overwrite=True)
    assert near(load(tmp_path / "c.h5").x, load(samples).x, 1e-3)


def test_a_full_disk_is_told_of_the_output(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sci.io.codecs.compressed.packing.write_chunks", full)
    with pytest.raises(DiskFullError, match=r"^\S*c\.h5: the disk is full"):
        compress_file(samples, tmp_path / "c.h5", 1e-3)
    assert not (tmp_path / "c.h5").exists()
