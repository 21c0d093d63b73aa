// Convolution between channels on grids of one to three axes, and the gradient of its weights. The gradient of its input
// is a convolution too, of the other end's gradient with the taps reversed and the channels exchanged.
//
// Inputs lie padded in one array: a tap is an offset in it, whatever the stride, the dilation and the number of axes
// (a stride of s is s phases of a grid, side by side). A row of outputs is a run of consecutive cells. It may run
// over several rows of the grid, and over what lies between them; the caller drops that. Runs end in whole vectors: x has
// room for one vector behind its last cell.
//
// Flops: 2 inputs taps a cell and output. OUT outputs times SUMS / OUT vectors of cells stand in registers, so that a
// tile loads OUT + SUMS / OUT operands for SUMS products: the limit is arithmetic.
#include "nn/cells.h"

SCI_DEVICE i64 ceil_div(const i64 a, const i64 b) { return (a + b - 1) / b; }
SCI_DEVICE i64 lower(const i64 a, const i64 b) { return a < b ? a : b; }

// The place of cell `run * WIDTH` of the rows: row, the column in it, and its offset in x.
struct Place {
    i64 row, column, offset;
};

SCI_DEVICE Place place_of(const i64 run, const i64 runs, const i64 width, const i64 rows1, const i64 step0,
                          const i64 step1) {
    const i64 row = run / runs, column = run % runs * width;
    return {row, column, row / rows1 * step0 + row % rows1 * step1 + column};
}

// sum[o][v] += weight[c, chosen[t], o] x[at[v] + c channel + offsets[t]] over channels c and taps t.
template <typename T, int OUT, int PART, int V>
SCI_DEVICE void add_products(const T* __restrict__ x, const i64 (&at)[V], const i64* __restrict__ offsets,
                             const i64* __restrict__ chosen, const T* __restrict__ weight, const i64 inputs,
                             const i64 taps, const i64 all, const i64 channel,
                             typename Cells<T>::Vector (&sum)[PART][V]) {
    const T* from[V];
    SCI_UNROLL
    for (int v = 0; v < V; ++v) from[v] = x + at[v];
    for (i64 c = 0; c < inputs; ++c) {
        SCI_ROLLED
        for (i64 t = 0; t < taps; ++t) {
            const i64 offset = c * channel + offsets[t];
            const T* factors = weight + (c * all + chosen[t]) * OUT;
            typename Cells<T>::Vector cells[V];
            SCI_UNROLL
            for (int v = 0; v < V; ++v) cells[v] = Cells<T>::load(from[v] + offset);
            SCI_UNROLL
            for (int o = 0; o < PART; ++o) {
                const typename Cells<T>::Vector factor = Cells<T>::load_one(factors + o);
                SCI_UNROLL
                for (int v = 0; v < V; ++v) sum[o][v] += factor * cells[v];
            }
        }
    }
}

