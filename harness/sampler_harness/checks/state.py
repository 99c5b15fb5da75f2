"""The rows ``state/*``: runs do not change later runs, nor anything else."""

from __future__ import annotations

import math

import numpy as np
import torch

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude
from .law import where

__all__ = ["check_rerun", "check_side_effects"]


def _difference(first: DenseRun | Problem, again: DenseRun | Problem, what: str, case: Case) -> Judged:
    if isinstance(first, Problem):
        return Judged(math.inf, first.message, case)
    if isinstance(again, Problem):
        return Judged(math.inf, f"{what}: {again.message}", case)
    if first.rows.shape != again.rows.shape:
        text = f"{what} the model is called {again.rows.shape[0] - 1} times, at first {first.rows.shape[0] - 1}"
        return Judged(math.inf, text, case)
    differs = np.abs(first.rows - again.rows)
    rows = np.flatnonzero(differs.max(axis=1) > 0)
    if rows.size == 0 and not np.isnan(differs).any():
        return Judged(0.0, case=case)
    row = int(rows[0]) if rows.size else 0
    text = (
        f"{what} the result differs from the first run on the same draws and outputs: by {differs.max():.3g}, "
        f"first in {where(row, len(first.rows) - 1)}: something is left over from the earlier run"
    )
    return Judged(math.inf, text, case, {"step": row})


def check_rerun(evidence: Evidence) -> Finding:
    """A second run, a run after another configuration and interleaved runs give the same result, to the bit."""
    bundle = evidence.bundle(evidence.base)
    if bundle.problem is not None:
        return conclude("state/rerun", evidence, _other_count(evidence), passed="")
    judged = [_difference(bundle.dense, bundle.run_dense(), "in a second run", evidence.base)]
    others = [c for c in evidence.cases if c.config != evidence.base.config][:3]
    for other in others:
        evidence.bundle(other).execute(Impulses())
        judged.append(_difference(bundle.dense, bundle.run_dense(), "after another configuration", evidence.base))
    judged += _after_other_dtype(evidence)
    judged += _interleaved(evidence, others)
    judged += _aliased(evidence)
    return conclude("state/rerun", evidence, judged, passed="later runs equal the first one bit for bit")


def _other_count(evidence: Evidence) -> list[Judged]:
    """Where nothing could be measured: whether the same run, made again, takes another number of steps."""
    bundle = evidence.bundle(evidence.base)
    if bundle.zero.problem is not None:
        return []
    first = len(bundle.zero.calls)
    counts = []
    for other in [c for c in evidence.cases if c.config != evidence.base.config][:3]:
        evidence.bundle(other).execute(Impulses())
        counts.append(len(bundle.execute(Impulses()).calls))
    changed = [count for count in counts if count != first]
    if not changed:
        return []
    text = (
        f"the same run called the model {first} times at first and {changed[0]} times after a run of another "
        "configuration: something is left over from the earlier run"
    )
    return [Judged(math.inf, text, evidence.base)]


def _after_other_dtype(evidence: Evidence) -> list[Judged]:
    """A run in another declared dtype may cast a shared table in place."""
    bundle = evidence.bundle(evidence.base)
    judged = []
    for dtype in evidence.subject.dtypes:
        if dtype == evidence.base.dtype:
            continue
        between = evidence.bundle(evidence.case(evidence.base.config, dtype=dtype))
        if between.zero.problem is None:
            judged.append(_difference(bundle.dense, bundle.run_dense(), f"after a run in {dtype}", evidence.base))
    return judged


def _interleaved(evidence: Evidence, others: list[Case]) -> list[Judged]:
    """Another run in the middle of this one, of the same and of another configuration."""
    bundle = evidence.bundle(evidence.base)
    judged: list[Judged] = []
    for case in (evidence.base, *others[:1]):
        inner = evidence.bundle(case)
        if inner.problem is None:
            judged += _one_inside_the_other(bundle, inner)
    return judged


def _one_inside_the_other(bundle: Bundle, inner: Bundle) -> list[Judged]:
    alone = inner.dense
    started: list[DenseRun | Problem] = []

    def start_another(call: int) -> None:
        if call == 1 and not started:
            started.append(inner.run_dense())

    again = bundle.run_dense(before_call=start_another)
    if not started:
        return []
    return [
        _difference(bundle.dense, again, "with another run started in the middle", bundle.case),
        _difference(alone, started[0], "started in the middle of another run", inner.case),
    ]


def _aliased(evidence: Evidence) -> list[Judged]:
    """A returned sample must not change when the sampler runs again."""
    bundle = evidence.bundle(evidence.base)
    first = bundle.run_dense()
    if isinstance(first, Problem) or not isinstance(first.run.raw_sample, torch.Tensor):
        return []
    kept = first.run.raw_sample.detach().clone()
    bundle.run_dense(draw_scale=0.5)
    same = torch.equal(kept, first.run.raw_sample.detach())
    text = "a second run overwrites the sample that the first one returned: they share memory"
    return [Judged(0.0 if same else math.inf, text, evidence.base)]


def check_side_effects(evidence: Evidence) -> Finding:
    """Arguments and global settings are as before."""
    judged: list[Judged] = []
    for case in evidence.cases[:4]:
        zero = evidence.bundle(case).zero
        judged += [Judged(math.inf, text, case) for text in zero.side_effects]
        if zero.problem is not None:
            continue
        dense = evidence.bundle(case).dense
        runs = [zero] if isinstance(dense, Problem) else [zero, dense.run]
        for run in runs:
            if run.mutated_outputs:
                text = (
                    f"the sampler writes over the tensor that its model returned in call "
                    f"{run.mutated_outputs[0]}: a model that keeps its output would see it changed"
                )
                judged.append(Judged(math.inf, text, case, {"step": run.mutated_outputs[0]}))
        judged.append(Judged(0.0, case=case))
    return conclude("state/side-effects", evidence, judged, passed="arguments and global settings are as before")
