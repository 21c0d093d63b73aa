// The Poisson operator of a grid of cells and the vector work of conjugate gradients around it.
//
// Arrays are padded by one layer of cells: entry (i + 1, j + 1, k + 1) of an array [p0, p1, p2] belongs to cell
// (i, j, k). Unknowns are the cells with d > 0; everything else holds zeros, so that a neighbour needs no test. A
// grid of two axes is one layer thick. Kernels work on a box = (first cell, lengths); a block takes `chunk` rows.
//
// Constant operators, D = signed char: (A u) = weight (d u - sum of 6 neighbours), d the number of faces that count.
// Variable ones, D = T: (A u) = d u - sum of link x neighbour; links[axis] holds at a cell its link to the cell before.
//
// S is the type of the search direction p and of what a preconditioner takes and gives: a float32 cycle makes it float,
// which costs conjugate gradients nothing, as x and r, in double, follow the p that was stored.
//
// Bytes per cell, constant / variable, with s bytes in S: apply 17 / 48, curvature 1 + s / 32 + s, conjugate 1 + 3 s /
// 32 + 3 s, update 33 + 2 s / 64 + 2 s. Flops per cell: 9 / 14 and 2 for each sum. The limit is memory bandwidth
// everywhere.
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

// The part of one row in p'A p / weight. Constant operators take differences, which lose nothing in float: the six of
// a cell, two of them with zeros in a grid of two axes, and d - 6 for the faces that do not count.
template <typename T, typename D, bool VARIABLE, typename S>
SCI_DEVICE double curvature_row(const S* p, const D* d, const T* links, const i64 axis, const i64 at, const i64 n,
                                const i64 plane, const i64 row) {
    double sum = 0;
    SCI_ROW_SUM(k, n, sum) {
        if (VARIABLE) {
            const T near = around<T, VARIABLE>(p, links, links + axis, links + 2 * axis, at + k, plane, row);
            sum += double(T(p[at + k]) * (T(d[at + k]) * T(p[at + k]) - near));
        } else {
            const S* q = p + at + k;
            const S here = q[0], outer = (here - q[-plane]) + (here - q[plane]);
            const S inner = ((here - q[-row]) + (here - q[row])) + ((here - q[-1]) + (here - q[1]));
            sum += double(here * ((S(d[at + k]) - 6) * here + outer + inner));
        }
    }
    return sum;
}

// partial[block, lane] = the block's part of p'A p.
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL curvature(SCI_INDEX const S* p, const D* d, const T* links, double* partial, const i64* box, const i64 p1,
                     const i64 p2, const i64 chunk, const i64 lanes, const double weight) {
    const i64 rows = box[3] * box[4], plane = p1 * p2;
    const i64 axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        double total = 0;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            total += curvature_row<T, D, VARIABLE>(p, d, links, axis, at, box[5], plane, p2);
        }
        partial[block * lanes + SCI_LANE] = weight * total;
    }
}

// x += step p, r -= step A p (not stored: computing it again costs less than the memory), store = scale r, and
// partial[block, lane] = the block's part of r'r.
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL update(SCI_INDEX T* x, T* r, const S* p, const D* d, const T* links, S* store, double* partial,
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
                const T here = T(p[at + k]), product = T(weight) * (T(d[at + k]) * here - near);
                const T rest = d[at + k] > 0 ? r[at + k] - T(step) * product : T(0);
                x[at + k] += T(step) * here;
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

// p = z + beta p in a row.
template <typename T, typename S>
SCI_DEVICE void direction_row(S* p, const S* z, const i64 at, const i64 n, const double beta) {
    SCI_ROW(k, n) { p[at + k] = S(T(z[at + k]) + T(beta) * T(p[at + k])); }
}

// 3 s bytes and 2 flops a cell.
template <typename T, typename S>
SCI_KERNEL direction(SCI_INDEX S* p, const S* z, const i64* box, const i64 p1, const i64 p2, const i64 chunk,
                     const double beta) {
    const i64 rows = box[3] * box[4];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line)
            direction_row<T>(p, z, ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1,
                             box[5], beta);
    }
}

// Both in one pass, on one block and one thread of a host: p = z + beta p, and product = p'A p a plane behind it.
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL conjugate(SCI_INDEX S* p, const S* z, const D* d, const T* links, double* product, const i64* box,
                     const i64 p1, const i64 p2, const double weight, const double beta) {
    const i64 n = box[3], plane = p1 * p2, axis = VARIABLE ? (box[6] + 2) * plane : 0;
    double total = 0;
    for (i64 s = 0; s <= n; ++s) {
        for (i64 j = 0; j < box[4] && s < n; ++j) direction_row<T>(p, z, ((s + 1) * p1 + j + 1) * p2 + 1, box[5], beta);
        for (i64 j = 0; j < box[4] && s > 0; ++j)
            total += curvature_row<T, D, VARIABLE>(p, d, links, axis, (s * p1 + j + 1) * p2 + 1, box[5], plane, p2);
    }
    product[0] = weight * total;
}
