"""The one change of a person's own lines with which all that was wrong is right.

The search of the diagnosis asks what a reference would have to do to be wrong in the same way. This one asks the other
way round: each single edit of the sampler's own lines is run, and held against the reference.

Catches a mistake in one expression of code that stands in a file: an operator, a sign, a number, a name, a bound, a
statement too many. Blind to what takes several changes or a line that is missing, to values that are worked out when
a module is imported, and to defaults of arguments.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.diagnosis.mutation import Mutation
from sampler_harness.law.bundle import dense_values
from sampler_harness.law.reading import times_of
from sampler_harness.observe.probes import Dense, Impulses
from sampler_harness.observe.statements import shown, statement_at
from sampler_harness.observe.trace import Case
from sampler_harness.subject.functions import modules_of
from sampler_harness.verdict import Place, Repair

from .copies import Tell, Told, can_copy, in_a_copy, pulse
from .harmless import bound_memory, make_harmless, writes_below_python
from .importing import has_made_what_is_kept
from .own_code import Entry, Noted, OwnFunction, has_open_loops, limited, own_functions, traced
from .own_editor import OwnEditor
from .told import SIMPLE, line_of, rank, repair
from .trials import LawTrial, RowsTrial, Trial

__all__ = ["TRIES", "repairs_of"]

#: Edits that are run at most, by budget: about 300 of them a second.
TRIES = {"quick": 3_000, "standard": 12_000, "thorough": 12_000}
#: Edits that are run beside a line that was found, to see whether another one would do as well.
FURTHER = 600
#: Runs with more calls are not searched in; the same fault shows in shorter ones, or is not looked for.
MOST_CALLS = 40
#: Wrong cases of which the first is searched in that shows all at once.
LIKELY = 6
#: Right cases, at most, whose lines are told from those of a wrong one.
OF_RIGHT = 3
#: Repairs that are told, at most.
TOLD = 3
#: Seconds of computing that the harness has between two runs, and a run of the sampler as it is.
PATIENCE = 120.0
#: The same of an edited run, and how many times as long as a run of the sampler as it is it may take beyond that.
EDITED, TIMES = 4.0, 20
#: Edits that do not come to an end, each of another statement, after which no more are run.
ENDLESS = 3
#: Edits that are run in a copy of their own, at most: about 30 of them a second.
ALONE = 400


def repairs_of(
    evidence: Evidence, places: Collection[Place] = (), *, budget: str = "quick", everywhere: bool = True
) -> tuple[Repair, ...]:
    """Single edits of the sampler's own lines with each of which every case is right, one for each line.

    Args:
        evidence: as the checks left it.
        places: that the findings say to look at, which are edited first.
        budget: ``quick``, ``standard`` or ``thorough``.
        everywhere: whether other lines are edited too, where no edit of those makes all right.

    Returns:
        None where no edit that was tried makes all right, or the code stands in no file. Several where it cannot be
        told which of them was meant.
    """
    if not evidence.standard.reference or evidence.in_half_alone:
        return ()
    if any(evidence.not_normal(case) for case in evidence.affine_cases):
        return ()  # of such noise a law tells its size alone
    if not can_copy(evidence.device):
        return ()
    are_right = {case: _is_right(evidence, case) for case in _asked(evidence)}
    if all(are_right.values()):  # large values may be bent where every coefficient is right
        are_right |= {case: RowsTrial(evidence, case).is_right() for case in are_right if _is_clamped(case)}
    if all(are_right.values()):
        return ()

    def work(tell: Tell) -> None:
        try:
            make_harmless()
            with np.errstate(all="ignore"):
                tell(_searched(evidence, are_right, places, budget, everywhere=everywhere))
        except Exception as error:
            tell(f"{type(error).__name__}: {error}")

    told = in_a_copy(work, seconds=PATIENCE, apart=True)
    if isinstance(told.answer, str):
        raise RuntimeError(f"edits of the sampler's own lines: {told.answer}")
    return told.answer if told.how == "done" else ()


def _searched(
    evidence: Evidence, are_right: Mapping[Case, bool], places: Collection[Place], budget: str, *, everywhere: bool
) -> tuple[Repair, ...]:
    """The search, in a copy of the process."""
    files = {file for name in modules_of(evidence.subject.function) if (file := sys.modules[name].__file__) is not None}
    are_right = _that_run_here(evidence, are_right)
    wrong = next((case for case, is_right in are_right.items() if not is_right), None)
    if wrong is None:
        return ()
    noted = _noted(evidence, wrong, files)
    own = [] if noted is None else own_functions(noted)
    if noted is None or not own or writes_below_python(own):
        return ()
    right = [case for case, is_right in are_right.items() if is_right][:OF_RIGHT]
    elsewhere = {at for case in right if (one := _noted(evidence, case, files)) is not None for at in one.order}
    search = _Search(evidence, are_right, own, noted, files, TRIES[budget])
    return tuple(search.run(places, elsewhere, everywhere=everywhere))


def _that_run_here(evidence: Evidence, are_right: Mapping[Case, bool]) -> dict[Case, bool]:
    """Cases that run in a copy as they do outside: whoever saves a file between two steps cannot do so there."""

    def work(tell: Tell) -> None:
        run = []
        for case in are_right:
            bundle = evidence.bundle(case)
            here = bundle.execute(Impulses()).problem
            run.append(here is None or (bundle.problem is not None and bundle.problem.message == here.message))
        tell(run)

    run = in_a_copy(work, seconds=PATIENCE).answer or []
    return {case: is_right for (case, is_right), is_run in zip(are_right.items(), run, strict=False) if is_run}


def _noted(evidence: Evidence, case: Case, files: Collection[str]) -> Noted | None:
    """What a run goes through; None where it cannot be run in a copy, as where it waits for another thread."""

    def work(tell: Tell) -> None:
        noted = Noted()
        entry = traced(evidence.subject.function, noted, files)
        evidence.bundle(case).execute(Impulses(), entry=entry)
        if any(one.forgets() for one in own_functions(noted)):  # what is kept from earlier runs has not run in this one
            evidence.bundle(case).execute(Impulses(), entry=entry)
        tell(noted)

    noted: Noted | None = in_a_copy(work, seconds=PATIENCE).answer
    return noted


def _asked(evidence: Evidence) -> list[Case]:
    """Cases that an edit is held against, the shortest first."""
    return [
        case
        for case in sorted(evidence.cases, key=_shortest_first)
        if expected_calls(case.config) <= MOST_CALLS and case.shape == evidence.shape_for(case.config)
    ]


def _is_right(evidence: Evidence, case: Case) -> bool:
    if evidence.bundle(case).problem is not None:
        return False
    if case.config.is_affine:
        return all(d.ratio <= 1.0 for d in evidence.compared(case))
    return evidence.held(case).cause is None


def _is_clamped(case: Case) -> bool:
    return bool(case.config.is_affine and case.config.is_clipped)


def _shortest_first(case: Case) -> tuple[bool, int]:
    calls = expected_calls(case.config)
    return calls < 2, calls


class _Search:
    """One search.

    Args:
        evidence: as measured.
        are_right: cases that edits are held against, and whether each is right as it is.
        own: functions that are edited.
        noted: what a run went through.
        files: that are the sampler's own, wherever they lie.
        tries: edits that may be run.
    """

    def __init__(
        self,
        evidence: Evidence,
        are_right: Mapping[Case, bool],
        own: Sequence[OwnFunction],
        noted: Noted,
        files: Collection[str],
        tries: int,
    ) -> None:
        self._own = own
        self._noted = noted
        self._tries = tries
        self._found: dict[tuple[str, int], tuple[int, int, Repair]] = {}
        self._endless, self._alone = 0, ALONE
        function = evidence.subject.function
        entry = _with_pulse(limited(function, files) if has_open_loops(own) else function)
        laws = [LawTrial(evidence, case, entry) for case in are_right if case.config.is_affine]
        # Of large values a law tells nothing: noise that is squared has no coefficient, as noise that is left out.
        wrong = [case for case, is_right in are_right.items() if not is_right]
        held = [c for c in are_right if not c.config.is_affine or _is_clamped(c) or c in wrong[:LIKELY]]
        rows = [RowsTrial(evidence, case, entry) for case in held]
        trials: list[Trial] = [*laws, *rows]
        self._wrong = [one for one in trials if not are_right[one.case]]
        self._right = [one for one in trials if are_right[one.case]]
        # One run that shows all is a third of what a law takes.
        likely = [one for one in laws if not are_right[one.case]][:LIKELY]
        if (first := next((one for one in likely if one.one_run is not None), None)) is not None:
            self._wrong.sort(key=lambda one: one is not first)
        self._evidence = evidence
        self._entry = entry
        self._as_it_is = in_a_copy(lambda tell: tell(self._shown()), seconds=PATIENCE)

    def run(
        self, places: Collection[Place], elsewhere: Collection[tuple[str, int]], *, everywhere: bool
    ) -> Iterator[Repair]:
        """Edits that make all right, one for each line: of the likely lines first, then in the order of a run.

        Args:
            places: as for :func:`repairs_of`.
            elsewhere: lines that run where all is right too: those that do not are likelier.
            everywhere: as for :func:`repairs_of`.
        """
        likely = {(one.file, line) for one in places for line in (one.line, one.or_line)}
        asked = {_statement(*at) for at in self._noted.order if (shown(at[0]), at[1]) in likely}
        if self._as_it_is.how != "done":
            return
        self._among(lambda at: at in asked)
        common = {_statement(*at) for at in elsewhere}
        if everywhere and not self._found and common:
            self._among(lambda at: at not in asked and at not in common)
        if everywhere and not self._found:
            self._among(lambda at: at not in asked and (at in common or not common))
        simplest_first = sorted(self._found.values(), key=lambda one: one[0])
        yield from (found for *_, found in simplest_first[:TOLD])

    def _among(self, is_asked: Callable[[tuple[str, int]], bool]) -> None:
        """Run the edits of some statements, each told by its file and first line."""
        for own in self._own:
            file = own.function.place.file
            ran = {line for other, line in self._noted.order if other == file}

            def at(mutation: Mutation, file: str = file) -> tuple[str, int]:
                return _statement(file, line_of(mutation))

            edits = [one for one in OwnEditor(own.function, ran, self._noted).all() if is_asked(at(one))]
            for _, of_one in groupby(edits, key=at):
                tried = [*of_one][: self._tries]
                self._tries -= len(tried)
                if self._endless >= ENDLESS or not tried:
                    return
                for mutation in self._promising(own, tried):
                    self._add_if_right(own, mutation)

    def _promising(self, own: OwnFunction, edits: Sequence[Mutation]) -> Iterator[Mutation]:
        """Edits of one statement with which the first wrong case is right.

        They are run in one copy of the process: that is fast, and what one of them leaves there may be in the way of
        the next. Where the sampler as it is does something else after them, or the copy is gone, each has a copy of its
        own.
        """
        first, *_ = self._wrong

        def is_right() -> bool:
            return first.may_be_right() and first.is_right()

        told = self._each(own, edits, is_right)
        right, shown_then = told.answer or ([], None)
        if told.how == "done" and (len(edits) == 1 or shown_then == self._as_it_is.answer[0]):
            yield from (edits[number] for number in right)
        elif told.how == "endless":  # others of the statement are likely to be
            self._endless += 1
            yield from (edits[number] for number in right)
        else:
            for one in edits:
                if self._alone > 0 and self._endless < ENDLESS and self._is_right(own, one, is_right):
                    yield one
                self._alone -= 1

    def _each(self, own: OwnFunction, edits: Sequence[Mutation], is_right: Callable[[], bool]) -> Told:
        """Which of some edits are right, by number, and what the sampler as it is does after them."""

        def work(tell: Tell) -> None:
            bound_memory()
            right: list[int] = []
            for number, mutation in enumerate(edits):
                pulse()
                if self._with(own, mutation, is_right):
                    right.append(number)
                    tell((right, None))
            tell((right, self._shown()[0] if len(edits) > 1 else None))

        return in_a_copy(work, seconds=self._seconds)

    def _is_right(self, own: OwnFunction, mutation: Mutation, is_right: Callable[[], bool]) -> bool:
        """The same of one edit, which nothing was run before."""
        told = self._each(own, [mutation], is_right)
        self._endless += told.how == "endless"
        return told.how == "done" and bool(told.answer[0])

    @property
    def _seconds(self) -> float:
        return float(EDITED + TIMES * self._as_it_is.answer[1])

    def _shown(self) -> tuple[Any, float]:
        """What the sampler as it is does in the first wrong case, and the seconds of computing that it takes."""

        def given(kind: int) -> Callable[[int, tuple[int, ...]], Any]:
            return lambda index, shape: dense_values(kind, index, int(np.prod(shape))).reshape(shape)

        before = time.process_time()
        stimulus = Dense(draws=given(0), outputs=given(1))
        run = self._evidence.bundle(self._wrong[0].case).execute(stimulus, entry=self._entry)
        shown = run.problem or (run.rows().tobytes(), times_of(run).tobytes())
        return shown, time.process_time() - before

    def _add_if_right(self, own: OwnFunction, mutation: Mutation) -> None:
        """Keep the simplest edit of each line with which all cases are right, and are when it stands in the file.

        Behind one that is simple only a few more are run.
        """
        found = repair(mutation, mended=_count(self._wrong), kept=_count(self._right))
        # What was worked out earlier is as it was before the edit.
        if found is None or has_made_what_is_kept(own, self._own, self._noted, self._evidence.subject.name):
            return
        at, how = (found.file, found.line), rank(mutation)
        new = how, len(found.instead), found
        if at in self._found and self._found[at][:2] <= new[:2]:
            return

        def are_right() -> bool:
            return all(one.is_right() for one in (*self._wrong, *self._right))

        if self._is_right(own, mutation, are_right):
            self._found[at] = new
            if how == SIMPLE:
                self._tries = min(self._tries, FURTHER)

    def _with(self, own: OwnFunction, mutation: Mutation, asked: Callable[[], bool]) -> bool:
        """What is asked, with an edit."""
        with ExitStack() as applied:
            applied.enter_context(mutation.applied())
            try:
                applied.enter_context(own.swapped())
            except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError):
                return False  # no program
            return asked()


def _with_pulse(entry: Entry) -> Entry:
    """A sampler of which a copy says that it comes along, run by run."""

    def run(*args: Any, **kwargs: Any) -> Any:
        pulse()
        return entry(*args, **kwargs)

    return run


def _statement(file: str, line: int) -> tuple[str, int]:
    """The file and the first line of what stands in a line."""
    node = statement_at(file, line)
    return file, line if node is None else node.lineno


def _count(trials: Sequence[Trial]) -> int:
    """Configurations, of which one may be looked at in two ways."""
    return len({trial.case.config for trial in trials})
