"""Code that nobody wrote is kept from doing harm: an edited line may delete another folder than the one that was meant.

Context: a sampler may save pictures, clear a folder or call a server, and what is edited may be the path of it.
Choice: in the copy of the process in which edited code runs, whatever is open is closed, no file can grow, and whatever
opens a file to write, deletes, connects or starts a process is stopped, as Python's audit events tell of it; an edit
that needs it counts as none. What writes below Python is known by name, and nothing is edited then. In the process
itself nothing is changed. Reversed by: a system that takes rights from a process, everywhere alike.
"""

from __future__ import annotations

import ast
import gc
import os
import signal
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch

from sampler_harness.observe.statements import called_name

from .copies import is_at_work
from .own_code import OwnFunction

__all__ = ["bound_memory", "make_harmless", "writes_below_python"]

_STOPPED = (
    "os.chflags", "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.link", "os.lockf", "os.mkdir",
    "os.posix_spawn", "os.putenv", "os.remove", "os.removexattr", "os.rename", "os.rmdir", "os.setxattr", "os.spawn",
    "os.startfile", "os.symlink", "os.system", "os.truncate", "os.unsetenv", "os.utime", "pty.", "resource.prlimit",
    "shutil.", "socket.", "sqlite3.", "subprocess.", "syslog.", "urllib.Request", "webbrowser.",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Functions of torch and of other libraries that write files without Python's knowledge.
_BELOW = frozenset(
    {"File", "HDFStore", "VideoWriter", "imsave", "imwrite", "save", "save_file", "serialize_file", "to_feather"}
    | {"to_hdf", "to_parquet", "write_file", "write_jpeg", "write_png", "write_table", "write_video"}
)
#: The same where it is a module's; of an open file it is Python's own.
_BELOW_OF_MODULES = frozenset({"write"})
#: What edited code may take beyond what the process has.
_MEMORY = 2 << 30


class Harm(RuntimeError):
    """What edited code was about to do."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 else 0
        is_harm = isinstance(flags, int) and bool(flags & _WRITING)
    else:
        is_harm = event.startswith(_STOPPED) and not is_at_work()
    if is_harm:
        raise Harm(f"edited code was about to do {event}")


def make_harmless() -> None:
    """Take from this process, a copy, what reaches beyond it; what writes, deletes or connects raises :class:`Harm`."""
    import resource

    null = os.open(os.devnull, os.O_RDWR)
    for number in _open_files():
        if number != null:
            os.dup2(null, number, inheritable=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # what a person does then is done by the process itself
        signal.signal(one, signal.SIG_DFL)
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    sys.addaudithook(_audit)
    gc.unfreeze()
    gc.collect()  # functions that nobody has any more, of a file that was changed since, are none of the sampler's


def _open_files() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return [int(name) for name in os.listdir(folder)]
    return [number for number in range(min(os.sysconf("SC_OPEN_MAX"), 1 << 16)) if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def bound_memory() -> None:
    """Let this process, a copy, take only so much more memory: what needs more raises."""
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as sizes:
            now = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + _MEMORY, now + _MEMORY))
    except (OSError, ValueError):  # a system that does not tell, or one that allows less anyway
        return


def writes_below_python(functions: Iterable[OwnFunction]) -> bool:
    """Whether functions call what writes files without an audit event, by its own name or by another one.

    Args:
        functions: of a person's own.
    """
    return any(
        isinstance(node, ast.Call) and _is_below(one, node) for one in functions for node in ast.walk(one.function.node)
    )


def _is_below(own: OwnFunction, call: ast.Call) -> bool:
    known = vars(own.function.owner)
    match call.func:
        case ast.Name(id=name):
            return not _BELOW.isdisjoint((name, getattr(known.get(name), "__name__", "")))
        case ast.Attribute(attr=name, value=ast.Name(id=module)) if name in _BELOW_OF_MODULES:
            return isinstance(known.get(module), ModuleType)
    return called_name(call) in _BELOW
