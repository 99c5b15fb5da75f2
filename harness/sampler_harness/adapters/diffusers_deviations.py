"""The corners in which a scheduler of diffusers is known to differ from its paper, each proven in ``FINDINGS.md``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sampler_harness.pinned import Shown

__all__ = ["KNOWN_DEVIATIONS", "KnownDeviation", "overruns"]


def overruns(num_train_timesteps: int, num_steps: int) -> bool:
    """Whether counting down from T in steps of the rounded quotient T / n gives one entry too many.

    Args:
        num_train_timesteps: T.
        num_steps: n.
    """
    return math.ceil(num_train_timesteps / (num_train_timesteps / num_steps)) > num_steps


@dataclass(frozen=True)
class KnownDeviation:
    """A corner in which a released scheduler differs from its paper, proven by hand in ``FINDINGS.md``.

    Attributes:
        name: the finding's name there, and what ``--set known=NAME`` asks for.
        scheduler: the class.
        settings: options that show it, as a person sets them.
        reason: one sentence for the verdict.
        shows: where the run ends in NaN or an error, so that there is no law: what each check that fails shows.
        steps: numbers of steps that show it; empty where every one does.
        any_value: options of ``settings`` that show it with any other value than their default.
        fields: further fields of the reference, where the scheduler has no option that says so.
        varied: values of fields that are varied, where the user fixes none.
        pinned: further options that the scheduler is given, which nobody need ask for.
        without: options that are not on where it shows: they lay other levels out.
        has_velocity: ``get_velocity`` is part of what is judged.
        versions: of diffusers, in which it was seen.
        copied_in: further schedulers whose own file has the same lines.
    """

    name: str
    scheduler: str
    settings: Mapping[str, Any]
    reason: str
    shows: Mapping[str, Shown] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    any_value: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    varied: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    pinned: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    has_velocity: bool = False
    versions: str = "0.42.1"
    copied_in: tuple[str, ...] = ()

    def stands_in(self, scheduler: str) -> bool:
        """Whether a scheduler has it."""
        return scheduler == self.scheduler or scheduler in self.copied_in

    def is_asked_for(self, options: Mapping[str, Any]) -> bool:
        """Whether the options that a user gave are those that show it."""
        if not self.settings or any(options.get(option) for option in self.without):
            return False
        for option, value in self.settings.items():
            given = options.get(option)
            if option == "num_inference_steps" and given is not None:
                if given != value and not self._same_kind(given, options):
                    return False
            elif not (given == value or (option in self.any_value and given)):
                return False
        steps = options.get("num_inference_steps")
        return steps is None or not self.steps or steps in self.steps or self._same_kind(steps, options)

    def leaves_room(self, options: Mapping[str, Any]) -> bool:
        """Whether options that a user gave contradict neither what shows it nor what it is shown at."""
        if any(options.get(option) for option in self.without):
            return False
        settings = {**self.settings, **self.pinned}
        if any(options.get(option, value) != value for option, value in settings.items()):
            return False
        if self.shows and set(options) - set(settings):
            return False  # what is pinned was seen with these settings, and NaN of other tables is another
        table = options.get("trained_betas")
        if table is not None and settings.get("num_train_timesteps", len(table)) != len(table):
            return False  # the scheduler would visit entries that the table does not have
        steps, shows = options.get("num_inference_steps"), _SHOWS.get(self.name)
        return steps is None or shows is None or shows({**settings, **options}.get("num_train_timesteps", 1000), steps)

    def _same_kind(self, steps: int, options: Mapping[str, Any]) -> bool:
        """Whether a number of steps that is not listed shows it as well."""
        shows = _SHOWS.get(self.name)
        return shows is not None and shows(options.get("num_train_timesteps", 1000), steps)


#: Which numbers of steps (of T) show a deviation, beyond those that its subject runs.
_SHOWS: dict[str, Callable[[int, int], bool]] = {
    "ddpm-trailing-one-step-too-many": overruns,
    "ddim-trailing-one-step-too-many": overruns,
    "euler-trailing-one-step-too-many": overruns,
    "heun-trailing-one-step-too-many": overruns,
    "ddpm-noise-on-the-last-step": lambda length, steps: not overruns(length, steps),
    "ddim-linspace-next-entry": lambda length, steps: steps not in (1, length),
    "ddim-trailing-next-entry": lambda length, steps: length % steps != 0,
    "ddim-offset-next-entry": lambda length, steps: length // steps == 1,
}

_TOO_MANY = "trailing timesteps are counted down by a rounded quotient: one entry too many, timestep -1"
_NEXT = "step takes t - T // n for the next level, which is not the next entry of the grid"
_CHURNED = "churn raises the noise level inside step, after the model has seen the lower level"
#: Below and above the rise that is the most; noise that is weaker, and windows on either side of levels.
_CHURN: dict[str, tuple[Any, ...]] = {
    "s_churn": (5.0, 1.0, 60.0),
    "s_noise": (1.0, 0.9),
    "s_tmin": (0.0, 0.3),
    "s_tmax": (float("inf"), 2.0),
}
#: Options that lay levels out, of which a scheduler takes one.
_LEVELS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
_BETA = "beta quantiles are spread over the noise level, not over time"

#: Schedulers that have the lines of DDIMScheduler in a file of their own.
_DDIM_COPIES = ("DDIMParallelScheduler", "CogVideoXDDIMScheduler")

#: Every corner that was found, in the order of FINDINGS.md.
KNOWN_DEVIATIONS: tuple[KnownDeviation, ...] = (
    KnownDeviation(
        "ddpm-trailing-one-step-too-many",
        "DDPMScheduler",
        {"timestep_spacing": "trailing", "num_inference_steps": 61},
        _TOO_MANY,
        copied_in=("DDPMParallelScheduler",),
    ),
    KnownDeviation(
        "ddpm-noise-on-the-last-step",
        "DDPMScheduler",
        {"variance_type": "fixed_large", "timestep_spacing": "trailing"},
        "noise is left out at timestep 0 and not on the last step, which trailing timesteps end above",
        steps=(1, 2, 5, 10, 50),
        copied_in=("DDPMParallelScheduler",),
    ),
    KnownDeviation(
        "ddpm-fixed-large-log",
        "DDPMScheduler",
        {"variance_type": "fixed_large_log"},
        "step takes the square root of a logarithm: NaN",
        shows={
            "law/times": Shown(
                configuration="DDPM(num_steps=2, variance='fixed_large')",
                problem="not-finite",
                says="the input of model call # is not finite (NaN or infinity) although every output and draw before "
                "it was finite; time argument #",
                step=1,
                sizes=(-1.0, -1.0, -1.0),
            )
        },
        steps=(2, 5, 10),
        copied_in=("DDPMParallelScheduler",),
    ),
    KnownDeviation(
        "ddpm-laplace-schedule",
        "DDPMScheduler",
        {"beta_schedule": "laplace"},
        "the signal scale of the Laplace schedule is taken for alpha_bar, which is its square",
        steps=(2, 5, 10),
        pinned={"trained_betas": None},
        copied_in=("DDPMParallelScheduler",),
    ),
    KnownDeviation(
        "ddim-linspace-next-entry",
        "DDIMScheduler",
        {"timestep_spacing": "linspace"},
        _NEXT,
        steps=(2, 3, 7, 10),
        copied_in=_DDIM_COPIES,
    ),
    KnownDeviation(
        "ddim-trailing-next-entry",
        "DDIMScheduler",
        {"timestep_spacing": "trailing"},
        _NEXT,
        steps=(3, 7, 11),
        copied_in=_DDIM_COPIES,
    ),
    KnownDeviation(
        "ddim-trailing-one-step-too-many",
        "DDIMScheduler",
        {"timestep_spacing": "trailing", "num_inference_steps": 61},
        _TOO_MANY,
        copied_in=_DDIM_COPIES,
    ),
    KnownDeviation(
        "ddim-offset-next-entry",
        "DDIMScheduler",
        {"num_train_timesteps": 10, "steps_offset": 1},
        _NEXT,
        steps=(6, 7, 9),
        copied_in=_DDIM_COPIES,
    ),
    KnownDeviation(
        "ddim-eta-one-zero-snr",
        "DDIMScheduler",
        {"eta": 1.0, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "num_inference_steps": 10},
        "the weight of the direction is the root of a difference that rounds below 0 where alpha_bar is 0: NaN",
        shows={
            "law/times": Shown(
                configuration="DDIM(num_steps=10, timestep_spacing='trailing', rescale_zero_terminal_snr=True, "
                "prediction='v', eta=1.0)",
                problem="not-finite",
                says="the input of model call # is not finite (NaN or infinity) although every output and draw before "
                "it was finite; time argument #",
                step=1,
                sizes=(-1.0,),
            )
        },
        fields={"prediction": "v"},
        pinned={"prediction_type": "v_prediction"},
        copied_in=("DDIMParallelScheduler",),
    ),
    KnownDeviation(
        "edm-euler-first-noise",
        "EDMEulerScheduler",
        {},
        "the first noise has std sqrt(sigma_max^2 + 1), where Algorithm 1 has sigma_max",
        fields={"first_noise": "level", "sigma_max": 5.0},
        steps=(1, 2, 7, 18),
    ),
    KnownDeviation(
        "edm-euler-churn-after-the-model-call",
        "EDMEulerScheduler",
        {"s_churn": 5.0},
        _CHURNED,
        steps=(2, 7, 18),
        any_value=("s_churn",),
        varied=_CHURN,
    ),
    KnownDeviation(
        "edm-euler-exponential-one-step",
        "EDMEulerScheduler",
        {"sigma_schedule": "exponential", "num_inference_steps": 1},
        "one exponential level is sigma_min, though the first noise is that of sigma_max",
    ),
    KnownDeviation(
        "edm-euler-levels-by-hand",
        "EDMEulerScheduler",
        {"sigmas": (80.0, 10.0, 1.0)},
        "levels given by hand are taken for positions between sigma_max and sigma_min",
        shows={
            "law/times": Shown(
                configuration="EDMEuler(num_steps=3, sigmas=(80.0, 10.0, 1.0, 0.0))",
                problem="raised",
                says="the sampler raised IndexError",
                step=-1,
                sizes=(-1.0,),
            )
        },
        any_value=("sigmas",),
    ),
    KnownDeviation(
        "euler-churn-after-the-model-call",
        "EulerDiscreteScheduler",
        {"s_churn": 5.0},
        _CHURNED,
        steps=(2, 7, 18),
        any_value=("s_churn",),
        varied=_CHURN,
    ),
    KnownDeviation(
        "euler-trailing-one-step-too-many",
        "EulerDiscreteScheduler",
        {"timestep_spacing": "trailing", "num_inference_steps": 61},
        _TOO_MANY,
        without=_LEVELS,
    ),
    KnownDeviation(
        "euler-get-velocity",
        "EulerDiscreteScheduler",
        {},
        "get_velocity looks alpha_bar up at the position in the grid, not at the timestep",
        steps=(2, 7, 10),
        has_velocity=True,
    ),
    KnownDeviation(
        "euler-log-linear-times",
        "EulerDiscreteScheduler",
        {"interpolation_type": "log_linear"},
        "levels are laid out anew and the times are not; there is one level too many, and the run stops above 0",
        without=_LEVELS,
        fields={"sigma_spacing": "exponential"},
        pinned={"use_exponential_sigmas": False},
        steps=(2, 5, 10),
    ),
    KnownDeviation(
        "euler-beta-sigmas",
        "EulerDiscreteScheduler",
        {"use_beta_sigmas": True},
        _BETA,
        without=_LEVELS[:2],
        steps=(3, 5, 10),
        varied={"sigma_min": (None, 0.1), "sigma_max": (None, 2.0)},
    ),
    KnownDeviation(
        "euler-levels-beyond-the-table",
        "EulerDiscreteScheduler",
        {
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "use_karras_sigmas": True,
            "sigma_max": 80.0,
        },
        "levels above the table share its last timestep, and the run starts at the second of them: it ends in an error",
        shows={
            "law/times": Shown(
                configuration="EulerDiscrete(beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012, "
                "sigma_spacing='karras', sigma_max=80.0)",
                problem="raised",
                says="the sampler raised IndexError",
                step=9,
                sizes=(-1.0, -1.0),
            )
        },
        steps=(10, 20),
    ),
    KnownDeviation(
        "heun-trailing-one-step-too-many",
        "HeunDiscreteScheduler",
        {"timestep_spacing": "trailing", "num_inference_steps": 61},
        _TOO_MANY,
        without=_LEVELS,
    ),
    KnownDeviation(
        "heun-beta-sigmas",
        "HeunDiscreteScheduler",
        {"use_beta_sigmas": True},
        _BETA,
        without=_LEVELS[:2],
        steps=(3, 5, 10),
    ),
    KnownDeviation(
        "euler-ancestral-root-below-zero",
        "EulerAncestralDiscreteScheduler",
        {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing", "num_inference_steps": 3},
        "sigma_down is the root of a difference that rounds below 0 behind a level thousands of times as high: NaN",
        shows={
            "law/times": Shown(
                configuration="EulerAncestralDiscrete(num_steps=3, beta_schedule='cosine', "
                "timestep_spacing='trailing')",
                problem="not-finite",
                says="the input of model call # is not finite (NaN or infinity) although every output and draw before "
                "it was finite; time argument #",
                step=1,
                sizes=(-1.0,),
            )
        },
    ),
    KnownDeviation(
        "ddim-parallel-batch-final-alpha",
        "DDIMParallelScheduler",
        {},
        "batch_step_no_noise takes 1 for the final alpha_bar, whatever set_alpha_to_one says",
        steps=(1, 2, 10),
        fields={"in_batches": True, "final_alpha_bar": "first"},
    ),
    KnownDeviation(
        "ddpm-parallel-batch-next-entry",
        "DDPMParallelScheduler",
        {},
        "batch_step_no_noise takes t - T // n for the next level, which is not the next entry of the grid",
        steps=(2, 3, 7, 10),
        fields={"in_batches": True},
        varied={"timestep_spacing": ("linspace", "trailing")},
    ),
)
