"""Known failures are pinned by what they show: the same failure is excused, any other under the same id is not."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference_samplers import EDM, EDMTraining
from sampler_harness import Expected, Shown, Subject, check_sampler, sampler_under_test, training_under_test
from sampler_harness.catalogue import check_ids
from sampler_harness.gate.baseline import BaselineError, Entry, entries_of, read_baseline, written
from sampler_harness.pinned import other_than
from sampler_harness.runner import Assessment
from sampler_harness.subject import DeclarationError
from sampler_harness.verdict import Finding
from tests.small_samplers import DECLARED, levels

CHURNED = DECLARED | {"num_steps": st.integers(1, 5), "s_churn": st.floats(0, 20)}

#: One worker, so that what is pinned is measured once.
pytestmark = pytest.mark.xdist_group("known-failures")


def churned(
    *, start: float = 0.2, churn: float = 1.0, blur: float = 1.0, crash: type[Exception] | None = None, **options: Any
) -> Subject:
    """Euler steps with churn; ``start`` is the known deviation, the others are what may be hidden beside it."""

    @sampler_under_test(EDM, **CHURNED, **options)
    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
        grid = levels(config)
        x = start * grid[0] * torch.randn(shape, device=device, dtype=dtype)
        for sigma, after in itertools.pairwise(grid):
            gamma = min(config.s_churn / config.num_steps, 2**0.5 - 1)
            raised = sigma * (1 + gamma)
            x = x + churn * (raised**2 - sigma**2) ** 0.5 * torch.randn_like(x)
            x = x + blur * (after - raised) * (x - model(x, torch.tensor(raised, dtype=torch.float64))) / raised
            if crash is not None:
                raise crash("not today")
        return x

    return sampler


def found(subject: Subject, check: str, budget: str = "quick") -> Finding:
    return Assessment(subject, budget=budget, diagnose=False).run(check)


@functools.cache
def pinned(check: str, **faults: Any) -> Mapping[str, Expected]:
    """What a sampler with faults shows, as an expectation."""
    shown = found(churned(**faults), check).shown
    assert shown is not None
    # What a person pastes: as it is written, and no more.
    return {check: Expected("meant", shows=eval(repr(shown), {"Shown": Shown}))}


@pytest.mark.parametrize("budget", ["quick", pytest.param("standard", marks=pytest.mark.slow)])
def test_the_failure_that_is_pinned_is_excused(budget: str) -> None:
    expected = pinned("law/initial-noise")
    again = found(churned(expected_failures=expected), "law/initial-noise", budget)
    assert again.outcome == "expected"
    assert again.notes == ()


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"start": 0.25}, "got is"),
        ({"churn": 1.01}, "the law is off by"),
        ({"blur": 0.99}, "the law is off by"),
        ({"crash": None, "start": 5.0}, "got is"),
    ],
)
@pytest.mark.sampled(every=2)
def test_anything_else_under_the_same_id_is_a_failure(faults: dict[str, Any], told: str) -> None:
    expected = pinned("law/initial-noise")
    other = found(churned(**faults, expected_failures=expected), "law/initial-noise")
    assert other.outcome == "failed"
    assert "not the failure that expected_failures['law/initial-noise'] speaks of (meant)" in other.message
    assert told in other.message
    assert "shows=Shown(" in other.message


def test_what_follows_from_a_pinned_failure_is_excused_with_it_and_with_nothing_else() -> None:
    expected = pinned("law/initial-noise")
    verdict = check_sampler(churned(expected_failures=expected), budget="quick", diagnose=False)
    assert verdict.conforms
    assert verdict.count("expected") > 1
    verdict = check_sampler(churned(start=0.25, expected_failures=expected), budget="quick", diagnose=False)
    assert verdict.count("expected") == 0
    assert [cause.id for cause in verdict.causes] == ["law/initial-noise"]


def test_a_crash_is_not_the_failure_that_was_declared() -> None:
    reason = {"law/times": "the grid is ours"}
    crashed = found(churned(crash=RuntimeError, expected_failures=reason), "law/times")
    assert crashed.outcome == "failed"
    assert "excuses wrong figures, not a run without any" in crashed.message
    verdict = check_sampler(churned(crash=RuntimeError, expected_failures=reason), budget="quick", diagnose=False)
    assert not verdict.conforms
    assert verdict.count("expected") == 0


@pytest.mark.slow
def test_a_crash_may_be_pinned() -> None:
    expected = pinned("law/times", crash=RuntimeError)
    shows = expected["law/times"].shows
    assert shows is not None
    assert shows.problem
    assert found(churned(crash=RuntimeError, expected_failures=expected), "law/times").outcome == "expected"
    assert found(churned(expected_failures=expected), "law/times").outcome == "failed"  # it passes now


@pytest.mark.slow
def test_another_crash_is_another_failure() -> None:
    expected = pinned("law/times", crash=RuntimeError)
    other = found(churned(crash=ValueError, expected_failures=expected), "law/times")
    assert other.outcome == "failed"
    assert "its says is" in other.message


def test_a_pin_of_a_training_step_is_refused() -> None:
    declare = training_under_test(EDMTraining, expected_failures={"training/weight": Expected("why", shows=Shown())})
    with pytest.raises(DeclarationError, match="pins checks of a sampler"):
        declare(lambda model, x0, config, *, device, dtype: x0)


def test_one_without_figures_is_told_what_to_write() -> None:
    reason = {"law/initial-noise": "meant"}
    [note] = found(churned(expected_failures=reason), "law/initial-noise").notes
    assert note.startswith("expected_failures['law/initial-noise'] excuses whatever law/initial-noise measures")
    expected = eval(f"{{{note.partition('today: ')[2]}}}", {"Expected": Expected, "Shown": Shown})
    assert found(churned(expected_failures=expected), "law/initial-noise").outcome == "expected"
    assert found(churned(start=0.3, expected_failures=expected), "law/initial-noise").outcome == "failed"


@pytest.mark.slow
def test_a_baseline_holds_what_was_seen(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    assessment = Assessment(churned(), budget="standard", diagnose=False)
    verdict = assessment.pinned(assessment.verdict(["law/initial-noise"]))
    file.write_text(written("", entries_of([verdict]), file.name), encoding="utf-8")
    baseline = read_baseline(str(file))

    def outcome(subject: Subject) -> str:
        assert subject.target == verdict.sampler
        expected = baseline.expected(subject.target)
        return Assessment(subject, budget="quick", expected=expected, diagnose=False).run("law/initial-noise").outcome

    assert outcome(churned()) == "expected"
    assert outcome(churned(start=0.25)) == "failed"
    assert outcome(churned(churn=0.9)) == "failed"


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
SHOWN = st.builds(
    Shown,
    configuration=st.text(max_size=20),
    term=st.sampled_from(["", "time", "noise"]),
    step=st.none() | st.integers(0, 99),
    got=st.none() | NUMBERS,
    should_be=st.none() | NUMBERS,
    problem=st.sampled_from(["", "raised"]),
    says=st.text(max_size=20),
    sizes=st.lists(NUMBERS, max_size=4).map(tuple),
)


@given(shown=SHOWN)
def test_what_is_written_is_what_was_seen(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("baseline") / "known.toml"
    file.write_text(written("", [Entry("a.py:b", "law/times", "why", shows=shown)], file.name), "utf-8", newline="")
    [entry] = read_baseline(str(file)).entries
    assert entry.shows is not None
    assert other_than(entry.shows, shown) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: dataclasses.replace(s, term="noise"), "its term is 'noise', was 'time'"),
        (lambda s: dataclasses.replace(s, step=4), "its step is 4, was 3"),
        (lambda s: dataclasses.replace(s, problem="nan"), "its problem is 'nan', was ''"),
        (lambda s: dataclasses.replace(s, configuration="EDM(num_steps=2)"), "its configuration is"),
        (lambda s: dataclasses.replace(s, got=1.3), "got is 1.3, was 1.0"),
        (lambda s: dataclasses.replace(s, got=None), "got is None, was 1.0"),
        (lambda s: dataclasses.replace(s, sizes=(0.5, 2.3)), "in fixed configuration 2 the law is off by 2.3 in all"),
        (lambda s: dataclasses.replace(s, sizes=(0.5,)), "1 configurations were measured, 2 then"),
    ],
)
def test_each_figure_counts(change: Callable[[Shown], Shown], told: str) -> None:
    shown = Shown(
        "EDM(num_steps=1)", "time", 3, 1.0, 2.0, "", "", (0.5, 2.0), got_allowed=0.1, sizes_allowed=(0.1, 0.1)
    )
    assert other_than(shown, dataclasses.replace(shown, got=1.2, sizes=(0.7, 1.8))) == ""  # what rounding may do
    assert told in other_than(shown, change(shown))


@pytest.mark.parametrize(
    ("shows", "told"),
    [
        ('"the first noise"', "shows must be a table as --write-baseline writes it"),
        ("{ trem = 'time' }", "shows has no 'trem'; did you mean 'term'?"),
        ("{ step = 'one' }", "shows.step cannot be 'one'"),
        ("{ sizes = ['a'] }", "shows.sizes cannot be ['a']"),
        ("{ got = 'much' }", "shows.got cannot be 'much'"),
    ],
)
def test_wrong_figures_in_a_baseline_are_told(tmp_path: Path, shows: str, told: str) -> None:
    file = tmp_path / "known.toml"
    entry = f'[[deviation]]\ntarget = "a.py:b"\ncheck = "law/times"\nreason = "why"\nshows = {shows}\n'
    file.write_text(entry, encoding="utf-8")
    with pytest.raises(BaselineError) as caught:
        read_baseline(str(file))
    assert told in str(caught.value)


def test_an_expectation_needs_a_reason() -> None:
    with pytest.raises(DeclarationError, match="needs a reason"):
        churned(expected_failures={check_ids()[0]: Expected(" ")})
