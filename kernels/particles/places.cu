// What a device does for points before and after the sums over them, in one launch each where array code takes dozens:
// boxes and tiles, Chebyshev tables, points on charges, what the long range holds of each charge, and chunks of charges
// whose number is bounded, not counted. The host runs other kernels or the array code, which is the reference.
//
// All are limited by memory: each thread reads and writes what one point, box or entry needs.
#include "host.h"

// The integer coordinate of a place along one axis: see BoxGrid.cells.
template <typename T>
SCI_DEVICE i64 cell_of(const T x, const T low, const T scale, const i64 count) {
    const i64 cell = i64((x - low) * scale);
    return cell < 0 ? 0 : cell < count ? cell : count - 1;
}

// keys[i] = box refine^3 + place within the box, of boxes that are cut refine times along each axis.
// Instances: <double>
template <typename T>
SCI_KERNEL box_keys(SCI_INDEX const T* __restrict__ points /*[m, 3]*/, const T* __restrict__ geometry /*[6]*/,
                    const i64* __restrict__ counts /*[3]*/, i64* __restrict__ keys /*[m]*/, const i64 m,
                    const i64 refine) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < m; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < m) {
                i64 box = 0, inner = 0;
                for (int axis = 0; axis < 3; ++axis) {
                    const i64 fine = cell_of(points[3 * i + axis], geometry[axis], geometry[3 + axis] * T(refine),
                                             counts[axis] * refine);
                    box = box * counts[axis] + fine / refine;
                    inner = inner * refine + fine % refine;
                }
                keys[i] = box * (refine * refine * refine) + inner;
            }
        }
    }
}

// The first of the points, in the order of their keys, whose key is at least `key`.
SCI_DEVICE i64 first_of(const i64* __restrict__ keys, const i64* __restrict__ order, const i64 m, const i64 key) {
    i64 low = 0, high = m;
    while (low < high) {
        const i64 middle = (low + high) / 2;
        if (keys[order[middle]] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Offsets of the boxes among the points in order, and tiles of `width` points that each box takes.
// Instances: <double>
template <typename T>
SCI_KERNEL box_offsets(SCI_INDEX const i64* __restrict__ keys /*[m]*/, const i64* __restrict__ order /*[m]*/,
                       i64* __restrict__ offsets /*[edges]*/, i64* __restrict__ tiles /*[edges]*/, const i64 m,
                       const i64 edges, const i64 step, const i64 width) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < edges; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 box = block * SCI_BLOCK + t;
            if (box < edges) {
                const i64 first = first_of(keys, order, m, box * step);
                const i64 last = box + 1 < edges ? first_of(keys, order, m, (box + 1) * step) : m;
                offsets[box] = first;
                tiles[box] = (last - first + width - 1) / width;
            }
        }
    }
}

// Start and box of each tile; `ends` are the sums of the boxes' tiles up to and with each.
// Instances: <double>
template <typename T>
SCI_KERNEL tile_places(SCI_INDEX const i64* __restrict__ offsets /*[edges]*/, const i64* __restrict__ ends /*[edges]*/,
                       i64* __restrict__ start /*[e]*/, i64* __restrict__ box /*[tiles]*/, const i64 edges,
                       const i64 tiles, const i64 m, const i64 width) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK <= tiles; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 tile = block * SCI_BLOCK + t;
            if (tile == tiles) start[tile] = m;
            if (tile < tiles) {
                i64 low = 0, high = edges - 1;
                while (low < high) {
                    const i64 middle = (low + high) / 2;
                    if (ends[middle] <= tile)
                        low = middle + 1;
                    else
                        high = middle;
                }
                box[tile] = low;
                start[tile] = offsets[low] + width * (tile - (low > 0 ? ends[low - 1] : 0));
            }
        }
    }
}

// Box along each axis, and coordinate in [-1, 1] there.
// Instances: <double>
template <typename T>
SCI_KERNEL box_coordinates(SCI_INDEX const T* __restrict__ points /*[m, 3]*/,
                           const T* __restrict__ geometry /*[6]*/, const i64* __restrict__ counts /*[3]*/,
                           i64* __restrict__ boxes /*[3, m]*/, T* __restrict__ local /*[3, m]*/, const i64 m) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < m; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < m) {
                for (int axis = 0; axis < 3; ++axis) {
                    const T x = points[3 * i + axis];
                    const i64 box = cell_of(x, geometry[axis], geometry[3 + axis], counts[axis]);
                    boxes[axis * m + i] = box;
                    local[axis * m + i] = 2 * ((x - geometry[axis]) * geometry[3 + axis] - T(box)) - 1;
                }
            }
        }
    }
}

