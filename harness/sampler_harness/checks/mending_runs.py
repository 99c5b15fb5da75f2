"""The same search where there is no law, or a clamp bites: runs on given draws and answers, row by row.

The reference is run on the very draws and answers that the sampler got; what it works out then, whole arrays too, is
what a name of the sampler's own should hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.intermediates import Intermediates, intermediates_of
from sampler_harness.law.reading import times_of
from sampler_harness.law.replay import drawn_and_called, in_order, innovations, matched_noise, with_fresh_noise
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS, SAFETY, reference_response, time_tolerance
from sampler_harness.observe.assigned import assigning
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case

from .evidence import Evidence, expected_calls
from .mending import CONFIRMED, MOST_ALIKE, MOST_CALLS, MOST_RUNS, Mending
from .replacing import Change, Variables, changes, likeliest_first, moved, path_of, replacing
from .replayed import row_ratios, row_tolerance

__all__ = ["mending_of_runs"]


def mending_of_runs(evidence: Evidence) -> Mending | None:
    """The earliest own line whose value, replaced by one of the reference's, makes the failing runs right.

    Args:
        evidence: as measured.

    Returns:
        None where there is none, or the reference's source is not known.
    """
    if not evidence.standard.reference:
        return None
    found: list[_Given] = []
    cases = [case for case in evidence.cases if not case.config.is_affine or case.config.is_clipped]
    for case in sorted(cases, key=lambda case: expected_calls(case.config)):
        if expected_calls(case.config) > MOST_CALLS or evidence.bundle(case).problem is not None:
            continue
        given = _Given.of(evidence, case)
        if given is not None and not given.is_right(given.dense):
            found.append(given)
        if len(found) > CONFIRMED:
            break
    found.sort(key=lambda given: given.bundle.num_calls < 2)
    return _searched(found[0], found[1:]) if found else None


def _searched(given: _Given, others: Sequence[_Given]) -> Mending | None:
    runs = 0
    seen = Variables(given.case.shape)
    given.run(seen.visit)
    for variable, own in likeliest_first(seen.found(), given.values, given.case.shape):
        if not given.changed(given.run(moved(variable, given.case.shape), variable[:2])):
            continue
        for alike in changes(variable, own, given.values, given.case.shape):
            change = alike[0]
            runs += 1
            if runs > MOST_RUNS:
                return None
            if not given.right_with(change):
                continue
            if any(all(other.right_with(one) for other in others) for one in alike[:MOST_ALIKE]):
                return Mending(variable.line, variable.name)
    return None


@dataclasses.dataclass(frozen=True)
class _Given:
    """A case, with the reference's own run on the sampler's draws and answers.

    Attributes:
        evidence: as measured.
        case: what is run.
        bundle: its runs.
        dense: the run that is held against the reference.
        rows: of the reference.
        spread: what rounding does to them.
        times: that it tells its model; None where they are not asked.
        values: what it works out.
    """

    evidence: Evidence
    case: Case
    bundle: Bundle
    dense: DenseRun
    rows: Array
    spread: Array
    times: Array | None
    values: Intermediates

    @staticmethod
    def of(evidence: Evidence, case: Case) -> _Given | None:
        """None where the two runs cannot be laid beside each other."""
        bundle = evidence.bundle(case)
        dense = bundle.dense
        config = evidence.side_of(case).config if case.config.is_affine else case.config
        if not isinstance(dense, DenseRun) or bundle.layout is None:
            return None
        bits = PRECISIONS[case.dtype].bits
        outputs, shape = dense.outputs, case.shape
        if case.config.is_affine:
            fresh = innovations(bundle.first.response, dense.fields, PRECISIONS[case.dtype].unit)
            has_variance = learned_variance(config)
            found = with_fresh_noise(
                config, shape, outputs, fresh, bits=bits, tables=True, learned_variance=has_variance
            )
            if found is None or found[0].shape != dense.rows.shape:
                return None
            noise = matched_noise(reference_response(config, has_variance), shape, fresh)
            values = intermediates_of(config, shape, outputs, noise)
            return None if values is None else _Given(evidence, case, bundle, dense, *found, None, values)
        wanted, calls = drawn_and_called(config)
        if calls != outputs.shape[0] or len(bundle.counted_fields) != len(wanted):
            return None
        fields = dense.fields[list(bundle.counted_fields)]
        exact, spread = in_order(config, shape, outputs, fields, bits=bits, tables=True)
        drawn = iter(fields)
        values = intermediates_of(config, shape, outputs, lambda: next(drawn).reshape(shape))
        if values is None:
            return None
        return _Given(evidence, case, bundle, dense, exact.rows, spread.rows, exact.times, values)

    def run(self, visit: Callable[[Any], Any], only: Any = None) -> Any:
        """The dense run once more, with what a visitor makes of it."""
        return self.bundle.run_dense(entry=assigning(self.evidence.subject.function, visit, only=only))

    def changed(self, run: Any) -> bool:
        """Whether it is another run than the sampler's."""
        if not isinstance(run, DenseRun) or run.rows.shape != self.dense.rows.shape:
            return True
        same_times = np.array_equal(times_of(run.run), times_of(self.dense.run))
        return not (same_times and np.array_equal(run.rows, self.dense.rows))

    def is_right(self, run: Any) -> bool:
        """Whether every row is the reference's, as ``clip/replay`` holds them against each other."""
        if not isinstance(run, DenseRun) or run.rows.shape != self.rows.shape:
            return False
        if self.times is not None and not (np.abs(times_of(run.run) - self.times) <= time_tolerance(self.times)).all():
            return False
        floor = PRECISIONS[self.case.dtype].floor
        tolerance = row_tolerance(self.rows, self.spread, floor=floor, safety=SAFETY)
        ratios = row_ratios(self.bundle, run.rows, self.rows, tolerance)
        if not self.bundle.last_row and self.bundle.subject.quantised is None:
            ratios = ratios[:-1]
        return bool(ratios.max() <= 1.0)

    def right_with(self, change: Change) -> bool:
        """Whether a change of one value makes it so."""
        path = path_of(self.values, change)
        if path is None:
            return False
        return self.is_right(self.run(replacing(change, path, self.case.shape), change.variable[:2]))
