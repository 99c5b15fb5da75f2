"""How a failing check of a sampler is told: made smaller first, with the line of the user's own code and a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from textwrap import shorten
from typing import Any

from sampler_harness import judging
from sampler_harness.judging import Failure, Judged, described, import_line, nothing_seen, short, skipped, told
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import shown
from sampler_harness.strategies import smallest_failing
from sampler_harness.subject.allowed import bounds_of, is_strategy, named_values
from sampler_harness.verdict import Finding, Place

from .evidence import Evidence, expected_calls
from .places import line_of
from .shown import shown as shown_by

__all__ = ["Judged", "conclude", "nothing_seen", "skipped"]


def _size(judged: Judged) -> tuple[bool, int, int]:
    """Causes before consequences, then few steps, then few options."""
    config = judged.case.config if judged.case is not None else None
    return (
        judged.consequence_of is not None,
        expected_calls(config) if config is not None else 0,
        len(short(config)),
    )


def conclude(
    id: str,
    evidence: Evidence,
    judged: Sequence[Judged],
    *,
    passed: str,
    shrink: Callable[[Case], Sequence[Judged]] | None = None,
    why_nothing: str = "no case could be measured",
    notes: Sequence[str] = (),
) -> Finding:
    """One finding from all judgements.

    Args:
        id: the check.
        evidence: for shrinking and for what to print.
        judged: everything that was judged; none is an error.
        passed: what to say when all is well.
        shrink: judges one more case, for making a failure smaller; None where that has no meaning.
        why_nothing: why there may be no judgement.
        notes: what a reader should know, whether or not the check fails.
    """
    if not judged and any(evidence.bundle(case).problem is not None for case in evidence.cases):
        cause = None if id == "law/times" else "law/times"
        return nothing_seen(id, "the sampler could not be measured", consequence_of=cause)

    def tell(failing: list[Judged]) -> Failure:
        chosen, pinned_by = min(failing, key=_size), shown_by(id, evidence, failing)
        if shrink is not None and chosen.case is not None:
            chosen = _shrunk(evidence, chosen, shrink)
        details, lines, place = dict(chosen.evidence), [chosen.message], None
        if (case := chosen.case) is not None:
            details |= described(case)
            lines.append(f"smallest configuration: {told(case.config)}, shape {case.shape}, {case.dtype}")
            place = _place(id, evidence, chosen, case)
            if place is not None:
                details |= {name: value for name, value in dataclasses.asdict(place).items() if name != "hands_on"}
                lines.append(f"look at: {place.told}")
        details["failing"] = f"{len(failing)} of {len(judged)}"
        script = _reproduction(evidence, chosen)
        return Failure("\n".join(lines), details, script, chosen.consequence_of, chosen.problem, place, pinned_by)

    return judging.conclude(id, judged, passed=passed, tell=tell, why_nothing=why_nothing, notes=notes)


def _place(id: str, evidence: Evidence, chosen: Judged, case: Case) -> Place | None:
    """Where in the user's own code the failing row is computed; None where no line of theirs ran."""
    found = line_of(id, evidence, chosen, case)
    if not found:
        return None
    line, *others = found
    step = chosen.evidence.get("step")
    row = step if isinstance(step, int) and not isinstance(step, bool) else None
    walked = evidence.walked(case)
    return Place(
        shown(line.file),
        line.line,
        line.function,
        shorten(line.text, 80),
        {shown(file): lines for file, lines in walked.ran(row).items()},
        {shown(file): lines for file, lines in walked.ran(None).items()},
        walked.hands_on(line),
        others[0].line if others else 0,
    )


def _shrunk(evidence: Evidence, chosen: Judged, judge: Callable[[Case], Sequence[Judged]]) -> Judged:
    """The same failure in the smallest configuration that Hypothesis can find within its own budget."""
    assert chosen.case is not None
    kept: dict[Any, Judged] = {}

    def fails(config: Any) -> bool:
        if config not in kept:
            again = [j for j in judge(evidence.case(config)) if j.fails and j.consequence_of is None]
            kept[config] = min(again, key=_size) if again else Judged(0.0)
        return kept[config].fails

    if chosen.consequence_of is not None:
        return chosen
    plain = _plainer(evidence, chosen.case.config, fails)
    chosen = kept.get(plain, chosen)
    assert chosen.case is not None
    smallest = smallest_failing(evidence.subject, fails, evidence.budget, chosen.case.config)
    best = kept.get(smallest, chosen)
    return best if best.fails and _size(best) <= _size(chosen) else chosen


def _plainer(evidence: Evidence, config: Any, fails: Callable[[Any], bool]) -> Any:
    """The same number of steps, with the default or the base's value of everything that the failure does not need."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in evidence.covering.values:
        if name == "num_steps":
            continue
        usual = [defaults[name]] if _allows(evidence.subject.fields[name], defaults[name]) else []
        for value in (*usual, evidence.covering.base.values()[name]):
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
    if "draw" in chosen.evidence:
        return _script_of_draws(evidence, chosen, case, target)
    if not case.config.is_affine:
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
        import_line(case.config),
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


def _script_of_draws(evidence: Evidence, chosen: Judged, case: Case, target: str) -> str:
    """A script that shows from which states of their generators draws are made."""
    fed = "earlier" not in chosen.evidence
    lines = [
        "from sampler_harness.law.bundle import Bundle",
        "from sampler_harness.observe.trace import Case",
        "from sampler_harness.targets import load_subject",
        *(["from sampler_harness.checks.sources import not_fed"] if fed else []),
        import_line(case.config),
        f"subject = load_subject({target!r})",
        f"config = {_pasted(evidence, case.config)}",
        f"bundle = Bundle(subject, Case(config, {case.shape}, {case.dtype!r}))",
        "for index, draw in enumerate(bundle.draws.run.draws):",
        '    print(index, draw.operator, draw.shape, "generator state", draw.stretch.before)',
        'print("not fed by the given generator", not_fed(bundle))' if fed else "print(*bundle.draws.overlaps())",
        f"# {chosen.message.splitlines()[0]}",
    ]
    return "\n".join(lines)


def _pasted(evidence: Evidence, config: Any) -> str:
    """A configuration in a script; a long table is taken from the declaration where that fixes it."""
    text = short(config)
    for name, value in evidence.subject.fields.items():
        kept = config.values().get(name)
        if (
            isinstance(kept, tuple)
            and len(repr(kept)) > 200
            and tuple(value if isinstance(value, Iterable) else ()) == kept
        ):
            text = text.replace(f"{name}={kept!r}", f"{name}=tuple(subject.fields[{name!r}])")
    return text
