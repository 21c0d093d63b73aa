// Softmax attention of the host over one part of the keys, forward and backward, in tiles that stay in cache. A GPU has
// attention_tiles.cu.
//
// Query i sees the keys whose position lies in [low[i], high[i]]: causal, packed and windowed attention in one form. Positions
// increase, so that a tile beyond the bounds is skipped and one within them is not masked. q holds the scaled queries.
// Arrays are (heads, length, d). The results are updated: (out, lse) hold softmax attention over the keys seen so far
// (zero and minus infinity before the first), since an output o with the log-sum-exp of its scores is the running state
// of the online softmax: maximum lse, sum 1, numerator o. So parts of the keys may come one after another, and gradients
// are added.
//
// Flops per pair: 4 d forward, 10 d backward (14 d where queries and keys are swept apart) and one exponential (two);
// bytes per pair: under 1, all from cache; the limit is the multiplier's, the speed of a matrix product (GEMM).
#include "lanes.h"

// The positions that a group of queries may see: the smallest and the largest of both bounds.
struct Window {
    i64 low_min, low_max, high_min, high_max;

    SCI_DEVICE_MEMBER void add(const i64 low, const i64 high, const bool start) {
        low_min = start || low < low_min ? low : low_min;
        low_max = start || low > low_max ? low : low_max;
        high_min = start || high < high_min ? high : high_min;
        high_max = start || high > high_max ? high : high_max;
    }
    SCI_DEVICE_MEMBER bool misses(const i64 first, const i64 last) const { return last < low_min || first > high_max; }
    SCI_DEVICE_MEMBER bool holds(const i64 first, const i64 last) const {
        return first >= low_max && last <= high_min;
    }
};

// panel[j, t] = hidden where query t does not see key j.
template <typename T>
SCI_DEVICE void hide(typename Lanes<T>::Vector* panel, const i64 rows, const i64* positions, const i64* low,
                     const i64* high, const T hidden) {
    SCI_ROWS(j, rows) {
        const i64 place = positions[j];
        SCI_THREADS(t) {
            const bool seen = low[t] <= place && place <= high[t];
            const T value = SCI_AT(panel, j, t, T);
            SCI_AT(panel, j, t, T) = seen ? value : hidden;
        }
    }
}

// One block: 128 queries of a head against all keys.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_forward(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                             const T* __restrict__ k /*[heads, m, d]*/, const T* __restrict__ v /*[heads, m, d]*/,
                             const i64* __restrict__ low /*[n]*/, const i64* __restrict__ high /*[n]*/,
                             const i64* __restrict__ positions /*[m]*/, T* __restrict__ out /*[heads, n, d]*/,
                             T* __restrict__ lse /*[heads, n]*/, const i64 heads, const i64 n, const i64 m,
                             const i64 d) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    constexpr T LOWEST = T(-3e38);
    const i64 tiles = (n + G * SCI_BLOCK - 1) / (G * SCI_BLOCK);
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block / tiles, first_row = block % tiles * (G * SCI_BLOCK);
        const T *keys = k + head * m * d, *values = v + head * m * d;
        Columns<T> query;
        Sums<T> acc;
        Vector top[G][V], sum[G][V];
        i64 low_of[G][SCI_SLOTS], high_of[G][SCI_SLOTS];
        Window window[G];
        for (i64 g = 0; g < G; ++g) {
            query.load(g, q + head * n * d, first_row, n, d);
            acc.load(g, out + head * n * d, first_row, n, d);
            SCI_THREADS(t) {
                const i64 row = first_row + g * SCI_BLOCK + t, i = row < n ? row : n - 1;
                const T before = lse[head * n + i];
                SCI_AT(top[g], 0, t, T) = before;
                SCI_AT(sum[g], 0, t, T) = before > LOWEST ? T(1) : T(0);
                low_of[g][SCI_SLOT(t)] = low[i];
                high_of[g][SCI_SLOT(t)] = high[i];
            }
            for (int s = 0; s < SCI_SLOTS; ++s) window[g].add(low_of[g][s], high_of[g][s], s == 0);
        }
        for (i64 j0 = 0; j0 < m; j0 += Lanes<T>::ROWS) {
            const i64 rows = m - j0 < Lanes<T>::ROWS ? m - j0 : Lanes<T>::ROWS;
            const i64 first = positions[j0], last = positions[j0 + rows - 1];
            for (i64 g = 0; g < G; ++g) {
                if (window[g].misses(first, last)) continue;
                Vector p[Lanes<T>::ROWS * V], decay[V];
                dot_panel<T>(keys + j0 * d, rows, d, query.at(g, d), p);
                if (!window[g].holds(first, last)) hide<T>(p, rows, positions + j0, low_of[g], high_of[g], LOWEST);
                SCI_UNROLL
                for (int w = 0; w < V; ++w) {
                    Vector best = top[g][w];
                    SCI_ROWS(j, rows) best = best > p[j * V + w] ? best : p[j * V + w];
                    const Vector shift = best > LOWEST ? best : Vector{};
                    decay[w] = lane_exp(top[g][w] - shift);
                    Vector total = sum[g][w] * decay[w];
                    SCI_ROWS(j, rows) {
                        p[j * V + w] = lane_exp(p[j * V + w] - shift);
                        total += p[j * V + w];
                    }
                    top[g][w] = best;
                    sum[g][w] = total;
                }
                add_panel<T>(values + j0 * d, rows, d, p, decay, acc.at(g, d));
            }
        }
        for (i64 g = 0; g < G; ++g) {
            SCI_THREADS(t) {
                const i64 i = first_row + g * SCI_BLOCK + t;
                const T total = SCI_AT(sum[g], 0, t, T);
                // A row that has seen no key: log(0) leaves minus infinity.
                if (i < n) lse[head * n + i] = SCI_AT(top[g], 0, t, T) + lane_log(total);
                SCI_AT(sum[g], 0, t, T) = total > 0 ? total : total == 0 ? T(1) : total;
            }
            acc.store(g, out + head * n * d, first_row, n, d, sum[g]);
        }
    }
}

