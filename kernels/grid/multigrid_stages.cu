// Both stages of a V-cycle around a coarse correction, each in one pass through memory, tile by tile of rows on a host.
//
// Arrays, boxes and equations as in multigrid.cu; a number of half sweeps that is even. After the last of them before the
// correction the residual is zero in black cells, and the first one after it overwrites them: only red ones are restricted,
// kept and corrected.
//
// Bytes a cell of memory, T = float, constant links: down 7 (f and d read, half of u written), up 11.5 (half of u, f, d and
// e read, u written); 12 more with variable links, and 3 for their d. Flops a cell: 4 for a half sweep, 7 with links, of
// which there are as many as `count` in either stage, and one more for the residual; 8 for the transfers. The limit is
// the second cache: 10 bytes a cell and half sweep.
#include "grid/split.h"

SCI_DEVICE i64 min_of(const i64 a, const i64 b) { return a < b ? a : b; }

// The arrays of a level that both stages read. `inverse` holds 1 / d, or the counts d, in halves of rows without gaps.
template <typename T, typename D>
struct Given {
    const T* f;
    const D* inverse;
    const T* links;
    i64 axis;
};

// A tile: `rows` rows, those that are its own from `first` to `end`, and its rings in `room`.
template <typename T, typename D, bool VARIABLE>
struct Tile {
    Shape s;
    Given<T, D> given;
    i64 first, end, count, odd;
    Ring<T> u, f, w, links[3];
    T* rest;

    SCI_DEVICE_MEMBER i64 low(const i64 beside) const { return first - beside > 0 ? first - beside : 0; }
    SCI_DEVICE_MEMBER i64 high(const i64 beside) const { return min_of(end + beside, s.n1); }

    // Reads row j of plane i of f, d and links into the rings.
    SCI_DEVICE_MEMBER void read(const i64 i, const i64 j) const {
        const i64 at = s.row_of(i, j), n = (s.n2 + 1) / 2;
        T *row = f.plane(i).row(j), *inverse = w.plane(i).row(j);
        const D* from = given.inverse + 2 * s.line(i, j) * s.half;
        split_row(row, row + s.half, given.f + at, n);
        inverse_row(inverse, from, 2 * s.half);
        if (VARIABLE)
            for (int a = 0; a < 3; ++a) {
                T* link = links[a].plane(i).row(j);
                split_row(link, link + odd, given.links + a * given.axis + at, n);
            }
        ask(i, j);
    }

    // Asks for what `read` will read some rows later, so that arithmetic goes on meanwhile.
    SCI_DEVICE_MEMBER void ask(const i64 i, const i64 j) const {
        ask_for(given.f + s.row_of(i, j + AHEAD), s.n2);
        ask_for(given.inverse + 2 * s.line(i, j + AHEAD) * s.half, 2 * s.half);
        if (VARIABLE)
            for (int a = 0; a < 3; ++a) ask_for(given.links + a * given.axis + s.row_of(i, j + AHEAD), s.n2);
    }

    // A half sweep of a plane, of the cells with i + j + k + color even.
    SCI_DEVICE_MEMBER void relax(const i64 i, const i64 color, const i64 beside) const {
        const Three<T, VARIABLE> three(u, links, i, s.n1, odd);
        const Plane<T> to = u.plane(i), rights = f.plane(i), inverses = w.plane(i);
        for (i64 j = low(beside); j < high(beside); ++j) {
            const i64 parity = (i + j + color) & 1, own = parity ? odd : 0, half = parity ? s.half : 0;
            const Around<T, VARIABLE> near = three.around(j, parity);
            T* out = to.row(j) + own;
            const T *b = rights.row(j) + half, *inverse = inverses.row(j) + half;
            SCI_HALF(m, s.half) { out[m] = (b[m] + near.sum(m)) * inverse[m]; }
        }
    }

