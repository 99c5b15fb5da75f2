"""What ``check-sampler --model … --data …`` does, once targets are loaded."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from sampler_harness.subject import AnySubject
from sampler_harness.targets import TargetError, load_attribute

from .triage import render, run_triage

__all__ = ["answer"]

FINE, AT_FAULT, UNDECIDED = 0, 1, 3


def answer(
    subjects: Sequence[AnySubject],
    *,
    model: str,
    data: str,
    checkpoints: Sequence[str],
    device: str,
    budget: str,
    json_file: str | None,
    html_file: str | None,
    stream: TextIO,
) -> int:
    """Run the triage and tell its answer.

    Args:
        subjects: every declaration that was named.
        model: ``module:loader``; the loader gets a checkpoint's path, or None, and returns ``(x, time) -> output``.
        data: ``module:name`` of the frames, or of a function without arguments that returns them.
        checkpoints: paths, the earliest first.
        device: of the model.
        budget: of the checks.
        json_file: where to write JSON; ``-`` for ``stream``.
        html_file: where to write the page.
        stream: for the text.

    Returns:
        0 where nothing was found, 1 where a cause is named, 3 where it cannot be told.

    Raises:
        TargetError: when a target cannot be loaded.
        ValueError: when data or checkpoints cannot be used.
    """
    missing = [path for path in checkpoints if not Path(path).is_file()]
    if missing:
        raise TargetError(f"there is no checkpoint {missing[0]}")
    loader: Callable[..., Any] = load_attribute(model)
    if not callable(loader):
        raise TargetError(f"{model} is no function: give a loader, load(checkpoint) -> model(x, time)")
    given = load_attribute(data)
    frames = given if not callable(given) else given()
    verdict = run_triage(loader, lambda: frames, subjects, checkpoints, device=device, budget=budget)
    if json_file == "-":
        stream.write(json.dumps([verdict.to_json()], indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    else:
        stream.writelines(line + "\n" for line in render(verdict))
    if json_file not in (None, "-"):
        text = json.dumps([verdict.to_json()], indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        Path(str(json_file)).write_text(text, encoding="utf-8")
    if html_file is not None:
        page = importlib.import_module("sampler_harness.triage.page")
        page.write_triage_page(verdict, html_file)
    return {"none": FINE, "unknown": UNDECIDED}.get(verdict.cause, AT_FAULT)
