"""A discriminator of patches that knows where they lie: a code of the patch scales the channels of its convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn import add, convolve, linear, mean, multiply, relu, reshape, tanh, value_of

__all__ = ["PatchDiscriminator", "patch_code"]

FREQUENCIES = 6
"""Octaves of the code of a patch: periods of 2 to 1/16 sides of the image."""
SLOPE = 0.2


def patch_code(scales: Array, offsets: Array) -> Array:
    """Return sines and cosines of pi 2^k (s, o_x, o_y), k below 6, and the three numbers: (n, 39).

    Parameters
    ----------
    scales : (n,) array
    offsets : (n, 2) array
    """
    xp = namespace(scales, offsets)
    numbers = xp.concatenate([scales[:, None], offsets], axis=1)
    angles = (numbers[:, :, None] * (np.pi * 2.0 ** np.arange(FREQUENCIES))).reshape(len(numbers), -1)
    return xp.concatenate([numbers, xp.sin(angles), xp.cos(angles)], axis=1)


def _leaky(x: Any) -> Any:
    return add((1 - SLOPE) * relu(x), SLOPE * x)


@entry
class PatchDiscriminator:
    """A critic of patches: blocks whose first convolution sees its channels times 1 + tanh(A z + b).

    z is a perceptron of the patch's scale and offsets, see `patch_code`. Block: modulated 3 x 3 convolution, leaky
    unit, 3 x 3 convolution of stride 2, leaky unit, plus the input through a 1 x 1 convolution of stride 2, over
    sqrt 2. The logit is that of the mean over the grid, h, plus h . P z.

    Parameters
    ----------
    channels : int
        Of the patches.
    widths : sequence of int
        Channels of each block.
    code : int
        Width of z.
    seed : int or numpy Generator
    dtype : float32 or float64

    Attributes
    ----------
    parameters : dict of arrays

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    A and b start from 0, so that an untrained one does not see where a patch lies. Train it by a loss of your own; see
    `sample_patches` for scales and offsets.

    References
    ----------
    Skorokhodov et al., arXiv:2206.10535, section 3.4; Karras et al., arXiv:1912.04958 (the blocks); Miyato and Koyama,
    arXiv:1802.05637 (the projection).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.fields import PatchDiscriminator
    >>> judge = PatchDiscriminator(1, (8, 16), code=8)
    >>> judge
    PatchDiscriminator(1 -> 8, 16 channels, code of 8, 5,545 parameters)
    >>> judge(np.zeros((3, 1, 16, 16), np.float32), np.ones(3), np.zeros((3, 2))).shape
    (3,)
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (32, 64, 128),
        *,
        code: int = 32,
        seed: int | np.random.Generator = 0,
        dtype: Any = np.float32,
    ) -> None:
        if not widths or min(channels, code, *widths) < 1 or np.dtype(dtype).name not in ("float32", "float64"):
            raise InvalidValueError(
                f"{channels} channels, widths {tuple(widths)}, code {code}; expected positive numbers"
            )
        self.widths = tuple(int(w) for w in widths)
        shapes: dict[str, tuple[int, ...]] = {
            **{"code.0.weight": (code, 3 + 6 * FREQUENCIES), "code.0.bias": (code,)},
            **{"code.1.weight": (code, code), "code.1.bias": (code,)},
            **{"first.weight": (self.widths[0], channels, 1, 1), "first.bias": (self.widths[0],)},
        }
        before = self.widths[0]
        for k, width in enumerate(self.widths):
            shapes |= {f"{k}.scale.weight": (before, code), f"{k}.scale.bias": (before,)}
            shapes |= {f"{k}.0.weight": (width, before, 3, 3), f"{k}.0.bias": (width,)}
            shapes |= {f"{k}.1.weight": (width, width, 3, 3), f"{k}.1.bias": (width,)}
            shapes |= {f"{k}.skip.weight": (width, before, 1, 1)}
            before = width
        shapes |= {"head.weight": (1, before), "head.bias": (1,), "projection.weight": (before, code)}
        rng = np.random.default_rng(seed)
        self.parameters: dict[str, Array] = {
            name: (
                np.zeros(shape)
                if name.endswith("bias") or ".scale." in name
                else rng.normal(0, float(np.prod(shape[1:])) ** -0.5, shape)
            ).astype(dtype)
            for name, shape in shapes.items()
        }

    def __repr__(self) -> str:
        channels, code = self.parameters["first.weight"].shape[1], len(self.parameters["code.0.bias"])
        n = sum(p.size for p in self.parameters.values())
        return (
            f"PatchDiscriminator({channels} -> {', '.join(map(str, self.widths))} channels, code of {code}, "
            f"{n:,} parameters)"
        )

    def __call__(self, patches: Array, scales: Array, offsets: Array) -> Array:
        """Return the logits (n,) of patches (n, channels, size, size)."""
        found: Array = self.forward(self.parameters, patches, scales, offsets)
        return found

    def forward(self, parameters: Mapping[str, Any], patches: Any, scales: Array, offsets: Array) -> Any:
        """Return the logits, parameters and patches arrays or variables of one dtype."""
        p, shape = parameters, patches.shape
        channels = self.parameters["first.weight"].shape[1]
        good = len(shape) == 4 and shape[1] == channels and min(shape[2:]) >= 2 ** len(self.widths)
        if not good or scales.shape != shape[:1] or offsets.shape != (shape[0], 2):
            raise ShapeError(
                f"patches {tuple(shape)}, scales {tuple(scales.shape)}, offsets {tuple(offsets.shape)}; expected (n, "
                f"{channels}, size, size) with size at least {2 ** len(self.widths)}, (n,) and (n, 2)"
            )
        code = patch_code(scales, offsets).astype(value_of(patches).dtype)
        z = _leaky(linear(code, p["code.0.weight"], p["code.0.bias"]))
        z = _leaky(linear(z, p["code.1.weight"], p["code.1.bias"]))
        x = _leaky(convolve(patches, p["first.weight"], p["first.bias"]))
        for k in range(len(self.widths)):
            x = self._block(p, k, x, z)
        h = mean(x, axis=(2, 3))
        logit = reshape(linear(h, p["head.weight"], p["head.bias"]), shape=(shape[0],))
        return add(logit, multiply(h, linear(z, p["projection.weight"])).sum(axis=1))

    def _block(self, p: Mapping[str, Any], k: int, x: Any, z: Any) -> Any:
        n, width = x.shape[:2]
        factor = add(tanh(linear(z, p[f"{k}.scale.weight"], p[f"{k}.scale.bias"])), 1.0)
        y = multiply(x, reshape(factor, shape=(n, width, 1, 1)))
        y = _leaky(convolve(y, p[f"{k}.0.weight"], p[f"{k}.0.bias"], padding=1))
        y = _leaky(convolve(y, p[f"{k}.1.weight"], p[f"{k}.1.bias"], padding=1, stride=2))
        return multiply(add(y, convolve(x, p[f"{k}.skip.weight"], stride=2)), 0.5**0.5)
