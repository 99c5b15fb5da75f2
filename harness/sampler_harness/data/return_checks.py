"""The checks of what follows a preprocessing: the way back to a frame, the sampler's clip, the latents' scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.verdict import Finding

from .checks import check_range
from .evidence import PreprocessEvidence
from .judging import END, LEVELS, Judged, conclude, nothing_seen, skipped, unseen

__all__ = ["check_clip_range", "check_latent_scale", "check_round_trip"]

#: Share of the clip's range that may lie idle: data in [0,1] under a clip to [-1,1] leaves a half.
IDLE = 1 / 6


def check_round_trip(evidence: PreprocessEvidence) -> Finding:
    """The inverse gives back the gray level, rounds to the nearest and clamps what lies outside."""
    id, subject = "data/round-trip", evidence.subject
    if subject.inverse is None:
        return skipped(id, "no inverse is declared: give inverse=, the program's own model output -> frame")
    if (finding := unseen(id, evidence, straight=True)) is not None:
        return finding
    back = evidence.back
    assert back is not None
    if back.problem:
        return conclude(id, [Judged(math.inf, back.problem)], passed="")
    loose = evidence.tolerance_in_levels()
    off = back.there_and_back - np.arange(256)
    at = int(np.abs(off).argmax())
    got = float(back.there_and_back[at])
    told: dict[str, Any] = {
        "bias_in_levels": back.bias,
        "worst_gray": at,
        "comes_back_as": got,
        "integers": back.whole,
        "size": list(back.size),
    }
    range_is_wrong = check_range(evidence).outcome == "failed" and (back.from_declared or 0.0) <= 1.0
    cause = "data/range" if range_is_wrong else None
    if evidence.latents is not None and check_latent_scale(evidence).outcome == "failed":
        cause = "data/latent-scale"
    what = (
        "a truncation does this: round before the cast"
        if off.min() >= -1.5 and off.max() <= loose
        else "ranges or curves do not fit"
    )
    # Float32 moves a level by 3e-5: what comes back is the gray itself, or a mistake.
    seen = [
        Judged(
            float(np.abs(off).max()) / (0.25 + loose),
            f"gray {at} comes back as {got:.4g}, should be {at} (inverse of preprocess; "
            f"{int((np.abs(off) > 0.25).sum())} of 256 grays are off): {what}",
            consequence_of=cause,
        )
    ]
    # Where even whole levels are lost, their fractions and what lies beyond say nothing new.
    close = float(np.abs(off).max()) <= 1.5 + loose
    if back.bias is not None and close:
        named = "it truncates, " if back.bias < 0 else ""
        seen.append(
            Judged(
                abs(back.bias) / (0.1 + loose),
                f"between two gray levels the inverse is off by {back.bias:+.2f} on average: {named}half a gray level "
                "at every use, and again at each where the frame is fed back; write .round() before the cast to uint8",
                consequence_of=cause,
            )
        )
    seen += [_beyond_seen(name, value, should, back.whole, cause) for name, value, should in back.beyond if close]
    if back.orientation is not None:
        stands = back.orientation == "as it stood"
        lies = evidence.orientation == back.orientation
        seen.append(
            Judged(
                0.0 if stands else math.inf,
                f"the picture comes back {back.orientation}, should stand as it stood",
                consequence_of="data/resize" if lies else None,
            )
        )
    if back.colors is not None and close:
        seen.append(
            Judged(
                back.colors / (LEVELS + loose),
                f"pure red, green or blue comes back {back.colors:.0f} gray levels off: the channels come back in "
                "another order, or mixed",
                evidence={"colors_off": back.colors},
                consequence_of=cause,
            )
        )
    clamped = all(abs(value - should) <= 4 for _, value, should in back.beyond)
    kind = "whole levels" if back.whole else "floats"
    passed = f"all 256 grays come back within {np.abs(off).max():.2g} of a level, as {kind}"
    passed += f"; bias {back.bias:+.2g} levels" if back.bias is not None else "; outputs of integers have no fractions"
    passed += "" if clamped else "; what lies outside of the range is not clamped (floats: told, not judged)"
    return conclude(id, seen, passed=passed, evidence=told)


def _beyond_seen(name: str, value: float, should: float, whole: bool, cause: str | None) -> Judged:
    """A model's output that lies outside of the range; floats may be clamped later."""
    off = abs(value - should) if whole else 0.0
    wraps = "wraps around" if off > 64 else "is not clamped"
    return Judged(
        off / LEVELS,
        f"a model output {name} comes back as {value:.4g}, should be {should:g}: it {wraps}; models do reach -1.02 "
        "and 1.02: clamp before the cast to uint8",
        evidence={"beyond": name, "got": value, "should_be": should},
        consequence_of=cause,
    )


