// Eigenvalues, functions f(A), and gradients of functions of a batch of symmetric matrices of order n <= 32, by cyclic
// Jacobi rotations: one matrix a thread.
//
// The entries (i, j) of the matrices of a block lie side by side, a[i n + j][lane], so that a block does the same
// rotation on all of them: one vector on the host, one row of memory on a GPU. Order 3 has instances of its own (N),
// in registers; N = 0 takes every order and works in `scratch`, one part a block of the grid. Sweeps end when every
// off-diagonal entry of every matrix is below EPS / 16 of the largest entry; a rotation that no matrix of the block
// needs is passed over.
//
// Flops: a rotation has 16 n, a sweep 8 n^2 (n - 1); 3 sweeps for n = 2, 5 for n = 3, up to 9 for n = 32. f(A) adds
// n^3, its gradient 7 n^3, and n or n^2 / 2 values of f. Bytes: n^2 entries are read of each matrix argument and n^2
// written. Except for n = 3, scratch of 2 n^2 or 3 n^2 stays in the second cache of the host (n = 32: 400 kB of
// doubles a block), and is what limits a GPU: 4 n^2 (n - 1) entries loaded and stored in a sweep.
//
// A margin tells the caller whether a result stands. It is the smallest eigenvalue (inverse: the smallest magnitude)
// over the largest magnitude, 1 for functions of all matrices, and NaN for a matrix that is not symmetric or not
// finite, that did not converge, or whose result overflows: the caller then takes the reference, which names the
// fault.
#include "linalg/batches.h"
#include "linalg/elementary.h"

constexpr int SWEEPS = 24, ASYMMETRY = 4096;
constexpr int SQRT = 0, INVERSE_SQRT = 1, LOG = 2, EXP = 3, INVERSE = 4, POWER = 5, RECTIFY = 6, LYAPUNOV = 7;

// Entries from row to row: an odd number, so that columns of a matrix do not meet in few lines of a cache.
template <int N>
SCI_DEVICE i64 pitch_of(const i64 n) {
    return N > 0 ? N : n | 1;
}

// Reads the matrices of a tile in units of their own: a holds their upper triangles. `fault` becomes NaN where one is
// not symmetric or not finite.
template <typename T, int N, int W>
SCI_DEVICE void read_symmetric(const T* matrices, const i64 tile, const i64 count, const i64 n, T (*a)[W],
                               T (&unit)[SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    const i64 pitch = pitch_of<N>(n);
    T largest[SCI_SLOTS], unlike[SCI_SLOTS];
    SCI_THREADS(t) { largest[SCI_SLOT(t)] = unlike[SCI_SLOT(t)] = fault[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 i = 0; i < n; ++i) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            if (j < i) continue;
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const i64 m = tile * SCI_BLOCK + t < count ? tile * SCI_BLOCK + t : count - 1;
                const T x = matrices[(m * n + i) * n + j], y = matrices[(m * n + j) * n + i];
                const T mean = T(0.5) * x + T(0.5) * y, half = magnitude(T(0.5) * x - T(0.5) * y);
                a[i * pitch + j][at<W>(t)] = mean;
                fault[s] += mean - mean;
                largest[s] = magnitude(mean) > largest[s] ? magnitude(mean) : largest[s];
                unlike[s] = half > unlike[s] ? half : unlike[s];
            }
        }
    }
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        const T size = largest[s];
        const T zero = 2 * unlike[s] > ASYMMETRY * Binary<T>::EPS * size ? T(0) : T(1);
        fault[s] += (zero - zero) / zero;
        unit[s] = unit_of(size);
    }
    EACH
    for (i64 i = 0; i < n; ++i) {
        EACH
        for (i64 j = 0; j < n; ++j)
            if (j >= i) SCI_THREADS(t) { a[i * pitch + j][at<W>(t)] *= 1 / unit[SCI_SLOT(t)]; }
    }
}

