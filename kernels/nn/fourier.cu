// Products of the truncated Fourier transform and of the weights over its modes.
//
// A transform of which m wavenumbers of N are kept is a product with a thin matrix of cosines and sines: `row_product`
// along the last axis, where the field is real and 2 K numbers leave each row of N, `mode_product` along the others,
// whose waves are complex. `mode_product` also mixes the channels of every mode (one small product for each), and
// projects on the factors of Tucker, CP and tensor-train weights. Its strides let each operand lie as it is, transposed
// or not, so that the spectrum is written mode by mode and read from there without copies, and conjugation is a sign.
//
// One thread has one column of four (complex) or eight (real) rows: what it reads of the right matrix serves all its
// rows, neighbors read neighboring columns, and what it reads of the left is the same for its warp. No barrier.
//
// With T the bytes of a real field of N points a row, P points in all and C channels, M modes and batch B:
//   row_product, analysis and synthesis: 4 K flops a value, T (1 + 2 K / N) bytes; under 10 flops a byte for K <= 20:
//     on a GPU memory is the limit.
//   mode_product along an axis of N points: 8 flops for each entry and wavenumber, and reads and writes 2 K / N of T or
//     less, which the second-level cache of a GPU holds.
//   mode_product over the channels: 8 B C^2 M flops, 8 C^2 M + 16 B C M bytes: the weights are read once, the limit.
//     Tucker of ranks r, q, s, t: 8 r q (s t + 2 s m + 2 M) bytes while the core is expanded over the axes, and
//     16 B M (C + r + q) for the channels, projected on r, mixed, and brought back from q: of rank 0.1 a tenth of the
//     dense weights is stored, and about as much as they are is moved.
// A layer without derivative moves 3 T + 4 (2 K / N) T + 32 B C M + 8 C^2 M bytes in all, where calls of fast transforms
// and of each pointwise layer move 33 T; the terms with 2 K / N and M fit the second-level cache of a GPU. A test counts.
// On a CPU BLAS is faster (one thread of an AMD EPYC, 8 fields of 32 channels on 64 x 64 points: row_product 6.8 ms,
// BLAS 1.7; mode_product over 144 modes 2.7 ms, BLAS 0.4), so that only devices launch these kernels.
#include "host.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define FOURIER_ITEMS(unit, c, units, columns)                                                                   \
    for (i64 item = i64(blockIdx.x) * SCI_BLOCK + threadIdx.x; item < (units) * (columns);                       \
         item += i64(gridDim.x) * SCI_BLOCK)                                                                     \
        if (const i64 unit = item / (columns), c = item % (columns); true)
#else
#define FOURIER_ITEMS(unit, c, units, columns)                    \
    for (i64 unit = blockIdx.x; unit < (units); unit += gridDim.x) \
    _Pragma("omp simd") for (i64 c = 0; c < (columns); ++c)
#endif

// out (rows, columns) = a (rows, terms) b (terms, columns), real, contiguous; added to what is there if `added`.
// Instances: <float|double>
template <typename T>
SCI_KERNEL row_product(SCI_INDEX const T* __restrict__ a /*[rows, terms]*/,
                       const T* __restrict__ b /*[terms, columns]*/, T* __restrict__ out /*[rows, columns]*/,
                       const i64 rows, const i64 terms, const i64 columns, const i64 added) {
    const i64 whole = rows / 8;
    FOURIER_ITEMS(unit, c, whole, columns) {
        const T* const from = a + 8 * unit * terms;
        T s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        for (i64 s = 0; s < terms; ++s) {
            const T w = b[s * columns + c];
            s0 += from[s] * w;
            s1 += from[terms + s] * w;
            s2 += from[2 * terms + s] * w;
            s3 += from[3 * terms + s] * w;
            s4 += from[4 * terms + s] * w;
            s5 += from[5 * terms + s] * w;
            s6 += from[6 * terms + s] * w;
            s7 += from[7 * terms + s] * w;
        }
        T* const to = out + 8 * unit * columns + c;
        if (added) {
            s0 += to[0], s1 += to[columns], s2 += to[2 * columns], s3 += to[3 * columns];
            s4 += to[4 * columns], s5 += to[5 * columns], s6 += to[6 * columns], s7 += to[7 * columns];
        }
        to[0] = s0, to[columns] = s1, to[2 * columns] = s2, to[3 * columns] = s3;
        to[4 * columns] = s4, to[5 * columns] = s5, to[6 * columns] = s6, to[7 * columns] = s7;
    }
    FOURIER_ITEMS(rest, c, rows - 8 * whole, columns) {
        const T* const from = a + (8 * whole + rest) * terms;
        T sum = added ? out[(8 * whole + rest) * columns + c] : T(0);
        for (i64 s = 0; s < terms; ++s) sum += from[s] * b[s * columns + c];
        out[(8 * whole + rest) * columns + c] = sum;
    }
}

