"""What there is to know without running anything: the checks, one of them explained, the references."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any, TextIO

from sampler_harness.adapters.names import ELSEWHERE
from sampler_harness.catalogue import KINDS, CheckInfo, catalogue, info_of
from sampler_harness.diagnosis.known_faults import GRID_FAULTS, KNOWN_FAULTS, KnownFault
from sampler_harness.wording import listed

__all__ = ["explain", "list_checks", "list_references"]

WIDTH = 100
#: The order in which groups of a sampler's checks are told.
GROUPS = ("timesteps", "shapes", "noise dimensions", "the rest")
#: A reference in a docstring, as documentation tools read it.
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_TITLES = {
    "sampler": "Samplers (@sampler_under_test)",
    "training": "Training steps (@training_under_test)",
    "preprocessing": "Preprocessing (@preprocess_under_test)",
    "data": "Data (@data_under_test)",
    "grid": "Grids (@grid_under_test)",
}
#: What a reference is named to, by what it is for.
_DECORATORS = {
    "For samplers": "sampler_under_test",
    "For training steps": "training_under_test",
    "For grids": "grid_under_test",
}


def list_checks(stream: TextIO) -> None:
    """All checks, by what they are made for, with what each claims, catches and is blind to.

    Args:
        stream: standard output, usually.
    """
    for kind in KINDS:
        stream.write(f"{_TITLES[kind]}\n")
        infos = catalogue(kind)
        for group in GROUPS:
            chosen = [info for info in infos if info.group == group]
            if not chosen:
                continue
            stream.write(f"\n  {group}\n")
            for info in chosen:
                stream.write(f"    {info.id}\n")
                for line in _fields(info):
                    stream.write(f"{textwrap.indent(line, ' ' * 8)}\n")
        stream.write("\n")
    stream.write("check-sampler --explain ID tells more of one.\n")


def _fields(info: CheckInfo) -> list[str]:
    told = [("claims:  ", info.claim), ("catches: ", info.catches), ("blind to:", info.blind_to)]
    return [_wrapped(f"{name} {text}", len(name) + 1, WIDTH - 8) for name, text in told]


def _wrapped(text: str, indent: int, width: int = WIDTH) -> str:
    return textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def explain(id: str, stream: TextIO) -> None:
    """One check: what it claims, catches and is blind to, what a failure looks like; or one reference's fields.

    Args:
        id: of a check, or the name of a reference or of a known fault.
        stream: standard output, usually.

    Raises:
        ValueError: where there is neither, with the nearest one.
    """
    faults = {one.name: one for one in (*KNOWN_FAULTS, *GRID_FAULTS)}
    if id in faults:
        _explain_fault(faults[id], stream)
        return
    info = info_of(id)
    if info is None:
        # Last, since references import numpy.
        references = {one.__name__: one for _, found in _references() for one in found}
        if id in references:
            _explain_reference(references[id], stream)
            return
        schedulers = _schedulers(known=references)
        if id in schedulers:
            reference, target = schedulers[id]
            _explain_reference(reference, stream, target)
            return
        names = [*(one.id for kind in KINDS for one in catalogue(kind)), *references, *schedulers, *faults]
        near = _near(id, names)
        hint = f": did you mean {listed(near)}?" if near else ""
        raise ValueError(f"there is no check, reference or fault {id!r}{hint} (--list-checks, --list-references)")
    stream.write(f"{info.id}  ({info.group}; {_TITLES[info.kind]})\n\n")
    for name, text in (
        ("It claims", info.claim),
        ("It catches", info.catches),
        ("It is blind to", info.blind_to),
    ):
        stream.write(f"{name}:\n{textwrap.indent(_wrapped(text, 0, WIDTH - 4), '    ')}\n")
    stream.write(f"When it fails:\n{textwrap.indent(_wrapped(info.remedy, 0, WIDTH - 4), '    ')}\n")
    place = info.fault.replace(".", "/").replace(":", ".py:")
    stream.write(f"A failure, of fixtures/{place} in this repository:\n")
    stream.write(f"{textwrap.indent(_wrapped(info.example, 0, WIDTH - 4), '    ')}\n")
    stream.write(f"\nA deviation that is intended: expected_failures={{{info.id!r}: 'why'}} in the declaration.\n")


#: A guess shares so much with what was typed; less is met by words that have nothing to do with each other.
_ALIKE = 0.7
#: Names that hold what was typed, of which so many are told.
_MOST_NEAR = 5


def _near(typed: str, names: Iterable[str]) -> list[str]:
    """Names that were probably meant: whatever case they are in, a family of checks, or a part of a name.

    Args:
        typed: by the user.
        names: that there are.
    """
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.lower(), name)
    word = typed.lower()
    if word in by_lower:
        return [by_lower[word]]
    if family := [name for lower, name in by_lower.items() if lower.startswith(f"{word}/")]:
        return family[:_MOST_NEAR]
    if close := difflib.get_close_matches(word, by_lower, n=1, cutoff=_ALIKE):
        return [by_lower[close[0]]]
    within = [name for lower, name in by_lower.items() if len(word) > 2 and word in lower and ":" not in lower]
    return within[:_MOST_NEAR]


def list_references(stream: TextIO) -> None:
    """The references that samplers, training steps and grids can be held against, with their fields.

    Args:
        stream: standard output, usually.
    """
    for title, references in _references():
        stream.write(f"{title}\n")
        for reference in references:
            document = inspect.getdoc(reference) or ""
            stream.write(f"\n  {reference.__name__}\n")
            stream.write(f"{textwrap.indent(_wrapped(document.splitlines()[0], 0, WIDTH - 4), '    ')}\n")
            source = re.search(r"Source: (.+?)(?:\n\n|$)", document, re.DOTALL)
            if source:
                told = " ".join(source.group(1).split())
                stream.write(f"{textwrap.indent(_wrapped(f'Source: {told}', 8, WIDTH - 4), '    ')}\n")
            stream.write(f"{textwrap.indent(_wrapped(f'Fields: {_defaults(reference)}', 8, WIDTH - 4), '    ')}\n")
        stream.write("\n")
    stream.write("check-sampler --explain NAME tells what each field means, and what it is called elsewhere.\n")


def _references() -> list[tuple[str, list[Any]]]:
    from reference_samplers import ALL_REFERENCES, ALL_TRAINING_REFERENCES
    from reference_samplers.grids import ALL_GRIDS

    return [
        ("For samplers", _by_name(ALL_REFERENCES)),
        ("For training steps", _by_name(ALL_TRAINING_REFERENCES)),
        ("For grids", _by_name(ALL_GRIDS)),
    ]


def _schedulers(known: Iterable[str]) -> dict[str, tuple[Any, str]]:
    """References of schedulers that have a name of their own, by it and by the scheduler's, with the target to check.

    Args:
        known: names that are another reference's.
    """
    from sampler_harness.adapters.diffusers_varied import REFERENCED

    found: dict[str, tuple[Any, str]] = {}
    for scheduler, made in REFERENCED.items():
        entry = made()[0], f"diffusers:{scheduler}"
        found[scheduler] = found[entry[1]] = entry
        if entry[0].__name__ not in known:
            found[entry[0].__name__] = entry
    return found


def _by_name(references: Iterable[Any]) -> list[Any]:
    return sorted(references, key=lambda one: (not one.__name__.isupper(), one.__name__))


def _explain_reference(reference: Any, stream: TextIO, target: str = "") -> None:
    """What it is, and of each field its default, what it means, and what other programs call it.

    Args:
        reference: the class.
        stream: written to.
        target: of the scheduler that it belongs to; empty where it is declared by hand.
    """
    document = inspect.getdoc(reference) or ""
    stream.write(f"{reference.__name__}\n")
    for paragraph in document.split("\nArgs:")[0].strip().split("\n\n"):
        plain = _ROLE.sub(r"\1", paragraph).replace("``", "")
        stream.write(f"{_wrapped(' '.join(plain.split()), 0)}\n")
    stream.write("\n")
    meanings = _meanings(document)
    for field in dataclasses.fields(reference):
        if not field.init:
            continue
        default = "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
        stream.write(f"  {field.name}{default}\n")
        for text in (meanings.get(field.name, ""), *(f"({name})" for name in ELSEWHERE.get(field.name, ()))):
            if text:
                stream.write(f"{textwrap.indent(_wrapped(text, 0, WIDTH - 6), '      ')}\n")
    if target:
        stream.write(f"\ncheck-sampler {target} varies them; --set OPTION=VALUE fixes an option of the scheduler.\n")
        return
    title = next(title for title, found in _references() if reference in found)
    under_test = _DECORATORS[title]
    stream.write(
        f"\n@{under_test}({reference.__name__}, field=value, other=strategy): a value is fixed, a strategy is tried\n"
        "out, and what is not named keeps its default.\n"
    )


def _explain_fault(fault: KnownFault, stream: TextIO) -> None:
    """What it changes, what that does, and where it happened."""
    stream.write(f"{fault.name}\n\n{_wrapped(fault.effect, 0)}\n")
    for one in fault.replacements:
        stream.write(f"\n  {one.file}\n")
        for sign, text in (("-", one.before), ("+", one.after)):
            stream.writelines(f"    {sign} {line}".rstrip() + "\n" for line in textwrap.dedent(text).splitlines())
    if fault.happened:
        stream.write("\nIt happened:\n")
        stream.writelines(f"  {one.repository}, {one.url}\n" for one in fault.happened)
    if fault in GRID_FAULTS:  # nothing is declared of a grid but that a check is known to fail
        return
    stream.write(
        f'\nIf it is intended: deviations={{"{fault.name}": "why"}} in the declaration; nothing else may differ.\n'
    )


def _meanings(document: str) -> dict[str, str]:
    """What a docstring says of each argument."""
    part = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", document, re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \S|\Z)", part.group(1) if part else "", re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in entries}


def _defaults(reference: Any) -> str:
    fields = [field for field in dataclasses.fields(reference) if field.init]
    return ", ".join(f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default!r}" for f in fields)
