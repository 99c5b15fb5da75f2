"""Run what the command line names, tell of it, and sum it up in an exit status."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from sampler_harness.gate.baseline import BaselineError, entries_of, written
from sampler_harness.gate.git import GitError
from sampler_harness.importing import TargetError
from sampler_harness.report.github import Stale, in_workflow, tell_workflow
from sampler_harness.report.json import dumps
from sampler_harness.report.page import MissingExtraError
from sampler_harness.report.terminal import Line, closing_line, render, write
from sampler_harness.targets import ADAPTERS, place_of
from sampler_harness.verdict import Finding, Verdict

from .options import UsageError, settings
from .output import progress, write_text
from .plan import Job, Plan, planned
from .status import CONFORMS, DEVIATES, NOT_RUN

__all__ = ["decide"]


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
        plan = planned(options)
    except (TargetError, BaselineError, GitError, MissingExtraError) as error:
        raise UsageError(str(error)) from error
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    if options.model is not None:
        return _why(plan, stream)
    return _told(plan, _verdicts(plan, stream), stream)


# Running it


def _verdicts(plan: Plan, stream: TextIO) -> list[Verdict]:
    quiet = plan.options.json == "-"
    if plan.problem is not None and quiet:
        sys.stderr.write(f"device {plan.options.device}: not run ({plan.problem})\n")
    verdicts: list[Verdict] = []
    for job in plan.jobs:
        verdicts.append(_verdict(plan, job))
        if not quiet:
            write([*([] if len(verdicts) == 1 else [Line("")]), *render(verdicts[-1])], stream)
    return verdicts


def _verdict(plan: Plan, job: Job) -> Verdict:
    from sampler_harness.runner import Assessment, save_law, versions

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
    if plan.problem is not None:
        return dataclasses.replace(assessment.unjudged(plan.checks), versions=versions(), not_run=plan.problem)
    try:
        with progress(job.subject.target):
            verdict = assessment.verdict(plan.checks)
            if options.write_baseline:
                verdict = assessment.pinned(verdict)
        if options.save_law is not None:
            save_law(assessment, options.save_law)
    except (ValueError, OSError) as error:
        problem = f"{error}"
    except Exception as error:
        # A person at a terminal gets a sentence, never the harness's own traceback.
        problem = f"the harness itself failed with {type(error).__name__}: {error}"
    else:
        return dataclasses.replace(verdict, beside=(*verdict.beside, *_beside(plan, job)))
    nothing = assessment.unjudged()
    finding = Finding(nothing.planned[0], "error", f"could not be judged: {problem}")
    return dataclasses.replace(nothing, findings=(finding,))


def _beside(plan: Plan, job: Job) -> tuple[str, ...]:
    """What the job's declaration says together with others of the run; nothing where one of them cannot be built."""
    from sampler_harness.across import beside_others

    try:
        return beside_others(job.subject, [other.subject for other in plan.jobs])
    except ValueError:
        return ()  # told where it is judged


# Telling of it


def _told(plan: Plan, verdicts: list[Verdict], stream: TextIO) -> int:
    options = plan.options
    quiet = options.json == "-"
    stale = [] if options.write_baseline else _stale(plan)
    lines = [Line(one.text, "bad") for one in stale] + [Line(text) for text in plan.remarks]
    if plan.baseline.without_reason and not options.write_baseline:
        where = ", ".join(str(line) for line in plan.baseline.without_reason)
        lines.append(Line(f"{plan.baseline.path}: still without a reason: line {where}", "warn"))
    if options.write_baseline:
        lines.append(Line(_write_baseline(plan, verdicts)))
    if plan.jobs and plan.problem is None:
        lines.append(closing_line(verdicts))
    elif not plan.jobs:
        lines.append(Line(f"nothing to decide: no target's code changed since {options.changed_since}", "good"))
    if not quiet:
        write([*([Line("")] if plan.jobs else []), *lines], stream)
    else:
        sys.stderr.writelines(f"check-sampler: {one.text}\n" for one in stale)
    _files(plan, verdicts, stream)
    if in_workflow():
        _workflow(plan, verdicts, stale, sys.stderr if quiet else stream)
    if stale:
        return DEVIATES
    if options.write_baseline and not any(f.outcome == "error" for verdict in verdicts for f in verdict.findings):
        return CONFORMS
    return _status(plan, verdicts)


def _stale(plan: Plan) -> list[Stale]:
    declared = {subject.target: subject.expected_failures for subject in plan.named}
    # Who names one of the project's targets asks of that alone.
    everything = plan.options.baseline is not None or not plan.options.targets
    baseline = plan.baseline
    found = baseline.stale(list(declared), declared, everything=everything)
    return [Stale(baseline.path, one[0].line, baseline.sentence(one)) for one in found]


def _write_baseline(plan: Plan, verdicts: Sequence[Verdict]) -> str:
    path = Path(plan.options.baseline)
    entries = entries_of(verdicts)
    if not entries:
        return f"nothing to write into {path}: no check failed that it does not know of"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        path.write_text(written(old, entries, path.name), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    many = "1 deviation stands" if len(entries) == 1 else f"{len(entries)} deviations stand"
    return f"{many} in {path} as seen today: say why in place of each TODO"


def _files(plan: Plan, verdicts: Sequence[Verdict], stream: TextIO) -> None:
    options = plan.options
    if options.json is not None:
        write_text(options.json, dumps(verdicts), stream)
    try:
        if options.html is not None:
            from sampler_harness.report.verdict_page import write_verdict_page

            write_verdict_page(verdicts, options.html)
        if options.trajectory is not None and verdicts:
            from sampler_harness.report.filmstrip_figure import write_trajectory

            write_trajectory(verdicts[0], options.trajectory)
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    if options.json != "-":
        drawn = {"page": options.html, "picture": options.trajectory if verdicts else None}
        stream.writelines(f"{what}: {path}\n" for what, path in drawn.items() if path is not None)


def _workflow(plan: Plan, verdicts: Sequence[Verdict], stale: Sequence[Stale], stream: TextIO) -> None:
    """Annotations and the table, in a workflow of GitHub's."""
    tell_workflow(
        verdicts,
        lambda line: stream.write(f"{line}\n"),
        root=plan.repository.root if plan.repository is not None else None,
        changed=plan.changes.lines if plan.changes is not None else None,
        stale=stale,
        remarks=plan.remarks,
    )
    stream.flush()


def _why(plan: Plan, stream: TextIO) -> int:
    options = plan.options
    if plan.problem is not None:
        sys.stderr.write(f"device {options.device}: not run ({plan.problem})\n")
        return DEVIATES if options.require_device else NOT_RUN
    from sampler_harness.triage.command import answer

    try:
        # An adapter's settings are in its declaration already.
        adapted = any(place_of(job.subject.target) in ADAPTERS for job in plan.jobs)
        given = {} if adapted else settings(options.set)
        return answer(
            [job.subject for job in plan.jobs],
            model=options.model,
            data=options.data,
            checkpoints=options.checkpoint,
            settings=given | ({} if options.steps is None else {"num_steps": options.steps}),
            device=options.device,
            budget=options.budget,
            json_file=options.json,
            html_file=options.html,
            stream=stream,
        )
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        # A person at a terminal gets a sentence, never the harness's own traceback.
        sys.stderr.write(f"check-sampler: the harness itself failed with {type(error).__name__}: {error}\n")
        return NOT_RUN


def _status(plan: Plan, verdicts: Sequence[Verdict]) -> int:
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
