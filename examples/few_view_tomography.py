"""Few-view tomography of a field: a tri-plane field fitted to parallel beams, beside scikit-image's slice by slice.

    python examples/few_view_tomography.py --views 4 8 16 --plot tomography.png

Eight Gaussians of both signs are seen by parallel beams that turn about one axis; line integrals are exact, with noise
of 1 % of their root mean square. `fit_field` fits a tri-plane field to all rays at once. With scikit-image installed,
each slice is also reconstructed by filtered back-projection and by ten sweeps of the simultaneous algebraic technique
(SART). The error is the distance of the field on the cells of a grid, relative to the field's norm.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from sci.fields import Rays, TriPlane, fit_field, parallel_rays

BOX = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
RNG = np.random.default_rng(0)
CENTERS, WIDTHS = RNG.uniform(-0.5, 0.5, (8, 3)), RNG.uniform(0.08, 0.25, 8)
HEIGHTS = RNG.uniform(0.5, 1.5, 8) * RNG.choice([1, -1], 8, p=[0.8, 0.2])
ROWS, COLUMNS = 25, 49
SWEEPS = 10


def field_values() -> np.ndarray:
    """Return the field at the centers of 49 x 49 x 25 cells."""
    axes = [(np.arange(n) + 0.5) / n * 2 - 1 for n in (COLUMNS, COLUMNS, ROWS)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    square = ((points[..., None, :] - CENTERS) ** 2).sum(axis=-1)
    return (HEIGHTS * np.exp(-square / (2 * WIDTHS**2))).sum(axis=-1)


def line_integrals(rays: Rays) -> np.ndarray:
    """Return the integrals of the field along whole lines."""
    offset = rays.origins[:, None] - CENTERS
    along = np.einsum("rkx,rx->rk", offset, rays.directions)
    square = (offset**2).sum(axis=2) - along**2
    return (HEIGHTS * WIDTHS * np.sqrt(2 * np.pi) * np.exp(-square / (2 * WIDTHS**2))).sum(axis=1)


def by_slices(measured: np.ndarray, angles: np.ndarray) -> dict[str, np.ndarray]:
    """Return the reconstructions of scikit-image from (views, rows, columns); none without it."""
    if find_spec("skimage") is None:
        return {}
    from skimage.transform import iradon, iradon_sart

    degrees, found = -np.rad2deg(angles), {"filtered back-projection": [], "SART": []}
    for row in range(ROWS):
        sinogram = np.ascontiguousarray(measured[:, row].T)
        found["filtered back-projection"].append(iradon(sinogram, theta=degrees, filter_name="ramp", circle=True))
        image = None
        for _ in range(SWEEPS):
            image = iradon_sart(sinogram, theta=degrees, image=image)
        found["SART"].append(image)
    # A pixel of scikit-image has length 1, and its first axis points down.
    return {name: np.stack(slices, axis=-1)[::-1] * (COLUMNS / 2) for name, slices in found.items()}


def reconstructions(views: int, noise: float, steps: int) -> dict[str, np.ndarray]:
    """Return the field as each method sees it from a number of views."""
    angles = np.arange(views) * np.pi / views
    rays = parallel_rays(angles, (ROWS, COLUMNS), BOX, steps=48)
    measured = line_integrals(rays)
    measured = measured + noise * np.sqrt((measured**2).mean()) * RNG.standard_normal(len(measured))
    start = TriPlane(32, features=16, hidden=32, box=BOX)
    options = {"steps": steps, "batch": 512, "learning_rate": 0.02, "smoothness": 1e-3}
    fitted, _ = fit_field(start, rays, measured[:, None], **options)
    seen = {"tri-plane": fitted.on_grid((COLUMNS, COLUMNS, ROWS))[..., 0]}
    return seen | by_slices(measured.reshape(views, ROWS, COLUMNS), angles)


def main() -> None:
    """Print the errors, and draw a slice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--views", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--noise", type=float, default=0.01, help="over the root mean square of the integrals (0.01)")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    truth, pictures = field_values(), {}
    for views in chosen.views:
        seen = reconstructions(views, chosen.noise, chosen.steps)
        errors = {name: np.linalg.norm(found - truth) / np.linalg.norm(truth) for name, found in seen.items()}
        print(f"{views:3d} views: " + ", ".join(f"{name} {error:.3f}" for name, error in errors.items()), flush=True)
        pictures[views] = seen
    if chosen.plot:
        draw(truth, pictures, chosen.plot)


def draw(truth: np.ndarray, pictures: dict[int, dict[str, np.ndarray]], path: Path) -> None:
    """Draw the middle slice of the field, and what each method sees of it."""
    import matplotlib.pyplot as plt

    names = list(next(iter(pictures.values())))
    limit = abs(truth).max()
    figure, axes = plt.subplots(len(pictures), 1 + len(names), squeeze=False, layout="constrained")
    figure.set_size_inches(2 * (1 + len(names)), 2 * len(pictures))
    for row, (views, seen) in zip(axes, pictures.items()):
        for place, (name, values) in zip(row, {"field": truth, **seen}.items()):
            place.imshow(values[:, :, ROWS // 2].T, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit)
            place.set(xticks=[], yticks=[], title=name if views == min(pictures) else "")
        row[0].set_ylabel(f"{views} views")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
