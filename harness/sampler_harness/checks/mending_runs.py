"""A case that has no law, or in which a clamp bites, run on given draws and answers with values replaced.

The reference is run on the very draws and answers that the sampler got; what it works out then, whole arrays too, is
what a name of the sampler's own should hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
from sampler_harness.observe.walk import Line

from .evidence import Evidence
from .mended import Visit
from .replacing import Variable, Variables, moved
from .replayed import row_ratios, row_tolerance

__all__ = ["RunTrial"]


@dataclasses.dataclass
class RunTrial:
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
        runs: how often the sampler was run.
    """

    evidence: Evidence
    case: Case
    bundle: Bundle
    dense: DenseRun
    rows: Array
    spread: Array
    times: Array | None
    values: Intermediates
    runs: int = 0

    @staticmethod
    def of(evidence: Evidence, case: Case) -> RunTrial | None:
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
            return None if values is None else RunTrial(evidence, case, bundle, dense, *found, None, values)
        wanted, calls = drawn_and_called(config)
        if calls != outputs.shape[0] or len(bundle.counted_fields) != len(wanted):
            return None
        fields = dense.fields[list(bundle.counted_fields)]
        exact, spread = in_order(config, shape, outputs, fields, bits=bits, tables=True)
        drawn = iter(fields)
        values = intermediates_of(config, shape, outputs, lambda: next(drawn).reshape(shape))
        if values is None:
            return None
        return RunTrial(evidence, case, bundle, dense, exact.rows, spread.rows, exact.times, values)

    @property
    def is_right_as_it_is(self) -> bool:
        """Whether nothing is wrong."""
        return self._is_right(self.dense)

    def is_right_by(self, entry: Callable[..., Any]) -> bool:
        """Whether every row is the reference's by another way in.

        Args:
            entry: what is called in the sampler's place.
        """
        self.runs += 1
        return self._is_right(self.bundle.run_dense(entry=entry))

    def variables(self) -> dict[Variable, dict[int, Any]]:
        """What own lines assign, by segment."""
        seen = Variables(self.case.shape)
        self.runs += 1
        self.bundle.run_dense(entry=assigning(self.evidence.subject.function, seen.visit))
        return seen.found()

    def depends_on(self, variable: Variable, held: bool) -> bool:
        """Whether the run is another one where a variable is a little off."""
        run = self._run(moved(variable, self.case.shape), variable, held)
        if not isinstance(run, DenseRun) or run.rows.shape != self.dense.rows.shape:
            return True
        same_times = np.array_equal(times_of(run.run), times_of(self.dense.run))
        return not (same_times and np.array_equal(run.rows, self.dense.rows))

    def may_be_right(self, visit: Visit, variable: Variable, held: bool) -> bool:
        """As much as :meth:`is_right`, which takes one run."""
        return True

    def is_right(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> bool:
        """Whether every row is the reference's, as ``clip/replay`` holds them against each other."""
        return self._is_right(self._run(visit, variable, held, at))

    def _run(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> Any:
        """The dense run once more, with what a visitor makes of it."""
        self.runs += 1
        entry = assigning(self.evidence.subject.function, visit, only=variable[:2], held=held, at=at)
        return self.bundle.run_dense(entry=entry)

    def _is_right(self, run: Any) -> bool:
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
