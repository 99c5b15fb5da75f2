"""Which of a sampler's own lines ran between its model calls: where in the user's code a wrong row was computed.

One more run, under a trace function. What it tells decides nothing; it is where a person looks, and where an annotation
stands.
"""

from __future__ import annotations

import ast
import functools
import linecache
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

import reference_samplers
from sampler_harness.subject import Subject

from .probes import Impulses
from .stand_in import StandIn
from .trace import Case, execute

__all__ = ["Line", "Walk", "shown", "walk"]

#: The harness, and the references that a sampler reads its options from.
_PACKAGES = (
    str(Path(__file__).resolve().parent.parent),
    *(str(Path(path).resolve()) for path in reference_samplers.__path__),
)
#: What clamps a tensor, by name.
_CLAMPS = {"clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_max", "hardtanh", "minimum", "maximum", "relu"}
#: How a generator is seeded or put into a state.
_SEEDING = frozenset({"manual_seed", "set_state", "graphsafe_set_state", "set_offset", "clone_state"})
_NOT_OWN = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})


@dataclass(frozen=True)
class Line:
    """A line of the user's code.

    Attributes:
        file: as Python loaded it, absolute.
        line: from 1.
        function: that it stands in.
    """

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """What stands there."""
        return linecache.getline(self.file, self.line).strip()


@dataclass
class Walk:
    """The lines of one run, in order.

    Attributes:
        segments: for each model call the lines since the one before, last the lines after the last call.
        calls: for each model call the stack of own lines that it was made from, innermost first.
        draws: for each draw how many model calls came before it, and the stack of own lines.
        seeds: for each time that a generator was seeded or put into a state, how many draws came before it, and the
            stack of own lines.
    """

    segments: list[list[Line]] = field(default_factory=lambda: [[]])
    calls: list[tuple[Line, ...]] = field(default_factory=list)
    draws: list[tuple[int, tuple[Line, ...]]] = field(default_factory=list)
    seeds: list[tuple[int, tuple[Line, ...]]] = field(default_factory=list)

    def line_of_draw(self, draw: int, *, seeded: bool) -> Line | None:
        """The line that makes a draw; None where no own line does.

        Args:
            draw: index of it.
            seeded: the last line before it that seeds a generator or puts it into a state, where there is one.
        """
        made = [stack for before, stack in self.seeds if before <= draw and stack] if seeded else []
        stack = made[-1] if made else self.draws[draw][1] if draw < len(self.draws) else ()
        return stack[0] if stack else None

    def place(self, row: int | None, term: str = "") -> Line | None:
        """The line where to look first for what is wrong in a row; None where no own line ran.

        Args:
            row: k, the model input; the number of calls for the returned sample; None for no row in particular.
            term: of the law, as ``"time"`` or ``"initial-noise"``.
        """
        if row is None or not 0 <= row < len(self.segments):
            outermost = self.calls[0][0] if self.calls and self.calls[0] else None
            return outermost or next((line for part in self.segments for line in part), None)
        if term == "time" and row < len(self.calls) and self.calls[row]:
            return self.calls[row][0]
        assigned = self._assigned(row)
        if assigned is not None:
            return assigned
        if term == "initial-noise":
            drawn = [stack[0] for before, stack in self.draws if before == 0 and stack]
            if drawn:
                return drawn[-1]
        if row < len(self.calls) and self.calls[row]:
            return self.calls[row][0]
        return self.segments[row][-1] if self.segments[row] else None

    def clamping(self) -> Line | None:
        """The line that clamps the finished sample: the outermost, then the last; None where no own line says so."""
        behind = list(reversed(self.segments[-1]))
        for at in reversed(self.calls[-1] if self.calls else ()):
            here = [line for line in behind if _same_function(line, at)]
            # A statement that calls the sampler and clamps what it returns began before the model was called.
            found = next((line for line in (at, *here) if _called(line) & _CLAMPS), None)
            if found is not None:
                return found
        return next((line for line in behind if _called(line) & _CLAMPS), None)

    def ran(self, row: int | None) -> dict[str, list[int]]:
        """Files and lines that ran towards a row, or in the whole run.

        Args:
            row: as for :meth:`place`.
        """
        parts = self.segments if row is None or not 0 <= row < len(self.segments) else [self.segments[row]]
        found: dict[str, set[int]] = {}
        for line in (line for part in parts for line in part):
            found.setdefault(line.file, set()).add(line.line)
        return {file: sorted(lines) for file, lines in found.items()}

    def _assigned(self, row: int) -> Line | None:
        """The last line of a row's segment that gave a value to something that the model call (or return) names."""
        segment = self.segments[row]
        stack = self.calls[row] if row < len(self.calls) else tuple(segment[-1:])
        before = self.calls[row - 1] if row else ()
        for at in stack:
            here = [line for line in reversed(segment) if _same_function(line, at) and line.line != at.line]
            for names in _names_used(at):
                assigned = _last_assignment(names, here)
                if assigned is not None:
                    return assigned
                if at in before and names & _names_assigned(at):
                    return at  # the statement that calls the model updates the sample too
        return None


