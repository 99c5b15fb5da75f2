"""A sampler's own values replaced by a reference's: which of them may be, by which, and in what form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from reference_samplers.contract import Reference
from sampler_harness.law.intermediates import Blend, Intermediates
from sampler_harness.law.response import Array
from sampler_harness.observe.assigned import KEPT, Assigned
from sampler_harness.observe.statements import hands_its_name, hands_literal, in_loop
from sampler_harness.observe.walk import Line

__all__ = [
    "Change",
    "Path",
    "Variable",
    "Variables",
    "changes",
    "does_nothing",
    "is_array",
    "is_handed_by_its_name",
    "is_held",
    "is_known",
    "is_number",
    "is_same",
    "key_of",
    "likeliest_first",
    "moved",
    "path_of",
    "replacing",
]

#: Times that a line may run in one step: loops over tables are no places where a step is worked out.
MOST_TIMES = 4
#: What a whole number may become: it may be the length of a table, and a run with a larger one would not end soon.
LARGEST_COUNT = 10_000

#: Relative distance of numbers that are one: float32 loses 1.3e-6 of a level whose root is raised to rho = 7 again.
SAME = 1e-5
#: Of numbers of which the exponential is taken.
LARGEST_LOGARITHM = 30.0

#: Values by segment, told as a path that ends where the run does.
Path = tuple[tuple[int, Any], ...]


class Variable(NamedTuple):
    """A name that a line assigns; of a named tuple or a dataclass one number in it."""

    line: Line
    name: str
    part: str

    @property
    def is_argument(self) -> bool:
        """Of a function of the user's own."""
        return self.name.endswith(")")


class Change(NamedTuple):
    """A value of the reference's in place of a variable's.

    Attributes:
        variable: whose.
        kind: ``"numbers"``, ``"tables"``, ``"blends"`` or ``"arrays"``; ``"flags"`` for the other one of two,
            ``"solved"`` for a number and ``"factors"`` for what an array is multiplied by that no reference knows.
        site: where the reference works it out.
        lag: 0 where the variable has what the reference has by then; -1 where it has that of a model call before, 1
            where the reference works it out only after the next one.
        turned: for a table, whether it runs the other way.
        shift: what is added to a table's entries, or to a count: timesteps are counted from 0 or from 1.
        power: of a number.
    """

    variable: Variable
    kind: str
    site: Any
    lag: int = 0
    turned: bool = False
    shift: float = 0.0
    power: float = 1.0


def moved(variable: Variable, shape: tuple[int, ...]) -> Callable[[Assigned], Any]:
    """Gives a variable a value that is a little off."""

    def visit(one: Assigned) -> Any:
        if one.line != variable.line or one.name != variable.name:
            return KEPT
        for part, old in _parts(one.value):
            if part != variable.part or _kind(old, shape) is None:
                continue
            if isinstance(old, (list, tuple)):
                new: Any = type(old)(_off(each) for each in old)
            else:
                new = _off(old)
            return _put(one.value, part, new)
        return KEPT

    return visit


