// Sums over pairs of charges within a cutoff, at the charges themselves: potentials, fields and what a virial needs.
//
// S(r) = exp(-kappa r) / r - B(u) and its force factor F = -S' / r = exp(-kappa r) (1 + kappa r) / r^3 - G(u), with
// polynomials B and G of degree D in u = 2 r^2 - 1. All lengths are in units of the cutoff, all charges in units of the
// largest one: no unit of the caller can overflow or underflow.
//
// Charges are sorted by columns along z and, within a column, cut into chunks of W; a chunk is split at its median x, then
// y, into clusters of 4. A chunk's coordinates are relative to its center, so that floats resolve close pairs. Lanes
// without a charge lie far away, each at a place of its own. A block meets a cluster with chunks whose boxes come within
// the cutoff of its box: 4 times W pairs an entry of its list.
//
// On the host each pair is taken once, from the chunk of lower column (x first, then y, then image in z, then number),
// with vectors of lanes: the cluster's sums stay in registers over its list, those of the other chunk are stored once an
// entry. A block is a tile of columns, which writes to itself and to tiles next to it at higher x or y: tiles of one
// color do not meet, and colors follow each other. On a GPU a block takes one chunk and each pair from both ends, so
// that no two blocks write one place. In both the order of every sum is fixed.
//
// Flops an evaluated pair: 8 for the distance, 2 roots and divisions, 2 D + 4 for each polynomial, 20 for the sums; 3 to
// 4 pairs are evaluated for each within the cutoff. Bytes: 16 W sizeof(T) for 4 W pairs, from cache. The limit is
// arithmetic.
#include "host.h"
#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
#include "lanes.h"
#include "nn/cells.h"
#endif

template <typename T>
constexpr int CHUNK = sizeof(T) == 4 ? 16 : 8;

// cell = (x of the first layer, width of a layer, y of the first column, width of a column, z of the first bin, bins per
// length, periods a1 = (cell[6], cell[7], cell[8]), a2 = (0, cell[9], cell[10]), a3 = (0, 0, cell[11]), least and largest
// z of charges). Column Y of layer X holds y - skew x in [Y, Y + 1] widths, skew = a1y / a1x.
// shape = (layers, columns of a layer, bins of a column, periodic).
struct PairGrid {
    const double* cell;
    const i64* shape;
    const i64* column_start;
    const i64* first_key;
    const i64* last_key;
    const double* centers;
    const double* halves;
};

SCI_DEVICE double at_least_zero(const double x) { return x > 0 ? x : 0.0; }

SCI_DEVICE i64 round_down(const double x) {
    const i64 n = i64(x);
    return double(n) > x ? n - 1 : n;
}

