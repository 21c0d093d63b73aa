// Products of rows with matrices whose entries are codes of 2 to 4 bits into small codebooks.
//
// y[m, i, r] = sum_c x[m, i, c] book[m, tile of r][code(m, r, c)]: the matrix is never formed in memory. One thread holds
// one row of a matrix. SCI_BLOCK rows of one codebook make a tile, in which their codes lie side by side, 32 columns of a
// row in BITS words, so that a block reads BITS / 32 of the bytes of a float matrix; `rows` says where the row of a
// thread stands in y, -1 for none. On a GPU a thread decodes once for SAMPLES rows of x, from codebooks in shared memory.
// On the host a block decodes COLUMNS columns of its tile into the nearest cache, by shuffles of a register where the
// processor has them, and multiplies all rows of x by them. 2 flops for an entry and a row of x, a lookup for an entry.
#include "host.h"

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
#include "lanes.h"
#endif

constexpr int UNIT = 32, MOST_ENTRIES = 1024;

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

constexpr int SAMPLES = 8;

// The code of column k of a unit, whose words of one row are `words`; with k known a shift or two.
template <int BITS>
SCI_DEVICE int code_of(const int* words, const int k) {
    const i64 first = k * BITS, word = first / UNIT, shift = first % UNIT;
    unsigned found = unsigned(words[word]) >> shift;
    if (shift + BITS > UNIT) found |= unsigned(words[word + 1]) << (UNIT - shift);
    return int(found & ((1u << BITS) - 1u));
}

template <typename T, int BITS>
SCI_DEVICE void product_block(const i64 task, const T* x, const int* codes, const int* books, const int* rows,
                              const T* entries, T* y, const i64 n, const i64 c, const i64 length, const i64 tiles,
                              const i64 units) {
    const i64 parts = (n + SAMPLES - 1) / SAMPLES, place = task / parts, m = place / tiles;
    const i64 start = task % parts * SAMPLES, t = threadIdx.x;
    const T* book = entries + (i64(books[place]) << BITS);
    const i64 row = rows[place * SCI_BLOCK + t];
    T sum[SAMPLES];
    SCI_UNROLL
    for (int s = 0; s < SAMPLES; ++s) sum[s] = 0;
    SCI_ROLLED
    for (i64 unit = 0; unit < units; ++unit) {
        int words[BITS];
        SCI_UNROLL
        for (int b = 0; b < BITS; ++b) words[b] = codes[((place * units + unit) * BITS + b) * SCI_BLOCK + t];
        SCI_UNROLL
        for (int k = 0; k < UNIT; ++k) {
            const i64 column = unit * UNIT + k;
            if (column < c) {
                const T w = book[code_of<BITS>(words, k)];
                SCI_UNROLL
                for (int s = 0; s < SAMPLES; ++s) {
                    const i64 i = start + s < n ? start + s : n - 1;
                    sum[s] += x[(m * n + i) * c + column] * w;
                }
            }
        }
    }
    SCI_UNROLL
    for (int s = 0; s < SAMPLES; ++s)
        if (row >= 0 && start + s < n) y[(m * n + start + s) * length + row] = sum[s];
}

#else

constexpr int COLUMNS = 256;

#if SCI_VECTOR_BYTES >= 32 && !defined(__clang__)
#define SCI_SHUFFLES
#endif

// The entries of a codebook that the codes of a vector name.
template <int BITS>
struct Book {
    typedef Lanes<float>::Vector Vector;
    static constexpr int WIDTH = Lanes<float>::WIDTH, ENTRIES = 1 << BITS;
#ifdef SCI_SHUFFLES
    Vector low = {}, high = {};
    SCI_DEVICE_MEMBER explicit Book(const float* book) {
        // Not a choice of vectors by ?:, which newer compilers take for a copy: the entries would be lost.
        for (int k = 0; k < ENTRIES && k < WIDTH; ++k) low[k] = book[k];
        for (int k = WIDTH; k < ENTRIES; ++k) high[k - WIDTH] = book[k];
    }
    SCI_DEVICE_MEMBER Vector at(const IntVector code) const {
        return ENTRIES <= WIDTH ? __builtin_shuffle(low, code) : __builtin_shuffle(low, high, code);
    }
#else
    const float* entries;
    SCI_DEVICE_MEMBER explicit Book(const float* book) : entries(book) {}
    SCI_DEVICE_MEMBER Vector at(const IntVector code) const {
        Vector found;
        for (int k = 0; k < WIDTH; ++k) found[k] = entries[code[k]];
        return found;
    }
#endif
};

