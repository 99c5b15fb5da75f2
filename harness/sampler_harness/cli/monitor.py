"""``check-sampler monitor DIR``: what a :class:`~sampler_harness.DetailMonitor` wrote, as text and as one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["monitor"]

FINE, WRONG_CALL = 0, 2


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
        if options.html is not None and not Path(options.html).absolute().parent.is_dir():
            raise ValueError(f"cannot write {options.html}: there is no folder {Path(options.html).parent}")
        for line in render_monitor(options.directory):
            sys.stdout.write(line + "\n")
        if options.html is not None:
            write_monitor_page(options.directory, options.html)
            sys.stdout.write(f"page: {options.html}\n")
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"check-sampler monitor: {error}\n")
        return WRONG_CALL
    return FINE
