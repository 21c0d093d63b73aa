"""The curvature of batches beside that of all samples: how far the outlier moves, and the noise that moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, ArrayLike, Device, is_device_array, namespace, to_device
from sci.distributed import Comm, agreed, rank_of
from sci.errors import InvalidValueError
from sci.nn.core.trees import Tree, flatten_tree
from sci.nn.curvature.noise import WignerNoise
from sci.nn.curvature.products import GaussNewton, Loss, Predict
from sci.nn.curvature.rates import StableRates, largest_stable_rate
from sci.nn.curvature.spectra import leading_pairs
from sci.progress import progress

__all__ = ["BatchCurvature", "batch_curvature"]


@entry
@dataclass(frozen=True, eq=False)
class BatchCurvature:
    """The largest eigenvalue of the curvature of all samples, and of batches of them.

    Parameters
    ----------
    size, samples : int
        Numbers of real parameters and of samples.
    outlier, residual : float
        Largest eigenvalue of all samples, and |H u - outlier u| of its vector u.
    batch_sizes : (m,) array
    largest, largest_errors : (m,) arrays
        Mean largest eigenvalue of batches of each size, and its standard error.
    spread, spread_error : float
        Mean of |(H_b - H) u|^2 / (1/b - 1/N) over all batches, P s^2 of `WignerNoise`, and its standard error.
    product_error : float
        Largest error of a Gauss-Newton product, see `GaussNewton`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import BatchCurvature
    >>> found = BatchCurvature(
    ...     100, 1000, 2.0, 1e-9, np.array([10]), np.array([2.4]), np.array([0.1]), 8.0, 0.5, 1e-12
    ... )
    >>> found.predicted().round(3)
    array([2.396])
    """

    size: int
    samples: int
    outlier: float
    residual: float
    batch_sizes: np.ndarray
    largest: np.ndarray
    largest_errors: np.ndarray
    spread: float
    spread_error: float
    product_error: float

    def __repr__(self) -> str:
        pairs = ", ".join(
            f"{value:.4g} +- {error:.1g} at {b}"
            for b, value, error in zip(self.batch_sizes, self.largest, self.largest_errors)
        )
        return (
            f"BatchCurvature({self.size:,} parameters, {self.samples} samples, outlier {self.outlier:.5g}; batches: "
            f"{pairs}; spread {self.spread:.3g} +- {self.spread_error:.1g})"
        )

    @property
    def noise(self) -> WignerNoise:
        """The noise that has this spread in all directions."""
        return WignerNoise(self.size, self.spread / self.size, self.samples)

    def shift_constants(self) -> np.ndarray:
        """Return (largest - outlier) / (1/b - 1/N) of each batch size: alike where the shift follows 1/b."""
        return (self.largest - self.outlier) / (1 / self.batch_sizes - 1 / self.samples)

    def predicted(self) -> np.ndarray:
        """Return the largest eigenvalue of batches of each size by `WignerNoise.spike_shift`, to compare to `largest`.

        Where they differ, the noise is not that of the model: sparse or heavy-tailed curvature of single samples.
        """
        return self.noise.spike_shift(self.outlier, self.batch_sizes)

    def rates(self, batch_size: ArrayLike | None = None, *, momentum: float = 0.0) -> StableRates:
        """Return the largest stable learning rates by `largest_stable_rate`.

        Parameters
        ----------
        batch_size : (m,) array_like, optional
            `batch_sizes` unless given.
        momentum : float
        """
        sizes = self.batch_sizes if batch_size is None else batch_size
        errors = {"outlier_error": self.residual, "spread_error": self.spread_error}
        return largest_stable_rate(self.outlier, self.noise, sizes, momentum=momentum, **errors)


@collective_entry
def batch_curvature(
    predict: Predict,
    loss: Loss,
    parameters: Tree,
    data: Sequence[Array],
    batch_sizes: Sequence[int],
    *,
    batches: int = 10,
    steps: int = 20,
    seed: int = 0,
    comm: Comm = None,
) -> BatchCurvature:
    """Measure the largest Gauss-Newton eigenvalue of all samples and of batches, and the noise between them.

    Parameters
    ----------
    predict, loss, parameters
        As for `GaussNewton`.
    data : sequence of arrays of one first length
        All ranks have all of it. A part of a large data set is as good.
    batch_sizes : sequence of int
        From 1 to the number of samples less one.
    batches : int
        Batches of each size, drawn without replacement; 2 or more.
    steps : int
        Of Lanczos' iteration for each matrix.
    seed : int
    comm : mpi4py communicator, optional
        The ranks share the samples of every batch.

    Returns
    -------
    BatchCurvature

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError

    Notes
    -----
    steps + 2 products with all samples, and `batches` (steps + 3) with every batch size. Collective over `comm`.

    References
    ----------
    Granziol, Zohren and Roberts, J. Mach. Learn. Res. 23 (173), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import batch_curvature, linear, mean_squared_error
    >>> x = np.random.default_rng(0).normal(size=(400, 5))
    >>> found = batch_curvature(
    ...     lambda v, b: linear(b[0], v["w"]), lambda z, b: mean_squared_error(z, b[1]), {"w": np.zeros((1, 5))},
    ...     (x, x[:, :1]), [4, 40], steps=5,
    ... )
    >>> bool(np.isclose(found.outlier, np.linalg.eigvalsh(2 * x.T @ x / 400)[-1], rtol=1e-8))
    True
    """
    with agreed(comm, "batch_curvature") as agreement:
        agreement.same(batch_sizes=list(batch_sizes), batches=batches, steps=steps, seed=seed)
        n, sizes = len(data[0]) if len(data) else 0, [int(b) for b in batch_sizes]
        if not sizes or min(sizes) < 1 or max(sizes) >= n or batches < 2:
            raise InvalidValueError(
                f"{batches} batches of sizes {sizes} of {n} samples; expected 2 batches or "
                f"more, of 1 to {n - 1} samples"
            )
    whole = GaussNewton(predict, loss, parameters, data, comm=comm)
    device: Device = "cuda" if is_device_array(next(iter(flatten_tree(parameters).values()))) else "cpu"
    options: dict[str, Any] = {"steps": min(steps, whole.size), "seed": seed, "device": device}
    (outlier,), (u,), (residual,) = leading_pairs(whole, whole.size, 1, **options)
    errors, spreads = [whole.error], []
    largest = np.empty((len(sizes), batches))
    for k in progress(range(largest.size), "curvature of batches", show=rank_of(comm) == 0):
        row, column = divmod(k, batches)
        drawn = np.random.default_rng([seed, sizes[row], column]).choice(n, sizes[row], replace=False)
        batch = tuple(a[to_device(np.sort(drawn), namespace(a))] for a in data)
        product = GaussNewton(predict, loss, parameters, batch, comm=comm)
        difference = product(u) - outlier * u
        spreads.append(float(difference @ difference) / (1 / sizes[row] - 1 / n))
        largest[row, column] = leading_pairs(product, product.size, 1, **options)[0][0]
        errors.append(product.error)
    deviations = largest.std(axis=1, ddof=1) / np.sqrt(batches)
    error = float(np.std(spreads, ddof=1) / np.sqrt(len(spreads)))
    return BatchCurvature(
        size=whole.size,
        samples=n,
        outlier=float(outlier),
        residual=float(residual),
        batch_sizes=np.array(sizes),
        largest=largest.mean(axis=1),
        largest_errors=deviations,
        spread=float(np.mean(spreads)),
        spread_error=error,
        product_error=max(errors),
    )
