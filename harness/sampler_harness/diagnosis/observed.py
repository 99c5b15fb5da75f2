"""What the runs themselves show, where no line of the reference explains it: from the evidence of the checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reference_samplers.contract import Reference
from sampler_harness.checks.evidence import Evidence
from sampler_harness.verdict import Finding

from . import clamp

__all__ = ["observed", "of_returned_sample"]

#: Checks that compare the law, which the search explains.
_OF_ITS_LAW = ("law/times", "law/initial-noise", "law/outputs", "law/noise", "law/offset")
#: How a function begins that has a name; others are told by a few of their values, which belong to one run.
_NAMED = ("is tanh", "clamps at", "clamps to", "rounds", "truncates")


def observed(evidence: Evidence, bad: Sequence[Finding]) -> Iterator[str]:
    """What no edit of the reference expresses, from the evidence of the checks that saw it."""
    ids = {finding.id for finding in bad}
    of_law = any(id in _OF_ITS_LAW for id in ids)
    said: set[str] = set()
    shared = [finding for finding in bad if finding.id == "noise/shape"]
    shared = shared if shared and _shares_noise(evidence) else []
    # Where elements share their noise, nothing else that is measured of single elements means anything.
    for finding in shared or bad:
        if finding.consequence_of in ids and finding.consequence_of != finding.id:
            continue
        if (of_law and finding.id.partition("/")[0] in ("steps", "precision", "limit")) or finding.id == "shape/any":
            continue  # the law in other words
        told: list[str] = []
        if finding.problem == "not-finite":
            told += _not_finite(evidence)
        if finding.id == "clip/replay" and "clamped_to" not in finding.evidence:
            told += _clamped(evidence)
        by_place = finding.id == "law/outputs" and evidence.place_map is not None
        if finding.id not in _OF_ITS_LAW or finding.problem or not evidence.affine_cases or by_place:
            told.append(finding.message.splitlines()[0])
        yield from (one for one in told if one not in said)
        said.update(told)


def _shares_noise(evidence: Evidence) -> bool:
    """Whether elements of the sample share a drawn number, or receive none."""
    bundles = [evidence.bundle(case) for case in evidence.affine_cases]
    layouts = [bundle.layout for bundle in bundles if bundle.problem is None]
    return any(layout is not None and (layout.shared or layout.missing) for layout in layouts)


def _not_finite(evidence: Evidence) -> Iterator[str]:
    from .first_nan import first_nan

    for case in evidence.cases:
        bundle = evidence.bundle(case)
        problem = bundle.problem
        if problem is None or problem.kind != "not-finite":
            continue
        found = first_nan(bundle)
        at = "" if problem.step is None else f", at model call {problem.step}"
        yield f"{found or problem.message}{at}"
        return


def _clamped(evidence: Evidence) -> Iterator[str]:
    for case in evidence.cases:
        bundle = evidence.bundle(case)
        if bundle.problem is not None or not bundle.is_affine:
            continue
        found = clamp.clamp_of(bundle)
        if found is None or not clamp.is_read_off_last_step(bundle, *found):
            continue
        does = clamp.named(*found)
        right = clamp.named(found[0], clamp.clipped(case.config, found[0]))
        if does == right or not _has_clamp(case.config):
            continue
        yield f"what the sampler does to the predicted data {does}; it should {case.config.clip_told}"
        return


def _has_clamp(config: Reference) -> bool:
    """Whether the reference knows a clamp of predicted data."""
    return type(config).clipped is not Reference.clipped


def of_returned_sample(evidence: Evidence, bad: Sequence[Finding]) -> Iterator[str]:
    """What is done to the finished sample where the reference has no clamp: no law tells of it, so that no edit does.

    Args:
        evidence: as the checks left it.
        bad: findings that failed.
    """
    if not any(finding.id == "clip/replay" for finding in bad):
        return
    for case in evidence.cases:
        bundle = evidence.bundle(case)
        if _has_clamp(case.config) or bundle.problem is not None or not bundle.is_affine:
            continue
        found = clamp.clamp_of(bundle)
        if found is not None and (does := clamp.named(*found)).startswith(_NAMED):
            yield f"what the sampler does to the sample that it returns {does}; the reference returns it as it is"
            return
