// Gated linear recurrences on the host: S <- diag(a_t) S, u_t = beta_t (v_t - S^T k_t), S <- S + k_t u_t^T,
// out_t = S^T q_t. Without DELTA u_t = v_t. On a GPU the same is done by matrix products of BLAS.
//
// Gates multiply as they stand: no exponential, no quotient, and a gate of 0 forgets exactly. C tokens share a read and
// a write of S: a row of it is loaded, takes C tokens in registers, and is stored, 5 flops per number of S and token.
// The delta rule needs S^T k_t of each of the C tokens first. These differ from products with the S before them by the
// tokens between, which C (C - 1) / 2 numbers per chunk describe: 2 flops more. The columns of S do not see each other,
// so S is swept in strips of W vectors, d W vectors that stay in L1. The limit is arithmetic.
//
// The gradient needs S and its adjoint at each token. Given all u the rows of S^T are independent as well: R of them run
// forward through one segment, leave their history in L1, and run back beside the adjoint.
#include "attention/rows.h"

constexpr int STEPS = 4;      // tokens that share a pass over S
constexpr int SEGMENT = 64;   // tokens between states that are kept
constexpr int TOGETHER = 4;   // rows of S^T that run beside each other
constexpr int WIDE = SCI_VECTOR_BYTES == 64 ? 2 : 1;

// Gates of C tokens: one number a token (step 0), or one a feature (step 1).
template <typename T>
struct Gates {
    const T* first;
    i64 stride, step;

    SCI_DEVICE_MEMBER T at(const i64 t, const i64 x) const { return first[t * stride + x * step]; }

    template <bool FULL>
    SCI_DEVICE_MEMBER typename Lane<T>::Row row(const i64 t, const i64 x, const i64 left) const {
        if (step) return row_of<T, FULL>(first + t * stride + x, left);
        return typename Lane<T>::Row{} + first[t * stride];
    }
};

// decayed[t] = k_t times the gates up to t (LATER: after t), and couplings[t][s] = sum of left_s k_t times the gates
// between, for the tokens s before t (LATER: after it, and s = t for the products with q).
template <typename T, bool LATER>
SCI_DEVICE void couple(const T* q, const T* k, const Gates<T> a, const i64 d, const int steps, T* decayed,
                       T (*with_k)[STEPS], T (*with_q)[STEPS]) {
    for (int t = 0; t < steps; ++t) {
        T* own = decayed + t * d;
        _Pragma("omp simd") for (i64 x = 0; x < d; ++x) own[x] = LATER ? k[t * d + x] : k[t * d + x] * a.at(t, x);
        if (LATER) {
            T sum = 0;
            _Pragma("omp simd reduction(+ : sum)") for (i64 x = 0; x < d; ++x) sum += q[t * d + x] * own[x];
            with_q[t][t] = sum;
        }
        for (i64 s = LATER ? t + 1 : t - 1; LATER ? s < steps : s >= 0; s += LATER ? 1 : -1) {
            T keys = 0, queries = 0;
            if (LATER) {
                _Pragma("omp simd reduction(+ : keys, queries)") for (i64 x = 0; x < d; ++x) {
                    own[x] *= a.at(s, x);
                    keys += k[s * d + x] * own[x];
                    queries += q[s * d + x] * own[x];
                }
                with_q[t][s] = queries;
            } else {
                _Pragma("omp simd reduction(+ : keys)") for (i64 x = 0; x < d; ++x) {
                    keys += k[s * d + x] * own[x];
                    own[x] *= a.at(s, x);
                }
            }
            with_k[t][s] = keys;
        }
    }
}

template <typename T, int C, int W, bool FULL, bool DELTA>
SCI_DEVICE void forward_strip(const T* q, const T* k, const T* v, const Gates<T> a, const T* beta, const T* decayed,
                              const T (*with_k)[STEPS], T* state, T* out, T* news, const i64 d, const i64 e,
                              const i64 left) {
    using Row = typename Lane<T>::Row;
    constexpr int N = Lane<T>::N;
    Row u[C][W], sum[C][W] = {};
    if (DELTA) {
        SCI_ROLLED
        for (i64 x = 0; x < d; ++x) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) {
                const Row s = row_of<T, FULL>(state + x * e + w * N, left - w * N);
                SCI_UNROLL
                for (int t = 0; t < C; ++t) sum[t][w] += decayed[t * d + x] * s;
            }
        }
    }
    SCI_UNROLL
    for (int t = 0; t < C; ++t) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) {
            u[t][w] = row_of<T, FULL>(v + t * e + w * N, left - w * N);
            if (DELTA) {
                u[t][w] -= sum[t][w];
                SCI_UNROLL
                for (int s = 0; s < t; ++s) u[t][w] -= with_k[t][s] * u[s][w];
                put_row<T, FULL>(news + t * e + w * N, u[t][w], left - w * N);
                u[t][w] *= beta[t];
                sum[t][w] = Row{};
            }
        }
    }
    SCI_ROLLED
    for (i64 x = 0; x < d; ++x) {
        Row s[W];
        SCI_UNROLL
        for (int w = 0; w < W; ++w) s[w] = row_of<T, FULL>(state + x * e + w * N, left - w * N);
        SCI_UNROLL
        for (int t = 0; t < C; ++t) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) {
                s[w] = a.at(t, x) * s[w] + k[t * d + x] * u[t][w];
                sum[t][w] += q[t * d + x] * s[w];
            }
        }
        SCI_UNROLL
        for (int w = 0; w < W; ++w) put_row<T, FULL>(state + x * e + w * N, s[w], left - w * N);
    }
    SCI_UNROLL
    for (int t = 0; t < C; ++t) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) put_row<T, FULL>(out + t * e + w * N, sum[t][w], left - w * N);
    }
}