    // The last half sweep, of red cells: returns its part of the sum of its changes times the sum of link x neighbor.
    SCI_DEVICE_MEMBER double relax_last(const i64 i) const {
        const Three<T, VARIABLE> three(u, links, i, s.n1, odd);
        const Plane<T> to = u.plane(i), rights = f.plane(i), inverses = w.plane(i);
        double total = 0;
        for (i64 j = first; j < end; ++j) {
            const i64 parity = (i + j) & 1, own = parity ? odd : 0, half = parity ? s.half : 0;
            const Around<T, VARIABLE> near = three.around(j, parity);
            T* out = to.row(j) + own;
            const T *b = rights.row(j) + half, *inverse = inverses.row(j) + half;
            T sum = 0;
            SCI_ROW_SUM(m, s.half, sum) {
                const T beside = near.sum(m), value = (b[m] + beside) * inverse[m];
                sum += (value - out[m]) * beside;
                out[m] = value;
            }
            total += double(sum);
        }
        return total;
    }
};

// Sets the tile of a block up; its rings hold `beside` more rows at either end.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE Tile<T, D, VARIABLE> tile_of(const Shape& s, const Given<T, D>& given, T* room, const i64 first,
                                        const i64 rows, const i64 count, const i64 beside) {
    Tile<T, D, VARIABLE> tile;
    const i64 step = 2 * s.half + SPLIT, all = rows + 2 * beside;
    T* zeros = room + SPLIT;
    room += step + 2 * SPLIT;
    const auto ring = [&](const i64 most) {
        const i64 planes = min_of(most, s.n0);
        const Ring<T> made = {room, zeros, planes, all, first - beside, step, s.n0};
        room += planes * all * step;
        return made;
    };
    tile.s = s;
    tile.given = given;
    tile.first = first;
    tile.end = min_of(first + rows, s.n1);
    tile.count = count;
    tile.odd = s.half + SPLIT;
    tile.u = ring(count + 2);
    tile.f = ring(count + 1);
    tile.w = ring(count + 1);
    if (VARIABLE)
        for (int a = 0; a < 3; ++a) tile.links[a] = ring(count + 2);
    tile.rest = room;
    return tile;
}

// m = (a + 3 b + 3 c + d) / 4.
template <typename T>
SCI_DEVICE void mix_halves(T* m, const T* a, const T* b, const T* c, const T* d, const i64 n) {
    SCI_HALF(k, n) { m[k] = T(0.25) * (a[k] + d[k]) + T(0.75) * (b[k] + c[k]); }
}

// The residual in the red cells of a plane, restricted along rows: `lines` of s.half entries, from row first - 1 on. `t`
// holds s.half entries between two gaps of zeros.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void restrict_lines(const Tile<T, D, VARIABLE>& tile, T* lines, T* t, const T* weights, const i64 i) {
    const Shape& s = tile.s;
    const Three<T, VARIABLE> three(tile.u, tile.links, i, s.n1, tile.odd);
    const Plane<T> rights = tile.f.plane(i), inverses = tile.w.plane(i);
    for (i64 j = tile.low(1); j < tile.high(1); ++j) {
        const i64 parity = (i + j) & 1, own = parity ? tile.odd : 0, half = parity ? s.half : 0;
        const Around<T, VARIABLE> near = three.around(j, parity);
        const T *u = three.here.row(j) + own, *b = rights.row(j) + half, *w = inverses.row(j) + half;
        SCI_HALF(m, s.half) {
            const T safe = w[m] > 0 ? w[m] : T(1);
            t[m] = ((b[m] + near.sum(m)) * w[m] - u[m]) / safe;
        }
        if (weights) {
            const T* factor = weights + s.row_of(i, j) + parity;
            SCI_ROW(m, (s.n2 + 1) / 2) { t[m] *= factor[2 * m]; }
        }
        const T* beside = parity ? t - 1 : t + 1;
        T* out = lines + (j - tile.first + 1) * s.half;
        SCI_HALF(m, s.half) { out[m] = T(0.75) * t[m] + T(0.25) * beside[m]; }
    }
}

