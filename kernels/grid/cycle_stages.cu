// The stages of a level of the learned V-cycle around its coarse correction, each in one pass through memory, on
// one block and one thread of a host; before, also with a step of conjugate gradients. Arrays and arithmetic are those
// of cycle.cu. Steps follow one another a plane behind, so that all of them read and write a plane while it is in
// cache. A step writes plane i where plane i - 1 of its input lies, which nothing reads any more: u holds 2 count - 1
// planes beside the grid's, starts that many planes late, and ends in place.
//
// Bytes a cell of memory, constant links: 16 down (f, jacobi, d, transfer read, u written), 16.5 up (u written and
// read, e read too); at 12 to 16 GB/s of one core 2 to 3 ns. Flops a cell: 31 down, 31 up, 3 for the product of f and
// u, 14 for u'A u, and 17 for a step of conjugate gradients.
#include "grid/cycle.h"

template <typename T>
SCI_DEVICE void clear_plane(T* u, const i64 plane) {
    SCI_ROW(k, plane) { u[k] = 0; }
}

template <typename T>
SCI_DEVICE void mix_rows(T* m, const T* const* r, const T* weights, const i64 n) {
    const T a = weights[0], b = weights[1], c = weights[2], e = weights[3];
    const T *r0 = r[0], *r1 = r[1], *r2 = r[2], *r3 = r[3];
    SCI_ROW(k, n) { m[k] = (a * r0[k] + e * r3[k]) + (b * r1[k] + c * r2[k]); }
}

// The product of Jacobi weights and f in a plane.
template <typename T>
SCI_DEVICE void start_plane(T* u, const T* f, const Half* jacobi, const i64* box, const i64 i, const i64 p1,
                            const i64 p2) {
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        SCI_ROW(k, box[5]) { u[at + k] = f[at + k] * widened(jacobi[at + k]); }
    }
}

// Two steps from zero of a plane, whose product is g, to the plane before it; see from_zero_row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void from_zero_plane(T* g, const Half* jacobi, const D* d, const T* links, const i64* box, const i64 axis,
                                const i64 i, const i64 p1, const i64 p2, const T sum, const T product) {
    const i64 plane = p1 * p2;
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        SCI_ROW(k, box[5]) {
            const T near = around<T, VARIABLE>(g, links, links + axis, links + 2 * axis, at + k, plane, p2);
            const T rest = T(d[at + k]) * g[at + k] - near;
            g[at + k - plane] = sum * g[at + k] - product * widened(jacobi[at + k]) * rest;
        }
    }
    if (i == box[3] - 1) clear_plane(g + (i + 1) * plane, plane);
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

// What a plane's restriction adds up along the second axis: m[J, k]. `scratch` holds four rows of the residual and one
// of zeros.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void restrict_plane(const T* u, const T* f, const signed char* transfer, const D* d, const T* links,
                               T* scratch,
                               T* m, const T* weights, const i64* box, const i64 axis, const i64 i, const i64 p1,
                               const i64 p2) {
    const i64 n = box[4];
    for (i64 j = 0; j < n; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        residual_row<T, D, VARIABLE>(u, f, transfer, d, links, scratch + (j & 3) * p2 + 1, axis, at, box[5], p1 * p2,
                                     p2);
        // Row J takes fine rows 2 J - 1 to 2 J + 2; the last one does not wait for those beyond the grid.
        for (i64 J = (j & 1) == 0 ? j / 2 - 1 : j / 2; J <= j / 2; ++J) {
            if (J < 0 || (2 * J + 2 > j && j < n - 1)) continue;
            const T* rows[4];
            for (i64 k = 0; k < 4; ++k) {
                const i64 from = 2 * J - 1 + k;
                rows[k] = scratch + (from < 0 || from >= n ? 4 : from & 3) * p2;
            }
            mix_rows(m + J * p2, rows, weights + 4, p2);
        }
    }
}

