"""Fused norms and activations against their formulas, their identities, and what they read."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

import sci
import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import kernel_folder

RNG = np.random.default_rng(7)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def on_channels(vector: np.ndarray, x: np.ndarray) -> np.ndarray:
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def s0(x: np.ndarray, gate: np.ndarray, weight: np.ndarray, bias: np.ndarray, groups: int, eps: float) -> np.ndarray:
    parts = x.reshape(x.shape[0], groups, -1)
    root = np.sqrt(parts.var(axis=2, keepdims=True) + eps)
    gated = x * sigmoid(on_channels(gate, x) * x)
    return (gated.reshape(parts.shape) / root).reshape(x.shape) * on_channels(weight, x) + on_channels(bias, x)


def b0(x: np.ndarray, gate: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> np.ndarray:
    grid = tuple(range(2, x.ndim))
    batch = np.sqrt(x.var(axis=(0, *grid), keepdims=True) + eps)
    own = np.sqrt(x.var(axis=grid, keepdims=True) + eps)
    return x / np.maximum(batch, on_channels(gate, x) * x + own) * on_channels(weight, x) + on_channels(bias, x)


def relu_of_norm(x, weight, bias, added, groups, slope, eps):
    parts = x.reshape(x.shape[0], groups, -1)
    unit = (parts - parts.mean(axis=2, keepdims=True)) / np.sqrt(parts.var(axis=2, keepdims=True) + eps)
    value = unit.reshape(x.shape) * on_channels(weight, x) + on_channels(bias, x) + added
    return np.where(value > 0, value, slope * value)


@pytest.mark.parametrize("shape", [(2, 6, 50), (3, 6, 9, 11), (1, 6, 12, 13, 9)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("f8", 1e-12), ("f4", 1e-6)])
def test_forward_equals_the_formula(shape, dtype, tolerance):
    x = (0.5 + 2 * RNG.normal(size=shape)).astype(dtype)
    more = RNG.normal(size=shape).astype(dtype)
    gate, weight, bias = RNG.normal(size=(3, 6)).astype(dtype)
    wide = [a.astype("f8") for a in (x, gate, weight, bias)]
    pairs = [
        (P.evonorm_s0(x, gate, weight, bias, groups=3), s0(*wide, 3, 1e-5)),
        (P.evonorm_b0(x, gate, weight, bias), b0(*wide, 1e-5)),
        (P.group_norm_relu(x, weight, bias), relu_of_norm(wide[0], *wide[2:], 0, 6, 0.01, 1e-5)),
        (
            P.group_norm_relu(x, weight, bias, more, groups=2, slope=0.0),
            relu_of_norm(wide[0], *wide[2:], more.astype("f8"), 2, 0.0, 1e-5),
        ),
    ]
    for found, expected in pairs:
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def differences(function, arrays: list[np.ndarray], dout: np.ndarray, step: float) -> list[np.ndarray]:
    """Derivatives of sum(dout function) by central differences of fourth order."""
    found = []
    for k, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for at in np.ndindex(array.shape):
            values = []
            for shift in (-2, -1, 1, 2):
                moved = [a.copy() for a in arrays]
                moved[k][at] += shift * step
                values.append(np.sum(dout * function(*moved)))
            gradient[at] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        found.append(gradient)
    return found


def test_gradients_equal_those_of_the_formulas():
    """Float64 against differences of the formulas, float32 against float64; inputs are away from kinks."""
    x, dout = RNG.normal(size=(2, 3, 4, 5))
    gate, weight, bias = RNG.normal(size=(3, 4))
    cases = [
        (P.evonorm_s0, {"groups": 2, "eps": 1e-3}, lambda *a: s0(*a, 2, 1e-3)),
        (P.evonorm_b0, {"eps": 1e-3}, lambda *a: b0(*a, 1e-3)),
    ]
    for op, options, formula in cases:
        arrays = [x, gate, weight, bias]
        expected = differences(formula, arrays, dout, 1e-3)
        found = op.vjp(dout, op.forward(*arrays, **options)[1])
        single = op.vjp(dout.astype("f4"), op.forward(*(a.astype("f4") for a in arrays), **options)[1])
        for g, s, e in zip(found, single, expected):
            np.testing.assert_allclose(g, e, atol=1e-8 * np.abs(e).max())
            np.testing.assert_allclose(s, g, atol=1e-6 * np.abs(g).max())


def exact_gradients(x, gate, weight, dout, eps):
    """Gradients of S0 with one group and of B0, from the derivatives of variance, quotient and gate, written out."""
    n, (v, w) = x[0].size, (on_channels(a, x) for a in (gate, weight))
    mean, root = x.mean((1, 2), keepdims=True), np.sqrt(x.var((1, 2), keepdims=True) + eps)
    s = sigmoid(v * x)
    through = (dout * w * x * s).sum((1, 2), keepdims=True) * (x - mean) / (n * root**3)
    by_s0 = dout * w * s * (1 + v * x * (1 - s)) / root - through
    m, size = x.shape[0] * x.shape[2], x.shape[2]
    center, own_mean = x.mean((0, 2), keepdims=True), x.mean(2, keepdims=True)
    batch, own = np.sqrt(x.var((0, 2), keepdims=True) + eps), np.sqrt(x.var(2, keepdims=True) + eps)
    right = v * x + own
    largest = np.maximum(batch, right)
    fall = -dout * w * x / largest**2
    left_fall, right_fall = np.where(right > batch, 0, fall), np.where(right > batch, fall, 0)
    by_b0 = dout * w / largest + right_fall * v
    by_b0 += left_fall.sum((0, 2), keepdims=True) * (x - center) / (m * batch)
    by_b0 += right_fall.sum(2, keepdims=True) * (x - own_mean) / (size * own)
    return by_s0, by_b0


def test_gradients_for_the_input_reach_rounding():
    x, dout = RNG.normal(size=(2, 3, 4, 300))
    gate, weight, bias = RNG.normal(size=(3, 4))
    expected = exact_gradients(x, gate, weight, dout, 1e-5)
    for op, e in zip((P.evonorm_s0, P.evonorm_b0), expected):
        found = op.vjp(dout, op.forward(x, gate, weight, bias)[1])[0]
        np.testing.assert_allclose(found, e, atol=1e-12 * np.abs(e).max())


def test_variances_do_not_cancel_under_a_large_mean():
    """Float32 with a mean of 1000 deviations: E[x^2] - E[x]^2 would have no digit left."""
    noise = RNG.normal(size=(2, 4, 6000))
    x = (1000 + noise).astype("f4")
    ones, zeros = np.ones(4, "f4"), np.zeros(4, "f4")
    root = x.astype("f8").std(axis=2, keepdims=True)
    np.testing.assert_allclose(P.evonorm_s0(x, zeros, ones, zeros, groups=4, eps=0.0), x / root / 2, rtol=1e-6)
    batch = x.astype("f8").std(axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(P.evonorm_b0(x, zeros, ones, zeros, eps=0.0), x / np.maximum(batch, root), rtol=1e-6)


def test_half_precision_is_summed_in_single():
    x = (RNG.normal(size=(2, 4, 300)) * 300).astype("f2")  # squares leave float16
    weights = [a.astype("f2") for a in (np.full(4, 0.01), np.ones(4), np.zeros(4))]
    for op in (P.evonorm_s0, P.evonorm_b0):
        out, residuals = op.forward(x, *weights)
        wide = op(*(a.astype("f8") for a in (x, *weights)))
        assert out.dtype == np.float16
        np.testing.assert_allclose(out, wide, rtol=1e-3, atol=1e-3)
        assert {g.dtype for g in op.vjp(out, residuals)} == {np.dtype(np.float16)}


def test_identities_of_the_norms():
    x, (weight, bias, gate) = RNG.normal(size=(3, 4, 60)), RNG.normal(size=(3, 4))
    none = np.zeros(4)
    scaled = [P.evonorm_b0(c * x, gate, weight, bias, eps=0.0) for c in (1.0, 7.0)]
    np.testing.assert_allclose(scaled[0], scaled[1], rtol=1e-12)
    scaled = [P.evonorm_s0(c * x, none, weight, bias, eps=0.0) for c in (1.0, 7.0)]
    np.testing.assert_allclose(scaled[0], scaled[1], rtol=1e-12)
    gated = [P.evonorm_s0(c * x, gate, weight, bias, eps=0.0) for c in (1.0, 7.0)]
    assert np.abs(gated[0] - gated[1]).max() > 0.1
    for op in (P.evonorm_b0, P.evonorm_s0):
        assert np.abs(op(x, gate, weight, bias) - op(x + 1, gate, weight, bias)).max() > 0.1
    one = x[:1]  # a batch of one sample: both variances are the same, the maximum is that of 0 and gate x
    own = one.std(axis=2, keepdims=True)
    expected = one / (own + np.maximum(0, gate[:, None] * one)) * weight[:, None] + bias[:, None]
    np.testing.assert_allclose(P.evonorm_b0(one, gate, weight, bias, eps=0.0), expected, rtol=1e-12)


def test_running_variance_is_that_of_the_batches():
    batches = RNG.normal(size=(40, 8, 3, 20)) * np.array([1.0, 2.0, 3.0])[:, None]
    statistics = {"variance": np.ones(3), "count": np.zeros(1)}
    gate, weight, bias = np.ones((3, 3))
    with pytest.raises(InvalidValueError, match="without the statistics"):
        P.evonorm_b0(batches[0], gate, weight, bias, statistics=statistics, training=False)
    first = P.evonorm_b0(batches[0], gate, weight, bias, statistics=statistics)
    np.testing.assert_allclose(statistics["variance"], batches[0].var(axis=(0, 2), ddof=1), rtol=1e-13)
    assert first.shape == batches[0].shape
    expected = statistics["variance"].copy()
    for k, x in enumerate(batches[1:], 2):
        P.evonorm_b0(x, gate, weight, bias, statistics=statistics)
        expected += max(0.1, 1 / k) * (x.var(axis=(0, 2), ddof=1) - expected)
    np.testing.assert_allclose(statistics["variance"], expected, rtol=1e-12)
    before = statistics["variance"].copy()
    out = P.evonorm_b0(batches[0], gate, weight, bias, statistics=statistics, training=False)
    root = np.sqrt(before + 1e-5)[:, None]
    own = np.sqrt(batches[0].var(axis=2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, batches[0] / np.maximum(root, batches[0] + own) + 1, rtol=1e-12)
    np.testing.assert_array_equal(statistics["variance"], before)


def test_empty_batches_are_empty():
    x, weight = np.empty((0, 4, 5)), np.ones(4)
    statistics = {"variance": np.ones(4), "count": np.zeros(1)}
    for op, arrays, options in (
        (P.group_norm_relu, (weight, weight), {}),
        (P.evonorm_s0, (weight, weight, weight), {}),
        (P.evonorm_b0, (weight, weight, weight), {"statistics": statistics}),
    ):
        out, residuals = op.forward(x, *arrays, **options)
        gradients = op.vjp(out, residuals)
        assert out.shape == gradients[0].shape == x.shape
        for gradient in gradients[1:]:
            assert gradient is None or np.array_equal(gradient, np.zeros(4))
    assert statistics["count"][0] == 0


def test_what_does_not_fit_is_refused():
    x, w = RNG.normal(size=(2, 6, 4)), np.ones(6)
    for call in (
        lambda: P.evonorm_s0(x, w, w, w, groups=4),
        lambda: P.evonorm_s0(x, w, w, w, groups=0),
        lambda: P.evonorm_s0(x, w[:5], w, w),
        lambda: P.evonorm_b0(x, w, w[None], w),
        lambda: P.evonorm_b0(x[0, 0], w, w, w),
        lambda: P.evonorm_s0(x[:, :, :0], w, w, w),
        lambda: P.group_norm_relu(x, w, w, x[:1]),
        lambda: P.group_norm_relu(x, w, w, groups=5),
        lambda: P.evonorm_b0(x, w, w, w, statistics={"variance": w[:3], "count": w[:1]}),
    ):
        with pytest.raises(ShapeError, match="expected"):
            call()
    with pytest.raises(InvalidValueError, match="eps"):
        P.evonorm_s0(x, w, w, w, eps=-1.0)
    with pytest.raises(InvalidValueError, match="slope"):
        P.group_norm_relu(x, w, w, slope=1.0)
    with pytest.raises(InvalidValueError, match="momentum"):
        P.evonorm_b0(x, w, w, w, momentum=0.0)
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        P.evonorm_s0(x.astype(">f8"), w, w, w)


COUNTED = """
#include <cstdio>
#include <list>
#include <unordered_map>
#include <vector>

