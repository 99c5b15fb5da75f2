"""A verdict as JSON: keys are stable, and ``schema_version`` grows when one changes its meaning."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from sampler_harness.plain import plain
from sampler_harness.verdict import SCHEMA_VERSION, Diagnosis, Explanation, Finding, Verdict

__all__ = ["dumps", "plain", "to_json"]


def to_json(verdict: Verdict) -> dict[str, Any]:
    """One verdict as an object.

    Args:
        verdict: of one sampler.

    Returns:
        Only values that JSON has. ``conforms`` is null where nothing could be run; ``not_run`` says why.
    """
    coverage: dict[str, Any] = {
        **verdict.coverage.fields,
        "pairs": verdict.coverage.pairs,
        "not_varied": verdict.coverage.not_varied,
        "cases": verdict.coverage.cases,
        "model_calls": verdict.coverage.model_calls,
        "wide_tolerances": verdict.coverage.wide_tolerances,
        "not_compared": verdict.coverage.not_compared,
    }
    data = {
        "schema_version": SCHEMA_VERSION,
        "kind": verdict.kind,
        "sampler": verdict.sampler,
        "reference": verdict.reference,
        "conforms": None if verdict.not_run is not None else verdict.conforms,
        "not_run": verdict.not_run,
        "device": verdict.device,
        "budget": verdict.budget,
        "checks_as_of": verdict.checks_as_of or None,
        "seconds": round(verdict.seconds, 3),
        "margin": verdict.margin,
        "counts": {
            "planned": verdict.num_planned,
            "ran": verdict.num_ran,
            "passed": verdict.count("passed"),
            "failed": verdict.count("failed"),
            "error": verdict.count("error"),
            "expected": verdict.count("expected"),
            "skipped": verdict.count("skipped"),
            "not_run": len(verdict.missing),
        },
        "checks": [_finding(finding) for finding in verdict.findings],
        "coverage": coverage,
        "diagnosis": None if verdict.diagnosis is None else _diagnosis(verdict.diagnosis),
        "deviations": verdict.deviations,
        "notes": verdict.notes,
        "moved": None if verdict.moved is None else dataclasses.asdict(verdict.moved),
        "versions": verdict.versions,
    }
    answer: dict[str, Any] = plain(data)
    return answer


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    """The first answer's edits and fields at the top, since they are what most readers want."""
    first = diagnosis.answers[0] if diagnosis.answers else None
    return {
        "exact": diagnosis.exact,
        "summary": diagnosis.summary,
        "edits": [] if first is None else [dataclasses.asdict(edit) for edit in first.edits],
        "config": {} if first is None else first.config,
        "reference": "" if first is None else first.reference,
        "diff": "" if first is None else first.diff,
        "effects": () if first is None else first.effects,
        "happened": () if first is None else [str(one) for one in first.happened],
        "consequences": diagnosis.consequences,
        "observed": diagnosis.observed,
        "alternatives": [_explanation(one) for one in diagnosis.answers[1:]],
        "near": [_explanation(one) for one in diagnosis.near],
        "declared": [_explanation(one) for one in diagnosis.declared],
        "foreign": None if diagnosis.foreign is None else dataclasses.asdict(diagnosis.foreign),
        "repairs": [dataclasses.asdict(one) for one in diagnosis.repairs],
        "searched": diagnosis.searched,
        "unsearched": diagnosis.unsearched,
        "seconds": round(diagnosis.seconds, 3),
    }


def _explanation(one: Explanation) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"happened": [str(place) for place in one.happened]}


def _finding(finding: Finding) -> dict[str, Any]:
    sent = dataclasses.replace(finding, evidence=plain(finding.evidence), seconds=round(finding.seconds, 3))
    inner = ("problem", "place", "shown")
    return {name: value for name, value in dataclasses.asdict(sent).items() if name not in inner}


def dumps(verdicts: Sequence[Verdict]) -> str:
    """One array, also for one verdict, ending in a newline.

    Args:
        verdicts: in the order in which their targets were named.
    """
    return json.dumps([to_json(verdict) for verdict in verdicts], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
