"""One execution of a sampler under probes: what it drew, what it asked its model, what it returned.

:func:`execute` never raises for what a sampler does. A crash, a hang, a wrong return or a changed global state
becomes part of the :class:`Run`, and everything global is put back.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import random
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sampler_harness.subject import Subject

from .probes import Call, RunStopped, SamplerMisuse, StandIn, Stimulus
from .tape import Draw, NoiseTap, UnknownDraw

__all__ = [
    "Case",
    "Problem",
    "Run",
    "execute",
    "generator_states",
    "generators_put_back",
    "hang_guard",
    "own_line",
    "restore_settings",
    "settings_now",
]

#: Wall-clock bound of one run. A hang must end; it is far above any run that the budgets allow.
HANG_SECONDS = 120.0
GENERATOR_SEED = 20_260_101


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


@dataclass(frozen=True)
class Problem:
    """Why a run could not be used.

    Attributes:
        kind: ``raised``, ``returned``, ``endless``, ``outside``, ``exit`` or ``not-finite``.
        message: one or two sentences for the sampler's author.
        step: index of the last model call before it happened, or None.
    """

    kind: str
    message: str
    step: int | None = None


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
        generator_used: whether the given generator advanced.
        training_before_after: ``model.training`` before and after.
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
    generator_used: bool = False

    def rows(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Model inputs and the returned sample as float64, shape ``(K + 1, numel)``."""
        if self.sample is None:
            raise RuntimeError("a run with a problem has no rows")
        stacked = [call.x.reshape(-1) for call in self.calls] + [self.sample.reshape(-1)]
        return np.stack([row.detach().to("cpu", torch.float64).numpy() for row in stacked])


def generator_states(device: torch.device) -> dict[str, Any]:
    """The state of every global generator, by name."""
    name, keys, position, *rest = np.random.get_state()  # noqa: NPY002 - it is watched
    states: dict[str, Any] = {
        "torch's global generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's global generator": (name, np.asarray(keys).tobytes(), position, tuple(rest)),
        "Python's random module": random.getstate(),
    }
    if device.type == "cuda":
        states["the CUDA default generator"] = torch.cuda.get_rng_state(device).numpy().tobytes()
    return states


