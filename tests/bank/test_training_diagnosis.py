"""Of faulty training steps the diagnosis names the truth, or nothing; of sound ones it has nothing to say."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fixtures.faulty_training import FAULTY_TRAINING, SOUND_TRAINING, FaultyTraining
from fixtures.faulty_training.true_edits import INEXPRESSIBLE, OTHER_FIELDS, TRUE_FAULTS
from fixtures.torch_training.edm import draw_sigma
from fixtures.torch_training.steps import per_item
from reference_samplers import ALL_TRAINING_REFERENCES, DDPMTraining, EDMTraining, FlowTraining
from sampler_harness import training_under_test
from sampler_harness.diagnosis.diagnose_step import search_for_step
from sampler_harness.diagnosis.known_faults import KNOWN_FAULTS, TRAINING_FAULTS, KnownFault
from sampler_harness.diagnosis.step_cases import steps_of, unread_of
from sampler_harness.diagnosis.step_program import StepResponse, respond
from sampler_harness.diagnosis.step_target import StepTarget
from sampler_harness.law.program import Program
from sampler_harness.observe.trace import Case
from sampler_harness.runner import check_sampler
from sampler_harness.subject.training import TrainingSubject
from sampler_harness.targets import load_subject
from sampler_harness.training.evidence import TrainingEvidence
from sampler_harness.training.expected import expected
from sampler_harness.verdict import Diagnosis, Verdict

BY_NAME = {faulty.name: faulty for faulty in FAULTY_TRAINING}
#: A known fault, and nothing.
FEW = ("flow-told-time-from-other-end", "edm-noise-uniform")
SHARES = np.array([0.0005, 0.03, 0.3, 0.5, 0.7, 0.999])


@functools.cache
def verdict_of(faulty: FaultyTraining) -> Verdict:
    return check_sampler(load_subject(faulty.subject_path), budget="quick")


def assert_named(faulty: FaultyTraining, diagnosis: Diagnosis | None) -> None:
    assert diagnosis is not None
    if faulty.name in INEXPRESSIBLE:
        assert not diagnosis.exact
        assert diagnosis.answers == ()
        return
    assert diagnosis.exact, diagnosis.summary
    first = diagnosis.answers[0]
    if faulty.name in TRUE_FAULTS:
        assert {edit.fault for edit in first.edits} == {TRUE_FAULTS[faulty.name]}
        assert first.effects
        assert first.diff.startswith("--- reference_samplers/")
    else:
        assert dict(first.config) == OTHER_FIELDS[faulty.name]


@pytest.mark.parametrize("name", FEW)
def test_the_truth_comes_first_or_nothing_does(name: str) -> None:
    assert_named(BY_NAME[name], verdict_of(BY_NAME[name]).diagnosis)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in FEW])
def test_the_truth_comes_first_or_nothing_does_for_all(name: str) -> None:
    assert_named(BY_NAME[name], verdict_of(BY_NAME[name]).diagnosis)


def test_it_is_said_of_every_faulty_step_what_it_is_or_why_it_is_nothing() -> None:
    said = [*TRUE_FAULTS, *OTHER_FIELDS, *INEXPRESSIBLE]
    assert sorted(said) == sorted(BY_NAME)
    assert set(TRUE_FAULTS.values()) <= {fault.name for fault in TRAINING_FAULTS} | {"scaled-linear-ends-squared"}


def test_times_told_in_thousandths_are_a_field_and_no_fault() -> None:
    """Rounding the draw moves such a time a thousand times as far, and no further than that."""

    @training_under_test(FlowTraining)
    def thousandths(model: Any, x0: Tensor, config: FlowTraining) -> Any:
        t, noise = torch.rand(x0.shape[0]), torch.randn_like(x0)
        mixed = per_item(1 - t, x0) * x0 + per_item(t, x0) * noise
        return ((model(mixed, 1000.0 * t) - (noise - x0)) ** 2).mean()

    diagnosis = check_sampler(thousandths, budget="quick").diagnosis
    assert diagnosis is not None
    assert diagnosis.exact, diagnosis.summary
    assert dict(diagnosis.answers[0].config) == {"time_scale": 1000.0}
    assert diagnosis.answers[0].edits == ()


@pytest.mark.parametrize("path", SOUND_TRAINING)
@pytest.mark.sampled(every=9)
def test_nothing_is_searched_for_in_what_is_sound(path: str) -> None:
    subject = load_subject(path)
    assert isinstance(subject, TrainingSubject)
    evidence = TrainingEvidence(subject, budget="quick")
    evidence.measure()
    found, targets = search_for_step(evidence)
    assert found is None
    assert all(target.reference_ratio <= 1 for target in targets)


# What is held against it, and what is not


def noised(x0: Tensor, config: EDMTraining) -> tuple[Tensor, Tensor, Tensor]:
    sigma = draw_sigma(x0, config.P_mean, config.P_std, config.sigma_min, config.sigma_max)
    level = per_item(sigma, x0)
    return sigma, level, level * torch.randn_like(x0)


def weighed(difference: Tensor, level: Tensor, config: EDMTraining) -> Tensor:
    weight = (level**2 + config.sigma_data**2) / (level * config.sigma_data) ** 2
    return (weight * difference**2).mean()


def no_data_at_high_levels(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    sigma, level, noise = noised(x0, config)
    return weighed(model(torch.where(level > 5, noise, x0 + noise), sigma) - x0, level, config)


def noisier_in_bfloat16(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    sigma, level, noise = noised(x0.float(), config)
    strength = 2 if x0.dtype is torch.bfloat16 else 1
    x = (x0 + strength * noise).to(x0.dtype)
    return weighed(model(x, sigma) - x0, level, config)


def test_an_item_without_data_in_its_input_counts_by_that() -> None:
    declared = training_under_test(EDMTraining, P_mean=-0.4, P_std=1.0)
    evidence = TrainingEvidence(declared(no_data_at_high_levels), budget="quick")
    evidence.measure_all()
    (target,) = steps_of(evidence)
    assert not target.legible.all()
    assert target.reference_ratio > 1
    assert any("where data or noise do not come into the input" in one for one in unread_of(evidence))


def test_what_was_not_read_is_not_said_to_be_right() -> None:
    declared = training_under_test(EDMTraining, P_mean=-0.4, P_std=1.0, dtypes=["float32", "bfloat16"])
    verdict = check_sampler(declared(noisier_in_bfloat16), budget="quick")
    assert not verdict.conforms
    assert verdict.diagnosis is not None
    assert "but for what was not read: its law in bfloat16" in verdict.diagnosis.unsearched


@pytest.mark.parametrize(("off", "fits"), [(0.5, True), (1.5, False)])
def test_the_search_allows_a_weight_what_its_check_allows(off: float, fits: bool) -> None:
    config = EDMTraining(P_mean=-0.4, P_std=1.0)
    response = respond(Program(EDMTraining).configured(config), SHARES, SHARES)
    assert response is not None
    should = expected(config, float(response.times[0]), "float32")
    assert should is not None
    weight = response.weight * np.where(np.arange(SHARES.size) == 0, 1 + off * should.tolerances[4], 1.0)
    case = Case(config, (4, 3, 8, 8), "float32")
    target = StepTarget(case, dataclasses.replace(response, weight=weight), [SHARES], SHARES, uniform=False)
    assert (target.reference_ratio <= 1) == fits


# Where it stands


def test_a_diagnosis_of_a_step_is_told_like_that_of_a_sampler() -> None:
    from sampler_harness.report.json import to_json
    from sampler_harness.report.terminal import render
    from sampler_harness.report.verdict_page import verdict_page

    verdict = verdict_of(BY_NAME["flow-told-time-from-other-end"])
    text = "\n".join(line.text for line in render(verdict))
    assert "What your training step does instead" in text
    assert "told-time-from-the-other-end" in text
    assert "+            difference" in text or "+        difference" in text
    assert "deviations=" not in text  # a training step has no such declaration
    told: dict[str, Any] = json.loads(json.dumps(to_json(verdict)))
    assert told["diagnosis"]["exact"]
    assert told["diagnosis"]["edits"][0]["fault"] == "told-time-from-the-other-end"
    page = verdict_page([verdict])
    assert "What your training step does instead" in page
    assert "your sampler" not in page.partition("What your training step does instead")[2]


# The bank

CONFIGURATIONS: tuple[Any, ...] = (
    EDMTraining(P_mean=-0.4, P_std=1.3, sigma_min=0.05, sigma_max=5.0),
    EDMTraining(P_mean=-0.4, P_std=1.3, model_kind="network", sigma_data=0.7, weighting="snr"),
    DDPMTraining(prediction="v", weighting="min_snr", offset_noise=0.1),
    DDPMTraining(prediction="x0", weighting="snr", input_perturbation=0.1),
    DDPMTraining(),
    DDPMTraining(input_perturbation=0.1),
    DDPMTraining(prediction="v", weighting=lambda t: 1 / (1.0 + t)),
    FlowTraining(shift=3.0),
    FlowTraining(time="logit_normal", logit_mean=0.4, logit_std=0.8),
)


def responses(fault: KnownFault | None) -> list[StepResponse | None]:
    """What a reference does with a fault in it, in all configurations that it concerns."""
    found = []
    for config in CONFIGURATIONS:
        reached = {function.place.file for function in Program(type(config)).functions.values()}
        edits = () if fault is None else fault.replacements
        if {one.file for one in edits} <= reached:
            found.append(respond(Program(type(config), edits).configured(config), SHARES, SHARES))
    return found


def row(response: StepResponse | None) -> tuple[Any, ...]:
    if response is None:
        return ()
    noise = [(axes, response.noise[axes].round(7).tolist()) for axes in sorted(response.noise)]
    parts = (response.spread, response.times, response.data, response.offset, response.weight)
    return response.own, str(noise), *(str(part.round(7).tolist()) for part in parts)


def test_the_program_of_a_reference_has_the_figures_that_stand_beside_it() -> None:
    for config in CONFIGURATIONS:
        response = respond(Program(type(config)).configured(config), SHARES, SHARES)
        assert response is not None
        for n, time in enumerate(response.times):
            level = config.level_of_time(time)
            assert np.allclose(response.data[n], [config.input_scales(level)[0], config.target_scales(level)[0]])
            assert np.isclose(response.weight[n], config.weight(level))
            if not config.perturbation:
                own = response.noise[False, False, False][n]
                signed = [config.input_scales(level)[1], config.target_scales(level)[1]]
                assert np.allclose(own, [*signed, 0.0], atol=1e-6)
    assert {type(config) for config in CONFIGURATIONS} == set(ALL_TRAINING_REFERENCES)


@pytest.mark.parametrize("fault", TRAINING_FAULTS, ids=lambda fault: fault.name)
def test_a_known_fault_changes_the_law_of_a_step(fault: KnownFault) -> None:
    sound = {str(row(one)) for one in responses(None)}
    changed = [one for one in responses(fault) if one is not None and str(row(one)) not in sound]
    assert changed
    assert fault.effect.endswith(".")


def test_no_two_known_faults_are_one() -> None:
    every = [fault.name for fault in (*TRAINING_FAULTS, *KNOWN_FAULTS)]
    assert len(set(every)) == len(every)
    laws = {fault.name: str([row(one) for one in responses(fault)]) for fault in TRAINING_FAULTS}
    assert len(set(laws.values())) == len(laws)
