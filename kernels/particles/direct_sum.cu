// Pairwise sums phi(x) = sum_j q_j K(|x - y_j|), and their gradient, for K(r) = exp(-kappa r) / r.
//
// out[i] = (phi) or (phi, d phi/dx, d phi/dy, d phi/dz). A source closer than sqrt(coincident) to a target is left
// out: the potential at a charge is that of all the others.
//
// Cost per pair: 10 flops and one reciprocal square root for 1/r, 17 with the gradient, about 25 more when screened.
// Bytes: 32 per source per block of targets, from cache; the limit is the square root and division unit.
#include "host.h"

// Instances: <double, false|true, false|true>
template <typename T, bool SCREENED, bool GRADIENT>
SCI_KERNEL direct_sum(SCI_INDEX const T* __restrict__ targets /*[m, 3]*/, const T* __restrict__ sources /*[n, 4]*/,
                      T* __restrict__ out /*[m, GRADIENT ? 4 : 1]*/, const i64 m, const i64 n, const T kappa,
                      const T coincident) {
    constexpr int WIDTH = GRADIENT ? 4 : 1;
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < m; tile += gridDim.x) {
        T x[SCI_SLOTS], y[SCI_SLOTS], z[SCI_SLOTS], sum[SCI_SLOTS], gx[SCI_SLOTS], gy[SCI_SLOTS], gz[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < m ? tile * SCI_BLOCK + t : m - 1;
            x[SCI_SLOT(t)] = targets[3 * i];
            y[SCI_SLOT(t)] = targets[3 * i + 1];
            z[SCI_SLOT(t)] = targets[3 * i + 2];
            sum[SCI_SLOT(t)] = gx[SCI_SLOT(t)] = gy[SCI_SLOT(t)] = gz[SCI_SLOT(t)] = 0;
        }
        for (i64 j = 0; j < n; ++j) {
            const T sx = sources[4 * j], sy = sources[4 * j + 1], sz = sources[4 * j + 2], q = sources[4 * j + 3];
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const T dx = x[s] - sx, dy = y[s] - sy, dz = z[s] - sz;
                const T r2 = dx * dx + dy * dy + dz * dz;
                const bool apart = r2 > coincident;
                const T inverse = rsqrt(apart ? r2 : T(1));
                const T r = r2 * inverse;
                const T value = (apart ? q : T(0)) * inverse * (SCREENED ? T(sci_exp(-kappa * r)) : T(1));
                sum[s] += value;
                if (GRADIENT) {
                    const T slope = -value * (inverse * inverse + (SCREENED ? kappa * inverse : T(0)));
                    gx[s] += slope * dx;
                    gy[s] += slope * dy;
                    gz[s] += slope * dz;
                }
            }
        }
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (i < m) {
                out[WIDTH * i] = sum[s];
                if (GRADIENT) {
                    out[WIDTH * i + 1] = gx[s];
                    out[WIDTH * i + 2] = gy[s];
                    out[WIDTH * i + 3] = gz[s];
                }
            }
        }
    }
}
