"""Trajectories: frames of several formats, energies and forces in one file, kills, resuming, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
from systems import relative
from trajectory_cases import CHARGES, FRAMES, LATTICE, POSITIONS, N, write_xyz

from sci.errors import FileFormatError, InvalidValueError
from sci.io import compute_trajectory, load, read_frames, save, trajectory_state
from sci.io.core.datasets import crc32
from sci.potentials import Particles, PeriodicPotential, Yukawa, compute_frame, direct_sum, energy_and_forces

# `tol` holds for the potential here; forces may miss it, and that is said.
pytestmark = pytest.mark.filterwarnings("ignore::sci.errors.ToleranceWarning")


@pytest.fixture
def xyz(tmp_path: Path) -> Path:
    return write_xyz(tmp_path / "a.xyz")


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def exact(positions: np.ndarray, kernel: object = None) -> tuple[float, np.ndarray]:
    particles = Particles(positions, CHARGES)
    value, slope = direct_sum(particles, positions, kernel=kernel, gradient=True)
    return 0.5 * float((CHARGES * value).sum()), -CHARGES[:, None] * slope


@pytest.mark.parametrize("kernel", [None, Yukawa(0.3)])
@pytest.mark.parametrize(("method", "tol"), [("direct", 1e-13), ("format", 1e-6)])
def test_energies_and_forces(xyz, tmp_path, method, tol, kernel):
    compute_trajectory(xyz, tmp_path / "a.h5", tol=1e-7, method=method, kernel=kernel, frames=slice(1, None, 3))
    found = load(tmp_path / "a.h5")
    assert found.frames.tolist() == [1, 4, 7]
    for k, energy, forces in zip(found.frames, found.energies, found.forces):
        wanted = exact(POSITIONS[k], kernel)
        assert abs(energy - wanted[0]) < tol * np.abs(wanted[0]) * 10
        assert relative(forces, wanted[1]) < 10 * tol


def test_periodic_frames(tmp_path):
    path = write_xyz(tmp_path / "p.xyz", POSITIONS[:3], cell=LATTICE)
    compute_trajectory(path, tmp_path / "p.h5", tol=1e-7)
    found = load(tmp_path / "p.h5")
    assert trajectory_state(tmp_path / "p.h5").plan.method == "mesh"
    for k, (_, particles) in enumerate(read_frames(path)):
        phi = PeriodicPotential(particles, 1e-9, alpha=0.3)
        assert found.energies[k] == pytest.approx(phi.energy(), rel=1e-6)
        assert relative(found.forces[k], phi.forces()) < 1e-5


def test_boxes_are_shared_and_do_not_depend_on_the_frames_before(xyz, tmp_path):
    """A frame alone gives the same bits as among the others."""
    compute_trajectory(xyz, tmp_path / "all.h5", method="format", tol=1e-5)
    plan = trajectory_state(tmp_path / "all.h5").plan
    found = load(tmp_path / "all.h5")
    energy, forces = energy_and_forces(Particles(POSITIONS[5], CHARGES), plan)
    assert energy == found.energies[5]
    np.testing.assert_array_equal(forces, found.forces[5])


def test_killed_writers_lose_no_finished_frame(tmp_path):
    """Writers are killed at random moments, SCI_KILLS times or 6; the file opens each time, and no frame is lost."""
    kills, total = int(os.environ.get("SCI_KILLS", "6")), 6 * FRAMES
    path = write_xyz(tmp_path / "a.xyz", np.concatenate([POSITIONS + 0.01 * k for k in range(6)]))
    out, whole = tmp_path / "out.h5", tmp_path / "whole.h5"
    compute_trajectory(path, whole)
    program = textwrap.dedent(f"""
        import os, random, signal, time
        from pathlib import Path
        from sci.io import compute_trajectory, load
        from sci.potentials import frame_loop
        fast = frame_loop.compute_frame
        def slow(particles, plan):
            time.sleep(0.005)
            return fast(particles, plan)
        frame_loop.compute_frame = slow
        out, rng, midway, finished = Path({str(out)!r}), random.Random(1), 0, 0
        def count():
            return len(load(out).frames) if out.exists() else 0
        for kill in range({kills}):
            if finished == {total}:
                out.unlink()
                finished = 0
            pid = os.fork()
            if pid == 0:
                compute_trajectory({str(path)!r}, out, resume=True)
                os._exit(0)
            patience = time.monotonic() + (20.0 if kill % 4 else 0.0)
            while count() == finished and time.monotonic() < patience:
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.03))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            before, finished = finished, count()
            assert before <= finished, (before, finished)
            midway += 0 < finished < {total}
        print(midway)
        compute_trajectory({str(path)!r}, out, resume=True)
    """)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 20 * kills, env=ONE_THREAD, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= kills // 3, "few kills came between two frames"
    found, expected = load(out), load(whole)
    for name in ("frames", "energies", "forces"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def _half_done(xyz: Path, out: Path) -> None:
    compute_trajectory(xyz, out, overwrite=True)
    with h5py.File(out, "r+") as file:
        file["trajectory/checksums"][4:] = -1
        file["trajectory/forces"][4:] = np.nan


def test_resuming(xyz, tmp_path):
    out = tmp_path / "a.h5"
    compute_trajectory(xyz, out)
    expected = load(out)
    _half_done(xyz, out)
    assert load(out).frames.tolist() == [0, 1, 2, 3]
    assert load(out).n_frames == FRAMES
    with pytest.raises(InvalidValueError, match="4 of 9 frames are finished; continue with resume=True, or replace"):
        compute_trajectory(xyz, out)
    for change in ({"tol": 1e-5}, {"kernel": Yukawa(0.1)}, {"method": "format"}, {"frames": slice(1, None)}):
        with pytest.raises(InvalidValueError, match=f"{next(iter(change))}.* then, .* now"):
            compute_trajectory(xyz, out, resume=True, **change)
    moved = write_xyz(tmp_path / "b.xyz", POSITIONS + 1e-3)
    with pytest.raises(InvalidValueError, match="the contents of the trajectory have changed"):
        compute_trajectory(moved, out, resume=True)
    compute_trajectory(xyz, out, resume=True)
    np.testing.assert_array_equal(load(out).forces, expected.forces)
    compute_trajectory(xyz, out, resume=True)
    with pytest.raises(InvalidValueError, match="9 of 9 frames are finished"):
        compute_trajectory(xyz, out, frames=slice(0, 2))
    assert len(load(out).frames) == FRAMES, "a finished file is not replaced unasked"
    compute_trajectory(xyz, out, frames=slice(0, 2), overwrite=True)
    assert len(load(out).frames) == 2


def test_two_writers_do_not_share_a_file(xyz, tmp_path):
    """Another process holds the name; readers are let in."""
    pytest.importorskip("fcntl")
    out = tmp_path / "a.h5"
    _half_done(xyz, out)
    hold = f"import sci.io\nwith sci.io.reserve({str(out)!r}, overwrite=True): print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(InvalidValueError, match="another process or thread writes this file"):
            compute_trajectory(xyz, out, resume=True)
        assert len(load(out).frames) == 4
        holder.communicate(b"\n")
    compute_trajectory(xyz, out, resume=True)


def test_a_damaged_frame_is_seen(xyz, tmp_path):
    out = tmp_path / "a.h5"
    compute_trajectory(xyz, out)
    with h5py.File(out, "r+") as file:
        file["trajectory/forces"][3, 5, 1] += 1e-9
    with pytest.raises(FileFormatError, match="frame 3 fails its checksum"):
        load(out)


def test_a_bad_frame_keeps_those_before_it(xyz, tmp_path):
    lines = xyz.read_text().splitlines()
    lines[5 * (N + 2) + 4] = "X 1 2 nan 0.5"
    xyz.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileFormatError, match=r"a\.xyz:115"):
        compute_trajectory(xyz, tmp_path / "a.h5")
    assert load(tmp_path / "a.h5").frames.tolist() == [0, 1, 2, 3, 4]


def test_errors_are_stored_frame_by_frame(xyz, tmp_path):
    compute_trajectory(xyz, tmp_path / "a.h5", method="format", tol=1e-5)
    found = load(tmp_path / "a.h5")
    assert found.errors.shape == (FRAMES, 2, 2)
    assert 0 < found.measured_error("forces").relative < 1e-3
    save(tmp_path / "b.h5", found)
    np.testing.assert_array_equal(load(tmp_path / "b.h5").errors, found.errors)
    plan = trajectory_state(tmp_path / "a.h5").plan
    np.testing.assert_array_equal(compute_frame(Particles(POSITIONS[5], CHARGES), plan).errors, found.errors[5])


def test_a_file_of_before_errors_were_measured_is_read_and_continued(xyz, tmp_path):
    out = tmp_path / "a.h5"
    compute_trajectory(xyz, out, tol=1e-5)
    whole = load(out)
    with h5py.File(out, "r+") as file:
        group = file["trajectory"]
        for name in ("energy_errors", "force_errors"):
            del group[name]
        old = [crc32(np.concatenate([[e], f.ravel()])) for e, f in zip(whole.energies, whole.forces)]
        group["checksums"][()] = [*old[:-2], -1, -1]
    assert load(out).errors is None
    compute_trajectory(xyz, out, tol=1e-5, resume=True)
    found = load(out)
    assert found.errors is None
    np.testing.assert_array_equal(found.forces, whole.forces)


def test_damaged_errors_are_found(xyz, tmp_path):
    out = tmp_path / "a.h5"
    compute_trajectory(xyz, out, method="format", tol=1e-3)
    with h5py.File(out, "r+") as file:
        file["trajectory/force_errors"][3, 0] *= 0.5
    with pytest.raises(FileFormatError, match="frame 3 fails its checksum"):
        load(out)
