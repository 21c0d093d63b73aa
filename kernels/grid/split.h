// Rows of a grid in two halves, the entries of even and of odd k, in rings of planes: a half sweep of red-black
// Gauss-Seidel then reads and writes whole vectors of one color, and half of the grid is left alone.
//
// A host goes through a tile of rows plane by plane; each step follows the one before it a plane behind and covers a row
// less at both ends, so that tiles depend on nothing but what they read, and planes of a tile stay in the second cache.
#pragma once
#include "grid/rows.h"

constexpr int SPLIT = 16;  // Entries between the halves of a row, and what their lengths are rounded up to.

// What all tiles share: the lengths, those of a half row, and steps of the arrays of the grid and of the coarse one.
struct Shape {
    i64 n0, n1, n2, half, p1, p2, c1, c2;
    SCI_DEVICE_MEMBER i64 row_of(const i64 i, const i64 j) const { return ((i + 1) * p1 + j + 1) * p2 + 1; }
    SCI_DEVICE_MEMBER i64 coarse_row(const i64 I, const i64 J) const { return ((I + 1) * c1 + J + 1) * c2 + 1; }
    // Number of a row in arrays without a halo.
    SCI_DEVICE_MEMBER i64 line(const i64 i, const i64 j) const { return i * n1 + j; }
};

SCI_DEVICE Shape shape_of(const i64* box, const i64 p1, const i64 p2, const i64 c1, const i64 c2) {
    return {box[3], box[4], box[5], (box[5] + 2 * SPLIT - 1) / (2 * SPLIT) * SPLIT, p1, p2, c1, c2};
}

// Rows of a plane; beyond the grid, one row of zeros for all.
template <typename T>
struct Plane {
    T* base;
    i64 step;
    SCI_DEVICE_MEMBER T* row(const i64 j) const { return base + j * step; }
};

// A ring of `planes` planes of split rows: those of a tile, from row `first` on.
template <typename T>
struct Ring {
    T *data, *zeros;
    i64 planes, rows, first, step, n0;
    SCI_DEVICE_MEMBER Plane<T> plane(const i64 i) const {
        if (i < 0 || i >= n0) return {zeros, 0};
        return {data + ((i % planes) * rows - first) * step, step};
    }
};

// body(m) for 0 <= m < n, a multiple of SPLIT.
#define SCI_HALF(m, n)                      \
    for (int sci_m = 0; sci_m < int(n); sci_m += SPLIT) \
        _Pragma("omp simd") for (int m = sci_m; m < sci_m + SPLIT; ++m)

// The six neighbors of the entries of one parity in a row, and, where VARIABLE, the links to them.
template <typename T, bool VARIABLE>
struct Around {
    const T *u0, *u1, *u2, *u3, *u4, *u5;
    const T *l0, *l1, *l2, *l3, *l4, *l5;
    SCI_DEVICE_MEMBER T sum(const int m) const {
        if (VARIABLE)
            return l0[m] * u0[m] + l1[m] * u1[m] + l2[m] * u2[m] + l3[m] * u3[m] + l4[m] * u4[m] + l5[m] * u5[m];
        return ((u0[m] + u1[m]) + (u2[m] + u3[m])) + (u4[m] + u5[m]);
    }
};

// Planes i - 1, i and i + 1 of u and of the links; n rows a plane.
template <typename T, bool VARIABLE>
struct Three {
    Plane<T> before, here, after, x0, x1, y, z;
    T* zeros;
    i64 n, odd;
    SCI_DEVICE_MEMBER Three(const Ring<T>& u, const Ring<T>* links, const i64 i, const i64 n, const i64 odd)
        : before(u.plane(i - 1)), here(u.plane(i)), after(u.plane(i + 1)), zeros(u.zeros), n(n), odd(odd) {
        if (VARIABLE) {
            x0 = links[0].plane(i);
            x1 = links[0].plane(i + 1);
            y = links[1].plane(i);
            z = links[2].plane(i);
        }
    }
    SCI_DEVICE_MEMBER Around<T, VARIABLE> around(const i64 j, const i64 parity) const {
        const i64 own = parity ? odd : 0, low = parity ? 0 : odd - 1;
        const T *row = here.row(j), *back = j > 0 ? row - here.step : zeros, *on = j < n - 1 ? row + here.step : zeros;
        Around<T, VARIABLE> a;
        a.u0 = before.row(j) + own;
        a.u1 = after.row(j) + own;
        a.u2 = back + own;
        a.u3 = on + own;
        a.u4 = row + low;
        a.u5 = row + low + 1;
        if (VARIABLE) {
            a.l0 = x0.row(j) + own;
            a.l1 = x1.row(j) + own;
            a.l2 = y.row(j) + own;
            a.l3 = (j < n - 1 ? y.row(j + 1) : zeros) + own;
            a.l4 = z.row(j) + own;
            a.l5 = z.row(j) + low + 1;
        }
        return a;
    }
};

// The halves of a row of the grid.
template <typename T, typename S>
SCI_DEVICE void split_row(T* even, T* odd, const S* from, const i64 n) {
    SCI_ROW(m, n) {
        even[m] = T(from[2 * m]);
        odd[m] = T(from[2 * m + 1]);
    }
}

template <typename T>
SCI_DEVICE void merge_row(T* to, const T* even, const T* odd, const i64 n) {
    SCI_ROW(m, n) {
        to[2 * m] = even[m];
        to[2 * m + 1] = odd[m];
    }
}

// 1 / d, and 0 where d = 0, from counts d or as it is given.
template <typename T>
SCI_DEVICE void inverse_row(T* w, const signed char* d, const i64 n) {
    SCI_ROW(m, n) { w[m] = T(d[m]); }
    SCI_ROW(m, n) {
        const T safe = w[m] > 0 ? w[m] : T(1);
        w[m] = w[m] > 0 ? 1 / safe : T(0);
    }
}
template <typename T>
SCI_DEVICE void inverse_row(T* w, const T* inverse, const i64 n) {
    SCI_HALF(m, n) { w[m] = inverse[m]; }
}
