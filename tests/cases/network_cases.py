"""Seeded inputs for the kernels of networks and of sparse rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sci
from sci.solvers import PoissonOperator
from sci.solvers.network.coarsening import coarsen
from sci.solvers.network.elimination import eliminate
from sci.solvers.network.graph import Network, network_of
from sci.solvers.network.kernels import bound, by_rows
from sci.solvers.network.numbers import PLAIN, NetworkNumbers

Pair = tuple[np.ndarray, np.ndarray]


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def operators(rng: np.random.Generator) -> Iterator[PoissonOperator]:
    """Yield small operators with splits, weak links, attached unknowns, chains and wraps."""
    salt = rng.random((5, 6, 7)) > 0.45
    for part in (0.3, 0.5, 0.7, 0.9):
        yield PoissonOperator(rng.random((5, 4, 6)) < part, boundary="neumann", neumann_body=True)
    yield PoissonOperator(salt, boundary="periodic", neumann_body=True)
    for shape, sigma in (((6, 5, 4), 1), ((1, 4, 9), 3), ((7, 6), 5)):
        yield PoissonOperator(np.ones(shape, bool), coefficient=np.exp(sigma * rng.normal(size=shape)))
    yield PoissonOperator(salt, (1.0, 2.0, 7.0), ["periodic", "dirichlet", "neumann"], reaction=rng.random(salt.shape))
    yield PoissonOperator(np.ones((9, 8), bool), coefficient=np.exp(5 * rng.normal(size=(9, 8))))
    yield PoissonOperator(np.ones((2, 1, 3), bool), boundary="periodic", reaction=1.0)


def _flat(net: Network) -> np.ndarray:
    arrays = (net.start, net.index, net.link, net.axis, net.fixed, net.reaction, net.place)
    return np.concatenate([np.ravel(a).astype(float) for a in arrays])


def _grid_links(rng: np.random.Generator, dtype: str, variable: int) -> Iterator[Pair]:
    for A in operators(rng):
        if A.constant != bool(variable):
            yield _both(lambda A=A: _flat(network_of(A)))


def _coarsen(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for A in operators(rng):
        net = network_of(A)
        for anywhere in (False, True):
            numbers = NetworkNumbers(0.4, 0.5, resistances=rng.normal(size=11)) if anywhere else PLAIN

            def run(net: Network = net, anywhere: bool = anywhere, numbers: NetworkNumbers = numbers) -> np.ndarray:
                step = coarsen(net, anywhere, numbers)
                return np.concatenate([_flat(step.network), step.group, step.start, step.index, step.value])

            yield _both(run)


def _eliminate(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
    for A in operators(rng):
        net = network_of(A)

        def run(net: Network = net) -> np.ndarray:
            rest = eliminate(net)
            return np.concatenate([_flat(rest.network), rest.kept, rest.order, rest.near.ravel(), rest.share.ravel()])

        yield _both(run)


def _chains(name: str) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
        for A in operators(rng):
            rest = eliminate(network_of(A))
            f, u = rng.normal(size=(2, A.size))

            def run(rest: Any = rest, f: np.ndarray = f, u: np.ndarray = u) -> np.ndarray:
                out, source = u.copy(), f.copy()
                vectors = (source,) if name == "eliminate_source" else (source, out)
                lists = (rest.order, rest.near, rest.share)
                bound(name, *lists, *vectors, rest.order.size)()
                return np.concatenate([source, out])

            yield _both(run)

    return cases


def _rows(name: str) -> Callable[..., Iterator[Pair]]:
    def cases(rng: np.random.Generator, dtype: str) -> Iterator[Pair]:
        for n, columns in ((1, 1), (3, 40), (40, 13), (64, 7), (257, 300)):
            lengths = rng.integers(0, 6, n)
            start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            square = name in ("network_residual", "relax_network")
            width = n if square else columns
            index = rng.integers(0, width, int(start[-1])).astype(np.int32)
            value = rng.random(int(start[-1])).astype(dtype)
            vectors = rng.normal(size=(5, max(n, columns) + 3)).astype(dtype)
            place = rng.permutation(n + 3)[:n]

            def run(
                n: int = n,
                width: int = width,
                place: np.ndarray = place,
                given: Any = (start, index, value),
                v: Any = vectors,
            ) -> np.ndarray:
                x, y = v[0, :width].copy(), v[1].copy()
                own = [np.ascontiguousarray(a[:n]) for a in v]
                arguments = {
                    "add_rows": (x, place, y[: n + 3], n),
                    "network_residual": (own[2], x, own[3], y[:n], n),
                    "relax_network": (own[2], own[4], x, own[3], y[:n], n, 0.7),
                }[name]
                by_rows(name, n, *given, *arguments)()
                return y

            yield _both(run)

    return cases


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {
    "grid_links": _grid_links,
    **dict.fromkeys(
        ("strong_links", "pair_groups", "attach_singles", "group_resistances", "coarse_links", "interpolation_rows"),
        _coarsen,
    ),
    "eliminate_chains": _eliminate,
    **{name: _chains(name) for name in ("eliminate_source", "eliminated_values")},
    **{name: _rows(name) for name in ("add_rows", "network_residual", "relax_network")},
}
