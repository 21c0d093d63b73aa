// The sum of links times neighbours around an entry of a padded array, which the kernels of Poisson problems share.
#pragma once
#include "host.h"

// All links are 1 unless VARIABLE. A link is held at the cell after it.
template <typename T, bool VARIABLE>
SCI_DEVICE T around(const T* u, const T* x_link, const T* y_link, const T* z_link, const i64 at, const i64 plane,
                    const i64 row) {
    if (VARIABLE)
        return x_link[at] * u[at - plane] + x_link[at + plane] * u[at + plane] + y_link[at] * u[at - row] +
               y_link[at + row] * u[at + row] + z_link[at] * u[at - 1] + z_link[at + 1] * u[at + 1];
    return ((u[at - plane] + u[at + plane]) + (u[at - row] + u[at + row])) + (u[at - 1] + u[at + 1]);
}
