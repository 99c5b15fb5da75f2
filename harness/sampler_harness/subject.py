"""What a user declares of a sampler: the one object that all else reads.

``@sampler_under_test(EDM, num_steps=st.integers(2, 40))`` turns a function into a :class:`Subject`; adapters
build the same object. Nothing here imports torch or hypothesis: declaring costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["DeclarationError", "ModelReturns", "Subject", "sampler_under_test"]

ModelReturns = Literal["tensor", "tuple", "sample"]

#: Keyword-only parameters that the harness itself fills; any other is a pytest fixture of the host.
HARNESS_KEYWORDS = ("device", "dtype", "generator")

DEFAULT_SHAPE = (2, 3, 16, 16)
DEFAULT_SHAPES: tuple[tuple[int, ...], ...] = (
    (2, 3, 16, 16),
    (1, 1, 1, 1),
    (2, 1, 7, 5),
    (3, 4, 8, 2),
    (2, 6),
    (2, 3, 11),
    (5,),
    (2, 2, 3, 4, 5),
    (2, 17, 3, 3),
)


class DeclarationError(ValueError):
    """The declaration itself is wrong: the message says which part and what to write instead."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A sampler and everything that was declared of it.

    Attributes:
        function: runs the sampler once: ``function(model, shape, config, *, device, dtype)`` returns the
            sample. ``generator`` is passed too when ``takes_generator``.
        reference: the frozen dataclass that defines the sampler (``reference_samplers.EDM``, …).
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
        forward: ``(x0, draw, config, index, *, device, dtype) -> x_t``: the program's own ``add_noise`` at
            entry ``index`` of its grid; None where it has none.
        velocity: ``(x0, draw, config, index, *, device, dtype) -> v``; None where it has none.
        partial: ``(model, x, config, index, *, device, dtype) -> sample``: a run that starts at entry
            ``index`` of the grid from a given ``x``; None where it has none.
        config_for: turns a reference configuration into what ``function`` is given; None for itself.
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
    forward: Callable[..., Any] | None = None
    velocity: Callable[..., Any] | None = None
    partial: Callable[..., Any] | None = None
    source: tuple[str, int] = ("", 0)

    #: The pytest plugin recognises subjects by this attribute, without importing anything.
    is_sampler_under_test = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<sampler under test {self.target or self.name} against {self.reference.__name__}>"
