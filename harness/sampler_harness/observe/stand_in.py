"""The modules that play the model: how they are called, what may be asked of them, and in what their answer stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .probes import Answers, Stimulus
from .problems import Misuse, RunStopped, Unread
from .torch_private import unseen

__all__ = ["ABSENT", "Asked", "Call", "Playing", "StandIn", "asked_with", "kept"]

#: Names by which repositories pass their model the noisy sample, and what it is told of the noise in it.
X_NAMES = ("x", "sample", "x_t", "xt", "input", "hidden_states", "noisy", "noisy_latents", "x_noisy")
TIME_NAMES = ("sigma", "t", "timestep", "timesteps", "time", "noise_level", "noise_labels", "sigmas", "c_noise")

#: Stands for an argument that was not passed.
ABSENT: Any = object()

Extras = tuple[tuple[str, tuple[int, ...]], ...]


class Asked(NamedTuple):
    """What a model was called with.

    Attributes:
        x: the first argument, or the one named like a noisy sample; ``ABSENT`` where there is none.
        time: the second argument, or the one named like a time; ``ABSENT`` where there is none.
        extras: further tensors: position or name, and shape.
    """

    x: Any
    time: Any
    extras: Extras


def asked_with(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """Read a call of a model.

    Args:
        args: by position.
        kwargs: by name.
    """
    if len(args) == 2 and not kwargs:
        return Asked(*args, ())
    named = dict(kwargs)

    def taken(position: int, names: tuple[str, ...]) -> Any:
        if len(args) > position:
            return args[position]
        return next((named.pop(name) for name in names if name in named), ABSENT)

    x, time = taken(0, X_NAMES), taken(1, TIME_NAMES)
    extras = [(str(i), tuple(a.shape)) for i, a in enumerate(args) if i > 1 and isinstance(a, torch.Tensor)]
    extras += [(name, tuple(v.shape)) for name, v in named.items() if isinstance(v, torch.Tensor)]
    return Asked(x, time, tuple(extras))


def kept(values: Any) -> Any:
    """A copy of a tensor that later writes do not reach; anything else as it is."""
    if not isinstance(values, torch.Tensor):
        return values
    return values.detach().clone() if values.requires_grad else values.clone()


class Playing(nn.Module):
    """Plays a model.

    It has what repositories ask of a model: ``.device``, ``.dtype``, further attributes as declared.

    Args:
        returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        attributes: what may be asked of it.
    """

    def __init__(self, returns: str, attributes: Mapping[str, Any] | None) -> None:
        super().__init__()
        # Past the module's own registration, which looks at every value.
        self.__dict__.update({"_returns": returns, **(attributes or {})})

    @property
    def device(self) -> torch.device:
        """Where the first parameter lives."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the first parameter."""
        return next(self.parameters()).dtype

    def method(self, name: str) -> Playing:
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

    def answer(self, asked: Asked) -> torch.Tensor:
        """What one call is answered."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Read the call and answer it."""
        return self.returned(self.answer(asked_with(args, kwargs)))

    def returned(self, answer: torch.Tensor) -> Any:
        """An answer in what the model returns it in."""
        match self.__dict__["_returns"]:
            case "tuple":
                return (answer,)
            case "sample":
                return SimpleNamespace(sample=answer)
            case _:
                return answer


class Call(NamedTuple):
    """One call of the model.

    Attributes:
        x: what the model was given, as it was at that moment.
        time: the time argument as it was passed (a number or a tensor).
        extras: further tensor arguments, by position or name.
        parts: how many calls one batch was taken apart into, of which this is one: guidance asks for several at once.
    """

    x: torch.Tensor
    time: Any
    extras: Extras
    parts: int = 1


