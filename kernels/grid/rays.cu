// Integrals of a tri-plane field along rays: gather, perceptron and sum in one pass, and the derivative.
//
// field at a point: f = mean of the bilinear samples of three planes (x, y), (x, z), (y, z); h = leaky(W0 f + b0);
// v = W1 h + b1, leaky with slope 0.2 below zero. SUM: out = sum_s length_s v_s. COMPOSITE: density = softplus(v[0]),
// w_s = T_s (1 - exp(-length_s density_s)), T_s = exp(-sum of length density before s); out = (sum_s w_s v_s[1:],
// 1 - T_end).
//
// A block has one ray at a time, its threads the features and the hidden units; features of a step stay on chip, so that
// no array of rays x steps x features is made. Flops a step: 24 F + 2 F H + 2 H O forward; three times that backward, and
// the forward again (twice for COMPOSITE). Bytes a step: 12 F numbers of the planes, from cache where rays are close, and
// two of the ray: the limit is arithmetic from about 16 hidden units on.
#include "host.h"

constexpr int MOST = 64;   // features, hidden units
constexpr int MOST_OUT = 8;

// Where a point meets one plane: the first of four corners, and the weights of the second along both axes.
template <typename T>
struct Foot {
    i64 at;
    T u, v;
};

template <typename T>
SCI_DEVICE T place(const T p, const T low, const T scale, const i64 n, i64& cell) {
    const T x = (p - low) * scale, most = T(n - 1);
    const T inside = x > 0 ? (x < most ? x : most) : T(0);
    cell = i64(inside);
    if (cell > n - 2) cell = n - 2;
    return inside - T(cell);
}

template <typename T>
SCI_DEVICE void feet_of(const T* __restrict__ origin, const T* __restrict__ direction, const T t,
                        const T* __restrict__ geometry, const i64 n, const i64 features, Foot<T> (&feet)[3]) {
    i64 cell[3];
    T rest[3];
    for (int axis = 0; axis < 3; ++axis)
        rest[axis] = place(origin[axis] + t * direction[axis], geometry[axis], geometry[3 + axis], n, cell[axis]);
    for (int plane = 0; plane < 3; ++plane) {
        const int a = plane < 2 ? 0 : 1, b = plane < 1 ? 1 : 2;
        feet[plane].at = ((plane * n + cell[a]) * n + cell[b]) * features;
        feet[plane].u = rest[a];
        feet[plane].v = rest[b];
    }
}

// v = W1 leaky(W0 f + b0) + b1 at one point; W0 lies as (features, hidden).
template <typename T>
SCI_DEVICE void evaluate(const T* __restrict__ planes, const T* __restrict__ w0, const T* __restrict__ b0,
                         const T* __restrict__ w1, const T* __restrict__ b1, const Foot<T> (&feet)[3], const i64 n,
                         const i64 features, const i64 hidden, const i64 outputs, T* __restrict__ feature,
                         T* __restrict__ unit, T* __restrict__ value) {
    const i64 down = n * features;
    SCI_ROW(k, features) {
        T sum = 0;
        for (int plane = 0; plane < 3; ++plane) {
            const T* const from = planes + feet[plane].at + k;
            const T u = feet[plane].u, v = feet[plane].v;
            const T first = from[0] + v * (from[features] - from[0]);
            const T second = from[down] + v * (from[down + features] - from[down]);
            sum += first + u * (second - first);
        }
        feature[k] = sum * T(1.0 / 3.0);
    }
    SCI_BARRIER
    SCI_ROW(k, hidden) { unit[k] = b0[k]; }
    SCI_ROLLED for (i64 f = 0; f < features; ++f) {
        const T x = feature[f];
        SCI_ROW(k, hidden) { unit[k] += w0[f * hidden + k] * x; }
    }
    SCI_ROW(k, hidden) { unit[k] = unit[k] > 0 ? unit[k] : T(0.2) * unit[k]; }
    SCI_BARRIER
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    SCI_ROW(o, outputs) {
        T sum = b1[o];
        for (i64 k = 0; k < hidden; ++k) sum += w1[o * hidden + k] * unit[k];
        value[o] = sum;
    }
#else
    for (i64 o = 0; o < outputs; ++o) {
        T sum = b1[o];
        SCI_ROW_SUM(k, hidden, sum) { sum += w1[o * hidden + k] * unit[k]; }
        value[o] = sum;
    }
#endif
    SCI_BARRIER
}

