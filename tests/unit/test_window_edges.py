"""Whether the ends of a window belong to it: decided on levels given in exact numbers, else said to be open."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import strategies as st

from fixtures.torch_samplers import under_test as ours
from reference_samplers import EDM
from sampler_harness import Subject, sampler_under_test
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.runner import check_sampler

BY_HAND: dict[str, Any] = {"sigmas": (4.0, 2.0, 0.5, 0.0), "s_churn": st.floats(0.0, 1.0), "solver": "euler"}
NAMED: dict[str, Any] = {"num_steps": 4, "s_churn": st.floats(0.0, 1.0), "solver": "euler", "sigma_max": 4.0}
SHAPES: dict[str, Any] = {"shapes": [(2, 3, 6, 6)]}


def churning(*, open_at: str = "", **declared: Any) -> Subject:
    """Our sampler; ``open_at`` names the end that its window does not have."""

    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> Any:
        if open_at:
            inside = 1.001 if open_at == "s_tmin" else 0.999
            moved = {open_at: inside * config.values()[open_at]}
            config = dataclasses.replace(config, **moved)
        return ours.edm.function(model, shape, config, device=device, dtype=dtype)

    return sampler_under_test(EDM, **declared, **SHAPES)(sampler)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize(
    "window", [{"s_tmin": 0.5}, {"s_tmax": 2.0}, {"s_tmin": st.floats(0.0, 3.0)}, {"s_tmax": st.floats(0.7, 8.0)}]
)
def test_on_levels_given_in_exact_numbers_the_ends_are_decided(window: dict[str, Any]) -> None:
    [end] = window
    sound = check_sampler(churning(**BY_HAND, **window), budget="quick")
    assert sound.conforms, [(one.id, one.message) for one in sound.bad]
    assert not [note for note in sound.notes if end in note]
    faulty = check_sampler(churning(open_at=end, **BY_HAND, **window), budget="quick", diagnose=False)
    assert faulty.causes[0].id == "law/times"


@pytest.mark.parametrize(
    ("window", "levels"), [({"s_tmin": st.floats(0.0, 3.0)}, {"s_tmin": 0.5}), ({"s_tmin": st.sampled_from([0.3])}, {})]
)
def test_a_range_is_seen_at_a_level(window: dict[str, Any], levels: dict[str, float]) -> None:
    found = covering_set(churning(**BY_HAND, **window), BUDGETS["quick"])
    for name, level in levels.items():
        assert level in found.values[name]
        assert any(config.values()[name] == level and config.s_churn > 0 for config in found.configurations)
    if not levels:
        assert found.values["s_tmin"] == [0.3]


@pytest.mark.parametrize("declared", [NAMED | {"s_tmin": 0.05}, BY_HAND | {"s_tmin": st.sampled_from([0.3, 0.1])}])
def test_elsewhere_the_verdict_says_that_they_are_open(declared: dict[str, Any]) -> None:
    for open_at in ("", "s_tmin"):
        verdict = check_sampler(churning(open_at=open_at, **declared), budget="quick")
        assert verdict.conforms
        assert [note for note in verdict.notes if "s_tmin <= sigma, or <" in note]


def test_without_a_window_or_churn_nothing_is_open() -> None:
    for declared in (NAMED, NAMED | {"s_churn": 0.0, "s_tmin": 0.05}):
        assert check_sampler(churning(**declared), budget="quick").notes == ()
