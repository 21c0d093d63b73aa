// Products of tiles of matrices in the shared memory of a GPU, for kernels that are made of them.
//
// The SCI_BLOCK threads of a block form a square of SIDE x SIDE. A tile has ROWS of one side, whose results the block
// keeps, and COLS of the other; a thread has R x 8 of its entries in registers. Factors come into shared memory in slices
// of DEPTH, so that no inner length bounds anything. Each step of a slice loads R + 8 numbers for 8 R multiplications.
#pragma once
#include "host.h"

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
// The host has kernels of its own, and runs these for tests alone: quick to compile goes before fast.
#undef SCI_UNROLL
#define SCI_UNROLL
#undef SCI_THREADS
#define SCI_THREADS(t) for (int t = 0; t < SCI_BLOCK; ++t)
#endif

template <typename T>
struct Tile {
    static constexpr int SIDE = SCI_BLOCK >= 64 ? 8 : 4, R = 16 / int(sizeof(T)), C = 8, DEPTH = 16;
    static constexpr int ROWS = SIDE * R, COLS = SIDE * C;
    // Rows of four numbers: aligned for wide loads, and spread over the banks when they are written across.
    static constexpr int LEFT = ROWS + 4, RIGHT = COLS + 4;
    static_assert(SIDE * SIDE == SCI_BLOCK && COLS >= SCI_BLOCK, "the threads of a block form a square");

    // Row and column of entry (a, c) of thread t.
    SCI_DEVICE_MEMBER static int row(const int t, const int a) { return t / SIDE * R + a; }
    SCI_DEVICE_MEMBER static int col(const int t, const int c) { return c / 4 * (4 * SIDE) + t % SIDE * 4 + c % 4; }
};

SCI_DEVICE int at_most(const int width, const i64 left) { return left < width ? int(left) : width; }

// A slice on its way into shared memory: fetched into registers, then put. AHEAD of its turn, while the one before is
// multiplied, where registers are left; in parts where they are not.
//
// Across: slice[l][i] = x[first + i, l0 + l] for i < WIDTH, zero beyond the matrix x (n, d).
template <typename T, int WIDTH, int PITCH, int DEPTH>
struct Across {
    static constexpr int STEP = SCI_BLOCK / DEPTH, COUNT = WIDTH / STEP;
    T got[COUNT][SCI_SLOTS];

    SCI_DEVICE_MEMBER void fetch(const T* x, const i64 first, const i64 n, const i64 d, const i64 l0) {
        const int rows = at_most(WIDTH, n - first), columns = at_most(DEPTH, d - l0);
        SCI_THREADS(t) {
            const T* from = x + (first + t / DEPTH) * d + l0 + t % DEPTH;
            SCI_UNROLL
            for (int u = 0; u < COUNT; ++u) {
                got[u][SCI_SLOT(t)] = t / DEPTH + u * STEP < rows && t % DEPTH < columns ? *from : T(0);
                from += STEP * d;
            }
        }
    }
    SCI_DEVICE_MEMBER void put(T* slice) const {
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int u = 0; u < COUNT; ++u) slice[t % DEPTH * PITCH + t / DEPTH + u * STEP] = got[u][SCI_SLOT(t)];
        }
    }
};

// Along: slice[j][c] = x[first + j, c0 + c] for j < DEPTH and c < WIDTH, zero beyond.
template <typename T, int WIDTH, int PITCH, int DEPTH>
struct Along {
    static constexpr int COUNT = WIDTH * DEPTH / SCI_BLOCK;
    T got[COUNT][SCI_SLOTS];

    SCI_DEVICE_MEMBER void fetch(const T* x, const i64 first, const i64 n, const i64 d, const i64 c0) {
        const int rows = at_most(DEPTH, n - first), columns = at_most(WIDTH, d - c0);
        SCI_THREADS(t) {
            const T* from = x + first * d + c0;
            SCI_UNROLL
            for (int u = 0; u < COUNT; ++u) {
                const int j = (u * SCI_BLOCK + t) / WIDTH, c = (u * SCI_BLOCK + t) % WIDTH;
                got[u][SCI_SLOT(t)] = j < rows && c < columns ? from[c] : T(0);
                if ((u + 1) * SCI_BLOCK % WIDTH == 0) from += d;
            }
        }
    }
    SCI_DEVICE_MEMBER void put(T* slice) const {
        SCI_THREADS(t) {
            SCI_UNROLL
            for (int u = 0; u < COUNT; ++u)
                slice[(u * SCI_BLOCK + t) / WIDTH * PITCH + (u * SCI_BLOCK + t) % WIDTH] = got[u][SCI_SLOT(t)];
        }
    }
};

// Sixteen bytes of shared memory, which a GPU moves at once.
template <typename T>
struct Pack {
    static constexpr int N = 16 / int(sizeof(T));
    alignas(16) T x[N];

    SCI_DEVICE_MEMBER void load(const T* from) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
        *this = *(const Pack*)from;
#else
        __builtin_memcpy(this, from, sizeof *this);
#endif
    }
    SCI_DEVICE_MEMBER void store(T* to) const {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
        *(Pack*)to = *this;
#else
        __builtin_memcpy(to, this, sizeof *this);
#endif
    }
};

