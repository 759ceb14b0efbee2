// The two elementwise halves of an expectation-maximisation update, and the gradient through the first.
// Shepp & Vardi, IEEE TMI 1(2), 1982.
#include "machine.h"

constexpr float LEAST_EXPECTED = 1e-20f;

// projection <- m y / (m projection + b): what each bin's counts are, over what the image explains, ready
// to be back projected. A bin that the image does not explain, where it expects less than LEAST_EXPECTED
// counts, gives nothing: where voxels have sunk to what float32 can hardly hold, the ratio would be infinite.
// Strides in floats along (view, radial, tof); planes are contiguous. y, m or b null: all 1, 1 or 0.
// Blocks: x a row (view, radial); `total` values in all, which may end within the last row.
KERNEL em_ratio(GRID float* projection, const float* y, const float* m, const float* b, long total, int n_radial, int n_tof, int n_planes,
                long y_view, long y_radial, long y_tof, long m_view, long m_radial, long m_tof, long b_view, long b_radial,
                long b_tof) {
    blocks([&](long row, long, float*) {
        const long view = row / n_radial, radial = row % n_radial;
        for (int t = 0; t < n_tof; ++t) {
            const long first = (row * n_tof + t) * n_planes;
            const int size = first + n_planes <= total ? n_planes : int(total - first);
            float* p = projection + first;
            const float* counts = y ? y + view * y_view + radial * y_radial + t * y_tof : nullptr;
            const float* factor = m ? m + view * m_view + radial * m_radial + t * m_tof : nullptr;
            const float* ground = b ? b + view * b_view + radial * b_radial + t * b_tof : nullptr;
            threads(size, [&](int i) {
                const float f = factor ? factor[i] : 1.0f;
                const float expected = f * p[i] + (ground ? ground[i] : 0.0f);
                p[i] = expected > LEAST_EXPECTED ? f * (counts ? counts[i] : 1.0f) / expected : 0.0f;
            });
        }
    });
}

// out <- -gradient ratio^2 / y: the gradient with respect to em_ratio's projection p, of which the ratio
// m y / (m p + b) has the derivative -m^2 y / (m p + b)^2. 0 where the ratio is 0: such a bin counted
// nothing, or is masked, or is not explained. Where little is expected a ratio squared may exceed what
// float32 can hold, but there the gradient, a back projection's, is small: it multiplies the ratio first.
// Strides, null y and blocks as in em_ratio.
KERNEL em_ratio_back(GRID float* out, const float* gradient, const float* ratio, const float* y, long total, int n_radial, int n_tof,
                     int n_planes, long y_view, long y_radial, long y_tof) {
    blocks([&](long row, long, float*) {
        const long view = row / n_radial, radial = row % n_radial;
        for (int t = 0; t < n_tof; ++t) {
            const long first = (row * n_tof + t) * n_planes;
            const int size = first + n_planes <= total ? n_planes : int(total - first);
            float* o = out + first;
            const float *g = gradient + first, *r = ratio + first;
            const float* counts = y ? y + view * y_view + radial * y_radial + t * y_tof : nullptr;
            threads(size, [&](int i) {
                const float share = counts ? r[i] / counts[i] : r[i];
                o[i] = r[i] != 0.0f ? -(g[i] * r[i]) * share : 0.0f;
            });
        }
    });
}

// image <- image back / sensitivity; a voxel that these bins do not see stays as it is.
KERNEL em_update(GRID float* image, const float* back, const float* sensitivity, long n) {
    each(n, [&](long i) {
        if (sensitivity[i] > 0.0f) image[i] *= back[i] / sensitivity[i];
    });
}
