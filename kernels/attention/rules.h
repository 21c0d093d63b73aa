// What is done with the scores of softmax attention beside the range of keys that a query sees, for the kernels of the
// host: soft caps, slopes of distance (ALiBi), an additive bias, a boolean mask, documents in several runs, dropout.
//
// Everything is a switch of a run, tested once a panel of scores: a kernel without rules does not come here. A panel
// has one row a key and one lane a query, or the other way round (KEYS).
#pragma once
#include "lanes.h"
#include "philox.h"

enum { CAPPED = 1, SLOPED = 2, BIASED = 4, MASKED = 8, TOLD_APART = 16, DROPPED = 32, BIAS_GRADIENT = 64 };

#define SCI_APART static __attribute__((noinline))

template <typename T>
struct Rules {
    const T *slope /*[heads]*/, *bias;
    const signed char* mask;
    const i64 *heads /*[3, heads]: plane of the bias, plane of the mask, number of the head*/, n_heads;
    const i64 *queries /*[3, rows, n]: place, token, document*/, *keys /*[2, rows, m]: token, document*/;
    const i64* form /*[9]: switches, strides of bias and mask, seed, threshold, rows*/;
    const T* numbers /*[2]: cap, 1 / (1 - rate)*/;
    const i64 n, m;

    SCI_DEVICE_MEMBER bool has(const int rule) const { return (form[0] & rule) != 0; }
    SCI_DEVICE_MEMBER const i64* place(const i64 row) const { return queries + row * n; }
    SCI_DEVICE_MEMBER const i64* query_token(const i64 row) const { return queries + (form[7] + row) * n; }
    SCI_DEVICE_MEMBER const i64* query_document(const i64 row) const { return queries + (2 * form[7] + row) * n; }
    SCI_DEVICE_MEMBER const i64* key_token(const i64 row) const { return keys + row * m; }
    SCI_DEVICE_MEMBER const i64* key_document(const i64 row) const { return keys + (form[7] + row) * m; }
};

// Where a panel lies: row and lane by lane the query or key, and the head.
struct Lanewise {
    i64 row, at[SCI_BLOCK], head[SCI_BLOCK];
};

template <typename T>
SCI_DEVICE typename Lanes<T>::Vector lane_tanh(const typename Lanes<T>::Vector x) {
    typedef typename Lanes<T>::Vector Vector;
    // 1 - e would lose all digits of a small x, as for a cap far above the scores: there a convergent of the continued
    // fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))).
    const Vector size = x < 0 ? -x : x, e = lane_exp(T(-2) * size), y = x * x;
    const Vector above = x * (T(135135) + y * (T(17325) + y * (T(378) + y)));
    const Vector below = T(135135) + y * (T(62370) + y * (T(3150) + y * T(28)));
    const Vector wide = x < 0 ? e - T(1) : T(1) - e;
    return (size < T(0.25) ? above : wide) / (size < T(0.25) ? below : T(1) + e);
}

// panel[j, t]: the score of a query and a key, from their scaled product; `hidden` where the rules forbid the pair.
// slope_of_cap, if given: the derivative of the cap.
template <typename T, bool KEYS>
SCI_APART void adjust(const Rules<T>& r, const Lanewise& of, typename Lanes<T>::Vector* panel,
                      typename Lanes<T>::Vector* slope_of_cap, const i64 rows, const i64 first, const T hidden) {
    constexpr int V = Lanes<T>::VECTORS;
    if (r.has(CAPPED)) {
        const T cap = r.numbers[0], inverse = 1 / cap;
        for (i64 k = 0; k < rows * V; ++k) {
            const typename Lanes<T>::Vector t = lane_tanh<T>(panel[k] * inverse);
            panel[k] = cap * t;
            if (slope_of_cap) slope_of_cap[k] = T(1) - t * t;
        }
    }
    const i64 *place = r.place(of.row), *token = r.key_token(of.row);
    const i64 *query_document = r.query_document(of.row), *key_document = r.key_document(of.row);
    const i64 *bias_of = r.heads, *mask_of = r.heads + r.n_heads;
    // Lanes of queries read tables row by row: a column of one would take a line of the cache for each number.
    for (int t = 0; !KEYS && t < SCI_BLOCK; ++t) {
        const T* row = r.bias + bias_of[of.head[t]] + of.at[t] * r.form[1] + first * r.form[2];
        for (i64 k = 0; r.has(BIASED) && k < rows; ++k) SCI_AT(panel, k, t, T) += row[k * r.form[2]];
        const signed char* seen = r.mask + mask_of[of.head[t]] + of.at[t] * r.form[3] + first * r.form[4];
        for (i64 k = 0; r.has(MASKED) && k < rows; ++k) {  // a table instead of a branch, which nothing could foretell
            const T choice[2] = {hidden, SCI_AT(panel, k, t, T)};
            SCI_AT(panel, k, t, T) = choice[seen[k * r.form[4]] != 0];
        }
    }
    for (i64 k = 0; k < rows; ++k) {
        const i64 other = first + k;
        if (r.has(SLOPED)) SCI_THREADS(t) {
            const i64 i = KEYS ? other : of.at[t], j = KEYS ? of.at[t] : other;
            const i64 apart = place[i] - token[j];
            SCI_AT(panel, k, t, T) -= r.slope[of.head[t]] * T(apart < 0 ? -apart : apart);
        }
        if (KEYS && r.has(BIASED)) SCI_THREADS(t) {
            SCI_AT(panel, k, t, T) += r.bias[bias_of[of.head[t]] + other * r.form[1] + of.at[t] * r.form[2]];
        }
        for (int t = 0; KEYS && r.has(MASKED) && t < SCI_BLOCK; ++t) {
            const T choice[2] = {hidden, SCI_AT(panel, k, t, T)};
            SCI_AT(panel, k, t, T) = choice[r.mask[mask_of[of.head[t]] + other * r.form[3] + of.at[t] * r.form[4]] != 0];
        }
        if (r.has(TOLD_APART)) SCI_THREADS(t) {
            const i64 i = KEYS ? other : of.at[t], j = KEYS ? of.at[t] : other;
            const bool seen = query_document[i] == key_document[j];
            SCI_AT(panel, k, t, T) = seen ? SCI_AT(panel, k, t, T) : hidden;
        }
    }
}