// out[k, r, c] = sum_s a[k, r, s] b[k, s, c], complex, real and imaginary part in turn; strides count complex numbers.
// UNIT: the columns of b are neighbors.
// Instances: <float|double, false|true>
template <typename T, bool UNIT>
SCI_KERNEL mode_product(SCI_INDEX const T* __restrict__ a /*[l]*/, const T* __restrict__ b /*[m]*/,
                        T* __restrict__ out /*[n]*/, const i64 batch, const i64 rows, const i64 terms,
                        const i64 columns, const i64 a_batch, const i64 a_row, const i64 a_term, const i64 b_batch,
                        const i64 b_term, const i64 b_column, const i64 out_batch, const i64 out_row,
                        const i64 out_column, const double a_sign, const double b_sign) {
    const i64 groups = (rows + 3) / 4, step = UNIT ? 1 : b_column;
    const T sa = T(a_sign), sb = T(b_sign);
    FOURIER_ITEMS(unit, c, batch * groups, columns) {
        const i64 k = unit / groups, r = unit % groups * 4, last = rows - 1;
        const i64 r1 = r + 1 < last ? r + 1 : last, r2 = r + 2 < last ? r + 2 : last, r3 = r + 3 < last ? r + 3 : last;
        const T *const a0 = a + 2 * (k * a_batch + r * a_row), *const a1 = a + 2 * (k * a_batch + r1 * a_row);
        const T *const a2 = a + 2 * (k * a_batch + r2 * a_row), *const a3 = a + 2 * (k * a_batch + r3 * a_row);
        const T* const from = b + 2 * (k * b_batch + c * step);
        T x0 = 0, y0 = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0;
        for (i64 s = 0; s < terms; ++s) {
            const i64 at = 2 * s * a_term, other = 2 * s * b_term;
            const T x = from[other], y = sb * from[other + 1];
            x0 += a0[at] * x - sa * a0[at + 1] * y;
            y0 += a0[at] * y + sa * a0[at + 1] * x;
            x1 += a1[at] * x - sa * a1[at + 1] * y;
            y1 += a1[at] * y + sa * a1[at + 1] * x;
            x2 += a2[at] * x - sa * a2[at + 1] * y;
            y2 += a2[at] * y + sa * a2[at + 1] * x;
            x3 += a3[at] * x - sa * a3[at + 1] * y;
            y3 += a3[at] * y + sa * a3[at + 1] * x;
        }
        T* const to = out + 2 * (k * out_batch + c * out_column);
        to[2 * r * out_row] = x0, to[2 * r * out_row + 1] = y0;
        if (r + 1 < rows) to[2 * r1 * out_row] = x1, to[2 * r1 * out_row + 1] = y1;
        if (r + 2 < rows) to[2 * r2 * out_row] = x2, to[2 * r2 * out_row + 1] = y2;
        if (r + 3 < rows) to[2 * r3 * out_row] = x3, to[2 * r3 * out_row + 1] = y3;
    }
}
