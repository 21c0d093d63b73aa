// The rows of a box of cells as the work of blocks, chunk by chunk.
//
// A box holds seven numbers: its first cell, its three lengths, and the length of the whole grid along the first axis. A
// row runs along the third axis.
#pragma once
#include "host.h"

// SCI_CHUNKS(block, rows, chunk) { ... } runs over the chunks of rows that this block takes; in it,
// SCI_CHUNK_ROWS(line, block, rows, chunk) { ... } runs over the rows of one. SCI_EACH_ROW is both.
#define SCI_CHUNKS(block, rows, chunk) for (i64 block = blockIdx.x; block * (chunk) < (rows); block += gridDim.x)
#define SCI_CHUNK_ROWS(line, block, rows, chunk)                                                                    \
    for (i64 sci_end = (block + 1) * (chunk) < (rows) ? (block + 1) * (chunk) : (rows), line = (block) * (chunk); \
         line < sci_end; ++line)
#define SCI_EACH_ROW(line, rows, chunk) SCI_CHUNKS(sci_block, rows, chunk) SCI_CHUNK_ROWS(line, sci_block, rows, chunk)

SCI_DEVICE i64 row_i(const i64* box, const i64 line) { return box[0] + line / box[4]; }
SCI_DEVICE i64 row_j(const i64* box, const i64 line) { return box[1] + line % box[4]; }

// Where a row starts in an array [p0, p1, p2] that is padded by one layer of cells.
SCI_DEVICE i64 row_start(const i64* box, const i64 line, const i64 p1, const i64 p2) {
    return ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
}

// From the links of one axis to those of the next; 0 where there are none.
template <bool VARIABLE>
SCI_DEVICE i64 link_axis(const i64* box, const i64 plane) {
    return VARIABLE ? (box[6] + 2) * plane : 0;
}

constexpr int AHEAD = 8;  // Rows from where arrays are read to where more is asked for, which may lie beyond their end.

// Asks for a row of n entries.
template <typename T>
SCI_DEVICE void ask_for(const T* row, const i64 n) {
#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
    const char* from = (const char*)row;
    for (i64 at = 0; at < n * i64(sizeof(T)) + 64; at += 64) __builtin_prefetch(from + at, 0, 2);
#endif
}

// SCI_TILES(start, length, n) { ... } runs over a row in parts that fit the room of `Numbers`; on a GPU it is one part.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SCI_TILES(start, length, n) if (const i64 start = 0, length = (n); true)
#else
constexpr int TILE = 512;
#define SCI_TILES(start, length, n)                                                                         \
    for (i64 start = 0, length = (n) < TILE ? (n) : TILE; start < (n);                                      \
         start += TILE, length = (n) - start < TILE ? (n) - start : TILE)
#endif

// Numbers of a part of a row, by their place in the array. A host widens counts first: in a loop that reads bytes beside
// floats a vector is as many floats as bytes, and rows shorter than that would be left to single steps.
template <typename D>
struct Numbers {
    const D* d;
    SCI_DEVICE_MEMBER void read(const D* from, const i64, const i64) { d = from; }
    SCI_DEVICE_MEMBER D operator[](const i64 at) const { return d[at]; }
};
#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
template <>
struct Numbers<signed char> {
    float room[TILE];
    i64 first;
    SCI_DEVICE_MEMBER void read(const signed char* from, const i64 at, const i64 n) {
        first = at;
        SCI_ROW(k, n) { room[k] = float(from[at + k]); }
    }
    SCI_DEVICE_MEMBER float operator[](const i64 at) const { return room[at - first]; }
};
#endif
