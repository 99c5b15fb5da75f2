"""What is this? The names that have a sampler's law in all of its runs; else the nearest one; else what it is like."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.identity import Identity, Name
from sampler_harness.observe.trace import Problem
from sampler_harness.subject import Subject

from .called_like import called_like
from .candidates import candidates
from .difference import differences
from .fitting import agreement, off
from .grids import has_levels
from .laid import Laid, grids_of
from .left_open import left_open
from .likeness import likeness
from .naming import named
from .noise_levels import gamma_min_of, window
from .observed import Observed, observed
from .order import NUMBERS, order_of
from .schedulers import on_schedulers
from .second_thoughts import clamped, on_named_chains, on_other_tables, solved
from .steps import Steps

__all__ = ["identify"]

#: Fields that levels by hand are given in, and what a run has of its own.
_OF_LEVELS = ("num_steps", "sigmas", "timesteps", "times", "betas", "train_sigmas", "num_train_timesteps")
#: Fields that say when something happens: each number of steps narrows the range that they lie in.
_WINDOWS = ("s_tmin", "s_tmax", "gamma_min")
#: Fields of which many steps say more than few.
_READ: tuple[str, ...] = (
    "eta",
    "s_noise",
    "s_churn",
    "gamma",
    "diffusion_scale",
    "initial_scale",
    "sigma_data",
    "sigma_min",
    "beta_start",
    "beta_end",
)

#: Share of a sampler's weights from which one is like it.
LIKE = 0.5
#: How near to a whole number an order is.
WHOLE = 0.2
#: Ways to read several runs together that are tried: a run alone may leave open where a window begins.
_TOGETHER = 64


@dataclasses.dataclass
class _Method:
    """A method that has the law of every run, each on its own levels by hand."""

    configs: list[Any]
    laid: list[Laid]
    #: A grid that has the levels of the first run, and not of all.
    once: list[Laid] = dataclasses.field(default_factory=list)


def identify(subject: Subject, configs: Sequence[tuple[int, Any]], *, target: str = "") -> Identity:
    """Name a sampler by what it does.

    Args:
        subject: how it is run; nothing of what it claims is asked.
        configs: numbers of steps and what the sampler is run with for each; the first is read, the others are held to
            what was read.
        target: as a person named it.

    Returns:
        Its names, or what it is like.
    """
    started = time.perf_counter()
    seen: list[Observed] = []
    left_out: list[str] = []
    for steps, config in configs:
        found = observed(subject, config, steps)
        if not seen and not isinstance(found, Problem) and (undone := _undone(subject, found)) is not None:
            subject, found = undone, observed(undone, config, steps)
        if isinstance(found, Problem):
            left_out.append(f"with {steps} steps: {found.message}" if len(configs) > 1 else found.message)
        else:
            seen.append(found)
    if not seen:
        return Identity(target, "unread", told=tuple(left_out[:1]), seconds=time.perf_counter() - started)
    answer = _answer(seen)
    beside = (
        ("the finished sample is brought to (x + 1) / 2",)
        if subject.output_shift == subject.output_scale == 0.5
        else ()
    )
    if answer.outcome != "exact" and len(configs) > 1 and not Steps(seen[0].law).drawn:
        beside = (*_order(subject, configs[0][1]), *beside)
    runs = ", ".join(str(one.steps) for one in seen)
    return dataclasses.replace(
        answer,
        target=target,
        like=(*likeness(seen[0]), *beside),
        runs=f"{runs} steps" if len(configs) > 1 else f"{seen[0].law.num_calls} model calls",
        left_out=tuple(left_out),
        seconds=time.perf_counter() - started,
    )


def _order(subject: Subject, config: Any) -> tuple[str, ...]:
    """A sentence on the order, where it is near a whole number."""
    laws = []
    for steps in NUMBERS:
        found = observed(subject, dataclasses.replace(config, num_steps=steps), steps)
        if isinstance(found, Problem):
            return ()
        laws.append(found.law)
    order = order_of(laws)
    if order is None or abs(order - round(order)) > WHOLE:
        return ()
    span = f"between {NUMBERS[1]} and {NUMBERS[2]} steps"
    return (f"it is of order {round(order)}: {span} its error falls {2**order:.3g} times",)


def _undone(subject: Subject, seen: Observed) -> Subject | None:
    """The sampler before it brings its finished sample from [-1, 1] to [0, 1]; None where it does not."""
    offset = seen.law.offset
    is_declared = subject.output_shift != 0 or subject.output_scale != 1
    if is_declared or abs(float(offset[-1]) - 0.5) > 1e-6 or np.abs(offset[:-1]).max(initial=0.0) > 0:
        return None
    return dataclasses.replace(subject, output_scale=0.5, output_shift=0.5)


def _answer(seen: Sequence[Observed]) -> Identity:
    first = seen[0]
    uneven = next((one.uneven for one in seen if one.uneven), "")
    tried = [candidates(one) for one in seen]
    methods: list[_Method] = []
    further = (on_schedulers, clamped) if first.is_affine else (clamped, on_schedulers)
    for again in (None, *further, on_other_tables, on_named_chains, solved):
        if again is not None:
            tried = [[*some, *again(one, some)] for one, some in zip(seen, tried, strict=True)]
        exact = [config for config in tried[0] if off(first, config) <= 1.0]
        methods = [method for config in exact if (method := _followed(config, seen, tried)) is not None]
        for method in methods:
            config = method.configs[0]
            found = list(grids_of(config, first))
            method.laid = [laid for laid in found if _is_laid(laid, method, seen)]
            lengths = [named(config, laid, first.steps).length for laid in found]
            by_length = [found[place] for place in np.argsort(lengths, kind="stable")]
            method.once = by_length[:1] if not method.laid else []
        if any(_is_named(method) for method in methods):
            break
    names = _names(methods, seen)
    if names and not uneven:
        return Identity("", "exact", names=tuple(names))
    if names:
        return Identity("", "nearest", names=tuple(names[:1]), told=(uneven,))
    return _nearest(seen, tried, exact)


def _is_named(method: _Method) -> bool:
    """Whether a description is short enough to end the search: no table of what the model is told is written out."""
    values = method.configs[0].values()
    return bool(method.laid) or (values.get("times") is None and values.get("betas") is None)


def _followed(config: Any, seen: Sequence[Observed], tried: Sequence[Sequence[Any]]) -> _Method | None:
    """The same method with the same fields in all runs, on the levels of each; None where one has it not."""
    choices = [[config]]
    for one, others in zip(seen[1:], tried[1:], strict=True):
        alike = [other for other in others if _is_alike(config, other) and off(one, other) <= 1.0]
        choices.append(sorted(alike, key=lambda other: other.values().get("initial_scale") is not None))
    for together in itertools.islice(itertools.product(*choices), _TOGETHER):
        shared = _shared(together)
        configs = [_held(shared, other, one) for one, other in zip(seen, together, strict=True)]
        if all(one is not None for one in configs):
            return _Method(configs, [])
    return None


def _shared(configs: Sequence[Any]) -> dict[str, Any]:
    """Fields of one method, read from runs of different lengths together.

    Where churn is as large as it may be, a run says what it is at least. A window lies between levels that rise and
    levels that do not, of all runs.
    """
    values = configs[0].values()
    shared = {name: one for name, one in values.items() if name in _READ}
    if "gamma_min" in values:
        shared["gamma_min"] = gamma_min_of(configs)
    if "s_churn" not in values:
        return shared
    shared["s_churn"] = max(one.s_churn for one in configs)
    raised = [float(s) for one in configs for s in one.levels[:-1] if one.gamma(s) > 0]
    still = [float(s) for one in configs for s in one.levels[:-1] if not one.gamma(s) > 0]
    if not raised:
        return shared
    return {**shared, "s_tmin": 0.0, "s_tmax": float("inf"), **window(np.array(raised), np.array(still))}


def _held(shared: dict[str, Any], other: Any, seen: Observed) -> Any:
    """What was read of one number of steps, with the fields of all; None where that has not its law."""
    own = dict(shared)
    if own.get("initial_scale") is not None and other.values()["initial_scale"] is not None:
        own["initial_scale"] = other.values()["initial_scale"]  # of its own first level
    try:
        given = dataclasses.replace(other, **own)
    except ValueError:
        return None
    return given if off(seen, given) <= 1.0 else None


def _is_alike(config: Any, other: Any) -> bool:
    """Whether two configurations are one method and process, whatever their levels and numbers."""
    if type(config) is not type(other):
        return False
    one, two = config.values(), other.values()
    left = (*_OF_LEVELS, *_WINDOWS, *_READ)
    if any(one[name] != two[name] for name in one if name not in left):
        return False
    is_named = one.get("betas") is None
    if is_named and "betas" in one and one["num_train_timesteps"] != two["num_train_timesteps"]:
        return False
    return (one.get("betas") is None) == (two.get("betas") is None) and (one.get("times") is None) == (
        two.get("times") is None
    )


def _apart(config: Any, seen: Sequence[Observed], tried: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """How the runs differ, of which the first has a configuration's law: numbers that change with the steps."""
    first = f"with {seen[0].steps} steps it has that law, with others it has not"
    found: dict[str, list[str]] = {}
    for one, others in zip(seen, tried, strict=True):
        alike = next((other for other in others if _is_alike(config, other) and off(one, other) <= 1.0), None)
        if alike is None:
            return (first,)
        for name in _READ:
            if name in alike.values() and alike.values()[name] is not None:
                found.setdefault(name, []).append(f"{alike.values()[name]:.6g} with {one.steps} steps")
    moving = {name: told for name, told in found.items() if len({one.partition(" ")[0] for one in told}) > 1}
    return (first, *(f"{name} is {', '.join(told)}" for name, told in moving.items()))


