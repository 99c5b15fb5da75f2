"""What faults of several kinds of training have in common: what they do, and how a cast is written."""

from __future__ import annotations

__all__ = ["BATCH_OF_ONE", "SHARED_NOISE", "TOLD_IN_BFLOAT16", "in_bfloat16"]

BATCH_OF_ONE = "The model sees one level in each step: right on average, with a gradient as noisy as a batch of one."
SHARED_NOISE = "Noise that several elements share is never taken away where they differ, when samples are made."
TOLD_IN_BFLOAT16 = (
    "The model cannot tell neighboring times apart, and a sampler that tells it the times themselves asks about others."
)


def in_bfloat16(value: str) -> str:
    """Lines that make ``told`` of a value with the eight binary digits that bfloat16 has.

    Args:
        value: an expression.
    """
    return f"""digits, exponent = np.frexp({value})
        told = np.ldexp(np.rint(256 * digits), exponent - 8)  # in bfloat16: eight binary digits
"""
