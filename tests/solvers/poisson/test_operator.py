"""The Poisson operator against its assembled matrix, exact spectra and a solution known in closed form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers import PoissonOperator

WALLS = (
    "dirichlet",
    "neumann",
    "periodic",
    [("dirichlet", "neumann"), ("neumann", "neumann"), ("periodic", "periodic")],
)


def _operators():
    rng = np.random.default_rng(3)
    for shape in ((7, 9), (5, 6, 7), (1, 4, 2)):
        mask = rng.random(shape) > 0.2
        bodies = (False, True, rng.random(shape) < 0.5)
        for walls, body, varying in itertools.product(WALLS, bodies, (False, True)):
            boundary = walls if isinstance(walls, str) else walls[-len(shape) :]
            coefficient = 1 + rng.random(shape) if varying else None
            yield PoissonOperator(mask, 0.5, boundary, neumann_body=body, coefficient=coefficient)
    yield PoissonOperator(np.ones((4, 5, 6), dtype=bool), (1.0, 0.5, 0.25), "dirichlet")


def _dense(operator: PoissonOperator) -> np.ndarray:
    """Assemble the matrix cell by cell from the definition."""
    mask, shape = operator.mask, operator.grid_shape
    number = {cell: k for k, cell in enumerate(zip(*map(list, np.nonzero(mask))))}
    matrix = np.zeros(operator.shape)
    for cell, row in number.items():
        for axis, side in itertools.product(range(mask.ndim), (-1, 1)):
            beyond = list(cell)
            beyond[axis] += side
            wall = operator.boundary[axis][side > 0]
            if wall == "periodic":
                beyond[axis] %= shape[axis]
            inside = 0 <= beyond[axis] < shape[axis]
            there = tuple(beyond)
            c = 1.0 if operator.coefficient is None else operator.coefficient[cell]
            if inside and mask[there]:
                if operator.coefficient is not None:
                    d = operator.coefficient[there]
                    c = 2 * c * d / (c + d)
                matrix[row, number[there]] -= c / operator.spacing[axis] ** 2
            elif operator.neumann_body[there] if inside else wall == "neumann":
                continue
            matrix[row, row] += c / operator.spacing[axis] ** 2
    return matrix


@pytest.mark.parametrize("operator", list(_operators()))
def test_the_operator_is_its_matrix(operator):
    expected, rng = _dense(operator), np.random.default_rng(1)
    matrix = operator.to_scipy()
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-14)
    assert abs(matrix - matrix.T).max() == 0
    x = rng.normal(size=(operator.size, 2))
    scale = abs(expected).max()
    np.testing.assert_allclose(operator @ x[:, 0], expected @ x[:, 0], atol=1e-13 * scale)
    np.testing.assert_allclose(operator @ x, expected @ x, atol=1e-13 * scale)
    grid = operator.expand(x[:, 1])
    np.testing.assert_array_equal(operator.compress(operator @ grid), operator @ x[:, 1])
    assert not (operator @ grid)[~operator.mask].any()
    np.testing.assert_allclose(operator.compress(operator.diagonal), np.diag(expected), rtol=1e-14)


@pytest.mark.parametrize("operator", list(_operators()))
def test_the_kernel_is_one_constant_for_each_closed_part(operator):
    values = np.linalg.eigvalsh(_dense(operator))
    assert values.min() > -1e-10
    assert int((values < 1e-9).sum()) == operator.component_sizes.size
    assert operator.singular == bool(operator.component_sizes.size)
    rng = np.random.default_rng(1)
    x = rng.normal(size=operator.size)
    projected = operator.project(x)
    np.testing.assert_allclose(operator @ projected, operator @ x, atol=1e-10)
    np.testing.assert_allclose(operator.project(projected), projected, atol=1e-13)
    assert operator.inconsistency(projected) < 1e-14
    assert operator.inconsistency(np.ones(operator.size)) == pytest.approx(
        max(operator.component_sizes, default=0) / operator.size
    )


@pytest.mark.parametrize(
    ("walls", "frequencies"),
    [
        ("dirichlet", lambda n: np.arange(1, n + 1) / (n + 1)),
        ("neumann", lambda n: np.arange(n) / n),
        ("periodic", lambda n: 2 * np.arange(n) / n),
        ([("dirichlet", "neumann")], lambda n: (2 * np.arange(1, n + 1) - 1) / (2 * n + 1)),
    ],
)
def test_eigenvalues_of_the_box(walls, frequencies):
    shape = (4, 5, 6)
    boundary = walls if isinstance(walls, str) else walls * 3
    operator = PoissonOperator(np.ones(shape, dtype=bool), 0.5, boundary)
    lines = [4 * (2 - 2 * np.cos(np.pi * frequencies(n))) for n in shape]
    expected = np.sort(np.add.outer(np.add.outer(lines[0], lines[1]), lines[2]).ravel())
    np.testing.assert_allclose(np.linalg.eigvalsh(operator.to_scipy().toarray()), expected, atol=1e-11)


def test_scipy_takes_it_for_a_linear_operator():
    operator = PoissonOperator(np.ones((3, 4), dtype=bool))
    wrapped = aslinearoperator(operator)
    assert isinstance(wrapped, LinearOperator)
    x = np.arange(12.0)
    np.testing.assert_array_equal(wrapped.matvec(x), operator.to_scipy() @ x)
    np.testing.assert_array_equal(wrapped.matmat(np.stack([x, x], axis=1))[:, 1], operator.to_scipy() @ x)


def test_float32_grids_stay_float32():
    operator = PoissonOperator(np.ones((3, 4), dtype=bool))
    assert (operator @ np.ones((3, 4), dtype=np.float32)).dtype == np.float32
    assert (operator @ np.ones((3, 4), dtype=int)).dtype == np.float64


def test_dirichlet_values_enter_by_the_right_hand_side():
    """A linear function is the exact solution for its own boundary values, also round a body."""
    shape, h = (5, 6, 4), 0.3
    mask = np.ones(shape, dtype=bool)
    mask[2, 2:4, 1:3] = False
    operator = PoissonOperator(mask, h)
    x, y, z = np.meshgrid(*(h * np.arange(-1, n + 1) for n in shape), indexing="ij")
    values = 1 + 2 * x - y + 3 * z
    b = operator.boundary_source(values)
    solution = np.linalg.solve(operator.to_scipy().toarray(), operator.compress(b))
    np.testing.assert_allclose(operator.expand(solution), values[1:-1, 1:-1, 1:-1] * mask, atol=1e-13)


def test_a_jump_of_the_coefficient_at_a_face_is_exact_with_the_harmonic_mean():
    """In one direction, -(c u')' = 0 between two values: u is linear on each side with one flux."""
    n, c = 8, np.where(np.arange(8) < 4, 2.0, 80.0)
    coefficient = np.broadcast_to(c[:, None], (n, 3))
    operator = PoissonOperator(np.ones((n, 3), bool), 1.0, ["dirichlet", "neumann"], coefficient=coefficient)
    values = np.zeros((n + 2, 5))
    values[0] = 1.0
    u = np.linalg.solve(operator.to_scipy().toarray(), operator.boundary_source(values).ravel()).reshape(n, 3)
    flux = 1 / (4.5 / 2 + 4.5 / 80)
    distance = np.arange(1, n + 1)
    inside = 1 - flux * distance / 2
    beyond = flux * (n + 1 - distance) / 80
    np.testing.assert_allclose(u, np.where(distance < 4.5, inside, beyond)[:, None] * np.ones(3), atol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.ones((3, 3)),), DTypeError, "booleans"),
        ((np.ones(3, bool),), ShapeError, "2 or 3 axes"),
        ((np.zeros((3, 3), bool),), InvalidValueError, "no fluid cell"),
        ((np.ones((3, 3), bool), -1.0), InvalidValueError, "spacing"),
        ((np.ones((3, 3), bool), 1.0, "wall"), InvalidValueError, "boundary of axis 0"),
        ((np.ones((3, 3), bool), 1.0, ["dirichlet"]), InvalidValueError, "each of the 2 axes"),
        ((np.ones((3, 3), bool), 1.0, [("periodic", "neumann"), "neumann"]), InvalidValueError, "both sides"),
    ],
)
def test_bad_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        PoissonOperator(*arguments)


def test_bad_coefficients_bodies_and_vectors():
    mask = np.ones((3, 4), dtype=bool)
    with pytest.raises(InvalidValueError, match="c >= 0"):
        PoissonOperator(mask, coefficient=np.full((3, 4), -1e-30))
    with pytest.raises(InvalidValueError, match="no fluid cell"):
        PoissonOperator(mask, coefficient=0.0)
    with pytest.raises(InvalidValueError, match="NaN"):
        PoissonOperator(mask, coefficient=np.full((3, 4), np.nan))
    with pytest.raises(ShapeError, match="coefficient"):
        PoissonOperator(mask, coefficient=np.ones((4, 3)))
    with pytest.raises(ShapeError, match="neumann_body"):
        PoissonOperator(mask, neumann_body=np.ones((4, 3), bool))
    with pytest.raises(InvalidValueError, match="mean"):
        PoissonOperator(mask, mean="geometric")
    with pytest.raises(ShapeError, match="the grid"):
        PoissonOperator(mask) @ np.ones(11)
    with pytest.raises(ShapeError, match="one layer"):
        PoissonOperator(mask).boundary_source(np.ones((3, 4)))


@pytest.mark.parametrize("walls", WALLS)
def test_a_reaction_adds_its_diagonal(walls):
    rng = np.random.default_rng(8)
    mask, reaction = rng.random((5, 6, 7)) > 0.2, rng.random((5, 6, 7))
    coefficient = 1 + rng.random(mask.shape)
    for options in ({}, {"coefficient": coefficient, "neumann_body": True}):
        plain = PoissonOperator(mask, 0.5, walls, **options)
        A = PoissonOperator(mask, 0.5, walls, reaction=reaction, **options)
        expected = plain.to_scipy().toarray() + np.diag(reaction[mask])
        np.testing.assert_allclose(A.to_scipy().toarray(), expected, rtol=1e-14, atol=1e-13)
        x = rng.normal(size=A.size)
        np.testing.assert_allclose(A @ x, expected @ x, rtol=1e-12, atol=1e-12)
        assert not A.singular
        other = A.with_reaction(3 * reaction)
        np.testing.assert_allclose(other @ x, A @ x + 2 * reaction[mask] * x, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(plain.with_reaction(reaction) @ x, A @ x, rtol=1e-12, atol=1e-12)
        assert other.stencil.offdiag is A.stencil.offdiag
        np.testing.assert_array_equal(A.diagonal, A.to_scipy().diagonal()[A.expand(np.arange(A.size))] * mask)


def test_a_reaction_in_one_component_makes_that_one_regular():
    mask, reaction = np.ones((4, 9), bool), np.zeros((4, 9))
    mask[:, 4] = False
    plain = PoissonOperator(mask, 1.0, "neumann", neumann_body=True)
    assert plain.component_sizes.size == 2
    reaction[0, 0] = 1.0
    A = plain.with_reaction(reaction)
    assert A.component_sizes.size == 1
    assert A.with_reaction(0 * reaction).component_sizes.size == 2


def test_a_reaction_that_is_negative_or_of_another_shape_is_refused():
    mask = np.ones((4, 4), bool)
    with pytest.raises(InvalidValueError, match="reaction holds negative values"):
        PoissonOperator(mask, reaction=-np.ones((4, 4)))
    with pytest.raises(ShapeError, match="reaction"):
        PoissonOperator(mask, reaction=np.ones((4, 5)))
    with pytest.raises(InvalidValueError, match="reaction"):
        PoissonOperator(mask).with_reaction(np.full((4, 4), np.nan))


@pytest.mark.parametrize("shape", [(6, 7), (4, 5, 6), (1, 5, 4)])
@pytest.mark.parametrize("walls", WALLS)
def test_numbers_voids_and_cut_faces_against_a_matrix_of_faces(shape, walls):
    """The matrix is G' W G, G the difference across each face, assembled from the faces alone."""
    rng = np.random.default_rng(5)
    boundary = [(walls, walls)] * len(shape) if isinstance(walls, str) else walls[-len(shape) :]
    mask, body = rng.random(shape) > 0.2, rng.random(shape) < 0.5
    c = np.where(rng.random(shape) < 0.2, 0.0, np.exp(3 * rng.normal(size=shape)))
    spacing = (0.5, 2.0, 1.0)[: len(shape)]
    factors = []
    for axis in range(len(shape)):
        f = rng.integers(0, 3, tuple(n + (a == axis) for a, n in enumerate(shape))) / 2
        if boundary[axis][0] == "periodic":
            np.moveaxis(f, axis, 0)[-1] = np.moveaxis(f, axis, 0)[0]
        factors.append(f)
    A = PoissonOperator(mask, spacing, boundary, neumann_body=body, coefficient=c, reaction=0.25, face_factors=factors)
    fluid = mask & (c > 0)
    np.testing.assert_array_equal(A.mask, fluid)
    number = np.full(shape, -1)
    number[fluid] = np.arange(fluid.sum())
    expected = 0.25 * np.eye(int(fluid.sum()))
    for axis, h in enumerate(spacing):
        for face in np.ndindex(*factors[axis].shape):
            low = list(face)
            low[axis] -= 1
            ends = [tuple(low), face]
            wraps = boundary[axis][0] == "periodic" and shape[axis] > 1
            if wraps and face[axis] == 0:
                continue
            cells = [tuple(np.mod(e, shape)) if wraps else e for e in ends]
            inside = [all(0 <= i < n for i, n in zip(e, shape)) for e in cells]
            wet = [i and bool(fluid[e]) for i, e in zip(inside, cells)]
            weight = factors[axis][face] / h**2
            if all(wet):
                row = np.zeros(len(expected))
                row[number[cells[0]]] += 1
                row[number[cells[1]]] -= 1
                a, b = (c[e] for e in cells)
                expected += weight * 2 * a * b / (a + b) * np.outer(row, row)
            elif any(wet):
                own, other = (0, 1) if wet[0] else (1, 0)
                void = inside[other] and (body[cells[other]] if not mask[cells[other]] else True)
                closed = void if inside[other] else boundary[axis][other] != "dirichlet"
                if not closed:
                    expected[number[cells[own]], number[cells[own]]] += weight * c[cells[own]]
    np.testing.assert_allclose(A.to_scipy().toarray(), expected, rtol=1e-13, atol=1e-14)
    x = rng.normal(size=A.size)
    np.testing.assert_allclose(A @ x, expected @ x, rtol=1e-12, atol=1e-12 * abs(expected).max())


def test_faces_that_are_shut_part_the_fluid():
    shut = [np.ones((5, 3)), np.ones((4, 4))]
    shut[0][2] = 0
    A = PoissonOperator(np.ones((4, 3), bool), boundary="neumann", face_factors=shut)
    assert sorted(A.component_sizes.tolist()) == [6, 6]
    shut[0][0] = 3.0
    half = PoissonOperator(np.ones((4, 3), bool), boundary=[("dirichlet", "neumann"), "neumann"], face_factors=shut)
    assert half.component_sizes.tolist() == [6]


def test_a_free_surface_at_a_part_of_a_cell():
    """A linear solution is exact wherever the surface crosses: the face weighs 1 / theta."""
    n, theta = 6, 0.3
    factors = [np.ones((n + 1, 1)), np.ones((n, 2))]
    factors[0][n] = 1 / theta
    A = PoissonOperator(np.ones((n, 1), bool), boundary=["dirichlet", "neumann"], face_factors=factors)
    values = np.zeros((n + 2, 3))
    line = 2.0 + 3.0 * np.arange(n + 1)
    values[0], values[-1] = 2.0 - 3.0, line[n - 1] + 3.0 * theta
    u = np.linalg.solve(A.to_scipy().toarray(), A.boundary_source(values).ravel())
    np.testing.assert_allclose(u, line[:n], rtol=1e-12)
