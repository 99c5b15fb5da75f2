"""Run what the command line names, tell of it, and sum it up in an exit status."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sampler_harness.checks.catalogue import check_ids, checked_version
from sampler_harness.gate.baseline import Baseline, BaselineError, entries_of, read_baseline, written
from sampler_harness.gate.git import Changes, GitError, Repository, changes_of_workflow, repository_of
from sampler_harness.gate.sources import files_of, touches
from sampler_harness.targets import (
    ADAPTERS,
    TargetError,
    device_problem,
    is_subject,
    load_sampler,
    load_subject,
    load_subjects,
)
from sampler_harness.verdict import Coverage, Finding, Verdict

from .options import UsageError, chosen_checks, settings
from .output import check_writable, progress, write_text
from .project import project
from .status import CONFORMS, DEVIATES, NOT_RUN

if TYPE_CHECKING:
    from sampler_harness.runner import Assessment
    from sampler_harness.subject import AnySubject

__all__ = ["decide"]

_NO_TARGET = """\
name what to check:
  check-sampler path/file.py:my_sampler     a function under @sampler_under_test
  check-sampler path/file.py                every sampler declared in the file
  check-sampler package.module:my_sampler
  check-sampler diffusers:DDIMScheduler     a released scheduler
nothing is declared yet? this writes the test file for a sampler of yours:
  check-sampler --init path/file.py:NAME
