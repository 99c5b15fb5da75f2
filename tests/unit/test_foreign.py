"""A reference that is not the sampler's own: said in one line, and what is nearer; a mistake is no other method."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.torch_samplers import under_test as ours
from reference_samplers import DDPM, EDM, FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.foreign import foreign
from sampler_harness.report.json import to_json
from sampler_harness.report.terminal import render
from sampler_harness.report.words import headline
from sampler_harness.runner import Assessment, check_sampler
from sampler_harness.verdict import Diagnosis, Verdict

FEW: dict[str, Any] = {"num_steps": st.integers(1, 4), "shapes": [(2, 3, 6, 6)]}


def flowing(scale: float = 1.0, *, shared: bool = False) -> Any:
    """Euler's steps along the straight path; ``scale`` and ``shared`` plant what no reference has."""

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = torch.randn((1, *shape[1:]) if shared else shape, device=device, dtype=dtype).expand(shape)
        for step in range(config.num_steps):
            output = model(x, torch.full((shape[0],), 1 - step / config.num_steps))
            x = scale * (x - scale * output / config.num_steps)
        return x

    return sampler


def printed(verdict: Verdict) -> str:
    return "\n".join(line.text for line in render(verdict))


def measured(subject: Subject) -> Evidence:
    evidence = Evidence(subject, budget="quick")
    evidence.measure_all()
    return evidence


def test_the_verdict_says_that_the_reference_is_not_its_own() -> None:
    verdict = check_sampler(sampler_under_test(EDM, **FEW)(flowing()), budget="quick")
    assert not verdict.conforms
    assert verdict.foreign is not None
    assert verdict.foreign.nearer == ("FlowEuler",)
    assert headline(verdict) == "sampler does not conform to EDM, which does not seem to be the right reference for it"
    text = printed(verdict)
    head, _, below = text.partition("Held against EDM anyway, it fails:")
    assert "It is FlowEuler; declare that." in head
    assert "FAILED" not in text
    assert "law/outputs" in below
    found = json.loads(json.dumps(to_json(verdict)))["diagnosis"]["foreign"]
    assert found == {"told": "it is FlowEuler; declare that", "nearer": ["FlowEuler"]}


def test_what_is_wrong_with_any_reference_still_speaks_as_a_failure() -> None:
    verdict = check_sampler(sampler_under_test(EDM, **FEW)(flowing(shared=True)), budget="quick", diagnose=False)
    told = Diagnosis(False, foreign=foreign_of_flow())
    text = printed(dataclasses.replace(verdict, diagnosis=told))
    assert "FAILED  noise/shape" in text
    assert "FAILED  law/outputs" not in text


def foreign_of_flow() -> Any:
    """What is said where the search found nothing: names of what is nearer, with shares."""
    found = foreign(measured(sampler_under_test(EDM, **FEW)(flowing())), Diagnosis(False))
    assert found is not None
    return found


def test_nearer_references_are_named_where_nothing_explains() -> None:
    found = foreign_of_flow()
    assert found.nearer == ("FlowEuler",)
    for words in ("nothing within reach of EDM explains it", "FlowEuler shares 100%", "--against"):
        assert words in found.told


def test_where_none_is_nearer_the_failures_stay_in_front() -> None:
    """Another decay of the state at each step: no reference of ours has it."""
    subject = sampler_under_test(EDM, **FEW)(flowing(scale=0.7))
    found = foreign(measured(subject), Diagnosis(False))
    assert found is not None
    assert found.nearer == ()
    assert "no other reference of this package more" in found.told
    assessment = Assessment(subject, budget="quick", diagnose=False)
    verdict = dataclasses.replace(assessment.verdict(), diagnosis=Diagnosis(False, foreign=found))
    assert "FAILED  law/outputs" in printed(verdict)
    assert "failed" in headline(verdict)


@pytest.mark.parametrize(
    ("reference", "declared", "change"),
    [
        (EDM, FEW | {"sigma_max": 5.0}, lambda x: 1.5 * x),
        (FlowEuler, FEW, lambda x: 1.5 * x),
        (DDPM, FEW | {"timestep_spacing": "trailing"}, lambda x: 1.5 * x),
    ],
)
def test_one_mistake_is_no_other_method(reference: Any, declared: dict[str, Any], change: Any) -> None:
    own = {EDM: ours.edm, FlowEuler: ours.flow, DDPM: ours.ddpm}[reference]

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        return change(own.function(model, shape, config, device=device, dtype=dtype))

    assert foreign(measured(sampler_under_test(reference, **declared)(sampler)), Diagnosis(False)) is None


def test_checks_that_compare_nothing_do_not_say_that_it_conforms() -> None:
    subject = sampler_under_test(FlowEuler, **FEW)(flowing())
    some = check_sampler(subject, budget="quick", checks=["state/rerun", "noise/generator"])
    assert headline(some) == "sampler passes 2 checks of 18, none of which tells whether it is FlowEuler"
    law = check_sampler(subject, budget="quick", checks=["law/outputs"])
    assert headline(law) == "sampler conforms to FlowEuler, as far as 1 of 18 checks can tell"
