"""One execution of a sampler under probes: what it drew, what it asked its model, what it returned.

:func:`execute` never raises for what a sampler does. A crash, a hang, a wrong return or a changed global state
becomes part of the :class:`Run`, and everything global is put back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sampler_harness.subject import Subject

from .probes import Stimulus
from .problems import Problem, RunStopped
from .stand_in import Call, StandIn
from .tape import Draw, NoiseTap, spread_at
from .torch_private import default_generator
from .watched import GENERATOR_SEED, watched

__all__ = ["GENERATOR_SEED", "OTHER_SEED", "Case", "Following", "Problem", "Run", "execute"]

#: Of torch's global generators in a run whose draws are followed, so that nothing hangs on what ran before it. Far from
#: the given generator's, since samplers count seeds up from it.
GLOBAL_SEED = 918_273_645
#: Of one or the other, where a second run tells what a draw depends on.
OTHER_SEED = 1_977_310_294


@dataclass(frozen=True)
class Following:
    """A run that notes from which state of its generator each draw is made.

    Attributes:
        keep_others: draws that are not Gaussian return what torch drew: they may be seeds.
        global_seed: of torch's global generators before the run.
        given_seed: of the generator that is passed, where one is.
        others_at: share of the way from the lowest to the highest value at which draws that are not Gaussian lie, each
            at a value of its own; None for what ``keep_others`` says.
    """

    keep_others: bool = False
    global_seed: int = GLOBAL_SEED
    given_seed: int = GENERATOR_SEED
    others_at: float | None = None


@dataclass(frozen=True)
class Case:
    """One configuration, shape, dtype and device: what is measured once and read by every check.

    Attributes:
        config: an instance of the reference's dataclass.
        shape: the sample's shape; axis 0 is the batch.
        dtype: name of the torch dtype that the sampler is asked for.
        device: name of the torch device.
    """

    config: Any
    shape: tuple[int, ...]
    dtype: str = "float32"
    device: str = "cpu"

    @property
    def numel(self) -> int:
        """Elements of the sample."""
        return int(np.prod(self.shape))

    def __str__(self) -> str:
        return f"{self.config!r}, shape={self.shape}, dtype={self.dtype}"


@dataclass
class Run:
    """One execution.

    Attributes:
        case: what was run.
        draws: every draw, in order.
        calls: every model call, in order.
        sample: what was returned, undeclared scale and shift undone; None where there is a problem.
        raw_sample: the very tensor that the sampler returned.
        problem: why the run cannot be used.
        side_effects: global state that the run changed, in words.
        generators_moved: names of global generators whose state moved.
        mutated_outputs: calls whose output tensor the sampler wrote over.
    """

    case: Case
    draws: list[Draw] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    sample: torch.Tensor | None = None
    raw_sample: Any = None
    problem: Problem | None = None
    side_effects: list[str] = field(default_factory=list)
    generators_moved: list[str] = field(default_factory=list)
    mutated_outputs: list[int] = field(default_factory=list)
    _rows: np.ndarray[Any, np.dtype[np.float64]] | None = field(default=None, init=False, repr=False, compare=False)

    def rows(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Model inputs and the returned sample as float64, shape ``(K + 1, numel)``; not to be written to."""
        if self.sample is None:
            raise RuntimeError("a run with a problem has no rows")
        if self._rows is None:
            rows = [row.detach().cpu().reshape(-1) for row in (*(call.x for call in self.calls), self.sample)]
            stacked = torch.stack(rows)
            if stacked.is_complex():  # a root of a negative number: what is not real is no number of a sample's
                stacked = torch.where(stacked.imag == 0, stacked.real, torch.nan)
            self._rows = stacked.to(torch.float64).numpy()
            self._rows.setflags(write=False)
        return self._rows

    @functools.cached_property
    def is_zero(self) -> bool:
        """Whether all of :meth:`rows` is 0, as where nothing is drawn, returned or added; long chains ask often."""
        return not self.rows().any()


def _judge_return(case: Case, result: Any) -> tuple[torch.Tensor | None, Problem | None]:
    """Check what came back: exactly a tensor of the sample's shape, floating, finite."""
    if not isinstance(result, torch.Tensor):
        hint = ""
        if isinstance(result, (tuple, list)):
            hint = "; return only the sample from the function under test, for example its first element"
        elif hasattr(result, "prev_sample") or hasattr(result, "sample"):
            hint = "; return the tensor inside it"
        elif isinstance(result, np.ndarray):
            hint = "; return the torch tensor before it is turned into numpy"
        return None, Problem(
            "returned", f"the sampler returned {type(result).__name__}, should be a torch tensor{hint}"
        )
    if tuple(result.shape) != case.shape:
        hint = ""
        if sorted(result.shape) == sorted(case.shape):
            hint = "; the sizes fit in another order: is it permuted?"
        return None, Problem(
            "returned",
            f"the sampler returned shape {tuple(result.shape)}, should be {case.shape}{hint}",
        )
    if not result.is_floating_point():
        return None, Problem("returned", f"the sampler returned dtype {result.dtype}, should be a floating type")
    return result, None


