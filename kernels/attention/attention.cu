// Softmax attention of the host over one part of the keys, forward and backward, in tiles that stay in cache. A GPU has
// attention_tiles.cu.
//
// Query i sees the keys start[i] <= j < stop[i] of the part, and what the rules of rules.h do to their scores: causal,
// packed and windowed attention in one form. What no query of a tile sees is not computed, and a tile that all of them
// see is not masked. A head of keys and values serves `group` heads of queries, which stand one after another as
// rows = group n rows of one matrix, so that keys are never repeated. start and stop may differ between batches: row_of
// names the row of a head of keys.
//
// The results are updated: (out, lse) hold softmax attention over the keys seen so far (zero and minus infinity before
// the first), since an output o with the log-sum-exp of its scores is the running state of the online softmax: maximum
// lse, sum 1, numerator o. So parts of the keys may come one after another, and gradients are added.
//
// Flops per pair: 2 (d + e) forward, 6 d + 4 e backward (8 d + 6 e where queries and keys are swept apart) and one
// exponential (two); bytes per pair: under 1, all from cache; the limit is the multiplier's, the speed of a matrix
// product (GEMM).
#include "attention/rules.h"

// Panels side by side in cache: those of a block, fewer for wide heads and at the end of the rows.
template <typename T>
SCI_DEVICE i64 panels(const i64 first, const i64 rows, const i64 d, const i64 e) {
    constexpr i64 G = Lanes<T>::GROUPS;
    const i64 wide = d > e ? d : e, room = wide <= Lanes<T>::COLUMNS ? G : G * Lanes<T>::COLUMNS / wide;
    const i64 left = (rows - first + SCI_BLOCK - 1) / SCI_BLOCK;
    return left < room ? left : room;
}

// The rows of a block: all panels that there is room for.
template <typename T>
SCI_DEVICE i64 block_rows(const i64 d, const i64 e) {
    return panels<T>(0, 1LL << 40, d, e) * SCI_BLOCK;
}

// What a panel of lanes sees of the rows of the other side, or is seen by: all of it lies in [from, to), and every lane
// sees [inner_from, inner_to).
struct Span {
    i64 from = 1LL << 62, to = 0, inner_from = 0, inner_to = 1LL << 62;

    void add(const i64 a, const i64 z) {
        if (a < z) {
            from = a < from ? a : from;
            to = z > to ? z : to;
        }
        inner_from = a > inner_from ? a : inner_from;
        inner_to = z < inner_to ? z : inner_to;
    }
    bool holds(const i64 a, const i64 z) const { return a >= inner_from && z <= inner_to; }
};

// The lanes of a panel of queries: rows first ... of the folded heads of queries of one head of keys.
template <typename T>
struct QueryLanes {
    i64 start[SCI_BLOCK], stop[SCI_BLOCK];
    Span span;
    Lanewise of;

    SCI_DEVICE_MEMBER void set(const i64 first, const i64 rows, const i64 n, const i64 head, const i64 row,
                               const i64* starts, const i64* stops) {
        span = Span();
        of.row = row;
        for (int t = 0; t < SCI_BLOCK; ++t) {
            const i64 r = first + t < rows ? first + t : rows - 1, h = r / n;
            of.at[t] = r - h * n;
            of.head[t] = head * (rows / n) + h;
            start[t] = starts[row * n + of.at[t]];
            stop[t] = stops[row * n + of.at[t]];
            span.add(start[t], stop[t]);
        }
    }
    // panel[j, t] = hidden where query t does not see key first + j.
    SCI_DEVICE_MEMBER void hide(typename Lanes<T>::Vector* panel, const i64 rows, const i64 first,
                                const T hidden) const {
        SCI_ROWS(j, rows) SCI_THREADS(t) {
            const bool seen = start[t] <= first + j && first + j < stop[t];
            SCI_AT(panel, j, t, T) = seen ? SCI_AT(panel, j, t, T) : hidden;
        }
    }
};

#define SCI_RULES                                                                                                      \
    const Rules<T> rules = {slope, bias, mask, of_heads, heads_of_rules, of_queries, of_keys, form, numbers, n, m};    \
    const bool ruled = form[0] != 0, dropped = rules.has(DROPPED), capped = rules.has(CAPPED)

