"""The one change of a person's own lines with which all that was wrong is right.

The search of the diagnosis asks what a reference would have to do to be wrong in the same way. This one asks the other
way round: each single edit of the sampler's own lines is run, and held against the reference.

Catches a mistake in one expression of code that stands in a file: an operator, a sign, a number, a name, a bound, a
statement too many. Blind to what takes several changes or a line that is missing, to values that are worked out when
a module is imported, and to defaults of arguments.
"""

from __future__ import annotations

import ast
import difflib
import linecache
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest

import numpy as np

from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.diagnosis.edited_text import edited_text
from sampler_harness.diagnosis.mutation import Mutation
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.statements import shown, statement_at
from sampler_harness.observe.trace import Case
from sampler_harness.subject.functions import modules_of
from sampler_harness.verdict import Place, Repair

from .harmless import harmless, writes_below_python
from .own_code import Noted, OwnFunction, has_open_loops, limited, own_functions, traced
from .own_editor import OwnEditor
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
#: Comparisons that differ where two sides are equal alone.
_EDGES = ({ast.Lt, ast.LtE}, {ast.Gt, ast.GtE})
#: The rank of an edit that changes an operator, a number or a sign alone.
SIMPLE = 0
#: Repairs that are told, at most.
TOLD = 3


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
    files = {file for name in modules_of(evidence.subject.function) if (file := sys.modules[name].__file__) is not None}
    are_right = {case: _is_right(evidence, case) for case in _asked(evidence)}
    if all(are_right.values()):  # large values may be bent where every coefficient is right
        are_right |= {case: RowsTrial(evidence, case).is_right() for case in are_right if _is_clamped(case)}
    wrong = [case for case, is_right in are_right.items() if not is_right]
    if not wrong:
        return ()
    noted = Noted()
    entry = traced(evidence.subject.function, noted, files)
    evidence.bundle(wrong[0]).execute(Impulses(), entry=entry)
    if any(one.forgets() for one in own_functions(noted)):  # what is kept from earlier runs has not run in this one
        evidence.bundle(wrong[0]).execute(Impulses(), entry=entry)
    own = own_functions(noted)
    if writes_below_python(own):
        return ()
    with np.errstate(all="ignore"):
        search = _Search(evidence, are_right, own, noted, files, TRIES[budget])
        return tuple(search.run(places, everywhere=everywhere))


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
        function = evidence.subject.function
        entry = limited(function, files) if has_open_loops(own) else function
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

    def run(self, places: Collection[Place], *, everywhere: bool) -> Iterator[Repair]:
        """Edits that make all right, one for each line: of the likely lines first, then in the order of a run.

        Args:
            places: as for :func:`repairs_of`.
            everywhere: the same.
        """
        likely = {(one.file, line) for one in places for line in (one.line, one.or_line)}
        asked = {_statement(*at) for at in self._noted.order if (shown(at[0]), at[1]) in likely}
        self._among(lambda at: at in asked)
        if everywhere and not self._found:
            self._among(lambda at: at not in asked)
        # Code that keeps something from one run for the next may be right by what another edit has left there.
        if self._found and not self._wrong[0].is_right():
            simplest_first = sorted(self._found.values(), key=lambda one: one[0])
            yield from (repair for *_, repair in simplest_first[:TOLD])

    def _among(self, is_asked: Callable[[tuple[str, int]], bool]) -> None:
        """Run the edits of some statements, each told by its file and first line."""
        for own in self._own:
            file = own.function.place.file
            ran = {line for other, line in self._noted.order if other == file}
            for mutation in OwnEditor(own.function, ran, self._noted).all():
                if not is_asked(_statement(file, _line_of(mutation))):
                    continue
                if self._tries <= 0:
                    return
                self._tries -= 1
                if self._mends(own, mutation):
                    self._add(_rank(mutation), self._repair(own, mutation))

    def _add(self, rank: int, repair: Repair) -> None:
        """Keep the simplest edit of each line; behind one that is simple only a few more are run."""
        at = repair.file, repair.line
        found = rank, len(repair.instead), repair
        self._found[at] = min(self._found.get(at, found), found, key=lambda one: one[:2])
        if rank == SIMPLE:
            self._tries = min(self._tries, FURTHER)

    def _mends(self, own: OwnFunction, mutation: Mutation) -> bool:
        with ExitStack() as applied:
            applied.enter_context(mutation.applied())
            try:
                applied.enter_context(own.swapped())
            except (SyntaxError, ValueError, TypeError, AttributeError):
                return False  # no program
            applied.enter_context(harmless())
            first, *others = self._wrong
            return first.may_be_right() and all(one.is_right() for one in (first, *others, *self._right))

    def _repair(self, own: OwnFunction, mutation: Mutation) -> Repair:
        file = own.function.place.file
        before = "".join(linecache.getlines(file))
        line, old, new = _difference(before, edited_text(before, mutation))
        return Repair(
            shown(file),
            line,
            old,
            "" if _keeps(mutation) else new,
            mended=_count(self._wrong),
            kept=_count(self._right),
        )


