"""The options of diffusers' schedulers with legal values, and runs with them, of which all that one can see is told."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sampler_harness.adapters.diffusers_options import accepts, constructor_options

__all__ = [
    "DRAWS",
    "SHAPE",
    "Option",
    "begin",
    "forward_of",
    "lay_out",
    "make",
    "options_of",
    "run",
    "tables",
    "tensor",
    "told_x0",
    "walk",
]

SHAPE = (2, 3, 4, 4)

#: Legal values beside the default, by option: of the constructor, of ``set_timesteps`` and of ``step``.
_MADE: dict[str, tuple[Any, ...]] = {
    "num_train_timesteps": (100, 1001),
    "beta_start": (0.00085,),
    "beta_end": (0.012,),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"),
    "trained_betas": ([0.0002 + 0.000015 * n for n in range(1000)],),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"),
    "clip_sample": (True, False),
    "clip_sample_range": (0.5,),
    "prediction_type": ("epsilon", "sample", "v_prediction"),
    "thresholding": (True,),
    "dynamic_thresholding_ratio": (0.75,),
    "sample_max_value": (1.5,),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "steps_offset": (1,),
    "rescale_betas_zero_snr": (True,),
    "set_alpha_to_one": (False,),
    "sigma_min": (0.1,),
    "sigma_max": (2.0,),
    "sigma_data": (1.0,),
    "rho": (3.0,),
    "sigma_schedule": ("exponential",),
    "final_sigmas_type": ("sigma_min",),
    "use_karras_sigmas": (True,),
    "use_exponential_sigmas": (True,),
    "use_beta_sigmas": (True,),
    "interpolation_type": ("log_linear",),
    "timestep_type": ("continuous",),
}
_LAID_OUT: dict[str, tuple[Any, ...]] = {
    "timesteps": ([900, 400, 20], [999, 500, 0]),
    "sigmas": ([10.0, 3.0, 0.5, 0.0], [0.0, 0.5, 1.0]),
    "num_train_timesteps": (900,),
}
_STEPPED: dict[str, tuple[Any, ...]] = {
    "eta": (0.5, 1.0),
    "use_clipped_model_output": (True,),
    "variance_noise": (True,),
    "s_churn": (2.0, 100.0),
    "s_tmin": (1.0,),
    "s_tmax": (5.0,),
    "s_noise": (0.9,),
    "generator": (True,),
    "return_dict": (False,),
}

Option = tuple[str, str, Any]


def options_of(name: str) -> list[Option]:
    """Each option with each legal value that is not its default.

    Args:
        name: of the class.
    """
    made = constructor_options(name)
    found: list[Option] = [
        ("made", option, value)
        for option, values in _MADE.items()
        if option in made
        for value in values
        if value != made[option]
    ]
    for where, method, table in (("laid out", "set_timesteps", _LAID_OUT), ("stepped", "step", _STEPPED)):
        found += [(where, o, value) for o, values in table.items() if o in accepts(name, method) for value in values]
    return found


def tensor(seed: int, shape: Sequence[int] = SHAPE, dtype: torch.dtype = torch.float32) -> Tensor:
    """Noise that is the same every time."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)).to(dtype)


class Draws:
    """What a scheduler draws in a step: the same whatever was drawn before, so that a draw times 0 moves no other.

    Attributes:
        sign: of all draws; a law knows none.
        step: of the run.
    """

    def __init__(self) -> None:
        self.sign, self.step = 1.0, 0

    @contextmanager
    def of(self, scheduler: Any) -> Iterator[None]:
        """Let a scheduler draw from here; whether it passes its generator on shows in what it gets."""
        module = vars(sys.modules[type(scheduler).__module__])
        released, count = module.get("randn_tensor"), itertools.count(1000 * (self.step + 1))

        def drawn(shape: Sequence[int], generator: Any = None, dtype: Any = None, **_: Any) -> Tensor:
            seed = next(count) + (0 if generator is None else 1_000_000)
            return self.sign * tensor(seed, shape, dtype or torch.float32)

        module["randn_tensor"] = drawn
        try:
            yield
        finally:
            module["randn_tensor"] = released


DRAWS = Draws()


def make(scheduler: type[Any], options: Sequence[Option]) -> Any:
    """A scheduler with those options that are its constructor's."""
    return scheduler(**{name: value for where, name, value in options if where == "made"})


