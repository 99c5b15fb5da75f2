"""Song, Meng & Ermon 2020, "Denoising Diffusion Implicit Models", arXiv:2010.02502."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import prediction, validation
from .chain import Chain
from .openings import Array, Model, Noise

__all__ = ["DDIM", "FinalAlphaBar"]

FinalAlphaBar = Literal["one", "first"]

_FINAL_ALPHA_BARS: tuple[FinalAlphaBar, ...] = ("one", "first")


@dataclass(frozen=True)
class DDIM(Chain):
    """Steps that keep the marginals of DDPM while drawing less noise, or none.

    Source: Song et al. 2020, arXiv:2010.02502, equations 12 and 16, on a subset of the timesteps (section 4.2;
    the paper's alpha is alpha_bar here). Re-derived epsilon: Nichol et al. 2021 (GLIDE), arXiv:2112.10741,
    released code. Thresholding: Saharia et al. 2022, arXiv:2205.11487.

    Args:
        num_train_timesteps: T, >= 1; where ``betas`` is given, their number.
        beta_schedule: ``"linear"``, ``"scaled_linear"``, ``"cosine"`` or ``"sigmoid"``; not scaled with T.
        beta_start: in (0, 1); the cosine schedule does not use it.
        beta_end: in (0, 1), >= ``beta_start``; the cosine schedule does not use it.
        betas: the table itself, in (0, 1), the last one at most 1; excludes the schedule.
        num_steps: n, in [1, T]; None visits all.
        timestep_spacing: ``"leading"``, ``"linspace"``, ``"trailing"`` or ``"respaced"``.
        timesteps: the grid itself, descending; excludes ``num_steps`` and the spacing.
        steps_offset: >= 0, added to each timestep of ``"leading"``; the others do not use it.
        rescale_zero_terminal_snr: the table is rescaled to end in alpha_bar = 0.
        prediction: what the network predicts: ``"epsilon"``, ``"x0"`` or ``"v"``.
        clip_denoised: x0 is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
        threshold: quantile in [0, 1] for dynamic thresholding, which replaces the clamp; None for none.
        threshold_max: upper bound of its clamp, data units, >= 1.
        eta: in [0, 1]; 0 draws nothing after the start, 1 is DDPM with its small variance.
        final_alpha_bar: level after the last step: ``"one"``, or ``"first"``, the table's entry 0.
        rederive_epsilon: epsilon follows from the clamped x0; else the network's own is kept.

    Raises:
        ValueError: names field, value and legal range.
    """

    eta: float = 0.0
    final_alpha_bar: FinalAlphaBar = "one"
    rederive_epsilon: bool = True

    def __post_init__(self) -> None:
        validation.store(self, "eta", validation.real("eta", self.eta, 0, 1))
        validation.choice("final_alpha_bar", self.final_alpha_bar, _FINAL_ALPHA_BARS)
        rederive = validation.flag("rederive_epsilon", self.rederive_epsilon)
        validation.store(self, "rederive_epsilon", rederive)
        super().__post_init__()

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: equation 12 at each step.

        Draws:
            One of the sample's shape at the start; with ``eta`` > 0 one at each step but the last.
        """
        x = noise()  # x_T
        for t, t_next in self.transitions:  # section 4.2
            alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]
            output = model(x, t)
            x0 = self.to_x0(x, output, alpha_bar)  # eq. 12, "predicted x0"
            epsilon = self.to_epsilon(x, output, x0, alpha_bar)
            sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next >= 0 else 0.0  # eq. 16
            # 0 where alpha_bar is 0 and eta 1: rounding must not take it below.
            direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))
            x = np.sqrt(alpha_bar_next) * x0 + direction_weight * epsilon  # eq. 12, with "direction"
            if sigma > 0:  # a draw times 0 would leave the law as it is
                x = x + sigma * noise()  # eq. 12, "random noise"
        return x

    def sigma(self, alpha_bar: Any, alpha_bar_next: Any) -> Any:
        """Std of a step's draw (equation 16)."""
        return self.eta * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * np.sqrt(1 - alpha_bar / alpha_bar_next)

    def to_epsilon(self, x: Array, output: Array, x0: Array, alpha_bar: Any) -> Array:
        """The epsilon that a step goes along: what the (clamped) x0 leaves of x, or the network's own."""
        if self.prediction == "epsilon" and not (self.rederive_epsilon and self.is_clipped):
            return output
        signal_scale, noise_scale = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
        if not self.rederive_epsilon:
            x0 = prediction.to_x0(self.prediction, x, output, signal_scale, noise_scale)
        return prediction.epsilon_from_x0(x, x0, signal_scale, noise_scale)

    def _final_alpha_bar(self, table: Array) -> Any:
        return table[0] if self.final_alpha_bar == "first" else 1.0

    @property
    def stochasticity(self) -> float | None:
        """How much of the reverse process's noise is drawn: ``eta``."""
        return self.eta

    @property
    def model_channels(self) -> int:
        """The model's output is shaped like its input."""
        return 1
