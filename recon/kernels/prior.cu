// Priors on an image (x, y, z): what neighbours say about a voxel. Blocks: x one row along z.
#include "window.h"

enum { VALUE, GRADIENT, DIAGONAL, CURVATURE, HALF_QUADRATIC, DESCENT };  // what is worked out of a prior
enum { QUADRATIC, RELATIVE_DIFFERENCE, LOG_COSH };                       // potentials of a pair of voxels

// The potential psi(x, y) of a pair: half of its value, so that both voxels make it whole, or, by x, its
// derivative, its second derivative, or the curvature at (x, y) of a parabola that lies nowhere below it
// once the pair is split by its convexity, psi(x, y) <= [psi(2x - x0, y0) + psi(x0, 2y - y0)] / 2
// (De Pierro, IEEE TMI 14(1), 1995); or twice the curvature of a parabola of x that touches psi at (x, y) and has
// its least value where x = y, which for all but the relative difference is the same.
template <int POTENTIAL, int WHAT> DEVICE float potential(float x, float y, float gamma, float epsilon) {
    const float d = x - y, size = fabsf(d);
    if (POTENTIAL == QUADRATIC) {
        if (WHAT == VALUE) return 0.25f * d * d;
        if (WHAT == GRADIENT) return d;
        return WHAT == DIAGONAL ? 1.0f : 2.0f;
    }
    if (POTENTIAL == RELATIVE_DIFFERENCE) {  // Nuyts et al., IEEE TNS 49(1), 2002, equation 3
        const float whole = x + y + gamma * size + epsilon, other = 2.0f * y + epsilon;
        if (WHAT == CURVATURE) return other > 0.0f ? 4.0f / other : 0.0f;
        const float inverse = whole > 0.0f ? 1.0f / whole : 0.0f;  // 0 where both are 0, and so is epsilon
        if (WHAT == VALUE) return 0.5f * d * (d * inverse);
        const float slope = (x + 3.0f * y + gamma * size + 2.0f * epsilon) * inverse * inverse;
        if (WHAT == GRADIENT) return d * slope;
        if (WHAT == HALF_QUADRATIC) return 2.0f * slope;
        const float share = other * inverse;
        return 2.0f * share * share * inverse;
    }
    const float u = size / epsilon, e = expf(-2.0f * u);  // epsilon^2 log cosh(d / epsilon)
    if (WHAT == VALUE) return 0.5f * epsilon * epsilon * (u + log1pf(e) - 0.693147181f);
    const float tangent = (1.0f - e) / (1.0f + e);
    if (WHAT == GRADIENT) return d < 0.0f ? -epsilon * tangent : epsilon * tangent;
    if (WHAT == DIAGONAL) return 4.0f * e / ((1.0f + e) * (1.0f + e));
    return u > 1e-3f ? 2.0f * tangent / u : 2.0f;
}

struct Pairs {
    float *out, *more;
    const float *image, *kappa, *weights;
    const unsigned char* chosen;
    float gamma, epsilon;
    int nx, ny, nz;

