"""From judgements of single cases to the finding of a check: one way for all kinds.

A kind says how one of its failures is told (:class:`Failure`); what fails, by how much and because of what is decided
here.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .pinned import Shown
from .verdict import Finding, Place

if TYPE_CHECKING:
    from .observe.trace import Case

__all__ = [
    "UNREAD",
    "Failure",
    "Judged",
    "bounded",
    "conclude",
    "described",
    "import_line",
    "nothing_seen",
    "short",
    "skipped",
    "told",
]

#: JSON has no infinity; a difference that no tolerance measures is told as this.
LARGEST_MARGIN = 1e9
#: The kind of a problem that accuses nobody: what was run may be right, and cannot be told as it is declared.
UNREAD = "unread"
#: Characters above which a configuration is not told entry by entry.
LONG_TEXT = 400


@dataclass(frozen=True)
class Judged:
    """One comparison of a check.

    Attributes:
        ratio: deviation over tolerance; above 1 fails, infinity where there is no number for it.
        message: what was seen and what should be, for a person.
        case: where; None where there are no cases.
        evidence: step, term, time, got, should_be, ….
        consequence_of: the check whose failure explains this.
        problem: kind of the problem for which nothing could be measured.
    """

    ratio: float
    message: str = ""
    case: Case | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    consequence_of: str | None = None
    problem: str = ""

    @property
    def fails(self) -> bool:
        """Whether it is beyond tolerance; what is no number is."""
        return not self.ratio <= 1.0


@dataclass(frozen=True)
class Failure:
    """How a kind tells what fails.

    Attributes:
        message: for a person, the first line in one sentence.
        evidence: JSON-able figures.
        reproduction: a script that shows it; empty where there is none.
        consequence_of: the check that explains what is told.
        problem: kind of the problem for which nothing could be measured.
        place: where to look first.
        shown: the figures that a known failure is pinned by.
    """

    message: str
    evidence: Mapping[str, Any]
    reproduction: str = ""
    consequence_of: str | None = None
    problem: str = ""
    place: Place | None = None
    shown: Shown | None = None


def bounded(ratio: float) -> float:
    """A deviation over its tolerance, as JSON can hold it."""
    return LARGEST_MARGIN if not math.isfinite(ratio) else min(ratio, LARGEST_MARGIN)


def skipped(id: str, reason: str, evidence: Mapping[str, Any] | None = None) -> Finding:
    """The check does not apply; says why, and what was measured all the same."""
    return Finding(id, "skipped", reason, dict(evidence or {}))


def nothing_seen(id: str, why: str, *, consequence_of: str | None = None) -> Finding:
    """The check applies but had nothing to judge: an error, never a pass."""
    return Finding(id, "error", f"saw nothing: {why}", consequence_of=consequence_of)


def conclude(
    id: str,
    judged: Sequence[Judged],
    *,
    passed: str,
    tell: Callable[[list[Judged]], Failure],
    why_nothing: str,
    figures: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Finding:
    """One finding from all judgements.

    Args:
        id: the check.
        judged: everything that was judged; none is an error.
        passed: what to say when all is well.
        tell: says those that fail; called where there are any.
        why_nothing: why there may be no judgement.
        figures: what was measured, told with a pass; None for how many were judged.
        notes: what a reader should know, whether or not the check fails.
    """
    if not judged:
        return nothing_seen(id, why_nothing)
    margin = max(bounded(j.ratio) for j in judged)
    failing = [j for j in judged if j.fails]
    if not failing:
        evidence = {"judged": len(judged)} if figures is None else dict(figures)
        return Finding(id, "passed", passed, evidence, margin=margin, notes=tuple(notes))
    failure = tell(failing)
    is_cause = any(j.consequence_of is None for j in failing)
    return Finding(
        id,
        "error" if all(j.problem == UNREAD for j in failing) else "failed",
        failure.message,
        failure.evidence,
        margin=margin,
        consequence_of=None if is_cause else failure.consequence_of,
        reproduction=failure.reproduction,
        problem=failure.problem,
        place=failure.place,
        notes=tuple(notes),
        shown=failure.shown,
    )


def short(config: Any) -> str:
    """A configuration ready to paste: only the fields that are not at their default."""
    if config is None:
        return ""
    values = config.values()
    given = [f for f in dataclasses.fields(config) if f.init and f.compare]
    usual = {f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory() for f in given}
    parts = [f"{name}={_written(values[name])}" for name, value in usual.items() if values[name] != value]
    return f"{type(config).__name__}({', '.join(parts)})"


def _written(value: Any) -> str:
    """A field's value; a function by its name, since its address is another one in each process."""
    return value.__name__ if inspect.isfunction(value) else repr(value)


def told(config: Any) -> str:
    """As :func:`short`, for reading: a long table is told by its ends and its length."""
    text = short(config)
    for name, value in config.values().items() if len(text) > LONG_TEXT else ():
        if isinstance(value, tuple) and len(value) > 8:
            ends = f"({value[0]!r}, {value[1]!r}, … {value[-1]!r}: {len(value)} entries)"
            text = text.replace(f"{name}={value!r}", f"{name}={ends}")
    return text


def described(case: Case) -> dict[str, Any]:
    """A case among a finding's figures."""
    return {"configuration": short(case.config), "shape": list(case.shape), "dtype": case.dtype}


def import_line(config: Any) -> str:
    """The line of a script that imports a configuration's class, from where the public finds it."""
    kind = type(config)
    package = kind.__module__.rpartition(".")[0] if kind.__module__.startswith("reference_samplers") else ""
    return f"from {package or kind.__module__} import {kind.__name__}"
