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

struct Moments {
    double mean, square;
};

// The mean of x over a row, and the mean square about it: spans are joined by Chan's rule.
template <typename T>
SCI_DEVICE Moments moments_of(const T* const x, const i64 n) {
    double mean = 0, square = 0;
    for (i64 begin = 0; begin < n; begin += SPAN) {
        const i64 end = begin + SPAN < n ? begin + SPAN : n;
        const T first = x[begin];
        const double length = double(end - begin), all = double(end);
        const T above = sum_span<T>(begin, end, [=](const i64 k) { return x[k] - first; });
        const double own = double(first) + double(above) / length;
        const T center = T(own);
        const double rest = own - double(center), gap = own - mean;
        square += double(sum_span<T>(begin, end, [=](const i64 k) { return (x[k] - center) * (x[k] - center); }));
        square += gap * gap * length * double(begin) / all - length * rest * rest;
        mean += gap * length / all;
    }
    return {mean, square < 0 ? 0 : square / double(n)};
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
