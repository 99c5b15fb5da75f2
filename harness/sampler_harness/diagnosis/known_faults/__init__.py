"""Known faults as edits of a reference's source, of samplers and of training steps: effect, and where it happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sampler_harness.law.replacement import Replacement

__all__ = [
    "GRID_FAULTS",
    "KNOWN_FAULTS",
    "TRAINING_FAULTS",
    "KnownFault",
    "Occurrence",
    "Replacement",
    "at_commit",
    "edits_of",
    "file_at",
    "issue",
]


@dataclass(frozen=True)
class Occurrence:
    """Where a fault happened.

    Attributes:
        bug_id: its name in the list of known bugs.
        repository: as ``owner/name``.
        url: of the commit, the issue, or the file at a commit.
    """

    bug_id: str
    repository: str
    url: str


@dataclass(frozen=True)
class KnownFault:
    """A mistake that people make.

    Attributes:
        name: in kebab case.
        replacements: what turns the reference into it.
        effect: what goes wrong for the user's samples, in one sentence.
        happened: where; empty where no real one is known.
    """

    name: str
    replacements: tuple[Replacement, ...]
    effect: str
    happened: tuple[Occurrence, ...] = ()


def edits_of(file: str) -> Callable[..., KnownFault]:
    """Makes faults of single edits of one file.

    Args:
        file: as ``reference_samplers/edm.py``.
    """

    def edit(name: str, before: str, after: str, effect: str, *happened: Occurrence) -> KnownFault:
        return KnownFault(name, (Replacement(file, before, after),), effect, happened)

    return edit


def at_commit(bug_id: str, repository: str, commit: str) -> Occurrence:
    """A bug that the commit fixed."""
    return Occurrence(bug_id, repository, f"https://github.com/{repository}/commit/{commit}")


def issue(bug_id: str, repository: str, number: int, kind: str = "issues") -> Occurrence:
    """A bug that is told of in an issue or, as ``"pull"``, in a pull request."""
    return Occurrence(bug_id, repository, f"https://github.com/{repository}/{kind}/{number}")


def file_at(bug_id: str, repository: str, commit: str, path: str) -> Occurrence:
    """A bug that was not fixed when it was read, in the file at that commit."""
    return Occurrence(bug_id, repository, f"https://github.com/{repository}/blob/{commit}/{path}")


# The lists are made of what is defined above.
from . import (  # noqa: E402
    alphafold3,
    ancestral,
    chain,
    consistency,
    ddim,
    ddim_inversion,
    ddpm,
    ddpm_training,
    dpm2,
    edm,
    edm_training,
    flow,
    flow_runge_kutta,
    flow_sde,
    flow_training,
    grids,
    interpolant,
    prediction,
    schedules,
    step_lengths,
    steps,
    tcd,
    trig_flow,
)

KNOWN_FAULTS: tuple[KnownFault, ...] = (
    *edm.FAULTS,
    *ddpm.FAULTS,
    *ddim.FAULTS,
    *ddim_inversion.FAULTS,
    *flow.FAULTS,
    *flow_runge_kutta.FAULTS,
    *flow_sde.FAULTS,
    *consistency.FAULTS,
    *ancestral.FAULTS,
    *dpm2.FAULTS,
    *alphafold3.FAULTS,
    *tcd.FAULTS,
    *trig_flow.FAULTS,
    *interpolant.FAULTS,
    *step_lengths.FAULTS,
    *steps.FAULTS,
    *chain.FAULTS,
    *schedules.FAULTS,
    *prediction.FAULTS,
)

#: The same of training steps.
TRAINING_FAULTS: tuple[KnownFault, ...] = (*edm_training.FAULTS, *ddpm_training.FAULTS, *flow_training.FAULTS)

#: Those of grids by themselves, beside what the faults of samplers have of them.
GRID_FAULTS: tuple[KnownFault, ...] = grids.FAULTS
