// What one step of training asks of a device in many array calls, in few launches. The CPU has array code for all of it.
//
// adam_parts: Adam for up to 20 parameters at once, 28 bytes a number in float: memory is the limit.
// relative_*: the relative L2 loss and its derivative: 8 bytes read a number of float each way, and 4 written.
// outer_sums: gradients of matrices over channels, the products over points of what came in and what goes out, and
//   the sums of rows beside them: 2 m n flops a point for m + n numbers read.
// mix_synthesize, mix_backward: the product of a spectrum and dense weights over its modes, and back. A block makes the
//   M products of one column again for every 32 points of the first axis, 8 M I O flops of the second-level cache's
//   weights, and with them 8 M O flops for each of its points.
// All sums run in a fixed order.
#include "nn/rows.h"

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
// The host runs these in tests alone: quick to compile goes before fast.
#undef SCI_UNROLL
#define SCI_UNROLL
#undef SCI_THREADS
#define SCI_THREADS(t) for (int t = 0; t < SCI_BLOCK; ++t)
#endif

// One step of Adam for the parameters w0 ... of n0 ... numbers, as `adam` of pointwise.cu makes it for one.
//
// settings = (beta1, beta2, 1 - beta1^t, sqrt(1 - beta2^t), eps, l2, keep, rate) lies on the device, so that a recorded
// step reads those of its replay; rate0 ... are factors of the rate. odd[origin + k] becomes 1 where a second moment of
// part k is NaN or infinite. Blocks share the chunks of all parts in turn.
template <typename T>
SCI_DEVICE void adam_number(const i64 i, T* __restrict__ w, const T* __restrict__ g, T* __restrict__ m,
                            T* __restrict__ v, signed char* __restrict__ odd, const T* s, const T rate) {
    const T gradient = g[i] + s[5] * w[i];
    const T first = s[0] * m[i] + (1 - s[0]) * gradient, second = s[1] * v[i] + (1 - s[1]) * gradient * gradient;
    const T direction = first / (s[2] * (sqrt(second) / s[3] + s[4]));
    m[i] = first;
    v[i] = second;
    w[i] = s[6] * w[i] - rate * direction;
    if (!(second - second == 0)) *odd = 1;
}

