// One level of multigrid: red-black Gauss-Seidel, the residual, and the two transfers between a level and the next.
//
// Arrays, boxes and blocks as in stencil.cu. The equation of a level is d u - sum of link x neighbor = f with u = 0
// where d = 0, all links 1 unless VARIABLE: the weight of a constant operator is divided out of f. D is the type of d,
// signed char on the finest level of a constant operator.
//
// Bytes per cell of T = float, constant links: half sweep 13 or 16 (u read and written, f and d read), 9 when u starts
// from zero; residual 13; restriction 4 read and 1 written in its first pass; prolongation 12.5. Variable links: 12 more.
// Flops per cell: 8 for a half sweep or a residual, 13 more with variable links; 4 for the restriction, 6 for the
// prolongation. The limit is memory bandwidth.
#include "grid/neighbors.h"

// (f + sum of link x neighbor) / d, 0 where d = 0.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE T relaxed(const T* u, const T* f, const D* d, const T* links, const i64 axis, const i64 at, const i64 plane,
                     const i64 row) {
    const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at, plane, row);
    const T unknown = T(d[at] > 0);
    return unknown * (f[at] + near) / (T(d[at]) + (1 - unknown));
}

// One half sweep of a row, of the entries of one parity. `out` is u itself: a cell's neighbors have the other color
// and are not written.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void relax_row(const T* u, T* out, const T* f, const D* d, const T* links, const i64 axis, const i64 at,
                          const i64 n, const i64 plane, const i64 row, const i64 parity) {
    sci_row_half(out + at, n, parity,
                 [=](const i64 k) { return relaxed<T, D, VARIABLE>(u, f, d, links, axis, at + k, plane, row); });
}
// One half sweep, in the cells with i + j + k + color even.
// Instances: <float|double, signed char|T, false> <float|double, T, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL half_sweep(SCI_INDEX const T* u /*[p0, p1, p2]*/, T* out /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/,
                      const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/, const i64* box /*[7]*/,
                      const i64 p1, const i64 p2, const i64 chunk, const i64 color) {
    const i64 rows = box[3] * box[4], plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line), at = ((i + 1) * p1 + j + 1) * p2 + box[2] + 1;
        relax_row<T, D, VARIABLE>(u, out, f, d, links, axis, at, box[5], plane, p2, (i + j + box[2] + color) & 1);
    }
}

// u = f / d in the entries of one parity of a row, 0 in the others.
template <typename T, typename D>
SCI_DEVICE void start_row(T* u, const T* f, const D* d, const i64 at, const i64 n, const i64 parity) {
    SCI_ROW(k, n) {
        const T diagonal = T(d[at + k]), safe = diagonal > 0 ? diagonal : T(1);
        const bool on = (((k ^ int(parity)) & 1) == 0) & (diagonal > 0);
        u[at + k] = T(on) * (f[at + k] / safe);
    }
}

// The first half sweep, from u = 0: u = f / d in one color, 0 in the other.
// Instances: <float|double, signed char|T>
template <typename T, typename D>
SCI_KERNEL first_sweep(SCI_INDEX T* u /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                       const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 chunk, const i64 color) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line);
        start_row(u, f, d, ((i + 1) * p1 + j + 1) * p2 + box[2] + 1, box[5], (i + j + box[2] + color) & 1);
    }
}

// t = (f - d u + sum of link x neighbor) weights in a row, with weights = 1 unless `weighted`; t points at the row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void residual_row(const T* u, const T* f, const D* d, const T* links, const T* weights, T* t, const i64 axis,
                             const i64 at, const i64 n, const i64 plane, const i64 row, const i64 weighted) {
    SCI_ROW(k, n) {
        const T near = around<T, VARIABLE>(u, links, links + axis, links + 2 * axis, at + k, plane, row);
        t[k] = T(d[at + k] > 0) * (f[at + k] - T(d[at + k]) * u[at + k] + near);
    }
    if (weighted) SCI_ROW(k, n) { t[k] *= weights[at + k]; }
}

// Instances: <float|double, signed char|T, false> <float|double, T, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL residual(SCI_INDEX const T* u /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                    const T* links /*[3, q0, q1, q2]*/, const T* weights /*[s0, s1, s2]*/, T* t /*[p0, p1, p2]*/,
                    const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 chunk, const i64 weighted) {
    const i64 rows = box[3] * box[4], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        residual_row<T, D, VARIABLE>(u, f, d, links, weights, t + at, axis, at, box[5], plane, p2, weighted);
    }
}

// m = (a + 3 b + 3 c + d) / 4.
template <typename T>
SCI_DEVICE void mix_rows(T* m, const T* a, const T* b, const T* c, const T* d, const i64 n) {
    SCI_ROW(k, n) { m[k] = T(0.25) * (a[k] + d[k]) + T(0.75) * (b[k] + c[k]); }
}

