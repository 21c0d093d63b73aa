// Polar decompositions A = R P of a batch of matrices of order 3, and their gradients: one matrix a thread.
//
// One-sided Jacobi: rotations V of the columns until those of W = A V are orthogonal to EPS, so that A = U diag(s) V'
// with s_k = |w_k| and u_k = w_k / s_k; A'A, which would lose half of the digits, is not formed. R = U V', and P = V
// diag(s) V'. Where R has to be proper, the u_k of the smallest s_k is the one that makes det U = 1 = det V, and s_k =
// u_k' w_k, of either sign: a matrix of rank 2 has a nearest rotation as well.
//
// Flops: 70 a rotation, about 12 rotations; 100 for R and P; 300 for a gradient. Bytes: 9 entries read and 18 written,
// or 27 read and 9 written: on a GPU memory is the limit.
//
// A margin tells the caller whether a result stands: the smallest s_k (proper: the sum of the two smallest, signed)
// over the largest, and NaN where something is not finite. The reference names the fault.
#include "linalg/batches.h"
#include "linalg/elementary.h"

constexpr int SWEEPS = 24, N = 3;

// Reads the matrices of a tile in units of their own: row k of w becomes the column k.
template <typename T>
SCI_DEVICE void read_columns(const T* matrices, const i64 tile, const i64 count, T (&w)[N * N][SCI_SLOTS],
                             T (&unit)[SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    SCI_THREADS(t) { unit[SCI_SLOT(t)] = fault[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 i = 0; i < N; ++i) {
        EACH
        for (i64 k = 0; k < N; ++k) {
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const i64 m = tile * SCI_BLOCK + t < count ? tile * SCI_BLOCK + t : count - 1;
                const T x = matrices[(m * N + i) * N + k];
                w[k * N + i][s] = x;
                fault[s] += x - x;
                unit[s] = magnitude(x) > unit[s] ? magnitude(x) : unit[s];
            }
        }
    }
    SCI_THREADS(t) { unit[SCI_SLOT(t)] = unit_of(unit[SCI_SLOT(t)]); }
    EACH
    for (i64 k = 0; k < N; ++k) {
        EACH
        for (i64 i = 0; i < N; ++i)
            SCI_THREADS(t) { w[k * N + i][SCI_SLOT(t)] *= 1 / unit[SCI_SLOT(t)]; }
    }
}

// Makes the rows of w orthogonal by rotations, which turn the rows of the identity v as well.
template <typename T>
SCI_DEVICE void orthogonalize(T (&w)[N * N][SCI_SLOTS], T (&v)[N * N][SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    EACH
    for (i64 k = 0; k < N; ++k) {
        EACH
        for (i64 i = 0; i < N; ++i)
            SCI_THREADS(t) { v[k * N + i][SCI_SLOT(t)] = i == k; }
    }
    SCI_ROLLED
    for (int sweep = 0; sweep < SWEEPS; ++sweep) {
        int rotated = 0;
        EACH
        for (i64 p = 0; p < N; ++p) {
            EACH
            for (i64 q = 0; q < N; ++q) {
                if (q <= p) continue;
                T low[SCI_SLOTS], high[SCI_SLOTS], off[SCI_SLOTS], s[SCI_SLOTS], d[SCI_SLOTS];
                dot<T, N, SCI_SLOTS>(low, w + p * N, 1, w + p * N, 1, N);
                dot<T, N, SCI_SLOTS>(high, w + q * N, 1, w + q * N, 1, N);
                dot<T, N, SCI_SLOTS>(off, w + p * N, 1, w + q * N, 1, N);
                int any = 0;
                SCI_ANY(t, any) {
                    const T least = Binary<T>::EPS * sqrt(low[SCI_SLOT(t)]) * sqrt(high[SCI_SLOT(t)]);
                    const bool turns = magnitude(off[SCI_SLOT(t)]) > least;
                    any |= turns;
                    off[SCI_SLOT(t)] = turns ? off[SCI_SLOT(t)] : T(0);  // its bits do not depend on the others
                }
                if (!any) continue;
                rotated = 1;
                SCI_THREADS(t) {
                    const T x = off[SCI_SLOT(t)], gap = high[SCI_SLOT(t)] - low[SCI_SLOT(t)];
                    const T sum = magnitude(gap) + sqrt(gap * gap + 4 * x * x);
                    const T tangent = sum > 0 ? (gap < 0 ? -2 * x : 2 * x) / sum : T(0);
                    const T cosine = 1 / sqrt(1 + tangent * tangent), sine = tangent * cosine;
                    s[SCI_SLOT(t)] = sine;
                    d[SCI_SLOT(t)] = sine * sine / (1 + cosine);
                }
                EACH
                for (i64 i = 0; i < N; ++i) {
                    rotate<T, SCI_SLOTS>(w[p * N + i], w[q * N + i], s, d);
                    rotate<T, SCI_SLOTS>(v[p * N + i], v[q * N + i], s, d);
                }
            }
        }
        if (!rotated) return;
    }
    SCI_THREADS(t) { fault[SCI_SLOT(t)] += with_bits(Binary<T>::INFINITE) * 0; }
}

template <typename T>
SCI_DEVICE T smaller(const T x, const T y) {
    return y < x ? y : x;
}

template <typename T>
SCI_DEVICE T larger(const T x, const T y) {
    return y > x ? y : x;
}

// Entry i of the unit vector that, in the place k, gives the others of u the determinant 1: their cross product.
template <typename T>
SCI_DEVICE T completing(const T (&u)[N * N][SCI_SLOTS], const i64 k, const i64 i, const int s) {
    const i64 x = (k + 1) % 3 * 3, y = (k + 2) % 3 * 3, a = (i + 1) % 3, b = (i + 2) % 3;
    return u[x + a][s] * u[y + b][s] - u[x + b][s] * u[y + a][s];
}

// Singular values and vectors, in rows, of the matrices of a tile in their units, and the margin.
template <typename T>
SCI_DEVICE void singular(const T* matrices, const i64 tile, const i64 count, const bool proper,
                         T (&u)[N * N][SCI_SLOTS], T (&v)[N * N][SCI_SLOTS], T (&values)[N][SCI_SLOTS],
                         T (&unit)[SCI_SLOTS], T (&margin)[SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    read_columns<T>(matrices, tile, count, u, unit, fault);
    orthogonalize<T>(u, v, fault);
    EACH
    for (i64 k = 0; k < N; ++k) {
        dot<T, N, SCI_SLOTS>(values[k], u + k * N, 1, u + k * N, 1, N);
        SCI_THREADS(t) { values[k][SCI_SLOT(t)] = sqrt(values[k][SCI_SLOT(t)]); }
    }
    T least[SCI_SLOTS], middle[SCI_SLOTS], most[SCI_SLOTS];
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        const T a = values[0][s], b = values[1][s], c = values[2][s];
        const T low = smaller(a, b), high = larger(a, b);
        least[s] = smaller(low, c);
        middle[s] = larger(low, smaller(high, c));
        most[s] = larger(high, c);
    }
    T last[N * N][SCI_SLOTS], taken[SCI_SLOTS];
    SCI_THREADS(t) { taken[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 k = 0; k < N; ++k) {
        EACH
        for (i64 i = 0; i < N; ++i) {
            SCI_THREADS(t) {
                const T x = u[k * N + i][SCI_SLOT(t)], size = values[k][SCI_SLOT(t)];
                last[k * N + i][SCI_SLOT(t)] = x;
                u[k * N + i][SCI_SLOT(t)] = size > 0 ? x / size : T(0);
            }
        }
    }
    EACH
    for (i64 k = 0; proper && k < N; ++k) {
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const bool here = values[k][s] == least[s] && taken[s] == 0;
            T along = 0;
            EACH
            for (i64 i = 0; i < N; ++i) {
                const T x = completing<T>(u, k, i, s);
                along += x * last[k * N + i][s];
                u[k * N + i][s] = here ? x : u[k * N + i][s];
            }
            values[k][s] = here ? along : values[k][s];
            least[s] = here ? along : least[s];
            taken[s] = here ? T(1) : taken[s];
        }
    }
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        margin[s] = most[s] > 0 ? (proper ? middle[s] + least[s] : least[s]) / most[s] : T(0);
    }
}

// out[m] = U' W for the matrices m of a tile, times a number of each; of a `symmetric` one the upper triangle twice.
template <typename T>
SCI_DEVICE void write_sum(const bool symmetric, T* out, const T (&u)[N * N][SCI_SLOTS], const T (&w)[N * N][SCI_SLOTS],
                          const T (&scale)[SCI_SLOTS], const i64 tile, const i64 count, T (&fault)[SCI_SLOTS]) {
    EACH
    for (i64 i = 0; i < N; ++i) {
        EACH
        for (i64 j = 0; j < N; ++j) {
            if (j < i && symmetric) continue;
            T sum[SCI_SLOTS];
            dot<T, N, SCI_SLOTS>(sum, u + i, N, w + j, N, N);
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t;
                const T x = sum[SCI_SLOT(t)] * scale[SCI_SLOT(t)];
                fault[SCI_SLOT(t)] += x - x;
                if (m < count) out[(m * N + i) * N + j] = x;
                if (m < count && symmetric) out[(m * N + j) * N + i] = x;
            }
        }
    }
}

