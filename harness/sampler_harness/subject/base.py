"""What every declaration offers, whatever it is of, and how a decorator makes one."""

from __future__ import annotations

import dataclasses
import functools
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from sampler_harness.pinned import Expected

from .functions import DeclarationError, Wanted, checked_function, fixtures_of

__all__ = ["AnySubject", "DeclarationError", "ModelSubject", "ReferenceSubject", "decorator", "renamed"]


@dataclass(frozen=True, eq=False, repr=False)
class AnySubject(ABC):
    """A function under test and what was declared of it: all that running checks and telling of them asks for.

    Attributes:
        function: the user's own.
        name: short name, the function's.
        target: how a person names it, ``file.py:my_sampler``.
        source: file and line of the function, for messages and annotations.
        expected_failures: check id to reason, for known deviations; or to an :class:`Expected`, with what it shows.
    """

    function: Callable[..., Any]
    _: KW_ONLY
    name: str = ""
    target: str = ""
    source: tuple[str, int] = ("", 0)
    expected_failures: Mapping[str, str | Expected] = field(default_factory=dict)

    #: The pytest plugin recognises subjects by this attribute, without importing anything.
    is_sampler_under_test: ClassVar[bool] = True
    #: Which checks it is for, a key of ``catalogue.KINDS``.
    kind: ClassVar[str]
    #: What it is, for a person.
    title: ClassVar[str]

    @property
    @abstractmethod
    def reference_name(self) -> str:
        """What it is held against, for a person."""

    @property
    def __name__(self) -> str:
        """The function's name; pytest's marks want one of what they are put on."""
        return self.name or getattr(self.function, "__name__", self.kind)

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Keyword-only arguments without a default that the harness does not fill: fixtures of the host."""
        return fixtures_of(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.title} under test {self.target or self.name} against {self.reference_name}>"


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceSubject(AnySubject):
    """A function that is held against a reference, in configurations that its fields allow.

    Attributes:
        reference: the frozen dataclass that defines it (``reference_samplers.EDM``, …).
        fields: the reference's fields that the declaration names: a value is fixed, a Hypothesis strategy is drawn.
        dtypes: names of torch dtypes to run in, the first being the one that most checks use.
    """

    reference: type[Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    dtypes: tuple[str, ...] = ("float32",)

    def __post_init__(self) -> None:
        # Loaded here: what is declared costs no numpy until something is.
        from reference_samplers.contract import adopted

        own: Any = self.reference
        try:
            object.__setattr__(self, "reference", adopted(own, self.contract()))
        except ValueError as refused:
            raise DeclarationError(str(refused)) from None

    @classmethod
    def contract(cls) -> Any:
        """What its reference answers."""
        from reference_samplers.contract import Reference

        return Reference

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        return self.reference.__name__


@dataclass(frozen=True, eq=False, repr=False)
class ModelSubject(ReferenceSubject):
    """A function that calls a model, and is held against a reference.

    Attributes:
        shapes: the shapes that it accepts, batch first; None for a default set of images.
        takes_generator: ``generator=`` is passed and must feed every draw.
        time_shape: ``None`` (any), ``"scalar"``, ``"one"`` or ``"batch"``: how the model is told the time.
        model_attributes: attributes that the function asks its model for.
        model_returns: what the stand-in returns: a tensor, a 1-tuple, or an object with ``.sample``.
    """

    _: KW_ONLY
    shapes: tuple[tuple[int, ...], ...] | None = None
    takes_generator: bool = False
    time_shape: str | None = None
    model_attributes: Mapping[str, Any] = field(default_factory=dict)
    model_returns: str = "tensor"


SubjectType = TypeVar("SubjectType", bound=AnySubject)


def renamed(subject: SubjectType, name: str, target: str) -> SubjectType:
    """The same declaration under the name that a person used for it."""
    return dataclasses.replace(subject, name=name, target=target)


@functools.cache
def _markable(subject_type: type[Any]) -> type[Any]:
    """A subject that may carry ``pytestmark``: a frozen dataclass refuses any attribute, a plain subclass does not.

    ``@pytest.mark.slow`` above ``@sampler_under_test`` sets that attribute.
    """
    return types.new_class(f"Declared{subject_type.__name__}", (subject_type,))


def decorator(
    subject_type: type[SubjectType], wanted: Wanted, options: Callable[[], Mapping[str, Any]]
) -> Callable[[Callable[..., Any]], SubjectType]:
    """A decorator that turns a function into a subject.

    Args:
        subject_type: what becomes of the function.
        wanted: what the function must look like.
        options: checks what was declared and returns it as the subject keeps it; what it raises is told with the
            function's name and place.
    """

    def declare(function: Callable[..., Any]) -> SubjectType:
        __tracebackhide__ = True
        name, (file, line) = checked_function(function, wanted)
        try:
            checked = options()
        except DeclarationError as error:
            raise DeclarationError(f"{name} ({file}:{line}): {error}") from None
        made = _markable(subject_type)(
            function=function, name=name, target=f"{file}:{name}", source=(file, line), **checked
        )
        return cast(SubjectType, made)

    return declare
