"""``make mutants TARGET=diffusers:NAME``: small changes of an installed scheduler, judged through the adapter.

Each change runs in a process of its own, in which the changed program stands in the place of the library's module;
the installed files are read and never written. Whether a change changes anything is seen by
:mod:`scripts.scheduler_sweep`, apart from the harness.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import linecache
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Literal

import torch

from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters import diffusers_options
from sampler_harness.runner import Assessment
from sampler_harness.subject import Subject

from .mutations import lines_of_methods, mutants
from .scheduler_diagnoses import Answered, answered
from .scheduler_sweep import KINDS, Use, does_the_same, seen, uses

__all__ = ["Judged", "Mutant", "candidates", "judge", "judged_all", "of_target", "put_in_place", "released"]

#: Seconds of the processor's time after which a changed scheduler counts as noticed: it no longer ends.
PATIENCE = 120
NOTHING = "changes nothing"
#: What the harness is asked of a mutant.
Asked = Literal["verdict", "diagnosis", "nothing"]
#: Put behind the name of a module's file: what runs is not what stands there.
CHANGED = ".changed.py"
#: Functions of schedulers that no reference has a line of, or that no run goes through.
_NO_FORMULAS = (
    "add_noise", "get_velocity", "index_for_timestep", "_init_step_index", "set_begin_index", "step_index",
    "begin_index", "previous_timestep", "__len__",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of a scheduler's source.

    Attributes:
        line: of the installed file.
        told: what is changed there.
        program: the changed module.
    """

    line: int
    told: str
    program: ast.Module


@dataclass(frozen=True)
class Judged:
    """What became of one mutant.

    Attributes:
        line: of the installed file.
        told: what is changed there.
        kind: of the first use in which it differs; :data:`NOTHING` where it differs in none.
        use: that use.
        subject: the subject that fails; empty where all conform.
        check: that fails first.
        message: what it says.
        seconds: of the verdict, up to the first failure.
        answered: what the diagnosis says, where it was asked and some law is another.
    """

    line: int
    told: str
    kind: str = NOTHING
    use: str = ""
    subject: str = ""
    check: str = ""
    message: str = ""
    seconds: float = 0.0
    answered: Answered | None = None

    @property
    def is_caught(self) -> bool:
        """Whether a verdict turned."""
        return bool(self.subject)


def released(name: str) -> tuple[ModuleType, str]:
    """The module of an installed scheduler, and its source."""
    module = sys.modules[diffusers_options.scheduler_class(name).__module__]
    return module, inspect.getsource(module)


def candidates(source: str) -> list[Mutant]:
    """All changes of a scheduler's source."""
    return [Mutant(*one) for one in mutants(source, lines_of_methods(source))]


def of_formulas(source: str, chosen: list[Mutant]) -> list[Mutant]:
    """Changes of an operator, a sign or a number in a formula, of which a reference may have the line.

    Args:
        source: of the module.
        chosen: changes of it.
    """
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name not in _NO_FORMULAS:
            plain = [one for one in ast.walk(node) if isinstance(one, (ast.Assign, ast.AugAssign, ast.Return))]
            lines.update(line for one in plain for line in range(one.lineno, (one.end_lineno or one.lineno) + 1))
    words = ("Add", "Sub", "Mult", "Div", "Pow", "FloorDiv", "without its minus")
    return [one for one in chosen if one.line in lines and (one.told.startswith(words) or one.told[0].isdigit())]


def put_in_place(name: str, program: ast.Module) -> type[Any]:
    """Load a changed program in the place of the installed module, for the rest of this process.

    Args:
        name: of the scheduler.
        program: that is loaded.
    """
    module, _ = released(name)
    changed, text, file = ModuleType(module.__name__), ast.unparse(program), f"{module.__file__}{CHANGED}"
    # Whoever asks for its source is to see what runs.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    changed.__dict__.update(__file__=file, __package__=module.__package__, __spec__=module.__spec__)
    sys.modules[module.__name__] = changed
    exec(compile(text, file, "exec"), changed.__dict__)
    for library in ("diffusers.schedulers", "diffusers"):
        setattr(importlib.import_module(library), name, vars(changed)[name])
    for cache in (diffusers_options.scheduler_class, diffusers_options.constructor_options, diffusers_options.accepts):
        cache.cache_clear()
    found: type[Any] = vars(changed)[name]
    return found


def judge(name: str, known: frozenset[tuple[str, str]] = frozenset()) -> Iterator[tuple[str, str, str]]:
    """What fails of ``diffusers:NAME`` in the quick budget: subject, check, message; one by one, so that one may stop.

    Args:
        name: of the scheduler.
        known: subjects and checks that fail without any change.
    """
    for subject in adapter.subjects(name):
        assessment = Assessment(subject, budget="quick", diagnose=False)
        for check in assessment.planned():
            finding = assessment.run(check)
            if finding.outcome in ("failed", "error") and (subject.name, check) not in known:
                yield subject.name, check, finding.message


