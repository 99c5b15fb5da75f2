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

__all__ = ["identify", "named"]

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
            identity, how = named(target, one)
        found.append(identity)
        if options.json != "-":
            write([*([] if len(found) == 1 else [Line("")]), *identified(identity, how)], stream)
    if options.json is not None:
        write_text(options.json, as_json(found), stream)
    if any(one.outcome == "unread" for one in found):
        return NOT_RUN
    return CONFORMS if all(one.outcome == "exact" for one in found) else DEVIATES


def named(target: str, one: Handed) -> tuple[Identity, str]:
    """What a sampler is, and what it was given: the first levels on which it has a name, else the first of all.

    Args:
        target: as a person named it.
        one: how it is run.
    """
    from sampler_harness.identifying.identify import identify as name

    first = name(one.subject, one.runs, target=target)
    if first.outcome == "exact":
        beside = [(name(other.subject, other.runs), other.how) for other in one.otherwise if one.is_either]
        also = [f"; {how} it is {found.names[0].told}" for found, how in beside if found.outcome == "exact"]
        return first, one.how + "".join(also)
    for other in one.otherwise:
        found = name(other.subject, other.runs, target=target)
        # A method of noise levels is one on all of them: what it is on low ones alone, it is not.
        if found.outcome == "exact" and not any(_is_of_noise_levels(one.reference) for one in found.names):
            return found, f"{other.how}; {one.how}, it {_WITHOUT_A_NAME[first.outcome]}"
    return first, one.how


_WITHOUT_A_NAME = {"nearest": "is nothing exactly", "none": "is nothing", "unread": "could not be run"}


def _is_of_noise_levels(reference: str) -> bool:
    import reference_samplers
    from reference_samplers.processes.variance_exploding import NoiseLevels

    kind = vars(reference_samplers).get(reference)
    return isinstance(kind, type) and issubclass(kind, NoiseLevels)
