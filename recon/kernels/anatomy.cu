// What an anatomical image (x, y, z) says of neighbours. Blocks: x one row along z.
#include "window.h"

// chosen <- of each voxel the `count` neighbours of a window whose anatomy is most like its own: bit k % 32 of
// word k / 32 of (words, x, y, z), 0 before. Of neighbours as alike, those that come first in the window; all there
// are where the image's border leaves fewer. Scratch: 3 nz.
KERNEL most_alike(GRID int* chosen, const float* anatomy, const int* offsets, int size, int count, int nx, int ny, int nz) {
    constexpr int INFINITE = 0x7f800000;
    const Window window = {offsets, size, nx, ny, nz};
    const long n = long(nx) * ny * nz;
    blocks([&](long row, long, float* scratch) {
        const long first = row * nz;
        float* limit = scratch;
        int *least_bits = reinterpret_cast<int*>(scratch + nz), *nearer = least_bits + nz;
        const auto count_nearer = [&] {
            threads(nz, [&](int z) { nearer[z] = 0; });
            window.around(row, 1, [&](int, long i, long there) {
                nearer[i - first] += fabsf(anatomy[there] - anatomy[i]) < limit[i - first];
            });
        };
        const auto set_limit = [&](int bit) {
            threads(nz, [&](int z) {
                const int bits = least(least_bits[z] | bit, INFINITE);
                memcpy(limit + z, &bits, sizeof(float));
            });
        };
        // The count-th smallest difference, bit by bit from the highest: it is the largest limit below which there
        // are fewer than `count`, and numbers not negative are in the order of their bits.
        threads(nz, [&](int z) { least_bits[z] = 0; });
        for (int bit = 1 << 30; bit; bit >>= 1) {
            set_limit(bit);
            count_nearer();
            threads(nz, [&](int z) { least_bits[z] |= nearer[z] < count ? bit : 0; });
        }
        set_limit(0);
        count_nearer();
        int* left = nearer;  // how many of those at the limit are still to be chosen
        threads(nz, [&](int z) { left[z] = count - nearer[z]; });
        window.around(row, 1, [&](int k, long i, long there) {
            const float difference = fabsf(anatomy[there] - anatomy[i]), end = limit[i - first];
            const int tied = (difference == end) & (left[i - first] > 0);
            left[i - first] -= tied;
            chosen[k / 32 * n + i] |= ((difference < end) | tied) << k % 32;
        });
    });
}
