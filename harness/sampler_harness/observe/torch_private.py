"""Every private torch API that the harness uses, each feature-tested, in this one file.

Context: seeing every random draw without a list of names needs ``TorchDispatchMode`` and the operator tag
``nondeterministic_seeded``; neither is documented as stable.
Choice: import them here alone, and fail with one sentence where a torch release lacks them.
Reversed by: a public torch hook for random operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

try:
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError as error:  # pragma: no cover - depends on the torch release
    raise ImportError(
        f"torch {torch.__version__} has no TorchDispatchMode: sampler-harness needs torch 2.4 or newer"
    ) from error

if TYPE_CHECKING:
    from torch._ops import OpOverload


class DispatchTap(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """A dispatch mode that torch does not wrap in its compiler's guard: the wrapper costs more than the tap."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


_RANDOM_TAG = torch.Tag.nondeterministic_seeded
_is_random: dict[Any, bool] = {}


def is_random(operator: OpOverload) -> bool:
    """True for an operator that draws from a generator, by torch's own tag; answers are remembered."""
    known = _is_random.get(operator)
    if known is None:
        known = _is_random[operator] = _RANDOM_TAG in operator.tags
    return known


def operator_name(operator: OpOverload) -> str:
    """``normal_`` for ``aten::normal_.default``: the name without namespace and overload."""
    return str(operator._schema.name).rpartition("::")[2]


def out_argument(operator: OpOverload, kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The tensor given as ``out=``, if the overload has one."""
    value = kwargs.get("out")
    return value if isinstance(value, torch.Tensor) else None
