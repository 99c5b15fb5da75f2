"""The deciding experiment: one model under the user's sampler and under the numpy reference, on the same draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sampler_harness.detail.networks import evaluating, networks_of
from sampler_harness.detail.spectrum import Array, as_frames, radial_spectrum, retained, retained_error
from sampler_harness.law.replay import rows_of_draws
from sampler_harness.law.tolerance import reference_response
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.problems import RunStopped
from sampler_harness.observe.stand_in import Playing
from sampler_harness.observe.tape import NoiseTap
from sampler_harness.observe.watched import watched
from sampler_harness.subject import Subject

from .layout import PICTURES, Layout
from .raised import raised

__all__ = ["Experiment", "Side", "compare_samplers"]

#: First number of the noise's PCG64 streams; the second is the draw's index.
NOISE_SEED = 20_260_102
#: Model calls of a run at most, in times of the reference's.
CALLS = 4


@dataclass(frozen=True, eq=False)
class Side:
    """What one sampler made of the model.

    Attributes:
        name: whose.
        inputs: ``(K, N, C, H, W)`` what the model was given, data units where the sampler keeps them.
        outputs: ``(K, N, C, H, W)`` what it answered.
        times: ``(K,)`` what it was told.
        sample: ``(N, C, H, W)``; None where the run did not end well.
        problem: why not.
        raised: what the model itself raised or returned that nobody can use, with its line; empty where it did not.
    """

    name: str
    inputs: Array
    outputs: Array
    times: Array
    sample: Array | None
    problem: str | None = None
    raised: str = ""


@dataclass(frozen=True, eq=False)
class Experiment:
    """Both sides and how much detail each keeps.

    Attributes:
        own: the user's sampler.
        reference: the numpy reference.
        config: the configuration that both ran.
        same_draws: whether each draw of one was a draw of the other; otherwise the two agree in distribution only.
        kept_own: share of the data's power that the own samples have, per octave, the finest first; None without them.
        kept_reference: the same of the reference's.
        error: standard error of the reference's share, per octave: so far another choice of frames would move it.
        apart: root mean squared difference of the two samples over the data's spread; None where a side has none.
    """

    own: Side
    reference: Side
    config: Any
    same_draws: bool
    kept_own: tuple[float, ...] | None
    kept_reference: tuple[float, ...] | None
    error: tuple[float, ...]
    apart: float | None


class _Recorder:
    """Hands calls on to the user's model and keeps what passed."""

    def __init__(self, model: Callable[..., Any], limit: int, channels: int, layout: Layout) -> None:
        self.model = model
        self.limit = limit
        self.channels = channels
        self.layout = layout
        self.inputs: list[Array] = []
        self.outputs: list[Array] = []
        self.times: list[float] = []
        self.raised = ""

    def ask(self, x: Tensor, time: Any, *rest: Any, **named: Any) -> Tensor:
        """One call."""
        if len(self.inputs) >= self.limit:
            raise RunStopped(f"the sampler called its model more than {self.limit} times")
        try:
            answer = self.model(x, time, *rest, **named)
        except Exception as error:
            given = f"{str(getattr(x, 'dtype', '')).removeprefix('torch.')} {tuple(getattr(x, 'shape', ()))}"
            self.raised = f"raised {raised(error)} when given {given} and told {_told(time)}"
            raise
        values = answer[0] if isinstance(answer, tuple) else getattr(answer, "sample", answer)
        wanted = (x.shape[0], self.channels * x.shape[1], *x.shape[2:])
        if not isinstance(values, Tensor) or tuple(values.shape) != wanted:
            what = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            self.raised = f"returned {what} for an input of shape {tuple(x.shape)}, should be {wanted}"
            raise ValueError(f"the model {self.raised}")
        self.inputs.append(self.layout.frames(_array(x)))
        self.outputs.append(self.layout.frames(_array(values[:, : x.shape[1]])))  # beside it is a learned variance
        self.times.append(float(torch.as_tensor(time, dtype=torch.float64).reshape(-1)[0]))
        return values

    def side(self, name: str, sample: Array | None, problem: str | None) -> Side:
        """What was kept."""
        shape = (0, 0, 0, 0, 0)
        inputs = np.stack(self.inputs) if self.inputs else np.zeros(shape)
        outputs = np.stack(self.outputs) if self.outputs else np.zeros(shape)
        return Side(name, inputs, outputs, np.array(self.times), sample, problem, self.raised)