the same targets every time? name them once, in pyproject.toml:
  [tool.sampler-harness]
  targets = ["path/file.py"]"""
_GIT = "git:"


@dataclass
class _Job:
    """One target and what it is held against."""

    subject: AnySubject
    against: Any = None


@dataclass
class _Plan:
    """All that one call asks for, checked.

    Attributes:
        options: the command line.
        jobs: what is run.
        named: all targets of the call, also those that are left out.
        checks: ids to run; None for all.
        as_of: version whose set of checks is run; empty for the present one.
        problem: why the device cannot be used; None where it can.
        baseline: known deviations.
        repository: that the working directory lies in, where something was asked of git.
        changes: since a revision, where one was named or the workflow tells of one.
        remarks: what the report says beside the verdicts.
    """

    options: argparse.Namespace
    jobs: list[_Job]
    named: list[AnySubject]
    checks: frozenset[str] | None
    problem: str | None
    baseline: Baseline
    as_of: str = ""
    repository: Repository | None = None
    changes: Changes | None = None
    remarks: list[str] = field(default_factory=list)


def decide(options: argparse.Namespace, stream: TextIO) -> int:
    """Decide on every target.

    Args:
        options: the parsed command line.
        stream: where the report goes.

    Returns:
        The exit status.

    Raises:
        UsageError: where the call is wrong, before anything has run.
    """
    try:
        plan = _planned(options)
    except (TargetError, BaselineError, GitError) as error:
        raise UsageError(str(error)) from error
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    if options.model is not None:
        return _why(plan, stream)
    return _told(plan, _verdicts(plan, stream), stream)


# What is asked for


def _planned(options: argparse.Namespace) -> _Plan:
    checks = chosen_checks(options.check)
    given = settings(options.set)
    as_of = _as_of(options)
    own = project()
    targets = options.targets or list(own.targets)
    if not targets:
        raise UsageError(_NO_TARGET)
    _check_together(options)
    for place in (options.json if options.json != "-" else None, options.save_law, options.html, options.trajectory):
        check_writable(place)
    if options.write_baseline:
        check_writable(options.baseline)
    _check_extra(options)
    # Held against something else, a known deviation of the scheduler's is no subject of its own.
    one = options.save_law is not None or (options.against is not None and not options.against.startswith(_GIT))
    subjects = [
        subject
        for target in targets
        for subject in ([load_subject(target, given)] if one else load_subjects(target, given))
    ]
    if options.against is not None and not one:
        subjects = [subject for subject in subjects if not _is_known_deviation(subject)]
    problem = device_problem(options.device)
    repository = None
    if options.changed_since is not None or (options.against or "").startswith(_GIT):
        repository = repository_of(Path.cwd())
    other: Any = None
    if options.against is not None and not options.against.startswith(_GIT):
        other = _against(options.against)
    involved: list[AnySubject] = list(subjects)
    if other is not None and is_subject(other):
        involved.append(other)
    _check_subjects(options, involved, against=options.against is not None)
    if checks is not None:
        subjects = [subject for subject in subjects if checks.intersection(check_ids(subject.kind))]
        if not subjects:
            raise UsageError(f"none of the targets is judged by {', '.join(sorted(checks))} (--list-checks prints all)")
    for subject in subjects:
        if not check_ids(subject.kind, as_of):
            raise UsageError(f"no check of {as_of} is for {subject.target}: a {subject.kind} is checked since later")
    if options.save_law is not None and len(subjects) != 1:
        raise UsageError(f"--save-law writes the law of one sampler, but {len(subjects)} were named")
    if options.trajectory is not None and len(subjects) != 1:
        raise UsageError(f"--trajectory draws a run of one sampler, but {len(subjects)} were named")
    plan = _Plan(options, [], list(subjects), checks, problem, _baseline(options, own.baseline), as_of, repository)
    plan.changes = _changes(plan)
    if options.changed_since is not None:
        subjects = _touched(plan, subjects)
    plan.jobs = [_Job(subject, other) for subject in subjects]
    if (options.against or "").startswith(_GIT) and problem is None:
        for job in plan.jobs:
            job.against = _law_at(plan, job.subject.target, given)
    return plan


def _is_known_deviation(subject: AnySubject) -> bool:
    """A subject that an adapter made of what is known to deviate: the scheduler itself is held against its past."""
    return subject.target.startswith(ADAPTERS) and bool(subject.expected_failures)


def _as_of(options: argparse.Namespace) -> str:
    try:
        return checked_version(options.checks_as_of)
    except ValueError as error:
        raise UsageError(f"--checks-as-of: {error}") from None


def _check_together(options: argparse.Namespace) -> None:
    """Options that need each other."""
    if (options.model is None) != (options.data is None):
        raise UsageError("--model and --data belong together: the model, and frames that its samples should look like")
    if options.model is None and options.checkpoint:
        raise UsageError("--checkpoint belongs to --model and --data: they ask why details fade")
    if options.write_baseline and options.baseline is None:
        raise UsageError("--write-baseline needs the file: --baseline FILE --write-baseline")


def _check_extra(options: argparse.Namespace) -> None:
    """Pictures need packages that the core does not; told before anything runs."""
    if options.html is None and options.trajectory is None:
        return
    from sampler_harness.report.figures import MissingExtraError, require_extra

    try:
        require_extra()
    except MissingExtraError as error:
        raise UsageError(str(error)) from None


def _check_subjects(options: argparse.Namespace, subjects: Sequence[AnySubject], *, against: bool) -> None:
    """What of the subjects themselves makes the call impossible."""
    for subject in subjects:
        if subject.fixture_names:
            names = ", ".join(subject.fixture_names)
            raise UsageError(
                f"{subject.target} takes the pytest fixtures {names}: run it with pytest, or give them defaults"
            )
        if not against and subject.reference_name == "NoReference":
            raise UsageError(
                f"{subject.target} has no reference: hold it against another sampler or a saved law with --against"
            )
    if (against or options.save_law is not None) and any(subject.kind != "sampler" for subject in subjects):
        raise UsageError("--against and --save-law are for samplers: only they have a law that another can be held to")


def _baseline(options: argparse.Namespace, own: str) -> Baseline:
    path = options.baseline or own
    if not path or (options.write_baseline and not Path(path).exists()):
        return Baseline(path)
    return read_baseline(path)


def _changes(plan: _Plan) -> Changes | None:
    """Since the revision that the call names, or the one that a pull request would be merged into."""
    named = plan.options.changed_since
    if named is not None and plan.repository is not None:
        return plan.repository.changes(plan.repository.branched_from(named))
    against = plan.options.against or ""
    found = changes_of_workflow(against.removeprefix(_GIT) if against.startswith(_GIT) else "")
    if found is None:
        return None
    plan.repository, changes = found
    return changes


def _touched(plan: _Plan, subjects: list[AnySubject]) -> list[AnySubject]:
    """Targets whose code a change may have changed."""
    assert plan.repository is not None
    assert plan.changes is not None
    root = plan.repository.root
    kept = [subject for subject in subjects if touches(*files_of(subject, root), plan.changes, root)]
    left = len(subjects) - len(kept)
    if left:
        since = plan.options.changed_since
        plan.remarks.append(f"left out, since nothing of them changed since {since}: {left} of {len(subjects)} targets")
    return kept


def _law_at(plan: _Plan, target: str, given: dict[str, Any]) -> Any:
    from sampler_harness.gate.past import PastError, law_at

    assert plan.repository is not None
    revision = plan.options.against.removeprefix(_GIT)
    try:
        with progress(f"{target} at {revision}"):
            return law_at(
                target,
                revision,
                plan.repository,
                settings=given,
                budget=plan.options.budget,
                device=plan.options.device,
            )
    except PastError as error:
        raise UsageError(f"--against {plan.options.against}: {error}") from error


def _against(named: str) -> Any:
    """Another subject, or what ``--save-law`` wrote."""
    if named.endswith(".json") or (Path(named).is_file() and not named.endswith(".py")):
        from sampler_harness.runner import load_law

        try:
            return load_law(named)
        except ValueError as error:
            raise UsageError(f"--against {named}: {error}") from error
    try:
        return load_sampler(named)
    except TargetError as error:
        raise UsageError(f"--against {named}: {error}") from error


# Running it


def _verdicts(plan: _Plan, stream: TextIO) -> list[Verdict]:
    from sampler_harness.report.terminal import render, write

    quiet = plan.options.json == "-"
    if plan.problem is not None and quiet:
        sys.stderr.write(f"device {plan.options.device}: not run ({plan.problem})\n")
    verdicts: list[Verdict] = []
    for job in plan.jobs:
        verdict = _not_run(plan, job) if plan.problem is not None else _assess(plan, job)
        verdicts.append(verdict)
        if not quiet:
            write([*([] if len(verdicts) == 1 else [_blank()]), *render(verdict)], stream)
    return verdicts


def _assess(plan: _Plan, job: _Job) -> Verdict:
    from sampler_harness.runner import Assessment

    options = plan.options
    assessment = Assessment(
        job.subject,
        budget=options.budget,
        device=options.device,
        against=job.against,
        diagnose=not options.no_diagnosis and not options.write_baseline,
        expected=plan.baseline.expected(job.subject.target),
        checks_as_of=plan.as_of,
        portray=options.html is not None or options.trajectory is not None,
    )
    chosen = tuple(id for id in assessment.planned() if plan.checks is None or id in plan.checks)
    try:
        with progress(job.subject.target):
            verdict = dataclasses.replace(assessment.verdict(plan.checks), planned=chosen)
        if options.save_law is not None:
            _save_law(assessment, options.save_law)
    except (ValueError, OSError) as error:
        return _broken(plan, job, f"{error}")
    except Exception as error:
        # A person at a terminal gets a sentence, never the harness's own traceback.
        return _broken(plan, job, f"the harness itself failed with {type(error).__name__}: {error}")
    return verdict


def _save_law(assessment: Assessment, path: str) -> None:
    from sampler_harness.runner import save_law

    save_law(assessment, path)


def _empty(plan: _Plan, job: _Job) -> Verdict:
    """A verdict that says nothing yet."""
    subject = job.subject
    return Verdict(
        sampler=subject.target or subject.name,
        reference=subject.reference_name,
        findings=(),
        coverage=Coverage(),
        seconds=0.0,
        budget=plan.options.budget,
        device=plan.options.device,
        planned=tuple(id for id in check_ids(subject.kind, plan.as_of) if plan.checks is None or id in plan.checks),
        kind=subject.kind,
        source=subject.source,
        checks_as_of=plan.as_of,
    )


def _broken(plan: _Plan, job: _Job, message: str) -> Verdict:
    planned = check_ids(job.subject.kind, plan.as_of)
    finding = Finding(planned[0], "error", f"could not be judged: {message}")
    return dataclasses.replace(_empty(plan, job), findings=(finding,), planned=planned)


def _not_run(plan: _Plan, job: _Job) -> Verdict:
    from sampler_harness.runner import versions

    return dataclasses.replace(_empty(plan, job), versions=versions(), not_run=plan.problem)


# Telling of it


def _told(plan: _Plan, verdicts: list[Verdict], stream: TextIO) -> int:
    from sampler_harness.report.terminal import Line, closing_line, write

    options = plan.options
    quiet = options.json == "-"
    stale = [] if options.write_baseline else _stale(plan)
    lines = [Line(text, "bad") for text, _ in stale] + [Line(text) for text in plan.remarks]
    if options.write_baseline:
        lines.append(Line(_write_baseline(plan, verdicts)))
    if plan.jobs and plan.problem is None:
        lines.append(closing_line(verdicts))
    elif not plan.jobs:
        lines.append(Line(f"nothing to decide: no target's code changed since {options.changed_since}", "good"))
    if not quiet:
        write([*([_blank()] if plan.jobs else []), *lines], stream)
    else:
        sys.stderr.writelines(f"check-sampler: {text}\n" for text, _ in stale)
    _files(plan, verdicts, stream)
    _workflow(plan, verdicts, stale, sys.stderr if quiet else stream)
    if stale:
        return DEVIATES
    if options.write_baseline and not any(f.outcome == "error" for verdict in verdicts for f in verdict.findings):
        return CONFORMS
    return _status(plan, verdicts)


def _stale(plan: _Plan) -> list[tuple[str, int]]:
    """Entries of the baseline that excuse nothing, in a sentence, and the line of each."""
    declared = {subject.target: subject.expected_failures for subject in plan.named}
    # Who names one of the project's targets asks of that alone.
    everything = plan.options.baseline is not None or not plan.options.targets
    found = plan.baseline.stale(list(declared), declared, everything=everything)
    where = {entry.line: f", line {entry.line}" if entry.line else "" for entry, _ in found}
    return [
        (f"{plan.baseline.path}{where[entry.line]}: {entry.target}, {entry.check}: {why}", entry.line)
        for entry, why in found
    ]


def _write_baseline(plan: _Plan, verdicts: Sequence[Verdict]) -> str:
    path = Path(plan.options.baseline)
    entries = entries_of(verdicts)
    if not entries:
        return f"nothing to write into {path}: no check failed that it does not know of"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        path.write_text(written(old, entries, path.name), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    many = "1 deviation is" if len(entries) == 1 else f"{len(entries)} deviations are"
    return f"{many} added to {path}: say why in place of each TODO"


def _files(plan: _Plan, verdicts: Sequence[Verdict], stream: TextIO) -> None:
    options = plan.options
    if options.json is not None:
        from sampler_harness.report.json import dumps

        write_text(options.json, dumps(verdicts), stream)
    if options.html is not None:
        from sampler_harness.report.verdict_page import write_verdict_page

        try:
            write_verdict_page(verdicts, options.html)
        except (ValueError, ImportError) as error:
            raise UsageError(str(error)) from error
    if options.trajectory is not None and verdicts:
        from sampler_harness.report.filmstrip_figure import write_trajectory

        try:
            write_trajectory(verdicts[0], options.trajectory)
        except (ValueError, ImportError) as error:
            raise UsageError(str(error)) from error


def _workflow(plan: _Plan, verdicts: Sequence[Verdict], stale: Sequence[tuple[str, int]], stream: TextIO) -> None:
    """Annotations and the table, in a workflow of GitHub's."""
    from sampler_harness.report.github import in_workflow, stale_command, workflow_commands, write_step_summary

    if not in_workflow():
        return
    root = plan.repository.root if plan.repository is not None else None
    lines = workflow_commands(verdicts, root=root, changed=plan.changes.lines if plan.changes is not None else None)
    lines += [stale_command(text, plan.baseline.path, line) for text, line in stale]
    stream.writelines(f"{line}\n" for line in lines)
    stream.flush()
    write_step_summary(verdicts, [*(text for text, _ in stale), *plan.remarks])


