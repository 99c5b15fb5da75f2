"""From a function of levels that does not conform to what it does instead: the same search, over the grids."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from sampler_harness import judging
from sampler_harness.grids.evidence import GridEvidence, Seen, seen_of
from sampler_harness.grids.reading import Returned
from sampler_harness.grids.tolerance import levels_in
from sampler_harness.verdict import Diagnosis, Finding

from .answers import rank
from .explanation import Explanation
from .found import Found, Near
from .grid_target import GridTarget
from .guarded import further, guarded
from .known_faults import GRID_FAULTS, KNOWN_FAULTS
from .search import BUDGET, Search
from .summed_up import summed_up

__all__ = ["diagnose_grid", "search_for_grid"]

#: Cases that are looked at one after the other; the rest is looked at where an answer is.
CASES = 24
#: Levels of the case that is explained first: few, but with some between the ends.
LEVELS = 6
#: A number that is so many times the declared one is a limit.
BEYOND = 100.0
#: Findings that no edit of a formula explains.
_NOT_OF_LEVELS = ("grid/repeat", "grid/dtype")


def diagnose_grid(evidence: GridEvidence, findings: Sequence[Finding], *, budget: str = "quick") -> Diagnosis | None:
    """Find what a function of levels does in place of its reference.

    Args:
        evidence: as the checks left it.
        findings: of the checks.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None where nothing failed.
    """
    bad = [f for f in findings if f.outcome in ("failed", "error")]
    if not bad:
        return None
    started = time.perf_counter()
    causes = [f for f in bad if f.consequence_of is None]
    seen = tuple(f.message.splitlines()[0] for f in causes)
    if any(f.id in _NOT_OF_LEVELS for f in causes):
        why = "no change of a formula explains what is told above; mend it first"
        return Diagnosis(False, observed=seen, unsearched=why, seconds=time.perf_counter() - started)
    found, targets, why = guarded(
        evidence.subject.reference,
        lambda: search_for_grid(evidence, budget),
        _why_none,
    )
    if found is None:
        return Diagnosis(False, observed=seen, unsearched=why, seconds=time.perf_counter() - started)
    configs = [target.config for target in targets]
    return summed_up(found, configs, _as_far, time.perf_counter() - started)


def _why_none(targets: list[GridTarget]) -> str:
    if all(target.is_broken for target in targets):
        return "it returned a row of finite numbers in no configuration, so that there is nothing to search in"
    if any(target.is_broken for target in targets):
        return "in every configuration in which it returned a row of finite numbers its levels are the reference's"
    return "in every configuration that was run its levels are the reference's"


def search_for_grid(evidence: GridEvidence, budget: str = "quick") -> tuple[Found | None, list[GridTarget]]:
    """What explains the levels, and the cases that it was held against, the first explained at the head.

    Args:
        evidence: as the checks left it.
        budget: ``quick``, ``standard`` or ``thorough``.

    Returns:
        None for the first where all levels are the reference's, or there are none.
    """
    subject = evidence.subject
    dtype = subject.dtypes[0]
    targets = [_target(evidence, seen) for seen in evidence.seen if seen.dtype == dtype]
    failing = [target for target in targets if target.reference_ratio > 1 and not target.is_broken]
    if not failing:
        return None, targets
    failing.sort(key=lambda target: abs(target.rows - LEVELS))
    first = failing[: CASES // 2]
    first += [target for target in targets if target not in first][: CASES - len(first)]
    others = [target for target in targets if target not in first]
    known = {target.config for target in targets}
    search = Search(
        type(failing[0].config),
        first,
        others=others,
        further=[config for config in further(subject) if config not in known],
        measure=lambda config: _target(evidence, evidence.look(config, dtype)),
        hypothetical=lambda config: _hypothetical(evidence, config, dtype),
        budget=BUDGET[budget],
        faults=(*GRID_FAULTS, *KNOWN_FAULTS),
        forms=False,
    )
    found = search.run()
    for answer in found.answers:
        answer.variants.sort(key=lambda one: (_is_limit(one, first[0].config), *rank(one)))
    return found, [*first, *others]


def _is_limit(one: Explanation, declared: Any) -> bool:
    """Whether a number beyond all measure makes it fit: where rho goes to infinity, roots become logarithms.

    Context: an exponential grid is Karras et al.'s with rho = 400,000. Choice: the grid that it is comes first.
    Reversed by: somebody who declares such numbers.
    """
    values = declared.values()
    numbers = [(value, values.get(name)) for name, value in one.fields.items() if isinstance(value, float)]
    return one.kind == "configuration" and any(
        isinstance(own, float) and own and not 1 / BEYOND <= abs(value / own) <= BEYOND for value, own in numbers
    )


def _target(evidence: GridEvidence, seen: Seen) -> GridTarget:
    return GridTarget(seen, includes_end=evidence.subject.includes_end)


def _hypothetical(evidence: GridEvidence, config: Any, dtype: str) -> GridTarget:
    """A case as it would be if the function were sound, to see whether answers differ there."""
    subject = evidence.subject
    seen = seen_of(subject, config, dtype, Returned(levels_in(config)))
    return _target(evidence, dataclasses.replace(seen, levels=seen.should_be))


def _as_far(near: Near) -> str:
    return f"agrees with it in the first {near.rows} of {near.of_rows} levels in {judging.told(near.config)}"
