"""Every faulty training step fails a check that fits it, every sound one passes all."""

from __future__ import annotations

import functools

import pytest

from fixtures.faulty_training import FAULTY_TRAINING, SOUND_TRAINING, FaultyTraining
from sampler_harness.catalogue import check_ids
from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Finding

#: One worker, so that each step is decided once.
pytestmark = pytest.mark.xdist_group("training-steps")


@functools.cache
def failures(path: str) -> tuple[Finding, ...]:
    """What fails or cannot be judged in a quick verdict."""
    verdict = check_sampler(load_subject(path), budget="quick")
    return tuple(f for f in verdict.findings if f.outcome not in ("passed", "skipped"))


@pytest.mark.parametrize("faulty", FAULTY_TRAINING, ids=lambda f: f.name)
@pytest.mark.sampled(every=48)
def test_a_faulty_step_fails_a_check_that_fits(faulty: FaultyTraining) -> None:
    failed = {f.id: f for f in failures(faulty.subject_path) if f.outcome == "failed"}
    fitting = [failed[id] for id in faulty.fails if id in failed]
    assert fitting, f"failed: {sorted(failed)}, should be among {faulty.fails}"
    assert all(f.margin is None or f.margin > 3 for f in fitting)


@pytest.mark.parametrize("faulty", FAULTY_TRAINING, ids=lambda f: f.name)
@pytest.mark.sampled(every=48)
def test_one_mistake_is_one_cause(faulty: FaultyTraining) -> None:
    causes = [f for f in failures(faulty.subject_path) if f.outcome == "failed" and f.consequence_of is None]
    assert len(causes) == 1, [(f.id, f.message) for f in causes]


def test_what_follows_from_a_time_that_was_cast_is_said_to_follow() -> None:
    cast = next(one for one in FAULTY_TRAINING if one.name == "ddpm-told-in-bfloat16")
    first, *others = failures(cast.subject_path)
    assert first.id == "training/time-distribution"
    assert "the time was rounded by a cast to bfloat16" in first.message
    assert {one.consequence_of for one in others} == {first.id}


def test_every_check_fails_a_faulty_step() -> None:
    fitting = {id for faulty in FAULTY_TRAINING for id in faulty.fails}
    assert fitting == set(check_ids("training"))


def test_the_faults_are_many_and_many_of_them_real() -> None:
    assert len(FAULTY_TRAINING) >= 20
    assert len({name for faulty in FAULTY_TRAINING for name in faulty.bug_ids}) >= 14


@pytest.mark.parametrize("path", SOUND_TRAINING)
@pytest.mark.sampled(every=9)
def test_a_sound_step_passes_all(path: str) -> None:
    verdict = check_sampler(load_subject(path), budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in failures(path)]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