def _off(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point():
            return value + 1
        # What is all zero is no other for a factor.
        return value * 1.25 + 0.125 * float(value.ndim == 0 or not bool(value.any()))
    return value + 1 if isinstance(value, (int, np.integer)) else value * 1.25 + 0.125


def _put(held: Any, part: str, new: Any) -> Any:
    """A value with one of its parts replaced; the new value itself where it has none."""
    if not part:
        return new
    if isinstance(held, tuple):
        return type(held)(*(new if name == part else old for name, old in _parts(held)))
    try:
        return dataclasses.replace(held, **{part: new})
    except Exception:  # a record of the sampler's own may refuse the value
        return KEPT


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or the numbers of a small record."""
    if isinstance(value, tuple) and "_fields" in vars(type(value)):
        yield from zip(vars(type(value))["_fields"], value, strict=True)
    elif isinstance(value, Reference):
        return  # the configuration that the sampler was given
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        # A record with slots has no dictionary; what is not given when it is made cannot be replaced either.
        names = [field.name for field in dataclasses.fields(value) if field.init]
        yield from ((name, getattr(value, name, None)) for name in names)
    else:
        yield "", value


def _kind(value: Any, shape: tuple[int, ...]) -> str | None:
    """As what a value is replaced; None for what is left alone."""
    if isinstance(value, bool):
        return "flags"
    if isinstance(value, (int, float, np.floating, np.integer)):
        return "numbers"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if isinstance(value, torch.Tensor) and tuple(value.shape) == shape and value.is_floating_point():
            return "blends"
        if value.ndim == 1 and value.shape[0] != shape[0] and value.shape[0] > 1:
            return "tables"
        size = value.numel() if isinstance(value, torch.Tensor) else value.size
        if size and _is_uniform(value):
            return "numbers"
        return "arrays" if isinstance(value, torch.Tensor) and value.is_floating_point() else None
    if isinstance(value, (list, tuple)) and value:  # of one entry where a run has one step
        whole = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value)
        return "tables" if whole else None
    return None


def is_number(value: Any) -> bool:
    """Whether a value is one number, told once or for each item or place alike."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return bool(np.prod(tuple(value.shape)) > 0) and _is_uniform(value)
    return isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)


