// The short range of charges on a tensor grid, by Gaussians on bricks, on a device: see bricks.h. The host has bricks.cu.
//
// A thread holds the 4 x 4 points of a brick that have its place along c, in registers, and takes one charge after
// another with the other threads of its block.
//
// Flops per thread and Gaussian: 36 and 9 exponentials for 16 points; bytes: 32 a charge and block, from cache; the
// limit is arithmetic. Sums of floats are added to doubles after each row of cells.
#include "particles/bricks.h"

// Instances: <float|double>
template <typename T>
SCI_KERNEL brick_lanes(SCI_INDEX const double* __restrict__ a /*[na]*/, const double* __restrict__ b /*[nb]*/,
                       const double* __restrict__ c /*[nc]*/, const i64* __restrict__ layout /*[6]*/,
                       const double* __restrict__ sources /*[n, 4]*/, const i64* __restrict__ cell_start /*[e]*/,
                       const double* __restrict__ cells /*[6]*/, const i64* __restrict__ shape /*[3]*/,
                       const double* __restrict__ gaussians /*[terms, 3]*/,
                       const double* __restrict__ parameters /*[6]*/, const double* __restrict__ series /*[d]*/,
                       double* __restrict__ out /*[nx, ny, nz]*/, const i64 na, const i64 nb, const i64 nc,
                       const i64 terms, const i64 d) {
    constexpr int Z = Brick<T>::DEPTH, BRICKS = SCI_BLOCK / Z;
    constexpr int NA = BRICKS >= 4 ? 2 : 1, NC = BRICKS / (NA * NA), SIDE = NA * PART, DEPTH = NC * Z;
    const i64 blocks_b = (nb + SIDE - 1) / SIDE, blocks_c = (nc + DEPTH - 1) / DEPTH;
    const i64 blocks = (na + SIDE - 1) / SIDE * blocks_b * blocks_c;
    const double near2 = parameters[0], scale = parameters[5];
    for (i64 block = blockIdx.x; block < blocks; block += gridDim.x) {
        const i64 a0 = block / (blocks_b * blocks_c) * SIDE, b0 = block / blocks_c % blocks_b * SIDE;
        const i64 c0 = block % blocks_c * DEPTH;
        double low[3], high[3];
        // No dynamic index: registers have none.
        for (int axis = 0; axis < 3; ++axis) {
            const bool is_a = layout[0] == axis, is_b = layout[1] == axis;
            low[axis] = is_a ? a[a0] : is_b ? b[b0] : c[c0];
            high[axis] = is_a   ? a[clamped(a0 + SIDE - 1, na)]
                         : is_b ? b[clamped(b0 + SIDE - 1, nb)]
                                : c[clamped(c0 + DEPTH - 1, nc)];
        }
        double place_a[PART][SCI_SLOTS], place_b[PART][SCI_SLOTS], place_c[SCI_SLOTS], low_c[SCI_SLOTS],
            high_c[SCI_SLOTS], total[PART * PART][SCI_SLOTS];
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t), brick = t / Z;
            const i64 first_c = c0 + brick % NC * Z;
            SCI_UNROLL
            for (int i = 0; i < PART; ++i) {
                place_a[i][s] = a[clamped(a0 + brick / (NA * NC) * PART + i, na)];
                place_b[i][s] = b[clamped(b0 + brick / NC % NA * PART + i, nb)];
            }
            place_c[s] = c[clamped(first_c + t % Z, nc)];
            low_c[s] = c[clamped(first_c, nc)];
            high_c[s] = c[clamped(first_c + Z - 1, nc)];
            SCI_UNROLL
            for (int i = 0; i < PART * PART; ++i) total[i][s] = 0;
        }
        each_row(low, high, gaussians[2], cell_start, cells, shape, [&](const i64 first, const i64 last) {
            T sum[PART * PART][SCI_SLOTS];
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int i = 0; i < PART * PART; ++i) sum[i][SCI_SLOT(t)] = 0;
            }
            for (i64 j = first; j < last; ++j) {
                const double q = sources[4 * j + 3] * scale;
                const double sa = sources[4 * j + layout[0]], sb = sources[4 * j + layout[1]];
                const double sc = sources[4 * j + layout[2]];
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    const T ga = T(gap(sa, sa, place_a[0][s], place_a[PART - 1][s]));
                    const T gb = T(gap(sb, sb, place_b[0][s], place_b[PART - 1][s]));
                    const T gc = T(gap(sc, sc, low_c[s], high_c[s]));
                    const T least = ga * ga + gb * gb + gc * gc, dc = T(place_c[s] - sc);
                    for (i64 k = 0; k < terms && T(gaussians[3 * k + 2]) > least; ++k) {
                        const T t2 = T(gaussians[3 * k]);
                        const T along_c = T(q * gaussians[3 * k + 1]) * sci_exp(-t2 * dc * dc);
                        T along_b[PART];
                        SCI_UNROLL
                        for (int i = 0; i < PART; ++i) {
                            const T db = T(place_b[i][s] - sb);
                            along_b[i] = along_c * sci_exp(-t2 * db * db);
                        }
                        SCI_UNROLL
                        for (int i = 0; i < PART; ++i) {
                            const T da = T(place_a[i][s] - sa), along_a = sci_exp(-t2 * da * da);
                            SCI_UNROLL
                            for (int r = 0; r < PART; ++r) sum[i * PART + r][s] += along_a * along_b[r];
                        }
                    }
                    if (least < T(near2) * T(1.001)) {
                        const double off_c = place_c[s] - sc;
                        SCI_UNROLL
                        for (int i = 0; i < PART * PART; ++i) {
                            const double da = place_a[i / PART][s] - sa, db = place_b[i % PART][s] - sb;
                            const double r2 = da * da + db * db + off_c * off_c;
                            if (r2 < near2)
                                total[i][s] += q * beyond_gaussians(r2, parameters, series, d - 1, gaussians, terms);
                        }
                    }
                }
            }
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                SCI_UNROLL
                for (int i = 0; i < PART * PART; ++i) total[i][s] += sum[i][s];
            }
        });
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t), brick = t / Z;
            const i64 ia = a0 + brick / (NA * NC) * PART, ib = b0 + brick / NC % NA * PART;
            const i64 ic = c0 + brick % NC * Z + t % Z;
            SCI_UNROLL
            for (int i = 0; i < PART * PART; ++i)
                if (ia + i / PART < na && ib + i % PART < nb && ic < nc)
                    out[(ia + i / PART) * layout[3] + (ib + i % PART) * layout[4] + ic * layout[5]] +=
                        total[i][s] / scale;
        }
    }
}
