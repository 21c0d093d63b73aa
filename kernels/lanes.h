// Small matrix products of the host whose columns are the threads of a block, for kernels that are made of them.
//
// A panel is a matrix with one column a thread. A row of it is VECTORS native vectors, GROUPS panels lie in cache side by
// side, and the products run over register tiles of TILE rows, then of REST: 12 sums hide the latency of the multiplier,
// and each element loaded serves a row or column of the tile. The other factor of a product is a plain row-major matrix, the same
// for all threads.
#pragma once
#include "host.h"

template <typename T>
struct Lanes {
    typedef T Vector __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias));
    static constexpr int WIDTH = SCI_VECTOR_BYTES / int(sizeof(T)), VECTORS = SCI_BLOCK / WIDTH;
    static constexpr int SUMS = SCI_VECTOR_BYTES == 64 ? 24 : 12;
    static constexpr int TILE = SUMS / VECTORS > 0 ? SUMS / VECTORS : 1, REST = TILE > 3 ? TILE / 3 : 1;
    static constexpr int GROUPS = 128 / SCI_BLOCK, ROWS = 48, COLUMNS = 256;
};

#define SCI_ROWS(j, rows) for (i64 j = 0; j < rows; ++j)
#define SCI_AT(panel, j, t, T) ((T*)(panel))[(j) * SCI_BLOCK + t]

// exp(x) for x <= 88, zero below -87 (floats) or -708 (doubles), of a vector: the scheme of sci_exp. Relative error
// under 2e-7 and 1e-15. The polynomial of the float is the Chebyshev interpolant of 2^r, |r| <= 1/2, of degree 6.
typedef int IntVector __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias));
typedef i64 LongVector __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias));

SCI_DEVICE Lanes<float>::Vector lane_exp(const Lanes<float>::Vector x) {
    typedef Lanes<float>::Vector Vector;
    const Vector clipped = x < -87.0f ? Vector{} - 87.0f : x;
    const Vector shifted = clipped * 1.44269504f + 12582912.0f;
    const Vector n = shifted - 12582912.0f;
    const Vector r = clipped * 1.44269504f - n;
    Vector p = r * 1.54614447e-4f + 1.34004282e-3f;
    p = p * r + 9.61805668e-3f;
    p = p * r + 5.55032723e-2f;
    p = p * r + 2.40226509e-1f;
    p = p * r + 6.93147207e-1f;
    p = p * r + 1.0f;
    const IntVector bits = (IntVector)p + ((IntVector)shifted << 23);
    return x < -87.0f ? Vector{} : (Vector)bits;  // NaN stays NaN
}

