"""Poisson problems and solutions in files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import PoissonProblem, load, load_problem, load_results, save
from sci.solvers import PoissonOperator, cg

RNG = np.random.default_rng(5)
MASK = RNG.random((5, 6, 4)) > 0.2
B = RNG.normal(size=MASK.shape) * MASK


def test_problems_come_back(tmp_path):
    bodies = ~MASK & (RNG.random(MASK.shape) > 0.5)
    walls = [("dirichlet", "neumann"), "periodic", "dirichlet"]
    for coefficient in (None, 1 + RNG.random(MASK.shape)):
        options = {"neumann_body": bodies, "coefficient": coefficient, "mean": "arithmetic"}
        A = PoissonOperator(MASK, (1.0, 0.5, 2.0), walls, **options)
        save(tmp_path / "p.h5", PoissonProblem(A, B), overwrite=True)
        for read in (load, load_problem):
            again, b = read(tmp_path / "p.h5")
            assert np.array_equal(b, B)
            assert (again.to_scipy() != A.to_scipy()).nnz == 0


def test_factors_of_faces_are_not_lost_in_silence(tmp_path):
    factors = [np.full(tuple(n + (a == axis) for a, n in enumerate(MASK.shape)), 0.5) for axis in range(3)]
    with pytest.raises(InvalidValueError, match="face_factors"):
        save(tmp_path / "p.h5", PoissonProblem(PoissonOperator(MASK, face_factors=factors), B))
    assert not (tmp_path / "p.h5").exists()


def test_solutions_come_back(tmp_path):
    A = PoissonOperator(MASK)
    result = cg(A, B, rtol=1e-8)
    save(tmp_path / "s.h5", result, results={"method": "cg", "setup_seconds": 0.5})
    again = load(tmp_path / "s.h5")
    assert load_results(tmp_path / "s.h5") == {"method": "cg", "setup_seconds": 0.5}
    assert np.array_equal(again.x, result.x)
    assert np.array_equal(again.residual_norms, result.residual_norms)
    assert (again.iterations, again.converged) == (result.iterations, True)


def test_a_plain_file_will_do(tmp_path):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["mask"], file["b"] = MASK, B.astype(np.float32)
        file.attrs["spacing"], file.attrs["boundary"] = 0.5, '["dirichlet", "neumann", ["neumann", "dirichlet"]]'
    A, b = load_problem(tmp_path / "plain.h5")
    assert A.spacing == (0.5,) * 3
    assert A.boundary[2] == ("neumann", "dirichlet")
    assert b.dtype == np.float64


def test_wrong_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mask"] = MASK
    with pytest.raises(FileFormatError, match="b is missing"):
        load_problem(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["mask"], file["b"] = MASK, np.full(MASK.shape, np.nan)
    with pytest.raises(FileFormatError, match="NaN"):
        load_problem(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["mask"], file["b"] = MASK, B[1:]
    with pytest.raises(FileFormatError, match="one grid"):
        load_problem(tmp_path / "c.h5")
    with pytest.raises(FileFormatError, match="no such file"):
        load_problem(tmp_path / "d.h5")


def test_a_problem_prints_its_size_and_no_numbers():
    problem = PoissonProblem(PoissonOperator(MASK), B)
    assert repr(problem) == f"PoissonProblem on 5 x 6 x 4 cells, {MASK.sum()} unknowns"


@pytest.mark.parametrize(("kind", "name"), [("dataset", "coeficient"), ("root attribute", "boundry")])
def test_a_misspelled_name_in_a_foreign_file_is_refused(tmp_path, kind: str, name: str) -> None:
    """Left aside, it would leave another problem to be solved."""
    path = tmp_path / "p.h5"
    with h5py.File(path, "w") as file:
        file["mask"], file["b"] = np.ones((4, 4), bool), np.ones((4, 4))
        if kind == "dataset":
            file[name] = np.ones((4, 4))
        else:
            file.attrs[name] = "neumann"
    with pytest.raises(FileFormatError, match=f"the {kind} {name} is unknown"):
        load_problem(path)


def test_a_reaction_comes_back_from_our_files_and_from_others(tmp_path):
    import h5py

    reaction = np.where(MASK, 0.25, 0.0)
    A = PoissonOperator(MASK, reaction=reaction)
    save(tmp_path / "p.h5", PoissonProblem(A, B))
    np.testing.assert_array_equal(load(tmp_path / "p.h5").A.reaction, reaction)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["mask"], file["b"], file["reaction"] = MASK, B, reaction
    other = load_problem(tmp_path / "other.h5").A
    np.testing.assert_array_equal(other @ B, A @ B)
