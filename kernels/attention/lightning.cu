// Linear attention with decay on the host, chunk by chunk: S_t = lam S_{t-1} + k_t v_t^T, out_t = S_t^T q_t. On a GPU the
// same is done by larger matrix products of BLAS.
//
// A chunk of C tokens reads and writes S once: out_i = lam^{i+1} S^T q_i + sum over j <= i of lam^{i-j} (q_i . k_j) v_j,
// and S <- lam^C S + sum of lam^{C-1-j} k_j v_j^T. Reversed, tokens come from the last to the first and the state is
// taken before it ages: out_i = lam^i S^T q_i + ..., S <- lam^C S + sum of lam^{C-j} k_j v_j^T, which is what the
// gradients of k and v need. What is left after whole chunks goes token by token, so no decay is ever padded.
//
// Per token and head 4 d e + C (d + e) + d e / C flops and (2 d + 2 e) numbers from memory: at d = e = 64 in float
// 17.4 kflop for 1 KiB, so the limit is arithmetic. A row of S is W native vectors and R rows of q share
// each, 12 sums in all, which hides the latency of the multiplier. What the chunk after next will touch is fetched
// meanwhile, a column of it beside each column's arithmetic: all 96 lines at once would stall the processor.
#include "attention/rows.h"

constexpr i64 CHECKS = 64;  // a row of checks: at least the lanes of a vector

template <typename T, int C>
SCI_DEVICE void score(const T* q, const T* k, const i64 stride, const i64 d, const T* power, T* scores) {
    using Row = typename Lane<T>::Row;
    constexpr int N = Lane<T>::N, RI = C > 1 ? 2 : 1, RJ = C > 1 ? 3 : 1;
    const i64 whole = d / N * N;
    SCI_UNROLL
    for (int i = 0; i < C; i += RI) {
        SCI_UNROLL
        for (int j = 0; j < i + RI; j += RJ) {
            Row sum[RI][RJ] = {};
            for (i64 x = 0; x < whole; x += N) {
                Row a[RI];
                SCI_UNROLL
                for (int r = 0; r < RI; ++r) a[r] = row_of<T, true>(q + (i + r) * stride + x, N);
                SCI_UNROLL
                for (int c = 0; c < RJ; ++c) {
                    const Row b = row_of<T, true>(k + (j + c) * stride + x, N);
                    SCI_UNROLL
                    for (int r = 0; r < RI; ++r) sum[r][c] += a[r] * b;
                }
            }
            SCI_UNROLL
            for (int r = 0; r < RI; ++r) {
                SCI_UNROLL
                for (int c = 0; c < RJ; ++c) {
                    if (j + c > i + r) continue;
                    T total = row_total<T>(sum[r][c]);
                    for (i64 x = whole; x < d; ++x) total += q[(i + r) * stride + x] * k[(j + c) * stride + x];
                    scores[(i + r) * C + j + c] = power[i + r - j - c] * total;
                }
            }
        }
    }
}

// Inlined, its body would be copied by each loop that the compiler splits: twice the time to compile, and no faster.
#define SCI_CHUNK static __attribute__((noinline))

template <typename T>
SCI_DEVICE void put_check(T* p, const typename Lane<T>::Row x) {
    __builtin_memcpy(p, &x, sizeof x);
}

// Fetches C rows, WIDTH numbers of each.
template <bool WRITE, int C, int WIDTH, typename T>
SCI_DEVICE void prefetch(const T* p, const i64 stride) {
    SCI_UNROLL
    for (int r = 0; r < C; ++r) {
        SCI_UNROLL
        for (int x = 0; x < WIDTH; x += 64 / int(sizeof(T))) __builtin_prefetch(p + r * stride + x, WRITE);
    }
}

