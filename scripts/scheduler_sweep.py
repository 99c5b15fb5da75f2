"""What a scheduler of diffusers does, over a broad sweep of its legal uses: whether a changed one does anything else.

A use is legal where the released scheduler raises nothing. What a changed one does differently in none of them changes
nothing, as far as seen; the first kind of use in which it differs is the kind of the change. Values are compared to
rounding, dtypes exactly, and what raises where the release does not differs. Draws may have another sign, and there may
be one times 0: no law knows of either.
"""

from __future__ import annotations

import copy
import itertools
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .scheduler_runs import (
    DRAWS,
    SHAPE,
    Option,
    begin,
    forward_of,
    lay_out,
    make,
    options_of,
    run,
    tables,
    tensor,
    told_x0,
    walk,
)

__all__ = ["KINDS", "Use", "does_the_same", "seen", "uses"]

#: Kinds of uses, in the order in which a change is held against them.
KINDS = ("default loop", "option", "forward", "state", "dtype", "before set_timesteps")
#: Rounding of float32, grown along a run: far below whatever a changed formula does.
ROUNDING = 1e-5
#: Of float32.
EPS = 2.0**-23

#: With which the tables before ``set_timesteps`` are looked at.
_MADE_BEFORE: tuple[tuple[Option, ...], ...] = tuple(
    (("made", option, value),)
    for option, value in (
        ("timestep_spacing", "leading"),
        ("timestep_spacing", "trailing"),
        ("sigma_max", 2.0),
        ("beta_schedule", "scaled_linear"),
        ("prediction_type", "v_prediction"),
        ("use_karras_sigmas", True),
        ("rescale_betas_zero_snr", True),
        ("final_sigmas_type", "sigma_min"),
        ("num_train_timesteps", 100),
    )
)


class Use(NamedTuple):
    """One way to use a scheduler.

    Attributes:
        kind: one of :data:`KINDS`.
        name: what is done.
        run: does it with a class and returns all that one can see.
    """

    kind: str
    name: str
    run: Callable[[type[Any]], list[Any]]


def seen(use: Use, scheduler: type[Any], sign: float = 1.0) -> list[Any] | None:
    """What a scheduler does in one use, with draws of one sign; None where it raises."""
    torch.manual_seed(0)
    DRAWS.sign = sign
    try:
        return [_value(one) for one in use.run(scheduler)]
    except Exception:  # whatever a changed program raises
        return None


def does_the_same(got: list[Any] | None, should_be: list[Any] | None) -> bool:
    """Whether two uses cannot be told apart but for rounding."""
    if got is None or should_be is None:
        return got is should_be
    # What is small may be the difference of numbers as large as the largest of the run.
    largest = max((_size(one[1]) for one in should_be if isinstance(one, tuple)), default=0.0)
    floor = 8 * EPS * largest
    pairs = zip(got, should_be, strict=False)
    return len(got) == len(should_be) and all(_alike(one, other, floor) for one, other in pairs)


def _size(values: Any) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _value(one: Any) -> Any:
    if isinstance(one, Tensor):
        rounding = torch.finfo(one.dtype).eps if one.is_floating_point() else 0.0
        return str(one.dtype), one.double().numpy(), max(8 * rounding, ROUNDING)
    if isinstance(one, np.ndarray):
        return str(one.dtype), one.astype(np.float64), ROUNDING
    return one


def _alike(one: Any, other: Any, floor: float) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        (dtype, values, rounding), (wanted, should_be, _) = one, other
        if dtype != wanted or values.shape != should_be.shape:
            return False
        size = _size(should_be)
        # Entry by entry as well: the noise level that a run ends at is small beside the one it starts at. A logarithm
        # near 0 is as exact as those around it.
        least = 4 * EPS * size if (should_be < 0).any() else 1e-30
        allowed = max(rounding * size, floor)
        return bool(np.allclose(values, should_be, rtol=10 * rounding, atol=allowed, equal_nan=True)) and bool(
            values.ndim != 1 or np.allclose(values, should_be, rtol=rounding, atol=least, equal_nan=True)
        )
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=ROUNDING, atol=0.0, equal_nan=True))
    return type(one) is type(other) and bool(one == other)


def _told(option: Option) -> str:
    return f"{option[1]}={str(option[2])[:30]}"


def uses(name: str) -> list[Use]:
    """All uses of a scheduler, by kind in the order of :data:`KINDS`.

    Args:
        name: of the class.
    """
    found = [*_loops(), *_optional(name), *_forward(name), *_state(), *_dtypes(name), *_before()]
    return sorted(found, key=lambda use: KINDS.index(use.kind))


def _loops() -> Iterator[Use]:
    for steps in (5, 1, 2, 10, 50):
        yield Use("default loop", f"{steps} steps", partial(run, steps=steps))


