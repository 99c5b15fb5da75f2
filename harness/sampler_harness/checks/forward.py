"""The rows ``law/forward`` and ``law/partial``: the program's own forward process and its runs from the middle."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import AMPLITUDE, Array
from sampler_harness.law.rounding import rounded_like, rounding
from sampler_harness.law.tolerance import PRECISIONS, SAFETY, Tolerance, tolerance_between
from sampler_harness.observe.probes import Impulses, scattered
from sampler_harness.observe.trace import Case
from sampler_harness.observe.watched import watched
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude, skipped
from .replayed import NOT_AFFINE

__all__ = ["check_forward", "check_partial"]


#: From every entry of a longer grid there are too many runs: some of them, and only where no grid is shorter.
_SHORT_GRID = 50


def _amplitude(dtype: str) -> float:
    """Of an impulse: small, and where that would underflow 1."""
    return 1.0 if PRECISIONS[dtype].is_half else AMPLITUDE


def _impulse(case: Case, element: int) -> torch.Tensor:
    values = torch.zeros(case.shape, dtype=getattr(torch, case.dtype), device=case.device)
    values.view(-1)[element] = _amplitude(case.dtype)
    return values


def _scales(case: Case, index: int, function: Callable[..., Any]) -> tuple[float, float] | str:
    """Weights that a forward function gives to data and draw, read from two impulses; a text where it fails."""
    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    data_at, draw_at = scattered(2, case.numel, 0)
    data, draw = _impulse(case, data_at), _impulse(case, draw_at)
    where: dict[str, Any] = {"device": device, "dtype": dtype}
    found = watched(lambda: function(data, draw, case.config, index, **where), None, device, "sampler")
    result, error = found.result, found.error
    if error is not None:
        return f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not isinstance(result, torch.Tensor) or tuple(result.shape) != case.shape:
        return f"returned {type(result).__name__} of shape {getattr(result, 'shape', None)}, should be {case.shape}"
    if result.dtype != dtype:
        got = str(result.dtype).removeprefix("torch.")
        return f"returned {got} for data and noise of {case.dtype}, should be {case.dtype}"
    flat = result.detach().to("cpu", torch.float64).reshape(-1)
    amplitude = _amplitude(case.dtype)
    return float(flat[data_at]) / amplitude, float(flat[draw_at]) / amplitude


@functools.lru_cache(maxsize=4096)
def _forward_spread(config: Any, index: int, bits: int, *, velocity: bool) -> tuple[float, float]:
    """What rounding does to the two scales: 1 - alpha_bar cancels where alpha_bar is near 1."""
    exact = config.velocity_scales(index) if velocity else config.forward_scales(index)
    if bits > 24:
        return 0.0, 0.0
    largest = [0.0, 0.0]
    for seed in (None, 0, 1, 2, 3):
        with rounding(bits, seed):
            try:
                copied = rounded_like(config)
                rounded = copied.velocity_scales(index) if velocity else copied.forward_scales(index)
            except ValueError:  # a reference without source of its own keeps the floor
                return 0.0, 0.0
        largest = [max(m, abs(float(r) - e)) for m, r, e in zip(largest, rounded, exact, strict=True)]
    return largest[0], largest[1]


def _cast_spread(scales: tuple[float, float], unit: float) -> tuple[float, float]:
    """What a table of alpha_bar that is cast to half precision does: 1 - alpha_bar is then off by the cast."""
    signal, noise = scales
    off = unit * signal**2
    if abs(signal**2 + noise**2 - 1) > 1e-6:  # noise levels are no differences
        return 0.0, 0.0
    return unit * signal, max(math.sqrt(noise**2 + off) - noise, noise - math.sqrt(max(noise**2 - off, 0.0)))


def _judge_scales(
    evidence: Evidence,
    case: Case,
    index: int,
    function: Callable[..., Any],
    should_be: tuple[float, float],
    name: str,
) -> Judged:
    found = _scales(case, index, function)
    if isinstance(found, str):
        return Judged(math.inf, f"{name} at entry {index} of the grid {found}", case, {"step": index})
    precision = PRECISIONS[case.dtype]
    if PRECISIONS[case.dtype].is_half:  # programs keep their tables in float32 and cast what they read there
        spread = _cast_spread(case.config.forward_scales(index), precision.unit)
        spread = spread[::-1] if name == "get_velocity" else spread
    else:
        spread = _forward_spread(case.config, index, precision.bits, velocity=name == "get_velocity")
    allowed = [
        precision.floor * abs(s) + SAFETY * d + 32 * precision.unit for s, d in zip(should_be, spread, strict=True)
    ]
    ratios = [abs(g - s) / a for g, s, a in zip(found, should_be, allowed, strict=True)]
    which = int(np.argmax(ratios))
    where = f"in {case.dtype} " if PRECISIONS[case.dtype].is_half else ""
    text = (
        f"{where}{name} at entry {index} of the grid weighs the {'data' if which == 0 else 'noise'} with "
        f"{found[which]:.6g}, should be {should_be[which]:.6g}: the run from there starts at another level"
    )
    ratio = ratios[which] if math.isfinite(ratios[which]) else math.inf
    return Judged(ratio, text, case, {"step": index, "got": found[which], "should_be": should_be[which]})


def check_forward(evidence: Evidence) -> Finding:
    """``add_noise`` has the law's own signal and noise scales at every entry of the grid."""
    subject = evidence.subject
    if subject.forward is None and subject.velocity is None:
        return skipped("law/forward", "the sampler declares no forward process: add forward=… to the declaration")
    if not evidence.base.config.has_forward:
        return skipped("law/forward", f"{type(evidence.base.config).__name__} states no forward process")
    judged: list[Judged] = []
    told = dict.fromkeys((*evidence.cases[:12], *evidence.telling_cases))
    halves = [dtype for dtype in subject.dtypes if PRECISIONS[dtype].is_half and dtype != evidence.dtype]
    in_half = [dataclasses.replace(case, dtype=dtype) for case in evidence.telling_cases for dtype in halves]
    for case in (*told, *in_half):
        for index in range(min(case.config.num_levels or evidence.bundle(case).num_calls, 50)):
            if subject.forward is not None:
                wanted = case.config.forward_scales(index)
                judged.append(_judge_scales(evidence, case, index, subject.forward, wanted, "add_noise"))
            if subject.velocity is not None:
                wanted = case.config.velocity_scales(index)
                judged.append(_judge_scales(evidence, case, index, subject.velocity, wanted, "get_velocity"))
    return conclude("law/forward", evidence, judged, passed="the forward process starts where the run starts")