// table[k, i] = T_k(u[i]) by the three-term recurrence.
// Instances: <float|double>
template <typename T>
SCI_KERNEL chebyshev_table(SCI_INDEX const T* __restrict__ u /*[n]*/, T* __restrict__ table /*[terms, n]*/, const i64 n,
                           const i64 terms) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                const T x = u[i];
                T before = x, last = 1;
                for (i64 k = 0; k < terms; ++k) {
                    table[k * n + i] = last;
                    const T next = k == 0 ? x : 2 * x * last - before;
                    before = last;
                    last = next;
                }
            }
        }
    }
}

// found[i] = the charge within sqrt(coincident) of point i, or -1. `table` tells bins of x without one; charges are
// sorted by their projections on a direction.
// Instances: <double>
template <typename T>
SCI_KERNEL coincidences(SCI_INDEX const T* __restrict__ points /*[m, 3]*/,
                        const T* __restrict__ positions /*[n, 3]*/, const signed char* __restrict__ table /*[size]*/,
                        const i64* __restrict__ order /*[n]*/, const T* __restrict__ projections /*[n]*/,
                        const T* __restrict__ direction /*[3]*/, i64* __restrict__ found /*[m]*/, const i64 m,
                        const i64 n, const i64 size, const T bins, const T reach) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < m; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < m) {
                const T x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2];
                const T scaled = x * bins;
                i64 bin = i64(scaled), hit = -1;
                bin -= T(bin) > scaled;
                if (table[bin & (size - 1)]) {
                    const T middle = x * direction[0] + y * direction[1] + z * direction[2];
                    const T slack = reach + T(4e-15) * (middle < 0 ? -middle : middle);
                    i64 low = 0, high = n;
                    while (low < high) {
                        const i64 half = (low + high) / 2;
                        if (projections[half] < middle - slack)
                            low = half + 1;
                        else
                            high = half;
                    }
                    for (; low < n && projections[low] <= middle + slack && hit < 0; ++low) {
                        const T* p = positions + 3 * order[low];
                        const T dx = x - p[0], dy = y - p[1], dz = z - p[2];
                        if (dx * dx + dy * dy + dz * dz <= reach * reach) hit = order[low];
                    }
                }
                found[i] = hit;
            }
        }
    }
}

// out[i] += sum_k weights[k] (s1 s2 s3, s1' s2 s3, s1 s2' s3, s1 s2 s3') for the forms s of the three axes of charge i:
// s = sum_ab join[a, b] table[a] polynomials[b], its slope with the slopes in place of the table. `pair` is the join of
// a charge along each axis; the columns of the tables are the charges along x, then those along y and z.
// Instances: <double>
template <typename T>
SCI_KERNEL self_products(SCI_INDEX const T* __restrict__ joins /*[pairs, members, terms, width]*/,
                         const i64* __restrict__ pair /*[columns]*/, const T* __restrict__ table /*[terms, columns]*/,
                         const T* __restrict__ slopes /*[terms, columns]*/,
                         const T* __restrict__ polynomials /*[width, columns]*/,
                         const T* __restrict__ scales /*[3]*/, const T* __restrict__ weights /*[members]*/,
                         T* __restrict__ out /*[n, 4]*/, const i64 n, const i64 members, const i64 terms,
                         const i64 width, const i64 columns) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                T f = 0, fx = 0, fy = 0, fz = 0;
                for (i64 k = 0; k < members; ++k) {
                    T value[3], slope[3];
                    SCI_UNROLL
                    for (int axis = 0; axis < 3; ++axis) {
                        const i64 at = axis * n + i;
                        const T* join = joins + (pair[at] * members + k) * terms * width;
                        T sum = 0, steep = 0;
                        for (i64 a = 0; a < terms; ++a) {
                            T inner = 0;
                            for (i64 b = 0; b < width; ++b) inner += join[a * width + b] * polynomials[b * columns + at];
                            sum += inner * table[a * columns + at];
                            steep += inner * slopes[a * columns + at];
                        }
                        value[axis] = sum;
                        slope[axis] = steep * scales[axis];
                    }
                    const T w = weights[k];
                    f += w * value[0] * value[1] * value[2];
                    fx += w * slope[0] * value[1] * value[2];
                    fy += w * value[0] * slope[1] * value[2];
                    fz += w * value[0] * value[1] * slope[2];
                }
                out[4 * i] += f;
                out[4 * i + 1] += fx;
                out[4 * i + 2] += fy;
                out[4 * i + 3] += fz;
            }
        }
    }
}

