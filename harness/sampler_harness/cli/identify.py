"""``check-sampler --identify TARGET``: what a sampler is that nobody declared."""

from __future__ import annotations

import argparse
import gc
from typing import TextIO

from sampler_harness.handing import Handed, handed
from sampler_harness.identity import Identity
from sampler_harness.importing import TargetError
from sampler_harness.report.identified import as_json, identified
from sampler_harness.report.terminal import Line, write

from .options import UsageError, settings
from .output import check_writable, progress, write_text
from .status import CONFORMS, DEVIATES, NOT_RUN

__all__ = ["identify"]

#: Options that decide on a sampler, and have nothing to say of what it is.
_NOT_HERE = (
    "against", "save_law", "html", "trajectory", "baseline", "changed_since", "checks_as_of", "model", "data", "check",
)  # fmt: skip


def identify(options: argparse.Namespace, stream: TextIO) -> int:
    """Name every target.

    Args:
        options: the command line.
        stream: where the report goes.

    Returns:
        The exit status: 0 where all are named exactly, 3 where one could not be run, else 1.

    Raises:
        UsageError: where the call is wrong, before anything has run.
    """
    if not options.targets:
        raise UsageError("name what to identify: --identify path/file.py:my_sampler, diffusers:NAME or k_diffusion:…")
    for name in _NOT_HERE:
        if getattr(options, name):
            raise UsageError(
                f"--identify says what a sampler is, and decides nothing: leave --{name.replace('_', '-')} out"
            )
    check_writable(options.json if options.json != "-" else None)
    given = settings(options.set)
    try:
        samplers = [(target, handed(target, given)) for target in options.targets]
    except TargetError as error:
        raise UsageError(str(error)) from error
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    found = []
    for target, one in samplers:
        with progress(target):
            found.append(_identified(target, one))
        if options.json != "-":
            write([*([] if len(found) == 1 else [Line("")]), *identified(found[-1], one.how)], stream)
    if options.json is not None:
        write_text(options.json, as_json(found), stream)
    if any(one.outcome == "unread" for one in found):
        return NOT_RUN
    return CONFORMS if all(one.outcome == "exact" for one in found) else DEVIATES


def _identified(target: str, one: Handed) -> Identity:
    from sampler_harness.identifying.identify import identify as name

    return name(one.subject, one.runs, target=target)