// Turns a into diagonal form; row k of u becomes the eigenvector of a[k][k]. `fault` becomes NaN if SWEEPS do not do.
template <typename T, int N, int W>
SCI_DEVICE void jacobi(T (*a)[W], T (*u)[W], T (&fault)[SCI_SLOTS], const i64 n) {
    const i64 pitch = pitch_of<N>(n);
    T tolerance[SCI_SLOTS];
    SCI_THREADS(t) { tolerance[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 i = 0; i < n; ++i) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                u[i * pitch + j][at<W>(t)] = i == j;
                if (j >= i) {
                    const T size = magnitude(a[i * pitch + j][at<W>(t)]) * (Binary<T>::EPS / 16);
                    tolerance[s] = size > tolerance[s] ? size : tolerance[s];
                }
            }
        }
    }
    SCI_ROLLED
    for (int sweep = 0; sweep < SWEEPS; ++sweep) {
        int rotated = 0;
        EACH
        for (i64 p = 0; p < n; ++p) {
            EACH
            for (i64 q = 0; q < n; ++q) {
                if (q <= p) continue;
                T(&off)[W] = a[p * pitch + q];
                int any = 0;
                SCI_ANY(t, any) { any |= magnitude(off[at<W>(t)]) > tolerance[SCI_SLOT(t)]; }
                if (!any) continue;
                rotated = 1;
                T s[SCI_SLOTS], d[SCI_SLOTS];
                SCI_THREADS(t) {
                    T &low = a[p * pitch + p][at<W>(t)], &high = a[q * pitch + q][at<W>(t)];
                    const T x = off[at<W>(t)], gap = high - low;
                    const T sum = magnitude(gap) + sqrt(gap * gap + 4 * x * x);
                    // A matrix that needs no turn gets none: its bits do not depend on the others of the block.
                    const bool turns = magnitude(x) > tolerance[SCI_SLOT(t)];
                    const T tangent = turns && sum > 0 ? (gap < 0 ? -2 * x : 2 * x) / sum : T(0);
                    const T cosine = 1 / sqrt(1 + tangent * tangent), sine = tangent * cosine;
                    low -= tangent * x;
                    high += tangent * x;
                    off[at<W>(t)] = turns ? T(0) : x;
                    s[SCI_SLOT(t)] = sine;
                    d[SCI_SLOT(t)] = sine * sine / (1 + cosine);
                }
                EACH
                for (i64 k = 0; k < n; ++k) {
                    if (k != p && k != q)
                        rotate<T, W>(a[k < p ? k * pitch + p : p * pitch + k],
                                     a[k < q ? k * pitch + q : q * pitch + k], s, d);
                    rotate<T, W>(u[p * pitch + k], u[q * pitch + k], s, d);
                }
            }
        }
        if (!rotated) return;
    }
    SCI_THREADS(t) { fault[SCI_SLOT(t)] += with_bits(Binary<T>::INFINITE) * 0; }
}

// Reads eigenvalues and eigenvectors, the columns of `vectors`, in units of their own, as `read_symmetric` and `jacobi`
// leave them.
template <typename T, int N, int W>
SCI_DEVICE void read_eigen(const T* vectors, const T* eigenvalues, const i64 tile, const i64 count, const i64 n,
                           T (*a)[W], T (*u)[W], T (&unit)[SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    const i64 pitch = pitch_of<N>(n);
    SCI_THREADS(t) { unit[SCI_SLOT(t)] = fault[SCI_SLOT(t)] = 0; }
    EACH
    for (i64 k = 0; k < n; ++k) {
        EACH
        for (i64 i = 0; i < n; ++i) {
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t < count ? tile * SCI_BLOCK + t : count - 1;
                u[k * pitch + i][at<W>(t)] = vectors[(m * n + i) * n + k];
            }
        }
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const i64 m = tile * SCI_BLOCK + t < count ? tile * SCI_BLOCK + t : count - 1;
            const T x = eigenvalues[m * n + k];
            a[k * pitch + k][at<W>(t)] = x;
            fault[s] += x - x;
            unit[s] = magnitude(x) > unit[s] ? magnitude(x) : unit[s];
        }
    }
    SCI_THREADS(t) { unit[SCI_SLOT(t)] = unit_of(unit[SCI_SLOT(t)]); }
    EACH
    for (i64 k = 0; k < n; ++k)
        SCI_THREADS(t) { a[k * pitch + k][at<W>(t)] = a[k * pitch + k][at<W>(t)] * (1 / unit[SCI_SLOT(t)]); }
}

