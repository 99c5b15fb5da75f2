"""``check-sampler``: decide on samplers from the command line.

Exit status: 2 the call is wrong (told before anything runs); else 1 when a sampler does not conform or a check could
not judge it; else 3 when something could not be run; else 0. Never 0 when nothing ran.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .checks.catalogue import KINDS, check_ids
from .targets import TargetError, device_problem, is_subject, load_sampler, load_subject, load_subjects
from .verdict import Coverage, Finding, Verdict

if TYPE_CHECKING:
    from .runner import Assessment
    from .subject import AnySubject

__all__ = ["main"]

CONFORMS, DEVIATES, WRONG_CALL, NOT_RUN = 0, 1, 2, 3
INTERRUPTED = 130

BUDGETS = ("quick", "standard", "thorough")

_NO_TARGET = """\
name what to check:
  check-sampler path/file.py:my_sampler     a function under @sampler_under_test
  check-sampler path/file.py                every sampler declared in the file
  check-sampler package.module:my_sampler
  check-sampler diffusers:DDIMScheduler     a released scheduler"""


class UsageError(Exception):
    """The call is wrong; nothing has run."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check-sampler",
        description="Decide whether diffusion samplers are the ones that their papers define.",
        epilog="exit status: 0 conforms; 1 does not, or a check could not judge; 2 the call is wrong; "
        "3 something could not be run",
        allow_abbrev=False,
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="module:name, path/file.py:name, path/file.py (all in it), or diffusers:NAME",
    )
    parser.add_argument("--device", default="cpu", help="any torch device (default: cpu)")
    parser.add_argument(
        "--require-device",
        action="store_true",
        help="a device that is missing is a failure: exit status 1 instead of 3",
    )
    parser.add_argument(
        "--budget",
        choices=BUDGETS,
        default="standard",
        help="how much is run: about 3,000, 30,000 or 1,000,000 model calls (default: standard)",
    )
    parser.add_argument("--html", metavar="FILE", help="write what was found as one self-contained page")
    parser.add_argument(
        "--no-diagnosis", action="store_true", help="do not look for what a sampler that fails does instead"
    )
    parser.add_argument("--json", metavar="FILE", help="write all verdicts as JSON; - for standard output")
    parser.add_argument(
        "--against", metavar="TARGET|FILE", help="hold against another sampler, or a law from --save-law"
    )
    parser.add_argument("--save-law", metavar="FILE", help="write the measured law, to hold later versions against")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for the adapter; repeatable"
    )
    parser.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="ID",
        help="run only this check (law/noise) or family (law); repeatable, or with commas",
    )
    why = parser.add_argument_group("why are my details fading?")
    why.add_argument("--model", metavar="TARGET", help="a loader: load(checkpoint or None) -> model(x, time)")
    why.add_argument("--data", metavar="TARGET", help="frames that samples should look like, or a function of none")
    why.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="FILE",
        help="for the loader, the earliest first; repeatable",
    )
    parser.add_argument("--list-checks", action="store_true", help="print all checks and what each claims")
    parser.add_argument("--explain", metavar="ID", help="tell more of one check, with a failure as it looks")
    parser.add_argument(
        "--init",
        metavar="FILE[:NAME]",
        help="write the test file for a sampler, with TODOs where its source tells too little",
    )
    parser.add_argument("--list-references", action="store_true", help="print all references and their fields")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; None for the process's own.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["monitor"]:
        from .cli_monitor import monitor

        return monitor(given[1:])
    options = _parser().parse_intermixed_args(given)
    quiet = options.json == "-"
    try:
        if options.list_checks or options.list_references or options.explain is not None:
            return _told(options)
        if options.init is not None:
            return _init(options.init)
        with _output(quiet) as stream:
            return _run(options, stream)
    except UsageError as error:
        sys.stderr.write(f"check-sampler: {error}\n")
        return WRONG_CALL
    except KeyboardInterrupt:
        sys.stderr.write("check-sampler: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away; leave nothing that Python would try to flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DEVIATES


def _told(options: argparse.Namespace) -> int:
    """Answer what needs no target."""
    from .cli_lists import explain, list_checks, list_references

    if options.list_checks:
        list_checks(sys.stdout)
    if options.list_references:
        list_references(sys.stdout)
    if options.explain is not None:
        try:
            explain(options.explain, sys.stdout)
        except ValueError as error:
            raise UsageError(str(error)) from None
    sys.stdout.flush()
    return CONFORMS


def _init(target: str) -> int:
    """Write a first test file and say what to do next."""
    from .cli_init import init

    try:
        place, found = init(target)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    sys.stdout.write(
        f"{place} is written: {found.name}, to be held against {found.reference or 'a reference of yours'}\n"
    )
    for todo in found.todo:
        sys.stdout.write(f"  TODO: {todo}\n")
    sys.stdout.write(f"{'Then' if found.todo else 'Now'}: check-sampler {place}\n")
    return CONFORMS


@contextlib.contextmanager
def _output(quiet: bool) -> Iterator[TextIO]:
    """Standard output for the report; with ``--json -`` whatever else is printed goes to standard error."""
    stream = sys.stdout
    if not quiet:
        yield stream
        return
    stream.flush()
    if stream is not sys.__stdout__:
        with contextlib.redirect_stdout(sys.stderr):
            yield stream
        return
    # Libraries below Python print too: give them standard error's descriptor.
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr), os.fdopen(os.dup(kept), "w", encoding="utf-8") as own:
            yield own
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _run(options: argparse.Namespace, stream: TextIO) -> int:
    checks = _checks(options.check)
    settings = _settings(options.set)
    if not options.targets:
        raise UsageError(_NO_TARGET)
    if (options.model is None) != (options.data is None):
        raise UsageError("--model and --data belong together: the model, and frames that its samples should look like")
    if options.model is None and options.checkpoint:
        raise UsageError("--checkpoint belongs to --model and --data: they ask why details fade")
    for place in (options.json if options.json != "-" else None, options.save_law, options.html):
        _check_writable(place)
    try:
        # Held against something else, a known deviation of the scheduler's is no subject of its own.
        single = options.against is not None or options.save_law is not None
        subjects = [
            subject
            for target in options.targets
            for subject in ([load_subject(target, settings)] if single else load_subjects(target, settings))
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
    from .report.terminal import closing_line, render, write

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
        from .report.json import dumps

        _write_text(options.json, dumps(verdicts), stream)
    if options.html is not None:
        from .report.verdict_page import write_verdict_page

        try:
            write_verdict_page(verdicts, options.html)
        except (ValueError, ImportError) as error:
            raise UsageError(str(error)) from error
    return _status(verdicts, require_device=options.require_device)


def _why(options: argparse.Namespace, subjects: Sequence[AnySubject], problem: str | None, stream: TextIO) -> int:
    if problem is not None:
        sys.stderr.write(f"device {options.device}: not run ({problem})\n")
        return DEVIATES if options.require_device else NOT_RUN
    from .triage.command import answer

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
    from .report.terminal import Line

    return Line("")


def _status(verdicts: Sequence[Verdict], *, require_device: bool) -> int:
    if any(verdict.is_faulty for verdict in verdicts):
        return DEVIATES
    if any(verdict.not_run is not None for verdict in verdicts):
        return DEVIATES if require_device else NOT_RUN
    return CONFORMS if verdicts and all(verdict.conforms for verdict in verdicts) else NOT_RUN


def _assess(subject: AnySubject, options: argparse.Namespace, against: Any, checks: frozenset[str] | None) -> Verdict:
    from .runner import Assessment

    assessment = Assessment(
        subject, budget=options.budget, device=options.device, against=against, diagnose=not options.no_diagnosis
    )
    chosen = tuple(id for id in assessment.planned() if checks is None or id in checks)
    try:
        with _progress(subject.target):
            verdict = dataclasses.replace(assessment.verdict(checks), planned=chosen)
        if options.save_law is not None:
            _save_law(assessment, options.save_law)
    except (ValueError, OSError) as error:
        return _broken(subject, options, f"{error}")
    except Exception as error:
        # A person at a terminal gets a sentence, never the harness's own traceback.
        return _broken(subject, options, f"the harness itself failed with {type(error).__name__}: {error}")
    return verdict


@contextlib.contextmanager
def _progress(name: str) -> Iterator[None]:
    """A line for whoever watches, gone again before the report."""
    watched = sys.stderr.isatty()
    if watched:
        sys.stderr.write(f"checking {name} …")
        sys.stderr.flush()
    try:
        yield
    finally:
        if watched:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def _save_law(assessment: Assessment, path: str) -> None:
    from .runner import save_law

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
    from .runner import versions

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
        from .runner import load_law

        try:
            return load_law(named)
        except ValueError as error:
            raise UsageError(f"--against {named}: {error}") from error
    try:
        return load_sampler(named)
    except TargetError as error:
        raise UsageError(f"--against {named}: {error}") from error


def _settings(given: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {one}: write --set key=value")
        settings[key] = _value(value)
    return settings


def _value(text: str) -> Any:
    """A number, a truth value, None or a JSON list where the text is one; else the text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _checks(given: Sequence[str]) -> frozenset[str] | None:
    if not given:
        return None
    known = tuple(id for kind in KINDS for id in check_ids(kind))
    families = {id.partition("/")[0] for id in known}
    chosen: set[str] = set()
    for name in (part.strip() for one in given for part in one.split(",")):
        family = name.removesuffix("/*").removesuffix("/")
        if name in known:
            chosen.add(name)
        elif family in families:
            chosen.update(id for id in known if id.startswith(f"{family}/"))
        else:
            close = difflib.get_close_matches(name, [*known, *families], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"there is no check {name!r}{hint} (--list-checks prints all)")
    return frozenset(chosen)


def _check_writable(place: str | None) -> None:
    if place is None:
        return
    path = Path(place)
    if path.is_dir():
        raise UsageError(f"cannot write {place}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {place}: there is no folder {path.parent}")


def _write_text(place: str, text: str, stream: TextIO) -> None:
    if place == "-":
        stream.write(text)
        stream.flush()
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"check-sampler: cannot write {place}: {error.strerror}\n")
        raise SystemExit(DEVIATES) from error


if __name__ == "__main__":
    raise SystemExit(main())
