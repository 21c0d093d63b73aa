// The short range of charges on a tensor grid, as Gaussians: what the kernels of the host and of devices share.
//
// S(r) = K(r) - B(u) is, beyond a small radius, the sum of Gaussians that continue those of the long range:
// S(r) = sum_k w_k exp(-t_k^2 r^2). A Gaussian is a product over the axes, so on a brick of 4 x 4 x Z points a charge
// takes 8 + Z exponentials and 16 Z multiplications, where pairs would take 16 Z square roots and polynomials. Each
// Gaussian ends where it is negligible: term k is added to a brick whose gap to the charge is under its own radius.
// Within the small radius of a charge, S less the Gaussians is added exactly.
//
// The axes a, b, c are those of space in an order for which the bricks fill the grid best:
// layout = (their numbers in space, their strides in out). gaussians = rows of (t^2, w, radius^2), radii descending.
// parameters = (small radius^2, coincident, 2 / cutoff^2, self_value, kappa, charges per unit): see short_range.cu.
#pragma once
#include "particles/cells.h"

constexpr int PART = 4;     // points of a brick along a and b
constexpr int TERMS = 64;   // Gaussians at most

template <typename T>
struct Brick {
    static constexpr int DEPTH = 64 / int(sizeof(T));  // points of a brick along c: a vector of 512 bits
};

// S less the Gaussians at squared distance r2, for the few points next to a charge.
SCI_DEVICE double beyond_gaussians(const double r2, const double* parameters, const double* b, const i64 degree,
                                   const double* gaussians, const i64 terms) {
    double value;
    if (r2 > parameters[1]) {
        const double u = r2 * parameters[2] - 1, r = sqrt(r2);
        double bu = b[degree];
        for (i64 k = degree - 1; k >= 0; --k) bu = bu * u + b[k];
        value = exp(-parameters[4] * r) / r - bu;
    } else {
        value = -parameters[3];
    }
    for (i64 k = 0; k < terms; ++k) value -= gaussians[3 * k + 1] * exp(-gaussians[3 * k] * r2);
    return value;
}

SCI_DEVICE i64 clamped(const i64 i, const i64 n) { return i < n ? i : n - 1; }
