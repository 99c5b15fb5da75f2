"""Noise that repeats, and noise from forks, lists, trees and copies that does not: every way that we know of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fixtures.faulty_samplers.repeated import REPEATED, under_test
from fixtures.sound_samplers.sources import INDEPENDENT
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.targets import load_sampler
from sampler_harness.verdict import Verdict


def declared(name: str) -> Subject:
    source, takes_generator = REPEATED[name][:2] if name in REPEATED else INDEPENDENT[name]
    return under_test(source, takes_generator=takes_generator, name=name)


def in_one_configuration(name: str) -> Subject:
    fields = {"solver": "euler", "sigma_max": 10.0, "num_steps": 2, "s_churn": 0.5}
    return dataclasses.replace(declared(name), fields=fields)


def verdict_of(name: str) -> Verdict:
    return check_sampler(declared(name), budget="quick", diagnose=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_noise_that_repeats_is_the_one_thing_that_is_wrong(name: str) -> None:
    """All else of the sampler is right, so that nothing else may be said of it."""
    verdict = verdict_of(name)
    assert [(f.id, f.consequence_of) for f in verdict.bad] == [(REPEATED[name][2], None)], verdict.bad
    place = verdict.bad[0].place
    assert place is not None
    assert place.file.endswith("repeated.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", INDEPENDENT)
def test_noise_that_is_new_is_not_flagged(name: str) -> None:
    verdict = verdict_of(name)
    assert verdict.conforms, [(f.id, f.message) for f in verdict.bad]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


def test_there_are_twenty_of_each() -> None:
    assert len(REPEATED) >= 20
    assert len(INDEPENDENT) >= 20


@pytest.mark.parametrize(
    ("name", "told", "line"),
    [
        (
            "seeded_before_each",
            "draws 0, 1 and 2 (the last after model call 0) are made from one state",
            "torch.manual_seed(SEED)",
        ),
        (
            "one_seed_for_items",
            "before the first model call, are made from one state of a generator: items 0 and 1",
            "seeded(",
        ),
        (
            "steps_from_same_seed",
            "both are the same tensor, and the later one should be new noise",
            "seeded(",
        ),
        ("forked_around_each", "all are the same tensor", "fork_rng"),
        ("ahead_from_same_seed", "is made of random numbers that draw 0", "seeded("),
        ("constant_beside_given", "the same state whatever the given one's seed is", "seeded(0)"),
    ],
)
def test_the_draws_are_named_and_the_line_is_the_one_that_seeds_or_draws(name: str, told: str, line: str) -> None:
    id = REPEATED[name][2]
    found = check_sampler(in_one_configuration(name), budget="quick", diagnose=False, checks={id}).bad[0]
    assert told in found.message
    assert found.place is not None
    assert line in found.place.text


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("list_with_own_seeds", ["every run returns the same noise: the seed is set inside the run, at "]),
        ("seeded_once", ["every run returns the same noise: the seed is set inside the run, at "]),
        ("seeds_drawn_globally", []),
        ("list_from_given", []),
    ],
)
def test_a_seed_of_the_sampler_s_own_is_noted_and_no_fault(name: str, notes: list[str]) -> None:
    """Two runs under other global seeds: where no generator is given, nothing says that noise must differ."""
    verdict = check_sampler(in_one_configuration(name), budget="quick", diagnose=False, checks={"noise/generator"})
    assert verdict.conforms
    assert len(verdict.notes) == len(notes)
    assert all(got.startswith(wanted) for got, wanted in zip(verdict.notes, notes, strict=True))
    assert all(any(how in got for how in ("manual_seed(", "seeded(")) for got in verdict.notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["step_noise_is_the_start", "step_noise_of_seed_zero"])
def test_the_script_shows_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = check_sampler(load_sampler(f"fixtures.faulty_samplers.repeated:{name}"), budget="quick", diagnose=False)
    script = verdict.bad[0].reproduction
    assert len(script.splitlines()) <= 15
    exec(compile(script, name, "exec"), {})
    told = capsys.readouterr().out.splitlines()[-1]
    wanted = ("Overlap(draw=1, earlier=0, whole=True)", "not fed by the given generator [1]")
    assert told in (*wanted, "not fed by the given generator [1, 2]")


@pytest.mark.slow
def test_noise_that_repeats_where_there_is_no_law() -> None:
    verdict = check_sampler(
        load_sampler("fixtures.faulty_samplers.repeated:seeded_by_the_model"), budget="quick", diagnose=False
    )
    assert [(f.id, f.consequence_of) for f in verdict.bad] == [("noise/shape", None)], verdict.bad


def test_noise_that_is_drawn_again_is_one_draw_where_a_constant_is_added_too() -> None:
    """The size of impulses is then asked of runs, before it is known how draws make fields."""
    plain = in_one_configuration("tree_that_keeps_its_seed")

    def shifted(*arguments: Any, **named: Any) -> Any:
        return plain.function(*arguments, **named) + 0.5

    subject = dataclasses.replace(plain, function=shifted, output_shift=0.5)
    verdict = check_sampler(subject, budget="quick", diagnose=False, checks={"noise/shape", "law/noise", "law/offset"})
    assert verdict.conforms, verdict.bad
