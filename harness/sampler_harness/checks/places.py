"""Where in the sampler's own code a failure is made: each kind of failure has its own way to tell.

Where the line cannot be known, none is named.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sampler_harness.judging import Judged
from sampler_harness.law.dense import dense_values
from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.global_state import OF_TORCH, Generators, settings_now
from sampler_harness.observe.narrowed import first_narrowing
from sampler_harness.observe.probes import Dense, Impulses
from sampler_harness.observe.statements import called_by, goes_through_slices
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Line, Walk, walk, writes_outside

from .evidence import Evidence, expected_calls
from .mended import Mending
from .mending import mends_large_values_too, mends_too, tells_known
from .rounded import lines_that_round_times

__all__ = ["line_of"]

#: Checks that speak of a law's entries: what makes these right makes them pass.
_OF_THE_LAW = (
    "law/times",
    "law/initial-noise",
    "law/outputs",
    "law/noise",
    "law/offset",
    "steps/any",
    "limit/gaussian",
    "limit/order",
)


def line_of(id: str, evidence: Evidence, chosen: Judged, case: Case) -> tuple[Line, ...]:
    """The line to look at first, or two of one file of which it is one.

    Args:
        id: of the check that fails.
        evidence: as measured.
        chosen: what of it is told.
        case: where that was seen.

    Returns:
        None of them where no own line is known to make it.
    """
    is_of_time = chosen.evidence.get("term") == "time" and not chosen.problem
    # A right value in place of what such a line gives is rounded by it again.
    if is_of_time and (rounding := lines_that_round_times(evidence, case)):
        return rounding
    mending = _mending(id, evidence, chosen, case)
    if mending is not None:
        if (drawn := _drawn_too_much(evidence, case)) is not None and drawn.file == mending.line.file:
            # Noise that should not be there is none with a scale of 0 as well as without the line that adds it. A
            # number that is right, and of which the scale is made, is not to blame.
            line = drawn if mending.is_known else mending.other or mending.line
            return (drawn,) if drawn in (line, evidence.walked(case).returned(line)) else (line, drawn)
        walked = evidence.walked(case)
        line, other = _made_in(walked, mending), mending.other
        if (raised := walked.raised) is not None:
            # What stopped the run may be wrong itself, and every check sees that line.
            return (raised,) if line == raised or line.file != raised.file else (raised, line)
        if line != mending.line and not mending.is_argument:
            # Of a table of which a loop takes a part, that may be the wrong part.
            part = goes_through_slices(mending.line) and line.file == mending.line.file
            return (line, mending.line) if part else (line,)
        if other is not None and mending.other_name.endswith(")"):
            other = walked.given(other, mending.other_name)
        elif mending.is_argument and other is not None:
            other = walked.returned(other)
        elif mending.is_argument and line == mending.line:
            other = walked.given_by(line, mending.name)
        return (line,) if other is None or other.file != line.file or other == line else (line, other)
    found = _line_of(id, evidence, chosen, case)
    if found is None:
        return ()
    made = evidence.walked(case).made_before_last_call(found)
    return (found,) if made is None else (made, found)


def _mending(id: str, evidence: Evidence, chosen: Judged, case: Case) -> Mending | None:
    """What makes the entries right that a failure speaks of; None where nothing is known to, or it speaks of others."""
    if {"clamped_to", "by_place", "idle"} & set(chosen.evidence):
        return None
    if chosen.problem == "not-finite":
        return evidence.mending if mends_too(evidence, case) else None
    of_the_law = id in _OF_THE_LAW or (id == "precision/dtype" and chosen.evidence.get("term") == "time")
    if of_the_law and evidence.mending is not None:
        return evidence.mending
    if chosen.problem or evidence.walked(case).raised is not None:
        return None
    if chosen.evidence.get("term") == "time" and evidence.mending_of_times is not None:
        return evidence.mending_of_times
    if id == "clip/replay" and mends_large_values_too(evidence, case):
        return evidence.mending
    if id in ("clip/replay", *_OF_THE_LAW) and (not case.config.is_affine or case.config.is_clipped):
        return evidence.mending_of_runs
    return evidence.mending or evidence.mending_of_runs if id == "shape/batch" else None


def _line_of(id: str, evidence: Evidence, chosen: Judged, case: Case) -> Line | None:
    step, term, draw = (chosen.evidence.get(name) for name in ("step", "term", "draw"))
    row = step if isinstance(step, int) and not isinstance(step, bool) else None
    if chosen.problem == "not-finite":
        return _first_nan(evidence, case)
    walked = evidence.walked(case)
    if "clamped_to" in chosen.evidence:
        return walked.clamping()
    if chosen.problem or walked.raised is not None:
        return walked.raised
    if isinstance(early := chosen.evidence.get("early"), int):
        return walked.line_of_draw(early, seeded=False)
    if "idle" in chosen.evidence and row is not None:
        return walked.calls[row][0] if row < len(walked.calls) and walked.calls[row] else None
    if "by_place" in chosen.evidence:
        return _first_uneven(evidence, case) or _placed(evidence, walked, row, chosen)
    if "foreign" in chosen.evidence:
        return _moving(evidence, case)
    if id == "noise/shape" and "operator" in chosen.evidence:
        return walked.line_of_other(str(chosen.evidence["operator"]))
    if isinstance(draw, int):
        return walked.line_of_draw(draw, seeded="seeded" in chosen.evidence)
    match id:
        case "law/forward":
            return _of_forward(evidence, case, row or 0)
        case "law/partial":
            return _of_partial(evidence, case, row or 0)
        case "precision/dtype" if "held_back" in chosen.evidence and (clamping := walked.only_clamp()) is not None:
            return clamping
        case "precision/dtype" if term != "time":
            return first_narrowing(evidence.subject, case, evidence.fixtures) or _placed(evidence, walked, row, chosen)
        case "state/rerun":
            others = [evidence.case(case.config, dtype=dtype) for dtype in evidence.subject.dtypes]
            return writes_outside(evidence.walked(one) for one in (case, *others, *evidence.cases[:4]))
        case "state/side-effects":
            return _changing(evidence, case)
        case "clip/replay" if row == len(walked.calls) and (bent := _bent_in_return(walked)) is not None:
            return bent
    return _placed(evidence, walked, row, chosen)


def _drawn_too_much(evidence: Evidence, case: Case) -> Line | None:
    """The line that draws where nothing should be added; None where something else is wrong too."""
    wrong = [d for d in evidence.compared(case) if d.ratio > 1.0]
    rows = {d.row for d in wrong if d.column == d.row}
    # What is added in one row is held in those that follow.
    if not rows or any(d.term != "noise" or d.column not in rows or d.should_be != 0.0 for d in wrong):
        return None
    walked = evidence.walked(case)
    drawn = [number for number, (before, _) in enumerate(walked.draws) if before in rows]
    lines = {walked.line_of_draw(number, seeded=False) for number in drawn}
    return lines.pop() if len(lines) == 1 else None


#: What may stand last in a line that gives a sample back and leaves every value as it is.
_UNBENT = (
    "clone", "contiguous", "cpu", "cuda", "detach", "double", "expand", "float", "half", "permute", "reshape",
    "squeeze", "stack", "to", "type", "type_as", "unsqueeze", "view",
)  # fmt: skip


def _bent_in_return(walked: Walk) -> Line | None:
    """The line that gives the sample back, where that calls what is not the user's own: ``return torch.tanh(x)``.

    Only where every model input is right, so that what bends the sample comes behind the last call.
    """
    found = walked.last_return()
    name = None if found is None else called_by(found)
    return found if found is not None and name not in (None, *_UNBENT) and not walked.hands_on(found) else None


def _made_in(walked: Walk, mending: Mending) -> Line:
    if mending.is_argument:
        return walked.given(mending.line, mending.name)
    # What a loop takes from a table, as it stands there, is made with the table.
    return walked.returned(walked.gone_through(mending.line, mending.name) or mending.line)


def _placed(evidence: Evidence, walked: Walk, row: int | None, chosen: Judged) -> Line | None:
    """The line that makes a row, or its noise; None where there is no row in particular."""
    term, got = chosen.evidence.get("term"), chosen.evidence.get("got")
    if term == "count":
        return walked.way_out()
    if row is None:
        return None
    unmade = term == "noise" and chosen.evidence.get("column") == row and got == 0.0
    if unmade and not walked.draws_towards(row):
        runs = [walked, *(evidence.walked(one) for one in evidence.cases[:3])]
        found = next((guard for one in runs if (guard := one.guard_of_draws()) is not None), None)
        found = found or walked.drawn_ahead()
        if found is not None:
            return found
    found = walked.place(row, str(term or ""))
    if term == "time" and row < len(walked.calls) and walked.calls[row]:
        asking = walked.calls[row][0]
        if found is not None and found != asking and tells_known(evidence, found):
            return asking  # what it is told is right, and meant for another call
    return walked.returned(found) if found is not None and term == "initial-noise" else found


def _first_nan(evidence: Evidence, case: Case) -> Line | None:
    """The first own line that gives a name NaN; where none does, infinity."""
    nan: list[Line] = []
    infinite: list[Line] = []

    def visit(one: Assigned) -> Any:
        values = one.value
        if isinstance(values, float) or (isinstance(values, torch.Tensor) and values.is_floating_point()):
            held = torch.as_tensor(values).detach()
            if bool(torch.isnan(held).any()):
                nan.append(one.line)
            elif not isinstance(values, float) and bool(torch.isinf(held).any()):
                infinite.append(one.line)
        return KEPT

    bundle = evidence.bundle(case)
    bundle.execute(
        Dense(
            draws=lambda index, shape: dense_values(0, index, int(torch.Size(shape).numel())).reshape(shape),
            outputs=lambda call, shape: dense_values(1, call, int(torch.Size(shape).numel())).reshape(shape),
        ),
        entry=assigning(evidence.subject.function, visit),
    )
    found = nan or infinite
    return found[0] if found else None


def _changing(evidence: Evidence, case: Case) -> Line | None:
    """The first own line after which a global setting, or an answer of the model, is another one."""
    before = settings_now()
    versions: dict[int, int] = {}
    found: list[Line] = []

    def visit(one: Assigned) -> Any:
        changed = settings_now() != before
        for call, (_, answer) in enumerate(one.calls):
            if isinstance(answer, torch.Tensor):
                changed = changed or versions.setdefault(call, answer._version) != answer._version
        if changed:
            found.append(one.line)
        return KEPT

    evidence.bundle(case).execute(Impulses(), entry=assigning(evidence.subject.function, visit))
    return found[0] if found else None


def _moving(evidence: Evidence, case: Case) -> Line | None:
    """The first own line after which a global generator that is not torch's stands elsewhere."""
    device = torch.device(case.device)
    latest = [Generators(device)]
    found: list[Line] = []

    def visit(one: Assigned) -> Any:
        now = Generators(device)
        if any(name not in OF_TORCH for name in now.moved_since(latest[0])):
            found.append(one.line)
        latest[0] = now
        return KEPT

    evidence.bundle(case).execute(Impulses(), entry=assigning(evidence.subject.function, visit))
    return found[0] if found else None


