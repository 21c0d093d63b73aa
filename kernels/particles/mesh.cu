// The two ends of a particle mesh: charges spread onto a periodic grid, and potential and gradient gathered from it.
//
// A charge at grid coordinates u touches the P x P x P points below it with the weights of the B-spline of order P. The
// weights of an axis are P polynomials of degree P - 1 in the place t = u - floor(u) - 1/2 within the spacing; taps holds
// their coefficients by power, padded with zero polynomials to 8 lanes, so that a row of points is one vector. Rows of the
// grid are 8 points longer than the period for the same reason: what lies beyond its end belongs to its beginning.
#include "host.h"

// Eight numbers along a row.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

template <typename T, int P>
struct Row {
    T lane[P];
    SCI_DEVICE_MEMBER void set(const T* from) {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] = from[k];
    }
    SCI_DEVICE_MEMBER void clear() {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] = 0;
    }
    // this = this t + from
    SCI_DEVICE_MEMBER void horner(const T t, const T* from) {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] = lane[k] * t + from[k];
    }
    SCI_DEVICE_MEMBER void horner(const T t, const Row& from) {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] = lane[k] * t + from.lane[k];
    }
    SCI_DEVICE_MEMBER void add(const T factor, const T* from) {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] += factor * from[k];
    }
    SCI_DEVICE_MEMBER void add(const T factor, const Row& from) {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) lane[k] += factor * from.lane[k];
    }
    SCI_DEVICE_MEMBER void add_to(T* to, const T factor) const {
        SCI_UNROLL
        for (int k = 0; k < P; ++k) atomicAdd(to + k, factor * lane[k]);
    }
    SCI_DEVICE_MEMBER T dot(const Row& other) const {
        T sum = 0;
        SCI_UNROLL
        for (int k = 0; k < P; ++k) sum += lane[k] * other.lane[k];
        return sum;
    }
    SCI_DEVICE_MEMBER T at(const int k) const { return lane[k]; }
};

#else

template <typename T, int P>
struct Row {
    typedef T Vector __attribute__((vector_size(8 * sizeof(T)), may_alias, aligned(sizeof(T))));
    Vector lane;
    SCI_DEVICE_MEMBER void set(const T* from) { lane = *(const Vector*)from; }
    SCI_DEVICE_MEMBER void clear() { lane = Vector{}; }
    SCI_DEVICE_MEMBER void horner(const T t, const T* from) { lane = lane * t + *(const Vector*)from; }
    SCI_DEVICE_MEMBER void horner(const T t, const Row& from) { lane = lane * t + from.lane; }
    SCI_DEVICE_MEMBER void add(const T factor, const T* from) { lane += factor * *(const Vector*)from; }
    SCI_DEVICE_MEMBER void add(const T factor, const Row& from) { lane += factor * from.lane; }
    SCI_DEVICE_MEMBER void add_to(T* to, const T factor) const { *(Vector*)to += factor * lane; }
    SCI_DEVICE_MEMBER T dot(const Row& other) const {
        const Vector p = lane * other.lane;
        return ((p[0] + p[4]) + (p[1] + p[5])) + ((p[2] + p[6]) + (p[3] + p[7]));
    }
    SCI_DEVICE_MEMBER T at(const int k) const { return lane[k]; }
};

#endif

// Where the points of a charge begin along an axis of n points, and its place within the spacing.
template <typename T, int P>
SCI_DEVICE T place_of(const double fraction, const i64 n, i64& first) {
    i64 whole = i64(fraction);
    whole -= double(whole) > fraction ? 1 : 0;
    const double u = (fraction - double(whole)) * double(n);
    const i64 below = i64(u) < n ? i64(u) : n - 1;  // a fraction just below 1 may round to it
    first = below - (P - 1) + (below < P - 1 ? n : 0);
    return T(u - double(below) - 0.5);
}

template <typename T, int P>
SCI_DEVICE void weights_of(const T t, const T* __restrict__ taps, Row<T, P>& weight) {
    weight.set(taps + 8 * (P - 1));
    SCI_UNROLL
    for (int d = P - 2; d >= 0; --d) weight.horner(t, taps + 8 * d);
}

template <typename T, int P>
SCI_DEVICE void slopes_of(const T t, const T* __restrict__ taps, Row<T, P>& weight, Row<T, P>& slope) {
    weight.set(taps + 8 * (P - 1));
    slope.clear();
    SCI_UNROLL
    for (int d = P - 2; d >= 0; --d) {
        slope.horner(t, weight);
        weight.horner(t, taps + 8 * d);
    }
}

// The weights of an axis of the outer loops, and their slopes: all at once on the host; on a GPU, whose loops are rolled to
// save registers, one after the other from the table.
template <typename T, int P>
struct Outer {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    const T* taps;
    T t;
    SCI_DEVICE_MEMBER void set(const T place, const T* from) { t = place, taps = from; }
    SCI_DEVICE_MEMBER void set_weights(const T place, const T* from) { set(place, from); }
    SCI_DEVICE_MEMBER T weight(const int k) const {
        T w = taps[8 * (P - 1) + k];
        SCI_UNROLL
        for (int d = P - 2; d >= 0; --d) w = w * t + taps[8 * d + k];
        return w;
    }
    SCI_DEVICE_MEMBER T slope(const int k) const {
        T s = (P - 1) * taps[8 * (P - 1) + k];
        SCI_UNROLL
        for (int d = P - 2; d >= 1; --d) s = s * t + d * taps[8 * d + k];
        return s;
    }
#else
    Row<T, P> w, s;
    SCI_DEVICE_MEMBER void set(const T place, const T* from) { slopes_of<T, P>(place, from, w, s); }
    SCI_DEVICE_MEMBER void set_weights(const T place, const T* from) { weights_of<T, P>(place, from, w); }
    SCI_DEVICE_MEMBER T weight(const int k) const { return w.at(k); }
    SCI_DEVICE_MEMBER T slope(const int k) const { return s.at(k); }
#endif
};

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define OUTER_LOOP SCI_ROLLED
#else
#define OUTER_LOOP SCI_UNROLL
#endif

