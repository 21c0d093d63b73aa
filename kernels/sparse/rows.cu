// Sparse matrices in compressed rows: the product, a step of Jacobi, and sweeps of Gauss-Seidel.
//
// Row i has the columns `columns[k]` and the values `values[k]` of starts[i] <= k < starts[i + 1].
// Bytes: sizeof(T) + 4 for each entry, and 8 + 3 sizeof(T) for each row. Flops: 2 for each entry. Memory is the limit,
// except in Gauss-Seidel, where each row waits for the one before.
#include "host.h"

template <typename T>
SCI_DEVICE T row_sum(const int* columns, const T* values, const T* x, const i64 begin, const i64 end) {
    T sum = 0;
    for (i64 k = begin; k < end; ++k) sum += values[k] * x[columns[k]];
    return sum;
}

// out = keep b + factor A x; b is not read where keep is 0. `out` may be `b`, but not x.
// Instances: <float|double>
template <typename T>
SCI_KERNEL combine(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                   const T* __restrict__ values /*[entries]*/, const T* __restrict__ x /*[width]*/,
                   const T* b /*[n]*/, T* out /*[n]*/, const i64 n, const i64 width, const double keep,
                   const double factor) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                const T sum = T(factor) * row_sum(columns, values, x, starts[i], starts[i + 1]);
                out[i] = keep == 0 ? sum : T(keep) * b[i] + sum;
            }
        }
    }
}

// out = x + weight inverse (b - A x): a step of Jacobi, of which several with the inverse roots of a Chebyshev
// polynomial as weights are a Chebyshev smoother.
// Instances: <float|double>
template <typename T>
SCI_KERNEL relax(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                 const T* __restrict__ values /*[entries]*/, const T* __restrict__ inverse /*[n]*/,
                 const T* __restrict__ b /*[n]*/, const T* __restrict__ x /*[n]*/, T* __restrict__ out /*[n]*/,
                 const i64 n, const double weight) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                const T rest = b[i] - row_sum(columns, values, x, starts[i], starts[i + 1]);
                out[i] = x[i] + T(weight) * inverse[i] * rest;
            }
        }
    }
}

// The symmetric Gauss-Seidel iteration from x = 0, and its residual rest = b - A x: half a pass over A for each.
// `middle` holds x between the sweeps. Rows are sorted by column. One block goes through the rows in order.
//
// Forwards, x_i = (b_i - sum_(j < i) a_ij x_j) / a_ii. Backwards, x_i -= sum_(j > i) a_ij x_j / a_ii, as the rest of the
// row is what it was. The residual is sum_(j < i) a_ij (the change of x_j on the way back).
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL sweep_from_zero(SCI_INDEX const i64* __restrict__ starts /*[ends]*/,
                           const int* __restrict__ columns /*[entries]*/, const T* __restrict__ values /*[entries]*/,
                           const T* __restrict__ inverse /*[n]*/, const T* __restrict__ b /*[n]*/,
                           T* __restrict__ x /*[n]*/, T* __restrict__ middle /*[n]*/, T* __restrict__ rest /*[n]*/,
                           const i64 n) {
    if (blockIdx.x > 0) return;
    for (i64 i = 0; i < n; ++i) {
        T sum = b[i];
        for (i64 k = starts[i]; k < starts[i + 1] && columns[k] < i; ++k) sum -= values[k] * middle[columns[k]];
        middle[i] = sum * inverse[i];
    }
    for (i64 i = n - 1; i >= 0; --i) {
        T sum = 0;
        for (i64 k = starts[i + 1] - 1; k >= starts[i] && columns[k] > i; --k) sum += values[k] * x[columns[k]];
        x[i] = middle[i] - sum * inverse[i];
        middle[i] -= x[i];
    }
    for (i64 i = 0; i < n; ++i) {
        T sum = 0;
        for (i64 k = starts[i]; k < starts[i + 1] && columns[k] < i; ++k) sum += values[k] * middle[columns[k]];
        rest[i] = sum;
    }
}

// The symmetric Gauss-Seidel iteration from x, for the right-hand side b: a pass and a half over A.
//
// Backwards, x_i moves by sum_(j > i) a_ij (the change of x_j since the start) / a_ii: `middle` holds x of the start.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL sweep(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                 const T* __restrict__ values /*[entries]*/, const T* __restrict__ inverse /*[n]*/,
                 const T* __restrict__ b /*[n]*/, T* __restrict__ x /*[n]*/, T* __restrict__ middle /*[n]*/,
                 const i64 n) {
    if (blockIdx.x > 0) return;
    for (i64 i = 0; i < n; ++i) {
        const T before = x[i];
        middle[i] = before;
        x[i] = before + (b[i] - row_sum(columns, values, x, starts[i], starts[i + 1])) * inverse[i];
    }
    for (i64 i = n - 1; i >= 0; --i) {
        T sum = 0;
        for (i64 k = starts[i + 1] - 1; k >= starts[i] && columns[k] > i; --k) sum += values[k] * middle[columns[k]];
        x[i] += sum * inverse[i];
        middle[i] -= x[i];
    }
}
