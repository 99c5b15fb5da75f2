"""All checks by id: what each claims, what it catches and what it is blind to.

Light on purpose: listing checks, collecting pytest items and validating ids import no torch. Here is data alone; which
function judges a row is known to ``kinds``.

Context: a host upgrades, and a sampler that nobody touched goes red.
Choice: each check says in which version it came, and a host may ask for those of an earlier one (``--checks-as-of``). A
check never becomes stricter under its id: what is stricter is a check of its own, with a version of its own, so that
the set alone decides what a verdict can be. Mending a check that was blind by mistake is the one exception; the
changelog lists it under "Verdicts".
Reversed by: so many checks that are stricter forms of others that nobody finds their way.
"""

from __future__ import annotations

from .data import DATA_CHECKS, PREPROCESSING_CHECKS
from .grid import GRID_CHECKS
from .row import VERSIONS, CheckInfo
from .sampler import SAMPLER_CHECKS
from .training import TRAINING_CHECKS

__all__ = [
    "KINDS",
    "RELATIVE",
    "VERSIONS",
    "CheckInfo",
    "catalogue",
    "check_ids",
    "checked_version",
    "info_of",
]

#: What can be declared, and the checks of each kind in the order in which they run.
KINDS: dict[str, tuple[CheckInfo, ...]] = {
    "sampler": SAMPLER_CHECKS,
    "training": TRAINING_CHECKS,
    "preprocessing": PREPROCESSING_CHECKS,
    "data": DATA_CHECKS,
    "grid": GRID_CHECKS,
}
#: Checks that only say whether a sampler has the law of what it is held against.
RELATIVE = frozenset(info.id for info in SAMPLER_CHECKS if info.relative)


def catalogue(kind: str = "sampler", as_of: str = "") -> tuple[CheckInfo, ...]:
    """The checks of one kind of subject, in the order in which they run.

    Args:
        kind: a key of :data:`KINDS`.
        as_of: only those that this version had, one of :data:`VERSIONS`; empty for all.
    """
    if not as_of:
        return KINDS[kind]
    return tuple(info for info in KINDS[kind] if VERSIONS.index(info.since) <= VERSIONS.index(as_of))


def check_ids(kind: str = "sampler", as_of: str = "") -> tuple[str, ...]:
    """Ids of the checks of one kind of subject, in the order in which they run.

    Args:
        kind: a key of :data:`KINDS`.
        as_of: as for :func:`catalogue`.
    """
    return tuple(info.id for info in catalogue(kind, as_of))


def checked_version(text: str | None) -> str:
    """A version of the set of checks as a person names it, ``0.1`` or ``0.1.3``.

    Args:
        text: as typed; None where nothing was.

    Returns:
        One of :data:`VERSIONS`, or nothing for the present set.

    Raises:
        ValueError: where there is no such set.
    """
    if text is None:
        return ""
    version = ".".join(text.removeprefix("v").split(".")[:2])
    if version not in VERSIONS:
        raise ValueError(f"there is no set of checks as of {text}: there are those of {', '.join(VERSIONS)}")
    return version


def info_of(id: str) -> CheckInfo | None:
    """The check of an id, whatever kind of subject it is for; None where there is none."""
    return next((info for rows in KINDS.values() for info in rows if info.id == id), None)