// log(1 + e^x) and its slope; exp(-|x|) cannot overflow.
template <typename T>
SCI_DEVICE T softplus_of(const T x, T& slope) {
    const double small = sci_exp(x < 0 ? double(x) : -double(x));
    slope = T(x < 0 ? small / (1 + small) : 1 / (1 + small));
    return T((x > 0 ? double(x) : 0.0) + log(1 + small));
}

// Instances: <float|double, false|true>
template <typename T, bool COMPOSITE>
SCI_KERNEL rays_forward(SCI_INDEX const T* __restrict__ planes /*[3, n, n, features]*/,
                        const T* __restrict__ w0 /*[features, hidden]*/, const T* __restrict__ b0 /*[hidden]*/,
                        const T* __restrict__ w1 /*[outputs, hidden]*/, const T* __restrict__ b1 /*[outputs]*/,
                        const T* __restrict__ geometry /*[6]*/, const T* __restrict__ origins /*[rays, 3]*/,
                        const T* __restrict__ directions /*[rays, 3]*/, const T* __restrict__ places /*[rays, steps]*/,
                        const T* __restrict__ lengths /*[rays, steps]*/, T* __restrict__ out /*[rays, outputs]*/,
                        const i64 rays, const i64 steps, const i64 n, const i64 features, const i64 hidden,
                        const i64 outputs) {
    SCI_SHARED T feature[MOST], unit[MOST], value[MOST_OUT], total[MOST_OUT];
    for (i64 ray = blockIdx.x; ray < rays; ray += gridDim.x) {
        T through = 1;
        SCI_ROW(o, outputs) { total[o] = 0; }
        SCI_ROLLED for (i64 s = 0; s < steps; ++s) {
            Foot<T> feet[3];
            feet_of(origins + 3 * ray, directions + 3 * ray, places[ray * steps + s], geometry, n, features, feet);
            evaluate(planes, w0, b0, w1, b1, feet, n, features, hidden, outputs, feature, unit, value);
            const T length = lengths[ray * steps + s];
            if (COMPOSITE) {
                T slope;
                const T pass = T(sci_exp(-double(length * softplus_of(value[0], slope))));
                const T weight = through * (1 - pass);
                SCI_ROW(o, outputs) { total[o] += weight * value[o]; }
                through *= pass;
            } else {
                SCI_ROW(o, outputs) { total[o] += length * value[o]; }
            }
        }
        SCI_BARRIER
        SCI_ROW(o, outputs) {
            const T found = o + 1 < outputs ? total[COMPOSITE ? o + 1 : o] : (COMPOSITE ? 1 - through : total[o]);
            out[ray * outputs + o] = found;
        }
        SCI_BARRIER
    }
}

template <typename T>
SCI_DEVICE void add_to(T* const sum, const T value) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    atomicAdd(sum, value);
#else
    *sum += value;
#endif
}