// The rows of out of a chunk, W lanes wide; power[i] is the age of S at token i. Zero times each is added to check.
template <typename T, int C, int W, bool FULL>
SCI_DEVICE void chunk_rows(const T* q, const T* v, T* out, const T* state, const i64 qs, const i64 vs, const i64 d,
                           const i64 e, const i64 left, const T* power, const T* scores,
                           typename Lane<T>::Row& check) {
    using Row = typename Lane<T>::Row;
    constexpr int N = Lane<T>::N;
    Row sum[C][W] = {};
    SCI_ROLLED
    for (i64 x = 0; x < d; ++x) {
        Row s[W];
        SCI_UNROLL
        for (int w = 0; w < W; ++w) s[w] = row_of<T, FULL>(state + x * e + w * N, left - w * N);
        SCI_UNROLL
        for (int r = 0; r < C; ++r) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) sum[r][w] += q[r * qs + x] * s[w];
        }
    }
    SCI_UNROLL
    for (int r = 0; r < C; ++r) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) sum[r][w] *= power[r];
    }
    SCI_UNROLL
    for (int j = 0; j < C; ++j) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) {
            const Row value = row_of<T, FULL>(v + j * vs + w * N, left - w * N);
            SCI_UNROLL
            for (int r = j; r < C; ++r) sum[r][w] += scores[r * C + j] * value;
        }
    }
    SCI_UNROLL
    for (int r = 0; r < C; ++r) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) {
            put_row<T, FULL>(out + r * vs + w * N, sum[r][w], left - w * N);
            check += T(0) * sum[r][w];
        }
    }
}

// R rows of S after a chunk, W lanes wide; aged holds the chunk's values with their decay.
template <typename T, int C, int R, int W, bool FULL>
SCI_DEVICE void chunk_state(const T* k, const typename Lane<T>::Row (*aged)[W], T* state, const i64 qs, const i64 e,
                            const i64 left, const T decay) {
    constexpr int N = Lane<T>::N;
    typename Lane<T>::Row sum[R][W];
    SCI_UNROLL
    for (int r = 0; r < R; ++r) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) sum[r][w] = decay * row_of<T, FULL>(state + r * e + w * N, left - w * N);
    }
    SCI_UNROLL
    for (int j = 0; j < C; ++j) {
        SCI_UNROLL
        for (int r = 0; r < R; ++r) {
            SCI_UNROLL
            for (int w = 0; w < W; ++w) sum[r][w] += k[j * qs + r] * aged[j][w];
        }
    }
    SCI_UNROLL
    for (int r = 0; r < R; ++r) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w) put_row<T, FULL>(state + r * e + w * N, sum[r][w], left - w * N);
    }
}

template <typename T, int C, int W, bool FULL, int YOUNG>
SCI_DEVICE void chunk_columns(const T* q, const T* k, const T* v, T* out, T* state, const i64 qs, const i64 vs,
                              const i64 d, const i64 e, const i64 c, const i64 ahead, const T* power,
                              const T* scores, typename Lane<T>::Row& check) {
    constexpr int N = Lane<T>::N, R = 4;
    const i64 left = e - c;
    v += c, out += c, state += c;
    prefetch<false, C, W * N>(v + ahead * vs, vs);
    prefetch<true, C, W * N>(out + ahead * vs, vs);
    chunk_rows<T, C, W, FULL>(q, v, out, state, qs, vs, d, e, left, power + 1 - YOUNG, scores, check);
    if (c < d) {
        prefetch<false, C, W * N>(q + ahead * qs + c, qs);
        prefetch<false, C, W * N>(k + ahead * qs + c, qs);
    }
    typename Lane<T>::Row aged[C][W];
    SCI_UNROLL
    for (int j = 0; j < C; ++j) {
        SCI_UNROLL
        for (int w = 0; w < W; ++w)
            aged[j][w] = power[C - 1 - j + YOUNG] * row_of<T, FULL>(v + j * vs + w * N, left - w * N);
    }
    i64 x = 0;
    SCI_ROLLED
    for (; x + R <= d; x += R) chunk_state<T, C, R, W, FULL>(k + x, aged, state + x * e, qs, e, left, power[C]);
    for (; x < d; ++x) chunk_state<T, C, 1, W, FULL>(k + x, aged, state + x * e, qs, e, left, power[C]);
}

