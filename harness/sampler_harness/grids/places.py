"""Where in the user's own code a wrong level is made: the line whose value, had it been the reference's, would mend it.

The function is run with a value of its own replaced by one that the grid's reference works out. The earliest line with
which all levels are right, here and in other configurations, is the one to look at, if all that it was made of is the
reference's. Where no line's value mends them, and all that the last line reads is the reference's, it is that line. In
all other cases no line is named.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any

import numpy as np
import torch

from sampler_harness.law.intermediates import Site, values_of_levels
from sampler_harness.law.own_values import OwnValue, is_one, like, made_of_known, numbers_of
from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.problems import Problem
from sampler_harness.observe.statements import names_read, node_of
from sampler_harness.observe.walk import Line, Walk, shown, walk_of
from sampler_harness.verdict import Place

from .evidence import GridEvidence, Seen, seen_of
from .reading import Array, Returned, returned

__all__ = ["place_of"]

#: Runs of the function that a search may take.
MOST_RUNS = 1_500
#: Further configurations that a mending must make right.
CONFIRMED = 4
#: Checks that speak of the levels themselves.
_OF_LEVELS = ("grid/finite", "grid/length", "grid/order", "grid/first-level", "grid/end", "grid/levels")


def place_of(id: str, evidence: GridEvidence, seen: Seen) -> Place | None:
    """The line to look at first; None where none is known to be wrong.

    Args:
        id: of the check that fails.
        evidence: as measured.
        seen: where it does.
    """
    if id not in _OF_LEVELS:
        return None
    walked = _walked(evidence, seen)
    line = walked.raised
    if line is None and seen.returned.kind:
        line = walked.last_return()
    elif line is None:
        line = _Search(evidence, seen, walked).line()
    if line is None:
        return None
    lines = {shown(file): found for file, found in walked.ran(None).items()}
    return Place(shown(line.file), line.line, line.function, shorten(line.text, 80), lines, lines)


def _walked(evidence: GridEvidence, seen: Seen) -> Walk:
    def run() -> Problem | None:
        return _asked(evidence, seen).stopped

    return walk_of(run)


def _asked(evidence: GridEvidence, seen: Seen, wrapped: Callable[..., Any] | None = None) -> Returned:
    """The function once more, in a wrapping."""
    subject = evidence.subject
    if wrapped is not None:
        # What the function takes by name is read off its signature.
        subject = dataclasses.replace(subject, function=functools.wraps(subject.function)(wrapped))
    with np.errstate(all="ignore"):
        return returned(subject, seen.config, seen.dtype, evidence.device, evidence.fixtures)


@dataclasses.dataclass
class _Search:
    evidence: GridEvidence
    seen: Seen
    walked: Walk
    runs: int = 0

    def line(self) -> Line | None:
        """The line that is wrong; None where none is known to be."""
        given = values_of_levels(self.seen.config)
        if given is None or _are_right(self.seen):
            return None
        values, once = self._assigned(self.seen)
        known = {variable: _is_known(value, given) for variable, value in values.items()}
        for other in self.others:
            # In one configuration a wrong number may be another one of the reference's by chance.
            there, beside = values_of_levels(other.config) or {}, self._assigned(other)[0]
            known = {v: ok and (v not in beside or _is_known(beside[v], there)) for v, ok in known.items()}
        for variable, value in values.items():
            if known[variable] or variable not in once:
                continue
            for site, new in _candidates(value, given):
                if self.runs > MOST_RUNS:
                    return None
                if self._is_right(self.seen, variable, new) and self._is_right_elsewhere(variable, site):
                    return variable.line if made_of_known(variable, known) else None
        last = self.walked.last_return()
        if last is None or not _reads_known(last, known):
            return None
        return last

    @functools.cached_property
    def others(self) -> list[Seen]:
        """Further configurations in which levels are wrong."""
        wrong = (one for one in self.evidence.seen if one.dtype == self.seen.dtype and not _are_right(one))
        found = [one for one in wrong if one.config != self.seen.config and not one.returned.kind]
        own = self.seen.config.values()
        # Those that have most fields otherwise, since what is met by chance is met there no more.
        found.sort(key=lambda one: -sum(value != own[name] for name, value in one.config.values().items()))
        return found[:CONFIRMED]

    def _assigned(self, seen: Seen) -> tuple[dict[OwnValue, Any], set[OwnValue]]:
        """What own lines assign, in that order, and which of it but once: a loop's names hold several values."""
        values: dict[OwnValue, Any] = {}
        often: set[OwnValue] = set()

        def see(one: Assigned) -> Any:
            if one.name:
                variable = OwnValue(one.line, one.name)
                if variable in values:
                    often.add(variable)
                values[variable] = copy.deepcopy(one.value) if _number(one.value) is not None else one.value
            return KEPT

        self.runs += 1
        _asked(self.evidence, seen, assigning(self.evidence.subject.function, see))
        return values, set(values) - often

    def _is_right(self, seen: Seen, variable: OwnValue, new: Array) -> bool:
        def put(one: Assigned) -> Any:
            if (one.line, one.name) != variable:
                return KEPT
            return int(new) if isinstance(one.value, int) and not isinstance(one.value, bool) else like(one.value, new)

        self.runs += 1
        found = _asked(self.evidence, seen, assigning(self.evidence.subject.function, put, only=variable))
        return _are_right(seen_of(self.evidence.subject, seen.config, seen.dtype, found))

    def _is_right_elsewhere(self, variable: OwnValue, site: Site) -> bool:
        """Whether the same value of the reference's mends other configurations."""
        found = [(one, (values_of_levels(one.config) or {}).get(site)) for one in self.others]
        return all(new is not None and self._is_right(one, variable, new) for one, new in found)


