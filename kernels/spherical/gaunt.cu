// Sums of products of two features over the coefficients of a coupling that are not zero.
//
// out_c = sum over segments s of c of w[path of s] sum over entries k of s of g_k x_{a_k} y_{b_k}, for each channel of
// each entry of a batch: a thread has one channel, and channels lie side by side. The coefficients of Gaunt have one
// segment and the weight 1 a place; those of Clebsch and Gordan one a path. A gradient is the same sum with the roles
// of the three places exchanged; that of the weights is `path_sums`.
//
// Flops: 3 an entry, 1,158 entries at degree 4. Bytes: 3 (L + 1)^2 numbers a thread. The host copies the two features
// of a tile into columns that lie side by side; a GPU reads them where they are, from its first cache, whose bandwidth
// is the limit there: 2 loads an entry. No intermediate array is made.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#include "host.h"
#else
#include "lanes.h"
#endif

// The features of the threads of a tile: number `a` of thread `t`.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
template <typename T>
struct Features {
    const T* from;
    i64 stride;
    SCI_DEVICE_MEMBER void read(const T* x, const i64 tile, const i64 last, const i64 width, const i64 channels) {
        const i64 here = tile * SCI_BLOCK + threadIdx.x, i = here < last ? here : last;
        from = x + i / channels * width * channels + i % channels;
        stride = channels;
    }
    SCI_DEVICE_MEMBER T at(const i64 a) const { return from[a * stride]; }
};

// Adds g_k x_a y_b of the entries from k to stop.
template <typename T>
SCI_DEVICE void add_entries(const Features<T>& x, const Features<T>& y, const int* entries, const T* values, i64 k,
                            const i64 stop, T (&sum)[SCI_SLOTS]) {
    T even = 0, odd = 0;  // two, so that an addition does not wait for the one before
    for (; k + 2 <= stop; k += 2) {
        even += values[k] * x.at(entries[2 * k]) * y.at(entries[2 * k + 1]);
        odd += values[k + 1] * x.at(entries[2 * k + 2]) * y.at(entries[2 * k + 3]);
    }
    if (k < stop) even += values[k] * x.at(entries[2 * k]) * y.at(entries[2 * k + 1]);
    sum[0] = even + odd;
}

// Adds g_k x_a y_b z_c.
template <typename T>
SCI_DEVICE void add_triples(const Features<T>& x, const Features<T>& y, const Features<T>& z, const int* entries,
                            const T* values, i64 k, const i64 stop, T (&sum)[SCI_SLOTS]) {
    sum[0] = 0;
    for (; k < stop; ++k)
        sum[0] += values[k] * x.at(entries[3 * k]) * y.at(entries[3 * k + 1]) * z.at(entries[3 * k + 2]);
}
#else
template <typename T>
struct Features {
    static constexpr i64 MOST = 33 * 33;
    alignas(SCI_VECTOR_BYTES) T columns[MOST * SCI_BLOCK];
    SCI_DEVICE_MEMBER void read(const T* x, const i64 tile, const i64 last, const i64 width, const i64 channels) {
        const i64 first = tile * SCI_BLOCK, c = first % channels;
        if (c + SCI_BLOCK <= channels) {
            const T* const from = x + first / channels * width * channels + c;
            for (i64 a = 0; a < width; ++a)
                SCI_THREADS(t) { columns[a * SCI_BLOCK + t] = from[a * channels + t]; }
            return;
        }
        for (i64 t = 0; t < SCI_BLOCK; ++t) {
            const i64 i = first + t < last ? first + t : last;
            const T* const from = x + i / channels * width * channels + i % channels;
            for (i64 a = 0; a < width; ++a) columns[a * SCI_BLOCK + t] = from[a * channels];
        }
    }
    SCI_DEVICE_MEMBER const typename Lanes<T>::Vector* at(const i64 a) const {
        return (const typename Lanes<T>::Vector*)(columns + a * SCI_BLOCK);
    }
};

// In PARTS sums, so that an addition does not wait for the one before; all of them stay in registers.
template <typename T>
struct Parts {
    static constexpr int V = Lanes<T>::VECTORS, PARTS = V >= 8 ? 1 : V >= 4 ? 2 : 4;
    typename Lanes<T>::Vector sum[PARTS * V] = {};
    SCI_DEVICE_MEMBER void store(T (&out)[SCI_SLOTS]) const {
        SCI_UNROLL
        for (int v = 0; v < V; ++v) {
            typename Lanes<T>::Vector total = sum[v];
            SCI_UNROLL
            for (int part = 1; part < PARTS; ++part) total += sum[part * V + v];
            ((typename Lanes<T>::Vector*)out)[v] = total;
        }
    }
};

