"""Equivariance error of group convolutions by the number of samples, with and without the weights of the Haar measure.

    OMP_NUM_THREADS=1 python benchmarks/groups.py               # about a minute

Fields and kernels are Gaussians, whose integrals over the plane are known in closed form, so that only the sum over the
group is an estimate. The error is that of one layer between the lifted field moved by an affine map and the layer moved
by it, root mean square over seeds, relative. The slope is that of log error by log samples: -1/2 for a sum whose
weights are right. Beside it log-normal samples without weights, as in the public code of Mironenco and Forre.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from sci.nn import GroupSamples, LinearGroup, SirenKernel, group_convolution, lifting_convolution

T = np.array([[0.20, 0.05], [0.05, 0.40]])
MU, SIGMA = np.array([0.3, -0.2]), np.array([[0.5, 0.1], [0.1, 0.3]])
MAPS = {False: np.array([[1.5, 0.6], [-0.2, 0.9]]), True: np.array([[1.2, 0.6], [0.1, 0.8833333333333333]])}
SHIFT, PLACE, ELEMENT = np.array([0.4, 0.1]), np.array([0.2, 0.1]), np.array([[1.05, 0.0], [0.1, 1 / 1.05]])


def bell(points: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return Gaussian densities at points (..., 2)."""
    square = (points * np.linalg.solve(covariance, points[..., None])[..., 0]).sum(axis=-1)
    return np.exp(-square / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def layer(
    group: LinearGroup, place: np.ndarray, g: np.ndarray, mean: np.ndarray, spread: np.ndarray, s: GroupSamples
) -> float:
    """Return the group convolution of a lifted Gaussian at a place and an element."""
    h = s.elements
    values = bell(place - mean, spread + h @ T @ h.swapaxes(1, 2) + g @ T @ g.T)
    features = group.features(np.linalg.inv(g) @ h)
    falling = np.exp(-2 * (features[:, :3] ** 2).sum(axis=1) - (features[:, 3:] ** 2).sum(axis=1) / 2)
    return float(s.weights @ (values * falling))


def equivariance_error(group: LinearGroup, count: int, seed: int, weighted: bool) -> float:
    """Return the relative difference of the layer of the moved field and the moved layer."""
    samples, a = group.sample(count, seed, spread=0.5), MAPS[group.special]
    if not weighted:
        samples = GroupSamples(samples.elements, np.full(count, 1.0 / count))
    inverse = np.linalg.inv(a)
    moved = np.linalg.det(a) * layer(group, PLACE, ELEMENT, a @ MU + SHIFT, a @ SIGMA @ a.T, samples)
    back = layer(group, inverse @ (PLACE - SHIFT), inverse @ ELEMENT, MU, SIGMA, samples)
    return 2 * abs(moved - back) / (abs(moved) + abs(back))


def errors(repeats: int) -> None:
    """Print the error by the number of samples, and the slopes."""
    counts = (10, 40, 160, 640, 2560, 10240)
    print(f"{'':<28}{''.join(f'{n:>9}' for n in counts)}   slope")
    for group in (LinearGroup(2), LinearGroup(2, special=True)):
        for weighted in (True, False):
            found = [
                np.sqrt(np.mean([equivariance_error(group, n, seed, weighted) ** 2 for seed in range(repeats)]))
                for n in counts
            ]
            slope = np.polyfit(np.log(counts[1:]), np.log(found[1:]), 1)[0]
            name = f"{'SL(2)' if group.special else 'GL+(2)'}, {'Haar weights' if weighted else 'no weights'}"
            print(f"{name:<28}{''.join(f'{e:>9.4f}' for e in found)}{slope:>8.2f}")


def oracle() -> None:
    """Print the error of the lifting layer on a grid beside the closed form."""
    cells, spacing, near = 71, 0.18, slice(30, 41)
    axis = spacing * (np.arange(cells) - cells // 2)
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    elements = LinearGroup(2).sample(4, 3, spread=0.25).elements
    found = lifting_convolution(
        bell(places - MU, SIGMA)[None, None], lambda p: bell(p, T)[:, None], elements, taps=cells, spacing=spacing
    )[0, 0]
    exact = np.stack([bell(places - MU, SIGMA + g @ T @ g.T) for g in elements])
    error = np.abs(found - exact)[:, near, near].max() / exact.max()
    print(f"lifting a Gaussian on {cells} x {cells} cells, error beside the closed form: {error:.1e}")


def times() -> None:
    """Print CPU seconds of layers with the sizes of the paper: 10 samples, 40 channels, 5 x 5 taps, 28 x 28 cells."""
    samples = LinearGroup(2).sample(10, spread=0.3, dtype=np.float32)
    lift = SirenKernel(2, 40, width=60)
    mix = SirenKernel(2 + LinearGroup(2).n_features, 40 * 40, width=60)
    x = np.random.default_rng(0).normal(size=(8, 1, 28, 28)).astype(np.float32)
    lifted = lifting_convolution(x, lambda p: lift(lift.parameters, p), samples.elements)
    for name, run in (
        ("lifting", lambda: lifting_convolution(x, lambda p: lift(lift.parameters, p), samples.elements)),
        ("group", lambda: group_convolution(lifted, lambda *c: mix(mix.parameters, *c), samples)),
    ):
        start = time.process_time()
        run()
        print(f"{name} convolution, 8 images of 28 x 28, 10 samples, 40 channels: {time.process_time() - start:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    oracle()
    errors(arguments.repeats)
    times()
