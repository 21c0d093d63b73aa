// What an FNO block does between its Fourier transforms, point by point, forward and backward.
//
// forward:   v += A x, or v = Z S + A x;  m = w1 gelu(w0 gelu(v) + b0) + b1 + g x;  out = gelu(m), slope = gelu'(m)
// backward:  dm = dout slope, dh = gelu'(h) w1^T dm, dv = gelu'(v) w0^T dh, dx = A^T dv + g dm, with h made again from v;
//            the gradients of the weights are the products of dv, dh, dm with x, gelu(v), gelu(h), which it leaves
//            behind for a matrix product.
//
// Z S is the end of the inverse Fourier transform: Z has `tail` numbers, cosines and sines, for each channel and row of
// the grid, S is (tail, row). Made here, the convolution is neither written nor read; on a CPU BLAS makes it faster.
//
// One thread has one point, its C channels and H hidden ones in its own columns of shared memory, so that no barrier is
// needed (on the host in lanes of the first-level cache): 14 to 40 KiB a block. Per point C^2 + 2 C H products forward
// (C tail more with the inverse transform) and C^2 + 3 C H backward, 41 flops for each GELU in float. Bytes forward: read
// x and v, write out, and where a derivative follows v and slope: 3 or 5 fields (with the inverse transform tail / row of
// a field in place of v: 2 or 4), where single calls of skip, sum, GELU, two products, gate, sum and GELU move 14 C + 5 H
// numbers a point. Backward: read 3 fields, write 2, and 2 C + 2 H numbers a point for the products. On a GPU memory is
// the limit, on a CPU arithmetic, by half GELU.
#include "nn/gelu.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define FNO_WIDTH SCI_BLOCK
#define FNO_ARRAY __shared__ T
#define FNO_THREADS SCI_THREADS
#define FNO_HALF SCI_THREADS
#define FNO_TWIN 0
#define FNO_UNROLL _Pragma("unroll 8")
#else
// On the host a block has more points than a vector: rows of the field lie far apart, and whole cache lines are read.
#define FNO_WIDTH 64
#define FNO_ARRAY T
#define FNO_THREADS(t) _Pragma("omp simd") for (int t = 0; t < FNO_WIDTH; ++t)
#define FNO_HALF(t) _Pragma("omp simd") for (int t = 0; t < FNO_TWIN; ++t)
#define FNO_TWIN (FNO_WIDTH / 2)
#ifdef __SANITIZE_ADDRESS__
#define FNO_UNROLL  // checks of every access in unrolled loops take minutes to compile
#else
#define FNO_UNROLL SCI_UNROLL
#endif
#endif

template <typename T, int ROWS>
SCI_DEVICE void load_rows(const T* __restrict__ from, const i64 stride, const i64 left, T* __restrict__ into) {
    if (left >= FNO_WIDTH) {
        SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
            FNO_THREADS(t) into[c * FNO_WIDTH + t] = from[c * stride + t];
        }
        return;
    }
    SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
        FNO_THREADS(t) into[c * FNO_WIDTH + t] = t < left ? from[c * stride + t] : T(0);
    }
}

template <typename T, int ROWS>
SCI_DEVICE void store_rows(const T* __restrict__ from, const i64 stride, const i64 left, T* __restrict__ into) {
    if (left >= FNO_WIDTH) {
        SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
            FNO_THREADS(t) into[c * stride + t] = from[c * FNO_WIDTH + t];
        }
        return;
    }
    SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
        FNO_THREADS(t) if (t < left) into[c * stride + t] = from[c * FNO_WIDTH + t];
    }
}

// The first `rows` rows; the others are zero.
template <typename T, int ROWS>
SCI_DEVICE void load_some(const T* __restrict__ from, const i64 stride, const i64 left, const i64 rows,
                          T* __restrict__ into) {
    SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
        if (c < rows && left >= FNO_WIDTH) {
            FNO_THREADS(t) into[c * FNO_WIDTH + t] = from[c * stride + t];
        } else if (c < rows) {
            FNO_THREADS(t) into[c * FNO_WIDTH + t] = t < left ? from[c * stride + t] : T(0);
        } else {
            FNO_THREADS(t) into[c * FNO_WIDTH + t] = T(0);
        }
    }
}