// Two steps from zero, count - 2 more, and the restriction of the residual to below_f. `scratch`, zero at the start,
// holds 6 + 4 c1 rows of p2 entries. ahead(s) is done before plane s of f is read, and after `u` is free.
template <typename T, typename D, bool VARIABLE, typename F>
SCI_DEVICE void descend_planes(T* u, const T* f, const Half* jacobi, const signed char* transfer, const D* d,
                               const T* links, const double* damping, T* scratch, const Half* below_jacobi, T* below_f,
                               const T* weights, const i64* strides, const i64* box, const i64 p1, const i64 p2,
                               const i64 c1, const i64 c2, const i64 count, const double correction_scale,
                               const F& ahead) {
    const i64 n = box[3], plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    const T sum = T(damping[0] + damping[1]), product = T(damping[0] * damping[1]);
    T* start = u + (2 * count - 1) * plane;
    T* total = scratch + 5 * p2;
    T* m = scratch + 6 * p2;
    clear_plane(u, 2 * count * plane);
    for (i64 s = 0; s < n + count; ++s) {
        ahead(s);
        if (s < n) start_plane(start, f, jacobi, box, s, p1, p2);
        if (s >= 1 && s <= n)
            from_zero_plane<T, D, VARIABLE>(start, jacobi, d, links, box, axis, s - 1, p1, p2, sum, product);
        for (i64 h = 2; h < count; ++h)
            if (s - h >= 0 && s - h < n)
                step_plane<T, D, VARIABLE>(start - (h - 1) * plane, f, jacobi, d, links, box, axis, s - h, p1, p2,
                                           T(damping[h]));
        const i64 i = s - count;
        if (i < 0) continue;
        restrict_plane<T, D, VARIABLE>(u + count * plane, f, transfer, d, links, scratch, m + (i & 3) * c1 * p2,
                                       weights, box,
                                       axis, i, p1, p2);
        each_coarse_row<T>(m, scratch + 4 * p2, box, i, p2, c1, c2, [&](const T* const* rows, const i64 to) {
            mix_rows(total, rows, weights, p2);
            ends_row(total, below_jacobi + to, below_f + to, weights, strides[2], (box[5] + 1) / 2, correction_scale);
        });
    }
}

// Instances (host): <float, signed char, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_descend(SCI_INDEX T* u /*[planes, p1, p2]*/, const T* f /*[p0, p1, p2]*/,
                          const Half* jacobi /*[p0, p1, p2]*/, const signed char* transfer /*[p0, p1, p2]*/,
                          const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                          const double* damping /*[count]*/, T* scratch /*[scratch_rows, p2]*/,
                          const Half* below_jacobi /*[c0, c1, c2]*/, T* below_f /*[c0, c1, c2]*/,
                          const T* weights /*[3, 4]*/, const i64* strides /*[3]*/, const i64* box /*[7]*/, const i64 p1,
                          const i64 p2, const i64 c1, const i64 c2, const i64 count, const double correction_scale) {
    descend_planes<T, D, VARIABLE>(u, f, jacobi, transfer, d, links, damping, scratch, below_jacobi, below_f, weights,
                                   strides,
                                   box, p1, p2, c1, c2, count, correction_scale, [](const i64) {});
}

// A plane of p = z + beta p, and where it moves, of x += before (the old p) + now p.
template <typename T>
SCI_DEVICE void direction_plane(T* p, const T* z, double* x, const i64* box, const i64 i, const i64 p1, const i64 p2,
                                const T beta, const i64 moves, const double before, const double now) {
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        if (moves) {
            SCI_ROW(k, box[5]) {
                const T old = p[at + k], next = z[at + k] + beta * old;
                x[at + k] += before * double(old) + now * double(next);
                p[at + k] = next;
            }
        } else {
            SCI_ROW(k, box[5]) { p[at + k] = z[at + k] + beta * p[at + k]; }
        }
    }
}