// Eigenvalues a[k][k] in units of their own and eigenvectors u[k], of matrices or, if `known`, read as they are.
template <typename T, int N, int W>
SCI_DEVICE void decompose(const T* matrices, const T* eigenvalues, const i64 known, const i64 tile, const i64 count,
                          const i64 n, T (*a)[W], T (*u)[W], T (&unit)[SCI_SLOTS], T (&fault)[SCI_SLOTS]) {
    if (known > 0) {
        read_eigen<T, N, W>(matrices, eigenvalues, tile, count, n, a, u, unit, fault);
    } else {
        read_symmetric<T, N, W>(matrices, tile, count, n, a, unit, fault);
        jacobi<T, N, W>(a, u, fault, n);
    }
}

// f of an eigenvalue x unit.
template <int F, typename T>
SCI_DEVICE T value_of(const T x, const T unit, const T p) {
    const T positive = x > 0 ? x : T(0);
    if (F == SQRT) return sqrt(positive) * sqrt(unit);
    if (F == INVERSE_SQRT) return 1 / (sqrt(positive) * sqrt(unit));
    if (F == LOG) return log_ratio(positive, T(1)) + log_ratio(unit, T(1));
    if (F == EXP) return exp_in_range(x * unit);
    if (F == INVERSE) return 1 / x / unit;
    if (F == POWER) {
        const T power = exp_in_range(p * (log_ratio(positive, T(1)) + log_ratio(unit, T(1))));
        return x > 0 ? power : p == 0 ? T(1) : T(0);
    }
    if (F == LYAPUNOV) return T(1);
    return x * unit > p ? x * unit : p;
}

// (f(x) - f(y)) / (x - y) without cancellation, f'(x) for x = y, given f(x) and f(y); 1 / (x + y) of LYAPUNOV.
template <int F, typename T>
SCI_DEVICE T difference_of(const T x, const T y, const T fx, const T fy, const T p) {
    const T high = x > y ? x : y, low = x > y ? y : x, top = x > y ? fx : fy, bottom = x > y ? fy : fx;
    const T gap = high - low, safe = gap == 0 ? T(1) : gap;
    if (F == SQRT) return 1 / (fx + fy);
    if (F == LYAPUNOV) return 1 / (x + y);
    if (F == INVERSE_SQRT) return -fx * fy / (1 / fx + 1 / fy);
    if (F == LOG) return gap == 0 ? 1 / high : log_ratio(high, low) / safe;
    if (F == EXP) return gap == 0 ? top : -exp_minus_one(-gap) * top / safe;
    if (F == INVERSE) return -fx * fy;
    if (F == POWER) {
        const T change = exp_minus_one(-magnitude(p) * log_ratio(high, low));
        return gap == 0 ? p * top / high : (p > 0 ? -change * top : change * bottom) / safe;
    }
    return low > p ? T(1) : high > p ? (high - p) / safe : T(0);
}

