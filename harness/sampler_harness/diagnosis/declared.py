"""What is declared to deviate is taken off an answer: of two changes, the one that nobody knew of is left."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

from sampler_harness.law.comparison import compare
from sampler_harness.law.tolerance import tolerance_of

from .explanation import Explanation
from .forms import text_as
from .found import Found
from .target import Target
from .words import told

__all__ = ["without_declared"]


def without_declared(found: Found, targets: Sequence[Target], expected: set[str]) -> tuple[list[Explanation], Found]:
    """Take off what is known: a change that alone fails a check that is expected to fail."""
    if not expected or not found.answers:
        return [], found
    first = found.answers[0].first
    parts = _parts(first)
    known = [part for part in parts if _alone_fails(part, targets) & expected]
    rest = [part for part in parts if part not in known]
    if not known or not rest:
        return [], found
    combined = _combined(first, rest)
    answer = dataclasses.replace(found.answers[0], variants=[combined])
    return known, dataclasses.replace(found, answers=[answer, *found.answers[1:]])


def _parts(explanation: Explanation) -> list[Explanation]:
    """Its changes one by one: each field, each block of lines."""
    parts = [
        dataclasses.replace(explanation, fields={k: v}, texts={}, faults=()) for k, v in explanation.fields.items()
    ]
    for file, text in explanation.texts.items():
        for block in _blocks(file, text, explanation.form):
            part = dataclasses.replace(explanation, fields={}, texts={file: block}, faults=())
            parts.append(dataclasses.replace(part, faults=_faults_in(part, explanation.faults)))
    return parts


def _blocks(file: str, text: str, form: str) -> list[str]:
    """Texts with one block of changed lines each."""
    before = text_as(file, form).splitlines(keepends=True)
    after = text.splitlines(keepends=True)
    changes = [
        code
        for code in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if code[0] != "equal"
    ]
    return ["".join([*before[:i1], *after[j1:j2], *before[i2:]]) for _, i1, i2, j1, j2 in changes]


def _faults_in(part: Explanation, names: Sequence[str]) -> tuple[str, ...]:
    edits = told(dataclasses.replace(part, faults=tuple(names)), []).edits
    return tuple(dict.fromkeys(edit.fault for edit in edits if edit.fault))


def _alone_fails(part: Explanation, targets: Sequence[Target]) -> set[str]:
    """The checks of the law that a change would fail first, were it the only one."""
    from sampler_harness.checks.law import CHECK_OF

    found = set()
    for target in targets:
        law = part.law(target)
        if law is None:
            continue
        tolerance = tolerance_of(target.config, target.dtype, target.learned_variance)
        real = [d for d in compare(law, target.reference_law, tolerance) if d.ratio > 1 and not d.consequence]
        if real:
            first = min(real, key=lambda d: (d.term != "count", d.row))
            found.add(CHECK_OF[first.term])
    return found


def _combined(whole: Explanation, parts: Sequence[Explanation]) -> Explanation:
    """What is left of an explanation, told by itself."""
    fields = {k: v for part in parts for k, v in part.fields.items()}
    texts: dict[str, str] = {}
    for part in parts:
        for file, text in part.texts.items():
            texts[file] = text if file not in texts else whole.texts[file]
    faults = tuple(name for part in parts for name in part.faults)
    return dataclasses.replace(whole, fields=fields, texts=texts, faults=faults)
