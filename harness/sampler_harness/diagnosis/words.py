"""Explanations in words: the lines that differ, as a diff against the paper's algorithm, and a sentence for each."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import math
import re
from collections.abc import Sequence
from typing import Any

from reference_samplers import Reference, TrainingReference
from sampler_harness.verdict import Edit, Happened
from sampler_harness.verdict import Explanation as Told

from .explanation import Explanation, SameAs, Shift
from .forms import text_as
from .known_faults import GRID_FAULTS, KNOWN_FAULTS, TRAINING_FAULTS, KnownFault

__all__ = ["told", "told_as_part"]

#: Changed lines that a sentence quotes, at most; more are read in the diff.
QUOTED = 2


@functools.cache
def _fault(name: str) -> KnownFault:
    return next(fault for fault in (*KNOWN_FAULTS, *TRAINING_FAULTS, *GRID_FAULTS) if fault.name == name)


def told(explanation: Explanation, declared: Sequence[Any], variants: Sequence[Explanation] = ()) -> Told:
    """An explanation as a verdict tells it.

    Args:
        explanation: as found.
        declared: the declared configurations that it was held against.
        variants: explanations with the same law: the edge of a window may lie anywhere between two levels.
    """
    # Of a training step nothing happens in a window.
    walked = [config for config in declared if not isinstance(config, TrainingReference)]
    levels = sorted({float(s) for config in walked for s in config.window_levels})
    fields = {name: _range(name, value, variants, levels) for name, value in explanation.fields.items()}
    explanation = dataclasses.replace(explanation, fields=fields)
    edits = tuple(edit for file, text in explanation.texts.items() for edit in _edits(file, text, explanation))
    faults = [_fault(name) for name in explanation.faults]
    effects = tuple(fault.effect for fault in faults)
    happened = tuple(
        Happened(f"{fault.name}: {one.repository}", one.url or "") for fault in faults for one in fault.happened
    )
    texts = {name: _field_text(name, value, declared) for name, value in explanation.fields.items()}
    return Told(
        summary=_summary(explanation, edits, texts, declared),
        edits=edits,
        config={name: _shown(value) for name, value in explanation.fields.items()},
        reference=explanation.reference.__name__ if explanation.kind == "reference" else "",
        diff="".join(_diff(file, text, explanation) for file, text in explanation.texts.items()),
        effects=effects,
        happened=happened,
    )


def told_as_part(explanation: Explanation, declared: Sequence[Any]) -> Told:
    """An explanation of a part: what would be run, without a claim that it is.

    Args:
        explanation: as found.
        declared: the declared configurations that it was held against.
    """
    found = told(explanation, declared)
    name = paper(explanation.reference) + (f", written {explanation.form}," if explanation.form else "")
    fields = [_field_text(field, value, declared) for field, value in explanation.fields.items()]
    parts = [" and ".join(fields)] if fields else []
    if found.edits:
        parts.append(_of_lines(found.edits, explanation.faults) + _quoted(found.edits))
    return dataclasses.replace(found, summary=f"{name} with {' and with '.join(parts)}" if parts else name)


def _quoted(edits: Sequence[Edit]) -> str:
    """The lines that differ, without their comments: two answers may change one line in two ways."""
    if len(edits) > QUOTED:
        return ""
    shown = [f"`{_bare(edit.sampler)}` for `{_bare(edit.reference)}`" for edit in edits if "\n" not in edit.sampler]
    return ": " + ", ".join(shown) if shown else ""


def _bare(line: str) -> str:
    return line.partition("  #")[0].strip() or "nothing"


def _range(name: str, value: Any, variants: Sequence[Explanation], levels: Sequence[float]) -> Any:
    """All values of a window's edge that do the same, from one level that occurs to the next: ``0.03 to 0.07``."""
    if name not in ("s_tmin", "s_tmax") or not isinstance(value, float):
        return value
    alike = [value, *(one.fields[name] for one in variants if isinstance(one.fields.get(name), float))]
    low = max((level for level in levels if level < min(alike)), default=0.0)
    high = min((level for level in levels if level > max(alike)), default=math.inf)
    return f"{low:.3g} to {high:.3g}"


def _shown(value: Any) -> Any:
    if isinstance(value, SameAs):
        return value.field
    return f"declared {'+' if value.by > 0 else '-'} {abs(value.by)}" if isinstance(value, Shift) else value


