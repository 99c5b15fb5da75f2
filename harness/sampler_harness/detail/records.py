"""Stages of a training run on disk: one line of JSON each, of which a kill at any moment loses none.

A directory holds ``stages.jsonl`` (the records), ``frames/`` (intermediate frames, one file a stage), ``lock`` (held
by the process that writes) with ``lock.pid`` (its number), and after a kill in the middle of a write ``stages.torn``.
A record is a line, ended by a newline: what has no newline was never logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sampler_harness.detail.spectrum import LevelError
from sampler_harness.plain import from_plain, plain

__all__ = [
    "RECORDS",
    "SCHEMA",
    "Records",
    "Run",
    "SampleRange",
    "Stage",
    "read_records",
    "run_record",
    "stage_record",
]

#: Grows when a key changes its meaning; readers refuse a higher one than they know.
SCHEMA = 1
RECORDS = "stages.jsonl"
TORN = "stages.torn"
LOCK = "lock"
HOLDER = "lock.pid"


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
    denoising: tuple[LevelError, ...] = ()
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
        unreadable: lines that cannot be read, a sentence each.
        torn: what is kept of writes that were cut short, in a sentence; empty where there is nothing.
    """

    runs: tuple[Run, ...] = ()
    stages: tuple[Stage, ...] = ()
    unreadable: tuple[str, ...] = ()
    torn: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        return (*self.unreadable, self.torn) if self.torn else self.unreadable

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
    is_torn = torn.exists() and torn.stat().st_size
    told = f"a write that a kill cut short is kept in {torn}; no logged stage is missing" if is_torn else ""
    return Records(tuple(runs), tuple(stages), tuple(notes), told)


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
    run: Run = from_plain(Run, {one.name: record[one.name] for one in fields(Run)})
    return run


def run_record(run: Run) -> dict[str, Any]:
    """A run as a line of ``stages.jsonl`` has it."""
    return {"schema": SCHEMA, "record": "run", **plain(run)}


def _stage_from(record: Mapping[str, Any], run: int) -> Stage:
    given = {**record, "sample_range": record["range"], "run": run}
    names = [one.name for one in fields(LevelError)]
    given["denoising"] = [dict(zip(names, level, strict=True)) for level in record["denoising"]]
    stage: Stage = from_plain(Stage, {one.name: given[one.name] for one in fields(Stage)})
    return stage


def stage_record(stage: Stage) -> dict[str, Any]:
    """A stage as a line of ``stages.jsonl`` has it: which run it is of, the lines before it tell."""
    record = {"range" if name == "sample_range" else name: plain(one) for name, one in vars(stage).items()}
    del record["run"]
    record["denoising"] = [list(level.values()) for level in record["denoising"]]
    return {"schema": SCHEMA, "record": "stage", **record, "seconds": round(stage.seconds, 3)}
