// The short-range part sum_j q_j S(|x - y_j|) over the sources within a cutoff, at scattered targets and on grids.
//
// S(r) = exp(-kappa r) / r - B(u) with u = 2 r^2 / cutoff^2 - 1 in [-1, 1]: the long-range part B, the sum of Gaussians
// that S completes to the whole kernel, is smooth in r^2, and a polynomial of degree D. A source closer than
// sqrt(coincident) is the target itself: it counts -self_value q, so that it cancels its own part of the long range.
//
// parameters = (cutoff^2, 2 / cutoff^2, coincident, self_value, kappa). Sources are sorted by cells of a grid, z fastest;
// cells = (origin, cells per unit length). A block takes a tile of targets with its bounding box, and all its threads
// run over the same sources, row by row of cells that come within the cutoff of the box.
//
// Flops per pair: 11 + 2 D and one reciprocal square root, for a screened kernel an exponential (2 D and 8 more with the
// gradient); bytes per pair: 32 per
// tile, from cache; the limit is arithmetic. 2 to 3 pairs are tested for each one inside the cutoff, fewer in dense
// tiles.
#include "particles/cells.h"

// S at squared distance r2, and in `slope` the factor of the displacement in its gradient.
template <typename T, int D, bool SCREENED, bool GRADIENT>
SCI_DEVICE T short_value(const T r2, const T* parameters, const T* b, T& slope) {
    const bool apart = r2 > parameters[2];
    const T inverse = rsqrt(apart ? r2 : T(1));
    const T u = r2 * parameters[1] - 1;
    // Even and odd powers apart: two Horner chains of half the length hide the latency of the multiplier.
    const T v = u * u;
    T even = b[D], odd = b[D - 1], even_slope = 0, odd_slope = 0;
    SCI_UNROLL
    for (int k = D - 2; k >= 0; k -= 2) {
        if (GRADIENT) even_slope = even_slope * v + even;
        even = even * v + b[k];
        if (k > 0) {
            if (GRADIENT) odd_slope = odd_slope * v + odd;
            odd = odd * v + b[k - 1];
        }
    }
    const T bu = even + u * odd, db = 2 * u * (even_slope + u * odd_slope) + odd;
    const T kappa = SCREENED ? parameters[4] : T(0);
    const T whole = SCREENED ? exp(-kappa * r2 * inverse) * inverse : inverse;
    // Both sides of a choice are computed before it: a branch would keep the host from vectorizing.
    const T pair = whole - bu, own = -parameters[3];
    const T pair_slope = -2 * parameters[1] * db - whole * inverse * (inverse + kappa);
    if (GRADIENT) slope = apart ? pair_slope : T(0);
    return apart ? pair : own;
}

template <typename T, int D, bool SCREENED, bool GRADIENT>
SCI_DEVICE void sum_over_cells(const T* x, const T* y, const T* z, const T* low, const T* high,
                               const T* __restrict__ sources, const i64* __restrict__ cell_start,
                               const T* __restrict__ cells, const i64* __restrict__ shape,
                               const T* __restrict__ parameters, const T* __restrict__ b, T* f,
                               T* fx, T* fy, T* fz) {
    const T cutoff2 = parameters[0];
    each_row(low, high, cutoff2, cell_start, cells, shape, [&](const i64 first, const i64 last) {
        for (i64 j = first; j < last; ++j) {
            const T sx = sources[4 * j], sy = sources[4 * j + 1], sz = sources[4 * j + 2], q = sources[4 * j + 3];
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const T dx = x[s] - sx, dy = y[s] - sy, dz = z[s] - sz;
                const T r2 = dx * dx + dy * dy + dz * dz;
                T slope = 0;
                const T value = short_value<T, D, SCREENED, GRADIENT>(r2, parameters, b, slope);
                const T charge = r2 < cutoff2 ? q : T(0);
                f[s] += charge * value;
                if (GRADIENT) {
                    fx[s] += charge * slope * dx;
                    fy[s] += charge * slope * dy;
                    fz[s] += charge * slope * dz;
                }
            }
        }
    });
}

// Bounding boxes (low, high) of the tiles of targets, one thread a tile: 3 reads of a target, 12 flops.
// Instances: <double>
template <typename T>
SCI_KERNEL tile_bounds(SCI_INDEX const T* __restrict__ targets /*[m, 3]*/, const i64* __restrict__ order /*[m]*/,
                       const i64* __restrict__ tile_start /*[e]*/, T* __restrict__ bounds /*[tiles, 6]*/,
                       const i64 tiles) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < tiles; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 tile = block * SCI_BLOCK + t;
            if (tile < tiles) {
                for (int axis = 0; axis < 3; ++axis) {
                    T low = targets[3 * order[tile_start[tile]] + axis], high = low;
                    for (i64 i = tile_start[tile] + 1; i < tile_start[tile + 1]; ++i) {
                        const T value = targets[3 * order[i] + axis];
                        low = value < low ? value : low;
                        high = value > high ? value : high;
                    }
                    bounds[6 * tile + axis] = low;
                    bounds[6 * tile + 3 + axis] = high;
                }
            }
        }
    }
}

