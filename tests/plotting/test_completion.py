"""Pictures of completed fields."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids

from sci.completion import functional_cp, masked_components, observe
from sci.errors import InvalidValueError
from sci.plotting import plot_completion
from sci.plotting.completion import curve_of, map_of

pytest.importorskip("matplotlib")
TRUTH = sinusoids((6, 8, 5), 0.5, 0.1)
NAMES = ("x", "y", "site")


def _seen(texts: tuple[int, ...] = ()):
    table = {name: TRUTH.index[:, k].astype(float) for k, name in enumerate(NAMES)}
    return observe(table | {NAMES[k]: np.array(list("abcdefgh"))[TRUTH.index[:, k]] for k in texts}, TRUTH.values)


def _model(seen):
    return functional_cp(seen, masked_components(3, 2), restarts=1, maxiter=3)


def test_maps_and_curves_are_predictions():
    model = _model(_seen((2,)))
    x, y, mean, deviation = map_of(model, *model.axes[:2], points=7)
    asked = {"x": [x[2]], "y": [y[5]], "site": ["c"]}
    assert mean[2, 5] == pytest.approx(model.predict(asked).mean[0])
    assert deviation[2, 5] == pytest.approx(model.predict(asked).deviation[0])
    x, mean, low, high = curve_of(model, model.axes[1], 0.8, site="e")
    found = model.predict({"x": [model.axes[0].places[3]], "y": [x[9]], "site": ["e"]})
    assert [mean[9], low[9], high[9]] == pytest.approx([found.mean[0], *(end[0] for end in found.interval(0.8))])


@pytest.mark.parametrize("texts", [(), (2,), (0, 2)])
def test_fields_of_numbers_and_categories_are_drawn(tmp_path, texts):
    seen = _seen(texts)
    model = _model(seen)
    plot_completion(model, tmp_path / "a.png", observations=seen, quantity="load", title="a table")
    plot_completion(model, tmp_path / "b.png", level=0.5)
    pictures = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert all(p.startswith(b"\x89PNG") for p in pictures)
    assert pictures[0] != pictures[1]


def test_categories_alone_are_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="expected a numeric axis"):
        plot_completion(_model(_seen((0, 1, 2))), tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
