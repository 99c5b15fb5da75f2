"""What a user declares of a training step. Nothing here imports torch or hypothesis: declaring costs nothing."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sampler_harness.checks.catalogue import check_ids
from sampler_harness.subject import (
    DeclarationError,
    _check_choice,
    _checked_dtypes,
    _checked_shapes,
    _closest,
    _is_name,
    _source_of,
)

__all__ = ["DeclaredTrainingSubject", "TrainingSubject", "training_under_test"]

#: Keyword-only parameters that the harness itself fills; any other is a pytest fixture of the host.
HARNESS_KEYWORDS = ("device", "dtype", "generator")


@dataclass(frozen=True, eq=False)
class TrainingSubject:
    """A training step and everything that was declared of it.

    Attributes:
        function: ``step(model, x0, config) -> loss``, a scalar tensor; ``x0`` is the batch where ``batch`` is given.
        reference: the frozen dataclass that defines the step (``reference_samplers.EDMTraining``, …).
        fields: the reference's fields that the declaration names: a value is fixed, a strategy is drawn.
        name: short name, the function's.
        target: how a person names it, ``file.py:my_step``.
        source: file and line of the function.
        batch: turns ``x0`` into the user's own batch; None where the step takes ``x0`` itself.
        model: makes the user's real network for the gradient check; None for a small one of the harness's.
        sampler: a configuration of a reference sampler, or a declared sampler, that the trained model is for.
        shapes: shapes of ``x0``, batch first; None for a default set of images.
        dtypes: names of torch dtypes to run in.
        model_attributes: attributes that the step asks its model for.
        model_returns: what the stand-in returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        time_shape: ``"scalar"``, ``"one"``, ``"batch"`` or None (any).
        autocast: whether the step must also hold under ``torch.autocast``.
        takes_generator: ``generator=`` is passed and must feed every draw.
        expected_failures: check id to reason, for known deviations.
    """

    function: Callable[..., Any]
    reference: type[Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    target: str = ""
    source: tuple[str, int] = ("", 0)
    batch: Callable[..., Any] | None = None
    model: Callable[..., Any] | None = None
    sampler: Any = None
    shapes: tuple[tuple[int, ...], ...] | None = None
    dtypes: tuple[str, ...] = ("float32",)
    model_attributes: Mapping[str, Any] = field(default_factory=dict)
    model_returns: str = "tensor"
    time_shape: str | None = None
    autocast: bool = True
    takes_generator: bool = False
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    #: The pytest plugin recognises declarations by this attribute, without importing anything.
    is_sampler_under_test = True
    kind = "training"

    @property
    def __name__(self) -> str:
        """The function's name; pytest's marks want one of what they are put on."""
        return self.name or getattr(self.function, "__name__", "step")

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        return self.reference.__name__

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Keyword-only arguments without a default that the harness does not fill: fixtures of the host."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(
            p.name
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in HARNESS_KEYWORDS
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<training step under test {self.target or self.name} against {self.reference_name}>"


class DeclaredTrainingSubject(TrainingSubject):
    """A subject that the decorator made: unlike a plain one it may carry ``pytestmark``."""

    pytestmark: list[Any]


def training_under_test(
    reference: type[Any],
    /,
    *,
    batch: Callable[..., Any] | None = None,
    model: Callable[..., Any] | None = None,
    sampler: Any = None,
    shapes: Iterable[tuple[int, ...]] | None = None,
    dtypes: Iterable[Any] | None = None,
    model_attributes: Mapping[str, Any] | None = None,
    model_returns: str = "tensor",
    time_shape: str | None = None,
    autocast: bool = True,
    takes_generator: bool = False,
    expected_failures: Mapping[str, str] | None = None,
    **fields: Any,
) -> Callable[[Callable[..., Any]], TrainingSubject]:
    """Declare that the function below is the training step that ``reference`` defines.

    The function is ``step(model, x0, config)``: it draws times and noise, calls ``model(x, time)`` once or several
    times, and returns the loss, a scalar tensor that has not been through ``backward``. It may also take the
    keyword-only arguments ``device`` and ``dtype``.

    Args:
        reference: ``EDMTraining``, ``DDPMTraining`` or ``FlowTraining`` from ``reference_samplers``.
        batch: ``x0 -> batch``; then the step is given the batch in place of ``x0``.
        model: ``() -> nn.Module``, the network whose gradients are looked at; it is called as the step calls it.
        sampler: what the trained model will be sampled with: a configuration as ``EDM(num_steps=18)``, or a function
            under ``@sampler_under_test``.
        shapes: shapes of ``x0``, batch first; None for a default set of images.
        dtypes: torch dtypes (or their names) to run in; None for float32.
        model_attributes: what the step asks its model for besides calling it.
        model_returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        time_shape: ``"scalar"``, ``"one"``, ``"batch"`` or None for any.
        autocast: whether it must hold under ``torch.autocast`` too.
        takes_generator: ``generator=`` is passed and must feed every draw.
        expected_failures: check id to the reason why it is known to fail.
        fields: the reference's fields; a value is fixed, a Hypothesis strategy is drawn.

    Returns:
        A decorator that turns the function into a :class:`TrainingSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    __tracebackhide__ = True
    _check_reference(reference)

    def declare(function: Callable[..., Any]) -> TrainingSubject:
        __tracebackhide__ = True
        _check_signature(function, takes_generator)
        source = _source_of(function)
        name = getattr(function, "__name__", type(function).__name__)
        try:
            _check_fields(reference, fields)
            _check_choice("model_returns", model_returns, ("tensor", "tuple", "sample"))
            if time_shape is not None:
                _check_choice("time_shape", time_shape, ("scalar", "one", "batch"))
            for option, value in (("batch", batch), ("model", model)):
                if value is not None and not callable(value):
                    raise DeclarationError(f"{option} must be a function, got {value!r}")
            for option, flag in (("autocast", autocast), ("takes_generator", takes_generator)):
                if not isinstance(flag, bool):
                    raise DeclarationError(f"{option} must be True or False, got {flag!r}")
            _check_sampler(sampler)
            attributes = dict(model_attributes or {})
            if not all(_is_name(one) for one in attributes):
                raise DeclarationError(f"model_attributes must be attribute names and values, got {attributes!r}")
            checked_shapes, checked_dtypes = _checked_shapes(shapes), _checked_dtypes(dtypes)
            expected = _checked_expectations(expected_failures)
        except DeclarationError as error:
            raise DeclarationError(f"{name} ({source[0]}:{source[1]}): {error}") from None
        return DeclaredTrainingSubject(
            function=function,
            reference=reference,
            fields=dict(fields),
            name=name,
            target=f"{source[0]}:{name}",
            source=source,
            batch=batch,
            model=model,
            sampler=sampler,
            shapes=checked_shapes,
            dtypes=checked_dtypes,
            model_attributes=attributes,
            model_returns=model_returns,
            time_shape=time_shape,
            autocast=autocast,
            takes_generator=takes_generator,
            expected_failures=expected,
        )

    return declare


def _check_reference(reference: Any) -> None:
    __tracebackhide__ = True
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        kind = type(reference).__name__
        raise DeclarationError(
            f"training_under_test({kind}(…)) was given an instance: give the class and its fields by name, "
            f"@training_under_test({kind}, …)"
        )
    if isinstance(reference, type) and dataclasses.is_dataclass(reference) and hasattr(reference, "target_scales"):
        return
    if isinstance(reference, type) and hasattr(reference, "sample"):
        raise DeclarationError(
            f"{reference.__name__} defines a sampler: a training step needs EDMTraining, DDPMTraining or FlowTraining"
        )
    raise DeclarationError(
        f"the reference {reference!r} is not one: write @training_under_test(DDPMTraining), or EDMTraining or "
        "FlowTraining, from reference_samplers"
    )


def _check_signature(function: Any, takes_generator: bool) -> None:
    __tracebackhide__ = True
    if getattr(type(function), "is_sampler_under_test", False):
        raise DeclarationError(f"{function.name} is declared twice: write one declaration per function")
    wanted = "my_step(model, x0, config) -> loss"
    if not callable(function) or isinstance(function, type):
        raise DeclarationError(f"@training_under_test was put on {function!r}: put it on a function {wanted}")
    file, line = _source_of(function)
    where = f"{getattr(function, '__name__', type(function).__name__)} ({file}:{line})"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise DeclarationError(f"{where} is asynchronous or a generator: write a plain function {wanted}")
    parameters = list(inspect.signature(function).parameters.values())
    in_place = [
        p
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in HARNESS_KEYWORDS
    ]
    any_place = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    required = [p for p in in_place if p.default is p.empty]
    if (len(in_place) < 3 and not any_place) or len(required) > 3:
        given = ", ".join(p.name for p in in_place) or "none"
        raise DeclarationError(
            f"{where} takes {len(in_place)} positional arguments ({given}), should take three: write def {wanted}"
        )
    if takes_generator and not any(p.name == "generator" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise DeclarationError(f"{where} does not accept generator=: add it, or remove takes_generator=True")


def _check_fields(reference: type[Any], fields: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    known = {f.name for f in dataclasses.fields(reference) if f.init}
    options = [n for n in inspect.signature(training_under_test).parameters if n not in ("reference", "fields")]
    for name in fields:
        if name not in known:
            near = _closest(name, [*known, *options])
            raise DeclarationError(f"{reference.__name__} has no field {name!r}{near} (fields: {', '.join(known)})")
    fixed = {n: v for n, v in fields.items() if not (hasattr(v, "example") and hasattr(v, "map"))}
    try:
        reference(**fixed)
    except (ValueError, TypeError) as error:
        if len(fixed) == len(fields):  # what is drawn may make the rest legal
            raise DeclarationError(f"{reference.__name__} refuses this: {error}") from None


def _check_sampler(sampler: Any) -> None:
    __tracebackhide__ = True
    if sampler is None or getattr(type(sampler), "kind", None) == "sampler":
        return
    is_configuration = dataclasses.is_dataclass(sampler) and not isinstance(sampler, type)
    if is_configuration and hasattr(sampler, "network") and hasattr(sampler, "sample"):
        return
    raise DeclarationError(
        f"sampler must be a configuration such as EDM(num_steps=18), or a function under @sampler_under_test, "
        f"got {sampler!r}"
    )


def _checked_expectations(expected: Any) -> dict[str, str]:
    __tracebackhide__ = True
    if expected is None:
        return {}
    if not isinstance(expected, Mapping):
        raise DeclarationError(f"expected_failures must be a dict of check id to reason, got {expected!r}")
    known = check_ids("training")
    for id, reason in expected.items():
        if id not in known:
            raise DeclarationError(
                f"expected_failures names {id!r}, which is no check of training{_closest(str(id), known)} "
                f"(they are {', '.join(known)})"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise DeclarationError(f"expected_failures[{id!r}] needs a reason: say why it is known to fail")
    return dict(expected)
