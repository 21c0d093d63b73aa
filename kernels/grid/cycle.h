// Rows of the kernels of the learned V-cycle, and the storage of a cell's two learned numbers.
#pragma once
#include "grid/neighbors.h"

typedef unsigned short Half;
constexpr float TRANSFER_MIDDLE = 1.8f, TRANSFER_STEP = 0.01f;

SCI_DEVICE float widened(const Half h) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return __uint_as_float((unsigned int)(h) << 16);
#else
    const auto bits = (unsigned int)(h) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
#endif
}

SCI_DEVICE float transfer_weight(const signed char c) {
    return c == 0 ? 0.0f : TRANSFER_MIDDLE + TRANSFER_STEP * float(c);
}

// As `around`, of the product of jacobi and f instead of u.
template <typename T, bool VARIABLE>
SCI_DEVICE T linked_product(const T* f, const Half* w, const T* x_link, const T* y_link, const T* z_link, const i64 at,
                            const i64 plane, const i64 row) {
    const T x0 = f[at - plane] * widened(w[at - plane]), x1 = f[at + plane] * widened(w[at + plane]);
    const T y0 = f[at - row] * widened(w[at - row]), y1 = f[at + row] * widened(w[at + row]);
    const T z0 = f[at - 1] * widened(w[at - 1]), z1 = f[at + 1] * widened(w[at + 1]);
    if (VARIABLE)
        return x_link[at] * x0 + x_link[at + plane] * x1 + y_link[at] * y0 + y_link[at + row] * y1 + z_link[at] * z0 +
               z_link[at + 1] * z1;
    return ((x0 + x1) + (y0 + y1)) + (z0 + z1);
}

// Two steps from zero in a row: u = sum W f - product W A W f, W the Jacobi weights; u points at the row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void from_zero_row(const T* f, const Half* jacobi, const D* d, const T* links, T* u, const i64 axis,
                              const i64 at, const i64 n, const i64 plane, const i64 row, const T sum, const T product) {
    SCI_ROW(k, n) {
        const T w = widened(jacobi[at + k]);
        const T near =
            linked_product<T, VARIABLE>(f, jacobi, links, links + axis, links + 2 * axis, at + k, plane, row);
        u[k] = w * (sum * f[at + k] - product * (T(d[at + k]) * w * f[at + k] - near));
    }
}

// One step in a row: out = u + a W (f - A u); out points at the row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void step_row(const T* u, const T* f, const Half* jacobi, const D* d, const T* links, T* out, const i64 axis,
                         const i64 at, const i64 n, const i64 plane, const i64 row, const T a) {
    SCI_ROW(k, n) {
        const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, row);
        const T rest = f[at + k] - T(d[at + k]) * u[at + k] + near;
        out[k] = u[at + k] + a * widened(jacobi[at + k]) * rest;
    }
}

// t = transfer weight x (f - A u) in a row; t points at the row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void residual_row(const T* u, const T* f, const signed char* transfer, const D* d, const T* links, T* t,
                             const i64 axis, const i64 at, const i64 n, const i64 plane, const i64 row) {
    SCI_ROW(k, n) {
        const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, row);
        t[k] = transfer_weight(transfer[at + k]) * (f[at + k] - T(d[at + k]) * u[at + k] + near);
    }
}

// Restriction of a row along the third axis: f[K] = the sum over four entries of m where there is an unknown.
template <typename T>
SCI_DEVICE void ends_row(const T* m, const Half* jacobi, T* f, const T* weights, const i64 stride, const i64 n,
                         const double correction_scale) {
    const T scale = T(correction_scale);
    const T a = weights[8] * scale, b = weights[9] * scale, c = weights[10] * scale, e = weights[11] * scale;
    if (stride == 2) {
        SCI_ROW(k, n) {
            const T sum = (a * m[2 * k] + e * m[2 * k + 3]) + (b * m[2 * k + 1] + c * m[2 * k + 2]);
            f[k] = T(jacobi[k] > 0) * sum;
        }
    } else {
        SCI_ROW(k, n) { f[k] = T(jacobi[k] > 0) * (b * m[k + 1]); }
    }
}

// The four coarse rows around row (i, j) of the fine grid, and their sum with the weights of the first two axes.
template <typename T>
struct CoarseRows {
    const T *e0, *e1, *e2, *e3;
    T w0, w1, w2, w3;
    SCI_DEVICE_MEMBER T at(const i64 k) const { return (w0 * e0[k] + w1 * e1[k]) + (w2 * e2[k] + w3 * e3[k]); }
};

template <typename T>
SCI_DEVICE CoarseRows<T> coarse_rows(const T* e, const T* weights, const i64* strides, const i64 i, const i64 j,
                                     const i64 c1, const i64 c2) {
    const i64 aside = j % 2 == 0 ? -c2 : c2;
    const T* near = e + ((i / strides[0] + 1) * c1 + j / strides[1] + 1) * c2;
    const T* beyond = near + (i % 2 == 0 ? -c1 * c2 : c1 * c2);
    return {near, near + aside, beyond, beyond + aside,
            weights[1] * weights[5], weights[1] * weights[4], weights[0] * weights[5], weights[0] * weights[4]};
}

// u += transfer weight x interpolation of the coarse e in row (i, j) of the fine grid.
template <typename T>
SCI_DEVICE void prolong_row(T* u, const T* e, const signed char* transfer, const T* weights, const i64* strides,
                            const i64 i,
                            const i64 j, const i64 n, const i64 p1, const i64 p2, const i64 c1, const i64 c2) {
    const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
    const T own = weights[9], far = weights[8];
    const CoarseRows<T> coarse = coarse_rows(e, weights, strides, i, j, c1, c2);
    SCI_ROW(k, (n + 1) / 2) {
        const T before = coarse.at(k), here = coarse.at(k + 1), after = coarse.at(k + 2);
        // An odd row ends in the padding, where the transfer weight is zero.
        u[at + 2 * k] += transfer_weight(transfer[at + 2 * k]) * (own * here + far * before);
        u[at + 2 * k + 1] += transfer_weight(transfer[at + 2 * k + 1]) * (own * here + far * after);
    }
}