def _partial_run(evidence: Evidence, case: Case, index: int, whole: Bundle, first_call: int) -> Judged:
    """A run from entry ``index``, against the tail of the whole run from call ``first_call`` on."""
    subject = evidence.subject
    assert subject.partial is not None
    partial = subject.partial
    element = scattered(3, case.numel, 2)[-1]
    given: list[torch.Tensor] = []

    def entry(model: Any, shape: Any, config: Any, **keywords: Any) -> Any:
        x = given[-1]
        return partial(model, x, config, index, **keywords)

    rows = []
    amplitude = whole.amplitude if PRECISIONS[case.dtype].is_half else AMPLITUDE
    for value in (0.0, amplitude):
        x = torch.zeros(case.shape, dtype=getattr(torch, case.dtype), device=case.device)
        x.view(-1)[element] = value
        given.append(x)
        kept = x.clone()
        stimulus = Impulses()
        calls = whole.num_calls - first_call
        places = [e for e in scattered(case.numel, case.numel, 4) if e != element][:calls]
        if value:
            for call, place in enumerate(places):
                stimulus.outputs[call] = [(place, amplitude)]
        run = whole.execute(stimulus, entry=entry)
        if run.problem is not None:
            return Judged(math.inf, f"a run from entry {index}: {run.problem.message}", case, {"step": index})
        if not torch.equal(x, kept):
            return Judged(math.inf, f"a run from entry {index} changes the tensor it was given", case)
        if len(run.calls) != calls:
            text = (
                f"a run from entry {index} of the grid calls its model {len(run.calls)} times, "
                f"should be {calls} as in the tail of the whole run"
            )
            return Judged(math.inf, text, case, {"step": index})
        rows.append(run)
    known = evidence.standard.law(case) is not None
    tolerance = evidence.standard.tolerance(case) if known else tolerance_between(whole.law, case.dtype)
    if tolerance.outputs.shape != whole.first.response.outputs.shape:
        tolerance = tolerance_between(whole.law, case.dtype)
    return _tail(
        case,
        index,
        whole,
        first_call,
        (rows[1].rows() - rows[0].rows()) / amplitude,
        times_of(rows[1]),
        element,
        places,
        tolerance,
    )