class _Trial:
    """One mutant in a process of its own, which tells as much as it knows when its time is up."""

    def __init__(self, name: str, mutant: Mutant, told: Connection) -> None:
        self.name, self.mutant, self.told = name, mutant, told
        self.released = released(name)[1]
        self.result = Judged(mutant.line, mutant.told)
        self.in_use: Use | None = None
        self.started = time.process_time()

    def run(self, should_be: list[tuple[Use, Any]], known: frozenset[tuple[str, str]], asked: Asked) -> None:
        signal.signal(signal.SIGPROF, self._no_end)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            scheduler = put_in_place(self.name, self.mutant.program)
            if asked != "diagnosis":  # a changed law is asked for instead
                self._sweep(scheduler, should_be)
            self.in_use, self.started = None, time.process_time()
            if asked == "diagnosis":
                self._is(answered=answered(self.name, adapter.subject(self.name), self.released, self._load))
            if asked == "verdict":
                first = next(judge(self.name, known), ("", "", ""))
                self._is(subject=first[0], check=first[1], message=first[2])
        except Exception as error:  # a program that cannot even be loaded, or asked for its options, is noticed too
            kind = self.result.kind if self.result.use else KINDS[0]
            self._is(kind=kind, subject=self.name, check="loading", message=f"{type(error).__name__}: {error}")
        self._send()

    def _sweep(self, scheduler: type[Any], should_be: list[tuple[Use, Any]]) -> None:
        for use, wanted in should_be:
            self.in_use = use
            if not any(does_the_same(seen(use, scheduler, sign), wanted) for sign in (1.0, -1.0)):
                return self._is(kind=use.kind, use=use.name)

    def _load(self, program: ast.Module) -> Subject:
        put_in_place(self.name, program)
        return adapter.subject(self.name)

    def _is(self, **fields: Any) -> None:
        self.result = replace(self.result, **fields)

    def _no_end(self, number: int, frame: FrameType | None) -> None:
        if self.in_use is not None:
            self._is(kind=self.in_use.kind, use=self.in_use.name)
        self._is(subject=self.name, check="no end", message=f"runs for more than {PATIENCE} s")
        self._send()
        os._exit(0)

    def _send(self) -> None:
        self._is(seconds=time.process_time() - self.started)
        self.told.send(self.result)
        self.told.close()