// kept[j, t]: 0 for a weight that dropout takes, 1 / (1 - rate) for one that stays. Word key % 4 of the counter
// (key / 4, query, head) decides, whatever the tiles, the ranks and the layout are.
template <typename T, bool KEYS>
SCI_APART void keep(const Rules<T>& r, const Lanewise& of, typename Lanes<T>::Vector* kept, const i64 rows,
                    const i64 first) {
    constexpr int USE = 7;
    const i64 *query = r.query_token(of.row), *key = r.key_token(of.row), *number = r.heads + 2 * r.n_heads;
    const i64 seed = r.form[5];
    const Word threshold = Word(r.form[6]);
    const T stays = r.numbers[1];
    Word words[4][SCI_BLOCK];
    if (KEYS) {
        bool aligned = true;  // lanes are tokens 4 a, 4 a + 1, ... of one head: four rows of them share their words
        for (int t = 0; t < SCI_BLOCK; ++t) aligned = aligned && key[of.at[t]] == (key[of.at[0]] & ~3LL) + t;
        constexpr int EACH = SCI_BLOCK / 4;
        for (i64 k = 0; aligned && k < rows; k += 4) {
            SCI_THREADS(t) {
                const i64 i = first + (k + t / EACH < rows ? k + t / EACH : rows - 1);
                const Words drawn = philox(key[of.at[0]] / 4 + t % EACH, query[i], number[of.head[0]], USE, seed);
                words[0][t] = drawn.a, words[1][t] = drawn.b, words[2][t] = drawn.c, words[3][t] = drawn.d;
            }
            for (int u = 0; u < 4 && k + u < rows; ++u) SCI_THREADS(t) {
                SCI_AT(kept, k + u, t, T) = words[t % 4][u * EACH + t / 4] >= threshold ? stays : T(0);
            }
        }
        for (i64 k = 0; !aligned && k < rows; ++k) SCI_THREADS(t) {
            const i64 token = key[of.at[t]];
            const Words drawn = philox(token / 4, query[first + k], number[of.head[t]], USE, seed);
            const Word low = token & 1 ? drawn.b : drawn.a, high = token & 1 ? drawn.d : drawn.c;
            SCI_AT(kept, k, t, T) = (token & 2 ? high : low) >= threshold ? stays : T(0);
        }
        return;
    }
    i64 group = -1;
    for (i64 k = 0; k < rows; ++k) {
        const i64 token = key[first + k];
        if (token / 4 != group) {
            group = token / 4;
            SCI_THREADS(t) {
                const Words drawn = philox(group, query[of.at[t]], number[of.head[t]], USE, seed);
                words[0][t] = drawn.a, words[1][t] = drawn.b, words[2][t] = drawn.c, words[3][t] = drawn.d;
            }
        }
        SCI_THREADS(t) { SCI_AT(kept, k, t, T) = words[token % 4][t] >= threshold ? stays : T(0); }
    }
}

// The gradient of the bias: that of the scores, summed over what one number of the bias is added to. Lanes are keys.
template <typename T>
SCI_APART void add_to_bias(const Rules<T>& r, const Lanewise& of, const typename Lanes<T>::Vector* change,
                           const i64 rows, const i64 first, const i64 lanes, T* dbias) {
    const i64 plane = r.heads[of.head[0]];
    for (i64 k = 0; k < rows; ++k)
        for (i64 t = 0; t < lanes; ++t)
            dbias[plane + (first + k) * r.form[1] + of.at[t] * r.form[2]] += ((const T*)change)[k * SCI_BLOCK + t];
}
