"""A reference with declared deviations in it: what a sampler is held against that differs on purpose.

Context: a check that is declared to fail excuses all that it could tell. DIAMOND deviates in two lines; with its checks
declared, its corrector could be taken out unseen.
Choice: a deviation that has a name among the known faults is put into the reference's source, and the sampler must be
*that*, to every digit.
Reversed by: deviations that no edit of a reference expresses; these stay with ``expected_failures``.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.checks.evidence import Evidence
from sampler_harness.checks.standard import Standard
from sampler_harness.law.law import Law
from sampler_harness.law.program import source_text
from sampler_harness.law.response import Response, respond_reference
from sampler_harness.law.same import is_same, is_same_program
from sampler_harness.law.tolerance import Tolerance, reference_law, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case
from sampler_harness.subject import DeclarationError, Subject

from .edits import with_fault
from .explanation import Explanation, searched_as
from .known_faults import KNOWN_FAULTS, KnownFault

__all__ = ["deviating_standard", "no_longer_there"]


def deviating_standard(subject: Subject) -> Standard:
    """What a sampler with declared deviations is held against.

    Args:
        subject: whose ``deviations`` name known faults.

    Raises:
        DeclarationError: for an unknown name, for a fault of another reference, and for one that changes nothing in any
            configuration that is run: it would excuse nothing and never be found gone.
    """
    reference: type = searched_as(subject.reference)
    changed = _with(reference, tuple(subject.deviations))
    for name in subject.deviations:
        rest = _with(reference, tuple(other for other in subject.deviations if other != name))
        if not _differ_somewhere(subject, changed, rest):
            raise DeclarationError(
                f"deviations names {name!r}, which changes nothing in the configurations that are declared: remove it"
            )

    def law(case: Case) -> Law | None:
        return _law(changed, case.config)[0]

    def tolerance(case: Case) -> Tolerance:
        return _tolerance(changed, case.config, case.dtype)

    return Standard(law, tolerance, f"{subject.reference_name} as declared", reference=False)


def no_longer_there(evidence: Evidence) -> tuple[str, ...]:
    """Declared deviations without which the sampler's laws are right in all cases.

    Args:
        evidence: as measured; its subject has deviations.
    """
    names = tuple(evidence.subject.deviations)
    if evidence.subject.paper is not None:
        return names if _is_paper(evidence, evidence.subject.paper) else ()
    reference: type = searched_as(evidence.subject.reference)
    return tuple(
        name for name in names if _fits(evidence, _with(reference, tuple(other for other in names if other != name)))
    )


@functools.lru_cache(maxsize=4096)
def _law(changed: Explanation, config: Any) -> tuple[Law, Response]:
    """The law of a reference with known faults in it, in float64, and the response that it is of."""
    with np.errstate(all="ignore"):
        response = respond_reference(changed.program.configured(config), learned_variance=learned_variance(config))
    return Law.of(response), response


@functools.lru_cache(maxsize=4096)
def _tolerance(changed: Explanation, config: Any, dtype: str) -> Tolerance:
    """Derived from its own source in arithmetic that rounds: what is not float64 is held to float32."""
    return changed.tolerance(*_law(changed, config), config, dtype if dtype == "float64" else "float32")


@functools.lru_cache(maxsize=64)
def _with(reference: type, names: tuple[str, ...]) -> Explanation:
    texts: Mapping[str, str] = {}
    for name in names:
        fault = _fault(reference, name)
        found = with_fault(texts, fault)
        if found is None:
            raise DeclarationError(f"deviations names {name!r}, which changes a line that another of them changes")
        texts = found
    return Explanation("known", reference, texts=texts, faults=names)


def _fault(reference: type, name: str) -> KnownFault:
    fitting = {fault.name: fault for fault in KNOWN_FAULTS if _is_of(reference, fault)}
    if name in fitting:
        return fitting[name]
    close = difflib.get_close_matches(name, fitting, n=1)
    hint = f": did you mean {close[0]!r}?" if close else ""
    raise DeclarationError(
        f"deviations names {name!r}, which is no known fault of {reference.__name__}{hint} (a diagnosis tells the "
        "names, check-sampler --explain NAME what they are; what has none is declared in expected_failures)"
    )


def _is_of(reference: type, fault: KnownFault) -> bool:
    """Whether a fault's lines are ones that the reference runs."""
    program = Explanation("known", reference).program
    files = {place.file for place in program.functions}
    return all(one.file in files and source_text(one.file).count(one.before) == 1 for one in fault.replacements)


def _differ_somewhere(subject: Subject, one: Explanation, other: Explanation) -> bool:
    return any(
        not is_same_program(_law(one, config)[0], _law(other, config)[0])
        for config in covering_set(subject, BUDGETS["quick"]).configurations
    )


def _is_paper(evidence: Evidence, paper: type) -> bool:
    """Whether the sampler's laws are those of the paper, in all cases."""
    for case in evidence.cases:
        config = paper(**case.config.values())
        bundle = evidence.bundle(case)
        if bundle.problem is not None or not bundle.is_affine or not config.is_affine:
            return False
        dtype = case.dtype if case.dtype == "float64" else "float32"
        law = reference_law(config, learned_variance(config))
        tolerance = tolerance_of(config, dtype, learned_variance(config))
        if not is_same(bundle.law, law, tolerance, last_row=bundle.last_row):
            return False
    return True


def _fits(evidence: Evidence, changed: Explanation) -> bool:
    for case in evidence.cases:
        bundle = evidence.bundle(case)
        if bundle.problem is not None or not bundle.is_affine:
            return False
        tolerance = _tolerance(changed, case.config, case.dtype)
        if not is_same(bundle.law, _law(changed, case.config)[0], tolerance, last_row=bundle.last_row):
            return False
    return True
