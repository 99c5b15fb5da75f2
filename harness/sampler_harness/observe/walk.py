"""Which of a sampler's own lines ran between its model calls: where in the user's code a wrong row was computed.

One more run, under a trace function. What it tells decides nothing; it is where a person looks, and where an annotation
stands.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

import reference_samplers
from sampler_harness.subject import Subject

from .probes import Impulses
from .problems import Problem
from .stand_in import Playing
from .statements import (
    Line,
    argument_of,
    assigned_by,
    called_by,
    called_name,
    calls_an_object,
    calls_in,
    function_of,
    gone_through,
    guard_of,
    handed_by_name,
    hands_others,
    is_method_call,
    leaves_loop,
    names_assigned,
    names_read,
    names_used,
    names_written_into,
    node_of,
    only_hands_on,
    parameters,
    plain_arguments,
    same_function,
    shown,
    statement_at,
    writes_outside_of,
)
from .tape import NOT_NORMAL
from .trace import Case, execute

__all__ = [
    "Line",
    "Walk",
    "assigned_by",
    "is_own",
    "own_stack",
    "shown",
    "statement_at",
    "walk",
    "walk_of",
    "writes_outside",
]

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
    #: What torch drew that is no normal noise, by the name of the function, with the stack of own lines.
    others: list[tuple[str, tuple[Line, ...]]] = field(default_factory=list)
    #: The innermost own line that raised what the run ended in.
    raised: Line | None = None
    #: For each line the functions of the user's own that were entered from it, by name.
    entered: dict[Line, set[str]] = field(default_factory=dict)

    def line_of_other(self, name: str) -> Line | None:
        """The line of the first random numbers of torch's that are not normal.

        Args:
            name: of the function that gives them.
        """
        # Outside of inference mode a dropout arrives as the Bernoulli draw that torch makes of it.
        dropped = name in ("bernoulli", "bernoulli_") or _drops(name)
        found = (stack for one, stack in self.others if stack and (one == name or (dropped and _drops(one))))
        return next((stack[0] for stack in found), None)

    def draws_towards(self, row: int) -> bool:
        """Whether anything is drawn between the model call before a row and the row.

        Args:
            row: as for :meth:`place`.
        """
        return any(before == row for before, _ in self.draws)

    def drawn_ahead(self) -> Line | None:
        """The last draw before the first model call, where there are several and none later."""
        ahead = [number for number, (before, _) in enumerate(self.draws) if not before]
        return self.line_of_draw(ahead[-1], seeded=False) if len(ahead) == len(self.draws) > 1 else None

    def guard_of_draws(self) -> Line | None:
        """The ``if`` that decides whether a step draws; None where none does, or several do."""
        lines = {line for before, stack in self.draws if before for line in stack[:1] or ()}
        lines |= {line for before, stack in self.draws if before for line in stack if not only_hands_on(line)}
        found = {guard for line in lines if (guard := guard_of(line)) is not None}
        return found.pop() if len(found) == 1 else None

    def way_out(self) -> Line | None:
        """The one ``if`` by which a loop is left or a step of it passed over; None where there is none, or several."""
        lines = {line for part in self.segments for line in part}
        found = {line for line in lines if leaves_loop(node_of(line))}
        return found.pop() if len(found) == 1 else None

    def last_return(self) -> Line | None:
        """The line by which what ran gives its value back, in the function that was entered first."""
        lines = [line for part in self.segments for line in part]
        own = [line for line in lines if same_function(line, lines[0])]
        found = next((line for line in reversed(own) if isinstance(node_of(line), ast.Return)), None)
        return self.returned(found) if found is not None and only_hands_on(found) else found

    def made_before_last_call(self, line: Line) -> Line | None:
        """The last line that made what a line returns, where it ran before the last model call; else None.

        Args:
            line: by which a value is given back.
        """
        node = node_of(line)
        if not isinstance(node, ast.Return) or node.value is None:
            return None
        names = set(names_read(node.value))
        parts = [[one for one in part if same_function(one, line)] for part in self.segments]
        # The statement that asks the model is done only behind its answer.
        behind = [*(self.calls[-1] if self.calls else ()), *(parts[-1] if parts else ())]
        if any(names & (names_assigned(one) | names_written_into(one)) for one in behind):
            return None
        return next(
            (one for part in reversed(parts[:-1]) for one in reversed(part) if names & names_assigned(one)), None
        )

    def hands_on(self, line: Line) -> bool:
        """Whether a line only calls a function of the user's own, which ran."""
        name = called_by(line)
        return name is not None and any(one.function == name for part in self.segments for one in part)

    def _called_by(self, line: Line) -> str | None:
        """The function whose value a line only hands on; of an object that is called, the one that it runs."""
        name = called_by(line)
        if name is None or not calls_an_object(line):
            return name
        entered = self.entered.get(line, set())
        # What is called within the call, for its arguments, was entered from this line too.
        behind = entered - calls_in(line)
        return behind.pop() if name not in entered and len(behind) == 1 else name

    def returned(self, line: Line) -> Line:
        """Behind a line that only calls a function of the user's own, the line there that gives its value back."""
        name = self._called_by(line)
        by_method = is_method_call(line)
        lines = [one for part in self.segments for one in part]
        if name is None or line not in lines:
            return line
        behind = [one for one in lines[lines.index(line) :] if one.function == name]
        # Elsewhere a function is shared: what it was asked for is as likely wrong as what it gives.
        behind = [one for one in behind if by_method or one.file == line.file]
        # A method may call another class's of its own name.
        behind = [one for one in behind if function_of(one) is not function_of(line)]
        found = _return_in(behind)
        return line if found is None or found == line else self.returned(found)

    def given(self, line: Line, argument: str) -> Line:
        """Where an argument is what a function of the user's own gives, the line there that gives it; else the call.

        Args:
            line: of the call.
            argument: as ``"step(sigma)"``.
        """
        callee, _, name = argument.rstrip(")").partition("(")
        lines = [one for part in self.segments for one in part]
        inside = next((one for one in lines if one.function == callee), None)
        expression = None if inside is None else argument_of(line, inside, name)
        if expression is None:
            if not hands_others(line, callee):
                return line  # what it has where nothing is handed to it
            # It came with others, as **options: the line that names it has it.
            named = dict.fromkeys(one for one in lines if handed_by_name(one, line.function, name))
            return next(iter(named)) if len(named) == 1 else line
        if not isinstance(expression, ast.Call):
            return line
        found = _return_in([one for one in lines if one.function == called_name(expression)])
        return line if found is None else self.returned(found)

    def gone_through(self, line: Line, name: str) -> Line | None:
        """The line that makes what a loop takes a name from, entry by entry; None where that cannot be told.

        Args:
            line: of the loop.
            name: that it gives values to.
        """
        through = gone_through(line, name)
        lines = [one for part in self.segments for one in part]
        if through is None or line not in lines:
            return None
        return self._made(through, line, lines[: lines.index(line)])

    def _made(self, name: str, at: Line, before: list[Line]) -> Line | None:
        """The last line that made a name of the function that a line stands in, or that handed it to the function."""
        function = function_of(at)
        own = [one for one in before if same_function(one, at) and function_of(one) is function]
        making = (
            one for one in reversed(own) if name in names_assigned(one) and not calls_in(one) & {"reverse", "sort"}
        )
        assigned = next(making, None)
        if assigned is not None or function is None or name not in parameters(function):
            return assigned
        calling = [one for one in before if function.name in calls_in(one)]
        if not calling:
            return None
        given = argument_of(calling[-1], at, name)
        if isinstance(given, ast.Name):
            earlier = before[: len(before) - 1 - before[::-1].index(calling[-1])]
            return self._made(given.id, calling[-1], earlier) or calling[-1]
        return calling[-1]

    def given_by(self, line: Line, argument: str) -> Line | None:
        """The line that returns what an argument is worked out from, where one function of the user's own gives that.

        Args:
            line: of the call.
            argument: as ``"step(sigma)"``.
        """
        callee, _, name = argument.rstrip(")").partition("(")
        lines = [one for part in self.segments for one in part]
        inside = next((one for one in lines if one.function == callee), None)
        expression = None if inside is None else argument_of(line, inside, name)
        called = (
            {called_name(one) for one in ast.walk(expression) if isinstance(one, ast.Call)} if expression else set()
        )
        own = called & {one.function for one in lines}
        found = _return_in([one for one in lines if one.function in own]) if len(own) == 1 else None
        return found if found is not None and found.file == line.file else None

    def line_of_draw(self, draw: int, *, seeded: bool) -> Line | None:
        """The line that makes a draw, or that calls a helper which only hands on what it is given; None for none.

        Args:
            draw: index of it.
            seeded: the last line before it that seeds a generator or puts it into a state, where there is one.
        """
        made = [stack for before, stack in self.seeds if before <= draw and stack] if seeded else []
        stack = made[-1] if made else self.draws[draw][1] if draw < len(self.draws) else ()
        return next((line for line in stack if not only_hands_on(line)), stack[0] if stack else None)

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
            return self._told(row) or self._told_from(row) or self.calls[row][0]
        drawn = [stack[0] for before, stack in self.draws if before == 0 and stack] if term == "initial-noise" else []
        returns = drawn and isinstance(node_of(drawn[-1]), ast.Return) and not only_hands_on(drawn[-1])
        if returns and not (self.calls and drawn[-1] in self.calls[0]):
            return drawn[-1]  # a function that makes the first noise and gives it back
        assigned = self._assigned(row)
        if assigned is not None:
            return assigned
        if drawn:
            return drawn[-1]
        if row < len(self.calls) and self.calls[row]:
            return self.calls[row][0]
        return self.segments[row][-1] if self.segments[row] else None

    @property
    def clamps(self) -> bool:
        """Whether a line that ran clamps anything, by name."""
        return any(calls_in(line) & _CLAMPS for part in self.segments for line in part)

    def only_clamp(self) -> Line | None:
        """The one line that clamps anything, by name; None where there is none, or several."""
        found = {line for part in self.segments for line in part if calls_in(line) & _CLAMPS}
        return found.pop() if len(found) == 1 else None

    def clamping(self) -> Line | None:
        """The line that clamps the finished sample: the outermost, then the last; None where no own line says so."""
        behind = list(reversed(self.segments[-1]))
        for at in reversed(self.calls[-1] if self.calls else ()):
            here = [line for line in behind if same_function(line, at)]
            # A statement that calls the sampler and clamps what it returns began before the model was called.
            found = next((line for line in (at, *here) if calls_in(line) & _CLAMPS), None)
            if found is not None:
                return found
        return next((line for line in behind if calls_in(line) & _CLAMPS), None)

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
        # Where the sample stands is asked of all functions that were entered, before what else they are given.
        for at, names in [(at, names_used(at)[which]) for which in (0, 1) for at in stack]:
            # The statement that asked the model last is done only now that it has its answer.
            done = [*before[:1], *segment]
            here = [line for line in reversed(done) if same_function(line, at) and line.line != at.line]
            if names:
                assigned = _last_assignment(names, here)
                if assigned is not None:
                    return assigned
                if at in before and names & names_assigned(at):
                    return at  # the statement that calls the model updates the sample too
        return None

    def _told(self, row: int) -> Line | None:
        """The line that makes the time of a call, where that has a name of its own."""
        at = self.calls[row][0]
        node = node_of(at)
        if node is None:
            return None
        first, every = names_used(at)
        rest = {
            name
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            for argument in (*call.args[1:], *(keyword.value for keyword in call.keywords))
            for name in names_read(argument)
        }
        here = [line for line in reversed(self.segments[row]) if same_function(line, at) and line.line != at.line]
        return next((line for line in here if names_assigned(line) & (rest & every - first)), None)

    def _told_from(self, row: int) -> Line | None:
        """The line that makes the table from which a loop takes the time of a call, where it is told as it stands."""
        at = self.calls[row][0]
        node, function = node_of(at), function_of(at)
        if node is None or function is None:
            return None
        told = plain_arguments(node)
        around = [
            Line(at.file, loop.lineno, at.function)
            for loop in ast.walk(function)
            if isinstance(loop, ast.For) and loop.lineno < at.line <= (loop.end_lineno or 0)
        ]
        made = (self.gone_through(loop, name) for loop in reversed(around) for name in told)
        return next((line for line in made if line is not None), None)


