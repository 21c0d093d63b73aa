// The learned V-cycle: two damped Jacobi steps from zero in one pass, further steps, the weighted residual, the two
// transfers with learned weights, and the setup that evaluates the network of a level in all cells.
//
// Arrays are padded by one layer of cells as in stencil.cu; a block takes `chunk` rows. The equation of a level is A u
// = d u - sum of link x neighbor = f, all links 1 between unknowns unless VARIABLE. An unknown is a cell with a Jacobi
// weight that is not zero; every array is zero in all other cells, so that no kernel needs a test. Two numbers a cell
// are learned: the Jacobi weight, the upper half of a float (cut, so that it never exceeds its bound), and the weight
// of the cell in the transfers, a signed byte c that stands for TRANSFER_MIDDLE + TRANSFER_STEP c, and 0 for zero.
//
// Bytes per cell with D = signed char and constant links, which add up to 71 a cycle on the finest level beside 17 a
// cell of memory: jacobi_from_zero 11, residual 14, restriction 5, prolong_add 10.5, step 15 (twice). Variable links
// and float diagonals: 15 more where A is applied. Flops per cell: 17, 11, 5, 7, 12. The limit is memory bandwidth.
#include "grid/cycle.h"

constexpr int RUNS = 256;
constexpr int FEATURES = 6, HIDDEN = 8, OUTPUTS = 3;
constexpr float NEAREST = 0.1f, CUT_OFF = 0.6f;

SCI_DEVICE Half upper_half(const float value) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return Half(__float_as_uint(value) >> 16);
#else
    unsigned int bits;
    __builtin_memcpy(&bits, &value, 4);
    return Half(bits >> 16);
#endif
}

SCI_DEVICE int code_of(const float transfer) {
    const float code = (transfer - TRANSFER_MIDDLE) * (1.0f / TRANSFER_STEP);
    const float rounded = code < 0 ? (code > -1 ? -1.0f : code - 0.5f) : (code < 1 ? 1.0f : code + 0.5f);
    return int(rounded > 127 ? 127.0f : rounded);
}

// The activation of the networks, in (-1, 1).
SCI_DEVICE float soft_sign(const float x) { return x / (1.0f + (x < 0.0f ? -x : x)); }

// Two steps from zero with dampings a and b.
// Instances: <float, signed char, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_from_zero(SCI_INDEX const T* f /*[p0, p1, p2]*/, const Half* jacobi /*[p0, p1, p2]*/,
                            const D* d /*[p0, p1, p2]*/, const T* links /*[3, q0, q1, q2]*/, T* u /*[p0, p1, p2]*/,
                            const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 chunk, const double a,
                            const double b) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    const T sum = T(a + b), product = T(a * b);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        from_zero_row<T, D, VARIABLE>(f, jacobi, d, links, u + at, axis, at, n, plane, p2, sum, product);
    }
}

// One step with damping a.
// Instances: <float, signed char, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL jacobi_step(SCI_INDEX const T* u /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/,
                       const Half* jacobi /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                       const T* links /*[3, q0, q1, q2]*/, T* out /*[p0, p1, p2]*/, const i64* box /*[7]*/,
                       const i64 p1, const i64 p2, const i64 chunk, const double a) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        step_row<T, D, VARIABLE>(u, f, jacobi, d, links, out + at, axis, at, n, plane, p2, T(a));
    }
}

// t = transfer weight x (f - A u).
// Instances: <float, signed char, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL residual(SCI_INDEX const T* u /*[p0, p1, p2]*/, const T* f /*[p0, p1, p2]*/,
                    const signed char* transfer /*[p0, p1, p2]*/, const D* d /*[p0, p1, p2]*/,
                    const T* links /*[3, q0, q1, q2]*/, T* t /*[p0, p1, p2]*/, const i64* box /*[7]*/, const i64 p1,
                    const i64 p2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = link_axis<VARIABLE>(box, plane);
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        residual_row<T, D, VARIABLE>(u, f, transfer, d, links, t + at, axis, at, n, plane, p2);
    }
}