// R and P of A = R P, and the margins.
// Instances: <float|double>
template <typename T>
SCI_KERNEL polar(SCI_INDEX const T* __restrict__ matrices /*[count, 3, 3]*/, T* __restrict__ rotation /*[count, 3, 3]*/,
                 T* __restrict__ stretch /*[count, 3, 3]*/, T* __restrict__ margins /*[count]*/, const i64 count,
                 const i64 proper) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < count; tile += gridDim.x) {
        T u[N * N][SCI_SLOTS], v[N * N][SCI_SLOTS], values[N][SCI_SLOTS], w[N * N][SCI_SLOTS];
        T unit[SCI_SLOTS], margin[SCI_SLOTS], fault[SCI_SLOTS], one[SCI_SLOTS];
        singular<T>(matrices, tile, count, proper != 0, u, v, values, unit, margin, fault);
        SCI_THREADS(t) { one[SCI_SLOT(t)] = 1; }
        write_sum<T>(false, rotation, u, v, one, tile, count, fault);
        EACH
        for (i64 k = 0; k < N; ++k) {
            EACH
            for (i64 i = 0; i < N; ++i)
                SCI_THREADS(t) { w[k * N + i][SCI_SLOT(t)] = values[k][SCI_SLOT(t)] * v[k * N + i][SCI_SLOT(t)]; }
        }
        write_sum<T>(true, stretch, v, w, unit, tile, count, fault);
        SCI_THREADS(t) {
            if (tile * SCI_BLOCK + t < count) margins[tile * SCI_BLOCK + t] = margin[SCI_SLOT(t)] + fault[SCI_SLOT(t)];
        }
    }
}

