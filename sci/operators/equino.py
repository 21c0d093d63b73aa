"""EquiNO: fields of a representative volume as combinations of modes that are in equilibrium by construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import minimize

from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.errors import ConvergenceError, InvalidValueError
from sci.nn import (
    Adam,
    Tape,
    Variable,
    affine,
    affine_vjp,
    initial_uniform,
    linear,
    linear_vjp,
    silu,
    silu_vjp,
    value_and_gradients,
)
from sci.operators.laws import Composite, frobenius
from sci.operators.rve import PeriodicRVE
from sci.progress import progress

__all__ = ["EquiNO", "Prediction", "pod_modes", "snapshots"]

Parameters = Mapping[str, Any]


def snapshots(rve: PeriodicRVE, strains: Array, *, rtol: float = 1e-8) -> tuple[Array, Array]:
    """Solve the cell for each macroscopic strain (s, 3); return the fluctuations of strain and the stresses.

    Returns
    -------
    fluctuation, stress : array (s, 3, n, m)
        Strain less its mean, and stress.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
    """
    xp = namespace(rve.composite.phase)
    macro = as_finite(strains, "strains", shape=(None, 3), xp=xp)
    results = [rve.solve(e, rtol=rtol) for e in macro]
    strain = xp.stack([r.strain for r in results])
    return strain - macro[:, :, None, None], xp.stack([r.stress for r in results])


def pod_modes(fields: Array, n_modes: int) -> tuple[Array, Array]:
    """Return the leading modes of tensor fields by proper orthogonal decomposition.

    fields_s = sum_r coefficients_sr modes_r, the modes orthonormal in <a, b> = mean over the cell of a : b.

    Parameters
    ----------
    fields : array (s, 3, n, m)
        Snapshots; for strains the modes are those of the displacements in the norm of their strains.
    n_modes : int
        From 1 to s.

    Returns
    -------
    modes : array (n_modes, 3, n, m)
    singular_values : array (s,)
        Of the snapshots, in descending order: the squares add up to sum_s <fields_s, fields_s>.

    Raises
    ------
    InvalidValueError
    """
    xp = namespace(fields)
    if not 1 <= n_modes <= len(fields):
        raise InvalidValueError(f"n_modes is {n_modes}; expected 1 to the number of snapshots, {len(fields)}")
    weight = to_device(np.sqrt(np.array([1.0, 1.0, 2.0]) / (fields.shape[-2] * fields.shape[-1])), xp)[:, None, None]
    _, values, right = xp.linalg.svd((fields * weight).reshape(len(fields), -1), full_matrices=False)
    return right[:n_modes].reshape(n_modes, *fields.shape[1:]) / weight, values


@dataclass(frozen=True)
class Prediction:
    """What the operator says for macroscopic strains.

    Parameters
    ----------
    stress : array (b, 3, n, m)
    mean_stress : array (b, 3)
        xx, yy, xy.
    tangent : array (b, 3, 3)
        d mean_stress_i / d strain_j, xy tensorial.
    """

    stress: Array
    mean_stress: Array
    tangent: Array


class EquiNO:
    """A neural operator from the macroscopic strain of a periodic cell to its stress field.

    strain = E + sum_r b_r(E) strain_modes_r,  stress = sum_r c_r(E) stress_modes_r, with b and c small networks. Every
    combination of the stress modes is periodic and divergence-free, every one of the strain modes compatible; training
    makes the constitutive equation hold between the two and needs no other labels.

    Parameters
    ----------
    composite : Composite
        Image and laws, `rve.composite`.
    strain_modes, stress_modes : array (r, 3, n, m)
        From `pod_modes` of the two results of `snapshots`.
    strain_scales, stress_scales : array (r,)
        Root mean squares of the modes' coefficients: singular values over the root of the number of snapshots. Each
        mode has its own, because the last are orders of magnitude smaller than the first.
    strain_range : float
        Macroscopic strains are divided by it.
    width, depth : int
        Neurons of a hidden layer and number of hidden layers.
    seed : int

    References
    ----------
    H. Eivazi et al., J. Comput. Phys. 2026, "EquiNO: A Physics-Informed Neural Operator for Multiscale Simulations".
    Ours differs: one scale for each mode, strain modes orthonormal in the norm of the strain, cells solved by FFT.
    """

    def __init__(
        self,
        composite: Composite,
        strain_modes: Array,
        stress_modes: Array,
        strain_scales: Array,
        stress_scales: Array,
        *,
        strain_range: float = 0.04,
        width: int = 64,
        depth: int = 4,
        seed: int = 0,
    ) -> None:
        self.composite, self.strain_range, self.depth = composite, strain_range, depth
        self.strain_modes, self.stress_modes = strain_modes, stress_modes
        self.scales = {"strain": strain_scales, "stress": stress_scales}
        rng = np.random.default_rng(seed)
        xp = namespace(strain_modes)
        sizes = [3, *[width] * depth, len(strain_scales)]
        self.parameters: dict[str, Array] = {}
        for branch in ("strain", "stress"):
            for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
                for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
                    values = initial_uniform(rng, shape, inputs, dtype=np.float64)
                    self.parameters[f"{branch}.{layer}.{name}"] = to_device(values, xp)

    def coefficients(self, tape: Tape, parameters: Parameters, branch: str, strains: Any) -> Any:
        """Return the coefficients (b, r) of the modes of a branch, "strain" or "stress"."""
        x = tape.call(affine, affine_vjp, strains, scale=1.0 / self.strain_range, shift=0.0)
        for layer in range(self.depth + 1):
            if layer:
                x = tape.call(silu, silu_vjp, x)
            name = f"{branch}.{layer}"
            x = tape.call(linear, linear_vjp, x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
        return tape.call(affine, affine_vjp, x, scale=self.scales[branch], shift=0.0)

    def loss(self, tape: Tape, parameters: Parameters, strains: Array) -> Any:
        """Return the mean square of sigma(strain) - stress over that of a typical stress (a scalar)."""
        b, c = (self.coefficients(tape, parameters, branch, strains) for branch in ("strain", "stress"))
        return tape.call(
            constitutive_gap,
            constitutive_gap_vjp,
            b,
            c,
            strains=strains,
            operator=self,
            scale=float((self.scales["stress"] ** 2).sum()),
        )

    def fit(self, strains: Array, *, steps: int = 1000, lr: float = 1e-3, lbfgs_steps: int = 1000) -> list[float]:
        """Train on collocation strains by Adam and then by L-BFGS; return the losses.

        Parameters
        ----------
        strains : array (b, 3)
            Macroscopic strains at which the constitutive equation is to hold; all of them in each step.
        steps, lbfgs_steps : int
        lr : float
            Of Adam.

        Raises
        ------
        ShapeError, InvalidValueError
        ConvergenceError
            If the loss becomes NaN or infinite; the parameters are then those before.
        """
        points = as_finite(strains, "strains", shape=(None, 3), xp=namespace(self.strain_modes))
        optimiser, losses = Adam(lr=lr), []
        trained = {name: value.copy() for name, value in self.parameters.items()}
        state = optimiser.start(trained)
        for step in progress(range(1, steps + 1), "EquiNO"):
            loss, gradients = self._loss_and_gradients(trained, points)
            losses.append(loss)
            if not np.isfinite(loss):
                raise ConvergenceError(f"the loss is {loss} in step {step}; lower lr ({lr:g}) and fit again")
            optimiser.update(trained, gradients, state, step, 1.0)
        if lbfgs_steps:
            losses += self._finish(trained, points, lbfgs_steps)
        self.parameters = trained
        return losses

    def predict(self, strains: Array) -> Prediction:
        """Return stress fields, homogenised stresses and tangents for macroscopic strains (b, 3).

        Raises
        ------
        ShapeError, InvalidValueError
        """
        xp = namespace(self.strain_modes)
        points = as_finite(strains, "strains", shape=(None, 3), xp=xp)
        means = self.stress_modes.mean(axis=(-2, -1))
        rows = []
        for component in range(3):
            tape, variable = Tape(), Variable(points)
            out = self.coefficients(tape, self.parameters, "stress", variable)
            tape.backward(out, xp.zeros(out.shape) + means[:, component])
            rows.append(variable.gradient)
        c = out.value
        return Prediction(xp.tensordot(c, self.stress_modes, 1), c @ means, xp.stack(rows, axis=1))

    def _loss_and_gradients(self, parameters: Parameters, points: Array) -> tuple[float, dict[str, Array]]:
        value, gradients = value_and_gradients(lambda tape, v: self.loss(tape, v, points), parameters)
        return float(value), gradients

    def _finish(self, trained: dict[str, Array], points: Array, steps: int) -> list[float]:
        """Run L-BFGS on the host's copy of all parameters as one vector; change `trained` in place."""
        xp = namespace(points)
        names, losses = list(trained), list[float]()

        def unpack(vector: np.ndarray) -> dict[str, Array]:
            ends = np.cumsum([trained[name].size for name in names])
            pieces = np.split(vector, ends[:-1])
            return {name: to_device(p.reshape(trained[name].shape), xp) for name, p in zip(names, pieces)}

        def function(vector: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradients = self._loss_and_gradients(unpack(vector), points)
            return loss, np.concatenate([to_host(gradients[name]).ravel() for name in names])

        start = np.concatenate([to_host(trained[name]).ravel() for name in names])
        options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 50, "ftol": 0.0, "gtol": 0.0}
        result = minimize(
            function,
            start,
            jac=True,
            method="L-BFGS-B",
            options=options,
            callback=lambda intermediate_result: losses.append(float(intermediate_result.fun)),
        )
        if not np.isfinite(result.fun):
            raise ConvergenceError(f"the loss is {result.fun} in L-BFGS; train with Adam for longer first")
        trained.update(unpack(result.x))
        return losses


