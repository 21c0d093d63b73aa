// Piecewise Chebyshev expansions on a grid of boxes: their evaluation, and the moments that are its adjoint.
//
// A box b = (b1, b2, b3) holds P^3 coefficients C[b1 P + i, b2 P + j, b3 P + k] of T_i(x) T_j(y) T_k(z), with x, y, z
// in [-1, 1] across the box. geometry = (origin, boxes per unit length) of the grid, three numbers each.
#include "host.h"

template <typename T, int P>
SCI_DEVICE void chebyshev_values(const T x, T* values, const int stride) {
    values[0] = 1;
    values[stride] = x;
    SCI_UNROLL
    for (int k = 2; k < P; ++k) values[k * stride] = 2 * x * values[(k - 1) * stride] - values[(k - 2) * stride];
}

template <typename T, int P>
SCI_DEVICE void chebyshev_slopes(const T x, const T* values, T* slopes, const int stride) {
    slopes[0] = 0;
    slopes[stride] = 1;
    SCI_UNROLL
    for (int k = 2; k < P; ++k)
        slopes[k * stride] = 2 * values[(k - 1) * stride] + 2 * x * slopes[(k - 1) * stride] - slopes[(k - 2) * stride];
}

// T_k(x) and its slope for k = 0, 1, ... in a loop that is not unrolled. The host looks them up; on a GPU an array with
// a running index would lie in slow local memory, so a GPU keeps two terms of the recurrence in registers.
template <typename T, int P, bool GRADIENT>
struct ChebyshevColumn {
    static constexpr bool TABLE = SCI_SLOTS > 1;
    static constexpr int TERMS = TABLE ? P : 2;
    T values[TERMS][SCI_SLOTS], slopes[TERMS][SCI_SLOTS], x[SCI_SLOTS];

    SCI_DEVICE_MEMBER void start(const T at, const int s) {
        chebyshev_values<T, TERMS>(at, &values[0][s], SCI_SLOTS);
        if (GRADIENT) chebyshev_slopes<T, TERMS>(at, &values[0][s], &slopes[0][s], SCI_SLOTS);
        x[s] = at;
    }
    SCI_DEVICE_MEMBER T value(const int k, const int s) const { return values[TABLE ? k : 0][s]; }
    SCI_DEVICE_MEMBER T slope(const int k, const int s) const { return slopes[TABLE ? k : 0][s]; }
    // Moves on from T_k to T_{k+1}.
    SCI_DEVICE_MEMBER void step(const int s) {
        if (TABLE) return;
        const T value = 2 * x[s] * values[1][s] - values[0][s];
        if (GRADIENT) {
            const T slope = 2 * values[1][s] + 2 * x[s] * slopes[1][s] - slopes[0][s];
            slopes[0][s] = slopes[1][s];
            slopes[1][s] = slope;
        }
        values[0][s] = values[1][s];
        values[1][s] = value;
    }
};

