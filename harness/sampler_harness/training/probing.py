"""One training step under probes: its draws and the model's answers are chosen, its inputs and gradients are read."""

from __future__ import annotations

import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from sampler_harness.observe.global_state import OF_TORCH
from sampler_harness.observe.problems import Misuse, Problem, RunStopped
from sampler_harness.observe.stand_in import ABSENT, Asked, Playing, kept
from sampler_harness.observe.tape import Draw, NoiseTap
from sampler_harness.observe.trace import Case, Following
from sampler_harness.observe.watched import GENERATOR_SEED, watched
from sampler_harness.subject.training import TrainingSubject

__all__ = ["Answers", "Chosen", "ModelCall", "StepRun", "answer_pattern", "run_step"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Calls of the model in one step, and draws, after which it is stopped.
CALL_LIMIT = 200
_WENT_BACKWARD = "the step calls backward() itself: return the loss and leave backward() to the harness"


@dataclass(frozen=True)
class Chosen:
    """What one run is given.

    Attributes:
        x0: the data, float64.
        normals: draw index to unit normals (an array of the draw's shape, or one number for all); others are 0.
        others: draw index to the values of a draw that is not Gaussian; others get a fixed legal value.
        answer: the model answers this times :func:`answer_pattern`.
        answers: index of a model call to what it answers instead, shaped like its input.
        low: whether the model answers in autocast's dtype, where autocast is on.
        seed: of all global generators before the run; None to leave them as they are.
        following: to note what each draw is made of; None where that is not asked.
    """

    x0: Array
    normals: Mapping[int, Any] = field(default_factory=dict)
    others: Mapping[int, Any] = field(default_factory=dict)
    answer: float = 0.0
    answers: Mapping[int, Array] = field(default_factory=dict)
    low: bool = False
    seed: int | None = None
    following: Following | None = None


@functools.lru_cache(maxsize=64)
def answer_pattern(shape: tuple[int, ...]) -> Array:
    """What a model answers: numbers of both signs between 1 and 2, in eighths, which every float type holds exactly.

    They differ from element to element, so that a loss is seen that couples elements.

    Args:
        shape: of the model's input.
    """
    generator = np.random.Generator(np.random.PCG64(31))
    values: Array = (1 + generator.integers(0, 9, shape) / 8) * generator.choice([-1.0, 1.0], shape)
    values.setflags(write=False)
    return values


@dataclass
class ModelCall:
    """One call of the model.

    Attributes:
        x: ``(B, *D)`` its input, float64.
        times: what it was told, one number for each item.
        time_shape: of the time argument, ``()`` for a number.
        gradient: of the loss with respect to the answer, float64; None where there is none.
        tracked: whether autograd was on when it was called.
        dtype: of the input.
    """

    x: Array
    times: Array
    time_shape: tuple[int, ...]
    gradient: Array | None
    tracked: bool
    dtype: str


@dataclass
class StepRun:
    """One run of a step.

    Attributes:
        draws: in order.
        calls: in order.
        loss: as a number.
        problem: why the run cannot be used.
        remarks: state that it changed, in words.
        foreign: global generators that are not torch's and were drawn from.
        torch_state: of torch's global generator afterwards.
        generator_states: index of the first draw from each generator that was passed, to its state before.
    """

    draws: list[Draw] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)
    loss: float = 0.0
    problem: Problem | None = None
    remarks: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    torch_state: bytes = b""
    generator_states: dict[int, bytes] = field(default_factory=dict)


