"""A declaration's options are checked where it is written, each by itself: one checker for each sort of value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sampler_harness.catalogue import check_ids
from sampler_harness.pinned import Expected
from sampler_harness.wording import did_you_mean

from .functions import DeclarationError

__all__ = [
    "DTYPES",
    "bounds",
    "choice",
    "dtype_name",
    "dtypes_to_run_in",
    "expectations",
    "flag",
    "function",
    "model_options",
    "numpy_or_torch_name",
    "pair",
    "real",
    "reasons",
    "sizes",
    "whole",
]

#: Names of torch dtypes that a sampler or a step can be asked to run in.
DTYPES = ("float32", "float64", "float16", "bfloat16")


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of several names."""
    __tracebackhide__ = True
    if not isinstance(value, str) or value not in choices:
        legal = ", ".join(repr(choice) for choice in choices)
        raise DeclarationError(f"{name} must be one of {legal}, got {value!r}{did_you_mean(str(value), choices)}")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that only counts as one."""
    __tracebackhide__ = True
    if not isinstance(value, bool):
        raise DeclarationError(f"{name} must be True or False, got {value!r}")
    return value


def whole(name: str, value: Any, low: int) -> int:
    """A whole number that is not too small."""
    __tracebackhide__ = True
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise DeclarationError(f"{name} must be a whole number >= {low}, got {value!r}")
    return value


def real(name: str, value: Any, *, above: float = -math.inf) -> float:
    """A finite number."""
    __tracebackhide__ = True
    legal = "a finite number" if above == -math.inf else f"a finite number above {above:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= above:
        raise DeclarationError(f"{name} must be {legal}, got {value!r}")
    return float(value)


def pair(name: str, value: Any) -> tuple[float, float]:
    """Two numbers that rise."""
    __tracebackhide__ = True
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(items) != 2:
        raise DeclarationError(f"{name} must be two numbers (low, high), got {value!r}")
    low, high = real(f"{name}'s low end", items[0]), real(f"{name}'s high end", items[1])
    if not low < high:
        raise DeclarationError(f"{name} must rise from low to high, got ({low:g}, {high:g})")
    return low, high


def bounds(name: str, value: Any) -> tuple[float, float] | None:
    """What something is clamped to: ``c`` for ±c, or two numbers around 0, of which one may be infinite; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        reach = real(name, value, above=0.0)
        return -reach, reach
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    numbers = [float(item) for item in items if isinstance(item, (int, float)) and not isinstance(item, bool)]
    rises = len(items) == len(numbers) == 2 and numbers[0] < numbers[1]
    if not rises or all(math.isinf(number) for number in numbers):
        raise DeclarationError(
            f"{name} must be a number c above 0 for ±c, or two that rise as in {name}=(0.0, 1.0), got {value!r}"
        )
    if not numbers[0] <= 0 <= numbers[1]:  # a sampler is read from small values around 0
        raise DeclarationError(f"{name} must leave 0 as it is, got {value!r}: undo what is added with output_shift")
    return numbers[0], numbers[1]


def _are_sizes(values: Iterable[Any]) -> bool:
    return all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in values)


def sizes(name: str, value: Any, lengths: tuple[int, ...], example: str) -> tuple[int, ...]:
    """A tuple of sizes."""
    __tracebackhide__ = True
    found = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(found) not in lengths or not _are_sizes(found):
        raise DeclarationError(f"{name} must be whole numbers >= 1 as in {name}={example}, got {value!r}")
    return found


def _shapes_to_run(shapes: Any) -> tuple[tuple[int, ...], ...] | None:
    """Shapes to run with, batch first; None stays."""
    __tracebackhide__ = True
    if shapes is None:
        return None
    hint = "write a list of them, for example shapes=[(2, 3, 16, 16), (1, 1, 8, 8)]"
    try:
        listed = list(shapes)
    except TypeError:
        raise DeclarationError(f"shapes must be sample shapes, got {shapes!r}: {hint}") from None
    if listed and all(isinstance(size, int) for size in listed):
        raise DeclarationError(f"shapes must be a list of shapes, got one: write shapes=[{tuple(listed)}]")
    if not listed:
        raise DeclarationError(f"shapes is empty, so that nothing could be run: {hint}")
    for shape in listed:
        found = shape if isinstance(shape, (tuple, list)) else None
        if not found or not _are_sizes(found):
            raise DeclarationError(f"shapes holds {shape!r}, should be whole numbers >= 1, batch first: {hint}")
    return tuple(tuple(shape) for shape in listed)