    // Adds what the neighbour at (a, b, c) says to a row of `out`, and of `more` for DESCENT. The 13 offsets of
    // which each pair has one are numbered 1 .. 13, their opposites go with the neighbour's number.
    template <int POTENTIAL, int WHAT> DEVICE void add(long row, int a, int b, int c) const {
        const int at_x = int(row / ny) + a, at_y = int(row % ny) + b, number = 9 * a + 3 * b + c;
        const float weight = weights[number + 13];
        if (at_x < 0 || at_x >= nx || at_y < 0 || at_y >= ny || weight == 0.0f) return;
        const int from = most(0, -c), to = least(nz, nz - c);
        const long n = long(nx) * ny * nz, here = row * nz, there = (long(at_x) * ny + at_y) * nz + c;
        const unsigned char* selected =
            !chosen ? nullptr : number > 0 ? chosen + (number - 1) * n + here : chosen + (-number - 1) * n + there;
        const float *x = image + here, *y = image + there;
        const float *mine = kappa ? kappa + here : nullptr, *their = kappa ? kappa + there : nullptr;
        float *sum = out + here, *second = WHAT == DESCENT ? more + here : nullptr;
        const auto weighted = [&](int z) {
            float w = weight;
            if (kappa) w *= mine[z] * their[z];
            return selected ? w * 0.5f * float(selected[z]) : w;
        };
        constexpr int FIRST = WHAT == DESCENT ? GRADIENT : WHAT;
        threads_between(from, to, [&](int z) { sum[z] += weighted(z) * potential<POTENTIAL, FIRST>(x[z], y[z], gamma, epsilon); });
        // A loop of its own: with two sums in one, compilers keep it out of vectors.
        if (WHAT == DESCENT)
            threads_between(from, to, [&](int z) {
                second[z] += weighted(z) * potential<POTENTIAL, HALF_QUADRATIC>(x[z], y[z], gamma, epsilon);
            });
    }
    template <int POTENTIAL, int WHAT> DEVICE void row(long row) const {
        float *sum = out + row * nz, *second = WHAT == DESCENT ? more + row * nz : nullptr;
        threads(nz, [&](int z) {
            sum[z] = 0.0f;
            if (WHAT == DESCENT) second[z] = 0.0f;
        });
        for (int a = -1; a <= 1; ++a)
            for (int b = -1; b <= 1; ++b)
                for (int c = -1; c <= 1; ++c)
                    if (a || b || c) add<POTENTIAL, WHAT>(row, a, b, c);
    }
    template <int POTENTIAL> DEVICE void row_of(long at, int what) const {
        if (what == VALUE) row<POTENTIAL, VALUE>(at);
        if (what == GRADIENT) row<POTENTIAL, GRADIENT>(at);
        if (what == DIAGONAL) row<POTENTIAL, DIAGONAL>(at);
        if (what == CURVATURE) row<POTENTIAL, CURVATURE>(at);
        if (what == DESCENT) row<POTENTIAL, DESCENT>(at);
    }
};

// out <- sum over the 26 neighbours k of a voxel j of weight_jk kappa_j kappa_k potential(image_j, image_k); of
// DESCENT the gradient into out and the half-quadratic curvature into more, which else is null.
// weights: 27 of the offsets (x, y, z), 0 for no pair; kappa null: 1. chosen: (13, x, y, z), of each voxel and
// offset in how many of the two directions the pair counts, 0 to 2; null: both.
KERNEL prior_pairs(GRID float* out, float* more, const float* image, const float* kappa, const unsigned char* chosen,
                   const float* weights, float gamma, float epsilon, int kind, int what, int nx, int ny, int nz) {
    const Pairs pairs = {out, more, image, kappa, weights, chosen, gamma, epsilon, nx, ny, nz};
    blocks([&](long row, long, float*) {
        if (kind == QUADRATIC) pairs.row_of<QUADRATIC>(row, what);
        if (kind == RELATIVE_DIFFERENCE) pairs.row_of<RELATIVE_DIFFERENCE>(row, what);
        if (kind == LOG_COSH) pairs.row_of<LOG_COSH>(row, what);
    });
}

// out (3, x, y, z) <- differences to the next voxel along each axis, times a scale; 0 at the last one.
KERNEL differences(GRID float* out, const float* image, float scale_x, float scale_y, float scale_z, int nx, int ny, int nz) {
    const long n = long(nx) * ny * nz, step_x = long(ny) * nz, step_y = nz;
    blocks([&](long row, long, float*) {
        const bool in_x = row / ny < nx - 1, in_y = row % ny < ny - 1;
        const float* here = image + row * nz;
        float* d = out + row * nz;
        threads(nz, [&](int z) {
            d[z] = in_x ? scale_x * (here[z + step_x] - here[z]) : 0.0f;
            d[n + z] = in_y ? scale_y * (here[z + step_y] - here[z]) : 0.0f;
            d[2 * n + z] = z < nz - 1 ? scale_z * (here[z + 1] - here[z]) : 0.0f;
        });
    });
}