def is_array(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value is a sample, or as large as one, and no number that was made as large.

    Args:
        value: of the sampler's.
        shape: of the sample.
    """
    return _is_whole(value, shape)


def does_nothing(value: Any) -> bool:
    """Whether a value is the number 0 or 1, which says nothing of where it is from.

    Args:
        value: of the sampler's.
    """
    return is_number(value) and _number(value) in (0.0, 1.0)


def _number(value: Any) -> float:
    """The one number that a value is; NaN where it has an imaginary part."""
    first = value.reshape(-1)[0].item() if isinstance(value, (torch.Tensor, np.ndarray)) else value
    return math.nan if isinstance(first, complex) else float(first)


def _is_uniform(value: Any) -> bool:
    return bool((value == value.reshape(-1)[0]).all())


def _sources(value: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    """From which values of a reference one of the sampler's is replaced, the likeliest first."""
    kind = _kind(value, shape)
    if kind == "blends" and _is_uniform(value):
        return ("numbers", *_SOURCES[kind])  # a number that was made as large as the sample
    if kind == "numbers" and isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() == 1:
        return ("numbers", "arrays")  # one number for all items, where each may need its own
    return _SOURCES.get(kind or "", ())


def _is_one(value: Any, other: Any) -> bool:
    """Whether two numbers are one, or none both."""
    mine, its = _number(value), _number(other)
    return mine == its or (math.isnan(mine) and math.isnan(its))


def _kept(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def changes(
    variable: Variable, seen: dict[int, Any], values: Intermediates, shape: tuple[int, ...]
) -> Iterator[list[Change]]:
    """All values of the reference that a variable may be given, each once, with all places that have it.

    Places that have one value in one configuration differ in another.

    Args:
        variable: of the sampler's.
        seen: its own values, by segment.
        values: the reference's.
        shape: of the sample.
    """
    if _kind(next(iter(seen.values())), shape) == "flags":
        yield [Change(variable, "flags", None)]
        return
    sources = _sources(next(iter(seen.values())), shape)
    told: dict[Any, list[Change]] = {}
    for kind in sources:
        forms = _forms(variable, seen, values, kind)
        for site in vars(values)[kind]:
            for change in _of_site(variable, kind, site, forms):
                path = path_of(values, change)
                if path is None:
                    continue
                at = tuple((segment, _at(path, segment)) for segment in seen)
                if any(value is None for _, value in at):
                    continue
                if any(_is_too_many(seen.get(segment), new) for segment, new in at):
                    continue
                if is_held(variable, seen):
                    first, value = next(iter(seen.items()))
                    at += tuple((later, new) for later, new in path if later > first)
                else:
                    value = None
                key = tuple(key_of(new) for _, new in at)
                if key in told:
                    told[key].append(change)
                elif not all(is_same(seen.get(segment, value), new) for segment, new in at):
                    told[key] = [change]
    yield from told.values()


def _is_too_many(value: Any, new: Any) -> bool:
    """Whether a whole number, which may say how often something is done, would keep the run busy for long."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return is_count and isinstance(new, float | int) and abs(new) > max(LARGEST_COUNT, abs(value))


def is_held(variable: Variable, seen: dict[int, Any]) -> bool:
    """Whether a name is given a value once, before the steps, so that each of them reads the same."""
    one_for_all = len(seen) == 1 and not variable.is_argument and "." not in variable.name and not variable.part
    return one_for_all and not isinstance(next(iter(seen.values())), bool) and not in_loop(variable.line)


def is_handed_by_its_name(variable: Variable) -> bool:
    """Whether a variable is an argument that a line takes from what has its name: ``step(eta=config.eta)``.

    Context: any number of a function that a number is wrong in may be solved for. Choice: one that is handed over under
    the name that it has already is right, and the fault is behind it. Reversed by: a name that means another thing in
    the function than outside of it.

    Args:
        variable: of the sampler's.
    """
    callee, _, name = variable.name.rstrip(")").partition("(")
    return variable.is_argument and hands_its_name(variable.line, callee, name)


def likeliest_first(
    variables: dict[Variable, dict[int, Any]], values: Intermediates, shape: tuple[int, ...]
) -> list[tuple[Variable, dict[int, Any]]]:
    """Names in the order in which it is asked whether another value there would do.

    First numbers and tables, as they are assigned; then arrays of the sample's shape that hold nothing that the
    reference works out, since any of them makes right what it was made of. Then arrays and arguments that do: they are
    right, and another value there mends what is wrong with their use; the last of them is the nearest to it. At last
    what a step ends in, which always can be made right.

    Args:
        variables: with their values by segment, as they are first assigned.
        values: the reference's.
        shape: of the sample.
    """
    order = list(variables.items())
    whole = [one for one, seen in order if _is_whole(next(iter(seen.values())), shape) and not one.is_argument]
    ends = [one for one in order if one[0] == whole[-1]] if whole else []
    rest = [one for one in order if not whole or one[0] != whole[-1]]
    known = [one for one in rest if _holds_known(*one, values, shape)]
    names = {variable for variable, _ in known}
    other = [one for one in rest if one[0] not in names]
    arrays = [one for one in other if _is_whole(next(iter(one[1].values())), shape)]
    made_whole = {variable for variable, _ in arrays}
    return [*(one for one in other if one[0] not in made_whole), *arrays, *reversed(known), *ends]


def _is_whole(value: Any, shape: tuple[int, ...]) -> bool:
    return _kind(value, shape) == "blends" and not _is_uniform(value)


def _holds_known(variable: Variable, seen: dict[int, Any], values: Intermediates, shape: tuple[int, ...]) -> bool:
    own = _kind(next(iter(seen.values())), shape)
    if own == "tables" or (own == "numbers" and not variable.is_argument):
        return False
    callee, _, name = variable.name.rstrip(")").partition("(")
    if own == "numbers" and hands_literal(variable.line, callee, name):
        return False  # a number that is written down may be anything
    for kind in _SOURCES.get(own or "", ()) if own != "flags" else ():
        for site in vars(values)[kind]:
            for change in _of_site(variable, kind, site, _AS_IT_IS):
                path = path_of(values, change)
                at = [(segment, None if path is None else _at(path, segment)) for segment in seen]
                if all(value is not None and _holds(seen[segment], value) for segment, value in at):
                    return True
    return False


def _holds(value: Any, other: Any) -> bool:
    if isinstance(other, np.ndarray):
        return value.numel() == other.size and is_same(value, other)
    # Of an argument only what does nothing counts: any other number may be the wrong one of two.
    return other in (0.0, 1.0) and is_same(value, other)


#: From which values of a reference one of the sampler's is replaced, by its kind.
_SOURCES = {
    "numbers": ("numbers",),
    "tables": ("tables",),
    "blends": ("blends", "arrays"),
    "arrays": ("arrays",),
    "flags": ("flags",),
}

_Form = tuple[bool, float, float]
_AS_IT_IS: tuple[_Form, ...] = ((False, 0.0, 1.0),)
#: A table may run the other way, and count timesteps from 1.
_OF_TABLES: tuple[_Form, ...] = (*_AS_IT_IS, (True, 0.0, 1.0), (False, -1.0, 1.0), (True, -1.0, 1.0))
#: A count may be of gaps or of levels.
_OF_COUNTS: tuple[_Form, ...] = (*_AS_IT_IS, (False, -1.0, 1.0))
#: A variance may be meant for a standard deviation, and the other way round.
_OF_NUMBERS: tuple[_Form, ...] = (*_AS_IT_IS, (False, 0.0, 2.0), (False, 0.0, 0.5))


def _forms(variable: Variable, seen: dict[int, Any], values: Intermediates, kind: str) -> tuple[_Form, ...]:
    """In which forms a value of the reference may stand for one of the sampler's."""
    if kind == "tables":
        return _OF_TABLES
    if kind != "numbers" or variable.is_argument:
        return _AS_IT_IS
    if all(isinstance(value, int) for value in seen.values()):
        return _OF_COUNTS
    return _AS_IT_IS if _is_number_of(variable, seen, values) else _OF_NUMBERS


def _is_number_of(variable: Variable, seen: dict[int, Any], values: Intermediates) -> bool:
    """Whether a number of the sampler's is one that the reference works out, at each of its segments."""
    return any(
        _is_path(seen, dict(path))
        for site in values.numbers
        for change in _of_site(variable, "numbers", site, _AS_IT_IS)
        if (path := path_of(values, change)) is not None
    )


def _is_scale_of(variable: Variable, seen: dict[int, Any], values: Intermediates) -> bool:
    """Whether a number is the logarithm of one that the reference works out, or the other way round."""
    own = {at: _number(value) for at, value in seen.items()}
    logarithms = {at: math.log(value) for at, value in own.items() if value > 0}
    powers = {at: math.exp(value) for at, value in own.items() if abs(value) < LARGEST_LOGARITHM}
    return any(len(one) == len(own) and _is_number_of(variable, one, values) for one in (logarithms, powers))


def _is_path(seen: dict[int, Any], path: dict[int, Any]) -> bool:
    """Whether values are the reference's wherever that works any out; what does nothing is not asked."""
    shared = [segment for segment in seen if segment in path]
    if not shared or all(path[segment] in (0.0, 1.0) for segment in shared):
        return False
    # Behind the last step a reference may leave out what a sampler works out and does not use.
    return len(shared) >= max(1, len(seen) - 1) and all(is_same(seen[at], path[at]) for at in shared)


def is_known(variable: Variable, seen: dict[int, Any], values: Intermediates, shape: tuple[int, ...]) -> bool:
    """Whether what a variable holds is something that the reference works out too: it may well be right.

    Args:
        variable: of the sampler's.
        seen: its own values, by segment.
        values: the reference's.
        shape: of the sample.
    """
    match _kind(next(iter(seen.values())), shape):
        case "tables":
            forms = [Change(variable, "tables", site) for site in values.tables]
            paths = [path for change in forms if (path := path_of(values, change)) is not None]
            return any(all(_is_made_of(seen[at], _at(path, at) or ()) for at in seen) for path in paths)
        case "numbers":
            return _is_number_of(variable, seen, values) or _is_scale_of(variable, seen, values)
        case "blends" if all(_is_uniform(value) for value in seen.values()):
            return _is_number_of(variable, seen, values)  # a number that was made as large as the sample
        case _:
            return _holds_known(variable, seen, values, shape)


def _is_made_of(value: Any, table: tuple[float, ...]) -> bool:
    """Whether a table is a reference's, or entries of it in another order or place, or some more 0 and 1 beside them.

    Such a table may be right, and another entry of it meant where it is read.
    """
    own = np.asarray(value.tolist() if isinstance(value, (torch.Tensor, np.ndarray)) else value, dtype=float)
    entries = np.array([*(one for one in table if math.isfinite(one)), 0.0, 1.0])
    gaps = np.abs(own[:, None] - entries[None, :]) <= SAME * np.abs(entries[None, :])
    return bool(gaps.any(axis=1).all()) and int(gaps[:, :-2].any(axis=0).sum()) >= min(2, len(table))


def _of_site(variable: Variable, kind: str, site: Any, forms: tuple[_Form, ...]) -> Iterator[Change]:
    for lag in (0, -1, 1):
        for turned, shift, power in forms:
            yield Change(variable, kind, site, lag, turned, shift, power)


def path_of(values: Intermediates, change: Change) -> Path | None:
    """The reference's values by segment, as a change takes them; of a flag only from where on it is the other one."""
    if change.kind == "flags":
        return ((0, True),)
    found = vars(values)[change.kind].get(change.site)
    if found is None:
        return None
    made = []
    for segment, value in sorted(found.items()):
        if change.kind == "tables":
            value = tuple(one + change.shift for one in (reversed(value) if change.turned else value))
        elif change.kind == "numbers":
            value = abs(value) ** change.power if change.power != 1.0 else value + change.shift
        made.append((segment - change.lag, value))
    return tuple(made)


def _is_of_items(old: torch.Tensor, value: Array) -> bool:
    """Whether a reference has a number for each item, ``(B, 1, …)``, where a sampler has one for all."""
    return old.numel() == 1 < value.size == value.shape[0] and value.ndim > 1


def key_of(value: Any) -> Any:
    """What two values of a reference's have in common where they are one: arrays by what stands in them."""
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _at(path: Path, segment: int) -> Any:
    """The latest value up to a segment; None before the first."""
    latest = None
    for at, value in path:
        if at > segment:
            break
        latest = value
    return latest


def is_same(value: Any, other: Any) -> bool:
    """Whether a replacement would change nothing.

    Args:
        value: of the sampler's.
        other: of the reference's.
    """
    if isinstance(other, Blend):
        return False
    if isinstance(other, np.ndarray):
        if not isinstance(value, torch.Tensor):
            return True  # it cannot stand there
        mine = value.detach().to("cpu", torch.float64).numpy()
        if mine.size != other.size and not _is_of_items(value, other):
            return True
        gap = np.abs(mine.reshape(-1) - other.reshape(-1)).max(initial=0.0)  # one for all, or as many
        return bool(gap <= 1e-4 * np.abs(other).max(initial=0.0))
    try:
        got = np.asarray(value.tolist() if isinstance(value, (torch.Tensor, np.ndarray)) else value, dtype=float)
    except (TypeError, ValueError):
        return False
    wanted = np.asarray(other, dtype=float)
    if isinstance(other, tuple) and got.shape != wanted.shape:
        return False
    with np.errstate(invalid="ignore"):
        # Everything is within a share of infinity.
        allowed = np.where(np.isinf(wanted), 0.0, SAME * np.abs(wanted))
        return bool(np.all((got == wanted) | (np.abs(got - wanted) <= allowed)))


def replacing(change: Change, path: Path, shape: tuple[int, ...]) -> Callable[[Assigned], Any]:
    """Puts a value of the reference's in place of a variable's.

    Args:
        change: what in place of what.
        path: the reference's values by segment.
        shape: of the sample.
    """
    variable = change.variable

    def visit(one: Assigned) -> Any:
        if one.line != variable.line or one.name != variable.name:
            return KEPT
        value = _at(path, one.segment)
        if value is None:
            return KEPT
        held = one.value
        for part, old in _parts(held):
            if part != variable.part:
                continue
            if change.kind == "factors":
                return _put(held, part, old * value)
            if change.kind == "solved" and isinstance(old, int) and value != round(value):
                return _put(held, part, value)
            if change.kind != "solved" and change.kind not in _sources(old, shape):
                return KEPT
            new = _made(old, value, one.calls)
            return new if new is KEPT else _put(held, part, new)
        return KEPT

    return visit


def _made(old: Any, value: Any, calls: list[tuple[Any, Any]]) -> Any:
    """A reference's value in the form of the sampler's own."""
    if isinstance(old, bool):
        return not old
    if isinstance(value, Blend):
        return _blended(old, value, calls)
    if isinstance(value, np.ndarray):
        if isinstance(old, torch.Tensor) and _is_of_items(old, value):
            return torch.from_numpy(value).to(old)
        fits = isinstance(old, torch.Tensor) and old.numel() == value.size
        return torch.from_numpy(value.reshape(tuple(old.shape))).to(old) if fits else KEPT
    if isinstance(value, tuple):
        if isinstance(old, torch.Tensor):
            return torch.tensor(value, dtype=old.dtype, device=old.device)
        if isinstance(old, np.ndarray):
            return np.array(value, dtype=old.dtype)
        whole = all(isinstance(one, int) for one in old) and all(one == int(one) for one in value)
        return type(old)(int(one) if whole else one for one in value)
    if not math.isfinite(value):
        return KEPT
    if isinstance(old, torch.Tensor):
        return torch.full_like(old, value)
    if isinstance(old, np.ndarray):
        return np.full_like(old, value)
    return int(value) if isinstance(old, int) and value == int(value) else type(old)(value)


def _blended(old: torch.Tensor, blend: Blend, calls: list[tuple[Any, Any]]) -> Any:
    if len(calls) < len(blend.inputs):
        return KEPT
    total = torch.zeros_like(old)
    for back, (of_input, of_answer) in enumerate(zip(blend.inputs, blend.outputs, strict=True), 1):
        x, answer = calls[-back]
        answer = answer[0] if isinstance(answer, tuple) else answer
        if not isinstance(answer, torch.Tensor) or answer.shape != old.shape or x.shape != old.shape:
            return KEPT
        total = total + of_input * x.to(old.dtype) + of_answer * answer.to(old.dtype)
    return total


class Variables:
    """Collects what own lines assign, in the order in which they first do, with the last value of each segment.

    Args:
        shape: of the sample.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._seen: dict[Variable, dict[int, Any]] = {}
        self._times: dict[tuple[Variable, int], int] = {}
        self._mixed: set[Variable] = set()

    def visit(self, one: Assigned) -> Any:
        """Told of each value."""
        for part, value in _parts(one.value):
            if _kind(value, self._shape) is not None:
                variable = Variable(one.line, one.name, part)
                at = variable, one.segment
                self._times[at] = self._times.get(at, 0) + 1
                before = self._seen.get(variable, {}).get(one.segment)
                if before is not None and is_number(value) and is_number(before) and not _is_one(value, before):
                    self._mixed.add(variable)
                self._seen.setdefault(variable, {})[one.segment] = _kept(value)
        return KEPT

    def found(self) -> dict[Variable, dict[int, Any]]:
        """What was told, without lines that run many times in a step, or give several numbers in one."""
        often = self._mixed | {variable for (variable, _), count in self._times.items() if count > MOST_TIMES}
        return {variable: seen for variable, seen in self._seen.items() if variable not in often}
