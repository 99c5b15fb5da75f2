"""Why are my details fading? Data, training path, sampler, capacity, in this order; the first with evidence is named.

Context: each part may deviate without costing detail, and detail may be lost where every part is sound.
Choice: what checks decide exactly (data, training, sampler) goes before what only figures suggest (capacity), and
the experiment says for the sampler whether its deviation costs detail at all.
Reversed by: a case in which an exact deviation is named although another cause costs more detail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from scipy.stats import gmean
from scipy.stats import t as student

from sampler_harness.cases import BUDGETS, covering_set
from sampler_harness.detail.baselines import linear_error
from sampler_harness.detail.capacity import worse_levels
from sampler_harness.detail.denoising import as_denoiser, default_levels, denoising_errors
from sampler_harness.detail.retention import retention
from sampler_harness.detail.spectrum import Array, LevelError, Spectrum, as_frames, octaves, radial_spectrum
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject, Subject
from sampler_harness.verdict import Verdict

from .experiment import Experiment, compare_samplers

__all__ = ["Cause", "Stage", "Step", "TriageVerdict", "render", "run_triage", "triage"]

Cause = Literal["data", "training", "sampler", "capacity", "none", "unknown"]
State = Literal["sound", "at fault", "suspect", "not looked at", "cannot tell"]

#: A sampler that keeps less than this share of an octave's power fades it; 1 dB, which a person sees side by side.
FADED = 10 ** (-1 / 10)
#: Octaves that are "detail": wavelengths from 2 to 16 pixels.
DETAIL = 3
#: Two samplers differ for a person where an octave's power differs by this much (1 dB).
DIFFERS = 10 ** (1 / 10)
#: An octave is judged where other frames would say the same with this probability.
SURE = 0.999
#: Up to this share of the data's spread two runs on the same draws are alike; half precision stays below it.
ALIKE = 0.02


@dataclass(frozen=True)
class Step:
    """What one part of the way was found to be.

    Attributes:
        name: ``data``, ``training``, ``sampler`` or ``capacity``.
        state: what was found.
        message: for a person.
        verdicts: of the checks behind it.
    """

    name: str
    state: State
    message: str
    verdicts: tuple[Verdict, ...] = ()


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


def triage(
    *,
    model: Callable[..., Any],
    data: Any,
    sampler: Subject,
    checkpoints: Sequence[str | Path] = (),
    training: AnySubject | None = None,
    preprocess: AnySubject | None = None,
    data_stream: AnySubject | None = None,
    config: Any = None,
    device: str = "cpu",
    frames: int = 16,
    budget: str = "quick",
) -> TriageVerdict:
    """Find out why details fade.

    Args:
        model: ``(x, time) -> output``, called as the sampler calls it, for ``frames`` items, conditioning inside. With
            ``checkpoints`` a loader: ``model(path)`` returns such a model.
        data: ``(N, C, H, W)`` frames that samples should look like, data units; the first ``frames`` are used. Where
            the model is conditioned, these must be the frames that belong to its conditioning.
        sampler: what ``@sampler_under_test`` made of the user's sampler.
        checkpoints: files, the earliest first.
        training: what ``@training_under_test`` made of the training step; None where there is none.
        preprocess: what ``@preprocess_under_test`` made.
        data_stream: what ``@data_under_test`` made.
        config: what both samplers run; None for the declared fixed fields and the reference's defaults.
        device: of the model.
        frames: how many samples are drawn.
        budget: of the checks.

    Raises:
        ValueError: when the data is empty, ragged or not finite, or no checkpoint can be loaded.
    """
    values = as_frames(data, "data")[:frames]
    spectrum = radial_spectrum(values)
    chosen = config if config is not None else covering_set(sampler, BUDGETS["quick"]).base
    # First: what a sampler keeps between runs is then as its own program left it, not as hundreds of checks do.
    stages = _stages(model, checkpoints, values, sampler, chosen, device)
    if all(stage.experiment is None for stage in stages):
        raise ValueError(stages[-1].problem or "no checkpoint could be run")
    steps = [
        _step("data", [one for one in (preprocess, data_stream) if one is not None], budget, device),
        _step("training", [] if training is None else [training], budget, device),
        _step("sampler", [sampler], budget, device),
    ]
    levels = [one.sigma for one in _last(stages).errors]
    linear = tuple(linear_error(spectrum, sigma) for sigma in levels)
    steps.append(_capacity(_last(stages), linear))
    names = tuple(octave.name for octave in octaves(spectrum))
    possible = _possible(spectrum, chosen)
    cause, summary = _answer(steps, _last(stages), names, possible)
    return TriageVerdict(cause, summary, tuple(steps), tuple(stages), linear, possible, names, values[:4])


def _possible(spectrum: Spectrum, config: Any) -> tuple[float, ...]:
    """What the reference keeps with a perfect model: few steps cost detail however good the model is."""
    try:
        return retention(reference_law(config, learned_variance(config)), spectrum, config).octaves
    except ValueError:
        return ()


def run_triage(
    loader: Callable[[str | None], Callable[..., Any]],
    data_loader: Callable[[], Any],
    subjects: Sequence[AnySubject],
    checkpoints: Sequence[str],
    *,
    device: str = "cpu",
    frames: int = 16,
    budget: str = "quick",
) -> TriageVerdict:
    """As :func:`triage`, from what a command line names.

    Args:
        loader: from a checkpoint's path, or None for none, to ``(x, time) -> output``.
        data_loader: returns the frames.
        subjects: every declaration that was named; exactly one must be a sampler.
        checkpoints: paths.
        device: of the model.
        frames: how many samples are drawn.
        budget: of the checks.

    Raises:
        ValueError: as :func:`triage`, and when the declarations are not one sampler and at most one of each other kind.
    """
    by_kind: dict[str, AnySubject] = {}
    for subject in subjects:
        if subject.kind in by_kind:
            raise ValueError(f"two declarations of a {subject.kind}: name the one that belongs to the model")
        by_kind[subject.kind] = subject
    if "sampler" not in by_kind:
        raise ValueError("no sampler was named: add the target of a function under @sampler_under_test")
    return triage(
        model=loader if checkpoints else loader(None),
        data=data_loader(),
        sampler=cast(Subject, by_kind["sampler"]),
        checkpoints=checkpoints,
        training=by_kind.get("training"),
        preprocess=by_kind.get("preprocessing"),
        data_stream=by_kind.get("data"),
        device=device,
        frames=frames,
        budget=budget,
    )


def _step(name: str, subjects: Sequence[AnySubject], budget: str, device: str) -> Step:
    if not subjects:
        declare = {"data": "@preprocess_under_test or @data_under_test", "training": "@training_under_test"}[name]
        return Step(name, "not looked at", f"nothing was declared with {declare}")
    verdicts = tuple(check_sampler(subject, budget=budget, device=device) for subject in subjects)
    for verdict in verdicts:
        causes = [f for f in verdict.findings if f.outcome == "failed" and f.consequence_of is None]
        if causes:
            # What a run leaves behind changes every later one, so that all other rows follow from it.
            first = next((f for f in causes if f.id == "state/rerun"), causes[0])
            told, _, rest = first.message.partition("\n")
            instead = verdict.diagnosis.summary if verdict.diagnosis is not None and verdict.diagnosis.exact else ""
            told = f"{told}: {instead}" if instead else told
            return Step(name, "at fault", f"{first.id}: {told}\n{rest}".rstrip(), verdicts)
    for verdict in verdicts:
        blind = [f for f in verdict.findings if f.outcome == "error"]
        if blind:
            return Step(name, "cannot tell", f"{blind[0].id}: {blind[0].message}", verdicts)
    ran = sum(verdict.num_ran for verdict in verdicts)
    return Step(name, "sound", f"all {ran} checks that apply pass", verdicts)


def _stages(
    model: Callable[..., Any],
    checkpoints: Sequence[str | Path],
    values: Array,
    sampler: Subject,
    config: Any,
    device: str,
) -> list[Stage]:
    if not checkpoints:
        return [_stage("", model, values, sampler, config, device)]
    found = []
    for checkpoint in checkpoints:
        name = Path(checkpoint).name
        try:
            loaded = model(str(checkpoint))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a loader is the user's
            lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
            found.append(
                Stage(name, None, problem=f"{name} cannot be loaded: {type(error).__name__}: {' '.join(lines[:3])}")
            )
            continue
        found.append(_stage(name, loaded, values, sampler, config, device))
    return found


def _stage(name: str, model: Callable[..., Any], values: Array, sampler: Subject, config: Any, device: str) -> Stage:
    experiment = compare_samplers(sampler, model, values, config=config, device=device)
    try:
        levels = default_levels(0.05, max(1.0, 4 * float(values.std())), 6)
        errors = denoising_errors(as_denoiser(model, config), values, levels, device=device, items=len(values))
    except (ValueError, RuntimeError) as error:
        return Stage(name, experiment, problem=f"the denoising error cannot be measured: {error}")
    return Stage(name, experiment, errors)


def _last(stages: Sequence[Stage]) -> Stage:
    """The latest stage that could be run: the one that the question is about."""
    return next(stage for stage in reversed(stages) if stage.experiment is not None)


def _capacity(stage: Stage, linear: Sequence[float]) -> Step:
    if not stage.errors:
        return Step("capacity", "cannot tell", stage.problem or "the denoising error was not measured")
    own = [e.relative for e in stage.errors]
    worse = worse_levels([e.sigma for e in stage.errors], own, linear)
    if worse:
        first = max((e for e in stage.errors if e.sigma in worse), key=lambda e: e.relative)
        return Step(
            "capacity",
            "suspect",
            f"at {len(worse)} of {len(linear)} noise levels the model denoises worse than a linear filter (sigma "
            f"{first.sigma:.3g}: {first.relative:.3g} of the data's variance is left): too small, trained too little, "
            "or told another noise level than in training",
        )
    share = float(gmean(np.divide(own, linear)))
    return Step("capacity", "sound", f"the model leaves {share:.2g} of the error of the best linear filter")


def _faded(kept: Sequence[float] | None, possible: Sequence[float], slack: Sequence[float] = (0.0,) * DETAIL) -> bool:
    """Whether an octave of detail is below what the steps allow, by more than a slack."""
    if kept is None:
        return True
    allowed = [*(min(1.0, share) for share in possible), *[1.0] * len(kept)]
    rows = zip(kept[:DETAIL], allowed, slack, strict=False)
    return any(not share + wide >= FADED * most for share, most, wide in rows)


def _noisy(kept: Sequence[float] | None, possible: Sequence[float], slack: Sequence[float] = (0.0,) * DETAIL) -> bool:
    """Whether an octave of detail holds more power than data and steps give it, by more than a slack: noise is left."""
    if kept is None:
        return False
    allowed = [*(max(1.0, share) for share in possible), *[1.0] * len(kept)]
    rows = zip(kept[:DETAIL], allowed, slack, strict=False)
    return any(share - wide > DIFFERS * most for share, most, wide in rows)


def _slack(experiment: Experiment) -> list[float]:
    """How far another choice of as many frames may be from the share that was measured, per octave of detail."""
    side = experiment.reference if experiment.reference.sample is not None else experiment.own
    count = 0 if side.sample is None else len(side.sample)
    if count < 2:
        return [math.inf] * DETAIL
    return [float(student.ppf(SURE, count - 1)) * error for error in experiment.error[:DETAIL]]


def _spoiled(kept: Sequence[float] | None, possible: Sequence[float], slack: Sequence[float]) -> bool:
    return _faded(kept, possible, slack) or _noisy(kept, possible, slack)


def _differ(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return True
    ratios = [a / b if b > 0 else math.inf for a, b in zip(one[:DETAIL], other[:DETAIL], strict=True)]
    return any(not 1 / DIFFERS <= r <= DIFFERS for r in ratios)


def _kept(kept: Sequence[float] | None, names: Sequence[str]) -> str:
    if kept is None:
        return "no samples"
    return ", ".join(f"{share:.0%} of {name}" for name, share in zip(names[:DETAIL], kept, strict=False))


def _answer(steps: Sequence[Step], stage: Stage, names: Sequence[str], possible: Sequence[float]) -> tuple[Cause, str]:
    """The first cause for which there is evidence, in words."""
    data, training, sampler, capacity = steps
    experiment = stage.experiment
    assert experiment is not None
    own, reference = experiment.kept_own, experiment.kept_reference
    both = f"Your sampler keeps {_kept(own, names)}; the reference, with the same model, {_kept(reference, names)}."
    for step in (data, training):
        if step.state == "at fault":
            return cast(Cause, step.name), f"The {step.name} is at fault: {step.message.splitlines()[0]}. {both}"
    costs = _differ(own, reference) or (experiment.apart or 0.0) > ALIKE
    if sampler.state == "at fault" and (costs or not _faded(reference, possible)):
        return "sampler", f"The sampler is at fault: {sampler.message.splitlines()[0]}. {both}"
    if experiment.own.problem is not None:
        return "sampler", f"The sampler does not get through: {experiment.own.problem}."
    if experiment.reference.problem is not None:
        return (
            "unknown",
            f"Cannot tell: {experiment.reference.problem}. A model that answers at every level would tell.",
        )
    slack = _slack(experiment)
    spoiled = [_spoiled(kept, possible, slack) for kept in (own, reference)]
    if sampler.state != "at fault" and _differ(own, reference) and (experiment.same_draws or spoiled[0] != spoiled[1]):
        return (
            "unknown",
            f"Cannot tell: the sampler conforms as declared, but with your model it keeps other detail than the "
            f"reference. {both} Does the run that fades use the declared configuration, dtype and model?",
        )
    if not any(spoiled):
        if any(share < FADED for share in possible[:DETAIL]):
            few = f"with these steps even a perfect model would keep {_kept(possible, names)}: take more of them"
            return "none", f"Nothing found: no check fails; but {few}. {both}"
        if any(_spoiled(kept, possible, (0.0,) * DETAIL) for kept in (own, reference)):
            if not all(math.isfinite(wide) for wide in slack):
                return "unknown", f"Cannot tell: one frame does not say how far another would be from it. {both}"
            wide = ", ".join(f"{error:.0%}" for error in experiment.error[:DETAIL])
            within = f"no octave is off by more than another choice of frames would move it (standard errors {wide})"
            return "none", f"Nothing found: no check fails, and {within}. {both}"
        return "none", f"Nothing found: no check fails, and detail is kept. {both}"
    lose = "lose detail" if _faded(reference, possible, slack) else "leave noise in place of detail"
    unseen = [step.name for step in (data, training) if step.state in ("not looked at", "cannot tell")]
    if capacity.state == "suspect":
        return "capacity", f"Both samplers {lose}, and the model is to blame: {capacity.message}. {both}"
    if unseen:
        which = " and ".join(unseen)
        return (
            "unknown",
            f"Both samplers {lose}, so it is the model, its training or the data, not the sampler; which of them "
            f"cannot be told, since {which} was not looked at: declare it. {both}",
        )
    return (
        "capacity",
        f"Both samplers {lose} although data, training path and sampler are sound: the model is too small or has "
        f"trained too little ({capacity.message}). {both}",
    )


def render(verdict: TriageVerdict) -> list[str]:
    """The answer as lines for a terminal."""
    lines = [verdict.summary, ""]
    width = max(len(step.state) for step in verdict.steps)
    lines += [f"  {s.name:9} {s.state:{width}}  {s.message.splitlines()[0]}" for s in verdict.steps]
    names = verdict.octaves[:DETAIL]
    lines += ["", "  detail kept (own / reference), by wavelength, and denoising error by noise level"]
    errors = [f"{one.sigma:.2g}" for one in _last(verdict.stages).errors]
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
