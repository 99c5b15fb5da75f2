"""A baseline: deviations that a host knows of and lives with, in a file beside its code.

For targets that have no declaration of their own to say ``expected_failures`` in (released schedulers, say), and for a
host that begins with the harness while some of its samplers deviate. The file is TOML::

    [[deviation]]
    target = "diffusers:DDIM*"            # as verdicts print it; * and ? as in a shell
    check = "law/times"
    reason = "trailing spacing tells the next entry, see issue 12"
    until = "diffusers 0.45"              # optional: from that version of that package on, no longer
    shows = { configuration = "DDIM(num_steps=1)", term = "time", step = 0, got = 999.0, should_be = 998.0, … }

``shows`` is what ``--write-baseline`` saw; whatever else the check finds later is a failure. Without it any deviation
is excused, but no crash.

Context: lists of known failures rot: what is mended stays listed and hides the next mistake.
Choice: an entry that matches no target, or whose check passes in one that it matches, is a failure, as is one whose
``until`` is over; the text of a file is only ever added to, since a person's comments stand in it.
Reversed by: hosts that want one file for several separate runs, each with some of the targets.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from sampler_harness.catalogue import KINDS, check_ids
from sampler_harness.pinned import Expected, Shown
from sampler_harness.verdict import Finding, Verdict, causes
from sampler_harness.wording import did_you_mean

__all__ = ["Baseline", "BaselineError", "Entry", "entries_of", "read_baseline", "written"]

KEYS = ("target", "check", "reason", "until", "shows")
#: Figures of a check that is known to fail, in an inline table.
SHOWS = ("configuration", "term", "problem", "says", "step", "got", "should_be", "sizes")
_TABLE = "deviation"
#: Stands for the reason of an entry that was written and not yet read by a person.
TODO = "TODO: say why"
_HEAD = """\
# Deviations that are known and lived with: check-sampler TARGET… --baseline {name}
# One that no longer shows is a failure, so that this list only ever gets shorter.
"""


class BaselineError(ValueError):
    """The file is no baseline; the message says where and what to write instead."""


@dataclass(frozen=True)
class Entry:
    """One known deviation.

    Attributes:
        target: pattern over targets as verdicts print them.
        check: id of the check that is known to fail.
        reason: why it is lived with.
        until: ``"package version"``: from that version on it is no longer excused; empty for always.
        shows: what the check showed when the entry was written; None excuses any deviation.
        seen: the same in a sentence, for a comment above an entry that is written; no part of one that is read.
        line: of the file where it begins, from 1.
    """

    target: str
    check: str
    reason: str
    until: str = ""
    shows: Shown | None = None
    line: int = 0
    seen: str = field(default="", compare=False)

    def matches(self, target: str) -> bool:
        """Whether the entry speaks of a target.

        Args:
            target: as a verdict prints it.
        """
        return fnmatch.fnmatchcase(target, self.target)

    @property
    def over(self) -> str:
        """Why the entry excuses nothing any more, in words; empty while it does."""
        if not self.until:
            return ""
        package, _, bound = self.until.rpartition(" ")
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            return ""  # what is not installed cannot have passed a version
        return f"{package} {installed} is installed" if Version(installed) >= Version(bound) else ""


@dataclass(frozen=True)
class Baseline:
    """The known deviations of one file.

    Attributes:
        path: of the file, as it was typed.
        entries: in the file's order.
    """

    path: str
    entries: tuple[Entry, ...] = ()

    def expected(self, target: str) -> dict[str, Expected]:
        """What is known of a target: check id to reason and place.

        Args:
            target: as a verdict prints it.
        """
        return {
            entry.check: Expected(entry.reason, f"{self.path}, line {entry.line}", entry.shows)
            for entry in self.entries
            if entry.matches(target) and not entry.over
        }

    @property
    def without_reason(self) -> list[int]:
        """Lines of the entries that still wait for somebody to say why."""
        return [entry.line for entry in self.entries if entry.reason.startswith("TODO")]

    def stale(
        self, named: Sequence[str], declared: Mapping[str, Collection[str]], *, everything: bool = True
    ) -> list[tuple[Entry, str]]:
        """Entries that excuse nothing, each with why; a check that passes is told in its verdict.

        Args:
            named: all targets of the call, also those that were left out because nothing of them changed.
            declared: target to the checks that its own declaration expects to fail.
            everything: whether ``named`` are all targets that the file is for.
        """
        found = []
        for entry in self.entries:
            matched = [target for target in named if entry.matches(target)]
            again = [target for target in matched if entry.check in declared.get(target, ())]
            if not matched and not everything:
                continue
            if not matched:
                close = difflib.get_close_matches(entry.target, named, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                found.append((entry, f"matches no target of this run{hint}: remove it, or run its target too"))
            elif entry.over:
                found.append(
                    (entry, f"was to hold until {entry.until}, and {entry.over}: remove it, or say why it goes on")
                )
            elif again:
                found.append((entry, f"is declared by {again[0]} itself (expected_failures): remove one of the two"))
        return found

    def sentence(self, stale: tuple[Entry, str]) -> str:
        """An entry that excuses nothing, for a person.

        Args:
            stale: of :meth:`stale`.
        """
        entry, why = stale
        where = f"{self.path}, line {entry.line}" if entry.line else self.path
        return f"{where}: {entry.target}, {entry.check}: {why}"


def read_baseline(path: str) -> Baseline:
    """Read a baseline.

    Args:
        path: of the TOML file.

    Raises:
        BaselineError: when it cannot be read or an entry is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BaselineError(f"there is no file {path}: --write-baseline makes one of the failures of today") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"cannot read {path}: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BaselineError(f"{path} is no TOML: {error}") from error
    strange = [key for key in data if key != _TABLE]
    if strange:
        raise BaselineError(f"{path} holds {strange[0]!r}, should hold [[{_TABLE}]] tables alone")
    tables = data.get(_TABLE, [])
    if not isinstance(tables, list):
        raise BaselineError(f"{path}: write [[{_TABLE}]] with two brackets on either side")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(f"[[{_TABLE}]]")]
    places = lines if len(lines) == len(tables) else [0] * len(tables)
    entries = tuple(_entry(table, path, line) for table, line in zip(tables, places, strict=True))
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        if (entry.target, entry.check) in seen:
            first = seen[entry.target, entry.check]
            raise BaselineError(f"{path}, line {entry.line}: the same target and check stand in line {first}")
        seen[entry.target, entry.check] = entry.line
    return Baseline(path, entries)


