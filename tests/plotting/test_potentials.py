"""The pictures show what was computed: values, colors, scales, labels and units."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sci import plotting
from sci.errors import InvalidValueError
from sci.plotting import potentials
from sci.potentials import LatticePotential, Particles, RangeSeparatedPotential, Vacancy, direct_sum
from sci.units import COULOMB, potential_factor

figure_module = pytest.importorskip("matplotlib.figure")
image_module = pytest.importorskip("matplotlib.image")

ION = Particles([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [1.0, -1.0])
ROCK_SALT = Particles([[0, 0, 0], [1.5, 1.5, 0], [1.5, 0, 0], [0, 1.5, 0]], [1, 1, -1, -1], cell=np.diag([3, 3, 1.5]))


@pytest.fixture(scope="module")
def dipole() -> RangeSeparatedPotential:
    return RangeSeparatedPotential(ION, 1e-6, padding=3.0)


@pytest.fixture(scope="module")
def crystal() -> LatticePotential:
    return LatticePotential(ROCK_SALT, (4, 4, 4), defects=[Vacancy(0, (2, 2, 2))], tol=1e-6)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved, and a small number of points."""
    figures: list[Any] = []
    save = figure_module.Figure.savefig

    def spy(self: Any, *args: Any, **kwargs: Any) -> None:
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(figure_module.Figure, "savefig", spy)
    monkeypatch.setattr(potentials, "POINTS", 64)
    return figures


def _plane(axes: Any, z: float) -> np.ndarray:
    """The points of the image on `axes`, (ny nx, 3)."""
    ny, nx = axes.images[0].get_array().shape
    x0, x1, y0, y1 = axes.images[0].get_extent()
    y, x = np.meshgrid(np.linspace(y0, y1, ny), np.linspace(x0, x1, nx), indexing="ij")
    return np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("units", ["e/angstrom", "V", "kT/e"])
def test_the_plane_holds_the_potential_in_its_units(dipole, drawn, tmp_path, units):
    plotting.plot_potential(dipole, tmp_path / "a.png", units=units, temperature=300.0, title="two ions")
    plane, profile, bar = drawn[0].axes
    image = plane.images[0]
    expected = potential_factor(units, 300.0) * direct_sum(ION, _plane(plane, 0.0))
    found = np.asarray(image.get_array()).ravel()
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    assert image.get_extent() == [v for side in dipole.domain[:2] for v in side]
    assert image.origin == "lower"
    assert image.norm.vmax == -image.norm.vmin == np.percentile(np.abs(found), 96)
    assert profile.get_ylabel() == f"potential ({units})"
    assert bar.get_title() == units
    assert (plane.get_xlabel(), plane.get_ylabel(), profile.get_xlabel()) == ("x (Å)", "y (Å)", "x (Å)")
    assert "z = 0.0 Å" in plane.get_title()
    assert drawn[0].get_suptitle() == "two ions"


def test_the_profile_is_the_potential_and_its_long_range(dipole, drawn, tmp_path):
    plotting.plot_potential(dipole, tmp_path / "a.png", units="V")
    profile = drawn[0].axes[1]
    whole, smooth = profile.lines[:2]
    x, values = whole.get_data()
    y = np.linspace(*dipole.domain[1], 64)[32]
    line = np.stack([x, np.full_like(x, y), np.zeros_like(x)], axis=1)
    np.testing.assert_allclose(values, COULOMB * direct_sum(ION, line), atol=1e-5 * np.abs(values).max())
    np.testing.assert_allclose(smooth.get_ydata(), COULOMB * dipole.long_range(line), atol=1e-10)
    assert [text.get_text() for text in profile.get_legend().get_texts()] == [
        "whole, 1/r near atoms",
        "long range (Chebyshev-Tucker)",
    ]
    assert f"y = {y:.1f} Å" in profile.get_title()
    low, high = profile.get_ylim()
    assert low == -high
    assert high > np.abs(smooth.get_ydata()).max()


def test_the_atoms_near_the_plane_are_marked(drawn, tmp_path):
    particles = Particles([[0.0, 0.0, -2.0], [1.0, 0.5, 0.3], [0.0, 1.0, 2.0]], [1.0, -1.0, 0.5])
    plotting.plot_potential(RangeSeparatedPotential(particles, 1e-3), tmp_path / "a.png")
    np.testing.assert_allclose(drawn[0].axes[0].lines[0].get_xydata(), [[1.0, 0.5]])


