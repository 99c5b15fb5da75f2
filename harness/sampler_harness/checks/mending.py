"""Which value of the sampler's own, had it been the reference's, would make the run right: where the fault is.

A wrong row says in which step a sampler is wrong, not in which line. Here each name that its own lines assign is given
a value that the reference works out, and the law is measured again. Where that makes every entry right, in this case
and in others that fail, the line that assigned the name is the one to look at, and all that was wrong is one cause. The
earliest such line is taken: what follows from it is right once it is.

Context: a fault in the middle of an expression assigns nothing of its own, and several faults are not mended by one
value. Choice: nothing is named then, and the line that makes the wrong row stands. Reversed by: running a sampler's own
statements with parts of them replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Line

from .evidence import Evidence, expected_calls
from .handed import line_of_handing
from .mended import Mending, mends, narrowed, searched, swapped
from .mending_law import LawTrial
from .mending_runs import RunTrial
from .mending_times import TimesTrial
from .replacing import does_nothing, is_known
from .solved import SolvingTrial, made_of, solved
from .unclamped import unclamped

__all__ = [
    "Mending",
    "mending_of",
    "mending_of_runs",
    "mending_of_times",
    "mends_large_values_too",
    "mends_too",
    "tells_known",
]

#: The name under which what is handed over is mended; nothing behind the line is to blame, as for an argument.
HANDED = "handed()"
#: Runs of the sampler that a search may take.
MOST_RUNS = 3_000
#: Further runs in which numbers are solved for.
SOLVING_RUNS = 2_000
#: Cases beside the one searched in that a mending must make right.
CONFIRMED = 6
#: The same of runs that end in an error: where a value mends none, one run is enough to see it.
STOPPED_RUNS = 1_000
#: Runs with more calls are not searched in; the same fault shows in shorter ones, or is not looked for.
MOST_CALLS = 40


def mending_of(evidence: Evidence) -> Mending | None:
    """The earliest own line whose value, replaced by one of the reference's, makes all failing cases right.

    Args:
        evidence: as measured.

    Returns:
        None where there is none, or the reference's source is not known.
    """
    if not evidence.standard.reference:
        return None
    failing = [case for case in evidence.affine_cases if any(d.ratio > 1.0 for d in evidence.compared(case))]
    stopped = [case for case in evidence.affine_cases if _is_stopped(evidence, case)]
    short = [case for case in (*failing, *stopped) if expected_calls(case.config) <= MOST_CALLS]
    if not short:
        return None
    short.sort(key=lambda case: (expected_calls(case.config) < 2, expected_calls(case.config)))
    # What stops a run is what is wrong there; what else is wrong is seen where runs come to their end.
    short = [case for case in short if (case in stopped) == (short[0] in stopped)]
    if not stopped and (line := line_of_handing(evidence, short)) is not None:
        return Mending(line, HANDED)
    first = LawTrial.of(evidence, short[0])
    if first is None:
        return None
    found = [LawTrial.of(evidence, case) for case in _confirming(evidence, short[1:])]
    others = [one for one in found if one is not None]
    if stopped:
        return searched(first, others, STOPPED_RUNS)
    return _found(first, others)


def _found(first: SolvingTrial, others: Sequence[SolvingTrial]) -> Mending | None:
    """The line that mends some cases, by a value of the reference's or a number that is solved for."""
    mending = swapped(first, others) or searched(first, others, MOST_RUNS)
    if mending is None:
        return solved(first, others, MOST_RUNS + SOLVING_RUNS)
    return made_of(narrowed(mending, first, others), first, others, MOST_RUNS + SOLVING_RUNS)


def mending_of_times(evidence: Evidence) -> Mending | None:
    """The same of what the model is told alone, where something else is wrong beside it.

    Args:
        evidence: as measured.

    Returns:
        None where there is none, or the reference's source is not known.
    """
    if not evidence.standard.reference:
        return None
    wrong = [c for c in evidence.affine_cases if any(d.term == "time" and d.ratio > 1.0 for d in evidence.compared(c))]
    short = sorted(
        (case for case in wrong if expected_calls(case.config) <= MOST_CALLS),
        key=lambda case: (expected_calls(case.config) < 2, expected_calls(case.config)),
    )
    trials = [trial for case in short[: CONFIRMED + 1] if (trial := TimesTrial.of(evidence, case)) is not None]
    return _found(trials[0], trials[1:]) if trials else None


