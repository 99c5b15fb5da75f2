"""One call of code under test under guard: it never raises, never hangs, and leaves everything global as it was."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from .global_state import Generators, restore_settings, settings_now
from .problems import Problem, RunStopped, problem_of
from .tape import NoiseTap

__all__ = ["GENERATOR_SEED", "Watched", "hang_guard", "watched"]

#: Wall-clock bound of one run. A hang must end; it is far above any run that the budgets allow.
HANG_SECONDS = 120.0
GENERATOR_SEED = 20_260_101


@dataclass
class Watched:
    """What a call returned, and what it changed.

    Attributes:
        result: what it returned.
        problem: why that cannot be used.
        error: what came out of the call.
        side_effects: global state that it changed, in words.
        generators_moved: names of global generators whose state moved.
        torch_state: of torch's global generators afterwards.
    """

    result: Any = None
    problem: Problem | None = None
    error: BaseException | None = None
    side_effects: list[str] = field(default_factory=list)
    generators_moved: list[str] = field(default_factory=list)
    torch_state: bytes = b""


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


def watched(
    call: Callable[[], Any],
    tap: NoiseTap | None,
    device: torch.device,
    whose: str,
    *,
    step: Callable[[], int | None] = lambda: None,
    seed: Callable[[], None] | None = None,
    then: Callable[[Any], Problem | None] = lambda result: None,
) -> Watched:
    """Call something once.

    Args:
        call: what is called, under the tap.
        tap: on its draws; None to leave them.
        device: whose generator is watched.
        whose: what it is, ``sampler`` or ``step``.
        step: index of the last model call, where something goes wrong.
        seed: called before, with all generators put back afterwards.
        then: given the result, what is wrong with it; it may raise what the code under test makes it raise.

    Returns:
        What came of it; a problem stands in it, nothing is raised.
    """
    found = Watched()
    settings = settings_now()
    given = before = Generators(device)
    if seed is not None:
        seed()
        before = Generators(device)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            hang_guard(),
            tap or contextlib.nullcontext(),
        ):
            warnings.simplefilter("ignore")
            found.result = call()
        found.problem = then(found.result)
    except BaseException as error:
        found.error = error
        found.problem = problem_of(error, whose, step())
    finally:
        after = Generators(device)
        moved = after.moved_since(given)
        found.generators_moved = moved if before is given else after.moved_since(before)
        given.put_back(moved)
        changed = settings_now()
        found.side_effects = [
            f"{name} was {value}, is {changed[name]} afterwards"
            for name, value in settings.items()
            if changed[name] != value
        ]
        restore_settings(settings)
    found.torch_state = after.of_torch
    return found