// Restriction along the first two axes: m[I, J, k] = sum over four by four fine rows. weights[axis, 0..3] are the
// weights of fine cells 2 I - 1 ... 2 I + 2, or of I - 1 ... I + 2 where the axis has one cell and is not halved;
// strides says which. The third axis takes whole padded rows. The box is coarse.
// Instances: <float>
template <typename T>
SCI_KERNEL restrict_rows(SCI_INDEX const T* t /*[p0, p1, p2]*/, T* m /*[c0, c1, p2]*/, const T* weights /*[3, 4]*/,
                         const i64* strides /*[3]*/, const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1,
                         const i64 chunk) {
    const i64 rows = box[3] * box[4], plane = p1 * p2;
    const T a = weights[4], b = weights[5], c = weights[6], e = weights[7];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line);
        const T* r0 = t + strides[0] * i * plane + strides[1] * j * p2;
        const T *r1 = r0 + plane, *r2 = r1 + plane, *r3 = r2 + (strides[0] - 1) * plane;
        T* to = m + ((i + 1) * c1 + j + 1) * p2;
        SCI_ROW(k, p2) {
            const T s0 = (a * r0[k] + e * r0[k + 3 * p2]) + (b * r0[k + p2] + c * r0[k + 2 * p2]);
            const T s1 = (a * r1[k] + e * r1[k + 3 * p2]) + (b * r1[k + p2] + c * r1[k + 2 * p2]);
            const T s2 = (a * r2[k] + e * r2[k + 3 * p2]) + (b * r2[k + p2] + c * r2[k + 2 * p2]);
            const T s3 = (a * r3[k] + e * r3[k + 3 * p2]) + (b * r3[k + p2] + c * r3[k + 2 * p2]);
            to[k] = (weights[0] * s0 + weights[3] * s3) + (weights[1] * s1 + weights[2] * s2);
        }
    }
}

// Restriction along the third axis, times correction_scale.
// Instances: <float>
template <typename T>
SCI_KERNEL restrict_ends(SCI_INDEX const T* m /*[c0, c1, p2]*/, const Half* jacobi /*[c0, c1, c2]*/,
                         T* f /*[c0, c1, c2]*/, const T* weights /*[3, 4]*/, const i64* strides /*[3]*/,
                         const i64* box /*[7]*/, const i64 c1, const i64 c2, const i64 p2, const i64 chunk,
                         const double correction_scale) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 row = (box[0] + line / box[4] + 1) * c1 + box[1] + line % box[4] + 1;
        ends_row(m + row * p2, jacobi + row * c2 + 1, f + row * c2 + 1, weights, strides[2], box[5], correction_scale);
    }
}

// u += transfer weight x interpolation of e; the box is fine.
// Instances: <float>
template <typename T>
SCI_KERNEL prolong_add(SCI_INDEX T* u /*[p0, p1, p2]*/, const T* e /*[c0, c1, c2]*/,
                       const signed char* transfer /*[p0, p1, p2]*/, const T* weights /*[3, 4]*/,
                       const i64* strides /*[3]*/,
                       const i64* box /*[7]*/, const i64 p1, const i64 p2, const i64 c1, const i64 c2,
                       const i64 chunk) {
    const i64 rows = box[3] * box[4];
    SCI_EACH_ROW(line, rows, chunk) {
        prolong_row(u, e, transfer, weights, strides, row_i(box, line), row_j(box, line), box[5], p1, p2, c1, c2);
    }
}

// Setup of a level without links: faces = 1 + 256 d + 65536 (number of Dirichlet faces, d less the neighbors) of each
// unknown, so that one sum of 27 entries gives three. 5 bytes and 10 flops a cell.
// Instances: <float, signed char>
template <typename T, typename D>
SCI_KERNEL pack_faces(SCI_INDEX const D* d /*[p0, p1, p2]*/, int* faces /*[p0, p1, p2]*/, const i64* box /*[7]*/,
                      const i64 p1, const i64 p2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        SCI_ROW(k, n) {
            const D* c = d + at + k;
            const D first = D(c[-plane] > 0) + D(c[plane] > 0) + D(c[-p2] > 0);
            const D second = D(c[p2] > 0) + D(c[-1] > 0) + D(c[1] > 0);
            const D walls = D(c[0] - first - second);
            faces[at + k] = c[0] > 0 ? 1 + 256 * int(c[0]) + 65536 * int(walls) : 0;
        }
    }
}

