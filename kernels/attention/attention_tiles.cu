// Softmax attention of a GPU: the kernels of attention.cu as products of tiles in shared memory, see tiles.h.
//
// The rows of a tile of scores are queries, or keys in their sweep. Columns of results beyond COLS are other blocks' work,
// which compute the scores again.
//
// Flops per pair: 2 (d + e) forward, 8 d + 6 e backward, and one exponential (two) a sweep; bytes from memory of a tile, its rows and
// columns once: the limit is the multiplier's.
#include "attention/tiles.h"

// Query i sees the keys start[i] <= j < stop[i]. The bounds of the queries of a tile: smallest and largest of start,
// smallest and largest of stop.
SCI_DEVICE bool misses(const i64* b, const i64 from, const i64 to) { return to <= b[0] || from >= b[3]; }
SCI_DEVICE bool holds(const i64* b, const i64 from, const i64 to) { return from >= b[1] && to <= b[2]; }

// One block: ROWS queries of a head and COLS columns of their results, against all keys; the last queries come first,
// because causal attention gives them the most to do.
// Instances: <float|double>
template <typename T>
SCI_KERNEL attention_tiles_forward(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                                   const T* __restrict__ k /*[own, m, d]*/, const T* __restrict__ v /*[own, m, e]*/,
                                   const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                                   const i64* __restrict__ row_of /*[own]*/, const i64* __restrict__ bounds /*[ranges, w, 4]*/,
                                   const T* __restrict__ old /*[heads, n]*/, T* __restrict__ out /*[heads, n, e]*/,
                                   T* __restrict__ lse /*[heads, n]*/, const T scale, const i64 heads, const i64 own, const i64 n, const i64 m, const i64 d, const i64 e) {
    using S = Tile<T>;
    constexpr T LOWEST = T(-3e38);
    SCI_SHARED alignas(16) T left[S::DEPTH * S::LEFT], right[S::DEPTH * S::RIGHT], weights[S::COLS * S::LEFT];
    SCI_SHARED alignas(16) T partial[S::ROWS * S::SIDE];
    const i64 tiles = (n + S::ROWS - 1) / S::ROWS, parts = (e + S::COLS - 1) / S::COLS;
    for (i64 block = blockIdx.x; block < heads * tiles * parts; block += gridDim.x) {
        const i64 part = block % parts, head = block / parts % heads;
        const i64 i0 = (tiles - 1 - block / parts / heads) * S::ROWS, c0 = part * S::COLS;
        const T *queries = q + head * n * d;
        const i64 of = head / (heads / own), row_of_head = row_of[of];
        const T *keys = k + of * m * d, *values = v + of * m * e;
        const i64 *low = start + row_of_head * n, *high = stop + row_of_head * n;
        const i64* window = bounds + (row_of_head * tiles + i0 / S::ROWS) * 4;
        T score[S::R * S::C][SCI_SLOTS], acc[S::R * S::C][SCI_SLOTS], top[S::R][SCI_SLOTS], sum[S::R][SCI_SLOTS];
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int r = 0; r < S::R; ++r) {
                const i64 i = i0 + S::row(t, r);
                const T before = i < n ? old[head * n + i] : LOWEST;
                top[r][SCI_SLOT(t)] = before;
                // The sum of a row is spread over its threads; the first has what was there.
                sum[r][SCI_SLOT(t)] = before > LOWEST && t % S::SIDE == 0 ? T(1) : T(0);
                SCI_UNROLL
                for (int c = 0; c < S::C; ++c) {
                    const i64 l = c0 + S::col(t, c);
                    acc[r * S::C + c][SCI_SLOT(t)] = i < n && l < e ? out[(head * n + i) * e + l] : T(0);
                }
            }
        }
        SCI_ROLLED
        for (i64 j0 = 0; j0 < m; j0 += S::COLS) {
            const i64 end = j0 + S::COLS < m ? j0 + S::COLS : m;
            if (misses(window, j0, end)) continue;
            dot_tile<T, S, true>(queries, i0, n, keys, j0, m, d, left, right, score);
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int x = 0; x < S::R * S::C; ++x) score[x][SCI_SLOT(t)] *= scale;
            }
            if (end < j0 + S::COLS || !holds(window, j0, end)) {
                SCI_THREADS(t) {
                    SCI_UNROLL
                    for (int r = 0; r < S::R; ++r) {
                        const i64 row = i0 + S::row(t, r), i = row < n ? row : n - 1, from = low[i], to = high[i];
                        SCI_UNROLL
                        for (int c = 0; c < S::C; ++c) {
                            const i64 j = j0 + S::col(t, c);
                            const bool seen = from <= j && j < to;
                            score[r * S::C + c][SCI_SLOT(t)] = seen ? score[r * S::C + c][SCI_SLOT(t)] : LOWEST;
                        }
                    }
                }
            }
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int r = 0; r < S::R; ++r) {
                    T best = score[r * S::C][SCI_SLOT(t)];
                    SCI_UNROLL
                    for (int c = 1; c < S::C; ++c)
                        best = best > score[r * S::C + c][SCI_SLOT(t)] ? best : score[r * S::C + c][SCI_SLOT(t)];
                    partial[S::row(t, r) * S::SIDE + t % S::SIDE] = best;
                }
            }
            SCI_BARRIER
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int r = 0; r < S::R; ++r) {
                    T best = top[r][SCI_SLOT(t)];
                    SCI_UNROLL
                    for (int s = 0; s < S::SIDE; ++s) {
                        const T other = partial[S::row(t, r) * S::SIDE + s];
                        best = best > other ? best : other;
                    }
                    const T shift = best > LOWEST ? best : T(0);
                    const T decay = exp(top[r][SCI_SLOT(t)] - shift);
                    T total = sum[r][SCI_SLOT(t)] * decay;
                    SCI_UNROLL
                    for (int c = 0; c < S::C; ++c) {
                        const T p = exp(score[r * S::C + c][SCI_SLOT(t)] - shift);
                        score[r * S::C + c][SCI_SLOT(t)] = p;
                        acc[r * S::C + c][SCI_SLOT(t)] *= decay;
                        total += p;
                    }
                    top[r][SCI_SLOT(t)] = best;
                    sum[r][SCI_SLOT(t)] = total;
                }
            }
            put_weights<T, S>(score, weights);
            add_tile<T, S, true>(weights, values, j0, m, e, c0, right, acc);
        }
        SCI_BARRIER
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int r = 0; r < S::R; ++r) partial[S::row(t, r) * S::SIDE + t % S::SIDE] = sum[r][SCI_SLOT(t)];
        }
        SCI_BARRIER
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int r = 0; r < S::R; ++r) {
                T total = 0;
                SCI_UNROLL
                for (int s = 0; s < S::SIDE; ++s) total += partial[S::row(t, r) * S::SIDE + s];
                const i64 i = i0 + S::row(t, r);
                // A row that has seen no key: log(0) leaves minus infinity.
                if (i < n && part == 0 && t % S::SIDE == 0) lse[head * n + i] = top[r][SCI_SLOT(t)] + log(total);
                const T divisor = total == 0 ? T(1) : total;
                SCI_UNROLL
                for (int c = 0; c < S::C; ++c) {
                    const i64 l = c0 + S::col(t, c);
                    if (i < n && l < e) out[(head * n + i) * e + l] = acc[r * S::C + c][SCI_SLOT(t)] / divisor;
                }
            }
        }
    }
}