// Restricts the lines of plane i along the second axis, and along the first one where that completes a coarse plane; `m`
// is a ring of four planes.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void restrict_planes(const Tile<T, D, VARIABLE>& tile, const T* lines, T* m, const T* below_d, T* below_f,
                                const i64 i, const i64 rows, const T factor, const i64 is_2d) {
    const Shape& s = tile.s;
    const T* zeros = tile.u.zeros;
    const i64 J0 = tile.first / 2, J1 = (tile.end + 1) / 2, step = rows / 2 * s.half;
    const auto line = [&](const i64 j) { return j < 0 || j >= s.n1 ? zeros : lines + (j - tile.first + 1) * s.half; };
    for (i64 J = J0; J < J1; ++J)
        mix_halves(m + (i & 3) * step + (J - J0) * s.half, line(2 * J - 1), line(2 * J), line(2 * J + 1),
                   line(2 * J + 2), s.half);
    const T outer = is_2d ? T(0) : T(0.25) * factor, inner = is_2d ? factor : T(0.75) * factor;
    // Plane I takes fine planes 2 I - 1 to 2 I + 2; the last one does not wait for those beyond the grid.
    for (i64 I = (i & 1) == 0 ? i / 2 - 1 : i / 2; I <= i / 2; ++I) {
        if (I < 0 || (2 * I + 2 > i && i < s.n0 - 1)) continue;
        for (i64 J = J0; J < J1; ++J) {
            const auto from = [&](const i64 x) {
                return x < 0 || x >= s.n0 ? zeros : m + (x & 3) * step + (J - J0) * s.half;
            };
            const T *a = from(2 * I - 1), *b = from(2 * I), *c = from(2 * I + 1), *e = from(2 * I + 2);
            const i64 at = s.coarse_row(I, J);
            SCI_ROW(K, (s.n2 + 1) / 2) {
                const T sum = outer * (a[K] + e[K]) + inner * (b[K] + c[K]);
                below_f[at + K] = below_d[at + K] > 0 ? sum : T(0);
            }
        }
    }
}

// The stage before a coarse correction: u = 0, `count` half sweeps, and the residual's restriction to below_f; `kept`
// receives u in the red cells. A block takes `rows` rows, an even number; `room` is zero at the start.
// Instances (host): <float|double, signed char|T, false> <float|double, T, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL descend(SCI_INDEX const T* f /*[p0, p1, p2]*/, const D* inverse /*[n0, n1, both]*/,
                   const T* links /*[3, q0, q1, q2]*/, const T* weights /*[s0, s1, s2]*/, T* kept /*[n0, n1, half]*/,
                   T* room /*[blocks, numbers]*/, const T* below_d /*[c0, c1, c2]*/, T* below_f /*[c0, c1, c2]*/,
                   const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1, const i64 c2, const i64 numbers,
                   const i64 rows, const i64 count, const double factor, const i64 weighted, const i64 is_2d) {
    const Shape s = shape_of(box, p1, p2, c1, c2);
    const Given<T, D> given = {f, inverse, links, link_axis<VARIABLE>(box, p1 * p2)};
    const auto tile = tile_of<T, D, VARIABLE>(s, given, room + blockIdx.x * numbers, blockIdx.x * rows, rows, count,
                                              count + 1);
    T *t = tile.rest + SPLIT, *lines = t + s.half + SPLIT, *m = lines + (rows + 2) * s.half;
    for (i64 k = 0; k < s.n0 + count; ++k) {
        if (k < s.n0)
            for (i64 j = tile.low(count + 1); j < tile.high(count + 1); ++j) {
                tile.read(k, j);
                const i64 parity = (k + j) & 1, half = parity ? s.half : 0;
                T* out = tile.u.plane(k).row(j) + (parity ? tile.odd : 0);
                const T *b = tile.f.plane(k).row(j) + half, *w = tile.w.plane(k).row(j) + half;
                SCI_HALF(e, s.half) { out[e] = b[e] * w[e]; }
            }
        for (i64 h = 1; h < count; ++h)
            if (k - h >= 0 && k - h < s.n0) tile.relax(k - h, h, count + 1 - h);
        const i64 i = k - count;
        if (i < 0) continue;
        restrict_lines(tile, lines, t, weighted ? weights : nullptr, i);
        const Plane<T> result = tile.u.plane(i);
        for (i64 j = tile.first; j < tile.end; ++j) {
            const T* from = result.row(j) + ((i + j) & 1 ? tile.odd : 0);
            T* to = kept + s.line(i, j) * s.half;
            SCI_HALF(e, s.half) { to[e] = from[e]; }
        }
        restrict_planes(tile, lines, m, below_d, below_f, i, rows, T(factor), is_2d);
    }
}

