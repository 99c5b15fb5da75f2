"""What the schedulers of diffusers document themselves to be, as references in float64.

Context: EulerDiscreteScheduler and HeunDiscreteScheduler choose their noise levels from a table by rules of their
own, and each scheduler leaves its paper in some corner of its options.
Choice: a rule is written here again, from its documentation, and the steps are left to the reference samplers; the
corners that differ from the paper are refused here, and declared one by one in ``diffusers.KNOWN_DEVIATIONS``.
Reversed by: a release of diffusers in which a corner follows the paper; then its refusal and its entry go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

import reference_samplers
from reference_samplers import EDM, prediction, schedules, validation
from reference_samplers.openings import Array, Denoise, Model, Noise

__all__ = [
    "DDIM",
    "DDPM",
    "EDMEuler",
    "EulerDiscrete",
    "HeunDiscrete",
    "NoReference",
    "WholeEDMEuler",
    "WholeEulerDiscrete",
    "WholeHeunDiscrete",
    "laplace_betas",
    "overruns",
]

TableSchedule = Literal["linear", "scaled_linear", "cosine", "exponential"]
SigmaSpacing = Literal["timesteps", "karras", "exponential", "beta"]
LevelSpacing = Literal["karras", "exponential"]
FirstNoise = Literal["unit_variance_data", "level"]

TABLE_SCHEDULES: tuple[TableSchedule, ...] = ("linear", "scaled_linear", "cosine", "exponential")
SIGMA_SPACINGS: tuple[SigmaSpacing, ...] = ("timesteps", "karras", "exponential", "beta")
TIMESTEP_SPACINGS = ("leading", "linspace", "trailing")
PREDICTIONS = ("epsilon", "x0", "v")

#: Both parameters of the beta distribution whose quantiles space ``sigma_spacing="beta"``.
BETA_SHAPE = 0.6
#: Stands in for alpha_bar = 0 at the end of a rescaled table, where the noise level would be infinite.
LEAST_ALPHA_BAR = 2.0**-24
#: Below this alpha_bar the part of 1 that a step keeps is lost in float32, and so may be its sign.
LOST_ALPHA_BAR = 1e-6
#: The corrector divides a state of size sigma by sigma_next, and multiplies by the step: rounding of 2^-24 grows by
#: sigma^2 / sigma_next, and at 1e4 it is no longer small beside what is clamped.
STEEPEST_CLIPPED_STEP = 1e4
#: ``rho`` of the Karras levels, which the schedulers do not let one choose.
RHO = 7.0


def overruns(num_train_timesteps: int, num_steps: int) -> bool:
    """Whether counting down from T in steps of the rounded quotient T / n gives one entry too many.

    Args:
        num_train_timesteps: T.
        num_steps: n.
    """
    return math.ceil(num_train_timesteps / (num_train_timesteps / num_steps)) > num_steps


def _refuse_trailing(num_train_timesteps: int, num_steps: int) -> None:
    if overruns(num_train_timesteps, num_steps):
        raise validation.refuse(
            "num_steps", num_steps, "one for which trailing timesteps end in time (FINDINGS: one step too many)"
        )
    if schedules.rounds_a_half("trailing", num_train_timesteps, num_steps):
        raise validation.refuse(
            "num_steps", num_steps, "one for which no trailing timestep is a half: how it rounds is nobody's claim"
        )


@dataclass(frozen=True)
class DDPM(reference_samplers.DDPM):
    """DDPM where diffusers follows it: the corners in which it does not are refused.

    Source: Ho et al. 2020, arXiv:2006.11239; see :class:`reference_samplers.DDPM`.

    Args:
        variance_as_logarithm: the program keeps the variance as a logarithm, which must change nothing.
    """

    variance_as_logarithm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variance_as_logarithm and self.variance != "fixed_small":
            raise validation.refuse("variance_as_logarithm", True, "False unless variance is 'fixed_small'")
        if self.timestep_spacing == "trailing":
            _refuse_trailing(self.num_train_timesteps, len(self.grid))
        if self.variance != "fixed_small" and self.grid[-1] > 0:
            legal = f"'fixed_small' where the grid ends in {self.grid[-1]} (FINDINGS: noise on the last step)"
            raise validation.refuse("variance", self.variance, legal)


@dataclass(frozen=True)
class DDIM(reference_samplers.DDIM):
    """DDIM where diffusers follows it: the corners in which it does not are refused.

    Source: Song et al. 2020, arXiv:2010.02502; see :class:`reference_samplers.DDIM`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        length, count = self.num_train_timesteps, len(self.grid)
        if self.timestep_spacing == "linspace" and count not in (1, length):
            legal = f"1 or {length} where timesteps are spaced by linspace (FINDINGS: t - T // n)"
            raise validation.refuse("num_steps", count, legal)
        if self.timestep_spacing == "trailing" and length % count:
            legal = f"a divisor of {length} where timesteps are trailing (FINDINGS: t - T // n)"
            raise validation.refuse("num_steps", count, legal)
        if self.timestep_spacing == "leading" and self.steps_offset >= length // count:
            legal = f"< {length // count} (FINDINGS: t - T // n)"
            raise validation.refuse("steps_offset", self.steps_offset, legal)
        if self.final_alpha_bar == "first" and self.eta > 0 and self.grid[-1] > 0:
            # Equation 16 has noise there, since the last level is not 0; this project's DDIM has none.
            raise validation.refuse("eta", self.eta, "0 where the last step goes from above entry 0 to its level")
        if self.eta > 1 - 1e-6 and self.alpha_bar[self.grid[0]] < LOST_ALPHA_BAR:
            raise validation.refuse("eta", self.eta, "< 1 where alpha_bar starts near 0 (FINDINGS: a root below 0)")


