"""Why are my details fading? Data, training path, sampler, capacity, in this order; the first with evidence is named.

Context: each part may deviate without costing detail, and detail may be lost where every part is sound.
Choice: what checks decide exactly (data, training, sampler) goes before what only figures suggest (capacity), and
the experiment says for the sampler whether its deviation costs detail at all.
Reversed by: a case in which an exact deviation is named although another cause costs more detail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import gmean

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.detail.baselines import linear_error
from sampler_harness.detail.capacity import worse_levels
from sampler_harness.detail.denoising import as_denoiser, default_levels, denoising_errors
from sampler_harness.detail.retention import retention
from sampler_harness.detail.spectrum import Array, Spectrum, as_frames, octaves, radial_spectrum
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject, Subject

from .answer import answer
from .experiment import compare_samplers
from .verdict import Stage, Step, TriageVerdict, last_run

__all__ = ["TriageVerdict", "triage"]


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
    last = last_run(stages)
    linear = tuple(linear_error(spectrum, one.sigma) for one in last.errors)
    steps.append(_capacity(last, linear))
    names = tuple(octave.name for octave in octaves(spectrum))
    possible = _possible(spectrum, chosen)
    cause, summary = answer(steps, last, names, possible)
    return TriageVerdict(cause, summary, tuple(steps), tuple(stages), linear, possible, names, values[:4])


def _possible(spectrum: Spectrum, config: Any) -> tuple[float, ...]:
    """What the reference keeps with a perfect model: few steps cost detail however good the model is."""
    try:
        return retention(reference_law(config, learned_variance(config)), spectrum, config).octaves
    except ValueError:
        return ()


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
            return Step(name, "at fault", f"{first.id}: {told}", rest, verdicts)
    for verdict in verdicts:
        blind = [f for f in verdict.findings if f.outcome == "error"]
        if blind:
            told, _, rest = blind[0].message.partition("\n")
            return Step(name, "cannot tell", f"{blind[0].id}: {told}", rest, verdicts)
    ran = sum(verdict.num_ran for verdict in verdicts)
    return Step(name, "sound", f"all {ran} checks that apply pass", verdicts=verdicts)


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


def _capacity(stage: Stage, linear: Sequence[float]) -> Step:
    if not stage.errors:
        told, _, rest = (stage.problem or "the denoising error was not measured").partition("\n")
        return Step("capacity", "cannot tell", told, rest)
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
