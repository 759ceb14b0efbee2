"""How elements attenuate photons at CT's energies and at 511 keV.

Coherent scatter counts, as in a narrow beam: water has 0.0960 1/cm at 511 keV, 0.0958 without.
"""

import numpy as np

CT_KEV = np.arange(25.0, 140.0, 10.0)  # the middles of bins of 10 keV
# Total mass attenuation in cm2/g at CT_KEV and, last, at 511 keV: Elam, Ravel & Sieber, Radiat Phys
# Chem 63(2), 2002, as the package xraydb 4.5.8 gives it. Water, aluminium, copper and calcium are
# within 0.05 % of NIST's tables (Hubbell & Seltzer, NISTIR 5632) from 20 to 500 keV.
_CM2_PER_G = {
    "H": (0.3631, 0.3513, 0.3406, 0.3307, 0.3216, 0.3131, 0.3052, 0.2979, 0.2911, 0.2847, 0.2787,
          0.273, 0.1713),
    "B": (0.2364, 0.1898, 0.172, 0.1621, 0.1551, 0.1496, 0.145, 0.141, 0.1374, 0.1341, 0.1311,
          0.1282, 0.07993),
    "C": (0.3136, 0.2258, 0.1957, 0.1805, 0.171, 0.164, 0.1583, 0.1535, 0.1493, 0.1456, 0.1421,
          0.139, 0.08636),
    "N": (0.4019, 0.2574, 0.2105, 0.1888, 0.1761, 0.1674, 0.1608, 0.1553, 0.1507, 0.1467, 0.1431,
          0.1398, 0.0864),
    "O": (0.5265, 0.3019, 0.2314, 0.2004, 0.1832, 0.1721, 0.1641, 0.1578, 0.1527, 0.1482, 0.1443,
          0.1408, 0.0865),
    "F": (0.6571, 0.3428, 0.2458, 0.2044, 0.1825, 0.169, 0.1596, 0.1526, 0.1469, 0.1422, 0.1381,
          0.1345, 0.08199),
    "Na": (1.128, 0.5131, 0.3262, 0.2491, 0.2103, 0.1877, 0.173, 0.1627, 0.1548, 0.1486, 0.1435,
           0.1391, 0.08295),
    "Mg": (1.49, 0.6471, 0.3915, 0.2869, 0.235, 0.2055, 0.1867, 0.1737, 0.1642, 0.1567, 0.1507,
           0.1457, 0.08567),
    "Al": (1.836, 0.7696, 0.4466, 0.3151, 0.2506, 0.2143, 0.1917, 0.1764, 0.1653, 0.1569, 0.1502,
           0.1446, 0.08367),
    "Si": (2.364, 0.9652, 0.5412, 0.3692, 0.2854, 0.2387, 0.21, 0.1909, 0.1773, 0.1671, 0.1591,
           0.1526, 0.08667),
    "P": (2.822, 1.13, 0.616, 0.4081, 0.307, 0.2513, 0.2173, 0.195, 0.1793, 0.1678, 0.1588, 0.1517,
          0.08431),
    "S": (3.528, 1.392, 0.7423, 0.4792, 0.352, 0.2821, 0.2399, 0.2124, 0.1933, 0.1794, 0.1688,
          0.1604, 0.087),
    "Cl": (4.066, 1.588, 0.8313, 0.5253, 0.3775, 0.2967, 0.2482, 0.2167, 0.1951, 0.1796, 0.1678,
           0.1586, 0.08373),
    "K": (5.744, 2.216, 1.131, 0.6911, 0.4791, 0.3636, 0.2948, 0.2508, 0.2209, 0.1997, 0.1839,
          0.1718, 0.08517),
    "Ca": (6.871, 2.643, 1.337, 0.8065, 0.5508, 0.4118, 0.3292, 0.2765, 0.2409, 0.2158, 0.1973,
           0.1831, 0.08765),
    "Fe": (13.7, 5.286, 2.614, 1.515, 0.9816, 0.6915, 0.5198, 0.4113, 0.339, 0.2888, 0.2526, 0.2256,
           0.08326),
    "Cu": (18.2, 7.074, 3.498, 2.013, 1.289, 0.8941, 0.6602, 0.5123, 0.414, 0.3459, 0.2969, 0.2606,
           0.0827),
}


def attenuation_per_cm(density, **fractions):
    """Linear attenuation of a mixture of elements.

    Args:
        density: in g/cm3.
        fractions: mass fraction of each element, by its symbol; in sum 1.
    Returns:
        At CT_KEV (12,), and at 511 keV, in 1/cm.
    Raises:
        ValueError: an element without a table, or fractions whose sum is not 1 to 0.2 %.
    """
    unknown = sorted(fractions.keys() - _CM2_PER_G.keys())
    if unknown:
        raise ValueError(
            f"attenuation_per_cm takes {', '.join(_CM2_PER_G)}, got {', '.join(unknown)}"
        )
    if abs(sum(fractions.values()) - 1) > 0.002:
        raise ValueError(
            f"attenuation_per_cm takes fractions that sum to 1, got {sum(fractions.values()):.4g}"
        )
    total = density * sum(
        part * np.array(_CM2_PER_G[element]) for element, part in fractions.items()
    )
    return total[:-1], float(total[-1])
