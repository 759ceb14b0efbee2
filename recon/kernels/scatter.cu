// Single scatter simulation, with or without time of flight.
//
// Watson, Newport and Casey, in Three-Dimensional Image Reconstruction in Radiology and Nuclear
// Medicine, 1996; Watson, IEEE TNS 47(4), 2000; time of flight: Watson, IEEE TNS 54(5), 2007.
//
//   points     (4, capacity) float: x, y, z [mm] and mu * volume [mm^2] of n_points scatter points
//   detectors  (crystal, ring, 3) float: x, y, z [mm]
//   tables     (crystal, ring, capacity) float: something of the ray from each detector to each point
//   pairs      (crystal1, offset, tof, ring1, ring2) float; crystal2 = crystal1 + first_offset + offset
//
// With time of flight a ray's table is its emission's profile: how much of it is timed into a bin
// whose centre lies i steps from the scatter point towards the detector. A bin is `phases` steps
// wide. A profile is kept by phase, so that a row of bins is contiguous: (phases, columns), i =
// column * phases + phase, with `bins` zeros before and after each phase.
#include "scatter.h"

// Line integrals of an image from each scatter point to each detector, by samples in the middle of
// each of the parts of each step from the point on; and, where there are taps, profiles: taps (2 reach)
// float is the share of an emission (t + 1/2 - reach) steps from a bin's centre that is timed into it.
// Blocks: x a detector, y a group of points. Scratch: SCATTER_GROUP * (samples + 4 reach + phases + inner).
KERNEL scatter_rays(GRID const float* image, const float* points, const float* detectors, const float* taps, float* sums,
                    float* profiles, int n_points, int capacity, int nx, int ny, int nz, float dx, float dy, float dz,
                    float ox, float oy, float oz, float step, int samples, int parts, int reach, int phases, int columns,
                    int bins) {
    const Field field{image, nx, ny, nz, dx, dy, dz, ox, oy, oz};
    const int padded = samples + 4 * reach + phases, inner = phases * (columns - 2 * bins);
    blocks([&](long detector, long group, float* scratch) {
        teams(least(SCATTER_GROUP, n_points - int(group) * SCATTER_GROUP), [&](int team) {
            const int s = int(group) * SCATTER_GROUP + team;
            float* values = scratch + team * (padded + inner);
            float* profile = values + padded;
            const float* d = detectors + 3 * detector;
            const float x = points[s], y = points[capacity + s], z = points[2 * capacity + s];
            const float away = sqrtf((d[0] - x) * (d[0] - x) + (d[1] - y) * (d[1] - y) + (d[2] - z) * (d[2] - z));
            const float ux = (d[0] - x) / away, uy = (d[1] - y) / away, uz = (d[2] - z) / away;
            float low = 0.0f, high = away;
            keep_within(low, high, x, ux, ox, ox + float(nx - 1) * dx);
            keep_within(low, high, y, uy, oy, oy + float(ny - 1) * dy);
            keep_within(low, high, z, uz, oz, oz + float(nz - 1) * dz);
            const int first = most(0, int(low / step)), last = high < low ? first : least(samples, int(high / step) + 1);
            const float part = step / float(parts);
            members(0, padded, 1, [&](int i) { values[i] = 0.0f; });
            team_barrier();
            members(first, last, 1, [&](int i) {
                float total = 0.0f;
                for (int k = 0; k < parts; ++k) {
                    const float u = float(i) * step + (float(k) + 0.5f) * part;
                    total += field.at(x + u * ux, y + u * uy, z + u * uz);
                }
                values[2 * reach + i] = part * total;
            });
            team_barrier();
            const long row = detector * capacity + s;
            if (sums) members(0, 1, 1, [&](int) { sums[row] = sum_of(values + 2 * reach, samples); });
            if (profiles) {
                // Element i is i - reach steps from the point: as far as a timing error reaches.
                members(0, inner, 1, [&](int i) {
                    float total = 0.0f;
                    for (int t = 0; t < 2 * reach; ++t) total += taps[t] * values[i + t];
                    profile[i] = total;
                });
                team_barrier();
                float* out = profiles + row * phases * columns;
                for (int phase = 0; phase < phases; ++phase)
                    members(0, columns, 1, [&](int j) {
                        const int k = j - bins;
                        const bool inside = (k >= 0) & (k < columns - 2 * bins);
                        out[phase * columns + j] = inside ? profile[most(0, k) * phases + phase] : 0.0f;
                    });
            }
            team_barrier();
        });
    });
}