def laplace_betas(num_train_timesteps: int) -> tuple[float, ...]:
    """Variances of the chain whose logarithmic signal-to-noise ratio is spread as a Laplace distribution.

    Source: Hang et al. 2024, arXiv:2407.03297, Laplace schedule with mu = 0 and b = 0.5, where SNR is the ratio of
    squared scales, so that alpha_bar = SNR / (1 + SNR).

    Args:
        num_train_timesteps: T.
    """
    time = np.linspace(0.0, 1.0, num_train_timesteps + 1)
    # 1e-6 keeps both ends finite, as the scheduler has it.
    log_snr = -0.5 * np.sign(0.5 - time) * np.log(1 - 2 * np.abs(0.5 - time) + 1e-6)
    level = 1 / (1 + np.exp(-log_snr))
    return tuple(float(beta) for beta in np.minimum(1 - level[1:] / level[:-1], 0.999))


class _Delegating:
    """What the harness asks of a reference, answered by the sampler that :attr:`solver` builds."""

    @property
    def solver(self) -> EDM:
        """The reference sampler with its noise levels and times written out."""
        raise NotImplementedError

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample, as the solver does."""
        return self.solver.sample(model, noise)

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid.

        Args:
            index: in [0, N]; N is the returned sample.
        """
        return self.solver.forward_scales(index)

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        return self.solver.network(denoise)

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return self.solver.order

    @property
    def stochasticity(self) -> float | None:
        """0 without churn, None with it."""
        return self.solver.stochasticity

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return self.solver.num_calls

    @property
    def is_clipped(self) -> bool:
        """Whether a clamp may act."""
        return False

    @property
    def model_channels(self) -> int:
        """The model's output is shaped like its input."""
        return 1


