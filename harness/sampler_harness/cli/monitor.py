"""``check-sampler monitor DIR``: what a :class:`~sampler_harness.DetailMonitor` wrote, as text and as one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .options import UsageError
from .output import check_writable
from .status import CONFORMS, WRONG_CALL

__all__ = ["monitor"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check-sampler monitor",
        description="Tell how detail and denoising error changed over the stages of a training run.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", help="the `out` of a DetailMonitor")
    parser.add_argument("--html", metavar="FILE", help="write curves and the filmstrip as one self-contained page")
    return parser


def monitor(arguments: Sequence[str]) -> int:
    """Run the subcommand.

    Args:
        arguments: what follows ``monitor`` on the command line.

    Returns:
        0; 2 where there is nothing to read or nowhere to write. A fall of detail is told, not an exit status: a
        monitor watches a run, it judges no code.
    """
    options = _parser().parse_args(arguments)
    from sampler_harness.report.monitor_page import render_monitor, write_monitor_page

    try:
        check_writable(options.html)
        for line in render_monitor(options.directory):
            sys.stdout.write(line + "\n")
        if options.html is not None:
            write_monitor_page(options.directory, options.html)
            sys.stdout.write(f"page: {options.html}\n")
    except (UsageError, ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"check-sampler monitor: {error}\n")
        return WRONG_CALL
    return CONFORMS
