// The walk of one (view, radial) ray through the transaxial planes of an image, shared by forward and
// back projection so that they are transposes of each other by construction.
#pragma once
#include "tof.h"

struct Image {
    int nx, ny, nz;
    float dx, dy, ox, oy;  // voxel size and centre of voxel 0 [mm]
};

// Joseph's method: one step per image plane along the axis (x or y) the ray runs along most, with
// linear interpolation across it. Step i lies at a = a0 + i da along the ray and at c0 + i dc voxels
// across. The image is zero outside, so interpolation fades out over the voxel past the border.
struct Ray {
    int axis;           // 0: steps along x, 1: along y
    int first, last;    // steps [first, last) lie between the detectors and inside the image
    int across;         // voxels across
    long step_stride, across_stride;
    float a0, da, c0, dc, half;

    DEVICE Ray(const float* line, const Image& image) {
        const float cosine = line[0], sine = line[1], s = line[2];
        half = line[3];
        axis = fabsf(sine) >= fabsf(cosine) ? 0 : 1;
        int steps;
        if (axis == 0) {  // x = s cos + a sin
            steps = image.nx, across = image.ny;
            step_stride = long(image.ny) * image.nz, across_stride = image.nz;
            a0 = (image.ox - s * cosine) / sine, da = image.dx / sine;
            c0 = (s * sine - a0 * cosine - image.oy) / image.dy, dc = -da * cosine / image.dy;
        } else {  // y = s sin - a cos
            steps = image.ny, across = image.nx;
            step_stride = image.nz, across_stride = long(image.ny) * image.nz;
            a0 = (s * sine - image.oy) / cosine, da = -image.dy / cosine;
            c0 = (s * cosine + a0 * sine - image.ox) / image.dx, dc = da * sine / image.dx;
        }
        float low = (-half - a0) / da, high = (half - a0) / da;
        if (low > high) { const float swap = low; low = high; high = swap; }
        low = greater(low, 0.0f), high = lesser(high, float(steps - 1));
        if (fabsf(dc) > 1e-7f) {  // else the ray stays between the same two rows
            float enter = (-1.0f - c0) / dc, leave = (float(across) - c0) / dc;
            if (enter > leave) { const float swap = enter; enter = leave; leave = swap; }
            low = greater(low, enter), high = lesser(high, leave);
        } else if (c0 <= -1.0f || c0 >= float(across)) {
            high = -1.0f;
        }
        first = int(ceilf(clamp(low, 0.0f, float(steps))));
        last = int(floorf(clamp(high, -1.0f, float(steps - 1)))) + 1;
        if (!(half > 0.0f)) last = first;  // a ray of zero length
    }
    DEVICE int size() const { return last - first; }
};

// The two image rows that step `i` interpolates between, with their weights; a row outside weighs 0.
struct Rows {
    long near, far;
    float near_weight, far_weight;
    DEVICE Rows(const Ray& ray, int i) {
        const float c = ray.c0 + float(i) * ray.dc;
        const int j = int(floorf(c));
        far_weight = j >= -1 && j + 1 < ray.across ? c - float(j) : 0.0f;
        near_weight = j >= 0 && j < ray.across ? 1.0f - (c - float(j)) : 0.0f;
        near = i * ray.step_stride + most(0, least(j, ray.across - 1)) * ray.across_stride;
        far = i * ray.step_stride + most(0, least(j + 1, ray.across - 1)) * ray.across_stride;
    }
};
