// Reductions over the pairs of two sets of points, r_ij = |x_i - y_j|^2, without the matrix of pairs.
//
// A block works on SCI_BLOCK points x, which lie packed as x[tile][coordinate][lane], and passes over y in groups of
// eight. Each kernel adds to a state that the caller has set, so that y can come in pieces.
//
// Differences are squared, not expanded into |x|^2 + |y|^2 - 2 x'y, so that distances of neighbors keep their digits
// far from the origin; `nearest` alone expands, and squares differences where that leaves a doubt. Cost per pair: 3 d
// flops (2 d for `nearest`) beside the reduction, of which `log_sum_exp` has about 25 and the others 2 to 5. Bytes:
// (d + state) per point x from memory, y from cache once per block.
#include "host.h"

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
#include "lanes.h"
#endif

template <typename T>
struct SciLimits;
template <>
struct SciLimits<double> {
    typedef i64 Index;  // as wide as the distances, so that both share a vector
    typedef double Number;  // the same, with a product that a vector has
    static constexpr double LARGEST = 1.7976931348623157e308, TINY = 2.2250738585072014e-308;
};
template <>
struct SciLimits<float> {
    typedef int Index;
    typedef int Number;
    static constexpr float LARGEST = 3.402823466e38f, TINY = 1.175494351e-38f;
};

constexpr int GROUP = 8;

// a[g][lane] = |x_lane - y_g|^2 for the points of one tile and eight rows of y from `first`; rows past the end repeat
// the last one.
template <typename T>
SCI_DEVICE void squared_distances(T (&a)[GROUP][SCI_SLOTS], const T* x, const T* y, const i64 first, const i64 m,
                                  const i64 d) {
    const T* row[GROUP];
    SCI_UNROLL
    for (int g = 0; g < GROUP; ++g) row[g] = y + d * (first + g < m ? first + g : m - 1);
    T a0[SCI_SLOTS], a1[SCI_SLOTS], a2[SCI_SLOTS], a3[SCI_SLOTS], a4[SCI_SLOTS], a5[SCI_SLOTS], a6[SCI_SLOTS],
        a7[SCI_SLOTS];
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        a0[s] = a1[s] = a2[s] = a3[s] = a4[s] = a5[s] = a6[s] = a7[s] = 0;
    }
    for (i64 c = 0; c < d; ++c) {
        const T y0 = row[0][c], y1 = row[1][c], y2 = row[2][c], y3 = row[3][c];
        const T y4 = row[4][c], y5 = row[5][c], y6 = row[6][c], y7 = row[7][c];
        SCI_THREADS(t) {
            const int s = SCI_SLOT(t);
            const T u = x[c * SCI_BLOCK + t];
            const T e0 = u - y0, e1 = u - y1, e2 = u - y2, e3 = u - y3;
            const T e4 = u - y4, e5 = u - y5, e6 = u - y6, e7 = u - y7;
            a0[s] += e0 * e0;
            a1[s] += e1 * e1;
            a2[s] += e2 * e2;
            a3[s] += e3 * e3;
            a4[s] += e4 * e4;
            a5[s] += e5 * e5;
            a6[s] += e6 * e6;
            a7[s] += e7 * e7;
        }
    }
    SCI_THREADS(t) {
        const int s = SCI_SLOT(t);
        a[0][s] = a0[s];
        a[1][s] = a1[s];
        a[2][s] = a2[s];
        a[3][s] = a3[s];
        a[4][s] = a4[s];
        a[5][s] = a5[s];
        a[6][s] = a6[s];
        a[7][s] = a7[s];
    }
}

// Rows of z that `products` takes at a time, a divisor of eight: as many as the host has registers for.
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SCI_ALIGNED
template <typename T>
constexpr int ROWS = 8;
#else
#define SCI_ALIGNED alignas(64)
template <typename T>
constexpr int ROWS = Lanes<T>::TILE >= 8 ? 8 : Lanes<T>::TILE >= 4 ? 4 : Lanes<T>::TILE >= 2 ? 2 : 1;
#endif

// a[r][lane] = (x_lane - shift)'z_r for the points of one tile; on the host x is shifted already.
template <typename T>
SCI_DEVICE void products(T (&a)[ROWS<T>][SCI_SLOTS], const T* x, const T* shift, const T* z, const i64 d) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    SCI_UNROLL
    for (int r = 0; r < ROWS<T>; ++r) a[r][0] = 0;
    for (i64 c = 0; c < d; ++c) {
        const T u = x[c * SCI_BLOCK + SCI_LANE] - shift[c];
        SCI_UNROLL
        for (int r = 0; r < ROWS<T>; ++r) a[r][0] += u * z[r * d + c];
    }