def check_clip_range(evidence: PreprocessEvidence) -> Finding:
    """The sampler's clip holds the data, and little more than the data."""
    id, subject = "data/clip-range", evidence.subject
    if subject.clip is None:
        return skipped(id, "no clip is declared: give clip=(low, high), or the sampler's configuration")
    if subject.latent_scale is not None:
        return skipped(id, "the sampler clips latents, whose range no frame tells")
    if (finding := unseen(id, evidence)) is not None:
        return finding
    low = min(float(tone.curve.min()) for tone in evidence.tones)
    high = max(float(tone.curve.max()) for tone in evidence.tones)
    left, right = subject.clip
    size = right - left
    told = {"data": [round(low, 6), round(high, 6)], "clip": [left, right]}
    fits = subject.range is not None and max(abs(subject.range[0] - left), abs(subject.range[1] - right)) <= END * size
    cause = "data/range" if fits and check_range(evidence).outcome == "failed" else None
    cut = max(left - low, high - right, 0.0)
    idle = max(1.0 - (high - low) / size, 0.0)
    seen = [
        Judged(
            cut / (END * size),
            f"the data runs from {low:.4g} to {high:.4g}, but the sampler clips to [{left:g}, {right:g}]: it cuts off "
            f"what the model has learned, by up to {cut:.4g}; map the data to [{left:g}, {right:g}]",
            consequence_of=cause,
        ),
        Judged(
            idle / IDLE,
            f"the data fills [{low:.4g}, {high:.4g}] only, {1 - idle:.0%} of what the sampler clips to, [{left:g}, "
            f"{right:g}]: samples wash out, since nothing holds them in the data's range; map the data to [{left:g}, "
            f"{right:g}]",
            consequence_of=cause,
        ),
    ]
    passed = f"the data runs from {low:.4g} to {high:.4g}, the clip from {left:g} to {right:g}"
    return conclude(id, seen, passed=passed, evidence=told)


def _factor_name(factor: float, scale: float) -> str:
    """What a factor on the latents means, where it is not the declared one."""
    for power, name in (
        (0, "it is forgotten"),
        (2, "it is applied twice"),
        (-1, "it is divided by"),
        (-2, "divided twice"),
    ):
        if abs(factor / scale**power - 1) < 0.02:
            return name
    return "another constant"


def check_latent_scale(evidence: PreprocessEvidence) -> Finding:
    """Latents are multiplied by the declared scale once, and it is undone once."""
    id, subject = "data/latent-scale", evidence.subject
    scale = subject.latent_scale
    if scale is None:
        return skipped(id, "the model works on pixels: no latent_scale is declared")
    if evidence.problem is not None:
        return nothing_seen(id, "the preprocessing could not be measured", consequence_of="data/shape")
    found = evidence.latents
    assert found is not None
    if found.problem:
        return conclude(id, [Judged(math.inf, found.problem)], passed="")
    told = {"encode": found.encode, "decode": found.decode, "spread_of_latents": found.spread}
    # Half precision keeps 11 bits: three times 2^-10.
    loose = 0.003
    seen, parts = [], []
    for side, factor, should, remains in (
        ("before the model", found.encode, scale, found.encode_off),
        ("before decoding", found.decode, 1.0 / scale, found.decode_off),
    ):
        if factor is None:
            continue
        name = _factor_name(factor, should)
        seen.append(
            Judged(
                abs(factor / should - 1) / loose,
                f"{side} latents are multiplied by {factor:.5g}, should be {should:.5g}: the scale of {scale:g} is "
                f"wrong there ({name})",
                evidence={"got": factor, "should_be": should, "where": side},
            )
        )
        seen.append(
            Judged(
                remains / (4 * loose),
                f"{side} latents are not a multiple of the autoencoder's ({remains:.1%} remains): something is added "
                "or they are not affine; declare latent_shift=… where a mean is subtracted",
                evidence={"remains": remains, "where": side},
            )
        )
        parts.append(f"{side} latents are multiplied by {factor:.5g}")
    if found.consistent is not None:
        told["consistent"] = found.consistent
        wrong = "the scale is undone but never applied" if found.consistent == scale else "it is applied but not undone"
        seen.append(
            Judged(
                0.0 if found.consistent == 1.0 else math.inf,
                f"a frame comes back best when its latents are first multiplied by {found.consistent:.5g}: {wrong}, "
                "or one of the two is done twice",
            )
        )
        parts.append("what is applied before the model is undone before decoding")
    spread = "" if found.spread is None else f"; their spread over the test frames is {found.spread:.3g}"
    if not seen:
        return nothing_seen(
            id,
            "take the autoencoder as a keyword-only argument, or give inverse=, so that the scale can be read" + spread,
        )
    return conclude(id, seen, passed="; ".join(parts) + spread, evidence=told)
