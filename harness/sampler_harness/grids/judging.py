"""How a check of a grid is judged and told."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sampler_harness import judging
from sampler_harness.judging import Failure, bounded, import_line, nothing_seen, short, skipped, told
from sampler_harness.strategies import smallest_failing
from sampler_harness.verdict import Finding

from .evidence import GridEvidence, Seen
from .places import place_of

__all__ = ["Told", "check"]


@dataclass(frozen=True)
class Told:
    """What one check says of the levels in one configuration.

    Attributes:
        ratio: deviation over tolerance; above 1 fails.
        message: what was seen and what should be.
        evidence: step, got, should_be, ….
    """

    ratio: float = 0.0
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether it is beyond tolerance; what is no number is."""
        return not self.ratio <= 1.0


NOTHING = "no configuration could be looked at"
#: What a check makes of levels; None where it does not apply.
Judge = Callable[[Seen], Told | None]
#: Every check of levels in one configuration, by id, in the order in which one explains the next.
_JUDGES: dict[str, Judge] = {}
#: Those that judge what is no number too.
_WITHOUT_NUMBERS = ("grid/finite", "grid/repeat")


def check(id: str, passed: str, *, skips: str = "") -> Callable[[Judge], Any]:
    """Make a check of a function of the levels in one configuration.

    Context: a grid that is turned round fails at its start, its end and at every level between.
    Choice: in each configuration the first check that fails is the cause of all later ones there.
    Reversed by: two faults in one configuration, of which the second is told only once the first is mended.

    Args:
        id: of the check.
        passed: what to say when all is well.
        skips: why it may apply to no configuration; empty where it applies to all.
    """

    def decorate(judge: Judge) -> Callable[[GridEvidence], Finding]:
        _JUDGES[id] = judge

        @functools.wraps(judge)
        def of_all(evidence: GridEvidence) -> Finding:
            return _concluded(id, judge, evidence, passed, skips)

        return of_all

    return decorate


def _cause(id: str, seen: Seen) -> str | None:
    """The first check that fails here, where it is another one than this."""
    for other, judge in _JUDGES.items():
        if other == id:
            return None
        found = _judged(other, judge, seen)
        if found is not None and found.fails:
            return other
    return None


def _judged(id: str, judge: Judge, seen: Seen) -> Told | None:
    """What a check says; where there are no numbers, that there is nothing to be said."""
    if id not in _WITHOUT_NUMBERS and _JUDGES["grid/finite"](seen) != Told():
        return Told(float("inf"), "there are no numbers to be judged")
    return judge(seen)


def _concluded(id: str, judge: Judge, evidence: GridEvidence, passed: str, skips: str) -> Finding:
    looked_at = [(seen, found) for seen in evidence.seen if (found := _judged(id, judge, seen)) is not None]
    if not looked_at:
        return skipped(id, skips) if skips else nothing_seen(id, NOTHING)
    judged = [
        judging.Judged(found.ratio, found.message, None, found.evidence, _cause(id, seen) if found.fails else None)
        for seen, found in looked_at
    ]

    def tell(failing: list[judging.Judged]) -> Failure:
        wrong = [pair for pair, one in zip(looked_at, judged, strict=True) if one.fails]
        causes = [pair for pair in wrong if _cause(id, pair[0]) is None] or wrong
        return _told(id, judge, evidence, causes, f"{len(failing)} of {len(judged)}")

    notes = dict.fromkeys(note for seen, _ in looked_at if (note := _note(id, seen)))
    told_once = list(notes)[:1]
    return judging.conclude(id, judged, passed=passed, tell=tell, why_nothing=NOTHING, notes=told_once)


def _note(id: str, seen: Seen) -> str:
    """That a reference itself has not as many levels as steps: a released grid's own, which a user should know."""
    steps = seen.config.values().get("num_steps")
    if id != "grid/length" or steps is None or steps == seen.num_calls:
        return ""
    kind = type(seen.config).__name__
    return f"{steps} steps are {seen.num_calls} model calls here, as {kind} itself has it: {told(seen.config)}"


def _told(id: str, judge: Judge, evidence: GridEvidence, wrong: Sequence[tuple[Seen, Told]], failing: str) -> Failure:
    seen, found = min(wrong, key=lambda pair: (len(short(pair[0].config)), -bounded(pair[1].ratio)))
    cause = _cause(id, seen)

    def fails(config: Any) -> bool:
        other = evidence.look(config, seen.dtype)
        one = _judged(id, judge, other)
        return one is not None and one.fails and _cause(id, other) == cause

    smallest = smallest_failing(evidence.subject, fails, evidence.budget, seen.config)
    if smallest != seen.config:
        other = evidence.look(smallest, seen.dtype)
        again = _judged(id, judge, other)
        if again is not None and again.fails:
            seen, found = other, again
    details = {**found.evidence, "configuration": short(seen.config), "dtype": seen.dtype, "failing": failing}
    lines = [found.message, f"smallest configuration: {told(seen.config)}, {seen.dtype}"]
    problem = seen.returned.kind if id == "grid/finite" else ""
    place = place_of(id, evidence, seen) if cause is None else None
    if place is not None:
        details |= {name: value for name, value in dataclasses.asdict(place).items() if name != "hands_on"}
        lines.append(f"look at: {place.told}")
    return Failure("\n".join(lines), details, _reproduction(evidence, seen, found), cause, problem, place)


def _reproduction(evidence: GridEvidence, seen: Seen, found: Told) -> str:
    """A script that shows the levels beside those that they should be."""
    target = evidence.subject.target or evidence.subject.name
    if ":" not in target:
        return ""
    again = _shows_again(found)
    return "\n".join(
        [
            import_line(seen.config),
            "from sampler_harness.grids.reading import levels_of",
            "from sampler_harness.targets import load_subject",
            f"subject = load_subject({target!r})",
            f"config = {short(seen.config)}",
            *([f"print(levels_of(subject, config, {seen.dtype!r}))"] if again else []),
            f"print(levels_of(subject, config, {seen.dtype!r}))",
            'print("should be", list(config.levels))',
            f"# {found.message.splitlines()[0]}",
        ]
    )


def _shows_again(found: Told) -> bool:
    """Whether a second call is what shows it."""
    return bool(found.evidence.get("again"))
