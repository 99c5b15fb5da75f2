"""The gradient of a training step against the numerical one, in halves of a batch, and under autocast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from sampler_harness.law.tolerance import is_half
from sampler_harness.observe.stand_in import Asked, Playing
from sampler_harness.observe.trace import Case

from .evidence import TrainingEvidence
from .judging import Judged
from .law import fixed_data
from .probing import Array, Chosen, ModelCall, StepRun, answer_pattern, run_step

__all__ = ["judged_gradients"]

#: Steps of the central difference, relative to the parameters; the two tell each other's error.
STEPS = (2e-3, 1e-3)
#: What autocast may do to the loss of a target that is rounded to bfloat16. It is a sum of squares of 2^-9 of the
#: target; float32, 2^-24 of it in a few terms, changes each by some 2^-14; another rounding to bfloat16 by all of it.
AUTOCAST = 0.05
#: What it may do to an element of an input and a time: the floor of all float32 figures.
ROUNDED = 2.5e-4
#: Share of an input that rounding may put on the other side of a border.
ELSEWHERE = 0.02
#: By how much the parameters of the user's network are moved from where they start.
NUDGE = 0.02


class _Small(Playing):
    """A network with parameters of several kinds, smooth, for any number of channels, that hears the time."""

    def __init__(self, returns: str, attributes: Any) -> None:
        super().__init__(returns, attributes)
        self.gain = nn.Parameter(torch.tensor(0.7))
        self.tilt = nn.Parameter(torch.tensor(0.2))
        self.time = nn.Parameter(torch.tensor(0.3))
        self.shift = nn.Parameter(torch.tensor(0.1))

    def answer(self, asked: Asked) -> torch.Tensor:
        """One call."""
        x = torch.as_tensor(asked.x)
        times = torch.as_tensor(asked.time).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        heard = torch.sin(times + 1) if times.shape[0] in (1, x.shape[0]) else torch.zeros_like(x[:1])
        return self.gain * torch.tanh(x + self.tilt * x.flip(-1)) + self.time * heard + self.shift


def _network(evidence: TrainingEvidence, dtype: str) -> nn.Module:
    subject = evidence.subject
    where: dict[str, Any] = {"device": evidence.device, "dtype": getattr(torch, dtype)}
    if subject.model is None:
        return _Small(subject.model_returns, subject.model_attributes).to(**where)
    made = subject.model()
    if not isinstance(made, nn.Module):
        raise TypeError(f"model= returned {type(made).__name__}, should be a torch.nn.Module: give () -> your network")
    made = made.to(**where)
    with torch.no_grad():
        # A last layer that starts at zero would keep every gradient from the layers before it.
        for index, parameter in enumerate(made.parameters()):
            parameter.add_(NUDGE * torch.from_numpy(fixed_data(tuple(parameter.shape), 400 + index)).to(parameter))
    return made


def judged_gradients(evidence: TrainingEvidence) -> list[Judged]:
    """All judgements of the gradient in the base configuration.

    Args:
        evidence: of a step that can be run.
    """
    return [*_numerical(evidence), *_halves(evidence), *_autocast(evidence)]


def _chosen(evidence: TrainingEvidence, case: Case) -> Chosen:
    """Data and draws, the same for every run of a case."""
    first = run_step(evidence.subject, case, Chosen(np.zeros(case.shape)), fixtures=evidence.fixtures)
    normals: dict[int, Any] = {}
    others: dict[int, Any] = {}
    for index, draw in enumerate(first.draws):
        values = fixed_data(draw.shape, 100 + index)
        if draw.gaussian:
            normals[index] = values
        elif draw.low is not None and draw.high is not None:
            spread = draw.low + (values + 1) / 2 * (draw.high - draw.low)
            others[index] = np.minimum(np.floor(spread), draw.high - 1) if "int" in draw.dtype else spread
    return Chosen(fixed_data(case.shape, 99), normals, others)


def _numerical(evidence: TrainingEvidence) -> Iterator[Judged]:
    """Every parameter's gradient arrives, and along a direction it is the central difference."""
    base = evidence.base
    precise = "float64" if "float64" in evidence.subject.dtypes else base.dtype
    case = Case(base.config, base.shape, precise, base.device)
    chosen = _chosen(evidence, case)
    try:
        network = _network(evidence, precise)
    except Exception as error:
        yield Judged(math.inf, f"the declared model cannot be made: {type(error).__name__}: {error}", case)
        return
    run = run_step(evidence.subject, case, chosen, fixtures=evidence.fixtures, network=network)
    if run.problem is not None:
        yield Judged(math.inf, f"with a real network: {run.problem.message}", case)
        return
    named = dict(network.named_parameters())
    trained = {name: p for name, p in named.items() if p.requires_grad}
    for name, parameter in trained.items():
        if parameter.grad is None or not bool(parameter.grad.abs().max() > 0):
            yield Judged(math.inf, f"no gradient reaches the model's parameter {name}", case)
        elif not bool(torch.isfinite(parameter.grad).all()):
            yield Judged(math.inf, f"the gradient of the model's parameter {name} holds NaN or infinity", case)
        else:
            continue
        return
    direction = {n: torch.from_numpy(fixed_data(tuple(p.shape), 7 + i)) for i, (n, p) in enumerate(trained.items())}
    own = sum(
        float((p.grad.double() * direction[n].to(p.device)).sum()) for n, p in trained.items() if p.grad is not None
    )
    slopes = []
    scale = max(abs(run.loss), 1e-12)
    for step in STEPS:
        ends = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                kept = {n: p.detach().clone() for n, p in trained.items()}
                for n, p in trained.items():
                    p.add_(sign * step * direction[n].to(p))
            moved = run_step(evidence.subject, case, chosen, fixtures=evidence.fixtures, network=network)
            with torch.no_grad():
                for n, p in trained.items():
                    p.copy_(kept[n])
            ends.append(moved.loss)
        slopes.append((ends[0] - ends[1]) / (2 * step))
    unit = 2.0**-53 if precise == "float64" else 2.0**-24
    # Halving the step quarters the truncation error; what rounding does to the loss is divided by the step.
    tolerance = 3 * abs(slopes[0] - slopes[1]) + 64 * unit * scale / STEPS[1] + 1e-6 * abs(own)
    message = (
        f"along one direction of the parameters the gradient is {own:.6g}, the loss's own slope {slopes[1]:.6g}: a "
        "part of the loss is detached, or the loss that is returned is not the one that is differentiated"
    )
    yield Judged(abs(own - slopes[1]) / tolerance, message, case, {"got": own, "should_be": slopes[1]})


