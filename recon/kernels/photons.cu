// Photons followed through an object, until they leave it: Woodcock tracking (ANL-7050, 1965), Compton
// scatter by Klein and Nishina.
#include "random.h"

constexpr float ELECTRON_KEV = 511.0f;

// How a photon scatters: the energy it keeps as a fraction (Butcher & Messel, Nucl. Phys. 20, 1960).
DEVICE float energy_kept(float kappa, Draws& draws) {
    const float low = 1.0f / (1.0f + 2.0f * kappa);
    const float log = -logf(low), square = 0.5f * (1.0f - low * low);
    for (;;) {
        const Four u = draws.next();
        const float e = u.a * (log + square) < log ? expf(-log * u.b) : sqrtf(low * low + (1.0f - low * low) * u.b);
        const float t = (1.0f - e) / (kappa * e);  // 1 - cosine
        if (u.c <= 1.0f - e * t * (2.0f - t) / (1.0f + e * e)) return e;
    }
}

struct Photon {
    float x, y, z, ux, uy, uz;  // where it was emitted or scattered last [mm], and whither it goes
    float kev = ELECTRON_KEV, way = 0.0f;  // way up to there [mm]
    int scatters = 0;
};

struct Object {
    const float *mu, *excess;  // 1/mm at 511 keV; cross section over that at 511 keV, from first_kev on
    int energies, nx, ny, nz;
    float first_kev, least_kev, most, dx, dy, dz, ox, oy, oz, low_x, low_y, low_z, high_x, high_y, high_z;

    DEVICE float mu_at(float x, float y, float z) const {
        const int ix = int(floorf((x - ox) / dx + 0.5f)), iy = int(floorf((y - oy) / dy + 0.5f));
        const int iz = int(floorf((z - oz) / dz + 0.5f));
        const bool inside = ix >= 0 && ix < nx && iy >= 0 && iy < ny && iz >= 0 && iz < nz;
        return inside ? mu[(long(ix) * ny + iy) * nz + iz] : 0.0f;
    }
    DEVICE bool holds(float x, float y, float z) const {
        return x > low_x && x < high_x && y > low_y && y < high_y && z > low_z && z < high_z;
    }
    DEVICE float over_511(float kev) const {
        const float at = clamp((kev - first_kev) / (ELECTRON_KEV - first_kev) * float(energies - 1), 0.0f, float(energies - 1));
        const int k = least(int(at), energies - 2);
        return excess[k] + (at - float(k)) * (excess[k + 1] - excess[k]);
    }
};

// Follows a photon until it leaves the object or has no more than least_kev.
DEVICE void fly(Photon& p, const Object& object, Draws& draws) {
    float gone = 0.0f;
    while (p.kev > object.least_kev) {
        const Four u = draws.next();
        gone -= logf(u.a) / (object.most * object.over_511(p.kev));
        const float x = p.x + gone * p.ux, y = p.y + gone * p.uy, z = p.z + gone * p.uz;
        if (!object.holds(x, y, z)) return;
        if (u.b * object.most >= object.mu_at(x, y, z)) continue;
        const float kappa = p.kev / ELECTRON_KEV, kept = energy_kept(kappa, draws);
        const float cosine = 1.0f - (1.0f - kept) / (kappa * kept);
        const float sine = sqrtf(greater(1.0f - cosine * cosine, 0.0f));
        float a, b;
        turned_by(u.c, a, b);
        a *= sine, b *= sine;
        // An orthonormal basis without a square root or a pole: Duff et al., JCGT 6(1), 2017.
        const float sign = copysignf(1.0f, p.uz), r = -1.0f / (sign + p.uz), q = p.ux * p.uy * r;
        const float vx = a * (1.0f + sign * p.ux * p.ux * r) + b * q + cosine * p.ux;
        const float vy = a * sign * q + b * (sign + p.uy * p.uy * r) + cosine * p.uy;
        const float vz = -a * sign * p.ux - b * p.uy + cosine * p.uz;
        const float length = sqrtf(vx * vx + vy * vy + vz * vz);
        p.x = x, p.y = y, p.z = z, p.ux = vx / length, p.uy = vy / length, p.uz = vz / length;
        p.way += gone, gone = 0.0f, p.kev *= kept, p.scatters += 1;
    }
}

