"""What a failing check shows, in a few figures: what a known failure is pinned by, so that it excuses nothing else.

Context: a check that is known to fail used to be excused whatever it found, a crash included.
Choice: an expectation may hold what the check showed when it was written; it is measured again, always at the quick
budget, and compared to what rounding allows. One without such figures excuses any deviation, but neither a crash nor
NaN, and the verdict says so.
Reversed by: hosts whose known failures move from day to day, and who live with that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["BUDGET", "Expected", "Shown", "other_than"]

#: What a pin is measured with, whatever the run's budget: its fixed configurations are part of every budget.
BUDGET = "quick"
#: A pin's numbers are written to so many digits.
DIGITS = 7
#: What is lost by that, and by a sum of many numbers.
PRINTED = 1e-6


@dataclass(frozen=True)
class Shown:
    """What a failing check shows, in figures that any machine repeats.

    Attributes:
        configuration: the smallest of the fixed configurations that fail, with the fields that are not at their
            default; empty where the check has none.
        term: which part of the law; empty for other checks.
        step: row of the law; None for other checks.
        got: what was measured there; None where it is no number.
        should_be: what it should be.
        problem: kind of the problem (``raised``, ``nan``, …) because of which nothing was measured; empty otherwise.
        says: the finding without its figures, where no law is compared: which of a check's claims does not hold.
        sizes: how far the law is off in each fixed configuration, the sum of ``|got - should be|`` over all entries;
            negative where nothing could be measured. Empty for checks that do not compare laws.
        got_allowed: how far rounding may move ``got``; no part of a pin.
        sizes_allowed: how far it may move each of ``sizes``; no part of a pin.
    """

    configuration: str = ""
    term: str = ""
    step: int | None = None
    got: float | None = None
    should_be: float | None = None
    problem: str = ""
    says: str = ""
    sizes: tuple[float, ...] = ()
    got_allowed: float = field(default=0.0, compare=False, repr=False)
    sizes_allowed: tuple[float, ...] = field(default=(), compare=False, repr=False)

    def __repr__(self) -> str:
        """As it is written in a declaration: what is at its default is left out."""
        named = ", ".join(f"{name}={value!r}" for name, value in self.pin().items())
        return f"Shown({named})"

    def pin(self) -> dict[str, str | int | float | tuple[float, ...]]:
        """What is written of it: names and values that are not at their default, numbers to seven digits."""
        texts: dict[str, str] = {
            "configuration": self.configuration,
            "term": self.term,
            "problem": self.problem,
            "says": self.says,
        }
        numbers = {"got": self.got, "should_be": self.should_be}
        found: dict[str, str | int | float | tuple[float, ...]] = {name: text for name, text in texts.items() if text}
        found |= {} if self.step is None else {"step": self.step}
        found |= {name: _written(value) for name, value in numbers.items() if value is not None}
        found |= {"sizes": tuple(_written(size) for size in self.sizes)} if self.sizes else {}
        return found


def _written(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class Expected:
    """A check that is known to fail, in a declaration or in a baseline.

    Attributes:
        reason: why it is lived with.
        place: where that is said, and where it must be taken out once the check passes.
        shows: what it showed when that was written; None excuses any deviation, but no crash.
    """

    reason: str
    place: str = "expected_failures"
    shows: Shown | None = None


def other_than(pin: Shown, now: Shown) -> str:
    """How what a check shows is another thing than what it was pinned by; empty where it is the same.

    Args:
        pin: as it was written.
        now: as it was measured, with what rounding allows.
    """
    for name in ("configuration", "term", "problem", "says", "step"):
        was, is_now = getattr(pin, name), getattr(now, name)
        if was != is_now:
            return f"its {name} is {is_now!r}, was {was!r}"
    for name in ("got", "should_be"):
        was, is_now = getattr(pin, name), getattr(now, name)
        if not _same(was, is_now, now.got_allowed):
            return f"{name} is {is_now!r}, was {was!r}"
    if len(pin.sizes) != len(now.sizes):
        return f"{len(now.sizes)} configurations were measured, {len(pin.sizes)} then"
    allowed = now.sizes_allowed or (0.0,) * len(now.sizes)
    for index, (was, is_now, by) in enumerate(zip(pin.sizes, now.sizes, allowed, strict=True)):
        if not _same(was, is_now, by):
            return f"in fixed configuration {index + 1} the law is off by {is_now:.6g} in all, was {was:.6g}"
    return ""


def _same(was: float | None, is_now: float | None, allowed: float) -> bool:
    if was is None or is_now is None:
        return was is is_now
    if not (math.isfinite(was) and math.isfinite(is_now)):
        return str(was) == str(is_now)
    # Both were measured, and either may be off by as much.
    return abs(was - is_now) <= 2.0 * allowed + PRINTED * max(abs(was), abs(is_now))
