"""Whether frames are in the units that declarations, sampler and model work in: asked before anything else.

Context: with frames in [0, 255] or [0, 1] beside a model that knows [-1, 1] every later figure is wrong, and blames
whoever comes last.
Choice: a declared range decides, by the very check that batches are held to. Where none is declared the sampler's own
scale does, by a factor that no picture bridges; and last the samples: where they are the frames but for a change of
units that people forget, the frames are what is wrong.
Reversed by: a sampler that is declared with its range.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.detail.spectrum import Array
from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject, Subject
from sampler_harness.subject.base import ModelSubject
from sampler_harness.subject.data import DataSubject, data_under_test
from sampler_harness.subject.images import ImageSubject

from .experiment import Experiment

__all__ = ["Units", "change_of_units", "declared_units"]

#: Sizes of frames over the scale that a model is made for, beyond which they are in other units: pictures in [-1, 1]
#: have 0.1 to 1, in gray levels 10 to 120, divided by 255 twice 0.004 at most.
WIDE, FAINT = 10.0, 0.01
#: A run must start from noise that drowns the frames: at least so many of their root mean squares.
DROWNED = 2.0
#: Signal in x where a run begins, below which a process scales the data down: it is made for data of about unit scale.
UNSCALED = 0.99
#: Octaves of samples and frames that differ by less than this are the same to a person (1 dB), and so are those that
#: differ by less than so many standard errors of what is measured on as many frames.
SAME, ERRORS = 10 ** (1 / 10), 4.0
#: What frames are read as, how that is written, and in which range they then are.
CHANGES = (
    (2.0, -1.0, "2 * x - 1", "[0, 1]", "[-1, 1]"),
    (1 / 127.5, -1.0, "x / 127.5 - 1", "[0, 255]", "[-1, 1]"),
    (1 / 255, 0.0, "x / 255", "[0, 255]", "[0, 1]"),
    (0.5, 0.5, "(x + 1) / 2", "[-1, 1]", "[0, 1]"),
    (127.5, 127.5, "(x + 1) * 127.5", "[-1, 1]", "[0, 255]"),
    (255.0, 0.0, "255 * x", "[0, 1]", "[0, 255]"),
)


@dataclass(frozen=True)
class Units:
    """What frames were held against.

    Attributes:
        told: their values, and what these are held against, for a person.
        ends: the declared range; None where there is none.
        problem: why they are in other units; empty where they are in none.
        remarks: what is odd, and may be right.
    """

    told: str
    ends: tuple[float, float] | None
    problem: str = ""
    remarks: tuple[str, ...] = ()


def declared_units(
    frames: Array, dtype: str, subject: Subject, config: Any, data: Sequence[ImageSubject], training: AnySubject | None
) -> Units:
    """Hold frames against what is declared of data, sampler and model.

    Args:
        frames: ``(N, C, H, W)``.
        dtype: name of what they came in.
        subject: the declared sampler.
        config: that is run.
        data: declarations of preprocessing and batches.
        training: that of the training step.
    """
    seen = f"values from {frames.min():.4g} to {frames.max():.4g}, spread {frames.std():.3g}"
    seen += f", {dtype}" if "int" in dtype else ""
    scaled = next((one for one in data if one.latent_scale is not None), None)
    ranged = next((one for one in data if one.range is not None and one.latent_scale is None), None)
    clamped_to = _clamped_to(subject, config)
    ends: tuple[float, float] | None = None
    by = ""
    if scaled is not None:
        by = f"latents times {scaled.latent_scale:g}"
    elif ranged is not None and ranged.range is not None:
        ends = ranged.range
        by = f"[{ends[0]:g}, {ends[1]:g}], declared by {ranged.name}"
    clamp = f"[{clamped_to[0]:g}, {clamped_to[1]:g}], to which the sampler clamps" if clamped_to else ""
    told = f"{seen}; held against {by or clamp or 'no range: none is declared'}"
    problem = ""
    if by and (problem := _out_of_range(frames, ends, scaled or ranged)):
        problem = f"{problem} ({by})"
    if not problem and clamped_to and (problem := _out_of_range(frames, clamped_to, None)):
        ends, problem = clamped_to, f"{problem} ({clamp})"
    scale, start = _scale(subject, config, training), _start(config)
    problem = problem or _out_of_scale(frames, scale, start, ranged=bool(by))
    if problem:
        problem = f"{problem}{_way_back(frames, ends)}"
    return Units(told, ends, problem, _remarks(frames, scale, start))


def _clamped_to(subject: Subject, config: Any) -> tuple[float, float] | None:
    """The range that the sampler leaves nothing outside of, data units; None where an end of it is open."""
    reach = float(config.clip_reach) if config.is_clipped else math.inf
    ends = (-reach, reach) if subject.output_clip is None else subject.output_clip
    return ends if all(map(math.isfinite, ends)) else None


def _out_of_range(frames: Array, ends: tuple[float, float] | None, declared: ImageSubject | None) -> str:
    """What the checks of batches say of the frames, as if they were one; empty where nothing."""
    channels = int(frames.shape[1])
    if isinstance(declared, DataSubject):
        batches = dataclasses.replace(
            declared, function=lambda: [frames], channels=channels, size=None, dtype=None, images=None, batches=1,
            expected_failures={},
        )  # fmt: skip
    else:
        scale = None if declared is None else declared.latent_scale
        levels = None if declared is None else 256  # a clamp says nothing of gray levels
        batches = data_under_test(range=ends, channels=channels, dtype=None, levels=levels, latent_scale=scale)(
            lambda: [frames]
        )
    verdict = check_sampler(batches, checks=("data/normalisation", "data/contrast"), diagnose=False)
    failed = [finding for finding in verdict.causes if finding.outcome == "failed"]
    return failed[0].message.partition("\n")[0] if failed else ""


def _scale(subject: Subject, config: Any, training: AnySubject | None) -> tuple[float, str] | None:
    """The spread that a model is made for, and who says so; None where nobody does."""
    for declared, who in ((subject, "the sampler"), (training, "the training step")):
        value = declared.fields.get("sigma_data") if isinstance(declared, ModelSubject) else None
        if isinstance(value, (int, float)):
            return float(value), f"sigma_data of {who}"
    values = config.values()
    if "sigma_data" in values and values.get("model_kind") == "network":
        return float(values["sigma_data"]), "sigma_data of the model"
    start = config.forward_scales(0) if config.has_forward and len(config.levels) else (1.0, 0.0)
    return (1.0, "the unit scale that this process is made for") if start[0] < UNSCALED else None


def _out_of_scale(frames: Array, scale: tuple[float, str] | None, start: float | None, *, ranged: bool) -> str:
    """What the sampler's own scale says of frames; of those in a declared range only what no picture bridges."""
    spread, size = float(frames.std()), _size(frames)
    if scale is not None and spread > WIDE * scale[0]:
        return f"frames have a spread of {spread:.3g}, {scale[0]:g} is {scale[1]}"
    if ranged:
        return ""
    if scale is not None and 0 < size < FAINT * scale[0]:
        return f"frames have a root mean square of {size:.3g}, {scale[0]:g} is {scale[1]}"
    return _not_drowned(size, start)


