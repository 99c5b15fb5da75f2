"""What is said in the place of checks that look at coefficients where those cannot be read."""

from __future__ import annotations

import math

from sampler_harness.judging import UNREAD
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude, nothing_seen

__all__ = ["untold"]


def untold(evidence: Evidence, check_id: str) -> Finding | None:
    """The finding of a check that cannot judge, or that tells why no other can; None where it judges.

    Args:
        evidence: of the sampler.
        check_id: of the check.
    """
    found = evidence.unreadable
    asked = {"law/forward": evidence.subject.forward, "law/partial": evidence.subject.partial}
    if found is None or asked.get(check_id, found) is None:
        return None
    if check_id == found.check and found.told:
        details = {} if found.idle is None else {"step": found.idle, "idle": True}
        judged = Judged(math.inf, found.told, evidence.base, details, problem="" if found.is_wrong else UNREAD)
        return conclude(check_id, evidence, [judged], passed="")
    return (
        None
        if check_id in (*found.judged, found.check)
        else nothing_seen(check_id, found.why, consequence_of=found.check)
    )
