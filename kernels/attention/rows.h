// Rows of matrices in the native vectors of the host: whole ones, and a last one of which some lanes are left.
#pragma once
#include "host.h"

template <typename T>
struct Lane {
    typedef T Row __attribute__((vector_size(SCI_VECTOR_BYTES)));
    static constexpr int N = SCI_VECTOR_BYTES / int(sizeof(T));
};

template <typename T, bool FULL>
SCI_DEVICE typename Lane<T>::Row row_of(const T* p, const i64 left) {
    typename Lane<T>::Row x = {};
    if (FULL) {
        __builtin_memcpy(&x, p, sizeof x);
    } else {
        for (int l = 0; l < Lane<T>::N; ++l) x[l] = l < left ? p[l] : T(0);
    }
    return x;
}

template <typename T, bool FULL>
SCI_DEVICE void put_row(T* p, const typename Lane<T>::Row x, const i64 left) {
    if (FULL) {
        __builtin_memcpy(p, &x, sizeof x);
    } else {
        for (int l = 0; l < Lane<T>::N; ++l)
            if (l < left) p[l] = x[l];
    }
}

template <typename T>
SCI_DEVICE T row_total(const typename Lane<T>::Row x) {
    T s[Lane<T>::N];
    __builtin_memcpy(s, &x, sizeof x);
    SCI_UNROLL
    for (int half = Lane<T>::N / 2; half > 0; half /= 2) {
        SCI_UNROLL
        for (int l = 0; l < half; ++l) s[l] += s[l + half];
    }
    return s[0];
}