// Where a row of bins begins in a profile, `place` steps from its first element: an offset, the next
// step's, and how far it lies towards that. All four are apart by `capacity`, after the ray's weight.
DEVICE void bins_in(float* ray, int capacity, float place, int phases, int columns, int bins) {
    const float below = floorf(place);
    const int column = int(floorf((below + 0.5f) / float(phases))), phase = int(below) - column * phases;
    const int wraps = phase + 1 == phases ? 1 : 0, end = columns - bins;
    ray[capacity] = float(phase * columns + most(0, least(column + bins, end)));
    ray[2 * capacity] = float((wraps ? 0 : phase + 1) * columns + most(0, least(column + wraps + bins, end)));
    ray[3 * capacity] = place - below;
}

// What a detector's rays give to each bin; `size` floats of profile for each point. A vector's last values
// may lie past the bins: they are read, and written to the scratch, for nothing.
DEVICE void timed(float* out, const float* ray, const float* profiles, int n_points, int capacity, int size, int bins) {
    members(0, bins, LANES, [&](int k) {
        lane total = lane{};
        for (int s = 0; s < n_points; ++s) {
            const float near = ray[s] * (1.0f - ray[3 * capacity + s]), far = ray[s] * ray[3 * capacity + s];
            const float* profile = profiles + long(s) * size + k;
            total += near * load(profile + int(ray[capacity + s])) + far * load(profile + int(ray[2 * capacity + s]));
        }
        store(out + k, total);
    });
}

struct Sight {  // of a pair of detectors
    const float *a, *b;
    float n1x, n1y, n2x, n2y;  // which way they face
    float unscattered;         // what the pair sees of its own line, less constants: r^2 / (cosA cosB)

    DEVICE Sight(const float* first, const float* second) : a(first), b(second) {
        const float inward1 = -1.0f / sqrtf(a[0] * a[0] + a[1] * a[1]), inward2 = -1.0f / sqrtf(b[0] * b[0] + b[1] * b[1]);
        n1x = a[0] * inward1, n1y = a[1] * inward1, n2x = b[0] * inward2, n2y = b[1] * inward2;
        const float x = b[0] - a[0], y = b[1] - a[1], z = b[2] - a[2], apart = x * x + y * y + z * z;
        unscattered = apart * apart / -((x * n1x + y * n1y) * (x * n2x + y * n2y));
    }
};

// What one of a pair's two photons gives where the other is scattered in point s, per unit of activity on
// the line to detector 1, and to detector 2; and half of how much further detector 2 is from the point.
struct Scattered {
    float from1, from2, later;

    DEVICE Scattered(const Sight& pair, const float* points, int capacity, int s, const float* angles, int angle_count,
                     float atten1, float atten2, float left) {
        const float px = points[s], py = points[capacity + s], pz = points[2 * capacity + s];
        const float ux = pair.a[0] - px, uy = pair.a[1] - py, uz = pair.a[2] - pz;
        const float vx = pair.b[0] - px, vy = pair.b[1] - py, vz = pair.b[2] - pz;
        const float r1 = sqrtf(ux * ux + uy * uy + uz * uz), r2 = sqrtf(vx * vx + vy * vy + vz * vz);
        const float near = 1.0f / (r1 * r2);
        const float cosine = clamp(-(ux * vx + uy * vy + uz * vz) * near, -1.0f, 1.0f);
        const float angle = (cosine + 1.0f) * 0.5f * float(angle_count);
        const int k = least(int(angle), angle_count - 1);
        const float f = angle - float(k);
        const float chance = angles[2 * k] * (1.0f - f) + angles[2 * k + 2] * f;
        const float excess = angles[2 * k + 1] * (1.0f - f) + angles[2 * k + 3] * f;
        const float faced1 = greater(0.0f, -(ux * pair.n1x + uy * pair.n1y));
        const float faced2 = greater(0.0f, -(vx * pair.n2x + vy * pair.n2y));
        const float all = pair.unscattered * points[3 * capacity + s] * chance * faced1 * faced2 * near * near * near * left;
        from1 = all * survival_fit(excess * atten2), from2 = all * survival_fit(excess * atten1);
        later = 0.5f * (r2 - r1);
    }
};

