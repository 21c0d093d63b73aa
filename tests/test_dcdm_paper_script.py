"""`benchmarks/dcdm_paper.py`: every method solves what it is timed on, and a training that was stopped goes on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from sci.io import load
from sci.solvers import DeepConjugateDirection

SLOW = ("DCDM, no orthogonalization", "DCDM, untrained")
"""With a network of 80 steps or none they need thousands of iterations."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "dcdm_paper.py"
    specification = importlib.util.spec_from_file_location("benchmark_dcdm_paper", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # its dataclass looks its annotations up
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> DeepConjugateDirection:
    """Train in a box of 8^3, stopped after the first checkpoint and taken up again."""
    path = tmp_path_factory.mktemp("dcdm") / "network.h5"
    options = {"n": 8, "epochs": 1, "samples": 320, "vectors": 60, "rate": 3e-4}
    stopped = script.train(path, minutes=0.0, **options)
    checkpoint = load(path.with_suffix(".checkpoint.h5"))
    assert checkpoint.step == 50
    np.testing.assert_array_equal(stopped.parameters["last.bias"], checkpoint.parameters["last.bias"])
    done = script.train(path, minutes=9.0, **options)
    losses = load(path.with_suffix(".checkpoint.h5")).losses
    assert len(losses) == 80
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()
    return done  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["plume", "ball"])
def test_every_answer_is_that_of_a_direct_solution(
    script: ModuleType, network: DeepConjugateDirection, name: str
) -> None:
    plume = script.scene(name, 8)
    assert (name == "plume") == bool(plume.fluid.all())
    (b,) = script.right_hand_sides(plume, 1)
    matrix = plume.A.to_scipy()
    exact = spsolve(matrix.tocsc(), plume.A.compress(b))
    for method, make in script.methods(network, 400).items():
        found = make(plume.A)(b, rtol=1e-9)
        answer = plume.A.compress(found.x)
        if method in SLOW and not found.converged:
            error = answer - exact
            assert found.iterations == 400
            assert error @ (matrix @ error) < 0.5 * exact @ (matrix @ exact)
        else:
            assert found.converged, method
            np.testing.assert_allclose(answer, exact, atol=1e-7 * np.abs(exact).max(), err_msg=method)
        rest = plume.A.compress(b) - matrix @ answer
        assert np.linalg.norm(rest) == pytest.approx(found.residual_norms[-1], rel=1e-3), method


def test_rows_hold_the_worst_of_all_frames_and_mark_what_was_not_reached(
    script: ModuleType, network: DeepConjugateDirection
) -> None:
    plume = script.scene("ball", 12)
    sources = script.right_hand_sides(plume, 2)
    assert np.abs(sources[0] - sources[1]).max() > 0
    matrix, rows = plume.A.to_scipy(), script.methods(network, 3)
    row = script.measured(rows["CG"], plume.A, matrix, sources)
    solve = rows["CG"](plume.A)
    assert row.iterations == [max(solve(b, rtol=rtol).iterations for b in sources) for rtol in script.TOLERANCES]
    assert "!" not in str(row)
    short = script.measured(rows["DCDM, untrained"], plume.A, matrix, sources)
    assert short.iterations == [3, 3]
    assert "3!/3!" in str(short)
