"""Noise that is flipped, rolled, permuted, negated or cut down is noise; the same draw twice, moved about, is not."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.faulty_samplers.repeated import under_test
from fixtures.faulty_samplers.reused import REUSED
from fixtures.sound_samplers.rearranged import CORRECTED, REARRANGED, corrected
from reference_samplers import EDM
from sampler_harness import sampler_under_test
from sampler_harness.law.bundle import Bundle
from sampler_harness.observe.trace import Case
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.verdict import Verdict

#: What may be said of noise that is not independent; all else follows from it.
OF_NOISE = {"law/initial-noise", "law/noise", "noise/shape"}


def declared(name: str) -> Subject:
    source = REARRANGED[name] if name in REARRANGED else REUSED[name]
    return under_test(source, takes_generator=True, name=name)


def verdict_of(subject: Subject) -> Verdict:
    return check_sampler(subject, budget="quick", diagnose=False)


@pytest.mark.parametrize("name", REARRANGED)
def test_each_element_is_seen_to_get_a_normal_of_its_own(name: str) -> None:
    config = EDM(num_steps=2, sigma_max=10.0, solver="euler", s_churn=0.5)
    bundle = Bundle(declared(name), Case(config, (2, 3, 4, 4)))
    assert bundle.problem is None
    assert bundle.layout is not None
    assert (bundle.layout.shared, bundle.layout.missing) == (0, 0)
    assert not bundle.first.leaks
    assert not bundle.second.leaks
    plain = Bundle(declared("all_negated"), Case(config, (2, 3, 4, 4)))
    assert bundle.law.factor == pytest.approx(plain.law.factor, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", REARRANGED)
def test_noise_that_is_moved_about_is_not_flagged(name: str) -> None:
    verdict = verdict_of(declared(name))
    assert verdict.conforms, [(f.id, f.message) for f in verdict.bad]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@sampler_under_test(EDM, num_steps=st.integers(1, 60), solver="euler", s_churn=40.0)
def flipped_in_turn(
    model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Sound: every other draw is flipped, so that no two neighbors are moved about alike."""
    levels = config.sigma_grid.tolist()
    x: torch.Tensor = levels[0] * torch.randn(shape, device=device, dtype=dtype)
    for number, (level, after) in enumerate(pairwise(levels)):
        raised = level * (1 + float(config.gamma(level)))
        drawn = torch.randn(shape, device=device, dtype=dtype)
        drawn = drawn.flip(-1) if number % 2 else drawn
        x = x + (raised**2 - level**2) ** 0.5 * drawn
        x = x + (after - raised) / raised * (x - model(x, torch.tensor(raised)))
    return x


@pytest.mark.slow
def test_draws_may_be_moved_about_each_in_its_own_way() -> None:
    verdict = verdict_of(flipped_in_turn)
    assert verdict.conforms, [(f.id, f.message) for f in verdict.bad]


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRECTED)
def test_nor_where_there_is_no_law(name: str) -> None:
    verdict = verdict_of(corrected(CORRECTED[name], name))
    assert verdict.conforms, [(f.id, f.message) for f in verdict.bad]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.slow
def test_noise_of_another_size_is_flagged_where_there_is_no_law() -> None:
    verdict = verdict_of(corrected(lambda noise: -noise.flip(-1) / 2, "half"))
    assert "clip/replay" in {one.id for one in verdict.causes}


@pytest.mark.slow
@pytest.mark.parametrize("name", REUSED)
def test_one_draw_twice_is_flagged_as_noise(name: str) -> None:
    verdict = verdict_of(declared(name))
    assert [one.id for one in verdict.causes if one.id in OF_NOISE] == [one.id for one in verdict.causes]
    assert len(verdict.causes) == 1
    # No model input holds an answer that comes after it, whatever arrives at the place where that is looked for.
    told = [one.evidence for one in verdict.bad if one.evidence.get("term") == "outputs"]
    assert all(one["column"] < one["step"] for one in told)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flipped", "cut_out", "items_flipped_apart"])
def test_shapes_and_chains_that_are_too_long_to_read(name: str) -> None:
    """Of a small sample one run of many steps is held against the reference, with its noise moved about too."""
    subject = dataclasses.replace(
        declared(name),
        fields={"solver": "euler", "sigma_max": 10.0, "num_steps": 90, "s_churn": 40.0},
        shapes=((2, 3, 16, 16), (2, 1, 2, 3)),
    )
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert verdict.conforms, [(f.id, f.message) for f in verdict.bad]