#else
    typedef typename Lanes<T>::Vector Vector;
    dot_tile<T, ROWS<T>>(z, d, (const Vector*)x, (Vector*)a);
#endif
}

// Whether the second score of a lane is within rounding of the first: see `nearest`.
template <typename T>
SCI_DEVICE bool is_unsure(const T (&best)[SCI_SLOTS], const T (&next)[SCI_SLOTS], const T (&size)[SCI_SLOTS],
                          const T reach, const T unit) {
    int unsure = 0;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    const int s = 0;
#else
    _Pragma("omp simd reduction(| : unsure)") for (int s = 0; s < SCI_BLOCK; ++s)
#endif
    {
        const T bound = unit * (sqrt(size[s]) * reach + T(0.5) * reach * reach);
        const T around = size[s] + 2 * (best[s] + bound);  // at least r_ij of the first
        unsure |= !(next[s] - best[s] > 2 * bound + 2 * unit * around + SciLimits<T>::TINY);
    }
    return unsure != 0;
}

// Coordinates of a tile that fit in the cache of a core, up to which `nearest` expands squares.
constexpr int EXPANDED = 1024;

// The nearest y of each x: squared distance and number, `start` added; of two as near, the one with the lower number.
//
// Half a squared distance is |u|^2 / 2 + s_j with u = x - shift, z = y - shift and s_j = heights_j - u'z_j, heights =
// |z|^2 / 2: one multiplication and addition a coordinate. Rounding moves s_j by at most unit (|u| reach + reach^2 / 2)
// where no |z_j| is above `reach`, and the sum r_ij of squared differences by unit r_ij. Where the second score is within
// these bounds of the first, the squared differences decide, so that the answer is theirs always. `rows`, a multiple of
// eight, is m with rows of zeros, of the largest height, behind those of z.
// Instances: <float|double>
template <typename T>
SCI_KERNEL nearest(SCI_INDEX const T* __restrict__ x /*[tiles, d, block]*/, const T* __restrict__ y /*[m, d]*/,
                   const T* __restrict__ z /*[rows, d]*/, const T* __restrict__ heights /*[rows]*/,
                   const T* __restrict__ shift /*[d]*/, T* __restrict__ least /*[n]*/, i64* __restrict__ index /*[n]*/,
                   const i64 n, const i64 m, const i64 d, const i64 rows, const i64 start, const T reach,
                   const T unit) {
    typedef typename SciLimits<T>::Number Number;
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        const T* const own = x + tile * d * SCI_BLOCK;
        T best[SCI_SLOTS];
        Number where[SCI_SLOTS];
        SCI_THREADS(t) {
            best[SCI_SLOT(t)] = SciLimits<T>::LARGEST;
            where[SCI_SLOT(t)] = 0;
        }
        bool unsure = m > 1;
        if (m > 1 && d <= EXPANDED) {
            T next[SCI_SLOTS], size[SCI_SLOTS];
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
            const T* const moved = own;
#else
            SCI_ALIGNED T moved[EXPANDED * SCI_BLOCK];
#endif
            SCI_THREADS(t) {
                next[SCI_SLOT(t)] = SciLimits<T>::LARGEST;
                size[SCI_SLOT(t)] = 0;
            }
            for (i64 c = 0; c < d; ++c) {
                const T origin = shift[c];
                SCI_THREADS(t) {
                    const T u = own[c * SCI_BLOCK + t] - origin;
                    size[SCI_SLOT(t)] += u * u;
#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
                    moved[c * SCI_BLOCK + t] = u;
#endif
                }
            }
            for (i64 j = 0; j < rows; j += ROWS<T>) {
                SCI_ALIGNED T a[ROWS<T>][SCI_SLOTS];
                products<T>(a, moved, shift, z + j * d, d);
                SCI_UNROLL
                for (int r = 0; r < ROWS<T>; ++r) {
                    const Number number = Number(j + r);
                    const T height = heights[j + r];
                    SCI_THREADS(t) {
                        const int s = SCI_SLOT(t);
                        const T value = height - a[r][s];
                        const T higher = value > best[s] ? value : best[s];
                        next[s] = higher < next[s] ? higher : next[s];
                        // As a product: of a choice the compiler makes a branch, which costs as much as all the rest.
                        where[s] += Number(value < best[s]) * (number - where[s]);
                        best[s] = value < best[s] ? value : best[s];
                    }
                }
            }
            unsure = is_unsure(best, next, size, reach, unit);
        }
        if (unsure) {
            SCI_THREADS(t) { best[SCI_SLOT(t)] = SciLimits<T>::LARGEST; }
            for (i64 j = 0; j < m; j += GROUP) {
                T a[GROUP][SCI_SLOTS];
                squared_distances(a, own, y, j, m, d);
                SCI_UNROLL
                for (int g = 0; g < GROUP; ++g) {
                    const Number number = Number(j + g < m ? j + g : m - 1);
                    SCI_THREADS(t) {
                        const int s = SCI_SLOT(t);
                        where[s] += Number(a[g][s] < best[s]) * (number - where[s]);
                        best[s] = a[g][s] < best[s] ? a[g][s] : best[s];
                    }
                }
            }
        }
        SCI_THREADS(t) { best[SCI_SLOT(t)] = 0; }
        for (i64 c = 0; c < d; ++c) {
            SCI_THREADS(t) {
                const T e = own[c * SCI_BLOCK + t] - y[i64(where[SCI_SLOT(t)]) * d + c];
                best[SCI_SLOT(t)] += e * e;
            }
        }
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (i < n) {
                const i64 number = start + i64(where[s]);
                if (best[s] < least[i] || (best[s] == least[i] && number < index[i])) {
                    least[i] = best[s];
                    index[i] = number;
                }
            }
        }
    }
}

