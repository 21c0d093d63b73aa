// What a level of the learned V-cycle does before and after its coarse correction, each in one pass through memory, on
// one block and one thread of a host. Arrays and arithmetic are those of cycle.cu. Steps follow one another a plane
// behind, so that all of them read and write a plane while it is in cache. A step writes plane i where plane i - 1 of its
// input lies, which nothing reads any more: u holds 2 count - 2 planes beside the grid's, starts that many planes late,
// and ends in place.
//
// Bytes a cell of memory, constant links: 16 down (f, jacobi, d, share read, u written), 16.5 up (u written and read, e
// read too); at 12 to 16 GB/s of one core 2 to 3 ns. Flops a cell: 31 down, 31 up and 3 a cell for the product.
#include "cycle.h"

template <typename T>
SCI_DEVICE void clear_plane(T* u, const i64 plane) {
    SCI_ROW(k, plane) { u[k] = 0; }
}

template <typename T>
SCI_DEVICE void mix_rows(T* m, const T* const* r, const T* taps, const i64 n) {
    const T a = taps[0], b = taps[1], c = taps[2], e = taps[3];
    const T *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    SCI_ROW(k, n) { m[k] = (a * r0[k] + e * r3[k]) + (b * r1[k] + c * r2[k]); }
}

// A step of a plane, from u to the plane before it; the last plane leaves zeros behind.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void step_plane(T* u, const T* f, const Half* jacobi, const D* d, const T* links, const i64* box,
                           const i64 axis, const i64 i, const i64 p1, const i64 p2, const T a) {
    const i64 plane = p1 * p2;
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        step_row<T, D, VARIABLE>(u, f, jacobi, d, links, u + at - plane, axis, at, box[5], plane, p2, a);
    }
    if (i == box[3] - 1) clear_plane(u + (i + 1) * plane, plane);
}

// What a plane's restriction adds up along the second axis: m[J, k]. `room` holds four rows of the residual and one of
// zeros.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void gather_plane(const T* u, const T* f, const signed char* share, const D* d, const T* links, T* room, T* m,
                             const T* taps, const i64* box, const i64 axis, const i64 i, const i64 p1, const i64 p2) {
    const i64 n = box[4];
    for (i64 j = 0; j < n; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        defect_row<T, D, VARIABLE>(u, f, share, d, links, room + (j & 3) * p2 + 1, axis, at, box[5], p1 * p2, p2);
        // Row J takes fine rows 2 J - 1 to 2 J + 2; the last one does not wait for those beyond the grid.
        for (i64 J = (j & 1) == 0 ? j / 2 - 1 : j / 2; J <= j / 2; ++J) {
            if (J < 0 || (2 * J + 2 > j && j < n - 1)) continue;
            const T* rows[4];
            for (i64 k = 0; k < 4; ++k) {
                const i64 from = 2 * J - 1 + k;
                rows[k] = room + (from < 0 || from >= n ? 4 : from & 3) * p2;
            }
            mix_rows(m + J * p2, rows, taps + 4, p2);
        }
    }
}

// Two steps from zero, count - 2 more, and the restriction of the residual to below_f. `room`, zero at the start, holds
// 6 + 4 c1 rows of p2 entries.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_descend(SCI_INDEX T* u, const T* f, const Half* jacobi, const signed char* share, const D* d,
                          const T* links, const double* damping, T* room, const Half* below_jacobi, T* below_f,
                          const T* taps, const i64* strides, const i64* box, const i64 p1, const i64 p2, const i64 c1,
                          const i64 c2, const i64 count, const double gain) {
    const i64 n = box[3], plane = p1 * p2, axis = VARIABLE ? (box[6] + 2) * plane : 0;
    const T sum = T(damping[0] + damping[1]), product = T(damping[0] * damping[1]);
    T* start = u + (2 * count - 2) * plane;
    T* total = room + 5 * p2;
    T* m = room + 6 * p2;
    clear_plane(u, (2 * count - 1) * plane);
    for (i64 s = 0; s < n + count - 1; ++s) {
        if (s < n)
            for (i64 j = 0; j < box[4]; ++j) {
                const i64 at = ((s + 1) * p1 + j + 1) * p2 + 1;
                first_row<T, D, VARIABLE>(f, jacobi, d, links, start + at, axis, at, box[5], plane, p2, sum, product);
            }
        for (i64 h = 1; h < count - 1; ++h)
            if (s - h >= 0 && s - h < n)
                step_plane<T, D, VARIABLE>(start - (h - 1) * plane, f, jacobi, d, links, box, axis, s - h, p1, p2,
                                           T(damping[h + 1]));
        const i64 i = s - count + 1;
        if (i < 0) continue;
        gather_plane<T, D, VARIABLE>(u + count * plane, f, share, d, links, room, m + (i & 3) * c1 * p2, taps, box, axis,
                                     i, p1, p2);
        for (i64 I = (i & 1) == 0 ? i / 2 - 1 : i / 2; I <= i / 2; ++I) {
            if (I < 0 || (2 * I + 2 > i && i < n - 1)) continue;
            for (i64 J = 0; J < (box[4] + 1) / 2; ++J) {
                const T* rows[4];
                for (i64 k = 0; k < 4; ++k) {
                    const i64 from = 2 * I - 1 + k;
                    rows[k] = from < 0 || from >= n ? room + 4 * p2 : m + ((from & 3) * c1 + J) * p2;
                }
                mix_rows(total, rows, taps, p2);
                const i64 to = ((I + 1) * c1 + J + 1) * c2 + 1;
                ends_row(total, below_jacobi + to, below_f + to, taps, strides[2], (box[5] + 1) / 2, gain);
            }
        }
    }
}

// The interpolation of a coarse correction e, and `count` steps in reverse order. product = the sum of f u.
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_ascend(SCI_INDEX T* u, const T* f, const Half* jacobi, const signed char* share, const D* d,
                         const T* links, const double* damping, const T* e, double* product, const T* taps,
                         const i64* strides, const i64* box, const i64 p1, const i64 p2, const i64 c1, const i64 c2,
                         const i64 count) {
    const i64 n = box[3], plane = p1 * p2, axis = VARIABLE ? (box[6] + 2) * plane : 0;
    double total = 0;
    for (i64 s = 0; s < n + count; ++s) {
        if (s < n)
            for (i64 j = 0; j < box[4]; ++j)
                correct_row(u + count * plane, e, share, taps, strides, s, j, box[5], p1, p2, c1, c2);
        for (i64 h = 1; h <= count; ++h)
            if (s - h >= 0 && s - h < n)
                step_plane<T, D, VARIABLE>(u + (count - h + 1) * plane, f, jacobi, d, links, box, axis, s - h, p1, p2,
                                           T(damping[count - h]));
        if (s < count) continue;
        for (i64 j = 0; j < box[4]; ++j) {
            const i64 at = ((s - count + 1) * p1 + j + 1) * p2 + 1;
            double sum = 0;
            SCI_ROW_SUM(k, box[5], sum) { sum += double(f[at + k]) * double(u[at + k]); }
            total += sum;
        }
    }
    product[0] = total;
}
