"""EquiNO: fields of a representative volume as combinations of modes that are in equilibrium by construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from sci.applications.homogenization.laws import SHEAR, Composite
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.errors import ConvergenceError
from sci.nn import (
    Tape,
    add,
    count_parameters,
    initial_uniform,
    linear,
    mean_squared_error,
    scale_shift,
    silu,
    value_and_gradients,
)

__all__ = ["EquiNO", "Prediction"]

Parameters = Mapping[str, Any]

_BRANCHES = ("strain", "stress")
_CHUNK = 2**21
"""Numbers in the largest array that `EquiNO.solve_coefficients` makes at once."""


@dataclass(frozen=True, repr=False)
class Prediction:
    """The stresses and tangents of an operator for macroscopic strains.

    Parameters
    ----------
    stress : array (b, 3, n, m)
    mean_stress : array (b, 3)
        xx, yy, xy.
    tangent : array (b, 3, 3)
        d mean_stress_i / d strain_j, xy tensorial.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import Prediction
    >>> Prediction(np.zeros((2, 3, 5, 5)), np.zeros((2, 3)), np.zeros((2, 3, 3))).mean_stress.shape
    (2, 3)
    """

    stress: Array
    mean_stress: Array
    tangent: Array

    def __repr__(self) -> str:
        """Return the number of strains and the pixels of the fields."""
        n, _, *pixels = self.stress.shape
        return f"Prediction({n} strains on {pixels[0]} x {pixels[1]} pixels: stress, mean_stress, tangent)"


class EquiNO:
    """A neural operator from the macroscopic strain of a periodic cell to its fields of strain and stress.

    strain = E + sum_r b_r(E) strain_modes_r,  stress = sum_r c_r(E) stress_modes_r, where b and c are a linear map of E
    plus a small network. Every combination of the stress modes is periodic and divergence-free, every one of the strain
    modes compatible; training makes the constitutive equation hold between the two and needs no other labels.

    Parameters
    ----------
    composite : Composite
        Image and laws, `rve.composite`.
    strain_modes, stress_modes : array (r, 3, n, m)
        From `pod_modes` of the two results of `snapshots`.
    strain_range : float
        Macroscopic strains are divided by it.
    width, depth : int
        Neurons of a hidden layer and number of hidden layers.
    seed : int
        Of the first parameters.

    References
    ----------
    H. Eivazi et al., J. Comput. Phys. 2026, "EquiNO: A Physics-Informed Neural Operator for Multiscale Simulations".
    Ours differs: cells are solved by FFT; the constitutive equation is solved for the coefficients first, strain by
    strain, and the networks learn those; they add to a linear map, and each mode has its own scale.

    Examples
    --------
    >>> from sci.applications import EquiNO, LinearElastic, PeriodicRVE, circular_inclusions, pod_modes, snapshots
    >>> image = circular_inclusions(9, [(0.5, 0.5, 0.3)])
    >>> cell = PeriodicRVE(image, [LinearElastic(2.0, 1.0), LinearElastic(11.0, 7.0)])
    >>> modes = [pod_modes(fields, 3)[0] for fields in snapshots(cell, np.eye(3))]
    >>> operator = EquiNO(cell.composite, *modes, width=4, depth=1)
    >>> losses = operator.fit(np.eye(3))
    >>> operator
    EquiNO(9 x 9 pixels, 3 strain + 3 stress modes, 1 hidden layers, 86 parameters, 12.4 kB)
    >>> operator.predict([[0.01, 0.0, 0.0]])
    Prediction(1 strains on 9 x 9 pixels: stress, mean_stress, tangent)
    """

    def __init__(
        self,
        composite: Composite,
        strain_modes: Array,
        stress_modes: Array,
        *,
        strain_range: float = 0.04,
        width: int = 64,
        depth: int = 4,
        seed: int = 0,
    ) -> None:
        self.composite, self.strain_range, self.depth = composite, strain_range, depth
        self.modes = {"strain": strain_modes, "stress": stress_modes}
        rng = np.random.default_rng(seed)
        xp = namespace(strain_modes)
        self.parameters: dict[str, Array] = {}
        for branch in _BRANCHES:
            sizes = [3, *[width] * depth, len(self.modes[branch])]
            for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
                for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
                    values = initial_uniform(rng, shape, inputs, dtype=np.float64)
                    self.parameters[f"{branch}.{layer}.{name}"] = to_device(values, xp)
            self.parameters[f"{branch}.linear"] = xp.zeros((sizes[-1], 3))
            self.parameters[f"{branch}.scale"] = xp.ones(sizes[-1])

    def __repr__(self) -> str:
        """Return pixels, modes, layers, parameters and bytes."""
        n, m = self.composite.phase.shape
        modes = " + ".join(f"{len(self.modes[branch])} {branch}" for branch in _BRANCHES)
        n_bytes = sum(int(a.nbytes) for a in (*self.modes.values(), *self.parameters.values()))
        return (
            f"EquiNO({n} x {m} pixels, {modes} modes, {self.depth} hidden layers, "
            f"{count_parameters(self.parameters):,} parameters, {n_bytes / 1e3:,.1f} kB)"
        )

    def coefficients(self, parameters: Parameters, branch: str, strains: Any) -> Any:
        """Return the coefficients (b, r) of a branch, "strain" or "stress": linear E + scale network(E)."""
        network = self._network(parameters, branch, strains)
        network = scale_shift(network, scale=parameters[f"{branch}.scale"], shift=0.0)
        line = linear(strains, parameters[f"{branch}.linear"])
        return add(line, network)

    def solve_coefficients(self, strains: Array, *, rtol: float = 1e-8, max_steps: int = 20) -> tuple[Array, Array]:
        """Solve the constitutive equation for the coefficients, by least squares and without the networks.

        They make mean |sigma(E + sum_r b_r strain_modes_r) - sum_r c_r stress_modes_r|^2 over the cell least, for each
        macroscopic strain by itself.

        Parameters
        ----------
        strains : array (b, 3)
        rtol : float
            Change of `b` in the last step, over `b`.
        max_steps : int
            Newton steps at most.

        Returns
        -------
        b, c : array (b, r)
            Coefficients of strain and stress modes.

        Raises
        ------
        ShapeError, InvalidValueError
        ConvergenceError
            If `max_steps` are not enough.

        Notes
        -----
        Gauss-Newton in b; c is the projection of the stress. A step applies the tangent to r modes, about r / 2 times
        what an iteration of the FFT solver costs.
        """
        xp = namespace(self.modes["strain"])
        points = as_finite(strains, "strains", shape=(None, 3), xp=xp)
        together = max(1, _CHUNK // self.modes["strain"].size)
        parts = [
            self._solve_coefficients(points[first : first + together], rtol, max_steps)
            for first in range(0, max(len(points), 1), together)
        ]
        return xp.concatenate([b for b, _ in parts]), xp.concatenate([c for _, c in parts])

    def fit(self, strains: Array, *, steps: int = 1000) -> dict[str, list[float]]:
        """Train at collocation strains: solve the constitutive equation there, and teach both networks its solution.

        The linear maps are those of least squares; what they leave is learned by L-BFGS.

        Parameters
        ----------
        strains : array (b, 3)
            Macroscopic strains at which the constitutive equation is to hold.
        steps : int
            Of L-BFGS, for each network.

        Returns
        -------
        dict of list
            For "strain" and "stress" the mean square error of the coefficients over their mean square, step by step.

        Raises
        ------
        ShapeError, InvalidValueError
        ConvergenceError
            If the coefficients cannot be found or a loss becomes NaN; the parameters are then those before.
        """
        xp = namespace(self.modes["strain"])
        points = as_finite(strains, "strains", shape=(None, 3), xp=xp)
        trained, losses = dict(self.parameters), {}
        for branch, target in zip(_BRANCHES, self.solve_coefficients(points)):
            line = xp.linalg.lstsq(points, target, rcond=None)[0]
            residual, mean_square = target - points @ line, (target * target).mean()
            scale = xp.sqrt((residual * residual).mean(axis=0))
            if float((residual * residual).mean()) <= 1e-20 * float(mean_square):  # a linear cell: nothing to learn
                losses[branch], scale = [0.0], 0.0 * scale
            else:
                losses[branch] = self._learn(trained, branch, points, residual, scale, steps)
                losses[branch] = [loss / float(mean_square) for loss in losses[branch]]
            trained.update({f"{branch}.linear": xp.ascontiguousarray(line.T), f"{branch}.scale": scale})
        self.parameters = trained
        return losses

    def predict(self, strains: Array) -> Prediction:
        """Return stress fields, homogenized stresses and tangents for macroscopic strains (b, 3).

        Raises
        ------
        ShapeError, InvalidValueError
        """
        modes = self.modes["stress"]
        xp = namespace(modes)
        points = as_finite(strains, "strains", shape=(None, 3), xp=xp)
        means = modes.mean(axis=(-2, -1))
        rows = []
        for component in range(3):
            variable = Tape().watch(points)
            out = self.coefficients(self.parameters, "stress", variable)
            out.backward(xp.zeros(out.shape) + means[:, component])
            rows.append(variable.gradient)
        c = out.value
        return Prediction(xp.tensordot(c, modes, 1), c @ means, xp.stack(rows, axis=1))

    def strain(self, strains: Array) -> Array:
        """Return the strain fields (b, 3, n, m) for macroscopic strains (b, 3).

        Where `composite.stress` of them is not the stress that `predict` gives, one of the two is wrong: an estimate of
        the error that needs no solver.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        points = as_finite(strains, "strains", shape=(None, 3), xp=namespace(self.modes["strain"]))
        return self._strain(points, self.coefficients(self.parameters, "strain", points))

    def _strain(self, points: Array, b: Array) -> Array:
        return points[:, :, None, None] + namespace(b).tensordot(b, self.modes["strain"], 1)

    def _network(self, parameters: Parameters, branch: str, strains: Any) -> Any:
        x = scale_shift(strains, scale=1.0 / self.strain_range, shift=0.0)
        for layer in range(self.depth + 1):
            if layer:
                x = silu(x)
            name = f"{branch}.{layer}"
            x = linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
        return x

    def _solve_coefficients(self, points: Array, rtol: float, max_steps: int) -> tuple[Array, Array]:
        xp, modes, onto = namespace(points), self.modes["strain"], self.modes["stress"]
        root = to_device(np.sqrt(SHEAR), xp)
        b = xp.zeros((len(points), len(modes)))
        for _ in range(max_steps):
            field = self._strain(points, b)
            stress, rows = self.composite.stress(field), self.composite.tangent(field[:, None], modes[None])
            c, through = (
                xp.tensordot(root * root * a, onto, ([-3, -2, -1], [1, 2, 3])) / onto[0, 0].size for a in (stress, rows)
            )
            gap = (root * (stress - xp.tensordot(c, onto, 1))).reshape(len(points), -1, 1)
            rows = (root * (rows - xp.tensordot(through, onto, 1))).reshape(*b.shape, -1)
            change = xp.linalg.solve(rows @ rows.swapaxes(1, 2), rows @ gap)[..., 0]
            b = b - change
            if float(abs(change).max()) <= rtol * float(abs(b).max()):
                return b, c
        raise ConvergenceError(
            f"the coefficients of the modes still change after {max_steps} steps; give strains of the range of the "
            "snapshots, or fewer modes"
        )

    def _learn(
        self, trained: dict[str, Array], branch: str, points: Array, target: Array, scale: Array, steps: int
    ) -> list[float]:
        """Fit scale * network to `target` by L-BFGS on the host's copy of its parameters; change `trained`."""
        xp, losses = namespace(points), list[float]()
        names = [f"{branch}.{layer}.{kind}" for layer in range(self.depth + 1) for kind in ("weight", "bias")]

        def unpack(vector: np.ndarray) -> dict[str, Array]:
            ends = np.cumsum([trained[name].size for name in names])
            pieces = np.split(vector, ends[:-1])
            return {name: to_device(p.reshape(trained[name].shape), xp) for name, p in zip(names, pieces)}

        def loss(variables: Parameters) -> Any:
            found = self._network(variables, branch, points)
            found = scale_shift(found, scale=scale, shift=0.0)
            return mean_squared_error(found, target)

        size = float((target * target).mean())

        def function(vector: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradients = value_and_gradients(loss, unpack(vector))
            return float(value) / size, np.concatenate([to_host(gradients[name]).ravel() for name in names]) / size

        def note(intermediate_result: Any) -> None:
            losses.append(size * float(intermediate_result.fun))

        start = np.concatenate([to_host(trained[name]).ravel() for name in names])
        options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 50, "ftol": 0.0, "gtol": 0.0}
        result = scipy.optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options, callback=note)
        if not np.isfinite(result.fun):
            raise ConvergenceError(
                f"the loss of the {branch} is {result.fun} in L-BFGS; give strains of a smaller range"
            )
        trained.update(unpack(result.x))
        return losses