// Sum over the 27 cells around an entry. No loops: the host must see straight code to vectorize over a row.
template <typename D>
SCI_DEVICE D sum_of_27(const D* p, const i64 plane, const i64 row) {
    D total = 0;
#define SCI_SUM_OF_3(q) total += ((q)[-1] + (q)[0]) + (q)[1];
#define SCI_SUM_OF_9(q) SCI_SUM_OF_3((q) - row) SCI_SUM_OF_3(q) SCI_SUM_OF_3((q) + row)
    SCI_SUM_OF_9(p - plane) SCI_SUM_OF_9(p) SCI_SUM_OF_9(p + plane)
    return total;
}

// What a network is given of a cell: fluid fraction, Dirichlet weight and diagonal (the latter two divided by 6), and
// their means over the 27 cells around it.
template <typename T>
struct CellFeatures {
    T fluid, walls, whole, fluid_around, walls_around, whole_around;
};

template <typename T, typename D, bool VARIABLE>
SCI_DEVICE CellFeatures<T> cell_features(const D* d, const T* fixed, const T* fraction, const i64 at, const i64 plane,
                                         const i64 row) {
    CellFeatures<T> f;
    if constexpr (VARIABLE) {
        f.fluid = fraction[at];
        f.walls = fixed[at] * T(1.0 / 6);
        f.whole = d[at] * T(1.0 / 6);
        f.fluid_around = sum_of_27(fraction + at, plane, row) * T(1.0 / 27);
        f.walls_around = sum_of_27(fixed + at, plane, row) * T(1.0 / 162);
        f.whole_around = sum_of_27(d + at, plane, row) * T(1.0 / 162);
    } else {
        const D own = d[at], around = sum_of_27(d + at, plane, row);
        f.fluid = T(own & 255);
        f.whole = T((own >> 8) & 255) * T(1.0 / 6);
        f.walls = T(own >> 16) * T(1.0 / 6);
        f.fluid_around = T(around & 255) * T(1.0 / 27);
        f.whole_around = T((around >> 8) & 255) * T(1.0 / 162);
        f.walls_around = T(around >> 16) * T(1.0 / 162);
    }
    return f;
}

// Whether `count` entries are those of the next row, in their plane and in those before and after it.
template <typename D>
SCI_DEVICE bool repeats(const D* d, const i64 plane, const i64 row, const i64 count) {
    const D *low = d - plane, *high = d + plane;
    int odd = 0;
    SCI_ROW_SUM(k, count, odd) {
        odd += int(d[k] != d[k + row]) | int(low[k] != low[k + row]) | int(high[k] != high[k + row]);
    }
    return odd == 0;
}

template <typename T, typename D, bool VARIABLE>
SCI_DEVICE bool level_repeats(const D* d, const T* fixed, const T* fraction, const i64 at, const i64 plane,
                              const i64 row, const i64 count) {
    if (!repeats(d + at, plane, row, count)) return false;
    if constexpr (VARIABLE) return repeats(fixed + at, plane, row, count) && repeats(fraction + at, plane, row, count);
    else return true;
}

// How many rows up to the one after `at` are like the row before, of each run of cells and the cells beside it, from
// what held before `at`.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE void count_repeats(int* repeated, const D* d, const T* fixed, const T* fraction, const i64 at, const i64 n,
                              const i64 plane, const i64 row) {
    constexpr i64 run = SCI_SLOTS;
    const i64 runs = (n + run - 1) / run;
    for (i64 r = 0; r < runs && r < RUNS; ++r) {
        const i64 from = at + r * run, count = r < runs - 1 ? run : n - r * run;
        bool same = count == run ? level_repeats<T, D, VARIABLE>(d, fixed, fraction, from, plane, row, run)
                                 : level_repeats<T, D, VARIABLE>(d, fixed, fraction, from, plane, row, count);
        for (i64 side = from - 1; same && side <= from + count; side += count + 1)
            same = level_repeats<T, D, VARIABLE>(d, fixed, fraction, side, plane, row, 1);
        repeated[r] = same ? repeated[r] + 1 : 0;
    }
}