// Gradients of planes and perceptron, each block's in a part of its own; those of the planes in a copy of its own on the
// host, and by atomic additions into one on a GPU. `kept` is scratch memory: w and w times the gradient of it.
// Instances: <float|double, false|true>
template <typename T, bool COMPOSITE>
SCI_KERNEL rays_backward(SCI_INDEX const T* __restrict__ planes /*[3, n, n, features]*/,
                         const T* __restrict__ w0 /*[features, hidden]*/, const T* __restrict__ b0 /*[hidden]*/,
                         const T* __restrict__ w1 /*[outputs, hidden]*/, const T* __restrict__ b1 /*[outputs]*/,
                         const T* __restrict__ geometry /*[6]*/, const T* __restrict__ origins /*[rays, 3]*/,
                         const T* __restrict__ directions /*[rays, 3]*/, const T* __restrict__ places /*[rays, steps]*/,
                         const T* __restrict__ lengths /*[rays, steps]*/, const T* __restrict__ dout /*[rays, outputs]*/,
                         T* __restrict__ kept /*[parts, 3, steps]*/, T* __restrict__ dplanes /*[copies, 3, n, n, features]*/,
                         T* __restrict__ dw0 /*[parts, features, hidden]*/, T* __restrict__ db0 /*[parts, hidden]*/,
                         T* __restrict__ dw1 /*[parts, outputs, hidden]*/, T* __restrict__ db1 /*[parts, outputs]*/,
                         const i64 rays, const i64 steps, const i64 n, const i64 features, const i64 hidden,
                         const i64 outputs, const i64 parts, const i64 copies) {
    SCI_SHARED T feature[MOST], unit[MOST], value[MOST_OUT], dvalue[MOST_OUT], dunit[MOST];
    for (i64 part = blockIdx.x; part < parts; part += gridDim.x) {
        T *const weights = kept + 3 * part * steps, *const along = weights + steps, *const after = along + steps;
        T* const planes_of = dplanes + (copies > 1 ? part : 0) * 3 * n * n * features;
        T *const w0_of = dw0 + part * features * hidden, *const b0_of = db0 + part * hidden;
        T *const w1_of = dw1 + part * outputs * hidden, *const b1_of = db1 + part * outputs;
        const i64 down = n * features;
        SCI_ROLLED for (i64 ray = part; ray < rays; ray += parts) {
            const T* const given = dout + ray * outputs;
            T end = 1, behind = 0;
            if (COMPOSITE) {
                SCI_ROLLED for (i64 s = 0; s < steps; ++s) {
                    Foot<T> feet[3];
                    feet_of(origins + 3 * ray, directions + 3 * ray, places[ray * steps + s], geometry, n, features, feet);
                    evaluate(planes, w0, b0, w1, b1, feet, n, features, hidden, outputs, feature, unit, value);
                    T slope, dot = 0;
                    const T pass = T(sci_exp(-double(lengths[ray * steps + s] * softplus_of(value[0], slope))));
                    for (i64 o = 1; o < outputs; ++o) dot += given[o - 1] * value[o];
                    weights[s] = end * (1 - pass);  // every thread writes the same numbers, and reads its own
                    along[s] = dot;
                    end *= pass;
                    after[s] = end;
                }
            }
            SCI_ROLLED for (i64 s = steps - 1; s >= 0; --s) {
                Foot<T> feet[3];
                feet_of(origins + 3 * ray, directions + 3 * ray, places[ray * steps + s], geometry, n, features, feet);
                evaluate(planes, w0, b0, w1, b1, feet, n, features, hidden, outputs, feature, unit, value);
                const T length = lengths[ray * steps + s];
                if (COMPOSITE) {
                    T slope;
                    softplus_of(value[0], slope);
                    const T first = slope * length * (after[s] * along[s] - behind + given[outputs - 1] * end);
                    const T weight = weights[s];
                    SCI_ROW(o, outputs) { dvalue[o] = o == 0 ? first : weight * given[o > 0 ? o - 1 : 0]; }
                    behind += weight * along[s];
                } else {
                    SCI_ROW(o, outputs) { dvalue[o] = length * given[o]; }
                }
                SCI_BARRIER
                SCI_ROW(o, outputs) { b1_of[o] += dvalue[o]; }
                SCI_ROW(k, hidden) { dunit[k] = 0; }
                for (i64 o = 0; o < outputs; ++o) {
                    const T d = dvalue[o];
                    SCI_ROW(k, hidden) {
                        w1_of[o * hidden + k] += d * unit[k];
                        dunit[k] += d * w1[o * hidden + k];
                    }
                }
                SCI_ROW(k, hidden) {
                    const T d = unit[k] > 0 ? dunit[k] : T(0.2) * dunit[k];
                    dunit[k] = d;
                    b0_of[k] += d;
                }
                SCI_ROLLED for (i64 f = 0; f < features; ++f) {
                    const T x = feature[f];
                    SCI_ROW(k, hidden) { w0_of[f * hidden + k] += x * dunit[k]; }
                }
                SCI_BARRIER
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
                SCI_ROW(f, features) {
                    T d = 0;
                    for (i64 k = 0; k < hidden; ++k) d += w0[f * hidden + k] * dunit[k];
                    feature[f] = d * T(1.0 / 3.0);
                }
#else
                for (i64 f = 0; f < features; ++f) {
                    T d = 0;
                    SCI_ROW_SUM(k, hidden, d) { d += w0[f * hidden + k] * dunit[k]; }
                    feature[f] = d * T(1.0 / 3.0);
                }
#endif
                for (int plane = 0; plane < 3; ++plane) {
                    T* const to = planes_of + feet[plane].at;
                    const T u = feet[plane].u, v = feet[plane].v;
                    SCI_ROW(f, features) {
                        add_to(to + f, feature[f] * (1 - u) * (1 - v));
                        add_to(to + features + f, feature[f] * (1 - u) * v);
                        add_to(to + down + f, feature[f] * u * (1 - v));
                        add_to(to + down + features + f, feature[f] * u * v);
                    }
                }
                SCI_BARRIER
            }
        }
    }
}
