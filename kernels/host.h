// Lets every kernel of this folder compile for a GPU (NVRTC, nvcc) and for the host from one source.
//
// A kernel is written as CUDA: a templated __global__ function over blocks and threads. Between the points where
// threads of a block would have to agree, its per-thread code stands in SCI_THREADS(t) { ... }. On a GPU that is the
// body of one thread; on the host it is a simd loop over the threads of the block, the processor's threads share the
// blocks, and the index variables are arguments. A loop that all threads of a block run alike stands outside of
// SCI_THREADS, so that the host vectorizes over threads. What a thread keeps from one SCI_THREADS to the next lives in an array
// `T name[SCI_SLOTS]`, indexed by SCI_SLOT(t): one register on a GPU, one vector lane on the host.
//
// Where each row of a grid is work for one block, SCI_ROW(k, n) { ... } runs the body for 0 <= k < n: threads of a
// block stride over the row on a GPU, the host runs a simd loop. SCI_ROW_SUM also adds to a scalar, of which every
// thread of a block (SCI_LANE, of SCI_STEP) has its own. sci_row_half writes the entries of one parity; on the host it computes all,
// because a simd loop with a blend is faster than one with strides, into a buffer, because a load that overlaps a vector
// just stored waits for it.
//
// SCI_BLOCK, the threads of a block, is set by the compile command.
#pragma once

typedef long long i64;

#define SCI_PRAGMA(text) _Pragma(#text)

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

#define SCI_KERNEL __global__ void __launch_bounds__(SCI_BLOCK, 1)
#define SCI_INDEX
#define SCI_DEVICE __device__ __forceinline__
#define SCI_DEVICE_MEMBER __device__ __forceinline__
#define SCI_THREADS(t) if ([[maybe_unused]] const int t = int(threadIdx.x); true)
#define SCI_SLOTS 1
#define SCI_SLOT(t) 0
#define SCI_ROW(k, n) for (i64 k = threadIdx.x; k < (n); k += SCI_BLOCK)
#define SCI_ROW_SUM(k, n, sum) SCI_ROW(k, n)
#define SCI_LANE i64(threadIdx.x)
#define SCI_STEP i64(SCI_BLOCK)
#define SCI_UNROLL _Pragma("unroll")
#define SCI_ROLLED _Pragma("unroll 1")
#define SCI_UNROLL_BY(n) SCI_PRAGMA(unroll n)
#define SCI_SEPARATE
#define SCI_SHARED __shared__
#define SCI_BARRIER __syncthreads();

#else

struct SciIndex {
    i64 x;
};

#define SCI_KERNEL static inline __attribute__((always_inline)) void
#define SCI_INDEX [[maybe_unused]] const SciIndex blockIdx, [[maybe_unused]] const SciIndex gridDim,
#define SCI_DEVICE static inline __attribute__((always_inline))
#define SCI_DEVICE_MEMBER inline __attribute__((always_inline))
#define SCI_THREADS(t) _Pragma("omp simd") for (int t = 0; t < SCI_BLOCK; ++t)
#define SCI_SLOTS SCI_BLOCK
#define SCI_SLOT(t) t
#define SCI_ROW(k, n) _Pragma("omp simd") for (int k = 0; k < int(n); ++k)
#define SCI_ROW_SUM(k, n, sum) SCI_PRAGMA(omp simd reduction(+ : sum)) for (int k = 0; k < int(n); ++k)
#define SCI_LANE 0
#define SCI_STEP 1
#define SCI_UNROLL _Pragma("GCC unroll 64")
#define SCI_ROLLED
#define SCI_UNROLL_BY(n)
// Stands in a loop around SCI_THREADS: keeps the compiler from fusing passes of that loop (unroll and jam), which
// would leave sums in memory instead of registers.
#define SCI_SEPARATE asm volatile("" ::)
#define SCI_SHARED
#define SCI_BARRIER

