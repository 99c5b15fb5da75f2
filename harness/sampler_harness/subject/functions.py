"""The function that a decorator is put on: where it stands, what it asks for, and why it may be refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "HARNESS_KEYWORDS",
    "DeclarationError",
    "Wanted",
    "checked_function",
    "defines",
    "fixtures_of",
    "modules_of",
]

#: Keyword-only parameters that the harness itself fills; any other is a pytest fixture of the host.
HARNESS_KEYWORDS = ("device", "dtype", "generator")


class DeclarationError(ValueError):
    """The declaration itself is wrong: the message says which part and what to write instead."""


@dataclass(frozen=True)
class Wanted:
    """What a decorator wants of its function.

    Attributes:
        decorator: its name.
        call: how the function is written; ``{name}`` stands for the user's own name, where that is told.
        arguments: names of what is passed by place.
        returns: what a plain function returns and a generator does not; empty where it may be one.
        keywords: what it must accept by name.
        by_name: what the harness passes by name even where it could stand in place.
        takes_generator: as declared; None where there is no such option.
    """

    decorator: str
    call: str
    arguments: tuple[str, ...]
    returns: str = ""
    keywords: tuple[str, ...] = ()
    by_name: tuple[str, ...] = ()
    takes_generator: bool | None = None


def fixtures_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Keyword-only arguments without a default that the harness does not fill."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        p.name
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in HARNESS_KEYWORDS
    )


def modules_of(function: Any) -> tuple[str, ...]:
    """Modules that a function says it is written in, beside its own: an adapter's loop those of what it runs.

    Args:
        function: of a subject.
    """
    return tuple(getattr(function, "code", ()))


def _source_of(function: Callable[..., Any]) -> tuple[str, int]:
    """File (relative where it lies below the working directory) and line of what the user wrote."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    if code is None:
        return "", 0
    path = Path(code.co_filename)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix(), code.co_firstlineno


def checked_function(function: Any, wanted: Wanted) -> tuple[str, tuple[str, int]]:
    """Name and source of a function that can be run as its kind is.

    Raises:
        DeclarationError: where it cannot.
    """
    __tracebackhide__ = True
    if getattr(type(function), "is_sampler_under_test", False):
        raise DeclarationError(f"{function.name} is declared twice: write one @{wanted.decorator} per function")
    if not callable(function) or isinstance(function, type):
        call = wanted.call.format(name="my_sampler")
        raise DeclarationError(f"@{wanted.decorator} was put on {function!r}: put it on a function {call}")
    name = getattr(function, "__name__", type(function).__name__)
    source = _source_of(function)
    where, call = f"{name} ({source[0]}:{source[1]})", wanted.call.format(name=name)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{where} is asynchronous: write a plain function {call}")
    if wanted.returns and inspect.isgeneratorfunction(function):
        raise DeclarationError(f"{where} is a generator: write a plain function {call} that returns {wanted.returns}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DeclarationError(f"{where} has no signature that can be read: wrap it, def {call}") from None
    _check_places(where, call, parameters, wanted)
    _check_keywords(where, call, parameters, wanted)
    return name, source


def _check_places(where: str, call: str, parameters: list[inspect.Parameter], wanted: Wanted) -> None:
    """As many arguments are taken by place as are passed so, and in their order."""
    __tracebackhide__ = True
    count = len(wanted.arguments)
    in_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    # What is passed by name may stand after the others; whatever stands before it is called by place.
    leading = [p for p in in_place if p.name not in wanted.by_name]
    any_place = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    required = [p for p in leading if p.default is p.empty]
    if (len(leading) < count and not any_place) or len(required) > count:
        given = ", ".join(p.name for p in leading) or "none"
        should = {0: "none", 1: f"one, the {''.join(wanted.arguments)}", 3: "three"}[count]
        raise DeclarationError(
            f"{where} takes {len(leading)} positional arguments ({given}), should take {should}: write def {call}"
        )
    if [p.name for p in in_place[:count]] != [p.name for p in leading[:count]]:
        first = f"{', '.join(wanted.arguments[:-1])} and {wanted.arguments[-1]}"
        raise DeclarationError(
            f"{where} takes {in_place[0].name if in_place else 'none'} first; {first} come before device and dtype: "
            f"write def {call}"
        )


def _check_keywords(where: str, call: str, parameters: list[inspect.Parameter], wanted: Wanted) -> None:
    """What is passed by name is accepted, and a generator is asked for only where one is passed."""
    __tracebackhide__ = True
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    needed = [*wanted.keywords, *(["generator"] if wanted.takes_generator else [])]
    missing = [n for n in needed if n not in named and not any_name]
    if missing:
        hint = ", or remove takes_generator=True" if missing == ["generator"] else ""
        raise DeclarationError(
            f"{where} does not accept {' and '.join(f'{n}=' for n in missing)}: write def {call}{hint}"
        )
    generator = next((p for p in parameters if p.name == "generator"), None)
    if wanted.takes_generator is False and generator is not None and generator.default is generator.empty:
        raise DeclarationError(
            f"{where} needs a generator: add takes_generator=True to the declaration, or give generator a default"
        )


def defines(kind: type[Any], name: str) -> bool:
    """Whether a class, or one that it is made of, says what ``name`` is."""
    return any(name in vars(base) for base in kind.__mro__)