@dataclass(frozen=True)
class EDMEuler(_Delegating):
    """Euler's method of EDM on a network inside the preconditioning, as ``EDMEulerScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 1 without the correction, equation 5, table 1.

    Args:
        num_steps: N, >= 1.
        sigma_min: lowest noise level above 0, data units, > 0.
        sigma_max: first noise level, data units, > ``sigma_min``.
        rho: > 0, for ``"karras"``.
        sigma_spacing: ``"karras"`` (equation 5) or ``"exponential"``, evenly spaced logarithms.
        sigma_data: std of the data, > 0.
        prediction: ``"epsilon"`` is F as in table 1, ``"v"`` its negative.
        first_noise: std of the first noise: ``"unit_variance_data"``, sqrt(sigma_max^2 + 1), which the scheduler
            documents, or ``"level"``, sigma_max, which Algorithm 1 has.
        s_churn: >= 0.
        s_tmin: lowest level at which noise is renewed, data units.
        s_tmax: highest such level, data units.
        s_noise: std of the renewed noise, > 0.
        sigmas: the levels themselves, decreasing, with the final 0; ``num_steps`` must fit.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int = 18
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    sigma_spacing: LevelSpacing = "karras"
    sigma_data: float = 0.5
    prediction: Literal["epsilon", "v"] = "epsilon"
    first_noise: FirstNoise = "unit_variance_data"
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = float("inf")
    s_noise: float = 1.0
    sigmas: tuple[float, ...] | None = None

    #: Whether the corners that FINDINGS.md tells of are refused.
    refuses_findings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validation.whole("num_steps", self.num_steps, 1)
        validation.choice("sigma_spacing", self.sigma_spacing, ("karras", "exponential"))
        validation.choice("prediction", self.prediction, ("epsilon", "v"))
        validation.choice("first_noise", self.first_noise, ("unit_variance_data", "level"))
        if self.sigma_max <= self.sigma_min:
            raise validation.refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.refuses_findings and self.num_steps == 1 and self.sigma_spacing == "exponential":
            raise validation.refuse("num_steps", 1, "> 1 where levels are exponential (FINDINGS: one step)")
        if self.sigmas is not None and self.num_steps != len(self.sigmas) - 1:
            raise validation.refuse("num_steps", self.num_steps, f"{len(self.sigmas) - 1}, one per level")
        if self.sigmas is not None and self.refuses_findings:
            raise validation.refuse("sigmas", self.sigmas, "None (FINDINGS: levels given by hand)")
        _ = self.solver

    @cached_property
    def solver(self) -> EDM:
        """Algorithm 1 with Euler's step."""
        levels = self.sigmas
        if levels is None and self.sigma_spacing == "exponential":
            levels = (*exponential_levels(self.num_steps, self.sigma_min, self.sigma_max), 0.0)
        first = np.sqrt(np.square(self.sigma_max) + 1)
        return EDM(
            num_steps=self.num_steps,
            sigma_min=self.sigma_min,
            sigma_max=self.sigma_max,
            rho=self.rho,
            solver="euler",
            s_churn=self.s_churn,
            s_tmin=self.s_tmin,
            s_tmax=self.s_tmax,
            s_noise=self.s_noise,
            sigmas=levels,
            initial_scale=float(first) if self.first_noise == "unit_variance_data" else None,
            model_kind="network",
            sigma_data=self.sigma_data,
        )

    @property
    def turning_points(self) -> dict[str, float]:
        """Those of :class:`~reference_samplers.EDM`."""
        return self.solver.turning_points

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample; a ``"v"`` network is F with the other sign."""
        return self.solver.sample(self._signed(model), noise)

    def network(self, denoise: Denoise) -> Model:
        """The perfect network F, or its negative.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        return self._signed(self.solver.network(denoise))

    def _signed(self, model: Model) -> Model:
        if self.prediction == "epsilon":
            return model

        def negative(x: Array, time: float) -> Any:
            return -model(x, time)

        return negative


def exponential_levels(num_steps: int, sigma_min: Any, sigma_max: Any) -> tuple[float, ...]:
    """Noise levels with evenly spaced logarithms, decreasing from ``sigma_max``; one step has that level alone.

    Args:
        num_steps: number of levels.
        sigma_min: the last one, data units, > 0.
        sigma_max: the first one, data units.
    """
    ramp = np.linspace(0.0, 1.0, num_steps)
    high, low = np.log(sigma_max), np.log(sigma_min)
    return tuple(float(level) for level in np.exp(high + ramp * (low - high)))


