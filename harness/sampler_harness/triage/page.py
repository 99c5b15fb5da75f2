"""The answer as one self-contained page: the verdict, both samplers' filmstrips, detail by stage, what to do next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.detail.spectrum import Array
from sampler_harness.report.figures import curves, filmstrip, flattened
from sampler_harness.report.page import render_page

from .experiment import Experiment, Side
from .telling import share_text
from .verdict import DETAIL, Stage, TriageVerdict

__all__ = ["triage_page", "triage_panel"]

#: Frames of a filmstrip at most.
COLUMNS = 8
#: Octaves whose curves are drawn over checkpoints: the finest two.
DRAWN = 2
#: Letters of a checkpoint's name that stand along an axis.
SHORT = 18

_HEADLINES = {
    "none": "Nothing found",
    "unknown": "Cannot tell yet",
    "training": "It is the training path",
    "capacity": "It is the model",
}


def triage_page(verdict: TriageVerdict) -> str:
    """The page as text.

    Args:
        verdict: of :func:`~sampler_harness.triage.triage.triage`.

    Raises:
        MissingExtraError: when matplotlib or Jinja2 is not installed.
    """
    return render_page(
        "triage.html.j2",
        panel=triage_panel(verdict),
        cause=verdict.cause,
        headline=_HEADLINES.get(verdict.cause, f"It is the {verdict.cause}"),
        summary=verdict.summary,
        facts=[("configuration", verdict.configuration), ("frames", verdict.units)],
    )


def triage_panel(verdict: TriageVerdict) -> dict[str, Any]:
    """What a template shows of a verdict: figures as text of HTML elements, tables as lists.

    Args:
        verdict: of :func:`~sampler_harness.triage.triage.triage`.
    """
    stages = [stage for stage in verdict.stages if stage.experiment is not None]
    last = stages[-1]
    assert last.experiment is not None
    return {
        "steps": [
            {
                "name": "model" if step.name == "capacity" else step.name,
                "state": step.state,
                "message": step.headline,
                "clue": step.clue if step.state in ("at fault", "remark") else "",
            }
            for step in verdict.steps
        ],
        "diff": verdict.diff,
        "advice": list(verdict.advice),
        "notes": list(verdict.notes),
        "samples": _samples(verdict, last.experiment),
        "denoising": _denoising_strips(verdict, last.experiment),
        "detail": _detail_curves(stages, verdict.octaves),
        "errors": _error_curves(verdict, last),
        "octaves": list(verdict.octaves[:DETAIL]),
        "table": [_row(stage) for stage in verdict.stages],
        "levels": [f"{one.sigma:.3g}" for one in last.errors],
        "linear": [f"{one:.3g}" for one in verdict.linear_errors],
        "same_draws": last.experiment.same_draws,
        "apart": last.experiment.apart,
    }


def _sides(experiment: Experiment) -> tuple[tuple[str, Side], ...]:
    return ("your sampler", experiment.own), ("the reference", experiment.reference)


def _samples(verdict: TriageVerdict, experiment: Experiment) -> str:
    rows: dict[str, Array] = {"data": verdict.layout.shown(verdict.data[:COLUMNS])}
    for label, side in _sides(experiment):
        if side.sample is not None:
            rows[label] = verdict.layout.shown(side.sample[: len(verdict.data)])
    return filmstrip(rows, data_range=verdict.ends)


def _denoising_strips(verdict: TriageVerdict, experiment: Experiment) -> list[dict[str, str]]:
    """The model's answers along one run of each sampler, for the first item, with the level of each above it."""
    strips = []
    for label, side in _sides(experiment):
        if not len(side.outputs):
            continue
        chosen = np.unique(np.linspace(0, len(side.outputs) - 1, COLUMNS).astype(int))
        rows = {
            "given": _fitted(verdict.layout.shown(side.inputs[chosen, 0]), verdict.ends),
            "answered": _fitted(verdict.layout.shown(side.outputs[chosen, 0]), verdict.ends),
        }
        titles = [f"{call + 1}: {level}" for call, level in zip(chosen, _levels(experiment, side, chosen), strict=True)]
        strips.append({"name": label, "strip": filmstrip(rows, titles=titles, data_range=verdict.ends)})
    return strips


