// Real spherical harmonics of vectors, their gradients, and the product of the gradients with a cotangent.
//
// With (x + i y)^m = c_m + i s_m, a harmonic of degree l and order m is F_lm(z, r^2) c_m, that of order
// -m is F_lm s_m. F rises in the degree, F_l = a z F_{l-1} - b r^2 F_{l-2}, its derivative by x is x H_l with
// H_l = a z H_{l-1} - b (r^2 H_{l-2} + 2 F_{l-2}), that by z is g F_{l-1}. No angle, no root and no division after the
// vector has been divided by its length: poles are points like others. `terms` holds a, b, g of the degree l and the
// order m in row l (l + 1) / 2 + m, and what F_mm is in place of a where l = m.
//
// SOLID harmonics are r^l Y of the vectors as they are; the others are those of their directions.
//
// Flops: 6 a value, 24 with its gradient. Bytes: a value written, or four: on a GPU memory is the limit, on a CPU
// the stores, which are as far apart as a row is long.
#include "linalg/batches.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SCI_EACH_THREAD(t) SCI_THREADS(t)
#else
#define SCI_EACH_THREAD(t) for (int t = 0; t < SCI_BLOCK; ++t)
#endif

template <typename T>
SCI_DEVICE T magnitude(const T x) {
    return x < 0 ? -x : x;
}

// A vector a thread, and where its orders stand: powers of x + i y, and F and H of the last two degrees.
template <typename T>
struct Orders {
    T x[SCI_SLOTS], y[SCI_SLOTS], z[SCI_SLOTS], square[SCI_SLOTS], inverse[SCI_SLOTS];
    T c[SCI_SLOTS], s[SCI_SLOTS], c_before[SCI_SLOTS], s_before[SCI_SLOTS];
    T f[SCI_SLOTS], f_before[SCI_SLOTS], h[SCI_SLOTS], h_before[SCI_SLOTS];
    T fault[SCI_SLOTS];

    // Reads the vectors of a tile. A direction of a length far from 1 is found in units of its largest component, so
    // that no square leaves T.
    // `fault` is 0, and NaN for a vector that has NaN or Inf, or whose largest component is not above `limit`: it has
    // no direction. For a solid harmonic, it is not below `limit`: the highest degree leaves T.
    SCI_DEVICE_MEMBER void read(const T* vectors, const i64 tile, const i64 n, const bool solid, const T limit) {
        const T* const from = vectors + 3 * tile * SCI_BLOCK;
        const i64 last = n - 1 - tile * SCI_BLOCK;
        if (last >= SCI_BLOCK - 1)
            SCI_THREADS(t) {
                x[SCI_SLOT(t)] = from[3 * t];
                y[SCI_SLOT(t)] = from[3 * t + 1];
                z[SCI_SLOT(t)] = from[3 * t + 2];
            }
        else
            SCI_THREADS(t) {
                x[SCI_SLOT(t)] = from[3 * (t < last ? t : last)];
                y[SCI_SLOT(t)] = from[3 * (t < last ? t : last) + 1];
                z[SCI_SLOT(t)] = from[3 * (t < last ? t : last) + 2];
            }
        T unit[SCI_SLOTS];
        int far = 0;
        const T none = (limit - limit) / (limit - limit);
        SCI_ANY(t, far) {
            const int k = SCI_SLOT(t);
            const T xy = magnitude(x[k]) > magnitude(y[k]) ? magnitude(x[k]) : magnitude(y[k]);
            const T largest = xy > magnitude(z[k]) ? xy : magnitude(z[k]);
            const T zero = (x[k] - x[k]) + (y[k] - y[k]) + (z[k] - z[k]);
            fault[k] = (solid ? largest < limit : largest > limit) ? zero : none;
            const bool is_far = !solid && !(largest > T(1e-15) && largest < T(1e15));
            unit[k] = is_far ? largest : T(1);
            far |= is_far;
        }
        if (far)
            SCI_THREADS(t) { unit[SCI_SLOT(t)] = 1 / unit[SCI_SLOT(t)]; }
        SCI_THREADS(t) {
            const int k = SCI_SLOT(t);
            const T ux = x[k] * unit[k], uy = y[k] * unit[k], uz = z[k] * unit[k];
            const T length2 = ux * ux + uy * uy + uz * uz, scale = solid ? T(1) : 1 / sqrt(length2);
            x[k] = ux * scale;
            y[k] = uy * scale;
            z[k] = uz * scale;
            square[k] = solid ? length2 : T(1);
            inverse[k] = scale * unit[k];
            c[k] = 1;
            s[k] = c_before[k] = s_before[k] = 0;
        }
    }