// Adds to a number that other threads add to, and returns what it was.
SCI_DEVICE i64 add_one(i64* at, const i64 step) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    return i64(atomicAdd((unsigned long long*)at, (unsigned long long)step));
#else
    return __atomic_fetch_add(at, step, __ATOMIC_RELAXED);
#endif
}

// keys[i] = column bins + bin: columns along z in layers along x. numbers = (x of the first layer, layers a length, y of
// the first column, columns a length, z of the first bin, bins a length, y of a column by x). counts[k] grows by the
// charges of key k.
// Instances: <double>
template <typename T>
SCI_KERNEL column_keys(SCI_INDEX const T* __restrict__ positions /*[n, 3]*/, const T* __restrict__ numbers /*[7]*/,
                       const i64* __restrict__ shape /*[4]*/, i64* __restrict__ keys /*[n]*/,
                       i64* __restrict__ counts /*[bins]*/, const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 last = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 k = block * SCI_BLOCK + SCI_LANE; k < last; k += SCI_STEP) {
            const T x = positions[3 * k], y = positions[3 * k + 1] - numbers[6] * x;
            const i64 layer = cell_of(x, numbers[0], numbers[1], shape[0]);
            const i64 column = layer * shape[1] + cell_of(y, numbers[2], numbers[3], shape[1]);
            keys[k] = column * shape[2] + cell_of(positions[3 * k + 2], numbers[4], numbers[5], shape[2]);
            add_one(counts + keys[k], 1);
        }
    }
}

// loose[slot] = the charges by their keys, those of one key in any order; ends[k] counts the keys up to and with k. Leaves
// zeros in `counts`.
// Instances: <double>
template <typename T>
SCI_KERNEL place_sorted(SCI_INDEX const i64* __restrict__ keys /*[n]*/, const i64* __restrict__ ends /*[bins]*/,
                        i64* __restrict__ counts /*[bins]*/, i64* __restrict__ loose /*[n]*/, const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 last = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK + SCI_LANE; i < last; i += SCI_STEP)
            loose[ends[keys[i]] - add_one(counts + keys[i], -1)] = i;
    }
}

// order[slot] = the same with the charges of one key in the order of their numbers: each counts those before it, which are
// few. Offsets of the columns among them, and parts[c + 1] = chunks of `width` charges that column c takes.
// Instances: <double>
template <typename T>
SCI_KERNEL rank_sorted(SCI_INDEX const i64* __restrict__ keys /*[n]*/, const i64* __restrict__ ends /*[bins]*/,
                       const i64* __restrict__ loose /*[n]*/, i64* __restrict__ order /*[n]*/,
                       i64* __restrict__ offsets /*[columns]*/, i64* __restrict__ parts /*[edges]*/, const i64 n,
                       const i64 columns, const i64 each, const i64 width) {
    const i64 most = n > columns ? n : columns;
    for (i64 block = blockIdx.x; block * SCI_BLOCK < most; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                const i64 own = loose[i], key = keys[own];
                i64 slot = key > 0 ? ends[key - 1] : 0;
                const i64 start = slot, stop = ends[key];
                for (i64 k = start; k < stop; ++k) slot += loose[k] < own;
                order[slot] = own;
            }
            if (i < columns) {
                const i64 start = i > 0 ? ends[i * each - 1] : 0, stop = ends[(i + 1) * each - 1];
                offsets[i] = start;
                parts[i + 1] = (stop - start + width - 1) / width;
            }
        }
    }
}

