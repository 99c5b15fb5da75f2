"""Noise that is not normal: one cause, and no change of the reference is named for what no law holds."""

from __future__ import annotations

import pytest

from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subject


@pytest.mark.parametrize("name", ["uniform_for_normal", "uniform_not_centered", "first_noise_uniform"])
def test_noise_that_is_not_normal_is_the_one_cause(name: str) -> None:
    verdict = check_sampler(load_subject(f"fixtures.faulty_samplers.not_normal:{name}"), budget="quick")
    failed = {one.id: one for one in verdict.findings if one.outcome == "failed"}
    causes = [id for id, one in failed.items() if one.consequence_of not in failed]
    assert causes == ["noise/shape"], {id: one.consequence_of for id, one in failed.items()}
    of_noise = [one for id, one in failed.items() if id in ("law/noise", "law/initial-noise", "law/offset")]
    assert of_noise
    for one in of_noise:
        assert "normal noise alone is counted, and none of what 'rand" in one.message
    assert verdict.diagnosis is not None
    assert not verdict.diagnosis.exact
    assert not verdict.diagnosis.answers
    assert any("is not Gaussian" in one for one in verdict.diagnosis.observed)
