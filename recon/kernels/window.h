// The voxels around each voxel of an image (x, y, z), by their offsets.
#pragma once
#include "machine.h"

// `threads` of items from one to before another. A thread has the same items whatever the ends are, so that
// between two of them no barrier is due.
template <class Body> DEVICE void threads_between(int from, int to, Body body) {
#ifdef __CUDACC__
    threads(to, [&](int i) {
        if (i >= from) body(i);
    });
#else
#pragma GCC ivdep
    for (int i = from; i < to; ++i) body(i);
#endif
}

struct Window {
    const int* offsets;  // (size, 3) along x, y and z
    int size, nx, ny, nz;

    // body(k, here, there) for each offset k, or its opposite for sign -1, of each voxel of a row along z whose
    // neighbour lies within the image.
    template <class Body> DEVICE void around(long row, int sign, Body body) const {
        const int x = int(row / ny), y = int(row % ny);
        for (int k = 0; k < size; ++k) {
            const int a = sign * offsets[3 * k], b = sign * offsets[3 * k + 1], c = sign * offsets[3 * k + 2];
            if (x + a < 0 || x + a >= nx || y + b < 0 || y + b >= ny) continue;
            const long here = row * nz, there = here + (long(a) * ny + b) * nz + c;
            threads_between(most(0, -c), least(nz, nz - c), [&](int z) { body(k, here + z, there + z); });
        }
    }
};