def lay_out(scheduler: Any, options: Sequence[Option], steps: int) -> Any:
    """The scheduler with its grid laid out."""
    given = {name: value for where, name, value in options if where == "laid out"}
    if "timesteps" not in given and "sigmas" not in given:
        given["num_inference_steps"] = steps
    if "sigmas" in given and type(scheduler).__name__ == "EDMEulerScheduler":
        given["sigmas"] = torch.tensor(given["sigmas"])
    scheduler.set_timesteps(**given)
    return scheduler


def walk(
    scheduler: Any, options: Sequence[Option] = (), *, dtype: torch.dtype = torch.float32, first: int = 0
) -> list[Any]:
    """All that a run hands out, in order."""
    stepped = {name: value for where, name, value in options if where == "stepped"}
    if stepped.get("generator"):
        stepped["generator"] = torch.Generator().manual_seed(7)
    noised = stepped.get("variance_noise")
    learned = str(scheduler.config.get("variance_type", "")).startswith("learned")
    x = tensor(1, dtype=dtype)
    x = x * scheduler.init_noise_sigma if not first else x
    found: list[Any] = [x, scheduler.timesteps]
    for number, timestep in enumerate(scheduler.timesteps[first:]):
        DRAWS.step = number
        if noised:
            stepped["variance_noise"] = tensor(100 + number, dtype=dtype)
        model_input = scheduler.scale_model_input(x, timestep)
        answer = (torch.sin(2.0 * model_input.float()) + 0.3 * tensor(50 + number)).to(dtype)
        if learned:
            answer = torch.cat([answer, tensor(200 + number, dtype=dtype).abs()], dim=1)
        kept = [one.clone() for one in (x, answer)]
        with DRAWS.of(scheduler):
            out = scheduler.step(answer, timestep, x, **stepped)
        found += [torch.equal(one, other) for one, other in zip(kept, (x, answer), strict=True)]
        if isinstance(out, tuple):
            found += [len(out), *out]
            x = out[0]
        else:
            x = out.prev_sample
            found += [model_input, x]
    return found


def told_x0(scheduler_class: type[Any]) -> list[Any]:
    """The data that each step says it predicts."""
    scheduler = lay_out(scheduler_class(), (), 5)
    found = []
    x = tensor(1) * scheduler.init_noise_sigma
    for number, timestep in enumerate(scheduler.timesteps):
        out = scheduler.step(tensor(50 + number), timestep, scheduler.scale_model_input(x, timestep) * 0 + x)
        x = out.prev_sample
        found.append(out.pred_original_sample)
    return found


def _noised(scheduler: Any, *, dtype: torch.dtype = torch.float32, shape: Sequence[int] = SHAPE) -> list[Any]:
    """The forward process at each entry of the grid."""
    found: list[Any] = []
    x0, draw = tensor(3, shape, dtype), tensor(4, shape, dtype)
    entries = scheduler.timesteps
    for pair in itertools.pairwise([*entries, entries[0]]):
        times = torch.stack([*pair, pair[0]])[: shape[0]]
        found.append(scheduler.add_noise(x0, draw, times))
        if "get_velocity" in dir(scheduler):
            found.append(scheduler.get_velocity(x0, draw, times))
    return found


def run(
    scheduler: type[Any], options: Sequence[Option] = (), steps: int = 5, dtype: torch.dtype = torch.float32
) -> list[Any]:
    """All that a whole run hands out."""
    return walk(lay_out(make(scheduler, options), options, steps), options, dtype=dtype)


def forward_of(
    scheduler: type[Any],
    options: Sequence[Option] = (),
    *,
    dtype: torch.dtype = torch.float32,
    shape: Sequence[int] = SHAPE,
    first: int | None = None,
) -> list[Any]:
    """The forward process at each entry of the grid."""
    laid_out = lay_out(make(scheduler, options), options, 6)
    return _noised(laid_out if first is None else begin(laid_out, first), dtype=dtype, shape=shape)


def tables(scheduler: Any) -> list[Any]:
    """What a scheduler shows of itself."""
    names = ("timesteps", "sigmas", "betas", "alphas_cumprod", "init_noise_sigma", "num_inference_steps", "order")
    return [vars(scheduler).get(n, getattr(type(scheduler), n, None)) for n in names[:4]] + [
        getattr(scheduler, n, None) for n in names[4:]
    ]


def begin(scheduler: Any, index: int) -> Any:
    """The scheduler told where it begins."""
    scheduler.set_begin_index(index)
    return scheduler