def _optional(name: str) -> Iterator[Use]:
    pool = options_of(name)
    chosen: list[tuple[Option, ...]] = [(one,) for one in pool]
    chosen += [(one, other) for one, other in itertools.combinations(pool, 2) if one[:2] != other[:2]]
    draw = random.Random(0)
    chosen += [tuple(draw.sample(pool, 4)) for _ in range(100)]
    for options in chosen:
        told = ", ".join(_told(option) for option in options)
        # With 61 the released schedulers count one trailing timestep too many.
        alone = (7, 2, 61) if options[0][2] == "trailing" else (7, 2)
        for steps in alone if len(options) == 1 else (4,):
            yield Use("option", told, partial(run, options=options, steps=steps))
    yield Use("option", "x0 as step tells it", told_x0)


def _forward(name: str) -> Iterator[Use]:
    for shape in (SHAPE, (1, 5), (3, 2, 2, 2, 2)):
        yield Use("forward", f"shape {shape}", partial(forward_of, shape=shape))
    yield Use("forward", "whole timesteps", _whole_timesteps)
    for index in (0, 2):
        yield Use("forward", f"from entry {index}", partial(forward_of, first=index))
    for option in options_of(name):
        if option[0] != "stepped":
            yield Use("forward", _told(option), partial(forward_of, options=(option,)))


def _whole_timesteps(scheduler_class: type[Any]) -> list[Any]:
    scheduler = lay_out(scheduler_class(), (), 10)
    times = torch.tensor([0, 999])
    found = [scheduler.add_noise(tensor(3), tensor(4), times)]
    return [*found, scheduler.get_velocity(tensor(3), tensor(4), times)] if "get_velocity" in dir(scheduler) else found


def _state() -> Iterator[Use]:
    def twice(c: type[Any]) -> list[Any]:
        scheduler = c()
        return [one for steps in (5, 3, 5) for one in walk(lay_out(scheduler, (), steps))]

    def from_the_middle(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 6)
        first = 2 * scheduler.order
        return [*walk(begin(scheduler, first), first=first), scheduler.begin_index, scheduler.step_index]

    def without_begin_index(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 6)
        return walk(scheduler, first=2 * scheduler.order)

    def counted(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 4)
        found = [scheduler.step_index, scheduler.begin_index]
        x = tensor(1)
        for timestep in scheduler.timesteps:
            scheduler.scale_model_input(x, timestep)
            x = scheduler.step(x, timestep, x).prev_sample
            found.append(scheduler.step_index)
        return found

    def indices(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 4)
        return [scheduler.index_for_timestep(t) for t in scheduler.timesteps]

    def after_an_error(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 5)
        x = tensor(1)
        for timestep in scheduler.timesteps[:3]:
            x = scheduler.step(x, timestep, scheduler.scale_model_input(x, timestep)).prev_sample
        return walk(lay_out(scheduler, (), 5))

    def copied(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 5)
        return [*walk(copy.deepcopy(scheduler)), *walk(scheduler)]

    def saved(c: type[Any]) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            c(num_train_timesteps=100).save_pretrained(folder)
            return walk(lay_out(c.from_pretrained(folder), (), 5))

    def noised_on_the_way(c: type[Any]) -> list[Any]:
        scheduler = begin(lay_out(c(), (), 5), 0)
        found = []
        x = tensor(1)
        for timestep in scheduler.timesteps:
            x = scheduler.step(x, timestep, scheduler.scale_model_input(x, timestep)).prev_sample
            found.append(scheduler.add_noise(tensor(3), tensor(4), timestep.repeat(2)))
        return found

    def of_a_grid(c: type[Any]) -> list[Any]:
        scheduler = lay_out(c(), (), 5)
        return [*tables(scheduler), len(scheduler)]

    by_name = {
        "used again": twice,
        "from the middle": from_the_middle,
        "from the middle without set_begin_index": without_begin_index,
        "step_index": counted,
        "index_for_timestep": indices,
        "after an error": after_an_error,
        "copied": copied,
        "saved and loaded": saved,
        "noised on the way": noised_on_the_way,
        "tables": of_a_grid,
    }
    for told, one in by_name.items():
        yield Use("state", told, one)


def _dtypes(name: str) -> Iterator[Use]:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        yield Use("dtype", str(dtype), partial(run, steps=4, dtype=dtype))
        yield Use("dtype", f"{dtype}, noised", partial(forward_of, dtype=dtype))
        for option in options_of(name):
            yield Use("dtype", f"{dtype}, {_told(option)}", partial(run, options=(option,), steps=4, dtype=dtype))


def _before() -> Iterator[Use]:
    def run_at_once(c: type[Any]) -> list[Any]:
        return walk(c(num_train_timesteps=20))

    def noised(c: type[Any]) -> list[Any]:
        scheduler = c()
        times = scheduler.timesteps[[0, len(scheduler.timesteps) // 2]]
        found = [scheduler.add_noise(tensor(3), tensor(4), times)]
        velocity = "get_velocity" in dir(scheduler)
        return [*found, scheduler.get_velocity(tensor(3), tensor(4), times)] if velocity else found

    for told, use in (("run", run_at_once), ("noised", noised)):
        yield Use("before set_timesteps", told, use)
    for options in ((), *_MADE_BEFORE):
        told = ", ".join(_told(option) for option in options)
        yield Use("before set_timesteps", f"tables {told}".strip(), partial(_tables_before, options=options))


def _tables_before(scheduler: type[Any], options: Sequence[Option]) -> list[Any]:
    return tables(make(scheduler, options))
