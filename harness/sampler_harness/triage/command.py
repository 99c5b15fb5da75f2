"""What ``check-sampler --model … --data …`` does, once targets are loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from sampler_harness.importing import TargetError
from sampler_harness.report.page import write_page
from sampler_harness.subject import AnySubject
from sampler_harness.targets import load_attribute

from .page import triage_page
from .raised import called
from .telling import render
from .triage import triage

__all__ = ["answer", "one_of_each"]


def answer(
    subjects: Sequence[AnySubject],
    *,
    model: str,
    data: str,
    checkpoints: Sequence[str],
    settings: Mapping[str, Any],
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
        settings: fields that the user samples with.
        device: of the model.
        budget: of the checks.
        json_file: where to write JSON; ``-`` for ``stream``.
        html_file: where to write the page.
        stream: for the text.

    Returns:
        0 where nothing was found, 1 where a cause is named, 3 where it cannot be told yet.

    Raises:
        TargetError: when a target cannot be loaded.
        ValueError: when data, checkpoints, configuration or model cannot be used, one sentence.
    """
    missing = [path for path in checkpoints if not Path(path).is_file()]
    if missing:
        raise TargetError(f"there is no checkpoint {missing[0]}")
    loader: Callable[..., Any] = load_attribute(model)
    if not callable(loader):
        raise TargetError(f"{model} is no function: give a loader, load(checkpoint) -> model(x, time)")
    by_kind = one_of_each(subjects)
    given = load_attribute(data)
    frames = called(given, whose=data) if callable(given) else given
    verdict = triage(
        model=loader if checkpoints else called(loader, None, whose=model),
        data=frames,
        sampler=by_kind["sampler"],
        checkpoints=checkpoints,
        training=by_kind.get("training"),
        preprocess=by_kind.get("preprocessing"),
        data_stream=by_kind.get("data"),
        settings=settings,
        device=device,
        budget=budget,
    )
    text = json.dumps([verdict.to_json()], indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    stream.write(text if json_file == "-" else "".join(line + "\n" for line in render(verdict)))
    if json_file not in (None, "-"):
        Path(str(json_file)).write_text(text, encoding="utf-8")
    if html_file is not None:
        write_page(triage_page(verdict), html_file)
    return verdict.status


def one_of_each(subjects: Sequence[AnySubject]) -> dict[str, Any]:
    """The declarations by their kind, a sampler among them.

    Args:
        subjects: every declaration that was named.

    Raises:
        ValueError: when there is no sampler, or more than one of a kind.
    """
    by_kind: dict[str, AnySubject] = {}
    for subject in subjects:
        if subject.kind in by_kind:
            raise ValueError(f"two declarations of a {subject.kind}: name the one that belongs to the model")
        by_kind[subject.kind] = subject
    if "sampler" not in by_kind:
        raise ValueError("no sampler was named: add the target of a function under @sampler_under_test")
    return by_kind