def _tail(
    case: Case,
    index: int,
    whole: Bundle,
    first_call: int,
    rows: Array,
    times: Array,
    element: int,
    places: list[int],
    tolerance: Tolerance,
) -> Judged:
    outputs = whole.first.response.outputs
    should_times = whole.first.response.times[first_call:]
    apart = np.abs(times - should_times) / np.maximum(1e-5 * np.abs(should_times), 1e-6)
    if float(apart.max(initial=0.0)) > 1.0:
        call = int(np.argmax(apart))
        text = (
            f"a run from entry {index}: model call {call} is told time {times[call]:.6g}, should be "
            f"{should_times[call]:.6g} as in the whole run"
        )
        return Judged(float(apart.max()), text, case, {"step": index})
    got = rows[:, places]
    should_be = outputs[first_call:, first_call:]
    gain = rows[:, element]
    # What came before entry `index` reaches later rows only through the state at that entry.
    before = outputs[first_call:, :first_call]
    carried = np.outer(gain / (gain[0] or 1.0), before[0]) if first_call else np.zeros_like(before)
    # Two runs of one program round alike but for the state that the second is given: twice the entry's tolerance.
    allowed = 2 * tolerance.outputs[first_call:]
    pairs = ((got, should_be, allowed[:, first_call:]), (carried, before, allowed[:, :first_call]))
    # A returned sample that is rounded, or has lost a sign, cannot be read from these runs.
    read = slice(None) if whole.last_row and not whole.ends_at_zero else slice(-1)
    ratios = [(np.abs(g - s) / np.maximum(a, 1e-12))[read] for g, s, a in pairs]
    worst = max(float(r.max(initial=0.0)) for r in ratios)
    row = max((int(r.max(axis=1).argmax()) for r in ratios if r.size), default=0)
    text = (
        f"a run from entry {index} of the grid is not the tail of the whole run: {row} calls later the outputs or "
        "the state are weighed otherwise"
    )
    return Judged(worst if math.isfinite(worst) else math.inf, text, case, {"step": index})


def check_partial(evidence: Evidence) -> Finding:
    """A run from step k is the tail of the whole run."""
    if evidence.subject.partial is None:
        return skipped("law/partial", "the sampler declares no runs from the middle: add partial=… to the declaration")
    if evidence.cases and not evidence.affine_cases:
        return skipped("law/partial", NOT_AFFINE.partition(":")[0])
    judged: list[Judged] = []
    runs = [(case, evidence.bundle(case)) for case in evidence.affine_cases[:8]]
    grids = {case: case.config.num_levels or bundle.num_calls for case, bundle in runs}
    few = min((grids[case] for case, bundle in runs if bundle.problem is None), default=0)
    for case, bundle in runs:
        grid = grids[case]
        if bundle.problem is not None or grid > max(few, _SHORT_GRID):
            continue
        # A step calls as often as its order asks for, the last one perhaps less often.
        per_step = math.ceil(bundle.num_calls / grid)
        entries = range(grid) if grid <= _SHORT_GRID else sorted({0, grid // 2, *range(grid - 6, grid)})
        judged += [_partial_run(evidence, case, index, bundle, per_step * index) for index in entries]
    return conclude("law/partial", evidence, judged, passed="runs from the middle are tails of the whole run")
