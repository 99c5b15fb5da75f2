"""What triage answers: each step of the way, each checkpoint, the cause; as JSON and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sampler_harness.detail.spectrum import Array, LevelError
from sampler_harness.verdict import Verdict

from .experiment import Experiment

__all__ = ["DETAIL", "Cause", "Stage", "Step", "TriageVerdict", "last_run", "render"]

Cause = Literal["data", "training", "sampler", "capacity", "none", "unknown"]
State = Literal["sound", "at fault", "suspect", "not looked at", "cannot tell"]

#: Octaves that are "detail": wavelengths from 2 to 16 pixels.
DETAIL = 3


@dataclass(frozen=True)
class Step:
    """What one part of the way was found to be.

    Attributes:
        name: ``data``, ``training``, ``sampler`` or ``capacity``.
        state: what was found.
        headline: for a person, in one line.
        details: what else there is to say.
        verdicts: of the checks behind it.
    """

    name: str
    state: State
    headline: str
    details: str = ""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def message(self) -> str:
        """All that there is to say."""
        return f"{self.headline}\n{self.details}".rstrip()


@dataclass(frozen=True, eq=False)
class Stage:
    """One checkpoint.

    Attributes:
        name: of the checkpoint; empty for the model as it is.
        experiment: both samplers on it.
        errors: the model's own denoising error, by noise level; empty where it could not be measured.
        problem: why it could not be loaded or run; then there is no experiment.
    """

    name: str
    experiment: Experiment | None
    errors: tuple[LevelError, ...] = ()
    problem: str | None = None


def last_run(stages: Sequence[Stage]) -> Stage:
    """The latest stage that could be run: the one that the question is about."""
    return next(stage for stage in reversed(stages) if stage.experiment is not None)


@dataclass(frozen=True, eq=False)
class TriageVerdict:
    """The answer.

    Attributes:
        cause: the first part for which there is evidence; ``none`` where detail is kept and nothing fails; ``unknown``
            where it cannot be told.
        summary: one or two sentences for a person.
        steps: in the order in which they were looked at.
        stages: one for each checkpoint, in the order given.
        linear_errors: relative denoising error of the best linear filter at the stages' levels.
        possible: share of each octave that the reference keeps with a perfect model of Gaussian data, in closed form:
            what the number of steps and the grid allow. Empty where there is no closed form.
        octaves: names of the octaves, the finest first.
        data: a few of the frames that samples are compared with.
    """

    cause: Cause
    summary: str
    steps: tuple[Step, ...]
    stages: tuple[Stage, ...]
    linear_errors: tuple[float, ...]
    possible: tuple[float, ...]
    octaves: tuple[str, ...]
    data: Array

    def to_json(self) -> dict[str, Any]:
        """Only values that JSON has."""
        return {
            "schema_version": 1,
            "kind": "triage",
            "cause": self.cause,
            "summary": self.summary,
            "steps": [
                {
                    "name": step.name,
                    "state": step.state,
                    "message": step.message,
                    "failed": [f.id for v in step.verdicts for f in v.findings if f.outcome in ("failed", "error")],
                }
                for step in self.steps
            ],
            "octaves": list(self.octaves),
            "stages": [_stage_json(stage) for stage in self.stages],
            "linear_errors": list(self.linear_errors),
            "possible": list(self.possible),
        }


def _stage_json(stage: Stage) -> dict[str, Any]:
    experiment = stage.experiment
    return {
        "checkpoint": stage.name or None,
        "problem": stage.problem or (experiment.own.problem or experiment.reference.problem if experiment else None),
        "own": None if experiment is None or experiment.kept_own is None else list(experiment.kept_own),
        "reference": (
            None if experiment is None or experiment.kept_reference is None else list(experiment.kept_reference)
        ),
        "apart": None if experiment is None else experiment.apart,
        "same_draws": None if experiment is None else experiment.same_draws,
        "denoising_error": {f"{one.sigma:g}": one.relative for one in stage.errors},
    }


def render(verdict: TriageVerdict) -> list[str]:
    """The answer as lines for a terminal."""
    lines = [verdict.summary, ""]
    width = max(len(step.state) for step in verdict.steps)
    lines += [f"  {s.name:9} {s.state:{width}}  {s.headline}" for s in verdict.steps]
    names = verdict.octaves[:DETAIL]
    lines += ["", "  detail kept (own / reference), by wavelength, and denoising error by noise level"]
    errors = [f"{one.sigma:.2g}" for one in last_run(verdict.stages).errors]
    head = (
        f"  {'checkpoint':16}" + "".join(f"{name:>16}" for name in names) + "   " + "".join(f"{e:>8}" for e in errors)
    )
    lines.append(head)
    for stage in verdict.stages:
        label = (stage.name or "the model")[:16]
        if stage.experiment is None:
            lines.append(f"  {label:16}{stage.problem}")
            continue
        kept = zip(stage.experiment.kept_own or (), stage.experiment.kept_reference or (), strict=False)
        cells = "".join(f"{f'{a:.2f} / {b:.2f}':>16}" for a, b in list(kept)[:DETAIL])
        lines.append(
            f"  {label:16}{cells or '  no samples':<48}   " + "".join(f"{e.relative:8.3g}" for e in stage.errors)
        )
    lines.append(f"  {'linear filter':16}{'':48}   " + "".join(f"{e:8.3g}" for e in verdict.linear_errors))
    return lines
