"""The package of references with edits in its text, imported anew: what a fault does, seen without the harness."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

import reference_samplers
from sampler_harness.law.replacement import Replacement

__all__ = ["edited_references", "edited_texts", "text_of"]

PACKAGE = "reference_samplers"
assert reference_samplers.__file__ is not None
FOLDER = Path(reference_samplers.__file__).parent


@cache
def text_of(file: str) -> str:
    """The source of a file, named as ``reference_samplers/edm.py``."""
    return (FOLDER.parent / file).read_text(encoding="utf-8")


def edited_texts(replacements: Iterable[Replacement]) -> Mapping[str, str]:
    """Texts of the files that are edited."""
    texts: dict[str, str] = {}
    for one in replacements:
        texts[one.file] = texts.get(one.file, text_of(one.file)).replace(one.before, one.after)
    return texts


@cache
def _compiled(file: str, text: str) -> CodeType:
    return compile(text, file, "exec")


class _Edited(MetaPathFinder, InspectLoader):
    """Finds the package's modules, some of them with another text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        return spec_from_loader(fullname, self, is_package=self.is_package(fullname))

    def is_package(self, fullname: str) -> bool:
        return (FOLDER.parent / fullname.replace(".", "/")).is_dir()

    def get_source(self, fullname: str) -> str:
        file = self._file(fullname)
        return self._texts.get(file, text_of(file))

    def get_code(self, fullname: str) -> CodeType:
        return _compiled(self._file(fullname), self.get_source(fullname))

    def _file(self, fullname: str) -> str:
        path = fullname.replace(".", "/")
        return f"{path}/__init__.py" if self.is_package(fullname) else f"{path}.py"


@contextmanager
def edited_references(replacements: Iterable[Replacement]) -> Iterator[ModuleType]:
    """A second package of references with edits in it; whoever has the first one keeps it."""
    kept = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == PACKAGE}
    finder = _Edited(edited_texts(replacements))
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        sys.modules.update(kept)
