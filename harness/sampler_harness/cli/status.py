"""How the command exits."""

from __future__ import annotations

__all__ = ["CONFORMS", "DEVIATES", "INTERRUPTED", "NOT_RUN", "WRONG_CALL"]

CONFORMS, DEVIATES, WRONG_CALL, NOT_RUN = 0, 1, 2, 3
INTERRUPTED = 130
