"""What is left to vary where a person has fixed some options: values that go with none of what is fixed are left out.

``--set timesteps=900,400,20`` leaves no choice of a spacing, and of a table no shorter one. A declaration names what it
varies and is refused where a value is never legal; here the person named one option and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sampler_harness.subject import DeclarationError
from sampler_harness.subject.allowed import bounds_of, is_strategy, named_values

__all__ = ["NothingLegal", "narrowed", "of_length"]

#: Numbers of steps that are tried beside the ends of their range.
_STEPS = (2, 3, 7)

_Row = dict[str, Any]


class NothingLegal(DeclarationError):
    """What is fixed goes with nothing; says what the reference refuses."""


def narrowed(reference: type[Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, each with the values that some configuration can have.

    Args:
        reference: makes a configuration, or raises ValueError.
        fields: a value is fixed, a strategy is varied.

    Raises:
        NothingLegal: where what is fixed goes with nothing, in the reference's own words.
    """
    fields = {**fields, "num_steps": _steps_of_table(fields)} if "num_steps" in fields else dict(fields)
    domain = {name: _values(name, value) for name, value in fields.items()}

    def legal(row: _Row) -> bool:
        return not _refusal(reference, row)

    base = _plainest(reference, domain, legal)
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if not is_strategy(value):
            found[name] = value
            continue
        kept = [v for v in domain[name] if next(_legal_near({**base, name: v}, (name,), domain, legal), None)]
        found[name] = value if len(kept) == len(domain[name]) else _of(name, value, kept)
    return found


def of_length(betas: Any, length: int) -> Any:
    """A table by hand, or a strategy for one, without tables of another length; None where none is left.

    Args:
        betas: numbers, None for none, or a strategy.
        length: that a table must have.
    """
    kept = [one for one in named_values(betas) or [betas] if one is None or len(one) == length]
    return _of("betas", betas, kept) if kept else None


def _plainest(reference: type[Any], domain: Mapping[str, Sequence[Any]], legal: Callable[[_Row], bool]) -> _Row:
    """A legal row of first values, but for those that do not go together.

    Raises:
        NothingLegal: tells the refusal that no other value of the field which it names takes away.
    """
    row = {name: values[0] for name, values in domain.items()}
    if (near := next(_legal_near(row, (), domain, legal), None)) is not None:
        return near
    met: list[str] = []
    while (refusal := _refusal(reference, row)) and refusal not in met:
        met.append(refusal)
        name = refusal.partition(" ")[0]
        others = ({**row, name: value} for value in domain.get(name, ()))
        row = next((other for other in others if _refusal(reference, other) not in met), row)
    if refusal:
        raise NothingLegal(refusal)
    return row


def _refusal(reference: type[Any], row: _Row) -> str:
    """What the reference says of a row; empty where it is legal."""
    try:
        reference(**row)
    except ValueError as error:
        return str(error)
    return ""


def _values(name: str, value: Any) -> Sequence[Any]:
    named = named_values(value) or [value]
    if name == "num_steps" and is_strategy(value) and bounds_of(value) is not None:
        low, high = named[0], named[-1]
        return [low, *(n for n in _STEPS if low < n < high), high]
    return named


def _steps_of_table(fields: Mapping[str, Any]) -> Any:
    """The range of the number of steps, no longer than the longest table."""
    from hypothesis import strategies as st

    steps = fields["num_steps"]
    bounds = bounds_of(steps) if is_strategy(steps) else None
    lengths = named_values(fields.get("num_train_timesteps")) or [None]
    betas = fields.get("betas")
    if betas is not None and not is_strategy(betas):
        lengths = [len(betas)]
    if bounds is None or None in lengths:
        return steps
    low, high = int(bounds[0]), min(int(bounds[1]), *(max(lengths),))
    return st.integers(low, high) if high > low else low


def _of(name: str, value: Any, kept: Sequence[Any]) -> Any:
    """A narrower strategy, or the one value that is left."""
    from hypothesis import strategies as st

    if not kept or not is_strategy(value):
        return value
    if name == "num_steps" and bounds_of(value) is not None and min(kept) < max(kept):
        return st.integers(min(kept), max(kept))
    return kept[0] if len(kept) == 1 else st.sampled_from(list(kept))


def _legal_near(
    row: _Row, held: Sequence[str], domain: Mapping[str, Sequence[Any]], legal: Callable[[_Row], bool]
) -> Iterator[_Row]:
    """Legal rows that differ from one in one other field, or in the number of steps and one more; nearest first."""
    if legal(row):
        yield row
    others = [
        (name, value) for name, values in domain.items() if name not in held and len(values) > 1 for value in values
    ]
    yield from (one for name, value in others if legal(one := {**row, name: value}))
    for steps in domain.get("num_steps", ()) if "num_steps" not in held else ():
        yield from (two for name, value in others if legal(two := {**row, name: value, "num_steps": steps}))