// A plane of f -= step A p / weight; returns its part of f'f.
template <typename T, typename D>
SCI_DEVICE double residual_plane(T* f, const T* p, const D* d, const i64* box, const i64 i, const i64 p1, const i64 p2,
                                 const T step) {
    const Field<T> field = {p};
    double total = 0;
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        T sum = 0;
        SCI_TILES(start, length, box[5]) {
            Numbers<D> numbers;
            numbers.read(d, at + start, length);
            SCI_ROW_SUM(k, length, sum) {
                const i64 here = at + start + k;
                const T value = product<T, false>(field, numbers, p, 0, here, p1 * p2, p2);
                const T given = f[here], left = numbers[here] > 0 ? given - step * value : T(0);
                f[here] = left;
                sum += left * left;
            }
        }
        total += double(sum);
    }
    return total;
}

// A plane of f = scale (b - A x); returns its part of f'f. b has `inset` layers of cells around the grid.
template <typename T, typename D>
SCI_DEVICE double replaced_plane(T* f, const double* x, const double* b, const D* d, const i64* box, const i64 i,
                                 const i64 p1, const i64 p2, const i64 b1, const i64 b2, const i64 inset,
                                 const double weight, const double scale) {
    const Field<double> field = {x};
    double sum = 0;
    for (i64 j = 0; j < box[4]; ++j) {
        const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
        const double* right = b + ((i + inset) * b1 + j + inset) * b2 + inset;
        double part = 0;
        SCI_TILES(start, length, box[5]) {
            Numbers<D> numbers;
            numbers.read(d, at + start, length);
            SCI_ROW_SUM(k, length, part) {
                const i64 here = at + start + k;
                const double value = weight * product<double, false>(field, numbers, x, 0, here, p1 * p2, p2);
                const double given = right[start + k], left = numbers[here] > 0 ? scale * (given - value) : 0;
                f[here] = T(left);
                part += left * left;
            }
        }
        sum += part;
    }
    return sum;
}

// A step of conjugate gradients for the operator weight (d u - sum of neighbors), and the next way down. z, the result
// of the last cycle, lies in u. p = z + beta p; where it moves, x += before (the old p) + now p; then f -= step A p /
// weight, or where it is `exact`, f = scale (b - A x). square = f'f. The planes of z are read before the way down, if
// any, writes there. Bytes a cell of memory beside those of the way down, of which f is one: z 4, p 8, f 4 written, x
// 16 where it moves, b 8 where it is exact.
// Instances (host): <float, signed char>
template <typename T, typename D>
SCI_KERNEL jacobi_cg_step(SCI_INDEX T* u /*[planes, p1, p2]*/, T* p /*[p0, p1, p2]*/, double* x /*[p0, p1, p2]*/,
                          const double* b /*[b0, b1, b2]*/, T* f /*[p0, p1, p2]*/, const Half* jacobi /*[p0, p1, p2]*/,
                          const signed char* transfer /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                          const double* damping /*[count]*/, T* scratch /*[scratch_rows, p2]*/,
                          const Half* below_jacobi /*[c0, c1, c2]*/, T* below_f /*[c0, c1, c2]*/,
                          double* square /*[1]*/, const T* weights /*[3, 4]*/, const i64* strides /*[3]*/,
                          const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1, const i64 c2,
                          const i64 count, const double correction_scale, const i64 b1, const i64 b2, const i64 inset,
                          const double weight, const double scale, const double beta, const double step,
                          const i64 moves, const double before, const double now, const i64 exact, const i64 descends) {
    const i64 n = box[3], lead = 2 * count;
    double total = 0;
    const auto plane = [&](const i64 i) {
        if (i < n) direction_plane<T>(p, u, x, box, i, p1, p2, T(beta), moves, before, now);
        if (i < 1 || i > n) return;
        total += exact ? replaced_plane(f, x, b, d, box, i - 1, p1, p2, b1, b2, inset, weight, scale)
                       : residual_plane(f, p, d, box, i - 1, p1, p2, T(step));
    };
    for (i64 i = 0; i < (descends ? lead : n + 1); ++i) plane(i);
    if (descends)
        descend_planes<T, D, false>(u, f, jacobi, transfer, d, f, damping, scratch, below_jacobi, below_f, weights,
                                    strides, box,
                                    p1, p2, c1, c2, count, correction_scale, [&](const i64 s) { plane(s + lead); });
    square[0] = total;
}

