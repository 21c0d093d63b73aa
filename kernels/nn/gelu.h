// The Gaussian error linear unit x Phi(x), with Phi(x) = erfc(-x / sqrt 2) / 2, and its derivative, for kernels that
// have it in their last lines. Absolute errors below 2e-16 max(1, |x|) in double, 2e-7 max(1, |x|) in float.
//
// Phi(-|x|) = exp(-x^2 / 2) p(s) / (2 (z + c)) with z = |x| / sqrt 2 and s = (z - c) / (z + c) in [-1, 1]: p is the
// polynomial that interpolates erfcx(z) (z + c) at Chebyshev nodes; c makes its coefficients fall fastest.
#pragma once
#include "host.h"

SCI_DEVICE double sci_erfcx_polynomial(const double s) {
    double p = -4.0302057274044435853e-9;
    p = p * s - 3.5299523515808442285e-9;
    p = p * s + 3.9523691740644190502e-8;
    p = p * s + 4.9867257013466033648e-8;
    p = p * s - 2.1724026114168072305e-7;
    p = p * s - 4.115637226673288459e-7;
    p = p * s + 9.83952618670246956e-7;
    p = p * s + 2.7676476958331786001e-6;
    p = p * s - 4.7403575196727625287e-6;
    p = p * s - 0.000017471518107819132818;
    p = p * s + 0.000030394736350276436347;
    p = p * s + 0.00010756175232711500765;
    p = p * s - 0.00027677700002660450914;
    p = p * s - 0.00054830973877036011893;
    p = p * s + 0.0030340618739607776154;
    p = p * s - 0.0012124166223262532847;
    p = p * s - 0.026827234613876799357;
    p = p * s + 0.11952776128703074998;
    p = p * s - 0.31046726190097454763;
    p = p * s + 0.59022835710410717736;
    p = p * s - 0.88339445316987901454;
    return p * s + 1.0740069070883396841;
}

SCI_DEVICE float sci_erfcx_polynomial(const float s) {
    float p = -5.549062917e-5f;
    p = p * s - 1.457569197e-6f;
    p = p * s + 0.0006920233865f;
    p = p * s - 0.001345938214f;
    p = p * s - 0.003163996906f;
    p = p * s + 0.0265384354f;
    p = p * s - 0.09232243796f;
    p = p * s + 0.2257341418f;
    p = p * s - 0.4352555665f;
    p = p * s + 0.6941140215f;
    p = p * s - 0.9377997409f;
    return p * s + 1.087055584f;
}

template <typename T>
SCI_DEVICE T sci_gelu(const T x, T& slope) {
    constexpr T c = sizeof(T) == 8 ? T(3.0) : T(3.5);
    const T z = (x < 0 ? -x : x) * T(0.70710678118654752440);
    const T gauss = sci_exp(T(-0.5) * x * x), inverse = 1 / (z + c);
    const T tail = T(0.5) * gauss * sci_erfcx_polynomial((z - c) * inverse) * inverse;
    const T phi = x < 0 ? tail : 1 - tail;
    slope = phi + T(0.39894228040143267794) * x * gauss;
    return x * phi;
}