template <typename T, int C, bool DELTA>
static __attribute__((noinline)) void forward_chunk(const T* q, const T* k, const T* v, const Gates<T> a,
                                                    const T* beta, T* decayed, T* state, T* out, T* news, const i64 d,
                                                    const i64 e) {
    constexpr int N = Lane<T>::N, W = WIDE;
    T with_k[STEPS][STEPS];
    if (DELTA) couple<T, false>(q, k, a, d, C, decayed, with_k, with_k);
    i64 c = 0;
    for (; c + W * N <= e; c += W * N)
        forward_strip<T, C, W, true, DELTA>(q, k, v + c, a, beta, decayed, with_k, state + c, out + c, news + c, d, e,
                                            e - c);
    for (; c < e; c += N)
        forward_strip<T, C, 1, false, DELTA>(q, k, v + c, a, beta, decayed, with_k, state + c, out + c, news + c, d, e,
                                             e - c);
}

template <typename T, int C, int W, bool FULL, bool DELTA>
SCI_DEVICE void adjoint_strip(const T* q, const T* k, const T* dout, const Gates<T> a, const T* beta, const T* decayed,
                              const T (*with_k)[STEPS], const T (*with_q)[STEPS], T* last, T* du, const i64 d,
                              const i64 e, const i64 left) {
    using Row = typename Lane<T>::Row;
    constexpr int N = Lane<T>::N;
    Row g[C][W], written[C][W] = {}, sum[C][W] = {};
    SCI_UNROLL
    for (int t = 0; t < C; ++t) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) g[t][w] = row_of<T, FULL>(dout + t * e + w * N, left - w * N);
    }
    if (DELTA) {
        SCI_ROLLED
        for (i64 x = 0; x < d; ++x) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) {
                const Row s = row_of<T, FULL>(last + x * e + w * N, left - w * N);
                SCI_UNROLL
                for (int t = 0; t < C; ++t) sum[t][w] += decayed[t * d + x] * s;
            }
        }
        SCI_UNROLL
        for (int t = C - 1; t >= 0; --t) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) {
                SCI_UNROLL
                for (int s = t; s < C; ++s) sum[t][w] += with_q[t][s] * g[s][w];
                SCI_UNROLL
                for (int s = t + 1; s < C; ++s) sum[t][w] += with_k[t][s] * written[s][w];
                written[t][w] = -beta[t] * sum[t][w];
            }
        }
    }
    SCI_ROLLED
    for (i64 x = 0; x < d; ++x) {
        Row s[W];
        SCI_UNROLL
        for (int w = 0; w < W; ++w) s[w] = row_of<T, FULL>(last + x * e + w * N, left - w * N);
        SCI_UNROLL
        for (int t = C - 1; t >= 0; --t) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) {
                s[w] += q[t * d + x] * g[t][w];
                if (DELTA) s[w] += k[t * d + x] * written[t][w];
                else sum[t][w] += k[t * d + x] * s[w];
                s[w] *= a.at(t, x);
            }
        }
        SCI_UNROLL
        for (int w = 0; w < W; ++w) put_row<T, FULL>(last + x * e + w * N, s[w], left - w * N);
    }
    SCI_UNROLL
    for (int t = 0; t < C; ++t) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) put_row<T, FULL>(du + t * e + w * N, sum[t][w], left - w * N);
    }
}

