// The Poisson operator of a grid of cells and the vector work of conjugate gradients around it.
//
// Arrays are padded by one layer of cells: entry (i + 1, j + 1, k + 1) of an array [p0, p1, p2] belongs to cell
// (i, j, k). Unknowns are the cells with d > 0; everything else holds zeros, so that a neighbor needs no test. A
// grid of two axes is one layer thick. Kernels work on a box = (first cell, lengths); a block takes `chunk` rows.
//
// Constant operators, D = signed char: (A u) = weight (d u - sum of 6 neighbors), d the number of faces that count.
// Variable ones, D = T: (A u) = d u - sum of link x neighbor; links[axis] holds at a cell its link to the cell before.
//
// S is the type of the search direction p, of the residual f and of what a preconditioner gives: a float32 cycle makes it
// float. That costs conjugate gradients nothing, as x, in double, follows the p that was stored, and f is set from b - A x
// in double before rounding shows in it.
//
// Bytes per cell, constant / variable, with s bytes in S: apply 17 / 48, quadratic_form 1 + s / 32 + s, cg_step
// 1 + 5 s / 32 + 5 s and 16 where x moves, scaled_residual 17 + s / 48 + s, axpy 16 + s, dot 2 s. Flops per cell: 9 / 14
// for a product with A, 14 more for p in cg_step, 2 for each sum. The limit is memory bandwidth everywhere.
#include "grid/neighbors.h"

// out = A u.
// Instances: <float|double, signed char, false> <double, double, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL apply_stencil(SCI_INDEX const T* u /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                         const T* links /*[3, q0, q1, q2]*/, T* out /*[p0, p1, p2]*/, const i64* box /*[7]*/,
                         const i64 p1, const i64 p2, const i64 chunk, const double weight) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        SCI_TILES(start, length, n) {
            Numbers<D> numbers;
            numbers.read(d, at + start, length);
            SCI_ROW(k, length) {
                const i64 here = at + start + k;
                const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, here, plane, p2);
                const T diagonal = T(numbers[here]), value = T(weight) * (diagonal * u[here] - near);
                out[here] = diagonal > 0 ? value : T(0);
            }
        }
    }
}

// p = z + beta old, which is not read where it is written.
template <typename S>
struct Direction {
    const S *z, *old;
    S beta;
    SCI_DEVICE_MEMBER S at(const i64 k) const { return z[k] + beta * old[k]; }
};

// partial[block, lane] = the block's part of u'A u.
// Instances: <double, signed char, false, float|double> <double, double, true, float|double>
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL quadratic_form(SCI_INDEX const S* u /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                     const T* links /*[3, q0, q1, q2]*/, double* partial /*[blocks, lanes]*/, const i64* box /*[7]*/,
                     const i64 p1, const i64 p2, const i64 chunk, const i64 lanes, const double weight) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    const Field<S> field = {u};
    SCI_CHUNKS(block, rows, chunk) {
        double total = 0;
        SCI_CHUNK_ROWS(line, block, rows, chunk) {
            const i64 at = row_start(box, line, p1, p2);
            decltype(product<T, VARIABLE>(field, d, links, axis, at, plane, p2)) sum = 0;
            SCI_TILES(start, length, n) {
                Numbers<D> numbers;
                numbers.read(d, at + start, length);
                SCI_ROW_SUM(k, length, sum) {
                    const i64 here = at + start + k;
                    sum += u[here] * product<T, VARIABLE>(field, numbers, links, axis, here, plane, p2);
                }
            }
            total += double(sum);
        }
        partial[block * lanes + SCI_LANE] = weight * total;
    }
}

