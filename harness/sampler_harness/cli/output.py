"""Where the report goes: standard output kept clean for ``--json -``, and files that can be written."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from .options import UsageError
from .status import DEVIATES

__all__ = ["check_writable", "progress", "report_stream", "write_text"]


@contextlib.contextmanager
def report_stream(quiet: bool) -> Iterator[TextIO]:
    """Standard output for the report; with ``--json -`` whatever else is printed goes to standard error."""
    stream = sys.stdout
    if not quiet:
        yield stream
        return
    stream.flush()
    if stream is not sys.__stdout__:
        with contextlib.redirect_stdout(sys.stderr):
            yield stream
        return
    # Libraries below Python print too: give them standard error's descriptor.
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr), os.fdopen(os.dup(kept), "w", encoding="utf-8") as own:
            yield own
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def check_writable(place: str | None) -> None:
    """Refuse a file that could not be written, before anything runs.

    Args:
        place: as typed; None where the option was not given.

    Raises:
        UsageError: where it is a folder, or stands in none.
    """
    if place is None:
        return
    path = Path(place)
    if path.is_dir():
        raise UsageError(f"cannot write {place}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {place}: there is no folder {path.parent}")


def write_text(place: str, text: str, stream: TextIO) -> None:
    """Write a file, or to the report's stream where its name is ``-``.

    Args:
        place: as typed.
        text: all of it.
        stream: of the report.

    Raises:
        SystemExit: where it cannot be written after all.
    """
    if place == "-":
        stream.write(text)
        stream.flush()
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"check-sampler: cannot write {place}: {error.strerror}\n")
        raise SystemExit(DEVIATES) from error


@contextlib.contextmanager
def progress(name: str) -> Iterator[None]:
    """A line for whoever watches, gone again before the report."""
    watched = sys.stderr.isatty()
    if watched:
        sys.stderr.write(f"checking {name} …")
        sys.stderr.flush()
    try:
        yield
    finally:
        if watched:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
