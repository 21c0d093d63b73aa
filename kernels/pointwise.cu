// Pointwise functions whose array form is slow: GELU with its derivative in one pass.
//
// A block takes CHUNK x SCI_BLOCK consecutive elements at a time. Per element 41 flops and one division in float (61 in
// double), 4 bytes read and 4 or 8 written (twice that in double): on a GPU memory is the limit, on a CPU arithmetic.
#include "gelu.h"

template <typename T, bool SLOPE>
SCI_DEVICE void gelu_at(const i64 i, const T* __restrict__ x, T* __restrict__ out, T* __restrict__ slope) {
    T derivative;
    out[i] = sci_gelu(x[i], derivative);
    if (SLOPE) slope[i] = derivative;
}

// out = gelu(x); slope = gelu'(x) where SLOPE.
template <typename T, bool SLOPE>
SCI_KERNEL gelu(SCI_INDEX const T* __restrict__ x, T* __restrict__ out, T* __restrict__ slope, const i64 n) {
    constexpr i64 CHUNK = SCI_BLOCK >= 64 ? 4 : 256;
    for (i64 chunk = blockIdx.x; chunk * CHUNK * SCI_BLOCK < n; chunk += gridDim.x) {
        const i64 stop = (chunk + 1) * CHUNK * SCI_BLOCK < n ? (chunk + 1) * CHUNK * SCI_BLOCK : n;
        i64 start = chunk * CHUNK * SCI_BLOCK;
        // Whole blocks without a bounds check: masked stores are slow on some processors.
        for (; start + SCI_BLOCK <= stop; start += SCI_BLOCK) {
            SCI_THREADS(t) gelu_at<T, SLOPE>(start + t, x, out, slope);
        }
        SCI_THREADS(t) {
            if (start + t < stop) gelu_at<T, SLOPE>(start + t, x, out, slope);
        }
    }
}
