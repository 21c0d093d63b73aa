// Products of 16 x 16 by 16 x 8 numbers of 16 bits, summed in float: the matrix units of a GPU (mma, ldmatrix of PTX).
//
// The 64 threads of a block are two warps. Entries lie in the registers of the 32 lanes of a warp as NVIDIA's PTX ISA
// says of mma.m16n8k16 (g = lane / 4, c = 2 (lane % 4)):
//   sums (16 x 8):     two in row g from column c on, two in row g + 8;
//   left (16 x 16):    pairs in rows g, g + 8 from column c on, then in both rows from column c + 8 on;
//   right (16 x 8):    pairs in column g from row c on, and from row c + 8 on.
// So sums of two neighboring products are, as numbers of 16 bits, the left factor of a next one: weights of attention
// never leave their registers. load_matrices fetches four 8 x 8 matrices from shared memory, the rows of each from eight
// lanes, and gives lane l the pair of row l / 4 from column c on; turned, the pair of column l / 4 from row c on.
//
// The host runs both by this layout, number by number, so that all arithmetic of indices is tested without a GPU.
#pragma once
#include "attention/tiles.h"

typedef unsigned short Half;
typedef unsigned Two;  // two numbers of 16 bits, the first one in the low half

constexpr int UNIT_THREADS = 64;

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

static_assert(SCI_BLOCK == UNIT_THREADS, "two warps");
#define UNIT_LANES(t) SCI_THREADS(t)
#define UNIT_SLOTS 1
#define UNIT_SLOT(t) 0

// The least architecture for m16n8k16 and for bfloat16; others take attention_tiles.cu.
#define UNIT_WHOLE (__CUDA_ARCH__ >= 800)

template <bool BRAIN>
SCI_DEVICE Two pack_two(const float low, const float high) {
    Two pair = 0;
#if UNIT_WHOLE
    if (BRAIN)
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    else
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
#endif
    return pair;
}

// sum (16 x 8) += left (16 x 16) right (16 x 8).
template <bool BRAIN>
SCI_DEVICE void multiply_units(float (*sum)[1], const Two (*left)[1], const Two (*right)[1]) {
#if UNIT_WHOLE
    if (BRAIN)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(sum[0][0]), "+f"(sum[1][0]), "+f"(sum[2][0]), "+f"(sum[3][0])
                     : "r"(left[0][0]), "r"(left[1][0]), "r"(left[2][0]), "r"(left[3][0]), "r"(right[0][0]), "r"(right[1][0]));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(sum[0][0]), "+f"(sum[1][0]), "+f"(sum[2][0]), "+f"(sum[3][0])
                     : "r"(left[0][0]), "r"(left[1][0]), "r"(left[2][0]), "r"(left[3][0]), "r"(right[0][0]), "r"(right[1][0]));
#else
    asm volatile("trap;");  // the caller takes another path there
#endif
}

// Four 8 x 8 matrices: lane l names row l % 8 of matrix l / 8 by at(thread), a place in shared memory.
template <bool TURNED, typename F>
SCI_DEVICE void load_matrices(Two (*out)[1], const F at) {
    const unsigned place = unsigned(__cvta_generic_to_shared(at(int(threadIdx.x))));
    if (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out[0][0]), "=r"(out[1][0]), "=r"(out[2][0]), "=r"(out[3][0]) : "r"(place) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out[0][0]), "=r"(out[1][0]), "=r"(out[2][0]), "=r"(out[3][0]) : "r"(place) : "memory");
}

// The largest, or the sum, over the four lanes that share the rows of sums.
SCI_DEVICE void largest_of_four(float (*x)[1]) {
    SCI_UNROLL
    for (unsigned step = 1; step < 4; step *= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, x[0][0], step);
        x[0][0] = other > x[0][0] ? other : x[0][0];
    }
}

SCI_DEVICE void sum_of_four(float (*x)[1]) {
    SCI_UNROLL
    for (unsigned step = 1; step < 4; step *= 2) x[0][0] += __shfl_xor_sync(0xffffffffu, x[0][0], step);
}

#else

#define UNIT_LANES(t) for (int t = 0; t < UNIT_THREADS; ++t)
#define UNIT_SLOTS UNIT_THREADS
#define UNIT_SLOT(t) t

