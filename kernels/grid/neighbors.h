// The sum of links times neighbors around an entry of a padded array, which the kernels of Poisson problems share.
#pragma once
#include "grid/rows.h"

// All links are 1 unless VARIABLE. A link is held at the cell after it. The sum is one of type T, whatever u's is.
template <typename T, bool VARIABLE, typename S>
SCI_DEVICE T around(const S* u, const T* x_link, const T* y_link, const T* z_link, const i64 at, const i64 plane,
                    const i64 row) {
    if (VARIABLE)
        return x_link[at] * T(u[at - plane]) + x_link[at + plane] * T(u[at + plane]) + y_link[at] * T(u[at - row]) +
               y_link[at + row] * T(u[at + row]) + z_link[at] * T(u[at - 1]) + z_link[at + 1] * T(u[at + 1]);
    return ((T(u[at - plane]) + T(u[at + plane])) + (T(u[at - row]) + T(u[at + row]))) +
           (T(u[at - 1]) + T(u[at + 1]));
}

// An array that `product` reads.
template <typename S>
struct Field {
    const S* u;
    SCI_DEVICE_MEMBER S at(const i64 k) const { return u[k]; }
};

// (A u) / weight in a cell. Constant operators take differences, which lose nothing in float: the six of a cell, two of
// them with zeros in a grid of two axes, and d - 6 for the faces that do not count.
template <typename T, bool VARIABLE, typename N, typename F>
SCI_DEVICE auto product(const F& u, const N& d, const T* links, const i64 axis, const i64 at, const i64 plane,
                        const i64 row) {
    const auto here = u.at(at);
    if constexpr (VARIABLE) {
        const T *x = links + at, *y = x + axis, *z = y + axis;
        const T near = x[0] * T(u.at(at - plane)) + x[plane] * T(u.at(at + plane)) + y[0] * T(u.at(at - row)) +
                       y[row] * T(u.at(at + row)) + z[0] * T(u.at(at - 1)) + z[1] * T(u.at(at + 1));
        return T(d[at]) * T(here) - near;
    } else {
        const auto outer = (here - u.at(at - plane)) + (here - u.at(at + plane));
        const auto inner = ((here - u.at(at - row)) + (here - u.at(at + row))) +
                           ((here - u.at(at - 1)) + (here - u.at(at + 1)));
        return (decltype(here + here)(d[at]) - 6) * here + outer + inner;
    }
}

// A plane's part of u'A u.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE double energy_plane(const T* u, const D* d, const T* links, const i64* box, const i64 axis, const i64 i,
                               const i64 p1, const i64 p2) {
    const Field<T> field = {u};
    double total = 0;
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        T sum = 0;
        SCI_TILES(start, length, box[5]) {
            Numbers<D> numbers;
            numbers.read(d, at + start, length);
            SCI_ROW_SUM(k, length, sum) {
                const i64 here = at + start + k;
                sum += u[here] * product<T, VARIABLE>(field, numbers, links, axis, here, p1 * p2, p2);
            }
        }
        total += double(sum);
    }
    return total;
}

// Calls row(rows, to) for each coarse row that is complete once fine plane i is there: the four rows around it of the ring
// m of four planes (c1 rows of p2 entries), `zeros` beyond the grid, and where it lies in a padded coarse array.
template <typename T, typename F>
SCI_DEVICE void each_coarse_row(const T* m, const T* zeros, const i64* box, const i64 i, const i64 p2, const i64 c1,
                                const i64 c2, const F& row) {
    const i64 n = box[3];
    for (i64 I = (i & 1) == 0 ? i / 2 - 1 : i / 2; I <= i / 2; ++I) {
        if (I < 0 || (2 * I + 2 > i && i < n - 1)) continue;
        for (i64 J = 0; J < (box[4] + 1) / 2; ++J) {
            const T* rows[4];
            for (i64 k = 0; k < 4; ++k) {
                const i64 from = 2 * I - 1 + k;
                rows[k] = from < 0 || from >= n ? zeros : m + ((from & 3) * c1 + J) * p2;
            }
            row(rows, ((I + 1) * c1 + J + 1) * c2 + 1);
        }
    }
}
