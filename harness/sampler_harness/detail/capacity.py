"""Whether a model is large enough and trained enough: its denoising error beside those of denoisers without training.

A linear filter is what a network must beat at every noise level; the training set itself, known by heart, is what it
comes to when it has memorised. A larger network, or another one, is judged by the same table.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from sampler_harness.detail.baselines import EmpiricalDenoiser, linear_filters
from sampler_harness.detail.denoising import (
    Denoiser,
    ReferenceDenoiser,
    as_denoiser,
    checked_levels,
    chosen_frames,
    default_levels,
    missed,
    told_levels,
)
from sampler_harness.detail.networks import networks_of
from sampler_harness.detail.spectrum import Array, as_frames, retained

__all__ = ["CapacityReport", "ModelCapacity", "capacity_probe", "worse_levels"]

Kind = Literal["broken", "memorising", "worse", "better"]

#: Two errors that differ by less are alike: the items are the same, but they are few.
ALIKE = 0.05
#: Training frames that are denoised with less than this share of the error on others are known by heart.
BY_HEART = 0.5


@dataclass(frozen=True)
class Errors:
    """Denoising errors of one denoiser.

    Attributes:
        held: per level, on held-out frames: mean squared error over the data's variance.
        train: the same on training frames; None where none were given.
        finest: per level, on held-out frames: the error's power in the finest octave over the data's; None where the
            data has none.
    """

    held: tuple[float, ...]
    train: tuple[float, ...] | None
    finest: tuple[float, ...] | None


@dataclass(frozen=True)
class ModelCapacity:
    """One model of the probe.

    Attributes:
        name: as given.
        parameters: how many it has; 0 for a denoiser without a network.
        seconds: per item and level, wall clock; it decides nothing.
        errors: None where the model could not be run.
        kind: the verdict in one word.
        verdict: the same for a person.
    """

    name: str
    parameters: int
    seconds: float
    errors: Errors | None
    kind: Kind
    verdict: str


@dataclass(frozen=True)
class CapacityReport:
    """All models of a probe beside the two denoisers that need no training.

    Attributes:
        levels: noise levels, data units.
        models: as given.
        linear: the best linear filter fitted on the training frames, at each level the better one where there are two.
            It knows the mean frame: where the background stands still, a network must have learned where things are.
        memory: the posterior mean over the training frames.
        comparisons: of each model with the next larger one, in words.
        notes: what a reader must know.
    """

    levels: tuple[float, ...]
    models: tuple[ModelCapacity, ...]
    linear: Errors
    memory: Errors
    comparisons: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; equal for equal models but for the seconds."""
        found: dict[str, Any] = asdict(self)
        return found

    def render(self) -> list[str]:
        """A table for a terminal, one string a line."""
        wide = max(16, *(len(one.name) for one in self.models))
        head = f"{'':{wide}} {'parameters':>11} {'ms/item':>8} " + " ".join(f"{s:>8.3g}" for s in self.levels)
        lines = ["denoising error over the data's variance, per noise level (sigma, data units)"]
        sections: list[tuple[str, Callable[[Errors], tuple[float, ...] | None]]] = [
            ("on held-out frames", lambda errors: errors.held),
            ("on training frames", lambda errors: errors.train),
            ("on held-out frames, finest octave alone", lambda errors: errors.finest),
        ]
        for title, read in sections:
            if read(self.linear) is None:
                continue
            lines += ["", title, head, _row("linear filter", wide, None, None, read(self.linear))]
            lines.append(_row("training set", wide, None, None, read(self.memory)))
            for one in self.models:
                values = None if one.errors is None else read(one.errors)
                lines.append(_row(one.name, wide, one.parameters, one.seconds, values))
        lines += ["", *(f"{one.name}: {one.verdict}" for one in self.models)]
        return [*lines, *self.comparisons, *(f"note: {note}" for note in self.notes)]


def _row(name: str, wide: int, parameters: int | None, seconds: float | None, values: Sequence[float] | None) -> str:
    size = "" if parameters is None else f"{parameters:,}"
    cost = "" if seconds is None else f"{1e3 * seconds:.3g}"
    shown = "could not be run" if values is None else " ".join(f"{value:>8.3g}" for value in values)
    return f"{name:{wide}} {size:>11} {cost:>8} {shown}"


