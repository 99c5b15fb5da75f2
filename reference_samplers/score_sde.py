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

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from . import prediction, validation
from .openings import Array, Denoise, Model, Noise

__all__ = ["Labels", "Norms", "Predictor", "ScoreSDE"]

SDE = Literal["ve", "vp"]
Predictor = Literal["reverse_diffusion", "ancestral_sampling", "euler_maruyama"]
Labels = Literal["time", "continuous", "discrete"]
Norms = Literal["item", "batch"]
ScorePrediction = Literal["score", "epsilon"]

_SDES: tuple[SDE, ...] = ("ve", "vp")
_PREDICTORS: tuple[Predictor, ...] = ("reverse_diffusion", "ancestral_sampling", "euler_maruyama")
_LABELS: tuple[Labels, ...] = ("time", "continuous", "discrete")
_NORMS: tuple[Norms, ...] = ("item", "batch")
_PREDICTIONS: tuple[ScorePrediction, ...] = ("score", "epsilon")

#: What the released VP networks are told in place of t = 1.
_LAST_LABEL = 999
#: Rounding may put a label of a whole level just below it.
_LABEL_GUARD = 1e-3


@dataclass(frozen=True)
class ScoreSDE:
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

    sde: SDE = "ve"
    num_steps: int = 1000
    num_corrector_steps: int = 0
    snr: float = 0.16
    norms: Norms = "item"
    sigma_min: float = 0.01
    sigma_max: float = 50.0
    beta_min: float = 0.1
    beta_max: float = 20.0
    predictor: Predictor = "reverse_diffusion"
    probability_flow: bool = False
    labels: Labels = "continuous"
    prediction: ScorePrediction = "score"
    denoise: bool = True
    eps: float | None = None

    def __post_init__(self) -> None:
        validation.choice("sde", self.sde, _SDES)
        validation.store(self, "num_steps", validation.whole("num_steps", self.num_steps, 2))
        corrector_steps = validation.whole("num_corrector_steps", self.num_corrector_steps, 0)
        validation.store(self, "num_corrector_steps", corrector_steps)
        for name in ("snr", "sigma_min", "sigma_max", "beta_min", "beta_max"):
            validation.store(self, name, validation.real(name, getattr(self, name), 0, above=True))
        if self.sigma_max <= self.sigma_min:
            raise validation.refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.beta_max < self.beta_min:
            raise validation.refuse("beta_max", self.beta_max, f">= beta_min={self.beta_min!r}")
        validation.choice("norms", self.norms, _NORMS)
        validation.choice("predictor", self.predictor, _PREDICTORS)
        validation.choice("labels", self.labels, _LABELS)
        validation.choice("prediction", self.prediction, _PREDICTIONS)
        for name in ("probability_flow", "denoise"):
            validation.store(self, name, validation.flag(name, getattr(self, name)))
        if self.probability_flow and self.predictor == "ancestral_sampling":
            raise validation.refuse("probability_flow", True, "False for predictor='ancestral_sampling'")
        if self.eps is not None:
            eps = validation.real("eps", self.eps, 0, 1, above=True)
            if eps == 1:
                raise validation.refuse("eps", eps, "< 1")
            validation.store(self, "eps", eps)
        tabled = self.predictor != "euler_maruyama" or self.labels == "discrete" or self.num_corrector_steps > 0
        if self.sde == "vp" and tabled and self.num_steps <= self.beta_max:
            legal = f"> beta_max={self.beta_max!r} for sde='vp', so that beta_N = beta_max / N is below 1"
            raise validation.refuse("num_steps", self.num_steps, legal)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithms 2 and 3, line for line, the corrector first.

        Draws:
            One of the sample's shape at the start, one in each corrector step, and one behind each predictor step but
            the last; there too unless ``denoise``; none there with ``probability_flow``.
        """
        score = self.score(model)
        x: Array = self.prior_std * noise()  # line 1
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

    def score(self, model: Model) -> Callable[[Array, int], Array]:
        """s(x, i), from what the model predicts."""

        def score(x: Array, i: int) -> Array:
            output: Array = model(x, self.label(i))
            if self.prediction == "epsilon":
                output = -output / self.model_std(i)
            return output

        return score

    def label(self, i: int) -> float:
        """What the model is told at level i."""
        t = self.time_grid[self.num_steps - i]
        if self.labels == "time":
            return float(t)
        if self.labels == "continuous":
            return float(self.sigma_of(t) if self.sde == "ve" else _LAST_LABEL * t)
        return float(self.num_steps - i if self.sde == "ve" else t * (self.num_steps - 1))

    def model_std(self, i: int) -> Any:
        """Std of the noise in x that an epsilon model is taken to mean at level i."""
        if self.labels != "discrete":
            return self.scales(self.time_grid[self.num_steps - i])[1]
        return self.sigma[i] if self.sde == "ve" else np.sqrt(1 - self.alpha_bar[i])

    @cached_property
    def end_time(self) -> float:
        """Time of the last call."""
        if self.eps is not None:
            return self.eps
        return 1e-5 if self.sde == "ve" else 1e-3

    @cached_property
    def time_grid(self) -> Array:
        """``(N,)`` times from 1 to ``eps``."""
        return np.linspace(1.0, self.end_time, self.num_steps)

    @cached_property
    def sigma(self) -> Array:
        """``(N + 1,)`` noise levels of ``"ve"``, data units: a geometric sequence behind sigma_0 = 0 (eq. 30)."""
        ramp = np.linspace(0.0, 1.0, self.num_steps)  # (i - 1) / (N - 1)
        return np.append(0.0, self.sigma_of(ramp))

    @cached_property
    def beta(self) -> Array:
        """``(N + 1,)`` variances of ``"vp"``: an arithmetic sequence; entry 0 is no step (eq. 32)."""
        table = np.linspace(self.beta_min / self.num_steps, self.beta_max / self.num_steps, self.num_steps)
        return np.append(0.0, table)

    @cached_property
    def alpha_bar(self) -> Array:
        """``(N + 1,)`` shares of signal variance of ``"vp"``; 1 at level 0."""
        return np.cumprod(1 - self.beta, dtype=np.float64)

    @property
    def prior_std(self) -> float:
        """Std of the first noise."""
        return self.sigma_max if self.sde == "ve" else 1.0

    def sigma_of(self, t: Any) -> Any:
        """Noise level of ``"ve"`` at time t (appendix C)."""
        return self.sigma_min * np.power(self.sigma_max / self.sigma_min, t)

    def drift(self, t: Any) -> Any:
        """f(x, t) over x (eq. 30, 32)."""
        if self.sde == "ve":
            return 0.0
        return -0.5 * (self.beta_min + t * (self.beta_max - self.beta_min))

    def diffusion(self, t: Any) -> Any:
        """g(t) (eq. 30, 32)."""
        if self.sde == "ve":
            return self.sigma_of(t) * np.sqrt(2 * np.log(self.sigma_max / self.sigma_min))
        return np.sqrt(self.beta_min + t * (self.beta_max - self.beta_min))

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Scales of data and noise in x at time t (eq. 29, 33)."""
        if self.sde == "ve":
            return 1.0, self.sigma_of(t)
        log_scale = -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min
        return np.exp(log_scale), np.sqrt(1 - np.exp(2 * log_scale))

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid.

        Args:
            index: in [0, N]; 0 is level N, N is the returned sample.
        """
        index = validation.whole("index", index, 0, self.num_steps)
        i = self.num_steps - index
        if self.sde == "ve":
            return 1.0, float(self.sigma[i])
        return float(np.sqrt(self.alpha_bar[i])), float(np.sqrt(1 - self.alpha_bar[i]))

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, label: float) -> Array:
            signal_scale, noise_scale = self.seen_scales(label)
            x0 = denoise(x / signal_scale, float(noise_scale / signal_scale))
            return prediction.from_x0(self.prediction, x, x0, signal_scale, noise_scale)

        return model

    def seen_scales(self, label: float) -> tuple[Any, Any]:
        """Scales of data and noise in what a network was trained on under a label: a level's, or those of a time."""
        if self.labels == "discrete" and self.sde == "ve":
            return self.forward_scales(int(label))
        if self.labels == "discrete":
            return self.forward_scales(self.num_steps - 1 - int(label + _LABEL_GUARD))
        if self.labels == "time":
            return self.scales(label)
        if self.sde == "ve":
            return 1.0, label
        return self.scales(label / _LAST_LABEL)

    @property
    def order(self) -> int:
        """Global order of the predictor."""
        return 1

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
    def is_clipped(self) -> bool:
        """Nothing is clamped."""
        return False

    @property
    def model_channels(self) -> int:
        """The model's output is shaped like its input."""
        return 1
