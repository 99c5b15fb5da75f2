"""What stands for a reference where there is none: a sampler of another package that is only compared."""

from __future__ import annotations

from dataclasses import dataclass

from reference_samplers import Reference
from reference_samplers.openings import Array, Model, Noise
from reference_samplers.validation import whole

__all__ = ["NoReference"]


@dataclass(frozen=True)
class NoReference(Reference):
    """Stands for a sampler whose paper is not among the references: only another program can judge it.

    Args:
        num_steps: >= 1, as its program counts them.
    """

    num_steps: int = whole(10, low=1)

    @property
    def has_steps(self) -> bool:
        """It has none."""
        return False

    def sample(self, model: Model, noise: Noise) -> Array:
        """There is none.

        Raises:
            ValueError: always; it says what to ask for instead.
        """
        raise ValueError(
            "this sampler has no reference here: compare it with another one, for example --against "
            "diffusers:DDIMScheduler, or with a saved law"
        )
