"""The loop that runs any scheduler of diffusers: ``set_timesteps``, ``scale_model_input``, ``step``."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import logging
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .diffusers_batched import stepped_in_a_batch
from .diffusers_defaults import left_out
from .diffusers_forward import item_by_item, noised_in_every_way
from .diffusers_handling import handled, order_of
from .diffusers_options import COUNTS_THE_END, STEP_FIELDS, accepts, constructor_options, options_from, scheduler_class
from .diffusers_score import walked
from .diffusers_tables import check_shown, check_tables

if TYPE_CHECKING:
    import torch

__all__ = ["SchedulerLoop"]


#: Schedulers whose forward process has another name, and takes the noise last.
_NOISED_BY_SCALE = (
    "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler",
    "FlowMapEulerDiscreteScheduler", "MiniMaxH3Scheduler",
)  # fmt: skip
#: An option that is documented, on by default, and not read: left as it is, so that a release that reads it shows.
_LEFT_AS_IT_IS = {"CogVideoXDDIMScheduler": "clip_sample"}

#: Schedulers that have float64 tables until a grid is laid out, of another length: what they noise then is none's.
_NOISED_WHERE_LAID_OUT = ("CMStochasticIterativeScheduler", "DDPMWuerstchenScheduler")
#: Schedulers that count among their timesteps where the run ends.
_ENDS_IN_TIMESTEPS = ("SCMScheduler", "DDPMWuerstchenScheduler")
#: Schedulers whose step is told a timestep for each item.
_TOLD_ITEM_BY_ITEM = ("DDPMWuerstchenScheduler",)

#: Schedulers that look a thousand levels up one by one when they are made.
#:
#: Context: half a second each time, for hundreds of runs. Choice: each set of options is made once, and every run has a
#: copy; a line of the constructor is then never named. Reversed by: a release that looks them up at once.
_SLOW_TO_MAKE = ("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "ScoreSdeVeScheduler")


def _made(scheduler: type[Any], options: Mapping[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scheduler(**options)


@functools.lru_cache(maxsize=256)
def _made_once(scheduler: type[Any], _codes: tuple[types.CodeType, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    """One of each set of options, as long as the class and what stands in it are the same."""
    return _made(scheduler, {k: list(v) if isinstance(v, tuple) else v for k, v in options})


def _codes(scheduler: type[Any]) -> tuple[types.CodeType, ...]:
    functions = (inspect.unwrap(one) for one in vars(scheduler).values() if inspect.isfunction(one))
    return tuple(one.__code__ for one in functions if inspect.isfunction(one))


def _hashable(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(k, tuple(v) if isinstance(v, list) else v) for k, v in options.items()]


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps to itself what diffusers advises of a grid, once for each of hundreds of runs."""
    logger = logging.getLogger("diffusers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class SchedulerLoop:
    """The generic loop around a scheduler.

    Attributes:
        name: the scheduler's class.
        pinned: options as the user gave them; they win over what the configuration says.
    """

    name: str
    pinned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> tuple[str, ...]:
        """Modules that the scheduler is written in, for whoever asks what a change may have changed."""
        return (scheduler_class(self.name).__module__,)

    def build(self, config: Any) -> Any:
        """The scheduler with the configuration's options: those that are not its documented defaults."""
        accepted = constructor_options(self.name)
        mapped = options_from(config)
        mapped.pop(_LEFT_AS_IT_IS.get(self.name, ""), None)
        options = {k: v for k, v in mapped.items() if not left_out(self.name, k, v)} | dict(self.pinned)
        if self.name == "EDMEulerScheduler" and config.values().get("handling") == "unset":
            options["num_train_timesteps"] = config.num_steps - 1  # one level more than it is told
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items() if k in accepted}
        if self.name in _SLOW_TO_MAKE:
            made_of: Any = scheduler_class(self.name)
            return copy.deepcopy(_made_once(made_of, _codes(made_of), tuple(sorted(_hashable(given)))))
        return _made(scheduler_class(self.name), given)

    def start(self, config: Any, device: Any) -> Any:
        """A scheduler with its grid laid out on the device, however it came to be."""
        fields = config.values()
        by_hand = any(self._by_hand(config, option) is not None for option in ("timesteps", "sigmas"))
        with _without_advice():
            return handled(
                fields.get("handling", "new"),
                self.build(config),
                lambda scheduler: self._lay_out(scheduler, config, device),
                by_hand=by_hand,
                device=device,
            )

    def _lay_out(self, scheduler: Any, config: Any, device: Any) -> None:
        """Its ``set_timesteps``, with no more arguments than are needed."""
        import torch

        is_elsewhere = torch.device(device).type != "cpu" and "device" in accepts(self.name, "set_timesteps")
        where: dict[str, Any] = {"device": device} if is_elsewhere else {}
        for option in ("timesteps", "sigmas"):
            by_hand = self._by_hand(config, option)
            if by_hand is not None:
                given: Any = list(by_hand)
                if option == "sigmas" and self.name == "EDMEulerScheduler":
                    given = torch.tensor(by_hand)  # it says a list will do, and asks it for its dtype
                scheduler.set_timesteps(**{option: given}, **where)
                return
        steps = self.pinned.get("num_inference_steps", config.values().get("num_steps"))
        if config.values().get("grid_timesteps") is not None:
            where["num_train_timesteps"] = config.grid_timesteps
        if (mu := self.pinned.get("mu", config.values().get("mu"))) is not None:
            where["mu"] = mu
        if self.name == "SCMScheduler" and "first_time" not in config.values():  # nothing claims what its angles are
            where |= {
                one: self.pinned[one] for one in ("max_timesteps", "intermediate_timesteps") if one in self.pinned
            }
            if steps != 2:
                where.setdefault("intermediate_timesteps", None)
        elif self.name == "SCMScheduler":  # its default is for two steps, and refuses all others
            where |= {} if config.first_time == type(config).first_time else {"max_timesteps": config.first_time}
            middle = config.middle_time if steps == 2 else None
            where |= {} if middle == type(config).middle_time else {"intermediate_timesteps": middle}
        steps = config.num_train_timesteps if steps is None else steps
        scheduler.set_timesteps(steps + 1 if self.name in COUNTS_THE_END else steps, **where)
        if self.name == "ScoreSdeVeScheduler":
            scheduler.set_sigmas(steps)  # which its pipeline calls, too

    def _by_hand(self, config: Any, option: str) -> Any:
        return self.pinned.get(option, config.values().get(option))

    def __call__(
        self,
        model: Any,
        shape: tuple[int, ...],
        config: Any,
        *,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Run the scheduler once, from noise to the sample."""
        import torch

        scheduler = self.start(config, device)
        x = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        return self._walk(scheduler, self._asked_at(scheduler), model, x, config, generator)

    def partial(
        self, model: Any, x: Any, config: Any, index: int, *, device: Any, dtype: Any, generator: Any = None
    ) -> Any:
        """A run that starts at entry ``index`` of the grid, as image-to-image does it.

        Args:
            model: what stands in for the network.
            x: state at that entry, as the scheduler keeps it.
            config: configuration of the reference.
            index: entry of the grid, 0 for the whole run.
            device: torch device.
            dtype: torch dtype.
            generator: what every draw comes from.
        """
        scheduler = self.start(config, device)
        first = index * order_of(scheduler)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        return self._walk(scheduler, self._asked_at(scheduler)[first:], model, x, config, generator)

    def _asked_at(self, scheduler: Any) -> Any:
        """Timesteps of model calls."""
        return scheduler.timesteps[:-1] if self.name in _ENDS_IN_TIMESTEPS else scheduler.timesteps

    def forward(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's own noising at entry ``index``, in every way in which it is called.

        Raises:
            ValueError: where the ways differ, or the tables of a new scheduler are not the reference's.
        """
        if self.name in _NOISED_BY_SCALE:
            scheduler = self.start(config, device)
            timestep = scheduler.timesteps[index * order_of(scheduler)]
            # One for each item, but where the scheduler would look for all of them at once and find the last.
            several = timestep if order_of(scheduler) > 1 else timestep.repeat(x0.shape[0])
            return scheduler.scale_noise(x0, several, draw)
        if self.name in _NOISED_WHERE_LAID_OUT:
            scheduler = self.start(config, device)
            return scheduler.add_noise(x0, draw, scheduler.timesteps[index].repeat(x0.shape[0]))
        if not index:
            new = self.build(config)
            check_shown(new, "as constructed")
            check_shown(self.start(config, device), "with its grid laid out")
            check_tables(new, config)
        made = lambda: self.start(config, device)  # noqa: E731 - each way has a scheduler of its own
        return noised_in_every_way(made, lambda: self.build(config), x0, draw, index)

    def velocity(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's ``get_velocity`` at entry ``index``, for one timestep and for several at once.

        Raises:
            ValueError: where these differ.
        """
        scheduler = self.start(config, device)
        return item_by_item("get_velocity", scheduler.get_velocity, scheduler, x0, draw, index)

    def _walk(self, scheduler: Any, timesteps: Any, model: Any, x: Any, config: Any, generator: Any) -> Any:
        import torch

        if self.name == "ScoreSdeVeScheduler":
            return walked(scheduler, timesteps, model, x, generator)
        fields = config.values()
        arguments = self._arguments(config, generator)
        result = fields.get("result", "object")
        says_where = "prev_timestep" in accepts(self.name, "step")
        for index, timestep in enumerate(timesteps):
            if self.name in _TOLD_ITEM_BY_ITEM:
                timestep = timestep.repeat(x.shape[0])
            seen = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
            output = model(seen, timestep)
            if output.shape[1] != x.shape[1] and config.model_channels == 1:
                output = output[:, : x.shape[1]]  # a model of another variance_type has no second half
            if fields.get("variance") == "learned":
                # Context: the paper's released code takes the model's second output for the variance's logarithm, this
                # scheduler for the variance itself, of which the root of a negative one is NaN. Choice: it is handed
                # what it asks for, and held to the rest. Reversed by: a scheduler that takes the logarithm.
                prediction, logarithm = output.chunk(2, dim=1)
                output = torch.cat([prediction, logarithm.exp()], dim=1)
            if fields.get("in_batches"):
                options = {k: v for k, v in arguments.items() if k in accepts(self.name, "batch_step_no_noise")}
                x = stepped_in_a_batch(scheduler, output, timestep, x, generator, options)
                continue
            given = self._given(scheduler, config, output, x, generator)
            if says_where:
                given["prev_timestep"] = timesteps[index + 1] if index + 1 < len(timesteps) else None
            if "pred_original_sample" in given:
                output = torch.zeros_like(output)  # it says no more than shape and dtype then
            if result == "tuple":
                x, x0 = scheduler.step(output, timestep, x, **{**arguments, **given}, return_dict=False)
            else:
                stepped = scheduler.step(output, timestep, x, **{**arguments, **given})
                x, x0 = stepped.prev_sample, self._predicted(stepped) if result == "x0" else None
        return x0.to(x.dtype) if config.returns_last_x0 else x  # two of the schedulers leave x0 in float32

    def _predicted(self, stepped: Any) -> Any:
        """The data that a step predicted, by the name that its scheduler has for it."""
        return stepped.denoised if self.name == "LCMScheduler" else stepped.pred_original_sample

    def _arguments(self, config: Any, generator: Any) -> dict[str, Any]:
        """What ``step`` is given at each step: what is not its documented default."""
        accepted = accepts(self.name, "step")
        fields = config.values()
        mapped = {name: fields.get(name) for name in STEP_FIELDS}
        mapped["use_clipped_model_output"] = fields.get("rederive_epsilon")
        mapped["eta"] = fields.get("eta", fields.get("gamma"))  # TCD's own word for it
        arguments = {
            name: value
            for name, value in mapped.items()
            if name in accepted and value is not None and not left_out(self.name, name, value)
        }
        arguments |= {name: value for name, value in self.pinned.items() if name in mapped and name in accepted}
        if generator is not None and "generator" in accepted:
            arguments["generator"] = generator
        return arguments

    def _given(self, scheduler: Any, config: Any, output: Any, x: Any, generator: Any) -> dict[str, Any]:
        """What the caller may make by itself and hand to ``step``: the noise, or the denoised sample."""
        import torch

        fields = config.values()
        if fields.get("hands_noise") and self.pinned.get("eta", fields["eta"]) > 0:
            drawn = torch.randn(x.shape, generator=generator, device=output.device, dtype=output.dtype)
            return {"variance_noise": drawn, "generator": None}
        if fields.get("hands_x0"):
            sigma = scheduler.sigmas[scheduler.step_index]
            return {"pred_original_sample": scheduler.precondition_outputs(x.to(torch.float32), output, sigma)}
        return {}
