"""What a user declares of what is under test: the one object that all else reads.

A module per kind; what all share lies in ``base``, ``functions``, ``fields``, ``options`` and ``allowed``. Nothing here
imports numpy, torch or hypothesis: declaring costs nothing.
"""

from __future__ import annotations

from .base import AnySubject, DeclarationError, ModelSubject, ReferenceSubject, renamed
from .sampler import Subject, sampler_under_test

__all__ = [
    "AnySubject",
    "DeclarationError",
    "ModelSubject",
    "ReferenceSubject",
    "Subject",
    "renamed",
    "sampler_under_test",
]