def settings_now() -> dict[str, Any]:
    """Global settings that a sampler has no business changing."""
    return {
        "torch default dtype": torch.get_default_dtype(),
        "torch grad mode": torch.is_grad_enabled(),
        "torch inference mode": torch.is_inference_mode_enabled(),
        "torch deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch number of threads": torch.get_num_threads(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch float32 matmul precision": torch.get_float32_matmul_precision(),
        "numpy error handling": tuple(sorted(np.geterr().items())),
    }


def _set_cudnn(name: str) -> Callable[[bool], None]:
    return lambda value: setattr(torch.backends.cudnn, name, value)


#: How each setting is put back. Some cost much even where nothing changes: ``use_deterministic_algorithms`` imports
#: torch's compiler.
_PUT_BACK: Mapping[str, Callable[[Any], object]] = {
    "torch default dtype": torch.set_default_dtype,
    "torch grad mode": torch.set_grad_enabled,
    "torch deterministic algorithms": torch.use_deterministic_algorithms,
    "torch number of threads": torch.set_num_threads,
    "cudnn.benchmark": _set_cudnn("benchmark"),
    "cudnn.deterministic": _set_cudnn("deterministic"),
    "torch float32 matmul precision": torch.set_float32_matmul_precision,
    "numpy error handling": lambda value: np.seterr(**dict(value)),
}


def restore_settings(settings: Mapping[str, Any]) -> None:
    """Put back what :func:`settings_now` told, where it is no longer so.

    Args:
        settings: from :func:`settings_now`.
    """
    now = settings_now()
    for name, put_back in _PUT_BACK.items():
        if now[name] != settings[name]:
            put_back(settings[name])


@contextlib.contextmanager
def generators_put_back(device: torch.device) -> Iterator[None]:
    """Leave every global generator as it was."""
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global one is what a sampler might move
    python_state = random.getstate()
    cuda_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        if cuda_state is not None:
            torch.cuda.set_rng_state(cuda_state, device)


@contextlib.contextmanager
def hang_guard() -> Iterator[None]:
    """Raise :class:`RunStopped` in the main thread after HANG_SECONDS, where nobody else uses the alarm."""
    usable = (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, None)
    )
    if not usable:
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        raise RunStopped(f"the run did not end within {HANG_SECONDS:.0f} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def own_line(error: BaseException) -> str:
    """The sampler's own innermost line, not the harness's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "sampler_harness" not in f.filename and "site-packages" not in f.filename]
    if not own:
        return ""
    last = own[-1]
    return f" (in {last.name}, line {last.lineno}: {last.line})"


def _judge_return(subject: Subject, case: Case, result: Any) -> tuple[torch.Tensor | None, Problem | None]:
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

    Returns:
        The run; a problem stands in it, nothing is raised.
    """
    device = torch.device(case.device)
    dtype: torch.dtype = getattr(torch, case.dtype)
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
        before_call=before_call,
    )
    stand_in.eval()
    if before_call is not None:
        start_another = before_call

        def unheard(call: int) -> None:
            tap.listening = False
            start_another(call)
            tap.listening = True

        stand_in.__dict__["_before_call"] = unheard
    tap = NoiseTap(stimulus.draw, lambda: len(stand_in.calls), 20 * call_limit + 64, RunStopped)
    keywords: dict[str, Any] = {"device": device, "dtype": dtype, **(fixtures or {})}
    generator = None
    if subject.takes_generator:
        generator = torch.Generator(device=device)
        generator.manual_seed(GENERATOR_SEED)
        keywords["generator"] = generator
    run = Run(case=case)
    result: Any = None
    settings = settings_now()
    with generators_put_back(device):
        before = generator_states(device)
        given_before = None if generator is None else generator.get_state().numpy().tobytes()
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
                hang_guard(),
                tap,
            ):
                warnings.simplefilter("ignore")
                result = (entry or subject.function)(stand_in, case.shape, case.config, **keywords)
        except RunStopped as stopped:
            run.problem = Problem("endless", str(stopped), len(stand_in.calls) - 1)
        except UnknownDraw as unknown:
            run.problem = Problem("outside", str(unknown), len(stand_in.calls) - 1)
        except SamplerMisuse as misuse:
            run.problem = Problem("raised", str(misuse), len(stand_in.calls) - 1)
        except SystemExit as left:
            run.problem = Problem("exit", f"the sampler called sys.exit({left.code!r})", len(stand_in.calls) - 1)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also GeneratorExit and whatever else a sampler may let out
            text = str(error).strip().splitlines()
            first = text[0] if text else ""
            run.problem = Problem(
                "raised",
                f"the sampler raised {type(error).__name__}: {first}{own_line(error)}",
                len(stand_in.calls) - 1,
            )
        after = generator_states(device)
        if generator is not None:
            run.generator_used = generator.get_state().numpy().tobytes() != given_before
    run.generators_moved = [name for name, state in before.items() if after[name] != state]
    changed = settings_now()
    run.side_effects = [
        f"{name} was {value}, is {changed[name]} afterwards"
        for name, value in settings.items()
        if changed[name] != value
    ]
    if stand_in.training:
        run.side_effects.append("model.training was False, is True afterwards")
    restore_settings(settings)
    run.draws = tap.draws
    run.calls = stand_in.calls
    if run.problem is not None:
        return run
    run.mutated_outputs = stand_in.written_over()
    run.raw_sample = result
    sample, run.problem = _judge_return(subject, case, result)
    if sample is None:
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


def _not_finite(run: Run) -> Problem | None:
    """The first place where NaN or infinity stands, if any."""
    for index, call in enumerate(run.calls):
        if not bool(torch.isfinite(call.x).all()):
            return Problem(
                "not-finite",
                f"the input of model call {index} is not finite (NaN or infinity) although every output and "
                f"draw before it was finite; time argument {_shown(call.time)}",
                index,
            )
    assert run.sample is not None
    if not bool(torch.isfinite(run.sample).all()):
        return Problem(
            "not-finite",
            "the returned sample is not finite (NaN or infinity) although every model input was finite: the "
            "last step divides by zero or takes the root or logarithm of a non-positive number",
            len(run.calls) - 1,
        )
    return None


def _shown(time: Any) -> str:
    if isinstance(time, torch.Tensor):
        values = time.detach().to("cpu", torch.float64).reshape(-1)
        return f"{float(values[0]):.6g}" if values.numel() else "an empty tensor"
    return repr(time)


def keyword_fixtures(subject: Subject) -> tuple[str, ...]:
    """Names of the sampler's keyword-only arguments that the host's fixtures must fill."""
    known = {"device", "dtype", "generator"}
    parameters = inspect.signature(subject.function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in known)