// Adds the short-range part to out at scattered targets: out[i] = f, or (f, gradient) in four numbers.
// Instances: <double, 8|10|12|14|16|18|20|24|28|32, false|true, false|true>
template <typename T, int D, bool SCREENED, bool GRADIENT>
SCI_KERNEL short_range(SCI_INDEX const T* __restrict__ targets /*[m, 3]*/, const i64* __restrict__ order /*[m]*/,
                       const i64* __restrict__ tile_start /*[e]*/, const T* __restrict__ bounds /*[tiles, 6]*/,
                       const T* __restrict__ sources /*[n, 4]*/, const i64* __restrict__ cell_start /*[c]*/,
                       const T* __restrict__ cells /*[6]*/, const i64* __restrict__ shape /*[3]*/,
                       const T* __restrict__ parameters /*[5]*/, const T* __restrict__ b /*[d]*/,
                       T* __restrict__ out /*[m, GRADIENT ? 4 : 1]*/,
                       const i64 tiles) {
    constexpr int WIDTH = GRADIENT ? 4 : 1;
    for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const i64 first = tile_start[tile], last = tile_start[tile + 1] - 1;
        T x[SCI_SLOTS], y[SCI_SLOTS], z[SCI_SLOTS], f[SCI_SLOTS], fx[SCI_SLOTS], fy[SCI_SLOTS], fz[SCI_SLOTS];
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const i64 i = order[first + t < last ? first + t : last];
            x[s] = targets[3 * i];
            y[s] = targets[3 * i + 1];
            z[s] = targets[3 * i + 2];
            f[s] = fx[s] = fy[s] = fz[s] = 0;
        }
        sum_over_cells<T, D, SCREENED, GRADIENT>(x, y, z, bounds + 6 * tile, bounds + 6 * tile + 3, sources,
                                                 cell_start, cells, shape, parameters, b, f, fx, fy, fz);
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            if (first + t <= last) {
                const i64 i = order[first + t];
                out[WIDTH * i] += f[s];
                if (GRADIENT) {
                    out[WIDTH * i + 1] += fx[s];
                    out[WIDTH * i + 2] += fy[s];
                    out[WIDTH * i + 3] += fz[s];
                }
            }
        }
    }
}

// Adds the short-range part to a tensor grid: out[i, j, k] at (x[i], y[j], z[k]), coordinates ascending. A block takes
// a small brick of the grid, so that its bounding box is tight.
// Instances: <double, 8|10|12|14|16|18|20|24|28|32, false|true>
template <typename T, int D, bool SCREENED>
SCI_KERNEL short_range_grid(SCI_INDEX const T* __restrict__ x /*[nx]*/, const T* __restrict__ y /*[ny]*/,
                            const T* __restrict__ z /*[nz]*/, const T* __restrict__ sources /*[n, 4]*/,
                            const i64* __restrict__ cell_start /*[c]*/, const T* __restrict__ cells /*[6]*/,
                            const i64* __restrict__ shape /*[3]*/, const T* __restrict__ parameters /*[5]*/,
                            const T* __restrict__ b /*[d]*/,
                            T* __restrict__ out /*[nx, ny, nz]*/, const i64 nx, const i64 ny, const i64 nz) {
    constexpr int BZ = 4, BY = SCI_BLOCK >= 64 ? 4 : 2, BX = SCI_BLOCK / (BY * BZ);
    const i64 bricks_y = (ny + BY - 1) / BY, bricks_z = (nz + BZ - 1) / BZ;
    const i64 bricks = (nx + BX - 1) / BX * bricks_y * bricks_z;
    for (i64 brick = blockIdx.x; brick < bricks; brick += gridDim.x) {
        const i64 i0 = brick / (bricks_y * bricks_z) * BX, j0 = brick / bricks_z % bricks_y * BY;
        const i64 k0 = brick % bricks_z * BZ;
        const T low[3] = {x[i0], y[j0], z[k0]};
        const T high[3] = {x[i0 + BX <= nx ? i0 + BX - 1 : nx - 1], y[j0 + BY <= ny ? j0 + BY - 1 : ny - 1],
                           z[k0 + BZ <= nz ? k0 + BZ - 1 : nz - 1]};
        T px[SCI_SLOTS], py[SCI_SLOTS], pz[SCI_SLOTS], f[SCI_SLOTS], fx[SCI_SLOTS], fy[SCI_SLOTS], fz[SCI_SLOTS];
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const i64 i = i0 + t / (BY * BZ), j = j0 + t / BZ % BY, k = k0 + t % BZ;
            px[s] = x[i < nx ? i : nx - 1];
            py[s] = y[j < ny ? j : ny - 1];
            pz[s] = z[k < nz ? k : nz - 1];
            f[s] = fx[s] = fy[s] = fz[s] = 0;
        }
        sum_over_cells<T, D, SCREENED, false>(px, py, pz, low, high, sources, cell_start, cells, shape, parameters, b,
                                              f, fx, fy, fz);
        SCI_THREADS(t) {
            const i64 i = i0 + t / (BY * BZ), j = j0 + t / BZ % BY, k = k0 + t % BZ;
            if (i < nx && j < ny && k < nz) out[(i * ny + j) * nz + k] += f[SCI_SLOT(t)];
        }
    }
}
