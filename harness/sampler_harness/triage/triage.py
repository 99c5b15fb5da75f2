"""Why are my details fading? Data, training path, sampler, capacity, in this order; the first with evidence is named.

Context: each part may deviate without costing detail, and detail may be lost where every part is sound.
Choice: what checks decide exactly (data, training, sampler) goes before what only figures suggest (capacity), and
the experiment says for the sampler whether its deviation costs detail at all.
Reversed by: a case in which an exact deviation is named although another cause costs more detail.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import gmean
from torch import Tensor

from sampler_harness.detail.baselines import linear_error
from sampler_harness.detail.capacity import worse_levels
from sampler_harness.detail.denoising import as_denoiser, default_levels, denoising_errors
from sampler_harness.detail.retention import retention
from sampler_harness.detail.spectrum import Array, Spectrum, octaves, radial_spectrum, retained
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject, Subject
from sampler_harness.subject.images import ImageSubject

from .answer import answer
from .checkpoints import equal_checkpoints, fingerprint, still_averages
from .clue import step_at_fault
from .configuration import Chosen, chosen_configuration, told_values
from .experiment import Experiment, compare_samplers
from .layout import Layout, laid_out
from .raised import Unusable, called, raised
from .units import Units, change_of_units, declared_units
from .verdict import Stage, Step, TriageVerdict, last_run

__all__ = ["TriageVerdict", "Unusable", "triage"]


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
    settings: Mapping[str, Any] | None = None,
    device: str = "cpu",
    frames: int = 16,
    budget: str = "quick",
) -> TriageVerdict:
    """Find out why details fade.

    Args:
        model: ``(x, time) -> output``, called as the sampler calls it, for ``frames`` items, conditioning inside. With
            ``checkpoints`` a loader: ``model(path)`` returns such a model.
        data: ``(N, C, H, W)`` frames that samples should look like, data units, or ``(N, T, A)`` sequences where the
            sampler's declared shapes are such; the first ``frames`` are used. Where the model is conditioned, these
            must be the frames that belong to its conditioning.
        sampler: what ``@sampler_under_test`` made of the user's sampler.
        checkpoints: files, the earliest first.
        training: what ``@training_under_test`` made of the training step; None where there is none.
        preprocess: what ``@preprocess_under_test`` made.
        data_stream: what ``@data_under_test`` made.
        config: what both samplers run; None for the declared fields, with ``settings``, and the reference's defaults.
        settings: fields that the user samples with, by name, where the declaration lets them vary.
        device: of the model.
        frames: how many samples are drawn.
        budget: of the checks.

    Raises:
        Unusable: a ValueError, when the data is empty, ragged, not finite or in other units than was declared, the
            configuration is not known, or model or loader raise.
    """
    chosen = _chosen(sampler, config, settings)
    layout, values, dtype = _laid_out(data, chosen.subject, frames)
    declared = [one for one in (preprocess, data_stream) if one is not None]
    images = [one for one in declared if isinstance(one, ImageSubject)]
    if data_stream is not None:
        _refuse_batches_that_raise(data_stream, device)
    units = declared_units(values, dtype, chosen.subject, chosen.config, images, training)
    if units.problem:
        _refuse_unless_declared_data_is_at_fault(units, declared, budget, device)
    spectrum = radial_spectrum(values)
    _refuse_frames_without_detail(spectrum)
    # Before the checks: what a sampler keeps between runs is then as its own program left it, not as hundreds do.
    stages = _stages(model, checkpoints, values, layout, chosen, device)
    last = last_run(stages)
    assert last.experiment is not None
    steps = [_step("data", declared, budget, device)]
    if steps[0].state != "at fault" and (change := change_of_units(values, last.experiment)):
        raise Unusable(f"the frames are in other units than the model: {change}")
    steps += [
        _step("training", [] if training is None else [training], budget, device),
        _step("sampler", [chosen.subject], budget, device),
    ]
    linear = tuple(linear_error(spectrum, one.sigma) for one in last.errors)
    steps.append(_capacity(last, linear))
    names = tuple(layout.named(octave.name) for octave in octaves(spectrum))
    possible = _possible(spectrum, chosen.config)
    equal = equal_checkpoints(stages, checkpoints)
    found = answer(steps, last, names, possible, equal=equal, configuration=chosen.told, target=chosen.subject.target)
    # What is loaded may be sound, and the average beside it be what goes into the release.
    equal = equal if equal not in found.summary else ""
    still = "" if equal or found.cause == "training" else still_averages(checkpoints)
    return TriageVerdict(
        found.cause, found.summary, found.steps, tuple(stages), linear, possible, names, values[:4],
        configuration=chosen.sentence,
        units=units.told,
        ends=units.ends or _ends(values),
        layout=layout,
        advice=found.advice,
        notes=(*units.remarks, *(note for note in (equal, still) if note)),
        diff=next((step.diff for step in found.steps if step.diff and step.state in ("at fault", "remark")), ""),
    )  # fmt: skip


def _chosen(sampler: Subject, config: Any, settings: Mapping[str, Any] | None) -> Chosen:
    if config is not None:
        return Chosen(sampler, config, told_values(config))
    try:
        return chosen_configuration(sampler, settings)
    except ValueError as error:
        raise Unusable(str(error)) from None


def _laid_out(data: Any, sampler: Subject, count: int) -> tuple[Layout, Array, str]:
    try:
        return laid_out(data, sampler, count)
    except ValueError as error:
        raise Unusable(str(error)) from None


def _refuse_frames_without_detail(spectrum: Spectrum) -> None:
    """Refuse frames of which no share can be kept, before anything runs.

    Raises:
        Unusable: names the octave that they have nothing of.
    """
    try:
        retained(spectrum, spectrum)
    except ValueError as error:
        raise Unusable(str(error)) from None


def _ends(values: Array) -> tuple[float, float]:
    """Black and white of frames for which no range is declared: from 0, or the same on both sides of it."""
    low, high = (float(end) for end in np.quantile(values, (0.001, 0.999)))
    if low >= 0:
        return 0.0, max(high, 1e-6)
    reach = max(-low, high)
    return -reach, reach


def _refuse_batches_that_raise(subject: AnySubject, device: str) -> None:
    """Ask for the first batch: a loader that stops says nothing of the data.

    Raises:
        Unusable: when it raises.
    """
    asked = inspect.signature(subject.function).parameters
    keywords = {"device": device} if "device" in asked else {}

    def first() -> None:
        given = subject.function(**keywords)
        if isinstance(given, Iterable):
            next(iter(given), None)

    called(first, whose=subject.name)


def _refuse_unless_declared_data_is_at_fault(
    units: Units, declared: Sequence[AnySubject], budget: str, device: str
) -> None:
    """Frames in other units than is declared: the declared data is what is wrong, or what was handed over here.

    Raises:
        Unusable: where the declared data is as it is declared, or nothing was.
    """
    if declared and _step("data", declared, budget, device).state == "at fault":
        return
    beside = ", while what is declared of the data holds for your own batches" if declared else ""
    raise Unusable(f"the frames are in other units than sampler and model: {units.problem}{beside}")


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
            return step_at_fault(name, verdict, first, verdicts)
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
    layout: Layout,
    chosen: Chosen,
    device: str,
) -> list[Stage]:
    """Every checkpoint under both samplers.

    Raises:
        Unusable: when the last one cannot be loaded or raises: it is what is asked about.
    """
    if not checkpoints:
        return [_stage("", model, values, layout, chosen, device)]
    paths = [str(Path(checkpoint)) for checkpoint in checkpoints]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise Unusable(f"the checkpoint {twice} is given twice")
    found = []
    for path in paths:
        name = Path(path).name
        try:
            loaded = model(path)
        except (Exception, SystemExit) as error:  # a loader is the user's
            if path == paths[-1]:
                raise Unusable(f"{name} cannot be loaded: the loader raised {raised(error)}") from error
            found.append(Stage(name, None, problem=f"{name} cannot be loaded: {raised(error)}"))
            continue
        try:
            found.append(_stage(name, loaded, values, layout, chosen, device))
        except Unusable as error:
            if path == paths[-1]:
                raise
            found.append(Stage(name, None, problem=str(error)))
    return found


def _stage(name: str, model: Callable[..., Any], values: Array, layout: Layout, chosen: Chosen, device: str) -> Stage:
    what = f"the model of {name}" if name else "the model"
    if not callable(model):
        raise Unusable(
            f"{what} is {type(model).__name__}, should be callable as model(x, time): does the loader return it?"
        )
    experiment = compare_samplers(chosen.subject, model, values, config=chosen.config, device=device, layout=layout)
    _refuse_a_model_that_raises(what, experiment)
    weights = fingerprint(model, experiment)
    try:
        levels = default_levels(0.05, max(1.0, 4 * float(values.std())), 6)
        denoiser = as_denoiser(model, chosen.config)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            answer: Tensor = layout.frames(denoiser(layout.items(x), sigma))
            return answer

        # Pictures go to the denoiser itself: a function would hide which dtype the network's weights have.
        errors = denoising_errors(
            denoise if layout.is_sequence else denoiser, values, levels, device=device, items=len(values)
        )
    except Exception as error:  # a model is the user's, and is asked at levels that no sampler tells it
        told = str(error) if isinstance(error, ValueError) else raised(error)
        return Stage(name, experiment, problem=f"the denoising error cannot be measured: {told}", weights=weights)
    return Stage(name, experiment, errors, weights=weights)


def _refuse_a_model_that_raises(what: str, experiment: Experiment) -> None:
    for side, whose in ((experiment.own, "your sampler"), (experiment.reference, "the reference sampler")):
        if side.raised:
            told = f" at model call {len(side.inputs)}"
            raise Unusable(f"{what} {side.raised}, under {whose}{told}")


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
            f"{first.sigma:.3g}: {first.relative:.3g} of the data's variance is left)",
            "too small, trained too little, or told another noise level than in training",
        )
    share = float(gmean(np.divide(own, linear)))
    return Step("capacity", "sound", f"the model leaves {share:.2g} of the error of the best linear filter")