SCI_DEVICE double fraction_of(const double* __restrict__ position, const double* __restrict__ inverse, const int axis) {
    return position[0] * inverse[axis] + position[1] * inverse[3 + axis] + position[2] * inverse[6 + axis];
}

// Adds charges to a grid whose rows are `row` points long, 8 more than the period. Part p of the charges goes into copy p
// on the host, where threads must not write to the same points, and into one copy by atomic additions on a GPU. Bytes of a
// charge: 16 P^2 of T's 8 lanes, mostly from cache; flops 2 P^2 8.
// Instances: <float|double, 5|6|7|8>
template <typename T, int P>
SCI_KERNEL spread_charges(SCI_INDEX const double* __restrict__ positions /*[n, 3]*/,
                          const double* __restrict__ charges /*[n]*/, const double* __restrict__ inverse /*[9]*/,
                          const T* __restrict__ taps /*[P, 8]*/, T* __restrict__ grid /*[copies, n1, n2, row]*/,
                          const i64 n, const i64 n1, const i64 n2, const i64 row, const i64 copies, const i64 parts) {
    for (i64 part = blockIdx.x; part < parts; part += gridDim.x) {
        T* const own = grid + (copies > 1 ? part : 0) * n1 * n2 * row;
        const i64 last = n * (part + 1) / parts;
        for (i64 i = n * part / parts + SCI_LANE; i < last; i += SCI_STEP) {
            i64 x, y, z;
            Outer<T, P> along;
            Row<T, P> wy, wz;
            const double* const position = positions + 3 * i;
            along.set_weights(place_of<T, P>(fraction_of(position, inverse, 0), n1, x), taps);
            weights_of<T, P>(place_of<T, P>(fraction_of(position, inverse, 1), n2, y), taps, wy);
            weights_of<T, P>(place_of<T, P>(fraction_of(position, inverse, 2), row - 8, z), taps, wz);
            const T charge = T(charges[i]);
            OUTER_LOOP
            for (int a = 0; a < P; ++a) {
                T* const plane = own + (x + a < n1 ? x + a : x + a - n1) * n2 * row + z;
                const T factor = charge * along.weight(a);
                SCI_UNROLL
                for (int b = 0; b < P; ++b)
                    wz.add_to(plane + (y + b < n2 ? y + b : y + b - n2) * row, factor * wy.at(b));
            }
        }
    }
}

// out[i] = potential and its gradient by x, y, z at a charge, of a grid whose rows repeat their first 8 points at the end.
// The gradient is that of the interpolant. Along each plane of points two sums over rows serve all four numbers. Flops of a
// charge: 2 P (2 P + 3) 8.
// Instances: <float|double, 5|6|7|8>
template <typename T, int P>
SCI_KERNEL gather_fields(SCI_INDEX const double* __restrict__ positions /*[n, 3]*/,
                         const double* __restrict__ inverse /*[9]*/, const T* __restrict__ taps /*[P, 8]*/,
                         const T* __restrict__ grid /*[n1, n2, row]*/, double* __restrict__ out /*[n, 4]*/, const i64 n,
                         const i64 n1, const i64 n2, const i64 row) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 last = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK + SCI_LANE; i < last; i += SCI_STEP) {
            i64 x, y, z;
            Outer<T, P> along, beside;
            Row<T, P> wz, sz, sum, slope_x, slope_y;
            const double* const position = positions + 3 * i;
            along.set(place_of<T, P>(fraction_of(position, inverse, 0), n1, x), taps);
            beside.set(place_of<T, P>(fraction_of(position, inverse, 1), n2, y), taps);
            sum.clear(), slope_x.clear(), slope_y.clear();
            const T tz = place_of<T, P>(fraction_of(position, inverse, 2), row - 8, z);
            OUTER_LOOP
            for (int a = 0; a < P; ++a) {
                const T* const plane = grid + (x + a < n1 ? x + a : x + a - n1) * n2 * row + z;
                Row<T, P> rows, across;
                rows.clear(), across.clear();
                OUTER_LOOP
                for (int b = 0; b < P; ++b) {
                    const T* const line = plane + (y + b < n2 ? y + b : y + b - n2) * row;
                    rows.add(beside.weight(b), line);
                    across.add(beside.slope(b), line);
                }
                const T weight = along.weight(a);
                sum.add(weight, rows);
                slope_x.add(along.slope(a), rows);
                slope_y.add(weight, across);
            }
            slopes_of<T, P>(tz, taps, wz, sz);
            const double by1 = double(slope_x.dot(wz)) * double(n1), by2 = double(slope_y.dot(wz)) * double(n2);
            const double by3 = double(sum.dot(sz)) * double(row - 8);
            out[4 * i] = double(sum.dot(wz));
            for (int axis = 0; axis < 3; ++axis)
                out[4 * i + 1 + axis] =
                    inverse[3 * axis] * by1 + inverse[3 * axis + 1] * by2 + inverse[3 * axis + 2] * by3;
        }
    }
}
