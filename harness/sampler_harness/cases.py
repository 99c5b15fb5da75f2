"""Which cases are run: a covering set that leaves nothing to chance, and Hypothesis for the rest.

The covering set is fixed and comes first, in the same order everywhere: every value of every enumerated option,
every pair of values, 1, 2, 3, an indivisible and the largest number of steps, both ends and an inner point of each
range. Hypothesis then draws more of what the declaration's strategies allow, see ``strategies``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .budgets import Budget
from .strategies import drawn_values
from .subject import DeclarationError, ReferenceSubject
from .subject.allowed import alternatives, bounds_of, combinations, is_strategy, named_values
from .subject.fields import check_drawn

__all__ = ["PAIRED_STEPS", "CoveringSet", "covering_set", "must_see"]


#: Values that the number of steps must take, where the declaration allows them.
STEP_COUNTS = (1, 2, 3, 7)
#: Longer chains are seen once, not in pairs: their cost is in the steps.
PAIRED_STEPS = 12
#: A long chain of so many steps at most is seen once more, with every option away from the base.
LONG_STEPS = 50
#: The number of steps of the case that most checks start from.
BASE_STEPS = 5


def must_see(name: str, value: Any, *, longest: int, turning: float | None = None) -> list[Any]:
    """The values of one field that must be seen.

    Args:
        name: the field.
        value: what the declaration gives: a value, or a Hypothesis strategy.
        longest: the largest number of steps that the budget allows.
        turning: where the field's effect changes its form; a range around it is seen on either side.

    Returns:
        At least one value; the first is the simplest.
    """
    options = alternatives(value)
    if options:
        merged: list[Any] = []
        for option in options:
            for one in must_see(name, option, longest=longest, turning=turning):
                if not any(one is m or (type(one) is type(m) and one == m) for m in merged):
                    merged.append(one)
        return merged
    bounds = bounds_of(value) if is_strategy(value) else None
    if bounds is None:
        named = named_values(value)
        return drawn_values(value)[:8] if named is None else named
    low, high = bounds
    if name == "num_steps":
        top = max(min(int(high), longest), int(low))
        # A grid that needs many steps is seen at its fewest, as the others are.
        steps = [n for n in STEP_COUNTS if low <= n <= top] or [int(low)]
        return [*steps, *([top] if top not in steps else [])]
    turn = turning if turning is not None and low < turning < high else high
    if isinstance(low, int) and isinstance(high, int):
        inner_point: Any = (low + high) // 2 if turn == high else max(low + 1, (low + int(turn)) // 2)
    else:
        inner_point = low + (turn - low) * 0.4375  # not the middle: symmetric mistakes cancel there
    values = [low, inner_point, high]
    return [v for i, v in enumerate(values) if v not in values[:i]]


@dataclass
class CoveringSet:
    """The fixed configurations and what they see.

    Attributes:
        configurations: in the order in which they run; the first is the base.
        base: the configuration that checks of shape, state and dtype start from.
        values: per varied field the values that must be seen.
        pairs: all legal pairs of such values.
        not_varied: fields of the reference that the declaration leaves at their default.
    """

    configurations: list[Any] = field(default_factory=list)
    base: Any = None
    values: dict[str, list[Any]] = field(default_factory=dict)
    pairs: set[frozenset[tuple[str, int]]] = field(default_factory=set)
    not_varied: tuple[str, ...] = ()
    index: dict[Any, list[dict[str, int]]] = field(default_factory=dict)

    def seen(self, measured: Sequence[Any]) -> tuple[dict[str, str], str]:
        """How many values and pairs the measured configurations saw, as ``"2/2"`` texts."""
        rows = [row for c in measured for row in self.index.get(c, ())]
        fields = {
            name: f"{len({row[name] for row in rows if name in row})}/{len(values)}"
            for name, values in self.values.items()
            if len(values) > 1
        }
        met = {frozenset(((a, row[a]), (b, row[b]))) for row in rows for a, b in itertools.combinations(sorted(row), 2)}
        return fields, f"{len(met & self.pairs)}/{len(self.pairs)}"


def covering_set(subject: ReferenceSubject, budget: Budget) -> CoveringSet:
    """The fixed configurations of a subject.

    Args:
        subject: the declaration.
        budget: bounds the number of steps.

    Raises:
        DeclarationError: where the reference refuses every configuration that the declaration allows, or a value in
            all of them.
    """
    reference = subject.reference
    reference_fields = {f.name: f for f in dataclasses.fields(reference) if f.init}
    result = CoveringSet()
    result.not_varied = tuple(name for name in reference_fields if name not in subject.fields)
    longest = budget.longest_chain
    domain = {name: must_see(name, value, longest=longest) for name, value in subject.fields.items()}
    result.values = domain
    build = _builder(subject, domain, result)
    base_row, base = _base(subject, domain, reference_fields, build)
    turning = {name: at for name, at in base.turning_points.items() if name in domain}
    if turning:
        for name, at in turning.items():
            domain[name] = must_see(name, subject.fields[name], longest=longest, turning=at)
        result.index.clear()
        base_row, base = _base(subject, domain, reference_fields, build)
    if _add_edges(subject, domain, build):
        result.index.clear()
        base_row, base = _base(subject, domain, reference_fields, build)
    check_drawn(reference, subject.fields, domain)
    result.base = base
    result.configurations.append(base)

    def add(row: Mapping[str, int]) -> None:
        configuration = build(row)
        if configuration is not None and configuration not in result.configurations:
            result.configurations.append(configuration)

    # Every number of steps on the base; long chains only there: short ones meet every other option.
    steps = domain.get("num_steps", [])
    for i, value in enumerate(steps):
        if value is not None and value <= PAIRED_STEPS:
            add({**base_row, "num_steps": i})
    paired = {
        name: [i for i, v in enumerate(values) if name != "num_steps" or (v is not None and v <= PAIRED_STEPS)]
        for name, values in domain.items()
    }
    rows = _pairwise(paired, base_row, build, result)
    for row in rows:
        add(row)
    for i, value in enumerate(steps):
        if value is None or value > PAIRED_STEPS:
            add({**base_row, "num_steps": i})
    if long := [i for i, value in enumerate(steps) if value is not None and PAIRED_STEPS < value <= LONG_STEPS]:
        add(_away_from(base_row, {"num_steps": max(long, key=lambda i: int(steps[i]))}, domain, build))
    # What is legal only where several other fields differ from the base has met no row so far.
    for name, values in domain.items():
        for i in range(len(values)):
            if any(row[name] == i for c in result.configurations for row in result.index[c]):
                continue
            with contextlib.suppress(ValueError):
                add(_first_legal(domain, build, {name: i})[0])
    return result


def _add_edges(
    subject: ReferenceSubject, domain: Mapping[str, list[Any]], build: Callable[[Mapping[str, int]], Any]
) -> bool:
    """Let ranges of a window's ends have a value on a level that is given by hand: there an end is decided.

    Args:
        subject: the declaration.
        domain: field to values, of which those of the ends may grow.
        build: makes a configuration of a row.
    """
    added = False
    by_hand = [(name, i) for name, values in domain.items() for i, value in enumerate(values) if type(value) is tuple]
    for name, i in by_hand:
        with contextlib.suppress(ValueError):
            edges = _first_legal(domain, build, {name: i})[1].exact_window_ends
            for edge, levels in edges.items():
                value = subject.fields.get(edge)
                bounds = bounds_of(value) if is_strategy(value) else None
                inside = [level for level in levels if bounds is not None and bounds[0] <= level <= bounds[1]]
                if inside and not any(level in domain[edge] for level in inside):
                    domain[edge].append(inside[len(inside) // 2])
                    added = True
    return added


def _away_from(
    base: Mapping[str, int], held: Mapping[str, int], domain: Mapping[str, list[Any]], build: Callable[..., Any]
) -> dict[str, int]:
    """Every option at its last value that is not the base's, as far as the reference accepts them together.

    Context: churn that ended after thirty steps was seen by luck alone, since long chains met the base's options only.
    Choice: one more row, in which all that may be on is on. Reversed by: pairs for long chains, should runs be free.
    """
    row = {**base, **held}
    for name, values in domain.items():
        others = [i for i in range(len(values)) if i != base[name]]
        if name not in held and others and build({**row, name: others[-1]}) is not None:
            row[name] = others[-1]
    return row


def _builder(
    subject: ReferenceSubject, domain: Mapping[str, list[Any]], result: CoveringSet
) -> Callable[[Mapping[str, int]], Any]:
    def build(row: Mapping[str, int]) -> Any:
        try:
            configuration = subject.reference(**{name: domain[name][i] for name, i in row.items()})
        except ValueError:
            return None
        rows = result.index.setdefault(configuration, [])  # one configuration may be told in several ways
        if row not in rows:
            rows.append(dict(row))
        return configuration

    return build


def _base_row(subject: ReferenceSubject, domain: Mapping[str, list[Any]], fields: Mapping[str, Any]) -> dict[str, int]:
    """The reference's defaults where the declaration allows them, and a few steps."""
    row = {}
    for name, values in domain.items():
        if name == "num_steps" and is_strategy(subject.fields[name]):
            wanted = min((abs((v or 10**9) - BASE_STEPS), i) for i, v in enumerate(values))
            row[name] = wanted[1]
            continue
        default = fields[name].default
        matches = [i for i, v in enumerate(values) if type(v) is type(default) and v == default]
        row[name] = matches[0] if matches else 0
    return row


