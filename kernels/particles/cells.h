// Sources sorted by the cells of a grid, z fastest, and the rows of them that come near a box.
#pragma once
#include "host.h"

template <typename T>
SCI_DEVICE i64 clamp_cell(const T position, const i64 count) {
    const T above = position > 0 ? position : T(0), last = T(count - 1);  // two minima, and no branch
    return i64(above < last ? above : last);
}

template <typename T>
SCI_DEVICE T gap(const T low, const T high, const T box_low, const T box_high) {
    return low > box_high ? low - box_high : box_low > high ? box_low - high : T(0);
}

// Calls use(first, last) with the sources of each row of cells that come within the cutoff of the box [low, high].
// cells = (origin, cells per unit length).
template <typename T, typename F>
SCI_DEVICE void each_row(const T* low, const T* high, const T cutoff2, const i64* __restrict__ cell_start,
                         const T* __restrict__ cells, const i64* __restrict__ shape, const F& use) {
    const T cutoff = sqrt(cutoff2);
    const i64 n1 = shape[0], n2 = shape[1], n3 = shape[2];
    const T width1 = 1 / cells[3], width2 = 1 / cells[4], scale3 = cells[5];
    const T gap3 = gap(cells[2], cells[2] + T(n3) / scale3, low[2], high[2]), gap3_squared = gap3 * gap3;
    if (gap(cells[0], cells[0] + T(n1) * width1, low[0], high[0]) > cutoff) return;
    const i64 first1 = clamp_cell((low[0] - cutoff - cells[0]) * cells[3], n1);
    const i64 last1 = clamp_cell((high[0] + cutoff - cells[0]) * cells[3], n1);
    const i64 first2 = clamp_cell((low[1] - cutoff - cells[1]) * cells[4], n2);
    const i64 last2 = clamp_cell((high[1] + cutoff - cells[1]) * cells[4], n2);
    const T low3 = (low[2] - cells[2]) * scale3, high3 = (high[2] - cells[2]) * scale3;
    for (i64 c1 = first1; c1 <= last1; ++c1) {
        const T edge1 = cells[0] + T(c1) * width1;
        const T gap1 = gap(edge1, edge1 + width1, low[0], high[0]);
        for (i64 c2 = first2; c2 <= last2; ++c2) {
            const T edge2 = cells[1] + T(c2) * width2;
            const T gap2 = gap(edge2, edge2 + width2, low[1], high[1]);
            const T left = cutoff2 - gap1 * gap1 - gap2 * gap2;
            if (left < gap3_squared) continue;
            const T reach = sqrt(left) * scale3;
            const i64* row = cell_start + (c1 * n2 + c2) * n3;
            use(row[clamp_cell(low3 - reach, n3)], row[clamp_cell(high3 + reach, n3) + 1]);
        }
    }
}
