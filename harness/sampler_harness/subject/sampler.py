"""What a user declares of a sampler.

``@sampler_under_test(EDM, num_steps=st.integers(2, 40))`` turns a function into a :class:`Subject`; adapters
build the same object.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from sampler_harness.pinned import Expected

from .base import ModelSubject, decorator
from .fields import check_fields
from .functions import HARNESS_KEYWORDS, DeclarationError, Wanted, defines
from .options import DTYPES, bounds, dtype_name, expectations, function, model_options, real, reasons

__all__ = ["Subject", "sampler_under_test"]

#: Names that a finished sample's dtype may have: a quantised one may be of integers.
OUTPUT_DTYPES = (*DTYPES, "uint8", "int8", "int16", "int32", "int64")


@dataclass(frozen=True, eq=False, repr=False)
class Subject(ModelSubject):
    """A sampler and everything that was declared of it.

    The function runs the sampler once: ``function(model, shape, config, *, device, dtype)`` returns the sample.
    ``generator`` is passed too when ``takes_generator``. A reference whose steps depend on the values beyond any
    weights (norms, say) says so by ``is_affine`` being False.

    Attributes are what :func:`sampler_under_test` takes, dtypes by their names.
    """

    _: KW_ONLY
    output_dtype: str | None = None
    output_scale: float = 1.0
    output_shift: float = 0.0
    output_clip: tuple[float, float] | None = None
    quantised: int | None = None
    differentiable: bool | None = None
    compiles: bool | None = None
    noise: str = "gaussian"
    model_channels: int = 1
    deviations: Mapping[str, str] = field(default_factory=dict)
    #: The paper's reference, where ``reference`` is that with ``deviations`` in it which are no known faults.
    paper: type[Any] | None = None
    forward: Callable[..., Any] | None = None
    velocity: Callable[..., Any] | None = None
    partial: Callable[..., Any] | None = None

    kind: ClassVar[str] = "sampler"
    title: ClassVar[str] = "sampler"

    @property
    def reference_name(self) -> str:
        """What it claims to be, for a person; deviations are told beside it."""
        return super().reference_name if self.paper is None else self.paper.__name__


def sampler_under_test(
    reference: type[Any],
    /,
    *,
    shapes: Iterable[tuple[int, ...]] | None = None,
    dtypes: Iterable[Any] | None = None,
    output_dtype: Any = None,
    output_scale: float = 1.0,
    output_shift: float = 0.0,
    output_clip: float | tuple[float, float] | None = None,
    quantised: int | None = None,
    differentiable: bool | None = None,
    compiles: bool | None = None,
    takes_generator: bool = False,
    noise: str = "gaussian",
    time_shape: str | None = None,
    model_attributes: Mapping[str, Any] | None = None,
    model_returns: str = "tensor",
    model_channels: int = 1,
    expected_failures: Mapping[str, str | Expected] | None = None,
    deviations: Mapping[str, str] | None = None,
    forward: Callable[..., Any] | None = None,
    velocity: Callable[..., Any] | None = None,
    partial: Callable[..., Any] | None = None,
    **fields: Any,
) -> Callable[[Callable[..., Any]], Subject]:
    """Declare that the function below is the sampler that ``reference`` defines.

    The function is ``my_sampler(model, shape, config, *, device, dtype)``: it runs its sampler once on
    ``model(x, time)`` and returns the sample, a tensor of ``shape``. ``config`` is an instance of ``reference``.

    Args:
        reference: the frozen dataclass, for example ``reference_samplers.EDM``.
        shapes: sample shapes that the sampler accepts, batch first; None for a default set of images.
        dtypes: torch dtypes (or their names) to run in; None for float32.
        output_dtype: of the returned sample; None for the dtype asked for.
        output_scale: what the program multiplies its finished sample by, undone before comparing.
        output_shift: what it then adds.
        output_clip: what the program clamps its finished sample to, ``c`` for ±c or ``(low, high)``, in data units:
            before ``output_scale`` and ``output_shift``. None where it clamps nothing at its end.
        quantised: number of steps between the lowest and highest value of a rounded output (255).
        differentiable: whether gradients pass.
        compiles: whether it runs under ``torch.compile``.
        takes_generator: ``generator=`` is passed and must feed every draw.
        noise: ``"gaussian"``, or how noise is drawn where the harness cannot tell.
        time_shape: ``"scalar"``, ``"one"``, ``"batch"`` or None for any.
        model_attributes: what the sampler asks its model for besides calling it.
        model_returns: ``"tensor"``, ``"tuple"`` or ``"sample"``.
        model_channels: 2 where the model returns a learned variance beside its prediction.
        expected_failures: check id to the reason why it is known to fail; or an :class:`Expected`, with what it shows.
        deviations: name of a known fault, as a diagnosis tells it, to the reason why it is meant: the sampler is held
            against the reference with these in it, to every digit.
        forward: ``(x0, draw, config, index, *, device, dtype) -> x_t``: the program's own ``add_noise`` at entry
            ``index`` of its grid; None where it has none.
        velocity: ``(x0, draw, config, index, *, device, dtype) -> v``; None where it has none.
        partial: ``(model, x, config, index, *, device, dtype) -> sample``: a run that starts at entry ``index`` of the
            grid from a given ``x``; None where it has none.
        fields: the reference's fields; a value is fixed, a Hypothesis strategy is drawn.

    Returns:
        A decorator that turns the function into a :class:`Subject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    options = {name: value for name, value in locals().items() if name not in ("reference", "fields")}
    __tracebackhide__ = True
    _check_reference(reference)
    generator = ", generator" if takes_generator is True else ""
    wanted = Wanted(
        "sampler_under_test",
        f"{{name}}(model, shape, config, *, device, dtype{generator})",
        ("model", "shape", "config"),
        returns="the sample",
        keywords=("device", "dtype"),
        by_name=HARNESS_KEYWORDS,
        takes_generator=takes_generator is True,
    )

    def checked() -> dict[str, Any]:
        __tracebackhide__ = True
        check_fields(reference, fields, options)
        return {"reference": reference, "fields": dict(fields), **_checked_options(options)}

    return decorator(Subject, wanted, checked)


def _check_reference(reference: Any) -> None:
    __tracebackhide__ = True
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        kind = type(reference).__name__
        raise DeclarationError(
            f"sampler_under_test({kind}(…)) was given an instance: give the class and its fields by name, "
            f"@sampler_under_test({kind}, num_steps=…)"
        )
    if isinstance(reference, type) and dataclasses.is_dataclass(reference) and defines(reference, "sample"):
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


def _checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The decorator's own arguments in the form that the subject keeps."""
    __tracebackhide__ = True
    result = {**options, **model_options(options)}
    if not {"float32", "float64"} & set(result["dtypes"]) and options["deviations"]:
        only = ", ".join(repr(name) for name in result["dtypes"])
        raise DeclarationError(
            f"dtypes names {only} alone, where a law is read to two or three digits: what deviations names would be "
            f"told from the reference in few configurations. Name float32 too, dtypes=['float32', {only}]"
        )
    if options["output_dtype"] is not None:
        result["output_dtype"] = dtype_name("output_dtype", options["output_dtype"], OUTPUT_DTYPES)
    for name in ("output_scale", "output_shift"):
        result[name] = real(name, options[name])
    if result["output_scale"] == 0.0:
        raise DeclarationError("output_scale must not be 0: it is what the program multiplies its sample by")
    result["output_clip"] = bounds("output_clip", options["output_clip"])
    levels = options["quantised"]
    if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 1):
        raise DeclarationError(f"quantised must be a number of steps such as 255, or None, got {levels!r}")
    for name in ("differentiable", "compiles"):
        if options[name] not in (None, True, False):
            raise DeclarationError(f"{name} must be True, False or None, got {options[name]!r}")
    if not isinstance(options["noise"], str) or not options["noise"]:
        raise DeclarationError(f"noise must be a name such as 'gaussian', got {options['noise']!r}")
    if options["model_channels"] not in (1, 2) or isinstance(options["model_channels"], bool):
        raise DeclarationError(
            f"model_channels must be 1, or 2 for a learned variance, got {options['model_channels']!r}"
        )
    result["expected_failures"] = expectations(options["expected_failures"], "sampler", "law/noise")
    result["deviations"] = _checked_deviations(options["deviations"])
    for name in ("forward", "velocity", "partial"):
        function(name, options[name])
    return result


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
    return reasons("deviations", deviations, "meant")
