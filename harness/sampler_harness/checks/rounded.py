"""The line in which a time loses digits: without what is rounded there the model is told the right one."""

from __future__ import annotations

from collections.abc import Collection

from sampler_harness.law.reading import times_of
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.rounding import Rounding, rounding
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Line

from .evidence import Evidence
from .told_times import off_by

__all__ = ["lines_that_round_times"]

#: Lines that round something and are asked whether it is a time.
MOST_LINES = 12


def lines_that_round_times(evidence: Evidence, case: Case) -> tuple[Line, ...]:
    """The line that rounds what the model is told, or the two that round it one after the other.

    Context: a value of the reference's, put in place of what such a line gives, is rounded again by its type, so that
    only a line behind it is mended. Choice: leave out the rounding instead. Reversed by: nothing known.

    Args:
        evidence: as measured.
        case: in which times are wrong.

    Returns:
        None of them where the times stay wrong without any rounding, or where no two lines make them wrong.
    """
    mode = Rounding(case.numel)
    evidence.bundle(case).execute(Impulses(), entry=rounding(evidence.subject.function, mode))
    lines = tuple(mode.lines)
    if not lines or len(lines) > MOST_LINES or not _are_right(evidence, case, lines):
        return ()
    # What else is rounded, as a weight, is no reason.
    needed = list(lines)
    for line in lines:
        others = [one for one in needed if one != line]
        if others and _are_right(evidence, case, others):
            needed = others
    same_file = len({line.file for line in needed}) == 1
    return tuple(needed) if len(needed) <= 2 and same_file else ()


def _are_right(evidence: Evidence, case: Case, kept: Collection[Line]) -> bool:
    """Whether all times are right where nothing is rounded in some lines."""
    entry = rounding(evidence.subject.function, Rounding(case.numel, kept))
    run = evidence.bundle(case).execute(Impulses(), entry=entry)
    off = None if run.problem is not None else off_by(evidence, case, times_of(run))
    return off is not None and bool((off <= 1.0).all())
