// Forward projector of a cylindrical scanner's sinograms, with or without time of flight.
//
//   image     (x, y, z) float, z fastest
//   sinogram  (view, radial, tof, plane) float, planes fastest; `view_stride` floats from view to view
//   rays      (view, radial, 4): cos phi, sin phi, s [mm], half the chord between the detectors [mm]
//   table, planes: see passes.h
//
// While a segment's shift along z stays within one voxel its loads do not move: on a CPU they are
// aligned to the row and the sums stay in registers for that run of steps. For planes two voxels apart,
// even and odd z are kept apart, so that loads are contiguous. Joseph, IEEE TMI 1(3), 1982.
#include "passes.h"

constexpr int FORWARD_TILE = 16;  // parts of steps taken at once, at most; fewer where rows are long

// Rows of all z, padded with zeros. chunks.py allots scratch by the same rule.
template <int SPACING> struct Row {
    static constexpr int kinds = SPACING == 2 ? 3 : 2;  // even, odd, even + 2 | row, row + 1
    int size;
    DEVICE explicit Row(int nz) {
        const int n = SPACING == 2 ? nz / 2 + 2 : SPACING == 1 ? nz + 1 : nz + 1 + 2 * LANES;
        size = (n + 2 * LANES - 1) / LANES * LANES;
    }
    DEVICE long step() const { return long(kinds) * size; }
};

// Interpolates the image transaxially at `count` steps from `first` on into rows whose padding is zero.
template <int SPACING>
DEVICE void fill(float* rows, const Row<SPACING>& shape, const float* image, int nz, const Ray& ray, int first, int count) {
    teams(count, [&](int t) {
        const Rows at(ray, first + t);
        const float *near = image + at.near, *far = image + at.far;
        const float v = at.near_weight, w = at.far_weight;
        float *row = rows + t * shape.step() + LANES, *second = row + shape.size, *third = second + shape.size;
        // Whole vectors; the last overlaps the one before it.
        const int n = SPACING == 2 ? nz / 2 : nz;
        const auto put = [&](int q) {
            if constexpr (SPACING == 2) {
                lane even, odd;
                deinterleave(v * load(near + 2 * q) + w * load(far + 2 * q),
                             v * load(near + 2 * q + LANES) + w * load(far + 2 * q + LANES), even, odd);
                store(row + q, even), store(third + q - 1, even), store(second + q, odd);
            } else {
                const lane value = v * load(near + q) + w * load(far + q);
                store(row + q, value), store(second + q - 1, value);
            }
        };
        const auto put_one = [&](int z) {
            const float value = v * near[z] + w * far[z];
            if (SPACING != 2) row[z] = second[z - 1] = value;
            else if (z & 1) second[z / 2] = value;
            else row[z / 2] = third[z / 2 - 1] = value;
        };
        if (n >= LANES) members(0, n, LANES, [&](int q) { put(least(q, n - LANES)); });
        else members(0, nz, 1, put_one);
        if (SPACING == 2 && (nz & 1)) members(nz - 1, nz, 1, put_one);
    });
}

// Adds parts [from, to), which share a shift, to COUNT vectors of planes. row_at[t]: where part t's row is.
template <int COUNT>
DEVICE void add_run(float* sum, const float* row, const int* row_at, long far_row, const float* near, const float* far, int from, int to) {
    lane total[COUNT];
    UNROLL for (int c = 0; c < COUNT; ++c) total[c] = load(sum + c * LANES);
    for (int t = from; t < to; ++t) {
        const float* here = row + row_at[t];
        UNROLL for (int c = 0; c < COUNT; ++c)
            total[c] += near[t] * load_aligned(here + c * LANES) + far[t] * load_aligned(here + far_row + c * LANES);
    }
    UNROLL for (int c = 0; c < COUNT; ++c) store(sum + c * LANES, total[c]);
}

DEVICE void add_runs(float* sum, const float* row, const int* row_at, long far_row, const float* near, const float* far, int from, int to,
                     int vectors) {
    if (vectors >= BATCH) add_run<BATCH>(sum, row, row_at, far_row, near, far, from, to);
    else if (vectors == 3) add_run<3>(sum, row, row_at, far_row, near, far, from, to);
    else if (vectors == 2) add_run<2>(sum, row, row_at, far_row, near, far, from, to);
    else add_run<1>(sum, row, row_at, far_row, near, far, from, to);
}