// Value of f at each eigenvalue, and the margin.
template <int F, typename T, int N, int W>
SCI_DEVICE void values_of(const T (*a)[W], T (*values)[W], const T (&unit)[SCI_SLOTS], T (&margin)[SCI_SLOTS],
                          const i64 n, const T p) {
    const i64 pitch = pitch_of<N>(n);
    T low[SCI_SLOTS], high[SCI_SLOTS];
    SCI_THREADS(t) {
        low[SCI_SLOT(t)] = Binary<T>::VAST;
        high[SCI_SLOT(t)] = 0;
    }
    EACH
    for (i64 k = 0; k < n; ++k) {
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const T x = a[k * pitch + k][at<W>(t)], size = magnitude(x);
            const T least = F == INVERSE || F == LYAPUNOV ? size : x;
            low[s] = least < low[s] ? least : low[s];
            high[s] = size > high[s] ? size : high[s];
            values[k][at<W>(t)] = value_of<F>(x, unit[s], p);
        }
        EACH
        for (i64 l = 0; F == LYAPUNOV && l < n; ++l) {
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                const T sum = magnitude(a[k * pitch + k][at<W>(t)] + a[l * pitch + l][at<W>(t)]) / 2;
                low[s] = sum < low[s] ? sum : low[s];
            }
        }
    }
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        margin[s] = F == EXP || F == RECTIFY ? T(1) : high[s] > 0 ? low[s] / high[s] : T(0);
    }
}

// out[m] = U' W for the matrices m of a tile. Unless `general`, it is symmetric by construction: the upper triangle is
// computed and written twice. `fault` becomes NaN where an entry is not finite.
template <typename T, int N, int W>
SCI_DEVICE void write_product(const bool general, T* out, const T (*u)[W], const T (*w)[W], const i64 tile,
                              const i64 count, const i64 n, T (&fault)[SCI_SLOTS]) {
    const i64 pitch = pitch_of<N>(n);
    EACH
    for (i64 i = 0; i < n; ++i) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            if (j < i && !general) continue;
            T sum[SCI_SLOTS];
            dot<T, N, W>(sum, u + i, pitch, w + j, pitch, n);
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t;
                const T x = sum[SCI_SLOT(t)];
                fault[SCI_SLOT(t)] += x - x;
                if (m < count) out[(m * n + i) * n + j] = x;
                if (m < count && !general) out[(m * n + j) * n + i] = x;
            }
        }
    }
}

// Runs the statement with F the function of number `f`.
#define WITH_FUNCTION(f, statement)                                                  \
    switch (f) {                                                                     \
        case SQRT: { constexpr int F = SQRT; statement; } break;                     \
        case INVERSE_SQRT: { constexpr int F = INVERSE_SQRT; statement; } break;     \
        case LOG: { constexpr int F = LOG; statement; } break;                       \
        case EXP: { constexpr int F = EXP; statement; } break;                       \
        case INVERSE: { constexpr int F = INVERSE; statement; } break;               \
        case POWER: { constexpr int F = POWER; statement; } break;                   \
        case LYAPUNOV: { constexpr int F = LYAPUNOV; statement; } break;             \
        default: { constexpr int F = RECTIFY; statement; } break;                    \
    }

template <typename T, int N, int W>
SCI_DEVICE void function_of_tile(const T* matrices, const T* eigenvalues, const i64 known, T* out, T* margins,
                                 T (*a)[W], T (*u)[W], T (*values)[W], const i64 tile, const i64 count, const i64 n,
                                 const i64 f, const T p) {
    const i64 pitch = pitch_of<N>(n);
    T unit[SCI_SLOTS], fault[SCI_SLOTS], margin[SCI_SLOTS];
    decompose<T, N, W>(matrices, eigenvalues, known, tile, count, n, a, u, unit, fault);
    WITH_FUNCTION(f, (values_of<F, T, N, W>(a, values, unit, margin, n, p)))
    EACH
    for (i64 k = 0; k < n; ++k) {
        EACH
        for (i64 i = 0; i < n; ++i)
            SCI_THREADS(t) { a[k * pitch + i][at<W>(t)] = values[k][at<W>(t)] * u[k * pitch + i][at<W>(t)]; }
    }
    write_product<T, N, W>(false, out, u, a, tile, count, n, fault);
    SCI_THREADS(t) {
        if (tile * SCI_BLOCK + t < count) margins[tile * SCI_BLOCK + t] = margin[SCI_SLOT(t)] + fault[SCI_SLOT(t)];
    }
}

