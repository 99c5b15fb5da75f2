"""Decides whether a diffusion sampler is the one that its paper defines, and whether training means the same.

The public names are imported when they are first used: loading the package, as every pytest run does that has it
installed, imports neither torch nor scipy nor hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import strategies
    from .detail.monitor import DetailMonitor
    from .law.law import Law
    from .law.response import Response
    from .measuring import respond
    from .pinned import Expected, Shown
    from .runner import check_sampler
    from .subject import Subject, sampler_under_test
    from .subject.data import data_under_test
    from .subject.grid import grid_under_test
    from .subject.preprocessing import preprocess_under_test
    from .subject.training import training_under_test
    from .verdict import Finding, Verdict

__all__ = [
    "DetailMonitor",
    "Expected",
    "Finding",
    "Law",
    "Response",
    "Shown",
    "Subject",
    "Verdict",
    "__version__",
    "check_sampler",
    "data_under_test",
    "grid_under_test",
    "preprocess_under_test",
    "respond",
    "sampler_under_test",
    "strategies",
    "training_under_test",
]

__version__ = "0.2.0"

_HOMES = {
    "DetailMonitor": "detail.monitor",
    "Expected": "pinned",
    "Finding": "verdict",
    "Law": "law.law",
    "Response": "law.response",
    "Shown": "pinned",
    "Subject": "subject",
    "Verdict": "verdict",
    "check_sampler": "runner",
    "data_under_test": "subject.data",
    "grid_under_test": "subject.grid",
    "preprocess_under_test": "subject.preprocessing",
    "respond": "measuring",
    "sampler_under_test": "subject",
    "training_under_test": "subject.training",
}
#: Public names that are modules.
_MODULES = {"strategies"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(f"{__name__}.{name}")
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
