"""The loop that runs any scheduler of diffusers: ``set_timesteps``, ``scale_model_input``, ``step``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .diffusers_options import STEP_FIELDS, accepts, constructor_options, options_from, scheduler_class

if TYPE_CHECKING:
    import torch

__all__ = ["SchedulerLoop"]


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
        """The scheduler with the configuration's options."""
        accepted = constructor_options(self.name)
        options = {**options_from(config), **self.pinned}
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items() if k in accepted}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return scheduler_class(self.name)(**given)

    def start(self, config: Any, device: Any) -> Any:
        """A scheduler with its grid laid out on the device."""
        import torch

        scheduler = self.build(config)
        accepted = accepts(self.name, "set_timesteps")
        arguments: dict[str, Any] = {"device": device} if "device" in accepted else {}
        for option in ("timesteps", "sigmas"):
            by_hand = self.pinned.get(option, config.values().get(option))
            if by_hand is not None:
                arguments[option] = list(by_hand)
                if option == "sigmas" and self.name == "EDMEulerScheduler":
                    arguments[option] = torch.tensor(by_hand)  # it says a list will do, and asks it for its dtype
                break
        else:
            steps = self.pinned.get("num_inference_steps", config.values().get("num_steps"))
            arguments["num_inference_steps"] = config.num_train_timesteps if steps is None else steps
        scheduler.set_timesteps(**arguments)
        return scheduler

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
        return self._walk(scheduler, scheduler.timesteps, model, x, config, generator)

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
        first = index * scheduler.order
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        return self._walk(scheduler, scheduler.timesteps[first:], model, x, config, generator)

    def forward(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's own noising at entry ``index``: as training calls it and as image-to-image does.

        Raises:
            ValueError: where the two ways differ.
        """
        import torch

        noised = []
        for image_to_image in (False, True):
            scheduler = self.start(config, device)
            if image_to_image:
                if not hasattr(scheduler, "set_begin_index"):
                    break
                scheduler.set_begin_index(index * scheduler.order)
            method = scheduler.add_noise if hasattr(scheduler, "add_noise") else scheduler.scale_noise
            noised.append(method(x0, draw, self._times(scheduler, index, x0)))
        if len(noised) == 2 and not torch.equal(noised[0], noised[1]):
            raise ValueError("add_noise differs after set_begin_index, which image-to-image calls first")
        return noised[0]

    def velocity(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's ``get_velocity`` at entry ``index``."""
        scheduler = self.start(config, device)
        return scheduler.get_velocity(x0, draw, self._times(scheduler, index, x0))

    def _times(self, scheduler: Any, index: int, x0: Any) -> Any:
        time = scheduler.timesteps[index * scheduler.order]
        return time.repeat(x0.shape[0])

    def _walk(self, scheduler: Any, timesteps: Any, model: Any, x: Any, config: Any, generator: Any) -> Any:
        accepted = accepts(self.name, "step")
        arguments: dict[str, Any] = {"generator": generator} if "generator" in accepted else {}
        for name in STEP_FIELDS:
            value = self.pinned.get(name, config.values().get(name))
            if name in accepted and value is not None:
                arguments[name] = value
        if "use_clipped_model_output" in accepted and "rederive_epsilon" in config.values():
            rederive = self.pinned.get("use_clipped_model_output", config.rederive_epsilon)
            arguments["use_clipped_model_output"] = rederive
        for timestep in timesteps:
            seen = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
            output = model(seen, timestep)
            x = scheduler.step(output, timestep, x, **arguments).prev_sample
        return x
