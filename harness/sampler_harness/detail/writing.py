"""Stages written as a training run logs them: on disk when logged, by one process at a time."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sampler_harness.detail.records import (
    HOLDER,
    LOCK,
    RECORDS,
    TORN,
    Run,
    Stage,
    read_records,
    run_record,
    stage_record,
)

__all__ = ["StageWriter"]

#: Who writes where in this process: of two writers in one process the later takes over.
_WRITERS: weakref.WeakValueDictionary[Path, StageWriter] = weakref.WeakValueDictionary()


class StageWriter:
    """Appends stages to a directory that no other process writes to.

    Opening it a second time in one process (a cell of a notebook that is run again) ends the first writer.

    Context: a line is one ``write`` and one ``fsync``, then the stage is logged. Choice: a line that a kill cut short
    is moved to ``stages.torn`` when the directory is opened again, and never repaired: its stage was not logged.
    Reversed by: a format whose records are framed with their length.

    Args:
        directory: made where it is missing.
        run: what the stages to come share.

    Raises:
        ValueError: when the directory is a file, is of another process, holds records of other frames, or of a schema
            that is not known here.
    """

    def __init__(self, directory: str | Path, run: Run) -> None:
        self.directory = Path(directory)
        try:
            (self.directory / "frames").mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"{directory} is a file, should be a directory for the stages") from None
        except OSError as error:
            raise ValueError(f"{directory} cannot be made: {error.strerror or error}") from None
        self._path = self.directory / RECORDS
        self._process = os.getpid()
        self._waiting: list[bytes] = []
        self._file: int | None = None
        key = self.directory.resolve()
        earlier = _WRITERS.get(key)
        if earlier is not None:
            earlier.close()
        self._lock = _locked(self.directory)
        try:
            self._open(run)
        except BaseException:
            self.close()
            raise
        _WRITERS[key] = self

    def _open(self, run: Run) -> None:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            torn = _set_aside(self._file, self._path)
            self.records = read_records(self.directory)
            _fsync_directory(self.directory)
        except OSError as error:
            raise ValueError(f"{self._path} cannot be written: {error.strerror or error}") from None
        for earlier in self.records.runs:
            if (earlier.shape, earlier.octaves) != (run.shape, run.octaves):
                raise ValueError(
                    f"{self.directory} holds stages of frames {earlier.shape}, these are {run.shape}: their detail "
                    "cannot be compared, so log to another directory"
                )
        self.notes = list(self.records.unreadable)  # what was torn earlier was told when it was found
        if torn:
            self.notes.append(f"{torn} bytes of a write that was cut short were moved to {self._path.with_name(TORN)}")
        if self.records.runs and self.records.runs[-1].data != run.data:
            self.notes.append(
                f"{self.directory} holds stages measured against other frames of data: give the same frames at each "
                "start (a data set that is not shuffled), or the stages before and after differ by what the data does"
            )
        self.records = replace(self.records, runs=(*self.records.runs, run))
        self._append(run_record(run))

    @property
    def is_open(self) -> bool:
        """False after :meth:`close`, and in a process that was forked from the writer's."""
        return self._file is not None and os.getpid() == self._process

    def attempt(self, step: int) -> int:
        """Which attempt at a step a stage that is logged now would be."""
        return 1 + sum(stage.step == step for stage in self.records.stages)

    def append(self, stage: Stage) -> Stage:
        """Log a stage: it is on disk when this returns.

        Args:
            stage: its attempt and run are filled in here.

        Returns:
            The stage as it was written.

        Raises:
            OSError: when it cannot be written (a full disk); it is kept, and written with the next one.
            ValueError: when the writer was closed, or belongs to another process.
        """
        if not self.is_open:
            raise ValueError(
                f"{self.directory} is not open for writing in this process (it was closed, opened once more, or this "
                "is a forked copy of the process that opened it): log from one place only"
            )
        stage = replace(stage, attempt=self.attempt(stage.step), run=len(self.records.runs) - 1)
        self.records = replace(self.records, stages=(*self.records.stages, stage))
        self._append(stage_record(stage))
        return stage

    def _append(self, record: Mapping[str, Any]) -> None:
        """Write what waits and one record more; after a failure the file is as it was."""
        self._waiting.append(json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        assert self._file is not None
        before = os.fstat(self._file).st_size
        try:
            for line in self._waiting:
                _write_whole(self._file, line)
            os.fsync(self._file)
        except OSError:
            try:
                os.ftruncate(self._file, before)
            except OSError:
                self._waiting.insert(0, b"\n")  # ends what was half written, so that the next line stands alone
            raise
        self._waiting.clear()

    def close(self) -> None:
        """End writing and let the directory go; calling it again does nothing."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = None
        self._lock.release()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()


def _write_whole(file: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]


def _set_aside(file: int, path: Path) -> int:
    """Move what follows the last newline to ``stages.torn``; returns how many bytes that were."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    tail = content[whole:]
    if not tail:
        return 0
    # Copied before it is cut off: a kill in between leaves it twice, never nowhere.
    with path.with_name(TORN).open("ab") as torn:
        torn.write(tail + b"\n")
        torn.flush()
        os.fsync(torn.fileno())
    os.ftruncate(file, whole)
    os.fsync(file)
    return len(tail)


def _fsync_directory(directory: Path) -> None:
    """A new file is only safe once its directory is."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no fsync of directories
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(directory: Path) -> FileLock:
    """Hold the directory for this process; the system lets it go when the process ends, however it ends.

    Context: a kill must not leave a lock, a worker that a data loader forked must not keep or release one, and a held
    file cannot be read on Windows. Choice: filelock, which cares for forks since 4, and the holder's number in a file
    beside it. Reversed by: file systems that lock nothing, where two writers would mix their lines.
    """
    lock = FileLock(directory / LOCK, timeout=0, thread_local=False)
    holder = directory / HOLDER
    try:
        lock.acquire()
        holder.write_text(f"{os.getpid()}\n", encoding="ascii")
    except Timeout:
        pid = holder.read_text(encoding="ascii", errors="replace").strip() if holder.is_file() else ""
        raise ValueError(
            f"another process (pid {pid or 'unknown'}) is logging to {directory}: with several ranks make the monitor "
            "on rank 0 alone, otherwise give each process a directory of its own"
        ) from None
    except OSError as error:
        lock.release()
        raise ValueError(f"{directory / LOCK} cannot be written: {error.strerror or error}") from None
    return lock
