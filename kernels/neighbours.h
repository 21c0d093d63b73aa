// The sum of links times neighbours around an entry of a padded array, which the kernels of Poisson problems share.
#pragma once
#include "host.h"

// All links are 1 unless VARIABLE. A link is held at the cell after it. The sum is one of type T, whatever u's is.
template <typename T, bool VARIABLE, typename S>
SCI_DEVICE T around(const S* u, const T* x_link, const T* y_link, const T* z_link, const i64 at, const i64 plane,
                    const i64 row) {
    if (VARIABLE)
        return x_link[at] * T(u[at - plane]) + x_link[at + plane] * T(u[at + plane]) + y_link[at] * T(u[at - row]) +
               y_link[at + row] * T(u[at + row]) + z_link[at] * T(u[at - 1]) + z_link[at + 1] * T(u[at + 1]);
    return ((T(u[at - plane]) + T(u[at + plane])) + (T(u[at - row]) + T(u[at + row]))) +
           (T(u[at - 1]) + T(u[at + 1]));
}
