// Time of flight: how likely an annihilation at `x` mm along a LOR is to be timed into a bin.
// The timing error is a Gaussian cut off at a number of sigmas and renormalised to one, integrated
// over each bin. Because it is renormalised before it is divided among the bins, the weights of an
// endless row of bins sum to one for every x, and the bins of a real scanner to less than one only
// where the cut-off Gaussian reaches past its first or last bin: those counts are lost.
#pragma once
#include "machine.h"

// erf to 4e-7, a rational minimax fit on [-3.9, 3.9]; arguments stay below (sigmas / sqrt 2).
DEVICE float erf_fit(float x) {
    float t = x * x;
    float p = 1.98680188e-6f;
    p = p * t + 2.84560942e-4f;
    p = p * t + 3.88316513e-3f;
    p = p * t + 5.31011946e-2f;
    p = p * t + 1.93541027e-1f;
    p = p * t + 1.12837914f;
    float q = 3.74201161e-5f;
    q = q * t + 1.18552593e-3f;
    q = q * t + 1.52068952e-2f;
    q = q * t + 1.15348316e-1f;
    q = q * t + 5.04853826e-1f;
    q = q * t + 1.0f;
    return x * p / q;
}

struct Tof {
    int bins;        // 0: no time of flight
    float width;     // of a bin [mm]
    float reach;     // sigmas kept x sigma [mm]
    float scale;     // 1 / (sigma sqrt 2) [1/mm]
    float norm;      // 0.5 / erf(sigmas kept / sqrt 2)

    // Half the normalised integral of the timing error from -infinity to `edge`, less a constant.
    DEVICE float cumulative(float edge, float x) const { return norm * erf_fit(clamp(edge - x, -reach, reach) * scale); }
    DEVICE float edge(int bin) const { return (float(bin) - 0.5f * float(bins)) * width; }
    // Rounding must not make a weight negative.
    DEVICE float weight(int bin, float x) const { return greater(0.0f, cumulative(edge(bin + 1), x) - cumulative(edge(bin), x)); }
    // Bins that an annihilation between x = low and x = high can reach: [first, last).
    DEVICE int first(float low) const { return most(0, int(floorf((low - reach) / width + 0.5f * float(bins)))); }
    DEVICE int last(float high) const { return least(bins, int(ceilf((high + reach) / width + 0.5f * float(bins)))); }
};
