"""Smooth a noisy field of diffusion tensors: means that keep the shape of the tensors, and means that swell them.

    python examples/diffusion_tensors.py --plot tensors.png

A ring of fibers in tissue without a direction, measured as a scanner does: signals exp(-b g'Dg) with noise along many
directions, and tensors fitted to their logarithms. Each tensor then becomes a weighted mean of its 27 neighbors: of the
entries (Euclidean), or a barycenter of the Bures-Wasserstein geometry, plain and deformed by a small power.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from sci.linalg import BuresWasserstein, fractional_anisotropy, symmetric_function
from sci.plotting import plot_tensors

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--size", type=int, default=32, help="voxels across (32)")
parser.add_argument("--snr", type=float, default=15.0, help="signal without diffusion over the noise (15)")
parser.add_argument("--directions", type=int, default=30, help="directions of measurement (30)")
parser.add_argument("--passes", type=int, default=3, help="times that the field is smoothed (3)")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--plot", type=Path, metavar="FILE.png")
parser.add_argument("--overwrite", action="store_true", help="replace a picture that exists")
a = parser.parse_args()

GEOMETRIES = {
    "Euclidean mean": None,
    "Bures-Wasserstein": BuresWasserstein(),
    "its power 0.1": BuresWasserstein(power=0.1),
}
ALONG, ACROSS, TISSUE, B = 1.7, 0.2, 0.8, 1.0  # um^2/ms and ms/um^2
DEPTH = 2 * a.passes + 3


def ring_of_fibers(size: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tensors (size, size, depth, 3, 3) and where the fibers are."""
    x, y, _ = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (size, size, depth)), indexing="ij")
    radius = np.hypot(x, y)
    fibers = abs(radius - 0.23 * size) < 0.17 * size
    tangent = np.stack([-y, x, np.zeros_like(x)], axis=-1) / np.maximum(radius, 1)[..., None]
    along = ACROSS * np.eye(3) + (ALONG - ACROSS) * tangent[..., :, None] * tangent[..., None, :]
    return np.where(fibers[..., None, None], along, TISSUE * np.eye(3)), fibers


def measured(tensors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the tensors that least squares fit to the logarithms of noisy signals."""
    g = rng.normal(size=(a.directions, 3))
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    signals = np.exp(-B * np.einsum("di,...ij,dj->...d", g, tensors, g))
    noise = rng.normal(size=(2, *signals.shape)) / a.snr
    magnitudes = np.hypot(signals + noise[0], noise[1])  # Rician, as of complex signals
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    design = -B * np.stack([g[:, i] * g[:, j] * (1 if i == j else 2) for i, j in pairs], axis=1)
    entries = np.log(magnitudes) @ np.linalg.pinv(design).T
    fitted = np.empty(tensors.shape)
    for k, (i, j) in enumerate(pairs):
        fitted[..., i, j] = fitted[..., j, i] = entries[..., k]
    # Noise leaves a few eigenvalues below zero; a diffusivity of 0.01 is as good as none.
    return symmetric_function(fitted, "rectify", threshold=0.01)


def neighborhoods(field: np.ndarray) -> np.ndarray:
    """Return the 27 neighbors (nx, ny, nz, 27, 3, 3) of each inner voxel, itself included."""
    windows = np.lib.stride_tricks.sliding_window_view(field, (3, 3, 3), axis=(0, 1, 2))
    return np.moveaxis(windows, (3, 4), (6, 7)).reshape(*windows.shape[:3], 27, 3, 3)


offsets = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(27, 3)
weights = np.exp(-0.5 * (offsets**2).sum(axis=1))
weights /= weights.sum()

truth, fibers = ring_of_fibers(a.size, DEPTH)
noisy = measured(truth, np.random.default_rng(a.seed))
inside = tuple(slice(a.passes, -a.passes) for _ in range(3))
inner, shown = truth[inside], (slice(None), slice(None), 1)
# Inner voxels with nothing but fibers as far as the means reach: there only the directions of the fibers differ.
reach = (2 * a.passes + 1,) * 3
bundle = np.lib.stride_tricks.sliding_window_view(fibers, reach).all(axis=(3, 4, 5))


def smoothed(field: np.ndarray, report: bool) -> dict[str, np.ndarray]:
    """Return the means of the neighborhoods of a field by three geometries."""
    found = {}
    for name, geometry in GEOMETRIES.items():
        now, errors, start, count = field, [], time.process_time(), 0
        for _ in range(a.passes):
            sets = neighborhoods(now)
            if geometry is None:
                now = np.einsum("k,...kij->...ij", weights, sets)
            else:
                result = geometry.barycenter(sets, weights)
                now = result.mean
                errors.append(result.error.max())
            count += now[..., 0, 0].size
        each = (time.process_time() - start) / count * 1e6
        if report:
            print(f"{name}: {each:.1f} us a mean" + (f", error at most {max(errors):.0e}" if errors else ""))
        found[name] = now
    return found


def table(title: str, fields: dict[str, np.ndarray]) -> None:
    """Print determinant, trace and anisotropy of the bundle over the true ones, and the errors of tensors."""
    print(f"\n{title:<28}{'determinant':>12}{'trace':>8}{'anisotropy':>12}{'error':>8}")
    for name, field in fields.items():
        volume = np.exp(np.mean(np.log(np.linalg.det(field[bundle]) / np.linalg.det(inner[bundle]))))
        trace = np.trace(field[bundle], axis1=1, axis2=2).mean() / np.trace(inner[bundle], axis1=1, axis2=2).mean()
        shape = fractional_anisotropy(field[bundle]).mean() / fractional_anisotropy(inner[bundle]).mean()
        error = np.linalg.norm(field[bundle] - inner[bundle]) / np.linalg.norm(inner[bundle])
        print(f"{name:<28}{volume:>12.3f}{trace:>8.3f}{shape:>12.3f}{error:>8.3f}")


exact, found = smoothed(truth, report=False), smoothed(noisy, report=True)
print(f"{bundle.sum()} voxels in the bundle, of {inner[..., 0, 0].size}; over the truth, 1 is right")
table("smoothed without noise", exact)
table(f"measured at SNR {a.snr:g}", {"not smoothed": noisy[inside], **found})

if a.plot:
    panels = {"measured": noisy[inside], **{name: found[name] for name in ("Euclidean mean", "Bures-Wasserstein")}}
    volumes = {name: np.log2(np.linalg.det(field) / np.linalg.det(inner)) for name, field in panels.items()}
    plot_tensors(
        {name: field[shown] for name, field in panels.items()},
        a.plot,
        values={name: volume[shown] for name, volume in volumes.items()},
        label="log2 of the determinant over the true one",
        limits=(-1.0, 1.0),
        overwrite=a.overwrite,
    )
