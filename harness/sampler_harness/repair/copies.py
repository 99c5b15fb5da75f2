"""Work in a copy of this process: what it does to memory, to time and to itself is gone with it.

Context: an edit may write into a table of the module, count to 10**9, fill the memory, or bring the interpreter down.
What a stranger's program holds cannot be put back one by one.
Choice: the process is forked; the copy works and tells, and is ended when it has told, or is stuck. A copy is told from
a stuck one by what it computes, not by the clock, but where it waits for something.
Reversed by: a way to load a person's program a second time, which would do without fork: there is none on Windows, and
what a GPU holds is not copied.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import random
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

__all__ = ["Tell", "Told", "can_copy", "in_a_copy", "is_at_work", "pulse"]

#: Bytes for what a copy tells; pages that nobody writes are never there.
_ROOM = 1 << 24
#: Numbers that stand before that: whether it is done, its pulse, and how long what it told is.
_HEAD = struct.Struct("3q")
_DONE, _PULSE, _LENGTH = range(3)
#: Seconds without a pulse after which a copy that sleeps waits for what does not come, as for a thread that was not
#: copied; and a copy of which the system does not tell whether it sleeps.
ASLEEP, STUCK = 5.0, 60.0

Ending = Literal["done", "died", "endless"]


@dataclass(frozen=True)
class Told:
    """What a copy told.

    Attributes:
        answer: the last that it told; None for nothing.
        how: that it came to its end, broke down, or was stopped because it did not come to an end.
    """

    answer: Any
    how: Ending


class _Telling:
    """Memory that a copy and who made it share."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _ROOM)

    def get(self, place: int) -> int:
        found: int = _HEAD.unpack_from(self._shared)[place]
        return found

    def set(self, place: int, value: int) -> None:
        struct.pack_into("q", self._shared, 8 * place, value)

    def tell(self, answer: Any) -> None:
        told = pickle.dumps(answer)
        self.set(_LENGTH, 0)
        self._shared[_HEAD.size : _HEAD.size + len(told)] = told
        self.set(_LENGTH, len(told))

    def told(self, how: Ending) -> Told:
        length = self.get(_LENGTH)
        answer = pickle.loads(self._shared[_HEAD.size : _HEAD.size + length]) if length else None
        found = Told(answer, how)
        self._shared.close()
        return found


#: What a copy tells with, as often as more comes out of it: given what can be pickled.
Tell = Callable[[Any], None]
Work = Callable[[Tell], None]
#: Of the copy that this process is: what it tells with, the seconds of computing that it has from pulse to pulse, and
#: the process that it is a copy of.
_own: tuple[_Telling, float, int] | None = None


#: Whether a copy is made or ended just now, by what is written here.
_is_at_work = False


def is_at_work() -> bool:
    """Whether a copy is made or ended just now: by no other code."""
    return _is_at_work


@contextlib.contextmanager
def _at_work() -> Iterator[None]:
    global _is_at_work
    _is_at_work = True
    try:
        yield
    finally:
        _is_at_work = False


def pulse() -> None:
    """Say that the copy comes along; without a pulse it is stopped. In a process that is none it says nothing."""
    if _own is None:
        return
    telling, seconds, maker = _own
    if os.getppid() != maker:  # nobody hears of it any more
        os._exit(1)
    telling.set(_PULSE, telling.get(_PULSE) + 1)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def can_copy(device: str) -> bool:
    """Whether this process can be copied, with all that a run on a device needs.

    Args:
        device: name of it.
    """
    return hasattr(os, "fork") and hasattr(signal, "ITIMER_PROF") and device == "cpu" and not _shares_memory()


def _shares_memory() -> bool:
    """Whether memory of this process is a file's or another process's too: what a copy writes there, all see."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            rows = [row.split(maxsplit=5) for row in maps]
    except OSError:
        return False
    shared = [row for row in rows if row[1].startswith("rw") and row[1].endswith("s") and len(row) == 6]
    files = [row[5] for row in shared if row[5].startswith("/dev/shm/") or not row[5].startswith("/dev/")]
    return any(not one.startswith("anon_inode:") for one in files)


def in_a_copy(work: Work, *, seconds: float, apart: bool = False) -> Told:
    """Do something in a copy of this process.

    Args:
        work: what is done there. What it raises ends the copy.
        seconds: of computing, that it has from pulse to pulse.
        apart: the copy makes copies of its own: all of them end with it.

    Returns:
        What it told, as far as it came.
    """
    telling, state, maker = _Telling(), random.getstate(), os.getpid()
    with warnings.catch_warnings(), _at_work():
        warnings.simplefilter("ignore")  # of threads, which a copy has not: what waits for one is stopped
        try:
            number = os.fork()
        except OSError:  # no memory for one
            return telling.told("died")
        if not number:
            _be_the_copy(work, telling, seconds, state, maker, apart)
    how: Ending | None = None
    try:
        how = _watched(number, telling)
    finally:
        if how != "done":
            _end(number, is_there=how is None or how == "endless", apart=apart)
    return telling.told(how)


def _be_the_copy(
    work: Callable[[Work], None], telling: _Telling, seconds: float, state: Any, maker: int, apart: bool
) -> NoReturn:
    global _own, _is_at_work
    try:
        _is_at_work = False
        if apart:
            os.setpgid(0, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        sys.settrace(None)
        sys.setprofile(None)
        random.setstate(state)  # a fork seeds it anew
        _own = telling, seconds, maker
        pulse()
        work(telling.tell)
        telling.set(_DONE, 1)
    except BaseException:  # nobody hears of it here: who made the copy sees that it is not done
        pass
    finally:
        os._exit(0)


def _watched(number: int, telling: _Telling) -> Ending:
    """Wait until a copy ends, or is stuck."""
    pause, asleep, idle, seen = 0.0005, 0.0, 0.0, -1
    while True:
        try:
            ended, status = os.waitpid(number, os.WNOHANG)
        except ChildProcessError:  # somebody else has asked how it ended
            ended, status = number, 0
        if ended:
            out_of_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
            return "done" if telling.get(_DONE) else "endless" if out_of_time else "died"
        if _own is not None:
            pulse()  # whoever waits comes along
        before = time.monotonic()
        time.sleep(pause)
        # Of a machine that sleeps, or is stopped, no more is counted than a pause.
        passed = min(time.monotonic() - before, 2 * pause)
        asleep = asleep + passed if _is_asleep(number) else 0.0
        idle += passed
        if (now := telling.get(_PULSE)) != seen:
            asleep, idle, seen = 0.0, 0.0, now
        if idle > STUCK or asleep > ASLEEP:
            return "endless"
        pause = min(1.5 * pause, 0.01)


def _is_asleep(number: int) -> bool:
    """Whether a process waits for something that is no turn of its own."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as told:
            return told.read().rpartition(")")[2].split()[0] == "S"
    except (OSError, IndexError):
        return False


def _end(number: int, *, is_there: bool, apart: bool) -> None:
    """End a copy, and the copies that it has made."""
    with _at_work():
        if apart:
            with contextlib.suppress(OSError):
                os.killpg(number, signal.SIGKILL)
        if is_there:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, 0)
