// What a codec leaves of a field at each point, and the error of a decoded field.
//
// Flops: 5 a point. Bytes: each number is read once, and written once where it changes.
#include "host.h"

constexpr i64 SHARE = 4096;  // points of a block between two of its turns

// q = (field - found) / step, rounded; found += q step, as `add_rest` does.
//
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL take_rest(SCI_INDEX const T* __restrict__ field /*[n]*/, T* __restrict__ found /*[n]*/,
                     int* __restrict__ q /*[n]*/, const i64 n, const double step) {
    const T inverse = T(1.0 / step);
    for (i64 first = blockIdx.x * SHARE; first < n; first += gridDim.x * SHARE) {
        const i64 count = n - first < SHARE ? n - first : SHARE;
        SCI_ROW(k, count) {
            const T miss = (field[first + k] - found[first + k]) * inverse;
            const int m = int(miss + (miss < 0 ? T(-0.5) : T(0.5)));
            q[first + k] = m;
            found[first + k] = T(double(found[first + k]) + double(m) * step);
        }
    }
}

// found += q step.
//
// Instances (host): <float|double, int|i64>
template <typename T, typename Q>
SCI_KERNEL add_rest(SCI_INDEX const Q* __restrict__ q /*[n]*/, T* __restrict__ found /*[n]*/, const i64 n,
                    const double step) {
    for (i64 first = blockIdx.x * SHARE; first < n; first += gridDim.x * SHARE) {
        const i64 count = n - first < SHARE ? n - first : SHARE;
        SCI_ROW(k, count) { found[first + k] = T(double(found[first + k]) + double(q[first + k]) * step); }
    }
}

// The largest magnitude and the sum of squares of field - found, by block. A NaN or infinity makes the sum one.
//
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL measure_errors(SCI_INDEX const T* __restrict__ field /*[n]*/, const T* __restrict__ found /*[n]*/,
                          double* errors /*[slots,2]*/, const i64 n, const i64 slots) {
    for (i64 slot = blockIdx.x; slot < slots; slot += gridDim.x) {
        double top = 0, square = 0;
        for (i64 first = slot * SHARE; first < n; first += slots * SHARE) {
            const i64 count = n - first < SHARE ? n - first : SHARE;
            double most = 0, total = 0;
            _Pragma("omp simd reduction(max : most) reduction(+ : total)") for (int k = 0; k < int(count); ++k) {
                const double miss = double(field[first + k]) - double(found[first + k]);
                const double size = miss < 0 ? -miss : miss;
                most = size > most ? size : most;
                total += miss * miss;
            }
            top = most > top ? most : top;
            square += total;
        }
        errors[2 * slot] = top;
        errors[2 * slot + 1] = square;
    }
}