def _return_in(lines: list[Line]) -> Line | None:
    """The line by which the function gives back its value that the first of some lines stands in."""
    function = function_of(lines[0]) if lines else None
    return next((one for one in lines if isinstance(node_of(one), ast.Return) and function_of(one) is function), None)


def _last_assignment(names: set[str], lines: list[Line]) -> Line | None:
    """The latest line that gave a value to one of the names; behind a plain ``x = y`` the one that y is from.

    One that writes into a part, ``x[known] = …``, comes after one that makes the whole.
    """
    for assigned in (names_assigned, names_written_into):
        for number, line in enumerate(lines):
            if names & assigned(line):
                copied = _copied(line)
                return (copied and _last_assignment({copied}, lines[number + 1 :])) or line
    return None


def _copied(line: Line) -> str:
    """The name on the right of a plain copy; empty for any other statement."""
    match node_of(line):
        case ast.Assign(value=ast.Name(id=name)):
            return name
        case _:
            return ""


@functools.lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Whether a file is the user's: no library's and not the harness's."""
    if file.startswith("<"):
        return False
    path = str(Path(file).resolve())
    return not path.startswith((*_PACKAGES, *_NOT_OWN)) and "site-packages" not in path


def writes_outside(walks: Iterable[Walk]) -> Line | None:
    """The one line that writes what was worked out into what outlives a run; None where there is none, or several.

    Args:
        walks: of runs.
    """
    lines = {line for walked in walks for part in walked.segments for line in part}
    found = {line for line in lines if writes_outside_of(line)}
    return found.pop() if len(found) == 1 else None


