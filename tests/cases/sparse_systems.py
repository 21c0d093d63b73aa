"""Sparse systems for algebraic multigrid: rotated anisotropy, elasticity, tetrahedra, convection, jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def rotated(n: int, epsilon: float = 1e-3, degrees: float = 30.0) -> Any:
    """Bilinear elements of -div(Q diag(1, epsilon) Q' grad u) on n x n points, Dirichlet: assembled by element."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    D = np.array([[c, -s], [s, c]]) @ np.diag([1.0, epsilon]) @ np.array([[c, s], [-s, c]])
    points, element = np.array([-1, 1]) / np.sqrt(3), np.zeros((4, 4))
    for u in points:
        for v in points:
            g = np.array([[-(1 - v), 1 - v, -(1 + v), 1 + v], [-(1 - u), -(1 + u), 1 - u, 1 + u]]) / 4 * 2
            element += g.T @ D @ g / 4
    cells = np.arange(n + 1)
    corner = (cells[:, None] * (n + 2) + cells).ravel()
    nodes = corner[:, None] + np.array([0, 1, n + 2, n + 3])
    full = _assembled(nodes, np.broadcast_to(element, (len(nodes), 4, 4)), (n + 2) ** 2)
    inside = np.pad(np.ones((n, n), bool), 1).ravel()
    return full[inside][:, inside].tocsr()


def _assembled(nodes: np.ndarray, elements: np.ndarray, n: int) -> Any:
    k = nodes.shape[1]
    rows, columns = np.repeat(nodes, k, axis=1).ravel(), np.tile(nodes, k).ravel()
    return sparse.coo_array((elements.ravel(), (rows, columns)), (n, n)).tocsr()


def elasticity(n: int, poisson: float = 0.3) -> tuple[Any, np.ndarray]:
    """Plane strain in n x n bilinear elements, held on the left: the matrix in 2 x 2 blocks, and rigid-body modes."""
    lam, mu = poisson / ((1 + poisson) * (1 - 2 * poisson)), 0.5 / (1 + poisson)
    D = np.array([[lam + 2 * mu, lam, 0], [lam, lam + 2 * mu, 0], [0, 0, mu]])
    points, element = np.array([-1, 1]) / np.sqrt(3), np.zeros((8, 8))
    for u in points:
        for v in points:
            g = np.array([[-(1 - v), 1 - v, -(1 + v), 1 + v], [-(1 - u), -(1 + u), 1 - u, 1 + u]]) / 4 * 2
            B = np.zeros((3, 8))
            B[0, ::2], B[1, 1::2], B[2, ::2], B[2, 1::2] = g[0], g[1], g[1], g[0]
            element += B.T @ D @ B / 4
    cells = np.arange(n)
    corner = (cells[:, None] * (n + 1) + cells).ravel()
    nodes = corner[:, None] + np.array([0, 1, n + 1, n + 2])
    dofs = (2 * nodes[:, :, None] + np.arange(2)).reshape(len(nodes), 8)
    full = _assembled(dofs, np.broadcast_to(element, (len(nodes), 8, 8)), 2 * (n + 1) ** 2)
    y, x = np.divmod(np.arange((n + 1) ** 2), n + 1)
    free = np.repeat(x > 0, 2)
    modes = np.zeros((len(free), 3))
    modes[::2, 0], modes[1::2, 1], modes[::2, 2], modes[1::2, 2] = 1, 1, -y, x
    return full[free][:, free].tobsr((2, 2)), modes[free]


def tetrahedra(n: int) -> Any:
    """Linear elements of -Laplace u on a cube of n^3 cells, each cut into six tetrahedra, Dirichlet."""
    steps = np.array([1, n + 1, (n + 1) ** 2])
    k, j, i = np.meshgrid(*(np.arange(n),) * 3, indexing="ij")
    corner = (i * steps[0] + j * steps[1] + k * steps[2]).ravel()
    parts, elements = [], []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        way = np.cumsum([np.zeros(3), *np.eye(3)[list(order)]], axis=0)
        gradients = np.linalg.inv(np.column_stack([np.ones(4), way]))[1:]
        parts.append(corner[:, None] + way.astype(int) @ steps)
        elements.append(np.broadcast_to(gradients.T @ gradients / 6, (len(corner), 4, 4)))
    full = _assembled(np.concatenate(parts), np.concatenate(elements), (n + 1) ** 3)
    inside = np.pad(np.ones((n - 1,) * 3, bool), 1).ravel()
    return full[inside][:, inside].tocsr()


def convection(n: int, speed: float = 100.0) -> Any:
    """Upwind differences of -Laplace u + speed (y, -x)' grad u on n x n points of (-1, 1)^2, Dirichlet: an M-matrix."""
    x = np.linspace(-1, 1, n + 2)[1:-1]
    h = x[1] - x[0]
    second = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) / h**2
    backward = sparse.diags_array([1.0, -1.0], offsets=[0, -1], shape=(n, n)) / h
    eye = sparse.eye_array(n)
    X, Y = (a.ravel() for a in np.meshgrid(x, x, indexing="ij"))
    A = sparse.kron(second, eye) + sparse.kron(eye, second)
    for wind, along in ((speed * Y, sparse.kron(backward, eye)), (-speed * X, sparse.kron(eye, backward))):
        A = A + sparse.diags_array(np.maximum(wind, 0)) @ along - sparse.diags_array(np.minimum(wind, 0)) @ along.T
    return A.tocsr()


def neumann(n: int) -> Any:
    """Differences of -Laplace u on n x n cells without a wall: singular."""
    second = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tolil()
    second[0, 0] = second[-1, -1] = 1.0
    return (sparse.kron(second, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n), second)).tocsr()