// The network of a level in every cell: factors (1 + c s) / (1 - c s), s the output of two layers of soft_sign, of the
// Jacobi weight, the transfer weight and, where `beyond` is not zero, the Dirichlet weight, which goes into `diagonal`
// (VARIABLE only). There a surface that leaves the part f of a cell is at f - 1/2 + beyond widths from the center.
// `network` holds W1, b1, W2, b2 and three c. Flops: 250 a cell; where five rows of three planes are alike along a run
// of cells, the host takes what the row before has: few cells are not like that but beside bodies. Bytes 7 a cell, 27
// of VARIABLE.
// Instances: <float, int, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL network_fields(SCI_INDEX const D* d /*[p0, p1, p2]*/, const T* fixed /*[e0, e1, e2]*/,
                          const T* fraction /*[g0, g1, g2]*/, const T* network /*[n]*/, Half* jacobi /*[p0, p1, p2]*/,
                          signed char* transfer /*[p0, p1, p2]*/, T* diagonal /*[h0, h1, h2]*/, const i64* box /*[7]*/,
                          const i64 p1, const i64 p2, const i64 chunk, const double beyond) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2, run = SCI_SLOTS == 1 ? n : SCI_SLOTS;
    const T *b1 = network + FEATURES * HIDDEN, *w2 = b1 + HIDDEN, *b2 = w2 + HIDDEN * OUTPUTS, *bend = b2 + OUTPUTS;
    const T on = beyond > 0 ? T(1) : T(0), distance = T(beyond - 0.5), full = T(0.5 + beyond);
    SCI_CHUNKS(block, rows, chunk) {
        [[maybe_unused]] int repeated[SCI_SLOTS > 1 ? RUNS : 1] = {};
        SCI_CHUNK_ROWS(line, block, rows, chunk) {
            const i64 row = row_start(box, line, p1, p2);
            if constexpr (SCI_SLOTS > 1) {
                if (line % box[4] == 0)
                    for (int r = 0; r < RUNS; ++r) repeated[r] = 0;
                count_repeats<T, D, VARIABLE>(repeated, d, fixed, fraction, row, n, plane, p2);
            }
            for (i64 start = 0; start < n; start += run) {
                const i64 count = start + run < n ? run : n - start, at = row + start;
                if constexpr (SCI_SLOTS > 1) {
                    if (start / run < RUNS && repeated[start / run] >= 3) {
                        SCI_ROW(k, count) { jacobi[at + k] = jacobi[at + k - p2]; }
                        SCI_ROW(k, count) { transfer[at + k] = transfer[at + k - p2]; }
                        if constexpr (VARIABLE) SCI_ROW(k, count) { diagonal[at + k] = diagonal[at + k - p2]; }
                        continue;
                    }
                }
                // Narrow numbers are stored apart: the host vectorizes a loop by the narrowest number that it stores.
                [[maybe_unused]] float weights[SCI_SLOTS];
                [[maybe_unused]] int codes[SCI_SLOTS];
                SCI_ROW(k, count) {
                    const auto f = cell_features<T, D, VARIABLE>(d, fixed, fraction, at + k, plane, p2);
                    T jacobi_sum = b2[0], share_sum = b2[1], walls_sum = b2[2];
                    SCI_UNROLL
                    for (int h = 0; h < HIDDEN; ++h) {
                        const T* w1 = network + h;
                        const T sum = (f.fluid * w1[0] + f.walls * w1[HIDDEN] + f.whole * w1[2 * HIDDEN]) +
                                      (f.fluid_around * w1[3 * HIDDEN] + f.walls_around * w1[4 * HIDDEN] +
                                       f.whole_around * w1[5 * HIDDEN]);
                        const T active = soft_sign(sum + b1[h]);
                        jacobi_sum += active * w2[h * OUTPUTS];
                        share_sum += active * w2[h * OUTPUTS + 1];
                        walls_sum += active * w2[h * OUTPUTS + 2];
                    }
                    const T first = bend[0] * soft_sign(jacobi_sum), second = bend[1] * soft_sign(share_sum);
                    const T third = bend[2] * soft_sign(walls_sum);
                    const T near = f.fluid + distance > NEAREST ? f.fluid + distance : T(NEAREST);
                    const T heavier = (1 + third) * full / ((1 - third) * near) - 1;
                    const T whole = T(6) * (f.whole + on * heavier * f.walls);
                    const bool unknown = (whole > 0) & (f.fluid > 0);
                    const T weight = (1 + first) / ((1 - first) * (unknown ? whole : T(1)));
                    const int code = code_of((1 + second) / (1 - second));
                    if constexpr (VARIABLE) diagonal[at + k] = unknown ? whole : T(0);
                    if constexpr (SCI_SLOTS > 1) {
                        weights[k] = unknown ? weight : 0.0f;
                        codes[k] = unknown ? code : 0;
                    } else {
                        jacobi[at + k] = upper_half(unknown ? weight : 0.0f);
                        transfer[at + k] = (signed char)(unknown ? code : 0);
                    }
                }
                if constexpr (SCI_SLOTS > 1) {
                    SCI_ROW(k, count) { jacobi[at + k] = upper_half(weights[k]); }
                    SCI_ROW(k, count) { transfer[at + k] = (signed char)(codes[k]); }
                }
            }
        }
    }
}

