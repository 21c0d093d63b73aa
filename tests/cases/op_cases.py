"""Inputs for every op of sci.nn: (name, arguments, options)."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(20)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def complex_(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def spd(*shape: int) -> np.ndarray:
    """Positive definite matrices with eigenvalues of order 1; `shape` ends in the number of rows."""
    a = real(*shape, 2 * shape[-1])
    return a @ a.swapaxes(-1, -2) / (2 * shape[-1])


RUNNING = {"variance": np.array([0.5, 1.0, 2.0]), "count": np.ones(1)}
SYMMETRIC = {"matrix_function", "reeig", "logeig", "bures_barycenter"}
"""Ops that refuse matrices that are not symmetric."""

OPS: list[tuple[str, list, dict]] = [
    *((name, [real(3, 5, 7)], {}) for name in ("gelu", "relu", "tanh", "silu", "sigmoid", "softplus")),
    *((name, [real(3, 5)], {}) for name in ("exp", "sin", "cos", "absolute")),
    *((name, [complex_(3, 5)], {}) for name in ("exp", "sin", "cos", "absolute", "log", "sqrt")),
    *((name, [1 + real(3, 5) ** 2], {}) for name in ("log", "sqrt")),
    *((name, [real(2, 3, 4), real(3, 1)], {}) for name in ("maximum", "minimum")),
    ("maximum", [real(3, 4), 0.25], {}),
    ("maximum", [np.ones(4), np.ones(4)], {}),
    ("where", [real(3, 4) > 0, real(3, 4), real(2, 1, 4)], {}),
    ("where", [real(3, 4) > 0, complex_(3, 1), 0.0], {}),
    ("clip", [real(4, 5)], {"a_min": -0.5, "a_max": 0.7}),
    ("clip", [real(4, 5)], {"a_max": np.linspace(-1, 1, 5)}),
    ("take", [real(4, 5, 2), np.array([[0, -1, 3], [3, 3, 1]])], {"axis": 1}),
    ("take", [complex_(4, 5), np.array([2, 0, 2])], {"axis": -1}),
    ("take_along_axis", [real(4, 5, 2), RNG.integers(-5, 5, (4, 7, 2))], {"axis": 1}),
    ("add", [real(2, 3, 4), real(3, 1)], {}),
    ("add", [real(2, 3), complex_(3)], {}),
    ("subtract", [real(4), real(2, 3, 4)], {}),
    ("multiply", [real(2, 3, 4), real(3, 1)], {}),
    ("multiply", [complex_(2, 3), real(2, 3)], {}),
    ("multiply", [complex_(2, 3), complex_(1, 3)], {}),
    ("divide", [real(2, 3, 4), 2 + real(3, 1) ** 2], {}),
    ("divide", [complex_(2, 3), 3 + complex_(1, 3)], {}),
    ("negative", [complex_(2, 3)], {}),
    ("power", [1 + real(2, 3) ** 2], {"exponent": -1.5}),
    ("power", [complex_(2, 3)], {"exponent": 3}),
    ("scale_shift", [real(2, 3, 4)], {"scale": 2.5, "shift": -1.0}),
    ("channel_scale", [real(2, 3, 4, 5), real(3)], {}),
    ("linear", [real(2, 5, 3), real(4, 3), real(4)], {}),
    ("linear", [real(5, 3), real(4, 3)], {}),
    ("linear", [complex_(5, 3), complex_(4, 3), complex_(4)], {}),
    ("pointwise_conv", [real(2, 3, 4, 5), real(6, 3), real(6)], {}),
    ("pointwise_conv", [real(2, 3, 7), real(6, 3)], {}),
    ("pointwise_conv", [complex_(2, 3, 7), complex_(6, 3), complex_(6)], {}),
    ("pointwise_conv", [real(2, 3, 7), complex_(6, 3), real(6)], {}),
    ("linear", [complex_(5, 3), real(4, 3), complex_(4)], {}),
    ("matmul", [real(2, 1, 3, 4), real(5, 4, 6)], {}),
    ("matmul", [complex_(3, 4), complex_(4, 2)], {}),
    ("einsum", ["bi,io->bo", real(3, 4), real(4, 5)], {}),
    ("einsum", ["bik,iok->bok", complex_(2, 3, 4), complex_(3, 5, 4)], {}),
    ("einsum", ["bik,oi,lk -> bol", real(2, 3, 4), complex_(6, 3), real(5, 4)], {}),
    ("sum", [real(2, 3, 4)], {}),
    ("sum", [real(2, 3, 4)], {"axis": (0, -1)}),
    ("sum", [real(2, 3, 4)], {"axis": 1, "keepdims": True}),
    ("mean", [real(2, 3, 4)], {}),
    ("mean", [complex_(2, 3, 4)], {"axis": 1}),
    ("reshape", [real(2, 3, 4)], {"shape": (6, -1)}),
    ("transpose", [real(2, 3, 4)], {"axes": (1, 2, 0)}),
    ("concatenate", [real(2, 3), real(2, 1), real(2, 4)], {"axis": -1}),
    ("pad", [real(2, 3, 4), ((0, 0), (1, 2), (0, 3))], {}),
    ("crop", [real(2, 5, 4), ((0, 0), (1, 2), (0, 3))], {}),
    ("select", [real(4, 5, 6)], {"index": (slice(None, None, 2), 1, slice(2, 5))}),
    ("select", [real(4, 5)], {"index": (np.array([0, 2, 2]), slice(1, None))}),
    ("embedding", [real(7, 3), np.array([[1, 6, 1], [0, 1, 4]])], {}),
    ("softmax", [real(4, 6)], {}),
    ("softmax", [real(4, 6, 2)], {"axis": 1}),
    ("log_softmax", [real(4, 6)], {}),
    ("cross_entropy", [real(2, 4, 6), np.array([[0, 5, 2, 2], [1, 1, 4, 3]])], {}),
    ("cross_entropy", [real(4, 6), np.array([0, 5, 2, 2])], {"weights": np.array([1.0, 0.0, 2.0, 1.0])}),
    ("dice_cross_entropy", [real(2, 3, 4, 5), np.arange(40).reshape(2, 4, 5) % 3], {}),
    ("layer_norm", [real(3, 4, 6), real(6), real(6)], {}),
    ("rms_norm", [real(3, 4, 6), real(6)], {}),
    ("group_norm", [real(2, 6, 4, 3), real(6), real(6)], {"groups": 3}),
    ("instance_norm", [real(2, 3, 4, 5)], {}),
    ("group_norm_relu", [real(2, 4, 4, 3), real(4), real(4)], {"slope": 0.1}),
    ("group_norm_relu", [real(2, 4, 3), real(4), real(4), real(2, 4, 3)], {"groups": 2}),
    ("evonorm_s0", [real(2, 6, 4, 3), real(6), real(6), real(6)], {"groups": 3}),
    ("evonorm_b0", [real(3, 4, 5, 3), real(4), real(4), real(4)], {}),
    ("evonorm_b0", [real(2, 3, 7), real(3), real(3), real(3)], {"training": False, "statistics": RUNNING}),
    ("convolve", [real(2, 3, 4, 5, 6), real(2, 3, 3, 3, 3), real(2)], {}),
    ("convolve", [real(2, 3, 7), real(5, 3, 2)], {"stride": 2, "padding": 1}),
    ("convolve", [real(1, 4, 6, 5), real(6, 2, 3, 2), real(6)], {"dilation": 2, "groups": 2, "boundary": "periodic"}),
    ("convolve_transposed", [real(2, 3, 4, 5), real(3, 2, 3, 2), real(2)], {"stride": (2, 1)}),
    ("convolve_transposed", [real(1, 4, 5), real(4, 1, 4)], {"stride": 3, "padding": 1, "groups": 2, "size": 16}),
    ("convolve_transposed", [real(1, 2, 3, 2), real(2, 3, 3, 3), real(3)], {"stride": 2, "boundary": "periodic"}),
    ("matrix_function", [spd(2, 3, 4)], {"name": "sqrt"}),
    ("matrix_function", [np.eye(4) + np.zeros((2, 1, 1))], {"name": "power", "exponent": -0.7}),
    ("reeig", [spd(2, 3, 4)], {"threshold": 0.6}),
    ("logeig", [spd(2, 3, 4)], {}),
    ("bimap", [spd(2, 3, 4), real(5, 3, 2, 4)], {}),
    ("semi_orthogonal", [real(2, 3, 5)], {}),
    ("positive_definite", [real(2, 3, 3)], {}),
    ("positive_definite", [np.zeros((2, 3, 3))], {"exponent": -0.5}),
    ("bures_barycenter", [spd(4, 2, 3)], {}),
    ("average_pool", [real(2, 3, 4, 2, 6)], {}),
    ("average_pool", [real(2, 3, 7, 5)], {"window": (3, 1), "stride": (2, 1), "padding": "same"}),
    ("max_pool", [real(2, 3, 4, 2, 6)], {}),
    ("separable_conv", [real(2, 3, 4, 5), real(3, 3), real(3, 4)], {}),
    ("separable_conv", [real(1, 2, 3, 4, 5), real(2, 3), real(2, 1), real(2, 2)], {"boundary": "periodic"}),
    ("max_pool", [real(2, 3, 7, 5)], {"window": 3, "stride": 2, "padding": 1}),
    ("resample", [real(2, 3, 2, 1, 3)], {"factor": 2}),
    ("resample", [real(2, 2, 5, 4)], {"size": (7, 6), "method": "linear"}),
    ("resample", [real(2, 2, 5, 4)], {"size": (3, 9), "method": "area"}),
    ("resample", [real(1, 2, 5, 4, 6)], {"size": (8, 7, 4), "method": "spectral"}),
    ("resample", [real(2, 2, 5)], {"size": 8, "method": "linear", "align_corners": True}),
    ("spherical_harmonics", [real(4, 3)], {"degree": 3}),
    ("spherical_harmonics", [real(2, 2, 3)], {"degree": 3, "solid": True}),
    ("gaunt_product", [real(3, 9, 2), real(3, 4, 2)], {"degree": 3}),
    ("gaunt_product", [real(2, 3, 4, 1), real(3, 9, 5)], {"degree": 1, "method": "quadrature"}),
    ("gaunt_product", [real(4, 3), real(4, 3)], {"degree": 2, "method": "fft"}),
    ("gaunt_product", [real(2, 4, 3), real(2, 9, 1)], {"degree": 2, "method": "dense"}),
    ("clebsch_gordan_product", [real(3, 9, 2), real(3, 4, 2)], {"degree": 2}),
    ("clebsch_gordan_product", [real(3, 9, 2), real(9, 1), real(4)], {"degree": 2, "parity": "odd"}),
    ("clebsch_gordan_product", [real(9, 3), real(2, 9, 3), real(11, 3)], {"degree": 2}),
    ("scale_degrees", [real(2, 3, 9, 4), real(3, 4)], {}),
    ("scale_degrees", [real(4, 2), real(2)], {}),
    ("copy_to_ranks", [real(2, 3)], {}),
    ("sum_over_ranks", [real(2, 3)], {}),
    ("gather_tokens", [real(2, 3)], {}),
    ("scatter_sum", [real(2, 3)], {}),
    ("mean_squared_error", [real(2, 3, 4), real(2, 3, 4)], {}),
    ("mean_squared_error", [complex_(2, 3), complex_(2, 3)], {}),
    ("relative_l2", [real(3, 2, 5)], {"target": real(3, 2, 5)}),
    ("relative_l2", [complex_(3, 2, 5)], {"target": complex_(3, 2, 5), "reduction": "sum"}),
    ("relative_lp", [real(3, 2, 5)], {"target": real(3, 2, 5), "p": 1.5}),
    ("absolute_lp", [real(3, 2, 5)], {"target": real(3, 2, 5), "p": 3.0}),
    ("relative_sobolev", [real(3, 2, 5, 6)], {"target": real(3, 2, 5, 6), "order": 1.5}),
    ("pointwise_quantile", [real(3, 2, 5)], {"residuals": real(3, 2, 5), "alpha": 0.3}),
    ("relative_h1", [real(3, 2, 5, 6)], {"target": real(3, 2, 5, 6)}),
    ("relative_h1", [real(3, 1, 5, 4, 6)], {"target": real(3, 1, 5, 4, 6), "periodic": False}),
]