// R rows of x times a panel of `length` columns, each by PARTS sums to hide the latency of the multiplier, added to the
// places `rows` of `out` unless `first`.
template <int R, int PARTS>
SCI_DEVICE void product_tile(const float* x, const i64 c, const i64 length, const Lanes<float>::Vector* panel, float* out,
                             const i64 stride, const int* rows, const bool first) {
    constexpr int V = Lanes<float>::VECTORS;
    Lanes<float>::Vector sum[R * PARTS][V] = {};
    i64 l = 0;
    for (; l + PARTS <= length; l += PARTS)
        SCI_UNROLL
        for (int p = 0; p < PARTS; ++p)
            SCI_UNROLL
            for (int r = 0; r < R; ++r)
                SCI_UNROLL
                for (int v = 0; v < V; ++v) sum[r * PARTS + p][v] += x[r * c + l + p] * panel[(l + p) * V + v];
    for (; l < length; ++l)
        SCI_UNROLL
        for (int r = 0; r < R; ++r)
            SCI_UNROLL
            for (int v = 0; v < V; ++v) sum[r * PARTS][v] += x[r * c + l] * panel[l * V + v];
    SCI_UNROLL
    for (int r = 0; r < R; ++r) {
        SCI_UNROLL
        for (int p = 1; p < PARTS; ++p)
            SCI_UNROLL
            for (int v = 0; v < V; ++v) sum[r * PARTS][v] += sum[r * PARTS + p][v];
        const float* from = (const float*)sum[r * PARTS];
        float* to = out + r * stride;
        for (int t = 0; t < SCI_BLOCK; ++t)
            if (rows[t] >= 0) to[rows[t]] = first ? from[t] : to[rows[t]] + from[t];
    }
}

template <typename T, int BITS>
SCI_DEVICE void product_block(const i64 place, const T* x, const int* codes, const int* books, const int* rows,
                              const T* entries, T* y, const i64 n, const i64 c, const i64 length, const i64 tiles,
                              const i64 units) {
    constexpr int V = Lanes<T>::VECTORS, W = Lanes<T>::WIDTH;
    const i64 m = place / tiles;
    const int* where = rows + place * SCI_BLOCK;
    const Book<BITS> book(entries + (i64(books[place]) << BITS));
    typename Lanes<T>::Vector panel[COLUMNS * V];
    for (i64 start = 0; start < c; start += COLUMNS) {
        const i64 columns = c - start < COLUMNS ? c - start : COLUMNS;
        for (i64 unit = start / UNIT; unit * UNIT < start + columns; ++unit) {
            const int* from = codes + (place * units + unit) * BITS * SCI_BLOCK;
            typename Lanes<T>::Vector* to = panel + (unit * UNIT - start) * V;
            SCI_UNROLL
            for (int v = 0; v < V; ++v) {
                typedef int Loose __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias, aligned(4)));
                IntVector words[BITS + 1] = {};
                SCI_UNROLL
                for (int b = 0; b < BITS; ++b) words[b] = *(const Loose*)(from + b * SCI_BLOCK + v * W);
                SCI_UNROLL
                for (int k = 0; k < UNIT; ++k) {
                    const i64 first = k * BITS, word = first / UNIT, shift = first % UNIT;
                    IntVector code = words[word] >> shift;  // what an arithmetic shift brings in is masked
                    if (shift + BITS > UNIT)
                        code = (code & ((1 << (UNIT - shift)) - 1)) | (words[word + 1] << (UNIT - shift));
                    to[k * V + v] = book.at(code & ((1 << BITS) - 1));
                }
            }
        }
        const T* from = x + m * n * c + start;
        T* out = y + m * n * length;
        const bool first = start == 0;
        i64 i = 0;
        for (; i + 12 <= n; i += 12)
            product_tile<12, 1>(from + i * c, c, columns, panel, out + i * length, length, where, first);
        for (; i + 4 <= n; i += 4)
            product_tile<4, 3>(from + i * c, c, columns, panel, out + i * length, length, where, first);
        for (; i < n; ++i)
            product_tile<1, 8>(from + i * c, c, columns, panel, out + i * length, length, where, first);
    }
}

#endif

// Instances: <float, 2|3|4>
template <typename T, int BITS>
SCI_KERNEL decode_product(SCI_INDEX const T* __restrict__ x /*[matrices, n, c]*/,
                          const int* __restrict__ codes /*[matrices, tiles, units, BITS, block]*/,
                          const int* __restrict__ books /*[matrices, tiles]*/,
                          const int* __restrict__ rows /*[matrices, tiles, block]*/,
                          const T* __restrict__ entries /*[size]*/, T* __restrict__ y /*[matrices, n, length]*/,
                          const i64 matrices, const i64 n, const i64 c, const i64 length, const i64 tiles,
                          const i64 units, const i64 size) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    SCI_SHARED T held[MOST_ENTRIES];
    for (i64 k = threadIdx.x; k < size; k += SCI_BLOCK) held[k] = entries[k];
    SCI_BARRIER
    const i64 tasks = matrices * tiles * ((n + SAMPLES - 1) / SAMPLES);
    for (i64 task = blockIdx.x; task < tasks; task += gridDim.x)
        product_block<T, BITS>(task, x, codes, books, rows, held, y, n, c, length, tiles, units);
#else
    for (i64 task = blockIdx.x; task < matrices * tiles; task += gridDim.x)
        product_block<T, BITS>(task, x, codes, books, rows, entries, y, n, c, length, tiles, units);
#endif
}