// Restriction, first pass: m[I, J, k] = sum over fine rows (i, j) of the weights (1 3 3 1) / 4 along both axes. Axes
// of length 1 (grids of two axes) are not halved: is_2d. The box is coarse in the first two axes; the third takes whole
// padded rows of p2 entries.
// Instances: <float|double>
template <typename T>
SCI_KERNEL restrict_rows(SCI_INDEX const T* t /*[p0, p1, p2]*/, T* m /*[c0, c1, p2]*/, const i64* box /*[7]*/,
                         const i64 p1, const i64 p2, const i64 c1, const i64 chunk, const i64 is_2d) {
    const i64 rows = box[3] * box[4], plane = p1 * p2;
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line);
        T* to = m + ((i + 1) * c1 + j + 1) * p2;
        const T* base = t + (is_2d ? 1 : 2 * i) * plane + 2 * j * p2;
        if (is_2d) {
            mix_rows(to, base, base + p2, base + 2 * p2, base + 3 * p2, p2);
            continue;
        }
        SCI_ROW(k, p2) {
            const T* a = base + k;
            const T outer = a[0] + a[3 * p2] + a[3 * plane] + a[3 * plane + 3 * p2];
            const T mixed = (a[p2] + a[2 * p2] + a[3 * plane + p2] + a[3 * plane + 2 * p2]) +
                            (a[plane] + a[2 * plane] + a[plane + 3 * p2] + a[2 * plane + 3 * p2]);
            const T inner = (a[plane + p2] + a[plane + 2 * p2]) + (a[2 * plane + p2] + a[2 * plane + 2 * p2]);
            to[k] = T(0.0625) * outer + T(0.1875) * mixed + T(0.5625) * inner;
        }
    }
}

// f[K] = factor sum over k of (1 3 3 1) / 4 m[k] where d > 0, in a coarse row; m is a padded fine row.
template <typename T>
SCI_DEVICE void restrict_row(const T* m, const T* d, T* f, const i64 n, const double factor) {
    SCI_ROW(k, n) {
        const T sum = T(0.25) * (m[2 * k] + m[2 * k + 3]) + T(0.75) * (m[2 * k + 1] + m[2 * k + 2]);
        f[k] = T(d[k] > 0) * (T(factor) * sum);
    }
}

// Restriction, second pass, along the rows. p2 is the length of the padded fine rows.
// Instances: <float|double>
template <typename T>
SCI_KERNEL restrict_ends(SCI_INDEX const T* m /*[c0, c1, p2]*/, const T* d /*[c0, c1, c2]*/, T* f /*[c0, c1, c2]*/,
                         const i64* box /*[7]*/, const i64 c1, const i64 c2, const i64 p2, const i64 chunk,
                         const double factor) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 row = (box[0] + line / box[4] + 1) * c1 + box[1] + line % box[4] + 1;
        restrict_row(m + row * p2, d + row * c2 + 1, f + row * c2 + 1, box[5], factor);
    }
}

// u += weights x trilinear interpolation of the coarse e, where d > 0, in row (i, j) of the fine grid.
template <bool SHARED, typename T, typename D>
SCI_DEVICE void prolong_row(T* u, const T* e, const D* d, const T* weights, const i64 i, const i64 j, const i64 n,
                            const i64 p1, const i64 p2, const i64 c1, const i64 c2, const i64 is_2d) {
    const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
    const i64 x = is_2d ? i + 1 : i / 2 + 1, y = j / 2 + 1;
    const T* e0 = e + (x * c1 + y) * c2;
    const T* e1 = e0 + (j % 2 == 0 ? -c2 : c2);
    const i64 side = is_2d ? 0 : (i % 2 == 0 ? -c1 * c2 : c1 * c2);
    const T* e2 = e0 + side;
    const T* e3 = e1 + side;
    const T w0 = is_2d ? T(0.75) : T(0.5625), w1 = is_2d ? T(0.25) : T(0.1875);
    const T w2 = is_2d ? T(0) : T(0.1875), w3 = is_2d ? T(0) : T(0.0625);
    SCI_ROW(k, (n + 1) / 2) {
        const T before = w0 * e0[k] + w1 * e1[k] + w2 * e2[k] + w3 * e3[k];
        const T here = w0 * e0[k + 1] + w1 * e1[k + 1] + w2 * e2[k + 1] + w3 * e3[k + 1];
        const T after = w0 * e0[k + 2] + w1 * e1[k + 2] + w2 * e2[k + 2] + w3 * e3[k + 2];
        const i64 low = at + 2 * k, high = low + 1;
        T even = T(0.75) * here + T(0.25) * before, odd = T(0.75) * here + T(0.25) * after;
        if (SHARED) {
            even *= weights[low];
            odd *= weights[high];
        }
        // An odd row ends in the padding, where d = 0.
        u[low] += d[low] > 0 ? even : T(0);
        u[high] += d[high] > 0 ? odd : T(0);
    }
}

// The box is fine, in its own arrays and in e's.
// Instances: <float|double, signed char|T>
template <typename T, typename D>
SCI_KERNEL prolong(SCI_INDEX T* u /*[p0, p1, p2]*/, const T* e /*[c0, c1, c2]*/, const D* d /*[p0, p1, p2]*/,
                   const T* weights /*[s0, s1, s2]*/, const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1,
                   const i64 c2, const i64 chunk, const i64 weighted, const i64 is_2d) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line);
        if (weighted)
            prolong_row<true>(u, e, d, weights, i, j, box[5], p1, p2, c1, c2, is_2d);
        else
            prolong_row<false>(u, e, d, weights, i, j, box[5], p1, p2, c1, c2, is_2d);
    }
}
