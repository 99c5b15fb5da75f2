"""The reference that a declaration names and the fields that it gives it: each exists, and each value is legal."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sampler_harness.wording import did_you_mean

from .allowed import is_strategy, named_values, refused_value
from .functions import DeclarationError

__all__ = ["check_drawn", "check_fields"]


def check_fields(reference: type[Any], fields: Mapping[str, Any], options: Collection[str]) -> None:
    """Every named field exists, nothing required is missing, and the reference accepts the values.

    Args:
        reference: the dataclass.
        fields: what was declared.
        options: names of the decorator's own arguments, one of which may have been meant.

    Raises:
        DeclarationError: names the field, and what the reference says of it.
    """
    __tracebackhide__ = True
    kind = reference.__name__
    known = {f.name: f for f in dataclasses.fields(reference) if f.init}
    for name in fields:
        if name not in known:
            near = did_you_mean(name, [*known, *options])
            raise DeclarationError(f"{kind} has no field {name!r}{near} (fields: {', '.join(known)})")
    empty = dataclasses.MISSING
    required = {n for n, f in known.items() if f.default is empty and f.default_factory is empty}
    for name in known:
        if name in required and name not in fields:
            raise DeclarationError(f"{kind} needs {name}: add {name}=… to the declaration, a value or a strategy")
    _check_fixed(reference, required, fields)
    check_drawn(reference, fields)
    _check_told_apart(reference, known, fields)


def check_drawn(
    reference: type[Any], fields: Mapping[str, Any], drawn: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Every value that a strategy names is legal in some configuration.

    Args:
        reference: the dataclass.
        fields: what was declared.
        drawn: values of the fields whose strategies cannot be read.

    Raises:
        DeclarationError: names the value, and what the reference says of it.
    """
    __tracebackhide__ = True
    refused = refused_value(reference, fields, drawn)
    if refused is None:
        return
    name, value, said = refused
    blamed = re.split(r"\W", said, maxsplit=1)[0]
    about = "" if blamed in fields else f" ({name}={value!r})"
    hint = "a range must end where the reference does"
    if " one of " in said:
        hint = "what your program calls by another name is declared by the reference's and translated in the function"
    raise DeclarationError(
        f"a value of {blamed if blamed in fields else name} is legal in no configuration of {reference.__name__}, so "
        f"that it would never be run: {said}{about}. Leave it out: {hint}"
    )


def _check_fixed(reference: type[Any], required: Collection[str], fields: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    drawn = {name for name, value in fields.items() if is_strategy(value)}
    fixed = {name: value for name, value in fields.items() if name not in drawn}
    if any(name in drawn for name in required):
        return
    try:
        reference(**fixed)
    except (ValueError, TypeError) as error:
        message = str(error)
        # A field that is drawn may make the rest legal: only what stands whatever is drawn is refused here.
        if any(re.search(rf"\b{re.escape(name)}\b", message) for name in drawn):
            return
        hint = ""
        listed = next((n for n, v in fixed.items() if n in message and isinstance(v, (list, set, range, dict))), None)
        if listed is not None:
            hint = f" (to try several values write {listed}=st.sampled_from([…]), from hypothesis.strategies)"
        raise DeclarationError(f"{reference.__name__} refuses this: {message}{hint}") from None


def _check_told_apart(reference: Any, known: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Configurations can be told apart: what is measured is kept by them."""
    __tracebackhide__ = True
    kind = reference.__name__
    if reference.__hash__ is None:
        raise DeclarationError(
            f"configurations of {kind} have no hash, and what is measured is kept by them: write "
            f"@dataclass(frozen=True) above class {kind}"
        )
    given = {name: named_values(value) or [] for name, value in fields.items()}
    chosen = {name: values[0] for name, values in given.items() if values}
    for name, one in known.items():
        for value in given.get(name, [None]) if one.compare else ():
            try:
                config = reference(**(chosen if value is None else {**chosen, name: value}))
                kept = operator.attrgetter(name)(config)
            except Exception:  # of a declared value something was said above, if it is legal nowhere
                continue
            try:
                hash(kept)
            except TypeError:
                raise DeclarationError(
                    f"{name} of {kind} holds a {type(kept).__name__}, by which configurations cannot be told apart: "
                    f"make it a tuple, or write {name} = field(compare=False, …) where nothing depends on it"
                ) from None