// f(x), or f and its gradient, at scattered points. Tile l holds the targets order[tile_start[l] ...], at most
// SCI_BLOCK, all of box tile_box[l]. Flops per target: 2 (P^3 + P^2 + P), about twice that with the gradient. Bytes
// per tile: 8 P^3, from cache where tiles of one box follow each other, so the limit is arithmetic.
// Instances: <double, 6|8|10|12|14|16|18, false|true>
template <typename T, int P, bool GRADIENT>
SCI_KERNEL evaluate_boxes(SCI_INDEX const T* __restrict__ coefficients /*[n1, n2, n3]*/,
                          const T* __restrict__ geometry /*[6]*/, const T* __restrict__ targets /*[m, 3]*/,
                          const i64* __restrict__ order /*[m]*/, const i64* __restrict__ tile_start /*[e]*/,
                          const i64* __restrict__ tile_box /*[tiles]*/, T* __restrict__ out /*[m, GRADIENT ? 4 : 1]*/,
                          const i64 tiles, const i64 b2, const i64 b3) {
    constexpr int WIDTH = GRADIENT ? 4 : 1;
    const T wx = geometry[3], wy = geometry[4], wz = geometry[5];
    for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const i64 first = tile_start[tile], last = tile_start[tile + 1] - 1, box = tile_box[tile];
        const i64 nx = box / (b2 * b3), ny = box / b3 % b2, nz = box % b3;
        T tz[P][SCI_SLOTS], dz[P][SCI_SLOTS], y[SCI_SLOTS];
        ChebyshevColumn<T, P, GRADIENT> tx, ty;
        T f[SCI_SLOTS], fx[SCI_SLOTS], fy[SCI_SLOTS], fz[SCI_SLOTS];
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const i64 i = order[first + t < last ? first + t : last];
            const T x = 2 * ((targets[3 * i] - geometry[0]) * wx - T(nx)) - 1;
            y[s] = 2 * ((targets[3 * i + 1] - geometry[1]) * wy - T(ny)) - 1;
            const T z = 2 * ((targets[3 * i + 2] - geometry[2]) * wz - T(nz)) - 1;
            chebyshev_values<T, P>(z, &tz[0][s], SCI_SLOTS);
            if (GRADIENT) chebyshev_slopes<T, P>(z, &tz[0][s], &dz[0][s], SCI_SLOTS);
            tx.start(x, s);
            if (SCI_SLOTS > 1) ty.start(y[s], s);
            f[s] = fx[s] = fy[s] = fz[s] = 0;
        }
        SCI_ROLLED
        for (int i = 0; i < P; ++i) {
            T g[SCI_SLOTS], gy[SCI_SLOTS], gz[SCI_SLOTS];
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                g[s] = gy[s] = gz[s] = 0;
                if (SCI_SLOTS == 1) ty.start(y[s], s);
            }
            SCI_ROLLED
            for (int j = 0; j < P; ++j) {
                const T* row = coefficients + (((nx * P + i) * b2 + ny) * P + j) * (b3 * P) + nz * P;
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    T h = 0, hz = 0;
                    SCI_UNROLL
                    for (int k = 0; k < P; ++k) {
                        h += row[k] * tz[k][s];
                        if (GRADIENT) hz += row[k] * dz[k][s];
                    }
                    g[s] += h * ty.value(j, s);
                    if (GRADIENT) {
                        gy[s] += h * ty.slope(j, s);
                        gz[s] += hz * ty.value(j, s);
                    }
                    ty.step(s);
                }
            }
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                f[s] += g[s] * tx.value(i, s);
                if (GRADIENT) {
                    fx[s] += g[s] * tx.slope(i, s);
                    fy[s] += gy[s] * tx.value(i, s);
                    fz[s] += gz[s] * tx.value(i, s);
                }
                tx.step(s);
            }
        }
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            if (first + t <= last) {
                const i64 i = order[first + t];
                out[WIDTH * i] = f[s];
                if (GRADIENT) {
                    out[WIDTH * i + 1] = 2 * wx * fx[s];
                    out[WIDTH * i + 2] = 2 * wy * fy[s];
                    out[WIDTH * i + 3] = 2 * wz * fz[s];
                }
            }
        }
    }
}

// Moments M[b1 P + i, b2 P + j, b3 P + k] = sum over the points a of box b of x[a, i] y[a, j] z[a, k], where x, y and z
// hold T_0 ... T_{P-1} of the points sorted by boxes, x times the charge. One block a box, its threads over k: no two
// write one place, and the order of the sum is fixed. Flops per point: 2 P^3; bytes per box: 8 P^3 written once.
// Instances: <double, 8|16|24>
template <typename T, int P>
SCI_KERNEL box_moments(SCI_INDEX const T* __restrict__ x /*[n, P]*/, const T* __restrict__ y /*[n, P]*/,
                       const T* __restrict__ z /*[n, P]*/, const i64* __restrict__ box_start /*[e]*/,
                       T* __restrict__ moments /*[n1, n2, n3]*/, const i64 boxes, const i64 b2, const i64 b3) {
    for (i64 box = blockIdx.x; box < boxes; box += gridDim.x) {
        const i64 first = box_start[box], last = box_start[box + 1];
        if (first == last) continue;
        T* corner = moments + box / (b2 * b3) * P * (b2 * P * b3 * P) + box / b3 % b2 * P * (b3 * P) + box % b3 * P;
        for (int start = 0; start < P; start += SCI_BLOCK) {
            for (int i = 0; i < P; ++i) {
                for (int j = 0; j < P; ++j) {
                    T sum[SCI_SLOTS];
                    SCI_THREADS(t) sum[SCI_SLOT(t)] = 0;
                    for (i64 a = first; a < last; ++a) {
                        const T xy = x[a * P + i] * y[a * P + j];
                        SCI_THREADS(t) sum[SCI_SLOT(t)] += xy * z[a * P + (start + t < P ? start + t : P - 1)];
                    }
                    T* row = corner + (i * b2 * P + j) * (b3 * P);
                    SCI_THREADS(t) {
                        if (start + t < P) row[start + t] = sum[SCI_SLOT(t)];
                    }
                }
            }
        }
    }
}
