"""What the user's own functions raise: one sentence with the line, for whoever called them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Unusable", "called", "raised"]

T = TypeVar("T")


class Unusable(ValueError):
    """Model, loader, data or configuration cannot be used: there is nothing to find out yet. One sentence says why."""


def called(function: Callable[..., T], *arguments: Any, whose: str) -> T:
    """Call a function of the user's.

    Args:
        function: theirs.
        arguments: for it.
        whose: what it is, for the sentence.

    Raises:
        Unusable: when it raises, with its line.
    """
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        raise Unusable(f"{whose} raised {raised(error)}") from error


def raised(error: BaseException) -> str:
    """What was raised and where in the user's code: ``KeyError: 'ema' (world.py, line 12, in load: …)``."""
    text = " ".join(str(error).split())
    told = f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "sampler_harness" not in f.filename and "site-packages" not in f.filename]
    theirs = [f for f in frames if "sampler_harness" not in f.filename]
    if not (own or theirs):
        return told
    last = (own or theirs)[-1]
    near = os.path.relpath(last.filename) if last.filename.startswith(os.getcwd() + os.sep) else last.filename
    return f"{told} ({near}, line {last.lineno}, in {last.name}: {last.line})"