// The interpolation of e to the red cells of a row of a tile, added to `kept`. `t` holds a coarse row.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void correct_row(const Tile<T, D, VARIABLE>& tile, T* t, const T* kept, const T* e, const T* weights,
                            const i64 i, const i64 j, const i64 is_2d) {
    const Shape& s = tile.s;
    const i64 parity = (i + j) & 1, own = parity ? tile.odd : 0, n = (s.n2 + 1) / 2;
    const T* e0 = e + s.coarse_row(is_2d ? i : i / 2, j / 2) - 1;
    const T* e1 = e0 + (j % 2 == 0 ? -s.c2 : s.c2);
    const i64 side = is_2d ? 0 : (i % 2 == 0 ? -s.c1 * s.c2 : s.c1 * s.c2);
    const T *e2 = e0 + side, *e3 = e1 + side;
    const T w0 = is_2d ? T(0.75) : T(0.5625), w1 = is_2d ? T(0.25) : T(0.1875);
    const T w2 = is_2d ? T(0) : T(0.1875), w3 = is_2d ? T(0) : T(0.0625);
    SCI_ROW(k, n + 2) { t[k] = (w0 * e0[k] + w1 * e1[k]) + (w2 * e2[k] + w3 * e3[k]); }
    const T *here = t + 1, *beside = parity ? t + 2 : t, *old = kept + s.line(i, j) * s.half;
    const T* w = tile.w.plane(i).row(j) + (parity ? s.half : 0);
    T* out = tile.u.plane(i).row(j) + own;
    if (weights) {
        const T* factor = weights + s.row_of(i, j) + parity;
        SCI_ROW(m, n) {
            const T value = (T(0.75) * here[m] + T(0.25) * beside[m]) * factor[2 * m];
            out[m] = old[m] + (w[m] > 0 ? value : T(0));
        }
    } else {
        SCI_HALF(m, s.half) {
            const T value = T(0.75) * here[m] + T(0.25) * beside[m];
            out[m] = old[m] + (w[m] > 0 ? value : T(0));
        }
    }
}

// The stage after a coarse correction e: its interpolation, and `count` half sweeps. The products of a block are its parts
// of the sum of f u and of u'A u, which follows from the last half sweep: it leaves a residual in black cells alone.
// Instances (host): <float|double, signed char|T, false> <float|double, T, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL ascend(SCI_INDEX T* u /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/, const D* inverse /*[n0, n1, both]*/,
                  const T* links /*[3, q0, q1, q2]*/, const T* weights /*[s0, s1, s2]*/, const T* kept /*[n0, n1, half]*/,
                  T* room /*[blocks, numbers]*/, const T* e /*[c0, c1, c2]*/, double* products /*[blocks, 2]*/,
                  const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1, const i64 c2, const i64 numbers,
                  const i64 rows, const i64 count, const i64 weighted, const i64 is_2d) {
    const Shape s = shape_of(box, p1, p2, c1, c2);
    const Given<T, D> given = {f, inverse, links, link_axis<VARIABLE>(box, p1 * p2)};
    const auto tile = tile_of<T, D, VARIABLE>(s, given, room + blockIdx.x * numbers, blockIdx.x * rows, rows, count,
                                              count + 1);
    T* t = tile.rest + s.half + 2 * SPLIT;  // Not where `descend` keeps zeros.
    double total = 0, changed = 0;
    for (i64 k = 0; k < s.n0 + count; ++k) {
        if (k < s.n0)
            for (i64 j = tile.low(count); j < tile.high(count); ++j) {
                tile.read(k, j);
                correct_row(tile, t, kept, e, weighted ? weights : nullptr, k, j, is_2d);
                ask_for(kept + s.line(k, j + AHEAD) * s.half, s.half);
            }
        for (i64 h = 1; h < count; ++h)
            if (k - h >= 0 && k - h < s.n0) tile.relax(k - h, h, count - h);
        const i64 i = k - count;
        if (i < 0) continue;
        changed += tile.relax_last(i);
        const Plane<T> result = tile.u.plane(i), rights = tile.f.plane(i);
        for (i64 j = tile.first; j < tile.end; ++j) {
            const T *row = result.row(j), *b = rights.row(j);
            double sum = 0;
            SCI_ROW_SUM(m, s.half, sum) {
                sum += double(b[m]) * double(row[m]) + double(b[m + s.half]) * double(row[m + tile.odd]);
            }
            total += sum;
            merge_row(u + s.row_of(i, j), row, row + tile.odd, (s.n2 + 1) / 2);
        }
    }
    products[2 * blockIdx.x] = total;
    products[2 * blockIdx.x + 1] = total - changed;
}
