"""A sampler's impulse response in one configuration, as figures: for scripts and notebooks."""

from __future__ import annotations

from typing import Any

from .subject import Subject

__all__ = ["respond"]


def respond(
    subject: Subject,
    config: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: str | None = None,
    device: str = "cpu",
    **fields: Any,
) -> Any:
    """Measure a sampler's impulse response ``(T, m, A, B)`` in one configuration.

    Args:
        subject: what ``@sampler_under_test`` made.
        config: an instance of the reference's dataclass; or give its fields by name.
        shape: of the sample; None for the subject's own.
        dtype: name of a torch dtype; None for the subject's first.
        device: any torch device.
        fields: the reference's fields, where ``config`` is None.

    Returns:
        A :class:`~sampler_harness.law.response.Response`.

    Raises:
        ValueError: where the run cannot be measured; the message says what the sampler did.
    """
    from .checks.evidence import Evidence

    evidence = Evidence(subject, device=device)
    chosen = config if config is not None else subject.reference(**fields)
    bundle = evidence.bundle(evidence.case(chosen, shape=shape, dtype=dtype))
    problem = bundle.problem or bundle.first.problem
    if problem is not None:
        raise ValueError(problem.message)
    return bundle.first.response
