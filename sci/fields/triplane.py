"""A field of three dimensions as three planes of features and a small perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace_of, require_finite, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.fields.integrals import RayMode, integrate_rays, perceptron
from sci.fields.planes import Box, box_ends, sample_planes
from sci.fields.rays import Rays
from sci.nn import ModelState, count_parameters

__all__ = ["TriPlane"]

_NAMES = ("planes", "w0", "b0", "w1", "b1")


@entry
class TriPlane:
    """A field v(x, y, z) = W1 leaky(W0 f + b0) + b1, f the mean of bilinear samples of planes (x, y), (x, z), (y, z).

    3 n^2 numbers a feature where a grid has n^3, as a Chebyshev-Tucker format has few along each axis: for fields that
    are known by what rays through them measure, and trained through `integrals`.

    Parameters
    ----------
    nodes : int
        Nodes of a plane along each side, at least 2.
    features, hidden, outputs : int
    box : two triples of float
        Low and high ends along x, y and z.
    scale : float
        Standard deviation of the first planes.
    seed : int or numpy Generator
    dtype : float32 or float64
    device : "cpu" or "cuda"
    parameters : mapping of arrays, optional
        Used in place of random ones.

    Attributes
    ----------
    parameters : dict of arrays
        "planes" (3, n, n, features), "w0" (features, hidden), "b0", "w1" (outputs, hidden), "b1".

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    Chan et al., CVPR 2022, arXiv:2112.07945; Skorokhodov et al., arXiv:2206.10535.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import TriPlane, parallel_rays
    >>> field = TriPlane(16, features=4, hidden=8, seed=0)
    >>> field
    TriPlane(16 x 16 nodes, 4 features, 8 hidden units, 1 output, 3,121 parameters)
    >>> field(np.zeros((5, 3))).shape, field.integrals(parallel_rays(np.zeros(1), (4, 4), field.box)).shape
    ((5, 1), (16, 1))
    """

    def __init__(
        self,
        nodes: int,
        *,
        features: int = 16,
        hidden: int = 32,
        outputs: int = 1,
        box: Box = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        scale: float = 0.02,
        seed: int | np.random.Generator = 0,
        dtype: Any = np.float32,
        device: Device = "cpu",
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        if nodes < 2 or min(features, hidden, outputs) < 1 or np.dtype(dtype).name not in ("float32", "float64"):
            raise InvalidValueError(
                f"{nodes} nodes, {features} features, {hidden} hidden units, {outputs} outputs of {np.dtype(dtype)}; "
                "expected at least 2 nodes, 1 of the others, and float32 or float64"
            )
        low, high = box_ends(box)
        self.box: Box = (tuple(map(float, low)), tuple(map(float, high)))  # type: ignore[assignment]
        shapes = {
            "planes": (3, nodes, nodes, features),
            **{"w0": (features, hidden), "b0": (hidden,), "w1": (outputs, hidden), "b1": (outputs,)},
        }
        if parameters is None:
            parameters = _drawn(shapes, scale, np.random.default_rng(seed), dtype)
        self.parameters: dict[str, Array] = {}
        for name, shape in shapes.items():
            found = parameters.get(name)
            if getattr(found, "shape", None) != shape or set(parameters) != set(shapes):
                raise ShapeError(
                    f"parameters {sorted(parameters)}, {name} of shape {getattr(found, 'shape', None)}; "
                    f"expected {', '.join(shapes)}, and {shape}"
                )
            require_finite(found, f"parameter {name}")
            self.parameters[name] = to_device(found, namespace_of(device)) if device == "cuda" else found

    def __repr__(self) -> str:
        _, n, _, features = self.parameters["planes"].shape
        outputs, hidden = self.parameters["w1"].shape
        return (
            f"TriPlane({n} x {n} nodes, {features} features, {hidden} hidden units, {outputs} output"
            f"{'' if outputs == 1 else 's'}, {self.n_parameters:,} parameters)"
        )

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def __call__(self, points: Array) -> Array:
        """Return the field at points (m, 3): (m, outputs)."""
        found: Array = self.forward(self.parameters, points.astype(self.parameters["planes"].dtype, copy=False))
        return found

    def forward(self, parameters: Mapping[str, Any], points: Any) -> Any:
        """Return the field at points (m, 3), parameters and points arrays or variables of one dtype."""
        planes, *weights = (parameters[name] for name in _NAMES)
        return perceptron(sample_planes(planes, points, box=self.box), *weights)

    def integrals(self, rays: Rays, parameters: Mapping[str, Any] | None = None, *, mode: RayMode = "sum") -> Any:
        """Return the integrals along rays, (rays, outputs), see `integrate_rays`; `parameters` may be variables."""
        arrays = self.parameters if parameters is None else parameters
        return integrate_rays(*(arrays[name] for name in _NAMES), rays=rays, box=self.box, mode=mode)

    def on_grid(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the field at the centers of the cells of the box, (*shape, outputs)."""
        axes = [a + (np.arange(n) + 0.5) / n * (b - a) for n, a, b in zip(shape, *self.box)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        parts = [self(points[k : k + 65536]) for k in range(0, len(points), 65536)]
        return np.asarray(np.concatenate(parts).reshape(*shape, -1))

    def with_parameters(self, parameters: Mapping[str, Array]) -> TriPlane:
        """Return the field with other parameters, like those of a training."""
        _, n, _, features = self.parameters["planes"].shape
        outputs, hidden = self.parameters["w1"].shape
        dtype = self.parameters["planes"].dtype
        sizes: dict[str, Any] = {"features": features, "hidden": hidden, "outputs": outputs, "dtype": dtype}
        return TriPlane(n, **sizes, box=self.box, parameters=parameters)

    def to_state(self) -> ModelState:
        """Return the plain state, as a file holds it."""
        return ModelState("triplane", {"box": [list(end) for end in self.box]}, self.parameters)

    @classmethod
    def from_state(cls, state: ModelState) -> TriPlane:
        """Return the field of a state.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        found: Mapping[str, Array] = state.parameters
        planes, w1, box = found.get("planes"), found.get("w1"), state.options.get("box", ())
        good = getattr(planes, "ndim", 0) == 4 and getattr(w1, "ndim", 0) == 2 and np.shape(box) == (2, 3)
        if state.name != "triplane" or not good or planes is None or w1 is None:
            raise InvalidValueError(f"the state {state.name!r} is not that of a tri-plane field")
        low, high = box
        sizes: dict[str, Any] = {"features": planes.shape[3], "hidden": w1.shape[1], "outputs": len(w1)}
        return cls(planes.shape[1], **sizes, dtype=planes.dtype, box=(tuple(low), tuple(high)), parameters=found)


def _drawn(
    shapes: Mapping[str, tuple[int, ...]], scale: float, rng: np.random.Generator, dtype: Any
) -> dict[str, np.ndarray]:
    """Return random parameters: planes of deviation `scale`, matrices of 1 / sqrt(fan in), biases of units of 1/2.

    Units with biases far above the features bend nowhere at first: the field starts smooth.
    """
    features, hidden = shapes["w0"]
    deviations = {"planes": scale, "w0": features**-0.5, "b0": 0.5, "w1": hidden**-0.5}
    return {
        name: (rng.normal(0, deviations[name], shape) if name in deviations else np.zeros(shape)).astype(dtype)
        for name, shape in shapes.items()
    }
