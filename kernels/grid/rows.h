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
