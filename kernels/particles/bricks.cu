// The short range of charges on a tensor grid, by Gaussians on bricks, on the host: see bricks.h. A device has
// brick_lanes.cu.
//
// A block takes 8 x 8 x 16 points. For each charge and Gaussian in reach it puts the exponentials along the three axes on a
// shelf; when the shelf is full, each brick takes from it what reaches it, with all its sums in registers.
//
// Flops per brick and Gaussian: 36 Z, and for 8 bricks (4 in float) 32 exponentials; bytes: 64 to 128, from the first
// cache; the limit is the multiplier's.
#include "lanes.h"
#include "particles/bricks.h"

constexpr int SIDE = 8, DEPTH = 16, POINTS = SIDE * SIDE * DEPTH, PLACES = 2 * SIDE + DEPTH, ROWS = 256;

template <typename T>
SCI_DEVICE T square_gap(const double place, const double low, const double high) {
    const double outside = low - place > place - high ? low - place : place - high;
    return outside > 0 ? T(outside * outside) : T(0);
}

template <typename T>
SCI_DEVICE void square_distances(const double* places, const double from, const int n, T* squares) {
    using Vector = Lanes<double>::Vector;
    typedef T Found __attribute__((vector_size(sizeof(T) * Lanes<double>::WIDTH), may_alias));
    SCI_UNROLL
    for (int i = 0; i < n; i += Lanes<double>::WIDTH) {
        const Vector away = *(const Vector*)(places + i) - from;
        *(Found*)(squares + i) = __builtin_convertvector(away * away, Found);
    }
}

template <typename T>
struct Shelf {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int ENTRIES = 128, Z = Brick<T>::DEPTH, BRICKS_C = DEPTH / Z;

    alignas(64) T table[ENTRIES * PLACES];  // of an entry: along a, along b, along c times weight and charge
    T gap_a[2][ENTRIES], gap_b[2][ENTRIES];
    T gap_c[BRICKS_C][ENTRIES];  // squares, that along c less the square of the Gaussian's radius
    alignas(64) double sums[POINTS];  // [brick along a, b, c][a, b, c]
    int count, parts_a, parts_b, parts_c;  // entries, and bricks along each axis that hold points of the grid

    SCI_DEVICE_MEMBER static int place(const int ia, const int ib, const int ic) {
        const int brick = (ia / PART * 2 + ib / PART) * BRICKS_C + ic / Z;
        return ((brick * PART + ia % PART) * PART + ib % PART) * Z + ic % Z;
    }

    // Adds to one brick what reaches it.
    SCI_DEVICE_MEMBER void add_to_brick(const int ha, const int hb, const int hc) {
        constexpr int W = Lanes<T>::WIDTH, ROWS = SCI_VECTOR_BYTES == 64 ? 4 : 2;
        int chosen[ENTRIES], n = 0;
        for (int e = 0; e < count; ++e) {
            chosen[n] = e * PLACES;
            n += gap_a[ha][e] + gap_b[hb][e] + gap_c[hc][e] < 0;
        }
        double* out = sums + ((ha * 2 + hb) * BRICKS_C + hc) * PART * PART * Z;
        for (int v = 0; v < Z; v += W) {
            for (int b0 = 0; b0 < PART; b0 += ROWS) {
                Vector sum[PART][ROWS] = {};
                for (int i = 0; i < n; ++i) {
                    const T* entry = table + chosen[i];
                    const Vector c = *(const Vector*)(entry + 2 * SIDE + hc * Z + v);
                    Vector bc[ROWS];
                    SCI_UNROLL
                    for (int r = 0; r < ROWS; ++r) bc[r] = c * entry[SIDE + PART * hb + b0 + r];
                    SCI_UNROLL
                    for (int a = 0; a < PART; ++a)
                        SCI_UNROLL
                        for (int r = 0; r < ROWS; ++r) sum[a][r] += entry[PART * ha + a] * bc[r];
                }
                SCI_UNROLL
                for (int a = 0; a < PART; ++a)
                    SCI_UNROLL
                    for (int r = 0; r < ROWS; ++r)
                        SCI_UNROLL
                        for (int l = 0; l < W; ++l) out[(a * PART + b0 + r) * Z + v + l] += double(sum[a][r][l]);
            }
        }
    }

