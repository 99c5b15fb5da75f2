"""What a sampler's own lines give their names: seen as they run, and replaced by something else where that is asked.

A trace function is told of a line before it runs; what a line has assigned is there when the next one is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .problems import RunStopped
from .stand_in import Playing
from .statements import Line, assigned_by, statement_at
from .walk import is_own

__all__ = ["KEPT", "Assigned", "assigning"]

#: Told by a visitor that leaves a value as it is.
KEPT: Any = object()
_MISSING: Any = object()
#: Lines that a run may take: counted, not timed, so that it ends in the same place on every machine.
MOST_LINES = 200_000


class Assigned(NamedTuple):
    """A value that an own line has made.

    Attributes:
        segment: model calls before it.
        line: where; of an argument the line of the call.
        name: what was given the value, as ``"x"``, ``"self.table"``; of an argument the function's and its own,
            ``"slope(sigma)"``.
        value: what it was given.
        calls: the input of each model call so far and its answer.
    """

    segment: int
    line: Line
    name: str
    value: Any
    calls: list[tuple[Any, Any]]


Visitor = Callable[[Assigned], Any]


def assigning(
    function: Callable[..., Any],
    visit: Visitor,
    *,
    only: tuple[Line, str] | None = None,
    held: bool = False,
    at: Line | None = None,
) -> Callable[..., Any]:
    """A sampler whose own lines tell what they assign.

    Args:
        function: the sampler.
        visit: told of each value; what it returns stands in its place, but for :data:`KEPT`.
        only: a line and a name that it assigns: of others nothing need be told, which is faster.
        held: the name is told of again behind each model call, as long as no other line assigns it.
        at: the name is told of where this line reads it, and nowhere else; behind the line it has its own value again.

    Returns:
        A function to call in the sampler's place. Attributes that it replaces have their old values behind the run. It
        raises :class:`RunStopped` where traced lines run more than :data:`MOST_LINES` times: a value that was put in
        place may keep a loop from its end.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        tracer = _Tracer(visit, only, held, at)
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(before)
            tracer.put_back()

    return run


