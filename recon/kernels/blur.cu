// Convolution of an image (x, y, z) along one axis with a symmetric kernel, zero outside.
// size and stride: of that axis, in voxels and floats. Blocks: x one row along z.
#include "machine.h"

KERNEL blur(GRID const float* image, float* out, const float* weights, int radius, int size, int stride, int nz, int rows) {
    blocks([&](long x, long y, float*) {
        const long row = x + y * rows;
        threads(nz, [&](int z) { out[row * nz + z] = 0.0f; });
        const long here = row * nz;
        if (stride == 1) {
            threads(nz, [&](int z) {
                float total = 0.0f;
                for (int k = most(-radius, -z); k <= least(radius, nz - 1 - z); ++k) total += weights[k + radius] * image[here + z + k];
                out[here + z] = total;
            });
            return;
        }
        const int at = int(here / stride % size);
        for (int k = most(-radius, -at); k <= least(radius, size - 1 - at); ++k) {
            const float* source = image + here + long(k) * stride;
            const float w = weights[k + radius];
            threads(nz, [&](int z) { out[here + z] += w * source[z]; });
        }
    });
}
