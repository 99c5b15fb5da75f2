"""How a check of a training step is judged and told."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from sampler_harness import judging
from sampler_harness.judging import Failure, Judged, bounded, described, import_line, short, told
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding, Place

from .evidence import TrainingEvidence
from .places import place_of

__all__ = ["Judged", "check", "conclude"]

FIRST = "training/time-distribution"


def _unmeasured(id: str, evidence: TrainingEvidence) -> Finding | None:
    """The finding of a check where the step could not be run as declared; None where it could."""
    broken = next((law for law in (*evidence.laws, *evidence.shaped) if law.problem is not None), None)
    if broken is None or broken.problem is None:
        return None
    message = f"{broken.problem.message}\nin {told(broken.case.config)}, x0 of shape {broken.case.shape}"
    details = {"problem": broken.problem.kind, "configuration": short(broken.case.config)}
    owner = "training/gradient" if broken.problem.kind == "detached" else FIRST
    if id == owner:
        outside = broken.problem.kind == "outside"
        place = place_of(id, evidence, broken.case) if broken.problem.kind in ("detached", "raised") else None
        message += f"\n{_look_at(place)}" if place is not None else ""
        return Finding(id, "error" if outside else "failed", message, details, margin=None, place=place)
    return Finding(id, "error", f"saw nothing: {broken.problem.message}", details, consequence_of=owner)


def _look_at(place: Place) -> str:
    return f"look at: {place.told}"


def check(id: str) -> Callable[[Callable[[TrainingEvidence], Finding]], Callable[[TrainingEvidence], Finding]]:
    """Make a check of a function: judged once, and never where the step could not be run at all.

    Args:
        id: of the check.
    """

    def decorate(judge: Callable[[TrainingEvidence], Finding]) -> Callable[[TrainingEvidence], Finding]:
        @functools.wraps(judge)
        def once(evidence: TrainingEvidence) -> Finding:
            if id not in evidence.findings:
                # A faulty step's times may lie anywhere, and overflow where the reference is asked about them.
                with np.errstate(all="ignore"):
                    evidence.findings[id] = _unmeasured(id, evidence) or judge(evidence)
            return evidence.findings[id]

        return once

    return decorate


def conclude(
    id: str,
    evidence: TrainingEvidence,
    judged: Sequence[Judged],
    *,
    passed: str,
    after: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> Finding:
    """One finding from all judgements.

    Args:
        id: the check.
        evidence: for the script that reproduces it.
        judged: everything that was judged; none is an error.
        passed: what to say when all is well.
        after: findings of checks whose failure explains one of this.
        notes: what a reader should know, whether or not the check fails.
    """
    cause = next((f.consequence_of or f.id for f in after if f.outcome == "failed"), None)
    judged = [dataclasses.replace(j, consequence_of=j.consequence_of or cause) for j in judged]

    def tell(failing: list[Judged]) -> Failure:
        cases = [(j, j.case) for j in failing if j.case is not None]
        chosen, case = min(cases, key=lambda pair: (len(short(pair[1].config)), -bounded(pair[0].ratio)))
        details = {**chosen.evidence, **described(case), "failing": f"{len(failing)} of {len(judged)}"}
        lines = [chosen.message]
        lines.append(f"smallest configuration: {told(case.config)}, x0 of shape {case.shape}, {case.dtype}")
        place = place_of(id, evidence, case, in_input=bool(chosen.evidence.get("in_input")))
        if place is not None:
            details |= {name: value for name, value in dataclasses.asdict(place).items() if name != "hands_on"}
            lines.append(_look_at(place))
        script = _reproduction(evidence, chosen, case)
        return Failure("\n".join(lines), details, script, chosen.consequence_of, place=place)

    why_nothing = "no item of any case could be judged"
    return judging.conclude(id, judged, passed=passed, tell=tell, why_nothing=why_nothing, notes=notes)


def _reproduction(evidence: TrainingEvidence, chosen: Judged, case: Case) -> str:
    """A script that shows the step's figures with literal inputs."""
    target = evidence.subject.target or evidence.subject.name
    if ":" not in target:
        return ""
    return "\n".join(
        [
            "from sampler_harness.observe.trace import Case",
            "from sampler_harness.targets import load_subject",
            "from sampler_harness.training.law import measure",
            import_line(case.config),
            f"subject = load_subject({target!r})",
            f"config = {short(case.config)}",
            f"law = measure(subject, Case(config, {case.shape}, {case.dtype!r}))",
            "for item in law.items:",
            "    level = config.level_of_time(item.time)",
            '    print("time", item.time, "input: x0", item.a, "noise", dict(item.noises), end=" ")',
            '    print("should be", config.input_scales(level))',
            '    print("    target: x0", item.target_x0, "noise", dict(item.target_noises), end=" ")',
            '    print("should be", config.target_scales(level), "weight", item.curvature)',
            f"# {chosen.message.splitlines()[0]}",
        ]
    )
