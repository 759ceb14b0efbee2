"""What a network sees of images: channels on one scale, the same in training and in use."""

import numpy as np

CT_HU = 1000.0  # what 1 stands for in the CT's channel: air is -1, water 0


def channels(low, level, ct=None):
    """The channels of a network's input.

    Args:
        low: (x, y, z), the low-dose image in any unit.
        level: `denoise.scaling.Scaling.level` of the whole image, in that unit.
        ct: (x, y, z), HU, where the network takes a CT.
    Returns:
        (1 or 2, x, y, z), float32.
    """
    found = [np.asarray(low, np.float32) / np.float32(level)]
    if ct is not None:
        found.append(np.asarray(ct, np.float32) / np.float32(CT_HU))
    return np.stack(found)
