// One level of multigrid: red-black Gauss-Seidel, the residual, and the two transfers between a level and the next.
//
// Arrays, boxes and blocks as in stencil.cu. The equation of a level is d u - sum of link x neighbour = f with u = 0
// where d = 0, all links 1 unless VARIABLE: the weight of a constant operator is divided out of f. D is the type of d,
// signed char on the finest level of a constant operator.
//
// Bytes per cell of T = float, constant links: half sweep 13 or 16 (u read and written, f and d read), 9 when u starts
// from zero; residual 13; restriction 4 read and 1 written in its first pass; prolongation 12.5. Variable links: 12
// more. Flops per cell: 8 for a half sweep or a residual, 13 more with variable links; 4 for the restriction, 6 for
// the prolongation. The limit is memory bandwidth.
#include "neighbours.h"

// One half sweep of a row: u = (f + sum of link x neighbour) / d in the entries of one parity. `out` is u itself: a
// cell's neighbours have the other colour and are not written, so that the compiler may take the two for different
// arrays, without which it does not vectorise.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void relax_row(const T* u, T* __restrict__ out, const T* f, const D* d, const T* links, const i64 axis,
                          const i64 at, const i64 n, const i64 plane, const i64 row, const i64 parity) {
    SCI_ROW_HALF(k, n, parity, on) {
        const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, row);
        const T unknown = T(d[at + k] > 0), old = u[at + k];
        const T value = unknown * (f[at + k] + near) / (T(d[at + k]) + (1 - unknown));
        out[at + k] = on ? value : old;
    }
}

// One half sweep, in the cells with i + j + k + colour even.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL half_sweep(SCI_INDEX const T* u, T* out, const T* f, const D* d, const T* links, const i64* box,
                      const i64 p1, const i64 p2, const i64 chunk, const i64 colour) {
    const i64 rows = box[3] * box[4], plane = p1 * p2, axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 i = box[0] + line / box[4], j = box[1] + line % box[4];
            const i64 at = ((i + 1) * p1 + j + 1) * p2 + box[2] + 1;
            relax_row<T, D, VARIABLE>(u, out, f, d, links, axis, at, box[5], plane, p2, (i + j + box[2] + colour) & 1);
        }
    }
}

// `count` half sweeps in turn, by one block and one thread of a host: each follows the one before a plane behind, so
// that all of them read and write a plane while it is in cache, and memory is gone through once: 13 bytes a cell.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL sweeps(SCI_INDEX const T* u, T* out, const T* f, const D* d, const T* links, const i64* box, const i64 p1,
                  const i64 p2, const i64 count, const i64 colour) {
    const i64 plane = p1 * p2, axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 s = 0; s < box[3] + count - 1; ++s)
        for (i64 h = s < box[3] ? 0 : s - box[3] + 1; h < count && h <= s; ++h)
            for (i64 j = 0; j < box[4]; ++j) {
                const i64 i = s - h, at = ((i + 1) * p1 + j + 1) * p2 + 1;
                relax_row<T, D, VARIABLE>(u, out, f, d, links, axis, at, box[5], plane, p2, (i + j + colour + h) & 1);
            }
}

// The first half sweep, from u = 0: u = f / d in one colour, 0 in the other.
template <typename T, typename D>
SCI_KERNEL first_sweep(SCI_INDEX T* u, const T* f, const D* d, const i64* box, const i64 p1, const i64 p2,
                       const i64 chunk, const i64 colour) {
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 i = box[0] + line / box[4], j = box[1] + line % box[4];
            const i64 at = ((i + 1) * p1 + j + 1) * p2 + box[2] + 1;
            const i64 parity = (i + j + box[2] + colour) & 1;
            SCI_ROW(k, n) {
                const T diagonal = T(d[at + k]), safe = diagonal > 0 ? diagonal : T(1);
                const bool on = ((k ^ int(parity)) & 1) == 0 && diagonal > 0;
                u[at + k] = on ? f[at + k] / safe : T(0);
            }
        }
    }
}

// t = (f - d u + sum of link x neighbour) share, with share = 1 unless SHARED.
template <typename T, typename D, bool VARIABLE, bool SHARED>
SCI_KERNEL residual(SCI_INDEX const T* u, const T* f, const D* d, const T* links, const T* share, T* t,
                    const i64* box, const i64 p1, const i64 p2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = VARIABLE ? (box[6] + 2) * plane : 0;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 at = ((box[0] + line / box[4] + 1) * p1 + box[1] + line % box[4] + 1) * p2 + box[2] + 1;
            SCI_ROW(k, n) {
                const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, p2);
                const T rest = f[at + k] - T(d[at + k]) * u[at + k] + near;
                t[at + k] = d[at + k] > 0 ? (SHARED ? rest * share[at + k] : rest) : T(0);
            }
        }
    }
}