def constitutive_gap(b: Array, c: Array, *, strains: Array, operator: EquiNO, scale: float) -> tuple[Array, Any]:
    """Return mean |sigma(E + sum b_r strain_modes_r) - sum c_r stress_modes_r|^2 / scale over samples and cell.

    Parameters
    ----------
    b, c : array (batch, r)
    strains : array (batch, 3)
    operator : EquiNO
        Whose modes and laws are used.
    scale : float
    """
    xp = namespace(b, c)
    field = strains[:, :, None, None] + xp.tensordot(b, operator.strain_modes, 1)
    gap = operator.composite.stress(field) - xp.tensordot(c, operator.stress_modes, 1)
    return frobenius(gap, gap).mean() / scale, (field, gap, operator, scale)


def constitutive_gap_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients for b and c."""
    field, gap, operator, scale = residuals
    xp = namespace(gap)
    points = gap.shape[-2] * gap.shape[-1]
    factor = 2.0 * dout / (scale * points * len(gap))
    # Through the tangent, which is symmetric in the product a : b that counts the shear twice.
    weight = to_device(np.array([1.0, 1.0, 2.0]), xp)[:, None, None]
    through = weight * operator.composite.tangent(field, gap)
    db = factor * xp.tensordot(through, operator.strain_modes, ([1, 2, 3], [1, 2, 3]))
    dc = -factor * xp.tensordot(weight * gap, operator.stress_modes, ([1, 2, 3], [1, 2, 3]))
    return db, dc
