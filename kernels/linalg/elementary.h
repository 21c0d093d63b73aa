// Logarithm of a ratio and exp(x) - 1 in steps that vectorize, accurate to a few units of the last place where the
// result is small as well; the exponent of a number. Of normal numbers: callers see to units and signs.
#pragma once
#include "host.h"

template <typename T>
struct Binary;
template <>
struct Binary<double> {
    typedef unsigned long long Bits;
    static constexpr int SHIFT = 52;
    static constexpr Bits ONE = 0x3FF0000000000000ull, ROOT_HALF = 0x3FE6A09E667F3BCDull;
    static constexpr Bits FRACTION = 0x000FFFFFFFFFFFFFull, TWO_52 = 0x4330000000000000ull;
    static constexpr Bits INFINITE = 0x7FF0000000000000ull;
    static constexpr double BIASED = 4503599627370496.0 + 1023.0, ROUND = 6755399441055744.0;
    static constexpr double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
    static constexpr double EPS = 2.220446049250313e-16, LEAST = -708.0, MOST = 709.0;
    static constexpr double TINY = 9.332636185032189e-302, VAST = 1.0715086071862673e301;  // 2^-1000, 2^1000
    static constexpr double SMALL = 7.888609052210118e-31, LARGE = 1.2676506002282294e30;  // 2^-100, 2^100
};
template <>
struct Binary<float> {
    typedef unsigned int Bits;
    static constexpr int SHIFT = 23;
    static constexpr Bits ONE = 0x3F800000u, ROOT_HALF = 0x3F3504F3u, FRACTION = 0x007FFFFFu, TWO_52 = 0x4B000000u;
    static constexpr Bits INFINITE = 0x7F800000u;
    static constexpr float BIASED = 8388608.0f + 127.0f, ROUND = 12582912.0f;
    static constexpr float LN2_HIGH = 6.93359375e-01f, LN2_LOW = -2.12194440e-04f;
    static constexpr float EPS = 1.1920929e-07f, LEAST = -87.0f, MOST = 88.0f;
    static constexpr float TINY = 7.52316385e-37f, VAST = 1.32922800e36f;  // 2^-120, 2^120
    static constexpr float SMALL = 9.53674316e-07f, LARGE = 1048576.0f;    // 2^-20, 2^20
};

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
SCI_DEVICE unsigned long long bits_of(const double x) { return __double_as_longlong(x); }
SCI_DEVICE unsigned int bits_of(const float x) { return __float_as_uint(x); }
SCI_DEVICE double with_bits(const unsigned long long b) { return __longlong_as_double(b); }
SCI_DEVICE float with_bits(const unsigned int b) { return __uint_as_float(b); }
#else
SCI_DEVICE unsigned long long bits_of(const double x) {
    unsigned long long b;
    __builtin_memcpy(&b, &x, 8);
    return b;
}
SCI_DEVICE unsigned int bits_of(const float x) {
    unsigned int b;
    __builtin_memcpy(&b, &x, 4);
    return b;
}
SCI_DEVICE double with_bits(const unsigned long long b) {
    double x;
    __builtin_memcpy(&x, &b, 8);
    return x;
}
SCI_DEVICE float with_bits(const unsigned int b) {
    float x;
    __builtin_memcpy(&x, &b, 4);
    return x;
}
#endif

// x without its sign: NaN stays NaN.
template <typename T>
SCI_DEVICE T magnitude(const T x) {
    return x < 0 ? -x : x;
}

// A power of two by which numbers up to `size` are divided so that their squares neither overflow nor vanish: 1 unless
// size is far from 1.
template <typename T>
SCI_DEVICE T unit_of(const T size) {
    typedef Binary<T> B;
    const T power = with_bits(bits_of(size) & ~B::FRACTION);
    const T held = power < B::TINY ? B::TINY : power > B::VAST ? B::VAST : power;
    return size == 0 || (size >= B::SMALL && size <= B::LARGE) ? T(1) : held;
}

// log(a / b) for a, b > 0, with a small relative error where a is near b as well: log of 2^k m with sqrt(1/2) <= m <
// sqrt(2) is k log 2 + 2 artanh z, z = (m - 1) / (m + 1), which is (a - b) / (a + b) for k = 0. Series: |z| < 0.172.
template <typename T>
SCI_DEVICE T log_ratio(const T a, const T b) {
    typedef Binary<T> B;
    typedef typename B::Bits Bits;
    const Bits moved = bits_of(a / b) + (B::ONE - B::ROOT_HALF);
    const T k = with_bits((moved >> B::SHIFT) | B::TWO_52) - B::BIASED;
    const T m = with_bits((moved & B::FRACTION) + B::ROOT_HALF);
    const T z = (k == 0 ? a - b : m - 1) / (k == 0 ? a + b : m + 1), w = z * z;
    T p = T(1.0 / 21.0);
    p = p * w + T(1.0 / 19.0);
    p = p * w + T(1.0 / 17.0);
    p = p * w + T(1.0 / 15.0);
    p = p * w + T(1.0 / 13.0);
    p = p * w + T(1.0 / 11.0);
    p = p * w + T(1.0 / 9.0);
    p = p * w + T(1.0 / 7.0);
    p = p * w + T(1.0 / 5.0);
    p = p * w + T(1.0 / 3.0);
    return k * B::LN2_HIGH + (k * B::LN2_LOW + 2 * (z + z * w * p));
}

// exp(x) - 1 for x <= 0: 2^n (exp(r) - 1) + (2^n - 1), |r| <= log(2) / 2.
template <typename T>
SCI_DEVICE T exp_minus_one(const T x) {
    typedef Binary<T> B;
    const T clipped = x < B::LEAST ? B::LEAST : x;
    const T shifted = clipped * T(1.4426950408889634) + B::ROUND;
    const T n = shifted - B::ROUND;
    const T r = (clipped - n * B::LN2_HIGH) - n * B::LN2_LOW;
    T p = T(1.0 / 6227020800.0);
    p = p * r + T(1.0 / 479001600.0);
    p = p * r + T(1.0 / 39916800.0);
    p = p * r + T(1.0 / 3628800.0);
    p = p * r + T(1.0 / 362880.0);
    p = p * r + T(1.0 / 40320.0);
    p = p * r + T(1.0 / 5040.0);
    p = p * r + T(1.0 / 720.0);
    p = p * r + T(1.0 / 120.0);
    p = p * r + T(1.0 / 24.0);
    p = p * r + T(1.0 / 6.0);
    p = p * r + T(0.5);
    const T small = r + r * r * p;
    const T scale = with_bits((bits_of(shifted) << B::SHIFT) + B::ONE);
    return small * scale + (scale - 1);
}

// exp(x), infinite above the range and zero below it.
template <typename T>
SCI_DEVICE T exp_in_range(const T x) {
    typedef Binary<T> B;
    return x > B::MOST ? with_bits(B::INFINITE) : sci_exp(x > B::MOST ? B::MOST : x);
}