// Setup beside Neumann surfaces: t holds the transfer weight times the part of the interpolation that is lost in coarse
// cells into which nothing flows; the weight is divided by what is left, and t is cleared. 10 bytes and 8 flops a cell.
// Instances: <float>
template <typename T>
SCI_KERNEL neumann_rescale(SCI_INDEX T* t /*[p0, p1, p2]*/, signed char* transfer /*[p0, p1, p2]*/,
                           const i64* box /*[7]*/,
                           const i64 p1, const i64 p2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 at = row_start(box, line, p1, p2);
        SCI_ROW(k, n) {
            const T own = transfer_weight(transfer[at + k]), lost = t[at + k];
            const T part = lost / (own > 0 ? own : T(1));
            const int code = code_of(own / (1 - (part < CUT_OFF ? part : T(CUT_OFF))));
            transfer[at + k] = lost > 0 ? (signed char)(code) : transfer[at + k];
            t[at + k] = 0;
        }
    }
}

// The link of a cell to the one before it, `back` entries away.
template <typename T, typename D, bool VARIABLE>
SCI_DEVICE T link_before(const D* d, const T* links, const i64 at, const i64 back) {
    if constexpr (VARIABLE) return links[at];
    else return T(d[at] & d[at - back] & 1);
}

template <typename T, typename D, bool VARIABLE>
SCI_DEVICE T fluid_of(const D* d, const T* fraction, const i64 at) {
    if constexpr (VARIABLE) return fraction[at];
    else return T(d[at] & 1);
}

template <typename T, typename D, bool VARIABLE>
SCI_DEVICE T fixed_of(const D* d, const T* fixed, const i64 at) {
    if constexpr (VARIABLE) return fixed[at];
    else return T(d[at] >> 16);
}