@dataclass(frozen=True)
class EulerDiscrete(_Delegating):
    """Euler's method of EDM on the noise levels of a chain, as ``EulerDiscreteScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 2 without the correction; levels from a chain's table
    as in its appendix C.3.4; timesteps: Lin et al. 2023, arXiv:2305.08891, table 2; ``"beta"``: Lee et al. 2024,
    arXiv:2407.12173 (quantiles of time).

    Args:
        num_steps: N, >= 1.
        num_train_timesteps: T, length of the table.
        beta_schedule: ``"linear"``, ``"scaled_linear"``, ``"cosine"``, or ``"exponential"`` (Heun alone),
            alpha_bar = exp(-12 t / T).
        beta_start: in (0, 1).
        beta_end: in (0, 1).
        betas: the table itself; excludes the schedule.
        rescale_zero_terminal_snr: the table is rescaled; its last alpha_bar is then 2^-24 where the paper has 0.
        timestep_spacing: ``"linspace"``, ``"leading"`` or ``"trailing"``. It also chooses the first noise: with
            ``"leading"`` data of unit variance is thought to be in it, sqrt(sigma^2 + 1), else not, sigma.
        steps_offset: >= 0, added to each timestep of ``"leading"``.
        timesteps: the timesteps themselves, descending, fractions allowed.
        sigmas: the levels themselves, decreasing, with the final 0.
        sigma_spacing: ``"timesteps"``: the table's levels at the timesteps, linear between entries; ``"karras"``
            and ``"exponential"``: N levels between those of the first and the last timestep, or between
            ``sigma_max`` and ``sigma_min``; ``"beta"``: levels at quantiles of the time.
        sigma_min: lowest level of the last three, data units.
        sigma_max: highest level of the last three, data units.
        prediction: ``"epsilon"``, ``"x0"`` or ``"v"``.
        continuous_time: the model is told ln(sigma) / 4, not an index in the table; ``"v"`` alone.
        s_churn: >= 0.
        s_tmin: lowest level at which noise is renewed, data units.
        s_tmax: highest such level, data units.
        s_noise: std of the renewed noise, > 0.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int | None = 10
    num_train_timesteps: int = 1000
    beta_schedule: TableSchedule = "linear"
    beta_start: float = 1e-4
    beta_end: float = 0.02
    betas: tuple[float, ...] | None = None
    rescale_zero_terminal_snr: bool = False
    timestep_spacing: Literal["linspace", "leading", "trailing"] = "linspace"
    steps_offset: int = 0
    timesteps: tuple[float, ...] | None = None
    sigmas: tuple[float, ...] | None = None
    sigma_spacing: SigmaSpacing = "timesteps"
    sigma_min: float | None = None
    sigma_max: float | None = None
    prediction: Literal["epsilon", "x0", "v"] = "epsilon"
    continuous_time: bool = False
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = float("inf")
    s_noise: float = 1.0

    #: Whether the corners that FINDINGS.md tells of are refused.
    refuses_findings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validation.choice("beta_schedule", self.beta_schedule, TABLE_SCHEDULES)
        validation.choice("timestep_spacing", self.timestep_spacing, TIMESTEP_SPACINGS)
        validation.choice("sigma_spacing", self.sigma_spacing, SIGMA_SPACINGS)
        validation.choice("prediction", self.prediction, PREDICTIONS)
        validation.whole("num_train_timesteps", self.num_train_timesteps, 2)
        validation.whole("steps_offset", self.steps_offset, 0)
        if self.continuous_time and self.prediction != "v":
            raise validation.refuse("continuous_time", True, "False unless prediction is 'v'")
        if self.betas is not None and len(self.betas) != self.num_train_timesteps:
            raise validation.refuse("num_train_timesteps", self.num_train_timesteps, f"{len(self.betas)}, one per beta")
        self._check_grid()
        _ = self.solver

    def _check_grid(self) -> None:
        by_hand = [name for name in ("timesteps", "sigmas") if getattr(self, name) is not None]
        if by_hand:
            if self.num_steps is not None or len(by_hand) > 1:
                raise validation.refuse("num_steps", self.num_steps, f"None where {by_hand[0]} is given")
            if self.sigma_spacing != "timesteps" or (self.timesteps is not None and self.continuous_time):
                raise validation.refuse("sigma_spacing", self.sigma_spacing, f"'timesteps' where {by_hand[0]} is given")
            return
        if self.num_steps is None:
            raise validation.refuse("num_steps", None, "given, or timesteps, or sigmas")
        validation.whole("num_steps", self.num_steps, 1, self.num_train_timesteps)
        if self.sigma_spacing == "timesteps" and (self.sigma_min, self.sigma_max) != (None, None):
            raise validation.refuse("sigma_spacing", self.sigma_spacing, "one that sigma_min and sigma_max bound")
        if self.timestep_spacing == "trailing" and self.refuses_findings:
            _refuse_trailing(self.num_train_timesteps, self.num_steps)

    @cached_property
    def train_sigmas(self) -> Array:
        """``(T,)`` noise levels of the chain, increasing, data units."""
        if self.betas is not None:
            table = schedules.alpha_bar(np.array(self.betas))
        elif self.beta_schedule == "exponential":
            time = np.linspace(0.0, 1.0, self.num_train_timesteps + 1)
            level = np.exp(-12 * time)
            table = schedules.alpha_bar(np.minimum(1 - level[1:] / level[:-1], 0.999))
        else:
            betas = schedules.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
            table = schedules.alpha_bar(betas)
        if self.rescale_zero_terminal_snr:
            table = np.append(schedules.rescale_zero_terminal_snr(table)[:-1], LEAST_ALPHA_BAR)
        levels: Array = np.sqrt((1 - table) / table)
        return levels

    @property
    def _is_table_increasing(self) -> bool:
        """False where rescaling puts an entry before the last one below what stands for 0 there."""
        return bool(np.all(np.diff(self.train_sigmas) > 0))

    @cached_property
    def timestep_grid(self) -> tuple[float, ...]:
        """``(N,)`` timesteps, descending, before a spacing of levels replaces them."""
        if self.timesteps is not None:
            return self.timesteps
        assert self.num_steps is not None
        last = self.num_train_timesteps - 1
        if self.timestep_spacing == "linspace":  # not rounded here
            stride = last / (self.num_steps - 1) if self.num_steps > 1 else 0.0
            return tuple(i * stride for i in reversed(range(self.num_steps)))
        grid = schedules.spaced_timesteps(
            self.timestep_spacing, self.num_train_timesteps, self.num_steps, self.steps_offset
        )
        if grid[0] > last:
            raise validation.refuse("steps_offset", self.steps_offset, f"small enough for the grid to end by {last}")
        return tuple(float(t) for t in grid)

    @property
    def grid(self) -> tuple[float, ...]:
        """The timesteps under the name that every chain has for them."""
        return self.timestep_grid

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """``(N,)`` noise levels above 0, decreasing, data units."""
        if self.sigmas is not None:
            return self.sigmas[:-1]
        table = self.train_sigmas
        if self.sigma_spacing != "timesteps" and not self._is_table_increasing:
            legal = "'timesteps' where rescaling leaves levels that do not increase"
            raise validation.refuse("sigma_spacing", self.sigma_spacing, legal)
        at_timesteps = np.interp(self.timestep_grid, np.arange(len(table)), table)
        if self.sigma_spacing == "timesteps":
            return tuple(float(level) for level in at_timesteps)
        count = len(self.timestep_grid)
        low = at_timesteps[-1] if self.sigma_min is None else self.sigma_min
        high = at_timesteps[0] if self.sigma_max is None else self.sigma_max
        if self.refuses_findings and count > 1 and not table[0] * (1 - 1e-6) <= low < high <= table[-1] * (1 + 1e-6):
            raise validation.refuse("sigma_max", self.sigma_max, "levels in the table (FINDINGS: levels beyond it)")
        if self.sigma_spacing == "exponential":
            return exponential_levels(count, low, high)
        if self.sigma_spacing == "karras":
            return tuple(float(level) for level in schedules.karras_sigmas(count, low, high, RHO)[:-1])
        return tuple(float(level) for level in self._beta_levels(count, low, high))

    def _beta_levels(self, count: int, low: Any, high: Any) -> Array:
        from scipy import stats

        quantiles = stats.beta.ppf(1 - np.linspace(0.0, 1.0, count), BETA_SHAPE, BETA_SHAPE)
        log_table = np.log(self.train_sigmas)
        first, last = (schedules.fractional_index(level, log_table) for level in (high, low))
        times = last + np.asarray(quantiles) * (first - last)
        levels: Array = np.interp(times, np.arange(len(log_table)), self.train_sigmas)
        return levels

    @cached_property
    def times(self) -> tuple[float, ...]:
        """``(N,)`` what the model is told at each level."""
        if self.continuous_time:
            return tuple(float(prediction.c_noise(level)) for level in self.levels)
        if self.sigma_spacing == "timesteps" and self.sigmas is None:
            return self.timestep_grid
        index = schedules.fractional_index(np.array(self.levels), np.log(self.train_sigmas))
        return tuple(float(time) for time in index)

    @cached_property
    def solver(self) -> EDM:
        """Algorithm 2 on these levels."""
        return self._solver("euler")

    @property
    def turning_points(self) -> dict[str, float]:
        """Those of :class:`~reference_samplers.EDM`."""
        return self.solver.turning_points

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration; a time that was rounded means the nearest one of the grid.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        exact = self.solver.network(denoise)

        def model(x: Array, time: float) -> Any:
            nearest = min(self.times, key=lambda told: abs(told - time))
            return exact(x, nearest if abs(nearest - time) <= 1e-3 * max(abs(time), 1.0) else time)

        return model

    def _solver(self, method: Literal["euler", "heun"]) -> EDM:
        largest = self.levels[0]
        first = np.sqrt(np.square(largest) + 1) if self.timestep_spacing == "leading" else largest
        return EDM(
            solver=method,
            s_churn=self.s_churn,
            s_tmin=self.s_tmin,
            s_tmax=self.s_tmax,
            s_noise=self.s_noise,
            sigmas=(*self.levels, 0.0),
            times=self.times,
            train_sigmas=tuple(float(level) for level in self.train_sigmas) if self._is_table_increasing else None,
            initial_scale=float(first),
            model_kind=self.prediction,
        )


@dataclass(frozen=True)
class HeunDiscrete(EulerDiscrete):
    """Heun's method of EDM on the noise levels of a chain, as ``HeunDiscreteScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 1; the rest as in :class:`EulerDiscrete`. Churn, custom
    levels, rescaling and continuous time are not offered.

    Args:
        clip_denoised: what the model denoises is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
    """

    beta_start: float = 0.00085
    beta_end: float = 0.012
    clip_denoised: bool = False
    clip_range: float = 1.0

    def __post_init__(self) -> None:
        for name in ("sigmas", "sigma_min", "sigma_max", "rescale_zero_terminal_snr", "continuous_time", "s_churn"):
            if getattr(self, name):
                raise validation.refuse(
                    name, getattr(self, name), "left at its default: the scheduler has no such option"
                )
        validation.real("clip_range", self.clip_range, 0, above=True)
        super().__post_init__()
        steepest = max((high**2 / low for high, low in pairwise(self.levels)), default=0.0)
        if self.clip_denoised and steepest > STEEPEST_CLIPPED_STEP:
            legal = "False where a step falls so far that rounding in float32 decides what is clamped"
            raise validation.refuse("clip_denoised", True, legal)

    @cached_property
    def solver(self) -> EDM:
        """Algorithm 1 on these levels."""
        return self._solver("heun")

    @property
    def is_clipped(self) -> bool:
        """Whether the clamp may act."""
        return self.clip_denoised

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample; the clamp is part of the denoiser."""
        solver = self.solver
        if not self.clip_denoised:
            return solver.sample(model, noise)
        denoised = solver.denoiser(model)

        def clipped(x: Array, sigma: float) -> Array:
            limited: Array = np.clip(denoised(x, sigma), -self.clip_range, self.clip_range)
            return limited

        plain = EDM(sigmas=solver.sigmas, initial_scale=solver.initial_scale)
        return plain.sample(clipped, noise)


