"""``check-sampler``: decide on samplers from the command line.

Exit status: 2 the call is wrong (told before anything runs); else 1 when a sampler does not conform or a check could
not judge it; else 3 when something could not be run; else 0. Never 0 when nothing ran.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from .options import UsageError, parser
from .output import report_stream
from .status import CONFORMS, DEVIATES, INTERRUPTED, WRONG_CALL

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; None for the process's own.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["monitor"]:
        from .monitor import monitor

        return monitor(given[1:])
    options = parser().parse_intermixed_args(given)
    quiet = options.json == "-"
    try:
        if options.list_checks or options.list_references or options.explain is not None:
            return _told(options)
        if options.init is not None:
            return _init(options.init)
        if arguments is None:
            gc.disable()  # a process of its own: what it imports stays, and need not be looked through
        with report_stream(quiet) as stream:
            if options.identify:
                from .identify import identify

                return identify(options, stream)
            from .decide import decide

            return decide(options, stream)
    except UsageError as error:
        sys.stderr.write(f"check-sampler: {error}\n")
        return WRONG_CALL
    except KeyboardInterrupt:
        sys.stderr.write("check-sampler: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away; leave nothing that Python would try to flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DEVIATES


def _told(options: argparse.Namespace) -> int:
    """Answer what needs no target."""
    from .lists import explain, list_checks, list_references

    if options.list_checks:
        list_checks(sys.stdout)
    if options.list_references:
        list_references(sys.stdout)
    if options.explain is not None:
        try:
            explain(options.explain, sys.stdout)
        except ValueError as error:
            raise UsageError(str(error)) from None
    sys.stdout.flush()
    return CONFORMS


def _init(target: str) -> int:
    """Write a first test file and say what to do next."""
    from .init import init

    try:
        place, found = init(target)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    sys.stdout.write(
        f"{place} is written: {found.name}, to be held against {found.reference or 'a reference of yours'}\n"
    )
    for todo in found.todo:
        sys.stdout.write(f"  TODO: {todo}\n")
    sys.stdout.write(f"{'Then' if found.todo else 'Now'}: check-sampler {place}\n")
    return CONFORMS
