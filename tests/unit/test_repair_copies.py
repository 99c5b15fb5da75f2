"""Edited code runs in a copy of the process: whatever it does is gone with the copy, and nothing of it gets out."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sampler_harness.repair import copies
from sampler_harness.repair.copies import Tell, can_copy, in_a_copy
from sampler_harness.repair.harmless import bound_memory, make_harmless

pytestmark = pytest.mark.skipif(not can_copy("cpu"), reason="a process cannot be copied here")


def _told(work: Callable[[], Any]) -> Any:
    found = in_a_copy(lambda tell: tell(work()), seconds=20.0)
    assert found.how == "done"
    return found.answer


def test_what_a_copy_changes_is_changed_there_alone() -> None:
    table, before = [1.0, 2.0], os.getpid()

    def work() -> tuple[list[float], int]:
        table.append(3.0)
        return table, os.getpid()

    there, number = _told(work)
    assert there == [1.0, 2.0, 3.0]
    assert table == [1.0, 2.0]
    assert number != before == os.getpid()


def test_random_numbers_of_a_copy_are_those_of_the_process() -> None:
    import random

    random.seed(7)
    assert _told(random.random) == random.random()


def _raising(error: BaseException) -> Callable[[Tell], None]:
    def work(tell: Tell) -> None:
        tell("begun")
        raise error

    return work


def _that_leaves(tell: Tell) -> None:
    tell("begun")
    os._exit(0)


def _that_is_killed(tell: Tell) -> None:
    tell("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    "work",
    [
        _raising(ValueError("no")),
        _raising(KeyboardInterrupt()),
        _raising(SystemExit(0)),
        _that_leaves,
        _that_is_killed,
    ],
    ids=["ValueError", "KeyboardInterrupt", "SystemExit", "_exit", "SIGKILL"],
)
def test_a_copy_that_breaks_down_takes_nothing_with_it(work: Callable[[Tell], None]) -> None:
    found = in_a_copy(work, seconds=20.0)
    assert (found.answer, found.how) == ("begun", "died")


def test_what_a_copy_computes_is_bounded() -> None:
    def work(tell: Tell) -> None:
        tell("begun")
        sum(range(10**12))

    found = in_a_copy(work, seconds=0.2)
    assert (found.answer, found.how) == ("begun", "endless")


@pytest.mark.parametrize("limit", ["ASLEEP", "STUCK"])
def test_a_copy_that_waits_for_what_does_not_come_is_ended(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(copies, "ASLEEP", 1000.0)
    monkeypatch.setattr(copies, limit, 0.3)

    def work(tell: Tell) -> None:
        threading.Event().wait()

    assert in_a_copy(work, seconds=20.0).how == "endless"


def test_a_copy_that_works_is_not_taken_for_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "ASLEEP", 0.2)

    def work(tell: Tell) -> None:
        until = time.process_time() + 0.6
        while time.process_time() < until:
            pass
        tell("worked")

    assert in_a_copy(work, seconds=20.0).answer == "worked"


def test_copies_of_a_copy_end_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(copies, "STUCK", 0.5)
    named = tmp_path / "number"

    def inner(tell: Tell) -> None:
        named.write_text(str(os.getpid()))
        threading.Event().wait()

    def work(tell: Tell) -> None:
        monkeypatch.setattr(copies, "STUCK", 1000.0)
        monkeypatch.setattr(copies, "ASLEEP", 1000.0)
        monkeypatch.setattr(copies, "_own", None)  # no pulse while it waits
        in_a_copy(inner, seconds=20.0)

    assert in_a_copy(work, seconds=20.0, apart=True).how == "endless"
    until = time.monotonic() + 10.0
    while Path(f"/proc/{named.read_text()}").exists() and _state_of(named.read_text()) != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)


def _state_of(number: str) -> str:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_copy_ends_where_a_person_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    def fork() -> int:
        made.append(number := forked())
        return number

    forked = os.fork
    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(time, "sleep", interrupted)

    def work(tell: Tell) -> None:
        threading.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        in_a_copy(work, seconds=20.0, apart=True)
    with pytest.raises(ChildProcessError):  # it is gone, and was asked how it ended
        os.waitpid(made[0], os.WNOHANG)


def test_a_copy_of_a_process_that_is_gone_ends_at_its_next_run(tmp_path: Path) -> None:
    number = tmp_path / "number"

    def inner(tell: Tell) -> None:
        number.write_text(str(os.getpid()))
        while True:
            copies.pulse()
            threading.Event().wait(0.01)

    def work(tell: Tell) -> None:
        if not os.fork():
            in_a_copy(inner, seconds=20.0)
        while not number.exists() or not number.read_text():
            threading.Event().wait(0.01)
        os._exit(0)

    assert in_a_copy(work, seconds=20.0).how == "died"
    until = time.monotonic() + 10.0
    while _state_of(number.read_text()) != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no bound elsewhere")
def test_the_memory_of_a_copy_is_bounded() -> None:
    def work() -> str:
        bound_memory()
        try:
            bytearray(8 << 30)
        except MemoryError:
            return "no room"
        return "room"

    assert _told(work) == "no room"


class _Place:
    """A folder with a file in it that a copy tries to harm, and an open one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "kept.txt"
        self.file.write_text("as it was")
        self.open = (folder / "open.txt").open("w+")
        self.open.write("begun")
        self.open.flush()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)

    def seen(self) -> tuple[list[tuple[str, str]], bytes]:
        try:
            said = self.theirs.recv(100)
        except BlockingIOError:
            said = b""
        return [(one.name, one.read_text()) for one in sorted(self.folder.iterdir())], said


