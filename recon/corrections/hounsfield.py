"""CT numbers to linear attenuation coefficients at 511 keV.

Water and what is lighter is taken as a mixture of air and water, what is denser as one of water
and bone, which the CT's X-rays exaggerate, the more the lower the tube voltage:

    mu = min(9.6e-5 (HU + 1000),  a (HU + 1000) + b)   in 1/cm, never below 0.

Source: Carney, Townsend, Rappoport & Bendriem, "Method for transforming CT images for attenuation
correction in PET/CT imaging", Med. Phys. 33, 976-983, 2006. The table's break points (50, 52, 43,
47, 37, 30 HU) are where the two lines cross, to less than one HU.
"""

import numpy as np

from recon.io import FileError

WATER_SLOPE = 9.6e-5  # 1/cm per HU, at every tube voltage
# Tube voltage in kVp: a in 1/cm per HU, b in 1/cm.
BONE_LINES = {
    80: (3.64e-5, 6.26e-2),
    100: (4.43e-5, 5.44e-2),
    110: (4.92e-5, 4.88e-2),
    120: (5.10e-5, 4.71e-2),
    130: (5.51e-5, 4.24e-2),
    140: (5.64e-5, 4.08e-2),
}
# What 12 bits hold. Scanners write less outside their field of view, more in metal alone.
LEAST_HU, MOST_HU = -1024, 3071
AIR_HU = -1000.0
_AIR_BELOW_HU, _TISSUE_HU = -800, -500


def mu_at_511(hounsfield, kvp):
    """Linear attenuation coefficients at 511 keV.

    Args:
        hounsfield: CT numbers, any shape, NumPy.
        kvp: tube voltage in kV.
    Returns:
        float32 in 1/cm, of the same shape; 0 for air and below.
    Raises:
        ValueError: there is no table for that tube voltage.
    """
    slope, offset = bone_line(kvp)
    above_air = np.asarray(hounsfield, np.float32) + np.float32(1000)
    mu_per_cm = np.float32(slope) * above_air
    mu_per_cm += np.float32(offset)
    above_air *= np.float32(WATER_SLOPE)
    np.minimum(above_air, mu_per_cm, out=mu_per_cm)
    return np.maximum(mu_per_cm, 0, out=mu_per_cm)


def bone_line(kvp):
    """Slope in 1/cm per HU and offset in 1/cm of the line above water.

    Raises:
        ValueError: there is no table for that tube voltage.
    """
    if kvp not in BONE_LINES:
        known = ", ".join(map(str, BONE_LINES))
        nearest = min(BONE_LINES, key=lambda known: abs(known - kvp))
        raise ValueError(
            f"the tables from HU to 511 keV take {known} kVp, got {kvp:g}; check the tube voltage, "
            f"or give --kvp {nearest} if bone a few per cent off is good enough"
        )
    return BONE_LINES[kvp]


def clip_hounsfield(array, path):
    """Clips a CT, in place, to the range of its numbers; refuses what cannot be one.

    Args:
        array: CT numbers, float32.
        path: the file it came from, for the messages.
    Returns:
        list of sentences, one for each end at which something was clipped.
    Raises:
        FileError: NaN or infinite values, no air or no tissue in it.
    """
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise FileError(
            f"{path} has {bad:,} of {array.size:,} values that are NaN or infinite, a CT has none; "
            "export it again"
        )
    least, most = float(array.min()), float(array.max())
    found = f"{path} takes Hounsfield units, found {least:g} to {most:g}"
    if least >= 0 and most <= 1:
        raise FileError(f"{found}; it looks like a mu map, which needs no conversion: --mu-map")
    if least > _AIR_BELOW_HU:
        raise FileError(
            f"{found}: nothing in it is air (about -1000 HU); perhaps the rescale intercept "
            "(often -1024) was not applied: convert the CT again"
        )
    if most < _TISSUE_HU:
        raise FileError(f"{found}: nothing in it is tissue; check that it is the patient's CT")
    notes = []
    for count, what, why in (
        (np.count_nonzero(array < LEAST_HU), f"below {LEAST_HU}", "the CT's padding, taken as air"),
        (np.count_nonzero(array > MOST_HU), f"above {MOST_HU}", "metal, taken as that number"),
    ):
        if count:
            notes.append(f"{count:,} voxels {what} HU ({least:g} to {most:g} in all): {why}")
    np.clip(array, LEAST_HU, MOST_HU, out=array)
    return notes
