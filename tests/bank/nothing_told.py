"""What is asked of a sampler that is sound: it passes all, and there is nothing to search for in it."""

from __future__ import annotations

from sampler_harness.diagnosis.diagnose import search_for
from sampler_harness.runner import Assessment
from sampler_harness.targets import load_sampler

__all__ = ["nothing_is_told_of"]


def nothing_is_told_of(target: str) -> None:
    """Every check passes, far within its tolerance, and no measured law differs from the reference's.

    Args:
        target: ``module:name`` of a sound sampler.
    """
    assessment = Assessment(load_sampler(target), budget="quick")
    verdict = assessment.verdict()
    told = [(f.id, f.message) for f in verdict.findings if f.outcome not in ("passed", "skipped")]
    assert verdict.conforms, told
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
    assert verdict.diagnosis is None
    found, targets = search_for(assessment.sampler_evidence, "thorough")
    assert found is None
    assert all(target.reference_ratio <= 1 for target in targets)
