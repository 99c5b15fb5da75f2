"""What every report says of a verdict in the same words: terminal, page, annotations, pytest's summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sampler_harness.catalogue import catalogue, info_of
from sampler_harness.verdict import Coverage, Diagnosis, Finding, Repair, Verdict, causes
from sampler_harness.wording import counted

__all__ = [
    "BEYOND_MEASURE",
    "claim",
    "conforming",
    "counts",
    "first_line",
    "headline",
    "margin_text",
    "noun",
    "remedy",
    "repair_rows",
    "repaired",
    "should_be",
    "state",
    "sureness",
    "tells_nothing",
    "tells_which",
    "varied",
]

#: Deviations above this many tolerances are all alike to a reader.
BEYOND_MEASURE = 1e6


def state(verdict: Verdict) -> Literal["good", "bad", "open"]:
    """How it ended: it conforms, it does not, or neither is decided."""
    if verdict.is_undecided:
        return "open"
    return "bad" if verdict.is_faulty else "good" if verdict.conforms else "open"


def headline(verdict: Verdict) -> str:
    """The verdict in one line."""
    name = _short_name(verdict.sampler)
    if verdict.not_run is not None:
        return f"device {verdict.device}: not run"
    failed, errors = verdict.count("failed"), verdict.count("error")
    if verdict.is_undecided:
        how_many = f"{errors} of {counted(verdict.num_ran, 'check')} could not judge"
        return f"{name} cannot be decided against {verdict.reference}: {_why(verdict)} ({how_many})"
    if failed or errors:
        what = [counted(failed, "check") + " failed"] if failed else []
        what += [counted(errors, "check") + " could not judge it"] if errors else []
        reasons = len(verdict.causes)
        if reasons < failed + errors:
            what.append(f"all from {counted(reasons, 'cause')}" if reasons > 1 else "all from one cause")
        if verdict.foreign is not None and verdict.foreign.nearer:
            return (
                f"{name} does not conform to {verdict.reference}, which does not seem to be the right reference for it"
            )
        meant = f" with {counted(len(verdict.deviations), 'declared deviation')}" if verdict.deviations else ""
        return f"{name} does not conform to {verdict.reference}{meant}: {', '.join(what)}"
    if not any(f.outcome in ("passed", "expected") for f in verdict.findings):
        return f"{name} was not judged against {verdict.reference}: no check applies to it"
    if verdict.missing:
        checks = counted(verdict.num_planned, "check")
        return f"{name} is not decided: {len(verdict.missing)} of {checks} did not run"
    known = len(causes(verdict.expected)) + len(verdict.deviations)
    but = f", but for {counted(known, 'declared deviation')}" if known else ""
    # A part of the checks is no verdict on the whole.
    selected, every = verdict.num_planned, _num_checks(verdict)
    if not tells_which(verdict):
        passed = counted(selected, "check")
        return f"{name} passes {passed} of {every}, none of which tells whether it is {verdict.reference}"
    part = f", as far as {selected} of {every} checks can tell" if selected < every else ""
    part += f" (checks as of {verdict.checks_as_of})" if verdict.checks_as_of else ""
    return f"{name} conforms to {verdict.reference}{but}{part}"


def _why(verdict: Verdict) -> str:
    """Why nothing is decided, in half a sentence."""
    told = first_line(verdict.causes[0].message if verdict.causes else verdict.bad[0].message)
    for lead in ("saw nothing: ", "could not be judged: "):
        told = told.removeprefix(lead)
    ends = [told.find(end) for end in (". ", ": ", "; ") if end in told]
    return told[: min(ends)] if ends else told.rstrip(".")


#: Checks that hold a sampler's weights against its reference's: without one of them nothing says which sampler it is.
_COMPARING = ("law/outputs", "clip/replay")


def _num_checks(verdict: Verdict) -> int:
    """How many checks there are of its kind."""
    return len(catalogue(verdict.kind, verdict.checks_as_of))


def tells_which(verdict: Verdict) -> bool:
    """Whether the checks that were planned can tell which sampler it is: one alone may ask where its noise comes from.

    Args:
        verdict: of anything; of what is no sampler each check tells.
    """
    is_part = verdict.kind == "sampler" and verdict.num_planned < _num_checks(verdict)
    return not is_part or any(compares(finding) for finding in verdict.findings)


def conforming(verdicts: Sequence[Verdict]) -> str:
    """How many of several conform, or pass as much as was asked of them.

    Args:
        verdicts: of a run.
    """
    passing = [verdict for verdict in verdicts if verdict.conforms]
    word = "conform" if all(map(tells_which, passing)) else "pass what was asked"
    return f"{len(passing)} of {len(verdicts)} {word}"


def compares(finding: Finding) -> bool:
    """Whether a finding tells that a sampler is its reference, as far as it goes."""
    return finding.id in _COMPARING and finding.outcome in ("passed", "expected")


def is_universal(finding: Finding) -> bool:
    """Whether a check means the same whatever the reference is.

    Args:
        finding: of the check.
    """
    return finding.outcome == "error" or bool(finding.problem) or finding.id in _UNIVERSAL


#: Checks of which no reference is asked: where noise comes from, that items are apart, that nothing is left behind.
_UNIVERSAL = ("noise/shape", "noise/generator", "shape/batch", "state/rerun", "state/side-effects")


def _short_name(sampler: str) -> str:
    """The function's name; a target that belongs to an adapter is kept whole."""
    place, _, name = sampler.rpartition(":")
    return name if place.endswith(".py") else sampler


