"""Calls of every collective entry whose arguments differ on the last rank: run over threads and under mpirun.

A key is the entry, a colon, and the argument that the error has to name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from next_scale_cases import conditional, conditions, plane_quantizer, plane_tokens, small_config

from sci import (
    atomistic,
    completion,
    compression,
    distributed,
    ensembles,
    generative,
    graphs,
    io,
    linalg,
    nn,
    operators,
    potentials,
    problems,
    sequence,
    solvers,
)

Body = Callable[[Any, bool, Path], object]
"""Takes the communicator, whether this is the odd rank, and a folder."""

MASK = np.ones((16, 16, 16), bool)
POINTS = np.random.default_rng(6).normal(size=(12, 3))
FLOATS = ("f4", "f8")
MEANS, WALLS = ("harmonic", "arithmetic"), ("dirichlet", "neumann")
OTHER = MASK & (np.arange(16) != 5)
ONES, WIDE = np.ones((2, 3)), np.ones((1, 2, 12))
FIELDS = np.random.default_rng(3).normal(size=(6, 1, 8, 8)).astype(np.float32)
PAIR = potentials.Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
IONS = potentials.Particles(PAIR.positions, PAIR.charges, cell=4.0 * np.eye(3))
QUATERNIONS, PLACES = np.eye(4)[:2], np.full((2, 3), 30.0)
TOKENS = np.array([[1, 2, 3, 4, 5, 6]] * 12)
CUT = operators.MultigridPatches(levels=1, padding=0.125)
PATCHED = operators.FNO((4, 4), CUT.channels(1, dim=2), 1, 4, 2, positional_grid=False)
LARGE = np.random.default_rng(4).normal(size=(4, 1, 16, 16)).astype(np.float32)
COMPUTED = io.ComputedGrid(*[np.linspace(0.0, 1.0, 4)] * 3, lambda x, y, z: x[:, None, None] + y[:, None] + z)
MODEL = sequence.TransNormer.create(width=8, heads=2, layers=2, hidden=8)
TFNO = operators.TFNO((4, 4), 1, 1, 4, 2)
SPD, MATRICES = nn.SPDNet((4, 2), 2), np.stack([np.eye(4)[None], np.diag([1.0, 2.0, 3.0, 4.0])[None]]).astype("f4")
UNET, ROOM = nn.UNet(nn.UNetConfig(2, 1, 2, (2, 4))), np.random.default_rng(9).normal(size=(1, 24, 16)).astype("f4")
CONFIG = operators.TrainingConfig(epochs=1, batch_size=3, loss="l2")
SALTS = generative.Crystals(generative.ionic_crystals().configurations[:3])
ATOMS = atomistic.Configuration(("Na", "Na"), [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]], energy=1.0)
MARGINALS = generative.MarginalModel(4, 2, hidden=4)
MEMORY = generative.DenseAssociativeMemory(np.ones((2, 8)), 4)
LATTICE = generative.IsingModel((4, 4), 0.3)
PATH, STAR = graphs.Pattern([(0, 1), (1, 2), (2, 3)]), graphs.Pattern([(0, 1), (0, 2), (0, 3)])


def _graph(odd: int) -> graphs.Graph:
    return graphs.Graph(np.array([[0, 1], [1, 2], [2, 3], [3, odd]]), 4)


def _energy(comm: Any, density: Any = None, **options: Any) -> solvers.Energy:
    A = _operator(comm)
    if options.get("values") is not None:
        options["values"] = np.zeros(tuple(n + 2 for n in A.local_shape))
    return solvers.Energy(A, density or solvers.PLaplacian(3.0), f=np.ones(A.local_shape), **options)


def _minimize(comm: Any, start: bool = False, density: Any = None, **options: Any) -> solvers.Minimum:
    energy = _energy(comm, density)
    options = {"maxiter": 2, **options}
    return solvers.minimize_energy(energy, np.ones(energy.A.local_shape) if start else None, **options)


def _operator(comm: Any) -> solvers.PoissonOperator:
    return solvers.PoissonOperator(MASK, comm=comm)


def _cg(comm: Any, method: str = "cg", **options: Any) -> object:
    A = _operator(comm)
    b = np.ones((A.shape[0], 2)) if method == "block_cg" else np.ones(A.local_shape)
    made = {name: make(A) if name in ("x0", "M") and make else make for name, make in options.items()}
    return getattr(solvers, method)(A, b, **made)


def _deflation(comm: Any, columns: int, M: Any = None) -> solvers.Deflation:
    A = _operator(comm)
    vectors = np.random.default_rng(A.slices[0].start).normal(size=(A.size, columns))
    return solvers.Deflation(A, vectors, None if M is None else M(A))


KRYLOV = ("fcg", "minres", "bicgstab", "gmres", "fgmres", "block_cg")


def _loss(variables: Any, batch: Any) -> Any:
    return nn.mean_squared_error(nn.linear(batch[0], variables["w"]), batch[1])


def _train(comm: Any, **changed: Any) -> object:
    weights = changed.pop("parameters", np.zeros((1, 3)))
    data = changed.pop("data", (np.ones((6, 3)), np.ones((6, 1))))
    settings = {"optimizer": nn.Adam(0.05), "epochs": 2, "batch_size": 3, **changed}
    return nn.train(changed.pop("loss", _loss), {"w": weights}, data, comm=comm, **settings)


class _Samples:
    """A dataset that cannot be read on the odd rank."""

    def __init__(self, odd: bool) -> None:
        self.read = _fails(odd)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, indices: Any) -> Any:
        self.read()
        return np.ones((len(indices), 3)), np.ones((len(indices), 1))


def _zero(parameters: Any) -> dict[str, float]:
    return {"loss": 0.0}


def _predict(variables: Any, batch: Any) -> Any:
    return nn.linear(batch[0], variables["w"])


def _squares(outputs: Any, batch: Any) -> Any:
    return nn.mean_squared_error(outputs, batch[1])


def _gauss_newton(comm: Any, predict: Any = _predict, w: float = 1.0, x: float = 1.0, v: float = 1.0) -> object:
    batch = np.full((6, 3), x), np.ones((6, 1))
    return nn.GaussNewton(predict, _squares, {"w": np.full((1, 3), w)}, batch, comm=comm)(np.full(3, v))


def _batches(comm: Any, batch_sizes: Any = (2, 3), **changed: Any) -> object:
    x = np.random.default_rng(8).normal(size=(6, 3))
    options = {"batches": 2, "steps": 3, **changed}
    return nn.batch_curvature(
        _predict, _squares, {"w": np.ones((1, 3))}, (x, x[:, :1]), batch_sizes, comm=comm, **options
    )


def _adapt_operator(comm: Any, x: Any = FIELDS, config: Any = CONFIG, **options: Any) -> object:
    operator, config = operators.TrainedOperator(TFNO), replace(config, weight_decay=0.0)
    return operators.adapt_operator(operator, x, FIELDS, config, comm=comm, **options)


def _train_codes(comm: Any, fields: Any = FIELDS, scales: Any = ((8, 8),), codes: int = 2, **options: Any) -> object:
    return compression.train_vector_quantizer(fields, scales, codes, **{"rounds": 1, **options}, comm=comm)


def _train_smoothing(comm: Any, fields: Any = FIELDS, scales: Any = ((8, 8),) * 2, **options: Any) -> object:
    quantizer = compression.MultiScaleVQ(np.array([[1.0], [-1.0]], fields.dtype), scales)
    return compression.train_smoothing(quantizer, fields, **options, comm=comm)


def _train_segmenter(comm: Any, network: Any = UNET, x: Any = FIELDS, epochs: int = 1) -> object:
    return nn.train_segmenter(network, x, np.zeros((6, 8, 8), int), epochs=epochs, comm=comm)


def _potential(channels: int) -> atomistic.AtomisticPotential:
    config = atomistic.AtomisticConfig(["Na"], cutoff=3.0, layers=1, channels=channels, n_radial=2, hidden=2)
    return atomistic.AtomisticPotential(config)


def _on_ranks(comm: Any, potential: Any = None, **options: Any) -> object:
    places = np.array([[float(comm.rank), 0.0, 0.0]])
    return atomistic.predict_on_ranks(potential or _potential(2), ("Na",), places, comm=comm, **options)


def _next_scale(comm: Any, factor: float = 1.0, n: int = 2, draw: bool = False, **options: Any) -> object:
    quantizer, model, tokens = conditional(n)
    parameters = {name: p * factor for name, p in model.parameters.items()}
    if not draw:
        return model.loss(parameters, tokens, comm=comm, **options)
    return model.with_parameters(parameters).sample(quantizer, comm=comm, **{"n": n, **conditions(n), **options})


def _train_next_scale(comm: Any, n: int = 2, width: int = 8, **options: Any) -> object:
    quantizer = plane_quantizer()
    config = small_config(quantizer, width=width)
    tokens = plane_tokens(config, quantizer, n)
    model = generative.NextScaleModel.create(config, dtype=np.float64)
    return generative.train_next_scale(model, tokens, **{"epochs": 1, "comm": comm, **options})


def _draw_samples(comm: Any, count: int = 2, steps: int = 4, **options: Any) -> object:
    schedule = generative.cosine_schedule(steps)
    return generative.draw_samples(generative.ExactDenoiser(schedule, ONES), schedule, count, [3], comm=comm, **options)


def _crystals(width: int = 2) -> generative.CrystalDiffusion:
    config = generative.CrystalConfig(widths=[width], depth=1, steps=4)
    return generative.CrystalDiffusion.create(SALTS, config)


def _composing() -> generative.CrystalDiffusion:
    config = generative.CrystalConfig(widths=[2], depth=1, steps=4, compositions="first", composer=2)
    return generative.CrystalDiffusion.create(SALTS, config)


def _train_crystals(comm: Any, width: int = 2, epochs: int = 1, crystals: int = 3, **options: Any) -> object:
    some = generative.Crystals(SALTS.configurations[:crystals])
    return generative.train_crystals(_crystals(width), some, generative.CrystalTraining(epochs), comm=comm, **options)


def _train_potential(comm: Any, channels: int = 2, epochs: int = 1, atoms: Any = None, **options: Any) -> object:
    config = atomistic.PotentialTraining(epochs=epochs)
    return atomistic.train_potential(_potential(channels), atoms or [ATOMS], config, comm=comm, **options)


def _train_operator(comm: Any, model: Any = TFNO, x: Any = FIELDS, config: Any = CONFIG, **options: Any) -> object:
    return operators.train_operator(model, x, FIELDS, config, comm=comm, **options)


def _compress_model(comm: Any, seed: int = 0, x: Any = FIELDS, **options: Any) -> object:
    model = operators.TrainedOperator(operators.FNO((4, 4), 1, 1, 8, 1, seed=seed))
    options = {"bits": 3, "steps": 1, "sweeps": 1, **options}
    return compression.compress_model(model, samples=x, comm=comm, **options)


def _patch_loss(comm: Any, cut: Any = CUT, x: Any = LARGE, factor: float = 1.0) -> object:
    parameters = {name: p * np.float32(factor) for name, p in PATCHED.parameters.items()}
    return operators.patch_loss(PATCHED, cut, comm)(parameters, (x, LARGE))


def _gated(comm: Any, beta: bool = False, segments: bool = False, **options: Any) -> object:
    q = np.ones((1, 2, 2))
    rates, labels = np.full((1, 2), 0.5) if beta else None, np.zeros(2, int) if segments else None
    return sequence.gated_linear_attention(q, q, q, q, rates, comm=comm, segments=labels, **options)


def _lightning(comm: Any, decay: float = 1.0, **options: Any) -> object:
    q = np.ones((1, 4, 2))
    return sequence.lightning_attention(q, q, q, np.array([decay]), comm=comm, **options)


_PAIR_SCORE = sequence.PairScore(lambda p, i, j: np.zeros((i.size, j.size)), lambda p, i, j, dbias: p)


def _softmax(comm: Any, **options: Any) -> object:
    q = np.random.default_rng(distributed.rank_of(comm)).normal(size=(1, 4, 2))
    return sequence.softmax_attention(q, q, q, comm=comm, **options)


def _tensor(comm: Any, **options: Any) -> object:
    q = np.random.default_rng(distributed.rank_of(comm)).normal(size=(4, 2))
    return sequence.tensor_attention(q, q, q, q, q, comm=comm, **options)


def _linformer(comm: Any, rows: int = 2, **options: Any) -> object:
    q, e = np.random.default_rng(distributed.rank_of(comm)).normal(size=(1, 4, 2)), np.ones((rows, 4))
    return sequence.linformer_attention(q, q, q, e, e, comm=comm, **options)


def _own(n: int, comm: Any) -> int:
    part = distributed.split(n, comm)
    return part.stop - part.start


def _column(comm: Any, x: Any = ONES[None], **options: Any) -> object:
    return sequence.column_linear(x, np.ones((_own(12, comm), 3)), comm=comm, **options)


def _row(comm: Any, bias: Any, **options: Any) -> object:
    return sequence.row_linear(
        np.ones((1, 6, _own(12, comm))), np.ones((3, _own(12, comm))), bias, comm=comm, **options
    )


def _mlp(comm: Any, x: Any = ONES[None], down: float = 0.0) -> object:
    own = _own(12, comm)
    weights = {
        "up": np.ones((own, 3)),
        "up_bias": np.ones(own),
        "down": np.ones((3, own)),
        "down_bias": np.full(3, down),
    }
    return sequence.parallel_mlp(weights, x, comm=comm)


def _attention(comm: Any, attend: Any = lambda q, k, v: v, x: Any = WIDE, head_dim: int = 1) -> object:
    own = _own(12, comm)
    weights = {name: np.ones((own, 12)) for name in "qkv"} | {"o": np.ones((12, own)), "o_bias": np.zeros(12)}
    return sequence.parallel_attention(weights, x, attend, head_dim, comm=comm)


def _embedding(comm: Any, **changed: Any) -> object:
    given = {"vocabulary": 12, "tokens": TOKENS, **changed}
    rows = distributed.split(given["vocabulary"], comm)
    return sequence.vocabulary_embedding(np.ones((12, 4))[rows], comm=comm, **given)


def _cross_entropy(comm: Any, **changed: Any) -> object:
    given = {"vocabulary": 12, "total": 4, "labels": TOKENS[0, :4], **changed}
    return sequence.vocabulary_cross_entropy(np.ones((4, _own(12, comm))), comm=comm, **given)


def _transnormer(comm: Any, model: sequence.TransNormer = MODEL, factor: float = 1.0, **options: Any) -> object:
    parameters = {name: p * np.float32(factor) for name, p in model.parameters.items()}
    return model.loss(parameters, options.pop("batch", TOKENS), comm=comm, **options)


def _written(comm: Any, prompt: Any, n: int = 1, **rule: Any) -> object:
    model = sequence.ParallelTransformer(12, 6, 2, 12, 11, sequence.rank_grid(comm, tensor=distributed.size(comm)))
    return model.generate(model.own(model.whole(0)), prompt, n, **rule)


def _transformer(
    comm: Any,
    axis: str,
    odd: bool,
    name: str = "",
    batch: Any = TOKENS,
    recompute: Any = "none",
    activations: Any = None,
    **settings: Any,
) -> object:
    grid = sequence.rank_grid(comm, **{axis: distributed.size(comm)})
    model = sequence.ParallelTransformer(12, 6, 2, 12, 11, grid, **settings)
    parameters = model.own(model.whole(0))
    if name:
        parameters = {n: p + (odd and n == name) for n, p in parameters.items()}
    return model.loss_and_gradients(parameters, batch, recompute=recompute, activations=activations)


def _grid_loss(comm: Any, batch: Any) -> object:
    model = sequence.ParallelTransformer(12, 6, 2, 12, 11, sequence.rank_grid(comm, data=distributed.size(comm)))
    return model.loss(model.own(model.whole(0)), batch)


def _collected(comm: Any, name: str) -> object:
    layout = nn.ParameterLayout.whole({"v": ONES, "w": ONES}, comm)
    return layout.collected_one(name, ONES)


def _pipeline(comm: Any, kind: str = "gpipe", microbatches: int = 6, **changed: Any) -> object:
    plan = sequence.pipeline_schedule(kind, distributed.size(comm), microbatches)
    given = {"shape": (2,), "dtype": float, **changed}
    return sequence.run_pipeline(plan, lambda *_: (np.ones(2), None), lambda *_: np.ones(2), comm=comm, **given)


def _samples(comm: Any, path: Path, x: Any = ONES, **options: Any) -> object:
    return io.save_samples(path, x, ONES, comm=comm, **options)


def _grid(comm: Any, path: Path, **changed: Any) -> object:
    rank, size = distributed.rank_of(comm), distributed.size(comm)
    local = potentials.PotentialGrid(np.zeros((2, 2, 2)), (2.0 * rank, 0.0, 0.0), (1.0, 1.0, 1.0))
    given = {"grid_shape": (2 * size, 2, 2), "local_start": (2 * rank, 0, 0), **changed}
    return io.save_grid_parallel(path, local, comm=comm, **given)


def _reserve(comm: Any, path: Path, **options: Any) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(io.reserve(path, comm=comm, **options))


def _seen(odd: bool) -> dict[str, Any]:
    """Return options with a callback on the odd rank alone."""
    return {"callback": np.shape} if odd else {}


def _fails(odd: bool) -> Callable[..., Any]:
    """Return a function of any arguments that raises on the odd rank."""

    def function(*_: Any, **__: Any) -> Any:
        if odd:
            raise RuntimeError("no more")
        return {}

    return function


def _xor(name: str, odd: bool, value: Any) -> dict[str, Any]:
    return {name: value} if odd else {}


DIFFER: dict[str, Body] = {
    # distributed
    "decompose:proc_shape": lambda c, odd, _: distributed.decompose((12, 12), (1, c.size) if odd else (c.size, 1), c),
    "slab:halo": lambda c, odd, _: distributed.slab((12, 12), c, halo=1 + odd),
    "pencil:grid_shape": lambda c, odd, _: distributed.pencil((12, 12 + odd, 12), c),
    "block:grid_shape": lambda c, odd, _: distributed.block((12, 12 + odd), c),
    "HaloExchange:periodic": lambda c, odd, _: distributed.HaloExchange(distributed.slab((12,), c, halo=1), bool(odd)),
    "exchange_halo:periodic": lambda c, odd, _: distributed.exchange_halo(
        np.zeros(12 // c.size + 2), distributed.slab((12,), c, halo=1), bool(odd)
    ),
    "PencilFFT:norm": lambda c, odd, _: distributed.PencilFFT((12, 12), c, norm="ortho" if odd else "forward"),
    "PencilFFT:real": lambda c, odd, _: distributed.PencilFFT((12, 12), c, real=bool(odd)),
    "allgather_rows:array": lambda c, odd, _: distributed.allgather_rows(np.ones((2, 3 + odd)), c),
    "allreduce_sum:array": lambda c, odd, _: distributed.allreduce_sum(np.ones(3 + odd), c),
    "allreduce_max:array": lambda c, odd, _: distributed.allreduce_max(np.ones(3, "f4" if odd else "f8"), c),
    "alltoall:dtype": lambda c, odd, _: distributed.alltoall([np.ones(2, "f4" if odd else "f8")] * c.size, comm=c),
    "broadcast:root": lambda c, odd, _: distributed.broadcast(ONES, c, root=int(odd)),
    "broadcast_object:root": lambda c, odd, _: distributed.broadcast_object(1, c, root=int(odd)),
    "gather_grid:array": lambda c, odd, _: distributed.gather_grid(
        np.ones(12 // c.size, "f4" if odd else "f8"), distributed.slab((12,), c)
    ),
    "redistribute:target": lambda c, odd, _: distributed.redistribute(
        np.ones((12 // c.size, 12)),
        distributed.decompose((12, 12), (c.size, 1), c),
        [distributed.decompose((12, 12), shape, c) for shape in ((c.size, 1), (1, c.size))][not odd],
    ),
    "rearrange:target": lambda c, odd, _: distributed.rearrange(
        np.ones(12 // c.size), "contiguous", "striped" if odd else "zigzag", c
    ),
    "unshard:layout": lambda c, odd, _: distributed.unshard(np.ones(12), c, layout="striped" if odd else "contiguous"),
    "reduce_scatter_rows:counts": lambda c, odd, _: distributed.reduce_scatter_rows(
        np.ones((c.size, 2)), c, None if odd else [1] * c.size
    ),
    # linear algebra
    "nearest:dtype": lambda c, odd, _: linalg.nearest(ONES.astype(FLOATS[odd]), ONES.astype(FLOATS[odd]), comm=c),
    "nearest_k:k": lambda c, odd, _: linalg.nearest_k(ONES, 1 + odd, ONES, comm=c),
    "steepest:classes": lambda c, odd, _: linalg.steepest(ONES, np.arange(2.0), classes=bool(odd), comm=c),
    "log_sum_exp:rate": lambda c, odd, _: linalg.log_sum_exp(ONES, ONES, np.ones(2), 1.0 + odd, comm=c),
    "weighted_sum:rate": lambda c, odd, _: linalg.weighted_sum(
        ONES, ONES, ONES, np.ones(2), 1.0 + odd, np.ones(2), comm=c
    ),
    "MFAC:damping": lambda c, odd, _: nn.MFAC(damping=1.0 + odd, comm=c).start({"w": ONES}),
    "prune:sparsity": lambda c, odd, _: nn.prune({"w": ONES}, {"w": np.ones((3, 2, 3))}, 0.25 + odd / 8, comm=c),
    "gram_matrix:vectors": lambda c, odd, _: linalg.gram_matrix(np.ones((2 + odd, 3)), comm=c),
    "WoodburySolver:damping": lambda c, odd, _: linalg.WoodburySolver(ONES, 1.0 + odd, comm=c),
    "lanczos:steps": lambda c, odd, _: linalg.lanczos(lambda v: v, 4, 2 + odd, start=np.ones(4), comm=c),
    "lanczos:reorthogonalize": lambda c, odd, _: linalg.lanczos(
        lambda v: v, 4, 2, start=np.ones(4), reorthogonalize=bool(odd), comm=c
    ),
    "spectral_density:probes": lambda c, odd, _: linalg.spectral_density(lambda v: v, 4, probes=2 + odd, comm=c),
    "trace_of_function:seed": lambda c, odd, _: linalg.trace_of_function(lambda v: v, 4, np.exp, seed=int(odd), comm=c),
    "trace_of_function:function": lambda c, odd, _: linalg.trace_of_function(
        lambda v: np.arange(1.0, 5.0) * v, 4, (np.exp, np.sqrt)[odd], comm=c
    ),
    "lanczos:project": lambda c, odd, _: linalg.lanczos(
        lambda v: v, 4, 2, start=np.ones(4), project=(lambda v: v) if odd else None, comm=c
    ),
    "lanczos_quadrature:size": lambda c, odd, _: linalg.lanczos_quadrature(lambda v: v, 4, size=2 + odd, comm=c),
    "lanczos_quadrature:moments": lambda c, odd, _: linalg.lanczos_quadrature(
        lambda v: v, 4, moments=[4.0 + odd], comm=c
    ),
    "spectrum:steps": lambda c, odd, _: solvers.spectrum(_operator(c), steps=2 + odd, probes=1),
    "BuresWasserstein.barycenter:maxiter": lambda c, odd, _: linalg.BuresWasserstein().barycenter(
        np.eye(2)[None], maxiter=9 + odd, comm=c
    ),
    "BuresWasserstein.barycenter:metric": lambda c, odd, _: linalg.BuresWasserstein(np.eye(2) * (1 + odd)).barycenter(
        np.eye(2)[None], comm=c
    ),
    "log_determinant:steps": lambda c, odd, _: linalg.log_determinant(lambda v: v, 4, steps=2 + odd, comm=c),
    # ensembles
    "sinkhorn:reg": lambda c, odd, _: ensembles.sinkhorn(POINTS, POINTS, 1.0 + odd, comm=c),
    "sinkhorn:unbalanced": lambda c, odd, _: ensembles.sinkhorn(POINTS, POINTS, 1.0, unbalanced=1.0 + odd, comm=c),
    "sinkhorn_divergence:tol": lambda c, odd, _: ensembles.sinkhorn_divergence(
        POINTS, POINTS, 1.0, tol=1e-6 * (1 + odd), comm=c
    ),
    **{
        f"intrinsic_dimension:{name}": lambda c, odd, _, changed=changed: ensembles.intrinsic_dimension(
            POINTS, **({"k": 5, "method": "mle"} | (changed if odd else {})), comm=c
        )
        for name, changed in {"method": {"k": None, "method": "twonn"}, "k": {"k": 6}}.items()
    },
    "intrinsic_dimension:discard": lambda c, odd, _: ensembles.intrinsic_dimension(
        POINTS, discard=0.1 * (1 + odd), comm=c
    ),
    "label_sharpness:classes": lambda c, odd, _: ensembles.label_sharpness(
        POINTS, np.arange(12.0), classes=bool(odd), comm=c
    ),
    "observe:shape": lambda c, odd, _: completion.observe(
        np.arange(12).reshape(6, 2), np.arange(6.0), shape=(11 + odd, 12), comm=c
    ),
    "observe:axes": lambda c, odd, _: completion.observe(
        {"x": np.arange(6.0), ("z" if odd else "y"): np.arange(6.0)}, np.arange(6.0), comm=c
    ),
    **{
        f"functional_cp:{name}": lambda c, odd, _, changed=changed: completion.functional_cp(
            completion.observe(np.arange(12).reshape(6, 2) % 5, np.arange(6.0), comm=c),
            **{"restarts": 1, "maxiter": 1, **(changed if odd else {})},
        )
        for name, changed in {
            "smoothness": {"smoothness": 1.5},
            "restarts": {"restarts": 2},
            "maxiter": {"maxiter": 2},
            "tol": {"tol": 1e-3},
            "seed": {"seed": 1},
            "free": {"components": completion.masked_components(2, 1)},
        }.items()
    },
    **{
        f"complete_cp:{name}": lambda c, odd, _, changed=changed: completion.complete_cp(
            completion.observe(np.arange(12).reshape(6, 2) % 5, np.arange(6.0), comm=c),
            **{"rank": 1, "maxiter": 1, **(changed if odd else {})},
        )
        for name, changed in {
            **{"rank": {"rank": 2}, "ridge": {"ridge": 1.0}, "restarts": {"restarts": 2}, "maxiter": {"maxiter": 2}},
            **{"tol": {"tol": 1e-3}, "seed": {"seed": 1}},
        }.items()
    },
    **{
        f"complete_tucker:{name}": lambda c, odd, _, changed=changed: completion.complete_tucker(
            completion.observe(np.arange(12).reshape(6, 2) % 5, np.arange(6.0), comm=c),
            **{"ranks": (1, 1), "maxiter": 1, **(changed if odd else {})},
        )
        for name, changed in {
            "ranks": {"ranks": (2, 2)},
            **{"ridge": {"ridge": 1.0}, "restarts": {"restarts": 2}, "maxiter": {"maxiter": 2}},
            **{"tol": {"tol": 1e-3}, "seed": {"seed": 1}},
        }.items()
    },
    **{
        f"functional_tucker:{name}": lambda c, odd, _, changed=changed: completion.functional_tucker(
            completion.observe(np.arange(12).reshape(6, 2) % 5, np.arange(6.0), comm=c),
            **{"tucker_ranks": (1, 1), "restarts": 1, "maxiter": 1, **(changed if odd else {})},
        )
        for name, changed in {
            "ranks": {"tucker_ranks": (2, 1)},
            "smoothness": {"smoothness": 1.5},
            "restarts": {"restarts": 2},
            "maxiter": {"maxiter": 2},
            "tol": {"tol": 1e-3},
            "seed": {"seed": 1},
        }.items()
    },
    "k_means:k": lambda c, odd, _: ensembles.k_means(POINTS, 2 + odd, comm=c),
    "k_means:starts": lambda c, odd, _: ensembles.k_means(POINTS, 2, starts=1 + odd, comm=c),
    "k_means:seed": lambda c, odd, _: ensembles.k_means(POINTS, 2, seed=int(odd), comm=c),
    "k_means:start": lambda c, odd, _: ensembles.k_means(POINTS, 2, start=POINTS[:2] + odd, comm=c),
    "prototype_scores:centers": lambda c, odd, _: ensembles.prototype_scores(POINTS, POINTS[:2] + odd, comm=c),
    **{
        f"superpose:{name}": lambda c, odd, _, changed=changed: ensembles.superpose(
            POINTS.reshape(4, 3, 3), **(changed if odd else {}), comm=c
        )
        for name, changed in {"tol": {"tol": 1e-5}, "maxiter": {"maxiter": 7}}.items()
    },
    "superpose:weights": lambda c, odd, _: ensembles.superpose(POINTS.reshape(4, 3, 3), None, np.ones(3) + odd, comm=c),
    "superpose:reference": lambda c, odd, _: ensembles.superpose(POINTS.reshape(4, 3, 3), POINTS[:3] + odd, comm=c),
    "unwrap:atoms": lambda c, odd, _: ensembles.unwrap(
        POINTS.reshape(4, 3, 3)[:, : 3 - odd], np.stack([9 * np.eye(3)] * 4), comm=c
    ),
    # potentials, problems
    **{
        f"RangeSeparatedPotential:{name}": lambda c, odd, _, change={name: value}: potentials.RangeSeparatedPotential(
            None if c.rank else PAIR, 1e-4, **({"comm": c} | (change if odd else {}))
        )
        for name, value in {
            **{"padding": 5.0, "accuracy": "forces", "alpha": 1.0, "expected_targets": 7},
            "exclusions": potentials.Exclusions([[0, 1]], 2),
        }.items()
    },
    **{
        f"ParticleMesh:{name}": lambda c, odd, _, change={name: value}: potentials.ParticleMesh(
            **({"particles": IONS, "tol": 1e-3, "comm": c} | (change if odd else {}))
        )
        for name, value in {"tol": 1e-2, "force_error": 1e-3, "slab": True}.items()
    },
    "ParticleMesh:positions": lambda c, odd, _: potentials.ParticleMesh(
        potentials.Particles(IONS.positions + odd, IONS.charges, cell=IONS.cell), 1e-3, comm=c
    ),
    "ParticleMesh.moved:positions": lambda c, odd, _: potentials.ParticleMesh(IONS, 1e-3, comm=c).moved(
        IONS.positions + odd
    ),
    "interaction_energy:translations": lambda c, odd, _: potentials.interaction_energy(
        lambda p: p[:, 0], PAIR, QUATERNIONS, PLACES + odd, comm=c
    ),
    "interaction_energy:ligand": lambda c, odd, _: potentials.interaction_energy(
        lambda p: p[:, 0], potentials.Particles(PAIR.positions, PAIR.charges * (1 + odd)), QUATERNIONS, PLACES, comm=c
    ),
    "conformer_energies_and_forces:exclusions": lambda c, odd, _: potentials.conformer_energies_and_forces(
        potentials.Particles(PAIR.positions, PAIR.charges, exclusions=potentials.Exclusions([[0, 1]], 2, 0.5 * odd)),
        PAIR.positions[None] * np.ones((3, 1, 1)),
        comm=c,
    ),
    "conformer_energies_and_forces:positions": lambda c, odd, _: potentials.conformer_energies_and_forces(
        PAIR, PAIR.positions[None] * (1.0 + odd), comm=c
    ),
    "darcy_flow:seed": lambda c, odd, _: problems.darcy_flow(4, 8, seed=int(odd), comm=c),
    "darcy_flow:n_samples": lambda c, odd, _: problems.darcy_flow(4 + odd, 8, comm=c),
    "navier_stokes:viscosity": lambda c, odd, _: problems.navier_stokes(2, 8, viscosity=1e-2 * (1 + odd), comm=c),
    "wave_fields:courant": lambda c, odd, _: problems.wave_fields(2, 8, courant=0.1 * (1 + odd), comm=c),
    "leapfrog_waves:n_steps": lambda c, odd, _: problems.leapfrog_waves(
        *np.zeros((2, 12 // c.size)), 2 + odd, decomposition=distributed.slab((12,), c)
    ),
    "wave_energy:courant": lambda c, odd, _: problems.wave_energy(
        *np.zeros((2, 12 // c.size)), courant=0.1 * (1 + odd), decomposition=distributed.slab((12,), c)
    ),
    **{
        f"sample_spins:{name}": lambda c, odd, _, changed=changed: generative.sample_spins(
            **{"model": LATTICE, "beta": 1.0, "replicas": 4, "sweeps": 3, "warm_up": 0, **(changed if odd else {})},
            comm=c,
        )
        for name, changed in {
            **{"model": {"model": generative.IsingModel((4, 4), 0.2)}, "beta": {"beta": 0.9}, "seed": {"seed": 1}},
            **{"replicas": {"replicas": 5}, "sweeps": {"sweeps": 4}, "warm_up": {"warm_up": 1}},
            **{"method": {"method": "metropolis"}, "start": {"start": "ordered"}},
        }.items()
    },
    **{
        f"retrieve:{name}": lambda c, odd, _, changed=changed: generative.retrieve(
            **{"memory": MEMORY, "start": np.ones(8), "beta": 1.0, "sweeps": 2, **(changed if odd else {})}, comm=c
        )
        for name, changed in {
            **{"order": {"memory": generative.DenseAssociativeMemory(np.ones((2, 8)), 2)}, "beta": {"beta": 2.0}},
            **{"start": {"start": -np.ones(8)}, "targets": {"targets": np.ones((1, 8))}, "sweeps": {"sweeps": 3}},
            **{"patterns": {"memory": generative.DenseAssociativeMemory(-np.ones((2, 8)), 4)}},
            **{"replicas": {"replicas": 2}, "warm_up": {"warm_up": 3}, "seed": {"seed": 1}},
        }.items()
    },
    **{
        f"fit_energy:{name}": lambda c, odd, _, changed=changed: generative.fit_energy(
            **{
                "model": MARGINALS,
                "log_weight": lambda x: x.sum(axis=1),
                "steps": 2,
                "batch": 4,
                **(changed if odd else {}),
            },
            comm=c,
        )
        for name, changed in {
            **{"block": {"block": 1}, "explore": {"explore": 0.25}, "consistency": {"consistency": 1.0}},
            **{
                "objective": {"objective": "divergence"},
                "learning_rate": {"learning_rate": 1e-4},
                "model": {"model": generative.MarginalModel(4, 3)},
            },
        }.items()
    },
    **{
        f"fit_likelihood:{name}": lambda c, odd, _, changed=changed: generative.fit_likelihood(
            **{"model": MARGINALS, "data": np.eye(4, dtype=int), "epochs": 1, "batch": 4, **(changed if odd else {})},
            comm=c,
        )
        for name, changed in {
            **{"data": {"data": 1 - np.eye(4, dtype=int)}, "consistency": {"consistency": 2.0}},
            **{"weight_decay": {"weight_decay": 0.1}, "validation": {"validation": np.eye(4, dtype=int)}},
        }.items()
    },
    "importance_log_z:samples": lambda c, odd, _: generative.importance_log_z(
        MARGINALS, lambda x: np.zeros(len(x)), samples=5 + odd, comm=c
    ),
    "importance_log_z:seed": lambda c, odd, _: generative.importance_log_z(
        MARGINALS, lambda x: np.zeros(len(x)), samples=5, seed=int(odd), comm=c
    ),
    "temper_spins:betas": lambda c, odd, _: generative.temper_spins(
        LATTICE, [0.5, 0.6 + 0.1 * odd], ladders=2, sweeps=2, warm_up=0, comm=c
    ),
    "temper_spins:ladders": lambda c, odd, _: generative.temper_spins(
        LATTICE, [0.5, 0.6], ladders=2 + odd, sweeps=2, warm_up=0, comm=c
    ),
    "thermodynamic_integration:replicas": lambda c, odd, _: generative.thermodynamic_integration(
        LATTICE, replicas=1 + odd, sweeps=2, warm_up=0, comm=c
    ),
    "clique_counts:edges": lambda c, odd, _: graphs.clique_counts(_graph(odd), comm=c),
    "clique_counts:largest": lambda c, odd, _: graphs.clique_counts(_graph(0), 3 + odd, comm=c),
    "count_motifs:edges": lambda c, odd, _: graphs.count_motifs(_graph(odd), comm=c),
    "count_copies:pattern": lambda c, odd, _: graphs.count_copies(_graph(0), (PATH, STAR)[odd], comm=c),
    "count_copies:induced": lambda c, odd, _: graphs.count_copies(_graph(0), PATH, induced=bool(odd), comm=c),
    # networks
    "allreduce_gradients:w": lambda c, odd, _: nn.allreduce_gradients({"w": np.ones(2 + odd)}, 0.1, 0.5, comm=c),
    "allreduce_gradients:names": lambda c, odd, _: nn.allreduce_gradients({"wv"[odd]: np.ones(2)}, 0.1, 0.5, comm=c),
    "sum_over_ranks:array": lambda c, odd, _: nn.sum_over_ranks(np.ones(2 + odd), comm=c),
    "gather_tokens:axis": lambda c, odd, _: nn.gather_tokens(np.ones((3, 3)), axis=int(odd), comm=c),
    "scatter_sum:x": lambda c, odd, _: nn.scatter_sum(np.ones((3 + odd, 3)), comm=c),
    "bures_barycenter:x": lambda c, odd, _: nn.bures_barycenter(np.eye(2 + odd)[None, None], comm=c),
    "SPDNet.forward:training": lambda c, odd, _: SPD.forward(SPD.parameters, MATRICES, training=bool(odd), comm=c),
    "SPDNet.forward:options": lambda c, odd, _: nn.SPDNet((4, 2), 2 + odd).forward(
        SPD.parameters, MATRICES, training=True, comm=c
    ),
    "SPDNet.calibrate:batches": lambda c, odd, _: SPD.calibrate(MATRICES, batch_size=1 + odd, comm=c),
    "SPDNet.calibrate:parameters": lambda c, odd, _: nn.SPDNet((4, 2), 2, seed=int(odd)).calibrate(MATRICES, comm=c),
    "Standardizer.fit:pointwise": lambda c, odd, _: nn.Standardizer.fit(FIELDS, pointwise=bool(odd), comm=c),
    "Standardizer.fit:data": lambda c, odd, _: nn.Standardizer.fit(FIELDS.astype("f8" if odd else "f4"), comm=c),
    "train:optimizer": lambda c, odd, _: _train(c, optimizer=nn.Adam(0.05 + odd)),
    "train:epochs": lambda c, odd, _: _train(c, epochs=2 + odd),
    "train:order": lambda c, odd, _: _train(c, seed=int(odd)),
    "train:accumulate": lambda c, odd, _: _train(c, accumulate=1 + odd),
    "train:average": lambda c, odd, _: _train(c, **_xor("average", odd, 0.9)),
    "train:patience": lambda c, odd, _: _train(c, evaluate=_zero, monitor="loss", **_xor("patience", odd, 1)),
    "train:prefetch": lambda c, odd, _: _train(c, prefetch=int(odd)),
    "train:draws": lambda c, odd, _: _train(c, draws=bool(odd)),
    "train:clip": lambda c, odd, _: _train(c, clip=1.0 if odd else None),
    "train:parameters": lambda c, odd, _: _train(c, parameters=np.full((1, 3), float(odd))),
    "train:data": lambda c, odd, _: _train(c, data=(np.full((6, 3), 1.0 + odd), np.ones((6, 1)))),
    "train:schedule": lambda c, odd, _: _train(c, schedule=nn.cosine(4) if odd else nn.cosine(5)),
    "train:schedule_each": lambda c, odd, _: _train(c, schedule_each="step" if odd else "epoch"),
    "train:equal_samples": lambda c, odd, _: _train(c, equal_samples=bool(odd)),
    "train:settings": lambda c, odd, _: _train(c, settings={"kind": int(odd)}),
    "train:buffers": lambda c, odd, _: _train(c, buffers={"mean": np.full(2, float(odd))}),
    "train:save_every": lambda c, odd, _: _train(c, **_xor("save_every", odd, 1)),
    "train:evaluate": lambda c, odd, _: _train(c, **_xor("evaluate", odd, lambda parameters: {})),
    "train:save": lambda c, odd, _: _train(c, **_xor("save", odd, lambda checkpoint: None)),
    "GaussNewton:parameters": lambda c, odd, _: _gauss_newton(c, w=1.0 + odd),
    "GaussNewton:batch": lambda c, odd, _: _gauss_newton(c, x=1.0 + odd),
    "GaussNewton:v": lambda c, odd, _: _gauss_newton(c, v=1.0 + odd),
    "GaussNewton:predict": lambda c, odd, _: _gauss_newton(c, predict=_squares if odd else _predict),
    "batch_curvature:batch_sizes": lambda c, odd, _: _batches(c, [2, 3 + odd]),
    "batch_curvature:batches": lambda c, odd, _: _batches(c, batches=2 + odd),
    "batch_curvature:steps": lambda c, odd, _: _batches(c, steps=2 + odd),
    "batch_curvature:seed": lambda c, odd, _: _batches(c, seed=int(odd)),
    # operators
    "adapt_operator:rank": lambda c, odd, _: _adapt_operator(c, rank=2 + odd),
    "adapt_operator:config": lambda c, odd, _: _adapt_operator(c, config=replace(CONFIG, eps=1e-8 * (1 + odd))),
    "adapt_operator:head": lambda c, odd, _: _adapt_operator(c, head=bool(odd)),
    "adapt_operator:x": lambda c, odd, _: _adapt_operator(c, x=FIELDS + odd),
    "apply_in_boxes:shape": lambda c, odd, _: nn.apply_in_boxes(UNET, ROOM[:, odd:], box=8, comm=c),
    "apply_in_boxes:box": lambda c, odd, _: nn.apply_in_boxes(UNET, ROOM, box=16 if odd else 8, comm=c),
    "apply_in_boxes:starts": lambda c, odd, _: nn.apply_in_boxes(UNET, ROOM, box=8, overlap=0.5 + odd / 4, comm=c),
    "apply_in_boxes:parameters": lambda c, odd, _: nn.apply_in_boxes(
        nn.UNet(UNET.config, seed=int(odd)), ROOM, box=8, comm=c
    ),
    "Segmenter.segment:box": lambda c, odd, _: nn.Segmenter(UNET).segment(ROOM, box=16 if odd else 8, comm=c),
    "train_smoothing:convolutions": lambda c, odd, _: _train_smoothing(c, convolutions=1 + odd),
    "train_smoothing:rounds": lambda c, odd, _: _train_smoothing(c, rounds=1 + odd),
    "train_smoothing:quantizer": lambda c, odd, _: _train_smoothing(c, scales=((1 + odd, 1), (8, 8))),
    "train_vector_quantizer:codes": lambda c, odd, _: _train_codes(c, codes=2 + odd),
    "train_vector_quantizer:rounds": lambda c, odd, _: _train_codes(c, rounds=1 + odd),
    "train_vector_quantizer:scales": lambda c, odd, _: _train_codes(c, scales=[(1 + odd, 1), (8, 8)]),
    "train_vector_quantizer:dtype": lambda c, odd, _: _train_codes(c, fields=FIELDS.astype(FLOATS[odd])),
    "train_vector_quantizer:save": lambda c, odd, _: _train_codes(c, **_xor("save", odd, lambda checkpoint: None)),
    "train_segmenter:parameters": lambda c, odd, _: _train_segmenter(c, nn.UNet(UNET.config, seed=int(odd))),
    "train_segmenter:epochs": lambda c, odd, _: _train_segmenter(c, epochs=1 + odd),
    "train_segmenter:data": lambda c, odd, _: _train_segmenter(c, x=FIELDS + odd),
    "NextScaleModel.loss:codes": lambda c, odd, _: _next_scale(c, n=2 + odd),
    "NextScaleModel.loss:keep": lambda c, odd, _: _next_scale(c, keep=np.full(2, float(odd))),
    "NextScaleModel.loss:method": lambda c, odd, _: _next_scale(c, method=("ring", "rsa")[odd]),
    "NextScaleModel.loss:layout": lambda c, odd, _: _next_scale(c, layout=("striped", "zigzag")[odd]),
    "NextScaleModel.loss:the parameter": lambda c, odd, _: _next_scale(c, factor=1.0 + odd),
    "NextScaleModel.sample:seed": lambda c, odd, _: _next_scale(c, draw=True, seed=int(odd)),
    "NextScaleModel.sample:n": lambda c, odd, _: _next_scale(c, n=2 + odd, draw=True),
    "NextScaleModel.sample:batch_size": lambda c, odd, _: _next_scale(c, draw=True, batch_size=1 + odd),
    "NextScaleModel.sample:the parameter": lambda c, odd, _: _next_scale(c, 1.0 + odd, draw=True),
    "NextScaleModel.sample:labels": lambda c, odd, _: _next_scale(c, draw=True, labels=np.full(2, int(odd))),
    "train_next_scale:codes": lambda c, odd, _: _train_next_scale(c, n=2 + odd),
    "train_next_scale:config": lambda c, odd, _: _train_next_scale(c, width=8 + 8 * odd),
    "train_next_scale:drop": lambda c, odd, _: _train_next_scale(c, drop=0.1 + odd / 4),
    "train_next_scale:epochs": lambda c, odd, _: _train_next_scale(c, epochs=1 + odd),
    "draw_samples:count": lambda c, odd, _: _draw_samples(c, 2 + odd),
    "draw_samples:betas": lambda c, odd, _: _draw_samples(c, steps=4 + odd),
    "draw_samples:seed": lambda c, odd, _: _draw_samples(c, seed=int(odd)),
    "draw_samples:eta": lambda c, odd, _: _draw_samples(c, eta=0.5 * odd),
    "draw_samples:batch_size": lambda c, odd, _: _draw_samples(c, batch_size=1 + odd),
    "train_crystals:model": lambda c, odd, _: _train_crystals(c, width=2 + odd),
    "train_crystals:training": lambda c, odd, _: _train_crystals(c, epochs=1 + odd),
    "train_crystals:vectors": lambda c, odd, _: _train_crystals(c, crystals=2 + odd),
    "train_crystals:save": lambda c, odd, _: _train_crystals(c, **_xor("save", odd, lambda checkpoint: None)),
    "generate_crystals:model": lambda c, odd, _: generative.generate_crystals(_crystals(2 + odd), 1, comm=c),
    "generate_crystals:number": lambda c, odd, _: generative.generate_crystals(_crystals(), 1 + odd, comm=c),
    "generate_crystals:composition": lambda c, odd, _: generative.generate_crystals(
        _crystals(), 1, composition={"Li": 1 + int(odd)}, comm=c
    ),
    "generate_crystals:neutral": lambda c, odd, _: generative.generate_crystals(_composing(), 1, neutral=odd, comm=c),
    "evaluate_crystals:configurations": lambda c, odd, _: generative.evaluate_crystals(
        SALTS.configurations[: 1 + odd], comm=c
    ),
    "evaluate_crystals:training": lambda c, odd, _: generative.evaluate_crystals(
        SALTS.configurations[:1], training=SALTS if odd else None, comm=c
    ),
    "evaluate_crystals:draws": lambda c, odd, _: generative.evaluate_crystals(
        SALTS.configurations[:1], draws=2 + odd, comm=c
    ),
    "train_potential:potential": lambda c, odd, _: _train_potential(c, channels=2 + odd),
    "train_potential:config": lambda c, odd, _: _train_potential(c, epochs=1 + odd),
    "train_potential:configurations": lambda c, odd, _: _train_potential(c, atoms=[ATOMS] * (1 + odd)),
    "train_potential:tests": lambda c, odd, _: _train_potential(c, tests={"t": [ATOMS] * (1 + odd)}),
    "train_potential:save": lambda c, odd, _: _train_potential(c, **_xor("save", odd, lambda checkpoint: None)),
    "prediction_errors:configurations": lambda c, odd, _: atomistic.prediction_errors(
        _potential(2), [ATOMS] * (1 + odd), comm=c
    ),
    "predict_configurations:configurations": lambda c, odd, _: atomistic.predict_configurations(
        _potential(2), [ATOMS] * (1 + odd), comm=c
    ),
    "predict_on_ranks:potential": lambda c, odd, _: _on_ranks(c, potential=_potential(2 + odd)),
    "predict_on_ranks:cell": lambda c, odd, _: _on_ranks(c, cell=(6.0 + odd) * np.eye(3)),
    "predict_on_ranks:periodic": lambda c, odd, _: _on_ranks(c, cell=6 * np.eye(3), periodic=(True, True, not odd)),
    "train_operator:config": lambda c, odd, _: _train_operator(c, config=replace(CONFIG, eps=1e-8 * (1 + odd))),
    "train_operator:model": lambda c, odd, _: _train_operator(
        c, model=operators.TFNO((4, 4), 1, 1, 4, 2, rank_fraction=0.5) if odd else TFNO
    ),
    "train_operator:x": lambda c, odd, _: _train_operator(c, x=FIELDS + odd),
    "train_operator:tests": lambda c, odd, _: _train_operator(c, tests={"t": (FIELDS + odd, FIELDS)}),
    "train_operator:standardize_inputs": lambda c, odd, _: _train_operator(c, standardize_inputs=bool(odd)),
    "train_operator:save": lambda c, odd, _: _train_operator(c, **_xor("save", odd, lambda checkpoint: None)),
    "compress_model:bits": lambda c, odd, _: _compress_model(c, bits=3 + odd),
    "compress_model:groups": lambda c, odd, _: _compress_model(c, groups=1 + odd),
    "compress_model:steps": lambda c, odd, _: _compress_model(c, steps=int(odd)),
    "compress_model:sweeps": lambda c, odd, _: _compress_model(c, sweeps=int(odd)),
    "compress_model:keep": lambda c, odd, _: _compress_model(c, keep=["lifting.0.weight"] * odd),
    "compress_model:batch_size": lambda c, odd, _: _compress_model(c, batch_size=2 + odd),
    "compress_model:original": lambda c, odd, _: _compress_model(c, seed=int(odd)),
    "compress_model:samples": lambda c, odd, _: _compress_model(c, x=FIELDS + odd),
    "patch_loss:cut": lambda c, odd, _: _patch_loss(c, replace(CUT, padding=0.25) if odd else CUT),
    "patch_loss:x": lambda c, odd, _: _patch_loss(c, x=LARGE + odd),
    "patch_loss:the parameter": lambda c, odd, _: _patch_loss(c, factor=1.0 + odd),
    # solvers
    "PoissonOperator:mask": lambda c, odd, _: solvers.PoissonOperator(OTHER if odd else MASK, comm=c),
    "PoissonOperator:neumann_body": lambda c, odd, _: solvers.PoissonOperator(OTHER, neumann_body=bool(odd), comm=c),
    "PoissonOperator:coefficient": lambda c, odd, _: solvers.PoissonOperator(
        MASK, coefficient=MASK * (1.0 + odd), comm=c
    ),
    "PoissonOperator:spacing": lambda c, odd, _: solvers.PoissonOperator(MASK, 1.0 + odd, comm=c),
    "PoissonOperator:mean": lambda c, odd, _: solvers.PoissonOperator(MASK, mean=MEANS[odd], comm=c),
    "PoissonOperator:boundary": lambda c, odd, _: solvers.PoissonOperator(MASK, 1.0, WALLS[odd], comm=c),
    "PoissonOperator:levels": lambda c, odd, _: solvers.PoissonOperator(MASK, comm=c, distributed_levels=1 + odd),
    "block_slices:grid_shape": lambda c, odd, _: solvers.block_slices((16, 16 + odd, 16), c),
    "Multigrid:smoothing": lambda c, odd, _: solvers.Multigrid(_operator(c), smoothing=1 + odd),
    "Multigrid:dtype": lambda c, odd, _: solvers.Multigrid(_operator(c), dtype="f4" if odd else "f8"),
    "Multigrid:wall_corrected": lambda c, odd, _: solvers.Multigrid(_operator(c), wall_corrected=bool(odd)),
    "LearnedMultigrid:model": lambda c, odd, _: solvers.LearnedMultigrid(
        _operator(c), solvers.CycleModel.untrained() if odd else None
    ),
    "PoissonOperator:reaction": lambda c, odd, _: solvers.PoissonOperator(MASK, reaction=MASK * (1.0 + odd), comm=c),
    "Energy:diffusion": lambda c, odd, _: _energy(c, diffusion=1.0 + odd),
    "Energy:origin": lambda c, odd, _: _energy(c, origin=(float(odd), 0.0, 0.0)),
    "Energy:values": lambda c, odd, _: _energy(c, values=np.zeros(18) if odd else None),
    "minimize_energy:method": lambda c, odd, _: _minimize(c, method="lbfgs" if odd else "descent"),
    "minimize_energy:rtol": lambda c, odd, _: _minimize(c, rtol=1e-5 * (1 + odd)),
    "minimize_energy:maxiter": lambda c, odd, _: _minimize(c, maxiter=3 + odd),
    "minimize_energy:u0": lambda c, odd, _: _minimize(c, start=bool(odd)),
    "Deflation:columns": lambda c, odd, _: _deflation(c, 1 + odd),
    "Deflation:M": lambda c, odd, _: _deflation(c, 2, solvers.Multigrid if odd else None),
    "lowest_eigenvectors:count": lambda c, odd, _: solvers.lowest_eigenvectors(_operator(c), 1 + odd),
    "lowest_eigenvectors:rtol": lambda c, odd, _: solvers.lowest_eigenvectors(_operator(c), 1, rtol=0.1 * (1 + odd)),
    "lowest_eigenvectors:maxiter": lambda c, odd, _: solvers.lowest_eigenvectors(_operator(c), 1, maxiter=1 + odd),
    "lowest_eigenvectors:seed": lambda c, odd, _: solvers.lowest_eigenvectors(_operator(c), 1, seed=int(odd)),
    "cg:rtol": lambda c, odd, _: _cg(c, rtol=1e-5 * (1 + odd)),
    "cg:atol": lambda c, odd, _: _cg(c, atol=float(odd)),
    "cg:maxiter": lambda c, odd, _: _cg(c, maxiter=3 + odd),
    "cg:x0": lambda c, odd, _: _cg(c, x0=(lambda A: np.ones(A.local_shape)) if odd else None),
    "cg:M": lambda c, odd, _: _cg(c, M=solvers.Jacobi if odd else None),
    "cg:callback": lambda c, odd, _: _cg(c, **_seen(odd)),
    **{f"{name}:rtol": lambda c, odd, _, name=name: _cg(c, name, rtol=1e-5 * (1 + odd)) for name in KRYLOV},
    **{f"{name}:maxiter": lambda c, odd, _, name=name: _cg(c, name, maxiter=3 + odd) for name in KRYLOV},
    "fcg:directions": lambda c, odd, _: _cg(c, "fcg", directions=1 + odd),
    "gmres:restart": lambda c, odd, _: _cg(c, "gmres", restart=5 + odd),
    "fgmres:restart": lambda c, odd, _: _cg(c, "fgmres", restart=5 + odd),
    # sequences
    "gated_linear_attention:beta": lambda c, odd, _: _gated(c, beta=bool(odd)),
    "gated_linear_attention:segments": lambda c, odd, _: _gated(c, segments=bool(odd)),
    "gated_linear_attention:final_state": lambda c, odd, _: _gated(c, final_state=bool(odd)),
    "gated_linear_attention:method": lambda c, odd, _: _gated(c, method=("gather", "ring")[odd]),
    "gated_linear_attention:state": lambda c, odd, _: _gated(c, state=np.full((1, 2, 2), float(odd))),
    "lightning_attention:learn_decay": lambda c, odd, _: _lightning(c, learn_decay=bool(odd)),
    "lightning_attention:final_state": lambda c, odd, _: _lightning(c, final_state=bool(odd)),
    "lightning_attention:method": lambda c, odd, _: _lightning(c, method=("gather", "ring")[odd]),
    "lightning_attention:decay": lambda c, odd, _: _lightning(c, decay=1.0 + odd),
    "lightning_attention:state": lambda c, odd, _: _lightning(c, state=np.full((1, 2, 2), float(odd))),
    "softmax_attention:causal": lambda c, odd, _: _softmax(c, causal=bool(odd)),
    "softmax_attention:blocks": lambda c, odd, _: _softmax(c, blocks=(1, 4 * c.size - 1) if odd else (4 * c.size,)),
    "softmax_attention:scale": lambda c, odd, _: _softmax(c, scale=1.0 + odd),
    "softmax_attention:method": lambda c, odd, _: _softmax(c, method=("ring", "rsa")[odd]),
    "softmax_attention:layout": lambda c, odd, _: _softmax(c, layout=("contiguous", "striped")[odd]),
    "softmax_attention:precision": lambda c, odd, _: (
        _softmax(c, precision="float64" if odd else None)
        and sequence.softmax_attention(*[np.ones((1, 4, 2), "f4")] * 3, precision="float64" if odd else None, comm=c)
    ),
    "softmax_attention:length": lambda c, odd, _: _softmax(c, length=4 * c.size if odd else None),
    "softmax_attention:segments": lambda c, odd, _: _softmax(c, segments=np.zeros(4, int) if odd else None),
    "softmax_attention:key_segments": lambda c, odd, _: _softmax(
        c, segments=np.zeros(4, int), key_segments=np.zeros(4, int) if odd else None
    ),
    "softmax_attention:window": lambda c, odd, _: _softmax(c, window=3 + odd),
    "softmax_attention:sink_tokens": lambda c, odd, _: _softmax(c, window=1, sink_tokens=1 + odd),
    "softmax_attention:offset": lambda c, odd, _: _softmax(c, causal=True, offset=int(odd)),
    "softmax_attention:cap": lambda c, odd, _: _softmax(c, cap=1.0 + odd),
    "softmax_attention:slopes": lambda c, odd, _: _softmax(c, slopes=[1.0 + odd]),
    "softmax_attention:mask": lambda c, odd, _: _softmax(c, mask=np.ones((1, 1), bool) if odd else None),
    "softmax_attention:bias": lambda c, odd, _: _softmax(c, bias=np.ones((1, 1)) if odd else None),
    "softmax_attention:sink_logits": lambda c, odd, _: _softmax(c, sink_logits=np.array([1.0 + odd])),
    "softmax_attention:parameters": lambda c, odd, _: _softmax(c, parameters=np.array([1.0 + odd]), score=_PAIR_SCORE),
    "softmax_attention:score": lambda c, odd, _: _softmax(c, score=_PAIR_SCORE if odd else None),
    "softmax_attention:dropout": lambda c, odd, _: _softmax(c, dropout=0.1 + 0.1 * odd, seed=0),
    "softmax_attention:seed": lambda c, odd, _: _softmax(c, dropout=0.1, seed=1 + odd),
    "triples:modulus": lambda c, odd, _: sequence.triples(np.arange(3), 9 + odd, comm=c),
    "tensor_attention:tol": lambda c, odd, _: _tensor(c, tol=1e-3 * (1 + odd)),
    "tensor_attention:method": lambda c, odd, _: _tensor(c, method=("exact", "polynomial")[odd], bound=9.0),
    "tensor_attention:scale": lambda c, odd, _: _tensor(c, scale=1.0 + odd),
    "tensor_attention:lengths": lambda c, odd, _: _tensor(c, lengths=(4 * c.size, 4 * c.size) if odd else None),
    "linformer_attention:rows": lambda c, odd, _: _linformer(c, rows=2 + odd),
    "linformer_attention:scale": lambda c, odd, _: _linformer(c, scale=1.0 + odd),
    "column_linear:x": lambda c, odd, _: _column(c, ONES[None] + odd),
    "column_linear:sequence": lambda c, odd, _: _column(c, sequence=bool(odd)),
    "row_linear:bias": lambda c, odd, _: _row(c, np.full(3, float(odd))),
    "row_linear:sequence": lambda c, odd, _: _row(c, None, sequence=bool(odd)),
    "parallel_mlp:x": lambda c, odd, _: _mlp(c, np.full((1, 2, 3), 1.0 + odd)),
    "parallel_mlp:bias": lambda c, odd, _: _mlp(c, down=float(odd)),
    "parallel_attention:x": lambda c, odd, _: _attention(c, x=np.full((1, 2, 12), 1.0 + odd)),
    "vocabulary_embedding:tokens": lambda c, odd, _: _embedding(c, tokens=TOKENS + odd),
    "vocabulary_embedding:sequence": lambda c, odd, _: _embedding(c, sequence=bool(odd)),
    "vocabulary_cross_entropy:labels": lambda c, odd, _: _cross_entropy(c, labels=TOKENS[0, :4] + odd),
    "vocabulary_cross_entropy:total": lambda c, odd, _: _cross_entropy(c, total=4 + odd),
    "vocabulary_cross_entropy:ignore_index": lambda c, odd, _: _cross_entropy(c, ignore_index=-1 if odd else None),
    "TransNormer.loss:batch": lambda c, odd, _: _transnormer(c, batch=TOKENS + odd),
    "TransNormer.loss:method": lambda c, odd, _: _transnormer(c, method=("gather", "ring")[odd]),
    "TransNormer.loss:recompute": lambda c, odd, _: _transnormer(c, recompute=("none", "block")[odd]),
    "TransNormer.generate:prompt": lambda c, odd, _: MODEL.generate(TOKENS + odd, 1, comm=c),
    "TransNormer.generate:n": lambda c, odd, _: MODEL.generate(TOKENS, 1 + odd, comm=c),
    "TransNormer.generate:rule": lambda c, odd, _: MODEL.generate(TOKENS, 1, seed=int(odd), comm=c),
    "TransNormer.loss:the parameter": lambda c, odd, _: _transnormer(c, factor=1.0 + odd),
    "TransNormer.loss:model": lambda c, odd, _: _transnormer(
        c, replace(MODEL, decays=[[0.1, 0.2], [0.3, 0.4]]) if odd else MODEL
    ),
    **{
        f"ParallelTransformer.loss_and_gradients:{argument}, ranks along {axis}": (
            lambda c, odd, _, axis=axis, name=name: _transformer(c, axis, odd, name)
        )
        for axis, name, argument in (
            ("data", "0.attention.q", "the parameter 0.attention.q"),
            ("sequence", "embedding", "the parameter embedding"),
            ("tensor", "1.mlp.down_bias", "the parameter 1.mlp.down_bias"),
        )
    },
    "ParameterLayout.collected_one:name": lambda c, odd, _: _collected(c, "vw"[odd]),
    "ParallelTransformer.loss:batch": lambda c, odd, _: _grid_loss(c, TOKENS + odd),
    "ParallelTransformer.loss_and_gradients:batch": lambda c, odd, _: _transformer(c, "data", odd, batch=TOKENS + odd),
    "ParallelTransformer.loss_and_gradients:attention": lambda c, odd, _: _transformer(
        c, "data", odd, attention=("softmax", "lightning")[odd]
    ),
    "ParallelTransformer.loss_and_gradients:recompute": lambda c, odd, _: _transformer(
        c, "data", odd, recompute=("none", "block")[odd]
    ),
    "ParallelTransformer.loss_and_gradients:activations": lambda c, odd, _: _transformer(
        c, "data", odd, activations=(None, "bfloat16")[odd]
    ),
    "ParallelTransformer.generate:prompt": lambda c, odd, _: _written(c, TOKENS + odd),
    "ParallelTransformer.generate:n": lambda c, odd, _: _written(c, TOKENS, 1 + odd),
    "ParallelTransformer.generate:rule": lambda c, odd, _: _written(c, TOKENS, top_k=2 + odd),
    "run_pipeline:schedule": lambda c, odd, _: _pipeline(c, ("gpipe", "1f1b")[odd]),
    "run_pipeline:shape": lambda c, odd, _: _pipeline(c, shape=(2 + odd,)),
    "run_pipeline:dtype": lambda c, odd, _: _pipeline(c, dtype=("f4", "f8")[odd]),
    # files
    "save:path": lambda c, odd, folder: io.save(folder / f"{odd}.h5", PAIR, comm=c),
    "save:overwrite": lambda c, odd, folder: io.save(folder / "a.h5", PAIR, overwrite=bool(odd), comm=c),
    "reserve:path": lambda c, odd, folder: _reserve(c, folder / f"{odd}.h5"),
    "save_samples:path": lambda c, odd, folder: _samples(c, folder / f"{odd}.h5"),
    "save_samples:x": lambda c, odd, folder: _samples(c, folder / "s.h5", np.ones((2, 3 + odd))),
    "save_samples:grid_axes": lambda c, odd, folder: _samples(c, folder / "s.h5", **_xor("grid_axes", odd, 1)),
    "save_samples:overwrite": lambda c, odd, folder: _samples(c, folder / "s.h5", overwrite=bool(odd)),
    "save_samples:units": lambda c, odd, folder: _samples(c, folder / "s.h5", units="m" * odd),
    "save_grid_parallel:path": lambda c, odd, folder: _grid(c, folder / f"{odd}.h5"),
    "load_problem:path": lambda c, odd, folder: io.load_problem(folder / f"{odd}.h5", comm=c),
    "compress_grid:tol": lambda c, odd, _: compression.compress_grid(ROOM[0], 0.1 * (1 + odd), comm=c),
    "compress_grid:chunk": lambda c, odd, _: compression.compress_grid(ROOM[0], 0.1, chunk=8 + odd, comm=c),
    "compress_file:out": lambda c, odd, folder: io.compress_file(folder / "a.npy", folder / f"{odd}.h5", 0.1, comm=c),
    "compress_file:tol": lambda c, odd, folder: io.compress_file(
        folder / "a.npy", folder / "b.h5", 0.1 * (1 + odd), comm=c
    ),
    "save_computed_grid:path": lambda c, odd, folder: io.save_computed_grid(folder / f"{odd}.h5", COMPUTED, comm=c),
    "save_computed_grid:x": lambda c, odd, folder: io.save_computed_grid(
        folder / "c.h5", replace(COMPUTED, x=COMPUTED.x + odd), comm=c
    ),
    "compute_trajectory:tol": lambda c, odd, folder: io.compute_trajectory(
        folder / "no.xyz", folder / "out.h5", tol=1e-4 * (1 + odd), comm=c
    ),
}
"""Arguments that differ between ranks."""

FAIL: dict[str, Body] = {
    "train:evaluate": lambda c, odd, _: _train(c, evaluate=_fails(odd)),
    "train:save": lambda c, odd, _: _train(c, save=_fails(odd)),
    "train:data": lambda c, odd, _: _train(c, data=_Samples(odd)),
    "train_vector_quantizer:save": lambda c, odd, _: _train_codes(c, save=_fails(odd)),
    "train:data, read ahead": lambda c, odd, _: _train(c, data=_Samples(odd), prefetch=2),
    "GaussNewton:predict": lambda c, odd, _: _gauss_newton(c, lambda v, b: _fails(odd)() or _predict(v, b)),
    "train_operator:save": lambda c, odd, _: _train_operator(c, save=_fails(odd)),
    "cg:callback": lambda c, odd, _: _cg(c, callback=_fails(odd)),
    "cg:M": lambda c, odd, _: _cg(c, M=lambda A: lambda r: _fails(odd)() or r),
    **{
        f"{name}:M": lambda c, odd, _, name=name: _cg(c, name, M=lambda A: lambda r: _fails(odd)() or r)
        for name in KRYLOV
    },
    "minimize_energy:callback": lambda c, odd, _: _minimize(c, callback=_fails(odd)),
    "minimize_energy:density": lambda c, odd, _: _minimize(c, density=_Failing(odd)),
    "parallel_attention:attend": lambda c, odd, _: _attention(c, lambda q, k, v: _fails(odd)() or v),
    "compute_frames:read": lambda c, odd, _: potentials.compute_frames(
        lambda n: _fails(odd)() or _pairs(n), _Sink(c.size), comm=c
    ),
    "interaction_energy:phi": lambda c, odd, _: potentials.interaction_energy(
        lambda p: _fails(odd)() or p[:, 0], PAIR, np.eye(4)[[0] * 6], np.full((6, 3), 30.0), comm=c
    ),
}
"""Functions of the caller that fail on the last rank alone."""


class _Failing:
    """A density whose derivative fails on one rank."""

    def __init__(self, odd: bool) -> None:
        self._odd = odd

    def density(self, x: Any, u: Any, p: Any) -> Any:
        return (p * p).sum(axis=0)

    def derivative(self, x: Any, u: Any, p: Any) -> Any:
        return 0.0, _fails(self._odd)() or 2 * p


def _pairs(numbers: Any) -> Any:
    return iter([(k, PAIR) for k in numbers])


class _Sink(dict):  # type: ignore[type-arg]
    """A sink of frames in memory."""

    def __init__(self, n: int) -> None:
        self.n = n

    def begin(self) -> potentials.FrameJob:
        return potentials.FrameJob(potentials.plan_frames(PAIR), np.arange(self.n), np.arange(self.n))

    def write(self, place: int, energy: float, forces: np.ndarray) -> None:
        self[place] = energy

    def close(self) -> None:
        pass