def _last_assignment(names: set[str], lines: list[Line]) -> Line | None:
    """The latest line that gave a value to one of the names; behind a plain ``x = y`` the one that y is from.

    One that writes into a part, ``x[known] = …``, comes after one that makes the whole.
    """
    for assigned in (_names_assigned, _names_written_into):
        for number, line in enumerate(lines):
            if names & assigned(line):
                copied = _copied(line)
                return (copied and _last_assignment({copied}, lines[number + 1 :])) or line
    return None


def _copied(line: Line) -> str:
    """The name on the right of a plain copy; empty for any other statement."""
    match _statements(line.file).get(line.line):
        case ast.Assign(value=ast.Name(id=name)):
            return name
        case _:
            return ""


def shown(file: str) -> str:
    """A file as a person names it: relative where it lies below the working directory.

    Args:
        file: absolute.
    """
    path = Path(file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()


@functools.lru_cache(maxsize=64)
def _statements(file: str) -> Mapping[int, ast.stmt]:
    """The innermost statement of each line."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            # Outer statements come first in a walk, so that inner ones write over them.
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node
    return found


def _same_function(line: Line, other: Line) -> bool:
    return (line.file, line.function) == (other.file, other.function)


def _names_used(at: Line) -> tuple[set[str], set[str]]:
    """What a statement reads: in the first arguments of its calls, where the sample stands, and everywhere."""
    node = _statements(at.file).get(at.line)
    if node is None:
        return set(), set()
    first = [call.args[0] for call in ast.walk(node) if isinstance(call, ast.Call) and call.args]
    return {name for argument in first for name in _read(argument)}, set(_read(node))


def _read(node: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def _names_assigned(line: Line) -> set[str]:
    """What a simple statement gives a value to, as a whole."""
    return {name for target in _targets(line) for name in _named(target) if not _is_part(target)}


def _names_written_into(line: Line) -> set[str]:
    """What a simple statement changes some entries of."""
    return {name for target in _targets(line) for name in _named(target) if _is_part(target)}


def _is_part(target: ast.expr) -> bool:
    whole = (ast.Constant, ast.Slice)
    return isinstance(target, ast.Subscript) and not isinstance(target.slice, whole)


def _called(line: Line) -> set[str]:
    """Names of the functions and methods that a simple statement calls."""
    node = _statements(line.file).get(line.line)
    if node is None or (
        isinstance(node, ast.stmt) and any(isinstance(inner, ast.stmt) for inner in ast.walk(node) if inner is not node)
    ):
        return set()
    calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in calls if isinstance(f, (ast.Attribute, ast.Name))}


def _named(target: ast.expr) -> Iterator[str]:
    return (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _targets(line: Line) -> list[ast.expr]:
    match _statements(line.file).get(line.line):
        case ast.Assign(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value))):
            return [value]  # x.add_(…) writes into x
        case _:
            return []


@functools.lru_cache(maxsize=4096)
def _is_own(file: str) -> bool:
    """Whether a file is the user's: no library's and not the harness's."""
    if file.startswith("<"):
        return False
    path = str(Path(file).resolve())
    return not path.startswith((*_PACKAGES, *_NOT_OWN)) and "site-packages" not in path


class _Tracer:
    """A trace function that follows own code, and notices model calls and draws."""

    def __init__(self) -> None:
        self.walk = Walk()
        self._call: CodeType = StandIn.forward.__code__

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code is self._call:
            self.walk.calls.append(tuple(_stack(frame)))
            self.walk.segments.append([])
        elif _is_own(code.co_filename):
            return self._line
        return None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.walk.segments[-1].append(_line_of(frame))
        return self._line

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """Notices a generator that is seeded or put into a state: methods that are not written in Python."""
        if (
            event == "c_call"
            and getattr(argument, "__name__", "") in _SEEDING
            and isinstance(getattr(argument, "__self__", None), torch.Generator)
        ):
            self.walk.seeds.append((len(self.walk.draws), tuple(_stack(frame))))

    def note_draw(self) -> None:
        self.walk.draws.append((len(self.walk.calls), tuple(_stack(sys._getframe()))))


def _line_of(frame: FrameType) -> Line:
    return Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _stack(frame: FrameType | None) -> Iterator[Line]:
    """Own lines above a frame, innermost first."""
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            yield _line_of(frame)
        if frame.f_code is execute.__code__:
            return
        frame = frame.f_back


class _Noticed(Impulses):
    """Zero everywhere; tells the tracer of each draw."""

    def __init__(self, tracer: _Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def draw(self, index: int, shape: tuple[int, ...]) -> Any:
        self._tracer.note_draw()
        return super().draw(index, shape)


def walk(subject: Subject, case: Case, *, fixtures: Mapping[str, Any] | None = None, call_limit: int = 20_000) -> Walk:
    """Run a sampler once more and note its lines.

    Args:
        subject: what was declared.
        case: what to run.
        fixtures: values for the sampler's further keyword-only arguments.
        call_limit: model calls after which the run is stopped.

    Returns:
        The lines, as far as the run came.
    """
    tracer = _Tracer()
    before, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(tracer)
    sys.setprofile(tracer.profile)
    try:
        execute(subject, case, _Noticed(tracer), call_limit=call_limit, fixtures=fixtures)
    finally:
        sys.settrace(before)
        sys.setprofile(profiled)
    return tracer.walk
