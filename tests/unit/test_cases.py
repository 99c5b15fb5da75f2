"""Covering sets see what must be seen, in the same order everywhere; Hypothesis draws the same every time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from reference_samplers import DDIM, DDPM, EDM
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set, must_see
from sampler_harness.strategies import drawn_configurations, smallest_failing
from sampler_harness.subject import Subject


def subject(reference: type[Any], **fields: Any) -> Subject:
    return Subject(lambda *a, **k: None, reference, fields, name="none")


EDM_FIELDS: dict[str, Any] = {
    "num_steps": st.integers(1, 40),
    "solver": st.sampled_from(["heun", "euler"]),
    "s_churn": st.floats(0, 40),
    "rho": st.floats(3, 9),
}


@pytest.mark.parametrize(
    ("name", "strategy", "values"),
    [
        ("num_steps", st.integers(1, 40), [1, 2, 3, 7, 40]),
        ("num_steps", st.integers(2, 3), [2, 3]),
        ("num_steps", st.integers(20, 4000), [20, 50]),
        ("num_steps", st.integers(60, 4000), [60]),
        ("solver", st.sampled_from(["heun", "euler"]), ["heun", "euler"]),
        ("clip", st.booleans(), [False, True]),
        ("rho", st.just(7.0), [7.0]),
        ("steps_offset", st.integers(0, 1), [0, 1]),
        ("threshold", st.none() | st.floats(0.5, 1.0), [None, 0.5, 0.71875, 1.0]),
        ("anything", st.one_of(st.just(1), st.sampled_from([2, 3])), [1, 2, 3]),
        ("fixed", 5, [5]),
    ],
)
def test_what_must_be_seen(name: str, strategy: Any, values: list[Any]) -> None:
    assert must_see(name, strategy, longest=50) == values


@pytest.mark.parametrize(
    ("strategy", "values"),
    [
        (st.floats(0, 40), [0, 0.875, 40]),
        (st.floats(0, 1), [0, 0.4375, 1]),
        (st.floats(3, 40), [3, 3 + 37 * 0.4375, 40]),
        (st.integers(0, 40), [0, 1, 40]),
        (st.just(0.0) | st.floats(0.5, 40), [0, 0.5, 1.15625, 40]),
        (st.sampled_from([0.0, 40.0]), [0, 40]),
    ],
)
def test_a_range_is_seen_on_either_side_of_where_a_formula_turns(strategy: Any, values: list[float]) -> None:
    assert must_see("s_churn", strategy, longest=50, turning=2.0) == values


def test_churn_is_seen_below_its_cap() -> None:
    """Above (sqrt(2) - 1) * num_steps the noise is the same for every ``s_churn``: what divides it would go unseen."""
    seen = covering_set(subject(EDM, **EDM_FIELDS), BUDGETS["quick"]).configurations
    free = {c.num_steps for c in seen if 0 < c.s_churn < c.turning_points["s_churn"]}
    assert free >= {3, 7}
    assert any(c.s_churn > c.turning_points["s_churn"] for c in seen)


def test_an_opaque_strategy_is_drawn_from_the_same_way_each_time() -> None:
    opaque = st.floats(0, 1).map(lambda v: round(v, 2))
    first = must_see("eta", opaque, longest=50)
    assert first == must_see("eta", opaque, longest=50)
    assert len(first) > 1


def test_every_value_and_every_pair_is_covered() -> None:
    covering = covering_set(subject(EDM, **EDM_FIELDS), BUDGETS["quick"])
    fields, pairs = covering.seen(covering.configurations)
    assert fields == {"num_steps": "5/5", "solver": "2/2", "s_churn": "3/3", "rho": "3/3"}
    done, planned = pairs.split("/")
    assert done == planned
    # By hand: 4 short step counts, 2 solvers, 3 and 3 points of the ranges, pairwise.
    sizes = (4, 2, 3, 3)
    assert int(planned) == sum(a * b for a, b in itertools.combinations(sizes, 2))
    at_base = 0.4375 * (np.sqrt(2) - 1) * covering.base.num_steps
    for solver, churn in itertools.product(["heun", "euler"], [0.0, at_base, 40.0]):
        assert any((c.solver, c.s_churn) == (solver, churn) for c in covering.configurations)


def test_every_number_of_steps_is_seen_on_the_base() -> None:
    covering = covering_set(subject(EDM, **EDM_FIELDS), BUDGETS["quick"])
    rest = {(c.solver, c.s_churn, c.rho) for c in covering.configurations}
    base = covering.base
    assert (base.solver, base.s_churn, base.rho) in rest
    seen = {c.num_steps for c in covering.configurations if (c.solver, c.s_churn, c.rho) == ("heun", 0.0, base.rho)}
    assert seen >= {1, 2, 3, 7, 40}


def test_the_set_is_the_same_every_time() -> None:
    one = covering_set(subject(EDM, **EDM_FIELDS), BUDGETS["standard"]).configurations
    two = covering_set(subject(EDM, **EDM_FIELDS), BUDGETS["standard"]).configurations
    assert one == two


def test_pairs_that_the_reference_refuses_are_left_out() -> None:
    covering = covering_set(
        subject(
            DDPM,
            num_steps=st.integers(1, 20),
            timestep_spacing=st.sampled_from(["leading", "trailing"]),
            prediction=st.sampled_from(["epsilon", "v"]),
            rescale_zero_terminal_snr=st.booleans(),
        ),
        BUDGETS["quick"],
    )
    refused = [c for c in covering.configurations if c.rescale_zero_terminal_snr and c.prediction == "epsilon"]
    assert all(c.timestep_spacing == "leading" for c in refused)
    fields, pairs = covering.seen(covering.configurations)
    assert fields["rescale_zero_terminal_snr"] == "2/2"
    assert pairs.split("/")[0] == pairs.split("/")[1]


def test_a_value_that_is_legal_far_from_the_base_is_seen() -> None:
    """Two other fields must leave their defaults before this one may."""

    @dataclass(frozen=True)
    class Locked:
        num_steps: int = 5
        first: bool = False
        second: bool = False
        third: bool = False

        def __post_init__(self) -> None:
            if self.third and not (self.first and self.second):
                raise ValueError("third must be False where first or second is")

        def sample(self, model: Any, noise: Any) -> Any: ...

    switches = {name: st.booleans() for name in ("first", "second", "third")}
    covering = covering_set(subject(Locked, **switches), BUDGETS["quick"])
    assert Locked(first=True, second=True, third=True) in covering.configurations
    assert covering.seen(covering.configurations)[0] == {"first": "2/2", "second": "2/2", "third": "2/2"}


def test_a_value_that_is_legal_far_from_the_base_meets_every_other_value() -> None:
    """What two other fields must make room for is seen with each value of the rest, in as few rows as hold them."""

    @dataclass(frozen=True)
    class Locked:
        num_steps: int = 5
        first: bool = False
        second: bool = False
        third: bool = False
        kind: str = "a"
        other: str = "a"

        def __post_init__(self) -> None:
            if self.third and not (self.first and self.second):
                raise ValueError("third must be False where first or second is")

        def sample(self, model: Any, noise: Any) -> Any: ...

    switches = {name: st.booleans() for name in ("first", "second", "third")}
    kinds = {name: st.sampled_from(["a", "b", "c"]) for name in ("kind", "other")}
    covering = covering_set(subject(Locked, **switches, **kinds), BUDGETS["quick"])
    third = [c for c in covering.configurations if c.third]
    assert {c.kind for c in third} == {c.other for c in third} == {"a", "b", "c"}
    assert len(third) == 3
    done, planned = covering.seen(covering.configurations)[1].split("/")
    assert done == planned


def test_what_is_not_declared_is_told() -> None:
    covering = covering_set(subject(DDIM, num_steps=10), BUDGETS["quick"])
    assert "eta" in covering.not_varied
    assert "num_steps" not in covering.not_varied
    assert covering.configurations == [DDIM(num_steps=10)]


def test_a_declaration_that_allows_nothing_is_told() -> None:
    with pytest.raises(ValueError, match="refuses every configuration"):
        covering_set(subject(EDM, sigma_min=5.0, sigma_max=st.floats(1.0, 2.0)), BUDGETS["quick"])


def test_hypothesis_draws_the_same_every_time() -> None:
    one = drawn_configurations(subject(EDM, **EDM_FIELDS), BUDGETS["quick"])
    two = drawn_configurations(subject(EDM, **EDM_FIELDS), BUDGETS["quick"])
    assert one == two
    assert len(one) >= 4
    assert all(c.num_steps <= 40 for c, _ in one)


def test_nothing_varied_draws_nothing() -> None:
    assert drawn_configurations(subject(EDM, num_steps=4), BUDGETS["quick"]) == []


def test_a_failure_is_shrunk_to_the_smallest() -> None:
    declared = subject(EDM, **EDM_FIELDS)
    start = EDM(num_steps=40, solver="euler", s_churn=33.3, rho=8.1)
    smallest = smallest_failing(declared, lambda c: c.num_steps >= 4 and c.s_churn > 0, BUDGETS["thorough"], start)
    assert smallest.num_steps == 4
    assert 0 < smallest.s_churn <= 1
    assert smallest.solver == "heun"


def test_what_rounding_decides_is_not_drawn() -> None:
    """A churn of 6e-8 raises the level in float64 and not in float32."""
    churns = st.floats(0, 40)
    drawn = [c.s_churn for c, _ in drawn_configurations(subject(EDM, s_churn=churns), BUDGETS["thorough"])]
    assert len(drawn) > 50  # how many of them are new to Hypothesis changes with its release
    assert 0 in drawn
    assert min(churn for churn in drawn if churn) >= 4e-5
    # A range without an end has no scale of its own.
    endless = drawn_configurations(subject(EDM, s_churn=st.floats(0, allow_infinity=False)), BUDGETS["quick"])
    assert len(endless) > 1