// One block: 128 rows of queries against all keys.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_forward(SCI_INDEX const T* __restrict__ q /*[heads, rows, d]*/,
                             const T* __restrict__ k /*[heads, m, d]*/, const T* __restrict__ v /*[heads, m, e]*/,
                             const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
                             const i64* __restrict__ row_of /*[heads]*/, const T* __restrict__ slope /*[slopes]*/,
                             const T* __restrict__ bias /*[biases]*/, const signed char* __restrict__ mask /*[masks]*/,
                             const i64* __restrict__ of_heads /*[3, heads_of_rules]*/,
                             const i64* __restrict__ of_queries /*[3, batches, queries]*/,
                             const i64* __restrict__ of_keys /*[2, batches, keys]*/,
                             const i64* __restrict__ form /*[8]*/, const T* __restrict__ numbers /*[2]*/,
                             T* __restrict__ out /*[heads, rows, e]*/, T* __restrict__ lse /*[heads, rows]*/,
                             const T scale, const i64 heads_of_rules, const i64 heads, const i64 rows, const i64 n,
                             const i64 m, const i64 d, const i64 e) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    constexpr T LOWEST = T(-3e38);
    SCI_RULES;
    (void)capped;
    const i64 each = block_rows<T>(d, e), tiles = (rows + each - 1) / each;
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block / tiles, first_row = block % tiles * each, groups = panels<T>(first_row, rows, d, e);
        const T *keys = k + head * m * d, *values = v + head * m * e;
        Columns<T> query;
        Sums<T> acc;
        Vector top[G][V], sum[G][V];
        QueryLanes<T> lanes[G];
        i64 from = m, to = 0;
        for (i64 g = 0; g < groups; ++g) {
            bool fresh = true;
            lanes[g].set(first_row + g * SCI_BLOCK, rows, n, head, row_of[head], start, stop);
            from = lanes[g].span.from < from ? lanes[g].span.from : from;
            to = lanes[g].span.to > to ? lanes[g].span.to : to;
            for (int t = 0; t < SCI_BLOCK; ++t) {
                const i64 row = first_row + g * SCI_BLOCK + t;
                const T before = lse[head * rows + (row < rows ? row : rows - 1)];
                SCI_AT(top[g], 0, t, T) = before;
                SCI_AT(sum[g], 0, t, T) = before > LOWEST ? T(1) : T(0);
                fresh = fresh && before <= LOWEST;
            }
            query.load(g, q + head * rows * d, first_row, rows, d);
            for (i64 l = 0; l < d * V; ++l) query.at(g, d)[l] *= scale;
            if (fresh)
                for (i64 l = 0; l < e * V; ++l) acc.at(g, e)[l] = Vector{};
            else
                acc.load(g, out + head * rows * e, first_row, rows, e);
        }
        for (i64 j0 = from; j0 < to; j0 += Lanes<T>::ROWS) {
            for (i64 g = 0; g < groups; ++g) {
                const Span& span = lanes[g].span;
                const i64 a = j0 > span.from ? j0 : span.from;
                const i64 z = j0 + Lanes<T>::ROWS < span.to ? j0 + Lanes<T>::ROWS : span.to, count = z - a;
                if (count <= 0) continue;
                Vector p[Lanes<T>::ROWS * V], decay[V];
                dot_panel<T>(keys + a * d, count, d, query.at(g, d), p);
                if (ruled) adjust<T, false>(rules, lanes[g].of, p, nullptr, count, a, LOWEST);
                if (!span.holds(a, z)) lanes[g].hide(p, count, a, LOWEST);
                SCI_UNROLL
                for (int w = 0; w < V; ++w) {
                    Vector best = top[g][w];
                    SCI_ROWS(j, count) best = best > p[j * V + w] ? best : p[j * V + w];
                    const Vector shift = best > LOWEST ? best : Vector{};
                    decay[w] = lane_exp(top[g][w] - shift);
                    Vector total = sum[g][w] * decay[w];
                    SCI_ROWS(j, count) {
                        p[j * V + w] = lane_exp(p[j * V + w] - shift);
                        total += p[j * V + w];
                    }
                    top[g][w] = best;
                    sum[g][w] = total;
                }
                if (dropped) {
                    Vector kept[Lanes<T>::ROWS * V];
                    keep<T, false>(rules, lanes[g].of, kept, count, a);
                    for (i64 j = 0; j < count * V; ++j) p[j] *= kept[j];
                }
                add_panel<T>(values + a * e, count, e, p, decay, acc.at(g, e));
            }
        }
        for (i64 g = 0; g < groups; ++g) {
            for (int t = 0; t < SCI_BLOCK; ++t) {
                const i64 i = first_row + g * SCI_BLOCK + t;
                const T total = SCI_AT(sum[g], 0, t, T);
                // A row that has seen no key: log(0) leaves minus infinity.
                if (i < rows) lse[head * rows + i] = SCI_AT(top[g], 0, t, T) + lane_log(total);
                SCI_AT(sum[g], 0, t, T) = total > 0 ? total : total == 0 ? T(1) : total;
            }
            acc.store(g, out + head * rows * e, first_row, rows, e, sum[g]);
        }
    }
}

