// Softmax attention of a GPU for numbers of 16 bits: the kernels of attention_tiles.cu by matrix units, see units.h.
//
// Heads are D wide, keys and values. A block has 32 M rows of one side, half of them for each of its two warps, and goes
// over tiles of 32 rows of the other. Products are of 16 bits with sums in float; weights and their changes are rounded to
// 16 bits where they are multiplied, and nowhere else: the running maximum and sum, out, lse and gradients are float.
//
// Warps share the rows that both read, and nothing that one of them writes: shared memory is written by loads of tiles
// alone, between two barriers, the first of which all reads of the tile before precede; so no order of warps matters.
//
// Flops per pair: 4 D forward, 14 D backward (scores and their changes twice), all by matrix units, and one exponential
// (two). Bytes from the second-level cache: 4 D for a row of the other side, which serves 32 M rows.
#include "attention/units.h"

SCI_DEVICE bool unseen(const i64* b, const i64 from, const i64 to) { return to <= b[0] || from >= b[3]; }
SCI_DEVICE bool all_seen(const i64* b, const i64 from, const i64 to) { return from >= b[1] && to <= b[2]; }

constexpr float LEAST = -3e38f;

// cap tanh(x / cap), and its slope.
SCI_DEVICE float capped(const float x, const float cap, float& slope) {
    const float size = x < 0 ? -x : x, e = exp(-2 * size / cap), t = (1 - e) / (1 + e);
    // A small score is itself to third order, where the quotient cancels.
    const float y = x / cap, tanh = size < 0.05f * cap ? y * (1 - y * y * (1.0f / 3 - y * y * (2.0f / 15))) : x < 0 ? -t : t;
    slope = 1 - tanh * tanh;
    return cap * tanh;
}

