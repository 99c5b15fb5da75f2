"""Run what the command line names, tell of it, and sum it up in an exit status."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sampler_harness.checks.catalogue import check_ids
from sampler_harness.targets import TargetError, device_problem, is_subject, load_sampler, load_subject, load_subjects
from sampler_harness.verdict import Coverage, Finding, Verdict

from .options import UsageError, chosen_checks, settings
from .output import check_writable, progress, write_text
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
  check-sampler --init path/file.py:NAME"""


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
    checks = chosen_checks(options.check)
    given = settings(options.set)
    if not options.targets:
        raise UsageError(_NO_TARGET)
    if (options.model is None) != (options.data is None):
        raise UsageError("--model and --data belong together: the model, and frames that its samples should look like")
    if options.model is None and options.checkpoint:
        raise UsageError("--checkpoint belongs to --model and --data: they ask why details fade")
    for place in (options.json if options.json != "-" else None, options.save_law, options.html):
        check_writable(place)
    try:
        # Held against something else, a known deviation of the scheduler's is no subject of its own.
        single = options.against is not None or options.save_law is not None
        subjects = [
            subject
            for target in options.targets
            for subject in ([load_subject(target, given)] if single else load_subjects(target, given))
        ]
        against: Any = None if options.against is None else _against(options.against)
        problem = device_problem(options.device)
    except TargetError as error:
        raise UsageError(str(error)) from error
    for subject in [*subjects, *([against] if is_subject(against) else [])]:
        if subject.fixture_names:
            names = ", ".join(subject.fixture_names)
            raise UsageError(
                f"{subject.target} takes the pytest fixtures {names}: run it with pytest, or give them defaults"
            )
    for subject in subjects:
        if against is None and subject.reference_name == "NoReference":
            raise UsageError(
                f"{subject.target} has no reference: hold it against another sampler or a saved law with --against"
            )
    if single and any(
        subject.kind != "sampler" for subject in [*subjects, *([against] if is_subject(against) else [])]
    ):
        raise UsageError("--against and --save-law are for samplers: only they have a law that another can be held to")
    if checks is not None:
        subjects = [subject for subject in subjects if checks.intersection(check_ids(subject.kind))]
        if not subjects:
            raise UsageError(f"none of the targets is judged by {', '.join(sorted(checks))} (--list-checks prints all)")
    if options.save_law is not None and len(subjects) != 1:
        raise UsageError(f"--save-law writes the law of one sampler, but {len(subjects)} were named")
    from sampler_harness.report.terminal import closing_line, render, write

    if options.model is not None:
        return _why(options, subjects, problem, stream)
    quiet = options.json == "-"
    if problem is not None and quiet:
        sys.stderr.write(f"device {options.device}: not run ({problem})\n")
    verdicts = []
    for number, subject in enumerate(subjects):
        if problem is not None:
            verdict = _not_run(subject, options, problem, checks)
        else:
            verdict = _assess(subject, options, against, checks)
        verdicts.append(verdict)
        if not quiet:
            write([*([] if number == 0 else [_blank()]), *render(verdict)], stream)
    if not quiet and problem is None:
        write([_blank(), closing_line(verdicts)], stream)
    if options.json is not None:
        from sampler_harness.report.json import dumps

        write_text(options.json, dumps(verdicts), stream)
    if options.html is not None:
        from sampler_harness.report.verdict_page import write_verdict_page

        try:
            write_verdict_page(verdicts, options.html)
        except (ValueError, ImportError) as error:
            raise UsageError(str(error)) from error
    return _status(verdicts, require_device=options.require_device)


def _why(options: argparse.Namespace, subjects: Sequence[AnySubject], problem: str | None, stream: TextIO) -> int:
    if problem is not None:
        sys.stderr.write(f"device {options.device}: not run ({problem})\n")
        return DEVIATES if options.require_device else NOT_RUN
    from sampler_harness.triage.command import answer

    try:
        return answer(
            subjects,
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


def _status(verdicts: Sequence[Verdict], *, require_device: bool) -> int:
    if any(verdict.is_faulty for verdict in verdicts):
        return DEVIATES
    if any(verdict.not_run is not None for verdict in verdicts):
        return DEVIATES if require_device else NOT_RUN
    return CONFORMS if verdicts and all(verdict.conforms for verdict in verdicts) else NOT_RUN


def _assess(subject: AnySubject, options: argparse.Namespace, against: Any, checks: frozenset[str] | None) -> Verdict:
    from sampler_harness.runner import Assessment

    assessment = Assessment(
        subject, budget=options.budget, device=options.device, against=against, diagnose=not options.no_diagnosis
    )
    chosen = tuple(id for id in assessment.planned() if checks is None or id in checks)
    try:
        with progress(subject.target):
            verdict = dataclasses.replace(assessment.verdict(checks), planned=chosen)
        if options.save_law is not None:
            _save_law(assessment, options.save_law)
    except (ValueError, OSError) as error:
        return _broken(subject, options, f"{error}")
    except Exception as error:
        # A person at a terminal gets a sentence, never the harness's own traceback.
        return _broken(subject, options, f"the harness itself failed with {type(error).__name__}: {error}")
    return verdict


def _save_law(assessment: Assessment, path: str) -> None:
    from sampler_harness.runner import save_law

    save_law(assessment, path)


def _broken(subject: AnySubject, options: argparse.Namespace, message: str) -> Verdict:
    planned = check_ids(subject.kind)
    finding = Finding(planned[0], "error", f"could not be judged: {message}")
    return Verdict(
        sampler=subject.target or subject.name,
        reference=subject.reference_name,
        findings=(finding,),
        coverage=Coverage(),
        seconds=0.0,
        budget=options.budget,
        device=options.device,
        planned=planned,
        kind=subject.kind,
    )


def _not_run(subject: AnySubject, options: argparse.Namespace, problem: str, checks: frozenset[str] | None) -> Verdict:
    from sampler_harness.runner import versions

    return Verdict(
        sampler=subject.target or subject.name,
        reference=subject.reference_name,
        findings=(),
        coverage=Coverage(),
        seconds=0.0,
        budget=options.budget,
        device=options.device,
        versions=versions(),
        not_run=problem,
        planned=tuple(id for id in check_ids(subject.kind) if checks is None or id in checks),
        kind=subject.kind,
    )


def _against(named: str) -> Any:
    """Another subject, or what ``--save-law`` wrote."""
    if named.startswith("git:"):
        raise UsageError(f"--against {named}: a revision cannot be named yet; use a target, or a file of --save-law")
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