def _are_right(seen: Seen) -> bool:
    """Whether all levels are the reference's, and the end of the run exactly so."""
    read, should_be = seen.read, seen.should_be
    if read.size != should_be.size or not bool((np.abs(read - should_be) <= seen.tolerance).all()):
        return False
    return not (seen.has_end and should_be[-1] == 0) or bool(seen.levels[-1] == 0)


def _number(value: Any) -> Array | None:
    """A value as numbers, a count too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return np.array(float(value))
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, torch.Tensor) for one in value):
        return np.array([float(one) for one in value]) if all(one.numel() == 1 for one in value) else None
    return numbers_of(value)


def _is_known(value: Any, given: Mapping[Site, Array]) -> bool:
    """Whether a value is one that the reference works out, with its end or without, or no number at all."""
    own = _number(value)
    if own is None:
        return True
    # Everything is within a share of infinity.
    finite = (np.where(np.isinf(one), np.sign(one) * np.finfo(float).max, one) for one in given.values())
    return any(own.ndim == one.ndim and (is_one(own, one) or (own.ndim == 1 and _is_cut(own, one))) for one in finite)


def _is_cut(own: Array, other: Array) -> bool:
    """Whether two tables are one but for the end of a run, which is 0 and stands in one of them alone."""
    long, short = (own, other) if own.size > other.size else (other, own)
    return 1 < short.size == long.size - 1 and long[-1] == 0 and is_one(long[:-1], short)


def _candidates(value: Any, given: Mapping[Site, Array]) -> Iterator[tuple[Site, Array]]:
    """The reference's values that may stand in a value's place, each once: numbers for numbers, tables for tables."""
    own = _number(value)
    told: set[bytes] = set()
    for site, other in given.items():
        if own is None or own.ndim > 1 or (own.size == 1) != (other.size == 1 and other.ndim == 0):
            continue
        whole = isinstance(value, int) and not float(other.reshape(-1)[0] if other.size else 0.5).is_integer()
        key = other.tobytes()
        if key not in told and not whole and not is_one(own, other):
            told.add(key)
            yield site, other


def _reads_known(line: Line, known: Mapping[OwnValue, bool]) -> bool:
    """Whether all that a line reads holds what the reference has."""
    node = node_of(line)
    read: Sequence[str] = [] if node is None else list(names_read(node))
    last = {variable.place: ok for variable, ok in known.items()}
    return node is not None and all(last.get((line.function, name), True) for name in read)