// Adds the interpolation of e in row (i, j); `scratch` holds a coarse row of c2 entries and a fine one. Other than in
// prolong_row the first two axes are interpolated once, and the transfer weights are read without strides.
template <typename T>
SCI_DEVICE void prolong_row_buffered(T* u, const T* e, const signed char* transfer, T* scratch, const T* weights,
                                     const i64* strides, const i64 i, const i64 j, const i64 n, const i64 p1,
                                     const i64 p2, const i64 c1, const i64 c2) {
    const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
    const T own = weights[9], far = weights[8];
    const CoarseRows<T> coarse = coarse_rows(e, weights, strides, i, j, c1, c2);
    T* fine = scratch + c2;
    SCI_ROW(k, c2) { scratch[k] = coarse.at(k); }
    SCI_ROW(k, (n + 1) / 2) {
        fine[2 * k] = own * scratch[k + 1] + far * scratch[k];
        fine[2 * k + 1] = own * scratch[k + 1] + far * scratch[k + 2];
    }
    SCI_ROW(k, n) { u[at + k] += transfer_weight(transfer[at + k]) * fine[k]; }
}

// The interpolation of a coarse correction e, and `count` steps in reverse order. product = the sum of f u, and u'A u
// where `energies`. `scratch` holds c2 + p2 entries.
// Instances (host): <float, signed char, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_ascend(SCI_INDEX T* u /*[planes, p1, p2]*/, const T* f /*[p0, p1, p2]*/,
                         const Half* jacobi /*[p0, p1, p2]*/, const signed char* transfer /*[p0, p1, p2]*/,
                         const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/,
                         const double* damping /*[count]*/, T* scratch /*[entries]*/, const T* e /*[c0, c1, c2]*/,
                         double* product /*[2]*/, const T* weights /*[3, 4]*/, const i64* strides /*[3]*/,
                         const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1, const i64 c2,
                         const i64 count, const i64 energies) {
    const i64 n = box[3], plane = p1 * p2, axis = link_axis<VARIABLE>(box, plane);
    double total = 0, energy = 0;
    for (i64 s = 0; s < n + count; ++s) {
        if (s < n)
            for (i64 j = 0; j < box[4]; ++j)
                prolong_row_buffered(u + count * plane, e, transfer, scratch, weights, strides, s, j, box[5], p1, p2,
                                     c1, c2);
        for (i64 h = 1; h < count; ++h)
            if (s - h >= 0 && s - h < n)
                step_plane<T, D, VARIABLE>(u + (count - h + 1) * plane, f, jacobi, d, links, box, axis, s - h, p1, p2,
                                           T(damping[count - h]));
        const i64 i = s - count;
        if (i < 0) continue;
        for (i64 j = 0; j < box[4]; ++j) {
            const i64 at = ((i + 1) * p1 + j + 1) * p2 + 1;
            step_row<T, D, VARIABLE>(u + plane, f, jacobi, d, links, u + at, axis, at, box[5], plane, p2,
                                     T(damping[0]));
            double sum = 0;
            SCI_ROW_SUM(k, box[5], sum) { sum += double(f[at + k]) * double(u[at + k]); }
            total += sum;
        }
        if (energies && i > 0) energy += energy_plane<T, D, VARIABLE>(u, d, links, box, axis, i - 1, p1, p2);
    }
    clear_plane(u + (n + 1) * plane, plane);
    if (energies) energy += energy_plane<T, D, VARIABLE>(u, d, links, box, axis, n - 1, p1, p2);
    product[0] = total;
    product[1] = energy;
}
