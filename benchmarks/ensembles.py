"""Noise and bias over realisations of a scan, and the noise's power spectrum."""

import numpy as np
from scipy import ndimage

LEAST_SIDE = 6  # voxels of the cube in which a spectrum is worth a look


def noise_and_bias(values, truth):
    """Noise and bias of voxels over realisations.

    Args:
        values: (realisation, voxels), of two or more images.
        truth: (voxels,).
    Returns:
        dict of noise: square root of the mean variance between realisations, and bias: mean of all
        less the truth's mean; both over the truth's mean.
    """
    values, mean = np.asarray(values, dtype=float), truth.mean(dtype=float)
    variance = values.var(axis=0, ddof=1).mean()
    return {"noise": float(np.sqrt(variance) / mean), "bias": float(values.mean() / mean - 1)}


def largest_cube(mask):
    """Slices of the largest cube of an odd side in a mask, or None if it is below LEAST_SIDE."""
    reach = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1, 1:-1]
    at = np.unravel_index(reach.argmax(), mask.shape)
    half = int(reach[at]) - 1
    if 2 * half + 1 < LEAST_SIDE:
        return None
    return tuple(slice(int(i) - half, int(i) + half + 1) for i in at)


def noise_power(images, voxel_mm, bins=None):
    """Noise power spectrum, averaged over directions.

        NPS(f) = V / N <|DFT(image - mean image)|^2> R / (R - 1)

    with V a voxel's volume, N their number, R the realisations; the mean of them takes 1 / R of
    the noise away. Summed over frequency it is the variance.

    Args:
        images: (realisation, x, y, z), two or more: a cube out of each.
        voxel_mm: sides of a voxel.
        bins: from frequency 0 to the Nyquist frequency of the largest side; half the longest side
            in voxels by default.
    Returns:
        Frequencies in 1/mm (bins,), and the spectrum there in (unit of the image)^2 mm^3.
    Source: Siewerdsen, Cunningham & Jaffray, "A framework for noise-power spectrum analysis of
        multidimensional images", Med. Phys. 29(11), 2655-2671, 2002.
    """
    images = np.asarray(images, dtype=float)
    many = len(images)
    if many < 2:
        raise ValueError(
            f"noise_power takes two realisations or more, got {many}; simulate a study with "
            "realisations: 2"
        )
    spectrum = np.abs(np.fft.fftn(images - images.mean(axis=0), axes=(1, 2, 3))) ** 2
    spectrum = spectrum.mean(axis=0) * many / (many - 1)
    spectrum *= np.prod(voxel_mm) / spectrum.size
    squares = (np.fft.fftfreq(n, side) ** 2
               for n, side in zip(spectrum.shape, voxel_mm, strict=True))
    frequency = np.sqrt(sum(np.ix_(*squares)))
    bins = bins or max(spectrum.shape) // 2
    edges = np.linspace(0, 0.5 / max(voxel_mm), bins + 1)
    index = np.digitize(frequency.ravel(), edges) - 1
    # The mean over the cube (frequency 0) is known by few numbers, and is left out.
    used = (index < bins) & (frequency.ravel() > 0)
    counts = np.bincount(index[used], minlength=bins)
    sums = np.bincount(index[used], spectrum.ravel()[used], minlength=bins)
    where = counts > 0
    return (0.5 * (edges[:-1] + edges[1:]))[where], sums[where] / counts[where]


def against_spectrum(power, reference):
    """How a noise power spectrum differs from another one at the same frequencies.

    Of the ratio's decibels, 10 log10(power / reference), the mean over frequencies says how much
    more noise there is, and the standard deviation how far its texture is another one, whatever its
    strength: 0 where the spectra are of one shape. The sum of their squares is that of the
    log-spectral distance. Spectra of few realisations scatter, so that those of equal noise differ
    a little too.

    Args:
        power, reference: (frequencies,); those where either has no power are left out.
    Returns:
        dict of level_db and texture_db; None of both below two frequencies.
    Source: log-spectral distance: Gray & Markel, IEEE Trans. ASSP 24(5), 1976.
    """
    power, reference = np.asarray(power, dtype=float), np.asarray(reference, dtype=float)
    both = (power > 0) & (reference > 0)
    if both.sum() < 2:
        return {"level_db": None, "texture_db": None}
    ratio_db = 10 * np.log10(power[both] / reference[both])
    return {"level_db": float(ratio_db.mean()), "texture_db": float(ratio_db.std())}
