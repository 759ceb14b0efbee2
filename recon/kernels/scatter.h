// Single scatter: what rays from a scatter point to the detectors need.
#pragma once
#include "machine.h"

constexpr int SCATTER_GROUP = 8;  // rays, or pairs of rings, of a block: one for each warp

// An image whose outermost voxels are zero, so that nothing is cut off where it ends.
struct Field {
    const float* values;
    int nx, ny, nz;
    float dx, dy, dz, ox, oy, oz;  // sides of a voxel and the centre of voxel 0 [mm]

    // The value at a point, trilinear; zero from the outermost voxels' centres on.
    DEVICE float at(float x, float y, float z) const {
        const float px = clamp((x - ox) / dx, 0.0f, float(nx - 1)), py = clamp((y - oy) / dy, 0.0f, float(ny - 1));
        const float pz = clamp((z - oz) / dz, 0.0f, float(nz - 1));
        const int ix = most(0, least(int(px), nx - 2)), iy = most(0, least(int(py), ny - 2));
        const int iz = most(0, least(int(pz), nz - 2));
        const float fx = px - float(ix), fy = py - float(iy), fz = pz - float(iz);
        const int k = (ix * ny + iy) * nz + iz, sy = nz, sx = ny * nz;
        const float low = along(k, fz) * (1.0f - fy) + along(k + sy, fz) * fy;
        const float high = along(k + sx, fz) * (1.0f - fy) + along(k + sx + sy, fz) * fy;
        return low * (1.0f - fx) + high * fx;
    }
    DEVICE float along(int k, float f) const { return values[k] * (1.0f - f) + values[k + 1] * f; }
};

// Keeps the distances u, from low to high, at which from <= start + u slope <= to.
DEVICE void keep_within(float& low, float& high, float start, float slope, float from, float to) {
    if (fabsf(slope) > 1e-9f) {
        const float u = (from - start) / slope, w = (to - start) / slope;
        low = greater(low, lesser(u, w)), high = lesser(high, greater(u, w));
    } else if (start < from || start > to) {
        high = low - 1.0f;
    }
}

// exp(-x) to 3e-6 for x from 0 to 8, beyond which it stays: a library call would keep a CPU from
// computing several at once.
DEVICE float survival_fit(float x) {
    const float t = clamp(x, 0.0f, 8.0f) * -0.03125f;
    float e = 1.0f / 720.0f;
    e = e * t + 1.0f / 120.0f;
    e = e * t + 1.0f / 24.0f;
    e = e * t + 1.0f / 6.0f;
    e = e * t + 0.5f;
    e = e * t + 1.0f;
    e = e * t + 1.0f;
    e *= e, e *= e, e *= e, e *= e;
    return e * e;
}

DEVICE float sum_of(const float* p, int n) {
    float part[8] = {};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        UNROLL for (int j = 0; j < 8; ++j) part[j] += p[i + j];
    float rest = 0.0f;
    for (; i < n; ++i) rest += p[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7])) + rest;
}