// dk and dv of the keys of a block, its lanes, against all queries; `fused`, a block takes all keys of a head and adds
// to dq as well, so that scores are computed once. delta[i] = sum over l of dout[i, l] out[i, l]. seen_from and
// seen_to bound the queries that see a key.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_backward_keys(SCI_INDEX
    const T* __restrict__ q /*[heads, rows, d]*/, const T* __restrict__ k /*[heads, m, d]*/,
    const T* __restrict__ v /*[heads, m, e]*/, const T* __restrict__ dout /*[heads, rows, e]*/,
    const T* __restrict__ lse /*[heads, rows]*/, const T* __restrict__ delta /*[heads, rows]*/,
    const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
    const i64* __restrict__ row_of /*[heads]*/, const T* __restrict__ slope /*[slopes]*/,
    const T* __restrict__ bias /*[biases]*/, const signed char* __restrict__ mask /*[masks]*/,
    const i64* __restrict__ of_heads /*[3, heads_of_rules]*/, const i64* __restrict__ of_queries /*[3, batches, queries]*/,
    const i64* __restrict__ of_keys /*[2, batches, keys]*/, const i64* __restrict__ form /*[8]*/,
    const T* __restrict__ numbers /*[2]*/, const i64* __restrict__ seen_from /*[ranges, m]*/,
    const i64* __restrict__ seen_to /*[ranges, m]*/, T* __restrict__ dq /*[heads, rows, d]*/,
    T* __restrict__ dk /*[heads, m, d]*/, T* __restrict__ dv /*[heads, m, e]*/, T* __restrict__ dbias /*[changes]*/,
    const T scale, const i64 heads_of_rules, const i64 heads, const i64 rows, const i64 n, const i64 m, const i64 d,
    const i64 e, const i64 fused) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    constexpr T LOWEST = T(-3e38);
    SCI_RULES;
    const i64 each = block_rows<T>(d, e), tiles = (m + each - 1) / each, own = fused ? tiles : 1, group = rows / n;
    Vector one[V];
    SCI_UNROLL
    for (int w = 0; w < V; ++w) one[w] = Vector{} + T(1);
    for (i64 block = blockIdx.x; block < heads * tiles / own; block += gridDim.x)
        for (i64 tile = block * own; tile < (block + 1) * own; ++tile) {
            const i64 head = tile / tiles, first_key = tile % tiles * each, groups = panels<T>(first_key, m, d, e);
            const i64 *starts = start + row_of[head] * n, *stops = stop + row_of[head] * n;
            Span span[G];
            Lanewise of[G];
            i64 from = n, to = 0;
            for (i64 g = 0; g < groups; ++g) {
                of[g].row = row_of[head];
                for (int t = 0; t < SCI_BLOCK; ++t) {
                    const i64 key = first_key + g * SCI_BLOCK + t, j = key < m ? key : m - 1;
                    of[g].at[t] = j;
                    span[g].add(seen_from[row_of[head] * m + j], seen_to[row_of[head] * m + j]);
                }
                from = span[g].from < from ? span[g].from : from;
                to = span[g].to > to ? span[g].to : to;
            }
            if (from >= to) continue;  // no query sees these keys
            Columns<T> key, value;
            Sums<T> dkey, dvalue;
            for (i64 g = 0; g < groups; ++g) {
                key.load(g, k + head * m * d, first_key, m, d);
                value.load(g, v + head * m * e, first_key, m, e);
                dkey.load(g, dk + head * m * d, first_key, m, d);
                dvalue.load(g, dv + head * m * e, first_key, m, e);
            }
            for (i64 turn = 0; turn < group; ++turn) {
                const i64 origin = head * rows + turn * n;
                const T *queries = q + origin * d, *douts = dout + origin * e;
                for (i64 g = 0; g < groups; ++g)
                    for (int t = 0; t < SCI_BLOCK; ++t) of[g].head[t] = head * group + turn;
                for (i64 i0 = from; i0 < to; i0 += Lanes<T>::ROWS)
                    for (i64 g = 0; g < groups; ++g) {
                        const i64 a = i0 > span[g].from ? i0 : span[g].from;
                        const i64 z = i0 + Lanes<T>::ROWS < span[g].to ? i0 + Lanes<T>::ROWS : span[g].to, count = z - a;
                        if (count <= 0) continue;
                        const i64 lane = first_key + g * SCI_BLOCK, lanes = m - lane < SCI_BLOCK ? m - lane : SCI_BLOCK;
                        Span seen;
                        for (i64 i = a; i < z; ++i) seen.add(starts[i], stops[i]);
                        Vector p[Lanes<T>::ROWS * V], dp[Lanes<T>::ROWS * V];
                        Vector slope_of_cap[Lanes<T>::ROWS * V], kept[Lanes<T>::ROWS * V];
                        dot_panel<T>(queries + a * d, count, d, key.at(g, d), p);
                        dot_panel<T>(douts + a * e, count, e, value.at(g, e), dp);
                        for (i64 j = 0; j < count * V; ++j) p[j] *= scale;
                        if (ruled) adjust<T, true>(rules, of[g], p, slope_of_cap, count, a, LOWEST);
                        if (dropped) keep<T, true>(rules, of[g], kept, count, a);
                        const bool masked = !seen.holds(lane, lane + SCI_BLOCK);
                        SCI_ROWS(j, count) {
                            const i64 i = origin + a + j;
                            SCI_UNROLL
                            for (int w = 0; w < V; ++w) p[j * V + w] = lane_exp(p[j * V + w] - lse[i]);
                            if (masked) {
                                const i64 low = starts[a + j] - lane, high = stops[a + j] - lane;
                                SCI_THREADS(t) {
                                    const T weight = SCI_AT(p, j, t, T);
                                    SCI_AT(p, j, t, T) = low <= t && t < high ? weight : T(0);
                                }
                            }
                            SCI_UNROLL
                            for (int w = 0; w < V; ++w) {
                                const i64 x = j * V + w;
                                if (dropped) dp[x] *= kept[x];
                                dp[x] = p[x] * (dp[x] - delta[i]);
                                if (dropped) p[x] *= kept[x];
                            }
                        }
                        if (rules.has(BIAS_GRADIENT)) add_to_bias<T>(rules, of[g], dp, count, a, lanes, dbias);
                        for (i64 j = 0; j < count * V; ++j) dp[j] *= capped ? scale * slope_of_cap[j] : Vector{} + scale;
                        add_panel<T>(douts + a * e, count, e, p, one, dvalue.at(g, e));
                        add_panel<T>(queries + a * d, count, d, dp, one, dkey.at(g, d));
                        if (fused) add_rows<T>(dp, count, k + (head * m + lane) * d, lanes, d, dq + (origin + a) * d);
                    }
            }
            for (i64 g = 0; g < groups; ++g) {
                dkey.store(g, dk + head * m * d, first_key, m, d, one);
                dvalue.store(g, dv + head * m * e, first_key, m, e, one);
            }
        }
}