// h[k][l] = h[k][l] K_kl s / unit with the differences K of matrices in their units, and s = unit^p, where f(unit x) =
// unit^p f(x); 1 for log. Eigenvalues are a[k][k].
template <int F, typename T, int N, int W>
SCI_DEVICE void scale_by_differences(const T (*a)[W], T (*h)[W], const T (*values)[W], const T (&unit)[SCI_SLOTS],
                                     const i64 n, const T p) {
    const i64 pitch = pitch_of<N>(n);
    EACH
    for (i64 k = 0; k < n; ++k) {
        EACH
        for (i64 l = 0; l < n; ++l) {
            if (l < k && F != LYAPUNOV) continue;
            SCI_THREADS(t) {
                const T own = unit[SCI_SLOT(t)], x = a[k * pitch + k][at<W>(t)], y = a[l * pitch + l][at<W>(t)];
                const T fx = values[k][at<W>(t)], fy = values[l][at<W>(t)];
                const T scale = F == LOG || F == EXP || F == RECTIFY ? T(1) : value_of<F>(T(1), own, p);
                const T back = F == EXP || F == RECTIFY ? T(1) : 1 / own;
                const T factor = F == EXP       ? difference_of<F>(x * own, y * own, fx, fy, p)
                                 : F == RECTIFY ? difference_of<F>(x, y, fx, fy, p / own)
                                                : difference_of<F>(x, y, fx, fy, p);
                // Half of the unit's power on either side keeps what stands between in the range of numbers.
                const T before = F == LYAPUNOV ? back : sqrt(scale) * sqrt(back), after = F == LYAPUNOV ? T(1) : before;
                const T scaled = h[k * pitch + l][at<W>(t)] * before * factor * after;
                h[k * pitch + l][at<W>(t)] = scaled;
                if (F != LYAPUNOV) h[l * pitch + k][at<W>(t)] = scaled;
            }
        }
    }
}

template <typename T, int N, int W>
SCI_DEVICE void gradient_of_tile(const T* matrices, const T* eigenvalues, const i64 known, const T* dvalue, T* out,
                                 T* margins, T (*a)[W], T (*u)[W], T (*g)[W], T (*values)[W], const i64 tile,
                                 const i64 count, const i64 n, const i64 f, const T p) {
    const i64 pitch = pitch_of<N>(n);
    T unit[SCI_SLOTS], fault[SCI_SLOTS], margin[SCI_SLOTS], sum[SCI_SLOTS];
    const bool general = f == LYAPUNOV;  // its right-hand side need not be symmetric
    decompose<T, N, W>(matrices, eigenvalues, known, tile, count, n, a, u, unit, fault);
    SCI_THREADS(t) { sum[SCI_SLOT(t)] = f == EXP || f == RECTIFY ? unit[SCI_SLOT(t)] : T(1); }
    WITH_FUNCTION(f, (values_of<F, T, N, W>(a, values, sum, margin, n, p)))
    EACH
    for (i64 i = 0; i < n; ++i) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t < count ? tile * SCI_BLOCK + t : count - 1;
                const T x = dvalue[(m * n + i) * n + j], y = dvalue[(m * n + j) * n + i];
                g[i * pitch + j][at<W>(t)] = general ? x : T(0.5) * x + T(0.5) * y;
            }
        }
    }
    // U G U' goes off the diagonal of a, which keeps the eigenvalues, and behind the rows of values and U G.
    T(*const line)[W] = values + n;
    EACH
    for (i64 k = 0; k < n; ++k) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            dot<T, N, W>(sum, u + k * pitch, 1, g + j, pitch, n);
            SCI_THREADS(t) { line[j][at<W>(t)] = sum[SCI_SLOT(t)]; }
        }
        EACH
        for (i64 l = 0; l < n; ++l) {
            if (l == k || (l < k && !general)) continue;
            dot<T, N, W>(sum, line, 1, u + l * pitch, 1, n);
            SCI_THREADS(t) { a[k * pitch + l][at<W>(t)] = sum[SCI_SLOT(t)]; }
        }
        dot<T, N, W>(sum, line, 1, u + k * pitch, 1, n);
        SCI_THREADS(t) { values[2 * n + k][at<W>(t)] = sum[SCI_SLOT(t)]; }
    }
    EACH
    for (i64 k = 0; k < n; ++k) {
        SCI_THREADS(t) { g[k * pitch + k][at<W>(t)] = values[2 * n + k][at<W>(t)]; }
        EACH
        for (i64 l = 0; l < n; ++l)
            if (l > k || (l < k && general)) SCI_THREADS(t) { g[k * pitch + l][at<W>(t)] = a[k * pitch + l][at<W>(t)]; }
    }
    WITH_FUNCTION(f, (scale_by_differences<F, T, N, W>(a, g, values, unit, n, p)))
    EACH
    for (i64 k = 0; k < n; ++k) {
        EACH
        for (i64 j = 0; j < n; ++j) {
            dot<T, N, W>(sum, g + k * pitch, 1, u + j, pitch, n);
            SCI_THREADS(t) { a[k * pitch + j][at<W>(t)] = sum[SCI_SLOT(t)]; }
        }
    }
    write_product<T, N, W>(general, out, u, a, tile, count, n, fault);
    SCI_THREADS(t) {
        if (tile * SCI_BLOCK + t < count) margins[tile * SCI_BLOCK + t] = margin[SCI_SLOT(t)] + fault[SCI_SLOT(t)];
    }
}