class _Tracer:
    """A trace function that follows own code, and notices model calls and draws."""

    def __init__(self) -> None:
        self.walk = Walk()
        self._error: BaseException | None = None
        self._call: CodeType = Playing.forward.__code__

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code is self._call:
            self.walk.calls.append(tuple(own_stack(frame)))
            self.walk.segments.append([])
        elif is_own(code.co_filename):
            if (caller := next(own_stack(frame.f_back), None)) is not None:
                self.walk.entered.setdefault(caller, set()).add(code.co_name)
            return self._line
        return None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.walk.segments[-1].append(_line_of(frame))
        elif event == "exception" and argument[1] is not self._error:
            # Told from the innermost frame outwards; what came last is what ended the run.
            self._error, self.walk.raised = argument[1], _line_of(frame)
        return self._line

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """Notices what is not written in Python: what seeds a generator, and what gives random numbers."""
        if event != "c_call":
            return
        name, owner = getattr(argument, "__name__", ""), getattr(argument, "__self__", None)
        if name in _SEEDING and isinstance(owner, torch.Generator):
            self.walk.seeds.append((len(self.walk.draws), tuple(own_stack(frame))))
        elif name in NOT_NORMAL or _drops(name):
            self.walk.others.append((name, tuple(own_stack(frame))))

    def note_draw(self) -> None:
        self.walk.draws.append((len(self.walk.calls), tuple(own_stack(sys._getframe()))))


