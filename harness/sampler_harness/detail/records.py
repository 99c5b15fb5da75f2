"""Stages of a training run on disk: one line of JSON each, of which a kill at any moment loses none.

A directory holds ``stages.jsonl`` (the records), ``frames/`` (intermediate frames, one file a stage), ``lock`` (empty
but for the number of the process that writes), and after a kill in the middle of a write ``stages.torn``.
A record is a line, ended by a newline: what has no newline was never logged.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import sys
import weakref
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "RECORDS",
    "SCHEMA",
    "LevelRecord",
    "Records",
    "Run",
    "SampleRange",
    "Stage",
    "StageWriter",
    "pack_frames",
    "read_frames",
    "read_records",
    "unpack_frames",
    "write_frames",
]

#: Grows when a key changes its meaning; readers refuse a higher one than they know.
SCHEMA = 1
RECORDS = "stages.jsonl"
TORN = "stages.torn"
LOCK = "lock"
#: Kept frames are cut to the middle so many pixels: shrinking them would blur what the strip is there to show.
SIDE = 128
#: In a kept frame: not finite. The levels 0 to 254 are the data's range.
BROKEN = 255

Array = np.ndarray[Any, np.dtype[np.float64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class SampleRange:
    """What values samples have, data units; of their finite values.

    Attributes:
        low: smallest.
        high: largest.
        outside: share of the values that lie outside the data's range.
        mean: of all values.
        std: of all values.
    """

    low: float
    high: float
    outside: float
    mean: float
    std: float


@dataclass(frozen=True)
class LevelRecord:
    """How well the model itself denoises at one noise level; no sampler has a part in it.

    Attributes:
        sigma: the noise level, data units.
        mse: mean squared error of the denoised frames, data units squared.
        relative: mse over the data's variance.
    """

    sigma: float
    mse: float
    relative: float


@dataclass(frozen=True)
class Run:
    """What all stages of one process share.

    Attributes:
        octaves: names of the octaves, the finest first, as ``2 to 4 px``.
        levels: noise levels of the denoising error, data units.
        data_range: lowest and highest legal value, data units.
        shape: ``(C, H, W)`` of a frame.
        frames: how many frames of the data are kept.
        data: a fingerprint of them; another one means that stages before and after cannot be compared.
        data_std: standard deviation of the data, data units.
    """

    octaves: tuple[str, ...]
    levels: tuple[float, ...]
    data_range: tuple[float, float]
    shape: tuple[int, int, int]
    frames: int
    data: str
    data_std: float


@dataclass(frozen=True)
class Stage:
    """What was seen at one moment of a training run.

    Attributes:
        step: the training step.
        attempt: 1; 2 and more where the step was logged before, after going back to an older checkpoint.
        checkpoint: name of the checkpoint, where one was given.
        retained: share of the data's power per octave, the finest first; None where there were no usable samples.
        sample_range: of the samples.
        psnr: in dB, where targets were given.
        denoising: the model's own error per noise level; empty where no model was given.
        frames: file with the intermediate frames, relative to the directory.
        problem: what could not be measured, and why; None when all was.
        seconds: what measuring took.
        run: which of the records' runs logged it, counted from 0.
    """

    step: int
    attempt: int = 1
    checkpoint: str | None = None
    retained: tuple[float, ...] | None = None
    sample_range: SampleRange | None = None
    psnr: float | None = None
    denoising: tuple[LevelRecord, ...] = ()
    frames: str | None = None
    problem: str | None = None
    seconds: float = 0.0
    run: int = 0


@dataclass(frozen=True)
class Records:
    """Everything that a directory holds.

    Attributes:
        runs: one per process that logged to it.
        stages: as logged, in order; a step may be there more than once.
        notes: what a person should know: torn or unreadable lines.
    """

    runs: tuple[Run, ...] = ()
    stages: tuple[Stage, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def current(self) -> tuple[Stage, ...]:
        """By step; of a step that was logged again the last attempt."""
        return tuple(last for _, last in sorted({stage.step: stage for stage in self.stages}.items()))

    @property
    def octaves(self) -> tuple[str, ...]:
        """Names of the octaves, the finest first; their places where no line that names them can be read."""
        if self.runs:
            return self.runs[-1].octaves
        number = max((len(stage.retained or ()) for stage in self.stages), default=0)
        return tuple(f"octave {place}" for place in range(1, number + 1))


def read_records(directory: str | Path) -> Records:
    """The records of a directory. Nothing in it is changed; a process may be logging to it.

    Args:
        directory: what :class:`~sampler_harness.detail.monitor.DetailMonitor` was given as ``out``.

    Raises:
        ValueError: when there are no records, or they are of a schema that is not known here.
    """
    path = Path(directory) / RECORDS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"{directory} holds no {RECORDS}: give the directory that DetailMonitor was told as out"
        ) from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    *lines, tail = content.split(b"\n")
    runs: list[Run] = []
    stages: list[Stage] = []
    notes: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            record = _parsed(line)
        except ValueError as error:
            notes.append(f"line {number} of {path} cannot be read ({error}): it is left where it is, and left out here")
            continue
        if record["schema"] > SCHEMA:
            raise ValueError(
                f"{path} was written by a newer version (schema {record['schema']} in line {number}, known here is "
                f"{SCHEMA}): update sampler-harness, or log to another directory"
            )
        try:
            if record["record"] == "run":
                runs.append(_run_from(record))
            else:
                stages.append(_stage_from(record, run=max(0, len(runs) - 1)))
        except (KeyError, TypeError, ValueError) as error:
            notes.append(f"line {number} of {path} is no record ({error!r}): it is left where it is, and left out here")
    if tail:
        notes.append(f"{path} ends in a line that is not finished: it is being written, or its writer was killed")
    torn = path.with_name(TORN)
    if torn.exists() and torn.stat().st_size:
        notes.append(f"a write that a kill cut short is kept in {torn}; no logged stage is missing")
    return Records(tuple(runs), tuple(stages), tuple(notes))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("it is no JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
        raise ValueError("it has no schema version")
    if record["schema"] <= SCHEMA and record.get("record") not in ("run", "stage"):
        raise ValueError("it is neither a run nor a stage")
    return record


def _run_from(record: Mapping[str, Any]) -> Run:
    low, high = (float(end) for end in record["data_range"])
    channels, height, width = (int(size) for size in record["shape"])
    return Run(
        octaves=tuple(str(name) for name in record["octaves"]),
        levels=tuple(float(sigma) for sigma in record["levels"]),
        data_range=(low, high),
        shape=(channels, height, width),
        frames=int(record["frames"]),
        data=str(record["data"]),
        data_std=float(record["data_std"]),
    )


def _run_record(run: Run) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "record": "run",
        "octaves": run.octaves,
        "levels": run.levels,
        "data_range": run.data_range,
        "shape": run.shape,
        "frames": run.frames,
        "data": run.data,
        "data_std": run.data_std,
    }


def _stage_from(record: Mapping[str, Any], run: int) -> Stage:
    seen, psnr, kept = record["range"], record["psnr"], record["retained"]
    return Stage(
        step=int(record["step"]),
        attempt=int(record["attempt"]),
        checkpoint=record["checkpoint"],
        retained=None if kept is None else tuple(float(share) for share in kept),
        sample_range=None if seen is None else SampleRange(**{name: float(value) for name, value in seen.items()}),
        psnr=None if psnr is None else float(psnr),
        denoising=tuple(LevelRecord(*(float(value) for value in level)) for level in record["denoising"]),
        frames=record["frames"],
        problem=record["problem"],
        seconds=float(record["seconds"]),
        run=run,
    )


def _stage_record(stage: Stage) -> dict[str, Any]:
    seen = stage.sample_range
    return {
        "schema": SCHEMA,
        "record": "stage",
        "step": stage.step,
        "attempt": stage.attempt,
        "checkpoint": stage.checkpoint,
        "retained": None if stage.retained is None else [_number(share) for share in stage.retained],
        "range": None if seen is None else {name: _number(value) for name, value in vars(seen).items()},
        "psnr": None if stage.psnr is None else _number(stage.psnr),
        "denoising": [[_number(x) for x in (level.sigma, level.mse, level.relative)] for level in stage.denoising],
        "frames": stage.frames,
        "problem": stage.problem,
        "seconds": _number(round(stage.seconds, 3)),
    }


def _number(value: float) -> float | str:
    """JSON has no infinity and no NaN: they are text, which ``float`` reads."""
    return float(value) if math.isfinite(value) else str(float(value))


def pack_frames(frames: Any, data_range: Sequence[float], *, fit: bool = False) -> tuple[Bytes, Array]:
    """Frames in 8 bits: 0 to 254 is the data's range, 255 is a value that is not finite.

    Args:
        frames: ``(N, C, H, W)``, data units.
        data_range: lowest and highest value.
        fit: whether frames that are wider than the range, but for the last, are divided until they fit: what a
            sampler starts from is noise many times as wide as the data.

    Returns:
        ``(N, C, H', W')`` uint8, the middle of each frame, at most :data:`SIDE` pixels wide and high; and ``(N,)`` by
        what each was divided, about the middle of the range.
    """
    values = np.asarray(frames, dtype=np.float64)
    height, width = values.shape[2:]
    top, left = (max(0, (size - SIDE) // 2) for size in (height, width))
    values = values[:, :, top : top + SIDE, left : left + SIDE]
    low, high = (float(end) for end in data_range)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    unit = (values - middle) / half
    divided = np.ones(len(values))
    for index in range(len(values) - 1 if fit else 0):
        finite = np.abs(unit[index][np.isfinite(unit[index])])
        width_needed = float(np.quantile(finite, 0.99)) if finite.size else 1.0
        if width_needed > 1.25:  # a little beyond the range is cut off, as a screen does
            divided[index] = width_needed
    unit = unit / divided[:, None, None, None]
    levels = np.rint(127.0 * (np.clip(np.nan_to_num(unit), -1.0, 1.0) + 1.0)).astype(np.uint8)
    return np.where(np.isfinite(unit), levels, np.uint8(BROKEN)), divided


def unpack_frames(packed: Any) -> Array:
    """What :func:`pack_frames` made, in [-1, 1]; NaN where a value was not finite."""
    levels = np.asarray(packed)
    return np.where(levels == BROKEN, np.nan, levels.astype(np.float64) / 127.0 - 1.0)


def write_frames(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an ``.npz`` file, whole or not at all; without a date."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:  # an .npz: one .npy an array
        for name, value in arrays.items():
            array = io.BytesIO()
            np.save(array, np.asarray(value), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    half = path.with_name(path.name + ".part")
    with half.open("wb") as file:
        file.write(written.getvalue())
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_frames(path: str | Path) -> dict[str, Any]:
    """The arrays of :func:`write_frames`.

    Raises:
        ValueError: when the file is missing or not whole, with its name.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