// The first-level cache of a core: 512 lines of 64 bytes, the one used longest ago is replaced.
static std::list<size_t> lines;
static std::unordered_map<size_t, std::list<size_t>::iterator> held;
static const char *low, *high;  // the arrays whose reads count
static long missed;

static void touch(const void* where) {
    const char* at = static_cast<const char*>(where);
    const size_t line = size_t(at) / 64;
    const auto found = held.find(line);
    if (found != held.end()) {
        lines.splice(lines.begin(), lines, found->second);
        return;
    }
    if (at >= low && at < high) ++missed;
    lines.push_front(line);
    held[line] = lines.begin();
    if (lines.size() > 512) held.erase(lines.back()), lines.pop_back();
}

struct Number {
    float value;
    Number() : value(0) {}
    Number(double v) : value(float(v)) {}
    Number(const Number& other) : value(other.get()) {}
    Number& operator=(const Number& other) { value = other.get(); return *this; }
    float get() const { touch(this); return value; }
    explicit operator double() const { return get(); }
    Number operator-() const { return -get(); }
    Number& operator+=(const Number& other) { value += other.get(); return *this; }
    friend Number operator+(const Number& a, const Number& b) { return a.get() + b.get(); }
    friend Number operator-(const Number& a, const Number& b) { return a.get() - b.get(); }
    friend Number operator*(const Number& a, const Number& b) { return a.get() * b.get(); }
    friend Number operator/(const Number& a, const Number& b) { return a.get() / b.get(); }
    friend bool operator<(const Number& a, const Number& b) { return a.get() < b.get(); }
    friend bool operator<=(const Number& a, const Number& b) { return a.get() <= b.get(); }
    friend bool operator!=(const Number& a, const Number& b) { return a.get() != b.get(); }
    friend bool operator>(const Number& a, const Number& b) { return a.get() > b.get(); }
    friend Number sqrt(const Number& a) { return __builtin_sqrtf(a.get()); }
    friend Number sci_exp(const Number& a) { return __builtin_expf(a.get()); }
};

