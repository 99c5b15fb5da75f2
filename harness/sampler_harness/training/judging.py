"""From judgements of single items to the finding of a check of a training step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import short, told
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding

from .evidence import TrainingEvidence

__all__ = ["Judged", "check", "conclude"]

LARGEST_MARGIN = 1e9
FIRST = "training/time-distribution"


@dataclass(frozen=True)
class Judged:
    """What a check found of one figure.

    Attributes:
        ratio: deviation over tolerance; above 1 fails, infinity where there is no number for it.
        message: what was seen and what should be, for a person.
        case: where.
        evidence: time, got, should_be, ….
    """

    ratio: float
    message: str
    case: Case
    evidence: dict[str, Any] = field(default_factory=dict)


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
        return Finding(id, "error" if outside else "failed", message, details, margin=None)
    return Finding(id, "error", f"saw nothing: {broken.problem.message}", details, consequence_of=owner)


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
) -> Finding:
    """One finding from all judgements.

    Args:
        id: the check.
        evidence: for the script that reproduces it.
        judged: everything that was judged; none is an error.
        passed: what to say when all is well.
        after: findings of checks whose failure explains one of this.
    """
    if not judged:
        return Finding(id, "error", "saw nothing: no item of any case could be judged")
    worst = max(j.ratio for j in judged)
    margin = LARGEST_MARGIN if not math.isfinite(worst) else min(worst, LARGEST_MARGIN)
    failing = [j for j in judged if not j.ratio <= 1.0]
    if not failing:
        return Finding(id, "passed", passed, {"judged": len(judged)}, margin=margin)
    chosen = min(failing, key=lambda j: (len(short(j.case.config)), -min(j.ratio, LARGEST_MARGIN)))
    details = dict(chosen.evidence)
    details |= {
        "configuration": short(chosen.case.config),
        "shape": list(chosen.case.shape),
        "dtype": chosen.case.dtype,
        "failing": f"{len(failing)} of {len(judged)}",
    }
    cause = next((f.id for f in after if f.outcome == "failed"), None)
    place = f"smallest configuration: {told(chosen.case.config)}, x0 of shape {chosen.case.shape}, {chosen.case.dtype}"
    return Finding(
        id,
        "failed",
        f"{chosen.message}\n{place}",
        details,
        margin=margin,
        consequence_of=cause,
        reproduction=_reproduction(evidence, chosen),
    )


def _reproduction(evidence: TrainingEvidence, chosen: Judged) -> str:
    """A script that shows the step's figures with literal inputs."""
    target = evidence.subject.target or evidence.subject.name
    if ":" not in target:
        return ""
    case = chosen.case
    kind = type(case.config)
    home = kind.__module__.rpartition(".")[0] if kind.__module__.startswith("reference_samplers") else kind.__module__
    return "\n".join(
        [
            "from sampler_harness.observe.trace import Case",
            "from sampler_harness.targets import load_subject",
            "from sampler_harness.training.law import measure",
            f"from {home} import {kind.__name__}",
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