def test_positive_is_blue_and_negative_red_in_the_file(dipole, drawn, tmp_path):
    """The color of the written pixels at both charges and between them."""
    drawn.clear()
    plotting.plot_potential(dipole, tmp_path / "a.svg")
    path = tmp_path / "a.png"
    figure = drawn[0]
    figure.savefig(path, dpi=100)
    pixels = image_module.imread(path)[:, :, :3]
    image = figure.axes[0].images[0]
    for place, value in (((-1.3, 0.1), 1.0), ((1.3, 0.1), -1.0), ((0.0, 2.0), 0.0)):
        column, row = figure.axes[0].transData.transform(place) * 100 / figure.dpi
        seen = pixels[len(pixels) - 1 - round(row), round(column)]
        assert np.abs(seen - image.cmap(image.norm(value * image.norm.vmax))[:3]).max() < 0.15, place
        if value:
            assert (seen[2] > seen[0]) == (value > 0), "blue exceeds red where the potential is positive"


def test_a_crystal_shows_ions_and_vacancies(crystal, drawn, tmp_path):
    window, z = ((4.0, 8.5), (4.2, 8.0)), 3.0
    plotting.plot_plane(crystal, tmp_path / "a.png", window, z, factor=COULOMB, units="V", title="salt")
    plane, bar = drawn[0].axes
    expected = COULOMB * crystal(_plane(plane, z))
    found = np.asarray(plane.images[0].get_array()).ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5 * np.median(np.abs(expected)))
    assert plane.images[0].norm.vmax == -plane.images[0].norm.vmin == np.percentile(np.abs(found), 92)
    assert (plane.get_xlim(), plane.get_ylim()) == window
    assert plane.get_title() == "salt"
    assert bar.get_ylabel() == "potential (V)"
    marks = {line.get_label(): line.get_xydata() for line in plane.lines}
    assert set(marks) == {"cation", "anion", "vacancy"}
    np.testing.assert_allclose(marks["vacancy"], [[6.0, 6.0]])
    sites = {tuple(np.round(p, 6)) for name in ("cation", "anion", "vacancy") for p in marks[name]}
    inside = {(x, y) for x in (4.5, 6.0, 7.5) for y in (4.5, 6.0, 7.5)}
    assert sites == inside
    assert len(marks["cation"]) + len(marks["vacancy"]) == sum((x + y) % 3 == 0 for x, y in inside)


@pytest.mark.parametrize("suffix", ["png", "PDF", "svg", "jpg"])
def test_the_suffix_names_the_format(dipole, drawn, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    plotting.plot_potential(dipole, path)
    beginning = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8\xff"}[suffix.lower()]
    assert path.read_bytes().startswith(beginning)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["a.h5", "a", "a.pngx"])
def test_an_unknown_format_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(InvalidValueError, match=r"unknown picture format; expected a suffix among .*png"):
        plotting.plot_potential(None, tmp_path / name)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="unknown picture format"):
        plotting.plot_plane(None, tmp_path / name, None, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(dipole, crystal, drawn, tmp_path, bad):
    def broken(potential: Any) -> Any:
        def on_grid(*axes: np.ndarray) -> np.ndarray:
            values = potential.on_grid(*axes)
            values[3, 5] = bad
            return values

        kept = {n: getattr(potential, n, None) for n in ("domain", "long_range", "particles", "defects", "sites_in")}
        return SimpleNamespace(**kept, on_grid=on_grid)

    with pytest.raises(InvalidValueError, match=r"the potential on the plane holds 1 values .* index \(3, 5\)"):
        plotting.plot_potential(broken(dipole), tmp_path / "a.png")
    with pytest.raises(InvalidValueError, match=r"index \(3, 5\)"):
        plotting.plot_plane(broken(crystal), tmp_path / "b.png", ((4, 8), (4, 8)), 2.25)
    assert list(tmp_path.iterdir()) == []


def test_it_needs_no_display_and_leaves_pyplot_alone(tmp_path):
    """Also where the user's settings name a window toolkit."""
    program = (
        "import sys\n"
        "from sci import plotting\n"
        "assert 'matplotlib' not in sys.modules, 'importing sci.plotting is light'\n"
        "from sci.potentials import Particles, RangeSeparatedPotential\n"
        "plotting.potentials.POINTS = 16\n"
        "phi = RangeSeparatedPotential(Particles([[0, 0, 0], [1, 0, 0]], [1, -1]), 1e-2)\n"
        "plotting.plot_potential(phi, sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"MPLBACKEND": "TkAgg", "MPLCONFIGDIR": str(tmp_path / "config")}
    command = [sys.executable, "-c", program, str(tmp_path / "a.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert image_module.imread(tmp_path / "a.png").shape[1] > 800
