"""The tap on randomness: every draw is seen, and what it returns is replaced.

A :class:`NoiseTap` is entered around one run of a sampler. A Gaussian draw is ``mean + std * z``: the tap
lets the real operator run (so that generators move as they would), then overwrites its result with the
call's own mean and standard deviation and a ``z`` of the harness's choosing. Which operators draw is told by
torch's tag ``nondeterministic_seeded``, not by a list of names; an unknown one is refused, never ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .problems import UnknownDraw
from .streams import Follower, Stretch
from .torch_private import DispatchTap, default_generator, is_random, operator_name

__all__ = ["NOT_NORMAL", "Draw", "NoiseTap", "UnknownDraw", "spread_at"]

#: The exponential of a normal: what is replaced is that normal.
_LOG_NORMAL = {"log_normal", "log_normal_"}
_STANDARD = {"randn", "randn_like"}
_GAUSSIAN = _STANDARD | {"normal", "normal_", "normal_functional", *_LOG_NORMAL}
#: Draws that are not Gaussian: they get a fixed legal value, and the law is "not Gaussian".
_OTHER = {
    "rand", "rand_like", "uniform", "uniform_", "randint", "randint_like", "random", "random_", "randperm",
    "bernoulli", "bernoulli_", "exponential", "exponential_", "multinomial", "poisson",
}  # fmt: skip
#: Operators that drop elements: run with a probability of zero, and told as a draw that is not Gaussian.
_DROPOUT = {"dropout", "native_dropout", "alpha_dropout"}
#: Whole numbers that may be drawn, from which on they are taken for seeds.
MANY = 2**16
#: What torch draws that is no normal noise.
NOT_NORMAL = frozenset(_OTHER | _DROPOUT)


@dataclass(frozen=True)
class Draw:
    """One call of a random operator.

    Attributes:
        operator: torch's name of it.
        shape: of the result.
        dtype: of the result, ``"float32"``.
        device: of the result.
        gaussian: whether it is a normal draw.
        generator_seed: ``initial_seed()`` of the generator that was passed; None when none was.
        calls_before: how many times the model had been called.
        low: lowest value of a uniform or whole-number draw; None for others.
        high: its upper end, excluded.
        cumulative: of whole numbers that are not equally likely, the share of draws that are at most each; else empty.
        stretch: which random numbers it is made of; None where that was not asked, or cannot be told.
    """

    operator: str
    shape: tuple[int, ...]
    dtype: str
    device: str
    gaussian: bool
    generator_seed: int | None
    calls_before: int
    low: float | None = None
    high: float | None = None
    cumulative: tuple[float, ...] = ()
    stretch: Stretch | None = None

    @property
    def numel(self) -> int:
        """Number of elements drawn."""
        return math.prod(self.shape)


def _mean_and_std(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """The call's own location and scale: numbers or tensors."""
    if name in _STANDARD:
        return 0.0, 1.0
    # normal_(self, mean, std) has the tensor first; normal(mean, std, …) does not.
    values = args[1:] if name in ("normal_", "normal_functional", *_LOG_NORMAL) else args
    mean = values[0] if len(values) > 0 else kwargs.get("mean", 1.0 if name in _LOG_NORMAL else 0.0)
    std = values[1] if len(values) > 1 else kwargs.get("std", 2.0 if name in _LOG_NORMAL else 1.0)
    if name == "normal" and isinstance(mean, torch.Tensor) and "out" in kwargs and mean is kwargs["out"]:
        mean = 0.0
    return mean, std


