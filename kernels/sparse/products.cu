// Products, transposes and scalings of sparse matrices in compressed rows, as in rows.cu.
//
// A product reads 12 bytes for each of its multiplications, twice: once to count, once for the values. All of it is
// integer work with loops that depend on the data, for the host alone.
#include "host.h"

// counts[i] = the entries of row i of A B. Block c has the rows from n c / chunks to n (c + 1) / chunks.
// Instances (host): <i64>
template <typename T>
SCI_KERNEL product_counts(SCI_INDEX const T* __restrict__ a_starts /*[ends]*/, const int* __restrict__ a_columns /*[a_entries]*/,
                          const T* __restrict__ b_starts /*[b_ends]*/, const int* __restrict__ b_columns /*[b_entries]*/,
                          int* __restrict__ seen /*[chunks, width]*/, T* __restrict__ counts /*[n]*/, const i64 n,
                          const i64 width, const i64 chunks) {
    for (i64 c = blockIdx.x; c < chunks; c += gridDim.x) {
        int* const own = seen + c * width;
        for (i64 j = 0; j < width; ++j) own[j] = -1;
        for (i64 i = n * c / chunks; i < n * (c + 1) / chunks; ++i) {
            T count = 0;
            for (i64 k = a_starts[i]; k < a_starts[i + 1]; ++k) {
                const i64 row = a_columns[k];
                for (i64 l = b_starts[row]; l < b_starts[row + 1]; ++l) {
                    const i64 j = b_columns[l];
                    count += own[j] != i;
                    own[j] = int(i);
                }
            }
            counts[i] = count;
        }
    }
}

// Shell's sort, which for rows of a few entries is that by insertion.
SCI_DEVICE void sort_columns(int* columns, const i64 n) {
    i64 gap = 1;
    while (gap < n / 9) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) {
        for (i64 i = gap; i < n; ++i) {
            const i64 value = columns[i];
            i64 at = i;
            for (; at >= gap && columns[at - gap] > value; at -= gap) columns[at] = columns[at - gap];
            columns[at] = int(value);
        }
    }
}

// The columns, sorted, and values of A B, whose rows start at out_starts.
// Instances (host): <double>
template <typename T>
SCI_KERNEL product_values(SCI_INDEX const i64* __restrict__ a_starts /*[ends]*/, const int* __restrict__ a_columns /*[a_entries]*/,
                          const T* __restrict__ a_values /*[a_entries]*/, const i64* __restrict__ b_starts /*[b_ends]*/,
                          const int* __restrict__ b_columns /*[b_entries]*/, const T* __restrict__ b_values /*[b_entries]*/,
                          const i64* __restrict__ out_starts /*[ends]*/, int* __restrict__ out_columns /*[entries]*/,
                          T* __restrict__ out_values /*[entries]*/, int* __restrict__ seen /*[chunks, width]*/,
                          T* __restrict__ sums /*[chunks, width]*/, const i64 n, const i64 width, const i64 chunks) {
    for (i64 c = blockIdx.x; c < chunks; c += gridDim.x) {
        int* const own = seen + c * width;
        T* const sum = sums + c * width;
        for (i64 j = 0; j < width; ++j) own[j] = -1;
        for (i64 i = n * c / chunks; i < n * (c + 1) / chunks; ++i) {
            const i64 begin = out_starts[i];
            i64 end = begin;
            for (i64 k = a_starts[i]; k < a_starts[i + 1]; ++k) {
                const i64 row = a_columns[k];
                const T factor = a_values[k];
                for (i64 l = b_starts[row]; l < b_starts[row + 1]; ++l) {
                    const i64 j = b_columns[l];
                    if (own[j] != i) {
                        own[j] = int(i);
                        out_columns[end++] = int(j);
                        sum[j] = factor * b_values[l];
                    } else {
                        sum[j] += factor * b_values[l];
                    }
                }
            }
            sort_columns(out_columns + begin, end - begin);
            for (i64 k = begin; k < end; ++k) out_values[k] = sum[out_columns[k]];
        }
    }
}

// The transpose; `place` holds where the next entry of each of its rows goes, at first where the row starts.
// Instances (host): <double>
template <typename T>
SCI_KERNEL transpose_rows(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                          const T* __restrict__ values /*[entries]*/, i64* __restrict__ place /*[width]*/,
                          int* __restrict__ out_columns /*[entries]*/, T* __restrict__ out_values /*[entries]*/,
                          const i64 n) {
    if (blockIdx.x > 0) return;
    for (i64 i = 0; i < n; ++i)
        for (i64 k = starts[i]; k < starts[i + 1]; ++k) {
            const i64 to = place[columns[k]]++;
            out_columns[to] = int(i);
            out_values[to] = values[k];
        }
}

// out = left_i a_ij right_j, in the precision of T.
// Instances (host): <float|double>
template <typename T>
SCI_KERNEL scale_rows(SCI_INDEX const i64* __restrict__ starts /*[ends]*/, const int* __restrict__ columns /*[entries]*/,
                      const double* __restrict__ values /*[entries]*/, const double* __restrict__ left /*[n]*/,
                      const double* __restrict__ right /*[width]*/, T* __restrict__ out /*[entries]*/, const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        const i64 stop = (block + 1) * SCI_BLOCK < n ? (block + 1) * SCI_BLOCK : n;
        for (i64 i = block * SCI_BLOCK; i < stop; ++i)
            for (i64 k = starts[i]; k < starts[i + 1]; ++k) out[k] = T(left[i] * values[k] * right[columns[k]]);
    }
}
