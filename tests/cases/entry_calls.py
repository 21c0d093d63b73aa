"""One right call of every public function and class of four rooms, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sci import linalg, nn, operators, scaling, sequence, solvers, spherical

RNG = np.random.default_rng(5)


@dataclass(frozen=True)
class Call:
    """A call that works: the arguments by position, and by name."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def call(function: Callable[..., Any], *args: Any, **options: Any) -> Call:
    """Return the record of a call."""
    return Call(function, args, options)


def real(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    """Return random numbers."""
    return RNG.normal(size=shape).astype(dtype)


MASK = np.ones((6, 6, 6), bool)
SMALL = solvers.PoissonOperator(np.ones((2, 2, 2), bool))
A = solvers.PoissonOperator(MASK)
B = real(6, 6, 6)
ENERGY = solvers.Energy(A, solvers.PLaplacian(3.0), f=B)
SPECTRUM = (
    linalg.SpectralDensity(np.ones(1), np.ones(1), 1),
    linalg.Extremes(1.0, 1.0, 0.0, 0.0),
    linalg.TraceEstimate(0.0, 0.0, 0.0, 1, 1),
)
GRADIENTS = {"w": real(3), "v": real(2, 2)}
FNO = operators.FNO((4, 4), 1, 1, 4, 2)
FIELDS = real(4, 1, 8, 8, dtype=np.float32)
UNO_SHAPE = (((4, 4), (2, 2)), (4, 6), (0.5, 2.0))
CUT = operators.MultigridPatches(levels=1, padding=0.125)
PATCHED = operators.FNO((4, 4), CUT.channels(1, dim=2), 1, 8, 2, positional_grid=False)
PATCH_FIELDS = real(2, 1, 16, 16, dtype=np.float32)
CONFIG = operators.TrainingConfig(epochs=1, batch_size=2, loss="l2")
CONV = operators.SpectralConv.create(2, 3, (4, 4))
FORM = operators.WeightFormat(2, 3, (4, 3), "tucker", 0.5)
DCDM = solvers.DeepConjugateDirection()
CSR = A.to_scipy()
ROWS = A.compress(B)
LIMITS = {"rtol": 1e-6, "atol": 0.0, "maxiter": 20, "M": solvers.Jacobi(CSR), "callback": np.shape}
MODEL = sequence.TransNormer.create(width=8, heads=2, layers=2, hidden=8)
GRID = sequence.rank_grid(None)
TRANSFORMER = sequence.ParallelTransformer(8, 2, 2, 16, 11, GRID)
TOKENS = np.array([[1, 2, 3, 4, 5]])
MLP = {name: real(*shape) for name, shape in {"up": (5, 4), "up_bias": (5,), "down": (4, 5), "down_bias": (4,)}.items()}
HEADS = {name: real(4, 4) for name in "qkvo"} | {"o_bias": real(4)}
GATED = {name: real(4, 4) for name in "qkvuo"} | {"theta": real(2, 2)}
PLAN = sequence.pipeline_schedule("gpipe", 1, 2)
Q = real(2, 4, 3)
CACHE = sequence.KeyValueCache()
CACHE.keep(Q, Q)


def mixes(q: Any, k: Any, v: Any) -> Any:
    """Return the values: an attention that looks at nothing else."""
    return v


def _loss(variables: dict[str, Any], batch: Any) -> Any:
    return nn.mean_squared_error(nn.linear(batch[0], variables["w"]), batch[1])


def _squares(outputs: Any, batch: Any) -> Any:
    return nn.mean_squared_error(outputs, batch[1])


def _predict(variables: dict[str, Any], batch: Any) -> Any:
    return nn.linear(batch[0], variables["w"])


def _curvature() -> dict[str, Call]:
    weights, batch, noise = {"w": real(1, 3)}, (real(8, 3), real(8, 1)), nn.WignerNoise(100, 1.0)
    product = nn.GaussNewton(_predict, _squares, weights, batch)
    spectrum = nn.curvature_spectrum(product, 3, leading=1)
    batches = nn.batch_curvature(_predict, _squares, weights, batch, [2, 4], batches=2)
    return {
        "BatchCurvature": call(nn.BatchCurvature, **vars(batches)),
        "BatchCurvature.rates": call(batches.rates, np.array([2, 4]), momentum=0.5),
        "CurvatureSpectrum": call(nn.CurvatureSpectrum, **vars(spectrum)),
        "CurvatureSpectrum.bulk_edge": call(spectrum.bulk_edge, "wigner"),
        "GaussNewton": call(nn.GaussNewton, _predict, _squares, weights, batch),
        "GaussNewton.__call__": call(product, real(3)),
        "StableRates": call(nn.StableRates, **vars(batches.rates())),
        "StableRates.adaptive": call(batches.rates().adaptive, 1e-3, 2.0),
        "WignerNoise": call(nn.WignerNoise, 100, 1.0, samples=50),
        "WignerNoise.spike_shift": call(noise.spike_shift, np.array([3.0, 1.0]), 20),
        "WignerNoise.density": call(noise.density, real(5), 20),
        "WishartNoise": call(nn.WishartNoise, 100, 1.0, rows=2),
        "WishartNoise.spike_shift": call(nn.WishartNoise(100, 1.0).spike_shift, np.array([30.0, 10.0]), 20),
        "WishartNoise.covariance_of": call(nn.WishartNoise(100, 1.0).covariance_of, np.array([30.0, 40.0]), 20),
        "batch_curvature": call(nn.batch_curvature, _predict, _squares, weights, batch, [2, 4], batches=2, seed=0),
        "curvature_spectrum": call(nn.curvature_spectrum, product, 3, leading=1, steps=3, probes=2, seed=0),
        "largest_stable_rate": call(nn.largest_stable_rate, 2.0, noise, np.array([1, 5]), momentum=0.5),
    }


def _roles() -> dict[str, Call]:
    roles, base = {"w": nn.Role("output", 8, 1)}, {"w": nn.Role("output", 4, 1)}

    def make(width: int, seed: int) -> Any:
        return {"w": np.ones((width, 3))}, nn.Adam(0.1)

    weights, batch = {"w": real(2, 3)}, (real(4, 3), real(4, 2))
    recorded = nn.RecordedStep(
        lambda v, b: nn.mean_squared_error(nn.linear(b[0], v["w"]), b[1]), weights, nn.Adam(), batch
    )
    return {
        "Placement": call(nn.Placement, (4, 6), 1, 2, 4),
        "ParameterLayout": call(nn.ParameterLayout, {"w": nn.Placement((2, 3))}, sharded=False),
        "ParameterLayout.collected": call(nn.ParameterLayout.whole({"w": real(2, 3)}).collected, {"w": real(2, 3)}),
        "ParameterLayout.collected_one": call(
            nn.ParameterLayout.whole({"w": real(2, 3)}).collected_one, "w", real(2, 3)
        ),
        "ParameterLayout.norm": call(nn.ParameterLayout.whole({"w": real(2, 3)}).norm, {"w": real(2, 3)}),
        "Role": call(nn.Role, "spectral", 4, 4, (3, 3), "layer"),
        "RecordedStep": call(nn.RecordedStep, lambda v, b: nn.mean(v["w"]), weights, nn.Adam(), batch),
        "RecordedStep.__call__": call(recorded, batch, 0.5),
        "CoordinateCheck": call(nn.CoordinateCheck, (8, 16), ("a",), np.ones((2, 1)), 3),
        "coordinate_check": call(
            nn.coordinate_check,
            *(make, lambda p, x: nn.linear(x, p["w"]), nn.mean, real(2, 3)),
            widths=[2, 4],
            steps=1,
            seeds=1,
        ),
        "infinite_linear_network": call(
            nn.infinite_linear_network, real(4, 2), real(4, 1), rate=0.1, steps=2, scales=(1.0, 0.5)
        ),
        "initial_factors": call(nn.initial_factors, roles, base),
        "rate_factors": call(nn.rate_factors, roles, base, rule="sgd"),
        "relu_kernels": call(nn.relu_kernels, real(3, 2), real(4, 2), layers=2, weight_variance=1.0, bias_variance=0.1),
        "rescaled": call(nn.rescaled, {"w": real(1, 8)}, roles, base),
        "sampled_linear_network": call(
            nn.sampled_linear_network, real(4, 2), real(4, 1), 8, rate=0.1, steps=2, scales=(1.0, 0.5), seed=1
        ),
        "with_roles": call(nn.with_roles, nn.Adam(0.1), roles, base=base),
    }


def _maps() -> dict[str, Call]:
    model, w = {"w": real(4, 3), "b": real(4)}, RNG.uniform(-1, 1, (4, 3))
    loldu, compander = nn.LoLDU(model["w"], 2), nn.Compander(w)
    shifted, free = nn.ShiftedWeight(w, real(4, 3)), nn.FreeWeight(w)
    mapped = nn.MappedParameters(model, {"w": loldu})
    delta, deltas = mapped.delta(mapped.start()), nn.WeightDeltas({"a": mapped.delta(mapped.start())})
    found = nn.weight_signature(model, {n: a + 1 for n, a in model.items()}, {n: a**2 for n, a in model.items()})
    clean = {n: a + 1 for n, a in model.items()}
    maps = {"LoLDU": loldu, "Compander": compander, "ShiftedWeight": shifted, "FreeWeight": free}
    methods: dict[str, Call] = {}
    for name, one in maps.items():
        methods |= {f"{name}.{m}": call(getattr(one, m), one.start()) for m in ("forward", "fold", "change")}
        weight, residuals = one.forward(one.start())
        methods[f"{name}.vjp"] = call(one.vjp, weight, residuals)
        methods[f"{name}.from_change"] = call(type(one).from_change, one.weight, one.change(one.start()))
    return {
        **methods,
        "Compander": call(nn.Compander, w, a=1.5, b=0.5),
        "FreeWeight": call(nn.FreeWeight, w),
        "LoLDU": call(nn.LoLDU, model["w"], 2, pivots=loldu.pivots),
        "MappedParameters": call(nn.MappedParameters, model, {"w": loldu}),
        "MappedParameters.weights": call(mapped.weights, mapped.start()),
        "MappedParameters.fold": call(mapped.fold, mapped.start()),
        "MappedParameters.delta": call(mapped.delta, mapped.start()),
        "ShiftedWeight": call(nn.ShiftedWeight, w, real(4, 3)),
        "WeightChange": call(nn.WeightChange, "free", {"value": w}),
        "WeightDelta": call(nn.WeightDelta, delta.model, dict(delta.changes)),
        "WeightDelta.applied": call(delta.applied, model),
        "WeightDelta.require": call(delta.require, model),
        "WeightDeltas": call(nn.WeightDeltas, {"a": delta}),
        "WeightDeltas.named": call(deltas.named, "a"),
        "fingerprint": call(nn.fingerprint, model),
        "patched": call(nn.patched, clean, [(found, 0.5)]),
        "weight_signature": call(nn.weight_signature, model, clean, {n: a**2 for n, a in model.items()}, names=["w"]),
    }


def _quantized() -> dict[str, Call]:
    """Weights of few bits."""
    w, codes = real(4, 6), RNG.integers(0, 4, (4, 6))
    books, statistics = nn.CodebookWeight(w, 2, groups=2, mapping=True), nn.StatisticsQuantizer(w, 2)
    coded, packed, groups = books.coded(books.start()), nn.pack_codes(codes, 2), np.array([0, 1, 0, 1])
    made: dict[str, Call] = {}
    for one in (books, statistics):
        name = type(one).__name__
        made |= {f"{name}.{m}": call(getattr(one, m), one.start()) for m in ("forward", "fold", "change")}
        made[f"{name}.vjp"] = call(one.vjp, *one.forward(one.start()))
        made[f"{name}.from_change"] = call(type(one).from_change, w, one.change(one.start()))
    frozen, tracker = nn.FrozenWeights(nn.Adam(0.1), {"w": lambda a: a > 0}), nn.OscillationTracker(codes)
    state = frozen.start({"w": w.copy()})
    return {
        **made,
        "CodebookWeight": call(nn.CodebookWeight, w, 2, groups=groups, row_axes=(0,), mapping=True),
        "CodebookWeight.coded": call(books.coded, books.start()),
        "CodebookWeight.codes_of": call(books.codes_of, books.start()),
        "CodebookWeight.nearest": call(books.nearest, real(4, 6), books.codebooks),
        "CodedWeight": call(nn.CodedWeight, (4, 6), packed, books.codebooks, groups, 2, row_axes=(0,), dtype="f8"),
        "CodedWeight.astype": call(coded.astype, "f4", copy=True),
        "CodedWeight.has_rows": call(coded.has_rows, (0,)),
        "CodedWeight.product": call(coded.product, real(3, 6), matrices=1),
        "FrozenWeights": call(nn.FrozenWeights, nn.Adam(0.1), {"w": lambda a: a > 0}),
        "FrozenWeights.start": call(frozen.start, {"w": w.copy()}),
        "FrozenWeights.update": call(frozen.update, {"w": w.copy()}, {"w": real(4, 6)}, state, 1, 1.0),
        "OscillationTracker": call(nn.OscillationTracker, codes),
        "OscillationTracker.oscillating": call(tracker.oscillating, per_step=0.1),
        "OscillationTracker.update": call(tracker.update, codes),
        "StatisticsQuantizer": call(nn.StatisticsQuantizer, w, 2),
        "StatisticsQuantizer.codes": call(statistics.codes, statistics.start()),
        "freeze_mask": call(nn.freeze_mask, w, 2, 0.01),
        "group_neurons": call(nn.group_neurons, w, 2),
        "k_means_1d": call(nn.k_means_1d, real(20), 3, maxiter=5),
        "neuron_order": call(nn.neuron_order, groups),
        "pack_codes": call(nn.pack_codes, codes, 2),
        "product_logits": call(nn.product_logits, real(1, 3, 6), real(2, 6, 6)),
        "query_key_product": call(nn.query_key_product, w, real(4, 6), 2),
        "statistics_codes": call(nn.statistics_codes, w, 2),
        "statistics_quantize": call(nn.statistics_quantize, w, 2),
        "unpack_codes": call(nn.unpack_codes, packed, 2, 24),
    }


def _kernels() -> dict[str, Call]:
    """Maps of the weights of convolutions."""
    made: dict[str, Call] = {"CPKernels.create": call(nn.CPKernels.create, (2, 3, 3, 3), 2, seed=0, dtype=np.float64)}
    for kind in (nn.CPKernels, nn.SeparableKernels):
        one = kind.from_dense(real(2, 3, 3, 3), 2, seed=0)
        weight, residuals = one.forward(one.start())
        methods = {
            "from_dense": call(kind.from_dense, real(2, 3, 3, 3), 2, seed=0),
            "apply": call(one.apply, real(1, 3, 5, 4), one.start(), boundary="zeros"),
            "vjp": call(one.vjp, weight, residuals),
            "from_change": call(kind.from_change, weight, one.change(one.start())),
            **{m: call(getattr(one, m), one.start()) for m in ("forward", "fold", "change")},
        }
        made[kind.__name__] = call(kind, one.start())
        made |= {f"{kind.__name__}.{m}": each for m, each in methods.items()}
    return made


def _nn() -> dict[str, Call]:
    x, image, w = real(2, 3), real(2, 4, 6), real(4)
    spd = np.diag([1.0, 2.0, 4.0])[None, None] + np.zeros((2, 1, 1, 1))
    net = nn.SPDNet((3, 2), 2, dtype=np.float64)
    optimizers = {
        kind.__name__: call(kind, 1e-3, **options)
        for kind, options in (
            (nn.Adam, {"betas": (0.9, 0.99), "eps": 1e-8}),
            (nn.AdamW, {"weight_decay": 0.1}),
            (nn.AdamP, {"delta": 0.1, "scale_invariant": {"w": "channel"}}),
            (nn.SGDP, {"momentum": 0.5, "wd_ratio": 0.2}),
            (nn.MFAC, {"window": 4, "damping": 1e-3, "momentum": 0.5, "weight_decay": 0.1}),
        )
    }
    collect = call(nn.collect_activations, lambda x: nn.tanh(x), x, layers=["tanh_0"], batch_size=2)
    unary = {f.__name__: call(f, x) for f in (nn.gelu, nn.relu, nn.silu, nn.tanh, nn.negative)}
    smooth = {f.__name__: call(f, x) for f in (nn.exp, nn.sin, nn.cos, nn.absolute, nn.sigmoid, nn.softplus)}
    positive = {f.__name__: call(f, 1 + x * x) for f in (nn.log, nn.sqrt)}
    larger = {f.__name__: call(f, x, real(3)) for f in (nn.maximum, nn.minimum)}
    binary = {f.__name__: call(f, x, real(3)) for f in (nn.add, nn.subtract, nn.multiply, nn.divide)}
    return {
        **_curvature(),
        **_roles(),
        **_maps(),
        **_quantized(),
        **_kernels(),
        "collect_activations": collect,
        **optimizers,
        **unary,
        **binary,
        **smooth,
        **positive,
        **larger,
        "clip": call(nn.clip, x, a_min=-1.0, a_max=1.0),
        "directional_derivatives": call(nn.directional_derivatives, lambda x: nn.tanh(x), x, real(3), order=2),
        "Draws": call(nn.Draws, 0, 3, 1),
        "Draws.uniform": call(nn.Draws(0, 3).uniform, "a", (2, 3)),
        "dropout": call(nn.dropout, x, 0.5, nn.Draws(0, 3), name="a"),
        "flatten_tree": call(nn.flatten_tree, {"a": [x, x]}),
        "rounded": call(nn.rounded, {"w": real(3, dtype=np.float32)}, "bfloat16"),
        "unflatten_tree": call(nn.unflatten_tree, {"a.0": x}, {"a": [x]}),
        "take": call(nn.take, x, np.array([1, 0]), axis=0),
        "take_along_axis": call(nn.take_along_axis, x, np.array([[0], [2]]), axis=1),
        "where": call(nn.where, x > 0, x, real(3)),
        "Adam.start": call(nn.Adam().start, GRADIENTS),
        # Parameters of its own, which a spoiled call changes in place.
        "Adam.update": call(
            nn.Adam().update, {"w": real(3), "v": real(2, 2)}, GRADIENTS, nn.Adam().start(GRADIENTS), 1, 1.0
        ),
        "Checkpoint": call(nn.Checkpoint, 1, GRADIENTS, {}, np.array([0.5])),
        "ModelState": call(nn.ModelState, "line", {"degree": 1}, GRADIENTS),
        "Op": call(nn.Op, abs, abs),
        "Standardizer": call(nn.Standardizer, real(1, 2, 1), real(1, 2, 1) ** 2 + 1),
        "Standardizer.fit": call(nn.Standardizer.fit, image),
        "Standardizer.encode": call(nn.Standardizer.fit(image).encode, image),
        "Standardizer.decode": call(nn.Standardizer.fit(image).decode, image),
        "Tape": call(lambda arrays: nn.Tape().watch(arrays), x),
        "Variable": call(nn.Variable, x, nn.Tape()),
        "allreduce_gradients": call(nn.allreduce_gradients, GRADIENTS, 0.5, 1.0),
        "GBWBatchNorm": call(nn.GBWBatchNorm, 1, 3, theta=0.5, momentum=0.5, eps=1e-3, margin=0.1),
        "GBWBatchNorm.parameters": call(nn.GBWBatchNorm(1, 3).parameters, scale=0.5),
        "GBWBatchNorm.statistics": call(nn.GBWBatchNorm(1, 3).statistics),
        "SPDNet": call(nn.SPDNet, (3, 2), 2, batch_norm=False, scale=0.5, threshold=1e-3, seed=0),
        "SPDNet.calibrate": call(net.calibrate, spd, batch_size=1),
        "SPDNet.forward": call(net.forward, net.parameters, spd, training=True),
        "SPDNet.with_parameters": call(net.with_parameters, net.parameters),
        "bures_barycenter": call(nn.bures_barycenter, spd),
        "bimap": call(nn.bimap, spd, real(2, 1, 2, 3)),
        "logeig": call(nn.logeig, spd),
        "matrix_function": call(nn.matrix_function, spd, name="power", exponent=0.5),
        "positive_definite": call(nn.positive_definite, real(3, 3), exponent=0.5),
        "reeig": call(nn.reeig, spd, threshold=0.5),
        "semi_orthogonal": call(nn.semi_orthogonal, real(2, 3)),
        "average_pool": call(nn.average_pool, real(1, 2, 4, 4, 4), window=2, stride=2, padding=0),
        "channel_scale": call(nn.channel_scale, image, w),
        "checkpoint": call(nn.checkpoint, nn.gelu, x),
        "coherence": call(nn.coherence, real(4, 3)),
        "equiangular_logits": call(nn.equiangular_logits, real(2, 3), real(4, 3), temperature=0.1),
        "equiangular_vectors": call(nn.equiangular_vectors, 4, 3, below=0.5, seed=1, maxiter=50),
        "welch_bound": call(nn.welch_bound, 4, 3),
        "clip_by_global_norm": call(nn.clip_by_global_norm, GRADIENTS, 1.0),
        "concatenate": call(nn.concatenate, x, x, axis=0),
        "constant": call(nn.constant, 1.0),
        "convolve": call(
            *(nn.convolve, real(1, 2, 4, 4, 4), real(4, 1, 3, 3, 3), real(4)),
            **{"stride": 2, "dilation": 1, "padding": "same", "boundary": "zeros", "groups": 2},
        ),
        "convolve_transposed": call(
            *(nn.convolve_transposed, real(1, 2, 4, 4), real(2, 3, 2, 2), real(3)),
            **{"stride": 2, "dilation": 1, "padding": 0, "boundary": "zeros", "groups": 1, "size": (8, 9)},
        ),
        "copy_to_ranks": call(nn.copy_to_ranks, x),
        "cosine": call(nn.cosine, 10.0, 0.1),
        "count_parameters": call(nn.count_parameters, GRADIENTS),
        "crop": call(nn.crop, x, ((0, 1), (1, 1))),
        "cross_entropy": call(nn.cross_entropy, x, np.array([0, 2])),
        "einsum": call(nn.einsum, "bi,io->bo", x, real(3, 2)),
        "embedding": call(nn.embedding, x, np.array([1, 0])),
        "gather_tokens": call(nn.gather_tokens, x, axis=-2),
        "global_norm": call(nn.global_norm, GRADIENTS),
        "evonorm_b0": call(nn.evonorm_b0, image, w, w, w, statistics=None, training=True, momentum=0.1, eps=1e-5),
        "evonorm_s0": call(nn.evonorm_s0, image, w, w, w, groups=2, eps=1e-5),
        "group_norm_relu": call(nn.group_norm_relu, image, w, w, image, groups=2, slope=0.1, eps=1e-5),
        "group_norm": call(nn.group_norm, image, w, w, groups=2, eps=1e-5),
        "value_and_input_gradient": call(
            nn.value_and_input_gradient, lambda v, x: (v["w"] * x**3).sum(axis=1), {"w": x}, x
        ),
        "input_gradient": call(nn.input_gradient, lambda v, x: (v["w"] * x**3).sum(), {"w": x}, x),
        "initial_normal": call(nn.initial_normal, 0, (2, 3), 0.1),
        "initial_uniform": call(nn.initial_uniform, 0, (2, 3), 3),
        "instance_norm": call(nn.instance_norm, image, eps=1e-5),
        "layer_norm": call(nn.layer_norm, x, real(3), real(3), eps=1e-5),
        "linear": call(nn.linear, x, real(4, 3), real(4)),
        "log_softmax": call(nn.log_softmax, x, axis=-1),
        "matmul": call(nn.matmul, x, real(3, 2)),
        "separable_conv": call(nn.separable_conv, real(1, 2, 4, 4), real(2, 3), real(2, 3), boundary="zeros"),
        "max_pool": call(nn.max_pool, real(1, 2, 4, 4), window=3, stride=2, padding="same"),
        "mean": call(nn.mean, x, axis=0, keepdims=False),
        "mean_squared_error": call(nn.mean_squared_error, x, x),
        "op": call(nn.op, vjp=abs),
        "pad": call(nn.pad, x, ((0, 1), (1, 1))),
        "pointwise_conv": call(nn.pointwise_conv, image, real(5, 4), real(5)),
        "prune": call(nn.prune, {"w": real(3)}, {"w": real(4, 3)}, 0.5, damping=0.1, names=["w"]),
        "power": call(nn.power, abs(x), exponent=2.0),
        "project_radial": call(nn.project_radial, x, x, "layer"),
        "radial_view": call(nn.radial_view, x, x, 0.1),
        "relative_lp": call(nn.relative_lp, image, target=image + 1, p=1.0),
        "absolute_lp": call(nn.absolute_lp, image, target=image + 1, p=3.0),
        "relative_sobolev": call(nn.relative_sobolev, image, target=image + 1, order=1.5),
        "pointwise_quantile": call(nn.pointwise_quantile, image, residuals=image + 1, alpha=0.2),
        "relative_h1": call(nn.relative_h1, image, target=image + 1, periodic=True),
        "relative_l2": call(nn.relative_l2, image, target=image + 1),
        "resample": call(nn.resample, real(1, 2, 4), size=8, method="linear", align_corners=False),
        "reshape": call(nn.reshape, x, shape=(3, 2)),
        "rms_norm": call(nn.rms_norm, x, real(3), eps=1e-6),
        "scale_shift": call(nn.scale_shift, x, scale=2.0, shift=real(3)),
        "scatter_sum": call(nn.scatter_sum, x, axis=-2),
        "select": call(nn.select, x, index=(0, slice(1))),
        "softmax": call(nn.softmax, x, axis=-1),
        "gaunt_product": call(nn.gaunt_product, real(4, 2), real(9, 2), degree=2, method="auto"),
        "clebsch_gordan_product": call(
            nn.clebsch_gordan_product, real(4, 2), real(4, 2), real(4), degree=1, parity="even"
        ),
        "scale_degrees": call(nn.scale_degrees, real(4, 2), real(2)),
        "spherical_harmonics": call(nn.spherical_harmonics, real(2, 3), degree=2, solid=True),
        "step_decay": call(nn.step_decay, 3.0, 0.5),
        "sum": call(nn.sum, x, axis=0, keepdims=True),
        "sum_over_ranks": call(nn.sum_over_ranks, x),
        "train": call(
            nn.train,
            _loss,
            {"w": np.zeros((1, 3))},
            (real(8, 3), real(8, 1)),
            optimizer=nn.Adam(0.05),
            epochs=1,
            batch_size=4,
            seed=0,
            shuffle=True,
            clip=1.0,
            schedule_each="epoch",
            accumulate=2,
            average=0.9,
            evaluate=lambda p: {"loss": 1.0},
            monitor="loss",
            patience=1,
            prefetch=1,
        ),
        "transpose": call(nn.transpose, x, axes=(1, 0)),
        "value_and_gradients": call(nn.value_and_gradients, lambda v: (v * v).sum(), x),
        "value_of": call(nn.value_of, x),
        "warm_up": call(nn.warm_up, 3.0),
    }


def _operators() -> dict[str, Call]:
    y = 1e-3 * FIELDS + 0.5
    return {
        "FNO": call(operators.FNO, (4, 4), 1, 1, 4, 2, seed=0),
        "FNO.call": call(FNO, FIELDS),
        "FNO.forward": call(FNO.forward, FNO.parameters, FIELDS),
        "SFNO": call(operators.SFNO, (4, 6), 1, 1, 4, 2, sphere="gauss-legendre"),
        "UNO": call(operators.UNO, *UNO_SHAPE, 1, 1, 4, norm="group", seed=0),
        "UNOConfig": call(operators.UNOConfig, *UNO_SHAPE, 1, 1, 4, domain_padding=0.125),
        "TFNO": call(operators.TFNO, (4, 4), 1, 1, 4, rank_fraction=0.5),
        "FNOConfig": call(operators.FNOConfig, (4, 4), 1, 1, 4, domain_padding=0.125, norm="group"),
        "MultigridPatches": call(operators.MultigridPatches, levels=1, padding=0.125),
        "MultigridPatches.split": call(CUT.split, PATCH_FIELDS),
        "MultigridPatches.stitch": call(CUT.stitch, CUT.targets(PATCH_FIELDS), (16, 16)),
        "MultigridPatches.crop": call(CUT.crop, CUT.split(PATCH_FIELDS), (16, 16)),
        "MultigridPatches.targets": call(CUT.targets, PATCH_FIELDS),
        "MultigridPatches.window": call(CUT.window, (16, 16)),
        "IncrementalModes": call(operators.IncrementalModes, "gradient", 4, 2, 0.1, 3, 2),
        "SpectralConv": call(operators.SpectralConv, CONV.parameters, CONV.form),
        "SpectralConv.create": call(operators.SpectralConv.create, 2, 3, (4, 4), factorization="cp", tensor_rank=2),
        "SpectralConv.call": call(CONV, real(1, 2, 8, 8, dtype=np.float32)),
        "TrainedOperator": call(operators.TrainedOperator, FNO),
        "TrainedOperator.call": call(operators.TrainedOperator(FNO), FIELDS, batch_size=2),
        "TrainingConfig": call(operators.TrainingConfig, epochs=1, batch_size=2, learning_rate=1e-3, loss="l2"),
        "WeightFormat": call(operators.WeightFormat, 2, 3, (4, 3), "tucker", 0.5),
        "WeightFormat.to_dense": call(FORM.to_dense, FORM.initialize(np.random.default_rng(0), np)),
        "as_fields": call(operators.as_fields, FIELDS, 2),
        "from_neuraloperator": call(operators.from_neuraloperator, {"fno_blocks.bias": np.ones(2)}),
        "neuraloperator_state": call(operators.neuraloperator_state, FNO),
        "patch_loss": call(operators.patch_loss, PATCHED, CUT),
        "predict_patches": call(operators.predict_patches, PATCHED, CUT, PATCH_FIELDS),
        "relative_errors": call(operators.relative_errors, FIELDS, y, periodic=True),
        "adapt_operator": call(
            operators.adapt_operator,
            *(operators.TrainedOperator(FNO), FIELDS, y),
            replace(CONFIG, weight_decay=0.0),
            rank=2,
            head=False,
            seed=0,
        ),
        "train_operator": call(operators.train_operator, FNO, FIELDS, y, CONFIG, tests={"t": (FIELDS, y)}, seed=0),
        "with_transposed": call(operators.with_transposed, FIELDS, FIELDS),
    }


def _spherical() -> dict[str, Call]:
    grid, field = spherical.SphereGrid(4, 8), real(2, 4, 8)
    a = spherical.spherical_transform(field, grid)
    return {
        "SphereGrid": call(spherical.SphereGrid, 4, 8, "equiangular"),
        "clebsch_gordan": call(spherical.clebsch_gordan, 1, 2, 2),
        "clebsch_gordan_product": call(
            spherical.clebsch_gordan_product, real(4, 2), real(4, 2), 1, parity="even", weights=real(4)
        ),
        "coupling_paths": call(spherical.coupling_paths, 1, 2, 2, "odd"),
        "gaunt_coefficients": call(spherical.gaunt_coefficients, 1, 2, 1),
        "gaunt_product": call(spherical.gaunt_product, real(3, 4, 2), real(3, 9, 1), 2, method="sparse"),
        "legendre_functions": call(spherical.legendre_functions, real(5) ** 2 % 3, 4, 3),
        "rotate_coefficients": call(spherical.rotate_coefficients, real(4, 2), np.eye(3), pseudo=True),
        "scale_degrees": call(spherical.scale_degrees, real(4, 2), real(2)),
        "wigner_matrices": call(spherical.wigner_matrices, np.eye(3), 2, pseudo=True),
        "spherical_harmonics": call(spherical.spherical_harmonics, real(5, 3), 2, solid=True),
        "spherical_harmonics_gradient": call(spherical.spherical_harmonics_gradient, real(5, 3), 2, solid=False),
        "spherical_transform": call(spherical.spherical_transform, field, grid, degrees=3, orders=2, exact=False),
        "spherical_synthesis": call(spherical.spherical_synthesis, a, grid, exact=True),
    }


def _solvers() -> dict[str, Call]:
    basis, alpha, beta = linalg.lanczos(A.matvec, A.size, 6)
    vectors = linalg.ritz_vectors(basis, alpha, beta)[1]
    return {
        "CycleModel": call(solvers.CycleModel, solvers.CycleModel.untrained().parameters),
        "CycleModel.train": call(solvers.CycleModel.train, sizes=(8,), steps=1),
        "DeepConjugateDirection": call(solvers.DeepConjugateDirection, 64, seed=0),
        "DeepConjugateDirection.call": call(DCDM, B),
        "DeepConjugateDirection.solve": call(DCDM.solve, SMALL, real(2, 2, 2), maxiter=1, k=2, rtol=1e-4),
        "DeepConjugateDirection.train": call(DCDM.train, SMALL, real(2, 8), epochs=1, batch_size=2),
        "DirectionLog": call(solvers.DirectionLog, []),
        "DoubleWell": call(solvers.DoubleWell, 2.0),
        "Energy": call(solvers.Energy, A, solvers.DoubleWell(2.0), f=B, diffusion=1.0, values=real(8, 8, 8)),
        "Energy.call": call(ENERGY, B),
        "Energy.change": call(ENERGY.change, B, B),
        "Energy.coefficient": call(ENERGY.coefficient, B),
        "Energy.gradient": call(ENERGY.gradient, B),
        "Energy.hessian": call(ENERGY.hessian, B),
        "Energy.reaction": call(ENERGY.reaction, B),
        "IonGas": call(solvers.IonGas, B * B, B, valences=(2, -1), numbers=(1.0, 2.0)),
        "MinimalSurface": call(solvers.MinimalSurface),
        "Minimum": call(solvers.Minimum, B, np.ones(2), np.ones(2), np.ones(1), np.array([1]), True, "newton", 0.1),
        "PLaplacian": call(solvers.PLaplacian, 3.0, regularization=0.1),
        "RidgeNetwork": call(solvers.RidgeNetwork, real(5, 2), real(5), 1.0, 0.5),
        "RidgeNetwork.call": call(solvers.RidgeNetwork(real(5, 2), real(5), 1.0, 0.5), real(3, 2)),
        "TorusDescent": call(solvers.TorusDescent, real(5), np.array([1.0, 0.5]), True),
        "barron_norm": call(solvers.barron_norm, real(5, 4), lengths=1.0),
        "fourier_modes": call(solvers.fourier_modes, real(5, 4), lengths=1.0),
        "ridge_sample": call(solvers.ridge_sample, real(4, 2), real(4), 3, seed=1),
        "torus_descent": call(
            solvers.torus_descent,
            *(lambda p: 1.5 * p, np.array([1.0, -2.0, 1.0]), (1.0, 2.0)),
            u0=real(3),
            lengths=1.0,
            rtol=0.1,
            maxiter=5,
        ),
        "minimize_energy": call(
            solvers.minimize_energy,
            *(ENERGY, B),
            method="lbfgs",
            rtol=0.1,
            atol=0.0,
            maxiter=3,
            memory=2,
            callback=np.shape,
        ),
        "FastPoisson": call(solvers.FastPoisson, A),
        "FastPoisson.matvec": call(solvers.FastPoisson(A).matvec, B),
        "IncompleteCholesky": call(solvers.IncompleteCholesky, A, 0.5),
        "IncompleteCholesky.matvec": call(solvers.IncompleteCholesky(A).matvec, B),
        "Deflation": call(solvers.Deflation, A, np.eye(A.size)[:, :2], solvers.Jacobi(A)),
        "Deflation.matvec": call(solvers.Deflation(A, np.eye(A.size)[:, :2]).matvec, B),
        "lowest_eigenvectors": call(
            solvers.lowest_eigenvectors, A, 2, M=solvers.Jacobi(A), rtol=0.5, maxiter=1, seed=0
        ),
        "subdomain_vectors": call(solvers.subdomain_vectors, A, (2, 2, 1)),
        "Jacobi": call(solvers.Jacobi, A),
        "Jacobi.matvec": call(solvers.Jacobi(A).matvec, B),
        "LearnedMultigrid": call(solvers.LearnedMultigrid, A, solvers.CycleModel.untrained()),
        "LearnedMultigrid.matvec": call(solvers.LearnedMultigrid(A).matvec, B),
        "LearnedMultigrid.solve": call(solvers.LearnedMultigrid(A).solve, B, B, rtol=1e-6, atol=0.0, maxiter=5),
        "Multigrid": call(solvers.Multigrid, A, smoothing=2, coarse="averaged", dtype="f4"),
        "Multigrid.matvec": call(solvers.Multigrid(A).matvec, B),
        "PoissonOperator": call(
            solvers.PoissonOperator, MASK, (1.0, 1.0, 2.0), "neumann", neumann_body=MASK, coefficient=B * B + 1
        ),
        "PoissonOperator.matvec": call(A.matvec, B),
        "PoissonOperator.with_reaction": call(A.with_reaction, B * B),
        "Spectrum": call(solvers.Spectrum, *SPECTRUM, null_size=1, preconditioner="ic"),
        "spectrum": call(solvers.spectrum, A, None, probes=2, steps=3, seed=1, name="none"),
        "PoissonOperator.apply": call(A.apply, B),
        "PoissonOperator.compress": call(A.compress, B),
        "PoissonOperator.expand": call(A.expand, B.ravel()),
        "PoissonOperator.project": call(A.project, B),
        "PoissonOperator.boundary_source": call(A.boundary_source, real(8, 8, 8)),
        "SolveResult": call(solvers.SolveResult, B, 1, np.array([1.0, 0.1]), True, 0.1),
        "block_slices": call(solvers.block_slices, (8, 8, 8), boundary="dirichlet"),
        "AlgebraicMultigrid": call(
            solvers.AlgebraicMultigrid,
            *(CSR, np.ones(CSR.shape[0])),
            symmetric=True,
            theta=0.25,
            degree=1,
            smoother="chebyshev",
            coarsest=50,
            dtype="f8",
            device="cpu",
        ),
        "AlgebraicMultigrid.matvec": call(solvers.AlgebraicMultigrid(CSR).matvec, ROWS),
        "SparseOperator": call(solvers.SparseOperator, CSR, device="cpu"),
        "SparseOperator.diagonal": call(solvers.SparseOperator(CSR).diagonal),
        "SparseOperator.matvec": call(solvers.SparseOperator(CSR).matvec, ROWS),
        **{
            name: call(getattr(solvers, name), CSR, b, b, **LIMITS, **more)
            for name, b, more in (
                ("fcg", ROWS, {"directions": 2}),
                ("minres", ROWS, {}),
                ("bicgstab", ROWS, {}),
                ("gmres", ROWS, {"restart": 5}),
                ("fgmres", ROWS, {"restart": 5}),
                ("block_cg", np.stack([ROWS, 2 * ROWS], axis=1), {}),
            )
        },
        "cg": call(solvers.cg, A, B, B, rtol=1e-6, atol=0.0, maxiter=20, M=solvers.Jacobi(A), callback=np.shape),
        "conjugate_directions": call(
            solvers.conjugate_directions, A, B, np.array, B, k=2, rtol=1e-6, atol=0.0, maxiter=20
        ),
        "iteration_traffic": call(solvers.iteration_traffic, A, solvers.Multigrid(A)),
        "line_search_loss": call(solvers.line_search_loss, real(2, 4), real(2, 4), apply=np.negative),
        "RitzSamples": call(solvers.RitzSamples, vectors, 2, lower=0.5, seed=0),
        "ritz_right_hand_sides": call(solvers.ritz_right_hand_sides, vectors, 2, lower=0.5, seed=0),
    }


def _sequence() -> dict[str, Call]:
    x, logits = real(1, 3, 4), real(1, 5, 6)
    steps = PLAN[0]
    return {
        "AttentionCost": call(sequence.AttentionCost, 1.0, 1.0, 1.0),
        "KeyValueCache": call(sequence.KeyValueCache, causal=True, window=(2, 0), slopes=np.array([0.1, 0.2])),
        "KeyValueCache.attend": call(sequence.KeyValueCache().attend, Q, Q, Q, scale=1.0),
        "KeyValueCache.keep": call(sequence.KeyValueCache().keep, Q, Q),
        "KeyValueCache.look": call(CACHE.look, Q, scale=1.0),
        "LanguageModelSize": call(sequence.LanguageModelSize, 24, 64),
        "LanguageModelSize.flops": call(sequence.LanguageModelSize(24, 64).flops, 2),
        "ParallelTransformer": call(sequence.ParallelTransformer, 8, 2, 2, 16, 11, GRID, "softmax"),
        "ParallelTransformer.loss_and_gradients": call(
            TRANSFORMER.loss_and_gradients, TRANSFORMER.whole(0), TOKENS, microbatches=1, schedule="1f1b"
        ),
        "ParallelTransformer.generate": call(
            TRANSFORMER.generate, TRANSFORMER.whole(0), TOKENS, 2, temperature=0.9, top_k=3, top_p=0.9, seed=1
        ),
        "ParallelTransformer.loss": call(TRANSFORMER.loss, TRANSFORMER.whole(0), np.zeros((2, 5), int)),
        "ParallelTransformer.own": call(TRANSFORMER.own, TRANSFORMER.whole(0)),
        "PipelineStep": call(sequence.PipelineStep, "forward", 0, 0),
        "RankGrid": call(sequence.RankGrid, None, None, None, None, None, None),
        "Simulation": call(sequence.Simulation, 1.0, 0.1, 0.1, (1.0,)),
        "State": call(sequence.State, 2, (real(1, 2, 4, 4),)),
        "TextWindows": call(sequence.TextWindows, b"abcdefgh", 3),
        "TransNormer": call(sequence.TransNormer, 8, 2, 2, 8, 256, MODEL.parameters),
        "TransNormer.create": call(
            sequence.TransNormer.create, seed=0, width=8, heads=2, layers=2, hidden=8, decays=[[0.1, 0.2], [0.1, 0.2]]
        ),
        "TransNormer.loss": call(MODEL.loss, MODEL.parameters, TOKENS, method="gather"),
        "TransNormer.prefill": call(MODEL.prefill, TOKENS, MODEL.prefill(TOKENS)[1]),
        "TransNormer.decode_step": call(MODEL.decode_step, TOKENS[0, :1], MODEL.prefill(TOKENS)[1]),
        "TransNormer.generate": call(MODEL.generate, b"ab", 2, temperature=1.0, top_k=3, top_p=0.9, seed=0),
        "attention_cost": call(sequence.attention_cost, 64, 2, 8, 4, method="ring"),
        "column_linear": call(sequence.column_linear, x, real(5, 4), real(5)),
        "transnormer_attention": call(sequence.transnormer_attention, GATED, x, lambda q, k, v: v, heads=2, start=0),
        "gated_unit": call(sequence.gated_unit, {"v": real(5, 4), "u": real(5, 4), "o": real(4, 5)}, x),
        "gated_linear_attention": call(
            *(sequence.gated_linear_attention, Q, Q, Q, np.abs(Q), np.abs(Q[..., 0]), real(2, 3, 3)),
            segments=np.zeros(Q.shape[-2], int),
        ),
        "gated_linear_step": call(
            *(sequence.gated_linear_step, real(2, 3), real(2, 3), real(2, 3), np.array([0.1, 0.2])),
            *(np.array([0.5, 0.2]), real(2, 3, 3)),
        ),
        "lightning_attention": call(sequence.lightning_attention, Q, Q, Q, np.array([0.1, 0.2]), real(2, 3, 3)),
        "lightning_step": call(sequence.lightning_step, real(2, 3), real(2, 3), real(2, 3), np.array([0.1, 0.2])),
        "linformer_attention": call(sequence.linformer_attention, Q, Q, Q, real(2, 4), real(2, 4), scale=1.0),
        "lrpe": call(sequence.lrpe, Q, real(2, 3), start=1),
        "merge_attention": call(sequence.merge_attention, Q, real(2, 4), Q, real(2, 4)),
        "parallel_attention": call(sequence.parallel_attention, HEADS, x, mixes, 2),
        "parallel_mlp": call(sequence.parallel_mlp, MLP, x),
        "peak_in_flight": call(sequence.peak_in_flight, steps, 1),
        "pipeline_bubble": call(sequence.pipeline_bubble, 2, 4, 1),
        "pipeline_bytes": call(sequence.pipeline_bytes, 2, 1, 64, 8),
        "pipeline_schedule": call(sequence.pipeline_schedule, "1f1b", 2, 4),
        "polynomial_degree": call(sequence.polynomial_degree, 1.0, 1e-3),
        "polynomial_rank": call(sequence.polynomial_rank, 4, 5),
        "rank_grid": call(sequence.rank_grid, None, tensor=1),
        "row_linear": call(sequence.row_linear, x, real(5, 4), real(5)),
        "run_pipeline": call(
            sequence.run_pipeline, PLAN, lambda *_: (np.ones(2), None), lambda *_: np.ones(2), shape=(2,), dtype=float
        ),
        "simple_rms_norm": call(sequence.simple_rms_norm, x, eps=1e-6),
        "simulate": call(sequence.simulate, PLAN, 1.0, 2.0, 0.1),
        "PairScore": call(sequence.PairScore, lambda p, i, j: p, lambda p, i, j, dbias: p),
        "softmax_attention": call(
            sequence.softmax_attention,
            *(Q, Q, Q, real(4, 4), real(2)),
            causal=True,
            scale=1.0,
            method="ring",
            window=(2, 0),
            sink_tokens=1,
            offset=0,
            cap=2.0,
            slopes=[0.1, 0.2],
            mask=np.ones((4, 4), bool),
            dropout=0.1,
            seed=1,
            segments=np.zeros(4, int),
            key_segments=np.zeros(4, int),
        ),
        "triples": call(sequence.triples, np.array([1, 2, 5]), 9),
        "tensor_attention": call(sequence.tensor_attention, Q, Q, Q, Q, Q, method="exact", tol=1e-6),
        "tensor_parallel_bytes": call(sequence.tensor_parallel_bytes, 1, 64, 8, 2),
        "token_loss": call(sequence.token_loss, logits, TOKENS, total=5),
        "training_days": call(sequence.training_days, 1e9, 1e9, 8, 1e12),
        "transnormer_decays": call(sequence.transnormer_decays, 4, 0, 2),
        "vocabulary_cross_entropy": call(
            sequence.vocabulary_cross_entropy, logits, TOKENS[0, :5][None], vocabulary=6, total=5
        ),
        "vocabulary_embedding": call(sequence.vocabulary_embedding, real(6, 4), TOKENS, vocabulary=6),
    }


def _scaling() -> dict[str, Call]:
    x, ratios = np.geomspace(1, 100, 6), np.stack([np.linspace(0.1, 0.9, 6), np.linspace(0.9, 0.1, 6)], axis=1)
    law, other = scaling.PowerLaw(1.0, (1.0,), (0.5,), (1.0,)), scaling.PowerLaw(1.0, (1.0,), (0.7,), (2.0,))
    fit = scaling.fit_power_law(x, 1 + x**-0.5, samples=20)
    points = [real(5, 2), real(6, 2)]
    layer, staged = ("a", 4, 8, 3, (6, 6)), scaling.StagedNetwork((2, 2), (8, 16), (1, 2), 32)

    def forward(p: Any, x: Any) -> Any:
        return nn.linear(x, p["w"])

    def loss(p: Any, batch: Any) -> Any:
        return nn.mean_squared_error(forward(p, batch[0]), batch[1])

    taken = scaling.TrainingMemory(1, 2, 3, 4, 5)
    plan = scaling.TrainingPlan({"width": 8}, 10, 4, 5, taken, loss=1.0)
    two = scaling.PowerLaw(1.0, (1.0, 1.0), (0.5, 0.5), (1.0, 1.0))
    settings = {"operations": 1e3, "memory": 1e3, "batch": 4, "law": two}
    weights, batch = {"w": real(2, 3)}, (real(5, 3), real(5, 2))
    return {
        "Counts": call(scaling.Counts, 1, 2, 3),
        "LayerCounts": call(scaling.LayerCounts, "a", 1, 2, 3),
        "Memory": call(scaling.Memory, 1, 2),
        "TrainingMemory": call(scaling.TrainingMemory, 1, 2, 3, 4, 5),
        "ScaleFactors": call(scaling.ScaleFactors, 1.0, 2.0, 1.0, 2),
        "ScaledNetwork": call(scaling.ScaledNetwork, staged, staged.counts(), staged.counts(), 1.0),
        "Layer": call(scaling.Layer, *layer, groups=2, bias=True, norm=True),
        "StagedNetwork": call(scaling.StagedNetwork, (2, 2), (8, 16), (1, 2), 32, classes=3, stem=(8, 3, 1)),
        "TrainingPlan": call(scaling.TrainingPlan, {"width": 8}, 10, 4, 5, taken, loss=1.0),
        "best_plan": call(scaling.best_plan, [plan], 10.0),
        "plan_training": call(scaling.plan_training, [{"width": 8}], lambda options, b: (10, taken), **settings),
        "count": call(scaling.count, forward, weights, batch[0]),
        "count_layers": call(scaling.count_layers, [scaling.Layer(*layer)]),
        "inference_memory": call(scaling.inference_memory, forward, weights, batch[0]),
        "scale_factors": call(scaling.scale_factors, 2.0, 0.5, ndim=3, fixed_grid=True),
        "scale_network": call(scaling.scale_network, staged, 2.0, 0.5),
        "training_memory": call(scaling.training_memory, loss, weights, batch, nn.Adam()),
        "ComputeOptimum": call(scaling.ComputeOptimum, 1.0, 2.0, 0.5),
        "PerceptronError": call(scaling.PerceptronError, 0.25, 0.7, 0.3),
        "PowerLaw": call(scaling.PowerLaw, 1.0, (1.0,), (0.5,), (1.0,)),
        "PowerLawFit": call(scaling.PowerLawFit, law, fit.samples, fit.noise, fit.x, fit.loss, seed=1),
        "InformationGain": call(scaling.InformationGain, fit, fit, 0.1, 0.0, 1.0, (0.0, 0.2)),
        "information_gain": call(scaling.information_gain, fit, fit),
        "MixturePredictor": call(scaling.MixturePredictor, points, points[0], np.ones(6), 0.0, 0.5),
        "compute_optimum": call(
            scaling.compute_optimum, scaling.PowerLaw(1.0, (1.0, 1.0), (0.5, 0.5), (1.0, 1.0)), 1e6, factor=6.0
        ),
        "crossovers": call(scaling.crossovers, law, other, 1.0, 10.0),
        "extrapolate": call(scaling.extrapolate, (1.0, 2.0), (0.5, 0.6), 4.0, map="power"),
        "fit_mixture": call(scaling.fit_mixture, points, points[0], ratios, np.linspace(0.5, 0.6, 6), reg=5.0),
        "fit_power_law": call(scaling.fit_power_law, x, 1 + x**-0.5, runs=[0, 1, 2, 3, 4, 5], samples=20, seed=1),
        "flip_probability": call(scaling.flip_probability, fit, fit, 10.0),
        "frontier": call(scaling.frontier, x, 1 / x),
        "one_pass_loss": call(
            scaling.one_pass_loss, real(3) ** 2, real(3), [0, 1], rate=0.1, batch=2, noise=0.1, decay=0.1, start=real(3)
        ),
        "perceptron_error": call(scaling.perceptron_error, 2.0, 0.5),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {
    "nn": _nn,
    "scaling": _scaling,
    "spherical": _spherical,
    "operators": _operators,
    "solvers": _solvers,
    "sequence": _sequence,
}