// Chunks of W charges in the order of their keys, each within a column, split at the median x, then y, into clusters of
// 4: coordinates and charges of their lanes, relative to the center of their box, and the boxes, as `pack_chunks` makes
// them. Chunk k of column c, the last whose start is not beyond k, takes the charges from offsets[c] + W (k - starts[c])
// on; those after the last one stay empty, with the column -1. A thread is a lane.
// Instances: <float|double>
template <typename T>
SCI_KERNEL pack_sorted(SCI_INDEX const double* __restrict__ positions /*[n, 3]*/,
                       const double* __restrict__ charges /*[n]*/, const i64* __restrict__ keys /*[n]*/,
                       const i64* __restrict__ order /*[n]*/, const i64* __restrict__ offsets /*[columns]*/,
                       const i64* __restrict__ starts /*[edges]*/, i64* __restrict__ members /*[chunks, width]*/,
                       T* __restrict__ data /*[chunks, 4, width]*/, T* __restrict__ clusters /*[clusters, 6]*/,
                       double* __restrict__ centers /*[chunks, 3]*/, double* __restrict__ halves /*[chunks, 3]*/,
                       i64* __restrict__ column /*[chunks]*/, i64* __restrict__ first_key /*[chunks]*/,
                       i64* __restrict__ last_key /*[chunks]*/, const i64 n, const i64 columns, const i64 chunks,
                       const i64 width) {
    constexpr int W = sizeof(T) == 4 ? 16 : 8, GROUPS = SCI_BLOCK / W, LEVELS = W == 16 ? 2 : 1;
    SCI_SHARED i64 lanes[SCI_BLOCK], moved[SCI_BLOCK];
    SCI_SHARED double key[SCI_BLOCK];
    SCI_SHARED T local[3 * SCI_BLOCK];
    for (i64 block = blockIdx.x; block * GROUPS < chunks; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 chunk = block * GROUPS + t / W;
            i64 found = -1;
            if (chunk < chunks) {
                const bool real = chunk < starts[columns];
                i64 low = 0, high = columns;  // of columns that start beyond the chunk, the first
                while (low < high) {
                    const i64 middle = (low + high) / 2;
                    if (starts[middle] <= chunk)
                        low = middle + 1;
                    else
                        high = middle;
                }
                const i64 c = low - 1, begin = offsets[c] + W * (chunk - starts[c]);
                const i64 stop = c + 1 < columns ? offsets[c + 1] : n, last = begin + W < stop ? begin + W : stop;
                if (real && begin + t % W < last) found = order[begin + t % W];
                if (t % W == 0) {
                    column[chunk] = real ? c : -1;
                    first_key[chunk] = real ? keys[order[begin]] : 0;
                    last_key[chunk] = real ? keys[order[last - 1]] : 0;
                }
            }
            lanes[t] = found;
            key[t] = found >= 0 ? positions[3 * found] : 1e300;
        }
        SCI_BARRIER
        for (int level = 0; level < LEVELS; ++level) {
            const int part = level == 0 ? W : W / 2;
            SCI_THREADS(t) {
                const int first = t / part * part;
                int rank = first;
                for (int k = first; k < first + part; ++k) rank += key[k] < key[t] || (key[k] == key[t] && k < t);
                moved[rank] = lanes[t];
            }
            SCI_BARRIER
            SCI_THREADS(t) {
                lanes[t] = moved[t];
                key[t] = lanes[t] >= 0 ? positions[3 * lanes[t] + 1] : 1e300;
            }
            SCI_BARRIER
        }
        SCI_THREADS(t) {
            const i64 chunk = block * GROUPS + t / W, own = lanes[t];
            const int lane = t % W, first = t - lane;
            if (chunk < chunks) {
                members[chunk * width + lane] = own;
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    double least = 1e300, most = -1e300;
                    for (int k = first; k < first + W; ++k) {
                        const double x = lanes[k] >= 0 ? positions[3 * lanes[k] + a] : 0.0;
                        least = lanes[k] >= 0 && x < least ? x : least;
                        most = lanes[k] >= 0 && x > most ? x : most;
                    }
                    const double center = least > most ? 0.0 : (least + most) / 2;
                    const T place = T(own >= 0 ? positions[3 * own + a] - center : a == 0 ? 1e4 * (lane + 1) : 0.0);
                    local[a * SCI_BLOCK + t] = place;
                    data[(chunk * 4 + a) * width + lane] = place;
                    if (lane == 0) {
                        centers[3 * chunk + a] = center;
                        halves[3 * chunk + a] = least > most ? 0.0 : (most - least) / 2;
                    }
                }
                data[(chunk * 4 + 3) * width + lane] = T(own >= 0 ? charges[own] : 0.0);
            }
        }
        SCI_BARRIER
        SCI_THREADS(t) {
            const i64 chunk = block * GROUPS + t / W;
            if (chunk < chunks && t % 4 == 0) {
                T* box = clusters + (chunk * (W / 4) + t % W / 4) * 6;
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    T least = 1e30f, most = -1e30f;
                    for (int k = t; k < t + 4; ++k) {
                        const T value = local[a * SCI_BLOCK + k];
                        least = lanes[k] >= 0 && value < least ? value : least;
                        most = lanes[k] >= 0 && value > most ? value : most;
                    }
                    box[a] = least > most ? T(0) : (least + most) / 2;
                    box[3 + a] = least > most ? T(-1) : (most - least) / 2;
                }
            }
        }
        SCI_BARRIER
    }
}