template <typename T>
SCI_DEVICE void add_entries(const Features<T>& x, const Features<T>& y, const int* entries, const T* values, i64 k,
                            const i64 stop, T (&sum)[SCI_SLOTS]) {
    typedef Parts<T> P;
    P parts;
    for (; k + P::PARTS <= stop; k += P::PARTS)
        SCI_UNROLL
        for (int part = 0; part < P::PARTS; ++part) {
            const auto left = x.at(entries[2 * (k + part)]), right = y.at(entries[2 * (k + part) + 1]);
            SCI_UNROLL
            for (int v = 0; v < P::V; ++v) parts.sum[part * P::V + v] += values[k + part] * left[v] * right[v];
        }
    for (; k < stop; ++k) {
        const auto left = x.at(entries[2 * k]), right = y.at(entries[2 * k + 1]);
        SCI_UNROLL
        for (int v = 0; v < P::V; ++v) parts.sum[v] += values[k] * left[v] * right[v];
    }
    parts.store(sum);
}

template <typename T>
SCI_DEVICE void add_triples(const Features<T>& x, const Features<T>& y, const Features<T>& z, const int* entries,
                            const T* values, i64 k, const i64 stop, T (&sum)[SCI_SLOTS]) {
    typedef Parts<T> P;
    P parts;
    for (; k < stop; ++k) {
        const auto left = x.at(entries[3 * k]), right = y.at(entries[3 * k + 1]), result = z.at(entries[3 * k + 2]);
        SCI_UNROLL
        for (int v = 0; v < P::V; ++v) parts.sum[v] += values[k] * left[v] * right[v] * result[v];
    }
    parts.store(sum);
}
#endif

// out[b, c] from x[b, a] and y[b, b']: `entries` holds (a, b'), in the order of c; `starts` where segments begin.
// Instances: <float|double>
template <typename T>
SCI_KERNEL coupled_sum(SCI_INDEX const T* __restrict__ x /*[batch, nx, channels]*/,
                       const T* __restrict__ y /*[batch, ny, channels]*/, const int* __restrict__ entries /*[n, 2]*/,
                       const T* __restrict__ values /*[n]*/, const i64* __restrict__ starts /*[edges]*/,
                       const i64* __restrict__ paths /*[segments]*/, const i64* __restrict__ ends /*[nout]*/,
                       const T* __restrict__ weights /*[many, apart]*/, T* __restrict__ out /*[batch, nout, channels]*/,
                       const i64 batch, const i64 channels, const i64 nx, const i64 ny, const i64 nout,
                       const i64 apart) {
    const i64 total = batch * channels, last = total - 1;
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < total; tile += gridDim.x) {
        Features<T> left, right;
        left.read(x, tile, last, nx, channels);
        right.read(y, tile, last, ny, channels);
        i64 to[SCI_SLOTS], channel[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < total ? tile * SCI_BLOCK + t : last;
            channel[SCI_SLOT(t)] = apart > 1 ? i % channels : 0;
            to[SCI_SLOT(t)] = i / channels * nout * channels + i % channels;
        }
        i64 segment = 0;
        for (i64 c = 0; c < nout; ++c) {
            alignas(64) T sum[SCI_SLOTS];
            SCI_THREADS(t) { sum[SCI_SLOT(t)] = 0; }
            for (; segment < ends[c]; ++segment) {
                alignas(64) T part[SCI_SLOTS];
                add_entries<T>(left, right, entries, values, starts[segment], starts[segment + 1], part);
                const T* const weight = weights + paths[segment] * apart;
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    sum[s] += weight[channel[s]] * part[s];
                }
            }
            SCI_THREADS(t) {
                if (tile * SCI_BLOCK + t < total) out[to[SCI_SLOT(t)] + c * channels] = sum[SCI_SLOT(t)];
            }
        }
    }
}

// out[b, p] = sum over the entries k of path p of g_k x_{a_k} y_{b_k} z_{c_k}, for each channel.
// Instances: <float|double>
template <typename T>
SCI_KERNEL path_sums(SCI_INDEX const T* __restrict__ x /*[batch, nx, channels]*/,
                     const T* __restrict__ y /*[batch, ny, channels]*/, const T* __restrict__ z /*[batch, nz, channels]*/,
                     const int* __restrict__ entries /*[n, 3]*/, const T* __restrict__ values /*[n]*/,
                     const i64* __restrict__ starts /*[edges]*/, T* __restrict__ out /*[batch, paths, channels]*/,
                     const i64 batch, const i64 channels, const i64 nx, const i64 ny, const i64 nz, const i64 paths) {
    const i64 total = batch * channels, last = total - 1;
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < total; tile += gridDim.x) {
        Features<T> left, right, result;
        left.read(x, tile, last, nx, channels);
        right.read(y, tile, last, ny, channels);
        result.read(z, tile, last, nz, channels);
        for (i64 p = 0; p < paths; ++p) {
            alignas(64) T sum[SCI_SLOTS];
            add_triples<T>(left, right, result, entries, values, starts[p], starts[p + 1], sum);
            SCI_THREADS(t) {
                const i64 i = tile * SCI_BLOCK + t;
                if (i < total) out[(i / channels * paths + p) * channels + i % channels] = sum[SCI_SLOT(t)];
            }
        }
    }
}