    // Goes to order m and its first degree, m.
    SCI_DEVICE_MEMBER void start(const i64 m, const T first) {
        SCI_THREADS(t) {
            const int k = SCI_SLOT(t);
            if (m > 0) {
                const T next = x[k] * c[k] - y[k] * s[k];
                c_before[k] = c[k];
                s_before[k] = s[k];
                s[k] = x[k] * s[k] + y[k] * c[k];
                c[k] = next;
            }
            f[k] = first;
            f_before[k] = h[k] = h_before[k] = 0;
        }
    }

    // Goes to the next degree.
    template <bool GRADIENT>
    SCI_DEVICE_MEMBER void rise(const T a, const T b) {
        SCI_THREADS(t) {
            const int k = SCI_SLOT(t);
            if (GRADIENT) {
                const T slope = a * z[k] * h[k] - b * (square[k] * h_before[k] + 2 * f_before[k]);
                h_before[k] = h[k];
                h[k] = slope;
            }
            const T value = a * z[k] * f[k] - b * square[k] * f_before[k];
            f_before[k] = f[k];
            f[k] = value;
        }
    }

    // The gradient of F p is (u px + vx p, u py + vy p, vz p), where p is c or s and (px, py) its gradient; of a
    // direction it is the part along the sphere, over the length of the vector.
    SCI_DEVICE_MEMBER void parts(const T g, const T radial, T (&u)[SCI_SLOTS], T (&vx)[SCI_SLOTS], T (&vy)[SCI_SLOTS],
                                 T (&vz)[SCI_SLOTS]) const {
        SCI_THREADS(t) {
            const int k = SCI_SLOT(t);
            const T along = radial * f[k], plane = (h[k] - along) * inverse[k];
            u[k] = f[k] * inverse[k];
            vx[k] = x[k] * plane;
            vy[k] = y[k] * plane;
            vz[k] = (g * f_before[k] - z[k] * along) * inverse[k];
        }
    }
};

// Where results of a tile go: on a GPU straight to their rows. The host keeps columns of a tile side by side and turns
// them into rows at the end, because a store into each row for each column costs more than all of the arithmetic.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
template <typename T, int PER_VECTOR>
struct Rows {
    SCI_DEVICE_MEMBER void put(T* rows, const i64 width, const i64 place, const i64 count, const T (&values)[SCI_SLOTS]) {
        SCI_THREADS(t) {
            if (t < count) rows[t * width + place] = values[0];
        }
    }
    SCI_DEVICE_MEMBER void turn(T*, const i64, const i64) {}
};
#else
#if defined(__clang__)
#define SCI_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SCI_PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (Places){i, j, k, l})
#endif

// Turns 4 columns of 4 numbers, SCI_BLOCK apart, into 4 rows, `width` apart.
template <typename T>
SCI_DEVICE void turn_four(const T* columns, T* rows, const i64 width) {
    typedef T Four __attribute__((vector_size(4 * sizeof(T)), may_alias, aligned(sizeof(T))));
    typedef decltype(Four{} < Four{}) Places;
    const Four a = *(const Four*)columns, b = *(const Four*)(columns + SCI_BLOCK);
    const Four c = *(const Four*)(columns + 2 * SCI_BLOCK), d = *(const Four*)(columns + 3 * SCI_BLOCK);
    const Four ab = SCI_PICK(a, b, 0, 4, 2, 6), ab_odd = SCI_PICK(a, b, 1, 5, 3, 7);
    const Four cd = SCI_PICK(c, d, 0, 4, 2, 6), cd_odd = SCI_PICK(c, d, 1, 5, 3, 7);
    *(Four*)rows = SCI_PICK(ab, cd, 0, 1, 4, 5);
    *(Four*)(rows + width) = SCI_PICK(ab_odd, cd_odd, 0, 1, 4, 5);
    *(Four*)(rows + 2 * width) = SCI_PICK(ab, cd, 2, 3, 6, 7);
    *(Four*)(rows + 3 * width) = SCI_PICK(ab_odd, cd_odd, 2, 3, 6, 7);
}

