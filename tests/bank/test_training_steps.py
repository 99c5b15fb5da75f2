"""Our torch training steps against the references on the same draws, without the harness; each faulty one must differ.

Here nothing is measured by impulses: both sides are given the same random data, draws and answers of the model, and
must ask the model the same questions and return the same loss. So a mistake of the harness cannot hide one of theirs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from fixtures.faulty_training import FAULTY_TRAINING, SOUND_TRAINING, FaultyTraining
from reference_samplers import DDPMTraining, EDMTraining, FlowTraining
from reference_samplers.openings import Array
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.catalogue import check_ids
from sampler_harness.subject import Subject
from sampler_harness.subject.training import TrainingSubject

IMAGES = (4, 3, 8, 8)
CLIPS = (2, 7, 3, 8, 8)

Training = EDMTraining | DDPMTraining | FlowTraining


def load(path: str) -> TrainingSubject:
    module, _, name = path.partition(":")
    subject: TrainingSubject = getattr(importlib.import_module(module), name)
    return subject


class Drawn:
    """Random numbers by kind and number of the draw: whoever asks for the n-th of a kind gets the same.

    A draw of one axis decides levels. All kinds of those are quantiles of the same numbers, so that it does not matter
    whether a level is drawn before the noise or after it, or as a normal, a uniform or a whole number.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def _generator(self, kind: str, number: int) -> np.random.Generator:
        count = self.counts.get(kind, 0)
        self.counts[kind] = count + 1
        return np.random.Generator(np.random.PCG64([number, count]))

    def normal(self, shape: tuple[int, ...]) -> Array:
        if len(shape) == 1:
            return np.array([NormalDist().inv_cdf(u) for u in self.uniform(shape[0])])
        if shape[2:] == (1,) * (len(shape) - 2):
            return self._generator("offset", 3).standard_normal(shape)
        return self._generator("noise", 2).standard_normal(shape)

    def integers(self, low: int, high: int, count: int) -> Any:
        return np.floor(low + (high - low) * self.uniform(count)).astype(np.int64)

    def uniform(self, count: int) -> Array:
        # First both ends: beyond any clamp that is declared here, and the first and last whole number of any range.
        generator = self._generator("level", 1)
        numbers = np.roll(np.resize([3e-5, 1 - 3e-5, 0.62, 0.14], count), self.counts["level"])
        return numbers + 1e-5 * generator.random(count)


