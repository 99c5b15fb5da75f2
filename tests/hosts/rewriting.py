"""A scheduler of diffusers with another text in one place of its source."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from sampler_harness.adapters import diffusers_options as options

__all__ = ["rewritten"]


@contextmanager
def rewritten(name: str, before: str, after: str) -> Iterator[None]:
    """A scheduler whose own source has another text in one place."""
    library = importlib.import_module("diffusers.schedulers")
    original = getattr(library, name)
    module = importlib.import_module(original.__module__)
    source = inspect.getsource(module)
    assert source.count(before) == 1
    copy = ModuleType(module.__name__)
    copy.__dict__.update(__file__=module.__file__, __package__=module.__package__, __spec__=module.__spec__)
    caches = (options.scheduler_class, options.constructor_options, options.accepts)
    try:
        sys.modules[module.__name__] = copy
        exec(compile(source.replace(before, after), str(module.__file__), "exec"), copy.__dict__)
        setattr(library, name, vars(copy)[name])
        package = importlib.import_module("diffusers")
        if name in vars(package):  # it keeps what it was asked for before
            setattr(package, name, vars(copy)[name])
        for cache in caches:
            cache.cache_clear()
        yield
    finally:
        sys.modules[module.__name__] = module
        setattr(library, name, original)
        # The package keeps what it was asked for meanwhile: a scheduler that is saved asks for what it can be read as.
        kept = importlib.import_module("diffusers")
        if vars(kept).get(name) is vars(copy).get(name):
            setattr(kept, name, original)
        for cache in caches:
            cache.cache_clear()