def mending_of_runs(evidence: Evidence) -> Mending | None:
    """The same where there is no law, or a clamp bites: of runs on given draws and answers.

    Args:
        evidence: as measured.

    Returns:
        None where there is none, or the reference's source is not known.
    """
    if not evidence.standard.reference:
        return None
    found: list[RunTrial] = []
    cases = [case for case in evidence.cases if not case.config.is_affine or case.config.is_clipped]
    for case in sorted(cases, key=lambda case: expected_calls(case.config)):
        if expected_calls(case.config) > MOST_CALLS or evidence.bundle(case).problem is not None:
            continue
        trial = RunTrial.of(evidence, case)
        if trial is not None and not trial.is_right_as_it_is:
            found.append(trial)
        if len(found) > CONFIRMED:
            break
    found.sort(key=lambda trial: trial.bundle.num_calls < 2)
    if not found:
        return None
    if any(evidence.walked(trial.bundle.case).clamps for trial in found):
        return searched(found[0], found[1:], MOST_RUNS)  # to another bound, in another place, or as it should
    missing = unclamped([trial.variables() for trial in found], [trial.values for trial in found])
    return missing or searched(found[0], found[1:], MOST_RUNS)


def mends_too(evidence: Evidence, case: Case) -> bool:
    """Whether a case that ends in NaN or infinity is right too with what mends the others.

    Args:
        evidence: as measured.
        case: that is not finite.
    """
    mending = evidence.mending
    if mending is None or mending.change is None:
        return False
    # In half and single precision what is put in its place may round to NaN again: the same in the decisive dtype.
    trials = (LawTrial.of(evidence, one) for one in dict.fromkeys((case, evidence.case(case.config))))
    return any(trial is not None and mends(mending, trial) for trial in trials)


def tells_known(evidence: Evidence, line: Line) -> bool:
    """Whether a line assigns what the reference works out too, in a case whose times are wrong all the same.

    Args:
        evidence: as measured.
        line: of the sampler's own, from which the time of a call is.
    """
    if not evidence.standard.reference:
        return False
    wrong = [c for c in evidence.affine_cases if any(d.term == "time" and d.ratio > 1.0 for d in evidence.compared(c))]
    short = sorted(wrong, key=lambda case: expected_calls(case.config))[:CONFIRMED]
    return any(_holds_known(LawTrial.of(evidence, case), line) for case in short)


def _holds_known(trial: LawTrial | None, line: Line) -> bool:
    """Whether all numbers and tables that a line assigns, but for 0 and 1, are values that the reference works out."""
    if trial is None:
        return False
    own = [one for one in trial.variables().items() if one[0].line == line and not one[0].is_argument]
    found = [(one, seen) for one, seen in own if not all(does_nothing(value) for value in seen.values())]
    return bool(found) and all(is_known(one, seen, trial.values, trial.case.shape) for one, seen in found)


def mends_large_values_too(evidence: Evidence, case: Case) -> bool:
    """Whether a run in which large values are bent is right too with what mends the law.

    Args:
        evidence: as measured.
        case: of a reference that is affine and clamps nothing.
    """
    mending = evidence.mending
    if mending is None or mending.change is None:
        return False
    law, run = LawTrial.of(evidence, case), RunTrial.of(evidence, case)
    return law is not None and run is not None and mends(mending, run, law.values)


def _is_stopped(evidence: Evidence, case: Case) -> bool:
    """Whether a run ends in an error of the sampler's own lines; of NaN the first line that makes it is known."""
    problem = evidence.bundle(case).problem
    return problem is not None and problem.kind == "raised"


def _confirming(evidence: Evidence, cases: Sequence[Case]) -> list[Case]:
    """Cases that differ in other terms each, then further ones."""
    seen: set[tuple[str, ...]] = set()
    first: list[Case] = []
    rest: list[Case] = []
    for case in cases:
        terms = tuple(sorted({d.term for d in evidence.compared(case) if d.ratio > 1.0}))
        (rest if terms in seen else first).append(case)
        seen.add(terms)
    return [*first, *rest][:CONFIRMED]