def _levels(experiment: Experiment, side: Side, chosen: Any) -> list[str]:
    """What the model was told at each call, as the noise level where the configuration says which it is."""
    config = experiment.config
    told = [float(side.times[call]) for call in chosen]
    if config.wants_denoiser:
        return [f"σ = {time:.3g}" for time in told]
    if config.values().get("model_kind") == "network":
        return [f"σ = {math.exp(min(4 * time, 700.0)):.3g}" for time in told]  # c_noise = ln(sigma) / 4
    return [f"t = {time:.4g}" for time in told]


def _fitted(frames: Array, ends: tuple[float, float]) -> Array:
    """Frames wider than the range, brought into it about its middle, each by itself: noise fills many times of it."""
    middle, half = 0.5 * (ends[0] + ends[1]), 0.5 * (ends[1] - ends[0])
    fitted = frames - middle
    for index, frame in enumerate(fitted):
        finite = np.abs(frame[np.isfinite(frame)])
        reach = float(np.quantile(finite, 0.99)) if finite.size else 0.0
        if reach > 1.25 * half:
            fitted[index] = frame * (half / reach)
    return fitted + middle


def _detail_curves(stages: list[Stage], names: tuple[str, ...]) -> str:
    """Detail kept in the finest octaves, over checkpoints; over octaves where there is one alone."""
    lines: dict[str, tuple[Any, Any]] = {}
    found = [stage.experiment for stage in stages if stage.experiment is not None]
    sides = {"own": [one.kept_own for one in found], "reference": [one.kept_reference for one in found]}
    power = "power over the data's"
    if len(stages) > 1:
        x = list(range(1, len(stages) + 1))
        for label, kept in sides.items():
            for n, name in enumerate(names[:DRAWN]):
                lines[f"{label}, {name}"] = (x, [float("nan") if k is None else k[n] for k in kept])
        ticks = dict(zip(map(float, x), (_short(stage.name) for stage in stages), strict=True))
        return curves(
            lines, xlabel="checkpoint", ylabel=power, levels={"all": 1.0}, lowest=0.0, logy=flattened(lines),
            ticks=ticks,
        )  # fmt: skip
    for label, kept in sides.items():
        if kept[0] is not None:
            lines[label] = ([2.0**-n / 2 for n in range(len(kept[0]))], list(kept[0]))
    if not lines:
        return ""
    across = {2.0**-n / 2: name for n, name in enumerate(names)}
    return curves(
        lines, xlabel="wavelengths, the finest at the right", ylabel=power, logx=True, levels={"all": 1.0}, lowest=0.0,
        logy=flattened(lines), ticks=across,
    )  # fmt: skip


def _short(name: str) -> str:
    """A name that fits along an axis: its end tells checkpoints apart."""
    return name if len(name) <= SHORT else f"…{name[1 - SHORT :]}"


def _error_curves(verdict: TriageVerdict, stage: Stage) -> str:
    if not stage.errors:
        return ""
    sigma = [one.sigma for one in stage.errors]
    lines = {"the model": (sigma, [e.relative for e in stage.errors]), "linear filter": (sigma, verdict.linear_errors)}
    return curves(
        lines, xlabel="sigma, data units", ylabel="denoising error / variance of the data", logx=True, logy=True
    )


def _row(stage: Stage) -> dict[str, Any]:
    experiment = stage.experiment
    own = None if experiment is None else experiment.kept_own
    reference = None if experiment is None else experiment.kept_reference
    return {
        "name": stage.name or "the model",
        "problem": stage.problem,
        "own": _cells(own),
        "reference": _cells(reference),
        "errors": [f"{one.relative:.3g}" for one in stage.errors],
    }


def _cells(kept: Sequence[float] | None) -> list[str]:
    return [share_text(share) for share in (kept or ())[:DETAIL]]