def _rows(values: Any, rows: slice, items: int) -> Any:
    """The part of a draw that belongs to some items; a draw that has no axis of items is kept whole."""
    return values[rows] if np.ndim(values) and np.shape(values)[0] == items else values


def _halves(evidence: TrainingEvidence) -> Iterator[Judged]:
    """The losses of two halves of a batch have the whole's as their mean or sum, as accumulation takes for granted."""
    base = evidence.base
    items = base.shape[0]
    if items < 2 or items % 2:
        return
    chosen = _chosen(evidence, base)
    whole = run_step(evidence.subject, base, chosen, fixtures=evidence.fixtures)
    losses = []
    for rows in (slice(0, items // 2), slice(items // 2, items)):
        normals, others = (
            {i: _rows(v, rows, items) for i, v in draws.items()} for draws in (chosen.normals, chosen.others)
        )
        part = Chosen(chosen.x0[rows], normals, others)
        case = Case(base.config, (items // 2, *base.shape[1:]), base.dtype, base.device)
        drawn = run_step(evidence.subject, case, Chosen(part.x0), fixtures=evidence.fixtures).draws
        given = normals | others
        alike = all(np.shape(given[i]) == draw.shape for i, draw in enumerate(drawn) if i in given)
        if len(drawn) != len(whole.draws) or not alike:
            return  # what is drawn for half a batch is no half of what is drawn for the whole
        run = run_step(evidence.subject, case, part, fixtures=evidence.fixtures)
        if run.problem is not None:
            yield Judged(math.inf, f"with half of the batch: {run.problem.message}", case)
            return
        times = zip(whole.calls, run.calls, strict=False)
        if any(not np.array_equal(call.times[rows], half.times) for call, half in times):
            return  # an item's time depends on its place in the batch (stratified draws): its half is another batch
        losses.append(run.loss)
    total = sum(losses)
    off = min(abs(whole.loss - total / 2), abs(whole.loss - total))
    # A loss of 0 in all three is the mean and the sum; what is wrong with it is for other checks to say.
    tolerance = 256 * 2.0**-24 * max(abs(whole.loss), abs(total), 1e-12)
    message = (
        f"the loss of a batch is {whole.loss:.6g}, of its halves {losses[0]:.6g} and {losses[1]:.6g}: neither their "
        "mean nor their sum, so that accumulating gradients trains another model"
    )
    yield Judged(off / tolerance, message, base)


def _autocast(evidence: TrainingEvidence) -> Iterator[Judged]:
    """Under autocast only the model is in low precision: input, time and target are as without it.

    The model answers in autocast's dtype, with numbers that it holds exactly: a sound loss is then the same.
    """
    if not evidence.subject.autocast:
        return
    base = evidence.base
    if base.dtype == "float64":
        return  # autocast leaves float64 as it is
    chosen = _chosen(evidence, base)
    kind = torch.device(base.device).type

    def context() -> torch.autocast:
        return torch.autocast(kind, dtype=torch.bfloat16)

    # Numbers that bfloat16 does not hold: thirds.
    uneven = dataclasses.replace(
        chosen,
        x0=chosen.x0 / 3,
        normals={i: values if np.ndim(values) < chosen.x0.ndim else values / 3 for i, values in chosen.normals.items()},
    )
    rest, one = (
        run_step(evidence.subject, base, dataclasses.replace(uneven, answer=answer), fixtures=evidence.fixtures)
        for answer in (0.0, 1.0)
    )
    near = dataclasses.replace(uneven, answers=_almost_targets(rest, one), low=True)
    plain = run_step(evidence.subject, base, near, fixtures=evidence.fixtures)
    cast = run_step(evidence.subject, base, near, fixtures=evidence.fixtures, context=context)
    if cast.problem is not None:
        yield Judged(math.inf, f"under autocast: {cast.problem.message}", base)
        return
    for k, (without, under) in enumerate(zip(plain.calls, cast.calls, strict=False)):
        yield _same_times(base, k, without, under)
        yield _same_input(base, k, without, under)
    off = abs(cast.loss - plain.loss) / max(abs(plain.loss), 1e-30)
    message = (
        f"under autocast the loss of an almost perfect answer is {cast.loss:.6g}, without it {plain.loss:.6g}: its "
        "target or its error is made in low precision; compare in float32, with the target as it was made"
    )
    yield Judged(off / AUTOCAST, message, base, {"got": cast.loss, "should_be": plain.loss})


def _almost_targets(rest: StepRun, one: StepRun) -> dict[int, Array]:
    """Each call's target rounded to bfloat16: what is left of the loss is that rounding, and gone where it is rounded.

    Args:
        rest: a run in which the model answers 0.
        one: a run in which it answers the pattern.
    """
    found = {}
    for k, (zero, other) in enumerate(zip(rest.calls, one.calls, strict=True)):
        if zero.gradient is None or other.gradient is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            target = -zero.gradient * answer_pattern(zero.x.shape) / (other.gradient - zero.gradient)
        rounded = torch.from_numpy(np.nan_to_num(target, posinf=0.0, neginf=0.0)).to(torch.bfloat16)
        found[k] = rounded.to(torch.float64).numpy()
    return found


def _same_times(case: Case, call: int, plain: ModelCall, cast: ModelCall) -> Judged:
    off = float(np.abs(cast.times - plain.times).max() / max(np.abs(plain.times).max(), 1e-12))
    worst = int(np.argmax(np.abs(cast.times - plain.times)))
    message = (
        f"under autocast model call {call} is told time {cast.times[worst]:.6g}, without it {plain.times[worst]:.6g}: "
        "times are rounded to low precision"
    )
    return Judged(off / ROUNDED, message, case)


def _same_input(case: Case, call: int, plain: ModelCall, cast: ModelCall) -> Judged:
    """The input is that without autocast, or that rounded once as the model's first layer would round it."""
    exact = np.abs(cast.x - plain.x) <= ROUNDED * np.abs(plain.x).max()
    # One rounding leaves at most half of a bfloat16 unit in the last place: 2^-8 of the power of two below.
    _, exponent = np.frexp(plain.x)
    once = np.abs(cast.x - plain.x) <= 0.51 * np.ldexp(2.0**-8, exponent)
    share = 1.0 - float(np.mean(once if is_half(cast.dtype) else exact))
    message = (
        f"under autocast {share:.0%} of the input of model call {call} is not what it is without it: it is made in "
        "low precision; make it outside of autocast, or in float32"
    )
    return Judged(share / ELSEWHERE, message, case, {"share": share})
