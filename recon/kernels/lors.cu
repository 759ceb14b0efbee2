// Projector of listed lines of response, any geometry, with or without time of flight.
//
//   image  (x, y, z) float, z fastest, zero outside; origin: centre of voxel 0 [mm]
//   lors   (event, 6) float: first point x, y, z, second point x, y, z [mm]
//   tof    (event) int: time-of-flight bin, counted towards the first point
//   chosen (n) int: which events to take; null for all
//
// Joseph's method: one step per image plane along the axis the LOR runs along most (z included), with
// bilinear interpolation in that plane. A LOR counts between its end points. IEEE TMI 1(3), 1982.
#include "tof.h"

constexpr int SLAB = 16;  // image planes that one block of a back projection owns

struct Volume {
    int n[3];
    float voxel[3], origin[3];
    DEVICE long stride(int axis) const { return axis == 2 ? 1 : axis == 1 ? n[2] : long(n[1]) * n[2]; }
};

DEVICE int main_axis(const float* lor) {
    const float x = fabsf(lor[3] - lor[0]), y = fabsf(lor[4] - lor[1]), z = fabsf(lor[5] - lor[2]);
    return x >= y && x >= z ? 0 : y >= z ? 1 : 2;
}

// The walk of one LOR along AXIS; B and C are the other two, C the one that is contiguous in memory.
template <int AXIS> struct Walk {
    static constexpr int B = AXIS == 0 ? 1 : 0, C = AXIS == 2 ? 1 : 2;
    int first = 0, last = 0;  // steps [first, last)
    float length, x0, dx, b0, db, c0, dc;

    DEVICE Walk(const float* lor, const Volume& v, const Tof& tof, int bin) {
        const float d[3] = {lor[3] - lor[0], lor[4] - lor[1], lor[5] - lor[2]};
        const float distance = sqrtf(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        length = 0.0f, x0 = dx = b0 = db = c0 = dc = 0.0f;
        if (!(distance > 0.0f)) return;
        const float t0 = (v.origin[AXIS] - lor[AXIS]) / d[AXIS], dt = v.voxel[AXIS] / d[AXIS];
        length = distance * fabsf(dt);
        x0 = (0.5f - t0) * distance, dx = -dt * distance;  // towards the first point
        b0 = (lor[B] + t0 * d[B] - v.origin[B]) / v.voxel[B], db = dt * d[B] / v.voxel[B];
        c0 = (lor[C] + t0 * d[C] - v.origin[C]) / v.voxel[C], dc = dt * d[C] / v.voxel[C];
        float low = 0.0f, high = float(v.n[AXIS] - 1);
        clip(low, high, t0, dt, 0.0f, 1.0f);
        clip(low, high, b0, db, -1.0f, float(v.n[B]));
        clip(low, high, c0, dc, -1.0f, float(v.n[C]));
        if (tof.bins) clip(low, high, x0, dx, tof.edge(bin) - tof.reach, tof.edge(bin + 1) + tof.reach);
        if (low > high) return;
        first = int(ceilf(low)), last = int(floorf(high)) + 1;
    }
    // Keeps the steps i for which from <= value + i step <= to.
    static DEVICE void clip(float& low, float& high, float value, float step, float from, float to) {
        if (fabsf(step) > 1e-9f) {
            const float u = (from - value) / step, w = (to - value) / step;
            low = greater(low, lesser(u, w)), high = lesser(high, greater(u, w));
        } else if (value < from || value > to) {
            high = -1.0f;
        }
    }
};

// Steps computed side by side; a CPU turns them into vectors.
constexpr int STRIDE = LANES;

// Gives `visit` every step between two planes: voxel offsets and weights, C's two neighbours apart.
// A voxel outside the image is replaced by one inside with a weight of zero.
template <int AXIS, class Visit>
DEVICE void walk(const Walk<AXIS>& w, const Volume& v, const Tof& tof, int bin, int from, int to, Visit visit) {
    constexpr int B = Walk<AXIS>::B, C = Walk<AXIS>::C;
    const int axis_stride = int(v.stride(AXIS)), b_stride = int(v.stride(B)), c_stride = int(v.stride(C));
    const int nb = v.n[B], nc = v.n[C];
    const int begin = most(from, w.first), end = least(to, w.last);
    for (int i = begin; i < end; i += STRIDE) {
        int at[4][STRIDE];
        float weight[4][STRIDE], length[STRIDE];
        SIMD for (int l = 0; l < STRIDE; ++l) length[l] = w.length;
        if (tof.bins) SIMD for (int l = 0; l < STRIDE; ++l) length[l] *= tof.weight(bin, w.x0 + float(i + l) * w.dx);
        SIMD for (int l = 0; l < STRIDE; ++l) {
            const float step = float(i + l);
            const float b = w.b0 + step * w.db, c = w.c0 + step * w.dc;
            const float b_below = floorf(b), c_below = floorf(c);
            const int jb = int(b_below), jc = int(c_below);
            const float b_far = (jb >= -1) & (jb < nb - 1) ? b - b_below : 0.0f;
            const float b_near = (jb >= 0) & (jb < nb) ? 1.0f - (b - b_below) : 0.0f;
            const float c_far = (jc >= -1) & (jc < nc - 1) ? c - c_below : 0.0f;
            const float c_near = (jc >= 0) & (jc < nc) ? 1.0f - (c - c_below) : 0.0f;
            const float all = length[l];
            const int row = (i + l) * axis_stride;
            const int near = row + most(0, least(jb, nb - 1)) * b_stride;
            const int far = row + most(0, least(jb + 1, nb - 1)) * b_stride;
            const int low = most(0, least(jc, nc - 1)) * c_stride, high = most(0, least(jc + 1, nc - 1)) * c_stride;
            at[0][l] = near + low, weight[0][l] = all * b_near * c_near;
            at[1][l] = near + high, weight[1][l] = all * b_near * c_far;
            at[2][l] = far + low, weight[2][l] = all * b_far * c_near;
            at[3][l] = far + high, weight[3][l] = all * b_far * c_far;
        }
        for (int l = 0; l < least(STRIDE, end - i); ++l)
            UNROLL for (int k = 0; k < 4; ++k) visit(k, at[k][l], weight[k][l]);
    }
}

template <int AXIS>
DEVICE float forward_lor(const float* image, const float* lor, const Volume& v, const Tof& tof, int bin) {
    const Walk<AXIS> w(lor, v, tof, bin);
    float total[4] = {};
    walk(w, v, tof, bin, 0, v.n[AXIS], [&](int k, int at, float weight) { total[k] += weight * image[at]; });
    return (total[0] + total[1]) + (total[2] + total[3]);
}

template <int AXIS>
DEVICE void back_lor(float* image, float value, const float* lor, const Volume& v, const Tof& tof, int bin, int slab) {
    const Walk<AXIS> w(lor, v, tof, bin);
    walk(w, v, tof, bin, slab * SLAB, (slab + 1) * SLAB, [&](int, int at, float weight) { add(image + at, value * weight); });
}

#define LORS                                                                                                         \
    const float *lors, const int *tof_bin, int nx, int ny, int nz, float dx, float dy, float dz, float ox, float oy, \
        float oz, int tof_bins, float tof_width, float tof_reach, float tof_scale, float tof_norm

KERNEL lors_forward(GRID const float* image, float* values, int n, LORS) {
    const Volume v{{nx, ny, nz}, {dx, dy, dz}, {ox, oy, oz}};
    const Tof tof{tof_bins, tof_width, tof_reach, tof_scale, tof_norm};
    each(n, [&](long i) {
        const float* lor = lors + 6 * i;
        const int axis = main_axis(lor), bin = tof_bins ? tof_bin[i] : 0;
        values[i] = axis == 0   ? forward_lor<0>(image, lor, v, tof, bin)
                    : axis == 1 ? forward_lor<1>(image, lor, v, tof, bin)
                                : forward_lor<2>(image, lor, v, tof, bin);
    });
}

// Blocks: x a slab of image planes across AXIS, y a group of LORs. `chosen` lists the LORs of that axis.
#define BACK_LORS(AXIS)                                                                                              \
    KERNEL lors_back_##AXIS(GRID float* image, const float* values, const int* chosen, int n, int group, LORS) {     \
        const Volume v{{nx, ny, nz}, {dx, dy, dz}, {ox, oy, oz}};                                                    \
        const Tof tof{tof_bins, tof_width, tof_reach, tof_scale, tof_norm};                                          \
        blocks([&](long slab, long y, float*) {                                                                      \
            threads(least(group, n - int(y) * group), [&](int k) {                                                   \
                const int i = chosen[y * group + k];                                                                 \
                const int bin = tof_bins ? tof_bin[i] : 0;                                                           \
                back_lor<AXIS>(image, values[i], lors + 6 * long(i), v, tof, bin, int(slab));                        \
            });                                                                                                      \
        });                                                                                                          \
    }
BACK_LORS(0)
BACK_LORS(1)
BACK_LORS(2)
