"""The portrait of a sampler: which configuration is drawn, its laws, and one run beside the reference's.

Everything is measured in runs of its own, on evidence of its own, so that nothing that is drawn can reach a verdict.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.checks.law import first_difference, in_words, where
from sampler_harness.judging import told
from sampler_harness.law.comparison import Deviation, Entries, entries_of
from sampler_harness.law.law import Law
from sampler_harness.observe.trace import Case
from sampler_harness.portrait import Portrait
from sampler_harness.subject.allowed import bounds_of
from sampler_harness.verdict import Finding, causes

from .filmstrip import NotDrawnError, filmstrip_of
from .law_picture import MOST_ROWS, law_picture, ratio_rows, worst_entries

__all__ = ["portray"]

#: A picture of fewer calls shows little; a larger configuration is drawn where it fails in the same way.
FEWEST_CALLS = 6
#: Numbers of steps that are tried for it, the best to look at first.
STEPS = (10, 8, 12, 6, 7, 5, 16, 20, 4, 25, 3, 2)


def portray(evidence: Evidence, findings: Sequence[Finding], *, named_by: Evidence | None = None) -> Portrait:
    """Measure what a page draws.

    Args:
        evidence: of the sampler, of which runs are made; not the one that findings are made of.
        findings: of all checks that ran.
        named_by: the evidence that findings were made of, for the cases that they name.
    """
    bad = [finding for finding in findings if finding.outcome in ("failed", "error")]
    declared = [finding for finding in findings if finding.outcome == "expected"]
    case, why = _chosen(evidence, named_by or evidence, [*causes(bad), *declared])
    portrait = Portrait(
        configuration=told(case.config),
        shape=case.shape,
        dtype=case.dtype,
        reference=evidence.standard.name,
        why=why,
    )
    portrait = _with_laws(portrait, evidence, case)
    missing = list(portrait.missing)
    strip = None
    try:
        strip, troubles = filmstrip_of(evidence, case)
        problem = evidence.bundle(case).problem
        said = None if problem is None else problem.message
        missing += [f"{one.told[:1].upper()}{one.told[1:]}." for one in troubles if not one.cause or one.cause != said]
    except NotDrawnError as reason:
        missing.append(f"One run beside the reference's is not drawn: {reason}.")
    except Exception as error:  # a picture is a help; without it the page still says all else
        missing.append(f"One run beside the reference's is not drawn: {type(error).__name__}: {error}.")
    return dataclasses.replace(portrait, filmstrip=strip, missing=tuple(missing))


# Which configuration


def _chosen(evidence: Evidence, named_by: Evidence, reasons: Sequence[Finding]) -> tuple[Case, str]:
    """The case that is drawn, and why it is that one."""
    for finding in reasons:
        found = _case_of(named_by, finding)
        if found is None:
            continue
        larger = _larger(evidence, found)
        name = f"smallest one in which {finding.id} fails"
        if larger is None:
            return found, f"This is the {name}."
        return larger, f"The {name} is {told(found.config)}; this one fails in the same way and shows more."
    usual = _usual(evidence)
    moderate = next(_with_steps(evidence, usual), None)
    return moderate or usual, "" if not reasons else "What failed names no configuration."


def _usual(evidence: Evidence) -> Case:
    """The base, with the reference's own defaults where the declaration allows them: what most people run."""
    config = evidence.base.config
    for field in dataclasses.fields(config):
        allowed = evidence.covering.values.get(field.name, ())
        bounds = bounds_of(evidence.subject.fields.get(field.name))
        if field.name == "num_steps" or field.default is dataclasses.MISSING or len(allowed) < 2:
            continue
        if bounds is None or isinstance(field.default, bool) or not isinstance(field.default, (int, float)):
            continue  # of a list the base has the default already
        if bounds[0] <= field.default <= bounds[1]:
            with contextlib.suppress(ValueError, TypeError):
                config = dataclasses.replace(config, **{field.name: field.default})
    return dataclasses.replace(evidence.base, config=config)


def _case_of(evidence: Evidence, finding: Finding) -> Case | None:
    facts = finding.evidence
    if not all(name in facts for name in ("configuration", "shape", "dtype")):
        return None
    return evidence.named(facts["configuration"], tuple(facts["shape"]), facts["dtype"])


def _with_steps(evidence: Evidence, case: Case) -> Iterator[Case]:
    """The case with other numbers of steps that the declaration allows, the best to look at first."""
    allowed = [n for n in evidence.covering.values.get("num_steps", ()) if isinstance(n, int)]
    if len(allowed) < 2:
        return
    for steps in STEPS:
        if min(allowed) <= steps <= max(allowed) and (steps in allowed or _is_range(evidence)):
            with contextlib.suppress(ValueError, TypeError):
                config = dataclasses.replace(case.config, num_steps=steps)
                if expected_calls(config) < MOST_ROWS:
                    yield dataclasses.replace(case, config=config)


