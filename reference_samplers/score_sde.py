"""Song et al. 2021, "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv:2011.13456.

Levels are counted as the paper counts them: ``i = N`` is the noisiest, ``i = 1`` the last that a network was trained
at, and level 0 is the data. Time runs from 1 at level N to ``eps`` at level 1.

Four things the paper and the program released with it leave open, or do differently:

*What the model is told.* Context: Algorithms 2 and 3 write s(x, sigma_i) and s(x, i); the released samplers walk over
t and translate it for each kind of network. Choice: the released translation, as ``labels``. Reversed by: a paper that
fixes one.

*The grid.* Context: level i of the paper's tables stands at the time (i - 1) / (N - 1), so that the last call would be
told t = 0; the released program stops at ``eps``, 1e-5 for VE and 1e-3 for VP, and takes N even times from 1 to there,
the tables as they are. Choice: its times, the paper's tables. Reversed by: a network trained down to t = 0.

*Where the corrector stands.* Context: Algorithm 1 prints it behind the predictor, so that its last turn would ask for
the score at level 0, where no network was trained; Algorithms 4 and 5 run it at levels N to 1, and so does the released
program, before the predictor. Choice: before. Reversed by: a program that corrects at level 0.

*Whose norm.* Context: Algorithms 4 and 5 write the norms of one sample; appendix G says that for large batches their
means over the batch take their place, as the released program does for all batches. Choice: ``norms``, of each item
unless said otherwise. Reversed by: nothing; with ``"batch"`` the items of a batch are coupled, and that is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .grids.even_times import TimesToEps
from .openings import Array, Model, Noise
from .processes.reverse_sde import SDE, Labels, ReverseSDE, ScorePrediction
from .validation import choice, flag, real, refuse, whole

__all__ = ["Labels", "Norms", "Predictor", "ScoreSDE"]

Predictor = Literal["reverse_diffusion", "ancestral_sampling", "euler_maruyama"]
Norms = Literal["item", "batch"]


@dataclass(frozen=True)
class ScoreSDE(ReverseSDE, TimesToEps):
    """Predictor-corrector sampling: steps of the reverse-time SDE, Langevin steps at each level before them.

    Source: Song et al. 2021, arXiv:2011.13456, Algorithms 1 to 3 (appendix G) with the step size of Algorithms 4
    and 5; tables: equations 30 and 32 with appendix C; predictors: equations 4, 46, 47 and appendix E.

    Args:
        sde: ``"ve"``, variance exploding, or ``"vp"``, variance preserving.
        num_steps: N, >= 2; above ``beta_max`` for ``"vp"``, so that each beta_i stays below 1 (``euler_maruyama``
            has no such table).
        num_corrector_steps: M, >= 0.
        snr: r, > 0, the corrector's "signal-to-noise" ratio.
        norms: the corrector's step size is from the norms of each ``"item"`` (Algorithms 4 and 5), or from their
            mean over the ``"batch"`` (appendix G).
        sigma_min: lowest noise level of ``"ve"``, data units, > 0.
        sigma_max: highest noise level of ``"ve"``, data units, > ``sigma_min``.
        beta_min: rate of ``"vp"`` at t = 0, > 0.
        beta_max: rate of ``"vp"`` at t = 1, >= ``beta_min``.
        predictor: ``"reverse_diffusion"`` (Algorithms 2 and 3), ``"ancestral_sampling"`` or ``"euler_maruyama"``.
        probability_flow: half the score and no noise; not for ``"ancestral_sampling"``.
        labels: what the model is told. ``"time"``: t. ``"continuous"``, a network of all times: sigma(t) for
            ``"ve"``, 999 t for ``"vp"``. ``"discrete"``, a network of N levels: their number from the noisiest, 0 to
            N - 1, for ``"ve"``; t (N - 1) for ``"vp"``.
        prediction: what the model predicts: ``"score"``, or ``"epsilon"``, which is -std times it.
        denoise: the last step returns its mean, without noise.
        eps: time of the last call, in (0, 1); None for 1e-5 (``"ve"``) or 1e-3 (``"vp"``). A network of all times is
            told up to ``eps`` more than the level of x: at 1e-3 and ``"vp"`` the std of narrow data stays 1 % off at
            any N (``limit/gaussian``).

    Raises:
        ValueError: names field, value and legal range.
    """

    sde: SDE = choice("ve")
    num_steps: int = whole(1000, low=2)
    num_corrector_steps: int = whole(0, low=0)
    snr: float = real(0.16, above=0)
    norms: Norms = choice("item")
    sigma_min: float = real(0.01, above=0)
    sigma_max: float = real(50.0, above=0)
    beta_min: float = real(0.1, above=0)
    beta_max: float = real(20.0, above=0)
    predictor: Predictor = choice("reverse_diffusion")
    probability_flow: bool = flag(False)
    labels: Labels = choice("continuous")
    prediction: ScorePrediction = choice("score")
    denoise: bool = flag(True)
    eps: float | None = real(None, above=0, below=1)

    def check(self) -> None:
        """Ranges are ranges, and every beta_i stays below 1."""
        if self.sigma_max <= self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.beta_max < self.beta_min:
            raise refuse("beta_max", self.beta_max, f">= beta_min={self.beta_min!r}")
        if self.probability_flow and self.predictor == "ancestral_sampling":
            raise refuse("probability_flow", True, "False for predictor='ancestral_sampling'")
        tabled = self.predictor != "euler_maruyama" or self.labels == "discrete" or self.num_corrector_steps > 0
        if self.sde == "vp" and tabled and self.num_steps <= self.beta_max:
            legal = f"> beta_max={self.beta_max!r} for sde='vp', so that beta_N = beta_max / N is below 1"
            raise refuse("num_steps", self.num_steps, legal)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithms 2 and 3, line for line, the corrector first.

        Draws:
            One of the sample's shape at the start, one in each corrector step, and one behind each predictor step but
            the last; there too unless ``denoise``; none there with ``probability_flow``.
        """
        score = self.score(model)
        x: Array = self.initial_std * noise()  # line 1
        for i in range(self.num_steps, 0, -1):  # line 2
            for _ in range(self.num_corrector_steps):  # line 6
                g = score(x, i)
                z = noise()  # line 7
                epsilon = self.step_size(g, z, i)
                x = x + epsilon * g + np.sqrt(2 * epsilon) * z  # line 8
            x, std = self.predicted(x, score(x, i), i)  # line 3
            if not self.probability_flow and (i > 1 or not self.denoise):
                x = x + std * noise()  # lines 4, 5
        return x  # line 9

    def predicted(self, x: Array, s: Array, i: int) -> tuple[Array, Any]:
        """Mean and std of the state at level i - 1, given the one at level i and its score."""
        share = 0.5 if self.probability_flow else 1.0
        if self.predictor == "euler_maruyama":
            t, dt = self.time_grid[self.num_steps - i], 1 / self.num_steps
            mean: Array = x - (self.drift(t) * x - share * self.diffusion(t) ** 2 * s) * dt  # appendix E
            return mean, self.diffusion(t) * np.sqrt(dt)
        if self.sde == "ve":
            variance = self.sigma[i] ** 2 - self.sigma[i - 1] ** 2
            if self.predictor == "ancestral_sampling":
                std = np.sqrt(self.sigma[i - 1] ** 2 * variance / self.sigma[i] ** 2)
                return x + variance * s, std  # eq. 47
            return x + share * variance * s, np.sqrt(variance)  # Algorithm 2, lines 3, 5
        beta = self.beta[i]
        if self.predictor == "ancestral_sampling":
            return (x + beta * s) / np.sqrt(1 - beta), np.sqrt(beta)  # eq. 4
        return (2 - np.sqrt(1 - beta)) * x + share * beta * s, np.sqrt(beta)  # Algorithm 3, lines 3, 5

    def step_size(self, g: Array, z: Array, i: int) -> Any:
        """The corrector's epsilon: Algorithm 4, line 6; for ``"vp"`` times alpha_i, Algorithm 5."""
        ratio = self.norm(z) / self.norm(g)
        alpha = 1 - self.beta[i] if self.sde == "vp" else 1.0
        return 2 * alpha * (self.snr * ratio) ** 2

    def norm(self, values: Array) -> Any:
        """Of each item, to broadcast against them; with ``norms="batch"`` its mean over the batch."""
        places = tuple(range(1, np.ndim(values)))
        norms = np.sqrt(np.sum(np.square(values), axis=places, keepdims=True))
        return np.mean(norms) if self.norms == "batch" else norms

    @property
    def stochasticity(self) -> float | None:
        """1, the reverse process itself; 0 with probability flow; Langevin steps have no closed form."""
        if self.num_corrector_steps:
            return None
        return 0.0 if self.probability_flow else 1.0

    @property
    def is_affine(self) -> bool:
        """The corrector's step size is from norms of its draw and of the score; without it all is affine."""
        return self.num_corrector_steps == 0

    @property
    def couples_items(self) -> bool:
        """Whether an item's step depends on its neighbours."""
        return self.norms == "batch" and self.num_corrector_steps > 0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return self.num_steps * (self.num_corrector_steps + 1)

    @property
    def end_time(self) -> float:
        """Time of the last call."""
        if self.eps is not None:
            return self.eps
        return 1e-5 if self.sde == "ve" else 1e-3
