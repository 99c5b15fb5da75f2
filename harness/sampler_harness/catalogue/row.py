"""What is known of one check: all of it in one row."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VERSIONS", "CheckInfo", "Example"]

#: Versions that brought checks, the first one first.
VERSIONS = ("0.1", "0.2")


@dataclass(frozen=True)
class Example:
    """One real failure: what a check says when it fails.

    Attributes:
        fault: whose, below ``fixtures`` of this project's repository.
        message: what was said of it.
    """

    fault: str
    message: str


@dataclass(frozen=True)
class CheckInfo:
    """One check.

    Attributes:
        id: stable name, ``family/claim``; its function is ``check_claim``.
        group: ``timesteps``, ``shapes``, ``noise dimensions`` or ``the rest``.
        kind: of what is checked: ``sampler``, ``training``, ``preprocessing`` or ``data``.
        module: the file that holds the function, in the folder of its kind's checks.
        claim: what holds when it passes.
        catches: mistakes that it fails.
        blind_to: mistakes that it cannot see, and which check does.
        remedy: what to try when it fails, for a person who knows their own code and nothing of how checks work.
        example: what it says when it fails.
        relative: it only says whether a sampler has the law of what it is held against. A deviation from the paper
            that is declared there is none from the sampler's own past.
        since: the version that brought it, one of :data:`VERSIONS`.
    """

    id: str
    group: str
    kind: str
    module: str
    claim: str
    catches: str
    blind_to: str
    remedy: str
    example: Example
    relative: bool = False
    since: str = VERSIONS[0]

    @property
    def function(self) -> str:
        """Name of the function that judges it."""
        return f"check_{self.id.partition('/')[2].replace('-', '_')}"