def noun(kind: str) -> str:
    """What a subject that is diagnosed is called.

    Args:
        kind: ``"sampler"``, ``"training"`` or ``"grid"``.
    """
    return {"training": "training step", "grid": "grid"}.get(kind, "sampler")


def sureness(diagnosis: Diagnosis, kind: str = "sampler") -> str:
    """How sure a diagnosis is, and how far the search went.

    Args:
        diagnosis: of what does not conform.
        kind: of that; ``"sampler"``, ``"training"`` or ``"grid"``.
    """
    law = "levels" if kind == "grid" else "law"
    if not diagnosis.answers:
        how_far = diagnosis.searched or (diagnosis.unsearched if diagnosis.observed else "")
        return f"({how_far})" if how_far else ""
    if diagnosis.exact:
        how = f"Sure: same {law} in every configuration, and nothing else that was tried has it"
    elif len(diagnosis.answers) > 1:
        how = (
            f"Not sure: it has the {noun(kind)}'s {law} in every configuration that was run, but so does something else"
        )
        if diagnosis.settled_by:
            how += f"; a range instead of the one value of {' or '.join(diagnosis.settled_by)} would settle it"
    else:
        how = f"Not sure: it has the {noun(kind)}'s {law} to a wider tolerance only"
    return f"{how} ({diagnosis.searched})."


def repaired(diagnosis: Diagnosis) -> str:
    """What changes of a person's own lines come to, as the sentence above them.

    Args:
        diagnosis: with one repair at least.
    """
    first = diagnosis.repairs[0]
    which = "one change" if len(diagnosis.repairs) == 1 else "any one of these changes"
    count = "one configuration" if first.mended == 1 else f"{first.mended} configurations"
    wrong = f"{count} in which some are wrong"
    kept = f", and stays so in {counted(first.kept, 'other')}" if first.kept else ""
    return f"With {which} of your own code every coefficient is right in the {wrong}{kept}"


def repair_rows(repair: Repair) -> list[str]:
    """What to write instead, as the rows of a diff."""
    return [*(f"- {row}" for row in repair.sampler.splitlines()), *(f"+ {row}" for row in repair.instead.splitlines())]


def tells_nothing(verdict: Verdict) -> bool:
    """Whether a diagnosis only says again why nothing is decided.

    Args:
        verdict: that may have one.
    """
    told = verdict.diagnosis
    return verdict.is_undecided and told is not None and not (told.answers or told.near or told.repairs)


def remedy(finding: Finding) -> str:
    """What to try, as ``try: …``; empty where the check saw nothing, the sampler stopped, or the list is out of date.

    Args:
        finding: of a check that failed.
    """
    # A call that is made for nothing is told with what to do about it.
    stopped = finding.problem or not finding.evidence or "idle" in finding.evidence
    info = info_of(finding.id)
    if finding.outcome != "failed" or stopped or info is None:
        return ""
    return f"try: {info.remedy}"


def claim(id: str) -> str:
    """What a check claims; its id where it is none of the catalogue's."""
    info = info_of(id)
    return id if info is None else info.claim


#: What a run should be where none could be measured: whichever check tells of it, its own claim is not what failed.
_OF_A_RUN = {
    "not-finite": "every value of a run is a number, neither NaN nor infinity",
    "raised": "a run ends without an error",
    "exit": "a run ends without leaving the program",
    "endless": "a run ends",
    "returned": "a run asks its model and returns one sample, as declared",
}


def should_be(finding: Finding) -> str:
    """What should be where a check failed.

    Args:
        finding: of it.
    """
    # What a function of levels should do is its check's claim, whatever it does instead.
    is_run = not finding.id.startswith("grid/")
    return (_OF_A_RUN.get(finding.problem) if is_run else None) or claim(finding.id)


def first_line(message: str) -> str:
    """The finding in one sentence."""
    return message.splitlines()[0] if message else ""


def counts(verdict: Verdict) -> str:
    """``planned 18, ran 14, not applicable 4, expected 0``, and what did not run."""
    text = (
        f"planned {verdict.num_planned}, ran {verdict.num_ran}, not applicable {verdict.count('skipped')}, "
        f"expected {verdict.count('expected')}"
    )
    return f"{text}, not run {len(verdict.missing)}" if verdict.missing else text


def margin_text(verdict: Verdict) -> str:
    """How near the worst figure came to its tolerance; empty where no check compared numbers."""
    margin = verdict.margin
    if margin is None:
        return ""
    if margin > BEYOND_MEASURE:
        return "margin: the worst deviation is beyond any tolerance (above 1 fails)"
    return f"margin {margin:.3g}: the worst deviation is {margin:.3g} times its tolerance (above 1 fails)"


def varied(coverage: Coverage) -> str:
    """For each varied field how many of its values were seen, and how many pairs of values."""
    fields = ", ".join(f"{name} {seen}" for name, seen in coverage.fields.items()) or "nothing"
    # A pair needs two varied fields.
    return fields if coverage.pairs.endswith("/0") else f"{fields}; pairs of values {coverage.pairs}"
