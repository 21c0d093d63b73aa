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
    tucker = completion.functional_tucker(seen, (2, 1), restarts=1, maxiter=2)
    shared = (tucker.factors, *numbers, model.noise_weights)
    prediction = completion.Prediction(real(3), np.ones(3), np.ones(3), np.linspace(0.0, 3.0, 103))
    low = completion.complete_cp(seen, 1, restarts=1, maxiter=2)
    net = completion.neural_completion(seen, width=2, hidden=(3,), epochs=1)
    vectors, shares = (net.held_out, net.influence, net.errors), [np.ones(n) for n in SHAPE]
    return {
        "Axis": call(completion.Axis, "x", np.array([0.0, 1.0])),
        "Axis.index_of": call(axis.index_of, np.array([1.0, 0.0, 0.0])),
        "Axis.regular": call(axis.regular, 2),
        "Components": call(completion.Components, model.components.free),
        "Components.along": call(model.components.along, 1),
        "FunctionalCP": call(
            completion.FunctionalCP,
            model.factors,
            *numbers,
            model.noise_weights,
            model.quantiles,
            0.1,
            model.components,
        ),
        "FunctionalCP.predict": call(model.predict, np.array([[0.5, 1.0], [3.0, 7.0]])),
        "FunctionalCP.entries": call(model.entries, INDEX),
        "FunctionalCP.calibrated": call(model.calibrated, 0.5, model.noise_weights, model.quantiles, 0.1),
        "FunctionalCP.on_grid": call(model.on_grid, 5),
        "FunctionalFactor": call(completion.FunctionalFactor, factor.axis, 2.5, *messages),
        "FunctionalFactor.at": call(factor.at, np.array([0.5, 1.0])),
        "CompletedTensor": call(
            completion.CompletedTensor, low.axes, low.tensor, low.offset, low.residual, low.history
        ),
        "CompletedTensor.predict": call(low.predict, INDEX),
        "NeuralCompletion": call(
            completion.NeuralCompletion, *(seen.axes, net.parameters, net.offset, net.scale), *vectors
        ),
        "NeuralCompletion.predict": call(net.predict, INDEX),
        "NeuralCompletion.entries": call(net.entries, INDEX),
        "augmented_cells": call(completion.augmented_cells, seen, shares, 2, seed=1),
        "augmented_completion": call(
            *(completion.augmented_completion, seen),
            draw="frequency",
            share=0.5,
            seed=1,
            epochs=1,
            width=2,
            hidden=(3,),
        ),
        "complete_cp": call(completion.complete_cp, seen, 1, ridge=0.1, restarts=1, maxiter=2, tol=1e-4, seed=1),
        "complete_tucker": call(
            completion.complete_tucker, seen, (1, 1), ridge=0.1, restarts=1, maxiter=2, tol=1e-4, seed=1
        ),
        "entity_importance": call(completion.entity_importance, INDEX, real(14), SHAPE),
        "last_layer_influence": call(
            *(completion.last_layer_influence, real(4, 3), real(4), real(2, 3), real(2)),
            weights=np.ones(4),
            held_out_weights=np.ones(2),
            ridge=0.1,
        ),
        "neural_completion": call(
            *(completion.neural_completion, seen),
            **{"width": 2, "hidden": (3,), "epochs": 1, "patience": 1, "batch_size": 4, "learning_rate": 1e-3},
            held_out=0.3,
            extra=(INDEX[:2], np.ones(2)),
        ),
        "FunctionalTucker": call(
            completion.FunctionalTucker, *shared, model.quantiles, 0.1, tucker.core, tucker.core_covariance
        ),
        "functional_tucker": call(
            completion.functional_tucker,
            seen,
            (2, 1),
            smoothness=1.5,
            restarts=1,
            maxiter=2,
            tol=1e-4,
            seed=1,
        ),
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
