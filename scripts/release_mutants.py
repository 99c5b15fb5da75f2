"""``make mutants``: small changes of the released samplers, one at a time, and whether the verdict on their wrap turns.

Of every line that runs, each number, operator, comparison, condition, keyword and call is changed. What survives is
printed, for a person to look at: it changes nothing (a sign of a draw, a device that is the default), it is a field
that the wrap does not vary, or it is a hole of the harness. Nothing here is a test.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from sampler_harness import Subject, check_sampler
from sampler_harness.checks.evidence import Evidence

#: Wrap and the release that it runs.
WRAPS = (
    ("edm", "edm"),
    ("diamond", "diamond"),
    ("guided_ddpm_learned", "guided_diffusion"),
    ("guided_ddim", "guided_diffusion"),
    ("denoising_diffusion_ddim", "denoising_diffusion_pytorch"),
    ("policy_ddim", "diffusion_policy"),
)
#: Seconds after which a changed sampler counts as noticed: it no longer ends.
PATIENCE = 60
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip

Change = Callable[[Any], None]


def _set(name: str, value: Any) -> Change:
    return lambda node: setattr(node, name, value)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Changes of one node: what is done, and how to do it to a copy."""
    match node:
        case ast.Constant(value=bool() as value):
            yield f"{value} is {not value}", _set("value", not value)
        case ast.Constant(value=int() as value):
            yield f"{value} is {value + 1}", _set("value", value + 1)
        case ast.Constant(value=float() as value):
            yield f"{value} is 1 % larger", _set("value", value * 1.01 if value else 0.01)
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            other = _OPERATORS[type(op)]
            yield f"{type(op).__name__} is {other.__name__}", _set("op", other())
        case ast.Compare(ops=[*ops]):
            for place, one in enumerate(ops):
                if type(one) in _COMPARISONS:
                    instead = _COMPARISONS[type(one)]
                    changed = [*ops[:place], instead(), *ops[place + 1 :]]
                    yield f"{type(one).__name__} is {instead.__name__}", _set("ops", changed)
        case ast.UnaryOp(op=ast.USub()):
            yield "without its minus", _set("op", ast.UAdd())
        case ast.If() | ast.IfExp():
            yield "always", _set("test", ast.Constant(True))
            yield "never", _set("test", ast.Constant(False))
        case ast.Call(keywords=[*keywords]):
            for place, keyword in enumerate(keywords):
                if keyword.arg is not None:
                    yield f"without {keyword.arg}=", _set("keywords", [*keywords[:place], *keywords[place + 1 :]])


def mutants(source: str, lines: set[int]) -> Iterator[tuple[int, str, ast.Module]]:
    """Changed programs: the line, what is changed there, and the program.

    Args:
        source: of a module.
        lines: that ran.
    """
    tree = ast.parse(source)
    for number, node in enumerate(ast.walk(tree)):
        line = getattr(node, "lineno", 0)
        for told, change in _changes(node) if line in lines else ():
            changed = copy.deepcopy(tree)
            change(next(one for place, one in enumerate(ast.walk(changed)) if place == number))
            yield line, f"{told}: {ast.unparse(node).splitlines()[0][:60]}", ast.fix_missing_locations(changed)


def lines_that_run(subject: Subject, file: str) -> set[int]:
    """Lines of a file that run in some configuration of a sampler."""
    evidence = Evidence(subject, budget="quick")
    found: set[int] = set()
    for config in evidence.covering.configurations:
        found.update(evidence.walked(evidence.case(config)).ran(None).get(file, ()))
    return found


def survives(wrap: ModuleType, subject: Subject, release: ModuleType, program: ast.Module) -> bool:
    """Whether a wrap conforms still when it runs a changed program."""
    changed = ModuleType(f"{release.__name__}_changed")
    sys.modules[changed.__name__] = changed  # dataclasses look their module up
    kept = {name: vars(wrap)[name] for name in release.__all__ if name in vars(wrap)}
    try:
        exec(compile(program, changed.__name__, "exec"), vars(changed))
        vars(wrap).update({name: vars(changed)[name] for name in kept})
        return check_sampler(subject, budget="quick", diagnose=False).conforms
    except Exception:  # a program that cannot even be loaded is noticed too
        return False
    finally:
        vars(wrap).update(kept)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def main() -> None:
    """Print what survives of each release, and how many were noticed."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    for name, released in WRAPS:
        wrap = importlib.import_module(f"fixtures.wraps.{name}")
        release = importlib.import_module(f"fixtures.released.{released}")
        subject = getattr(wrap, name)
        started, source = time.perf_counter(), inspect.getsource(release)
        total = left = 0
        for line, told, program in mutants(source, lines_that_run(subject, str(Path(str(release.__file__))))):
            total += 1
            signal.alarm(PATIENCE)
            still = survives(wrap, subject, release, program)
            signal.alarm(0)
            if still:
                left += 1
                sys.stdout.write(f"  line {line}, {told}    | {source.splitlines()[line - 1].strip()[:90]}\n")
                sys.stdout.flush()
        seconds = time.perf_counter() - started
        sys.stdout.write(f"{name}: {total - left} of {total} changes noticed, {left} survive, {seconds:.0f} s\n\n")


if __name__ == "__main__":
    main()
