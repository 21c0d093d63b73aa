// Pointwise functions whose array form is slow: GELU, SiLU with their derivatives, exp, and Adam, in one pass each.
//
// A block takes CHUNK x SCI_BLOCK consecutive elements at a time. Per element of GELU 41 flops and one division in float
// (61 in double), of SiLU 24 (38) and one; 4 bytes read and 4 or 8 written (twice that in double): on a GPU memory is
// the limit, on a CPU arithmetic.
#include "nn/gelu.h"

constexpr i64 CHUNK = SCI_BLOCK >= 64 ? 4 : 256;

// x / (1 + exp(-x)) and its derivative; exp(-|x|) cannot overflow.
template <typename T>
SCI_DEVICE T silu_of(const T x, T& slope) {
    const T small = sci_exp(x < 0 ? x : -x), inverse = 1 / (1 + small), other = small * inverse;
    const T sigmoid = x < 0 ? other : inverse;
    slope = sigmoid * (1 + x * (1 - sigmoid));
    return x * sigmoid;
}

template <typename T, int KIND, bool SLOPE>
SCI_DEVICE void activate_at(const i64 i, const T* __restrict__ x, T* __restrict__ out, T* __restrict__ slope) {
    T derivative = 0;
    out[i] = KIND == 0 ? sci_gelu(x[i], derivative) : KIND == 1 ? silu_of(x[i], derivative) : sci_exp(x[i]);
    if (SLOPE) slope[i] = derivative;
}

// out = f(x); slope = f'(x) where SLOPE; f is GELU (KIND 0), SiLU (KIND 1), or exp of x <= 0 (KIND 2, no SLOPE).
// Instances: <float|double, 0|1, false|true> <float|double, 2, false>
template <typename T, int KIND, bool SLOPE>
SCI_KERNEL activate(SCI_INDEX const T* __restrict__ x /*[n]*/, T* __restrict__ out /*[n]*/,
                    T* __restrict__ slope /*[m]*/, const i64 n) {
    for (i64 chunk = blockIdx.x; chunk * CHUNK * SCI_BLOCK < n; chunk += gridDim.x) {
        const i64 stop = (chunk + 1) * CHUNK * SCI_BLOCK < n ? (chunk + 1) * CHUNK * SCI_BLOCK : n;
        i64 start = chunk * CHUNK * SCI_BLOCK;
        // Whole blocks without a bounds check: masked stores are slow on some processors.
        for (; start + SCI_BLOCK <= stop; start += SCI_BLOCK) {
            SCI_THREADS(t) activate_at<T, KIND, SLOPE>(start + t, x, out, slope);
        }
        SCI_THREADS(t) {
            if (start + t < stop) activate_at<T, KIND, SLOPE>(start + t, x, out, slope);
        }
    }
}

// One step of Adam's moments; settings = (beta1, beta2, 1 - beta1^t, sqrt(1 - beta2^t), eps, l2, keep, rate).
//
// The direction is (m / c1) / (sqrt(v) / c2 + eps). DIRECTION writes it to `out`; otherwise w <- keep w - rate direction
// in place, and `out` is not touched. 13 flops, a root and a division an element; 16 bytes read and 12 written in float:
// memory is the limit, against about 60 bytes when each operation is an array call.
template <typename T, bool DIRECTION>
SCI_DEVICE void adam_at(const i64 i, T* __restrict__ w, const T* __restrict__ g, T* __restrict__ m, T* __restrict__ v,
                        T* __restrict__ out, const T* s) {
    const T gradient = g[i] + s[5] * w[i];
    const T first = s[0] * m[i] + (1 - s[0]) * gradient, second = s[1] * v[i] + (1 - s[1]) * gradient * gradient;
    const T direction = first / (s[2] * (sqrt(second) / s[3] + s[4]));
    m[i] = first;
    v[i] = second;
    if (DIRECTION)
        out[i] = direction;
    else
        w[i] = s[6] * w[i] - s[7] * direction;
}

// Instances: <float|double, false|true>
template <typename T, bool DIRECTION>
SCI_KERNEL adam(SCI_INDEX T* __restrict__ w /*[n]*/, const T* __restrict__ g /*[n]*/, T* __restrict__ m /*[n]*/,
                T* __restrict__ v /*[n]*/, T* __restrict__ out /*[k]*/, const i64 n, const double beta1,
                const double beta2, const double c1, const double c2, const double eps, const double l2,
                const double keep, const double rate) {
    const T s[8] = {T(beta1), T(beta2), T(c1), T(c2), T(eps), T(l2), T(keep), T(rate)};
    for (i64 chunk = blockIdx.x; chunk * CHUNK * SCI_BLOCK < n; chunk += gridDim.x) {
        const i64 stop = (chunk + 1) * CHUNK * SCI_BLOCK < n ? (chunk + 1) * CHUNK * SCI_BLOCK : n;
        i64 start = chunk * CHUNK * SCI_BLOCK;
        for (; start + SCI_BLOCK <= stop; start += SCI_BLOCK) {
            SCI_THREADS(t) adam_at<T, DIRECTION>(start + t, w, g, m, v, out, s);
        }
        SCI_THREADS(t) {
            if (start + t < stop) adam_at<T, DIRECTION>(start + t, w, g, m, v, out, s);
        }
    }
}