def capacity_probe(
    models: Mapping[str, Denoiser | tuple[Callable[..., Any], Any]],
    data: Any,
    *,
    train: Any = None,
    levels: Sequence[float] | None = None,
    device: str = "cpu",
    items: int = 64,
) -> CapacityReport:
    """Denoising errors of models beside a linear filter's and the training set's own.

    Args:
        models: name to denoiser ``(x, sigma)``, or to ``(network, reference)`` as :func:`~.denoising.as_denoiser` takes
            them.
        data: ``(N, C, H, W)`` or ``(N, H, W)`` frames that no model was trained on, data units.
        train: frames that they were trained on; None to fit the filter on the first half of ``data`` and to measure on
            the second, without a word about memorising.
        levels: data units, > 0; None for eight from 0.02 to 20, or the nearest ones that the first chain is told.
        device: where the weights are.
        items: frames that are denoised of each set, evenly spaced.

    Returns:
        The table, a verdict for each model, and whether the larger ones are better. Linear filters assume nothing of
        the frames but their covariance: what a model knows beyond them is structure.

    Raises:
        ValueError: when there is no model, or data or levels cannot be used. A model that cannot be run is told in
            its row.
    """
    if not models:
        raise ValueError("models are empty: give at least one, as {name: denoiser}")
    denoisers = {name: _as_denoiser(name, model) for name, model in models.items()}
    held, fitted, notes = _split(data, train)
    chosen = _levels(denoisers, levels)
    sets = _Sets(held, None if train is None else fitted, chosen, items)
    linear = _lowest([sets.measured(one, "cpu")[0] for one in linear_filters(fitted)])
    memory = sets.measured(EmpiricalDenoiser(fitted), "cpu")[0]
    found = tuple(_probed(name, denoiser, sets, linear, device) for name, denoiser in denoisers.items())
    return CapacityReport(chosen, found, linear, memory, _comparisons(found, chosen), notes)


def _as_denoiser(name: str, model: Any) -> Denoiser:
    if isinstance(model, tuple) and len(model) == 2:
        return as_denoiser(*model)
    if not callable(model):
        raise ValueError(f"model {name!r} is {type(model).__name__}, should be a denoiser, or (network, reference)")
    denoiser: Denoiser = model
    return denoiser


def _split(data: Any, train: Any) -> tuple[Array, Array, tuple[str, ...]]:
    """Held-out frames, frames to fit on, and what to say about them."""
    frames = as_frames(data, "data")
    if train is None:
        if len(frames) < 4:
            raise ValueError(f"data holds {len(frames)} frames: without train 4 or more are needed, half to fit")
        half = len(frames) // 2
        note = (
            "no training frames were given: the linear filter and the training set's row are those of the first "
            f"{half} frames, errors are measured on the rest, and whether a model memorises cannot be told"
        )
        return frames[half:], frames[:half], (note,)
    fitted = as_frames(train, "train")
    if fitted.shape[1:] != frames.shape[1:]:
        raise ValueError(f"train has frames of shape {fitted.shape[1:]}, data of {frames.shape[1:]}")
    few = len(fitted) < 32
    note = f"the linear filter was fitted on {len(fitted)} frames alone: with more it would be better"
    return frames, fitted, (note,) if few else ()


def _levels(denoisers: Mapping[str, Denoiser], levels: Sequence[float] | None) -> tuple[float, ...]:
    if levels is not None:
        return checked_levels(levels)
    chosen = default_levels()
    for denoiser in denoisers.values():
        if isinstance(denoiser, ReferenceDenoiser):
            told = told_levels(denoiser.reference, chosen)
            if told != chosen:
                return tuple(dict.fromkeys(told))
    return chosen


@dataclass(frozen=True, eq=False)
class _Sets:
    """The frames and levels that every denoiser is measured on."""

    held: Array
    train: Array | None
    levels: tuple[float, ...]
    items: int

    @property
    def variance(self) -> float:
        return float(self.held.var())

    def measured(self, denoiser: Denoiser, device: str) -> tuple[Errors, float]:
        """Errors, and seconds per item and level on the held-out frames.

        Raises:
            ValueError: when the denoiser returns NaN or another shape.
        """
        held, finest, seconds = self._of(denoiser, self.held, device)
        train = None if self.train is None else self._of(denoiser, self.train, device)[0]
        return Errors(held, train, finest), seconds

    def _of(
        self, denoiser: Denoiser, data: Array, device: str
    ) -> tuple[tuple[float, ...], tuple[float, ...] | None, float]:
        frames, variance = chosen_frames(data, self.items)
        started = time.perf_counter()
        found = [errors for _, errors in missed(denoiser, frames, self.levels, device=device)]
        seconds = (time.perf_counter() - started) / (len(frames) * len(found))
        finest = [_finest(errors, frames) for errors in found]
        known = tuple(one for one in finest if one is not None)
        relative = tuple(float((errors**2).mean()) / variance for errors in found)
        return relative, known if len(known) == len(finest) else None, seconds


def _finest(errors: Array, frames: Array) -> float | None:
    """The error's power over the data's in the finest octave; None where the data has none."""
    try:
        return retained(errors, frames)[0]
    except ValueError:
        return None


def _lowest(errors: Sequence[Errors]) -> Errors:
    """At each level the lowest of several."""

    def lowest(rows: list[tuple[float, ...] | None]) -> tuple[float, ...] | None:
        known = [row for row in rows if row is not None]
        return tuple(min(column) for column in zip(*known, strict=True)) if len(known) == len(rows) else None

    held = lowest([one.held for one in errors])
    assert held is not None
    return Errors(held, lowest([one.train for one in errors]), lowest([one.finest for one in errors]))


