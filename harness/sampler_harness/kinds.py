"""What can be put under test: the one table in which a declaration's kind, its evidence and its checks meet.

Nothing below knows of it, and nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .catalogue import CheckInfo
from .evidence import AnyEvidence
from .verdict import Finding

__all__ = ["KIND_OF", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of subject.

    Attributes:
        room: the folder that holds the functions of its checks.
        evidence: imports the class that measures it.
    """

    room: str
    evidence: Callable[[], type[AnyEvidence[Any]]]

    def check_function(self, info: CheckInfo) -> Callable[[Any], Finding]:
        """The function that judges a check, imported where it lives.

        Args:
            info: a row of this kind.
        """
        module = importlib.import_module(f"{__package__}.{self.room}.{info.home}")
        function: Callable[[Any], Finding] = getattr(module, info.function)
        return function


def _sampler() -> type[AnyEvidence[Any]]:
    from .checks.evidence import Evidence

    return Evidence


def _training() -> type[AnyEvidence[Any]]:
    from .training.evidence import TrainingEvidence

    return TrainingEvidence


def _preprocessing() -> type[AnyEvidence[Any]]:
    from .data.evidence import PreprocessEvidence

    return PreprocessEvidence


def _data() -> type[AnyEvidence[Any]]:
    from .data.batches import DataEvidence

    return DataEvidence


def _grid() -> type[AnyEvidence[Any]]:
    from .grids.evidence import GridEvidence

    return GridEvidence


#: By what ``kind`` of a subject says.
KIND_OF = {
    "sampler": Kind("checks", _sampler),
    "training": Kind("training", _training),
    "preprocessing": Kind("data", _preprocessing),
    "data": Kind("data", _data),
    "grid": Kind("grids", _grid),
}