// dk and dv of the keys of a block, its threads, against all queries; `fused`, a block takes all keys of a head and adds
// to dq as well, so that scores are computed once. delta[i] = sum over l of dout[i, l] out[i, l].
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_backward_keys(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                                   const T* __restrict__ k /*[heads, m, d]*/, const T* __restrict__ v /*[heads, m, d]*/,
                                   const T* __restrict__ dout /*[heads, n, d]*/,
                                   const T* __restrict__ lse /*[heads, n]*/, const T* __restrict__ delta /*[heads, n]*/,
                                   const i64* __restrict__ low /*[n]*/, const i64* __restrict__ high /*[n]*/,
                                   const i64* __restrict__ positions /*[m]*/, T* __restrict__ dq /*[heads, n, d]*/,
                                   T* __restrict__ dk /*[heads, m, d]*/, T* __restrict__ dv /*[heads, m, d]*/,
                                   const i64 heads, const i64 n, const i64 m, const i64 d, const i64 fused) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    const i64 tiles = (m + G * SCI_BLOCK - 1) / (G * SCI_BLOCK), own = fused ? tiles : 1;
    Vector one[V];
    SCI_UNROLL
    for (int w = 0; w < V; ++w) one[w] = Vector{} + T(1);
    for (i64 block = blockIdx.x; block < heads * tiles / own; block += gridDim.x)
        for (i64 tile = block * own; tile < (block + 1) * own; ++tile) {
            const i64 head = tile / tiles, first_key = tile % tiles * (G * SCI_BLOCK);
            const T *queries = q + head * n * d, *douts = dout + head * n * d;
            Columns<T> key, value;
            Sums<T> dkey, dvalue;
            i64 place_of[G][SCI_SLOTS], first_place[G], last_place[G];
            for (i64 g = 0; g < G; ++g) {
                key.load(g, k + head * m * d, first_key, m, d);
                value.load(g, v + head * m * d, first_key, m, d);
                dkey.load(g, dk + head * m * d, first_key, m, d);
                dvalue.load(g, dv + head * m * d, first_key, m, d);
                SCI_THREADS(t) {
                    const i64 j = first_key + g * SCI_BLOCK + t;
                    // What lies beyond the keys is seen by no query.
                    place_of[g][SCI_SLOT(t)] = j < m ? positions[j] : -(1LL << 62);
                }
                first_place[g] = last_place[g] = place_of[g][0];
                for (int s = 0; s < SCI_SLOTS; ++s) {
                    first_place[g] = place_of[g][s] < first_place[g] ? place_of[g][s] : first_place[g];
                    last_place[g] = place_of[g][s] > last_place[g] ? place_of[g][s] : last_place[g];
                }
            }
            for (i64 i0 = 0; i0 < n; i0 += Lanes<T>::ROWS) {
                const i64 rows = n - i0 < Lanes<T>::ROWS ? n - i0 : Lanes<T>::ROWS;
                Window window;
                for (i64 i = i0; i < i0 + rows; ++i) window.add(low[i], high[i], i == i0);
                for (i64 g = 0; g < G; ++g) {
                    if (window.misses(first_place[g], last_place[g])) continue;
                    Vector p[Lanes<T>::ROWS * V], dp[Lanes<T>::ROWS * V];
                    const bool masked = !window.holds(first_place[g], last_place[g]);
                    dot_panel<T>(queries + i0 * d, rows, d, key.at(g, d), p);
                    dot_panel<T>(douts + i0 * d, rows, d, value.at(g, d), dp);
                    SCI_ROWS(j, rows) {
                        const i64 i = head * n + i0 + j;
                        SCI_UNROLL
                        for (int w = 0; w < V; ++w) p[j * V + w] = lane_exp(p[j * V + w] - lse[i]);
                        if (masked) {
                            const i64 a = low[i0 + j], b = high[i0 + j];
                            SCI_THREADS(t) {
                                const i64 place = place_of[g][SCI_SLOT(t)];
                                const T weight = SCI_AT(p, j, t, T);
                                SCI_AT(p, j, t, T) = a <= place && place <= b ? weight : T(0);
                            }
                        }
                        SCI_UNROLL
                        for (int w = 0; w < V; ++w) dp[j * V + w] = p[j * V + w] * (dp[j * V + w] - delta[i]);
                    }
                    add_panel<T>(douts + i0 * d, rows, d, p, one, dvalue.at(g, d));
                    add_panel<T>(queries + i0 * d, rows, d, dp, one, dkey.at(g, d));
                    if (fused) {
                        const i64 j = first_key + g * SCI_BLOCK, lanes = m - j < SCI_BLOCK ? m - j : SCI_BLOCK;
                        add_rows<T>(dp, rows, k + (head * m + j) * d, lanes, d, dq + (head * n + i0) * d);
                    }
                }
            }
            for (i64 g = 0; g < G; ++g) {
                dkey.store(g, dk + head * m * d, first_key, m, d, one);
                dvalue.store(g, dv + head * m * d, first_key, m, d, one);
            }
        }
}