#: Who writes where in this process: a lock of the system is the process's, it cannot tell two writers in one apart.
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
        self.notes = [note for note in self.records.notes if TORN not in note]  # an old one was told when it was found
        if torn:
            self.notes.append(f"{torn} bytes of a write that was cut short were moved to {self._path.with_name(TORN)}")
        if self.records.runs and self.records.runs[-1].data != run.data:
            self.notes.append(
                f"{self.directory} holds stages measured against other frames of data: give the same frames at each "
                "start (a data set that is not shuffled), or the stages before and after differ by what the data does"
            )
        self.records = Records((*self.records.runs, run), self.records.stages, self.records.notes)
        self._append(_run_record(run))

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
        stage = Stage(**{**vars(stage), "attempt": self.attempt(stage.step), "run": len(self.records.runs) - 1})
        self.records = Records(self.records.runs, (*self.records.stages, stage), self.records.notes)
        self._append(_stage_record(stage))
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
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._file = self._lock = None

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


def _locked(directory: Path) -> int | None:
    """Hold the directory for this process; the system lets it go when the process ends, however it ends.

    Context: a kill must not leave a lock, and a worker that a data loader forked must not keep one. Choice: POSIX
    record locks, which are a process's own and not inherited. Reversed by: platforms without them, where nothing is
    locked and two writers would mix their lines.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise ValueError(
            f"another process (pid {holder}) is logging to {directory}: with several ranks make the monitor on rank 0 "
            "alone, otherwise give each process a directory of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
