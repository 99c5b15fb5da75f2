"""What a declaration or a baseline knows of: told with its reason, as long as it is that failure and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from .pinned import Expected, Shown, other_than
from .verdict import Finding, Outcome

__all__ = ["KnownFailures"]


class KnownFailures:
    """Checks that are known to fail.

    Args:
        expected: what is known, by the check's id.
        outcome: how another check of the same subject ended.
        shown: what a failure shows at the budget that pins are measured with.
        may_pass: whether one that passes is no failure, as where a sampler is held against another.
    """

    def __init__(
        self,
        expected: Mapping[str, Expected],
        outcome: Callable[[str], Outcome],
        shown: Callable[[Finding], Shown | None],
        *,
        may_pass: bool,
    ) -> None:
        self._expected = expected
        self._outcome = outcome
        self._shown = shown
        self._may_pass = may_pass

    def told(self, finding: Finding) -> Finding:
        """The finding in the light of what is known: a declared deviation is told, one that passes is a failure.

        Args:
            finding: of one check, as it judged.
        """
        known = self._expected.get(finding.id)
        if known is None:
            return self._following(finding)
        if finding.outcome == "failed":
            return self._excused(finding, known)
        if finding.outcome == "passed" and not self._may_pass:
            return dataclasses.replace(
                finding,
                outcome="failed",
                message=f"declared to fail ({known.reason}), but it passes: remove {finding.id!r} from {known.place}",
            )
        return finding

    def _following(self, finding: Finding) -> Finding:
        """What follows from a known failure is known with it, as long as that is the one that was declared."""
        known = self._expected.get(finding.consequence_of or "")
        if finding.outcome not in ("failed", "error") or known is None or finding.consequence_of is None:
            return finding
        if self._outcome(finding.consequence_of) != "expected":
            return finding
        told = f"follows from {finding.consequence_of} (declared)\n{finding.message}"
        return dataclasses.replace(finding, outcome="expected", message=told)

    def _excused(self, finding: Finding, known: Expected) -> Finding:
        excused = dataclasses.replace(
            finding, outcome="expected", message=f"declared: {known.reason}\n{finding.message}"
        )
        where = f"{known.place}[{finding.id!r}]" if known.place == "expected_failures" else known.place
        if known.shows is not None:
            now = self._shown(finding)
            other = "no fixed configuration fails any more" if now is None else other_than(known.shows, now)
            if not other and finding.problem and finding.problem != known.shows.problem:
                other = f"a run ends without figures ({finding.problem})"
            if not other:
                return excused
            anew = "" if now is None else f"; if that is meant too, pin it anew: shows={now!r}"
            told = f"not the failure that {where} speaks of ({known.reason}): {other}{anew}"
            return dataclasses.replace(finding, message=f"{finding.message}\n{told}")
        if finding.problem:
            pin = "" if finding.shown is None else f"; to excuse it, pin it: shows={finding.shown!r}"
            told = f"{where} ({known.reason}) excuses wrong figures, not a run without any{pin}"
            return dataclasses.replace(finding, message=f"{finding.message}\n{told}")
        shown = self._shown(finding)
        if shown is None:
            return excused
        how = f"{finding.id!r}: Expected({known.reason!r}, shows={shown!r})"
        if known.place != "expected_failures":
            how = "write its entry anew with --write-baseline"
        note = f"{where} excuses whatever {finding.id} measures; to excuse only what it measures today: {how}"
        return dataclasses.replace(excused, notes=(*finding.notes, note))