def _why(plan: _Plan, stream: TextIO) -> int:
    options = plan.options
    if plan.problem is not None:
        sys.stderr.write(f"device {options.device}: not run ({plan.problem})\n")
        return DEVIATES if options.require_device else NOT_RUN
    from sampler_harness.triage.command import answer

    try:
        return answer(
            [job.subject for job in plan.jobs],
            model=options.model,
            data=options.data,
            checkpoints=options.checkpoint,
            device=options.device,
            budget=options.budget,
            json_file=options.json,
            html_file=options.html,
            stream=stream,
        )
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error


def _blank() -> Any:
    from sampler_harness.report.terminal import Line

    return Line("")


def _status(plan: _Plan, verdicts: Sequence[Verdict]) -> int:
    """The exit status.

    Context: never 0 when nothing ran, since a gate that looked at nothing would be green.
    Choice: one exception. Who asks for what changed since a revision, and nothing did, has been answered: a pull
    request that only mends a text must not be held up.
    Reversed by: a host that wants to be told.
    """
    if not plan.jobs and plan.options.changed_since is not None:
        return CONFORMS
    if any(verdict.is_faulty for verdict in verdicts):
        return DEVIATES
    if any(verdict.not_run is not None for verdict in verdicts):
        return DEVIATES if plan.options.require_device else NOT_RUN
    return CONFORMS if verdicts and all(verdict.conforms for verdict in verdicts) else NOT_RUN
