"""Charts of completed fields show what the file holds."""

from __future__ import annotations

import numpy as np
import pytest
from samples import make_objects

from sci.completion import FunctionalCP
from sci.io import save
from sci.plotting import Contents
from sci.plotting.pages.registry import panels_of

pytest.importorskip("plotly")


def test_a_field_of_times_and_sites(tmp_path):
    model = make_objects()["functional_cp"]
    assert isinstance(model, FunctionalCP)
    save(tmp_path / "a.h5", model)
    found = {panel.title: panel for panel in panels_of(Contents(tmp_path / "a.h5"))}
    assert ("axes", "time (3 places), site (2 places)") in found["Completed field"].rows
    assert ("entries left out", "0.75 root mean square of their residuals") in found["Completed field"].rows
    np.testing.assert_array_equal(found["Bound of the evidence"].figure.data[1].y, model.history[:, 1])
    curves = {trace.name: trace for trace in found["Along time, with the interval of an observation"].figure.data}
    assert (np.asarray(curves["5 %"].y) < np.asarray(curves["95 %"].y)).all()
    noise = found["Noisiest places of site"].figure.data[0]
    np.testing.assert_allclose(sorted(noise.x), np.sort(model.noise_weights[1] ** -0.5), rtol=1e-6)
