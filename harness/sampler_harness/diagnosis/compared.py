"""What an answer is held against: the sampler's law in each case, and the cases in which it has none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.law import Law
from sampler_harness.law.replay import innovations
from sampler_harness.law.same import is_same
from sampler_harness.law.tolerance import PRECISIONS, reference_law, tolerance_between, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case

from .target import Lawless, Target

__all__ = ["all_targets_of", "chosen", "is_short", "lawless_of", "target_of", "targets_of"]

#: Runs of more calls are searched on only where a declaration allows no others.
LONGEST = 130
#: Cases at most.
CASES = 24
#: Cases of more calls than these are long ones, whatever their length.
MANY = 16
#: Cases where there are long ones only.
FEW = 2
#: Cases without a law that a candidate is asked about, at most.
LAWLESS = 4


def targets_of(evidence: Evidence) -> list[Target]:
    """The sampler's cases that have a law, as many as are searched on, the short ones first."""
    return chosen(all_targets_of(evidence))


def all_targets_of(evidence: Evidence) -> list[Target]:
    """All cases of it that have a law, the short ones first."""
    cases = sorted(evidence.cases, key=lambda case: expected_calls(case.config))
    short = [case for case in cases if expected_calls(case.config) <= LONGEST]
    return [found for case in short or cases[:FEW] if (found := target_of(evidence, case)) is not None]


def chosen(targets: Sequence[Target]) -> list[Target]:
    """Cases of all lengths, the short ones first: at each length those in which the sampler is wrong before the others.

    Context: many cases are of one call, in which most terms of a method do not show.
    Choice: one case of each length in turn, until there are enough.
    Reversed by: cases that are all of a few calls.

    Args:
        targets: all of them.
    """
    waiting: dict[int, list[Target]] = {}
    for target in sorted(targets, key=lambda one: one.reference_ratio <= 1):
        waiting.setdefault(_length(target), []).append(target)
    found: list[Target] = []
    while len(found) < CASES and any(waiting.values()):
        for several in waiting.values():
            if several and len(found) < CASES:
                found.append(several.pop(0))
    return sorted(found, key=lambda one: expected_calls(one.config))


def _length(target: Target) -> int:
    """Cases of about as many calls count as of one length."""
    return min(expected_calls(target.config), MANY).bit_length()


def target_of(evidence: Evidence, case: Case) -> Target | None:
    """A case as a candidate is held against it; None where it has no law that a candidate could have.

    Args:
        evidence: as the checks left it.
        case: of it.
    """
    bundle = evidence.bundle(case)
    if not bundle.is_affine:
        return None  # no law to be explained
    config = evidence.side_of(case).config if bundle.problem is None else case.config
    if bundle.problem is not None or bundle.layout is None:
        return None
    if bundle.layout.shared or bundle.layout.missing:
        return None  # noise that elements share has no law of one element
    if evidence.subject.noise == "gaussian" and any(not draw.gaussian for draw in bundle.zero.draws):
        return None  # what is drawn otherwise stands in no column: it would seem that nothing is drawn there
    law = bundle.law
    if not is_same(bundle.second_law, law, tolerance_between(law, "float32")):
        return None  # another law at another place or sign: no reference has two
    if not _is_finite(law):
        return None
    if config is case.config and any(True for _ in config.either_side(law.times.tolist())):
        return None  # rounding may decide otherwise in the program that is looked for
    dtype = case.dtype if case.dtype == "float64" else "float32"
    dense, fresh = None, None
    if config.is_clipped and isinstance(bundle.dense, DenseRun):
        dense = bundle.dense
        fresh = innovations(bundle.first.response, dense.fields, PRECISIONS[case.dtype].unit)
    return Target(
        dataclasses.replace(case, config=config),
        law,
        reference_law(config, learned_variance(config)),
        tolerance_of(config, dtype, learned_variance(config)),
        last_row=bundle.last_row and not config.returns_last_x0,
        learned_variance=learned_variance(config),
        end=evidence.subject.output_clip,
        dense=dense,
        fresh=fresh,
    )


def lawless_of(evidence: Evidence) -> list[Lawless]:
    """Configurations in which the sampler is NaN or stops with an error, wherever it was run in them.

    Context: such cases have no law, and were left out. A fault that explained the others was called exact, and nobody
    was told that there is a second one.
    Choice: a candidate must have no law there either. That it has none names no line (many edits make NaN): what shows
    nowhere else is not searched for. What is NaN for the tensors' precision or shape no candidate can be, and what
    explains the rest is then told as explaining the rest.
    Reversed by: candidates that are run in the sampler's own precision.

    Args:
        evidence: as the checks left it.
    """
    cases = [case for case in evidence.cases if expected_calls(case.config) <= LONGEST]
    bundles = [(case.config, evidence.bundle(case)) for case in cases]
    has_law = {config for config, bundle in bundles if _end(bundle) == ""}
    found: dict[Any, Lawless] = {}
    for config, bundle in sorted(bundles, key=lambda one: expected_calls(one[0])):
        end = _end(bundle)
        if end not in ("not-finite", "raised") or config in has_law:
            continue
        law = reference_law(config, learned_variance(config))
        if config not in found and _is_finite(law):
            is_of_code = bundle.problem is not None and bundle.problem.is_of_code
            found[config] = Lawless(config, law.num_calls, is_error=end == "raised", is_of_code=is_of_code)
    return list(found.values())[:LAWLESS]


def _end(bundle: Bundle) -> str:
    """What became of a case's runs: the kind of their problem, NaN in what the model was told too; empty for none."""
    if bundle.problem is not None:
        return bundle.problem.kind
    return "" if not bundle.is_affine or _is_finite(bundle.law) else "not-finite"


def _is_finite(law: Law) -> bool:
    return all(bool(np.isfinite(part).all()) for part in (law.outputs, law.factor, law.times))


def is_short(config: Any) -> bool:
    """Whether a run in a configuration is short enough to tell answers apart by it."""
    return expected_calls(config) <= LONGEST // 2