template <typename T, int PER_VECTOR>
struct Rows {
    static constexpr i64 MOST = PER_VECTOR * 17 * 17;
    T columns[MOST * SCI_BLOCK];

    SCI_DEVICE_MEMBER void put(T* rows, const i64 width, const i64 place, const i64 count, const T (&values)[SCI_SLOTS]) {
        if (width <= MOST) {
            SCI_THREADS(t) { columns[place * SCI_BLOCK + t] = values[t]; }
        } else {
            for (i64 t = 0; t < count; ++t) rows[t * width + place] = values[t];
        }
    }
    SCI_DEVICE_MEMBER void turn(T* rows, const i64 width, const i64 count) {
        if (width > MOST) return;
        const i64 fours = count == SCI_BLOCK ? width / 4 * 4 : 0;
        for (i64 j = 0; j < fours; j += 4)
            for (i64 t = 0; t < SCI_BLOCK; t += 4) turn_four(columns + j * SCI_BLOCK + t, rows + t * width + j, width);
        for (i64 t = 0; t < count; ++t)
            for (i64 j = fours; j < width; ++j) rows[t * width + j] = columns[j * SCI_BLOCK + t];
    }
};
#endif

// out[i, l^2 + l + m] = Y_lm of the vector i; gradients[i, :, l^2 + l + m] its gradient. `faults` tells the caller, who
// names what is wrong, whether all vectors are right: looking them through once more takes as long as degree 2.
// Instances: <float|double, false|true>
template <typename T, bool GRADIENT>
SCI_KERNEL harmonics(SCI_INDEX const T* __restrict__ vectors /*[n, 3]*/, const T* __restrict__ terms /*[rows, 3]*/,
                     T* __restrict__ out /*[n, width]*/, T* __restrict__ gradients /*[many, 3, width]*/,
                     T* __restrict__ faults /*[n]*/, const i64 n, const i64 width, const i64 degree,
                     const i64 solid, const T limit) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        Orders<T> at;
        Rows<T, 1> of_values;
        Rows<T, GRADIENT ? 3 : 1> of_slopes;
        at.read(vectors, tile, n, solid != 0, limit);
        SCI_THREADS(t) {
            if (tile * SCI_BLOCK + t < n) faults[tile * SCI_BLOCK + t] = at.fault[SCI_SLOT(t)];
        }
        const i64 count = n - tile * SCI_BLOCK < SCI_BLOCK ? n - tile * SCI_BLOCK : SCI_BLOCK;
        T* const rows = out + tile * SCI_BLOCK * width;
        T* const slopes = gradients + (GRADIENT ? tile * SCI_BLOCK * 3 * width : 0);
        for (i64 m = 0; m <= degree; ++m) {
            at.start(m, terms[3 * (m * (m + 1) / 2 + m)]);
            for (i64 l = m; l <= degree; ++l) {
                const T* const term = terms + 3 * (l * (l + 1) / 2 + m);
                if (l > m) at.template rise<GRADIENT>(term[0], term[1]);
                T u[SCI_SLOTS], vx[SCI_SLOTS], vy[SCI_SLOTS], vz[SCI_SLOTS];
                if (GRADIENT) at.parts(term[2], solid ? T(0) : T(l), u, vx, vy, vz);
                for (i64 sign = 0; sign <= (m > 0); ++sign) {
                    const i64 place = l * l + l + (sign ? -m : m);
                    T value[SCI_SLOTS], gx[SCI_SLOTS], gy[SCI_SLOTS], gz[SCI_SLOTS];
                    const T order = T(m);
                    SCI_THREADS(t) {
                        const int k = SCI_SLOT(t);
                        const T p = sign ? at.s[k] : at.c[k];
                        value[k] = at.f[k] * p;
                        if (GRADIENT) {
                            gx[k] = u[k] * order * (sign ? at.s_before[k] : at.c_before[k]) + vx[k] * p;
                            gy[k] = u[k] * order * (sign ? at.c_before[k] : -at.s_before[k]) + vy[k] * p;
                            gz[k] = vz[k] * p;
                        }
                    }
                    of_values.put(rows, width, place, count, value);
                    if (GRADIENT) {
                        of_slopes.put(slopes, 3 * width, place, count, gx);
                        of_slopes.put(slopes, 3 * width, width + place, count, gy);
                        of_slopes.put(slopes, 3 * width, 2 * width + place, count, gz);
                    }
                }
            }
        }
        of_values.turn(rows, width, count);
        if (GRADIENT) of_slopes.turn(slopes, 3 * width, count);
    }
}