def _base(
    subject: ReferenceSubject,
    domain: Mapping[str, list[Any]],
    fields: Mapping[str, Any],
    build: Callable[[Mapping[str, int]], Any],
) -> tuple[dict[str, int], Any]:
    row = _base_row(subject, domain, fields)
    base = build(row)
    return (row, base) if base is not None else _first_legal(domain, build)


def _first_legal(
    domain: Mapping[str, list[Any]],
    build: Callable[[Mapping[str, int]], Any],
    held: Mapping[str, int] | None = None,
) -> tuple[dict[str, int], Any]:
    choices: dict[str, Sequence[int]] = {name: range(len(values)) for name, values in domain.items()}
    for row in combinations(choices | {name: [i] for name, i in (held or {}).items()}):
        configuration = build(row)
        if configuration is not None:
            return row, configuration
    raise DeclarationError("the reference refuses every configuration that the declaration allows")


def _pairwise(
    domain: Mapping[str, list[int]],
    base: Mapping[str, int],
    build: Callable[[Mapping[str, int]], Any],
    result: CoveringSet,
) -> Iterator[dict[str, int]]:
    """Greedy rows in which every legal pair of values meets, in the same order every time."""
    varied = [name for name, values in domain.items() if len(values) > 1]
    waiting: dict[frozenset[tuple[str, int]], None] = {}
    for a, b in itertools.combinations(sorted(varied), 2):
        for i, j in itertools.product(domain[a], domain[b]):
            waiting[frozenset(((a, i), (b, j)))] = None
    if len(varied) == 1:
        name = varied[0]
        rows = [{**base, name: i} for i in domain[name]]
        yield from (row for row in rows if build(row) is not None)
        return

    def gain(row: Mapping[str, int], name: str, value: int) -> int:
        return sum(frozenset(((name, value), (n, i))) in waiting for n, i in row.items() if n != name)

    needs = _needs(domain, base, build)
    while waiting:
        pair = next(iter(waiting))
        needed: dict[str, int] = {}
        for one in pair:
            needed |= needs.get(one, {})
        full = {**base, **needed, **dict(pair)}
        if build(full) is None:
            legal = _repaired(full, {name for name, _ in pair}, domain, build)
            if legal is None:
                del waiting[pair]
                continue
            full = legal
        # Everything else is free as long as the reference accepts it: each row is to see as many pairs as it can.
        row = {name: i for name, i in full.items() if name in dict(pair) or i != base[name]}
        for name in varied:
            if name in row:
                continue
            best = max(domain[name], key=lambda v: (gain(row, name, v), v == base[name], -v))
            row[name] = best if build({**full, **row, name: best}) is not None else base[name]
        full = {**full, **row}
        for met in itertools.combinations(sorted(n for n in full if n in varied), 2):
            key = frozenset((n, full[n]) for n in met)
            if key in waiting:
                del waiting[key]
                result.pairs.add(key)
        yield full


