"""One right call of every public function and class of `sci.completion`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from entry_calls import RNG, Call, call, real

from sci import completion

SHAPE = (4, 5)
INDEX = np.stack(np.unravel_index(RNG.permutation(20)[:14], SHAPE), axis=1)


def _completion() -> dict[str, Call]:
    axis = completion.Axis("x", np.array([0.0, 1.0]))
    seen = completion.observe(INDEX, real(14), shape=SHAPE)
    fields = (seen.axes, seen.index, seen.values, seen.weights, seen.offset, seen.scale, seen.n_entries)
    model = completion.functional_cp(seen, completion.masked_components(2, 1), restarts=1, maxiter=2)
    factor = model.factors[0]
    messages = (factor.lengths, factor.variances, factor.precision, factor.information)
    numbers = (model.offset, model.scale, model.noise, model.bounds, model.history, model.noise_scale)
    prediction = completion.Prediction(real(3), np.ones(3), np.ones(3), np.linspace(0.0, 3.0, 103))
    return {
        "Axis": call(completion.Axis, "x", np.array([0.0, 1.0])),
        "Axis.index_of": call(axis.index_of, np.array([1.0, 0.0, 0.0])),
        "Axis.regular": call(axis.regular, 2),
        "Components": call(completion.Components, model.components.free),
        "Components.along": call(model.components.along, 1),
        "FunctionalCP": call(
            completion.FunctionalCP,
            model.components,
            model.factors,
            *numbers,
            model.noise_weights,
            model.quantiles,
            0.1,
        ),
        "FunctionalCP.predict": call(model.predict, np.array([[0.5, 1.0], [3.0, 7.0]])),
        "FunctionalCP.entries": call(model.entries, INDEX),
        "FunctionalCP.calibrated": call(model.calibrated, 0.5, model.noise_weights, model.quantiles, 0.1),
        "FunctionalCP.on_grid": call(model.on_grid, 5),
        "FunctionalFactor": call(completion.FunctionalFactor, factor.axis, 2.5, *messages),
        "FunctionalFactor.at": call(factor.at, np.array([0.5, 1.0])),
        "Prediction": call(completion.Prediction, real(3), np.ones(3), np.ones(3), np.linspace(0.0, 3.0, 103)),
        "Prediction.interval": call(prediction.interval, 0.9),
        "functional_cp": call(
            completion.functional_cp,
            seen,
            model.components,
            smoothness=(2.5, 1.5),
            restarts=1,
            maxiter=2,
            tol=1e-4,
            seed=1,
        ),
        "masked_components": call(completion.masked_components, 3, 2, main=1, pairs=1),
        "Observations": call(completion.Observations, *fields),
        "observe": call(completion.observe, INDEX, real(14), shape=SHAPE),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"completion": _completion}