@contextlib.contextmanager
def drawing(drawn: Drawn) -> Iterator[None]:
    """Torch draws from this."""

    def shape_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
        return tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)

    def tensor(values: Array, options: dict[str, Any]) -> Tensor:
        return torch.from_numpy(np.asarray(values)).to(options.get("dtype") or torch.get_default_dtype())

    def uniforms(shape: tuple[int, ...]) -> Array:
        return drawn.uniform(shape[0]) if len(shape) == 1 else np.random.Generator(np.random.PCG64(9)).random(shape)

    def normal_of(mean: Tensor, std: Tensor) -> Tensor:
        return mean + std * tensor(drawn.normal(tuple(mean.shape)), {"dtype": mean.dtype})

    def randint(low: int, high: int, size: tuple[int, ...], **_: Any) -> Tensor:
        return torch.from_numpy(drawn.integers(low, high, size[0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda *sizes, **o: tensor(drawn.normal(shape_of(sizes)), o))
        patch.setattr(torch, "rand", lambda *sizes, **o: tensor(uniforms(shape_of(sizes)), o))
        patch.setattr(torch, "randn_like", lambda x, **o: tensor(drawn.normal(tuple(x.shape)), {"dtype": x.dtype, **o}))
        patch.setattr(torch, "rand_like", lambda x, **o: tensor(uniforms(tuple(x.shape)), {"dtype": x.dtype, **o}))
        patch.setattr(torch, "randint", randint)
        patch.setattr(torch, "normal", normal_of)
        patch.setattr(Tensor, "normal_", lambda x: x.copy_(tensor(drawn.normal(tuple(x.shape)), {"dtype": x.dtype})))
        yield


def answers_to(first: int, shape: tuple[int, ...]) -> Array:
    """What a model says to a batch, its items counted over all calls."""
    return np.stack(
        [np.random.Generator(np.random.PCG64([5, first + i])).standard_normal(shape[1:]) for i in range(shape[0])]
    )


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a step asked and said; the items of all its calls in one row.

    Attributes:
        inputs: of the model.
        times: that it was told, one an item.
        loss: mean over the batch.
        gradients: of the loss with respect to the answers; None for the reference, which has none.
    """

    inputs: Array
    times: Array
    loss: float
    gradients: Array | None = None


def torch_step(subject: TrainingSubject, config: Training, x0: Array, dtype: torch.dtype) -> Seen:
    """Run a torch step twice and look at the second run: state that the first one left would show."""
    inputs: list[Array] = []
    times: list[Array] = []
    answers: list[Tensor] = []

    def model(x: Tensor, time: Tensor, *_: Any) -> Tensor:
        if not torch.is_grad_enabled() and subject.name == "self_conditioned":
            return torch.ones_like(x)
        told = time.to(torch.float64).numpy().reshape(-1)
        given = answers_to(sum(len(one) for one in inputs), tuple(x.shape))
        answer = torch.from_numpy(given).to(x.dtype).requires_grad_()
        inputs.append(x.detach().to(torch.float64).numpy().copy())
        times.append(told if told.size == len(x) else np.full(len(x), np.nan))
        answers.append(answer)
        return answer.clone()

    takes = inspect.signature(subject.function).parameters
    options = {"device": torch.device("cpu"), "dtype": dtype} if "dtype" in takes else {}
    for _ in range(2):
        for seen in (inputs, times, answers):
            seen.clear()
        data: Any = torch.from_numpy(x0.copy()).to(dtype)
        with drawing(Drawn()):
            loss = subject(model, data if subject.batch is None else subject.batch(data), config, **options)
    if loss.requires_grad:
        loss.backward()
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in answers]
    together = torch.cat(gradients).to(torch.float64).numpy()
    return Seen(np.concatenate(inputs), np.concatenate(times), float(loss.detach()), together)


def reference_step(config: Training, x0: Array, *, place: int = 0, step: float = 0.0) -> tuple[Seen, Array]:
    """The reference on the same draws, one element of each answer moved by a step; and the loss of each item.

    Clips are taken frame by frame, from the fifth on.
    """
    inputs: list[Array] = []
    times: list[Array] = []

    def model(x: Array, time: Array) -> Array:
        answer = answers_to(sum(len(one) for one in inputs), x.shape)
        answer.reshape(len(x), -1)[:, place] += step
        inputs.append(x)
        times.append(time)
        return answer

    drawn = Drawn()
    frames = [x0] if x0.ndim == 4 else [x0[:, i] for i in range(4, x0.shape[1])]
    losses = np.concatenate([config.step(model, frame, drawn) for frame in frames])
    return Seen(np.concatenate(inputs), np.concatenate(times), float(losses.mean())), losses


def places_of(x: Array) -> tuple[int, int, int]:
    """Three elements of an item."""
    return 0, x[0].size // 2, x[0].size - 1


def gradients_of(config: Training, x0: Array, inputs: Array) -> Array:
    """``(items, 3)``: the gradient of the reference's loss with respect to three elements of each item's answer.

    The loss is quadratic in the answer, so that its difference over a step of 2 is exact.
    """
    columns = []
    for place in places_of(inputs):
        above, below = (reference_step(config, x0, place=place, step=step)[1] for step in (1.0, -1.0))
        columns.append((above - below) / 2 / len(above))
    return np.stack(columns, axis=1)


def differences(subject: TrainingSubject, config: Training, dtype: torch.dtype, tolerance: float) -> dict[str, float]:
    """What a step does otherwise than its reference, each as a multiple of the tolerance."""
    shape = CLIPS if subject.batch is not None else (subject.shapes or [IMAGES])[0]
    x0 = np.random.Generator(np.random.PCG64(7)).uniform(-1, 1, shape)
    right, _ = reference_step(config, x0)
    seen = torch_step(subject, config, x0, dtype)
    if seen.inputs.shape != right.inputs.shape or seen.gradients is None:
        return {"calls": np.inf}
    factor = x0.size if subject.name == "loss_summed" else 1
    gradients = gradients_of(config, x0, right.inputs)
    got = seen.gradients.reshape(len(gradients), -1)[:, places_of(right.inputs)] / factor
    # An item's gradient is seen beside its own size: levels differ by orders of magnitude.
    off = np.abs(got - gradients).max(axis=1) / np.abs(gradients).max(axis=1)
    found = {
        "inputs": np.abs(seen.inputs - right.inputs).max() / np.abs(right.inputs).max(),
        "times": np.abs(seen.times - right.times).max() / np.abs(right.times).max(),
        "loss": abs(seen.loss / factor - right.loss) / right.loss,
        "gradients": off.max(),
    }
    return {name: float(value) / tolerance for name, value in found.items() if not value <= tolerance}


def configurations(subject: TrainingSubject) -> tuple[Training, ...]:
    """Every value and every pair of values of what the declaration varies."""
    return tuple(covering_set(cast(Subject, subject), BUDGETS["quick"]).configurations)


@pytest.mark.parametrize("path", SOUND_TRAINING, ids=lambda p: p.rpartition(":")[2])
def test_a_sound_step_is_its_reference(path: str) -> None:
    subject = load(path)
    # diffusers keeps a float32 table: 1 - alpha_bar is off by up to 5e-4 of it at the first timesteps.
    tolerance = 2e-3 if "diffusers" in path else 1e-9
    for config in configurations(subject):
        assert differences(subject, config, torch.float64, tolerance) == {}, config


@pytest.mark.parametrize("faulty", FAULTY_TRAINING, ids=lambda f: f.name)
def test_a_faulty_step_differs_from_its_reference(faulty: FaultyTraining) -> None:
    subject = load(faulty.subject_path)
    configs = configurations(subject)
    found = [differences(subject, config, torch.float32, 1e-4) for config in configs]
    assert any(max(one.values(), default=0.0) > 3 for one in found), found
    assert (subject.function.__doc__ or "").strip()
    assert set(faulty.fails) <= set(check_ids("training"))
    assert faulty.constructed == (not faulty.bug_ids)
    assert all(bug_id in (subject.function.__doc__ or "") for bug_id in faulty.bug_ids[:1])
