"""From a sampler that does not conform to what it does instead."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.law.bundle import DenseRun
from sampler_harness.law.comparison import compare
from sampler_harness.law.replay import innovations
from sampler_harness.law.same import is_same
from sampler_harness.law.tolerance import PRECISIONS, reference_law, tolerance_between, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case
from sampler_harness.strategies import drawn_configurations
from sampler_harness.verdict import Diagnosis, Finding
from sampler_harness.verdict import Explanation as Told

from . import clamp
from .consequences import consequences
from .explanation import Explanation
from .search import BUDGET, Found, Search
from .target import Target
from .words import told

__all__ = ["diagnose", "search_for", "targets_of"]

#: Runs of more calls are searched on only where a declaration allows no others.
LONGEST = 130
#: Cases at most.
CASES = 24
#: Cases where there are long ones only.
FEW = 2
#: Model calls of the case that is explained first: enough to see a pattern, and quick.
USUAL_CALLS = 7
#: Checks that compare the law, which the search explains.
_OF_ITS_LAW = ("law/times", "law/initial-noise", "law/outputs", "law/noise", "law/offset")
#: Further configurations that are considered for telling answers apart.
FURTHER = 60


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
    observed = tuple(_observed(evidence, bad))
    with np.errstate(all="ignore"):
        found, ordered = search_for(evidence, budget)
    if found is None or not (found.answers or found.near):
        return Diagnosis(
            exact=False,
            observed=observed,
            consequences=consequences(ordered),
            searched="" if found is None else _searched(found),
            seconds=time.perf_counter() - started,
        )
    configs = [t.config for t in ordered]
    known, found = _without_declared(found, ordered, set(declared))
    return Diagnosis(
        exact=found.exact,
        answers=tuple(told(answer.first, configs, answer.variants) for answer in found.answers[:3]),
        near=tuple(_near(one, share, configs) for one, share in found.near),
        declared=tuple(told(one, configs) for one in known),
        observed=() if found.exact else observed,
        consequences=consequences(ordered),
        searched=_searched(found),
        seconds=time.perf_counter() - started,
    )


def search_for(evidence: Evidence, budget: str = "quick") -> tuple[Found | None, list[Target]]:
    """What explains a sampler's laws, and the cases that it was held against, the one explained first at the head.

    Args:
        evidence: as the checks left it.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None for the first where every law is the reference's, or where there is no source to search.
    """
    targets = targets_of(evidence)
    failing = [t for t in targets if t.reference_ratio > 1]
    if not failing:
        return None, targets
    first = min(failing, key=lambda t: (abs(t.law.num_calls - USUAL_CALLS), t.dense is not None))
    rest = [t for t in targets if t is not first]
    rest.sort(key=lambda t: (t.reference_ratio <= 1, t.law.num_calls))
    ordered = [first, *rest]
    return _search(evidence, ordered, budget), ordered


def _near(one: Explanation, share: float, declared: Sequence[Any]) -> Told:
    found = told(one, declared)
    return dataclasses.replace(found, summary=f"{found.summary}; explains {share:.0%} of the smallest case, not all")


def _searched(found: Found) -> str:
    end = "" if found.ended else ", until the budget was spent"
    return f"{found.programs} programs measured{end}; answers held against {found.cases} configurations"


# Cases


def targets_of(evidence: Evidence) -> list[Target]:
    """The sampler's cases that have a law, the short ones first."""
    found: list[Target] = []
    cases = sorted(evidence.cases, key=lambda case: expected_calls(case.config))
    short = [case for case in cases if expected_calls(case.config) <= LONGEST]
    for case in short or cases[:FEW]:
        if len(found) >= CASES:
            break
        target = _target(evidence, case)
        if target is not None:
            found.append(target)
    return found


def _target(evidence: Evidence, case: Case) -> Target | None:
    bundle = evidence.bundle(case)
    if not bundle.is_affine:
        return None  # no law to be explained
    config = evidence.side_of(case).config if bundle.problem is None else case.config
    if bundle.problem is not None or bundle.layout is None:
        return None
    if bundle.layout.shared or bundle.layout.missing:
        return None  # noise that elements share has no law of one element
    law = bundle.law
    if not is_same(bundle.second_law, law, tolerance_between(law, "float32")):
        return None  # another law at another place or sign: no reference has two
    if not (np.isfinite(law.outputs).all() and np.isfinite(law.factor).all() and np.isfinite(law.times).all()):
        return None
    if config is case.config and any(True for _ in config.either_side(law.times.tolist())):
        return None  # rounding may decide otherwise in the program that is looked for
    dtype = case.dtype if case.dtype == "float64" else "float32"
    dense, fresh = None, None
    if config.is_clipped and isinstance(bundle.dense, DenseRun):
        dense = bundle.dense
        fresh = innovations(bundle.first.response, dense.fields, PRECISIONS[case.dtype].unit)
    return Target(
        dataclasses.replace(case, config=config),
        law,
        reference_law(config, learned_variance(config)),
        tolerance_of(config, dtype, learned_variance(config)),
        last_row=bundle.last_row,
        learned_variance=learned_variance(config),
        end=evidence.subject.output_clip,
        dense=dense,
        fresh=fresh,
    )


