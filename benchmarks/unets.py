"""Training steps of U-Nets beside the same networks in PyTorch, float32, one thread, CPU seconds, in one run.

    OMP_NUM_THREADS=1 python benchmarks/unets.py [--only steps|norms|skips]

`steps`: loss and gradients of all parameters from the same weights, whose losses must agree; a ratio above 1 means
that PyTorch (extra `peers`) is that much slower. `norms`: what each norm reaches on level sets of noisy potentials,
where a level matters. `skips`: the scatter of the loss of a deep U-Net over seeds and steps, by factors of the skips.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci import nn
from sci.potentials import Particles, Yukawa, direct_sum

REPEATS = 5


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU time of `run`."""
    run()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def torch_loss(config: nn.UNetConfig, p: Mapping[str, Any], x: Any, labels: Any) -> Any:
    """Return the loss of the U-Net with these parameters in PyTorch: strides, instance norm, Dice and cross-entropy."""
    import torch
    from torch.nn import functional as F

    conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[config.axes]
    point = (1,) * config.axes

    def layer(name: str, x: Any, stride: int = 1) -> Any:
        w = p[f"{name}.weight"]
        w = w if w.ndim > 2 else w.reshape(*w.shape, *point)
        return conv(x, w, p[f"{name}.bias"], stride=stride, padding=w.shape[-1] // 2)

    def stage(name: str, x: Any, depth: int, stride: int = 1) -> Any:
        for block in range(depth):
            at, step = f"{name}.{block}", stride if block == 0 else 1
            inner = F.instance_norm(
                layer(f"{at}.conv1", x, step), weight=p[f"{at}.norm1.weight"], bias=p[f"{at}.norm1.bias"]
            )
            inner = layer(f"{at}.conv2", F.leaky_relu(inner, 0.01))
            inner = F.instance_norm(inner, weight=p[f"{at}.norm2.weight"], bias=p[f"{at}.norm2.bias"])
            x = F.leaky_relu(inner + (layer(f"{at}.shortcut", x, step) if block == 0 else x), 0.01)
        return x

    skips = []
    for k, depth in enumerate(config.depths):
        x = stage(f"encoder.{k}", x, depth, 2 if k else 1)
        skips.append(x)
    x, terms = skips.pop(), []
    for level in reversed(range(len(skips))):
        up = layer(f"decoder.{level}.mix", F.interpolate(x, scale_factor=2, mode="nearest"))
        x = stage(f"decoder.{level}", torch.cat([up, skips.pop()], 1), config.depths[level])
        own = labels[(slice(None), *[slice(None, None, 2**level)] * config.axes)]
        logits, hot = layer(f"heads.{level}", x), F.one_hot(own, config.out_channels).movedim(-1, 1)
        grid, q = tuple(range(2, x.ndim)), torch.softmax(logits, 1)
        dice = (2 * (q * hot).sum(grid) + 1e-5) / (q.sum(grid) + hot.sum(grid) + 1e-5)
        terms.append(0.5**level * (F.cross_entropy(logits, own) + 1 - dice.mean()))
    return sum(terms) / sum(0.5**level for level in range(len(terms)))


def steps() -> None:
    """Print the time of a step, ours and PyTorch's, and both losses."""
    import torch

    torch.set_num_threads(1)
    cases = {
        "32^3, 16 to 64 channels": (nn.UNetConfig(3, 1, 4, (16, 32, 64)), (1, 1, 32, 32, 32)),
        "64^2, 16 to 128 channels": (nn.UNetConfig(2, 1, 4, (16, 32, 64, 128)), (4, 1, 64, 64)),
        "64^2, STU-Net small": (nn.stunet_config("small", 1, 4, axes=2), (2, 1, 64, 64)),
    }
    print(f"{'U-Net':28s} {'sci':>9s} {'torch':>9s} {'ratio':>6s}   losses")
    for name, (config, shape) in cases.items():
        rng = np.random.default_rng(0)
        model, x = nn.UNet(config), rng.normal(size=shape).astype("f4")
        labels = rng.integers(0, 4, size=(shape[0], *shape[2:]))
        loss, tx, tl = model.loss(), torch.tensor(x), torch.tensor(labels)
        tensors = {key: torch.tensor(a, requires_grad=True) for key, a in model.parameters.items()}

        def ours(loss=loss, model=model, x=x, labels=labels) -> Any:
            return nn.value_and_gradients(lambda p: loss(p, (x, labels)), model.parameters)[0]

        def theirs(config=config, tensors=tensors, tx=tx, tl=tl) -> Any:
            value = torch_loss(config, tensors, tx, tl)
            torch.autograd.grad(value, list(tensors.values()), allow_unused=True)
            return value.detach()

        values = float(ours()), float(theirs())
        assert abs(values[0] - values[1]) < 1e-4 * abs(values[1]), values
        mine, peer = seconds(ours), seconds(theirs)
        print(
            f"{name:28s} {mine * 1e3:6.1f} ms {peer * 1e3:6.1f} ms {peer / mine:6.2f}   {values[0]:.6f} {values[1]:.6f}"
        )


def level_sets(count: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy screened potentials on n^3 cells of width 1/16, and two of their level sets as labels."""
    rng, axis = np.random.default_rng(seed), (np.arange(n) + 0.5) / 16
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    number, fields, labels = 3 * (n // 16) ** 3, [], []
    for _ in range(count):
        particles = Particles(n / 16 * rng.random((number, 3)), np.where(np.arange(number) % 3 < 2, 1.0, -1.0))
        potential = direct_sum(particles, cells, kernel=Yukawa(2.0)).reshape(n, n, n)
        labels.append(1 + (potential > 1.5) - (potential < -0.5).astype(int))
        fields.append(np.clip(potential, -8, 8) + 0.2 * rng.normal(size=potential.shape))
    return np.array(fields, np.float32)[:, None], np.array(labels)


def norms() -> None:
    """Print Dice on held-out fields by norm, means over three seeds, and the last loss of a denoiser at batch 1."""
    x, labels = level_sets(16, 16, 0)
    tests = {"16^3": level_sets(4, 16, 1), "32^3": level_sets(2, 32, 2)}
    clean = np.stack([np.clip(f, -2, 2) for f in x])
    print(f"{'norm':12s} {'Dice 16^3':>10s} {'Dice 32^3':>10s} {'denoising, batch 1':>20s}")
    for norm in ("instance", "group", "evonorm_s0", "evonorm_b0"):
        dice: dict[str, list[float]] = {name: [] for name in tests}
        errors = []
        for seed in range(3):
            network = nn.UNet(nn.UNetConfig(3, 1, 3, (4, 8, 8), norm=norm, groups=2), seed=seed)
            rate = nn.AdamW(1e-2)
            segmenter, _ = nn.train_segmenter(network, x, labels, epochs=40, optimizer=rate, seed=seed)
            for name, (fields, truth) in tests.items():
                dice[name].append(float(nn.dice_scores(segmenter(fields), truth, 3).mean()))
            one = nn.UNet(nn.UNetConfig(3, 1, 1, (4, 8, 8), norm=norm, groups=2), seed=seed)

            def loss(p: Any, batch: Any, one: nn.UNet = one) -> Any:
                return nn.mean_squared_error(one.forward(p, batch[0], training=True, levels=1)[0], batch[1])

            noisy = clean + 0.5 * np.random.default_rng(seed).normal(size=clean.shape).astype("f4")
            settings = {"optimizer": nn.AdamW(3e-3), "epochs": 20, "batch_size": 1, "schedule": nn.cosine(20)}
            done = nn.train(loss, one.parameters, (noisy, clean), **settings, buffers=one.statistics, seed=seed)
            errors.append(float(done.losses[-16:].mean()))
        means = [statistics.mean(dice[name]) for name in tests]
        print(
            f"{norm:12s} {means[0]:10.3f} {means[1]:10.3f} "
            f"{statistics.mean(errors):14.4f} +- {statistics.stdev(errors):.4f}"
        )


def skips() -> None:
    """Print mean and scatter of the loss of a deep U-Net by factors of its skips, over seeds and steps."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 1, 64)).cumsum(axis=2).astype("f4")
    x = (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)
    noisy = x + 0.5 * rng.normal(size=x.shape).astype("f4")
    print(f"{'skips':10s} {'last loss':>10s} {'over seeds':>11s} {'over steps':>11s}")
    for kind in ("none", "root_half", "decay", "learned"):
        lasts, scatter = [], []
        for seed in range(6):
            model = nn.UNet(nn.UNetConfig(1, 1, 1, (8,) * 6, norm="group", groups=2, skip_scaling=kind), seed=seed)

            def loss(p: Any, batch: Any, model: nn.UNet = model) -> Any:
                return nn.mean_squared_error(model.forward(p, batch[0], levels=1)[0], batch[1])

            done = nn.train(
                loss, model.parameters, (noisy, x), optimizer=nn.AdamW(1e-2), epochs=12, batch_size=8, seed=seed
            )
            lasts.append(float(done.losses[-8:].mean()))
            scatter.append(float(np.diff(np.log(done.losses[24:])).std()))
        print(
            f"{kind:10s} {statistics.mean(lasts):10.4f} {statistics.stdev(lasts):11.4f} "
            f"{statistics.mean(scatter):11.4f}"
        )


PARTS = {"steps": steps, "norms": norms, "skips": skips}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    chosen = parser.parse_args().only
    for name, part in PARTS.items():
        if chosen in (None, name):
            part()


if __name__ == "__main__":
    main()