// Adds a tile's steps to the planes of one segment.
template <int SPACING>
DEVICE void gather(float* sum, int n_planes, float spacing, const float* rows, const int* row_at, const Row<SPACING>& shape,
                   int nz, const int* shift, const float* near, const float* far, int count) {
    if constexpr (SPACING == 0) {
        const float reach = float(LANES - 1) * spacing;
        const bool narrow = reach + 2.0f <= float(2 * LANES - 1);
        members(0, n_planes, LANES, [&](int p) {
            lane total = load(sum + p);
            const lane planes = (counting() + float(p)) * spacing;
            for (int t = 0; t < count; ++t) {
                const lane z = planes + far[t];
                if (first_of(z) >= float(nz) || first_of(z) + reach <= -1.0f) continue;
                const lane_index below = floor_of(z), at = within(below, -2, nz);  // zeros outside
                const lane f = z - as_float(below);
                const float* here = rows + row_at[t] + LANES;
                const lane low = look_up(here, at, narrow), high = look_up(here + shape.size, at, narrow);
                total += near[t] * (low + f * (high - low));
            }
            store(sum + p, total);
        });
    } else {
        for (int t = 0, end; t < count; t = end) {
            const int k = shift[t];
            for (end = t + 1; end < count && shift[end] == k;) ++end;
            // Plane p meets z = SPACING p + k; only -1 <= z < nz matters. On a CPU it starts at a plane
            // whose place in the row is aligned: planes before the first are padding, or meet zeros.
            const int low = most(0, -floor_div(k + 1, SPACING)), high = least(n_planes, floor_div(nz - 1 - k, SPACING) + 1);
            const int offset = floor_div(k, SPACING) + LANES, start = low - ((low + offset) & (LANES - 1));
            const float* row = rows + (SPACING == 2 ? (k & 1) * shape.size : 0) + offset;
            members(start, high, BATCH * LANES, [&](int p) {
                add_runs(sum + p, row + p, row_at, shape.size, near, far, t, end, (high - p + LANES - 1) / LANES);
            });
            team_barrier();
        }
    }
}

template <int SPACING>
DEVICE void forward_block(float* scratch, const float* image, float* out, const float* line, const Segments& segments,
                          const Image& size, const Tof& tof, int n_bins, int tile) {
    const Row<SPACING> shape(size.nz);
    const Ray ray(line, size);
    float *rows = scratch, *sums = rows + tile * shape.step();
    int* row_at = reinterpret_cast<int*>(sums + long(n_bins) * segments.n_padded);
    const Passes<SPACING, FORWARD_TILE> passes(reinterpret_cast<float*>(row_at + FORWARD_TILE), segments.count * n_bins);
    threads(int(sums - rows) + n_bins * segments.n_padded, [&](int i) { scratch[i] = 0.0f; });
    barrier();
    const int parts = ray.size() > 0 ? segments.most_parts(ray) : 1;
    for (int u = ray.first * parts; u < ray.last * parts; u += tile) {
        const int count = least(tile, ray.last * parts - u), first = u / parts, last = (u + count - 1) / parts + 1;
        const Bins bins = reached_bins(tof, ray, segments, first, last);
        fill(rows, shape, image, size.nz, ray, first, last - first);
        threads(count, [&](int t) { row_at[t] = ((u + t) / parts - first) * int(shape.step()); });
        passes.plan(ray, segments, tof, bins, u, count, parts);
        barrier();
        teams(segments.count * bins.count(), [&](int pass) {
            const int g = pass % segments.count, at = pass * FORWARD_TILE;
            float* sum = sums + segments.padded(g, bins.first + pass / segments.count);
            gather(sum, segments.size(g), segments.spacing(g), rows, row_at, shape, size.nz, passes.shift + at, passes.near + at,
                   passes.far + at, count);
        });
        barrier();
    }
    teams(segments.count * n_bins, [&](int pass) {
        const int g = pass % segments.count, b = pass / segments.count;
        const float length = ray.size() > 0 ? segments.length(g, ray) : 0.0f;
        const float* sum = sums + segments.padded(g, b);
        float* bin = out + long(b) * segments.n_planes + segments.first_plane(g);
        members(0, segments.size(g), 1, [&](int p) { bin[p] = length * sum[p]; });
    });
    barrier();
}

// Blocks: x a group of `group` radial bins of a view, y a bin of the group.
#define FORWARD(SPACING)                                                                                           \
    KERNEL sinogram_forward_##SPACING(GRID const float* image, float* sinogram, int group, int tile, GEOMETRY) {             \
        UNPACK_GEOMETRY;                                                                                           \
        blocks([&](long x, long y, float* scratch) {                                                               \
            const int groups = (n_radial + group - 1) / group;                                                     \
            const long view = x / groups, radial = x % groups * group + y;                                         \
            if (radial >= n_radial) return;                                                                        \
            float* out = sinogram + view * view_stride + radial * n_bins * n_planes;                               \
            const float* line = rays + (view * n_radial + radial) * 4;                                             \
            forward_block<SPACING>(scratch, image, out, line, segments, size, tof, n_bins, tile);                  \
        });                                                                                                        \
    }
FORWARD(0)
FORWARD(1)
FORWARD(2)
