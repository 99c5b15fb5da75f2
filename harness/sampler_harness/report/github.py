"""Findings on a pull request's own lines, and a table on the run's page: what a workflow of GitHub's shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sampler_harness.verdict import Finding, Verdict, causes

from .words import conforming, first_line, headline, repair_rows, repaired, tells_which

__all__ = ["Stale", "in_workflow", "step_summary", "tell_workflow", "workflow_commands", "write_step_summary"]

#: GitHub shows ten errors of a step and drops the others without a word.
MOST = 10


class _Place(NamedTuple):
    """File below the repository's root and line; no file where neither is known."""

    file: str = ""
    line: int = 0


class Stale(NamedTuple):
    """A baseline's entry that excuses nothing any more: the file, its line there, 0 where unknown, and a sentence."""

    path: str
    line: int
    text: str


def in_workflow() -> bool:
    """Whether this runs in a workflow of GitHub's."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def workflow_commands(
    verdicts: Sequence[Verdict],
    *,
    root: Path | None = None,
    changed: Mapping[str, frozenset[int]] | None = None,
) -> list[str]:
    """One workflow command per finding, causes first; at most ten, then how many there are.

    Args:
        verdicts: of the run.
        root: of the repository; None for the working directory.
        changed: path to lines that a pull request changed, where that is known. A changed line that ran towards the
            wrong row is the likeliest, and GitHub shows it beside the change.

    Returns:
        Lines to be printed.
    """
    root = (root or Path.cwd()).resolve()
    first: list[tuple[Verdict, Finding]] = []
    later: list[tuple[Verdict, Finding]] = []
    for verdict in verdicts:
        reasons = verdict.causes
        first += [(verdict, finding) for finding in reasons]
        later += [(verdict, finding) for finding in verdict.bad if finding not in reasons]
    found = [*first, *later]
    lines = [_command(verdict, finding, _place(verdict, finding, root, changed or {})) for verdict, finding in found]
    if len(lines) > MOST:
        told = f"{len(lines)} findings of {len(verdicts)} targets; {len(lines) - MOST} of them stand in the log only"
        return [*lines[:MOST], f"::notice title=check-sampler::{_escaped(told)}"]
    return lines


def _stale_command(one: Stale) -> str:
    where = f"file={_property(one.path)}" + (f",line={one.line}" if one.line else "")
    return f"::error {where},title=known deviation{_property(':')} no longer true::{_escaped(one.text)}"


def _command(verdict: Verdict, finding: Finding, place: _Place) -> str:
    where = f"file={_property(place.file)},line={place.line}," if place.file else ""
    name = verdict.sampler.rpartition(":")[2] or verdict.sampler
    title = f"{finding.id}: {name} is not {verdict.reference}"
    if finding.outcome == "error":
        title = f"{finding.id} could not judge {name}"
    text = finding.message
    if verdict.diagnosis is not None and finding in causes(verdict.findings):
        text += f"\n{verdict.diagnosis.summary}"
    return f"::error {where}title={_property(title)}::{_escaped(text)}"


def _place(verdict: Verdict, finding: Finding, root: Path, changed: Mapping[str, frozenset[int]]) -> _Place:
    # A check that saw nothing knows no line; what kept it from seeing does.
    others = (other for other in verdict.findings if other.place is not None and other is not finding)
    for one in (finding, *others):
        # Lines that ran towards the wrong row, then all that ran: a grid is computed long before the row it spoils.
        for ran in (one.place.lines, one.place.all_lines) if one.place is not None else ():
            for file, lines in ran.items():
                path = _below(file, root)
                touched = sorted(set(lines) & changed.get(path, frozenset())) if path else []
                if touched:
                    return _Place(path, touched[0])
        if one.place is not None and _below(one.place.file, root):
            return _Place(_below(one.place.file, root), one.place.line)
    file, line = verdict.source
    return _Place(_below(file, root), line) if file and _below(file, root) else _Place()


def _below(file: str, root: Path) -> str:
    path = Path(file).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(verdicts: Sequence[Verdict], remarks: Sequence[str] = ()) -> str:
    """A table of all targets in Markdown, and below it what each that fails does instead.

    Args:
        verdicts: of the run.
        remarks: further sentences, of the baseline and of what was left out.
    """
    rows = ["| target | held against | verdict | checks ran | margin | first cause |", "|---|---|---|---|---|---|"]
    told: list[str] = []
    for verdict in verdicts:
        reasons = verdict.causes
        word = "not run" if verdict.not_run is not None else "conforms" if verdict.conforms else "**does not conform**"
        if verdict.not_run is None and not verdict.conforms and (verdict.is_undecided or not verdict.bad):
            word = "not decided"
        if verdict.conforms and not tells_which(verdict):
            word = "passes what was asked"
        margin = "" if verdict.margin is None else f"{verdict.margin:.3g}"
        cause = f"`{reasons[0].id}`: {first_line(reasons[0].message)}" if reasons else ""
        cells = [
            f"`{verdict.sampler}`",
            verdict.reference,
            word,
            f"{verdict.num_ran}/{verdict.num_planned}",
            margin,
            cause,
        ]
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        if verdict.diagnosis is not None:
            told += ["", f"`{verdict.sampler}`: {verdict.diagnosis.summary}"]
            diff = verdict.diagnosis.answers[0].diff if verdict.diagnosis.answers else ""
            told += ["", "```diff", diff.rstrip(), "```"] if diff else []
            for repair in verdict.diagnosis.repairs[:1]:
                told += ["", f"{repaired(verdict.diagnosis)}, `{repair.file}`, line {repair.line}:"]
                told += ["", "```diff", *repair_rows(repair), "```"]
        if verdict.moved is not None:
            told += ["", f"`{verdict.sampler}`, in {verdict.moved.configuration}:", ""]
            told += [f"- {entry}" for entry in verdict.moved.entries[:MOST]]
            rest = len(verdict.moved.entries) - MOST + verdict.moved.more
            told += [f"- and {rest} more"] if rest > 0 else []
    head = headline(verdicts[0]) if len(verdicts) == 1 else _of_many(verdicts)
    return "\n".join([f"### {head}", "", *(rows if verdicts else []), *told, "", *remarks, ""])


def _of_many(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "check-sampler: nothing to decide"
    return f"check-sampler: {conforming(verdicts)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def tell_workflow(
    verdicts: Sequence[Verdict],
    write: Callable[[str], object],
    *,
    root: Path | None = None,
    changed: Mapping[str, frozenset[int]] | None = None,
    stale: Sequence[Stale] = (),
    remarks: Sequence[str] = (),
) -> None:
    """Annotations and the table.

    Args:
        verdicts: of the run.
        write: prints one line.
        root: as for :func:`workflow_commands`.
        changed: as for :func:`workflow_commands`.
        stale: entries of the baseline that are errors.
        remarks: further sentences for the table.
    """
    for line in [*workflow_commands(verdicts, root=root, changed=changed), *map(_stale_command, stale)]:
        write(line)
    write_step_summary(verdicts, [*(one.text for one in stale), *remarks])


def write_step_summary(verdicts: Sequence[Verdict], remarks: Sequence[str] = ()) -> None:
    """Append the table to the page of the run, where GitHub gives a file for it.

    Args:
        verdicts: of the run.
        remarks: further sentences.
    """
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(step_summary(verdicts, remarks))
