// Back projector, the transpose of sinogram_forward.cu, which says what the arrays are.
//
// Written as a gather: each value along z collects from every segment and keeps its sums for a tile of
// steps in registers; then they are added to the steps' two image rows. On a CPU a slab of the image
// belongs to one thread at a time, so that no two write to the same voxel.
#include "passes.h"

constexpr int BACK_TILE = 8;  // parts of steps whose sums are held in registers; also a slab's thickness

// Zeros after a segment's planes; LANES stand before them.
template <int SPACING> constexpr int TAIL = SPACING == 0 ? 2 * LANES : LANES;

// A vector of a segment's planes from `p` on: zero where none of them exists.
DEVICE lane planes_from(const float* values, int p, int n_planes) {
    return p > -LANES && p < n_planes ? load(values + p) : lane{};
}

// Adds the sums of one vector along z (two for planes two voxels apart: even and odd z) to the image.
template <int SPACING>
DEVICE void add_rows(float* image, const Ray& ray, const lane* near, const lane* far, int z, int nz, int u0, int count, int parts) {
    UNROLL for (int t = 0; t < BACK_TILE; ++t) {
        if (t < count) {
            const Rows at(ray, (u0 + t) / parts);
            lane first = near[t], second = first;
            if (SPACING == 2) interleave(near[t], far[t], first, second);
            add(image + at.near + z, at.near_weight * first, nz - z, z);
            add(image + at.far + z, at.far_weight * first, nz - z, z);
            const int next = z + LANES;
            if (SPACING == 2 && next < nz) {
                add(image + at.near + next, at.near_weight * second, nz - next, next);
                add(image + at.far + next, at.far_weight * second, nz - next, next);
            }
        }
    }
}

// Planes one or two voxels apart.
template <int SPACING>
DEVICE void spread(float* image, const float* values, const Segments& segments, const Passes<SPACING, BACK_TILE>& passes, Bins bins,
                   const Ray& ray, int nz, int u0, int count, int parts) {
    const int n_passes = segments.count * bins.count(), step = SPACING * LANES;
    threads((nz + step - 1) / step, [&](int group) {
        lane near[BACK_TILE] = {}, far[BACK_TILE] = {};  // SPACING 2: even and odd z
        const int q = group * LANES;
        for (int pass = 0; pass < n_passes; ++pass) {
            const int g = pass % segments.count, n_planes = segments.size(g);
            const float* y = values + segments.padded(g, bins.first + pass / segments.count);
            const int* shift = passes.shift + pass * BACK_TILE;
            const float *v = passes.near + pass * BACK_TILE, *w = passes.far + pass * BACK_TILE;
            int k = shift[0] + 1;
            lane here{}, before{};
            UNROLL for (int t = 0; t < BACK_TILE; ++t) {
                if (shift[t] != k) {  // plane p meets z = SPACING p + k and z + 1
                    k = shift[t];
                    const int p = q - floor_div(k, SPACING);
                    here = planes_from(y, p, n_planes);
                    if (SPACING == 1 || (k & 1)) before = planes_from(y, p - 1, n_planes);
                }
                if (SPACING == 1) near[t] += v[t] * here + w[t] * before;
                else if (k & 1) far[t] += v[t] * here, near[t] += w[t] * before;
                else near[t] += v[t] * here, far[t] += w[t] * here;
            }
        }
        add_rows<SPACING>(image, ray, near, far, group * step, nz, u0, count, parts);
    });
}