// Where a photon reaches the detectors: x, y, z, energy, way from its start, and the cosine to their normal.
DEVICE bool detected(const Photon& p, float least_kev, float radius, float half, float* out) {
    // The far end of a line from inside a cylinder; for one along the axis, nowhere.
    const float a = greater(p.ux * p.ux + p.uy * p.uy, 1e-30f), b = p.x * p.ux + p.y * p.uy;
    const float c = p.x * p.x + p.y * p.y - radius * radius;
    const float to_go = (sqrtf(greater(b * b - a * c, 0.0f)) - b) / a;
    const float x = p.x + to_go * p.ux, y = p.y + to_go * p.uy, z = p.z + to_go * p.uz;
    if (!(fabsf(z) < half && p.kev > least_kev)) return false;
    out[0] = x, out[1] = y, out[2] = z, out[3] = p.kev, out[4] = p.way + to_go;
    out[5] = (p.ux * x + p.uy * y) / radius;
    return true;
}

// Pairs emitted at random in an image, each in one of n equal parts of its sum, and followed to the detectors.
//
//   ends      (pair, 2, 6) float, as `detected` writes them; the second photon is followed if the first is
//             detected, and `partners` is not 0
//   scatters  (pair, 2) int: how often each scattered; stays -1 where it is not detected
//   chance    (voxels) double: running sum of the activity of the voxels that emit
//   voxels    (voxels) int: which they are in the image (x, y, z), whose voxels have sides e and centre f
//   mu, excess  see Object
// A pair's random numbers hang on `key` and its number alone.
KERNEL photon_pairs(GRID float* ends, int* scatters, const double* chance, const int* voxels, const float* mu, const float* excess,
                    int n, int partners, long key, int n_voxels, int my, int mz, float ex, float ey, float ez, float fx, float fy,
                    float fz, int energies, int nx, int ny, int nz, float first_kev, float least_kev, float most, float dx, float dy,
                    float dz, float ox, float oy, float oz, float low_x, float low_y, float low_z, float high_x, float high_y,
                    float high_z, float radius, float half) {
    const Object object{mu, excess, energies, nx, ny, nz, first_kev, least_kev, most, dx, dy, dz,
                        ox, oy, oz, low_x, low_y, low_z, high_x, high_y, high_z};
    each(n, [&](long i) {
        Draws draws(key, i);
        const Four u = draws.next(), v = draws.next();
        const double part = (double(i) + double(u.a)) / double(n) * chance[n_voxels - 1];
        int low = 0, high = n_voxels - 1;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (chance[middle] > part) high = middle;
            else low = middle + 1;
        }
        const int voxel = voxels[low];
        Photon one;
        one.x = fx + (float(voxel / mz / my) + v.a - 0.5f) * ex;
        one.y = fy + (float(voxel / mz % my) + v.b - 0.5f) * ey;
        one.z = fz + (float(voxel % mz) + v.c - 0.5f) * ez;
        const float cosine = 2.0f * u.b - 1.0f, sine = sqrtf(1.0f - cosine * cosine);
        turned_by(u.c, one.ux, one.uy);
        one.ux *= sine, one.uy *= sine, one.uz = cosine;
        Photon other = one;
        other.ux = -one.ux, other.uy = -one.uy, other.uz = -one.uz;
        fly(one, object, draws);
        const bool met = detected(one, least_kev, radius, half, ends + 12 * i);
        if (met) scatters[2 * i] = one.scatters;
        if (!(met && partners)) return;
        fly(other, object, draws);
        if (detected(other, least_kev, radius, half, ends + 12 * i + 6)) scatters[2 * i + 1] = other.scatters;
    });
}
