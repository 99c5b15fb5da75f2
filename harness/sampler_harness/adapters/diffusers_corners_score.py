"""Score SDEs where diffusers' scheduler follows them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import reference_samplers
from reference_samplers.score_sde import Norms
from reference_samplers.validation import choice, real, refuse, whole

__all__ = ["ScoreSdeVe"]


@dataclass(frozen=True)
class ScoreSdeVe(reference_samplers.ScoreSDE):
    """Predictor-corrector sampling of exploding variance where ``ScoreSdeVeScheduler`` follows it, with its defaults.

    Source: Song et al. 2021, arXiv:2011.13456; see :class:`reference_samplers.ScoreSDE`. The corrector's norms are
    means over the batch, as appendix G has it.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
    """

    num_corrector_steps: int = whole(1, low=0)
    snr: float = real(0.15, above=0)
    norms: Norms = choice("batch")
    sigma_max: float = real(1348.0, above=0)
    eps: float | None = real(1e-5, above=0, below=1)
    handling: Literal["new", "saved"] = choice("new")

    def check(self) -> None:
        """The scheduler has one process, one predictor and one kind of network."""
        if self.sde != "ve" or self.predictor != "reverse_diffusion" or self.probability_flow:
            raise refuse("sde", self.sde, "'ve', with reverse diffusion and its noise: the scheduler has no other")
        if self.labels != "continuous" or self.prediction != "score" or self.norms != "batch" or not self.denoise:
            raise refuse("labels", self.labels, "'continuous', of a score, with norms='batch' and denoise=True")
        if self.eps is None or (self.num_steps - 1) * self.eps >= 1:
            # The level is looked up at t (N - 1), cut off.
            raise refuse("eps", self.eps, f"< 1 / (num_steps - 1), with num_steps={self.num_steps}")

    @property
    def returns_last_x0(self) -> bool:
        """The mean of the last step is no x0."""
        return False
