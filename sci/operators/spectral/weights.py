"""Weights over Fourier modes: dense, Tucker, CP and tensor-train, contracted without ever being put together.

The weights of a spectral convolution are a complex tensor W of shape (in, out, m_1, ..., m_d). A factorized one is
contracted with the spectrum factor by factor; the order of the contractions projects the channels first, expands the
factors of the modes, and mixes the few projected channels mode by mode.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError
from sci.operators.spectral.contraction import Step, run_network, run_network_vjp
from sci.operators.spectral.transform import weight_window

__all__ = ["FACTORIZATIONS", "WeightFormat", "cp_terms", "tensor_train_ranks", "tucker_ranks"]

FACTORIZATIONS = ("dense", "tucker", "cp", "tt")
_MODES = "xyz"
_CORE = "stu"

Ranks = float | int | Sequence[int]


def tucker_ranks(shape: Sequence[int], rank: Ranks) -> tuple[int, ...]:
    """Return the Tucker ranks of a tensor; a float is the fraction of the parameters of the dense tensor.

    r_j = max(round(c n_j), 1), where c solves c^d prod n_j + c sum n_j^2 = rank prod n_j.
    """
    if not isinstance(rank, float):
        return _checked((rank,) * len(shape) if isinstance(rank, int | np.integer) else rank, len(shape))
    whole, squares = math.prod(shape), sum(n * n for n in shape)
    low, high = 0.0, max(1.0, rank)
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if c ** len(shape) * whole + c * squares < _fraction(rank) * whole else (low, c)
    return tuple(max(round(high * n), 1) for n in shape)


def cp_terms(shape: Sequence[int], rank: Ranks) -> int:
    """Return the number of terms of a CP tensor; a float is the fraction of the parameters of the dense tensor."""
    if not isinstance(rank, float):
        return _checked((rank,) if isinstance(rank, int | np.integer) else rank, 1)[0]
    return max(round(_fraction(rank) * math.prod(shape) / sum(shape)), 1)


def tensor_train_ranks(shape: Sequence[int], rank: Ranks) -> tuple[int, ...]:
    """Return the d - 1 inner ranks of a tensor train, proportional to the mean of the neighboring lengths."""
    order = len(shape)
    if not isinstance(rank, float):
        return _checked((rank,) * (order - 1) if isinstance(rank, int | np.integer) else rank, order - 1)
    means = [(a + b) / 2 for a, b in itertools.pairwise(shape)]
    square = sum(p * n * q for p, n, q in zip(means[:-1], shape[1:-1], means[1:]))
    linear = shape[0] * means[0] + shape[-1] * means[-1]
    target = _fraction(rank) * math.prod(shape)
    scale = (math.sqrt(linear * linear + 4 * square * target) - linear) / (2 * square)
    return tuple(max(round(scale * m), 1) for m in means)


def _fraction(rank: float) -> float:
    if not 0 < rank < math.inf:
        raise InvalidValueError(f"rank is {rank}; expected a positive fraction of the dense parameters")
    return rank


def _checked(ranks: Any, count: int) -> tuple[int, ...]:
    found = tuple(ranks)
    if len(found) != count or any(not isinstance(r, int | np.integer) or r < 1 for r in found):
        raise InvalidValueError(f"rank is {ranks!r}; expected a float, a positive integer, or {count} of them")
    return tuple(int(r) for r in found)


@dataclass(frozen=True)
class WeightFormat:
    """The shape and the format of the weights of a spectral convolution.

    Parameters
    ----------
    in_channels, out_channels : int
    modes : tuple of int
        Stored modes along each axis, columns of the half spectrum last.
    factorization : "dense", "tucker", "cp" or "tt"
    rank : float, int or sequence of int
        A float is the fraction of the dense parameters.
    layers : int
        0, or the number of layers that share one factorized tensor with the layer as its first axis.
    """

    in_channels: int
    out_channels: int
    modes: tuple[int, ...]
    factorization: str = "dense"
    rank: Ranks = 1.0
    layers: int = 0

    def __post_init__(self) -> None:
        if self.factorization not in FACTORIZATIONS:
            raise InvalidValueError(
                f"factorization is {self.factorization!r}; expected one of {', '.join(FACTORIZATIONS)}"
            )
        if self.layers and self.factorization == "dense":
            raise InvalidValueError("joint weights of all layers need a factorization: tucker, cp or tt")
        self.ranks()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that is factorized."""
        lead = (self.layers,) if self.layers else ()
        return (*lead, self.in_channels, self.out_channels, *self.modes)

    def ranks(self) -> tuple[int, ...]:
        """Return the ranks of the format; empty where it is dense."""
        if self.factorization == "tucker":
            return tucker_ranks(self.shape, self.rank)
        if self.factorization == "cp":
            return (cp_terms(self.shape, self.rank),)
        return tensor_train_ranks(self.shape, self.rank) if self.factorization == "tt" else ()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter by name."""
        ranks, shape = self.ranks(), self.shape
        if self.factorization == "dense":
            return {"weight": (*self.modes, self.in_channels, self.out_channels)}
        if self.factorization == "tucker":
            return {"core": ranks, **{f"factor_{j}": (n, r) for j, (n, r) in enumerate(zip(shape, ranks))}}
        if self.factorization == "cp":
            return {"weights": ranks, **{f"factor_{j}": (n, ranks[0]) for j, n in enumerate(shape)}}
        inner = zip(ranks[:-1], shape[1:-1], ranks[1:])
        cores = [(shape[0], ranks[0]), *((a, n, b) for a, n, b in inner), (ranks[-1], shape[-1])]
        return {f"factor_{j}": core for j, core in enumerate(cores)}

    def initialize(self, rng: np.random.Generator, xp: ModuleType, dtype: Any = np.complex64) -> dict[str, Array]:
        """Return complex normal parameters whose tensor has entries of standard deviation sqrt(2 / (in + out)).

        Every entry of the tensor is a sum of p products of n parameters, so that each parameter has the deviation
        (sigma / sqrt p)^(1/n), p being the product of the ranks that are summed over.
        """
        sigma, shapes = math.sqrt(2 / (self.in_channels + self.out_channels)), self.shapes()
        drawn = len(shapes) - (self.factorization == "cp")
        deviation = (sigma / math.sqrt(math.prod(self.ranks()))) ** (1 / drawn)
        result = {}
        for name, shape in shapes.items():
            if name == "weights":
                result[name] = to_device(np.ones(shape, dtype), xp)
                continue
            pair = rng.normal(0, deviation / math.sqrt(2), (*shape, 2))
            result[name] = to_device(pair.view(np.complex128)[..., 0].astype(dtype), xp)
        return result

    def steps(self) -> tuple[Step, ...]:
        """Return the contractions that take the spectrum "X" (*modes, batch, in) to (*modes, batch, out)."""
        return _STEPS[self.factorization](len(self.modes), bool(self.layers))

    def mix(self, spectrum: Array, parameters: Mapping[str, Array], layer: int = 0) -> tuple[Array, Any]:
        """Return Y[k, b, o] = sum_i X[k, b, i] W[i, o, k] on the modes that `spectrum` holds, and residuals.

        Parameters
        ----------
        spectrum : (*kept, batch, in) complex
            At most as many modes as are stored; the weights are cropped about their center.
        parameters : dict of arrays
        layer : int
            Row of the layers' axis of joint weights.
        """
        kept = spectrum.shape[: len(self.modes)]
        operands = {name: self._cropped(name, value, kept, layer) for name, value in parameters.items()}
        values = run_network(self.steps(), {"X": spectrum, **operands})
        shapes = {name: value.shape for name, value in parameters.items()}
        return values.pop("Y"), (values, shapes, kept, layer)

    def mix_vjp(self, dout: Array, residuals: Any) -> tuple[Array, dict[str, Array]]:
        """Return the gradients of the spectrum and of the parameters."""
        values, shapes, kept, layer = residuals
        gradients = run_network_vjp(self.steps(), values, dout)
        dspectrum, xp = gradients.pop("X"), namespace(dout)
        result = {}
        for name, shape in shapes.items():
            place = self._place(name, kept, layer)
            if place is None:
                result[name] = gradients[name]
                continue
            result[name] = xp.zeros(shape, gradients[name].dtype)
            result[name][place] = gradients[name]
        return dspectrum, result

    def _place(self, name: str, kept: Sequence[int], layer: int) -> Any:
        """Return the index of the part of a parameter that is used, or None for all of it."""
        window = weight_window(self.modes, kept)
        if self.factorization == "dense":
            return None if tuple(kept) == self.modes else window
        if name in ("core", "weights"):
            return None
        axis = int(name.removeprefix("factor_")) - bool(self.layers)
        if axis == -1:
            return layer
        if axis < 2 or kept[axis - 2] == self.modes[axis - 2]:
            return None
        train = self.factorization == "tt"
        return (slice(None), window[axis - 2]) if train else (window[axis - 2],)

    def _cropped(self, name: str, value: Array, kept: Sequence[int], layer: int) -> Array:
        place = self._place(name, kept, layer)
        return value if place is None else value[place]

    def full(self, parameters: Mapping[str, Array], layer: int = 0) -> Array:
        """Return the dense weights (in, out, *modes) of one layer."""
        xp, dim = namespace(*parameters.values()), len(self.modes)
        dtype = next(iter(parameters.values())).dtype
        unit = xp.broadcast_to(xp.eye(self.in_channels, dtype=dtype), (*self.modes, self.in_channels, self.in_channels))
        dense, _ = self.mix(unit, parameters, layer)
        return xp.moveaxis(dense, (dim, dim + 1), (0, 1))


def _dense_steps(dim: int, joint: bool) -> tuple[Step, ...]:
    k = _MODES[:dim]
    return (("Y", "X", "weight", f"{k}bi,{k}io->{k}bo"),)


def _tucker_steps(dim: int, joint: bool) -> tuple[Step, ...]:
    k, first = _MODES[:dim], int(joint)
    steps = [("core_0", "factor_0", "core", f"a,apq{_CORE[:dim]}->pq{_CORE[:dim]}")] if joint else []
    name = "core_0" if joint else "core"
    for axis in reversed(range(dim)):
        before, after = _CORE[: axis + 1], k[axis + 1 :]
        target = f"pq{_CORE[:axis]}{k[axis:]}" if axis else f"{k}pq"
        made = f"expanded_{axis}"
        steps.append((made, name, f"factor_{axis + 2 + first}", f"pq{before}{after},{k[axis]}{_CORE[axis]}->{target}"))
        name = made
    steps += [
        ("projected", "X", f"factor_{first}", f"{k}bi,ip->{k}bp"),
        ("mixed", "projected", name, f"{k}bp,{k}pq->{k}bq"),
        ("Y", "mixed", f"factor_{first + 1}", f"{k}bq,oq->{k}bo"),
    ]
    return tuple(steps)


def _cp_steps(dim: int, joint: bool) -> tuple[Step, ...]:
    k, first = _MODES[:dim], int(joint)
    steps = [("weights_0", "factor_0", "weights", "r,r->r")] if joint else []
    name = "weights_0" if joint else "weights"
    for axis in range(dim):
        made = f"expanded_{axis}"
        steps.append((made, name, f"factor_{axis + 2 + first}", f"{k[:axis]}r,{k[axis]}r->{k[: axis + 1]}r"))
        name = made
    steps += [
        ("projected", "X", f"factor_{first}", f"{k}bi,ir->{k}br"),
        ("mixed", "projected", name, f"{k}br,{k}r->{k}br"),
        ("Y", "mixed", f"factor_{first + 1}", f"{k}br,or->{k}bo"),
    ]
    return tuple(steps)


def _tensor_train_steps(dim: int, joint: bool) -> tuple[Step, ...]:
    k, first, bonds = _MODES[:dim], int(joint), "cdef"
    steps = [("entry", "factor_0", "factor_1", "l,lia->ia")] if joint else []
    name = f"factor_{dim + 1 + first}"
    for axis in reversed(range(dim - 1)):
        made = f"expanded_{axis}"
        left, right = bonds[axis], bonds[axis + 1]
        indices = f"{left}{k[axis]}{right},{right}{k[axis + 1 :]}->{left}{k[axis:]}"
        steps.append((made, f"factor_{axis + 2 + first}", name, indices))
        name = made
    steps += [
        ("mixing", f"factor_{first + 1}", name, f"aoc,c{k}->{k}ao"),
        ("projected", "X", "entry" if joint else "factor_0", f"{k}bi,ia->{k}ba"),
        ("Y", "projected", "mixing", f"{k}ba,{k}ao->{k}bo"),
    ]
    return tuple(steps)


_STEPS = {"dense": _dense_steps, "tucker": _tucker_steps, "cp": _cp_steps, "tt": _tensor_train_steps}