def _first_uneven(evidence: Evidence, case: Case) -> Line | None:
    """The first own line that makes a sample which is not alike at all places of draws and answers that are.

    What does not hang on them, as a mask by itself, is no sample.
    """

    def made(value: float) -> list[tuple[Line, torch.Tensor]]:
        found: list[tuple[Line, torch.Tensor]] = []

        def visit(one: Assigned) -> Any:
            if isinstance(one.value, torch.Tensor) and tuple(one.value.shape) == case.shape:
                found.append((one.line, one.value.detach().clone()))
            return KEPT

        def alike(index: int, shape: tuple[int, ...]) -> Any:
            return np.full(shape, value)

        entry = assigning(evidence.subject.function, visit)
        evidence.bundle(case).execute(Dense(draws=alike, outputs=alike), entry=entry)
        return found

    for (line, one), (_, other) in zip(made(0.25), made(0.5), strict=False):
        if not bool((one == one.reshape(-1)[0]).all()) and not torch.equal(one, other):
            return line
    return None


def _of_forward(evidence: Evidence, case: Case, index: int) -> Line | None:
    """The line that gives back what the declared forward process makes."""
    subject = evidence.subject
    forward = subject.forward or subject.velocity

    def run(model: Any, shape: tuple[int, ...], config: Any, *, device: Any, dtype: Any, **_: Any) -> Any:
        values = torch.zeros(shape, device=device, dtype=dtype)
        assert forward is not None
        return forward(values, values.clone(), config, index, device=device, dtype=dtype)

    walked = walk(subject, case, fixtures=evidence.fixtures, entry=run)
    return walked.last_return()


def _of_partial(evidence: Evidence, case: Case, index: int) -> Line | None:
    """The line of the declared run from the middle that starts the steps."""
    subject = evidence.subject
    partial = subject.partial
    limit = 4 * expected_calls(case.config) + 64

    def run(model: Any, shape: tuple[int, ...], config: Any, *, device: Any, dtype: Any, **keywords: Any) -> Any:
        assert partial is not None
        values = torch.zeros(shape, device=device, dtype=dtype)
        return partial(model, values, config, index, device=device, dtype=dtype, **keywords)

    walked = walk(subject, case, fixtures=evidence.fixtures, call_limit=limit, entry=run)
    return walked.calls[0][-1] if walked.calls and walked.calls[0] else walked.last_return()