// Adds to each pair of detectors what these points scatter into it, over what the pair would count
// of unscattered pairs per mm of line through unit activity.
//
//   survival   exp(-attenuation), tables
//   angles     (angle_count + 1, 2) float, by the cosine of the scatter angle from -1 to 1: chance per
//              steradian to scatter, times the efficiency to detect what is left over that at 511 keV;
//              and attenuation at the energy left over that at 511 keV, less one
//   emission   table of line integrals, or null with time of flight (bins > 0)
//   profiles   see above; `lead` steps lie between a profile's first element and its point
//
// Blocks: x a pair of crystals, y a group of pairs of rings. Scratch: SCATTER_GROUP * (8 capacity +
// 2 (bins + LANES)).
KERNEL scatter_pairs(GRID float* pairs, const float* points, const float* detectors, const float* attenuation,
                     const float* survival, const float* angles, const float* emission, const float* profiles,
                     int n_points, int capacity, int crystals, int rings, int first_offset, int offsets,
                     int angle_count, int bins, int phases, int columns, float step, float lead) {
    blocks([&](long x, long group, float* scratch) {
        const int crystal1 = int(x / offsets), crystal2 = (crystal1 + first_offset + int(x % offsets)) % crystals;
        teams(least(SCATTER_GROUP, rings * rings - int(group) * SCATTER_GROUP), [&](int team) {
            const int ring_pair = int(group) * SCATTER_GROUP + team;
            const long d1 = long(crystal1) * rings + ring_pair / rings, d2 = long(crystal2) * rings + ring_pair % rings;
            const Sight pair(detectors + 3 * d1, detectors + 3 * d2);
            const float *atten1 = attenuation + d1 * capacity, *atten2 = attenuation + d2 * capacity;
            const float *left1 = survival + d1 * capacity, *left2 = survival + d2 * capacity;
            float* ray1 = scratch + team * (8 * capacity + 2 * (bins + LANES));
            const long row = x * most(1, bins) * rings * rings + ring_pair;
            if (!bins) {
                const float *emit1 = emission + d1 * capacity, *emit2 = emission + d2 * capacity;
                members(0, n_points, 1, [&](int s) {
                    const Scattered p(pair, points, capacity, s, angles, angle_count, atten1[s], atten2[s], left1[s] * left2[s]);
                    ray1[s] = p.from1 * emit1[s] + p.from2 * emit2[s];
                });
                team_barrier();
                members(0, 1, 1, [&](int) { pairs[row] += sum_of(ray1, n_points); });
            } else {
                float *ray2 = ray1 + 4 * capacity, *timed1 = ray2 + 4 * capacity, *timed2 = timed1 + bins + LANES;
                // An annihilation u before the point, on detector 1's side, is timed as if it lay
                // u + later from the middle of the line, towards detector 1.
                const float half = 0.5f * float((bins - 1) * phases);
                members(0, n_points, 1, [&](int s) {
                    const Scattered p(pair, points, capacity, s, angles, angle_count, atten1[s], atten2[s], left1[s] * left2[s]);
                    ray1[s] = p.from1, ray2[s] = p.from2;
                    bins_in(ray1 + s, capacity, lead - p.later / step - half, phases, columns, bins);
                    bins_in(ray2 + s, capacity, lead + p.later / step - half, phases, columns, bins);
                });
                team_barrier();
                timed(timed1, ray1, profiles + d1 * capacity * phases * columns, n_points, capacity, phases * columns, bins);
                timed(timed2, ray2, profiles + d2 * capacity * phases * columns, n_points, capacity, phases * columns, bins);
                team_barrier();
                members(0, bins, 1, [&](int k) { pairs[row + long(k) * rings * rings] += timed1[k] + timed2[bins - 1 - k]; });
            }
            team_barrier();
        });
    });
}

// From pairs of coarse detectors to every bin of a sinogram, linear along all four coordinates of a pair.
//
//   bins          (row, tof, plane) float, a row is a view and a radial bin
//   near          (row, 4) int, pairs of crystals, and share (row, 4) float
//   near_plane    (plane, 4) int, pairs of rings, and share_plane (plane, 4) float
//
// Blocks: x a row, y a time-of-flight bin. Scratch: pairs of rings.
KERNEL scatter_bins(GRID const float* pairs, float* bins, const int* near, const float* share, const int* near_plane,
                    const float* share_plane, int n_tof, int ring_pairs, int planes) {
    blocks([&](long row, long tof, float* scratch) {
        const int* n = near + 4 * row;
        const float* w = share + 4 * row;
        const float* at[4];
        UNROLL for (int c = 0; c < 4; ++c) at[c] = pairs + (n[c] * long(n_tof) + tof) * ring_pairs;
        threads(ring_pairs, [&](int i) { scratch[i] = w[0] * at[0][i] + w[1] * at[1][i] + w[2] * at[2][i] + w[3] * at[3][i]; });
        barrier();
        float* out = bins + (row * n_tof + tof) * planes;
        threads(planes, [&](int i) {
            const int* m = near_plane + 4 * i;
            const float* v = share_plane + 4 * i;
            out[i] = v[0] * scratch[m[0]] + v[1] * scratch[m[1]] + v[2] * scratch[m[2]] + v[3] * scratch[m[3]];
        });
        barrier();
    });
}
