// Quantizes values with a dead zone, and adds up what its centroids and its error follow from.
//
// With s = |v| / step and m = floor(s + rounding): seven sums, of s^2 where m = 0, of 1, s and s^2 where m = 1, and of 1,
// s - m and (s - m)^2 where m > 1. WRITE stores q = sign(v) m. Sums run in T over SPAN values, then in double.
//
// Flops: 15 a value. Bytes: each value is read once, each q written once.
#include "host.h"

constexpr i64 SPAN = 32;  // values of a thread between two sums in double

template <typename T>
struct Sums {
    T of[7][SCI_SLOTS];
};

template <typename T, typename Q, bool WRITE>
SCI_DEVICE void add_value(Sums<T>& part, const int slot, const T v, Q* const q, const T width, const T shift) {
    const T s = (v < 0 ? -v : v) / width;
    const Q m = Q(s + shift);
    const T whole = T(m), rest = s - whole;
    const bool zero = whole < T(1), more = whole > T(1);
    const T one = zero || more ? T(0) : T(1), many = more ? T(1) : T(0);
    part.of[0][slot] += zero ? s * s : T(0);
    part.of[1][slot] += one;
    part.of[2][slot] += one * s;
    part.of[3][slot] += one * s * s;
    part.of[4][slot] += many;
    part.of[5][slot] += many * rest;
    part.of[6][slot] += many * rest * rest;
    if constexpr (WRITE) *q = v < 0 ? -m : m;
}

// `sums` has a row for each thread of `slots` blocks.
//
// Instances: <float|double, int|i64, false|true>
template <typename T, typename Q, bool WRITE>
SCI_KERNEL quantize_values(SCI_INDEX const T* __restrict__ values /*[n]*/, Q* __restrict__ q /*[places]*/,
                           double* __restrict__ sums /*[slots,7,lanes]*/, const i64 n, const double step,
                           const double rounding, const i64 slots, const i64 lanes) {
    const T width = T(step), shift = T(rounding);
    const i64 stride = SPAN * SCI_BLOCK;
    for (i64 slot = blockIdx.x; slot < slots; slot += gridDim.x) {
        double* const own = sums + slot * 7 * lanes;
        SCI_UNROLL for (int j = 0; j < 7; ++j) SCI_THREADS(t) own[j * lanes + t] = 0;
        for (i64 first = slot * stride; first < n; first += slots * stride) {
            Sums<T> part;
            SCI_UNROLL for (int j = 0; j < 7; ++j) SCI_THREADS(t) part.of[j][SCI_SLOT(t)] = 0;
            const i64 end = first + stride < n ? first + stride : n;
            i64 start = first;
            for (; start + SCI_BLOCK <= end; start += SCI_BLOCK) {
                SCI_THREADS(t) {
                    add_value<T, Q, WRITE>(part, SCI_SLOT(t), values[start + t], q + (WRITE ? start + t : 0), width,
                                           shift);
                }
            }
            SCI_THREADS(t) {
                if (start + t < end)
                    add_value<T, Q, WRITE>(part, SCI_SLOT(t), values[start + t], q + (WRITE ? start + t : 0), width,
                                           shift);
            }
            SCI_UNROLL for (int j = 0; j < 7; ++j) SCI_THREADS(t) own[j * lanes + t] += part.of[j][SCI_SLOT(t)];
        }
    }
}

// The values that quantized ones stand for: 0, +-first step, and (|q| + shift) step with the sign of q.
//
// Flops: 2 a value. Bytes: each q is read once, each value written once.
//
// Instances: <float|double, int|i64>
template <typename T, typename Q>
SCI_KERNEL dequantize_values(SCI_INDEX const Q* __restrict__ q /*[n]*/, T* __restrict__ values /*[n]*/, const i64 n,
                             const double step, const double one, const double shift, const i64 slots) {
    constexpr i64 share = SPAN * SCI_BLOCK;
    for (i64 start = blockIdx.x * share; start < n; start += slots * share)
        for (i64 tile = start; tile < start + share && tile < n; tile += SCI_BLOCK) {
            SCI_THREADS(t) {
                if (tile + t < n) {
                    const Q m = q[tile + t], size = m < 0 ? -m : m;
                    const double value = size == 0 ? 0.0 : (size == 1 ? one : double(size) + shift) * step;
                    values[tile + t] = T(m < 0 ? -value : value);
                }
            }
        }
}
