// A Chebyshev-Tucker function, and its slopes along two axes, at scattered points.
//
// f(x) = sum_ijk core_ijk a_i(x1) b_j(x2) c_k(x3). `chebtuck_basis` tabulates the functions of one axis at the points
// of a chunk; `chebtuck_points` contracts the tables with the core. Matrices come as panels of ROWS columns,
// (panels, n, ROWS): a pass over one panel reads each number of a table once for ROWS multiplications, and keeps ROWS
// sums a point in registers. Tables lie tile by tile, (tiles, columns, SCI_BLOCK). A group of tiles takes a panel of
// the core while it lies in the nearest cache; on a GPU a group is one tile.
#include "host.h"

// h[row] = sum_k panel[k, row] table[k] at the points of one tile.
template <typename T, int ROWS>
SCI_DEVICE void panel_product(const T* __restrict__ panel, const T* __restrict__ table, const i64 count,
                              T (&h)[ROWS][SCI_SLOTS]) {
    SCI_UNROLL
    for (int row = 0; row < ROWS; ++row) {
        SCI_THREADS(t) h[row][SCI_SLOT(t)] = 0;
    }
    SCI_ROLLED
    for (i64 k = 0; k < count; ++k) {
        SCI_SEPARATE;
        SCI_THREADS(t) {
            const T value = table[k * SCI_BLOCK + t];
            SCI_UNROLL
            for (int row = 0; row < ROWS; ++row) h[row][SCI_SLOT(t)] += panel[k * ROWS + row] * value;
        }
    }
}

// Functions table[p ROWS + row] = sum_k factors[p, k, row] T_k(u) with u = 2 (x - low) / (high - low) - 1, where x is
// coordinate `axis` of a point; geometry = (low, high - low) an axis. `polynomials` is workspace for T_k. Flops per
// point: 2 terms (columns + 2); bytes per point: 2 sizeof(T) (terms + columns), which stay in cache for a chunk: the
// limit is arithmetic where there are more than 8 columns.
// Instances: <double, 3|8> <float, 4|8>
template <typename T, int ROWS>
SCI_KERNEL chebtuck_basis(SCI_INDEX const T* __restrict__ points /*[n, 3]*/, const T* __restrict__ geometry /*[6]*/,
                          const T* __restrict__ factors /*[panels, terms, ROWS]*/,
                          T* __restrict__ polynomials /*[tiles, most_terms, block]*/,
                          T* __restrict__ table /*[tiles, columns, block]*/, const i64 n, const i64 terms,
                          const i64 panels, const i64 axis) {
    const T low = geometry[2 * axis], length = geometry[2 * axis + 1];
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T* row = polynomials + tile * terms * SCI_BLOCK;
        T* values = table + tile * panels * ROWS * SCI_BLOCK;
        T u[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 point = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            u[SCI_SLOT(t)] = 2 * ((points[3 * point + axis] - low) / length) - 1;
            row[t] = 1;
            if (terms > 1) row[SCI_BLOCK + t] = u[SCI_SLOT(t)];
        }
        SCI_ROLLED
        for (i64 k = 2; k < terms; ++k) {
            SCI_SEPARATE;
            T* next = row + k * SCI_BLOCK;
            SCI_THREADS(t) next[t] = 2 * u[SCI_SLOT(t)] * next[t - SCI_BLOCK] - next[t - 2 * SCI_BLOCK];
        }
        for (i64 panel = 0; panel < panels; ++panel) {
            T h[ROWS][SCI_SLOTS];
            panel_product<T, ROWS>(factors + panel * terms * ROWS, row, terms, h);
            SCI_UNROLL
            for (int column = 0; column < ROWS; ++column) {
                SCI_THREADS(t) values[(panel * ROWS + column) * SCI_BLOCK + t] = h[column][SCI_SLOT(t)];
            }
        }
    }
}

