"""``make mutants``: small changes of the released samplers, one at a time, and whether the verdict turns.

Of every line that runs, each number, operator, comparison, condition, keyword and assignment is changed. What survives
is printed, for a person to look at: it changes nothing (a sign of a draw, a device that is the default), it is a field
that the wrap does not vary, or it is a hole of the harness. Nothing here is a test.

``TARGET=diffusers:DDIMScheduler`` changes the installed scheduler instead, and judges it through the adapter.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import signal
import sys
import time
import warnings
from pathlib import Path
from types import FrameType, ModuleType

from sampler_harness import Subject, check_sampler
from sampler_harness.checks.evidence import Evidence

from . import scheduler_mutants
from .mutations import mutants

#: Wrap and the release that it runs.
WRAPS = (
    ("edm", "edm"),
    ("diamond", "diamond"),
    ("guided_ddpm_learned", "guided_diffusion"),
    ("guided_ddim", "guided_diffusion"),
    ("denoising_diffusion_ddim", "denoising_diffusion_pytorch"),
    ("policy_ddim", "diffusion_policy"),
)
#: Seconds after which a changed sampler counts as noticed: it no longer ends.
PATIENCE = 60


def lines_that_run(subject: Subject, file: str) -> set[int]:
    """Lines of a file that run in some configuration of a sampler."""
    evidence = Evidence(subject, budget="quick")
    found: set[int] = set()
    for config in evidence.covering.configurations:
        found.update(evidence.walked(evidence.case(config)).ran(None).get(file, ()))
    return found


def survives(wrap: ModuleType, subject: Subject, release: ModuleType, program: ast.Module) -> bool:
    """Whether a wrap conforms still when it runs a changed program."""
    changed = ModuleType(f"{release.__name__}_changed")
    sys.modules[changed.__name__] = changed  # dataclasses look their module up
    kept = {name: vars(wrap)[name] for name in release.__all__ if name in vars(wrap)}
    try:
        exec(compile(program, changed.__name__, "exec"), vars(changed))
        vars(wrap).update({name: vars(changed)[name] for name in kept})
        return check_sampler(subject, budget="quick", diagnose=False).conforms
    except Exception:  # a program that cannot even be loaded is noticed too
        return False
    finally:
        vars(wrap).update(kept)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def main(arguments: list[str]) -> int:
    """Print what survives of each release, or of the scheduler that is named, and how many were noticed."""
    warnings.simplefilter("ignore")
    if arguments and not arguments[0].startswith("-"):
        return scheduler_mutants.of_target(arguments[0], arguments[1:])
    signal.signal(signal.SIGALRM, _too_long)
    for name, released in WRAPS:
        wrap = importlib.import_module(f"fixtures.wraps.{name}")
        release = importlib.import_module(f"fixtures.released.{released}")
        subject = getattr(wrap, name)
        started, source = time.perf_counter(), inspect.getsource(release)
        total = left = 0
        for line, told, program in mutants(source, lines_that_run(subject, str(Path(str(release.__file__))))):
            total += 1
            signal.alarm(PATIENCE)
            still = survives(wrap, subject, release, program)
            signal.alarm(0)
            if still:
                left += 1
                sys.stdout.write(f"  line {line}, {told}    | {source.splitlines()[line - 1].strip()[:90]}\n")
                sys.stdout.flush()
        seconds = time.perf_counter() - started
        sys.stdout.write(f"{name}: {total - left} of {total} changes noticed, {left} survive, {seconds:.0f} s\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