template <typename T, int ROWS>
SCI_DEVICE void store_some(const T* __restrict__ from, const i64 stride, const i64 left, const i64 rows,
                           T* __restrict__ into) {
    SCI_ROLLED for (int c = 0; c < ROWS && c < rows; ++c) {
        FNO_THREADS(t) if (t < left) into[c * stride + t] = from[c * FNO_WIDTH + t];
    }
}

// out += w in (TURNED: w^T in); w is (ROWS, COLUMNS), or (COLUMNS, ROWS) where it is turned. Four rows at a time, on the
// host at two points, so that an entry of w that was read serves two vectors.
template <typename T, int ROWS, int COLUMNS, bool TURNED>
SCI_DEVICE void add_product(const T* __restrict__ w, const T* __restrict__ in, T* __restrict__ out) {
    constexpr int row = TURNED ? 1 : COLUMNS, column = TURNED ? ROWS : 1;
    SCI_ROLLED for (int o = 0; o < ROWS; o += 4) {
        const T* const part = w + o * row;
        T* const to = out + o * FNO_WIDTH;
        FNO_HALF(t) {
            const int p = t, q = p + FNO_TWIN;
            T a = to[p], b = to[FNO_WIDTH + p], c = to[2 * FNO_WIDTH + p], d = to[3 * FNO_WIDTH + p];
            T e = 0, f = 0, g = 0, h = 0;
            if (FNO_TWIN) e = to[q], f = to[FNO_WIDTH + q], g = to[2 * FNO_WIDTH + q], h = to[3 * FNO_WIDTH + q];
            FNO_UNROLL for (int i = 0; i < COLUMNS; ++i) {
                const T w0 = part[i * column], w1 = part[row + i * column];
                const T w2 = part[2 * row + i * column], w3 = part[3 * row + i * column];
                const T value = in[i * FNO_WIDTH + p];
                a += w0 * value;
                b += w1 * value;
                c += w2 * value;
                d += w3 * value;
                if (FNO_TWIN) {
                    const T twin = in[i * FNO_WIDTH + q];
                    e += w0 * twin;
                    f += w1 * twin;
                    g += w2 * twin;
                    h += w3 * twin;
                }
            }
            to[p] = a, to[FNO_WIDTH + p] = b, to[2 * FNO_WIDTH + p] = c, to[3 * FNO_WIDTH + p] = d;
            if (FNO_TWIN) to[q] = e, to[FNO_WIDTH + q] = f, to[2 * FNO_WIDTH + q] = g, to[3 * FNO_WIDTH + q] = h;
        }
    }
}

// The same for weights of fewer rows or columns than there is room for: those that the
// weights do not have are left out.
template <typename T, bool TURNED>
SCI_DEVICE void add_some_product(const T* __restrict__ w, const i64 rows, const i64 columns, const T* __restrict__ in,
                                 T* __restrict__ out) {
    const i64 row = TURNED ? 1 : columns, column = TURNED ? rows : 1;
    SCI_ROLLED for (i64 o = 0; o < rows; ++o) {
        FNO_THREADS(t) {
            T sum = out[o * FNO_WIDTH + t];
            for (i64 i = 0; i < columns; ++i) sum += w[o * row + i * column] * in[i * FNO_WIDTH + t];
            out[o * FNO_WIDTH + t] = sum;
        }
    }
}

template <typename T, int ROWS>
SCI_DEVICE void set_rows(const T* __restrict__ values, T* __restrict__ out, const i64 rows = ROWS) {
    SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
        FNO_THREADS(t) out[c * FNO_WIDTH + t] = values && c < rows ? values[c] : T(0);
    }
}

// values = gelu(values), and slopes = gelu'.
template <typename T, int ROWS>
SCI_DEVICE void gelu_rows(T* __restrict__ values, T* __restrict__ slopes) {
    SCI_ROLLED for (int c = 0; c < ROWS; ++c) {
        FNO_THREADS(t) {
            T slope;
            values[c * FNO_WIDTH + t] = sci_gelu(values[c * FNO_WIDTH + t], slope);
            slopes[c * FNO_WIDTH + t] = slope;
        }
    }
}

