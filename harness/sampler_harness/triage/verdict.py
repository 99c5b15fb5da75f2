"""What triage answers: each step of the way, each checkpoint, the cause; as data and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sampler_harness.detail.spectrum import Array, LevelError
from sampler_harness.verdict import Verdict

from .experiment import Experiment
from .layout import PICTURES, Layout

__all__ = ["DETAIL", "Cause", "Stage", "State", "Step", "TriageVerdict", "last_run"]

Cause = Literal["data", "training", "sampler", "configuration", "capacity", "none", "unknown"]
State = Literal["sound", "at fault", "suspect", "remark", "not looked at", "cannot tell"]

#: Octaves that are "detail": wavelengths from 2 to 16 pixels.
DETAIL = 3


@dataclass(frozen=True)
class Step:
    """What one part of the way was found to be.

    Attributes:
        name: ``data``, ``training``, ``sampler`` or ``capacity``.
        state: what was found; ``remark`` where something deviates that is not the cause.
        headline: for a person, in one line.
        details: what else there is to say.
        verdicts: of the checks behind it.
        clue: where to look and what to mend, as the checks and their diagnosis tell; empty where they tell nothing.
        diff: of the reference's source, where the diagnosis has one.
        remedy: what to try.
    """

    name: str
    state: State
    headline: str
    details: str = ""
    verdicts: tuple[Verdict, ...] = ()
    clue: str = ""
    diff: str = ""
    remedy: str = ""

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
        weights: a fingerprint of the model's parameters, or of its answers where it shows none.
    """

    name: str
    experiment: Experiment | None
    errors: tuple[LevelError, ...] = ()
    problem: str | None = None
    weights: str = ""


def last_run(stages: Sequence[Stage]) -> Stage:
    """The latest stage that could be run: the one that the question is about."""
    return next(stage for stage in reversed(stages) if stage.experiment is not None)


@dataclass(frozen=True, eq=False)
class TriageVerdict:
    """The answer. Headline, rows and exit status are of one decision: none says what another does not.

    Attributes:
        cause: the first part for which there is evidence; ``none`` where detail is kept and nothing fails; ``unknown``
            where it cannot be told yet.
        summary: a few sentences for a person; the first names the cause, the second the best clue there is.
        steps: in the order in which they were looked at.
        stages: one for each checkpoint, in the order given.
        linear_errors: relative denoising error of the best linear filter at the stages' levels.
        possible: share of each octave that the reference keeps with a perfect model of Gaussian data, in closed form:
            what the number of steps and the grid allow. Empty where there is no closed form.
        octaves: names of the octaves, the finest first.
        data: a few of the frames that samples are compared with.
        configuration: what both samplers ran, in words.
        units: what the frames' values are, and what they were held against.
        ends: black and white of the frames, data units.
        advice: what to do next, a sentence each.
        notes: what else a reader should know.
        diff: of the reference's source, where the sampler's deviation has one.
        layout: how items and frames turn into each other.
    """

    cause: Cause
    summary: str
    steps: tuple[Step, ...]
    stages: tuple[Stage, ...]
    linear_errors: tuple[float, ...]
    possible: tuple[float, ...]
    octaves: tuple[str, ...]
    data: Array
    configuration: str = ""
    units: str = ""
    ends: tuple[float, float] = (-1.0, 1.0)
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    diff: str = ""
    layout: Layout = PICTURES

    @property
    def status(self) -> int:
        """How a command exits: 0 nothing found, 1 a cause is named, 3 it cannot be told yet."""
        return {"none": 0, "unknown": 3}.get(self.cause, 1)

    def to_json(self) -> dict[str, Any]:
        """Only values that JSON has."""
        return {
            "schema_version": 1,
            "kind": "triage",
            "cause": self.cause,
            "status": self.status,
            "summary": self.summary,
            "configuration": self.configuration,
            "frames": self.units,
            "steps": [
                {
                    "name": step.name,
                    "state": step.state,
                    "message": step.message,
                    "clue": step.clue,
                    "failed": [f.id for v in step.verdicts for f in v.findings if f.outcome in ("failed", "error")],
                }
                for step in self.steps
            ],
            "octaves": list(self.octaves),
            "stages": [_stage_json(stage) for stage in self.stages],
            "linear_errors": list(self.linear_errors),
            "possible": list(self.possible),
            "advice": list(self.advice),
            "notes": list(self.notes),
            "diff": self.diff,
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
        "weights": stage.weights,
    }
