"""Deep conjugate directions: training, saving, solving."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.io import load, save
from sci.linalg import lanczos, ritz_vectors
from sci.nn import ModelState
from sci.solvers import DeepConjugateDirection, PoissonOperator, RitzSamples, ritz_right_hand_sides
from sci.solvers.dcdm import iteration

RNG = np.random.default_rng(12)


def test_it_trains_is_saved_and_gets_further_than_before(tmp_path, monkeypatch):
    monkeypatch.setattr(iteration, "PROGRESS", np.inf)  # no help by the residual
    box = PoissonOperator(np.ones((4, 4, 4), dtype=bool))
    basis, alpha, beta = lanczos(box.matvec, box.size, box.size)
    data = ritz_right_hand_sides(ritz_vectors(basis, alpha, beta)[1], 24)
    start = DeepConjugateDirection(64, seed=2)
    trained, checkpoint = start.train(box, data, epochs=2, batch_size=4, learning_rate=2e-3, seed=1)
    assert checkpoint.step == 12
    assert checkpoint.losses[-4:].mean() < 0.7 * checkpoint.losses[:3].mean()
    save(tmp_path / "network.h5", trained)
    again = load(tmp_path / "network.h5")
    r = RNG.normal(size=(4, 4, 4))
    assert np.array_equal(again(r), trained(r))
    b = ritz_right_hand_sides(ritz_vectors(basis, alpha, beta)[1], 1, seed=9, dtype=np.float64)[0].reshape(4, 4, 4)
    before, after = (solver.solve(box, b, maxiter=3).residual_norms[-1] for solver in (start, trained))
    assert after < 0.6 * before


def test_samples_that_are_made_when_needed_train_as_arrays_do():
    box = PoissonOperator(np.ones((4, 4, 4), dtype=bool))
    samples = RitzSamples(np.eye(12, 64, dtype=np.float32), 8)
    start, kept = DeepConjugateDirection(64, seed=2), []
    options = {"batch_size": 3, "learning_rate": 1e-3}
    lazy, _ = start.train(box, samples, epochs=2, save=kept.append, save_every=2, **options)
    assert [c.step for c in kept] == [2, 4, 6]
    for given in (samples[np.arange(8)], samples[np.arange(8)].reshape(8, 4, 4, 4)):
        held, _ = start.train(box, given, epochs=2, **options)
        for name, p in lazy.parameters.items():
            np.testing.assert_array_equal(held.parameters[name], p)
    _, first = start.train(box, samples, epochs=1, **options)
    again, _ = start.train(box, samples, epochs=2, resume=first, **options)
    np.testing.assert_array_equal(again.parameters["last.weight"], lazy.parameters["last.weight"])
    with pytest.raises(DTypeError, match="Dataset"):
        start.train(box, iter(()), epochs=1)


def test_wrong_arguments_are_refused():
    with pytest.raises(InvalidValueError, match="64 or 128"):
        DeepConjugateDirection(32)
    with pytest.raises(ShapeError, match=r"grid of .3, 4, 4. out"):
        DeepConjugateDirection(64)(np.ones((3, 4, 4)))
    with pytest.raises(ShapeError, match="three axes"):
        DeepConjugateDirection(64)(np.ones((4, 4)))
    with pytest.raises(ShapeError, match=r"last\.bias"):
        DeepConjugateDirection(64, {"first.bias": np.ones(16)})
    with pytest.raises(InvalidValueError, match="CycleModel"):
        DeepConjugateDirection.from_state(ModelState("CycleModel", {}, {}))
