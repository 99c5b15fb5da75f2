"""What a user declares of a sampler: the one object that all else reads.

``@sampler_under_test(EDM, num_steps=st.integers(2, 40))`` turns a function into a :class:`Subject`; adapters
build the same object. Nothing here imports torch or hypothesis: declaring costs nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from .checks.catalogue import check_ids
from .strategies import is_strategy, refused_value

__all__ = [
    "AnySubject",
    "DeclarationError",
    "DeclaredSubject",
    "ModelReturns",
    "Subject",
    "check_drawn",
    "renamed",
    "sampler_under_test",
]

ModelReturns = Literal["tensor", "tuple", "sample"]

#: Keyword-only parameters that the harness itself fills; any other is a pytest fixture of the host.
HARNESS_KEYWORDS = ("device", "dtype", "generator")

#: Names of torch dtypes that a sampler can be asked to run in.
DTYPES = ("float32", "float64", "float16", "bfloat16")
#: Names that its finished sample may have: a quantised one may be of integers.
OUTPUT_DTYPES = (*DTYPES, "uint8", "int8", "int16", "int32", "int64")
TIME_SHAPES = ("scalar", "one", "batch")
MODEL_RETURNS = ("tensor", "tuple", "sample")


class DeclarationError(ValueError):
    """The declaration itself is wrong: the message says which part and what to write instead."""


class AnySubject(Protocol):
    """What every declaration offers, whatever it is of: all that running checks and telling of them asks for."""

    @property
    def kind(self) -> str:
        """A key of ``checks.catalogue.KINDS``."""

    @property
    def function(self) -> Callable[..., Any]:
        """The user's own."""

    @property
    def name(self) -> str:
        """Short name, the function's."""

    @property
    def target(self) -> str:
        """How a person names it, ``file.py:my_step``."""

    @property
    def source(self) -> tuple[str, int]:
        """File and line of the function."""

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """Check id to the reason why it is known to fail."""

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Fixtures of the host that the function asks for."""

    @property
    def reference_name(self) -> str:
        """What it is held against."""


def renamed(subject: AnySubject, name: str, target: str) -> AnySubject:
    """The same declaration under the name that a person used for it."""
    same: Any = subject
    other: AnySubject = dataclasses.replace(same, name=name, target=target)
    return other


@dataclass(frozen=True, eq=False)
class Subject:
    """A sampler and everything that was declared of it.

    Attributes:
        function: runs the sampler once: ``function(model, shape, config, *, device, dtype)`` returns the
            sample. ``generator`` is passed too when ``takes_generator``.
        reference: the frozen dataclass that defines the sampler (``reference_samplers.EDM``, …). One whose steps depend
            on the values beyond any weights (norms, say) says so by ``is_affine`` being False.
        fields: the reference's fields that the declaration names: a value is fixed, a Hypothesis strategy
            is drawn.
        name: short name, the function's.
        target: how a person names it, ``file.py:my_sampler``.
        shapes: the sample shapes that the sampler accepts; None for the default set.
        dtypes: names of torch dtypes to run in, the first being the one that most checks use.
        output_dtype: name of the returned sample's dtype; None for the dtype asked for.
        output_scale: what the program multiplies its finished sample by, undone before comparing.
        output_shift: what it then adds.
        quantised: number of steps between the lowest and highest value of a rounded output (255); None.
        differentiable: declared to let gradients through.
        compiles: declared to run under ``torch.compile``.
        takes_generator: ``generator=`` is passed and must feed every draw.
        noise: ``"gaussian"``, or a declaration of how noise is drawn where the harness cannot tell.
        time_shape: ``None`` (any), ``"scalar"``, ``"one"`` or ``"batch"``: how the model is told the time.
        model_attributes: attributes that the sampler asks its model for.
        model_returns: what the stand-in returns: a tensor, a 1-tuple, or an object with ``.sample``.
        model_channels: the model's output channels as a multiple of the sample's (2 for learned variance).
        expected_failures: check id to reason, for known deviations.
        deviations: names of known faults that are meant, to reason: the sampler is held against the reference with
            these in it, to every digit.
        forward: ``(x0, draw, config, index, *, device, dtype) -> x_t``: the program's own ``add_noise`` at
            entry ``index`` of its grid; None where it has none.
        velocity: ``(x0, draw, config, index, *, device, dtype) -> v``; None where it has none.
        partial: ``(model, x, config, index, *, device, dtype) -> sample``: a run that starts at entry
            ``index`` of the grid from a given ``x``; None where it has none.
        source: file and line of the function, for messages and annotations.
    """

    function: Callable[..., Any]
    reference: type[Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    target: str = ""
    shapes: tuple[tuple[int, ...], ...] | None = None
    dtypes: tuple[str, ...] = ("float32",)
    output_dtype: str | None = None
    output_scale: float = 1.0
    output_shift: float = 0.0
    quantised: int | None = None
    differentiable: bool | None = None
    compiles: bool | None = None
    takes_generator: bool = False
    noise: str = "gaussian"
    time_shape: str | None = None
    model_attributes: Mapping[str, Any] = field(default_factory=dict)
    model_returns: ModelReturns = "tensor"
    model_channels: int = 1
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    deviations: Mapping[str, str] = field(default_factory=dict)
    forward: Callable[..., Any] | None = None
    velocity: Callable[..., Any] | None = None
    partial: Callable[..., Any] | None = None
    source: tuple[str, int] = ("", 0)

    #: The pytest plugin recognises subjects by this attribute, without importing anything.
    is_sampler_under_test = True
    #: Which checks it is for, see ``checks.catalogue.KINDS``.
    kind = "sampler"

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        return self.reference.__name__

    @property
    def __name__(self) -> str:
        """The function's name; pytest's marks want one of what they are put on."""
        return self.name or getattr(self.function, "__name__", "sampler")

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Keyword-only arguments without a default that the harness does not fill: fixtures of the host."""
        return _fixture_names(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<sampler under test {self.target or self.name} against {self.reference_name}>"


class DeclaredSubject(Subject):
    """A subject that the decorator made: unlike a plain one it may carry ``pytestmark``.

    ``@pytest.mark.slow`` above ``@sampler_under_test`` sets that attribute, which a frozen dataclass refuses.
    """

    pytestmark: list[Any]


_Decorator = Callable[[Callable[..., Any]], Subject]


def sampler_under_test(
    reference: type[Any],
    /,
    *,
    shapes: Iterable[tuple[int, ...]] | None = None,
    dtypes: Iterable[Any] | None = None,
    output_dtype: Any = None,
    output_scale: float = 1.0,
    output_shift: float = 0.0,
    quantised: int | None = None,
    differentiable: bool | None = None,
    compiles: bool | None = None,
    takes_generator: bool = False,
    noise: str = "gaussian",
    time_shape: str | None = None,
    model_attributes: Mapping[str, Any] | None = None,
    model_returns: str = "tensor",
    model_channels: int = 1,
    expected_failures: Mapping[str, str] | None = None,
    deviations: Mapping[str, str] | None = None,
    forward: Callable[..., Any] | None = None,
    velocity: Callable[..., Any] | None = None,
    partial: Callable[..., Any] | None = None,
    **fields: Any,
) -> _Decorator:
    """Declare that the function below is the sampler that ``reference`` defines.

    The function is ``my_sampler(model, shape, config, *, device, dtype)``: it runs its sampler once on
    ``model(x, time)`` and returns the sample, a tensor of ``shape``. ``config`` is an instance of ``reference``.

    Args:
        reference: the frozen dataclass, for example ``reference_samplers.EDM``.
        shapes: sample shapes that the sampler accepts, batch first; None for a default set of images.
        dtypes: torch dtypes (or their names) to run in; None for float32.
        output_dtype: of the returned sample; None for the dtype asked for.
        output_scale: what the program multiplies its finished sample by.
        output_shift: what it then adds.
        quantised: number of steps between the lowest and highest value of a rounded output.
        differentiable: whether gradients pass.
        compiles: whether it runs under ``torch.compile``.
        takes_generator: ``generator=`` is passed and must feed every draw.
        noise: how noise is drawn, where the harness cannot tell.
        time_shape: ``"scalar"``, ``"one"``, ``"batch"`` or None for any.
        model_attributes: what the sampler asks its model for besides calling it.
        model_returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        model_channels: 2 where the model returns a learned variance beside its prediction.
        expected_failures: check id to the reason why it is known to fail.
        deviations: name of a known fault, as a diagnosis tells it, to the reason why it is meant.
        forward: ``(x0, draw, config, index, *, device, dtype) -> x_t``.
        velocity: ``(x0, draw, config, index, *, device, dtype) -> v``.
        partial: ``(model, x, config, index, *, device, dtype) -> sample``.
        fields: the reference's fields; a value is fixed, a Hypothesis strategy is drawn.

    Returns:
        A decorator that turns the function into a :class:`Subject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    __tracebackhide__ = True
    options: dict[str, Any] = {
        "shapes": shapes,
        "dtypes": dtypes,
        "output_dtype": output_dtype,
        "output_scale": output_scale,
        "output_shift": output_shift,
        "quantised": quantised,
        "differentiable": differentiable,
        "compiles": compiles,
        "takes_generator": takes_generator,
        "noise": noise,
        "time_shape": time_shape,
        "model_attributes": model_attributes,
        "model_returns": model_returns,
        "model_channels": model_channels,
        "expected_failures": expected_failures,
        "deviations": deviations,
        "forward": forward,
        "velocity": velocity,
        "partial": partial,
    }
    _check_reference(reference)

    def declare(function: Callable[..., Any]) -> Subject:
        __tracebackhide__ = True
        _check_signature(function, takes_generator is True)
        source = _source_of(function)
        name = getattr(function, "__name__", type(function).__name__)
        try:
            _check_fields(reference, fields, options)
            checked = _checked_options(options)
        except DeclarationError as error:
            raise DeclarationError(f"{name} ({source[0]}:{source[1]}): {error}") from None
        return DeclaredSubject(
            function=function,
            reference=reference,
            fields=dict(fields),
            name=name,
            target=f"{source[0]}:{name}",
            source=source,
            **checked,
        )

    return declare


def _closest(name: str, known: Collection[str]) -> str:
    """``"; did you mean …?"``, or nothing where no name is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _source_of(function: Callable[..., Any]) -> tuple[str, int]:
    """File (relative where it lies below the working directory) and line of what the user wrote."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    if code is None:
        return "", 0
    path = Path(code.co_filename)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix(), code.co_firstlineno


def _fixture_names(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        p.name
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in HARNESS_KEYWORDS
    )


def _check_reference(reference: Any) -> None:
    __tracebackhide__ = True
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        kind = type(reference).__name__
        raise DeclarationError(
            f"sampler_under_test({kind}(…)) was given an instance: give the class and its fields by name, "
            f"@sampler_under_test({kind}, num_steps=…)"
        )
    if isinstance(reference, type) and dataclasses.is_dataclass(reference) and hasattr(reference, "sample"):
        return
    if inspect.isfunction(reference):
        raise DeclarationError(
            f"sampler_under_test was put on {reference.__name__} without a reference: write "
            f"@sampler_under_test(EDM) with a class from reference_samplers"
        )
    raise DeclarationError(
        f"the reference {reference!r} is not one: give a class from reference_samplers, for example EDM, or a frozen "
        "dataclass with sample(model, noise)"
    )


def _check_signature(function: Any, takes_generator: bool) -> None:
    __tracebackhide__ = True
    if isinstance(function, Subject):
        raise DeclarationError(f"{function.name} is declared twice: write one @sampler_under_test per function")
    if not callable(function) or isinstance(function, type):
        raise DeclarationError(
            f"@sampler_under_test was put on {function!r}: put it on a function my_sampler(model, shape, config, *, "
            "device, dtype)"
        )
    name = getattr(function, "__name__", type(function).__name__)
    file, line = _source_of(function)
    where = f"{name} ({file}:{line})"
    wanted = f"{name}(model, shape, config, *, device, dtype{', generator' if takes_generator else ''})"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{where} is asynchronous: write a plain function {wanted}")
    if inspect.isgeneratorfunction(function):
        raise DeclarationError(f"{where} is a generator: write a plain function {wanted} that returns the sample")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DeclarationError(f"{where} has no signature that can be read: wrap it, def {wanted}") from None
    in_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    # What device and dtype may be written as; whatever stands before them is called by place.
    leading = [p for p in in_place if p.name not in HARNESS_KEYWORDS]
    any_place = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    required = [p for p in leading if p.default is p.empty]
    if (len(leading) < 3 and not any_place) or len(required) > 3:
        given = ", ".join(p.name for p in leading) or "none"
        raise DeclarationError(
            f"{where} takes {len(leading)} positional arguments ({given}), should take three: write def {wanted}"
        )
    if [p.name for p in in_place[:3]] != [p.name for p in leading[:3]]:
        raise DeclarationError(
            f"{where} takes {in_place[0].name if in_place else 'none'} first; model, shape and config come before "
            f"device and dtype: write def {wanted}"
        )
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    needed = ["device", "dtype", *(["generator"] if takes_generator else [])]
    missing = [n for n in needed if n not in named and not any_name]
    if missing:
        hint = ", or remove takes_generator=True" if missing == ["generator"] else ""
        raise DeclarationError(
            f"{where} does not accept {' and '.join(f'{n}=' for n in missing)}: write def {wanted}{hint}"
        )
    generator = next((p for p in parameters if p.name == "generator"), None)
    if not takes_generator and generator is not None and generator.default is generator.empty:
        raise DeclarationError(
            f"{where} needs a generator: add takes_generator=True to the declaration, or give generator a default"
        )


def _check_fields(reference: type[Any], fields: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Every named field exists, nothing required is missing, and the reference accepts the fixed values."""
    __tracebackhide__ = True
    kind = reference.__name__
    known = {f.name: f for f in dataclasses.fields(reference) if f.init}
    for name in fields:
        if name not in known:
            near = _closest(name, [*known, *options])
            raise DeclarationError(f"{kind} has no field {name!r}{near} (fields: {', '.join(known)})")
    empty = dataclasses.MISSING
    for name, declared in known.items():
        if declared.default is empty and declared.default_factory is empty and name not in fields:
            raise DeclarationError(f"{kind} needs {name}: add {name}=… to the declaration, a value or a strategy")
    _check_fixed(reference, known, fields)
    check_drawn(reference, fields)


def check_drawn(
    reference: type[Any], fields: Mapping[str, Any], drawn: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Every value that a strategy names is legal in some configuration.

    Args:
        reference: the dataclass.
        fields: what was declared.
        drawn: values of the fields whose strategies cannot be read.

    Raises:
        DeclarationError: names the value, and what the reference says of it.
    """
    __tracebackhide__ = True
    refused = refused_value(reference, fields, drawn)
    if refused is None:
        return
    name, value, said = refused
    blamed = re.split(r"\W", said, maxsplit=1)[0]
    about = "" if blamed in fields else f" ({name}={value!r})"
    hint = "a range must end where the reference does"
    if " one of " in said:
        hint = "what your program calls by another name is declared by the reference's and translated in the function"
    raise DeclarationError(
        f"a value of {blamed if blamed in fields else name} is legal in no configuration of {reference.__name__}, so "
        f"that it would never be run: {said}{about}. Leave it out: {hint}"
    )


def _check_fixed(reference: type[Any], known: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    kind, empty = reference.__name__, dataclasses.MISSING
    drawn = {name for name, value in fields.items() if is_strategy(value)}
    fixed = {name: value for name, value in fields.items() if name not in drawn}
    required = {n for n, f in known.items() if f.default is empty and f.default_factory is empty}
    if not fixed or required & drawn:
        return
    try:
        reference(**fixed)
    except (ValueError, TypeError) as error:
        message = str(error)
        # A field that is drawn may make the rest legal: only what stands whatever is drawn is refused here.
        if any(re.search(rf"\b{re.escape(name)}\b", message) for name in drawn):
            return
        hint = ""
        listed = next((n for n, v in fixed.items() if n in message and isinstance(v, (list, set, range, dict))), None)
        if listed is not None:
            hint = f" (to try several values write {listed}=st.sampled_from([…]), from hypothesis.strategies)"
        raise DeclarationError(f"{kind} refuses this: {message}{hint}") from None


def _checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The decorator's own arguments in the form that the subject keeps."""
    __tracebackhide__ = True
    result = dict(options)
    result["shapes"] = _checked_shapes(options["shapes"])
    result["dtypes"] = _checked_dtypes(options["dtypes"])
    if options["output_dtype"] is not None:
        result["output_dtype"] = _dtype_name("output_dtype", options["output_dtype"], OUTPUT_DTYPES)
    for name in ("output_scale", "output_shift"):
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise DeclarationError(f"{name} must be a finite number, got {value!r}")
        result[name] = float(value)
    if result["output_scale"] == 0.0:
        raise DeclarationError("output_scale must not be 0: it is what the program multiplies its sample by")
    levels = options["quantised"]
    if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 1):
        raise DeclarationError(f"quantised must be a number of steps such as 255, or None, got {levels!r}")
    for name in ("differentiable", "compiles"):
        if options[name] not in (None, True, False):
            raise DeclarationError(f"{name} must be True, False or None, got {options[name]!r}")
    if not isinstance(options["takes_generator"], bool):
        raise DeclarationError(f"takes_generator must be True or False, got {options['takes_generator']!r}")
    if not isinstance(options["noise"], str) or not options["noise"]:
        raise DeclarationError(f"noise must be a name such as 'gaussian', got {options['noise']!r}")
    if options["time_shape"] is not None:
        _check_choice("time_shape", options["time_shape"], TIME_SHAPES)
    _check_choice("model_returns", options["model_returns"], MODEL_RETURNS)
    if options["model_channels"] not in (1, 2) or isinstance(options["model_channels"], bool):
        raise DeclarationError(
            f"model_channels must be 1, or 2 for a learned variance, got {options['model_channels']!r}"
        )
    attributes = options["model_attributes"]
    if attributes is not None and (not isinstance(attributes, Mapping) or not all(_is_name(n) for n in attributes)):
        raise DeclarationError(f"model_attributes must be a dict of attribute name to value, got {attributes!r}")
    result["model_attributes"] = dict(attributes or {})
    result["expected_failures"] = _checked_expectations(options["expected_failures"])
    result["deviations"] = _checked_deviations(options["deviations"])
    for name in ("forward", "velocity", "partial"):
        if options[name] is not None and not callable(options[name]):
            raise DeclarationError(f"{name} must be a function, got {options[name]!r}")
    return result


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    __tracebackhide__ = True
    if not isinstance(value, str) or value not in choices:
        legal = ", ".join(repr(choice) for choice in choices)
        raise DeclarationError(f"{name} must be one of {legal}, got {value!r}{_closest(str(value), choices)}")


def _checked_shapes(shapes: Any) -> tuple[tuple[int, ...], ...] | None:
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
        sizes = shape if isinstance(shape, (tuple, list)) else None
        if not sizes or not all(isinstance(s, int) and not isinstance(s, bool) and s >= 1 for s in sizes):
            raise DeclarationError(f"shapes holds {shape!r}, should be whole numbers >= 1, batch first: {hint}")
    return tuple(tuple(shape) for shape in listed)


def _dtype_name(option: str, dtype: Any, names: tuple[str, ...]) -> str:
    __tracebackhide__ = True
    name = str(dtype).removeprefix("torch.")
    if name not in names:
        raise DeclarationError(
            f"{option} {dtype!r} is not a dtype that a sampler runs in: use one of {', '.join(names)}"
            f"{_closest(name, names)}"
        )
    return name


def _checked_dtypes(dtypes: Any) -> tuple[str, ...]:
    __tracebackhide__ = True
    if dtypes is None:
        return ("float32",)
    if isinstance(dtypes, str) or not isinstance(dtypes, Iterable):
        raise DeclarationError(f"dtypes must be a list of dtypes, got {dtypes!r}: write dtypes=[{dtypes!r}]")
    names = tuple(_dtype_name("dtypes holds", dtype, DTYPES) for dtype in dtypes)
    if not names:
        raise DeclarationError("dtypes is empty, so that nothing could be run: name one, or leave it out for float32")
    if len(set(names)) < len(names):
        raise DeclarationError(f"dtypes names one twice: {', '.join(names)}")
    return names


def _checked_deviations(deviations: Any) -> dict[str, str]:
    """The names are looked up when the sampler is held against them: here nothing of a diagnosis is loaded."""
    __tracebackhide__ = True
    if deviations is None:
        return {}
    if not isinstance(deviations, Mapping) or not all(isinstance(name, str) for name in deviations):
        raise DeclarationError(
            f"deviations must be a dict of a known fault's name to reason, got {deviations!r}: write "
            'deviations={"initial-noise-unscaled": "why it is meant"}'
        )
    for name, reason in deviations.items():
        if not isinstance(reason, str) or not reason.strip():
            raise DeclarationError(f"deviations[{name!r}] needs a reason: say why it is meant")
    return dict(deviations)


def _checked_expectations(expected: Any) -> dict[str, str]:
    __tracebackhide__ = True
    if expected is None:
        return {}
    if not isinstance(expected, Mapping):
        raise DeclarationError(
            f"expected_failures must be a dict of check id to reason, got {expected!r}: write "
            'expected_failures={"law/noise": "why it is known to fail"}'
        )
    known = check_ids()
    for id, reason in expected.items():
        if id not in known:
            raise DeclarationError(
                f"expected_failures names {id!r}, which is no check{_closest(str(id), known)} "
                "(check-sampler --list-checks prints all)"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise DeclarationError(f"expected_failures[{id!r}] needs a reason: say why it is known to fail")
    return dict(expected)