// The inverse transform along the last axis at the points from `first` on, of channels whose rows start at `from`.
template <typename T, int ROWS>
SCI_DEVICE void synthesize_rows(const T* __restrict__ from, const T* __restrict__ waves, const i64 row, const i64 tail,
                                const i64 first, const i64 points, T* __restrict__ into) {
    const i64 channel = points / row * tail;
    SCI_ROLLED for (int c = 0; c < ROWS; c += 4) {
        const T* const z = from + c * channel;
        FNO_THREADS(t) {
            const i64 point = first + t < points ? first + t : points - 1, line = point / row;
            const T *const own = z + line * tail, *const wave = waves + (point - line * row);
            T p = 0, q = 0, r = 0, s = 0;
            for (i64 k = 0; k < tail; ++k) {
                const T w = wave[k * row];
                p += own[k] * w;
                q += own[channel + k] * w;
                r += own[2 * channel + k] * w;
                s += own[3 * channel + k] * w;
            }
            T* const to = into + c * FNO_WIDTH + t;
            to[0] = p, to[FNO_WIDTH] = q, to[2 * FNO_WIDTH] = r, to[3 * FNO_WIDTH] = s;
        }
    }
}

// Instances: <float|double, 16, 8> <float, 32, 16>
template <typename T, int C, int H>
SCI_KERNEL block_forward(SCI_INDEX const T* __restrict__ x /*[batch, C, points]*/,
                         T* __restrict__ v /*[batch, C, points]*/, T* __restrict__ out /*[batch, C, points]*/,
                         T* __restrict__ slope /*[n]*/, const T* __restrict__ skip /*[C, C]*/,
                         const T* __restrict__ gate /*[C]*/, const T* __restrict__ w0 /*[H, C]*/,
                         const T* __restrict__ b0 /*[H]*/, const T* __restrict__ w1 /*[C, H]*/,
                         const T* __restrict__ b1 /*[C]*/, const T* __restrict__ rows /*[z]*/,
                         const T* __restrict__ waves /*[tail, row]*/, const i64 batch, const i64 points,
                         const i64 activate, const i64 keep, const i64 row, const i64 tail) {
    const i64 pieces = (points + FNO_WIDTH - 1) / FNO_WIDTH;
    for (i64 tile = blockIdx.x; tile < batch * pieces; tile += gridDim.x) {
        const i64 first = tile % pieces * FNO_WIDTH, left = points - first;
        const i64 at = tile / pieces * C * points + first;
        FNO_ARRAY xs[C * FNO_WIDTH], a[C * FNO_WIDTH], h[H * FNO_WIDTH], s[C * FNO_WIDTH];
        load_rows<T, C>(x + at, points, left, xs);
        if (tail) {
            synthesize_rows<T, C>(rows + tile / pieces * C * (points / row) * tail, waves, row, tail, first, points, a);
        } else {
            load_rows<T, C>(v + at, points, left, a);
        }
        add_product<T, C, C, false>(skip, xs, a);
        if (keep) store_rows<T, C>(a, points, left, v + at);
        if (activate) gelu_rows<T, C>(a, s);
        set_rows<T, H>(b0, h);
        add_product<T, H, C, false>(w0, a, h);
        gelu_rows<T, H>(h, s);
        SCI_ROLLED for (int c = 0; c < C; ++c) {
            FNO_THREADS(t) a[c * FNO_WIDTH + t] = b1[c] + gate[c] * xs[c * FNO_WIDTH + t];
        }
        add_product<T, C, H, false>(w1, h, a);
        if (activate) {
            gelu_rows<T, C>(a, s);
            if (keep) store_rows<T, C>(s, points, left, slope + at);
        }
        store_rows<T, C>(a, points, left, out + at);
    }
}