#define ADAM_PART(k)                                                                                              \
    for (i64 chunk = turn; chunk * PART < n##k; chunk += gridDim.x) {                                             \
        SCI_THREADS(t) {                                                                                          \
            SCI_ROLLED for (int u = 0; u < PART / SCI_BLOCK; ++u) {                                               \
                const i64 i = chunk * PART + u * SCI_BLOCK + t;                                                   \
                if (i < n##k) adam_number<T>(i, w##k, g##k, m##k, v##k, odd + origin + k, s, T(settings[7] * rate##k)); \
            }                                                                                                     \
        }                                                                                                         \
    }                                                                                                             \
    turn = (turn + i64(gridDim.x) - (n##k + PART - 1) / PART % i64(gridDim.x)) % i64(gridDim.x);

// Instances: <float|double>
template <typename T>
SCI_KERNEL adam_parts(SCI_INDEX
    T* __restrict__ w0 /*[n0]*/, const T* __restrict__ g0 /*[n0]*/, T* __restrict__ m0 /*[n0]*/,
    T* __restrict__ v0 /*[n0]*/, T* __restrict__ w1 /*[n1]*/, const T* __restrict__ g1 /*[n1]*/,
    T* __restrict__ m1 /*[n1]*/, T* __restrict__ v1 /*[n1]*/, T* __restrict__ w2 /*[n2]*/,
    const T* __restrict__ g2 /*[n2]*/, T* __restrict__ m2 /*[n2]*/, T* __restrict__ v2 /*[n2]*/,
    T* __restrict__ w3 /*[n3]*/, const T* __restrict__ g3 /*[n3]*/, T* __restrict__ m3 /*[n3]*/,
    T* __restrict__ v3 /*[n3]*/, T* __restrict__ w4 /*[n4]*/, const T* __restrict__ g4 /*[n4]*/,
    T* __restrict__ m4 /*[n4]*/, T* __restrict__ v4 /*[n4]*/, T* __restrict__ w5 /*[n5]*/,
    const T* __restrict__ g5 /*[n5]*/, T* __restrict__ m5 /*[n5]*/, T* __restrict__ v5 /*[n5]*/,
    T* __restrict__ w6 /*[n6]*/, const T* __restrict__ g6 /*[n6]*/, T* __restrict__ m6 /*[n6]*/,
    T* __restrict__ v6 /*[n6]*/, T* __restrict__ w7 /*[n7]*/, const T* __restrict__ g7 /*[n7]*/,
    T* __restrict__ m7 /*[n7]*/, T* __restrict__ v7 /*[n7]*/, T* __restrict__ w8 /*[n8]*/,
    const T* __restrict__ g8 /*[n8]*/, T* __restrict__ m8 /*[n8]*/, T* __restrict__ v8 /*[n8]*/,
    T* __restrict__ w9 /*[n9]*/, const T* __restrict__ g9 /*[n9]*/, T* __restrict__ m9 /*[n9]*/,
    T* __restrict__ v9 /*[n9]*/, T* __restrict__ w10 /*[n10]*/, const T* __restrict__ g10 /*[n10]*/,
    T* __restrict__ m10 /*[n10]*/, T* __restrict__ v10 /*[n10]*/, T* __restrict__ w11 /*[n11]*/,
    const T* __restrict__ g11 /*[n11]*/, T* __restrict__ m11 /*[n11]*/, T* __restrict__ v11 /*[n11]*/,
    T* __restrict__ w12 /*[n12]*/, const T* __restrict__ g12 /*[n12]*/, T* __restrict__ m12 /*[n12]*/,
    T* __restrict__ v12 /*[n12]*/, T* __restrict__ w13 /*[n13]*/, const T* __restrict__ g13 /*[n13]*/,
    T* __restrict__ m13 /*[n13]*/, T* __restrict__ v13 /*[n13]*/, T* __restrict__ w14 /*[n14]*/,
    const T* __restrict__ g14 /*[n14]*/, T* __restrict__ m14 /*[n14]*/, T* __restrict__ v14 /*[n14]*/,
    T* __restrict__ w15 /*[n15]*/, const T* __restrict__ g15 /*[n15]*/, T* __restrict__ m15 /*[n15]*/,
    T* __restrict__ v15 /*[n15]*/, T* __restrict__ w16 /*[n16]*/, const T* __restrict__ g16 /*[n16]*/,
    T* __restrict__ m16 /*[n16]*/, T* __restrict__ v16 /*[n16]*/, T* __restrict__ w17 /*[n17]*/,
    const T* __restrict__ g17 /*[n17]*/, T* __restrict__ m17 /*[n17]*/, T* __restrict__ v17 /*[n17]*/,
    T* __restrict__ w18 /*[n18]*/, const T* __restrict__ g18 /*[n18]*/, T* __restrict__ m18 /*[n18]*/,
    T* __restrict__ v18 /*[n18]*/, T* __restrict__ w19 /*[n19]*/, const T* __restrict__ g19 /*[n19]*/,
    T* __restrict__ m19 /*[n19]*/, T* __restrict__ v19 /*[n19]*/,
    const double* __restrict__ settings /*[8]*/, signed char* __restrict__ odd /*[parts]*/, const i64 origin,
    const i64 n0, const i64 n1, const i64 n2, const i64 n3, const i64 n4, const i64 n5, const i64 n6, const i64 n7,
    const i64 n8, const i64 n9, const i64 n10, const i64 n11, const i64 n12, const i64 n13, const i64 n14,
    const i64 n15, const i64 n16, const i64 n17, const i64 n18, const i64 n19, const double rate0,
    const double rate1, const double rate2, const double rate3, const double rate4, const double rate5,
    const double rate6, const double rate7, const double rate8, const double rate9, const double rate10,
    const double rate11, const double rate12, const double rate13, const double rate14, const double rate15,
    const double rate16, const double rate17, const double rate18, const double rate19) {
    constexpr i64 PART = 4 * SCI_BLOCK;
    const T s[7] = {T(settings[0]), T(settings[1]), T(settings[2]), T(settings[3]),
                    T(settings[4]), T(settings[5]), T(settings[6])};
    i64 turn = blockIdx.x;
    ADAM_PART(0) ADAM_PART(1) ADAM_PART(2) ADAM_PART(3) ADAM_PART(4) ADAM_PART(5) ADAM_PART(6) ADAM_PART(7)
    ADAM_PART(8) ADAM_PART(9) ADAM_PART(10) ADAM_PART(11) ADAM_PART(12) ADAM_PART(13) ADAM_PART(14) ADAM_PART(15)
    ADAM_PART(16) ADAM_PART(17) ADAM_PART(18) ADAM_PART(19)
}

// sums[row, piece] = (sum of (p - y)^2, sum of y^2) over SPAN points of a row, in double: no square leaves its range.
// Instances: <float>
template <typename T>
SCI_KERNEL relative_sums(SCI_INDEX const T* __restrict__ prediction /*[rows, n]*/,
                         const T* __restrict__ target /*[rows, n]*/, double* __restrict__ sums /*[rows, pieces, 2]*/,
                         const i64 rows, const i64 n, const i64 pieces) {
    for (i64 chunk = blockIdx.x; chunk * ROWS < rows * pieces; chunk += gridDim.x) {
        SCI_FOR_ROW(r) {
            const i64 at = chunk * ROWS + r;
            if (at >= rows * pieces) break;
            const i64 row = at / pieces, begin = at % pieces * SPAN, end = begin + SPAN < n ? begin + SPAN : n;
            const T *const p = prediction + row * n, *const y = target + row * n;
            sums[2 * at] = sum_span<double>(begin, end, [=](const i64 k) {
                const double error = double(p[k]) - double(y[k]);
                return error * error;
            });
            sums[2 * at + 1] = sum_span<double>(begin, end, [=](const i64 k) { return double(y[k]) * double(y[k]); });
        }
    }
}

// loss = factor sum over rows of ||p - y|| / ||y||; weights of p - y in its gradient, 0 where an error is 0; odd: rows
// whose target is zero. There `zero`, if it is not negative, takes the place of ||y||^2.
// Instances: <float>
template <typename T>
SCI_KERNEL relative_loss(SCI_INDEX const double* __restrict__ sums /*[rows, pieces, 2]*/, T* __restrict__ loss /*[one]*/,
                         double* __restrict__ weights /*[rows]*/, signed char* __restrict__ odd /*[rows]*/,
                         const i64 rows, const i64 pieces, const i64 one, const double factor, const double zero) {
    if (blockIdx.x > 0) return;
    // Every warp finds the same; each number is written by one lane of each.
    const double total = sum_span<double>(0, rows, [=](const i64 row) {
        double error = 0, scale = 0;
        for (i64 k = 0; k < pieces; ++k) {
            error += sums[2 * (row * pieces + k)];
            scale += sums[2 * (row * pieces + k) + 1];
        }
        odd[row] = scale == 0 && zero < 0 ? 1 : 0;
        if (scale == 0) scale = zero;
        weights[row] = error == 0 ? 0 : factor / (sqrt(error) * sqrt(scale));
        return sqrt(error) / sqrt(scale);
    });
    for (i64 k = 0; k < one; ++k) loss[k] = T(factor * total);
}

// out = (p - y) weights dout.
// Instances: <float>
template <typename T>
SCI_KERNEL relative_slope(SCI_INDEX const T* __restrict__ prediction /*[rows, n]*/,
                          const T* __restrict__ target /*[rows, n]*/, const double* __restrict__ weights /*[rows]*/,
                          const T* __restrict__ dout /*[one]*/, T* __restrict__ out /*[rows, n]*/, const i64 rows,
                          const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < rows * n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < rows * n)
                out[i] = T((double(prediction[i]) - double(target[i])) * (weights[i / n] * double(dout[0])));
        }
    }
}

