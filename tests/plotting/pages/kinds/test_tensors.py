"""Planes and spectra of tensors are those of the dense tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from samples import make_objects

from sci.io import save
from sci.plotting import Chart, Contents, Table
from sci.plotting.pages.registry import panels_of


@pytest.mark.parametrize("name", ["cp", "tucker", "tensor_train", "complex_tucker"])
def test_a_plane_of_a_tensor(tmp_path: Path, name: str) -> None:
    tensor = make_objects()[name]
    save(tmp_path / "a.h5", tensor)
    found = {panel.title: panel for panel in panels_of(Contents(tmp_path / "a.h5"))}
    chart = found["Values of the tensor"]
    assert isinstance(chart, Chart)
    dense = tensor.to_dense()
    plane = dense[(slice(None), slice(None), *(n // 2 for n in dense.shape[2:]))]
    expected = np.abs(plane) if np.iscomplexobj(plane) else plane
    np.testing.assert_allclose(chart.figure.data[0].z, expected.T, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_terms_of_a_cp_tensor(tmp_path: Path) -> None:
    tensor = make_objects()["cp"]
    save(tmp_path / "a.h5", tensor)
    found = {panel.title: panel for panel in panels_of(Contents(tmp_path / "a.h5"))}
    chart, table = found["Size of the terms"], found["Tensor"]
    assert isinstance(chart, Chart)
    term = np.einsum("i,j,k", *(factor[:, 0] for factor in tensor.factors)) * tensor.weights[0]
    assert np.isclose(chart.figure.data[0].y, np.linalg.norm(term)).any()
    assert isinstance(table, Table)
    assert ("CP rank", "3") in table.rows
