"""What one call of the command asks for, checked before anything runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler_harness.catalogue import check_ids, checked_version
from sampler_harness.gate.baseline import Baseline, read_baseline
from sampler_harness.gate.git import Changes, Repository, changes_of_workflow, repository_of
from sampler_harness.gate.sources import files_of, touches
from sampler_harness.report.page import require_extra
from sampler_harness.targets import (
    ADAPTERS,
    device_problem,
    is_subject,
    load_sampler,
    load_subject,
    load_subjects,
    place_of,
    remarks_of,
)

from .options import UsageError, chosen_checks, settings
from .output import check_writable, progress
from .project import project

if TYPE_CHECKING:
    from sampler_harness.subject import AnySubject

__all__ = ["Job", "Plan", "planned"]

_NO_TARGET = """\
name what to check:
  check-sampler path/file.py:my_sampler     a function under @sampler_under_test
  check-sampler path/file.py                every sampler declared in the file
  check-sampler package.module:my_sampler
  check-sampler diffusers:DDIMScheduler     a released scheduler
  check-sampler diffusers:all               every released scheduler that has a reference
  check-sampler k_diffusion:PATH.py:all     every sample_x(model, x, sigmas, …) of a file that has one
  check-sampler nvlabs_edm:PATH.py:NAME     a sampler(net, latents, …, num_steps=…) like that of EDM
  check-sampler guided_diffusion:PATH.py:NAME   what makes a GaussianDiffusion, or is one
nothing is declared yet? this writes the test file for a sampler of yours:
  check-sampler --init path/file.py:NAME
the same targets every time? name them once, in pyproject.toml:
  [tool.sampler-harness]
  targets = ["path/file.py"]"""
_GIT = "git:"


@dataclass
class Job:
    """One target and what it is held against."""

    subject: AnySubject
    against: Any = None


@dataclass
class Plan:
    """All that one call asks for, checked.

    Attributes:
        options: the command line.
        jobs: what is run.
        named: all targets of the call, also those that are left out.
        checks: ids to run; None for all.
        as_of: version whose set of checks is run; empty for the present one.
        problem: why the device cannot be used; None where it can.
        baseline: known deviations.
        revision: of the repository that is held against; None where it is none.
        repository: that the working directory lies in, where something was asked of git.
        changes: since a revision, where one was named or the workflow tells of one.
        remarks: what the report says beside the verdicts.
    """

    options: argparse.Namespace
    jobs: list[Job]
    named: list[AnySubject]
    checks: frozenset[str] | None
    as_of: str
    problem: str | None
    baseline: Baseline
    revision: str | None = None
    repository: Repository | None = None
    changes: Changes | None = None
    remarks: list[str] = field(default_factory=list)


def planned(options: argparse.Namespace) -> Plan:
    """Read a command line, load what it names, and refuse what cannot be.

    Args:
        options: the parsed command line.

    Raises:
        UsageError: where the call is wrong.
        TargetError: where a target or the device cannot be used.
        BaselineError: where the file of known deviations is wrong.
        GitError: where git does not know what is asked of it.
        MissingExtraError: where a picture is asked for and the extra is not installed.
    """
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
    if options.html is not None or options.trajectory is not None:
        require_extra()
    # Held against something else, a known deviation of the scheduler's is no subject of its own.
    revision = options.against.removeprefix(_GIT) if (options.against or "").startswith(_GIT) else None
    one = options.save_law is not None or (options.against is not None and revision is None)
    subjects = [
        subject for target in targets for subject in _loaded(target, given, one=one, why=options.model is not None)
    ]
    if options.against is not None and not one:
        subjects = [subject for subject in subjects if not _is_known_deviation(subject)]
    problem = device_problem(options.device)
    is_of_git = options.changed_since is not None or revision is not None
    repository = repository_of(Path.cwd()) if is_of_git else None
    other = _against(options.against) if options.against is not None and revision is None else None
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
    baseline = _baseline(options, own.baseline)
    plan = Plan(options, [], list(subjects), checks, as_of, problem, baseline, revision, repository)
    plan.remarks += [remark for target in targets for remark in remarks_of(target)]
    plan.changes = _changes(plan)
    if options.changed_since is not None:
        subjects = _touched(plan, subjects)
    plan.jobs = [Job(subject, other) for subject in subjects]
    if revision is not None and problem is None:
        for job in plan.jobs:
            job.against = _law_at(plan, revision, job.subject.target, given)
    return plan


def _loaded(target: str, given: dict[str, Any], *, one: bool, why: bool) -> Sequence[AnySubject]:
    """What a target declares.

    Asked why details fade, an adapter's scheduler is the one sampler, and a file's fields are for the experiment.
    """
    adapted = place_of(target) in ADAPTERS
    if why and not adapted:
        return load_subjects(target)
    return [load_subject(target, given)] if one or why else load_subjects(target, given)


def _is_known_deviation(subject: AnySubject) -> bool:
    """A subject that an adapter made of what is known to deviate: the scheduler itself is held against its past."""
    return place_of(subject.target) in ADAPTERS and subject.target.endswith("]")


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
    if options.model is None and options.steps is not None:
        raise UsageError("--steps belongs to --model and --data: checks run every number of steps that is declared")
    if options.write_baseline and options.baseline is None:
        raise UsageError("--write-baseline needs the file: --baseline FILE --write-baseline")


def _check_subjects(options: argparse.Namespace, subjects: Sequence[AnySubject], *, against: bool) -> None:
    """What of the subjects themselves makes the call impossible."""
    for subject in subjects:
        if subject.fixture_names:
            names = ", ".join(subject.fixture_names)
            raise UsageError(
                f"{subject.target} takes the pytest fixtures {names}: run it with pytest, or give them defaults"
            )
        if not against and subject.reference_name == "NoReference":
            told = "; ".join(remarks_of(subject.target)) or f"{subject.target} has no reference"
            raise UsageError(f"{told}; hold it against another sampler or a saved law with --against")
    if (against or options.save_law is not None) and any(subject.kind != "sampler" for subject in subjects):
        raise UsageError("--against and --save-law are for samplers: only they have a law that another can be held to")


def _baseline(options: argparse.Namespace, own: str) -> Baseline:
    path = options.baseline or own
    if not path or (options.write_baseline and not Path(path).exists()):
        return Baseline(path)
    return read_baseline(path)


def _changes(plan: Plan) -> Changes | None:
    """Since the revision that the call names, or the one that a pull request would be merged into."""
    named = plan.options.changed_since
    if named is not None and plan.repository is not None:
        return plan.repository.changes(plan.repository.branched_from(named))
    found = changes_of_workflow(plan.revision or "")
    if found is None:
        return None
    plan.repository, changes = found
    return changes


def _touched(plan: Plan, subjects: list[AnySubject]) -> list[AnySubject]:
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


def _law_at(plan: Plan, revision: str, target: str, given: dict[str, Any]) -> Any:
    from sampler_harness.gate.past import PastError, law_at

    assert plan.repository is not None
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
    from sampler_harness.saved_laws import load_law

    is_saved = named.endswith(".json") or (Path(named).is_file() and not named.endswith(".py"))
    try:
        return load_law(named) if is_saved else load_sampler(named)
    except ValueError as error:
        raise UsageError(f"--against {named}: {error}") from error
