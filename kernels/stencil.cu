// The Poisson operator of a grid of cells and the vector work of conjugate gradients around it.
//
// Arrays are padded by one layer of cells: entry (i + 1, j + 1, k + 1) of an array [p0, p1, p2] belongs to cell
// (i, j, k). Unknowns are the cells with d > 0; everything else holds zeros, so that a neighbour needs no test. A
// grid of two axes is one layer thick. Kernels work on a box = (first cell, lengths); a block takes `chunk` rows.
//
// Constant operators, D = signed char: (A u) = weight (d u - sum of 6 neighbours), d the number of faces that count.
// Variable ones, D = T: (A u) = d u - sum of link x neighbour; links[axis] holds at a cell its link to the cell before.
//
// Bytes per cell, constant / variable, in double: apply 17 / 48, curvature 9 / 40, update 49 + store / 80 + store.
// Flops per cell: 9 / 14 and 2 for each sum. The limit is memory bandwidth everywhere.
#include "neighbours.h"

// out = A u.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL apply_stencil(SCI_INDEX const T* u, const D* d, const T* links, T* out, const i64* box, const i64 p1,
                         const i64 p2, const i64 chunk, const double weight) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            SCI_ROW(k, n) {
                const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, p2);
                const T value = T(weight) * (T(d[at + k]) * u[at + k] - near);
                out[at + k] = d[at + k] > 0 ? value : T(0);
            }
        }
    }
}

// partial[block, lane] = the block's part of p'A p.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL curvature(SCI_INDEX const T* p, const D* d, const T* links, double* partial, const i64* box, const i64 p1,
                     const i64 p2, const i64 chunk, const i64 lanes, const double weight) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        double total = 0;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            double sum = 0;
            SCI_ROW_SUM(k, n, sum) {
                const T near = around<T, VARIABLE>(p, links, links + axis, links + 2 * axis, at + k, plane, p2);
                sum += double(p[at + k] * (T(d[at + k]) * p[at + k] - near));
            }
            total += sum;
        }
        partial[block * lanes + SCI_LANE] = weight * total;
    }
}

// x += step p, r -= step A p (not stored: computing it again costs less than the memory), store = scale r, and
// partial[block, lane] = the block's part of r'r.
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL update(SCI_INDEX T* x, T* r, const T* p, const D* d, const T* links, S* store, double* partial,
                  const i64* box, const i64 p1, const i64 p2, const i64 chunk, const i64 lanes, const double weight,
                  const double step, const double scale) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        double total = 0;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            double sum = 0;
            SCI_ROW_SUM(k, n, sum) {
                const T near = around<T, VARIABLE>(p, links, links + axis, links + 2 * axis, at + k, plane, p2);
                const T product = T(weight) * (T(d[at + k]) * p[at + k] - near);
                const T rest = d[at + k] > 0 ? r[at + k] - T(step) * product : T(0);
                x[at + k] += T(step) * p[at + k];
                r[at + k] = rest;
                store[at + k] = S(T(scale) * rest);
                sum += double(rest * rest);
            }
            total += sum;
        }
        partial[block * lanes + SCI_LANE] = total;
    }
}

// partial[block, lane] = the block's part of the sum of a b. 8 + size of S bytes and 2 flops a cell.
template <typename T, typename S>
SCI_KERNEL dot(SCI_INDEX const T* a, const S* b, double* partial, const i64* box, const i64 p1, const i64 p2,
               const i64 chunk, const i64 lanes) {
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        double total = 0;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            double sum = 0;
            SCI_ROW_SUM(k, n, sum) { sum += double(a[at + k] * T(b[at + k])); }
            total += sum;
        }
        partial[block * lanes + SCI_LANE] = total;
    }
}

// p = z + beta p. 16 + size of S bytes and 2 flops a cell.
template <typename T, typename S>
SCI_KERNEL direction(SCI_INDEX T* p, const S* z, const i64* box, const i64 p1, const i64 p2, const i64 chunk,
                     const double beta) {
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            SCI_ROW(k, n) { p[at + k] = T(z[at + k]) + T(beta) * p[at + k]; }
        }
    }
}
