"""A verdict as text, for a person who has a broken sampler and has never heard of laws or responses.

First what is wrong, the cause before what follows from it; then what was looked at and what was not; then a script
that shows it. Plain text is complete; rich only adds color, and only on a terminal.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from sampler_harness.catalogue import catalogue
from sampler_harness.verdict import Diagnosis, Explanation, Finding, Moved, Verdict, causes
from sampler_harness.wording import counted

from .words import (
    counts,
    first_line,
    headline,
    is_universal,
    margin_text,
    noun,
    remedy,
    repair_rows,
    repaired,
    should_be,
    state,
    sureness,
    tells_nothing,
    tells_which,
    varied,
)

__all__ = [
    "WIDTH",
    "Line",
    "Style",
    "closing_line",
    "diagnosis_lines",
    "failure_text",
    "render",
    "summary_lines",
    "write",
]

Style = Literal["", "good", "bad", "warn", "dim", "bold"]

WIDTH = 110
#: Coefficients that moved, one line each; the JSON has more.
SHOWN_ENTRIES = 12

_RICH_STYLES = {"good": "bold green", "bad": "bold red", "warn": "yellow", "dim": "dim", "bold": "bold"}


@dataclass(frozen=True)
class Line:
    """One line of text and how it is colored where color is to be had."""

    text: str
    style: Style = ""


def _head(verdict: Verdict) -> list[Line]:
    """What is known in one line; in two where nothing could be run, and that is all."""
    styles: dict[str, Style] = {"good": "good", "bad": "bad", "open": "warn"}
    lines = [Line(headline(verdict), styles[state(verdict)])]
    if verdict.not_run is not None:
        lines.append(Line(f"  {verdict.sampler} against {verdict.reference}: {verdict.not_run}"))
    return lines


def render(verdict: Verdict) -> list[Line]:
    """The whole verdict.

    Args:
        verdict: of one sampler.
    """
    lines = _head(verdict)
    if verdict.not_run is not None:
        return lines
    lines += _faults(verdict)
    if verdict.diagnosis is not None and not tells_nothing(verdict):
        lines += diagnosis_lines(verdict.diagnosis, verdict.kind)
    if verdict.moved is not None:
        lines += moved_lines(verdict.moved)
    if verdict.expected or verdict.deviations:
        lines += [Line(""), Line("Declared deviations, with their reasons:", "bold")]
        for known, reason in verdict.deviations.items():
            lines.append(Line(f"  {known}", "warn"))
            lines += _indented(f"{reason}\nheld against the reference with this in it: nothing else may differ", 6)
        for finding in verdict.expected:
            lines.append(Line(f"  {finding.id}", "warn"))
            lines += _indented(finding.message, 6)
    if verdict.notes:
        lines += [Line(""), Line("Worth knowing, although no check fails for it:", "bold")]
        lines += [Line(line.text, "warn") for note in verdict.notes for line in _wrapped(f"- {note}", 2)]
    lines += [Line(""), Line("What was checked", "bold"), *_scope(verdict)]
    script = next((f.reproduction for f in [*verdict.causes, *verdict.bad] if f.reproduction), "")
    if script:
        lines += [Line(""), Line("To see it yourself, save this as a file and run it:", "bold"), Line("")]
        lines += [Line(f"    {line}".rstrip()) for line in script.splitlines()]
    return lines


def _root(finding: Finding, by_id: dict[str, Finding]) -> str:
    """Id of the cause at the end of a chain of consequences."""
    seen = set()
    while finding.consequence_of in by_id and finding.id not in seen:
        seen.add(finding.id)
        finding = by_id[str(finding.consequence_of)]
    return finding.id


def _faults(verdict: Verdict) -> list[Line]:
    lines: list[Line] = []
    by_id = {finding.id: finding for finding in verdict.bad}
    reasons = verdict.causes
    foreign = verdict.foreign
    if foreign is not None:
        lines += [Line(""), *(Line(line.text, "warn") for line in _wrapped(_sentence(foreign.told), 0))]
        if foreign.nearer:
            reasons = [cause for cause in reasons if is_universal(cause)]
    if len(reasons) > 1:
        lines += [Line(""), Line(f"{len(reasons)} separate causes; begin with the first.", "bold")]
    for cause in reasons:
        failed = cause.outcome == "failed"
        lines += [Line(""), Line(f"{_word(cause)}  {cause.id}", "bad" if failed else "warn")]
        asked, answered = ("Should be: ", "It is:     ") if failed else ("Asks if:     ", "Cannot tell: ")
        lines.append(Line(f"  {asked}{should_be(cause)}."))
        told = _indented(cause.message, 2)
        lines += [Line(f"  {answered}{told[0].text.strip()}"), *told[1:]] if told else []
        lines += _wrapped(remedy(cause), 2) if remedy(cause) else []
        if cause.consequence_of is not None:
            lines.append(Line(f"  This follows from {cause.consequence_of}, which is declared or was not run.", "dim"))
        following = [f for f in verdict.bad if f is not cause and _root(f, by_id) == cause.id]
        if following:
            lead = _lead(cause, following)
            lines += [Line(""), Line(f"  {lead}", "dim")]
            same: dict[str, list[str]] = {}
            for finding in following:
                same.setdefault(first_line(finding.message), []).append(finding.id)
            for told_once, ids in same.items():
                lines += [Line(line.text, "dim") for line in _wrapped(f"{', '.join(ids)}: {told_once}", 4)]
    if foreign is not None and foreign.nearer:
        rest = [cause for cause in verdict.causes if cause not in reasons]
        lines += [Line(""), Line(f"Held against {verdict.reference} anyway, it fails:", "bold")]
        lines += [line for one in rest for line in _wrapped(f"{one.id}: {first_line(one.message)}", 2)]
    return lines


def _lead(cause: Finding, following: Sequence[Finding]) -> str:
    """What stands above the checks that a cause explains."""
    if cause.outcome != "failed":
        return "Not judged for the same reason:"
    if all(finding.outcome == "error" for finding in following):
        return "Not judged until it is fixed:"
    return "Follows from it, and may well pass once it is fixed:"


def diagnosis_lines(diagnosis: Diagnosis, kind: str = "sampler") -> list[Line]:
    """What is done instead of the reference's: a sentence, the lines as a diff, what it does to samples.

    Args:
        diagnosis: of what does not conform.
        kind: of that; ``"sampler"``, ``"training"`` or ``"grid"``.
    """
    lines = [Line(""), Line(f"What your {noun(kind)} does instead", "bold")]
    exact = diagnosis.exact and len(diagnosis.answers) == 1
    for number, answer in enumerate(diagnosis.answers):
        if number == 0:
            unsure = "" if exact else ("One of these; they cannot be told apart:" if len(diagnosis.answers) > 1 else "")
            lines += [Line(f"  {unsure}", "warn")] if unsure else []
        lines += _explained(answer, "bad" if exact else "warn")
    names = dict.fromkeys(edit.fault for edit in diagnosis.answers[0].edits) if exact else {}
    if names and all(names) and not diagnosis.answers[0].config and kind == "sampler":
        meant = ", ".join(f'"{name}": "why"' for name in names)
        lines += _wrapped(f"If this is intended, and nothing else may differ, declare it: deviations={{{meant}}}", 2)
    for part in diagnosis.declared:
        lines += _wrapped(f"Already declared, and left out here: {part.summary}.", 2)
    if not diagnosis.answers:
        lines += [line for told in diagnosis.observed for line in _wrapped(_sentence(told), 2)]
        if diagnosis.near:
            lines.append(
                Line("  Nothing that was tried explains all of it. The nearest, which explain a part:", "warn")
            )
            lines += [line for one in diagnosis.near for line in _wrapped(f"- {one.summary}", 4)]
        elif diagnosis.searched:
            lines.append(Line("  No change of the reference that was tried explains it."))
        elif diagnosis.unsearched and not diagnosis.observed:
            lines += _wrapped(f"Cannot tell: {diagnosis.unsearched}.", 2)
    if exact:
        lines += [line for told in diagnosis.observed for line in _wrapped(f"In addition, {told}.", 2)]
    for told in diagnosis.consequences:
        lines += _wrapped(f"What it does to samples: {told}.", 2)
    if sure := sureness(diagnosis, kind):
        lines += [Line(line.text, "dim") for line in _wrapped(sure, 2)]
    return [*lines, *_repairs(diagnosis)] if diagnosis.repairs else lines


def _repairs(diagnosis: Diagnosis) -> list[Line]:
    lines = [Line(""), Line("What would make it right", "bold"), *_wrapped(f"{repaired(diagnosis)}:", 2)]
    for repair in diagnosis.repairs:
        lines.append(Line(f"    {repair.place}"))
        lines += [Line(f"      {row}", "bad" if row.startswith("-") else "good") for row in repair_rows(repair)]
    return lines


def moved_lines(moved: Moved) -> list[Line]:
    """The coefficients that moved, one below the other.

    Args:
        moved: against another version.
    """
    lines = [Line(""), Line("What moved", "bold"), *_wrapped(f"in {moved.configuration}:", 2)]
    lines += [line for entry in moved.entries[:SHOWN_ENTRIES] for line in _wrapped(entry, 4)]
    rest = len(moved.entries) - SHOWN_ENTRIES + moved.more
    return [*lines, Line(f"    and {rest} more")] if rest > 0 else lines


def _explained(answer: Explanation, style: Style) -> list[Line]:
    lines = [Line(line.text, style) for line in _wrapped(_sentence(answer.summary), 2)]
    for row in answer.diff.splitlines():
        color: Style = "good" if row.startswith("+") else "bad" if row.startswith("-") else "dim"
        lines.append(Line(f"      {row}".rstrip(), color))
    for effect in answer.effects:
        lines += _wrapped(effect, 2)
    for place in answer.happened:
        lines += _wrapped(f"It happened before: {place}", 2)
    return lines


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def failure_text(finding: Finding) -> str:
    """One failing check as a pytest failure shows it: what should be, what is, and where to look first."""
    lines = [f"{finding.id}: {first_line(finding.message)}", "", f"should be: {should_be(finding)}"]
    lines += finding.message.splitlines()[1:]
    if finding.consequence_of is not None:
        lines.append(f"follows from {finding.consequence_of}: look there first")
    elif remedy(finding):
        lines += [line.text for line in _wrapped(remedy(finding), 0)]
    if finding.outcome == "error":
        lines.append("the check had nothing that it could judge, which is not a pass")
    return "\n".join(lines)


def _word(finding: Finding) -> str:
    return "FAILED" if finding.outcome == "failed" else "COULD NOT JUDGE"


def _indented(message: str, by: int) -> list[Line]:
    return [Line(" " * by + line) for line in message.splitlines()]


def _scope(verdict: Verdict) -> list[Line]:
    coverage = verdict.coverage
    lines = [Line(f"  checks: {counts(verdict)}")]
    for finding in verdict.findings:
        if finding.outcome == "skipped":
            lines += _wrapped(f"not applicable: {finding.id}: {first_line(finding.message)}", 4)
    if verdict.missing:
        lines += _wrapped(f"not run: {', '.join(verdict.missing)}", 4)
    later = len(catalogue(verdict.kind)) - len(catalogue(verdict.kind, verdict.checks_as_of))
    if later:
        lines.append(Line(f"    left out: {counted(later, 'check')} that came after {verdict.checks_as_of}"))
    if margin_text(verdict):
        lines.append(Line(f"  {margin_text(verdict)}"))
    lines += _wrapped(f"varied (values seen / to be seen): {varied(coverage)}", 2)
    if coverage.not_varied:
        lines += _wrapped(
            f"not varied, so not checked: {', '.join(coverage.not_varied)} "
            "(name a field in the declaration, with a value or a strategy, to have it checked)",
            2,
        )
    if coverage.not_compared:
        without = counted(coverage.not_compared, "configuration")
        lines += _wrapped(f"not compared: {without}, about which {verdict.reference} says nothing", 2)
    if coverage.wide_tolerances != "none":
        lines += _wrapped(
            f"not read to 0.1 %: {coverage.wide_tolerances}: small differences of large numbers, which rounding "
            f"alone changes by as much; a smaller fault in one of them cannot be seen",
            2,
        )
    lines.append(
        Line(
            f"  {verdict.sampler}: {counted(coverage.cases, 'configuration')}, {coverage.model_calls} model calls, "
            f"{verdict.seconds:.1f} s, budget {verdict.budget}, device {verdict.device}",
            "dim",
        )
    )
    return lines


def _wrapped(text: str, indent: int) -> list[Line]:
    return [
        Line(line)
        for line in textwrap.wrap(
            text,
            WIDTH,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def summary_lines(verdict: Verdict) -> list[Line]:
    """The few lines that a pytest run ends with; the failures themselves stand above it."""
    lines = _head(verdict)
    if verdict.not_run is not None:
        return lines
    if verdict.foreign is not None:
        lines += [Line(line.text, "warn") for line in _wrapped(_sentence(verdict.foreign.told), 2)]
    for cause in verdict.causes:
        lines += _wrapped(f"cause: {cause.id}: {first_line(cause.message)}", 2)
    if verdict.diagnosis is not None:
        lines += diagnosis_lines(verdict.diagnosis, verdict.kind)[1:]
    figure = "" if verdict.margin is None else f"; margin {verdict.margin:.3g}"
    lines += [Line(line.text, "warn") for note in verdict.notes for line in _wrapped(f"note: {note}", 2)]
    lines.append(Line(f"  checks: {counts(verdict)}{figure}"))
    if verdict.coverage.not_varied:
        lines += _wrapped(f"not varied: {', '.join(verdict.coverage.not_varied)}", 2)
    return lines


#: What a kind of subject is called, one and several.
_NOUNS = {
    "sampler": ("sampler", "samplers"),
    "training": ("training step", "training steps"),
    "preprocessing": ("preprocessing", "preprocessings"),
    "data": ("data set", "data sets"),
    "grid": ("grid", "grids"),
}


def _noun(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    kinds = {verdict.kind for verdict in verdicts}
    return _NOUNS[kinds.pop()] if len(kinds) == 1 else ("declaration", "declarations")


def closing_line(verdicts: Sequence[Verdict]) -> Line:
    """The last line of a run over one or several declarations."""
    total = len(verdicts)
    one, many = _noun(verdicts)
    conforming = sum(verdict.conforms for verdict in verdicts)
    faulty = sum(verdict.is_faulty and not verdict.is_undecided for verdict in verdicts)
    figures = (
        f"{counted(sum(v.num_planned for v in verdicts), 'check')} planned, {sum(v.num_ran for v in verdicts)} ran, "
        f"{sum(v.count('skipped') for v in verdicts)} not applicable, "
        f"{sum(v.count('expected') for v in verdicts)} expected{_following(verdicts)}"
    )
    if conforming == total:
        what = f"1 {one} conforms" if total == 1 else f"all {total} {many} conform"
        if not all(tells_which(verdict) for verdict in verdicts):
            what = f"1 {one} passes what was asked" if total == 1 else f"all {total} {many} pass what was asked"
        return Line(f"{what}: {figures}", "good")
    if total == 1:
        what = f"1 {one} does not conform" if faulty else f"1 {one} was not decided"
        return Line(f"{what}: {figures}", "bad" if faulty else "warn")
    undecided = total - conforming - faulty
    whole = all(tells_which(verdict) for verdict in verdicts if verdict.conforms)
    parts = [f"{conforming} of {total} {many} {'conform' if whole else 'pass what was asked'}"]
    parts += [f"{faulty} {'does' if faulty == 1 else 'do'} not"] if faulty else []
    parts += [f"{undecided} not decided"] if undecided else []
    return Line(f"{', '.join(parts)}: {figures}", "bad" if faulty else "warn")


def _following(verdicts: Sequence[Verdict]) -> str:
    """How many of what is expected follow from what is declared; empty where none does."""
    following = sum(len(verdict.expected) - len(causes(verdict.expected)) for verdict in verdicts)
    return (
        f" ({following} of them {'follows' if following == 1 else 'follow'} from the declared ones)"
        if following
        else ""
    )


def write(lines: Sequence[Line], stream: TextIO) -> None:
    """Print lines, in color where the stream is a terminal and rich is installed.

    Args:
        lines: what :func:`render` and its like made.
        stream: standard output, usually.
    """
    console = _console(stream)
    for line in lines:
        if console is None or not line.style:
            stream.write(line.text + "\n")
        else:
            console.print(line.text, style=_RICH_STYLES[line.style], markup=False, highlight=False, soft_wrap=True)
    stream.flush()


def _console(stream: TextIO) -> Any:
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream)
