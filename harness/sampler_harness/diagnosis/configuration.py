"""Other values of fields, and other references: the explanations that need no edit."""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from reference_samplers import ALL_REFERENCES, Reference, ScoreSDE, TrainingReference
from reference_samplers.grids import ALL_GRIDS
from reference_samplers.processes.interpolant import Interpolant
from reference_samplers.processes.table_chain import TableChain
from sampler_harness.law.response import Array
from sampler_harness.law.same import is_same_program
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance

from .explanation import Explanation, SameAs, Shift
from .observation import Observation
from .solving import FAR, as_written, digits_of

__all__ = ["other_references", "other_values", "solved_values"]

#: Not tried in place of another: with hundreds of combinations of its options it would spend the budget of the search
#: before the first edit.
_LEFT_OUT = frozenset({ScoreSDE})
#: Fields of another reference that are away from their defaults at a time: conventions multiply, and a program has one
#: or two that are not the usual ones.
MOST_UNUSUAL = 2
#: Combinations of another reference's fields that are all solved for numbers too; of more, the usual one alone is.
MOST_SOLVED = 12

#: Fields that say when something happens: a law depends on them only through which steps they hold.
_THRESHOLDS = ("s_tmin", "s_tmax")
#: Values of a continuous field at which the search for its own begins, as factors of what is declared.
_FACTORS = tuple(float(f) for f in np.geomspace(1e-3, 1e3, 31))
#: Cases that a field is solved for together.
SEVERAL = 5
#: Of the values at which it begins, which ones are looked at first: most fields move nothing, or not what is wrong.
_FIRST = 6
#: Steps of it from one value, and before it must have come nearer.
STEPS, FIRST_STEPS = 60, 8
#: Share of the squared distance that the first steps must leave at most: the values are near enough to each other.
NEARER = 0.3
#: Shares at which it begins where the field is one.
_SHARES = tuple(float(s) for s in np.linspace(0.0, 1.0, 11))


def _field_types(kind: type) -> dict[str, Any]:
    return {f.name: typing.get_type_hints(kind)[f.name] for f in dataclasses.fields(kind) if f.init}


def _discrete(hint: Any, declared: Any, default: Any) -> list[Any]:
    """Other values of a field that has few."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return [o for o in options if o != declared]
    if Any in options or type(None) in options:  # names, or a function of the level; names, or the usual one
        names = [name for one in options if typing.get_origin(one) is Literal for name in typing.get_args(one)]
        if names:
            return [o for o in names if o != declared]
    if hint is bool:
        return [not declared]
    if hint is int or (int in options and type(None) in options):
        whole = declared if isinstance(declared, int) else 0
        near = [whole + 1, whole - 1, 0, 1, 2, 10, 100, 1000, *range(3, 10), 18, 20, 25, 30, 40, 50, default]
        absent = [None] if type(None) in options and declared is not None else []
        return [*absent, *(n for n in dict.fromkeys(near) if n != declared), Shift(1), Shift(-1)]
    if hint is float and default is not dataclasses.MISSING and default != declared:
        return [default]
    if float in options and type(None) in options and declared is not None:
        return [None]
    return []


def other_values(kind: type, targets: Sequence[Observation]) -> Iterator[Explanation]:
    """One field, or two with few values each, that have another value than was declared.

    Args:
        kind: the reference's class.
        targets: the sampler's cases, the one that is explained first.
    """
    values = targets[0].config.values()
    singles: list[tuple[str, Any]] = []
    for f in dataclasses.fields(kind):
        if not f.init:
            continue
        for value in _discrete(_field_types(kind)[f.name], values[f.name], f.default):
            singles.append((f.name, value))
            yield Explanation("configuration", kind, {f.name: value})
    if {"num_train_timesteps", "num_steps"} <= values.keys():
        # The chain is made as long as the run, and visited whole.
        whole_chain = {"num_train_timesteps": SameAs("num_steps"), "num_steps": None}
        yield Explanation("configuration", kind, whole_chain)
    few = [(n, v) for n, v in singles if isinstance(v, (str, bool)) or v is None]
    for (one, a), (other, b) in itertools.combinations(few, 2):
        if one != other:
            yield Explanation("configuration", kind, {one: a, other: b})


def other_references(kind: type[Any], targets: Sequence[Observation]) -> Iterator[tuple[Explanation, bool]]:
    """Other references that share the declared fields, at values of their own fields that have few.

    Args:
        kind: the declared reference's class.
        targets: the sampler's cases, the one that is explained first.

    Yields:
        Each with whether its numbers are worth solving for.
    """
    if isinstance(targets[0].config, TrainingReference):
        return  # no step of another paper's is told the same times
    declared = targets[0].config
    own = {f.name for f in dataclasses.fields(kind)}
    is_grid = kind.sample is Reference.sample
    other: Any
    for other in ALL_GRIDS if is_grid else ALL_REFERENCES:
        if (
            issubclass(kind, other)
            or other in _LEFT_OUT
            or issubclass(kind, TableChain) != issubclass(other, TableChain)
        ):
            continue
        new = [f for f in dataclasses.fields(other) if f.init and f.name not in own]
        options = []
        for f in new:
            few = _discrete(_field_types(other)[f.name], None, f.default)
            values = [v for v in few if not isinstance(v, Shift)]
            shares = [0.0, 1.0] if f.name == "eta" else []
            options.append([(f.name, v) for v in dict.fromkeys([f.default, *shares, *values])])
        usual = {f.name: f.default for f in new}
        combinations = list(itertools.product(*options))
        for chosen in combinations:
            fields = dict(chosen)
            unusual = len([name for name, value in chosen if value != usual[name]])
            if unusual > MOST_UNUSUAL or (issubclass(other, Interpolant) and fields.get("path") == "linear"):
                continue  # on the straight path the references of rectified flows are the same, and plainer
            found = Explanation("reference", other, fields)
            config = found.config(declared)
            if config is not None and not _does_the_same(config, declared):
                yield found, not unusual or len(combinations) <= MOST_SOLVED


def _does_the_same(config: Any, declared: Any) -> bool:
    """Whether another reference is the declared one under another name: ancestral steps without noise are Euler's."""
    if type(declared).sample is Reference.sample:
        with np.errstate(all="ignore"):
            return np.array_equal(config.levels, declared.levels)
    try:
        with np.errstate(all="ignore"):
            laws = [reference_law(one, learned_variance(one)) for one in (config, declared)]
    except (ValueError, ArithmeticError):
        return False
    return is_same_program(*laws)