// dq of the queries of a block, its lanes, against all keys: the other half of the sweep where it is not fused.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL attention_backward_queries(SCI_INDEX
    const T* __restrict__ q /*[heads, rows, d]*/, const T* __restrict__ k /*[heads, m, d]*/,
    const T* __restrict__ v /*[heads, m, e]*/, const T* __restrict__ dout /*[heads, rows, e]*/,
    const T* __restrict__ lse /*[heads, rows]*/, const T* __restrict__ delta /*[heads, rows]*/,
    const i64* __restrict__ start /*[ranges, n]*/, const i64* __restrict__ stop /*[ranges, n]*/,
    const i64* __restrict__ row_of /*[heads]*/, const T* __restrict__ slope /*[slopes]*/,
    const T* __restrict__ bias /*[biases]*/, const signed char* __restrict__ mask /*[masks]*/,
    const i64* __restrict__ of_heads /*[3, heads_of_rules]*/, const i64* __restrict__ of_queries /*[3, batches, queries]*/,
    const i64* __restrict__ of_keys /*[2, batches, keys]*/, const i64* __restrict__ form /*[8]*/,
    const T* __restrict__ numbers /*[2]*/, T* __restrict__ dq /*[heads, rows, d]*/, const T scale,
    const i64 heads_of_rules, const i64 heads, const i64 rows, const i64 n, const i64 m, const i64 d, const i64 e) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int V = Lanes<T>::VECTORS, G = Lanes<T>::GROUPS;
    constexpr T LOWEST = T(-3e38);
    SCI_RULES;
    const i64 each = block_rows<T>(d, e), tiles = (rows + each - 1) / each;
    Vector one[V];
    SCI_UNROLL
    for (int w = 0; w < V; ++w) one[w] = Vector{} + T(1);
    for (i64 block = blockIdx.x; block < heads * tiles; block += gridDim.x) {
        const i64 head = block / tiles, first_row = block % tiles * each, groups = panels<T>(first_row, rows, d, e);
        const T *keys = k + head * m * d, *values = v + head * m * e;
        Columns<T> query, dresult;
        Sums<T> dquery;
        Vector lse_of[G][V], delta_of[G][V];
        QueryLanes<T> lanes[G];
        i64 from = m, to = 0;
        for (i64 g = 0; g < groups; ++g) {
            lanes[g].set(first_row + g * SCI_BLOCK, rows, n, head, row_of[head], start, stop);
            from = lanes[g].span.from < from ? lanes[g].span.from : from;
            to = lanes[g].span.to > to ? lanes[g].span.to : to;
            query.load(g, q + head * rows * d, first_row, rows, d);
            for (i64 l = 0; l < d * V; ++l) query.at(g, d)[l] *= scale;
            dresult.load(g, dout + head * rows * e, first_row, rows, e);
            dquery.load(g, dq + head * rows * d, first_row, rows, d);
            for (int t = 0; t < SCI_BLOCK; ++t) {
                const i64 row = first_row + g * SCI_BLOCK + t, i = head * rows + (row < rows ? row : rows - 1);
                SCI_AT(lse_of[g], 0, t, T) = lse[i];
                SCI_AT(delta_of[g], 0, t, T) = delta[i];
            }
        }
        for (i64 j0 = from; j0 < to; j0 += Lanes<T>::ROWS) {
            for (i64 g = 0; g < groups; ++g) {
                const Span& span = lanes[g].span;
                const i64 a = j0 > span.from ? j0 : span.from;
                const i64 z = j0 + Lanes<T>::ROWS < span.to ? j0 + Lanes<T>::ROWS : span.to, count = z - a;
                if (count <= 0) continue;
                Vector p[Lanes<T>::ROWS * V], dp[Lanes<T>::ROWS * V], slope_of_cap[Lanes<T>::ROWS * V];
                dot_panel<T>(keys + a * d, count, d, query.at(g, d), p);
                dot_panel<T>(values + a * e, count, e, dresult.at(g, e), dp);
                if (ruled) adjust<T, false>(rules, lanes[g].of, p, slope_of_cap, count, a, LOWEST);
                if (dropped) {
                    Vector kept[Lanes<T>::ROWS * V];
                    keep<T, false>(rules, lanes[g].of, kept, count, a);
                    for (i64 j = 0; j < count * V; ++j) dp[j] *= kept[j];
                }
                SCI_ROWS(j, count) {
                    SCI_UNROLL
                    for (int w = 0; w < V; ++w) {
                        const Vector weight = lane_exp(p[j * V + w] - lse_of[g][w]);
                        dp[j * V + w] = weight * (dp[j * V + w] - delta_of[g][w]) * scale;
                    }
                }
                for (i64 j = 0; capped && j < count * V; ++j) dp[j] *= slope_of_cap[j];
                if (!span.holds(a, z)) lanes[g].hide(dp, count, a, T(0));
                add_panel<T>(keys + a * d, count, d, dp, one, dquery.at(g, d));
            }
        }
        for (i64 g = 0; g < groups; ++g) dquery.store(g, dq + head * rows * d, first_row, rows, d, one);
    }
}
