"""Samplers that may be right and cannot be told: one check says why in one sentence, and nothing else accuses them."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
import torch

from fixtures.sound_samplers.untold import UNTOLD
from reference_samplers import FlowEuler
from sampler_harness import sampler_under_test
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case, execute
from sampler_harness.report.terminal import closing_line, render
from sampler_harness.report.words import headline, state
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.targets import load_sampler
from sampler_harness.verdict import Verdict

#: Told at once, since a run stops at its first call, or in a configuration of few steps.
QUICK = ("packed_for_the_model", "flat_for_the_model", "padded_for_the_model", "padded_all_along")


#: One worker, so that each is decided once.
pytestmark = pytest.mark.xdist_group("untold")


@functools.cache
def verdict_of(name: str) -> Verdict:
    return check_sampler(declared(name), budget="quick")


def declared(name: str) -> Subject:
    return load_sampler(f"fixtures.sound_samplers.untold:{name}")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in UNTOLD])
def test_one_check_tells_why_and_no_other_accuses(name: str) -> None:
    check, outcome, told = UNTOLD[name]
    verdict = verdict_of(name)
    assert not verdict.conforms
    assert [(f.id, f.outcome) for f in verdict.bad if f.consequence_of is None] == [(check, outcome)]
    assert told in next(f.message for f in verdict.bad if f.id == check)
    assert verdict.diagnosis is not None
    assert not verdict.diagnosis.answers
    assert not verdict.diagnosis.near
    accused = [f.message for f in verdict.bad if f.id != check and f.outcome == "failed"]
    assert all(told in message for message in accused), accused


@pytest.mark.parametrize("name", ["padded_for_the_model", "guided_in_one_call"])
def test_what_cannot_be_told_is_not_called_wrong(name: str) -> None:
    verdict = verdict_of(name)
    text = "\n".join(line.text for line in render(verdict))
    assert verdict.is_undecided
    assert state(verdict) == "open"
    assert headline(verdict).startswith(f"fixtures.sound_samplers.untold:{name} cannot be decided against ")
    assert "could not judge" in headline(verdict)
    assert "does not conform" not in text
    assert "does instead" not in text
    assert "beyond any tolerance" not in text
    assert closing_line([verdict]).text.startswith("1 sampler was not decided: ")


@pytest.mark.slow
def test_a_headline_says_why_nothing_is_decided() -> None:
    told = headline(verdict_of("guided_in_one_call"))
    assert "the model is given each sample twice in one batch at each input and time, as guidance does" in told
    told = headline(check_sampler(declared("guided_in_two_calls"), budget="quick", checks=["law/times"]))
    assert "the model is called twice at each input and time, as guidance does" in told
    assert told.endswith(" (1 of 1 check could not judge)")


def test_a_call_for_nothing_is_told_with_its_line() -> None:
    [cause] = check_sampler(declared("asked_once_more"), budget="quick", checks=["law/times"], diagnose=False).causes
    assert cause.place is not None
    assert cause.place.text == "model(x, torch.zeros(shape[0]))"
    assert "the model is called 4 times in a run, should be 3" in cause.message


def test_items_that_are_asked_for_one_by_one_are_one_call() -> None:
    subject = load_sampler("fixtures.sound_samplers.habits:one_item_at_a_time")
    config = subject.reference(num_steps=3, solver="euler", sigma_max=10.0)
    run = execute(subject, Case(config, (4, 3, 2, 2)), Impulses())
    assert run.problem is None
    assert [tuple(call.x.shape) for call in run.calls] == [(4, 3, 2, 2)] * 3
    assert [tuple(call.time.shape) for call in run.calls] == [(4,)] * 3


def test_items_of_their_own_are_no_parts_of_one_tensor() -> None:
    """An item that is given back before the next is made leaves its address to it."""
    subject = declared("one_item_after_another")
    config = subject.reference(num_steps=1, solver="euler")
    for _ in range(20):
        assert execute(subject, Case(config, (4, 3, 16, 16)), Impulses()).problem is None


def test_items_that_are_never_asked_for_are_missed() -> None:
    """Whoever asks for the first item alone has not asked for the others, and that is no habit."""

    def first_alone(model: Any, shape: tuple[int, ...], config: Any, **given: Any) -> torch.Tensor:
        x = torch.randn(shape, **given)
        return torch.as_tensor(x - model(x[:1], torch.ones(1)))

    subject = load_sampler("fixtures.sound_samplers.habits:one_item_at_a_time")
    config = subject.reference(num_steps=1, solver="euler")
    run = execute(subject, Case(config, (2, 3, 2, 2)), Impulses(), entry=first_alone)
    assert run.problem is not None
    assert run.problem.message == "the model was asked for 1 of 2 items, and never for the others"


@pytest.mark.parametrize("has_effect", [False, True])
def test_what_python_draws_counts_where_a_value_follows_from_it(has_effect: bool) -> None:
    """A factor of the model's output is noise; a name that is made up is not, which cannot be told for sure."""

    def sampler(model: Any, shape: tuple[int, ...], config: Any, **given: Any) -> torch.Tensor:
        factor = random.random() if has_effect else 1.0 + 0.0 * random.random()
        x = torch.randn(shape, **given)
        for k in range(config.num_steps):
            x = x - factor * model(x, torch.full((shape[0],), 1 - k / config.num_steps)) / config.num_steps
        return x

    subject = sampler_under_test(FlowEuler, num_steps=2, shapes=[(2, 3, 4, 4)])(sampler)
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert [f.id for f in verdict.causes] == ["noise/generator"]
    [found] = verdict.causes
    assert found.outcome == ("failed" if has_effect else "error")
    assert ("does not tell that none ever follows from it" in found.message) != has_effect
    assert "a generator was given" not in found.message