// dk and dv of ROWS keys, COLS columns of them, against all queries. delta[i] = sum over l of dout[i, l] out[i, l].
// Instances: <float|double>
template <typename T>
SCI_KERNEL attention_tiles_keys(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                                const T* __restrict__ k /*[own, m, d]*/, const T* __restrict__ v /*[own, m, e]*/,
                                const T* __restrict__ dout /*[heads, n, e]*/, const T* __restrict__ lse /*[heads, n]*/,
                                const T* __restrict__ delta /*[heads, n]*/, const i64* __restrict__ start /*[ranges, n]*/,
                                const i64* __restrict__ stop /*[ranges, n]*/, const i64* __restrict__ row_of /*[own]*/,
                                const i64* __restrict__ bounds /*[ranges, w, 4]*/, T* __restrict__ dk /*[own, m, d]*/,
                                T* __restrict__ dv /*[own, m, e]*/, const T scale, const i64 heads, const i64 own, const i64 n, const i64 m, const i64 d, const i64 e) {
    using S = Tile<T>;
    SCI_SHARED alignas(16) T left[S::DEPTH * S::LEFT], right[S::DEPTH * S::RIGHT], weights[S::COLS * S::LEFT];
    const i64 tiles = (m + S::ROWS - 1) / S::ROWS, wide = d > e ? d : e;
    const i64 parts = (wide + S::COLS - 1) / S::COLS, group = heads / own;
    for (i64 block = blockIdx.x; block < own * tiles * parts; block += gridDim.x) {
        const i64 of = block / parts % own, j0 = block / parts / own * S::ROWS, c0 = block % parts * S::COLS;
        const T *keys = k + of * m * d, *values = v + of * m * e;
        const i64 *low = start + row_of[of] * n, *high = stop + row_of[of] * n;
        const i64* windows = bounds + row_of[of] * ((n + S::COLS - 1) / S::COLS) * 4;
        T p[S::R * S::C][SCI_SLOTS], dp[S::R * S::C][SCI_SLOTS];
        T dkey[S::R * S::C][SCI_SLOTS], dvalue[S::R * S::C][SCI_SLOTS];
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int x = 0; x < S::R * S::C; ++x) dkey[x][SCI_SLOT(t)] = dvalue[x][SCI_SLOT(t)] = 0;
        }
        SCI_ROLLED
        for (i64 head = of * group, i0 = 0; head < (of + 1) * group; i0 += S::COLS) {
            if (i0 >= n) {  // one loop over heads and their queries: two of them need more registers than there are
                i0 = -S::COLS;
                ++head;
                continue;
            }
            const T *queries = q + head * n * d, *douts = dout + head * n * e;
            const i64* window = windows + i0 / S::COLS * 4;
            if (misses(window, j0, j0 + S::ROWS < m ? j0 + S::ROWS : m)) continue;
            const bool masked = i0 + S::COLS > n || !holds(window, j0, j0 + S::ROWS);
            dot_tile<T, S, false>(keys, j0, m, queries, i0, n, d, left, right, p);
            dot_tile<T, S, false>(values, j0, m, douts, i0, n, e, left, right, dp);
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int c = 0; c < S::C; ++c) {
                    const i64 col = i0 + S::col(t, c), i = head * n + (col < n ? col : n - 1);
                    const T shift = lse[i], change = delta[i];
                    SCI_UNROLL
                    for (int r = 0; r < S::R; ++r) {
                        T& w = p[r * S::C + c][SCI_SLOT(t)];
                        w = exp(w * scale - shift);
                        dp[r * S::C + c][SCI_SLOT(t)] -= change;
                    }
                }
                if (masked) {
                    SCI_UNROLL
                    for (int c = 0; c < S::C; ++c) {
                        const i64 col = i0 + S::col(t, c), i = col < n ? col : n - 1, from = low[i], to = high[i];
                        SCI_UNROLL
                        for (int r = 0; r < S::R; ++r) {
                            const i64 row = j0 + S::row(t, r);
                            T& w = p[r * S::C + c][SCI_SLOT(t)];
                            w = col < n && from <= row && row < to ? w : T(0);
                        }
                    }
                }
                SCI_UNROLL
                for (int x = 0; x < S::R * S::C; ++x) dp[x][SCI_SLOT(t)] *= p[x][SCI_SLOT(t)];
            }
            put_weights<T, S>(p, weights);
            add_tile<T, S, false>(weights, douts, i0, n, e, c0, right, dvalue);
            SCI_BARRIER
            put_weights<T, S>(dp, weights);
            add_tile<T, S, false>(weights, queries, i0, n, d, c0, right, dkey);
        }
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int x = 0; x < S::R * S::C; ++x) dkey[x][SCI_SLOT(t)] *= scale;
        }
        store_tile<T, S>(dkey, dk + of * m * d, j0, m, d, c0);
        store_tile<T, S>(dvalue, dv + of * m * e, j0, m, e, c0);
    }
}

