"""Every private torch API that the harness uses, each feature-tested, in this one file.

Context: seeing every random draw without a list of names needs ``TorchDispatchMode`` and the operator tag
``nondeterministic_seeded``; neither is documented as stable.
Choice: import them here alone, and fail with one sentence where a torch release lacks them.
Reversed by: a public torch hook for random operators.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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
#: By id, since an operator's own hash costs more than the look-up; operators are kept, so that no other takes its id.
_is_random: dict[int, bool] = {}
_operators: list[OpOverload] = []

_no_dispatch: Callable[[], contextlib.AbstractContextManager[Any]] = getattr(
    torch._C, "_DisableTorchDispatch", contextlib.nullcontext
)


def unseen(values: torch.Tensor) -> contextlib.AbstractContextManager[Any]:
    """Entered around the harness's own operations on a tensor, which no dispatch mode need see: each costs a call.

    Args:
        values: the tensor; one of the user's own class keeps its operations.
    """
    return _no_dispatch() if type(values) is torch.Tensor else contextlib.nullcontext()


def is_random(operator: OpOverload) -> bool:
    """True for an operator that draws from a generator, by torch's own tag; answers are remembered."""
    known = _is_random.get(id(operator))
    if known is None:
        _operators.append(operator)
        known = _is_random[id(operator)] = _RANDOM_TAG in operator.tags
    return known


def operator_name(operator: OpOverload) -> str:
    """``normal_`` for ``aten::normal_.default``: the name without namespace and overload."""
    return str(operator._schema.name).rpartition("::")[2]


def default_generator(device: torch.device) -> torch.Generator | None:
    """The generator that draws on a device where none is passed; None where torch does not show it.

    Args:
        device: of the draw.
    """
    if device.type == "cpu":
        return torch.default_generator
    module = getattr(torch, device.type, None)
    known = getattr(module, "default_generators", ())
    index = device.index if device.index is not None else (module.current_device() if module and known else 0)
    return known[index] if index < len(known) else None