// inner = U' G V of the gradients of a tile, symmetrized if `symmetric`; zero where none is `given`.
template <typename T>
SCI_DEVICE void read_inner(const T* gradients, const i64 given, const bool symmetric, const T (&u)[N * N][SCI_SLOTS],
                           const T (&v)[N * N][SCI_SLOTS], const i64 tile, T (&inner)[N * N][SCI_SLOTS]) {
    EACH
    for (i64 k = 0; k < N; ++k) {
        EACH
        for (i64 l = 0; l < N; ++l)
            SCI_THREADS(t) { inner[k * N + l][SCI_SLOT(t)] = 0; }
    }
    if (given == 0) return;
    EACH
    for (i64 i = 0; i < N; ++i) {
        T line[N][SCI_SLOTS], part[SCI_SLOTS];
        EACH
        for (i64 j = 0; j < N; ++j) {
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t < given ? tile * SCI_BLOCK + t : given - 1;
                const T x = gradients[(m * N + i) * N + j], y = symmetric ? gradients[(m * N + j) * N + i] : x;
                line[j][SCI_SLOT(t)] = T(0.5) * x + T(0.5) * y;
            }
        }
        EACH
        for (i64 l = 0; l < N; ++l) {
            dot<T, N, SCI_SLOTS>(part, line, 1, v + l * N, 1, N);
            EACH
            for (i64 k = 0; k < N; ++k)
                SCI_THREADS(t) { inner[k * N + l][SCI_SLOT(t)] += u[k * N + i][SCI_SLOT(t)] * part[SCI_SLOT(t)]; }
        }
    }
}

// The gradient with respect to A of a loss with the gradients `drotation` and `dstretch` with respect to R and P:
// U (S + (T - T') / (s_i + s_j)) V' with S = V' dP V, T = U' dR V - S diag(s).
// Instances: <float|double>
template <typename T>
SCI_KERNEL polar_vjp(SCI_INDEX const T* __restrict__ matrices /*[count, 3, 3]*/,
                     const T* __restrict__ drotation /*[rotations, 3, 3]*/,
                     const T* __restrict__ dstretch /*[stretches, 3, 3]*/, T* __restrict__ out /*[count, 3, 3]*/,
                     T* __restrict__ margins /*[count]*/, const i64 count, const i64 rotations, const i64 stretches,
                     const i64 proper) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < count; tile += gridDim.x) {
        T u[N * N][SCI_SLOTS], v[N * N][SCI_SLOTS], values[N][SCI_SLOTS];
        T of_rotation[N * N][SCI_SLOTS], of_stretch[N * N][SCI_SLOTS], w[N * N][SCI_SLOTS];
        T unit[SCI_SLOTS], margin[SCI_SLOTS], fault[SCI_SLOTS], one[SCI_SLOTS];
        singular<T>(matrices, tile, count, proper != 0, u, v, values, unit, margin, fault);
        read_inner<T>(drotation, rotations, false, u, v, tile, of_rotation);
        read_inner<T>(dstretch, stretches, true, v, v, tile, of_stretch);
        EACH
        for (i64 k = 0; k < N; ++k) {
            EACH
            for (i64 l = 0; l < N; ++l) {
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    const T x = values[k][s], y = values[l][s];
                    const T here = of_rotation[k * N + l][s] / unit[s] - of_stretch[k * N + l][s] * y;
                    const T there = of_rotation[l * N + k][s] / unit[s] - of_stretch[l * N + k][s] * x;
                    w[k * N + l][s] = of_stretch[k * N + l][s] + (k == l ? T(0) : (here - there) / (x + y));
                }
            }
        }
        // The product with V' in place of the inner matrices.
        EACH
        for (i64 k = 0; k < N; ++k) {
            EACH
            for (i64 j = 0; j < N; ++j) dot<T, N, SCI_SLOTS>(of_stretch[k * N + j], w + k * N, 1, v + j, N, N);
        }
        SCI_THREADS(t) { one[SCI_SLOT(t)] = 1; }
        write_sum<T>(false, out, u, of_stretch, one, tile, count, fault);
        SCI_THREADS(t) {
            if (tile * SCI_BLOCK + t < count) margins[tile * SCI_BLOCK + t] = margin[SCI_SLOT(t)] + fault[SCI_SLOT(t)];
        }
    }
}
