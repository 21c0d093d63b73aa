"""The shared Poisson solver: equal to the serial one to rounding, and its traffic equal to the model.

mpirun -n 3 python tests/mpi/programs/solvers.py
"""

from __future__ import annotations

import numpy as np
from sabotage import private_communicator

from sci.distributed import Traffic, abort_on_error, traffic
from sci.errors import SciError
from sci.solvers import Multigrid, PoissonOperator, cg
from sci.solvers.shared import SharedMultigrid, SharedPoisson, shared_cg
from sci.solvers.shared_traffic import iteration_traffic

comm = private_communicator()
MIXED = [("dirichlet", "neumann"), ("neumann", "neumann"), "dirichlet"]


def compare(shape: tuple[int, int, int], levels: int | None, walls: object, rng: np.random.Generator) -> None:
    """Solve on the ranks and alone, with and without the cycle."""
    mask, body = rng.random(shape) > 0.05, rng.random(shape) > 0.5
    b = rng.normal(size=shape) * mask
    serial = PoissonOperator(mask, 0.5, walls, body=body)
    A = SharedPoisson(shape, comm, spacing=0.5, boundary=walls, levels=levels)
    A.set_mask(mask[A.slices], body[A.slices])
    for dtype in (np.float32, np.float64):
        expected = cg(serial, b, M=Multigrid(serial, dtype=dtype), rtol=1e-9)
        M = SharedMultigrid(A, dtype=dtype)
        found = shared_cg(A, b[A.slices], M=M, rtol=1e-9)
        assert found.converged
        assert found.iterations == expected.iterations
        # A serial float32 cycle multiplies by 1 / d where a shared one divides: its rounding shows in small residuals.
        rtol = 1e-4 if dtype == np.float32 else 1e-6
        np.testing.assert_allclose(found.residual_norms, expected.residual_norms, rtol=rtol)
        np.testing.assert_allclose(found.x, expected.x[A.slices], atol=1e-12 * abs(expected.x).max())
    plain = shared_cg(A, b[A.slices], rtol=1e-6)
    assert plain.iterations == cg(serial, b, rtol=1e-6).iterations
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


with abort_on_error(comm):
    generator = np.random.default_rng(4)
    for case in (((19, 14, 23), 1), ((19, 14, 23), 2), ((16, 16, 16), None), ((9, 26, 11), 1)):
        for condition in ("dirichlet", MIXED):
            compare(*case, condition, generator)
    last = comm.rank == comm.size - 1
    A = SharedPoisson((12, 12, 12), comm)
    for action, text in (
        (lambda: SharedPoisson((12, 12), comm), "3 lengths"),
        (lambda: SharedPoisson((12, 12, 12), comm, boundary="neumann"), "singular"),
        (lambda: SharedPoisson((12, 12, 12), comm, boundary="periodic"), "periodic"),
        (lambda: A.set_mask(np.ones((1, 2, 3) if last else A.local_shape, bool)), "the mask has shape"),
    ):
        message = ""
        try:
            action()
        except SciError as error:
            message = str(error)
        assert text in message, message
    A.set_mask(np.ones(A.local_shape, bool))
    b = np.full(A.local_shape, np.nan if last else 1.0)
    message = ""
    try:
        shared_cg(A, b)
    except SciError as error:
        message = str(error)
    assert "NaN" in message, message
    if comm.rank == 0:
        print("PASS")
