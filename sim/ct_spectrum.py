"""X-rays of a CT's tube, and the CT numbers that they give.

A stated simple model: a thick target's bremsstrahlung, Z (kVp / E - 1) photons per keV (Kramers,
Phil. Mag. 46, 1923), without characteristic lines, behind 3 mm of aluminium and 0.3 mm of copper,
in bins of 10 keV. Its half-value layer at 120 kVp is 8.3 mm of aluminium. There is no bow-tie
filter, and the detector absorbs every photon and adds up their energies.
"""

import numpy as np

from sim.attenuation import CT_KEV, attenuation_per_cm

VOLTAGES = (80, 100, 110, 120, 130, 140)  # in kVp: those that `countless mu-map` has tables for
WATER, WATER_511 = attenuation_per_cm(1.0, H=0.1119, O=0.8881)  # 1/cm, at CT_KEV and 511 keV
BEHIND_CM = 20.0  # of water, which has hardened the beam that CT numbers are stated for
_FILTERS = (
    0.30 * attenuation_per_cm(2.699, Al=1.0)[0] + 0.03 * attenuation_per_cm(8.96, Cu=1.0)[0]
)


def spectrum(kvp):
    """Which part of a beam's photons has each energy of CT_KEV, (12,) float64, in sum 1.

    Raises:
        ValueError: a tube voltage that is not one of VOLTAGES.
    """
    if kvp not in VOLTAGES:
        raise ValueError(
            f"the CT's spectrum takes {', '.join(map(str, VOLTAGES))} kVp, got {kvp:g}; take "
            f"{min(VOLTAGES, key=lambda known: abs(known - kvp))}"
        )
    photons = np.maximum(kvp / CT_KEV - 1, 0) * np.exp(-_FILTERS)
    return photons / photons.sum()


def hounsfield(per_cm, kvp=120):
    """CT number of a little of a material in 20 cm of water, after a correction for water.

    Args:
        per_cm: its attenuation at CT_KEV, (12,).
        kvp: tube voltage, one of VOLTAGES.
    """
    energy = spectrum(kvp) * CT_KEV * np.exp(-BEHIND_CM * WATER)
    return float(1000 * (energy @ per_cm / (energy @ WATER) - 1))