def test_a_coin_that_seldom_falls_is_not_passed() -> None:
    def sampler(model: Any, shape: tuple[int, ...], config: Any, **given: Any) -> torch.Tensor:
        factor = 0.0 if random.random() < 0.02 else 1.0
        x = torch.randn(shape, **given)
        for k in range(config.num_steps):
            x = x - factor * model(x, torch.full((shape[0],), 1 - k / config.num_steps)) / config.num_steps
        return x

    subject = sampler_under_test(FlowEuler, num_steps=2, shapes=[(2, 3, 4, 4)])(sampler)
    assert not check_sampler(subject, budget="quick", diagnose=False).conforms


def test_what_counts_its_runs_is_not_random() -> None:
    runs = [0]

    def sampler(model: Any, shape: tuple[int, ...], config: Any, **given: Any) -> torch.Tensor:
        runs[0] += 1
        x = torch.randn(shape, **given) + 0.01 * runs[0]
        for k in range(config.num_steps):
            x = x - model(x, torch.full((shape[0],), 1 - k / config.num_steps)) / config.num_steps
        return x

    subject = sampler_under_test(FlowEuler, num_steps=2, shapes=[(2, 3, 4, 4)])(sampler)
    told = {f.id: f.message for f in check_sampler(subject, budget="quick", diagnose=False).bad}
    assert "state/rerun" in told
    assert "random" not in told.get("noise/generator", "")


def test_items_that_are_asked_for_backwards_cannot_be_told() -> None:
    def sampler(model: Any, shape: tuple[int, ...], config: Any, **given: Any) -> torch.Tensor:
        x = torch.randn(shape, **given)
        for k in range(config.num_steps):
            out = torch.empty_like(x)
            for i in reversed(range(shape[0])):
                out[i : i + 1] = model(x[i : i + 1], torch.full((1,), 1 - k / config.num_steps))
            x = x - out / config.num_steps
        return x

    subject = sampler_under_test(FlowEuler, num_steps=2, shapes=[(2, 3, 4, 4)])(sampler)
    [cause] = check_sampler(subject, budget="quick", diagnose=False).causes
    assert cause.outcome == "error"
    assert "in another order than they stand in it" in cause.message
