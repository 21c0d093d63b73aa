"""Charts of compressed fields show their errors, their bytes and their middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.compression import MultiScaleVQ, compress, compress_grid, encode_fields
from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of

FIELD = np.sin(np.linspace(0.0, 9.0, 12 * 10 * 8)).reshape(12, 10, 8)


def test_a_grid_shows_its_chunks_and_its_middle(tmp_path: Path) -> None:
    grid = compress_grid(FIELD, 1e-2, chunk=5)
    save(tmp_path / "g.h5", grid)
    table, sizes, errors, middle = panels_of(Contents(tmp_path / "g.h5"))
    assert isinstance(table, Table)
    assert ("chunks", "3") in table.rows
    assert ("tolerance", "0.01 of the norm") in table.rows
    assert isinstance(sizes, Chart)
    np.testing.assert_array_equal(sizes.figure.data[0].y, [chunk.nbytes for chunk in grid.chunks])
    np.testing.assert_allclose(errors.figure.data[0].y, [chunk.l2_error for chunk in grid.chunks])
    np.testing.assert_allclose(np.sort(np.ravel(middle.figure.data[0].z)), np.sort(np.ravel(grid[6])), rtol=1e-6)


@pytest.mark.parametrize("shape", [(960,), (12, 80), (12, 10, 8), (4, 3, 10, 8)])
def test_a_field_is_drawn_in_any_number_of_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save(tmp_path / "f.h5", compress(FIELD.reshape(shape), 1e-2, bound="maximum", relative=False))
    panels = list(panels_of(Contents(tmp_path / "f.h5")))
    assert ("tolerance", "0.01 in the units of the field") in panels[0].rows
    assert panels[1].title == "Decoded"


def test_codes_show_their_errors_and_codebooks_their_norms(tmp_path: Path) -> None:
    quantizer = MultiScaleVQ(np.random.default_rng(0).normal(size=(2, 5, 4)), [(2, 2), (4, 3)], (2, 2))
    coded = encode_fields(quantizer, FIELD[:, :8, :6, None].transpose(0, 3, 1, 2))
    save(tmp_path / "coded.h5", coded)
    save(tmp_path / "book.h5", quantizer)
    table, errors = panels_of(Contents(tmp_path / "coded.h5"))
    assert ("fields", "12 of 1 x 8 x 6") in table.rows
    np.testing.assert_allclose(errors.figure.data[0].y, coded.relative_errors)
    table, norms = panels_of(Contents(tmp_path / "book.h5"))
    assert ("codes of a field", "16 of 3 bits, 32 to 1") in table.rows
    found = np.sort(np.linalg.norm(quantizer.codebook[1], axis=1))
    np.testing.assert_allclose(norms.figure.data[1].y, found)
