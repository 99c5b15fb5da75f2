"""From a sampler that does not conform to what it does instead."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Sequence
from typing import Any

from sampler_harness import judging
from sampler_harness.checks.evidence import Evidence
from sampler_harness.law.tolerance import reference_law, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.verdict import Diagnosis, Finding

from .compared import all_targets_of, chosen, is_short, lawless_of, target_of, targets_of
from .consequences import consequences
from .declared import without_declared
from .edits import with_deviations
from .explanation import Explanation, searched_as
from .guarded import further, guarded
from .known_faults import KNOWN_FAULTS
from .observed import observed, of_returned_sample
from .search import BUDGET, Found, Near, Search
from .summed_up import summed_up
from .target import Target
from .words import told

__all__ = ["diagnose", "search_for", "targets_of"]

#: Model calls of the case that is explained first: enough to see a pattern, and quick.
USUAL_CALLS = 7


def diagnose(
    evidence: Evidence, findings: Sequence[Finding], *, budget: str = "quick", declared: Collection[str] = ()
) -> Diagnosis | None:
    """Find what a sampler does in place of its reference.

    Args:
        evidence: as the checks left it.
        findings: of the checks.
        budget: ``quick`` (about 5 seconds), ``standard`` or ``thorough`` (about 30).
        declared: checks that are known to fail; what alone fails one of them is taken off.

    Returns:
        None where nothing failed, or where there is no reference with a source to compare with.
    """
    bad = [f for f in findings if f.outcome in ("failed", "error")]
    if not bad or not evidence.standard.reference:
        return None
    started = time.perf_counter()
    beside = tuple(of_returned_sample(evidence, bad))
    seen = (*beside, *observed(evidence, bad))
    found, ordered, why = _found(evidence, budget)
    lasting = consequences(ordered)
    if found is None:
        spent = time.perf_counter() - started
        return Diagnosis(exact=False, observed=seen, consequences=lasting, unsearched=why, seconds=spent)
    configs = [t.config for t in ordered]
    known, found = without_declared(found, ordered, set(declared))
    return dataclasses.replace(
        summed_up(found, configs, _as_far, time.perf_counter() - started),
        declared=tuple(told(one, configs) for one in known),
        observed=beside if found.exact else seen,
        consequences=lasting,
    )


def _found(evidence: Evidence, budget: str) -> tuple[Found | None, list[Target], str]:
    """What the search found, the cases that it looked at, and why there was none."""
    if drawn := next(filter(None, map(evidence.not_normal, evidence.affine_cases)), ""):
        # Any edit that has this law would leave out noise that the sampler does add.
        return None, [], f"what it draws with {drawn!r} is not normal noise, of which alone a law tells"
    return guarded(evidence.subject.reference, lambda: search_for(evidence, budget), _why_none)


def _why_none(targets: list[Target]) -> str:
    if any(t.reference_ratio > 1 and not t.has_digits for t in targets):
        return "where it is wrong its weights grow past all digits: declare runs of fewer steps, in which some are left"
    if targets:
        return "wherever its law could be measured, it is the reference's as declared"
    return "nothing was measured that the change of a line could be held against"


def search_for(evidence: Evidence, budget: str = "quick") -> tuple[Found | None, list[Target]]:
    """What explains a sampler's laws, and the cases that it was held against, the one explained first at the head.

    Args:
        evidence: as the checks left it.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None for the first where every law is the reference's, or where there is no source to search.
    """
    everything = all_targets_of(evidence)
    targets = chosen(everything)
    failing = [t for t in targets if t.reference_ratio > 1]
    if not any(t.has_digits for t in failing) or _is_as_declared(evidence, everything):
        return None, targets
    first = min(
        failing, key=lambda t: (not t.has_digits, t.is_beyond, abs(t.law.num_calls - USUAL_CALLS), t.dense is not None)
    )
    rest = [t for t in targets if t is not first]
    rest.sort(key=lambda t: (t.reference_ratio <= 1, t.law.num_calls))
    ordered = [first, *rest]
    others = [t for t in everything if not any(t is one for one in ordered)]
    return _search(evidence, ordered, others, budget), ordered


def _is_as_declared(evidence: Evidence, targets: Sequence[Target]) -> bool:
    """Whether each law is that of the reference with the deviations in it that are declared."""
    start = with_deviations(
        Explanation("edit", searched_as(evidence.subject.reference)), KNOWN_FAULTS, tuple(evidence.subject.deviations)
    )
    return bool(start.faults) and all(start.explains(target) for target in targets)


def _as_far(near: Near) -> str:
    """How many model inputs of a run are as they should be."""
    if near.rows == 0:
        until = "within the first model input alone"
    else:
        until = "up to the first model input" if near.rows == 1 else f"up to model input {near.rows} of {near.of_rows}"
    return f"goes along with it {until} in {judging.told(near.config)}"


def _search(evidence: Evidence, targets: list[Target], others: list[Target], budget: str) -> Found:
    reference = type(targets[0].config)
    measured = {t.config for t in (*targets, *others)}

    def hypothetical(config: Any) -> Target | None:
        try:
            law = reference_law(config, learned_variance(config))
        except (ValueError, ArithmeticError):
            return None
        tolerance = tolerance_of(config, "float64", learned_variance(config))
        case = evidence.case(config)
        return Target(case, law, law, tolerance, learned_variance=learned_variance(config))

    def measure(config: Any) -> Target | None:
        return target_of(evidence, evidence.case(config))

    return Search(
        reference,
        targets,
        others=others,
        lawless=lawless_of(evidence),
        further=[c for c in further(evidence.subject, is_short) if c not in measured],
        measure=measure,
        hypothetical=hypothetical,
        budget=BUDGET[budget],
        deviations=tuple(evidence.subject.deviations),
    ).run()