template <typename T, int C, bool DELTA>
static __attribute__((noinline)) void adjoint_chunk(const T* q, const T* k, const T* dout, const Gates<T> a,
                                                    const T* beta, T* decayed, T* last, T* du, const i64 d,
                                                    const i64 e) {
    constexpr int N = Lane<T>::N, W = WIDE;
    T with_k[STEPS][STEPS], with_q[STEPS][STEPS];
    if (DELTA) couple<T, true>(q, k, a, d, C, decayed, with_k, with_q);
    i64 c = 0;
    for (; c + W * N <= e; c += W * N)
        adjoint_strip<T, C, W, true, DELTA>(q, k, dout + c, a, beta, decayed, with_k, with_q, last + c, du + c, d, e,
                                            e - c);
    for (; c < e; c += N)
        adjoint_strip<T, C, 1, false, DELTA>(q, k, dout + c, a, beta, decayed, with_k, with_q, last + c, du + c, d, e,
                                             e - c);
}

// states[s] is the state before segment s; that before the first stands there, and the last one is after all tokens.
// news is v_t - S^T k_t; not written without DELTA.
// Instances (host): <float|double, false|true>
template <typename T, bool DELTA>
SCI_KERNEL gated_forward(SCI_INDEX const T* __restrict__ q /*[b, n, d]*/, const T* __restrict__ k /*[b, n, d]*/,
                         const T* __restrict__ v /*[b, n, e]*/, const T* __restrict__ gate /*[b, n, g]*/,
                         const T* __restrict__ beta /*[b, m]*/, T* states /*[b, s, d, e]*/, T* work /*[b, 4, d]*/,
                         T* out /*[b, n, e]*/, T* news /*[b, m, e]*/, const i64 sequences, const i64 n, const i64 d,
                         const i64 e, const i64 g) {
    const i64 size = d * e, segments = (n + SEGMENT - 1) / SEGMENT;
    for (i64 b = blockIdx.x; b < sequences; b += gridDim.x) {
        for (i64 s = 0; s < segments; ++s) {
            T* state = states + (b * (segments + 1) + s + 1) * size;
            for (i64 c = 0; c < size; ++c) state[c] = state[c - size];
            const i64 stop = (s + 1) * SEGMENT < n ? (s + 1) * SEGMENT : n;
            for (i64 i = s * SEGMENT; i < stop;) {
                const i64 row = b * n + i;
                const Gates<T> a = {gate + row * g, g, i64(g > 1)};
                const T *qi = q + row * d, *ki = k + row * d, *vi = v + row * e, *bi = DELTA ? beta + row : beta;
                T *oi = out + row * e, *ni = DELTA ? news + row * e : news;
                if (i + STEPS <= stop) {
                    forward_chunk<T, STEPS, DELTA>(qi, ki, vi, a, bi, work + b * STEPS * d, state, oi, ni, d, e);
                    i += STEPS;
                } else {
                    forward_chunk<T, 1, DELTA>(qi, ki, vi, a, bi, work + b * STEPS * d, state, oi, ni, d, e);
                    i += 1;
                }
            }
        }
    }
}

// The adjoint of u, and of the state before the first token in place of that after the last.
// Instances (host): <float|double, false|true>
template <typename T, bool DELTA>
SCI_KERNEL gated_adjoint(SCI_INDEX const T* __restrict__ q /*[b, n, d]*/, const T* __restrict__ k /*[b, n, d]*/,
                         const T* __restrict__ dout /*[b, n, e]*/, const T* __restrict__ gate /*[b, n, g]*/,
                         const T* __restrict__ beta /*[b, m]*/, T* ends /*[b, d, e]*/, T* work /*[b, 4, d]*/,
                         T* du /*[b, n, e]*/, const i64 sequences, const i64 n, const i64 d, const i64 e,
                         const i64 g) {
    for (i64 b = blockIdx.x; b < sequences; b += gridDim.x) {
        for (i64 stop = n; stop > 0;) {
            const i64 count = stop >= STEPS ? STEPS : 1, row = b * n + stop - count;
            const Gates<T> a = {gate + row * g, g, i64(g > 1)};
            const T *qi = q + row * d, *ki = k + row * d, *gi = dout + row * e, *bi = DELTA ? beta + row : beta;
            T *end = ends + b * d * e, *scratch = work + b * STEPS * d;
            if (count == STEPS) adjoint_chunk<T, STEPS, DELTA>(qi, ki, gi, a, bi, scratch, end, du + row * e, d, e);
            else adjoint_chunk<T, 1, DELTA>(qi, ki, gi, a, bi, scratch, end, du + row * e, d, e);
            stop -= count;
        }
    }
}