// dq of the queries of a block, its threads, against all keys: the other half of the sweep where it is not fused.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_backward_queries(SCI_INDEX const T* __restrict__ q /*[heads, n, d]*/,
                                      const T* __restrict__ k /*[heads, m, d]*/,
                                      const T* __restrict__ v /*[heads, m, d]*/,
                                      const T* __restrict__ dout /*[heads, n, d]*/,
                                      const T* __restrict__ lse /*[heads, n]*/,
                                      const T* __restrict__ delta /*[heads, n]*/, const i64* __restrict__ low /*[n]*/,
                                      const i64* __restrict__ high /*[n]*/, const i64* __restrict__ positions /*[m]*/,
                                      T* __restrict__ dq /*[heads, n, d]*/, const i64 heads, const i64 n, const i64 m,
                                      const i64 d) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    const i64 tiles = (n + G * SCI_BLOCK - 1) / (G * SCI_BLOCK);
    Vector one[V];
    SCI_UNROLL
    for (int w = 0; w < V; ++w) one[w] = Vector{} + T(1);
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block / tiles, first_row = block % tiles * (G * SCI_BLOCK);
        const T *keys = k + head * m * d, *values = v + head * m * d;
        Columns<T> query, dresult;
        Sums<T> dquery;
        Vector lse_of[G][V], delta_of[G][V];
        i64 low_of[G][SCI_SLOTS], high_of[G][SCI_SLOTS];
        Window window[G];
        for (i64 g = 0; g < G; ++g) {
            query.load(g, q + head * n * d, first_row, n, d);
            dresult.load(g, dout + head * n * d, first_row, n, d);
            dquery.load(g, dq + head * n * d, first_row, n, d);
            SCI_THREADS(t) {
                const i64 row = first_row + g * SCI_BLOCK + t, i = row < n ? row : n - 1;
                SCI_AT(lse_of[g], 0, t, T) = lse[head * n + i];
                SCI_AT(delta_of[g], 0, t, T) = delta[head * n + i];
                low_of[g][SCI_SLOT(t)] = low[i];
                high_of[g][SCI_SLOT(t)] = high[i];
            }
            for (int s = 0; s < SCI_SLOTS; ++s) window[g].add(low_of[g][s], high_of[g][s], s == 0);
        }
        for (i64 j0 = 0; j0 < m; j0 += Lanes<T>::ROWS) {
            const i64 rows = m - j0 < Lanes<T>::ROWS ? m - j0 : Lanes<T>::ROWS;
            const i64 first = positions[j0], last = positions[j0 + rows - 1];
            for (i64 g = 0; g < G; ++g) {
                if (window[g].misses(first, last)) continue;
                Vector p[Lanes<T>::ROWS * V], dp[Lanes<T>::ROWS * V];
                dot_panel<T>(keys + j0 * d, rows, d, query.at(g, d), p);
                dot_panel<T>(values + j0 * d, rows, d, dresult.at(g, d), dp);
                SCI_ROWS(j, rows) {
                    SCI_UNROLL
                    for (int w = 0; w < V; ++w) {
                        const Vector weight = lane_exp(p[j * V + w] - lse_of[g][w]);
                        dp[j * V + w] = weight * (dp[j * V + w] - delta_of[g][w]);
                    }
                }
                if (!window[g].holds(first, last)) hide<T>(dp, rows, positions + j0, low_of[g], high_of[g], T(0));
                add_panel<T>(keys + j0 * d, rows, d, dp, one, dquery.at(g, d));
            }
        }
        for (i64 g = 0; g < G; ++g) dquery.store(g, dq + head * n * d, first_row, n, d, one);
    }
}
