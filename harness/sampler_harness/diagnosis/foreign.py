"""Whether a reference is the sampler's own at all: where nothing of it is met, its failures say one thing together.

Context: a sampler that was declared to be another method's fails nearly every check, each with a sentence that is true
of the declared method and of no use. Choice: it is said once, where no change of the reference explains the sampler and
few weights are the reference's in any short case, on the sampler's own grid too. References that share more of their
weights with it are named, and only where there are any do the failures step back. Reversed by: two mistakes in one
right method that are taken for another method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from reference_samplers import ALL_REFERENCES
from reference_samplers.processes.interpolant import Interpolant
from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.law.law import Law
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Diagnosis, Foreign

__all__ = ["agreement", "foreign", "with_foreign"]

#: Cases that are looked at: short ones, but of more than one call, where there is an update to be seen.
CASES = 3
LONGEST = 40
#: Share of the weights up to which next to nothing is met. A method with one wrong line meets those of other terms.
MET = 0.5
#: Relative difference below which a weight is met: far above rounding, far below another method.
CLOSE = 1e-2
#: Share by which another reference must meet more.
NEARER = 0.2


def with_foreign(evidence: Evidence, diagnosis: Diagnosis | None) -> Diagnosis | None:
    """A diagnosis that says where the reference may not be the sampler's own.

    Args:
        evidence: of a sampler that does not conform.
        diagnosis: of it.
    """
    return None if diagnosis is None else dataclasses.replace(diagnosis, foreign=foreign(evidence, diagnosis))


def foreign(evidence: Evidence, diagnosis: Diagnosis) -> Foreign | None:
    """That next to nothing of the reference is met, and what is nearer; None where much of it is, or where it explains.

    Args:
        evidence: of a sampler that does not conform.
        diagnosis: of it.
    """
    others = list(dict.fromkeys(one.reference for one in diagnosis.answers))
    if not evidence.standard.reference or not all(others):
        return None
    name = evidence.subject.reference_name
    cases = [
        case
        for case in sorted(evidence.affine_cases, key=lambda case: expected_calls(case.config))
        if evidence.bundle(case).problem is None and 2 <= evidence.bundle(case).num_calls <= LONGEST
    ][:CASES]
    if not cases or any(evidence.is_mapped(case) for case in cases):
        return None
    own = max(_own(evidence, case) for case in cases)
    if own > MET:
        return None
    if others:
        return Foreign(f"it is {' or '.join(others)}; declare that", tuple(others))
    # An interpolant with nothing said of it is a rectified flow, which is the plainer name.
    named = [one for one in ALL_REFERENCES if one.__name__ != name and not issubclass(one, Interpolant)]
    found = {other.__name__: _share(evidence, other, cases) for other in named}
    nearer = sorted((kind for kind in found if found[kind] > own + NEARER), key=lambda kind: -found[kind])
    shares = ", ".join(f"{kind} shares {found[kind]:.0%} of its weights" for kind in nearer[:3])
    trusted = "hold it against a version that you trust with --against"
    if nearer:
        told = f"{name} does not seem to be its own reference: {shares}, {name} {own:.0%}; declare that, or {trusted}"
    else:
        told = (
            f"{name} shares {own:.0%} of its weights, and no other reference of this package more: if its method is "
            f"another one, {trusted}"
        )
    return Foreign(f"nothing within reach of {name} explains it. {told}", tuple(nearer))


def _own(evidence: Evidence, case: Case) -> float:
    """The share that is met of the declared reference, on its grid and on the sampler's."""
    law = evidence.bundle(case).law
    grids = [case.config, case.config.on_grid_of(law.times.tolist())]
    return max(_met(law, config) for config in grids if config is not None)


def _share(evidence: Evidence, kind: Any, cases: Sequence[Case]) -> float:
    """The share that is met of another reference in the case where least is, at what it shares with the declaration."""
    shares = []
    for case in cases:
        law, given = evidence.bundle(case).law, case.config.values()
        names = {field.name for field in dataclasses.fields(kind) if field.init}
        steps = {"num_steps": given["num_steps"]} if given.get("num_steps") and "num_steps" in names else {}
        shared = {name: value for name, value in given.items() if name in names}
        best = 0.0
        for fields in (shared, steps):
            try:
                config = kind(**fields)
            except (ValueError, TypeError):
                continue
            if not config.is_affine:
                continue
            on_own = config.on_grid_of(law.times.tolist())
            best = max(best, *(_met(law, one) for one in (config, on_own) if one is not None))
        shares.append(best)
    return min(shares, default=0.0)


def _met(law: Law, config: Any) -> float:
    try:
        should_be = reference_law(config, learned_variance(config))
    except (ValueError, ArithmeticError):
        return 0.0
    return agreement(law, should_be)


def agreement(law: Law, other: Law) -> float:
    """The share of weights of outputs and noise, of those that one of two laws has, which are alike; 0 to 1.

    Args:
        law: of a sampler.
        other: of a reference; with another number of calls nothing is alike.
    """
    if law.num_calls != other.num_calls:
        return 0.0
    one, two = _weights(law), _weights(other)
    largest = np.maximum(np.abs(one), np.abs(two))
    counted = largest > 1e-6 * largest.max(initial=0.0)
    alike = np.abs(one - two) <= CLOSE * largest
    return float(alike[counted].mean()) if counted.any() else 1.0


def _weights(law: Law) -> Array:
    columns = np.zeros((law.num_calls + 1, law.num_calls + 1))
    for index, row in enumerate(law.opened):
        columns[:, row] = law.factor[:, index]
    # The first noise alone is what many methods share.
    return np.concatenate([law.outputs.reshape(-1), columns.reshape(-1)[1:]])
