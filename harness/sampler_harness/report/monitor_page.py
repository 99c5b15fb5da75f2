"""What a training run's detail did, stage by stage: as one HTML page, and as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sampler_harness.detail.frames import read_frames, unpack_frames
from sampler_harness.detail.records import Records, Stage, read_records
from sampler_harness.detail.trend import Trend, find_trend
from sampler_harness.report.figures import curves, filmstrip, flattened
from sampler_harness.report.page import render_page, write_page

__all__ = ["monitor_page", "render_monitor", "write_monitor_page"]

#: A strip shows at most so many stages: more would be scrolled past.
ROWS = 10
#: Samples in a row of a strip.
COLUMNS = 6
STEP = "training step"

#: Title, explanation, and the figure as text of the page.
Figure = tuple[str, str, str]


def monitor_page(directory: str | Path) -> str:
    """One self-contained HTML page about the stages in a directory.

    Args:
        directory: what ``DetailMonitor`` was given as ``out``; a process may be logging to it.

    Raises:
        ValueError: when there are no records, or none that can be read.
        ImportError: when matplotlib or Jinja2 is not installed; one sentence that says how to install them.
    """
    records = read_records(directory)
    stages = records.current
    trend = find_trend(stages, records.octaves)
    strips, missing = _strips(Path(directory), stages, trend)
    return render_page(
        "monitor.html.j2",
        directory=str(directory),
        headline=_headline(stages, trend),
        state="bad" if trend.alarm else "good" if trend.decided else "open",
        trend=trend,
        advice=_advice(trend),
        notes=[*records.notes, *_changed_data(records), *missing],
        facts=_facts(records, stages, trend),
        figures=_figures(records, stages, trend),
        strips=strips,
        octaves=records.octaves,
        levels=_sigmas(stages),
        rows=[_row(stage, records, trend) for stage in stages],
        problems=[(stage.step, stage.problem) for stage in stages if stage.problem],
    )


def write_monitor_page(directory: str | Path, out: str | Path) -> Path:
    """Write the page of :func:`monitor_page` to a file.

    Args:
        directory: of the records.
        out: the HTML file.

    Returns:
        The file.

    Raises:
        ValueError: as :func:`monitor_page`, and when the file cannot be written.
        ImportError: when matplotlib or Jinja2 is not installed.
    """
    return write_page(monitor_page(directory), out)


def render_monitor(directory: str | Path) -> list[str]:
    """The stages in a directory, and what they say, as lines of text.

    Args:
        directory: what ``DetailMonitor`` was given as ``out``.

    Raises:
        ValueError: when there are no records, or none that can be read.
    """
    records = read_records(directory)
    stages = records.current
    trend = find_trend(stages, records.octaves)
    lines = [f"{directory}: {_headline(stages, trend)}"]
    lines += [f"  {sentence}" for sentence in _advice(trend)]
    if stages:
        sigmas = _sigmas(stages)
        shown = sigmas[:: max(1, math.ceil(len(sigmas) / 3))][:3]
        head = ["step", *records.octaves[:3], *(f"error at {sigma:g}" for sigma in shown), "checkpoint"]
        table = [head]
        for stage in stages:
            shares = [f"{share:.2f}" for share in (stage.retained or ())[:3]] or ["-"] * len(records.octaves[:3])
            errors = {level.sigma: level.relative for level in stage.denoising}
            mark = _mark_of(stage, trend)
            name = " ".join(filter(None, [stage.checkpoint, f"<- {mark}" if mark else None])) or "-"
            table.append([str(stage.step), *shares, *(f"{errors[s]:.3g}" if s in errors else "-" for s in shown), name])
        lines += ["", "  detail per octave, as a share of the data's power, and the model's own denoising error:"]
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        for row in table:
            cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
            lines.append("  " + "  ".join([*cells, row[-1]]).rstrip())
    problems = [f"step {stage.step}: {stage.problem}" for stage in stages if stage.problem]
    notes = [*problems, *records.notes, *_changed_data(records)]
    return lines + (["", *(f"  note: {note}" for note in notes)] if notes else [])


def _headline(stages: Sequence[Stage], trend: Trend) -> str:
    if not stages:
        return "No stage has been logged yet"
    return trend.message[0].upper() + trend.message[1:]


def _advice(trend: Trend) -> list[str]:
    """What to do now."""
    if trend.keep is None:
        return []
    step, checkpoint = trend.keep
    name = f"{checkpoint} (step {step})" if checkpoint else f"the checkpoint of step {step}"
    if not trend.alarm:
        return [f"Detail was best with {name}."] if trend.decided else []
    sentences = [f"Keep {name}: detail was best there; it began to fall at step {trend.began_at}."]
    if trend.suspect == "sampler":
        sentences.append(
            "The model denoises as well as before, so what it knows is not lost: check the sampling code, and sample "
            "the last checkpoint with a reference sampler before training again."
        )
    elif trend.suspect == "model or data":
        sentences.append(
            "The model itself denoises worse: go back to the checkpoint to keep, and look at the learning rate, the "
            "data that came in since, normalization and the loss."
        )
    return sentences


def _changed_data(records: Records) -> list[str]:
    if len({run.data for run in records.runs}) < 2:
        return []
    return [
        "the stages were measured against more than one set of data frames: what they retain of it may differ by that"
    ]


def _facts(records: Records, stages: Sequence[Stage], trend: Trend) -> list[tuple[str, str]]:
    """Names and values for the head of the page."""
    again = len(records.stages) - len(stages)
    facts = [("stages", f"{len(stages)}" + (f", and {again} that later ones replace" if again else ""))]
    if stages:
        facts.append(("steps", f"{stages[0].step:,} to {stages[-1].step:,}"))
    if records.runs:
        run = records.runs[-1]
        channels, height, width = run.shape
        low, high = run.data_range
        colors = "1 channel" if channels == 1 else f"{channels} channels"
        facts.append(("data", f"{run.frames} frames of {height} × {width}, {colors}, range {low:g} to {high:g}"))
        if len(records.runs) > 1:
            facts.append(("starts", f"{len(records.runs)} processes logged here, one after another"))
    if trend.octave and trend.decided:
        chance = "below 0.0001" if trend.p_value < 1e-4 else f"= {trend.p_value:.2g}"
        facts.append(
            ("fall", f"{max(0.0, trend.fall):.1f} dB in {trend.octave}; p {chance} for detail that only scatters")
        )
    if stages:
        seconds = float(np.median([stage.seconds for stage in stages]))
        facts.append(("cost", f"{seconds:.2g} s a stage"))
    return facts


def _figures(records: Records, stages: Sequence[Stage], trend: Trend) -> list[Figure]:
    """Each figure that there is something to show for."""
    marks = _marks(trend)
    found = [
        _detail_figure(records, stages, marks),
        _error_figure(stages, marks),
        _range_figure(records, stages),
        _psnr_figure(stages, marks),
    ]
    return [figure for figure in found if figure is not None]


def _detail_figure(records: Records, stages: Sequence[Stage], marks: Mapping[str, float]) -> Figure | None:
    kept = [stage for stage in stages if stage.retained is not None]
    if not kept:
        return None
    steps = [stage.step for stage in kept]
    lines = {
        name: (steps, [_at(stage.retained, place) for stage in kept]) for place, name in enumerate(records.octaves)
    }
    svg = curves(
        lines,
        xlabel=STEP,
        ylabel="share of the data's power",
        marks=marks,
        levels={"as the data": 1.0},
        lowest=0.0,
        logy=flattened(lines),
    )
    text = (
        "Power of the samples over power of the data, per octave of spatial frequency, the finest first. Below 1 "
        "detail is lost, above 1 there is noise that the data does not have."
    )
    return "Detail of the samples", text, svg


def _error_figure(stages: Sequence[Stage], marks: Mapping[str, float]) -> Figure | None:
    lines = {f"σ = {sigma:g}": _errors(stages, sigma) for sigma in _sigmas(stages)}
    if not lines:
        return None
    svg = curves(lines, xlabel=STEP, ylabel="error over data variance", marks=marks, logy=True)
    text = (
        "Mean squared error of the model's estimate of clean frames, the same noise at each stage, no sampler. Where "
        "it goes on falling while detail is lost, the model is not the one that loses it."
    )
    return "The model's own denoising error", text, svg


def _range_figure(records: Records, stages: Sequence[Stage]) -> Figure | None:
    seen = [(stage.step, stage.sample_range) for stage in stages if stage.sample_range is not None]
    if not seen:
        return None
    steps = [step for step, _ in seen]
    lines = {
        "highest": (steps, [one.high for _, one in seen]),
        "mean + std": (steps, [one.mean + one.std for _, one in seen]),
        "mean": (steps, [one.mean for _, one in seen]),
        "mean − std": (steps, [one.mean - one.std for _, one in seen]),
        "lowest": (steps, [one.low for _, one in seen]),
    }
    levels = {}
    if records.runs:
        low, high = records.runs[-1].data_range
        levels = {"lowest of the data": low, "highest of the data": high}
    svg = curves(lines, xlabel=STEP, ylabel="value", levels=levels)
    worst = max(one.outside for _, one in seen)
    text = f"Values of the samples, data units. At most {worst:.2%} of a stage's values lie outside the data's range."
    return "Range of the samples", text, svg


def _psnr_figure(stages: Sequence[Stage], marks: Mapping[str, float]) -> Figure | None:
    told = [(stage.step, stage.psnr) for stage in stages if stage.psnr is not None]
    if not told:
        return None
    line = ([step for step, _ in told], [ratio for _, ratio in told])
    svg = curves({"PSNR": line}, xlabel=STEP, ylabel="dB", marks=marks)
    return "PSNR", "Against each sample's target. It rewards blur: read it beside detail.", svg


def _marks(trend: Trend) -> dict[str, float]:
    if not trend.alarm or trend.keep is None or trend.began_at is None:
        return {}
    return {f"keep {trend.keep[0]:,}": trend.keep[0], f"falls from {trend.began_at:,}": trend.began_at}


def _at(values: Sequence[float] | None, place: int) -> float:
    return values[place] if values is not None and place < len(values) else math.nan


def _sigmas(stages: Iterable[Stage]) -> list[float]:
    return sorted({level.sigma for stage in stages for level in stage.denoising})


def _errors(stages: Iterable[Stage], sigma: float) -> tuple[list[int], list[float]]:
    """Steps at which a level was measured, and the relative error there."""
    points = [(stage.step, level.relative) for stage in stages for level in stage.denoising if level.sigma == sigma]
    return [step for step, _ in points], [error for _, error in points]


def _mark_of(stage: Stage, trend: Trend) -> str:
    if trend.alarm and trend.keep is not None and stage.step == trend.keep[0]:
        return "keep"
    return "falls from here" if trend.alarm and stage.step == trend.began_at else ""


def _row(stage: Stage, records: Records, trend: Trend) -> dict[str, Any]:
    """A line of the table, as text."""
    errors = {level.sigma: level.relative for level in stage.denoising}
    seen = stage.sample_range
    return {
        "step": f"{stage.step:,}",
        "mark": _mark_of(stage, trend),
        "attempt": stage.attempt,
        "retained": [_shown(_at(stage.retained, place), ".2f") for place in range(len(records.octaves))],
        "errors": {sigma: _shown(error, ".3g") for sigma, error in errors.items()},
        "range": f"{seen.low:.2f} to {seen.high:.2f}" if seen else "–",
        "outside": f"{seen.outside:.1%}" if seen else "–",
        "psnr": "–" if stage.psnr is None else _shown(stage.psnr, ".1f"),
        "checkpoint": stage.checkpoint or "–",
    }


def _shown(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _strips(directory: Path, stages: Sequence[Stage], trend: Trend) -> tuple[list[Figure], list[str]]:
    """Title, explanation and strip of what frames there are, and what is missing."""
    missing: list[str] = []
    frames: dict[int, Mapping[str, Any]] = {}
    with_frames = [stage for stage in stages if stage.frames is not None]
    for stage in _chosen(with_frames, trend):
        try:
            frames[stage.step] = read_frames(directory / str(stage.frames))
        except ValueError as error:
            missing.append(f"the frames of step {stage.step:,} are not shown: {error}")
    data = _data_row(directory)
    found: list[Figure] = []
    walks = {step: arrays for step, arrays in frames.items() if "trajectory" in arrays}
    if walks:
        strip = filmstrip(
            {f"step {step:,}": unpack_frames(arrays["trajectory"]) for step, arrays in walks.items()},
            titles=_titles(next(reversed(walks.values()))),
        )
        text = "One sample on its way from noise, a row per stage: the sampler's states from its first to its last."
        if any((arrays["divided"] > 1.0).any() for arrays in walks.values()):
            text += " States wider than the data's range are divided until they fit; the last is as it is."
        found.append(("Intermediate denoising steps", text, strip))
    ends = {f"step {step:,}": unpack_frames(a["samples"][:COLUMNS]) for step, a in frames.items() if "samples" in a}
    if ends:
        rows = {**({"data": data} if data is not None else {}), **ends}
        found.append(("Samples", "The first samples of each stage, with frames of the data above.", filmstrip(rows)))
    return found, missing


def _titles(arrays: Mapping[str, Any]) -> list[str]:
    total = int(arrays["total"])
    return [f"{int(place) + 1} of {total}" for place in arrays["places"]]


def _data_row(directory: Path) -> Any:
    try:
        return unpack_frames(read_frames(directory / "frames" / "data.npz")["samples"][:COLUMNS])
    except (ValueError, KeyError):
        return None  # a strip without it is a strip


def _chosen(stages: Sequence[Stage], trend: Trend) -> list[Stage]:
    """At most :data:`ROWS` stages, evenly spaced; the one to keep and the one where detail began to fall among them."""
    if len(stages) <= ROWS:
        return list(stages)
    wanted = {trend.keep[0] if trend.keep else None, trend.began_at} if trend.alarm else set()
    places = {round(place) for place in np.linspace(0, len(stages) - 1, ROWS - len(wanted))}
    places |= {place for place, stage in enumerate(stages) if stage.step in wanted}
    return [stages[place] for place in sorted(places)]