// Instances: <float|double, 16, 8> <float, 32, 16>
template <typename T, int C, int H>
SCI_KERNEL block_backward(SCI_INDEX const T* __restrict__ v /*[batch, C, points]*/,
                          const T* __restrict__ dout /*[batch, C, points]*/, const T* __restrict__ slope /*[n]*/,
                          const T* __restrict__ skip /*[C, C]*/, const T* __restrict__ gate /*[C]*/,
                          const T* __restrict__ w0 /*[H, C]*/, const T* __restrict__ b0 /*[H]*/,
                          const T* __restrict__ w1 /*[C, H]*/, T* __restrict__ dv /*[batch, C, points]*/,
                          T* __restrict__ dx /*[batch, C, points]*/, T* __restrict__ dm /*[batch, C, points]*/,
                          T* __restrict__ value /*[batch, C, points]*/, T* __restrict__ hidden /*[batch, H, points]*/,
                          T* __restrict__ dhidden /*[batch, H, points]*/, const i64 batch, const i64 points,
                          const i64 activate) {
    const i64 pieces = (points + FNO_WIDTH - 1) / FNO_WIDTH;
    for (i64 tile = blockIdx.x; tile < batch * pieces; tile += gridDim.x) {
        const i64 first = tile % pieces * FNO_WIDTH, left = points - first, sample = tile / pieces;
        const i64 at = sample * C * points + first, inner = sample * H * points + first;
        FNO_ARRAY a[C * FNO_WIDTH], s[C * FNO_WIDTH], da[C * FNO_WIDTH], h[H * FNO_WIDTH], dh[H * FNO_WIDTH];
        load_rows<T, C>(v + at, points, left, a);
        if (activate) gelu_rows<T, C>(a, s);
        store_rows<T, C>(a, points, left, value + at);
        set_rows<T, H>(b0, h);
        add_product<T, H, C, false>(w0, a, h);
        gelu_rows<T, H>(h, dh);
        store_rows<T, H>(h, points, left, hidden + inner);
        load_rows<T, C>(dout + at, points, left, a);
        if (activate) {
            load_rows<T, C>(slope + at, points, left, da);
            SCI_ROLLED for (int c = 0; c < C; ++c) {
                FNO_THREADS(t) a[c * FNO_WIDTH + t] *= da[c * FNO_WIDTH + t];
            }
        }
        store_rows<T, C>(a, points, left, dm + at);
        set_rows<T, H>(nullptr, h);
        add_product<T, H, C, true>(w1, a, h);
        SCI_ROLLED for (int c = 0; c < H; ++c) {
            FNO_THREADS(t) dh[c * FNO_WIDTH + t] *= h[c * FNO_WIDTH + t];
        }
        store_rows<T, H>(dh, points, left, dhidden + inner);
        set_rows<T, C>(nullptr, da);
        add_product<T, C, H, true>(w0, dh, da);
        SCI_ROLLED for (int c = 0; c < C; ++c) {
            FNO_THREADS(t) {
                if (activate) da[c * FNO_WIDTH + t] *= s[c * FNO_WIDTH + t];
                a[c * FNO_WIDTH + t] *= gate[c];
            }
        }
        store_rows<T, C>(da, points, left, dv + at);
        add_product<T, C, C, true>(skip, da, a);
        store_rows<T, C>(a, points, left, dx + at);
    }
}