def _entry(table: Any, path: str, line: int) -> Entry:
    where = f"{path}, line {line}" if line else path
    if not isinstance(table, dict):
        raise BaselineError(f"{where}: write [[{_TABLE}]] tables")
    for key, value in table.items():
        if key not in KEYS:
            near = did_you_mean(key, KEYS)
            raise BaselineError(f"{where}: there is no key {key!r}{near} (keys: {', '.join(KEYS)})")
        if key != "shows" and (not isinstance(value, str) or not value.strip()):
            raise BaselineError(f"{where}: {key} must be text, got {value!r}")
    for key in KEYS[:3]:
        if key not in table:
            needed = "say why it is lived with" if key == "reason" else "which is it about?"
            raise BaselineError(f"{where}: {key} is missing: {needed}")
    known = [id for kind in KINDS for id in check_ids(kind)]
    if table["check"] not in known:
        near = did_you_mean(table["check"], known)
        raise BaselineError(f"{where}: there is no check {table['check']!r}{near} (--list-checks prints all)")
    _check_until(table.get("until", ""), where)
    shows = _shows(table["shows"], where) if "shows" in table else None
    return Entry(table["target"], table["check"], table["reason"], table.get("until", ""), shows, line)


def _shows(table: Any, where: str) -> Shown:
    """What a check showed, from the inline table of an entry."""
    if not isinstance(table, dict):
        raise BaselineError(f"{where}: shows must be a table as --write-baseline writes it, got {table!r}")
    kinds: dict[str, tuple[type, ...]] = dict.fromkeys(SHOWS[:4], (str,)) | {"step": (int,), "sizes": (list,)}
    for key, value in table.items():
        if key not in SHOWS:
            raise BaselineError(f"{where}: shows has no {key!r}{did_you_mean(key, SHOWS)} (it has {', '.join(SHOWS)})")
        numbers = value if isinstance(value, list) else [value]
        kind = kinds.get(key, (int, float))
        if not isinstance(value, kind) or (key == "sizes" and not all(isinstance(n, (int, float)) for n in numbers)):
            raise BaselineError(f"{where}: shows.{key} cannot be {value!r}: let --write-baseline write it")
    given = {key: value for key, value in table.items() if key != "sizes"}
    given |= {key: float(table[key]) for key in ("got", "should_be") if key in table}
    return Shown(**given, sizes=tuple(float(size) for size in table.get("sizes", ())))