def _statement(file: str, line: int) -> tuple[str, int]:
    """The file and the first line of what stands in a line."""
    node = statement_at(file, line)
    return file, line if node is None else node.lineno


def _line_of(mutation: Mutation) -> int:
    """The line of what an edit changes; of statements that are left out or in another order, that of the first."""
    old, new = mutation.old, mutation.new
    if isinstance(old, list):
        old = next((one for one, other in zip_longest(old, new) if one is not other), None)
    anchor = old if isinstance(old, (ast.expr, ast.stmt)) else mutation.slot[0]
    return anchor.lineno if isinstance(anchor, (ast.expr, ast.stmt)) else 0


def _rank(mutation: Mutation) -> int:
    """How likely an edit is what was meant: another operator, number or sign first, another name last.

    Context: of two lines that mend each other's fault one was meant, and a name in the place of a formula may have the
    right value in all that is declared by chance. Choice: the simpler edit is told first. Reversed by: a count of which
    mistakes are made how often.

    Args:
        mutation: that makes all right.
    """
    old, new = mutation.old, mutation.new
    if not isinstance(old, ast.AST) or not isinstance(new, ast.AST):
        return 1
    if _keeps(mutation):
        return SIMPLE
    if isinstance(mutation.slot[0], ast.Compare):  # all but an edge that moves takes a branch out, or in
        return SIMPLE if {type(old), type(new)} in _EDGES else 1
    if {n.id for n in ast.walk(new) if isinstance(n, ast.Name)} - {
        n.id for n in ast.walk(old) if isinstance(n, ast.Name)
    }:
        return 2
    if isinstance(old, (ast.Constant, ast.operator, ast.cmpop)) or isinstance(new, ast.UnaryOp):
        return SIMPLE
    same_parts = (
        isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp) and (old.left, old.right) == (new.left, new.right)
    )
    return SIMPLE if same_parts else 1


def _keeps(mutation: Mutation) -> bool:
    """Whether a line then gives a name what it has: ``x = x``, which is no line at all."""
    match mutation.slot[0], mutation.new:
        case ast.Assign(targets=[ast.Name(id=name)]), ast.Name(id=same):
            return name == same
    return False


def _count(trials: Sequence[Trial]) -> int:
    """Configurations, of which one may be looked at in two ways."""
    return len({trial.case.config for trial in trials})


def _difference(before: str, after: str) -> tuple[int, str, str]:
    """The first line that differs, from 1, and what stands there in both, without the indentation of all of it."""
    old, new = before.splitlines(), after.splitlines()
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changed = [(i1, i2, j1, j2) for tag, i1, i2, j1, j2 in blocks if tag != "equal"]
    i1, i2, j1, j2 = changed[0][0], changed[-1][1], changed[0][2], changed[-1][3]
    return i1 + 1, textwrap.dedent("\n".join(old[i1:i2])), textwrap.dedent("\n".join(new[j1:j2]))
