// Convolution with 3 x 3 x 3 taps between channels, and the gradient of its weights. The gradient of its input is a
// convolution too, of the other end's gradient with the taps reversed and the channels exchanged.
//
// Inputs are padded: x[b, c, i + 1, j + 1, k + 1] belongs to cell (i, j, k), zeros stand around, and the last axis is
// long enough for whole blocks of cells, p2 = ceil(n2 / SCI_BLOCK) SCI_BLOCK + 2: no load needs a test.
//
// Flops per cell: 54 C O, each input loaded CHANNELS times less often than it is used; the limit is arithmetic.
#include "host.h"

constexpr i64 CHANNELS = 4;

// out[b, o] = bias[o] + sum over c of x[b, c] * weight[o, c] for CHANNELS output channels a block; channels beyond the
// last are worked out as the last one and not stored.
// Instances: <float|double>
template <typename T>
SCI_KERNEL convolve(SCI_INDEX const T* __restrict__ x /*[batch, inputs, q0, q1, p2]*/,
                    const T* __restrict__ weight /*[outputs, inputs, 27]*/, const T* __restrict__ bias /*[outputs]*/,
                    T* __restrict__ out /*[batch, outputs, n0, n1, n2]*/, const i64 batch, const i64 inputs,
                    const i64 outputs, const i64 n0, const i64 n1, const i64 n2, const i64 p2) {
    const i64 groups = (outputs + CHANNELS - 1) / CHANNELS, row = p2, plane = (n1 + 2) * p2, volume = (n0 + 2) * plane;
    for (i64 block = blockIdx.x; block < batch * groups * n0; block += gridDim.x) {
        const i64 b = block / (groups * n0), o = block / n0 % groups * CHANNELS, i = block % n0;
        const i64 last = outputs - 1;
        const i64 o0 = o, o1 = o + 1 < last ? o + 1 : last, o2 = o + 2 < last ? o + 2 : last;
        const i64 o3 = o + 3 < last ? o + 3 : last;
        for (i64 j = 0; j < n1; ++j) {
            for (i64 start = 0; start < n2; start += SCI_BLOCK) {
                T s0[SCI_SLOTS], s1[SCI_SLOTS], s2[SCI_SLOTS], s3[SCI_SLOTS];
                SCI_THREADS(t) {
                    s0[SCI_SLOT(t)] = bias[o0];
                    s1[SCI_SLOT(t)] = bias[o1];
                    s2[SCI_SLOT(t)] = bias[o2];
                    s3[SCI_SLOT(t)] = bias[o3];
                }
                for (i64 c = 0; c < inputs; ++c) {
                    const T* source = x + (b * inputs + c) * volume + i * plane + j * row + start;
                    const T* w0 = weight + (o0 * inputs + c) * 27;
                    const T* w1 = weight + (o1 * inputs + c) * 27;
                    const T* w2 = weight + (o2 * inputs + c) * 27;
                    const T* w3 = weight + (o3 * inputs + c) * 27;
                    for (i64 tap = 0; tap < 9; ++tap) {
                        const T* at = source + tap / 3 * plane + tap % 3 * row;
                        const i64 w = 3 * tap;
                        SCI_THREADS(t) {
                            const T a = at[t], m = at[t + 1], z = at[t + 2];
                            s0[SCI_SLOT(t)] += w0[w] * a + w0[w + 1] * m + w0[w + 2] * z;
                            s1[SCI_SLOT(t)] += w1[w] * a + w1[w + 1] * m + w1[w + 2] * z;
                            s2[SCI_SLOT(t)] += w2[w] * a + w2[w + 1] * m + w2[w + 2] * z;
                            s3[SCI_SLOT(t)] += w3[w] * a + w3[w + 1] * m + w3[w + 2] * z;
                        }
                    }
                }
                T* to = out + (b * outputs * n0 + i) * n1 * n2 + j * n2 + start;
                const i64 channel = n0 * n1 * n2;
                SCI_THREADS(t) {
                    if (start + t < n2) {
                        to[o0 * channel + t] = s0[SCI_SLOT(t)];
                        if (o + 1 < outputs) to[o1 * channel + t] = s1[SCI_SLOT(t)];
                        if (o + 2 < outputs) to[o2 * channel + t] = s2[SCI_SLOT(t)];
                        if (o + 3 < outputs) to[o3 * channel + t] = s3[SCI_SLOT(t)];
                    }
                }
            }
        }
    }
}

// partial[o, c, tap, t] = the part of thread t of the sum over the batch and the cells of dout[b, o] x[b, c] moved by
// the tap. dout is padded as x, but by whole blocks alone: dout[b, o, i, j, k] with p2 - 2 entries a row. One block a
// triple (o, c, tap / 3): no two write one place, and the order of the sum is fixed.
// Instances: <float|double>
template <typename T>
SCI_KERNEL convolve_weights(SCI_INDEX const T* __restrict__ x /*[batch, inputs, q0, q1, p2]*/,
                            const T* __restrict__ dout /*[batch, outputs, n0, n1, w]*/,
                            T* __restrict__ partial /*[outputs, inputs, 27, lanes]*/, const i64 batch, const i64 inputs,
                            const i64 outputs, const i64 n0, const i64 n1, const i64 p2, const i64 lanes) {
    const i64 row = p2, plane = (n1 + 2) * p2, volume = (n0 + 2) * plane, width = p2 - 2;
    for (i64 block = blockIdx.x; block < outputs * inputs * 9; block += gridDim.x) {
        const i64 o = block / (9 * inputs), c = block / 9 % inputs, tap = block % 9;
        T s0[SCI_SLOTS], s1[SCI_SLOTS], s2[SCI_SLOTS];
        SCI_THREADS(t) s0[SCI_SLOT(t)] = s1[SCI_SLOT(t)] = s2[SCI_SLOT(t)] = 0;
        for (i64 line = 0; line < batch * n0 * n1; ++line) {
            const i64 b = line / (n0 * n1), i = line / n1 % n0, j = line % n1;
            const T* at = x + (b * inputs + c) * volume + (i + tap / 3) * plane + (j + tap % 3) * row;
            const T* from = dout + ((b * outputs + o) * n0 * n1 + i * n1 + j) * width;
            for (i64 start = 0; start < width; start += SCI_BLOCK) {
                SCI_THREADS(t) {
                    const T d = from[start + t];
                    s0[SCI_SLOT(t)] += d * at[start + t];
                    s1[SCI_SLOT(t)] += d * at[start + t + 1];
                    s2[SCI_SLOT(t)] += d * at[start + t + 2];
                }
            }
        }
        T* to = partial + ((o * inputs + c) * 27 + 3 * tap) * lanes;
        SCI_THREADS(t) {
            to[t] = s0[SCI_SLOT(t)];
            to[lanes + t] = s1[SCI_SLOT(t)];
            to[2 * lanes + t] = s2[SCI_SLOT(t)];
        }
    }
}