// dq of ROWS queries, COLS columns of it, against all keys; the last queries first.
// Instances: <float|double>
template <typename T>
SCI_KERNEL attention_tiles_queries(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                                   const T* __restrict__ k /*[own, m, d]*/, const T* __restrict__ v /*[own, m, e]*/,
                                   const T* __restrict__ dout /*[heads, n, e]*/,
                                   const T* __restrict__ lse /*[heads, n]*/, const T* __restrict__ delta /*[heads, n]*/,
                                   const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                                   const i64* __restrict__ row_of /*[own]*/, const i64* __restrict__ bounds /*[ranges, w, 4]*/,
                                   T* __restrict__ dq /*[heads, n, d]*/, const T scale, const i64 heads, const i64 own, const i64 n, const i64 m, const i64 d, const i64 e) {
    using S = Tile<T>;
    SCI_SHARED alignas(16) T left[S::DEPTH * S::LEFT], right[S::DEPTH * S::RIGHT], weights[S::COLS * S::LEFT];
    const i64 tiles = (n + S::ROWS - 1) / S::ROWS, parts = (d + S::COLS - 1) / S::COLS;
    for (i64 block = blockIdx.x; block < heads * tiles * parts; block += gridDim.x) {
        const i64 head = block / parts % heads, c0 = block % parts * S::COLS;
        const i64 i0 = (tiles - 1 - block / parts / heads) * S::ROWS;
        const T *queries = q + head * n * d;
        const i64 of = head / (heads / own), row_of_head = row_of[of];
        const T *keys = k + of * m * d, *values = v + of * m * e;
        const i64 *low = start + row_of_head * n, *high = stop + row_of_head * n;
        const i64* window = bounds + (row_of_head * tiles + i0 / S::ROWS) * 4;
        T p[S::R * S::C][SCI_SLOTS], dp[S::R * S::C][SCI_SLOTS], dquery[S::R * S::C][SCI_SLOTS];
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int x = 0; x < S::R * S::C; ++x) dquery[x][SCI_SLOT(t)] = 0;
        }
        SCI_ROLLED
        for (i64 j0 = 0; j0 < m; j0 += S::COLS) {
            const i64 end = j0 + S::COLS < m ? j0 + S::COLS : m;
            if (misses(window, j0, end)) continue;
            const bool masked = end < j0 + S::COLS || !holds(window, j0, end);
            dot_tile<T, S, true>(queries, i0, n, keys, j0, m, d, left, right, p);
            dot_tile<T, S, true>(dout + head * n * e, i0, n, values, j0, m, e, left, right, dp);
            SCI_THREADS(t) {
                SCI_UNROLL
                for (int r = 0; r < S::R; ++r) {
                    const i64 row = i0 + S::row(t, r), i = row < n ? row : n - 1;
                    const T shift = lse[head * n + i], change = delta[head * n + i];
                    SCI_UNROLL
                    for (int c = 0; c < S::C; ++c) {
                        T& ds = p[r * S::C + c][SCI_SLOT(t)];
                        ds = exp(ds * scale - shift) * (dp[r * S::C + c][SCI_SLOT(t)] - change) * scale;
                    }
                    if (masked) {
                        const i64 from = low[i], to = high[i];
                        SCI_UNROLL
                        for (int c = 0; c < S::C; ++c) {
                            const i64 j = j0 + S::col(t, c);
                            T& ds = p[r * S::C + c][SCI_SLOT(t)];
                            ds = from <= j && j < to ? ds : T(0);
                        }
                    }
                }
            }
            put_weights<T, S>(p, weights);
            add_tile<T, S, true>(weights, keys, j0, m, d, c0, right, dquery);
        }
        store_tile<T, S>(dquery, dq + head * n * d, i0, n, d, c0);
    }
}
