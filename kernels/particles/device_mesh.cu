// What a device does around the pairs and the grid of a mesh, in one launch each where array code takes several.
//
// All are limited by memory: each thread reads and writes what one charge, lane or row of the grid needs.
#include "host.h"

// Charges in the units of the sums over pairs: places[i] = wrap((x - origin) inverse) periods, numbers = (origin, inverse,
// periods). The positions that the grid takes are clean[i] = x - corner. What is no number counts as outside, and stands
// at the origin of both, where it does no harm.
// Instances: <double>
template <typename T>
SCI_KERNEL frame_places(SCI_INDEX const T* __restrict__ positions /*[n, 3]*/, const T* __restrict__ numbers /*[24]*/,
                        T* __restrict__ clean /*[n, 3]*/, T* __restrict__ places /*[n, 3]*/, T* __restrict__ outside /*[n]*/,
                        const i64 n, const i64 periodic) {
    const T *origin = numbers, *inverse = numbers + 3, *periods = numbers + 12, *corner = numbers + 21;
    for (i64 block = blockIdx.x; block * SCI_BLOCK < n; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 i = block * SCI_BLOCK + t;
            if (i < n) {
                T x[3], fraction[3];
                bool real = true;
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    x[a] = positions[3 * i + a];
                    real = real && x[a] - x[a] == 0;
                }
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    T f = 0;
                    SCI_UNROLL
                    for (int b = 0; b < 3; ++b) f += (x[b] - origin[b]) * inverse[3 * b + a];
                    if (periodic) {
                        const T whole = T(i64(f));
                        f -= whole > f ? whole - 1 : whole;
                        f = f < 1 ? f : T(0);  // 1 is what rounding makes of numbers just below 0
                    }
                    fraction[a] = real ? f : T(0);
                    clean[3 * i + a] = real ? x[a] - corner[a] : T(0);
                }
                bool inside = real;
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    places[3 * i + a] = fraction[0] * periods[a] + fraction[1] * periods[3 + a] + fraction[2] * periods[6 + a];
                    inside = inside && (periodic || (fraction[a] >= -1 && fraction[a] <= 1));
                }
                outside[i] = inside ? T(0) : T(1);
            }
        }
    }
}

// The corner of `out` = a grid without the 8 points at the end of its rows, which are added to the first 8.
// Instances: <float|double>
template <typename T>
SCI_KERNEL fold_rows(SCI_INDEX const T* __restrict__ grid /*[n1, n2, row]*/, T* __restrict__ out /*[m1, m2, m3]*/,
                     const i64 n1, const i64 n2, const i64 row, const i64 m2, const i64 m3) {
    const i64 n3 = row - 8, all = n1 * n2 * n3;
    for (i64 block = blockIdx.x; block * SCI_BLOCK < all; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 k = block * SCI_BLOCK + t;
            if (k < all) {
                const i64 z = k % n3, line = k / n3;
                const T* from = grid + line * row;
                out[(line / n2 * m2 + line % n2) * m3 + z] = z < 8 ? from[z] + from[n3 + z] : from[z];
            }
        }
    }
}

// out = the corner of a grid, with rows that repeat their first 8 points at their end.
// Instances: <float|double>
template <typename T>
SCI_KERNEL repeat_rows(SCI_INDEX const T* __restrict__ grid /*[m1, m2, m3]*/, T* __restrict__ out /*[n1, n2, row]*/,
                       const i64 n1, const i64 n2, const i64 row, const i64 m2, const i64 m3) {
    const i64 n3 = row - 8, all = n1 * n2 * row;
    for (i64 block = blockIdx.x; block * SCI_BLOCK < all; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 k = block * SCI_BLOCK + t;
            if (k < all) {
                const i64 z = k % row, line = k / row;
                out[k] = grid[(line / n2 * m2 + line % n2) * m3 + (z < n3 ? z : z - n3)];
            }
        }
    }
}

// Potentials and forces of pairs and grid, and sums of a block in the units of the pairs: virial and error of the rows of
// `sums` (10), twice the energy, the virial of the charges (9), the squares of forces, forces that are no number, and
// charges outside. constants = (turn (9), units of a potential, of a force, and of the potential and the gradient of the
// grid; potential of a charge at itself; that of the background).
// Instances: <float|double>
template <typename T>
SCI_KERNEL join_sums(SCI_INDEX const double* __restrict__ own /*[chunks, 4, width]*/,
                     const T* __restrict__ other /*[chunks, 4, width]*/, const i64* __restrict__ members /*[chunks, width]*/,
                     const double* __restrict__ places /*[n, 3]*/, const double* __restrict__ charges /*[n]*/,
                     const double* __restrict__ outside /*[n]*/, const double* __restrict__ fields /*[n, 4]*/,
                     const double* __restrict__ sums /*[rows, 10]*/, const double* __restrict__ constants /*[15]*/,
                     double* __restrict__ potentials /*[n]*/, double* __restrict__ forces /*[n, 3]*/,
                     double* __restrict__ parts /*[blocks, 23]*/, const i64 n, const i64 chunks, const i64 width,
                     const i64 rows, const i64 blocks) {
    constexpr int SUMS = 23;
    SCI_SHARED double room[SUMS * SCI_BLOCK];
    for (i64 block = blockIdx.x; block < blocks; block += gridDim.x) {
        SCI_THREADS(t) {
            const i64 k = block * SCI_BLOCK + t, charge = k < chunks * width ? members[k] : -1;
            SCI_UNROLL
            for (int a = 0; a < SUMS; ++a) room[a * SCI_BLOCK + t] = a < 10 && k < rows ? sums[10 * k + a] : 0.0;
            if (charge >= 0) {
                const double q = charges[charge];
                double near[4];
                SCI_UNROLL
                for (int a = 0; a < 4; ++a) {
                    const i64 at = (k / width * 4 + a) * width + k % width;
                    near[a] = own[at] + double(other[at]);
                }
                const double far = fields[4 * charge] * constants[11];
                const double potential = near[3] + far - constants[13] * q + constants[14];
                potentials[charge] = constants[9] * potential;
                room[10 * SCI_BLOCK + t] = q * potential;
                double squares = 0;
                SCI_UNROLL
                for (int a = 0; a < 3; ++a) {
                    double force = -constants[12] * fields[4 * charge + 1 + a];
                    SCI_UNROLL
                    for (int b = 0; b < 3; ++b) {
                        force += near[b] * constants[3 * b + a];
                        room[(11 + 3 * a + b) * SCI_BLOCK + t] = q * near[a] * places[3 * charge + b];
                    }
                    const double value = constants[10] * q * force;
                    forces[3 * charge + a] = value;
                    squares += q * force * q * force;
                    room[21 * SCI_BLOCK + t] += value - value == 0 ? 0.0 : 1.0;
                }
                room[20 * SCI_BLOCK + t] = squares;
                room[22 * SCI_BLOCK + t] = outside[charge];
            }
        }
        SCI_BARRIER
        SCI_THREADS(t) {
            for (int a = t; a < SUMS; a += SCI_BLOCK) {
                double sum = 0;
                for (int k = 0; k < SCI_BLOCK; ++k) sum += room[a * SCI_BLOCK + k];
                parts[SUMS * block + a] = sum;
            }
        }
        SCI_BARRIER
    }
}
