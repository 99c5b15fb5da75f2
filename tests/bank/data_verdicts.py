"""Verdicts of the data fixtures, measured once per process; frames of real games."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Finding, Verdict

__all__ = ["atari_frames", "failed", "finding_of", "told", "verdict_of"]

_verdicts: dict[str, Verdict] = {}


def verdict_of(target: str) -> Verdict:
    """The verdict of a fixture; measured once per process."""
    if target not in _verdicts:
        _verdicts[target] = check_sampler(load_subject(target))
    return _verdicts[target]


def failed(verdict: Verdict) -> tuple[str, ...]:
    """Ids of the checks that failed."""
    return tuple(f.id for f in verdict.findings if f.outcome == "failed")


def told(verdict: Verdict) -> list[tuple[str, str]]:
    """What is held against a subject."""
    return [(f.id, f.message) for f in verdict.findings if f.outcome in ("failed", "error")]


def finding_of(subject: AnySubject, check: str) -> Finding:
    """One check's finding of a subject."""
    verdict = check_sampler(subject, checks=[check])
    return verdict.findings[0]


def atari_frames(game: str, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Frames of a real game, ``(count, 210, 160, 3)``: every fourth, under a fixed sequence of actions.

    Skips the test where the emulator is not installed.
    """
    pytest.importorskip("ale_py")
    ale_py: Any = importlib.import_module("ale_py")
    roms: Any = importlib.import_module("ale_py.roms")
    emulator = ale_py.ALEInterface()
    emulator.setLoggerMode(ale_py.LoggerMode.Error)
    emulator.setInt("random_seed", 1)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(roms.get_rom_path(game))
    actions = emulator.getMinimalActionSet()
    frames = []
    for step in range(4 * count):
        emulator.act(actions[(step * 7 // 5) % len(actions)])
        if step % 4 == 3:
            frames.append(emulator.getScreenRGB())
        if emulator.game_over():
            emulator.reset_game()
    return np.stack(frames)