class StandIn(Playing):
    """Answers each call of a sampler with the stimulus's output and records what it was called with.

    One parameter on the declared device and dtype, so that ``next(model.parameters())`` works.

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
        super().__init__(returns, attributes)
        self.weight = nn.Parameter(torch.zeros((), device=device, dtype=dtype))
        self.calls: list[Call] = []
        self._outputs: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self._stimulus = stimulus
        self._shape = shape
        self._channels = channels
        self._limit = limit
        self._strided = strided
        self._before_call = before_call
        self._begun: _Begun | None = None

    @property
    def unfinished(self) -> int:
        """Items of the last call that were asked for, where the others never were; 0 where all were."""
        return 0 if self._begun is None else self._begun.items

    def answer(self, asked: Asked) -> torch.Tensor:
        """Record the call, answer with the stimulus."""
        x, time = self._judged(asked), asked.time
        items = self._shape[0]
        if x.shape[0] < items or self._begun is not None:
            return self._part(x, time, asked.extras)
        if x.shape[0] == items:
            return self._call(x, time, asked.extras)
        # Guidance asks for several answers at once: r times the batch is r calls at one time.
        parts = torch.split(x, items)
        per_part = isinstance(time, torch.Tensor) and time.numel() == x.shape[0]
        times = torch.split(time.reshape(-1), items) if per_part else [time] * len(parts)
        each = zip(parts, times, strict=True)
        return torch.cat([self._call(part, told, asked.extras, len(parts)) for part, told in each])

    def _part(self, x: torch.Tensor, time: Any, extras: Extras) -> torch.Tensor:
        """Some items of a batch, whose others are asked for next: together they are one call."""
        if self._begun is None:
            self._begun = _Begun(len(self.calls), _first(time))
            self._limited(self._begun.index)
        begun, items = self._begun, self._shape[0]
        first, after = begun.items, begun.items + x.shape[0]
        if after > items or _first(time) != begun.time:
            raise Unread(
                f"the model is asked for {x.shape[0]} of {items} items at a time, and for another time before the "
                "others: runs of one item after another cannot be laid side by side. Declare shapes of one item, "
                f"shapes=[{(1, *self._shape[1:])}]"
            )
        begun.follow(x)
        begun.xs.append(kept(x))
        begun.times.append(kept(time))
        if self._before_call is not None and not first:
            self._before_call(begun.index)
        with unseen(x):
            if isinstance(self._stimulus, Answers):
                self._stimulus.listen(x, time)
                values = self._values(begun.index, x)
                begun.answers.append(self._stimulus.answered.pop())
            else:
                values = self._values(begun.index, x.new_zeros(self._shape))[first:after]
            output = _spread(values) if self._strided else values
            self._outputs.append((begun.index, output, values.clone()))
            if after == items:
                self.calls.append(Call(torch.cat(begun.xs), begun.whole_time(), extras))
                if isinstance(self._stimulus, Answers):
                    self._stimulus.answered.append(begun.whole_answer())
                self._begun = None
        return output

    def _limited(self, index: int) -> None:
        if index >= self._limit:
            raise RunStopped(
                f"the model was called more than {self._limit} times in one run: the sampler "
                "does not end, or takes far more steps than its configuration says"
            )

    def _call(self, x: torch.Tensor, time: Any, extras: Extras, parts: int = 1) -> torch.Tensor:
        index = len(self.calls)
        self._limited(index)
        with unseen(x):
            self.calls.append(Call(kept(x), kept(time), extras, parts))
        if self._before_call is not None:
            self._before_call(index)
        if isinstance(self._stimulus, Answers):
            self._stimulus.listen(x, time)
        with unseen(x):
            values = self._values(index, x)
            output = _spread(values) if self._strided else values
            self._outputs.append((index, output, values.clone()))
        return output

    def written_over(self) -> list[int]:
        """Calls whose output is no longer what it was: the sampler wrote into its model's tensor."""
        return [index for index, output, given in self._outputs if not torch.equal(output.detach(), given)]

    def _values(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """What a call is answered: the stimulus's output, and variance values where the model has them."""
        dtype = x.dtype if x.is_floating_point() else self.dtype
        shape = tuple(x.shape)
        values = self._stimulus.output(index, shape)
        output = torch.zeros_like(x, dtype=dtype) if values is None else values.to(device=x.device, dtype=dtype)
        if self._channels == 2:
            variance = self._stimulus.variance(index, shape).to(device=x.device, dtype=dtype)
            output = torch.cat([output, variance], dim=1)
        return output

    def _judged(self, asked: Asked) -> torch.Tensor:
        """The noisy sample, if that is what the model was called with."""
        x, shape = asked.x, self._shape
        if isinstance(x, torch.Tensor) and x.shape == shape and asked.time is not ABSENT:
            return x
        if x is ABSENT:
            raise Misuse("your sampler called its model without a sample: call model(x, time)")
        if not isinstance(x, torch.Tensor):
            raise Misuse(f"your sampler called its model with a {type(x).__name__}, should be a torch tensor")
        whole = x.ndim == len(shape) and tuple(x.shape[1:]) == shape[1:] and x.shape[0] > 0
        if not whole:
            self._refuse_shape(tuple(x.shape))
        if x.shape[0] > shape[0] and x.shape[0] % shape[0]:
            raise Misuse(
                f"your sampler called its model with x of shape {tuple(x.shape)}, should be {shape} (or, for guidance, "
                "a multiple of its batch)"
            )
        if asked.time is ABSENT:
            raise Misuse(
                "your sampler called its model without a time: call model(x, time), or pass it by one of "
                f"the names {', '.join(TIME_NAMES)}"
            )
        return x

    def _refuse_shape(self, seen: tuple[int, ...]) -> None:
        """Say what to declare where the model sees items of another shape.

        Raises:
            Unread: where they are the sample's, laid out in another way, or with a border.
            Misuse: where they are something else.
        """
        shape = self._shape
        asked = f"your sampler called its model with x of shape {seen}, should be {shape}"
        if math.prod(seen) == math.prod(shape) and seen[0] == shape[0]:
            raise Unread(
                f"{asked}: an item's numbers laid out in another way, whose places cannot be told apart. Declare the "
                f"shape that the model sees, shapes=[{seen}], and leave out what lays the sample out again"
            )
        if len(seen) == len(shape) and seen[0] == shape[0] and all(a >= b for a, b in zip(seen, shape, strict=True)):
            raise Unread(
                f"{asked}: where it has a border, what becomes of it cannot be told. Declare shapes that need none, "
                f"shapes=[{seen}]"
            )
        raise Misuse(f"{asked} (or, for guidance, a multiple of its batch)")


@dataclass
class _Begun:
    """A call of which some items were asked for.

    Attributes:
        index: of the call.
        time: that its first items were asked at.
    """

    index: int
    time: float
    xs: list[torch.Tensor] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    _last: tuple[Any, int] | None = None

    def follow(self, x: torch.Tensor) -> None:
        """Take some items behind those before them.

        Args:
            x: the items, as they were asked for.

        Raises:
            Unread: where they stand ahead of those in the tensor that they are a part of.
        """
        # The storage itself is held: where it is given back meanwhile, another item's may get its address.
        storage, offset = x.untyped_storage(), int(x.storage_offset())
        if self._last is not None and self._last[0].data_ptr() == storage.data_ptr() and offset <= self._last[1]:
            raise Unread(
                "the model is asked for the items of a batch in another order than they stand in it, so that they "
                f"cannot be laid side by side. Declare shapes of one item, shapes=[{(1, *x.shape[1:])}]"
            )
        self._last = storage, offset

    @property
    def items(self) -> int:
        """How many items were asked for."""
        return sum(x.shape[0] for x in self.xs)

    def whole_time(self) -> Any:
        """The time of the call: of each item where each part told one for each of its own."""
        each = [
            t.numel() == x.shape[0] and t.ndim > 0 if isinstance(t, torch.Tensor) else False
            for t, x in zip(self.times, self.xs, strict=True)
        ]
        return torch.cat([t.reshape(-1) for t in self.times]) if all(each) else self.times[0]

    def whole_answer(self) -> Any:
        """What the model answered to all items."""
        if isinstance(self.answers[0], tuple):
            return tuple(np.concatenate(parts) for parts in zip(*self.answers, strict=True))
        return np.concatenate(self.answers)


def _first(time: Any) -> float:
    """The time of a call's first item, as a number."""
    if isinstance(time, torch.Tensor):
        return float(time.detach().reshape(-1)[0]) if time.numel() and not time.is_complex() else math.nan
    return float(time) if isinstance(time, (int, float)) else math.nan


def _spread(values: torch.Tensor) -> torch.Tensor:
    """The same values in a tensor that is not contiguous."""
    doubled = torch.zeros((*values.shape, 2), device=values.device, dtype=values.dtype)
    doubled[..., 0] = values
    return doubled[..., 0]