#define SCI_BLOCK 16
#include "nn/norms.cu"

int main() {
    const i64 rows = 2, n = 40000, members = 2, channels = 4;
    std::vector<Number> x(rows * n), d(rows * n), z(rows * n), y(rows * n), w(4, Number(1)), own(4), sums(12);
    for (i64 k = 0; k < rows * n; ++k) x[k].value = __builtin_sin(double(k)), d[k].value = __builtin_cos(double(k));
    std::vector<double> moments(8);
    auto count = [&](const char* name, auto run) {
        lines.clear(), held.clear(), missed = 0;
        run();
        std::printf("%s %.3f\\n", name, missed * 64.0 / double(rows * n * sizeof(Number)));
    };
    auto reads_of = [&](const std::vector<Number>& array) {
        low = reinterpret_cast<const char*>(array.data());
        high = reinterpret_cast<const char*>(array.data() + array.size());
    };
    const SciIndex block{0}, grid{1};
    Number *inverse = own.data() + 2, *sum = sums.data();
    double* const mean = moments.data();
    reads_of(x);
    auto s0 = [&] { evonorm_s0(block, grid, x.data(), w.data(), w.data(), w.data(), y.data(), mean, inverse, rows, n,
                               channels, members, 1e-5); };
    count("s0", s0);
    count("s0_vjp", [&] { evonorm_s0_vjp(block, grid, d.data(), x.data(), w.data(), w.data(), mean, inverse, z.data(),
                                         sum, sum + 4, sum + 8, rows, n, channels, members); });
    count("standardize", [&] { standardize<Number, true>(block, grid, x.data(), y.data(), inverse, rows, n, 1e-5); });
    count("norm_relu", [&] { norm_relu<Number, false>(block, grid, x.data(), x.data(), w.data(), w.data(), y.data(),
                                                      mean, inverse, rows, n, channels, members, .01, 1e-5); });
    count("b0", [&] {
        row_moments(block, grid, x.data(), moments.data(), moments.data() + 4, 2 * rows, n / 2);
        evonorm_b0(block, grid, x.data(), w.data(), w.data(), w.data(), w.data(), w.data(), y.data(), 2 * rows, n / 2,
                   channels);
    });
    auto unfused = [&] {  // variance, gate and quotient, each in a pass of its own
        row_moments(block, grid, x.data(), moments.data(), moments.data() + 4, rows, n);
        for (i64 k = 0; k < rows * n; ++k) z[k] = x[k] * sigmoid_of(x[k]);
        for (i64 k = 0; k < rows * n; ++k) y[k] = z[k] * w[0] + w[1];
    };
    count("unfused_x", unfused);
    reads_of(z);
    count("unfused_z", unfused);
}
"""


def test_reads_of_the_input_are_one_fewer_than_unfused(tmp_path):
    """The kernels, compiled for a number that reports each read to a simulated cache, in units of the input."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    source, program = tmp_path / "counted.cpp", tmp_path / "counted"
    source.write_text(COUNTED)
    command = [compiler, "-std=c++17", "-O1", "-w", f"-I{kernel_folder()}", str(source), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    reads = {name: float(value) for name, value in re.findall(r"(\w+) ([\d.]+)", text)}
    for name in ("s0", "s0_vjp", "b0", "standardize", "norm_relu"):
        assert reads[name] == pytest.approx(2, abs=0.01), name
    assert reads["unfused_x"] + reads["unfused_z"] == pytest.approx(3, abs=0.02)


def scale_invariant_calls():
    """Norms of x (1, 2, 300) that do not change when x is scaled; S0 has its gate in units of 1 / x."""

    def ones(x, value=1.0):
        return np.full(x.shape[1], value, x.dtype)

    return {
        "group_norm_relu": lambda x, s: (P.group_norm_relu, (x, ones(x), ones(x, 0.5))),
        "group_norm": lambda x, s: (P.group_norm, (x, ones(x), ones(x, 0.5))),
        "instance_norm": lambda x, s: (P.instance_norm, (x,)),
        "layer_norm": lambda x, s: (P.layer_norm, (x, np.ones(x.shape[2], x.dtype), np.zeros(x.shape[2], x.dtype))),
        "rms_norm": lambda x, s: (P.rms_norm, (x, np.ones(x.shape[2], x.dtype))),
        "evonorm_s0": lambda x, s: (P.evonorm_s0, (x, ones(x, 1 / s), ones(x), ones(x, 0.5))),
        "evonorm_b0": lambda x, s: (P.evonorm_b0, (x, ones(x), ones(x), ones(x, 0.5))),
    }


@pytest.mark.parametrize("mode", ["compiled", "reference"])
@pytest.mark.parametrize(("dtype", "scale"), [("f4", 1e-25), ("f4", 1e19), ("f4", 1e36), ("f8", 1e-200), ("f8", 1e300)])
@pytest.mark.parametrize("name", scale_invariant_calls())
def test_squares_beyond_the_dtype_change_nothing(name, dtype, scale, mode):
    rng, call = np.random.default_rng(0), scale_invariant_calls()[name]
    x, dout = rng.normal(size=(2, 1, 2, 1500))
    with sci.options(kernels=mode):
        op, arrays = call(x, 1.0)
        expected, residuals = op.forward(*arrays, eps=0.0)
        gradient = op.vjp(dout, residuals)[0]
        op, arrays = call((x * scale).astype(dtype), scale)
        if name == "evonorm_b0" and dtype == "f8" and scale > 1:
            with pytest.raises(InvalidValueError, match="variance leaves float64"):
                op.forward(*arrays, eps=0.0)
            return
        if name == "evonorm_b0" and dtype == "f8":
            return  # variances of 1e-400 are zero: B0 joins those of samples in float64
        out, residuals = op.forward(*arrays, eps=0.0)
        found = op.vjp(dout.astype(dtype), residuals)[0] * np.float64(scale)
    tolerance = 2e-6 if dtype == "f4" else 1e-12
    np.testing.assert_allclose(out, expected, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(found, gradient, atol=tolerance * np.abs(gradient).max())


@pytest.mark.parametrize("mode", ["compiled", "reference"])
@pytest.mark.parametrize("name", scale_invariant_calls())
def test_a_mean_of_a_million_deviations_keeps_its_digits(name, mode):
    rng, call = np.random.default_rng(1), scale_invariant_calls()[name]
    x, dout = (1e6 + rng.normal(size=(1, 2, 1500))).astype("f4"), rng.normal(size=(1, 2, 1500)).astype("f4")
    with sci.options(kernels=mode):
        pairs = []
        for array in (x, x.astype("f8")):
            op, arrays = call(array, 1e6)
            out, residuals = op.forward(*arrays)
            pairs.append((out, op.vjp(dout.astype(array.dtype), residuals)[0]))
    for found, expected in zip(*pairs):
        np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