def _is_range(evidence: Evidence) -> bool:
    """Whether every number of steps between the lowest and the highest may be run."""
    return bounds_of(evidence.subject.fields.get("num_steps")) is not None


def _larger(evidence: Evidence, case: Case) -> Case | None:
    """A case with more steps that differs in the same part of the law; None where none does or none is wanted."""
    if expected_calls(case.config) >= FEWEST_CALLS:
        return None
    problem = evidence.bundle(case).problem
    first = first_difference(evidence.compared(case))
    for other in _with_steps(evidence, case):
        if expected_calls(other.config) <= expected_calls(case.config):
            continue
        if problem is not None:
            again = evidence.bundle(other).problem
            if again is not None and again.kind == problem.kind:
                return other
            continue
        if evidence.bundle(other).problem is not None:
            continue
        same = first_difference(evidence.compared(other))
        if (first is None) == (same is None) and (first is None or same is None or first.term == same.term):
            return other
    return None


# Its laws


def _with_laws(portrait: Portrait, evidence: Evidence, case: Case) -> Portrait:
    bundle = evidence.bundle(case)
    side = evidence.side_of(case)
    should_be = evidence.standard.law(side)
    if should_be is None:
        told = f"{evidence.standard.name} has no law for this configuration, so that there is nothing to compare with."
        portrait = dataclasses.replace(portrait, missing=(told,))
    if bundle.problem is not None:
        told = f"Your sampler has no law that could be measured: {bundle.problem.message}."
        drawn = (
            None if should_be is None else law_picture(should_be, should_be.opened, has_constant=_constant(should_be))
        )
        return dataclasses.replace(portrait, should_be=drawn, missing=(*portrait.missing, told))
    law = bundle.law
    last_row = bundle.last_row
    if should_be is None:
        drawn = law_picture(law, law.opened, has_constant=_constant(law), last_row=last_row)
        return dataclasses.replace(portrait, own=drawn)
    tolerance = evidence.standard.tolerance(side)
    first = first_difference(evidence.compared(case))
    entries = entries_of(law, should_be, tolerance, last_row=last_row)
    missing = list(portrait.missing)
    if first is not None and not _is_off(entries):
        again = entries_of(bundle.second_law, should_be, tolerance, last_row=last_row)
        if _is_off(again):
            law, entries = bundle.second_law, again
            missing.append(
                "Drawn from impulses of the other sign at other elements: from the first ones nothing shows."
            )
    if not last_row:
        missing.append("The returned sample is rounded, so that its row cannot be read and is left out.")
    same_calls = law.num_calls == should_be.num_calls
    opened = entries.opened if same_calls else None
    constant = _constant(law) or _constant(should_be)
    ratio = ratio_rows(entries, has_constant=constant)
    if not same_calls and max(law.num_calls, should_be.num_calls) >= MOST_ROWS:
        ratio = ()
        missing.append("The difference is not drawn: with other numbers of calls the blocks do not fit.")
    first_row, told = _first_row(entries, first, law, should_be)
    return dataclasses.replace(
        portrait,
        own=law_picture(law, opened or law.opened, has_constant=constant, last_row=last_row),
        should_be=law_picture(should_be, opened or should_be.opened, has_constant=constant, last_row=last_row),
        ratio=ratio,
        late=tuple(int(k) for k in np.flatnonzero(np.abs(entries.times) > 1.0)),
        first_row=first_row,
        first_told=told,
        worst=worst_entries(entries, first if first is None or first.term != "count" else None),
        missing=tuple(missing),
    )


def _constant(law: Law) -> bool:
    return bool(np.abs(law.offset).max(initial=0.0) > 0)


def _is_off(entries: Entries) -> bool:
    sizes = [np.abs(part).max(initial=0.0) for part in (entries.ratio, entries.times)]
    return bool(max(sizes) > 1.0)


def _first_row(entries: Entries, first: Deviation | None, law: Law, should_be: Law) -> tuple[int | None, str]:
    """The first differing row and what differs in it. With other numbers of calls, among the rows that both have."""
    if first is None:
        return None, ""
    told = in_words(first, law.num_calls)
    if first.term != "count":
        return first.row, told
    off = [float(np.abs(row).max(initial=0.0)) > 1.0 for row in entries.ratio]
    late = [k < entries.calls and abs(float(entries.times[k])) > 1.0 for k in range(entries.ratio.shape[0])]
    rows = [k for k in range(entries.ratio.shape[0]) if off[k] or late[k]]
    if not rows:
        last = min(law.num_calls, should_be.num_calls)
        return last, f"{told}; up to {where(last - 1, -1)} they are the same"
    return rows[0], told
