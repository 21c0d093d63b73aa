"""The shared Poisson solver: equal to the serial one to rounding, and its traffic equal to the model.

mpirun -n 3 python tests/mpi/programs/solvers.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sabotage import private_communicator

from sci.distributed import Traffic, abort_on_error, traffic
from sci.errors import SciError
from sci.solvers import Multigrid, PoissonOperator, cg
from sci.solvers.shared import SharedMultigrid, SharedPoisson, shared_cg
from sci.solvers.shared_traffic import iteration_traffic

comm = private_communicator()
MIXED = [("dirichlet", "neumann"), ("neumann", "neumann"), "dirichlet"]
ROUND = ["periodic", "neumann", ("dirichlet", "neumann")]
CASES = (
    # shape, levels, boundary, body, varying coefficients, dtype of the cycle; lengths that no number of ranks divides
    ((19, 14, 23), 1, MIXED, "some", False, np.float32),
    ((19, 14, 23), 2, "dirichlet", "some", True, np.float64),
    ((9, 26, 11), 1, "dirichlet", "some", False, np.float64),
    ((18, 13, 10), 1, ROUND, "some", True, np.float32),
    ((14, 15, 12), None, "neumann", "neumann", False, np.float32),
    ((12, 20, 10), 1, "periodic", "neumann", True, np.float64),
)


def compare(
    shape: tuple[int, int, int], levels: int | None, walls: object, body: str, varying: bool, dtype: type
) -> None:
    """Solve on the ranks and alone; the fluid of closed boxes is cut into two parts."""
    mask, coefficient = rng.random(shape) > 0.05, np.exp(rng.normal(size=shape)) if varying else None
    solid = rng.random(shape) > 0.5 if body == "some" else np.ones(shape, bool)
    if body != "some":
        mask[:, [5, -1]] = False
    spacing = (0.5, 0.4, 0.7) if varying else 0.5
    serial = PoissonOperator(mask, spacing, walls, body=solid, coefficient=coefficient)
    assert serial.component_sizes.size >= 2 or body == "some"
    b = serial.project(rng.normal(size=shape) * mask)
    A = SharedPoisson(shape, comm, spacing=spacing, boundary=walls, levels=levels)
    A.set_mask(mask[A.slices], solid[A.slices], None if coefficient is None else coefficient[A.slices])
    expected = cg(serial, b, M=Multigrid(serial, dtype=dtype), rtol=1e-9)
    M = SharedMultigrid(A, dtype=dtype)
    found = shared_cg(A, b[A.slices], M=M, rtol=1e-9)
    assert found.converged
    assert found.iterations == expected.iterations
    # A serial float32 cycle multiplies by 1 / d where a shared one divides: its rounding shows in small residuals.
    rtol = 1e-3 if dtype == np.float32 else 1e-6
    np.testing.assert_allclose(found.residual_norms, expected.residual_norms, rtol=rtol)
    np.testing.assert_allclose(found.x, expected.x[A.slices], atol=1e-12 * abs(expected.x).max())
    plain = shared_cg(A, b[A.slices], rtol=1e-2)
    assert abs(plain.iterations - cg(serial, b, rtol=1e-2).iterations) <= 1
    if serial.singular:
        inconsistent = np.ones(A.local_shape) * mask[A.slices]
        assert "singular" in error_of(lambda: shared_cg(A, inconsistent))
    compare_traffic(A, M, b)


def compare_traffic(A: SharedPoisson, M: SharedMultigrid, b: np.ndarray) -> None:
    """Count what three iterations send beside the model."""
    before = []
    for iterations in (2, 5):
        start = traffic(comm)
        shared_cg(A, b[A.slices], M=M, rtol=0.0, maxiter=iterations)
        end = traffic(comm)
        before.append(
            {
                k: (v.messages - start.get(k, Traffic()).messages, v.bytes - start.get(k, Traffic()).bytes)
                for k, v in end.items()
            }
        )
    for name, model in iteration_traffic(A, M).items():
        few, many = (counts.get(name, (0, 0)) for counts in before)
        counted = tuple(m - f for m, f in zip(many, few))
        assert counted == (3 * model.messages, 3 * model.bytes), (name, counted, model)


def error_of(action: Callable[[], object]) -> str:
    """Return the message of the error that `action` raises."""
    try:
        action()
    except SciError as error:
        return str(error)
    return ""


with abort_on_error(comm):
    rng = np.random.default_rng(4)
    for case in CASES:
        compare(*case)
    last = comm.rank == comm.size - 1
    A = SharedPoisson((12, 12, 12), comm)
    for action, text in (
        (lambda: SharedPoisson((12, 12), comm), "3 lengths"),
        (lambda: SharedPoisson((12, 12, 13), comm, boundary="periodic"), "multiples of 2"),
        (lambda: A.set_mask(np.ones((1, 2, 3) if last else A.local_shape, bool)), "the mask has shape"),
        (lambda: A.set_mask(np.ones(A.local_shape, bool), coefficient=-np.ones(A.local_shape)), "positive"),
    ):
        message = error_of(action)
        assert text in message, message
    if comm.size > 1:
        some = np.ones(A.local_shape) if last else None
        assert "all or none" in error_of(lambda: A.set_mask(np.ones(A.local_shape, bool), coefficient=some))
    A.set_mask(np.ones(A.local_shape, bool))
    message = error_of(lambda: shared_cg(A, np.full(A.local_shape, np.nan if last else 1.0)))
    assert "NaN" in message, message
    if comm.rank == 0:
        print("PASS")