template <bool BRAIN>
inline float widened(const Half bits) {
    if (!BRAIN) {
        _Float16 value;
        __builtin_memcpy(&value, &bits, 2);
        return float(value);
    }
    const unsigned wide = unsigned(bits) << 16;
    float value;
    __builtin_memcpy(&value, &wide, 4);
    return value;
}

template <bool BRAIN>
inline Half narrowed(const float value) {
    Half bits;
    if (!BRAIN) {
        const _Float16 half = _Float16(value);
        __builtin_memcpy(&bits, &half, 2);
        return bits;
    }
    unsigned wide;
    __builtin_memcpy(&wide, &value, 4);
    if (value != value) return Half(wide >> 16 | 64);
    return Half((wide + 0x7fff + (wide >> 16 & 1)) >> 16);  // to the nearest, ties to even
}

template <bool BRAIN>
inline Two pack_two(const float low, const float high) {
    return Two(narrowed<BRAIN>(low)) | Two(narrowed<BRAIN>(high)) << 16;
}

template <bool BRAIN>
inline void multiply_units(float (*sum)[UNIT_SLOTS], const Two (*left)[UNIT_SLOTS], const Two (*right)[UNIT_SLOTS]) {
    for (int warp = 0; warp < UNIT_THREADS; warp += 32) {
        float a[16][16], b[16][8];
        for (int lane = 0; lane < 32; ++lane) {
            const int g = lane / 4, c = lane % 4 * 2;
            for (int k = 0; k < 8; ++k) {
                const Half of_left = Half(left[k / 2][warp + lane] >> 16 * (k % 2));
                a[g + k / 2 % 2 * 8][c + k % 2 + k / 4 * 8] = widened<BRAIN>(of_left);
                if (k < 4) {
                    const Half of_right = Half(right[k / 2][warp + lane] >> 16 * (k % 2));
                    b[c + k % 2 + k / 2 * 8][g] = widened<BRAIN>(of_right);
                }
            }
        }
        for (int lane = 0; lane < 32; ++lane)
            for (int k = 0; k < 4; ++k) {
                const int row = lane / 4 + k / 2 * 8, column = lane % 4 * 2 + k % 2;
                float total = sum[k][warp + lane];
                for (int l = 0; l < 16; ++l) total += a[row][l] * b[l][column];
                sum[k][warp + lane] = total;
            }
    }
}

template <bool TURNED, typename F>
inline void load_matrices(Two (*out)[UNIT_SLOTS], const F at) {
    for (int warp = 0; warp < UNIT_THREADS; warp += 32)
        for (int matrix = 0; matrix < 4; ++matrix)
            for (int lane = 0; lane < 32; ++lane) {
                Half pair[2];
                for (int k = 0; k < 2; ++k) {
                    const int row = TURNED ? lane % 4 * 2 + k : lane / 4, column = TURNED ? lane / 4 : lane % 4 * 2 + k;
                    pair[k] = at(warp + matrix * 8 + row)[column];
                }
                out[matrix][warp + lane] = Two(pair[0]) | Two(pair[1]) << 16;
            }
}

inline void largest_of_four(float (*x)[UNIT_SLOTS]) {
    for (int t = 0; t < UNIT_THREADS; t += 4) {
        float top = x[0][t];
        for (int k = 1; k < 4; ++k) top = x[0][t + k] > top ? x[0][t + k] : top;
        for (int k = 0; k < 4; ++k) x[0][t + k] = top;
    }
}

inline void sum_of_four(float (*x)[UNIT_SLOTS]) {
    for (int t = 0; t < UNIT_THREADS; t += 4) {
        const float total = (x[0][t] + x[0][t + 1]) + (x[0][t + 2] + x[0][t + 3]);
        for (int k = 0; k < 4; ++k) x[0][t + k] = total;
    }
}

#endif

// Row and column of entry k of the sums of thread t, in the 16 x 8 of its warp; warp w has rows from 16 w on.
SCI_DEVICE int unit_row(const int t, const int k) { return t % 32 / 4 + k / 2 * 8; }
SCI_DEVICE int unit_column(const int t, const int k) { return t % 4 * 2 + k % 2; }