def _drops(name: str) -> bool:
    """Whether a function of torch's is a dropout: of elements, of channels, in place or not."""
    return "dropout" in name


def _line_of(frame: FrameType) -> Line:
    return Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def own_stack(frame: FrameType | None) -> Iterator[Line]:
    """Own lines of a frame and of those above it, innermost first.

    Args:
        frame: of any code.
    """
    while frame is not None:
        if is_own(frame.f_code.co_filename):
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


def walk(
    subject: Subject,
    case: Case,
    *,
    fixtures: Mapping[str, Any] | None = None,
    call_limit: int = 20_000,
    entry: Callable[..., Any] | None = None,
) -> Walk:
    """Run a sampler once more and note its lines.

    Args:
        subject: what was declared.
        case: what to run.
        fixtures: values for the sampler's further keyword-only arguments.
        call_limit: model calls after which the run is stopped.
        entry: what to call instead of the subject's function, with the same arguments.

    Returns:
        The lines, as far as the run came.
    """
    tracer = _Tracer()
    with _following(tracer):
        run = execute(subject, case, _Noticed(tracer), call_limit=call_limit, fixtures=fixtures, entry=entry)
    if run.problem is None or run.problem.kind not in ("raised", "exit"):
        tracer.walk.raised = None
    return tracer.walk


def walk_of(run: Callable[[], Problem | None]) -> Walk:
    """Note the own lines of anything that asks a stand-in for a model.

    Args:
        run: what is run once; why that cannot be used.

    Returns:
        The lines, as far as the run came; its draws are not noted.
    """
    tracer = _Tracer()
    with _following(tracer):
        problem = run()
    if problem is None or problem.kind not in ("raised", "exit"):
        tracer.walk.raised = None
    return tracer.walk


@contextlib.contextmanager
def _following(tracer: _Tracer) -> Iterator[None]:
    before, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(tracer)
    sys.setprofile(tracer.profile)
    try:
        yield
    finally:
        sys.settrace(before)
        sys.setprofile(profiled)
