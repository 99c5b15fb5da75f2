"""The checks of a preprocessing, pixel by pixel: shape, range, tone curve, colors and rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.subject.preprocessing import LUMA
from sampler_harness.verdict import Finding

from .evidence import PreprocessEvidence
from .judging import (
    END,
    LEVELS,
    Judged,
    conclude,
    nothing_seen,
    reproduction,
    size_text,
    skipped,
    unseen,
    white_line,
)
from .measures import curve_name, name_of_weights, range_name

__all__ = ["check_channel_weights", "check_gamma", "check_range", "check_rounding", "check_shape"]

#: 1.5 levels of 255 for each end of a color, as above.
WEIGHT = 0.012 * 1.5
#: Rounding sends half of what lies between two levels up, truncation none; cv2's bilinear, whose fixed-point arithmetic
#: truncates in between, sends 0.35 up, three times this.
ROUNDED_UP = 1 / 9


def check_shape(evidence: PreprocessEvidence) -> Finding:
    """Every frame becomes one finite tensor of the declared channels and size, the same one each time."""
    id, subject = "data/shape", evidence.subject
    script = reproduction(subject, "", "out.shape, np.isfinite(out).all()")
    if evidence.problem is not None:
        return conclude(id, [Judged(math.inf, evidence.problem)], passed="", reproduction=script)
    output = evidence.output
    if output is None:
        return skipped(id, "the model gets latents, whose shape is the autoencoder's affair")
    told = {"axes": output.axes, "dtype": output.dtype, "channels": output.channels, "size": list(output.size)}
    seen = [Judged(0.0)]
    if evidence.not_finite:
        names = ", ".join(evidence.not_finite)
        seen.append(
            Judged(
                math.inf,
                f"NaN or infinity comes out for test frames ({names}; all but the noise are even): a game that fades "
                "to black would feed it to the model; a division by the frame's own spread or maximum does this",
            )
        )
    if evidence.repeats_off:
        seen.append(
            Judged(
                math.inf,
                f"the same frame twice gives different outputs (by up to {evidence.repeats_off:.3g}): declare the "
                "function without augmentation or dequantisation noise, so that what is fixed can be measured",
            )
        )
    if output.channels != subject.channels and subject.latent_scale is None:
        seen.append(
            Judged(
                math.inf,
                f"{output.channels} channels come out (axes {output.axes}), should be {subject.channels} as declared",
                evidence={"got": output.channels, "should_be": subject.channels},
            )
        )
    if subject.size is not None and output.size != subject.size and subject.latent_scale is None:
        swapped = output.size == subject.size[::-1]
        why = ": height and width are swapped (cv2.resize and PIL take width first)" if swapped else ""
        seen.append(
            Judged(
                math.inf,
                f"a picture of {size_text(output.size)} comes out, should be {size_text(subject.size)}{why}",
                evidence={"got": list(output.size), "should_be": list(subject.size)},
            )
        )
    shape = f"{output.channels} x {size_text(output.size)}"
    passed = f"axes {output.axes}, {shape}, {output.dtype}; the same bits for the same frame"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=script)


def check_range(evidence: PreprocessEvidence) -> Finding:
    """Black and white become the two ends of the declared range."""
    id, subject = "data/range", evidence.subject
    if (finding := unseen(id, evidence)) is not None:
        return finding
    ends = [(tone.black, tone.white) for tone in evidence.tones]
    told = {"black": [round(b, 6) for b, _ in ends], "white": [round(w, 6) for _, w in ends]}
    black, white = ends[0]
    if subject.range is None:
        return skipped(id, f"no range is declared; measured: black {black:.4g}, white {white:.4g}", told)
    low, high = subject.range
    seen = []
    for channel, (b, w) in enumerate(ends):
        off = max(abs(b - low), abs(w - high))
        whose = f" in channel {channel}" if len(ends) > 1 else ""
        named = range_name(b, w)
        alive = evidence.tones[channel].is_alive
        known = f" ({named})" if ":" in named or not named.startswith("[") else ""
        what = (
            f"black becomes {b:.4g} and white {w:.4g}{whose}{known}" if alive else f"every gray becomes {b:.4g}{whose}"
        )
        cause = "data/gamma" if evidence.context > LEVELS or not evidence.tones[channel].rising else None
        seen.append(
            Judged(
                off / (END * (high - low)),
                f"{what}, should be {low:g} and {high:g}",
                evidence={"got": [b, w], "should_be": [low, high], "looks_like": named},
                consequence_of=cause,
            )
        )
    passed = f"black becomes {black:.4g} and white {white:.4g}"
    off_by_one = abs(white - high) > 0.5 * (high - low) / 255
    passed += "; white is one level short of the end (a division by 256?)" if off_by_one else ""
    if evidence.uneven > 0:
        passed += f"; {evidence.uneven:.0%} of the picture stays as it is whatever the frame (a border?)"
    script = reproduction(subject, white_line(subject), "out.min(), out.max(), 'for a white frame'")
    return conclude(id, seen, passed=passed, evidence=told, reproduction=script)


def check_gamma(evidence: PreprocessEvidence) -> Finding:
    """The tone curve is straight, or has the declared exponent, and depends on the pixel alone."""
    id, subject = "data/gamma", evidence.subject
    if (finding := unseen(id, evidence)) is not None:
        return finding
    allowed = LEVELS + evidence.tolerance_in_levels()
    tone = max(evidence.tones, key=lambda t: (not t.rising, t.bend))
    told: dict[str, Any] = {
        "curve": curve_name(tone),
        "gamma": None if tone.gamma is None else round(tone.gamma, 4),
        "bend_in_levels": round(tone.bend, 3),
    }
    seen = [
        Judged(
            evidence.context / allowed,
            f"the same gray comes out {evidence.context:.3g} levels apart when the rest of the frame is black or "
            "white: the frame's own statistics (mean, spread, minimum, maximum) are in the output, so that one "
            "object has another brightness in each frame; use fixed constants",
            evidence={"depends_on_frame": evidence.context},
        )
    ]
    if not tone.is_alive and evidence.context <= allowed:
        return nothing_seen(id, "every gray becomes the same value", consequence_of="data/range")
    if not tone.rising:
        at = tone.turn
        seen.append(
            Judged(
                math.inf,
                f"gray {at} becomes {tone.curve[at]:.4g} but gray {at + 1} becomes {tone.curve[at + 1]:.4g}: integers "
                "wrap around (arithmetic in uint8 or int8; convert to float first)",
                evidence={"gray": at},
            )
        )
    elif subject.gamma is not None and tone.is_alive:
        should = (np.arange(256) / 255.0) ** subject.gamma
        for one in evidence.tones:
            share = (one.curve - one.black) / one.span if one.span else np.zeros(256)
            off = 255 * np.abs(share - should)
            at = int(off.argmax())
            seen.append(
                Judged(
                    float(off[at]) / allowed,
                    f"gray {at} comes out as bright as gray {255 * share[at]:.1f} should, {off[at]:.1f} levels off: "
                    f"the tone curve is {curve_name(one)}, should be "
                    f"{'straight' if subject.gamma == 1 else f'a gamma of {subject.gamma:g}'}; declare gamma=… if it "
                    "is meant",
                    evidence={"gray": at, "got": float(255 * share[at]), "should_be": float(255 * should[at])},
                )
            )
    passed = f"the tone curve is {curve_name(tone)}: at most {tone.bend:.2g} gray levels from a straight line"
    middle = "frame[...] = 128" if subject.frame_dtype == "uint8" else "frame[...] = 128 / 255"
    script = reproduction(subject, middle, "np.median(out), 'for a frame of gray 128'")
    return conclude(id, seen, passed=passed, evidence=told, reproduction=script)


def _weights_text(weights: Any) -> str:
    weights = [abs(weight) if abs(weight) < 5e-4 else weight for weight in weights]
    return f"{weights[0]:.3f} red + {weights[1]:.3f} green + {weights[2]:.3f} blue"


def check_channel_weights(evidence: PreprocessEvidence) -> Finding:
    """Gray is made of red, green and blue with the declared weights, or the channels stay where they are."""
    id, subject = "data/channel-weights", evidence.subject
    if (finding := unseen(id, evidence, straight=True)) is not None:
        return finding
    if evidence.colors is None:
        return skipped(id, "the frames have one channel")
    weights = evidence.colors.weights
    names = [name_of_weights(row) for row in weights]
    told = {"weights": [[round(float(w), 4) for w in row] for row in weights], "looks_like": names}
    shown = "; ".join(
        f"channel {i}: {name if name.endswith(' only') else _weights_text(row)}"
        for i, (row, name) in enumerate(zip(weights, names, strict=True))
    )
    shown = _weights_text(weights[0]) if len(weights) == 1 else shown
    known = f" ({names[0]})" if len(weights) == 1 and names[0][0].isalpha() else ""
    if subject.luma is None:
        text = f"luma is not declared; measured: {shown}{known}"
        if known.endswith("swapped)"):
            text += ": if the frames are RGB, a BGR conversion was put on them"
        return skipped(id, text, told)
    if isinstance(subject.luma, str):
        rows = np.eye(3) if subject.luma == "same" else np.eye(3)[::-1]
        wanted, called = rows[: len(weights)], f"the frame's channels, {subject.luma}"
    else:
        wanted = np.array([subject.luma])
        named = [name for name, known_weights in LUMA.items() if known_weights == subject.luma]
        called = f"{_weights_text(wanted[0])}{f' ({named[0]})' if named else ''}"
    if weights.shape != wanted.shape:
        return nothing_seen(
            id,
            f"{len(weights)} channels come out, {len(wanted)} are declared",
            consequence_of="data/shape",
        )
    off = float(np.abs(weights - wanted).max())
    allowed = WEIGHT + evidence.tolerance_in_levels() / 255
    swapped = bool(np.abs(weights[:, ::-1] - wanted).max() <= allowed)
    hint = ": red and blue are swapped, BGR was taken for RGB or the other way round" if swapped else ""
    seen = [
        Judged(off / allowed, f"the output is {shown}{known}, should be {called}{hint}", evidence={"off": off}),
        Judged(
            evidence.colors.misfit / (LEVELS + evidence.tolerance_in_levels()),
            f"colors are {evidence.colors.misfit:.1f} gray levels off any weighted sum of red, green and blue (the "
            f"maximum of the channels, lightness, a table?); the nearest is {shown}",
            evidence={"misfit_in_levels": evidence.colors.misfit},
        ),
    ]
    order = 2 if subject.frame_order == "bgr" else 0
    red = f"frame[..., {order}] = {255 if subject.frame_dtype == 'uint8' else 1}" if subject.layout == "HWC" else ""
    script = reproduction(subject, red, "np.median(out), 'for a red frame'") if red else ""
    return conclude(id, seen, passed=f"the output is {shown}{known}", evidence=told, reproduction=script)


def check_rounding(evidence: PreprocessEvidence) -> Finding:
    """All 256 gray levels stay apart, and what is rounded is rounded to the nearest."""
    id, subject = "data/rounding", evidence.subject
    if (finding := unseen(id, evidence)) is not None:
        return finding
    if not evidence.is_straight:
        return nothing_seen(id, "different grays become one", consequence_of="data/gamma")
    levels = min(tone.levels for tone in evidence.tones)
    by_color = evidence.colors.rounded if evidence.colors is not None else None
    by_place = evidence.resize_rounded
    told: dict[str, Any] = {"levels_in": 256, "levels_out": levels}
    told.update({"rounded_up_colors": by_color} if by_color is not None else {})
    told.update({"rounded_up_resize": by_place} if by_place is not None else {})
    seen = []
    # Levels merge where a declared gamma is applied to integers: no mistake of the rounding.
    if subject.gamma == 1.0:
        seen.append(
            Judged(
                (256 - levels) / 1.5,
                f"256 gray levels go in and {levels} come out: {256 - levels} are lost, by integers that are too "
                "coarse, a truncation or a clamp before the range is mapped",
                consequence_of="data/gamma" if max(tone.bend for tone in evidence.tones) > LEVELS else None,
            )
        )
    for share, where in ((by_color, "colors are turned into gray"), (by_place, "the picture is resized")):
        if share is None:
            continue
        seen.append(
            Judged(
                ROUNDED_UP / share if share > 0 else math.inf,
                f"where {where}, {share:.0%} of what lies between two gray levels is rounded up, should be a half: it "
                "is truncated (a cast to integers, floor division), half a gray level darker on average; round first",
            )
        )
    if evidence.edges is not None:
        seen.append(
            Judged(
                0.0 if evidence.edges.crossings <= 1 else math.inf,
                f"at one edge between white and black the output crosses mid-gray {evidence.edges.crossings} times: a "
                "kernel that overshoots was cast to integers that wrap around; clamp before the cast",
                evidence={"crossings": evidence.edges.crossings},
            )
        )
    if not seen:
        return skipped(id, f"a gamma is declared; measured: {levels} of 256 levels stay apart", told)
    parts = [f"{levels} of 256 gray levels stay apart"]
    parts += [f"{by_color:.0%} of colors rounded up"] if by_color is not None else []
    parts += [f"{by_place:.0%} of resized pixels rounded up"] if by_place is not None else []
    if by_color is None and by_place is None:
        parts.append("nothing is rounded to whole levels")
    return conclude(id, seen, passed="; ".join(parts), evidence=told)