// One block: 32 M queries of a head against all keys; the last queries come first.
// Instances: <float, false|true, 64|128>
template <typename T, bool BRAIN, int D>
SCI_KERNEL attention_units_forward(SCI_INDEX const Half* __restrict__ q /*[heads, n, D]*/,
                                   const Half* __restrict__ k /*[own, m, D]*/, const Half* __restrict__ v /*[own, m, D]*/,
                                   const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                                   const i64* __restrict__ row_of /*[own]*/, const i64* __restrict__ bounds /*[ranges, w, 4]*/,
                                   T* __restrict__ out /*[heads, n, D]*/, T* __restrict__ lse /*[heads, n]*/,
                                   const T scale, const T cap, const i64 heads, const i64 own, const i64 n, const i64 m) {
    constexpr int M = D == 64 ? 2 : 1, ROWS = 32 * M, COLS = 32, PITCH = D + 8, WIDE = D / 8;
    SCI_SHARED alignas(16) Half queries[ROWS * PITCH], keys[COLS * PITCH], values[COLS * PITCH];
    const i64 tiles = (n + ROWS - 1) / ROWS;
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block % heads, tile = tiles - 1 - block / heads, i0 = tile * ROWS;
        const i64 of = head / (heads / own), range = row_of[of];
        const i64 *low = start + range * n, *high = stop + range * n, *window = bounds + (range * tiles + tile) * 4;
        float acc[M * WIDE * 4][UNIT_SLOTS], top[M * 2][UNIT_SLOTS], sum[M * 2][UNIT_SLOTS];
        SCI_BARRIER
        load_rows_of_units<D, ROWS>(q + head * n * D, i0, n, queries);
        UNIT_LANES(t) {
            SCI_UNROLL
            for (int r = 0; r < 2 * M; ++r) {
                const i64 i = i0 + t / 32 * 16 * M + r / 2 * 16 + unit_row(t, r % 2 * 2);
                const float before = i < n ? lse[head * n + i] : LEAST;
                top[r][UNIT_SLOT(t)] = before > LEAST ? before : LEAST;
                // The sum of a row is spread over its four threads; the first has what was there.
                sum[r][UNIT_SLOT(t)] = before > LEAST && t % 4 == 0 ? 1 : 0;
                SCI_UNROLL
                for (int j = 0; j < 2 * WIDE; ++j) {
                    const i64 l = j / 2 * 8 + unit_column(t, j % 2);
                    acc[(r / 2 * WIDE + j / 2) * 4 + r % 2 * 2 + j % 2][UNIT_SLOT(t)] = i < n ? out[(head * n + i) * D + l] : 0;
                }
            }
        }
        SCI_ROLLED
        for (i64 j0 = 0; j0 < m; j0 += COLS) {
            const i64 end = j0 + COLS < m ? j0 + COLS : m;
            if (unseen(window, j0, end)) continue;
            const bool masked = end < j0 + COLS || !all_seen(window, j0, end);
            SCI_BARRIER
            load_rows_of_units<D, COLS>(k + of * m * D, j0, m, keys);
            load_rows_of_units<D, COLS>(v + of * m * D, j0, m, values);
            SCI_BARRIER
            float score[M * 16][UNIT_SLOTS];
            dot_units<BRAIN, D, M>(queries, keys, score);
            SCI_UNROLL
            for (int r = 0; r < 2 * M; ++r) {
                float best[1][UNIT_SLOTS];
                UNIT_LANES(t) {
                    const i64 row = i0 + t / 32 * 16 * M + r / 2 * 16 + unit_row(t, r % 2 * 2), i = row < n ? row : n - 1;
                    const i64 from = masked ? low[i] : 0, to = masked ? high[i] : m;
                    best[0][UNIT_SLOT(t)] = top[r][UNIT_SLOT(t)];
                    SCI_UNROLL
                    for (int x = 0; x < 8; ++x) {
                        float& s = score[(r / 2 * 4 + x / 2) * 4 + r % 2 * 2 + x % 2][UNIT_SLOT(t)];
                        s *= scale;
                        float unused;
                        if (cap > 0) s = capped(s, cap, unused);
                        const i64 j = j0 + x / 2 * 8 + unit_column(t, x % 2);
                        if (masked) s = from <= j && j < to ? s : LEAST;
                        best[0][UNIT_SLOT(t)] = s > best[0][UNIT_SLOT(t)] ? s : best[0][UNIT_SLOT(t)];
                    }
                }
                largest_of_four(best);
                UNIT_LANES(t) {
                    const float largest = best[0][UNIT_SLOT(t)], shift = largest > LEAST ? largest : 0;
                    const float decay = exp(top[r][UNIT_SLOT(t)] - shift);
                    float total = sum[r][UNIT_SLOT(t)] * decay;
                    SCI_UNROLL
                    for (int x = 0; x < 8; ++x) {
                        float& s = score[(r / 2 * 4 + x / 2) * 4 + r % 2 * 2 + x % 2][UNIT_SLOT(t)];
                        s = exp(s - shift);
                        total += s;
                    }
                    SCI_UNROLL
                    for (int j = 0; j < 2 * WIDE; ++j)
                        acc[(r / 2 * WIDE + j / 2) * 4 + r % 2 * 2 + j % 2][UNIT_SLOT(t)] *= decay;
                    top[r][UNIT_SLOT(t)] = largest;
                    sum[r][UNIT_SLOT(t)] = total;
                }
            }
            add_units<BRAIN, D, M>(score, values, acc);
        }
        SCI_UNROLL
        for (int r = 0; r < 2 * M; ++r) {
            sum_of_four(sum + r);
            UNIT_LANES(t) {
                const i64 i = i0 + t / 32 * 16 * M + r / 2 * 16 + unit_row(t, r % 2 * 2);
                const float total = sum[r][UNIT_SLOT(t)], divisor = total == 0 ? 1 : total;
                // A row that has seen no key: log(0) leaves minus infinity.
                if (i < n && t % 4 == 0) lse[head * n + i] = top[r][UNIT_SLOT(t)] + log(total);
                SCI_UNROLL
                for (int j = 0; j < 2 * WIDE; ++j) {
                    const i64 l = j / 2 * 8 + unit_column(t, j % 2);
                    const float value = acc[(r / 2 * WIDE + j / 2) * 4 + r % 2 * 2 + j % 2][UNIT_SLOT(t)];
                    if (i < n) out[(head * n + i) * D + l] = value / divisor;
                }
            }
        }
    }
}

