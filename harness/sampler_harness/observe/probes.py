"""What stands in for the two openings: stimuli for draws and outputs, and the module that plays the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from .learned_variance import variance_value

__all__ = [
    "INPUT_NAMES",
    "TIME_NAMES",
    "Answers",
    "Call",
    "Dense",
    "Impulses",
    "RunStopped",
    "SamplerMisuse",
    "StandIn",
    "Stimulus",
    "scattered",
]


class RunStopped(BaseException):
    """A run passed its limit. Not an ``Exception``: a sampler that swallows those cannot swallow this."""


class SamplerMisuse(TypeError):
    """The sampler used the stand-in for its model in a way that a declaration must explain."""


class Stimulus(Protocol):
    """What the openings return in one run: values in float64, None for all zero."""

    def draw(self, index: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """Stand-in for the unit normal of draw ``index``."""

    def output(self, call: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """Stand-in for the model's output of call ``call``."""

    def variance(self, call: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Stand-in for the learned-variance channels of call ``call``, in [-1, 1]."""


@dataclass
class Impulses:
    """Impulses at chosen elements, zero elsewhere.

    Attributes:
        draws: draw index to list of (flat offset, value).
        outputs: call index to list of (flat element, value).
    """

    draws: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    outputs: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    @staticmethod
    def _place(places: list[tuple[int, float]] | None, shape: tuple[int, ...]) -> torch.Tensor | None:
        if not places:
            return None
        # Built in numpy: every torch operation here would pass the tap on the sampler's own.
        values = np.zeros(int(np.prod(shape)))
        for offset, value in places:
            values[offset] = value
        return torch.from_numpy(values.reshape(shape))

    def draw(self, index: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The impulses of this draw."""
        return self._place(self.draws.get(index), shape)

    def output(self, call: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The impulses of this call's output."""
        return self._place(self.outputs.get(call), shape)

    def variance(self, call: int, shape: tuple[int, ...]) -> torch.Tensor:
        """One constant per call, so that the law stays affine."""
        return torch.full(shape, variance_value(call), dtype=torch.float64)


@dataclass
class Dense:
    """Given values everywhere: float64 arrays, so that both sides receive the same numbers.

    Attributes:
        draws: draw index and shape to values; None for zeros.
        outputs: call index and shape to values; None for zeros.
    """

    draws: Callable[[int, tuple[int, ...]], np.ndarray[Any, np.dtype[np.float64]] | None]
    outputs: Callable[[int, tuple[int, ...]], np.ndarray[Any, np.dtype[np.float64]] | None]

    def draw(self, index: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The values of this draw."""
        values = self.draws(index, shape)
        return None if values is None else torch.from_numpy(np.ascontiguousarray(values)).reshape(shape)

    def output(self, call: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """The values of this call's output."""
        values = self.outputs(call, shape)
        return None if values is None else torch.from_numpy(np.ascontiguousarray(values)).reshape(shape)

    def variance(self, call: int, shape: tuple[int, ...]) -> torch.Tensor:
        """One constant per call."""
        return torch.full(shape, variance_value(call), dtype=torch.float64)


@dataclass
class Answers(Dense):
    """Given draws, and a model that is asked: what each call is answered depends on what it was given.

    Attributes:
        model: given the input of a call in float64 and its time argument as it was passed, the output; with a learned
            variance a pair.
        answered: for each call what the model answered.
    """

    outputs: Callable[[int, tuple[int, ...]], np.ndarray[Any, np.dtype[np.float64]] | None] = lambda call, shape: None
    model: Callable[[Any, Any], Any] = lambda x, time: x
    answered: list[Any] = field(default_factory=list)

    def listen(self, x: torch.Tensor, time: Any) -> None:
        """Told of each call before it is answered."""
        self.answered.append(self.model(x.detach().to("cpu", torch.float64).numpy(), time))

    def _part(self, call: int, part: int, shape: tuple[int, ...]) -> torch.Tensor:
        answer = self.answered[call]
        values = answer[part] if isinstance(answer, tuple) else answer
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).reshape(shape)

    def output(self, call: int, shape: tuple[int, ...]) -> torch.Tensor | None:
        """What the model answered."""
        return self._part(call, 0, shape)

    def variance(self, call: int, shape: tuple[int, ...]) -> torch.Tensor:
        """Its second answer, or one constant per call where it has none."""
        return self._part(call, 1, shape) if isinstance(self.answered[call], tuple) else super().variance(call, shape)


def scattered(count: int, size: int, phase: int) -> list[int]:
    """``count`` distinct places among ``size``, spread by a stride coprime to the size.

    Plain integer arithmetic: the same on every machine and in every release, unlike a generator's stream.

    Args:
        count: how many, at most ``size``.
        size: number of elements.
        phase: another phase gives another scattering.
    """
    stride = max(1, int(size * (0.6180339887 if phase % 2 == 0 else 0.7548776662)) + phase // 2)
    while np.gcd(stride, size) != 1:
        stride += 1
    start = (phase * 7 + size // 3) % size
    return [(start + stride * k) % size for k in range(count)]


@dataclass(frozen=True)
class Call:
    """One call of the model.

    Attributes:
        x: what the model was given, as it was at that moment.
        time: the time argument as it was passed (a number or a tensor).
        extras: further tensor arguments, by position or name.
        keyword: whether the time came by keyword.
    """

    x: torch.Tensor
    time: Any
    extras: tuple[tuple[str, tuple[int, ...]], ...]


def _kept(values: torch.Tensor) -> torch.Tensor:
    """A copy that later writes do not reach."""
    return values.detach().clone() if values.requires_grad else values.clone()


#: What programs call the model's input and its time where they pass them by name.
INPUT_NAMES = ("x", "sample", "x_t", "xt", "input", "hidden_states", "noisy", "noisy_latents", "x_noisy")
TIME_NAMES = ("sigma", "t", "timestep", "timesteps", "time", "noise_level", "noise_labels", "sigmas", "c_noise")


class StandIn(nn.Module):
    """Plays the model: answers each call with the stimulus's output and records what it was called with.

    One parameter on the declared device and dtype, so that ``next(model.parameters())`` works; ``.device`` and
    ``.dtype`` as many repositories' models have; further attributes as declared.

    Args:
        stimulus: what to answer.
        shape: the sample's shape.
        device: of the parameter.
        dtype: of the parameter.
        returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        channels: output channels as a multiple of the input's.
        attributes: what the sampler may ask of its model.
        limit: calls after which the run is stopped.
        strided: answer with a tensor that is not contiguous.
        before_call: called with the call's index before it is answered; for interleaved runs.
    """

    def __init__(
        self,
        stimulus: Stimulus,
        shape: tuple[int, ...],
        *,
        device: torch.device,
        dtype: torch.dtype,
        returns: str = "tensor",
        channels: int = 1,
        attributes: Mapping[str, Any] | None = None,
        limit: int = 20_000,
        strided: bool = False,
        before_call: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), device=device, dtype=dtype))
        state = self.__dict__
        state["_stimulus"] = stimulus
        state["_shape"] = shape
        state["_returns"] = returns
        state["_channels"] = channels
        state["_limit"] = limit
        state["_strided"] = strided
        state["_before_call"] = before_call
        state["calls"] = []
        state["outputs"] = []
        for name, value in (attributes or {}).items():
            state[name] = value

    @property
    def device(self) -> torch.device:
        """Where the parameter lives."""
        return self.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameter."""
        return self.weight.dtype

    def method(self, name: str) -> StandIn:
        """Bind the call under another name: ``model.method("apply_model")``; returns the model itself."""
        self.__dict__[name] = self.__call__
        return self

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__"):
                raise
            raise AttributeError(
                f"your sampler asked its model for .{name}: add model_attributes={{{name!r}: …}} to the declaration, "
                f"or, if it calls its network by that name, hand it model.method({name!r})"
            ) from None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Record the call, answer with the stimulus."""
        x, time, extras = self._read(args, kwargs)
        items = self.__dict__["_shape"][0]
        if isinstance(time, torch.Tensor):
            time = _kept(time)
        # Guidance asks for several answers at once: r times the batch is r calls at one time.
        parts = (x,) if x.shape[0] == items else torch.split(x, items)
        per_part = isinstance(time, torch.Tensor) and time.numel() == x.shape[0] and len(parts) > 1
        times = torch.split(time.reshape(-1), items) if per_part else [time] * len(parts)
        outputs = [self._call(part, told, extras) for part, told in zip(parts, times, strict=True)]
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        returns = self.__dict__["_returns"]
        if returns == "tuple":
            return (output,)
        return SimpleNamespace(sample=output) if returns == "sample" else output

    def _call(self, x: torch.Tensor, time: Any, extras: tuple[tuple[str, tuple[int, ...]], ...]) -> torch.Tensor:
        calls: list[Call] = self.__dict__["calls"]
        index = len(calls)
        if index >= self.__dict__["_limit"]:
            raise RunStopped(
                f"the model was called more than {self.__dict__['_limit']} times in one run: the sampler "
                "does not end, or takes far more steps than its configuration says"
            )
        calls.append(Call(x=_kept(x), time=time, extras=extras))
        before_call = self.__dict__["_before_call"]
        if before_call is not None:
            before_call(index)
        stimulus = self.__dict__["_stimulus"]
        if isinstance(stimulus, Answers):
            stimulus.listen(x, time)
        output = self._answer(index, x)
        self.__dict__["outputs"].append(output)
        return output

    def written_over(self) -> list[int]:
        """Calls whose output is no longer what it was: the sampler wrote into its model's tensor."""
        stimulus: Stimulus = self.__dict__["_stimulus"]
        return [
            index
            for index, (output, call) in enumerate(zip(self.__dict__["outputs"], self.__dict__["calls"], strict=True))
            if not torch.equal(output.detach(), self._values(stimulus, index, call.x))
        ]

    def _values(self, stimulus: Stimulus, index: int, x: torch.Tensor) -> torch.Tensor:
        """What a call is answered: the stimulus's output, and variance values where the model has them."""
        dtype = x.dtype if x.is_floating_point() else self.dtype
        values = stimulus.output(index, tuple(x.shape))
        output = torch.zeros_like(x, dtype=dtype) if values is None else values.to(device=x.device, dtype=dtype)
        if self.__dict__["_channels"] == 2:
            variance = stimulus.variance(index, tuple(x.shape)).to(device=x.device, dtype=dtype)
            output = torch.cat([output, variance], dim=1)
        return output

    def _answer(self, index: int, x: torch.Tensor) -> torch.Tensor:
        output = self._values(self.__dict__["_stimulus"], index, x)
        if self.__dict__["_strided"]:
            doubled = torch.zeros((*output.shape, 2), device=output.device, dtype=output.dtype)
            doubled[..., 0] = output
            output = doubled[..., 0]
        return output

    def _read(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[torch.Tensor, Any, tuple[tuple[str, tuple[int, ...]], ...]]:
        """Find the noisy sample and the time among the arguments; what else is a tensor is an extra."""
        positional = list(args)
        named = dict(kwargs)
        if positional:
            x = positional.pop(0)
        else:
            name = next((n for n in INPUT_NAMES if n in named), None)
            if name is None:
                raise SamplerMisuse("your sampler called its model without a sample: call model(x, time)")
            x = named.pop(name)
        if not isinstance(x, torch.Tensor):
            raise SamplerMisuse(f"your sampler called its model with a {type(x).__name__}, should be a torch tensor")
        shape = self.__dict__["_shape"]
        whole = x.ndim == len(shape) and tuple(x.shape[1:]) == shape[1:] and x.shape[0] > 0
        if not whole or x.shape[0] % shape[0]:
            raise SamplerMisuse(
                f"your sampler called its model with x of shape {tuple(x.shape)}, should be {shape} (or, for guidance, "
                "a multiple of its batch)"
            )
        if positional:
            time = positional.pop(0)
        else:
            name = next((n for n in TIME_NAMES if n in named), None)
            if name is None:
                raise SamplerMisuse(
                    "your sampler called its model without a time: call model(x, time), or pass it by one of "
                    f"the names {', '.join(TIME_NAMES)}"
                )
            time = named.pop(name)
        extras = [(str(i + 2), tuple(a.shape)) for i, a in enumerate(positional) if isinstance(a, torch.Tensor)]
        extras += [(n, tuple(v.shape)) for n, v in named.items() if isinstance(v, torch.Tensor)]
        return x, time, tuple(extras)