def _field_text(name: str, value: Any, declared: Sequence[Any]) -> str:
    """``rho=5.0 (you declared 7.0)``."""
    if isinstance(value, Shift):
        return f"{name} one {'more' if value.by > 0 else 'less'} than declared"
    if isinstance(value, SameAs):
        return f"{name}={value.field}"
    shown = f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value!r}"
    if isinstance(value, str) and " to " in value:
        shown = f"{name} from {value}, which do the same"
    values = list(dict.fromkeys(config.values()[name] for config in declared if name in config.values()))
    if not values:
        return shown
    if len(values) == 1:
        return f"{shown} (you declared {values[0]!r})"
    return f"{shown}, whatever is declared"


def _summary(explanation: Explanation, edits: Sequence[Edit], fields: dict[str, str], declared: Sequence[Any]) -> str:
    if explanation.where is not None:
        everywhere = _summary(dataclasses.replace(explanation, where=None), edits, fields, declared)
        return f"{explanation.where}, {everywhere}"
    name = explanation.reference.__name__
    written = f", written {explanation.form}," if explanation.form else ""
    of_lines = f"{paper(explanation.reference)}{written} with {_of_lines(edits, explanation.faults)}" if edits else ""
    if explanation.kind == "reference":
        others = ", ".join(fields.values())
        start = f"this is {name}" + (f" with {others}" if others else "")
        return f"{start}, not {type(declared[0]).__name__}" + (f", and {of_lines}" if of_lines else "")
    yours = f"your {_noun(explanation.reference)}"
    if fields and not edits:
        return f"{yours} behaves exactly as {name} with {' and '.join(fields.values())}"
    if fields:
        return f"{yours} is {of_lines}, and behaves as {' and '.join(fields.values())}"
    return f"{yours} is {of_lines}"


def _noun(reference: type[Any]) -> str:
    if issubclass(reference, TrainingReference):
        return "training step"
    return "grid" if issubclass(reference, Reference) and reference.sample is Reference.sample else "sampler"


def _of_lines(edits: Sequence[Edit], faults: Sequence[str]) -> str:
    """``one line changed (line 7): slope-over-level-before-rise``."""
    count = "one line" if len(edits) == 1 else f"{len(edits)} lines"
    equations = list(dict.fromkeys(edit.equation for edit in edits if edit.equation))
    at = f" ({', '.join(equations)})" if equations else ""
    return f"{count} changed{at}" + (f": {', '.join(faults)}" if faults else "")


@functools.cache
def paper(reference: type) -> str:
    """Which paper a reference is written beside."""
    document = importlib.import_module(reference.__module__).__doc__ or reference.__name__
    number = re.search(r"arXiv:[0-9.]+[0-9]", document)
    return f"{reference.__name__} ({number.group()})" if number else reference.__name__


def _edits(file: str, text: str, explanation: Explanation) -> list[Edit]:
    """The blocks of lines in which a file differs from the package's."""
    before, after, faults = text_as(file, explanation.form).splitlines(), text.splitlines(), explanation.faults
    found = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        old, new = before[i1:i2], after[j1:j2]
        if tag == "replace" and len(old) == len(new):
            pairs = list(zip(range(i1, i2), old, new, strict=True))
            found += [_edit(file, n, a, b, faults) for n, a, b in pairs if a != b]
        else:
            found.append(_edit(file, i1 if old else i1 - 1, "\n".join(old), "\n".join(new), faults))
    return found


def _edit(file: str, index: int, old: str, new: str, faults: Sequence[str]) -> Edit:
    equation = re.search(r"#\s*(.+)$", (old or new).splitlines()[0]) if (old or new) else None
    return Edit(
        file=file,
        line=index + 1,
        reference=_stripped(old),
        sampler=_stripped(new),
        equation=equation.group(1).strip() if equation else "",
        fault=next((name for name in faults if _stands_in(name, file, old, new)), ""),
    )


def _stripped(lines: str) -> str:
    return "\n".join(line.strip() for line in lines.splitlines())


def _stands_in(name: str, file: str, old: str, new: str) -> bool:
    """Whether a change of lines is a known fault's."""
    for one in _fault(name).replacements:
        before, after = set(one.before.splitlines()), set(one.after.splitlines())
        gone = {line.strip() for line in before - after}
        come = {line.strip() for line in after - before}
        here = {line.strip() for line in old.splitlines()}, {line.strip() for line in new.splitlines()}
        inside = any(part and part in old for part in gone) or any(part and part in new for part in come)
        if one.file == file and (gone & here[0] or come & here[1] or inside):
            return True
    return False


def _diff(file: str, text: str, explanation: Explanation) -> str:
    form, yours = explanation.form, f"your {_noun(explanation.reference)}"
    name = f"{file}, written {form}" if form else file
    before = text_as(file, form).splitlines()
    lines = difflib.unified_diff(before, text.splitlines(), name, yours, n=2, lineterm="")
    return "".join(f"{line}\n" for line in lines)
