"""The pointwise half of an FNO block: skip, GELU, perceptron, gate, GELU; compiled, and as array calls over tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sci.backend import Array, is_device_array, namespace
from sci.kernels import Kernel, block_size, get_kernel, launch, use_compiled
from sci.nn import gelu
from sci.nn.ops.products import outer_sum
from sci.operators.fno.tiles import TILE_POINTS, perceptron_tile, perceptron_tile_vjp, skip, skip_vjp, tiles
from sci.operators.spectral.weights import WeightFormat
from sci.tensor.contraction.outer_sums import outer_sums

__all__ = [
    "BlockSpec",
    "block_backward_reference",
    "block_forward_reference",
    "pointwise",
    "pointwise_vjp",
]

HOST_POINTS = 64
"""Points of a block of the kernels on the CPU, as in kernels/nn/fno_block.cu."""
_MLP = ("mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias")
_SUMS = ("skip", "gate", *_MLP)


@dataclass(frozen=True)
class BlockSpec:
    """The parts of a block without normalization.

    Parameters
    ----------
    form : WeightFormat
        Of the spectral weights.
    names : tuple of str
        The arrays that the op takes after the field: "bias", the weights, "skip" (linear or soft-gating),
        "mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias", and "gate" (linear or soft-gating).
    layer : int
        Row of joint weights.
    fno_skip, mlp_skip : "linear", "soft-gating", "identity" or None
    activate : bool
        GELU after each half; not in the last block.
    """

    form: WeightFormat
    names: tuple[str, ...]
    layer: int
    fno_skip: str | None
    mlp_skip: str | None
    activate: bool

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the spectral weights."""
        return tuple(self.form.shapes())