class _AsModel(Playing):
    """The recorder in the clothes that the user's sampler expects: a module with the subject's attributes."""

    def __init__(self, recorder: _Recorder, subject: Subject, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(subject.model_returns, subject.model_attributes)
        self.weight = torch.nn.Parameter(torch.zeros((), device=device, dtype=dtype))
        self._recorder = recorder

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Hand one call on."""
        return self.returned(self._recorder.ask(*args, **kwargs))


def _array(values: Tensor) -> Array:
    found: Array = values.detach().to("cpu", torch.float64).numpy().copy()
    return found


def _told(time: Any) -> str:
    """A time as the model is told it, for a person."""
    kind = str(getattr(time, "dtype", type(time).__name__)).removeprefix("torch.")
    try:
        return f"{float(torch.as_tensor(time).reshape(-1)[0]):.6g} ({kind})"
    except (TypeError, ValueError, IndexError, RuntimeError):
        return kind


def _draw(index: int, shape: tuple[int, ...]) -> Array:
    """The unit normals of a draw: float64, one stream for each, the same on every machine."""
    values: Array = np.random.Generator(np.random.PCG64([NOISE_SEED, index])).standard_normal(shape)
    return values


def compare_samplers(
    subject: Subject,
    model: Callable[..., Any],
    data: Any,
    *,
    config: Any,
    device: str = "cpu",
    layout: Layout = PICTURES,
) -> Experiment:
    """Run the model once under each of the two samplers and measure both results.

    Args:
        subject: the declared sampler.
        model: ``(x, time)`` as the sampler calls it, with its conditioning inside, for as many items as ``data`` has.
        data: ``(N, C, H, W)`` frames that samples should look like, data units.
        config: what both run; an instance of the subject's reference.
        device: of the model.
        layout: how the sampler's items turn into frames.

    Raises:
        ValueError: when the data cannot be used. What sampler and model do stands in the result.
    """
    frames = as_frames(data, "data")
    shape = layout.items(frames).shape
    limit = CALLS * max(1, config.num_calls) + 16
    with evaluating(networks_of(model)):
        own, drawn = _own_side(subject, model, shape, config, device, limit, layout)
        reference, asked = _reference_side(subject, model, shape, config, device, limit, layout)
    spectrum = radial_spectrum(frames)
    kept = [None if s.sample is None else retained(s.sample, spectrum) for s in (own, reference)]
    shown = reference.sample if reference.sample is not None else own.sample
    error = () if shown is None else retained_error(shown, frames)
    apart = None
    if own.sample is not None and reference.sample is not None:
        apart = float(np.sqrt(((own.sample - reference.sample) ** 2).mean()) / frames.std())
    return Experiment(own, reference, config, drawn == asked, kept[0], kept[1], error, apart)


def _own_side(
    subject: Subject,
    model: Callable[..., Any],
    shape: tuple[int, ...],
    config: Any,
    name: str,
    limit: int,
    layout: Layout,
) -> tuple[Side, int]:
    device = torch.device(name)
    dtype: torch.dtype = getattr(torch, next((d for d in subject.dtypes if d == "float32"), subject.dtypes[0]))
    recorder = _Recorder(model, limit, config.model_channels, layout)
    whole: list[int] = []

    def unit_normal(index: int, drawn: tuple[int, ...]) -> Tensor:
        if int(np.prod(drawn)) == int(np.prod(shape)):
            whole.append(index)
            return torch.from_numpy(_draw(len(whole) - 1, shape).reshape(drawn))
        return torch.from_numpy(_draw(10_000 + index, drawn))

    tap = NoiseTap(unit_normal, lambda: len(recorder.inputs), 20 * limit, RunStopped)
    keywords: dict[str, Any] = {"device": device, "dtype": dtype}
    if subject.takes_generator:
        keywords["generator"] = torch.Generator(device=device).manual_seed(0)
    played = _AsModel(recorder, subject, device, dtype)
    found = watched(lambda: subject.function(played, shape, config, **keywords), tap, device, "sampler")
    if found.error is None:
        sample, problem = _sample_of(subject, found.result, shape)
    else:
        sample, problem = None, f"your sampler stopped with {raised(found.error)}"
    sample = None if sample is None else layout.frames(sample)
    return recorder.side("own", sample, problem), len(tap.draws) if len(whole) == len(tap.draws) else -1


def _sample_of(subject: Subject, result: Any, shape: tuple[int, ...]) -> tuple[Array | None, str | None]:
    if not isinstance(result, Tensor) or tuple(result.shape) != shape:
        what = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        return None, f"your sampler returned {what}, should be a tensor of shape {shape}"
    values = (_array(result) - subject.output_shift) / subject.output_scale
    if not np.isfinite(values).all():
        return None, "your sampler returned NaN or infinity"
    return values, None


def _reference_side(
    subject: Subject,
    model: Callable[..., Any],
    shape: tuple[int, ...],
    config: Any,
    name: str,
    limit: int,
    layout: Layout,
) -> tuple[Side, int]:
    device = torch.device(name)
    recorder = _Recorder(model, limit, config.model_channels, layout)
    dead = _dead_draws(config)
    drawn = count = 0

    def noise() -> Array:
        nonlocal drawn, count
        drawn += 1
        if drawn - 1 in dead:
            return np.zeros(shape)
        count += 1
        return _draw(count - 1, shape)

    def ask(x: Array, time: float) -> Array:
        given = torch.from_numpy(np.ascontiguousarray(x)).to(device=device, dtype=torch.float32)
        told = torch.full((shape[0],), float(time), device=device)
        if config.told_as_indices:
            told = told.round().long()  # a chain's network looks its timestep up in a table
        return _array(recorder.ask(given, told))

    found = watched(lambda: np.asarray(config.sample(ask, noise), dtype=np.float64), None, device, "reference")
    sample, problem = found.result, None
    if sample is not None and subject.output_clip is not None:
        sample = np.clip(sample, *subject.output_clip)
    if found.error is not None:
        problem = f"the model stopped under the reference sampler with {raised(found.error)}"
    elif not np.isfinite(found.result).all():
        sample, problem = None, "the model answers NaN or infinity under the reference sampler"
    return recorder.side("reference", None if sample is None else layout.frames(sample), problem), count


def _dead_draws(config: Any) -> frozenset[int]:
    """Draws that the reference multiplies by 0: a program may leave them out, and draws are paired by order."""
    if not config.is_affine:
        return frozenset()
    rows, _ = rows_of_draws(reference_response(config, learned_variance(config)))
    return frozenset(index for index, row in enumerate(rows) if row is None)
