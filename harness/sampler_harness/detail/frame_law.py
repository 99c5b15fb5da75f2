"""The law of a sampler where one pixel's holds for whole frames: affine, in white noise, the same at every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import Evidence
from sampler_harness.checks.noise import affine_ratio
from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.law import Law
from sampler_harness.observe.layout import Layout
from sampler_harness.subject import Subject

__all__ = ["RetentionUnavailable", "measured_law"]


class RetentionUnavailable(ValueError):
    """There is no closed form for this sampler or configuration; the message says why and what to do."""


def measured_law(
    subject: Subject, config: Any, *, device: str = "cpu", fixtures: Mapping[str, Any] | None = None
) -> Law:
    """The law of a sampler that has one for whole frames, as :func:`~.retention.retention` needs it.

    Args:
        subject: what ``@sampler_under_test`` made.
        config: an instance of the reference's dataclass.
        device: any torch device.
        fixtures: values for the sampler's further keyword-only arguments.

    Raises:
        RetentionUnavailable: when the sampler cannot be run, is not affine, or has noise that is not white.
    """
    evidence = Evidence(subject, device=device, fixtures=fixtures)
    # Context: fine detail is a small difference of large weights, which float32 rounds. Choice: float64 even where
    # only float32 is declared, if the sampler runs in it. Reversed by: a fault that only float32 arithmetic has.
    for dtype in ("float64", evidence.dtype):
        bundle = evidence.bundle(evidence.case(config, dtype=dtype))
        unusable = _why_unusable(subject.name, bundle)
        if unusable is None:
            return bundle.law
    raise RetentionUnavailable(unusable)


def _why_unusable(name: str, bundle: Bundle) -> str | None:
    """Why a sampler's law does not hold for every pixel, values of every size and white noise; None where it does."""
    if bundle.problem is not None:
        return f"{name} cannot be measured: {bundle.problem.message}"
    if not bundle.last_row:
        return f"{name} rounds what it returns too coarsely for its last step to be read"
    if bundle.layout is None:
        return f"the noise that {name} draws cannot be told apart from what it returns"
    if not bundle.layout.fields:
        return f"{name} draws no noise that the harness sees: all its samples would be alike"
    if not _is_white(bundle.layout, bundle.case.shape):
        return f"in {name} pixels of a frame share a drawn number, or get none: frequencies have no law of their own"
    leaks = (*bundle.first.leaks, *bundle.second.leaks)
    if leaks:
        return (
            f"in {name} what belongs to one pixel reaches another ({leaks[0].primitive}, first seen in row "
            f"{leaks[0].row}): frequencies have no law of their own"
        )
    dense = bundle.dense
    if not isinstance(dense, DenseRun):
        return f"{name} cannot be measured: {dense.message}"
    ratio, row, _ = affine_ratio(bundle, dense)
    if not ratio <= 1.0:
        return (
            f"{name} is not affine, or not the same everywhere: with large values row {row} is not what its own "
            "coefficients give (a clamp, tanh, division by a statistic)"
        )
    return None


def _is_white(layout: Layout, shape: tuple[int, ...]) -> bool:
    """Whether every pixel of a frame has a drawn number of its own; frames may share theirs."""
    frames = int(np.prod(shape[:2])) if len(shape) > 2 else shape[0]
    for field in layout.fields:
        if (field.offset_of < 0).any():
            return False
        places = field.draw_of * (int(field.offset_of.max()) + 1) + field.offset_of
        if (np.diff(np.sort(places.reshape(frames, -1), axis=1), axis=1) == 0).any():
            return False
    return True