// out[p, b, g, o, row, cell] = bias[o] + the sum over channels c and the first counts[p] taps t of
// weight[o, c, chosen[p, t]] x[b, g, c, place of the cell + offsets[p, t]], for parts p that have taps of their own: one
// for a convolution, one a phase of a stride for its adjoint. A block has `chunk` tiles of cells and `span` tiles of OUT outputs; outputs beyond the last have weights of zero and
// are not stored.
// Instances: <float|double, 1|2|4|8>
template <typename T, int OUT>
SCI_KERNEL convolve(SCI_INDEX const T* __restrict__ x /*[size]*/, const i64* __restrict__ offsets /*[parts, taps]*/,
                    const i64* __restrict__ chosen /*[parts, taps]*/, const i64* __restrict__ counts /*[parts]*/,
                    const T* __restrict__ weight /*[groups, tiles, inputs, all, OUT]*/,
                    const T* __restrict__ bias /*[groups, tiles, OUT]*/,
                    T* __restrict__ out /*[parts, batch, groups, outputs, rows, pitch]*/, const i64 parts, const i64 batch, const i64 groups,
                    const i64 tiles, const i64 inputs, const i64 taps, const i64 all, const i64 outputs, const i64 rows, const i64 pitch,
                    const i64 width, const i64 rows1, const i64 step0, const i64 step1, const i64 channel,
                    const i64 chunk, const i64 span) {
    using C = Cells<T>;
    constexpr int PART = C::SUMS / OUT < 3 ? C::SUMS / 3 : OUT;
    constexpr int V = C::SUMS / PART < 8 ? C::SUMS / PART : 8;
    const i64 runs = ceil_div(width, C::WIDTH), total = rows * runs, chunks = ceil_div(total, chunk * V);
    const i64 spans = ceil_div(tiles, span);
    for (i64 block = blockIdx.x; block < parts * batch * groups * chunks * spans; block += gridDim.x) {
        const i64 target_image = block / (chunks * spans), image = target_image % (batch * groups), g = image % groups;
        const i64 own = target_image / (batch * groups);
        const i64 first = block / spans % chunks * chunk * V, last = lower(total, first + chunk * V);
        const T* source = x + image * inputs * channel;
        for (i64 tile = block % spans * span; tile < lower(tiles, (block % spans + 1) * span); ++tile) {
            for (i64 run = first; run < last; run += V) {
                i64 at[V], to[V], count[V];
                SCI_UNROLL
                for (int v = 0; v < V; ++v) {
                    const Place p = place_of(lower(run + v, total - 1), runs, C::WIDTH, rows1, step0, step1);
                    at[v] = p.offset;
                    to[v] = p.row * pitch + p.column;
                    count[v] = run + v < total ? width - p.column : 0;
                }
                SCI_UNROLL
                for (int part = 0; part < OUT; part += PART) {
                    const i64 o = tile * OUT + part;
                    const T* scale = weight + (g * tiles + tile) * inputs * all * OUT + part;
                    typename C::Vector sum[PART][V];
                    SCI_UNROLL
                    for (int r = 0; r < PART; ++r)
                        SCI_UNROLL
                        for (int v = 0; v < V; ++v) sum[r][v] = typename C::Vector{} + bias[(g * tiles + tile) * OUT + part + r];
                    add_products<T, OUT, PART, V>(source, at, offsets + own * taps, chosen + own * taps, scale, inputs,
                                                  counts[own], all, channel, sum);
                    T* target = out + (target_image * outputs + o) * rows * pitch;
                    SCI_UNROLL
                    for (int r = 0; r < PART; ++r)
                        if (o + r < outputs)
                            SCI_UNROLL
                            for (int v = 0; v < V; ++v) C::store(target + r * rows * pitch + to[v], sum[r][v], count[v]);
                }
            }
        }
    }
}

// tiles[g, tile, c, t, r] = weight[g step_g + (tile OUT + r) step_o + c step_c + t], zeros for outputs beyond the last. One
// read and one write of the weights: memory is the limit.
// Instances: <float|double, 1|2|4|8>
template <typename T, int OUT>
SCI_KERNEL pack_weights(SCI_INDEX const T* __restrict__ weight /*[size]*/,
                        T* __restrict__ tiles /*[groups, count, inputs, taps, OUT]*/, const i64 groups,
                        const i64 count, const i64 inputs, const i64 taps, const i64 outputs, const i64 step_g,
                        const i64 step_o, const i64 step_c) {
    for (i64 block = blockIdx.x; block < groups * count; block += gridDim.x) {
        const i64 o = block % count * OUT;
        for (i64 c = 0; c < inputs; ++c) {
            const T* from = weight + block / count * step_g + o * step_o + c * step_c;
            T* to = tiles + (block * inputs + c) * taps * OUT;
            SCI_ROW(t, taps) {
                SCI_UNROLL
                for (int r = 0; r < OUT; ++r) to[t * OUT + r] = o + r < outputs ? from[r * step_o + t] : T(0);
            }
        }
    }
}