def _search(evidence: Evidence, targets: list[Target], budget: str) -> Found | None:
    reference = type(targets[0].config)
    measured = {t.config for t in targets}

    def hypothetical(config: Any) -> Target | None:
        try:
            law = reference_law(config, learned_variance(config))
        except (ValueError, ArithmeticError):
            return None
        tolerance = tolerance_of(config, "float64", learned_variance(config))
        case = evidence.case(config)
        return Target(case, law, law, tolerance, learned_variance=learned_variance(config))

    def measure(config: Any) -> Target | None:
        return _target(evidence, evidence.case(config))

    try:
        search = Search(
            reference,
            targets,
            further=[c for c in _further(evidence) if c not in measured],
            measure=measure,
            hypothetical=hypothetical,
            budget=BUDGET[budget],
        )
        return search.run()
    except ValueError:
        return None  # a reference of the user's own: its source is not searched


def _further(evidence: Evidence) -> Iterator[Any]:
    """Configurations that the declaration allows and that were not run."""
    budget = BUDGETS["standard"]
    count = 0
    configurations = covering_set(evidence.subject, budget).configurations
    for config in [*configurations, *(config for config, _ in drawn_configurations(evidence.subject, budget))]:
        if expected_calls(config) <= LONGEST // 2 and count < FURTHER:
            count += 1
            yield config


# Declared deviations


def _without_declared(found: Found, targets: Sequence[Target], expected: set[str]) -> tuple[list[Explanation], Found]:
    """Take off what is known: a change that alone fails a check that is expected to fail."""
    if not expected or not found.answers:
        return [], found
    first = found.answers[0].first
    parts = _parts(first)
    known = [part for part in parts if _alone_fails(part, targets) & expected]
    rest = [part for part in parts if part not in known]
    if not known or not rest:
        return [], found
    combined = _combined(first, rest)
    answer = dataclasses.replace(found.answers[0], variants=[combined])
    return known, dataclasses.replace(found, answers=[answer, *found.answers[1:]])


def _parts(explanation: Explanation) -> list[Explanation]:
    """Its changes one by one: each field, each block of lines."""
    parts = [
        dataclasses.replace(explanation, fields={k: v}, texts={}, faults=()) for k, v in explanation.fields.items()
    ]
    for file, text in explanation.texts.items():
        for block in _blocks(file, text):
            part = dataclasses.replace(explanation, fields={}, texts={file: block}, faults=())
            parts.append(dataclasses.replace(part, faults=_faults_in(part, explanation.faults)))
    return parts


def _blocks(file: str, text: str) -> list[str]:
    """Texts with one block of changed lines each."""
    import difflib

    from sampler_harness.law.program import source_text

    before = source_text(file).splitlines(keepends=True)
    after = text.splitlines(keepends=True)
    changes = [
        code
        for code in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if code[0] != "equal"
    ]
    return ["".join([*before[:i1], *after[j1:j2], *before[i2:]]) for _, i1, i2, j1, j2 in changes]


def _faults_in(part: Explanation, names: Sequence[str]) -> tuple[str, ...]:
    edits = told(dataclasses.replace(part, faults=tuple(names)), []).edits
    return tuple(dict.fromkeys(edit.fault for edit in edits if edit.fault))


def _alone_fails(part: Explanation, targets: Sequence[Target]) -> set[str]:
    """The checks of the law that a change would fail first, were it the only one."""
    from sampler_harness.checks.law import CHECK_OF

    found = set()
    for target in targets:
        law = part.law(target)
        if law is None:
            continue
        tolerance = tolerance_of(target.config, target.dtype, target.learned_variance)
        real = [d for d in compare(law, target.reference_law, tolerance) if d.ratio > 1 and not d.consequence]
        if real:
            first = min(real, key=lambda d: (d.term != "count", d.row))
            found.add(CHECK_OF[first.term])
    return found


def _combined(whole: Explanation, parts: Sequence[Explanation]) -> Explanation:
    """What is left of an explanation, told by itself."""
    fields = {k: v for part in parts for k, v in part.fields.items()}
    texts: dict[str, str] = {}
    for part in parts:
        for file, text in part.texts.items():
            texts[file] = text if file not in texts else whole.texts[file]
    faults = tuple(name for part in parts for name in part.faults)
    return dataclasses.replace(whole, fields=fields, texts=texts, faults=faults)


# What the runs themselves show


def _observed(evidence: Evidence, bad: Sequence[Finding]) -> Iterator[str]:
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
        if found is None:
            continue
        does = clamp.named(*found)
        right = clamp.named(found[0], case.config.clipped(found[0].reshape(1, -1)).reshape(-1))
        if does == right:
            continue
        yield f"what the sampler does to the predicted data {does}; it should {case.config.clip_told}"
        return
