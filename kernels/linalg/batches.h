// Rotations and products on small matrices of which every thread of a block has one: entries are arrays over the lanes
// of a block, W of them in a row.
#pragma once
#include "host.h"

// SCI_THREADS(t) whose body sets `any` if one thread needs what follows: on a GPU a thread asks for itself.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SCI_ANY(t, any) SCI_THREADS(t)
#else
#define SCI_ANY(t, any) SCI_PRAGMA(omp simd reduction(| : any)) for (int t = 0; t < SCI_BLOCK; ++t)
#endif

// Loops over entries all have n steps, so that they unroll for an N on a GPU and its registers hold the entries.
#define EACH SCI_UNROLL_BY((N > 0 ? N : 1))

// Where a thread finds its number in a row of W: alone in registers, or among the threads of its block.
template <int W>
SCI_DEVICE int at(const int t) {
    return W == 1 ? 0 : t;
}

// x, y = c x - s y, s x + c y, with d = 1 - c in place of c: the many small rotations of the last sweeps then leave a
// tenth of the rounding behind.
template <typename T, int W>
SCI_DEVICE void rotate(T (&x)[W], T (&y)[W], const T (&s)[SCI_SLOTS], const T (&d)[SCI_SLOTS]) {
    SCI_THREADS(t) {
        const T u = x[at<W>(t)], v = y[at<W>(t)];
        x[at<W>(t)] = u - (d[SCI_SLOT(t)] * u + s[SCI_SLOT(t)] * v);
        y[at<W>(t)] = v - (d[SCI_SLOT(t)] * v - s[SCI_SLOT(t)] * u);
    }
}

// sum = sum_k x[k X] y[k Y]: of rows or columns of matrices of order n.
template <typename T, int N, int W>
SCI_DEVICE void dot(T (&sum)[SCI_SLOTS], const T (*x)[W], const i64 x_step, const T (*y)[W], const i64 y_step,
                    const i64 n) {
    SCI_THREADS(t) { sum[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 k = 0; k < n; ++k)
        SCI_THREADS(t) { sum[SCI_SLOT(t)] += x[k * x_step][at<W>(t)] * y[k * y_step][at<W>(t)]; }
}
