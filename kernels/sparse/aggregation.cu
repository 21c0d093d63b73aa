// The setup of algebraic multigrid: strong links, aggregates, local bases, and what smooths prolongation.
//
// Rows are compressed as in rows.cu. Each kernel reads the entries once, 12 bytes each, aggregation three or four times.
// All of it is integer work with loops that depend on the data, for the host alone.
#include "host.h"

// largest[i] = the largest -a_ij (or |a_ij| where SIGNED is false) of j != i; total[i] = the sum of |a_ij| over j != i.
// Instances (host): <double, true|false>
template <typename T, bool SIGNED>
SCI_KERNEL link_sizes(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                      const T* __restrict__ values /*[entries]*/, T* __restrict__ largest /*[n]*/,
                      T* __restrict__ total /*[n]*/, const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 stop = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK; i < stop; ++i) {
            T most = 0, sum = 0;
            for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
                if (columns[k] == i) continue;
                const T size = values[k] < 0 ? -values[k] : values[k], link = SIGNED ? -values[k] : size;
                most = link > most ? link : most;
                sum += size;
            }
            largest[i] = most;
            total[i] = sum;
        }
    }
}

// strong[k] = 1 where the link k of row i and column j != i is at least theta sqrt(largest_i largest_j), and not 0.
// Instances (host): <double, true|false>
template <typename T, bool SIGNED>
SCI_KERNEL strong_links(SCI_INDEX const i64* __restrict__ starts /*[ends]*/,
                        const int* __restrict__ columns /*[entries]*/, const T* __restrict__ values /*[entries]*/,
                        const T* __restrict__ root /*[n]*/, signed char* __restrict__ strong /*[entries]*/, const i64 n,
                        const double theta) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 stop = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK; i < stop; ++i) {
            const T bar = T(theta) * root[i];
            for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
                const T link = SIGNED || values[k] < 0 ? -values[k] : values[k];
                strong[k] = columns[k] != i && link > 0 && link >= bar * root[columns[k]];
            }
        }
    }
}

// group[i] = the aggregate of node i, -1 where `alone`; count[0] = how many there are.
//
// First each node without a neighbor in an aggregate makes one of itself and its strong neighbors. Then the others join
// the aggregate of their largest strong link made in that pass. What remains makes aggregates with its free neighbors,
// and a node without any strong link joins that of its largest link.
// Instances (host): <double>
template <typename T>
SCI_KERNEL aggregate(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                     const T* __restrict__ values /*[entries]*/, const signed char* __restrict__ strong /*[entries]*/,
                     const signed char* __restrict__ alone /*[n]*/, int* __restrict__ group /*[n]*/,
                     int* __restrict__ joined /*[n]*/, i64* __restrict__ count /*[one]*/, const i64 n) {
    if (blockIdx.x > 0) return;
    int groups = 0;
    for (i64 i = 0; i < n; ++i) group[i] = joined[i] = -1;
    for (i64 i = 0; i < n; ++i) {
        bool open = !alone[i] && group[i] < 0, any = false;
        for (i64 k = starts[i]; open && k < starts[i + 1]; ++k) {
            if (!strong[k] || alone[columns[k]]) continue;
            any = true;
            open = group[columns[k]] < 0;
        }
        if (!open || !any) continue;
        for (i64 k = starts[i]; k < starts[i + 1]; ++k)
            if (strong[k] && !alone[columns[k]]) group[columns[k]] = groups;
        group[i] = groups++;
    }
    for (i64 i = 0; i < n; ++i) {
        if (alone[i] || group[i] >= 0) continue;
        T most = 0;
        for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
            const T link = values[k] < 0 ? -values[k] : values[k];
            if (strong[k] && group[columns[k]] >= 0 && link > most) {
                most = link;
                joined[i] = group[columns[k]];
            }
        }
    }
    for (i64 i = 0; i < n; ++i)
        if (joined[i] >= 0) group[i] = joined[i];
    for (i64 i = 0; i < n; ++i) {
        if (alone[i] || group[i] >= 0) continue;
        bool any = false;
        for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
            if (!strong[k] || alone[columns[k]]) continue;
            any = true;
            if (group[columns[k]] < 0) group[columns[k]] = groups;
        }
        if (any) group[i] = groups++;
    }
    for (i64 i = 0; i < n; ++i) {
        if (alone[i] || group[i] >= 0) continue;
        T most = 0;
        i64 chosen = -1;
        for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
            const T link = values[k] < 0 ? -values[k] : values[k];
            if (columns[k] != i && group[columns[k]] >= 0 && link > most) {
                most = link;
                chosen = group[columns[k]];
            }
        }
        group[i] = chosen >= 0 ? int(chosen) : groups++;
    }
    count[0] = groups;
}