template <typename T, int N, int W>
SCI_DEVICE void eigen_of_tile(const T* matrices, T* values, T* vectors, T* margins, T (*a)[W], T (*u)[W],
                              const i64 tile, const i64 count, const i64 n) {
    const i64 pitch = pitch_of<N>(n);
    T unit[SCI_SLOTS], fault[SCI_SLOTS];
    read_symmetric<T, N, W>(matrices, tile, count, n, a, unit, fault);
    jacobi<T, N, W>(a, u, fault, n);
    EACH
    for (i64 k = 0; k < n; ++k) {
        i64 place[SCI_SLOTS];
        SCI_THREADS(t) { place[SCI_SLOT(t)] = 0; }
        EACH
        for (i64 l = 0; l < n; ++l) {
            SCI_THREADS(t) {
                const T x = a[k * pitch + k][at<W>(t)], y = a[l * pitch + l][at<W>(t)];
                place[SCI_SLOT(t)] += y < x || (y == x && l < k) ? 1 : 0;
            }
        }
        SCI_THREADS(t) {
            const i64 m = tile * SCI_BLOCK + t;
            if (m < count) values[m * n + place[SCI_SLOT(t)]] = a[k * pitch + k][at<W>(t)] * unit[SCI_SLOT(t)];
        }
        EACH
        for (i64 i = 0; i < n; ++i) {
            SCI_THREADS(t) {
                const i64 m = tile * SCI_BLOCK + t;
                if (m < count) vectors[(m * n + i) * n + place[SCI_SLOT(t)]] = u[k * pitch + i][at<W>(t)];
            }
        }
    }
    SCI_THREADS(t) {
        if (tile * SCI_BLOCK + t < count) margins[tile * SCI_BLOCK + t] = 1 + fault[SCI_SLOT(t)];
    }
}