@pytest.fixture
def place(tmp_path: Path) -> Iterator[_Place]:
    found = _Place(tmp_path)
    yield found
    for one in (found.open, found.ours, found.theirs):
        one.close()


def _written(place: _Place) -> None:
    place.open.write("more")
    place.open.flush()


HARM: dict[str, Callable[[_Place], object]] = {
    "write": lambda place: place.file.write_text("else"),
    "append": lambda place: place.file.open("a"),
    "low level": lambda place: os.open(place.file, os.O_WRONLY | os.O_TRUNC),
    "new": lambda place: (place.folder / "new.txt").touch(),
    "remove": lambda place: place.file.unlink(),
    "rename": lambda place: place.file.rename(place.folder / "other.txt"),
    "folder": lambda place: (place.folder / "new").mkdir(),
    "link": lambda place: (place.folder / "new").symlink_to(place.file),
    "open file": _written,
    "open socket": lambda place: place.ours.send(b"hello"),
    "new socket": lambda place: socket.socket(),
    "shell": lambda place: os.system(f"rm {place.file}"),
    "program": lambda place: subprocess.run(["rm", str(place.file)], check=True),
    "signal": lambda place: os.kill(os.getppid(), signal.SIGTERM),
    "copy": lambda place: os.fork(),
    "database": lambda place: sqlite3.connect(place.folder / "new.db"),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_copy_does_no_harm(place: _Place, harm: Callable[[_Place], object]) -> None:
    before = place.seen()

    def work() -> None:
        make_harmless()
        try:
            harm(place)
        except Exception:
            return

    _told(work)
    assert place.seen() == before
    place.open.write(", and done")
    place.open.close()
    assert (place.folder / "open.txt").read_text() == "begun, and done"
    place.file.unlink()


def test_what_was_thrown_away_is_not_cleared_in_a_copy(tmp_path: Path) -> None:
    """A folder that is deleted when nobody has it any more is the process's to delete."""
    import tempfile

    held: list[Any] = [tempfile.TemporaryDirectory(dir=tmp_path)]
    held.append(held)  # only the collector sees that it is gone

    def work() -> None:
        make_harmless()
        held.clear()
        import gc

        gc.collect()

    _told(work)
    assert len(list(tmp_path.iterdir())) == 1
    held[0].cleanup()


def test_a_process_that_shares_memory_with_a_file_is_not_copied(tmp_path: Path) -> None:
    import mmap

    file = tmp_path / "table.bin"
    file.write_bytes(bytes(4096))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096):
        assert not can_copy("cpu") or not Path("/proc/self/maps").exists()
    assert can_copy("cpu")
    assert not can_copy("cuda")
