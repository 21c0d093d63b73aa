// Rows of numbers, each summed and swept by one warp of a GPU or by a simd loop of the host.
//
// The lanes of a warp agree by shuffles, so that no barrier is needed. Sums run in T over SPAN numbers and in double over
// spans; variances are sums of squares about the mean of each span, so that nothing cancels. SPAN numbers stay in cache
// between their mean and their squares: moments read a row once from memory.
#pragma once
#include "host.h"

constexpr i64 SPAN = 1024;

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

constexpr i64 ROWS = SCI_BLOCK / 32;
#define SCI_FOR_ROW(r) for (i64 r = threadIdx.x / 32; r < ROWS; r += SCI_BLOCK / 32)

template <typename F>
SCI_DEVICE void for_each(const i64 begin, const i64 end, const F f) {
    for (i64 k = begin + threadIdx.x % 32; k < end; k += 32) f(k);
}

template <typename T, typename F>
SCI_DEVICE T sum_span(const i64 begin, const i64 end, const F f) {
    T total = 0;
    for (i64 k = begin + threadIdx.x % 32; k < end; k += 32) total += f(k);
    for (unsigned offset = 16; offset > 0; offset >>= 1) total += __shfl_xor_sync(0xffffffffu, total, offset);
    return total;
}

#else

constexpr i64 ROWS = 16;
#define SCI_FOR_ROW(r) for (i64 r = 0; r < ROWS; ++r)

template <typename F>
SCI_DEVICE void for_each(const i64 begin, const i64 end, const F f) {
    _Pragma("omp simd") for (i64 k = begin; k < end; ++k) f(k);
}

template <typename T, typename F>
SCI_DEVICE T sum_span(const i64 begin, const i64 end, const F f) {
    T total = 0;
    _Pragma("omp simd reduction(+ : total)") for (i64 k = begin; k < end; ++k) total += f(k);
    return total;
}

#endif

// sum[j] += the sum over 0 <= k < n of what f(k, t) adds to t[j].
template <typename T, int COUNT, typename F>
SCI_DEVICE void add_sums(const i64 n, double* const sum, const F f) {
    for (i64 begin = 0; begin < n; begin += SPAN) {
        const i64 end = begin + SPAN < n ? begin + SPAN : n;
        T a = 0, b = 0, c = 0, d = 0, e = 0;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
        for (i64 k = begin + threadIdx.x % 32; k < end; k += 32) f(k, a, b, c, d, e);
#else
        _Pragma("omp simd reduction(+ : a, b, c, d, e)") for (i64 k = begin; k < end; ++k) f(k, a, b, c, d, e);
#endif
        T part[5] = {a, b, c, d, e};
        SCI_UNROLL for (int j = 0; j < COUNT; ++j) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
            for (unsigned offset = 16; offset > 0; offset >>= 1)
                part[j] += __shfl_xor_sync(0xffffffffu, part[j], offset);
#endif
            sum[j] += double(part[j]);
        }
    }
}

// The largest |x| of a row.
template <typename T>
SCI_DEVICE T largest_of_row(const T* const x, const i64 n) {
    T top = 0;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    for (i64 k = threadIdx.x % 32; k < n; k += 32) top = x[k] > top ? x[k] : -x[k] > top ? -x[k] : top;
    for (unsigned offset = 16; offset > 0; offset >>= 1) {
        const T other = __shfl_xor_sync(0xffffffffu, top, offset);
        top = other > top ? other : top;
    }
#else
    for (i64 k = 0; k < n; ++k) top = x[k] > top ? x[k] : -x[k] > top ? -x[k] : top;
#endif
    return top;
}

// The mean of a row, and the mean square about it in units of 1 / scale^2; scale is a power of two.
struct Moments {
    double mean, square, scale;
};

// Moments of f(k), 0 <= k < n, of mean 0 unless CENTERED: spans are joined by Chan's rule.
template <typename T, bool CENTERED, typename F>
SCI_DEVICE Moments moments_by(const i64 n, const F f) {
    double mean = 0, square = 0;
    for (i64 begin = 0; begin < n; begin += SPAN) {
        const i64 end = begin + SPAN < n ? begin + SPAN : n;
        if (!CENTERED) {
            square += double(sum_span<T>(begin, end, [=](const i64 k) { return f(k) * f(k); }));
            continue;
        }
        const T first = f(begin);
        const double length = double(end - begin), all = double(end);
        const T above = sum_span<T>(begin, end, [=](const i64 k) { return f(k) - first; });
        const double own = double(first) + double(above) / length;
        const T center = T(own);
        const double rest = own - double(center), gap = own - mean;
        square += double(sum_span<T>(begin, end, [=](const i64 k) { return (f(k) - center) * (f(k) - center); }));
        square += gap * gap * length * double(begin) / all - length * rest * rest;
        mean += gap * length / all;
    }
    return {mean, square < 0 ? 0 : square / double(n), 1};
}

// Moments of a row. Where squares leave the range of T, the row is read again in units of its largest entry; a square that
// is small next to eps needs no digits.
template <typename T, bool CENTERED>
SCI_DEVICE Moments moments_of(const T* const x, const i64 n, const double eps) {
    constexpr double SMALL = sizeof(T) == 4 ? 1e-30 : 1e-290;
    constexpr double LARGE = sizeof(T) == 4 ? 1e100 : 1e300;
    constexpr double LEAST = sizeof(T) == 4 ? 0x1p-126 : 0x1p-1000;
    const Moments found = moments_by<T, CENTERED>(n, [=](const i64 k) { return x[k]; });
    if (found.square <= LARGE && found.square + eps >= SMALL) return found;
    const T top = largest_of_row(x, n);
    if (!(top > 0)) return found;
    double power = 1;
    while (double(top) * power > 1 && power > LEAST) power /= 2;
    while (double(top) * power < 0.5 && power * LEAST < 1) power *= 2;
    const T unit = T(power);
    const Moments scaled = moments_by<T, CENTERED>(n, [=](const i64 k) { return x[k] * unit; });
    return {scaled.mean / double(unit), scaled.square, double(unit)};
}

// 1 / sqrt(mean square + eps).
template <typename T>
SCI_DEVICE T inverse_root(const Moments found, const double eps) {
    if (found.scale == 1) return T(1 / sqrt(found.square + eps));
    const double root = sqrt(found.square) / found.scale, other = sqrt(eps);
    const double large = root > other ? root : other, ratio = (root > other ? other : root) / large;
    return T(1 / (large * sqrt(1 + ratio * ratio)));
}

// The mean of f(k) over 0 <= k < n.
template <typename T, typename F>
SCI_DEVICE T mean_of(const i64 n, const F f) {
    double total = 0;
    for (i64 begin = 0; begin < n; begin += SPAN)
        total += double(sum_span<T>(begin, begin + SPAN < n ? begin + SPAN : n, f));
    return T(total / double(n));
}

template <typename T>
SCI_DEVICE T sigmoid_of(const T x) {
    const T small = sci_exp(x < 0 ? x : -x), inverse = 1 / (1 + small);  // exp(-|x|) cannot overflow
    return x < 0 ? small * inverse : inverse;
}