// image <- the transpose of `differences` of a field (3, x, y, z).
KERNEL differences_transposed(GRID float* image, const float* field, float scale_x, float scale_y, float scale_z, int nx, int ny,
                              int nz) {
    const long n = long(nx) * ny * nz, step_x = long(ny) * nz, step_y = nz;
    blocks([&](long row, long, float*) {
        const int x = int(row / ny), y = int(row % ny);
        const float *fx = field + row * nz, *fy = fx + n, *fz = fy + n;
        float* out = image + row * nz;
        threads(nz, [&](int z) {
            const float along_x = (x > 0 ? fx[z - step_x] : 0.0f) - (x < nx - 1 ? fx[z] : 0.0f);
            const float along_y = (y > 0 ? fy[z - step_y] : 0.0f) - (y < ny - 1 ? fy[z] : 0.0f);
            const float along_z = (z > 0 ? fz[z - 1] : 0.0f) - (z < nz - 1 ? fz[z] : 0.0f);
            out[z] = scale_x * along_x + scale_y * along_y + scale_z * along_z;
        });
    });
}

// Of differences g (3, n), M = 1 - direction direction^T and length l = sqrt(g M g + epsilon^2):
// value <- kappa^2 (l - epsilon) where asked for, and g <- kappa^2 M g / l. direction null: M = 1.
KERNEL tv_flux(GRID float* value, float* field, const float* direction, const float* kappa, float epsilon, long n) {
    each(n, [&](long i) {
        const float x = field[i], y = field[n + i], z = field[2 * n + i];
        float mx = x, my = y, mz = z;
        if (direction) {
            const float a = direction[i], b = direction[n + i], c = direction[2 * n + i], along = a * x + b * y + c * z;
            mx -= a * along, my -= b * along, mz -= c * along;
        }
        const float squared = greater(x * mx + y * my + z * mz, 0.0f), length = sqrtf(squared + epsilon * epsilon);
        const float k = kappa ? kappa[i] * kappa[i] : 1.0f;
        // squared / (length + epsilon) is length - epsilon without its loss of digits.
        if (value) value[i] = length > 0.0f ? k * squared / (length + epsilon) : 0.0f;
        const float share = length > 0.0f ? k / length : 0.0f;
        field[i] = share * mx, field[n + i] = share * my, field[2 * n + i] = share * mz;
    });
}

// out <- second derivatives by each voxel of sum kappa^2 (l - epsilon), or (what = CURVATURE) of a parabola that
// lies nowhere below it, from the differences g (3, x, y, z) at the image.
KERNEL tv_diagonal(GRID float* out, const float* field, const float* direction, const float* kappa, float epsilon, float scale_x,
                   float scale_y, float scale_z, int what, int nx, int ny, int nz) {
    const long n = long(nx) * ny * nz, step_x = long(ny) * nz, step_y = nz;
    // What the length at voxel i adds for a voxel by which its differences change by (p, q, r).
    const auto part = [&](long i, float p, float q, float r) {
        const float x = field[i], y = field[n + i], z = field[2 * n + i];
        float a = 0.0f, b = 0.0f, c = 0.0f;
        if (direction) a = direction[i], b = direction[n + i], c = direction[2 * n + i];
        const float along = a * x + b * y + c * z, mine = a * p + b * q + c * r;
        const float length = sqrtf(greater(x * x + y * y + z * z - along * along, 0.0f) + epsilon * epsilon);
        if (!(length > 0.0f)) return 0.0f;
        const float k = kappa ? kappa[i] * kappa[i] : 1.0f, own = p * p + q * q + r * r;
        if (what == CURVATURE) return 2.0f * k * own / length;
        const float slope = (p * x + q * y + r * z - mine * along) / length;
        return k * (own - mine * mine - slope * slope) / length;
    };
    blocks([&](long row, long, float*) {
        const int x = int(row / ny), y = int(row % ny);
        threads(nz, [&](int z) {
            const long i = row * nz + z;
            float sum = part(i, x < nx - 1 ? -scale_x : 0.0f, y < ny - 1 ? -scale_y : 0.0f, z < nz - 1 ? -scale_z : 0.0f);
            if (x > 0) sum += part(i - step_x, scale_x, 0.0f, 0.0f);
            if (y > 0) sum += part(i - step_y, 0.0f, scale_y, 0.0f);
            if (z > 0) sum += part(i - 1, 0.0f, 0.0f, scale_z);
            out[i] = sum;
        });
    });
}