@dataclass(frozen=True)
class WholeEDMEuler(EDMEuler):
    """:class:`EDMEuler` with the corners in which the scheduler differs from it."""

    refuses_findings: ClassVar[bool] = False


@dataclass(frozen=True)
class WholeEulerDiscrete(EulerDiscrete):
    """:class:`EulerDiscrete` with the corners in which the scheduler differs from it."""

    refuses_findings: ClassVar[bool] = False


@dataclass(frozen=True)
class WholeHeunDiscrete(HeunDiscrete):
    """:class:`HeunDiscrete` with the corners in which the scheduler differs from it."""

    refuses_findings: ClassVar[bool] = False


@dataclass(frozen=True)
class NoReference:
    """Stands for a scheduler whose paper is not among the references: only another program can judge it.

    Args:
        num_steps: as the scheduler's ``set_timesteps`` takes it.
    """

    num_steps: int = 10

    def __post_init__(self) -> None:
        validation.whole("num_steps", self.num_steps, 1)

    def sample(self, model: Model, noise: Noise) -> Array:
        """There is none.

        Raises:
            ValueError: always; it says what to ask for instead.
        """
        raise ValueError(
            "this scheduler has no reference here: compare it with another one, for example --against "
            "diffusers:DDIMScheduler, or with a saved law"
        )
