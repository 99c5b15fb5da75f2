"""The JSON is what its schema says, for every kind of verdict; and the schema says all of it."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from fixtures.faulty_samplers import constructed, hostile
from fixtures.faulty_samplers import diamond as released
from fixtures.torch_samplers import under_test
from sampler_harness.pinned import Expected
from sampler_harness.report.json import dumps
from sampler_harness.runner import Assessment, check_sampler
from sampler_harness.targets import load_subjects
from sampler_harness.verdict import SCHEMA_VERSION, Coverage, Finding, Verdict
from tests import small_samplers

SCHEMA = json.loads(resources.files("sampler_harness.report").joinpath("verdict.schema.json").read_text("utf-8"))
QUICK: dict[str, Any] = {"budget": "quick"}


def _against_another() -> Verdict:
    return check_sampler(released.diamond, against=under_test.edm, **QUICK)


def _expected() -> Verdict:
    known = {"law/times": Expected("meant", "known.toml, line 3"), "law/initial-noise": Expected("meant")}
    return Assessment(released.diamond, budget="quick", expected=known).verdict()


def _not_run() -> Verdict:
    return Verdict("a.py:b", "EDM", (), Coverage(), 0.0, "quick", "cuda", not_run="there is none")


def _strange_figures() -> Verdict:
    evidence = {"got": float("nan"), "should_be": float("inf"), "of": (1, {2, 3}), "what": object}
    finding = Finding("law/times", "failed", "a\nb", evidence, margin=3.0)
    return dataclasses.replace(_not_run(), not_run=None, findings=(finding,), planned=("law/times", "law/noise"))


def _noted() -> Verdict:
    finding = Finding("law/times", "passed", "as it should be", notes=("seen at one level only",))
    return dataclasses.replace(_strange_figures(), findings=(finding,), beside=("the training step shifts otherwise",))


def _pinned() -> Verdict:
    return Assessment(under_test.edm, budget="quick", checks_as_of="0.1").verdict(["law/times"])


def _meant() -> Verdict:
    names = {"initial-noise-unscaled": "meant", "denoiser-told-level-before-rise": "meant too"}
    return check_sampler(dataclasses.replace(released.diamond, deviations=names), **QUICK)


VERDICTS: dict[str, Callable[[], Verdict]] = {
    "sound": lambda: check_sampler(small_samplers.sound, **QUICK),
    "faulty, with a diagnosis": lambda: check_sampler(released.diamond, **QUICK),
    "no line explains it": lambda: check_sampler(constructed.undeclared_output_range, **QUICK),
    "a crash": lambda: check_sampler(hostile.raises_at_step_two, **QUICK),
    "held against another": _against_another,
    "known deviations": _expected,
    "deviations that are meant": _meant,
    "not run": _not_run,
    "strange figures": _strange_figures,
    "pinned": _pinned,
    "an adapter's": lambda: check_sampler(load_subjects("diffusers:EDMEulerScheduler")[0], **QUICK),
    "with notes": _noted,
}


def _subject(target: str) -> Any:
    return load_subjects(target)[0]


for _target in ("fixtures.torch_training.under_test", "fixtures.sound_data.with_torch", "fixtures.sound_data.batches"):
    VERDICTS[_target] = lambda target=_target: check_sampler(_subject(target), **QUICK)  # type: ignore[misc]


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.sampled(every=6)
def test_a_verdict_is_what_the_schema_says(name: str) -> None:
    Draft202012Validator(SCHEMA).validate(json.loads(dumps([VERDICTS[name]()])))


def test_the_schema_is_one_and_of_this_version() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["verdict"]["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_key_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        for name, one in node.get("properties", {}).items():
            described = "description" in one or "$ref" in one or "const" in one
            described |= any("$ref" in choice for choice in one.get("oneOf", []))
            found += [] if described else [f"{path}.{name}"]
            found += undescribed(one, f"{path}.{name}")
        return found

    assert [key for name, one in SCHEMA["$defs"].items() for key in undescribed(one, name)] == []


def _everywhere(node: Any) -> list[tuple[dict[str, Any], str]]:
    """Every key of every object that the schema closes, as (object, key)."""
    verdict = node[0]
    closed = [verdict, verdict["counts"], *verdict["checks"], verdict["diagnosis"], *verdict["diagnosis"]["edits"]]
    return [(one, key) for one in closed for key in list(one)]


@pytest.mark.slow
def test_a_missing_and_an_unknown_key_are_caught() -> None:
    whole = json.loads(dumps([check_sampler(released.diamond, **QUICK)]))
    validator = Draft202012Validator(SCHEMA)
    keys = _everywhere(whole)
    assert len(keys) > 100
    for one, key in keys:
        value = one.pop(key)
        with pytest.raises(ValidationError):
            validator.validate(whole)
        one[key] = value
        one["unheard_of"] = 1
        with pytest.raises(ValidationError):
            validator.validate(whole)
        del one["unheard_of"]
    validator.validate(copy.deepcopy(whole))
