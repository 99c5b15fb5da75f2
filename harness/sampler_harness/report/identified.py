"""What a sampler was found to be, as text and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from sampler_harness.identity import Identity, Name

from .terminal import WIDTH, Line, Style

__all__ = ["as_json", "identified"]

_SHOWN = 4


def identified(one: Identity, how: str = "") -> list[Line]:
    """Lines on one sampler.

    Args:
        one: what was found.
        how: what it was given that nobody named.
    """
    head, style = _head(one)
    lines = [*_wrapped(head, style, 0)]
    if one.outcome == "unread":
        return [*lines, *(line for text in one.told for line in _wrapped(text, "", 2))]
    seconds = f"({one.seconds:.1f} s)"
    if one.outcome == "exact":
        first, *others = one.names
        lines += _wrapped(f"Exactly: its law is that one's with {one.runs}, and at large values too {seconds}.", "", 2)
        lines += _wrapped(f"Model: {first.process}.", "", 2)
        lines += [line for text in first.open for line in _wrapped(_sentence(text), "", 2)]
        # Fields that are written out, such as what is told at each level, tell two names apart and stand in neither.
        shown = list(dict.fromkeys(name.told for name in others if name.told != first.told))[:_SHOWN]
        if shown:
            lines.append(Line("  The same law in all of these runs:"))
            lines += [line for told in shown for line in _wrapped(told, "", 4)]
        lines += [line for text in one.like if _is_beside(text) for line in _wrapped(_sentence(text), "", 2)]
        lines += _wrapped(f"To have it checked: {first.declaration}", "dim", 2)
    else:
        lines += [line for text in one.told for line in _wrapped(_sentence(text), "", 2)]
        lines.append(Line(f"  What it is like {seconds}:"))
        lines += [line for text in one.like for line in _wrapped(text, "", 4)]
    if how:
        lines += _wrapped(f"It was {how}.", "dim", 2)
    return lines + [line for text in one.left_out for line in _wrapped(f"Not run {text}", "warn", 2)]


def _sentence(text: str) -> str:
    # A field's name is not written in capitals.
    first = text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]
    return f"{first}."


def _is_beside(text: str) -> bool:
    """Whether a sentence of what a sampler is like says something that its name does not."""
    return text.startswith("the finished sample")


def _head(one: Identity) -> tuple[str, Style]:
    match one.outcome:
        case "exact":
            return f"{one.target} is {_plain(one.names[0])}", "good"
        case "nearest":
            return f"{one.target} is none of the references exactly; nearest is {one.names[0].told}", "warn"
        case "none":
            return f"{one.target} is none of the references{'' if one.told else ', and like none of them'}", "warn"
        case _:
            return f"{one.target} could not be identified", "bad"


def _plain(name: Name) -> str:
    return ", ".join(part for part in (name.method, name.grid) if part)


def _wrapped(text: str, style: Style, indent: int) -> list[Line]:
    space = " " * indent
    wrapped = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=space,
        subsequent_indent=space + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [Line(line, style) for line in wrapped]


def as_json(found: Sequence[Identity]) -> str:
    """All of them as one array.

    Args:
        found: in the order of the targets.
    """
    return json.dumps([_plain_data(one) for one in found], indent=2, default=repr) + "\n"


def _plain_data(one: Identity) -> dict[str, Any]:
    return {
        "sampler": one.target,
        "outcome": one.outcome,
        "names": [
            {
                "reference": name.reference,
                "fields": dict(name.fields),
                "method": name.method,
                "grid": name.grid,
                "process": name.process,
                "levels_by_hand": name.by_hand,
                "open": list(name.open),
                "declaration": name.declaration,
            }
            for name in one.names
        ],
        "told": list(one.told),
        "like": list(one.like),
        "runs": one.runs,
        "left_out": list(one.left_out),
        "seconds": round(one.seconds, 2),
    }
