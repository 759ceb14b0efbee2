// Images made of neighbours that are alike in an anatomical image (x, y, z). Blocks: x one row along z.
#include "window.h"

// exp(-u) of u from 0 on, to 7e-7 of it up to 10, and 0 past 88: unlike expf, compilers put it into vectors.
DEVICE float decayed(float u) {
    const float halvings = lesser(1.44269504f * u, 127.0f);
    const int whole = int(halvings + 0.5f), bits = (127 - whole) << 23;
    const float r = 0.693147181f * (float(whole) - halvings);
    const float rest = 1.0f + r * (1.0f + r * (1.0f / 2 + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r / 720)))));
    float power;
    memcpy(&power, &bits, sizeof(float));
    return rest * power;
}

// out <- K image, or K^T image, of K_jl = scale_j near_k exp(-(feature_j - feature_l)^2) for l at offset k of a window
// from j where bit k of `chosen` (as `most_alike` sets it) says so of j, else 0.
// Both gather: of K^T, voxel l looks at the voxels that it lies at an offset from.
KERNEL kernelised(GRID float* out, const float* image, const float* feature, const float* scale, const int* chosen,
                  const int* offsets, const float* near, int size, int transposed, int nx, int ny, int nz) {
    const Window window = {offsets, size, nx, ny, nz};
    const long n = long(nx) * ny * nz;
    const auto weight = [&](int k, long j, long l) {
        const float difference = feature[j] - feature[l], among = float(chosen[k / 32 * n + j] >> k % 32 & 1);
        return among * near[k] * decayed(difference * difference);
    };
    blocks([&](long row, long, float*) {
        const long first = row * nz;
        threads(nz, [&](int z) { out[first + z] = 0.0f; });
        if (transposed) {
            window.around(row, -1, [&](int k, long l, long j) { out[l] += weight(k, j, l) * (scale[j] * image[j]); });
        } else {
            window.around(row, 1, [&](int k, long j, long l) { out[j] += weight(k, j, l) * image[l]; });
            threads(nz, [&](int z) { out[first + z] *= scale[first + z]; });
        }
    });
}