class NoiseTap(DispatchTap):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """Records each draw and replaces the unit normal behind it.

    Args:
        unit_normal: given the draw's index and shape, the float64 stand-in for ``z`` or None for zeros.
        calls: tells how many times the model has been called so far.
        limit: draws after which the run is stopped.
        stop: raised (as an instance made by this callable) when the limit is passed.
        other: given the index and record of a draw that is not Gaussian, the values that it returns, or None for a
            fixed legal one.
        whose: what draws, ``sampler`` or ``step``.
        follow: note from which state of its generator each draw is made.
        keep_others: draws that are not Gaussian return what torch drew.

    Raises:
        UnknownDraw: from inside the sampler, when it uses a random operator that cannot be replaced.
    """

    def __init__(
        self,
        unit_normal: Callable[[int, tuple[int, ...]], torch.Tensor | None],
        calls: Callable[[], int],
        limit: int,
        stop: Callable[[str], BaseException],
        other: Callable[[int, Draw], torch.Tensor | None] | None = None,
        whose: str = "sampler",
        *,
        follow: bool = False,
        keep_others: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._unit_normal = unit_normal
        self._calls = calls
        self._limit = limit
        self._stop = stop
        self._other = other
        self._whose = whose
        self._follower = Follower() if follow else None
        self._keep_others = keep_others
        self.draws: list[Draw] = []
        #: Index of the first draw from each generator that was passed, to the state in which that generator stood.
        self.states: dict[int, bytes] = {}
        self._generators: list[torch.Generator] = []
        #: False while another run is started from inside this one: its draws are not ours.
        self.listening = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not is_random(func) or not self.listening:
            return func(*args, **kwargs) if kwargs else func(*args)
        kwargs = dict(kwargs or {})
        name = operator_name(func)
        if name not in _GAUSSIAN and name not in _OTHER and name not in _DROPOUT:
            raise UnknownDraw(
                f"the {self._whose} draws with torch operator {name!r}, which the harness cannot replace; "
                "draw Gaussian noise with randn, randn_like, normal or normal_"
            )
        if len(self.draws) >= self._limit:
            raise self._stop(f"more than {self._limit} random draws in one run")
        gaussian = name in _GAUSSIAN
        mean: Any = 0.0
        std: Any = 1.0
        if gaussian:
            mean, std = _mean_and_std(name, args, kwargs)
            # The operator may write over the very tensors that hold its parameters.
            mean = mean.clone() if isinstance(mean, torch.Tensor) else mean
            std = std.clone() if isinstance(std, torch.Tensor) else std
        if name in _DROPOUT:  # whole only in inference mode; elsewhere it arrives as a Bernoulli draw
            args = (args[0], 0.0, *args[2:])
        generator = kwargs.get("generator")
        index = len(self.draws)
        if generator is not None and all(one is not generator for one in self._generators):
            self._generators.append(generator)
            self.states[index] = generator.get_state().numpy().tobytes()
        source = None if self._follower is None else generator or default_generator(_device(args, kwargs))
        began = None if self._follower is None or source is None else self._follower.before(source)
        result = func(*args, **kwargs)
        made = result[0] if isinstance(result, tuple) else result
        stretch = None
        if self._follower is not None and source is not None and began is not None:
            stretch = self._follower.after(source, began, made)
        low, high = (None, None) if gaussian else _bounds(name, args, kwargs)
        draw = Draw(
            operator=name,
            shape=tuple(made.shape),
            dtype=str(made.dtype).removeprefix("torch."),
            device=str(made.device),
            gaussian=gaussian,
            generator_seed=None if generator is None else int(generator.initial_seed()),
            calls_before=self._calls(),
            low=low,
            high=high,
            cumulative=_cumulative(args[0]) if name == "multinomial" and low is None else (),
            stretch=stretch,
        )
        self.draws.append(draw)
        if gaussian:
            unit = self._unit_normal(index, tuple(result.shape))
            if unit is None:
                result.copy_(mean if isinstance(mean, torch.Tensor) else torch.full_like(result, mean))
            elif name in _STANDARD:
                result.copy_(unit)
            else:
                result.copy_(mean + std * unit.to(device=result.device))
            if name in _LOG_NORMAL:
                result.exp_()
        elif name not in _DROPOUT and not self._keep_others:
            values = None if self._other is None else self._other(index, draw)
            if values is None:
                _fill_legal(name, result, low, high, sum(one.numel for one in self.draws[:-1] if not one.gaussian))
            else:
                result.copy_(values.to(device=result.device, dtype=result.dtype))
        return result


def spread_at(share: float) -> Callable[[int, Draw], torch.Tensor | None]:
    """Values for draws that are not Gaussian, near one place between their bounds and no two alike.

    Two alike could keep a program from its end that draws seeds until all are different.

    Args:
        share: of the way from the lowest value to the highest.
    """
    made = 0

    def values(index: int, draw: Draw) -> torch.Tensor | None:
        nonlocal made
        count, name = draw.numel, draw.operator
        places = np.arange(made, made + count, dtype=np.float64)
        made += count
        if name == "randperm":
            order = np.arange(count)
            return torch.from_numpy(order if share < 0.5 else order[::-1].copy())
        if name in ("bernoulli", "bernoulli_"):
            return torch.full(draw.shape, float(share >= 0.5), dtype=torch.float64)
        if draw.low is None or draw.high is None:
            return None
        if name.startswith(("rand_", "uniform")) or name == "rand":
            inside = share + (0.5 - share) * (places + 1) / 2**20
            found = draw.low + (draw.high - draw.low) * np.clip(inside, 0.0, 1.0)
        else:  # whole numbers
            size = draw.high - draw.low
            first = round(share * (size - 1))
            found = draw.low + (first + (places if share < 0.5 else -places)) % size
        return torch.from_numpy(found.reshape(draw.shape))

    return values


def _device(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Where a draw is made: where it is asked for, else where its tensors are."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    tensors = (value for value in (kwargs.get("out"), *args) if isinstance(value, torch.Tensor))
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _bounds(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Between which values a draw lies that is not Gaussian; None where it has no such bounds."""
    if name in ("rand", "rand_like"):
        return 0.0, 1.0
    if name in ("uniform_", "uniform"):
        given = list(args[1:])
        low = given[0] if given else kwargs.get("from", 0.0)
        high = given[1] if len(given) > 1 else kwargs.get("to", 1.0)
        return float(low), float(high)
    if name in ("randint", "randint_like", "random", "random_"):
        numbers = [a for a in args if isinstance(a, int) and not isinstance(a, bool)]
        if not numbers:
            return None, None
        return (float(numbers[0]), float(numbers[1])) if len(numbers) > 1 else (0.0, float(numbers[0]))
    if name == "randperm":
        return 0.0, float(args[0])
    if name == "multinomial":
        weights = args[0]
        alike = bool((weights == weights.reshape(-1)[0]).all())
        return (0.0, float(weights.shape[-1])) if alike else (None, None)
    return None, None


def _cumulative(weights: torch.Tensor) -> tuple[float, ...]:
    """Shares of draws that are at most 0, 1, …, from weights that need not add up to 1; nothing where rows differ."""
    rows = weights.detach().to("cpu", torch.float64).reshape(-1, weights.shape[-1])
    if not bool((rows == rows[0]).all()):
        return ()
    sums = torch.cumsum(rows[0], 0)
    return tuple((sums / sums[-1]).tolist())


def _fill_legal(name: str, result: torch.Tensor, low: float | None, high: float | None, before: int) -> None:
    """Overwrite a draw that is not Gaussian with a fixed legal value, the same on every machine.

    Of so many whole numbers no two are alike: they are seeds, and a program may draw until all of its own differ.
    """
    if name in ("randint", "randint_like") and low is not None and high is not None and high - low >= MANY:
        numbers = torch.arange(before, before + result.numel(), device=result.device) % int(MANY)
        result.copy_((int(low) + numbers).reshape(result.shape).to(result.dtype))
    elif name == "randperm":
        result.copy_(torch.arange(result.numel(), device=result.device).to(result.dtype))
    elif name in ("rand", "rand_like", "uniform_", "uniform") and low is not None and high is not None:
        result.fill_((low + high) / 2)
    elif name in ("exponential_", "exponential", "bernoulli", "bernoulli_", "poisson"):
        result.fill_(1)
    else:
        result.fill_(low if name in ("randint", "randint_like") and low is not None else 0)
