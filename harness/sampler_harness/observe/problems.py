"""Why a run of code under test could not be used: whatever it raises becomes a typed problem."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "OF_CODE",
    "Misuse",
    "Problem",
    "ProblemKind",
    "RunStopped",
    "UnknownDraw",
    "Unread",
    "own_line",
    "problem_of",
]

#: What no number makes, not NaN either; a TypeError may be made by the complex root of a number below 0.
OF_CODE = (NameError, AttributeError, NotImplementedError, ImportError)
ProblemKind = Literal["raised", "returned", "endless", "outside", "exit", "not-finite", "detached", "unread"]


@dataclass(frozen=True)
class Problem:
    """Why a run could not be used.

    Attributes:
        kind: what went wrong; ``outside`` is what the harness cannot judge, ``detached`` a loss without gradient,
            ``unread`` what may well be right, and cannot be told as it is declared.
        message: one or two sentences for the author of what was run.
        step: index of the last model call before it happened, or None.
        is_of_code: an exception that no number makes, such as a name that is not there.
    """

    kind: ProblemKind
    message: str
    step: int | None = None
    is_of_code: bool = False


class RunStopped(BaseException):
    """A run passed its limit. Not an ``Exception``: a sampler that swallows those cannot swallow this."""


class Misuse(TypeError):
    """What plays the model was used in a way that a declaration must explain."""


class Unread(Misuse):
    """The same, and nothing is wrong with it: as it is declared it cannot be told."""


class UnknownDraw(RuntimeError):
    """Random numbers were drawn with an operator that the tap cannot replace."""


def problem_of(error: BaseException, whose: str, step: int | None = None) -> Problem:
    """What a run that ended in an exception has done.

    Args:
        error: what came out of it.
        whose: what was run, ``sampler`` or ``step``.
        step: index of the last model call.

    Raises:
        KeyboardInterrupt: where a person has pressed a key.
    """
    match error:
        case KeyboardInterrupt():
            raise error
        case RunStopped():
            return Problem("endless", str(error), step)
        case UnknownDraw():
            return Problem("outside", str(error), step)
        case Unread():
            return Problem("unread", str(error), step)
        case Misuse():
            return Problem("raised", str(error), step)
        case SystemExit():
            return Problem("exit", f"the {whose} called sys.exit({error.code!r})", step)
    # Also GeneratorExit and whatever else a sampler may let out.
    first = (str(error).strip().splitlines() or [""])[0]
    message = f"the {whose} raised {type(error).__name__}: {first}{own_line(error)}"
    return Problem("raised", message, step, isinstance(error, OF_CODE))


def own_line(error: BaseException) -> str:
    """The sampler's own innermost line, not the harness's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "sampler_harness" not in f.filename and "site-packages" not in f.filename]
    if not own:
        return ""
    last = own[-1]
    return f" (in {last.name}, line {last.lineno}: {last.line})"