def solved_values(
    base: Explanation, targets: Sequence[Observation], count: Callable[[], None]
) -> Iterator[Explanation]:
    """Continuous fields, each solved for the value at which the law is the sampler's.

    Args:
        base: what is run otherwise.
        targets: the sampler's cases, the one that is explained first.
        count: told of each program that is measured.
    """
    config = base.config(targets[0].config)
    if config is None:
        return
    for name, hint in _field_types(base.reference).items():
        declared = config.values()[name]
        if hint is not float and float not in typing.get_args(hint):
            continue
        if isinstance(declared, tuple):
            continue
        if name in _THRESHOLDS:
            yield from _thresholds(base, targets, name)
            continue
        start = declared if isinstance(declared, float) and math.isfinite(declared) else 1.0
        for value in _solve(base, targets[:1], name, start, count):
            found = _with(base, name, value)
            yield found
            several = targets[:SEVERAL]
            if not all(found.fits(target) for target in several):
                # One case may leave the value open (a limit that is reached): several together need not.
                for other in _solve(base, several, name, start, count):
                    yield _with(base, name, other)


def _with(base: Explanation, name: str, value: float) -> Explanation:
    digits = base.digits + digits_of([value])
    return dataclasses.replace(base, fields={**base.fields, name: value}, digits=digits)


def _thresholds(base: Explanation, targets: Sequence[Observation], name: str) -> Iterator[Explanation]:
    """Values between the levels that occur: one for each way to hold some of them and not others."""
    levels = sorted({float(s) for t in targets for s in t.config.window_levels if s > 0})
    if not levels:
        return
    between = [math.sqrt(a * b) for a, b in itertools.pairwise(levels)]
    for value in (0.0, math.inf, *(_rounded_between(a, b) for a, b in itertools.pairwise(levels)), *between):
        yield dataclasses.replace(base, fields={**base.fields, name: value})


def _rounded_between(low: float, high: float) -> float:
    """The shortest decimal that lies between two numbers."""
    for digits in range(1, 9):
        value = float(f"{math.sqrt(low * high):.{digits}g}")
        if low < value < high:
            return value
    return math.sqrt(low * high)


def _leaves_wrong(rests: Sequence[Array]) -> bool:
    """Whether an entry of the law is wrong, and the same, at every value of a field that was tried.

    Args:
        rests: distances of every entry, in tolerances, value by value.
    """
    first = rests[0]
    same = np.all([rest == first for rest in rests], axis=0)
    return bool((same & (np.abs(first) > 1.0)).any())


def _solve(
    base: Explanation, targets: Sequence[Observation], name: str, start: float, count: Callable[[], None]
) -> Iterator[float]:
    """Values of one field at which the cases' laws are the sampler's, rounded as a person writes them."""
    from scipy.optimize import least_squares

    def residual(value: float) -> Array | None:
        explanation = dataclasses.replace(base, fields={**base.fields, name: value})
        rests = []
        for target in targets:
            count()
            response = explanation.response(target, stop=False)
            rest = None if response is None else target.distances(response)
            if rest is None:
                return None
            rests.append(rest)
        return np.concatenate(rests)

    begun = [*(start * f for f in _FACTORS)] if start > 0 else list(_SHARES)
    if name in ("eta", "initial_scale") or start <= 1.0:
        begun += [s for s in _SHARES if s not in begun]
    rests: dict[float, Array] = {}
    for values in (begun[::_FIRST], begun):
        rests |= {value: rest for value in values if value not in rests and (rest := residual(value)) is not None}
        sizes = {value: float(rest @ rest) for value, rest in rests.items()}
        if len(sizes) < 2 and len(values) < len(begun):
            continue
        if not sizes or max(sizes.values()) - min(sizes.values()) <= 1e-12 * (1 + max(sizes.values())):
            return  # the law does not depend on it
        if _leaves_wrong(list(rests.values())):
            return
    entries = next(iter(rests.values())).size
    tried: list[float] = []
    for value in sorted(sizes, key=lambda v: sizes[v])[:3]:
        logarithmic = value > 0

        def off(parameter: Array, logarithmic: bool = logarithmic) -> Array:
            rest = residual(float(np.exp(parameter[0])) if logarithmic else float(parameter[0]))
            return np.full(entries, FAR) if rest is None else rest

        at = math.log(value) if logarithmic else value
        for steps in (FIRST_STEPS, STEPS):
            solution = least_squares(off, [at], x_scale=0.1, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=steps)
            at = float(solution.x[0])
            if 2 * float(solution.cost) > NEARER * sizes[value]:
                break
        found = float(np.exp(solution.x[0])) if logarithmic else float(solution.x[0])
        if any(abs(found - other) <= 1e-4 * abs(found) for other in tried):
            continue
        tried.append(found)
        rest = off(solution.x)
        if float(np.abs(rest).max()) <= 1.0:
            [short] = as_written([found], lambda values: residual(values[0]), float(rest @ rest))
            yield short
            return