def _needs(
    domain: Mapping[str, list[int]], base: Mapping[str, int], build: Callable[[Mapping[str, int]], Any]
) -> dict[tuple[str, int], dict[str, int]]:
    """For each value that the base refuses, which other fields must leave it: the fewest, at most two."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for name, values in domain.items():
        for i in values:
            row = {**base, name: i}
            if build(row) is not None:
                continue
            legal = _repaired(row, {name}, domain, build) or _repaired_twice(row, name, domain, build)
            if legal is not None:
                found[name, i] = {other: j for other, j in legal.items() if other != name and j != base[other]}
    return found


def _repaired(
    row: Mapping[str, int],
    kept: Collection[str],
    domain: Mapping[str, list[int]],
    build: Callable[[Mapping[str, int]], Any],
) -> dict[str, int] | None:
    """Change one other field so that the reference accepts the row."""
    for name, values in domain.items():
        if name in kept:
            continue
        for value in values:
            trial = {**row, name: value}
            if build(trial) is not None:
                return trial
    return None


def _repaired_twice(
    row: Mapping[str, int], kept: str, domain: Mapping[str, list[int]], build: Callable[[Mapping[str, int]], Any]
) -> dict[str, int] | None:
    """Change two other fields so that the reference accepts the row."""
    for name, values in domain.items():
        for value in values:
            if name != kept and value != row[name]:
                legal = _repaired({**row, name: value}, {kept, name}, domain, build)
                if legal is not None:
                    return legal
    return None