// 32 x 32 entries of sum over points of a (m, points) b (n, points), by threads of 4 x 4 each, and sums of the rows of a.
constexpr int SQUARE = 32, DEEP = 16, WAY = SQUARE + 4, EACH = 64 / SCI_BLOCK;

template <typename T>
SCI_DEVICE void outer_tile(const T* __restrict__ a, const i64 m, const T* __restrict__ b, const i64 n, const i64 points,
                           const i64 from, const i64 to, const i64 i0, const i64 j0, const bool diagonal,
                           T* __restrict__ left, T* __restrict__ right, T* __restrict__ out) {
    T sum[EACH * 16][SCI_SLOTS], row[EACH * 4][SCI_SLOTS];
    SCI_THREADS(t) {
        SCI_UNROLL for (int k = 0; k < EACH * 16; ++k) sum[k][SCI_SLOT(t)] = 0;
        SCI_UNROLL for (int k = 0; k < EACH * 4; ++k) row[k][SCI_SLOT(t)] = 0;
    }
    SCI_ROLLED for (i64 l0 = from; l0 < to; l0 += DEEP) {
        SCI_BARRIER
        SCI_THREADS(t) {
            SCI_UNROLL for (int u = 0; u < SQUARE * DEEP / SCI_BLOCK; ++u) {
                const i64 k = u * SCI_BLOCK + t, i = i0 + k / DEEP, j = j0 + k / DEEP, l = l0 + k % DEEP;
                left[k % DEEP * WAY + k / DEEP] = i < m && l < to ? a[i * points + l] : T(0);
                right[k % DEEP * WAY + k / DEEP] = j < n && l < to ? b[j * points + l] : T(0);
            }
        }
        SCI_BARRIER
        SCI_THREADS(t) {
            SCI_UNROLL_BY(4)
            for (int l = 0; l < DEEP; ++l) {
                SCI_UNROLL for (int e = 0; e < EACH; ++e) {
                    const T *const x = left + l * WAY + (e * SCI_BLOCK + t) / 8 * 4;
                    const T* const y = right + l * WAY + t % 8 * 4;
                    SCI_UNROLL for (int r = 0; r < 4; ++r) {
                        SCI_UNROLL for (int c = 0; c < 4; ++c)
                            sum[16 * e + 4 * r + c][SCI_SLOT(t)] += x[r] * y[c];
                        row[4 * e + r][SCI_SLOT(t)] += x[r];
                    }
                }
            }
        }
    }
    SCI_THREADS(t) {
        SCI_UNROLL for (int e = 0; e < 4 * EACH; ++e) {
            const i64 r = (e / 4 * SCI_BLOCK + t) / 8 * 4 + e % 4, i = i0 + r;
            SCI_UNROLL for (int c = 0; c < 4; ++c) {
                const i64 j = j0 + t % 8 * 4 + c;
                if (i < m && j < n && !diagonal) out[i * n + j] = sum[4 * e + c][SCI_SLOT(t)];
                if (i < m && i == j && diagonal) out[i] = sum[4 * e + c][SCI_SLOT(t)];
            }
            if (i < m && j0 == 0 && t % 8 == 0 && !diagonal) out[m * n + i] = row[e][SCI_SLOT(t)];
        }
    }
}