class Answers(Playing):
    """Plays the model: answers with leaves whose gradients are read after the step.

    Args:
        chosen: what is answered.
        subject: in what the answer stands, and what may be asked of the model.
        device: of the model's one parameter.
        dtype: of it.
    """

    def __init__(self, chosen: Chosen, subject: TrainingSubject, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(subject.model_returns, subject.model_attributes)
        self.weight = nn.Parameter(torch.zeros((), device=device, dtype=dtype))
        #: Input, time, answer and whether autograd was on, for each call.
        self.seen: list[tuple[torch.Tensor, Any, torch.Tensor, bool]] = []
        self._chosen = chosen

    def answer(self, asked: Asked) -> torch.Tensor:
        """Answer one call with a leaf."""
        if len(self.seen) >= CALL_LIMIT:
            raise RunStopped(f"the step called its model more than {CALL_LIMIT} times")
        x = _judged(asked)
        with torch.enable_grad():
            leaf = self._values(tuple(x.shape)).to(device=x.device, dtype=x.dtype).requires_grad_()
            answer = leaf.to(_answer_dtype(x) if self._chosen.low else x.dtype, copy=True)
        self.seen.append((kept(x), kept(asked.time), leaf, torch.is_grad_enabled()))
        return answer if torch.is_grad_enabled() else answer.detach()

    def _values(self, shape: tuple[int, ...]) -> torch.Tensor:
        given = self._chosen.answers.get(len(self.seen))
        values = self._chosen.answer * answer_pattern(shape) if given is None else np.asarray(given, dtype=np.float64)
        return torch.from_numpy(values.reshape(shape).copy())


def _judged(asked: Asked) -> torch.Tensor:
    """The noisy tensor, if that and its time are what the model was called with."""
    x, time = asked.x, asked.time
    if not isinstance(x, torch.Tensor):
        told = "NoneType" if x is ABSENT else type(x).__name__
        raise Misuse(
            f"the step called its model with {told} first, should be the noisy tensor: wrap your "
            "model's call so that it is model(x, time, …)"
        )
    if isinstance(time, torch.Tensor) and time.ndim > max(x.ndim, 1):
        raise Misuse(
            f"the step called its model with shape {tuple(x.shape)} first and {tuple(time.shape)} second, should "
            "be the noisy tensor and then its time: wrap your model's call so that it is model(x, time, …)"
        )
    if time is None or time is ABSENT:
        raise Misuse("the step called its model without a time: wrap it so that the call is model(x, time)")
    if not x.is_floating_point():
        raise Misuse(f"the step called its model with {x.dtype}, should be a floating type")
    return x


def _answer_dtype(x: torch.Tensor) -> torch.dtype:
    """A network's answer has the dtype of its last layer, which autocast chooses.

    A gradient that passes such an answer is rounded to its dtype, so that target and weight are not read from it.
    """
    kind = x.device.type
    if x.dtype is torch.float64 or not torch.is_autocast_enabled(kind):
        return x.dtype
    return torch.get_autocast_dtype(kind)


def run_step(
    subject: TrainingSubject,
    case: Case,
    chosen: Chosen,
    *,
    fixtures: Mapping[str, Any] | None = None,
    context: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    network: nn.Module | None = None,
) -> StepRun:
    """Run a step once, then ``backward`` from its loss.

    Args:
        subject: what was declared.
        case: configuration, shape of x0, dtype and device.
        chosen: data, draws and answers.
        fixtures: values for the step's further keyword-only arguments.
        context: entered around the step, as ``torch.autocast``.
        network: called in place of the stand-in; its parameters receive the gradient.

    Returns:
        The run; a problem stands in it, nothing is raised.
    """
    device = torch.device(case.device)
    dtype: torch.dtype = getattr(torch, case.dtype)
    answers = Answers(chosen, subject, device, dtype)
    if network is not None:
        network.zero_grad(set_to_none=True)
    calls = (lambda: 0) if network is not None else (lambda: len(answers.seen))
    tap = NoiseTap(
        lambda index, drawn: _given(chosen.normals, index, drawn),
        calls,
        40 * CALL_LIMIT,
        RunStopped,
        other=lambda index, draw: _given(chosen.others, index, draw.shape),
        whose="step",
        follow=chosen.following is not None,
        keep_others=chosen.following is not None and chosen.following.keep_others,
    )
    x0 = torch.from_numpy(np.ascontiguousarray(chosen.x0)).to(device=device, dtype=dtype)
    untouched = x0.clone()
    given_seed = GENERATOR_SEED if chosen.following is None else chosen.following.given_seed
    keywords = _keywords(subject, device, dtype, fixtures, given_seed)

    model = answers if network is None else network

    def step() -> Any:
        with context(), torch.enable_grad():
            batch = x0 if subject.batch is None else subject.batch(x0)
            return subject.function(model, batch, case.config, **keywords)

    def backward(loss: Any) -> Problem | None:
        with torch.enable_grad():
            return _judge_loss(loss) or _went_backward(model) or _go_backward(loss)

    wanted = chosen.seed if chosen.following is None else chosen.following.global_seed
    seed = None if wanted is None else functools.partial(_seed_all, wanted)
    found = watched(step, tap, device, "step", seed=seed, then=backward)
    run = StepRun(tap.draws, problem=found.problem, remarks=found.side_effects, torch_state=found.torch_state)
    run.foreign = [name for name in found.generators_moved if name not in OF_TORCH]
    run.generator_states = tap.states
    if not torch.equal(x0, untouched):
        run.remarks.append("the batch x0 was written over")
    if network is None:
        run.calls = [_read(*one) for one in answers.seen]
        if run.problem is None and not run.calls:
            run.problem = Problem("returned", "the step returned a loss without calling its model once")
        run.problem = run.problem or _judge_times(run)
    if run.problem is None:
        run.loss = float(found.result.detach())
        run.problem = _not_finite(run)
    return run


def _seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global one is what a step might draw from
    random.seed(seed)


def _went_backward(model: Any) -> Problem | None:
    """Whether gradients have arrived before the harness asked for any."""
    leaves = [leaf for _, _, leaf, _ in model.seen] if isinstance(model, Answers) else list(model.parameters())
    return Problem("returned", _WENT_BACKWARD) if any(leaf.grad is not None for leaf in leaves) else None


def _go_backward(loss: torch.Tensor) -> Problem | None:
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        if "backward through the graph a second time" in str(error):
            return Problem("returned", _WENT_BACKWARD)
        raise
    return None


def _judge_times(run: StepRun) -> Problem | None:
    """A model is told one number for each item, or one for all."""
    for index, call in enumerate(run.calls):
        count, items = int(np.prod(call.time_shape)), call.x.shape[0]
        if count not in (1, items):
            return Problem(
                "outside",
                f"model call {index} is told times of shape {call.time_shape} for an input of {items} items: what is "
                "judged is one time for each item; declare a step whose items have one time each, for example with "
                "the frames of a clip as items of their own",
                index,
            )
    return None


def _keywords(
    subject: TrainingSubject,
    device: torch.device,
    dtype: torch.dtype,
    fixtures: Mapping[str, Any] | None,
    given_seed: int,
) -> dict[str, Any]:
    parameters = inspect.signature(subject.function).parameters
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    keywords: dict[str, Any] = dict(fixtures or {})
    filled = {"device": device, "dtype": dtype}
    keywords.update({name: value for name, value in filled.items() if name in parameters or any_name})
    if subject.takes_generator:
        keywords["generator"] = torch.Generator(device=device).manual_seed(given_seed)
    return keywords


def _given(chosen: Mapping[int, Any], index: int, shape: tuple[int, ...]) -> torch.Tensor | None:
    """The values of a draw, where they were chosen."""
    values = chosen.get(index)
    if values is None:
        return None
    return torch.from_numpy(np.broadcast_to(np.asarray(values, dtype=np.float64), shape).copy())


def _judge_loss(loss: Any) -> Problem | None:
    if not isinstance(loss, torch.Tensor):
        hint = "; return the loss alone, for example the first element" if isinstance(loss, (tuple, list, dict)) else ""
        if isinstance(loss, float):
            hint = "; return the tensor before .item(), and leave backward() to the harness"
        return Problem("returned", f"the step returned {type(loss).__name__}, should be a scalar tensor{hint}")
    if loss.numel() != 1:
        return Problem("returned", f"the step returned a loss of shape {tuple(loss.shape)}: reduce it to one number")
    if not loss.requires_grad:
        return Problem(
            "detached",
            "the loss has no gradient: the model's output is detached, or the step runs under torch.no_grad(), or it "
            "has called backward() and returned a copy",
        )
    return None


def _read(x: torch.Tensor, time: Any, leaf: torch.Tensor, tracked: bool) -> ModelCall:
    told = np.asarray(time.to("cpu", torch.float64).numpy() if isinstance(time, torch.Tensor) else float(time))
    items = x.shape[0] if x.ndim else 1
    flat = told.reshape(-1)
    times = np.full(items, flat[0] if flat.size else np.nan) if flat.size != items else flat
    gradient = None if leaf.grad is None else leaf.grad.to("cpu", torch.float64).numpy()
    dtype = str(x.dtype).removeprefix("torch.")
    return ModelCall(x.to("cpu", torch.float64).numpy(), times, told.shape, gradient, tracked, dtype)


def _not_finite(run: StepRun) -> Problem | None:
    for index, call in enumerate(run.calls):
        where = f"at time {call.times[0]:.6g}"
        if not np.isfinite(call.x).all():
            return Problem("not-finite", f"the input of model call {index} holds NaN or infinity {where}", index)
        if call.gradient is not None and not np.isfinite(call.gradient).all():
            return Problem("not-finite", f"the gradient of model call {index} holds NaN or infinity {where}", index)
    return None if np.isfinite(run.loss) else Problem("not-finite", f"the loss is {run.loss}")