// partial[s, g, o, c, t] = the sum over the rows of split s of dout[b, g, o, row, cell] x[b, g, place + sources[c, t]],
// in `lanes` parts. Rows of dout are whole vectors long, with zeros where no output stands.
//
// A tile is OUT outputs times SUMS / OUT pairs of a channel and a tap. On the host a block has RANGE tiles of pairs, whose
// sums lie in the first cache while CHUNK vectors of cells pass: dout is read once a block from further away. On a GPU it
// has one, in registers throughout.
// Instances: <float|double, 1|4>
template <typename T, int OUT>
SCI_KERNEL convolve_weights(SCI_INDEX const T* __restrict__ x /*[size]*/, const i64* __restrict__ sources /*[pairs]*/,
                            const T* __restrict__ dout /*[batch, groups, outputs, rows, pitch]*/,
                            T* __restrict__ partial /*[splits, groups, outputs, pairs, lanes]*/, const i64 batch,
                            const i64 groups, const i64 outputs, const i64 rows, const i64 pitch, const i64 splits,
                            const i64 tiles, const i64 pairs, const i64 lanes, const i64 image, const i64 rows1,
                            const i64 step0, const i64 step1) {
    using C = Cells<T>;
    constexpr int Q = C::SUMS / OUT < 8 ? C::SUMS / OUT : 8, RANGE = C::HOST ? 36 : 1;
    const i64 runs = pitch / C::WIDTH, total = rows * runs, chunk = C::HOST ? 96 : total;
    const i64 ranges = ceil_div(pairs, RANGE * Q);
    for (i64 block = blockIdx.x; block < splits * groups * tiles * ranges; block += gridDim.x) {
        const i64 split = block / (groups * tiles * ranges), g = block / (tiles * ranges) % groups;
        const i64 tile = block / ranges % tiles, first = block % ranges * RANGE * Q;
        const i64 end = lower(pairs, first + RANGE * Q);
        typename C::Vector kept[RANGE][OUT * Q];
        SCI_ROLLED
        for (i64 b = split; b < batch; b += splits) {
            const T* source = x + (b * groups + g) * image;
            const T* given[OUT];
            SCI_UNROLL
            for (int o = 0; o < OUT; ++o)
                given[o] = dout + ((b * groups + g) * outputs + lower(tile * OUT + o, outputs - 1)) * total * C::WIDTH;
            SCI_ROLLED
            for (i64 start = 0; start < total; start += chunk) {
                const i64 stop = lower(total, start + chunk);
                const Place begin = place_of(start, runs, C::WIDTH, rows1, step0, step1);
                SCI_ROLLED
                for (i64 pair = first; pair < end; pair += Q) {
                    const bool fresh = b == split && start == 0;
                    typename C::Vector* held = kept[C::HOST ? (pair - first) / Q : 0];
                    typename C::Vector sum[OUT][Q];
                    SCI_UNROLL
                    for (int k = 0; k < OUT * Q; ++k) sum[k / Q][k % Q] = fresh ? typename C::Vector{} : held[k];
                    const T* from[Q];
                    SCI_UNROLL
                    for (int q = 0; q < Q; ++q) from[q] = source + sources[lower(pair + q, end - 1)];
                    Place p = {begin.row % rows1, begin.column, begin.offset};
                    for (i64 run = start; run < stop; ++run) {
                        // The operand with fewer vectors stays in registers, the other passes through one: with 16
                        // registers the tile has no more.
                        if constexpr (Q < OUT) {
                            typename C::Vector cells[Q];
                            SCI_UNROLL
                            for (int q = 0; q < Q; ++q) cells[q] = C::load(from[q] + p.offset);
                            SCI_UNROLL
                            for (int o = 0; o < OUT; ++o) {
                                const typename C::Vector d = C::load(given[o] + run * C::WIDTH);
                                SCI_UNROLL
                                for (int q = 0; q < Q; ++q) sum[o][q] += d * cells[q];
                            }
                        } else {
                            typename C::Vector d[OUT];
                            SCI_UNROLL
                            for (int o = 0; o < OUT; ++o) d[o] = C::load(given[o] + run * C::WIDTH);
                            SCI_UNROLL
                            for (int q = 0; q < Q; ++q) {
                                const typename C::Vector cells = C::load(from[q] + p.offset);
                                SCI_UNROLL
                                for (int o = 0; o < OUT; ++o) sum[o][q] += d[o] * cells;
                            }
                        }
                        p.column += C::WIDTH;
                        p.offset += C::WIDTH;
                        if (p.column >= pitch) {  // the next row
                            p.offset += step1 - p.column;
                            p.column = 0;
                            if (++p.row == rows1) {
                                p.row = 0;
                                p.offset += step0 - rows1 * step1;
                            }
                        }
                    }
                    SCI_UNROLL
                    for (int k = 0; k < OUT * Q; ++k) held[k] = sum[k / Q][k % Q];
                }
            }
        }
        T* to = partial + ((split * groups + g) * outputs + tile * OUT) * pairs * lanes;
        SCI_ROLLED
        for (i64 pair = first; pair < end; pair += Q)
            SCI_UNROLL
            for (int q = 0; q < Q; ++q)
                if (pair + q < end)
                    SCI_UNROLL
                    for (int o = 0; o < OUT; ++o)
                        if (tile * OUT + o < outputs)
                            C::store_sum(to + (o * pairs + pair + q) * lanes,
                                         kept[C::HOST ? (pair - first) / Q : 0][o * Q + q], lanes);
    }
}

