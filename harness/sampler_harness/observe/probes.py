"""What the two openings return in a run: stimuli for draws and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from .learned_variance import variance_value
from .problems import RunStopped

__all__ = ["Answers", "Dense", "Impulses", "RunStopped", "Stimulus", "scattered"]


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
