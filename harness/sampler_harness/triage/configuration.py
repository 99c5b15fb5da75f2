"""Which configuration the deciding experiment runs: the one that the user samples with, or the declared default.

Context: a declaration says what may vary, and the smallest of a range keeps less detail than anybody's run.
Choice: what is given by name, else the declared value, else the reference's default where the declaration has it, else
the first of a list of values. Where a range leaves the default out, nobody but the user knows, and is asked.
Reversed by: declarations that say which value is the usual one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sampler_harness.subject import Subject
from sampler_harness.subject.allowed import alternatives, bounds_of, is_strategy, named_values
from sampler_harness.wording import did_you_mean

__all__ = ["Chosen", "chosen_configuration", "told_values"]

#: The field that ``--steps`` sets, whatever a program calls it.
STEPS = "num_steps"
#: Fields that vary and were not named, of which so many are told.
SHOWN = 3


@dataclass(frozen=True)
class Chosen:
    """A configuration, and where it is from.

    Attributes:
        subject: the declaration, with what was given of fields that it does not name: the checks see these too.
        config: an instance of the subject's reference.
        told: for a person, as ``EDM(num_steps=18, sigma_max=5.0)``.
        unsaid: fields that vary in the declaration and were not named: their default was taken.
    """

    subject: Subject
    config: Any
    told: str
    unsaid: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What was run, and what to name where another was meant."""
        if not self.unsaid:
            return self.told
        values = self.config.values()
        names = sorted(self.unsaid, key=lambda name: name != STEPS)
        shown = ", ".join(f"{name}={values[name]!r}" for name in names[:SHOWN])
        more = f" and {len(names) - SHOWN} further fields" if len(names) > SHOWN else ""
        how = [*(["--steps N"] if STEPS in names else []), *(["--set FIELD=VALUE"] if names != [STEPS] else [])]
        return f"{self.told}; {shown}{more} by default: if you sample otherwise, say so ({', '.join(how)})"


def chosen_configuration(subject: Subject, settings: Mapping[str, Any] | None = None) -> Chosen:
    """The configuration that both samplers run.

    Args:
        subject: the declared sampler.
        settings: fields that the user samples with, by name.

    Raises:
        ValueError: names the field that is not the reference's, not declared so, or whose value only the user knows.
    """
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in (settings or {}).items()}
    defaults = {field.name: field.default for field in dataclasses.fields(subject.reference) if field.init}
    for name, value in given.items():
        _check_given(subject, name, value, defaults)
    values: dict[str, Any] = {}
    unsaid = []
    for name, declared in subject.fields.items():
        if name in given:
            values[name] = given[name]
        elif is_strategy(declared):
            values[name] = _default(subject, name, declared, defaults[name])
            unsaid.append(name)
        else:
            values[name] = declared
    beyond = {name: value for name, value in given.items() if name not in subject.fields}
    try:
        config = subject.reference(**values, **beyond)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{subject.name} cannot be run as asked: {error}") from None
    declared = dataclasses.replace(subject, fields={**subject.fields, **beyond}) if beyond else subject
    return Chosen(declared, config, told_values(config), tuple(unsaid))


def told_values(config: Any) -> str:
    """A configuration for a person: the number of steps always, of the other fields those off their default."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    shown = {name: value for name, value in config.values().items() if name == STEPS or value != defaults[name]}
    if STEPS in shown and shown[STEPS] is None:
        shown[STEPS] = config.num_calls
    return f"{type(config).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _check_given(subject: Subject, name: str, value: Any, defaults: Mapping[str, Any]) -> None:
    kind = subject.reference.__name__
    if name not in defaults:
        fields = ", ".join(defaults)
        raise ValueError(f"{kind} has no field {name!r}{did_you_mean(name, list(defaults))} (fields: {fields})")
    if name not in subject.fields:
        return
    declared = subject.fields[name]
    if _allows(declared, value):
        return
    if is_strategy(declared):
        raise ValueError(
            f"{name}={value!r} is not among what {subject.name} declares: the checks do not see it. Widen the "
            "declaration, or give a value that it has"
        )
    raise ValueError(
        f"{subject.name} declares {name}={declared!r}, and you sample with {value!r}: the checks would see another "
        f"sampler than the one that fades. Declare {name}={value!r}, or a strategy that has both"
    )


def _allows(declared: Any, value: Any) -> bool:
    """Whether a declaration has a value; what is mapped or filtered cannot be read, and is taken to."""
    if not is_strategy(declared):
        return bool(declared == value)
    if options := alternatives(declared):
        return any(_allows(option, value) for option in options)
    bounds = bounds_of(declared)
    if bounds is not None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = not all(isinstance(end, int) for end in bounds) or isinstance(value, int)
        return is_number and whole and bool(bounds[0] <= value <= bounds[1])
    named = named_values(declared)
    return named is None or any(one == value for one in named)


def _default(subject: Subject, name: str, declared: Any, default: Any) -> Any:
    if default is not dataclasses.MISSING and _allows(declared, default):
        return default
    parts = alternatives(declared) or [declared]
    listed = next((part for part in parts if bounds_of(part) is None and named_values(part)), None)
    if listed is not None:
        return (named_values(listed) or [default])[0]
    bounds = bounds_of(parts[0])
    ends = f"as {bounds[0]:g} to {bounds[1]:g}" if bounds is not None else "as a strategy that cannot be read"
    own = "has no default" if default is dataclasses.MISSING else f"is {default!r} by default, outside of it"
    option = "--steps N" if name == STEPS else f"--set {name}=VALUE"
    raise ValueError(
        f"{name} is declared {ends}, and {subject.reference.__name__}'s {own}: say what you sample with, {option}"
    )