// Three products over samples and points, each a matrix (m, n) with the sums of the rows of a behind it, then, where
// `diagonal`, the diagonal of d0 b0': one row of `partial` for each piece of the points of a sample.
// Instances: <float|double>
template <typename T>
SCI_KERNEL outer_sums(SCI_INDEX const T* __restrict__ a0 /*[batch, m0, points]*/,
                      const T* __restrict__ b0 /*[batch, n0, points]*/, const T* __restrict__ a1 /*[batch, m1, points]*/,
                      const T* __restrict__ b1 /*[batch, n1, points]*/, const T* __restrict__ a2 /*[batch, m2, points]*/,
                      const T* __restrict__ b2 /*[batch, n2, points]*/, T* __restrict__ partial /*[rows, entries]*/,
                      const i64 batch, const i64 points, const i64 m0, const i64 n0, const i64 m1, const i64 n1,
                      const i64 m2, const i64 n2, const i64 entries, const i64 rows, const i64 diagonal) {
    SCI_SHARED T left[DEEP * WAY], right[DEEP * WAY];
    const i64 h0 = (m0 + SQUARE - 1) / SQUARE, h1 = (m1 + SQUARE - 1) / SQUARE, h2 = (m2 + SQUARE - 1) / SQUARE;
    const i64 w0 = (n0 + SQUARE - 1) / SQUARE, w1 = (n1 + SQUARE - 1) / SQUARE, w2 = (n2 + SQUARE - 1) / SQUARE;
    const i64 t0 = h0 * w0, t1 = t0 + h1 * w1, t2 = t1 + h2 * w2, tiles = t2 + (diagonal ? h1 : 0);
    const i64 pieces = rows / batch, length = (points + pieces - 1) / pieces;
    for (i64 block = blockIdx.x; block < rows * tiles; block += gridDim.x) {
        const i64 piece = block / tiles, tile = block % tiles, s = piece / pieces, from = piece % pieces * length;
        const i64 to = from + length < points ? from + length : points;
        T* const out = partial + piece * entries;
        const i64 second = m0 * n0 + m0, third = second + m1 * n1 + m1, last = third + m2 * n2 + m2;
        if (tile < t0)
            outer_tile<T>(a0 + s * m0 * points, m0, b0 + s * n0 * points, n0, points, from, to, tile / w0 * SQUARE,
                          tile % w0 * SQUARE, false, left, right, out);
        else if (tile < t1)
            outer_tile<T>(a1 + s * m1 * points, m1, b1 + s * n1 * points, n1, points, from, to,
                          (tile - t0) / w1 * SQUARE, (tile - t0) % w1 * SQUARE, false, left, right, out + second);
        else if (tile < t2)
            outer_tile<T>(a2 + s * m2 * points, m2, b2 + s * n2 * points, n2, points, from, to,
                          (tile - t1) / w2 * SQUARE, (tile - t1) % w2 * SQUARE, false, left, right, out + third);
        else
            outer_tile<T>(a1 + s * m1 * points, m1, b0 + s * n0 * points, n0, points, from, to, (tile - t2) * SQUARE,
                          (tile - t2) * SQUARE, true, left, right, out + last);
    }
}