SCI_DEVICE i64 divide_down(const i64 a, const i64 b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// First chunk of [low, high) whose last bin is not below a key.
SCI_DEVICE i64 first_chunk(const i64* last_key, i64 low, i64 high, const i64 key) {
    while (low < high) {
        const i64 middle = (low + high) / 2;
        if (last_key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Calls visit(chunk, n1, n2, n3) for the chunks, with their images, whose column and bins come within reach 1 of chunk
// `own` in column (cx, cy); with FULL for all of them, else for those behind it in order, and its own first.
template <bool FULL, typename Visit>
SCI_DEVICE void visit_near(const PairGrid& grid, const i64 own, const i64 cx, const i64 cy, const Visit& visit) {
    constexpr double SLACK = 1e-9;
    const double *cell = grid.cell, *center = grid.centers + 3 * own, *half = grid.halves + 3 * own;
    const i64 nx = grid.shape[0], ny = grid.shape[1], nz = grid.shape[2];
    const bool periodic = grid.shape[3] != 0;
    const double skew = periodic ? cell[7] / cell[6] : 0.0;
    const double x_low = center[0] - half[0], x_high = center[0] + half[0];
    const double y_low = center[1] - half[1], y_high = center[1] + half[1];
    const double z_low = center[2] - half[2], z_high = center[2] + half[2];
    i64 first_x = FULL ? round_down((x_low - 1 - SLACK - cell[0]) / cell[1]) : cx;
    i64 last_x = round_down((x_high + 1 + SLACK - cell[0]) / cell[1]);
    if (!periodic) {
        first_x = first_x < 0 ? 0 : first_x;
        last_x = last_x < nx ? last_x : nx - 1;
    }
    for (i64 x = first_x; x <= last_x; ++x) {
        const double layer = cell[0] + double(x) * cell[1];
        const double gap_x = at_least_zero((layer > x_high ? layer - x_high : x_low - layer - cell[1]) - SLACK);
        if (gap_x > 1) continue;
        const double reach_y = sqrt(1 - gap_x * gap_x) + SLACK;
        const double one = skew * layer, two = skew * (layer + cell[1]);
        const double skew_low = one < two ? one : two, skew_high = one < two ? two : one;
        i64 first_y = round_down((y_low - reach_y - skew_high - cell[2]) / cell[3]);
        i64 last_y = round_down((y_high + reach_y - skew_low - cell[2]) / cell[3]);
        if (!FULL && x == cx) first_y = cy;
        if (!periodic) {
            first_y = first_y < 0 ? 0 : first_y;
            last_y = last_y < ny ? last_y : ny - 1;
        }
        const i64 n1 = periodic ? divide_down(x, nx) : 0;
        for (i64 y = first_y; y <= last_y; ++y) {
            const double low = cell[2] + double(y) * cell[3] + skew_low;
            const double high = cell[2] + double(y + 1) * cell[3] + skew_high;
            const double gap_y = at_least_zero((low > y_high ? low - y_high : y_low - high) - SLACK);
            const double left = 1 - gap_x * gap_x - gap_y * gap_y;
            if (left < 0) continue;
            const double reach = sqrt(left) + SLACK;
            const i64 n2 = periodic ? divide_down(y, ny) : 0;
            const i64 column = (x - n1 * nx) * ny + y - n2 * ny;
            const i64 start = grid.column_start[column], stop = grid.column_start[column + 1];
            if (start == stop) continue;
            const double moved = periodic ? double(n1) * cell[8] + double(n2) * cell[10] : 0.0;
            const double from = z_low - reach - moved, to = z_high + reach - moved;
            i64 first_z = 0, last_z = 0;
            if (periodic) {
                first_z = round_down((from - cell[13]) / cell[11]);
                last_z = round_down((to - cell[12]) / cell[11]) + 1;
            }
            const bool behind = !FULL && x == cx && y == cy;
            for (i64 n3 = behind ? 0 : first_z; n3 <= last_z; ++n3) {
                const double shift = periodic ? double(n3) * cell[11] : 0.0;
                const double bins_low = (from - shift - cell[4]) * cell[5], bins_high = (to - shift - cell[4]) * cell[5];
                if (bins_low > double(nz) || bins_high < 0) continue;
                const i64 low_bin = bins_low > 0 ? i64(bins_low) : 0;
                const i64 high_bin = bins_high < double(nz) ? i64(bins_high) : nz - 1;
                const i64 top = column * nz + high_bin;
                const i64 begin = behind && n3 == 0 ? own : first_chunk(grid.last_key, start, stop, column * nz + low_bin);
                for (i64 chunk = begin; chunk < stop && grid.first_key[chunk] <= top; ++chunk) visit(chunk, n1, n2, n3);
            }
        }
    }
}

// The vector of an image: periods times numbers, component by component.
SCI_DEVICE double image_shift(const double* cell, const int axis, const i64 n1, const i64 n2, const i64 n3) {
    const double first = double(n1) * cell[6 + axis];
    if (axis == 0) return first;
    return first + double(n2) * cell[8 + axis] + (axis == 2 ? double(n3) * cell[11] : 0.0);
}

template <typename T>
struct PairNumbers {
    T kappa, coincident, noise;  // squares of the distance of charges at one place, and of the error of a polynomial
};

// One polynomial of degree D at u, v = u^2: even and odd powers apart.
template <int D, typename T, typename Number>
SCI_DEVICE Number pair_polynomial(const T* c, const Number u, const Number v) {
    constexpr int EVEN = D % 2 ? D - 1 : D, ODD = D % 2 ? D : D - 1;
    Number even = v * c[EVEN] + c[EVEN - 2], odd = v * c[ODD] + c[ODD - 2];
    SCI_UNROLL
    for (i64 k = EVEN - 4; k >= 0; k -= 2) even = even * v + c[k];
    SCI_UNROLL
    for (i64 k = ODD - 4; k >= 1; k -= 2) odd = odd * v + c[k];
    return odd * u + even;
}

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

// Sum of `value` over the lanes of a row, in the order of lanes; the first lane of a row has it.
template <int W>
SCI_DEVICE double row_sum(double* room, const double value, const int t) {
    room[t] = value;
    SCI_BARRIER
    double sum = 0;
    if (t % W == 0)
        for (int k = 0; k < W; ++k) sum += room[t + k];
    SCI_BARRIER
    return sum;
}

#else

template <typename T>
struct PairLanes {
    // Of the caller's arrays, which may lie anywhere.
    typedef T Loose __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias, aligned(sizeof(T))));
    static constexpr int WIDTH = Lanes<T>::WIDTH, PARTS = CHUNK<T> / WIDTH > 0 ? CHUNK<T> / WIDTH : 1;
};

template <typename T>
SCI_DEVICE typename Lanes<T>::Vector lane_sqrt(const typename Lanes<T>::Vector x) {
    typename Lanes<T>::Vector root;
    SCI_UNROLL
    for (int l = 0; l < Lanes<T>::WIDTH; ++l) root[l] = sqrt(x[l]);
    return root;
}

template <typename T>
SCI_DEVICE T lane_sum(const typename Lanes<T>::Vector x) {
    return Cells<T>::template halves<SCI_VECTOR_BYTES>((const T*)&x);
}

template <typename T>
struct ClusterSums {
    typename Lanes<T>::Vector own[4][4], size, charge, shifted[3];
};

// Meets 4 charges (x, y, z, q) with one chunk, whose sums `other` (4, W) take what acts on it. OWN: the chunk is that of
// the charges, the first of which is lane `first`; a charge meets lanes behind it.
template <typename T, int D, bool SCREENED, bool FORCES, bool OWN>
SCI_DEVICE void meet(const T (&charges)[4][4], const T* chunk, T* other, ClusterSums<T>& sums, const T* polynomials,
                     const PairNumbers<T>& numbers, const bool shifted, const T first) {
    typedef typename Lanes<T>::Vector Vector;
    typedef typename PairLanes<T>::Loose Loose;
    constexpr int W = CHUNK<T>, WIDTH = Lanes<T>::WIDTH;
    SCI_UNROLL
    for (int part = 0; part < PairLanes<T>::PARTS; ++part) {
        const Loose* at = (const Loose*)(chunk + part * WIDTH);
        constexpr int STEP = W / WIDTH;
        const Vector xj = at[0], yj = at[STEP], zj = at[2 * STEP], qj = at[3 * STEP];
        Vector fx = {}, fy = {}, fz = {}, potential = {}, lanes = {};
        if (OWN)
            for (int l = 0; l < WIDTH; ++l) lanes[l] = T(part * WIDTH + l);
        SCI_UNROLL
        for (int i = 0; i < 4; ++i) {
            const Vector dx = xj - charges[i][0], dy = yj - charges[i][1], dz = zj - charges[i][2];
            const Vector r2 = dx * dx + dy * dy + dz * dz;
            auto near = r2 < T(1);
            if (OWN) near &= lanes > first + T(i);
            Vector inverse = T(1) / lane_sqrt<T>(r2);
            // Floats cannot tell charges at one place: their sums are then no numbers, or as large as the error estimated.
            if (sizeof(T) == 8) inverse = r2 > numbers.coincident ? inverse : Vector{};
            const Vector u = r2 * T(2) - T(1), v = u * u;
            const Vector whole = SCREENED ? lane_exp(-numbers.kappa * (r2 * inverse)) * inverse : inverse;
            const Vector b = pair_polynomial<D, T>(polynomials, u, v);
            const Vector value = near ? whole - b : Vector{};
            const T qi = charges[i][3];
            sums.own[i][3] += qj * value;
            potential += qi * value;
            if (FORCES) {
                const Vector g = pair_polynomial<D - 1, T>(polynomials + D + 1, u, v);
                const Vector cube = whole * inverse * (SCREENED ? inverse + numbers.kappa : inverse);
                const Vector factor = near ? cube - g : Vector{}, from = qj * factor, to = qi * factor;
                sums.own[i][0] -= from * dx;
                sums.own[i][1] -= from * dy;
                sums.own[i][2] -= from * dz;
                fx += to * dx;
                fy += to * dy;
                fz += to * dz;
                if (sizeof(T) == 4) {
                    const Vector part = near ? (qi * qj) * cube : Vector{};
                    sums.size += part * part;
                }
            } else if (sizeof(T) == 4) {
                const Vector part = near ? (qi * qj) * (whole * inverse) : Vector{};
                sums.size += part * part;
            }
        }
        if (sizeof(T) == 4) sums.charge += qj * qj;
        Loose* to = (Loose*)(other + part * WIDTH);
        to[3 * STEP] += potential;
        if (FORCES) {
            to[0] += fx;
            to[STEP] += fy;
            to[2 * STEP] += fz;
            if (shifted) {
                sums.shifted[0] += qj * fx;
                sums.shifted[1] += qj * fy;
                sums.shifted[2] += qj * fz;
            }
        }
    }
}

// Chunks near one, until they are met: centers less that of the chunk, and halves of their boxes.
template <typename T>
struct Candidates {
    static constexpr i64 ROOM = 512;
    T x[ROOM], y[ROOM], z[ROOM], half_x[ROOM], half_y[ROOM], half_z[ROOM], size[ROOM];
    int near[ROOM];
    i64 chunk[ROOM], image[ROOM][3], list[ROOM];
    i64 count;
};

SCI_DEVICE bool is_home(const i64* image) { return image[0] == 0 && image[1] == 0 && image[2] == 0; }

// total[0..8] += force (x) shift, for what the image `image` of chunks has taken.
template <typename T>
SCI_DEVICE void fold_shifted(ClusterSums<T>& sums, const double* cell, const i64* image, double* total) {
    if (is_home(image)) return;
    SCI_UNROLL
    for (int a = 0; a < 3; ++a) {
        const double force = lane_sum<T>(sums.shifted[a]);  // on the image
        for (int b = 0; b < 3; ++b) total[3 * a + b] += force * image_shift(cell, b, image[0], image[1], image[2]);
        sums.shifted[a] = typename Lanes<T>::Vector{};
    }
}

// (x, y, z, q) of 4 charges, seen from the center of another chunk.
template <typename T>
SCI_DEVICE void load_cluster(const T* at, const T x, const T y, const T z, T (&charges)[4][4]) {
    SCI_UNROLL
    for (int i = 0; i < 4; ++i) {
        charges[i][0] = at[i] - x;
        charges[i][1] = at[CHUNK<T> + i] - y;
        charges[i][2] = at[2 * CHUNK<T> + i] - z;
        charges[i][3] = at[3 * CHUNK<T> + i];
    }
}

// Meets the clusters of chunk `own` with all candidates, and empties the list.
template <typename T, int D, bool SCREENED, bool FORCES>
static __attribute__((noinline)) void meet_candidates(Candidates<T>& found, const PairGrid& grid, const i64 own, const T* data,
                                const T* clusters, const T* polynomials, const PairNumbers<T>& numbers, double* result,
                                T* other, double* total) {
    constexpr int W = CHUNK<T>;
    const T* chunk = data + own * (4 * W);
    const T own_size = T(grid.halves[3 * own] + grid.halves[3 * own + 1] + grid.halves[3 * own + 2]);
    for (int c = 0; c < W / 4; ++c) {
        const T* box = clusters + (own * (W / 4) + c) * 6;
        if (box[3] < 0) continue;
        SCI_PRAGMA(omp simd)
        for (i64 k = 0; k < found.count; ++k) {
            const T x = found.x[k] - box[0], y = found.y[k] - box[1], z = found.z[k] - box[2];
            const T gx = (x < 0 ? -x : x) - (found.half_x[k] + box[3]), gy = (y < 0 ? -y : y) - (found.half_y[k] + box[4]);
            const T gz = (z < 0 ? -z : z) - (found.half_z[k] + box[5]);
            const T px = gx > 0 ? gx : T(0), py = gy > 0 ? gy : T(0), pz = gz > 0 ? gz : T(0);
            found.near[k] = px * px + py * py + pz * pz < T(1);
        }
        i64 entries = 0;
        for (i64 k = 0; k < found.count; ++k) {
            found.list[entries] = k;
            entries += found.near[k];
        }
        ClusterSums<T> sums = {};
        T size = 0;
        const i64 home[3] = {0, 0, 0};
        const i64* image = home;
        i64 e = 0;
        if (entries > 0 && found.chunk[0] == own && is_home(found.image[0])) {  // first, if it is in this list
            T charges[4][4];
            load_cluster<T>(chunk + 4 * c, T(0), T(0), T(0), charges);
            meet<T, D, SCREENED, FORCES, true>(charges, chunk, other + own * (4 * W), sums, polynomials, numbers, false,
                                               T(4 * c));
            size = own_size;
            e = 1;
        }
        for (; e < entries; ++e) {
            const i64 k = found.list[e], j = found.chunk[k];
            if (FORCES && (found.image[k][0] != image[0] || found.image[k][1] != image[1] || found.image[k][2] != image[2])) {
                fold_shifted<T>(sums, grid.cell, image, total);
                image = found.image[k];
            }
            T charges[4][4];
            load_cluster<T>(chunk + 4 * c, found.x[k], found.y[k], found.z[k], charges);
            size = found.size[k] > size ? found.size[k] : size;
            meet<T, D, SCREENED, FORCES, false>(charges, data + j * (4 * W), other + j * (4 * W), sums, polynomials,
                                                numbers, !is_home(image), T(0));
        }
        if (FORCES) fold_shifted<T>(sums, grid.cell, image, total);
        SCI_UNROLL
        for (int i = 0; i < 4; ++i)
            SCI_UNROLL
            for (int a = 0; a < 4; ++a)
                result[(own * 4 + a) * W + 4 * c + i] += double(lane_sum<T>(sums.own[i][a]));
        const double reach = 0.5 + double(own_size) + double(size);
        if (sizeof(T) == 4) {
            double charge = 0;
            for (int i = 0; i < 4; ++i) charge += double(chunk[3 * W + 4 * c + i]) * double(chunk[3 * W + 4 * c + i]);
            total[9] += double(lane_sum<T>(sums.size)) * (reach * reach) +
                        double(numbers.noise) * charge * double(lane_sum<T>(sums.charge));
        }
    }
    found.count = 0;
}

#endif

// Fields and potentials of all pairs: on the host own + other, on a GPU own alone, (ex, ey, ez, potential) of each lane.
// sums[0..8] add up to the force on images (x) their shift, which the virial has beyond sum q e (x) x; sums[9] to the
// squares of what float32 makes errors of: q q / r^3 times the extent of the boxes, in which distances are rounded, and
// q q times the size of the polynomial. A row of sums is a tile of columns (first and last layer, first and last column),
// on a GPU a chunk.
// Instances: <float, 10|12|14|16, false, false|true> <double, 14|18|24|32, false, false|true>
// <double, 16|32, true, false|true>
template <typename T, int D, bool SCREENED, bool FORCES>
SCI_KERNEL pairs(SCI_INDEX const T* __restrict__ data /*[chunks, 4, width]*/,
                 const T* __restrict__ clusters /*[clusters, 6]*/, const double* __restrict__ centers /*[chunks, 3]*/,
                 const double* __restrict__ halves /*[chunks, 3]*/, const i64* __restrict__ column_start /*[c]*/,
                 const i64* __restrict__ column /*[chunks]*/, const i64* __restrict__ first_key /*[chunks]*/,
                 const i64* __restrict__ last_key /*[chunks]*/, const i64* __restrict__ corners /*[tiles, 4]*/,
                 const i64* __restrict__ shape /*[4]*/, const double* __restrict__ cell /*[14]*/,
                 const T* __restrict__ polynomials /*[2, terms]*/, double* __restrict__ own /*[chunks, 4, width]*/,
                 T* __restrict__ other /*[chunks, 4, width]*/, double* __restrict__ sums /*[rows, 10]*/,
                 const i64 chunks, const i64 tiles,
                 const i64 first_tile, const double kappa, const double coincident, const double noise) {
    const PairGrid grid = {cell, shape, column_start, first_key, last_key, centers, halves};
    const PairNumbers<T> numbers = {T(kappa), T(coincident), T(noise)};
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    constexpr int W = CHUNK<T>, ROWS = SCI_BLOCK / W, EACH = W / ROWS;
    SCI_SHARED double room[SCI_BLOCK];
    const int t = threadIdx.x, lane = t % W, row = t / W;
    for (i64 chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
        if (column[chunk] < 0) continue;  // no charges
        const T* here = data + chunk * (4 * W);
        T x[EACH], y[EACH], z[EACH], q[EACH], f[EACH][4], size = 0;
        double virial[9];
        SCI_UNROLL
        for (int a = 0; a < 9; ++a) virial[a] = 0;
        SCI_UNROLL
        for (int e = 0; e < EACH; ++e) {
            x[e] = here[e * ROWS + row];
            y[e] = here[W + e * ROWS + row];
            z[e] = here[2 * W + e * ROWS + row];
            q[e] = here[3 * W + e * ROWS + row];
            f[e][0] = f[e][1] = f[e][2] = f[e][3] = 0;
        }
        const i64 cx = column[chunk] / shape[1], cy = column[chunk] % shape[1];
        visit_near<true>(grid, chunk, cx, cy, [&](const i64 j, const i64 n1, const i64 n2, const i64 n3) {
            double moved[3], gap2 = 0;
            T extent = T(0.5);
            SCI_UNROLL
            for (int a = 0; a < 3; ++a) {
                moved[a] = centers[3 * j + a] + image_shift(cell, a, n1, n2, n3) - centers[3 * chunk + a];
                const double gap = (moved[a] < 0 ? -moved[a] : moved[a]) - halves[3 * j + a] - halves[3 * chunk + a];
                gap2 += gap > 0 ? gap * gap : 0.0;
                extent += T(halves[3 * j + a] + halves[3 * chunk + a]);
            }
            if (gap2 > 1.000001) return;
            const T* at = data + j * (4 * W) + lane;
            const T xj = at[0] + T(moved[0]), yj = at[W] + T(moved[1]), zj = at[2 * W] + T(moved[2]), qj = at[3 * W];
            const bool home = j == chunk && n1 == 0 && n2 == 0 && n3 == 0;
            T fx = 0, fy = 0, fz = 0;
            SCI_UNROLL
            for (int e = 0; e < EACH; ++e) {
                const T dx = xj - x[e], dy = yj - y[e], dz = zj - z[e];
                const T r2 = dx * dx + dy * dy + dz * dz;
                const bool near = r2 < T(1) && !(home && lane == e * ROWS + row);
                T inverse = rsqrt(r2);
                if (sizeof(T) == 8) inverse = r2 > numbers.coincident ? inverse : T(0);
                const T u = r2 * T(2) - T(1), v = u * u;
                const T whole = SCREENED ? T(sci_exp(-numbers.kappa * (r2 * inverse))) * inverse : inverse;
                const T value = near ? whole - pair_polynomial<D, T>(polynomials, u, v) : T(0);
                f[e][3] += qj * value;
                if (FORCES) {
                    const T g = pair_polynomial<D - 1, T>(polynomials + D + 1, u, v);
                    const T cube = whole * inverse * (SCREENED ? inverse + numbers.kappa : inverse);
                    const T factor = near ? cube - g : T(0), from = qj * factor, to = q[e] * from;
                    f[e][0] -= from * dx;
                    f[e][1] -= from * dy;
                    f[e][2] -= from * dz;
                    fx += to * dx;
                    fy += to * dy;
                    fz += to * dz;
                    const T part = near ? (q[e] * qj) * cube : T(0);
                    if (sizeof(T) == 4) size += part * part * (extent * extent) + (near ? numbers.noise * (q[e] * q[e]) * (qj * qj) : T(0));
                } else if (sizeof(T) == 4) {
                    const T part = near ? (q[e] * qj) * (whole * inverse) : T(0);
                    size += part * part * (extent * extent) + (near ? numbers.noise * (q[e] * q[e]) * (qj * qj) : T(0));
                }
            }
            if (FORCES && (n1 != 0 || n2 != 0 || n3 != 0)) {
                SCI_UNROLL
                for (int b = 0; b < 3; ++b) {
                    const double shift = 0.5 * image_shift(cell, b, n1, n2, n3);
                    virial[b] += double(fx) * shift;
                    virial[3 + b] += double(fy) * shift;
                    virial[6 + b] += double(fz) * shift;
                }
            }
        });
        SCI_UNROLL
        for (int e = 0; e < EACH; ++e) {
            SCI_UNROLL
            for (int a = 0; a < 4; ++a) {
                const double sum = row_sum<W>(room, double(f[e][a]), t);
                if (lane == 0) own[(chunk * 4 + a) * W + e * ROWS + row] = sum;
            }
        }
        SCI_UNROLL
        for (int a = 0; a < 10; ++a) {
            const double sum = row_sum<SCI_BLOCK>(room, a < 9 ? virial[a < 9 ? a : 0] : 0.5 * double(size), t);
            if (t == 0) sums[chunk * 10 + a] = sum;
        }
    }
#else
    Candidates<T> found;
    const i64 tile = first_tile + blockIdx.x, *corner = corners + 4 * tile;
    if (tile >= tiles) return;
    double* total = sums + 10 * tile;
    for (i64 cx = corner[0]; cx < corner[1]; ++cx) {
        const i64 start = column_start[cx * shape[1] + corner[2]], stop = column_start[cx * shape[1] + corner[3]];
        for (i64 chunk = start; chunk < stop; ++chunk) {
            const double *center = centers + 3 * chunk, *half = halves + 3 * chunk;
            found.count = 0;
            visit_near<false>(grid, chunk, cx, column[chunk] % shape[1], [&](const i64 j, const i64 n1, const i64 n2, const i64 n3) {
                if (found.count == Candidates<T>::ROOM)
                    meet_candidates<T, D, SCREENED, FORCES>(found, grid, chunk, data, clusters, polynomials, numbers, own,
                                                            other, total);
                const i64 k = found.count++;
                const double dx = centers[3 * j] + image_shift(cell, 0, n1, n2, n3) - center[0];
                const double dy = centers[3 * j + 1] + image_shift(cell, 1, n1, n2, n3) - center[1];
                const double dz = centers[3 * j + 2] + image_shift(cell, 2, n1, n2, n3) - center[2];
                const double sum = halves[3 * j] + halves[3 * j + 1] + halves[3 * j + 2];
                // Boxes grow by what rounding to T may hide.
                const double slack = (sizeof(T) == 4 ? 1e-6 : 1e-12) * (1 + sum + half[0] + half[1] + half[2]);
                found.x[k] = T(dx);
                found.y[k] = T(dy);
                found.z[k] = T(dz);
                found.half_x[k] = T(halves[3 * j] + slack);
                found.half_y[k] = T(halves[3 * j + 1] + slack);
                found.half_z[k] = T(halves[3 * j + 2] + slack);
                found.size[k] = T(sum);
                found.chunk[k] = j;
                found.image[k][0] = n1;
                found.image[k][1] = n2;
                found.image[k][2] = n3;
            });
            meet_candidates<T, D, SCREENED, FORCES>(found, grid, chunk, data, clusters, polynomials, numbers, own, other,
                                                    total);
        }
    }
#endif
}

// The order of keys below `bins`, equal ones in that of their numbers; `place` (bins + 1) is workspace, zeros at first.
// 3 reads and 2 writes a key, at random places of `place`: the limit is the latency of the cache.
// Instances (host): <double>
template <typename T>
SCI_KERNEL order_of_keys(SCI_INDEX const i64* __restrict__ keys /*[n]*/, i64* __restrict__ place /*[places]*/,
                         i64* __restrict__ order /*[n]*/, const i64 n, const i64 places) {
    for (i64 i = 0; i < n; ++i) ++place[keys[i] + 1];
    for (i64 k = 1; k < places; ++k) place[k] += place[k - 1];
    for (i64 i = 0; i < n; ++i) order[place[keys[i]]++] = i;
}

// Splits the members of each chunk, -1 for none, by x and y into clusters of 4 in place, and writes coordinates and charges
// relative to the center of their box, (x, y, z, q) of each lane, and the boxes (center, half) of chunks and clusters; those
// of clusters relative to the chunk, with a negative half if they are empty. 2 W comparisons a charge, 100 bytes.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL pack_chunks(SCI_INDEX const double* __restrict__ positions /*[n, 3]*/,
                       const double* __restrict__ charges /*[n]*/, i64* __restrict__ members /*[chunks, width]*/,
                       T* __restrict__ data /*[chunks, 4, width]*/, T* __restrict__ clusters /*[clusters, 6]*/,
                       double* __restrict__ centers /*[chunks, 3]*/, double* __restrict__ halves /*[chunks, 3]*/,
                       const i64 chunks, const i64 width) {
#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
    constexpr int W = CHUNK<T>;
    for (i64 chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
        i64* lanes = members + chunk * width;
        double place[3][W];
        i64 sorted[W];
        // Ranks by x of all lanes, then by y of each half: a lane counts those before it.
        for (int level = 0; level < (W == 16 ? 2 : 1); ++level) {
            const i64 part = level == 0 ? W : W / 2;
            double key[W];
            for (int l = 0; l < W; ++l) key[l] = lanes[l] >= 0 ? positions[3 * lanes[l] + level] : 1e300;
            for (int l = 0; l < W; ++l) {
                i64 rank = l / part * part;
                for (i64 k = l / part * part; k < l / part * part + part; ++k)
                    rank += key[k] < key[l] || (key[k] == key[l] && k < l);
                sorted[rank] = lanes[l];
            }
            for (int l = 0; l < W; ++l) lanes[l] = sorted[l];
        }
        double low[3], high[3];
        for (int a = 0; a < 3; ++a) {
            low[a] = 1e300;
            high[a] = -1e300;
            for (int l = 0; l < W; ++l) {
                if (lanes[l] < 0) continue;
                place[a][l] = positions[3 * lanes[l] + a];
                low[a] = place[a][l] < low[a] ? place[a][l] : low[a];
                high[a] = place[a][l] > high[a] ? place[a][l] : high[a];
            }
            centers[3 * chunk + a] = (low[a] + high[a]) / 2;
            halves[3 * chunk + a] = (high[a] - low[a]) / 2;
        }
        T* out = data + chunk * (4 * W);
        for (int l = 0; l < W; ++l) {
            const bool real = lanes[l] >= 0;
            for (int a = 0; a < 3; ++a) out[a * W + l] = T(real ? place[a][l] - centers[3 * chunk + a] : a == 0 ? 1e4 * (l + 1) : 0.0);
            out[3 * W + l] = T(real ? charges[lanes[l]] : 0.0);
        }
        for (int c = 0; c < W / 4; ++c) {
            T* box = clusters + (chunk * (W / 4) + c) * 6;
            for (int a = 0; a < 3; ++a) {
                T least = 1e30f, most = -1e30f;
                for (i64 l = 4 * c; l < 4 * c + 4; ++l) {
                    if (lanes[l] < 0) continue;
                    const T value = out[a * W + l];
                    least = value < least ? value : least;
                    most = value > most ? value : most;
                }
                const bool empty = least > most;
                box[a] = empty ? T(0) : (least + most) / 2;
                box[3 + a] = empty ? T(-1) : (most - least) / 2;
            }
        }
    }
#endif
}

// result[charge] = own + other of its lane, (ex, ey, ez, potential). 100 bytes a charge: the limit is memory.
// Instances: <float|double>
template <typename T>
SCI_KERNEL scatter_chunks(SCI_INDEX const double* __restrict__ own /*[chunks, 4, width]*/,
                          const T* __restrict__ other /*[chunks, 4, width]*/,
                          const i64* __restrict__ members /*[chunks, width]*/, double* __restrict__ result /*[n, 4]*/,
                          const i64 chunks, const i64 width) {
    for (i64 chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
        for (i64 lane = SCI_LANE; lane < width; lane += SCI_STEP) {
            const i64 charge = members[chunk * width + lane];
            if (charge < 0) continue;
            for (int a = 0; a < 4; ++a) {
                const i64 place = (chunk * 4 + a) * width + lane;
                result[4 * charge + a] = own[place] + double(other[place]);
            }
        }
    }
}
