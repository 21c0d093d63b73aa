"""What fitted fields share: noise of places, grids, and questions that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids

from sci.completion import functional_cp, functional_tucker, masked_components, observe
from sci.completion.functional.field import FunctionalField
from sci.errors import InvalidValueError, ShapeError

TRUTH = sinusoids((9, 10), 0.6, 0.1, seed=3)
TABLE = {"x": TRUTH.index[:, 0] / 2, "y": TRUTH.index[:, 1].astype(float) ** 2}
MODEL = functional_cp(observe(TABLE, TRUTH.values), masked_components(2, 2), restarts=2, maxiter=5)


def test_a_grid_is_regular_and_holds_the_predictions() -> None:
    for model in (MODEL, functional_tucker(observe(TABLE, TRUTH.values), (2, 2), maxiter=3)):
        (x, y), field = model.on_grid(5)
        np.testing.assert_array_equal(x, np.arange(9) / 2)  # equally spaced, as they are
        np.testing.assert_allclose(y, [0, 20.25, 40.5, 60.75, 81])
        want = model.predict({"x": np.full(5, x[3]), "y": y})
        np.testing.assert_allclose(field.mean[3], want.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(field.deviation[3], want.deviation, rtol=1e-8)


def test_noise_of_a_known_place_is_its_own() -> None:
    found = MODEL.predict({"x": [0.0, 0.25], "y": [0.0, 0.5]})
    weights = [w[0] for w in MODEL.noise_weights]
    np.testing.assert_allclose(found.noise[0] ** 2, MODEL.scale**2 * MODEL.noise_scale / np.prod(weights), rtol=1e-12)
    np.testing.assert_allclose(found.noise[1] ** 2, MODEL.scale**2 * MODEL.noise_scale, rtol=1e-12)


BOTH = (MODEL, functional_tucker(observe(TABLE, TRUTH.values), (2, 2), restarts=1, maxiter=3))


@pytest.mark.parametrize("model", BOTH)
def test_no_place_gives_an_empty_prediction(model: FunctionalField) -> None:
    for asked in (np.zeros((0, 2)), {"x": [], "y": []}):
        found = model.predict(asked)
        assert found.mean.shape == found.deviation.shape == found.noise.shape == found.interval()[0].shape == (0,)


def test_no_place_of_a_category_needs_no_kind() -> None:
    site = np.array(list("abc"))[TRUTH.index[:, 0] % 3]
    model = functional_cp(observe({"site": site, "y": TABLE["y"]}, TRUTH.values), restarts=1, maxiter=2)
    assert len(model.predict({"site": [], "y": []}).mean) == 0


@pytest.mark.parametrize("model", BOTH)
def test_far_away_the_functions_are_their_prior_and_nothing_overflows(model: FunctionalField) -> None:
    found = model.predict({"x": [1e308, -1e308, 1e9], "y": [-1e308, 1e308, -1e9]})
    np.testing.assert_allclose(found.mean, found.mean[2], rtol=1e-12)
    np.testing.assert_allclose(found.deviation, found.deviation[2], rtol=1e-12)


def test_places_of_other_axes_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="coordinates of x, z; expected x, y"):
        MODEL.predict({"x": [0.0], "z": [0.0]})
    with pytest.raises(ShapeError, match=r"expected \(n, 2\)"):
        MODEL.predict(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="one length"):
        MODEL.predict({"x": [0.0], "y": [0.0, 1.0]})
    with pytest.raises(InvalidValueError, match="axis x"):
        MODEL.predict({"x": [np.nan], "y": [0.0]})
