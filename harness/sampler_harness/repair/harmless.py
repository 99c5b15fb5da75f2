"""Code that nobody wrote is kept from doing harm: an edited line may delete another folder than the one that was meant.

Context: a sampler may save pictures, clear a folder or call a server, and what is edited may be the path of it. Choice:
whatever writes, deletes, connects or starts a process is stopped while edited code runs, as Python's audit events tell
of it, and an edit that needs it counts as none; what writes below Python is known by name, and nothing is edited then.
An audit hook cannot be taken away, so there is one for a process, idle but for those runs. Reversed by: runs in a
process of their own, without rights.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from sampler_harness.observe.statements import called_name

from .own_code import OwnFunction

__all__ = ["harmless", "writes_below_python"]

_STOPPED = (
    "ftplib.", "http.client.", "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir",
    "os.posix_spawn", "os.putenv", "os.remove", "os.rename", "os.rmdir", "os.spawn", "os.startfile", "os.symlink",
    "os.system", "os.truncate", "os.unsetenv", "os.utime", "shutil.", "smtplib.", "socket.bind", "socket.connect",
    "socket.sendto", "sqlite3.", "subprocess.", "urllib.Request",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Functions of torch and of other libraries that write files without Python's knowledge.
_BELOW = frozenset({"save", "save_file", "serialize_file", "write_file", "write_jpeg", "write_png", "write_video"})

#: Whether edited code runs now.
_is_running = False


class Harm(RuntimeError):
    """What edited code was about to do."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _is_running or any("__pycache__" in str(one) for one in arguments[:2]):  # what Python keeps of an import
        return
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 else 0
        is_harm = isinstance(flags, int) and bool(flags & _WRITING)
    else:
        is_harm = event.startswith(_STOPPED)
    if is_harm:
        raise Harm(f"edited code was about to do {event}")


@functools.cache
def _installed() -> None:
    sys.addaudithook(_audit)


@contextlib.contextmanager
def harmless() -> Iterator[None]:
    """Whatever runs in here neither writes, deletes, connects nor starts anything: it raises :class:`Harm` instead."""
    global _is_running
    _installed()
    before, _is_running = _is_running, True
    try:
        yield
    finally:
        _is_running = before


def writes_below_python(functions: Iterable[OwnFunction]) -> bool:
    """Whether functions call what writes files without an audit event.

    Args:
        functions: of a person's own.
    """
    return any(
        isinstance(node, ast.Call) and called_name(node) in _BELOW
        for one in functions
        for node in ast.walk(one.function.node)
    )
