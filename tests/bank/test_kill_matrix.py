"""Every faulty sampler fails a check that fits its fault, every check fails one, every sound sampler passes all."""

from __future__ import annotations

import pytest

from fixtures.faulty_samplers import FAULTY, Faulty
from fixtures.sound_samplers import SOUND
from sampler_harness.catalogue import check_ids
from scripts.kill_matrix import failing, margin, verdict_of

from .nothing_told import nothing_is_told_of

HALF = len(FAULTY) // 2


def kills(faulty: Faulty) -> None:
    """A check that fits the fault fails, far beyond its tolerance."""
    verdict = verdict_of(faulty.subject_path)
    assert not verdict.conforms
    hit = tuple(i for i in faulty.expected if i in failing(verdict))
    assert hit, f"failing: {failing(verdict)}"
    assert margin(verdict, hit) > 3


# Two groups, so that two workers share the work and none measures what the other did.
@pytest.mark.xdist_group("faulty-one")
@pytest.mark.parametrize("faulty", FAULTY[:HALF], ids=lambda f: f.name)
@pytest.mark.sampled(every=120)
def test_a_faulty_sampler_fails_a_fitting_check(faulty: Faulty) -> None:
    kills(faulty)


@pytest.mark.xdist_group("faulty-two")
@pytest.mark.parametrize("faulty", FAULTY[HALF:], ids=lambda f: f.name)
@pytest.mark.sampled(every=120)
def test_another_faulty_sampler_fails_a_fitting_check(faulty: Faulty) -> None:
    kills(faulty)


@pytest.mark.parametrize("target", SOUND, ids=lambda t: t.rpartition(":")[2])
@pytest.mark.sampled(every=18)
def test_a_sound_sampler_passes_all(target: str) -> None:
    nothing_is_told_of(target)


@pytest.mark.xdist_group("faulty-two")
@pytest.mark.parametrize("check", check_ids())
@pytest.mark.sampled(every=12)
def test_every_check_fails_a_faulty_sampler(check: str) -> None:
    made_for_it = [f for f in reversed(FAULTY) if check in f.expected]
    assert any(check in failing(verdict_of(faulty.subject_path)) for faulty in made_for_it)


def test_the_bank_is_large_and_real() -> None:
    real = [f for f in FAULTY if not f.constructed]
    assert len(real) >= 28
    assert len({f.name for f in FAULTY}) == len(FAULTY)
