// Updates of penalised likelihood, an image's voxels each by itself.
#include "machine.h"

// A step down the objective from one of `number` subsets of the data, not below 0:
//   new   <- sensitivity - back, the gradient of the subset's -log likelihood
//   image <- max(0, image - step (number (new - table) + total + gradient) / (seen / max(image, least) + curvature))
// table: the subset's gradient elsewhere, and total the sum of these over the subsets; both null: 0. With
// `replace` the new one takes its place in both. gradient and curvature are the prior's, seen is `number`
// times the largest sensitivity of a subset; a voxel that none sees stays as it is.
KERNEL descent(GRID float* image, const float* back, const float* sensitivity, float* table, float* total, const float* gradient,
               const float* curvature, const float* seen, float least, float number, float step, int replace, long n) {
    each(n, [&](long i) {
        const float fresh = sensitivity[i] - back[i], change = table ? fresh - table[i] : fresh, x = image[i];
        const float slope = number * change + (total ? total[i] : 0.0f) + gradient[i];
        const float steepness = seen[i] / greater(x, least) + curvature[i];
        if (seen[i] > 0.0f) image[i] = greater(x - step * slope / steepness, 0.0f);
        if (replace) total[i] += change, table[i] = fresh;
    });
}

// The image at which expectation maximisation's surrogate and a parabola on top of the prior are least together,
// the root of  c x^2 + (sensitivity + g - c image) x - image back = 0  with c the curvature and g the gradient
// of the prior. De Pierro, IEEE TMI 14(1), 1995.
KERNEL map_em_update(GRID float* image, const float* back, const float* sensitivity, const float* gradient, const float* curvature,
                     long n) {
    each(n, [&](long i) {
        if (!(sensitivity[i] > 0.0f)) return;
        const float c = curvature[i], product = image[i] * back[i], b = sensitivity[i] + gradient[i] - c * image[i];
        const float root = sqrtf(b * b + 4.0f * c * product);
        // Of the two ways to write the root, the one without a difference of like numbers.
        image[i] = b > 0.0f ? 2.0f * product / (b + root) : c > 0.0f ? (root - b) / (2.0f * c) : image[i];
    });
}
