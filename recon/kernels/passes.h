// How the segments of a sinogram pass through a tile of a ray's steps, shared by forward and back
// projection so that they are transposes of each other by construction.
//
// All planes of all segments share a ray's transaxial path, so a step's two image rows (all z) are
// interpolated into one row once, and every segment meets that row with its own shift along z, the
// same for all its planes. Per segment, time-of-flight bin and step, a pass holds that shift and the
// two weights with which a plane meets the row at z and z + 1.
#pragma once
#include "ray.h"

struct Segments {
    const float* table;  // (segment, 3) along z in voxels: first plane at a = 0, spacing of planes, axial distance of the ends
    const int* planes;   // (segment, 3): first plane in the sinogram, number of planes, first value in a block's padded planes
    int count, n_planes, n_padded;
    float dz;

    DEVICE float first_z(int g) const { return table[3 * g]; }
    DEVICE float spacing(int g) const { return table[3 * g + 1]; }
    DEVICE float axial(int g) const { return table[3 * g + 2]; }
    DEVICE int first_plane(int g) const { return planes[3 * g]; }
    DEVICE int size(int g) const { return planes[3 * g + 1]; }
    DEVICE long padded(int g, int bin) const { return long(bin) * n_padded + planes[3 * g + 2]; }
    DEVICE float slant(int g, const Ray& ray) const {  // 1 / cos(theta)
        const float tangent = axial(g) * dz / (2.0f * ray.half);
        return sqrtf(1.0f + tangent * tangent);
    }
    // A step is divided into as many parts as keep a segment from skipping voxels along z: each part has
    // its own z, all share the step's row.
    DEVICE int parts(int g, const Ray& ray) const {
        return most(1, int(ceilf(fabsf(axial(g) * ray.da) / (2.0f * ray.half) - 1e-3f)));
    }
    DEVICE int most_parts(const Ray& ray) const {
        int n = 1;
        for (int g = 0; g < count; ++g) n = most(n, parts(g, ray));
        return n;
    }
    DEVICE float length(int g, const Ray& ray) const { return fabsf(ray.da) / float(parts(g, ray)) * slant(g, ray); }
    DEVICE float steepest() const {
        float most_axial = 0.0f;
        for (int g = 0; g < count; ++g) most_axial = greater(most_axial, fabsf(axial(g)));
        return most_axial;
    }
};

struct Bins {  // of time of flight: [first, last)
    int first, last;
    DEVICE int count() const { return most(0, last - first); }
};

// The time-of-flight bins that steps [from, to) of a ray can reach; one bin without time of flight.
DEVICE Bins reached_bins(const Tof& tof, const Ray& ray, const Segments& segments, int from, int to) {
    if (!tof.bins) return {0, 1};
    const float tangent = segments.steepest() * segments.dz / (2.0f * ray.half), longest = sqrtf(1.0f + tangent * tangent);
    const float u = ray.a0 + (float(from) - 0.5f) * ray.da, v = ray.a0 + (float(to) - 0.5f) * ray.da;
    const float low = lesser(u, v), high = greater(u, v);
    return {tof.first(lesser(low, low * longest)), tof.last(greater(high, high * longest))};
}

// SPACING is the spacing of planes in voxels where it is 1 or 2; 0 stands for any: `far` is z then.
template <int SPACING, int TILE> struct Passes {
    int* shift;
    float *near, *far;
    DEVICE Passes(float* scratch, int count) {
        shift = reinterpret_cast<int*>(scratch);
        near = scratch + count * TILE;
        far = near + count * TILE;
    }
    // Parts u0 .. u0 + count of the steps, `parts` to a step. A segment that takes fewer parts repeats its
    // last one with no weight, and so do the parts past the last.
    DEVICE void plan(const Ray& ray, const Segments& segments, const Tof& tof, Bins bins, int u0, int count, int parts) const {
        const float share = 1.0f / float(parts);
        teams(segments.count, [&](int g) {
            const float slope = -segments.axial(g) / (2.0f * ray.half), slant = segments.slant(g, ray), z0 = segments.first_z(g);
            const float own = float(segments.parts(g, ray)), part = 1.0f / own;
            for (int b = bins.first; b < bins.last; ++b) {
                const int at = ((b - bins.first) * segments.count + g) * TILE;
                int* k = shift + at;
                float *v = near + at, *w = far + at;
                members(0, TILE, 1, [&](int t) {
                    const float u = float(u0 + least(t, count - 1));
                    const float step = floorf((u + 0.5f) * share), k = u - step * float(parts);
                    v[t] = t < count && k < own ? 1.0f : 0.0f;
                    w[t] = ray.a0 + (step + (lesser(k, own - 1.0f) + 0.5f) * part - 0.5f) * ray.da;
                });
                if (tof.bins) members(0, TILE, 1, [&](int t) { v[t] *= tof.weight(b, w[t] * slant); });
                members(0, TILE, 1, [&](int t) {
                    const float weight = v[t], z = z0 + w[t] * slope, below = floorf(z);
                    k[t] = int(below);
                    v[t] = SPACING ? weight * (1.0f - (z - below)) : weight;
                    w[t] = SPACING ? weight * (z - below) : z;
                });
            }
        });
    }
};

#define GEOMETRY                                                                                                  \
    const float *rays, const float *table, const int *planes, int n_radial, int n_segments, int n_planes,         \
        int n_padded, long view_stride, int nx, int ny, int nz, float dx, float dy, float dz, float ox, float oy,  \
        int tof_bins, float tof_width, float tof_reach, float tof_scale, float tof_norm
#define UNPACK_GEOMETRY                                                                                           \
    const Image size{nx, ny, nz, dx, dy, ox, oy};                                                                 \
    const Segments segments{table, planes, n_segments, n_planes, n_padded, dz};                                   \
    const Tof tof{tof_bins, tof_width, tof_reach, tof_scale, tof_norm};                                           \
    const int n_bins = most(1, tof_bins)
