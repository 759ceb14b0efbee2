"""Tells errors that refuse what a user gave, in a sentence, from errors in the code."""

import traceback

PACKAGES = ("recon", "sim", "denoise", "benchmarks")


def is_refusal(error):
    """Whether our own code raised a ValueError or RuntimeError; any other is a bug."""
    if not isinstance(error, (ValueError, RuntimeError)):
        return False
    frame, _ = list(traceback.walk_tb(error.__traceback__))[-1]
    line = traceback.extract_tb(error.__traceback__)[-1].line or "raise"
    ours = frame.f_globals["__name__"].split(".")[0] in PACKAGES
    return ours and line.startswith("raise")