// The k nearest y of each x, ascending; a y with the number of the x itself is left out: j + start = i + own. Pass
// own < -n to leave out none.
// Instances: <float|double>
template <typename T>
SCI_KERNEL nearest_k(SCI_INDEX const T* __restrict__ x /*[tiles, d, block]*/, const T* __restrict__ y /*[m, d]*/,
                     T* __restrict__ least /*[n, k]*/, i64* __restrict__ index /*[n, k]*/, const i64 n, const i64 m,
                     const i64 d, const i64 k, const i64 start, const i64 own) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T worst[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            worst[SCI_SLOT(t)] = least[i * k + k - 1];
        }
        for (i64 j = 0; j < m; j += GROUP) {
            T a[GROUP][SCI_SLOTS];
            squared_distances(a, x + tile * d * SCI_BLOCK, y, j, m, d);
            SCI_UNROLL
            for (int g = 0; g < GROUP; ++g) {
                // The test of a whole vector first: late in the pass few pairs are near.
                int near = 0;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
                near = 1;
#else
                _Pragma("omp simd reduction(| : near)") for (int t = 0; t < SCI_BLOCK; ++t) near |= a[g][t] <= worst[t];
#endif
                if (near && j + g < m) {
                    const i64 number = start + j + g;
                    SCI_THREADS(t) {
                        const i64 i = tile * SCI_BLOCK + t;
                        const int s = SCI_SLOT(t);
                        const T value = a[g][s];
                        if (i < n && number != i + own && value <= worst[s]) {
                            i64 p = k - 1;
                            // Of two as near, the lower number stands first, whatever the order of the pieces.
                            if (value < worst[s] || number < index[i * k + p]) {
                                for (; p > 0 && (value < least[i * k + p - 1] || (value == least[i * k + p - 1] &&
                                                                                  number < index[i * k + p - 1]));
                                     --p) {
                                    least[i * k + p] = least[i * k + p - 1];
                                    index[i * k + p] = index[i * k + p - 1];
                                }
                                least[i * k + p] = value;
                                index[i * k + p] = number;
                                worst[s] = least[i * k + k - 1];
                            }
                        }
                    }
                }
            }
        }
    }
}

// largest, sum: log sum_j exp(h_j - rate r_ij) = largest + log(sum), each x with a largest of its own.
// Instances: <float|double>
template <typename T>
SCI_KERNEL log_sum_exp(SCI_INDEX const T* __restrict__ x /*[tiles, d, block]*/, const T* __restrict__ y /*[m, d]*/,
                       const T* __restrict__ h /*[m]*/, T* __restrict__ largest /*[n]*/, T* __restrict__ sum /*[n]*/,
                       const i64 n, const i64 m, const i64 d, const T rate) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T top[SCI_SLOTS], total[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            top[SCI_SLOT(t)] = largest[i];
            total[SCI_SLOT(t)] = sum[i];
        }
        for (i64 j = 0; j < m; j += GROUP) {
            T a[GROUP][SCI_SLOTS], next[SCI_SLOTS];
            squared_distances(a, x + tile * d * SCI_BLOCK, y, j, m, d);
            SCI_THREADS(t) { next[SCI_SLOT(t)] = top[SCI_SLOT(t)]; }
            SCI_UNROLL
            for (int g = 0; g < GROUP; ++g) {
                const T height = h[j + g < m ? j + g : m - 1];
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    a[g][s] = height - rate * a[g][s];
                    next[s] = a[g][s] > next[s] ? a[g][s] : next[s];
                }
            }
            SCI_THREADS(t) {
                const int s = SCI_SLOT(t);
                total[s] *= sci_exp(top[s] - next[s]);
                top[s] = next[s];
            }
            SCI_UNROLL
            for (int g = 0; g < GROUP; ++g) {
                const T there = j + g < m ? T(1) : T(0);
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    total[s] += there * sci_exp(a[g][s] - top[s]);
                }
            }
        }
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (i < n) {
                largest[i] = top[s];
                sum[i] = total[s];
            }
        }
    }
}