// x[row, l] += sums factor, for the 16 rows of each warp from `first` on.
template <int D>
SCI_DEVICE void store_units(const float (*sums)[UNIT_SLOTS], float* x, const i64 first, const i64 n, const float factor) {
    UNIT_LANES(t) {
        SCI_UNROLL
        for (int k = 0; k < D / 2; ++k) {
            const i64 i = first + t / 32 * 16 + unit_row(t, k % 4), l = k / 4 * 8 + unit_column(t, k % 4);
            if (i < n) x[i * D + l] += sums[k][UNIT_SLOT(t)] * factor;
        }
    }
}

// dk and dv of 32 keys against all queries; dout and delta are in units of `unit`.
// Instances: <float, false|true, 64|128>
template <typename T, bool BRAIN, int D>
SCI_KERNEL attention_units_keys(SCI_INDEX const Half* __restrict__ q /*[heads, n, D]*/,
                                const Half* __restrict__ k /*[own, m, D]*/, const Half* __restrict__ v /*[own, m, D]*/,
                                const Half* __restrict__ dout /*[heads, n, D]*/, const T* __restrict__ lse /*[heads, n]*/,
                                const T* __restrict__ delta /*[heads, n]*/, const T* __restrict__ unit /*[1]*/,
                                const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                                const i64* __restrict__ row_of /*[own]*/, const i64* __restrict__ bounds /*[ranges, w, 4]*/,
                                T* __restrict__ dk /*[own, m, D]*/, T* __restrict__ dv /*[own, m, D]*/, const T scale,
                                const T cap, const i64 heads, const i64 own, const i64 n, const i64 m) {
    constexpr int ROWS = 32, PITCH = D + 8;
    SCI_SHARED alignas(16) Half keys[ROWS * PITCH], values[ROWS * PITCH], queries[ROWS * PITCH], douts[ROWS * PITCH];
    const i64 tiles = (m + ROWS - 1) / ROWS, group = heads / own;
    for (i64 block = blockIdx.x; block < own * tiles; block += gridDim.x) {
        const i64 of = block % own, j0 = block / own * ROWS, end = j0 + ROWS < m ? j0 + ROWS : m;
        const i64 *low = start + row_of[of] * n, *high = stop + row_of[of] * n;
        const i64* windows = bounds + row_of[of] * ((n + ROWS - 1) / ROWS) * 4;
        float dkey[D / 2][UNIT_SLOTS], dvalue[D / 2][UNIT_SLOTS];
        SCI_BARRIER
        load_rows_of_units<D, ROWS>(k + of * m * D, j0, m, keys);
        load_rows_of_units<D, ROWS>(v + of * m * D, j0, m, values);
        UNIT_LANES(t) {
            SCI_UNROLL
            for (int x = 0; x < D / 2; ++x) dkey[x][UNIT_SLOT(t)] = dvalue[x][UNIT_SLOT(t)] = 0;
        }
        SCI_ROLLED
        for (i64 head = of * group, i0 = 0; head < (of + 1) * group; i0 += ROWS) {
            if (i0 >= n) {  // one loop over heads and their queries
                i0 = -ROWS;
                ++head;
                continue;
            }
            const i64* window = windows + i0 / ROWS * 4;
            if (unseen(window, j0, end)) continue;
            const bool masked = i0 + ROWS > n || end < j0 + ROWS || !all_seen(window, j0, end);
            SCI_BARRIER
            load_rows_of_units<D, ROWS>(q + head * n * D, i0, n, queries);
            load_rows_of_units<D, ROWS>(dout + head * n * D, i0, n, douts);
            SCI_BARRIER
            float p[16][UNIT_SLOTS], dp[16][UNIT_SLOTS];
            dot_units<BRAIN, D, 1>(keys, queries, p);
            dot_units<BRAIN, D, 1>(values, douts, dp);
            UNIT_LANES(t) {
                SCI_UNROLL
                for (int x = 0; x < 16; ++x) {
                    const i64 j = j0 + t / 32 * 16 + unit_row(t, x % 4), column = i0 + x / 4 * 8 + unit_column(t, x % 4);
                    const i64 i = column < n ? column : n - 1;
                    float s = p[x][UNIT_SLOT(t)] * scale, slope = 1;
                    if (cap > 0) s = capped(s, cap, slope);
                    const bool seen = !masked || (column < n && low[i] <= j && j < high[i]);
                    const float w = seen ? exp(s - lse[head * n + i]) : 0;
                    p[x][UNIT_SLOT(t)] = w;
                    dp[x][UNIT_SLOT(t)] = w * (dp[x][UNIT_SLOT(t)] - delta[head * n + i]) * slope;
                }
            }
            add_units<BRAIN, D, 1>(p, douts, dvalue);
            add_units<BRAIN, D, 1>(dp, queries, dkey);
        }
        store_units<D>(dkey, dk + of * m * D, j0, m, scale * unit[0]);
        store_units<D>(dvalue, dv + of * m * D, j0, m, unit[0]);
    }
}