// MIXED numbers of one column of a spectrum: its wavenumbers along the first axis times channels.
constexpr int MIXED = 1024, CHUNK_OF_AXIS = 32;

// What a block of mix_synthesize and of mix_backward does: column t0 of a sample, 32 points of the first axis.
template <typename T, bool BACK>
SCI_DEVICE void mix_column(const i64 block, const T* __restrict__ x, const T* __restrict__ w,
                           const T* __restrict__ bias, const T* __restrict__ waves, T* __restrict__ out,
                           T* __restrict__ y, const i64 m, const i64 tail, const i64 batch, const i64 ins,
                           const i64 outs, const i64 n, const i64 zero, const i64 zero_column) {
    const i64 chunks = (n + CHUNK_OF_AXIS - 1) / CHUNK_OF_AXIS;
    const i64 t0 = block % tail, chunk = block / tail % chunks, b = block / tail / chunks;
    SCI_BARRIER
    SCI_THREADS(t) {
        for (i64 at = t; at < m * outs; at += SCI_BLOCK) {
            const i64 k = at / outs, o = at % outs, mode = k * tail + t0;
            const T* const from = x + (mode * batch + b) * ins * 2;
            const T* const weight = w + 2 * (mode * ins * outs + (BACK ? o * ins : o));
            T re = 0, im = 0;
            for (i64 i = 0; i < ins; ++i) {
                const i64 step = 2 * (BACK ? i : i * outs);
                const T u = from[2 * i], v = from[2 * i + 1], p = weight[step], q = BACK ? -weight[step + 1] : weight[step + 1];
                re += u * p - v * q;
                im += u * q + v * p;
            }
            if (!BACK && k == zero && t0 == zero_column) re += bias[o];
            y[2 * at] = re, y[2 * at + 1] = im;
        }
    }
    SCI_BARRIER
    const i64 first = chunk * CHUNK_OF_AXIS, left = n - first < CHUNK_OF_AXIS ? n - first : CHUNK_OF_AXIS;
    SCI_THREADS(t) {
        for (i64 at = t; at < left * outs; at += SCI_BLOCK) {
            const i64 point = first + at % left, o = at / left;
            const T* const wave = waves + 2 * point * m;
            T re = 0, im = 0;
            for (i64 k = 0; k < m; ++k) {
                const T u = y[2 * (k * outs + o)], v = y[2 * (k * outs + o) + 1];
                re += wave[2 * k] * u - wave[2 * k + 1] * v;
                im += wave[2 * k] * v + wave[2 * k + 1] * u;
            }
            T* const to = out + 2 * (((b * outs + o) * n + point) * tail + t0);
            to[0] = re, to[1] = im;
        }
    }
}