template <typename T, int C, bool REVERSED>
SCI_CHUNK void chunk(const T* q, const T* k, const T* v, T* out, T* state, const i64 d, const i64 e, const i64 ahead,
                      const T* powers, typename Lane<T>::Row& check) {
    constexpr int N = Lane<T>::N, W = 2, YOUNG = REVERSED ? 1 : 0;
    const i64 qs = REVERSED ? -d : d, vs = REVERSED ? -e : e;
    T power[C + 1];
    SCI_UNROLL
    for (int i = 0; i <= C; ++i) power[i] = powers[i];
    T scores[C * C];
    score<T, C>(q, k, qs, d, power, scores);
    i64 c = 0;
    for (; c + W * N <= e; c += W * N)
        chunk_columns<T, C, W, true, YOUNG>(q, k, v, out, state, qs, vs, d, e, c, ahead, power, scores, check);
    if (c + N <= e) {
        chunk_columns<T, C, 1, true, YOUNG>(q, k, v, out, state, qs, vs, d, e, c, ahead, power, scores, check);
        c += N;
    }
    if (c < e) chunk_columns<T, C, 1, false, YOUNG>(q, k, v, out, state, qs, vs, d, e, c, ahead, power, scores, check);
}

// The sequences are cut into segments of `segment` tokens; states[s] and states[s + 1] are the states before and after
// segment s. A block takes one sequence from its first segment (REVERSED: from its last), starts from the state that
// stands there and writes those after.
// powers[h] = lam^0 ... lam^6 of a head, each rounded by itself: as products they would age a long memory wrongly.
// checks[block] is 0, or NaN in some entry if a number of out is NaN or infinite: cheaper here than another pass.
// Instances (host): <float|double, false|true>
template <typename T, bool REVERSED>
SCI_KERNEL lightning(SCI_INDEX const T* __restrict__ q /*[b, n, d]*/, const T* __restrict__ k /*[b, n, d]*/,
                     const T* __restrict__ v /*[b, n, e]*/, const T* __restrict__ powers /*[heads, 7]*/,
                     T* states /*[b, m, d, e]*/, T* work /*[w, d, e]*/, T* checks /*[w, 64]*/,
                     T* __restrict__ out /*[b, n, e]*/, const i64 sequences, const i64 n, const i64 d, const i64 e,
                     const i64 heads, const i64 segments, const i64 segment) {
    constexpr int C = 6;
    const i64 size = d * e;
    for (i64 b = blockIdx.x; b < sequences; b += gridDim.x) {
        typename Lane<T>::Row check = {};
        T *state = work + b * size, *of_b = states + b * (segments + 1) * size;
        const T* from = of_b + (REVERSED ? segments : 0) * size;
        for (i64 c = 0; c < size; c += SCI_BLOCK) {
            SCI_THREADS(t) {
                if (c + t < size) state[c + t] = from[c + t];
            }
        }
        for (i64 turn = 0; turn < segments; ++turn) {
            const i64 s = REVERSED ? segments - 1 - turn : turn;
            const i64 first = s * segment, length = first + segment < n ? segment : n - first;
            i64 i = 0;
            for (; i < length;) {
                const i64 row = b * n + first + (REVERSED ? length - 1 - i : i);
                const T *qi = q + row * d, *ki = k + row * d, *vi = v + row * e;
                const T* aging = powers + b % heads * (C + 1);
                if (i + C <= length) {
                    const i64 ahead = i + 3 * C <= length ? 2 * C : 0;
                    chunk<T, C, REVERSED>(qi, ki, vi, out + row * e, state, d, e, ahead, aging, check);
                    i += C;
                } else {
                    chunk<T, 1, REVERSED>(qi, ki, vi, out + row * e, state, d, e, 0, aging, check);
                    i += 1;
                }
            }
                const i64 after = REVERSED ? s : s + 1;
            for (i64 c = 0; c < size; c += SCI_BLOCK) {
                SCI_THREADS(t) {
                    if (c + t < size) of_b[after * size + c + t] = state[c + t];
                }
            }
        }
        put_check(checks + b * CHECKS, check);
    }
}