def numpy_or_torch_name(dtype: Any) -> str:
    """``torch.float32``, ``numpy.float32`` and ``"float32"`` are one."""
    return getattr(dtype, "__name__", None) or str(dtype).removeprefix("torch.")


def dtype_name(option: str, dtype: Any, names: tuple[str, ...]) -> str:
    """Name of a dtype that a sampler can have."""
    __tracebackhide__ = True
    name = numpy_or_torch_name(dtype)
    if name not in names:
        raise DeclarationError(
            f"{option} {dtype!r} is not a dtype that a sampler runs in: use one of {', '.join(names)}"
            f"{did_you_mean(name, names)}"
        )
    return name


def dtypes_to_run_in(dtypes: Any) -> tuple[str, ...]:
    """Names of dtypes to run in; float32 for None."""
    __tracebackhide__ = True
    if dtypes is None:
        return ("float32",)
    if isinstance(dtypes, str) or not isinstance(dtypes, Iterable):
        raise DeclarationError(f"dtypes must be a list of dtypes, got {dtypes!r}: write dtypes=[{dtypes!r}]")
    names = tuple(dtype_name("dtypes holds", dtype, DTYPES) for dtype in dtypes)
    if not names:
        raise DeclarationError("dtypes is empty, so that nothing could be run: name one, or leave it out for float32")
    if len(set(names)) < len(names):
        raise DeclarationError(f"dtypes names one twice: {', '.join(names)}")
    return names


def _attributes(value: Any) -> dict[str, Any]:
    """What a model is asked for besides being called, by name."""
    __tracebackhide__ = True
    named = isinstance(value, Mapping) and all(isinstance(n, str) and n.isidentifier() for n in value)
    if value is not None and not named:
        raise DeclarationError(f"model_attributes must be a dict of attribute name to value, got {value!r}")
    return dict(value or {})


def model_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What every declaration says that calls a model, in the form that the subject keeps.

    Args:
        given: the decorator's own arguments.
    """
    __tracebackhide__ = True
    if given["time_shape"] is not None:
        choice("time_shape", given["time_shape"], ("scalar", "one", "batch"))
    return {
        "shapes": _shapes_to_run(given["shapes"]),
        "dtypes": dtypes_to_run_in(given["dtypes"]),
        "takes_generator": flag("takes_generator", given["takes_generator"]),
        "time_shape": given["time_shape"],
        "model_attributes": _attributes(given["model_attributes"]),
        "model_returns": choice("model_returns", given["model_returns"], ("tensor", "tuple", "sample")),
    }


def function(name: str, value: Any) -> Callable[..., Any] | None:
    """A function; None stays."""
    __tracebackhide__ = True
    if value is not None and not callable(value):
        raise DeclarationError(f"{name} must be a function, got {value!r}")
    found: Callable[..., Any] | None = value
    return found


def reasons(name: str, value: Mapping[str, Any], what: str) -> dict[str, str]:
    """A reason for each name."""
    __tracebackhide__ = True
    for key, reason in value.items():
        if not isinstance(reason, str) or not reason.strip():
            raise DeclarationError(f"{name}[{key!r}] needs a reason: say why it is {what}")
    return dict(value)


def expectations(expected: Any, kind: str, example: str) -> dict[str, str | Expected]:
    """Ids of checks that are known to fail, each with a reason, and perhaps with what it shows.

    Args:
        expected: as declared.
        kind: of the subject.
        example: an id of it.
    """
    __tracebackhide__ = True
    if expected is None:
        return {}
    if not isinstance(expected, Mapping):
        raise DeclarationError(
            f"expected_failures must be a dict of check id to reason, got {expected!r}: write "
            f'expected_failures={{"{example}": "why it is known to fail"}}'
        )
    known = check_ids(kind)
    for id in expected:
        if id not in known:
            of = "" if kind == "sampler" else f" of {kind}"
            raise DeclarationError(
                f"expected_failures names {id!r}, which is no check{of}{did_you_mean(str(id), known)} "
                "(check-sampler --list-checks prints all)"
            )
    pinned = {id: known for id, known in expected.items() if isinstance(known, Expected)}
    if pinned and kind != "sampler" and any(one.shows is not None for one in pinned.values()):
        raise DeclarationError(f"expected_failures: shows= pins checks of a sampler; of {kind} give the reason alone")
    plain = {id: pinned[id].reason if id in pinned else reason for id, reason in expected.items()}
    return {**reasons("expected_failures", plain, "known to fail"), **pinned}
