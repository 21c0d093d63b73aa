// Exact counts of cliques: neighborhoods packed into bits, whose intersections are words and counts of bits.
//
// The edges of a graph lead from the end of lower degree to the other, without a circle, so that each clique has one
// first node v, and the others are among the d nodes N(v) that v leads to. Row i of the d x d bit matrix of v has the
// bits of those nodes of N(v) to which the i-th leads. A clique of 3 is a bit of a row; one of 4 a bit in the
// intersection of two rows, and so on: popcount(row_i & row_j & row_k) takes the place of a loop over nodes.
//
// Work of a clique size k: a word of 64 nodes for each clique of k - 2 and word of its rows, with k - 3 ands and a count
// of bits. Bytes: the rows of one v, d^2 / 8, stay in cache.
#include "host.h"

typedef unsigned long long Word;

SCI_DEVICE i64 count_bits(const Word x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return __popcll(x);
#else
    return __builtin_popcountll(x);
#endif
}

// Number of the lowest bit that is set.
SCI_DEVICE i64 lowest_bit(const Word x) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return __ffsll((long long)x) - 1;
#else
    return __builtin_ctzll(x);
#endif
}

// The rows of bits of edges `first` to `first + edges`: which nodes of N(source) the target of the edge leads to.
//
// `offset` is where the row of an edge begins, and `width` how many words of 64 bits it has; `bits` is zero at the start.
// Instances: <i64>
template <typename T>
SCI_KERNEL neighborhood_bits(SCI_INDEX const T* __restrict__ start /*[ends]*/, const T* __restrict__ target /*[m]*/,
                             const T* __restrict__ edge /*[edges]*/, const T* __restrict__ source /*[edges]*/,
                             const T* __restrict__ offset /*[edges]*/, T* __restrict__ bits /*[words]*/,
                             const i64 edges) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < edges; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 e = block * SCI_BLOCK + t;
            if (e < edges) {
                const i64 v = source[e], u = target[edge[e]];
                const i64 begin = start[v], end = start[v + 1], stop = start[u + 1];
                i64 i = begin, j = start[u];
                Word* const row = (Word*)bits + offset[e];
                while (i < end && j < stop) {
                    const i64 a = target[i], b = target[j];
                    if (a == b) row[(i - begin) >> 6] |= Word(1) << ((i - begin) & 63);
                    i += a <= b;
                    j += b <= a;
                }
            }
        }
    }
}

// The bits in the intersection of all rows, and with MORE > 0 those in it and the row of one of them, and so on.
// `begin` is the first word where a bit can be: rows lead to later nodes only.
template <int MORE, typename... Rows>
SCI_DEVICE i64 extensions(const Word* matrix, const i64 width, const i64 begin, const Rows*... rows) {
    i64 count = 0;
    for (i64 w = begin; w < width; ++w) {
        Word common = (rows[w] & ...);
        if constexpr (MORE == 0) {
            count += count_bits(common);
        } else {
            while (common != 0) {
                const i64 j = 64 * w + lowest_bit(common);
                common &= common - 1;
                count += extensions<MORE - 1>(matrix, width, w, rows..., matrix + j * width);
            }
        }
    }
    return count;
}

// How many cliques of MORE + 3 nodes have an edge as their first two nodes.
//
// `matrix` is where the bits of the source of an edge begin, `place` which row is that of the edge.
// Instances: <i64, 0|1|2|3|4|5>
template <typename T, int MORE>
SCI_KERNEL count_cliques(SCI_INDEX const T* __restrict__ bits /*[words]*/, const T* __restrict__ matrix /*[edges]*/,
                         const T* __restrict__ width /*[edges]*/, const T* __restrict__ place /*[edges]*/,
                         T* __restrict__ counts /*[edges]*/, const i64 edges) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < edges; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 e = block * SCI_BLOCK + t;
            if (e < edges) {
                const Word* const own = (const Word*)bits + matrix[e];
                counts[e] = extensions<MORE>(own, width[e], place[e] >> 6, own + place[e] * width[e]);
            }
        }
    }
}
