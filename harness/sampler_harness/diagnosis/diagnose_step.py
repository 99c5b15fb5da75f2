"""From a training step that does not conform to what it does instead: the same search, over the training references."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from sampler_harness import judging
from sampler_harness.training.checks import FREE_FACTOR
from sampler_harness.training.evidence import TrainingEvidence
from sampler_harness.verdict import Diagnosis, Finding

from .answers import rank
from .explanation import Explanation
from .found import Found, Near
from .guarded import further, guarded
from .known_faults import KNOWN_FAULTS, TRAINING_FAULTS
from .search import BUDGET, Search
from .step_cases import hypothetical_step, measured_step, steps_of, unread_of, why_lawless
from .step_target import PARTS, StepTarget
from .summed_up import summed_up

__all__ = ["diagnose_step", "search_for_step"]

#: Digits of a value that a person may have meant.
SHORT = 3
#: Things that were not read are told up to so many.
MOST_TOLD = 3
#: Findings that no law of an item tells of.
_NOT_OF_THE_LAW = ("training/gradient", "training/shape")


def diagnose_step(
    evidence: TrainingEvidence, findings: Sequence[Finding], *, budget: str = "quick"
) -> Diagnosis | None:
    """Find what a training step does in place of its reference.

    Args:
        evidence: as the checks left it.
        findings: of the checks.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None where nothing failed.
    """
    bad = [f for f in findings if f.outcome in ("failed", "error")]
    if not bad:
        return None
    started = time.perf_counter()
    causes = [f for f in bad if f.consequence_of is None]
    found, targets, why = _found(evidence, budget)
    if found is None:
        seen = tuple(f.message.splitlines()[0] for f in causes)
        return Diagnosis(False, observed=seen, unsearched=why, seconds=time.perf_counter() - started)
    seen = tuple(f.message.splitlines()[0] for f in causes if f.id in _NOT_OF_THE_LAW)
    configs = [target.config for target in targets]
    summed = summed_up(found, configs, _as_far, time.perf_counter() - started)
    return dataclasses.replace(summed, observed=() if found.exact else seen)


def _found(evidence: TrainingEvidence, budget: str) -> tuple[Found | None, list[StepTarget], str]:
    """What the search found, the cases that it looked at, and why there was none."""

    def why_none(targets: list[StepTarget]) -> str:
        if targets:
            unread = unread_of(evidence)
            but = f", but for what was not read: {'; '.join(unread[:MOST_TOLD])}" if unread else ""
            return f"at every time that was read its input, target and weight are the reference's{but}"
        why = next((why for law in evidence.laws if (why := why_lawless(law))), "its law could not be read")
        return f"no change of a line is held against it, since {why}"

    return guarded(evidence.subject.reference, lambda: search_for_step(evidence, budget), why_none)


def search_for_step(evidence: TrainingEvidence, budget: str = "quick") -> tuple[Found | None, list[StepTarget]]:
    """What explains a training step's laws, and the cases that it was held against, the first explained at the head.

    Args:
        evidence: as the checks left it.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None for the first where every law is the reference's, or none could be read.
    """
    targets = steps_of(evidence)
    failing = [target for target in targets if target.reference_ratio > 1]
    if not failing:
        return None, targets
    anchor = targets[0].anchor
    ordered = [failing[0], *(target for target in targets if target is not failing[0])]
    known = {target.config for target in targets}
    search = Search(
        type(anchor.config),
        ordered,
        further=[config for config in further(evidence.subject) if config not in known],
        measure=lambda config: measured_step(evidence, config, anchor),
        hypothetical=lambda config: hypothetical_step(evidence, config, anchor),
        budget=BUDGET[budget],
        faults=(*TRAINING_FAULTS, *KNOWN_FAULTS),
        forms=False,
    )
    found = search.run()
    for answer in found.answers:
        answer.variants.sort(key=lambda one: (_is_fitted(one), *rank(one), not _is_mean(one, ordered[0])))
    return found, ordered


def _is_fitted(one: Explanation) -> bool:
    """Whether a number of many digits makes it fit: a mistake that people make is likelier than such a value.

    Context: where a field is declared with one value, a turned shift is the shift 0.33333 and a lost root is the spread
    1.26491. Choice: a known fault comes first. Reversed by: cases of the declaration that tell the two apart.
    """
    return one.kind == "configuration" and one.digits > SHORT


def _is_mean(one: Explanation, target: StepTarget) -> bool:
    """Whether the loss is the mean of what this weighs: a factor is free, and says least where it is 1."""
    response = one.response(target, stop=False)
    return response is not None and abs(target.factor(response) - 1) < FREE_FACTOR


def _as_far(near: Near) -> str:
    return f"agrees with it in {near.rows} of {len(PARTS)} parts in {judging.told(near.config)}"
