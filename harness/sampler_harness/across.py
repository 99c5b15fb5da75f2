"""What two declarations of one run say together: a model is trained one way and sampled another; neither is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .subject import AnySubject, Subject

__all__ = ["beside_others"]


def beside_others(subject: AnySubject, others: Sequence[AnySubject]) -> tuple[str, ...]:
    """Notes on a training step beside the samplers of the same run; none where it declares its own sampler.

    Args:
        subject: of any kind; only a training step has notes.
        others: all that the run decides on.
    """
    if subject.kind != "training":
        return ()
    from .subject.training import TrainingSubject

    assert isinstance(subject, TrainingSubject)
    if subject.sampler is not None:
        return ()  # told by the check that compares the two
    from .training.beside import base_of, beside

    config: Any = base_of(subject)
    samplers = [other for other in others if isinstance(other, Subject)]
    notes = [note for other in samplers for note in beside(config, base_of(other), other.target or other.name)]
    return tuple(dict.fromkeys(notes))