// A step of conjugate gradients: p = z + beta old, residual = f - step A p / weight, and where it moves, x += before old +
// now p; partial[block, lane] = the block's part of residual'residual. A p is computed from z and old, so that no block
// reads what another one writes; `residual` may be f. p is set in the halo as well.
// Instances: <double, signed char, false, float|double> <double, double, true, float|double>
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL cg_step(SCI_INDEX const S* z /*[p0, p1, p2]*/, const S* old /*[p0, p1, p2]*/, S* p /*[p0, p1, p2]*/,
                   T* x /*[p0, p1, p2]*/, const S* f /*[p0, p1, p2]*/, S* residual /*[p0, p1, p2]*/,
                   const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/, double* partial /*[blocks, lanes]*/,
                   const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 chunk, const i64 lanes,
                   const double beta, const double step, const i64 moves, const double before, const double now) {
    const i64 rows = (box[3] + 2) * (box[4] + 2), n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    const Direction<S> direction = {z, old, S(beta)};
    SCI_CHUNKS(block, rows, chunk) {
        double total = 0;
        SCI_CHUNK_ROWS(line, block, rows, chunk) {
            const i64 i = line / (box[4] + 2), j = line % (box[4] + 2), at = (i * p1 + j) * p2 + 1;
            if (i == 0 || j == 0 || i > box[3] || j > box[4]) {
                SCI_ROW(k, n + 2) { p[at + k - 1] = direction.at(at + k - 1); }
                continue;
            }
            const i64 later = at + AHEAD * p2;
            ask_for(z + later + plane, n);
            ask_for(old + later + plane, n);
            ask_for(f + later, n);
            if (moves) ask_for(x + later, n);
            SCI_ROW(k, 2) { p[at + k * (n + 1) - 1] = direction.at(at + k * (n + 1) - 1); }
            decltype(product<T, VARIABLE>(direction, d, links, axis, at, plane, p2)) sum = 0;
            SCI_TILES(start, length, n) {
                Numbers<D> numbers;
                numbers.read(d, at + start, length);
                SCI_ROW_SUM(k, length, sum) {
                    const i64 here = at + start + k;
                    const auto value = product<T, VARIABLE>(direction, numbers, links, axis, here, plane, p2);
                    const S given = f[here];
                    const S left = numbers[here] > 0 ? S(given - decltype(value + value)(step) * value) : S(0);
                    p[here] = direction.at(here);
                    residual[here] = left;
                    sum += decltype(sum)(left) * left;
                }
            }
            total += double(sum);
            if (moves) SCI_ROW(k, n) { x[at + k] += T(before) * T(old[at + k]) + T(now) * T(p[at + k]); }
        }
        partial[block * lanes + SCI_LANE] = total;
    }
}

// f = scale (b - A x) and partial[block, lane] = the block's part of f'f, before f is rounded. b has `inset` layers of
// cells around the grid.
// Instances: <double, signed char, false, float|double> <double, double, true, float|double>
template <typename T, typename D, bool VARIABLE, typename S>
SCI_KERNEL scaled_residual(SCI_INDEX const T* x /*[p0, p1, p2]*/, const T* b /*[b0, b1, b2]*/, S* f /*[p0, p1, p2]*/,
                     const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                     double* partial /*[blocks, lanes]*/, const i64* box /*[7]*/, const i64 p1, const i64 p2,
                     const i64 chunk, const i64 lanes, const i64 b1, const i64 b2, const i64 inset, const double weight,
                     const double scale) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    const Field<T> field = {x};
    SCI_CHUNKS(block, rows, chunk) {
        double total = 0;
        SCI_CHUNK_ROWS(line, block, rows, chunk) {
            const i64 i = line / box[4], j = line % box[4], at = ((i + 1) * p1 + j + 1) * p2 + 1;
            const T* right = b + ((i + inset) * b1 + j + inset) * b2 + inset;
            double sum = 0;
            SCI_TILES(start, length, n) {
                Numbers<D> numbers;
                numbers.read(d, at + start, length);
                SCI_ROW_SUM(k, length, sum) {
                    const i64 here = at + start + k;
                    const T value = T(weight) * product<T, VARIABLE>(field, numbers, links, axis, here, plane, p2);
                    const T given = right[start + k], left = numbers[here] > 0 ? T(scale) * (given - value) : T(0);
                    f[here] = S(left);
                    sum += double(left * left);
                }
            }
            total += sum;
        }
        partial[block * lanes + SCI_LANE] = total;
    }
}

// x += step p.
// Instances: <double, float|double>
template <typename T, typename S>
SCI_KERNEL axpy(SCI_INDEX T* x /*[p0, p1, p2]*/, const S* p /*[p0, p1, p2]*/, const i64* box /*[7]*/, const i64 p1,
                const i64 p2, const i64 chunk, const double step) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        SCI_ROW(k, box[5]) { x[at + k] += T(step) * T(p[at + k]); }
    }
}

// partial[block, lane] = the block's part of the sum of a b.
// Instances: <float|double>
template <typename S>
SCI_KERNEL dot(SCI_INDEX const S* a /*[p0, p1, p2]*/, const S* b /*[p0, p1, p2]*/, double* partial /*[blocks, lanes]*/,
               const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 chunk, const i64 lanes) {
    const i64 rows = box[3] * box[4], n = box[5];
    SCI_CHUNKS(block, rows, chunk) {
        double total = 0;
        SCI_CHUNK_ROWS(line, block, rows, chunk) {
            const i64 at = row_start(box, line, p1, p2);
            double sum = 0;
            SCI_ROW_SUM(k, n, sum) { sum += double(a[at + k]) * double(b[at + k]); }
            total += sum;
        }
        partial[block * lanes + SCI_LANE] = total;
    }
}