// Restriction, first pass: m[I, J, k] = sum over fine rows (i, j) of the weights (1 3 3 1) / 4 along both axes. Axes
// of length 1 (grids of two axes) are not halved: FLAT. The box is coarse in the first two axes; the third takes whole
// padded rows of p2 entries.
template <typename T, bool FLAT>
SCI_KERNEL restrict_rows(SCI_INDEX const T* t, T* m, const i64* box, const i64 p1, const i64 p2, const i64 c1,
                         const i64 chunk) {
    const i64 rows = box[3] * box[4], plane = p1 * p2;
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 i = box[0] + line / box[4], j = box[1] + line % box[4];
            const i64 at = ((i + 1) * c1 + j + 1) * p2;
            const T* base = t + (FLAT ? 1 : 2 * i) * plane + 2 * j * p2;
            SCI_ROW(k, p2) {
                const T* a = base + k;
                T sum;
                if (FLAT) {
                    sum = T(0.25) * (a[0] + a[3 * p2]) + T(0.75) * (a[p2] + a[2 * p2]);
                } else {
                    const T outer = a[0] + a[3 * p2] + a[3 * plane] + a[3 * plane + 3 * p2];
                    const T mixed = (a[p2] + a[2 * p2] + a[3 * plane + p2] + a[3 * plane + 2 * p2]) +
                                    (a[plane] + a[2 * plane] + a[plane + 3 * p2] + a[2 * plane + 3 * p2]);
                    const T inner = (a[plane + p2] + a[plane + 2 * p2]) + (a[2 * plane + p2] + a[2 * plane + 2 * p2]);
                    sum = T(0.0625) * outer + T(0.1875) * mixed + T(0.5625) * inner;
                }
                m[at + k] = sum;
            }
        }
    }
}

// Restriction, second pass: f[I, J, K] = factor sum over k of (1 3 3 1) / 4 m[I, J, k] where d > 0. p2 is the length
// of the padded fine rows.
template <typename T>
SCI_KERNEL restrict_ends(SCI_INDEX const T* m, const T* d, T* f, const i64* box, const i64 c1, const i64 c2,
                         const i64 p2, const i64 chunk, const double factor) {
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 row = (box[0] + line / box[4] + 1) * c1 + box[1] + line % box[4] + 1;
            const i64 at = row * c2 + 1;
            const T* from = m + row * p2;
            SCI_ROW(k, n) {
                const T sum = T(0.25) * (from[2 * k] + from[2 * k + 3]) + T(0.75) * (from[2 * k + 1] + from[2 * k + 2]);
                f[at + k] = d[at + k] > 0 ? T(factor) * sum : T(0);
            }
        }
    }
}

// u += share x trilinear interpolation of the coarse e, where d > 0; box is fine, in its own arrays and in e's.
template <typename T, typename D, bool SHARED, bool FLAT>
SCI_KERNEL prolong(SCI_INDEX T* u, const T* e, const D* d, const T* share, const i64* box, const i64 p1,
                   const i64 p2, const i64 c1, const i64 c2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 block = blockIdx.x; block * chunk < rows; block += gridDim.x) {
        const i64 end = (block + 1) * chunk < rows ? (block + 1) * chunk : rows;
        for (i64 line = block * chunk; line < end; ++line) {
            const i64 i = box[0] + line / box[4], j = box[1] + line % box[4];
            const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
            const i64 x = FLAT ? i + 1 : i / 2 + 1, y = j / 2 + 1;
            const T* e0 = e + (x * c1 + y) * c2;
            const T* e1 = e0 + (j % 2 == 0 ? -c2 : c2);
            const i64 side = FLAT ? 0 : (i % 2 == 0 ? -c1 * c2 : c1 * c2);
            const T* e2 = e0 + side;
            const T* e3 = e1 + side;
            const T w0 = FLAT ? T(0.75) : T(0.5625), w1 = FLAT ? T(0.25) : T(0.1875);
            const T w2 = FLAT ? T(0) : T(0.1875), w3 = FLAT ? T(0) : T(0.0625);
            SCI_ROW(k, (n + 1) / 2) {
                const T before = w0 * e0[k] + w1 * e1[k] + w2 * e2[k] + w3 * e3[k];
                const T here = w0 * e0[k + 1] + w1 * e1[k + 1] + w2 * e2[k + 1] + w3 * e3[k + 1];
                const T after = w0 * e0[k + 2] + w1 * e1[k + 2] + w2 * e2[k + 2] + w3 * e3[k + 2];
                const i64 low = at + 2 * k, high = low + 1;
                T even = T(0.75) * here + T(0.25) * before, odd = T(0.75) * here + T(0.25) * after;
                if (SHARED) {
                    even *= share[low];
                    odd *= share[high];
                }
                // An odd row ends in the padding, where d = 0.
                u[low] += d[low] > 0 ? even : T(0);
                u[high] += d[high] > 0 ? odd : T(0);
            }
        }
    }
}