// An orthonormal basis of the columns of B over the rows of each group, by Gram-Schmidt done twice: B = Q R.
//
// The rows of group g are rows[group_starts[g]] and on. kept = 0 for a column that depends on those before: it is 0.
// Instances (host): <double>
template <typename T>
SCI_KERNEL local_bases(SCI_INDEX const i64* __restrict__ group_starts /*[ends]*/, const i64* __restrict__ rows /*[members]*/,
                       const T* __restrict__ vectors /*[n, k]*/, T* __restrict__ q /*[n, k]*/,
                       T* __restrict__ r /*[groups, k, k]*/, signed char* __restrict__ kept /*[groups, k]*/,
                       const i64 groups, const i64 k, const double least) {
    for (i64 g = blockIdx.x; g < groups; g += gridDim.x) {
        const i64 begin = group_starts[g], end = group_starts[g + 1];
        T* const triangle = r + g * k * k;
        for (i64 e = 0; e < k * k; ++e) triangle[e] = 0;
        for (i64 c = 0; c < k; ++c) {
            T before = 0;
            for (i64 m = begin; m < end; ++m) {
                const T value = vectors[rows[m] * k + c];
                q[rows[m] * k + c] = value;
                before += value * value;
            }
            for (int pass = 0; pass < 2; ++pass) {
                for (i64 p = 0; p < c; ++p) {
                    T dot = 0;
                    for (i64 m = begin; m < end; ++m) dot += q[rows[m] * k + p] * q[rows[m] * k + c];
                    for (i64 m = begin; m < end; ++m) q[rows[m] * k + c] -= dot * q[rows[m] * k + p];
                    triangle[p * k + c] += dot;
                }
            }
            T square = 0;
            for (i64 m = begin; m < end; ++m) square += q[rows[m] * k + c] * q[rows[m] * k + c];
            const bool keep = square > T(least * least) * before;
            const T size = sqrt(square), scale = keep ? T(1) / size : T(0);
            for (i64 m = begin; m < end; ++m) q[rows[m] * k + c] *= scale;
            triangle[c * k + c] = keep ? size : T(0);
            kept[g * k + c] = keep;
        }
    }
}

// The rows of I - factor F / total_i, which smooths prolongation. F is A with its strong entries, and on the diagonal
// what keeps F b = A b; total_i is the sum of |f_ij| over j, which bounds the eigenvalues of F / f_ii by total_i / f_ii.
//
// Where that diagonal is below a tenth of a_ii, which makes F no M-matrix, it is a_ii.
// Instances (host): <double>
template <typename T>
SCI_KERNEL smoothing_rows(SCI_INDEX const i64* __restrict__ starts /*[ends]*/,
                          const int* __restrict__ columns /*[entries]*/, const T* __restrict__ values /*[entries]*/,
                          const signed char* __restrict__ strong /*[entries]*/, const T* __restrict__ b /*[n]*/,
                          const i64* __restrict__ out_starts /*[ends]*/, int* __restrict__ out_columns /*[kept]*/,
                          T* __restrict__ out_values /*[kept]*/, const i64 n, const double factor) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 stop = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK; i < stop; ++i) {
            i64 to = out_starts[i], middle = to;
            T own = 0, full = 0, sum = 0;
            for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
                const i64 j = columns[k];
                if (j == i) {
                    own += values[k];
                    full = values[k];
                    middle = to;
                    out_columns[to++] = int(j);
                } else if (strong[k]) {
                    out_columns[to] = int(j);
                    out_values[to++] = values[k];
                    sum += values[k] < 0 ? -values[k] : values[k];
                } else if (b[i] != 0) {
                    own += values[k] * (b[j] / b[i]);
                }
            }
            out_values[middle] = own > T(0.1) * full ? own : full;
            const T scale = T(factor) / (sum + out_values[middle]);
            for (i64 k = out_starts[i]; k < to; ++k) out_values[k] *= -scale;
            out_values[middle] += 1;
        }
    }
}
