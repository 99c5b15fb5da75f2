"""From judgements of single cases to the finding of a check."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

from sampler_harness.cases import smallest_failing
from sampler_harness.law.replay import is_affine
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import shown
from sampler_harness.strategies import bounds_of, is_strategy, named_values
from sampler_harness.verdict import Finding, Place

from .evidence import Evidence, expected_calls, short, told

__all__ = ["Judged", "conclude", "nothing_seen", "skipped"]

#: JSON has no infinity; a difference that no tolerance measures is told as this.
LARGEST_MARGIN = 1e9


@dataclass(frozen=True)
class Judged:
    """What a check found in one case.

    Attributes:
        ratio: deviation over tolerance; above 1 fails, infinity where there is no number for it.
        message: what was seen and what should be, for a person.
        case: where.
        evidence: step, term, got, should_be, ….
        consequence_of: the check whose failure explains this.
        problem: kind of the problem for which nothing could be measured.
    """

    ratio: float
    message: str = ""
    case: Case | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    consequence_of: str | None = None
    problem: str = ""


def _bounded(ratio: float) -> float:
    return LARGEST_MARGIN if not math.isfinite(ratio) else min(ratio, LARGEST_MARGIN)


def _size(judged: Judged) -> tuple[bool, int, int]:
    """Causes before consequences, then few steps, then few options."""
    config = judged.case.config if judged.case is not None else None
    return (
        judged.consequence_of is not None,
        expected_calls(config) if config is not None else 0,
        len(short(config)),
    )


def skipped(id: str, reason: str) -> Finding:
    """The check does not apply; says why."""
    return Finding(id, "skipped", reason)


def nothing_seen(id: str, why: str, *, consequence_of: str | None = None) -> Finding:
    """The check applies but had nothing to judge: an error, never a pass."""
    return Finding(id, "error", f"saw nothing: {why}", consequence_of=consequence_of)


def conclude(
    id: str,
    evidence: Evidence,
    judged: Sequence[Judged],
    *,
    passed: str,
    shrink: Callable[[Case], Sequence[Judged]] | None = None,
    why_nothing: str = "no case could be measured",
) -> Finding:
    """One finding from all judgements.

    Args:
        id: the check.
        evidence: for shrinking and for what to print.
        judged: everything that was judged; none is an error.
        passed: what to say when all is well.
        shrink: judges one more case, for making a failure smaller; None where that has no meaning.
        why_nothing: why there may be no judgement.
    """
    if not judged:
        broken = next((c for c in evidence.cases if evidence.bundle(c).problem is not None), None)
        cause = None
        if broken is not None:
            why_nothing = "the sampler could not be measured"
            cause = None if id == "law/times" else "law/times"
        return nothing_seen(id, why_nothing, consequence_of=cause)
    margin = _bounded(max(j.ratio for j in judged))
    failing = [j for j in judged if not j.ratio <= 1.0]
    if not failing:
        return Finding(id, "passed", passed, {"judged": len(judged)}, margin=margin)
    chosen = min(failing, key=_size)
    if shrink is not None and chosen.case is not None:
        chosen = _shrunk(evidence, chosen, shrink)
    details = dict(chosen.evidence)
    lines = [chosen.message]
    place = None
    if chosen.case is not None:
        details["configuration"] = short(chosen.case.config)
        details["shape"] = list(chosen.case.shape)
        details["dtype"] = chosen.case.dtype
        lines.append(
            f"smallest configuration: {told(chosen.case.config)}, shape {chosen.case.shape}, {chosen.case.dtype}"
        )
        place = _place(evidence, chosen, chosen.case)
        if place is not None:
            details |= dataclasses.asdict(place)
            lines.append(f"look at: {place.file}, line {place.line}, in {place.function}: {place.text}")
    details["failing"] = f"{len(failing)} of {len(judged)}"
    causes = [j for j in failing if j.consequence_of is None]
    return Finding(
        id,
        "failed",
        "\n".join(lines),
        details,
        margin=margin,
        consequence_of=None if causes else chosen.consequence_of,
        reproduction=_reproduction(evidence, chosen),
        problem=chosen.problem,
        place=place,
    )


def _place(evidence: Evidence, chosen: Judged, case: Case) -> Place | None:
    """Where in the user's own code the failing row is computed; None where no line of theirs ran."""
    step, term = chosen.evidence.get("step"), str(chosen.evidence.get("term", ""))
    walked = evidence.walked(case)
    row = step if isinstance(step, int) and not isinstance(step, bool) else None
    line = walked.place(row, term)
    if line is None:
        return None
    return Place(
        shown(line.file),
        line.line,
        line.function,
        shorten(line.text, 80),
        {shown(file): lines for file, lines in walked.ran(row).items()},
        {shown(file): lines for file, lines in walked.ran(None).items()},
    )