// What `coarsen` does along one row, with a stride of STEP along it. wx, wy and wz are 1 where the axis is halved, and
// 0 where there is no second child.
template <typename T, typename D, bool VARIABLE, int STEP>
SCI_DEVICE void coarse_row(const D* d, const T* fixed, const T* fraction, const T* x_link, const T* y_link,
                           const T* z_link, T* c_d, T* c_fixed, T* c_fraction, T* c_x, T* c_y, T* c_z, const T* factors,
                           const i64 sx, const i64 sy, const i64 corner, const i64 plane, const i64 row,
                           const i64 n) {
    const T wx = T(sx - 1), wy = T(sy - 1), wz = T(STEP - 1);
#define SCI_FLUID(at) fluid_of<T, D, VARIABLE>(d, fraction, at)
#define SCI_FIXED(at) fixed_of<T, D, VARIABLE>(d, fixed, at)
#define SCI_X(at) link_before<T, D, VARIABLE>(d, x_link, at, plane)
#define SCI_Y(at) link_before<T, D, VARIABLE>(d, y_link, at, row)
#define SCI_Z(at) link_before<T, D, VARIABLE>(d, z_link, at, 1)
    SCI_ROW(k, n) {
        const i64 at = corner + STEP * k, x = at + plane, y = at + row, xy = x + row;
        const T fluid = ((SCI_FLUID(at) + wz * SCI_FLUID(at + 1)) + wy * (SCI_FLUID(y) + wz * SCI_FLUID(y + 1))) +
                        wx * ((SCI_FLUID(x) + wz * SCI_FLUID(x + 1)) + wy * (SCI_FLUID(xy) + wz * SCI_FLUID(xy + 1)));
        const T walls = ((SCI_FIXED(at) + wz * SCI_FIXED(at + 1)) + wy * (SCI_FIXED(y) + wz * SCI_FIXED(y + 1))) +
                        wx * ((SCI_FIXED(x) + wz * SCI_FIXED(x + 1)) + wy * (SCI_FIXED(xy) + wz * SCI_FIXED(xy + 1)));
        const i64 x2 = at + sx * plane, y2 = at + sy * row, z2 = at + STEP;
        const T x0 = (SCI_X(at) + wz * SCI_X(at + 1)) + wy * (SCI_X(y) + wz * SCI_X(y + 1));
        const T x1 = (SCI_X(x2) + wz * SCI_X(x2 + 1)) + wy * (SCI_X(x2 + row) + wz * SCI_X(x2 + row + 1));
        const T y0 = (SCI_Y(at) + wz * SCI_Y(at + 1)) + wx * (SCI_Y(x) + wz * SCI_Y(x + 1));
        const T y1 = (SCI_Y(y2) + wz * SCI_Y(y2 + 1)) + wx * (SCI_Y(y2 + plane) + wz * SCI_Y(y2 + plane + 1));
        const T z0 = (SCI_Z(at) + wy * SCI_Z(y)) + wx * (SCI_Z(x) + wy * SCI_Z(xy));
        const T z1 = (SCI_Z(z2) + wy * SCI_Z(z2 + row)) + wx * (SCI_Z(z2 + plane) + wy * SCI_Z(z2 + plane + row));
        const T whole = factors[1] * walls;
        c_fraction[k] = factors[2] * fluid;
        c_fixed[k] = whole;
        c_d[k] = whole + factors[0] * (((x0 + x1) + (y0 + y1)) + (z0 + z1));
        c_x[k] = factors[0] * x0;
        c_y[k] = factors[0] * y0;
        c_z[k] = factors[0] * z0;
    }
}

// The next coarser level: its links are sums over the fine links that cross the face, `fixed` and `fraction` sums over
// the children, d the sum of links and fixed. factors = (of links, of fixed, of fraction). The box is coarse. Per
// coarse cell 60 flops and reads of 8 children; bytes per fine cell 7, or 36 with VARIABLE.
// Instances: <float, int, false> <float, float, true>
template <typename T, typename D, bool VARIABLE>
SCI_KERNEL coarsen(SCI_INDEX const D* d /*[p0, p1, p2]*/, const T* fixed /*[e0, e1, e2]*/,
                   const T* fraction /*[g0, g1, g2]*/, const T* links /*[3, q0, q1, q2]*/, T* c_d /*[c0, c1, c2]*/,
                   T* c_fixed /*[c0, c1, c2]*/, T* c_fraction /*[c0, c1, c2]*/, T* c_links /*[3, c0, c1, c2]*/,
                   const T* factors /*[3]*/, const i64* strides /*[3]*/, const i64* box /*[7]*/, const i64 p0,
                   const i64 p1, const i64 p2, const i64 c1, const i64 c2, const i64 chunk) {
    const i64 rows = box[3] * box[4], n = box[5], plane = p1 * p2;
    const i64 axis = VARIABLE ? p0 * plane : 0, c_axis = (box[6] + 2) * c1 * c2;
    const i64 sx = strides[0], sy = strides[1];
    SCI_EACH_ROW(line, rows, chunk) {
        const i64 i = row_i(box, line), j = row_j(box, line);
        const i64 to = ((i + 1) * c1 + j + 1) * c2 + 1, corner = ((sx * i + 1) * p1 + sy * j + 1) * p2 + 1;
        if (strides[2] == 2)
            coarse_row<T, D, VARIABLE, 2>(d, fixed, fraction, links, links + axis, links + 2 * axis, c_d + to,
                                          c_fixed + to, c_fraction + to, c_links + to, c_links + c_axis + to,
                                          c_links + 2 * c_axis + to, factors, sx, sy, corner, plane, p2, n);
        else
            coarse_row<T, D, VARIABLE, 1>(d, fixed, fraction, links, links + axis, links + 2 * axis, c_d + to,
                                          c_fixed + to, c_fraction + to, c_links + to, c_links + c_axis + to,
                                          c_links + 2 * c_axis + to, factors, sx, sy, corner, plane, p2, n);
    }
}