// f, or f and its slopes along the first two axes, from the tables of the three axes and the core as a matrix of
// r1 r2 columns in panels. The slopes of a and b follow their r1 and r2 values in the tables. Flops per point:
// 2 r1 r2 r3 + 3 r1 r2 (7 r1 r2 with slopes); bytes per point: the tables, and the core once a group of tiles,
// r1 r2 r3 sizeof(T) / 64 on the host from the second or third cache, so the limit is arithmetic. On a GPU each
// multiplication needs 1/8 load of a table and 1/2 or 1/4 vector load of the core, the same in all threads: the limit
// is the rate of loads from the first cache, near that of multiplications in double precision.
// Instances: <double, 3|8, false|true> <float, 4|8, false|true>
template <typename T, int ROWS, bool SLOPES>
SCI_KERNEL chebtuck_points(SCI_INDEX const T* __restrict__ core /*[panels, r3, ROWS]*/,
                           const T* __restrict__ a /*[tiles, columns_a, block]*/,
                           const T* __restrict__ b /*[tiles, columns_b, block]*/,
                           const T* __restrict__ c /*[tiles, columns_c, block]*/,
                           T* __restrict__ out /*[n, SLOPES ? 3 : 1]*/, const i64 n, const i64 r1, const i64 r2,
                           const i64 r3, const i64 columns_a, const i64 columns_b, const i64 columns_c) {
    constexpr int GROUP = SCI_SLOTS > 1 ? 4 : 1, OUTPUTS = SLOPES ? 3 : 1;
    const i64 panels = (r1 * r2 + ROWS - 1) / ROWS;
    for (i64 group = blockIdx.x; group * (GROUP * SCI_BLOCK) < n; group += gridDim.x) {
        T f[GROUP][SCI_SLOTS], fa[GROUP][SCI_SLOTS], fb[GROUP][SCI_SLOTS];
        for (int tile = 0; tile < GROUP; ++tile) {
            SCI_THREADS(t) f[tile][SCI_SLOT(t)] = fa[tile][SCI_SLOT(t)] = fb[tile][SCI_SLOT(t)] = 0;
        }
        i64 i = 0, j = 0;
        for (i64 panel = 0; panel < panels; ++panel) {
            i64 left[ROWS], middle[ROWS];
            SCI_UNROLL
            for (int row = 0; row < ROWS; ++row) {
                left[row] = i * SCI_BLOCK;
                middle[row] = j * SCI_BLOCK;
                j = j + 1 < r2 ? j + 1 : 0;
                i = j > 0 ? i : i + 1 < r1 ? i + 1 : 0;  // what pads the last panel is zero, and may meet any function
            }
            for (int tile = 0; tile < GROUP; ++tile) {
                const i64 place = (group * GROUP + tile) * SCI_BLOCK;
                if (place >= n) break;
                T h[ROWS][SCI_SLOTS];
                panel_product<T, ROWS>(core + panel * r3 * ROWS, c + place * columns_c, r3, h);
                const T *at = a + place * columns_a, *bt = b + place * columns_b;
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    T sum = 0, sum_a = 0, sum_b = 0;
                    SCI_UNROLL
                    for (int row = 0; row < ROWS; ++row) {
                        const T ai = at[left[row] + t], hb = h[row][s] * bt[middle[row] + t];
                        sum += ai * hb;
                        if (SLOPES) {
                            sum_a += at[left[row] + r1 * SCI_BLOCK + t] * hb;
                            sum_b += ai * h[row][s] * bt[middle[row] + r2 * SCI_BLOCK + t];
                        }
                    }
                    f[tile][s] += sum;
                    fa[tile][s] += sum_a;
                    fb[tile][s] += sum_b;
                }
            }
        }
        for (int tile = 0; tile < GROUP; ++tile) {
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const i64 point = (group * GROUP + tile) * SCI_BLOCK + t;
                if (point < n) {
                    out[OUTPUTS * point] = f[tile][s];
                    if (SLOPES) {
                        out[OUTPUTS * point + 1] = fa[tile][s];
                        out[OUTPUTS * point + 2] = fb[tile][s];
                    }
                }
            }
        }
    }
}
