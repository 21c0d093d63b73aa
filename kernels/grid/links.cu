// A network of links between unknowns: a step of Jacobi and the residual, and what its coarser network adds to a grid.
//
// (A u)_i = rest_i u_i + sum over the links of value (u_i - u_j); unknown i has those from `start[i]` to `start[i + 1]`,
// to `index`. Differences keep the small residual of a large, nearly constant part, where a diagonal less a sum would
// lose it.
//
// Bytes of an unknown with k links in float32: 8 k + 8 for the links, 4 k for what it gathers, and 8 to 16 for vectors.
// The limit is bandwidth, and the latency of the gathers where unknowns are far apart.
#include "host.h"

// y[place_i] += (A x)_i: the rows of a matrix are entries of a larger array, each of them one row at most.
// Instances: <float|double>
template <typename T>
SCI_KERNEL add_rows(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* value /*[m]*/,
                    const T* x /*[columns]*/, const i64* place /*[n]*/, T* y /*[entries]*/, const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                T sum = 0;
                for (i64 k = start[i]; k < start[i + 1]; ++k) sum += value[k] * x[index[k]];
                y[place[i]] += sum;
            }
        }
    }
}

// f_i - (A u)_i of a network.
template <typename T>
SCI_DEVICE T remaining(const i64* start, const int* index, const T* value, const T* rest, const T* u, const T* f,
                       const i64 i) {
    const T own = u[i];
    T sum = f[i] - rest[i] * own;
    for (i64 k = start[i]; k < start[i + 1]; ++k) sum -= value[k] * (own - u[index[k]]);
    return sum;
}

// out = u + damping inverse (f - A u), a step of Jacobi's method with the inverse of the diagonal.
// Instances: <float|double>
template <typename T>
SCI_KERNEL relax_network(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* value /*[m]*/,
                         const T* rest /*[n]*/, const T* inverse /*[n]*/, const T* u /*[n]*/, const T* f /*[n]*/,
                         T* out /*[n]*/, const i64 n, const double damping) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) out[i] = u[i] + T(damping) * inverse[i] * remaining(start, index, value, rest, u, f, i);
        }
    }
}

// out = f - A u.
// Instances: <float|double>
template <typename T>
SCI_KERNEL network_residual(SCI_INDEX const i64* start /*[ends]*/, const int* index /*[m]*/, const T* value /*[m]*/,
                            const T* rest /*[n]*/, const T* u /*[n]*/, const T* f /*[n]*/, T* out /*[n]*/,
                            const i64 n) {
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) out[i] = remaining(start, index, value, rest, u, f, i);
        }
    }
}
