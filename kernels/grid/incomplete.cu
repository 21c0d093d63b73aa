// Incomplete Cholesky without fill, (D + L) D^-1 (D + L'), L the strict lower part of the operator of stencil.cu: only
// the inverse of D is kept. Cells depend on their three lower neighbors, so that a host goes through them in order
// (`..._all`, one block), and a device plane by plane i + j + k = s (`..._plane`), the cells of a plane at once.
//
// Bytes per cell and solve: forward 24 and backward 24, 24 more each with variable links; flops 5 and 5 (8 and 8). The
// limit is the latency of the chain along a row on the host, and the number of planes on a device.
#include "grid/rows.h"

// The link between unknowns `at` and `other`, `link` an array at whichever is later.
template <typename D, bool VARIABLE>
SCI_DEVICE double link_of(const D* d, const double* link, const i64 at, const i64 other) {
    return VARIABLE ? link[at] : (d[at] > 0 && d[other] > 0 ? 1.0 : 0.0);
}

// 1 / D of one cell: IC(0) for tau = 0; MIC adds tau times the fill that is dropped. Pivots below 0.25 d become d.
template <typename D, bool VARIABLE>
SCI_DEVICE double pivot(const D* d, const double* links, const double* inverse, const i64 at, const i64 axis,
                        const i64 plane, const i64 row, const double tau) {
    const i64 step[3] = {plane, row, 1};
    double rest = double(d[at]);
    if (!(d[at] > 0)) return 0.0;
    for (i64 a = 0; a < 3; ++a) {
        const i64 low = at - step[a];
        const double link = link_of<D, VARIABLE>(d, links + a * axis, at, low);
        double others = 0;
        for (i64 b = 0; b < 3; ++b)
            if (b != a) others += link_of<D, VARIABLE>(d, links + b * axis, low + step[b], low);
        rest -= link * (link + tau * others) * inverse[low];
    }
    return 1.0 / (rest < 0.25 * double(d[at]) ? double(d[at]) : rest);
}

// One cell of the forward (y from f) or the backward (z from y) substitution.
template <bool VARIABLE, bool FORWARD>
SCI_DEVICE double substitute(const double* inverse, const double* links, const double* from, const double* to,
                             const i64 at, const i64 axis, const i64 plane, const i64 row) {
    if (FORWARD) {
        const double sum = VARIABLE ? links[at] * to[at - plane] + links[axis + at] * to[at - row] +
                                          links[2 * axis + at] * to[at - 1]
                                    : (to[at - plane] + to[at - row]) + to[at - 1];
        return inverse[at] * (from[at] + sum);
    }
    const double sum = VARIABLE ? links[at + plane] * to[at + plane] + links[axis + at + row] * to[at + row] +
                                      links[2 * axis + at + 1] * to[at + 1]
                                : (to[at + plane] + to[at + row]) + to[at + 1];
    return from[at] + inverse[at] * sum;
}

// Instances: <double, signed char, false> <double, double, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL factor_all(SCI_INDEX const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                      T* inverse /*[p0, p1, p2]*/, const i64* box /*[7]*/, const i64 p1, const i64 p2,
                      const double tau) {
    const i64 plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    for (i64 i = 0; i < box[3]; ++i)
        for (i64 j = 0; j < box[4]; ++j)
            for (i64 k = 0; k < box[5]; ++k) {
                const i64 at = ((i + 1) * p1 + j + 1) * p2 + k + 1;
                inverse[at] = pivot<D, VARIABLE>(d, links, inverse, at, axis, plane, p2, tau);
            }
}

// Instances: <double, false|true, false|true>
template <typename T, bool VARIABLE, bool FORWARD>
SCI_KERNEL substitute_all(SCI_INDEX const T* inverse /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                          const T* from /*[p0, p1, p2]*/, T* to /*[p0, p1, p2]*/, const i64* box /*[7]*/, const i64 p1,
                          const i64 p2) {
    const i64 plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    const i64 rows = box[3] * box[4], n = box[5];
    for (i64 line = 0; line < rows; ++line) {
        const i64 place = FORWARD ? line : rows - 1 - line;
        const i64 at = ((place / box[4] + 1) * p1 + place % box[4] + 1) * p2 + 1;
        for (i64 m = 0; m < n; ++m) {
            const i64 k = at + (FORWARD ? m : n - 1 - m);
            to[k] = substitute<VARIABLE, FORWARD>(inverse, links, from, to, k, axis, plane, p2);
        }
    }
}

// Instances: <double, signed char, false> <double, double, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL factor_plane(SCI_INDEX const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                        T* inverse /*[p0, p1, p2]*/, const i64* box /*[7]*/, const i64 p1, const i64 p2,
                        const double tau, const i64 s) {
    const i64 plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    for (i64 i = blockIdx.x; i < box[3]; i += gridDim.x)
        SCI_ROW(j, box[4]) {
            const i64 k = s - i - j;
            if (k >= 0 && k < box[5]) {
                const i64 at = ((i + 1) * p1 + j + 1) * p2 + k + 1;
                inverse[at] = pivot<D, VARIABLE>(d, links, inverse, at, axis, plane, p2, tau);
            }
        }
}

// Instances: <double, false|true, false|true>
template <typename T, bool VARIABLE, bool FORWARD>
SCI_KERNEL substitute_plane(SCI_INDEX const T* inverse /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                            const T* from /*[p0, p1, p2]*/, T* to /*[p0, p1, p2]*/, const i64* box /*[7]*/,
                            const i64 p1, const i64 p2, const i64 s) {
    const i64 plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    for (i64 i = blockIdx.x; i < box[3]; i += gridDim.x)
        SCI_ROW(j, box[4]) {
            const i64 k = s - i - j;
            if (k >= 0 && k < box[5]) {
                const i64 at = ((i + 1) * p1 + j + 1) * p2 + k + 1;
                to[at] = substitute<VARIABLE, FORWARD>(inverse, links, from, to, at, axis, plane, p2);
            }
        }
}