def _probed(name: str, denoiser: Denoiser, sets: _Sets, linear: Errors, device: str) -> ModelCapacity:
    parameters = sum(values.numel() for network in networks_of(denoiser) for values in network.parameters())
    try:
        errors, seconds = sets.measured(denoiser, device)
    except ValueError as error:
        return ModelCapacity(name, parameters, 0.0, None, "broken", f"broken: {error}")
    kind, verdict = _verdict(errors, linear, sets.levels, sets.variance)
    return ModelCapacity(name, parameters, seconds, errors, kind, verdict)


def _verdict(errors: Errors, linear: Errors, levels: tuple[float, ...], variance: float) -> tuple[Kind, str]:
    """What a model's errors say of it."""
    idle = [min(1.0, sigma**2 / variance) for sigma in levels]
    broken, worse = (worse_levels(levels, errors.held, other, slack=ALIKE) for other in (idle, linear.held))
    by_heart = _by_heart(errors, linear, levels)
    if by_heart:
        text = (
            f"near memorising at sigma {_shown(by_heart)}: training frames come out with less than half the error of "
            "others; more data or an earlier stop helps, a larger network does not"
        )
        return "memorising", text + (f". Worse than a linear filter at sigma {_shown(worse)}" if worse else "")
    if broken:
        text = (
            f"broken or untrained at sigma {_shown(broken)}: worse than giving back the noisy frame or the mean gray; "
            "look at what the model is told there, and whether that level was ever trained"
        )
        others = [sigma for sigma in worse if sigma not in broken]
        return "broken", text + (f". Worse than a linear filter at sigma {_shown(others)} too" if others else "")
    if worse:
        return "worse", (
            f"worse than a linear filter at sigma {_shown(worse)}: too small, undertrained or broken there; train "
            "longer first, and where the error has stopped falling take a larger network"
        )
    ratios = [own / other for own, other in zip(errors.held, linear.held, strict=True)]
    best = int(np.argmin(ratios))
    if ratios[best] > 1 - ALIKE:
        return "better", "as good as a linear filter at every level, and no better: it knows no structure beyond it"
    return "better", (
        f"as good as a linear filter or better at every level, at sigma {levels[best]:.3g} with {ratios[best]:.0%} of "
        "its error"
    )


def worse_levels(
    levels: Sequence[float], own: Sequence[float], other: Sequence[float], *, slack: float = 0.0
) -> list[float]:
    """The levels at which one denoiser's error is above another's, by more than a share ``slack`` of it.

    Args:
        levels: data units.
        own: errors of the one, a level each.
        other: of the other, a linear filter's for example.
        slack: 0.05 lets 5 % more pass.
    """
    return [s for s, mine, theirs in zip(levels, own, other, strict=True) if mine > (1 + slack) * theirs]


def _by_heart(errors: Errors, linear: Errors, levels: tuple[float, ...]) -> list[float]:
    """Levels at which training frames are known better than they are easier: the linear filter says how much."""
    if errors.train is None or linear.train is None:
        return []
    columns = zip(levels, errors.train, errors.held, linear.train, linear.held, strict=True)
    return [s for s, own, new, easy, hard in columns if own * hard < BY_HEART * new * easy]


def _shown(levels: Sequence[float]) -> str:
    return ", ".join(f"{sigma:.3g}" for sigma in levels)


def _comparisons(models: Sequence[ModelCapacity], levels: tuple[float, ...]) -> tuple[str, ...]:
    """Each model with the next larger one, in words."""
    sized = sorted((one for one in models if one.errors is not None and one.parameters), key=lambda one: one.parameters)
    return tuple(_compared(small, large, levels) for small, large in itertools.pairwise(sized))


def _compared(small: ModelCapacity, large: ModelCapacity, levels: tuple[float, ...]) -> str:
    assert small.errors is not None
    assert large.errors is not None
    ratios = [b / a for a, b in zip(small.errors.held, large.errors.held, strict=True)]
    better = [s for s, ratio in zip(levels, ratios, strict=True) if ratio < 1 - ALIKE]
    worse = worse_levels(levels, large.errors.held, small.errors.held, slack=ALIKE)
    sizes = f"{large.name} ({large.parameters:,} parameters) against {small.name} ({small.parameters:,})"
    if better and not worse:
        return f"{sizes}: better at sigma {_shown(better)}, by up to {1 - min(ratios):.0%}: it is worth its size"
    if better:
        return f"{sizes}: better at sigma {_shown(better)}, worse at sigma {_shown(worse)}: no answer for all levels"
    before, after = small.errors.train, large.errors.train
    if (
        before is not None
        and after is not None
        and any(b < (1 - ALIKE) * a for a, b in zip(before, after, strict=True))
    ):
        return (
            f"{sizes}: better on its training frames alone, not on others: more data is wanting, not a larger network"
        )
    if worse:
        return f"{sizes}: worse at sigma {_shown(worse)}: size is not what is wanting; is it trained as long?"
    return f"{sizes}: no difference: size is not what is wanting; look at training, data and what the model is told"