class _Tracer:
    """A trace function; of each frame of own code it remembers the line that is running."""

    def __init__(self, visit: Visitor, only: tuple[Line, str] | None, held: bool, at: Line | None) -> None:
        self._visit = visit
        self._at = at
        self._asked = only
        self._lent: dict[FrameType, tuple[Any, Any]] = {}
        self._given: dict[FrameType, int] = {}
        self._only = only if held else None
        self._held: dict[FrameType, int] = {}
        self._place = None if only is None else (only[0].file, only[0].function)
        self._callee = None if only is None or not only[1].endswith(")") else only[1].partition("(")[0]
        self._running: dict[FrameType, int] = {}
        self._lines = 0
        self._replaced: list[tuple[Any, str, Any]] = []
        self._calls: list[tuple[Any, Any]] = []
        self._model: CodeType = Playing.forward.__code__

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code is self._model:
            return self._answered
        if code.co_name.startswith("<") or not is_own(code.co_filename):
            return None
        if self._callee is None:
            if self._place not in (None, (code.co_filename, code.co_name)):
                return None
        elif code.co_name != self._callee:
            return None
        self._arguments(frame)
        return self._line if self._callee is None else self._counted

    def _counted(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._lines += event == "line"
        if self._lines > MOST_LINES:
            raise RunStopped
        return self._counted

    def put_back(self) -> None:
        """Give replaced attributes their own values again: what they belong to may outlive the run."""
        for owner, name, value in reversed(self._replaced):
            setattr(owner, name, value)
        self._replaced.clear()

    def _answered(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return":
            asked = frame.f_locals["args"]
            self._calls.append((asked[0] if asked else None, argument))
        return self._answered

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._counted(frame, event, argument)
        if event in ("line", "return"):
            ran = self._running.get(frame)
            # Asked for once: Python reads them from the frame anew each time, over what was put there.
            names = frame.f_locals
            if self._at is not None:
                self._lend(frame, ran, names, returns=event == "return")
            elif ran is not None and not (event == "return" and argument is None and frame.f_lineno != ran):
                self._assigned(frame, ran, names)
            if self._only is not None and self._at is None:
                self._hold(frame, ran, names)
            if event == "line":
                self._running[frame] = frame.f_lineno
            else:
                self._running.pop(frame, None)
                self._held.pop(frame, None)
                self._given.pop(frame, None)
        return self._line

    def _assigned(self, frame: FrameType, ran: int, names: dict[str, Any]) -> None:
        file = frame.f_code.co_filename
        node = statement_at(file, ran)
        if node is None or (node.end_lineno != node.lineno and node is statement_at(file, frame.f_lineno)):
            return  # a statement of several lines is not yet done
        line = Line(file, ran, frame.f_code.co_name)
        told = [self._told(names, line, path, path) for path in assigned_by(node)]
        if not any(told):  # that the line is done is told all the same
            self._visit(Assigned(len(self._calls), line, "", None, self._calls))

    def _hold(self, frame: FrameType, ran: int | None, names: dict[str, Any]) -> None:
        """Tell again of the one name, where the model was called since it was told of."""
        assert self._only is not None
        line, name = self._only
        node = None if ran is None else statement_at(line.file, ran)
        if ran == line.line:
            self._held[frame] = len(self._calls)
        elif node is not None and name in assigned_by(node):
            self._held.pop(frame, None)
        elif self._held.get(frame, len(self._calls)) < len(self._calls):
            self._held[frame] = len(self._calls)
            self._told(names, line, name, name)

    def _lend(self, frame: FrameType, ran: int | None, names: dict[str, Any], *, returns: bool) -> None:
        """Give the one name another value as long as one line runs: that of when it was assigned, or of now if held."""
        assert self._at is not None
        assert self._asked is not None
        line, name = self._asked
        if ran == line.line and self._only is None:
            self._given[frame] = len(self._calls)
        reads = frame.f_lineno == self._at.line and not returns
        if frame in self._lent and not reads:
            own, new = self._lent.pop(frame)
            if names.get(name) is new:
                names[name] = own
        if reads and frame not in self._lent and (own := names.get(name, _MISSING)) is not _MISSING:
            segment = self._given.get(frame, len(self._calls))
            new = self._visit(Assigned(segment, line, name, own, self._calls))
            if new is not KEPT:
                self._lent[frame] = own, new
                names[name] = new

    def _arguments(self, frame: FrameType) -> None:
        """Arguments are given by the line of the call, where that is own code too."""
        caller = frame.f_back
        if caller is None or not is_own(caller.f_code.co_filename):
            return
        code, names = frame.f_code, frame.f_locals
        if self._at is not None:
            return
        line = Line(caller.f_code.co_filename, caller.f_lineno, caller.f_code.co_name)
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            self._told(names, line, name, f"{code.co_name}({name})")

    def _told(self, names: dict[str, Any], line: Line, path: str, name: str) -> bool:
        """Tell of a name; False where it has no value."""
        first, *owners = path.split(".")
        held, rest = names.get(first, _MISSING), ""
        if owners:
            *inner, rest = owners
            for owner in inner:
                held = _attributes(held).get(owner, _MISSING)
        value = _attributes(held).get(rest, _MISSING) if rest else held
        if value is _MISSING:
            return False
        new = self._visit(Assigned(len(self._calls), line, name, value, self._calls))
        if new is not KEPT and rest:
            self._replaced.append((held, rest, value))
            setattr(held, rest, new)
        elif new is not KEPT:
            names[first] = new  # put into the frame when the trace function returns
        return True


def _attributes(held: Any) -> dict[str, Any]:
    try:
        return dict(vars(held))
    except TypeError:
        return {}