template <typename T, int R, bool FULL, bool DELTA>
static __attribute__((noinline)) void gradient_rows(const T* q, const T* k, const T* u, const T* w, const T* dout,
                                                    const Gates<T> a, const T* state, T* last, T* dq, T* dk, T* dlog,
                                                    const i64 x, const i64 d, const i64 e, const i64 count) {
    using Row = typename Lane<T>::Row;
    const i64 left = d - x;
    Row history[SEGMENT][R], z[R], r[R];
    SCI_UNROLL
    for (int i = 0; i < R; ++i) {
        z[i] = row_of<T, FULL>(state + i * d + x, left);
        r[i] = row_of<T, FULL>(last + i * d + x, left);
    }
    SCI_ROLLED
    for (i64 t = 0; t < count; ++t) {
        const Row gate = a.template row<FULL>(t, x, left), key = row_of<T, FULL>(k + t * d + x, left);
        Row read = row_of<T, FULL>(dq + t * d + x, left), erased = {};
        SCI_UNROLL
        for (int i = 0; i < R; ++i) {
            z[i] *= gate;
            history[t][i] = z[i];
            if (DELTA) erased += w[t * e + i] * z[i];
            z[i] += u[t * e + i] * key;
            read += dout[t * e + i] * z[i];
        }
        put_row<T, FULL>(dq + t * d + x, read, left);
        if (DELTA) put_row<T, FULL>(dk + t * d + x, row_of<T, FULL>(dk + t * d + x, left) + erased, left);
    }
    SCI_ROLLED
    for (i64 t = count - 1; t >= 0; --t) {
        const Row gate = a.template row<FULL>(t, x, left), query = row_of<T, FULL>(q + t * d + x, left);
        const Row key = row_of<T, FULL>(k + t * d + x, left);
        Row kept = row_of<T, FULL>(dk + t * d + x, left), flow = row_of<T, FULL>(dlog + t * d + x, left);
        SCI_UNROLL
        for (int i = 0; i < R; ++i) {
            r[i] += dout[t * e + i] * query;
            kept += u[t * e + i] * r[i];
            if (DELTA) r[i] += w[t * e + i] * key;
            flow += history[t][i] * r[i];
            r[i] *= gate;
        }
        put_row<T, FULL>(dk + t * d + x, kept, left);
        put_row<T, FULL>(dlog + t * d + x, flow, left);
    }
    SCI_UNROLL
    for (int i = 0; i < R; ++i) put_row<T, FULL>(last + i * d + x, r[i], left);
}

// Adds to dq, dk and dlog, the gradients of q, k and the logarithms of gates; u is what was written, w the adjoint of
// S^T k. States are transposed; ends becomes the adjoint of that before the first token.
// Instances (host): <float|double, false|true>
template <typename T, bool DELTA>
SCI_KERNEL gated_gradient(SCI_INDEX const T* __restrict__ q /*[b, n, d]*/, const T* __restrict__ k /*[b, n, d]*/,
                          const T* __restrict__ u /*[b, n, e]*/, const T* __restrict__ w /*[b, m, e]*/,
                          const T* __restrict__ dout /*[b, n, e]*/, const T* __restrict__ gate /*[b, n, g]*/,
                          const T* states /*[b, s, e, d]*/, T* ends /*[b, e, d]*/, T* dq /*[b, n, d]*/,
                          T* dk /*[b, n, d]*/, T* dlog /*[b, n, d]*/, const i64 sequences, const i64 n, const i64 d,
                          const i64 e, const i64 g) {
    constexpr int N = Lane<T>::N, R = TOGETHER;
    const i64 size = d * e, segments = (n + SEGMENT - 1) / SEGMENT;
    for (i64 b = blockIdx.x; b < sequences; b += gridDim.x) {
        for (i64 s = segments - 1; s >= 0; --s) {
            const i64 row = b * n + s * SEGMENT, count = s < segments - 1 ? SEGMENT : n - s * SEGMENT;
            const Gates<T> a = {gate + row * g, g, i64(g > 1)};
            const T *qi = q + row * d, *ki = k + row * d, *state = states + (b * (segments + 1) + s) * size;
            T *dqi = dq + row * d, *dki = dk + row * d, *dli = dlog + row * d;
            for (i64 x = 0; x < d; x += N) {
                const bool full = x + N <= d;
                for (i64 c = 0; c < e;) {
                    const T *ui = u + row * e + c, *wi = DELTA ? w + row * e + c : w, *gi = dout + row * e + c;
                    T* end = ends + b * size + c * d;
                    const T* before = state + c * d;
#define SCI_GRADIENT(ROWS, FULL) \
    gradient_rows<T, ROWS, FULL, DELTA>(qi, ki, ui, wi, gi, a, before, end, dqi, dki, dli, x, d, e, count)
                    if (c + R <= e) {
                        if (full) SCI_GRADIENT(R, true);
                        else SCI_GRADIENT(R, false);
                        c += R;
                    } else {
                        if (full) SCI_GRADIENT(1, true);
                        else SCI_GRADIENT(1, false);
                        c += 1;
                    }
                }
            }
        }
    }
}