// Planes any distance apart: z collects from the planes less than one voxel away.
DEVICE void spread(float* image, const float* values, const Segments& segments, const Passes<0, BACK_TILE>& passes, Bins bins,
                   const Ray& ray, int nz, int u0, int count, int parts) {
    const int n_passes = segments.count * bins.count();
    threads((nz + LANES - 1) / LANES, [&](int group) {
        lane total[BACK_TILE] = {};
        const float first = float(group * LANES), last = first + float(LANES - 1);
        const lane z = counting() + first;
        for (int pass = 0; pass < n_passes; ++pass) {
            const int g = pass % segments.count, n_planes = segments.size(g);
            const float* y = values + segments.padded(g, bins.first + pass / segments.count);
            const float spacing = segments.spacing(g), inverse = 1.0f / spacing;
            const int side = int(ceilf(inverse));  // planes on either side that may be near enough
            const bool narrow = float(LANES - 1) * inverse + 2.0f <= float(2 * LANES - 1);
            UNROLL for (int t = 0; t < BACK_TILE; ++t) {
                const float weight = passes.near[pass * BACK_TILE + t], z0 = passes.far[pass * BACK_TILE + t];
                if ((last + 1.0f - z0) * inverse < 0.0f || (first - 1.0f - z0) * inverse > float(n_planes - 1)) continue;
                const lane_index below = floor_of((z - z0) * inverse);
                for (int k = 1 - side; k <= side; ++k) {
                    const lane_index p = below + k;
                    const lane ahead = z0 + as_float(p) * spacing - z, behind = -ahead;
                    const lane distance = ahead > behind ? ahead : behind;
                    total[t] += weight * positive(1.0f - distance) * look_up(y, within(p, -1, n_planes), narrow);
                }
            }
        }
        add_rows<0>(image, ray, total, total, group * LANES, nz, u0, count, parts);
    });
}

template <int SPACING>
DEVICE void back_block(float* scratch, float* image, const float* in, const float* line, const Segments& segments,
                       const Image& size, const Tof& tof, int n_bins, int axis, int slab) {
    const Ray ray(line, size);
    const int low = most(ray.first, slab * BACK_TILE), high = least(ray.last, (slab + 1) * BACK_TILE);
    if (ray.axis != axis || low >= high) return;
    float* values = scratch;  // of the planes, times the length of a part, each segment padded with zeros
    const Passes<SPACING, BACK_TILE> passes(values + long(n_bins) * segments.n_padded, segments.count * n_bins);
    const int parts = segments.most_parts(ray);
    const Bins used = reached_bins(tof, ray, segments, low, high);
    teams(segments.count * used.count(), [&](int pass) {
        const int g = pass % segments.count, b = used.first + pass / segments.count, n_planes = segments.size(g);
        const float length = segments.length(g, ray);
        const float* bin = in + long(b) * segments.n_planes + segments.first_plane(g);
        float* value = values + segments.padded(g, b);
        members(-LANES, 0, 1, [&](int p) { value[p] = 0.0f; });
        members(0, n_planes, 1, [&](int p) { value[p] = length * bin[p]; });
        members(n_planes, n_planes + TAIL<SPACING>, 1, [&](int p) { value[p] = 0.0f; });
    });
    for (int u = low * parts; u < high * parts; u += BACK_TILE) {
        const int count = least(BACK_TILE, high * parts - u);
        const Bins bins = reached_bins(tof, ray, segments, u / parts, (u + count - 1) / parts + 1);
        barrier();
        passes.plan(ray, segments, tof, bins, u, count, parts);
        barrier();
        spread(image, values, segments, passes, bins, ray, size.nz, u, count, parts);
    }
    barrier();
}

// Blocks: x a slab of image planes across `axis`, y a ray. Rays of the other axis are left alone.
#define BACK(SPACING)                                                                                              \
    KERNEL sinogram_back_##SPACING(GRID float* image, const float* sinogram, int axis, GEOMETRY) {                 \
        UNPACK_GEOMETRY;                                                                                           \
        blocks([&](long slab, long y, float* scratch) {                                                            \
            const float* in = sinogram + y / n_radial * view_stride + y % n_radial * n_bins * n_planes;            \
            back_block<SPACING>(scratch, image, in, rays + y * 4, segments, size, tof, n_bins, axis, int(slab));   \
        });                                                                                                        \
    }
BACK(0)
BACK(1)
BACK(2)
