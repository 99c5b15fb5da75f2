"""Turns of phrase that messages of all rooms share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

__all__ = ["counted", "did_you_mean", "listed"]


def counted(number: int, noun: str) -> str:
    """``1 check``, ``3 checks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """``law/times``, ``law/times or law/noise``, ``a, b or c``."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """``; did you mean 'law/noise'?``, or nothing where no name is close.

    Args:
        name: as typed.
        known: what there is.
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
