// Runs of consecutive cells in registers: one vector of the host, or one cell a thread of a GPU's block.
//
// A kernel of register tiles reads the same on both: it keeps SUMS runs as sums, loads runs of cells that lie side by
// side, and multiplies them by numbers that all cells share. A run need not be aligned. `store_sum` writes `parts` numbers
// that add up to the sum over a run: one for each thread of a GPU's block.
#pragma once
#include "host.h"

template <typename T>
struct Cells {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    typedef T Vector;
    static constexpr int WIDTH = SCI_BLOCK, SUMS = 32;
    static constexpr bool HOST = false;
    SCI_DEVICE_MEMBER static Vector load(const T* from) { return from[threadIdx.x]; }
    SCI_DEVICE_MEMBER static Vector load_one(const T* from) { return *from; }
    SCI_DEVICE_MEMBER static void store(T* to, const Vector value, const i64 count) {
        if (i64(threadIdx.x) < count) to[threadIdx.x] = value;
    }
    SCI_DEVICE_MEMBER static void store_sum(T* to, const Vector value, const i64) { to[threadIdx.x] = value; }
#else
    typedef T Vector __attribute__((vector_size(SCI_VECTOR_BYTES), may_alias, aligned(sizeof(T))));
    static constexpr int WIDTH = SCI_VECTOR_BYTES / int(sizeof(T));
#if defined(__AVX512F__) || defined(__aarch64__)
    static constexpr int SUMS = 24;  // of 32 registers
#else
    static constexpr int SUMS = 12;  // of 16 registers
#endif
    static constexpr bool HOST = true;
    // The sum over the lanes of a vector of BYTES: half by half, because a sum lane by lane waits for each of them.
    template <int BYTES>
    SCI_DEVICE_MEMBER static T halves(const T* lanes) {
        if constexpr (BYTES <= 2 * int(sizeof(T))) {
            return lanes[0] + lanes[1];
        } else {
            typedef T Half __attribute__((vector_size(BYTES / 2), may_alias, aligned(sizeof(T))));
            const Half sum = *(const Half*)lanes + *(const Half*)(lanes + BYTES / 2 / int(sizeof(T)));
            return halves<BYTES / 2>((const T*)&sum);
        }
    }
    // Loads once: left alone, compilers load a run again for each product, which costs more than the product.
    SCI_DEVICE_MEMBER static Vector once(Vector value) {
#if defined(__x86_64__)
        asm("" : "+v"(value));
#elif defined(__aarch64__)
        asm("" : "+w"(value));
#endif
        return value;
    }
    SCI_DEVICE_MEMBER static Vector load(const T* from) { return once(*(const Vector*)from); }
    SCI_DEVICE_MEMBER static Vector load_one(const T* from) { return once(*from - Vector{}); }
    SCI_DEVICE_MEMBER static void store(T* to, const Vector value, const i64 count) {
        if (count >= WIDTH)
            *(Vector*)to = value;
        else
            for (int l = 0; l < int(count); ++l) to[l] = value[l];
    }
    SCI_DEVICE_MEMBER static void store_sum(T* to, const Vector value, const i64 parts) {
        to[0] = halves<SCI_VECTOR_BYTES>((const T*)&value);
        for (i64 l = 1; l < parts; ++l) to[l] = 0;
    }
#endif
};
