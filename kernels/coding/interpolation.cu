// Predicts a field on ever finer grids from the points of the grids before, and quantizes what the prediction misses.
//
// On the grid of stride s = 2^level the points whose index is odd along some axes are predicted by the mean over these
// axes of a cubic through the four nearest points along the axis, (9 (a + b) - (c + d)) / 16, where c and d, s more away,
// are inside; else by a polynomial through those that are. A stage is the points of one set of odd axes, the bits of its
// mask; stages with fewer odd axes come first, so that all neighbors are known. With value v = scale times field, and p
// the prediction, q = sign(v - p) floor(|v - p| / step + rounding), and p + q step takes the place of v for the stages to
// come. Predictions are integers, and so are steps: a decoder computes the same integers on every machine.
//
// q lies as wavelet coefficients do: along each axis the even indices of a grid first, then its odd ones.
//
// Operations: about 20 a point. Bytes: each value is read once, each q and each point of x written once, and read from
// cache by the stages that follow.
#include "host.h"

constexpr i64 AXES = 4;

// Sixteenths by which the neighbors at -1, 1, -3 and 3 strides count, and where they are; one outside counts nothing.
template <typename T>
struct Neighbors {
    T weight[4];
    i64 at[4];
};

template <typename T>
SCI_DEVICE Neighbors<T> neighbors(const i64 place, const i64 s, const i64 n, const i64 by) {
    const bool b = place + s < n, c = place >= 3 * s, d = place + 3 * s < n;
    Neighbors<T> out = {{T(16), T(0), T(0), T(0)}, {-by, b ? by : -by, c ? -3 * by : -by, d ? 3 * by : -by}};
    T* const w = out.weight;
    if (b && c && d)
        w[0] = T(9), w[1] = T(9), w[2] = T(-1), w[3] = T(-1);
    else if (b && c)
        w[0] = T(12), w[1] = T(6), w[2] = T(-2);
    else if (b && d)
        w[0] = T(6), w[1] = T(12), w[3] = T(-2);
    else if (b)
        w[0] = T(8), w[1] = T(8);
    else if (c)
        w[0] = T(24), w[2] = T(-8);
    return out;
}

// Add what the neighbors along one axis say of `count` points, `jump` apart from `x` on.
template <typename T>
SCI_DEVICE void add_neighbors(T* const __restrict__ sums, const T* const __restrict__ x, const i64 count, const i64 jump,
                              const Neighbors<T>& of) {
    const T *const a = x + of.at[0], *const b = x + of.at[1], *const c = x + of.at[2], *const d = x + of.at[3];
    const T wa = of.weight[0], wb = of.weight[1], wc = of.weight[2], wd = of.weight[3];
    if (jump == 2 && wa == wb && wc == wd) {
        SCI_ROW(k, count) { sums[k] += wa * (a[2 * k] + b[2 * k]) + wc * (c[2 * k] + d[2 * k]); }
    } else if (jump == 2) {
        SCI_ROW(k, count) { sums[k] += wa * a[2 * k] + wb * b[2 * k] + wc * c[2 * k] + wd * d[2 * k]; }
    } else if (jump == 1) {
        SCI_ROW(k, count) { sums[k] += wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k]; }
    } else {
        for (i64 k = 0; k < count; ++k)
            sums[k] += wa * a[k * jump] + wb * b[k * jump] + wc * c[k * jump] + wd * d[k * jump];
    }
}

// The mean of sums of sixteenths over COUNT axes, halves away from zero.
template <typename T, int COUNT>
SCI_DEVICE void divide(T* const sums, const i64 n) {
    SCI_ROW(k, n) { sums[k] = (sums[k] + (sums[k] < T(0) ? T(-8 * COUNT) : T(8 * COUNT))) / T(16 * COUNT); }
}

// A row of points of a stage along the last axis.
struct Row {
    i64 count, jump;  // points, and how far they are apart
    i64 at, place;    // of the first one, in the field and in q
};

struct Stage {
    i64 n[AXES], by[AXES];  // points of the axes, and how far neighbors along an axis are apart
    i64 s, mask;

    SCI_DEVICE_MEMBER bool odd(const i64 axis) const { return mask >> (AXES - 1 - axis) & 1; }
    SCI_DEVICE_MEMBER i64 points(const i64 axis) const {
        const i64 left = n[axis] - (odd(axis) ? s : 0);
        return left > 0 ? (left + 2 * s - 1) / (2 * s) : 0;
    }
    SCI_DEVICE_MEMBER i64 rows() const { return points(0) * points(1) * points(2); }
    SCI_DEVICE_MEMBER i64 index(const i64 axis, const i64 k) const { return (odd(axis) ? s : 0) + 2 * s * k; }
    SCI_DEVICE_MEMBER i64 coefficient(const i64 axis, const i64 k) const {
        return (odd(axis) ? ((n[axis] + s - 1) / s + 1) / 2 : 0) + k;
    }
    SCI_DEVICE_MEMBER void of_row(const i64 row, i64* const k) const {
        k[2] = row % points(2);
        k[1] = row / points(2) % points(1);
        k[0] = row / points(2) / points(1);
        k[3] = 0;
    }
    SCI_DEVICE_MEMBER Row find(const i64* const k) const {
        Row out = {points(3), 2 * s, 0, 0};
        for (i64 axis = 0; axis < AXES; ++axis) {
            out.at += by[axis] * index(axis, k[axis]);
            out.place += by[axis] * coefficient(axis, k[axis]);
        }
        return out;
    }
    // Predict a row, into `sums`.
    template <typename T>
    SCI_DEVICE_MEMBER void predict(T* const __restrict__ sums, const T* const __restrict__ x, const Row& row,
                                   const i64* const k) const {
        SCI_ROW(j, row.count) { sums[j] = T(0); }
        i64 axes = 0;
        for (i64 axis = 0; axis < AXES; ++axis) {
            if (!odd(axis)) continue;
            ++axes;
            if (axis < AXES - 1) {
                const Neighbors<T> of = neighbors<T>(index(axis, k[axis]), s, n[axis], by[axis] * s);
                add_neighbors(sums, x + row.at, row.count, row.jump, of);
                continue;
            }
            const i64 inner = (n[axis] - 4 * s + 2 * s - 1) / (2 * s);  // points below it have both outer neighbors
            i64 j = 0;
            while (j < row.count) {
                const bool all = j >= 1 && j < inner;
                const i64 length = all ? inner - j : 1;
                add_neighbors(sums + j, x + row.at + j * row.jump, length, row.jump,
                              neighbors<T>(index(axis, j), s, n[axis], s));
                j += length;
            }
        }
        if (axes == 1) divide<T, 1>(sums, row.count);
        if (axes == 2) divide<T, 2>(sums, row.count);
        if (axes == 3) divide<T, 3>(sums, row.count);
        if (axes == 4) divide<T, 4>(sums, row.count);
    }
};