def _check_until(until: str, where: str) -> None:
    if not until:
        return
    package, _, bound = until.rpartition(" ")
    try:
        Version(bound)
    except InvalidVersion:
        package = ""
    if not package.strip():
        raise BaselineError(f'{where}: until must name a package and a version, as "diffusers 0.45", got {until!r}')


def entries_of(verdicts: Sequence[Verdict]) -> list[Entry]:
    """An entry for each failure that is a cause; what follows from it is excused with it.

    Args:
        verdicts: of targets as they are, with figures as :meth:`.Assessment.pinned` gives them.
    """
    found: list[Entry] = []
    for verdict in verdicts:
        failed = [finding for finding in verdict.findings if finding.outcome == "failed"]
        found += [Entry(verdict.sampler, f.id, TODO, shows=f.shown, seen=_first_line(f)) for f in causes(failed)]
    return found


def _first_line(finding: Finding) -> str:
    """What a finding says, in one sentence."""
    return finding.message.splitlines()[0]


def written(old: str, entries: Sequence[Entry], name: str) -> str:
    """The file's text with further entries; of one that stands in it already only ``shows`` is written anew.

    Args:
        old: the text so far; empty for a new file.
        entries: to be added.
        name: of the file, for its first line.
    """
    old, entries = _pinned_anew(old, entries)
    blocks = []
    for entry in entries:
        pairs = {
            "target": _meaning_itself(entry.target),
            "check": entry.check,
            "reason": entry.reason,
            "until": entry.until,
        }
        lines = [f"{key} = {_quoted(value)}" for key, value in pairs.items() if value]
        lines += [] if entry.shows is None else [f"shows = {_inline(entry.shows)}"]
        comment = [f"# {' '.join(entry.seen.split())}"] if entry.seen.isprintable() and entry.seen else []
        blocks.append("\n".join([f"[[{_TABLE}]]", *comment, *lines]))
    head = old.rstrip("\n") + "\n" if old.strip() else _HEAD.format(name=name)
    return "\n".join([head, *(f"{block}\n" for block in blocks)]) if blocks else head


def _pinned_anew(old: str, entries: Sequence[Entry]) -> tuple[str, list[Entry]]:
    """The text with what its own entries show today, and the entries that it lacks."""
    tables = tomllib.loads(old).get(_TABLE, []) if old.strip() else []
    lines = old.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.strip().startswith(f"[[{_TABLE}]]")]
    if len(starts) != len(tables):
        return old, list(entries)
    ends = [*starts[1:], len(lines)]
    missing = []
    for entry in entries:
        mine = [
            place
            for place, table in enumerate(tables)
            if (table.get("target"), table.get("check")) == (_meaning_itself(entry.target), entry.check)
        ]
        if not mine:
            missing.append(entry)
            continue
        block = range(starts[mine[0]] + 1, ends[mine[0]])
        known = [number for number in block if lines[number].split("=")[0].strip() == "shows"]
        shows = "" if entry.shows is None else f"shows = {_inline(entry.shows)}\n"
        if known:
            lines[known[0]] = shows
        else:
            lines[starts[mine[0]]] += shows
    text = "".join(lines)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = f"shows of a known entry goes over several lines: put it on one, or take it out ({error})"
        raise BaselineError(told) from None
    return text, missing


def _meaning_itself(target: str) -> str:
    """A target as a pattern that matches it alone: its own brackets mean themselves."""
    return target.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def _inline(shown: Shown) -> str:
    """What a check shows, as an inline table."""
    pairs = []
    for key, value in shown.pin().items():
        listed = list(value) if isinstance(value, tuple) else value
        pairs.append(f"{key} = {_quoted(value) if isinstance(value, str) else listed}")
    return f"{{ {', '.join(pairs)} }}"


def _quoted(text: str) -> str:
    """A basic string of TOML, which is JSON's but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