// One row of a padded grid: out[k] = x[k stride - low], with zeros or, if `periodic`, the row once more around it.
template <typename T>
SCI_DEVICE void pad_row(const T* __restrict__ x, T* __restrict__ out, const i64 length, const i64 n, const i64 stride,
                        const i64 low, const bool periodic) {
    const i64 first = low <= 0 ? 0 : lower(length, ceil_div(low, stride));
    const i64 last = n + low <= 0 ? first : lower(length, (n - 1 + low) / stride + 1);
    const T* from = x + first * stride - low;
    T* to = out + first;
    if (stride == 1) {
        SCI_ROW(k, last - first) to[k] = from[k];
    } else if (stride == 2) {
        SCI_ROW(k, last - first) to[k] = from[2 * k];
    } else {
        SCI_ROW(k, last - first) to[k] = from[k * stride];
    }
    SCI_ROW(k, first) out[k] = periodic ? x[((k * stride - low) % n + n) % n] : T(0);
    SCI_ROW(k, length - last) out[last + k] = periodic ? x[((last + k) * stride - low) % n] : T(0);
}

// data[image, phase, j] = x[image, j stride + phase - low], with zeros or, if `periodic`, the grid once more around it:
// the phases of a padded grid of three axes, side by side. One read and one write a cell: memory is the limit.
// Instances: <float|double>
template <typename T>
SCI_KERNEL pad_phases(SCI_INDEX const T* __restrict__ x /*[images, n0, n1, n2]*/,
                      T* __restrict__ data /*[images, p0, p1, p2, l0, l1, l2]*/, const i64 images, const i64 n0,
                      const i64 n1, const i64 n2, const i64 p0, const i64 p1, const i64 p2, const i64 l0, const i64 l1,
                      const i64 l2, const i64 s0, const i64 s1, const i64 s2, const i64 low0, const i64 low1,
                      const i64 low2, const i64 periodic) {
    for (i64 block = blockIdx.x; block < images * p0 * p1 * p2 * l0; block += gridDim.x) {
        const i64 phase = block / l0, image = phase / (p0 * p1 * p2);
        i64 i = block % l0 * s0 + phase / (p1 * p2) % p0 - low0;
        if (periodic) i = (i % n0 + n0) % n0;
        for (i64 row = 0; row < l1; ++row) {
            i64 j = row * s1 + phase / p2 % p1 - low1;
            if (periodic) j = (j % n1 + n1) % n1;
            T* out = data + (block * l1 + row) * l2;
            const bool inside = i >= 0 && i < n0 && j >= 0 && j < n1;
            if (inside) {
                pad_row(x + ((image * n0 + i) * n1 + j) * n2, out, l2, n2, s2, low2 - phase % p2, periodic != 0);
            } else {
                SCI_ROW(k, l2) out[k] = 0;
            }
        }
    }
}

// out[image, j s + p] = parts[p, image, j]: the cells of all phases in their order. One read and one write a cell: memory is
// the limit.
// Instances: <float|double>
template <typename T>
SCI_KERNEL join_phases(SCI_INDEX const T* __restrict__ parts /*[p0, p1, p2, images, m0, m1, m2]*/,
                       T* __restrict__ out /*[images, n0, n1, n2]*/, const i64 p0, const i64 p1, const i64 p2,
                       const i64 images, const i64 m0, const i64 m1, const i64 m2, const i64 n0, const i64 n1,
                       const i64 n2, const i64 s0, const i64 s1, const i64 s2) {
    const i64 image_size = m0 * m1 * m2;
    for (i64 block = blockIdx.x; block < images * n0; block += gridDim.x) {
        const i64 image = block / n0, i = block % n0;
        for (i64 j = 0; j < n1; ++j) {
            const i64 phase = i % s0 * p1 + j % s1;
            const T* from = parts + (phase * p2 * images + image) * image_size + (i / s0 * m1 + j / s1) * m2;
            const i64 step = images * image_size;
            T* to = out + (block * n1 + j) * n2;
            if (s2 == 1) {
                SCI_ROW(k, n2) to[k] = from[k];
            } else if (s2 == 2 && p2 == 2) {
                const T* odd = from + step;
                SCI_ROW(k, n2 / 2) {
                    to[2 * k] = from[k];
                    to[2 * k + 1] = odd[k];
                }
                SCI_ROW(k, n2 % 2) to[n2 - 1] = from[n2 / 2];
            } else {
                for (i64 p = 0; p < p2; ++p) {
                    SCI_ROW(k, ceil_div(n2 - p, s2)) to[k * s2 + p] = from[p * step + k];
                }
            }
        }
    }
}

constexpr i64 TILE = 512, MOST_TAPS = 64;