// D columns and `rows` rows of a matrix, from row `first` of n on, into shared memory, zero beyond the matrix. Rows in
// shared memory are 16 bytes longer, so that eight of them lie in different banks.
template <int D, int ROWS>
SCI_DEVICE void load_rows_of_units(const Half* __restrict__ x, const i64 first, const i64 n, Half* __restrict__ into) {
    constexpr int PITCH = D + 8, CHUNKS = D / 8, COUNT = ROWS * CHUNKS / UNIT_THREADS;
    const bool aligned = (unsigned long long)x % 16 == 0;
    UNIT_LANES(t) {
        SCI_UNROLL_BY(2)
        for (int u = 0; u < COUNT; ++u) {
            const int item = u * UNIT_THREADS + t, row = item / CHUNKS, column = item % CHUNKS * 8;
            const Half* const from = x + (first + row) * D + column;
            Pack<Half> eight;
            SCI_UNROLL
            for (int k = 0; k < 8; ++k) eight.x[k] = 0;
            if (first + row < n && aligned) eight.load(from);
            if (first + row < n && !aligned) {
                SCI_UNROLL
                for (int k = 0; k < 8; ++k) eight.x[k] = from[k];
            }
            eight.store(into + row * PITCH + column);
        }
    }
}

// sums (16 M rows of each warp, 32 columns) = rows of `left` by rows of `right`, over D numbers. Entry (m, j, k) of a
// thread is sums[(m * 4 + j) * 4 + k].
template <bool BRAIN, int D, int M>
SCI_DEVICE void dot_units(const Half* left, const Half* right, float (*sums)[UNIT_SLOTS]) {
    constexpr int PITCH = D + 8;
    UNIT_LANES(t) {
        SCI_UNROLL
        for (int k = 0; k < M * 16; ++k) sums[k][UNIT_SLOT(t)] = 0;
    }
    SCI_ROLLED
    for (int l = 0; l < D; l += 16) {  // what is loaded ahead would take the registers of sums
        Two a[M * 4][UNIT_SLOTS], b[4][UNIT_SLOTS];
        SCI_UNROLL
        for (int m = 0; m < M; ++m)
            load_matrices<false>(a + m * 4, [=](const int t) {
                return left + (t / 32 * 16 * M + m * 16 + t % 16) * PITCH + l + t % 32 / 16 * 8;
            });
        SCI_UNROLL
        for (int j = 0; j < 4; j += 2) {
            load_matrices<false>(b, [=](const int t) {
                return right + (j * 8 + t % 32 / 16 * 8 + t % 8) * PITCH + l + t % 16 / 8 * 8;
            });
            SCI_UNROLL
            for (int m = 0; m < M; ++m) {
                multiply_units<BRAIN>(sums + (m * 4 + j) * 4, a + m * 4, b);
                multiply_units<BRAIN>(sums + (m * 4 + j + 1) * 4, a + m * 4, b + 2);
            }
        }
    }
}

// sums (16 M rows of each warp, D columns) += weights (16 M, 32), entries as of dot_units, by 32 rows of `right`.
template <bool BRAIN, int D, int M>
SCI_DEVICE void add_units(const float (*weights)[UNIT_SLOTS], const Half* right, float (*sums)[UNIT_SLOTS]) {
    constexpr int PITCH = D + 8;
    SCI_UNROLL
    for (int l = 0; l < 2; ++l) {
        Two a[M * 4][UNIT_SLOTS], b[4][UNIT_SLOTS];
        UNIT_LANES(t) {
            SCI_UNROLL
            for (int k = 0; k < M * 4; ++k) {
                const float(*const pair)[UNIT_SLOTS] = weights + ((k / 4 * 4 + 2 * l + k % 4 / 2) * 4 + k % 2 * 2);
                a[k][UNIT_SLOT(t)] = pack_two<BRAIN>(pair[0][UNIT_SLOT(t)], pair[1][UNIT_SLOT(t)]);
            }
        }
        SCI_UNROLL
        for (int j = 0; j < D / 8; j += 2) {
            load_matrices<true>(b, [=](const int t) {
                return right + (l * 16 + t % 16) * PITCH + j * 8 + t % 32 / 16 * 8;
            });
            SCI_UNROLL
            for (int m = 0; m < M; ++m) {
                multiply_units<BRAIN>(sums + (m * (D / 8) + j) * 4, a + m * 4, b);
                multiply_units<BRAIN>(sums + (m * (D / 8) + j + 1) * 4, a + m * 4, b + 2);
            }
        }
    }
}
