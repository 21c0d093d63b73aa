"""Trajectories: frames of several formats, energies and forces in one file, kills, resuming, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from systems import relative

from sci.cli import main
from sci.errors import FileFormatError, InvalidValueError
from sci.io import compute_trajectory, count_frames, load, read_frames, trajectory_state
from sci.potentials import Particles, PeriodicPotential, Yukawa, direct_sum, energy_and_forces, plan_frames

N, FRAMES = 20, 9
RNG = np.random.default_rng(4)
CHARGES = np.round(RNG.normal(size=N), 3)
POSITIONS = np.round(RNG.random((1, N, 3)) * 12 + np.cumsum(RNG.normal(size=(FRAMES, N, 3)), axis=0) * 0.1, 4)
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LATTICE = 'Lattice="13 0 0 1 14 0 0 0 15" '


def write_xyz(path: Path, positions: np.ndarray = POSITIONS, charges: np.ndarray = CHARGES, cell: str = "") -> Path:
    rows = []
    for k, frame in enumerate(positions):
        rows += [str(len(frame)), f"{cell}Properties=species:S:1:pos:R:3:charge:R:1 step={k}"]
        rows += [f"X {x:.4f} {y:.4f} {z:.4f} {q:.3f}" for (x, y, z), q in zip(frame, charges)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def xyz(tmp_path: Path) -> Path:
    return write_xyz(tmp_path / "a.xyz")


def exact(positions: np.ndarray, kernel: object = None) -> tuple[float, np.ndarray]:
    particles = Particles(positions, CHARGES)
    value, slope = direct_sum(particles, positions, kernel=kernel, gradient=True)
    return 0.5 * float((CHARGES * value).sum()), -CHARGES[:, None] * slope


def test_frames_of_xyz(xyz):
    assert count_frames(xyz) == FRAMES
    found = dict(read_frames(xyz))
    assert list(found) == list(range(FRAMES))
    for k, particles in found.items():
        np.testing.assert_array_equal(particles.positions, POSITIONS[k])
        np.testing.assert_array_equal(particles.charges, CHARGES)
    assert [k for k, _ in read_frames(xyz, frames=[1, 4, 8])] == [1, 4, 8]
    with pytest.raises(FileFormatError, match="no frame 9, counted from 0; the file has 9"):
        list(read_frames(xyz, frames=[2, 9]))


def test_an_error_names_the_line_of_the_whole_file(xyz):
    lines = xyz.read_text().splitlines()
    lines[3 * (N + 2) + 5] = "X 1 2 z 0.5"
    xyz.write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=rf"a\.xyz:{3 * (N + 2) + 6}: z is 'z'"):
        list(read_frames(xyz))
    xyz.write_text("\n".join(lines[:-4]))
    with pytest.raises(FileFormatError, match=rf"the frame ends after {N - 4} of {N} atoms"):
        count_frames(xyz)


@pytest.mark.parametrize("suffix", ["dcd", "xtc", "trr"])
def test_binary_frames_with_a_topology(tmp_path, suffix):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(N, trajectory=True)
        with mda.Writer(str(tmp_path / f"a.{suffix}"), N) as writer:
            for k, frame in enumerate(POSITIONS):
                universe.atoms.positions = frame
                universe.dimensions = [30 + k, 31, 32, 90, 90, 80] if suffix == "xtc" else None
                writer.write(universe.atoms)
    pqr = tmp_path / "top.pqr"
    pqr.write_text(
        "".join(
            f"ATOM {i} C ALA 1 {x:.3f} {y:.3f} {z:.3f} {q:.3f} 1.5\n"
            for i, ((x, y, z), q) in enumerate(zip(POSITIONS[0], CHARGES), 1)
        )
    )
    path = tmp_path / f"a.{suffix}"
    assert count_frames(path, topology=pqr) == FRAMES
    for k, particles in read_frames(path, topology=pqr, frames=[0, 3, 8]):
        assert np.abs(particles.positions - POSITIONS[k]).max() < 0.006
        np.testing.assert_allclose(particles.charges, CHARGES, atol=1e-6)
        assert (particles.cell is not None) == (suffix == "xtc")
        if particles.cell is not None:
            assert np.linalg.norm(particles.cell, axis=1) == pytest.approx([30 + k, 31, 32], rel=1e-6)
    compute_trajectory(path, tmp_path / "out.h5", topology=pqr, tol=1e-4)
    assert len(load(tmp_path / "out.h5").frames) == FRAMES
    with pytest.raises(FileFormatError, match="names no charges; pass a topology"):
        count_frames(path)
    pqr.write_text("nothing\n")
    with pytest.raises(FileFormatError, match="MDAnalysis cannot read it"):
        count_frames(path, topology=pqr)


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
    assert trajectory_state(tmp_path / "p.h5").plan.method == "periodic"
    for k, (_, particles) in enumerate(read_frames(path)):
        phi = PeriodicPotential(particles, 1e-9, alpha=0.3)
        assert found.energies[k] == pytest.approx(phi.energy(), rel=1e-6)
        assert relative(found.forces[k], phi.forces()) < 1e-5


def test_what_does_not_fit_the_plan():
    first = Particles(POSITIONS[0], CHARGES)
    plan = plan_frames(first)
    with pytest.raises(InvalidValueError, match="the frame has 3 particles; expected 20"):
        energy_and_forces(Particles(POSITIONS[0][:3], CHARGES[:3]), plan)
    with pytest.raises(InvalidValueError, match="the frame has a periodic cell, unlike the first"):
        energy_and_forces(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), plan)
    with pytest.raises(InvalidValueError, match="no screening"):
        plan_frames(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), kernel=Yukawa(0.1))
    with pytest.raises(InvalidValueError, match="tol is 0"):
        plan_frames(first, 0)
    with pytest.raises(InvalidValueError, match="expected 'auto'"):
        plan_frames(first, method="fast")


def test_the_format_is_planned_where_it_is_faster():
    rng = np.random.default_rng(0)
    assert plan_frames(Particles(rng.random((40_000, 3)) * 80, rng.normal(size=40_000)), 1e-4).method == "format"
    assert plan_frames(Particles(POSITIONS[0], CHARGES)).method == "direct"


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
        fast = frame_loop.energy_and_forces
        def slow(particles, plan):
            time.sleep(0.005)
            return fast(particles, plan)
        frame_loop.energy_and_forces = slow
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
    compute_trajectory(xyz, out)
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
    with pytest.raises(InvalidValueError, match="4 of 9 frames are finished; go on with resume=True"):
        compute_trajectory(xyz, out)
    for change in ({"tol": 1e-5}, {"kernel": Yukawa(0.1)}, {"method": "format"}, {"frames": slice(1, None)}):
        with pytest.raises(InvalidValueError, match="it was begun with another"):
            compute_trajectory(xyz, out, resume=True, **change)
    moved = write_xyz(tmp_path / "b.xyz", POSITIONS + 1e-3)
    with pytest.raises(InvalidValueError, match="another trajectory;"):
        compute_trajectory(moved, out, resume=True)
    compute_trajectory(xyz, out, resume=True)
    np.testing.assert_array_equal(load(out).forces, expected.forces)
    compute_trajectory(xyz, out, resume=True)
    compute_trajectory(xyz, out, tol=1e-5)  # a finished file is replaced


def test_two_writers_do_not_share_a_file(xyz, tmp_path):
    """Locks are those of processes: another one holds the file; readers are let in."""
    pytest.importorskip("fcntl")
    out = tmp_path / "a.h5"
    _half_done(xyz, out)
    hold = f"import fcntl; f = open({str(out)!r}, 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(FileFormatError, match="another process writes this file"):
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


def test_the_command(xyz, tmp_path, capsys):
    out, picture = tmp_path / "a.h5", tmp_path / "a.png"
    words = ["trajectory", str(xyz), "-o", str(out), "--frames", ":8:2"]
    assert main([*words, "--plot", str(picture)]) == 0
    assert "4 of 20 particles, 4 computed now" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--resume", "--json"]) == 0
    assert '"computed": 0' in capsys.readouterr().out
    assert main(["info", str(out)]) == 0
    assert "finished  4" in capsys.readouterr().out
    assert main([*words, "--resume", "--tol", "1e-3"]) == 2
    assert "begun with another tol" in capsys.readouterr().err
    for bad in (["--frames", "x"], ["--frames", "20:"], ["--tol", "0"], ["--topology", "none.psf"]):
        assert main(["trajectory", str(xyz), "-o", str(tmp_path / "b.h5"), *bad]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert not (tmp_path / "b.h5").exists()
