"""The answer as one self-contained page: the verdict, both samplers' filmstrips, detail by stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from sampler_harness.detail.spectrum import Array
from sampler_harness.report.figures import curves, filmstrip
from sampler_harness.report.page import render_page

from .experiment import Experiment
from .verdict import DETAIL, Stage, TriageVerdict

__all__ = ["triage_page", "triage_panel"]

#: Frames of a filmstrip at most.
COLUMNS = 8


def triage_page(verdict: TriageVerdict) -> str:
    """The page as text.

    Args:
        verdict: of :func:`~sampler_harness.triage.triage.triage`.

    Raises:
        MissingExtraError: when matplotlib or Jinja2 is not installed.
    """
    return render_page("triage.html.j2", panel=triage_panel(verdict), cause=verdict.cause, summary=verdict.summary)


def triage_panel(verdict: TriageVerdict) -> dict[str, Any]:
    """What a template shows of a verdict: figures as text of HTML elements, tables as lists.

    Args:
        verdict: of :func:`~sampler_harness.triage.triage.triage`.
    """
    stages = [stage for stage in verdict.stages if stage.experiment is not None]
    last = stages[-1]
    assert last.experiment is not None
    return {
        "steps": [{"name": s.name, "state": s.state, "message": s.headline} for s in verdict.steps],
        "samples": _samples(verdict, last.experiment),
        "denoising": _denoising_strip(last.experiment),
        "detail": _detail_curves(stages, verdict.octaves),
        "errors": _error_curves(verdict, last),
        "octaves": list(verdict.octaves[:DETAIL]),
        "table": [_row(stage) for stage in verdict.stages],
        "levels": [f"{one.sigma:.3g}" for one in last.errors],
        "linear": [f"{one:.3g}" for one in verdict.linear_errors],
        "same_draws": last.experiment.same_draws,
        "apart": last.experiment.apart,
    }


def _samples(verdict: TriageVerdict, experiment: Experiment) -> str:
    rows: dict[str, Array] = {"data": verdict.data[:COLUMNS, :1]}
    for label, side in (("your sampler", experiment.own), ("the reference", experiment.reference)):
        if side.sample is not None:
            rows[label] = side.sample[: len(verdict.data), :1]
    return filmstrip(rows)


def _denoising_strip(experiment: Experiment) -> str:
    """The model's answers along one run of each sampler, for the first item."""
    rows: dict[str, Array] = {}
    for label, side in (("your sampler", experiment.own), ("the reference", experiment.reference)):
        if len(side.outputs):
            chosen = np.unique(np.linspace(0, len(side.outputs) - 1, COLUMNS).astype(int))
            rows[f"{label}: given"] = side.inputs[chosen, 0, :1]
            rows[f"{label}: answered"] = side.outputs[chosen, 0, :1]
    return filmstrip(rows) if rows else ""


def _detail_curves(stages: list[Stage], names: tuple[str, ...]) -> str:
    """Detail kept in the finest octave, over stages; over octaves where there is one stage only."""
    lines: dict[str, tuple[Any, Any]] = {}
    found = [stage.experiment for stage in stages if stage.experiment is not None]
    sides = {"own": [one.kept_own for one in found], "reference": [one.kept_reference for one in found]}
    for label, kept in sides.items():
        if len(stages) > 1:
            x = list(range(1, len(stages) + 1))
            for n, name in enumerate(names[:2]):
                lines[f"{label}, {name}"] = (x, [float("nan") if k is None else k[n] for k in kept])
        elif kept[0] is not None:
            lines[label] = ([2.0**-n / 2 for n in range(len(kept[0]))], list(kept[0]))
    if len(stages) > 1:
        return curves(lines, xlabel="stage", ylabel="share of the data's power kept", levels={"all": 1.0}, lowest=0.0)
    return curves(
        lines,
        xlabel="spatial frequency (upper end of the octave), cycles per pixel",
        ylabel="share of the data's power kept",
        logx=True,
        levels={"all": 1.0},
        lowest=0.0,
    )


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
        "own": [f"{share:.2f}" for share in (own or ())[:DETAIL]],
        "reference": [f"{share:.2f}" for share in (reference or ())[:DETAIL]],
        "errors": [f"{one.relative:.3g}" for one in stage.errors],
    }
