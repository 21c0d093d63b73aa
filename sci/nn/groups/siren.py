"""Kernels of convolutions as small networks of sines of continuous coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Device, namespace, namespace_of, to_device
from sci.errors import InvalidValueError
from sci.nn.core.tape import value_of
from sci.nn.initialize import count_parameters
from sci.nn.ops.arithmetic import scale_shift
from sci.nn.ops.pointwise.elementwise import sin
from sci.nn.ops.products import linear

__all__ = ["SirenKernel"]


@entry
class SirenKernel:
    """A network of sines from coordinates to the entries of a kernel.

    h_0 = c, h_l = sin(frequency (W_l h_(l-1) + b_l)), out = W h + b.

    Parameters
    ----------
    inputs : int
        Coordinates: n for a lifting convolution, n + `group.n_features` for a group convolution.
    outputs : int
        Entries: outputs times inputs of the convolution.
    width, depth : int
        Neurons of a hidden layer, and hidden layers.
    frequency : float
        How fast the kernel may change.
    seed : int
    dtype : float32 or float64
    device : "cpu" or "cuda"

    Attributes
    ----------
    parameters : dict of arrays

    Raises
    ------
    InvalidValueError

    References
    ----------
    V. Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions", NeurIPS 2020, for the
    initial weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LinearGroup, SirenKernel, lifting_convolution
    >>> kernel = SirenKernel(2, 3 * 1, width=8)
    >>> kernel, kernel(kernel.parameters, np.zeros((5, 2), np.float32)).shape
    (SirenKernel(2 -> 3, width 8, 2 hidden layers, 123 parameters), (5, 3))
    >>> elements = LinearGroup(2).sample(4, dtype=np.float32).elements
    >>> x = np.ones((1, 1, 9, 9), np.float32)
    >>> lifting_convolution(x, lambda points: kernel(kernel.parameters, points), elements).shape
    (1, 3, 4, 9, 9)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 32,
        depth: int = 2,
        frequency: float = 10.0,
        seed: int = 0,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> None:
        if min(inputs, outputs, width, depth) < 1 or not 0 < frequency < math.inf:
            raise InvalidValueError(
                f"inputs {inputs}, outputs {outputs}, width {width}, depth {depth}, frequency {frequency}; expected "
                "integers of at least 1 and a positive number"
            )
        self.sizes, self.frequency = (inputs, *[width] * depth, outputs), frequency
        rng, xp = np.random.default_rng(seed), namespace_of(device)
        self.parameters: dict[str, Any] = {}
        for layer, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            bound = 1 / n_in if layer == 0 else math.sqrt(6 / n_in) / frequency
            if layer == depth:
                bound = math.sqrt(6 / n_in)
            weight = rng.uniform(-bound, bound, (n_out, n_in)).astype(dtype)
            bias = rng.uniform(-1 / n_in, 1 / n_in, n_out).astype(dtype)
            self.parameters |= {f"{layer}.weight": to_device(weight, xp), f"{layer}.bias": to_device(bias, xp)}

    def __repr__(self) -> str:
        depth = len(self.sizes) - 2
        return (
            f"SirenKernel({self.sizes[0]} -> {self.sizes[-1]}, width {self.sizes[1]}, {depth} hidden "
            f"layer{'s' * (depth != 1)}, {count_parameters(self.parameters):,} parameters)"
        )

    def __call__(self, parameters: Mapping[str, Any], *coordinates: Any) -> Any:
        """Return the entries at coordinates, which are put side by side.

        Parameters
        ----------
        parameters : dict of arrays or variables
        *coordinates : (p, k) arrays
            `inputs` columns together.

        Returns
        -------
        (p, outputs) array or variable

        Raises
        ------
        ShapeError, DTypeError
        """
        from_values = [value_of(c) for c in coordinates]
        h: Any = _beside(from_values)
        for layer in range(len(self.sizes) - 1):
            if layer:
                h = sin(scale_shift(h, scale=self.frequency, shift=0.0))
            h = linear(h, parameters[f"{layer}.weight"], parameters[f"{layer}.bias"])
        return h


def _beside(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else namespace(*parts).concatenate(parts, axis=1)