SCI_DEVICE Stage stage_of(const i64* const stage, const i64 n0, const i64 n1, const i64 n2, const i64 n3) {
    return {{n0, n1, n2, n3}, {n1 * n2 * n3, n2 * n3, n3, 1}, i64(1) << stage[0], stage[1]};
}

// Quantize what predictions, in `y`, miss; `y` becomes what a decoder will know.
template <int JUMP, typename F, typename T>
SCI_DEVICE void quantize_row(T* const __restrict__ y, T* const __restrict__ q, const F* const __restrict__ from,
                             const Row& row, const T step, const double scale, const double rounding, double& top,
                             double& square) {
    const double inverse = 1.0 / double(step);
    const i64 jump = JUMP ? JUMP : row.jump;
    double most = 0, total = 0;
    _Pragma("omp simd reduction(max : most) reduction(+ : total)") for (int j = 0; j < int(row.count); ++j) {
        const double v = scale * double(from[j * jump]), d = v - double(y[j]);
        const T m = T((d < 0 ? -d : d) * inverse + rounding), value = d < 0 ? -m : m, known = y[j] + value * step;
        const double miss = v - double(known), size = miss < 0 ? -miss : miss;
        q[j] = value;
        y[j] = known;
        most = size > most ? size : most;
        total += miss * miss;
    }
    top = most > top ? most : top;
    square += total;
}

// A loop of its own: no vector stores every other number.
template <typename T>
SCI_DEVICE void scatter(T* const __restrict__ to, const T* const __restrict__ from, const Row& row) {
    for (i64 j = 0; j < row.count; ++j) to[j * row.jump] = from[j];
}

// Quantizes the stages in the rows of `stages`, level and mask, of which `steps` has the step of each level. More than
// one are done in a row by one block. `errors` of each block: the largest |v - x|, and the sum of their squares.
//
// Instances (host): <float|double, int|i64>
template <typename F, typename T>
SCI_KERNEL encode_stages(SCI_INDEX const F* __restrict__ field /*[size]*/, T* x /*[size]*/,
                         T* __restrict__ q /*[size]*/, const i64* stages /*[count,2]*/, const i64* steps /*[levels]*/,
                         T* scratch /*[slots,places]*/, double* errors /*[slots,2]*/, const i64 n0, const i64 n1,
                         const i64 n2, const i64 n3, const i64 count, const i64 levels, const i64 slots,
                         const i64 places, const double scale, const double rounding) {
    T* const sums = scratch + blockIdx.x * places;
    double top = errors[2 * blockIdx.x], square = errors[2 * blockIdx.x + 1];
    for (i64 which = 0; which < count; ++which) {
        const Stage stage = stage_of(stages + 2 * which, n0, n1, n2, n3);
        const T step = T(steps[stages[2 * which]]);
        for (i64 line = blockIdx.x; line < stage.rows(); line += gridDim.x) {
            i64 k[AXES];
            stage.of_row(line, k);
            const Row row = stage.find(k);
            stage.predict(sums, x, row, k);
            const F* const from = field + row.at;
            if (row.jump == 2)
                quantize_row<2>(sums, q + row.place, from, row, step, scale, rounding, top, square);
            else
                quantize_row<0>(sums, q + row.place, from, row, step, scale, rounding, top, square);
            scatter(x + row.at, sums, row);
        }
    }
    errors[2 * blockIdx.x] = top;
    errors[2 * blockIdx.x + 1] = square;
}

// The inverse: x becomes what the encoder has.
//
// Instances (host): <int|i64>
template <typename T>
SCI_KERNEL decode_stages(SCI_INDEX const T* __restrict__ q /*[size]*/, T* x /*[size]*/, const i64* stages /*[count,2]*/,
                         const i64* steps /*[levels]*/, T* scratch /*[slots,places]*/, const i64 n0, const i64 n1,
                         const i64 n2, const i64 n3, const i64 count, const i64 levels, const i64 slots,
                         const i64 places) {
    T* const sums = scratch + blockIdx.x * places;
    for (i64 which = 0; which < count; ++which) {
        const Stage stage = stage_of(stages + 2 * which, n0, n1, n2, n3);
        const T step = T(steps[stages[2 * which]]);
        for (i64 line = blockIdx.x; line < stage.rows(); line += gridDim.x) {
            i64 k[AXES];
            stage.of_row(line, k);
            const Row row = stage.find(k);
            stage.predict(sums, x, row, k);
            const T* const in = q + row.place;
            SCI_ROW(j, row.count) { sums[j] += in[j] * step; }
            scatter(x + row.at, sums, row);
        }
    }
}