// out_i += sum_j exp(h_j - rate r_ij - u_i) v_j for columns v_j of length four. The caller chooses u so that the
// exponents stay below the range of the exponential, for example as the logarithm of the sum.
// Instances: <float|double>
template <typename T>
SCI_KERNEL weighted_sum(SCI_INDEX const T* __restrict__ x /*[tiles, d, block]*/, const T* __restrict__ y /*[m, d]*/,
                        const T* __restrict__ h /*[m]*/, const T* __restrict__ u /*[n]*/,
                        const T* __restrict__ v /*[m, 4]*/, T* __restrict__ out /*[n, 4]*/, const i64 n, const i64 m,
                        const i64 d, const T rate) {
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T shift[SCI_SLOTS], v0[SCI_SLOTS], v1[SCI_SLOTS], v2[SCI_SLOTS], v3[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            const int s = SCI_SLOT(t);
            shift[s] = u[i];
            v0[s] = v1[s] = v2[s] = v3[s] = 0;
        }
        for (i64 j = 0; j < m; j += GROUP) {
            T a[GROUP][SCI_SLOTS];
            squared_distances(a, x + tile * d * SCI_BLOCK, y, j, m, d);
            SCI_UNROLL
            for (int g = 0; g < GROUP; ++g) {
                const i64 number = j + g < m ? j + g : m - 1;
                const T height = h[number], there = j + g < m ? T(1) : T(0);
                const T b0 = there * v[4 * number], b1 = there * v[4 * number + 1];
                const T b2 = there * v[4 * number + 2], b3 = there * v[4 * number + 3];
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    const T weight = sci_exp(height - rate * a[g][s] - shift[s]);
                    v0[s] += weight * b0;
                    v1[s] += weight * b1;
                    v2[s] += weight * b2;
                    v3[s] += weight * b3;
                }
            }
        }
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (i < n) {
                out[4 * i] += v0[s];
                out[4 * i + 1] += v1[s];
                out[4 * i + 2] += v2[s];
                out[4 * i + 3] += v3[s];
            }
        }
    }
}

// The steepest pair of each x: largest (l_i - l_j)^2 / r_ij over j with l_i != l_j, its number, and infinity for two
// points that coincide. CLASSES counts every difference of labels as one.
// Instances: <float|double, false|true>
template <typename T, bool CLASSES>
SCI_KERNEL steepest(SCI_INDEX const T* __restrict__ x /*[tiles, d, block]*/, const T* __restrict__ y /*[m, d]*/,
                    const T* __restrict__ labels_x /*[n]*/, const T* __restrict__ labels_y /*[m]*/,
                    T* __restrict__ ratio /*[n]*/, i64* __restrict__ index /*[n]*/, const i64 n, const i64 m,
                    const i64 d, const i64 start) {
    typedef typename SciLimits<T>::Index Index;
    for (i64 tile = blockIdx.x; tile * SCI_BLOCK < n; tile += gridDim.x) {
        T best[SCI_SLOTS], own[SCI_SLOTS];
        Index where[SCI_SLOTS];
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t < n ? tile * SCI_BLOCK + t : n - 1;
            best[SCI_SLOT(t)] = -1;
            where[SCI_SLOT(t)] = 0;
            own[SCI_SLOT(t)] = labels_x[i];
        }
        for (i64 j = 0; j < m; j += GROUP) {
            T a[GROUP][SCI_SLOTS];
            squared_distances(a, x + tile * d * SCI_BLOCK, y, j, m, d);
            SCI_UNROLL
            for (int g = 0; g < GROUP; ++g) {
                const i64 number = j + g < m ? j + g : m - 1;
                const T label = labels_y[number];
                SCI_THREADS(t) {
                    const int s = SCI_SLOT(t);
                    const T step = own[s] - label;
                    const T slope = (CLASSES ? T(1) : step * step) / a[g][s];  // infinite where points coincide
                    const bool steeper = step != T(0) && slope > best[s];
                    where[s] = steeper ? Index(number) : where[s];
                    best[s] = steeper ? slope : best[s];
                }
            }
        }
        SCI_THREADS(t) {
            const i64 i = tile * SCI_BLOCK + t;
            const int s = SCI_SLOT(t);
            if (i < n) {
                const i64 number = start + where[s];
                if (best[s] > ratio[i] || (best[s] == ratio[i] && best[s] >= 0 && number < index[i])) {
                    ratio[i] = best[s];
                    index[i] = number;
                }
            }
        }
    }
}