// Perceptrons over the channels: out = w1 gelu(w0 x + b0) + b1 of `inputs` <= I and `outputs` <= O channels. Per point I H + H O products forward and twice as many backward, H GELUs; the hidden layer, which is
// wider than both ends, stays in the cache. Bytes forward: inputs + outputs numbers a point.
// Instances: <float, 4, 32, 16> <float, 16, 32, 4> <float, 4, 64, 32> <float, 32, 64, 4>
template <typename T, int I, int H, int O>
SCI_KERNEL mlp_forward(SCI_INDEX const T* __restrict__ x /*[batch, inputs, points]*/,
                       T* __restrict__ out /*[batch, outputs, points]*/, const T* __restrict__ w0 /*[H, inputs]*/,
                       const T* __restrict__ b0 /*[H]*/, const T* __restrict__ w1 /*[outputs, H]*/,
                       const T* __restrict__ b1 /*[outputs]*/, const i64 batch, const i64 points, const i64 inputs,
                       const i64 outputs) {
    const i64 pieces = (points + FNO_WIDTH - 1) / FNO_WIDTH;
    for (i64 tile = blockIdx.x; tile < batch * pieces; tile += gridDim.x) {
        const i64 first = tile % pieces * FNO_WIDTH, left = points - first, sample = tile / pieces;
        FNO_ARRAY xs[I * FNO_WIDTH], h[H * FNO_WIDTH], y[O * FNO_WIDTH];
        load_some<T, I>(x + sample * inputs * points + first, points, left, inputs, xs);
        set_rows<T, H>(b0, h);
        if (inputs == I) add_product<T, H, I, false>(w0, xs, h);
        else add_some_product<T, false>(w0, H, inputs, xs, h);
        SCI_ROLLED for (int c = 0; c < H; ++c) {
            FNO_THREADS(t) {
                T unused;
                h[c * FNO_WIDTH + t] = sci_gelu(h[c * FNO_WIDTH + t], unused);
            }
        }
        set_rows<T, O>(b1, y, outputs);
        if (outputs == O) add_product<T, O, H, false>(w1, h, y);
        else add_some_product<T, false>(w1, outputs, H, h, y);
        store_some<T, O>(y, points, left, outputs, out + sample * outputs * points + first);
    }
}

// dx, and the two hidden arrays whose products with dout and x are the gradients of the weights.
// Instances: <float, 4, 32, 16> <float, 16, 32, 4> <float, 4, 64, 32> <float, 32, 64, 4>
template <typename T, int I, int H, int O>
SCI_KERNEL mlp_backward(SCI_INDEX const T* __restrict__ x /*[batch, inputs, points]*/,
                        const T* __restrict__ dout /*[batch, outputs, points]*/, const T* __restrict__ w0 /*[H, inputs]*/,
                        const T* __restrict__ b0 /*[H]*/, const T* __restrict__ w1 /*[outputs, H]*/,
                        T* __restrict__ dx /*[batch, inputs, points]*/, T* __restrict__ value /*[batch, H, points]*/,
                        T* __restrict__ dhidden /*[batch, H, points]*/, const i64 batch, const i64 points,
                        const i64 inputs, const i64 outputs) {
    const i64 pieces = (points + FNO_WIDTH - 1) / FNO_WIDTH;
    for (i64 tile = blockIdx.x; tile < batch * pieces; tile += gridDim.x) {
        const i64 first = tile % pieces * FNO_WIDTH, left = points - first, sample = tile / pieces;
        const i64 at = sample * inputs * points + first, inner = sample * H * points + first;
        FNO_ARRAY xs[I * FNO_WIDTH], h[H * FNO_WIDTH], s[H * FNO_WIDTH], y[O * FNO_WIDTH];
        load_some<T, I>(x + at, points, left, inputs, xs);
        set_rows<T, H>(b0, h);
        if (inputs == I) add_product<T, H, I, false>(w0, xs, h);
        else add_some_product<T, false>(w0, H, inputs, xs, h);
        gelu_rows<T, H>(h, s);
        store_rows<T, H>(h, points, left, value + inner);
        load_some<T, O>(dout + sample * outputs * points + first, points, left, outputs, y);
        set_rows<T, H>(nullptr, h);
        if (outputs == O) add_product<T, H, O, true>(w1, y, h);
        else add_some_product<T, true>(w1, H, outputs, y, h);
        SCI_ROLLED for (int c = 0; c < H; ++c) {
            FNO_THREADS(t) s[c * FNO_WIDTH + t] *= h[c * FNO_WIDTH + t];
        }
        store_rows<T, H>(s, points, left, dhidden + inner);
        set_rows<T, I>(nullptr, xs);
        if (inputs == I) add_product<T, I, H, true>(w0, s, xs);
        else add_some_product<T, true>(w0, inputs, H, s, xs);
        store_some<T, I>(xs, points, left, inputs, dx + at);
    }
}