// out[i] = sum over (l, m) of dvalues[i, l^2 + l + m] times the gradient of Y_lm at the vector i.
// Instances: <float|double>
template <typename T>
SCI_KERNEL harmonics_vjp(SCI_INDEX const T* __restrict__ vectors /*[n, 3]*/, const T* __restrict__ terms /*[rows, 3]*/,
                         const T* __restrict__ dvalues /*[n, width]*/, T* __restrict__ out /*[n, 3]*/, const i64 n,
                         const i64 width, const i64 degree, const i64 solid) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        Orders<T> at;
        at.read(vectors, tile, n, solid != 0, T(0));
        const i64 last = n - 1 - tile * SCI_BLOCK;
        const T* const row = dvalues + tile * SCI_BLOCK * width;
        T sum_x[SCI_SLOTS], sum_y[SCI_SLOTS], sum_z[SCI_SLOTS];
        SCI_THREADS(t) { sum_x[SCI_SLOT(t)] = sum_y[SCI_SLOT(t)] = sum_z[SCI_SLOT(t)] = 0; }
        for (i64 m = 0; m <= degree; ++m) {
            at.start(m, terms[3 * (m * (m + 1) / 2 + m)]);
            for (i64 l = m; l <= degree; ++l) {
                const T* const term = terms + 3 * (l * (l + 1) / 2 + m);
                if (l > m) at.template rise<true>(term[0], term[1]);
                T cosine[SCI_SLOTS], sine[SCI_SLOTS];
                const i64 place = l * l + l;
                SCI_EACH_THREAD(t) {
                    const T* const from = row + (t < last ? t : last) * width + place;
                    cosine[SCI_SLOT(t)] = from[m];
                    sine[SCI_SLOT(t)] = from[-m];
                }
                T u[SCI_SLOTS], vx[SCI_SLOTS], vy[SCI_SLOTS], vz[SCI_SLOTS];
                at.parts(term[2], solid ? T(0) : T(l), u, vx, vy, vz);
                const T order = T(m), twice = m > 0 ? T(1) : T(0);
                SCI_THREADS(t) {
                    const int k = SCI_SLOT(t);
                    const T dc = cosine[k], ds = twice * sine[k];
                    // The sum of both orders is one function F p with p = dc c_m + ds s_m.
                    const T p = dc * at.c[k] + ds * at.s[k];
                    sum_x[k] += u[k] * order * (dc * at.c_before[k] + ds * at.s_before[k]) + vx[k] * p;
                    sum_y[k] += u[k] * order * (ds * at.c_before[k] - dc * at.s_before[k]) + vy[k] * p;
                    sum_z[k] += vz[k] * p;
                }
            }
        }
        SCI_EACH_THREAD(t) {
            if (t <= last) {
                T* const to = out + 3 * (tile * SCI_BLOCK + t);
                to[0] = sum_x[SCI_SLOT(t)];
                to[1] = sum_y[SCI_SLOT(t)];
                to[2] = sum_z[SCI_SLOT(t)];
            }
        }
    }
}
