"""The fitted functional CP model: a continuous field with error bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.completion.functional.components import Components
from sci.completion.functional.factors import packed_moments
from sci.completion.functional.field import FunctionalField, Tables
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.sums import products
from sci.errors import ShapeError

__all__ = ["FunctionalCP"]

_BLOCK = 2**20
"""Numbers that are formed at once."""


@entry
@dataclass(frozen=True, eq=False)
class FunctionalCP(FunctionalField):
    """A field y(x) = offset + scale sum_r prod_k f_kr(x_k) + noise, with B independent fits of the functions f.

    Made by `functional_cp`.

    Parameters
    ----------
    factors : tuple of K FunctionalFactor
    offset, scale : float
        Of the values.
    noise : (B,) float64 array
        Noise variance of each fit, of standardized values.
    bounds : (B,) float64 array
        Lower bounds of the log evidence.
    history : (sweeps, B) float64 array
        The bounds after each sweep.
    noise_scale : float
    noise_weights : tuple of K (n_k,) float64 arrays
        The noise variance of an entry at places i is noise_scale over the product of the `noise_weights[k][i[k]]`,
        which are 1 at new places.
    quantiles : (103,) float64 array
        See `Prediction`.
    left_out_rms : float
        Root mean square of the residuals of the entries, each as if it were left out, in units of the values.
    components : Components
        Along which axes the function of a component is free; it is 1 along the others.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import functional_cp, masked_components, observe
    >>> i, j = np.divmod(np.random.default_rng(0).permutation(400)[:250], 20)
    >>> y = np.sin(i / 3) * np.cos(j / 4)
    >>> model = functional_cp(observe(np.stack([i, j], axis=1), y, shape=(20, 20)), masked_components(2, 2), restarts=1)
    >>> model.components
    Components(4 of 2 axes: 2 free along all, 2 along some)
    >>> bool(abs(model.predict(np.array([[4.5, 7.5]])).mean[0] - np.sin(1.5) * np.cos(7.5 / 4)) < 0.01)
    True
    """

    factors: tuple[FunctionalFactor, ...]
    components: Components

    def __post_init__(self) -> None:
        counts = self.components.free.sum(axis=1).tolist()
        if len(self.factors) != len(counts) or [f.lengths.shape[1] for f in self.factors] != counts:
            raise ShapeError(f"factors are {list(self.factors)}; expected {counts} functions of the axes")

    def __repr__(self) -> str:
        names = ", ".join(axis.name for axis in self.axes)
        return (
            f"FunctionalCP({self.components.n_components} components of {names}; {len(self.noise)} restarts; noise "
            f"{self.noise_deviation:.4g})"
        )

    def _table(self, k: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means (q, B R) and packed second moments (q, B T) of the factors of an axis."""
        free = self.components.along(k)[0]
        mean, covariance = self.factors[k].at(places)
        restarts, r = len(self.noise), self.components.n_components
        u: np.ndarray = np.ones((len(places), restarts, r))
        u[..., free] = mean
        packed = packed_moments(u, covariance, free)
        return u.reshape(-1, restarts * r), packed.reshape(-1, restarts * packed.shape[-1])

    def _combined(self, tables: Tables, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean of the standardized field at rows of the tables, and its variance within and between restarts."""
        restarts, r = len(self.noise), self.components.n_components
        rows, columns = np.triu_indices(r)
        double = np.where(rows == columns, 1.0, 2.0)
        mean: np.ndarray = np.empty(len(index))
        within, between = np.empty_like(mean), np.empty_like(mean)
        step = max(1, _BLOCK // (restarts * len(rows)))
        for start in range(0, len(index), step):
            part = slice(start, start + step)
            means = products([u for u, _ in tables], index[part]).reshape(-1, restarts, r).sum(axis=-1)
            terms = products([s for _, s in tables], index[part]).reshape(-1, restarts, len(rows))
            squares, rounding = terms @ double, np.finfo(float).eps * (np.abs(terms) @ double)
            mean[part], between[part] = means.mean(axis=1), means.var(axis=1)
            within[part] = np.maximum(squares - means * means, rounding).mean(axis=1)  # no error is less than rounding
        return mean, within, between