    // Adds S less the Gaussians at the points next to a charge.
    __attribute__((noinline)) void add_near(const double* places, const double sa, const double sb, const double sc,
                                            const double q, const double* parameters, const double* series,
                                            const i64 degree, const double* gaussians, const i64 terms) {
        const double near2 = parameters[0];
        for (int ia = 0; ia < SIDE; ++ia) {
            const double da = places[ia] - sa;
            if (da * da >= near2) continue;
            for (int ib = 0; ib < SIDE; ++ib) {
                const double db = places[SIDE + ib] - sb, ab = da * da + db * db;
                if (ab >= near2) continue;
                for (int ic = 0; ic < DEPTH; ++ic) {
                    const double dc = places[2 * SIDE + ic] - sc, r2 = ab + dc * dc;
                    if (r2 >= near2) continue;
                    sums[place(ia, ib, ic)] += q * beyond_gaussians(r2, parameters, series, degree, gaussians, terms);
                }
            }
        }
    }

    __attribute__((noinline)) void empty() {
        for (int ha = 0; ha < parts_a; ++ha)
            for (int hb = 0; hb < parts_b; ++hb)
                for (int hc = 0; hc < parts_c; ++hc) add_to_brick(ha, hb, hc);
        count = 0;
    }
};

// Instances (host): <float|double>
template <typename T>
SCI_KERNEL bricks(SCI_INDEX const double* __restrict__ a /*[na]*/, const double* __restrict__ b /*[nb]*/,
                  const double* __restrict__ c /*[nc]*/, const i64* __restrict__ layout /*[6]*/,
                  const double* __restrict__ sources /*[n, 4]*/, const i64* __restrict__ cell_start /*[e]*/,
                  const double* __restrict__ cells /*[6]*/, const i64* __restrict__ shape /*[3]*/,
                  const double* __restrict__ gaussians /*[terms, 3]*/, const double* __restrict__ parameters /*[6]*/,
                  const double* __restrict__ series /*[d]*/, double* __restrict__ out /*[nx, ny, nz]*/, const i64 na,
                  const i64 nb, const i64 nc, const i64 terms, const i64 d) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int W = Lanes<T>::WIDTH, Z = Brick<T>::DEPTH, BRICKS_C = DEPTH / Z;
    const i64 blocks_b = (nb + SIDE - 1) / SIDE, blocks_c = (nc + DEPTH - 1) / DEPTH;
    const i64 blocks = (na + SIDE - 1) / SIDE * blocks_b * blocks_c;
    const double scale = parameters[5];
    const T near2 = T(parameters[0]);
    T exponent[TERMS], reach2[TERMS];
    for (i64 k = 0; k < terms; ++k) {
        exponent[k] = T(-gaussians[3 * k]);
        reach2[k] = T(gaussians[3 * k + 2]);
    }
    for (i64 block = blockIdx.x; block < blocks; block += gridDim.x) {
        const i64 a0 = block / (blocks_b * blocks_c) * SIDE, b0 = block / blocks_c % blocks_b * SIDE;
        const i64 c0 = block % blocks_c * DEPTH;
        alignas(64) double places[PLACES];
        for (int i = 0; i < SIDE; ++i) {
            places[i] = a[clamped(a0 + i, na)];
            places[SIDE + i] = b[clamped(b0 + i, nb)];
        }
        for (int i = 0; i < DEPTH; ++i) places[2 * SIDE + i] = c[clamped(c0 + i, nc)];
        double low[3], high[3];
        low[layout[0]] = places[0];
        high[layout[0]] = places[SIDE - 1];
        low[layout[1]] = places[SIDE];
        high[layout[1]] = places[2 * SIDE - 1];
        low[layout[2]] = places[2 * SIDE];
        high[layout[2]] = places[PLACES - 1];
        Shelf<T> shelf;
        shelf.count = 0;
        shelf.parts_a = a0 + PART < na ? 2 : 1;
        shelf.parts_b = b0 + PART < nb ? 2 : 1;
        shelf.parts_c = c0 + Z < nc ? BRICKS_C : 1;
        for (int i = 0; i < POINTS; ++i) shelf.sums[i] = 0;
        i64 row_first[ROWS], row_last[ROWS];
        int rows = 0;
        const auto take = [&]() {
            for (int row = 0; row < rows; ++row)
                for (i64 j = row_first[row]; j < row_last[row]; ++j) {
                    const double* at = sources + 4 * j;
                    const double sa = at[layout[0]], sb = at[layout[1]], sc = at[layout[2]], q = at[3] * scale;
                    alignas(64) T squares[PLACES];
                    square_distances(places, sa, SIDE, squares);
                    square_distances(places + SIDE, sb, SIDE, squares + SIDE);
                    square_distances(places + 2 * SIDE, sc, DEPTH, squares + 2 * SIDE);
                    T gap_a[2], gap_b[2], gap_c[BRICKS_C];
                    SCI_UNROLL
                    for (int h = 0; h < 2; ++h) {
                        gap_a[h] = square_gap<T>(sa, places[PART * h], places[PART * h + PART - 1]);
                        gap_b[h] = square_gap<T>(sb, places[SIDE + PART * h], places[SIDE + PART * h + PART - 1]);
                    }
                    SCI_UNROLL
                    for (int h = 0; h < BRICKS_C; ++h)
                        gap_c[h] = square_gap<T>(sc, places[2 * SIDE + Z * h], places[2 * SIDE + Z * h + Z - 1]);
                    const T least_a = gap_a[0] < gap_a[1] ? gap_a[0] : gap_a[1];
                    const T least_b = gap_b[0] < gap_b[1] ? gap_b[0] : gap_b[1];
                    const T least = least_a + least_b + (gap_c[0] < gap_c[BRICKS_C - 1] ? gap_c[0] : gap_c[BRICKS_C - 1]);
                    if (shelf.count + terms > Shelf<T>::ENTRIES) shelf.empty();
                    for (i64 k = 0; k < terms && reach2[k] > least; ++k) {
                        const int e = shelf.count++;
                        const T weight = T(q * gaussians[3 * k + 1]);
                        T* entry = shelf.table + e * PLACES;
                        SCI_UNROLL
                        for (int v = 0; v < PLACES; v += W) {
                            const Vector found = lane_exp(*(const Vector*)(squares + v) * exponent[k]);
                            *(Vector*)(entry + v) = v < 2 * SIDE ? found : found * weight;
                        }
                        SCI_UNROLL
                        for (int h = 0; h < 2; ++h) {
                            shelf.gap_a[h][e] = gap_a[h];
                            shelf.gap_b[h][e] = gap_b[h];
                        }
                        SCI_UNROLL
                        for (int h = 0; h < BRICKS_C; ++h) shelf.gap_c[h][e] = gap_c[h] - reach2[k];
                    }
                    if (least < near2 * T(1.001))
                        shelf.add_near(places, sa, sb, sc, q, parameters, series, d - 1, gaussians, terms);
                }
            rows = 0;
        };
        // Most rows are empty, and where they start is not in the first caches: a list of them, made without branches.
        each_row(low, high, gaussians[2], cell_start, cells, shape, [&](const i64 first, const i64 last) {
            row_first[rows] = first;
            row_last[rows] = last;
            rows += first < last;
            if (rows == ROWS) take();
        });
        take();
        shelf.empty();
        const double unit = 1 / scale;
        const int last_c = nc - c0 < DEPTH ? int(nc - c0) : DEPTH;
        for (int ia = 0; ia < SIDE && a0 + ia < na; ++ia)
            for (int ib = 0; ib < SIDE && b0 + ib < nb; ++ib) {
                double* row = out + (a0 + ia) * layout[3] + (b0 + ib) * layout[4] + c0 * layout[5];
                for (int h = 0; h < BRICKS_C; ++h) {
                    const double* sums = shelf.sums + Shelf<T>::place(ia, ib, Z * h);
                    const int length = last_c - Z * h < Z ? last_c - Z * h : Z;
                    if (layout[5] == 1) {
                        _Pragma("omp simd") for (int i = 0; i < length; ++i) row[Z * h + i] += sums[i] * unit;
                    } else {
                        for (int i = 0; i < length; ++i) row[(Z * h + i) * layout[5]] += sums[i] * unit;
                    }
                }
            }
    }
}