def _not_drowned(size: float, start: float | None) -> str:
    if start is None or start >= DROWNED * size:
        return ""
    return f"a run starts from noise of std {start:.3g}, which does not drown frames of root mean square {size:.3g}"


def _size(frames: Array) -> float:
    return float(np.sqrt((frames**2).mean()))


def _start(config: Any) -> float | None:
    """Std of the noise that a run starts from, in units of the data; None where that is not known."""
    if not config.has_forward or not len(config.levels):
        return None
    signal, noise = config.forward_scales(0)
    return None if signal <= 0 else noise / signal


def _remarks(frames: Array, scale: tuple[float, str] | None, start: float | None) -> tuple[str, ...]:
    """What is odd, and may be meant."""
    spread = float(frames.std())
    remarks = [_not_drowned(_size(frames), start)]
    if scale is not None and "sigma_data" in scale[1] and not 0.5 <= spread / scale[0] <= 2.0:
        told = f"frames have a spread of {spread:.2g}, {scale[1]} is {scale[0]:g}"
        remarks.append(f"{told}: the network's input is not of unit size")
    return tuple(one for one in remarks if one)


def _way_back(frames: Array, ends: tuple[float, float] | None) -> str:
    """What would bring them into a range, as far as it can be told."""
    low, high = float(frames.min()), float(frames.max())
    wanted = ends or (-1.0, 1.0)
    if wanted == (-1.0, 1.0) and low >= 0:
        formula = "x / 127.5 - 1" if high > 1.5 else "2 * x - 1"
    elif wanted == (0.0, 1.0) and low >= 0 and high > 1.5:
        formula = "x / 255"
    elif wanted == (0.0, 1.0) and low < 0:
        formula = "(x + 1) / 2"
    else:
        return ""
    return f": {formula} would bring them to [{wanted[0]:g}, {wanted[1]:g}]"


def change_of_units(frames: Array, experiment: Experiment) -> str:
    """How samples differ from the frames, where a forgotten change of units is all of it; empty where it is not.

    All octaves must be off alike, by the factor of the change, and so must the mean: nothing else that fades detail or
    leaves noise does that to coarse structure.

    Args:
        frames: ``(N, C, H, W)``.
        experiment: of whose reference the samples are compared.
    """
    sample, kept = experiment.reference.sample, experiment.kept_reference
    if sample is None or kept is None or (_alike(kept, experiment.error, 1.0) and _near(sample, frames)):
        return ""
    for factor, shift, formula, of, to in CHANGES:
        low, high = (float(end) for end in of.strip("[]").split(","))
        slack = 0.02 * (high - low)
        fits = low - slack <= frames.min() and frames.max() <= high + slack
        if fits and _alike(kept, experiment.error, factor**2) and _near(sample, factor * frames + shift):
            same = f"the samples are what {formula} would make of your frames"
            return f"{same}: the frames are in {of}, the model in {to}"
    return ""


def _alike(kept: Sequence[float], errors: Sequence[float], ratio: float) -> bool:
    """Whether every octave has the frames' power times a ratio, as far as so many frames tell."""
    rows = list(zip(kept, errors, strict=True))
    if not all(share > 0 and error < share / 2 for share, error in rows):
        return False  # what hardly is measured is like anything
    return all(abs(math.log(share / ratio)) <= max(math.log(SAME), ERRORS * error / share) for share, error in rows)


def _near(samples: Array, frames: Array) -> bool:
    """Whether the means differ by less than frames do among themselves."""
    spread = float(np.std(frames.mean(axis=(1, 2, 3)))) + 0.1 * float(frames.std())
    return abs(float(samples.mean()) - float(frames.mean())) <= 2 * spread