def _shrunk(evidence: Evidence, chosen: Judged, judge: Callable[[Case], Sequence[Judged]]) -> Judged:
    """The same failure in the smallest configuration that Hypothesis can find within its own budget."""
    assert chosen.case is not None
    kept: dict[Any, Judged] = {}

    def fails(config: Any) -> bool:
        if config not in kept:
            again = [j for j in judge(evidence.case(config)) if not j.ratio <= 1.0 and j.consequence_of is None]
            kept[config] = min(again, key=_size) if again else Judged(0.0)
        return not kept[config].ratio <= 1.0

    if chosen.consequence_of is not None:
        return chosen
    plain = _plainer(evidence, chosen.case.config, fails)
    chosen = kept.get(plain, chosen)
    assert chosen.case is not None
    smallest = smallest_failing(evidence.subject, fails, evidence.budget, chosen.case.config)
    best = kept.get(smallest, chosen)
    return best if not best.ratio <= 1.0 and _size(best) <= _size(chosen) else chosen


def _plainer(evidence: Evidence, config: Any, fails: Callable[[Any], bool]) -> Any:
    """The same number of steps, with the default or the base's value of everything that the failure does not need."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in evidence.covering.values:
        if name == "num_steps":
            continue
        usual = [defaults[name]] if _allows(evidence.subject.fields[name], defaults[name]) else []
        for value in (*usual, getattr(evidence.covering.base, name)):
            try:
                other = dataclasses.replace(config, **{name: value})
            except (ValueError, TypeError):
                continue
            if len(short(other)) < len(short(config)) and fails(other):
                config = other
    return config


def _allows(declared: Any, value: Any) -> bool:
    """Whether a strategy names a value, or has it between its ends."""
    bounds = bounds_of(declared) if is_strategy(declared) else None
    if bounds is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return any(type(one) is type(value) and one == value for one in named_values(declared) or ())
    return bool(bounds[0] <= value <= bounds[1])


def _reproduction(evidence: Evidence, chosen: Judged) -> str:
    """A script that shows the failure with literal inputs."""
    target = evidence.subject.target or evidence.subject.name
    if chosen.case is None or ":" not in target or target.startswith("diffusers:"):
        return ""
    case = chosen.case
    if not is_affine(case.config):
        return "\n".join(
            [
                "from sampler_harness import check_sampler",
                "from sampler_harness.targets import load_subject",
                f"verdict = check_sampler(load_subject({target!r}), budget={evidence.budget.name!r})",
                "for finding in verdict.findings:",
                "    print(finding.id, finding.outcome, finding.message)",
                f"# {chosen.message.splitlines()[0]}",
            ]
        )
    lines = [
        "import dataclasses, numpy as np",
        "from sampler_harness import respond",
        "from sampler_harness.targets import load_subject",
        f"from {type(case.config).__module__.rpartition('.')[0] or type(case.config).__module__} "
        f"import {type(case.config).__name__}"
        if type(case.config).__module__.startswith("reference_samplers")
        else f"from {type(case.config).__module__} import {type(case.config).__name__}",
        f"subject = load_subject({target!r})",
        f"config = {_pasted(evidence, case.config)}",
        f"response = respond(subject, config, shape={case.shape}, dtype={case.dtype!r})",
        "np.set_printoptions(precision=6, suppress=True)",
        'print("times  ", response.times)',
        'print("noise  ", response.noise, sep="\\n")',
        'print("outputs", response.outputs, sep="\\n")',
        f"# {chosen.message.splitlines()[0]}",
    ]
    return "\n".join(lines)


def _pasted(evidence: Evidence, config: Any) -> str:
    """A configuration in a script; a long table is taken from the declaration where that fixes it."""
    text = short(config)
    for name, value in evidence.subject.fields.items():
        kept = getattr(config, name, None)
        if (
            isinstance(kept, tuple)
            and len(repr(kept)) > 200
            and tuple(value if isinstance(value, Iterable) else ()) == kept
        ):
            text = text.replace(f"{name}={kept!r}", f"{name}=tuple(subject.fields[{name!r}])")
    return text
