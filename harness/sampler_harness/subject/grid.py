"""What a user declares of a grid: a function that returns levels, without the sampler that walks along them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from sampler_harness.pinned import Expected

from .base import ReferenceSubject, decorator
from .fields import check_fields
from .functions import HARNESS_KEYWORDS, DeclarationError, Wanted, defines
from .options import dtypes_to_run_in, expectations, flag, function, real

__all__ = ["GridSubject", "grid_under_test"]


@dataclass(frozen=True, eq=False, repr=False)
class GridSubject(ReferenceSubject):
    """A function that returns levels and everything that was declared of it.

    The function is ``my_levels(config)``.

    Attributes are what :func:`grid_under_test` takes, dtypes by their names.
    """

    _: KW_ONLY
    includes_end: bool = True
    output_scale: float = 1.0
    output_shift: float = 0.0
    first_noise: Callable[..., Any] | None = None

    kind: ClassVar[str] = "grid"
    title: ClassVar[str] = "grid"

    @classmethod
    def contract(cls) -> Any:
        """What its reference answers."""
        from reference_samplers.grids import Grid

        return Grid

    @property
    def takes(self) -> frozenset[str]:
        """Which of ``device`` and ``dtype`` the function is given."""
        parameters = inspect.signature(self.function).parameters.values()
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            return frozenset(("device", "dtype"))
        return frozenset(one.name for one in parameters if one.name in ("device", "dtype"))


def grid_under_test(
    reference: type[Any],
    /,
    *,
    includes_end: bool = True,
    output_scale: float = 1.0,
    output_shift: float = 0.0,
    first_noise: Callable[..., Any] | None = None,
    dtypes: Iterable[Any] | None = None,
    expected_failures: Mapping[str, str | Expected] | None = None,
    **fields: Any,
) -> Callable[[Callable[..., Any]], GridSubject]:
    """Declare that the function below returns the levels of the grid that ``reference`` defines.

    The function is ``my_levels(config)``; it returns the levels from the noisiest on: a tensor, an array or a list of
    numbers. It may also take the keyword-only arguments ``device`` and ``dtype``.

    Args:
        reference: a class from ``reference_samplers.grids``, for example ``KarrasLevels``, or a frozen dataclass with
            ``levels``.
        includes_end: whether the level where the run ends is returned too, behind that of the last model call.
        output_scale: what the program multiplies its levels by (1000 for times of 1000 t), undone before comparing.
        output_shift: what it then adds: ``output_scale=-1, output_shift=1`` for times that run to data at 1.
        first_noise: ``config -> float``: the level of noise that the program's first noise has, in units of the
            reference's levels; None where nothing is said of it.
        dtypes: torch dtypes (or their names) to run in; None for float32.
        expected_failures: check id to the reason why it is known to fail; or an :class:`Expected`.
        fields: the reference's fields; a value is fixed, a Hypothesis strategy is drawn.

    Returns:
        A decorator that turns the function into a :class:`GridSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    options = {name: value for name, value in locals().items() if name not in ("reference", "fields")}
    __tracebackhide__ = True
    _check_reference(reference)
    wanted = Wanted("grid_under_test", "my_levels(config)", ("config",), returns="the levels", by_name=HARNESS_KEYWORDS)

    def checked() -> dict[str, Any]:
        __tracebackhide__ = True
        check_fields(reference, fields, options)
        scale = real("output_scale", output_scale)
        if scale == 0.0:
            raise DeclarationError("output_scale must not be 0: it is what the program multiplies its levels by")
        return {
            "reference": reference,
            "fields": dict(fields),
            "includes_end": flag("includes_end", includes_end),
            "output_scale": scale,
            "output_shift": real("output_shift", output_shift),
            "first_noise": function("first_noise", first_noise),
            "dtypes": dtypes_to_run_in(dtypes),
            "expected_failures": expectations(expected_failures, "grid", "grid/levels"),
        }

    return decorator(GridSubject, wanted, checked)


def _check_reference(reference: Any) -> None:
    __tracebackhide__ = True
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        kind = type(reference).__name__
        raise DeclarationError(
            f"grid_under_test({kind}(…)) was given an instance: give the class and its fields by name, "
            f"@grid_under_test({kind}, num_steps=…)"
        )
    is_class = isinstance(reference, type) and dataclasses.is_dataclass(reference)
    if is_class and _samples(reference):
        raise DeclarationError(
            f"{reference.__name__} defines a sampler: name the grid alone, for example KarrasLevels or EvenTimes from "
            "reference_samplers.grids"
        )
    if is_class and defines(reference, "levels"):
        return
    raise DeclarationError(
        f"the reference {reference!r} is no grid: give a class from reference_samplers.grids, for example "
        "KarrasLevels, or a frozen dataclass with levels"
    )


def _samples(reference: type[Any]) -> bool:
    """Whether a class has an algorithm; the contract's own only says that there is none."""
    own = next((vars(base)["sample"] for base in reference.__mro__ if "sample" in vars(base)), None)
    return own is not None and own.__module__ != "reference_samplers.contract"