SCI_DEVICE Lanes<double>::Vector lane_exp(const Lanes<double>::Vector x) {
    typedef Lanes<double>::Vector Vector;
    const Vector clipped = x < -708.0 ? Vector{} - 708.0 : x;
    const Vector shifted = clipped * 1.4426950408889634 + 6755399441055744.0;
    const Vector n = shifted - 6755399441055744.0;
    const Vector r = (clipped - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    Vector p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const LongVector bits = (LongVector)p + ((LongVector)shifted << 52);
    return x < -708.0 ? Vector{} : (Vector)bits;
}

SCI_DEVICE float lane_log(const float x) { return log(x); }
SCI_DEVICE double lane_log(const double x) { return log(x); }

template <typename T>
struct Columns {
    typename Lanes<T>::Vector data[Lanes<T>::GROUPS * Lanes<T>::COLUMNS * Lanes<T>::VECTORS];
    SCI_DEVICE_MEMBER typename Lanes<T>::Vector* at(const i64 g, const i64 d) { return data + g * d * Lanes<T>::VECTORS; }
    SCI_DEVICE_MEMBER void load(const i64 g, const T* x, const i64 first, const i64 n, const i64 d) {
        T* to = (T*)at(g, d);
        for (i64 t = 0; t < SCI_BLOCK; ++t) {
            const i64 i = first + g * SCI_BLOCK + t;
            for (i64 l = 0; l < d; ++l) to[l * SCI_BLOCK + t] = x[(i < n ? i : n - 1) * d + l];
        }
    }
};

template <typename T>
struct Sums : Columns<T> {
    SCI_DEVICE_MEMBER void store(const i64 g, T* x, const i64 first, const i64 n, const i64 d,
                                 const typename Lanes<T>::Vector* divisor) {
        const T* from = (const T*)this->at(g, d);
        for (i64 t = 0; t < SCI_BLOCK; ++t) {
            const i64 i = first + g * SCI_BLOCK + t;
            const T inverse = 1 / ((const T*)divisor)[t];
            if (i < n)
                for (i64 l = 0; l < d; ++l) x[i * d + l] = from[l * SCI_BLOCK + t] * inverse;
        }
    }
};

// One register tile of each product.
template <typename T, int R>
SCI_DEVICE void dot_tile(const T* x, const i64 d, const typename Lanes<T>::Vector* y, typename Lanes<T>::Vector* out) {
    constexpr int V = Lanes<T>::VECTORS;
    typename Lanes<T>::Vector sum[R][V] = {};
    for (i64 l = 0; l < d; ++l)
        SCI_UNROLL
        for (int r = 0; r < R; ++r)
            SCI_UNROLL
            for (int v = 0; v < V; ++v) sum[r][v] += x[r * d + l] * y[l * V + v];
    SCI_UNROLL
    for (int r = 0; r < R; ++r)
        SCI_UNROLL
        for (int v = 0; v < V; ++v) out[r * V + v] = sum[r][v];
}

template <typename T, int R>
SCI_DEVICE void add_tile(const T* x, const i64 rows, const i64 d, const typename Lanes<T>::Vector* p,
                         const typename Lanes<T>::Vector* factor, typename Lanes<T>::Vector* acc) {
    constexpr int V = Lanes<T>::VECTORS;
    typename Lanes<T>::Vector sum[R][V];
    SCI_UNROLL
    for (int r = 0; r < R; ++r)
        SCI_UNROLL
        for (int v = 0; v < V; ++v) sum[r][v] = acc[r * V + v] * factor[v];
    for (i64 j = 0; j < rows; ++j)
        SCI_UNROLL
        for (int r = 0; r < R; ++r)
            SCI_UNROLL
            for (int v = 0; v < V; ++v) sum[r][v] += x[j * d + r] * p[j * V + v];
    SCI_UNROLL
    for (int r = 0; r < R; ++r)
        SCI_UNROLL
        for (int v = 0; v < V; ++v) acc[r * V + v] = sum[r][v];
}

template <typename T>
SCI_DEVICE void dot_panel(const T* x, const i64 rows, const i64 d, const typename Lanes<T>::Vector* y,
                          typename Lanes<T>::Vector* out) {
    constexpr int V = Lanes<T>::VECTORS, R = Lanes<T>::TILE, REST = Lanes<T>::REST;
    i64 j = 0;
    for (; j + R <= rows; j += R) dot_tile<T, R>(x + j * d, d, y, out + j * V);
    for (; j + REST <= rows; j += REST) dot_tile<T, REST>(x + j * d, d, y, out + j * V);
    for (; j < rows; ++j) dot_tile<T, 1>(x + j * d, d, y, out + j * V);
}

template <typename T>
SCI_DEVICE void add_panel(const T* x, const i64 rows, const i64 d, const typename Lanes<T>::Vector* p,
                          const typename Lanes<T>::Vector* factor, typename Lanes<T>::Vector* acc) {
    constexpr int V = Lanes<T>::VECTORS, R = Lanes<T>::TILE, REST = Lanes<T>::REST;
    i64 l = 0;
    for (; l + R <= d; l += R) add_tile<T, R>(x + l, rows, d, p, factor, acc + l * V);
    for (; l + REST <= d; l += REST) add_tile<T, REST>(x + l, rows, d, p, factor, acc + l * V);
    for (; l < d; ++l) add_tile<T, 1>(x + l, rows, d, p, factor, acc + l * V);
}

// out[j, l] += sum over t of p[j, t] x[t, l]: the product of a panel with `lanes` rows of a matrix, into a matrix.
template <typename T, int R>
SCI_DEVICE void row_tile(const T* p, const T* x, const i64 lanes, const i64 d, T* out) {
    constexpr int V = Lanes<T>::VECTORS, W = Lanes<T>::WIDTH;
    typedef T Loose __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias, aligned(sizeof(T))));
    Loose sum[R][V];
    SCI_UNROLL
    for (int r = 0; r < R; ++r)
        SCI_UNROLL
        for (int v = 0; v < V; ++v) sum[r][v] = *(const Loose*)(out + r * d + v * W);
    for (i64 t = 0; t < lanes; ++t)
        SCI_UNROLL
        for (int r = 0; r < R; ++r)
            SCI_UNROLL
            for (int v = 0; v < V; ++v) sum[r][v] += p[r * SCI_BLOCK + t] * *(const Loose*)(x + t * d + v * W);
    SCI_UNROLL
    for (int r = 0; r < R; ++r)
        SCI_UNROLL
        for (int v = 0; v < V; ++v) *(Loose*)(out + r * d + v * W) = sum[r][v];
}

template <typename T>
SCI_DEVICE void add_rows(const typename Lanes<T>::Vector* panel, const i64 rows, const T* x, const i64 lanes,
                         const i64 d, T* out) {
    constexpr int R = Lanes<T>::TILE, REST = Lanes<T>::REST;
    const T* p = (const T*)panel;
    i64 l = 0;
    for (; l + SCI_BLOCK <= d; l += SCI_BLOCK) {
        i64 j = 0;
        for (; j + R <= rows; j += R) row_tile<T, R>(p + j * SCI_BLOCK, x + l, lanes, d, out + j * d + l);
        for (; j + REST <= rows; j += REST)
            row_tile<T, REST>(p + j * SCI_BLOCK, x + l, lanes, d, out + j * d + l);
        for (; j < rows; ++j) row_tile<T, 1>(p + j * SCI_BLOCK, x + l, lanes, d, out + j * d + l);
    }
    for (i64 j = 0; j < rows; ++j)
        for (i64 t = 0; t < lanes; ++t)
            for (i64 c = l; c < d; ++c) out[j * d + c] += p[j * SCI_BLOCK + t] * x[t * d + c];
}
