"""What a user declares of a training step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from sampler_harness.pinned import Expected

from .base import AnySubject, ModelSubject, decorator
from .fields import check_fields
from .functions import HARNESS_KEYWORDS, DeclarationError, Wanted, defines
from .options import expectations, flag, function, model_options

__all__ = ["TrainingSubject", "training_under_test"]


@dataclass(frozen=True, eq=False, repr=False)
class TrainingSubject(ModelSubject):
    """A training step and everything that was declared of it.

    The function is ``step(model, x0, config) -> loss``, a scalar tensor; ``x0`` is the batch where ``batch`` is given.

    Attributes are what :func:`training_under_test` takes, dtypes by their names.
    """

    _: KW_ONLY
    batch: Callable[..., Any] | None = None
    model: Callable[..., Any] | None = None
    sampler: Any = None
    autocast: bool = True

    kind: ClassVar[str] = "training"
    title: ClassVar[str] = "training step"

    @classmethod
    def contract(cls) -> Any:
        """What its reference answers."""
        from reference_samplers.training_contract import TrainingReference

        return TrainingReference


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
    expected_failures: Mapping[str, str | Expected] | None = None,
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
        expected_failures: check id to the reason why it is known to fail; or an :class:`Expected`, with what it shows.
        fields: the reference's fields; a value is fixed, a Hypothesis strategy is drawn.

    Returns:
        A decorator that turns the function into a :class:`TrainingSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    options = {name: value for name, value in locals().items() if name not in ("reference", "fields")}
    __tracebackhide__ = True
    _check_reference(reference)
    wanted = Wanted(
        "training_under_test",
        "my_step(model, x0, config) -> loss",
        ("model", "x0", "config"),
        returns="the loss",
        by_name=HARNESS_KEYWORDS,
        takes_generator=takes_generator is True,
    )

    def checked() -> dict[str, Any]:
        __tracebackhide__ = True
        check_fields(reference, fields, options)
        _check_sampler(sampler)
        return {
            "reference": reference,
            "fields": dict(fields),
            **model_options(options),
            "batch": function("batch", batch),
            "model": function("model", model),
            "sampler": sampler,
            "autocast": flag("autocast", autocast),
            "expected_failures": expectations(expected_failures, "training", "training/weight"),
        }

    return decorator(TrainingSubject, wanted, checked)


def _check_reference(reference: Any) -> None:
    __tracebackhide__ = True
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        kind = type(reference).__name__
        raise DeclarationError(
            f"training_under_test({kind}(…)) was given an instance: give the class and its fields by name, "
            f"@training_under_test({kind}, …)"
        )
    if isinstance(reference, type) and dataclasses.is_dataclass(reference) and defines(reference, "target_scales"):
        return
    if isinstance(reference, type) and defines(reference, "sample"):
        raise DeclarationError(
            f"{reference.__name__} defines a sampler: a training step needs EDMTraining, DDPMTraining or FlowTraining"
        )
    raise DeclarationError(
        f"the reference {reference!r} is not one: write @training_under_test(DDPMTraining), or EDMTraining or "
        "FlowTraining, from reference_samplers"
    )


def _check_sampler(sampler: Any) -> None:
    __tracebackhide__ = True
    if sampler is None or (isinstance(sampler, AnySubject) and sampler.kind == "sampler"):
        return
    is_configuration = dataclasses.is_dataclass(sampler) and not isinstance(sampler, type)
    if is_configuration and defines(type(sampler), "network") and defines(type(sampler), "sample"):
        return
    raise DeclarationError(
        f"sampler must be a configuration such as EDM(num_steps=18), or a function under @sampler_under_test, "
        f"got {sampler!r}"
    )
