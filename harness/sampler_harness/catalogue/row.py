"""What is known of one check: all of it in one row."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VERSIONS", "CheckInfo"]

#: Versions that brought checks, the first one first.
VERSIONS = ("0.1", "0.2")


@dataclass(frozen=True)
class CheckInfo:
    """One check.

    Attributes:
        id: stable name, ``family/claim``; its function is ``check_claim``.
        group: ``timesteps``, ``shapes``, ``noise dimensions`` or ``the rest``.
        kind: of what is checked: ``sampler``, ``training``, ``preprocessing``, ``data`` or ``grid``.
        claim: what holds when it passes.
        catches: mistakes that it fails.
        blind_to: mistakes that it cannot see, and which check does.
        remedy: what to try when it fails, for a person who knows their own code and nothing of how checks work.
        fault: one real failure, whose it is, below ``fixtures`` of this project's repository.
        example: what was said of that one.
        relative: it only says whether a sampler has the law of what it is held against. A deviation from the paper
            that is declared there is none from the sampler's own past.
        since: the version that brought it, one of :data:`VERSIONS`.
        module: the file that holds the function, in the folder of its kind's checks; empty where it is the family's.
    """

    id: str
    group: str
    kind: str
    claim: str
    catches: str
    blind_to: str
    remedy: str
    fault: str
    example: str
    relative: bool = False
    since: str = VERSIONS[0]
    module: str = ""

    @property
    def home(self) -> str:
        """The file that holds its function, in the folder of its kind's checks."""
        return self.module or self.id.partition("/")[0]

    @property
    def function(self) -> str:
        """Name of the function that judges it."""
        return f"check_{self.id.partition('/')[2].replace('-', '_')}"
