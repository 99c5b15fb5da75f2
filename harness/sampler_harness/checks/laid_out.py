"""The bundle that a case is judged by: with its noise read where it arrives, and with the sign that it arrives with."""

from __future__ import annotations

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.coded import measured_layout
from sampler_harness.law.places import is_uneven
from sampler_harness.law.signed import layout_by_signs

from .replayed import hold

__all__ = ["as_laid_out"]


def as_laid_out(bundle: Bundle, *, is_read: bool) -> Bundle:
    """The bundle with a layout of its draws that explains what would otherwise be off.

    Draws are read by their size and order as long as impulses arrive where that says. Beyond what impulses tell, a
    normal may be negated at some places, or swapped with others where no impulse stood: two items, two channels of
    three. And where the reference is not affine, no impulse tells anything. Another layout counts only where all is
    right with it.

    Args:
        bundle: as it was measured.
        is_read: coefficients of its dtype are read.
    """
    if bundle.zero.problem is not None:
        return bundle
    if bundle.is_affine:
        return _followed(bundle) if is_read and is_uneven(bundle, asleep=bundle.case.config.is_clipped) else bundle
    if hold(bundle, bundle.dense).cause not in ("law/initial-noise", "noise/shape", "clip/replay"):
        return bundle
    layout = layout_by_signs(bundle.reader, bundle.given_at_zero)
    other = bundle if layout is None else bundle.read_as(layout)
    return other if hold(other, other.dense).cause is None else bundle


def _followed(bundle: Bundle) -> Bundle:
    """Read with normals that are negated at some places or moved about, where that makes all places alike."""
    layout = measured_layout(bundle.reader)
    if layout is None:
        return bundle
    other = bundle.read_as(layout)
    return bundle if is_uneven(other, asleep=bundle.case.config.is_clipped) else other