def _is_laid(laid: Laid, method: _Method, seen: Sequence[Observed]) -> bool:
    """Whether a method on a grid has the law of every run."""
    for one, config in zip(seen, method.configs, strict=True):
        other = laid.on(config, one.steps)
        if other is None or (off(one, other) > 1.0 and not has_levels(other, np.asarray(config.levels))):
            return False
    return True


def _names(methods: Sequence[_Method], seen: Sequence[Observed]) -> list[Name]:
    """Every name that fits, the shortest description first; a table written out only where none has a name."""
    found = []
    for method in methods:
        config = method.configs[0]
        grids: list[Laid | None] = [*method.laid] or [None]
        told = left_open(method.configs, seen)
        for laid in method.once:
            of_first = named(config, laid, seen[0].steps).grid
            told = (*told, f"with {seen[0].steps} steps it is {of_first}, with other numbers of steps not")
        found += [named(config, laid, seen[0].steps, told) for laid in grids[:3]]
    by_family: dict[str, list[Name]] = {}
    for name in sorted(found, key=lambda one: one.length):
        by_family.setdefault(name.family, []).append(name)
    kept = [name for some in by_family.values() for name in some if name is some[0] or _is_as_short(name, some[0])]
    return sorted(dict.fromkeys(kept), key=lambda one: one.length)


def _is_as_short(name: Name, shortest: Name) -> bool:
    """Whether another grid describes the levels as well."""
    return not name.by_hand and name.length <= shortest.length + 0.5


def _nearest(seen: Sequence[Observed], tried: Sequence[Sequence[Any]], exact: Sequence[Any]) -> Identity:
    """The configuration that shares most of the sampler's weights, and where the first one differs."""
    first = seen[0]
    if exact:
        return Identity("", "nearest", names=(named(exact[0], None, first.steps),), told=_apart(exact[0], seen, tried))
    rated = [(agreement(first, config), -index) for index, config in enumerate(tried[0])]
    most, place = max(rated, default=(0.0, 0))
    if most < LIKE:
        return Identity("", "none", told=called_like(seen, tried))
    config = tried[0][-place]
    return Identity("", "nearest", names=(named(config, None, first.steps),), told=differences(first, config))