// Bytes of a native vector.
#if defined(__AVX512F__)
#define SCI_VECTOR_BYTES 64
#elif defined(__AVX__)
#define SCI_VECTOR_BYTES 32
#else
#define SCI_VECTOR_BYTES 16
#endif

// The builtins of GCC and Clang: reading <cmath> would take most of the time to compile a kernel.
SCI_DEVICE double sqrt(const double x) { return __builtin_sqrt(x); }
SCI_DEVICE float sqrt(const float x) { return __builtin_sqrtf(x); }
SCI_DEVICE double exp(const double x) { return __builtin_exp(x); }
SCI_DEVICE float exp(const float x) { return __builtin_expf(x); }
SCI_DEVICE double log(const double x) { return __builtin_log(x); }
SCI_DEVICE float log(const float x) { return __builtin_logf(x); }
SCI_DEVICE double rsqrt(const double x) { return 1.0 / sqrt(x); }
SCI_DEVICE float rsqrt(const float x) { return 1.0f / sqrt(x); }

#endif

#if !defined(__CUDACC__) && !defined(__CUDACC_RTC__)
// Copies the entries of one parity; with the parity known, a whole vector is one blend.
template <int PARITY, typename T>
SCI_DEVICE void sci_copy_half(T* out, const T* from, const int n) {
    int k = 0;
    for (; k + 16 <= n; k += 16)
        _Pragma("omp simd") for (int c = 0; c < 16; ++c) out[k + c] = (c & 1) == PARITY ? from[k + c] : out[k + c];
    for (k += (k + PARITY) & 1; k < n; k += 2) out[k] = from[k];
}
#endif

// out[k] = value(k) for the k < n of one parity. `value` may read other entries of `out`, but none of that parity.
template <typename T, typename F>
SCI_DEVICE void sci_row_half(T* out, const i64 n, const i64 parity, const F& value) {
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    for (i64 k = parity + 2 * threadIdx.x; k < n; k += 2 * SCI_BLOCK) out[k] = value(k);
#else
    constexpr int TILE = 512;
    T room[TILE];
    for (i64 start = 0; start < n; start += TILE) {
        const int length = n - start < TILE ? int(n - start) : TILE;
        SCI_ROW(k, length) { room[k] = value(start + k); }
        if (parity == 0)
            sci_copy_half<0>(out + start, room, length);
        else
            sci_copy_half<1>(out + start, room, length);
    }
#endif
}

// exp(x) for x in [-708, 708], zero below: a polynomial and a shift of the exponent, which vectorizes where the
// library function does not. Relative error under 1e-15 (Cody-Waite reduction, Taylor of degree 13 on |r| <= ln2/2).
SCI_DEVICE double sci_exp(const double x) {
    const double clipped = x < -708.0 ? -708.0 : x;
    const double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer in the low bits
    const double shifted = clipped * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (clipped - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    const double scale = __longlong_as_double((__double2ll_rn(n) + 1023) << 52);
#else
    unsigned long long bits;
    __builtin_memcpy(&bits, &shifted, 8);
    bits = (bits + 1023) << 52;  // the low bits of `shifted` are n; what lies above them falls off
    double scale;
    __builtin_memcpy(&scale, &bits, 8);
#endif
    return x < -708.0 ? 0.0 : p * scale;
}

// The same in float: x in [-87, 88], zero below. Relative error under 2e-7 (Taylor of degree 7).
SCI_DEVICE float sci_exp(const float x) {
    const float clipped = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f;  // 1.5 * 2^23
    const float shifted = clipped * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (clipped - n * 6.93359375e-01f) + n * 2.12194440e-04f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    const float scale = __int_as_float((__float2int_rn(n) + 127) << 23);
#else
    unsigned int bits;
    __builtin_memcpy(&bits, &shifted, 4);
    bits = (bits + 127) << 23;
    float scale;
    __builtin_memcpy(&scale, &bits, 4);
#endif
    return x < -87.0f ? 0.0f : p * scale;
}
