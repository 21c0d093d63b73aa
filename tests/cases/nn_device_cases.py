"""Ops, losses, optimizers and training of sci.nn on either side, for `device_cases`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import op_cases

from sci import nn
from sci.backend import to_device, to_host
from sci.nn.ops.products import outer_sum

Answers = list[np.ndarray]
RNG = np.random.default_rng(31)
X, Y = RNG.normal(size=(24, 2, 6)), RNG.normal(size=(24, 1, 6))
MATRICES = op_cases.spd(12, 1, 5)
WEIGHTS = {"w": RNG.normal(size=(3, 2)), "b": RNG.normal(size=3), "z": RNG.normal(size=(1, 3)) + 1j}


def _moved(value: Any, xp: ModuleType) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(v, xp) for v in value)
    if isinstance(value, dict):
        return {name: _moved(v, xp) for name, v in value.items()}
    return to_device(value, xp) if isinstance(value, np.ndarray) else value


def every_op(xp: ModuleType) -> Answers:
    answers = []
    for name, args, options in op_cases.OPS:
        op = getattr(nn, name)
        out, residuals = op.forward(*(_moved(a, xp) for a in args), **{k: _moved(v, xp) for k, v in options.items()})
        dout = to_device(np.cos(np.arange(out.size)).reshape(out.shape), xp).astype(out.dtype)
        answers += [to_host(a) for a in (out, *op.vjp(dout, residuals)) if a is not None]
    return answers


def normalizing(xp: ModuleType) -> Answers:
    x = to_device(X, xp)
    found = []
    for pointwise in (False, True):
        n = nn.Standardizer.fit(x, pointwise=pointwise)
        found += [n.encode(x), n.decode(x)]
    return [to_host(a) for a in found]


def _loss(v: dict, batch: tuple) -> Any:
    h = nn.gelu(nn.pointwise_conv(batch[0], v["w"], v["b"]))
    h = nn.checkpoint(nn.pointwise_conv, h, v["z"])
    h = nn.multiply(h, h)
    real = _real(h)
    return nn.relative_l2(real, target=batch[1])


def _real_vjp(dout: Any, dtype: Any) -> tuple:
    return (dout.astype(dtype),)


@nn.op(vjp=_real_vjp)
def _real(x: Any) -> tuple:
    return x.real.copy(), x.dtype


def training(xp: ModuleType) -> Answers:
    start, data = {n: to_device(p, xp) for n, p in WEIGHTS.items()}, (to_device(X, xp), to_device(Y, xp))
    answers = []
    for optimizer in (nn.Adam(1e-2), nn.AdamW(1e-2), nn.AdamP(1e-2), nn.SGDP(1e-2)):
        half = nn.train(_loss, start, data, optimizer=optimizer, epochs=1, batch_size=10, clip=0.1)
        done = nn.train(_loss, start, data, optimizer=optimizer, epochs=2, batch_size=10, clip=0.1, resume=half)
        answers += [done.losses, *(to_host(p) for p in done.parameters.values())]
    return answers


def _outputs(v: dict, batch: tuple) -> Any:
    h = nn.gelu(nn.pointwise_conv(batch[0], v["w"], v["b"]))
    return _real(nn.pointwise_conv(h, v["z"]))


def curvature(xp: ModuleType) -> Answers:
    start, data = {n: to_device(p, xp) for n, p in WEIGHTS.items()}, (to_device(X, xp), to_device(Y, xp))
    loss = lambda z, batch: nn.relative_l2(z, target=batch[1])  # noqa: E731
    product = nn.GaussNewton(_outputs, loss, start, data)
    answers = [to_host(product(to_device(np.cos(np.arange(product.size)), xp)))]
    device: Any = "cpu" if xp is np else "cuda"
    spectrum = nn.curvature_spectrum(product, product.size, leading=2, steps=8, probes=2, device=device)
    batches = nn.batch_curvature(_outputs, loss, start, data, [3, 12], batches=2, steps=6)
    return [*answers, spectrum.leading, np.array([spectrum.trace]), batches.largest, np.array([batches.spread])]


def long_rows(xp: ModuleType) -> Answers:
    """Rows that a device cuts, with and without a rest."""
    rng = np.random.default_rng(8)
    pairs = [[to_device(rng.normal(size=(2, n, points)), xp) for n in (3, 4)] for points in (1000, 1024, 1543)]
    return [to_host(outer_sum(a, b)) for a, b in pairs]


def positive_definite_matrices(xp: ModuleType) -> Answers:
    """A network with batch normalization: training, running statistics, evaluation."""
    device: Any = "cpu" if xp is np else "cuda"
    options = {"theta": 0.5, "scale": 0.5, "hidden_channels": 2, "dtype": np.float64}
    model = nn.SPDNet((5, 4, 3), 2, **options, device=device)
    data = to_device(MATRICES, xp), to_device(np.arange(12) % 2, xp)
    settings = {"optimizer": nn.Adam(1e-2), "epochs": 2, "batch_size": 8, "buffers": model.statistics}
    done = nn.train(model.loss(), model.parameters, data, **settings)
    trained = model.with_parameters(done.parameters).calibrate(data[0], batch_size=6)
    arrays = (trained(data[0]), *done.parameters.values(), *trained.statistics.values())
    return [done.losses, *(to_host(a) for a in arrays)]


def volumes(xp: ModuleType) -> Answers:
    """U-Nets of every norm: a training, its labels as a whole and in boxes."""
    device: Any = "cpu" if xp is np else "cuda"
    rng, found = np.random.default_rng(12), []
    x, labels = rng.normal(size=(4, 1, 8, 12)), rng.integers(0, 3, size=(4, 8, 12))
    data = to_device(x, xp), to_device(labels, xp)
    for norm, scaling in (("instance", "learned"), ("evonorm_s0", "decay"), ("evonorm_b0", "none")):
        config = nn.UNetConfig(2, 1, 3, (4, 6), norm=norm, groups=2, skip_scaling=scaling)
        network = nn.UNet(config, seed=2, dtype=np.float64, device=device)
        segmenter, history = nn.train_segmenter(network, *data, epochs=2, batch_size=2)
        _, outputs = nn.apply_in_boxes(segmenter.network, data[0][0], box=4)
        found += [history.losses, to_host(segmenter.network(data[0])), to_host(outputs)]
        found += [nn.dice_scores(segmenter(data[0]), data[1], 3), to_host(segmenter.segment(data[0][0], box=4)[1])]
    return found


def groups(xp: ModuleType) -> Answers:
    """Layers over linear maps of the plane and of space, their gradients, and coordinates of elements."""
    device: Any = "cpu" if xp is np else "cuda"
    found, rng = [], np.random.default_rng(14)
    for n in (2, 3):
        group = nn.LinearGroup(n, special=n == 3)
        samples = group.sample(3, seed=n, spread=0.2, device=device)
        lift = nn.SirenKernel(n, 2, width=3, dtype=np.float64, device=device)
        mix = nn.SirenKernel(n + group.n_features, 2, width=3, dtype=np.float64, device=device)
        x = to_device(rng.normal(size=(1, 1, *[4] * n)), xp)

        def loss(v: dict) -> Any:
            lifted = nn.lifting_convolution(x, lambda p: lift(v["lift"], p), samples.elements, taps=3)  # noqa: B023
            mixed = nn.group_convolution(lifted, lambda *c: mix(v["mix"], *c), samples, group=group, taps=3)  # noqa: B023
            return nn.integrate_group(mixed, samples).sum()  # noqa: B023

        value, gradients = nn.value_and_gradients(loss, {"lift": lift.parameters, "mix": mix.parameters})
        found += [to_host(a) for a in (xp.asarray(value), *gradients["lift"].values(), *gradients["mix"].values())]
        found += [to_host(group.coordinates(samples.elements)), to_host(samples.weights)]
    return found


CASES: tuple[Callable[[ModuleType], Answers], ...] = (
    *(every_op, normalizing, long_rows, training, curvature),
    positive_definite_matrices,
    volumes,
    groups,
)