def execute(
    subject: Subject,
    case: Case,
    stimulus: Stimulus,
    *,
    call_limit: int = 20_000,
    strided: bool = False,
    before_call: Callable[[int], None] | None = None,
    fixtures: Mapping[str, Any] | None = None,
    entry: Callable[..., Any] | None = None,
    following: Following | None = None,
    same: Mapping[int, int] | None = None,
) -> Run:
    """Run a sampler once under probes.

    Args:
        subject: what was declared.
        case: what to run.
        stimulus: what draws and outputs return.
        call_limit: model calls after which the run is stopped.
        strided: let the model's outputs be non-contiguous.
        before_call: called with the index of each model call before it is answered.
        fixtures: values for the sampler's further keyword-only arguments.
        entry: what to call instead of the subject's function, with the same arguments.
        following: to note what each draw is made of; None where that is not asked.
        same: draws that return what an earlier one returns, to that one.

    Returns:
        The run; a problem stands in it, nothing is raised.
    """
    device = torch.device(case.device)
    dtype: torch.dtype = getattr(torch, case.dtype)
    tap: NoiseTap

    def unheard(call: int) -> None:
        assert before_call is not None
        tap.listening = False
        before_call(call)
        tap.listening = True

    stand_in = StandIn(
        stimulus,
        case.shape,
        device=device,
        dtype=dtype,
        returns=subject.model_returns,
        channels=subject.model_channels,
        attributes=subject.model_attributes,
        limit=call_limit,
        strided=strided,
        before_call=None if before_call is None else unheard,
    )
    stand_in.eval()
    first_of = same or {}
    tap = NoiseTap(
        lambda index, drawn: stimulus.draw(first_of.get(index, index), drawn),
        lambda: len(stand_in.calls),
        20 * call_limit + 64,
        RunStopped,
        None if following is None or following.others_at is None else spread_at(following.others_at),
        follow=following is not None,
        keep_others=following is not None and following.keep_others,
    )
    keywords: dict[str, Any] = {"device": device, "dtype": dtype, **(fixtures or {})}
    if subject.takes_generator:
        generator = torch.Generator(device=device)
        generator.manual_seed(GENERATOR_SEED if following is None else following.given_seed)
        keywords["generator"] = generator
    found = watched(
        lambda: (entry or subject.function)(stand_in, case.shape, case.config, **keywords),
        tap,
        device,
        "sampler",
        step=lambda: len(stand_in.calls) - 1,
        seed=None if following is None else functools.partial(_seed, following.global_seed, device),
    )
    run = Run(case, tap.draws, stand_in.calls, problem=found.problem, generators_moved=found.generators_moved)
    run.side_effects = found.side_effects
    if stand_in.training:
        run.side_effects.append("model.training was False, is True afterwards")
    if run.problem is not None:
        return run
    run.mutated_outputs = stand_in.written_over()
    run.raw_sample = found.result
    sample, run.problem = _judge_return(case, found.result)
    if sample is None:
        return run
    if stand_in.unfinished:
        told = f"the model was asked for {stand_in.unfinished} of {case.shape[0]} items, and never for the others"
        run.problem = Problem("returned", told, len(run.calls))
        return run
    if not run.calls:
        run.problem = Problem("returned", "the sampler returned without calling its model once")
        return run
    values = sample.detach()
    if subject.output_shift or subject.output_scale != 1.0:
        values = (values.to(torch.float64) - subject.output_shift) / subject.output_scale
    run.sample = values
    run.problem = _not_finite(run)
    return run


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that :func:`watched` puts back, and no others."""
    for one in {torch.device("cpu"), device}:
        generator = default_generator(one)
        if generator is not None:
            generator.manual_seed(seed)


def _not_finite(run: Run) -> Problem | None:
    """The first place where NaN or infinity stands, if any."""
    if run.is_zero or np.isfinite(run.rows()).all():
        return None
    for index, call in enumerate(run.calls):
        if not bool(torch.isfinite(call.x).all()):
            return Problem(
                "not-finite",
                f"the input of model call {index} is not finite (NaN or infinity) although every output and "
                f"draw before it was finite; time argument {_shown(call.time)}",
                index,
            )
    return Problem(
        "not-finite",
        "the returned sample is not finite (NaN or infinity) although every model input was finite: the "
        "last step divides by zero or takes the root or logarithm of a non-positive number",
        len(run.calls) - 1,
    )


def _shown(time: Any) -> str:
    if isinstance(time, torch.Tensor):
        values = time.detach().to("cpu", torch.float64).reshape(-1)
        return f"{float(values[0]):.6g}" if values.numel() else "an empty tensor"
    return repr(time)