// out[image, i, j, k] = sum over a, b, c of h0[a] h1[b] h2[c] x[image, i + a - low0, j + b - low1, k + c - low2], the filters
// those of the image's channel, with zeros or, if `periodic`, the grid once more around it.
//
// The sums over a and b are kept for a part of a row; those over c follow from them at once. Each cell is read from memory
// once, with what the caches hold of its planes, and written once: two passes over the fields, where three filters one
// after the other take six. Flops per cell: 2 (taps0 taps1 + taps2).
// Instances: <float|double>
template <typename T>
SCI_KERNEL separable(SCI_INDEX const T* __restrict__ x /*[images, n0, n1, n2]*/,
                     const T* __restrict__ h0 /*[channels, taps0]*/, const T* __restrict__ h1 /*[channels, taps1]*/,
                     const T* __restrict__ h2 /*[channels, taps2]*/, T* __restrict__ out /*[images, n0, n1, n2]*/,
                     const i64 images, const i64 channels, const i64 n0, const i64 n1, const i64 n2, const i64 taps0,
                     const i64 taps1, const i64 taps2, const i64 low0, const i64 low1, const i64 low2,
                     const i64 periodic) {
    SCI_SHARED T part[TILE + MOST_TAPS];
    for (i64 block = blockIdx.x; block < images * n0; block += gridDim.x) {
        const i64 image = block / n0, channel = image % channels;
        for (i64 j = 0; j < n1; ++j) {
            for (i64 start = 0; start < n2; start += TILE) {
                const i64 length = lower(TILE, n2 - start), whole = length + taps2 - 1, first = start - low2;
                // Columns first + k of the row; those in the grid are [inside, beyond).
                const i64 inside = first < 0 ? lower(-first, whole) : 0;
                const i64 beyond = n2 - first < inside ? inside : lower(whole, n2 - first);
                SCI_ROW(k, whole) part[k] = 0;
                for (i64 a = 0; a < taps0; ++a) {
                    i64 row0 = block % n0 + a - low0;
                    if (periodic) row0 = (row0 % n0 + n0) % n0;
                    if (row0 < 0 || row0 >= n0) continue;
                    for (i64 b = 0; b < taps1; ++b) {
                        i64 row1 = j + b - low1;
                        if (row1 >= 0 && row1 + 2 < n1 && b + 2 < taps1) {
                            // Three rows at once: the sums are loaded and stored once, not three times.
                            const T* h = h1 + channel * taps1 + b;
                            const T p = h0[channel * taps0 + a] * h[0], q = h0[channel * taps0 + a] * h[1];
                            const T r = h0[channel * taps0 + a] * h[2];
                            const T* row = x + ((image * n0 + row0) * n1 + row1) * n2;
                            const T *f0 = row + first + inside, *f1 = f0 + n2, *f2 = f1 + n2;
                            T* to = part + inside;
                            SCI_ROW(k, beyond - inside) to[k] += p * f0[k] + q * f1[k] + r * f2[k];
                            if (periodic) {
                                for (i64 k = SCI_LANE; k < inside; k += SCI_STEP) {
                                    const i64 c = ((first + k) % n2 + n2) % n2;
                                    part[k] += p * row[c] + q * row[n2 + c] + r * row[2 * n2 + c];
                                }
                                for (i64 k = beyond + SCI_LANE; k < whole; k += SCI_STEP) {
                                    const i64 c = (first + k) % n2;
                                    part[k] += p * row[c] + q * row[n2 + c] + r * row[2 * n2 + c];
                                }
                            }
                            b += 2;
                            continue;
                        }
                        if (periodic) row1 = (row1 % n1 + n1) % n1;
                        if (row1 < 0 || row1 >= n1) continue;
                        const T scale = h0[channel * taps0 + a] * h1[channel * taps1 + b];
                        const T* row = x + ((image * n0 + row0) * n1 + row1) * n2;
                        T* to = part + inside;
                        const T* from = row + first + inside;
                        SCI_ROW(k, beyond - inside) to[k] += scale * from[k];
                        if (periodic) {
                            for (i64 k = SCI_LANE; k < inside; k += SCI_STEP)
                                part[k] += scale * row[((first + k) % n2 + n2) % n2];
                            for (i64 k = beyond + SCI_LANE; k < whole; k += SCI_STEP)
                                part[k] += scale * row[(first + k) % n2];
                        }
                    }
                }
                SCI_BARRIER
                T* to = out + (block * n1 + j) * n2 + start;
                if (taps2 == 3) {
                    const T p = h2[channel * 3], q = h2[channel * 3 + 1], r = h2[channel * 3 + 2];
                    SCI_ROW(k, length) to[k] = p * part[k] + q * part[k + 1] + r * part[k + 2];
                } else {
                    SCI_ROW(k, length) to[k] = 0;
                    for (i64 c = 0; c < taps2; ++c) {
                        const T scale = h2[channel * taps2 + c];
                        const T* from = part + c;
                        SCI_ROW(k, length) to[k] += scale * from[k];
                    }
                }
                SCI_BARRIER
            }
        }
    }
}