// weights[column, row] = values, the R rows of a column at once.
template <typename T, typename S>
SCI_DEVICE void put_weights(const T (*values)[SCI_SLOTS], T* weights) {
    SCI_THREADS(t) {
        SCI_UNROLL
        for (int c = 0; c < S::C; ++c) {
            Pack<T> rows;
            SCI_UNROLL
            for (int r = 0; r < S::R; ++r) rows.x[r] = values[r * S::C + c][SCI_SLOT(t)];
            rows.store(weights + S::col(t, c) * S::LEFT + S::row(t, 0));
        }
    }
}

// sum += left' right over a slice.
template <typename T, typename S>
SCI_DEVICE void multiply_slice(const T* left, const T* right, T (*sum)[SCI_SLOTS]) {
    SCI_THREADS(t) {
        SCI_UNROLL_BY(4)
        for (int l = 0; l < S::DEPTH; ++l) {
            constexpr int N = Pack<T>::N;
            Pack<T> a, b[S::C / N];
            a.load(left + l * S::LEFT + S::row(t, 0));
            SCI_UNROLL
            for (int c = 0; c < S::C; c += N) b[c / N].load(right + l * S::RIGHT + S::col(t, c));
            SCI_UNROLL
            for (int r = 0; r < S::R; ++r) {
                SCI_UNROLL
                for (int c = 0; c < S::C; ++c) sum[r * S::C + c][SCI_SLOT(t)] += a.x[r] * b[c / N].x[c % N];
            }
        }
    }
}

// sum = x y' for ROWS rows of x (n, d) and COLS of y (m, d).
template <typename T, typename S, bool AHEAD>
SCI_DEVICE void dot_tile(const T* x, const i64 i0, const i64 n, const T* y, const i64 j0, const i64 m, const i64 d,
                         T* left, T* right, T (*sum)[SCI_SLOTS]) {
    SCI_THREADS(t) {
        SCI_UNROLL
        for (int e = 0; e < S::R * S::C; ++e) sum[e][SCI_SLOT(t)] = 0;
    }
    Across<T, S::ROWS, S::LEFT, S::DEPTH> of_x;
    constexpr int PART = AHEAD ? S::COLS : S::COLS / 4;
    Across<T, PART, S::RIGHT, S::DEPTH> of_y;
    if (AHEAD) of_x.fetch(x, i0, n, d, 0);
    if (AHEAD) of_y.fetch(y, j0, m, d, 0);
    SCI_ROLLED
    for (i64 l0 = 0; l0 < d; l0 += S::DEPTH) {
        SCI_BARRIER
        if (!AHEAD) of_x.fetch(x, i0, n, d, l0);
        of_x.put(left);
        SCI_ROLLED
        for (int j = 0; j < S::COLS; j += PART) {
            if (!AHEAD) of_y.fetch(y, j0 + j, m, d, l0);
            of_y.put(right + j);
        }
        SCI_BARRIER
        if (AHEAD && l0 + S::DEPTH < d) {
            of_x.fetch(x, i0, n, d, l0 + S::DEPTH);
            of_y.fetch(y, j0, m, d, l0 + S::DEPTH);
        }
        multiply_slice<T, S>(left, right, sum);
    }
}

// sum += weights' y: weights (COLS, LEFT) in shared memory, columns c0 and up to COLS - 1 more of the rows j0 ... of y.
template <typename T, typename S, bool AHEAD>
SCI_DEVICE void add_tile(const T* weights, const T* y, const i64 j0, const i64 m, const i64 d, const i64 c0, T* right,
                         T (*sum)[SCI_SLOTS]) {
    constexpr int PART = AHEAD ? S::DEPTH : S::DEPTH / 4;
    Along<T, S::COLS, S::RIGHT, PART> of_y;
    if (AHEAD) of_y.fetch(y, j0, m, d, c0);
    SCI_ROLLED
    for (int l0 = 0; l0 < S::COLS; l0 += S::DEPTH) {
        SCI_BARRIER
        SCI_ROLLED
        for (int l = 0; l < S::DEPTH; l += PART) {
            if (!AHEAD) of_y.fetch(y, j0 + l0 + l, m, d, c0);
            of_y.put(right + l * S::RIGHT);
        }
        SCI_BARRIER
        if (AHEAD && l0 + S::DEPTH < S::COLS) of_y.fetch(y, j0 + l0 + S::DEPTH, m, d, c0);
        multiply_slice<T, S>(weights + l0 * S::LEFT, right, sum);
    }
}

// x[i0 + row, c0 + col] += sum, for rows of x (n, d).
template <typename T, typename S>
SCI_DEVICE void store_tile(const T (*sum)[SCI_SLOTS], T* x, const i64 i0, const i64 n, const i64 d, const i64 c0) {
    SCI_THREADS(t) {
        SCI_UNROLL
        for (int r = 0; r < S::R; ++r) {
            const i64 i = i0 + S::row(t, r);
            SCI_UNROLL
            for (int c = 0; c < S::C; ++c) {
                const i64 l = c0 + S::col(t, c);
                if (i < n && l < d) x[i * d + l] += sum[r * S::C + c][SCI_SLOT(t)];
            }
        }
    }
}