def _compiled(name: str, x: Array, p: Mapping[str, Array], spec: BlockSpec) -> Kernel | None:
    """Return the kernel's instance for this block, or None if array calls do its work."""
    width = x.shape[1]
    fits = p["mlp_0"].shape == (width // 2, width) and p["mlp_1"].shape == (width, width // 2)
    if not fits or spec.fno_skip != "linear" or spec.mlp_skip == "linear" or x.dtype not in ("float32", "float64"):
        return None
    kernel = get_kernel("nn/fno_block.cu", name, x.dtype, width, width // 2)
    return kernel if kernel.is_declared and use_compiled(kernel, x) else None


def _gate(p: Mapping[str, Array], spec: BlockSpec) -> Array:
    """Return one number per channel for each kind of skip but the linear one."""
    if spec.mlp_skip == "soft-gating":
        return p["gate"]
    fill = 1 if spec.mlp_skip == "identity" else 0
    return namespace(p["mlp_1_bias"]).full_like(p["mlp_1_bias"], fill)


def _grid(shape: tuple[int, ...], like: Array) -> int:
    points = block_size(like) if is_device_array(like) else HOST_POINTS
    return shape[0] * -(-shape[2] // points)


def pointwise(
    x: Array,
    v: Array,
    p: Mapping[str, Array],
    spec: BlockSpec,
    keep: bool = True,
    rows: tuple[Array, Array] | None = None,
) -> tuple[Array, Array | None]:
    """Return gelu(MLP(gelu(v + A x)) + g x) and its slope; leave v + A x in `v` if `keep`.

    Parameters
    ----------
    x, v : (batch, channel, points) arrays, `v` contiguous
        The input of the block, and its spectral convolution.
    p : dict of arrays
        By the names of `BlockSpec`.
    spec : BlockSpec
    keep : bool
        False if no derivative follows: `v` is then overwritten.
    rows : (batch, channel, lines, tail) and (tail, row) arrays, optional
        The spectral convolution as the product of both, the end of its inverse transform; `v` is then not read.
    """
    kernel = _compiled("block_forward", x, p, spec)
    if kernel is None:
        return block_forward_reference(x, v, p, spec, keep, rows)
    xp = namespace(x)
    out = xp.empty(v.shape, v.dtype) if keep else v
    slope = xp.empty(v.size if keep and spec.activate else 0, v.dtype)
    z, waves = rows or (xp.empty(0, v.dtype), xp.empty((0, 0), v.dtype))
    arrays = [p["skip"], _gate(p, spec), *(p[f"mlp_{i}{b}"] for i in (0, 1) for b in ("", "_bias"))]
    launch(
        *(kernel, _grid(v.shape, v), xp.ascontiguousarray(x), v, out, slope, *map(xp.ascontiguousarray, arrays)),
        *(z.reshape(-1), waves, v.shape[0], v.shape[2], int(spec.activate), int(keep), waves.shape[1], waves.shape[0]),
    )
    return out, slope.reshape(v.shape) if slope.size else None


def block_forward_reference(
    x: Array,
    v: Array,
    p: Mapping[str, Array],
    spec: BlockSpec,
    keep: bool = True,
    rows: tuple[Array, Array] | None = None,
) -> tuple[Array, Array | None]:
    """Reference of the kernel `block_forward`, for every kind of skip, in array calls over tiles."""
    xp = namespace(x)
    if rows is not None:
        v[...] = xp.matmul(*rows).reshape(v.shape)
    out = xp.empty_like(v) if keep else v
    slope = xp.empty_like(v) if keep and spec.activate else None
    for tile in tiles(x):
        xt, vt = x[tile], v[tile]
        if spec.fno_skip is not None:
            vt += skip(xt, spec.fno_skip, p.get("skip"))
        m = perceptron_tile(gelu(vt) if spec.activate else vt, *(p[name] for name in _MLP))
        if spec.mlp_skip is not None:
            m += skip(xt, spec.mlp_skip, p.get("gate"))
        if slope is not None:
            out[tile], slope[tile] = gelu.forward(m)
        else:
            out[tile] = gelu(m) if spec.activate else m
    return out, slope


def pointwise_vjp(
    dout: Array, x: Array, v: Array, slope: Array | None, p: Mapping[str, Array], spec: BlockSpec
) -> tuple[Array, Array, dict[str, Array]]:
    """Return the gradients of `v`, of `x` (without what goes through v's convolution), and of the parameters."""
    kernel = _compiled("block_backward", x, p, spec)
    if kernel is None:
        return block_backward_reference(dout, x, v, slope, p, spec)
    xp = namespace(x)
    x, dout = xp.ascontiguousarray(x), xp.ascontiguousarray(dout)
    dv, dx = xp.empty(v.shape, v.dtype), xp.empty(v.shape, v.dtype)
    sums = {} if is_device_array(v) else {name: xp.zeros_like(p[name]) for name in _SUMS if name in p}
    weights = [xp.ascontiguousarray(a) for a in (p["skip"], _gate(p, spec), p["mlp_0"], p["mlp_0_bias"], p["mlp_1"])]
    together = len(v) if is_device_array(v) else max(1, TILE_POINTS // v.shape[2])
    for start in range(0, len(v), together):
        part = slice(start, start + together)
        shape = v[part].shape
        narrow = (shape[0], p["mlp_0"].shape[0], shape[2])
        dm, value = xp.empty(shape, v.dtype), xp.empty(shape, v.dtype)
        hidden, dhidden = xp.empty(narrow, v.dtype), xp.empty(narrow, v.dtype)
        slopes = xp.empty(0, v.dtype) if slope is None else slope[part].reshape(-1)
        launch(
            *(kernel, _grid(shape, v), v[part], dout[part], slopes, *weights, dv[part], dx[part]),
            *(dm, value, hidden, dhidden, shape[0], shape[2], int(spec.activate)),
        )
        if is_device_array(v):
            pairs = ((dv, x), (dm, hidden), (dhidden, value))
            found = outer_sums(pairs, diagonal="gate" in p)
            names = ("skip", "", "mlp_1", "mlp_1_bias", "mlp_0", "mlp_0_bias", "gate")
            return dv, dx, {name: found[k] for k, name in enumerate(names) if name in p and name}
        sums["skip"] += outer_sum(dv[part], x[part])
        sums["mlp_1"] += outer_sum(dm, hidden)
        sums["mlp_0"] += outer_sum(dhidden, value)
        sums["mlp_1_bias"] += dm.sum(axis=2).sum(axis=0)
        sums["mlp_0_bias"] += dhidden.sum(axis=2).sum(axis=0)
        if "gate" in sums:
            dm *= x[part]
            sums["gate"] += dm.sum(axis=2).sum(axis=0)
    return dv, dx, sums


def block_backward_reference(
    dout: Array, x: Array, v: Array, slope: Array | None, p: Mapping[str, Array], spec: BlockSpec
) -> tuple[Array, Array, dict[str, Array]]:
    """Reference of the kernel `block_backward` and the products after it, for every kind of skip, over tiles."""
    xp = namespace(dout)
    dv, dx = xp.empty(v.shape, v.dtype), xp.empty(x.shape, x.dtype)
    sums = {name: xp.zeros_like(p[name]) for name in _SUMS if name in p}
    mlp = [sums[name] for name in _MLP]
    for tile in tiles(x):
        xt, dm = x[tile], dout[tile]
        dm = dm * slope[tile] if slope is not None else dm
        value, first = gelu.forward(v[tile]) if spec.activate else (v[tile], None)
        da = perceptron_tile_vjp(value, dm, (p["mlp_0"], p["mlp_0_bias"], p["mlp_1"]), mlp)
        if first is not None:
            da *= first
        dv[tile] = da
        through_v = skip_vjp(xt, da, spec.fno_skip, p.get("skip"), sums.get("skip"))
        through_gate = skip_vjp(xt, dm, spec.mlp_skip, p.get("gate"), sums.get("gate"))
        parts = [part for part in (through_v, through_gate) if part is not None]
        dx[tile] = parts[0] + parts[1] if len(parts) == 2 else (parts[0] if parts else 0)
    return dv, dx, sums
