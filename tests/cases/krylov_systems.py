"""Small systems for the Krylov methods, and each method with SciPy's of the same name."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import linalg

from sci import solvers

RNG = np.random.default_rng(0)


def system(kind: str, n: int, seed: int) -> np.ndarray:
    """Return a matrix: "definite", "indefinite" but symmetric, or "nonsymmetric"; of condition 10 to 100."""
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(n, n)) / np.sqrt(n)
    if kind == "nonsymmetric":
        return G + 2.5 * np.eye(n)
    Q, _ = np.linalg.qr(G + 1e-3 * np.eye(n))
    values = rng.uniform(0.5, 5.0, n)
    values[::3] *= -1.0 if kind == "indefinite" else 1.0
    return (Q * values) @ Q.T


METHODS = {
    "fcg": ("definite", solvers.fcg, linalg.cg),
    "minres": ("indefinite", solvers.minres, linalg.minres),
    "bicgstab": ("nonsymmetric", solvers.bicgstab, linalg.bicgstab),
    "gmres": ("nonsymmetric", solvers.gmres, linalg.gmres),
    "fgmres": ("nonsymmetric", solvers.fgmres, linalg.gmres),
}
"""The kind of system, our method, SciPy's."""


def scipy_count(name: str, A: Any, b: np.ndarray, norm: float, **options: Any) -> tuple[np.ndarray, int]:
    """Return the solution of SciPy's method and the iterations after which its residual is at most `norm`."""
    theirs, norms, found = METHODS[name][2], [], []

    def seen(x: Any) -> None:
        found.append(x)
        norms.append(np.linalg.norm(b - A @ x) if np.ndim(x) else x * np.linalg.norm(b))

    if "gmres" in name:
        options["callback_type"] = "pr_norm"
    x, _ = theirs(A, b, rtol=1e-13 if name == "minres" else 1e-10, callback=seen, **options)
    return x, next((k for k, size in enumerate(norms, 1) if size <= norm), len(norms))
