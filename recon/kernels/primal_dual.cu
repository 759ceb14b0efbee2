// Steps of the primal-dual hybrid gradient for counts and exact total variation.
// Chambolle, Ehrhardt, Richtarik & Schoenlieb, SIAM J. Optim. 28(4), 2018.
#include "machine.h"

// A step of the bins' dual variable, which is kept as u = 1 - dual: u comes to be y / expected, what EM back
// projects. With e = m p + b, the proximal step of the conjugate of e - y log e, of size 1 / t with t = m reach, is
//   u <- the root not below 0 of  t u^2 - (t u - e) u - y = 0  (u in the bracket as it was),
// and projection p <- m (u as it was - u). A bin that has no reach (reach null: none has) becomes y / e, and 0
// where less than 1e-20 counts are expected of it; one of m = 0 gives nothing. y is not null.
// Strides and blocks as in em_ratio.
KERNEL poisson_dual(GRID float* projection, float* dual, const float* y, const float* m, const float* b, const float* reach, long total,
                    int n_radial, int n_tof, int n_planes, long y_view, long y_radial, long y_tof, long m_view, long m_radial,
                    long m_tof, long b_view, long b_radial, long b_tof, long r_view, long r_radial, long r_tof) {
    blocks([&](long row, long, float*) {
        const long view = row / n_radial, radial = row % n_radial;
        for (int k = 0; k < n_tof; ++k) {
            const long first = (row * n_tof + k) * n_planes;
            const int size = first + n_planes <= total ? n_planes : int(total - first);
            float *p = projection + first, *u = dual + first;
            const float* counts = y + view * y_view + radial * y_radial + k * y_tof;
            const float* factor = m ? m + view * m_view + radial * m_radial + k * m_tof : nullptr;
            const float* ground = b ? b + view * b_view + radial * b_radial + k * b_tof : nullptr;
            const float* far = reach ? reach + view * r_view + radial * r_radial + k * r_tof : nullptr;
            threads(size, [&](int i) {
                const float f = factor ? factor[i] : 1.0f, t = far ? f * far[i] : 0.0f, old = u[i];
                const float d = t * old - (f * p[i] + (ground ? ground[i] : 0.0f));
                const float root = sqrtf(d * d + 4.0f * t * counts[i]), sum = root - d;
                // Of the two ways to write the root, the one without a difference of like numbers.
                const float fresh = d > 0.0f ? (d + root) / (2.0f * t) : sum > 2e-20f ? 2.0f * counts[i] / sum : 0.0f;
                u[i] = fresh;
                p[i] = f * (old - fresh);
            });
        }
    });
}

// A step of total variation's dual variable (3, n), |dual| <= weight:
//   new <- dual + weight / span R field, made as short as weight;  field <- R (new - dual);  dual <- new
// with R the root of 1 - direction direction^T; direction null: 1.
KERNEL tv_dual(GRID float* field, float* dual, const float* direction, const float* weight, const float* span, long n) {
    each(n, [&](long i) {
        float a = 0.0f, b = 0.0f, c = 0.0f;
        if (direction) a = direction[i], b = direction[n + i], c = direction[2 * n + i];
        const float share = -1.0f / (1.0f + sqrtf(greater(1.0f - a * a - b * b - c * c, 0.0f)));
        float x = field[i], y = field[n + i], z = field[2 * n + i];
        const float along = share * (a * x + b * y + c * z), step = weight[i] / span[i];
        const float p = dual[i], q = dual[n + i], r = dual[2 * n + i];
        x = p + step * (x + along * a), y = q + step * (y + along * b), z = r + step * (z + along * c);
        const float length = sqrtf(x * x + y * y + z * z), cut = length > weight[i] ? weight[i] / length : 1.0f;
        x *= cut, y *= cut, z *= cut;
        dual[i] = x, dual[n + i] = y, dual[2 * n + i] = z;
        x -= p, y -= q, z -= r;
        const float back = share * (a * x + b * y + c * z);
        field[i] = x + back * a, field[n + i] = y + back * b, field[2 * n + i] = z + back * c;
    });
}

// slope <- slope + bins + prior, the changes of what the dual variables say of the image, and a step down it with
// these changes once more, that of the bins `number` times, for it is one subset's of so many.
KERNEL primal_step(GRID float* image, float* slope, const float* bins, const float* prior, const float* step, float number, long n) {
    each(n, [&](long i) {
        slope[i] += bins[i] + prior[i];
        image[i] = greater(image[i] - step[i] * (slope[i] + number * bins[i] + prior[i]), 0.0f);
    });
}