// out = f(A), and the margins. `f` counts the functions above; `p` is the exponent or the threshold. With the
// eigenvalues of all matrices (known = count, else 0) `matrices` holds the eigenvectors.
// Instances: <float|double, 0|3>
template <typename T, int N>
SCI_KERNEL matrix_function(SCI_INDEX const T* __restrict__ matrices /*[count, n, n]*/,
                           const T* __restrict__ eigenvalues /*[known, n]*/,
                           T* __restrict__ out /*[count, n, n]*/, T* __restrict__ margins /*[count]*/,
                           T* __restrict__ scratch /*[blocks, room, block]*/, const i64 count,
                           const i64 known, const i64 n, const i64 room, const i64 f, const double p) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < count; tile += gridDim.x) {
        if constexpr (N > 0) {
            T a[N * N][SCI_SLOTS], u[N * N][SCI_SLOTS], values[N][SCI_SLOTS];
            function_of_tile<T, N, SCI_SLOTS>(matrices, eigenvalues, known, out, margins, a, u, values, tile, count, N,
                                              f, T(p));
        } else {
            const i64 size = n * pitch_of<N>(n);
            T(*const a)[SCI_BLOCK] = (T(*)[SCI_BLOCK])(scratch + blockIdx.x * room * SCI_BLOCK);
            function_of_tile<T, N, SCI_BLOCK>(matrices, eigenvalues, known, out, margins, a, a + size, a + 2 * size,
                                              tile, count, n, f, T(p));
        }
    }
}

// out = U (K * U' G U) U', the gradient with respect to A of a loss with the gradient G with respect to f(A), or the
// solution X of A X + X A = G: LYAPUNOV.
// Instances: <float|double, 0|3>
template <typename T, int N>
SCI_KERNEL matrix_function_vjp(SCI_INDEX const T* __restrict__ matrices /*[count, n, n]*/,
                               const T* __restrict__ eigenvalues /*[known, n]*/,
                               const T* __restrict__ dvalue /*[count, n, n]*/, T* __restrict__ out /*[count, n, n]*/,
                               T* __restrict__ margins /*[count]*/, T* __restrict__ scratch /*[blocks, room, block]*/,
                               const i64 count, const i64 known, const i64 n, const i64 room, const i64 f,
                               const double p) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < count; tile += gridDim.x) {
        if constexpr (N > 0) {
            T a[N * N][SCI_SLOTS], u[N * N][SCI_SLOTS], g[N * N][SCI_SLOTS], values[3 * N][SCI_SLOTS];
            gradient_of_tile<T, N, SCI_SLOTS>(matrices, eigenvalues, known, dvalue, out, margins, a, u, g, values, tile,
                                              count, N, f, T(p));
        } else {
            const i64 size = n * pitch_of<N>(n);
            T(*const a)[SCI_BLOCK] = (T(*)[SCI_BLOCK])(scratch + blockIdx.x * room * SCI_BLOCK);
            gradient_of_tile<T, N, SCI_BLOCK>(matrices, eigenvalues, known, dvalue, out, margins, a, a + size,
                                              a + 2 * size, a + 3 * size, tile, count, n, f, T(p));
        }
    }
}

// Eigenvalues, ascending, and eigenvectors in columns.
// Instances: <float|double, 0|3>
template <typename T, int N>
SCI_KERNEL eigen(SCI_INDEX const T* __restrict__ matrices /*[count, n, n]*/, T* __restrict__ values /*[count, n]*/,
                 T* __restrict__ vectors /*[count, n, n]*/, T* __restrict__ margins /*[count]*/,
                 T* __restrict__ scratch /*[blocks, room, block]*/, const i64 count, const i64 n, const i64 room) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < count; tile += gridDim.x) {
        if constexpr (N > 0) {
            T a[N * N][SCI_SLOTS], u[N * N][SCI_SLOTS];
            eigen_of_tile<T, N, SCI_SLOTS>(matrices, values, vectors, margins, a, u, tile, count, N);
        } else {
            const i64 size = n * pitch_of<N>(n);
            T(*const a)[SCI_BLOCK] = (T(*)[SCI_BLOCK])(scratch + blockIdx.x * room * SCI_BLOCK);
            eigen_of_tile<T, N, SCI_BLOCK>(matrices, values, vectors, margins, a, a + size, tile, count, n);
        }
    }
}
