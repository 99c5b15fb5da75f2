"""Checkpoints that hold the same weights: what training never reaches, or an average that never moved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sampler_harness.detail.networks import networks_of

from .experiment import Experiment
from .verdict import Stage

__all__ = ["equal_checkpoints", "fingerprint", "still_averages"]

#: Files above this are not read a second time for what in them moved, bytes.
LARGEST = 2**32


def fingerprint(model: Callable[..., Any], experiment: Experiment) -> str:
    """Of a model's weights; where it shows none, of its first answer.

    Buffers are left out: statistics and counters move in a run whose weights stand still.

    Args:
        model: as loaded.
        experiment: of it.
    """
    digest = hashlib.sha256()
    parameters = [one for network in networks_of(model) for one in network.parameters() if not one.is_meta]
    for one in parameters:
        digest.update(one.detach().to("cpu").contiguous().flatten().view(torch.uint8).numpy().tobytes())
    if not parameters:
        digest.update(np.ascontiguousarray(experiment.reference.outputs[:1]).tobytes())
    return digest.hexdigest()[:16]


def equal_checkpoints(stages: Sequence[Stage], paths: Sequence[str | Path]) -> str:
    """What is the same in checkpoints that should differ, in a sentence; empty where all differ.

    Args:
        stages: one for each path.
        paths: of the files, the earliest first.
    """
    seen: dict[str, int] = {}
    for place, stage in enumerate(stages):
        if stage.experiment is None:
            continue
        first = seen.setdefault(stage.weights, place)
        if first != place:
            return _sentence(stages, [Path(path) for path in paths], first)
    return ""


def _sentence(stages: Sequence[Stage], paths: Sequence[Path], first: int) -> str:
    alike = [place for place, stage in enumerate(stages) if stage.weights == stages[first].weights]
    names = [stages[place].name for place in alike]
    told = f"{', '.join(names[:-1])} and {names[-1]} give the model the same weights"
    files = [_bytes_of(paths[place]) for place in alike]
    if None in files:
        return f"{told}: does the loader read the file that it is given?"
    moved, still = _groups(paths[alike[0]], paths[alike[-1]])
    if len(set(files)) == 1 or (still and not moved):
        return f"{told}, and so do the files hold the same: what is saved does not change"
    if moved and still:
        what = "the average that is loaded never moved" if _averages(still) else "what is loaded was never trained"
        return f"{told}: in the files {' and '.join(moved)} changed, {' and '.join(still)} did not: {what}"
    if moved:
        return f"{told}, though those in the files differ: the loader does not load them"
    return f"{told}, though the files differ: the loader does not read them, or loads what never moved (an EMA?)"


def still_averages(paths: Sequence[str | Path]) -> str:
    """That an average in the files never moves while other weights do, in a sentence; empty where there is none.

    Args:
        paths: of checkpoints, the earliest first.
    """
    if len(paths) < 2:
        return ""
    moved, still = _groups(Path(paths[0]), Path(paths[-1]))
    averages = _averages(still)
    if not moved or not averages:
        return ""
    names = f"{Path(paths[0]).name} to {Path(paths[-1]).name}"
    return f"from {names} {' and '.join(averages)} never moves in the files, while {' and '.join(moved)} does"


def _averages(names: Sequence[str]) -> list[str]:
    """Those that are called like an average of weights."""
    return [name for name in names if any(word in name.lower() for word in ("ema", "avg", "average", "shadow"))]


def _bytes_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _groups(one: Path, other: Path) -> tuple[list[str], list[str]]:
    """Names of the parts of two files whose weights differ, and of those whose do not; none where they cannot be read.

    Only tensors are read, nothing in the files is run.
    """
    parts = []
    for path in (one, other):
        try:
            if path.stat().st_size > LARGEST:
                return [], []
            held = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # any format that is not torch's own
            return [], []
        groups = held if isinstance(held, Mapping) and any(isinstance(one, Mapping) for one in held.values()) else {}
        parts.append({str(name): _digest(value) for name, value in (groups or {"weights": held}).items()})
    common = [name for name, digest in parts[0].items() if digest and parts[1].get(name)]
    moved = [name for name in common if parts[0][name] != parts[1][name]]
    return moved, [name for name in common if name not in moved]


def _digest(value: Any) -> str:
    """Of all tensors in nested mappings; empty where there are none."""
    digest, found = hashlib.sha256(), False

    def walk(held: Any) -> None:
        nonlocal found
        if isinstance(held, Tensor) and held.is_floating_point():
            found = True
            digest.update(held.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(held, Mapping):
            for one in held.values():
                walk(one)
        elif isinstance(held, (list, tuple)):
            for one in held:
                walk(one)

    walk(value)
    return digest.hexdigest() if found else ""