// out[b, o, n, t] = sum_k waves[n, k] Y[k, t, b, o] with Y[k, t, b, o] = sum_i X[k, t, b, i] W[k, t, i, o], and bias added
// at the wavenumber 0 (k = zero, t = zero_column). All complex, real and imaginary part in turn. At most MIXED numbers k, o.
// Instances: <float|double>
template <typename T>
SCI_KERNEL mix_synthesize(SCI_INDEX const T* __restrict__ x /*[m, tail, batch, ins, 2]*/,
                          const T* __restrict__ w /*[m, tail, ins, outs, 2]*/, const T* __restrict__ bias /*[outs]*/,
                          const T* __restrict__ waves /*[n, m, 2]*/, T* __restrict__ out /*[batch, outs, n, tail, 2]*/,
                          const i64 m, const i64 tail, const i64 batch, const i64 ins, const i64 outs, const i64 n,
                          const i64 zero, const i64 zero_column) {
    SCI_SHARED T y[2 * MIXED];
    const i64 blocks = batch * ((n + CHUNK_OF_AXIS - 1) / CHUNK_OF_AXIS) * tail;
    for (i64 block = blockIdx.x; block < blocks; block += gridDim.x)
        mix_column<T, false>(block, x, w, bias, waves, out, y, m, tail, batch, ins, outs, n, zero, zero_column);
}

// The way back from the transform g of the gradient of the field: out as above of sum_o g[k, t, b, o] conj(W[k, t, i, o]);
// dw[k, t, i, o] = c sum_b conj(X[k, t, b, i]) g[k, t, b, o] with c = scale, twice where the column of the half spectrum
// (t mod columns) stands for two, all but 0 and `alone`; dbias[o] = scale sum_b Re g[zero, zero_column, b, o].
// Instances: <float|double>
template <typename T>
SCI_KERNEL mix_backward(SCI_INDEX const T* __restrict__ x /*[m, tail, batch, ins, 2]*/,
                        const T* __restrict__ g /*[m, tail, batch, outs, 2]*/,
                        const T* __restrict__ w /*[m, tail, ins, outs, 2]*/, const T* __restrict__ waves /*[n, m, 2]*/,
                        T* __restrict__ out /*[batch, ins, n, tail, 2]*/, T* __restrict__ dw /*[m, tail, ins, outs, 2]*/,
                        T* __restrict__ dbias /*[outs]*/, const i64 m, const i64 tail, const i64 batch, const i64 ins,
                        const i64 outs, const i64 n, const i64 zero, const i64 zero_column, const i64 columns,
                        const i64 alone, const double scale) {
    SCI_SHARED T y[2 * MIXED];
    const i64 blocks = batch * ((n + CHUNK_OF_AXIS - 1) / CHUNK_OF_AXIS) * tail;
    const i64 pieces = (ins * outs + SCI_BLOCK - 1) / SCI_BLOCK;
    for (i64 block = blockIdx.x; block < blocks + m * tail * pieces; block += gridDim.x) {
        if (block < blocks) {
            mix_column<T, true>(block, g, w, nullptr, waves, out, y, m, tail, batch, outs, ins, n, zero, zero_column);
            continue;
        }
        const i64 mode = (block - blocks) / pieces, column = mode % columns;
        const T c = T(column == 0 || column == alone ? scale : 2 * scale);
        SCI_THREADS(t) {
            const i64 at = (block - blocks) % pieces * SCI_BLOCK + t, i = at / outs, o = at % outs;
            T re = 0, im = 0, sum = 0;
            for (i64 b = 0; at < ins * outs && b < batch; ++b) {
                const T* const p = x + 2 * ((mode * batch + b) * ins + i);
                const T* const q = g + 2 * ((mode * batch + b) * outs + o);
                re += p[0] * q[0] + p[1] * q[1];
                im += p[0] * q[1] - p[1] * q[0];
                sum += q[0];
            }
            if (at < ins * outs) {
                T* const to = dw + 2 * (mode * ins * outs + at);
                to[0] = c * re, to[1] = c * im;
                if (mode == zero * tail + zero_column && i == 0) dbias[o] = T(scale) * sum;
            }
        }
    }
}