def judged_all(
    name: str, chosen: list[Mutant], known: frozenset[tuple[str, str]], jobs: int, asked: Asked = "verdict"
) -> Iterator[Judged]:
    """Judge mutants, several at a time; in the order in which they end.

    Args:
        name: of the scheduler.
        chosen: the mutants.
        known: what fails without any change.
        jobs: processes at a time.
        asked: what the harness is asked of each: its verdict, its diagnosis of the scheduler itself, or nothing.
    """
    scheduler = diffusers_options.scheduler_class(name)
    legal: list[tuple[Use, Any]] = []
    if asked != "diagnosis":
        legal = [(use, found) for use in uses(name) if (found := seen(use, scheduler)) is not None]
    fork = multiprocessing.get_context("fork")
    waiting, running = list(chosen), dict[Connection, tuple[Any, Mutant]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            here, there = fork.Pipe(duplex=False)
            trial = _Trial(name, mutant, there)
            process = fork.Process(target=trial.run, args=(legal, known, asked))
            process.start()
            there.close()
            running[here] = process, mutant
        for ready in wait(list(running)):
            assert isinstance(ready, Connection)
            process, mutant = running.pop(ready)
            try:
                yield ready.recv()
            except EOFError:  # the process died of what the change did
                yield Judged(mutant.line, mutant.told, KINDS[0], "", name, "dies", "the process died")
            process.join()


def _table(name: str, found: list[Judged]) -> str:
    lines = [f"{name}: {len(found)} changes", f"  {'kind':24} {'changes':>7} {'caught':>7} {'share':>7}"]
    for kind in (*KINDS, "all kinds"):
        mine = [one for one in found if one.kind == kind or (kind == "all kinds" and one.kind != NOTHING)]
        if mine:
            caught = sum(one.is_caught for one in mine)
            lines.append(f"  {kind:24} {len(mine):7} {caught:7} {caught / len(mine):7.1%}")
    equal = [one for one in found if one.kind == NOTHING]
    lines.append(f"  {NOTHING + ', as far as seen':24} {len(equal)}, flagged: {sum(one.is_caught for one in equal)}")
    full = [one.seconds for one in found if not one.is_caught]
    stopped = [one.seconds for one in found if one.is_caught]
    for told, seconds in (("a verdict without a failure", full), ("up to the first failure", stopped)):
        if seconds:
            lines.append(f"  seconds of {told}: {sum(seconds) / len(seconds):.1f}, at most {max(seconds):.1f}")
    return "\n".join(lines) + "\n"


def _told(one: Judged, source: list[str]) -> str:
    text = source[one.line - 1].strip()[:80]
    if one.kind == NOTHING:
        return (
            f"  FLAGGED line {one.line}, {one.told} | {one.subject} {one.check}: {one.message.splitlines()[0][:120]}\n"
        )
    return f"  survives [{one.kind}: {one.use}] line {one.line}, {one.told} | {text}\n"


def _survivors(file: Path) -> set[tuple[int, str]]:
    found = json.loads(file.read_text(encoding="utf-8"))
    return {(one["line"], one["told"]) for one in found if one["kind"] != NOTHING and not one["subject"]}


def _answer(one: Judged, source: list[str]) -> str:
    if one.answered is None:
        return ""
    said = one.answered
    how = (
        "WRONG but exact" if said.is_wrong_but_exact else "right" if said.right else "wrong" if said.summary else "none"
    )
    exact = ", exact" if said.exact else ""
    repaired = f", own line {said.repair}" if said.repair else ", no own line"
    seconds = f"{said.seconds:.1f} s and {said.repair_seconds:.1f} s"
    text = f"  {how}{exact}{repaired}, {seconds}: line {one.line}, {one.told} | {source[one.line - 1].strip()[:80]}\n"
    text += f"    {said.summary} [{', '.join(said.lines)}]\n" if said.summary else ""
    return text + (f"    {said.repaired}\n" if said.repaired else "")


def _answers(name: str, found: list[Judged]) -> str:
    said = [one.answered for one in found if one.answered is not None]
    right, wrong = sum(one.right for one in said), sum(one.is_wrong_but_exact for one in said)
    exact, count = sum(one.exact for one in said), max(len(said), 1)
    restored, mends = (sum(one.repair == how for one in said) for how in ("restored", "mends"))
    first = sum(one.is_right_first for one in said)
    seconds = sum(one.seconds for one in said) / count
    repair_seconds = sum(one.repair_seconds for one in said) / count
    return (
        f"{name}: {len(found)} changes of formulas, {len(said)} with another law: told first and right {first} "
        f"({first / count:.0%}); edit of the reference right {right}, exact {exact}, wrong but exact {wrong}; own line "
        f"as released {restored}, another that mends {mends}, one that does not "
        f"{sum(one.repair == 'wrong' for one in said)}; {seconds:.1f} and {repair_seconds:.1f} s of a search\n"
    )


def of_target(target: str, arguments: list[str]) -> int:
    """Print what survives of a scheduler, and how many were caught, kind by kind; 1 where a sound one is flagged."""
    options = argparse.ArgumentParser(prog="make mutants")
    options.add_argument("--sample", type=int, help="how many of all changes are tried, drawn by --seed")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--jobs", type=int, default=1, help="processes at a time")
    options.add_argument("--lines", type=int, nargs="*", help="only changes in these lines")
    options.add_argument("--again", type=Path, help="only what survives in a file that --json wrote")
    options.add_argument("--no-verdicts", action="store_true", help="only what each changes")
    options.add_argument(
        "--diagnose", action="store_true", help="changes of formulas, and whether the diagnosis is right"
    )
    options.add_argument("--json", type=Path, help="file for everything that was found")
    given = options.parse_args(arguments)
    name = target.removeprefix("diffusers:")
    asked: Asked = "diagnosis" if given.diagnose else "nothing" if given.no_verdicts else "verdict"
    torch.set_num_threads(1)
    _, source = released(name)
    chosen = candidates(source)
    if given.lines:
        chosen = [one for one in chosen if one.line in given.lines]
    if asked == "diagnosis":
        chosen = of_formulas(source, chosen)
    if given.again is not None:
        survivors = _survivors(given.again)
        chosen = [one for one in chosen if (one.line, one.told) in survivors]
    if given.sample is not None and given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)
    # First without a change: what fails there is no mutant's, and what is measured of references is kept for all.
    known = (
        frozenset[tuple[str, str]]()
        if asked != "verdict"
        else frozenset((subject, check) for subject, check, _ in judge(name))
    )
    for subject, check in sorted(known):
        sys.stdout.write(f"  fails without any change: {subject} {check}\n")
    found = []
    for one in judged_all(name, chosen, known, given.jobs, asked):
        found.append(one)
        if asked == "diagnosis":
            sys.stdout.write(_answer(one, source.splitlines()))
        elif one.is_caught == (one.kind == NOTHING):
            sys.stdout.write(_told(one, source.splitlines()))
        sys.stdout.flush()
    sys.stdout.write(_answers(name, found) if asked == "diagnosis" else _table(name, found))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    wrong = [one for one in found if one.answered is not None and one.answered.is_wrong_but_exact]
    return int(bool(wrong) or (asked == "verdict" and any(one.is_caught and one.kind == NOTHING for one in found)))
