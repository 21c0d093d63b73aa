// One level of the biorthogonal wavelet 9/7 along one axis of a box of up to four axes, by lifting.
//
// With x even and odd along the axis, and mirrored at both ends: d += a (s + s'), s += b (d + d'), d += c (s + s'),
// s += e (d + d'); then s / norm goes to the first half, d norm to the second, norm = K / sqrt 2, which is near to
// orthonormal. The inverse runs the steps backward. A line lies in `scratch` meanwhile, SCI_BLOCK of them side by side.
//
// Flops: 14 a point. Bytes: each point is read and written once; scratch stays in cache.
#include "host.h"

template <typename T>
SCI_DEVICE void lift(T* const scratch, const i64 n, const i64 parity, const T factor) {
    for (i64 k = parity; k < n; k += 2) {
        const i64 left = k > 0 ? k - 1 : k + 1, right = k + 1 < n ? k + 1 : k - 1;
        SCI_THREADS(t) {
            scratch[k * SCI_BLOCK + t] += factor * (scratch[left * SCI_BLOCK + t] + scratch[right * SCI_BLOCK + t]);
        }
    }
}

// Transforms lines of n >= 2 points, `step` apart. `counts` and `steps` are those of three other axes, the last of which
// lies across the threads.
//
// Instances: <float|double, false|true>
template <typename T, bool INVERSE>
SCI_KERNEL lift_axis(SCI_INDEX T* x /*[size]*/, T* scratch /*[slots,places]*/, const i64 n, const i64 step,
                     const i64 count0, const i64 step0, const i64 count1, const i64 step1, const i64 count2,
                     const i64 step2, const i64 slots, const i64 places) {
    constexpr double K = 1.230174104914001;
    constexpr T a = T(-1.586134342059924), b = T(-0.052980118572961), c = T(0.882911075530934), e = T(0.443506852043971);
    constexpr T norm = T(K * 0.70710678118654752440), inverse = T(1.0 / (K * 0.70710678118654752440));
    const i64 chunks = (count2 + SCI_BLOCK - 1) / SCI_BLOCK, blocks = count0 * count1 * chunks, half = (n + 1) / 2;
    for (i64 slot = blockIdx.x; slot < slots; slot += gridDim.x)
        for (i64 block = slot; block < blocks; block += slots) {
            const i64 chunk = block % chunks, line = block / chunks;
            T* const from = x + line / count1 * step0 + line % count1 * step1;
            T* const own = scratch + slot * places;
            const i64 first = chunk * SCI_BLOCK;
            for (i64 k = 0; k < n; ++k) {
                const i64 place = (INVERSE ? (k & 1) * half + (k >> 1) : k) * step;
                const T factor = !INVERSE ? T(1) : k & 1 ? inverse : norm;
                SCI_THREADS(t) {
                    own[k * SCI_BLOCK + t] = first + t < count2 ? factor * from[place + (first + t) * step2] : T(0);
                }
            }
            if constexpr (INVERSE) {
                lift<T>(own, n, 0, -e);
                lift<T>(own, n, 1, -c);
                lift<T>(own, n, 0, -b);
                lift<T>(own, n, 1, -a);
            } else {
                lift<T>(own, n, 1, a);
                lift<T>(own, n, 0, b);
                lift<T>(own, n, 1, c);
                lift<T>(own, n, 0, e);
            }
            for (i64 k = 0; k < n; ++k) {
                const i64 place = (INVERSE ? k : (k & 1) * half + (k >> 1)) * step;
                const T factor = INVERSE ? T(1) : k & 1 ? norm : inverse;
                SCI_THREADS(t) {
                    if (first + t < count2) from[place + (first + t) * step2] = factor * own[k * SCI_BLOCK + t];
                }
            }
        }
}