// dq of 32 queries against all keys; the last queries first.
// Instances: <float, false|true, 64|128>
template <typename T, bool BRAIN, int D>
SCI_KERNEL attention_units_queries(SCI_INDEX const Half* __restrict__ q /*[heads, n, D]*/,
                                   const Half* __restrict__ k /*[own, m, D]*/, const Half* __restrict__ v /*[own, m, D]*/,
                                   const Half* __restrict__ dout /*[heads, n, D]*/, const T* __restrict__ lse /*[heads, n]*/,
                                   const T* __restrict__ delta /*[heads, n]*/, const T* __restrict__ unit /*[1]*/,
                                   const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                                   const i64* __restrict__ row_of /*[own]*/, const i64* __restrict__ bounds /*[ranges, w, 4]*/,
                                   T* __restrict__ dq /*[heads, n, D]*/, const T scale, const T cap, const i64 heads,
                                   const i64 own, const i64 n, const i64 m) {
    constexpr int ROWS = 32, PITCH = D + 8;
    SCI_SHARED alignas(16) Half queries[ROWS * PITCH], douts[ROWS * PITCH], keys[ROWS * PITCH], values[ROWS * PITCH];
    const i64 tiles = (n + ROWS - 1) / ROWS;
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block % heads, tile = tiles - 1 - block / heads, i0 = tile * ROWS;
        const i64 of = head / (heads / own), range = row_of[of];
        const i64 *low = start + range * n, *high = stop + range * n, *window = bounds + (range * tiles + tile) * 4;
        float dquery[D / 2][UNIT_SLOTS];
        SCI_BARRIER
        load_rows_of_units<D, ROWS>(q + head * n * D, i0, n, queries);
        load_rows_of_units<D, ROWS>(dout + head * n * D, i0, n, douts);
        UNIT_LANES(t) {
            SCI_UNROLL
            for (int x = 0; x < D / 2; ++x) dquery[x][UNIT_SLOT(t)] = 0;
        }
        SCI_ROLLED
        for (i64 j0 = 0; j0 < m; j0 += ROWS) {
            const i64 end = j0 + ROWS < m ? j0 + ROWS : m;
            if (unseen(window, j0, end)) continue;
            const bool masked = end < j0 + ROWS || !all_seen(window, j0, end);
            SCI_BARRIER
            load_rows_of_units<D, ROWS>(k + of * m * D, j0, m, keys);
            load_rows_of_units<D, ROWS>(v + of * m * D, j0, m, values);
            SCI_BARRIER
            float p[16][UNIT_SLOTS], dp[16][UNIT_SLOTS];
            dot_units<BRAIN, D, 1>(queries, keys, p);
            dot_units<BRAIN, D, 1>(douts, values, dp);
            UNIT_LANES(t) {
                SCI_UNROLL
                for (int x = 0; x < 16; ++x) {
                    const i64 row = i0 + t / 32 * 16 + unit_row(t, x % 4), i = row < n ? row : n - 1;
                    const i64 j = j0 + x / 4 * 8 + unit_column(t, x % 4);
                    float s = p[x][UNIT_SLOT(t)] * scale, slope = 1;
                    if (cap > 0) s = capped(s, cap, slope);
                    const bool seen = !masked || (low[i] <= j && j < high[i]);
                    const float w = seen ? exp(s - lse[head * n + i]) : 0;
                    p[x][UNIT_SLOT(t)] = w * (dp[x][UNIT_SLOT(t)] - delta[head * n + i]) * slope;
                }
            }
            add_units<BRAIN, D, 1>(p, keys, dquery);
        }
        store_units<D>(dquery, dq + head * n * D, i0, n, scale * unit[0]);
    }
}
